"""How good a release is, as numbers and as pictures.

probable, filed = judge(scores, classes, 0.97)         # as a night would, by the photos' kinds
report = evaluate(probable, photos, classes)           # numbers, ready for metrics.json
write_pages(report, probable, photos, Path("report"))  # confusion matrices, curves, worst mistakes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from model.scoring import Figure, Scores, accuracy, balanced_accuracy, macro, percentiles, resampled
from model.serving.answers import HALF, equally_likely, probabilities
from model.serving.classes import FEATURES, HEADS, LOOKS, TWO_CLASSES, Classes
from model.serving.familiar import Familiar, Seen
from model.training.data import Photos
from model.training.labels import UNKNOWN


def judge(
    scores: Mapping[str, np.ndarray], classes: Classes, precision: float, familiar: Familiar | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Every head's probabilities, and which photos are filed without a person at a promised precision, bool (N,).

    The rule of model.serving.answers.decode, whose arguments these are, for many photos at once.
    """
    seen = familiar.look(scores[FEATURES]) if familiar and FEATURES in scores else None
    probable: dict[str, np.ndarray] = {}
    filed = np.zeros(len(scores["sub"]), bool)
    for here, own in _kinds(seen, classes, len(filed)):
        found = probabilities({name: values[here] for name, values in scores.items()}, own)
        filed[here] = _filed(found, own, precision)
        for name, values in found.items():
            probable.setdefault(name, np.zeros((len(filed), *values.shape[1:])))[here] = values
    return probable, filed & ~seen.far if seen else filed


def doubted(
    scores: Mapping[str, np.ndarray], classes: Classes, familiar: Familiar | None = None
) -> dict[str, np.ndarray]:
    """Whose answers are doubted, though that moves nothing: the heads of LOOKS that were trained → bool (N,)."""
    seen = familiar.look(scores[FEATURES]) if familiar and FEATURES in scores else None
    found: dict[str, np.ndarray] = {
        head: np.zeros(len(scores["sub"]), bool) for head in LOOKS if head in classes.heads
    }
    for here, own in _kinds(seen, classes, len(scores["sub"])):
        probable = probabilities({name: values[here] for name, values in scores.items()}, own)
        for head, flags in found.items():
            flags[here] = probable[head].max(1) < own.doubts.get(head, 0.0)
    return found


def _kinds(seen: Seen | None, classes: Classes, number: int) -> Iterator[tuple[np.ndarray, Classes]]:
    """For each kind of photo: which of `number` photos are of it, bool (N,), and its temperatures and thresholds."""
    kinds = seen.kind.astype(str) if seen else np.full(number, "")
    for kind in np.unique(kinds):
        yield kinds == kind, classes.of_kind(kind)


def evaluate(
    probable: Mapping[str, np.ndarray], photos: Photos, classes: Classes
) -> dict[str, dict[str, Any]]:
    """Every trained head's scores on photos: head → accuracy with its 95 % interval, top-3, macro scores, per class.

    Photos without a label for a head do not count for it. The background head's `score` is its balanced
    accuracy, the others' their accuracy.
    """
    found = scores_of_heads(probable, photos, classes)
    return {head: _figures(head, found[head]) if head in found else {"photos": 0} for head in classes.heads}


def scores_of_heads(
    probable: Mapping[str, np.ndarray], photos: Photos, classes: Classes
) -> dict[str, Scores]:
    """Every trained head's answers to the photos that have a label for it; without heads for which none has."""
    groups, found = photos.groups(), {}
    for head in classes.heads:
        known = photos.labels(head) != UNKNOWN
        if known.any():
            found[head] = Scores(
                photos.labels(head)[known],
                probable[head][known],
                classes.names(head),
                groups[known],
                chosen(head, probable, classes)[known],
            )
    return found


def _figures(head: str, scores: Scores) -> dict[str, Any]:
    """A head's figures; its `score` is the one that counts."""
    figure: Figure = "balanced_accuracy" if head == "background" else "accuracy"
    return {
        "photos": len(scores.labels),
        "score": getattr(scores, figure),
        "interval": list(scores.interval(figure)),
        "accuracy": scores.accuracy,
        "top3": scores.within(3),
        "precision": macro(scores.per_class, "precision"),
        "recall": macro(scores.per_class, "recall"),
        "f1": scores.macro_f1,
        "calibration_error": scores.calibration_error,
        "classes": scores.per_class,
    }


def chosen(head: str, probable: Mapping[str, np.ndarray], classes: Classes) -> np.ndarray:
    """The class each photo is given by every head's probabilities: int64 (N,); the rule of model.serving.answers.decode."""
    if head == "main":
        main_of_sub = np.array([classes.mains.index(classes.main_of[sub]) for sub in classes.subs])
        mains: np.ndarray = main_of_sub[probable["sub"].argmax(1)]
        return mains
    result: np.ndarray = probable[head].argmax(1)
    return result


