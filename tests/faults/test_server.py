"""The real server under attack: broken requests and photos, overload, photos that hang or eat the memory."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from batch.sidecar import _free_port
from settings import ROOT
from tests import small_release
from tests.api.conftest import picture
from tests.batch.conftest import Night
from tests.faults import fuzz_decoder, fuzz_http

SICK = """
import sys, time
import api.engine as engine
import api.upload as upload

def sick(plan, *, read=engine.pixels_of):
    if plan.data.endswith(b"hang"):
        time.sleep(600)
    if plan.data.endswith(b"memory"):
        raise MemoryError
    if plan.data.endswith(b"slow"):
        time.sleep(0.2)
    return read(plan)

engine.pixels_of = sick
engine.PHOTO_SECONDS = 1.5
upload.PAUSE_SECONDS = 1
from api.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""The real server, with a decoder that does what the end of a photo says."""


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    small_release.make(tmp_path / "releases")
    return tmp_path / "releases"


@pytest.fixture
def port(model_dir: Path, tmp_path: Path) -> Iterator[int]:
    """A real server on one core, by its port."""
    port = _free_port()
    environment = os.environ | {"MODEL_DIR": str(model_dir), "API_TOKEN": ""}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SICK, "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(600):
            try:
                if requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def test_mutated_photos_are_read_or_refused_and_nothing_else() -> None:
    figures = fuzz_decoder.campaign(1_000_000, 1_000_600)
    assert figures.problems == []
    assert figures.outcomes["read"] > 50
    assert figures.outcomes["unreadable"] > 50


@pytest.mark.parametrize("kind", ["gunicorn", "waitress"])
def test_odd_requests_get_documented_answers_and_never_a_500(kind: str) -> None:
    figures = fuzz_http.campaign(400, seed=7, kind=kind)
    assert figures.problems == []
    assert figures.statuses["200"] > 50


@pytest.mark.slow
def test_forty_thousand_mutated_photos() -> None:
    assert fuzz_decoder.campaign(0, 40_000).problems == []


@pytest.mark.slow
def test_twenty_thousand_requests() -> None:
    assert fuzz_http.campaign(20_000).problems == []


def test_a_night_isolates_photos_that_hang_or_eat_all_memory(
    make_night: Callable[..., Night], model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(model_dir))
    monkeypatch.setattr("batch.sidecar.COMMAND", (sys.executable, "-c", SICK))
    monkeypatch.setattr("batch.sweep.PHOTOS_PER_REQUEST", 4)
    night = make_night(api_url=None)
    for number in range(12):
        night.drop(f"{number:02}.jpg", picture() + str(number).encode())
    night.drop("03 hangs.jpg", picture() + b"hang")
    night.drop("05 eats.jpg", picture() + b"memory")
    assert night.run() == 3
    rows = {row["file_name"]: row["status"] for row in night.csv()}
    assert [name for name, status in rows.items() if status == "failed"] == sorted(
        ["03 hangs.jpg", "05 eats.jpg"], key=list(rows).index
    )
    assert Counter(rows.values()) == {"processed": 12, "failed": 2}


def test_under_load_requests_are_sent_away_with_a_time_to_come_back_and_health_is_answered(
    port: int,
) -> None:
    photos = {"file": picture() + b"slow"}
    answers: list[requests.Response] = []

    def send() -> None:
        answers.append(requests.post(f"http://127.0.0.1:{port}/predict", files=photos, timeout=120))

    threads = [threading.Thread(target=send) for _ in range(150)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    started = time.monotonic()
    assert requests.get(f"http://127.0.0.1:{port}/health", timeout=30).status_code == 200
    assert time.monotonic() - started < 10
    for thread in threads:
        thread.join()
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 503}
    assert statuses[200] >= 70
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status_code == 503)


def test_a_client_that_stops_sending_is_not_waited_for_without_end(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 999\r\n\r\n\xff"
        )
        started = time.monotonic()
        answer = client.recv(100)
    assert b" 400 " in answer
    assert time.monotonic() - started < 15


def test_a_large_body_of_a_client_without_the_token_is_not_read(model_dir: Path, tmp_path: Path) -> None:
    from api import create_app
    from api.engine import Engine
    from api_settings import ApiSettings
    from settings import load

    settings = load(ApiSettings, _env_file=None, model_dir=model_dir, api_token="secret")
    client = create_app(settings, Engine(settings)).test_client()

    class Body:
        def read(self, *_: int) -> bytes:
            raise AssertionError("the body was read")

    environment = {"wsgi.input": Body(), "CONTENT_LENGTH": "1000000", "CONTENT_TYPE": "image/jpeg"}
    assert client.post("/predict", environ_overrides=environment).status_code == 401


def test_the_token_is_compared_in_constant_time(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    from api import create_app
    from api.engine import Engine
    from api_settings import ApiSettings
    from settings import load

    compared: list[tuple[bytes, bytes]] = []

    def compare(
        given: bytes, wanted: bytes, real: Callable[[bytes, bytes], bool] = hmac.compare_digest
    ) -> bool:
        compared.append((given, wanted))
        return real(given, wanted)

    monkeypatch.setattr("hmac.compare_digest", compare)
    settings = load(ApiSettings, _env_file=None, model_dir=model_dir, api_token="secret")
    client = create_app(settings, Engine(settings)).test_client()
    assert client.get("/stats", headers={"Authorization": "Bearer secres"}).status_code == 401
    assert client.get("/stats", headers={"Authorization": "Bearer secret"}).status_code == 200
    assert len(compared) == 2


def test_no_answer_shows_where_things_lie(tmp_path: Path) -> None:
    from api import create_app
    from api.engine import Engine
    from api_settings import ApiSettings
    from settings import load

    engine = Engine(load(ApiSettings, _env_file=None, model_dir=tmp_path / "nowhere"))
    engine.load()
    client = create_app(load(ApiSettings, _env_file=None), engine).test_client()
    for answer in (client.get("/health"), client.get("/classes"), client.post("/predict", data=b"x")):
        assert answer.status_code == 503
        assert str(tmp_path).encode() not in answer.data
        assert b"MODEL_DIR/CURRENT" in answer.data


def test_requests_on_one_connection_after_a_refused_one_are_not_mixed_up(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(3):
        connection.request("POST", "/nowhere", b"GET /stats HTTP/1.1\r\n\r\n" * 100)
        assert connection.getresponse().read().startswith(b'{"type"')
        connection.close()
        connection.request("GET", "/health")
        assert b"ready" in connection.getresponse().read()
