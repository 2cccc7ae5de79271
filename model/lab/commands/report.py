"""report: what the backgrounds look like, where cream ends, which features separate, where the models fail.

    report photos/ --labels labels.csv --out runs/lab

Writes OUT/report.html, one page that needs nothing else: the figures of docs/lab.ipynb on your own photos. The photos
it shows are small; leave them out with --no-photos.
"""

from __future__ import annotations

import argparse

from model.lab.commands.options import add_out, add_photos, add_task_options
from model.lab.judging.tasks import load_task
from model.lab.pages.page import Page
from model.lab.pages.report import boundary, failures, looks, separating
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
    task = load_task(options.labels, "background", options.group).among(store.files)
    page = Page("Backgrounds and colours")
    looks(page, store, task)
    boundary(page, store, task)
    separating(page, store, task)
    for name in ("background", "colour"):
        photos = None if options.no_photos else options.photos
        failures(page, options.out, load_task(options.labels, name, options.group), photos)
    page.save(options.out / "report.html")
    print(options.out / "report.html")
    return 0
