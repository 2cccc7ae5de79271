"""Throws requests at a running server: sound ones, odd ones and broken ones, made from its own OpenAPI description.

    python -m tests.faults.fuzz_http --requests 20000

Every answer has to be one that the description knows, never a 500; the server's processes have to be there at the end
as at the beginning, ready, and not grown (helpers that decode come and go). Only ever talks to 127.0.0.1.
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from batch.server.sidecar import _free_port
from settings import ROOT
from tests import small_release
from tests.faults.fuzz_decoder import mutated, seeds

THREADS = 3
GROWTH_MB = 30
"""More than this in the second half of the requests is a leak; in the first one its threads get their memory."""


class Request(NamedTuple):
    """What is sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Figures:
    """What came back."""

    statuses: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    """The server's memory after each tenth."""
    seconds: float = 0.0

    def __str__(self) -> str:
        statuses = ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))
        return (
            f"{self.statuses.total()} requests in {self.seconds:.0f} s: {statuses}; {len(self.problems)} problems; "
            f"memory after each tenth: {', '.join(f'{size:.0f}' for size in self.megabytes)} MB"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign; returns 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz_http", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", choices=("gunicorn", "tornado"), default="gunicorn")
    given = parser.parse_args(arguments)
    figures = campaign(given.requests, given.seed, given.server)
    print(figures)
    for problem in figures.problems[:20]:
        print(problem)
    return 1 if figures.problems else 0


