"""The kill campaign in short; the long form is `python -m tests.faults.kills`."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batch.files import filing
from batch.records.ledger import Ledger, Row
from settings import ROOT


def campaign(kills: int, photos: int, seed: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.kills"]
    command += ["--kills", str(kills), "--photos", str(photos), "--seed", str(seed)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_nights_that_are_killed_at_every_sort_of_moment_lose_double_and_forget_nothing() -> None:
    done = campaign(kills=16, photos=60, seed=11)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "lost 0, doubled 0, rows without a photo 0, photos without a row 0, torn or wrong CSVs 0"
        in done.stdout
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_three_hundred_kills() -> None:
    done = campaign(kills=300, photos=400, seed=1)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_empty_photo_that_was_touched_survives_two_deaths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no bytes to be known by, and looks like a name that is only reserved: its time tells them apart."""
    incoming, photo = tmp_path / "incoming", tmp_path / "incoming" / "empty.jpg"
    incoming.mkdir()
    photo.touch()
    facts = photo.lstat()
    row = Row("empty.jpg", source=b"empty.jpg", mtime_ns=facts.st_mtime_ns, moved_to="failed/empty.jpg")
    row.sha256 = hashlib.sha256().hexdigest()
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        ledger.record([row])  # the first death: recorded, not moved
        os.utime(photo, ns=(facts.st_mtime_ns, facts.st_mtime_ns + 5_000_000_000))
        with monkeypatch.context() as dying:
            dying.setattr(filing, "sync_folders", _die)
            with pytest.raises(KeyboardInterrupt):  # the second: moved, not marked
                filing.recover(ledger, incoming, tmp_path)
        filing.recover(ledger, incoming, tmp_path)
        assert (tmp_path / "failed" / "empty.jpg").is_file()
        assert ledger.unfiled() == []


def _die(_: object) -> None:
    raise KeyboardInterrupt
