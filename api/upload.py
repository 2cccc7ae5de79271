"""The photos of a request, in whichever of the promised ways they came.

Forms are read with `multipart` and not with Flask's own parser: that one spends as long on a form of 64
photos as a tenth of decoding them takes, and refuses fields of 500 kB and forms of 1,000 parts.
"""

import base64
import binascii
import contextlib
import sys
from collections.abc import Iterator
from io import BytesIO
from urllib.parse import parse_qs

from flask import abort, request
from multipart import MultipartError, MultipartParser, MultipartPart, ParserLimitReached
from werkzeug.exceptions import HTTPException

BATCH_PHOTOS = 1024
"""The most photos in one request."""

BATCH_BYTES = 256 * 1024 * 1024
"""The largest body of a request for many photos, unless one photo may be larger."""

READ_BYTES = 1 << 18
"""So much of a form is read at a time: the pieces in which `front` has it."""

FORM = "multipart/form-data"


def photo_bytes(max_image_mb: float, mimetype: str = "") -> int:
    """The largest body that one photo may come in.

    base64 needs four bytes for three, each of which may be written `%2F` in a form or `\\/` in JSON: a white picture
    is all slashes.
    """
    factor = 4 if mimetype in ("application/x-www-form-urlencoded", "application/json") else 4 / 3
    return int(max_image_mb * 1024 * 1024 * factor) + 4096


def batch_bytes(max_image_mb: float) -> int:
    """The largest body of a request for many photos: one of the largest size allowed always fits."""
    return max(BATCH_BYTES, photo_bytes(max_image_mb))


def body_bytes(max_image_mb: float) -> int:
    """The largest body of any request."""
    return max(batch_bytes(max_image_mb), photo_bytes(max_image_mb, "application/json"))


def one_photo() -> bytes:
    """The photo of a request: multipart `file` or `image`, a raw image body, or base64 `image` in JSON or a form."""
    if request.mimetype == FORM:
        photos = [_of_part(part) for part in _parts() if part.name in ("file", "image")]
    elif request.mimetype == "application/json":
        with _readable():
            content = request.get_json()
        photos = [_from_base64(content.get("image") if isinstance(content, dict) else None)]
    else:
        # curl calls a raw body form-encoded unless told otherwise, so forms are not parsed here by the name
        with _readable():
            body = request.get_data(cache=False, parse_form_data=False)
        photos = [body]
        if body.startswith(b"image="):
            photos = [
                _from_base64(text) for text in parse_qs(body.decode("ascii", "replace")).get("image", [])
            ]
    photos = [photo for photo in photos if photo]
    if len(photos) > 1:
        abort(
            400,
            f"One photo at a time here, these are {len(photos)}; /predict/batch takes several, as `files`.",
        )
    if not photos:
        abort(400, "Send a photo: multipart field `file`, a raw image body, or JSON with base64 `image`.")
    return photos[0]


def many_photos() -> list[bytes]:
    """The photos of a multipart form, each a field `files`, in order."""
    photos = [_content(part) for part in _parts() if part.name == "files"] if request.mimetype == FORM else []
    if not photos:
        abort(400, "Send the photos as multipart form data, each as a field `files`.")
    if len(photos) > BATCH_PHOTOS:
        abort(413, f"At most {BATCH_PHOTOS} photos in one request, these are {len(photos)}.")
    return photos


def _parts() -> list[MultipartPart]:
    """The parts of a multipart form; its size is limited by the request's stream already."""
    try:
        parser = MultipartParser(
            request.stream,
            request.mimetype_params.get("boundary", ""),
            part_limit=BATCH_PHOTOS + 16,
            spool_limit=sys.maxsize,
            memory_limit=sys.maxsize,
            buffer_size=READ_BYTES,
        )
        with _readable():
            return list(parser)
    except ParserLimitReached:
        abort(413, f"The form has too many parts; at most {BATCH_PHOTOS} photos in one request.")
    except (MultipartError, ValueError) as error:
        abort(400, f"The form cannot be read: {error}")


def _of_part(part: MultipartPart) -> bytes:
    """The photo in a part: the file, or for an `image` that is none its base64 text."""
    content = _content(part)
    is_text = part.name == "image" and not part.filename
    return _from_base64(content.decode("ascii", "replace")) if is_text else content


def _content(part: MultipartPart) -> bytes:
    """A part's bytes, all of which are in memory here; `part.raw` would copy them."""
    assert isinstance(part.file, BytesIO)
    return part.file.getvalue()


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Let a body that lies about itself be the client's fault."""
    try:
        yield
    except (HTTPException, MultipartError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - each web server raises its own when it reads a body; JSON: RecursionError
        abort(400, "The request's body is cut off, or not what its headers say.")


def _from_base64(text: object) -> bytes:
    """The bytes of a base64 text, with or without a `data:` prefix."""
    if not isinstance(text, str):
        abort(400, "`image` has to be a base64 text.")
    try:
        return base64.b64decode(text.partition(";base64,")[2] or text, validate=True)
    except (binascii.Error, ValueError):
        abort(400, "`image` is not valid base64.")
