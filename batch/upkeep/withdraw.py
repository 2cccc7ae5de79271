"""What is done to filed photos later: put back for a new answer, archived, deleted.

As safe as the night: what is to be done is written into the ledger before anything moves, and whatever dies in
between, the next night (or the next of these commands) finishes it.
"""

import functools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from batch.exits import NotDoneError
from batch.files import acts, filing, movers
from batch.files.companions import Folder, Taken
from batch.logs import log
from batch.records import moments
from batch.records.ledger import Act, Ledger, Row
from batch.settings import BatchSettings

AT_ONCE = 500
"""Photos that are written down together before they are moved."""

INCOMING = "incoming"


class NothingFitsError(NotDoneError):
    """No photo is one that was named; the message says what was named."""


@dataclass(frozen=True)
class Choice:
    """Which photos are meant; what is not said does not matter. `run` may be `last`.

    What people have decided stays, unless it is named as a photo.

    >>> Choice(release="2026-11-21", below=0.6).found(ledger)  # doctest: +SKIP
    """

    failed: bool = False
    run: str = ""
    photo: str = ""
    order: str = ""
    release: str = ""
    below: float | None = None

    def rows(self, ledger: Ledger) -> Iterator[Row]:
        """The photos that all of it fits, oldest first."""
        sql, values = self._condition()
        return ledger.matching(f"{sql} AND decision = ''" if not self.photo else sql, *values)

    def decided(self, ledger: Ledger) -> int:
        """How many photos would fit, had people not decided on them."""
        sql, values = self._condition()
        return 0 if self.photo else sum(1 for _ in ledger.matching(f"{sql} AND decision != ''", *values))

    def _condition(self) -> tuple[str, list[object]]:
        conditions: list[tuple[str, tuple[object, ...]]] = [("moved_to != ''", ())]
        if self.failed:
            conditions.append(("status = 'failed'", ()))
        if self.run:
            conditions.append(("run_id = ?", (self.run,)))
        if self.photo:
            conditions.append(("nfc(?) IN (nfc(file_name), nfc(moved_to))", (filing.readable(self.photo),)))
        if self.order:
            conditions.append(('nfc("order") = nfc(?)', (filing.readable(self.order).strip("/"),)))
        if self.release:
            conditions.append(("model_version = ?", (self.release,)))
        if self.below is not None:
            conditions.append(("sub_category_probability < ?", (self.below,)))
            conditions.append(("status IN ('processed', 'review')", ()))
        return (
            " AND ".join(condition for condition, _ in conditions),
            [value for _, values in conditions for value in values],
        )

    def found(self, ledger: Ledger) -> list[Row]:
        """The same, with the duplicates that go back with them.

        Raises:
            NothingFitsError: a photo or an order was named, and no photo fits.
        """
        rows = list(with_duplicates(ledger, self.rows(ledger)))
        named = {"photo": self.photo, "order": self.order}
        words = " and ".join(f"{name} “{filing.readable(value)}”" for name, value in named.items() if value)
        if words and not rows:
            raise NothingFitsError(
                f"no photo fits {words}. The names are in predictions.csv: a photo's in the column "
                "file_name or moved_to, an order's in order."
            )
        return rows


def requeue(settings: BatchSettings, ledger: Ledger, choice: Choice) -> int:
    """Put photos back into `incoming`; the next night predicts them again. Returns how many.

    Their rows are superseded and leave the CSVs. The duplicates of a photo go with it, so that none points to a
    place where its first one lies no more. For one who holds the run's lock.

    Raises:
        NothingFitsError: what was named is not there.
    """
    rows = choice.found(ledger)
    if left := choice.decided(ledger):
        log.info("%d photos that people have decided on stay; --photo NAME puts one back all the same.", left)
    return _do(settings, ledger, (_plan("requeue", row, _place_in_incoming(row)) for row in rows))


def _place_in_incoming(row: Row) -> str:
    """Where the photo came from; never anywhere else, whatever the name: it may have been read from a CSV."""
    return "/".join([INCOMING, *(part for part in row.file_name.split("/") if part not in ("", ".", ".."))])


def old_photos(ledger: Ledger, days: int, statuses: Iterable[str]) -> Iterator[Row]:
    """Photos with one of these statuses that were decided more than so many days ago."""
    before = moments.days_before(moments.now(), days)
    chosen = list(statuses)
    marks = ", ".join("?" * len(chosen))
    return ledger.matching(f"moved_to != '' AND processed_at < ? AND status IN ({marks})", before, *chosen)


def archive(settings: BatchSettings, ledger: Ledger, rows: Iterable[Row], folder: Path) -> int:
    """Move photos below `folder`, by month; their rows say where. Returns how many."""
    base = folder.relative_to(settings.data_dir) if folder.is_relative_to(settings.data_dir) else folder
    return _do(
        settings,
        ledger,
        (_plan("archive", row, f"{base.as_posix()}/{row.processed_at[:7]}/{row.moved_to}") for row in rows),
    )


def delete(settings: BatchSettings, ledger: Ledger, rows: Iterable[Row]) -> int:
    """Delete photos; their rows stay, with an empty `moved_to`. Returns how many."""
    return _do(settings, ledger, (_plan("delete", row) for row in rows))


def finish(settings: BatchSettings, ledger: Ledger) -> int:
    """Finish what an earlier command had begun when it died; returns how many photos that were."""
    movers.tidy(ledger.path.parent)
    return acts.finish_dead(settings.data_dir, ledger)


def with_duplicates(ledger: Ledger, rows: Iterator[Row]) -> Iterator[Row]:
    """Photos, and the duplicates that go back with them."""
    firsts, chosen = set(), set()
    for row in rows:
        yield row
        chosen.add(row.id)
        if row.status in ("processed", "review"):
            firsts.add(row.sha256)
    if firsts:
        for row in ledger.matching("status = 'duplicate' AND moved_to != ''"):
            if row.sha256 in firsts and row.id not in chosen:
                yield row


def _plan(action: Literal["requeue", "archive", "delete"], row: Row, target: str = "") -> Act:
    assert row.id is not None  # it comes from the ledger
    now = moments.now()
    return Act(action=action, photo_id=row.id, source=row.moved_to, target=target, at=now)


def _do(settings: BatchSettings, ledger: Ledger, planned: Iterator[Act]) -> int:
    """Write down and do, some at a time."""
    done = 0
    waiting = iter(list(planned))  # read to the end before the rows that they are read from change
    while some := list(islice(waiting, AT_ONCE)):
        reserved: set[str] = set()
        look, taken = functools.cache(Folder), functools.cache(Taken)
        with movers.moving(ledger.path.parent) as owner:
            for act in some:
                act.owner = owner
                if act.target:
                    name = os.path.basename(act.source)
                    companions = acts.companions_of(settings.data_dir, ledger, act, look)
                    act.target = filing.free_place(
                        settings.data_dir, act.target, reserved, name, companions, taken
                    )
                    reserved.add(act.target)
            todo = ledger.plan(some)
            if len(todo) < len(some):
                log.warning("%d photos were left: people have just decided on them.", len(some) - len(todo))
            done += acts.perform(settings.data_dir, ledger, todo)
    return done
