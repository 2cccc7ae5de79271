"""The audit: a random sample of the sure photos, judged by people who do not see the model's answer.

The sample's order is fixed: run by run, and within a run by checksum. One photo in ten goes to a second person as well,
unseen: the first answer stands, and whether both agree is kept beside it. Where they do, the photo may be planted
later: one in fifty shown, once there are fifty, is such a one; it is never counted and changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from batch.records.ledger import Ledger, Row
from batch.records.verdict import Verdict
from batch.settings import BatchSettings


@dataclass(frozen=True)
class Unseen:
    """A photo of the audit: what a page may know of it. Its picture is asked for by `photo_id`."""

    photo_id: int
    sha256: str


@dataclass(frozen=True)
class Agreement:
    """How people agree with each other."""

    second_looks: int
    agreed: int
    planted: int
    planted_right: int


def take(ledger: Ledger, holder: str, *, by: str, limit: int = 1, now: float | None = None) -> list[Unseen]:
    """The next photos for this person, leased to this tab: first looks, second looks and planted ones, not told apart."""
    raise NotImplementedError


def answer(
    settings: BatchSettings, ledger: Ledger, photo_id: int, verdict: Verdict, *, by: str, holder: str
) -> str:
    """Write down an answer; returns a receipt for `desk.undo`.

    A first look is a decision like any other (`audited` or `corrected`). Raises as `desk.decide` does; a second person's
    answer is never an AlreadyDecidedError where the photo was shown to them for one.
    """
    raise NotImplementedError


def sample(ledger: Ledger, release: str) -> Iterator[Row]:
    """The sample of a release in its order, decided or not: `decision` is empty for one that is still open."""
    raise NotImplementedError


def agreement(ledger: Ledger, release: str = "") -> Agreement:
    """How second people and planted photos came out, of one release or of all."""
    raise NotImplementedError


def open_photos(ledger: Ledger) -> int:
    """How many photos of the sample wait for a first look."""
    raise NotImplementedError
