"""`python -m model lab compare`."""

from __future__ import annotations

from pathlib import Path

import click

from command_line import Whole
from model.lab.commands.group import DONE, GROUP, HELD_OUT, OUT, PHOTOS, RELEASES_OPTION, lab, labels, names


@lab.command(exit_codes=DONE)
@PHOTOS
@OUT
@labels()
@GROUP
@HELD_OUT
@click.option("--tasks", default="background,colour", show_default=True, help="Joined by commas.")
@click.option(
    "--cost-photos",
    type=Whole(min=0),
    default=12,
    show_default=True,
    help="Photos to measure the cost on, 0 for none.",
)
@RELEASES_OPTION
def compare(
    photos: Path,
    out: Path,
    labels: Path,
    group: str,
    held_out: str,
    tasks: str,
    cost_photos: int,
    releases: Path,
) -> None:
    """All models and the network on the same photos.

      python -m model lab compare photos/ --labels labels.csv --out runs/lab

    One row per judge and task: balanced accuracy and accuracy on the
    held-out photos (with 95 % intervals, whole senders resampled), balanced accuracy on the cross-validation's unseen
    folds, seconds of training, processor time per photo from file to answer, and memory. Prints the table, and writes
    OUT/comparison.csv and OUT/comparison.html. Costs are measured in a process per judge and kept in OUT/costs.json: a
    second call measures only what is new.
    """
    import pandas as pd

    from model.lab.judging.comparison import Costs, compare, network_verdict
    from model.lab.judging.judges import find_judges
    from model.lab.judging.tasks import load_task
    from model.lab.pages.page import Page
    from model.lab.photos.store import Store, write_csv

    store = Store(out)
    chosen = names(tasks)
    tables = []
    for name in chosen:
        judges = find_judges(out, name, releases)
        column = judges[0].column if judges else name
        task = load_task(labels, column, group).only(held_out).among(store.files).named(name)
        costs = Costs(out / "costs.json", store, photos, cost_photos, releases)
        tables.append(compare(task, judges, store, photos, costs))
    table = pd.concat(tables)
    write_csv(out / "comparison.csv", table)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    verdicts = [verdict for name in chosen if (verdict := network_verdict(table, name))]
    print("\n" + "\n".join(verdicts))
    page = Page("All judges on the same photos")
    for name in chosen:
        page.heading(name)
        page.table(table[table["task"] == name].drop(columns="task").set_index("judge"))
    for verdict in verdicts:
        page.text(verdict)
    page.save(out / "comparison.html")
