"""The life of our own model server: start it beside the night, wait until it is ready, bring it back, stop it."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from api_answers import Health
from batch.logs import log, tail
from batch.server.client import Client, SidecarError
from settings import ROOT

START_SECONDS = 60
"""How long the server may take until it is ready."""

PAUSES = (0, 1, 2, 4, 8)
"""Seconds before each start, counted from its last answer; one that dies after the last of them is given up."""

COMMAND = (sys.executable, "-m", "api")

STOP_SECONDS = 10
LOG_BYTES = 5_000_000


class SidecarDownError(Exception):
    """There is no model server to work with; the message says why and what to do."""


class Sidecar:
    """A model server of our own, on a free loopback port.

    >>> with Sidecar(log_dir=Path("logs")) as sidecar:  # doctest: +SKIP
    ...     sidecar.client.predict([Path("photo.jpg").read_bytes()])
    """

    def __init__(
        self, *, log_dir: Path, token: str = "", run_id: str = "", interrupted: "Flag | None" = None
    ) -> None:
        self.client = Client("", token)
        self._interrupted = interrupted or Flag()
        self._log = log_dir / "sidecar.log"
        self._run_id = run_id
        self._token = token
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._nonce = ""
        self._starts = 0
        """Since its last answer."""
        self._lock = threading.Lock()

    def __enter__(self) -> "Sidecar":
        """Start it and wait until it is ready.

        Raises:
            SidecarDownError: it does not get ready.
        """
        try:
            self.make_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def make_ready(self) -> Health:
        """Return when the server answers that it is ready; start it (again) when it is not alive.

        Raises:
            SidecarDownError: it does not get ready, or has died too often.
        """
        with self._lock:
            deadline = time.monotonic() + START_SECONDS
            problem = ""
            while time.monotonic() < deadline:
                if self._interrupted.is_set():
                    raise SidecarDownError("interrupted")
                if self._process is None or self._process.poll() is not None:
                    self._start()
                    deadline = time.monotonic() + START_SECONDS
                try:
                    health = self.client.health()
                except SidecarError as error:
                    problem = str(error)
                else:
                    if health.instance != self._nonce:
                        problem = f"another program answers at {self.client.url}"
                        # the next start takes another port
                        self._end_process()
                    elif health.status == "broken":
                        raise SidecarDownError(f"the model cannot be used: {health.detail}")
                    elif health.status == "ready":
                        return health
                    else:
                        problem = health.detail or "it is still loading"
                self._interrupted.wait(0.05)
            raise SidecarDownError(
                f"the model server did not get ready within {START_SECONDS} s: {problem}.{self._last_words()}"
            )

    def worked(self) -> None:
        """It has answered: earlier deaths are forgiven."""
        self._starts = 0

    def kill(self, hanging: Client) -> None:
        """End it at once, if it is still the one that hangs; `make_ready` starts another."""
        with self._lock:
            if self._process is not None and self.client is hanging:
                log.warning("The model server hangs; ending it.")
                self._kill_process()

    def stop(self) -> None:
        """End it, whatever state it is in, for good."""
        self._interrupted.set()
        with self._lock:
            self._end_process()
            if self._output:
                self._output.close()
                self._output = None

    def _start(self) -> None:
        if self._starts == len(PAUSES):
            raise SidecarDownError(
                f"the model server ended {len(PAUSES)} times in a row.{self._last_words()}"
            )
        if self._process is not None:
            log.warning("The model server ended; starting it again.")
        self._end_process()
        self._interrupted.wait(PAUSES[self._starts])
        self._starts += 1
        self._nonce = secrets.token_hex(16)
        port = _free_port()
        self.client = Client(f"http://127.0.0.1:{port}", self._token)
        environment = os.environ | {
            "API_INSTANCE": self._nonce,
            "RUN_ID": self._run_id,
            "API_HOST": "127.0.0.1",
        }
        self._process = subprocess.Popen(
            [*COMMAND, "--port", str(port), "--until-stdin-closes"],
            cwd=ROOT,
            env=environment,
            # closes when this process ends, however it ends; then the server ends too
            stdin=subprocess.PIPE,
            stdout=self._open_log(),
            stderr=subprocess.STDOUT,
            # Ctrl-C ends the night, which then ends its server
            start_new_session=os.name == "posix",
        )

    def _end_process(self) -> None:
        if self._process is None:
            return
        # always started with a pipe
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._kill_process()
        self._process = None

    def _kill_process(self) -> None:
        """End it and what it started: a worker that hangs outlives the master that is killed."""
        # asked by those who have looked
        assert self._process is not None
        # it may be gone already (on macOS: a zombie)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                # it leads a session of its own
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _open_log(self) -> IO[bytes]:
        if self._output is None:
            if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
                self._log.replace(self._log.with_suffix(".log.1"))
            self._output = self._log.open("ab")
        return self._output

    def _last_words(self) -> str:
        words = tail(self._log)
        return f" Its last words, the rest in {self._log}:\n{words}" if words else ""


class Flag:
    """What a `threading.Event` is, without its lock.

    The thread that a signal interrupts may hold that lock itself, and its signal handler would wait for ever.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Set it, for good."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, at most so long; whether it is."""
        deadline = time.monotonic() + seconds
        while not self._is_set and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
        return self._is_set


def _free_port() -> int:
    """A port that is free now; should another program be quicker, the nonce tells."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
