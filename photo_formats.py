"""Which format a photo is in, told by how its file begins: what the night and the model server both have to know.

Standard library only.
"""

BEGINNING = 32
"""So many bytes are enough to tell."""

RAW_EXTENSIONS = (".arw", ".cr2", ".cr3", ".nef", ".dng", ".raf", ".orf", ".rw2")
"""Camera RAW, which nobody here develops. Several begin like a TIFF, so only their names tell."""

HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
"""Major brands of HEIF (ISO/IEC 23008-12) that pillow_heif opens; those in `mif1` and `msf1` may hold AVIF."""

AVIF_BRANDS = (b"avif", b"avis")

_SIGNATURES = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    # in either byte order, as BigTIFF, and with the two bytes of 42 the wrong way round, which Pillow forgives
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0"),
}

_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
"""Sizes of the second header of a BMP, in bytes, that Pillow reads: `BM` alone begins many a text."""


def format_of(beginning: bytes) -> str:
    """The format of a file that begins like a supported photo, as Pillow calls it; `""` for any other.

    >>> format_of(b"\\xff\\xd8\\xff\\xe0")
    'JPEG'
    """
    for name, signatures in _SIGNATURES.items():
        if beginning.startswith(signatures):
            is_canon_raw = name == "TIFF" and beginning[8:10] == b"CR"
            return "" if is_canon_raw else name
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "WEBP"
    if beginning[:2] == b"BM" and int.from_bytes(beginning[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if beginning[4:8] == b"ftyp":
        return _format_in_box(beginning)
    return ""


def _format_in_box(beginning: bytes) -> str:
    """HEIF or AVIF by its `ftyp` box: size, `ftyp`, major brand, version, then the brands it is compatible with."""
    major = beginning[8:12]
    end = min(int.from_bytes(beginning[:4], "big"), BEGINNING)
    compatible = [beginning[place : place + 4] for place in range(16, end, 4)]
    if major in AVIF_BRANDS or (major in (b"mif1", b"msf1") and set(compatible) & set(AVIF_BRANDS)):
        return "AVIF"
    return "HEIF" if major in HEIF_BRANDS else ""
