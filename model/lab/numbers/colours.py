"""colour: the colours of every photo as numbers, for the whole frame and for the item alone.

Writes five tables below OUT/features/: colour-frame.csv and colour-item.csv with the 18 colour features (mean and
standard deviation of each channel in RGB, HSV and CIELAB), palette.csv with the item's main colours and the light they
were seen in, grain.csv with what the network's first layer sees of the item and around it, and picture.csv with the
background alone, 32 × 32 pixels small. Run `extract` first: the masks come from there. Stopped, it goes on where it
was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from model.lab.numbers.cielab import chroma, hue, to_hsv, to_lab

if TYPE_CHECKING:
    from model.lab.photos.arrays import Floats, Pixels
    from model.lab.photos.view import View

FIGURES: Final = tuple(
    f"{space}_{channel}_{figure}"
    for space in ("rgb", "hsv", "lab")
    for figure in ("mean", "std")
    for channel in space
)
"""Names of the 18 colour features, in order."""

CLUSTERS: Final = 4
"""Into how many main colours the palette divides the item."""

CLUSTERED: Final = 2000
"""Pixels that the division looks at."""

HUE_SECTORS: Final = 12
"""Sectors of 30 degrees of the hue angle in which strongly coloured pixels are counted."""

GREY_LEVELS: Final = 8
"""Steps of lightness in which almost colourless pixels are counted."""

COLOURFUL_FROM: Final = 12.0
GREY_UP_TO: Final = 8.0
"""C*ab from which a pixel has a hue worth counting, and up to which it counts as grey."""

PERCENTILES: Final = (5, 15, 25, 50, 75, 85, 95)

STEP: Final = 4
"""Every STEP-th pixel of every STEP-th row is counted: a sixteenth of the time, and no figure changes noticeably."""

LEAST_BACKGROUND: Final = 0.02
"""Below this share of the frame the background says nothing about the light; the whole frame does."""


def frame_colours(view: View) -> dict[str, float]:
    """Return the 18 colour features of the whole frame."""
    return colour_numbers(view.pixels[::STEP, ::STEP].reshape(-1, 3))


def item_colours(view: View) -> dict[str, float]:
    """Return the 18 colour features of the item."""
    return colour_numbers(view.pixels[::STEP, ::STEP][view.item[::STEP, ::STEP]])


def colour_numbers(pixels: Pixels) -> dict[str, float]:
    """Return mean and standard deviation of every channel of the pixels (n, 3), named as in FIGURES.

    RGB in 0..255, HSV in 0..1, CIELAB in its own units.
    """
    channels = [pixels.astype(np.float32), to_hsv(pixels), to_lab(pixels)]
    figures = np.concatenate(
        [figure(space, axis=0, dtype=np.float64) for space in channels for figure in (np.mean, np.std)]
    )
    return dict(zip(FIGURES, figures.tolist(), strict=True))


def palette(view: View) -> dict[str, float]:
    """Return the item's palette, and the light it was seen in.

    `L_p5` … `chroma_p95`: percentiles of the item in CIELAB. `light_*`: those of the background, and `to_light_*` the
    item's median less the background's: they tell a white shirt in the shade from a grey one. `main1_*` … : the item's
    main colours, the largest first, with their shares. `hue_*`, `grey_*`: shares of the item by hue and, where it is
    almost colourless, by lightness. `item_share`: the item's part of the frame.
    """
    lab = to_lab(view.pixels[::STEP, ::STEP])
    item = lab[view.item[::STEP, ::STEP]]
    around = view.background[::STEP, ::STEP]
    light = lab[around] if around.mean() >= LEAST_BACKGROUND else lab.reshape(-1, 3)
    to_light = np.median(item, axis=0) - np.median(light, axis=0)
    return {
        **_percentiles(item, ""),
        **_percentiles(light, "light_"),
        **{f"to_light_{name}": float(value) for name, value in zip("Lab", to_light, strict=True)},
        **_main_colours(item),
        **_kinds(item),
        "item_share": float(view.item.mean()),
    }


def main_colours(lab: Floats, count: int = CLUSTERS) -> tuple[Floats, Floats]:
    """Return the main colours (count, 3) of pixels (n, 3) and their shares (count), the largest first.

    k-means in CIELAB with a fixed seed, so that the same photo always gives the same palette. Of many pixels, CLUSTERED
    evenly spread ones are looked at. Of fewer colours than `count` the first ones stand again, with a share of 0.
    """
    lab = lab[np.linspace(0, len(lab) - 1, min(CLUSTERED, len(lab))).astype(int)]
    number = min(count, len(np.unique(lab, axis=0)))
    # so few pixels are divided sooner by one thread than shared among several
    with threadpool_limits(1):
        found = KMeans(number, n_init=1, random_state=0).fit(lab)
    shares = np.bincount(found.labels_, minlength=count) / len(lab)
    order = np.argsort(-shares, kind="stable")
    return np.resize(found.cluster_centers_[order[:number]], (count, 3)), shares[order].astype(np.float32)


def _main_colours(lab: Floats) -> dict[str, float]:
    centres, shares = main_colours(lab)
    numbers: dict[str, float] = {}
    for place, (centre, share) in enumerate(zip(centres, shares, strict=True), start=1):
        figures = [*centre, chroma(centre), share]
        names = ("L", "a", "b", "chroma", "share")
        numbers |= {f"main{place}_{name}": float(value) for name, value in zip(names, figures, strict=True)}
    return numbers


def _kinds(lab: Floats) -> dict[str, float]:
    strength, angle = chroma(lab), hue(lab)
    hues = np.where(strength >= COLOURFUL_FROM, angle * HUE_SECTORS // 360, -1)
    greys = np.where(strength <= GREY_UP_TO, np.minimum(lab[:, 0] * GREY_LEVELS // 100, GREY_LEVELS - 1), -1)
    by_hue = {
        f"hue_{360 // HUE_SECTORS * sector}": float((hues == sector).mean()) for sector in range(HUE_SECTORS)
    }
    by_grey = {
        f"grey_{100 * level // GREY_LEVELS}": float((greys == level).mean()) for level in range(GREY_LEVELS)
    }
    return by_hue | by_grey


def _percentiles(lab: Floats, prefix: str) -> dict[str, float]:
    channels = {"L": lab[:, 0], "a": lab[:, 1], "b": lab[:, 2], "chroma": chroma(lab)}
    return {
        f"{prefix}{name}_p{level}": float(value)
        for name, values in channels.items()
        for level, value in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)
    }
