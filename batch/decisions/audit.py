"""The audit: a random sample of the sure photos, judged by people who do not see the model's answer.

`Ledger.sample` gives the sample in its fixed order. One photo in ten goes to a second person as well,
unseen: the first answer stands, and whether both agree is kept beside it. Where they do, the photo may be planted
later: one in fifty shown, once there are fifty, is such a one; it is never counted and changes nothing.
"""

import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass

from batch.decisions import desk, leases, looks
from batch.records.ledger import Decision, Ledger
from batch.records.verdict import Verdict
from batch.settings import BatchSettings

PLANTED = 50
"""One photo shown in so many is a planted one, once two people have agreed on so many."""

SECOND = "substr(sha256, 9, 3) < '19a'"
"""Which photos get a second look: 410 in 4096, chosen by other digits of the checksum than the sample is."""

_SAMPLE = "instr(review_reason, 'audit') AND status IN ('processed', 'review') AND filed AND NOT superseded"
_LYING = "moved_to >= 'processed/' AND moved_to < 'processed0'"


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


def take(
    ledger: Ledger,
    holder: str,
    *,
    by: str,
    limit: int = 1,
    besides: Collection[int] = (),
    now: float | None = None,
) -> list[Unseen]:
    """The next photos for this person, leased to this tab: first looks, second looks and planted ones, not told apart.

    `besides` are photos that the tab has already.
    """
    now = time.time() if now is None else now
    found: list[Unseen] = []
    with ledger.transaction(lasting=False):  # nobody else takes the same ones in between
        leases.tidy(ledger, now)
        for _ in range(limit):
            looker = _Looker(by, holder, now, [*besides, *(one.photo_id for one in found)])
            kind, photo = _next(ledger, looker)
            if photo is None:
                break
            leases.put(ledger, holder, [photo.photo_id], kind, now)
            found.append(photo)
    return found


def answer(
    settings: BatchSettings, ledger: Ledger, photo_id: int, verdict: Verdict, *, by: str, holder: str
) -> str:
    """Write down an answer; returns a receipt for `desk.undo`.

    A first look is a decision like any other (`audited` or `corrected`). Raises as `desk.decide` does; a second person's
    answer is never an AlreadyDecidedError where the photo was shown to them for one.
    """
    kind = leases.purpose(ledger, holder, photo_id)
    row = ledger.row(photo_id)
    if row is not None and row.decision and row.decided_by != by and kind in ("second", "planted"):
        return looks.add(ledger, row, "second" if kind == "second" else "planted", verdict, by)
    return desk.decide(settings, ledger, photo_id, verdict, by=by).receipt


def agreement(ledger: Ledger, release: str = "") -> Agreement:
    """How second people and planted photos came out, of one release or of all."""
    found = ledger.read(
        "SELECT kind, count(*), sum(agrees) FROM looks WHERE ? IN ('', release) GROUP BY kind", release
    )
    numbers = {str(kind): (int(count), int(agreed)) for kind, count, agreed in found}
    return Agreement(*numbers.get("second", (0, 0)), *numbers.get("planted", (0, 0)))


def open_photos(ledger: Ledger, most: int | None = None) -> int:
    """How many photos of the sample wait for a first look; beyond `most` they are not counted, and it is one more."""
    # by the index of the sample: SQLite, which does not know how small that is, would read every filed photo
    found = (
        "SELECT 1 FROM photos INDEXED BY photos_audit_open"
        f" WHERE decision = '' AND {_SAMPLE} AND {_LYING} LIMIT ?"
    )
    limit = -1 if most is None else most + 1
    return int(ledger.read(f"SELECT count(*) FROM ({found})", limit)[0][0])


@dataclass(frozen=True)
class _Looker:
    """Who asks for a photo, and what they cannot get."""

    by: str
    holder: str
    now: float
    has: Collection[int]

    def first(
        self, ledger: Ledger, condition: str, *values: object, order: str = "run_id, sha256, id"
    ) -> Unseen | None:
        """The first photo of the sample that fits, that nobody else looks at and that they do not have already."""
        found = ledger.read(
            f"SELECT id, sha256 FROM photos WHERE {_SAMPLE} AND ({condition})"
            f" AND id NOT IN ({', '.join(map(str, [0, *self.has]))})"
            " AND id NOT IN (SELECT photo_id FROM leases WHERE holder != ? AND until > ?)"
            f" ORDER BY {order} LIMIT 1",
            *values, self.holder, self.now,
        )  # fmt: skip
        return Unseen(int(found[0][0]), str(found[0][1])) if found else None


def _next(ledger: Ledger, looker: _Looker) -> tuple[str, Unseen | None]:
    """The next photo for a person, and what it is shown for."""
    if secrets.randbelow(PLANTED) == 0 and (photo := _planted(ledger, looker)):
        return "planted", photo
    if photo := _second(ledger, looker):
        return "second", photo
    return "first", looker.first(ledger, f"decision = '' AND {_LYING}")


def _second(ledger: Ledger, looker: _Looker) -> Unseen | None:
    """A photo that somebody else has judged, and that is one of those that get a second look."""
    condition = (
        f"decision != '' AND {SECOND} AND decided_by NOT IN ('', ?)"
        " AND id NOT IN (SELECT photo_id FROM looks WHERE kind = 'second')"
    )
    return looker.first(ledger, condition, looker.by)


def _planted(ledger: Ledger, looker: _Looker) -> Unseen | None:
    """A photo that two people agreed on, neither of them this one, and that this one has not been shown yet."""
    agreed = "SELECT photo_id FROM looks WHERE kind = 'second' AND agrees"
    if ledger.read(f"SELECT count(*) FROM ({agreed})")[0][0] < PLANTED:
        return None
    condition = (
        f"id IN ({agreed}) AND decision NOT IN ('', '{Decision.CANNOT_TELL}') AND decided_by != ?"
        " AND id NOT IN (SELECT photo_id FROM looks WHERE person = ?)"
    )
    return looker.first(ledger, condition, looker.by, looker.by, order="random()")
