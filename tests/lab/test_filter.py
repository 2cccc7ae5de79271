from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model.lab import LabError
from model.lab.judging.filtering import filter_store
from model.lab.photos.store import Store, file_key


def test_unsure_photos_leave_every_file_at_once(lab: Path, drawn: Path, tmp_path: Path) -> None:
    labels = pd.read_csv(drawn / "labels.csv", dtype=str)
    unsure = set(labels["file"][labels["background"] == "?"])
    kept, dropped = filter_store(lab, drawn / "labels.csv", tmp_path, ["background"])
    store = Store(tmp_path)
    assert (kept, dropped) == (len(labels) - len(unsure), len(unsure))
    assert set(store.files) == set(labels["file"]) - unsure
    with np.load(tmp_path / "masks.npz") as archive:
        assert set(archive.files) == {file_key(file) for file in store.files}
    assert list(store.numbers.index) == store.files
    assert "?" not in set(store.numbers["background"])
    assert set(pd.read_csv(tmp_path / "features" / "quality.csv")["file"]) == set(store.files)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")} == set(
        store.mapping["background"]
    )


def test_what_stays_is_unchanged(lab: Path, drawn: Path, tmp_path: Path) -> None:
    filter_store(lab, drawn / "labels.csv", tmp_path, ["background"])
    before, after = Store(lab), Store(tmp_path)
    for file in after.files[::9]:
        assert (before.mask(file) == after.mask(file)).all()
    assert after.numbers["share"].equals(before.numbers["share"].loc[after.files])


def test_filtering_twice_gives_the_same(lab: Path, drawn: Path, tmp_path: Path) -> None:
    first = filter_store(lab, drawn / "labels.csv", tmp_path, ["background"])
    assert filter_store(lab, drawn / "labels.csv", tmp_path, ["background"]) == first


def test_the_source_is_never_overwritten(lab: Path, drawn: Path) -> None:
    with pytest.raises(LabError, match="Give another folder"):
        filter_store(lab, drawn / "labels.csv", lab, ["background"])


def test_a_column_that_is_not_there_is_named(lab: Path, drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no column 'size'; it has: file, background, colour, sender"):
        filter_store(lab, drawn / "labels.csv", tmp_path, ["size"])
