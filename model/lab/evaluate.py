"""evaluate: one judge's scores on photos it has not seen, in the terminal, as a log and as a page.

    evaluate --list
    evaluate --labels labels.csv --photos photos/ --task background --judge "svc on background"
    evaluate --labels labels.csv --photos photos/ --task colour --judge network

A judge is a model that `train` saved, or the released network (its background and colour heads). By default it is
asked about the photos whose path begins with --held-out; `--on folds` takes a classical model's answers from its
cross-validation instead. Writes OUT/evaluations/TIME TASK JUDGE.log and .html.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from model.lab import LabError, figures
from model.lab.judges import RELEASES, ClassicalJudge, Judge, find_judge, find_judges, tasks
from model.lab.page import Page
from model.lab.scores import Scores
from model.lab.store import Store, replacing
from model.lab.tasks import Task, load_task
from model.lab.train import HELD_OUT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--list", action="store_true", help="name all judges there are, by task")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/lab"), help="the lab's folder (default: %(default)s)"
    )
    parser.add_argument("--labels", type=Path, help="CSV with a column `file` and one per task")
    parser.add_argument(
        "--photos", type=Path, help="the folder that `extract` was given (only the network needs it)"
    )
    parser.add_argument("--task", default="background", help="default: %(default)s")
    parser.add_argument(
        "--column", help="the labels' column, where `train --name` gave the task another name"
    )
    parser.add_argument("--judge", help="a name from --list, or `network`")
    parser.add_argument(
        "--on", choices=("held-out", "folds"), default="held-out", help="default: %(default)s"
    )
    parser.add_argument(
        "--group", default="sender", help="column that says who took a photo (default: %(default)s)"
    )
    parser.add_argument(
        "--held-out", default=HELD_OUT, help="beginning of the held-out paths (default: %(default)s)"
    )
    parser.add_argument("--drop", default="", help="answers to leave out, joined by commas")
    parser.add_argument(
        "--releases", type=Path, default=RELEASES, help="the network's releases (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Do what the command line says."""
    if options.list:
        print("\n".join(listing(options.out, options.releases)))
        return 0
    if not (options.judge and options.labels):
        raise LabError("Say which --judge (see --list) and give the --labels to compare its answers with.")
    judge = find_judge(options.out, options.task, options.judge, options.releases)
    drop = [answer for answer in options.drop.split(",") if answer]
    task = load_task(options.labels, options.column or options.task, options.group, drop)
    store = Store(options.out)
    if options.on == "folds":
        scores, files = fold_scores(judge, task)
    else:
        task = task.only(options.held_out).among(store.files)
        scores, files = judge_scores(judge, options.photos or Path(), store, task), task.files
    text = "\n".join(lines(judge, scores, options.on))
    print(text)
    name = f"{datetime.now(UTC):%Y-%m-%d %H%M%S} {options.task} {judge.name}"
    folder = options.out / "evaluations"
    with replacing(folder / f"{name}.log") as scratch:
        scratch.write_text(f"{text}\n", encoding="utf-8")
    page(judge, scores, files, options.on).save(folder / f"{name}.html")
    print(f"\n{folder / name}.html")
    return 0


def listing(out: Path, releases: Path) -> list[str]:
    """Return a line per judge."""
    names = sorted({*tasks(out), "background", "colour"})
    found = [f"{task}: {judge.name}" for task in names for judge in find_judges(out, task, releases)]
    return found or ["There is no judge yet: `train` makes some, and a release of the network is one."]


def judge_scores(judge: Judge, photos: Path, store: Store, task: Task) -> Scores:
    """Ask the judge about the task's photos. Answers that it does not know count as wrong.

    Raises LabError when no photo is left to ask about.
    """
    if not task.files:
        raise LabError("None of the labelled photos is held out: see --held-out.")
    answers = judge.answers(photos, store, task.files)
    return scores_of(task, judge.classes, answers.probabilities, answers.guesses)


def fold_scores(judge: Judge, task: Task) -> tuple[Scores, Sequence[str]]:
    """Score a classical model's answers from its cross-validation, and return the files they are about."""
    if not isinstance(judge, ClassicalJudge):
        raise LabError("Only models that `train` made have folds; ask the network about held-out photos.")
    table = pd.read_csv(judge.folder / "answers.csv", dtype={"file": str})
    groups = dict(zip(task.files, task.groups, strict=True))
    probabilities = table[[f"p_{name}" for name in judge.classes]].to_numpy(float)
    about = Task(
        task.name,
        tuple(table["file"]),
        tuple(table["truth"]),
        tuple(groups.get(f, "") for f in table["file"]),
    )
    return scores_of(about, judge.classes, probabilities, probabilities.argmax(1)), about.files


def scores_of(task: Task, classes: Sequence[str], probabilities: np.ndarray, guesses: np.ndarray) -> Scores:
    """Return the scores of answers; labels that the judge does not know join the classes, with probability 0."""
    every = [*classes, *(name for name in task.classes if name not in classes)]
    padded = np.zeros((len(probabilities), len(every)))
    padded[:, : len(classes)] = probabilities
    return Scores(task.codes(every), padded, every, task.groups, np.asarray(guesses, np.int64))


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
        scores.per_class.to_string(float_format=lambda value: f"{value:.3f}"),
        "",
        pd.DataFrame(scores.confusion, list(scores.classes), list(scores.classes)).to_string(),
    ]


def page(judge: Judge, scores: Scores, files: Sequence[str], on: str) -> Page:
    """Return the scores as a page."""
    page = Page(f"{judge.task}: {judge.name}")
    for line in lines(judge, scores, on)[:6]:
        page.text(line)
    page.heading("Classes")
    page.table(scores.per_class)
    page.figure(figures.confusion(scores))
    page.heading("Confidence")
    page.figure(figures.reliability(scores))
    page.figure(figures.coverage(scores))
    if isinstance(judge, ClassicalJudge):
        page.heading("Features")
        page.figure(figures.importance(pd.read_csv(judge.folder / "importance.csv")))
    page.heading("The most confident mistakes")
    page.table(mistakes(scores, files))
    return page


def mistakes(scores: Scores, files: Sequence[str], count: int = 25) -> pd.DataFrame:
    """Return the wrong answers given with the most confidence."""
    wrong = np.flatnonzero(scores.guesses != scores.truth)
    worst = wrong[np.argsort(-scores.confidence[wrong], kind="stable")][:count]
    return pd.DataFrame(
        {
            "truth": [scores.classes[place] for place in scores.truth[worst]],
            "answer": [scores.classes[place] for place in scores.guesses[worst]],
            "confidence": scores.confidence[worst],
        },
        index=pd.Index([files[place] for place in worst], name="file"),
    )
