from __future__ import annotations

import math

import numpy as np
import pytest

from model.lab.numbers.backgrounds import background_numbers

SIDE = 512


def frame(rgb: tuple[int, int, int]) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), rgb, np.uint8)


def item_in_the_middle() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[128:384, 128:384] = 255
    return mask


def test_the_item_does_not_count() -> None:
    pixels = frame((240, 240, 240))
    pixels[128:384, 128:384] = (200, 0, 0)
    numbers = background_numbers(pixels, item_in_the_middle())
    assert numbers["share"] == pytest.approx(0.75)
    assert numbers["white"] == 1
    assert numbers["chroma_p95"] < 0.5
    assert numbers["uniformity"] == 1


def test_half_a_red_wall_is_half_other() -> None:
    pixels = frame((240, 240, 240))
    pixels[:, :256] = (180, 20, 30)
    numbers = background_numbers(pixels, item_in_the_middle())
    assert numbers["other"] == pytest.approx(0.5, abs=0.01)
    assert numbers["border_other"] == pytest.approx(0.5, abs=0.01)
    assert numbers["uniformity"] < 0.6


def test_a_dark_corner_is_found_by_its_field_though_it_is_a_small_share() -> None:
    pixels = frame((240, 240, 240))
    pixels[:85, :85] = (30, 30, 30)
    numbers = background_numbers(pixels, item_in_the_middle())
    assert numbers["other"] < 0.05
    assert numbers["field_L_min"] < 20
    assert numbers["field_fine_min"] < 0.1
    assert numbers["field_fine_mean"] > 0.9


def test_a_pattern_has_texture_and_a_plain_wall_has_none() -> None:
    stripes = frame((240, 240, 240))
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = (90, 90, 160)
    mask = item_in_the_middle()
    assert background_numbers(frame((240, 240, 240)), mask)["texture"] < 0.01
    assert background_numbers(stripes, mask)["texture"] > 5


def test_a_frame_full_of_item_gives_no_figures_and_no_error() -> None:
    numbers = background_numbers(frame((9, 9, 9)), np.full((SIDE, SIDE), 255, np.uint8))
    assert numbers["share"] == 0
    assert math.isnan(numbers["L_mean"])
    assert math.isnan(numbers["texture"])


def test_every_photo_has_the_same_columns() -> None:
    full = background_numbers(frame((9, 9, 9)), np.full((SIDE, SIDE), 255, np.uint8))
    usual = background_numbers(frame((9, 9, 9)), item_in_the_middle())
    assert list(full) == list(usual)
