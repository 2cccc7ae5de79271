"""Two runs at once, stale locks, clocks that jump, long runs, and being told to end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from flask import Response

from batch.lock import LOCK_NAME
from batch.night import run, sweep
from batch.records import moments
from settings import ROOT
from tests.batch.conftest import Night
from tests.fake_sidecar import FakeSidecar, photo
from tests.faults.promises import Dropped, broken_promises, checksum


def start_night(night: Night) -> "subprocess.Popen[bytes]":
    """A night in a process of its own."""
    environment = os.environ | {
        "DATA_DIR": str(night.settings.data_dir),
        "LOG_DIR": str(night.settings.log_dir),
        "API_URL": str(night.settings.api_url[0]),
        "SETTLE_SECONDS": "0",
    }
    return subprocess.Popen([sys.executable, "-m", "batch", "run"], cwd=ROOT, env=environment)


def fill(night: Night, number: int) -> Dropped:
    dropped = Dropped()
    for index in range(number):
        night.drop(f"{index}.jpg", photo(str(index)))
        dropped.photos[checksum(photo(str(index)))] += 1
    return dropped


def slowly(_: Sequence[bytes]) -> Response | None:
    time.sleep(1)
    return None


def test_of_many_runs_at_once_one_works_and_the_others_end_with_75(
    night: Night, sidecar: FakeSidecar
) -> None:
    sidecar.behaviour = slowly
    dropped = fill(night, 100)
    runs = [start_night(night) for _ in range(3)]
    codes = sorted(process.wait(60) for process in runs)
    assert codes in ([0, 75, 75], [0, 0, 75], [0, 0, 0])  # a late one finds the first one's work done
    assert broken_promises(night.settings.data_dir, dropped, at_rest=True) == []


@pytest.mark.parametrize("content", [b"", b"1", b"999999", b"\xff\xfenonsense" * 100])
def test_a_lock_file_that_a_dead_run_left_holds_nobody_up(content: bytes, night: Night) -> None:
    (night.settings.data_dir / LOCK_NAME).write_bytes(content)
    night.drop("a.jpg", photo("a"))
    assert night.run() == 0


def test_the_lock_of_a_run_that_was_killed_is_free_at_once(night: Night, sidecar: FakeSidecar) -> None:
    asked = threading.Event()

    def hang(_: Sequence[bytes]) -> Response | None:
        asked.set()
        time.sleep(1)
        return None

    sidecar.behaviour = hang
    night.drop("a.jpg", photo("a"))
    killed = start_night(night)
    assert asked.wait(30)
    assert night.run() == 75
    killed.kill()
    killed.wait()
    sidecar.behaviour = None
    assert night.run() == 0
    assert len(night.csv()) == 1


class Clock(datetime):
    """A clock that somebody sets."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: object = None) -> Self:
        return datetime.now(UTC) + cls.ahead  # type: ignore[return-value]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(run, "datetime", Clock)
    monkeypatch.setattr(moments, "datetime", Clock)
    Clock.ahead = timedelta()
    return Clock


def test_a_clock_that_is_set_back_between_nights_mixes_up_no_run(night: Night, clock: type[Clock]) -> None:
    dropped = Dropped()
    for number, hours in enumerate((0, -5, -5, 30, -48)):
        clock.ahead = timedelta(hours=hours)
        night.drop(f"{number}.jpg", photo(str(number)))
        dropped.photos[checksum(photo(str(number)))] += 1
        assert night.run() == 0
    assert len({row["run_id"] for row in night.csv()}) == 5
    assert broken_promises(night.settings.data_dir, dropped, at_rest=True) == []


