"""The other model servers leave nothing running."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.peers import MARK, end_all


@pytest.mark.skipif(sys.platform == "win32", reason="sessions are POSIX's")
def test_a_worker_in_a_session_of_its_own_ends_though_the_one_that_started_it_is_gone(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = (
        "import subprocess, sys, pathlib\n"
        "worker = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True)\n"
        f"pathlib.Path({str(note)!r}).write_text(str(worker.pid))\n"
    )
    subprocess.run([sys.executable, "-c", program], env=os.environ | {MARK: "one"}, check=True)
    other = subprocess.Popen(["sleep", "300"], env=os.environ | {MARK: "another"})
    try:
        worker = psutil.Process(int(note.read_text()))
        _wait_for_its_environment(worker)
        end_all("one")
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def _wait_for_its_environment(process: psutil.Process) -> None:
    for _ in range(100):
        if MARK in process.environ():
            return
        time.sleep(0.05)
