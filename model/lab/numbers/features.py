"""What a model may see of a photo: named sets of numbers, computed for one photo or kept in a table for all.

    FEATURE_SETS["quality"].numbers(view)            # {"sharpness": 412.0, ...} of one photo
    load_features(store, ["background", "quality"])  # a table, one row per photo

A further set is one function and one line in `FEATURE_SETS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from model.lab import LabError
from model.lab.numbers.backgrounds import background_numbers
from model.lab.numbers.colours import frame_colours, item_colours, palette
from model.lab.numbers.picture import picture_numbers
from model.lab.numbers.quality import quality_numbers
from model.lab.photos.parallel import in_parallel
from model.lab.photos.store import Store, open_store, write_csv
from model.lab.photos.view import View, view_photo

JournalRow = dict[str, Any]
"""`file`, and for each set its numbers."""


def _grain(view: View) -> dict[str, float]:
    # it loads torch, which the other sets do without
    from model.lab.numbers.grain import grain_numbers

    return grain_numbers(view)


class FeatureSet(NamedTuple):
    """A named set of numbers: how to compute them for one photo, what they are, and which command tables them."""

    numbers: Callable[[View], dict[str, float]]
    meaning: str
    command: str
    needs_mask: bool = True


FEATURE_SETS: Final = {
    "background": FeatureSet(
        lambda view: background_numbers(view.pixels, view.mask),
        "the background's statistics in CIELAB",
        "extract",
    ),
    "quality": FeatureSet(quality_numbers, "image quality of the frame and of the background", "measure"),
    "colour-frame": FeatureSet(
        frame_colours, "18 colour features of the whole frame", "colour", needs_mask=False
    ),
    "colour-item": FeatureSet(item_colours, "18 colour features of the item", "colour"),
    "palette": FeatureSet(palette, "the item's palette in CIELAB, and the light", "colour"),
    "grain": FeatureSet(_grain, "what the network's first layer sees of the item and around it", "colour"),
    "picture": FeatureSet(picture_numbers, "the background alone as a picture of 32 × 32", "colour"),
}


def feature_sets(names: str) -> list[str]:
    """Split `background+quality` into its sets. Raises LabError for a name that is none of FEATURE_SETS."""
    parts = names.split("+")
    unknown = [part for part in parts if part not in FEATURE_SETS]
    if unknown:
        raise LabError(f"There is no feature set {unknown[0]!r}; there are: {', '.join(FEATURE_SETS)}.")
    return parts


def sets_of(command: str) -> list[str]:
    """Return the sets that one command tables."""
    return [name for name, kind in FEATURE_SETS.items() if kind.command == command]


def view_numbers(view: View, sets: Sequence[str]) -> dict[str, float]:
    """Return the numbers of several sets for one photo, named `set:figure`."""
    return {
        f"{name}:{key}": value for name in sets for key, value in FEATURE_SETS[name].numbers(view).items()
    }


def load_features(store: Store, sets: Sequence[str]) -> pd.DataFrame:
    """Return the numbers of several sets for all photos, indexed by file, columns named `set:figure`.

    Raises LabError, naming the command to run, when a set's table is missing or lacks some of the store's photos.
    """
    tables = []
    for name in sets:
        path = table_path(store.folder, name)
        command = FEATURE_SETS[name].command
        if not path.is_file():
            raise LabError(f"{path} is missing: run `{command}` first.")
        table = read_table(path)
        missing = set(store.files) - set(table.index)
        if missing:
            raise LabError(f"{path} lacks {len(missing)} photos: run `{command}` again, it adds them.")
        tables.append(table.loc[store.files].add_prefix(f"{name}:"))
    return pd.concat(tables, axis=1)


def table_path(folder: Path, name: str) -> Path:
    """Return where a set's table lies in a store's folder."""
    if name == "background":
        return folder / "backgrounds.csv"
    return folder / "features" / f"{name}.csv"


def read_table(path: Path) -> pd.DataFrame:
    """Return a table, indexed by file."""
    return pd.read_csv(path, dtype={"file": str}).set_index("file")


def write_tables(photos: Path, out: Path, names: Sequence[str], workers: int) -> None:
    """Compute the tables `names` for the store's photos that one of them lacks, and print where they are."""
    store = Store(out)
    tables = {name: read_table(path) for name in names if (path := table_path(out, name)).is_file()}
    common = set.intersection(*(set(tables[name].index) if name in tables else set() for name in names))
    journal = Journal(out / "features" / f"{'+'.join(names)}.journal")
    files = [file for file in store.files if file not in common and file not in journal.rows]
    work = partial(compute_rows, photos, out, names)
    for row in in_parallel(work, files, workers=min(workers, max(1, len(files))), what=", ".join(names)):
        journal.add(row)
    for name in names:
        new = pd.DataFrame([row[name] for row in journal.rows.values()], index=list(journal.rows))
        known = tables.get(name, new.iloc[:0])
        table = pd.concat([known[~known.index.isin(new.index)], new]).sort_index().rename_axis("file")
        write_csv(table_path(out, name), table.copy().reset_index())
        print(
            f"{table_path(out, name)}: {len(table)} photos, {table.shape[1]} numbers each, {len(files)} of them new."
        )
    journal.remove()


def compute_rows(photos: Path, out: Path, names: Sequence[str], file: str) -> JournalRow:
    """Return one photo's numbers of several sets; the photo is read once."""
    view = view_photo(photos, open_store(out), file)
    return {"file": file, **{name: FEATURE_SETS[name].numbers(view) for name in names}}


class Journal:
    """Rows on disk as they come, one JSON line each: what an interrupted command has already done.

    A line that the interruption cut off is not counted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, JournalRow] = {}
        for line in path.read_text().splitlines() if path.is_file() else []:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            self.rows[row["file"]] = row
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("a")
        self._stream.write("\n")

    def add(self, row: JournalRow) -> None:
        """Keep a row."""
        self.rows[str(row["file"])] = row
        self._stream.write(json.dumps(row) + "\n")
        self._stream.flush()

    def remove(self) -> None:
        """Delete the journal: the table holds all of it."""
        self._stream.close()
        self.path.unlink(missing_ok=True)
