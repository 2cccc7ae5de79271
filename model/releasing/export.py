"""From a trained network to a release folder.

    export(run, held_out, calibration, test, out=Path("model/releases"), version="2026-11-21")

The network goes to ONNX with its normalisation inside (uint8 pixels in, scores out), is quantised to 8 bits
where that is quicker, and is measured on the test photos: its own scores, its agreement with the float
network, and its speed here. Everything said on the card was measured by this program.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import in_use
from model.network import Network
from model.releasing import golden_photos, held_out_answers
from model.releasing.calibrate import calibrate, with_reach
from model.releasing.card import card
from model.releasing.evaluate import chosen, doubted, doubts, evaluate, in_words, judge, review
from model.releasing.kinds import by_kind
from model.releasing.nights import unlike_nights
from model.releasing.onnx_network import open_session, quantise, scores_of, write_onnx
from model.releasing.pages import write_pages
from model.serving.answers import HALF, decode
from model.serving.classes import FEATURES, HEADS, LOOKS, Classes
from model.serving.familiar import FILE as FAMILIAR
from model.serving.familiar import Familiar
from model.serving.predictor import Predictor
from model.serving.preprocess import INPUT_SIZE
from model.serving.releases import Release, ReleaseError, load, seal
from model.training import recipe_file
from model.training.data import Photos, serving_pixels
from model.training.held_out_scores import HeldOutScores
from model.training.labels import UNKNOWN
from model.training.run import Run, write_learned

CALIBRATION_PHOTOS: Final = 160
PRECISION: Final = 0.97
PROMISES: Final = (0.90, 0.95, 0.97)
"""The promised precisions that the card reports on."""


def with_held_out(
    familiar: Familiar | None, held_out: HeldOutScores
) -> tuple[Familiar | None, np.ndarray | None]:
    """How far away is too far, by the held-out photos; and the kind that each of these is judged as.

    A photo in service does not say of which kind it is: its features do, so they choose for the held-out ones as well.
    """
    features = held_out.scores.get(FEATURES)
    if familiar is None or features is None:
        return None, None
    familiar = with_reach(familiar, features)
    return familiar, familiar.look(features).kind


def judged_by_others(
    run: Run, held_out: HeldOutScores, precision: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The probabilities of held-out photos, and which of them are filed, by what the other half of their groups has set.

    What a photo is judged by it has not set itself, so this does not flatter; but half of the photos set less than all.
    Returns every head's probabilities, and bool (N,). Raises ReleaseError where the groups or kinds were not kept.
    """
    if held_out.kinds is None or held_out.groups is None:
        raise ReleaseError("The held-out scores do not say of which kind their photos are: train again.")
    names, group = np.unique(held_out.groups, return_inverse=True)
    half = np.random.default_rng(0).permutation(len(names))[group] % 2
    probable: dict[str, np.ndarray] = {}
    filed = np.zeros(len(half), bool)
    for side in (0, 1):
        set_by, judged = held_out.take(half != side), half == side
        familiar, kinds = with_held_out(run.familiar, set_by)
        classes = calibrate(
            replace(run.classes, heads=run.trained),
            set_by.scores,
            set_by.labels,
            kinds=kinds,
            groups=set_by.groups,
        )
        found, filed[judged] = judge(held_out.take(judged).scores, classes, precision, familiar)
        for name, values in found.items():
            probable.setdefault(name, np.zeros((len(half), *values.shape[1:])))[judged] = values
    return probable, filed


