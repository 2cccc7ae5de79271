"""From held-out scores to honest probabilities and to thresholds that keep a promise.

    classes = calibrate(classes, scores, labels, kinds=kinds, groups=groups)

`scores` must come from photos of groups that training has not seen; anything else flatters.

- Temperatures minimise the negative log-likelihood (Guo et al. 2017, "On Calibration of Modern Neural
  Networks"), for each kind of photo.
- Thresholds are the lowest above which the held-out answers keep the promise with a margin: the upper bound of
  their share of errors (Clopper and Pearson, one-sided, confidence 1 - DOUBT) stays within it. The margin makes up
  for the luck in choosing among many thresholds, so that the promise is kept on average over nights of photos
  like these; it is not certain on each.
- For the category, what keeps the promise for photos mixed as these are would break it on a night of the hard ones. So each
  kind of photo has thresholds of its own, which keep it in most nights of whatever mixture of classes (see
  `nights`); a night of several kinds then keeps it as well.
- Heads of two classes (background, clothing) are calibrated for a half-and-half mixture (Platt 1999, "Probabilistic
  Outputs for Support Vector Machines", with both classes and all kinds of photos weighing the same): no prior enters, and
  0.5 divides them.
- Background and colour send no photo to a person. Their answers are doubted below the threshold that keeps DOUBTED_BELOW's
  promise, or lower: no more than MOST_DOUBTED of the photos are to have a doubt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import betaincinv

from model.releasing.nights import draw, errors_in_most
from model.serving.answers import joint, log_softmax, probabilities
from model.serving.classes import TWO_CLASSES, Classes, Limits
from model.serving.familiar import Familiar
from model.training.labels import CLOTHING, NO_CLOTHING, UNKNOWN

PRECISIONS: Final = (0.80, 0.85, 0.90, 0.92, 0.94, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995)
DOUBT: Final = 0.3
"""One minus the confidence of the bound. Tested over simulated worlds: smaller only files less."""

FAR: Final = 0.005
EDGE: Final = 0.02
"""Shares of held-out photos that lie too far from those of training, and at the edge or beyond."""

FEWEST: Final = 100
"""Photos that a kind needs to have thresholds of its own."""

FEWEST_BARE: Final = 30
"""Held-out photos without clothing from which on these, too, say what is one."""

CLOTHING_LOST: Final = 0.04
"""Share of held-out clothing photos that may be suspected of showing none, where there are fewer of these."""

DOUBTED_BELOW: Final = {"background": 0.95, "colour": 0.90}
"""Precision that answers without a doubt are to have; the background's in a half-and-half mixture."""

MOST_DOUBTED: Final = 0.27
"""Share of held-out photos that may have a doubt, the first head's first, so that elsewhere at most a third have one: of
other senders it was up to 0.35 where half of the senders had set it at 0.3, give or take 0.04."""


