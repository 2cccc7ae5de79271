"""One night, from the lock to the exit code: recover, start the sidecar, sweep, export, stop the sidecar."""

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import FrameType

import in_use
import logformat
from api_settings import ApiSettings
from batch import config
from batch.exits import Exit, is_good
from batch.files import by_hand, filing
from batch.files.data_folder import StrangeFolderError, claim, open_ledger
from batch.files.scan import Scan
from batch.lock import LockHeldError, run_lock
from batch.logs import first_few, log
from batch.night.sweep import Sweep, SweepError, Tally, found_in
from batch.records import csv_files, moments
from batch.records.ledger import Ledger, LedgerError, Run
from batch.reporting import drift, history, morning, nights, notify, prometheus, report, summary, waiting
from batch.reporting.summary import Summary
from batch.server.pool import Pool, pool_of
from batch.server.sidecar import SidecarDownError
from batch.settings import BatchSettings
from batch.upkeep import schedule, withdraw
from settings import Settings, load

ADDRESS = ("API_HOST", "API_PORT", "API_TOKEN")
"""Settings that are for a server that others use, not for the one that a night starts for itself."""


class NightError(Exception):
    """The night could not do all its work; the message says why and what to do."""


def night(
    settings: BatchSettings, *, wait: bool = False, if_missed: bool = False, somebody_waits: bool = False
) -> int:
    """Sort what lies in `incoming`, and tell who wants to know; returns the exit code (see the README).

    Everything that is already done when something goes wrong is kept; the rest stays in `incoming`. With
    `somebody_waits`, a run that finds nothing but photos that are still too young does as with `wait`.
    """
    try:
        with run_lock(settings.ledger_path.parent):
            if if_missed and not _was_missed(settings):
                log.info("No night was missed: nothing to catch up.")
                return Exit.ALL_SWEPT
            for mistake in config.mistakes():
                log.warning("%s", mistake)
            with notify.watched(settings) as outcome:
                wait = wait or (somebody_waits and _is_worth_waiting(settings))
                outcome.code = sort(settings, wait=wait)
        with _aside("METRICS_FILE"):
            _write_metrics(settings)
        with _aside("Telling NOTIFY_URLS"):
            notify.after_night(settings, outcome.code)
        return outcome.code
    except LockHeldError as error:
        log.error("Not started: %s. Nothing was touched; the other run goes on.", error)
        return Exit.LOCKED
    except OSError as error:
        log.error("Not started: %s (%s).", error.strerror, error.filename)
        return Exit.FAILED


def sort(settings: BatchSettings, *, wait: bool = False) -> int:
    """The night itself, for one who holds the run's lock; returns the exit code."""
    try:
        settings.ledger_path.parent.mkdir(parents=True, exist_ok=True)
        with Ledger(settings.ledger_path) as ledger:
            return _run(settings, ledger, wait=wait)
    except LedgerError as error:
        log.error("The run could not go on: %s.", error)
        return Exit.FAILED
    except OSError as error:
        log.error("The run could not go on: %s (%s). What is done is kept.", error.strerror, error.filename)
        return Exit.FAILED


def export_all(settings: BatchSettings, xlsx: str = "") -> int:
    """Rebuild `predictions.csv` whole from the ledger; returns the exit code.

    `xlsx` names the run (or `last`, or `all` of them) that gets a workbook, too.

    Raises:
        NoSuchRunError: there is no such run.
    """
    try:
        with run_lock(settings.ledger_path.parent), open_ledger(settings) as ledger:
            wanted = history.find_run(ledger, xlsx).run_id if xlsx not in ("", "all") else xlsx
            csv_files.rebuild_csv(ledger, settings.csv_path)
            for run in ledger.runs():
                csv_files.export_run(
                    ledger,
                    settings.predictions,
                    run.run_id,
                    xlsx=wanted in ("all", run.run_id),
                )
    except LockHeldError as error:
        log.error("Not exported: %s.", error)
        return Exit.LOCKED
    except (LedgerError, StrangeFolderError, csv_files.ExportError) as error:
        log.error("Not exported: %s", error)
        return Exit.FAILED
    log.info("Rebuilt %s from the ledger.", settings.csv_path)
    return Exit.ALL_SWEPT