def export(
    run: Run,
    held_out: HeldOutScores,
    calibration: Photos,
    test: Photos,
    *,
    out: Path,
    version: str,
    golden: Path | None = None,
    judged: Mapping[str, np.ndarray] | None = None,
    quantised: bool = True,
) -> Release:
    """Write the release folder `out/<version>`, measured on the test photos. Raises ReleaseError.

    `calibration` are training photos: they set the ranges of the 8-bit numbers. Test photos that the run has learned from
    do not count, but where they were held out in turn: then `judged` are the scores of the test photos by networks that had
    not learned from them. `golden`: see model/releasing/golden_photos.py.
    """
    folder = out / version
    if (there := in_use.folder(out, version)).exists():
        raise ReleaseError(f"{there} exists: a release is never changed. Choose another version.")
    learned = held_out.learned if run.learned is None else run.learned
    new = test if judged else _not_in(learned, test)
    familiar, judged_as = with_held_out(run.familiar, held_out)
    classes = calibrate(
        replace(run.classes, heads=run.trained),
        held_out.scores,
        held_out.labels,
        kinds=judged_as,
        groups=held_out.groups,
    )
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as scratch:
        part = Path(scratch) / version
        (part / "golden").mkdir(parents=True)
        whole = Path(scratch) / "float.onnx"
        write_onnx(run.network, whole, run.size)
        _write_network(run, part, whole, serving_pixels(calibration) if quantised else None)
        (part / "classes.json").write_text(classes.to_json(), encoding="utf-8")
        if familiar:
            familiar.write(part / FAMILIAR)
        if learned is not None:
            write_learned(part, learned)
        served = scores_of(part / "model.onnx", serving_pixels(new))
        scores = judged or served
        told = decode(scores, classes, review_precision=PRECISION, familiar=familiar)
        held_out_answers.write(part, new, told)
        metrics = _measure(part / "model.onnx", served, scores, whole, classes, familiar, new, part / "plots")
        metrics |= {
            "version": version,
            "quantised": run.release.metrics["quantised"] if run.release else quantised,
            "size": run.size,
            "story": run.story,
            "test": {
                "photos": len(new),
                "learned": None if learned is None else len(test) - len(new),
                "crossed": judged is not None,
                "set_by": None
                if held_out.sha256 is None
                else int(np.isin(new.sha256, held_out.sha256).sum()),
            },
            "held_out": (run.release.metrics["held_out"] if run.release else {})
            | _held_out(held_out, classes, familiar)
            | _by_kind(run, held_out),
        }
        answers = _golden(golden, part, new, classes)
        metrics["golden"] = {"photos": len(answers), "sub_right": sum("sub" in a for a in answers.values())}
        _write_json(part / "golden" / "golden.json", answers)
        _write_json(part / "metrics.json", metrics)
        (part / "card.md").write_text(card(metrics, classes, run.record.get("recipe", {})), encoding="utf-8")
        recipe_file.write(part, run.record)
        seal(part)
        Predictor(load(part)).check_golden()
        os.replace(part, folder)
    return load(folder)


def _write_network(run: Run, part: Path, whole: Path, calibration: np.ndarray | None) -> None:
    """Write `model.onnx`, in 8 bits where there are pixels to set their ranges, and `weights.safetensors`.

    whole: the float network as ONNX. A release's network is taken over bit for bit.
    """
    if run.release:
        for file in ("model.onnx", "weights.safetensors"):
            shutil.copy(run.release.folder / file, part / file)
        return
    if calibration is None:
        shutil.copy(whole, part / "model.onnx")
    else:
        quantise(whole, part / "model.onnx", calibration)
    save_file(_halved(run.network), part / "weights.safetensors")


def _not_in(learned: frozenset[str] | None, test: Photos) -> Photos:
    """The test photos that were not learned from, as far as that is known. Raises ReleaseError when there are none."""
    if learned is None:
        return test
    new = test.take(~np.isin(test.sha256, list(learned)))
    if not len(new):
        raise ReleaseError(
            f"The run has learned from all of these {len(test)} photos, so they say nothing of how good it is: name "
            "photos that it has not seen (--data, --part), or train with --fold 0, which holds a fifth of them out."
        )
    return new


def nothing_filed(release: Release) -> str:
    """A warning where no photo would be filed without a person; nothing where some would."""
    if release.metrics["review"]["precision"] is not None:
        return ""
    milder = [row for row in release.metrics["promises"] if row["precision"] is not None]
    return (
        f"CAUTION: {release.version} would file nothing. At REVIEW_PRECISION={PRECISION:g} every photo would wait for a "
        f"person: the {release.metrics['held_out']['photos']} photos that set its thresholds are too few, or are answered "
        "too often wrongly, to promise that. Train with more photos, or promise less in .env. "
        + (in_words(milder[-1]) if milder else f"Even {PROMISES[0]:g} is too much.")
    )


def _halved(network: Network) -> dict[str, Tensor]:
    return {n: t.half() if t.is_floating_point() else t for n, t in network.state_dict().items()}


def _measure(
    network: Path,
    served: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray],
    whole: Path,
    classes: Classes,
    familiar: Familiar | None,
    test: Photos,
    plots: Path,
) -> dict[str, Any]:
    """How good the scores are; agreement of the served ones with the float network's, review and speed."""
    pixels = serving_pixels(test)
    exact = scores_of(whole, pixels)
    probable, filed = judge(scores, classes, PRECISION, familiar)
    report = evaluate(probable, test, classes)
    write_pages(report, probable, test, classes, plots)
    # the photos of a test set are not ours to release
    for page in plots.glob("*.html"):
        page.unlink()
    (plots / "worst.png").unlink(missing_ok=True)
    return {
        "scores": report,
        "agreement": _agreement(
            judge(served, classes, PRECISION, familiar)[0],
            judge(exact, classes, PRECISION, familiar)[0],
            test,
            classes,
        ),
        "review": review(probable, filed, test, classes, PRECISION),
        "promises": [
            review(probable, judge(scores, classes, promise, familiar)[1], test, classes, promise)
            for promise in PROMISES
        ],
        "doubts": doubts(
            doubted(scores, classes, familiar), probable, {head: test.labels(head) for head in HEADS}
        ),
        "kinds": by_kind(probable, test, classes, filed),
        "clothing_suspected": float((probable["clothing"] < HALF).mean()),
        "test_photos": len(test),
        "milliseconds": {"8-bit": _milliseconds(network, pixels), "float": _milliseconds(whole, pixels)},
        "processor": _processor(),
    }


