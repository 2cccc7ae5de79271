"""A share that is not mounted: the ledger knows its data folder, and nothing is made in another one's place."""

import logging
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.files import data_folder
from batch.records.ledger import Ledger
from batch.reporting import health
from tests.batch.conftest import Examine, Night
from tests.fake_sidecar import photo


@pytest.fixture
def apart(make_night: Callable[..., Night], tmp_path: Path) -> Night:
    """A data folder on a share, its ledger on the local disk, after a night."""
    night = make_night(ledger=tmp_path / "local" / "ledger.sqlite3")
    night.drop("a.jpg", photo("a"))
    night.drop("b.jpg", photo("b", doubt=True))
    assert night.run() == 0
    return night


def unmount(night: Night) -> Path:
    """Leave an empty mount point behind; returns where the folder is meanwhile."""
    away = night.settings.data_dir.rename(night.settings.data_dir.with_name("away"))
    night.settings.data_dir.mkdir()
    return away


def mount(night: Night, away: Path) -> None:
    shutil.rmtree(night.settings.data_dir)
    away.rename(night.settings.data_dir)


def test_an_empty_mount_point_stops_the_night_before_anything_is_made_there(
    apart: Night, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("nightsort"), "propagate", True)
    away = unmount(apart)
    assert apart.run() == 1
    assert list(apart.settings.data_dir.iterdir()) == []
    assert "Is the share or disk mounted?" in caplog.text
    mount(apart, away)
    apart.drop("c.jpg", photo("c"))
    assert apart.run() == 0
    assert len(apart.rows()) == 3


def test_the_refused_night_is_in_the_ledger_with_its_reason(apart: Night) -> None:
    unmount(apart)
    apart.run()
    with Ledger(apart.settings.ledger_path, look=True) as ledger:
        last = ledger.runs()[-1]
    assert last.exit_code == 1
    assert "mounted" in last.message


def test_health_is_critical(apart: Night) -> None:
    unmount(apart)
    worst = health.findings(apart.settings)[0]
    assert (worst.level, worst.name) == (health.CRITICAL, "data folder")
    assert list(apart.settings.data_dir.iterdir()) == []


def test_no_command_makes_anything_there(apart: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    from batch.__main__ import main

    unmount(apart)
    monkeypatch.setenv("DATA_DIR", str(apart.settings.data_dir))
    monkeypatch.setenv("LEDGER", str(apart.settings.ledger_path))
    monkeypatch.setenv("LOG_DIR", str(apart.settings.log_dir))
    for command in (
        ("export",),
        ("requeue", "--run", "last"),
        ("prune", "--days", "1", "--delete", "--yes"),
        ("doctor",),
        ("doctor", "--fix"),
    ):
        assert main(list(command)) == 1
    assert list(apart.settings.data_dir.iterdir()) == []


def test_a_ledger_used_by_two_data_folders_is_refused(
    apart: Night, make_night: Callable[..., Night], tmp_path: Path
) -> None:
    other = make_night(data_dir=tmp_path / "other")
    other.drop("c.jpg", photo("c"))
    assert other.run() == 0
    both = make_night(data_dir=tmp_path / "other", ledger=apart.settings.ledger_path)
    both.drop("d.jpg", photo("d"))
    assert both.run() == 1
    assert both.waiting() == ["d.jpg"]


def test_a_folder_that_was_moved_with_its_mark_is_the_same_folder(
    apart: Night, make_night: Callable[..., Night], tmp_path: Path
) -> None:
    shutil.copytree(apart.settings.data_dir, tmp_path / "larger disk")
    moved = make_night(data_dir=tmp_path / "larger disk", ledger=apart.settings.ledger_path)
    moved.drop("a again.jpg", photo("a"))
    assert moved.run() == 0
    assert moved.csv()[-1]["status"] == "duplicate"


def test_a_folder_that_was_moved_without_its_mark_can_be_adopted(
    apart: Night,
    examine: Examine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from batch.__main__ import main

    (apart.settings.data_dir / data_folder.MARK).unlink()
    assert apart.run() == 1
    monkeypatch.setenv("DATA_DIR", str(apart.settings.data_dir))
    monkeypatch.setenv("LEDGER", str(apart.settings.ledger_path))
    monkeypatch.setenv("LOG_DIR", str(apart.settings.log_dir))
    assert main(["doctor", "--adopt"]) == 0
    assert apart.run() == 0


def forget_the_mark(night: Night) -> None:
    """As an older version has left it."""
    (night.settings.data_dir / data_folder.MARK).unlink()
    with sqlite3.connect(night.settings.ledger_path) as db:
        db.execute("DELETE FROM notes WHERE key = 'data folders'")
    db.close()


def test_a_ledger_of_an_older_version_knows_its_folder_by_its_photos(apart: Night) -> None:
    forget_the_mark(apart)
    apart.settings.csv_path.unlink()
    assert apart.run() == 0
    assert (apart.settings.data_dir / data_folder.MARK).exists()


def test_a_ledger_of_an_older_version_knows_its_folder_by_its_csv(apart: Night) -> None:
    forget_the_mark(apart)
    for folder in ("processed", "review"):
        shutil.rmtree(apart.settings.data_dir / folder)
    assert apart.run() == 0


def test_a_ledger_of_an_older_version_refuses_a_folder_that_it_does_not_know(
    apart: Night, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("nightsort"), "propagate", True)
    forget_the_mark(apart)
    unmount(apart)
    assert apart.run() == 1
    assert "doctor --adopt" in caplog.text
    assert list(apart.settings.data_dir.iterdir()) == []


@pytest.mark.parametrize("name", ["processed", "incoming", "review"])
def test_a_folder_on_a_disk_of_its_own_has_a_mark_of_its_own(
    name: str, apart: Night, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Stands for another disk: a folder that reports another device."""
    own = apart.settings.data_dir / name
    real = Path.stat

    def stat(path: Path, **options: bool) -> object:
        facts = real(path, **options)
        if path != own:
            return facts

        class Elsewhere:
            st_dev = facts.st_dev + 1
            st_mtime_ns, st_mode, st_size = facts.st_mtime_ns, facts.st_mode, facts.st_size

        return Elsewhere()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stat)
        assert apart.run() == 0
    assert (own / data_folder.MARK).exists()
    away = own.rename(tmp_path / "away")  # and now that disk is not mounted
    own.mkdir()
    assert apart.run() == 1
    assert list(own.iterdir()) == []
    own.rmdir()
    away.rename(own)
    assert apart.run() == 0


def test_a_lost_ledger_takes_the_folder_over_with_its_mark(apart: Night) -> None:
    mark = (apart.settings.data_dir / data_folder.MARK).read_text("utf-8")
    for path in apart.settings.ledger_path.parent.glob("ledger.sqlite3*"):
        path.unlink()
    assert apart.run() == 0
    assert (apart.settings.data_dir / data_folder.MARK).read_text("utf-8") == mark
    assert len(apart.csv()) == 2
