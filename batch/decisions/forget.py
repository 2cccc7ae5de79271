"""A person's name is replaced by a number, everywhere: who decided what stays known, who that was does not."""

from batch.records import csv_files
from batch.records.ledger import Ledger
from batch.settings import BatchSettings

_NOTE = "forgotten people"


def forget(settings: BatchSettings, ledger: Ledger, name: str) -> str:
    """Replace a person's name in ledger and CSV; returns what stands there from now on (`person 3`).

    Logs hold no names of people: nothing here, or in the pages, writes one there. A name that nobody goes by is
    replaced nowhere, and no error. Back-ups and copies that were made before keep it.

    Raises:
        LedgerError: the ledger cannot be written.
        ExportError: the CSV cannot be written; the ledger has forgotten the name, and the next export catches up.
    """
    if not name:
        raise ValueError("An empty name is nobody's.")
    ledger.write("PRAGMA secure_delete = ON")  # what is replaced is overwritten in the file, too
    with ledger.changing_note(_NOTE) as note:
        number = int(note.value or 0) + 1
        note.value = str(number)
        instead = f"person {number}"
        ledger.write(
            "UPDATE photos SET decided_by = ? WHERE decided_by = ? AND decision != ''", instead, name
        )
        ledger.write("UPDATE acts SET person = ? WHERE person = ?", instead, name)
        ledger.write("UPDATE looks SET person = ? WHERE person = ?", instead, name)
        for column in ("was", "became"):
            ledger.write(
                f"UPDATE acts SET {column} = json_set({column}, '$.decided_by', ?)"
                f" WHERE json_extract({column}, '$.decided_by') = ?",
                instead,
                name,
            )
    ledger.write("PRAGMA wal_checkpoint(TRUNCATE)")
    if csv_files.lag(ledger).changes:
        csv_files.rebuild_csv(ledger, settings.csv_path)
    return instead
