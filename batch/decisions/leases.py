"""Who looks at which photo: for five minutes nobody else gets it. Kept in the ledger, for all threads and processes.

A lease belongs to a tab, not to a person: `holder` is a token that the tab keeps. Leases keep nobody from deciding; they
only see to it that two people do not look at the same photo.
"""

import time
from collections.abc import Iterable

from batch.decisions import queue
from batch.decisions.queue import Filter, Page, Sort
from batch.records.ledger import Ledger

SECONDS = 300.0

FORGOTTEN_SECONDS = 86_400
"""What a lease was for is known so long after it has run out: a page may send an answer late."""


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

    Raises:
        BadKeyError: `after` is no key of this order.
    """
    now = time.time() if now is None else now
    with ledger.transaction(lasting=False) as db:  # nobody else takes the same ones in between
        tidy(ledger, now)
        page = queue.free(ledger, chosen, sort, after=after, limit=limit, holder=holder, now=now)
        db.executemany(_PUT, [(row.id, holder, now + SECONDS, "") for row in page.photos])
    return page


def put(ledger: Ledger, holder: str, photo_ids: Iterable[int], purpose: str, now: float) -> None:
    """Lease photos to a tab, for a purpose that only the record knows; within a transaction of the caller's."""
    for photo_id in photo_ids:
        ledger.write(_PUT, photo_id, holder, now + SECONDS, purpose)


def tidy(ledger: Ledger, now: float) -> None:
    """Forget leases that ran out long ago; within a transaction of the caller's."""
    ledger.write("DELETE FROM leases WHERE until < ?", now - FORGOTTEN_SECONDS)


def purpose(ledger: Ledger, holder: str, photo_id: int) -> str:
    """What a photo was leased to this tab for, even if the lease has run out since."""
    found = ledger.read("SELECT purpose FROM leases WHERE photo_id = ? AND holder = ?", photo_id, holder)
    return str(found[0][0]) if found else ""


def renew(ledger: Ledger, holder: str, photo_ids: Iterable[int], *, now: float | None = None) -> None:
    """Prolong a tab's leases on these photos, where nobody else has them by now."""
    until = (time.time() if now is None else now) + SECONDS
    with ledger.transaction(lasting=False) as db:
        db.executemany(
            "UPDATE leases SET until = ? WHERE photo_id = ? AND holder = ?",
            [(until, photo_id, holder) for photo_id in photo_ids],
        )


def release(ledger: Ledger, holder: str, photo_ids: Iterable[int] | None = None) -> None:
    """Give back a tab's leases, all or those on these photos: the next person may have them at once."""
    with ledger.transaction(lasting=False) as db:
        if photo_ids is None:
            db.execute("DELETE FROM leases WHERE holder = ?", (holder,))
        else:
            db.executemany(
                "DELETE FROM leases WHERE photo_id = ? AND holder = ?",
                [(photo_id, holder) for photo_id in photo_ids],
            )


_PUT = "INSERT OR REPLACE INTO leases (photo_id, holder, until, purpose) VALUES (?, ?, ?, ?)"
