"""The photos that a model is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path

from model.serving.classes import Classes, DataError
from model.training.data import Photos, load
from model.training.folders import test_part


def test_photos(folders: Sequence[Path], part: str | None, classes: Classes) -> Photos | None:
    """The photos that are there to measure on; None where no folder has such a part. Raises DataError for a named one."""
    parts = [(folder, part or test_part(folder)) for folder in folders]
    loaded = [
        load(folder, part=name, classes=classes)
        for folder, name in parts
        if name and (folder / name).is_dir()
    ]
    if part and not loaded:
        raise DataError(f"No data folder has a part {part}: {', '.join(map(str, folders))}.")
    return reduce(Photos.joined, loaded) if loaded else None


def photos_to_score(folders: Sequence[Path], part: str | None, classes: Classes) -> Photos:
    """The test photos of each folder; the whole of one that is not divided into parts."""
    parts = [(folder, part or test_part(folder) or "train") for folder in folders]
    return reduce(Photos.joined, [load(folder, part=name, classes=classes) for folder, name in parts])
