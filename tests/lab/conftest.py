"""Drawn photos with true masks, extracted once for all tests of the lab."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model.lab.numbers.extraction import extract_samples
from model.lab.numbers.features import write_tables
from model.lab.photos.samples import draw_samples
from model.lab.photos.store import Store

SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 54 drawn photos and their labels.csv."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_samples(folder, count=54)
    return folder


@pytest.fixture(scope="session")
def lab(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What extract, measure and colour write for them. Tests that write copy it (`own_lab`)."""
    out = tmp_path_factory.mktemp("lab")
    extract_samples(drawn, out)
    write_tables(drawn, out, ["quality"], workers=1)
    write_tables(drawn, out, ["colour-frame", "colour-item", "palette", "grain", "picture"], workers=1)
    return out


@pytest.fixture
def own_lab(lab: Path, tmp_path: Path) -> Path:
    """A copy of the lab's folder that a test may change."""
    return Path(shutil.copytree(lab, tmp_path / "lab"))


@pytest.fixture
def store(lab: Path) -> Store:
    """The extraction of the drawn photos."""
    return Store(lab)


@pytest.fixture(scope="session")
def shared_photos() -> list[Path]:
    """Six real photos, where they are at hand."""
    photos = sorted((SHARED / "clothing" / "validation").glob("*/*.jpg"))
    if not photos or not (SHARED / "weights" / "u2netp.onnx").is_file():
        pytest.skip("needs the shared photos and the mask model's weights")
    return photos[::60][:6]
