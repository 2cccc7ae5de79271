"""What a run saw, in numbers few enough to keep for ever: reports, history and drift never read old rows again."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from batch.records.ledger import Decision, Row
from batch.records.schema import is_mere_doubt
from batch.records.verdict import as_the_model_had_it

CONFIDENCE_BINS = 20
"""Of 0.05 each."""

BRIGHTNESS_BINS = 32
"""Of 8 grey levels each."""

CONTRAST_BINS = 32
"""Of 4 grey levels each."""

SIZE_BINS = 64
"""Of half a doubling each, from 1 byte on."""

SLOWEST = 10


@dataclass
class Summary:
    """The photos of one run, or of several added up.

    >>> sum_up([Row(file_name="a.jpg", status="failed", error="The file is empty.")]).errors
    {'The file is empty.': 1}
    """

    statuses: dict[str, int] = field(default_factory=dict)
    categories: dict[str, dict[str, int]] = field(default_factory=dict)
    """Main category → sub-category → photos that were predicted, as in all that follows."""
    backgrounds: dict[str, dict[str, int]] = field(default_factory=dict)
    """Sub-category → quality → photos."""
    colours: dict[str, int] = field(default_factory=dict)
    confidence: list[int] = field(default_factory=lambda: [0] * CONFIDENCE_BINS)
    """Of the sub-category."""
    brightness: list[int] = field(default_factory=lambda: [0] * BRIGHTNESS_BINS)
    contrast: list[int] = field(default_factory=lambda: [0] * CONTRAST_BINS)
    sizes: list[int] = field(default_factory=lambda: [0] * SIZE_BINS)
    """Of the files, in bytes."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Why photos went to a person; `audit` for those that people check although they are sure."""
    doubts: dict[str, int] = field(default_factory=dict)
    """Doubts that moved nothing."""
    """Why photos were doubtful, without the numbers."""
    errors: dict[str, int] = field(default_factory=dict)
    releases: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    """Of all files, failed ones and duplicates included."""
    slowest: list[tuple[str, float]] = field(default_factory=list)
    """File name and seconds of those that took longest to read."""

    @property
    def swept(self) -> int:
        """All photos that got a row."""
        return sum(self.statuses.values())

    @property
    def predicted(self) -> int:
        """Photos that the model answered in this run; duplicates copy an earlier answer."""
        return self.statuses.get("processed", 0) + self.statuses.get("review", 0)

    @property
    def review_share(self) -> float:
        """The share of the predicted photos that people have to look at."""
        return self.statuses.get("review", 0) / self.predicted if self.predicted else 0.0

    @property
    def mean_confidence(self) -> float:
        """The mean probability of the chosen sub-category, to half a bin."""
        total = sum(self.confidence)
        middles = ((bin_ + 0.5) / CONFIDENCE_BINS for bin_ in range(CONFIDENCE_BINS))
        return sum(n * middle for n, middle in zip(self.confidence, middles, strict=True)) / (total or 1)

    @property
    def subs(self) -> dict[str, int]:
        """Photos of each sub-category, the most frequent first."""
        found = Counter({sub: n for subs in self.categories.values() for sub, n in subs.items()})
        return dict(found.most_common())

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return asdict(self)


def sum_up(rows: Iterable[Row]) -> Summary:
    """The summary of rows, as the night had them; reads each once, so that they may be many."""
    total = Summary()
    for row in (as_the_model_had_it(row) if row.model_answer else row for row in rows):
        _count(total.statuses, row.status)
        total.bytes += row.size
        if row.status == "failed":
            _count(total.errors, _without_numbers(row.error))
        elif row.status != "duplicate":
            _add_predicted(total, row)
    total.slowest = sorted(total.slowest, key=lambda slow: -slow[1])[:SLOWEST]
    return total


def add_up(summaries: Iterable[Summary]) -> Summary:
    """Several runs as one."""
    total = Summary()
    for summary in summaries:
        for name in Summary.__dataclass_fields__:
            setattr(total, name, _added(getattr(total, name), getattr(summary, name)))
    total.slowest = sorted(total.slowest, key=lambda slow: -slow[1])[:SLOWEST]
    return total


def from_json(kept: dict[str, Any]) -> Summary:
    """A summary that the ledger kept; an empty one for runs from before there were any."""
    known = {name: value for name, value in kept.items() if name in Summary.__dataclass_fields__}
    if "reasons" not in known:  # an older night's, which counted both together
        known["reasons"] = {name: n for name, n in known.get("doubts", {}).items() if not is_mere_doubt(name)}
        known["doubts"] = {name: n for name, n in known.get("doubts", {}).items() if is_mere_doubt(name)}
    return Summary(**known)


def _add_predicted(total: Summary, row: Row) -> None:
    if row.decision != Decision.NO_CLOTHING:  # taken over from a CSV, which has no answer of the model's
        _count(total.categories.setdefault(row.main_category, {}), row.sub_category)
    if row.background_quality:  # a release that learned no backgrounds, or no colours, answers nothing
        _count(total.backgrounds.setdefault(row.sub_category, {}), row.background_quality)
    if row.colour:
        _count(total.colours, row.colour)
    _count(total.releases, row.model_version)
    for text, counts in ((row.review_reason, total.reasons), (row.doubts, total.doubts)):
        for doubt in filter(None, _without_numbers(text).split(", ")):
            _count(counts, doubt)
    _bin(total.confidence, (row.sub_category_probability or 0) * CONFIDENCE_BINS)
    _bin(total.sizes, 2 * math.log2(max(row.size, 1)))
    measures = json.loads(row.measures) if row.measures else {}
    if measures:
        _bin(total.brightness, measures["brightness"] / 256 * BRIGHTNESS_BINS)
        _bin(total.contrast, measures["contrast"] / 128 * CONTRAST_BINS)
        total.slowest.append((row.file_name, measures["seconds"]))
        if len(total.slowest) > 1000:  # enough to drop most of them at once
            total.slowest = sorted(total.slowest, key=lambda slow: -slow[1])[:SLOWEST]


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _bin(bins: list[int], place: float) -> None:
    bins[max(0, min(int(place), len(bins) - 1))] += 1


def _without_numbers(reason: str) -> str:
    """A reason without what differs from photo to photo, so that equal ones can be counted.

    >>> _without_numbers("category uncertain (50 %)")
    'category uncertain'
    """
    return re.sub(r"\d[\d.,]*", "…", re.sub(r" \([^)]*\)", "", reason))[:200]


def _added(one: Any, other: Any) -> Any:
    if isinstance(other, dict):
        return {name: _added(one[name], value) if name in one else value for name, value in other.items()} | {
            name: value for name, value in one.items() if name not in other
        }
    if isinstance(other, list) and all(isinstance(value, int) for value in [*one, *other]):
        return [a + b for a, b in zip(one, other, strict=True)]
    return one + other
