"""Compares the ledger, the CSV and the folders, explains every difference, and repairs what is safe to repair.

    python -m batch doctor [--fix]

Photos that people took out of the filing folders, moved between them, or worked on there, are theirs: counted, and no
difference. No file is ever taken out of a filing folder here.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from batch.files import acts, by_hand, filing
from batch.files.data_folder import StrangeFolderError, check
from batch.logs import log
from batch.records import csv_files, moments, takeover
from batch.records.ledger import DamagedLedgerError, Ledger
from batch.settings import BatchSettings
from batch.upkeep import withdraw

SHOWN = 20
"""So many photos are named; the rest of them is counted."""


@dataclass(frozen=True)
class Difference:
    """Something that does not fit: one line that says what, and what to do; and a repair, where one is safe."""

    text: str
    repair: Callable[[], object] | None = None


def doctor(settings: BatchSettings, *, fix: bool) -> bool:
    """Examine and explain, with `fix` repair; whether all is well now.

    Changes nothing without `fix`; with it, for one who holds the run's lock.

    Raises:
        LedgerError: the ledger is not ours, is newer than this program, or cannot be opened.
        ExportError: the CSV cannot be written.
        OSError: a folder cannot be read or written.
    """
    differences = left = 0
    for difference in chain(_damage(settings), _examine(settings, fix=fix)):
        differences += 1
        log.warning("%s", difference.text)
        if fix and difference.repair:
            difference.repair()
            log.info("  Repaired.")
        else:
            left += 1
    if not differences:
        log.info("Nothing is wrong.")
    elif left:
        log.info(
            "%d of %d differences left%s.", left, differences, "" if fix else "; --fix repairs what is safe"
        )
    return not left


def _damage(settings: BatchSettings) -> Iterator[Difference]:
    """Whether the ledger can be used at all."""
    try:
        with Ledger(settings.ledger_path, look=True) as ledger:
            problems = ledger.check()
    except DamagedLedgerError as error:
        problems = [str(error)]
    if problems:
        yield Difference(
            f"The ledger {settings.ledger_path} is damaged ({problems[0]}). Put a back-up in its place; or let --fix "
            "put it aside and make a new one from predictions.csv (which knows no superseded rows)",
            lambda: _put_aside(settings.ledger_path),
        )


def _put_aside(ledger: Path) -> None:
    stamp = moments.stamp(datetime.now(UTC))
    for ending in ("", "-wal", "-shm"):
        part = ledger.with_name(ledger.name + ending)
        if part.exists():
            part.rename(ledger.with_name(f"{ledger.stem}.damaged-{stamp}{ledger.suffix}{ending}"))


def _examine(settings: BatchSettings, *, fix: bool) -> Iterator[Difference]:
    """The differences, one after the other: each is looked for when those before it may be repaired already."""
    try:
        with Ledger(settings.ledger_path, look=not fix) as ledger:
            check(settings, ledger)
            yield from _unfinished(settings, ledger)
            yield from _unknown_to_ledger(settings, ledger)
            if fix and (moved := by_hand.follow(settings, ledger, whole=True)):
                log.info("%d photos were moved by hand; their rows say where they are now.", moved)
            yield from _folders(settings, ledger)
            yield from _references(ledger)
            yield from _queue(ledger)
            yield from _unlike_csv(settings, ledger)
    except StrangeFolderError as error:
        yield Difference(f"{error}.")
    except DamagedLedgerError:
        log.info("The rest can be examined once there is a ledger.")


def _unfinished(settings: BatchSettings, ledger: Ledger) -> Iterator[Difference]:
    if rows := ledger.unfiled():
        yield Difference(
            f"{len(rows)} photos were being moved when a run died ({rows[0].file_name} is one); the next run, or --fix, "
            "finishes that.",
            lambda: filing.recover(ledger, settings.incoming, settings.data_dir, settings.ignore),
        )
    if planned := acts.dead(ledger):
        yield Difference(
            f"{len(planned)} photos were being put back, archived, deleted or decided on when that was ended by force; "
            "the next run, or --fix, finishes that.",
            lambda: withdraw.finish(settings, ledger),
        )


def _unknown_to_ledger(settings: BatchSettings, ledger: Ledger) -> Iterator[Difference]:
    """Rows of the CSV, or of one that was found (`export`), that the ledger does not have: it is a younger one."""
    csvs = [settings.csv_path, *sorted(settings.data_dir.glob(f"{settings.csv_path.stem}.found*.csv"))]
    if unknown := takeover.unknown_rows(ledger, csvs):
        yield Difference(
            f"The CSV has {len(unknown)} rows that the ledger does not know ({unknown[0]['file_name']} is one): "
            "it was lost, or an older back-up took its place. The next run, or --fix, copies them into it.",
            lambda: takeover.take_over(ledger, unknown, settings.data_dir),
        )


def _folders(settings: BatchSettings, ledger: Ledger) -> Iterator[Difference]:
    """Files that are nobody's; and, counted only, what people moved, took away or worked on."""
    seen = by_hand.look(settings, ledger, whole=True)
    if seen.moved:
        row, place = seen.moved[0]
        log.info(
            "%d photos were moved by hand (%s lies at %s now); their rows follow with the next run, or --fix.",
            len(seen.moved), row.file_name, place,
        )  # fmt: skip
    yield from _named(
        [
            Difference(
                f"{place} is the photo that was filed as {row.moved_to or 'nothing'} ({row.file_name}), and its folder "
                "decides nothing. Move it into the folder of a category, or into review, and its row follows."
            )
            for row, place in seen.elsewhere
        ]
    )
    for path in seen.leftovers:
        place = by_hand.place_of(path, settings.data_dir)
        yield Difference(f"{place} is what is left of a copy that died; --fix removes it.", path.unlink)
    yield from _named([_unknown_file(place, settings.data_dir) for place in seen.unknown])
    yield from _named(
        [Difference(f"{place} cannot be read: {why}.") for place, why in seen.unreadable.items()]
    )
    _count(settings.data_dir, ledger, len(seen.moved) + len(seen.elsewhere))


