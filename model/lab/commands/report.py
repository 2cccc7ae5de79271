"""`python -m model lab report`."""

from __future__ import annotations

from pathlib import Path

import click

from model.lab import LabError, existing_folder
from model.lab.commands.group import DONE, GROUP, HELD_OUT, OUT, PHOTOS, lab, labels


@lab.command(exit_codes=DONE)
@PHOTOS
@OUT
@labels()
@GROUP
@HELD_OUT
@click.option("--no-photos", is_flag=True, help="Show no photos, only plots and tables.")
def report(photos: Path, out: Path, labels: Path, group: str, held_out: str, no_photos: bool) -> None:
    """The classes, what the backgrounds look like, which features separate and go together, where models fail.

      python -m model lab report photos/ --labels labels.csv --out runs/lab

    Writes OUT/report.html, one page that needs nothing else: the figures
    of docs/lab.ipynb on your own photos. The photos it shows are small; leave them out with --no-photos.
    """
    from model.lab.judging.tasks import load_task
    from model.lab.pages.page import Page
    from model.lab.pages.report import boundary, classes, failures, looks, related, separating
    from model.lab.photos.store import Store

    store = Store(out)
    loaded = {name: load_task(labels, name, group) for name in ("background", "colour")}
    task = loaded["background"].among(store.files)
    if not task.files:
        raise LabError("None of the labelled photos is in the extraction: do the paths in the CSV match it?")
    page = Page("Backgrounds and colours")
    classes(page, list(loaded.values()), held_out)
    looks(page, store, task)
    boundary(page, store, task)
    separating(page, store, task)
    related(page, store, task)
    shown = None if no_photos else existing_folder(photos)
    for one in loaded.values():
        failures(page, out, one, shown)
    page.save(out / "report.html")
    print(out / "report.html")
