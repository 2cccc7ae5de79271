"""Train the network: one readable loop.

    start = begin(photos.classes, Recipe())
    train(start.network, photos, learn, held_out, Recipe(), Path("runs/first"), keeps=start.keeps)

A run folder holds `checkpoint.pt` (written after every epoch; training goes on from it after any kind of
death), `scores.jsonl` (one line an epoch), `curves.png` and TensorBoard's event files. The same seed
repeats a run exactly on one machine.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from tqdm import tqdm

from model.network import Network, Outputs, Palette, as_seen, flip_averaged
from model.scoring import accuracy, balanced_accuracy
from model.serving.answers import joint
from model.serving.classes import FEATURES, HEADS, OUTPUTS
from model.serving.familiar import Familiar
from model.training.augment import Augmenter, Batch
from model.training.curves import record
from model.training.data import Photos
from model.training.familiarity import fit
from model.training.labels import UNKNOWN
from model.training.origin import origin_of
from model.training.palette import palette_stays, train_palette
from model.training.recipe import Recipe
from model.training.steps import (
    Steps,
    category_losses,
    cross_entropy,
    cross_entropy_of_shares,
    draw_rates,
    fast_bfloat16,
    load_checkpoint,
    optimiser_step,
    save_checkpoint,
    set_rates,
    whole_photos,
)
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
    run.mkdir(parents=True, exist_ok=True)
    origin = origin_of(photos, learn, held_out, recipe, network, teachers)
    state = _State.begin(network, recipe, palette_stays(photos, learn, keeps))
    device = next(state.network.parameters()).device
    teachers = [teacher.to(device, memory_format=torch.channels_last) for teacher in teachers]  # type: ignore[call-overload]
    state.resume(run / "checkpoint.pt", origin)
    augmenter = Augmenter(photos, blend=recipe.blend)
    rates = draw_rates(photos, learn, recipe)
    some = held_out[np.linspace(0, len(held_out) - 1, min(len(held_out), CHECKED)).astype(int)]
    while state.epoch < recipe.epochs and not state.stale(recipe.patience):
        size = recipe.last_size if state.epoch >= recipe.epochs - recipe.last_epochs else recipe.size
        torch.manual_seed(recipe.seed * 1000 + state.epoch)
        steps = Steps(augmenter, learn, rates, size, recipe, state.epoch)
        losses = _train_epoch(state, steps, teachers, recipe, progress)
        scores = check(state.average, photos, some, size) if len(some) else {}
        state.finish_epoch(scores)
        state.save(run / "checkpoint.pt", origin)
        record(run, {"epoch": state.epoch, "size": size, **losses, **scores})
    return train_palette(state.average, photos, learn, recipe, keeps=keeps, progress=progress)


@dataclass
class _State:
    """What training changes from step to step, and what a checkpoint keeps."""

    network: Network
    average: Network
    optimiser: torch.optim.AdamW
    frozen: tuple[nn.Module, ...]
    epoch: int = 0
    best: float = -1.0
    best_epoch: int = 0

    @staticmethod
    def begin(network: Network, recipe: Recipe, palette_stays: bool) -> _State:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if network.palette.tint is None and not palette_stays:
            network.palette = Palette(network.classes)
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = copy.deepcopy(network)
        frozen = [network.stem, network.layer1]
        if palette_stays:
            # and what it rests on: the map of the item is drawn from layer2 and layer3
            frozen += [
                network.layer2,
                network.layer3,
                network.fine,
                network.coarse,
                network.item_map,
                network.palette,
            ]
        for part in frozen:
            part.requires_grad_(False)
        heads = [p for name, p in network.named_parameters() if not name.startswith(("stem", "layer"))]
        groups = [
            {"params": list(network.layer2.parameters()), "scale": 0.25},
            {"params": list(network.layer3.parameters()), "scale": 1.0},
            {"params": [*network.layer4.parameters(), *heads], "scale": 5.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=recipe.decay, fused=True)
        return _State(network, average, optimiser, tuple(frozen))

    def learning(self) -> None:
        """Training mode, but for the frozen layers' statistics."""
        self.network.train()
        for part in self.frozen:
            part.eval()

    def finish_epoch(self, scores: dict[str, float]) -> None:
        self.epoch += 1
        score = scores.get("sub", 0.0) + 0.2 * (scores.get("background", 0.0) + scores.get("colour", 0.0))
        if not scores or score > self.best:
            self.best, self.best_epoch = score, self.epoch

    def stale(self, patience: int) -> bool:
        return self.epoch - self.best_epoch >= patience

    def save(self, path: Path, origin: Mapping[str, Any]) -> None:
        save_checkpoint(
            path,
            {
                "origin": origin,
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "progress": (self.epoch, self.best, self.best_epoch),
            },
        )

    def resume(self, path: Path, origin: Mapping[str, Any]) -> None:
        """Go on from a checkpoint of the same training, if there is one; else make one, so that no other goes on here."""
        saved = load_checkpoint(path, origin, next(self.network.parameters()).device)
        if not saved:
            self.save(path, origin)
            return
        self.network.load_state_dict(saved["network"])
        self.average.load_state_dict(saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.epoch, self.best, self.best_epoch = saved["progress"]


def _train_epoch(
    state: _State, steps: Steps, teachers: Sequence[nn.Module], recipe: Recipe, progress: bool
) -> dict[str, float]:
    """One pass; returns the mean losses."""
    state.learning()
    device = next(state.network.parameters()).device
    sums: dict[str, float] = {}
    bar = tqdm(
        steps.ahead(), total=len(steps), desc=f"epoch {state.epoch + 1}/{recipe.epochs}", disable=not progress
    )
    for step, drawn in enumerate(bar):
        set_rates(state.optimiser, recipe.rate, (state.epoch + step / len(steps)) / recipe.epochs)
        batch = drawn.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast_bfloat16(device)):
            pixels = as_seen(batch.pixels, device)
            scores: Outputs = state.network(pixels)
            losses = _losses(scores, batch, recipe)
            if teachers:
                losses |= _distilled(losses, scores, ensemble(teachers, pixels), recipe)
        number = state.epoch * len(steps) + step
        optimiser_step(number, losses, state.network, state.average, state.optimiser, recipe.average)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        bar.set_postfix({name: f"{sums[name] / (step + 1):.3f}" for name in ("sub", "background", "colour")})
    return {f"loss/{name}": value / len(steps) for name, value in sums.items()}


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
