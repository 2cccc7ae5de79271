"""Photos that failed: why, what can be seen of them, and putting them back for the next night."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound

from batch.decisions import listing
from batch.decisions.listing import Selection
from batch.decisions.queue import BadKeyError, Sort
from batch.files.data_folder import open_ledger
from batch.lock import run_lock
from batch.logs import log
from batch.pages.access import lead_only
from batch.pages.shared import ledger, settings
from batch.reporting.morning import counted
from batch.upkeep import withdraw
from batch.upkeep.withdraw import Choice, NothingFitsError

blueprint = Blueprint("failed", __name__)

SHOWN = 48


@blueprint.get("/failed")
def listed() -> str:
    """Those that lie in `failed`, newest first."""
    book, after = ledger(), request.args.get("after", "")
    selection = Selection(status="failed")
    try:
        page = listing.photos(book, selection, Sort.NEWEST, after=after, limit=SHOWN)
    except BadKeyError:
        page = listing.photos(book, selection, Sort.NEWEST, limit=SHOWN)
    return render_template(
        "failed.html",
        here="failed",
        photos=[row for row in page.photos if row.moved_to],
        older=url_for("failed.listed", after=page.after) if page.after else "",
        is_first=not after,
        put_back=request.args.get("put_back", type=int),
    )


@blueprint.post("/failed/<int(max=9223372036854775807):number>/again")
def again(number: int) -> Any:
    """Put one photo back into `incoming`."""
    row = ledger().row(number)
    if row is None or row.status != "failed" or row.superseded or not row.moved_to:
        raise NotFound("This photo has been put back or taken away since.")
    return _put_back(Choice(failed=True, photo=row.moved_to))


@blueprint.post("/failed/all-again")
@lead_only
def all_again() -> Any:
    """Put every failed photo back, or those of one run."""
    return _put_back(Choice(failed=True, run=request.form.get("run", "")))


def _put_back(choice: Choice) -> Any:
    with run_lock(settings().ledger_path.parent), open_ledger(settings()) as book:
        withdraw.finish(settings(), book)
        try:
            count = withdraw.requeue(settings(), book, choice)
        except NothingFitsError:
            raise NotFound("This photo has been put back or taken away since.") from None
    log.info("Put %s back into incoming, by the pages.", counted(count, "photo"))
    return redirect(url_for("failed.listed", put_back=count), HTTPStatus.SEE_OTHER)
