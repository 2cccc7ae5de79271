"""Product photos drawn by the program itself: for the demo, the golden photos and the tests.

    python -m batch.demo.drawings model/golden

A garment is a list of pieces (see `batch.demo.garments`), laid one over the other. Each piece gets a relief (its
rounded edge, its weave, its creases), light falls on that relief from the upper left, and a soft shadow lies
below it. Everything follows from the seed.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from batch.demo.garments import MAIN_OF, Cloth, Piece, Points, Rgb, sewn, spaced

Array = NDArray[np.floating]
Rng = np.random.Generator
Box = tuple[int, int, int, int]

COLOURS: dict[str, Rgb] = {
    "black": (34, 34, 38),
    "grey": (128, 130, 133),
    "white": (232, 231, 228),
    "beige": (204, 178, 138),
    "brown": (108, 70, 42),
    "red": (186, 26, 38),
    "orange": (238, 138, 40),
    "yellow": (233, 193, 48),
    "green": (48, 122, 70),
    "blue": (44, 78, 150),
    "purple": (124, 58, 140),
    "pink": (226, 122, 156),
}
# how much of the frame, if not 0.9
_FILL = {"hat": 0.66, "shoes": 0.78, "skirt": 0.8, "shorts": 0.84}
_OFF_WHITES: tuple[Rgb, ...] = ((0.93, 0.92, 0.90), (0.93, 0.91, 0.86), (0.95, 0.95, 0.95))
_BLANKETS = ((0.62, 0.06, 0.08), (0.13, 0.17, 0.30), (0.16, 0.30, 0.22), (0.30, 0.27, 0.26))
_WOODS = ((0.72, 0.52, 0.30), (0.50, 0.32, 0.18), (0.62, 0.55, 0.47))
_STONES = ((0.66, 0.54, 0.42), (0.48, 0.50, 0.53), (0.58, 0.44, 0.36))
_GREENS = ((0.30, 0.41, 0.16), (0.38, 0.42, 0.18))
_CARPETS = (
    ((0.40, 0.10, 0.09), (0.66, 0.52, 0.34), (0.18, 0.13, 0.13)),
    ((0.36, 0.38, 0.42), (0.52, 0.52, 0.52), (0.20, 0.23, 0.30)),
)


@dataclass(frozen=True)
class Drawing:
    """A drawn photo and what it shows; the answers are '' for a file that is no photo of clothing."""

    file_name: str
    main: str
    sub: str
    background: str
    colour: str


# --- the whole set ---------------------------------------------------------------------------------------

_DEMO: list[tuple[str, str, str, str, tuple[int, int]]] = [
    ("IMG_2001.jpg", "t-shirt", "red", "acceptable", (600, 800)),
    ("IMG_2002.jpg", "t-shirt", "green", "unacceptable", (720, 960)),
    ("IMG_2003.jpg", "longsleeve", "grey", "acceptable", (720, 960)),
    ("IMG_2004.jpg", "shirt", "blue", "acceptable", (600, 800)),
    ("IMG_2005.jpg", "dress", "red", "acceptable", (600, 900)),
    ("IMG_2006.jpg", "longsleeve", "purple", "unacceptable", (600, 800)),
    ("IMG_2007.jpg", "outwear", "green", "acceptable", (600, 800)),
    ("IMG_2008.jpg", "outwear", "black", "unacceptable", (720, 960)),
    ("IMG_2009.jpg", "shirt", "white", "unacceptable", (600, 800)),
    ("IMG_2010.jpg", "dress", "multi", "unacceptable", (600, 800)),
    ("IMG_2011.jpg", "pants", "blue", "acceptable", (600, 900)),
    ("IMG_2012.jpg", "pants", "beige", "unacceptable", (600, 800)),
    ("IMG_2013.jpg", "shorts", "blue", "acceptable", (720, 640)),
    ("IMG_2014.jpg", "shorts", "orange", "unacceptable", (600, 800)),
    ("IMG_2015.jpg", "skirt", "black", "acceptable", (600, 800)),
    ("IMG_2016.jpg", "skirt", "pink", "unacceptable", (600, 600)),
    ("IMG_2017.jpg", "shoes", "white", "unacceptable", (600, 600)),
    ("IMG_2018.jpg", "hat", "pink", "unacceptable", (600, 800)),
    ("order-1042/hat.webp", "hat", "yellow", "acceptable", (600, 600)),
    ("order-1042/shoes.heic", "shoes", "brown", "acceptable", (640, 480)),
    ("order-1042/t-shirt.png", "t-shirt", "blue", "acceptable", (600, 800)),
]
# stored lying on its side, with an EXIF orientation that says so
_TURNED = "IMG_2012.jpg"
_COPIED = ("IMG_2004.jpg", "IMG_2004 (copy).jpg")


def draw_demo_photos(folder: Path) -> list[Drawing]:
    """Draw two dozen files below `folder`, as a day might bring them, and say what each one shows."""
    drawings = []
    for number, (name, sub, colour, background, size) in enumerate(_DEMO):
        photo = draw_garment(sub, colour, background, seed=number, size=size)
        _save(photo, folder / name, quality=80 + number % 4 * 4, turned=name == _TURNED)
        drawings.append(Drawing(name, MAIN_OF[sub], sub, background, colour))
    original, copy = _COPIED
    (folder / copy).write_bytes((folder / original).read_bytes())
    drawings.append(replace(next(d for d in drawings if d.file_name == original), file_name=copy))
    whole = (folder / "IMG_2001.jpg").read_bytes()
    (folder / "IMG_2019.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "price-list.pdf").write_text("Price list\n\nT-shirt  12.00\nJeans    39.00\n", encoding="utf-8")
    return [*drawings, Drawing("IMG_2019.jpg", "", "", "", ""), Drawing("price-list.pdf", "", "", "", "")]


_GOLDEN = [
    ("dress", "red", "acceptable"),
    ("hat", "pink", "unacceptable"),
    ("longsleeve", "grey", "acceptable"),
    ("outwear", "green", "unacceptable"),
    ("pants", "blue", "acceptable"),
    ("shirt", "blue", "acceptable"),
    ("shoes", "brown", "unacceptable"),
    ("shorts", "orange", "unacceptable"),
    ("skirt", "black", "acceptable"),
    ("t-shirt", "red", "acceptable"),
    ("t-shirt", "yellow", "unacceptable"),
]


def draw_golden_photos(folder: Path) -> list[Drawing]:
    """Draw the small photos that every release has to answer as expected, one a sub category at least."""
    drawings = []
    for number, (sub, colour, background) in enumerate(_GOLDEN):
        name = f"{sub}-{colour}-{background}." + ("png" if colour == "yellow" else "jpg")
        size = (180, 240) if name.endswith("png") else (360, 480)
        _save(draw_garment(sub, colour, background, seed=100 + number, size=size), folder / name, quality=70)
        drawings.append(Drawing(name, MAIN_OF[sub], sub, background, colour))
    return drawings


def _save(photo: Image.Image, path: Path, *, quality: int, turned: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if turned:
        photo = photo.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = 6
    # with rounded, transparent corners
    if path.suffix == ".png":
        corners = Image.new("L", photo.size)
        ImageDraw.Draw(corners).rounded_rectangle((0, 0, *photo.size), photo.width / 25, fill=255)
        photo.putalpha(corners)
    if path.suffix == ".heic":
        import pillow_heif

        pillow_heif.register_heif_opener()
    photo.save(path, quality=quality, exif=exif)


# --- one photo -------------------------------------------------------------------------------------------


def draw_garment(
    sub: str, colour: str, background: str, *, seed: int, size: tuple[int, int] = (600, 800)
) -> Image.Image:
    """Draw a garment of the sub category in that colour, lying on an acceptable or unacceptable ground."""
    rng = np.random.default_rng(seed)
    pieces = sewn(sub, seed, _dye(colour, rng))
    grounds = _GROUNDS[background]
    view = _View.of(pieces, size, _FILL.get(sub, 0.9), rng)
    pixels = grounds[int(rng.integers(len(grounds)))](view, rng)
    for piece in pieces:
        _lay(pixels, piece, view, rng)
    return _expose(pixels, rng)


@dataclass(frozen=True)
class _View:
    """Where the camera stands: turns centimetres into pixels and back."""

    size: tuple[int, int]
    scale: float
    middle: Points
    angle: float
    tilt: float
    sway: Points

    @classmethod
    def of(cls, pieces: list[Piece], size: tuple[int, int], fill: float, rng: Rng) -> "_View":
        corners = np.concatenate([piece.outline for piece in pieces])
        low, high = corners.min(axis=0), corners.max(axis=0)
        scale = rng.uniform(0.95, 1.0) * fill * float(np.min(size / (high - low)))
        middle = (low + high) / 2 + rng.uniform(-0.015, 0.015, 2) * (high - low)
        angle, tilt, sway = rng.normal(0, 0.03), rng.uniform(-0.001, 0.001), rng.uniform(0, 6.3, 2)
        return cls(size, scale, middle, angle, tilt, sway)

    @property
    def frame(self) -> Box:
        return 0, 0, *self.size

    def to_pixels(self, points: Points) -> Points:
        """Place points: cloth never lies quite straight, and the camera stands a little askew."""
        swapped = points[:, ::-1]
        waves = 0.6 * np.sin(swapped / 9 + self.sway) + 0.13 * np.sin(swapped / 3 - self.sway)
        x, y = (points + waves - self.middle).T
        cos, sin, near = np.cos(self.angle), np.sin(self.angle), self.scale / (1 + self.tilt * y)
        return np.stack([(x * cos - y * sin) * near, (x * sin + y * cos) * near], 1) + np.array(self.size) / 2

    def to_centimetres(self, box: Box, step: int = 1) -> tuple[Array, Array]:
        """Return the x and y on the garment of every pixel (or every `step`th) in the box."""
        left, top, right, bottom = box
        x = (np.arange(left, right, step, dtype=np.float32) - self.size[0] / 2) / self.scale
        y = (np.arange(top, bottom, step, dtype=np.float32)[:, None] - self.size[1] / 2) / self.scale
        return _turn(x, y, -self.angle, *self.middle)


def _turn(x: Array, y: Array, angle: float, right: float = 0, down: float = 0) -> tuple[Array, Array]:
    """Turn coordinates by an angle and shift them, in single precision."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos - y * sin + np.float32(right), x * sin + y * cos + np.float32(down)


