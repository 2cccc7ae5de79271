"""From a trained network to a release folder.

    export(run, held_out, test, golden=Path("model/golden"), out=Path("model/releases"), version="2026-11-21")

The network goes to ONNX with its normalisation inside (uint8 pixels in, scores out), is quantised to 8 bits
where that is quicker, and is measured on the test photos: its own scores, its agreement with the float
network, and its speed here. Everything said on the card was measured by this program.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.jit._trace import TracerWarning

from model import golden_photos
from model import held_out as held_out_answers
from model.answers import HALF, decode
from model.calibrate import DOUBTED_BELOW, calibrate
from model.classes import FEATURES, HEADS, LOOKS, OUTPUTS, Classes, WeightsError
from model.data import Photos, fingerprint, serving_pixels
from model.evaluate import chosen, doubted, doubts, evaluate, in_words, judge, review, write_pages
from model.familiar import FILE as FAMILIAR
from model.familiar import Familiar, with_reach
from model.kinds import by_kind
from model.labels import UNKNOWN
from model.network import Network, Served, load_release, load_whole
from model.nights import unlike_nights
from model.predictor import Predictor
from model.preprocess import INPUT_SIZE
from model.recipe import Recipe
from model.releases import Release, ReleaseError, load, seal
from model.train import label_sets, raw_scores

CALIBRATION_PHOTOS: Final = 160
PRECISION: Final = 0.97
PROMISES: Final = (0.90, 0.95, 0.97)
"""The promised precisions that the card reports on."""


@dataclass(frozen=True)
class Run:
    """What training left behind: the network, and what the card says of how it came about."""

    network: Network
    classes: Classes
    story: dict[str, Any]
    size: int = INPUT_SIZE
    """Side at which the network sees photos in serving."""
    familiar: Familiar | None = None
    """What its training photos look like."""
    trained: tuple[str, ...] = HEADS
    """The heads that have learned anything; the others answer nothing."""
    learned: frozenset[str] | None = None
    """Checksums of the photos that it has learned from; None where that was not kept."""
    release: Release | None = None
    """The release that it was read from: its network stays bit for bit as it is."""
    data: tuple[str, ...] = ()
    """The data folders that it was made of."""


@dataclass(frozen=True)
class HeldOut:
    """Scores and features of photos of groups that training had not seen, and their labels (UNKNOWN = none).

    kinds, groups, sha256: of what kind each photo is, what it must stay together with, and its file's checksum; names: the
    heads' class names. None where that was not kept.
    """

    scores: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    kinds: np.ndarray | None = None
    groups: np.ndarray | None = None
    sha256: np.ndarray | None = None
    learned: frozenset[str] | None = None
    """Checksums of what the network has learned from, where it is a release's, which does not say so."""
    names: Mapping[str, tuple[str, ...]] | None = None

    def take(self, which: np.ndarray) -> HeldOut:
        """The photos at these indices (or where this mask is true)."""
        return HeldOut(
            {name: values[which] for name, values in self.scores.items()},
            {name: values[which] for name, values in self.labels.items()},
            None if self.kinds is None else self.kinds[which],
            None if self.groups is None else self.groups[which],
            None if self.sha256 is None else self.sha256[which],
            self.learned,
            self.names,
        )


