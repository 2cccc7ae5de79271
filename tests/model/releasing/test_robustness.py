"""What damage does to answers is measured: on the same damage each time, and in three strengths that are stronger each."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.__main__ import main
from model.releasing.robustness import DAMAGES, Line, as_table, denoised, robustness, write_page
from model.serving.releases import load as load_release
from model.training import data
from model.training.data import Photos
from tests import small_release

SIDE = 224


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Stripes and a gradient: something in it for each kind of damage to harm."""
    across = np.linspace(40, 220, SIDE)[None, :, None]
    stripes = 30 * (np.arange(SIDE) // 4 % 2)[:, None, None]
    return np.broadcast_to(across + stripes, (SIDE, SIDE, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", DAMAGES)
def test_each_strength_harms_more_than_the_one_before(name: str, photo: np.ndarray) -> None:
    damage, strengths = DAMAGES[name]
    harm = []
    for strength in strengths:
        worse = damage(photo, strength, np.random.default_rng(0))
        assert worse.shape == photo.shape
        assert worse.dtype == np.uint8
        harm.append(np.abs(worse.astype(float) - photo).mean())
    assert len(strengths) == 3
    assert 0 < harm[0] < harm[1] < harm[2]


def test_the_same_damage_is_done_each_time(photo: np.ndarray) -> None:
    for damage, strengths in DAMAGES.values():
        one, other = (damage(photo, strengths[1], np.random.default_rng(5)) for _ in range(2))
        assert (one == other).all()


def test_a_median_filter_takes_noise_away(photo: np.ndarray) -> None:
    noise, strengths = DAMAGES["noise"]
    noisy = noise(photo, strengths[1], np.random.default_rng(0))
    before, after = (np.abs(one.astype(float) - photo).mean() for one in (noisy, denoised(noisy)))
    assert after < 0.8 * before


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    root = tmp_path_factory.mktemp("photos")
    for sub, colour in {"pants": (20, 190, 20), "shoes": (20, 20, 190), "t-shirt": (190, 20, 20)}.items():
        for number in range(4):
            path = root / sub / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (32, 32), colour).save(path)
    release = load_release(small_release.make(tmp_path_factory.mktemp("releases")))
    return data.load(root, classes=release.classes, progress=False)


def test_right_answers_and_what_would_be_filed_stand_beside_each_damage(photos: Photos) -> None:
    seen = []

    def judged(pixels: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Right, and sure, of all photos as they are; wrong of the first when they were changed."""
        seen.append(pixels)
        probable = {"sub": np.eye(3)[photos.sub], "main": np.eye(3)[photos.main]}
        if len(seen) > 1:
            probable["sub"][0] = np.eye(3)[(photos.sub[0] + 1) % 3]
        return {**probable, "background": np.ones((12, 2)), "colour": np.ones((12, 3))}, np.arange(12) < 6

    lines = robustness(judged, photos)
    assert len(lines) == 1 + 3 * len(DAMAGES)
    clean, first = lines[:2]
    assert (clean.damage, clean.sub, clean.filed, clean.filed_right) == ("none", 1, 0.5, 1)
    assert first.sub == pytest.approx(11 / 12)
    assert first.filed_right == pytest.approx(5 / 6)
    assert math.isnan(clean.colour), "no photo has a label"
    assert (seen[0] != seen[1]).any()


def test_of_many_photos_some_are_looked_at(photos: Photos) -> None:
    def judged(pixels: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        assert len(pixels) == 5
        return {"sub": np.ones((5, 3)), "main": np.ones((5, 3))}, np.ones(5, bool)

    assert robustness(judged, photos, most=5)


def test_table_and_page_have_every_line(tmp_path: Path) -> None:
    lines = [Line("none", 0, 1, 0.9, math.nan, 0.8, 0.7, 0.99), Line("noise", 10, 1, 0.5, 1, 0.8, 0.1, 0.9)]
    table, page = write_page(lines, tmp_path)
    with table.open(encoding="utf-8", newline="") as file:
        assert [line["sub"] for line in csv.DictReader(file)] == ["0.9000", "0.5000"]
    assert as_table(lines) in page.read_text("utf-8")


def test_evaluate_writes_them_when_asked(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_release.make(tmp_path / "releases")
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "releases"))
    for sub in ("pants", "shoes"):
        (tmp_path / "photos" / sub).mkdir(parents=True)
        for number in range(2):
            colour = (20, 190, 20) if sub == "pants" else (20, 20, 190)
            Image.new("RGB", (32, 32), colour).save(tmp_path / "photos" / sub / f"{number}.png")
    command = ["evaluate", str(tmp_path / "photos"), "--out", str(tmp_path / "out")]
    assert main([*command, "--robustness", "--denoise"]) == 0
    assert "low resolution" in capsys.readouterr().out
    assert {"robustness.csv", "robustness.html"} <= {path.name for path in (tmp_path / "out").iterdir()}
