"""What can be wrong with a photo, and what with this installation."""

from __future__ import annotations

from typing import Final, Literal

Code = Literal["unsupported", "unreadable", "too_large"]

CUT_OFF: Final = "The photo is cut off (an incomplete upload?); send it again."


class PhotoError(ValueError):
    """A file that is not read as a photo; its text is one plain sentence for the one who sent it."""

    def __init__(self, code: Code, sentence: str) -> None:
        super().__init__(sentence)
        self.code: Code = code


class CodecError(RuntimeError):
    """This installation lacks a decoder: the photo is not to blame, and neither is any other."""


def damaged(reason: object) -> PhotoError:
    """The error for a file whose content makes no sense, in the decoder's own words, short enough for a table cell."""
    words = " ".join(str(reason).split()) or type(reason).__name__
    return PhotoError("unreadable", f"The photo is damaged: {words[:120].rstrip('.')}.")
