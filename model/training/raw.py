"""What a folder of raw photos holds, in whichever of three forms: which photo is what.

    for each in raw_photos(Path("raw")):
        each.path, each.sub, each.main, each.colour

Photos lie in `<main category>/<sub-category>/`; or a CSV names them (`file,label`, and perhaps
`main,background,colour,group`); or it is a shop's catalogue: `styles.csv` (`id,masterCategory,articleType`, and perhaps
`baseColour`) and `images/<id>.jpg`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from model.serving.classes import COLOURS, DataError
from model.training.folders import RAW, classes_by_main, photo_files
from model.training.labels import columns_of, read_csv
from model.training.taxonomy import main_of_label, read_taxonomy, same_name

CATALOGUE: Final = "styles.csv"
CATALOGUE_COLUMNS: Final = ("id", "masterCategory", "articleType")
FLAT_COLUMNS: Final = ("file", "label")

UNKNOWN: Final = "?"

SHOP_COLOURS: Final = {
    "burgundy": "red", "charcoal": "grey", "coffee": "brown", "copper": "brown", "cream": "beige", "gold": "yellow",
    "khaki": "green", "lavender": "purple", "magenta": "pink", "maroon": "red", "mauve": "purple", "melange": "grey",
    "mustard": "yellow", "navy": "blue", "nude": "beige", "olive": "green", "peach": "orange", "rose": "pink",
    "rust": "brown", "silver": "grey", "skin": "beige", "steel": "grey", "tan": "brown", "taupe": "brown",
    "teal": "green", "turquoise": "blue",
}  # fmt: skip
"""Words of shops that name none of COLOURS, and which of them is meant."""


@dataclass(frozen=True)
class RawPhoto:
    """One photo and what is known of it. group: what must not be divided; nothing where it stands for itself."""

    path: Path
    key: str
    """The path as it is named to people: relative to the raw folder."""
    main: str
    sub: str
    background: str = UNKNOWN
    colour: str = UNKNOWN
    group: str = ""


def raw_photos(raw: Path) -> list[RawPhoto]:
    """All photos of a raw folder, or of a CSV, in the order of their names. Raises DataError with what to do."""
    found = sorted(_found(raw), key=lambda photo: photo.key)
    if not found:
        raise DataError(f"{raw} names no photo.")
    return _with_one_main_each(found)


def shop_colour(word: str) -> str:
    """The colour that a shop's word means; `?` where none is known.

    >>> [shop_colour(word) for word in ("Navy Blue", "Off White", "Grey Melange", "Maroon", "NA")]
    ['blue', 'white', 'grey', 'red', '?']
    """
    words = re.findall(r"[a-z]+", word.lower().replace("gray", "grey"))
    named = [word for word in words if word in COLOURS]
    meant = [SHOP_COLOURS[word] for word in words if word in SHOP_COLOURS]
    return next(iter([*named[-1:], *meant]), UNKNOWN)


def _found(raw: Path) -> Iterator[RawPhoto]:
    if raw.is_file():
        return _in_table(raw)
    if not raw.is_dir():
        raise DataError(f"There is no {raw}: name a folder of photos, or a CSV that names them.")
    if (raw / CATALOGUE).is_file():
        return _in_catalogue(raw / CATALOGUE)
    tables = [path for path in sorted(raw.glob("*.csv")) if set(FLAT_COLUMNS) <= set(columns_of(path))]
    if len(tables) > 1:
        raise DataError(
            f"{raw} holds two tables of photos, {tables[0].name} and {tables[1].name}: name the one that is meant."
        )
    return _in_table(tables[0]) if tables else _in_folders(raw / RAW if (raw / RAW).is_dir() else raw)


def _in_folders(raw: Path) -> Iterator[RawPhoto]:
    taxonomy = read_taxonomy()
    for folder in classes_by_main(raw):
        main = folder.main if folder.main != folder.sub else main_of_label(folder.sub, taxonomy)
        for path in photo_files(folder.path):
            yield RawPhoto(path, path.relative_to(raw).as_posix(), main or folder.sub, folder.sub)


def _in_table(table: Path) -> Iterator[RawPhoto]:
    taxonomy = read_taxonomy()
    for row in read_csv(table, FLAT_COLUMNS):
        label = row["label"].strip()
        if not label or label == UNKNOWN:
            continue
        yield RawPhoto(
            table.parent / row["file"],
            row["file"],
            row.get("main", "").strip() or main_of_label(label, taxonomy) or label,
            label,
            row.get("background", "").strip() or UNKNOWN,
            row.get("colour", "").strip() or UNKNOWN,
            row.get("group") or row.get("sender") or "",
        )


def _in_catalogue(table: Path) -> Iterator[RawPhoto]:
    folder = table.parent / "images" if (table.parent / "images").is_dir() else table.parent
    for row in read_csv(table, CATALOGUE_COLUMNS):
        label = row["articleType"].strip()
        if not label:
            continue
        path = folder / f"{row['id'].strip()}.jpg"
        colour = shop_colour(row.get("baseColour", ""))
        yield RawPhoto(
            path,
            path.relative_to(table.parent).as_posix(),
            row["masterCategory"].strip() or label,
            label,
            colour=colour,
        )


def _with_one_main_each(photos: list[RawPhoto]) -> list[RawPhoto]:
    """The photos, each sub-category spelled in one way, if each is in one main category. Raises DataError."""
    spelled: dict[str, str] = {}
    main_of: dict[str, str] = {}
    result = []
    for photo in photos:
        if photo.sub not in spelled:
            spelled[photo.sub] = next((sub for sub in main_of if same_name(sub, photo.sub)), photo.sub)
        sub = spelled[photo.sub]
        main = main_of.setdefault(sub, photo.main)
        if main != photo.main:
            raise DataError(
                f"{sub} is in two main categories, {main} and {photo.main} ({photo.key}): it belongs to one. Give one of "
                "them another name."
            )
        result.append(replace(photo, sub=sub))
    return result


def taxonomy_of_photos(photos: Mapping[str, str]) -> dict[str, list[str]]:
    """Main category → its sub-categories, from the main category of each sub-category."""
    return {
        main: sorted(sub for sub, of in photos.items() if of == main) for main in sorted(set(photos.values()))
    }
