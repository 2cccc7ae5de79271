"""The review: photos that wait, one by one or many at once, and the audit of those that were filed.

The three pages are empty frames; their scripts ask here for photos, and send each decision as it is made.
"""

import re
from dataclasses import asdict, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request, url_for
from werkzeug.exceptions import BadRequest, NotFound, Unauthorized

from batch.decisions import audit, desk, leases, queue
from batch.decisions.desk import AlreadyDecidedError, BusyError, CannotDecideError, Decided, GoneError
from batch.decisions.queue import Filter, Sort
from batch.files.filing import FilingError
from batch.pages.access import person
from batch.pages.alike import together
from batch.pages.pictures import SIDES, NoPictureError
from batch.pages.shared import audit_left, ledger, pictures, settings, sources
from batch.records import moments
from batch.records.ledger import Row
from batch.records.verdict import Verdict
from batch.reporting import audit as promise

blueprint = Blueprint("review", __name__)

AHEAD = 12
"""Photos that are handed out at once, to be fetched ahead."""

GRID = 24
"""Photos that are seen at once."""

MOST_HELD = 200
"""Photos that a tab says it has; numbers beyond are not looked at."""

PICTURE_SECONDS = 12 * 3600
"""So long a browser may keep a picture."""

NO_PICTURE = Path(__file__).parent / "static" / "no-picture.svg"
"""Shown in the place of one: browsers show a picture whatever the status is that comes with it."""

FILTERED = ("run", "order", "main", "sub", "doubt")


@blueprint.get("/review")
def one_by_one() -> str:
    """One photo, large."""
    return _page("one_by_one.html", "one by one", "review.waiting")


@blueprint.get("/review/grid")
def grid() -> str:
    """Many photos that the model calls the same."""
    return _page("grid.html", "many at once", "review.alike")


@blueprint.get("/review/audit", endpoint="audit")
def audited() -> str:
    """Photos that were filed, without a trace of what the model said."""
    book, choices = ledger(), _choices()
    found = promise.current(book)
    return render_template(
        "audit.html",
        here="review",
        way="audit",
        choices=choices,
        given=_for_script({"photos": "review.unseen", "decide": "review.answer"}, choices, {})
        | {"unseen": True},
        left=audit_left(),
        agreement=audit.agreement(book),
        statement=promise.statement(found) if found else "",
        is_broken=bool(found and found.is_broken),
    )


@blueprint.get("/review/photos")
def waiting() -> Response:
    """The next photos, leased to a tab."""
    page = leases.take(
        ledger(),
        _tab(request.args),
        chosen(),
        Sort.DOUBTFUL,
        limit=AHEAD,
        after=request.args.get("after", ""),
    )
    return _photos(page)


@blueprint.get("/review/alike")
def alike() -> Response:
    """The next photos by what the model calls them, leased to a tab: those of two grids, so that one is there ahead."""
    page = leases.take(
        ledger(),
        _tab(request.args),
        chosen(),
        Sort.ALIKE,
        limit=2 * GRID,
        after=request.args.get("after", ""),
    )
    return _photos(replace(page, photos=list(together(page.photos))))


@blueprint.get("/review/unseen")
def unseen() -> Response:
    """The next photos of the audit: a number each, and nothing else."""
    has = [int(number) for number in request.args.get("has", "").split(",") if number.isdecimal()][:MOST_HELD]
    found = audit.take(ledger(), _tab(request.args), by=person().name, limit=AHEAD, besides=has)
    return jsonify(
        photos=[{"id": one.photo_id, "picture": _picture(one.photo_id), "answer": {}} for one in found]
    )


@blueprint.post("/review/decide")
def decide() -> Any:
    """One decision."""
    given = _given()
    try:
        decided = desk.decide(
            settings(),
            ledger(),
            _whole(given, "id"),
            _verdict(given.get("verdict")),
            by=person().name,
            over=_text(given, "over"),
        )
    except (CannotDecideError, FilingError) as error:
        return _refusal(error)
    return jsonify(_stored(decided))


@blueprint.post("/review/decide-all")
def decide_all() -> Any:
    """The decisions on one grid; one that cannot be made stops no other."""
    given = _given()
    verdicts = given.get("verdicts")
    if not isinstance(verdicts, list) or len(verdicts) > GRID:
        raise BadRequest("`verdicts` has to be a list of at most 24.")
    wanted = [(_whole(one, "id"), _verdict(one.get("verdict"))) for one in map(_object, verdicts)]
    results = desk.decide_all(settings(), ledger(), wanted, by=person().name)
    answers = [
        {"id": one.photo_id, **_stored(one)}
        if isinstance(one, Decided)
        else {"id": one.photo_id, **_problem(one.error)}
        for one in results
    ]
    return jsonify(results=answers, receipts=[one["receipt"] for one in answers if "problem" not in one])


