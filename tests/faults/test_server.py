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

from api.serve import threads
from batch.server.sidecar import _free_port
from settings import ROOT
from tests import small_release
from tests.api.conftest import picture
from tests.batch.conftest import Night
from tests.faults import fuzz_decoder, fuzz_http, slow_clients

KINDS = ["gunicorn", "tornado"]

SICK = """
import sys, time
import api.engine as engine
import api.front as front

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
front.BODY_SECONDS = 1
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


@pytest.mark.parametrize("kind", KINDS)
def test_odd_requests_get_documented_answers_and_never_a_500(kind: str) -> None:
    figures = fuzz_http.campaign(400, seed=7, kind=kind)
    assert figures.problems == []
    assert figures.statuses["200"] > 50


@pytest.mark.parametrize("kind", KINDS)
def test_beside_clients_that_are_slow_silent_or_dripping_everyone_is_served(kind: str) -> None:
    attacks = ["half a header", "drip the body", "drip a body that is refused", "idle between requests"]
    # one second is the promise, on a machine that has nothing else to do
    for figures in slow_clients.campaign(attacks, kind, 10 * threads(), 3, health_seconds=8):
        assert figures.problems == []
        assert figures.health.answered > 1
        assert figures.predict.answered > 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_attack_of_slow_clients(kind: str) -> None:
    problems = [
        problem
        for figures in slow_clients.campaign(list(slow_clients.ATTACKS), kind, 10 * threads(), 20)
        for problem in figures.problems
    ]
    assert problems == []


HOSTILE = {
    "WEB_CONCURRENCY": "many",
    "GUNICORN_CMD_ARGS": "--workers 5 --bind 127.0.0.1:1 --worker-class sync",
    "GUNICORN_PID": "1",
    "GUNICORN_FD": "77",
    "LISTEN_PID": "0",
    "LISTEN_FDS": "3",
    "FORWARDED_ALLOW_IPS": "*",
    "SCRIPT_NAME": "/elsewhere",
    "PORT": "1",
    "SENDFILE": "perhaps",
    "FLASK_DEBUG": "1",
    "FLASK_APP": "nothing",
    "FLASK_ENV": "development",
    "FLASK_RUN_PORT": "1",
    "WERKZEUG_RUN_MAIN": "true",
    "WERKZEUG_SERVER_FD": "3",
    "WERKZEUG_DEBUG_PIN": "off",
    "TORNADO_EXTENSION": "0",
    "PROMETHEUS_MULTIPROC_DIR": "/nonexistent/prometheus",
    "prometheus_multiproc_dir": "/nonexistent/prometheus",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "ALL_PROXY": "http://127.0.0.1:1",
    "http_proxy": "http://127.0.0.1:1",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_other_programs_read_from_the_environment_changes_nothing(kind: str, tmp_path: Path) -> None:
    with fuzz_http.running_server(tmp_path, kind, **HOSTILE) as (port, process):
        with requests.Session() as session:
            session.trust_env = False
            url = f"http://127.0.0.1:{port}"
            health = session.get(f"{url}/health", timeout=10)
            assert health.json()["status"] == "ready"
            assert b"\n " not in health.content  # Flask in debug mode would indent it
            answer = session.post(f"{url}/predict", files={"file": picture()}, timeout=10)
            assert answer.json()["sub"]["class"] == "t-shirt"
            assert "nightsort_requests_total" in session.get(f"{url}/metrics", timeout=10).text
            wrong = session.get(f"{url}/nowhere", timeout=10)
            assert (wrong.status_code, wrong.headers["Content-Type"]) == (404, "application/problem+json")
        assert len(fuzz_http.processes(process)) == (2 if kind == "gunicorn" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_told_to_end_a_server_answers_what_it_works_on(kind: str, tmp_path: Path) -> None:
    answers: list[int] = []
    photo = {"files": slow_clients.noise(4000, 3000)}
    with fuzz_http.running_server(tmp_path, kind) as (port, process):
        url = f"http://127.0.0.1:{port}"
        photos = [("files", photo["files"])] * 20

        def send() -> None:
            answers.append(requests.post(f"{url}/predict/batch", files=photos, timeout=60).status_code)

        sender = threading.Thread(target=send)
        sender.start()
        # that one, and the question itself
        while "nightsort_requests_in_flight 2.0" not in requests.get(f"{url}/metrics", timeout=10).text:
            assert sender.is_alive()
        process.terminate()
        sender.join()
        assert process.wait(20) == 0
    assert answers == [200]


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
    monkeypatch.setattr("batch.server.sidecar.COMMAND", (sys.executable, "-c", SICK))
    monkeypatch.setattr("batch.night.sweep.PHOTOS_PER_REQUEST", 4)
    night = make_night(api_url=())
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
    assert b" 408 " in answer
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
