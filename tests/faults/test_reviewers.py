"""Reviewers who are killed beside a night, in short; the long form is `python -m tests.faults.reviewers`."""

import subprocess
import sys

import pytest

from settings import ROOT


def campaign(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.reviewers", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_reviewers_killed_beside_a_night_and_a_requeue_lose_nothing_and_decide_nothing_twice() -> None:
    done = campaign("--reviewers", "4", "--photos", "40", "--night", "60", "--kills", "12", "--requeue")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "problems 0" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_eight_reviewers_a_hundred_kills_and_a_night_of_ten_thousand_photos() -> None:
    done = campaign("--reviewers", "8", "--photos", "2000", "--night", "10000", "--kills", "100")
    assert done.returncode == 0, done.stdout + done.stderr
