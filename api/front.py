"""What stands between the network and the app: one event loop takes requests in whole and hands them to threads.

HTTP itself is Tornado's (tornadoweb.org, `tornado.http1connection`). Here is what it is told: how slow a client may be,
how many may come at once, and that a request which its header alone decides is answered before its body is read.
A client that is slow, silent or dripping costs a place in the loop for some seconds, and never a thread.
"""

import asyncio
import contextlib
import enum
import logging
import socket
import sys
import time
from collections import deque
from collections.abc import Awaitable, Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from io import RawIOBase
from typing import Any, NamedTuple

from flask import Flask, Response, request
from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters, HTTP1ServerConnection
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError
from tornado.tcpserver import TCPServer
from tornado.wsgi import WSGIContainer

from api.errors import busy, fault, problem, problem_response
from api_answers import written

if sys.platform != "win32":
    import resource

log = logging.getLogger("nightsort.api")

CONNECTIONS = 400 if sys.platform == "win32" else 1000
"""So many at once; beyond them a slow one goes for each that comes. Windows can watch 512."""

PIECE_BYTES = 1 << 18
"""So much is read of one connection before the others have their turn."""

HEADER_BYTES = 16 * 1024

HEADER_SECONDS = 10
"""From the connection, or the answer before, until the header is complete."""

BODY_SECONDS = 20
BODY_BYTES_A_SECOND = 16 * 1024
"""In each `BODY_SECONDS` at least so many a second have to come; what came before is no credit."""

CHUNKED_BODIES = 8
"""So many bodies without a length at once: taking tiny chunks apart is work for the one loop that serves all."""

CHUNKED_SECONDS = 1
"""A chunked body is slow only after so long."""

BODIES = 2
"""All bodies together that are being sent, waiting, or worked on may be so many times the largest one."""

ANSWER_SECONDS = 20
ANSWER_BYTES_A_SECOND = 16 * 1024
"""An answer has to be taken within `ANSWER_SECONDS` and what its size takes at this pace."""

REST_SECONDS = 10
REST_BYTES = 64_000_000
"""So long, and so much, of a body that was refused is read and dropped."""

REST_PAUSE_SECONDS = 0.01

MALFORMED = "This is no HTTP/1.1: the first line, a header, or a chunk is malformed."

OTHER_FILES = 50
"""That the server has open besides connections, and more than enough."""

FORGED = ("SCRIPT_NAME", "PATH_INFO")
"""Headers that some servers take for what they themselves tell the app."""


