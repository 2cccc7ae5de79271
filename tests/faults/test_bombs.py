"""No photo costs another one its answer: what is made to take memory or time is refused, or read for little."""

import struct
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import decoder
from decoder import Limits, apart
from tests.faults import bombs
from tests.faults.bombs import BOMBS, encoded, progressive, tried

MEMORY_MB, SECONDS = 1000, 5


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux counts it")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_or_read_within_the_limits(name: str) -> None:
    make, outcome = BOMBS[name]
    found = tried(make())
    assert found.came.partition(":")[0] == outcome
    assert found.came == "read" or found.came.endswith(".")
    assert found.memory_mb < MEMORY_MB / 2
    assert found.seconds < SECONDS + 1


def refusal(data: bytes, **limits: float) -> str:
    with pytest.raises(decoder.PhotoError) as caught:
        decoder.plan(data, square=224, limits=Limits(**limits))
    assert caught.value.code == "too_large"
    return str(caught.value)


def test_the_refusal_names_the_setting() -> None:
    photo = encoded(Image.effect_noise((3000, 2000), 50).convert("RGB"), "PNG", compress_level=1)
    assert "MAX_IMAGE_MEGAPIXELS" in refusal(photo, megapixels=5)
    assert "MAX_PHOTO_MEMORY_MB=50 allows" in refusal(photo, memory_mb=50)
    assert decoder.plan(photo, square=224).memory < 100e6


def test_a_progressive_photo_is_read_and_one_of_thousands_of_scans_is_refused_before_it_is_decoded() -> None:
    assert decoder.read(progressive(512, 384, 20), square=224).size == (224, 224)
    assert "processor time" in refusal(progressive(1024, 768, 9000))
    assert "10,000 segments" in refusal(progressive(16, 16, 10_000))


@pytest.mark.parametrize("kind", ["AVIF", "WEBP", "TIFF"])
def test_what_a_file_claims_is_in_proportion_to_what_it_holds(kind: str) -> None:
    how: dict[str, object] = {
        "AVIF": {"speed": 10},
        "WEBP": {"lossless": True, "method": 0},
        "TIFF": {"compression": "zstd"},
    }[kind]  # type: ignore[assignment]
    small = encoded(Image.new("RGB", (1200, 900), "red"), kind, **how)
    assert decoder.read(small, square=224).size == (224, 224)
    if kind != "TIFF":
        assert "out of all proportion" in refusal(encoded(Image.new("RGB", (8000, 6000), "red"), kind, **how))


# --- large photos ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photo_of_48_megapixels() -> Image.Image:
    """As large as phones make them, with as much in it as in a photo: a soft picture and some grain."""
    chance = np.random.default_rng(0)
    soft = Image.fromarray(chance.integers(0, 255, (30, 40, 3), np.uint8)).resize(
        (1000, 750), Image.Resampling.BICUBIC
    )
    grain = chance.integers(-4, 5, (750, 1000, 1))
    part = Image.fromarray((np.asarray(soft).astype(int) + grain).clip(0, 255).astype(np.uint8))
    return part.resize((8000, 6000))


LARGE: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 88},
    "progressive JPEG": {"quality": 88, "progressive": True},
    "WEBP": {"quality": 75, "method": 0},
    "AVIF": {"quality": 50, "speed": 10},
    "PNG": {"compress_level": 1},
}


@pytest.mark.parametrize("kind", [*LARGE, pytest.param("HEIF", marks=pytest.mark.optional)])
def test_a_phones_photo_of_48_megapixels_is_read(photo_of_48_megapixels: Image.Image, kind: str) -> None:
    data = encoded(photo_of_48_megapixels, kind.rpartition(" ")[2], **LARGE.get(kind, {"quality": 40}))
    shown = np.asarray(decoder.read(data, square=64)).astype(int)
    wanted = np.asarray(
        photo_of_48_megapixels.resize((64, 64), Image.Resampling.BILINEAR, reducing_gap=2)
    ).astype(int)
    assert np.abs(shown - wanted).mean() < 4


def test_a_jpeg_of_200_megapixels_takes_little_where_it_is_allowed() -> None:
    large = encoded(Image.new("RGB", (16_000, 12_500), "red"), "JPEG")
    assert "MAX_IMAGE_MEGAPIXELS" in refusal(large)
    plan = decoder.plan(large, square=224, limits=Limits(megapixels=200))
    assert plan.memory < 60e6
    assert plan.picture().getpixel((100, 100)) == (254, 0, 0)


# --- a process of its own --------------------------------------------------------------------------------


