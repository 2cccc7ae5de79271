"""The lab's judgement of one photo, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from model.drawing import new_figure
from model.lab import LabError
from model.lab.judging.judges import Judge
from model.lab.numbers.backgrounds import background_numbers
from model.lab.numbers.cielab import to_lab
from model.lab.numbers.colours import main_colours
from model.lab.pages import figures
from model.lab.photos.files import open_photo, refusal
from model.lab.photos.masks import item_mask, open_session
from model.lab.photos.view import View
from model.serving.preprocess import PhotoError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from model.lab.photos.arrays import Mask

POINTS = 3000
"""Pixels of the background that are drawn on the a*b* plane."""


def look_at(photo: Path, mask: Path | None, model: str) -> View:
    """Read a photo and find its mask. Raises LabError when a file cannot be read."""
    try:
        pixels = open_photo(photo)
        if mask is None:
            return View(photo, pixels, item_mask(open_session(model, threads=0), pixels))
        with Image.open(mask) as image:
            given: Mask = np.asarray(
                image.convert("L").resize(pixels.shape[1::-1], Image.Resampling.BILINEAR)
            )
        return View(photo, pixels, given)
    except (PhotoError, OSError) as error:
        raise LabError(refusal(error)) from error


def verdicts(view: View, judges: Sequence[Judge]) -> list[str]:
    """Return one line per judge: its answer and how sure it is."""
    lines = []
    for judge in judges:
        answers = judge.answer(view)
        guess = int(answers.guesses[0])
        lines.append(
            f"{judge.task:10} {judge.classes[guess]:13} {answers.probabilities[0, guess]:4.0%}  {judge.name}"
        )
    return lines or ["No judge has been trained yet: see `train`."]


def drawing(view: View, told: Sequence[str]) -> Figure:
    """Return the whole picture."""
    figure, grid = new_figure(15, 8.4 + 0.16 * max(0, len(told) - 16), 3, rows=2)
    (photo, mask, alone), (plane, colours, words) = grid
    for axes, title, picture in (
        (photo, view.path.name, view.pixels),
        (mask, "mask", view.mask),
        (alone, "background alone", on_chequers(view)),
    ):
        axes.imshow(picture, cmap="gray")
        axes.set_title(title[-40:], fontsize=10)
        axes.set_axis_off()
    plot_background(plane, view)
    plot_main_colours(colours, view)
    words.set_axis_off()
    words.text(0, 1, "\n".join([*facts(view), "", *told]), family="monospace", fontsize=8, va="top")
    return figure


def on_chequers(view: View) -> np.ndarray[Any, Any]:
    """Return the background alone, on the grey chequers that stand for transparency."""
    side = view.mask.shape[0]
    chequers = 170 + 40 * ((np.indices(view.mask.shape) // (side // 32)).sum(0) % 2)
    return np.where(view.background[..., None], view.pixels, chequers[..., None]).astype(np.uint8)


def plot_background(axes: Any, view: View) -> None:
    """Draw the background's pixels on the a*b* plane, each in its own colour."""
    figures.regions(axes)
    pixels = view.pixels[view.background]
    if len(pixels):
        chosen = pixels[np.linspace(0, len(pixels) - 1, min(POINTS, len(pixels))).astype(int)]
        lab = to_lab(chosen)
        axes.scatter(lab[:, 1], lab[:, 2], c=chosen / 255, s=7, edgecolors="#00000022", linewidths=0.3)
    axes.set_title("the background's colours", fontsize=10)


def plot_main_colours(axes: Any, view: View) -> None:
    """Draw the item's main colours, as wide as their shares."""
    pixels = view.pixels[::4, ::4][view.item[::4, ::4]]
    lab = to_lab(pixels)
    centres, shares = main_colours(lab)
    left = 0.0
    for centre, share in zip(centres, shares, strict=True):
        nearest = pixels[np.square(lab - centre).sum(1).argmin()]
        axes.barh(0, share, left=left, color=nearest / 255, edgecolor="#777777")
        left += float(share)
    axes.set(xlim=(0, 1), xlabel="share of the item", yticks=[])
    axes.set_title("the item's main colours", fontsize=10)


def facts(view: View) -> list[str]:
    """Return the background's figures that decide most."""
    numbers = background_numbers(view.pixels, view.mask)
    return [
        f"background  {numbers['share']:.0%} of the frame",
        f"            {numbers['white']:.0%} white, {numbers['cream']:.0%} cream, {numbers['other']:.0%} other",
        f"L* {numbers['L_mean']:.0f}  C*ab {numbers['chroma_mean']:.1f}  uniformity {numbers['uniformity']:.2f}",
    ]
