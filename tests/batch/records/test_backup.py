"""Back-up and restore, as docs/operations.md describes them."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.night import run
from batch.records import backup
from batch.records.ledger import Ledger, LedgerError, Row
from settings import ROOT
from tests.batch.conftest import Night
from tests.fake_sidecar import photo


def rows_of(path: Path) -> int:
    with Ledger(path) as ledger:
        return len(list(ledger.filed_rows()))


def test_a_whole_installation_comes_back_from_its_back_up(night: Night, tmp_path: Path) -> None:
    for name in "abc":
        night.drop(f"{name}.jpg", photo(name))
    night.run()
    saved = tmp_path / "saved"
    shutil.copytree(night.settings.data_dir, saved, ignore=shutil.ignore_patterns("ledger.sqlite3*"))
    backup.back_up(night.settings.ledger_path, saved)
    before = night.csv()

    shutil.rmtree(night.settings.data_dir)
    shutil.copytree(saved, night.settings.data_dir)
    assert run.export_all(night.settings) == 0
    assert night.csv() == before
    night.drop("again.jpg", photo("a"))
    night.drop("new.jpg", photo("new"))
    assert night.run() == 0
    assert [row["status"] for row in night.csv()].count("duplicate") == 1
    assert len(night.csv()) == len(night.files()) == 5


def test_an_older_ledger_takes_the_newer_photos_rows_from_the_csv(night: Night, tmp_path: Path) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    copy = backup.back_up(night.settings.ledger_path, tmp_path / "copy.sqlite3")
    night.drop("b.jpg", photo("b"))
    night.run()
    for part in night.settings.data_dir.glob("ledger.sqlite3*"):
        part.unlink()
    shutil.copy(copy, night.settings.ledger_path)
    doctor = pytest.importorskip("batch.upkeep.doctor")
    assert doctor.doctor(night.settings, fix=True)
    run.export_all(night.settings)
    assert sorted(row["file_name"] for row in night.csv()) == ["a.jpg", "b.jpg"]


def test_a_copy_made_while_rows_are_written_is_sound(night: Night, tmp_path: Path) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    stop = threading.Event()

    def write() -> None:
        with Ledger(night.settings.ledger_path) as ledger:
            while not stop.is_set():
                ledger.record([Row(file_name=str(n), filed=True) for n in range(100)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            copy = backup.back_up(night.settings.ledger_path, tmp_path / f"{number}.sqlite3")
            with sqlite3.connect(copy) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert (rows_of(copy) - 1) % 100 == 0  # whole transactions only
    finally:
        stop.set()
        writer.join()


def test_without_a_ledger_nothing_is_copied(night: Night, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger"):
        backup.back_up(night.settings.ledger_path, tmp_path)
    assert list(tmp_path.glob("*.sqlite3")) == []


def test_every_command_has_a_help_that_teaches() -> None:
    from batch.commands import commands

    listed = subprocess.run(
        [sys.executable, "-m", "batch", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for name, command in commands.commands.items():
        assert f"  {name} " in listed
        assert command.help
        assert f"`{name}`" in page or f"batch {name}" in page, name


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_neither_a_device_nor_the_ledger_itself_is_replaced_by_the_copy(night: Night, tmp_path: Path) -> None:
    night.run()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(night.settings.ledger_path)
    before = night.settings.ledger_path.stat()
    for target in (tmp_path / "pipe", tmp_path / "link", night.settings.ledger_path, night.settings.data_dir):
        with pytest.raises(LedgerError, match="the ledger itself, or no plain file"):
            backup.back_up(night.settings.ledger_path, target)
    assert (tmp_path / "pipe").is_fifo()
    assert os.path.samestat(night.settings.ledger_path.stat(), before)


def test_an_earlier_back_up_is_replaced(night: Night, tmp_path: Path) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    copy = backup.back_up(night.settings.ledger_path, tmp_path / "copy.sqlite3")
    night.drop("b.jpg", photo("b"))
    night.run()
    backup.back_up(night.settings.ledger_path, copy)
    assert rows_of(copy) == 2


def _database_of_another_program(path: Path, _: Night) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (mine)")


def _ledger_of_another_folder(path: Path, _: Night) -> None:
    with Ledger(path) as ledger:
        ledger.record([Row(file_name="a.jpg", filed=True)])


@pytest.mark.parametrize(
    "make",
    [
        lambda path, _: path.write_text("my notes"),
        lambda path, _: path.write_bytes(b"SQLite format 3\0"),
        lambda path, night: shutil.copy(night.settings.csv_path, path),
        _database_of_another_program,
        _ledger_of_another_folder,
    ],
    ids=["text", "cut off", "CSV", "another program's", "another ledger"],
)
def test_what_is_no_earlier_back_up_is_never_replaced(
    night: Night, tmp_path: Path, make: Callable[[Path, Night], object]
) -> None:
    night.run()
    path = tmp_path / "there" / "ledger.sqlite3"
    path.parent.mkdir()
    make(path, night)
    before = path.read_bytes()
    for target in (path, path.parent):
        with pytest.raises(LedgerError, match="is there already and is no back-up"):
            backup.back_up(night.settings.ledger_path, target)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["ledger.sqlite3"]


def test_an_empty_file_made_for_the_copy_is_filled(night: Night, tmp_path: Path) -> None:
    night.run()
    (tmp_path / "made by mktemp").touch()
    assert rows_of(backup.back_up(night.settings.ledger_path, tmp_path / "made by mktemp")) == 0
