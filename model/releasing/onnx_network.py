"""The network as ONNX Runtime runs it: exported with its normalisation inside, and its backbone quantised to 8 bits.

write_onnx(network, Path("float.onnx"))
quantise(Path("float.onnx"), Path("model.onnx"), pixels)
scores_of(Path("model.onnx"), pixels)
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

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
from torch.jit._trace import TracerWarning

from model.network import Network, Served
from model.serving.classes import FEATURES, OUTPUTS
from model.serving.preprocess import INPUT_SIZE


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
    # it tells of its histograms
    with contextlib.redirect_stdout(None):
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
    session = open_session(network.SerializeToString())
    parts = [session.run([tensor], {"pixels": pixels[i : i + 8]})[0] for i in range(0, len(pixels), 8)]
    result: np.ndarray = np.concatenate(parts).mean(0)
    return result


def scores_of(network: Path, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """An ONNX network's scores (and features, where it gives them) for uint8 (N, 224, 224, 3) pixels, one thread."""
    session = open_session(network)
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


def open_session(network: Path | bytes) -> ort.InferenceSession:
    """A network from a file or from its bytes, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])
