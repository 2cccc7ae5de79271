from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from model.scoring import Scores


def made(truth: list[int], guesses: list[int], groups: list[str] | None = None, sure: float = 0.9) -> Scores:
    classes = ["a", "b", "c"]
    probabilities = np.full((len(truth), 3), (1 - sure) / 2)
    probabilities[np.arange(len(truth)), guesses] = sure
    return Scores(np.array(truth), probabilities, classes, groups or [""] * len(truth))


def test_the_scores_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    truth, guesses = random.integers(0, 3, 200), random.integers(0, 3, 200)
    scores = made(truth.tolist(), guesses.tolist())
    assert scores.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, guesses))
    assert scores.macro_f1 == pytest.approx(f1_score(truth, guesses, average="macro"))
    assert scores.confusion.sum() == 200


def test_a_class_that_does_not_occur_does_not_count() -> None:
    assert made([0, 0, 1], [0, 0, 1]).balanced_accuracy == 1
    assert made([0, 0, 1], [0, 0, 1]).macro_f1 == 1


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    scores = made([0] * 10, [0] * 6 + [1] * 4, sure=0.9)
    assert scores.calibration_error == pytest.approx(0.3)


def test_the_interval_holds_the_score_and_is_wider_for_few_senders() -> None:
    truth, guesses = [0, 1] * 100, [0, 1] * 80 + [1, 0] * 20
    many = made(truth, guesses, [str(i) for i in range(200)])
    few = made(truth, guesses, [str(i // 40) for i in range(200)])
    for scores in (many, few):
        low, high = scores.interval("accuracy")
        assert low <= scores.accuracy <= high
    assert np.ptp(few.interval("accuracy")) > 2 * np.ptp(many.interval("accuracy"))


def test_a_judges_own_threshold_decides() -> None:
    scores = Scores(
        np.array([0, 1]), np.array([[0.4, 0.6], [0.2, 0.8]]), ["a", "b"], ["", ""], np.array([0, 1])
    )
    assert scores.accuracy == 1
    assert scores.confidence.tolist() == [0.4, 0.8]


def test_coverage_is_the_share_that_can_be_answered_that_well() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    scores = Scores(np.array([0, 0, 1, 0]), probabilities, ["a", "b"], [""] * 4)
    assert scores.coverage_at(1.0) == 0.5
    assert scores.coverage_at(0.75) == 1
