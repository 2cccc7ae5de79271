"""From the network's scores to answers a person can read, and to doubts.

answers = decode(scores, classes, review_precision=0.97)
answers[0].sub.name, answers[0].needs_review, answers[0].review_reason
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from model.serving.classes import FEATURES, HEADS, LOOKS, Classes
from model.serving.familiar import UNLIKE, Familiar

HALF: Final = 0.5
"""Below this probability of clothing a photo is suspected to show none."""

EVEN: Final = 0.9
"""Two sub-categories are equally likely when the second one's probability is this share of the first one's."""


@dataclass(frozen=True)
class HeadAnswer:
    """One head's answer: the chosen class, its probability, and every class's."""

    name: str
    probability: float
    probabilities: dict[str, float]

    def top(self, k: int = 3) -> list[tuple[str, float]]:
        """The k most probable classes, best first."""
        names = sorted(self.probabilities, key=self.probabilities.__getitem__, reverse=True)[:k]
        return [(name, self.probabilities[name]) for name in names]


@dataclass(frozen=True)
class Prediction:
    """Everything said about one photo; a head that was not trained says nothing.

    `review_reason` names only what sends it to a person, `doubts` what moves nothing; `thresholds` are the
    probabilities that main and sub needed, at the precision that is promised and for photos of this kind.
    """

    main: HeadAnswer
    sub: HeadAnswer
    background: HeadAnswer | None
    colour: HeadAnswer | None
    needs_review: bool
    review_reason: str
    doubts: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def answers(self) -> dict[str, HeadAnswer]:
        """The answers of the heads that were trained: head → answer."""
        found = {head: getattr(self, head) for head in HEADS}
        return {head: answer for head, answer in found.items() if answer is not None}


def decode(
    scores: Mapping[str, np.ndarray],
    classes: Classes,
    *,
    review_precision: float,
    familiar: Familiar | None = None,
) -> list[Prediction]:
    """Answers for N photos from every head's scores, float (N, classes), `clothing`, (N,), and perhaps `features`.

    With features, and with `familiar`, every photo is judged as one of its kind, and doubted where it is unlike them all.
    """
    seen = familiar.look(scores[FEATURES]) if familiar and FEATURES in scores else None
    answers: list[Prediction | None] = [None] * len(scores["sub"])
    kinds = seen.kind if seen else np.full(len(answers), "", dtype=object)
    for kind in np.unique(kinds.astype(str)):
        these = np.flatnonzero(kinds == kind)
        own = {name: values[these] for name, values in scores.items()}
        for i, answer in zip(these, _of_one_kind(own, classes.of_kind(kind), review_precision), strict=True):
            answers[i] = _with_doubt(answer, bool(seen.edge[i]), bool(seen.far[i])) if seen else answer
    return [answer for answer in answers if answer]


def _of_one_kind(
    scores: Mapping[str, np.ndarray], classes: Classes, review_precision: float
) -> list[Prediction]:
    """Answers for photos that the same temperatures and thresholds hold for."""
    probable = probabilities(scores, classes)
    told = {head: probable[head].tolist() for head in classes.heads}
    limits = {head: classes.threshold(head, review_precision) for head in ("main", "sub")}
    even = equally_likely(probable["sub"])
    answers = []
    for i, clothing in enumerate(probable["clothing"]):
        heads = _heads({head: values[i] for head, values in told.items()}, classes)
        reasons = _reasons(heads, float(clothing), bool(even[i]), limits)
        doubts = [
            _unsure(head, heads[head], classes.doubts.get(head, 0.0)) for head in LOOKS if head in heads
        ]
        answers.append(
            Prediction(
                main=heads["main"],
                sub=heads["sub"],
                background=heads.get("background"),
                colour=heads.get("colour"),
                needs_review=bool(reasons),
                review_reason=", ".join(reasons),
                doubts=", ".join(filter(None, doubts)),
                thresholds=limits,
            )
        )
    return answers


def _heads(told: Mapping[str, list[float]], classes: Classes) -> dict[str, HeadAnswer]:
    """One photo's answers, from every head's probabilities. The main category is that of the sub-category."""
    answers = {}
    for head, probable in told.items():
        names, likeliest = classes.names(head), int(np.argmax(told["sub" if head == "main" else head]))
        chosen = names.index(classes.main_of[classes.subs[likeliest]]) if head == "main" else likeliest
        answers[head] = HeadAnswer(names[chosen], probable[chosen], dict(zip(names, probable, strict=True)))
    return answers


def _reasons(
    heads: Mapping[str, HeadAnswer], clothing: float, even: bool, limits: Mapping[str, float]
) -> list[str]:
    """Why a person has to decide; nothing for a photo that is filed without one."""
    bare = f"may show no clothing ({_percent(1 - clothing)})" if clothing < HALF else ""
    sub = _two(heads["sub"]) if even else _unsure("sub", heads["sub"], limits["sub"])
    return [reason for reason in (bare, sub, _unsure("main", heads["main"], limits["main"])) if reason]


def equally_likely(sub: np.ndarray) -> np.ndarray:
    """Whether two sub-categories are equally likely, as where a photo shows two garments: probabilities (N, subs)."""
    if sub.shape[1] < 2:
        return np.zeros(len(sub), bool)
    two = np.partition(sub, -2, axis=1)[:, -2:]
    result: np.ndarray = two[:, 0] >= EVEN * two[:, 1]
    return result


def _with_doubt(answer: Prediction, edge: bool, far: bool) -> Prediction:
    """The answer with what is to be said of a photo unlike those of training; one too far from them goes to a person."""
    if far:
        reason = ", ".join(filter(None, [UNLIKE, answer.review_reason]))
        return replace(answer, needs_review=True, review_reason=reason)
    if edge:
        return replace(answer, doubts=", ".join(filter(None, [UNLIKE, answer.doubts])))
    return answer


def probabilities(scores: Mapping[str, np.ndarray], classes: Classes) -> dict[str, np.ndarray]:
    """Calibrated probabilities of every head, float64 (N, classes); `clothing` is (N,).

    A main category's probability is the sum of its sub-categories', so the two never contradict each other. Where there
    are two classes, the probability is that in a half-and-half mixture of them.
    """
    sub, _ = joint(scores["sub"], scores["main"], classes)
    found = {"sub": softmax(sub / classes.temperatures["sub"])}
    found["main"] = np.stack([found["sub"][:, members].sum(1) for members in _members(classes)], axis=1)
    for head in LOOKS:
        found[head] = np.asarray(scores[head], np.float64) / classes.temperatures[head]
    found["background"][:, 0] += classes.offsets.get("background", 0.0)
    found |= {head: softmax(found[head]) for head in LOOKS}
    clothing = np.asarray(scores["clothing"], np.float64) / classes.temperatures.get("clothing", 1.0)
    found["clothing"] = expit(clothing + classes.offsets.get("clothing", 0.0))
    return found


def joint(sub: np.ndarray, main: np.ndarray, classes: Classes) -> tuple[np.ndarray, np.ndarray]:
    """Scores of sub and main that agree: each sub-category's is helped by what the main head says of its main."""
    helped = log_softmax(np.asarray(sub, np.float64))
    mains = log_softmax(np.asarray(main, np.float64))
    members = _members(classes)
    for index, subs in enumerate(members):
        helped[:, subs] += mains[:, [index]]
    helped = log_softmax(helped)
    return helped, np.stack([np.logaddexp.reduce(helped[:, subs], axis=1) for subs in members], axis=1)


