"""What a model should say: the labels of a CSV as a task.

task = load_task(Path("labels.csv"), "background")
train, held_out = task.without("validation/"), task.only("validation/")

The CSV has a column `file` (paths relative to the photos' folder), a column per kind of label, and, if it is known, one
that groups photos which resemble one another for reasons that are not the label's: who took them, say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from model.lab import SENDER, LabError

UNSURE: Final = "?"
"""The label of a photo on which people would differ: such photos are neither trained on nor scored."""

BACKGROUND_NAMES: Final = {"1": "acceptable", "0": "unacceptable"}
"""How the labels CSV writes the answers of the task `background`."""


@dataclass(frozen=True)
class Task:
    """Photos with one label each: `answers` are names, `groups` (all empty when unknown) say which belong together.

    `column` is the labels' column, where the task has another name than that.
    """

    name: str
    files: tuple[str, ...]
    answers: tuple[str, ...]
    groups: tuple[str, ...]
    column: str = ""

    @property
    def classes(self) -> list[str]:
        """The different answers, sorted."""
        return sorted(set(self.answers))

    def codes(self, classes: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return each photo's answer as its place in `classes`."""
        places = {name: place for place, name in enumerate(classes)}
        return np.array([places[answer] for answer in self.answers], np.int64)

    def named(self, name: str) -> Task:
        """Return the same photos and answers under another name."""
        return replace(self, name=name)

    def only(self, prefix: str) -> Task:
        """Return the photos whose path begins with `prefix`."""
        return self._chosen(lambda file, _: file.startswith(prefix))

    def without(self, prefix: str) -> Task:
        """Return the photos whose path does not begin with `prefix`."""
        return self._chosen(lambda file, _: not file.startswith(prefix))

    def among(self, files: Collection[str]) -> Task:
        """Return the photos that are in `files`."""
        known = frozenset(files)
        return self._chosen(lambda file, _: file in known)

    def answered(self, classes: Collection[str]) -> Task:
        """Return the photos whose answer is one of `classes`."""
        return self._chosen(lambda _, answer: answer in classes)

    def dropping(self, answers: Collection[str]) -> Task:
        """Return the photos whose answer is none of `answers`."""
        return self._chosen(lambda _, answer: answer not in answers)

    def _chosen(self, wanted: Callable[[str, str], bool]) -> Task:
        rows = [
            row for row in zip(self.files, self.answers, self.groups, strict=True) if wanted(row[0], row[1])
        ]
        files, answers, groups = zip(*rows, strict=True) if rows else ((), (), ())
        return replace(self, files=files, answers=answers, groups=groups)


def load_task(labels: Path, column: str, group: str = SENDER, drop: Collection[str] = ()) -> Task:
    """Read the sure labels of one column; answers in `drop` are left out.

    Raises LabError, saying what to change, when the file or a column is missing or fewer than two answers remain.
    """
    table = read_labels(labels)
    if column not in table.columns:
        raise LabError(f"{labels} has no column {column!r}; it has: {', '.join(table.columns)}.")
    if group not in table.columns and group not in (SENDER, "none"):
        raise LabError(f"{labels} has no column {group!r} to group by; it has: {', '.join(table.columns)}.")
    sure = table[(table[column] != UNSURE) & (table[column] != "")]
    names = BACKGROUND_NAMES if column == "background" else {}
    groups = sure[group] if group in table.columns else [""] * len(sure)
    answers = tuple(names.get(value, value) for value in sure[column])
    task = Task(column, tuple(sure["file"]), answers, tuple(groups), column)
    task = task.dropping(drop)
    if len(task.classes) < 2:
        raise LabError(f"{labels}: the column {column!r} needs at least two different sure labels.")
    return task


def read_labels(labels: Path) -> pd.DataFrame:
    """Return the labels CSV, all columns as text. Raises LabError when it is missing or has no column `file`."""
    if not labels.is_file():
        raise LabError(
            f"There is no file {labels}: give a CSV with a column `file` and a column per kind of label."
        )
    try:
        table = pd.read_csv(labels, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise LabError(f"{labels} cannot be read as a CSV: {' '.join(str(error).split())}") from error
    if "file" not in table.columns:
        raise LabError(f"{labels} has no column `file`; it has: {', '.join(table.columns)}.")
    return table
