"""The extraction itself, with a stand-in for rembg's session, and once with the real one where it is at hand."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from model.lab import LabError
from model.lab.numbers import extraction
from model.lab.photos import masks
from model.lab.photos.files import SIDE, find_photos
from model.lab.photos.parallel import in_parallel
from model.lab.photos.store import Store

ROOT = Path(__file__).parents[2]


class DarkItem:
    """Stands in for rembg: whatever is darker than middle grey is the item."""

    def predict(self, image: Image.Image) -> list[Image.Image]:
        return [Image.fromarray(np.where(np.asarray(image.convert("L")) < 128, 255, 0).astype(np.uint8))]


@pytest.fixture
def dark_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "open_session", lambda *_, **__: DarkItem())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number in range(5):
        pixels = np.full((300, 200, 3), 235, np.uint8)
        pixels[100:200, 50:150] = (20, 30, 90)
        (folder / f"box{number % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"box{number % 2}" / f"{number}.png")
    return folder


def test_every_photo_gets_mask_picture_and_row(photos: Path, tmp_path: Path, dark_item: None) -> None:
    done, refused = extraction.extract(photos, tmp_path / "out", "u2netp", workers=1)
    store = Store(tmp_path / "out")
    assert (done, refused) == (5, [])
    assert store.files == find_photos(photos)
    assert store.mask("box0/0.png").shape == (SIDE, SIDE)
    assert store.numbers["share"].between(0.8, 0.87).all()
    assert store.numbers["white"].min() > 0.99
    with Image.open(store.background("box1/1.png")) as picture:
        assert picture.size == (SIDE, SIDE)
        assert picture.mode == "RGBA"


def test_a_second_time_there_is_nothing_to_do_and_new_photos_are_added(
    photos: Path, tmp_path: Path, dark_item: None
) -> None:
    out = tmp_path / "out"
    extraction.extract(photos, out, "u2netp", workers=1)
    assert extraction.extract(photos, out, "u2netp", workers=1) == (0, [])
    shutil.copy(photos / "box0" / "0.png", photos / "new.png")
    assert extraction.extract(photos, out, "u2netp", workers=1) == (1, [])
    assert "new.png" in Store(out).files
    assert len(Store(out).files) == 6


def test_a_broken_photo_is_reported_and_the_others_are_done(
    photos: Path, tmp_path: Path, dark_item: None
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    done, refused = extraction.extract(photos, tmp_path / "out", "u2netp", workers=1)
    assert done == 5
    assert [file for file, _ in refused] == ["broken.jpg"]
    assert pd.read_csv(tmp_path / "out" / "refused.csv")["file"].tolist() == ["broken.jpg"]


def test_recounting_gives_the_same_numbers_from_the_kept_masks(
    photos: Path, tmp_path: Path, dark_item: None
) -> None:
    out = tmp_path / "out"
    extraction.extract(photos, out, "u2netp", workers=1)
    before = (out / "backgrounds.csv").read_text()
    (out / "backgrounds.csv").write_text("file,share\n" + "\n".join(f"{file},0" for file in Store(out).files))
    extraction.recount(photos, out, workers=1)
    assert (out / "backgrounds.csv").read_text() == before


def test_an_empty_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabError, match="no photo below"):
        extraction.extract(tmp_path / "empty", tmp_path / "out", "u2netp", workers=1)


def double(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("workers", [1, 2])
def test_work_is_done_once_each_in_any_number_of_processes(workers: int) -> None:
    results = list(in_parallel(double, list(range(40)), workers=workers, what="double"))
    assert sorted(results) == [2 * number for number in range(40)]


SLEEPER = """
import os, sys, time
from model.lab.photos.parallel import in_parallel
def nap(seconds):
    os.write(1, f"{os.getpid()}\\n".encode())  # one write, which the other worker's cannot fall into
    time.sleep(seconds)
list(in_parallel(nap, [60, 60], workers=2, what="nap"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_workers_end_when_their_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SLEEPER],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 20
    while any(alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(alive(worker) for worker in workers)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_an_unknown_mask_model_is_answered_with_those_there_are() -> None:
    with pytest.raises(LabError, match="rembg has no model 'pencil'; try one of u2netp"):
        masks.open_session("pencil", threads=1)


def test_the_real_masks_find_the_garment(
    shared_photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("U2NET_HOME", str(ROOT.parent / "shared" / "weights"))
    for photo in shared_photos:
        (tmp_path / "photos").mkdir(exist_ok=True)
        shutil.copy(photo, tmp_path / "photos")
    done, refused = extraction.extract(tmp_path / "photos", tmp_path / "out", "u2netp", workers=2)
    assert (done, refused) == (len(shared_photos), [])
    store = Store(tmp_path / "out")
    for file in store.files:
        middle, rim = store.mask(file)[200:312, 200:312].mean(), store.mask(file)[:20].mean()
        assert middle > 150 > rim
