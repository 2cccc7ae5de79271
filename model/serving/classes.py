"""The classes a release tells apart, and the numbers that turn its scores into answers.

Classes come from the training folders and a taxonomy file (`taxonomy.json`: main category → the
sub-categories in it), never from code. A release carries them in `classes.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from model.user_errors import UserError

HEADS: Final = ("main", "sub", "background", "colour")
OUTPUTS: Final = (*HEADS, "clothing")
"""The scores that a network gives, from which answers are made."""

LOOKS: Final = ("background", "colour")
"""Heads that not every release has learned, and whose doubts send no photo to a person."""

TWO_CLASSES: Final = ("background", "clothing")
"""Heads of two classes, calibrated for a half-and-half mixture of these: 0.5 divides them."""

FEATURES: Final = "features"
"""The network's further output, its pooled features: what it has seen, in 512 numbers. Older releases lack it."""

BACKGROUNDS: Final = ("acceptable", "unacceptable")
COLOURS: Final = (
    "black",
    "grey",
    "white",
    "beige",
    "brown",
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "multi",
)
"""The colour names of `labels.csv`, where it does not bring its own (`labels.colour_names`)."""

RESERVED: Final = "no clothing"
"""The folder that people's decisions file photos without clothing in."""


FORMAT: Final = 2
"""Of `classes.json`. Format 1 is read as well: there the two-class heads had thresholds of their own."""


class ClassesError(UserError, ValueError):
    """Classes that cannot be used; the text says what is wrong and what to do."""


class DataError(UserError, ValueError):
    """A data folder that cannot be learned from; the text says what is wrong and what to do."""


class WeightsError(UserError, ValueError):
    """Weights, or a run, that cannot be gone on from; the text says what is wrong and what to do."""


