"""What a photo's background looks like, in numbers: one row per photo.

    row = background_numbers(pixels, mask)      # {"share": 0.61, "L_mean": 88.2, ..., "border_white": 0.93,
    ...}

All colours are CIELAB (see `cielab`); every second pixel of every second row is counted, which changes no
figure noticeably and takes a quarter of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from model.lab.numbers.cielab import chroma, difference, is_cream, is_white, to_lab
from model.lab.photos.masks import is_background

if TYPE_CHECKING:
    from model.lab.photos.arrays import Flags, Floats, Mask, Pixels

PERCENTILES: Final = (5, 15, 25, 50, 75, 85, 95)

UNIFORM_WITHIN: Final = 10.0
"""ΔE*ab from the background's median colour up to which a pixel counts as the same colour."""

BORDER: Final = 0.06
"""Width of the strip along the frame's edges that the border figures look at, as a share of the side."""

BLOCKS: Final = 6
"""The frame is also looked at in BLOCKS × BLOCKS fields, the worst of which are reported."""

BLOCK_FILLED: Final = 0.25
"""A field counts when at least this share of it is background."""

STEP: Final = 2
"""Every STEP-th pixel of every STEP-th row is counted."""


def background_numbers(pixels: Pixels, mask: Mask) -> dict[str, float]:
    """Return the background's statistics: `pixels` (height, width, 3), `mask` (height, width), 255 = item.

    `share` is the background's part of the frame, 0..1. A figure that has no pixels to be computed from is
    NaN.
    """
    lab = to_lab(pixels[::STEP, ::STEP])
    background = is_background(mask[::STEP, ::STEP])
    inside = lab[background]
    return {
        "share": float(background.mean()),
        **_spread(inside),
        **_kinds(inside),
        **_evenness(lab, background),
        **_border(lab, background),
        **_worst_fields(lab, background),
    }


def _spread(lab: Floats) -> dict[str, float]:
    """Mean, standard deviation and percentiles of L*, a*, b* and C*ab over the pixels (n, 3)."""
    channels = {"L": lab[:, 0], "a": lab[:, 1], "b": lab[:, 2], "chroma": chroma(lab)}
    numbers = {}
    for name, values in channels.items():
        known = values.size > 0
        levels = np.percentile(values, PERCENTILES) if known else np.full(len(PERCENTILES), np.nan)
        numbers[f"{name}_mean"] = float(values.mean()) if known else np.nan
        numbers[f"{name}_std"] = float(values.std()) if known else np.nan
        numbers |= {
            f"{name}_p{level}": float(value) for level, value in zip(PERCENTILES, levels, strict=True)
        }
    return numbers


def _kinds(lab: Floats, prefix: str = "") -> dict[str, float]:
    """Shares of the pixels (n, 3) that are white, cream, and neither."""
    if not len(lab):
        return {f"{prefix}{kind}": np.nan for kind in ("white", "cream", "other")}
    white, cream = float(is_white(lab).mean()), float(is_cream(lab).mean())
    return {f"{prefix}white": white, f"{prefix}cream": cream, f"{prefix}other": 1 - white - cream}


def _evenness(lab: Floats, background: Flags) -> dict[str, float]:
    """How even the background is.

    `uniformity`: share of its pixels within UNIFORM_WITHIN of its median colour. `texture`: mean ΔE*ab
    between horizontal and vertical neighbours that are both background.
    """
    inside = lab[background]
    if not len(inside):
        return {"uniformity": np.nan, "texture": np.nan}
    same = difference(inside, np.median(inside, axis=0)) <= UNIFORM_WITHIN
    steps = np.concatenate(
        [
            difference(lab[1:], lab[:-1])[background[1:] & background[:-1]],
            difference(lab[:, 1:], lab[:, :-1])[background[:, 1:] & background[:, :-1]],
        ]
    )
    return {"uniformity": float(same.mean()), "texture": float(steps.mean()) if steps.size else np.nan}


def _border(lab: Floats, background: Flags) -> dict[str, float]:
    """The same for the strip along the frame's edges, where the item seldom is, whatever the mask says."""
    width = max(1, round(BORDER * min(background.shape)))
    strip = np.ones_like(background)
    strip[width:-width, width:-width] = False
    seen = lab[strip & background]
    known = len(seen) > 0
    means = seen.mean(axis=0) if known else np.full(3, np.nan)
    stds = seen.std(axis=0) if known else np.full(3, np.nan)
    numbers = {"border_share": float(background[strip].mean())}
    for index, name in enumerate("Lab"):
        numbers |= {f"border_{name}_mean": float(means[index]), f"border_{name}_std": float(stds[index])}
    return numbers | _kinds(seen, "border_")


def _worst_fields(lab: Floats, background: Flags) -> dict[str, float]:
    """The darkest, the most colourful and the least white-or-cream of the frame's fields.

    A picture on the wall or a corner of the bed is a small share of the whole, but fills a field.
    """
    fine = is_white(lab) | is_cream(lab)
    colourful = chroma(lab)
    darkest, strongest, least, fields = [], [], [], 0
    for rows in np.array_split(np.arange(lab.shape[0]), BLOCKS):
        for columns in np.array_split(np.arange(lab.shape[1]), BLOCKS):
            field = np.ix_(rows, columns)
            inside = background[field]
            if inside.mean() < BLOCK_FILLED:
                continue
            fields += 1
            darkest.append(float(lab[field][inside][:, 0].mean()))
            strongest.append(float(colourful[field][inside].mean()))
            least.append(float(fine[field][inside].mean()))
    return {
        "fields": fields / BLOCKS**2,
        "field_L_min": min(darkest, default=np.nan),
        "field_chroma_max": max(strongest, default=np.nan),
        "field_fine_min": min(least, default=np.nan),
        "field_fine_mean": float(np.mean(least)) if least else np.nan,
    }
