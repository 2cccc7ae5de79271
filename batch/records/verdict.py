"""What a person says of a photo, and how that stands in the photo's row.

    verdict = Verdict(main="bottomwear", sub="pants")
    decide(row, verdict, by="ada", now=moments.now())    # the row as it is from then on; the model's answer is kept in it

Pure: nothing is written or moved here. `batch.decisions.desk` does that for people at a page, `batch.files.by_hand` for
those at a file manager.
"""

import json
from dataclasses import dataclass, replace

from batch.records.ledger import MODEL_ANSWER, Decision, Row

AUDIT = "audit"
"""The last word of `review_reason` of a sure photo that people check."""

NO_CLOTHING = Decision.NO_CLOTHING.value
"""The folder below `processed` for photos without clothing; no category may have its name."""


@dataclass(frozen=True)
class Verdict:
    """A person's answer: a category, `no_clothing`, or `cannot_tell`. An empty background or colour leaves what is there.

    >>> Verdict(main="bottomwear", sub="pants", colour="blue").sub
    'pants'
    """

    main: str = ""
    sub: str = ""
    background: str = ""
    colour: str = ""
    no_clothing: bool = False
    cannot_tell: bool = False


def decide(row: Row, verdict: Verdict, *, by: str, now: str) -> Row:
    """A copy of the row as a person's answer makes it; `moved_to` stays, for whoever moves the photo.

    What the model had said is put back first, so that one decision after another ends as the last one alone would; but
    for background and colour, which stay as they are unless the verdict names them.
    """
    models = as_the_model_had_it(row)
    now_is = replace(keep_models_answer(models), decided_by=by, decided_at=now)
    if verdict.cannot_tell:
        stays = models if row.decision else row
        return replace(
            keep_models_answer(stays),
            needs_review=False,
            decision=Decision.CANNOT_TELL,
            decided_by=by,
            decided_at=now,
        )
    now_is.status, now_is.needs_review, now_is.error, now_is.duplicate_of = "processed", False, "", ""
    now_is.review_reason = AUDIT if is_of_audit(row) else ""
    if verdict.no_clothing:
        for name in _ANSWERS:
            _set(now_is, name, "")
        now_is.decision = Decision.NO_CLOTHING
        return now_is
    stays = models if row.decision == Decision.NO_CLOTHING else row
    _set(now_is, "main_category", verdict.main)
    _set(now_is, "sub_category", verdict.sub)
    _set(now_is, "background_quality", verdict.background or stays.background_quality)
    _set(now_is, "colour", verdict.colour or stays.colour)
    same_kind = category_of(now_is) == category_of(models)
    if is_of_audit(row):
        now_is.decision = Decision.AUDITED if same_kind else Decision.CORRECTED
    else:
        same = all(getattr(now_is, name) == getattr(models, name) for name in _ANSWERS)
        now_is.decision = Decision.ACCEPTED if same else Decision.CORRECTED
    return now_is


def verdict_of(row: Row) -> Verdict:
    """What the row of a decided photo says that the person said; of any other, the model's answer."""
    return Verdict(
        main=row.main_category,
        sub=row.sub_category,
        background=row.background_quality,
        colour=row.colour,
        no_clothing=row.decision == Decision.NO_CLOTHING,
        cannot_tell=row.decision == Decision.CANNOT_TELL,
    )


def as_the_model_had_it(row: Row) -> Row:
    """A copy of the row without any person's decision: the night's own record, but for where the photo lies now."""
    models = replace(row, decision="", decided_by="", decided_at="")
    if row.model_answer:
        for name, value in json.loads(row.model_answer).items():
            setattr(models, name, value)
    return models


def keep_models_answer(row: Row) -> Row:
    """A copy of the row that has the model's answer beside what people will make of it."""
    return replace(row, model_answer=row.model_answer or _answer_of(row))


def is_of_audit(row: Row) -> bool:
    """Whether the photo belongs to the sample of sure ones that people check; its duplicates do not."""
    return AUDIT in row.review_reason and row.status != "duplicate"


def category_of(row: Row) -> tuple[str, str]:
    """Main and sub-category of a row."""
    return row.main_category, row.sub_category


_ANSWERS = ("main_category", "sub_category", "background_quality", "colour")


def _set(row: Row, name: str, answer: str) -> None:
    """Write an answer; another one than the model's has no probability."""
    if getattr(row, name) != answer:
        setattr(row, name, answer)
        setattr(row, f"{name}_probability", None)


def _answer_of(row: Row) -> str:
    return json.dumps({name: getattr(row, name) for name in MODEL_ANSWER})
