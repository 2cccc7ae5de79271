"""The ledger knows its data folder by a mark in it: a share that is not mounted is noticed before anything is made there.

Each folder that lies on a disk of its own (`processed` on a large one, `incoming` on a share) has a mark of its own.
"""

import contextlib
import json
import secrets
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from batch.exits import NotDoneError
from batch.files import filing
from batch.logs import log
from batch.records import cells
from batch.records.ledger import Ledger
from batch.settings import BatchSettings

MARK = ".nightsort-data"
_NOTE = "data folders"
FOLDERS = ("incoming", *filing.FOLDERS)
"""What may be mounted below `DATA_DIR`."""

LATEST = 100
"""So many of the photos that were filed last are looked for, to know a folder again that has no mark yet."""


class StrangeFolderError(NotDoneError):
    """The data folder is not the one that the ledger belongs to; the message says what to do."""


@contextlib.contextmanager
def open_ledger(settings: BatchSettings) -> Iterator[Ledger]:
    """The ledger, for commands that change something: its data folder is there, and has what belongs in it.

    Raises:
        LedgerError: the ledger cannot be used.
        StrangeFolderError: this is not its data folder; nothing was made or written there.
        OSError: a folder cannot be made or read.
    """
    settings.ledger_path.parent.mkdir(parents=True, exist_ok=True)
    with Ledger(settings.ledger_path) as ledger:
        claim(settings, ledger)
        yield ledger


def claim(settings: BatchSettings, ledger: Ledger) -> None:
    """Make sure that the ledger's photos lie here; make and mark what is not there or not marked yet.

    Raises:
        StrangeFolderError: this is not the ledger's data folder; nothing was made or written there.
        OSError: a folder cannot be made or read, or a mark not be written.
    """
    check(settings, ledger)
    settings.make_folders()
    _mark_all(settings, ledger, _recorded(ledger))


def adopt(settings: BatchSettings, ledger: Ledger) -> None:
    """Take the data folder as this ledger's own, whatever it was before.

    Raises:
        OSError: a folder cannot be made or read, or a mark not be written.
    """
    settings.make_folders()
    _mark_all(settings, ledger, {})


def check(settings: BatchSettings, ledger: Ledger) -> None:
    """Whether this is the ledger's data folder. Changes nothing.

    Raises:
        StrangeFolderError: it is not.
        OSError: a folder cannot be read.
    """
    recorded = _recorded(ledger)
    for name, folder in _marked_folders(settings, recorded):
        found = _mark(folder)
        if name in recorded:
            if found is None:
                raise StrangeFolderError(
                    f"{folder} is not the folder that the ledger {ledger.path} belongs to: it has no mark ({MARK}). "
                    "Is the share or disk mounted? Nothing was touched. If you moved the photos on purpose, "
                    "`python -m batch doctor --adopt` takes this folder as the ledger's own"
                )
            if found != recorded[name]:
                raise StrangeFolderError(
                    f"{folder} belongs to another ledger than {ledger.path}, and one ledger cannot serve two data "
                    "folders. Nothing was touched. Set LEDGER or DATA_DIR right; or, if this is meant, "
                    "`python -m batch doctor --adopt` takes this folder as the ledger's own"
                )
        elif not _is_known_by_its_photos(settings, ledger, name):
            raise StrangeFolderError(
                f"the ledger {ledger.path} has photos, but none of its latest {LATEST} lies in {folder}. Is the share "
                "or disk mounted? Nothing was touched. If this is the right folder, "
                "`python -m batch doctor --adopt` takes it as the ledger's own"
            )


def _mark_all(settings: BatchSettings, ledger: Ledger, recorded: dict[str, str]) -> None:
    marks = {}
    for name, folder in _marked_folders(settings, recorded):
        found = _mark(folder)
        marks[name] = found or secrets.token_hex(16)
        if not found:
            text = f"{marks[name]}\nNightsort knows this folder by this file; leave it here.\n"
            try:
                (folder / MARK).write_text(text, "utf-8")
            except OSError as error:  # a full disk: what can be filed elsewhere is filed all the same
                log.warning("%s cannot be marked (%s); the next night tries again.", folder, error.strerror)
                del marks[name]
    if marks != _recorded(ledger):
        ledger.set_note(_NOTE, json.dumps(marks))


def _recorded(ledger: Ledger) -> dict[str, str]:
    """The marks by folder."""
    kept: dict[str, str] = json.loads(ledger.note(_NOTE) or "{}")
    return kept


def _marked_folders(settings: BatchSettings, recorded: dict[str, str]) -> Iterator[tuple[str, Path]]:
    """The folders that have, or should have, a mark: the data folder, and those below it on disks of their own."""
    yield "", settings.data_dir
    for name in FOLDERS:
        folder = settings.data_dir / name
        if name in recorded or (folder.exists() and folder.stat().st_dev != settings.data_dir.stat().st_dev):
            yield name, folder


def _mark(folder: Path) -> str | None:
    try:
        lines = (folder / MARK).read_text("utf-8", "replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return lines[0].strip() if lines else ""


def _is_known_by_its_photos(settings: BatchSettings, ledger: Ledger, name: str) -> bool:
    """Whether a folder that has no mark on record is the ledger's all the same: it is new, or of an older version."""
    if name:
        rows = [row for row in ledger.latest(LATEST) if row.moved_to.startswith(f"{name}/")]
        return not rows or any(filing.is_in_place(settings.data_dir, row) for row in rows)
    if not ledger.has_rows():
        return True
    return any(filing.is_in_place(settings.data_dir, row) for row in ledger.latest(LATEST)) or any(
        (line["file_name"], line["sha256"]) in ledger.keys_of_run(line["run_id"])
        for line in islice(cells.read(settings.csv_path), LATEST)
    )
