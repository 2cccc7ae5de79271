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
    styles = _GARMENTS[sub]
    pieces = styles[seed % len(styles)](_dye(colour, rng), rng)
    view = _View.of(pieces, size, rng)
    grounds = _GROUNDS[background]
    pixels = grounds[int(rng.integers(len(grounds)))](view, rng)
    for piece in pieces:
        _lay(pixels, piece, view, rng)
    return _expose(pixels, rng)


@dataclass(frozen=True)
class Cloth:
    """What a piece is made of: its colours (0 to 1), how it is woven, and the pattern printed on it."""

    colours: tuple[Rgb, ...]
    weave: str = "plain"
    pattern: str = ""

    def shade(self, factor: float) -> "Cloth":
        """Return the same cloth darker (below 1) or lighter (above 1)."""
        return replace(self, colours=tuple((r * factor, g * factor, b * factor) for r, g, b in self.colours))


@dataclass(frozen=True)
class Piece:
    """A part of a garment: an outline in centimetres, or with `line` a seam of that width along it."""

    outline: Points
    cloth: Cloth
    line: float = 0.0
    lift: float = 1.0
    creases: int = 0
    lean: float = 90.0
    dashed: bool = False


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
    def of(cls, pieces: list[Piece], size: tuple[int, int], rng: Rng) -> "_View":
        every = np.concatenate([piece.outline for piece in pieces])
        low, high = every.min(axis=0), every.max(axis=0)
        spread = high - low
        fill = rng.uniform(0.8, 0.88)
        scale = fill * min(size[0] / spread[0], size[1] / spread[1])
        middle = (low + high) / 2 + rng.uniform(-0.02, 0.02, 2) * spread
        sway = (rng.uniform(0, 6.3), rng.uniform(0, 6.3))
        angle, tilt = rng.normal(0, 0.03), rng.uniform(-0.0012, 0.0012)
        return cls(*size, float(scale), (float(middle[0]), float(middle[1])), float(angle), float(tilt), sway)

    def to_pixels(self, points: Points) -> Points:
        """Place points: cloth never lies quite straight, the camera stands a little askew."""
        x, y = (points - self.middle).T
        x, y = x + 0.5 * np.sin(y / 9 + self.sway[0]), y + 0.5 * np.sin(x / 8 + self.sway[1])
        depth = self.scale / (1 + self.tilt * y)
        turned = (
            x * np.cos(self.angle) - y * np.sin(self.angle),
            x * np.sin(self.angle) + y * np.cos(self.angle),
        )
        return np.stack([turned[0] * depth + self.width / 2, turned[1] * depth + self.height / 2], axis=1)

    def to_centimetres(self, box: tuple[int, int, int, int], step: int = 1) -> tuple[Array, Array]:
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
    left, top = np.maximum(points.min(axis=0).astype(int) - margin, 0)
    right, bottom = np.minimum(points.max(axis=0).astype(int) + margin, (view.width, view.height))
    if right - left < 4 or bottom - top < 4:
        return
    box = int(left), int(top), int(right), int(bottom)
    mask = _mask(points, box, piece, view.scale)
    x, y = view.to_centimetres(box)
    part = pixels[top:bottom, left:right]
    reach = 1.2 * piece.lift * view.scale
    shadow = np.roll(_soften(mask, reach), (int(reach * 0.5), int(reach * 0.35)), (0, 1))
    part *= 1 - (0.42 * min(piece.lift, 1) * shadow * (1 - mask))[..., None]
    relief = 0.9 * piece.lift * _soften(mask, 0.7 * piece.lift * view.scale)
    relief += _woven_relief(piece.cloth.weave, x, y)
    relief += _creases(piece, view, box, rng)
    paint = _paint(piece.cloth, x, y, rng) * _light(relief, view.scale)[..., None]
    part += (paint - part) * mask[..., None]


def _mask(points: Points, box: tuple[int, int, int, int], piece: Piece, scale: float) -> Array:
    """Return how much of each pixel in the box the piece covers, drawn twice as large for smooth edges."""
    left, top, right, bottom = box
    canvas = Image.new("L", ((right - left) * 2, (bottom - top) * 2))
    pen = ImageDraw.Draw(canvas)
    corners = [(float(x), float(y)) for x, y in (points - (left, top)) * 2]
    if piece.line:
        width = max(1, round(piece.line * scale * 2))
        if piece.dashed:
            for start, end in _dashes(corners, 1.0 * scale):
                pen.line([start, end], fill=255, width=width)
        else:
            pen.line(corners, fill=255, width=width, joint="curve")
    else:
        pen.polygon(corners, fill=255)
    return np.asarray(canvas.reduce(2), np.float32) / 255


