"""A copy of the ledger that is whole, even while a night writes to it."""

import os
import sqlite3
from pathlib import Path

from batch.ledger import Ledger, LedgerError
from batch.settings import BatchSettings


def back_up(settings: BatchSettings, target: Path) -> Path:
    """Copy the ledger to a file, or into a folder under its own name; returns the file.

    A copy with `cp` may miss what SQLite keeps beside the file; this one is made by SQLite itself
    (sqlite.org/backup.html), checked, and only then takes the place of an earlier copy.

    Raises:
        LedgerError: there is no ledger, its copy is not sound, or it would replace a device or the ledger itself.
        OSError: the copy cannot be written.
    """
    if not settings.ledger_path.exists():
        raise LedgerError(f"there is no ledger {settings.ledger_path} yet; nothing was copied.")
    if target.is_dir():
        target = target / settings.ledger_path.name
    if target.exists() and (not target.is_file() or target.samefile(settings.ledger_path)):
        raise LedgerError(f"{target} is the ledger itself, or no plain file; nothing was copied.")
    new = target.with_name(f".{target.name}.new")
    new.unlink(missing_ok=True)
    try:
        with Ledger(settings.ledger_path, look=True) as ledger:
            ledger.copy_to(new)
    except sqlite3.Error as error:
        new.unlink(missing_ok=True)
        raise LedgerError(
            f"the copy of {settings.ledger_path} is not sound ({error}); nothing was replaced."
        ) from error
    os.replace(new, target)
    return target
