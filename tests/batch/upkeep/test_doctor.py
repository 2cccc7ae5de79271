"""The doctor: explains every difference in a line, repairs what is safe, calls what people did no difference."""

import os
import re
import sqlite3

import pytest

from batch.files.filing import COPIED, COPYING
from batch.records import csv_files
from batch.records.ledger import Ledger
from tests.batch.conftest import Examine, Night
from tests.fake_sidecar import photo


@pytest.fixture
def sorted_night(night: Night) -> Night:
    """A data folder with six photos of every kind, sorted."""
    night.drop("a.jpg", photo("a"))
    night.drop("order 7/b.jpg", photo("b", sub="pants"))
    night.drop("order 7/b.xmp", b"edits")
    night.drop("c.jpg", photo("c", doubt=True))
    night.drop("d.jpg", photo("d", broken=True))
    night.drop(b"caf\xe9.jpg", photo("e"))
    night.run()
    night.drop("=f.jpg", photo("a"))
    assert night.run() == 0
    return night


def assert_fixed(night: Night, examine: Examine) -> None:
    assert examine(night, fix=True)[0] == 0
    code, words = examine(night)
    assert (code, "Nothing is wrong" in words) == (0, True)


def test_after_a_night_nothing_is_wrong(sorted_night: Night, examine: Examine) -> None:
    code, words = examine(sorted_night)
    assert code == 0
    assert "6 photos lie where the ledger says, 0 were taken away" in words
    assert "Nothing is wrong" in words


def test_an_empty_data_folder_is_fine(night: Night, examine: Examine) -> None:
    assert examine(night)[0] == 0


def test_photos_that_people_took_away_or_worked_on_are_counted_and_no_difference(
    sorted_night: Night, examine: Examine
) -> None:
    data = sorted_night.settings.data_dir
    (data / "processed/upperwear/t-shirt/a.jpg").unlink()
    (data / "review/c.jpg").write_bytes(b"cropped")
    code, words = examine(sorted_night)
    assert code == 0
    assert "1 were taken away by people, 1 worked on" in words


def test_a_csv_that_was_edited_is_explained_and_written_anew(sorted_night: Night, examine: Examine) -> None:
    path = sorted_night.settings.csv_path
    before = path.read_bytes()
    for edited in (before.replace(b"red", b"RED"), before[:-7], before + b"more\n", b""):
        path.write_bytes(edited)
        code, words = examine(sorted_night)
        assert code == 1
        assert "predictions.csv" in words
        assert path.read_bytes() == edited
        assert_fixed(sorted_night, examine)
        assert path.read_bytes() == before


def test_a_csv_that_is_missing_is_written_anew(sorted_night: Night, examine: Examine) -> None:
    before = sorted_night.settings.csv_path.read_bytes()
    sorted_night.settings.csv_path.unlink()
    assert examine(sorted_night)[0] == 1
    assert_fixed(sorted_night, examine)
    assert sorted_night.settings.csv_path.read_bytes() == before


def test_a_file_without_a_row_is_named_and_stays(sorted_night: Night, examine: Examine) -> None:
    stranger = sorted_night.settings.data_dir / "processed" / "upperwear" / "stranger.jpg"
    stranger.write_bytes(photo("stranger", sub="shoes"))
    for fix in (False, True):
        code, words = examine(sorted_night, fix=fix)
        assert code == 1
        assert "processed/upperwear/stranger.jpg has no row" in words
        assert stranger.exists()
    assert sorted_night.waiting() == []


def test_what_moves_that_died_left_behind_is_removed(sorted_night: Night, examine: Examine) -> None:
    folder = sorted_night.settings.data_dir / "processed"
    for name in (f".x{COPYING}", f".x{COPIED}", "empty.jpg"):
        (folder / name).touch()
    assert examine(sorted_night)[0] == 1
    assert_fixed(sorted_night, examine)
    assert [path.name for path in folder.iterdir()] == ["upperwear", "bottomwear"] or all(
        path.is_dir() for path in folder.iterdir()
    )


