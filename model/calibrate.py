"""From held-out scores to honest probabilities and to thresholds that keep a promise.

    classes = calibrate(classes, scores, labels)

`scores` must come from photos of senders that training has not seen; anything else flatters.

- Temperatures minimise the negative log-likelihood (Guo et al. 2017, "On Calibration of Modern Neural
  Networks").
- Thresholds are the lowest above which the held-out answers keep the promise with a margin: the upper bound of
  their share of errors (Clopper and Pearson, one-sided, confidence 1 - DOUBT) stays within it. The margin makes up
  for the luck in choosing among many thresholds, so that the promise is kept on average over nights of photos
  like these; it is not certain on each.
- The background's threshold is the one with the best balanced accuracy: no prior enters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import beta

from model.answers import joint, log_softmax, probabilities
from model.classes import HEADS, Classes
from model.labels import UNKNOWN

PRECISIONS: Final = (0.80, 0.85, 0.90, 0.92, 0.94, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995)
DOUBT: Final = 0.3
"""One minus the confidence of the bound. Tested over simulated worlds: smaller only files less."""

CLOTHING_LOST: Final = 0.04
"""Share of held-out clothing photos that may be suspected of showing none."""


def calibrate(
    classes: Classes, scores: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
) -> Classes:
    """The classes with temperatures and thresholds fitted to held-out scores and labels (UNKNOWN = not counted)."""
    fitted = replace(classes, temperatures=dict.fromkeys(HEADS, 1.0))
    raw = {"sub": joint(scores["sub"], scores["main"], classes)[0]}
    raw |= {head: scores[head] for head in ("background", "colour")}
    temperatures = {head: _temperature(values, labels[head]) for head, values in raw.items()}
    fitted = replace(fitted, temperatures={**temperatures, "main": temperatures["sub"]})
    probable = probabilities(scores, fitted)
    fitted = replace(
        fitted, background_threshold=_best_balance(probable["background"][:, 0], labels["background"])
    )
    return replace(
        fitted,
        thresholds={head: _thresholds(head, probable[head], labels[head], fitted) for head in HEADS},
        clothing_threshold=float(np.quantile(probable["clothing"], CLOTHING_LOST)),
    )


def keep_promise(sure: np.ndarray, right: np.ndarray, precision: float) -> float:
    """The lowest threshold above which answers are right with the promised precision; 1 + when there is none.

    sure: float (N,), the answers' probabilities. right: bool (N,).
    """
    order = np.argsort(-sure, kind="stable")
    sure, right = sure[order], right[order]
    filed, wrong = np.arange(1, len(sure) + 1), np.cumsum(~right)
    most_errors = beta.ppf(1 - DOUBT, wrong + 1, np.maximum(filed - wrong, 1))
    kept = np.flatnonzero(most_errors <= 1 - precision)
    return (
        float(sure[kept[-1]]) if len(kept) else 1.000001
    )  # nothing is that sure: every photo goes to a person


def _thresholds(head: str, probable: np.ndarray, labels: np.ndarray, classes: Classes) -> dict[float, float]:
    known = labels != UNKNOWN
    if not known.any():
        return {}
    probable, labels = probable[known], labels[known]
    chosen = probable.argmax(1)
    if head == "background":
        chosen = np.where(probable[:, 0] >= classes.background_threshold, 0, 1)
    sure = probable[np.arange(len(probable)), chosen]
    table, floor = {}, 0.0
    for precision in PRECISIONS:
        floor = max(floor, keep_promise(sure, chosen == labels, precision))
        table[precision] = floor
    return table


def _temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """What divides the scores so that their softmax is most likely."""
    known = labels != UNKNOWN
    if known.sum() < 2:
        return 1.0
    scores, labels = np.asarray(scores[known], np.float64), labels[known]

    def surprise(logarithm: float) -> float:
        logs = log_softmax(scores / np.exp(logarithm))
        return float(-logs[np.arange(len(labels)), labels].mean())

    return float(np.exp(minimize_scalar(surprise, bounds=(-3, 3), method="bounded").x))


def _best_balance(acceptable: np.ndarray, labels: np.ndarray) -> float:
    """The probability of "acceptable" that divides best, half-way to the next lower one."""
    good, bad = np.sort(acceptable[labels == 0]), np.sort(acceptable[labels == 1])
    if not len(good) or not len(bad):
        return 0.5
    values = np.unique(np.concatenate([[0.0], good, bad, [1.0]]))
    limits = (values[1:] + values[:-1]) / 2
    balance = (1 - np.searchsorted(good, limits) / len(good) + np.searchsorted(bad, limits) / len(bad)) / 2
    best = limits[balance >= balance.max() - 1e-9]
    return float(np.median(best))
