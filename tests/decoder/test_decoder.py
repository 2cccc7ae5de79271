"""The decoder as its users see it: a square for the network, a picture for people, and what it will take."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import decoder
from decoder import Limits, samples
from settings import ROOT
from tests.faults.bombs import encoded


def photo(width: int, height: int, orientation: int = 1) -> bytes:
    """Red above, blue below, as it is stored."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (0, height // 2, width, height))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, "JPEG", exif=exif, quality=95)


@pytest.mark.parametrize(
    ("size", "within", "shown"),
    [
        ((640, 480), 176, (176, 132)),
        ((480, 640), 176, (132, 176)),
        ((100, 60), 176, (100, 60)),
        ((2000, 3), 100, (100, 1)),
        ((4000, 3000), 176, (176, 132)),
    ],
)
def test_a_picture_for_people_keeps_its_proportions_and_is_not_enlarged(
    size: tuple[int, int], within: int, shown: tuple[int, int]
) -> None:
    assert decoder.read(photo(*size), within=within).size == shown
    assert decoder.read(photo(*size), square=32).size == (32, 32)
    assert decoder.read(photo(*size)).size == size


def test_a_picture_for_people_is_upright() -> None:
    turned = decoder.read(photo(640, 480, orientation=6), within=100)
    assert turned.size == (75, 100)
    left, right = turned.getpixel((5, 50)), turned.getpixel((70, 50))
    assert left == pytest.approx((0, 0, 255), abs=9)
    assert right == pytest.approx((255, 0, 0), abs=9)


def test_a_picture_is_rgb_on_white() -> None:
    for mode in ("RGBA", "LA", "P", "1", "I;16"):
        image = Image.new(mode, (40, 30))
        assert decoder.read(encoded(image, "PNG")).mode == "RGB"
    assert decoder.read(encoded(Image.new("RGBA", (40, 30)), "PNG")).getpixel((0, 0)) == (255, 255, 255)


def test_a_plan_says_what_reading_takes_without_reading() -> None:
    small, large = photo(64, 48), photo(8000, 6000)
    assert decoder.plan(small, square=224).memory < decoder.plan(large, square=224).memory
    assert decoder.plan(large, square=224).memory < 30e6  # decoded at an eighth of its size
    assert decoder.plan(large).memory > 8000 * 6000 * 4


def test_the_limit_on_pixels_is_exact() -> None:
    image = encoded(Image.new("RGB", (1000, 1001)), "PNG")
    assert decoder.read(image, square=8, limits=Limits(megapixels=1.001)).size == (8, 8)
    with pytest.raises(decoder.PhotoError, match="at most 1 megapixels are read"):
        decoder.plan(image, square=8, limits=Limits(megapixels=1))


@pytest.mark.parametrize("kind", decoder.FORMATS)
def test_a_sample_of_each_format_tells_whether_it_is_read_rightly(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert samples.fault(kind) == ""
    assert len(samples.sample(kind)) < 4000
    monkeypatch.setattr(decoder, "read", lambda *_, **__: Image.new("RGB", (32, 32), "green"))
    assert "is read wrongly" in samples.fault(kind)

    def none(*_: object, **__: object) -> None:
        raise decoder.PhotoError("unreadable", "The photo is damaged.")

    monkeypatch.setattr(decoder, "read", none)
    assert "is not read: The photo is damaged." in samples.fault(kind)


def test_the_decoder_imports_nothing_of_ours_but_how_formats_begin() -> None:
    ours = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    for path in Path(decoder.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & (ours - {"decoder", "photo_formats"}), (
                path.name
            )


def test_the_night_starts_without_the_decoder() -> None:
    program = "import sys, batch.night.run, batch.reporting.report; "
    program += "print([n for n in ('PIL', 'decoder') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_same_pixels_come_out_whichever_process_decodes() -> None:
    chance = np.random.default_rng(1)
    image = Image.fromarray(chance.integers(0, 255, (30, 40, 3), np.uint8)).resize((400, 300))
    for kind in ("JPEG", "PNG", "WEBP"):
        data = encoded(image, kind)
        here = decoder.read(data, square=224)
        there = decoder.apart.read(data, decoder.claims.Wanted(224, squash=True), Limits(), memory=500e6)
        assert here.tobytes() == there.tobytes()


def test_large_colour_profiles_are_not_kept() -> None:
    decoder.pixels._transform.cache_clear()
    for size, kept in ((2_000_000, 0), (2_000, 1)):
        profile = bytes(size)
        claims = decoder.headers.look(
            encoded(Image.new("RGB", (8, 8)), "PNG", icc_profile=profile), decoder.claims.Wanted(8)
        )
        decoder.pixels.decode(claims, decoder.claims.Wanted(8), Limits())
        assert decoder.pixels._transform.cache_info().currsize == kept
