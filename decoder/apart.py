"""Decoding in a process of its own, which can be ended: for photos whose cost neither header nor counts foretell.

A helper is started when there is something for it to do, waits for the next photo, and ends when this process does.
What it may take is limited for each photo, by the kernel on Linux, elsewhere by watching it; a photo that takes more,
or makes the decoder crash, ends the helper and is refused.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

from PIL import Image

from decoder import headers, pixels
from decoder.claims import MEGABYTE, Limits, Wanted
from decoder.errors import CodecError, PhotoError

PHOTOS_EACH: Final = 2000
"""A helper is replaced after so many, so that no leak grows."""

WALL_SECONDS = 25.0
"""How long a photo may take by the clock, whatever else the machine does. The server's own watchdog comes after it."""

LOOK_SECONDS: Final = 0.02
"""How often a helper is looked at where the kernel does not limit it."""

IS_LIMITED_BY_KERNEL = sys.platform == "linux"

_TIMED_OUT: Final = -signal.SIGPROF if sys.platform != "win32" else None

_PROGRAM: Final = "import sys; sys.path[:] = sys.argv[1:]; from decoder import apart; apart.serve()"

_ENVIRONMENT: Final = {
    "MALLOC_ARENA_MAX": "1",  # glibc would reserve address space for every thread, which counts as memory
    "OPENBLAS_NUM_THREADS": "1",
}


def read(data: bytes, wanted: Wanted, limits: Limits, memory: float) -> Image.Image:
    """The picture that is wanted of a photo, decoded by a helper that may take so many bytes of memory.

    Raises PhotoError for what the helper refuses, and for a photo that takes too much or makes two helpers die; the
    first one may have died of something else.
    """
    for _ in range(2):
        try:
            with _HELPERS.one() as helper:
                reply, content = helper.ask(data, wanted, limits, memory)
        except _DiedError:
            continue
        if "code" in reply:
            raise PhotoError(reply["code"], reply["sentence"])
        return Image.frombytes("RGB", tuple(reply["size"]), content)
    raise PhotoError("unreadable", "The photo makes its decoder crash; it is refused.")


class _DiedError(Exception):
    """A helper has died, and nothing says of what."""


class _Helper:
    """One process that decodes, one photo after another."""

    def __init__(self) -> None:
        self.photos = 0
        self._excess = ""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *map(os.path.abspath, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | _ENVIRONMENT,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert self._process.stdin is not None  # started with pipes
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        try:
            _receive(self._replies)  # it is ready
        except EOFError:
            self.end()
            raise CodecError("The process that decodes photos does not start.") from None

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, data: bytes, wanted: Wanted, limits: Limits, memory: float) -> tuple[dict[str, Any], bytes]:
        """Its answer; raises PhotoError when the photo takes too much, _DiedError when it dies otherwise."""
        self.photos += 1
        request = {
            "wanted": asdict(wanted),
            "limits": asdict(limits),
            "memory": memory,
            "by_kernel": IS_LIMITED_BY_KERNEL,
        }
        try:
            with self._watched(limits, memory):
                _send(self._requests, request, data)
                return _receive(self._replies)
        except (OSError, EOFError):
            self.end()
            if not self._excess and self._process.returncode == _TIMED_OUT:
                self._excess = _too_long(limits)
            if self._excess:
                raise PhotoError("too_large", self._excess) from None
            raise _DiedError from None

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._requests, self._replies):
            with contextlib.suppress(OSError):  # what it did not take
                pipe.close()

    @contextlib.contextmanager
    def _watched(self, limits: Limits, memory: float) -> Iterator[None]:
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(done, limits, memory), daemon=True)
        watch.start()
        try:
            yield
        finally:
            done.set()
            watch.join()

    def _watch(self, done: threading.Event, limits: Limits, memory: float) -> None:
        """End it when it takes too much: the last resort where the kernel limits it, the only one elsewhere."""
        deadline = time.monotonic() + WALL_SECONDS
        if IS_LIMITED_BY_KERNEL:
            if not done.wait(WALL_SECONDS):
                self._kill(_TOOK_TOO_LONG)
            return
        import psutil  # where it is installed, see requirements-serve.txt

        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            before = _taken(process)
            while not done.wait(LOOK_SECONDS):
                now = _taken(process)
                if now[0] - before[0] > memory:
                    self._kill(_too_much(memory, limits))
                if now[1] - before[1] > limits.seconds:
                    self._kill(_too_long(limits))
                if time.monotonic() > deadline:
                    self._kill(_TOOK_TOO_LONG)

    def _kill(self, excess: str) -> None:
        self._excess = self._excess or excess
        self._process.kill()


