"""What every page shares: the ledger of the data folder, the navigation, words for numbers, errors as pages."""

import contextlib
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    jsonify,
    render_template,
    request,
    send_file,
    url_for,
)
from jinja2 import StrictUndefined
from werkzeug.exceptions import BadRequest, HTTPException

import batch.reporting
import decoder
from api_settings import ApiSettings
from batch.decisions import audit, queue
from batch.files.data_folder import StrangeFolderError, claim
from batch.lock import LockHeldError
from batch.logs import log
from batch.pages.pictures import Pictures
from batch.records import moments
from batch.records.ledger import Ledger, LedgerError, Row
from batch.settings import BatchSettings
from settings import load

blueprint = Blueprint("shared", __name__)

COUNTED = 1000
"""More photos of the audit than these are not counted: nobody looks at so many, and counting takes time."""

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
    app.extensions["ledgers"] = threading.local()
    app.extensions["pictures"] = Pictures(int(settings.max_image_mb * 1024 * 1024), _limits())
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        number=lambda value: f"{value:,}",
        percent=lambda share, digits=0: f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%",
        local=moments.shown,
    )
    app.context_processor(_for_every_page)
    app.register_error_handler(HTTPException, _problem)
    for kind in (LedgerError, StrangeFolderError):
        app.register_error_handler(kind, _unavailable)
    app.register_error_handler(LockHeldError, _at_work)
    app.register_error_handler(queue.BadKeyError, lambda error: _problem(BadRequest(str(error))))
    app.register_error_handler(Exception, _fault)
    app.register_blueprint(blueprint)


def settings() -> BatchSettings:
    """The settings of the data folder whose pages these are."""
    found = current_app.extensions["nightsort"]
    assert isinstance(found, BatchSettings)
    return found


def ledger() -> Ledger:
    """The ledger: each thread has it open, until the file is another one (a back-up was put in its place).

    Raises:
        LedgerError: it cannot be used.
        StrangeFolderError: this is not its data folder.
    """
    opened = current_app.extensions["ledgers"]
    path = settings().ledger_path
    if not hasattr(opened, "ledger") or opened.file != _file(path):
        if hasattr(opened, "ledger"):
            opened.ledger.close()
            del opened.ledger
        settings().ledger_path.parent.mkdir(parents=True, exist_ok=True)
        found = Ledger(path)
        claim(settings(), found)
        opened.ledger, opened.file = found, _file(path)
    ledger = opened.ledger
    assert isinstance(ledger, Ledger)
    return ledger


def pictures() -> Pictures:
    """The pictures that were made lately."""
    found = current_app.extensions["pictures"]
    assert isinstance(found, Pictures)
    return found


def sources(row: Row) -> list[Path]:
    """Where the bytes of a row may lie: at its own place, or at those of other photos with the same bytes."""
    places = [row.moved_to, *(other.moved_to for other in ledger().current(row.sha256))]
    return [settings().data_dir / place for place in dict.fromkeys(filter(None, places))]


def _file(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


@blueprint.get("/report.css")
def style() -> Response:
    """The stylesheet of the reports."""
    return send_file(STYLE, mimetype="text/css", max_age=0)


def audit_left() -> str:
    """How many photos of the audit wait, in words; nothing for none."""
    count = audit.open_photos(ledger(), most=COUNTED)
    return f"more than {COUNTED:,}" if count > COUNTED else f"{count:,}" if count else ""


def wants_json() -> bool:
    """Whether a script asks, not a person."""
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def _limits() -> decoder.Limits:
    """What one photo may be and take: as much as for the model server."""
    server = load(ApiSettings)
    return decoder.Limits(megapixels=server.max_image_megapixels, memory_mb=server.max_photo_memory_mb)


def _for_every_page() -> dict[str, Any]:
    found: dict[str, Any] = {"person": g.get("person"), "here": "", "find": "", "to_review": 0}
    if found["person"]:
        found["navigation"] = [(name, words, url_for(endpoint)) for name, words, endpoint in NAVIGATION]
        with contextlib.suppress(LedgerError, StrangeFolderError):  # the page itself says so
            found["to_review"] = queue.counts(ledger()).total
    return found


def _problem(error: HTTPException) -> Any:
    status = HTTPStatus(error.code or 500)
    headers = [(name, value) for name, value in error.get_headers() if name in ("Allow", "Retry-After")]
    if error.response is not None:
        return error.response
    words = error.description or ""
    return _as_page(status.phrase, words, status, headers)


def _unavailable(error: Exception) -> Any:
    log.error("A page could not be shown: %s", error)
    return _as_page("Not just now", f"{str(error).rstrip('.')}.", HTTPStatus.SERVICE_UNAVAILABLE)


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
