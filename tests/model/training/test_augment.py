"""What training sees keeps its labels true."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model.training import augment, data
from model.training.augment import Augmenter
from model.training.labels import UNKNOWN

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
    augmenter = Augmenter(photos, wild=0.0, nothing=0.0, new_background=1.0)
    rng = np.random.default_rng(0)
    light = {0: [], 1: []}  # type: ignore[var-annotated]
    for _ in range(12):
        batch = augmenter.batch(np.arange(len(photos)), 64, rng)
        for i in torch.nonzero(batch.masked)[:, 0]:
            around = torch.nn.functional.interpolate(batch.mask[i][None], size=64)[0, 0] < 0.1
            light[int(batch.background[i])].append(float(batch.pixels[i].amin(0)[around].mean()))
    assert len(light[0]) > 20
    assert len(light[1]) > 20
    assert np.quantile(light[0], 0.1) > np.median(light[1])


def test_a_wildly_lit_photo_counts_neither_for_colour_nor_for_background(photos: data.Photos) -> None:
    batch = Augmenter(photos, wild=1.0).batch(np.arange(12), 64, np.random.default_rng(0))
    assert not batch.colour.any()
    assert set(batch.background.tolist()) == {UNKNOWN}
    assert (batch.sub != UNKNOWN).any()


def plain_and_blended(photos: data.Photos, n: int) -> list[augment.Batch]:
    """The same n photos twice: none of them mixed with another, and all of them."""
    return [
        Augmenter(photos, wild=0.0, nothing=0.0, blend=share).batch(
            np.arange(n), 64, np.random.default_rng(0)
        )
        for share in (0.0, 1.0)
    ]


def test_where_another_photo_is_mixed_in_both_categories_count_and_nothing_else(photos: data.Photos) -> None:
    plain, blended = plain_and_blended(photos, 12)
    assert torch.equal(blended.sub, plain.sub)
    assert torch.equal(blended.sub_through, plain.sub.roll(1))
    assert torch.equal(blended.main_through, plain.main.roll(1))
    assert not blended.colour.any()
    assert set(blended.background.tolist()) == {UNKNOWN}
    assert not blended.masked.any()
    assert plain.share.eq(1).all()


def test_another_photo_shines_through_evenly_or_covers_a_box(photos: data.Photos) -> None:
    """How much of each pixel is the photo's own says which; its share counts as its labels do."""
    plain, blended = plain_and_blended(photos, 24)
    other = plain.pixels.roll(1, 0)
    kinds = []
    for i, share in enumerate(blended.share):
        differ = (plain.pixels[i] - other[i]).abs() > 0.2
        own = ((blended.pixels[i] - other[i]) / (plain.pixels[i] - other[i]))[differ]
        if torch.allclose(own, share.expand_as(own), atol=0.01):
            kinds.append("even")
        else:
            assert torch.all((own.abs() < 0.01) | ((own - 1).abs() < 0.01))
            kinds.append("box")
    assert kinds.count("even") > 4
    assert kinds.count("box") > 4
    assert 0 <= float(blended.share.min()) <= float(blended.share.max()) <= 1


def test_a_turn_takes_pictures_and_masks_the_same_way() -> None:
    quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    turns = torch.stack([quarter, torch.eye(2, 3)])
    for channels, size in ((3, 16), (1, 4)):
        pictures = torch.rand(2, channels, size, size)
        found = augment.turned(pictures, turns)
        assert torch.allclose(found[0], torch.rot90(pictures[0], 1, (1, 2)), atol=1e-5)
        assert torch.equal(found[1], pictures[1])


def test_the_mask_still_lies_on_the_item_when_the_photo_is_turned(
    photos: data.Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augment, "TURNED", 1.0)
    augmenter = Augmenter(photos, wild=0.0, nothing=0.0, new_background=0.0)
    batch = augmenter.batch(np.arange(len(photos)), 64, np.random.default_rng(0))
    assert batch.masked.sum() > 8
    small = torch.nn.functional.interpolate(batch.pixels, size=8, mode="area")
    for i in torch.nonzero(batch.masked)[:, 0]:
        inside, outside = small[i][:, batch.mask[i, 0] > 0.95], small[i][:, batch.mask[i, 0] < 0.05]
        if inside.numel() and outside.numel():
            assert inside.std(1, correction=0).max() < 0.1  # one colour: nothing of the room
            assert outside.std(1, correction=0).max() < 0.1
            assert (inside.mean(1) - outside.mean(1)).abs().max() > 0.1


def test_most_photos_are_left_as_they_were_taken() -> None:
    turns = augment._turns(1000, np.random.default_rng(0))
    changed = (turns != torch.eye(2, 3)).flatten(1).any(1)
    assert 350 < int(changed.sum()) < 450


def test_a_photo_counts_for_clothing_only_where_that_is_known(photos: data.Photos) -> None:
    photos.clothing[:4] = [1, 0, UNKNOWN, 1]
    plain, blended = (
        Augmenter(photos, nothing=0.0, blend=share).batch(np.arange(4), 32, np.random.default_rng(0)).clothing
        for share in (0.0, 1.0)
    )
    assert plain.tolist() == [1, 0, UNKNOWN, 1]
    assert blended[0] == 1  # mixed with the last
    assert 0 < blended[1] < 1
    assert blended[2:].tolist() == [UNKNOWN, UNKNOWN]


def test_a_small_picture_is_as_large_as_before_and_shows_less() -> None:
    sharp = (torch.arange(96) % 2).float().expand(3, 96, 96).contiguous()
    rng = np.random.default_rng(0)
    seen = [augment._in_small(sharp, rng) for _ in range(20)]
    assert {tuple(picture.shape) for picture in seen} == {(3, 96, 96)}
    blurred = [picture for picture in seen if picture.std() < 0.3 * sharp.std()]
    assert 4 < len(blurred) < 20


def test_no_kind_of_photo_alone_gives_the_backgrounds(
    photos: data.Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos.kind[:] = "shop"
    photos.kind[:3] = "home"
    monkeypatch.setattr(augment, "ROOMS", 2)
    some = augment._some(np.ones(len(photos), bool), photos)
    assert len(some) == 4
    assert sum(i < 3 for i in some) == 2


def test_a_background_alone_counts_for_nothing_but_clothing(photos: data.Photos) -> None:
    batch = Augmenter(photos, nothing=1.0).batch(np.arange(6), 64, np.random.default_rng(0))
    assert batch.clothing.tolist() == [0.0] * 6
    assert {UNKNOWN} == {int(x) for head in ("main", "sub", "background") for x in getattr(batch, head)}
    assert not batch.colour.any()
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
    batch = Augmenter(photos, nothing=0.0, wild=0.0).batch(np.arange(24), 64, np.random.default_rng(0))
    assert np.array_equal(batch.background, photos.background)
    assert not bool(batch.masked.any())


def test_the_item_is_filled_in_from_around_it(photos: data.Photos) -> None:
    room = augment._without_item(photos, 1)  # a blue form on white
    assert room.shape == (3, 128, 128)
    assert int(room.min()) > 200
