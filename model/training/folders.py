"""Where a data folder keeps its photos: which folders stand for which class.

    for each in class_folders(Path("photos")):      # photos/train/0_pants, photos/train/1_shorts …
        each.sub, each.main, each.path

Photos lie in `<part>/<sub-category>/` (part: train, test or validation), in `raw/<main category>/<sub-category>/`, or in
`<sub-category>/` at the top. `taxonomy.json` beside these names the main categories, else `raw/`, else the built-in list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model.serving.classes import DataError
from model.training.taxonomy import main_of_label, read_taxonomy, same_name, sub_name

RAW: Final = "raw"
TESTS: Final = ("test", "validation")
"""Parts that are measured on, never learned from; where there are both, the first one is meant."""

PARTS: Final = ("train", *TESTS, RAW)


@dataclass(frozen=True)
class ClassFolder:
    """The photos of one class. main: its main category, where the folder above says so."""

    sub: str
    path: Path
    main: str | None = None


def class_folders(root: Path, part: str = "train") -> list[ClassFolder]:
    """The folders of classes in a part of a data folder. Raises DataError with what to do."""
    folder = _photo_folder(root, part)
    found = _below_mains(folder) if _is_by_main(root, folder) else _at_the_top(folder)
    _refuse_twins(found)
    return found


def classes_by_main(folder: Path) -> list[ClassFolder]:
    """The folders of classes in one that has a folder for each main category. Raises DataError with what to do."""
    found = _below_mains(folder)
    if not found:
        raise DataError(
            f"{folder} holds no folders: make one for each main category, and in it one for each sub-category."
        )
    _refuse_twins(found)
    return found


def test_part(root: Path) -> str | None:
    """The part of a data folder that is there to be measured on, if there is one."""
    return next((part for part in TESTS if (root / part).is_dir()), None)


def taxonomy_of(root: Path, before: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Main category → sub-categories: the folder's own `taxonomy.json`, or `before` and what its `raw/` says."""
    own = next(
        (path for path in (root / "taxonomy.json", _top(root) / "taxonomy.json") if path.is_file()), None
    )
    if own:
        return read_taxonomy(own)
    taxonomy = {main: list(subs) for main, subs in before.items()}
    for each in _named_by_raw(root):
        main = sub_name(each.main or each.sub)
        for subs in taxonomy.values():
            subs[:] = [sub for sub in subs if not same_name(sub, each.sub)]
        taxonomy.setdefault(main, []).append(sub_name(each.sub))
    return taxonomy


def photo_files(folder: Path) -> list[Path]:
    """The files in a folder and in those below it, but for hidden ones."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _named_by_raw(root: Path) -> list[ClassFolder]:
    """The classes whose main category a folder above them names, here or in `raw/`."""
    for folder in (_top(root) / RAW, root, *(root / part for part in PARTS)):
        if folder.is_dir() and _is_by_main(root, folder):
            found = _below_mains(folder)
            _refuse_twins(found)
            return found
    return []


def _refuse_twins(found: Sequence[ClassFolder]) -> None:
    """Raise DataError for a class that has two folders."""
    for i, one in enumerate(found):
        for other in found[:i]:
            if same_name(one.sub, other.sub):
                raise DataError(
                    f"The class {sub_name(one.sub)} has two folders, {other.path} and {one.path}: it belongs to one main "
                    "category. Put them together, or give one another name."
                )


def _top(root: Path) -> Path:
    """The data folder that a part was named of: `photos` for `photos/train`."""
    return root.parent if root.name in PARTS else root


def _photo_folder(root: Path, part: str) -> Path:
    if (root / part).is_dir():
        return root / part
    if part == "train" and (root / RAW).is_dir():
        return root / RAW
    if not root.is_dir():
        raise DataError(f"There is no folder {root}: put the photos into {root}/train/<sub-category>/.")
    if there := [name for name in PARTS if (root / name).is_dir()]:
        raise DataError(f"{root} has no part {part}; these are there: {', '.join(there)}.")
    return root


def _is_by_main(root: Path, folder: Path) -> bool:
    """Whether the folders in `folder` are main categories, with a folder for each sub-category in them.

    They are in `raw/`. Elsewhere folders in a class may be senders or orders: only where no folder's name is known as a
    class, and none holds a photo of its own, is it a main category.
    """
    firsts = _folders_in(folder)
    deep = [first for first in firsts if _folders_in(first)]
    if folder.name == RAW:
        return bool(deep)
    own = root / "taxonomy.json"
    taxonomy = read_taxonomy(own) if own.is_file() else read_taxonomy()
    known = any(first.name in PARTS or main_of_label(first.name, taxonomy) for first in firsts)
    bare = not any(
        path.is_file() and not path.name.startswith(".") for first in firsts for path in first.iterdir()
    )
    return bool(firsts) and deep == firsts and bare and not known


def _at_the_top(folder: Path) -> list[ClassFolder]:
    found = [ClassFolder(path.name, path) for path in _folders_in(folder)]
    if not found:
        raise DataError(
            f"{folder} holds no folders: make one for each sub-category, such as {folder}/shirt/."
        )
    return found


def _below_mains(folder: Path) -> list[ClassFolder]:
    """A main category without folders of its own is its only sub-category."""
    found = []
    for main in _folders_in(folder):
        subs = _folders_in(main)
        loose = [path for path in main.iterdir() if path.is_file() and not path.name.startswith(".")]
        if subs and loose:
            raise DataError(
                f"{main} holds photos ({loose[0].name} …) beside the folders of its sub-categories: put them into one of "
                "these."
            )
        found += [ClassFolder(sub.name, sub, main.name) for sub in subs or [main]]
    return found


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
