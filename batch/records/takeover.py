"""Rows that `predictions.csv` has and the ledger does not: it was lost, or an older back-up took its place.

A CSV is a text that anybody can edit. Nothing in it is trusted as a path or as a name of ours: a row that does not
look like one that we wrote is left out, and one whose photo does not lie where it says has no place.
"""

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import cast

from batch.checksum import digest
from batch.exits import Exit
from batch.records import cells
from batch.records.ledger import (
    CSV_COLUMNS,
    DECISIONS,
    STATUSES,
    Decision,
    Ledger,
    Row,
    Run,
    Status,
)
from batch.records.schema import mere_doubts, without_doubts

_OURS = {
    "run_id": r"\d{8}T\d{6}Z(-\d+)?",
    "sha256": r"([0-9a-f]{64})?",
    "status": "|".join(STATUSES),
    "processed_at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "decided_at": r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?",
    "decision": f"({'|'.join(DECISIONS)})?",
    "needs_review": "true|false",
}
"""What a cell of ours looks like, where that is fixed."""

Line = dict[str, str]


def unknown_rows(ledger: Ledger, paths: Iterable[Path]) -> list[Line]:
    """The rows of these CSVs that the ledger does not know.

    Those of a night that it knows to have ended are all known: what looks new among them was edited by somebody.

    Raises:
        OSError: a file cannot be read.
    """
    ended = {run.run_id for run in ledger.runs() if run.exit_code is not None}
    lines = [
        line for path in paths for line in cells.read(path) if _is_ours(line) and line["run_id"] not in ended
    ]
    known = {run_id: ledger.keys_of_run(run_id) for run_id in {line["run_id"] for line in lines}}
    found = []
    for line in lines:
        keys = known[line["run_id"]]
        key = (line["file_name"], line["sha256"])
        if key not in keys:
            found.append(line)
            keys.add(key)  # it may stand in several files
    return found


def take_over(ledger: Ledger, lines: Iterable[Line], data_dir: Path) -> None:
    """Copy such rows, and the nights that they are of, into the ledger.

    Where a row of the ledger has the same place, the CSV's is the newer one and counts.
    """
    rows = [_row(line, data_dir) for line in lines]
    ledger.take_over(rows, _runs_of(rows))


def _is_ours(line: Line) -> bool:
    return all(re.fullmatch(pattern, line[column]) for column, pattern in _OURS.items())


def _row(line: Line, data_dir: Path) -> Row:
    row = Row(file_name="", filed=True)
    for column in CSV_COLUMNS:
        text = line[column]
        if column.endswith("_probability"):
            setattr(row, column, float(text) if re.fullmatch(r"[01]\.\d+", text) else None)
        elif column == "needs_review":
            row.needs_review = text == "true"
        else:
            setattr(row, column, text)
    row.status, row.decision = cast(Status, line["status"]), cast(Decision, line["decision"])
    if not row.doubts:
        row.doubts, row.review_reason = mere_doubts(row.review_reason), without_doubts(row.review_reason)
    row.source = os.fsencode(row.file_name)
    _find(row, data_dir)
    return row


def _find(row: Row, data_dir: Path) -> None:
    """Note size and time of the row's photo, or that it has no place."""
    if row.moved_to and _is_below(row.moved_to):
        place = data_dir / row.moved_to
        try:
            facts = place.lstat()
            if digest(place) == row.sha256 and (row.sha256 or not stat.S_ISREG(facts.st_mode)):
                row.size, row.mtime_ns = facts.st_size, facts.st_mtime_ns
                return
        except (OSError, ValueError):  # gone, not to be read, no name at all
            pass
    row.moved_to = ""


def _is_below(place: str) -> bool:
    """Whether a place can only lie below the data folder, on any system."""
    windows, posix = PureWindowsPath(place), PurePosixPath(place)
    return not windows.anchor and not posix.is_absolute() and ".." not in (*windows.parts, *posix.parts)


def _runs_of(rows: list[Row]) -> list[Run]:
    """What is known of the nights that rows are of: when they were, and how many photos they sorted."""
    runs: dict[str, Run] = {}
    for row in rows:
        run = runs.setdefault(
            row.run_id,
            Run(row.run_id, _started(row.run_id), exit_code=0, message="Known from predictions.csv only"),
        )
        run.finished_at = max(run.finished_at, row.processed_at)
        run.model_version = row.model_version or run.model_version
        run.counts["swept"] = run.counts.get("swept", 0) + 1
        run.counts[row.status] = run.counts.get(row.status, 0) + 1
        if row.status == "failed":
            run.exit_code = Exit.FAILED_PHOTOS
    return list(runs.values())


def _started(run_id: str) -> str:
    """The moment that a run's id is made of, as the ledger has it."""
    day, time = run_id[:8], run_id[9:15]
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}Z"
