"""Signed weights: the same network in other numbers, read and written without the package `onnx`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from model.releasing.onnx_network import open_session
from model.serving import releases
from model.serving.signed import has_vnni, signed
from settings import ROOT

RELEASES = ROOT / "model" / "releases"


def network(
    weights: onnx.TensorProto, middles: onnx.TensorProto, *others: onnx.NodeProto, version: int = 9
) -> bytes:
    """A network that adds dequantised weights to what it is given."""
    nodes = [
        helper.make_node("DequantizeLinear", ["weights", "steps", "middles"], ["floats"], axis=0),
        helper.make_node("Add", ["given", "floats"], ["sum"]),
    ]
    given, total = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 4]) for name in ("given", "sum")
    )
    steps = numpy_helper.from_array(np.array([0.5, 0.25], np.float32), "steps")
    graph = helper.make_graph([*nodes, *others], "g", [given], [total], [weights, steps, middles])
    opset = [helper.make_opsetid("", 17)]
    content: bytes = helper.make_model(graph, opset_imports=opset, ir_version=version).SerializeToString()
    return content


def as_bytes(name: str, values: list[int]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.uint8).reshape(2, -1).squeeze(), name)


def as_numbers(name: str, values: list[int]) -> onnx.TensorProto:
    shape = [2, 4] if len(values) > 2 else [2]
    return helper.make_tensor(name, TensorProto.UINT8, shape, values)


def tensors(content: bytes) -> dict[str, np.ndarray]:
    loaded = onnx.load_from_string(content)
    onnx.checker.check_model(loaded)
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in loaded.graph.initializer}


WEIGHTS = [0, 1, 127, 128, 129, 200, 254, 255]


@pytest.mark.parametrize("written", [as_bytes, as_numbers])
@pytest.mark.parametrize("middles", [[128, 128], [0, 255], [127, 3]])
def test_weights_and_zero_points_are_128_less_however_they_are_written(
    written: Callable[[str, list[int]], onnx.TensorProto], middles: list[int]
) -> None:
    before = network(written("weights", WEIGHTS), written("middles", middles))
    after = tensors(signed(before))
    assert after["weights"].dtype == after["middles"].dtype == np.int8
    assert (after["weights"].astype(int) == tensors(before)["weights"].astype(int) - 128).all()
    assert after["middles"].tolist() == [middle - 128 for middle in middles]


def test_the_network_says_the_same() -> None:
    before = network(as_numbers("weights", WEIGHTS), as_bytes("middles", [100, 128]))
    given = {"given": np.ones((2, 4), np.float32)}
    one, other = (open_session(content).run(None, given)[0] for content in (before, signed(before)))
    assert np.array_equal(one, other)


def test_all_else_stays_as_it_was() -> None:
    before = network(as_bytes("weights", WEIGHTS), as_bytes("middles", [128, 128]))
    one, other = onnx.load_from_string(before), onnx.load_from_string(signed(before))
    for model in (one, other):
        for tensor in model.graph.initializer:
            if tensor.name != "steps":
                tensor.Clear()
    assert one == other


@pytest.mark.parametrize(
    "other",
    [
        helper.make_node("QuantizeLinear", ["given", "steps", "middles"], ["elsewhere"], axis=0),
        helper.make_node("Cast", ["weights"], ["elsewhere"], to=TensorProto.FLOAT),
    ],
    ids=["zero points", "weights"],
)
def test_what_something_else_reads_as_unsigned_stays_unsigned(other: onnx.NodeProto) -> None:
    before = network(as_bytes("weights", WEIGHTS), as_bytes("middles", [128, 128]), other)
    assert signed(before) == before


def test_weights_that_share_a_zero_point_with_others_that_stay_stay_too() -> None:
    more = [
        helper.make_node("DequantizeLinear", ["given_8", "steps", "middles"], ["again"], axis=0),
        helper.make_node("QuantizeLinear", ["given", "steps"], ["given_8"], axis=0),
    ]
    before = network(as_bytes("weights", WEIGHTS), as_bytes("middles", [128, 128]), *more)
    assert signed(before) == before


def test_a_network_without_unsigned_weights_stays_as_it_was() -> None:
    weights = numpy_helper.from_array(np.zeros((2, 4), np.int8), "weights")
    before = network(weights, numpy_helper.from_array(np.zeros(2, np.int8), "middles"))
    assert signed(before) == before


def test_signing_twice_changes_nothing_more() -> None:
    once = signed(network(as_bytes("weights", WEIGHTS), as_bytes("middles", [128, 128])))
    assert signed(once) == once


@pytest.mark.parametrize("content", [b"nothing", b"\x3a\x7f", b"\x3a\xff", b"\x09\x01", b"\x80"])
def test_what_is_no_network_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="no Protocol Buffers"):
        signed(content)


def test_every_convolution_of_the_shipped_network_that_is_in_8_bits_becomes_signed() -> None:
    before = releases.current(RELEASES).network.read_bytes()
    after = signed(before)
    loaded, types = onnx.load_from_string(after), {n: t.dtype for n, t in tensors(after).items()}
    assert abs(len(after) - len(before)) < 10_000
    read = [node.input[0] for node in loaded.graph.node if node.op_type == "DequantizeLinear"]
    weights = [name for name in read if name in types and types[name] != np.int32]
    assert len(weights) == 20
    assert {types[name] for name in weights} == {np.dtype(np.int8)}


@pytest.mark.parametrize(
    ("flags", "has"),
    [
        ("fpu avx2 avx512f avx512_vnni", True),
        ("fpu avx2 avx_vnni", True),
        ("fpu avx2 avx512f", False),
        ("fpu avx2 avx512_4vnniw", False),
    ],
)
def test_vnni_is_known_by_the_processors_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, has: bool
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: a\nflags\t\t: {flags}\nbugs\t\t: none\n")
    monkeypatch.setattr("model.serving.signed.CPUINFO", cpuinfo)
    assert has_vnni() is has


def test_where_no_file_tells_numpy_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from numpy._core import _multiarray_umath

    monkeypatch.setattr("model.serving.signed.CPUINFO", tmp_path / "none")
    for has in (True, False):
        monkeypatch.setattr(_multiarray_umath, "__cpu_features__", {"AVX512VNNI": has})
        assert has_vnni() is has
