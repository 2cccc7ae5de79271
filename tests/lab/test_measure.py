from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from model.lab.numbers.quality import MEASURES, blockiness, colourfulness, quality_numbers
from model.lab.photos.view import View

SIDE = 256


def view(pixels: np.ndarray, tmp_path: Path) -> View:
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[64:192, 64:192] = 255
    return View(path, pixels, mask)


def scene() -> np.ndarray:
    grain = gaussian_filter(np.random.default_rng(0).normal(0, 1, (SIDE, SIDE, 3)), (2, 2, 0))
    return np.asarray((128 + 400 * grain).clip(0, 255), np.uint8)


def test_blur_lowers_sharpness(tmp_path: Path) -> None:
    sharp = scene()
    soft = np.asarray(Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(3)))
    assert (
        quality_numbers(view(soft, tmp_path))["sharpness"]
        < quality_numbers(view(sharp, tmp_path))["sharpness"] / 10
    )


@pytest.mark.parametrize("sigma", [2.0, 6.0, 12.0])
def test_noise_is_the_standard_deviation_that_was_added(sigma: float, tmp_path: Path) -> None:
    grey = 128 + np.random.default_rng(3).normal(0, sigma, (SIDE, SIDE, 1)).repeat(3, axis=2)
    noisy = np.rint(grey).clip(0, 255).astype(np.uint8)
    assert quality_numbers(view(noisy, tmp_path))["noise"] == pytest.approx(sigma, rel=0.05)


def test_colourfulness_of_hasler_and_suesstrunk_worked_out_by_hand() -> None:
    # rg: 200, -200; yb: 100, 100: sqrt(200² + 0) + 0.3 sqrt(0 + 100²)
    assert colourfulness(np.array([[200, 0, 0], [0, 200, 0]], np.uint8)) == pytest.approx(230)
    assert colourfulness(np.full((50, 3), 90, np.uint8)) == 0


def test_compression_shows_as_blocks_and_a_plain_photo_does_not() -> None:
    smooth = gaussian_filter(np.random.default_rng(0).normal(0, 1, (SIDE, SIDE)), 6)
    original = Image.fromarray((128 + 900 * smooth).clip(0, 255).astype(np.uint8))
    stream = io.BytesIO()
    original.save(stream, "JPEG", quality=8)
    everywhere = np.ones((SIDE, SIDE), bool)
    compressed = np.asarray(Image.open(stream), np.float32)
    assert blockiness(np.asarray(original, np.float32), everywhere) < 1.1
    assert blockiness(compressed, everywhere) > 1.5
    assert blockiness(compressed[3:, 5:], everywhere) > 1.5  # cropped: the grid lies elsewhere


def test_clipping_counts_lost_shadows_and_lights(tmp_path: Path) -> None:
    pixels = np.full((SIDE, SIDE, 3), 128, np.uint8)
    pixels[:64] = 0
    pixels[64:96] = 255
    numbers = quality_numbers(view(pixels, tmp_path))
    assert numbers["dark"] == pytest.approx(0.25)
    assert numbers["bright"] == pytest.approx(0.125)


def test_entropy_of_two_equal_halves_is_one_bit(tmp_path: Path) -> None:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[:, SIDE // 2 :] = 200
    assert quality_numbers(view(pixels, tmp_path))["entropy"] == pytest.approx(1)


def test_the_background_is_measured_without_the_item(tmp_path: Path) -> None:
    pixels = np.full((SIDE, SIDE, 3), 200, np.uint8)
    pixels[64:192, 64:192] = 10
    numbers = quality_numbers(view(pixels, tmp_path))
    assert numbers["background_brightness"] == pytest.approx(200, abs=1)
    assert numbers["background_contrast"] < 1 < numbers["contrast"]


def test_without_background_the_figures_are_missing_and_not_wrong(tmp_path: Path) -> None:
    seen = view(scene(), tmp_path)
    numbers = quality_numbers(View(seen.path, seen.pixels, np.full_like(seen.mask, 255)))
    assert all(np.isnan(numbers[f"background_{name}"]) for name in MEASURES)
    assert not any(np.isnan(numbers[name]) for name in MEASURES)