def expit(scores: np.ndarray) -> np.ndarray:
    """The probability of the first of two classes, from how far its score is above the other's."""
    result: np.ndarray = np.exp(-np.logaddexp(0.0, -scores))
    return result


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities that sum to 1 along the last axis."""
    result: np.ndarray = np.exp(log_softmax(scores))
    return result


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Logarithms of `softmax`, without overflow."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


_SPOKEN = {
    "sub": "category",
    "main": "main category",
    "background": "background",
    "colour": "colour",
}


def _members(classes: Classes) -> list[list[int]]:
    """The indices of each main category's sub-categories."""
    return [
        [i for i, sub in enumerate(classes.subs) if classes.main_of[sub] == main] for main in classes.mains
    ]


def _two(sub: HeadAnswer) -> str:
    (one, p), (other, q) = sub.top(2)
    return f"two kinds equally likely ({one} {_percent(p)} or {other} {_percent(q)})"


def _unsure(head: str, answer: HeadAnswer, limit: float) -> str:
    """What is said of an answer below its limit; nothing of one that is sure."""
    if answer.probability >= limit:
        return ""
    if limit > 1:
        # this head keeps the promise on no share of the photos
        why = ": too few photos were held out to promise more"
        return f"{_SPOKEN[head]} uncertain ({_percent(answer.probability)}{why})"
    return f"{_SPOKEN[head]} uncertain ({_percent(answer.probability)})"


def _percent(probability: float) -> str:
    """For people; what is doubted is never 100 %."""
    return f"{min(99, round(100 * probability))} %"
