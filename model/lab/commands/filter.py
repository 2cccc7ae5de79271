"""filter: leave out the photos whose label is unsure, with masks, mapping and numbers kept in step.

Reads what `extract` wrote (and the tables of `measure` and `colour`, as far as they are there) and writes the same
files, without the rows whose label is `?`, to a new folder; the labels come along as columns of backgrounds.csv. The
background pictures are linked, not copied, where the file system allows it. Repeating it writes the same again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from model.lab import LabError
from model.lab.judging.tasks import UNSURE, read_labels
from model.lab.photos.arrays import Mask
from model.lab.photos.parallel import progress
from model.lab.photos.store import MAPPING_COLUMNS, Store, file_key, link, write_arrays, write_csv


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", type=Path, help="folder that `extract` wrote")
    parser.add_argument("labels", type=Path, help="CSV with a column `file` and the labels")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--label",
        action="append",
        help="column that has to be sure; repeat for several (default: background)",
    )


def run(options: argparse.Namespace) -> int:
    """Do what the command line says."""
    kept, dropped = filter_store(options.source, options.labels, options.out, options.label or ["background"])
    print(f"{kept} photos kept in {options.out}, {dropped} left out (unsure or without a label).")
    return 0


def filter_store(source: Path, labels: Path, out: Path, columns: list[str]) -> tuple[int, int]:
    """Write the part of `source` whose labels in `columns` are sure to `out`; return how many were kept and dropped.

    Raises LabError when a column is missing, nothing remains, or `out` is `source`.
    """
    if out.resolve() == source.resolve():
        raise LabError("Give another folder as --out: the source is left as it is.")
    store = Store(source)
    sure = sure_labels(labels, columns)
    mapping = store.mapping[store.mapping["file"].isin(sure.index)]
    files = list(mapping["file"])
    if not files:
        raise LabError(f"No photo of {source} has a sure label in {labels}.")
    # until the last file is written, the folder is not a store
    (out / "masks.csv").unlink(missing_ok=True)
    write_arrays(out / "masks.npz", _masks(store, files))
    write_csv(out / "backgrounds.csv", store.numbers.loc[files].join(sure).reset_index())
    for table in sorted((source / "features").glob("*.csv")):
        numbers = pd.read_csv(table, dtype={"file": str})
        write_csv(out / "features" / table.name, numbers[numbers["file"].isin(files)])
    for file in files:
        link(store.background(file), out / store.background(file).relative_to(source))
    write_csv(out / "masks.csv", mapping[MAPPING_COLUMNS])
    return len(files), len(store.files) - len(files)


def sure_labels(labels: Path, columns: list[str]) -> pd.DataFrame:
    """Return the rows of the labels CSV that are sure in all `columns`, indexed by file."""
    table = read_labels(labels)
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise LabError(f"{labels} has no column {missing[0]!r}; it has: {', '.join(table.columns)}.")
    table = table.set_index("file")
    return table[~table[columns].isin([UNSURE, ""]).any(axis=1)]


def _masks(store: Store, files: list[str]) -> Iterator[tuple[str, Mask]]:
    for file in progress(files, "filter"):
        yield file_key(file), store.mask(file)
