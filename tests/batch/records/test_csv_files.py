"""`predictions.csv` is an export of the ledger, whatever changed there, and whatever died right after the change."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from batch.records import csv_files
from batch.records.ledger import Act, Ledger, Row

CHANGES: dict[str, Callable[[Ledger, list[Row]], object]] = {
    "put back": lambda ledger, rows: ledger.plan([act("requeue", rows[0])]),
    "deleted": lambda ledger, rows: ledger.finish(planned(ledger, act("delete", rows[0]))),
    "archived": lambda ledger, rows: ledger.finish(planned(ledger, act("archive", rows[0], "archive/a.jpg"))),
    "moved by hand": lambda ledger, rows: ledger.follow(
        replace(rows[0], moved_to="review/a.jpg"), rows[0], ""
    ),
    "a duplicate's first one found again": lambda ledger, _: ledger.mend_references(["same"]),
    "filed later than those after it": lambda ledger, rows: ledger.record([], filed=[rows[2].id or 0]),
}


def act(action: str, row: Row, target: str = "") -> Act:
    assert row.id
    return Act(action=action, photo_id=row.id, source=row.moved_to, target=target)  # type: ignore[arg-type]


def planned(ledger: Ledger, *acts: Act) -> list[Act]:
    ledger.plan(acts)
    return list(acts)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_rows_that_the_csv_has_is_noted_with_the_change_itself(
    tmp_path: Path, change: str
) -> None:
    path = tmp_path / "predictions.csv"
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        rows = [
            Row(file_name="a.jpg", sha256="same", status="processed", moved_to="processed/a.jpg", filed=True),
            Row(
                file_name="b.jpg", sha256="same", status="duplicate", moved_to="duplicates/b.jpg", filed=True
            ),
            Row(file_name="c.jpg", sha256="c", status="processed", moved_to="processed/c.jpg"),
            Row(file_name="d.jpg", sha256="d", status="processed", moved_to="processed/d.jpg", filed=True),
        ]
        ledger.record(rows)
        with sqlite3.connect(ledger.path) as other:  # as an older version had left it
            other.execute("UPDATE photos SET duplicate_of = 'processed/gone.jpg' WHERE status = 'duplicate'")
        csv_files.update_csv(ledger, path)
        before = path.read_bytes()
        CHANGES[change](ledger, rows)
    with Ledger(
        tmp_path / "ledger.sqlite3"
    ) as ledger:  # the next one to open it knows nothing of what happened
        csv_files.update_csv(ledger, path)
        assert path.read_bytes() == b"".join(csv_files.text_of(ledger.exportable_rows())) != before


def test_a_night_that_only_adds_rows_appends_them(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        ledger.record([Row(file_name="a.jpg", filed=True)])
        csv_files.update_csv(ledger, path)
        same_file = path.stat().st_ino
        rows = [Row(file_name="b.jpg")]
        ledger.record(rows)
        ledger.set_mtime(rows[0])
        ledger.record([], filed=[rows[0].id or 0])
        csv_files.update_csv(ledger, path)
        assert path.stat().st_ino == same_file
        assert path.read_bytes() == b"".join(csv_files.text_of(ledger.filed_rows()))
