"""Figures of an evaluation: what scikit-learn and a plain bootstrap say, too."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from model.scoring import Scores, calibration_error, percentiles, resampled


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


def test_a_photo_without_a_sender_stands_for_itself() -> None:
    truth, guesses = [0, 1] * 50, [0, 1] * 40 + [1, 0] * 10
    alone = made(truth, guesses, [""] * 100)
    named = made(truth, guesses, [str(i) for i in range(100)])
    assert alone.interval("balanced_accuracy") == named.interval("balanced_accuracy")


def test_the_interval_is_that_of_a_bootstrap_which_draws_sender_by_sender() -> None:
    random = np.random.default_rng(3)
    groups = random.integers(0, 30, 400)
    right = random.random(400) < 0.6 + 0.01 * groups
    sums = resampled(np.stack([right, np.ones(400)], axis=1), groups.astype(str))
    low, high = percentiles(sums[:, 0] / sums[:, 1])
    members = [right[groups == group] for group in range(30)]
    plain = [np.concatenate([members[i] for i in random.integers(0, 30, 30)]).mean() for _ in range(4000)]
    assert (low, high) == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.012)


def test_a_bin_of_the_calibration_error_counts_by_its_photos() -> None:
    sure = np.array([0.99] * 90 + [0.5] * 10)
    right = np.array([True] * 90 + [False] * 10)
    assert calibration_error(sure, right) == pytest.approx(0.9 * 0.01 + 0.1 * 0.5)
