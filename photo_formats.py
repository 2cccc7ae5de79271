"""Which format a photo is in, told by how its file begins: what the night and the model server both have to know.

Standard library only.
"""

BEGINNING = 256
"""So many bytes are enough to tell."""

RAW_EXTENSIONS = (".arw", ".cr2", ".cr3", ".nef", ".dng", ".raf", ".orf", ".rw2")
"""Camera RAW, which nobody here develops. Several begin like a TIFF, so only their names tell."""

HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
AVIF_BRANDS = (b"avif", b"avis")
EITHER_BRANDS = (b"mif1", b"msf1", b"miaf")
"""Major brands (ISO/IEC 23008-12; AV1 Image File Format) that are read; of `EITHER_BRANDS` the others in it decide."""

_SIGNATURES = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    # in either byte order, as BigTIFF, and with the two bytes of 42 the wrong way round, which Pillow forgives
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0"),
}

_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
"""Sizes of the second header of a BMP, in bytes, by version: `BM` alone begins many a text."""

_CANON_RAW = b"CR\x02\0"
"""What makes a TIFF a CR2, at byte 8: its first picture is a small preview."""


def format_of(beginning: bytes) -> str:
    """The format of a file that begins like a supported photo, as Pillow calls it; `""` for any other.

    >>> format_of(b"\\xff\\xd8\\xff\\xe0")
    'JPEG'
    """
    for name, signatures in _SIGNATURES.items():
        if beginning.startswith(signatures):
            return "" if name == "TIFF" and beginning[8:12] == _CANON_RAW else name
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "WEBP"
    if _is_bmp(beginning):
        return "BMP"
    return _format_in_box(beginning) if beginning[4:8] == b"ftyp" else ""


def _is_bmp(beginning: bytes) -> bool:
    is_cut_off = len(beginning) < 18
    return beginning[:2] == b"BM" and (
        is_cut_off or int.from_bytes(beginning[14:18], "little") in _BMP_HEADERS
    )


def _format_in_box(beginning: bytes) -> str:
    """HEIF or AVIF by its `ftyp` box: size, `ftyp`, major brand, version, then the brands it is compatible with."""
    major = beginning[8:12]
    end = min(int.from_bytes(beginning[:4], "big"), BEGINNING)
    compatible = {beginning[place : place + 4] for place in range(16, end, 4)}
    if major in EITHER_BRANDS:
        return "AVIF" if compatible & set(AVIF_BRANDS) else "HEIF"
    return "AVIF" if major in AVIF_BRANDS else "HEIF" if major in HEIF_BRANDS else ""
