"""A release's card: what it is, how it came about, what it scores and where it is weak, from its `metrics.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from model.releasing.calibrate import DOUBTED_BELOW
from model.releasing.evaluate import in_words
from model.serving.classes import HEADS, LOOKS, Classes
from model.training.recipe import Recipe
from model.training.recipe_file import FILE


def card(metrics: Mapping[str, Any], classes: Classes, recipe: Mapping[str, Any] | None = None) -> str:
    """The release's card: what it is, how it came about, what it scores, where it is weak.

    recipe: what its recipe.toml names, if it has one.
    """
    story = metrics["story"]
    rows = [
        f"| {head} | {row['photos']} | {row['score']:.3f} | {row['interval'][0]:.3f} to {row['interval'][1]:.3f} | "
        f"{row['top3']:.3f} | {row['f1']:.3f} | {row['calibration_error']:.3f} |"
        for head, row in metrics["scores"].items()
        if row["photos"]
    ]
    same = [
        f"| {head} | {row['same']:.2%} | {100 * row['lost']:+.2f} |"
        for head, row in metrics["agreement"].items()
    ]
    answered = [_IN_WORDS[head] for head in classes.heads]
    lines = [
        f"# Release {metrics['version']}",
        "",
        f"Tells photos of clothing apart: {', '.join(answered[:-1])} and {answered[-1]}.",
        *(f"It has learned nothing of the {head}, and answers nothing there." for head in _silent(classes)),
        "",
        "## Made from",
        "",
        *[f"- {line}" for line in story.get("made_from", [])],
        "",
        "## Scores",
        "",
        _of_test(metrics["test"])
        + (" The background's score is its balanced accuracy." if "background" in classes.heads else "")
        + " Intervals are 95 % bootstrap intervals over senders.",
        "",
        "| head | photos | score | 95 % interval | top-3 | macro F1 | calibration error |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        "## What is filed without a person",
        "",
        *_promises(metrics),
        "",
        "## Doubts",
        "",
        *_doubts(metrics, classes),
        "",
        "## 8 bits" if metrics["quantised"] else "## Float",
        "",
        "The shipped network against the float one, on the same photos: share of equal answers, points lost.",
        "",
        "| head | the same | points lost |",
        "|---|---|---|",
        *same,
        "",
        f"The network sees photos at {metrics['size']} x {metrics['size']}. One takes "
        f"{metrics['milliseconds']['8-bit']:.1f} ms ({metrics['milliseconds']['float']:.1f} ms in float), "
        f"one thread of {metrics['processor']}, other work going on beside it. No other processor was measured.",
        "",
        *(_recipe(recipe) if recipe else []),
        "## Classes",
        "",
        *[f"- {m}: {', '.join(s for s in classes.subs if classes.main_of[s] == m)}" for m in classes.mains],
        *([f"- colours: {', '.join(classes.colours)}"] if "colour" in classes.heads else []),
        "",
        *story.get("remarks", []),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _recipe(named: Mapping[str, Any]) -> list[str]:
    """The fields of a recipe that there are: the file has also those of another version."""
    return [
        "## Recipe",
        "",
        f"All of it, with fingerprints of the data and the commands, is in [{FILE}]({FILE}).",
        "",
        *(f"- {each.name}: {named[each.name]}" for each in fields(Recipe) if each.name in named),
        "",
    ]


_IN_WORDS: Final = {
    "main": "main category",
    "sub": "sub-category",
    "background": "background quality",
    "colour": "colour",
}


def _silent(classes: Classes) -> list[str]:
    return [_IN_WORDS[head] for head in HEADS if head not in classes.heads]


def _of_test(told: Mapping[str, Any]) -> str:
    """What the test photos are to the release, as far as that is known."""
    if told["learned"] is None or told["set_by"] is None:
        return (
            f"On {told['photos']} photos. Which photos it learned from, and which set its thresholds, was not kept, so "
            "these may be among them: then the scores flatter."
        )
    left_out = (
        f" {told['learned']} others, from which it has learned, do not count." if told["learned"] else ""
    )
    if told.get("crossed"):
        return (
            f"On {told['photos']} photos, which were held out in turn: each is judged by a network that has not learned "
            "from it (cross-validation, in float). They set the temperatures and thresholds as well; the network that is "
            "shipped has learned from all of them."
        )
    if told["set_by"]:
        return (
            f"On {told['photos']} photos that it has not learned from. {told['set_by']} of them set its temperatures and "
            f"thresholds, so what is said here of probabilities and of filing flatters.{left_out}"
        )
    return f"On {told['photos']} photos that took no part in training or in setting a threshold.{left_out}"


def _promises(metrics: Mapping[str, Any]) -> list[str]:
    """The promise in words, what it gives on the test photos, and what it rests on."""
    table = [
        f"| {row['promised']:.2f} | {row['filed']:.1%} | "
        f"{'' if row['precision'] is None else format(row['precision'], '.1%')} | {1 - row['filed']:.1%} |"
        for row in metrics["promises"]
    ]
    held_out = metrics["held_out"]
    return [
        "REVIEW_PRECISION is a promise: at 0.97, of 100 photos that are filed without a person at least 97 lie in the "
        "folder they belong to; all others wait for a person. It holds for photos like those that set the thresholds, and "
        "on average over many nights, not in each.",
        "",
        "| REVIEW_PRECISION | filed without a person | of these rightly | wait for a person |",
        "|---|---|---|---|",
        *table,
        "",
        *([] if metrics["review"]["precision"] is not None else [in_words(metrics["review"]), ""]),
        f"{metrics['clothing_suspected']:.1%} of the photos are suspected of showing no clothing.",
        "",
        f"The thresholds of the categories were set on {held_out['photos']} photos of senders whose photos the network "
        "had not learned from then; right there: "
        + ", ".join(f"{head} {held_out[head]:.3f}" for head in ("main", "sub") if head in held_out)
        + ".",
        *_kinds(held_out.get("kinds")),
        *_unlike_nights(held_out.get("unlike")),
    ]


def _kinds(rows: Mapping[str, Mapping[str, Any]] | None) -> list[str]:
    """For which kinds of photos the promise was measured, and what it gave there."""
    if not rows:
        return []
    return [
        "",
        "By kind of photo, at 0.97: each of two halves of the held-out groups is judged by thresholds that the "
        "other half set. For other kinds the promise was not measured.",
        "",
        "| kind | photos | sub | filed without a person | of these rightly |",
        "|---|---|---|---|---|",
        *(
            f"| {kind} | {row['photos']} | {row['sub']:.3f} | {row['filed']:.1%} | "
            f"{'' if row['right'] is None else format(row['right'], '.1%')} |"
            for kind, row in rows.items()
        ),
    ]


def _unlike_nights(told: Mapping[str, float] | None) -> list[str]:
    """From which share of photos unlike those of training on a night as a whole is said to be unlike them."""
    if not told:
        return []
    return [
        "",
        f"A night of {told['photos']:.0f} photos or more, more than {told['share']:.1%} of which are unlike those that it "
        "learned from, is called so as a whole, in the report and by `health`. Of nights like the held-out photos "
        f"{told['false_alarms']:.0%} at most are.",
    ]


def _doubts(metrics: Mapping[str, Any], classes: Classes) -> list[str]:
    """What is said of answers that send no photo to a person, and how far that may be believed."""
    told, held_out = metrics["doubts"], metrics["held_out"]
    if len(told) == 1:
        return ["Main and sub-category alone are answered: there are no other doubts."]
    lines = [
        "Probabilities of two classes (background, and whether there is any clothing) are those in a half-and-half mixture "
        "of both: whatever share of a night is acceptable, 0.5 divides them, and the probability is that of the answer "
        "beside it.",
        "",
        f"A doubt about background or colour moves no photo. {told['any']['share']:.1%} of the test photos have one "
        f"({held_out['doubts']['any']['share']:.1%} of those that set the limits; at most a third is aimed at).",
        "",
        "| head | right without a doubt: promised | test photos | photos that set the limit | these |",
        "|---|---|---|---|---|",
    ]
    for head in (head for head in LOOKS if head in classes.heads):
        here, there = told[head]["right"], held_out["doubts"][head]["right"]
        lines.append(
            f"| {head} | {DOUBTED_BELOW[head]:.2f} | {_share(here)} | {_share(there)} | {held_out['looks'][head]} |"
        )
    for head in (head for head in LOOKS if head in classes.heads):
        reached = held_out["doubts"][head]["right"]
        if reached is not None and reached < DOUBTED_BELOW[head]:
            lines += [
                "",
                f"The {head} falls short of its promise: no more than a third of the photos may have a doubt, and that "
                f"leaves {reached:.3f}.",
            ]
    return lines


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