class Front(TCPServer):
    """The connections of a server. Needs an event loop; `look_after` has to be called every second or so."""

    def __init__(self, app: Flask, threads: int) -> None:
        super().__init__()
        self.app = app
        self.pool = ThreadPoolExecutor(threads, "request")
        self.container = WSGIContainer(app, self.pool)
        """It translates a request into WSGI's environment."""
        self.clients: dict[Client, None] = {}
        """Those first that have been in their phase for longest."""
        self.body_bytes = 0
        """Of all bodies that are held."""
        self.threads = threads
        self.working = 0
        """So many of them answer a request."""
        self.most_bytes: int = app.config["MAX_CONTENT_LENGTH"]
        """In the body of any request; a route may take less."""
        self._most = _connections()

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Take a connection, in the place of a slow one if there are too many."""
        if len(self.clients) >= self._most:
            self._end_one()
        Client(self, Stream(stream.socket, read_chunk_size=PIECE_BYTES // 2), address[0])

    def look_after(self) -> None:
        """End what takes too long."""
        now = time.monotonic()
        for client in list(self.clients):
            client.look_after(now)

    def make_room(self) -> None:
        """Refuse the slowest of those that send bodies, while these are too large together."""
        while self.body_bytes > BODIES * self.most_bytes and (sending := self._in_phase(Phase.SENDING)):
            _slowest(sending).refuse(busy())

    def has_room_for_chunks(self) -> bool:
        """Whether one more chunked body may come, if need be in the place of one that is slow."""
        chunked = [client for client in self._in_phase(Phase.SENDING) if client.is_chunked]
        if len(chunked) < CHUNKED_BODIES:
            return True
        slowest = _slowest(chunked)
        if slowest.age() < CHUNKED_SECONDS:
            return False
        slowest.refuse(busy())
        slowest.end()
        return True

    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self.working and all(client.phase is Phase.SILENT for client in self.clients)

    def _in_phase(self, phase: "Phase") -> "list[Client]":
        return [client for client in self.clients if client.phase is phase]

    def _end_one(self) -> None:
        """End the connection that has been slow for longest, or the one that may become so."""
        waited_for = [client for client in self.clients if client.phase is not Phase.WORKING]
        slow = (client for client in waited_for if client.pace() < BODY_BYTES_A_SECOND)
        if waited_for:
            next(slow, waited_for[0]).end()


class Phase(enum.Enum):
    """What a connection waits for."""

    SILENT = "the header of a request"
    SENDING = "its body"
    REFUSED = "the rest of a body that nobody wants"
    WORKING = "the app"
    ANSWERED = "the client to take the answer"


class Answer(NamedTuple):
    """What the app answers."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class Client(HTTPServerConnectionDelegate, HTTPMessageDelegate):
    """One connection: the request that is coming in or worked on, and its answer. Tornado calls it as it reads."""

    def __init__(self, front: Front, stream: "Stream", address: str) -> None:
        self.phase = Phase.SILENT
        self.remote_ip, self.protocol = address, "http"  # as Tornado asks for them
        self._front = front
        self._stream = stream
        self._connection: HTTP1Connection
        self._environ: dict[str, Any] = {}
        self._body = Body()
        self._since = self._due = 0.0
        self._bytes = self._bytes_lately = 0
        self._begin(Phase.SILENT)
        parameters = HTTP1ConnectionParameters(
            chunk_size=PIECE_BYTES,
            max_header_size=HEADER_BYTES,
            header_timeout=HEADER_SECONDS,
            max_body_size=1 << 62,  # `headers_received` and `data_received` refuse bodies, with an answer
        )
        HTTP1ServerConnection(stream, parameters, self).start_serving(self)

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:  # noqa: ARG002
        """Another request may come."""
        self._connection = request_conn
        self._begin(Phase.SILENT)
        return self

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Refuse the request if its header is enough for that; else its body may come."""
        assert isinstance(start_line, RequestStartLine)
        self._environ = self._as_environ(start_line, headers.copy())
        has_body = "Content-Length" in headers or "Transfer-Encoding" in headers
        refusal = None
        if any(name in headers for name in FORGED):
            refusal = problem_response(400, f"{', '.join(FORGED)} are not for clients to say.")
        elif has_body:
            refusal = _refusal(self._front.app, dict(self._environ))
            if refusal is None and self.is_chunked and not self._front.has_room_for_chunks():
                refusal = busy()
        self._begin(Phase.SENDING, BODY_SECONDS)
        if refusal is None:
            return None
        self.refuse(refusal)
        return self._drop_rest()

    def data_received(self, chunk: bytes) -> Awaitable[None]:
        """Keep a piece of the body, or drop the rest of it when the request has been refused."""
        if self.phase is Phase.SENDING:
            self._bytes += len(chunk)
            self._bytes_lately += len(chunk)
            self._body.append(chunk)
            self._front.body_bytes += len(chunk)
            if self._bytes > self._front.most_bytes:  # only a chunked body does not say so before
                most = f"At most {self._front.most_bytes // 2**20} MB in one request."
                self.refuse(problem_response(413, most))
            self._front.make_room()
        return self._drop_rest() if self.phase is Phase.REFUSED else asyncio.sleep(0)  # others' turn

    def finish(self) -> None:
        """The request is complete: let a thread answer it, unless it has been refused."""
        if self.phase is Phase.REFUSED:
            self._dropping = asyncio.ensure_future(self._drop_rest())
            return
        if self._stream.closed():
            return
        self._begin(Phase.WORKING)
        environ = {**self._environ, "wsgi.input": self._body, "CONTENT_LENGTH": str(self._body.size)}
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        if self._environ["REQUEST_METHOD"] != "POST":  # only photos are work; this waits for no thread
            self._answer(_call(self._front.app, environ))
        elif self._front.working == self._front.threads:
            self._answer(_call(busy(), environ))
        else:
            self._front.working += 1
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._front.pool, _call, self._front.app, environ)
            work.add_done_callback(self._worked)

    def on_connection_close(self) -> None:
        """The request will never be complete."""
        self._forget_body()

    def on_close(self, server_conn: object) -> None:  # noqa: ARG002
        """The connection is at its end."""
        self._front.clients.pop(self, None)
        if self.phase is not Phase.WORKING:
            self._forget_body()

    def refuse(self, answer: Response) -> None:
        """Answer before the body is complete; the connection ends with it."""
        self._forget_body()
        self._begin(Phase.REFUSED, REST_SECONDS)
        answer.headers["Connection"] = "close"
        self._sent = self._send(_call(answer, self._environ))

    @property
    def is_chunked(self) -> bool:
        """Whether its body says only as it comes how long it is."""
        return "HTTP_TRANSFER_ENCODING" in self._environ

    def look_after(self, now: float) -> None:
        """End it if it takes too long."""
        if now < self._due:
            return
        if self.phase is Phase.SENDING:
            if self._bytes_lately < BODY_SECONDS * BODY_BYTES_A_SECOND:
                self.refuse(problem_response(408, "The request's body came too slowly."))
            else:
                self._due, self._bytes_lately = now + BODY_SECONDS, 0
        elif self.phase in (Phase.REFUSED, Phase.ANSWERED):
            self.end()

    def age(self) -> float:
        """The seconds that it has been in its phase."""
        return time.monotonic() - self._since

    def pace(self) -> float:
        """How fast its body comes, in bytes a second."""
        return self._bytes / (self.age() + 0.001) if self.phase is Phase.SENDING else 0

    def end(self) -> None:
        """Close the connection."""
        self._front.clients.pop(self, None)
        self._forget_body()
        self._stream.close()

    def _begin(self, phase: Phase, seconds: float = 0) -> None:
        if self._stream.closed():
            return  # what came before that may still be read, and is of no interest
        self.phase = phase
        self._front.clients.pop(self, None)
        self._front.clients[self] = None
        self._since = time.monotonic()
        self._due = self._since + seconds
        self._bytes = self._bytes_lately = 0

    def _as_environ(self, start_line: RequestStartLine, headers: HTTPHeaders) -> dict[str, Any]:
        try:
            asked = HTTPServerRequest(start_line=start_line, headers=headers, connection=self._connection)
            return self._front.container.environ(asked)
        except ValueError as error:
            raise HTTPInputError(f"Invalid Host header: {error}") from error

    def _worked(self, work: "asyncio.Future[Answer]") -> None:
        self._front.working -= 1
        self._forget_body()
        if self._stream.closed():
            return
        if error := work.exception():
            log.error("A request failed", exc_info=error)
        self._answer(_call(fault(), self._environ) if error else work.result())

    def _answer(self, answer: Answer) -> None:
        self._begin(Phase.ANSWERED, ANSWER_SECONDS + len(answer.body) / ANSWER_BYTES_A_SECOND)
        self._send(answer)
        self._connection.finish()

    def _send(self, answer: Answer) -> "asyncio.Future[None]":
        headers = HTTPHeaders({"Date": format_timestamp(time.time())})
        for name, value in answer.headers:
            headers.add(name, value)
        code, _, reason = answer.status.partition(" ")
        return self._connection.write_headers(
            ResponseStartLine("HTTP/1.1", int(code), reason), headers, answer.body
        )

    async def _drop_rest(self) -> None:
        await self._sent
        await self._stream.drop_rest()
        self.end()

    def _forget_body(self) -> None:
        self._front.body_bytes -= self._body.size
        self._body = Body()


class Body(RawIOBase):
    """A body in the pieces in which it came; what has been read is let go."""

    def __init__(self) -> None:
        self.size = 0
        """Of all pieces, read or not."""
        self._pieces: deque[bytes | memoryview] = deque()

    def append(self, piece: bytes) -> None:
        """Another piece has come."""
        self._pieces.append(piece)
        self.size += len(piece)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as one piece goes."""
        if not self._pieces:
            return 0
        piece = memoryview(self._pieces.popleft())
        size = min(len(piece), len(buffer))
        buffer[:size] = piece[:size]
        if size < len(piece):
            self._pieces.appendleft(piece[size:])
        return size


