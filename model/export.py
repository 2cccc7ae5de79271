"""From a trained network to a release folder.

    export(run, held_out, test, golden=Path("model/golden"), out=Path("model/releases"), version="2026-11-21")

The network goes to ONNX with its normalisation inside (uint8 pixels in, scores out), is quantised to 8 bits
where that is quicker, and is measured on the test photos: its own scores, its agreement with the float
network, and its speed here. Everything said on the card was measured by this program.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
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

from model.answers import decode, probabilities
from model.calibrate import calibrate
from model.classes import FEATURES, HEADS, OUTPUTS, Classes, WeightsError
from model.data import Photos, fingerprint, serving_pixels
from model.evaluate import chosen, evaluate, judge, review, write_pages
from model.familiar import FILE as FAMILIAR
from model.familiar import Familiar, with_reach
from model.kinds import by_kind
from model.labels import UNKNOWN
from model.network import Network, Served, load_whole
from model.predictor import Predictor
from model.preprocess import INPUT_SIZE, read_photo
from model.recipe import Recipe
from model.releases import Release, ReleaseError, load, seal
from model.train import label_sets

CALIBRATION_PHOTOS: Final = 160
PRECISION: Final = 0.97
"""The promised precision that the card reports on."""

GOLDEN_NEEDED: Final = 0.6
"""Share of the drawn golden photos whose sub-category a release must get right to be one."""


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
    """The heads that had labels, or that came with the network it began with: the others know nothing."""
    learned: frozenset[str] = frozenset()
    """Checksums of the photos that it has learned from: these are no test."""
    data: tuple[str, ...] = ()
    """The data folders that it was made of."""


@dataclass(frozen=True)
class HeldOut:
    """Scores and features of photos of groups that training had not seen, and their labels (UNKNOWN = none).

    kinds, groups, sha256: of what kind each photo is, what it must stay together with, and its checksum; names: the heads'
    class names. None where that was not kept.
    """

    scores: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    kinds: np.ndarray | None = None
    groups: np.ndarray | None = None
    sha256: np.ndarray | None = None
    names: Mapping[str, tuple[str, ...]] | None = None

    def take(self, which: np.ndarray) -> HeldOut:
        """The photos at these indices (or where this mask is true)."""
        return HeldOut(
            {name: values[which] for name, values in self.scores.items()},
            {name: values[which] for name, values in self.labels.items()},
            None if self.kinds is None else self.kinds[which],
            None if self.groups is None else self.groups[which],
            None if self.sha256 is None else self.sha256[which],
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
        "data": run.data,
        "learned": sorted(run.learned),
    }
    (folder / "run.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if run.familiar:
        run.familiar.write(folder / FAMILIAR)


def load_run(folder: Path) -> Run:
    """Read a finished run. Raises WeightsError when there is none."""
    try:
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        classes, story = Classes.from_json(json.dumps(content["classes"])), content["story"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"There is no finished run in {folder} ({error}): `python -m model train --run {folder}` makes one."
        ) from error
    network = load_whole(classes, folder / "weights.safetensors")
    seen = folder / FAMILIAR
    known = Familiar.read(seen) if seen.is_file() else None
    return Run(
        network.eval(),
        classes,
        story,
        content.get("size", INPUT_SIZE),
        known,
        tuple(content.get("trained", HEADS)),
        frozenset(content.get("learned", ())),
        tuple(content.get("data", ())),
    )


def save_held_out(folder: Path, photos: Photos, which: np.ndarray, scores: Mapping[str, np.ndarray]) -> None:
    """Keep the scores of the held-out photos at `which`, and their labels, for calibration."""
    kept = {f"score/{head}": values for head, values in scores.items()}
    kept |= {f"label/{name}": labels for name, labels in label_sets(photos, which).items()}
    kept |= {f"names/{head}": np.array(photos.classes.names(head), dtype=str) for head in HEADS}
    kept |= {"kinds": photos.kind[which].astype(str), "groups": photos.groups()[which]}
    kept |= {"sha256": photos.sha256[which]}
    np.savez(folder / "held_out.npz", allow_pickle=False, **kept)


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


def story(
    recipe: Recipe, photos: Photos, learn: np.ndarray, *, begins_with: str, teacher: Path | None
) -> dict[str, Any]:
    """What a card says of how a run came about."""
    made_from = [f"{len(learn)} photos (data {fingerprint(photos)[:12]})", begins_with]
    made_from += [f"{teacher.name}, having learned the same photos, as a teacher"] if teacher else []
    return {"made_from": made_from, "recipe": asdict(recipe), "torch": torch.__version__}


def checksum(path: Path) -> str:
    """The SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_held_out(familiar: Familiar | None, held_out: HeldOut) -> tuple[Familiar | None, np.ndarray | None]:
    """How far away is too far, by the held-out photos; and the kind that each of these is judged as.

    A photo in service does not say of which kind it is: its features do, so they choose for the held-out ones as well.
    """
    features = held_out.scores.get(FEATURES)
    if familiar is None or features is None:
        return None, None
    familiar = with_reach(familiar, features)
    return familiar, familiar.look(features).kind


