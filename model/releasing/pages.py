"""An evaluation as pictures and a page: confusion matrices, curves, classes, and the worst mistakes."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model.drawing import draw_confusion, draw_coverage, draw_reliability, new_figure
from model.releasing.evaluate import as_text, scores_of_heads
from model.scoring import Scores
from model.serving.classes import Classes
from model.training.data import Photos
from model.training.labels import UNKNOWN


def write_pages(
    report: Mapping[str, Mapping[str, Any]],
    probable: Mapping[str, np.ndarray],
    photos: Photos,
    classes: Classes,
    folder: Path,
) -> list[Path]:
    """Write each head's confusion matrix, reliability, risk-coverage curve and classes, and the worst mistakes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for head, scores in scores_of_heads(probable, photos, classes).items():
        written.append(_draw_head(head, scores, folder))
    written += [_draw_classes(head, row["classes"], folder) for head, row in report.items() if row["photos"]]
    worst = worst_mistakes(probable["sub"], photos.sub)
    written += [_draw_worst(worst, probable["sub"], photos, classes, folder), folder / "index.html"]
    written[-1].write_text(
        _page(report, written[:-1], worst, probable["sub"], photos, classes), encoding="utf-8"
    )
    return written


def worst_mistakes(probable: np.ndarray, labels: np.ndarray, most: int = 40) -> np.ndarray:
    """The wrong answers of which the network was surest: indices, surest first."""
    given = probable.argmax(1)
    wrong = np.flatnonzero((given != labels) & (labels != UNKNOWN))
    return wrong[np.argsort(-probable[wrong, given[wrong]], kind="stable")][:most]


def _draw_head(head: str, scores: Scores, folder: Path) -> Path:
    """One head's confusion matrix, reliability diagram and risk-coverage curve, side by side."""
    figure, (confusion, reliability, risk) = new_figure(15, 5, 3)
    draw_confusion(confusion, scores)
    confusion.set(title=f"{head}: truth (rows) and answer")
    draw_reliability(reliability, scores)
    draw_coverage(risk, scores)
    path = folder / f"{head}.png"
    figure.savefig(path, dpi=80)
    return path


def _draw_classes(head: str, table: Mapping[str, Mapping[str, float]], folder: Path) -> Path:
    """How many photos each class of a head has, and its precision, recall and F1, the most frequent class first."""
    # drawn from below
    names = sorted(table, key=lambda name: table[name]["photos"])
    figure, (counts, scores) = new_figure(12, 1.4 + 0.3 * len(names), 2)
    scores.sharey(counts)
    scores.tick_params(labelleft=False)
    counts.barh(names, [table[name]["photos"] for name in names], color="0.6")
    for place, name in enumerate(names):
        counts.text(table[name]["photos"], place, f" {table[name]['photos']}", va="center", fontsize=8)
    counts.set(title=f"{head}: photos of each class", xlabel="photos")
    counts.margins(x=0.12)
    seen = [place for place, name in enumerate(names) if table[name]["photos"]]
    for measure, mark in (("precision", ">"), ("recall", "<"), ("f1", "o")):
        values = [table[names[place]][measure] for place in seen]
        scores.plot(values, seen, mark, label="F1" if measure == "f1" else measure, alpha=0.8)
    scores.set(title=f"{head}: how right each class is", xlim=(-0.02, 1.02))
    scores.grid(axis="x", color="0.9")
    figure.legend(*scores.get_legend_handles_labels(), loc="outside lower right", ncols=3, fontsize=8)
    path = folder / f"{head}-classes.png"
    figure.savefig(path, dpi=80)
    return path


def _draw_worst(
    worst: np.ndarray, probable: np.ndarray, photos: Photos, classes: Classes, folder: Path
) -> Path:
    rows = max(1, -(-len(worst) // 8))
    figure, grid = new_figure(16, 2.4 * rows, 8, rows=rows)
    for axis, index in zip(np.ravel(grid), [*worst, *[None] * (rows * 8 - len(worst))], strict=True):
        axis.axis("off")
        if index is not None:
            axis.imshow(photos.pixels[index])
            axis.set_title(_mistake(index, probable, photos, classes), fontsize=8)
    path = folder / "worst.png"
    figure.savefig(path, dpi=80)
    return path


def _mistake(index: int, probable: np.ndarray, photos: Photos, classes: Classes) -> str:
    given = int(probable[index].argmax())
    return f"{classes.subs[photos.sub[index]]} taken for {classes.subs[given]} ({probable[index, given]:.2f})"


def _page(
    report: Mapping[str, Mapping[str, Any]],
    pictures: list[Path],
    worst: np.ndarray,
    probable: np.ndarray,
    photos: Photos,
    classes: Classes,
) -> str:
    """One HTML page that needs nothing beside it but the pictures."""
    figures = "".join(f'<img src="{p.name}" alt="{p.stem}">' for p in pictures if p.stem != "worst")
    mistakes = "".join(
        f'<figure><img src="{_thumbnail(photos.pixels[i])}" alt=""><figcaption>'
        f"{html.escape(_mistake(i, probable, photos, classes))}<br>{html.escape(str(photos.files[i]))}</figcaption></figure>"
        for i in worst
    )
    return (
        '<!doctype html><meta charset="utf-8"><title>Evaluation</title><style>body{font:15px sans-serif;margin:2em}'
        "img{max-width:100%}figure{display:inline-block;width:200px;margin:6px;vertical-align:top;font-size:12px;"
        "overflow-wrap:anywhere}</style>"
        f"<h1>Evaluation</h1><pre>{html.escape(as_text(report))}</pre>{figures}<h2>Worst mistakes</h2>{mistakes}\n"
    )


def _thumbnail(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((192, 192)).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
