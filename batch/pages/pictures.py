"""Pictures of photos: decoded within bounds, made anew as JPEG, kept by checksum for a while.

No byte of a file that came from anywhere reaches a browser: what is shown was drawn here, from the pixels.
"""

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import decoder

SIDES = {"small": 320, "large": 1600}
"""The longest side of each kind of picture, in pixels: for many at once, and for one that is looked at."""

KEPT, KEPT_BYTES = 5_000, 200_000_000
"""So many pictures are kept, and of all together so many bytes."""

AT_ONCE = 2
"""So many are made at the same time; the others wait."""


class NoPictureError(Exception):
    """There is no picture of this photo: it is gone, changed, or cannot be decoded."""


class Pictures:
    """Pictures that were made lately, and the making of others."""

    def __init__(self, max_bytes: int, limits: decoder.Limits | None = None) -> None:
        """Photos of more than `max_bytes`, or beyond these limits, are not decoded."""
        self._max_bytes = max_bytes
        self._limits = limits or decoder.Limits()
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._bytes = 0
        self._being_made: dict[tuple[str, str], Future[bytes]] = {}
        self._lock = threading.Lock()
        self._making = threading.Semaphore(AT_ONCE)

    def picture(self, sha256: str, size: str, places: Callable[[], list[Path]]) -> bytes:
        """A photo as a JPEG of one of `SIDES`. `places` says where a file with these bytes may lie.

        Whoever asks for a picture that is being made gets that one.

        Raises:
            NoPictureError: there is none.
        """
        key = (sha256, size)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            being_made = self._being_made.get(key)
            mine: Future[bytes] = Future()
            if being_made is None:
                self._being_made[key] = mine
        if being_made is not None:
            return being_made.result()
        try:
            with self._making:
                made = draw(self._bytes_of(sha256, places()), SIDES[size], self._limits)
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            self._keep(key, made)
            mine.set_result(made)
            return made
        finally:
            with self._lock:
                del self._being_made[key]

    def _keep(self, key: tuple[str, str], made: bytes) -> None:
        with self._lock:
            self._kept[key] = made
            self._bytes += len(made)
            while len(self._kept) > KEPT or self._bytes > KEPT_BYTES:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= len(gone)

    def _bytes_of(self, sha256: str, places: list[Path]) -> bytes:
        for path in places:
            try:
                if path.stat().st_size > self._max_bytes:
                    continue
                content = path.read_bytes()
            except OSError:
                continue
            if hashlib.sha256(content).hexdigest() == sha256:
                return content
        raise NoPictureError


def draw(content: bytes, side: int, limits: decoder.Limits) -> bytes:
    """A photo's file as a JPEG no side of which is longer.

    Raises:
        NoPictureError: it cannot be decoded.
    """
    try:
        picture = decoder.read(content, within=side, limits=limits)
    except (decoder.PhotoError, decoder.CodecError, MemoryError) as error:
        raise NoPictureError from error
    drawn = io.BytesIO()
    picture.save(drawn, "JPEG", quality=82)
    return drawn.getvalue()
