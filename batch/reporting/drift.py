"""Whether tonight's photos are like those of the nights before, and like those that the release was measured on.

Photos of one night resemble each other (one sender, one light), so a test that takes them for independent draws
rings nearly every night. Here nights are compared, not photos: for each of the last nights, tonight included, how
far it lies from all the others. If nothing has changed, tonight is the farthest no more often than any other
night is, whatever happens inside a night: with 19 earlier nights or more, a quiet night is called unusual with a
probability of at most 5 % (a conformal test: Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World,
2005, chapter 2). Two such nights in a row are worth a warning.

A measure (brightness, say) is called unusual when it alone would have made the night so: its distance is compared
with the largest distance of any measure on each of the nights, so looking at seven measures does not ring seven
times as often (the step of maxT in Westfall, Young, Resampling-Based Multiple Testing, 1993, section 2.6). Only
what can be shown in numbers that differ is called unusual, which makes alarms rarer, never more frequent.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from batch.reporting.summary import BRIGHTNESS_BINS, CONFIDENCE_BINS, CONTRAST_BINS, Summary

FALSE_ALARMS = 0.05
"""The largest probability that a night like the others is called unusual."""

NIGHTS_NEEDED = 19
NIGHTS_USED = 59
"""More would make the memory long, not the test better."""

PHOTOS_NEEDED = 30
"""A night with fewer predicted photos says nothing."""

STREAK = 14
"""After so many unusual nights in a row the new is the usual."""

TOLD = 3
"""A night's sentences: those of the measures that are strangest."""

UNLIKE = "unlike the photos it learned from"
"""What the model says of a photo that is far from those of its training."""

RELEASE_FALSE_ALARMS = 0.001
NOTEWORTHY = 0.2
"""A share of photos that would have to change their class is no news below this."""

LESS_SURE = 0.1
"""Nor is so little less certainty."""


STILL = 0.03
"""What hardly ever moves is not strange as soon as it moves at all: the least scale of a measure's distances."""


@dataclass(frozen=True)
class Verdict:
    """How tonight compares. `rank` is the test's p-value; None when there are too few nights to tell."""

    rank: float | None = None
    sentences: list[str] = field(default_factory=list)
    measures: list[str] = field(default_factory=list)
    """What is unusual, the strangest first."""
    since: date | None = None
    """The first of the unusual nights in a row that tonight ends, whatever was unusual on them."""

    @property
    def is_unusual(self) -> bool:
        """Whether tonight lies farther from the others than a quiet night should, in something that can be told."""
        return bool(self.measures)


Unusual = Mapping[date, Collection[str] | None]
"""Earlier nights that were called unusual, and by which measures; None where nobody wrote that down."""


def judge(nights: Sequence[tuple[date, Summary]], unusual: Unusual) -> Verdict:
    """Compare the last of the nights (oldest first) with those before.

    An unbroken row of unusual nights just before tonight is left out of what is usual, so that a change does not
    hide behind its own beginning. Each measure is dated by the nights on which it was unusual itself.
    """
    enough = [(night, seen) for night, seen in nights if seen.predicted >= PHOTOS_NEEDED]
    if not enough or enough[-1] != nights[-1]:
        return Verdict()
    tonight, seen = enough.pop()
    streak: list[date] = []
    while enough and enough[-1][0] in unusual and len(streak) < STREAK:
        streak.append(enough.pop()[0])
    earlier = [other for _, other in enough]
    of_release = [other for other in earlier if _release(other) == _release(seen)]
    measures: Sequence[Measure]
    if len(of_release) >= NIGHTS_NEEDED:
        used, measures = of_release[-NIGHTS_USED:], MEASURES
    elif len(earlier) >= NIGHTS_NEEDED:  # a new release answers otherwise, but the pixels are what they were
        used, measures = earlier[-NIGHTS_USED:], [measure for measure in MEASURES if measure.is_of_pixels]
    else:
        return Verdict()
    ranks, strangeness = _compare([*used, seen], measures)
    told = {}
    for measure in sorted(measures, key=lambda measure: -strangeness[measure.name]):
        since = _beginning(measure.name, streak, unusual)
        sentence = measure.say(seen, used, f" since {since:%a %d %b}" if since else "")
        if ranks[measure.name] <= FALSE_ALARMS and sentence:
            told[measure.name] = sentence
    since = min([tonight, *streak]) if told else None
    return Verdict(min(ranks.values()), list(told.values())[:TOLD], list(told), since)


