"""measure: image quality of every photo, for the whole frame and for its background alone.

Writes OUT/features/quality.csv, one row per photo: brightness, contrast, sharpness, colourfulness, saturation, noise,
clipping in the shadows and in the lights, entropy and blockiness; the background's own carry the prefix
`background_`. Run `extract` first: the masks come from there. Stopped, it goes on where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import convolve, laplace
from skimage.measure import shannon_entropy

if TYPE_CHECKING:
    from model.lab.photos.arrays import Flags, Floats, Pixels
    from model.lab.photos.view import View

DARK: Final = 4
"""Luma up to which a pixel is lost in the shadows."""

BRIGHT: Final = 252
"""Value of the brightest channel from which a pixel is lost in the lights."""

IMMERKAER: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""A mask that sees noise and neither edges nor slopes (Immerkær 1996, *Fast Noise Variance Estimation*)."""


def quality_numbers(view: View) -> dict[str, float]:
    """Return the ten measures of the whole frame and, prefixed `background_`, of the background alone."""
    luma = np.asarray(Image.fromarray(view.pixels).convert("L"), np.float32)
    planes = Planes(view.pixels, luma, laplace(luma), np.abs(convolve(luma, IMMERKAER)), view.grey)
    inside = measures(planes, view.background)
    return measures(planes, np.ones_like(view.background)) | {
        f"background_{key}": inside[key] for key in MEASURES
    }


class Planes(NamedTuple):
    """A photo (height, width, 3), its luma, what two filters make of it, and the luma at the file's own size."""

    pixels: Pixels
    luma: Floats
    laplacian: Floats
    grain: Floats
    full: Floats


def measures(planes: Planes, where: Flags) -> dict[str, float]:
    """Return ten measures of the pixels marked in `where` (height, width); none marked gives NaN throughout.

    brightness: mean luma (ITU-R BT.601), 0..255. contrast: its standard deviation (RMS contrast). sharpness: variance
    of its Laplacian (Pech-Pacheco et al. 2000). colourfulness: see there. saturation: mean HSV saturation, 0..1.
    noise: see there. dark, bright: shares of clipped pixels. entropy: of the luma's values, in bits (Shannon 1948).
    blockiness: see there.
    """
    if not where.any():
        return dict.fromkeys(MEASURES, np.nan)
    luma, chosen = planes.luma[where], planes.pixels[where]
    values = (
        luma.mean(),
        luma.std(),
        planes.laplacian[where].var(),
        colourfulness(chosen),
        saturation(chosen),
        noise(planes.grain[where]),
        (luma <= DARK).mean(),
        (chosen.max(axis=1) >= BRIGHT).mean(),
        shannon_entropy(luma),  # type: ignore[no-untyped-call]
        blockiness(planes.full, where),
    )
    return {name: float(value) for name, value in zip(MEASURES, values, strict=True)}


MEASURES: Final = (
    "brightness",
    "contrast",
    "sharpness",
    "colourfulness",
    "saturation",
    "noise",
    "dark",
    "bright",
    "entropy",
    "blockiness",
)


def colourfulness(pixels: Pixels) -> float:
    """Return M3 of Hasler and Süsstrunk (2003), *Measuring colourfulness in natural images*, of pixels (n, 3).

    With rg = R - G and yb = (R + G) / 2 - B: the root of the two variances' sum, plus 0.3 times the root of the two
    squared means' sum. 0 is grey, 33 moderately colourful, 109 extremely so.
    """
    red, green, blue = pixels.astype(np.float32).T
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    return float(np.hypot(*opponents.std(axis=1)) + 0.3 * np.hypot(*opponents.mean(axis=1)))


def saturation(pixels: Pixels) -> float:
    """Return the mean HSV saturation of pixels (n, 3), 0..1: how much the weakest channel falls short."""
    strongest, weakest = pixels.max(axis=1).astype(np.float32), pixels.min(axis=1)
    return float(np.mean((strongest - weakest) / np.maximum(strongest, 1)))


def noise(grain: Floats) -> float:
    """Return the standard deviation of the noise in grey levels: sqrt(π/2) / 6 times the mean of |luma * IMMERKAER|.

    For Gaussian noise on flat ground the filter's answer has 6 times the noise's standard deviation, and a Gaussian's
    standard deviation is sqrt(π/2) times its mean absolute value. Fine patterns count as noise too.
    """
    return float(np.sqrt(np.pi / 2) / 6 * grain.mean())


def blockiness(grey: Floats, where: Flags) -> float:
    """Return how much JPEG's 8 × 8 blocks show: 1 not at all, 1.5 plainly.

    The mean step between neighbours is taken for each of the 8 positions a block's border could have; the largest,
    over the mean of the other seven, averaged over rows and columns (after Wang, Sheikh and Bovik 2002, with the
    grid's offset left open, so that a cropped or turned photo shows its blocks too).
    """
    height, width = grey.shape
    marked = np.asarray(Image.fromarray(where).resize((width, height), Image.Resampling.NEAREST))
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis))
        counted = (marked[1:] & marked[:-1]) if axis == 0 else (marked[:, 1:] & marked[:, :-1])
        sums = (steps * counted).sum(axis=1 - axis)
        counts = counted.sum(axis=1 - axis)
        means = [sums[start::8].sum() / max(1, counts[start::8].sum()) for start in range(8)]
        others = (sum(means) - max(means)) / 7
        ratios.append(max(means) / others if others > 0 else 1.0)
    return float(np.mean(ratios))