def _named(differences: list[Difference]) -> Iterator[Difference]:
    """The first of them one by one, the others as one."""
    yield from differences[:SHOWN]
    if more := differences[SHOWN:]:
        yield Difference(
            f"{len(more)} more of this kind.",
            (lambda: [one.repair() for one in more if one.repair])
            if any(one.repair for one in more)
            else None,
        )


def _unknown_file(place: str, data_dir: Path) -> Difference:
    path = data_dir / place
    if path.is_file() and path.stat().st_size == 0:
        return Difference(
            f"{place} is empty and has no row: the trace of a move that died; --fix removes it.", path.unlink
        )
    return Difference(
        f"{place} has no row: no night put it there, or it is a copy of a photo elsewhere. It stays. Take "
        "it away, or move it into incoming to have it sorted."
    )


def _count(data_dir: Path, ledger: Ledger, moved: int) -> None:
    """Say how many photos lie where their rows say, and what became of the others."""
    found = changed = gone = archived = 0
    for row in ledger.filed_rows():
        if not row.moved_to.startswith(tuple(f"{folder}/" for folder in filing.FOLDERS)):
            archived += 1
        elif not os.path.lexists(data_dir / row.moved_to):
            gone += 1
        elif filing.is_in_place(data_dir, row) or not row.sha256:
            found += 1
        else:
            changed += 1
    log.info(
        "%d photos lie where the ledger says, %d were taken away by people, %d worked on in place, %d moved by hand; "
        "%d are archived or deleted; %d rows in all.",
        found + changed, gone - moved, changed, moved, archived, found + changed + gone + archived,
    )  # fmt: skip


def _references(ledger: Ledger) -> Iterator[Difference]:
    if lost := ledger.lost_references():
        yield Difference(
            f"{len(lost)} duplicates name a first photo that is not there any more ({lost[0].file_name} is one); --fix "
            "lets them name the one that is.",
            lambda: ledger.mend_references(row.sha256 for row in lost),
        )


def _queue(ledger: Ledger) -> Iterator[Difference]:
    if ledger.queue_is_wrong():
        yield Difference(
            "The list of photos that wait for a person is not what the rows say: another program has changed the ledger. "
            "--fix makes it anew.",
            ledger.make_queue,
        )


def _unlike_csv(settings: BatchSettings, ledger: Ledger) -> Iterator[Difference]:
    path = settings.csv_path
    lag = csv_files.lag(ledger)
    decided_last = ledger.acts("id = (SELECT max(id) FROM acts) AND action IN ('decide', 'undo')")
    if decided_last and lag.changes and not lag.is_late and csv_files.is_as_left(ledger, path):
        log.info(
            "predictions.csv is of %s; what people have decided since follows.", moments.shown(lag.written_at)
        )
        return
    what = _unlike(ledger, path)
    if what:
        yield Difference(
            f"predictions.csv {what}: it was edited, or a run died. The ledger has everything; `python -m batch export`, "
            "the next run, or --fix, writes it again.",
            lambda: csv_files.rebuild_csv(ledger, path),
        )


def _unlike(ledger: Ledger, path: Path) -> str:
    """How the CSV differs from the ledger's rows; nothing if it does not."""
    if not path.exists():
        return "is missing" if next(ledger.filed_rows(), None) else ""
    with path.open("rb") as file:
        for text in csv_files.text_of(ledger.exportable_rows()):
            if file.read(len(text)) != text:
                return "is not what the ledger holds"
        return "has more rows than the ledger" if file.read(1) else ""