def _agreement(
    given: Mapping[str, np.ndarray], exact: Mapping[str, np.ndarray], test: Photos, classes: Classes
) -> dict[str, dict[str, float]]:
    """How the shipped network's answers differ from the float one's: share the same, accuracy lost."""
    result = {}
    for head in classes.heads:
        one, other = chosen(head, given, classes), chosen(head, exact, classes)
        known = test.labels(head) != UNKNOWN
        right = [(a == test.labels(head))[known].mean() if known.any() else 0.0 for a in (one, other)]
        result[head] = {"same": float((one == other).mean()), "lost": float(right[1] - right[0])}
    return result


def _milliseconds(network: Path, pixels: np.ndarray) -> float:
    """The median time for one photo, one thread, on this machine."""
    session = open_session(network)
    times = []
    for photo in pixels[:40]:
        start = time.perf_counter()
        session.run(None, {"pixels": photo[None]})
        times.append(time.perf_counter() - start)
    return float(np.median(times[5:]) * 1000) if len(times) > 5 else 0.0


def _processor() -> str:
    """The processor and what it knows of 8-bit arithmetic."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    name = next(
        (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), ""
    )
    known = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx_vnni") if f" {flag}" in text]
    return f"{name or platform.machine()} ({', '.join(known) or 'unknown instructions'})"


def _held_out(held_out: HeldOutScores, classes: Classes, familiar: Familiar | None) -> dict[str, Any]:
    """How right the answers are on the held-out photos that set temperatures and thresholds, and what is doubted there."""
    probable, _ = judge(held_out.scores, classes, PRECISION, familiar)
    known = {head: held_out.labels[head] != UNKNOWN for head in classes.heads}
    result: dict[str, Any] = {"photos": int(known["sub"].sum())} if known["sub"].any() else {}
    for head, some in known.items():
        if some.any():
            right = chosen(head, probable, classes) == held_out.labels[head]
            result[head] = float(right[some].mean())
    result["doubts"] = doubts(doubted(held_out.scores, classes, familiar), probable, held_out.labels)
    result["looks"] = {head: int(known[head].sum()) for head in LOOKS if head in known}
    if familiar and held_out.groups is not None:
        result["unlike"] = unlike_nights(familiar, held_out.scores[FEATURES], held_out.groups)
    return result


def _by_kind(run: Run, held_out: HeldOutScores) -> dict[str, Any]:
    """What the promise gives for each kind of held-out photos, by thresholds that others have set; nothing for one kind."""
    if run.familiar is None or held_out.kinds is None or held_out.groups is None:
        return {}
    labels = held_out.labels["sub"]
    kinds = [kind for kind in np.unique(held_out.kinds) if (labels[held_out.kinds == kind] != UNKNOWN).any()]
    if len(kinds) < 2 or len(np.unique(held_out.groups)) < 2:
        return {}
    probable, filed = judged_by_others(run, held_out, PRECISION)
    right = chosen("sub", probable, run.classes) == labels
    rows = {}
    for kind in kinds:
        here = (held_out.kinds == kind) & (labels != UNKNOWN)
        rows[str(kind)] = {
            "photos": int(here.sum()),
            "sub": float(right[here].mean()),
            "filed": float(filed[here].mean()),
            "right": float(right[here & filed].mean()) if (here & filed).any() else None,
        }
    return {"kinds": rows}


def _golden(golden: Path | None, part: Path, photos: Photos, classes: Classes) -> dict[str, dict[str, str]]:
    """The golden photos of the release in `part`, and what they must get. Raises ReleaseError when too few are right."""

    def answer(pixels: np.ndarray) -> dict[str, tuple[str, float]]:
        scores = scores_of(part / "model.onnx", pixels[None])
        (prediction,) = decode(scores, replace(classes, thresholds={}), review_precision=PRECISION)
        return {head: (given.name, given.probability) for head, given in prediction.answers().items()}

    return golden_photos.choose(golden, photos, classes, answer, part / "golden") or _drawn(part, classes)


def _drawn(part: Path, classes: Classes) -> dict[str, dict[str, str]]:
    """For classes that no golden photo shows: plain fields of colour, with whatever answers they get.

    They cannot show that the network is good, but that it still answers as it did when it was exported.
    """
    answers = {}
    for name, colour in {"red": (190, 30, 40), "green": (40, 120, 60), "blue": (40, 70, 160)}.items():
        pixels = np.full((INPUT_SIZE, INPUT_SIZE, 3), 245, np.uint8)
        pixels[40:184, 60:164] = colour
        file = part / "golden" / f"{name}.png"
        Image.fromarray(pixels).save(file)
        scores = scores_of(part / "model.onnx", pixels[None])
        prediction = decode(scores, replace(classes, thresholds={}), review_precision=PRECISION)[0]
        answers[file.name] = {"main": prediction.main.name, "sub": prediction.sub.name}
    return answers


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
