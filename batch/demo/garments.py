"""The garments that the drawings show, written down as sewing patterns.

    pieces = sewn("t-shirt", style=0, cloth=Cloth(((0.7, 0.1, 0.1),)))

A cut says how a garment is sewn, one row a piece and the lowest first: how it is laid, what it is like, and
its corners "x y" in centimetres, x from the middle and y down. `middle` is given by its right half and
`sides` by the right one of a pair; `whole` is complete as it stands, `disc` is "x y width height", `print`
stands around "x y"; `seam` and `seams` are lines.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Rgb = tuple[float, float, float]

MAIN_OF = {
    sub: main
    for main, subs in {
        "bottomwear": ("pants", "shorts", "skirt"),
        "footwear": ("shoes",),
        "headwear": ("hat",),
        "onepiece": ("dress",),
        "upperwear": ("longsleeve", "outwear", "shirt", "t-shirt"),
    }.items()
    for sub in subs
}


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
    # how far it stands out of what lies below
    lift: float = 1.0
    creases: int = 0
    # the way its creases run, in degrees: 90 is down the garment
    lean: float = 90.0
    stitched: bool = False
    # printed in letters as high as `line`
    words: str = ""


_T_SHIRT = """
    middle shade=0.5 lift=0.3: 0 2.6, 5 2, 9 0, 12 10, 0 14
    disc dye=cord lift=0.1: 0 5.5 4 2.4
    sides creases=7 lean=50: 20 3.5, 25.5 6, 33 15, 39.5 24.5, 30.5 30.5, 25 26, 20 14
    seams shade=0.72 line=0.25: 38.4 22.9, 29.4 28.9
    middle creases=34: 0 10, 5 8.6, 8.2 4.6, 9 0, 22.5 4.5, 24 14, 24.5 26, 24 45, 24.5 76, 12 77, 0 77
    seams shade=0.7: 22.3 5, 23.9 13, 24.4 26
    seams shade=0.75 line=0.2: 0 75, 12 75, 24.2 74
    seam shade=0.93 weave=ribbed line=2 lift=0.3: -8.9 1, -8 4.6, -5 8.6, 0 10.2, 5 8.6, 8 4.6, 8.9 1
"""
_PRINT = """
    disc dye=sun lift=0.04 creases=3: 0 27 17 17
    print dye=ink line=6 lift=0.04 words=SLOW: 0 41
    print dye=ink line=3.4 lift=0.04 words=MORNING: 0 46
"""
_SWEATER = """
    middle shade=0.5 lift=0.3: 0 2, 5 1.6, 9.5 0, 12 9, 0 13
    sides weave=knit creases=12 lean=70: 20 4, 26.5 6.5, 32 20, 37 42, 40 61, 31.5 63.5, 28.5 48, 25.5 34, 21 20
    sides shade=0.92 weave=ribbed lift=0.5: 39.4 60.5, 39.6 68, 32.4 69.5, 31.8 63
    middle weave=knit creases=34: 0 9, 5 8, 8.5 3.5, 9.5 0, 22 4.5, 24.5 16, 25.5 28, 25.5 45, 25 65, 0 66
    middle shade=0.92 weave=ribbed lift=0.5: 0 65.4, 24.6 64.4, 23.8 71, 0 72
    seams shade=0.7: 21.8 5, 24.4 16, 25.5 28
    seam shade=0.9 weave=ribbed line=2.8 lift=0.4: -9.3 1, -8 4.6, -5 8.2, 0 9.8, 5 8.2, 8 4.6, 9.3 1
"""
_SHIRT = """
    middle shade=0.5 lift=0.3: 0 -1, 5 -1.5, 8 -2, 11 8, 0 12
    disc dye=cord lift=0.1: 0 2 4 2
    sides creases=34 lean=70: 20 4, 25.5 6.5, 31 20, 35 40, 38 59, 29.5 61.5, 27 46, 25 32, 21 20
    sides lift=0.5: 38 58.5, 38.6 66, 30.4 67.4, 29.4 61
    middle creases=90: 0 9, 8 0, 21.5 4, 24.5 14, 25.5 28, 24.5 45, 26 67, 23 73, 12 76.5, 0 77.5
    seams shade=0.6: 21.3 4.6, 24.4 14, 25.5 28
    seams shade=0.6 line=0.25: 11 10, 22.8 9
    whole lift=0.5: -1.8 8, 1.8 8, 1.8 77.2, -1.8 77.2
    seams shade=0.6 line=0.2: 1.5 9, 1.5 77
    whole lift=0.3: 8 26, 18.5 26, 18.5 36.5, 13.2 39, 8 36.5
    seam shade=0.6 line=0.25: 8 26.2, 8 36.5, 13.2 39, 18.5 36.5, 18.5 26.2
    seam shade=0.6 line=0.25: 8 28.4, 18.5 28.4
    sides shade=1.03 lift=1: 0.2 8.8, 2.4 1, 7.4 -3.8, 12 2.5, 9.4 15.5
    seams shade=0.6 line=0.2: 1.2 8.4, 8.9 13.8, 11.2 3
    disc dye=shell lift=0.3: 0 9.5 1.5 1.5, 0 21 1.5 1.5, 0 33 1.5 1.5, 0 45 1.5 1.5, 0 57 1.5 1.5, 0 69 1.5 1.5
