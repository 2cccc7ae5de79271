"""One photo as the lab sees it: its pixels, its mask, and its file for what only the file can tell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion

import decoder
from model.lab.photos.files import MAX_MEGAPIXELS, open_photo
from model.lab.photos.masks import is_background, is_item

if TYPE_CHECKING:
    from model.lab.photos.arrays import Flags, Mask, Pixels
    from model.lab.photos.store import Store

LEAST_ITEM = 0.01
"""A mask that leaves the item less than this share of the frame has missed it: the whole frame stands in for it."""


@dataclass(frozen=True)
class View:
    """A photo: `pixels` uint8 (side, side, 3) sRGB, `mask` uint8 (side, side) 255 = item, and where it came from.

    What is derived from them is computed once, when first asked for.
    """

    path: Path
    pixels: Pixels
    mask: Mask

    @cached_property
    def background(self) -> Flags:
        """The pixels that are surely background."""
        return is_background(self.mask)

    @cached_property
    def item(self) -> Flags:
        """The pixels that are surely the item, without the rim where the background shines through."""
        sure = is_item(self.mask)
        core = binary_erosion(sure, iterations=max(1, sure.shape[0] // 128))
        for choice in (core, sure):
            if choice.mean() >= LEAST_ITEM:
                return choice
        return np.ones_like(sure)

    @cached_property
    def grey(self) -> npt.NDArray[np.float32]:
        """The luma (ITU-R BT.601) at the file's own size, upright, 0..255: here compression still shows."""
        photo = decoder.read(self.path.read_bytes(), limits=decoder.Limits(megapixels=MAX_MEGAPIXELS))
        return np.asarray(photo.convert("L"), np.float32)


def view_photo(photos: Path, store: Store, file: str) -> View:
    """Return the view of one of the store's photos."""
    return View(photos / file, open_photo(photos / file), store.mask(file))
