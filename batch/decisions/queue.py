"""The photos that wait for a person: filtered, in an order, page by page, and how many there are.

    page = waiting(ledger, Filter(order="1042"), Sort.DOUBTFUL, limit=24)
    more = waiting(ledger, Filter(order="1042"), Sort.DOUBTFUL, after=page.after, limit=24)

Pages are found by the key of the last photo shown, so that page 20,000 costs what the first does; numbers come from
counters that the ledger keeps.
"""

import json
import time
from collections.abc import Collection, Sequence
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


@dataclass(frozen=True)
class Order:
    """How photos are sorted: SQL's columns, all ascending or all descending, that tell every photo from every other."""

    columns: tuple[str, ...]
    descending: bool = False

    @property
    def sql(self) -> str:
        """What follows ORDER BY."""
        return ", ".join(f"{column} DESC" if self.descending else column for column in self.columns)

    def after(self, key: str) -> tuple[str, list[object]]:
        """The condition that picks what comes after a key, and its values.

        Raises:
            BadKeyError: it is no key of this order.
        """
        if not key:
            return "true", []
        try:
            values = json.loads(key)
        except ValueError:
            values = None
        if not isinstance(values, list) or len(values) != len(self.columns):
            raise BadKeyError("This page's address is not one that was made here.")
        if not all(isinstance(value, str | int | float) for value in values):
            raise BadKeyError("This page's address is not one that was made here.")
        sign = "<" if self.descending else ">"
        return f"({', '.join(self.columns)}) {sign} ({', '.join('?' * len(values))})", values

    def key(self, values: Sequence[object]) -> str:
        """The key of a photo with these values in the order's columns."""
        return json.dumps(list(values), separators=(",", ":"))


_ORDERS = {
    Sort.DOUBTFUL: Order(("confidence", "id")),
    Sort.ALIKE: Order(("main_category", "sub_category", "confidence", "id")),
    Sort.OLDEST: Order(("id",)),
    Sort.NEWEST: Order(("id",), descending=True),
}


def waiting(ledger: Ledger, chosen: Filter, sort: Sort, *, after: str = "", limit: int = 24) -> Page:
    """Photos that wait, whether anybody looks at them or not.

    Raises:
        BadKeyError: `after` is no key of this order.
    """
    return free(ledger, chosen, sort, after=after, limit=limit, holder=None)


def free(
    ledger: Ledger,
    chosen: Filter,
    sort: Sort,
    *,
    after: str,
    limit: int,
    holder: str | None,
    now: float | None = None,
) -> Page:
    """Photos that wait, without those that another holder than this one looks at; with None, those as well."""
    order = _ORDERS[sort]
    later, key = order.after(after)
    condition, values = _condition(chosen)
    if holder is not None:
        condition += " AND id NOT IN (SELECT photo_id FROM leases WHERE holder != ? AND until > ?)"
        values += [holder, time.time() if now is None else now]
    found = ledger.read(
        f"SELECT id, {', '.join(order.columns)} FROM waiting WHERE {later} AND {condition}"
        f" ORDER BY {order.sql} LIMIT ?",
        *key, *values, limit + 1,
    )  # fmt: skip
    return page_of(ledger, [(int(one[0]), order.key(tuple(one)[1:])) for one in found], limit)


def page_of(ledger: Ledger, found: Sequence[tuple[int, str]], limit: int) -> Page:
    """A page of photos that were found, by id and key: one more than are shown tells whether more follow."""
    shown = found[:limit]
    rows = rows_of(ledger, [number for number, _ in shown])
    return Page(rows, shown[-1][1] if len(found) > limit else "")


def rows_of(ledger: Ledger, numbers: Collection[int]) -> list[Row]:
    """Rows by their ids, in this order."""
    marks = ", ".join("?" * len(numbers))
    rows = {row.id: row for row in ledger.rows(f"SELECT * FROM photos WHERE id IN ({marks})", *numbers)}
    return [rows[number] for number in numbers if number in rows]


def _condition(chosen: Filter) -> tuple[str, list[object]]:
    """What a filter means for rows of the table `waiting`."""
    conditions, values = ["true"], list[object]()
    for column, value in (
        ("run_id", chosen.run or None),
        ('"order"', chosen.order),
        ("main_category", chosen.main or None),
        ("sub_category", chosen.sub or None),
    ):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if chosen.doubt:
        condition, value = of_doubt(chosen.doubt)
        conditions.append(condition)
        values.append(value)
    if chosen.least is not None:
        conditions.append("confidence >= ?")
        values.append(chosen.least)
    if chosen.below is not None:
        conditions.append("confidence < ?")
        values.append(chosen.below)
    return " AND ".join(conditions), values


def of_doubt(kind: str) -> tuple[str, str]:
    """The condition that picks rows with a kind of doubt among their reasons, and its value.

    A reason is a kind, alone or with numbers in parentheses; several are parted by commas.
    """
    return "instr(', ' || replace(review_reason, ' (', ', ') || ', ', ?)", f", {kind}, "


def counts(ledger: Ledger) -> Counts:
    """How many wait; from counters, so it costs the same however many there are."""
    by_kind: dict[str, dict[str, int]] = {}
    for kind, name, number in ledger.read(
        "SELECT kind, name, number FROM tallies WHERE number > 0 ORDER BY number DESC, name"
    ):
        by_kind.setdefault(kind, {})[str(name)] = int(number)
    oldest = ledger.read("SELECT processed_at FROM photos WHERE id = (SELECT min(id) FROM waiting)")
    categories = by_kind.get("category", {})
    return Counts(
        total=by_kind.get("all", {}).get("", 0),
        oldest=str(oldest[0][0]) if oldest else "",
        runs=by_kind.get("run", {}),
        orders=by_kind.get("order", {}),
        categories={
            (main, sub): n for name, n in categories.items() for main, _, sub in [name.partition("/")]
        },
        doubts={name: number for name, number in by_kind.get("doubt", {}).items() if name},
    )


def at_most(found: Counts, chosen: Filter) -> int:
    """An upper bound of the photos that a filter picks; exact where it names one thing or none, confidence apart."""
    bounds = [found.total]
    if chosen.run:
        bounds.append(found.runs.get(chosen.run, 0))
    if chosen.order is not None:
        bounds.append(found.orders.get(chosen.order, 0))
    if chosen.main or chosen.sub:
        bounds.append(
            sum(
                number
                for (main, sub), number in found.categories.items()
                if chosen.main in ("", main) and chosen.sub in ("", sub)
            )
        )
    if chosen.doubt:
        bounds.append(found.doubts.get(chosen.doubt, 0))
    return min(bounds)


def top(row: Row, head: str, number: int = 3) -> list[tuple[str, float]]:
    """The model's likeliest classes of a head (`main`, `sub`, `background`, `colour`), and their probabilities."""
    known: dict[str, dict[str, float]] = json.loads(row.probabilities or "{}")
    return sorted(known.get(head, {}).items(), key=lambda one: -one[1])[:number]
