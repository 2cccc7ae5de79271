"""One night, from the lock to the exit code: recover, start the sidecar, sweep, export, stop the sidecar."""

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import FrameType

import logformat
from batch import (
    acts,
    by_hand,
    drift,
    export,
    filing,
    history,
    metrics,
    nights,
    notify,
    report,
    schedule,
    summary,
    waiting,
)
from batch.data_folder import StrangeFolderError, claim, open_ledger
from batch.ledger import Ledger, LedgerError, Run
from batch.lock import LockHeldError, run_lock
from batch.logs import log
from batch.scan import Scan
from batch.settings import BatchSettings
from batch.sidecar import Sidecar, SidecarDownError
from batch.sweep import Sweep, SweepError, Tally

EXIT_ALL_SWEPT, EXIT_FAILED, EXIT_USAGE, EXIT_FAILED_PHOTOS, EXIT_LOCKED = 0, 1, 2, 3, 75


class NightError(Exception):
    """The night could not do all its work; the message says why and what to do, `tally` what it did."""

    def __init__(self, message: str, tally: Tally) -> None:
        super().__init__(message)
        self.tally = tally


def night(settings: BatchSettings, *, wait: bool = False, if_missed: bool = False) -> int:
    """Sort what lies in `incoming`, and tell who wants to know; returns the exit code (see the README).

    Everything that is already done when something goes wrong is kept; the rest stays in `incoming`.
    """
    try:
        with run_lock(settings.ledger_path.parent):
            if if_missed and not _was_missed(settings):
                log.info("No night was missed: nothing to catch up.")
                return EXIT_ALL_SWEPT
            with notify.watched(settings) as outcome:
                outcome.code = sort(settings, wait=wait)
        with _aside("METRICS_FILE"):
            _write_metrics(settings)
        with _aside("Telling NOTIFY_URLS"):
            notify.after_night(settings, outcome.code)
        return outcome.code
    except LockHeldError as error:
        log.error("Not started: %s. Nothing was touched; the other run goes on.", error)
        return EXIT_LOCKED
    except OSError as error:
        log.error("Not started: %s (%s).", error.strerror, error.filename)
        return EXIT_FAILED


def sort(settings: BatchSettings, *, wait: bool = False) -> int:
    """The night itself, for one who holds the run's lock; returns the exit code."""
    try:
        with Ledger(settings.ledger_path) as ledger:
            return _run(settings, ledger, wait=wait)
    except LedgerError as error:
        log.error("The run could not go on: %s.", error)
        return EXIT_FAILED
    except OSError as error:
        log.error("The run could not go on: %s (%s). What is done is kept.", error.strerror, error.filename)
        return EXIT_FAILED


def export_all(settings: BatchSettings) -> int:
    """Rebuild `predictions.csv` whole from the ledger; returns the exit code."""
    try:
        with run_lock(settings.ledger_path.parent), open_ledger(settings) as ledger:
            export.rebuild_csv(ledger, settings.csv_path)
            for run in ledger.runs():
                export.export_run(ledger, settings.data_dir / "predictions", run.run_id)
    except LockHeldError as error:
        log.error("Not exported: %s.", error)
        return EXIT_LOCKED
    except (LedgerError, StrangeFolderError, export.ExportError) as error:
        log.error("Not exported: %s", error)
        return EXIT_FAILED
    log.info("Rebuilt %s from the ledger.", settings.csv_path)
    return EXIT_ALL_SWEPT


def _was_missed(settings: BatchSettings) -> bool:
    try:
        with Ledger(settings.ledger_path, look=True) as ledger:
            return schedule.is_missed(ledger.last_run(), settings.night_at, datetime.now().astimezone())
    except (LedgerError, OSError):
        return True  # the night itself says what is wrong


def _write_metrics(settings: BatchSettings) -> None:
    if settings.metrics_file is None:
        return
    with Ledger(settings.ledger_path, look=True) as ledger:
        run = ledger.last_run()
    if run:
        metrics.write(run, settings.metrics_file)


