from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from model.lab import LabError
from model.lab.numbers.extraction import save_background
from model.lab.numbers.features import Journal
from model.lab.photos.store import Store, Writer, file_key


def mask_of(value: int) -> np.ndarray:
    return np.full((512, 512), value, np.uint8)


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    with Writer(tmp_path, "u2netp") as writer:
        writer.add("b/2.jpg", mask_of(20), {"share": 0.5})
        writer.add("a/1.jpg", mask_of(10), {"share": 0.25})
    store = writer.finish()
    assert store.files == ["a/1.jpg", "b/2.jpg"]
    assert (store.mask("b/2.jpg") == 20).all()
    assert store.numbers.loc["a/1.jpg", "share"] == 0.25
    assert not (tmp_path / "parts").exists()


def add_and_be_interrupted(folder: Path) -> None:
    with Writer(folder, "u2netp") as writer:
        writer.add("a.jpg", mask_of(10), {"share": 0.5})
        raise KeyboardInterrupt


def test_an_interrupted_extraction_knows_what_is_done_and_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        add_and_be_interrupted(tmp_path)
    with pytest.raises(LabError, match="begun but not finished"):
        Store(tmp_path)
    with Writer(tmp_path, "u2netp") as writer:
        assert writer.done() == {"a.jpg"}
        writer.add("b.jpg", mask_of(30), {"share": 0.75})
    store = writer.finish()
    assert store.files == ["a.jpg", "b.jpg"]
    assert (store.mask("a.jpg") == 10).all()


def test_a_part_without_its_csv_does_not_count(tmp_path: Path) -> None:
    with Writer(tmp_path, "u2netp") as writer:
        writer.add("a.jpg", mask_of(10), {"share": 0.5})
    (tmp_path / "parts" / "000001.csv").unlink()
    assert Writer(tmp_path, "u2netp").done() == set()


def test_new_photos_join_a_finished_store(tmp_path: Path) -> None:
    for number in (1, 2):
        with Writer(tmp_path, "u2netp") as writer:
            writer.add(f"{number}.jpg", mask_of(number), {"share": number / 4})
        writer.finish()
    store = Store(tmp_path)
    assert store.files == ["1.jpg", "2.jpg"]
    assert [int(store.mask(file)[0, 0]) for file in store.files] == [1, 2]


def test_masks_of_two_models_do_not_mix(tmp_path: Path) -> None:
    with Writer(tmp_path, "u2netp") as writer:
        writer.add("a.jpg", mask_of(1), {"share": 0.5})
    writer.finish()
    with pytest.raises(LabError, match="choose another --out"):
        Writer(tmp_path, "u2net")


def test_archive_mapping_and_numbers_are_in_step(lab: Path) -> None:
    store = Store(lab)
    with np.load(lab / "masks.npz") as archive:
        assert set(archive.files) == {file_key(file) for file in store.files}
    assert list(store.numbers.index) == store.files
    assert all((lab / path).is_file() for path in store.mapping["background"])


def test_the_background_picture_keeps_its_colours_and_hides_the_item(tmp_path: Path) -> None:
    pixels = np.full((512, 512, 3), (210, 200, 190), np.uint8)
    mask = mask_of(0)
    mask[:256] = 255
    save_background(tmp_path / "background.png", pixels, mask)
    picture = np.asarray(Image.open(tmp_path / "background.png"))
    assert picture.shape == (512, 512, 4)
    assert (picture[256:] == (210, 200, 190, 255)).all()
    assert (picture[:256] == 0).all()


def test_a_journal_forgets_only_the_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "rows.journal"
    path.write_text(json.dumps({"file": "a.jpg", "x": 1}) + '\n{"file": "b.j')
    journal = Journal(path)
    assert set(journal.rows) == {"a.jpg"}
    journal.add({"file": "c.jpg", "x": 3})
    assert set(Journal(path).rows) == {"a.jpg", "c.jpg"}


def test_the_csv_is_plain(lab: Path) -> None:
    table = pd.read_csv(lab / "backgrounds.csv")
    assert table.columns[0] == "file"
    assert table["share"].between(0, 1).all()
