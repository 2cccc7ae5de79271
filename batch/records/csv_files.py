"""The CSVs: exports of the ledger, appended to when nothing else has changed, rebuilt whole otherwise."""

import contextlib
import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from batch.exits import NotDoneError
from batch.lock import Lock
from batch.logs import log
from batch.records import moments, spreadsheet, takeover
from batch.records.cells import cells, is_ours, text_of_lines
from batch.records.ledger import CSV_COLUMNS, Ledger, Row
from batch.records.schema import CSV_NOTE
from batch.records.verdict import as_the_model_had_it
from batch.rename import rename_new
from replacing import replacing

ROWS_AT_ONCE = 1000
_RUNS_NOTE = "run csvs"

LOCK_NAME = ".nightsort.csv.lock"
"""Beside the ledger: whoever writes `predictions.csv` holds it, a night or the pages."""

QUIET_SECONDS = 60
LATEST_SECONDS = 900
"""People's decisions reach the CSV when nobody has decided for so long, at latest after that."""


class ExportError(NotDoneError):
    """A CSV cannot be written; the ledger has everything, and the next export catches up."""


@dataclass(frozen=True)
class Lag:
    """How far `predictions.csv` is behind the ledger."""

    written_at: str
    """When it was written last (UTC); empty when never, or by an older version."""
    changes: int
    """Changes of its rows that it does not have."""
    is_due: bool
    is_late: bool
    """Nobody has written it although it was due."""


def update_csv(ledger: Ledger, path: Path) -> None:
    """Bring `predictions.csv` up to date: append the new rows, or rebuild it when it is not as we left it.

    Raises:
        ExportError: the file cannot be written (it may be open in a spreadsheet).
    """
    with _alone(ledger):
        mark = _mark(ledger)
        if _lacks(mark) or not is_as_left(ledger, path):
            _rebuild(ledger, path)
            return
        try:
            with path.open("ab") as file:
                last = _write(ledger.exportable_rows(after=mark["last_id"]), file)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(path, mark["bytes"])  # no half a line for the reader of the morning
            raise _cannot_write(path, error) from error
        _set_mark(ledger, path, last or mark["last_id"], mark)


def lag(ledger: Ledger, now: float | None = None) -> Lag:
    """How far the CSV is behind what people have decided since; `now` is in seconds since 1970."""
    mark = _mark(ledger)
    now = time.time() if now is None else now
    quiet, oldest = (
        now - moments.local(mark[key]).timestamp() if key in mark else 0 for key in ("last", "first")
    )
    lacks = _lacks(mark)
    return Lag(
        written_at=str(mark.get("written_at", "")),
        changes=lacks,
        is_due=bool(lacks) and (quiet >= QUIET_SECONDS or oldest >= LATEST_SECONDS),
        is_late=bool(lacks) and oldest >= LATEST_SECONDS + QUIET_SECONDS,
    )


def is_as_left(ledger: Ledger, path: Path) -> bool:
    """Whether `predictions.csv` is the file that this ledger's last export left.

    Its times tell, down to the one that no program can set: an edit may keep the length, and an editor the time.
    """
    mark = _mark(ledger)
    try:
        facts = path.stat()
    except FileNotFoundError:
        return False
    changed_ns = mark.get("ctime_ns", facts.st_ctime_ns)  # older versions noted none
    return (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns) == (
        mark.get("bytes"),
        mark.get("mtime_ns"),
        changed_ns,
    )


def rebuild_csv(ledger: Ledger, path: Path) -> None:
    """Write `predictions.csv` anew from the ledger; readers see the old file until the new one is complete.

    Raises:
        ExportError: the file cannot be written.
    """
    with _alone(ledger):
        _rebuild(ledger, path)


def _rebuild(ledger: Ledger, path: Path) -> None:
    _take_over_unknown(ledger, path)
    mark = _mark(ledger)  # before the rows are read: what changes later is not in the file
    last = write_csv(ledger.exportable_rows(), path)
    _set_mark(ledger, path, last, mark)


def take_over_unknown(ledger: Ledger, path: Path) -> None:
    """Copy rows into the ledger that only the CSV has, before it is written anew: the CSV may be the only record.

    Nothing is read when the CSV is as this ledger left it. One that is not ours is kept under another name.

    Raises:
        ExportError: the file cannot be read, or renamed.
    """
    with _alone(ledger):
        _take_over_unknown(ledger, path)


def _take_over_unknown(ledger: Ledger, path: Path) -> None:
    if is_as_left(ledger, path):
        return
    try:
        if not _mark(ledger) and not is_ours(path):
            _keep_aside(path)
            return
        unknown = takeover.unknown_rows(ledger, [path])
    except OSError as error:
        raise _cannot_write(path, error) from error
    if unknown:
        log.warning(
            "%s has %d rows that the ledger does not know (%s is one): the ledger was lost, or an older back-up "
            "took its place. They are copied into it; nothing is lost.",
            path.name, len(unknown), unknown[0]["file_name"],
        )  # fmt: skip
        takeover.take_over(ledger, unknown, path.parent)


