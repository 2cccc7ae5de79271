"""A release with a network of a few numbers, for tests that need answers and no accuracy.

Its scores depend on a photo's mean red, green and blue alone: red photos are t-shirts, green ones pants,
blue ones shoes.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from model.releasing.promotion import promote
from model.serving import familiar
from model.serving.classes import FEATURES, HEADS, Classes
from model.serving.predictor import Predictor
from model.serving.preprocess import read_photo
from model.serving.releases import load, seal

SUBS = ("pants", "shoes", "t-shirt")
MAINS = ("bottomwear", "footwear", "upperwear")
COLOURS = ("blue", "green", "red")
WEIGHTS = {
    "main": [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
    "sub": [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
    "background": [[1, 0], [0, 1], [0, 1]],
    "colour": [[0, 0, 1], [0, 1, 0], [1, 0, 0]],
    "clothing": [[1], [1], [1]],
}
"""Head → (3 channels, classes)."""

LOOKS = np.random.default_rng(0).random((3, 512)).astype(np.float32)
"""What each channel adds to the features of a release that makes sketches."""


def make(
    model_dir: Path,
    version: str = "small-1",
    *,
    sub_threshold: float = 0.0,
    heads: tuple[str, ...] = HEADS,
    doubts: Mapping[str, float] | None = None,
    sketches: bool = False,
) -> Path:
    """Write the release below `model_dir` and make it the current one; returns its folder.

    With `sketches` it can say what photos look like.
    """
    folder = model_dir / version
    (folder / "golden").mkdir(parents=True)
    onnx.save(_network(features=sketches), folder / "model.onnx")
    if sketches:
        from model.training.familiarity import fit  # loads scikit-learn, which few tests need

        fit(LOOKS[:2], np.array(["home", "home"])).write(folder / familiar.FILE)
    classes = Classes(
        mains=MAINS,
        subs=SUBS,
        main_of=dict(zip(SUBS, MAINS, strict=True)),
        colours=COLOURS,
        heads=heads,
        doubts=doubts or {},
        thresholds={"main": {0.8: 0.0, 0.995: 0.0}, "sub": {0.8: 0.0, 0.995: sub_threshold}},
    )
    (folder / "classes.json").write_text(classes.to_json(), "utf-8")
    scores = {head: {"accuracy": 1.0} for head in heads}
    agreement = {head: {"same": 1.0, "lost": 0.0} for head in heads}
    (folder / "metrics.json").write_text(json.dumps({"scores": scores, "agreement": agreement}), "utf-8")
    (folder / "card.md").write_text("For tests.\n", "utf-8")
    Image.new("RGB", (64, 64), (200, 20, 20)).save(folder / "golden" / "red.png")
    (folder / "golden" / "golden.json").write_text(
        json.dumps({"red.png": {"sub": "t-shirt"} | ({"colour": "red"} if "colour" in heads else {})}),
        "utf-8",
    )
    seal(folder)
    promote(model_dir, version, new_classes=True)
    return folder


def quantise(folder: Path) -> None:
    """Let the release's network look at photos through a convolution in 8 bits, with unsigned weights.

    It changes no channel, so the answers stay about what they were.
    """
    network = onnx.load(folder / "model.onnx")
    (cast,) = [node for node in network.graph.node if node.op_type == "Cast"]
    cast.output[0] = "seen"
    weights = np.full((3, 3, 1, 1), 128, np.uint8)
    weights[range(3), range(3)] = 255
    constants: dict[str, np.ndarray] = {
        "one": np.array(1, np.float32),
        "zero": np.array(0, np.uint8),
        "weights": weights,
        "steps": np.full(3, 1 / 127, np.float32),
        "middles": np.full(3, 128, np.uint8),
    }
    nodes = [
        helper.make_node("Transpose", ["seen"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("QuantizeLinear", ["planes", "one", "zero"], ["planes_8"]),
        helper.make_node("DequantizeLinear", ["planes_8", "one", "zero"], ["planes_again"]),
        helper.make_node("DequantizeLinear", ["weights", "steps", "middles"], ["kernel"], axis=0),
        helper.make_node("Conv", ["planes_again", "kernel"], ["convolved"]),
        helper.make_node("QuantizeLinear", ["convolved", "one", "zero"], ["convolved_8"]),
        helper.make_node("DequantizeLinear", ["convolved_8", "one", "zero"], ["convolved_again"]),
        helper.make_node("Transpose", ["convolved_again"], ["floats"], perm=[0, 2, 3, 1]),
    ]
    rest = [node for node in network.graph.node if node is not cast]
    del network.graph.node[:]
    network.graph.node.extend([cast, *nodes, *rest])
    network.graph.initializer.extend(numpy_helper.from_array(value, n) for n, value in constants.items())
    onnx.save(network, folder / "model.onnx")
    seal(folder)


def answer(folder: Path, photo: bytes) -> str:
    """The sub-category that the release gives a photo."""
    pixels = read_photo(photo, max_megapixels=50)
    return Predictor(load(folder)).predict(np.stack([pixels]))[0].sub.name


def _network(*, features: bool) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("Div", ["means", "scale"], ["scaled"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
        numpy_helper.from_array(np.array(10, np.float32), "scale"),
        numpy_helper.from_array(np.array([-1], np.int64), "flat"),
    ]
    outputs = []
    for head, weights in WEIGHTS.items():
        constants.append(numpy_helper.from_array(np.array(weights, np.float32), f"{head}_weights"))
        if head == "clothing":
            nodes.append(helper.make_node("MatMul", ["scaled", f"{head}_weights"], ["column"]))
            nodes.append(helper.make_node("Reshape", ["column", "flat"], [head]))
            outputs.append(helper.make_tensor_value_info(head, TensorProto.FLOAT, ["N"]))
        else:
            nodes.append(helper.make_node("MatMul", ["scaled", f"{head}_weights"], [head]))
            outputs.append(helper.make_tensor_value_info(head, TensorProto.FLOAT, ["N", len(weights[0])]))
    if features:
        constants.append(numpy_helper.from_array(LOOKS, "looks"))
        nodes.append(helper.make_node("MatMul", ["scaled", "looks"], [FEATURES]))
        outputs.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["N", 512]))
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", 224, 224, 3])
    graph = helper.make_graph(nodes, "small", [pixels], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
