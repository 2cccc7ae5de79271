"""Nights that differ: found when they do, and no more false alarms than stated when they do not."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

import model.serving.familiar
from batch.reporting import drift, health
from batch.reporting.summary import Summary
from tests.batch.conftest import Night
from tests.fake_sidecar import photo

CLASSES = ["dress", "pants", "shirt", "shoes", "t-shirt"]


def a_night(
    random: np.random.Generator, *, brightness: float = 150, sure: float = 8, shoes: float = 1
) -> Summary:
    """Photos that are no independent draws: each night has its own mix and its own light."""
    photos = int(random.lognormal(5, 0.7)) + drift.PHOTOS_NEEDED
    mix = random.dirichlet(30 * np.array([1, 1, 1, shoes, 1]) / (4 + shoes))
    light = random.normal(brightness, 10)
    bright = np.clip(random.normal(light, 30, photos) / 8, 0, 31).astype(int)
    certain = np.clip(random.beta(random.normal(sure, 0.5), 1.2, photos) * 20, 0, 19).astype(int)
    sizes = np.clip(2 * np.log2(random.lognormal(random.normal(13, 0.1), 0.5, photos)), 0, 63).astype(int)
    return Summary(
        statuses={"processed": photos},
        categories={"all": dict(zip(CLASSES, map(int, random.multinomial(photos, mix)), strict=True))},
        backgrounds={"all": {"acceptable": photos // 2, "unacceptable": photos - photos // 2}},
        colours={"red": photos},
        confidence=[int(n) for n in np.bincount(certain, minlength=20)],
        brightness=[int(n) for n in np.bincount(bright, minlength=32)],
        contrast=[int(n) for n in np.bincount(bright // 2, minlength=32)],
        sizes=[int(n) for n in np.bincount(sizes, minlength=64)],
        releases={"r1": photos},
    )


def dated(nights: list[Summary]) -> list[tuple[date, Summary]]:
    first = date(2026, 1, 1)
    return [(first + timedelta(days=number), night) for number, night in enumerate(nights)]


def verdict_of(nights: list[Summary], unusual: drift.Unusual | None = None) -> drift.Verdict:
    return drift.judge(dated(nights), unusual or {})


@pytest.mark.parametrize("earlier", [19, 40])
def test_quiet_nights_are_called_unusual_no_more_often_than_stated(earlier: int) -> None:
    random = np.random.default_rng(earlier)
    trials = 300
    alarms = sum(verdict_of([a_night(random) for _ in range(earlier + 1)]).is_unusual for _ in range(trials))
    # three standard deviations of luck above the stated rate
    assert alarms / trials <= drift.FALSE_ALARMS + 3 * (0.05 * 0.95 / trials) ** 0.5
    assert alarms > 0  # a test that never rings would pass, too


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"brightness": 90}, "Photos are darker than usual"),
        ({"sure": 3}, "The model is less sure than usual"),
        ({"shoes": 12}, "More photos of the category “shoes” than usual"),
    ],
)
def test_a_real_change_is_noticed_and_named(change: dict[str, float], words: str) -> None:
    random = np.random.default_rng(1)
    found = 0
    for _ in range(20):
        verdict = verdict_of([*(a_night(random) for _ in range(59)), a_night(random, **change)])
        found += verdict.is_unusual and any(words in sentence for sentence in verdict.sentences)
    assert found >= 18


def test_a_change_that_stays_is_dated_and_does_not_hide_itself() -> None:
    random = np.random.default_rng(2)
    nights = [a_night(random) for _ in range(25)]
    unusual: dict[date, list[str]] = {}
    for _ in range(5):
        nights.append(a_night(random, brightness=80))
        verdict = verdict_of(nights, unusual)
        assert verdict.is_unusual
        unusual[dated(nights)[-1][0]] = verdict.measures
    assert verdict.since == dated(nights)[25][0]
    assert any("since Mon 26 Jan" in sentence for sentence in verdict.sentences)


def test_too_few_nights_or_too_few_photos_say_nothing() -> None:
    random = np.random.default_rng(3)
    nights = [a_night(random) for _ in range(drift.NIGHTS_NEEDED)]
    assert verdict_of(nights).rank is None
    tiny = Summary(statuses={"processed": drift.PHOTOS_NEEDED - 1})
    assert verdict_of([*nights, tiny]).rank is None
    assert verdict_of([*nights, a_night(random)]).rank is not None


def test_a_new_release_is_compared_by_the_pixels_alone() -> None:
    random = np.random.default_rng(4)
    nights = [a_night(random) for _ in range(30)]
    changed = a_night(random, sure=3, shoes=12)
    changed.releases = {"r2": changed.predicted}
    unsure = verdict_of([*nights, changed])
    assert not any("sure" in sentence or "shoes" in sentence for sentence in unsure.sentences)
    dark = a_night(random, brightness=80)
    dark.releases = {"r2": dark.predicted}
    assert verdict_of([*nights, dark]).is_unusual


def test_two_samples_of_one_mix_are_told_apart_as_rarely_as_the_level_says() -> None:
    random = np.random.default_rng(5)
    mix = [0.1, 0.2, 0.3, 0.4]
    small = sum(
        drift.p_of_mix(
            random.multinomial(200, mix).astype(float), random.multinomial(300, mix).astype(float), 499
        )
        <= 0.05
        for _ in range(400)
    )
    assert small / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
    assert drift.p_of_mix(np.array([100.0, 100]), np.array([150.0, 50]), 999) == pytest.approx(0.001)


def metrics_file(tmp_path: Path, **photos: int) -> Path:
    path = tmp_path / "metrics.json"
    classes = {name: {"photos": count} for name, count in photos.items()}
    path.write_text(json.dumps({"scores": {"sub": {"classes": classes, "accuracy": 0.9}}}))
    return path


def sure_by(mean: float, photos: int = 100) -> list[int]:
    """A histogram of confidence with all photos at about this value."""
    return [photos if bin_ == int(mean * 20) else 0 for bin_ in range(20)]


def test_other_goods_than_the_release_was_measured_on_are_told(tmp_path: Path) -> None:
    tested = metrics_file(tmp_path, dress=50, shoes=50)
    sure = sure_by(0.9)
    alike = Summary(
        statuses={"processed": 100}, categories={"all": {"dress": 48, "shoes": 52}}, confidence=sure
    )
    other = Summary(
        statuses={"processed": 100}, categories={"all": {"dress": 5, "shoes": 95}}, confidence=sure
    )
    assert drift.against_release(alike, tested) == []
    (sentence,) = drift.against_release(other, tested)
    assert "dress: 5 % of the photos here, 50 % there" in sentence
    assert drift.against_release(other, tmp_path / "none.json") == []


@pytest.mark.parametrize(
    ("mean", "photos", "told"), [(0.6, 100, True), (0.85, 5000, False), (0.77, 40, True)]
)
def test_far_less_certainty_than_the_release_was_right_is_told(
    tmp_path: Path, mean: float, photos: int, told: bool
) -> None:
    tested = metrics_file(tmp_path, dress=500, shoes=500)
    half = {"dress": photos // 2, "shoes": photos - photos // 2}
    seen = Summary(statuses={"processed": photos}, categories={"all": half}, confidence=sure_by(mean, photos))
    assert bool(drift.against_release(seen, tested)) == told


def unlike_training(tmp_path: Path, photos: int, *, far: int = 0, edge: int = 0) -> str:
    path = tmp_path / "metrics.json"
    told = {"held_out": {"unlike": {"share": 0.08, "photos": 100, "false_alarms": 0.01}}}
    path.write_text(json.dumps(told))
    seen = Summary(
        statuses={"processed": photos - far, "review": far},
        reasons={drift.UNLIKE: far},
        doubts={drift.UNLIKE: edge},
    )
    return drift.unlike_training(seen, path)


def test_a_night_of_photos_unlike_those_of_training_says_so_and_how_often_that_is_a_mistake(
    tmp_path: Path,
) -> None:
    assert drift.UNLIKE == model.serving.familiar.UNLIKE
    sentence = unlike_training(tmp_path, 200, far=20, edge=30)
    assert "25 % of the photos are unlike those that the release learned from" in sentence
    assert "1 % have more than 8 %" in sentence
    assert unlike_training(tmp_path, 200, far=6, edge=10) == ""
    assert unlike_training(tmp_path, 99, far=50) == ""  # too few to tell


def test_a_release_that_does_not_know_its_training_photos_says_nothing_of_a_night(tmp_path: Path) -> None:
    seen = Summary(statuses={"review": 200}, reasons={drift.UNLIKE: 200})
    assert drift.unlike_training(seen, metrics_file(tmp_path, dress=50)) == ""
    assert drift.unlike_training(seen, tmp_path / "none.json") == ""


def test_a_night_unlike_training_stands_in_the_report_and_in_health(
    make_night: Callable[..., Night], tmp_path: Path
) -> None:
    night = make_night(model_dir=tmp_path)
    (tmp_path / "fake-1").mkdir()
    told = {"held_out": {"unlike": {"share": 0.02, "photos": 30, "false_alarms": 0.01}}}
    (tmp_path / "fake-1" / "metrics.json").write_text(json.dumps(told))
    for number in range(40):
        night.drop(
            f"{number}.jpg", photo(str(number), sub="shoes", doubts=drift.UNLIKE if number < 4 else "")
        )
    night.run()
    sentence = "of the photos are unlike those that the release learned from"
    assert sentence in (night.settings.reports / "latest.html").read_text("utf-8")
    (finding,) = [f for f in health.findings(night.settings) if f.name == "unlike training"]
    assert finding.level == health.WARNING
    assert sentence in finding.text


def test_a_night_keeps_its_verdict_and_reports_it(make_night: Callable[..., Night], tmp_path: Path) -> None:
    night = make_night(model_dir=tmp_path)
    (tmp_path / "fake-1").mkdir()
    metrics_file(tmp_path / "fake-1", pants=100, shoes=100)
    for number in range(40):
        night.drop(f"{number}.jpg", photo(str(number), sub="shoes"))
    night.run()
    page = (night.settings.reports / "latest.html").read_text("utf-8")
    assert "Other goods than the release was measured on" in page


def test_each_measure_is_dated_by_its_own_beginning() -> None:
    random = np.random.default_rng(6)
    nights = [a_night(random) for _ in range(40)]
    unusual: dict[date, list[str]] = {}
    for number in range(4):  # dark from the first, other goods from the third night on
        nights.append(a_night(random, brightness=60, shoes=40 if number >= 2 else 1))
        verdict = verdict_of(nights, unusual)
        unusual[dated(nights)[-1][0]] = verdict.measures
    first = dated(nights)[40][0]
    dark = next(sentence for sentence in verdict.sentences if "darker" in sentence)
    goods = next(sentence for sentence in verdict.sentences if "shoes" in sentence)
    assert f"since {first:%a %d %b}" in dark
    assert f"since {first + timedelta(days=2):%a %d %b}" in goods
    assert verdict.since == first


def test_where_nobody_wrote_down_what_was_unusual_no_beginning_is_claimed() -> None:
    random = np.random.default_rng(7)
    nights = [a_night(random) for _ in range(30)] + [a_night(random, brightness=60) for _ in range(3)]
    old = {night: None for night, _ in dated(nights)[30:32]}
    verdict = verdict_of(nights, old)
    assert any("darker" in sentence for sentence in verdict.sentences)
    assert not any("since" in sentence for sentence in verdict.sentences)


def shown(sentence: str) -> tuple[str, str]:
    """The two values that a sentence compares."""
    inside = sentence[sentence.rindex("(") + 1 : sentence.rindex(")")]
    here, there = inside.removeprefix("mean ").removeprefix("typically ").split(" instead of ")
    return here, there.removesuffix(" of 255")


def bins(size: int, **counts: int) -> list[int]:
    return [counts.get(f"at{number}", 0) for number in range(size)]


@pytest.mark.parametrize("name", ["brightness", "contrast", "sizes", "confidence"])
@pytest.mark.parametrize("change", ["mean", "spread", "small"])
def test_no_alarm_shows_two_equal_numbers(name: str, change: str) -> None:
    """Small files, a hair's breadth, or another spread around the same mean: the numbers differ, or nothing is said."""
    size = len(getattr(Summary(), name))
    usual, seen = Summary(), Summary()
    middle = 30 if name == "sizes" else size // 2  # 2^15 bytes: 0.03 MB
    setattr(usual, name, bins(size, **{f"at{middle}": 1000}))
    tonight = {
        "mean": {f"at{middle - 1}": 1000},
        "spread": {f"at{middle - 4}": 500, f"at{middle + 4}": 500},
        "small": {f"at{middle}": 999, f"at{middle - 1}": 1},
    }[change]
    setattr(seen, name, bins(size, **tonight))
    say = next(measure.say for measure in drift.MEASURES if measure.name == name)
    sentence = say(seen, [usual, usual], "")
    if change != "small":
        assert sentence
    if sentence:
        here, there = shown(sentence)
        assert here != there, sentence


