"""A person's name is replaced by a number, everywhere: who decided what stays known, who that was does not."""

from batch.records.ledger import Ledger
from batch.settings import BatchSettings


def forget(settings: BatchSettings, ledger: Ledger, name: str) -> str:
    """Replace a person's name in ledger and CSV; returns what stands there from now on (`person 3`).

    Logs hold no names of people: nothing here, or in the pages, writes one there.

    Raises:
        LedgerError: the ledger cannot be written.
        ExportError: the CSV cannot be written; the ledger has forgotten the name, and the next export catches up.
    """
    raise NotImplementedError
