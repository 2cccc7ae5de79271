"""Telling people: a ping to whoever watches that nights come, and a message after a night when it matters."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests
from pydantic import SecretStr

from batch.exits import is_good
from batch.logs import log
from batch.records.ledger import Ledger, LedgerError
from batch.reporting import health, history, report
from batch.reporting.health import Finding
from batch.reporting.morning import Task, counted
from batch.reporting.report import Report
from batch.settings import BatchSettings
from logformat import entry

PING_SECONDS = 10
PINGS = 3
"""How often a ping is tried: the one that a night has ended should not be lost to a hiccup."""

_LEVEL = "health"
"""The note in the ledger under which the last told level of health is kept."""


@dataclass
class Outcome:
    """The exit code of what runs inside `watched`."""

    code: int = 1


@contextmanager
def watched(settings: BatchSettings) -> Iterator[Outcome]:
    """Call PING_URL at the start and, with the exit code, at the end, as healthchecks.io has it.

    Exit code 3, some files could not be read, is told as 0 unless PING_FAILED_PHOTOS says otherwise.

    >>> with watched(settings) as outcome:  # doctest: +SKIP
    ...     outcome.code = 0
    """
    url = settings.ping_url.get_secret_value().rstrip("/") if settings.ping_url else ""
    outcome = Outcome()
    _ping(url, "start")
    try:
        yield outcome
    finally:
        is_told_as_done = outcome.code == 3 and settings.ping_failed_photos == "success"
        _ping(url, "0" if is_told_as_done else str(outcome.code))


def after_night(settings: BatchSettings, code: int) -> None:
    """Send the summary and the report, if NOTIFY_WHEN and how it went call for it; problems are only logged."""
    if not settings.notify_urls:
        return
    found = health.findings(settings)
    try:
        with Ledger(settings.ledger_path) as ledger:
            run = ledger.last_run()
            has_worsened = health.worst(found) > int(ledger.note(_LEVEL) or health.OK)
            ledger.set_note(_LEVEL, str(health.worst(found)))
            night = report.of_run(settings, ledger, run) if run else None
    except (LedgerError, OSError):  # told below by the findings
        run, night, has_worsened = None, None, True
    if is_good(code) and not has_worsened and settings.notify_when == "trouble":
        return
    page = settings.reports / f"{run.run_id}.html" if run else None
    send(
        settings.notify_urls,
        title=_title(night, code, found),
        text=_text(night, found),
        attachment=str(page) if page and page.exists() else "",
    )


def send(urls: Iterable[SecretStr], title: str, text: str, attachment: str = "") -> bool:
    """Send one message to all of NOTIFY_URLS (`urls`); whether all of them took it."""
    import apprise  # slow to load, and needed by few nights

    sent = True
    for number, secret in enumerate(urls, 1):
        service = apprise.Apprise()
        if not service.add(secret.get_secret_value()):
            log.warning(
                "NOTIFY_URLS: apprise does not understand address %d; see its list of services.", number
            )
            sent = False
            continue
        form = apprise.NotifyFormat.TEXT
        if not service.notify(title=title, body=text, body_format=form, attach=attachment or None):
            log.warning("NOTIFY_URLS: address %d could not be told.", number)
            sent = False
    return sent


def _ping(url: str, path: str) -> None:
    if not url:
        return
    for _ in range(PINGS):
        try:
            requests.get(f"{url}/{path}", timeout=PING_SECONDS).raise_for_status()
        except (requests.RequestException, ValueError) as error:  # requests cannot read every address
            problem = type(error).__name__  # its text would hold the address, which is a secret
        else:
            return
    log.warning("PING_URL could not be called (%s); the night goes on.", problem)


def _title(night: Report | None, code: int, found: list[Finding]) -> str:
    words = [history.OUTCOMES.get(code, f"exit code {code}")]
    if night:
        words.append(counted(night.seen.swept, "file"))
        if night.seen.predicted:
            words.append(f"{night.seen.review_share * 100:.0f} % to review")
    worst = health.WORDS[health.worst(found)]
    return f"Nightsort: {', '.join(words)}" + ("" if worst == "OK" else f" ({worst})")


def _text(night: Report | None, found: list[Finding]) -> str:
    """How the night went, what to do next, what else is wrong."""
    lines = []
    if night:
        lines += [f"{night.title}: {night.sentence}", *night.troubles, ""]
        lines += (
            ["To do:", *(f"- {_task(task)}" for task in night.tasks)] if night.tasks else ["Nothing to do."]
        )
        lines += ["", f"{night.when}, run {night.name}.", *night.drift]
    wrong = [entry(str(finding)) for finding in found if finding.level]
    return "\n".join([*lines, "", *(wrong or ["Everything else is well."])])


def _task(task: Task) -> str:
    return f"{task.text} (in {task.folder}/)" if task.folder else task.text
