"""Running the app: behind gunicorn where there is one, behind waitress on Windows (and anywhere by choice)."""

import contextlib
import ctypes
import gc
import logging
import os
import signal
import sys
import threading
import time
from typing import Any

from api import create_app
from api.engine import REQUESTS_WAITING, Engine, usable_cores
from api.upload import body_bytes
from api_settings import ApiSettings

log = logging.getLogger("nightsort.api")

M_ARENA_MAX = -8
"""From glibc's <malloc.h>; see mallopt(3)."""

TIDY_SECONDS = 5

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

    class Log(Logger):
        """gunicorn's own words, in the form of ours."""

        def setup(self, cfg: Any) -> None:
            super().setup(cfg)
            self.error_log.handlers.clear()
            self.error_log.propagate = True

    class Server(BaseApplication):
        """gunicorn, told in code what it would read from a file."""

        def load_config(self) -> None:
            options = {
                "bind": f"{settings.api_host}:{settings.api_port}",
                "worker_class": "gthread",
                "workers": 1,
                "threads": threads(),
                "preload_app": True,
                "timeout": 60,
                "graceful_timeout": 10,
                "keepalive": 5,
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


def serve_waitress(settings: ApiSettings, *, until_stdin_closes: bool) -> None:
    """Serve until told to end, in this one process."""
    import waitress

    limit_memory()
    engine = Engine(settings)
    engine.load()
    give_back_memory()
    if until_stdin_closes:
        _end_with_stdin()
    waitress.serve(
        create_app(settings, engine),
        host=settings.api_host,
        port=settings.api_port,
        threads=threads(),
        max_request_body_size=body_bytes(settings.max_image_mb),
        channel_timeout=60,
        ident=None,
    )


def _end_with_stdin() -> None:
    """End this server when whoever started it ends, however it ends: its end of our standard input closes."""
    threading.Thread(target=_wait_for_stdin, name="owner", daemon=True).start()


def _wait_for_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    log.info("Whoever started this server has ended; so does it.")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_SECONDS)
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
