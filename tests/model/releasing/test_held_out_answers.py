"""Two releases are compared photo by photo, and only what chance does not explain counts as worse."""

from collections.abc import Callable
from math import comb
from pathlib import Path

import numpy as np
import pytest

from model.releasing.held_out_answers import HeldOutPhoto, compare, in_common, p_worse, read, write
from model.serving.answers import HeadAnswer, Prediction
from model.serving.classes import HEADS, Classes
from model.training.data import load

ONE_BY_ONE = np.arange(1000).astype(str)


def photo(label: str, answer: str, group: str = "", head: str = "sub") -> HeldOutPhoto:
    return HeldOutPhoto(group, "shop", {head: label} if label else {}, {head: answer}, {head: 0.9})


def change(gained: int, lost: int, same: int = 0) -> np.ndarray:
    return np.array([1.0] * gained + [-1.0] * lost + [0.0] * same)


@pytest.mark.parametrize(("gained", "lost"), [(5, 5), (3, 12), (0, 8), (10, 25)])
def test_for_photos_that_stand_for_themselves_it_is_mcnemars_exact_test(gained: int, lost: int) -> None:
    n = gained + lost
    exact = sum(comb(n, k) for k in range(gained + 1)) / 2**n
    assert p_worse(change(gained, lost, 30), ONE_BY_ONE[: n + 30]) == pytest.approx(exact, abs=0.015)


def test_photos_of_one_sender_are_not_independent() -> None:
    lost = change(0, 40, 60)
    one_sender_lost_all = np.concatenate([["0"] * 40, ONE_BY_ONE[1:61]])
    assert p_worse(lost, ONE_BY_ONE[:100]) < 0.001
    assert p_worse(lost, one_sender_lost_all) > 0.3


def test_of_few_senders_photos_count_one_by_one() -> None:
    assert p_worse(change(0, 40, 60), np.repeat(["a", "b"], 50)) < 0.001


def test_without_any_change_nothing_is_worse() -> None:
    assert p_worse(change(0, 0, 50), ONE_BY_ONE[:50]) == 1
    assert p_worse(change(20, 0), ONE_BY_ONE[:20]) == 1


def test_releases_that_are_equally_good_are_seldom_called_worse() -> None:
    rng = np.random.default_rng(1)
    found = [p_worse(rng.choice([-1.0, 0.0, 1.0], 200), np.arange(200) // 4) for _ in range(200)]
    assert np.mean(np.array(found) <= 0.05) <= 0.1


def test_only_photos_that_both_hold_out_and_that_are_labelled_count() -> None:
    new = {"a": photo("dress", "dress"), "b": photo("", "hat"), "c": photo("hat", "hat")}
    old = {"a": photo("dress", "hat"), "b": photo("hat", "hat"), "d": photo("hat", "hat")}
    assert in_common(new, old, HEADS) == 1
    row = compare(new, old, HEADS)["sub"]
    assert (row.photos, row.new, row.old) == (1, 1.0, 0.0)


def test_a_head_that_one_of_them_does_not_answer_is_not_compared() -> None:
    new, old = {"a": photo("red", "red", head="colour")}, {"a": photo("dress", "dress")}
    assert compare(new, old, HEADS) == {}
    assert in_common(new, old, HEADS) == 0


def test_backgrounds_count_by_class() -> None:
    """One that always says the more frequent class is right often, and worth nothing."""
    labels = ["unacceptable"] * 90 + ["acceptable"] * 10
    always = {str(i): photo(label, "unacceptable", head="background") for i, label in enumerate(labels)}
    right = {str(i): photo(label, label, head="background") for i, label in enumerate(labels)}
    row = compare(always, right, HEADS)["background"]
    assert row.new == pytest.approx(0.5)
    assert row.old == pytest.approx(1.0)


def test_what_is_written_is_read_again_without_anybodys_name(
    make_photos: Callable[..., Path], tmp_path: Path
) -> None:
    photos = load(make_photos(), progress=False)
    classes: Classes = photos.classes
    predictions = []
    for i in range(len(photos)):
        sub = classes.subs[i % len(classes.subs)]
        answers = {"sub": sub, "main": classes.main_of[sub], "background": "acceptable"}
        told = {head: HeadAnswer(name, 0.75, {name: 0.75}) for head, name in answers.items()}
        predictions.append(
            Prediction(
                told["main"], told["sub"], told["background"], None, needs_review=False, review_reason=""
            )
        )
    write(tmp_path, photos, predictions)
    kept = read(tmp_path)
    assert set(kept) == set(photos.sha256)
    first = kept[str(photos.sha256[0])]
    assert first.labels["sub"] == classes.subs[photos.sub[0]]
    assert first.answers == {
        "main": classes.main_of[classes.subs[0]],
        "sub": classes.subs[0],
        "background": "acceptable",
    }
    assert first.probabilities["sub"] == 0.75
    assert "background" not in first.labels  # labels.csv has a question mark there
    assert len({one.group for one in kept.values()}) == len(set(photos.groups()))
    for sender in set(photos.group):
        assert sender not in (tmp_path / "held_out.csv").read_text("utf-8")


def test_a_release_without_the_file_has_no_held_out_photos(tmp_path: Path) -> None:
    assert read(tmp_path) == {}
    assert compare({"a": photo("dress", "dress")}, {}, HEADS) == {}