def _was_missed(settings: BatchSettings) -> bool:
    try:
        with Ledger(settings.ledger_path, look=True) as ledger:
            return schedule.is_missed(ledger.last_run(), settings.night_at, datetime.now().astimezone())
    except (LedgerError, OSError):
        return True  # the night itself says what is wrong


def _is_worth_waiting(settings: BatchSettings) -> bool:
    """Whether nothing is in `incoming` but photos that were just added; says that they are waited for."""
    scan = Scan(settings.incoming, settings.settle_seconds, settings.ignore)
    try:
        if next(iter(scan), None) or scan.restless or scan.unreadable or not scan.young:
            return False
    except OSError:  # the night itself says what is wrong
        return False
    log.info(
        "%s just added and may still be uploading. Waiting until nothing has changed for %g s (SETTLE_SECONDS); "
        "Ctrl-C ends it ...",
        _files_were(scan.young), settings.settle_seconds,
    )  # fmt: skip
    return True


def _files_were(count: int) -> str:
    return "1 file was" if count == 1 else f"{count} files were"


def _write_metrics(settings: BatchSettings) -> None:
    if settings.metrics_file is None:
        return
    with Ledger(settings.ledger_path, look=True) as ledger:
        run = ledger.last_run()
    if run:
        prometheus.write(run, settings.metrics_file)