def export(
    run: Run,
    held_out: HeldOut,
    calibration: Photos,
    test: Photos,
    *,
    golden: Path,
    out: Path,
    version: str,
    quantised: bool = True,
) -> Release:
    """Write the release folder `out/<version>`, measured on the test photos. Raises ReleaseError.

    `calibration` are training photos: they set the ranges of the 8-bit numbers.
    """
    folder = out / version
    if folder.exists():
        raise ReleaseError(f"{folder} exists: a release is never changed. Choose another version.")
    familiar, judged_as = with_held_out(run.familiar, held_out)
    classes = calibrate(
        run.classes, held_out.scores, held_out.labels, kinds=judged_as, groups=held_out.groups
    )
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as scratch:
        part = Path(scratch) / version
        (part / "golden").mkdir(parents=True)
        whole = Path(scratch) / "float.onnx"
        write_onnx(run.network, whole, run.size)
        if quantised:
            quantise(whole, part / "model.onnx", serving_pixels(calibration))
        else:
            shutil.copy(whole, part / "model.onnx")
        save_file(_halved(run.network), part / "weights.safetensors")
        (part / "classes.json").write_text(classes.to_json(), encoding="utf-8")
        if familiar:
            familiar.write(part / FAMILIAR)
        metrics = _measure(part / "model.onnx", whole, classes, familiar, test, part / "plots")
        metrics |= {
            "version": version,
            "quantised": quantised,
            "size": run.size,
            "story": run.story,
            "held_out": _held_out(held_out, classes),
        }
        answers = _golden(golden, part, classes)
        metrics["golden"] = {"photos": len(answers), "sub_right": sum("sub" in a for a in answers.values())}
        _write_json(part / "golden" / "golden.json", answers)
        _write_json(part / "metrics.json", metrics)
        (part / "card.md").write_text(card(metrics, classes), encoding="utf-8")
        seal(part)
        Predictor(load(part)).check_golden()
        os.replace(part, folder)
    return load(folder)


def write_onnx(network: Network, path: Path, size: int = INPUT_SIZE) -> None:
    """The float network, reduction to `size` and normalisation inside: uint8 (N, 224, 224, 3) → the heads' scores."""
    served = Served(network, size).eval()
    example = (torch.zeros(1, INPUT_SIZE, INPUT_SIZE, 3, dtype=torch.uint8),)
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
    prepared.unlink()
    _centre_palette(whole, path, pixels)


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
    network: Path, whole: Path, classes: Classes, familiar: Familiar | None, test: Photos, plots: Path
) -> dict[str, Any]:
    """Scores, agreement with the float network, review and speed."""
    pixels = serving_pixels(test)
    scores, exact = scores_of(network, pixels), scores_of(whole, pixels)
    probable, filed = judge(scores, classes, PRECISION, familiar)
    report = evaluate(probable, test, classes)
    write_pages(report, probable, test, classes, plots)
    for page in plots.glob("*.html"):  # the photos of a test set are not ours to release
        page.unlink()
    (plots / "worst.png").unlink(missing_ok=True)
    return {
        "scores": report,
        "agreement": _agreement(probable, judge(exact, classes, PRECISION, familiar)[0], test, classes),
        "review": review(probable, filed, test, classes, PRECISION),
        "kinds": by_kind(probable, test, classes, filed),
        "clothing_suspected": float((probable["clothing"] < classes.clothing_threshold).mean()),
        "test_photos": len(test),
        "milliseconds": {"8-bit": _milliseconds(network, pixels), "float": _milliseconds(whole, pixels)},
        "processor": _processor(),
    }


