"""Patience with the model servers: an answer for every photo, through deaths, hangs, overload and photos that kill.

A request that fails is asked again alone, when no other is on its way: what fails then has itself to blame. If it fails
again, its photos are asked about one by one, so that the one which no server can bear is found and the others get their
answers.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus

from api_answers import Failed, Problem
from batch.logs import log
from batch.server import pool
from batch.server.client import SidecarBusyError
from batch.server.pool import Answered, Pool, ServerFailedError
from batch.server.sidecar import SidecarDownError

TRIES_BESIDE = 2
"""So many servers are asked while other requests are on their way."""

TRIES_ALONE = 2
"""So often a photo is asked about by itself before it fails: the server may have died of something else."""


class Asking:
    """Asks a pool of servers; may be used from several threads.

    >>> Asking(servers).about([Path("photo.jpg").read_bytes()])  # doctest: +SKIP
    """

    def __init__(self, servers: Pool) -> None:
        self._servers = servers
        self._gate = _Gate()

    def about(self, photos: list[bytes]) -> list[Answered]:
        """Get an answer for every photo, in order.

        Raises:
            SidecarDownError: there is no server to be had.
        """
        if not photos:
            return []
        # another server may have it first: one that dies costs no standstill
        for _ in range(min(TRIES_BESIDE, len(self._servers))):
            with self._gate.shared():
                try:
                    return self._patiently(photos)
                except ServerFailedError as error:
                    log.info("A request failed (%s); trying again.", error)
        with self._gate.alone():
            return self._alone(photos)

    def _alone(self, photos: list[bytes]) -> list[Answered]:
        """Ask again; if that fails too, about each photo by itself.

        One by one, not by halves: an answer takes milliseconds, the start of a server that has died seconds, and with
        many such photos in a request nearly every half of it would hold one.
        """
        if len(photos) > 1:
            with contextlib.suppress(ServerFailedError):
                return self._patiently(photos)
        return [self._about_one(photo) for photo in photos]

    def _about_one(self, photo: bytes) -> Answered:
        """Ask about one photo, alone; it fails once it has been too much for a server so often.

        A server proves that it is sound before it is asked again, so that it is the photo's fault.
        """
        for _ in range(TRIES_ALONE):
            try:
                return self._patiently([photo])[0]
            except ServerFailedError as error:
                problem = error
        log.warning("The model server fails on one photo (%s).", problem)
        detail = f"The model server fails on this photo: {problem}."
        failed = Failed(error=Problem(status=HTTPStatus.INTERNAL_SERVER_ERROR, detail=detail))
        return Answered(failed, "", problem.term)

    def _patiently(self, photos: list[bytes]) -> list[Answered]:
        """Ask; wait while all servers are overloaded or still loading."""
        deadline = time.monotonic() + pool.BUSY_SECONDS
        while True:
            try:
                return self._servers.predict(photos)
            except SidecarBusyError as busy:
                if time.monotonic() > deadline:
                    raise SidecarDownError(str(busy)) from busy


class _Gate:
    """Many requests at a time, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._one_is_alone = False

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Enter beside others."""
        with self._changed:
            self._changed.wait_for(lambda: not self._one_is_alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Enter when nobody is inside, and keep others out."""
        with self._changed:
            self._changed.wait_for(lambda: not self._one_is_alone and not self._inside)
            self._one_is_alone = True
        try:
            yield
        finally:
            with self._changed:
                self._one_is_alone = False
                self._changed.notify_all()
