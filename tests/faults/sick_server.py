"""A model server with illnesses, to be started in the place of `python -m api`; see `SICKNESS`.

It reads from the photos what to do: `poison` ends it (as the OOM killer does), `tar` makes it hang.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from flask import Response

from tests.fake_sidecar import FakeSidecar

COMMAND = (sys.executable, "-m", "tests.faults.sick_server")


def main() -> None:
    """Serve until standard input closes, as the real one does beside a night."""
    sickness = os.environ.get("SICKNESS", "")
    _count_start()
    if sickness == "stillborn" or (sickness == "dies once and for all" and _starts() > 1):
        sys.exit("I cannot start.")
    port = int(sys.argv[sys.argv.index("--port") + 1])
    fake = FakeSidecar(port)
    fake.health["instance"] = os.environ["API_INSTANCE"]  # before its first answer
    fake.behaviour = _misbehave
    with fake:
        sys.stdin.read()


def _misbehave(photos: Sequence[bytes]) -> Response | None:
    sickness = os.environ.get("SICKNESS", "")
    if any(b"poison" in photo for photo in photos) or sickness == "dies of every photo":
        os._exit(137)
    if any(b"tar" in photo for photo in photos):
        time.sleep(600)
    if sickness == "dies once and for all" and any(b"50" in photo for photo in photos):
        os._exit(137)
    return None


def _count_start() -> None:
    if "STARTS" in os.environ:
        with Path(os.environ["STARTS"]).open("a") as file:
            file.write("started\n")


def _starts() -> int:
    return len(Path(os.environ["STARTS"]).read_text().splitlines())


if __name__ == "__main__":
    main()
