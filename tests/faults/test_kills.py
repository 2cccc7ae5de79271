"""The kill campaign in short; the long form is `python -m tests.faults.kills`."""

import subprocess
import sys

import pytest

from settings import ROOT


def campaign(kills: int, photos: int, seed: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.kills"]
    command += ["--kills", str(kills), "--photos", str(photos), "--seed", str(seed)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_nights_that_are_killed_at_every_sort_of_moment_lose_double_and_forget_nothing() -> None:
    done = campaign(kills=25, photos=60, seed=11)
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
