"""All that happened to a photo, in time: for the page that answers where it is, and why."""

from dataclasses import dataclass, field
from typing import Any

from batch.records.ledger import Act, Action, Ledger, Row
from batch.records.verdict import as_the_model_had_it


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    at: str
    """When (UTC)."""
    kind: str
    """`answered` by the model and filed, or refused; `decided`, `undone`, `moved by hand`, `put back`, `archived`,
    `deleted`."""
    row: Row
    """The row that it happened to; for `answered` as the model had it."""
    by: str = ""
    decision: str = ""
    source: str = ""
    target: str = ""
    is_done: bool = True
    """False while the photo is on its way."""
    taken_back: bool = False
    """A decision that counts no longer, because its maker took it back."""
    changed: dict[str, Any] = field(default_factory=dict)
    """What a decision changed in the row, by column: the new values."""


@dataclass(frozen=True)
class Story:
    """A photo: every row of its bytes, newest last, and what happened to them."""

    rows: list[Row]
    events: list[Event]


def of_photo(ledger: Ledger, photo_id: int) -> Story | None:
    """The story of a row's photo, and of whatever else has the same bytes; None for no such row."""
    row = ledger.row(photo_id)
    if row is None:
        return None
    rows = (
        list(ledger.rows("SELECT * FROM photos WHERE sha256 = ? ORDER BY id", row.sha256))
        if row.sha256
        else [row]
    )
    by_id = {one.id: one for one in rows}
    marks = ", ".join("?" * len(rows))
    acts = ledger.acts(f"photo_id IN ({marks})", *by_id)
    first_place: dict[int, str] = {}
    for act in acts:
        first_place.setdefault(act.photo_id, act.source)
    events = [_answered(one, first_place.get(one.id or 0, one.moved_to)) for one in rows]
    events += [_event(act, by_id[act.photo_id]) for act in acts]
    return Story(rows, sorted(events, key=lambda event: event.at))


def _answered(row: Row, place: str) -> Event:
    return Event(row.processed_at, "answered", as_the_model_had_it(row), target=place, is_done=row.filed)


_KINDS: dict[Action, str] = {
    "requeue": "put back",
    "archive": "archived",
    "delete": "deleted",
    "decide": "decided",
    "undo": "undone",
    "by hand": "moved by hand",
}


def _event(act: Act, row: Row) -> Event:
    decision = str(act.became.get("decision", act.was.get("decision", ""))) if act.action != "undo" else ""
    return Event(
        act.at,
        _KINDS[act.action],
        row,
        by=act.person,
        decision=decision if act.became else "",
        source=act.source,
        target=act.target,
        is_done=act.done,
        taken_back=act.undone,
        changed=act.became,
    )
