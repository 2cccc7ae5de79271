"""The photos that wait for a person: filtered, in an order, page by page, and how many there are.

    page = waiting(ledger, Filter(order="1042"), Sort.DOUBTFUL, limit=24)
    more = waiting(ledger, Filter(order="1042"), Sort.DOUBTFUL, after=page.after, limit=24)

Pages are found by the key of the last photo shown, so that page 20,000 costs what the first does; numbers come from
counters that the ledger keeps.
"""

from dataclasses import dataclass
from enum import StrEnum

from batch.records.ledger import Ledger, Row


class BadKeyError(ValueError):
    """A page's key that was not made here, or for another order."""


class Sort(StrEnum):
    """The orders in which photos can be shown."""

    DOUBTFUL = "doubtful"
    """The least sure first."""
    ALIKE = "alike"
    """By category, the least sure of each first: for the grid."""
    OLDEST = "oldest"
    NEWEST = "newest"


@dataclass(frozen=True)
class Filter:
    """Which photos are meant; what is not said does not matter."""

    run: str = ""
    order: str | None = None
    """An order's name; empty for photos that lay in no sub-folder."""
    main: str = ""
    sub: str = ""
    doubt: str = ""
    """A kind of doubt, as `Counts.doubts` names it."""
    least: float | None = None
    """The sub-category is at least so sure (0 to 1)."""
    below: float | None = None
    """The sub-category is less sure than this."""


@dataclass(frozen=True)
class Page:
    """Some photos, and the key that the next page begins after."""

    photos: list[Row]
    after: str
    """Empty on the last page."""


@dataclass(frozen=True)
class Counts:
    """How many photos wait, in all and by what they can be filtered by; the most frequent first."""

    total: int
    oldest: str
    """When the one that waits longest was decided by the model (UTC); empty when nothing waits."""
    runs: dict[str, int]
    orders: dict[str, int]
    categories: dict[tuple[str, str], int]
    """By main and sub-category."""
    doubts: dict[str, int]


def waiting(ledger: Ledger, chosen: Filter, sort: Sort, *, after: str = "", limit: int = 24) -> Page:
    """Photos that wait, whether anybody looks at them or not.

    Raises:
        BadKeyError: `after` is no key of this order.
    """
    raise NotImplementedError


def counts(ledger: Ledger) -> Counts:
    """How many wait; from counters, so it costs the same however many there are."""
    raise NotImplementedError


def at_most(found: Counts, chosen: Filter) -> int:
    """An upper bound of the photos that a filter picks; exact where it names one thing or none, confidence apart."""
    raise NotImplementedError


def top(row: Row, head: str, number: int = 3) -> list[tuple[str, float]]:
    """The model's likeliest classes of a head (`main`, `sub`, `background`, `colour`), and their probabilities."""
    raise NotImplementedError
