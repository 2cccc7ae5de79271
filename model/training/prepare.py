"""Raw photos become a data folder: divided into train, validation and test, with nothing of the one in the other.

    prepared = prepare(Path("raw"), Path("data"), shares=(0.7, 0.15, 0.15))
    prepared.table()        # sub-category → photos in each part

Every part has the classes' shares of the whole. Photos of one group, and near-duplicates, are in one part. The folder gets
copies named by checksum, `labels.csv`, `taxonomy.json`, and `left_out.csv` with what was left out and why. The same call
goes on after an interruption: what was read and copied is not read and copied again.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from tqdm import tqdm

from model.serving.classes import DataError
from model.serving.preprocess import PhotoError, read_photo
from model.training.likeness import joined, look, near_duplicates
from model.training.raw import RawPhoto, raw_photos, taxonomy_of_photos
from replacing import replacing

PARTS: Final = ("train", "validation", "test")
SHARES: Final = (0.7, 0.15, 0.15)

MARK: Final = ".nightsort-prepare"
"""A folder of ours: what it was made of (`plan.json`), and what was read of each photo so far (`read.jsonl`)."""

SEEN: Final = 64
"""Side of the square from which near-duplicates are told."""

MAX_MEGAPIXELS: Final = 120
FEWEST: Final = 2
"""Photos that a class needs to be learned at all."""


@dataclass(frozen=True)
class Read:
    """What was read of a photo: its checksum and, in base64, what it looks like; or why it cannot be read."""

    sha256: str = ""
    look: str = ""
    why: str = ""


@dataclass
class Prepared:
    """What a data folder was made of."""

    photos: dict[str, list[RawPhoto]]
    """Part → its photos."""
    near: int = 0
    """Photos that are nearly the same as another one."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Photos that are in no part, by name, and why."""

    def table(self) -> dict[str, list[int]]:
        """Sub-category → photos in each part, in the order of PARTS."""
        counts = [Counter(photo.sub for photo in self.photos[part]) for part in PARTS]
        return {sub: [count[sub] for count in counts] for sub in sorted(set().union(*counts))}


def prepare(
    raw: Path, to: Path, *, shares: Sequence[float] = SHARES, seed: int = 0, progress: bool = True
) -> Prepared:
    """Make the data folder `to` of raw photos. Raises DataError, and OSError where something cannot be written."""
    photos = raw_photos(raw)
    _claim(to, {"raw": str(raw.resolve()), "shares": list(shares), "seed": seed})
    read = _read_all(photos, to / MARK / "read.jsonl", progress)
    left_out = {photo.key: known.why for photo, known in zip(photos, read, strict=True) if known.why}
    kept = _each_once(photos, read, left_out)
    groups, near = _groups([photos[i] for i in kept], [read[i] for i in kept])
    part_of = divide([photos[i].sub for i in kept], groups, shares, seed=seed)
    prepared = Prepared({part: [] for part in PARTS}, near, left_out)
    lines = []
    for index, part, group in zip(kept, part_of, groups, strict=True):
        photo, part_name = photos[index], PARTS[part]
        place = f"{part_name}/{_folder(photo.sub)}/{read[index].sha256[:32]}{_extension(photo.path)}"
        _copy(photo.path, to / place)
        prepared.photos[part_name].append(photo)
        lines.append([place, photo.background, photo.colour, f"{group}", photo.key])
    _remove_others(to, {line[0] for line in lines})
    mains = {_folder(photos[i].sub): photos[i].main for i in kept}
    _write(to / "taxonomy.json", json.dumps(taxonomy_of_photos(mains), indent=2, ensure_ascii=False) + "\n")
    _write_csv(to / "left_out.csv", [("file", "why"), *sorted(left_out.items())])
    _write_csv(to / "labels.csv", [("file", "background", "colour", "sender", "raw"), *lines])
    return prepared


def divide(
    classes: Sequence[str], groups: np.ndarray, shares: Sequence[float], *, seed: int = 0
) -> np.ndarray:
    """The part of each photo, int (N,): no group in two, and each class's photos shared out as the shares say.

    The largest groups first, each where its classes are furthest below what they should be.
    """
    names, of = np.unique(np.array(classes), return_inverse=True)
    _, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((group_of.max() + 1, len(names)), int)
    np.add.at(counts, (group_of, of), 1)
    wanted = np.outer(np.array(shares) / sum(shares), counts.sum(0))
    missing, part_of = wanted.copy(), np.empty(len(counts), int)
    order = np.random.default_rng(seed).permutation(len(counts))
    for group in order[np.argsort(-counts[order].sum(1), kind="stable")]:
        own = counts[group] > 0
        shortest = (missing[:, own] / np.maximum(wanted[:, own], 1e-9)).mean(1)
        shortest[np.array(shares) == 0] = -np.inf
        part = int(shortest.argmax())
        part_of[group] = part
        missing[part] -= counts[group]
    result: np.ndarray = part_of[group_of]
    return result