def test_two_runs_in_the_same_second_have_two_names(
    night: Night, clock: type[Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime(2026, 10, 25, 1, 59, 59, tzinfo=UTC)
    monkeypatch.setattr(Clock, "now", classmethod(lambda cls, tz=None: moment))
    for name in ("a", "b"):
        night.drop(f"{name}.jpg", photo(name))
        assert night.run() == 0
    assert [row["run_id"] for row in night.csv()] == ["20261025T015959Z", "20261025T015959Z-2"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati"])
def test_times_are_utc_whatever_the_zone_and_its_daylight_saving(
    zone: str, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        night.drop("a.jpg", photo("a"))
        before = datetime.now(UTC).replace(microsecond=0)
        night.run()
        found = datetime.strptime(night.csv()[0]["processed_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert before <= found <= datetime.now(UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_run_across_the_hour_that_comes_twice_and_longer_than_a_day_is_one_run(
    night: Night, sidecar: FakeSidecar, clock: type[Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PHOTOS_PER_REQUEST", 4)
    monkeypatch.setattr(sweep, "REQUESTS_IN_FLIGHT", 1)
    dropped = fill(night, 60)

    def hours_pass(_: Sequence[bytes]) -> Response | None:
        clock.ahead += timedelta(hours=3)
        return None

    sidecar.behaviour = hours_pass
    assert night.run() == 0
    rows = night.csv()
    assert len({row["run_id"] for row in rows}) == 1
    times = [row["processed_at"] for row in rows]
    assert times == sorted(times)
    assert times[0][:10] != times[-1][:10]
    assert broken_promises(night.settings.data_dir, dropped, at_rest=True) == []


def test_a_clock_that_is_set_back_during_the_night_neither_ends_it_nor_lets_it_wait(
    make_night: Callable[..., Night], sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = make_night(settle_seconds=0.5)
    monkeypatch.setattr(sweep, "PHOTOS_PER_REQUEST", 4)
    fill(night, 40)
    time.sleep(0.6)
    real = time.time
    back = [0.0]
    monkeypatch.setattr("time.time", lambda: real() - back[0])

    def set_back(_: Sequence[bytes]) -> Response | None:
        back[0] += 600
        return None

    sidecar.behaviour = set_back
    started = time.monotonic()
    assert night.run() == 0
    assert time.monotonic() - started < 10
    assert len(night.csv()) == 40


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_told_to_end_a_night_records_what_is_in_flight_and_leaves_the_rest(
    number: signal.Signals, code: int, night: Night, sidecar: FakeSidecar
) -> None:
    sidecar.behaviour = slowly
    dropped = fill(night, 600)
    process = start_night(night)
    while not sidecar.asked:
        time.sleep(0.05)
    told = time.monotonic()
    process.send_signal(number)
    assert process.wait(30) == code
    assert time.monotonic() - told < 10
    done = night.csv()
    assert 0 < len(done) < 600
    assert len(done) == len(night.files())
    assert broken_promises(night.settings.data_dir, dropped, at_rest=False) == []
    assert "Interrupted" in (night.settings.log_dir / "nightsort.log").read_text()
    sidecar.behaviour = None
    assert night.run() == 0
    assert broken_promises(night.settings.data_dir, dropped, at_rest=True) == []


def test_told_twice_a_night_ends_at_once_and_the_next_one_finishes(
    night: Night, sidecar: FakeSidecar
) -> None:
    sidecar.behaviour = lambda _: time.sleep(5)
    dropped = fill(night, 200)
    process = start_night(night)
    while not sidecar.asked:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(2) == -signal.SIGINT
    sidecar.behaviour = None
    assert night.run() == 0
    assert broken_promises(night.settings.data_dir, dropped, at_rest=True) == []


def test_told_to_end_while_it_waits_for_the_server_a_night_ends(
    make_night: Callable[..., Night], sidecar: FakeSidecar, tmp_path: Path
) -> None:
    sidecar.health["status"] = "starting"
    night = make_night()
    night.drop("a.jpg", photo("a"))
    process = start_night(night)
    time.sleep(3)
    process.terminate()
    assert process.wait(5) in (143, -signal.SIGTERM)
    assert night.waiting() == ["a.jpg"]
