"""What `tests/run.sh --all` promises: every test is run, and none is skipped in silence."""

import subprocess
import sys
from pathlib import Path

import pytest

from settings import ROOT
from tests.conftest import NAMED_SKIPS

TESTS = """
import pytest

@pytest.mark.optional
def test_optional(): pass

def test_skipped(): pytest.skip({reason!r})
"""


@pytest.mark.parametrize("named", [True, False])
def test_a_skip_that_is_not_named_fails_the_whole_run(tmp_path: Path, named: bool) -> None:
    reason = next(iter(NAMED_SKIPS)) if named else "no time"
    (tmp_path / "test_it.py").write_text(TESTS.format(reason=reason))
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -m 'not optional'\nmarkers = optional: so\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--rootdir", str(tmp_path)]
    command += ["-c", str(tmp_path / "pytest.ini"), str(tmp_path)]
    for extra, ran in (([], 0), (["--all"], 1)):
        done = subprocess.run([*command, *extra], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (f"{ran} passed" in done.stdout) == bool(ran)
        assert done.returncode == (1 if extra and not named else 0)
        assert ("SKIPPED WITHOUT LEAVE: no time" in done.stdout) == bool(extra and not named)
