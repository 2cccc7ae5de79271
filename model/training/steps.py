"""The steps of a training: which photos each sees, what counts as wrong, what is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, Dataset

from model.serving.classes import WeightsError
from model.training.augment import Augmenter, Batch
from model.training.data import Photos
from model.training.labels import UNKNOWN
from model.training.origin import refuse_another
from model.training.recipe import Recipe
from replacing import replacing


class Steps(Dataset[Batch]):
    """An epoch's batches; the same epoch always has the same."""

    def __init__(
        self,
        augmenter: Augmenter,
        learn: np.ndarray,
        rates: np.ndarray,
        size: int,
        recipe: Recipe,
        epoch: int,
    ) -> None:
        self.augmenter, self.size, self.seed = augmenter, size, (recipe.seed, epoch)
        drawn = np.random.default_rng(self.seed).choice(learn, len(learn), p=rates)
        self.batches = np.array_split(drawn, steps_in_epoch(learn, recipe))

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> Batch:
        return self.augmenter.batch(self.batches[step], self.size, np.random.default_rng((*self.seed, step)))

    def ahead(self) -> Iterator[Batch]:
        """The batches in order, drawn ahead by another process where processes share memory."""
        workers = 1 if hasattr(os, "fork") else 0
        return iter(
            DataLoader(self, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
        )


def steps_in_epoch(learn: np.ndarray, recipe: Recipe) -> int:
    """How many batches an epoch of these photos has."""
    return max(1, round(len(learn) / recipe.batch))


def whole_photos(photos: Photos, which: np.ndarray, size: int) -> Iterator[Tensor]:
    """Whole photos at a size, as scoring sees them, some at a time: float (N, 3, size, size), 0 to 1."""
    for start in range(0, len(which), 32):
        pixels = torch.from_numpy(photos.pixels[which[start : start + 32]]).permute(0, 3, 1, 2)
        yield F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True).float() / 255


def draw_rates(photos: Photos, learn: np.ndarray, recipe: Recipe) -> np.ndarray:
    """How often each photo is drawn: rarer kinds, rarer classes in a kind, and rarer groups more than their share."""

    def sizes(groups: np.ndarray) -> np.ndarray:
        _, which, counts = np.unique(groups, return_inverse=True, return_counts=True)
        return counts[which].astype(float)

    kinds, classes = sizes(photos.kind[learn].astype(str)), sizes(photos.strata()[learn])
    rates = (
        kinds**-recipe.even_kinds
        * (classes / kinds) ** -recipe.even_classes
        * sizes(photos.groups()[learn]) ** -recipe.even_groups
    )
    result: np.ndarray = rates / rates.sum()
    return result


def category_losses(main: Tensor, sub: Tensor, batch: Batch, smoothing: float) -> dict[str, Tensor]:
    """How wrong main and sub are, by the labels of the photos and of what shines through them."""
    own, other = batch.share, 1 - batch.share
    return {
        "sub": cross_entropy(sub, batch.sub, smoothing, own)
        + cross_entropy(sub, batch.sub_through, smoothing, other),
        "main": 0.5
        * (
            cross_entropy(main, batch.main, smoothing, own)
            + cross_entropy(main, batch.main_through, smoothing, other)
        ),
    }


def cross_entropy(scores: Tensor, labels: Tensor, smoothing: float, weights: Tensor | float = 1.0) -> Tensor:
    """The weighted sum over photos with a label, by their number; 0 when there is none."""
    each = F.cross_entropy(scores, labels, ignore_index=UNKNOWN, label_smoothing=smoothing, reduction="none")
    return (each * weights).sum() / max(1, int((labels != UNKNOWN).sum()))


def cross_entropy_of_shares(
    scores: Tensor, shares: Tensor, smoothing: float, weights: Tensor | None = None
) -> Tensor:
    """The mean over the photos whose label is known, as shares of all classes, (N, classes); 0 when there is none."""
    each = F.cross_entropy(scores, shares, weights, label_smoothing=smoothing, reduction="none")
    known = shares.sum(1) > 0
    return (each * known).sum() / known.sum().clamp(min=1)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write it whole or not at all."""
    with replacing(path) as new:
        torch.save(state, new)


def load_checkpoint(
    path: Path, origin: Mapping[str, Any], device: torch.device | None = None
) -> dict[str, Any] | None:
    """The state a run had last, if there is one. Raises WeightsError when it was of another training (see `origin`)."""
    if not path.is_file():
        return None
    try:
        saved: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
        before = saved.get("origin", {})
    except Exception as error:
        # torch raises whatever its readers do
        raise WeightsError(f"{path} cannot be read: remove it, and the run begins anew.") from error
    refuse_another(before, origin, path.parent)
    return saved


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is done in hardware; emulated, it is ten times slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    flags = Path("/proc/cpuinfo")
    return flags.is_file() and any(flag in flags.read_text() for flag in (" avx512_bf16", " amx_bf16"))
