"""A copy of the ledger that is whole, even while a night writes to it."""

import sqlite3
from pathlib import Path

from batch.records.ledger import Ledger, LedgerError
from batch.records.schema import APPLICATION_ID
from replacing import replacing


def back_up(ledger_path: Path, target: Path) -> Path:
    """Copy the ledger to a file, or into a folder under its own name; returns the file.

    A copy with `cp` may miss what SQLite keeps beside the file; this one is made by SQLite itself
    (sqlite.org/backup.html), checked, and only then takes the place of an earlier copy.

    Raises:
        LedgerError: there is no ledger, its copy is not sound, or it would replace anything but an earlier back-up.
        OSError: the copy cannot be written.
    """
    if not ledger_path.exists():
        raise LedgerError(f"there is no ledger {ledger_path} yet; nothing was copied.")
    if target.is_dir():
        target = target / ledger_path.name
    if target.exists() and (not target.is_file() or target.samefile(ledger_path)):
        raise LedgerError(f"{target} is the ledger itself, or no plain file; nothing was copied.")
    if target.exists() and not _is_back_up(target):
        raise LedgerError(
            f"{target} is there already and is no back-up of a ledger; it stays as it is. Move it away, or name "
            "another file."
        )
    try:
        with replacing(target) as new, Ledger(ledger_path, look=True) as ledger:
            ledger.copy_to(new)
    except sqlite3.Error as error:
        raise LedgerError(
            f"the copy of {ledger_path} is not sound ({error}); nothing was replaced."
        ) from error
    return target


def _is_back_up(path: Path) -> bool:
    """Whether a file is a copy that was made here (or empty, so that nothing is lost with it).

    By SQLite's header (sqlite.org/fileformat.html): our application's id, and no write-ahead log, which a ledger at
    work has and a copy has not.
    """
    with path.open("rb") as file:
        header = file.read(100)
    is_ours = header.startswith(b"SQLite format 3\0") and int.from_bytes(header[68:72]) == APPLICATION_ID
    return not header or (is_ours and header[18:20] == b"\x01\x01")
