"""compare: every judge of every task on the same photos, the network's heads among them.

    compare photos/ --labels labels.csv --out runs/lab

One row per judge and task: balanced accuracy and accuracy on the held-out photos (with 95 % intervals, whole senders
resampled), balanced accuracy on the cross-validation's unseen folds, seconds of training, processor time per photo from
file to answer, and memory. Prints the table, and writes OUT/comparison.csv and OUT/comparison.html. Costs are measured
in a process per judge and kept in OUT/costs.json: a second call measures only what is new.
"""

from __future__ import annotations

import argparse

import pandas as pd

from model.lab.commands.options import add_out, add_photos, add_releases, add_task_options, at_least, names
from model.lab.judging.comparison import Costs, compare, network_verdict
from model.lab.judging.judges import find_judges
from model.lab.judging.tasks import load_task
from model.lab.pages.page import Page
from model.lab.photos.store import Store, write_csv


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_photos(parser)
    add_out(parser, "the folder that `extract` wrote to")
    add_task_options(parser)
    parser.add_argument(
        "--tasks", default="background,colour", help="joined by commas (default: %(default)s)"
    )
    parser.add_argument(
        "--cost-photos",
        type=at_least(0),
        default=12,
        help="photos to measure the cost on, 0 for none (default: %(default)s)",
    )
    add_releases(parser)


def run(options: argparse.Namespace) -> int:
    """Do what the command line says."""
    store = Store(options.out)
    chosen = names(options.tasks)
    tables = []
    for name in chosen:
        judges = find_judges(options.out, name, options.releases)
        column = judges[0].column if judges else name
        task = load_task(options.labels, column, options.group).only(options.held_out).among(store.files)
        task = task.named(name)
        costs = Costs(
            options.out / "costs.json", store, options.photos, options.cost_photos, options.releases
        )
        tables.append(compare(task, judges, store, options.photos, costs))
    table = pd.concat(tables)
    write_csv(options.out / "comparison.csv", table)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    verdicts = [verdict for name in chosen if (verdict := network_verdict(table, name))]
    print("\n" + "\n".join(verdicts))
    page = Page("All judges on the same photos")
    for name in chosen:
        page.heading(name)
        page.table(table[table["task"] == name].drop(columns="task").set_index("judge"))
    for verdict in verdicts:
        page.text(verdict)
    page.save(options.out / "comparison.html")
    return 0