def _lay(pixels: Array, piece: Piece, view: _View, rng: Rng) -> None:
    """Lay one piece into the picture: its shadow first, then its cloth in the light."""
    points = view.to_pixels(piece.outline)
    margin = int(view.scale * (2.5 + piece.line)) + 4
    left, top = np.maximum(points.min(axis=0).astype(int) - margin, 0).tolist()
    right, bottom = np.minimum(points.max(axis=0).astype(int) + margin, view.size).tolist()
    box: Box = left, top, right, bottom
    mask = _mask(points, box, piece, view.scale)
    x, y = view.to_centimetres(box)
    part = pixels[top:bottom, left:right]
    reach = 1.3 * piece.lift * view.scale
    shadow = np.roll(_soften(mask, reach), (int(reach * 0.5), int(reach * 0.35)), (0, 1))
    part *= 1 - (0.45 * min(piece.lift, 1) * shadow * (1 - mask))[..., None]
    folds = _creases(piece, view, box, rng)
    edge = 0.45 * piece.lift * _soften(mask, 0.5 * piece.lift * view.scale)
    light = _light(edge + folds + _woven(piece.cloth.weave, x, y), view.scale)
    across, along = _turn(x + 0.8 * folds, y + 0.5 * folds, np.radians(90 - piece.lean))
    paint = _paint(piece.cloth, across, along, rng) * light[..., None]
    part += (paint - part) * mask[..., None]


