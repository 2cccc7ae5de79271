"""The photos of a run, the search for one, the whole story of one, and the CSV of exactly what is shown."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, render_template, request, stream_with_context, url_for
from werkzeug.exceptions import NotFound

from batch.decisions import listing, story
from batch.decisions.listing import Selection
from batch.decisions.queue import BadKeyError, Page, Sort, top
from batch.decisions.story import Event
from batch.pages.night import mood
from batch.pages.review import chosen
from batch.pages.shared import ledger, settings
from batch.records.ledger import DECISIONS, STATUSES, Decision
from batch.reporting import history, nights, summary

blueprint = Blueprint("photos", __name__)

SHOWN = 60
"""Photos on one page."""

SORTS = {
    Sort.NEWEST: "newest first",
    Sort.OLDEST: "oldest first",
    Sort.DOUBTFUL: "least sure first",
    Sort.ALIKE: "by category",
}

KEPT = ("status", "decision", "audit", "sub", "order", "doubt", "least", "below", "sort")
"""What a selection's address may say."""

STATUS_WORDS = {"processed": "filed", "review": "to review", "failed": "failed", "duplicate": "duplicates"}


@blueprint.get("/runs/<run_id>")
def of_run(run_id: str) -> str:
    """The photos of one run, or for `all` those of every run."""
    book = ledger()
    run = None
    if run_id != "all":
        try:
            run = history.find_run(book, run_id)
        except history.NoSuchRunError as error:
            raise NotFound(str(error)) from None
    selection = _selection(run.run_id if run else "")
    sort = _sort(selection)
    page = _page(lambda after: listing.photos(book, selection, sort, after=after, limit=SHOWN))
    kept: dict[str, Any] = {name: request.args[name] for name in KEPT if request.args.get(name)}
    return render_template(
        "run.html",
        here="runs",
        run=run,
        title=nights.title(run) if run else "All photos",
        outcome=history.OUTCOMES.get(run.exit_code, "") if run else "",
        mood=mood(run) if run else "",
        seen=summary.from_json(run.summary) if run else None,
        settings=history.settings_used(run.settings) if run else {},
        photos=page.photos,
        is_first=not request.args.get("after"),
        older=url_for("photos.of_run", run_id=run_id, **{**kept, "after": page.after}) if page.after else "",
        first=url_for("photos.of_run", run_id=run_id, **kept),
        csv=url_for("photos.csv", run_id=run_id, **kept),
        kept=kept,
        run_id=run_id,
        statuses=STATUS_WORDS,
        decisions=DECISIONS,
        sorts={one.value: words for one, words in SORTS.items() if one in listing.sorts(selection)},
        sort=sort.value,
    )


@blueprint.get("/runs/<run_id>.csv")
def csv(run_id: str) -> Response:
    """The rows of exactly this selection, all of it."""
    book = ledger()
    run = "" if run_id == "all" else run_id
    if run:
        try:
            run = history.find_run(book, run_id).run_id
        except history.NoSuchRunError as error:
            raise NotFound(str(error)) from None
    rows = listing.csv_of(book, _selection(run))
    reply = Response(stream_with_context(rows), mimetype="text/csv; charset=utf-8")
    reply.headers["Content-Disposition"] = f'attachment; filename="nightsort-{run or "all"}.csv"'
    return reply


@blueprint.get("/find")
def found() -> str:
    """Photos whose name, order or checksum begins with a text."""
    book, text = ledger(), request.args.get("find", "").strip()[:255]
    page = Page([], "")
    if text:
        page = _page(lambda after: listing.search(book, text, after=after, limit=SHOWN))
    return render_template(
        "found.html",
        find=text,
        photos=page.photos,
        is_first=not request.args.get("after"),
        first=url_for("photos.found", find=text),
        older=url_for("photos.found", find=text, after=page.after) if page.after else "",
    )


@blueprint.get("/photos/<int(max=9223372036854775807):number>")
def one(number: int) -> str:
    """All that happened to a photo, and where it is."""
    book = ledger()
    told = story.of_photo(book, number)
    row = book.row(number)
    if told is None or row is None:
        raise NotFound("There is no such photo.")
    return render_template(
        "photo.html",
        here="runs",
        row=row,
        is_there=bool(row.moved_to) and (settings().data_dir / row.moved_to).is_file(),
        heads=[
            (words, top(row, head, 5))
            for head, words in (("sub", "Category"), ("background", "Background"), ("colour", "Colour"))
        ],
        events=[_told(event, number) for event in told.events],
        others=[other for other in told.rows if other.id != number],
    )


def _told(event: Event, number: int) -> dict[str, Any]:
    """One thing that happened, in words."""
    row = event.row
    return {
        "at": event.at,
        "words": _in_words(event),
        "why": row.review_reason
        if event.kind == "answered"
        else "taken back since"
        if event.taken_back
        else "",
        "target": event.target if event.is_done else f"{event.target} (on its way)",
        "is_other": row.id != number,
    }


def _in_words(event: Event) -> str:
    row = event.row
    if event.kind == "answered":
        if row.error:
            return f"Failed: {row.error}"
        sure = row.sub_category_probability
        how = f", {100 * sure:.0f} % sure" if sure is not None else ""
        return f"Release {row.model_version or '–'} said {row.sub_category or 'nothing'}{how}"
    if event.kind == "decided":
        who, now = event.by or "Somebody in a file manager", event.changed
        what = [str(now[name]) for name in ("sub_category", "colour", "background_quality") if now.get(name)]
        return f"{who}: {', '.join([event.decision, *what])}"
    who = event.by or "Somebody"
    return {
        "undone": f"{who} took that back",
        "moved by hand": "Moved in a file manager",
        "put back": "Put back into incoming",
        "archived": "Archived",
        "deleted": "Deleted",
    }.get(event.kind, event.kind)


def _selection(run_id: str) -> Selection:
    given = request.args
    status = given.get("status")
    decision = given.get("decision")
    return Selection(
        chosen=replace(chosen(), run=run_id),
        status=status if status in STATUSES else None,
        decision=Decision(decision) if decision in DECISIONS else None,
        audit=bool(given.get("audit")),
    )


def _sort(selection: Selection) -> Sort:
    """The order that the address names, if these photos can be shown in it."""
    named = [sort for sort in listing.sorts(selection) if sort.value == request.args.get("sort")]
    return named[0] if named else Sort.NEWEST


def _page(look: Any) -> Page:
    """A page of a list, or its first one where the address has a key that is none (any more)."""
    try:
        page: Page = look(request.args.get("after", ""))
    except BadKeyError:
        page = look("")
    return page
