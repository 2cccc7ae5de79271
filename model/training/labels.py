"""What is known about photos: the tables that lie beside them.

    labels = read_labels(Path("clothing/labels.csv"), classes)["train/dress/1.jpg"]
    add_votes(labels, Path("clothing/votes.csv"), classes)

Three tables are read: `labels.csv` beside photos in folders (`file,background,colour`, and perhaps
`sender,kind,source,weight`), `votes.csv` (what several people called each photo), and a table that says all
(`file,sub,main,background,colour`, and perhaps `group,source,kind,weight`), for photos that lie in any order.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from model.serving.classes import COLOURS, Classes, DataError
from model.training.taxonomy import main_of_label, read_taxonomy, same_name

UNKNOWN: Final = -1
"""The label of a photo that does not count for a head."""

CLOTHING: Final = 1
NO_CLOTHING: Final = 0

NONE: Final = "none"
"""What stands for the sub-category and the main category of a photo without clothing."""

ALTERNATIVE: Final = 0.5
"""What a name counts that a labeller could also have given, beside the one given, which counts 1."""

OWN_COLOUR: Final = 3
"""Photos from which a colour's name that is not one of COLOURS is a name of one's own, and no slip."""

DESCRIBED: Final = ("file", "sub", "main", "background", "colour")
"""The columns of a table that says everything about its photos; `group` (or `sender`), `source`, `kind` and `weight` may be
there, too."""


@dataclass(frozen=True)
class Label:
    """What is known about one photo: indices into the heads' class names, UNKNOWN where nothing is.

    votes: how people's votes for its colour are shared among the colours; they add up to 1. Empty where `colour`
    says all that is known. agreed: whether several people named a colour, and all of them this one. clothing: CLOTHING,
    NO_CLOTHING or UNKNOWN. group: what must stay together in a fold, such as who took the photo. kind: what sort of
    photos it is one of, such as those of a shop. weight: how many photos it stands for when thresholds are set.
    """

    main: int = UNKNOWN
    sub: int = UNKNOWN
    background: int = UNKNOWN
    colour: int = UNKNOWN
    votes: tuple[float, ...] = ()
    agreed: bool = False
    clothing: int = UNKNOWN
    group: str = ""
    source: str = ""
    kind: str = ""
    weight: float = 1.0

    def shares(self, colours: int) -> np.ndarray:
        """The colour's label as shares of all colours, float32 (colours,): zeros where nothing is known."""
        if self.votes:
            return np.array(self.votes, np.float32)
        shares = np.zeros(colours, np.float32)
        if self.colour != UNKNOWN:
            shares[self.colour] = 1
        return shares


def read_labels(path: Path, classes: Classes, *, kind: str = "") -> dict[str, Label]:
    """`file` → what labels.csv says of it. Raises DataError for columns or values that mean nothing."""
    return {
        row["file"]: Label(
            background=_background(row["background"], path, line),
            colour=_colour(row["colour"], classes, path, line),
            group=row.get("sender") or row.get("group") or "",
            source=row.get("source") or "",
            kind=row.get("kind") or kind,
            weight=_weight(row, path, line),
        )
        for line, row in _numbered(path, ("file", "background", "colour"))
    }


def read_described(path: Path, classes: Classes, *, kind: str = "") -> dict[str, Label]:
    """`file` → what a table with the columns of DESCRIBED says of it. Raises DataError."""
    taxonomy = read_taxonomy()
    return {
        row["file"]: replace(
            _garment(row["sub"], row["main"], classes, taxonomy),
            background=_background(row["background"], path, line),
            colour=_colour(row["colour"], classes, path, line),
            group=row.get("group") or row.get("sender") or "",
            source=row.get("source") or "",
            kind=row.get("kind") or kind,
            weight=_weight(row, path, line),
        )
        for line, row in _numbered(path, DESCRIBED)
    }


def described_subs(path: Path) -> dict[str, str]:
    """The sub-categories that such a table names, each with its main category."""
    rows = read_csv(path, DESCRIBED)
    return {row["sub"]: row["main"] for row in rows if row["sub"] not in ("", "?", NONE)}


def colour_names(tables: Iterable[Path]) -> tuple[str, ...]:
    """COLOURS; or, where tables of labels use names of their own, all that they use.

    A name of one's own that stands for fewer than OWN_COLOUR photos is a misspelt one. Raises DataError.
    """
    used: dict[str, list[str]] = {}
    for path in tables:
        for line, row in _numbered(path, ("file", "background", "colour")):
            if (name := row["colour"].strip()) not in ("", "?"):
                used.setdefault(name, []).append(f"{path.name}, line {line}")
    own = [name for name in used if name not in COLOURS]
    for name in own:
        if len(used[name]) < OWN_COLOUR:
            raise DataError(
                f"{used[name][0]}: the colour {name!r} stands for {len(used[name])} photos only. Is it misspelt? These are "
                f"known: {', '.join(COLOURS)}; a name of your own needs {OWN_COLOUR} photos."
            )
    return tuple([name for name in COLOURS if name in used] + sorted(own)) if own else COLOURS


def described_table(folder: Path) -> Path | None:
    """The table in a folder that says everything about its photos, if there is one. Raises DataError for several."""
    found = [path for path in sorted(folder.glob("*.csv")) if set(DESCRIBED) <= set(columns_of(path))]
    if len(found) > 1:
        raise DataError(
            f"{folder} holds two tables that describe photos, {found[0].name} and {found[1].name}: leave one there."
        )
    return found[0] if found else None


