"""Who looks at which photo: for five minutes nobody else gets it. Kept in the ledger, for all threads and processes.

A lease belongs to a tab, not to a person: `holder` is a token that the tab keeps. Leases keep nobody from deciding; they
only see to it that two people do not look at the same photo.
"""

from collections.abc import Iterable

from batch.decisions.queue import Filter, Page, Sort
from batch.records.ledger import Ledger

SECONDS = 300


def take(
    ledger: Ledger,
    holder: str,
    chosen: Filter,
    sort: Sort,
    *,
    after: str = "",
    limit: int = 10,
    now: float | None = None,
) -> Page:
    """The next photos that wait and that nobody else looks at, leased to this tab; those it has already are prolonged.

    `now` is in seconds since 1970.
    """
    raise NotImplementedError


def renew(ledger: Ledger, holder: str, photo_ids: Iterable[int], *, now: float | None = None) -> None:
    """Prolong a tab's leases on these photos, where nobody else has them by now."""
    raise NotImplementedError


def release(ledger: Ledger, holder: str, photo_ids: Iterable[int] | None = None) -> None:
    """Give back a tab's leases, all or those on these photos: the next person may have them at once."""
    raise NotImplementedError
