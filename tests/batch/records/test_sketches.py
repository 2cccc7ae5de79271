"""How much two photos differ, by what the server says they look like."""

import base64

import numpy as np
import pytest

from batch.records.sketches import FARTHEST, decoded, distance


def sketch(numbers: np.ndarray) -> bytes:
    return numbers.astype(np.int8).tobytes()


def test_it_is_one_minus_the_cosine_of_their_angle() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(-127, 128, (2, 64))
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert distance(sketch(one), sketch(other)) == pytest.approx(1 - cosine, abs=1e-6)
    assert distance(sketch(one), sketch(one)) == 0


def test_photos_without_a_sketch_are_as_far_from_all_others_as_can_be() -> None:
    known = sketch(np.arange(64))
    assert distance(b"", known) == distance(b"", b"") == distance(sketch(np.zeros(64)), known) == FARTHEST


def test_they_come_in_base64() -> None:
    assert decoded(base64.b64encode(sketch(np.arange(64))).decode()) == sketch(np.arange(64))


@pytest.mark.parametrize("text", ["", "AAAA", "?", base64.b64encode(bytes(65)).decode()])
def test_what_has_not_64_bytes_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decoded(text)