def _keep_aside(path: Path) -> None:
    """Rename a file that is no CSV of ours."""
    number = 1
    while path.exists():
        aside = path.with_name(f"{path.stem}.found{f'-{number}' if number > 1 else ''}{path.suffix}")
        try:
            rename_new(path, aside)
            log.warning("%s is no CSV of Nightsort's; it is kept as %s.", path.name, aside.name)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise _cannot_write(path, error) from error


def export_run(ledger: Ledger, folder: Path, run_id: str, *, xlsx: bool = False) -> None:
    """Write one run's rows to `<folder>/<run>.csv`, with `xlsx` to a workbook as well; a run without rows has none.

    Raises:
        ExportError: the CSV cannot be written.
    """
    path, workbook = folder / f"{run_id}.csv", folder / f"{run_id}.xlsx"
    rows = _of_the_night(ledger, run_id)
    first = next(rows, None)
    if first is not None:
        write_csv(chain([first], rows), path)
        if xlsx:
            spreadsheet.write(_of_the_night(ledger, run_id), workbook, ledger.count_of_run(run_id))
        return
    try:
        path.unlink(missing_ok=True)  # all its photos were put back
        workbook.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _of_the_night(ledger: Ledger, run_id: str) -> Iterator[Row]:
    """A run's rows as the night had them, whatever people have decided since; and where the photos lie now."""
    return map(as_the_model_had_it, ledger.filed_rows(run_id=run_id))


def update_run_csvs(ledger: Ledger, folder: Path, *, xlsx: bool = False) -> None:
    """Write the files of the runs that have rows since the last time: tonight's, and one's that died.

    Raises:
        ExportError: a file cannot be written.
    """
    newest = ledger.newest_rows(after=int(ledger.note(_RUNS_NOTE) or 0))
    for run_id in newest:
        export_run(ledger, folder, run_id, xlsx=xlsx)
    if newest:
        ledger.set_note(_RUNS_NOTE, str(max(newest.values())))


def update_all(ledger: Ledger, path: Path, folder: Path) -> None:
    """Bring `predictions.csv` up to date, and the CSVs of runs whose photos were put back or moved since.

    Raises:
        ExportError: a file cannot be written.
    """
    update_csv(ledger, path)
    for run_id, moment in ledger.acted_on().items():
        run_csv = folder / f"{run_id}.csv"
        if run_csv.exists() and run_csv.stat().st_mtime < moments.local(moment).timestamp() + 1:
            export_run(ledger, folder, run_id, xlsx=run_csv.with_suffix(".xlsx").exists())


def write_csv(rows: Iterator[Row], path: Path) -> int:
    """Write rows to a new file that replaces `path` once it is complete; returns the last row's id.

    Raises:
        ExportError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as new, new.open("wb") as file:
            file.write(text_of_lines([CSV_COLUMNS]))
            last = _write(rows, file)
    except OSError as error:
        raise _cannot_write(path, error) from error
    return last


def text_of(rows: Iterator[Row]) -> Iterator[bytes]:
    """What a CSV of these rows holds, piece by piece."""
    yield text_of_lines([CSV_COLUMNS])
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield text_of_lines(map(cells, some))


def _write(rows: Iterator[Row], file: io.BufferedWriter) -> int:
    """Write rows as CSV text; returns the last row's id, 0 when there was none."""
    last = 0
    while some := list(islice(rows, ROWS_AT_ONCE)):
        file.write(text_of_lines(map(cells, some)))
        last = some[-1].id or 0
    return last


@contextlib.contextmanager
def _alone(ledger: Ledger) -> Iterator[None]:
    """While nobody else writes `predictions.csv`."""
    with Lock(ledger.path.parent / LOCK_NAME, wait=True, signed=False):
        yield


def _mark(ledger: Ledger) -> dict[str, Any]:
    """The file as the last export left it, the last row in it, and the changes of rows since (`CSV_NOTE`)."""
    kept: dict[str, Any] = json.loads(ledger.note(CSV_NOTE) or "{}")
    return kept


def _lacks(mark: dict[str, Any]) -> int:
    """How many changes of rows the file does not have; older versions noted only whether there were any."""
    return int(mark.get("changes", 0)) - int(mark.get("exported", 0)) or int(mark.get("changed", False))


def _set_mark(ledger: Ledger, path: Path, last: int, before: dict[str, Any]) -> None:
    """Note what was written; `before` is the mark as it was when the rows began to be read."""
    facts = path.stat()
    mark = {
        "bytes": facts.st_size,
        "mtime_ns": facts.st_mtime_ns,
        "ctime_ns": facts.st_ctime_ns,
        "last_id": last,
        "exported": before.get("changes", 0),
        "written_at": moments.now(),
    }
    with ledger.changing_note(CSV_NOTE) as note:
        since = json.loads(note.value or "{}")
        mark["changes"] = since.get("changes", 0)
        if mark["changes"] != mark["exported"]:  # people went on deciding meanwhile
            mark |= {"first": since["last"], "last": since["last"]}
        note.value = json.dumps(mark)


def _cannot_write(path: Path, error: OSError) -> ExportError:
    return ExportError(
        f"{path} cannot be written ({error.strerror}); is it open in another program? Nothing is lost: close it, "
        "then `python -m batch export` (or the next night) brings it up to date."
    )
