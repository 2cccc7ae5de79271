"""`predictions.csv` follows what people decide: when nobody has for a minute, at latest after a quarter of an hour.

python -m batch.decisions.exports LEDGER CSV        what `follow` starts
"""

import os
import subprocess
import sys
from pathlib import Path

from batch.files.data_folder import check
from batch.records import csv_files
from batch.records.csv_files import ExportError, Lag
from batch.records.ledger import Ledger, LedgerError
from batch.settings import BatchSettings
from settings import ROOT


def state(ledger: Ledger, *, now: float | None = None) -> Lag:
    """How far `predictions.csv` is: when it was written, and how many changes of its rows it lacks."""
    return csv_files.lag(ledger, now)


def follow(settings: BatchSettings, ledger: Ledger, *, now: float | None = None) -> bool:
    """Write `predictions.csv` if it is due; whether it was. For a thread of the pages that calls it every few seconds:
    the writing is done by a process of its own, so that nobody waits for it.

    Raises:
        ExportError: it cannot be written (it may be open in a spreadsheet).
        StrangeFolderError: the data folder is not the ledger's; its share may not be mounted.
        LedgerError: the ledger cannot be read.
    """
    if not state(ledger, now=now).is_due:
        return False
    check(settings, ledger)
    command = [
        sys.executable,
        "-m",
        "batch.decisions.exports",
        str(settings.ledger_path),
        str(settings.csv_path),
    ]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        raise ExportError(
            done.stderr.strip() or f"predictions.csv was not written (exit code {done.returncode})."
        )
    return True


def main(ledger_path: str, csv_path: str) -> int:
    """Write it, and let everybody else go first."""
    if sys.platform != "win32":
        os.nice(10)
    try:
        with Ledger(Path(ledger_path)) as ledger:
            csv_files.update_csv(ledger, Path(csv_path))
    except (ExportError, LedgerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
