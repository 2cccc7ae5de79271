"""Labels that are likely wrong: what a photo is called, against what all others say it is.

    found = suspects(photos, features_of(release, photos))      # the likeliest first
    write_pages(found, photos, Path("photos"), Path("runs/labels"))

For each head a logistic regression on a release's features learns from four fifths of the photos what the last fifth is, so
that no photo speaks for its own label; groups stay together. Of these held-out probabilities cleanlab (Northcutt, Jiang and
Chuang 2021, "Confident Learning", Journal of Artificial Intelligence Research 70) makes which labels are likely wrong.
"""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from tqdm import tqdm

import decoder
from model.serving import cuda
from model.serving.classes import DataError
from model.serving.predictor import Predictor
from model.serving.releases import Release
from model.training.data import MAX_MEGAPIXELS, Photos, serving_pixels
from model.training.labels import UNKNOWN
from replacing import replacing

HEADS: Final = ("sub", "background", "colour")
"""What is looked into; a main category is wrong only where its sub-category is."""

FOLDS: Final = 5
FEWEST: Final = 50
"""Labelled photos that a head needs: of fewer nothing can be said."""

STRENGTH: Final = 0.1
"""How much the regression may trust single features (scikit-learn's C)."""

AT_ONCE: Final = 64
PICTURES: Final = 500
"""Suspects with a picture on the page; the table has all."""

THUMBNAIL: Final = 160
LIMITS: Final = decoder.Limits(megapixels=MAX_MEGAPIXELS)

COLUMNS: Final = ("file", "head", "label", "suggested", "label_probability", "suggested_probability")


@dataclass(frozen=True)
class Suspect:
    """A label that is likely wrong, what it may be instead, and how probable both are."""

    photo: int
    """Its index."""
    head: str
    label: str
    suggested: str
    label_probability: float
    suggested_probability: float


def features_of(release: Release, photos: Photos, *, progress: bool = True) -> np.ndarray:
    """What a release sees of photos: its pooled features and its scores, float32 (N, …). Raises ReleaseError."""
    predictor = Predictor(release)
    network = predictor if predictor.makes_features else cuda.open_network(release, "cpu")
    pixels = serving_pixels(photos)
    steps = range(0, len(pixels), AT_ONCE)
    parts = []
    for start in tqdm(steps, desc="looking at photos", disable=not progress, leave=False):
        scores = (network.scores if isinstance(network, Predictor) else network.run)(
            pixels[start : start + AT_ONCE]
        )
        parts.append(np.hstack([value.reshape(len(value), -1) for value in scores.values()]))
    return np.concatenate(parts).astype(np.float32)


def suspects(photos: Photos, features: np.ndarray) -> list[Suspect]:
    """The labels that are likely wrong, the likeliest first. Raises DataError where there is too little to go by."""
    found: list[Suspect] = []
    examined = False
    for head in HEADS:
        known = np.flatnonzero(photos.labels(head) != UNKNOWN)
        if len(known) < FEWEST or len(np.unique(photos.labels(head)[known])) < 2:
            continue
        examined = True
        found += _of_head(head, photos.take(known), features[known], known)
    if not examined:
        raise DataError(f"No head has {FEWEST} labels of two classes or more: there is too little to go by.")
    return sorted(found, key=lambda suspect: suspect.label_probability)


def write_pages(found: Sequence[Suspect], photos: Photos, folder: Path, out: Path) -> list[Path]:
    """Write the suspects as a table and as a page with their pictures; returns both files."""
    out.mkdir(parents=True, exist_ok=True)
    table, page = out / "suspects.csv", out / "index.html"
    with replacing(table) as new, new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in found:
            chances = (f"{one.label_probability:.4f}", f"{one.suggested_probability:.4f}")
            writer.writerow([photos.files[one.photo], one.head, one.label, one.suggested, *chances])
    figures = "\n".join(_figure(one, photos, folder) for one in found[:PICTURES])
    more = f"<p>The table has {len(found) - PICTURES} more.</p>" if len(found) > PICTURES else ""
    text = PAGE.format(folder=html.escape(str(folder)), count=len(found), figures=figures, more=more)
    with replacing(page) as new:
        new.write_text(text, encoding="utf-8", errors="backslashreplace")
    return [table, page]


def _of_head(head: str, photos: Photos, features: np.ndarray, numbers: np.ndarray) -> list[Suspect]:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    names = photos.classes.names(head)
    present, labels = np.unique(photos.labels(head), return_inverse=True)
    probable = _held_out(features, labels, photos)
    wrong = np.flatnonzero(find_label_issues(labels, probable, n_jobs=1))
    quality = get_label_quality_scores(labels, probable, method="self_confidence")
    other = np.where(np.arange(len(present)) == labels[:, None], -1, probable).argmax(1)
    return [
        Suspect(
            photo=int(numbers[i]),
            head=head,
            label=names[present[labels[i]]],
            suggested=names[present[other[i]]],
            label_probability=float(quality[i]),
            suggested_probability=float(probable[i, other[i]]),
        )
        for i in wrong
    ]


def _held_out(features: np.ndarray, labels: np.ndarray, photos: Photos) -> np.ndarray:
    """Each photo's probabilities by those of other groups: float (N, classes)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probable = np.full((len(labels), labels.max() + 1), 1e-6)
    for learn, held_out in photos.folds(min(FOLDS, len(np.unique(photos.groups())))):
        if len(np.unique(labels[learn])) < 2:
            continue
        model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=300))
        model.fit(features[learn], labels[learn])
        probable[np.ix_(held_out, model[-1].classes_)] += model.predict_proba(features[held_out])
    result: np.ndarray = probable / probable.sum(1, keepdims=True)
    return result


PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Labels that may be wrong</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
main {{ display: flex; flex-wrap: wrap; gap: 1rem }}
figure {{ margin: 0; width: 160px; font-size: 14px; overflow-wrap: anywhere }}
</style>
</head>
<body>
<h1>Labels that may be wrong</h1>
<p>{count} in {folder}, the likeliest first: what the photo is called, and what the other photos say it is.</p>
<main>
{figures}
</main>
{more}
</body>
</html>
"""


def _figure(one: Suspect, photos: Photos, folder: Path) -> str:
    """A picture and what is said of it."""
    name = str(photos.files[one.photo])
    content = io.BytesIO()
    decoder.read((folder / name).read_bytes(), within=THUMBNAIL, limits=LIMITS).save(
        content, "JPEG", quality=72
    )
    source = base64.b64encode(content.getvalue()).decode()
    address = (folder / name).absolute().as_uri()
    said = (
        f"{one.head}: <s>{html.escape(one.label)}</s> {100 * one.label_probability:.0f} %, "
        f"<b>{html.escape(one.suggested)}</b> {100 * one.suggested_probability:.0f} %"
    )
    picture = f'<img src="data:image/jpeg;base64,{source}" alt="">'
    caption = f"<figcaption>{said}<br><bdi>{html.escape(name)}</bdi></figcaption>"
    return f'<figure><a href="{html.escape(address)}">{picture}</a>{caption}</figure>'
