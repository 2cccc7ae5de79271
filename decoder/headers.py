"""What a file claims to be, and the words for what is no photo that is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from decoder import bmp, boxes, gif, jpeg, png, profiles, tiff, webp
from decoder.claims import Claims, Wanted
from decoder.errors import PhotoError
from photo_formats import format_of

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
"""The formats that are read, as Pillow names them, and the only decoders that are ever opened."""

SUPPORTED: Final = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF"


def look(data: bytes, wanted: Wanted) -> Claims:
    """What a file claims to be. Nothing of its picture is decoded, and what is looked at is limited.

    Raises PhotoError for a file that is no photo we read (`unsupported`), or a broken or cut-off one (`unreadable`).
    """
    kind = format_of(data)
    if not kind:
        raise _not_recognised(data)
    if kind == "JPEG":
        claims = jpeg.look(data, wanted)
    elif kind in ("HEIF", "AVIF"):
        claims = boxes.look(data, kind)
    else:
        claims = {"PNG": png, "WEBP": webp, "GIF": gif, "BMP": bmp, "TIFF": tiff}[kind].look(data)
    if not claims.apart and not profiles.is_simple(claims.info.get("icc_profile", b"")):
        return replace(claims, apart=True, memory=claims.memory + profiles.TABLES_BYTES)
    return claims


_EXPORT = "export the photo as JPEG and send that"
_SAVE = "save the photo as JPEG or PNG and send that"

# where, what stands there, what that is, what to do about it (nothing: it is no photo at all)
_OTHERS: tuple[tuple[int, bytes, str, str], ...] = (
    (8, b"CR\x02\0", "Camera RAW (Canon CR2)", _EXPORT),
    (4, b"ftypcrx ", "Camera RAW (Canon CR3)", _EXPORT),
    (0, b"II\x1a\0\0\0HEAPCCDR", "Camera RAW (Canon CRW)", _EXPORT),
    (0, b"FUJIFILMCCD-RAW", "Camera RAW (Fujifilm RAF)", _EXPORT),
    (0, b"IIRO", "Camera RAW (Olympus ORF)", _EXPORT),
    (0, b"IIRS", "Camera RAW (Olympus ORF)", _EXPORT),
    (0, b"MMOR", "Camera RAW (Olympus ORF)", _EXPORT),
    (0, b"IIU\0", "Camera RAW (Panasonic RW2)", _EXPORT),
    (0, b"FOVb", "Camera RAW (Sigma X3F)", _EXPORT),
    (0, b"\0MRM", "Camera RAW (Minolta MRW)", _EXPORT),
    (0, b"\xff\x0a", "JPEG XL", _SAVE),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", _SAVE),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", _SAVE),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000", _SAVE),
    (0, b"II\xbc\x01", "JPEG XR", _SAVE),
    (0, b"8BPS", "Photoshop (PSD)", _SAVE),
    (0, b"gimp xcf", "GIMP (XCF)", _SAVE),
    (0, b"v/1\x01", "OpenEXR", _SAVE),
    (0, b"#?RADIANCE", "Radiance HDR", _SAVE),
    (0, b"\0\0\1\0", "A Windows icon", _SAVE),
    (0, b"%PDF", "PDF", ""),
    (0, b"%!PS", "PostScript", ""),
    (0, b"PK\x03\x04", "ZIP or office document", ""),
    (0, b"\x1a\x45\xdf\xa3", "video (Matroska or WebM)", ""),
    (0, b"\0\0\x01\xba", "video (MPEG)", ""),
    (0, b"\0\0\x01\xb3", "video (MPEG)", ""),
    (0, b"FLV\x01", "video (Flash)", ""),
    (0, b"0&\xb2u\x8ef\xcf\x11", "video (Windows Media)", ""),
    (8, b"AVI ", "video (AVI)", ""),
    (4, b"ftyp", "video (MP4 or QuickTime)", ""),
    (4, b"moov", "video (QuickTime)", ""),
    (4, b"mdat", "video (QuickTime)", ""),
)  # fmt: skip


def _not_recognised(data: bytes) -> PhotoError:
    """The error for bytes that no decoder takes."""
    if not data:
        return PhotoError("unreadable", "The file is empty.")
    for at, signature, what, advice in _OTHERS:
        if data.startswith(signature, at):
            if advice:
                return PhotoError("unsupported", f"{what} is not supported; {advice}.")
            return PhotoError("unsupported", f"Not a photo but {what}. Supported: {SUPPORTED}.")
    beginning = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if beginning.startswith(b"<svg") or (
        beginning.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in beginning
    ):
        return PhotoError("unsupported", f"An SVG drawing is not supported; {_SAVE}.")
    return PhotoError("unsupported", f"Not a readable photo. Supported: {SUPPORTED}.")