def campaign(requests: int, seed: int = 1, kind: str = "gunicorn") -> Figures:
    """Start a server with a small release and send it so many requests."""
    figures = Figures()
    seeds()  # made once, before there are threads
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_server(Path(scratch), kind, MAX_IMAGE_MB="1") as (port, process),
    ):
        documented = _documented(port)
        before = processes(process)
        started = time.monotonic()
        for tenth in range(10):
            numbers = range(requests * tenth // 10, requests * (tenth + 1) // 10)
            _send_many(port, documented, numbers, seed, figures)
            figures.megabytes.append(megabytes(before))
        figures.seconds = time.monotonic() - started
        if not {each.pid for each in before} <= {each.pid for each in processes(process)}:
            figures.problems.append("a process that was there at the beginning is gone: it has crashed")
        if _get(port, "/health")["status"] != "ready":
            figures.problems.append("the server is not ready any more")
    growth = figures.megabytes[-1] - figures.megabytes[4]
    if growth > GROWTH_MB:
        figures.problems.append(f"the server has grown by {growth:.0f} MB in the second half")
    return figures


@contextlib.contextmanager
def running_server(
    scratch: Path, kind: str, **settings: str
) -> "Iterator[tuple[int, subprocess.Popen[bytes]]]":
    """A server with a small release that is ready, by its port and its process."""
    small_release.make(scratch / "releases")
    port = _free_port()
    environment = os.environ | {"MODEL_DIR": str(scratch / "releases")} | settings
    with (scratch / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "api", "--port", str(port), "--server", kind],
            cwd=ROOT, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                if _get(port, "/health")["status"] == "ready":
                    break
            time.sleep(0.1)
        yield port, process
    finally:
        process.terminate()
        process.wait(20)


def _get(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def _documented(port: int) -> dict[tuple[str, str], set[int]]:
    """Path and method → the statuses that the description knows."""
    paths = _get(port, "/openapi.json")["paths"]
    return {
        (path, method.upper()): {int(status) for status in operation["responses"]}
        for path, item in paths.items()
        for method, operation in item.items()
    }


def processes(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """A server's processes: itself and its worker."""
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def megabytes(server: list[psutil.Process]) -> float:
    """The memory that they hold."""
    return sum(each.memory_info().rss for each in server if each.is_running()) / 1e6


def _send_many(
    port: int, documented: dict[tuple[str, str], set[int]], numbers: range, seed: int, figures: Figures
) -> None:
    threads = [
        threading.Thread(target=_send_some, args=(port, documented, numbers[part::THREADS], seed, figures))
        for part in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send_some(
    port: int, documented: dict[tuple[str, str], set[int]], numbers: range, seed: int, figures: Figures
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number in numbers:
        chance = random.Random(f"{seed} {number}")
        if chance.random() < 0.1:
            status = _send_raw(port, _broken_http(chance))
            problem = "" if status < 500 or status in (501, 503, 505) else f"answered {status}"
        else:
            request = _request(chance, documented)
            status, answer = _send(connection, request)
            if status == 0:  # it had closed the connection after the answer before: its right
                status, answer = _send(connection, request)
            problem = _problem(request, status, answer, documented)
        figures.statuses[str(status) if status else "closed"] += 1
        if problem:
            figures.problems.append(f"request {number}: {problem}")
    connection.close()


def _send(connection: http.client.HTTPConnection, request: Request) -> tuple[int, bytes]:
    """Status and body; 0 when the server only closed the connection."""
    try:
        connection.request(request.method, request.path, request.body or None, request.headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (http.client.HTTPException, OSError):
        connection.close()
        return 0, b""


def _problem(
    request: Request, status: int, answer: bytes, documented: dict[tuple[str, str], set[int]]
) -> str:
    path = request.path.partition("?")[0]
    what = f"{request.method} {request.path[:60]} {request.headers}"
    if status == 0:  # only a body that is too large may end so: nobody reads it to its end
        return "" if len(request.body) > 1_000_000 else f"no answer to {what}"
    known = documented.get((path, request.method), {200, 400, 404, 405, 413})
    if status == 500 or status not in known:
        return f"{status} to {what}: {answer[:200]!r}"
    if b"Traceback" in answer or str(ROOT).encode() in answer or b"site-packages" in answer:
        return f"{what} shows the inside: {answer[:200]!r}"
    return ""


def _request(chance: random.Random, documented: dict[tuple[str, str], set[int]]) -> Request:
    """A request that is HTTP at least."""
    path, method = chance.choice(
        [*documented, *[("/predict", "POST")] * 6, *[("/predict/batch", "POST")] * 4]
    )
    if chance.random() < 0.05:
        method = chance.choice(("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW"))
    if chance.random() < 0.05:
        path = chance.choice(
            ("/", "/predict/", "/../etc/passwd", "/%00", "/%ff", "/predict%2fbatch", "//", "/" + "a" * 5000)
        )
    if chance.random() < 0.1:
        path += chance.choice(("?", "?image=x", "?a=%00&a=%ff", "?" + "x" * 3000))
    headers, body = _body(chance) if method == "POST" or chance.random() < 0.05 else ({}, b"")
    if chance.random() < 0.1:
        headers |= chance.choice(
            (
                {"Authorization": "Bearer \xe9"},
                {"Content-Type": "x" * 2000},
                {"Content-Type": "multipart/form-data"},
                {"Content-Type": "multipart/form-data; boundary="},
                {"Content-Type": "application/json; charset=utf-7"},
                {"Content-Encoding": "gzip"},
                {"Expect": "nonsense"},
                {"Accept": "image/png"},
                {"X-Forwarded-For": "::1", "Host": "evil.example"},
                {"Cookie": "=; \x01"},
            )
        )
    return Request(method, path, headers, body)


def _body(chance: random.Random) -> tuple[dict[str, str], bytes]:
    kind = chance.choice(("multipart", "batch", "json", "raw", "form", "noise", "large"))
    if kind == "multipart":
        return _multipart([(chance.choice(("file", "image", "files", "")), _photo(chance))], chance)
    if kind == "batch":
        return _multipart([("files", _photo(chance)) for _ in range(chance.choice((0, 1, 2, 8, 40)))], chance)
    if kind == "json":
        return {"Content-Type": "application/json"}, _json(chance)
    if kind == "raw":
        return {
            "Content-Type": chance.choice(("image/jpeg", "application/octet-stream", "text/plain"))
        }, _photo(chance)
    if kind == "form":
        text = b"image=" + base64.b64encode(_photo(chance))[: chance.choice((3, 1000, 10**7))]
        return {"Content-Type": "application/x-www-form-urlencoded"}, text
    if kind == "large":
        return {"Content-Type": "image/jpeg"}, seeds()[0] + bytes(
            chance.choice((900_000, 1_100_000, 3_000_000))
        )
    return {"Content-Type": chance.choice(("", "a/b", "application/json"))}, chance.randbytes(
        chance.randrange(3000)
    )


def _photo(chance: random.Random) -> bytes:
    return chance.choice(seeds()) if chance.random() < 0.5 else mutated(chance.randrange(10**6))


def _multipart(parts: list[tuple[str, bytes]], chance: random.Random) -> tuple[dict[str, str], bytes]:
    boundary = "boundary"
    name = chance.choice(("a.jpg", "", "\u202e", 'a"b', "../../etc/passwd", "x" * 500))
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for field, content in parts
    )
    body += f"--{boundary}--\r\n".encode()
    if chance.random() < 0.2:
        body = body[: chance.randrange(len(body))]
    if chance.random() < 0.1:
        body = body.replace(b"\r\n", chance.choice((b"\n", b"\r", b"")))
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body


def _json(chance: random.Random) -> bytes:
    text = base64.b64encode(_photo(chance)).decode()
    return chance.choice(
        (
            json.dumps({"image": text}).encode(),
            json.dumps({"image": f"data:image/jpeg;base64,{text}"}).encode(),
            json.dumps({"image": text[: chance.randrange(len(text) + 1)]}).encode(),
            json.dumps(
                {"image": chance.choice([None, 7, [], {}, True, "", "\ud800", "\0", "é", 1e400])}
            ).encode(),
            json.dumps({"image": text}).encode("utf-16"),
            b"[" * chance.choice((10, 100_000)),
            b'{"image": ' + b"9" * 5000 + b"}",
            b'{"image": "x", "image": "y"}',
            b"\xff\xfe{}",
            b"NaN",
            b"",
        )
    )


def _broken_http(chance: random.Random) -> bytes:
    """Bytes that are no sound HTTP, or only half of a request."""
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
    return chance.choice(
        (
            chance.randbytes(chance.randrange(1, 500)) + b"\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n",
            b"GET /health HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
            head + b"Content-Length: -1\r\n\r\n",
            head + b"Content-Length: 99999999999999999999\r\n\r\nx",
            head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
            head + b"Content-Length: 100\r\n\r\ntoo short",
            head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n",
            head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
            head + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            head + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
            b"\0" * 100,
            b"GET http://evil.example/health HTTP/1.1\r\n\r\n",
        )
    )


def _send_raw(port: int, content: bytes) -> int:
    """The status of the answer; 0 when there is none. Half the clients leave without waiting for it."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5) as client:
        client.sendall(content)
        client.shutdown(socket.SHUT_WR)
        answer = client.recv(64)
        parts = answer.split(b" ", 2)
        if answer.startswith(b"HTTP/") and len(parts) > 1 and parts[1].isdigit():
            return int(parts[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
