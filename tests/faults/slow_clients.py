"""Attacks a running server with clients that are slow, silent or dripping, and measures who is served beside them.

    python -m tests.faults.slow_clients --server gunicorn --seconds 20

Each attack holds ten times as many connections as the server has threads, and opens another one for each that the
server closes. All the while `/health` is asked for, and a photo sent to `/predict`, on connections of their own: every
`/health` has to be answered within a second, every photo predicted. Only ever talks to 127.0.0.1, and ends by itself.
"""

import argparse
import asyncio
import contextlib
import functools
import http.client
import io
import multiprocessing
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil
from PIL import Image

from api.serve import threads
from tests.faults.fuzz_http import megabytes, processes, running_server

TOKEN = "known to the attackers too"
HEALTH_SECONDS = 1.0
"""The longest that `/health` may take beside an attack."""

GIVEN_UP_SECONDS = 10.0
"""The clients beside the attack wait no longer for an answer."""

ARRIVE_SECONDS = 2
"""The attackers come one after the other, within so long."""

REOPEN_SECONDS = 1.0
DRIP_SECONDS = 0.5

HEAD = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
POST = b"POST /predict HTTP/1.1\r\n" + HEAD
MEGABYTE = b"Content-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\n"
AT_WORK = asyncio.Semaphore(4)
"""So many have large photos predicted; the others wait for their turn and say nothing."""

CHUNKED = b"Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"


