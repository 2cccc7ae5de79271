"""Labelled photos in memory, and folds that keep groups of photos apart.

    photos = load(Path("clothing"))          # clothing/train/<sub>/*.jpg, clothing/labels.csv if there
    learn, held_out = photos.fold(0, of=5)   # no sender is in both

A data folder holds `train/<sub-category>/<photo>` (or the sub-category folders directly), may hold
`labels.csv` and `votes.csv`, and may hold `taxonomy.json`. Or it holds photos in any order and a table that says
everything about them (see `labels`).
Every photo is decoded once, at 256 × 256, so an epoch reads nothing from disk.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import reduce
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from PIL import Image
from tqdm import tqdm

from model.serving.classes import Classes, DataError
from model.serving.preprocess import INPUT_SIZE, PhotoError, read_photo
from model.training.folders import ClassFolder, class_folders, photo_files, taxonomy_of
from model.training.labels import (
    CLOTHING,
    Label,
    add_votes,
    colour_names,
    described_subs,
    described_table,
    garment,
    read_csv,
    read_described,
    read_labels,
)
from model.training.taxonomy import from_folders, main_of_label, read_taxonomy, same_name, sub_name

STORED_SIZE: Final = 256
"""Side at which photos are kept in memory: room for crops, and 0.2 MB a photo."""

MASK_SIZE: Final = 128
MAX_MEGAPIXELS: Final = 200.0

log = logging.getLogger(__name__)


@dataclass
class Photos:
    """Photos and what is known about them; every field but `classes` and `broken` has one entry a photo.

    sha256: the files' checksums. pixels: uint8 (N, 256, 256, 3), sRGB. The labels are indices into the head's class
    names, UNKNOWN where there is none. votes: float32 (N, colours), how people's votes for the colour are shared, zeros
    where there are none. agreed: bool, whether several people named the colour and all the same. clothing: 1, 0 or UNKNOWN.
    group, source, kind: what must stay together in a fold, where the photo is from, and what sort of photo it is.
    masks: uint8 (N, 128, 128), 255 where the item is; all 0 for a photo without one.
    """

    classes: Classes
    files: np.ndarray
    sha256: np.ndarray
    pixels: np.ndarray
    main: np.ndarray
    sub: np.ndarray
    background: np.ndarray
    colour: np.ndarray
    votes: np.ndarray
    agreed: np.ndarray
    clothing: np.ndarray
    group: np.ndarray
    source: np.ndarray
    kind: np.ndarray
    weight: np.ndarray
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
        """The labels of a head, or of `clothing`: int64 (N,), UNKNOWN where there is none."""
        labels: np.ndarray = getattr(self, head)
        return labels

    def groups(self) -> np.ndarray:
        """What must stay together in a fold: str (N,). A photo without a group stands for itself."""
        return np.where(self.group == "", self.files, self.group).astype(str)

    def strata(self) -> np.ndarray:
        """Whose shares are the same in every fold: the sub-categories, and no clothing, of every kind: int (N,)."""
        kinds, classes = np.unique(self.kind.astype(str), return_inverse=True)[1], len(self.classes.subs) + 2
        result: np.ndarray = kinds * classes + np.where(self.clothing == 0, classes - 2, self.sub)
        return result

    def fold(self, number: int, *, of: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Indices to learn from and to hold out: the groups of the two differ, the classes' shares do not.

        Raises DataError when there is no such fold.
        """
        folds = self.folds(of, seed=seed)
        if not 0 <= number < of:
            raise DataError(f"There is no fold {number} of {of}: they are counted from 0 to {of - 1}.")
        return folds[number]

    def folds(self, of: int, *, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
        """Every fold: each photo is held out once. Raises DataError where there are fewer groups than folds."""
        from sklearn.model_selection import StratifiedGroupKFold

        groups = len(np.unique(self.groups()))
        if of < 2 or groups < of:
            raise DataError(
                f"{len(self)} photos of {groups} senders cannot be divided into {of} folds: choose from 2 to {groups} "
                "folds (--folds), or add photos of other senders."
                if groups > 1
                else "All photos are from one sender: held-out photos have to be from others. Add photos of other "
                "senders, or leave the column `sender` empty where it does not matter."
            )
        strata, which, counts = np.unique(self.strata(), return_inverse=True, return_counts=True)
        # too few to have a share in every fold
        strata[counts < of] = strata.max() + 1
        folds = StratifiedGroupKFold(n_splits=of, shuffle=True, random_state=seed)
        # a class of few photos is named by `of_one_group`
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return list(folds.split(np.zeros(len(self)), strata[which], self.groups()))

    def of_one_group(self) -> dict[str, str]:
        """Sub-category → sender, where all its photos are from one: held out, none of them is learned from."""
        result = {}
        for index, name in enumerate(self.classes.subs):
            groups = np.unique(self.groups()[self.sub == index])
            if len(groups) == 1:
                result[name] = str(groups[0])
        return result

    def leave_out(self, sources: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Indices to learn from and to hold out: all photos of these sources. Raises DataError for an unknown one."""
        known = sorted(set(self.source.astype(str)) - {""})
        if unknown := [source for source in sources if source not in known]:
            raise DataError(
                f"No photo is from {', '.join(unknown)}; these sources are there: {', '.join(known) or 'none'}."
            )
        held_out = np.isin(self.source.astype(str), list(sources))
        if held_out.all():
            raise DataError("No photo is left to learn from: these are all the sources there are.")
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)


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
    """Read the photos of `root/<part>/<sub>/` (or `root/<sub>/`), or those that a table in `root` describes.

    `classes` fixes what is told apart (evaluation); without it the folders and the taxonomy say so.
    `masks` is an extraction of `python -m model.lab extract`, made of the same folder. `most` reads only so
    many, evenly spread. Files that cannot be read are listed in `broken` and in the log, and skipped. Raises
    DataError.
    """
    if classes is None:
        classes = classes_of([root], part=part)
    table = described_table(root)
    known = read_described(table, classes, kind=root.name) if table else _in_folders(root, part, classes)
    if not known:
        raise DataError(f"{table or root} names no photo.")
    return _read(root, known, classes, masks=masks, most=most, progress=progress)


def load_each(
    roots: Sequence[Path],
    *,
    part: str = "train",
    classes: Classes | None = None,
    masks: Sequence[Path] = (),
    most: int | None = None,
    progress: bool = True,
) -> list[Photos]:
    """The photos of several data folders; `masks` are extractions, one a folder or none.

    What is told apart is what any of them names. `most` counts for each folder.
    """
    if classes is None:
        classes = classes_of(roots, part=part)
    if masks and len(masks) != len(roots):
        raise DataError(
            f"{len(masks)} folders of masks are named for {len(roots)} data folders: name one for each."
        )
    extractions: Sequence[Path | None] = masks or [None] * len(roots)
    return [
        load(root, part=part, classes=classes, masks=extraction, most=most, progress=progress)
        for root, extraction in zip(roots, extractions, strict=True)
    ]


def load_all(
    roots: Sequence[Path],
    *,
    part: str = "train",
    classes: Classes | None = None,
    most: int | None = None,
    progress: bool = True,
) -> Photos:
    """The photos of several data folders, one after the other; `most` counts for each folder."""
    return reduce(Photos.joined, load_each(roots, part=part, classes=classes, most=most, progress=progress))


def classes_of(roots: Sequence[Path], *, part: str = "train") -> Classes:
    """What the folders and tables of data folders tell apart. Raises DataError, ClassesError."""
    names: dict[str, str] = {}
    mains: dict[str, str] = {}
    taxonomy, tables = read_taxonomy(), []
    for root in roots:
        if table := described_table(root):
            mains |= described_subs(table)
            found = list(mains)
            tables.append(table)
        else:
            folders = class_folders(root, part)
            _check_enough(root, folders)
            found = [each.sub for each in folders]
            tables += [path for path in (root / "labels.csv", root / "votes.csv") if path.is_file()]
        taxonomy = taxonomy_of(root, taxonomy)
        for name in found:
            if not any(same_name(name, other) for other in names):
                names[name] = name
    for sub, main in mains.items():
        if main not in ("", "?") and main_of_label(sub, taxonomy) is None:
            taxonomy = {**taxonomy, main: [*taxonomy.get(main, []), sub]}
    return replace(from_folders(names, taxonomy), colours=colour_names(tables))


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
    as `labels.csv`; a `votes.csv` beside the folder counts as for any data folder.
    """
    folder = folder.resolve()
    root, table, taxonomy = folder.parent, folder.parent / f"{folder.name}.csv", read_taxonomy()
    rows = {row["file"]: row for row in read_csv(table, ("file", "label"))} if table.is_file() else {}
    looks = _looks(root, labels, classes)
    known = {}
    for file in photo_files(folder):
        key = file.relative_to(root).as_posix()
        named = rows.get(key, {})
        what = garment(named.get("label", ""), classes, taxonomy)
        look = looks.get(key, Label(kind=root.name))
        known[key] = replace(
            look, main=what.main, sub=what.sub, clothing=what.clothing, group=named.get("sender") or ""
        )
    return _read(root, known, classes, masks=masks, most=None, progress=progress)


def beside(photos: Photos, more: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """Those of the photos at `more` that may be learned from when others are held out: none of a held-out sender."""
    kept = set(photos.group[held_out].astype(str)) - {""}
    result: np.ndarray = more[~np.isin(photos.group[more].astype(str), list(kept))]
    return result


def with_extra(
    photos: Photos,
    learn: np.ndarray,
    held_out: np.ndarray,
    folder: Path,
    masks: Path | None,
    labels: Path | None = None,
) -> tuple[np.ndarray, Photos]:
    """Add a folder of more photos to learn from (see `load_extra`), but none of a held-out sender."""
    joined = photos.joined(load_extra(folder, photos.classes, masks=masks, labels=labels))
    more = beside(joined, np.arange(len(photos), len(joined)), held_out)
    kept = np.concatenate([np.arange(len(photos)), more])
    return np.concatenate([learn, np.arange(len(photos), len(kept))]), joined.take(kept)


def serving_pixels(photos: Photos) -> np.ndarray:
    """Photos as the network is served them: uint8 (N, 224, 224, 3), reduced from the stored 256 × 256."""
    size = (INPUT_SIZE, INPUT_SIZE)
    if photos.pixels.shape[1] == INPUT_SIZE:
        return photos.pixels
    reduced = [np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BILINEAR)) for p in photos.pixels]
    return np.stack(reduced) if reduced else np.empty((0, *size, 3), np.uint8)


def fingerprint(photos: Photos) -> str:
    """A checksum of the photos and their labels: what a release was trained on."""
    digest = hashlib.sha256()
    for name in _PER_PHOTO:
        values = getattr(photos, name)
        digest.update(
            "\0".join(map(str, values)).encode() if values.ndim == 1 else np.ascontiguousarray(values).data
        )
    return digest.hexdigest()


def _in_folders(root: Path, part: str, classes: Classes) -> dict[str, Label]:
    """What folders named after classes, and the tables beside them, say of the photos in them."""
    looks = _looks(root, root / "labels.csv", classes)
    # where some photos have a weight, one that the table does not name was not looked at
    unseen = Label(kind=root.name, weight=0.0 if any(look.weight != 1 for look in looks.values()) else 1.0)
    known = {}
    for folder in class_folders(root, part):
        sub = _sub_index(sub_name(folder.sub), classes)
        main = classes.mains.index(classes.main_of[classes.subs[sub]])
        for file in photo_files(folder.path):
            key = file.relative_to(root).as_posix()
            look = looks.get(key, unseen)
            known[key] = replace(look, main=main, sub=sub, clothing=CLOTHING)
    if looks and known and not any(key in looks for key in known):
        raise DataError(
            f"labels.csv names no photo of the part {part}: its column `file` must hold paths below {root}, such as "
            f"{next(iter(known))}."
        )
    return known


def _looks(root: Path, labels: Path | None, classes: Classes) -> dict[str, Label]:
    """Backgrounds and colours, from a table of labels and from all votes, where there are such."""
    found = read_labels(labels, classes, kind=root.name) if labels and labels.is_file() else {}
    votes = root / "votes.csv"
    return add_votes(found, votes, classes, kind=root.name) if votes.is_file() else found


def _read(
    root: Path,
    known: dict[str, Label],
    classes: Classes,
    *,
    masks: Path | None,
    most: int | None,
    progress: bool,
) -> Photos:
    """Decode the photos of which something is known, and lay out what is."""
    listed = list(known)
    if most is not None and len(listed) > most:
        listed = [listed[i] for i in np.linspace(0, len(listed) - 1, most).astype(int)]
    pixels, checksums, reasons = _decode([root / key for key in listed], progress)
    broken = {file.relative_to(root).as_posix(): reason for file, reason in reasons.items()}
    keys = [key for key in listed if key not in broken]
    if not keys and listed:
        raise DataError(f"None of the {len(listed)} files in {root} can be read as a photo.")
    labels = [known[key] for key in keys]

    def column(name: str, kind: type) -> np.ndarray:
        return np.array([getattr(label, name) for label in labels], dtype=kind)

    return Photos(
        classes=classes,
        files=np.array(keys),
        sha256=checksums,
        pixels=pixels,
        **{name: column(name, np.int64) for name in ("main", "sub", "background", "colour", "clothing")},
        votes=np.array([label.shares(len(classes.colours)) for label in labels], np.float32).reshape(
            len(labels), len(classes.colours)
        ),
        agreed=column("agreed", bool),
        weight=column("weight", np.float64),
        **{name: column(name, object) for name in ("group", "source", "kind")},
        masks=_read_masks(masks, keys),
        broken=tuple(broken.items()),
    )


def _check_enough(root: Path, folders: Sequence[ClassFolder]) -> None:
    """Two classes at least, and two photos in each: one to learn from and one to be checked on."""
    if len(folders) < 2:
        raise DataError(f"{root} holds one class only ({folders[0].sub}): there is nothing to tell apart.")
    for each in folders:
        count = len(photo_files(each.path))
        if count == 0:
            raise DataError(
                f"The class {each.sub} is empty: put photos into {each.path}, or remove the folder."
            )
        if count == 1:
            raise DataError(
                f"The class {each.sub} has one photo: add some (20 are a beginning) to {each.path}."
            )


def _sub_index(folder: str, classes: Classes) -> int:
    for index, sub in enumerate(classes.subs):
        if same_name(sub, folder):
            return index
    raise DataError(f"The folder {folder} is none of the release's classes: {', '.join(classes.subs)}.")


def _decode(files: Sequence[Path], progress: bool) -> tuple[np.ndarray, np.ndarray, dict[Path, str]]:
    """Pixels and checksums of the files that can be read, in order, and the reasons of those that cannot."""
    pixels = np.empty((len(files), STORED_SIZE, STORED_SIZE, 3), np.uint8)
    checksums: list[str] = []
    broken: dict[Path, str] = {}
    with ThreadPoolExecutor() as pool:
        results = pool.map(_read_or_reason, files)
        bar = tqdm(results, total=len(files), desc="reading photos", disable=not progress, leave=False)
        for file, result in zip(files, bar, strict=True):
            if isinstance(result, str):
                broken[file] = result
                log.warning("%s is left out: %s", file, result)
            else:
                pixels[len(checksums)] = result[0]
                checksums.append(result[1])
    return pixels[: len(checksums)], np.array(checksums, dtype=str), broken


def _read_or_reason(file: Path) -> tuple[np.ndarray, str] | str:
    try:
        content = file.read_bytes()
        photo = read_photo(content, max_megapixels=MAX_MEGAPIXELS, size=STORED_SIZE)
        return photo, hashlib.sha256(content).hexdigest()
    except FileNotFoundError:
        return "There is no such file."
    except PhotoError as error:
        return str(error)


def _read_masks(folder: Path | None, keys: Sequence[str]) -> np.ndarray:
    """The items' masks from an extraction of the lab (`masks.csv`: key, file; `masks.npz`: key → uint8 (h, w))."""
    masks = np.zeros((len(keys), MASK_SIZE, MASK_SIZE), np.uint8)
    if folder is None:
        return masks
    if not (folder / "masks.csv").is_file():
        raise DataError(
            f"{folder} holds no masks.csv: `python -m model lab extract PHOTOS --out {folder}` makes it."
        )
    named = {row["file"]: row["key"] for row in read_csv(folder / "masks.csv", ("key", "file"))}
    try:
        with np.load(folder / "masks.npz", allow_pickle=False) as stored:
            for index, key in enumerate(keys):
                if key in named:
                    mask = Image.fromarray(stored[named[key]])
                    masks[index] = np.asarray(mask.resize((MASK_SIZE, MASK_SIZE), Image.Resampling.BOX))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(
            f"{folder / 'masks.npz'} cannot be read ({error}): extract the masks again."
        ) from error
    return masks
