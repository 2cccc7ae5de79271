"""Compares the ledger, the CSV and the folders, explains every difference, and repairs what is safe to repair.

    python -m batch doctor [--fix]

Photos that people took out of the filing folders, or worked on there, are theirs: counted, and no difference.
"""

import csv
import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from batch import acts, export, filing
from batch.companions import is_companion
from batch.ledger import CSV_COLUMNS, DamagedLedgerError, Ledger, Row
from batch.logs import log
from batch.settings import BatchSettings

FOLDERS = ("processed", "review", "failed", "duplicates")
SHOWN = 20
"""So many photos are named; the rest of them is counted."""


@dataclass(frozen=True)
class Difference:
    """Something that does not fit: one line that says what, and what to do; and a repair, where one is safe."""

    text: str
    repair: Callable[[], object] | None = None


def doctor(settings: BatchSettings, *, fix: bool) -> bool:
    """Examine and explain, with `fix` repair; whether all is well now. For one who holds the run's lock.

    Raises:
        LedgerError: the ledger is not ours, is newer than this program, or cannot be opened.
        ExportError: the CSV cannot be written.
        OSError: a folder cannot be read or written.
    """
    differences = left = 0
    for difference in chain(_damage(settings), _examine(settings)):
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
        with Ledger(settings.ledger_path) as ledger:
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
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for ending in ("", "-wal", "-shm"):
        part = ledger.with_name(ledger.name + ending)
        if part.exists():
            part.rename(ledger.with_name(f"{ledger.stem}.damaged-{stamp}{ledger.suffix}{ending}"))


def _examine(settings: BatchSettings) -> Iterator[Difference]:
    """The differences, one after the other: each is looked for when those before it may be repaired already."""
    try:
        with Ledger(settings.ledger_path) as ledger:
            for examination in (_unfinished, _unknown_to_ledger, _folders, _unlike_csv):
                yield from examination(settings, ledger)
    except DamagedLedgerError:
        log.info("The rest can be examined once there is a ledger.")


def _unfinished(settings: BatchSettings, ledger: Ledger) -> Iterator[Difference]:
    if rows := ledger.unfiled():
        yield Difference(
            f"{len(rows)} photos were being moved when a run died ({rows[0].file_name} is one); the next run, or --fix, "
            "finishes that.",
            lambda: filing.recover(ledger, settings.incoming, settings.data_dir),
        )
    if planned := ledger.unfinished_acts():
        yield Difference(
            f"{len(planned)} photos were being put back, archived or deleted when that command died; the next run, or "
            "--fix, finishes that.",
            lambda: acts.finish(settings, ledger),
        )


def _unknown_to_ledger(settings: BatchSettings, ledger: Ledger) -> Iterator[Difference]:
    """Rows of the CSV, or of one that was found (`export`), that the ledger does not have: it is a younger one."""
    known = {hash((row.run_id, export.cell(row.file_name), row.sha256)) for row in ledger.all_rows()}
    csvs = [settings.csv_path, *sorted(settings.data_dir.glob(f"{settings.csv_path.stem}.found*.csv"))]
    unknown = [
        line
        for line in chain.from_iterable(map(_csv_rows, csvs))
        if hash((line["run_id"], line["file_name"], line["sha256"])) not in known
    ]
    if unknown:
        yield Difference(
            f"The CSV has {len(unknown)} rows that the ledger does not know ({unknown[0]['file_name']} is one): "
            "it was lost, or an older back-up took its place. Let --fix copy them into it.",
            lambda: _copy_into(ledger, unknown, settings.data_dir),
        )


def _copy_into(ledger: Ledger, lines: list[dict[str, str]], data_dir: Path) -> None:
    ledger.record([_row(line, data_dir) for line in lines])
    export.needs_rebuild(ledger)


def _csv_rows(path: Path) -> list[dict[str, str]]:
    """The rows of `predictions.csv` that are whole."""
    if not path.exists():
        return []
    text = path.read_text("utf-8", "replace")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or rows[0] != CSV_COLUMNS:
        return []
    if not text.endswith("\n"):
        rows.pop()  # torn
    return [dict(zip(CSV_COLUMNS, row, strict=True)) for row in rows[1:] if len(row) == len(CSV_COLUMNS)]