@blueprint.post("/review/answer")
def answer() -> Any:
    """One answer of the audit."""
    given = _given()
    try:
        receipt = audit.answer(
            settings(),
            ledger(),
            _whole(given, "id"),
            _verdict(given.get("verdict")),
            by=person().name,
            holder=_tab(given),
        )
    except (CannotDecideError, FilingError) as error:
        return _refusal(error, is_unseen=True)
    return jsonify(receipt=receipt)


@blueprint.post("/review/undo")
def undo() -> Any:
    """Take one's own decision back; without a receipt, one's newest, whose photo is shown again."""
    given = _given()
    book, me = ledger(), person().name
    receipt = _text(given, "receipt")
    is_known = bool(receipt)
    if not is_known:
        receipt = desk.newest(book, me)
        if not receipt:
            return jsonify(receipt="", photo=None)
    try:
        undone = desk.undo(settings(), book, receipt, by=me)
    except (CannotDecideError, FilingError) as error:
        return _refusal(error)
    photo = None if is_known else _shown(undone.row, desk.choices(settings(), book).main_of)
    return jsonify(receipt="", photo=photo)


@blueprint.post("/review/renew")
def renew() -> Response:
    """Prolong a tab's leases."""
    given = _given()
    leases.renew(ledger(), _tab(given), _numbers(given))
    return jsonify({})


@blueprint.post("/review/release")
def release() -> Response:
    """Give a tab's leases back."""
    given = _given()
    leases.release(ledger(), _tab(given), _numbers(given) if "ids" in given else None)
    return jsonify({})


@blueprint.get("/picture/<int(max=9223372036854775807):number>/<size>")
def picture(number: int, size: str) -> Response:
    """A photo as it is shown: made anew, whatever its file is."""
    row = ledger().row(number) if size in SIDES else None
    if row is None:
        raise NotFound
    try:
        made = pictures().picture(row.sha256, size, lambda: sources(row))
    except NoPictureError:
        return Response(NO_PICTURE.read_bytes(), HTTPStatus.NOT_FOUND, mimetype="image/svg+xml")
    reply = Response(made, mimetype="image/jpeg")
    reply.headers["Cache-Control"] = f"private, max-age={PICTURE_SECONDS}, immutable"
    return reply


def chosen() -> Filter:
    """Which photos are meant, as the page's address says it."""
    given: dict[str, Any] = {name: request.args[name] for name in FILTERED if request.args.get(name)}
    return Filter(**given, least=_share("least"), below=_share("below"))


def _page(template: str, way: str, photos: str) -> str:
    found, wanted, choices = queue.counts(ledger()), chosen(), _choices()
    query = {
        name: value for name, value in request.args.items() if name in (*FILTERED, "least", "below") and value
    }
    addresses = {
        "photos": photos,
        "decide": "review.decide",
        "decideAll": "review.decide_all",
        "newest": "review.undo",
    }
    return render_template(
        template,
        here="review",
        way=way,
        counts=found,
        chosen={name: value for name, value in asdict(wanted).items() if value not in ("", None)},
        at_most=queue.at_most(found, wanted),
        by_category={sub: count for (_, sub), count in found.categories.items()},
        choices=choices,
        given=_for_script(addresses, choices, query),
        query=query,
    )


