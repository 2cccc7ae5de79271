"""What a larger network sees: maps of a ResNet-50's features, for the small one to learn from.

    maps = feature_maps(photos, Path("resnet50.safetensors"), cache=Path("runs/teacher.npy"))

The teacher looks at each whole photo once. A training crop then finds its part of the teacher's map by
interpolation (`at_boxes`), so every crop has a fitting answer and no photo is looked at twice.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from tqdm import tqdm

from model.data import Photos
from model.network import normalise
from model.torch_ops import torchvision

DEPTH: Final = 256
"""Features kept of the teacher's 2,048: the main directions in which photos differ."""


def feature_maps(photos: Photos, weights: Path, *, cache: Path, progress: bool = True) -> np.ndarray:
    """The teacher's map of every photo, float16 (N, DEPTH, 8, 8); read from `cache` when it fits."""
    if cache.is_file():
        maps: np.ndarray = np.load(cache, allow_pickle=False)
        if len(maps) == len(photos):
            return maps
    maps = compress(_look(photos, weights, progress))
    partial = cache.with_suffix(".part.npy")
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.save(partial, maps)
    os.replace(partial, cache)
    return maps


def at_boxes(maps: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The parts of (N, C, 8, 8) maps that lie in the crops `boxes` (see Batch.box): (N, C, *size)."""
    height, width = size
    rows = (torch.arange(height, device=maps.device) + 0.5) / height
    columns = (torch.arange(width, device=maps.device) + 0.5) / width
    left, top, right, bottom = boxes[:, :, None].unbind(1)
    x = (left + (right - left) * columns)[:, None, :].expand(-1, height, -1)
    y = (top + (bottom - top) * rows)[:, :, None].expand(-1, -1, width)
    grid = torch.stack([x, y], -1) * 2 - 1
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)


def compress(maps: np.ndarray) -> np.ndarray:
    """Keep the DEPTH main directions of (N, 8, 8, 2048) features, evened out: float16 (N, DEPTH, 8, 8)."""
    flat = maps.reshape(-1, maps.shape[-1])
    some = flat[:: max(1, len(flat) // 50_000)].astype(np.float32)
    centre = some.mean(0)
    values, directions = np.linalg.eigh(np.cov(some - centre, rowvar=False))
    depth = min(DEPTH, len(values))
    keep = np.argsort(values)[::-1][:depth]
    # Dividing by the fourth root of the variance evens the directions out, but not wholly: the last are noise.
    project = (directions[:, keep] / np.maximum(values[keep], 1e-8) ** 0.25).astype(np.float32)
    small: np.ndarray = np.stack([(photo.astype(np.float32) - centre) @ project for photo in maps])
    result: np.ndarray = (small / small.std()).transpose(0, 3, 1, 2).astype(np.float16)
    return result


def _look(photos: Photos, weights: Path, progress: bool) -> np.ndarray:
    network = torchvision.models.resnet50(weights=None)
    state = {name: t.float() if t.is_floating_point() else t for name, t in load_file(weights).items()}
    network.load_state_dict(state, strict=False)
    body = nn.Sequential(*list(network.children())[:-2]).eval()
    body = body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    side = photos.pixels.shape[1] // 32
    maps = np.empty((len(photos), side, side, 2048), np.float16)
    with torch.inference_mode():
        for start in tqdm(range(0, len(photos), 16), desc="teacher", disable=not progress, leave=False):
            pixels = torch.from_numpy(photos.pixels[start : start + 16]).permute(0, 3, 1, 2).float() / 255
            seen = body(normalise(pixels).contiguous(memory_format=torch.channels_last))
            maps[start : start + 16] = seen.permute(0, 2, 3, 1).half().numpy()
    return maps
