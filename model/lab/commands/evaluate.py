"""evaluate: one judge's scores on photos it has not seen, in the terminal, as a log and as a page.

    evaluate --list
    evaluate --labels labels.csv --photos photos/ --task background --judge "svc on background"
    evaluate --labels labels.csv --judge runs/lab/models/background/background/svc --no-log
    evaluate --labels labels.csv --photos photos/ --task colour --judge network

A judge is a model that `train` saved, by its name in the list or by its folder, or the released network. It is asked
about the photos whose answer is one of its classes, so a model trained with `--drop` is scored on its own. By default it is
asked about the photos whose path begins with --held-out; `--on folds` takes a classical model's answers from its
cross-validation instead. Writes OUT/evaluations/TIME TASK JUDGE.log and .html, unless --no-log is given.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from model.lab import LabError
from model.lab.commands.options import add_out, add_releases, add_task_options, names
from model.lab.judging.evaluation import fold_scores, judge_scores
from model.lab.judging.judges import Judge, find_judge, find_judges, open_judges, tasks
from model.lab.judging.tasks import load_task
from model.lab.pages.evaluation import lines, page
from model.lab.photos.store import Store
from replacing import replacing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--list", action="store_true", help="name all judges there are, by task")
    add_out(parser)
    add_task_options(parser, labels_required=False)
    parser.add_argument(
        "--photos", type=Path, help="the folder that `extract` was given (only the network needs it)"
    )
    parser.add_argument(
        "--task", help="default: the model's own, where --judge is its folder, else background"
    )
    parser.add_argument(
        "--column", help="the labels' column, where `train --name` gave the task another name"
    )
    parser.add_argument("--judge", help="a name from --list, the folder of a model, or `network`")
    parser.add_argument("--no-log", action="store_true", help="print only: write no log and no page")
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
    judge = chosen_judge(options)
    task = load_task(
        options.labels, options.column or judge.column, options.group, names(options.drop)
    ).named(judge.task)
    if options.on == "folds":
        scores, files = fold_scores(judge, task)
    else:
        store = Store(options.out)
        task = task.only(options.held_out).among(store.files)
        left_out = len(task.files) - len(task.answered(judge.classes).files)
        if left_out:
            print(f"{left_out} photos have an answer that {judge.name} was not taught: not asked about.")
        task = task.answered(judge.classes)
        scores, files = judge_scores(judge, options.photos, store, task), task.files
    text = "\n".join(lines(judge, scores, options.on))
    print(text)
    if options.no_log:
        return 0
    name = f"{datetime.now(UTC):%Y-%m-%d %H%M%S} {judge.task} {judge.name}"
    folder = options.out / "evaluations"
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{name}.log") as scratch:
        scratch.write_text(f"{text}\n", encoding="utf-8")
    page(judge, scores, files, options.on).save(folder / f"{name}.html")
    print(f"\n{folder / name}.html")
    return 0


def chosen_judge(options: argparse.Namespace) -> Judge:
    """Return the judge that the command line names, by its path or its name. Raises LabError when there is none."""
    judges = open_judges(options.judge, options.releases)
    only = judges[0].task if len(judges) == 1 else "background"
    return find_judge(options.out, options.task or only, options.judge, options.releases)


def listing(out: Path, releases: Path) -> list[str]:
    """Return a line per judge."""
    names = sorted({*tasks(out), "background", "colour"})
    found = [f"{task}: {judge.name}" for task in names for judge in find_judges(out, task, releases)]
    return found or ["There is no judge yet: `train` makes some, and a release of the network is one."]
