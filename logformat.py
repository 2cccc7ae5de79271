"""How every log line of the night and of its server looks: with a time and the run's id, as text or as JSON.

Standard library only: `batch.environment` logs before the environment with our packages exists.
"""

import json
import logging
import os
from datetime import datetime

run_id = "-"
"""The run that this process works for; on every line from the moment it is known."""


def formatter(log_format: str = "") -> logging.Formatter:
    """The formatter that `LOG_FORMAT` asks for: `json` for a JSON object a line, else text.

    >>> formatter("json").format(logging.makeLogRecord({"msg": "ready"}))  # doctest: +ELLIPSIS
    '{"time": "...", "level": "...", "run": "-", "message": "ready"}'
    """
    return JsonLines() if (log_format or os.environ.get("LOG_FORMAT")) == "json" else Text()


class Text(logging.Formatter):
    """`2026-11-21 02:00:03,120 INFO 20261121T010003Z Swept 120 photos`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(run)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One line, or several when the message has several."""
        record.run = run_id
        return super().format(record)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, run, message, and the stack of an exception if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message contains."""
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname, "run": run_id, "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
