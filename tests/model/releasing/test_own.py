"""Thresholds for one's own photos make a release of their own, or it is said what is missing."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.releasing import own, promotion
from model.releasing.calibrate import with_reach
from model.serving import releases
from model.serving.classes import FEATURES, DataError
from model.serving.familiar import FILE
from model.serving.predictor import Predictor
from model.serving.releases import ReleaseError
from model.training.familiarity import fit
from tests import small_release

COLOURS = {"t-shirt": (200, 40, 40), "pants": (40, 200, 40), "shoes": (40, 40, 200)}


@pytest.fixture
def parent(tmp_path: Path) -> releases.Release:
    return releases.load(small_release.make(tmp_path / "releases", "one"))


def write_photos(root: Path, each: int, *, wrong: int = 0, seed: int = 0) -> Path:
    """A folder of each class, of photos in its colour; `wrong` of each look like another class, and greyer."""
    rng = np.random.default_rng(seed)
    for at, (sub, colour) in enumerate(COLOURS.items()):
        (root / sub).mkdir(parents=True)
        for i in range(each):
            other = list(COLOURS.values())[(at + 1) % 3]
            middle = 0.35 * np.array(other) + 70 if i < wrong else np.array(colour)
            shown = np.clip(middle + rng.normal(0, 6, 3), 0, 255).astype(int)
            Image.new("RGB", (16, 16), tuple(shown.tolist())).save(root / sub / f"{i}.png")
    return root


def test_the_network_stays_and_the_thresholds_are_ones_own(tmp_path: Path, parent: releases.Release) -> None:
    photos = write_photos(tmp_path / "photos", 80, wrong=8)
    made = own.adapt(parent, photos, out=tmp_path / "releases", version="mine")
    assert made.network.read_bytes() == parent.network.read_bytes()
    assert made.metrics["calibrated"] == {"parent": "one", "photos": 240}
    assert "The network of one, unchanged" in (made.folder / "card.md").read_text()
    assert made.classes.threshold("sub", 0.97) > parent.classes.threshold("sub", 0.97)
    assert made.classes.threshold("sub", 0.97) <= 1
    assert promotion.promote(tmp_path / "releases", "mine").version == "mine"


def test_too_few_photos_are_refused_with_both_numbers(tmp_path: Path, parent: releases.Release) -> None:
    photos = write_photos(tmp_path / "photos", 10)
    with pytest.raises(DataError, match="holds 30 photos to set thresholds by; 200 are needed"):
        own.adapt(parent, photos, out=tmp_path / "releases", version="mine")
    assert not (tmp_path / "releases" / "mine").exists()


def label(root: Path, weights: dict[str, str]) -> None:
    with (root / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "background", "colour", "weight"])
        writer.writerows([name, "", "", weight] for name, weight in weights.items())


def test_where_photos_have_a_weight_only_those_count(tmp_path: Path, parent: releases.Release) -> None:
    photos = write_photos(tmp_path / "photos", 80)
    files = [file.relative_to(photos).as_posix() for file in sorted(photos.rglob("*.png"))]
    label(photos, dict.fromkeys(files[:150], "2.5") | dict.fromkeys(files[150:200], ""))
    with pytest.raises(DataError, match="holds 150 photos"):
        own.adapt(parent, photos, out=tmp_path / "releases", version="mine")


def test_a_photo_that_stands_for_many_counts_for_many(tmp_path: Path, parent: releases.Release) -> None:
    photos = write_photos(tmp_path / "photos", 80, wrong=8)
    files = [file.relative_to(photos).as_posix() for file in sorted(photos.rglob("*.png"))]
    temperatures = []
    for heavy in ("1.5", "30"):
        label(photos, {name: heavy if int(Path(name).stem) < 8 else "1.5" for name in files})
        made = own.adapt(parent, photos, out=tmp_path / "releases", version=f"mine-{heavy}")
        temperatures.append(made.classes.temperatures["sub"])
    assert temperatures[1] > temperatures[0]  # the wrong ones weigh more: it may be less sure of everything


def test_a_weight_that_is_no_number_is_named(tmp_path: Path, parent: releases.Release) -> None:
    photos = write_photos(tmp_path / "photos", 2)
    label(photos, {"pants/0.png": "often"})
    with pytest.raises(DataError, match=r"labels\.csv, line 2: weight is 'often'"):
        own.adapt(parent, photos, out=tmp_path / "releases", version="mine")


def test_what_is_unlike_the_parents_photos_is_not_unlike_ones_own(
    tmp_path: Path, parent: releases.Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shop whose photos are all of a kind that the parent does not know would else wait for a person for ever."""

    def scores(self: Predictor, pixels: np.ndarray) -> dict[str, np.ndarray]:
        return answer(self, pixels) | {FEATURES: pixels.mean((1, 2)).astype(np.float32) - 100}

    answer = Predictor.scores
    monkeypatch.setattr(Predictor, "scores", scores)
    grey = np.random.default_rng(0).normal(60, 5, (50, 3)).astype(np.float32)
    known = replace(fit(grey, np.full(50, "grey")), middle=np.zeros(3, np.float32))
    with_reach(replace(known, sketches=known.sketch(grey)), grey).write(parent.folder / FILE)
    releases.seal(parent.folder)
    parent = releases.load(parent.folder)
    photos = write_photos(tmp_path / "photos", 80)
    made = own.adapt(parent, photos, out=tmp_path / "releases", version="mine")
    assert parent.familiar
    assert made.familiar
    reds = np.full((3, 3), [100, -60, -60], np.float32)
    assert parent.familiar.look(reds).far.all()
    assert not made.familiar.look(reds).far.any()
    assert made.metrics["held_out"]["unlike"]["false_alarms"] == 0.01


def test_a_release_is_never_changed(tmp_path: Path, parent: releases.Release) -> None:
    with pytest.raises(ReleaseError, match="exists: a release is never changed"):
        own.adapt(parent, tmp_path, out=tmp_path / "releases", version="one")


def test_no_torch_is_needed(tmp_path: Path, parent: releases.Release) -> None:
    photos = write_photos(tmp_path / "photos", 70)
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'torchvision', 'sklearn', 'onnx', 'matplotlib'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        f"from model.__main__ import main\nsys.exit(main(['calibrate', 'mine', '--from', {str(photos)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"MODEL_DIR": str(tmp_path / "releases")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "releases" / "mine" / "metrics.json").read_text())
    assert told["calibrated"]["parent"] == "one"
