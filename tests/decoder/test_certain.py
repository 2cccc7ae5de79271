"""What shows the picture whole is read, whatever else is odd about the file; pixels that are not certain are refused."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, PngImagePlugin

import decoder
from tests.faults import bombs
from tests.faults.bombs import chunk, encoded, long, segment, short, tiff

pillow_heif.register_heif_opener()


def noise(width: int = 160, height: int = 120) -> Image.Image:
    chance = np.random.default_rng(3)
    return Image.fromarray(chance.integers(0, 255, (40, 50, 3), np.uint8)).resize((width, height))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(decoder.read(data)).astype(int)


def outcome(data: bytes) -> str:
    try:
        decoder.read(data)
    except decoder.PhotoError as error:
        return error.code if str(error).endswith(".") else repr(error)
    return "read"


def end_of_scan(jpeg: bytes) -> int:
    return jpeg.rindex(b"\xff\xd9")


# --- files that lack their end ---------------------------------------------------------------------------

JPEGS: dict[str, dict[str, object]] = {
    "plain": {},
    "one colour": {},
    "restarts": {"restart_marker_blocks": 1},
    "rows of restarts": {"restart_marker_rows": 1},
    "optimized": {"optimize": True},
    "progressive": {"progressive": True},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 1},
    "cmyk": {},
    "grey": {},
}


def jpeg(kind: str) -> bytes:
    image = noise()
    if kind == "one colour":
        image = Image.new("RGB", (160, 120), "white")
    elif kind in ("cmyk", "grey"):
        image = image.convert({"cmyk": "CMYK", "grey": "L"}[kind])
    return encoded(image, "JPEG", quality=85, **JPEGS[kind])


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_that_lacks_only_its_end_mark_is_read(kind: str) -> None:
    whole = jpeg(kind)
    for missing in (1, 2):
        assert (pixels(whole[:-missing]) == pixels(whole)).all()


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("end_mark", [b"", b"\xff\xd9"])
def test_a_jpeg_that_is_cut_off_in_its_picture_is_not_read_even_with_an_end_mark(
    kind: str, end_mark: bytes
) -> None:
    whole = jpeg(kind)
    start, end = whole.index(b"\xff\xda"), end_of_scan(whole)
    for cut in (end - 12, end - 40, end - (end - start) // 5, end - (end - start) // 2):
        if "progressive" in kind and end_mark and cut > end - 100:
            continue  # its last scan brings the last bits of a few blocks
        data = whole[:cut].rstrip(b"\xff") + end_mark
        with pytest.raises(decoder.PhotoError, match="cut off"):
            decoder.read(data)


def test_what_follows_a_jpegs_picture_does_not_matter() -> None:
    whole = jpeg("plain")
    for more in (bytes(5000), b"\xff\xd8\xff\xe1", whole[:900], b"\0\0\0\x20ftypmp42" + bytes(300)):
        assert (pixels(whole + more) == pixels(whole)).all()


def test_a_png_without_its_last_chunks_is_read_and_one_without_its_last_rows_is_not() -> None:
    whole = encoded(noise(), "PNG")
    for missing in (1, 4, 12, 13, 20):
        assert (pixels(whole[:-missing]) == pixels(whole)).all()
    assert outcome(whole[:-200]) == "unreadable"


@pytest.mark.parametrize("how", [{}, {"exif": b"Exif\0\0" + bytes(40)}, {"lossless": True}])
def test_a_webp_without_its_metadata_or_padding_is_read_and_one_without_its_picture_is_not(
    how: dict[str, object],
) -> None:
    plain = encoded(noise(), "WEBP", **how)
    whole = plain + bombs.riff(b"XMP ", bytes(30))
    whole = whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]
    for end in (len(whole) - 1, len(whole) - 20, len(whole) - 38):
        assert (pixels(whole[:end]) == pixels(plain)).all()
    assert outcome(plain[: len(plain) // 2]) == "unreadable"


def test_a_film_shows_its_first_frame_although_later_ones_are_cut_off() -> None:
    film: dict[str, object] = {"save_all": True, "append_images": [noise().rotate(180), noise().rotate(90)]}
    for kind in ("GIF", "WEBP"):
        image = noise().quantize(64) if kind == "GIF" else noise()
        whole = encoded(image, kind, **film)
        assert (pixels(whole[: len(whole) * 2 // 3]) == pixels(whole)).all()
        assert outcome(whole[: len(whole) // 5]) == "unreadable"


def test_a_gif_without_its_trailer_is_read_and_one_without_its_last_pixels_is_not() -> None:
    whole = encoded(noise().quantize(64), "GIF")
    for missing in (1, 2):
        assert (pixels(whole[:-missing]) == pixels(whole)).all()
    assert outcome(whole[:-60]) == "unreadable"


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_a_heic_or_avif_is_read_when_only_what_follows_its_picture_is_cut_off(kind: str) -> None:
    whole = encoded(noise(), kind)
    film = struct.pack(">I", 5000) + b"mpvd" + bytes(100)  # a phone's film, cut off
    assert (pixels(whole + film) == pixels(whole)).all()
    for kept in (0.5, 0.9):
        assert outcome(whole[: int(len(whole) * kept)]) == "unreadable"


def test_a_heic_whose_metadata_are_cut_off_is_read() -> None:
    whole = encoded(noise(), "HEIF", xmp=b"x" * 400)  # which stand behind the picture
    for missing in (1, 50, 400):
        assert (pixels(whole[:-missing]) == pixels(whole)).all()
    assert outcome(whole[:-900]) == "unreadable"


def test_a_heic_whose_last_box_goes_on_to_the_end_of_the_file_is_read() -> None:
    for kind in ("HEIF", "AVIF"):
        whole = encoded(noise(), kind)
        at = whole.rindex(b"mdat") - 4
        assert (pixels(whole[:at] + bytes(4) + whole[at + 4 :]) == pixels(whole)).all()


def test_a_tiff_without_its_last_pixels_is_not_read() -> None:
    for how in ({}, {"compression": "packbits"}):
        whole = encoded(noise(), "TIFF", **how)
        assert outcome(whole[: len(whole) * 4 // 5]) == "unreadable"


# --- odd metadata ----------------------------------------------------------------------------------------


def linear_profile(size: int = 0) -> bytes:
    """A colour profile that is not sRGB's, made as large as wanted by bytes that nothing points at."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = plain.replace(b"sRGB", b"line").replace(b"s\0R\0G\0B", b"l\0i\0n\0e")
    chance = np.random.default_rng(0)
    return plain + chance.integers(0, 255, max(0, size - len(plain)), np.uint8).tobytes()


