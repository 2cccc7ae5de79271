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
  kind of photo has thresholds of its own, which keep it in most nights of whatever mixture of classes (model/nights.py);
  a night of several kinds then keeps it as well.
- The background's threshold is the one with the best balanced accuracy, all kinds counting the same: no prior enters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import betaincinv

from model.answers import joint, log_softmax, probabilities
from model.classes import HEADS, Classes, Limits
from model.labels import CLOTHING, UNKNOWN
from model.nights import draw, errors_in_most

PRECISIONS: Final = (0.80, 0.85, 0.90, 0.92, 0.94, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995)
DOUBT: Final = 0.3
"""One minus the confidence of the bound. Tested over simulated worlds: smaller only files less."""

FEWEST: Final = 100
"""Photos that a kind needs to have thresholds of its own."""

CLOTHING_LOST: Final = 0.04
"""Share of held-out clothing photos that may be suspected of showing none."""


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
    fitted = replace(classes, temperatures=_temperatures(classes, scores, labels, weights), kinds={})
    probable = probabilities(scores, fitted)
    garments = labels["clothing"] == CLOTHING if "clothing" in labels else np.ones(n, bool)
    balanced = _best_balance(probable["background"][:, 0], labels["background"], kinds)
    fitted = replace(
        fitted,
        background_threshold=classes.background_threshold if balanced is None else balanced,
        clothing_threshold=float(np.quantile(probable["clothing"][garments], CLOTHING_LOST)),
    )
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
    return replace(fitted, temperatures=whole.temperatures, thresholds=whole.thresholds, kinds=own)


def _limits(
    classes: Classes,
    scores: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    kinds: np.ndarray,
    groups: np.ndarray,
    weights: np.ndarray,
) -> Limits:
    """Temperatures and thresholds that hold for these photos.

    The background's temperature stays what it is for all of them: one threshold divides it.
    """
    own = _temperatures(classes, scores, labels, weights) | {"background": classes.temperatures["background"]}
    classes = replace(classes, temperatures=own)
    probable = probabilities(scores, classes)
    known = labels["sub"] != UNKNOWN
    strata = np.char.add(kinds[known].astype(str), labels["sub"][known].astype(str))
    nights = draw(strata, groups[known], np.random.default_rng(0), weights=weights[known])
    thresholds = {
        head: _thresholds(head, probable[head], labels[head], classes, known, nights, strata, weights)
        for head in HEADS
    }
    return Limits(own, thresholds)


def _temperatures(
    classes: Classes,
    scores: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    weights: np.ndarray,
) -> dict[str, float]:
    """Every head's temperature, that which it had where few photos have a label.

    Main's is sub's, from whose probabilities main's are made.
    """
    raw = {"sub": joint(scores["sub"], scores["main"], classes)[0]}
    raw |= {head: scores[head] for head in ("background", "colour")}
    found = {
        head: _temperature(values, labels[head], weights, classes.temperatures[head])
        for head, values in raw.items()
    }
    return {**found, "main": found["sub"]}


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


def _thresholds(
    head: str,
    probable: np.ndarray,
    labels: np.ndarray,
    classes: Classes,
    subs_known: np.ndarray,
    nights: np.ndarray,
    strata: np.ndarray,
    weights: np.ndarray,
) -> dict[float, float]:
    """A head's thresholds; the categories' hold over all `nights`, which are made of the photos at `subs_known`."""
    categories = head in ("main", "sub")
    known = subs_known if categories else labels != UNKNOWN
    if not known.any():
        return {}
    probable, labels = probable[known], labels[known]
    chosen = probable.argmax(1)
    if head == "background":
        chosen = np.where(probable[:, 0] >= classes.background_threshold, 0, 1)
    sure = probable[np.arange(len(probable)), chosen]
    right, weights = chosen == labels, weights[known]
    if categories:
        return keep_promises(sure, right, nights, strata, weights)
    return keep_promises(sure, right, weights=weights)


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


def _best_balance(acceptable: np.ndarray, labels: np.ndarray, kinds: np.ndarray) -> float | None:
    """The probability of "acceptable" that divides best, half-way to the next lower one; None without both.

    Every kind of photo counts the same: white shop photos, which are many and easy, do not decide for the others.
    """
    known = labels != UNKNOWN
    values = np.unique(np.concatenate([[0.0], acceptable[known], [1.0]]))
    limits = (values[1:] + values[:-1]) / 2
    shares: dict[int, list[np.ndarray]] = {0: [], 1: []}
    for kind in np.unique(kinds[known].astype(str)):
        for quality, found in shares.items():
            some = np.sort(acceptable[known & (kinds == kind) & (labels == quality)])
            if len(some):
                below = np.searchsorted(some, limits) / len(some)
                found.append(below if quality == 1 else 1 - below)
    if not shares[0] or not shares[1]:
        return None
    balance = (np.mean(shares[0], axis=0) + np.mean(shares[1], axis=0)) / 2
    best = limits[balance >= balance.max() - 1e-9]
    return float(np.median(best))
