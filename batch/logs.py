"""What a run says: plain sentences to the terminal, the same with time stamps to `logs/nightsort.log`.

Standard library only: `batch.environment` uses it before the environment with our packages exists.
"""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG_NAME = "nightsort.log"
MAX_BYTES, KEPT = 5_000_000, 5

log = logging.getLogger("nightsort")


def set_up(log_dir: Path) -> None:
    """Send everything that is logged to the terminal and to a rotating file below `log_dir`.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    log_dir.mkdir(parents=True, exist_ok=True)
    terminal = logging.StreamHandler(sys.stdout)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    file = RotatingFileHandler(
        log_dir / LOG_NAME, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8", errors="backslashreplace"
    )
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.handlers[:] = [terminal, file]
    log.setLevel(logging.INFO)
    log.propagate = False


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a text file, for a message that has to show them; `""` when there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 200 * lines))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
