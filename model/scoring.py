"""How good answers are: one set of figures for every head, every release and every model of the lab.

    scores = Scores(labels, probabilities, ("black", "white"), groups=senders)
    scores.balanced_accuracy, scores.interval("balanced_accuracy"), scores.calibration_error

Photos of one sender resemble one another, so intervals draw whole groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, recall_score

BINS: Final = 15
"""Equally wide bins of probability for the expected calibration error and its diagram."""

RESAMPLES: Final = 2000
"""Bootstrap resamples behind an interval."""

LEVEL: Final = 0.95
"""Confidence of intervals."""

Figure = Literal["accuracy", "balanced_accuracy"]
"""The figures that have intervals."""


@dataclass(frozen=True)
class Scores:
    """Answers to photos whose class is known.

    labels: (N,), places in `names`. probabilities: (N, classes). groups: (N,), what each photo belongs together with, ""
    where it stands for itself. chosen: (N,), the answers, where they are not the likeliest classes.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    names: Sequence[str]
    groups: Sequence[str] | np.ndarray
    chosen: np.ndarray | None = None

    @cached_property
    def answers(self) -> np.ndarray:
        """The class that each photo is given."""
        given: np.ndarray = self.probabilities.argmax(1) if self.chosen is None else self.chosen
        return given

    @cached_property
    def confidence(self) -> np.ndarray:
        """The probability of each answer."""
        found: np.ndarray = self.probabilities[np.arange(len(self.answers)), self.answers]
        return found

    @cached_property
    def right(self) -> np.ndarray:
        """Whether each answer is right."""
        found: np.ndarray = self.answers == self.labels
        return found

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return accuracy(self.labels, self.answers)

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the classes that occur of the share of right answers."""
        return balanced_accuracy(self.labels, self.answers)

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that occur."""
        return macro(self.per_class, "f1")

    def within(self, most: int) -> float:
        """Share of photos whose class is among the `most` likeliest ones."""
        likeliest = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :most]
        return float((likeliest == self.labels[:, None]).any(1).mean())

    @cached_property
    def per_class(self) -> dict[str, dict[str, float]]:
        """Precision, recall, F1 and photos of each class."""
        return per_class(self.labels, self.answers, self.names)

    @cached_property
    def confusion(self) -> np.ndarray:
        """Counts, int (classes, classes): a row a class, a column an answer."""
        counts: np.ndarray = confusion_matrix(self.labels, self.answers, labels=range(len(self.names)))
        return counts

    @property
    def calibration_error(self) -> float:
        """See `calibration_error`."""
        return calibration_error(self.confidence, self.right)

    def coverage_at(self, accuracy: float) -> float:
        """The largest share of photos, surest first, of which at least this share is right."""
        share, wrong = coverage(self.confidence, self.right)
        fine = np.flatnonzero(1 - wrong >= accuracy - 1e-12)
        return float(share[fine[-1]]) if len(fine) else 0.0

    def summary(self) -> dict[str, Any]:
        """The figures as plain numbers, for JSON and tables."""
        return {
            "photos": len(self.labels),
            "accuracy": self.accuracy,
            "accuracy_interval": self.interval("accuracy"),
            "balanced_accuracy": self.balanced_accuracy,
            "balanced_accuracy_interval": self.interval("balanced_accuracy"),
            "macro_f1": self.macro_f1,
            "calibration_error": self.calibration_error,
        }

    def interval(self, figure: Figure) -> tuple[float, float]:
        """The 95 % interval of a figure, by a bootstrap over groups."""
        of_class = self.labels[:, None] == np.unique(self.labels)
        sums = resampled(np.hstack([of_class, of_class & self.right[:, None]]), self.groups)
        photos, right = np.hsplit(sums, 2)
        if figure == "accuracy":
            return percentiles(right.sum(1) / photos.sum(1))
        # a class that no photo of a resample has does not count there
        shares = np.divide(right, photos, out=np.full(photos.shape, np.nan), where=photos > 0)
        return percentiles(np.nanmean(shares, axis=1))


def accuracy(labels: np.ndarray, answers: np.ndarray) -> float:
    """Share of right answers."""
    return float((labels == answers).mean())


def balanced_accuracy(labels: np.ndarray, answers: np.ndarray) -> float:
    """Mean over the classes that occur of the share of right answers."""
    return float(recall_score(labels, answers, labels=np.unique(labels), average="macro"))


def per_class(labels: np.ndarray, answers: np.ndarray, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and photos of each class."""
    columns = precision_recall_fscore_support(labels, answers, labels=range(len(names)), zero_division=0)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {
        name: dict(zip(("precision", "recall", "f1", "photos"), row, strict=True))
        for name, row in zip(names, rows, strict=True)
    }


def macro(table: Mapping[str, Mapping[str, float]], figure: str) -> float:
    """The mean of a figure over the classes of `per_class` that occur; NaN where none does."""
    values = [row[figure] for row in table.values() if row["photos"]]
    return float(np.mean(values)) if values else float("nan")


def calibration(sure: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A row for each of BINS bins that holds photos: their mean probability, the share of right ones, how many."""
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    rows = [(sure[bins == b].mean(), right[bins == b].mean(), (bins == b).sum()) for b in np.unique(bins)]
    return np.array(rows).reshape(-1, 3)


def calibration_error(sure: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error (Naeini et al. 2015): the mean gap between probability and truth, by photos."""
    probability, share, photos = calibration(sure, right).T
    return float(np.average(abs(probability - share), weights=photos))


def coverage(sure: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The risk-coverage curve: share of photos answered, surest first, and share of wrong ones among them."""
    order = np.argsort(-sure, kind="stable")
    n = np.arange(1, len(order) + 1)
    return n / len(order), np.cumsum(~right[order]) / n


def resampled(values: np.ndarray, groups: Sequence[str] | np.ndarray) -> np.ndarray:
    """Sums of the rows of (N, k) over RESAMPLES bootstrap resamples of whole groups: (RESAMPLES, k), seeded.

    A photo of the group "" is a group of its own.
    """
    names = np.asarray(groups, dtype=str)
    alone = np.flatnonzero(names == "")
    names, of = np.unique(names, return_inverse=True)
    of[alone] = len(names) + np.arange(len(alone))
    sums = np.zeros((len(names) + len(alone), values.shape[1]))
    np.add.at(sums, of, values)
    # groups that sum up to the same are the same to a resample: many single photos are a few rows
    rows, times = np.unique(sums[np.unique(of)], axis=0, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(times.sum(), times / times.sum(), RESAMPLES)
    return drawn @ rows


def percentiles(draws: np.ndarray) -> tuple[float, float]:
    """Between which two values the share LEVEL of resamples lies (Efron 1979)."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