class _Helpers:
    """The helpers that wait for work. As many are started as there are threads that need one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Helper] = []

    @contextlib.contextmanager
    def one(self) -> Iterator[_Helper]:
        """A helper for one photo."""
        with self._lock:
            waiting = self._idle.pop() if self._idle else None
        helper = waiting if waiting is not None and waiting.is_alive else _Helper()
        try:
            yield helper
        except BaseException:
            helper.end()
            raise
        if helper.photos < PHOTOS_EACH:
            with self._lock:
                self._idle.append(helper)
        else:
            helper.end()

    def end(self) -> None:
        """End those that wait."""
        while self._idle:
            self._idle.pop().end()

    def forget(self) -> None:
        """After a fork they are the parent's."""
        self._lock = threading.Lock()
        self._idle = []


_HELPERS: Final = _Helpers()
atexit.register(_HELPERS.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_HELPERS.forget)


def serve() -> None:
    """What a helper does: decode what is sent, until nothing more comes."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    _send(replies, {}, b"")
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            request, data = _receive(sys.stdin.buffer)
            wanted, limits = Wanted(**request["wanted"]), Limits(**request["limits"])
            bounds = (
                _limited(limits.seconds, request["memory"])
                if request["by_kernel"]
                else contextlib.nullcontext()
            )
            _send(replies, *_answer(data, wanted, limits, request["memory"], bounds))


def _answer(
    data: bytes,
    wanted: Wanted,
    limits: Limits,
    memory: float,
    bounds: contextlib.AbstractContextManager[None],
) -> tuple[dict[str, Any], bytes]:
    try:
        with bounds:
            picture = pixels.decode(headers.look(data, wanted), wanted, limits)
            return {"size": picture.size}, picture.tobytes()
    except MemoryError:
        return {"code": "too_large", "sentence": _too_much(memory, limits)}, b""
    except PhotoError as error:
        # libraries have words of their own for it
        if error.code == "unreadable" and re.search(r"memory|alloc", str(error), re.IGNORECASE):
            return {"code": "too_large", "sentence": _too_much(memory, limits)}, b""
        return {"code": error.code, "sentence": str(error)}, b""


@contextlib.contextmanager
def _limited(seconds: float, memory: float) -> Iterator[None]:
    """Let the kernel end this process, or refuse it memory, beyond these. Linux alone limits both."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = now + int(memory)
    signal.setitimer(signal.ITIMER_PROF, seconds)  # its signal ends the process
    resource.setrlimit(
        resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
    )
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_much(memory: float, limits: Limits) -> str:
    return (
        f"Decoding the photo takes more memory than one of its size ({memory / MEGABYTE:,.0f} MB, of the "
        f"MAX_PHOTO_MEMORY_MB={limits.memory_mb:g}); it is refused."
    )


_TOOK_TOO_LONG = "Decoding the photo took too long by the clock; it is refused."


def _too_long(limits: Limits) -> str:
    return f"Decoding the photo takes more than {limits.seconds:g} s of processor time; it is refused."


def _taken(process: Any) -> tuple[float, float]:
    """The bytes of memory that a process has, and the processor time that it has taken."""
    memory, times = process.memory_info(), process.cpu_times()
    return getattr(memory, "private", memory.rss), times.user + times.system


# a message: the sizes of its two parts, a JSON object, and bytes
_SIZES: Final = struct.Struct(">IQ")


def _send(pipe: IO[bytes], about: dict[str, Any], content: bytes) -> None:
    text = json.dumps(about).encode()
    pipe.write(_SIZES.pack(len(text), len(content)) + text)
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    text, content = _SIZES.unpack(_exactly(pipe, _SIZES.size))
    about = json.loads(_exactly(pipe, text))
    return about, _exactly(pipe, content)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return content
