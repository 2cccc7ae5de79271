"""Logistic regression on the network's features, as weights that a linear layer can take over."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression


def fitted(features: np.ndarray, labels: np.ndarray, *, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights (K, D) and biases (K,), one row for each of the K > 1 labels that occur, in ascending order.

    features: (N, D), as they are; they are standardised in between. All labels weigh the same. strength: the inverse of
    the regularisation (C).
    """
    middle, spread = features.mean(0), features.std(0) + 1e-3
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
    model.fit((features - middle) / spread, labels)
    weights, bias = model.coef_ / spread, model.intercept_
    if len(weights) == 1:
        # one score, for the second label against the first
        weights, bias = np.vstack([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
    return weights, bias - weights @ middle