@pytest.mark.parametrize(
    ("hats", "others", "said"), [(4, 498, "“hat” than usual (0.4 % instead of 0.1 %)"), (1, 499, "")]
)
def test_small_shares_have_the_digits_that_tell_them_apart(hats: int, others: int, said: str) -> None:
    usual = Summary(categories={"all": {"dress": 500, "shoes": 499, "hat": 1}})
    seen = Summary(categories={"all": {"dress": 999 - others - hats + 1, "shoes": others, "hat": hats}})
    say = next(measure.say for measure in drift.MEASURES if measure.name == "of the category")
    sentence = say(seen, [usual], "")
    assert (said in sentence) if said else sentence == ""


def test_a_night_of_which_nothing_can_be_told_is_not_called_unusual(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(8)
    nights = [*(a_night(random) for _ in range(40)), a_night(random, brightness=60)]
    assert verdict_of(nights).is_unusual
    silent = [
        drift.Measure(measure.name, measure.counts, lambda *_: "", measure.is_of_pixels)
        for measure in drift.MEASURES
    ]
    monkeypatch.setattr(drift, "MEASURES", silent)
    verdict = verdict_of(nights)
    assert not verdict.is_unusual
    assert verdict.since is None
    assert verdict.rank is not None


def test_a_head_that_answers_nothing_is_no_measure() -> None:
    random = np.random.default_rng(9)
    nights = [a_night(random) for _ in range(30)]
    for night in nights:
        night.colours, night.backgrounds = {}, {}
    assert verdict_of(nights).rank is not None