def _beginning(measure: str, streak: Sequence[date], unusual: Unusual) -> date | None:
    """The first of the nights just before tonight (`streak`, newest first) that were unusual by this measure.

    None when there was none, and when it is not known how far back they go.
    """
    first = None
    for night in streak:
        measures = unusual[night]
        if measures is None:
            return None
        if measure not in measures:
            break
        first = night
    return first


def against_release(seen: Summary, metrics_file: Path) -> list[str]:
    """How the photos differ from those that the release was measured on (its `metrics.json`), in sentences.

    Both the class mix and the certainty are tested with a chance of one in a thousand of a false alarm among photos
    drawn at random; a small difference says nothing however certain it is.
    """
    try:
        scores = json.loads(metrics_file.read_text("utf-8"))["scores"]["sub"]
        tested = {name: int(row["photos"]) for name, row in scores["classes"].items()}
        accuracy = float(scores["accuracy"])
    except _NOT_MEASURED:
        return []
    if seen.predicted < PHOTOS_NEEDED or not sum(tested.values()):
        return []
    return [*_other_mix(seen, tested), *_less_sure(seen, accuracy, sum(tested.values()))]


def unlike_training(seen: Summary, metrics_file: Path) -> str:
    """What is to be said of a night whose photos, as a whole, are unlike those that its release learned from.

    "" where they are like them, where they are too few to tell, and where the release (its `metrics.json`) does not say from
    which share of such photos on a night is called so, and how often it is by mistake.
    """
    try:
        limit = json.loads(metrics_file.read_text("utf-8"))["held_out"]["unlike"]
        most, fewest, mistaken = float(limit["share"]), int(limit["photos"]), float(limit["false_alarms"])
    except _NOT_MEASURED:
        return ""
    unlike = seen.reasons.get(UNLIKE, 0) + seen.doubts.get(UNLIKE, 0)
    if seen.predicted < fewest or unlike / seen.predicted <= most:
        return ""
    return (
        f"{100 * unlike / seen.predicted:.0f} % of the photos are unlike those that the release learned from; of nights "
        f"like those it was checked on, {100 * mistaken:.0f} % have more than {100 * most:.0f} %. Its promise was not "
        "measured on such photos: let people check more of them (AUDIT_SHARE), and set its thresholds by your own "
        "(`python -m model calibrate`)."
    )


_NOT_MEASURED = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What is raised where a release's `metrics.json` is not there, or does not hold what is looked for."""


def _other_mix(seen: Summary, tested: dict[str, int]) -> list[str]:
    names = sorted(set(tested) | set(seen.subs))
    here = np.array([seen.subs.get(name, 0) for name in names], float)
    there = np.array([tested.get(name, 0) for name in names], float)
    if total_variation(here, there) < NOTEWORTHY or p_of_mix(here, there) > RELEASE_FALSE_ALARMS:
        return []
    shares = here / here.sum() - there / there.sum()
    name = names[int(np.abs(shares).argmax())]
    shown = _percents(here[names.index(name)] / here.sum(), there[names.index(name)] / there.sum())
    example = f" ({name}: {shown[0]} of the photos here, {shown[1]} there)" if shown else ""
    return [
        f"Other goods than the release was measured on{example}: its accuracy there says less about these."
    ]


def _less_sure(seen: Summary, accuracy: float, tested: int) -> list[str]:
    """A calibrated model is as sure as it is right: far less sure than it was right there, it meets other photos."""
    sure = seen.mean_confidence
    middles = (np.arange(CONFIDENCE_BINS) + 0.5) / CONFIDENCE_BINS
    spread = float((np.array(seen.confidence) * (middles - sure) ** 2).sum()) / seen.predicted
    chance = (spread / seen.predicted + accuracy * (1 - accuracy) / tested) ** 0.5
    if (
        accuracy - sure < LESS_SURE
        or accuracy - sure < NormalDist().inv_cdf(1 - RELEASE_FALSE_ALARMS) * chance
    ):
        return []
    return [
        f"The model is less sure here (mean {sure:.2f}) than it was right on the photos it was measured on "
        f"({accuracy:.2f}): these look otherwise; let people check more of them (AUDIT_SHARE)."
    ]


