"""The bounds on the work: one photo's time, the memory of large ones, the length of the queue."""

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from flask.testing import FlaskClient

from api import engine
from api.engine import EXIT_OVERDUE, Engine, SharedMemory
from api_settings import ApiSettings
from decoder import PhotoError
from model.serving.releases import seal
from settings import ROOT, load
from tests import small_release
from tests.api.conftest import picture

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


class Users:
    """Threads that each take a share of the memory for a while; notes the most that was taken at a time."""

    def __init__(self, memory: SharedMemory) -> None:
        self.most = self.taken = 0.0
        self.order: list[float] = []
        self._memory, self._lock = memory, threading.Lock()

    def take(self, size: float, seconds: float = 0.02) -> None:
        with self._memory.share(size):
            with self._lock:
                self.order.append(size)
                self.taken += size
                self.most = max(self.most, self.taken)
            time.sleep(seconds)
            with self._lock:
                self.taken -= size

    def take_all(self, *sizes: float) -> None:
        threads = [threading.Thread(target=self.take, args=(size,)) for size in sizes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
        ({"cpu.max": ""}, float("inf")),
        ({}, float("inf")),
    ],
)
def test_a_containers_share_of_the_cores_is_what_its_control_group_says(
    tmp_path: Path, files: dict[str, str], cores: float
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert engine.cores_allowed(tmp_path) == cores


@pytest.mark.parametrize(("allowed", "used"), [(0.25, 1), (1, 1), (float("inf"), 2), (64, 2)])
def test_as_many_photos_are_worked_on_as_there_are_cores_for_it(
    monkeypatch: pytest.MonkeyPatch, allowed: float, used: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(engine, "cores_allowed", lambda: allowed)
    assert engine.usable_cores() == used


def test_photos_share_an_amount_of_memory_and_who_finds_too_little_left_waits() -> None:
    users = Users(SharedMemory(100))
    users.take_all(60, 60, 50, 10, 100, 5, 40, 40)
    assert users.most <= 100
    assert sorted(users.order) == [5, 10, 40, 40, 50, 60, 60, 100]
    users.take(1000)  # more than there is: it gets all of it, and waits for no one
    assert users.taken == 0


def test_a_large_photo_is_not_overtaken_for_ever_by_small_ones() -> None:
    memory = SharedMemory(100)
    users = Users(memory)
    with memory.share(50):
        large = threading.Thread(target=users.take, args=(90,))
        large.start()
        while not memory._waiting:
            time.sleep(0.001)
        small = threading.Thread(target=users.take, args=(10,))  # there would be room
        small.start()
        time.sleep(0.05)
        assert users.order == []
    for thread in (large, small):
        thread.join(30)
    assert users.order == [90, 10]


def test_the_memory_of_a_photo_that_fails_is_given_back() -> None:
    memory = SharedMemory(100)

    def fail() -> None:
        with memory.share(80):
            raise ValueError

    for _ in range(3):
        with pytest.raises(ValueError):  # noqa: PT011 - ours
            fail()
    assert memory._free == 100


def test_requests_at_one_moment_share_the_memory(
    make_client: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(max_photo_memory_mb=100)
    at_work, most, lock = 0, 0, threading.Lock()

    def pixels_of(_: object) -> np.ndarray:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.05)
        with lock:
            at_work -= 1
        return np.zeros((224, 224, 3), np.uint8)

    app_engine = client.application.extensions["engine"]
    app_engine._cores_free = threading.BoundedSemaphore(8)
    monkeypatch.setattr(engine, "plan_photo", lambda *_: SimpleNamespace(memory=45e6))
    monkeypatch.setattr(engine, "pixels_of", pixels_of)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.extend(app_engine.answer([b"x"]))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 2
    assert len(found) == 6
    assert not any(isinstance(answer, PhotoError) for answer in found)


def test_a_photo_that_needs_more_than_the_setting_is_refused_and_the_others_are_answered(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(max_photo_memory_mb=100)
    large = picture("red", "PNG", (6000, 5000))
    files = [(io.BytesIO(photo), "a") for photo in (picture("red"), large, picture("blue"))]
    answer = client.post("/predict/batch", data={"files": files}).get_json()
    first, second, third = answer["results"]
    assert first["prediction"]["sub"]["class"] == "t-shirt"
    assert second["error"]["status"] == 413
    assert "MAX_PHOTO_MEMORY_MB=100" in second["error"]["detail"]
    assert third["prediction"]["sub"]["class"] == "shoes"


def faulty(folder: Path, file: str, content: bytes) -> None:
    (folder / file).write_bytes(content)
    seal(folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("golden/golden.json", b'{"gone.png": {"sub": "t-shirt"}}'),
        ("golden/golden.json", b'{"red.png": {"hat": "t-shirt"}}'),
        ("golden/golden.json", b"[]"),
        ("golden/red.png", b"no photo"),
        ("classes.json", b"{}"),
        ("metrics.json", b"\xff"),
        ("model.onnx", b"no network"),
        ("familiar.npz", b"no archive"),
        ("familiar.npz", b"PK\x03\x04 cut short"),
    ],
)
def test_whatever_is_wrong_with_a_release_the_server_lives_to_tell_it(
    tmp_path: Path, file: str, content: bytes
) -> None:
    faulty(small_release.make(tmp_path), file, content)
    loaded = Engine(load(ApiSettings, _env_file=None, model_dir=tmp_path))
    loaded.load()
    assert loaded.predictor is None
    assert loaded.fault
    assert str(tmp_path) not in loaded.fault


def test_releases_may_lie_in_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    model_dir = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Gr\xf6\xdfe"))
    try:
        small_release.make(model_dir)
    except OSError:
        pytest.skip("this file system has no such names")
    loaded = Engine(load(ApiSettings, _env_file=None, model_dir=model_dir))
    loaded.load()
    assert loaded.fault == ""
    assert loaded.predictor is not None