def _for_script(addresses: dict[str, str], choices: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    """What a page's script is told: addresses by what they are for, what can be answered, which photos are meant."""
    common = {
        "undo": "review.undo",
        "renew": "review.renew",
        "release": "review.release",
        "home": "night.last",
    }
    return {
        "person": person().name,
        "addresses": {name: url_for(endpoint) for name, endpoint in (common | addresses).items()},
        "choices": choices,
        "query": query,
    }


def _choices() -> dict[str, Any]:
    """What a person may answer, for the page's script."""
    found = desk.choices(settings(), ledger())
    categories = sorted({(sub, main) for sub, main in found.main_of.items()})
    return {
        "categories": [{"main": main, "sub": sub} for sub, main in categories],
        "backgrounds": list(found.backgrounds),
        "colours": list(found.colours),
    }


def _photos(page: queue.Page) -> Response:
    main_of = desk.choices(settings(), ledger()).main_of
    return jsonify(photos=[_shown(row, main_of) for row in page.photos], after=page.after)


def _shown(row: Row, main_of: dict[str, str]) -> dict[str, Any]:
    """A photo as the review's script needs it."""
    known = main_of | {row.sub_category: row.main_category}  # as the release had it that answered
    likely = [
        {"value": {"main": known.get(sub, row.main_category), "sub": sub}, "sure": share}
        for sub, share in queue.top(row, "sub")
    ]
    return {
        "id": row.id,
        "name": row.file_name,
        "order": row.order,
        "reason": row.review_reason,
        "doubts": row.doubts,
        "answer": {
            "main": row.main_category,
            "sub": row.sub_category,
            "background": row.background_quality,
            "colour": row.colour,
        },
        "sure": row.sub_category_probability,
        "categories": likely,
        "colours": [{"value": name, "sure": share} for name, share in queue.top(row, "colour")],
        "picture": _picture(_number(row)),
        "small": url_for("review.picture", number=row.id, size="small"),
        "story": url_for("photos.one", number=row.id),
    }


def _picture(number: int) -> str:
    return url_for("review.picture", number=number, size="large")


def _number(row: Row) -> int:
    assert row.id is not None  # it comes from the ledger
    return row.id


def _stored(decided: Decided) -> dict[str, Any]:
    return {"receipt": decided.receipt, "decision": decided.decision, "place": decided.row.moved_to}


def _refusal(error: CannotDecideError | FilingError, *, is_unseen: bool = False) -> Any:
    if isinstance(error, BusyError):
        return jsonify(problem=str(error)), HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"}
    problem = _problem(error)
    if is_unseen and isinstance(error, AlreadyDecidedError):  # what others said would be a suggestion
        problem = {"problem": "Somebody has answered for this photo already."}
    return jsonify(problem), HTTPStatus.GONE if isinstance(error, GoneError) else HTTPStatus.CONFLICT


def _problem(error: Exception) -> dict[str, Any]:
    """Why a decision was not made, in words; with both answers where somebody else was first."""
    if not isinstance(error, AlreadyDecidedError):
        return {"problem": f"{str(error).rstrip('.')}."}
    who = error.by or "Somebody in a file manager"
    theirs, yours = _apart(error.theirs, error.yours)
    mine = f" You said: {yours}." if yours else ""
    return {
        "problem": f"{who} has decided on this photo already, {moments.shown(error.at)}: {theirs}.{mine}",
        "over": error.receipt,
        "by": who,
        "theirs": theirs,
        "yours": yours,
    }


def _apart(theirs: Verdict, yours: Verdict | None) -> tuple[str, str]:
    """Two answers in words; of colour and background only what tells them apart."""
    if yours is None:
        return in_words(theirs), ""
    if yours.colour in ("", theirs.colour):
        theirs, yours = replace(theirs, colour=""), replace(yours, colour="")
    if yours.background in ("", theirs.background):
        theirs, yours = replace(theirs, background=""), replace(yours, background="")
    return in_words(theirs), in_words(yours)


def in_words(verdict: Verdict) -> str:
    """An answer as people say it.

    >>> in_words(Verdict(main="bottomwear", sub="pants", colour="blue"))
    'pants, blue'
    """
    if verdict.cannot_tell or verdict.no_clothing:
        return "cannot tell" if verdict.cannot_tell else "no clothing"
    return ", ".join(filter(None, (verdict.sub or verdict.main, verdict.colour, verdict.background)))


def _given() -> dict[str, Any]:
    """What the script sent, if the one who sends it is the one who was signed in when it was decided."""
    if not request.is_json:  # which no form of another site can send
        raise BadRequest("Send JSON.")
    given = _object(request.get_json())
    if given.get("as", person().name) != person().name:
        raise Unauthorized("Somebody else is signed in by now.")
    return given


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadRequest("Send a JSON object.")
    return given


def _verdict(given: Any) -> Verdict:
    known = _object(given)
    verdict = Verdict(
        main=_text(known, "main"),
        sub=_text(known, "sub"),
        background=_text(known, "background"),
        colour=_text(known, "colour"),
        no_clothing=known.get("no_clothing") is True,
        cannot_tell=known.get("cannot_tell") is True,
    )
    if not (verdict.sub or verdict.no_clothing or verdict.cannot_tell):
        raise BadRequest("There is no answer in it.")
    return verdict


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > 300:
        raise BadRequest(f"`{name}` has to be a text.")
    return value


def _whole(given: dict[str, Any], name: str) -> int:
    value = given.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise BadRequest(f"`{name}` has to be a number.")
    return value


def _numbers(given: dict[str, Any]) -> list[int]:
    ids = given.get("ids", [])
    if not isinstance(ids, list) or len(ids) > 100:
        raise BadRequest("`ids` has to be a list of at most 100.")
    return [_whole({"id": one}, "id") for one in ids]


def _tab(given: Any) -> str:
    """The tab that asks, as it calls itself."""
    tab = str(given.get("tab", ""))
    if not re.fullmatch(r"[0-9A-Za-z-]{8,64}", tab):
        raise BadRequest("`tab` has to name the tab that asks.")
    return tab


def _share(name: str) -> float | None:
    """A probability in per cent, as the filter's boxes have it."""
    try:
        value = float(request.args.get(name, "")) / 100
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
