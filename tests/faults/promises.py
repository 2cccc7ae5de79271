"""What has to be true of a data folder: after every kill, and after the next run that ends."""

import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from batch.files.companions import Folder
from batch.files.data_folder import MARK
from batch.files.filing import COPIED, COPYING
from batch.records import cells
from batch.records.ledger import CSV_COLUMNS, Act, Ledger, Row
from tests.faults.dying import SOMEBODYS

FILED = ("processed", "review", "failed", "duplicates", "archive")


@dataclass
class Dropped:
    """What was put into `incoming`: how often each content, by checksum."""

    photos: Counter[str] = field(default_factory=Counter)
    companions: Counter[str] = field(default_factory=Counter)
    photo_of: dict[str, str] = field(default_factory=dict)
    """Which photo a companion belongs to, where that is known."""
    csv_may_lag: bool = False
    """A command has died: until a night has ended the CSV may have rows as they were before."""


def broken_promises(data_dir: Path, dropped: Dropped, *, at_rest: bool) -> list[str]:
    """One line for each promise that is broken. `at_rest`: after a run that ended, so nothing is in between."""
    with Ledger(data_dir / "ledger.sqlite3") as ledger:
        filed, unfiled = list(ledger.filed_rows()), ledger.unfiled()
        planned = {act.photo_id: act for act in ledger.unfinished_acts()}
        deleted = Counter(row.sha256 for row in filed if not row.moved_to)
        being_deleted = Counter(
            row.sha256 for row in filed if row.id in planned and planned[row.id].action == "delete"
        )
        may_be_gone = being_deleted + Counter(
            companion for companion, photo in dropped.photo_of.items() if photo in deleted + being_deleted
        )
        half_done = _half_done(data_dir, ledger, list(planned.values()))
        in_between = {row.sha256 for row in unfiled} | half_done.keys()
        half_moved = _half_moved(data_dir, unfiled) + half_done
        half_moved += Counter(edits for edits, photo in dropped.photo_of.items() if photo in in_between)
    files = _files(data_dir)
    moving = {place for act in planned.values() for place in (act.source, act.target)}
    settled = [row for row in filed if row.moved_to and row.id not in planned]
    return [
        *_count(files, dropped, half_moved, deleted, may_be_gone),
        *_rows_have_photos(data_dir, settled, unfiled),
        *_photos_have_rows(files, [*filed, *unfiled], moving, dropped),
        *([] if dropped.csv_may_lag and not at_rest else _csv_is_the_ledger(data_dir, filed, whole=at_rest)),
        *(_is_at_rest(data_dir, files, filed, unfiled, dropped) if at_rest else ()),
    ]


def checksum(content: bytes) -> str:
    """The SHA-256, in hex."""
    return hashlib.sha256(content).hexdigest()


def _files(data_dir: Path) -> dict[str, str]:
    """Every file that may be a photo: its path below the data folder, and its checksum."""
    found = {
        str(path.relative_to(data_dir)): path.read_bytes()
        for folder in ("incoming", *FILED)
        for path in (data_dir / folder).rglob("*")
        if path.is_file() and not path.name.endswith((COPYING, COPIED)) and path.name != MARK
    }
    return {path: checksum(content) for path, content in found.items() if content != SOMEBODYS}


def _half_moved(data_dir: Path, unfiled: list[Row]) -> Counter[str]:
    """Photos that may lie in two places: copied to another disk, the original not removed yet."""
    return Counter(
        row.sha256
        for row in unfiled
        if (data_dir / row.moved_to).exists() and _source(data_dir, row).exists()
    )


def _half_done(data_dir: Path, ledger: Ledger, acts: list[Act]) -> Counter[str]:
    """The same for photos that are put back or archived."""
    rows = [ledger.row(act.photo_id) for act in acts if act.target]
    return Counter(row.sha256 for row in rows if row is not None)


def _source(data_dir: Path, row: Row) -> Path:
    return data_dir / "incoming" / os.fsdecode(row.source)


def _count(
    files: dict[str, str],
    dropped: Dropped,
    half_moved: Counter[str],
    deleted: Counter[str],
    may_be_gone: Counter[str],
) -> list[str]:
    found, wanted = Counter(files.values()), dropped.photos + dropped.companions
    return [
        *(f"LOST: {checksum}" for checksum in (wanted - found - deleted - may_be_gone).elements()),
        *(f"DOUBLED: {checksum}" for checksum in (found - (wanted - deleted) - half_moved).elements()),
    ]


def _rows_have_photos(data_dir: Path, filed: list[Row], unfiled: list[Row]) -> list[str]:
    def lies_at(path: Path, row: Row) -> bool:
        return path.is_file() and checksum(path.read_bytes()) == row.sha256

    without = [row for row in filed if not lies_at(data_dir / row.moved_to, row)]
    without += [
        row
        for row in unfiled
        if not lies_at(data_dir / row.moved_to, row) and not lies_at(_source(data_dir, row), row)
    ]
    places = Counter(row.moved_to for row in filed)
    return [
        *(f"ROW WITHOUT PHOTO: {row.moved_to}" for row in without),
        *(f"TWO ROWS FOR ONE PLACE: {place}" for place, count in places.items() if count > 1),
    ]


def _photos_have_rows(
    files: dict[str, str], rows: list[Row], moving: set[str], dropped: Dropped
) -> list[str]:
    places = {row.moved_to for row in rows} | moving
    return [
        f"PHOTO WITHOUT ROW: {path}"
        for path, found in files.items()
        if not path.startswith("incoming/") and path not in places and found not in dropped.companions
    ]


def _csv_is_the_ledger(data_dir: Path, filed: list[Row], *, whole: bool) -> list[str]:
    """At rest the CSV is the ledger's; before that it may lack rows at its end."""
    path = data_dir / "predictions.csv"
    text = path.read_bytes() if path.exists() else b""
    wanted = cells.text_of_lines([CSV_COLUMNS, *map(cells.cells, filed)])
    if text == wanted or (not whole and wanted.startswith(text)):
        return []
    return [f"CSV: {len(text)} bytes instead of {len(wanted)}, or other ones"]


def _is_at_rest(
    data_dir: Path, files: dict[str, str], filed: list[Row], unfiled: list[Row], dropped: Dropped
) -> list[str]:
    wanted = dropped.photos.total()
    left = [path for path in files if path.startswith("incoming/")]
    hidden = [path for folder in FILED for path in (data_dir / folder).rglob(".*") if path.name != MARK]
    run_csvs = {path.stem for path in (data_dir / "predictions").glob("*.csv")}
    return [
        *(f"LEFT BEHIND: {path}" for path in left),
        *(f"LEFTOVER: {path}" for path in hidden),
        *(f"NOT MARKED AS FILED: {row.moved_to}" for row in unfiled),
        *(f"ASTRAY FROM ITS PHOTO: {path}" for path in _astray(data_dir, files, dropped)),
        *([] if len(filed) == wanted else [f"ROWS: {len(filed)} for {wanted} photos"]),
        *(f"NO CSV OF THE RUN {run_id}" for run_id in {row.run_id for row in filed} - run_csvs),
    ]


def _astray(data_dir: Path, files: dict[str, str], dropped: Dropped) -> Iterator[str]:
    """Companions that do not lie where everybody would take them for their own photo's."""
    folders = functools.cache(Folder)
    for path, found in files.items():
        if found in dropped.photo_of:
            folder, name = os.path.split(path)
            photo = folders(data_dir / folder).photo_of(name)
            if photo is None or files.get(os.path.join(folder, photo)) != dropped.photo_of[found]:
                yield path
