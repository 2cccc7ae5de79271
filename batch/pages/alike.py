"""Photos in such an order that those which look alike stand together."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from batch.records.ledger import Row
from batch.records.sketches import distance

AT_ONCE = 24
"""So many are put in order at once: doubtful ones stay before the others."""


def together(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows that come by category, each category's least sure first; similar ones of a category next to each other.

    Those without a sketch stay as they come.
    """
    for _, same in groupby(rows, key=lambda row: (row.main_category, row.sub_category)):
        group = list(same)
        for start in range(0, len(group), AT_ONCE):
            yield from _chained(group[start : start + AT_ONCE])


def _chained(rows: list[Row]) -> Iterator[Row]:
    """From the first on, each time the one that is most like the one before."""
    left = list(rows)
    last = left[0]
    while left:
        last = min(left, key=lambda row: distance(last.sketch, row.sketch))
        left.remove(last)
        yield last
