"""Judges: whatever answers a task for a photo, the classical models and the network's heads alike.

for judge in find_judges(out, "background", network=Path("model/releases")):
    probabilities, guesses = judge.answers(photos, store, files)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from model.lab import LabError, classical
from model.lab.features import FEATURE_SETS, load_features, view_numbers
from model.lab.photos import MAX_MEGAPIXELS, progress
from model.lab.store import Store
from model.lab.view import View
from model.preprocess import INPUT_SIZE, read_photo

NETWORK: Final = "network"
RELEASES: Final = Path("model/releases")


class Answers(NamedTuple):
    """Probabilities (n, classes) and the chosen classes (n), which a judge's own threshold may move."""

    probabilities: npt.NDArray[np.float64]
    guesses: npt.NDArray[np.int64]


class Judge(Protocol):
    """Answers a task: `name` identifies it in tables, `classes` are its answers, `needs_mask` is true if it sees one."""

    name: str
    task: str
    classes: list[str]
    needs_mask: bool

    def answers(self, photos: Path, store: Store, files: Sequence[str]) -> Answers:
        """Answer for photos of a store."""

    def answer(self, view: View) -> Answers:
        """Answer for one photo, from its pixels (and its mask, if needed)."""


class ClassicalJudge:
    """A model that `train` has saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts = classical.load_facts(folder)
        self.name = f"{self.facts['model']} on {'+'.join(self.facts['sets'])}"
        self.task: str = self.facts["task"]
        self.classes: list[str] = self.facts["classes"]
        self.needs_mask = any(FEATURE_SETS[name].needs_mask for name in self.facts["sets"])

    def answers(self, photos: Path, store: Store, files: Sequence[str]) -> Answers:  # noqa: ARG002
        """Answer from the store's tables."""
        table = load_features(store, self.facts["sets"]).loc[list(files), self.facts["columns"]]
        return self._answers(table.to_numpy(np.float64))

    def answer(self, view: View) -> Answers:
        """Answer from the photo itself."""
        numbers = view_numbers(view, self.facts["sets"])
        return self._answers(np.array([[numbers[column] for column in self.facts["columns"]]], np.float64))

    def _answers(self, rows: npt.NDArray[np.float64]) -> Answers:
        probabilities = classical.class_probabilities(self.model, rows, len(self.classes))
        return Answers(probabilities, np.asarray(probabilities.argmax(1), np.int64))

    @cached_property
    def model(self) -> Any:
        """The model, loaded when it is first asked."""
        return classical.load(self.folder)[0]


class NetworkJudge:
    """The released network's head for a task, exactly as the night uses it (ONNX Runtime, one thread)."""

    needs_mask = False

    def __init__(self, releases: Path, task: str) -> None:
        from model.releases import ReleaseError, current

        try:
            self.release = current(releases)
        except ReleaseError as error:
            raise LabError(str(error)) from error
        self.task = task
        self.name = f"{NETWORK} {self.release.version}"
        self.classes = list(self.release.classes.names(task))

    def answers(self, photos: Path, store: Store, files: Sequence[str]) -> Answers:  # noqa: ARG002
        """Answer from the photos' files."""
        found = [self.answer_file(photos / file) for file in progress(files, self.name, len(files))]
        return Answers(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def answer(self, view: View) -> Answers:
        """Answer from the photo's file."""
        return self.answer_file(view.path)

    def answer_file(self, path: Path) -> Answers:
        """Answer for one file, read as the night reads it."""
        pixels = read_photo(path.read_bytes(), max_megapixels=MAX_MEGAPIXELS, size=INPUT_SIZE)
        head = getattr(self.predictor.predict(pixels[None])[0], self.task)
        probabilities = np.array([[head.probabilities[name] for name in self.classes]], np.float64)
        return Answers(probabilities, np.array([self.classes.index(head.name)], np.int64))

    @cached_property
    def predictor(self) -> Any:
        """The network, opened when it is first asked."""
        from model.predictor import Predictor

        return Predictor(self.release)


def find_judges(out: Path, task: str, network: Path = RELEASES) -> list[Judge]:
    """Return all judges of a task: the models below OUT/models/TASK, and the network where there is a release."""
    judges: list[Judge] = [
        ClassicalJudge(path.parent) for path in sorted((out / "models" / task).glob("*/*/facts.json"))
    ]
    if (network / "CURRENT").is_file() and task in ("background", "colour"):
        judge = NetworkJudge(network, task)
        judges += [judge] if task in judge.release.classes.heads else []
    return judges


def find_judge(out: Path, task: str, name: str, network: Path = RELEASES) -> Judge:
    """Return the one judge called `name`, or `network`. Raises LabError, listing the names there are."""
    judges = find_judges(out, task, network)
    for judge in judges:
        if name == judge.name or (name == NETWORK and judge.name.startswith(NETWORK)):
            return judge
    names = "; ".join(judge.name for judge in judges) or "none yet: run `train`"
    raise LabError(f"No judge of the task {task!r} is called {name!r}. There are: {names}.")


def tasks(out: Path) -> list[str]:
    """Return the tasks for which models have been trained."""
    return sorted(path.name for path in (out / "models").glob("*") if path.is_dir())
