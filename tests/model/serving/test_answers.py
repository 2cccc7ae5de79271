"""Scores become answers that never contradict each other, and doubts in plain words."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.serving.answers import decode, probabilities
from model.serving.classes import HEADS, Classes, Limits
from model.serving.familiar import Familiar
from model.training.familiarity import fit

CLASSES = Classes(
    mains=("footwear", "upperwear"),
    subs=("shirt", "shoes", "t-shirt"),
    main_of={"shirt": "upperwear", "shoes": "footwear", "t-shirt": "upperwear"},
    colours=("red", "blue"),
    thresholds={
        "sub": {0.8: 0.0, 0.97: 0.6},
        "main": {0.8: 0.0, 0.97: 0.6},
    },
    doubts={"background": 0.7, "colour": 0.7},
    offsets={"clothing": 1.0},
)

finite = st.floats(-30, 30)


def scores(**heads: list[float]) -> dict[str, np.ndarray]:
    """One photo's scores, everything sure unless said otherwise."""
    sure = {"main": [0, 9], "sub": [9, 0, 0], "background": [9, 0], "colour": [9, 0]}
    found = {head: np.array([heads.get(head, sure[head])], np.float32) for head in HEADS}
    return found | {"clothing": np.array(heads.get("clothing", [5]), np.float32)}


def test_a_sure_photo_has_no_doubts() -> None:
    answer = decode(scores(), CLASSES, review_precision=0.97)[0]
    assert {head: said.name for head, said in answer.answers().items()} == {
        "main": "upperwear",
        "sub": "shirt",
        "background": "acceptable",
        "colour": "red",
    }
    assert (answer.needs_review, answer.review_reason, answer.doubts) == (False, "", "")


def test_an_unsure_sub_category_needs_review_and_says_by_how_much() -> None:
    answer = decode(scores(sub=[1.2, 0, 1.0]), CLASSES, review_precision=0.97)[0]
    assert answer.needs_review
    assert answer.review_reason == "category uncertain (55 %)"
    assert not decode(scores(sub=[1.2, 0, 1.0]), CLASSES, review_precision=0.8)[0].needs_review


def test_two_kinds_that_are_equally_likely_are_named_and_a_person_decides() -> None:
    """However mild the promise: a photo of two garments is the normal case, and either could be meant."""
    answer = decode(scores(sub=[1, 0, 1.0]), CLASSES, review_precision=0.8)[0]
    assert answer.needs_review
    assert answer.review_reason == "two kinds equally likely (shirt 50 % or t-shirt 50 %)"


def looks_like() -> Familiar:
    """Two kinds of photos, which point to either side of (1, 0); a photo 45 degrees off is at the edge, 90 too far."""
    return replace(
        fit(np.array([[5.0, 1], [5, 2], [5, -1], [5, -2]]), np.array(["home", "home", "shop", "shop"])),
        middle=np.zeros(2, np.float32),
        sketches=np.array([[100, 0]] * 6, np.int8),
        sketching=np.eye(2, dtype=np.float32),
        edge=np.array([0.2, 0.2]),
        far=np.array([0.9, 0.9]),
    )


def seen_at(*places: tuple[float, float]) -> dict[str, np.ndarray]:
    """As many photos, each with the same sure scores and the features of its place."""
    many = {head: np.repeat(values, len(places), axis=0) for head, values in scores().items()}
    return many | {"features": np.array(places, np.float32)}


def test_a_photo_unlike_those_of_training_is_doubted_and_one_too_far_goes_to_a_person() -> None:
    answers = decode(seen_at((9, 0), (9, 9), (-9, 0)), CLASSES, review_precision=0.97, familiar=looks_like())
    assert [answer.needs_review for answer in answers] == [False, False, True]
    assert [answer.review_reason for answer in answers] == ["", "", "unlike the photos it learned from"]
    assert [answer.doubts for answer in answers] == ["", "unlike the photos it learned from", ""]


def test_a_release_without_either_is_served_as_before() -> None:
    plain = decode(scores(), CLASSES, review_precision=0.97)
    assert decode(scores(), CLASSES, review_precision=0.97, familiar=looks_like()) == plain
    assert decode(seen_at((-9, 0)), CLASSES, review_precision=0.97) == plain


def test_each_photo_is_judged_by_the_limits_of_its_kind() -> None:
    strict = Limits(
        {**CLASSES.temperatures, "sub": 3.0}, {**CLASSES.thresholds, "sub": {0.8: 0.0, 0.97: 0.999}}
    )
    classes = replace(CLASSES, kinds={"shop": strict})
    found = seen_at((5, 1), (5, -1))
    home, shop = decode(found, classes, review_precision=0.97, familiar=looks_like())
    assert not home.needs_review
    assert shop.needs_review
    assert shop.sub.probability < home.sub.probability


def test_doubts_about_background_and_colour_are_named_and_move_nothing() -> None:
    answer = decode(scores(background=[0.1, 0], colour=[0, 0.1]), CLASSES, review_precision=0.97)[0]
    assert (answer.needs_review, answer.review_reason) == (False, "")
    assert answer.doubts == "background uncertain (52 %), colour uncertain (52 %)"


