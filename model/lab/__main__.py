"""The lab's commands: `python -m model lab COMMAND …`, or `python -m model.lab COMMAND …`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from command_line import perform
from model.lab.commands import lab
from model.user_errors import ended
from utf8 import use_utf8


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 2 wrong usage, 3 done but some photos could not be used."""
    return ended("python -m model lab", lambda: perform(lab, "python -m model lab", arguments))


if __name__ == "__main__":
    use_utf8()
    sys.exit(main())