def _dashes(corners: list[tuple[float, float]], length: float) -> list[tuple[tuple[float, float], ...]]:
    path = np.array(corners)
    way = np.concatenate([[0], np.hypot(*np.diff(path, axis=0).T).cumsum()])
    stops = np.arange(0, way[-1], length)
    spots = [
        (float(x), float(y))
        for x, y in zip(*(np.interp(stops, way, path[:, i]) for i in (0, 1)), strict=True)
    ]
    return [(spots[i], spots[i + 1]) for i in range(0, len(spots) - 1, 2)]


def _light(relief: Array, scale: float) -> Array:
    """Return how bright each spot of a relief (in centimetres) is with a lamp at the upper left."""
    down, right = np.gradient(relief)
    return np.asarray(1 + 0.42 * np.tanh((down * 0.9 + right * 0.6) * scale), np.float32)


def _creases(piece: Piece, view: _View, box: tuple[int, int, int, int], rng: Rng) -> Array | float:
    """Return a relief of soft folds that run roughly along `lean` (degrees, 90 is down the garment)."""
    if not piece.creases:
        return 0.0
    step = max(2, round(view.scale / 4))
    x, y = view.to_centimetres(box, step)
    relief = np.zeros(x.shape, np.float32)
    low, high = piece.outline.min(axis=0), piece.outline.max(axis=0)
    for _ in range(piece.creases):
        (cx, cy), angle = rng.uniform(low, high), np.radians(piece.lean + rng.normal(0, 24))
        along = ((x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)).astype(np.float32)
        across = ((y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)).astype(np.float32)
        across = across + np.float32(rng.normal(0, 0.012)) * along**2
        width, length = rng.uniform(0.7, 2.2), rng.uniform(5, 14)
        ridge = np.exp(-(np.abs(across / width) ** 1.5) - (along / length) ** 2)
        relief += np.float32(rng.normal(0, 0.3) * width) * ridge
    return _resized(relief, (box[2] - box[0], box[3] - box[1]))


def _expose(pixels: Array, rng: Rng) -> Image.Image:
    """Turn the scene into a photo: uneven light, a warm or cool lamp, a little blur and sensor noise."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    slope = rng.normal(0, 0.05, 2)
    falloff = 1 + slope[0] * x + slope[1] * y - 0.06 * (x**2 + y**2)
    warmth = 1 + rng.normal(0.01, 0.012) * np.array([1, 0.1, -1])
    photo = pixels * falloff[..., None] * warmth
    grain = _soften(rng.normal(0, 0.022, pixels.shape[:2]).astype(np.float32), 1.0)
    photo += grain[..., None] + rng.normal(0, 0.008, pixels.shape).astype(np.float32)
    return Image.fromarray((np.clip(photo, 0, 1) * 255).astype(np.uint8), "RGB")


# --- cloth -----------------------------------------------------------------------------------------------


def _dye(colour: str, rng: Rng) -> Cloth:
    """Return a cloth of the named colour, never exactly the same one twice; `multi` is a bright print."""
    if colour == "multi":
        names = rng.permutation(["red", "yellow", "blue", "green", "pink", "white", "orange"])[:4]
        return Cloth(tuple(_tone(COLOURS[str(name)], rng) for name in names), pattern="flowers")
    return Cloth((_tone(COLOURS[colour], rng),))


def _tone(rgb: Rgb, rng: Rng) -> Rgb:
    factor = rng.normal(1, 0.05)
    red, green, blue = (float(np.clip(value / 255 * factor, 0.03, 0.95)) for value in rgb)
    return red, green, blue


def _paint(cloth: Cloth, x: Array, y: Array, rng: Rng) -> Array:
    """Return the cloth's colour at each spot: the pattern, then the grain of its weave."""
    base = np.array(cloth.colours, np.float32)
    paint = base[_PATTERNS[cloth.pattern](x, y, len(base), rng)] if cloth.pattern else base[0]
    return np.asarray(paint * _grain(cloth.weave, x, y, rng)[..., None], np.float32)


