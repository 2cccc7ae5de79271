"""How a command ended, in numbers for cron, systemd and whoever else starts it."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes; a signal's is 128 and its number, a locked folder's is EX_TEMPFAIL of <sysexits.h>."""

    ALL_SWEPT = 0
    FAILED = 1
    USAGE = 2
    FAILED_PHOTOS = 3
    LOCKED = 75
    INTERRUPTED = 130
    TERMINATED = 143


class NotDoneError(Exception):
    """A command cannot do what it is for: the message says why, `code` is what it ends with."""

    code = Exit.FAILED


def is_good(code: int | None) -> bool:
    """Whether a night did its work: all was swept, if not all of it could be read. None has not ended yet.

    >>> is_good(Exit.FAILED_PHOTOS), is_good(Exit.LOCKED), is_good(None)
    (True, False, False)
    """
    return code in (Exit.ALL_SWEPT, Exit.FAILED_PHOTOS)
