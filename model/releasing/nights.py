"""How a promise fares over nights of other mixtures than the photos it was chosen on.

    nights = draw(strata, groups, rng)            # the weight of every held-out photo in each night
    precision, share = fare(nights, filed, right)

What is wrong is not spread evenly over classes: a night of knitwear has more of it than a night of shoes. So the shares of
the classes are drawn anew for each night, all mixtures being equally likely (Dirichlet(1, …, 1)), and the held-out photos
are weighted to be such a night. Every group of photos, such as a sender's, has a weight of its own as well (the Bayesian
bootstrap, Rubin 1981): another set of groups might have been held out. So the spread over nights holds both, how nights
differ and how little the held-out photos say.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from model.serving.familiar import Familiar

NIGHTS: Final = 400
KEPT: Final = 0.9
CHOSEN: Final = 0.95
"""Nights that are drawn, the share of them in which a promise has to be kept, and the share asked for when a threshold is
chosen: whoever chooses the lowest of many is lucky with some."""

PRIOR: Final = 20
WORSE: Final = 2
"""Photos that a class is taken to have filed beside those held out, and how many times as often as all they are wrong. With
5, one stray photo in a class of 20 sent all photos of every class to a person."""

ODD_NIGHT: Final = 100
ODD_NIGHTS: Final = 10
FALSE_ALARMS: Final = 0.01
"""Photos of a night that is judged as a whole, nights for each draw of the groups, and the share that may be called odd."""


def draw(
    strata: np.ndarray,
    groups: np.ndarray,
    rng: np.random.Generator,
    *,
    nights: int = NIGHTS,
    weights: np.ndarray | None = None,
    resampled: bool = True,
) -> np.ndarray:
    """Every photo's weight in every night: float (nights, N); the weights of a night add up to 1.

    strata: (N,), what is drawn in other shares each night, such as the class. groups: (N,), what comes and goes together
    (`resampled`). weights: (N,), how many photos each stands for.
    """
    of, mixed = np.unique(strata, return_inverse=True)
    _, together = np.unique(groups, return_inverse=True)
    shares = rng.dirichlet(np.ones(len(of)), nights)
    count = (nights, together.max(initial=-1) + 1)
    own = rng.standard_exponential(count) if resampled else np.ones(count)
    drawn = own[:, together] * (1.0 if weights is None else weights)
    sums = np.stack([drawn[:, mixed == s].sum(1) for s in range(len(of))], axis=1)
    result: np.ndarray = drawn * (shares / np.maximum(sums, 1e-12))[:, mixed]
    return result


def unlike_nights(familiar: Familiar, features: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """From which share of photos at the edge on a night as a whole is called unlike those of training.

    features: (N, 512), of photos that it has not learned from. What a release keeps of it, in `metrics.json`.
    """
    seen = familiar.look(features)
    share = odd_share(seen.edge, seen.kind, groups)
    return {"share": share, "photos": ODD_NIGHT, "false_alarms": FALSE_ALARMS}


def odd_share(odd: np.ndarray, kinds: np.ndarray, groups: np.ndarray) -> float:
    """The share of odd photos that a night of photos like these exceeds with a probability of FALSE_ALARMS at most.

    A night is ODD_NIGHT photos of one kind, of groups drawn at random: what is odd about one photo of a sender often is
    about the next as well. Other groups might have been held out, so their weights are drawn as well. The kind that exceeds
    most counts. odd: bool (N,). kinds, groups: (N,).
    """
    rng, limits = np.random.default_rng(0), []
    for kind in np.unique(kinds.astype(str)):
        here = kinds.astype(str) == kind
        _, of, sizes = np.unique(groups[here].astype(str), return_inverse=True, return_counts=True)
        rates, shares = np.bincount(of, odd[here]) / sizes, []
        for _ in range(NIGHTS):
            own = rng.standard_exponential(len(sizes))
            drawn = rng.choice(len(sizes), (ODD_NIGHTS, ODD_NIGHT), p=own / own.sum())
            taken = np.clip(ODD_NIGHT - sizes[drawn].cumsum(1) + sizes[drawn], 0, sizes[drawn])
            shares.append((rates[drawn] * taken).sum(1) / ODD_NIGHT)
        limits.append(np.quantile(shares, 1 - FALSE_ALARMS))
    return float(max(limits, default=1.0))


def fare(nights: np.ndarray, filed: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The precision of what each night files, and the share that it files: float (nights,).

    The precision is that of all held-out photos with their weights, and NaN where a night files nothing.
    """
    share = nights @ filed.astype(float)
    kept = nights @ (filed & right).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(share > 1e-9, kept / share, np.nan), share


def errors_in_most(right: np.ndarray, nights: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """The share of errors that a share of CHOSEN of the nights stay within: after each of the photos, filed in order.

    A stratum of few photos has hardly shown how often it is wrong. PRIOR photos are added to what it files, which are wrong
    WORSE times as often as all together are. right: bool (N,), surest first. nights, strata: (nights, N) and (N,), see
    `draw`, in the same order. Returns float (N,).
    """
    average = np.cumsum(~right) / np.arange(1, len(right) + 1)
    filed, errors = np.zeros_like(nights), np.zeros_like(nights)
    for stratum in np.unique(strata):
        here = strata == stratum
        share, wrong = np.cumsum(nights * here, axis=1), np.cumsum(nights * (here & ~right), axis=1)
        number = np.cumsum(here)
        rate = wrong / np.maximum(share, 1e-12)
        filed += share
        errors += share * (number * rate + PRIOR * WORSE * average) / (number + PRIOR)
    place = math.ceil(CHOSEN * len(nights)) - 1
    result: np.ndarray = np.partition(errors / np.maximum(filed, 1e-12), place, axis=0)[place]
    return result