def _grain(weave: str, x: Array, y: Array, rng: Rng) -> Array:
    height, width = x.shape
    fine = rng.normal(0, 1, x.shape).astype(np.float32)
    if weave == "denim":
        fade = _cloud((width, height), 90, rng) + _cloud((width, height), 30, rng)
        slub = _resized(rng.normal(0, 1, (max(2, height // 14), width)).astype(np.float32), (width, height))
        return 1 + 0.05 * fine + 0.06 * slub + 0.09 * fade
    if weave in ("knit", "ribbed"):
        return 1 + 0.05 * fine + 0.03 * _cloud((width, height), 6, rng)
    return 1 + 0.03 * fine + 0.025 * _cloud((width, height), 60, rng)


def _woven_relief(weave: str, x: Array, y: Array) -> Array | float:
    if weave == "knit":
        return np.asarray(
            0.07 * np.sin(y * 5 + 1.6 * np.abs((x * 0.9) % 2 - 1)) * np.cos(x * 2.83), np.float32
        )
    if weave == "ribbed":
        return np.asarray(0.11 * np.cos(x * 6.0), np.float32)
    if weave == "quilted":
        return np.asarray(1.5 * np.abs(np.sin(y * np.pi / 8 + 0.12 * np.sin(x / 3))) ** 0.6, np.float32)
    return 0.0


def _stripes(x: Array, y: Array, colours: int, rng: Rng) -> NDArray[np.intp]:
    return np.asarray((x / rng.uniform(0.9, 1.4)) % colours, np.intp)


def _hoops(x: Array, y: Array, colours: int, rng: Rng) -> NDArray[np.intp]:
    return np.asarray((y / rng.uniform(2, 4)) % colours, np.intp)


def _flowers(x: Array, y: Array, colours: int, rng: Rng) -> NDArray[np.intp]:
    """Scatter round blossoms of every colour but the first over a ground of the first."""
    picture = np.zeros(x.shape, np.intp)
    cell = 5.0
    column, row = np.floor(x / cell), np.floor(y / cell)
    chance = np.sin(column * 127.1 + row * 311.7) * 43758.5
    chance -= np.floor(chance)
    away_x = x - (column + 0.35 + 0.3 * chance) * cell
    away_y = y - (row + 0.65 - 0.3 * chance) * cell
    petals = 1.5 + 0.5 * np.cos(5 * np.arctan2(away_y, away_x) + 6 * chance)
    inside = np.hypot(away_x, away_y) < petals
    picture[inside] = 1 + (chance[inside] * 97 % (colours - 1)).astype(np.intp)
    return picture


_PATTERNS: dict[str, Callable[[Array, Array, int, Rng], NDArray[np.intp]]] = {
    "stripes": _stripes,
    "hoops": _hoops,
    "flowers": _flowers,
}


# --- noise -----------------------------------------------------------------------------------------------


def _resized(values: Array, size: tuple[int, int], how: Image.Resampling = Image.Resampling.BICUBIC) -> Array:
    return np.asarray(Image.fromarray(values).resize(size, how), np.float32)


def _soften(values: Array, radius: float) -> Array:
    """Blur by a radius in pixels: shrink and enlarge again, which is quick at any radius."""
    height, width = values.shape
    small = max(2, round(width / max(radius, 1))), max(2, round(height / max(radius, 1)))
    return _resized(_resized(values, small, Image.Resampling.HAMMING), (width, height))


def _cloud(size: tuple[int, int], grain: float, rng: Rng, stretch: float = 1.0) -> Array:
    """Return smooth noise around 0 whose lumps are `grain` pixels wide and `stretch` times as high."""
    rows, columns = int(size[1] / grain / stretch) + 2, int(size[0] / grain) + 2
    return _resized(rng.normal(0, 1, (rows, columns)).astype(np.float32), size)


# --- grounds ---------------------------------------------------------------------------------------------


def _box(view: _View) -> tuple[int, int, int, int]:
    return 0, 0, view.width, view.height


def _flat(view: _View, rgb: Rgb, light: Array) -> Array:
    return np.asarray(np.array(rgb, np.float32) * light[..., None], np.float32)


def _sheet(view: _View, rng: Rng, rgb: Rgb | None = None, creases: int = 34) -> Array:
    """Lay out a wrinkled sheet: off-white, unless it is given a colour."""
    shade = rgb or ((0.93, 0.92, 0.90), (0.92, 0.90, 0.85), (0.95, 0.95, 0.95))[int(rng.integers(3))]
    x, y = view.to_centimetres(_box(view))
    corners = np.array([(x.min(), y.min()), (x.max(), y.max())], np.float64)
    cloth = Piece(corners, Cloth((shade,)), creases=creases, lean=float(rng.uniform(0, 180)))
    relief = 0.55 * np.asarray(_creases(cloth, view, _box(view), rng))
    return _flat(view, shade, _light(relief, view.scale) + 0.012 * _cloud((view.width, view.height), 2, rng))


def _table(view: _View, rng: Rng) -> Array:
    """Return a plain white or cream table or wall."""
    shade = ((0.93, 0.93, 0.92), (0.94, 0.92, 0.87), (0.90, 0.89, 0.88))[int(rng.integers(3))]
    size = view.width, view.height
    return _flat(view, shade, 1 + 0.012 * _cloud(size, view.width / 2, rng) + 0.006 * _cloud(size, 3, rng))


def _blanket(view: _View, rng: Rng) -> Array:
    shades = ((0.62, 0.06, 0.08), (0.11, 0.13, 0.22), (0.16, 0.30, 0.22), (0.30, 0.27, 0.26))
    return _sheet(view, rng, shades[int(rng.integers(len(shades)))], creases=50)


def _floorboards(view: _View, rng: Rng) -> Array:
    """Return a wooden floor: boards of uneven tone, grain along them, dark gaps between."""
    size = view.width, view.height
    wide, long = max(24, view.width // 7), view.height // 2
    column = np.arange(view.width) // wide
    row = (np.arange(view.height)[:, None] + rng.integers(0, long, column.max() + 1)[column]) // long
    tone = rng.normal(1, 0.09, (int(row.max()) + 1, int(column.max()) + 1))[row, column]
    grain = (
        0.05 * _cloud(size, 3, rng, 50) + 0.05 * _cloud(size, 14, rng, 16) + 0.02 * _cloud(size, 1.5, rng, 4)
    )
    gap = (np.arange(view.width) % wide < 2) | (np.diff(row, axis=0, prepend=row[:1]) != 0)
    shade = ((0.72, 0.52, 0.30), (0.50, 0.32, 0.18), (0.62, 0.55, 0.47))[int(rng.integers(3))]
    return _flat(view, shade, ((tone + grain) * np.where(gap, 0.55, 1)).astype(np.float32))


def _carpet(view: _View, rng: Rng) -> Array:
    """Return a carpet with a blotched pattern in three colours and a rough pile."""
    size = view.width, view.height
    shades = np.array(((0.40, 0.10, 0.09), (0.66, 0.52, 0.34), (0.18, 0.13, 0.13)), np.float32)
    if rng.random() < 0.5:
        shades = np.array(((0.36, 0.38, 0.42), (0.52, 0.52, 0.52), (0.20, 0.23, 0.30)), np.float32)
    swirl = np.abs(_cloud(size, view.width / 9, rng))
    pattern = np.select([swirl < 0.16, swirl < 0.75], [1, 0], 2)
    pile = 1 + 0.13 * _cloud(size, 2.2, rng) + 0.07 * rng.normal(0, 1, pattern.shape)
    return np.asarray(shades[pattern] * pile[..., None], np.float32)


def _tiles(view: _View, rng: Rng) -> Array:
    size = view.width, view.height
    wide = view.width / rng.uniform(2.2, 3.2)
    x, y = np.arange(view.width) + 0.31 * wide, np.arange(view.height)[:, None] + 0.43 * wide
    tone = rng.normal(1, 0.03, (8, 8))[np.asarray(y // wide, int), np.asarray(x // wide, int)]
    joint = np.minimum(x % wide, y % wide) < 4
    marble = 0.04 * _cloud(size, 40, rng) + 0.03 * _cloud(size, 9, rng)
    shade = ((0.66, 0.54, 0.42), (0.48, 0.50, 0.53), (0.58, 0.44, 0.36))[int(rng.integers(3))]
    return _flat(view, shade, np.asarray((tone + marble) * np.where(joint, 0.6, 1), np.float32))


def _grass(view: _View, rng: Rng) -> Array:
    size = view.width, view.height
    blades = 0.22 * _cloud(size, 3, rng, 5) + 0.16 * _cloud(size, 5, rng, 4) + 0.12 * _cloud(size, 30, rng)
    return _flat(view, (0.30, 0.42, 0.16), np.maximum(1 + blades, 0.25))


_GROUNDS: dict[str, tuple[Callable[[_View, Rng], Array], ...]] = {
    "acceptable": (_sheet, _table),
    "unacceptable": (_floorboards, _carpet, _blanket, _tiles, _grass),
}


# --- garments --------------------------------------------------------------------------------------------

_ORANGE_THREAD = Cloth(((0.72, 0.50, 0.24),))
_METAL = Cloth(((0.70, 0.69, 0.66),))


def _outline(*corners: tuple[float, float], closed: bool = True) -> Points:
    """Return a line through the corners with each corner rounded by 2 cm at most, as cloth does."""
    points = np.array(corners, np.float64)
    for reach in (2.0, 1.0, 0.5):
        ahead = np.roll(points, -1, axis=0) - points
        length = np.hypot(*ahead.T)[:, None] + 1e-9
        cut = ahead * np.minimum(0.25, reach / length)
        pairs = np.stack([points + cut, points + ahead - cut], axis=1)
        points = (
            pairs.reshape(-1, 2)
            if closed
            else np.concatenate([points[:1], pairs[:-1].reshape(-1, 2), points[-1:]])
        )
    return points


def _both(*half: tuple[float, float]) -> Points:
    """Return the whole outline of a symmetrical piece from its right half, top to bottom."""
    return _outline(*half, *((-x, y) for x, y in reversed(half)))


def _flip(points: Points) -> Points:
    return points * (-1, 1)


def _disc(x: float, y: float, width: float, height: float | None = None) -> Points:
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    return np.stack([x + width / 2 * np.cos(turn), y + (height or width) / 2 * np.sin(turn)], axis=1)


def _pair(piece: Piece) -> list[Piece]:
    """Return the piece and its mirror image."""
    return [piece, replace(piece, outline=_flip(piece.outline), lean=180 - piece.lean)]


def _seam(cloth: Cloth, *corners: tuple[float, float], line: float = 0.3, dashed: bool = False) -> Piece:
    return Piece(_outline(*corners, closed=False), cloth, line=line, lift=0.12, dashed=dashed)


def _t_shirt(cloth: Cloth, rng: Rng) -> list[Piece]:
    dark, sleeve = cloth.shade(0.55), cloth
    pieces = [Piece(_disc(0, 3, 19, 9), dark, lift=0.3)]
    pieces += _pair(
        Piece(
            _outline((20, 3.5), (30, 8), (42, 22), (33, 29), (24, 25), (20, 14)), sleeve, creases=5, lean=60
        )
    )
    body = _both(
        (0, 9.5), (5, 8), (8.2, 4), (9, 0), (22, 4.5), (24.5, 14), (25, 25), (24.5, 45), (25.5, 70), (0, 71)
    )
    pieces += [Piece(body, cloth, creases=22, lean=75)]
    pieces += _pair(_seam(cloth.shade(0.75), (22, 4.5), (24, 13), (25, 25)))
    pieces += _pair(_seam(cloth.shade(0.8), (40, 20), (31.5, 27), line=0.2))
    pieces += [_seam(cloth.shade(0.78), (-25, 68), (0, 69), (25, 68), line=0.2)]
    neck = _outline((-9, 0.2), (-8, 4.6), (-5, 8.6), (0, 10.2), (5, 8.6), (8, 4.6), (9, 0.2), closed=False)
    return [*pieces, Piece(neck, replace(cloth.shade(0.93), weave="ribbed"), line=2.0, lift=0.35)]


def _sweater(cloth: Cloth, rng: Rng) -> list[Piece]:
    knit = replace(cloth, weave="knit")
    rib = replace(cloth.shade(0.92), weave="ribbed")
    pieces = [Piece(_disc(0, 3, 19, 8), cloth.shade(0.5), lift=0.3)]
    arm = _outline((20, 4), (28, 8), (35, 20), (41, 42), (45, 60), (36, 63), (31, 48), (26, 32), (21, 20))
    pieces += _pair(Piece(arm, knit, creases=9, lean=65))
    pieces += _pair(Piece(_outline((45, 59.5), (46.5, 66), (38, 68.5), (36, 62.5)), rib, lift=0.6))
    body = _both(
        (0, 9), (5, 8), (8.5, 3.5), (9.5, 0), (22, 4.5), (25, 16), (25.5, 27), (25.5, 45), (25, 63), (0, 64)
    )
    pieces += [Piece(body, knit, creases=22, lean=75)]
    pieces += [Piece(_both((0, 63.5), (25, 62.5), (24, 69), (0, 70)), rib, lift=0.6)]
    pieces += _pair(_seam(cloth.shade(0.7), (22, 4.5), (25, 16), (25.5, 27)))
    neck = _outline((-9.5, 0), (-8, 4.6), (-5, 8.2), (0, 9.8), (5, 8.2), (8, 4.6), (9.5, 0), closed=False)
    return [*pieces, Piece(neck, rib, line=2.8, lift=0.5)]


def _shirt(cloth: Cloth, rng: Rng) -> list[Piece]:
    dark = cloth.shade(0.7)
    if rng.random() < 0.6:
        cloth = replace(cloth, colours=(*cloth.colours, cloth.shade(1.25).colours[0]), pattern="stripes")
    pieces = [Piece(_disc(0, 1, 17, 6), cloth.shade(0.6), lift=0.3)]
    arm = _outline((20, 4), (27, 7), (34, 20), (39, 40), (43, 58), (34, 61), (29, 46), (25, 32), (21, 20))
    pieces += _pair(Piece(arm, cloth, creases=10, lean=65))
    pieces += _pair(Piece(_outline((43, 57.5), (44.5, 64), (35.5, 66.5), (33.8, 60.5)), cloth, lift=0.6))
    body = _both((0, 8), (8, 0), (21, 4), (24, 14), (25, 28), (24, 45), (26, 66), (22, 71), (12, 74), (0, 75))
    pieces += [Piece(body, cloth, creases=26, lean=80)]
    pieces += _pair(_seam(dark, (21.5, 4), (23.5, 14), (25, 28), line=0.25))
    pieces += [Piece(_outline((-1.7, 8), (1.7, 8), (1.7, 75), (-1.7, 75)), cloth, lift=0.3)]
    pocket = _outline((7, 24), (18, 24), (18, 35), (12.5, 37), (7, 35))
    pieces += [Piece(pocket, cloth, lift=0.25), _seam(dark, (7, 26.2), (18, 26.2), line=0.2)]
    pieces += _pair(Piece(_outline((0, 8), (2.5, 1), (7.5, -3), (10.5, 2), (8, 12)), cloth, lift=0.8))
    button = Cloth(((0.86, 0.85, 0.82),))
    return pieces + [Piece(_disc(0, y, 1.5), button, lift=0.25) for y in range(12, 72, 10)]


def _puffer(cloth: Cloth, rng: Rng) -> list[Piece]:
    quilt, dark = replace(cloth, weave="quilted"), cloth.shade(0.45)
    pieces = [Piece(_both((0, -9), (9, -8), (11, 3), (0, 6)), cloth.shade(0.6), lift=0.8)]
    arm = _outline((20, 4), (29, 7), (37, 20), (42, 40), (45, 60), (35, 63), (30, 46), (25, 32), (20, 20))
    pieces += _pair(Piece(arm, quilt, creases=6, lean=10, lift=1.5))
    pieces += _pair(Piece(_outline((45, 59), (45.5, 64), (35.5, 66.5), (35, 62)), dark, lift=0.8))
    body = _both((0, 4), (9, 0), (21, 4), (25, 14), (27, 28), (26.5, 45), (27, 72), (0, 73))
    pieces += [Piece(body, quilt, creases=16, lean=10, lift=1.5)]
    pieces += _pair(Piece(_outline((0.6, 8), (1, -7), (9.5, -8.5), (10.5, 1), (5, 6)), quilt, lift=1.2))
    pieces += _pair(_seam(dark, (21, 4), (24.5, 14), (26.5, 28), line=0.4))
    pieces += _pair(_seam(dark, (12, 46), (18, 60), line=0.9))
    pieces += [_seam(dark, (0, -6), (0, 73), line=1.8)]
    pieces += [_seam(_METAL, (0, -5), (0, 72), line=0.6, dashed=True)]
    return [*pieces, Piece(_disc(0.3, 6, 1.2, 3), _METAL, lift=0.3)]


def _coat(cloth: Cloth, rng: Rng) -> list[Piece]:
    dark = cloth.shade(0.62)
    pieces = [Piece(_disc(0, 1, 18, 8), cloth.shade(0.4), lift=0.3)]
    arm = _outline((20, 4), (28, 7), (34, 22), (39, 42), (42, 62), (32, 64.5), (28, 48), (25, 34), (20, 20))
    pieces += _pair(Piece(arm, cloth, creases=8, lean=70, lift=1.2))
    pieces += _pair(_seam(dark, (41.5, 58), (31.5, 60.5)))
    body = _both((0, 20), (8, 0), (21, 4), (24.5, 16), (25, 30), (24, 46), (28, 90), (0, 92))
    pieces += [Piece(body, cloth, creases=18, lean=85, lift=1.2)]
    pieces += _pair(_seam(dark, (21.5, 4), (24, 16), (25, 30), line=0.35))
    pieces += [_seam(dark, (3, 30), (3, 91), line=0.5)]
    pieces += _pair(Piece(_outline((10, 56), (20, 54), (20.5, 57), (10.5, 59)), cloth, lift=0.5))
    lapel = _outline((3, 32), (1, 22), (5, 4), (8, -3), (12, 2), (14, 11), (10, 13.5), (13.5, 16))
    pieces += _pair(Piece(lapel, cloth.shade(0.93), lift=0.9))
    button = cloth.shade(0.45)
    return pieces + [Piece(_disc(x, y, 2.4), button, lift=0.5) for x in (-4, 7) for y in (36, 47, 58)]


def _dress(cloth: Cloth, rng: Rng) -> list[Piece]:
    dark = cloth.shade(0.6)
    pieces = [Piece(_disc(0, 4, 18, 8), cloth.shade(0.5), lift=0.3)]
    skirt = [(14.5, 42), (19, 58), (27, 80), (33, 99), (18, 102.5), (0, 103)]
    pieces += [Piece(_both((0, 41), *skirt), cloth, creases=44, lean=90)]
    bodice = _both(
        (0, 13), (5, 11), (8.5, 6), (10, 0), (16, 1.5), (16.5, 12), (19.5, 20), (17, 30), (14.5, 42), (0, 43)
    )
    pieces += [Piece(bodice, cloth, creases=10, lean=80)]
    pieces += [Piece(_both((0, 40.5), (14.8, 39.5), (14.8, 43), (0, 44)), cloth.shade(0.85), lift=0.5)]
    pieces += _pair(_seam(dark, (16.3, 2), (16.5, 12), (19, 20), line=0.35))
    pieces += _pair(_seam(dark, (9, 40), (8, 26), line=0.25))
    return [*pieces, _seam(dark, (-32, 97), (-17, 100.5), (0, 101), (17, 100.5), (32, 97), line=0.25)]


def _jeans(cloth: Cloth, rng: Rng, length: float = 102.0) -> list[Piece]:
    denim = replace(cloth, weave="denim")
    thread = _ORANGE_THREAD if cloth.colours[0][2] > cloth.colours[0][0] * 1.3 else cloth.shade(0.7)
    long = length > 70
    hem = (10, 23) if long else (2.0, 29.0)
    leg = [(21, 0), (23, 12), (26, 28), (24.5, 62), (hem[1], length), (hem[0], length + 1)]
    leg = [point for point in leg if point[1] < length or point[0] in hem]
    leg += [(6, 60)] if long else []
    half = _outline(*leg, (0.3, 29), (0, 2))
    dark = cloth.shade(0.6)
    pieces = [Piece(_both((0, -4), (19.5, -5), (19.5, 1), (0, 2)), cloth.shade(0.5), lift=0.3)]
    pieces += _pair(Piece(half, denim, creases=20 if long else 10, lean=80))
    cuff = _seam(thread, (hem[0], length - 1.5), (hem[1], length - 2.5), line=0.25, dashed=True)
    pieces += _pair(cuff)
    pieces += [_seam(dark, (0, 3), (0.5, 16), (0, 29), line=0.4)]
    pieces += [_seam(thread, (3.6, 4), (3.6, 15), (2.2, 19), (0, 21), line=0.25, dashed=True)]
    pieces += _pair(_seam(thread, (9, 3.5), (11, 9), (15, 12), (22.5, 12.5), line=0.3, dashed=True))
    pieces += _pair(_seam(dark, (9.6, 3.5), (11.6, 8.4), (15.4, 11.2), (22.5, 11.6), line=0.5))
    band = _both((0, 0.5), (20.5, -1), (21, 3.2), (0, 4.5))
    pieces += [
        Piece(band, denim, lift=0.6),
        _seam(thread, (-20.6, 2.6), (0, 3.9), (20.6, 2.6), line=0.2, dashed=True),
    ]
    pieces += [
        Piece(_outline((x - 0.8, -1), (x + 0.8, -1), (x + 0.8, 4.6), (x - 0.8, 4.6)), denim, lift=0.4)
        for x in (-12, 12)
    ]
    return [*pieces, Piece(_disc(0, 2.3, 1.9), _METAL, lift=0.4)]


def _denim_shorts(cloth: Cloth, rng: Rng) -> list[Piece]:
    return _jeans(cloth, rng, length=46)


def _sports_shorts(cloth: Cloth, rng: Rng) -> list[Piece]:
    dark = cloth.shade(0.7)
    half = _outline((19, 0), (24, 16), (29, 42), (16, 46), (3.5, 45), (0.3, 27), (0, 0))
    pieces = _pair(Piece(half, cloth, creases=14, lean=80))
    pieces += [_seam(dark, (0, 4), (0.4, 16), (0, 27), line=0.35)]
    pieces += _pair(_seam(dark, (28.6, 40), (16, 43.6), (3.5, 43), line=0.25))
    pieces += _pair(_seam(dark, (17.5, 5), (22.5, 20), line=0.5))
    pieces += [
        Piece(_both((0, -1.5), (18.5, -2), (19.2, 3.5), (0, 4)), replace(cloth.shade(0.9), weave="ribbed"))
    ]
    cord = Cloth(((0.9, 0.9, 0.88),))
    return pieces + [_seam(cord, (s * 1, 2), (s * 3.4, 8), (s * 2.2, 17), line=0.7) for s in (-1, 1)]


def _flared_skirt(cloth: Cloth, rng: Rng) -> list[Piece]:
    hem = [(34, 50), (25, 54), (17, 53.5), (8, 56), (0, 55)]
    pieces = [Piece(_both((0, 0), (17.5, 0), (24, 20), *hem), cloth, creases=50, lean=90)]
    pieces += [
        _seam(
            cloth.shade(0.7),
            *((-x, y - 1.8) for x, y in hem),
            *((x, y - 1.8) for x, y in hem[::-1]),
            line=0.2,
        )
    ]
    return [*pieces, Piece(_both((0, -3), (17, -3.5), (17.6, 1.6), (0, 2.2)), cloth.shade(0.9), lift=0.8)]


def _pencil_skirt(cloth: Cloth, rng: Rng) -> list[Piece]:
    pieces = [
        Piece(_both((0, 0), (18, -0.5), (23, 14), (25, 28), (23, 62), (0, 63)), cloth, creases=16, lean=85)
    ]
    pieces += _pair(_seam(cloth.shade(0.7), (10, 2), (11, 14), line=0.25))
    pieces += [_seam(cloth.shade(0.75), (-23, 59.5), (0, 60.5), (23, 59.5), line=0.2)]
    pieces += [_seam(cloth.shade(0.6), (0, 44), (0, 63), line=0.4)]
    return [*pieces, Piece(_both((0, -3.5), (17.6, -4), (18.2, 1.2), (0, 1.8)), cloth.shade(0.92), lift=0.7)]


def _beanie(cloth: Cloth, rng: Rng) -> list[Piece]:
    knit, rib = replace(cloth, weave="ribbed"), replace(cloth.shade(0.94), weave="ribbed")
    dome = _both((0, 0), (5, 0.6), (10, 4), (12.6, 10), (13, 18), (0, 19))
    cuff = _both((0, 15.5), (13.2, 14.5), (13.6, 22), (12.8, 23), (0, 24.5))
    return [Piece(dome, knit, lift=1.5, creases=5), Piece(cuff, rib, lift=1.0, creases=2)]


def _cap(cloth: Cloth, rng: Rng) -> list[Piece]:
    dark = cloth.shade(0.62)
    dome = _both((0, 0), (5, 0.5), (10, 4), (12.5, 10), (12, 18), (0, 20))
    pieces = [Piece(dome, cloth, lift=2.0, creases=3)]
    pieces += _pair(_seam(dark, (0.3, 0.6), (5, 5), (7, 12), (7, 18), line=0.2, dashed=True))
    brim = _both((0, 15.2), (6, 15.6), (11.8, 17.6), (12, 22), (9.5, 27), (5, 29.6), (0, 30.4))
    pieces += [Piece(brim, cloth.shade(0.96), lift=1.1)]
    for inset in (1.2, 2.6, 4.0):
        edge = [
            (11.2 - inset, 20),
            (9.3 - inset * 0.8, 25.6 - inset * 0.7),
            (5, 28.8 - inset),
            (0, 29.6 - inset),
        ]
        pieces += [_seam(dark, *edge, *((-x, y) for x, y in edge[::-1]), line=0.12)]
    return [*pieces, Piece(_disc(0, 0.4, 1.8, 1.2), dark, lift=0.4)]


def _sneakers(cloth: Cloth, rng: Rng) -> list[Piece]:
    """Draw a pair from above, toes down."""
    sole, lace = Cloth(((0.88, 0.87, 0.84),)), Cloth(((0.93, 0.93, 0.91),))
    outline = _outline(
        (0, 0),
        (3.4, 0.8),
        (4.4, 5),
        (4.1, 12),
        (5.0, 20),
        (5.2, 25),
        (3.6, 29.5),
        (0, 31),
        (-3.4, 29.8),
        (-4.8, 25),
        (-4.6, 19),
        (-3.9, 12),
        (-4.2, 5),
        (-3.2, 0.8),
    )
    shoe = [
        Piece(outline * 1.06 - (0, 0.6), sole, lift=1.4),
        Piece(outline, cloth, lift=1.3, creases=3, lean=0),
    ]
    shoe += [Piece(_disc(0, 6.5, 6.0, 11), cloth.shade(0.35), lift=0.2)]
    shoe += [Piece(_outline((-2.2, 8), (2.2, 8), (2.4, 20), (-2.4, 20)), cloth.shade(0.8), lift=0.5)]
    shoe += [_seam(lace, (-2.8, y), (2.8, y + 0.7), line=0.7) for y in (12, 14, 16, 18)]
    shoe += [_seam(cloth.shade(0.6), (-4.6, 23), (-2.5, 21.4), (2.5, 21.4), (4.8, 23), line=0.25)]
    shoe += [
        _seam(lace, (0, 11.5), (3.5, 10), (4, 12.5), (0.4, 11.8), (-3.6, 9.5), (-4, 12), (0, 11.5), line=0.45)
    ]
    return [_moved(p, -6.2, 0, 0.06) for p in shoe] + [
        _moved(replace(p, outline=_flip(p.outline)), 6.4, 0.8, -0.05) for p in shoe
    ]


def _moved(piece: Piece, x: float, y: float, angle: float) -> Piece:
    cos, sin = np.cos(angle), np.sin(angle)
    return replace(piece, outline=piece.outline @ np.array([[cos, sin], [-sin, cos]]) + (x, y))


_GARMENTS: dict[str, tuple[Callable[[Cloth, Rng], list[Piece]], ...]] = {
    "dress": (_dress,),
    "hat": (_beanie, _cap),
    "longsleeve": (_sweater,),
    "outwear": (_puffer, _coat),
    "pants": (_jeans,),
    "shirt": (_shirt,),
    "shoes": (_sneakers,),
    "shorts": (_denim_shorts, _sports_shorts),
    "skirt": (_flared_skirt, _pencil_skirt),
    "t-shirt": (_t_shirt,),
}


def main() -> None:
    """Draw the golden photos into the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m batch.drawings", description="Draw the golden photos: ..."
    )
    parser.add_argument("folder", type=Path)
    for drawing in draw_golden_photos(parser.parse_args().folder):
        print(drawing.file_name)


if __name__ == "__main__":
    main()
