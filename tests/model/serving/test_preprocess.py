"""Whatever people drop, the network sees an upright sRGB square; whatever is no photo is said to be none."""

import io
import subprocess
import sys
import warnings
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageCms, features

import decoder
from decoder import jpeg
from model.serving.preprocess import CodecError, PhotoError, read_photo

RED, BLUE = (200, 30, 40), (30, 40, 200)


def picture(width: int = 320, height: int = 240) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


def encode(image: Image.Image, kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def read(data: bytes) -> np.ndarray:
    return read_photo(data, max_megapixels=50)


def code(data: bytes) -> str:
    with pytest.raises(PhotoError) as caught:
        read(data)
    assert str(caught.value).endswith(".")
    return caught.value.code


def looks_like(pixels: np.ndarray, y: int, x: int, colour: tuple[int, int, int], tolerance: int = 25) -> bool:
    return bool(np.abs(pixels[y, x].astype(int) - colour).max() <= tolerance)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
def test_every_promised_format_is_read(kind: str) -> None:
    pixels = read(encode(picture(), kind))
    assert pixels.shape == (224, 224, 3)
    assert pixels.dtype == np.uint8
    assert looks_like(pixels, 112, 40, RED)
    assert looks_like(pixels, 112, 180, BLUE)


def test_a_phones_multi_picture_jpeg_shows_its_first_picture() -> None:
    data = encode(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", (320, 240), "green")])
    assert looks_like(read(data), 112, 40, RED)


def test_an_animation_shows_its_first_frame() -> None:
    data = encode(picture(), "GIF", save_all=True, append_images=[Image.new("RGB", (320, 240), "green")])
    assert looks_like(read(data), 112, 40, RED)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_brought_upright(orientation: int, kind: str) -> None:
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    upright = picture()
    upright.paste((20, 160, 60), (0, 0, 320, 60))  # green along the top: mirrored and turned differ
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = read(encode(upright.transpose(stored) if stored is not None else upright, kind, exif=exif))
    assert looks_like(pixels, 20, 112, (20, 160, 60), 40)
    assert looks_like(pixels, 180, 40, RED, 40)
    assert looks_like(pixels, 180, 180, BLUE, 40)


def test_what_is_transparent_lies_on_white() -> None:
    image = picture().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 160, 240))
    for kind in ("PNG", "WEBP"):
        assert looks_like(read(encode(image, kind)), 112, 40, (255, 255, 255), 3)
    palette = Image.new("P", (32, 32), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert looks_like(read(encode(palette, "PNG", transparency=0)), 112, 112, (255, 255, 255), 3)
    assert looks_like(read(encode(Image.new("LA", (32, 32), (0, 0)), "PNG")), 112, 112, (255, 255, 255), 3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    pixels = read(encode(picture().convert(mode), kind))
    assert pixels.shape == (224, 224, 3)
    if mode in ("P", "CMYK", "YCbCr"):
        assert looks_like(pixels, 112, 40, RED, 60)


def test_sixteen_bits_keep_their_lightness() -> None:
    values = np.full((64, 64), 128 * 257, np.uint16)
    for kind in ("PNG", "TIFF"):
        assert looks_like(read(encode(Image.fromarray(values), kind)), 112, 112, (128, 128, 128), 1)
    floats = Image.fromarray(np.full((64, 64), 0.5, np.float32))
    assert looks_like(read(encode(floats, "TIFF")), 112, 112, (128, 128, 128), 1)


def test_a_colour_profile_is_converted_to_srgb() -> None:
    """A profile that swaps nothing but the gamma: linear light of 0.2 is sRGB's 0.48."""
    linear = swapped_gamma(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    flat = Image.new("RGB", (64, 64), (51, 51, 51))
    plain, converted = read(encode(flat, "PNG")), read(encode(flat, "PNG", icc_profile=linear))
    assert looks_like(plain, 10, 10, (51, 51, 51), 1)
    assert converted[10, 10].mean() > 90


def swapped_gamma(profile: bytes) -> bytes:
    """The profile with its tone curves made linear (`curv` with no entries), and another name than sRGB."""
    data = bytearray(profile.replace(b"sRGB", b"line").replace(b"s\0R\0G\0B", b"l\0i\0n\0e"))
    for i in range(int.from_bytes(data[128:132], "big")):
        entry = 132 + 12 * i
        if bytes(data[entry : entry + 4]) in (b"rTRC", b"gTRC", b"bTRC"):
            offset = int.from_bytes(data[entry + 4 : entry + 8], "big")
            data[offset : offset + 12] = b"curv" + bytes(8)
    return bytes(data)


def test_a_broken_colour_profile_is_ignored() -> None:
    assert looks_like(read(encode(picture(), "JPEG", icc_profile=b"no profile at all")), 112, 40, RED)


def test_the_cache_of_colour_profiles_is_bounded() -> None:
    for i in range(50):
        read(encode(Image.new("RGB", (16, 16)), "PNG", icc_profile=b"nothing %d" % i))
    information = decoder.pixels._transform.cache_info()
    assert information.currsize <= (information.maxsize or 0) <= 64


def test_a_jpeg_is_decoded_at_a_reduced_scale() -> None:
    """Half a photo of 533 × 400 is enough for 224 × 224; the answer stays the same within a few steps of grey."""
    noise = np.random.default_rng(0).integers(0, 255, (10, 13, 3), np.uint8)
    smooth = Image.fromarray(noise).resize((533, 400), Image.Resampling.BICUBIC)
    reduced, whole = read(encode(smooth, "JPEG", quality=95)), read(encode(smooth, "PNG"))
    assert np.abs(reduced.astype(int) - whole).mean() < 3
    image = Image.open(io.BytesIO(encode(smooth, "JPEG")))
    image.draft(None, (round(224 * jpeg.DRAFT_SHARE),) * 2)
    assert image.size == (267, 200)


def test_the_whole_frame_is_kept() -> None:
    image = Image.new("RGB", (900, 300), "white")
    image.paste(RED, (0, 0, 30, 300))
    image.paste(BLUE, (870, 0, 900, 300))
    pixels = read(encode(image, "PNG"))
    assert looks_like(pixels, 112, 1, RED)
    assert looks_like(pixels, 112, 222, BLUE)


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    bomb = encode(Image.new("1", (30_000, 30_000)), "PNG")
    with pytest.raises(PhotoError, match=r"30000 x 30000 .* at most 50 megapixels") as caught:
        read(bomb)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "HEIF", "AVIF", "BMP"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7])
def test_a_cut_off_photo_is_unreadable(kind: str, kept: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8))
    data = encode(noise, kind)
    assert code(data[: max(12, int(len(data) * kept))]) == "unreadable"


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"%PDF-1.7",
        b"hello",
        b"<svg></svg>",
        b"\0" * 4096,
    ],
)
def test_what_is_no_photo_is_unsupported(data: bytes) -> None:
    assert code(data) == "unsupported"


