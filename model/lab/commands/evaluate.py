"""`python -m model lab evaluate`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from model.lab import LabError
from model.lab.commands.group import DONE, GROUP, HELD_OUT, OUT, PATH, RELEASES_OPTION, lab, labels, names


@lab.command(exit_codes=DONE)
@click.option("--list", "only_list", is_flag=True, help="Name all judges there are, by task.")
@OUT
@labels(required=False)
@GROUP
@HELD_OUT
@click.option("--photos", type=PATH, help="The folder that `extract` was given (only the network needs it).")
@click.option("--task", help="Default: the model's own, where --judge is its folder, else background.")
@click.option("--column", help="The labels' column, where `train --name` gave the task another name.")
@click.option("--judge", help="A name from --list, the folder of a model, or `network`.")
@click.option("--no-log", is_flag=True, help="Print only: write no log and no page.")
@click.option(
    "--on",
    type=click.Choice(["held-out", "folds"]),
    default="held-out",
    show_default=True,
    help="What it is asked about.",
)
@click.option("--drop", default="", help="Answers to leave out, joined by commas.")
@RELEASES_OPTION
def evaluate(
    only_list: bool,
    out: Path,
    labels: Path | None,
    group: str,
    held_out: str,
    photos: Path | None,
    task: str | None,
    column: str | None,
    judge: str | None,
    no_log: bool,
    on: str,
    drop: str,
    releases: Path,
) -> None:
    """One judge's scores on photos it has not seen, in the terminal, as a log and as a page.

      python -m model lab evaluate --list
      python -m model lab evaluate --labels labels.csv --photos photos/ --task background --judge "svc on background"
      python -m model lab evaluate --labels labels.csv --judge runs/lab/models/background/background/svc --no-log
      python -m model lab evaluate --labels labels.csv --photos photos/ --task colour --judge network

    A judge is a model that `train` saved, by its name in the list or by its folder, or the released network. It is asked
    about the photos whose answer is one of its classes, so a model trained with `--drop` is scored on its own. By default
    it is asked about the photos whose path begins with --held-out; `--on folds` takes a classical model's answers from its
    cross-validation instead. Writes OUT/evaluations/TIME TASK JUDGE.log and .html, unless --no-log is given.
    """
    from model.lab.judging.evaluation import fold_scores, judge_scores
    from model.lab.judging.judges import all_judges, chosen_judge
    from model.lab.judging.tasks import load_task
    from model.lab.pages.evaluation import lines, page
    from model.lab.photos.store import Store
    from replacing import replacing

    if only_list:
        listed = [f"{task}: {one.name}" for task, one in all_judges(out, releases)]
        print(
            "\n".join(
                listed or ["There is no judge yet: `train` makes some, and a release of the network is one."]
            )
        )
        return
    if not (judge and labels):
        raise LabError("Say which --judge (see --list) and give the --labels to compare its answers with.")
    asked = chosen_judge(out, judge, task, releases)
    questions = load_task(labels, column or asked.column, group, names(drop)).named(asked.task)
    if on == "folds":
        scores, files = fold_scores(asked, questions)
    else:
        store = Store(out)
        questions = questions.only(held_out).among(store.files)
        left_out = len(questions.files) - len(questions.answered(asked.classes).files)
        if left_out:
            print(f"{left_out} photos have an answer that {asked.name} was not taught: not asked about.")
        questions = questions.answered(asked.classes)
        scores, files = judge_scores(asked, photos, store, questions), questions.files
    text = "\n".join(lines(asked, scores, on))
    print(text)
    if no_log:
        return
    name = f"{datetime.now(UTC):%Y-%m-%d %H%M%S} {asked.task} {asked.name}"
    folder = out / "evaluations"
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{name}.log") as scratch:
        scratch.write_text(f"{text}\n", encoding="utf-8")
    page(asked, scores, files, on).save(folder / f"{name}.html")
    print(f"\n{folder / name}.html")
