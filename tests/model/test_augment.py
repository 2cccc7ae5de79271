"""What training sees keeps its labels true."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model import augment, data
from model.augment import Augmenter
from model.data import UNKNOWN

Make = Callable[..., Path]


@pytest.fixture
def photos(make_photos: Make) -> data.Photos:
    """Photos whose masks are exact: the form is what is not the room."""
    found = data.load(make_photos(each=8), progress=False)
    rooms = found.pixels[:, :1, :1].astype(int)
    away = np.abs(found.pixels - rooms).max(-1) > 40
    found.masks = (away[:, ::2, ::2] * 255).astype(np.uint8)
    return found


def test_the_same_seed_draws_the_same_batch(photos: data.Photos) -> None:
    one, other = (Augmenter(photos).batch(np.arange(12), 64, np.random.default_rng(3)) for _ in range(2))
    assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in vars(one))
    third = Augmenter(photos).batch(np.arange(12), 64, np.random.default_rng(4))
    assert not torch.equal(one.pixels, third.pixels)


def test_shapes_and_ranges(photos: data.Photos) -> None:
    batch = Augmenter(photos).batch(np.arange(12), 64, np.random.default_rng(0))
    assert batch.pixels.shape == (12, 3, 64, 64)
    assert batch.mask.shape == (12, 1, 8, 8)
    assert 0 <= float(batch.pixels.min()) <= float(batch.pixels.max()) <= 1


def test_on_a_new_background_the_label_is_the_new_ones(photos: data.Photos) -> None:
    """The pixels around the item say whether the label is true: acceptable is light, by construction."""
    augmenter, rng = Augmenter(photos, wild=0.0, nothing=0.0), np.random.default_rng(0)
    light = {0: [], 1: []}  # type: ignore[var-annotated]
    for _ in range(12):
        batch = augmenter.batch(np.arange(len(photos)), 64, rng)
        for i in torch.nonzero(~batch.own)[:, 0]:
            around = torch.nn.functional.interpolate(batch.mask[i][None], size=64)[0, 0] < 0.1
            light[int(batch.background[i])].append(float(batch.pixels[i].amin(0)[around].mean()))
    assert len(light[0]) > 20
    assert len(light[1]) > 20
    assert np.quantile(light[0], 0.1) > np.median(light[1])


def test_a_wildly_lit_photo_counts_neither_for_colour_nor_for_background(photos: data.Photos) -> None:
    batch = Augmenter(photos, wild=1.0).batch(np.arange(12), 64, np.random.default_rng(0))
    assert set(batch.colour.tolist()) == set(batch.background.tolist()) == {UNKNOWN}
    assert (batch.sub != UNKNOWN).any()


def test_where_another_photo_shines_through_both_categories_count_and_nothing_else(
    photos: data.Photos,
) -> None:
    plain, blended = (
        Augmenter(photos, wild=0.0, nothing=0.0, blend=share).batch(
            np.arange(12), 64, np.random.default_rng(0)
        )
        for share in (0.0, 1.0)
    )
    through = blended.share.view(-1, 1, 1, 1)
    assert torch.allclose(
        blended.pixels, through * plain.pixels + (1 - through) * plain.pixels.roll(1, 0), atol=1e-6
    )
    assert torch.equal(blended.sub, plain.sub)
    assert torch.equal(blended.sub_through, plain.sub.roll(1))
    assert torch.equal(blended.main_through, plain.main.roll(1))
    assert set(blended.colour.tolist()) == set(blended.background.tolist()) == {UNKNOWN}
    assert not blended.masked.any()
    assert not blended.own.any()
    assert plain.share.eq(1).all()


def test_a_background_alone_counts_for_nothing_but_clothing(photos: data.Photos) -> None:
    batch = Augmenter(photos, nothing=1.0).batch(np.arange(6), 64, np.random.default_rng(0))
    assert batch.clothing.tolist() == [0.0] * 6
    assert {UNKNOWN} == {
        int(x) for head in ("main", "sub", "background", "colour") for x in getattr(batch, head)
    }
    assert not batch.mask.any()


def test_a_mirrored_crop_says_so_in_its_box() -> None:
    """A gradient from left to right falls where the box has left and right exchanged."""
    picture = torch.arange(64, dtype=torch.uint8).expand(1, 64, 64)
    rising = augment._crop(picture, (0.0, 0.0, 1.0, 1.0), 32)
    falling = augment._crop(picture, (1.0, 0.0, 0.0, 1.0), 32)
    assert rising[0, 0, 0] < rising[0, 0, -1]
    assert torch.equal(rising.flip(2), falling)


def test_photos_without_masks_keep_their_own_background(photos: data.Photos) -> None:
    photos.masks[:] = 0
    batch = Augmenter(photos, nothing=0.0).batch(np.arange(24), 64, np.random.default_rng(0))
    assert bool(batch.own.all())
    assert not bool(batch.masked.any())


def test_the_item_is_filled_in_from_around_it(photos: data.Photos) -> None:
    room = augment._without_item(photos, 1)  # a blue form on white
    assert room.shape == (3, 128, 128)
    assert int(room.min()) > 200
