"""The lab's plots, for the pages and the notebook: each function returns a matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from model.drawing import draw_confusion, draw_coverage, draw_reliability, new_figure
from model.lab.numbers.cielab import CREAM_CHROMA, CREAM_HUES, WHITE_CHROMA

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from model.scoring import Scores

COLOURS: Final = {
    "black": "#111111",
    "grey": "#8a8a8a",
    "white": "#d9d9d9",
    "beige": "#d8c29d",
    "brown": "#7a4a25",
    "red": "#c8102e",
    "orange": "#f28c28",
    "yellow": "#f2c80f",
    "green": "#2e8b57",
    "blue": "#1f5fbf",
    "purple": "#7b3fa0",
    "pink": "#ee82a8",
    "multi": "#00b3b3",
    "acceptable": "#1b7f3b",
    "unacceptable": "#c0392b",
}
"""What each answer is drawn in."""


def confusion(scores: Scores) -> Figure:
    """How often each class got each answer."""
    size = 2.2 + 0.5 * len(scores.names)
    figure, axes = new_figure(size + 0.8, size)
    draw_confusion(axes, scores)
    return figure


def reliability(scores: Scores) -> Figure:
    """Probability against truth by bins, and how many photos have which probability."""
    figure, (left, right) = new_figure(8, 3.2, 2)
    draw_reliability(left, scores)
    told = [scores.confidence[scores.right], scores.confidence[~scores.right]]
    right.hist(told, np.linspace(0, 1, 21), stacked=True, label=["right", "wrong"])
    right.set(xlabel="probability", ylabel="photos")
    right.legend(loc="upper left")
    return figure


def coverage(scores: Scores) -> Figure:
    """How wrong the surest photos are, against their share."""
    figure, axes = new_figure(5, 3.2)
    draw_coverage(axes, scores)
    return figure


def importance(table: pd.DataFrame, count: int = 20) -> Figure:
    """The features whose shuffling costs the most balanced accuracy."""
    top = table.head(count)[::-1]
    figure, axes = new_figure(6, 0.8 + 0.24 * len(top))
    axes.barh(top["feature"], top["mean"], xerr=top["std"], color="#1f5fbf", error_kw={"elinewidth": 0.8})
    axes.set_xlabel("balanced accuracy lost when shuffled")
    return figure


def ab_plane(points: Mapping[str, npt.NDArray[Any]], title: str = "") -> Figure:
    """Points (n, 2) on the a*b* plane by name, with the regions of white and cream."""
    figure, axes = new_figure(5.4, 5)
    regions(axes)
    for name, where in points.items():
        axes.scatter(
            where[:, 0], where[:, 1], s=9, alpha=0.5, label=f"{name} ({len(where)})", color=COLOURS.get(name)
        )
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8, loc="lower left")
    return figure


def class_counts(counts: pd.DataFrame) -> Figure:
    """How many photos each class (row) has, stacked by the columns (learned from and held out, say)."""
    figure, axes = new_figure(6.4, 1.0 + 0.26 * len(counts))
    left = np.zeros(len(counts))
    for column, shade in zip(counts.columns, ("#1f5fbf", "#f28c28", "#8a8a8a"), strict=False):
        axes.barh(counts.index[::-1], counts[column][::-1], left=left, color=shade, label=column)
        left += counts[column][::-1].to_numpy()
    for place, total in enumerate(left):
        axes.text(total, place, f" {int(total)}", va="center", fontsize=8)
    axes.set(xlabel="photos", xlim=(0, 1.12 * max(1, left.max(initial=0))))
    figure.legend(fontsize=8, loc="outside lower right", ncols=counts.shape[1])
    return figure


def correlations(table: pd.DataFrame) -> Figure:
    """Pearson's correlation of every two columns (n, n): red together, blue against each other."""
    size = 2 + 0.17 * len(table)
    figure, axes = new_figure(size + 0.8, size)
    image = axes.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(len(table)), table.columns, rotation=90, fontsize=7)
    axes.set_yticks(range(len(table)), table.index, fontsize=7)
    figure.colorbar(image, ax=axes, shrink=0.5, label="correlation")
    return figure


def regions(axes: Axes) -> None:
    """Draw where white and cream lie on the a*b* plane (their lightness is left out)."""
    angles = np.radians(np.linspace(0, 360, 181))
    axes.fill(
        WHITE_CHROMA * np.cos(angles), WHITE_CHROMA * np.sin(angles), color="#f4f4f4", ec="#999999", zorder=0
    )
    arc = np.radians(np.linspace(*CREAM_HUES, 60))
    outline = np.concatenate(
        [
            CREAM_CHROMA * np.stack([np.cos(arc), np.sin(arc)], 1),
            WHITE_CHROMA * np.stack([np.cos(arc), np.sin(arc)], 1)[::-1],
        ]
    )
    axes.fill(*outline.T, color="#fff3d6", ec="#c9a44c", zorder=0)
    axes.text(0, 0, "white", ha="center", va="center", fontsize=8)
    middle = np.radians(np.mean(CREAM_HUES))
    radius = (WHITE_CHROMA + CREAM_CHROMA) / 2
    axes.text(radius * np.cos(middle), radius * np.sin(middle), "cream", ha="center", va="center", fontsize=8)
    axes.axhline(0, color="#dddddd", zorder=0)
    axes.axvline(0, color="#dddddd", zorder=0)
    axes.set(xlabel="a*  (green to red)", ylabel="b*  (blue to yellow)", xlim=(-30, 40), ylim=(-35, 45))
    axes.set_aspect("equal")


def spread(table: pd.DataFrame, answers: Sequence[str], columns: Sequence[str]) -> Figure:
    """How each column's values are spread over the photos of each answer."""
    figure, grid = new_figure(2.6 * len(columns), 2.8, len(columns))
    truth = np.asarray(answers)
    for axes, column in zip(np.atleast_1d(grid), columns, strict=True):
        values = table[column].to_numpy(float)
        bins = np.linspace(np.nanpercentile(values, 1), np.nanpercentile(values, 99), 30).tolist()
        for name in sorted(set(answers)):
            chosen = values[truth == name]
            axes.hist(
                chosen[np.isfinite(chosen)],
                bins,
                density=True,
                alpha=0.55,
                label=name,
                color=COLOURS.get(name),
            )
        axes.set_title(column, fontsize=9)
        axes.set_yticks([])
    np.atleast_1d(grid)[0].legend(fontsize=8, loc="upper right")
    return figure