def save_run(folder: Path, run: Run) -> None:
    """Keep a finished run: `weights.safetensors` (float32) and `run.json`."""
    state = {name: value.contiguous() for name, value in run.network.state_dict().items()}
    save_file(state, folder / "weights.safetensors")
    content = {
        "classes": json.loads(run.classes.to_json()),
        "story": run.story,
        "size": run.size,
        "trained": run.trained,
        "learned": None if run.learned is None else sorted(run.learned),
        "data": run.data,
    }
    (folder / "run.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if run.familiar:
        run.familiar.write(folder / FAMILIAR)


def load_run(folder: Path) -> Run:
    """Read a finished run, or a release, to make another one of it. Raises WeightsError when there is none."""
    if (folder / "classes.json").is_file():
        return _of_release(load(folder))
    try:
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        classes, story = Classes.from_json(json.dumps(content["classes"])), content["story"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"There is no finished run in {folder} ({error}): `python -m model train --run {folder}` makes one."
        ) from error
    network = load_whole(classes, folder / "weights.safetensors")
    seen = folder / FAMILIAR
    try:
        known = Familiar.read(seen) if seen.is_file() else None
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise WeightsError(f"{seen} cannot be read ({error}): remove the run, and train again.") from error
    learned = content.get("learned")
    return Run(
        network.eval(),
        classes,
        story,
        content.get("size", INPUT_SIZE),
        known,
        tuple(content.get("trained", HEADS)),
        None if learned is None else frozenset(learned),
        data=tuple(content.get("data", ())),
    )


def _of_release(release: Release) -> Run:
    """A release as a run: what it was made from, and the network that it has."""
    story = dict(release.metrics["story"])
    story["made_from"] = [
        f"the network of release {release.version}, bit for bit as it was, which was made from:",
        *story.get("made_from", []),
    ]
    return Run(
        load_release(release.folder, release.classes),
        release.classes,
        story,
        release.metrics["size"],
        release.familiar,
        release.classes.heads,
        release=release,
    )


def with_notes(run: Run, notes: Sequence[str]) -> Run:
    """The run with more lines for the card, below what it was made from."""
    return replace(run, story=run.story | {"made_from": [*run.story.get("made_from", []), *notes]})


def save_held_out(folder: Path, run: Run, photos: Photos, which: np.ndarray) -> None:
    """Keep the network's scores of the held-out photos, and their labels, for calibration."""
    scores = raw_scores(run.network, photos, which, run.size)
    save_scores(folder / "held_out.npz", scores, label_sets(photos, which), photos, which)


def save_scores(
    path: Path,
    scores: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    photos: Photos,
    which: np.ndarray,
    *,
    learned: Sequence[str] | None = None,
) -> None:
    """Keep scores and labels of the photos at `which` for `load_held_out`.

    learned: checksums of the photos that the network itself has learned from, for a release, which does not say so.
    """
    kept = {f"score/{head}": values for head, values in scores.items()}
    kept |= {f"label/{name}": values for name, values in labels.items()}
    kept |= {
        "kinds": photos.kind[which].astype(str),
        "groups": photos.groups()[which],
        "sha256": photos.sha256[which],
    }
    kept |= {f"names/{head}": np.array(photos.classes.names(head), dtype=str) for head in HEADS}
    if learned is not None:
        kept["learned"] = np.array(learned, dtype=str)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, allow_pickle=False, **kept)


