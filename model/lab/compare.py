"""compare: every judge of every task on the same photos, the network's heads among them.

    compare photos/ --labels labels.csv --out runs/lab

One row per judge and task: balanced accuracy and accuracy on the held-out photos (with 95 % intervals, whole senders
resampled), balanced accuracy on the cross-validation's unseen folds, seconds of training, processor time per photo from
file to answer, and memory. Prints the table, and writes OUT/comparison.csv and OUT/comparison.html. Costs are measured
in a process per judge and kept in OUT/costs.json: a second call measures only what is new.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from model.lab.cost import Cost, measure_cost
from model.lab.evaluate import judge_scores
from model.lab.judges import RELEASES, ClassicalJudge, Judge, find_judges
from model.lab.page import Page
from model.lab.photos import progress
from model.lab.store import Store, replacing, write_csv
from model.lab.tasks import Task, load_task
from model.lab.train import add_task_arguments

GOAL_RATIO: Final = 50
"""The network's background head is to be at least this many times cheaper than the best model that sees the mask."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("photos", type=Path, help="the folder that `extract` was given")
    add_task_arguments(parser)
    parser.add_argument(
        "--tasks", default="background,colour", help="joined by commas (default: %(default)s)"
    )
    parser.add_argument(
        "--cost-photos", type=int, default=12, help="photos to measure the cost on (default: %(default)s)"
    )
    parser.add_argument(
        "--releases", type=Path, default=RELEASES, help="the network's releases (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Do what the command line says."""
    store = Store(options.out)
    table = pd.concat(
        [
            compare(
                load_task(options.labels, name, options.group).only(options.held_out).among(store.files),
                find_judges(options.out, name, options.releases),
                store,
                options,
            )
            for name in options.tasks.split(",")
        ]
    )
    write_csv(options.out / "comparison.csv", table)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    verdicts = [verdict for name in options.tasks.split(",") if (verdict := network_verdict(table, name))]
    print("\n" + "\n".join(verdicts))
    page = Page("All judges on the same photos")
    for name in options.tasks.split(","):
        page.heading(name)
        page.table(table[table["task"] == name].drop(columns="task").set_index("judge"))
    for verdict in verdicts:
        page.text(verdict)
    page.save(options.out / "comparison.html")
    return 0


def compare(task: Task, judges: Sequence[Judge], store: Store, options: argparse.Namespace) -> pd.DataFrame:
    """Return the table of one task, best balanced accuracy first."""
    costs = Costs(options.out / "costs.json")
    rows = []
    for judge in progress(judges, f"compare {task.name}", len(judges)):
        scores = judge_scores(judge, options.photos, store, task)
        summary = scores.summary()
        cost = costs.of(judge, options.photos, task.files[: options.cost_photos], store, options.releases)
        facts = judge.facts if isinstance(judge, ClassicalJudge) else {}
        rows.append(
            {
                "task": task.name,
                "judge": judge.name,
                "sees the mask": "yes" if judge.needs_mask else "no",
                "balanced": summary["balanced_accuracy"],
                "balanced low": summary["balanced_accuracy_interval"][0],
                "balanced high": summary["balanced_accuracy_interval"][1],
                "accuracy": summary["accuracy"],
                "accuracy low": summary["accuracy_interval"][0],
                "accuracy high": summary["accuracy_interval"][1],
                "balanced, folds": facts.get("cross_validation", {}).get("balanced_accuracy"),
                "accuracy, folds": facts.get("cross_validation", {}).get("accuracy"),
                "training s": facts.get("seconds"),
                "ms a photo": 1000 * cost.seconds,
                "memory MB": cost.memory_mb,
                "photos": summary["photos"],
            }
        )
    return pd.DataFrame(rows).sort_values("balanced", ascending=False)


class Costs:
    """Costs measured before, by judge and what it is made of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def of(self, judge: Judge, photos: Path, files: Sequence[str], store: Store, releases: Path) -> Cost:
        """Return the judge's cost, measuring it if it is not known yet."""
        print_of = judge.facts["fingerprint"] if isinstance(judge, ClassicalJudge) else judge.name
        key = f"{judge.task} {judge.name} {print_of}"
        if key not in self._known:
            mask_model = str(store.mapping["model"].iloc[0])
            self._known[key] = measure_cost(judge, photos, files, mask_model, releases)._asdict()
            with replacing(self._path) as scratch:
                scratch.write_text(json.dumps(self._known, indent=1))
        return Cost(**self._known[key])


def network_verdict(table: pd.DataFrame, task: str) -> str:
    """Say how the network's head compares with the best classical model that sees the mask; "" without either."""
    rows = table[table["task"] == task]
    networks = rows[rows["judge"].str.startswith("network")]
    masked = rows[rows["sees the mask"] == "yes"]
    if networks.empty or masked.empty:
        return ""
    head, best = networks.iloc[0], masked.iloc[0]
    ratio = best["ms a photo"] / head["ms a photo"]
    return (
        f"{task}: the network's head has a balanced accuracy of {head['balanced']:.3f}, the best model that sees the mask "
        f"({best['judge']}) {best['balanced']:.3f}, on the same {int(head['photos'])} photos; the head takes 1/{ratio:.0f} "
        f"of the processor time (goal: at most 1/{GOAL_RATIO})."
    )
