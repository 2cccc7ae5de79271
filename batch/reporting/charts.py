"""Small charts as inline SVG: no script, no font, no file beside the page. Colours come from the page's style."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

WIDTH, HEIGHT = 480, 170
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 16, 24
"""Margins for the labels."""


def stacked(columns: Sequence[tuple[str, Mapping[str, int] | None]], layers: Sequence[str]) -> Markup:
    """One column a night, a layer for each status; the columns' names stand below the first and the last.

    A night that did not come (None) is a gap with a mark.
    """
    highest = (
        max((sum((counts or {}).get(layer, 0) for layer in layers) for _, counts in columns), default=0) or 1
    )
    step = (WIDTH - LEFT - RIGHT) / max(len(columns), 12)
    parts = [_grid([(0, "0"), (1, f"{highest:,}")])]
    for number, (name, counts) in enumerate(columns):
        base = 0
        if counts is None:
            parts.append(Markup("<g><title>{}: no run</title>").format(name))
            parts.append(_rect(LEFT + number * step + 1, TOP, step - 2, _y(0) - TOP, "gap"))
            parts.append(Markup("</g>"))
            continue
        words = ", ".join(f"{layer} {counts[layer]:,}" for layer in layers if counts.get(layer))
        parts.append(Markup("<g><title>{}: {}</title>").format(name, words or "nothing"))
        for layer in layers:
            value = counts.get(layer, 0)
            if value:
                top, bottom = _y((base + value) / highest), _y(base / highest)
                parts.append(
                    _rect(LEFT + number * step + 1, top, step - 2, max(bottom - top, 0.8), f"fill-{layer}")
                )
            base += value
        parts.append(Markup("</g>"))
    parts.append(_names([name for name, _ in columns], step))
    return _svg("Photos a night, as columns; the numbers are below", parts)


def lines(names: Sequence[str], series: Mapping[str, Sequence[float | None]]) -> Markup:
    """Shares (0 to 1) over the nights, one line each; a night without a value is a gap."""
    step = (WIDTH - LEFT - RIGHT) / max(len(names), 12)
    parts = [_grid([(0, "0 %"), (0.5, "50 %"), (1, "100 %")])]
    for label, values in series.items():
        points = [
            (LEFT + (number + 0.5) * step, _y(value)) if value is not None else None
            for number, value in enumerate(values)
        ]
        for one, other in pairwise(points):
            if one is None or other is None:
                continue
            (x1, y1), (x2, y2) = one, other
            parts.append(
                Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="line-{}"/>').format(
                    x1, y1, x2, y2, label
                )
            )
        for x, y in filter(None, points):
            parts.append(
                Markup('<circle cx="{:.1f}" cy="{:.1f}" r="2.6" class="dot-{}"/>').format(x, y, label)
            )
    parts.append(_names(names, step))
    return _svg(
        "How sure the model was, and the share for review, night by night; the numbers are below", parts
    )


def histogram(bins: Sequence[int], usual: Sequence[int], first: str, last: str, title: str) -> Markup:
    """Columns of how often each value came, and as steps above them how often it usually comes."""
    shares, usually = _shares(bins), _shares(usual)
    highest = max([*shares, *usually, 0.01])
    step = (WIDTH - LEFT - RIGHT) / max(len(bins), 1)
    parts = [_grid([(0, "0 %"), (1, f"{highest:.0%}".replace("%", " %"))])]
    for number, share in enumerate(shares):
        y = _y(share / highest)
        parts.append(_rect(LEFT + number * step + 1, y, step - 2, _y(0) - y, "fill-processed"))
    if any(usual):
        corners = [
            f"{LEFT + (number + side) * step:.1f},{_y(share / highest):.1f}"
            for number, share in enumerate(usually)
            for side in (0, 1)
        ]
        parts.append(Markup('<polyline points="{}" class="usual"/>').format(" ".join(corners)))
    parts.append(_text(LEFT, HEIGHT - 6, first, "start"))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 6, last, "end"))
    return _svg(f"{title}: how often each value came; the numbers are below", parts)


def _shares(bins: Sequence[int]) -> list[float]:
    total = sum(bins) or 1
    return [value / total for value in bins]


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _svg(label: str, parts: list[Markup]) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, Markup("").join(parts)
    )


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{}"/>').format(
        x, y, width, height, kind
    )


def _grid(marks: list[tuple[float, str]]) -> Markup:
    parts = []
    for share, label in marks:
        parts.append(
            Markup('<line x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}" class="grid"/>').format(
                LEFT, _y(share), WIDTH - RIGHT, _y(share)
            )
        )
        parts.append(_text(LEFT - 6, _y(share) + 4, label, "end"))
    return Markup("").join(parts)


def _names(names: Sequence[str], step: float) -> Markup:
    """The first and the last name; the last one ends where its column does, unless it would run into the first."""
    if not names:
        return Markup("")
    parts = [_text(LEFT, HEIGHT - 6, names[0], "start")]
    if len(names) * step > WIDTH / 3:
        parts.append(_text(LEFT + len(names) * step, HEIGHT - 6, names[-1], "end"))
    return Markup("").join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, escape(text))
