"""What a run says: plain sentences to the terminal, the same with time and run to `logs/nightsort.log`.

Standard library only: `batch.environment` uses it before the environment with our packages exists.
"""

import contextlib
import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

import logformat

LOG_NAME, SIDECAR_LOG_NAME = "nightsort.log", "sidecar.log"
MAX_BYTES, KEPT = 5_000_000, 5

FEW = 20
"""Lines of one kind that are written out; see `first_few`."""

log = logging.getLogger("nightsort")


def set_up(log_dir: Path | None, log_format: str = "") -> None:
    """Send everything that is logged to the terminal and, unless None, to a rotating file below `log_dir`.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    terminal = logformat.Output(sys.stdout)
    terminal.setFormatter(logformat.Text("%(message)s"))
    log.handlers[:] = [terminal]
    log.setLevel(logging.INFO)
    log.propagate = False
    if log_dir is None:
        return
    log_dir.mkdir(parents=True, exist_ok=True)
    file = _LogFile(
        log_dir / LOG_NAME, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8", errors="backslashreplace"
    )
    file.setFormatter(logformat.formatter(log_format))
    log.addHandler(file)


class _LogFile(RotatingFileHandler):
    """A log whose disk may be full: that is said once, on the terminal, and ends no night."""

    _has_complained = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name for it
        """Say the first time why a line could not be written."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_complained:
            # before it is said, which comes back here
            self._has_complained = True
            log.warning(
                "The log %s cannot be written (%s); what it should hold is shown here only.",
                self.baseFilename, error.strerror or error,
            )  # fmt: skip


@contextlib.contextmanager
def first_few() -> Iterator[None]:
    """Write the first lines of each kind and count the rest: ten thousand photos may have one and the same trouble."""
    seen: Counter[str] = Counter()
    first: dict[str, str] = {}

    def is_among_the_first(record: logging.LogRecord) -> bool:
        first.setdefault(record.msg, record.getMessage())
        seen[record.msg] += 1
        return seen[record.msg] <= FEW

    log.addFilter(is_among_the_first)
    try:
        yield
    finally:
        log.removeFilter(is_among_the_first)
        for kind, count in seen.items():
            if count > FEW:
                log.warning("%d more lines like this: %s", count - FEW, first[kind])


def lines_of_run(log_dir: Path, run_id: str) -> list[str]:
    """What the logs of the night and of its server still hold of one run, in order of time."""
    found = []
    for name in (LOG_NAME, SIDECAR_LOG_NAME):
        run = ""
        time = ""
        for line in _lines(log_dir, name):
            started = _beginning(line)
            # otherwise it goes on from the line before
            if started:
                time, run = started
            if run == run_id:
                found.append((time, line))
    return [line for _, line in sorted(found, key=lambda entry: entry[0])]


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a text file, for a message that has to show them; `""` when there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 200 * lines))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


_TEXT_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) [A-Z]+ (\S+) ")


def _beginning(line: str) -> tuple[str, str] | None:
    """The time and the run of a log line, in either format; None for one that goes on from the line before."""
    if line.startswith("{"):
        try:
            entry = json.loads(line)
            return entry["time"][:23].replace("T", " ").replace(".", ","), entry["run"]
        except (ValueError, KeyError, TypeError):
            return None
    found = _TEXT_LINE.match(line)
    return (found[1], found[2]) if found else None


def _lines(log_dir: Path, name: str) -> Iterator[str]:
    """All lines of a log and of its rotated files, oldest first."""
    for number in range(KEPT, -1, -1):
        path = log_dir / (f"{name}.{number}" if number else name)
        if path.exists():
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from (line.rstrip("\n") for line in file)
