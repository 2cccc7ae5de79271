"""All that happened to a photo, in time: for the page that answers where it is, and why."""

from dataclasses import dataclass, field

from batch.records.ledger import Ledger, Row


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    at: str
    """When (UTC)."""
    kind: str
    """`answered`, `filed`, `decided`, `undone`, `moved by hand`, `put back`, `archived`, `deleted`."""
    row: Row
    """The row that it happened to; for `answered` as the model had it."""
    by: str = ""
    decision: str = ""
    source: str = ""
    target: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    """What a decision changed, by column: the new values."""


@dataclass(frozen=True)
class Story:
    """A photo: every row of its bytes, newest last, and what happened to them."""

    rows: list[Row]
    events: list[Event]


def of_photo(ledger: Ledger, photo_id: int) -> Story | None:
    """The story of a row's photo, and of whatever else has the same bytes; None for no such row."""
    raise NotImplementedError