def load_held_out(path: Path, classes: Classes | None = None) -> HeldOut:
    """Read what `save_held_out` kept. Raises ReleaseError when there is nothing, or when it is of other classes."""
    if not path.is_file():
        raise ReleaseError(
            f"{path} is missing: thresholds need photos that training has not seen, and a run keeps what it says of "
            "these there. Train again, or name another run's held_out.npz with --held-out."
        )
    try:
        with np.load(path, allow_pickle=False) as kept:
            parts = {name: kept[name] for name in kept.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise ReleaseError(f"{path} cannot be read ({error}): name a run's held_out.npz.") from error

    def of(kind: str) -> dict[str, np.ndarray]:
        return {n.removeprefix(kind): values for n, values in parts.items() if n.startswith(kind)}

    held_out = HeldOut(
        scores=of("score/"),
        labels=of("label/"),
        kinds=parts.get("kinds"),
        groups=parts.get("groups"),
        sha256=parts.get("sha256"),
        names={head: tuple(names.tolist()) for head, names in of("names/").items()} or None,
        learned=frozenset(parts["learned"].tolist()) if "learned" in parts else None,
    )
    if classes:
        _check_names(path, held_out, classes)
    return held_out


def _check_names(path: Path, held_out: HeldOut, classes: Classes) -> None:
    """Raise ReleaseError when scores are those of other classes, or of fewer heads."""
    for head in HEADS:
        names = classes.names(head)
        if head not in held_out.scores or head not in held_out.labels:
            raise ReleaseError(f"{path} holds no scores of the {head} head: name a run's held_out.npz.")
        same = held_out.names is None or held_out.names.get(head) == names
        if not same or held_out.scores[head].shape[1:] != (len(names),):
            raise ReleaseError(
                f"{path} is of a run with other classes ({head}): hold photos out in a run with these categories."
            )


def of_held_out(held_out: HeldOut, photos: Photos) -> tuple[Photos, dict[str, np.ndarray]]:
    """Those of the photos that were held out, and their scores. Raises ReleaseError where none is among them."""
    assert held_out.sha256 is not None
    place = {checksum: i for i, checksum in enumerate(held_out.sha256.tolist())}
    which = [i for i, checksum in enumerate(photos.sha256.tolist()) if checksum in place]
    if not which:
        raise ReleaseError(
            "None of the held-out photos is in the data folders: name those that the run was made of."
        )
    rows = np.array([place[photos.sha256[i]] for i in which])
    return photos.take(np.array(which)), {name: values[rows] for name, values in held_out.scores.items()}


def story(
    recipe: Recipe, photos: Photos, learn: np.ndarray, *, begins_with: str, teacher: Path | None
) -> dict[str, Any]:
    """What a card says of how a run came about."""
    made_from = [f"{len(learn)} photos (data {fingerprint(photos)[:12]})", begins_with]
    made_from += [f"{teacher.name}, having learned the same photos, as a teacher"] if teacher else []
    return {"made_from": made_from, "recipe": asdict(recipe), "torch": torch.__version__}


def with_held_out(familiar: Familiar | None, held_out: HeldOut) -> tuple[Familiar | None, np.ndarray | None]:
    """How far away is too far, by the held-out photos; and the kind that each of these is judged as.

    A photo in service does not say of which kind it is: its features do, so they choose for the held-out ones as well.
    """
    features = held_out.scores.get(FEATURES)
    if familiar is None or features is None:
        return None, None
    familiar = with_reach(familiar, features)
    return familiar, familiar.look(features).kind


def judged_by_others(
    run: Run, held_out: HeldOut, precision: float
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
    held_out: HeldOut,
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
    not learned from them. `golden`: see model/golden_photos.py.
    """
    folder = out / version
    if folder.exists():
        raise ReleaseError(f"{folder} exists: a release is never changed. Choose another version.")
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
        if run.release:
            for file in ("model.onnx", "weights.safetensors"):
                shutil.copy(run.release.folder / file, part / file)
        else:
            if quantised:
                quantise(whole, part / "model.onnx", serving_pixels(calibration))
            else:
                shutil.copy(whole, part / "model.onnx")
            save_file(_halved(run.network), part / "weights.safetensors")
        (part / "classes.json").write_text(classes.to_json(), encoding="utf-8")
        if familiar:
            familiar.write(part / FAMILIAR)
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
        (part / "card.md").write_text(card(metrics, classes), encoding="utf-8")
        seal(part)
        Predictor(load(part)).check_golden()
        os.replace(part, folder)
    return load(folder)


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


def write_onnx(network: Network, path: Path, size: int = INPUT_SIZE) -> None:
    """The float network, reduction to `size` and normalisation inside: uint8 (N, 224, 224, 3) → the heads' scores."""
    served = Served(network, size).eval()
    example = (torch.zeros(1, INPUT_SIZE, INPUT_SIZE, 3, dtype=torch.uint8),)
    with warnings.catch_warnings():
        # sizes are fixed by the example as they are in serving, and the older exporter is meant
        warnings.simplefilter("ignore", TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        torch.onnx.export(
            served,
            example,
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["pixels"],
            output_names=[*OUTPUTS, FEATURES],
            dynamic_axes={name: {0: "photos"} for name in ("pixels", *OUTPUTS, FEATURES)},
        )


def quantise(whole: Path, path: Path, pixels: np.ndarray) -> None:
    """Quantise the backbone to 8 bits: unsigned activations and weights, one scale per channel of weights.

    Signed weights would be a little quicker, but processors without VNNI add two of their products in 16 bits,
    which overflows. Colours are told apart more finely than 8 bits of a mean do: the palette and the heads
    stay float.
    """
    prepared = path.with_name("prepared.onnx")
    quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)
    network = onnx.load(prepared)
    _keep_sums(network.graph)
    onnx.save(network, prepared)
    backbone = [node.name for node in network.graph.node if _in_backbone(node)]
    with contextlib.redirect_stdout(None):  # it tells of its histograms
        _quantise_backbone(prepared, path, pixels, backbone)
    prepared.unlink()
    _centre_palette(whole, path, pixels)


def _quantise_backbone(prepared: Path, path: Path, pixels: np.ndarray, backbone: list[str]) -> None:
    quantize_static(
        str(prepared),
        str(path),
        _Reader(pixels),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QUInt8,
        per_channel=True,
        nodes_to_quantize=backbone,
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"ActivationSymmetric": False, "CalibPercentile": 99.999},
    )


def _keep_sums(graph: onnx.GraphProto) -> None:
    """Round the first convolution's weights so that each kernel's sum stays (SQuant, Guo et al. 2022).

    What a kernel answers to an even colour is its sum. Weights rounded one by one add up to another sum, and colours
    shift in all that follows.
    """
    (first,) = [node for node in graph.node if node.op_type == "Conv" and node.name.endswith("/stem.0/Conv")]
    (stored,) = [tensor for tensor in graph.initializer if tensor.name == first.input[1]]
    weights = onnx.numpy_helper.to_array(stored)
    stored.CopyFrom(onnx.numpy_helper.from_array(round_keeping_sums(weights), stored.name))


def round_keeping_sums(weights: np.ndarray) -> np.ndarray:
    """Float (out, in, h, w) weights on the grid of 8 bits a channel, every kernel's sum within half a step of before.

    The weights that were rounded farthest are rounded the other way instead, as many as it takes.
    """
    kernels = weights.reshape(*weights.shape[:2], -1).astype(np.float64)
    step = (kernels.max((1, 2)).clip(min=0) - kernels.min((1, 2)).clip(max=0))[:, None, None] / 255
    exact = kernels / np.where(step > 0, step, 1)
    rounded = np.round(exact)
    missing = np.round((exact - rounded).sum(2)).astype(int)
    for channel, kernel in np.argwhere(missing):
        number, away = missing[channel, kernel], (exact - rounded)[channel, kernel]
        farthest = np.argsort(-away * np.sign(number), kind="stable")[: abs(number)]
        rounded[channel, kernel, farthest] += np.sign(number)
    result: np.ndarray = (rounded * step).reshape(weights.shape).astype(weights.dtype)
    return result


def _centre_palette(whole: Path, path: Path, pixels: np.ndarray) -> None:
    """Let the quantised network's palette expect what it now sees.

    Rounding moves the means of layer1's channels a little, always the same way, and colours hang on little. The
    BatchNorm before the palette's first layer subtracts means: these are moved along (Nagel et al. 2019,
    "Data-Free Quantization Through Weight Equalization and Bias Correction", with data).
    """
    exact, rounded = onnx.load(whole), onnx.load(path)
    norms = [node for node in rounded.graph.node if node.op_type == "BatchNormalization"]
    (norm,) = [node for node in norms if "palette" in node.name]
    seen, mean = norm.input[0], norm.input[3]
    shift = _mean_of(rounded, seen, pixels) - _mean_of(exact, seen, pixels)
    (stored,) = [tensor for tensor in rounded.graph.initializer if tensor.name == mean]
    stored.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(stored) + shift, mean))
    onnx.save(rounded, path)