"""
_PUFFER = """
    middle shade=0.5 lift=0.8: 0 -9, 9 -8, 11 3, 0 6
    sides weave=quilted creases=8 lift=1.3: 20 4, 28 7, 34 20, 38 42, 40 63, 31 65, 28 46, 25 32, 20 20
    sides shade=0.4 lift=0.7: 40 62, 40 67, 31.5 69, 31 64
    middle weave=quilted creases=24 lift=1.3: 0 4, 9 0, 21 4, 25 14, 26.5 28, 26 50, 27 80, 0 81
    sides weave=quilted lift=1.1: 0.6 8, 1 -7, 9.5 -8.5, 10.5 1, 5 6
    seams shade=0.4 line=0.4: 21 4.4, 24.5 14, 26.3 28
    seams shade=0.4 line=1: 13 50, 18 64
    seam shade=0.4 line=2.4: 0 -6, 0 80
    seam dye=metal line=0.8 stitched: 0 -5, 0 79
    disc dye=metal lift=0.3: 0.3 6 1.2 3
"""
_PARKA = """
    middle shade=0.9 lift=1.2 creases=8: 0 -23, 4 -22.6, 8 -21, 11 -17.5, 13 -12, 14 2, 0 6
    middle shade=0.4 lift=0.4: 0 -17, 3 -16.6, 5.6 -15, 7.6 -12, 8.5 -8, 8 2, 0 8
    sides creases=24 lean=70 lift=1.2: 20 4, 28 7, 34 22, 38 42, 40 62, 30 64, 28 48, 25 34, 20 20
    sides shade=0.85 lift=0.6: 40 61, 40 66.5, 31 68, 30 63
    middle creases=70 lift=1.2: 0 8, 6 3, 11 0, 21 4, 25 14, 26.5 28, 25.5 48, 28 84, 0 85
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
    sides creases=24 lean=70 lift=1.2: 20 4, 27 7, 33 22, 37 42, 39 64, 29 66, 27 48, 25 34, 20 20
    seams shade=0.6: 38.5 59, 29 61
    middle creases=60 lift=1.2: 0 22, 8 0, 21 4, 24.5 16, 26 30, 25 46, 25.5 54, 31 104, 0 106
    seams shade=0.6 line=0.4: 20.8 4.6, 24.2 16, 26 30
    seam shade=0.5 line=0.6: 4 30, 4.4 105
    sides lift=0.6: 11 64, 21 62, 21.5 66, 11.5 68
    sides shade=0.92 lift=1: 3 33, 0.6 23, 5 4, 8 -3.5, 12.5 2, 15 12, 11 14, 15 17
    middle shade=0.88 lift=0.7 creases=6: 0 51, 25.2 50, 25.4 55.4, 0 56.4
    seams shade=0.6 line=0.2: 0 51.6, 25 50.6
    seams shade=0.6 line=0.2: 0 55.8, 25 54.8
    whole dye=metal lift=0.5: -1 50.4, 6 50.4, 6 57, -1 57
    whole shade=0.85 lift=0.3: 0.4 51.8, 4.6 51.8, 4.6 55.6, 0.4 55.6
    disc shade=0.5 lift=0.2: -8 53.6 0.8 0.8, -12 53.6 0.8 0.8, -16 53.6 0.8 0.8
    disc shade=0.4 lift=0.5: -4 36 2.4 2.4, -4 45 2.4 2.4, -4 66 2.4 2.4
    disc shade=0.4 lift=0.5: 8 36 2.4 2.4, 8 45 2.4 2.4, 8 66 2.4 2.4
"""
_DRESS = """
    middle shade=0.5 lift=0.3: 0 3, 5 2.4, 10 0, 12 12, 0 18
    middle creases=60: 0 41, 14.5 42, 19 58, 27 80, 33 99, 25 102, 17 102.4, 8 104.4, 0 103.6
    middle creases=18: 0 14, 5 12, 8.5 6, 10 0, 16 1.5, 16.5 12, 19.5 20, 17.5 30, 14.5 42, 0 43
    middle shade=0.85 lift=0.4: 0 40.5, 14.8 39.5, 14.8 43, 0 44
    seams shade=0.65: 15.8 2, 16.2 12, 19 20
    seams shade=0.65 line=0.25: 9 40, 8 26
    seams shade=0.7 line=0.2: 32.4 97.4, 25 100, 17 100.4, 8 102.4, 0 101.6