def test_a_run_that_died_is_explained_and_finished(
    night: Night, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.drop("a.jpg", photo("a"))

    class PowerCutError(BaseException):
        pass

    def die(*_: object) -> None:
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr("batch.files.filing.file_photo", die)
        with pytest.raises(PowerCutError):
            night.run()
    code, words = examine(night)
    assert code == 1
    assert "1 photos were being moved when a run died" in words
    assert night.waiting() == ["a.jpg"]
    assert_fixed(night, examine)
    assert night.waiting() == []
    assert len(night.csv()) == 1


def damage(night: Night) -> None:
    content = bytearray(night.settings.ledger_path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    night.settings.ledger_path.write_bytes(content)


def test_a_damaged_ledger_stops_the_night_and_is_made_anew_from_the_csv(
    sorted_night: Night, examine: Examine
) -> None:
    before, files = sorted_night.settings.csv_path.read_bytes(), sorted_night.files()
    damage(sorted_night)
    sorted_night.drop("new.jpg", photo("new"))
    assert sorted_night.run() == 1
    assert sorted_night.waiting() == ["new.jpg"]
    code, words = examine(sorted_night)
    assert code == 1
    assert "damaged" in words
    assert_fixed(sorted_night, examine)
    assert sorted_night.settings.csv_path.read_bytes() == before
    assert sorted_night.files() == files
    assert list(sorted_night.settings.data_dir.glob("ledger.damaged-*.sqlite3"))
    sorted_night.drop("again.jpg", photo("a"))
    assert sorted_night.run() == 0
    rows = {row["file_name"]: row for row in sorted_night.csv()}
    assert rows["again.jpg"]["status"] == "duplicate"
    assert rows["new.jpg"]["status"] == "processed"
    assert len(rows) == 8


@pytest.mark.parametrize("content", [b"", b"no database at all, but more than a few bytes long" * 100])
def test_a_ledger_whose_file_holds_something_else_is_refused(
    content: bytes, sorted_night: Night, examine: Examine
) -> None:
    for ending in ("-wal", "-shm"):
        sorted_night.settings.ledger_path.with_name(f"ledger.sqlite3{ending}").unlink(missing_ok=True)
    sorted_night.settings.ledger_path.write_bytes(content)
    rows = sorted_night.settings.csv_path.read_bytes()
    if content:
        sorted_night.drop("new.jpg", photo("new"))
        assert sorted_night.run() == 1
        assert sorted_night.waiting() == ["new.jpg"]
        (sorted_night.incoming / "new.jpg").unlink()
    assert examine(sorted_night)[0] == 1
    assert_fixed(sorted_night, examine)
    assert sorted_night.settings.csv_path.read_bytes() == rows


def test_a_lost_ledger_is_filled_from_the_csv_by_the_next_night(
    sorted_night: Night, examine: Examine
) -> None:
    for path in sorted_night.settings.data_dir.glob("ledger.sqlite3*"):
        path.unlink()
    sorted_night.drop("new.jpg", photo("new"))
    code, words = examine(sorted_night)
    assert code == 1
    assert "6 rows that the ledger does not know" in words
    assert sorted_night.run() == 0
    assert {row["file_name"] for row in sorted_night.csv()} >= {"new.jpg", "a.jpg", "'=f.jpg"}
    assert len(sorted_night.csv()) == 7
    assert examine(sorted_night)[0] == 0


def test_a_csv_that_an_older_version_has_put_aside_fills_the_ledger(
    sorted_night: Night, examine: Examine
) -> None:
    for path in sorted_night.settings.data_dir.glob("ledger.sqlite3*"):
        path.unlink()
    text = sorted_night.settings.csv_path.read_bytes()
    sorted_night.settings.csv_path.unlink()
    aside = sorted_night.settings.csv_path.with_name("predictions.found.csv")
    aside.write_bytes(re.sub(rb"\b\d{8}T", b"20200102T", text))  # of other nights than the one that follows
    sorted_night.run()
    assert_fixed(sorted_night, examine)
    assert len(sorted_night.csv()) == 6


def test_a_ledger_of_a_newer_program_is_refused_and_left_as_it_is(
    sorted_night: Night, examine: Examine
) -> None:
    with sqlite3.connect(sorted_night.settings.ledger_path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    sorted_night.drop("new.jpg", photo("new"))
    assert sorted_night.run() == 1
    for fix in (False, True):
        code, words = examine(sorted_night, fix=fix)
        assert code == 1
        assert "newer" in words
        assert "Update the program" in words
    assert sorted_night.waiting() == ["new.jpg"]


def test_another_programs_database_is_refused(night: Night, examine: Examine) -> None:
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    night.drop("new.jpg", photo("new"))
    assert night.run() == 1
    code, words = examine(night, fix=True)
    assert code == 1
    assert "not a Nightsort ledger" in words


def test_export_rebuilds_the_csv_whole(sorted_night: Night) -> None:
    from batch.night.run import export_all

    before = sorted_night.settings.csv_path.read_bytes()
    sorted_night.settings.csv_path.write_bytes(b"rubbish")
    assert export_all(sorted_night.settings) == 0
    assert sorted_night.settings.csv_path.read_bytes() == before
    with Ledger(sorted_night.settings.ledger_path) as ledger:
        assert b"".join(csv_files.text_of(ledger.filed_rows())) == before


def test_while_a_night_runs_the_doctor_does_not_interfere(sorted_night: Night, examine: Examine) -> None:
    from batch.lock import run_lock

    with run_lock(sorted_night.settings.data_dir):
        assert examine(sorted_night, fix=True)[0] == 75
