"""Learn the colours: the palette alone, on views of photos of which everything else is already known.

    settle(network, photos, learn, Recipe())

The palette is small and reads only spots of colour and the map of the item, so with both kept in memory it
sees in a minute what whole epochs would show it. The light of every view changes a little each time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from model.augment import Augmenter, relight
from model.data import UNKNOWN, Photos
from model.network import Network, Palette, normalise
from model.recipe import Recipe

BATCH = 128


def settle(
    network: Network, photos: Photos, learn: np.ndarray, recipe: Recipe, *, progress: bool = True
) -> Network:
    """Train the network's palette anew on `views` views of the labelled photos; the rest stays as it is."""
    torch.manual_seed(recipe.seed)
    labelled = learn[(photos.background[learn] != UNKNOWN) | (photos.colour[learn] != UNKNOWN)]
    if not len(labelled):
        return network
    views = _look(network, photos, labelled, recipe, progress)
    device = next(network.parameters()).device
    palette = Palette(photos.classes).to(device)
    optimiser = torch.optim.AdamW(palette.parameters(), lr=recipe.settle_rate, weight_decay=0.01)
    order = torch.Generator().manual_seed(recipe.seed)
    loader = DataLoader(views.dataset(), batch_size=BATCH, shuffle=True, generator=order)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.settle_rate, epochs=recipe.settle_epochs, steps_per_epoch=len(loader)
    )
    rng = np.random.default_rng(recipe.seed)
    weights = _colour_weights(photos.colour[learn], len(photos.classes.colours)).to(device)
    for _ in tqdm(range(recipe.settle_epochs), desc="colours", disable=not progress, leave=False):
        for spots, ground, background, colour in loader:
            lit, _ = relight(spots.float() / 255, rng, wild=0.0)
            scores = palette(normalise(lit.to(device)), ground.to(device).float())
            loss = _loss(scores[0], background.to(device)) + _loss(scores[1], colour.to(device), weights)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    network.palette = palette
    return network.eval()


@dataclass
class _Views:
    """What the palette reads, and its labels. spots: uint8 (N, 3, 2h, 2w); ground: float16 (N, 1, h, w)."""

    spots: Tensor
    ground: Tensor
    background: Tensor
    colour: Tensor

    def dataset(self) -> TensorDataset:
        return TensorDataset(self.spots, self.ground, self.background, self.colour)


def _look(network: Network, photos: Photos, labelled: np.ndarray, recipe: Recipe, progress: bool) -> _Views:
    """One view of each photo as it is, and more on other backgrounds of those whose item can be cut out.

    In the first the network says where the item is; in the others that is known.
    """
    augmenter = Augmenter(photos, wild=0.0, nothing=0.0, new_background=0.0)
    parts = [_draw(augmenter, labelled, recipe, 0, network, progress)]
    augmenter.new_background = 1.0
    cut_out = labelled[augmenter.masked[labelled]]
    parts += [_draw(augmenter, cut_out, recipe, view, None, progress) for view in range(1, recipe.views)]
    kept = [part for part in parts if len(part.spots)]
    return _Views(*(torch.cat([getattr(part, name) for part in kept]) for name in vars(kept[0])))


@torch.no_grad()
def _draw(
    augmenter: Augmenter,
    which: np.ndarray,
    recipe: Recipe,
    view: int,
    network: Network | None,
    progress: bool,
) -> _Views:
    """Draw a view of each photo; the map of the item is the network's, or the mask."""
    rng = np.random.default_rng((recipe.seed, view))
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    steps = range(0, len(which), recipe.batch)
    for start in tqdm(steps, desc=f"view {view + 1}", disable=not progress, leave=False):
        batch = augmenter.batch(which[start : start + recipe.batch], recipe.settle_size, rng)
        ground = torch.logit(batch.mask, eps=0.01)
        if network is not None:
            device = next(network.parameters()).device
            ground = network.eval().where(normalise(batch.pixels.to(device))).cpu()
        spots = (F.avg_pool2d(batch.pixels, 4) * 255).round().byte()
        parts.append((spots, ground.half(), batch.background, batch.colour))
    empty = (torch.empty(0), torch.empty(0), torch.empty(0), torch.empty(0))
    return _Views(*(torch.cat(column) for column in zip(*parts or [empty], strict=True)))


def _loss(scores: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross entropy over the photos with a label."""
    loss = nn.functional.cross_entropy(
        scores, labels, weights, ignore_index=UNKNOWN, label_smoothing=0.05, reduction="sum"
    )
    return loss / max(1, int((labels != UNKNOWN).sum()))


def _colour_weights(labels: np.ndarray, classes: int) -> Tensor:
    """Rare colours count more, but not in full proportion."""
    counts = np.bincount(labels[labels != UNKNOWN], minlength=classes).clip(1)
    weights = (counts.mean() / counts) ** 0.3
    return torch.tensor(weights / (weights * counts).sum() * counts.sum(), dtype=torch.float32)
