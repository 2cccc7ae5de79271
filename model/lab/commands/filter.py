"""`python -m model lab filter`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from model.lab.commands.group import DONE, PATH, lab


@lab.command("filter", exit_codes=DONE)
@click.argument("source", type=PATH, help="The folder that `extract` wrote.")
@click.argument("labels", type=PATH, help="CSV with a column `file` and the labels.")
@click.option("--out", type=PATH, required=True, help="Folder to write to.")
@click.option(
    "--label",
    "columns",
    multiple=True,
    default=["background"],
    help="Column that has to be sure; repeat for several (default: background).",
)
def filter_photos(source: Path, labels: Path, out: Path, columns: Sequence[str]) -> None:
    """Leave out the photos whose label is unsure, with masks, mapping and numbers kept in step.

    Writes what `extract` wrote (and the
    tables of `measure` and `colour`, as far as they are there) to a new folder, without the rows whose label is
    `?`; the labels come along as columns of backgrounds.csv. The background pictures are linked, not copied, where the
    file system allows it. Repeating it writes the same again.
    """
    from model.lab.judging.filtering import filter_store

    kept, dropped = filter_store(source, labels, out, columns)
    print(f"{kept} photos kept in {out}, {dropped} left out (unsure or without a label).")
