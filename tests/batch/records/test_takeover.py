"""Rows that only `predictions.csv` knows: an older ledger in place of a newer one loses none of them."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.night.run import export_all
from batch.records import cells, takeover
from batch.records.ledger import CSV_COLUMNS, Ledger, Row
from tests.batch.conftest import Do, Examine, Night
from tests.fake_sidecar import FakeSidecar, photo

ODD_NAMES = [
    "carriage\rreturn.jpg",
    "new\nline.jpg",
    "'=x.jpg",
    "=x.jpg",
    "''twice.jpg",
    "'tis.jpg",
    "＝x.jpg",
    "＋x.jpg",
    "－x.jpg",
    "＠x.jpg",
    "@x.jpg",
    "\tx.jpg",
    'quote",comma.jpg',
]


@pytest.fixture
def restored(night: Night) -> Night:
    """A data folder whose ledger is a back-up from before its last night."""
    night.drop("first.jpg", photo("first"))
    night.run()
    backup = night.settings.data_dir.with_name("backup.sqlite3")
    shutil.copy(night.settings.ledger_path, backup)
    for name in ("order 7/a.jpg", "b.jpg", *ODD_NAMES):
        night.drop(name, photo(name.encode().hex()))
    night.drop("taken away.jpg", photo("taken away"))
    night.run()
    _rename_last_run(night)
    (night.settings.data_dir / "processed/upperwear/t-shirt/taken away.jpg").unlink()
    for path in night.settings.data_dir.glob("ledger.sqlite3*"):
        path.unlink()
    shutil.copy(backup, night.settings.ledger_path)
    return night


def _rename_last_run(night: Night) -> None:
    """The test's nights may all begin in the same second, of which a run's id is made."""
    text = night.settings.csv_path.read_bytes()
    with Ledger(night.settings.ledger_path, look=True) as ledger:
        last = ledger.runs()[-1].run_id
    night.settings.csv_path.write_bytes(text.replace(last.encode(), b"20200102T000000Z"))


def by_name(night: Night) -> dict[str, Row]:
    return {row.file_name: row for row in night.rows()}


def test_a_night_with_an_older_ledger_takes_the_newer_rows_over(restored: Night) -> None:
    before = {line["file_name"] for line in restored.csv()}
    restored.drop("new.jpg", photo("new"))
    assert restored.run() == 0
    assert {line["file_name"] for line in restored.csv()} == before | {"new.jpg"}
    assert set(by_name(restored)) >= set(ODD_NAMES)


def test_photos_known_from_the_csv_are_known_again(restored: Night, sidecar: FakeSidecar) -> None:
    asked = len(sidecar.photos_asked())
    restored.drop("again.jpg", photo(b"b.jpg".hex()))
    restored.run()
    assert len(sidecar.photos_asked()) == asked
    assert by_name(restored)["again.jpg"].duplicate_of == "processed/upperwear/t-shirt/b.jpg"


def test_rows_of_a_night_that_was_saved_while_it_was_at_work_survive_a_csv_that_cannot_be_read_at_first(
    night: Night,
) -> None:
    for name in "abc":
        night.drop(f"{name}.jpg", photo(name))
    night.run()
    with contextlib.closing(sqlite3.connect(night.settings.ledger_path)) as db, db:
        # as a back-up has it that was made when one photo was filed
        db.execute("DELETE FROM photos WHERE file_name != 'a.jpg'")
        db.execute("UPDATE runs SET exit_code = NULL, finished_at = '', message = '', summary = '{}'")
        db.execute("UPDATE notes SET value = '{}' WHERE key = 'csv'")
    aside = night.settings.csv_path.with_name("aside")
    night.settings.csv_path.rename(aside)
    night.settings.csv_path.mkdir()
    assert night.run() == 1  # says that the CSV cannot be read
    night.settings.csv_path.rmdir()
    aside.rename(night.settings.csv_path)
    assert night.run() == 0
    assert by_name(night).keys() == {"a.jpg", "b.jpg", "c.jpg"}
    assert {line["file_name"] for line in night.csv()} == {"a.jpg", "b.jpg", "c.jpg"}
    with Ledger(night.settings.ledger_path, look=True) as ledger:
        assert all(run.exit_code is not None for run in ledger.runs())


def test_a_photo_that_people_had_taken_away_keeps_its_row(restored: Night) -> None:
    restored.run()
    row = by_name(restored)["taken away.jpg"]
    assert (row.status, row.sub_category, row.moved_to) == ("processed", "t-shirt", "")


def test_the_nights_themselves_are_known_again(restored: Night) -> None:
    restored.run()
    with Ledger(restored.settings.ledger_path, look=True) as ledger:
        second, first, _ = ledger.runs()
    assert second.exit_code == 0
    assert second.counts["swept"] == len(ODD_NAMES) + 3
    assert "predictions.csv" in second.message
    assert first.message == ""


@pytest.mark.parametrize("how", ["night", "export", "requeue", "doctor"])
def test_whatever_rewrites_the_csv_takes_its_rows_over_first(
    how: str,
    restored: Night,
    do: Do,
    examine: Examine,
) -> None:
    before = {line["file_name"] for line in restored.csv()}
    actions: dict[str, Callable[[], object]] = {
        "night": restored.run,
        "export": lambda: export_all(restored.settings),
        "requeue": lambda: do("requeue", "--photo", "first.jpg"),
        "doctor": lambda: examine(restored, fix=True),
    }
    actions[how]()
    missing = before - {line["file_name"] for line in restored.csv()}
    assert missing == ({"first.jpg"} if how == "requeue" else set())


def test_names_come_back_exactly(restored: Night, examine: Examine) -> None:
    before = restored.settings.csv_path.read_bytes().replace(
        b"processed/upperwear/t-shirt/taken away.jpg", b""
    )
    assert examine(restored, fix=True)[0] == 0
    assert restored.settings.csv_path.read_bytes() == before


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_cell_is_read_back_as_it_was(name: str, tmp_path: Path) -> None:
    row = Row(file_name=name, run_id="20261125T020000Z", processed_at="2026-11-25T02:00:00Z")
    path = tmp_path / "a.csv"
    path.write_bytes(cells.text_of_lines([CSV_COLUMNS, cells.cells(row)]))
    (line,) = cells.read(path)
    assert line["file_name"] == name
    assert cells.cell(name)[0] not in "=+-@＝＋－＠\t\r\n"


def test_an_edited_csv_brings_no_rows_of_nights_that_the_ledger_knows(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    text = night.settings.csv_path.read_text("utf-8")
    night.settings.csv_path.write_text(text.replace("a.jpg", "edited.jpg"), "utf-8")
    night.run()
    assert [row.file_name for row in night.rows()] == ["a.jpg"]
    assert [line["file_name"] for line in night.csv()] == ["a.jpg"]


def lose_the_ledger(night: Night) -> None:
    for path in night.settings.data_dir.glob("ledger.sqlite3*"):
        path.unlink()


@pytest.mark.parametrize(
    "place",
    [
        "../outside.jpg",
        "processed/../../outside.jpg",
        "/etc/hostname",
        "C:\\Windows\\x.jpg",
        "..\\outside.jpg",
        "processed/nul\0.jpg",
        "x" * 5000,
    ],
)
def test_a_place_from_a_csv_is_trusted_only_below_the_data_folder(
    place: str,
    night: Night,
    do: Do,
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    outside = night.settings.data_dir.parent / "outside.jpg"
    outside.write_bytes(photo("a"))
    text = night.settings.csv_path.read_text("utf-8")
    night.settings.csv_path.write_text(text.replace("processed/upperwear/t-shirt/a.jpg", place), "utf-8")
    lose_the_ledger(night)
    night.run()
    (row,) = night.rows()
    assert row.moved_to in ("", "processed/upperwear/t-shirt/a.jpg")  # found again by its bytes
    do("prune", "--days", "1", "--delete", "--yes", "--status", "processed")
    assert outside.read_bytes() == photo("a")


def test_a_place_from_a_csv_needs_the_rows_bytes(night: Night) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    (night.settings.data_dir / "processed/upperwear/t-shirt/a.jpg").write_bytes(photo("another"))
    lose_the_ledger(night)
    night.run()
    (row,) = [row for row in night.rows() if row.file_name == "a.jpg"]
    assert row.moved_to == ""


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("run_id", "../../20261125T020000Z"),
        ("run_id", "mine"),
        ("sha256", "../x"),
        ("status", "gone"),
        ("processed_at", "../../.."),
    ],
)
def test_a_line_that_no_night_has_written_is_no_row(column: str, text: str, tmp_path: Path) -> None:
    good = dict.fromkeys(CSV_COLUMNS, "") | {
        "file_name": "a.jpg", "run_id": "20261125T020000Z", "sha256": "0" * 64,
        "status": "processed", "processed_at": "2026-11-25T02:00:00Z", "needs_review": "false",
    }  # fmt: skip
    path = tmp_path / "predictions.csv"
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        for line, count in ((good, 1), ({**good, column: text}, 0)):
            path.write_bytes(cells.text_of_lines([CSV_COLUMNS, [line[name] for name in CSV_COLUMNS]]))
            assert len(takeover.unknown_rows(ledger, [path])) == count


def test_a_name_from_a_csv_leads_nowhere_else_when_it_is_put_back(
    night: Night,
    do: Do,
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    text = night.settings.csv_path.read_text("utf-8")
    night.settings.csv_path.write_text(text.replace("a.jpg,", "../../evil/a.jpg,", 1), "utf-8")
    lose_the_ledger(night)
    night.run()
    assert do("requeue", "--run", "last") in (0, 2)
    do("requeue", "--release", "fake-1")
    assert night.waiting() == ["evil", "evil/a.jpg"]
    assert not (night.settings.data_dir.parent.parent / "evil").exists()


def test_where_old_and_new_rows_have_one_place_the_newer_one_counts(
    night: Night,
    do: Do,
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    backup = night.settings.data_dir.with_name("backup.sqlite3")
    shutil.copy(night.settings.ledger_path, backup)
    do("requeue", "--photo", "a.jpg")
    with sqlite3.connect(night.settings.ledger_path) as db:  # another second, another run
        db.execute("UPDATE runs SET run_id = '20200101T000000Z', started_at = '2020-01-01T00:00:00Z'")
    db.close()
    night.run()
    for path in night.settings.data_dir.glob("ledger.sqlite3*"):
        path.unlink()
    shutil.copy(backup, night.settings.ledger_path)
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.execute("UPDATE runs SET run_id = '20200101T000000Z'")
        db.execute("UPDATE photos SET run_id = '20200101T000000Z'")
    db.close()
    night.run()
    assert len(night.rows()) == len(night.files()) == 1


@pytest.mark.parametrize("keeps_time", [False, True])
def test_an_edit_that_keeps_the_length_is_noticed_and_written_anew(night: Night, keeps_time: bool) -> None:
    if keeps_time and os.name != "posix":
        pytest.skip("Windows knows no time that cannot be set")
    night.drop("a.jpg", photo("a"))
    night.run()
    path = night.settings.csv_path
    whole, facts = path.read_bytes(), path.stat()
    with path.open("r+b") as file:  # the same file, as some editors do it
        file.write(whole.replace(b"t-shirt", b"trouser"))
    if keeps_time:
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert path.stat().st_size == len(whole)
    night.drop("b.jpg", photo("b"))
    night.run()
    assert path.read_bytes().startswith(whole)
    assert len(night.csv()) == 2


def test_a_file_that_is_no_csv_of_ours_is_kept_aside_when_the_ledger_is_new(night: Night) -> None:
    night.settings.csv_path.write_text("name;price\nshirt;12\n", "utf-8")
    night.drop("a.jpg", photo("a"))
    assert night.run() == 0
    aside = night.settings.csv_path.with_name("predictions.found.csv")
    assert aside.read_text("utf-8") == "name;price\nshirt;12\n"
