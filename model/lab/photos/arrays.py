"""The arrays that the lab passes around, by name."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""Colours in sRGB, 0..255, (..., 3)."""

Mask = npt.NDArray[np.uint8]
"""How much each pixel belongs to the item, 0..255, (height, width)."""

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
