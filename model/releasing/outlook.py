"""What a run's held-out photos say of it: how right it is, what would be filed, and how many more photos it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from model.releasing.calibrate import calibrate
from model.releasing.evaluate import chosen, judge
from model.serving.classes import HEADS, Classes
from model.training.held_out_scores import HeldOutScores
from model.training.labels import UNKNOWN
from model.training.run import Run
from model.training.runs import Division

PROMISE: Final = 0.97
MOST: Final = 4000
"""The promised precision, and the number of held-out photos, up to which is reckoned how many it takes."""


def summary(run: Run, held_out: HeldOutScores, division: Division) -> Iterator[str]:
    """What the held-out photos say, line by line: scores, what would be filed, and how many more photos it takes."""
    share, right = _judged(run.classes, held_out)
    scores = {
        head: np.mean((given == labels)[labels != UNKNOWN])
        for head, given, labels in _given(run.classes, held_out)
        if head in ("main", "sub") and (labels != UNKNOWN).any()
    }
    way = "none of them was learned from"
    if division.crossed:
        way = f"each judged by one of {len(division.folds)} networks that had not seen it"
    told = ", ".join(f"{head} {score:.3f}" for head, score in scores.items())
    yield f"On {len(held_out.labels['sub'])} held-out photos ({way}): {told} right."
    rightly = f", {right:.1%} of these rightly" if share else ""
    yield f"At a promise of {PROMISE:g}, {share:.1%} of them would be filed without a person{rightly}."
    more = photos_needed(run.classes, held_out)
    if more:
        yield f"With about {more[0]} more photos like these it would be {more[1]:.0%}, were the network no better."
    elif share == 0:
        yield (
            "More photos to check on would not be enough for that: its surest answers are wrong too often. Photos to learn "
            "from are needed, above all of the categories it confuses (`python -m model evaluate`)."
        )


def photos_needed(classes: Classes, held_out: HeldOutScores) -> tuple[int, float] | None:
    """How many more held-out photos, such as these, it takes to file clearly more, and the share that is then filed.

    Thresholds are set by the same photos several times over, as calibration does. None where that files no more.
    """
    number, shares = len(held_out.labels["sub"]), {1: _judged(classes, held_out)[0]}
    times = 2
    while times * number <= max(MOST, 2 * number) and times <= 64:
        shares[times] = _judged(classes, _repeated(held_out, times))[0]
        times *= 2
    best = max(shares.values())
    if best < shares[1] + 0.05:
        return None
    enough = next(times for times, share in shares.items() if share >= 0.8 * best)
    return ((enough - 1) * number, shares[enough]) if enough > 1 else None


def _repeated(held_out: HeldOutScores, times: int) -> HeldOutScores:
    """The same photos several times over, each time of other groups."""
    groups = (
        held_out.groups if held_out.groups is not None else np.arange(len(held_out.labels["sub"])).astype(str)
    )
    again = [np.char.add(groups.astype(str), f"/{i}") for i in range(times)]
    rows = np.tile(np.arange(len(groups)), times)
    return replace(held_out.take(rows), groups=np.concatenate(again))


def _judged(classes: Classes, held_out: HeldOutScores) -> tuple[float, float]:
    """The share filed at PROMISE, and that of the right ones among these, by thresholds set on the same photos."""
    fitted = calibrate(classes, held_out.scores, held_out.labels, groups=held_out.groups)
    probable, filed = judge(held_out.scores, fitted, PROMISE)
    labels = held_out.labels["sub"]
    filed, known = filed & (labels != UNKNOWN), labels != UNKNOWN
    right = chosen("sub", probable, fitted) == labels
    return float(filed.sum() / max(1, known.sum())), float(right[filed].mean()) if filed.any() else 0.0


def _given(classes: Classes, held_out: HeldOutScores) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Every head's answers and labels."""
    probable, _ = judge(held_out.scores, replace(classes, thresholds={}), PROMISE)
    for head in HEADS:
        yield head, chosen(head, probable, classes), held_out.labels[head]
