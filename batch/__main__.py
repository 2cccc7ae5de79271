"""The command line of the night: `python -m batch <command> --help` teaches each command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import this_python
from utf8 import use_utf8

try:
    from batch.commands import commands
    from batch.exits import Exit, NotDoneError
    from batch.lock import LockHeldError
    from batch.logs import log
    from command_line import perform
    from logformat import let_go
except ImportError as error:
    this_python.end_without(error, "batch")

if TYPE_CHECKING:
    from batch.settings import BatchSettings


def main(arguments: list[str] | None = None, settings: BatchSettings | None = None) -> int:
    """Run one command; returns its exit code. `settings`: others than those of the environment."""
    try:
        return perform(commands, "python -m batch", arguments, settings)
    except LockHeldError as error:
        log.error("Not done: %s. Try again when it has ended.", error)
        return Exit.LOCKED
    except NotDoneError as error:
        log.error("Not done: %s", error)
        return error.code
    except BrokenPipeError:  # `… | head` has read enough
        return 0
    except OSError as error:
        log.error("Not done: %s (%s).", error.strerror, error.filename)
        return Exit.FAILED
    except ImportError as error:
        this_python.end_without(error, "batch")
    finally:
        let_go(sys.stdout)


if __name__ == "__main__":
    use_utf8()
    sys.exit(main())
