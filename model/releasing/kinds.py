"""How good answers are for each kind of photo, and how far a promise holds there.

rows = by_kind(probable, photos, classes, filed)   # kind → its figures
print(as_table(rows))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from model.releasing.evaluate import chosen
from model.scoring import calibration_error, macro, per_class
from model.serving.answers import HALF
from model.serving.classes import HEADS, Classes
from model.training.data import Photos
from model.training.labels import CLOTHING, NO_CLOTHING, UNKNOWN

COLUMNS: Final = {
    "photos": "photos",
    "main": "main",
    "sub": "sub",
    "f1": "F1",
    "calibration_error": "ECE",
    "filed": "filed",
    "right": "right",
    "garments_bare": "bare?",
    "none_reviewed": "none rev.",
    "none_bare": "none bare",
    "background": "backgr.",
    "passed": "passed",
    "refused": "refused",
    "colour": "colour",
    "colour_agreed": "agreed",
}
"""Figure → its title in a table."""


def by_kind(
    probable: Mapping[str, np.ndarray], photos: Photos, classes: Classes, filed: np.ndarray
) -> dict[str, dict[str, float]]:
    """Every kind's figures; NaN where no photo of the kind has the label that it takes.

    filed: bool (N,), which photos are filed without a person. `filed` and `right` are shares of the garments whose
    sub-category is known, and of those of them that are filed. `garments_bare`: garments suspected to show no clothing.
    `none_reviewed`, `none_bare`: photos without clothing that a person sees, and that are suspected. `passed`,
    `refused`: acceptable backgrounds that pass, and others that do not. `colour_agreed`: where all labellers agree.
    """
    given = {head: chosen(head, probable, classes) for head in HEADS}
    bare = probable["clothing"] < HALF
    return {
        kind: _figures(photos.kind == kind, given, bare, filed, probable["sub"], photos, classes)
        for kind in np.unique(photos.kind.astype(str))
    }


def as_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """The figures as a table for the terminal."""
    lines = [f"{'kind':<14}" + "".join(f"{title:>10}" for title in COLUMNS.values())]
    for kind, row in rows.items():
        cells = [
            "" if np.isnan(row[name]) else f"{row[name]:.{0 if name == 'photos' else 3}f}" for name in COLUMNS
        ]
        lines.append(f"{kind:<14}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)


def _figures(
    here: np.ndarray,
    given: Mapping[str, np.ndarray],
    bare: np.ndarray,
    filed: np.ndarray,
    sub: np.ndarray,
    photos: Photos,
    classes: Classes,
) -> dict[str, float]:
    known = {head: here & (photos.labels(head) != UNKNOWN) & (head in classes.heads) for head in given}
    subs, agreed = known["sub"], known["colour"] & photos.agreed
    right = given["sub"] == photos.sub
    garments, none = here & (photos.clothing == CLOTHING), here & (photos.clothing == NO_CLOTHING)
    good, bad = (known["background"] & (photos.background == quality) for quality in (0, 1))
    return {
        "photos": float(here.sum()),
        "main": _share(given["main"] == photos.main, known["main"]),
        "sub": _share(right, subs),
        "f1": macro(per_class(photos.sub[subs], given["sub"][subs], classes.subs), "f1")
        if subs.any()
        else np.nan,
        "calibration_error": calibration_error(sub.max(1)[subs], right[subs]) if subs.any() else np.nan,
        "filed": _share(filed, subs),
        "right": _share(right, subs & filed),
        "garments_bare": _share(bare, garments),
        "none_reviewed": _share(~filed, none),
        "none_bare": _share(bare, none),
        "background": (_share(given["background"] == 0, good) + _share(given["background"] == 1, bad)) / 2,
        "passed": _share(given["background"] == 0, good),
        "refused": _share(given["background"] == 1, bad),
        "colour": _share(given["colour"] == photos.colour, known["colour"]),
        "colour_agreed": _share(given["colour"] == photos.colour, agreed),
    }


def _share(flags: np.ndarray, among: np.ndarray) -> float:
    """The share of flags that are set where `among` is; NaN where it is nowhere."""
    return float(flags[among].mean()) if among.any() else float("nan")
