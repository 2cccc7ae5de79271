"""Learn what a release's training photos look like: see `model.serving.familiar`."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from model.serving.familiar import SKETCH_BYTES, Familiar
from model.training.logistic import fitted

STRENGTH: Final = 0.01
"""Of the regression that reads the kind."""


def fit(features: np.ndarray, kinds: np.ndarray) -> Familiar:
    """What training photos look like: their features, (N, 512), and the kind of each.

    Until `with_reach` (model/releasing/calibrate.py) has seen held-out photos, nothing is too far.
    """
    names, of = np.unique(kinds.astype(str), return_inverse=True)
    weights, bias = _divide(features, of, len(names))
    unlimited = np.full(len(names), np.inf)
    blank = Familiar(
        kinds=names,
        weights=weights,
        bias=bias,
        middle=features.mean(0).astype(np.float32),
        sketching=sketching(features.shape[1]),
        sketches=np.empty((0, SKETCH_BYTES), np.int8),
        edge=unlimited,
        far=unlimited,
    )
    return replace(blank, sketches=blank.sketch(features))


def sketching(size: int = 512) -> np.ndarray:
    """The fixed matrix that makes sketches: float32 (size, 64), directions drawn from a seed, at right angles."""
    drawn = np.random.default_rng(64).standard_normal((size, SKETCH_BYTES))
    result: np.ndarray = np.linalg.qr(drawn)[0].astype(np.float32)
    return result


def _divide(features: np.ndarray, of: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """What reads the kind, a number below `number`, from features: weights (512, K) and bias (K,)."""
    if number == 1:
        return np.zeros((features.shape[1], 1), np.float32), np.zeros(1, np.float32)
    weights, bias = fitted(features, of, strength=STRENGTH)
    return weights.T.astype(np.float32), bias.astype(np.float32)