def test_a_png_with_a_large_colour_profile_is_read_in_its_colours() -> None:
    large = encoded(noise(), "PNG", icc_profile=linear_profile(3_000_000))
    small = encoded(noise(), "PNG", icc_profile=linear_profile())
    assert (pixels(large) == pixels(small)).all()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("is_last", [False, True])
def test_a_png_with_large_texts_is_read(packed: bool, is_last: bool) -> None:
    texts = PngImagePlugin.PngInfo()
    for _ in range(3):
        texts.add_text("Comment", "x" * 3_000_000, zip=packed)
        texts.add_itxt("XML:com.adobe.xmp", "y" * 3_000_000, zip=packed)
        texts.add(b"prVt", bytes(2_000_000), after_idat=is_last)
    assert (pixels(encoded(noise(), "PNG", pnginfo=texts)) == pixels(encoded(noise(), "PNG"))).all()


def broken_checksum(png: bytes, kind: bytes) -> bytes:
    at = png.index(kind)
    end = at + 4 + int.from_bytes(png[at - 4 : at], "big")
    return png[:end] + bytes((png[end] ^ 1,)) + png[end + 1 :]


def test_a_pngs_wrong_checksums_matter_only_for_what_makes_the_picture() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "x")
    photo = encoded(noise().quantize(64), "PNG", pnginfo=texts, icc_profile=b"no profile", exif=Image.Exif())
    for kind in (b"tEXt", b"iCCP"):
        assert (pixels(broken_checksum(photo, kind)) == pixels(photo)).all()
    for kind in (b"IHDR", b"PLTE"):
        assert outcome(broken_checksum(photo, kind)) == "unreadable"
    # the packed picture has a checksum of its own, which is right
    assert (pixels(broken_checksum(photo, b"IDAT")) == pixels(photo)).all()
    at = photo.index(b"IDAT") + 400
    assert outcome(photo[:at] + bytes((photo[at] ^ 16,)) + photo[at + 1 :]) == "unreadable"


def test_a_pngs_orientation_is_found_wherever_it_stands() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = pixels(encoded(noise(), "PNG", exif=exif))
    assert turned.shape == (160, 120, 3)
    plain = encoded(noise(), "PNG")
    block = exif.tobytes()[6:]
    before, end = plain[:33], plain[-12:]
    hexed = b"\nexif\n%8d\n%s\n" % (len(block) + 6, (b"Exif\0\0" + block).hex().encode())
    xmp = b'<x tiff:Orientation="6"/>'
    for more in (
        chunk(b"eXIf", block),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hexed)),
        chunk(b"tEXt", b"Raw profile type exif\0" + hexed),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp)),
    ):
        assert (pixels(before + more + plain[33:]) == turned).all()
        assert (pixels(plain[:-12] + more + end) == turned).all()


