"""Learn the categories alone: main and sub, by logistic regression on a backbone that stays as it is.

    views = features_of_views(network, photos, Recipe())      # once, whichever photos are held out later
    train_categories(network, views, photos, which)

For few photos this is as good as learning layer4 as well (docs/experiments.md), takes seconds, and leaves what the backbone
knows of backgrounds, colours and clothing as it was.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from model.network import Network, as_seen
from model.serving.classes import FEATURES
from model.training.augment import Augmenter
from model.training.data import Photos
from model.training.labels import UNKNOWN
from model.training.logistic import fitted
from model.training.recipe import Recipe
from model.training.train import raw_scores

STRENGTH: Final = 0.1
"""The inverse of the regression's regularisation (C). Of 0.001, 0.01 and 0.1 the best at 20 and at 100 photos."""

MISSING: Final = -10.0
"""Score of a class that there was no photo of."""


def features_of_views(
    network: Network, photos: Photos, recipe: Recipe, *, progress: bool = True
) -> np.ndarray:
    """The features of every photo, whole and in `recipe.views` crops: float32 (1 + views, N, 512)."""
    everything = np.arange(len(photos))
    views = [raw_scores(network, photos, everything, recipe.serve_size)[FEATURES]]
    augmenter = Augmenter(photos, wild=0.0, nothing=0.0, new_background=0.0)
    for view in tqdm(range(recipe.views), desc="looking at photos", disable=not progress, leave=False):
        rng = np.random.default_rng((recipe.seed, view))
        views.append(_crops(network, augmenter, everything, recipe, rng))
    return np.stack(views)


def train_categories(network: Network, views: np.ndarray, photos: Photos, which: np.ndarray) -> Network:
    """Set the main and the sub head by the photos at `which`; returns the network, in evaluation mode."""
    for head, layer in (("main", network.main), ("sub", network.sub)):
        known = which[photos.labels(head)[which] != UNKNOWN]
        if len(known):
            labels = np.tile(photos.labels(head)[known], len(views))
            _set(layer, np.concatenate([view[known] for view in views]), labels)
    return network.eval()


@torch.inference_mode()
def _crops(
    network: Network, augmenter: Augmenter, which: np.ndarray, recipe: Recipe, rng: np.random.Generator
) -> np.ndarray:
    device = next(network.parameters()).device
    found = []
    for start in range(0, len(which), recipe.batch):
        batch = augmenter.batch(which[start : start + recipe.batch], recipe.serve_size, rng)
        found.append(network(as_seen(batch.pixels, device)).features.cpu().numpy())
    return np.concatenate(found)


def _set(layer: nn.Linear, features: np.ndarray, labels: np.ndarray) -> None:
    """Fit a layer's weights; with one class only, all answers are that one."""
    weights, bias = np.zeros((layer.out_features, layer.in_features)), np.full(layer.out_features, MISSING)
    found = np.unique(labels)
    if len(found) == 1:
        bias[found[0]] = 0.0
    else:
        weights[found], bias[found] = fitted(features, labels, strength=STRENGTH)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
        layer.bias.copy_(torch.from_numpy(bias))
