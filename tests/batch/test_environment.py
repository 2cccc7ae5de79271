"""`full_batch.sh` from a fresh clone: the environment it makes, the lock it takes, where it can be started."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from batch.lock import run_lock
from settings import ROOT

CODE = (
    "api", "batch", "model", "api_settings.py", "logformat.py", "settings.py", "telemetry.py", "this_python.py",
    "full_batch.sh", "requirements-serve.txt",
)  # fmt: skip

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the shell script is for POSIX systems")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the program, in a path with blanks, without an environment."""
    folder = tmp_path / "my night sort"
    folder.mkdir()
    for name in CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "releases"))
        else:
            shutil.copy2(source, folder / name)
    return folder


@pytest.fixture
def ready_clone(clone: Path) -> Path:
    """The same with an environment that is ready: this test's own Python, so that nothing is installed."""
    make_environment(clone, "ready")
    return clone


def make_environment(clone: Path, stamp: str) -> None:
    """Stand in for an environment: its Python is the one that runs the tests, packages and all."""
    bin_folder = clone / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    python = bin_folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    if stamp == "ready":
        code = "from batch import environment; print(environment._stamp(), end='')"
        stamp = subprocess.run(
            [str(python), "-c", code], cwd=clone, capture_output=True, text=True, check=True
        ).stdout
    (clone / ".venv" / "made-from").write_text(stamp)


def start(
    clone: Path, *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Start the script as cron does: from anywhere, with next to no environment and no terminal."""
    return subprocess.run(
        [str(clone / "full_batch.sh"), *arguments],
        cwd=cwd or Path("/"),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_ready_environment_needs_no_network_and_no_word(ready_clone: Path) -> None:
    done = start(ready_clone)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Done: swept 0")
    assert not (ready_clone / "logs" / "setup.log").exists()


def test_it_can_be_started_through_a_link_from_anywhere(ready_clone: Path, tmp_path: Path) -> None:
    link = tmp_path / "nightly"
    link.symlink_to(ready_clone / "full_batch.sh")
    done = subprocess.run([str(link)], cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (ready_clone / "data" / "predictions.csv").exists()


def test_a_second_start_ends_with_75_before_it_touches_the_environment(clone: Path) -> None:
    with run_lock(clone / "data"):
        done = start(clone)
    assert done.returncode == 75
    assert "another run" in done.stdout
    assert not (clone / ".venv").exists()


def test_the_lock_is_that_of_the_data_folder_named_in_dot_env(ready_clone: Path, tmp_path: Path) -> None:
    (ready_clone / ".env").write_text(f"DATA_DIR='{tmp_path / 'elsewhere'}'\n")
    with run_lock(tmp_path / "elsewhere"):
        assert start(ready_clone).returncode == 75
    assert start(ready_clone).returncode == 0
    with run_lock(ready_clone / "data"):
        assert start(ready_clone).returncode == 0


def test_without_a_network_the_set_up_says_what_to_do_and_is_tried_again_next_time(clone: Path) -> None:
    shutil.copy2(ROOT / "requirements-serve.txt", clone)
    for _ in range(2):
        done = start(
            clone, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0", PIP_CONFIG_FILE=os.devnull
        )
        assert done.returncode == 1
        assert "Making the program's environment" in done.stdout
        assert "Check the network" in done.stdout
        assert not (clone / ".venv" / "made-from").exists()


def test_help_needs_no_lock(ready_clone: Path) -> None:
    with run_lock(ready_clone / "data"):
        done = start(ready_clone, "--help")
    assert done.returncode == 0
    assert "--wait" in done.stdout


def test_a_wrong_option_or_setting_ends_with_2(ready_clone: Path) -> None:
    assert start(ready_clone, "--nonsense").returncode == 2
    done = start(ready_clone, SETTLE_SECONDS="soon")
    assert done.returncode == 2
    assert "SETTLE_SECONDS=soon" in done.stderr