class Connection(NamedTuple):
    """An attacker's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, content: bytes) -> None:
        """Send it, as fast as the server takes it."""
        self.writer.write(content)
        await self.writer.drain()

    async def drip(self, content: bytes = b"x", pause: float = DRIP_SECONDS) -> None:
        """Send it again and again, until the server closes the connection."""
        while not self.reader.at_eof():
            await self.send(content)
            await asyncio.sleep(pause)

    async def wait(self) -> None:
        """Say nothing more, and read until the server closes the connection."""
        while await self.reader.read(1 << 16):
            pass


async def say_nothing(connection: Connection) -> None:
    await connection.wait()


async def half_a_header(connection: Connection) -> None:
    await connection.send(POST + b"X-Long: ")
    await connection.wait()


async def drip_the_header(connection: Connection) -> None:
    await connection.send(POST)
    await connection.drip()


async def half_a_body(connection: Connection) -> None:
    await connection.send(POST + MEGABYTE + b"\xff\xd8\xff")
    await connection.wait()


async def drip_the_body(connection: Connection) -> None:
    await connection.send(POST + MEGABYTE)
    await connection.drip()


async def drip_a_body_that_is_refused(connection: Connection) -> None:
    start = random.choice(  # one for each refusal: 401, 404, 405, 413
        (
            b"POST /predict HTTP/1.1\r\nHost: x\r\n" + MEGABYTE,
            b"POST /nowhere HTTP/1.1\r\n" + HEAD + MEGABYTE,
            b"POST /classes HTTP/1.1\r\n" + HEAD + MEGABYTE,
            POST + MEGABYTE.replace(b"1000000", b"9" * 12),
        )
    )
    await connection.send(start)
    await connection.drip()


async def chunks_without_end(connection: Connection) -> None:
    await connection.send(POST + CHUNKED)
    await connection.drip(b"400\r\n" + bytes(1024) + b"\r\n", pause=0.25)


async def tiny_chunks(connection: Connection) -> None:
    await connection.send(POST + CHUNKED)
    await connection.drip(b"1\r\nx\r\n" * 2000, pause=0.25)


async def drip_a_chunk_extension(connection: Connection) -> None:
    await connection.send(POST + CHUNKED + b"5;name=")
    await connection.drip()


async def a_chunk_extension_without_end(connection: Connection) -> None:
    await connection.send(POST + CHUNKED + b"5;name=")
    await connection.drip(b"x" * 50_000, pause=0.25)


async def idle_between_requests(connection: Connection) -> None:
    await connection.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    await connection.wait()


async def read_no_answer(connection: Connection) -> None:
    connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
    while not connection.writer.transport.is_closing():
        connection.writer.write(b"GET /openapi.json HTTP/1.1\r\n" + HEAD + b"\r\n")
        await asyncio.sleep(1)


async def hoard(connection: Connection) -> None:
    await connection.send(
        POST.replace(b"/predict", b"/predict/batch") + MEGABYTE.replace(b"1000000", b"2" * 9)
    )
    await connection.send(bytes(1_000_000))
    await connection.drip()


async def have_large_photos_predicted(connection: Connection) -> None:
    async with AT_WORK:
        photo = plain(6000, 4000)
        head = POST + f"Content-Type: image/png\r\nContent-Length: {len(photo)}\r\n\r\n".encode()
        await connection.send(head + photo)
        await connection.reader.readuntil(b"\r\n\r\n")


ATTACKS: dict[str, Callable[[Connection], Awaitable[None]]] = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        say_nothing,
        half_a_header,
        drip_the_header,
        half_a_body,
        drip_the_body,
        drip_a_body_that_is_refused,
        chunks_without_end,
        tiny_chunks,
        drip_a_chunk_extension,
        a_chunk_extension_without_end,
        idle_between_requests,
        read_no_answer,
        hoard,
        have_large_photos_predicted,
    )
}


@dataclass
class Asked:
    """What became of the requests to one route."""

    answered: int = 0
    seconds: list[float] = field(default_factory=list)
    """What each took, whether it was answered or not."""

    def __str__(self) -> str:
        return f"{self.answered} of {len(self.seconds)}, {max(self.seconds, default=0):.2f} s"


@dataclass
class Figures:
    """What became of those beside one attack."""

    attack: str
    health: Asked = field(default_factory=Asked)
    predict: Asked = field(default_factory=Asked)
    problems: list[str] = field(default_factory=list)
    megabytes: float = 0.0
    """The most memory of the server."""

    def __str__(self) -> str:
        return f"| {self.attack} | {self.health} | {self.predict} | {self.megabytes:.0f} MB |"


HEADING = "| attack | `/health`: answered, slowest | `/predict`: answered, slowest | memory |\n| --- | --- | --- | --- |"


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign; returns 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.slow_clients", description=__doc__)
    parser.add_argument("--server", default="gunicorn", help="as of `python -m api`")
    parser.add_argument("--connections", type=int, default=10 * threads())
    parser.add_argument("--seconds", type=float, default=20, help="for each attack")
    parser.add_argument("--attack", choices=list(ATTACKS), help="this one alone")
    given = parser.parse_args(arguments)
    attacks = [given.attack] if given.attack else list(ATTACKS)
    print(f"{given.connections} connections, {given.seconds:g} s each, {given.server}\n{HEADING}")
    problems = []
    for figures in campaign(attacks, given.server, given.connections, given.seconds):
        print(figures, flush=True)
        problems += figures.problems
    for problem in problems[:20]:
        print(problem)
    return 1 if problems else 0


def campaign(
    attacks: list[str], kind: str, connections: int, seconds: float, *, health_seconds: float = HEALTH_SECONDS
) -> Iterator[Figures]:
    """Start a server with a small release and attack it in every named way, one after the other."""
    with tempfile.TemporaryDirectory() as scratch:
        settings = {"API_TOKEN": TOKEN, "MAX_IMAGE_MB": "50"}
        with running_server(Path(scratch), kind, **settings) as (port, process):
            before = processes(process)
            for attack in attacks:
                figures = _beside(attack, port, before, connections, seconds)
                slow = [each for each in figures.health.seconds if each > health_seconds]
                if slow:
                    figures.problems.append(
                        f"{attack}: {len(slow)} times /health took up to {max(slow):.1f} s"
                    )
                if [each.pid for each in processes(process)] != [each.pid for each in before]:
                    figures.problems.append(
                        f"{attack}: the server's processes are not the same: one has crashed"
                    )
                yield figures


def _beside(
    attack: str, port: int, server: list[psutil.Process], connections: int, seconds: float
) -> Figures:
    figures = Figures(attack)
    attackers = multiprocessing.get_context("spawn").Process(
        target=_attack, args=(attack, port, connections, seconds + ARRIVE_SECONDS), daemon=True
    )
    attackers.start()
    time.sleep(ARRIVE_SECONDS)
    until = time.monotonic() + seconds
    photo = noise(640, 480)
    asking = [
        threading.Thread(target=_ask, args=(port, "/health", b"", until, figures.health, figures.problems)),
        threading.Thread(
            target=_ask, args=(port, "/predict", photo, until, figures.predict, figures.problems)
        ),
    ]
    for thread in asking:
        thread.start()
    while time.monotonic() < until:
        figures.megabytes = max(figures.megabytes, megabytes(server))
        time.sleep(0.2)
    for thread in asking:
        thread.join()
    attackers.join(20)
    attackers.kill()
    return figures


def _ask(port: int, path: str, body: bytes, until: float, asked: Asked, problems: list[str]) -> None:
    """Ask for `path` again and again, each time on a new connection, and note how long each answer took."""
    while time.monotonic() < until:
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GIVEN_UP_SECONDS)
        try:
            connection.request(
                "POST" if body else "GET", path, body or None, {"Authorization": f"Bearer {TOKEN}"}
            )
            response = connection.getresponse()
            answer = response.read()
            if response.status == 200:
                asked.answered += 1
            else:
                problems.append(f"{path} was answered {response.status}: {answer[:200]!r}")
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"{path} was not answered: {error!r}")
        finally:
            connection.close()
        asked.seconds.append(time.monotonic() - started)
        time.sleep(0.05)


def _attack(attack: str, port: int, connections: int, seconds: float) -> None:
    asyncio.run(_hold(ATTACKS[attack], port, connections, time.monotonic() + seconds))


async def _hold(
    attack: Callable[[Connection], Awaitable[None]], port: int, connections: int, until: float
) -> None:
    """Hold so many connections that attack, until then."""

    async def hold_one() -> None:
        await asyncio.sleep(random.random() * ARRIVE_SECONDS)
        while True:
            with contextlib.suppress(OSError):
                client = socket.socket()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # who reads nothing is full soon
                client.setblocking(False)
                await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
                reader, writer = await asyncio.open_connection(sock=client)
                try:
                    await attack(Connection(reader, writer))
                finally:
                    writer.close()
            await asyncio.sleep(REOPEN_SECONDS)

    holding = [asyncio.create_task(hold_one()) for _ in range(connections)]
    await asyncio.sleep(until - time.monotonic())
    for task in holding:
        task.cancel()
    await asyncio.gather(*holding, return_exceptions=True)


@functools.cache
def plain(width: int, height: int) -> bytes:
    """A photo that is small as a file."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


def noise(width: int, height: int) -> bytes:
    """A photo that costs what its size says."""
    file = io.BytesIO()
    Image.effect_noise((width, height), 60).convert("RGB").save(file, "JPEG")
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())
