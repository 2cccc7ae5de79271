"""`python -m model`: train, evaluate, export, compare; list, promote and roll back releases."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import this_python
from utf8 import use_utf8

try:
    from command_line import perform
    from logformat import Text
    from model.commands import commands
    from model.user_errors import ended
except ImportError as error:
    this_python.end_without(error, "model")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 2 with a sentence on stderr for what its user can put right."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger().handlers[0].setFormatter(Text("%(message)s"))
    return ended("python -m model", lambda: perform(commands, "python -m model", arguments))


if __name__ == "__main__":
    use_utf8()
    sys.exit(main())
