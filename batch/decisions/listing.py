"""A run's photos, the search for one, and the CSV of exactly what is shown."""

import json
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
    """The orders that a selection can be shown in.

    One of all photos there are, only by time, and not at all where it picks some of them by what no index has: a page
    would have to look through a million.
    """
    chosen = selection.chosen
    is_narrow = chosen.run or chosen.order or selection.status == "failed" or selection.audit
    if is_narrow or selection.decided or selection.decision:
        return tuple(Sort)
    return (Sort.NEWEST, Sort.OLDEST) if selection == Selection() else ()


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
        f"SELECT id, {', '.join(order.columns)} FROM photos {_index(selection)}"
        f" WHERE {later} AND {condition} ORDER BY {order.sql} LIMIT ?",
        *key, *values, limit + 1,
    )  # fmt: skip
    return queue.page_of(ledger, [(int(one[0]), order.key(tuple(one)[1:])) for one in found], limit)


def search(ledger: Ledger, text: str, *, after: str = "", limit: int = 60) -> Page:
    """Photos whose checksum begins with this text (8 characters or more), whose order it is, and whose name begins with
    it, in any case and with or without its order before it (`1042/IMG_`). Superseded rows are not among them.

    Raises:
        BadKeyError: `after` is no key of a search.
    """
    meanings = list(_meanings(text.strip().strip("/")))
    section, last = _section(after)
    found: list[tuple[int, str]] = []
    for number, meaning in enumerate(meanings):
        if number < section or len(found) > limit:
            continue
        order = Order((meaning.sorted_by, "id"))
        later, key = order.after(last if number == section else "")
        query = (
            f"SELECT id, {', '.join(order.columns)} FROM photos INDEXED BY {meaning.index}"
            f" WHERE {meaning.condition} AND {later} AND {_COUNTS} ORDER BY {order.sql} LIMIT ?"
        )
        known = {one for one, _ in found}
        for one in ledger.read(query, *meaning.values, *key, limit + 1 - len(found)):
            if one[0] not in known:
                found.append((int(one[0]), json.dumps([number, order.key(tuple(one)[1:])])))
    return queue.page_of(ledger, found, limit)


def _section(after: str) -> tuple[int, str]:
    """Which meaning a page of a search begins in, and after which photo."""
    if not after:
        return 0, ""
    try:
        section, key = json.loads(after)
    except (ValueError, TypeError):
        section = key = None
    if not isinstance(section, int) or not isinstance(key, str):
        raise BadKeyError("This page's address is not one that was made here.")
    return section, key


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
        conditions.append("instr(review_reason, 'audit')")
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


def _index(selection: Selection) -> str:
    """What SQLite is to look through: it has no figures to know the narrowest by."""
    if selection.decided or selection.decision:
        return "INDEXED BY photos_decided"
    if selection.status == "failed":
        return "INDEXED BY photos_failed"
    if selection.chosen.order:
        return "INDEXED BY photos_order"
    if selection.audit:
        return "INDEXED BY photos_audit"
    return "INDEXED BY photos_run"


@dataclass(frozen=True)
class _Meaning:
    """What a text that is searched for may be: what an index finds in the order that it is in."""

    condition: str
    values: list[object]
    sorted_by: str
    index: str


def _meanings(text: str) -> Iterator[_Meaning]:
    if not text:
        return
    if CHECKSUM.fullmatch(text):
        values: list[object] = [text.lower(), f"{text.lower()}g"]
        yield _Meaning("sha256 >= ? AND sha256 < ?", values, "sha256", "photos_sha256")
    folder, _, name = text.rpartition("/")
    for form in _spellings(text):
        yield _Meaning('"order" = ? AND "order" != \'\'', [form], '"order"', "photos_order")
    within = ' AND "order" = ? AND "order" != \'\'' if folder else ""
    index = "photos_order" if folder else "photos_name"
    for form in _spellings(name):
        values = [form, form + _LAST, *([folder.partition("/")[0]] if folder else [])]
        yield _Meaning(f"{_NAME} >= ? AND {_NAME} < ?{within}", values, _NAME, index)


def _spellings(text: str) -> list[str]:
    """A text with its letters as one character and as several: systems write names in either way."""
    return sorted({unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)})


_LAST = "\U0010ffff"
"""Sorts behind every character that a name may go on with."""