def add_votes(
    labels: Mapping[str, Label], path: Path, classes: Classes, *, kind: str = ""
) -> dict[str, Label]:
    """The labels, with what all labellers said: the columns `colour` and `background` are what most of them did.

    A column `colour_1`, `colour_2` … for each labeller, and `colour_1_alt` … for a second name, make the votes.
    """
    result = dict(labels)
    for line, row in _numbered(path, ("file", "background", "colour")):
        result[row["file"]] = replace(
            result.get(row["file"], Label(kind=kind)),
            background=_background(row["background"], path, line),
            colour=_colour(row["colour"], classes, path, line),
            votes=_votes(row, classes, path, line),
            agreed=_agreed(row),
        )
    return result


def garment(label: str, classes: Classes, taxonomy: Mapping[str, Iterable[str]]) -> Label:
    """What a word for a garment says: its class, or its main category where it is none of the classes.

    A word that the taxonomy does not know leaves everything unknown.
    """
    for index, sub in enumerate(classes.subs):
        if same_name(sub, label):
            return Label(main=classes.mains.index(classes.main_of[sub]), sub=index, clothing=CLOTHING)
    main = main_of_label(label, taxonomy)
    return _of_main(main, classes) if main else Label()


def read_csv(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """A table's rows. Raises DataError when it lacks one of the columns."""
    with _table(path) as reader:
        if missing := [column for column in columns if column not in (reader.fieldnames or [])]:
            raise DataError(
                f"{path.name} lacks the column {', '.join(missing)}: its first line must name "
                f"{','.join(columns)} (it names {','.join(reader.fieldnames or ['nothing'])})."
            )
        return [{name: text or "" for name, text in row.items() if name} for row in reader]


def columns_of(path: Path) -> list[str]:
    """The names in a table's first line. Raises DataError."""
    with _table(path) as reader:
        return list(reader.fieldnames or [])


@contextmanager
def _table(path: Path) -> Iterator[csv.DictReader[str]]:
    """A CSV file's rows. Raises DataError when it is none, or not in UTF-8."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield csv.DictReader(file)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8: save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as CSV ({error}): save it as CSV in UTF-8.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): a table in CSV is meant.") from error


def _numbered(path: Path, columns: Iterable[str]) -> Iterable[tuple[int, dict[str, str]]]:
    """The rows with the lines they stand in, for messages."""
    return enumerate(read_csv(path, columns), start=2)


def _garment(sub: str, main: str, classes: Classes, taxonomy: Mapping[str, Iterable[str]]) -> Label:
    """What the columns `sub` and `main` say: `none` is no clothing, `?` is not known."""
    if sub == NONE:
        return Label(clothing=NO_CLOTHING)
    found = Label() if sub in ("", "?") else garment(sub, classes, taxonomy)
    return found if found.main != UNKNOWN or main in ("", "?") else _of_main(main, classes)


def _of_main(main: str, classes: Classes) -> Label:
    """A garment of which only the main category is known, which may be none of the classes'."""
    index = classes.mains.index(main) if main in classes.mains else UNKNOWN
    return Label(main=index, clothing=CLOTHING)


def _background(text: str, path: Path, line: int) -> int:
    text = text.strip()
    if text not in ("1", "0", "?", ""):
        raise DataError(f"{path.name}, line {line}: background is {text!r}; 1, 0, ? or nothing are meant.")
    return {"1": 0, "0": 1}.get(text, UNKNOWN)


def _colour(text: str, classes: Classes, path: Path, line: int) -> int:
    text = text.strip()
    if text not in (*classes.colours, *COLOURS, "?", ""):
        raise DataError(
            f"{path.name}, line {line}: the colour {text!r} is unknown; these are known: {', '.join(classes.colours)}."
        )
    return classes.colours.index(text) if text in classes.colours else UNKNOWN


def _weight(row: Mapping[str, str], path: Path, line: int) -> float:
    """The column `weight`, the inverse of the chance that the photo was looked at: 1 without it, 0 where it is empty."""
    text = row.get("weight", "1").strip() or "0"
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise DataError(
            f"{path.name}, line {line}: weight is {text!r}; a number from 0 on is meant: one divided by the chance that "
            "the photo was looked at."
        )
    return weight


def _votes(row: Mapping[str, str], classes: Classes, path: Path, line: int) -> tuple[float, ...]:
    """Every labeller's vote, a second name counting less; shares that add up to 1, empty without any vote."""
    shares = np.zeros(len(classes.colours))
    for column, text in row.items():
        if vote := re.fullmatch(r"colour_\d+(_alt)?", column):
            colour = _colour(text, classes, path, line)
            if colour != UNKNOWN:
                shares[colour] += ALTERNATIVE if vote.group(1) else 1
    return tuple(shares / shares.sum()) if shares.any() else ()


def _agreed(row: Mapping[str, str]) -> bool:
    """Whether at least two labellers named a colour, and all who did the same one."""
    named = [
        text for column, text in row.items() if re.fullmatch(r"colour_\d+", column) and text not in ("", "?")
    ]
    return len(named) > 1 and len(set(named)) == 1
