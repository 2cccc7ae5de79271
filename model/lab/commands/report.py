"""report: the classes, what the backgrounds look like, which features separate and go together, where models fail.

    report photos/ --labels labels.csv --out runs/lab

Writes OUT/report.html, one page that needs nothing else: the figures of docs/lab.ipynb on your own photos. The photos
it shows are small; leave them out with --no-photos.
"""

from __future__ import annotations

import argparse

from model.lab import LabError, existing_folder
from model.lab.commands.options import add_out, add_photos, add_task_options
from model.lab.judging.tasks import load_task
from model.lab.pages.page import Page
from model.lab.pages.report import boundary, classes, failures, looks, related, separating
from model.lab.photos.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_photos(parser)
    add_out(parser, "the folder that `extract` wrote to")
    add_task_options(parser)
    parser.add_argument("--no-photos", action="store_true", help="show no photos, only plots and tables")


def run(options: argparse.Namespace) -> int:
    """Do what the command line says."""
    store = Store(options.out)
    loaded = {name: load_task(options.labels, name, options.group) for name in ("background", "colour")}
    task = loaded["background"].among(store.files)
    if not task.files:
        raise LabError("None of the labelled photos is in the extraction: do the paths in the CSV match it?")
    page = Page("Backgrounds and colours")
    classes(page, list(loaded.values()), options.held_out)
    looks(page, store, task)
    boundary(page, store, task)
    separating(page, store, task)
    related(page, store, task)
    photos = None if options.no_photos else existing_folder(options.photos)
    for one in loaded.values():
        failures(page, options.out, one, photos)
    page.save(options.out / "report.html")
    print(options.out / "report.html")
    return 0
