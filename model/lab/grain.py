"""The grain of the item and of its surroundings: what the network's first layers see of weave, edges and colour.

The same numbers that the network's own background and colour heads read (`Palette` in model/network.py), but under
rembg's mask. The first layers are those of the release in use; training leaves them as ImageNet made them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from PIL import Image

from model.classes import ClassesError
from model.lab import LabError
from model.lab.judges import RELEASES
from model.network import Network, load_release, normalise
from model.releases import ReleaseError, current

if TYPE_CHECKING:
    from model.lab.view import View

SIDE: Final = 160
"""Side at which a photo is looked at, in pixels; its map has a quarter of that."""


def grain_numbers(view: View) -> dict[str, float]:
    """Return the mean of each of layer1's 64 channels over the item (`item_00` …) and around it (`around_00` …).

    Raises LabError when there is no release to take the layers from.
    """
    pixels = np.asarray(Image.fromarray(view.pixels).resize((SIDE, SIDE), Image.Resampling.BOX))
    with torch.inference_mode():
        seen = _network().grain(
            normalise(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255)
        )
    channels = seen[0].numpy()
    weight = (
        np.asarray(Image.fromarray(view.mask).resize(channels.shape[:0:-1], Image.Resampling.BOX)) / 255.0
    )
    means = {"item": _mean(channels, weight), "around": _mean(channels, 1 - weight)}
    return {
        f"{part}_{i:02}": float(value) for part, values in means.items() for i, value in enumerate(values)
    }


def _mean(channels: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The mean of (C, h, w) channels under (h, w) weights: (C,)."""
    result: np.ndarray = (channels * weight).mean((1, 2)) / (weight.mean() + 1e-3)
    return result


@lru_cache(maxsize=1)
def _network() -> Network:
    try:
        release = current(RELEASES)
    except (ReleaseError, ClassesError) as error:
        raise LabError(f"The grain needs the first layers of a release: {error}") from error
    torch.set_num_threads(1)  # one process a core does the rest
    return load_release(release.folder, release.classes)
