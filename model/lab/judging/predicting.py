"""Judges at work on photos that no extraction holds: each gets a mask if a judge needs one.

asker = Asker(named_judges(["runs/lab/models/background/background/svc"]), "u2netp")
asker.ask(Path("photo.jpg"))       # [Answers] of the judges, in their order
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model.lab.judging.judges import Answers, Judge, named_judges
from model.lab.photos.files import find_photos, open_photo, refusal
from model.lab.photos.masks import item_mask, open_session
from model.lab.photos.parallel import in_parallel
from model.lab.photos.view import View
from model.serving.preprocess import PhotoError


class Asker:
    """Asks judges about photos, one after the other, with one mask for all of them.

    Raises LabError when the mask's network, which is opened only if a judge needs a mask, cannot be had.
    """

    def __init__(self, judges: Sequence[Judge], mask_model: str) -> None:
        self.judges = judges
        needs_mask = any(judge.needs_mask for judge in judges)
        self._session: Any = open_session(mask_model, threads=1) if needs_mask else None

    def view(self, photo: Path) -> View:
        """Read a photo. Raises PhotoError when it is none, OSError when it cannot be opened."""
        pixels = open_photo(photo)
        mask = item_mask(self._session, pixels) if self._session else np.zeros(pixels.shape[:2], np.uint8)
        return View(photo, pixels, mask)

    def ask(self, photo: Path) -> list[Answers]:
        """Return every judge's answers for one photo. Raises PhotoError, OSError."""
        view = self.view(photo)
        return [judge.answer(view) for judge in self.judges]


class Predicted(NamedTuple):
    """One photo's row, or the reason why there is none."""

    file: str
    row: dict[str, str | float]
    reason: str


def predict(
    models: Sequence[str], releases: Path, photos: Path, mask_model: str, workers: int = 1
) -> list[Predicted]:
    """Ask models about every photo below a folder; the photos come back in the order of their names.

    Raises LabError when a model is none, or there is no photo.
    """
    files = find_photos(photos)
    # opened here first: what is wrong with a model or a mask is said once, and workers inherit what is loaded
    open_worker(models, releases, mask_model)
    found = in_parallel(
        partial(predict_one, photos),
        files,
        workers=min(workers, len(files)),
        what="predict",
        prepare=open_worker,
        prepared_with=(models, releases, mask_model),
    )
    return sorted(found)


_asker: Asker


def open_worker(models: Sequence[str], releases: Path, mask_model: str) -> None:
    """Prepare a worker process: judges and a session of its own."""
    global _asker
    _asker = Asker(named_judges(models, releases), mask_model)


def predict_one(photos: Path, file: str) -> Predicted:
    """Answer for one photo."""
    try:
        answers = _asker.ask(photos / file)
    except (PhotoError, OSError) as error:
        return Predicted(file, {}, refusal(error))
    row: dict[str, str | float] = {"file": file}
    for judge, given in zip(_asker.judges, answers, strict=True):
        row |= dict(columns(judge, given))
    return Predicted(file, row, "")


def columns(judge: Judge, given: Answers) -> Iterator[tuple[str, str | float]]:
    """Yield a judge's columns for one photo: its answer, the probability of that, and every class's."""
    guess = int(given.guesses[0])
    yield judge.task, judge.classes[guess]
    yield f"{judge.task}_probability", float(given.probabilities[0, guess])
    for name, value in zip(judge.classes, given.probabilities[0], strict=True):
        yield f"{judge.task}_p_{name}", float(value)