def _agreement(
    given: Mapping[str, np.ndarray], exact: Mapping[str, np.ndarray], test: Photos, classes: Classes
) -> dict[str, dict[str, float]]:
    """How the shipped network's answers differ from the float one's: share the same, accuracy lost."""
    result = {}
    for head in HEADS:
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


def _held_out(held_out: HeldOut, classes: Classes) -> dict[str, Any]:
    """Accuracy of the run that the thresholds come from, on its held-out senders."""
    probable = probabilities(held_out.scores, classes)
    result: dict[str, Any] = {"photos": len(held_out.labels["sub"])}
    for head in HEADS:
        labels = held_out.labels[head]
        known = labels != UNKNOWN
        if known.any():
            result[head] = float((chosen(head, probable, classes) == labels)[known].mean())
    return result


def _golden(golden: Path, part: Path, classes: Classes) -> dict[str, dict[str, str]]:
    """Copy the golden photos and write down what they must get: every head that is right by the file's name.

    The files are called `<sub>-<colour>-<background>.<ending>`. Raises ReleaseError when too few are right.
    """
    files = sorted(path for path in golden.iterdir() if path.suffix in (".jpg", ".png"))
    answers, known = {}, 0
    for file in files:
        sub, colour, background = file.stem.rsplit("-", 2)
        if sub not in classes.subs:
            continue
        known += 1
        pixels = read_photo(file.read_bytes(), max_megapixels=50)
        prediction = decode(
            scores_of(part / "model.onnx", pixels[None]), classes, review_precision=PRECISION
        )[0]
        wanted = {"main": classes.main_of[sub], "sub": sub, "background": background, "colour": colour}
        answers[file.name] = {h: name for h, name in wanted.items() if getattr(prediction, h).name == name}
        shutil.copy(file, part / "golden" / file.name)
    right = sum("sub" in answer for answer in answers.values())
    if known and right < GOLDEN_NEEDED * known:
        raise ReleaseError(
            f"The network gets {right} of {known} golden photos right: it is not fit for release."
        )
    return answers or _drawn(part, classes)


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
    story, review_ = metrics["story"], metrics["review"]
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
    lines = [
        f"# Release {metrics['version']}",
        "",
        "Tells photos of clothing apart: main category, sub-category, background quality and colour.",
        "",
        "## Made from",
        "",
        *[f"- {line}" for line in story.get("made_from", [])],
        "",
        "## Scores",
        "",
        f"On {metrics['test_photos']} photos that took no part in training or in setting a threshold. "
        "The background's score is its balanced accuracy; intervals are 95 % bootstrap intervals over photos.",
        "",
        "| head | photos | score | 95 % interval | top-3 | macro F1 | calibration error |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"At a promised sub-category precision of {review_['promised']:g}: {review_['filed']:.1%} of the photos are "
        f"filed without a person, {review_['precision']:.1%} of these rightly. "
        f"{metrics['clothing_suspected']:.1%} of the photos are suspected of showing no clothing.",
        "",
        f"Temperatures and thresholds were set on {metrics['held_out']['photos']} photos of held-out senders, "
        + ", ".join(f"{h} {metrics['held_out'][h]:.3f}" for h in HEADS if h in metrics["held_out"])
        + " right there; the promise is meant on average over nights of such photos, not for each.",
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
        f"- colours: {', '.join(classes.colours)}",
        "",
        *story.get("remarks", []),
    ]
    return "\n".join(lines).rstrip() + "\n"
