"""The bounds on the work: one photo's time, the memory of large ones, the length of the queue."""

import subprocess
import sys
import time

import pytest

from api.engine import EXIT_OVERDUE
from settings import ROOT

WATCHED = """
import sys, time
from api.engine import Watchdog
dog = Watchdog(0.5)
dog.start()
for seconds in map(float, sys.argv[1:]):
    with dog.watching():
        time.sleep(seconds)
time.sleep(1)
"""


def watched(*seconds: float) -> int:
    command = [sys.executable, "-c", WATCHED, *map(str, seconds)]
    return subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode


def test_a_photo_that_takes_too_long_ends_the_process() -> None:
    started = time.monotonic()
    assert watched(30) == EXIT_OVERDUE
    assert time.monotonic() - started < 25


def test_many_photos_may_take_longer_together_and_nothing_watched_is_never_overdue() -> None:
    assert watched(0.3, 0.3, 0.3, 0.3) == 0
    assert watched() == 0


def test_a_server_without_a_token_serves_this_machine_only() -> None:
    from api.__main__ import check_exposure
    from api_settings import ApiSettings
    from settings import SettingError, load

    for host in ("0.0.0.0", "::", "192.168.1.7", "example.org", ""):
        with pytest.raises(SettingError, match="API_TOKEN"):
            check_exposure(load(ApiSettings, api_host=host, _env_file=None, api_token=None))
        check_exposure(load(ApiSettings, api_host=host, _env_file=None, api_token="x" * 32))
    for host in ("127.0.0.1", "127.8.9.10", "::1", "localhost"):
        check_exposure(load(ApiSettings, api_host=host, _env_file=None, api_token=None))