@dataclass(frozen=True)
class Limits:
    """How the scores of one kind of photo become probabilities and doubts; see Classes."""

    temperatures: Mapping[str, float]
    thresholds: Mapping[str, Mapping[float, float]]
    doubts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Classes:
    """What a release tells apart, and how its scores become probabilities and doubts.

    `heads` are those that were trained; the others answer nothing. `temperatures` divide a head's scores before the
    softmax. `offsets`, of the heads in TWO_CLASSES, are added to what is left of the first class's score, so that its
    probability is that in a half-and-half mixture of the two. `thresholds[head]`, of main and sub, maps a promised
    precision to the probability from which an answer keeps that promise, chosen on photos of senders that training had
    not seen. `doubts[head]`, of the heads in LOOKS, is the probability below which an answer is doubted. `kinds` holds
    temperatures, thresholds and doubts of their own for kinds of photos.
    """

    mains: tuple[str, ...]
    subs: tuple[str, ...]
    main_of: Mapping[str, str]
    backgrounds: tuple[str, ...] = BACKGROUNDS
    colours: tuple[str, ...] = COLOURS
    temperatures: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(HEADS, 1.0))
    thresholds: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    doubts: Mapping[str, float] = field(default_factory=dict)
    offsets: Mapping[str, float] = field(default_factory=dict)
    heads: tuple[str, ...] = HEADS
    kinds: Mapping[str, Limits] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if reserved := [name for name in (*self.mains, *self.subs) if name.casefold() == RESERVED]:
            raise ClassesError(
                f"No category may be called “{reserved[0]}”: photos without clothing are filed there. Give it another name."
            )
        if missing := [sub for sub in self.subs if self.main_of.get(sub) not in self.mains]:
            raise ClassesError(f"These sub-categories have no main category: {', '.join(missing)}.")
        for names in (self.mains, self.subs, self.colours):
            if len(set(names)) != len(names):
                raise ClassesError(f"A class is named twice: {', '.join(names)}.")

    def names(self, head: str) -> tuple[str, ...]:
        """The class names of a head, in the order of its scores."""
        return {
            "main": self.mains,
            "sub": self.subs,
            "background": self.backgrounds,
            "colour": self.colours,
        }[head]

    def same_names(self, other: Classes) -> bool:
        """Whether both answer the same questions, and tell the same classes apart (in whatever order)."""
        answered, colours = set(self.heads), set(self.colours)
        return (
            dict(self.main_of) == dict(other.main_of)
            and answered == set(other.heads)
            and ("colour" not in answered or colours == set(other.colours))
        )

    def of_kind(self, kind: str) -> Classes:
        """The same with the temperatures and thresholds of a kind of photo, where it has its own."""
        own = self.kinds.get(kind)
        if own is None:
            return self
        return replace(self, temperatures=own.temperatures, thresholds=own.thresholds, doubts=own.doubts)

    def threshold(self, head: str, precision: float) -> float:
        """The probability from which the head's answers keep the promised precision.

        Between two precisions of the table the stricter one counts. Raises ClassesError outside it.
        """
        table = self.thresholds.get(head, {})
        if not table:
            return 0.0
        low, high = min(table), max(table)
        if not low <= precision <= high:
            raise ClassesError(
                f"A review precision of {precision:g} cannot be promised: this release knows "
                f"thresholds from {low:g} to {high:g}."
            )
        return table[min(known for known in table if known >= precision - 1e-9)]

    def to_json(self) -> str:
        """The text of `classes.json`."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "mains": self.mains,
            "subs": self.subs,
            "main_of": dict(self.main_of),
            "backgrounds": self.backgrounds,
            "colours": self.colours,
            "heads": self.heads,
            **_limits_as_json(self),
            "offsets": dict(self.offsets),
        }
        if self.kinds:
            content["kinds"] = {kind: _limits_as_json(own) for kind, own in self.kinds.items()}
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    @staticmethod
    def from_json(text: str) -> Classes:
        """Read `classes.json`. Raises ClassesError when it is not that."""
        try:
            content: dict[str, Any] = json.loads(text)
            if content["format"] == 1:
                content |= {"heads": HEADS, "offsets": _offsets_of_format_1(content)}
            elif content["format"] != FORMAT:
                raise ClassesError(
                    f"classes.json has format {content['format']}; this program reads format 1 and {FORMAT}."
                )
            own = _limits(content)
            return Classes(
                mains=tuple(content["mains"]),
                subs=tuple(content["subs"]),
                main_of=dict(content["main_of"]),
                backgrounds=tuple(content["backgrounds"]),
                colours=tuple(content["colours"]),
                temperatures=own.temperatures,
                thresholds=own.thresholds,
                doubts=own.doubts,
                offsets={head: float(value) for head, value in content["offsets"].items()},
                heads=tuple(head for head in HEADS if head in content["heads"]),
                kinds={kind: _limits(of) for kind, of in content.get("kinds", {}).items()},
            )
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ClassesError(f"classes.json cannot be used: {type(error).__name__} {error}.") from error


def _limits_as_json(own: Limits | Classes) -> dict[str, Any]:
    """Limits as JSON has them."""
    return {
        "temperatures": dict(own.temperatures),
        "thresholds": {
            head: {f"{precision:g}": round(value, 6) for precision, value in sorted(table.items())}
            for head, table in own.thresholds.items()
        },
        "doubts": {head: round(value, 6) for head, value in own.doubts.items()},
    }


def _limits(content: Mapping[str, Any]) -> Limits:
    """Limits from JSON; format 1 had thresholds for the heads in LOOKS and no doubts, and doubts nothing."""
    return Limits(
        temperatures={head: float(value) for head, value in content["temperatures"].items()},
        thresholds={
            head: {float(precision): float(value) for precision, value in table.items()}
            for head, table in content["thresholds"].items()
            if head not in LOOKS
        },
        doubts={head: float(value) for head, value in content.get("doubts", {}).items()},
    )


def _offsets_of_format_1(content: Mapping[str, Any]) -> dict[str, float]:
    """The offsets that move a two-class head's threshold to 0.5, so that every answer stays what it was."""
    shares = {head: float(content[f"{head}_threshold"]) for head in TWO_CLASSES}
    return {head: math.log(1 - share) - math.log(share) for head, share in shares.items() if 0 < share < 1}
