"""The sewing patterns: every garment can be sewn, and its pieces lie where the cut says."""

import numpy as np
import pytest

from batch.demo.garments import CUTS, MAIN_OF, Cloth, Piece, sewn, spaced

RED = Cloth(((0.7, 0.1, 0.1),))


def test_every_sub_category_has_a_cut_and_a_main_category() -> None:
    assert set(CUTS) == set(MAIN_OF)
    assert set(MAIN_OF.values()) == {"bottomwear", "footwear", "headwear", "onepiece", "upperwear"}


@pytest.mark.parametrize(
    ("sub", "style"), [(sub, style) for sub, cuts in CUTS.items() for style in range(len(cuts))]
)
def test_every_cut_can_be_sewn_and_is_of_a_size_that_people_wear(sub: str, style: int) -> None:
    corners = np.concatenate([piece.outline for piece in sewn(sub, style, RED)])
    assert np.isfinite(corners).all()
    assert (np.ptp(corners, axis=0) > 15).all()
    assert (np.ptp(corners, axis=0) < 120).all()


def test_a_style_beyond_the_last_begins_again_at_the_first() -> None:
    assert len(sewn("hat", 0, RED)) == len(sewn("hat", len(CUTS["hat"]), RED))


def test_garments_hang_straight_their_left_half_mirrors_the_right() -> None:
    cloth = [piece for piece in sewn("pants", 0, RED) if not piece.line]
    corners = np.concatenate([piece.outline for piece in cloth])
    assert corners[:, 0].min() == pytest.approx(-corners[:, 0].max())


def test_shoes_come_in_pairs() -> None:
    shoes = sewn("shoes", 0, RED)
    left, right = shoes[: len(shoes) // 2], shoes[len(shoes) // 2 :]
    assert len(left) == len(right)
    assert middle(left) < -3
    assert middle(right) > 3


def test_a_striped_style_adds_lighter_shades_and_a_printed_cloth_keeps_its_own() -> None:
    style = next(number for number, (_, design) in enumerate(CUTS["shirt"]) if design == "checks")
    assert any(
        piece.cloth.design == "checks" and len(piece.cloth.colours) == 3
        for piece in sewn("shirt", style, RED)
    )
    flowers = Cloth(((0.7, 0.1, 0.1), (0.1, 0.1, 0.7)), design="flowers")
    assert {piece.cloth.design for piece in sewn("shirt", style, flowers)} <= {"flowers", ""}


def test_seams_are_thin_lines_and_never_printed() -> None:
    seams = [piece for piece in sewn("shirt", 0, RED) if piece.line]
    assert seams
    assert all(0 < piece.line < 3 and piece.cloth.design == "" for piece in seams)


def test_points_are_spread_at_even_steps_along_a_line() -> None:
    line = spaced(np.array([(0.0, 0.0), (3.0, 0.0), (3.0, 3.0)]), 1.0)
    assert np.hypot(*np.diff(line, axis=0).T).max() < 1.3
    assert line[0].tolist() == [0, 0]
    assert line[-1].tolist() == [3, 3]


def middle(pieces: list[Piece]) -> float:
    return float(np.concatenate([piece.outline for piece in pieces])[:, 0].mean())
