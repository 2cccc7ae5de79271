"""Photos: the one place where a file's bytes become a picture, upright, in sRGB, on white.

    read(path.read_bytes(), square=224)   # for the network: the whole frame, squashed to a square
    read(path.read_bytes(), within=176)   # for people: in its proportions, no side longer
    read(path.read_bytes())               # at its own size

What a photo may take is limited (`Limits`). What its header and counts say will need more is refused before anything
is decoded; what they do not foretell is decoded in a process of its own, which can be ended. So a photo costs no other
one its answer. Several threads that share an amount of memory make a `plan` first, which says what it will take.

| module | |
|---|---|
| `headers`, and one for each format | what a file says about itself |
| `claims` | the limits on that |
| `pixels` | decoding, orientation, colour |
| `apart` | the process of its own |
| `samples` | a tiny photo of each format, to see whether this installation reads it |
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from decoder import apart, claims, headers, pixels
from decoder.claims import Claims, Limits, Wanted
from decoder.errors import CodecError, PhotoError
from decoder.headers import FORMATS
from decoder.pixels import require_codecs

__all__ = ["FORMATS", "CodecError", "Limits", "PhotoError", "Plan", "plan", "read", "require_codecs"]


@dataclass(frozen=True)
class Plan:
    """How a photo will be decoded, and what that takes."""

    memory: float
    """Bytes, at the most."""
    data: bytes
    """The file."""
    _claims: Claims
    _wanted: Wanted
    _limits: Limits

    def picture(self) -> Image.Image:
        """The picture, mode RGB.

        Raises PhotoError when the photo is damaged, cut off, or takes more than was planned, and CodecError when the
        fault is this installation's. MemoryError passes through.
        """
        require_codecs()
        if self._claims.apart:
            return apart.read(self.data, self._wanted, self._limits, self.memory)
        return pixels.decode(self._claims, self._wanted, self._limits)


def plan(
    data: bytes, *, square: int | None = None, within: int | None = None, limits: Limits | None = None
) -> Plan:
    """Look at a photo, without decoding anything. `square` and `within` are in pixels; see `read`.

    Raises PhotoError for a file that is no photo we read (`unsupported`), a damaged one (`unreadable`), and one that
    would need more than the limits, or claims more than its file can hold (`too_large`).
    """
    limits = limits or Limits()
    wanted = Wanted(square or within or 0, squash=square is not None)
    found = headers.look(data, wanted)
    return Plan(claims.check(found, wanted, len(data), limits), data, found, wanted, limits)


def read(
    data: bytes, *, square: int | None = None, within: int | None = None, limits: Limits | None = None
) -> Image.Image:
    """The photo as a picture, mode RGB: squashed to a `square` of so many pixels, fitted `within` one, or as it is.

    Raises what `plan` and `Plan.picture` raise.
    """
    return plan(data, square=square, within=within, limits=limits).picture()
