"""When a night is due, whether one was missed, and a clock for machines that have no cron of their own."""

import os
import signal
import subprocess
import sys
import threading
from datetime import date, datetime, time, timedelta
from types import FrameType

import schedule

from batch.exits import is_good
from batch.logs import log
from batch.records import moments
from batch.records.ledger import Ledger, Run
from batch.settings import BatchSettings
from settings import ROOT

EARLY = timedelta(hours=1)
"""A run that begins so much before a night is due is that night's: cron and NIGHT_AT need not agree to the minute."""

LATE = timedelta(hours=1)
"""A night may begin so much later than it was due: a machine may be busy starting."""

TICK_SECONDS = 20
"""How often the clock is looked at: a machine that slept, or whose clock was set, is noticed after so long."""


def last_due(night_at: time, now: datetime) -> datetime:
    """The last moment at which a night was due, in the machine's time zone; `now` has one, too.

    Where the clocks go forward over it, it is an hour earlier; where they go back, the first of the two.
    """
    today = datetime.combine(now.astimezone().date(), night_at).astimezone()
    if today <= now:
        return today
    return datetime.combine(now.astimezone().date() - timedelta(days=1), night_at).astimezone()


def night_of(moment: str, night_at: time) -> date:
    """The night that a run belongs to which began at this moment of the ledger: the date on which it was due.

    Whatever runs until the next night is due belongs to it, too.
    """
    return last_due(night_at, moments.local(moment) + EARLY).date()


def is_missed(last: Run | None, night_at: time, now: datetime) -> bool:
    """Whether no run has started since the last night was due; `last` is the one that started last."""
    return last is None or moments.local(last.started_at) < last_due(night_at, now)


def keep(settings: BatchSettings, at: time, every: timedelta | None = None) -> int:
    """Run a night at this time of each day (and every so often in between) until SIGTERM; returns the exit code.

    A night that fails, or dies, is a line in the log and nothing else. A night missed while the machine was off
    or asleep is caught up once.
    """
    keeper = _Keeper()
    clock = schedule.Scheduler()
    clock.every().day.at(f"{at:%H:%M}").do(keeper.night)
    if every:
        clock.every(int(every.total_seconds())).seconds.do(keeper.night)
    log.info(
        "Nights at %s%s. Next: %s. End it with Ctrl-C or SIGTERM.",
        f"{at:%H:%M}",
        f", and every {every} in between" if every else "",
        clock.next_run,
    )
    with Ledger(settings.ledger_path, look=True) as ledger:
        last = ledger.last_run()
    if is_missed(last, at, datetime.now().astimezone()):
        log.info("The last night was missed: catching up.")
        keeper.night()
    while not keeper.stop.wait(min(TICK_SECONDS, max(0.0, clock.idle_seconds or 0.0))):
        clock.run_pending()
    log.info("The clock has ended.")
    return 0


class _Keeper:
    """Runs nights as processes of their own, and ends the one at work when it is told to end itself."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._night: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)

    def night(self) -> None:
        if self.stop.is_set():
            return
        self._night = subprocess.Popen(
            [sys.executable, "-m", "batch", "run"],
            cwd=ROOT,
            # nobody waits for it
            stdin=subprocess.DEVNULL,
            # Ctrl-C comes to it once, through us: a second one is "at once"
            start_new_session=os.name == "posix",
        )
        code = self._night.wait()
        self._night = None
        if not is_good(code):
            log.warning("The night ended with %d; the next one comes all the same.", code)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self.stop.set()
        if self._night is not None:
            self._night.terminate()
