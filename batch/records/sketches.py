"""What photos look like, in 64 bytes each, as the model server says it: similar photos have similar numbers.

    distance(first.sketch, second.sketch)

A sketch is kept as the server sends it, in base64; `""` is that of a photo without one.
"""

import base64
import math
from operator import mul

BYTES = 64

FARTHEST = 2.0
"""The distance of two photos that have nothing in common; 0 is that of two that look the same."""


def distance(one: str, other: str) -> float:
    """How much two photos differ to the eye of the network, from 0 to 2: one minus the cosine of their angle.

    A photo without a sketch is as far from all others as can be.

    >>> one, other = (base64.b64encode(bytes([number] * 64)).decode() for number in (5, 251))
    >>> distance(one, one), distance(one, other)
    (0.0, 2.0)
    """
    first, second = _numbers(one), _numbers(other)
    if len(first) != len(second):
        return FARTHEST
    alike: float = sum(map(mul, first, second))
    length = math.hypot(*first) * math.hypot(*second)
    if not length:
        return FARTHEST
    return round(1 - alike / length, 6)


def check(sketch: str) -> None:
    """Raises ValueError for what is none."""
    if len(base64.b64decode(sketch, validate=True)) != BYTES:
        raise ValueError("a sketch has 64 bytes")


def _numbers(sketch: str) -> list[float]:
    return list(map(float, memoryview(base64.b64decode(sketch)).cast("b")))
