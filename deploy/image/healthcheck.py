"""The image's health check: the server that this container runs says itself whether it is ready.

A night has no port: that it runs is its health, and `nightsort health` looks at the whole. Standard library only.
"""

import os
import sys
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

SECONDS = 5


def main() -> int:
    """Docker's codes: 0 healthy, 1 not."""
    port = port_of(Path("/proc/1/cmdline").read_bytes().decode("utf-8", "replace").split("\0"))
    if not port:
        return 0
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=SECONDS):
            return 0
    except HTTPError as error:
        # the pages want people to sign in first, which is an answer; 503 is that of a server that is not ready
        return int(error.code >= 500)
    except (URLError, OSError) as error:
        print(error)
        return 1


def port_of(words: list[str]) -> str:
    """Where the first process listens, by its command line: the server itself, or an init that was given its command.

    >>> port_of(["python", "-m", "batch", "schedule", ""])
    ''
    """
    if {"sidecar", "api"} & set(words):
        return os.environ.get("API_PORT") or os.environ.get("PORT") or "5000"
    if "pages" in words:
        return os.environ.get("PAGES_PORT") or "8000"
    return ""


if __name__ == "__main__":
    sys.exit(main())
