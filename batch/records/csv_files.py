"""The CSVs: exports of the ledger, appended to when nothing else has changed, rebuilt whole otherwise."""

import contextlib
import io
import json
import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from batch.exits import NotDoneError
from batch.logs import log
from batch.records import moments, spreadsheet, takeover
from batch.records.cells import cells, is_ours, text_of_lines
from batch.records.ledger import CSV_COLUMNS, CSV_NOTE, Ledger, Row
from batch.rename import rename_new
from replacing import replacing

ROWS_AT_ONCE = 1000
_RUNS_NOTE = "run csvs"


class ExportError(NotDoneError):
    """A CSV cannot be written; the ledger has everything, and the next export catches up."""


def update_csv(ledger: Ledger, path: Path) -> None:
    """Bring `predictions.csv` up to date: append the new rows, or rebuild it when it is not as we left it.

    Raises:
        ExportError: the file cannot be written (it may be open in a spreadsheet).
    """
    mark = _mark(ledger)
    if mark.get("changed") or not is_as_left(ledger, path):
        rebuild_csv(ledger, path)
        return
    try:
        with path.open("ab") as file:
            last = _write(ledger.filed_rows(after=mark["last_id"]), file)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.truncate(path, mark["bytes"])  # no half a line for the reader of the morning
        raise _cannot_write(path, error) from error
    _set_mark(ledger, path, last or mark["last_id"])


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
    take_over_unknown(ledger, path)
    last = write_csv(ledger.filed_rows(), path)
    _set_mark(ledger, path, last)


def take_over_unknown(ledger: Ledger, path: Path) -> None:
    """Copy rows into the ledger that only the CSV has, before it is written anew: the CSV may be the only record.

    Nothing is read when the CSV is as this ledger left it. One that is not ours is kept under another name.

    Raises:
        ExportError: the file cannot be read, or renamed.
    """
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
    rows = ledger.filed_rows(run_id=run_id)
    first = next(rows, None)
    if first is not None:
        write_csv(chain([first], rows), path)
        if xlsx:
            spreadsheet.write(ledger.filed_rows(run_id=run_id), workbook, ledger.count_of_run(run_id))
        return
    try:
        path.unlink(missing_ok=True)  # all its photos were put back
        workbook.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


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


def _mark(ledger: Ledger) -> dict[str, int]:
    """The file as the last export left it, the last row in it, and whether rows before that have changed since."""
    kept: dict[str, int] = json.loads(ledger.note(CSV_NOTE) or "{}")
    return kept


def _set_mark(ledger: Ledger, path: Path, last: int) -> None:
    facts = path.stat()
    mark = {
        "bytes": facts.st_size,
        "mtime_ns": facts.st_mtime_ns,
        "ctime_ns": facts.st_ctime_ns,
        "last_id": last,
    }
    ledger.set_note(CSV_NOTE, json.dumps(mark))


def _cannot_write(path: Path, error: OSError) -> ExportError:
    return ExportError(
        f"{path} cannot be written ({error.strerror}); is it open in another program? Nothing is lost: close it, "
        "then `python -m batch export` (or the next night) brings it up to date."
    )
