"""The pages behind Tornado: one event loop takes requests in whole, a few threads answer them."""

import asyncio
import contextlib
import errno
import itertools
import logging
import os
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from flask import Flask
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine, format_timestamp
from tornado.iostream import IOStream, StreamClosedError
from tornado.netutil import bind_sockets
from tornado.wsgi import WSGIContainer

from batch.decisions import desk, exports
from batch.exits import NotDoneError
from batch.files.data_folder import StrangeFolderError
from batch.logs import log
from batch.pages import create_app, shared
from batch.pages.access import Addresses, check_exposure
from batch.pages.users import Keeper
from batch.records.csv_files import ExportError
from batch.records.ledger import LedgerError
from batch.settings import BatchSettings

THREADS = 8

CONNECTIONS = 200
"""So many at once; the next one is closed."""

HEADER_BYTES, BODY_BYTES = 16 * 1024, 256 * 1024
HEADER_SECONDS, BODY_SECONDS = 60, 20
"""A connection that says nothing for so long, or whose body takes so long, is closed."""

TICK_SECONDS = 5
"""How often it is looked whether the CSV has to follow."""

TAKEN_SECONDS = 30
"""A piece of an answer that is not taken for so long ends the connection."""

GRACE_SECONDS = 10
"""So long what is being answered may take when the pages are told to end."""


class PagesError(NotDoneError):
    """The pages cannot be served; the message says why and what to do."""


def serve(settings: BatchSettings) -> int:
    """Serve until told to end; returns the exit code.

    Raises:
        PagesError: the address cannot be listened at.
        ExposureError, SecretsError: strangers could use the pages.
    """
    addresses = Addresses(settings)
    if warning := check_exposure(settings, bool(Keeper(settings).now().users)):
        log.warning("%s", warning)
    sockets = _listen(addresses)
    log.info("The pages are at %s - Ctrl-C ends them.", addresses.shown)
    if _has_desktop():
        webbrowser.open(addresses.shown)
    # the only loop that Tornado can use on Windows
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(_serve(settings, sockets))
    log.info("The pages have ended.")
    return 0


class _Server(HTTPServer):
    """Tornado's, with a limit on how many may come at once."""

    def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> None:
        """Take a connection, unless there are too many."""
        if len(self._connections) >= CONNECTIONS:
            stream.close()
        else:
            super().handle_stream(stream, address)


class _Container(WSGIContainer):
    """Tornado's, but for answers of any length: each is made in one thread (SQLite wants that), piece by piece, no
    faster than it is taken.
    """

    async def handle_request(self, request: HTTPServerRequest) -> None:
        """Let a thread answer."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(StreamClosedError, TimeoutError):  # nobody takes the answer any more
            await loop.run_in_executor(self.executor, self._answer, request, loop)

    def _answer(self, request: HTTPServerRequest, loop: asyncio.AbstractEventLoop) -> None:
        connection = request.connection
        assert connection is not None
        begun: list[Any] = []
        parts: Iterable[bytes] = self.wsgi_application(
            self.environ(request),
            lambda *given: begun.extend(given),  # type: ignore[arg-type]
        )
        in_loop = partial(_in_loop, loop)
        try:
            for number, part in enumerate(itertools.chain(parts, [b""])):
                if number:
                    if part:
                        in_loop(connection.write, part)
                    continue
                code, _, reason = begun[0].partition(" ")
                headers = HTTPHeaders({"Date": format_timestamp(time.time())})
                for name, value in begun[1]:
                    headers.add(name, value)
                line = ResponseStartLine("HTTP/1.1", int(code), reason)
                in_loop(connection.write_headers, line, headers, part)
            loop.call_soon_threadsafe(connection.finish)
        except BaseException:
            loop.call_soon_threadsafe(request.connection.stream.close)  # type: ignore[union-attr]
            raise
        finally:
            if hasattr(parts, "close"):
                parts.close()


def _in_loop(loop: asyncio.AbstractEventLoop, write: Callable[..., Any], *given: Any) -> None:
    """Have the loop write something, and wait until it has been taken."""

    async def written() -> None:
        await write(*given)

    asyncio.run_coroutine_threadsafe(written(), loop).result(TAKEN_SECONDS)


async def _serve(settings: BatchSettings, sockets: Sequence[socket.socket]) -> None:
    logging.getLogger("tornado").setLevel(logging.ERROR)  # it has a line for each client that goes away
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(told_to_end.set))
    app = create_app(settings)
    threads = ThreadPoolExecutor(THREADS, "request")
    await loop.run_in_executor(threads, _recover, app)
    server = _Server(
        _Container(app, threads),
        max_header_size=HEADER_BYTES,
        max_body_size=BODY_BYTES,
        idle_connection_timeout=HEADER_SECONDS,
        body_timeout=BODY_SECONDS,
    )
    for listener in sockets:
        listener.setblocking(False)
    server.add_sockets(sockets)
    while not told_to_end.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told_to_end.wait(), TICK_SECONDS)
        await loop.run_in_executor(threads, _follow, app)
    server.stop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(server.close_all_connections(), GRACE_SECONDS)
    threads.shutdown(wait=True)


def _recover(app: Flask) -> None:
    """Finish what pages that died had begun; a ledger that cannot be used is said to be so by every page."""
    with app.app_context(), contextlib.suppress(LedgerError, StrangeFolderError, OSError):
        desk.recover(shared.settings(), shared.ledger())


def _follow(app: Flask) -> None:
    """Let `predictions.csv` follow what was decided; what keeps it from that is over some day, and said once."""
    with app.app_context():
        try:
            exports.follow(shared.settings(), shared.ledger())
            said = ""
        except (ExportError, LedgerError, StrangeFolderError, OSError) as error:
            said = str(error)
            if said != app.extensions.get("csv trouble", ""):
                log.warning("predictions.csv does not have the latest decisions yet: %s", said)
        app.extensions["csv trouble"] = said


def _listen(addresses: Addresses) -> list[socket.socket]:
    try:
        return bind_sockets(addresses.port, addresses.host.strip("[]"))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PagesError(
                f"something listens on {addresses.host}:{addresses.port} already. If it is the pages, open "
                f"{addresses.shown}; otherwise set PAGES_PORT to another port"
            ) from error
        raise PagesError(f"cannot listen on {addresses.host}:{addresses.port} ({error.strerror})") from error


def _has_desktop() -> bool:
    """Whether a person has started this who has a browser before them."""
    if not (sys.stdout and sys.stdout.isatty()):
        return False
    return sys.platform in ("win32", "darwin") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
