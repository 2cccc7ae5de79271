"""A part of an extraction: the photos whose label is sure, everything kept in step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from model.lab import LabError
from model.lab.judging.tasks import UNSURE, read_labels
from model.lab.photos.arrays import Mask
from model.lab.photos.parallel import progress
from model.lab.photos.store import MAPPING_COLUMNS, Store, file_key, link, write_arrays, write_csv


def filter_store(source: Path, labels: Path, out: Path, columns: Sequence[str]) -> tuple[int, int]:
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


def sure_labels(labels: Path, columns: Sequence[str]) -> pd.DataFrame:
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
