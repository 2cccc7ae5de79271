"""A data folder of an older version is brought up to date by its next night, and loses nothing."""

import csv
import hashlib
import os
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.records import schema
from batch.records.cells import OLD_COLUMNS
from batch.records.ledger import CSV_COLUMNS, Ledger, LedgerError
from tests.batch.conftest import Examine, Night
from tests.fake_sidecar import photo

OLD = Path(__file__).parent / "version-2.tar.gz"
NEW_COLUMNS = ["doubts", "order", "decided_by", "decided_at", "decision"]


@pytest.fixture
def old(make_night: Callable[..., Night], tmp_path: Path) -> Night:
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path, filter="data")
    return make_night(data_dir=tmp_path / "data")


def lines_of(night: Night) -> dict[str, dict[str, str]]:
    with night.settings.csv_path.open(newline="", encoding="utf-8") as file:
        return {line["sha256"] + line["moved_to"]: line for line in csv.DictReader(file)}


def rows_of(night: Night) -> dict[int, dict[str, object]]:
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.row_factory = sqlite3.Row
        found = {row["id"]: dict(row) for row in db.execute("SELECT * FROM photos")}
    db.close()
    return found


def photos_of(night: Night) -> dict[str, str]:
    folders = ("processed", "review", "failed", "duplicates", "archive")
    return {
        str(path.relative_to(night.settings.data_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in (night.settings.data_dir / folder).rglob("*")
        if path.is_file()
    }


def test_doubts_of_before_that_moved_nothing_get_their_own_column(old: Night) -> None:
    """Older versions named them among the reasons for review, parted by semicolons, which shift a spreadsheet's columns."""
    before = {
        "sub category unsure (0.40 < 0.91); colour unsure (0.30 < 0.97)": (
            "sub category unsure (0.40 < 0.91)",
            "colour unsure (0.30 < 0.97)",
        ),
        "background unsure (0.14); colour unsure (0.30 < 0.97); audit": (
            "audit",
            "background unsure (0.14), colour unsure (0.30 < 0.97)",
        ),
        "may show no clothing (0.1 < 0.4); main category unsure (0.2 < 0.4)": (
            "may show no clothing (0.1 < 0.4), main category unsure (0.2 < 0.4)",
            "",
        ),
    }
    with sqlite3.connect(old.settings.ledger_path) as db:
        numbers = [
            number for (number,) in db.execute("SELECT id FROM photos ORDER BY id LIMIT ?", (len(before),))
        ]
        db.executemany("UPDATE photos SET review_reason = ? WHERE id = ?", zip(before, numbers, strict=True))
    db.close()
    with Ledger(old.settings.ledger_path) as ledger:
        rows = {row.id: row for row in ledger.all_rows()}
    assert [(rows[n].review_reason, rows[n].doubts) for n in numbers] == list(before.values())


def test_the_first_night_keeps_every_row_and_every_photo(old: Night) -> None:
    rows, photos = rows_of(old), photos_of(old)
    old.drop("order 9/new.jpg", photo("new"))
    assert old.run() == 0
    after = rows_of(old)
    for number, row in rows.items():
        kept = {name: value for name, value in after[number].items() if name in row}
        if row["status"] == "duplicate":  # it may name the first one's present place
            kept["duplicate_of"] = row["duplicate_of"]
        if "unsure" in str(row["review_reason"]):  # doubts have a column of their own now
            parts = [str(kept["review_reason"]), str(after[number]["doubts"])]
            kept["review_reason"] = "; ".join(filter(None, parts))
        assert kept == row
    assert len(after) == len(rows) + 1
    assert photos.items() <= photos_of(old).items()


def test_the_csv_gets_its_new_columns_once_and_keeps_its_lines(old: Night) -> None:
    before = lines_of(old)
    old.drop("order 9/new.jpg", photo("new"))
    old.run()
    after = lines_of(old)
    with old.settings.csv_path.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file))
    assert header == CSV_COLUMNS == [*OLD_COLUMNS, *NEW_COLUMNS]
    for key, line in before.items():
        changed = {name for name in OLD_COLUMNS if after[key][name] != line[name]}
        assert changed <= {"duplicate_of", "file_name", "moved_to", "review_reason"}
        assert after[key]["file_name"] in (line["file_name"], f"'{line['file_name']}")
        assert after[key]["order"] == (line["file_name"].rpartition("/")[0])
        assert [after[key][name] for name in ("decided_by", "decided_at", "decision")] == [""] * 3
        assert (
            ", ".join(filter(None, [after[key]["review_reason"], after[key]["doubts"]]))
            == line["review_reason"]
        )
    assert len(after) == len(before) + 1


def test_duplicates_name_their_first_photos_place_again(old: Night) -> None:
    old.run()
    lines = {line["file_name"]: line for line in lines_of(old).values()}
    assert lines["old (copy).jpg"]["duplicate_of"] == lines["old.jpg"]["moved_to"]


def test_the_doctor_finds_nothing_wrong_afterwards(old: Night, examine: Examine) -> None:
    old.run()
    code, words = examine(old)
    assert (code, "Nothing is wrong" in words) == (0, True)


def test_looking_at_it_first_changes_nothing(old: Night) -> None:
    before = old.settings.ledger_path.read_bytes()
    with Ledger(old.settings.ledger_path, look=True) as ledger:
        assert len(list(ledger.all_rows())) == len(rows_of(old))
        assert {row.order for row in ledger.all_rows()} == {"", "order-1042", "order-1043", "Größe 7"}
    assert old.settings.ledger_path.read_bytes() == before


def test_an_old_csv_fills_a_ledger_that_was_lost(old: Night) -> None:
    before = lines_of(old)
    old.settings.ledger_path.unlink()
    assert old.run() == 0
    after = lines_of(old)
    assert {line["sha256"] for line in after.values()} == {line["sha256"] for line in before.values()}
    assert len(after) == len(before)


def test_the_folder_gets_its_mark(old: Night) -> None:
    old.run()
    assert os.path.exists(old.settings.data_dir / ".nightsort-data")


def test_an_older_program_refuses_the_newer_ledger_in_a_sentence(
    old: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.run()
    monkeypatch.setattr(schema, "VERSION", 2)
    for look in (False, True):
        with pytest.raises(LedgerError, match=r"newer Nightsort .* Update the program; no photo was touched"):
            Ledger(old.settings.ledger_path, look=look)