def test_an_empty_file_is_unreadable() -> None:
    assert code(b"") == "unreadable"


def test_other_decoders_are_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(picture(), "PPM")
    assert code(data) == "unsupported"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "HEIF", "AVIF", "BMP"])
def test_damaged_bytes_never_raise_anything_else(kind: str) -> None:
    rng = np.random.default_rng(1)
    data = np.frombuffer(encode(picture(96, 80), kind), np.uint8)
    for _ in range(60):
        broken = data.copy()
        where = rng.integers(0, len(broken), rng.integers(1, 12))
        broken[where] = rng.integers(0, 256, len(where))
        with suppress(PhotoError):
            assert read(broken.tobytes()).shape == (224, 224, 3)


def test_running_out_of_memory_is_not_the_photos_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(decoder.pixels, "decode", no_memory)
    with pytest.raises(MemoryError):
        read(encode(picture(), "PNG"))


def test_a_missing_decoder_is_not_the_photos_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder.require_codecs.cache_clear()
    monkeypatch.setattr(features, "check", lambda name: name != "webp")
    with pytest.raises(CodecError, match="webp"):
        read(encode(picture(), "PNG"))
    decoder.require_codecs.cache_clear()


def test_nothing_is_said_on_stderr() -> None:
    """Broken EXIF, a 30,000 pixels' side, a cut-off TIFF: news for the row, none for the terminal."""
    program = (
        "import io, sys; from PIL import Image; from model.serving.preprocess import read_photo, PhotoError\n"
        "def say(data):\n    try: read_photo(data, max_megapixels=1000)\n    except PhotoError: pass\n"
        "broken = b'Exif\\0\\0MM\\0*\\0\\0\\0\\x08\\0\\x09'\n"
        "b = io.BytesIO(); Image.new('RGB', (64, 64)).save(b, 'JPEG', exif=broken); say(b.getvalue())\n"
        "b = io.BytesIO(); Image.new('1', (20000, 10000)).save(b, 'PNG'); say(b.getvalue())\n"
        "b = io.BytesIO(); Image.new('RGB', (64, 64)).save(b, 'TIFF', compression='tiff_lzw'); say(b.getvalue()[:-90])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_reading_leaves_no_warnings_behind() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read(encode(picture(), "JPEG"))
    assert [w for w in caught if "PIL" not in w.filename] == []