@contextlib.contextmanager
def _aside(what: str) -> Iterator[None]:
    """What is done beside the sorting: whatever goes wrong with it is a line in the log, and fails no night."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        log.warning("%s failed: %s. The photos are sorted all the same.", what, error)


def _run(settings: BatchSettings, ledger: Ledger, *, wait: bool) -> int:
    now = datetime.now(UTC)
    run = Run(run_id=now.strftime("%Y%m%dT%H%M%SZ"), started_at=_now(), settings=told(settings))
    ledger.start_run(run)
    logformat.run_id = run.run_id
    tally, problems = Tally(), []
    is_ours = True  # the ledger's data folder: nothing is written to another one
    with _interruptible() as interrupted:
        try:
            claim(settings, ledger)
            problems += _recover(settings, ledger, run)
            tally = _sweep(settings, ledger, run, interrupted, wait=wait)
        except StrangeFolderError as error:
            problems.append(str(error))
            is_ours = False
        except NightError as error:
            problems.append(str(error))
            tally = error.tally
        if is_ours:
            problems += _export(settings, ledger)
    if tally.left_behind:
        problems.append(f"{tally.left_behind} photos could not be read or moved and are still in incoming")
    for problem in problems:
        log.error("%s", problem)
    run.exit_code = _exit_code(tally, problems, interrupted)
    run.finished_at, run.counts, run.message = _now(), tally.counts(), "; ".join(problems)
    ledger.end_run(run)  # what follows may be long: a run that dies in it has done its work
    if is_ours:
        _look_back(settings, ledger, run)
        _report(settings, ledger, run)
    log.info("%s", last_line(run, tally, settings, _to_review(settings, ledger)))
    return run.exit_code


def _look_back(settings: BatchSettings, ledger: Ledger, run: Run) -> None:
    """Sum up what the run saw, and compare it with the nights before and with what the release was measured on."""
    seen = summary.sum_up(ledger.filed_rows(run_id=run.run_id))
    run.summary = seen.to_json() if seen.swept else {}
    ledger.end_run(run)
    if not seen.predicted:
        return
    with _aside("Comparing the photos with those of other nights"):
        _compare(settings, ledger, run, seen)


def _compare(settings: BatchSettings, ledger: Ledger, run: Run, seen: summary.Summary) -> None:
    runs = ledger.runs(since=history.days_before(run.started_at, history.REMEMBERED))
    verdict = drift.judge(nights.by_night(runs, settings.night_at), nights.unusual(runs, settings.night_at))
    sentences = verdict.sentences
    if run.model_version:
        sentences += drift.against_release(seen, settings.model_dir / run.model_version / "metrics.json")
    run.summary |= {
        "drift": sentences,
        "unusual": verdict.is_unusual,
        "unusual_measures": verdict.measures,
        "unusual_since": str(verdict.since or ""),
    }
    ledger.end_run(run)


def _report(settings: BatchSettings, ledger: Ledger, run: Run) -> None:
    """Write what people read in the morning."""
    with _aside("The report"):
        if report.is_wanted(settings, ledger, run):
            log.info("The report: %s", report.write(settings, ledger, report.of_run(settings, ledger, run)))


def _recover(settings: BatchSettings, ledger: Ledger, run: Run) -> list[str]:
    """Finish what earlier runs and commands had begun when they died, and learn what people did since.

    Returns what went wrong with it.
    """
    problems = []
    try:
        export.take_over_unknown(ledger, settings.csv_path)
    except export.ExportError as error:
        problems.append(str(error))
    finished = filing.recover(ledger, settings.incoming, settings.data_dir)
    finished += acts.finish(settings, ledger)
    if finished:
        log.info("Finished %d moves that an earlier run had begun.", finished)
    for earlier in ledger.runs_without_summary():
        if earlier.run_id != run.run_id:
            seen = summary.sum_up(ledger.filed_rows(run_id=earlier.run_id))
            earlier.summary = seen.to_json()
            if earlier.exit_code is None:
                earlier.counts = {"swept": seen.swept, **seen.statuses}
                earlier.message = "It died; the next run finished its moves"
            ledger.end_run(earlier)
    if moved := by_hand.follow(settings, ledger):
        log.info("%d photos were moved by hand since; their rows say where they are now.", moved)
    return problems


def _sweep(
    settings: BatchSettings, ledger: Ledger, run: Run, interrupted: "Interruption", *, wait: bool
) -> Tally:
    waiting = Scan(settings.incoming, settings.settle_seconds, settings.ignore)
    if next(iter(waiting), None) is None and not waiting.restless and not (wait and waiting.young):
        return Tally(too_young=waiting.young, left_alone=waiting.left_alone)  # no need to start a server
    sidecar = Sidecar(
        log_dir=settings.log_dir,
        url=str(settings.api_url or ""),
        token=settings.api_token.get_secret_value() if settings.api_token else "",
        run_id=run.run_id,
    )
    sweep = Sweep(settings, ledger, sidecar, run)
    interrupted.on_signal(sweep.stop.set)
    try:
        with sidecar:
            run.model_version = sidecar.model_version
            with _aside("Asking the model server for its categories"):
                ledger.set_note(by_hand.CATEGORIES, json.dumps(sidecar.client.main_of()))
            started = time.monotonic()
            try:
                return sweep.all_photos(wait=wait)
            finally:
                run.seconds = time.monotonic() - started
    except (SidecarDownError, SweepError, LedgerError) as error:
        raise NightError(f"Stopped: {error}", sweep.tally) from error


def _export(settings: BatchSettings, ledger: Ledger) -> list[str]:
    """Write the CSVs; returns what went wrong."""
    folder = settings.data_dir / "predictions"
    problems = []
    try:
        export.update_run_csvs(ledger, folder)
    except (export.ExportError, LedgerError) as error:
        problems.append(str(error))
    try:
        export.update_all(ledger, settings.csv_path, folder)
    except (export.ExportError, LedgerError) as error:
        problems.append(str(error))
    return problems


def _to_review(settings: BatchSettings, ledger: Ledger) -> int:
    """How many photos wait for a person, of all nights."""
    count = 0
    with _aside("Counting what waits for review"):
        count, _ = waiting.for_review(ledger, settings.data_dir)
    return count


def last_line(run: Run, tally: Tally, settings: BatchSettings, to_review: int = 0) -> str:
    """The last line of a night; `to_review` photos wait for a person, of all nights."""
    words = {0: "Done", EXIT_FAILED_PHOTOS: "Done, with failed photos", EXIT_FAILED: "NOT DONE"}
    rate = tally.swept / run.seconds if run.seconds else 0.0
    rest = [
        f"{tally.too_young} too young" if tally.too_young else "",
        f"{tally.left_behind} left in incoming" if tally.left_behind else "",
        f"{tally.left_alone} other files left alone" if tally.left_alone else "",
    ]
    return (
        f"{words.get(run.exit_code or 0, 'Interrupted')}: swept {tally.swept} "
        f"(processed {tally.processed}, for review {tally.review}, failed {tally.failed}, "
        f"duplicates {tally.duplicate}{''.join(', ' + part for part in rest if part)}) "
        f"in {run.seconds:.1f} s, {rate:.0f} photos/s; "
        f"{f'{to_review} to review in all; ' if to_review else ''}CSV: {settings.csv_path}"
    )


def told(settings: BatchSettings) -> dict[str, str]:
    """The settings as text, without secrets: a run remembers what it was told."""
    values = json.loads(settings.model_dump_json())
    shown = {name.upper(): value for name, value in values.items() if value not in (None, [], "")}
    return {
        name: ", ".join(value) if isinstance(value, list) else str(value) for name, value in shown.items()
    }


def _exit_code(tally: Tally, problems: list[str], interrupted: "Interruption") -> int:
    if interrupted.signal:
        return 128 + interrupted.signal
    if problems:
        return EXIT_FAILED
    return EXIT_FAILED_PHOTOS if tally.failed else EXIT_ALL_SWEPT


class Interruption:
    """Which signal asked the night to end, if one did."""

    def __init__(self) -> None:
        self.signal = 0
        self._callbacks: list[Callable[[], None]] = []

    def on_signal(self, callback: Callable[[], None]) -> None:
        """Call this when a signal comes, or now if one has come."""
        self._callbacks.append(callback)
        if self.signal:
            callback()

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Note the signal; a second one ends the process at once, as if there were no handler."""
        if self.signal:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.signal = number
        log.warning("Interrupted: finishing what is in flight, leaving the rest in incoming ...")
        for callback in self._callbacks:
            callback()


@contextlib.contextmanager
def _interruptible() -> Iterator[Interruption]:
    """Let SIGINT and SIGTERM end the night in order instead of in the middle of something."""
    interruption = Interruption()
    before = {
        number: signal.signal(number, interruption.handle) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
