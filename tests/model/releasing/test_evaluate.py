"""The numbers mean what they say, checked against scikit-learn and by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from model.releasing.calibrate import with_reach
from model.releasing.evaluate import (
    as_text,
    compare,
    doubted,
    evaluate,
    in_words,
    judge,
    review,
)
from model.releasing.kinds import by_kind
from model.releasing.pages import worst_mistakes, write_pages
from model.scoring import balanced_accuracy, calibration_error, coverage, per_class
from model.serving.answers import decode, probabilities
from model.serving.classes import HEADS, Limits
from model.training import data
from model.training.familiarity import fit

Make = Callable[..., Path]


def guesses(photos: data.Photos, seed: int, skill: float) -> dict[str, np.ndarray]:
    """Scores that lean towards the labels by `skill`."""
    rng = np.random.default_rng(seed)
    found = {"clothing": np.full(len(photos), 5.0)}
    for head in ("main", "sub", "background", "colour"):
        found[head] = rng.normal(0, 1, (len(photos), len(photos.classes.names(head))))
        found[head][np.arange(len(photos)), photos.labels(head)] += skill
    return found


def test_macro_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    labels, given = rng.integers(0, 4, 300), rng.integers(0, 4, 300)
    table = per_class(labels, given, ("a", "b", "c", "d"))
    wanted = metrics.precision_recall_fscore_support(labels, given)
    for i, row in enumerate(table.values()):
        assert list(row.values()) == pytest.approx([wanted[0][i], wanted[1][i], wanted[2][i], wanted[3][i]])
    assert balanced_accuracy(labels, given) == pytest.approx(metrics.balanced_accuracy_score(labels, given))


def test_a_network_that_is_right_as_often_as_it_says_has_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.3, 1, 100_000)
    assert calibration_error(sure, rng.random(100_000) < sure) < 0.01
    assert calibration_error(np.full(100, 0.95), np.arange(100) < 50) == pytest.approx(0.45)


def test_the_risk_coverage_curve_by_hand() -> None:
    share, wrong = coverage(np.array([0.9, 0.5, 0.7]), np.array([True, False, False]))
    assert share.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert wrong.tolist() == pytest.approx([0, 1 / 2, 2 / 3])


def test_photos_without_a_label_do_not_count(make_photos: Make) -> None:
    photos = data.load(make_photos(each=8), progress=False)
    report = evaluate(probabilities(guesses(photos, 0, 9.0), photos.classes), photos, photos.classes)
    assert report["sub"]["photos"] == 24
    assert report["background"]["photos"] == 21
    assert report["sub"]["score"] == report["sub"]["top3"] == report["sub"]["f1"] == 1.0
    unsure = probabilities(guesses(photos, 1, 1.5), photos.classes)
    low, high = evaluate(unsure, photos, photos.classes)["sub"]["interval"]
    assert 0 < low < high <= 1


def test_review_counts_what_is_filed_and_how_much_of_it_rightly(make_photos: Make) -> None:
    photos = data.load(make_photos(each=8), progress=False)
    probable, sure = judge(guesses(photos, 0, 9.0), photos.classes, 0.97)
    filed = review(probable, sure, photos, photos.classes, 0.97)
    assert filed == {"promised": 0.97, "filed": 1.0, "precision": 1.0}


def test_where_nothing_is_filed_nothing_is_said_to_be_right(make_photos: Make) -> None:
    photos = data.load(make_photos(each=8), progress=False)
    probable, _ = judge(guesses(photos, 0, 9.0), photos.classes, 0.97)
    row = review(probable, np.zeros(24, bool), photos, photos.classes, 0.97)
    assert row["precision"] is None
    assert in_words(row) == "At REVIEW_PRECISION=0.97 no photo would be filed: all would wait for a person."
    assert "50.0% of the photos would be filed without a person, 90.0% of these rightly" in in_words(
        {"promised": 0.9, "filed": 0.5, "precision": 0.9}
    )


def test_a_head_that_was_not_trained_is_not_scored_and_not_drawn(make_photos: Make, tmp_path: Path) -> None:
    photos = data.load(make_photos(each=8), progress=False)
    silent = replace(photos.classes, heads=("main", "sub", "background"))
    scores = guesses(photos, 0, 9.0)
    probable = probabilities(scores, silent)
    report = evaluate(probable, photos, silent)
    assert "colour" not in report
    assert "colour" not in as_text(report)
    written = write_pages(report, probable, photos, silent, tmp_path / "pages")
    assert "colour.png" not in [path.name for path in written]
    assert "colour" not in doubted(scores, silent)
    assert "colour" not in compare(scores, scores, replace(photos, classes=silent), photos)
    assert np.isnan(by_kind(probable, photos, silent, np.ones(24, bool))["photos"]["colour"])


def test_many_photos_are_judged_as_a_night_judges_each(make_photos: Make) -> None:
    photos = data.load(make_photos(each=8), progress=False)
    rng = np.random.default_rng(0)
    scores = guesses(photos, 0, 1.0) | {"features": rng.normal(0, 1, (24, 16)).astype(np.float32)}
    scores["clothing"] = rng.normal(1, 2, 24)
    kinds = np.repeat(["home", "shop"], 12)
    familiar = with_reach(fit(scores["features"], kinds), rng.normal(0, 1, (400, 16)))
    strict = Limits(dict.fromkeys(HEADS, 2.0), {"sub": {0.8: 0.0, 0.97: 0.7}}, {"colour": 0.9})
    mild = {"sub": {0.8: 0.0, 0.97: 0.4}}
    classes = replace(photos.classes, thresholds=mild, offsets={"clothing": 1.0}, kinds={"shop": strict})
    probable, filed = judge(scores, classes, 0.97, familiar)
    answers = decode(scores, classes, review_precision=0.97, familiar=familiar)
    assert filed.tolist() == [not answer.needs_review for answer in answers]
    assert 0 < filed.sum() < 24
    flags = doubted(scores, classes, familiar)
    for head in ("background", "colour"):
        assert flags[head].tolist() == [f"{head} uncertain" in answer.doubts for answer in answers]
    assert 0 < flags["colour"].sum() < 24
    assert probable["sub"].max(1) == pytest.approx([answer.sub.probability for answer in answers])


def test_comparing_finds_the_better_one_and_no_difference_to_itself(make_photos: Make) -> None:
    photos = data.load(make_photos(each=40), progress=False)
    good, poor = guesses(photos, 0, 6.0), guesses(photos, 1, 0.5)
    same = compare(good, good, photos, photos)["sub"]
    assert (same["p"], same["gain_low"], same["gain_high"]) == (1.0, 0.0, 0.0)
    worse = compare(good, poor, photos, photos)["sub"]
    assert worse["p"] < 0.001
    assert worse["gain_high"] < 0


def test_the_worst_mistakes_are_the_surest_wrong_answers() -> None:
    probable = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    assert worst_mistakes(probable, np.array([1, 1, 1, -1])).tolist() == [0, 1]


def test_the_pages_are_written(make_photos: Make, tmp_path: Path) -> None:
    photos = data.load(make_photos(each=8), progress=False)
    scores = guesses(photos, 0, 1.0)
    probable = probabilities(scores, photos.classes)
    written = write_pages(
        evaluate(probable, photos, photos.classes), probable, photos, photos.classes, tmp_path / "out"
    )
    assert [p.name for p in written] == [
        "main.png",
        "sub.png",
        "background.png",
        "colour.png",
        "main-classes.png",
        "sub-classes.png",
        "background-classes.png",
        "colour-classes.png",
        "worst.png",
        "index.html",
    ]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "taken for" in page
    assert all(f'src="{picture.name}"' in page for picture in written[:-2])
    assert all(p.stat().st_size > 1000 for p in written)
