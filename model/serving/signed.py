"""The same 8-bit network with signed weights: the same answers, on processors with VNNI in half the time.

    signed(network)     # the bytes of an ONNX file; as they were where no weights are unsigned

A weight w with the zero point z counts as w − z. Written as w − 128 and z − 128 in signed numbers it counts the same,
and so does every sum. What differs is the processor's way there: VNNI multiplies unsigned activations by signed weights
and adds four products in one instruction; processors without it add two of these products in 16 bits, which overflows.

The file is read and written here and not with the package `onnx`, which the night does without: ONNX is Protocol
Buffers (https://protobuf.dev/programming-guides/encoding), of which this needs four messages. The numbers are those of
onnx.proto3, which never change.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

CPUINFO: Final = Path("/proc/cpuinfo")

# of ModelProto, GraphProto, NodeProto and TensorProto
GRAPH: Final = 7
NODE: Final = 1
INITIALIZER: Final = 5
INPUT: Final = 1
OP_TYPE: Final = 4
DATA_TYPE: Final = 2
INT32_DATA: Final = 5
NAME: Final = 8
RAW_DATA: Final = 9

UINT8: Final = 2
INT8: Final = 3
"""What DATA_TYPE says of bytes."""

NUMBER: Final = 0
COUNTED_BYTES: Final = 2
FIXED: Final = {1: 8, 5: 4}
"""How a field is written, as the lowest three bits of its key say: a number, bytes after their number, or so many."""


def has_vnni() -> bool:
    """Whether this processor multiplies unsigned by signed bytes and adds the products without overflow."""
    if CPUINFO.is_file():
        with CPUINFO.open(encoding="utf-8", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "").split()
        return "avx512_vnni" in flags or "avx_vnni" in flags
    # elsewhere NumPy has asked the processor; of AVX-VNNI it knows nothing, so that one goes without
    from numpy._core._multiarray_umath import __cpu_features__  # type: ignore[import-not-found]

    return bool(__cpu_features__.get("AVX512VNNI"))


def signed(network: bytes) -> bytes:
    """An ONNX network, with the weights that DequantizeLinear reads as signed bytes instead of unsigned ones.

    Raises ValueError for what is no ONNX network.
    """
    model = list(_fields(memoryview(network)))
    graph = [field for part in model if part.number == GRAPH for field in _fields(part.content)]
    weights = _weights(graph)
    if not weights:
        return network
    written = [_as_signed(field) if _is_one_of(weights, field) else field.whole for field in graph]
    others = [field.whole for field in model if field.number != GRAPH]
    return b"".join([*others, *_field(GRAPH, written)])


class _Field(NamedTuple):
    """A field of a message."""

    number: int
    value: int
    """If it holds a number."""
    content: memoryview
    """If it holds bytes: a text, an array or a message."""
    whole: memoryview
    """All of it, as it was written."""


def _weights(graph: list[_Field]) -> set[bytes]:
    """The names of the unsigned weights that a DequantizeLinear reads, and of their zero points, if nothing else does."""
    unsigned = {_name(tensor) for tensor in graph if tensor.number == INITIALIZER and _is_unsigned(tensor)}
    pairs: set[tuple[bytes, bytes]] = set()
    others: set[bytes] = set()
    for node in graph:
        if node.number == NODE:
            parts = list(_fields(node.content))
            operation = b"".join(bytes(part.content) for part in parts if part.number == OP_TYPE)
            names = [bytes(part.content) for part in parts if part.number == INPUT]
            if operation == b"DequantizeLinear" and len(names) == 3 and unsigned.issuperset(names[::2]):
                pairs.add((names[0], names[2]))
            else:
                others.update(names)
    # what shares its zero point with an unsigned tensor has to stay unsigned too
    while kept := {pair for pair in pairs if not others.isdisjoint(pair)}:
        pairs -= kept
        others.update(*kept)
    return {name for pair in pairs for name in pair}


def _is_one_of(weights: set[bytes], field: _Field) -> bool:
    return field.number == INITIALIZER and _name(field) in weights


def _is_unsigned(tensor: _Field) -> bool:
    """Whether a tensor holds unsigned bytes, and has them in this file."""
    parts = list(_fields(tensor.content))
    has_bytes = any(part.number in (INT32_DATA, RAW_DATA) for part in parts)
    return has_bytes and any(part.number == DATA_TYPE and part.value == UINT8 for part in parts)


def _name(tensor: _Field) -> bytes:
    return b"".join(bytes(part.content) for part in _fields(tensor.content) if part.number == NAME)


def _as_signed(tensor: _Field) -> bytes:
    """A tensor of unsigned bytes, less 128."""
    parts = list(_fields(tensor.content))
    # 128 less is the highest bit turned over
    numbers = np.frombuffer(_stored(parts), np.uint8) ^ 0x80
    kept = [part.whole for part in parts if part.number not in (DATA_TYPE, INT32_DATA, RAW_DATA)]
    type_ = [_varint(DATA_TYPE << 3 | NUMBER), _varint(INT8)]
    return b"".join(_field(INITIALIZER, [*kept, *type_, *_field(RAW_DATA, [numbers.tobytes()])]))


def _stored(tensor: list[_Field]) -> bytes:
    """The bytes of a tensor, which are written as they are or as a list of numbers."""
    raw = b"".join(part.content for part in tensor if part.number == RAW_DATA)
    return raw or bytes(number for part in tensor if part.number == INT32_DATA for number in _numbers(part))


def _numbers(field: _Field) -> Iterator[int]:
    """The numbers of a list, which are written one by one or packed."""
    if not field.content:
        yield field.value
    at = 0
    while at < len(field.content):
        number, at = _read_varint(field.content, at)
        yield number


def _fields(message: memoryview) -> Iterator[_Field]:
    """The fields of a message. Raises ValueError when it is none."""
    at = 0
    while at < len(message):
        start, value, content = at, 0, message[:0]
        key, at = _read_varint(message, at)
        written_as = key & 7
        if written_as == NUMBER:
            value, at = _read_varint(message, at)
        elif written_as == COUNTED_BYTES:
            length, at = _read_varint(message, at)
            content, at = message[at : at + length], at + length
        elif written_as in FIXED:
            at += FIXED[written_as]
        else:
            raise ValueError(f"no Protocol Buffers: there is no way {written_as} to write a field")
        if at > len(message):
            raise ValueError("no Protocol Buffers: a field without its end")
        yield _Field(key >> 3, value, content, message[start:at])


def _field(number: int, content: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """A field that holds bytes, in the pieces to be written."""
    return [_varint(number << 3 | COUNTED_BYTES), _varint(sum(map(len, content))), *content]


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number, seven bits a byte, lowest first; and where it ends."""
    number = shift = 0
    while at < len(message):
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise ValueError("no Protocol Buffers: a number without its end")


def _varint(number: int) -> bytes:
    """A number as `_read_varint` reads it."""
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