@pytest.fixture(params=["limited by the kernel", "watched"])
def kept_in_bounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways in which a helper is kept in bounds; the second one is macOS' and Windows'."""
    by_kernel = request.param == "limited by the kernel"
    if by_kernel and sys.platform != "linux":
        pytest.skip("only Linux' kernel limits memory")
    apart._HELPERS.end()
    monkeypatch.setattr(apart, "IS_LIMITED_BY_KERNEL", by_kernel)
    return str(request.param)


def run_lengths(runs: int) -> bytes:
    """A BMP that takes long: it is unpacked in Python."""
    head = struct.pack("<IiiHHIIiiII", 40, 4000, 4000, 1, 8, 1, 0, 0, 0, 256, 0)
    start = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + head + bytes(range(256)) * 4
    return start + b"\1\1" * runs


def test_what_takes_too_long_is_ended_and_the_next_photo_is_read(kept_in_bounds: str) -> None:
    with pytest.raises(decoder.PhotoError, match=r"more than 0\.3 s of processor time") as caught:
        decoder.read(run_lengths(10_000_000), square=224, limits=Limits(seconds=0.3))
    assert caught.value.code == "too_large"
    assert decoder.read(encoded(Image.new("RGB", (64, 48), "red"), "HEIF"), square=8).size == (8, 8)


def test_what_takes_more_memory_than_it_claims_is_ended_and_the_next_photo_is_read(
    kept_in_bounds: str,
) -> None:
    with pytest.raises(decoder.PhotoError) as caught:
        apart.read(bombs.tiff_of_millions_of_strips(), decoder.claims.Wanted(8), Limits(), memory=20e6)
    assert caught.value.code == "too_large"
    assert "MAX_PHOTO_MEMORY_MB" in str(caught.value)
    assert decoder.read(encoded(Image.new("RGB", (64, 48), "red"), "TIFF"), square=8).size == (8, 8)


def test_a_photo_whose_decoder_crashes_is_refused_and_the_next_one_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photo = encoded(Image.new("RGB", (64, 48), "red"), "AVIF")
    crash = "import os, signal, sys; sys.path[:] = sys.argv[1:]\nfrom decoder import apart, pixels\n"
    crash += "pixels.decode = lambda *_: os.kill(os.getpid(), signal.SIGSEGV)\napart.serve()"
    apart._HELPERS.end()
    with monkeypatch.context() as patch:
        patch.setattr(apart, "_PROGRAM", crash)
        with pytest.raises(decoder.PhotoError, match="makes its decoder crash") as caught:
            decoder.read(photo, square=8)
    assert caught.value.code == "unreadable"
    assert decoder.read(photo, square=8).size == (8, 8)


def test_a_photo_whose_helper_is_killed_by_somebody_else_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    die_once = "import os, signal, sys; sys.path[:] = sys.argv[1:]\nfrom decoder import apart, pixels\n"
    die_once += f"was, real = {str(tmp_path / 'was killed')!r}, pixels.decode\n"
    die_once += "def decode(*given):\n    if not os.path.exists(was):\n        open(was, 'w').close()\n"
    die_once += "        os.kill(os.getpid(), signal.SIGKILL)\n    return real(*given)\n"
    apart._HELPERS.end()
    monkeypatch.setattr(apart, "_PROGRAM", die_once + "pixels.decode = decode\napart.serve()")
    assert decoder.read(encoded(Image.new("RGB", (64, 48), "red"), "AVIF"), square=8).size == (8, 8)
    assert (tmp_path / "was killed").exists()
    apart._HELPERS.end()


def test_a_photo_that_hangs_is_ended_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = "import sys, time; sys.path[:] = sys.argv[1:]\nfrom decoder import apart, pixels\n"
    hang += "pixels.decode = lambda *_: time.sleep(600)\napart.serve()"
    apart._HELPERS.end()
    monkeypatch.setattr(apart, "_PROGRAM", hang)
    monkeypatch.setattr(apart, "WALL_SECONDS", 0.5)
    with pytest.raises(decoder.PhotoError, match="took too long"):
        decoder.read(encoded(Image.new("RGB", (64, 48), "red"), "AVIF"), square=8)


def test_a_helper_that_does_not_start_is_not_the_photos_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    apart._HELPERS.end()
    monkeypatch.setattr(apart, "_PROGRAM", "raise SystemExit(1)")
    with pytest.raises(decoder.CodecError, match="does not start"):
        decoder.read(encoded(Image.new("RGB", (64, 48), "red"), "AVIF"), square=8)


def test_a_helper_that_has_died_meanwhile_is_replaced() -> None:
    photo = encoded(Image.new("RGB", (64, 48), "red"), "AVIF")
    decoder.read(photo, square=8)
    for helper in apart._HELPERS._idle:
        helper._process.kill()
        helper._process.wait()
    assert decoder.read(photo, square=8).size == (8, 8)


def test_many_threads_get_their_own_answers() -> None:
    photos = {value: encoded(Image.new("L", (40, 30), value), "TIFF") for value in range(0, 250, 10)}
    found: dict[int, object] = {}

    def read(value: int) -> None:
        found[value] = decoder.read(photos[value], square=4).getpixel((1, 1))

    threads = [threading.Thread(target=read, args=(value,)) for value in photos]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {value: (value,) * 3 for value in photos}


def test_ordinary_jpegs_need_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise AssertionError("a helper was asked")

    monkeypatch.setattr(apart, "read", none)
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP"):
        assert decoder.read(encoded(Image.new("RGB", (64, 48), "red"), kind), square=8).size == (8, 8)
