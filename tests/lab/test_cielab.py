from __future__ import annotations

import colorsys

import numpy as np
import pytest
from skimage.color import rgb2lab

from model.lab.numbers.cielab import chroma, difference, hue, is_cream, is_white, to_hsv, to_lab


def pixel(*rgb: int) -> np.ndarray:
    return np.array([rgb], np.uint8)


def test_the_conversion_agrees_with_scikit_image_over_the_whole_cube() -> None:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    assert np.abs(to_lab(cube) - rgb2lab(cube[None] / 255)[0]).max() < 0.02


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
    ],
)
def test_known_colours_have_their_published_values(rgb: tuple[int, int, int], lab: tuple[float, ...]) -> None:
    assert to_lab(pixel(*rgb))[0] == pytest.approx(lab, abs=0.05)


def test_hsv_agrees_with_the_standard_library() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (300, 3), dtype=np.uint8)
    pixels[:3] = [[0, 0, 0], [7, 7, 7], [255, 0, 255]]
    expected = [colorsys.rgb_to_hsv(*(value / 255 for value in row)) for row in pixels.tolist()]
    assert np.allclose(to_hsv(pixels), expected, atol=1e-6)


def test_grey_has_no_chroma_and_yellow_lies_at_ninety_to_a_hundred_degrees() -> None:
    assert chroma(to_lab(pixel(120, 120, 120)))[0] < 0.1
    assert 90 < hue(to_lab(pixel(255, 240, 60)))[0] < 110


def test_the_difference_is_the_distance_in_cielab() -> None:
    first, second = np.array([[50, 3, 4], [50, 0, 0]], np.float32)[:, None]
    assert difference(first, second)[0] == pytest.approx(5)


@pytest.mark.parametrize(
    ("rgb", "kind"),
    [
        ((255, 255, 255), "white"),
        ((215, 215, 212), "white"),
        ((245, 235, 215), "cream"),
        ((250, 240, 220), "cream"),
        ((150, 150, 150), "neither"),
        ((210, 180, 120), "neither"),
        ((200, 220, 255), "neither"),
        ((255, 200, 210), "neither"),
    ],
)
def test_white_and_cream_are_told_from_grey_beige_and_tints(rgb: tuple[int, int, int], kind: str) -> None:
    lab = to_lab(pixel(*rgb))
    told = "white" if is_white(lab)[0] else "cream" if is_cream(lab)[0] else "neither"
    assert told == kind


def test_no_colour_is_both_white_and_cream() -> None:
    lab = to_lab(np.random.default_rng(2).integers(150, 256, (5000, 3), dtype=np.uint8))
    assert not (is_white(lab) & is_cream(lab)).any()
