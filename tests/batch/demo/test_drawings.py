"""The drawn photos: what the demo and the golden photos promise to show."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from batch.demo import drawings
from batch.demo.drawings import COLOURS, Drawing, draw_demo_photos, draw_garment, draw_golden_photos
from batch.demo.garments import MAIN_OF


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Drawing]]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, draw_demo_photos(folder)


def clothing(drawn: list[Drawing]) -> list[Drawing]:
    return [drawing for drawing in drawn if drawing.sub]


def brightness_of_border(photo: Image.Image) -> float:
    grey = np.asarray(photo.convert("L"), float)
    edge = np.concatenate(
        [grey[:12].ravel(), grey[-12:].ravel(), grey[:, :12].ravel(), grey[:, -12:].ravel()]
    )
    return float(edge.mean())


def test_every_file_in_the_folder_is_named_in_the_answer(demo: tuple[Path, list[Drawing]]) -> None:
    folder, drawn = demo
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {drawing.file_name for drawing in drawn}
    assert 22 <= len(drawn) <= 26


def test_every_sub_category_is_drawn_at_least_twice_on_both_kinds_of_ground(
    demo: tuple[Path, list[Drawing]],
) -> None:
    drawn = clothing(demo[1])
    assert min(Counter(drawing.sub for drawing in drawn)[sub] for sub in MAIN_OF) >= 2
    assert {drawing.background for drawing in drawn} == {"acceptable", "unacceptable"}
    assert all(drawing.main == MAIN_OF[drawing.sub] for drawing in drawn)


def test_most_colours_are_worn(demo: tuple[Path, list[Drawing]]) -> None:
    worn = {drawing.colour for drawing in clothing(demo[1])}
    assert worn <= {*COLOURS, "multi"}
    assert len(worn) >= 11


def test_just_two_files_are_no_photo_of_clothing(demo: tuple[Path, list[Drawing]]) -> None:
    strange = [drawing for drawing in demo[1] if not drawing.sub]
    assert len(strange) == 2
    assert all((d.main, d.background, d.colour) == ("", "", "") for d in strange)


def test_the_broken_photo_begins_like_a_jpeg_and_stops_in_the_middle(
    demo: tuple[Path, list[Drawing]],
) -> None:
    folder, drawn = demo
    broken = next(folder / d.file_name for d in drawn if not d.sub and d.file_name.endswith(".jpg"))
    assert broken.read_bytes().startswith(b"\xff\xd8\xff")
    assert not broken.read_bytes().endswith(b"\xff\xd9")
    with Image.open(broken) as photo, pytest.raises(OSError, match="truncated"):
        photo.load()


def test_every_photo_of_clothing_opens_whole_heic_included(demo: tuple[Path, list[Drawing]]) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    folder, drawn = demo
    formats = set()
    for drawing in clothing(drawn):
        with Image.open(folder / drawing.file_name) as photo:
            photo.load()
            formats.add(photo.format)
    assert formats == {"JPEG", "PNG", "WEBP", "HEIF"}


def test_two_files_are_the_same_bytes_and_all_others_differ(demo: tuple[Path, list[Drawing]]) -> None:
    folder, drawn = demo
    sums = Counter(hashlib.sha256((folder / d.file_name).read_bytes()).hexdigest() for d in drawn)
    assert sorted(sums.values())[-2:] == [1, 2]


def test_one_photo_lies_on_its_side_and_its_exif_orientation_says_so(
    demo: tuple[Path, list[Drawing]],
) -> None:
    folder, drawn = demo
    turned = []
    for drawing in clothing(drawn):
        if drawing.file_name.endswith(".jpg"):
            with Image.open(folder / drawing.file_name) as photo:
                if photo.getexif().get(0x0112, 1) != 1:
                    turned.append((photo.size, ImageOps.exif_transpose(photo).size))
    assert len(turned) == 1
    (lying, upright) = turned[0]
    assert lying == upright[::-1]
    assert upright[0] < upright[1]


@pytest.mark.parametrize("sub", sorted(MAIN_OF))
def test_an_acceptable_ground_is_light_up_to_the_border_and_an_unacceptable_one_is_not(sub: str) -> None:
    for seed in range(4):
        light = draw_garment(sub, "blue", "acceptable", seed=seed, size=(150, 200))
        other = draw_garment(sub, "blue", "unacceptable", seed=seed, size=(150, 200))
        assert brightness_of_border(light) > 190
        assert brightness_of_border(other) < 175


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others() -> None:
    def pixels(seed: int) -> bytes:
        return draw_garment("hat", "pink", "unacceptable", seed=seed, size=(120, 160)).tobytes()

    assert pixels(7) == pixels(7)
    assert pixels(7) != pixels(9)


@pytest.mark.parametrize("colour", [*COLOURS, "multi"])
def test_a_garment_wears_the_colour_that_was_asked_for(colour: str) -> None:
    photo = draw_garment("t-shirt", colour, "acceptable", seed=3, size=(150, 200)).convert("RGB")
    middle = np.asarray(photo, float)[90:130, 50:100].reshape(-1, 3)
    if colour == "multi":
        assert middle.std(axis=0).max() > 30
    else:
        assert np.abs(np.median(middle, axis=0) - np.array(COLOURS[colour])).max() < 50


def test_the_golden_photos_cover_every_sub_category_and_stay_small(tmp_path: Path) -> None:
    drawn = draw_golden_photos(tmp_path)
    assert {drawing.sub for drawing in drawn} == set(MAIN_OF)
    assert {drawing.background for drawing in drawn} == {"acceptable", "unacceptable"}
    assert all(d.file_name.startswith(f"{d.sub}-{d.colour}-{d.background}.") for d in drawn)
    assert sum((tmp_path / d.file_name).stat().st_size for d in drawn) < 300_000


def test_the_committed_golden_photos_are_the_ones_that_the_program_draws(tmp_path: Path) -> None:
    committed = Path(drawings.__file__).parents[2] / "model" / "golden"
    for drawing in draw_golden_photos(tmp_path):
        with (
            Image.open(tmp_path / drawing.file_name) as new,
            Image.open(committed / drawing.file_name) as old,
        ):
            away = np.abs(np.asarray(new.convert("RGB"), float) - np.asarray(old.convert("RGB"), float))
        assert away.mean() < 2, drawing.file_name