def calibrate(
    classes: Classes,
    scores: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    *,
    kinds: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> Classes:
    """The classes with temperatures and thresholds fitted to held-out scores and labels (UNKNOWN = not counted).

    kinds, groups: (N,), of what kind each photo is, and what it must stay together with. weights: how many photos each
    stands for. A kind of which fewer than FEWEST photos have a sub-category gets no limits of its own.
    """
    n = len(labels["sub"])
    kinds = np.full(n, "", dtype=object) if kinds is None else kinds
    groups = np.arange(n) if groups is None else groups
    weights = np.ones(n) if weights is None else weights
    temperatures, offsets = _temperatures(classes, scores, labels, weights), dict(classes.offsets)
    for head, (temperature, offset) in _halves(scores, labels, kinds, weights).items():
        temperatures[head], offsets[head] = temperature, offset
    fitted = replace(classes, temperatures=temperatures, offsets=offsets, kinds={})
    limits = {}
    for kind in (None, *sorted(set(kinds.astype(str)) - {""})):
        here = np.ones(n, bool) if kind is None else kinds == kind
        if kind is None or (labels["sub"][here] != UNKNOWN).sum() >= FEWEST:
            own_scores, own_labels = (
                {name: values[here] for name, values in table.items()} for table in (scores, labels)
            )
            limits[kind] = _limits(fitted, own_scores, own_labels, kinds[here], groups[here], weights[here])
    whole = limits.pop(None)
    own = {kind: of for kind, of in limits.items() if kind is not None}
    return replace(
        fitted,
        temperatures=whole.temperatures,
        thresholds=whole.thresholds,
        doubts=whole.doubts,
        kinds=own,
    )


def with_reach(familiar: Familiar, held_out: np.ndarray) -> Familiar:
    """With the distances beyond which the shares FAR and EDGE of held-out photos lie. held_out: features (N, 512)."""
    kind, distance = familiar.kind(held_out), familiar.distance(held_out)

    def beyond(share: float) -> np.ndarray:
        own = [distance[kind == k] for k in range(len(familiar.kinds))]
        return np.array([np.quantile(d if len(d) >= 1 / share else distance, 1 - share) for d in own])

    return replace(familiar, edge=beyond(EDGE), far=beyond(FAR))


def _limits(
    classes: Classes,
    scores: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    kinds: np.ndarray,
    groups: np.ndarray,
    weights: np.ndarray,
) -> Limits:
    """Temperatures, thresholds and doubts that hold for these photos; what none of them has a label for stays.

    What the heads of two classes have is the same for all of them: one threshold divides each.
    """
    classes = replace(classes, temperatures=_temperatures(classes, scores, labels, weights))
    probable = probabilities(scores, classes)
    known = labels["sub"] != UNKNOWN
    thresholds = dict(classes.thresholds)
    if known.any():
        strata = np.char.add(kinds[known].astype(str), labels["sub"][known].astype(str))
        nights = draw(strata, groups[known], np.random.default_rng(0), weights=weights[known])
        for head in ("main", "sub"):
            sure, right = _sure_and_right(probable[head][known], labels[head][known])
            thresholds[head] = keep_promises(sure, right, nights, strata, weights[known])
    return Limits(classes.temperatures, thresholds, _doubts(classes, probable, labels, weights))


def _doubts(
    classes: Classes,
    probable: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    weights: np.ndarray,
) -> dict[str, float]:
    """Below which probability the answers of the heads in LOOKS are doubted.

    A head without labels keeps its own, as far as that leaves few enough photos with a doubt.
    """
    result: dict[str, float] = {}
    free = np.ones(len(weights), bool)
    for head, promise in DOUBTED_BELOW.items():
        known = labels[head] != UNKNOWN
        limit = classes.doubts.get(head, 0.0)
        if known.any():
            own = weights[known] * (_even(labels[head][known]) if head in TWO_CLASSES else 1.0)
            limit = keep_promises(*_sure_and_right(probable[head][known], labels[head][known]), weights=own)[
                promise
            ]
        sure = probable[head].max(1)
        result[head] = min(
            limit,
            _leaving_few(sure[free], weights[free], MOST_DOUBTED * weights.sum() - weights[~free].sum()),
        )
        free &= sure >= result[head]
    return result


def _leaving_few(sure: np.ndarray, weights: np.ndarray, most: float) -> float:
    """The highest threshold below which photos of at most this weight lie."""
    order = np.argsort(sure, kind="stable")
    below = np.cumsum(weights[order])
    place = int(np.searchsorted(below, most + 1e-9, side="right"))
    return float(sure[order][place]) if place < len(sure) else 1.0


def _halves(
    scores: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], kinds: np.ndarray, weights: np.ndarray
) -> dict[str, tuple[float, float]]:
    """Temperature and offset of the heads of two classes, of those whose photos say anything of it."""
    found = {}
    background = np.asarray(scores["background"], np.float64)
    known = labels["background"] != UNKNOWN
    first = labels["background"][known] == 0
    if first.any() and not first.all():
        above = (background[:, 0] - background[:, 1])[known]
        found["background"] = _platt(
            above, first, _even(labels["background"][known], kinds[known]) * weights[known]
        )
    clothing = np.asarray(scores["clothing"], np.float64)
    shown = labels.get("clothing", np.full(len(clothing), CLOTHING))
    known = shown != UNKNOWN
    if (shown == NO_CLOTHING).sum() >= FEWEST_BARE and (shown == CLOTHING).any():
        garment = shown[known] == CLOTHING
        found["clothing"] = _platt(clothing[known], garment, _even(garment, kinds[known]) * weights[known])
    elif (shown == CLOTHING).any():
        found["clothing"] = (1.0, -float(np.quantile(clothing[shown == CLOTHING], CLOTHING_LOST)))
    return found