def total_variation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The share of photos that would have to change their class to make two mixes equal."""
    return float(np.abs(one / one.sum() - other / other.sum()).sum() / 2)


def p_of_mix(one: NDArray[np.float64], other: NDArray[np.float64], draws: int = 4999) -> float:
    """How often two samples from one and the same mix differ as much as these (a Monte Carlo test, seeded)."""
    random = np.random.default_rng(0)
    pooled = (one + other) / (one.sum() + other.sum())
    first = random.multinomial(int(one.sum()), pooled, draws) / one.sum()
    second = random.multinomial(int(other.sum()), pooled, draws) / other.sum()
    distances = np.abs(first - second).sum(1) / 2
    return float((1 + (distances >= total_variation(one, other) - 1e-12).sum()) / (draws + 1))


def _compare(
    nights: Sequence[Summary], measures: "Sequence[Measure]"
) -> tuple[dict[str, float], dict[str, float]]:
    """The p-value of the last night by each measure, and how strange it is (median deviations).

    Each step treats all nights alike, the last one included: that is what makes the p-values right.
    """
    photos = np.array([night.predicted for night in nights], float)
    by_measure = {}
    for measure in measures:
        distances = measure.distances(nights)
        distances /= np.sqrt(1 / photos + 1 / 100)  # a small night strays by chance
        beyond = distances - np.median(distances)
        by_measure[measure.name] = beyond / max(float(np.median(np.abs(beyond))), STILL)
    strangest = np.max(list(by_measure.values()), axis=0)
    ranks = {name: float((strangest >= values[-1]).mean()) for name, values in by_measure.items()}
    return ranks, {name: float(values[-1]) for name, values in by_measure.items()}


@dataclass(frozen=True)
class Measure:
    """One thing that may change: how it is counted in a summary, and how it is put into words.

    `say` gives "" when there is nothing to say: no numbers that differ once they are rounded.
    """

    name: str
    counts: Callable[[Summary], dict[str, int] | list[int]]
    say: Callable[[Summary, Sequence[Summary], str], str]
    is_of_pixels: bool = False

    def distances(self, nights: Sequence[Summary]) -> NDArray[np.float64]:
        """How far each night lies from the mean of the others: Kolmogorov's distance where bins have an order,
        else the total variation."""
        found = [self.counts(night) for night in nights]
        dicts = [counts for counts in found if isinstance(counts, dict)]
        names = sorted(set[str]().union(*dicts))
        rows = [[counts.get(name, 0) for name in names] for counts in dicts] or found
        table = np.array(rows, dtype=np.float64)
        shares = table / np.maximum(table.sum(1, keepdims=True), 1)
        others = (shares.sum(0) - shares) / (len(nights) - 1)
        difference = shares - others
        if dicts:
            return np.asarray(np.abs(difference).sum(1) / 2)
        return np.asarray(np.abs(difference.cumsum(1)).max(1))


def _mean_bin(bins: Sequence[float]) -> float:
    values = np.array(bins, float)
    return float((values * (np.arange(len(values)) + 0.5)).sum() / max(values.sum(), 1))


def _usual_bin(nights: Sequence[Summary], name: str) -> float:
    return float(np.mean([_mean_bin(getattr(night, name)) for night in nights]))


def _say_brightness(seen: Summary, usual: Sequence[Summary], when: str) -> str:
    grey = 256 / BRIGHTNESS_BINS
    here, there = _mean_bin(seen.brightness) * grey, _usual_bin(usual, "brightness") * grey
    if f"{here:.0f}" != f"{there:.0f}":
        return (
            f"Photos are {'darker' if here < there else 'brighter'} than usual{when} "
            f"(mean {here:.0f} instead of {there:.0f} of 255): another camera, another light?"
        )
    return _say_spread(
        seen, usual, "brightness", lambda edge: f"are darker than {edge * grey:.0f} of 255", when
    )


def _say_contrast(seen: Summary, usual: Sequence[Summary], when: str) -> str:
    grey = 128 / CONTRAST_BINS
    here, there = _mean_bin(seen.contrast) * grey, _usual_bin(usual, "contrast") * grey
    if f"{here:.0f}" != f"{there:.0f}":
        return (
            f"Photos have {'less' if here < there else 'more'} contrast than usual{when} "
            f"(mean {here:.0f} instead of {there:.0f}): another background, fog on the lens?"
        )
    return _say_spread(seen, usual, "contrast", lambda edge: f"have a contrast below {edge * grey:.0f}", when)


def _say_sizes(seen: Summary, usual: Sequence[Summary], when: str) -> str:
    here, there = 2 ** (_mean_bin(seen.sizes) / 2), 2 ** (_usual_bin(usual, "sizes") / 2)
    unit = _unit(min(here, there))
    if _size(here, unit) != _size(there, unit):
        return (
            f"Files are {'smaller' if here < there else 'larger'} than usual{when} (typically "
            f"{_size(here, unit)} instead of {_size(there, unit)}): another camera, another way of sending?"
        )
    return _say_spread(
        seen, usual, "sizes", lambda edge: f"are smaller than {_size(2 ** (edge / 2), unit)}", when
    )


def _unit(size: float) -> str:
    return next((unit for unit in ("GB", "MB", "kB") if size >= UNITS[unit]), "bytes")


def _size(size: float, unit: str) -> str:
    value = size / UNITS[unit]
    return f"{value:.1f} {unit}" if value < 10 and unit != "bytes" else f"{value:.0f} {unit}"


def _say_confidence(seen: Summary, usual: Sequence[Summary], when: str) -> str:
    here, there = seen.mean_confidence, float(np.mean([night.mean_confidence for night in usual]))
    if f"{here:.2f}" != f"{there:.2f}":
        words = "less" if here < there else "more"
        return f"The model is {words} sure than usual{when} (mean {here:.2f} instead of {there:.2f})."
    return _say_spread(
        seen,
        usual,
        "confidence",
        lambda edge: f"have an answer less sure than {edge / CONFIDENCE_BINS:.2f}",
        when,
    )


def _say_spread(
    seen: Summary, usual: Sequence[Summary], name: str, words: Callable[[int], str], when: str
) -> str:
    """For photos that spread otherwise around the same mean: the share below the value where it differs most."""
    here = _shares_below(getattr(seen, name))
    there = np.mean([_shares_below(getattr(night, name)) for night in usual], axis=0)
    edge = int(np.abs(here - there).argmax())
    shown = _percents(float(here[edge]), float(there[edge]))
    if not shown:
        return ""
    more = "More" if here[edge] > there[edge] else "Fewer"
    return f"{more} photos than usual{when} {words(edge + 1)} ({shown[0]} instead of {shown[1]})."


def _shares_below(bins: Sequence[int]) -> NDArray[np.float64]:
    """The share of photos up to the end of each bin."""
    values = np.array(bins, float)
    return np.asarray(values.cumsum() / max(values.sum(), 1))


def _say_class(what: str) -> Callable[[Summary, Sequence[Summary], str], str]:
    def say(seen: Summary, usual: Sequence[Summary], when: str) -> str:
        measure = next(measure for measure in MEASURES if measure.name == what)
        here = _shares(measure.counts(seen))
        there = [_shares(measure.counts(night)) for night in usual]
        names = set(here).union(*there)
        means = {name: float(np.mean([night.get(name, 0.0) for night in there])) for name in names}
        name = max(sorted(names), key=lambda name: abs(here.get(name, 0.0) - means[name]), default="")
        share, mean = here.get(name, 0.0), means.get(name, 0.0)
        shown = _percents(share, mean)
        if not shown:
            return ""
        words = "More" if share > mean else "Fewer"
        return f"{words} photos {what} “{name}” than usual{when} ({shown[0]} instead of {shown[1]})."

    return say


def _backgrounds(seen: Summary) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in seen.backgrounds.values():
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total


def _shares(counts: dict[str, int] | list[int]) -> dict[str, float]:
    assert isinstance(counts, dict)
    total = sum(counts.values()) or 1
    return {name: count / total for name, count in counts.items()}


def _release(seen: Summary) -> str:
    return max(seen.releases, key=lambda release: seen.releases[release], default="")


def _percents(one: float, other: float) -> tuple[str, str] | None:
    """Two shares, with as few digits as let them differ; None when a tenth of a percent does not tell them apart."""
    for digits in (0, 1):
        shown = f"{100 * one:.{digits}f} %", f"{100 * other:.{digits}f} %"
        if shown[0] != shown[1]:
            return shown
    return None


UNITS = {"GB": 1e9, "MB": 1e6, "kB": 1e3, "bytes": 1.0}

MEASURES = (
    Measure("of the category", lambda seen: seen.subs, _say_class("of the category")),
    Measure("in the colour", lambda seen: seen.colours, _say_class("in the colour")),
    Measure("with the background", _backgrounds, _say_class("with the background")),
    Measure("confidence", lambda seen: seen.confidence, _say_confidence),
    Measure("brightness", lambda seen: seen.brightness, _say_brightness, is_of_pixels=True),
    Measure("contrast", lambda seen: seen.contrast, _say_contrast, is_of_pixels=True),
    Measure("sizes", lambda seen: seen.sizes, _say_sizes, is_of_pixels=True),
)