def _row(line: dict[str, str], data_dir: Path) -> Row:
    """A row of the ledger from one of the CSV."""
    row = Row(file_name="", filed=True)
    for column in CSV_COLUMNS:
        text = line[column]
        if column.endswith("_probability"):
            setattr(row, column, float(text) if re.fullmatch(r"[01]\.\d+", text) else None)
        elif column == "needs_review":
            row.needs_review = text == "true"
        else:
            setattr(row, column, export.uncell(text))
    row.source = os.fsencode(row.file_name)
    place = data_dir / row.moved_to
    if row.moved_to and place.is_file():
        row.size, row.mtime_ns = place.stat().st_size, place.stat().st_mtime_ns
    return row


def _folders(settings: BatchSettings, ledger: Ledger) -> Iterator[Difference]:
    """Files without a row; and, counted only, rows whose photo people took away or worked on."""
    sizes = {row.moved_to: row.size for row in ledger.filed_rows()}
    strangers: list[str] = []
    found = changed = 0
    for path in _files(settings.data_dir):
        place = os.fsencode(path.relative_to(settings.data_dir)).decode("utf-8", "backslashreplace")
        if place in sizes:
            found += 1
            changed += path.lstat().st_size != sizes[place]
        elif path.name.endswith((filing.COPYING, filing.COPIED)):
            yield Difference(f"{place} is what is left of a copy that died; --fix removes it.", path.unlink)
        elif not path.name.startswith(".") and not is_companion(path):
            strangers.append(str(path))
    for stranger in strangers[:SHOWN]:
        yield _stranger(Path(stranger), settings)
    if more := [Path(stranger) for stranger in strangers[SHOWN:]]:
        yield Difference(
            f"{len(more)} more files in the filing folders have no row either.",
            lambda: _put_all_back(more, settings),
        )
    archived = sum(place == "" or not place.startswith(FOLDERS) for place in sizes)
    log.info(
        "%d photos lie where the ledger says, %d were taken away by people, %d worked on in place; %d are archived or "
        "deleted; %d rows in all.",
        found, len(sizes) - found - archived, changed, archived, len(sizes),
    )  # fmt: skip


def _files(data_dir: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        for parent, _, names in os.walk(
            data_dir / folder
        ):  # a link to a folder is a name here, and not followed
            yield from (Path(parent, name) for name in names)


def _stranger(path: Path, settings: BatchSettings) -> Difference:
    place = path.relative_to(settings.data_dir)
    if path.lstat().st_size == 0:
        return Difference(
            f"{place} is empty and has no row: the trace of a move that died; --fix removes it.", path.unlink
        )
    return Difference(
        f"{place} has no row: no night has put it there. Take it away, or let --fix move it to incoming, to be sorted.",
        lambda: _put_back(path, settings),
    )


def _put_all_back(paths: list[Path], settings: BatchSettings) -> None:
    for path in paths:
        _put_back(path, settings)


def _put_back(path: Path, settings: BatchSettings) -> None:
    free = filing.free_place(settings.data_dir, f"incoming/{path.name}")
    filing.move_photo(path, settings.data_dir / free, filing.digest(path))


def _unlike_csv(settings: BatchSettings, ledger: Ledger) -> Iterator[Difference]:
    path = settings.csv_path
    what = _unlike(ledger, path)
    if what:
        yield Difference(
            f"predictions.csv {what}: it was edited, or a run died. The ledger has everything; `python -m batch export`, "
            "the next run, or --fix writes it anew.",
            lambda: export.rebuild_csv(ledger, path),
        )


def _unlike(ledger: Ledger, path: Path) -> str:
    """How the CSV differs from the ledger's rows; nothing if it does not."""
    if not path.exists():
        return "is missing" if next(ledger.filed_rows(), None) else ""
    with path.open("rb") as file:
        for text in export.text_of(ledger.filed_rows()):
            if file.read(len(text)) != text:
                return "is not what the ledger holds"
        return "has more rows than the ledger" if file.read(1) else ""
