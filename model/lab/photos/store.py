"""The folder that `extract` writes: masks, their mapping, and one row of numbers per photo, always in step.

OUT/masks.npz            one compressed uint8 (512, 512) array per photo, 255 = item, named by its key
OUT/masks.csv            the mapping: key, file, background (the picture), model
OUT/backgrounds.csv      file and the background's numbers
OUT/backgrounds/…/*.png  the background alone, RGBA, the item transparent
OUT/parts/               what an extraction that still runs, or was interrupted, has done so far

store = Store(Path("runs/lab"))
store.mask("train/hat/1.jpg")
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from model.lab import LabError
from model.lab.photos.arrays import Mask
from replacing import replacing

MAPPING_COLUMNS: Final = ["key", "file", "background", "model"]
Row = dict[str, str | float]


class Store:
    """Reads an extraction's folder. Raises LabError where there is none, or none that is complete."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "masks.csv").is_file():
            unfinished = (
                " It was begun but not finished: run the same `extract` again." if parts(folder) else ""
            )
            raise LabError(
                f"{folder} holds no extraction (no masks.csv).{unfinished or ' Run `extract` first.'}"
            )
        self.mapping = pd.read_csv(folder / "masks.csv", dtype=str)
        self._keys = dict(zip(self.mapping["file"], self.mapping["key"], strict=True))

    @functools.cached_property
    def numbers(self) -> pd.DataFrame:
        """The background's numbers, one row per photo, indexed by file."""
        return pd.read_csv(self.folder / "backgrounds.csv", dtype={"file": str}).set_index("file")

    @property
    def files(self) -> list[str]:
        """The photos, by their paths relative to the folder that was extracted."""
        return list(self.mapping["file"])

    def mask(self, file: str) -> Mask:
        """Return the mask of one photo, uint8, (side, side), 255 = item; KeyError when it is not here."""
        mask: Mask = self._archive[self._keys[file]]
        return mask

    def background(self, file: str) -> Path:
        """Return the path of the photo's background picture."""
        return self.folder / background_path(file)

    @functools.cached_property
    def _archive(self) -> Mapping[str, Mask]:
        return np.load(self.folder / "masks.npz")  # type: ignore[no-any-return]


@functools.cache
def open_store(folder: Path) -> Store:
    """Return the folder's store, the same one each time: for workers that ask for one photo after another."""
    return Store(folder)


class Writer:
    """Collects an extraction's results and keeps them through any interruption.

    with Writer(folder, model="u2netp") as writer:
        writer.add(file, mask, numbers)
    writer.finish()

    Every PART results become one part on disk; `finish` merges the parts with what the folder already holds.
    """

    PART: Final = 64

    def __init__(self, folder: Path, model: str) -> None:
        self.folder, self.model = folder, model
        self._check_model()
        (folder / "parts").mkdir(parents=True, exist_ok=True)
        self._masks: dict[str, Mask] = {}
        self._rows: list[Row] = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._write_part()

    def done(self) -> set[str]:
        """Return the files that need not be done again."""
        return {str(row["file"]) for row in self._known_rows()}

    def add(self, file: str, mask: Mask, numbers: Mapping[str, float]) -> None:
        """Take over one photo's results."""
        self._masks[file_key(file)] = mask
        self._rows.append({"file": file, **numbers})
        if len(self._rows) >= self.PART:
            self._write_part()

    def finish(self) -> Store:
        """Merge all parts into the three files, each replaced in one step, and return the finished store."""
        self._write_part()
        rows = {str(row["file"]): row for row in self._known_rows()}
        archives = [self.folder / "masks.npz", *(path.with_suffix(".npz") for path in parts(self.folder))]
        write_store(self.folder, self.model, [rows[file] for file in sorted(rows)], _arrays(archives))
        shutil.rmtree(self.folder / "parts")
        return Store(self.folder)

    def _check_model(self) -> None:
        if not (self.folder / "masks.csv").is_file():
            return
        earlier = set(pd.read_csv(self.folder / "masks.csv", dtype=str)["model"]) - {self.model}
        if earlier:
            raise LabError(
                f"{self.folder} holds masks by {', '.join(sorted(earlier))}: choose another --out."
            )

    def _known_rows(self) -> Iterator[Row]:
        finished = self.folder / "backgrounds.csv"
        complete = finished.is_file() and (self.folder / "masks.csv").is_file()
        for path in [*([finished] if complete else []), *parts(self.folder)]:
            yield from pd.read_csv(path, dtype={"file": str}).to_dict("records")  # type: ignore[misc]

    def _write_part(self) -> None:
        if not self._rows:
            return
        number = max((int(path.stem) for path in parts(self.folder)), default=0) + 1
        part = self.folder / "parts" / f"{number:06d}"
        write_arrays(part.with_suffix(".npz"), self._masks.items())
        # its presence says that the part is whole
        write_csv(part.with_suffix(".csv"), pd.DataFrame(self._rows))
        self._masks, self._rows = {}, []


def write_store(folder: Path, model: str, rows: list[Row], masks: Iterable[tuple[str, Mask]]) -> None:
    """Write masks.npz, backgrounds.csv and masks.csv, in this order: the mapping says that the rest is
    there.
    """
    files = [str(row["file"]) for row in rows]
    wanted = {file_key(file): file for file in files}
    write_arrays(folder / "masks.npz", ((key, mask) for key, mask in masks if key in wanted))
    write_csv(folder / "backgrounds.csv", pd.DataFrame(rows))
    mapping = [(file_key(file), file, background_path(file), model) for file in files]
    write_csv(folder / "masks.csv", pd.DataFrame(mapping, columns=MAPPING_COLUMNS))


def parts(folder: Path) -> list[Path]:
    """Return the CSV files of the complete parts, oldest first."""
    return sorted((folder / "parts").glob("[0-9]*.csv"))


def file_key(file: str) -> str:
    """Return the name of a photo's mask in masks.npz: 16 hexadecimal digits of its path's BLAKE2b checksum."""
    return hashlib.blake2b(os.fsencode(file), digest_size=8).hexdigest()


def background_path(file: str) -> str:
    """Return where a photo's background picture lies, relative to the store.

    The photo's own suffix stays in the name, so that 1.jpg and 1.png do not share a picture.
    """
    return f"backgrounds/{file}.png"


def write_arrays(path: Path, arrays: Iterable[tuple[str, Mask]]) -> None:
    """Write a compressed NPZ, each name once, at zlib's fastest level (masks lose 1 % of size to it, not
    more).
    """
    seen = set()
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as scratch,
        zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name, array in arrays:
            if name in seen:
                continue
            seen.add(name)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV (UTF-8, floats with 6 significant digits) in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as scratch:
        table.to_csv(scratch, index=False, float_format="%.6g", encoding="utf-8")


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _arrays(paths: Iterable[Path]) -> Iterator[tuple[str, Mask]]:
    for path in paths:
        if path.is_file():
            with np.load(path) as archive:
                for name in archive.files:
                    yield name, archive[name]
