"""Labelled photos in memory, and folds that keep senders apart.

    photos = load(Path("clothing"))          # clothing/train/<sub>/*.jpg, clothing/labels.csv if there
    learn, held_out = photos.fold(0, of=5)   # no sender is in both

A data folder holds `train/<sub-category>/<photo>` (or the sub-category folders directly), may hold
`labels.csv` with the columns `file,background,colour` (and `sender`), and may hold `taxonomy.json`.
Every photo is decoded once, at 256 × 256, so an epoch reads nothing from disk.
"""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from tqdm import tqdm

from model.classes import COLOURS, Classes, DataError, from_folders, main_of_label, read_taxonomy, same_name
from model.preprocess import PhotoError, read_photo

STORED_SIZE: Final = 256
"""Side at which photos are kept in memory: room for crops, and 0.2 MB a photo."""

MASK_SIZE: Final = 128
MAX_MEGAPIXELS: Final = 200.0
UNKNOWN: Final = -1
"""The label of a photo that does not count for a head."""

log = logging.getLogger(__name__)


@dataclass
class Photos:
    """Photos and what is known about them; every field but `classes` and `broken` has one entry a photo.

    pixels: uint8 (N, 256, 256, 3), sRGB. The labels are indices into the head's class names, UNKNOWN
    where there is none. masks: uint8 (N, 128, 128), 255 where the item is; all 0 for a photo without one.
    """

    classes: Classes
    files: np.ndarray
    pixels: np.ndarray
    main: np.ndarray
    sub: np.ndarray
    background: np.ndarray
    colour: np.ndarray
    sender: np.ndarray
    masks: np.ndarray
    broken: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def take(self, which: np.ndarray) -> Photos:
        """The photos at these indices (or where this mask is true)."""
        kept: dict[str, Any] = {name: getattr(self, name)[which] for name in _PER_PHOTO}
        return replace(self, **kept)

    def joined(self, other: Photos) -> Photos:
        """These photos followed by the other's, which must have the same classes."""
        both: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _PER_PHOTO
        }
        return replace(self, **both, broken=self.broken + other.broken)

    def labels(self, head: str) -> np.ndarray:
        """The labels of a head: int64 (N,), UNKNOWN where there is none."""
        labels: np.ndarray = getattr(self, head)
        return labels

    def fold(self, number: int, *, of: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Indices to learn from and to hold out: the senders of the two differ, the classes' shares do not.

        Without senders every photo stands for itself.
        """
        from sklearn.model_selection import StratifiedGroupKFold

        groups = np.where(self.sender == "", self.files, self.sender)
        folds = StratifiedGroupKFold(n_splits=of, shuffle=True, random_state=seed)
        learn, held_out = list(folds.split(np.zeros(len(self)), self.sub, groups))[number]
        return learn, held_out


_PER_PHOTO = tuple(f.name for f in fields(Photos) if f.name not in ("classes", "broken"))


def load(
    root: Path,
    *,
    part: str = "train",
    classes: Classes | None = None,
    masks: Path | None = None,
    most: int | None = None,
    progress: bool = True,
) -> Photos:
    """Read the photos of `root/<part>/<sub>/` (or `root/<sub>/`) with their labels.

    `classes` fixes what is told apart (evaluation); without it the folders and the taxonomy say so.
    `masks` is an extraction of `python -m model.lab extract`, made of the same folder. `most` reads only so
    many, evenly spread. Files that cannot be read are listed in `broken` and in the log, and skipped. Raises
    DataError.
    """
    folder = root / part if (root / part).is_dir() else root
    names = _class_folders(folder)
    if classes is None:
        own = root / "taxonomy.json"
        classes = from_folders(names, read_taxonomy(own) if own.is_file() else read_taxonomy())
        _check_enough(folder, names)
    listed = [
        (file, sub) for name in names for sub in [_sub_index(name, classes)] for file in _files(folder / name)
    ]
    if most is not None and len(listed) > most:
        listed = [listed[i] for i in np.linspace(0, len(listed) - 1, most).astype(int)]
    rows = _read_labels(root / "labels.csv", classes) if (root / "labels.csv").is_file() else {}
    pixels, broken = _decode([file for file, _ in listed], progress)
    kept = [(file, sub) for file, sub in listed if file not in broken]
    keys = [file.relative_to(root).as_posix() for file, _ in kept]
    if not keys:
        raise DataError(f"None of the {len(listed)} files in {folder} can be read as a photo.")
    if rows and not any(key in rows for key in keys):
        raise DataError(
            f"labels.csv names no photo of {folder}: its column `file` must hold paths below {root}, such as {keys[0]}."
        )
    subs = np.array([sub for _, sub in kept], dtype=np.int64)
    mains = np.array(
        [classes.mains.index(classes.main_of[classes.subs[sub]]) for sub in subs], dtype=np.int64
    )
    found = [rows.get(key, _UNLABELLED) for key in keys]
    return Photos(
        classes=classes,
        files=np.array(keys),
        pixels=pixels,
        main=mains,
        sub=subs,
        background=np.array([row.background for row in found], dtype=np.int64),
        colour=np.array([row.colour for row in found], dtype=np.int64),
        sender=np.array([row.sender for row in found], dtype=object),
        masks=_read_masks(masks, keys),
        broken=tuple((file.relative_to(root).as_posix(), reason) for file, reason in broken.items()),
    )


def load_extra(
    folder: Path,
    classes: Classes,
    *,
    masks: Path | None = None,
    labels: Path | None = None,
    progress: bool = True,
) -> Photos:
    """Read more photos, labelled loosely or not at all, to learn from beside the others.

    `<folder>.csv`, if there, has the columns `file,label,sender`. A label that is one of the classes counts
    as such; one that the taxonomy knows (a polo is upperwear) counts for the main category; any other
    leaves the photo unlabelled, which still serves distillation. `labels` is a table of backgrounds and colours,
    as `labels.csv`.
    """
    files = _files(folder)
    pixels, broken = _decode(files, progress)
    files = [file for file in files if file not in broken]
    keys = [file.relative_to(folder.parent).as_posix() for file in files]
    table = folder.with_suffix(".csv")
    rows = {row["file"]: row for row in _read_csv(table, ("file", "label"))} if table.is_file() else {}
    named = [rows.get(key, {}).get("label", "") for key in keys]
    seen = _read_labels(labels, classes) if labels else {}
    looks = [seen.get(key, _UNLABELLED) for key in keys]
    taxonomy = read_taxonomy()
    subs = [
        next((i for i, sub in enumerate(classes.subs) if same_name(sub, label)), UNKNOWN) for label in named
    ]
    mains = [
        classes.mains.index(classes.main_of[classes.subs[sub]])
        if sub != UNKNOWN
        else _index(classes.mains, main_of_label(label, taxonomy))
        for sub, label in zip(subs, named, strict=True)
    ]
    return Photos(
        classes=classes,
        files=np.array(keys),
        pixels=pixels,
        main=np.array(mains, dtype=np.int64),
        sub=np.array(subs, dtype=np.int64),
        background=np.array([look.background for look in looks], dtype=np.int64),
        colour=np.array([look.colour for look in looks], dtype=np.int64),
        sender=np.array([rows.get(key, {}).get("sender", "") or "" for key in keys], dtype=object),
        masks=_read_masks(masks, keys),
        broken=tuple((file.name, reason) for file, reason in broken.items()),
    )


def with_extra(
    photos: Photos,
    learn: np.ndarray,
    held_out: np.ndarray,
    folder: Path,
    masks: Path | None,
    labels: Path | None = None,
) -> tuple[np.ndarray, Photos]:
    """Add a folder of more photos to learn from (see `load_extra`), but none of a held-out sender."""
    extra = load_extra(folder, photos.classes, masks=masks, labels=labels)
    kept = set(photos.sender[held_out].astype(str)) - {""}
    extra = extra.take(~np.isin(extra.sender.astype(str), list(kept)))
    more = np.arange(len(photos), len(photos) + len(extra))
    return np.concatenate([learn, more]), photos.joined(extra)


def fingerprint(photos: Photos) -> str:
    """A checksum of the photos and their labels: what a release was trained on."""
    digest = hashlib.sha256()
    for name in _PER_PHOTO:
        values = getattr(photos, name)
        digest.update(
            "\0".join(map(str, values)).encode() if values.ndim == 1 else np.ascontiguousarray(values).data
        )
    return digest.hexdigest()


def _class_folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}: put the photos into {folder}/<sub-category>/.")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise DataError(
            f"{folder} holds no folders: make one for each sub-category, such as {folder}/shirt/."
        )
    return names


def _check_enough(folder: Path, names: Sequence[str]) -> None:
    """Two classes at least, and two photos in each: one to learn from and one to be checked on."""
    if len(names) < 2:
        raise DataError(f"{folder} holds one class only ({names[0]}): there is nothing to tell apart.")
    for name in names:
        count = len(_files(folder / name))
        if count == 0:
            raise DataError(
                f"The class {name} is empty: put photos into {folder / name}, or remove the folder."
            )
        if count == 1:
            raise DataError(
                f"The class {name} has one photo: add some (20 are a beginning) to {folder / name}."
            )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _sub_index(folder: str, classes: Classes) -> int:
    for index, sub in enumerate(classes.subs):
        if same_name(sub, folder):
            return index
    raise DataError(f"The folder {folder} is none of the release's classes: {', '.join(classes.subs)}.")


def _index(names: Sequence[str], name: str | None) -> int:
    return names.index(name) if name in names else UNKNOWN


def _decode(files: Sequence[Path], progress: bool) -> tuple[np.ndarray, dict[Path, str]]:
    """Pixels of the files that can be read, in order, and the reasons of those that cannot."""
    pixels = np.empty((len(files), STORED_SIZE, STORED_SIZE, 3), np.uint8)
    broken: dict[Path, str] = {}
    with ThreadPoolExecutor() as pool:
        results = pool.map(_read_or_reason, files)
        bar = tqdm(results, total=len(files), desc="reading photos", disable=not progress, leave=False)
        for index, result in enumerate(bar):
            if isinstance(result, str):
                broken[files[index]] = result
                log.warning("%s is left out: %s", files[index], result)
            else:
                pixels[index - len(broken)] = result
    return pixels[: len(files) - len(broken)], broken


def _read_or_reason(file: Path) -> np.ndarray | str:
    try:
        return read_photo(file.read_bytes(), max_megapixels=MAX_MEGAPIXELS, size=STORED_SIZE)
    except PhotoError as error:
        return str(error)


@dataclass(frozen=True)
class _Row:
    background: int
    colour: int
    sender: str


_UNLABELLED: Final = _Row(UNKNOWN, UNKNOWN, "")


def _read_labels(path: Path, classes: Classes) -> dict[str, _Row]:
    """`file` → its labels. Raises DataError for columns or values that mean nothing."""
    rows = {}
    for line, row in enumerate(_read_csv(path, ("file", "background", "colour")), start=2):
        background, colour = row["background"].strip(), row["colour"].strip()
        if background not in ("1", "0", "?", ""):
            raise DataError(
                f"{path.name}, line {line}: background is {background!r}; 1, 0, ? or nothing are meant."
            )
        if colour not in (*classes.colours, "?", ""):
            raise DataError(
                f"{path.name}, line {line}: the colour {colour!r} is unknown; these are known: {', '.join(COLOURS)}."
            )
        rows[row["file"]] = _Row(
            background={"1": 0, "0": 1}.get(background, UNKNOWN),
            colour=_index(classes.colours, colour),
            sender=row.get("sender") or "",
        )
    return rows


def _read_csv(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if missing := [column for column in columns if column not in (reader.fieldnames or [])]:
            raise DataError(
                f"{path.name} lacks the column {', '.join(missing)}: its first line must name "
                f"{','.join(columns)} (it names {','.join(reader.fieldnames or ['nothing'])})."
            )
        return list(reader)


def _read_masks(folder: Path | None, keys: Sequence[str]) -> np.ndarray:
    """The items' masks from an extraction of the lab (`masks.csv`: key, file; `masks.npz`: key → uint8 (h, w))."""
    masks = np.zeros((len(keys), MASK_SIZE, MASK_SIZE), np.uint8)
    if folder is None:
        return masks
    if not (folder / "masks.csv").is_file():
        raise DataError(
            f"{folder} holds no masks.csv: `python -m model.lab extract PHOTOS --out {folder}` makes it."
        )
    named = {row["file"]: row["key"] for row in _read_csv(folder / "masks.csv", ("key", "file"))}
    with np.load(folder / "masks.npz", allow_pickle=False) as stored:
        for index, key in enumerate(keys):
            if key in named:
                mask = Image.fromarray(stored[named[key]])
                masks[index] = np.asarray(mask.resize((MASK_SIZE, MASK_SIZE), Image.Resampling.BOX))
    return masks
