"""A release for one's own photos: the network as it is, temperatures and thresholds set anew.

    adapt(release, Path("my photos"), out=Path("model/releases"), version="mine-1")

Thresholds that keep a promise for other people's photos need not keep it for yours. Some hundred of your own photos, with
the right answers, say from which probability on the network may be believed. No torch is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

import in_use
from model.releasing.calibrate import calibrate, with_reach
from model.releasing.nights import unlike_nights
from model.serving.classes import FEATURES, Classes, DataError
from model.serving.familiar import FILE as FAMILIAR
from model.serving.predictor import Predictor
from model.serving.preprocess import read_photo
from model.serving.releases import Release, ReleaseError, seal
from model.serving.releases import load as load_release
from model.training.data import Photos, load, serving_pixels

FEWEST: Final = 200
"""Photos that thresholds need. With fewer nearly all photos would go to a person, or the promise would be luck."""


def adapt(release: Release, photos: Path, *, out: Path, version: str) -> Release:
    """Write the release `out/<version>`: the parent with temperatures and thresholds for the photos in a data folder.

    Where `labels.csv` has a column `weight`, only photos with a weight count, each for so many. Raises ReleaseError,
    DataError.
    """
    if (there := in_use.folder(out, version)).exists():
        raise ReleaseError(f"{there} exists: a release is never changed. Choose another version.")
    found = load(photos, classes=release.classes)
    found = found.take(found.weight > 0)
    if len(found) < FEWEST:
        raise DataError(
            f"{photos} holds {len(found)} photos to set thresholds by; {FEWEST} are needed. Sort more of your own photos "
            "into its folders."
        )
    scores = Predictor(release).scores(serving_pixels(found))
    classes = _for_these(release.classes, found, scores)
    knows = release.familiar if FEATURES in scores else None
    familiar = with_reach(knows, scores[FEATURES]) if knows else None
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".calibrate-") as scratch:
        part = Path(scratch) / version
        shutil.copytree(release.folder, part)
        (part / "classes.json").write_text(classes.to_json(), encoding="utf-8")
        metrics = {**release.metrics, "version": version}
        metrics["calibrated"] = {"parent": release.version, "photos": len(found)}
        if familiar:
            familiar.write(part / FAMILIAR)
            metrics["held_out"] = {
                **metrics.get("held_out", {}),
                "unlike": unlike_nights(familiar, scores[FEATURES], found.groups()),
            }
        _write_json(part / "metrics.json", metrics)
        _tell(part / "card.md", release.version, version, len(found))
        seal(part)
        _write_json(part / "golden" / "golden.json", _golden(load_release(part), release))
        seal(part)
        Predictor(load_release(part)).check_golden()
        os.replace(part, out / version)
    return load_release(out / version)


def _for_these(classes: Classes, photos: Photos, scores: Mapping[str, np.ndarray]) -> Classes:
    """The classes with what these photos say."""
    labels = {head: photos.labels(head) for head in ("main", "sub", "background", "colour", "clothing")}
    return calibrate(classes, scores, labels, groups=photos.groups(), weights=photos.weight)


def _golden(adapted: Release, parent: Release) -> dict[str, dict[str, str]]:
    """What the golden photos must get: what they had to before, but for a background judged by another threshold."""
    predictor = Predictor(adapted)
    answers: dict[str, dict[str, str]] = {}
    for file, wanted in parent.golden.items():
        answer = predictor.predict(read_photo(file.read_bytes(), max_megapixels=50)[None])[0]
        given: Mapping[str, str] = {head: getattr(answer, head).name for head in wanted}
        answers[file.name] = {
            head: name for head, name in wanted.items() if head != "background" or given[head] == name
        }
    return answers


def _tell(card: Path, parent: str, version: str, photos: int) -> None:
    """Put at the head of the card whose release this is."""
    text = card.read_text(encoding="utf-8")
    card.write_text(
        f"# Release {version}\n\nThe network of {parent}, unchanged. Its temperatures and thresholds were set by {photos} "
        f"photos of your own; all scores below are the parent's, on other photos.\n\n{text}",
        encoding="utf-8",
    )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
