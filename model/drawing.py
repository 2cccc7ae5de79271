"""What an evaluation draws, for releases and for the models of the lab: each function draws scores on axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from model.scoring import Scores, calibration, coverage

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def new_figure(width: float, height: float, columns: int = 1, *, rows: int = 1) -> tuple[Figure, Any]:
    """A figure of inches × inches and its axes, drawn without a screen."""
    figure = Figure((width, height), layout="constrained")
    return figure, figure.subplots(rows, columns)


def draw_confusion(axes: Axes, scores: Scores) -> None:
    """How often each class (rows) got each answer (columns): counts, coloured by the row's share."""
    counts = scores.confusion
    shares = counts / counts.sum(1, keepdims=True).clip(1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        shade = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=shade, fontsize=7)
    places = range(len(scores.names))
    axes.set_xticks(places, scores.names, rotation=90)
    axes.set_yticks(places, scores.names)
    axes.set(xlabel="answer", ylabel="truth")


def draw_reliability(axes: Axes, scores: Scores) -> None:
    """The share of right answers against their probability, by bins."""
    probability, share, _ = calibration(scores.confidence, scores.right).T
    axes.plot([0, 1], [0, 1], color="0.7")
    axes.plot(probability, share, "o-")
    axes.set(
        title=f"reliability (calibration error {scores.calibration_error:.3f})",
        xlabel="probability",
        ylabel="share right",
    )


def draw_coverage(axes: Axes, scores: Scores) -> None:
    """The share of wrong answers among the surest photos, against how many these are."""
    axes.plot(*coverage(scores.confidence, scores.right))
    axes.set(
        title="risk and coverage", xlabel="share answered, surest first", ylabel="share wrong among them"
    )
