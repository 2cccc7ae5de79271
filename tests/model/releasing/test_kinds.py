"""Every kind of photo has figures of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.releasing.kinds import as_table, by_kind
from model.training import data


def test_each_kind_is_counted_by_the_labels_it_has(make_photos: Callable[..., Path]) -> None:
    photos = data.load(make_photos(each=4), progress=False).take(np.arange(8))
    photos.kind[:] = ["home"] * 4 + ["goods"] * 4
    photos.clothing[4:], photos.sub[4:], photos.main[4:] = 0, -1, -1
    photos.background[:4] = [0, 0, 1, 1]
    probable = {
        "sub": np.eye(3)[[0, 0, 0, 1, 0, 0, 0, 0]] * 0.9 + 0.05,
        "background": np.eye(2)[[0, 1, 1, 1, 0, 0, 0, 0]],
        "colour": np.eye(len(photos.classes.colours))[photos.colour],
        "clothing": np.array([0.9, 0.9, 0.9, -0.1, 0.9, -0.1, -0.1, -0.1]),
    }
    filed = np.array([True, False, False, True, True, False, False, False])
    rows = by_kind(probable, photos, photos.classes, filed)
    assert rows["home"]["sub"] == pytest.approx(3 / 4)
    assert (rows["home"]["filed"], rows["home"]["right"]) == (0.5, 0.5)
    assert rows["home"]["garments_bare"] == pytest.approx(1 / 4)
    assert (rows["home"]["passed"], rows["home"]["refused"], rows["home"]["background"]) == (0.5, 1, 0.75)
    assert rows["home"]["colour"] == 1
    assert np.isnan(rows["home"]["none_reviewed"])
    assert (rows["goods"]["none_reviewed"], rows["goods"]["none_bare"]) == (0.75, 0.75)
    assert np.isnan(rows["goods"]["sub"])
    lines = as_table(rows).splitlines()
    assert [line.split()[0] for line in lines] == ["kind", "goods", "home"]
    assert len({len(line) for line in lines}) == 1
