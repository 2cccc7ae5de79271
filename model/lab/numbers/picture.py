"""The background alone as a small picture: what the small CNN looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from model.lab.photos.view import View

PICTURE_SIDE: Final = 32
"""Side of the picture in pixels. It has four channels: red, green, blue (0 where the item is) and opacity."""


def picture_numbers(view: View) -> dict[str, float]:
    """Return the picture's PICTURE_SIDE² × 4 values, 0..255, row by row, each pixel as red, green, blue, opacity.

    Every value is the mean over its part of the frame; colours are means over the background only.
    """
    weight = view.background.astype(np.float32)
    opacity = _shrink(weight)
    safe = np.maximum(opacity, 1e-3)
    colours = [_shrink(view.pixels[..., channel] * weight) / safe for channel in range(3)]
    values = np.rint(np.stack([*colours, 255 * opacity], axis=-1)).clip(0, 255).ravel()
    return {str(index): value for index, value in enumerate(values.tolist())}


def _shrink(plane: np.ndarray) -> np.ndarray:
    image = Image.fromarray(plane.astype(np.float32))
    return np.asarray(image.resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BOX))
