"""Train the network.

    start = begin(photos.classes, Recipe())
    train(start.network, photos, learn, held_out, Recipe(), Path("runs/first"), keeps=start.keeps)

What learns, from which losses, and how it is scored stands here; the loop itself in model/training/loop.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from model.network import Network, Outputs, Palette, as_seen, flip_averaged
from model.scoring import accuracy, balanced_accuracy
from model.serving.answers import joint
from model.serving.classes import FEATURES, HEADS, OUTPUTS
from model.serving.familiar import Familiar
from model.training.augment import Batch
from model.training.data import Photos
from model.training.familiarity import fit
from model.training.labels import UNKNOWN
from model.training.loop import Task, learn_in_epochs
from model.training.origin import origin_of
from model.training.palette import palette_stays, train_palette
from model.training.recipe import Recipe
from model.training.steps import category_losses, cross_entropy, cross_entropy_of_shares, whole_photos
from model.training.teacher import CategoryScores, ensemble

MOST: Final = 150
"""Photos of each class of each kind that say what such photos look like."""

CHECKED: Final = 500
"""Held-out photos that are scored after every epoch, evenly spread: enough to see where it goes."""


def train(
    network: Network,
    photos: Photos,
    learn: np.ndarray,
    held_out: np.ndarray,
    recipe: Recipe,
    run: Path,
    *,
    keeps: Collection[str] = (),
    teachers: Sequence[nn.Module] = (),
    progress: bool = True,
) -> Network:
    """Train a network on the photos at `learn`, score every epoch on some of those at `held_out` (may be empty).

    `keeps` are the heads that know their classes already (see `start.Start`): what they rest on is not changed.
    `teachers`, in evaluation mode, answer for whatever the network is shown, and it learns from them as well. Goes on
    from the run's own checkpoint when there is one, of the same training by content; raises WeightsError where it is of
    another. Returns the averaged network, in evaluation mode.
    """
    origin = origin_of(photos, learn, held_out, recipe, network, teachers)
    stays = palette_stays(photos, learn, keeps)
    if network.palette.tint is None and not stays:
        network.palette = Palette(network.classes)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for module in (network, *teachers):
        module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    frozen: list[nn.Module] = [network.stem, network.layer1]
    if stays:
        # and what the palette rests on: the map of the item is drawn from layer2 and layer3
        frozen += [network.layer2, network.layer3]
        frozen += [network.fine, network.coarse, network.item_map, network.palette]
    heads = [p for name, p in network.named_parameters() if not name.startswith(("stem", "layer"))]
    some = held_out[np.linspace(0, len(held_out) - 1, min(len(held_out), CHECKED)).astype(int)]

    def losses(pixels: Tensor, batch: Batch) -> dict[str, Tensor]:
        scores: Outputs = network(pixels)
        found = _losses(scores, batch, recipe)
        return found | (_distilled(found, scores, ensemble(teachers, pixels), recipe) if teachers else {})

    task = Task(
        network,
        parts=[
            (network.layer2.parameters(), 0.25 * recipe.rate),
            (network.layer3.parameters(), recipe.rate),
            ([*network.layer4.parameters(), *heads], 5 * recipe.rate),
        ],
        frozen=frozen,
        sizes=[
            recipe.last_size if epoch >= recipe.epochs - recipe.last_epochs else recipe.size
            for epoch in range(recipe.epochs)
        ],
        losses=losses,
        check=lambda average, size: check(average, photos, some, size) if len(some) else {},
        average=recipe.average,
        patience=recipe.patience,
    )
    average = learn_in_epochs(task, photos, learn, recipe, run, origin, progress=progress)
    return train_palette(average, photos, learn, recipe, keeps=keeps, progress=progress)


def _losses(scores: Outputs, batch: Batch, recipe: Recipe) -> dict[str, Tensor]:
    """Every head's loss over the photos that count for it, weighted."""
    masked = batch.masked.float().view(-1, 1, 1, 1)
    apart = F.binary_cross_entropy_with_logits(scores.item_map, batch.mask, reduction="none")
    return category_losses(scores.main, scores.sub, batch, recipe.smoothing) | {
        "background": 0.5 * cross_entropy(scores.background, batch.background, 0.05),
        "colour": 0.5 * cross_entropy_of_shares(scores.colour, batch.colour, 0.05),
        "clothing": 0.3 * _clothing_loss(scores.clothing, batch.clothing),
        "item_map": 0.5 * (apart * masked).sum() / (masked.sum() * apart[0].numel() + 1e-6),
    }


def _clothing_loss(scores: Tensor, clothing: Tensor) -> Tensor:
    """The mean over the photos of which it is known whether they show clothing."""
    known = (clothing != UNKNOWN).float()
    each = F.binary_cross_entropy_with_logits(scores, clothing.clamp(min=0), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def _distilled(
    losses: dict[str, Tensor], scores: Outputs, taught: CategoryScores, recipe: Recipe
) -> dict[str, Tensor]:
    """The losses of main and sub with the teachers' part: how far the network is from what they say."""
    apart = {
        "sub": F.cross_entropy(scores.sub, torch.softmax(taught.sub, 1)),
        "main": 0.5 * F.cross_entropy(scores.main, torch.softmax(taught.main, 1)),
    }
    return {name: torch.lerp(losses[name], apart[name], recipe.taught) for name in apart}


def raw_scores(network: Network, photos: Photos, which: np.ndarray, size: int = 224) -> dict[str, np.ndarray]:
    """The network's scores for whole photos, at a size: head → float32 (N, classes); and its features."""
    network.eval()
    device = next(network.parameters()).device
    found: dict[str, list[np.ndarray]] = {}
    with torch.inference_mode():
        for pixels in whole_photos(photos, which, size):
            seen = flip_averaged(network, as_seen(pixels, device))
            for head, scores in zip((*OUTPUTS, FEATURES), seen, strict=True):
                found.setdefault(head, []).append(scores.float().cpu().numpy())
    return {head: np.concatenate(parts) for head, parts in found.items()}


def label_sets(photos: Photos, which: np.ndarray) -> dict[str, np.ndarray]:
    """The labels of some photos, by head, and whether they show clothing."""
    return {name: photos.labels(name)[which] for name in OUTPUTS}


def check(network: Network, photos: Photos, which: np.ndarray, size: int) -> dict[str, float]:
    """Every head's accuracy on whole photos (background: balanced), over those with a label."""
    scores = raw_scores(network, photos, which, size)
    scores["sub"], scores["main"] = joint(scores["sub"], scores["main"], photos.classes)
    result = {}
    for head in HEADS:
        labels = photos.labels(head)[which]
        known = labels != UNKNOWN
        measure = balanced_accuracy if head == "background" else accuracy
        result[head] = measure(labels[known], scores[head].argmax(1)[known]) if known.any() else 0.0
    return result


def familiarise(network: Network, photos: Photos, learn: np.ndarray, size: int) -> Familiar:
    """What the photos at `learn` look like to the network; at most MOST of each class of each kind, evenly spread."""
    strata = photos.strata()
    some = []
    for stratum in np.unique(strata[learn]):
        members = learn[strata[learn] == stratum]
        some.append(members[np.linspace(0, len(members) - 1, min(len(members), MOST)).astype(int)])
    shown = np.concatenate(some)
    features = raw_scores(network, photos, shown, size)[FEATURES]
    return fit(features, photos.kind[shown])
