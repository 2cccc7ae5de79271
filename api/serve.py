"""Running the app behind its `front`: below gunicorn, which starts it again when it dies, or alone.

Alone is how it runs on Windows, where there is no gunicorn, and anywhere by choice; what answers is the same.
"""

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from flask import Flask
from tornado.netutil import bind_sockets

from api import create_app
from api.engine import REQUESTS_WAITING, Engine, usable_cores
from api.front import Front
from api_settings import ApiSettings

log = logging.getLogger("nightsort.api")

M_ARENA_MAX = -8
"""From glibc's <malloc.h>; see mallopt(3)."""

TIDY_SECONDS = 5

TICK_SECONDS = 1
"""How often the server looks after its connections, and after whether it shall end."""

GRACE_SECONDS = 8
"""How long requests that are worked on may take when the server is told to end; gunicorn itself waits 10."""

END_SECONDS = 3
"""How long a server whose owner has died may take to end in order."""


def threads() -> int:
    """One for every request that works or waits, and some so that `/health` is always answered."""
    return usable_cores() + REQUESTS_WAITING + 4


def limit_memory() -> None:
    """Let threads share their memory. glibc gives each its own arena otherwise, and none of 80 gives any back."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(AttributeError):  # musl has no such thing
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, usable_cores())


def give_back_memory() -> None:
    """From now on give back, every few seconds, what broken photos and forms leave behind.

    Errors keep the bytes that they came from until Python looks for cycles, which it seldom does in a server with
    many objects of its own; these are set aside here, so that looking costs next to nothing.
    """
    gc.freeze()
    threading.Thread(target=_tidy_for_ever, name="memory", daemon=True).start()


def _tidy_for_ever() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    while True:
        time.sleep(TIDY_SECONDS)
        gc.collect()
        if trim:
            trim(0)


def serve_gunicorn(settings: ApiSettings, *, until_stdin_closes: bool) -> None:
    """Serve until told to end. One worker process with threads: they share the model and the work evenly."""
    from gunicorn.app.base import BaseApplication  # not on Windows
    from gunicorn.glogging import Logger
    from gunicorn.workers.base import Worker

    class Log(Logger):
        """gunicorn's own words, in the form of ours."""

        def setup(self, cfg: Any) -> None:
            super().setup(cfg)
            self.error_log.handlers.clear()
            self.error_log.propagate = True

    class FrontWorker(Worker):
        """The process that serves."""

        def run(self) -> None:
            listeners: Any = self.sockets  # gunicorn's own, around the sockets
            app: Any = self.wsgi
            run(app, [listener.sock for listener in listeners], self._is_wanted)

        def _is_wanted(self) -> bool:
            self.notify()
            return bool(self.alive) and self.ppid == os.getppid()

    class Server(BaseApplication):
        """gunicorn, told in code what it would read from a file."""

        def load_config(self) -> None:
            options = {
                "bind": f"{settings.api_host}:{settings.api_port}",
                "worker_class": FrontWorker,
                "workers": 1,
                "preload_app": True,
                "timeout": 60,
                "graceful_timeout": 10,
                "control_socket_disable": True,
                "loglevel": "warning",
                "logger_class": Log,
                "when_ready": lambda _: _end_with_stdin() if until_stdin_closes else None,
                "post_fork": lambda _server, _worker: begin(),
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return create_app(settings, engine)

    def begin() -> None:
        engine.load()  # in the process that serves: threads survive no fork
        give_back_memory()

    limit_memory()
    engine = Engine(settings)
    Server().run()


def serve_alone(settings: ApiSettings, *, until_stdin_closes: bool) -> None:
    """Serve until told to end, in this one process.

    Raises:
        OSError: the address cannot be listened at.
    """
    limit_memory()
    sockets = bind_sockets(settings.api_port, settings.api_host)
    engine = Engine(settings)
    engine.load()
    give_back_memory()
    if until_stdin_closes:
        _end_with_stdin()
    run(create_app(settings, engine), sockets, lambda: True)


def run(app: Flask, sockets: Sequence[socket.socket], is_wanted: Callable[[], bool]) -> None:
    """Serve until told to end by a signal, or by `is_wanted`, which is asked every second."""
    # the only loop that Tornado can use on Windows
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        has_ended = runner.run(_run(app, sockets, is_wanted))
    if not has_ended:
        os._exit(0)  # a decoder cannot be interrupted, and Python would wait for it


async def _run(app: Flask, sockets: Sequence[socket.socket], is_wanted: Callable[[], bool]) -> bool:
    """Serve; whether every request was answered in the end."""
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(told_to_end.set))
    front = Front(app, threads())
    for listener in sockets:
        listener.setblocking(False)
    front.add_sockets(sockets)
    while is_wanted() and not told_to_end.is_set():
        front.look_after()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told_to_end.wait(), TICK_SECONDS)
    front.stop()
    deadline = time.monotonic() + GRACE_SECONDS
    while not front.is_idle() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return front.is_idle()


def _end_with_stdin() -> None:
    """End this server when whoever started it ends, however it ends: its end of our standard input closes."""
    threading.Thread(target=_wait_for_stdin, name="owner", daemon=True).start()


def _wait_for_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    log.info("Parent process ended; server stops.")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_SECONDS)
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
