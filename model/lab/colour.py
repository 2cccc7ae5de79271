"""colour: the colours of every photo as numbers, for the whole frame and for the item alone.

Writes four tables below OUT/features/: colour-frame.csv and colour-item.csv with the 18 colour features (mean and
standard deviation of each channel in RGB, HSV and CIELAB), palette.csv with how much of the item lies in which
part of CIELAB, and picture.csv with the background alone, 32 × 32 pixels small. Run `extract` first: the masks come
from there. Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

import numpy as np

from model.lab.cielab import chroma, to_hsv, to_lab

if TYPE_CHECKING:
    from model.lab.cielab import Floats, Pixels
    from model.lab.view import View

FIGURES: Final = tuple(
    f"{space}_{channel}_{figure}"
    for space in ("rgb", "hsv", "lab")
    for figure in ("mean", "std")
    for channel in space
)
"""Names of the 18 colour features, in order."""

LIGHTNESS_EDGES: Final = np.linspace(0, 100, 9)
A_EDGES: Final = np.array([-128, -30, -18, -9, -3, 3, 9, 18, 30, 45, 128])
B_EDGES: Final = np.array([-128, -40, -26, -15, -8, -3, 3, 9, 18, 30, 45, 128])
"""The palette's cells: fine around grey, where colour names change quickly, and coarse where colours are strong."""

PERCENTILES: Final = (5, 15, 25, 50, 75, 85, 95)

STEP: Final = 2
"""Every STEP-th pixel of every STEP-th row is counted: a quarter of the time, and no figure changes noticeably."""

LEAST_BACKGROUND: Final = 0.02
"""Below this share of the frame the background says nothing about the light; the whole frame does."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    from model.lab.features import add_table_arguments

    add_table_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Write the tables."""
    from model.lab.features import write_tables

    write_tables(
        options.photos, options.out, ["colour-frame", "colour-item", "palette", "picture"], options.workers
    )
    return 0


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
    figures = np.concatenate([figure(space, axis=0) for space in channels for figure in (np.mean, np.std)])
    return dict(zip(FIGURES, figures.tolist(), strict=True))


def palette(view: View) -> dict[str, float]:
    """Return the item's palette, and the light it was seen in.

    `cell_*`: square root of the item's share in each occupied-or-not cell of CIELAB (the root makes the distance
    between two palettes Hellinger's, 1909). `L_p5` … `chroma_p95`: percentiles of the item. `light_*`: percentiles of
    the background, which tell a white shirt in the shade from a grey one. `variety`: the palette's entropy, in bits.
    """
    lab = to_lab(view.pixels[::STEP, ::STEP])
    item = lab[view.item[::STEP, ::STEP]]
    around = view.background[::STEP, ::STEP]
    ground = lab[around] if around.mean() >= LEAST_BACKGROUND else lab.reshape(-1, 3)
    counts, _ = np.histogramdd(item, bins=[LIGHTNESS_EDGES, A_EDGES, B_EDGES])
    shares = counts.ravel() / max(1.0, counts.sum())
    present = shares[shares > 0]
    return {
        **{f"cell_{index}": float(root) for index, root in enumerate(np.sqrt(shares))},
        **_percentiles(item, ""),
        **_percentiles(ground, "light_"),
        "variety": float(-(present * np.log2(present)).sum()),
        "item_share": float(view.item.mean()),
    }


def _percentiles(lab: Floats, prefix: str) -> dict[str, float]:
    channels = {"L": lab[:, 0], "a": lab[:, 1], "b": lab[:, 2], "chroma": chroma(lab)}
    return {
        f"{prefix}{name}_p{level}": float(value)
        for name, values in channels.items()
        for level, value in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)
    }