def _mean_of(network: onnx.ModelProto, tensor: str, pixels: np.ndarray) -> np.ndarray:
    """The mean over photos of a tensor inside a network."""
    network = onnx.ModelProto.FromString(network.SerializeToString())
    network.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    session = _session(network.SerializeToString())
    parts = [session.run([tensor], {"pixels": pixels[i : i + 8]})[0] for i in range(0, len(pixels), 8)]
    result: np.ndarray = np.concatenate(parts).mean(0)
    return result


def scores_of(network: Path, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """An ONNX network's scores (and features, where it gives them) for uint8 (N, 224, 224, 3) pixels, one thread."""
    session = _session(network)
    names = [output.name for output in session.get_outputs()]
    parts = [session.run(names, {"pixels": pixels[i : i + 8]}) for i in range(0, len(pixels), 8)]
    return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)}


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the calibration photos over one by one."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._feeds: Iterator[dict[str, np.ndarray]] = iter({"pixels": photo[None]} for photo in pixels)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def _in_backbone(node: onnx.NodeProto) -> bool:
    """Whether a node belongs to the stem or to layers 1 to 4, where the time goes."""
    parts = node.name.split("/")
    return any(part.startswith(("stem", "layer")) for part in parts)


def _session(network: Path | bytes) -> ort.InferenceSession:
    """A network from a file or from its bytes, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])


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
    for page in plots.glob("*.html"):  # the photos of a test set are not ours to release
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
    session = _session(network)
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


def _held_out(held_out: HeldOut, classes: Classes, familiar: Familiar | None) -> dict[str, Any]:
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


def _by_kind(run: Run, held_out: HeldOut) -> dict[str, Any]:
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


def card(metrics: Mapping[str, Any], classes: Classes) -> str:
    """The release's card: what it is, how it came about, what it scores, where it is weak."""
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
    recipe = "\n".join(f"- {name}: {value}" for name, value in story.get("recipe", {}).items())
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
        + " Intervals are 95 % bootstrap intervals over photos.",
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
        "## Recipe",
        "",
        recipe,
        "",
        "## Classes",
        "",
        *[f"- {m}: {', '.join(s for s in classes.subs if classes.main_of[s] == m)}" for m in classes.mains],
        *([f"- colours: {', '.join(classes.colours)}"] if "colour" in classes.heads else []),
        "",
        *story.get("remarks", []),
    ]
    return "\n".join(lines).rstrip() + "\n"


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
        f"By kind of photo, at {PRECISION:g}: each of two halves of the held-out groups is judged by thresholds that the "
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
