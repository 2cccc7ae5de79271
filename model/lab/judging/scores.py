"""How good answers are: one set of scores for every model, classical or network.

scores = score(truth, probabilities, classes, groups)
scores.balanced_accuracy, scores.interval("balanced_accuracy")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

Codes = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]

RESAMPLES: Final = 2000
"""Bootstrap resamples behind a confidence interval."""

BINS: Final = 10
"""Bins of confidence, of equal width, in the calibration figures."""


@dataclass(frozen=True)
class Scores:
    """Answers to the truths `truth` (n), as places in `classes`, with probabilities (n, classes).

    `chosen` (n) are the answers where a judge decides otherwise than by the likeliest class (a threshold of its own).
    `groups` (n) are the senders: photos of one sender resemble one another, so intervals resample whole senders.
    """

    truth: Codes
    probabilities: Probabilities
    classes: Sequence[str]
    groups: Sequence[str]
    chosen: Codes | None = None

    @cached_property
    def guesses(self) -> Codes:
        """The chosen class of each photo."""
        return np.asarray(self.probabilities.argmax(1), np.int64) if self.chosen is None else self.chosen

    @property
    def confidence(self) -> Probabilities:
        """The chosen class's probability."""
        taken: Probabilities = np.take_along_axis(self.probabilities, self.guesses[:, None], 1)[:, 0]
        return taken

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float((self.guesses == self.truth).mean())

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the recalls of the classes that occur."""
        return _balanced(self.truth, self.guesses, len(self.classes))

    @property
    def macro_f1(self) -> float:
        """The mean of the F1 of the classes that occur."""
        return float(self.per_class["f1"][self.per_class["photos"] > 0].mean())

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """Precision, recall, F1 and the number of photos of each class."""
        places = list(range(len(self.classes)))
        figures = precision_recall_fscore_support(self.truth, self.guesses, labels=places, zero_division=0)
        return pd.DataFrame(
            dict(zip(("precision", "recall", "f1", "photos"), figures, strict=True)), list(self.classes)
        )

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """Counts, (truth, guess)."""
        counts: npt.NDArray[np.int64] = confusion_matrix(
            self.truth, self.guesses, labels=list(range(len(self.classes)))
        )
        return counts

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """By bins of confidence: mean confidence, accuracy, and the number of photos."""
        confidence = self.confidence
        bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
        table = pd.DataFrame({"bin": bins, "confidence": confidence, "right": self.guesses == self.truth})
        grouped = table.groupby("bin")
        return pd.DataFrame(
            {
                "confidence": grouped["confidence"].mean(),
                "accuracy": grouped["right"].mean(),
                "photos": grouped.size(),
            }
        )

    @property
    def calibration_error(self) -> float:
        """Expected calibration error (Naeini et al. 2015): the bins' mean |confidence - accuracy|, by their photos."""
        table = self.calibration
        gaps = (table["confidence"] - table["accuracy"]).abs()
        return float((gaps * table["photos"]).sum() / table["photos"].sum())

    def coverage_at(self, accuracy: float) -> float:
        """Return the largest share of photos, the most confident first, that are right at least this often."""
        order = np.argsort(-self.confidence, kind="stable")
        right = (self.guesses == self.truth)[order]
        kept = np.flatnonzero(np.cumsum(right) / np.arange(1, len(right) + 1) >= accuracy)
        return float((kept[-1] + 1) / len(right)) if len(kept) else 0.0

    def interval(self, figure: str, level: float = 0.95) -> tuple[float, float]:
        """Return the bootstrap confidence interval of `accuracy` or `balanced_accuracy` (percentiles; Efron 1979).

        Whole groups are drawn with replacement where there are groups, single photos where there are none.
        """
        draws = [self._figure(figure, chosen) for chosen in self._resamples()]
        low, high = np.nanpercentile(draws, [50 * (1 - level), 50 * (1 + level)])
        return float(low), float(high)

    def summary(self) -> dict[str, Any]:
        """Return the scores as plain numbers, for JSON and tables."""
        return {
            "photos": len(self.truth),
            "accuracy": self.accuracy,
            "accuracy_interval": self.interval("accuracy"),
            "balanced_accuracy": self.balanced_accuracy,
            "balanced_accuracy_interval": self.interval("balanced_accuracy"),
            "macro_f1": self.macro_f1,
            "calibration_error": self.calibration_error,
        }

    def _figure(self, figure: str, chosen: Codes) -> float:
        truth, guesses = self.truth[chosen], self.guesses[chosen]
        if figure == "accuracy":
            return float((truth == guesses).mean())
        return _balanced(truth, guesses, len(self.classes))

    def _resamples(self) -> list[Codes]:
        random = np.random.default_rng(0)
        names = np.asarray(self.groups)
        grouped = len(set(self.groups)) > 1
        members = [np.flatnonzero(names == name) for name in sorted(set(self.groups))] if grouped else []
        if not grouped:
            return [random.integers(0, len(names), len(names)) for _ in range(RESAMPLES)]
        picks = random.integers(0, len(members), (RESAMPLES, len(members)))
        return [np.concatenate([members[place] for place in row]) for row in picks]


def _balanced(truth: Codes, guesses: Codes, classes: int) -> float:
    counts = np.bincount(truth, minlength=classes)
    hits = np.bincount(truth[truth == guesses], minlength=classes)
    present = counts > 0
    return float((hits[present] / counts[present]).mean())
