"""Moments as the ledger and the CSV have them: UTC, to the second, `2026-11-20T02:00:31Z`.

Their texts sort as the moments do.
"""

from datetime import UTC, datetime, timedelta

FORM = "%Y-%m-%dT%H:%M:%SZ"
STAMP = "%Y%m%dT%H%M%SZ"


def now() -> str:
    """This moment."""
    return text_of(datetime.now(UTC))


def text_of(moment: datetime) -> str:
    """The text of a moment, whichever time zone it has.

    >>> text_of(datetime.fromisoformat("2026-11-20T03:00:31.9+01:00"))
    '2026-11-20T02:00:31Z'
    """
    return moment.astimezone(UTC).strftime(FORM)


def stamp(moment: datetime) -> str:
    """The same moment without the marks, as run ids and names of files have it.

    >>> stamp(datetime.fromisoformat("2026-11-20T03:00:31+01:00"))
    '20261120T020031Z'
    """
    return moment.astimezone(UTC).strftime(STAMP)


def local(moment: str) -> datetime:
    """A moment of the ledger, in the machine's own time zone."""
    return datetime.fromisoformat(moment).astimezone()


def shown(moment: str) -> str:
    """A moment of the ledger as people read it, in the machine's own time zone; `""` for none."""
    return f"{local(moment):%Y-%m-%d %H:%M}" if moment else ""


def days_before(moment: str, days: int) -> str:
    """A moment of the ledger, so many days earlier.

    >>> days_before("2026-11-20T02:00:31Z", 30)
    '2026-10-21T02:00:31Z'
    """
    return text_of(datetime.fromisoformat(moment) - timedelta(days=days))
