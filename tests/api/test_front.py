"""What stands between the network and the app: how slow, how many and how broken clients may be."""

import asyncio
import contextlib
import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from tornado.netutil import bind_sockets

from api import front
from api.front import Front
from tests.api.conftest import picture

POST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"


@pytest.fixture
def port(client: FlaskClient) -> Iterator[int]:
    with serving(client) as port:
        yield port


@contextlib.contextmanager
def serving(client: FlaskClient, threads: int = 4) -> Iterator[int]:
    """The app behind its front, by its port; slow clients are looked for twenty times a second."""
    (listener,) = bind_sockets(0, "127.0.0.1")
    ended = threading.Event()

    async def serve() -> None:
        found = Front(client.application, threads)
        found.add_socket(listener)
        while not ended.is_set():
            found.look_after()
            await asyncio.sleep(0.05)
        found.stop()
        assert found.body_bytes == sum(each._body.size for each in found.clients)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        thread.join()


def connect(port: int, content: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(content)
    return client


def answer(client: socket.socket) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(client)
    response.begin()
    return response


def assert_problem(response: http.client.HTTPResponse, status: int) -> Any:
    assert response.status == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(response.read())
    assert problem["status"] == status
    return problem


def is_ready(port: int) -> bool:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as client:
        client.request("GET", "/health")
        return client.getresponse().status == 200


def is_predicted(port: int) -> bool:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as client:
        client.request("POST", "/predict", picture(), {"Content-Type": "image/jpeg"})
        return client.getresponse().status == 200


def is_closed(client: socket.socket) -> bool:
    """Whether the server closes the connection without a word."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", 404),
        (b"POST /classes HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", 405),
        (POST + b"Content-Length: 99999999999\r\n\r\n", 413),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", 413),
        (POST + b"SCRIPT_NAME: /x\r\nContent-Length: 1000\r\n\r\n", 400),
    ],
)
def test_what_the_header_alone_decides_is_answered_before_the_body_comes(
    port: int, start: bytes, status: int
) -> None:
    with connect(port, start) as client:
        assert_problem(answer(client), status)


def test_without_the_token_no_body_is_let_in(make_client: Callable[..., FlaskClient]) -> None:
    with serving(make_client(api_token="secret")) as port:
        with connect(port, POST + b"Content-Length: 1000\r\n\r\n") as client:
            assert_problem(answer(client), 401)
        with connect(port, POST + b"Authorization: Bearer secret\r\nContent-Length: 1\r\n\r\nx") as client:
            assert_problem(answer(client), 415)


def test_a_body_is_not_let_in_while_no_model_is_ready_or_too_many_wait(
    make_client: Callable[..., FlaskClient],
) -> None:
    with (
        serving(make_client(loaded=False)) as port,
        connect(port, POST + b"Content-Length: 1000\r\n\r\n") as client,
    ):
        assert_problem(answer(client), 503)
    full = make_client()
    while full.application.extensions["engine"]._places.acquire(blocking=False):
        pass
    with serving(full) as port, connect(port, POST + b"Content-Length: 1000\r\n\r\n") as client:
        response = answer(client)
        assert int(response.headers["Retry-After"]) >= 1
        assert_problem(response, 503)


def test_a_client_that_is_told_to_go_on_before_it_sends_is_refused_or_told(port: int) -> None:
    expects = POST + b"Expect: 100-continue\r\nContent-Length: "
    with connect(port, expects + b"99999999999\r\n\r\n") as client:
        assert_problem(answer(client), 413)
    photo = picture()
    with connect(port, expects + str(len(photo)).encode() + b"\r\n\r\n") as client:
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(photo)
        assert answer(client).status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x:y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x:\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nbad name: x\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nSCRIPT_NAME: /x\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nPath_Info: /x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000, 431),
        (b"GET /" + b"x" * 20_000, 431),
        (b"BREW /predict HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345", 400),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n", 400),
    ],
)  # fmt: skip
def test_what_is_no_sound_http_is_answered_by_a_problem(port: int, sent: bytes, status: int) -> None:
    with connect(port, sent) as client:
        response = answer(client)
        assert b"ornado" not in response.headers.as_bytes()
        assert_problem(response, status)
    assert is_ready(port)


def test_a_body_in_chunks_and_several_requests_on_one_connection_are_answered(port: int) -> None:
    photo = picture("green")
    chunks = b"".join(
        f"{len(photo[i : i + 99]):x}\r\n".encode() + photo[i : i + 99] + b"\r\n"
        for i in range(0, len(photo), 99)
    )
    with connect(port) as client:
        for _ in range(3):
            client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
            response = answer(client)
            assert json.loads(response.read())["sub"]["class"] == "pants"
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        answers = b""
        while answers.count(b"HTTP/1.1 200 ") < 2:
            answers += client.recv(1 << 16)


@pytest.mark.parametrize("is_sound", [True, False])
def test_a_client_that_closes_its_side_after_its_request_is_answered(port: int, is_sound: bool) -> None:
    photo = picture()
    whole = POST + f"Content-Length: {len(photo)}\r\n\r\n".encode() + photo
    for request, status in (
        (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (whole, 200),
        (b"nonsense\r\n\r\n", 400),
        (POST + b"Content-Length: 99999999999\r\n\r\n", 413),
    ):
        with connect(port, request if is_sound else request[:-3]) as client:
            client.shutdown(socket.SHUT_WR)
            started = time.monotonic()
            if is_sound:
                assert answer(client).status == status
            else:
                assert is_closed(client)
            assert time.monotonic() - started < 9  # it did not wait for more


def test_a_header_that_is_not_complete_in_time_ends_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "HEADER_SECONDS", 0.5)
    clients = [connect(port), connect(port, POST), connect(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")]
    assert answer(clients[2]).read()  # it says nothing more after that
    assert all(map(is_closed, clients))
    with connect(port) as dripping, contextlib.suppress(ConnectionError):
        started = time.monotonic()
        while time.monotonic() - started < 60:
            dripping.sendall(b"x")
            time.sleep(0.05)
        raise AssertionError("each drop gave it more time")


def test_a_body_that_comes_too_slowly_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_SECONDS", 0.5)
    with connect(port, POST + b"Content-Length: 1000\r\n\r\n\xff") as silent:
        assert "slowly" in assert_problem(answer(silent), 408)["detail"]
    with connect(port, POST + b"Content-Length: 9000000\r\n\r\n" + bytes(8_000_000)) as dripping:
        dripping.settimeout(0.05)
        with pytest.raises(
            TimeoutError
        ):  # what came before is no credit, and no reason to refuse it at once either
            dripping.recv(1)
        for _ in range(1000):
            dripping.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                assert b" 408 " in dripping.recv(100)
                break
        else:
            raise AssertionError("each drop gave it more time")


def test_an_answer_that_nobody_takes_is_dropped(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(front, "ANSWER_BYTES_A_SECOND", 1e9)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    with client:
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
        time.sleep(3)
        with contextlib.suppress(ConnectionError):
            taken = sum(iter(lambda: len(client.recv(1 << 20)), 0))
            assert taken < 2000 * 10_000 / 2


def test_of_too_many_connections_the_slow_ones_go(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "CONNECTIONS", 20)
    with serving(client) as port, contextlib.ExitStack() as attack:
        for start in (
            b"",
            POST,
            POST + b"Content-Length: 1000\r\n\r\n\xff",
            b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            clients = [attack.enter_context(connect(port, start)) for _ in range(60)]
            assert is_ready(port)
            assert is_predicted(port)
            assert all(is_closed(each) for each in clients[:30] if b"GET" not in start)


def test_of_too_large_bodies_the_slow_ones_are_refused(
    client: FlaskClient, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "BODIES", 1_000_000 / client.application.config["MAX_CONTENT_LENGTH"])
    with contextlib.ExitStack() as attack:
        start = POST + b"Content-Length: 900000\r\n\r\n"
        hoarders = [attack.enter_context(connect(port, start + bytes(400_000))) for _ in range(8)]
        deadline = time.monotonic() + 30
        while len(refused := select.select(hoarders, [], [], 0.1)[0]) < 6:  # two fit
            assert time.monotonic() < deadline
        assert {answer(hoarder).status for hoarder in refused} == {503}
        assert is_predicted(port)


def test_no_more_chunked_bodies_come_at_once_than_the_loop_can_take_apart(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "CHUNKED_SECONDS", 0.2)
    start = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
    with contextlib.ExitStack() as attack:
        many = [attack.enter_context(connect(port, start)) for _ in range(front.CHUNKED_BODIES + 1)]
        (refused,) = select.select(many, [], [], 30)[0]
        assert_problem(answer(refused), 503)
        time.sleep(0.3)
        photo = picture()
        whole = f"{len(photo):x}\r\n".encode() + photo + b"\r\n0\r\n\r\n"
        with connect(port, POST + b"Transfer-Encoding: chunked\r\n\r\n" + whole) as client:
            assert answer(client).status == 200  # in the place of a slow one
        assert is_predicted(port)


def test_what_reads_no_photo_is_answered_while_all_threads_work(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    engine = client.application.extensions["engine"]
    answers = engine.answer
    monkeypatch.setattr(
        engine, "answer", lambda photos, **asked: released.wait(60) and answers(photos, **asked)
    )
    with serving(client, threads=2) as port, contextlib.ExitStack() as busy:
        photo = picture()
        request = POST + f"Content-Length: {len(photo)}\r\n\r\n".encode() + photo
        working = [busy.enter_context(connect(port, request)) for _ in range(2)]
        time.sleep(0.5)
        assert is_ready(port)
        with connect(port, request) as one_more:
            assert_problem(answer(one_more), 503)
        released.set()
        assert [answer(each).status for each in working] == [200, 200]


def test_a_refused_client_that_is_still_sending_gets_its_answer(port: int) -> None:
    body = bytes(20_000_000)
    for path, status in (("/nowhere", 404), ("/predict", 413)):
        size = 20_000_000 if status == 404 else 99_999_999_999
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
        with connect(port, head + body) as client:
            response = answer(client)
            assert response.headers["Connection"] == "close"
            assert_problem(response, status)
    malformed = b"POST /predict HTTP/1.1\r\nHost: x\r\nCookie: \x01\r\nContent-Length: 20000000\r\n\r\n"
    with connect(port, malformed + body) as client:
        assert_problem(answer(client), 400)