def _mask(points: Points, box: Box, piece: Piece, scale: float) -> Array:
    """Return how much of each pixel in the box the piece covers, drawn twice as large for smooth edges."""
    left, top, right, bottom = box
    canvas = Image.new("L", ((right - left) * 2, (bottom - top) * 2))
    pen = ImageDraw.Draw(canvas)
    line, width = (points - (left, top)) * 2, max(1, round(piece.line * scale * 2))
    if piece.words:
        x, y = line.mean(axis=0).tolist()
        pen.text((x, y), piece.words, fill=255, font=ImageFont.load_default(width), anchor="mm")
    elif piece.stitched:
        stitches = spaced(line, scale)
        for stitch in stitches[: len(stitches) // 2 * 2].reshape(-1, 4).tolist():
            pen.line(stitch, fill=255, width=width)
    elif piece.line:
        pen.line(line.ravel().tolist(), fill=255, width=width, joint="curve")
    else:
        pen.polygon(line.ravel().tolist(), fill=255)
    return np.asarray(canvas.reduce(2), np.float32) / 255


def _light(relief: Array, scale: float) -> Array:
    """Return how bright each spot of a relief (in centimetres) is with a lamp at the upper left."""
    down, right = np.gradient(relief)
    light: Array = 1 + 0.4 * np.tanh((down * 0.9 + right * 0.6) * scale)
    return light


def _creases(piece: Piece, view: _View, box: Box, rng: Rng) -> Array:
    """Return a relief of folds that run roughly the way the piece leans, on a soft unevenness."""
    size = box[2] - box[0], box[3] - box[1]
    if not piece.creases:
        return np.zeros(size[::-1], np.float32)
    step = max(2, round(view.scale / 3))
    x, y = view.to_centimetres(box, step)
    relief = np.zeros(x.shape, np.float32)
    low, high = piece.outline.min(axis=0), piece.outline.max(axis=0)
    for _ in range(piece.creases):
        cx, cy = rng.uniform(low, high).astype(np.float32)
        along, across = _turn(x - cx, y - cy, -np.radians(piece.lean + rng.normal(0, 28)))
        across += np.float32(rng.normal(0, 0.012)) * along**2
        width, length = np.float32(np.exp(rng.uniform(-0.7, 0.9))), np.float32(rng.uniform(4, 15))
        height = np.float32(rng.normal(0, 0.33)) * width
        away = np.abs(across / width)
        relief += height * np.exp(-away * np.sqrt(away) - (along / length) ** 2)
    return _resized(relief, size) + 0.35 * _cloud(size, 11 * view.scale, rng)


def _expose(pixels: Array, rng: Rng) -> Image.Image:
    """Turn the scene into a photo: uneven light, a warm or cool lamp, a little blur and sensor noise."""
    height, width = pixels.shape[:2]
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    aslant = rng.normal(0, 0.06, 2).astype(np.float32)
    falloff = 1 + aslant[0] * x + aslant[1] * y - np.float32(0.06) * (x**2 + y**2)
    warmth = (1 + rng.normal(0.01, 0.012) * np.array([1, 0.1, -1])).astype(np.float32)
    lit = Image.fromarray((np.clip(pixels * falloff[..., None] * warmth, 0, 1) * 255).astype(np.uint8))
    blurred = np.asarray(lit.filter(ImageFilter.BoxBlur(width / 1000)), np.float32)
    grain = 2.4 * _soften(_noise((height, width), rng), 1.5) + 1.6 * _noise((height, width), rng)
    return Image.fromarray(np.clip(blurred + grain[..., None], 0, 255).astype(np.uint8))


# --- cloth -----------------------------------------------------------------------------------------------


def _dye(colour: str, rng: Rng) -> Cloth:
    """Return a cloth of the named colour, never exactly the same one twice; `multi` is a bright print."""
    if colour != "multi":
        return Cloth((_tone(colour, rng),))
    bright = rng.permutation(["red", "yellow", "blue", "green", "pink", "white", "orange"])[:4]
    return Cloth(tuple(_tone(str(name), rng) for name in bright), design="flowers")


def _tone(colour: str, rng: Rng) -> Rgb:
    red, green, blue = np.clip(np.array(COLOURS[colour]) / 255 * rng.normal(1, 0.05), 0.03, 0.95).tolist()
    return red, green, blue


def _paint(cloth: Cloth, x: Array, y: Array, rng: Rng) -> Array:
    """Return the cloth's colour at each spot: the design, then the grain of its weave."""
    base = np.array(cloth.colours, np.float32)
    paint = base[_design(cloth.design, x, y, len(base))] if cloth.design else base[0]
    # washed out
    if cloth.weave == "denim":
        paint = 0.7 * paint + 0.3 * paint.mean(axis=-1, keepdims=True)
    grained: Array = paint * _grain(cloth.weave, x.shape, rng)[..., None]
    return grained


def _grain(weave: str, shape: tuple[int, ...], rng: Rng) -> Array:
    """Return how much lighter or darker each spot is than the cloth as a whole."""
    size = shape[1], shape[0]
    grain: Array = 1 + 0.02 * _noise(shape, rng) + 0.03 * _cloud(size, 60, rng)
    if weave == "denim":
        slub = _resized(_noise((max(2, size[1] // 14), size[0]), rng), size)
        grain += 0.03 * _noise(shape, rng) + 0.05 * slub + 0.09 * _cloud(size, 70, rng)
    return grain


def _woven(weave: str, x: Array, y: Array) -> Array:
    """Return the relief of a weave that is coarse enough to be seen."""
    relief: Array = np.zeros(x.shape, np.float32)
    if weave == "knit":
        relief = 0.05 * np.cos(x * 5.2) * (1 + 0.8 * np.sin(y * 7 + np.abs(x * 1.66 % 2 - 1)))
    elif weave == "ribbed":
        relief = 0.1 * np.cos(x * 6)
    elif weave == "quilted":
        puff = np.abs(np.sin((y + 0.5 * np.sin(x / 5)) * np.pi / 10))
        relief = 1.6 * puff**0.6 + 0.12 * (1 - puff) ** 2 * np.sin(x * 1.7 + 2 * np.sin(y / 2))
    return relief


def _design(name: str, x: Array, y: Array, colours: int) -> NDArray[np.intp]:
    """Return which of the cloth's colours each spot has."""
    if name == "stripes":
        return (x % 1.8 < 0.7).astype(np.intp) * (colours - 1)
    if name == "hoops":
        return (y % 5 < 2.3).astype(np.intp) * (colours - 1)
    if name == "checks":
        return (x % 4 < 1.6).astype(np.intp) + (y % 4 < 1.6)
    # flowers: one in every square of 5 cm
    column, row = np.floor(x / 5), np.floor(y / 5)
    chance = np.abs(np.sin(column * 127.1 + row * 311.7) * 43758.5) % 1
    right, down = x - (column + 0.4 + 0.2 * chance) * 5, y - (row + 0.6 - 0.2 * chance) * 5
    petals = 2.0 + 0.5 * np.cos(5 * np.arctan2(down, right) + 6 * chance)
    return np.where(np.hypot(right, down) < petals, 1 + chance * 97 % (colours - 1), 0).astype(np.intp)


# --- noise -----------------------------------------------------------------------------------------------


def _noise(shape: tuple[int, ...], rng: Rng) -> Array:
    return rng.standard_normal(shape, dtype=np.float32)


def _cloud(size: tuple[int, int], grain: float, rng: Rng, stretch: float = 1.0) -> Array:
    """Return smooth noise around 0 whose lumps are `grain` pixels wide and `stretch` times as high."""
    return _resized(_noise((int(size[1] / grain / stretch) + 3, int(size[0] / grain) + 3), rng), size)


def _soften(values: Array, radius: float) -> Array:
    """Blur by a radius in pixels: shrink and enlarge again, which is quick at any radius."""
    height, width = values.shape
    small = max(2, round(width / max(radius, 1))), max(2, round(height / max(radius, 1)))
    return _resized(_resized(values, small, Image.Resampling.HAMMING), (width, height))


def _resized(values: Array, size: tuple[int, int], how: Image.Resampling = Image.Resampling.BICUBIC) -> Array:
    return np.asarray(Image.fromarray(values).resize(size, how), np.float32)


# --- grounds ---------------------------------------------------------------------------------------------


def _sheet(view: _View, rng: Rng, shades: tuple[Rgb, ...] = _OFF_WHITES, creases: int = 34) -> Array:
    """Return a wrinkled sheet."""
    x, y = view.to_centimetres(view.frame)
    corners = np.array([(x.min(), y.min()), (x.max(), y.max())], np.float64)
    sheet = Piece(corners, Cloth(shades), creases=creases, lean=rng.uniform(0, 180))
    light = _light(0.55 * _creases(sheet, view, view.frame, rng), view.scale)
    return _coloured(shades, light + 0.012 * _cloud(view.size, 2, rng), rng)


def _table(view: _View, rng: Rng) -> Array:
    """Return a plain white or cream table or wall."""
    light = 1 + 0.012 * _cloud(view.size, view.size[0] / 2, rng) + 0.006 * _cloud(view.size, 3, rng)
    return _coloured(_OFF_WHITES, light, rng)


def _blanket(view: _View, rng: Rng) -> Array:
    return _sheet(view, rng, _BLANKETS, creases=50)


def _floorboards(view: _View, rng: Rng) -> Array:
    """Return a wooden floor: boards of uneven tone, grain along them, dark gaps between."""
    x, y = np.arange(view.size[0]), np.arange(view.size[1])[:, None]
    wide, long = max(24, view.size[0] // 7), view.size[1] // 2
    board = (y + rng.integers(0, long, 99)[x // wide]) // long
    tone = rng.normal(1, 0.09, (4, 99))[board, x // wide]
    grain = 0.05 * _cloud(view.size, 3, rng, 50) + 0.05 * _cloud(view.size, 14, rng, 16)
    gap = (x % wide < 2) | (np.diff(board, axis=0, prepend=board[:1]) != 0)
    return _coloured(_WOODS, (tone + grain) * np.where(gap, 0.6, 1), rng)


def _carpet(view: _View, rng: Rng) -> Array:
    """Return a carpet with a swirling pattern in three colours and a rough pile."""
    swirl = np.abs(_cloud(view.size, view.size[0] / 11, rng))
    pattern = np.select([swirl < 0.16, swirl < 0.75], [1, 0], 2)
    pile = 1 + 0.13 * _cloud(view.size, 2.2, rng) + 0.07 * _noise(pattern.shape, rng)
    carpet: Array = np.array(_CARPETS[rng.integers(2)], np.float32)[pattern] * pile[..., None]
    return carpet


def _tiles(view: _View, rng: Rng) -> Array:
    """Return a stone floor in square tiles."""
    wide = view.size[0] / rng.uniform(2.2, 3.2)
    x, y = np.arange(view.size[0]) / wide + 0.31, np.arange(view.size[1])[:, None] / wide + 0.43
    tone = rng.normal(1, 0.03, (9, 9))[y.astype(int), x.astype(int)]
    joint = np.minimum(x % 1, y % 1) < 0.018
    marble = 0.04 * _cloud(view.size, 40, rng) + 0.03 * _cloud(view.size, 9, rng)
    return _coloured(_STONES, (tone + marble) * np.where(joint, 0.6, 1), rng)


def _grass(view: _View, rng: Rng) -> Array:
    fine = view.size[0] / 400
    blades = 0.25 * _cloud(view.size, fine, rng, 7) + 0.2 * _cloud(view.size, 2.5 * fine, rng, 4)
    return _coloured(_GREENS, np.maximum(1 + blades + 0.15 * _cloud(view.size, 40 * fine, rng), 0.2), rng)


def _coloured(shades: tuple[Rgb, ...], light: Array, rng: Rng) -> Array:
    """Return one of the shades under that light."""
    return np.array(rng.choice(shades), np.float32) * light[..., None].astype(np.float32)


_GROUNDS: dict[str, tuple[Callable[[_View, Rng], Array], ...]] = {
    "acceptable": (_sheet, _table),
    "unacceptable": (_floorboards, _carpet, _blanket, _tiles, _grass),
}


def main() -> None:
    """Draw the golden photos into the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m batch.demo.drawings",
        description="Draw the golden photos: small drawn photos with known answers, which every release "
        "has to get right before it may sort. Example: python -m batch.demo.drawings model/golden",
    )
    parser.add_argument("folder", type=Path, help="where to write them (made when missing)")
    for drawing in draw_golden_photos(parser.parse_args().folder):
        print(drawing.file_name)


if __name__ == "__main__":
    main()
