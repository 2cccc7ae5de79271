"""What a person says of a photo, and how that stands in the photo's row.

    verdict = Verdict(main="bottomwear", sub="pants")
    decide(row, verdict, by="ada", now=moments.now())    # the row as it is from then on; the model's answer is kept in it

Pure: nothing is written or moved here. `batch.decisions.desk` does that for people at a page, `batch.files.by_hand` for
those at a file manager.
"""

from dataclasses import dataclass
from enum import StrEnum

from batch.records.ledger import Row


class Decision(StrEnum):
    """What a person's answer is to the model's, as the column `decision` has it."""

    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    NO_CLOTHING = "no clothing"
    AUDITED = "audited"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Verdict:
    """A person's answer: a category, `no_clothing`, or `cannot_tell`. An empty background or colour leaves what is there.

    >>> Verdict(main="bottomwear", sub="pants", colour="blue")  # doctest: +SKIP
    """

    main: str = ""
    sub: str = ""
    background: str = ""
    colour: str = ""
    no_clothing: bool = False
    cannot_tell: bool = False


def decide(row: Row, verdict: Verdict, *, by: str, now: str) -> Row:
    """A copy of the row as a person's answer makes it; `moved_to` stays, for whoever moves the photo."""
    raise NotImplementedError


def verdict_of(row: Row) -> Verdict:
    """What the row of a decided photo says that the person said; of any other, the model's answer."""
    raise NotImplementedError


def as_the_model_had_it(row: Row) -> Row:
    """A copy of the row without any person's decision: the night's own record."""
    raise NotImplementedError