def review(
    probable: Mapping[str, np.ndarray], filed: np.ndarray, photos: Photos, classes: Classes, precision: float
) -> dict[str, float | None]:
    """What filing at a promised precision does: share filed without a person, and the precision among them, if any."""
    known = photos.sub != UNKNOWN
    right = (chosen("sub", probable, classes) == photos.sub)[filed & known]
    return {
        "promised": precision,
        "filed": float(filed[known].mean()) if known.any() else 0.0,
        "precision": float(right.mean()) if len(right) else None,
    }


def in_words(row: Mapping[str, float | None]) -> str:
    """What `review` found, as a sentence."""
    promised, filed, precision = row["promised"] or 0.0, row["filed"] or 0.0, row["precision"]
    if precision is None:
        return f"At REVIEW_PRECISION={promised:g} no photo would be filed: all would wait for a person."
    return (
        f"At REVIEW_PRECISION={promised:g}: {filed:.1%} of the photos would be filed without a person, {precision:.1%} of "
        f"these rightly; {1 - filed:.1%} would wait for one."
    )


def doubts(
    flags: Mapping[str, np.ndarray], probable: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float | None]]:
    """What `doubted` leaves: for each head, the share of photos with a doubt, and how often answers without are right.

    `any` is the share of photos with a doubt about either. Where there are two classes, both count the same.
    """
    some = np.any(list(flags.values()), axis=0) if flags else np.zeros(0, bool)
    table: dict[str, dict[str, float | None]] = {"any": {"share": float(some.mean()) if len(some) else 0.0}}
    for head, flag in flags.items():
        sure = ~flag & (labels[head] != UNKNOWN)
        measure = balanced_accuracy if head in TWO_CLASSES else accuracy
        right = measure(labels[head][sure], probable[head][sure].argmax(1)) if sure.any() else None
        table[head] = {"share": float(flag.mean()), "right": right}
    return table


def _filed(probable: Mapping[str, np.ndarray], classes: Classes, precision: float) -> np.ndarray:
    """Which photos are filed without a person, as far as the heads say: bool (N,)."""
    given, mains = chosen("sub", probable, classes), chosen("main", probable, classes)
    sub_sure = probable["sub"][np.arange(len(given)), given]
    main_sure = probable["main"][np.arange(len(given)), mains]
    sure = (sub_sure >= classes.threshold("sub", precision)) & (
        main_sure >= classes.threshold("main", precision)
    )
    filed: np.ndarray = sure & (probable["clothing"] >= HALF) & ~equally_likely(probable["sub"])
    return filed


def compare(
    one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], photos: Photos, again: Photos
) -> dict[str, dict[str, float]]:
    """Two releases on the same photos: each head's accuracy, the gain's 95 % interval, McNemar's exact p.

    `photos` and `again` are the same photos, each with the classes of its release.
    """
    from scipy.stats import binomtest

    first, second = photos.classes, again.classes
    probable = probabilities(one, first), probabilities(other, second)
    groups = photos.groups()
    result: dict[str, dict[str, float]] = {}
    for head in (head for head in HEADS if head in first.heads and head in second.heads):
        labels = photos.labels(head)
        known = labels != UNKNOWN
        if not known.any():
            continue
        a = chosen(head, probable[0], first)[known] == labels[known]
        b = chosen(head, probable[1], second)[known] == again.labels(head)[known]
        only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
        gains, number = resampled(np.stack([1.0 * b - a, np.ones(len(a))], axis=1), groups[known]).T
        low, high = percentiles(gains / number)
        result[head] = {
            "photos": len(a),
            "first": float(a.mean()),
            "second": float(b.mean()),
            "gain_low": low,
            "gain_high": high,
            "p": float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0,
        }
    return result


def as_text(report: Mapping[str, Mapping[str, Any]]) -> str:
    """The report as a table for the terminal."""
    titles = "".join(f"{title:>7}" for title in ("top-3", "prec.", "recall", "F1", "ECE"))
    lines = [f"{'head':<12}{'photos':>7}{'score':>8}  {'95 % interval':<16}{titles}"]
    for head, row in report.items():
        if not row["photos"]:
            lines.append(f"{head:<12}{0:>7}  no labels")
            continue
        low, high = row["interval"]
        lines.append(
            f"{head:<12}{row['photos']:>7}{row['score']:>8.3f}  {low:.3f} to {high:.3f}  {row['top3']:>7.3f}"
            f"{row['precision']:>7.3f}{row['recall']:>7.3f}{row['f1']:>7.3f}{row['calibration_error']:>7.3f}"
        )
    for head, row in report.items():
        lines += ["", f"{head}: {'class':<16}{'photos':>7}{'prec.':>7}{'recall':>7}{'F1':>7}"]
        lines += [
            f"{'':<{len(head) + 2}}{name:<16}{c['photos']:>7}{c['precision']:>7.3f}{c['recall']:>7.3f}{c['f1']:>7.3f}"
            for name, c in row.get("classes", {}).items()
        ]
    return "\n".join(lines)
