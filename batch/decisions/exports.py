"""`predictions.csv` follows what people decide: when nobody has for a minute, at latest after a quarter of an hour."""

from dataclasses import dataclass

from batch.records.ledger import Ledger
from batch.settings import BatchSettings

QUIET_SECONDS = 60
LATEST_SECONDS = 900


@dataclass(frozen=True)
class CsvState:
    """What the pages say of `predictions.csv`."""

    written_at: str
    """When it was written last (UTC); empty when never."""
    waiting: int
    """Changes of rows that it does not have yet."""
    is_due: bool


def state(ledger: Ledger, *, now: float | None = None) -> CsvState:
    """How far `predictions.csv` is."""
    raise NotImplementedError


def follow(settings: BatchSettings, *, now: float | None = None) -> bool:
    """Write `predictions.csv` if it is due; whether it was. For a thread of the pages that calls it every few seconds:
    the writing is done by a process of its own, so that nobody waits for it.

    Raises:
        ExportError: it cannot be written (it may be open in a spreadsheet).
        LedgerError: the ledger cannot be read.
    """
    raise NotImplementedError