@contextlib.contextmanager
def _aside(what: str) -> Iterator[None]:
    """What is done beside the sorting: whatever goes wrong with it is a line in the log, and fails no night."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        log.warning("%s failed: %s. The photos are sorted all the same.", what, error)


def _run(settings: BatchSettings, ledger: Ledger, *, wait: bool) -> int:
    now = datetime.now(UTC)
    run = Run(run_id=moments.stamp(now), started_at=moments.text_of(now), settings=told(settings))
    tally = Tally()
    problems: list[str] = []
    is_ours = False  # the data folder: nothing is written to one that is not the ledger's
    with _interruptible() as interrupted, _one_row(ledger, run, tally):
        with first_few():
            with _told_in(problems):
                claim(settings, ledger)
                is_ours = True
                problems += _recover(settings, ledger, run)
                _sweep(settings, ledger, run, tally, interrupted, wait=wait)
            if is_ours:
                with _told_in(problems):
                    problems += _export(settings, ledger)
        problems += [tally.why_left_behind()] if tally.left_behind else []
        for problem in problems:
            log.error("%s", problem)
        run.exit_code = _exit_code(tally, problems, interrupted)
        run.finished_at, run.counts = moments.now(), tally.counts()
        run.message = "; ".join([*problems, *filter(None, [tally.remark])])
        ledger.end_run(run)  # what follows may be long: a run that dies in it has done its work
    if is_ours:
        with _aside("Summing up the night"):
            _look_back(settings, ledger, run)
        _report(settings, ledger, run)
    if tally.too_young and not interrupted.signal:
        log.info(
            "%s just added: the next run sorts them. Run again in %g s, or with --wait.",
            _files_were(tally.too_young), settings.settle_seconds,
        )  # fmt: skip
    log.info("%s", last_line(run, tally, settings, _to_review(settings, ledger)))
    return run.exit_code


@contextlib.contextmanager
def _one_row(ledger: Ledger, run: Run, tally: Tally) -> Iterator[None]:
    """A row of the ledger for the run, which is finished whatever ends it: Ctrl-C, `sys.exit` or a full disk."""
    ledger.start_run(run)
    logformat.run_id = run.run_id
    try:
        yield
    except BaseException as error:
        run.exit_code, run.finished_at = _code_of(error), moments.now()
        run.counts, run.message = tally.counts(), f"Stopped: {_in_words(error)}"
        with contextlib.suppress(LedgerError):  # then the next run does it
            ledger.end_run(run)
        raise


@contextlib.contextmanager
def _told_in(problems: list[str]) -> Iterator[None]:
    """Let what ends this part of the night become a sentence; what it did is kept, and the night goes to its end."""
    try:
        yield
    except (NightError, LedgerError, StrangeFolderError) as error:
        problems.append(str(error))
    except OSError as error:
        problems.append(f"The run could not go on: {_in_words(error)}. What is done is kept")
    except MemoryError:
        problems.append("The run could not go on: this machine's memory is used up. What is done is kept")
    except Exception as error:  # noqa: BLE001 - it is told, and the run's row needs its end
        log.exception("The night has come upon a fault of the program; what is done is kept.")
        problems.append(
            f"Stopped by a fault of the program ({_in_words(error)}); please report it with what "
            "`python -m batch logs last` shows"
        )


def _code_of(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code or Exit.FAILED
    return Exit.FAILED


def _in_words(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error} ({error.filename})"
    if isinstance(error, LedgerError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _look_back(settings: BatchSettings, ledger: Ledger, run: Run) -> None:
    """Sum up what the run saw, and compare it with the nights before and with what the release was measured on."""
    seen = summary.sum_up(ledger.filed_rows(run_id=run.run_id))
    run.summary = seen.to_json() if seen.swept else {}
    run.model_version = ", ".join(seen.releases) or run.model_version
    ledger.end_run(run)
    if not seen.predicted:
        return
    with _aside("Comparing the photos with those of other nights"):
        _compare(settings, ledger, run, seen)


def _compare(settings: BatchSettings, ledger: Ledger, run: Run, seen: summary.Summary) -> None:
    runs = ledger.runs(since=moments.days_before(run.started_at, history.REMEMBERED))
    verdict = drift.judge(nights.by_night(runs, settings.night_at), nights.unusual(runs, settings.night_at))
    sentences, unlike = verdict.sentences, ""
    if run.model_version:
        metrics = in_use.folder(settings.model_dir, run.model_version) / "metrics.json"
        unlike = drift.unlike_training(seen, metrics)
        sentences += [*filter(None, [unlike]), *drift.against_release(seen, metrics)]
    run.summary |= {
        "drift": sentences,
        "unusual": verdict.is_unusual,
        "unusual_measures": verdict.measures,
        "unusual_since": str(verdict.since or ""),
        "unlike": unlike,
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
    knows_all = True
    try:
        csv_files.take_over_unknown(ledger, settings.csv_path)
    except csv_files.ExportError as error:
        problems.append(str(error))
        knows_all = False
    finished = filing.recover(ledger, settings.incoming, settings.data_dir, settings.ignore)
    finished += withdraw.finish(settings, ledger)
    if finished:
        log.info("Finished %d moves that an earlier run had begun.", finished)
    # what the CSV has of a run that died can be taken over as long as it has no end
    for earlier in ledger.runs_without_summary() if knows_all else ():
        if earlier.run_id != run.run_id:
            seen = summary.sum_up(ledger.filed_rows(run_id=earlier.run_id))
            earlier.summary = seen.to_json()
            if earlier.exit_code is None:
                earlier.counts = {"swept": seen.swept, **seen.statuses}
                earlier.exit_code, earlier.message = Exit.FAILED, "It died; the next run finished its moves"
                earlier.finished_at = ledger.last_decided(earlier.run_id) or earlier.started_at
            ledger.end_run(earlier)
    if moved := by_hand.follow(settings, ledger):
        log.info("%d photos were moved by hand since; their rows say where they are now.", moved)
    if knows_all and csv_files.lag(ledger).changes:  # what people have decided by day
        try:
            csv_files.update_csv(ledger, settings.csv_path)
        except csv_files.ExportError as error:
            log.warning("%s", error)  # the night's end tries again
    return problems


def _sweep(
    settings: BatchSettings,
    ledger: Ledger,
    run: Run,
    tally: Tally,
    interrupted: "Interruption",
    *,
    wait: bool,
) -> None:
    servers = pool_of(
        [str(url.get_secret_value()) for url in settings.api_url],
        token=settings.api_token.get_secret_value() if settings.api_token else "",
        log_dir=settings.log_dir,
        run_id=run.run_id,
    )
    sweep = Sweep(settings, ledger, servers, run, tally)
    interrupted.on_signal(sweep.stop.set)
    try:
        if not _is_work(settings, tally, wait=wait):
            return  # no need to start a server
        with servers:
            run.model_version = servers.versions[0]
            if len(servers.promises) == 1:
                (run.settings["REVIEW_PRECISION"],) = map("{:g}".format, servers.promises)
            _note_categories(ledger, servers)
            started = time.monotonic()
            try:
                sweep.all_photos(wait=wait)
            finally:
                run.seconds = time.monotonic() - started - sweep.waited
                if servers.versions[1:]:
                    _note_categories(ledger, servers)
    except (SidecarDownError, SweepError, LedgerError) as error:
        raise NightError(f"Stopped: {error}") from error


def _note_categories(ledger: Ledger, servers: Pool) -> None:
    """Remember the categories of all releases that took part, for folders that no photo has gone to yet."""
    with _aside("Asking the model server for its categories"):
        known = json.loads(ledger.note(by_hand.CATEGORIES) or "{}") if servers.versions[1:] else {}
        ledger.set_note(by_hand.CATEGORIES, json.dumps(known | servers.main_of()))


def _is_work(settings: BatchSettings, tally: Tally, *, wait: bool) -> bool:
    """Whether anything waits in `incoming`; counts what is not for this night."""
    scan = Scan(settings.incoming, settings.settle_seconds, settings.ignore)
    if next(found_in(scan), None) or scan.restless or scan.unreadable or (wait and scan.young):
        return True
    tally.too_young, tally.left_alone = scan.young, scan.left_alone
    return False


def _export(settings: BatchSettings, ledger: Ledger) -> list[str]:
    """Write the CSVs; returns what went wrong."""
    problems = []
    try:
        csv_files.update_run_csvs(ledger, settings.predictions, xlsx=settings.xlsx == "yes")
    except (csv_files.ExportError, LedgerError) as error:
        problems.append(str(error))
    try:
        csv_files.update_all(ledger, settings.csv_path, settings.predictions)
    except (csv_files.ExportError, LedgerError) as error:
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
    words: dict[int, str] = {
        Exit.ALL_SWEPT: "Done",
        Exit.FAILED_PHOTOS: "Done, BUT MANY PHOTOS FAILED" if tally.remark else "Done",
        Exit.FAILED: "NOT DONE",
    }
    statuses = {
        "processed": tally.processed,
        "review": tally.review,
        "failed": tally.failed,
        "duplicate": tally.duplicate,
    }
    is_done = is_good(run.exit_code)
    left = [
        f"{tally.too_young:,} just added" if tally.too_young else "",
        f"{tally.left_behind.total():,} that could not be read or moved" if tally.left_behind else "",
        f"{tally.left_alone:,} ignored" if tally.left_alone else "",
    ]
    parts = [
        f"{words.get(run.exit_code or 0, 'Interrupted')}.",
        morning.sentence(Summary(statuses=statuses), tally.too_young, is_done=is_done),
        f"Left in incoming: {', '.join(filter(None, left))}." if any(left) else "",
        f"{to_review:,} to review in all." if to_review else "",
        f"{run.seconds:.1f} s, {tally.swept / run.seconds:.0f} photos/s."
        if tally.swept and run.seconds
        else "",
        f"CSV: {settings.csv_path}",
    ]
    return " ".join(filter(None, parts))


def told(settings: BatchSettings) -> dict[str, str]:
    """What a run remembers that it was told, and the server that it starts, which is alone on its address."""
    if settings.api_url:
        return without_secrets(settings)
    server = without_secrets(load(ApiSettings))
    return {name: value for name, value in server.items() if name not in ADDRESS} | without_secrets(settings)


def without_secrets(settings: Settings) -> dict[str, str]:
    """The settings as text, without secrets, and without those of the pages, which are of no use to a night."""
    values = settings.model_dump(mode="json")
    shown = {
        name.upper(): value
        for name, value in values.items()
        if value not in (None, [], "") and not name.startswith("pages_")
    }
    return {
        name: ", ".join(value) if isinstance(value, list) else str(value) for name, value in shown.items()
    }


def _exit_code(tally: Tally, problems: list[str], interrupted: "Interruption") -> int:
    if interrupted.signal:
        return 128 + interrupted.signal
    if problems:
        return Exit.FAILED
    return Exit.FAILED_PHOTOS if tally.failed else Exit.ALL_SWEPT


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
