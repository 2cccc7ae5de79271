"""What photos look like, in 64 bytes each, as the model server says it: similar photos have similar numbers.

    distance(first.sketch, second.sketch)

`b""` is the sketch of a photo without one.
"""

import base64
import math
from operator import mul

BYTES = 64

FARTHEST = 2.0
"""The distance of two photos that have nothing in common; 0 is that of two that look the same."""


def distance(one: bytes, other: bytes) -> float:
    """How much two photos differ to the eye of the network, from 0 to 2: one minus the cosine of their angle.

    A photo without a sketch is as far from all others as can be.

    >>> distance(bytes([5] * 64), bytes([5] * 64)), distance(bytes([5] * 64), bytes([251] * 64))
    (0.0, 2.0)
    """
    first, second = _numbers(one), _numbers(other)
    length = math.hypot(*first) * math.hypot(*second)
    if len(first) != len(second) or not length:
        return FARTHEST
    alike: float = sum(map(mul, first, second))
    return round(1 - alike / length, 6)


def decoded(text: str) -> bytes:
    """A sketch as the server sends it, in base64. Raises ValueError for what is none."""
    sketch = base64.b64decode(text, validate=True)
    if len(sketch) != BYTES:
        raise ValueError(f"a sketch has {BYTES} bytes")
    return sketch


def _numbers(sketch: bytes) -> list[float]:
    """The bytes, which have a sign."""
    return list(map(float, memoryview(sketch).cast("b")))
