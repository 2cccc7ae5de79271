"""Tables for the terminal."""

from collections.abc import Collection, Sequence


def columns(lines: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Lines of cells, each column as wide as its widest cell; those numbered in `right` end at their right edge.

    >>> columns([("run", "swept"), ("20261120T020031Z", "7")], right=[1])
    ['run               swept', '20261120T020031Z      7']
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
