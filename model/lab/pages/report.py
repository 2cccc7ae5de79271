"""The figures of the notebook as a page, on one's own photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from model.lab.judging.evaluation import fold_scores, mistakes
from model.lab.judging.judges import ClassicalJudge, find_judges
from model.lab.judging.tasks import Task
from model.lab.numbers.cielab import CREAM_CHROMA, CREAM_HUES, CREAM_LIGHTNESS, WHITE_CHROMA, WHITE_LIGHTNESS
from model.lab.pages import figures
from model.lab.pages.page import Page
from model.lab.photos.files import open_photo
from model.lab.photos.store import Store

THUMBNAIL = 144


def classes(page: Page, tasks: Sequence[Task], held_out: str) -> None:
    """Show how many photos each class of each task has, those to learn from and those held out."""
    page.heading("How many photos of each class")
    for task in tasks:
        counts = class_table(task, held_out)
        page.text(f"{task.name}: {len(task.files)} photos with a sure label, of {senders(task)}.")
        page.figure(figures.class_counts(counts[["to learn from", "held out"]]))
        page.table(counts, digits=0)


def class_table(task: Task, held_out: str) -> pd.DataFrame:
    """Return the photos of each class, the most frequent first: to learn from, held out, and of how many senders."""
    answers = pd.Series(task.answers)
    held = pd.Series([file.startswith(held_out) for file in task.files])
    order = answers.value_counts().index
    counts = pd.DataFrame(
        {
            "to learn from": answers[~held].value_counts().reindex(order, fill_value=0),
            "held out": answers[held].value_counts().reindex(order, fill_value=0),
        }
    )
    if any(task.groups):
        counts["senders"] = pd.Series(task.groups).groupby(answers).nunique().reindex(order)
    return counts


def senders(task: Task) -> str:
    """Say how many senders a task's photos have."""
    return f"{len(set(task.groups))} senders" if any(task.groups) else "unknown senders"


def related(page: Page, store: Store, task: Task) -> None:
    """Show which numbers say the same as others."""
    page.heading("Which features go together")
    table = correlation(store.numbers.loc[list(task.files)])
    page.text(
        "Pearson's correlation over the photos. Two numbers near 1 or -1 tell a model the same; its importance is then "
        "shared between them."
    )
    page.figure(figures.correlations(table))
    page.table(strongest(table))


def correlation(table: pd.DataFrame) -> pd.DataFrame:
    """Return the correlation of every two columns that are not the same throughout."""
    numbers = table.select_dtypes("number")
    return numbers.loc[:, numbers.nunique() > 1].corr()


def strongest(table: pd.DataFrame, count: int = 20) -> pd.DataFrame:
    """Return the pairs of a correlation table that go together most closely, in whichever direction."""
    rows, columns = np.triu_indices(len(table), 1)
    values = table.to_numpy()[rows, columns]
    order = np.argsort(-np.abs(values), kind="stable")[:count]
    return pd.DataFrame(
        {"and": table.columns[columns[order]], "correlation": values[order]}, index=table.index[rows[order]]
    )


def looks(page: Page, store: Store, task: Task) -> None:
    """Show where the backgrounds lie in CIELAB, one point per photo."""
    page.heading("What the backgrounds look like")
    table = store.numbers.loc[list(task.files)]
    truth = np.asarray(task.answers)
    points = {
        name: table.loc[truth == name, ["a_mean", "b_mean"]].to_numpy() for name in reversed(task.classes)
    }
    page.figure(figures.ab_plane(points, "mean background colour, one point a photo"))
    page.figure(figures.spread(table, task.answers, ["L_mean", "chroma_mean", "L_std", "uniformity"]))


def boundary(page: Page, store: Store, task: Task) -> None:
    """Show what the rules for white and cream say about the labels."""
    page.heading("Where white and cream end")
    page.text(
        f"White: L* at least {WHITE_LIGHTNESS:g}, C*ab at most {WHITE_CHROMA:g}. Cream: not white, L* at least "
        f"{CREAM_LIGHTNESS:g}, C*ab at most {CREAM_CHROMA:g}, hue angle {CREAM_HUES[0]:g} to {CREAM_HUES[1]:g} degrees."
    )
    page.table(rule_table(store.numbers.loc[list(task.files)], task.answers))
    page.figure(
        figures.spread(store.numbers.loc[list(task.files)], task.answers, ["white", "cream", "other"])
    )


def rule_table(
    table: pd.DataFrame, answers: Sequence[str], limits: Sequence[float] = (0.1, 0.2, 0.3, 0.5, 0.7)
) -> pd.DataFrame:
    """Return how well the bare rule does: acceptable when at most this share is neither white nor cream."""
    good = np.asarray(answers) == "acceptable"
    lines = {}
    for limit in limits:
        said = (table["other"] <= limit).to_numpy()
        right, wrong = float(said[good].mean()), float((~said[~good]).mean())
        lines[f"at most {limit:.0%} other"] = {
            "acceptable found": right,
            "unacceptable found": wrong,
            "balanced accuracy": (right + wrong) / 2,
        }
    return pd.DataFrame(lines).T


def separating(page: Page, store: Store, task: Task) -> None:
    """Show which single numbers separate the answers best."""
    page.heading("Which features separate")
    ranking = separation(store.numbers.loc[list(task.files)], task.answers)
    page.table(ranking.head(15).to_frame("area under the ROC curve"))
    page.figure(figures.spread(store.numbers.loc[list(task.files)], task.answers, list(ranking.index[:4])))


def separation(table: pd.DataFrame, answers: Sequence[str]) -> pd.Series[float]:
    """Return each column's area under the ROC curve (Hanley and McNeil 1982), 0.5 to 1, the best first."""
    good = np.asarray(answers) == "acceptable"
    areas = {name: roc_auc_score(good, column.fillna(column.median())) for name, column in table.items()}
    return pd.Series({str(name): max(area, 1 - area) for name, area in areas.items()}).sort_values(
        ascending=False
    )


def failures(page: Page, out: Path, task: Task, photos: Path | None) -> None:
    """Show where the best classical model of a task fails on folds it has not seen."""
    judges = [judge for judge in find_judges(out, task.name) if isinstance(judge, ClassicalJudge)]
    if not judges:
        return
    best = max(judges, key=lambda judge: judge.facts["cross_validation"]["balanced_accuracy"])
    scores, files = fold_scores(best, task)
    page.heading(f"Where the best model of {task.name} fails")
    page.text(
        f"{best.name}: balanced accuracy {scores.balanced_accuracy:.3f} on {len(files)} photos of unseen senders."
    )
    page.figure(figures.confusion(scores))
    page.figure(figures.importance(pd.read_csv(best.folder / "importance.csv"), 12))
    worst = mistakes(scores, files, 18)
    if photos is None:
        page.table(worst)
        return
    page.photos(
        [
            (
                thumbnail(photos / str(file)),
                f"{row['answer']} {row['confidence']:.0%}, labelled {row['truth']}",
            )
            for file, row in worst.iterrows()
        ]
    )


def thumbnail(path: Path) -> np.ndarray:
    """Return a photo small enough for a page."""
    return open_photo(path, THUMBNAIL)