EXIFS = (
    b"",
    b"Exif\0\0",
    b"Exif\0\0rubbish",
    b"Exif\0\0II*\0\xff\xff\xff\xff",
    b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 50,
    b"Exif\0\0II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * 50_000,
)


@pytest.mark.parametrize("exif", EXIFS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_costs_no_photo(kind: str, exif: bytes) -> None:
    assert (pixels(encoded(noise(), kind, exif=exif)) == pixels(encoded(noise(), kind))).all()


def test_a_jpegs_odd_segments_cost_no_photo() -> None:
    plain = jpeg("plain")
    for odd in (
        segment(0xE2, b"MPF\0" + b"\xff" * 40),
        segment(0xE2, b"MPF\0MM\0*\0\0\0\x08" + bytes(60)),
        segment(0xE2, b"ICC_PROFILE\0\x01\x09" + bytes(100)),
        segment(0xE2, b"ICC_PROFILE\0"),
        segment(0xED, b"Photoshop 3.0\x008BIM\xff\xff\xff"),
        segment(0xE0, b"JFIF\0"),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<broken"),
        b"\xff\xff\xff\xff",
        b"stray bytes",
    ):
        assert (pixels(plain[:20] + odd + plain[20:]) == pixels(plain)).all()


def test_a_gifs_odd_extensions_cost_no_photo() -> None:
    plain = encoded(noise().quantize(64), "GIF", transparency=3)
    start = 13 + 3 * 64
    for odd in (
        b"!\xff\x0bXMP DataXMP\x03abc\0",
        b"!\xff\x0bNETSCAPE2.0\0",
        b"!\xf9\x01\0\0",
        b"!\xfe\x05hello\0",
        b"!\xfe\0",
        b"!\x77\x02ab\0",
    ):
        assert (pixels(plain[:start] + odd + plain[start:]) == pixels(plain)).all()


@pytest.mark.parametrize(
    "tag",
    [
        {34665: long(10**6)},
        {34665: (2, 4, b"abc\0")},
        {34853: long(2**31)},
        {700: long(5)},
        {700: (1, 10**6, b"\x0a\0\0\0")},
        {34675: (2, 4, b"abc\0")},
        {34675: (7, 10**7, b"\x0a\0\0\0")},
        {282: (2, 4, b"abc\0"), 283: (2, 4, b"abc\0"), 296: short(3)},
        {274: short(99)},
        {305: (2, 2**31, b"\x08\0\0\0")},
        {40000: (99, 5, b"abcd")},
    ],
)
def test_a_tiffs_odd_tags_cost_no_photo(tag: dict[int, tuple[int, int, bytes]]) -> None:
    values = ramp(1, np.uint8, 255)
    assert (pixels(uncompressed(values, tag)) == np.repeat(values[:, :, None], 3, 2)).all()


def test_an_avif_with_broken_exif_is_read_and_turned_as_it_says_itself() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # which goes into a box of AVIF's own
    exif[0x010F] = "a maker, so that there is EXIF"
    turned = encoded(noise(), "AVIF", exif=exif)
    at = turned.index(exif.tobytes()[6:14])
    broken = turned[:at] + b"\xff" * 8 + turned[at + 8 :]
    assert (pixels(broken) == pixels(turned)).all()
    assert pixels(turned).shape == (160, 120, 3)


def test_a_webp_whose_header_gives_a_wrong_size_is_read() -> None:
    plain = encoded(noise(), "WEBP")
    for size in (7, len(plain) + 5000, 2**32 - 1):
        assert (pixels(plain[:4] + struct.pack("<I", size) + plain[8:]) == pixels(plain)).all()
    assert (pixels(plain + b"more" * 20) == pixels(plain)).all()


# --- pixels that are not certain -------------------------------------------------------------------------


def uncompressed(
    values: np.ndarray, tags: dict[int, tuple[int, int, bytes]], *, planes: int = 1, bits: int = 8
) -> bytes:
    """A TIFF of 64 x 48 pixels with these values, and tags in place of or beside the usual ones."""
    samples = values.shape[2] if values.ndim == 3 else 1
    each = struct.pack("<H", bits) * samples
    content = values.tobytes()
    offsets, sizes = long(8), long(len(content))
    if planes > 1:
        content = b"".join(values[:, :, i].tobytes() for i in range(planes))
        at = [8 + i * len(content) // planes for i in range(planes)]
        lists = struct.pack(f"<{planes}I", *at) + struct.pack(
            f"<{planes}I", *[len(content) // planes] * planes
        )
        offsets, sizes = (
            (4, planes, long(8 + len(content))[2]),
            (4, planes, long(8 + len(content) + 4 * planes)[2]),
        )
        content += lists
    bits_at = long(8 + len(content))[2]
    usual = {
        256: long(64), 257: long(48), 258: (3, samples, bits_at if samples > 2 else each), 259: short(1),
        262: short(2 if samples > 2 else 1), 273: offsets, 277: short(samples), 278: long(48), 279: sizes,
        284: short(2 if planes > 1 else 1),
    }  # fmt: skip
    return tiff(usual | tags, content + each)


def ramp(channels: int, kind: type, highest: float) -> np.ndarray:
    across: np.ndarray = np.linspace(0, highest, 64 * 48 * channels).reshape(48, 64, channels).astype(kind)
    return across if channels > 1 else across[:, :, 0]


def test_a_tiff_of_ordinary_layout_is_read_rightly() -> None:
    for bits, kind in ((8, np.uint8), (16, np.uint16)):
        for channels in (1, 3):
            values = ramp(channels, kind, 2**bits - 1)
            shown = values if channels > 1 else np.repeat(values[:, :, None], 3, 2)
            found = pixels(uncompressed(values, {}, bits=bits))
            assert np.abs(found - (shown >> (bits - 8))).max() <= 1
    values = ramp(3, np.uint8, 255)
    assert (pixels(uncompressed(values, {}, planes=3)) == values).all()


@pytest.mark.parametrize(
    ("values", "tags", "planes", "bits"),
    [
        (ramp(3, np.uint16, 65535), {}, 3, 16),
        (ramp(1, np.uint16, 65535), {262: short(0)}, 1, 16),
        (ramp(1, np.uint32, 2**32 - 1), {}, 1, 32),
        (ramp(1, np.int16, 32767), {339: short(2)}, 1, 16),
        (ramp(1, np.uint16, 4095), {}, 1, 12),
        (ramp(3, np.uint8, 255), {262: short(6), 530: (3, 2, b"\2\0\2\0")}, 1, 8),
        (ramp(3, np.uint8, 255), {262: short(6)}, 1, 8),
        (ramp(1, np.float32, 1), {262: short(0), 339: short(3)}, 1, 32),
    ],
    ids=[
        "planes of 16 bits",
        "white is zero",
        "32 bits",
        "signed",
        "12 bits",
        "subsampled",
        "unsaid",
        "float",
    ],
)
def test_a_tiff_whose_pixels_are_not_certain_is_refused_with_what_to_do(
    values: np.ndarray, tags: dict[int, tuple[int, int, bytes]], planes: int, bits: int
) -> None:
    with pytest.raises(decoder.PhotoError, match=r"TIFF with .* not supported; save the photo as") as caught:
        decoder.read(uncompressed(values, tags, planes=planes, bits=bits))
    assert caught.value.code == "unsupported"


def test_a_cmyk_jpeg_that_does_not_say_which_way_its_inks_count_is_refused() -> None:
    sound = jpeg("cmyk")
    assert outcome(sound) == "read"
    at = sound.index(b"\xff\xee")
    assert (
        outcome(sound[:at] + sound[at + 2 + int.from_bytes(sound[at + 2 : at + 4], "big") :]) == "unsupported"
    )


def test_a_lab_tiff_is_read_in_its_colours() -> None:
    lab = ImageCms.createProfile("LAB")
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
    image = Image.new("RGB", (64, 48), (200, 30, 40))
    converted = ImageCms.applyTransform(image, to_lab)
    assert converted is not None
    assert np.abs(pixels(encoded(converted, "TIFF")) - (200, 30, 40)).max() <= 4


def test_several_channels_of_one_name_are_read() -> None:
    """As some old encoders write them; libjpeg tells them apart by their order."""
    data = bytearray(encoded(Image.new("YCbCr", (64, 48), (90, 200, 60)), "JPEG"))
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    names = [frame + 10 + 3 * i for i in range(3)], [scan + 5 + 2 * i for i in range(3)]
    with Image.open(io.BytesIO(bytes(data))) as sound:
        wanted = np.asarray(sound.convert("RGB")).astype(int)
    for at in (*names[0], *names[1]):
        data[at] = 1
    assert np.abs(pixels(bytes(data)) - wanted).max() <= 2
