"""Colours as numbers: CIELAB, HSV, and the rules that say what white and cream are.

    lab = to_lab(pixels)                       # (height, width, 3): L* 0..100, a*, b*
    is_white(lab).mean(), is_cream(lab).mean() # shares of the frame

Pixels are sRGB, uint8, (..., 3) throughout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from skimage.color import rgb2hsv, rgb2lab

if TYPE_CHECKING:
    from model.lab.photos.arrays import Flags, Floats, Pixels

WHITE_LIGHTNESS: Final = 78.0
"""White begins at this L*: a white wall in its own soft shadow still counts."""

WHITE_CHROMA: Final = 7.0
"""White ends at this C*ab: beyond it, an eye beside a white sheet sees a tint."""

CREAM_LIGHTNESS: Final = 72.0
"""Cream begins at this L*."""

CREAM_CHROMA: Final = 24.0
"""Cream ends at this C*ab; beyond it begin beige and yellow."""

CREAM_HUES: Final = (40.0, 110.0)
"""Cream's hue angles h_ab in degrees: from a rosy to a faintly greenish warm tint."""


def to_lab(pixels: Pixels) -> Floats:
    """Return CIELAB (CIE 1976, 2° observer, D65): float32 of the same shape, L* 0..100, a* and b* about -128..128."""
    lab: Floats = rgb2lab(_as_shares(pixels))
    return lab


def to_hsv(pixels: Pixels) -> Floats:
    """Return hue, saturation and value (Smith 1978), float32, each 0..1."""
    hsv: Floats = rgb2hsv(_as_shares(pixels))
    return hsv


def chroma(lab: Floats) -> Floats:
    """Return C*ab = sqrt(a*² + b*²) (CIE 15:2004, 8.2.1.2), shape (...)."""
    return np.hypot(lab[..., 1], lab[..., 2])


def hue(lab: Floats) -> Floats:
    """Return the hue angle h_ab in degrees, 0 (rosy red) to 360, shape (...)."""
    return np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360


def difference(lab: Floats, other: Floats) -> Floats:
    """Return the colour difference ΔE*ab of 1976, the Euclidean distance in CIELAB; about 2.3 is just
    noticeable.
    """
    delta: Floats = np.sqrt(np.square(lab - other).sum(axis=-1))
    return delta


def is_white(lab: Floats) -> Flags:
    """Tell the white pixels: L* ≥ WHITE_LIGHTNESS and C*ab ≤ WHITE_CHROMA."""
    return (lab[..., 0] >= WHITE_LIGHTNESS) & (chroma(lab) <= WHITE_CHROMA)


def is_cream(lab: Floats) -> Flags:
    """Tell the cream pixels: not white, L* ≥ CREAM_LIGHTNESS, C*ab ≤ CREAM_CHROMA, h_ab within CREAM_HUES."""
    angle = hue(lab)
    warm = (angle >= CREAM_HUES[0]) & (angle <= CREAM_HUES[1])
    return (lab[..., 0] >= CREAM_LIGHTNESS) & (chroma(lab) <= CREAM_CHROMA) & warm & ~is_white(lab)


def _as_shares(pixels: Pixels) -> Floats:
    """0..255 as 0..1; in float32, which scikit-image keeps: it is twice as quick."""
    return pixels.astype(np.float32) / np.float32(255)
