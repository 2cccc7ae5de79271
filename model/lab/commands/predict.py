"""predict: a model's answers for every photo in a folder, as a CSV.

    predict runs/lab/models/background/background/svc photos/
    predict runs/lab/models/colour/palette/svc runs/lab/models/background/background/svc photos/ --csv answers.csv
    predict network photos/

A model is a folder that `train` wrote, the folder of a release, or the word `network` for the one in use. Nothing need
be extracted before: masks are made on the way where a model needs them. One row a photo: `file`, and for each task its
answer, the answer's probability, and the probability of every class. Without --csv the rows go to the terminal.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from logformat import entry
from model.lab import LabError
from model.lab.commands.options import add_mask_model, add_releases, add_workers
from model.lab.judging.predicting import predict
from model.lab.photos.store import write_csv


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "models", nargs="+", metavar="model", help="one model, or several for different tasks"
    )
    parser.add_argument("photos", type=Path, help="folder with photos, sub-folders included")
    parser.add_argument("--csv", type=Path, help="the CSV to write (default: the terminal)")
    add_mask_model(parser, "--mask-model")
    add_releases(parser)
    add_workers(parser)


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; 3 when some photos could not be read."""
    if options.csv and options.csv.is_dir():
        raise LabError(f"{options.csv} is a folder: give the CSV a name.")
    found = predict(options.models, options.releases, options.photos, options.mask_model, options.workers)
    refused = [photo for photo in found if photo.reason]
    table = pd.DataFrame([photo.row for photo in found if not photo.reason])
    if options.csv:
        write_csv(options.csv, table)
        print(f"{options.csv}: {len(table)} photos, {len(refused)} could not be read.")
    else:
        table.to_csv(sys.stdout, index=False, float_format="%.6g")
    for photo in refused[:10]:
        print(entry(f"  {photo.file}: {photo.reason}"), file=sys.stderr)
    return 3 if refused else 0
