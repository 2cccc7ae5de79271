"""Photos on disk: finding them and reading them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from model.lab import LabError
from model.serving.preprocess import PhotoError, read_photo

if TYPE_CHECKING:
    from model.lab.photos.arrays import Pixels

SIDE: Final = 512
"""Side of the square that the lab sees, in pixels: the whole frame, squashed."""

MAX_MEGAPIXELS: Final = 100.0

SUFFIXES: Final = frozenset(f".{kind}" for kind in (
    "jpg", "jpeg", "jpe", "mpo", "png", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "avif",
))  # fmt: skip


def find_photos(folder: Path) -> list[str]:
    """Return the photos below `folder` as sorted paths relative to it, with `/`; hidden files are left out.

    Raises LabError when there is no such folder or no photo in it.
    """
    if not folder.is_dir():
        raise LabError(f"There is no folder {folder}: give the folder that holds the photos.")
    found = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    if not found:
        raise LabError(f"There is no photo below {folder} (looked for {', '.join(sorted(SUFFIXES))}).")
    return found


def open_photo(path: Path, side: int = SIDE) -> Pixels:
    """Return the whole frame as sRGB, uint8, (side, side, 3).

    Raises PhotoError when the file is no readable photo, OSError when it cannot be opened.
    """
    return read_photo(path.read_bytes(), max_megapixels=MAX_MEGAPIXELS, size=side)


def refusal(error: Exception) -> str:
    """Return one sentence why a photo could not be used."""
    return str(error) if isinstance(error, PhotoError) else f"The file cannot be opened ({error})."
