"""Classes from the training folders and a taxonomy file: main category → the sub-categories in it, never from code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from model.serving.classes import Classes, ClassesError

TAXONOMY: Final = Path(__file__).with_name("taxonomy.json")
"""The taxonomy used when the data folder brings none: common garments."""


def from_folders(folders: Iterable[str], taxonomy: Mapping[str, Iterable[str]]) -> Classes:
    """The classes of training folders such as `dress` or `0_pants`, with the taxonomy's mains.

    Raises ClassesError when a folder is in no main category, naming the ones that are not.
    """
    subs = tuple(sub_name(folder) for folder in sorted(folders, key=_folder_order))
    main_by_sub = {_plain(sub): main for main, members in taxonomy.items() for sub in members}
    if unknown := [sub for sub in subs if _plain(sub) not in main_by_sub]:
        example = json.dumps({"a main category": unknown}, ensure_ascii=False)
        raise ClassesError(
            f"The taxonomy names no main category for: {', '.join(unknown)}. Write a taxonomy.json beside the "
            f"photos' folders, such as {example}; or put each folder into one named after its main category "
            f"(raw/<main category>/{unknown[0]}); or rename a misspelt folder."
        )
    main_of = {sub: main_by_sub[_plain(sub)] for sub in subs}
    return Classes(mains=tuple(sorted(set(main_of.values()))), subs=subs, main_of=main_of)


def read_taxonomy(path: Path = TAXONOMY) -> dict[str, list[str]]:
    """Main category → sub-categories, from a JSON file. Raises ClassesError with what to write instead."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ClassesError(f"The taxonomy {path} cannot be read: {error}.") from error
    if not isinstance(content, dict) or not all(
        isinstance(subs, list) and all(isinstance(sub, str) for sub in subs) for subs in content.values()
    ):
        raise ClassesError(
            f"The taxonomy {path} must map each main category to a list of sub-categories, such as "
            '{"upperwear": ["shirt", "jacket"], "footwear": ["heels"]}.'
        )
    members = [_plain(sub) for subs in content.values() for sub in subs]
    if twice := sorted({sub for sub in members if members.count(sub) > 1}):
        raise ClassesError(f"The taxonomy {path} puts these into two main categories: {', '.join(twice)}.")
    return content


def sub_name(folder: str) -> str:
    """The class a folder stands for: its name without an ordering number.

    >>> sub_name("3_sneakers")
    'sneakers'
    """
    return re.sub(r"^\d+[_\- ]+", "", folder.strip())


def same_name(one: str, other: str) -> bool:
    """Whether two spellings name one class: case, blanks and ordering numbers do not count.

    >>> same_name("0_T-shirt", "t shirt")
    True
    """
    return _plain(one) == _plain(other)


def main_of_label(label: str, taxonomy: Mapping[str, Iterable[str]]) -> str | None:
    """The main category that the taxonomy names for a label, if any."""
    return next((main for main, subs in taxonomy.items() if any(same_name(label, sub) for sub in subs)), None)


def _folder_order(folder: str) -> tuple[int, str]:
    number = re.match(r"\d+", folder)
    return (int(number.group()) if number else -1, folder)


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", "-", sub_name(name).lower())
