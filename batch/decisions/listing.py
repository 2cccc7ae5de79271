"""A run's photos, the search for one, and the CSV of exactly what is shown."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from batch.decisions.queue import Filter, Page, Sort
from batch.records.ledger import Ledger, Status
from batch.records.verdict import Decision


@dataclass(frozen=True)
class Selection:
    """Photos of a run (all runs where the filter names none)."""

    chosen: Filter = field(default_factory=Filter)
    status: Status | None = None
    decision: Decision | None = None
    audit: bool = False
    """Only photos of the audit's sample."""


def photos(ledger: Ledger, selection: Selection, sort: Sort, *, after: str = "", limit: int = 60) -> Page:
    """Current rows of filed photos that a selection picks.

    Raises:
        BadKeyError: `after` is no key of this order.
    """
    raise NotImplementedError


def search(ledger: Ledger, text: str, *, after: str = "", limit: int = 60) -> Page:
    """Photos whose name (with or without its folders) or order begins with this text, in any case, or whose checksum does
    (8 characters or more). Superseded rows are not among them."""
    raise NotImplementedError


def csv_of(ledger: Ledger, selection: Selection) -> Iterator[bytes]:
    """The CSV of exactly this selection, piece by piece, as `predictions.csv` has its rows."""
    raise NotImplementedError
