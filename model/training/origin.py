"""What the result of a training depends on, by content: a checkpoint is gone on from only where all of it is the same.

before, now = saved["origin"], origin_of(photos, learn, held_out, recipe, network)
refuse_another(before, now, Path("runs/first"))
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import Tensor, nn

from model.serving.classes import WeightsError
from model.training.data import Photos
from model.training.recipe import Recipe

_PARTS: Final = {
    "classes": "classes",
    "photos": "photos to learn from (--data, --extra, --not-clothing)",
    "labels": "labels",
    "masks": "masks (--masks)",
    "held out": "held-out photos (--fold, --folds, --leave-out)",
    "begins with": "weights to begin with (--init, --start)",
    "teachers": "teachers (--teacher)",
}
"""What differs, as people say it: other …"""


def origin_of(
    photos: Photos,
    learn: np.ndarray,
    held_out: np.ndarray,
    recipe: Recipe,
    network: nn.Module,
    teachers: Sequence[nn.Module] = (),
) -> dict[str, Any]:
    """Checksums of everything but the recipe, which is written out. network: as it is before the first step."""
    labels = ("main", "sub", "background", "colour", "votes", "clothing", "group", "kind")
    return {
        "recipe": asdict(recipe),
        "classes": _digest([photos.classes.to_json()]),
        "photos": _digest(photos.sha256[learn]),
        "labels": _digest(getattr(photos, name)[learn] for name in labels),
        "masks": _digest([photos.masks[learn]]),
        "held out": _digest([photos.sha256[held_out], *(getattr(photos, name)[held_out] for name in labels)]),
        "begins with": _of_network(network),
        "teachers": [_of_network(teacher) for teacher in teachers],
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not the same, but for the recipe."""
    return [f"other {said}" for key, said in _PARTS.items() if before.get(key) != now[key]]


def refuse_another(before: Mapping[str, Any], now: Mapping[str, Any], run: Path) -> None:
    """Raise WeightsError, naming what differs, when a run's folder holds a training of something else."""
    other = differences(before, now)
    recipe = before.get("recipe", {})
    other += [
        f"--{name.replace('_', '-')} {recipe.get(name)} instead of {value}"
        for name, value in now["recipe"].items()
        if recipe.get(name) != value
    ]
    if other:
        raise WeightsError(
            f"{run} holds a run with {'; '.join(other)}. Choose another folder with --run, or remove this one."
        )


def short_name(origin: Mapping[str, Any]) -> str:
    """Six letters and digits that stand for it."""
    return _digest([repr(sorted(origin.items()))])[:6]


def _of_network(network: nn.Module) -> str:
    tensors: dict[str, Tensor] = network.state_dict()
    return _digest(part for name, value in tensors.items() for part in (name, value.cpu().float().numpy()))


def _digest(parts: Iterable[Any]) -> str:
    """A checksum of texts and arrays, in order."""
    digest = hashlib.sha256()
    for part in parts:
        values = np.asarray(part)
        if values.dtype.kind in "OU":
            digest.update("\0".join(map(str, values.ravel())).encode())
        else:
            digest.update(np.ascontiguousarray(values).data)
        digest.update(f"{values.shape}".encode())
    return digest.hexdigest()
