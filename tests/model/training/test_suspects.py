"""Labels that are likely wrong come first, and nobody is asked about the others."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.__main__ import main
from model.serving.classes import DataError
from model.serving.releases import load as load_release
from model.training import data
from model.training.data import Photos
from model.training.labels import UNKNOWN
from model.training.suspects import COLUMNS, features_of, suspects, write_pages
from tests import small_release

EACH = 60
SUBS = {"pants": (20, 190, 20), "shoes": (20, 20, 190), "t-shirt": (190, 20, 20)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn photos of three classes; every tenth lies in the folder of another."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number, (sub, colour) in enumerate(SUBS.items()):
        for i in range(EACH):
            pixels = np.clip(rng.normal(colour, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
            into = list(SUBS)[(number + (i % 10 == 0)) % 3]
            path = root / into / f"{'planted ' if i % 10 == 0 else ''}<{sub}> {i}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
    return root


@pytest.fixture(scope="module")
def photos(folder: Path) -> Photos:
    return data.load(folder, progress=False)


@pytest.fixture(scope="module")
def features(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    release = load_release(small_release.make(tmp_path_factory.mktemp("releases"), sketches=True))
    return features_of(release, photos, progress=False)


def test_planted_wrong_labels_are_found_and_come_first(photos: Photos, features: np.ndarray) -> None:
    planted = {i for i, file in enumerate(photos.files) if "planted" in file}
    found = suspects(photos, features)
    first = {suspect.photo for suspect in found[: len(planted)]}
    assert len(first & planted) >= 0.9 * len(planted)
    assert len(found) <= len(planted) + 5
    assert [one.label_probability for one in found] == sorted(one.label_probability for one in found)
    for suspect in found[: len(planted)]:
        if suspect.photo in planted:
            truth = str(photos.files[suspect.photo]).split("<")[1].split(">")[0]
            assert (suspect.head, suspect.suggested) == ("sub", truth)


def test_photos_of_one_group_do_not_vouch_for_each_other(photos: Photos, features: np.ndarray) -> None:
    """A sender who calls all trousers shoes would find them called so wherever they look."""
    group = np.array([f"sender {i % 12}" for i in range(len(photos))], object)
    wrong = np.flatnonzero((group == "sender 3") & (photos.sub == 0))
    labels = photos.sub.copy()
    labels[wrong] = 1
    group[wrong] = "somebody"
    renamed = photos.take(np.arange(len(photos)))
    renamed.group[:], renamed.sub[:] = group, labels
    found = {suspect.photo for suspect in suspects(renamed, features)}
    assert len(found & set(wrong)) >= 0.8 * len(wrong)


def test_colours_are_looked_into_as_well_and_photos_without_a_label_left_alone(
    photos: Photos, features: np.ndarray
) -> None:
    named = photos.take(np.arange(len(photos)))
    colours = {"pants": "green", "shoes": "blue", "t-shirt": "red"}
    index = named.classes.colours.index
    for i, file in enumerate(named.files):
        named.colour[i] = index(colours[str(file).split("<")[1].split(">")[0]])
    named.colour[:20] = UNKNOWN
    named.colour[100] = index("blue" if named.colour[100] != index("blue") else "red")
    named.sub[:] = UNKNOWN
    found = suspects(named, features)
    assert [(suspect.photo, suspect.head) for suspect in found[:1]] == [(100, "colour")]
    assert all(suspect.photo >= 20 for suspect in found)


def test_too_few_labels_are_refused(photos: Photos, features: np.ndarray) -> None:
    with pytest.raises(DataError, match="too little to go by"):
        suspects(photos.take(np.arange(20)), features[:20])


def test_table_and_page_show_them(photos: Photos, features: np.ndarray, folder: Path, tmp_path: Path) -> None:
    found = suspects(photos, features)
    table, page = write_pages(found, photos, folder, tmp_path)
    with table.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == list(COLUMNS)
    assert [line["file"] for line in lines] == [str(photos.files[one.photo]) for one in found]
    text = page.read_text("utf-8")
    assert text.count("<figure>") == text.count("data:image/jpeg;base64,") == len(found)
    assert "&lt;pants&gt;" in text
    assert "<pants>" not in text
    assert "http" not in text.split("<body>")[1]


def test_the_command_writes_both(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_release.make(tmp_path, sketches=True)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    assert main(["audit-labels", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.html", "suspects.csv"}
    assert "labels of 180 photos may be wrong" in capsys.readouterr().out
