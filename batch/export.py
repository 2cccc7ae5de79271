"""The CSVs: exports of the ledger, appended to when nothing else has changed, rebuilt whole otherwise."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace

from batch.ledger import CSV_COLUMNS, Ledger, Row
from batch.logs import log
from batch.rename import rename_new

ROWS_AT_ONCE = 1000
_MARK, _RUNS_MARK = "csv", "run csvs"
_RISKY = ("=", "+", "-", "@")


class ExportError(Exception):
    """A CSV cannot be written; the ledger has everything, and the next export catches up."""


def update_csv(ledger: Ledger, path: Path) -> None:
    """Bring `predictions.csv` up to date: append the new rows, or rebuild it when it is not as we left it.

    Raises:
        ExportError: the file cannot be written (it may be open in a spreadsheet).
    """
    mark = json.loads(ledger.note(_MARK) or "{}")
    if not path.exists() or path.stat().st_size != mark.get("bytes"):
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


def rebuild_csv(ledger: Ledger, path: Path) -> None:
    """Write `predictions.csv` anew from the ledger; readers see the old file until the new one is complete.

    Raises:
        ExportError: the file cannot be written.
    """
    if not ledger.note(_MARK):
        _keep_aside(path)
    needs_rebuild(ledger)
    last = write_csv(ledger.filed_rows(), path)
    _set_mark(ledger, path, last)


def _keep_aside(path: Path) -> None:
    """Rename a CSV that this ledger has never written: without its ledger it may be the only record there is."""
    number = 1
    while path.exists():
        aside = path.with_name(f"{path.stem}.found{f'-{number}' if number > 1 else ''}{path.suffix}")
        try:
            rename_new(path, aside)
            log.warning("%s is not from this ledger; it is kept as %s.", path.name, aside.name)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise _cannot_write(path, error) from error


def export_run(ledger: Ledger, folder: Path, run_id: str) -> None:
    """Write one run's rows to `<folder>/<run>.csv`; a run without rows has no file.

    Raises:
        ExportError: the file cannot be written.
    """
    path = folder / f"{run_id}.csv"
    rows = ledger.filed_rows(run_id=run_id)
    first = next(rows, None)
    if first is not None:
        write_csv(chain([first], rows), path)
        return
    try:
        path.unlink(missing_ok=True)  # all its photos were put back
    except OSError as error:
        raise _cannot_write(path, error) from error


def update_run_csvs(ledger: Ledger, folder: Path) -> None:
    """Write the CSVs of the runs that have rows since the last time: tonight's, and one's that died.

    Raises:
        ExportError: a file cannot be written.
    """
    newest = ledger.newest_rows(after=int(ledger.note(_RUNS_MARK) or 0))
    for run_id in newest:
        export_run(ledger, folder, run_id)
    if newest:
        ledger.set_note(_RUNS_MARK, str(max(newest.values())))


def update_all(ledger: Ledger, path: Path, folder: Path) -> None:
    """Bring `predictions.csv` up to date, and the CSVs of runs whose photos were put back or moved since.

    Raises:
        ExportError: a file cannot be written.
    """
    update_csv(ledger, path)
    for run_id, moment in ledger.acted_on().items():
        run_csv = folder / f"{run_id}.csv"
        if run_csv.exists() and run_csv.stat().st_mtime < datetime.fromisoformat(moment).timestamp() + 1:
            export_run(ledger, folder, run_id)


def write_csv(rows: Iterator[Row], path: Path) -> int:
    """Write rows to a new file that replaces `path` once it is complete; returns the last row's id.

    Raises:
        ExportError: the file cannot be written.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(_text([CSV_COLUMNS]))
            last = _write(rows, file)
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()  # a full disk needs the room
        raise _cannot_write(path, error) from error
    return last


def text_of(rows: Iterator[Row]) -> Iterator[bytes]:
    """What a CSV of these rows holds, piece by piece."""
    yield _text([CSV_COLUMNS])
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield _text(map(cells, some))


def needs_rebuild(ledger: Ledger) -> None:
    """Let the next update write the whole CSV: rows before its end have changed."""
    ledger.set_note(_MARK, "{}")


def cells(row: Row) -> list[str]:
    """A row as the CSV has it.

    Probabilities have four decimals. A text that a spreadsheet might run as a formula gets a leading `'`
    (owasp.org/www-community/attacks/CSV_Injection); the ledger keeps it exact.
    """
    return [cell(getattr(row, column)) for column in CSV_COLUMNS]


def cell(value: object) -> str:
    """One value as the CSV has it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4f}"
    text = str(value)
    return f"'{text}" if _is_risky(text) else text


def uncell(text: str) -> str:
    """The text that was written as this cell."""
    return text[1:] if text.startswith("'") and _is_risky(text[1:]) else text


def _is_risky(text: str) -> bool:
    return text.startswith(_RISKY) or (text != "" and text[0] < " ") or text.startswith("\x7f")


def _write(rows: Iterator[Row], file: io.BufferedWriter) -> int:
    """Write rows as CSV text, down to the disk; returns the last row's id, 0 when there was none."""
    last = 0
    while some := list(islice(rows, ROWS_AT_ONCE)):
        file.write(_text(map(cells, some)))
        last = some[-1].id or 0
    file.flush()
    os.fsync(file.fileno())
    return last


def _text(lines: Iterable[list[str]]) -> bytes:
    """Lines of CSV. Told that lines end in CR LF, the writer quotes either in a cell; ours end in LF."""
    written: list[str] = []
    csv.writer(SimpleNamespace(write=written.append), lineterminator="\r\n").writerows(lines)
    return "".join(f"{line[:-2]}\n" for line in written).encode()


def _set_mark(ledger: Ledger, path: Path, last: int) -> None:
    ledger.set_note(_MARK, json.dumps({"bytes": path.stat().st_size, "last_id": last}))


def _cannot_write(path: Path, error: OSError) -> ExportError:
    return ExportError(
        f"{path} cannot be written ({error.strerror}); is it open in another program? Nothing is lost: close it, "
        "then `python -m batch export` (or the next night) brings it up to date."
    )