def _claim(to: Path, plan: dict[str, object]) -> None:
    """Make the folder ours. Raises DataError where it holds other things, or was made of other photos."""
    mark = to / MARK / "plan.json"
    if mark.is_file():
        if json.loads(mark.read_text(encoding="utf-8")) != plan:
            raise DataError(
                f"{to} was prepared from other photos, or with other shares: name another folder."
            )
        return
    if to.exists() and (not to.is_dir() or any(path.name != MARK for path in to.iterdir())):
        raise DataError(f"{to} holds other things: name a new or empty folder.")
    mark.parent.mkdir(parents=True, exist_ok=True)
    _write(mark, json.dumps(plan))


def _read_all(photos: Sequence[RawPhoto], cache: Path, progress: bool) -> list[Read]:
    """What there is to know of each photo; what was read before, and has not changed since, is not read again."""
    before = dict(_read_before(cache))
    with cache.open("a", encoding="utf-8") as file, ThreadPoolExecutor() as pool:
        file.write("\n")  # after a line that a death cut short
        found = []
        states = [_state(photo.path) for photo in photos]
        results = pool.map(
            lambda photo, state: before.get((photo.key, state)) or _read(photo.path), photos, states
        )
        bar = tqdm(results, total=len(photos), desc="reading photos", disable=not progress, leave=False)
        for photo, state, known in zip(photos, states, bar, strict=True):
            found.append(known)
            if state and not known.why and (photo.key, state) not in before:
                file.write(json.dumps([photo.key, state, known.sha256, known.look]) + "\n")
    return found


def _read_before(cache: Path) -> Iterator[tuple[tuple[str, str], Read]]:
    if not cache.is_file():
        return
    for line in cache.read_text(encoding="utf-8").splitlines():
        try:
            key, state, sha256, seen = json.loads(line)
        except ValueError:
            continue
        yield (key, state), Read(sha256, seen)


def _state(path: Path) -> str:
    """What changes when a file does; nothing where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return ""
    return f"{facts.st_size} {facts.st_mtime_ns}"


def _read(path: Path) -> Read:
    try:
        content = path.read_bytes()
        pixels = read_photo(content, max_megapixels=MAX_MEGAPIXELS, size=SEEN)
    except OSError as error:
        return Read(why=error.strerror or str(error))
    except PhotoError as error:
        return Read(why=str(error))
    return Read(hashlib.sha256(content).hexdigest(), base64.b64encode(look(pixels).tobytes()).decode())


def _each_once(photos: Sequence[RawPhoto], read: Sequence[Read], left_out: dict[str, str]) -> list[int]:
    """The photos to keep: each file's bytes once, none that is called two things, no class of one photo."""
    called: dict[str, set[str]] = {}
    for photo, known in zip(photos, read, strict=True):
        called.setdefault(known.sha256, set()).add(photo.sub)
    kept: dict[str, int] = {}
    for index, (photo, known) in enumerate(zip(photos, read, strict=True)):
        if known.why:
            continue
        if len(names := called[known.sha256]) > 1:
            left_out[photo.key] = f"The same file is called {' and '.join(sorted(names))}."
        elif known.sha256 in kept:
            left_out[photo.key] = f"The same file as {photos[kept[known.sha256]].key}."
        else:
            kept[known.sha256] = index
    number = Counter(photos[index].sub for index in kept.values())
    for index in list(kept.values()):
        photo = photos[index]
        if number[photo.sub] < FEWEST:
            left_out[photo.key] = f"The only photo of {photo.sub}: {FEWEST} are the fewest."
            del kept[read[index].sha256]
    if not kept:
        raise DataError(
            f"None of the {len(photos)} photos can be used; the first: {next(iter(left_out.items()))}."
        )
    return list(kept.values())


def _groups(photos: Sequence[RawPhoto], read: Sequence[Read]) -> tuple[np.ndarray, int]:
    """What must stay together, int (N,): groups that were named, and near-duplicates; and how many of the latter."""
    looks = np.stack([np.frombuffer(base64.b64decode(known.look), np.uint8) for known in read])
    near = list(near_duplicates(looks))
    first: dict[str, int] = {}
    named = [(first.setdefault(photo.group, i), i) for i, photo in enumerate(photos) if photo.group]
    return joined(len(photos), [*near, *named]), len({index for pair in near for index in pair})


def _folder(sub: str) -> str:
    """A class's name as a folder's."""
    return re.sub(r"[/\\:\x00-\x1f]", "-", sub).lstrip(".") or "-"


def _extension(path: Path) -> str:
    extension = path.suffix.lower()
    return extension if re.fullmatch(r"\.[a-z0-9]{1,5}", extension) else ""


def _copy(source: Path, target: Path) -> None:
    """Copy a photo whole or not at all, unless it is there."""
    if target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}")
    part.write_bytes(source.read_bytes())
    os.replace(part, target)


def _remove_others(to: Path, places: set[str]) -> None:
    """Remove copies of ours that belong elsewhere by now: raw photos came or went since an earlier call."""
    for part in PARTS:
        for path in (to / part).rglob("*"):
            ours = path.is_file() and re.fullmatch(r"\.?[0-9a-f]{32}(\.[a-z0-9]{1,5})?", path.name)
            if ours and path.relative_to(to).as_posix() not in places:
                path.unlink()


def _write(path: Path, text: str) -> None:
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8", newline="\n")


def _write_csv(path: Path, lines: Sequence[Sequence[str]]) -> None:
    with replacing(path) as new, new.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