def test_what_sends_a_photo_to_a_person_and_what_does_not_stand_apart() -> None:
    unsure = scores(sub=[1.2, 0, 1.0], colour=[0, 0.1], clothing=[-3])
    answer = decode(unsure, CLASSES, review_precision=0.97)[0]
    assert answer.review_reason == "may show no clothing (88 %), category uncertain (55 %)"
    assert answer.doubts == "colour uncertain (52 %)"


@given(st.lists(finite, min_size=19, max_size=19))
def test_no_words_hold_a_semicolon_and_each_reason_stands_between_commas(numbers: list[float]) -> None:
    """A spreadsheet that also splits at semicolons must not shift the columns."""
    found = scores(
        sub=numbers[:3],
        main=numbers[3:5],
        background=numbers[5:7],
        colour=numbers[7:9],
        clothing=numbers[9:10],
    )
    answer = decode(found, CLASSES, review_precision=0.97)[0]
    for text in (answer.review_reason, answer.doubts):
        assert ";" not in text
        assert all(
            re.match(
                "may show|two kinds|(main )?category uncertain|background uncertain|colour uncertain", part
            )
            for part in filter(None, text.split(", "))
        )
    assert answer.needs_review == bool(answer.review_reason)


def test_a_head_that_was_not_trained_answers_nothing_and_has_no_doubts() -> None:
    silent = replace(CLASSES, heads=("main", "sub", "colour"))
    answer = decode(scores(background=[0.1, 0]), silent, review_precision=0.97)[0]
    assert answer.background is None
    assert list(answer.answers()) == ["main", "sub", "colour"]
    assert answer.doubts == ""


def test_what_may_be_no_clothing_needs_review() -> None:
    answer = decode(scores(clothing=[-3]), CLASSES, review_precision=0.97)[0]
    assert answer.needs_review
    assert answer.review_reason == "may show no clothing (88 %)"


@given(
    st.lists(finite, min_size=3, max_size=3), st.lists(finite, min_size=2, max_size=2), st.floats(0.05, 10)
)
def test_main_and_sub_never_contradict_each_other(
    sub: list[float], main: list[float], temperature: float
) -> None:
    warm = replace(CLASSES, temperatures=dict.fromkeys(HEADS, temperature))
    answer = decode(scores(sub=sub, main=main), warm, review_precision=0.97)[0]
    assert answer.main.name == warm.main_of[answer.sub.name]
    together = sum(
        p for name, p in answer.sub.probabilities.items() if warm.main_of[name] == answer.main.name
    )
    assert answer.main.probability == pytest.approx(together)
    assert answer.main.probability >= answer.sub.probability - 1e-9
    for head in HEADS:
        assert sum(getattr(answer, head).probabilities.values()) == pytest.approx(1)


def test_the_main_head_helps_to_choose_the_sub_category() -> None:
    alone = scores(sub=[1.0, 1.1, 0], main=[0, 0])
    helped = scores(sub=[1.0, 1.1, 0], main=[0, 2])
    assert decode(alone, CLASSES, review_precision=0.8)[0].sub.name == "shoes"
    assert decode(helped, CLASSES, review_precision=0.8)[0].sub.name == "shirt"


def test_a_temperature_makes_answers_less_sure_and_changes_none() -> None:
    cold = probabilities(scores(sub=[2, 1, 0]), CLASSES)["sub"][0]
    warm = probabilities(scores(sub=[2, 1, 0]), replace(CLASSES, temperatures=dict.fromkeys(HEADS, 3.0)))[
        "sub"
    ][0]
    assert warm.max() < cold.max()
    assert list(np.argsort(warm)) == list(np.argsort(cold))


@given(st.lists(finite, min_size=2, max_size=2), st.floats(-5, 5), st.floats(0.05, 10))
def test_a_backgrounds_probability_is_that_of_the_answer_beside_it(
    background: list[float], offset: float, temperature: float
) -> None:
    """Whatever the calibration: with two classes no answer is less likely than a coin's."""
    told = replace(
        CLASSES,
        offsets={"background": offset},
        temperatures=dict.fromkeys(HEADS, temperature),
    )
    answer = decode(scores(background=background), told, review_precision=0.8)[0].background
    assert answer is not None
    assert answer.probability == answer.probabilities[answer.name] >= 0.5


def test_an_offset_moves_what_the_scores_say_of_two_classes() -> None:
    told = replace(CLASSES, offsets={"background": -2.0})
    answer = decode(scores(background=[1, 0]), told, review_precision=0.8)[0].background
    assert answer is not None
    assert answer.name == "unacceptable"
    assert answer.probability == pytest.approx(1 / (1 + np.exp(-1)))


def test_the_top_three_come_best_first() -> None:
    top = decode(scores(sub=[0, 2, 1], main=[0, 0]), CLASSES, review_precision=0.8)[0].sub.top(2)
    assert [name for name, _ in top] == ["shoes", "t-shirt"]
