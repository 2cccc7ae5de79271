from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.lab.numbers.cielab import to_lab
from model.lab.numbers.colours import (
    FIGURES,
    colour_numbers,
    frame_colours,
    item_colours,
    main_colours,
    palette,
)
from model.lab.photos.view import View

SIDE = 512


def red_shirt_on_white(mask_value: int = 255) -> View:
    pixels = np.full((SIDE, SIDE, 3), 240, np.uint8)
    pixels[128:384, 128:384] = (200, 20, 30)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[128:384, 128:384] = mask_value
    return View(Path("shirt.png"), pixels, mask)


def test_there_are_eighteen_features_with_names_of_their_own() -> None:
    assert len(FIGURES) == len(set(FIGURES)) == 18


def test_the_item_is_red_and_the_frame_is_not() -> None:
    item, frame = item_colours(red_shirt_on_white()), frame_colours(red_shirt_on_white())
    assert (item["rgb_r_mean"], item["rgb_g_mean"], item["rgb_b_mean"]) == (200, 20, 30)
    assert item["lab_a_std"] == pytest.approx(0, abs=1e-3)
    assert frame["rgb_g_mean"] == pytest.approx(0.75 * 240 + 0.25 * 20, abs=1)


def test_a_mask_that_missed_the_item_leaves_the_whole_frame() -> None:
    view = red_shirt_on_white(mask_value=100)
    assert item_colours(view) == frame_colours(view)


def test_means_and_deviations_are_numpys() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (400, 3), dtype=np.uint8)
    numbers = colour_numbers(pixels)
    assert numbers["rgb_g_std"] == pytest.approx(pixels[:, 1].std(), rel=1e-4)
    assert numbers["lab_b_mean"] == pytest.approx(to_lab(pixels)[:, 2].mean(), rel=1e-4)


def test_the_main_colours_of_three_stripes_are_the_stripes() -> None:
    stripes = [(250, 250, 250)] * 600 + [(30, 60, 200)] * 300 + [(10, 10, 10)] * 100
    centres, shares = main_colours(to_lab(np.array(stripes, np.uint8)), count=3)
    assert shares == pytest.approx([0.6, 0.3, 0.1], abs=0.01)
    assert centres[1] == pytest.approx(to_lab(np.array([(30, 60, 200)], np.uint8))[0], abs=0.5)


def test_the_palette_tells_the_item_by_hue_and_relates_it_to_the_light() -> None:
    numbers = palette(red_shirt_on_white())
    assert numbers["hue_30"] == 1
    assert numbers["light_L_p50"] == pytest.approx(to_lab(np.full((1, 3), 240, np.uint8))[0, 0], abs=0.1)
    assert numbers["to_light_L"] < -40
    assert sum(
        value for name, value in numbers.items() if name.endswith("_share") and "main" in name
    ) == pytest.approx(1)
