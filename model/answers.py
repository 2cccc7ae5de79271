"""From the network's scores to answers a person can read, and to doubts.

answers = decode(scores, classes, review_precision=0.97)
answers[0].sub.name, answers[0].needs_review, answers[0].review_reason
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from model.classes import FEATURES, HEADS, Classes
from model.familiar import UNLIKE, Familiar

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
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]


@dataclass(frozen=True)
class Prediction:
    """Everything said about one photo; `review_reason` names every doubt, also those that move nothing."""

    main: HeadAnswer
    sub: HeadAnswer
    background: HeadAnswer
    colour: HeadAnswer
    needs_review: bool
    review_reason: str


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
    told = {head: probable[head].tolist() for head in HEADS}
    limits = {head: classes.threshold(head, review_precision) for head in HEADS}
    answers = []
    for i in range(len(probable["sub"])):
        sub = int(probable["sub"][i].argmax())
        chosen = {
            "sub": sub,
            "main": classes.mains.index(classes.main_of[classes.subs[sub]]),
            "background": 0 if probable["background"][i, 0] >= classes.background_threshold else 1,
            "colour": int(probable["colour"][i].argmax()),
        }
        heads = {
            head: HeadAnswer(
                classes.names(head)[chosen[head]],
                float(probable[head][i, chosen[head]]),
                dict(zip(classes.names(head), told[head][i], strict=True)),
            )
            for head in HEADS
        }
        clothing = float(probable["clothing"][i])
        bare, even = clothing < classes.clothing_threshold, equally_likely(probable["sub"][i : i + 1])[0]
        doubts = [f"may show no clothing ({clothing:.2f} < {classes.clothing_threshold:.2f})"] if bare else []
        doubts += [_two(heads["sub"])] if even else []
        doubts += [
            _doubt(head, heads[head], limits[head])
            for head in _ORDER
            if _unsure(heads[head], limits[head]) and not (even and head == "sub")
        ]
        needs_review = (
            bare or bool(even) or any(_unsure(heads[head], limits[head]) for head in ("sub", "main"))
        )
        answers.append(Prediction(**heads, needs_review=needs_review, review_reason="; ".join(doubts)))
    return answers


def equally_likely(sub: np.ndarray) -> np.ndarray:
    """Whether two sub-categories are equally likely, as where a photo shows two garments: probabilities (N, subs)."""
    if sub.shape[1] < 2:
        return np.zeros(len(sub), bool)
    two = np.partition(sub, -2, axis=1)[:, -2:]
    result: np.ndarray = two[:, 0] >= EVEN * two[:, 1]
    return result


def _with_doubt(answer: Prediction, edge: bool, far: bool) -> Prediction:
    """The answer with what is to be said of a photo unlike those of training; one too far from them goes to a person."""
    if not edge and not far:
        return answer
    reason = "; ".join(filter(None, [UNLIKE, answer.review_reason]))
    return replace(answer, needs_review=answer.needs_review or far, review_reason=reason)


def probabilities(scores: Mapping[str, np.ndarray], classes: Classes) -> dict[str, np.ndarray]:
    """Calibrated probabilities of every head, float64 (N, classes); `clothing` is (N,).

    A main category's probability is the sum of its sub-categories', so the two never contradict each other.
    """
    sub, _ = joint(scores["sub"], scores["main"], classes)
    found = {"sub": softmax(sub / classes.temperatures["sub"])}
    found["main"] = np.stack([found["sub"][:, members].sum(1) for members in _members(classes)], axis=1)
    for head in ("background", "colour"):
        found[head] = softmax(np.asarray(scores[head], np.float64) / classes.temperatures[head])
    found["clothing"] = 1 / (1 + np.exp(-np.asarray(scores["clothing"], np.float64)))
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


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities that sum to 1 along the last axis."""
    result: np.ndarray = np.exp(log_softmax(scores))
    return result


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Logarithms of `softmax`, without overflow."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


_ORDER = ("sub", "main", "background", "colour")
_SPOKEN = {
    "sub": "sub category",
    "main": "main category",
    "background": "background",
    "colour": "colour",
}


def _members(classes: Classes) -> list[list[int]]:
    """The indices of each main category's sub-categories."""
    return [
        [i for i, sub in enumerate(classes.subs) if classes.main_of[sub] == main] for main in classes.mains
    ]


def _unsure(answer: HeadAnswer, limit: float) -> bool:
    return answer.probability < limit


def _two(sub: HeadAnswer) -> str:
    (one, p), (other, q) = sub.top(2)
    return f"two kinds equally likely ({one} {p:.2f}, {other} {q:.2f})"


def _doubt(head: str, answer: HeadAnswer, limit: float) -> str:
    if limit > 1:  # this head keeps the promise on no share of the photos
        return f"{_SPOKEN[head]} unsure ({answer.probability:.2f})"
    return f"{_SPOKEN[head]} unsure ({answer.probability:.2f} < {limit:.2f})"