"""
_POCKETS = """
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
    sides weave=denim creases=34: 20.5 1, 23 13, 25.5 28, 24 62, 23 101, 11 102, 6 60, 0.3 29, 0 2
    seams dye=thread line=0.25 stitched: 11.2 100.3, 22.9 99.3
"""
    + _POCKETS
)
_DENIM_SHORTS = (
    """
    middle shade=0.5 lift=0.3: 0 -3, 19.5 -4, 20 2, 0 3
    sides weave=denim creases=36: 20.5 1, 23 13, 27 28, 30.5 44, 18 48, 6.5 48, 0.3 27, 0 2
    sides weave=denim lift=0.5 shade=1.08: 30 41, 30.8 45, 18 49, 6.3 49, 6 45.4, 18 45.4
"""
    + _POCKETS
)
_ELASTIC = """
    seam shade=0.6 line=0.4: 0 4, 0.4 16, 0 28
    seams shade=0.55 line=0.5: 16.5 5, 19.5 20
    middle shade=0.9 weave=ribbed lift=0.6: 0 -1.5, 18.5 -2, 19.4 3.5, 0 4
    seams dye=cord line=0.7: 1 2, 3.4 8, 2.2 17
"""
_JOGGERS = (
    """
    sides creases=34: 19.5 1, 24 20, 24 60, 20 97, 10 97.5, 6 60, 0.3 30, 0 2
    sides shade=0.92 weave=ribbed lift=0.5: 19.4 96.5, 18 104, 11.4 104.4, 10.6 97
"""
    + _ELASTIC
)
_SPORTS_SHORTS = (
    """
    sides creases=40: 19.2 1, 24 16, 31.5 44, 18 49, 6.5 48.5, 0.3 26, 0 2
    seams shade=0.65 line=0.25: 31 42, 18 46.8, 6.4 46.4
    seams dye=cord line=1.2: 20.2 6, 24.6 22, 29.6 43.6
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
    middle creases=30: 0 0, 18 -0.5, 22 12, 24 26, 22.5 54, 0 55
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

# the cuts of a sub category, each with a design
CUTS: dict[str, tuple[tuple[str, str], ...]] = {
    "dress": ((_DRESS, ""),),
    "hat": ((_BEANIE, ""), (_CAP, "")),
    "longsleeve": ((_SWEATER, ""), (_SWEATER, "hoops")),
    "outwear": ((_PUFFER, ""), (_PARKA, ""), (_COAT, "")),
    "pants": ((_JEANS, ""), (_JOGGERS, "")),
    "shirt": ((_SHIRT, "checks"), (_SHIRT, "stripes"), (_SHIRT, "")),
    "shoes": ((_SNEAKER, ""),),
    "shorts": ((_DENIM_SHORTS, ""), (_SPORTS_SHORTS, "")),
    "skirt": ((_FLARED_SKIRT, ""), (_PENCIL_SKIRT, "")),
    "t-shirt": ((_T_SHIRT, ""), (_T_SHIRT + _PRINT, "")),
}
_TRIMMINGS = {
    "thread": Cloth(((0.72, 0.50, 0.24),)),
    "metal": Cloth(((0.70, 0.69, 0.66),)),
    "shell": Cloth(((0.88, 0.87, 0.84),)),
    "cord": Cloth(((0.92, 0.92, 0.90),)),
    "ink": Cloth(((0.91, 0.46, 0.27),)),
    "sun": Cloth(((0.95, 0.70, 0.25), (0.93, 0.45, 0.25)), design="hoops"),
}


def sewn(sub: str, style: int, cloth: Cloth) -> list[Piece]:
    """Return the pieces of a garment; shoes come in pairs."""
    cut, design = CUTS[sub][style % len(CUTS[sub])]
    if design and not cloth.design:
        plain, white = np.array(cloth.colours[0]), np.array(_TRIMMINGS["cord"].colours[0])
        shades = [(plain + (white - plain) * share).tolist() for share in (0, 0.35, 0.7)]
        cloth = replace(cloth, colours=tuple(shades), design=design)
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
        words=what.get("words", ""),
    )
    points = np.array([corner.split() for corner in corners.split(",")], np.float64)
    if laid == "disc":
        return [replace(piece, outline=_disc(*disc)) for disc in points.tolist()]
    if laid == "print":
        return [replace(piece, outline=points + np.array([(-15, -3), (15, 3)]))]
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
    return spaced(np.concatenate([points, points[:1]]) if closed else points, 1.0)


def spaced(points: Points, step: float) -> Points:
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
