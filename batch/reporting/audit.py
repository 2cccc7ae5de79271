"""Whether the photos filed without a person are as right as promised: what people said of the random sample.

    audit = examine(["right", "wrong", "right", "open"], promise=0.97)
    audit.right, audit.answered, audit.is_broken
    statement(audit)

The sample comes in a fixed order, night by night and within a night by checksum, and is read up to the first photo that
nobody has answered: an error that somebody happened to notice counts when its turn comes, as the right ones around it do.
A photo of which nobody can tell is counted apart. Sample and test begin anew with each release and each promise.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from batch.records.ledger import Ledger

FALSE_ALARMS = 0.05
"""Of so many kept promises, at most, the test ever says that they are broken, however often people look."""

STRENGTHS = 15
"""How many shares of wrong photos the test sets against the promised one."""

MOST = 700.0
"""The largest logarithm of evidence that is told apart: a float holds no more."""

Verdict = Literal["right", "wrong", "cannot tell", "open"]


@dataclass(frozen=True)
class Audit:
    """The sample of one release and promise, as far as it is answered without a gap."""

    release: str
    promise: float
    right: int = 0
    wrong: int = 0
    cannot_tell: int = 0
    later: int = 0
    """Photos that come after: the first one still open, and all behind it."""
    is_broken: bool = False
    """Whether the promise is shown to be broken."""

    @property
    def answered(self) -> int:
        """The photos that count."""
        return self.right + self.wrong

    @property
    def share(self) -> float:
        """The share of them that is right; 0 where there are none."""
        return self.right / self.answered if self.answered else 0.0


def current(ledger: Ledger) -> Audit | None:
    """The sample of the release that was in use last, at the promise that it made then; None before there is one."""
    release, promise = ledger.last_promise()
    if not release:
        return None
    verdicts = (_verdict(decision, is_same) for _, decision, is_same in ledger.sample(release, promise))
    return examine(verdicts, promise=float(promise), release=release)


def examine(verdicts: Iterable[Verdict], *, promise: float, release: str = "") -> Audit:
    """What the verdicts say, which come in the order of the sample.

    >>> examine(["right", "cannot tell", "wrong", "open", "right"], promise=0.97).later
    2
    """
    counts = {"right": 0, "wrong": 0, "cannot tell": 0}
    is_broken, rest = False, iter(verdicts)
    later = 0
    for verdict in rest:
        if verdict == "open":
            later = 1 + sum(1 for _ in rest)
            break
        counts[verdict] += 1
        if verdict == "wrong":  # nothing else is evidence against the promise
            found = evidence(counts["wrong"], counts["right"] + counts["wrong"], 1 - promise)
            is_broken = is_broken or found >= 1 / FALSE_ALARMS
    return Audit(release, promise, counts["right"], counts["wrong"], counts["cannot tell"], later, is_broken)


def evidence(wrong: int, of: int, tolerated: float) -> float:
    """How strongly so many wrong photos speak against a promise that tolerates this share: at 20, it is broken.

    It is what one has who began with 1 and bet against the promise, at fair odds, with each photo. As long as the promise
    is kept, nobody wins on average, so 20 is ever reached with a probability of 1/20 at most, whenever and however often
    one looks (Ville's inequality). The stake is spread over STRENGTHS shares between the tolerated one and 1: Waudby-Smith
    and Ramdas 2024, "Estimating means of bounded random variables by betting", Journal of the Royal Statistical Society B
    86(1); the mixture is Robbins' (1970, "Statistical methods related to the law of the iterated logarithm").

    >>> evidence(0, 100, 0.03) < 1 < evidence(12, 100, 0.03)
    True
    """
    won = [
        wrong * math.log(share / tolerated) + (of - wrong) * math.log((1 - share) / (1 - tolerated))
        for share in _alternatives(tolerated)
    ]
    return sum(math.exp(min(logarithm, MOST)) for logarithm in won) / len(won)


def interval(right: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """The shares that fit so many right ones: the exact interval of Clopper and Pearson (1934, Biometrika 26).

    >>> low, high = interval(207, 212)
    >>> f"{100 * low:.1f} to {100 * high:.1f}"
    '94.6 to 99.2'
    """
    tail = (1 - confidence) / 2
    low = _where(lambda share: _at_most(of - right, of, 1 - share) < tail) if right else 0.0
    high = _where(lambda share: _at_most(right, of, share) > tail) if right < of else 1.0
    return low, high


def statement(audit: Audit) -> str:
    """The sample in words; nothing as long as no photo counts.

    >>> statement(Audit("r1", 0.97, right=207, wrong=5))
    'Of 212 audited photos 207 are right: 97.6 % (95 % interval 94.6 to 99.2), promised 97 %.'
    """
    if not audit.answered:
        return ""
    low, high = interval(audit.right, audit.answered)
    photos = "1 audited photo" if audit.answered == 1 else f"{audit.answered:,} audited photos"
    are = "is" if audit.right == 1 else "are"
    text = (
        f"Of {photos} {audit.right:,} {are} right: {100 * audit.share:.1f} % (95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f}), promised {100 * audit.promise:g} %."
    )
    if audit.cannot_tell:
        text += f" Of {audit.cannot_tell:,} more nobody could tell."
    if audit.is_broken:
        text += (
            " The promise is not kept: raise REVIEW_PRECISION, or fit the release to your own photos (`python -m model "
            "calibrate`)."
        )
    return text


def _verdict(decision: str, is_same: bool) -> Verdict:
    """What a decision says of the model's answer; a person who changed the colour alone found main and sub right."""
    if decision == "cannot tell":
        return "cannot tell"
    if not decision:
        return "open"
    return "right" if is_same else "wrong"


def _alternatives(tolerated: float) -> Iterator[float]:
    """Shares of wrong photos between the tolerated one and 1, each as many times as large as the one before."""
    return (tolerated ** (1 - step / (STRENGTHS + 1)) for step in range(1, STRENGTHS + 1))


def _where(is_left: Callable[[float], bool]) -> float:
    """The share between 0 and 1 at which a condition that holds to the left of it ceases to hold."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if is_left(middle) else (low, middle)
    return (low + high) / 2


def _at_most(number: int, of: int, share: float) -> float:
    """The probability of this number or fewer among so many, each with this probability."""
    if not 0 < share < 1:
        return 1.0 if share <= 0 or number == of else 0.0
    if number > of * share:  # the shorter sum, whose terms fall from the first one on
        return 1 - _at_most(of - number - 1, of, 1 - share) if number < of else 1.0
    total, odds = 0.0, share / (1 - share)
    term = math.exp(
        math.lgamma(of + 1) - math.lgamma(number + 1) - math.lgamma(of - number + 1)
        + number * math.log(share) + (of - number) * math.log1p(-share)
    )  # fmt: skip
    while number >= 0 and term > total * 1e-16:
        total += term
        term *= number / ((of - number + 1) * odds)
        number -= 1
    return total
