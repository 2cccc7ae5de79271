"""How a row stands in a CSV, and how it is read back: one cell for each column, exact both ways."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

from batch.records.ledger import CSV_COLUMNS, Row

RISKY = tuple("=+-@＝＋－＠'")
"""What begins a formula in some spreadsheet, full-width letters too; and the `'` itself, so that it can be undone."""

OLD_COLUMNS = CSV_COLUMNS[: CSV_COLUMNS.index("doubts")]
"""The columns of ledgers up to version 2, whose CSVs did not write `''` for a text that begins with a `'`."""


def cells(row: Row) -> list[str]:
    """A row as the CSV has it."""
    return [cell(getattr(row, column)) for column in CSV_COLUMNS]


def cell(value: object) -> str:
    """One value as the CSV has it.

    Probabilities have four decimals. A text that a spreadsheet might run as a formula, or that begins with a `'`,
    gets a leading `'` (owasp.org/www-community/attacks/CSV_Injection); the ledger keeps it exact.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4f}"
    text = str(value)
    return f"'{text}" if _is_risky(text) else text


def text_of_lines(lines: Iterable[list[str]]) -> bytes:
    """Lines of CSV, ending in LF.

    A cell with a semicolon is quoted as well: some spreadsheets split there, too, but never between quotes.
    """
    written: list[str] = []
    # the writer quotes a cell with any character that it is told lines end in
    csv.writer(SimpleNamespace(write=written.append), lineterminator=";\r\n").writerows(lines)
    return "".join(f"{line[:-3]}\n" for line in written).encode()


def is_ours(path: Path) -> bool:
    """Whether a file begins with the header of our CSVs, of this version or an earlier one."""
    try:
        with path.open("rb") as file:
            first = file.readline(10_000)
    except FileNotFoundError:
        return False
    return first in (text_of_lines([CSV_COLUMNS]), text_of_lines([OLD_COLUMNS]))


def read(path: Path) -> Iterator[dict[str, str]]:
    """The rows of one of our CSVs as the ledger would have their texts; only whole ones, none of other files.

    Raises:
        OSError: the file cannot be read.
    """
    if not is_ours(path):
        return
    content = path.read_bytes()
    # what follows is torn
    whole = content[: content.rfind(b"\n") + 1]
    lines = csv.reader(io.StringIO(whole.decode("utf-8", "replace"), newline=""))
    columns = next(lines)
    undo = _unquote if columns == CSV_COLUMNS else _unquote_old
    for line in lines:
        if len(line) == len(columns):
            yield dict.fromkeys(CSV_COLUMNS, "") | dict(zip(columns, map(undo, line), strict=True))


def _unquote(text: str) -> str:
    return text.removeprefix("'")


def _unquote_old(text: str) -> str:
    return text[1:] if text.startswith("'") and _is_risky(text[1:]) and not text.startswith("''") else text


def _is_risky(text: str) -> bool:
    return text.startswith(RISKY) or (text != "" and text[0] < " ") or text.startswith("\x7f")
