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
from datetime import UTC, datetime
from pathlib import Path

from model.lab import LabError
from model.lab.commands.options import add_out, add_releases, add_task_options, names
from model.lab.judging.evaluation import fold_scores, judge_scores
from model.lab.judging.judges import find_judge, find_judges, tasks
from model.lab.judging.tasks import load_task
from model.lab.pages.evaluation import lines, page
from model.lab.photos.store import Store, replacing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--list", action="store_true", help="name all judges there are, by task")
    add_out(parser)
    add_task_options(parser, labels_required=False)
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
    parser.add_argument("--drop", default="", help="answers to leave out, joined by commas")
    add_releases(parser)


def run(options: argparse.Namespace) -> int:
    """Do what the command line says."""
    if options.list:
        print("\n".join(listing(options.out, options.releases)))
        return 0
    if not (options.judge and options.labels):
        raise LabError("Say which --judge (see --list) and give the --labels to compare its answers with.")
    judge = find_judge(options.out, options.task, options.judge, options.releases)
    task = load_task(options.labels, options.column or options.task, options.group, names(options.drop))
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
