"""Deciding on a photo, and taking it back.

    decided = decide(settings, ledger, 4711, Verdict(main="bottomwear", sub="pants"), by="ada")
    undo(settings, ledger, decided.receipt, by="ada")

The row is written first, then the photo is moved to the folder of its answer, its companions with it; whoever dies in
between, the next decision, night or command finishes that. Nobody's decision is overwritten unless they have seen it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from batch.records.ledger import Ledger, Row
from batch.records.verdict import Decision, Verdict
from batch.settings import BatchSettings


class CannotDecideError(Exception):
    """A photo cannot be decided on; the message says why, for people. Nothing was changed."""


class AlreadyDecidedError(CannotDecideError):
    """Somebody has decided on the photo before, or since; for the page's 409."""

    def __init__(
        self, receipt: str, by: str, at: str, decision: str, theirs: Verdict, yours: Verdict | None
    ) -> None:
        """`by` is empty where the photo was moved in a file manager; `yours` is None where a decision was to be undone."""
        self.receipt, self.by, self.at, self.decision = receipt, by, at, decision
        self.theirs, self.yours = theirs, yours
        super().__init__(f"{by or 'Somebody'} has decided on this photo already ({decision}, {at}).")


class GoneError(CannotDecideError):
    """The photo is not there any more: taken away, worked on, put back, archived or deleted since."""


class UnknownAnswerError(CannotDecideError):
    """The verdict names a category, background or colour that there is none of."""


class BusyError(CannotDecideError):
    """Somebody is moving this very photo at this moment; trying again in a second helps."""


@dataclass(frozen=True)
class Decided:
    """What became of a decision."""

    receipt: str
    """For `undo`, and for `over`."""
    photo_id: int
    decision: Decision
    row: Row
    """As it is now."""


@dataclass(frozen=True)
class Failed:
    """One of several decisions that could not be made."""

    photo_id: int
    error: CannotDecideError


@dataclass(frozen=True)
class Choices:
    """What a verdict may name."""

    main_of: dict[str, str]
    """The main category of each sub-category."""
    backgrounds: tuple[str, ...]
    colours: tuple[str, ...]


def decide(
    settings: BatchSettings,
    ledger: Ledger,
    photo_id: int,
    verdict: Verdict,
    *,
    by: str,
    over: str = "",
) -> Decided:
    """Let a person's answer count for a photo. The lease on it ends.

    The same answer by the same person once more (a page that sends again what it had no reply to) gives the first
    one's receipt. `over` is the receipt of somebody's decision which this one knowingly replaces.

    Raises:
        AlreadyDecidedError: somebody has decided, and `over` does not say that this was seen.
        GoneError, UnknownAnswerError, BusyError: see there.
        FilingError: the photo cannot be moved; nothing was changed.
        LedgerError: the ledger cannot be written.
    """
    raise NotImplementedError


def decide_all(
    settings: BatchSettings, ledger: Ledger, verdicts: Sequence[tuple[int, Verdict]], *, by: str
) -> list[Decided | Failed]:
    """The same for several photos at once (a grid that is accepted), in their order; one that fails stops no other.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    raise NotImplementedError


def undo(settings: BatchSettings, ledger: Ledger, receipt: str, *, by: str) -> Decided:
    """Take one's own decision back, exactly: place, row, reason; returns the row as it was before it.

    One that was taken back already is no error. An audit's second look is taken back the same way.

    Raises:
        AlreadyDecidedError: somebody has decided since.
        GoneError: the photo lies elsewhere since (put back, archived, deleted, moved).
        CannotDecideError: it is not this person's decision.
        BusyError, FilingError, LedgerError: as for `decide`.
    """
    raise NotImplementedError


def newest(ledger: Ledger, by: str) -> str:
    """The receipt of a person's newest decision that still counts; nothing where there is none (left)."""
    raise NotImplementedError


def choices(settings: BatchSettings, ledger: Ledger) -> Choices:
    """What a verdict may name: the model's categories and those that photos have been given."""
    raise NotImplementedError
