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

from model.lab import RELEASES, LabError
from model.network import Network, load_release, mean_under, normalise
from model.serving.classes import ClassesError
from model.serving.releases import ReleaseError, current

if TYPE_CHECKING:
    from model.lab.photos.view import View

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
    small = Image.fromarray(view.mask).resize((seen.shape[3], seen.shape[2]), Image.Resampling.BOX)
    item = torch.from_numpy(np.asarray(small, np.float32) / 255)[None, None]
    means = {"item": mean_under(seen, item)[0], "around": mean_under(seen, 1 - item)[0]}
    return {
        f"{part}_{i:02}": float(value) for part, values in means.items() for i, value in enumerate(values)
    }


@lru_cache(maxsize=1)
def _network() -> Network:
    try:
        release = current(RELEASES)
    except (ReleaseError, ClassesError) as error:
        raise LabError(f"The grain needs the first layers of a release: {error}") from error
    # one process a core does the rest
    torch.set_num_threads(1)
    return load_release(release.folder, release.classes)
