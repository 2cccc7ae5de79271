"""What every page shares: the ledger of the data folder, the navigation, words for numbers, errors as pages."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, jsonify, render_template, request, send_file, url_for
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException

import batch.reporting
from batch.lock import LockHeldError
from batch.logs import log
from batch.records import moments
from batch.records.ledger import Ledger, LedgerError
from batch.settings import BatchSettings

blueprint = Blueprint("shared", __name__)

STYLE = Path(batch.reporting.__file__).parent / "templates" / "style.css"
"""The reports': pages and reports look like one family because they have one stylesheet."""

NAVIGATION = (
    ("night", "Last night", "night.last"),
    ("review", "Review", "review.one_by_one"),
    ("runs", "Runs", "night.runs"),
    ("failed", "Failed", "failed.listed"),
)


def register(app: Flask, settings: BatchSettings) -> None:
    """Give the app what pages share."""
    app.extensions["nightsort"] = settings
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        number=lambda value: f"{value:,}",
        percent=lambda share, digits=0: f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%",
        local=moments.shown,
    )
    app.context_processor(_for_every_page)
    app.teardown_appcontext(_close_ledger)
    app.register_error_handler(HTTPException, _problem)
    app.register_error_handler(LedgerError, _unavailable)
    app.register_error_handler(LockHeldError, _at_work)
    app.register_error_handler(Exception, _fault)
    app.register_blueprint(blueprint)


def settings() -> BatchSettings:
    """The settings of the data folder whose pages these are."""
    found = current_app.extensions["nightsort"]
    assert isinstance(found, BatchSettings)
    return found


def ledger() -> Ledger:
    """The ledger, open for as long as this request takes."""
    if "ledger" not in g:
        g.ledger = Ledger(settings().ledger_path)
    found = g.ledger
    assert isinstance(found, Ledger)
    return found


@blueprint.get("/report.css")
def style() -> Response:
    """The stylesheet of the reports."""
    return send_file(STYLE, mimetype="text/css", max_age=0)


def wants_json() -> bool:
    """Whether a script asks, not a person."""
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def _close_ledger(_: BaseException | None) -> None:
    if "ledger" in g:
        g.pop("ledger").close()


def _for_every_page() -> dict[str, Any]:
    found: dict[str, Any] = {"person": g.get("person"), "here": "", "find": "", "to_review": 0}
    if found["person"]:
        found["navigation"] = [(name, words, url_for(endpoint)) for name, words, endpoint in NAVIGATION]
    return found


def _problem(error: HTTPException) -> Any:
    status = HTTPStatus(error.code or 500)
    headers = [(name, value) for name, value in error.get_headers() if name in ("Allow", "Retry-After")]
    if error.response is not None:
        return error.response
    words = error.description or ""
    return _as_page(status.phrase, words, status, headers)


def _unavailable(error: LedgerError) -> Any:
    log.error("A page could not be shown: %s", error)
    return _as_page("The ledger cannot be used", f"{error}.", HTTPStatus.SERVICE_UNAVAILABLE)


def _at_work(_: LockHeldError) -> Any:
    words = "A night is at work on these photos. Try again when it has ended."
    return _as_page("Not just now", words, HTTPStatus.CONFLICT)


def _fault(error: Exception) -> Any:
    log.exception("%s %s failed", request.method, request.path, exc_info=error)
    words = "The pages have a fault; nightsort.log tells more."
    return _as_page("A fault", words, HTTPStatus.INTERNAL_SERVER_ERROR)


def _as_page(title: str, words: str, status: HTTPStatus, headers: Any = ()) -> Any:
    if wants_json():
        return jsonify(problem=words), status, dict(headers)
    return render_template("problem.html", title=title, words=words), status, dict(headers)
