"""`python -m model lab predict`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from logformat import entry
from model.lab import LabError
from model.lab.commands.group import (
    DONE_WITHOUT_SOME,
    MODEL_NAMES,
    PATH,
    RELEASES_OPTION,
    WORKERS,
    lab,
    mask_model,
)


@lab.command(exit_codes={**DONE_WITHOUT_SOME, 3: "done, but some photos could not be read"})
@MODEL_NAMES
@click.argument("photos", type=PATH, help="A folder with photos, sub-folders included.")
@click.option("--csv", type=PATH, help="The CSV to write (default: the terminal).")
@mask_model("--mask-model")
@RELEASES_OPTION
@WORKERS
def predict(
    models: Sequence[str], photos: Path, csv: Path | None, mask_model: str, releases: Path, workers: int
) -> int:
    """A model's answers for every photo in a folder, as a CSV.

      python -m model lab predict runs/lab/models/background/background/svc photos/
      python -m model lab predict runs/lab/models/colour/palette/svc network photos/ --csv answers.csv
      python -m model lab predict network photos/

    Nothing need be extracted before:
    masks are made on the way where a model needs them. One row a photo: `file`, and for each task its answer, the answer's
    probability, and the probability of every class. Without --csv the rows go to the terminal.
    """
    if csv and csv.is_dir():
        raise LabError(f"{csv} is a folder: give the CSV a name.")
    import pandas as pd

    from model.lab.judging.predicting import predict
    from model.lab.photos.store import write_csv

    found = predict(models, releases, photos, mask_model, workers)
    refused = [photo for photo in found if photo.reason]
    table = pd.DataFrame([photo.row for photo in found if not photo.reason])
    if csv:
        write_csv(csv, table)
        print(f"{csv}: {len(table)} photos, {len(refused)} could not be read.")
    else:
        table.to_csv(sys.stdout, index=False, float_format="%.6g")
    for photo in refused[:10]:
        print(entry(f"  {photo.file}: {photo.reason}"), file=sys.stderr)
    return 3 if refused else 0
