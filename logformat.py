"""How every log line of the night and of its server looks: with a time and the run's id, as text or as JSON.

File names come from anybody, and a message may hold one. So a message cannot steer the terminal (what could do so is
written `\\u001b`), and none of its lines looks like a line of its own: all but the first are indented.

Standard library only: `batch.environment` logs before the environment with our packages exists.
"""

import json
import logging
import os
import re
import sys
from datetime import datetime
from typing import TextIO

run_id = "-"
"""The run that this process works for; on every line from the moment it is known."""

INDENT = "    "

_STEERING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters but the line break, other separators of lines, marks that turn the direction of writing, and
halves of characters (bytes of a name that are not UTF-8)."""


def printable(text: str) -> str:
    r"""The text with everything written out that a terminal would obey; line breaks stay.

    >>> printable("a\x1b[31mb")
    'a\\u001b[31mb'
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def entry(text: str) -> str:
    """The text as one printable entry of a list or a log: if it has several lines, the further ones are indented."""
    return printable(text).replace("\n", f"\n{INDENT}")


def formatter(log_format: str = "") -> logging.Formatter:
    """The formatter that `LOG_FORMAT` asks for: `json` for a JSON object a line, else text.

    >>> formatter("json").format(logging.makeLogRecord({"msg": "ready"}))  # doctest: +ELLIPSIS
    '{"time": "...", "level": "...", "run": "...", "message": "ready"}'
    """
    return JsonLines() if (log_format or os.environ.get("LOG_FORMAT")) == "json" else Text()


class Output(logging.StreamHandler[TextIO]):
    """A terminal or a file that output is sent to. Should it be full or gone, its lines are lost and the work goes on."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name for it
        """Say nothing where nothing can be said; a fault of the program is told as always."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


def let_go(stream: TextIO | None) -> None:
    """Have Python end as if a stream that is full or gone had taken everything: the exit code is the work's."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Text(logging.Formatter):
    """`2026-11-21 02:00:03,120 INFO 20261121T010003Z Swept 120 photos`."""

    def __init__(self, form: str = "%(asctime)s %(levelname)s %(run)s %(message)s") -> None:
        super().__init__(form)

    def format(self, record: logging.LogRecord) -> str:
        """One line, or several when the message has several."""
        record.run = run_id
        return entry(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, run, message, and the stack of an exception if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message contains."""
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname, "run": run_id, "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return printable(json.dumps(line, ensure_ascii=False))  # which leaves it the same JSON
