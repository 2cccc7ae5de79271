"""What is done to filed photos later: put back for a new answer, archived, deleted.

As safe as the night: what is to be done is written into the ledger before anything moves, and whatever dies in
between, the next night (or the next of these commands) finishes it.
"""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from batch.exits import NotDoneError
from batch.files import filing
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


class WorkedOnError(Exception):
    """What lies at a row's place does not have the row's bytes: it is somebody's, and left alone."""


@dataclass(frozen=True)
class Choice:
    """Which photos are meant; what is not said does not matter. `run` may be `last`.

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
        sql = " AND ".join(condition for condition, _ in conditions)
        return ledger.matching(sql, *(value for _, values in conditions for value in values))

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
    acts = ledger.unfinished_acts()
    return _perform(settings, ledger, acts, again=True) if acts else 0


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


def _do(settings: BatchSettings, ledger: Ledger, acts: Iterator[Act]) -> int:
    """Write down and do, some at a time."""
    done = 0
    planned = list(acts)  # read to the end before the rows that they are read from change
    waiting = iter(planned)
    while some := list(islice(waiting, AT_ONCE)):
        reserved: set[str] = set()
        look, taken = functools.cache(Folder), functools.cache(Taken)
        for act in some:
            if act.target:
                name = os.path.basename(act.source)
                companions = _companions(settings.data_dir, ledger, act, look)
                act.target = filing.free_place(
                    settings.data_dir, act.target, reserved, name, companions, taken
                )
                reserved.add(act.target)
        ledger.plan(some)
        done += _perform(settings, ledger, some, again=False)
    return done


def _perform(settings: BatchSettings, ledger: Ledger, acts: list[Act], *, again: bool) -> int:
    """Do what is written down; what cannot be done is forgotten, with a word. Returns how many were done."""
    done = []
    look, taken = functools.cache(Folder), functools.cache(Taken)
    for act in acts:
        companions = _companions(settings.data_dir, ledger, act, look)
        try:
            if _perform_one(settings.data_dir, act, _row_of(ledger, act), companions, taken, again=again):
                done.append(act)
                continue
            problem = "it is not there any more"
        except WorkedOnError:
            problem = "another file, or an edited version, is there"
        except OSError as error:
            problem = error.strerror or str(error)
        log.warning("%s was left as it is: %s.", act.source, problem)
        ledger.undo(act)
    folders = {settings.data_dir / place for act in done for place in (act.source, act.target) if place}
    filing.sync_folders({path.parent for path in folders})
    ledger.finish(done)
    for act in done:
        _remove_empty_folders((settings.data_dir / act.source).parent, settings.data_dir)
    return len(done)


def _companions(data_dir: Path, ledger: Ledger, act: Act, look: Callable[[Path], Folder]) -> list[str]:
    """The names of a photo's companions; not those with a row of their own, as older versions gave to some."""
    folder, _, name = act.source.rpartition("/")
    found = {f"{folder}/{companion}": companion for companion in look(data_dir / folder).companions_of(name)}
    with_rows = ledger.known_places(filing.readable(place) for place in found)
    return [companion for place, companion in found.items() if filing.readable(place) not in with_rows]


def _row_of(ledger: Ledger, act: Act) -> Row:
    row = ledger.row(act.photo_id)
    assert row is not None  # rows of filed photos are never deleted
    return row


def _perform_one(
    data_dir: Path, act: Act, row: Row, companions: list[str], taken: filing.Look, *, again: bool
) -> bool:
    """Move or delete one photo; False when it is gone. With `again` it may be half done already.

    Raises:
        WorkedOnError: what lies at the row's place is not the row's photo.
        OSError: it cannot be moved or deleted.
    """
    source, target = data_dir / act.source, data_dir / act.target
    if again and act.target:
        filing.clear_up(source, target, row.mtime_ns, row.size)
    if not os.path.lexists(source):
        if again and act.target and filing.has_bytes_of(target, row):
            filing.finish_companions(source, target)
            return True
        return again and act.action == "delete"
    if not filing.has_bytes_of(source, row):
        raise WorkedOnError
    if act.action == "delete":
        _delete(source, companions)
        return True
    while True:
        act.target = filing.free_place(data_dir, act.target, (), source.name, companions, taken)
        target = data_dir / act.target
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            filing.move_photo(source, target, row.sha256, companions)
            return True
        except FileExistsError:  # somebody put a file there just now: take another name
            continue


def _delete(photo: Path, companions: list[str]) -> None:
    for companion in companions:  # first: without their photo nobody knows whose they are
        photo.with_name(companion).unlink(missing_ok=True)
    photo.unlink(missing_ok=True)


def _remove_empty_folders(folder: Path, data_dir: Path) -> None:
    """Remove the sub-folder (an order number, say) that a photo was the last one in."""
    while folder.parent not in (data_dir, folder) and folder.is_relative_to(data_dir):
        try:
            folder.rmdir()
        except OSError:  # not empty, or gone already
            return
        folder = folder.parent
