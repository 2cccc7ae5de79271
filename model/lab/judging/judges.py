"""Judges: whatever answers a task for a photo, the classical models and the network's heads alike.

for judge in find_judges(out, "background"):
    probabilities, guesses = judge.answers(photos, store, files)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from in_use import CHECKSUMS
from model.lab import RELEASES, LabError, existing_folder
from model.lab.judging import classical
from model.lab.numbers.features import FEATURE_SETS, load_features, view_numbers
from model.lab.photos.files import MAX_MEGAPIXELS, refusal
from model.lab.photos.parallel import progress
from model.lab.photos.store import Store
from model.lab.photos.view import View
from model.serving.classes import HEADS, ClassesError
from model.serving.predictor import Prediction, Predictor
from model.serving.preprocess import INPUT_SIZE, PhotoError, read_photo
from model.serving.releases import Release, ReleaseError, current, load, versions

NETWORK: Final = "network"


class Answers(NamedTuple):
    """Probabilities (n, classes) and the chosen classes (n), which a judge's own threshold may move."""

    probabilities: npt.NDArray[np.float64]
    guesses: npt.NDArray[np.int64]


class Judge(Protocol):
    """Answers a task: `name` identifies it in tables, `classes` are its answers, `needs_mask` is true if it sees one.

    `column` is where the labels of its task stand.
    """

    name: str
    task: str
    column: str
    classes: list[str]
    needs_mask: bool

    def answers(self, photos: Path | None, store: Store, files: Sequence[str]) -> Answers:
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
        self.column: str = self.facts.get("column", self.task)
        self.classes: list[str] = self.facts["classes"]
        self.needs_mask = any(FEATURE_SETS[name].needs_mask for name in self.facts["sets"])

    def answers(self, photos: Path | None, store: Store, files: Sequence[str]) -> Answers:  # noqa: ARG002
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
        return classical.load_model(self.folder)[0]


class ReleasedNetwork:
    """A release of the network, exactly as the night uses it (ONNX Runtime, one thread), for all its heads at once."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self._last: tuple[Path, Prediction] | None = None

    @cached_property
    def predictor(self) -> Predictor:
        """The network, opened when it is first asked."""
        return Predictor(self.release)

    def predict(self, path: Path) -> Prediction:
        """Answer for one file, read as the night reads it. The last answer is kept, for the next head to take."""
        if self._last is None or self._last[0] != path:
            pixels = read_photo(path.read_bytes(), max_megapixels=MAX_MEGAPIXELS, size=INPUT_SIZE)
            self._last = path, self.predictor.predict(pixels[None])[0]
        return self._last[1]


class NetworkJudge:
    """The released network's head for a task."""

    needs_mask = False

    def __init__(self, network: ReleasedNetwork, task: str) -> None:
        self.network, self.task, self.column = network, task, task
        self.name = f"{NETWORK} {network.release.version}"
        self.classes = list(network.release.classes.names(task))

    def answers(self, photos: Path | None, store: Store, files: Sequence[str]) -> Answers:  # noqa: ARG002
        """Answer from the photos' files."""
        if photos is None:
            raise LabError("The network looks at the photos themselves: say with --photos where they are.")
        found = [
            self.answer_file(existing_folder(photos) / file)
            for file in progress(files, self.name, len(files))
        ]
        return Answers(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def answer(self, view: View) -> Answers:
        """Answer from the photo's file."""
        return self.answer_file(view.path)

    def answer_file(self, path: Path) -> Answers:
        """Answer for one file. Raises LabError when it is no photo."""
        try:
            head = getattr(self.network.predict(path), self.task)
        except (PhotoError, OSError) as error:
            raise LabError(f"{path}: {refusal(error)}") from error
        probabilities = np.array([[head.probabilities[name] for name in self.classes]], np.float64)
        return Answers(probabilities, np.array([self.classes.index(head.name)], np.int64))


def open_network(releases: Path) -> ReleasedNetwork:
    """Return the network in use, or the release that lies in this very folder. Raises LabError when it is unusable."""
    try:
        return ReleasedNetwork(load(releases) if (releases / CHECKSUMS).is_file() else current(releases))
    except (ReleaseError, ClassesError) as error:
        raise LabError(str(error)) from error


def find_judges(out: Path, task: str, releases: Path = RELEASES) -> list[Judge]:
    """Return all judges of a task: the models below OUT/models/TASK, and the network where there is a release."""
    judges: list[Judge] = [
        ClassicalJudge(path.parent) for path in sorted((out / "models" / task).glob("*/*/facts.json"))
    ]
    if versions(releases) and task in HEADS:
        judges += [judge for judge in network_judges(open_network(releases)) if judge.task == task]
    return judges


def network_judges(network: ReleasedNetwork) -> list[Judge]:
    """Return a judge for each head of the network that was trained."""
    return [NetworkJudge(network, head) for head in HEADS if network.release.classes.names(head)]


def all_judges(out: Path, releases: Path = RELEASES) -> list[tuple[str, Judge]]:
    """Return every judge there is, with its task."""
    named = sorted({*tasks(out), "background", "colour"})
    return [(task, judge) for task in named for judge in find_judges(out, task, releases)]


def chosen_judge(out: Path, name: str, task: str | None, releases: Path = RELEASES) -> Judge:
    """Return the judge that `name` means; its task may be left out where it has but one. Raises LabError: there is none."""
    judges = open_judges(name, releases)
    only = judges[0].task if len(judges) == 1 else "background"
    return find_judge(out, task or only, name, releases)


def find_judge(out: Path, task: str, name: str, releases: Path = RELEASES) -> Judge:
    """Return the one judge of a task that `name` means, see `open_judges`. Raises LabError, listing those there are."""
    judges = open_judges(name, releases) or find_judges(out, task, releases)
    for judge in judges:
        if Path(name).is_dir() and (isinstance(judge, ClassicalJudge) or judge.task == task):
            return judge
        if name == judge.name or (name == NETWORK and judge.task == task):
            return judge
    there = "; ".join(judge.name for judge in judges) or "none yet: run `train`"
    raise LabError(f"No judge of the task {task!r} is called {name!r}. There are: {there}.")


def open_judges(model: str, releases: Path = RELEASES) -> list[Judge]:
    """Return the judges that a model has: one for the folder of a model that `train` saved, and one a head for the
    folder of a release or the word `network`. Nothing where `model` is none of these.
    """
    folder = Path(model)
    if model == NETWORK:
        return network_judges(open_network(releases))
    if (folder / "facts.json").is_file():
        return [ClassicalJudge(folder)]
    if (folder / CHECKSUMS).is_file():
        return network_judges(open_network(folder))
    return []


def named_judges(models: Sequence[str], releases: Path = RELEASES) -> list[Judge]:
    """Return the judges of several models, no task twice. Raises LabError when a model is none, or a task is there twice."""
    judges: list[Judge] = []
    for model in models:
        found = open_judges(model, releases)
        if not found:
            raise LabError(
                f"{model} is no model: give a folder that `train` wrote (OUT/models/TASK/FEATURES/MODEL), a release's "
                "folder, or the word network."
            )
        judges += found
    seen = [judge.task for judge in judges]
    twice = next((task for task in seen if seen.count(task) > 1), None)
    if twice:
        raise LabError(f"Two of these models answer {twice}: give one.")
    return judges


def tasks(out: Path) -> list[str]:
    """Return the tasks for which models have been trained."""
    return sorted(path.name for path in (out / "models").glob("*") if path.is_dir())
