"""A command that only shows changes nothing: ledger and folders are byte for byte the same before and after."""

import hashlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from batch.__main__ import main
from batch.lock import refuse_if_at_work, run_lock
from batch.records.ledger import Ledger
from settings import ROOT
from tests.batch.conftest import Do, Night
from tests.batch.upkeep.test_withdraw import make_old
from tests.fake_sidecar import photo

COMMANDS = [
    ("history",),
    ("history", "--json"),
    ("show", "last"),
    ("logs", "last"),
    ("report", "--json"),
    ("report", "--csv"),
    ("health",),
    ("health", "--json"),
    ("config",),
    ("doctor",),
    ("requeue", "--failed", "--dry-run"),
    ("requeue", "--photo", "order 7/a.jpg", "--dry-run"),
    ("prune", "--days", "90", "--delete"),
    ("prune", "--days", "90", "--archive"),
    ("install", "--cron"),
    ("install", "--task-scheduler"),
]


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file and folder, with its bytes and its time."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.lstat().st_mtime_ns,
        )
        for path in folder.rglob("*")
    }


@pytest.fixture
def died(night: Night) -> Night:
    """A data folder whose last command was killed after it had planned to delete three photos, and moved nothing."""
    for name in ("order 7/a.jpg", "b.jpg", "c.jpg"):
        night.drop(name, photo(name))
    night.drop("failed.jpg", photo("x", broken=True))
    night.run()
    for name in ("order 7/a.jpg", "b.jpg", "c.jpg"):
        make_old(night, name)
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom batch.upkeep import withdraw\n"
        "from batch.records.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "ledger.plan([withdraw._plan('delete', row) for row in withdraw.old_photos(ledger, 90, ['processed'])])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(night.settings.ledger_path)], cwd=ROOT, check=False)
    with Ledger(night.settings.ledger_path, look=True) as ledger:
        assert len(ledger.unfinished_acts()) == 3
    return night


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_changes_after_a_command_that_died(command: tuple[str, ...], died: Night, do: Do) -> None:
    before = tree(died.settings.data_dir)
    do(*command)
    assert tree(died.settings.data_dir) == before
    assert len(died.files()) == 4


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_changes_in_a_folder_at_rest(command: tuple[str, ...], night: Night, do: Do) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    assert not night.settings.ledger_path.with_name("ledger.sqlite3-wal").exists()
    before = tree(night.settings.data_dir)
    do(*command)
    assert tree(night.settings.data_dir) == before


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_is_made_where_there_is_nothing(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOG_DIR", str(tmp_path / "logs"))
    main(list(command))
    assert not (tmp_path / "data").exists()


def test_a_ledger_of_an_older_version_is_shown_and_stays_as_it_is(
    night: Night, do: Do, capsys: pytest.CaptureFixture[str]
) -> None:
    night.drop("a.jpg", photo("a"))
    night.run()
    with sqlite3.connect(night.settings.ledger_path) as db:
        newer = db.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql != ''"
        )
        for kind, name in newer.fetchall():
            db.execute(f"DROP {kind} {name}")
        db.executescript(
            "DROP TABLE folders; DROP TABLE waiting; DROP TABLE tallies; DROP TABLE leases; DROP TABLE looks;"
            'ALTER TABLE photos DROP COLUMN "order"; ALTER TABLE photos DROP COLUMN doubts; PRAGMA user_version = 2;'
        )
    db.close()
    before = tree(night.settings.data_dir)
    assert do("show", "last") == 0
    assert do("doctor") in (0, 1)
    assert tree(night.settings.data_dir) == before
    assert "Run " in capsys.readouterr().out


def test_a_ledger_whose_wal_has_lost_its_index_is_shown_and_stays_as_it_is(died: Night, do: Do) -> None:
    index = died.settings.ledger_path.with_name("ledger.sqlite3-shm")
    index.unlink()
    before = tree(died.settings.data_dir)
    assert do("history") == 0
    with Ledger(died.settings.ledger_path, look=True) as ledger:
        assert len(ledger.unfinished_acts()) == 3
    assert tree(died.settings.data_dir) == before


def test_what_is_planned_is_finished_by_the_command_that_does_something(died: Night, do: Do) -> None:
    assert do("prune", "--days", "90", "--delete", "--yes") == 0
    assert set(died.files()) == {"failed/failed.jpg"}


@pytest.mark.parametrize(
    "command", [("requeue", "--failed", "--dry-run"), ("prune", "--days", "9", "--delete"), ("doctor",)]
)
def test_while_a_night_is_at_work_a_look_would_tell_what_is_not_so(
    command: tuple[str, ...], night: Night, do: Do
) -> None:
    with run_lock(night.settings.data_dir):
        assert do(*command) == 75


def test_looking_whether_a_night_is_at_work_keeps_none_from_starting(night: Night) -> None:
    refuse_if_at_work(night.settings.data_dir)
    night.drop("a.jpg", photo("a"))
    looker = os.open(night.settings.data_dir / ".nightsort.lock", os.O_RDWR | os.O_CREAT)
    if os.name == "posix":
        import fcntl
        import threading

        fcntl.flock(looker, fcntl.LOCK_SH)
        threading.Timer(0.1, os.close, [looker]).start()
    assert night.run() == 0
