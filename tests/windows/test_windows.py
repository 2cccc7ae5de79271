"""What can only be tried on Windows: the .bat, files that another program holds open, the Task Scheduler.

Needs `.venv` as full_batch.bat makes it, with pytest; .github/workflows/ci.yml does so.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from settings import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="this is not Windows")

GENERIC_READ, OPEN_EXISTING, SHARED_WITH_NOBODY = 0x80000000, 3, 0
"""From <winnt.h> and <fileapi.h>; see CreateFileW."""

KERNEL32: Any = None
if sys.platform == "win32":
    KERNEL32 = ctypes.WinDLL("kernel32")
    KERNEL32.CreateFileW.restype = ctypes.c_void_p


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with three photos in `incoming`."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SETTLE_SECONDS", "0")
    (tmp_path / "incoming").mkdir()
    golden = sorted((ROOT / "model" / "releases").glob("*/golden/*.jpg"))[:3]
    for photo in golden:
        shutil.copy(photo, tmp_path / "incoming")
    return tmp_path


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Start the .bat from another folder, as the Task Scheduler may."""
    script = str(ROOT / "full_batch.bat")
    return subprocess.run(
        [script, *arguments], cwd=os.environ["SYSTEMROOT"], capture_output=True, encoding="utf-8", timeout=280
    )


@contextlib.contextmanager
def held_open(path: Path) -> Iterator[None]:
    """As long as another program has the file open and shares it with nobody."""
    handle = KERNEL32.CreateFileW(
        str(path), ctypes.c_uint32(GENERIC_READ), SHARED_WITH_NOBODY, None, OPEN_EXISTING, 0, None
    )
    assert handle != ctypes.c_void_p(-1).value
    try:
        yield
    finally:
        KERNEL32.CloseHandle(ctypes.c_void_p(handle))


def left(data: Path) -> int:
    return len(list((data / "incoming").glob("*.jpg")))


def test_the_bat_hands_arguments_on_and_exit_codes_back(data: Path) -> None:
    assert start("--version").stdout.startswith("Nightsort ")
    assert start("history", "--last", "nonsense").returncode == 2
    done = start()
    assert (done.returncode, left(data)) == (0, 0), done.stdout + done.stderr


def test_a_photo_that_is_open_in_another_program_waits_for_the_next_night(data: Path) -> None:
    photo = next((data / "incoming").glob("*.jpg"))
    with held_open(photo):
        start()
        assert left(data) == 1
        assert photo.exists()
    assert start().returncode == 0
    assert left(data) == 0


def test_a_csv_that_is_open_in_a_spreadsheet_costs_no_photo(data: Path) -> None:
    start()
    shutil.copy(sorted((ROOT / "model" / "releases").glob("*/golden/*.jpg"))[4], data / "incoming")
    with held_open(data / "predictions.csv"):
        done = start()
        assert left(data) == 0
        assert "is it open in another program?" in done.stdout + done.stderr
    assert start("export").returncode == 0
    assert len((data / "predictions.csv").read_text("utf-8").splitlines()) == 1 + 4


def test_the_task_scheduler_takes_the_task_and_gives_it_back() -> None:
    query = ["schtasks", "/Query", "/TN", "Nightsort", "/XML"]
    try:
        done = start("install", "--task-scheduler", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        task = subprocess.run(query, capture_output=True, text=True, errors="replace")
        assert "full_batch.bat" in task.stdout
    finally:
        assert start("install", "--task-scheduler", "--remove", "--yes").returncode == 0
    assert subprocess.run(query, capture_output=True).returncode != 0
