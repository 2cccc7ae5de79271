"""What a release answers to photos that it has not learned from: `held_out.csv` in its folder.

    write(folder, photos, predictions)            # `export` does, before the folder is sealed
    compare(read(new), read(old), HEADS)["sub"]   # `promote` does

Photos are known by their checksums, so two releases are compared on those that neither has learned from, without the
photos and without torch.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from model.serving.classes import HEADS

if TYPE_CHECKING:
    from model.serving.answers import Prediction
    from model.training.data import Photos

FILE: Final = "held_out.csv"

FLIPS: Final = 9999
"""Draws of the permutation test: its smallest p is one in ten thousand."""

GROUPS_NEEDED: Final = 10
"""With fewer groups the test could not tell the worst release from chance, so photos count one by one."""


@dataclass(frozen=True)
class HeldOutPhoto:
    """One photo: its kind, a number for what it belongs together with (such as a sender), and head → class name.

    labels: what is right, without the heads for which nobody knows. probabilities: those of the answers.
    """

    group: str
    kind: str
    labels: Mapping[str, str]
    answers: Mapping[str, str]
    probabilities: Mapping[str, float]


HeldOutAnswers = Mapping[str, HeldOutPhoto]
"""SHA-256 of the photo's file → what is known of it."""


@dataclass(frozen=True)
class Compared:
    """One head of two releases on the same photos.

    new, old: shares of right answers, for the background the mean over its classes of these. p_worse: the probability of
    so great a loss, or a greater one, if neither were better than the other.
    """

    photos: int
    new: float
    old: float
    p_worse: float


def write(folder: Path, photos: Photos, predictions: Sequence[Prediction]) -> None:
    """Keep a release's answers to photos that it has not learned from, one prediction a photo, in order.

    A head that answers nothing gets no columns. Groups become numbers: who sent a photo stays with whoever has it.
    """
    heads = [head for head in HEADS if all(getattr(given, head) is not None for given in predictions)]
    numbers = np.unique(photos.groups(), return_inverse=True)[1]
    rows = []
    for i, given in enumerate(predictions):
        row = [str(photos.sha256[i]), str(numbers[i]), str(photos.kind[i])]
        for head in heads:
            label, answer = int(photos.labels(head)[i]), getattr(given, head)
            right = photos.classes.names(head)[label] if label >= 0 else ""
            row += [right, answer.name, f"{answer.probability:.4f}"]
        rows.append(row)
    with (folder / FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sha256", "group", "kind", *(column for head in heads for column in _columns(head))])
        writer.writerows(sorted(rows))


def read(folder: Path) -> HeldOutAnswers:
    """What `write` kept; nothing of a release from before there was that. Raises ValueError, KeyError or OSError."""
    path = folder / FILE
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True, restval=""))
    return {row["sha256"]: _photo(row) for row in rows}


def compare(new: HeldOutAnswers, old: HeldOutAnswers, heads: Iterable[str]) -> dict[str, Compared]:
    """Two releases on the photos that both hold out: head → how they compare; only heads that both answer.

    What is right is what the newer one was told.
    """
    found = {}
    for head in heads:
        both = [
            key
            for key, photo in new.items()
            if key in old and _counts(photo, head) and head in old[key].answers
        ]
        if both:
            found[head] = _compare(head, [new[key] for key in both], [old[key] for key in both])
    return found


def in_common(new: HeldOutAnswers, old: HeldOutAnswers, heads: Sequence[str]) -> int:
    """How many photos can be compared by at least one of these heads."""
    return sum(
        any(_counts(photo, head) and head in old[key].answers for head in heads)
        for key, photo in new.items()
        if key in old
    )


def _counts(photo: HeldOutPhoto, head: str) -> bool:
    return head in photo.labels and head in photo.answers


def _compare(head: str, new: Sequence[HeldOutPhoto], old: Sequence[HeldOutPhoto]) -> Compared:
    labels = np.array([photo.labels[head] for photo in new])
    is_right = np.array([photo.answers[head] for photo in new]) == labels
    was_right = np.array([photo.answers[head] for photo in old]) == labels
    weights = _balanced(labels) if head == "background" else np.full(len(labels), 1 / len(labels))
    change = weights * (is_right.astype(float) - was_right)
    groups = np.array([photo.group for photo in new])
    return Compared(
        photos=len(labels),
        new=float(weights @ is_right),
        old=float(weights @ was_right),
        p_worse=p_worse(change, groups),
    )


def _balanced(labels: np.ndarray) -> np.ndarray:
    """What each photo weighs when all classes weigh the same; they add up to 1."""
    _, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights: np.ndarray = 1 / (len(counts) * counts[which])
    return weights


def p_worse(change: np.ndarray, groups: np.ndarray) -> float:
    """How likely a loss like this is by chance: the gain of each of N photos, float (N,), and its group.

    If neither release is better, each group's gain might as well have been a loss: a permutation test of signs, which for
    photos that stand for themselves is McNemar's. Photos of one group are not independent, so the whole group turns.
    """
    names, which = np.unique(groups, return_inverse=True)
    gains = np.bincount(which, change) if len(names) >= GROUPS_NEEDED else change
    gains = gains[gains != 0]
    signs = np.random.default_rng(0).choice((-1.0, 1.0), (FLIPS, len(gains)))
    as_bad = int((signs @ gains <= gains.sum() + 1e-12).sum())
    return (as_bad + 1) / (FLIPS + 1)


def _columns(head: str) -> tuple[str, str, str]:
    """The columns of a head: what is right, the answer, and the answer's probability."""
    return head, f"{head}_answer", f"{head}_probability"


def _photo(row: Mapping[str, str]) -> HeldOutPhoto:
    told = {head: [row[column] for column in _columns(head)] for head in HEADS if f"{head}_answer" in row}
    return HeldOutPhoto(
        group=row["group"],
        kind=row["kind"],
        labels={head: right for head, (right, _, _) in told.items() if right},
        answers={head: answer for head, (_, answer, _) in told.items()},
        probabilities={head: float(probability) for head, (_, _, probability) in told.items()},
    )
