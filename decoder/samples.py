"""A tiny photo of each format, red on the left and blue on the right: whether this installation reads it rightly."""

from __future__ import annotations

import base64
from typing import Final

import decoder
from decoder.errors import CodecError, PhotoError

SIDE: Final = 32
RED, BLUE = (210, 30, 40), (30, 50, 200)
TOLERANCE: Final = 30
"""Steps of 255: the lossy formats come near."""


def fault(kind: str) -> str:
    """What is wrong with reading photos of this format, one of FORMATS; nothing when all is well."""
    try:
        picture = decoder.read(sample(kind), square=SIDE)
    except (PhotoError, CodecError) as error:
        return f"The {kind} sample is not read: {error}"
    for where, colour in (((4, 16), RED), ((28, 16), BLUE)):
        found = picture.getpixel(where)
        if (
            not isinstance(found, tuple)
            or max(abs(a - b) for a, b in zip(found, colour, strict=True)) > TOLERANCE
        ):
            return f"The {kind} sample is read wrongly: {found} instead of {colour}."
    return ""


def sample(kind: str) -> bytes:
    """The photo of a format."""
    return _bmp() if kind == "BMP" else base64.b64decode(_SAMPLES[kind])


def _bmp() -> bytes:
    """Without compression, so that it is easier made than kept."""
    row = bytes(reversed(RED)) * (SIDE // 2) + bytes(reversed(BLUE)) * (SIDE // 2)
    size, planes_and_bits = SIDE.to_bytes(4, "little"), b"\1\0\x18\0"
    header = (40).to_bytes(4, "little") + size + size + planes_and_bits + bytes(24)
    return b"BM" + bytes(8) + (54).to_bytes(4, "little") + header + row * SIDE


_SAMPLES = {
    "JPEG": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwg"
        "IyYnKSopGR8tMC0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo"
        "KCgoKCgoKCgoKCgoKCj/wAARCAAgACADAREAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAb/xAAUEAEAAAAAAAAAAAAA"
        "AAAAAAAA/8QAFgEBAQEAAAAAAAAAAAAAAAAAAAcF/8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/aAAwDAQACEQMRAD8AhmEswCfX"
        "ZAAFAhK/gJ9dkAAUCEr+An12QABQISv4CfXZAAH/2Q=="
    ),
    "PNG": (
        "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAQMAAABJtOi3AAAABlBMVEXSHigeMsgusDpQAAAAE0lEQVR42mNkYPjPwMTAwDBI"
        "CQCxAwE/YJQqigAAAABJRU5ErkJggg=="
    ),
    "WEBP": (
        "UklGRlYAAABXRUJQVlA4IEoAAADwAwCdASogACAAPqVCmkmmI6KhN/qoAMAUiWQAv2eB+gfiqAe3WooAAP7sJl+DLvEa//OJ"
        "JeM/ELzLiOm68++HHcY09WTgrAAAAA=="
    ),
    "GIF": (
        "R0lGODdhIAAgAIEAANIeKB4yyAAAAAAAACwAAAAAIAAgAEAIbAABCBxIsCCAAAgTKlwYwKDDgQwjJnz4UKJEig4tRsRoUCND"
        "jgU9LgRJUKRCkhBNIkQpUOVKli4bwnTJ8iDNmSprxtR5E+VOnCZ55gQqUmhQoh6NFkWqUWlSphadNoV6kepGqx+xjtR6kmvC"
        "gAA7"
    ),
    "TIFF": (
        "SUkqAAgBAACANIPCiBQSBwWEQeFQaGQmGwuCh4ZMiJRSJxWMReNRaORmOxuKw6RRCSQ+TSMUR6VSCWR+XStkSiZSWZyeBzCc"
        "S2cy+JzWfTSgQyd0OdUWOT+bUmkUSeU2mUioUGHUyqUaPVGlVKS1WnVaW1iwUGuWOjWGs2eI16u2uYWa3QuyWy1W+0WK1XGd"
        "3S6Xi72WtXXAWm5YOn3+9Vu+4S54bGYC+YqXYfA3DE4+r43JYLLZWe5jPUnN5CQ5/JaG45nP6bOTHSa2havQ6jJynYbWj669"
        "7bH7KsarIbzG76ucDHbrbcSl8bRZ3Z6Xlafca7hYnkX/p4Pq2fr4Xm9HacvwRWAgCgAAAQMAAQAAACAAAAABAQMAAQAAACAA"
        "AAACAQMAAwAAAIYBAAADAQMAAQAAAAUAAAAGAQMAAQAAAAIAAAARAQQAAQAAAAgAAAAVAQMAAQAAAAMAAAAWAQMAAQAAACAA"
        "AAAXAQQAAQAAAAABAAAcAQMAAQAAAAEAAAAAAAAACAAIAAgA"
    ),
    "HEIF": (
        "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAA"
        "AAAAACJpbG9jAAAAAERAAAEAAQAAAAABoQABAAAAAAAAADQAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAA"
        "AA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNw"
        "AAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFz"
        "wIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAACAAAAABAAAAIAAAAAH////gAAAA"
        "Av///+AAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAADxtZGF0AAAAMCgBr1iK2BOSX//H"
        "o//zfMh5Y00v+f0xfZHE/1y+uMuHXjDQVIYQ2oRIVMg+lGDgww=="
    ),
    "AVIF": (
        "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAA"
        "AAAAAAAAAAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAMQAAAChpaW5mAAAAAAABAAAAGmluZmUC"
        "AAAAAAEAAGF2MDFDb2xvcgAAAABqaXBycAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAAIAAAACAAAAAQcGl4aQAAAAADCAgIAAAA"
        "DGF2MUOBAAwAAAAAE2NvbHJuY2x4AAEADQAGgAAAABdpcG1hAAAAAAAAAAEAAQQBAoMEAAAAOW1kYXQSAAoJGBE/9sgIaDQg"
        "MiIZR4eGIYAAaAAAALQtAQEVy3jfmGkQk1WxyZrSpNFaOwlA"
    ),
}
