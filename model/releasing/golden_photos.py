"""Golden photos: pictures whose answers are known, which a release must get right before every night.

They show that the network still answers, here and now, as it did when it was exported. Those of `model/golden` are
drawn, and named after their answers (`<sub>-<colour>-<background>.jpg`). For other categories a release takes some of
the held-out photos, the surest right one of each class.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from model.serving.classes import Classes
from model.serving.preprocess import PhotoError, read_photo
from model.serving.releases import ReleaseError
from model.training.data import Photos
from model.training.labels import UNKNOWN
from model.user_errors import need_folder

DRAWN: Final = Path(__file__).parents[1] / "golden"

NEEDED: Final = 0.6
"""Share of the golden photos whose sub-category a release must get right to be one."""

MOST: Final = 12
"""Photos at most that are taken from the held-out ones."""

Answer = Callable[[np.ndarray], Mapping[str, tuple[str, float]]]
"""Pixels, uint8 (224, 224, 3) → head → the release's answer and its probability."""

Golden = dict[str, dict[str, str]]
"""A file's name → head → the class that the release must name."""


def choose(named: Path | None, photos: Photos, classes: Classes, answer: Answer, out: Path) -> Golden:
    """Copy golden photos to `out`: those of the folder `named`, else the drawn ones where they show just these classes, else
    some of `photos`. Raises ReleaseError where too few are right; returns nothing where none can be had.
    """
    if named:
        return _of_names(need_folder(named, "golden photos"), classes, answer, out)
    if {_answers_of_name(file)["sub"] for file in _files(DRAWN)} == set(classes.subs):
        return _of_names(DRAWN, classes, answer, out)
    return _of_photos(photos, classes, answer, out)


def _of_names(folder: Path, classes: Classes, answer: Answer, out: Path) -> Golden:
    """What the files' names say, as far as the release gets it right."""
    golden: Golden = {}
    for file in _files(folder):
        wanted = _answers_of_name(file)
        if wanted["sub"] in classes.subs:
            wanted["main"] = classes.main_of[wanted["sub"]]
            given = answer(_read(file))
            golden[file.name] = {
                head: name for head, name in wanted.items() if given.get(head, ("",))[0] == name
            }
            shutil.copy(file, out / file.name)
    right = sum("sub" in answers for answers in golden.values())
    if right < NEEDED * len(golden):
        raise ReleaseError(
            f"The network gets {right} of {len(golden)} golden photos right. Golden photos are pictures with known answers "
            f"(those in {folder}, named <sub>-<colour>-<background>.jpg); a release answers them before every night. Train "
            "with more photos, or, if these pictures do not look like your photos, name a folder of your own with --golden."
        )
    return golden


def _of_photos(photos: Photos, classes: Classes, answer: Answer, out: Path) -> Golden:
    """The surest right photo of each class, and what is known of it."""
    golden: Golden = {}
    for sub in range(len(classes.subs)):
        best: tuple[float, Path | None, dict[str, str]] = (0.0, None, {})
        for i in np.flatnonzero(photos.sub == sub)[:MOST]:
            file = out / f"{sub}-{i}.png"
            Image.fromarray(photos.pixels[i]).save(file)
            given = answer(_read(file))
            known = {head: int(photos.labels(head)[i]) for head in given}
            right = {
                head: name
                for head, (name, _) in given.items()
                if known[head] != UNKNOWN and classes.names(head)[known[head]] == name
            }
            unfit = file
            if "sub" in right and given["sub"][1] > best[0] and len(golden) < MOST:
                unfit, best = best[1] or file, (given["sub"][1], file, right)
            if unfit != best[1]:
                unfit.unlink()
        if best[1]:
            golden[best[1].name] = best[2]
    return golden


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png"))


def _answers_of_name(file: Path) -> dict[str, str]:
    """The answers that a file's name tells. Raises ReleaseError."""
    parts = file.stem.rsplit("-", 2)
    if len(parts) < 3:
        raise ReleaseError(
            f"{file} is no name of a golden photo: <sub>-<colour>-<background>.jpg is meant, such as "
            "shirt-blue-acceptable.jpg."
        )
    return dict(zip(("sub", "colour", "background"), parts, strict=True))


def _read(file: Path) -> np.ndarray:
    try:
        return read_photo(file.read_bytes(), max_megapixels=50)
    except PhotoError as error:
        raise ReleaseError(f"The golden photo {file} cannot be read: {error}") from error