class Stream(IOStream):
    """A connection that says what is wrong where Tornado closes it with a bare status, or with nothing.

    It also answers clients that close their side when they have sent their request (`ncat` does): only who is waited
    for to send more, and has closed, is gone.
    """

    has_ended = False

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read what has come; that nothing more will is of interest only to who waits for more."""
        size = super().read_from_fd(buf)
        if size == 0 and not (self.has_ended and self.reading()):
            self.has_ended = True
            if not self.reading():
                self.io_loop.update_handler(self.fileno(), IOLoop.ERROR)  # or it is told so all the time
            return None
        return size

    def set_close_callback(self, callback: Any) -> None:
        """Do not listen for the end of a connection while its request is being answered."""

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Any:
        """Read on, but not what had come before the connection was closed: nobody wants it any more."""
        self._check_open()
        return super().read_until_regex(regex, max_bytes)

    def read_bytes(self, num_bytes: int, partial: bool = False) -> Any:
        """The same."""
        self._check_open()
        return super().read_bytes(num_bytes, partial)

    def write(self, data: bytes | memoryview) -> Any:
        """Send it; problems as problems."""
        if data == b"HTTP/1.1 400 Bad Request\r\n\r\n":
            return asyncio.ensure_future(self._turn_away(MALFORMED))
        return super().write(data)

    async def drop_rest(self) -> None:
        """Say no more, and drop what still comes: who is still sending would miss the answer if this closed now."""
        left = REST_BYTES
        with contextlib.suppress(OSError):  # StreamClosedError and TimeoutError are such
            async with asyncio.timeout(REST_SECONDS):
                self._check_open()
                self.socket.shutdown(socket.SHUT_WR)
                while left > 0:
                    left -= len(await self.read_bytes(PIECE_BYTES, partial=True))
                    await asyncio.sleep(REST_PAUSE_SECONDS)

    def close(self, exc_info: Any = False) -> None:
        """Close it; say why if a line was too long to be read."""
        if isinstance(exc_info, UnsatisfiableReadError) and not self.closed():
            answer = _alone(
                431, f"The header is too large, or that of a chunk; it may have {HEADER_BYTES:,} bytes."
            )
            with contextlib.suppress(OSError):
                self.socket.send(answer)
        super().close(exc_info)

    def close_fd(self) -> None:
        """Close the socket, after what has come: with something unread, the client would lose the answer."""
        with contextlib.suppress(OSError):
            for _ in range(16):  # who sends without end has no answer to lose
                if not self.socket.recv(PIECE_BYTES):
                    break
        super().close_fd()

    async def _turn_away(self, reason: str) -> None:
        await super().write(_alone(400, reason))
        await self.drop_rest()

    def _check_open(self) -> None:
        if self.closed():
            raise StreamClosedError(real_error=self.error)


def _connections() -> int:
    """How many there may be at once: each is an open file."""
    if sys.platform == "win32":
        return CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OTHER_FILES
    if 0 <= soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return CONNECTIONS if soft < 0 else min(CONNECTIONS, soft - OTHER_FILES)


def _slowest(clients: "list[Client]") -> "Client":
    return min(clients, key=Client.pace)


def _refusal(app: Flask, environ: dict[str, Any]) -> Response | None:
    """The app's answer to a request that its header alone decides; None for the others, whose bodies it has to see."""
    with app.request_context(environ):
        try:
            answer = app.preprocess_request()
            if answer is None and request.routing_exception is not None:
                raise request.routing_exception
        except Exception as error:  # noqa: BLE001 - as Flask itself does it
            answer = app.handle_user_exception(error)
        return None if answer is None else app.finalize_request(answer)


def _call(app: Any, environ: dict[str, Any]) -> Answer:
    """What a WSGI app (PEP 3333) answers, whole."""
    begun: list[Any] = []
    parts: Iterable[bytes] = app(environ, lambda *arguments: begun.extend(arguments))
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return Answer(begun[0], begun[1], body)


def _alone(status: int, detail: str) -> bytes:
    """A problem as a whole HTTP answer, after which the connection closes."""
    body = written(problem(status, detail)).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
