"""Product photos drawn by the program itself: for the demo, the golden photos and the tests.

    python -m batch.drawings model/golden

A garment is a list of `Piece`s, each an outline in centimetres with a cloth, laid one over the other like
the parts of a sewing pattern. A piece gets a relief (its rounded edge, its creases, its seams), light falls
on that relief from the upper left, and a soft shadow lies below it. Everything follows from the seed.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float32]
Points = NDArray[np.float64]
Rng = np.random.Generator
Rgb = tuple[float, float, float]
Box = tuple[int, int, int, int]

MAIN_OF = {
    "dress": "onepiece",
    "hat": "headwear",
    "longsleeve": "upperwear",
    "outwear": "upperwear",
    "pants": "bottomwear",
    "shirt": "upperwear",
    "shoes": "footwear",
    "shorts": "bottomwear",
    "skirt": "bottomwear",
    "t-shirt": "upperwear",
}

COLOURS: dict[str, Rgb] = {
    "black": (34, 34, 38),
    "grey": (128, 130, 133),
    "white": (232, 231, 228),
    "beige": (205, 183, 148),
    "brown": (104, 70, 46),
    "red": (186, 26, 38),
    "orange": (226, 112, 32),
    "yellow": (233, 193, 48),
    "green": (46, 112, 66),
    "blue": (44, 78, 150),
    "purple": (98, 56, 134),
    "pink": (226, 122, 156),
}
_OFF_WHITES: tuple[Rgb, ...] = ((0.93, 0.92, 0.90), (0.93, 0.91, 0.86), (0.95, 0.95, 0.95))


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
    ("IMG_2004.jpg", "longsleeve", "purple", "unacceptable", (600, 800)),
    ("IMG_2005.jpg", "shirt", "blue", "acceptable", (600, 800)),
    ("IMG_2006.jpg", "shirt", "white", "unacceptable", (600, 800)),
    ("IMG_2007.jpg", "outwear", "green", "acceptable", (600, 800)),
    ("IMG_2008.jpg", "outwear", "black", "unacceptable", (720, 960)),
    ("IMG_2009.jpg", "dress", "red", "acceptable", (600, 900)),
    ("IMG_2010.jpg", "dress", "multi", "unacceptable", (600, 800)),
    ("IMG_2011.jpg", "pants", "blue", "acceptable", (600, 900)),
    ("IMG_2012.jpg", "pants", "beige", "unacceptable", (600, 800)),
    ("IMG_2013.jpg", "shorts", "blue", "acceptable", (800, 600)),
    ("IMG_2014.jpg", "shorts", "orange", "unacceptable", (600, 800)),
    ("IMG_2015.jpg", "skirt", "black", "acceptable", (600, 800)),
    ("IMG_2016.jpg", "skirt", "pink", "unacceptable", (600, 600)),
    ("IMG_2017.jpg", "shoes", "white", "unacceptable", (600, 600)),
    ("IMG_2018.jpg", "hat", "pink", "unacceptable", (600, 800)),
    ("order-1042/hat.webp", "hat", "yellow", "acceptable", (600, 600)),
    ("order-1042/shoes.heic", "shoes", "brown", "acceptable", (800, 600)),
    ("order-1042/t-shirt.png", "t-shirt", "blue", "acceptable", (600, 800)),
]
_TURNED = "IMG_2012.jpg"  # stored lying on its side, with an EXIF orientation that says so
_COPIED = ("IMG_2005.jpg", "IMG_2005 (copy).jpg")


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
        name = f"{sub}-{colour}-{background}.{'png' if colour == 'yellow' else 'jpg'}"
        size = (240, 320) if name.endswith("png") else (360, 480)
        _save(draw_garment(sub, colour, background, seed=100 + number, size=size), folder / name, quality=80)
        drawings.append(Drawing(name, MAIN_OF[sub], sub, background, colour))
    return drawings


def _save(photo: Image.Image, path: Path, *, quality: int, turned: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if turned:
        photo = photo.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = 6
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
    pieces = _sewn(sub, seed, _dye(colour, rng))
    grounds = _GROUNDS[background]
    view = _View.of(pieces, size, _FILL.get(sub, 0.9), rng)
    pixels = grounds[int(rng.integers(len(grounds)))](view, rng)
    for piece in pieces:
        _lay(pixels, piece, view, rng)
    return _expose(pixels, rng)


@dataclass(frozen=True)
class Cloth:
    """What a piece is made of: its colours (0 to 1), how it is woven, and the design printed on it."""

    colours: tuple[Rgb, ...]
    weave: str = "plain"
    design: str = ""

    def shade(self, factor: float) -> "Cloth":
        """Return the same cloth darker (below 1) or lighter (above 1)."""
        return replace(self, colours=tuple((r * factor, g * factor, b * factor) for r, g, b in self.colours))


@dataclass(frozen=True)
class Piece:
    """A part of a garment: an outline in centimetres, or with `line` a seam of that width along it."""

    outline: Points
    cloth: Cloth
    line: float = 0.0
    lift: float = 1.0  # how far it stands out of what lies below
    creases: int = 0
    lean: float = 90.0  # the way its creases run, in degrees: 90 is down the garment
    stitched: bool = False


@dataclass(frozen=True)
class _View:
    """Where the camera stands: turns centimetres into pixels and back."""

    width: int
    height: int
    scale: float
    middle: tuple[float, float]
    angle: float
    tilt: float
    sway: tuple[float, float]

    @classmethod
    def of(cls, pieces: list[Piece], size: tuple[int, int], fill: float, rng: Rng) -> "_View":
        every = np.concatenate([piece.outline for piece in pieces])
        low, high = every.min(axis=0), every.max(axis=0)
        scale = rng.uniform(0.95, 1.0) * fill * np.min(size / (high - low))
        middle = (low + high) / 2 + rng.uniform(-0.015, 0.015, 2) * (high - low)
        angle, tilt, *sway = rng.normal(0, 0.03), rng.uniform(-0.0012, 0.0012), *rng.uniform(0, 6.3, 2)
        return cls(*size, float(scale), (middle[0], middle[1]), float(angle), float(tilt), (sway[0], sway[1]))

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    def to_pixels(self, points: Points) -> Points:
        """Place points: cloth never lies quite straight, and the camera stands a little askew."""
        x, y = (points - self.middle).T
        x, y = (
            x + 0.6 * np.sin(y / 9 + self.sway[0]) + 0.2 * np.sin(y / 2.7 + self.sway[1]),
            y + 0.6 * np.sin(x / 8 + self.sway[1]) + 0.2 * np.sin(x / 2.3 + self.sway[0]),
        )
        cos, sin, near = np.cos(self.angle), np.sin(self.angle), self.scale / (1 + self.tilt * y)
        return np.stack([(x * cos - y * sin) * near, (x * sin + y * cos) * near], 1) + np.array(self.size) / 2

    def to_centimetres(self, box: Box, step: int = 1) -> tuple[Array, Array]:
        """Return the x and y on the garment of every pixel (or every `step`th) in the box."""
        left, top, right, bottom = box
        x = (np.arange(left, right, step, dtype=np.float32) - self.width / 2) / self.scale
        y = (np.arange(top, bottom, step, dtype=np.float32)[:, None] - self.height / 2) / self.scale
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        return x * cos + y * sin + np.float32(self.middle[0]), y * cos - x * sin + np.float32(self.middle[1])


def _lay(pixels: Array, piece: Piece, view: _View, rng: Rng) -> None:
    """Lay one piece into the picture: its shadow first, then its cloth in the light."""
    points = view.to_pixels(piece.outline)
    margin = int(view.scale * (2.5 + piece.line)) + 4
    left, top = np.maximum(points.min(axis=0).astype(int) - margin, 0).tolist()
    right, bottom = np.minimum(points.max(axis=0).astype(int) + margin, view.size).tolist()
    box = left, top, right, bottom
    mask = _mask(points, box, piece, view.scale)
    x, y = view.to_centimetres(box)
    part = pixels[top:bottom, left:right]
    reach = 1.3 * piece.lift * view.scale
    shadow = np.roll(_soften(mask, reach), (int(reach * 0.5), int(reach * 0.35)), (0, 1))
    part *= 1 - (0.45 * min(piece.lift, 1) * shadow * (1 - mask))[..., None]
    relief = 0.45 * piece.lift * _soften(mask, 0.5 * piece.lift * view.scale)
    relief += _woven(piece.cloth.weave, x, y) + _creases(piece, view, box, rng)
    paint = _paint(piece.cloth, x, y, rng) * _light(relief, view.scale)[..., None]
    part += (paint - part) * mask[..., None]


def _mask(points: Points, box: Box, piece: Piece, scale: float) -> Array:
    """Return how much of each pixel in the box the piece covers, drawn twice as large for smooth edges."""
    left, top, right, bottom = box
    canvas = Image.new("L", ((right - left) * 2, (bottom - top) * 2))
    pen = ImageDraw.Draw(canvas)
    line = points - (left, top)
    width = max(1, round(piece.line * scale * 2))
    if piece.stitched:
        line = _spaced(line, scale / 2)
        line = line[: len(line) // 2 * 2].reshape(-1, 2, 2)
    for stroke in line if piece.stitched else [line]:
        corners = [(float(x), float(y)) for x, y in stroke * 2]
        if piece.line:
            pen.line(corners, fill=255, width=width, joint="curve")
        else:
            pen.polygon(corners, fill=255)
    return np.asarray(canvas.reduce(2), np.float32) / 255


def _light(relief: Array, scale: float) -> Array:
    """Return how bright each spot of a relief (in centimetres) is with a lamp at the upper left."""
    down, right = np.gradient(relief)
    return np.asarray(1 + 0.4 * np.tanh((down * 0.9 + right * 0.6) * scale), np.float32)


def _creases(piece: Piece, view: _View, box: Box, rng: Rng) -> Array:
    """Return a relief of folds that run roughly the way the piece leans, on a soft unevenness."""
    size = box[2] - box[0], box[3] - box[1]
    if not piece.creases:
        return np.zeros(size[::-1], np.float32)
    step = max(2, round(view.scale / 4))
    x, y = view.to_centimetres(box, step)
    relief = np.zeros(x.shape, np.float32)
    low, high = piece.outline.min(axis=0), piece.outline.max(axis=0)
    for _ in range(piece.creases):
        (cx, cy), angle = rng.uniform(low, high), np.radians(piece.lean + rng.normal(0, 28))
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        along = (x - np.float32(cx)) * cos + (y - np.float32(cy)) * sin
        across = (y - np.float32(cy)) * cos - (x - np.float32(cx)) * sin
        across += np.float32(rng.normal(0, 0.012)) * along**2
        width, length = np.float32(np.exp(rng.uniform(-0.7, 0.9))), np.float32(rng.uniform(4, 15))
        height = np.float32(rng.normal(0, 0.33)) * width
        relief += height * np.exp(-(np.abs(across / width) ** 1.3) - (along / length) ** 2)
    return _resized(relief, size) + 0.35 * _cloud(size, 11 * view.scale, rng)


def _expose(pixels: Array, rng: Rng) -> Image.Image:
    """Turn the scene into a photo: uneven light, a warm or cool lamp, a little blur and sensor noise."""
    height, width = pixels.shape[:2]
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    aslant = rng.normal(0, 0.06, 2).astype(np.float32)
    falloff = 1 + aslant[0] * x + aslant[1] * y - np.float32(0.06) * (x**2 + y**2)
    warmth = (1 + rng.normal(0.01, 0.012) * np.array([1, 0.1, -1])).astype(np.float32)
    grain = 0.014 * _soften(_noise(pixels.shape[:2], rng), 1.5) + 0.008 * _noise(pixels.shape[:2], rng)
    photo = pixels * falloff[..., None] * warmth + grain[..., None]
    return Image.fromarray((np.clip(photo, 0, 1) * 255).astype(np.uint8), "RGB")


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
    return np.asarray(paint * _grain(cloth.weave, x.shape, rng)[..., None], np.float32)


def _grain(weave: str, shape: tuple[int, ...], rng: Rng) -> Array:
    """Return how much lighter or darker each spot is than the cloth as a whole."""
    size = shape[1], shape[0]
    if weave == "denim":
        slub = _resized(_noise((max(2, size[1] // 14), size[0]), rng), size)
        return 1 + 0.05 * _noise(shape, rng) + 0.05 * slub + 0.09 * _cloud(size, 70, rng)
    return 1 + 0.02 * _noise(shape, rng) + 0.03 * _cloud(size, 60, rng)


def _woven(weave: str, x: Array, y: Array) -> Array:
    """Return the relief of a weave that is coarse enough to be seen."""
    if weave == "knit":
        return np.asarray(
            0.05 * np.cos(x * 5.2) * (1 + 0.8 * np.sin(y * 7 + np.abs(x * 1.66 % 2 - 1))), np.float32
        )
    if weave == "ribbed":
        return np.asarray(0.1 * np.cos(x * 6.0), np.float32)
    if weave == "quilted":
        puff = np.abs(np.sin((y + 0.6 * np.sin(x / 4)) * np.pi / 8))
        return np.asarray(1.1 * puff**0.6 + 0.2 * (1 - puff) * np.sin(x * 2.3 + 2 * np.sin(y)), np.float32)
    return np.zeros(x.shape, np.float32)


def _design(name: str, x: Array, y: Array, colours: int) -> NDArray[np.intp]:
    """Return which of the cloth's colours each spot has."""
    if name == "stripes":
        return np.asarray(x / 0.9 % colours, np.intp)
    if name == "hoops":
        return np.asarray(y / 2.6 % colours, np.intp)
    if name == "checks":
        return np.asarray(((x % 5 < 1.7) * 1 + (y % 5 < 1.7)) % colours, np.intp)
    column, row = np.floor(x / 5), np.floor(y / 5)  # flowers: one in every square of 5 cm
    chance = np.abs(np.sin(column * 127.1 + row * 311.7) * 43758.5) % 1
    right, down = x - (column + 0.35 + 0.3 * chance) * 5, y - (row + 0.65 - 0.3 * chance) * 5
    petals = 1.5 + 0.5 * np.cos(5 * np.arctan2(down, right) + 6 * chance)
    kind = 1 + chance * 97 % (colours - 1)
    return np.asarray(np.where(np.hypot(right, down) < petals, kind, 0), np.intp)


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
    box = 0, 0, view.width, view.height
    x, y = view.to_centimetres(box)
    corners = np.array([(x.min(), y.min()), (x.max(), y.max())], np.float64)
    sheet = Piece(corners, Cloth(shades), creases=creases, lean=float(rng.uniform(0, 180)))
    light = _light(0.55 * _creases(sheet, view, box, rng), view.scale)
    return _coloured(shades, light + 0.012 * _cloud(view.size, 2, rng), rng)


