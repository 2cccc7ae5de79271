"""Probabilities are honest and thresholds keep their promise, on photos that nobody has seen."""

from dataclasses import replace

import numpy as np
import pytest

from model.releasing.calibrate import DOUBTED_BELOW, PRECISIONS, calibrate, keep_promises
from model.releasing.evaluate import doubted
from model.scoring import calibration_error
from model.serving.answers import probabilities
from model.serving.classes import Classes
from model.training.labels import UNKNOWN

CLASSES = Classes(
    mains=("footwear", "upperwear"),
    subs=("shirt", "shoes", "t-shirt"),
    main_of={"shirt": "upperwear", "shoes": "footwear", "t-shirt": "upperwear"},
    colours=("red", "blue"),
)


def world(
    n: int, seed: int, overconfidence: float = 1.0
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Scores whose softmax is the truth, exaggerated `overconfidence` times; every head and n photos."""
    rng = np.random.default_rng(seed)
    scores, labels = {}, {}
    for head, classes in (("sub", 3), ("background", 2), ("colour", 2)):
        logits = rng.normal(0, 2.5, (n, classes))
        truth = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        labels[head] = (truth.cumsum(1) < rng.random((n, 1))).sum(1).clip(0, classes - 1)
        scores[head] = logits * overconfidence
    scores["main"] = np.zeros((n, 2))
    labels["main"] = np.array([1, 0, 1])[labels["sub"]]
    scores["clothing"] = rng.normal(3, 1, n)
    return scores, labels


def test_an_overconfident_network_is_cooled() -> None:
    fitted = calibrate(CLASSES, *world(4000, 0, overconfidence=3.0))
    assert fitted.temperatures["sub"] == pytest.approx(3, rel=0.1)
    assert fitted.temperatures["colour"] == pytest.approx(3, rel=0.15)


def test_the_promise_is_kept_on_new_photos_on_average() -> None:
    """Over many worlds, what thresholds chosen on 600 photos file of fresh ones is right as often as promised."""
    precisions = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sure, fresh = rng.beta(4, 1, 600), rng.beta(4, 1, 20_000)
        limit = keep_promises(sure, rng.random(600) < sure**0.3)[0.95]
        filed = fresh >= limit
        assert filed.mean() > 0.3
        precisions.append((fresh**0.3)[filed].mean())
    assert np.mean(precisions) >= 0.95


def test_a_strict_promise_files_less_than_a_mild_one() -> None:
    table = calibrate(CLASSES, *world(4000, 1)).thresholds["sub"]
    assert list(table) == list(PRECISIONS)
    assert list(table.values()) == sorted(table.values())
    assert table[0.80] < table[0.97]


def test_a_promise_that_few_photos_cannot_show_files_nothing() -> None:
    assert keep_promises(np.full(20, 0.99), np.ones(20, bool))[0.99] > 1


def test_answers_that_are_always_right_are_all_filed() -> None:
    sure = np.linspace(0.3, 1, 500)
    assert keep_promises(sure, np.ones(500, bool))[0.97] == pytest.approx(0.3)


def test_a_photo_that_stands_for_many_counts_for_many_and_unequal_ones_say_less() -> None:
    rng = np.random.default_rng(0)
    sure = rng.beta(4, 1, 3000)
    right = rng.random(3000) < sure**0.3
    even, heavy = np.full(3000, 7.0), np.where(right, 1.0, 3.0)
    assert keep_promises(sure, right, weights=even) == keep_promises(sure, right)
    assert keep_promises(sure, right, weights=heavy)[0.95] > keep_promises(sure, right)[0.95]
    few = np.where(np.arange(3000) % 100, 1e-4, 1.0)  # thirty photos stand for nearly all
    assert keep_promises(sure, np.ones(3000, bool), weights=few)[0.97] > 1


def test_backgrounds_are_calibrated_for_a_half_and_half_mixture() -> None:
    """One photo in twenty is acceptable where it is calibrated; where every second one is, probabilities are right."""
    rng = np.random.default_rng(0)

    def photos(n: int, share: float) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        scores, labels = world(n, 11)
        labels["background"] = (rng.random(n) > share).astype(int)
        gap = np.where(labels["background"] == 0, -1.0, -4.0) + rng.logistic(0, 1.0, n)
        scores["background"] = np.stack([gap * 1.7, np.zeros(n)], 1)
        return scores, labels

    fitted = calibrate(CLASSES, *photos(6000, 0.05))
    fresh, labels = photos(20_000, 0.5)
    probable = probabilities(fresh, fitted)["background"].max(1)
    right = probabilities(fresh, fitted)["background"].argmax(1) == labels["background"]
    assert probable.mean() == pytest.approx(right.mean(), abs=0.02)
    assert calibration_error(probable, right) < 0.03


def test_what_divides_the_background_forgets_the_prior() -> None:
    """One photo in twenty is acceptable, at probabilities around 0.3: 0.5 must come down to them."""
    rng = np.random.default_rng(0)
    scores, labels = world(2000, 2)
    labels["background"] = (rng.random(2000) > 0.05).astype(int)
    gap = np.where(labels["background"] == 0, rng.normal(-0.8, 0.4, 2000), rng.normal(-3, 0.6, 2000))
    scores["background"] = np.stack([gap, np.zeros(2000)], 1)
    fitted = calibrate(CLASSES, scores, labels)
    acceptable = probabilities(scores, fitted)["background"][:, 0] >= 0.5
    good = labels["background"] == 0
    assert (acceptable[good].mean() + (~acceptable[~good]).mean()) / 2 > 0.97


def test_many_easy_photos_of_one_kind_do_not_set_the_backgrounds_threshold_of_another() -> None:
    """A shop's backgrounds are surely white; the acceptable ones at home, a tenth as many, are so at 0.2 only."""
    rng = np.random.default_rng(0)
    scores, labels = world(2200, 7)
    kinds = np.where(np.arange(2200) < 2000, "shop", "home")
    good = np.where(kinds == "shop", np.arange(2200) % 20 > 0, np.arange(2200) % 2 > 0)
    labels["background"] = np.where(good, 0, 1)
    bad = np.where((kinds == "shop") & (np.arange(2200) % 40 == 0), -1.2, -6.0)
    middle = np.where(good, np.where(kinds == "shop", 6.0, -1.5), bad)
    scores["background"] = np.stack([middle + rng.normal(0, 0.2, 2200), np.zeros(2200)], 1)
    fitted = calibrate(CLASSES, scores, labels, kinds=kinds)
    acceptable = probabilities(scores, fitted)["background"][:, 0] >= 0.5
    assert acceptable[(kinds == "home") & good].mean() > 0.9


def test_photos_without_a_label_do_not_count() -> None:
    scores, labels = world(1000, 3)
    half = {head: values.copy() for head, values in labels.items()}
    for head in ("background", "colour"):
        half[head][::2] = UNKNOWN
    only = calibrate(
        CLASSES, {h: v[1::2] for h, v in scores.items()}, {h: v[1::2] for h, v in labels.items()}
    )
    assert calibrate(CLASSES, scores, half).temperatures["colour"] == pytest.approx(
        only.temperatures["colour"]
    )


def test_a_head_without_labels_promises_nothing() -> None:
    scores, labels = world(500, 4)
    labels["colour"][:] = labels["background"][:] = UNKNOWN
    fitted = calibrate(replace(CLASSES, doubts={"colour": 0.55}), scores, labels)
    assert fitted.temperatures["colour"] == CLASSES.temperatures["colour"]
    assert fitted.doubts["colour"] == 0.55  # what it had before


def test_answers_without_a_doubt_keep_their_heads_promise() -> None:
    scores, labels = world(6000, 8)
    labels["background"][:] = UNKNOWN
    fitted = calibrate(CLASSES, scores, labels)
    fresh, truth = world(20_000, 9)
    probable = probabilities(fresh, fitted)["colour"]
    free = probable.max(1) >= fitted.doubts["colour"]
    assert 0.7 <= free.mean() < 0.95
    assert (probable.argmax(1) == truth["colour"])[free].mean() >= DOUBTED_BELOW["colour"]


def test_no_more_than_a_third_of_the_photos_have_a_doubt_whatever_was_promised() -> None:
    """Colours are right half of the time at best, and no threshold keeps the promise: the share wins."""
    scores, labels = world(3000, 10)
    rng = np.random.default_rng(1)
    labels["colour"] = rng.integers(0, 2, 3000)
    labels["background"] = np.where(rng.random(3000) < 0.2, 1 - labels["background"], labels["background"])
    fitted = calibrate(CLASSES, scores, labels)
    fresh, _ = world(20_000, 11)
    some = np.any(list(doubted(fresh, fitted).values()), axis=0)
    assert 0.24 < some.mean() <= 1 / 3


def test_what_photos_without_clothing_say_counts_where_there_are_some() -> None:
    scores, labels = world(2000, 12)
    labels["clothing"] = (np.arange(2000) % 10 > 0).astype(int)
    scores["clothing"] = np.where(labels["clothing"], 6.0, 2.0) + np.random.default_rng(0).normal(
        0, 0.5, 2000
    )
    fitted = calibrate(CLASSES, scores, labels)
    suspected = probabilities(scores, fitted)["clothing"] < 0.5
    assert (suspected == (labels["clothing"] == 0)).mean() > 0.99


def test_few_clothing_photos_are_suspected_to_show_none() -> None:
    scores, labels = world(1000, 5)
    fitted = calibrate(CLASSES, scores, labels)
    suspected = probabilities(scores, fitted)["clothing"] < 0.5
    assert 0.02 < suspected.mean() <= 0.041
