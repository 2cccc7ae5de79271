"""One judge's scores, as text and as a page."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from model.lab.judging.evaluation import mistakes
from model.lab.judging.judges import ClassicalJudge, Judge
from model.lab.pages import figures
from model.lab.pages.page import Page
from model.scoring import Scores


def lines(judge: Judge, scores: Scores, on: str) -> list[str]:
    """Return the scores as text."""
    summary = scores.summary()
    low, high = summary["balanced_accuracy_interval"]
    first, last = summary["accuracy_interval"]
    return [
        f"{judge.task}: {judge.name}, {summary['photos']} photos ({on})",
        f"balanced accuracy {summary['balanced_accuracy']:.3f} (95 %: {low:.3f} to {high:.3f})",
        f"accuracy          {summary['accuracy']:.3f} (95 %: {first:.3f} to {last:.3f})",
        f"macro F1          {summary['macro_f1']:.3f}",
        f"calibration error {summary['calibration_error']:.3f}",
        f"answered at 97 %  {scores.coverage_at(0.97):.3f} of the photos, the most confident first",
        "",
        _classes(scores).to_string(float_format=lambda value: f"{value:.3f}"),
        "",
        pd.DataFrame(scores.confusion, list(scores.names), list(scores.names)).to_string(),
    ]


def page(judge: Judge, scores: Scores, files: Sequence[str], on: str) -> Page:
    """Return the scores as a page."""
    page = Page(f"{judge.task}: {judge.name}")
    for line in lines(judge, scores, on)[:6]:
        page.text(line)
    page.heading("Classes")
    page.table(_classes(scores))
    page.figure(figures.confusion(scores))
    page.heading("Confidence")
    page.figure(figures.reliability(scores))
    page.figure(figures.coverage(scores))
    if isinstance(judge, ClassicalJudge):
        page.heading("Features")
        page.figure(figures.importance(pd.read_csv(judge.folder / "importance.csv")))
        if (judge.folder / "search.csv").is_file():
            page.heading("The search for settings")
            page.table(
                pd.read_csv(judge.folder / "search.csv").query("photos == 'all'").set_index("classifier")
            )
    page.heading("The most confident mistakes")
    page.table(mistakes(scores, files))
    return page


def _classes(scores: Scores) -> pd.DataFrame:
    """Precision, recall, F1 and photos, a row a class."""
    return pd.DataFrame.from_dict(scores.per_class, orient="index")