def _table(view: _View, rng: Rng) -> Array:
    """Return a plain white or cream table or wall."""
    light = 1 + 0.012 * _cloud(view.size, view.width / 2, rng) + 0.006 * _cloud(view.size, 3, rng)
    return _coloured(_OFF_WHITES, light, rng)


def _blanket(view: _View, rng: Rng) -> Array:
    return _sheet(
        view, rng, ((0.62, 0.06, 0.08), (0.13, 0.17, 0.30), (0.16, 0.30, 0.22), (0.30, 0.27, 0.26)), 50
    )


def _floorboards(view: _View, rng: Rng) -> Array:
    """Return a wooden floor: boards of uneven tone, grain along them, dark gaps between."""
    wide, long = max(24, view.width // 7), view.height // 2
    column = np.arange(view.width) // wide
    row = (np.arange(view.height)[:, None] + rng.integers(0, long, column.max() + 1)[column]) // long
    tone = rng.normal(1, 0.09, (int(row.max()) + 1, int(column.max()) + 1))[row, column]
    grain = 0.05 * _cloud(view.size, 3, rng, 50) + 0.05 * _cloud(view.size, 14, rng, 16)
    gap = (np.arange(view.width) % wide < 2) | (np.diff(row, axis=0, prepend=row[:1]) != 0)
    woods = ((0.72, 0.52, 0.30), (0.50, 0.32, 0.18), (0.62, 0.55, 0.47))
    return _coloured(woods, (tone + grain) * np.where(gap, 0.6, 1), rng)


def _carpet(view: _View, rng: Rng) -> Array:
    """Return a carpet with a swirling pattern in three colours and a rough pile."""
    red = ((0.40, 0.10, 0.09), (0.66, 0.52, 0.34), (0.18, 0.13, 0.13))
    blue = ((0.36, 0.38, 0.42), (0.52, 0.52, 0.52), (0.20, 0.23, 0.30))
    swirl = np.abs(_cloud(view.size, view.width / 11, rng))
    pattern = np.select([swirl < 0.16, swirl < 0.75], [1, 0], 2)
    pile = 1 + 0.13 * _cloud(view.size, 2.2, rng) + 0.07 * _noise(pattern.shape, rng)
    return np.asarray(
        np.array((red, blue)[int(rng.integers(2))], np.float32)[pattern] * pile[..., None], np.float32
    )


def _tiles(view: _View, rng: Rng) -> Array:
    """Return a stone floor in square tiles."""
    wide = view.width / rng.uniform(2.2, 3.2)
    x, y = np.arange(view.width) + 0.31 * wide, np.arange(view.height)[:, None] + 0.43 * wide
    tone = rng.normal(1, 0.03, (9, 9))[np.asarray(y // wide, int), np.asarray(x // wide, int)]
    joint = np.minimum(x % wide, y % wide) < 4
    marble = 0.04 * _cloud(view.size, 40, rng) + 0.03 * _cloud(view.size, 9, rng)
    stones = ((0.66, 0.54, 0.42), (0.48, 0.50, 0.53), (0.58, 0.44, 0.36))
    return _coloured(stones, (tone + marble) * np.where(joint, 0.6, 1), rng)


def _grass(view: _View, rng: Rng) -> Array:
    blades = 0.22 * _cloud(view.size, 3, rng, 5) + 0.16 * _cloud(view.size, 5, rng, 4)
    return _coloured(
        ((0.30, 0.42, 0.16),), np.maximum(1 + blades + 0.12 * _cloud(view.size, 30, rng), 0.25), rng
    )


def _coloured(shades: tuple[Rgb, ...], light: NDArray[np.floating], rng: Rng) -> Array:
    """Return one of the shades under that light."""
    return np.asarray(np.array(shades[int(rng.integers(len(shades)))]) * light[..., None], np.float32)


_GROUNDS: dict[str, tuple[Callable[[_View, Rng], Array], ...]] = {
    "acceptable": (_sheet, _table),
    "unacceptable": (_floorboards, _carpet, _blanket, _tiles, _grass),
}


# --- garments --------------------------------------------------------------------------------------------

# A cut says how a garment is sewn, one row a piece and the lowest first: how it is laid, what it is like, and
# its corners "x y" in centimetres, x from the middle and y down. `middle` is given by its right half and
# `sides` by the right one of a pair; `whole` is complete as it stands, `disc` is "x y width height"; `seam`
# and `seams` are lines.

_T_SHIRT = """
    middle shade=0.5 lift=0.3: 0 2.6, 5 2, 9 0, 12 10, 0 14
    disc dye=cord lift=0.1: 0 5.5 4 2.4
    sides creases=7 lean=50: 20 3.5, 25.5 6, 33 15, 39.5 24.5, 30.5 30.5, 25 26, 20 14
    seams shade=0.72 line=0.25: 38.4 22.9, 29.4 28.9
    middle creases=34 lean=75: 0 10, 5 8.6, 8.2 4.6, 9 0, 22.5 4.5, 24.5 14, 25.5 26, 25 45, 26 72, 12 73, 0 73
    seams shade=0.7: 22.3 5, 24.3 13, 25.4 26
    seams shade=0.75 line=0.2: 0 71, 12 71, 25.8 70
    seam shade=0.93 weave=ribbed line=2 lift=0.3: -8.9 1, -8 4.6, -5 8.6, 0 10.2, 5 8.6, 8 4.6, 8.9 1
"""
_PRINT = """
    disc dye=sun lift=0.04 creases=3: 0 28 18 18
    seam dye=cord line=1.8 lift=0.04 stitched: -9 40, 9 40
"""
_SWEATER = """
    middle shade=0.5 lift=0.3: 0 2, 5 1.6, 9.5 0, 12 9, 0 13
    sides weave=knit creases=12 lean=70: 20 4, 26.5 6.5, 32 20, 37 42, 40 61, 31.5 63.5, 28.5 48, 25.5 34, 21 20
    sides shade=0.92 weave=ribbed lift=0.5: 39.4 60.5, 39.6 68, 32.4 69.5, 31.8 63
    middle weave=knit creases=34 lean=75: 0 9, 5 8, 8.5 3.5, 9.5 0, 22 4.5, 24.5 16, 25.5 28, 25.5 45, 25 65, 0 66
    middle shade=0.92 weave=ribbed lift=0.5: 0 65.4, 24.6 64.4, 23.8 71, 0 72
    seams shade=0.7: 21.8 5, 24.4 16, 25.5 28
    seam shade=0.9 weave=ribbed line=2.8 lift=0.4: -9.3 1, -8 4.6, -5 8.2, 0 9.8, 5 8.2, 8 4.6, 9.3 1
"""
_SHIRT = """
    middle shade=0.5 lift=0.3: 0 -1, 5 -1.5, 8 -2, 11 8, 0 12
    disc dye=cord lift=0.1: 0 2 4 2
    sides creases=14 lean=70: 20 4, 25.5 6.5, 31 20, 35 40, 38 59, 29.5 61.5, 27 46, 25 32, 21 20
    sides lift=0.5: 38 58.5, 38.6 66, 30.4 67.4, 29.4 61
    middle creases=40 lean=80: 0 9, 8 0, 21.5 4, 24.5 14, 25.5 28, 24.5 45, 26 67, 23 73, 12 76.5, 0 77.5
    seams shade=0.6: 21.3 4.6, 24.4 14, 25.5 28
    seams shade=0.6 line=0.25: 11 10, 22.8 9
    whole lift=0.5: -1.8 8, 1.8 8, 1.8 77.2, -1.8 77.2
    seams shade=0.6 line=0.2: 1.5 9, 1.5 77
    whole lift=0.3: 8 26, 18.5 26, 18.5 36.5, 13.2 39, 8 36.5
    seam shade=0.6 line=0.25: 8 26.2, 8 36.5, 13.2 39, 18.5 36.5, 18.5 26.2
    seam shade=0.6 line=0.25: 8 28.4, 18.5 28.4
    sides shade=1.03 lift=1: 0.2 8.8, 2.4 1, 7.4 -3.8, 12 2.5, 9.4 15.5
    seams shade=0.6 line=0.2: 1.2 8.4, 8.9 13.8, 11.2 3
    disc dye=shell lift=0.3: 0 9.5 1.5 1.5, 0 19 1.5 1.5, 0 29 1.5 1.5, 0 39 1.5 1.5, 0 49 1.5 1.5, 0 59 1.5 1.5
"""
_PUFFER = """
    middle shade=0.5 lift=0.8: 0 -9, 9 -8, 11 3, 0 6
    sides weave=quilted creases=8 lean=10 lift=1.3: 20 4, 28 7, 34 20, 38 42, 40 63, 31 65, 28 46, 25 32, 20 20
    sides shade=0.4 lift=0.7: 40 62, 40 67, 31.5 69, 31 64
    middle weave=quilted creases=24 lean=10 lift=1.3: 0 4, 9 0, 21 4, 25 14, 26.5 28, 26 50, 27 80, 0 81
    sides weave=quilted lift=1.1: 0.6 8, 1 -7, 9.5 -8.5, 10.5 1, 5 6
    seams shade=0.4 line=0.4: 21 4.4, 24.5 14, 26.3 28
    seams shade=0.4 line=1: 13 50, 18 64
    seam shade=0.4 line=2.4: 0 -6, 0 80
    seam dye=metal line=0.8 stitched: 0 -5, 0 79
    disc dye=metal lift=0.3: 0.3 6 1.2 3
"""
_PARKA = """
    middle shade=0.9 lift=1.2 creases=6: 0 -23, 8 -21, 13 -12, 14 2, 0 6
    middle shade=0.4 lift=0.4: 0 -17, 5 -15.5, 8.5 -9, 8 2, 0 8
    sides creases=14 lean=70 lift=1.2: 20 4, 28 7, 34 22, 38 42, 40 62, 30 64, 28 48, 25 34, 20 20
    sides shade=0.85 lift=0.6: 40 61, 40 66.5, 31 68, 30 63
    middle creases=40 lean=80 lift=1.2: 0 8, 6 3, 11 0, 21 4, 25 14, 26.5 28, 25.5 48, 28 84, 0 85
    seams shade=0.6 line=0.4: 21 4.4, 24.5 14, 26.3 28
    seams shade=0.6 line=0.5: 1.5 48, 25.4 47
    whole lift=0.5: -2.6 8, 2.6 8, 2.6 84.6, -2.6 84.6
    seam shade=0.5: 2.6 8, 2.6 84.6
    sides lift=0.6: 8 56, 21 56, 21.5 72, 8 72
    sides lift=0.6: 7.6 54.5, 21.4 54.5, 21.4 59.5, 14.5 61, 7.6 59.5
    sides lift=0.4: 9 22, 19 23, 19 26, 9 25
    seams dye=cord line=0.6: 3.5 4, 5 12, 4.5 19
    disc dye=metal lift=0.3: 0 16 1.6 1.6, 0 30 1.6 1.6, 0 44 1.6 1.6, 0 58 1.6 1.6, 0 72 1.6 1.6
    disc dye=metal lift=0.3: 14.5 58.8 1.4 1.4, -14.5 58.8 1.4 1.4
"""
_COAT = """
    middle shade=0.4 lift=0.3: 0 -1, 8 -2, 12 12, 0 24
    sides creases=12 lean=70 lift=1.2: 20 4, 27 7, 33 22, 37 42, 39 64, 29 66, 27 48, 25 34, 20 20
    seams shade=0.6: 38.5 59, 29 61
    middle creases=30 lean=85 lift=1.2: 0 22, 8 0, 21 4, 24.5 16, 26 30, 25 46, 28 94, 0 96
    seams shade=0.6 line=0.4: 20.8 4.6, 24.2 16, 26 30
    seam shade=0.5 line=0.6: 4 30, 4.4 95
    sides lift=0.6: 10 58, 20 56, 20.5 60, 10.5 62
    sides shade=0.92 lift=1: 3 33, 0.6 23, 5 4, 8 -3.5, 12.5 2, 15 12, 11 14, 15 17
    disc shade=0.4 lift=0.5: -4 38 2.4 2.4, -4 50 2.4 2.4, -4 62 2.4 2.4, 8 38 2.4 2.4, 8 50 2.4 2.4, 8 62 2.4 2.4
"""
_DRESS = """
    middle shade=0.5 lift=0.3: 0 3, 5 2.4, 10 0, 12 12, 0 18
    middle creases=60: 0 41, 14.5 42, 19 58, 27 80, 33 99, 25 102, 17 102.4, 8 104.4, 0 103.6
    middle creases=18 lean=80: 0 14, 5 12, 8.5 6, 10 0, 16 1.5, 16.5 12, 19.5 20, 17.5 30, 14.5 42, 0 43
    middle shade=0.85 lift=0.4: 0 40.5, 14.8 39.5, 14.8 43, 0 44
    seams shade=0.65: 15.8 2, 16.2 12, 19 20
    seams shade=0.65 line=0.25: 9 40, 8 26
    seams shade=0.7 line=0.2: 32.4 97.4, 25 100, 17 100.4, 8 102.4, 0 101.6
"""
_POCKETS = """
    sides shade=0.55 line=0.5 lift=0.12: 9.6 3.5, 11.6 8.4, 15.4 11.2, 22.5 11.6
    seam shade=0.55 line=0.4: 0 3, 0.5 16, 0 29
    seam dye=thread line=0.25 stitched: 3.6 4, 3.6 15, 2.2 19, 0 21
    seams shade=0.55 line=0.5: 9.6 3.5, 11.6 8.4, 15.4 11.2, 22.5 11.6
    seams dye=thread line=0.3 stitched: 9 3.5, 11 9, 15 12, 22.5 12.5
    middle weave=denim lift=0.5: 0 0.5, 20.5 -1, 21 3.2, 0 4.5
    seams dye=thread line=0.2 stitched: 0 3.9, 20.6 2.6
    sides weave=denim lift=0.4: 11.2 -1, 12.8 -1, 12.8 4.6, 11.2 4.6
    disc dye=metal lift=0.4: 0 2.3 1.9 1.9
"""
_JEANS = (
    """
    middle shade=0.5 lift=0.3: 0 -3, 19.5 -4, 20 2, 0 3
    sides weave=denim creases=34 lean=80: 20.5 1, 23 13, 25.5 28, 24 62, 23 101, 11 102, 6 60, 0.3 29, 0 2
    seams dye=thread line=0.25 stitched: 11.2 100.3, 22.9 99.3
"""
    + _POCKETS
)
_DENIM_SHORTS = (
    """
    middle shade=0.5 lift=0.3: 0 -3, 19.5 -4, 20 2, 0 3
    sides weave=denim creases=16 lean=80: 20.5 1, 23 13, 27 28, 30.5 44, 18 48, 6.5 48, 0.3 27, 0 2
    sides weave=denim lift=0.5 shade=1.08: 30 41, 30.8 45, 18 49, 6.3 49, 6 45.4, 18 45.4
"""
    + _POCKETS
)
_ELASTIC = """
    seam shade=0.6 line=0.4: 0 4, 0.4 16, 0 28
    seams shade=0.55 line=0.5: 17.5 5, 21.5 20
    middle shade=0.9 weave=ribbed lift=0.6: 0 -1.5, 18.5 -2, 19.4 3.5, 0 4
    seams dye=cord line=0.7: 1 2, 3.4 8, 2.2 17
"""
_JOGGERS = (
    """
    sides creases=34 lean=80: 19.5 1, 24 20, 24 60, 20 97, 10 97.5, 6 60, 0.3 30, 0 2
    sides shade=0.92 weave=ribbed lift=0.5: 19.4 96.5, 18 104, 11.4 104.4, 10.6 97
"""
    + _ELASTIC
)
_SPORTS_SHORTS = (
    """
    sides creases=20 lean=80: 19.2 1, 24 16, 31.5 44, 18 49, 6.5 48.5, 0.3 26, 0 2
    seams shade=0.65 line=0.25: 31 42, 18 46.8, 6.4 46.4
    seams dye=cord line=1.2: 21.3 6, 25.8 22, 30.6 43.2
"""
    + _ELASTIC
)
_FLARED_SKIRT = """
    middle creases=64: 0 0, 17.5 0, 24 20, 34 51, 29 53.6, 24 53.8, 19 55.6, 13 55.2, 7 57, 0 56
    seams shade=0.7 line=0.2: 33.4 49, 29 51.6, 24 51.8, 19 53.6, 13 53.2, 7 55, 0 54
    middle shade=0.9 lift=0.6: 0 -3, 17 -3.5, 17.6 1.6, 0 2.2
"""
_PENCIL_SKIRT = """
    middle shade=0.5 lift=0.3: 0 -5, 17 -6, 17.5 0, 0 1
    middle creases=30 lean=85: 0 0, 18 -0.5, 22 12, 24 26, 22.5 54, 0 55
    seams shade=0.65 line=0.25: 10 2, 11 14
    seams shade=0.65 line=0.2: 0 52.5, 22.5 51.5
    seam shade=0.5 line=0.5: 0 40, 0 55
    middle shade=0.92 lift=0.5: 0 -3.5, 17.6 -4, 18.2 1.2, 0 1.8
"""
_BEANIE = """
    middle weave=ribbed creases=8 lift=1.3: 0 0, 3 0.2, 6 1.2, 10 4.6, 12.6 10, 13 18, 0 19
    middle weave=ribbed shade=0.94 creases=3 lift=0.8: 0 15.5, 13.2 14.5, 13.6 22, 12.8 23, 7 24.2, 0 24.5
"""
_CAP = """
    middle creases=4 lift=2: 0 0, 3 0.2, 6 1.2, 10 4.6, 12.5 10, 12 18, 0 20
    seams shade=0.6 line=0.2 stitched: 0.3 0.6, 5 5, 7 12, 7 18
    middle shade=0.96 lift=1.1: 0 15.2, 6 15.6, 11.8 17.6, 12 22, 9.5 27, 5 29.6, 0 30.4
    seams shade=0.6 line=0.12: 10 20, 8.2 24.2, 4.6 27.4, 0 28.2
    seams shade=0.6 line=0.12: 8.6 20, 7.1 23.2, 4 26, 0 26.8
    seams shade=0.6 line=0.12: 7.2 20, 6 22.2, 3.5 24.6, 0 25.4
    disc shade=0.6 lift=0.4: 0 0.4 1.8 1.2
"""
_SNEAKER = """
    middle dye=shell lift=1.2: 0 -0.8, 3.6 0, 4.7 5, 4.3 12, 5.2 19, 5.4 25.5, 3.9 31, 1.5 32.4, 0 32.6
    middle creases=4 lean=0 lift=1.2: 0 0, 3.4 0.8, 4.3 5, 4 12, 4.8 19, 5 25, 3.6 29.8, 1.5 31, 0 31.2
    disc shade=0.35 lift=0.2: 0 6.5 6 11
    whole shade=0.8 lift=0.5: -2.2 8, 2.2 8, 2.4 20, -2.4 20
    seam dye=cord line=0.7: -2.8 12, 2.8 12.7
    seam dye=cord line=0.7: -2.8 14, 2.8 14.7
    seam dye=cord line=0.7: -2.8 16, 2.8 16.7
    seam dye=cord line=0.7: -2.8 18, 2.8 18.7
    seam shade=0.6 line=0.25: -4.6 23, -2.5 21.4, 2.5 21.4, 4.8 23
    seam dye=cord line=0.45: 0 11.5, 3.5 10, 4 12.5, 0.4 11.8, -3.6 9.5, -4 12, 0 11.5
"""

_CUTS: dict[str, tuple[tuple[str, str], ...]] = {  # the cuts of a sub category, each with a design
    "dress": ((_DRESS, ""),),
    "hat": ((_BEANIE, ""), (_CAP, "")),
    "longsleeve": ((_SWEATER, ""), (_SWEATER, "hoops")),
    "outwear": ((_PUFFER, ""), (_PARKA, ""), (_COAT, "")),
    "pants": ((_JEANS, ""), (_JOGGERS, "")),
    "shirt": ((_SHIRT, ""), (_SHIRT, "stripes"), (_SHIRT, "checks")),
    "shoes": ((_SNEAKER, ""),),
    "shorts": ((_DENIM_SHORTS, ""), (_SPORTS_SHORTS, "")),
    "skirt": ((_FLARED_SKIRT, ""), (_PENCIL_SKIRT, "")),
    "t-shirt": ((_T_SHIRT, ""), (_T_SHIRT + _PRINT, "")),
}
_FILL = {"hat": 0.66, "shoes": 0.78, "skirt": 0.8, "shorts": 0.84}  # how much of the frame it takes up
_TRIMMINGS = {
    "thread": Cloth(((0.72, 0.50, 0.24),)),
    "metal": Cloth(((0.70, 0.69, 0.66),)),
    "shell": Cloth(((0.88, 0.87, 0.84),)),
    "cord": Cloth(((0.92, 0.92, 0.90),)),
    "sun": Cloth(((0.95, 0.70, 0.25), (0.93, 0.45, 0.25)), design="hoops"),
}


def _sewn(sub: str, style: int, cloth: Cloth) -> list[Piece]:
    """Return the pieces of a garment; shoes come in pairs."""
    cut, design = _CUTS[sub][style % len(_CUTS[sub])]
    if design and not cloth.design:
        red, green, blue = cloth.colours[0]
        lighter = red * 0.5 + 0.42, green * 0.5 + 0.42, blue * 0.5 + 0.42
        cloth = replace(cloth, colours=(cloth.colours[0], lighter), design=design)
    pieces = [piece for row in cut.strip().splitlines() if row.strip() for piece in _pieces(row, cloth)]
    if sub != "shoes":
        return pieces
    return [_turned(piece, x, angle) for x, angle in ((-6.3, 0.06), (6.3, -0.05)) for piece in pieces]


def _pieces(row: str, cloth: Cloth) -> list[Piece]:
    """Return what one row of a cut describes: a piece, a pair, or several discs."""
    words, _, corners = row.partition(":")
    laid, *options = words.split()
    what = dict(option.split("=") for option in options if "=" in option)
    seam = laid.startswith("seam")
    cloth = _TRIMMINGS.get(what.get("dye", ""), cloth).shade(float(what.get("shade", 1)))
    if seam:
        cloth = replace(cloth, design="")
    piece = Piece(
        np.empty((0, 2)),
        replace(cloth, weave=what.get("weave", "plain")),
        line=float(what.get("line", 0.3 if seam else 0)),
        lift=float(what.get("lift", 0.12 if seam else 1)),
        creases=int(what.get("creases", 0)),
        lean=float(what.get("lean", 90)),
        stitched="stitched" in options,
    )
    points = np.array([corner.split() for corner in corners.split(",")], np.float64)
    if laid == "disc":
        return [replace(piece, outline=_disc(*disc)) for disc in points.tolist()]
    if laid == "middle":
        points = np.concatenate([points, points[::-1] * (-1, 1)])
    piece = replace(piece, outline=_rounded(points, closed=not seam))
    if laid in ("sides", "seams"):
        return [piece, replace(piece, outline=piece.outline * (-1, 1), lean=180 - piece.lean)]
    return [piece]


def _rounded(points: Points, *, closed: bool) -> Points:
    """Return a dense line through the points that rounds every corner a little, as cloth does."""
    for reach in (1.0, 0.5, 0.25):
        ahead = np.roll(points, -1, axis=0) - points
        cut = ahead * np.minimum(0.25, reach / (np.hypot(*ahead.T)[:, None] + 1e-9))
        pairs = np.stack([points + cut, points + ahead - cut], axis=1)
        points = pairs.reshape(-1, 2) if closed else np.concatenate([points[:1], *pairs[:-1], points[-1:]])
    return _spaced(np.concatenate([points, points[:1]]) if closed else points, 1.0)


def _spaced(points: Points, step: float) -> Points:
    """Return points at even steps along a line."""
    way = np.concatenate([[0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
    stops = np.linspace(0, way[-1], max(2, round(way[-1] / step)))
    return np.stack([np.interp(stops, way, points[:, axis]) for axis in (0, 1)], axis=1)


def _disc(x: float, y: float, width: float, height: float) -> Points:
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    return np.stack([x + width / 2 * np.cos(turn), y + height / 2 * np.sin(turn)], axis=1)


def _turned(piece: Piece, x: float, angle: float) -> Piece:
    cos, sin = np.cos(angle), np.sin(angle)
    return replace(piece, outline=piece.outline @ np.array([[cos, sin], [-sin, cos]]) + (x, 0))


def main() -> None:
    """Draw the golden photos into the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m batch.drawings",
        description="Draw the golden photos: small drawn photos with known answers, which every release "
        "has to get right before it may sort. Example: python -m batch.drawings model/golden",
    )
    parser.add_argument("folder", type=Path, help="where to write them (made when missing)")
    for drawing in draw_golden_photos(parser.parse_args().folder):
        print(drawing.file_name)


if __name__ == "__main__":
    main()
