"""One night's rows as a workbook for spreadsheet programs: typed cells, text that stays text, links to the photos."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from batch.logs import log
from batch.records.ledger import CSV_COLUMNS, Row
from replacing import replacing

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

MOST_ROWS = 50_000
"""More makes a workbook that programs open slowly; the CSV has all."""

_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
"""Whatever a file is called, its name is a text (xlsxwriter.readthedocs.io/workbook.html)."""

_WIDTHS = {
    "file_name": 28,
    "moved_to": 44,
    "review_reason": 30,
    "doubts": 30,
    "error": 40,
    "duplicate_of": 30,
    "sha256": 16,
}
_TIMES = ("processed_at", "decided_at")


def write(rows: Iterable[Row], path: Path, total: int) -> None:
    """Write a workbook of these rows, `total` in all, that replaces `path` once it is complete.

    One that cannot be written costs a warning: it is a convenience, the CSV has everything.
    """
    import xlsxwriter  # not before it is needed: most commands are done without
    from xlsxwriter.exceptions import XlsxWriterException

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as new, xlsxwriter.Workbook(str(new), _OPTIONS) as book:
            _fill(book, rows, total)
    except (OSError, XlsxWriterException) as error:
        log.warning(
            "%s cannot be written (%s); is it open in another program? The CSV beside it has the same rows.",
            path,
            error,
        )
    else:
        if total > MOST_ROWS:
            log.info("%s has the first %d of %d rows; the CSV beside it has all.", path, MOST_ROWS, total)


def _fill(book: Any, rows: Iterable[Row], total: int) -> None:
    bold = book.add_format({"bold": True})
    formats = {
        "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        "probability": book.add_format({"num_format": "0.0000"}),
        "link": book.get_default_url_format(),
    }
    sheet = book.add_worksheet("photos")
    for number, column in enumerate(CSV_COLUMNS):
        sheet.write_string(0, number, column, bold)
        sheet.set_column(number, number, _WIDTHS.get(column, max(12, len(column))))
    sheet.freeze_panes(1, 1)
    last = 0
    for last, row in enumerate(islice(rows, MOST_ROWS), 1):
        for number, column in enumerate(CSV_COLUMNS):
            _write_cell(sheet, last, number, column, getattr(row, column), formats)
    sheet.autofilter(0, 0, last, len(CSV_COLUMNS) - 1)
    about = book.add_worksheet("about")
    about.set_column(0, 0, 100)
    words = f"The first {last:,} of {total:,} rows" if last < total else f"All {total:,} rows"
    about.write_string(0, 0, f"{words} of this night; the CSV beside this file has all of them.")
    about.write_string(1, 0, "Times are UTC. Links lead to the photos while this file stays in its folder.")


def _write_cell(
    sheet: "Worksheet", line: int, number: int, column: str, value: Any, formats: dict[str, Any]
) -> None:
    if value is None or value == "":
        return
    if isinstance(value, bool):
        sheet.write_boolean(line, number, value)
    elif isinstance(value, float):
        sheet.write_number(line, number, value, formats["probability"])
    elif column in _TIMES:
        sheet.write_datetime(
            line, number, datetime.fromisoformat(value).replace(tzinfo=None), formats["time"]
        )
    elif column == "moved_to" and not Path(value).is_absolute():
        # the default of write_url would cut a long address; then the text has to do
        if sheet.write_url(line, number, f"external:../{quote(value)}", formats["link"], value):
            sheet.write_string(line, number, value)
    else:
        sheet.write_string(line, number, value)
