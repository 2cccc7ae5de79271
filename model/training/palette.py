"""Learn the palette alone, which reads background and colour, on views of photos of which everything else is already known.

    train_palette(network, photos, learn, Recipe())

The palette is small and reads only how colours and grain are spread over the item and around it, so each view is
looked at once, in several lights, and the learning itself takes seconds. A palette that came with the network stays
where few photos are labelled.
"""

from __future__ import annotations

import copy
from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from model.network import Network, Palette, as_seen
from model.training.augment import Augmenter, relight
from model.training.data import Photos
from model.training.labels import UNKNOWN
from model.training.recipe import Recipe
from model.training.steps import cross_entropy_of_shares

LIGHTS = 2
"""Lights in which every view is seen: as it is, and a little changed."""

BATCH = 256

ENOUGH = 500
"""Labelled photos, of backgrounds and of colours, from which a palette is learned anew rather than kept."""


def palette_stays(photos: Photos, learn: np.ndarray, keeps: Collection[str]) -> bool:
    """Whether the palette that came with the network stays, for want of labels to learn a better one from.

    keeps: the heads that know their classes already (see `start.Start`). Colours of one's own are then learned by its last
    layer alone.
    """
    few = min((photos.labels(head)[learn] != UNKNOWN).sum() for head in ("background", "colour")) < ENOUGH
    return "background" in keeps and bool(few)


def train_palette(
    network: Network,
    photos: Photos,
    learn: np.ndarray,
    recipe: Recipe,
    *,
    keeps: Collection[str] = (),
    progress: bool = True,
) -> Network:
    """Train the network's palette on `views` views of the labelled photos; the rest stays as it is.

    One view shows a photo as it is, and there the network says where the item is; the others show its item on
    other backgrounds, and there that is known. The palette begins anew, but where it stays: then nothing is learned, or
    only the last layer's part for colours that it does not know.
    """
    torch.manual_seed(recipe.seed)
    labelled = learn[(photos.background[learn] != UNKNOWN) | photos.votes[learn].any(1)]
    kept = palette_stays(photos, learn, keeps)
    if not len(labelled) or (kept and ("colour" in keeps or not photos.votes[labelled].any())):
        return network.eval()
    device = next(network.parameters()).device
    palette = (
        network.palette
        if kept
        else Palette(photos.classes, tints=network.palette.tint is not None).to(device)
    )
    augmenter = Augmenter(photos, wild=0.0, nothing=0.0, new_background=0.0, small=0.0)
    network.eval()
    parts = [_look(network, palette, augmenter, labelled, recipe, 0, progress)]
    augmenter.new_background = 1.0
    cut_out = labelled[augmenter.masked[labelled]]
    views = range(1, recipe.views) if len(cut_out) else range(0)
    parts += [_look(network, palette, augmenter, cut_out, recipe, view, progress) for view in views]
    seen, background, colour, rates = (torch.cat(column).to(device) for column in zip(*parts, strict=True))
    if kept:
        _learn_colours(palette, seen, background, colour, rates, recipe)
    else:
        _learn(palette, seen, background, colour, rates, recipe)
    network.palette = palette
    return network.eval()


def _learn_colours(
    palette: Palette, seen: Tensor, background: Tensor, colour: Tensor, rates: Tensor, recipe: Recipe
) -> None:
    """Fit the last layer's rows of the colours; everything that the background rests on stays."""
    last = [
        layer for member in palette.members if isinstance(layer := list(member.children())[-1], nn.Linear)
    ]
    before = copy.deepcopy([layer.state_dict() for layer in last])
    palette.requires_grad_(False)
    for layer in last:
        layer.requires_grad_(True)
    _learn(palette, seen, torch.zeros_like(background), colour, rates, recipe)
    backgrounds = palette.sizes[0]
    with torch.no_grad():
        for layer, old in zip(last, before, strict=True):
            layer.weight[:backgrounds] = old["weight"][:backgrounds]
            layer.bias[:backgrounds] = old["bias"][:backgrounds]


@torch.no_grad()
def _look(
    network: Network,
    palette: Palette,
    augmenter: Augmenter,
    which: np.ndarray,
    recipe: Recipe,
    view: int,
    progress: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the palette sees in a view of each photo, in every light, the labels of background and colour, and its rate.

    In view 0 the network says where the item is, in the others it is known.
    """
    rng = np.random.default_rng((recipe.seed, view))
    device = next(palette.parameters()).device
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    rates = _rates(augmenter.photos, which)
    steps = range(0, len(which), recipe.batch)
    for start in tqdm(steps, desc=f"colours, view {view + 1}", disable=not progress, leave=False):
        batch = augmenter.batch(which[start : start + recipe.batch], recipe.serve_size, rng)
        item_map = torch.logit(batch.mask, eps=0.01).to(device)
        for light in range(LIGHTS):
            pixels = as_seen(relight(batch.pixels, rng, wild=0.0)[0] if light else batch.pixels, device)
            grain = network.grain(pixels)
            if view == 0 and light == 0:
                item_map = network.item_map_of(grain)
            seen = palette.see(pixels, grain, item_map)
            shares = _as_shares(batch.background, palette.sizes[0])
            parts.append((seen, shares, batch.colour, rates[start : start + recipe.batch]))
    seen, background, colour, drawn = (torch.cat(column) for column in zip(*parts, strict=True))
    return seen, background, colour, drawn


def _rates(photos: Photos, which: np.ndarray) -> Tensor:
    """How often photos are drawn: those of a rarer kind, or of a background rarer in it, more often than their share.

    A shop's white backgrounds, which are many and easy, would else be most of what is learned.
    """
    groups = np.char.add(photos.kind[which].astype(str), photos.background[which].astype(str))
    _, of, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return torch.from_numpy(counts[of] ** -0.5).float()


def _learn(
    palette: Palette, seen: Tensor, background: Tensor, colour: Tensor, rates: Tensor, recipe: Recipe
) -> None:
    """Fit what follows the paints: AdamW along one cycle, drawn anew every pass."""
    learned = [p for p in palette.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=recipe.palette_rate, weight_decay=0.05)
    steps = -(-len(seen) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.palette_rate, epochs=recipe.palette_epochs, steps_per_epoch=steps
    )
    weights = _weights(colour)
    palette.train()
    # what stays keeps its statistics
    palette.norm.train(palette.norm.weight.requires_grad)
    for _ in range(recipe.palette_epochs):
        for rows in torch.multinomial(rates, len(seen), replacement=True).chunk(steps):
            backgrounds, colours = palette.opinions(seen[rows])
            loss = _loss(backgrounds, background[rows], None) + _loss(colours, colour[rows], weights)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()


def _as_shares(labels: Tensor, classes: int) -> Tensor:
    """Labels as shares, (N, classes): all 0 for UNKNOWN."""
    known = labels != UNKNOWN
    return nn.functional.one_hot(labels.clamp(min=0), classes).float() * known[:, None]


def _loss(opinions: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Every member's cross entropy over the photos with a label, summed over members: each learns for itself.

    labels: (N, classes), shares of votes; all 0 for a photo without a label.
    """
    every = labels.repeat(len(opinions), 1)
    return len(opinions) * cross_entropy_of_shares(opinions.flatten(0, 1), every, 0.05, weights)


def _weights(labels: Tensor) -> Tensor:
    """Rare colours count more, but not in full proportion. labels: (N, colours), shares of votes."""
    counts = labels.sum(0).clamp(min=1)
    weights = (counts.mean() / counts) ** 0.3
    return weights * counts.sum() / (weights * counts).sum()