def _platt(above: np.ndarray, first: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Temperature and offset with which scores become the first of two classes' probability.

    above: float (N,), how far its score is above the other's. first: bool (N,), whether it is that class.
    """
    # Platt's targets: so many photos cannot show that it is never otherwise
    target = np.where(first, 1 - 1 / (first.sum() + 2), 1 / ((~first).sum() + 2))

    def surprise(parameters: np.ndarray) -> float:
        score = above / np.exp(parameters[0]) + parameters[1]
        return float(np.average(np.logaddexp(0, score) - target * score, weights=weights))

    begin = [0.0, -float(np.median(above))]
    logarithm, offset = minimize(surprise, begin, method="Nelder-Mead", bounds=[(-3, 3), (None, None)]).x
    return float(np.exp(logarithm)), float(offset)


def _even(labels: np.ndarray, kinds: np.ndarray | None = None) -> np.ndarray:
    """Weights with which all classes count the same, and in each class all kinds: white shop photos, which are many and
    easy, do not decide for the others."""
    kinds = np.zeros(len(labels)) if kinds is None else kinds
    weights = np.zeros(len(labels))
    for label in np.unique(labels):
        own = np.unique(kinds[labels == label].astype(str))
        for kind in own:
            here = (labels == label) & (kinds.astype(str) == kind)
            weights[here] = len(labels) / (here.sum() * len(own))
    return weights


def _sure_and_right(probable: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How sure answers are, and whether they are right: (N, classes) and (N,) → (N,) each."""
    return probable.max(1), probable.argmax(1) == labels


def _temperatures(
    classes: Classes,
    scores: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    weights: np.ndarray,
) -> dict[str, float]:
    """The temperatures of main, sub and colour, that which they had where few photos have a label; the others stay.

    Main's is sub's, from whose probabilities main's are made.
    """
    raw = {"sub": joint(scores["sub"], scores["main"], classes)[0], "colour": scores["colour"]}
    found = {
        head: _temperature(values, labels[head], weights, classes.temperatures[head])
        for head, values in raw.items()
    }
    return {**classes.temperatures, **found, "main": found["sub"]}


def keep_promises(
    sure: np.ndarray,
    right: np.ndarray,
    nights: np.ndarray | None = None,
    strata: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> dict[float, float]:
    """For each of PRECISIONS the lowest threshold above which answers are right that often; 1 + where there is none.

    sure: float (N,), the answers' probabilities. right: bool (N,). nights: (nights, N), each photo's weight in each night,
    and the strata that they were drawn of, (N,); then the promise is kept in most of them as well. weights: (N,), how
    many photos each stands for; unequal ones say less than as many equal ones would (Kish's effective sample size).
    """
    order = np.argsort(-sure, kind="stable")
    sure, right = sure[order], right[order]
    weights = np.ones(len(sure)) if weights is None else weights[order]
    weights = weights * weights.sum() / np.maximum((weights**2).sum(), 1e-12)
    filed, wrong = np.cumsum(weights), np.cumsum(weights * ~right)
    most_errors = betaincinv(wrong + 1, np.maximum(filed - wrong, 1e-9), 1 - DOUBT)
    if nights is not None and strata is not None:
        in_most = errors_in_most(right, nights[:, order], strata[order])
        most_errors = np.maximum(most_errors, in_most - 1e-12)
    table, floor = {}, 0.0
    for precision in PRECISIONS:
        fine = most_errors <= 1 - precision
        kept = np.flatnonzero(fine)
        # without any, nothing is that sure: every photo goes to a person
        floor = max(floor, float(sure[kept[-1]]) if len(kept) else 1.000001)
        table[precision] = floor
    return table


def _temperature(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray, before: float) -> float:
    """What divides the scores so that their softmax is most likely; `before` where fewer than two have a label."""
    known = labels != UNKNOWN
    if known.sum() < 2:
        return before
    scores, labels, weights = np.asarray(scores[known], np.float64), labels[known], weights[known]

    def surprise(logarithm: float) -> float:
        logs = log_softmax(scores / np.exp(logarithm))
        return float(np.average(-logs[np.arange(len(labels)), labels], weights=weights))

    return float(np.exp(minimize_scalar(surprise, bounds=(-3, 3), method="bounded").x))
