"""Colours as numbers: CIELAB, HSV, and the rules that say what white and cream are.

    lab = to_lab(pixels)                       # (height, width, 3): L* 0..100, a*, b*
    is_white(lab).mean(), is_cream(lab).mean() # shares of the frame

Pixels are sRGB, uint8, (..., 3) throughout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

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
    """Return CIELAB (CIE 1976, 2° observer, D65): float32 of the same shape, L* 0..100, a* and b* about
    -128..128.

    sRGB to linear light by IEC 61966-2-1, to XYZ by the same standard's matrix, to L*a*b* by CIE 15:2004,
    8.2.1: L* = 116 f(Y/Yn) - 16, a* = 500 (f(X/Xn) - f(Y/Yn)), b* = 200 (f(Y/Yn) - f(Z/Zn)) with f(t) =
    t^(1/3) above (6/29)^3 and t / (3 (6/29)^2) + 4/29 below.
    """
    ratios = _LINEAR[pixels] @ _RGB_TO_XYZ_OVER_WHITE
    roots = np.where(
        ratios > _KNEE, np.cbrt(ratios), ratios * np.float32(1 / (3 * (6 / 29) ** 2)) + np.float32(4 / 29)
    )
    x, y, z = np.moveaxis(roots, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


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


def to_hsv(pixels: Pixels) -> Floats:
    """Return hue, saturation and value (Smith 1978), float32, each 0..1."""
    rgb = pixels.astype(np.float32) / 255
    value = rgb.max(axis=-1)
    spread = value - rgb.min(axis=-1)
    safe = np.where(spread > 0, spread, 1)
    red, green, blue = np.moveaxis(rgb, -1, 0)
    sector = np.select(
        [spread == 0, value == red, value == green],
        [np.zeros_like(value), (green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    saturation = np.divide(spread, value, out=np.zeros_like(value), where=value > 0)
    return np.stack([sector / 6, saturation, value], axis=-1)


def _linear_light() -> Floats:
    """The linear light, 0..1, of each of the 256 sRGB values."""
    value = np.arange(256) / 255
    return np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92).astype(np.float32)


_LINEAR: Final = _linear_light()
_KNEE: Final = np.float32((6 / 29) ** 3)
_RGB_TO_XYZ: Final = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_D65: Final = np.array([0.95047, 1.0, 1.08883])
_RGB_TO_XYZ_OVER_WHITE: Final = (_RGB_TO_XYZ / _D65[:, None]).T.astype(np.float32)
