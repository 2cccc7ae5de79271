"""A run's photos, the search for one, and the CSV of exactly what is shown."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from batch.decisions import queue
from batch.decisions.queue import BadKeyError, Filter, Order, Page, Sort
from batch.records import csv_files
from batch.records.ledger import Decision, Ledger, Status


@dataclass(frozen=True)
class Selection:
    """Photos of a run (all runs where the filter names none)."""

    chosen: Filter = field(default_factory=Filter)
    status: Status | None = None
    decision: Decision | None = None
    audit: bool = False
    """Only photos of the audit's sample."""
    decided: bool | None = None
    """Only photos that people have decided on, or only others."""


_CONFIDENCE = "coalesce(sub_category_probability, 0)"

_ORDERS = {
    Sort.DOUBTFUL: Order((_CONFIDENCE, "id")),
    Sort.ALIKE: Order(("main_category", "sub_category", _CONFIDENCE, "id")),
    Sort.OLDEST: Order(("run_id", "id")),
    Sort.NEWEST: Order(("run_id", "id"), descending=True),
}

_COUNTS = "filed AND NOT superseded"

_NAME = "replace(file_name, rtrim(file_name, replace(file_name, '/', '')), '') COLLATE NOCASE"
"""A photo's name without its folders, as the index has it."""

CHECKSUM = re.compile("[0-9a-fA-F]{8,64}")


def sorts(selection: Selection) -> tuple[Sort, ...]:
    """The orders that a selection can be shown in: one that names no few photos, only by time."""
    chosen = selection.chosen
    is_narrow = chosen.run or chosen.order or selection.status == "failed" or selection.audit
    return tuple(Sort) if is_narrow or selection.decided or selection.decision else (Sort.NEWEST, Sort.OLDEST)


def photos(ledger: Ledger, selection: Selection, sort: Sort, *, after: str = "", limit: int = 60) -> Page:
    """Current rows of filed photos that a selection picks, in one of the orders that `sorts` names.

    Raises:
        BadKeyError: `after` is no key of this order, or the selection cannot be shown in it.
    """
    if sort not in sorts(selection):
        raise BadKeyError("So many photos can only be shown by time: choose a run or an order for this.")
    order = _ORDERS[sort]
    later, key = order.after(after)
    condition, values = _condition(selection)
    found = ledger.read(
        f"SELECT id, {', '.join(order.columns)} FROM photos WHERE {later} AND {condition} ORDER BY {order.sql} LIMIT ?",
        *key, *values, limit + 1,
    )  # fmt: skip
    return queue.page_of(ledger, [(int(one[0]), order.key(tuple(one)[1:])) for one in found], limit)


def search(ledger: Ledger, text: str, *, after: str = "", limit: int = 60) -> Page:
    """Photos whose name (with or without its folders) or order begins with this text, in any case, or whose checksum does
    (8 characters or more). Superseded rows are not among them."""
    order = Order(("id",), descending=True)
    later, key = order.after(after)
    found: dict[int, str] = {}
    for condition, values in _meanings(text.strip().strip("/")):
        query = f"SELECT id FROM photos WHERE {condition} AND {later} AND {_COUNTS} ORDER BY id DESC LIMIT ?"
        for (number,) in ledger.read(query, *values, *key, limit + 1):
            found[int(number)] = order.key([int(number)])
    newest = sorted(found.items(), reverse=True)
    return queue.page_of(ledger, newest[: limit + 1], limit)


def csv_of(ledger: Ledger, selection: Selection) -> Iterator[bytes]:
    """The CSV of exactly this selection, piece by piece, as `predictions.csv` has its rows."""
    condition, values = _condition(selection)
    return csv_files.text_of(ledger.rows(f"SELECT * FROM photos WHERE {condition} ORDER BY id", *values))


def _condition(selection: Selection) -> tuple[str, list[object]]:
    """What a selection means for rows of `photos`; the narrowest of what it names is what is looked through."""
    chosen = selection.chosen
    conditions, values = [_COUNTS], list[object]()
    for column, value in (
        ("run_id", chosen.run or None),
        ('"order"', chosen.order),
        ("main_category", chosen.main or None),
        ("sub_category", chosen.sub or None),
        ("decision", selection.decision),
    ):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if chosen.order:
        conditions.append("\"order\" != ''")  # so that the index of orders serves
    if selection.status == "failed":
        conditions.append("status = 'failed'")
    elif selection.status:
        conditions.append("status = ?")
        values.append(selection.status)
    if selection.decided or selection.decision:
        conditions.append("decision != ''")
    elif selection.decided is False:
        conditions.append("decision = ''")
    if selection.audit:
        conditions.append("review_reason GLOB '*audit'")
    if chosen.doubt:
        condition, doubt = queue.of_doubt(chosen.doubt)
        conditions.append(condition)
        values.append(doubt)
    if chosen.least is not None:
        conditions.append(f"{_CONFIDENCE} >= ?")
        values.append(chosen.least)
    if chosen.below is not None:
        conditions.append(f"{_CONFIDENCE} < ?")
        values.append(chosen.below)
    return " AND ".join(conditions), values


def _meanings(text: str) -> Iterator[tuple[str, list[object]]]:
    """What a text that is searched for may be: SQL conditions that an index serves."""
    if not text:
        return
    if CHECKSUM.fullmatch(text):
        yield "sha256 >= ? AND sha256 < ?", [text.lower(), f"{text.lower()}g"]
    folder, _, name = text.rpartition("/")
    for form in {unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)}:
        # an order of its own: `order 7/IMG_1`
        condition = f"{_NAME} >= ? AND {_NAME} < ?" + (
            ' AND "order" = ? AND "order" != \'\'' if folder else ""
        )
        yield condition, [form, form + _LAST, *([folder.partition("/")[0]] if folder else [])]
    if not folder:
        for form in {unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)}:
            yield '"order" >= ? AND "order" < ? AND "order" != \'\'', [form, form + _LAST]


_LAST = "\U0010ffff"
"""Sorts behind every character that a name may go on with."""
