"""A self-contained HTML page of texts, tables and plots: nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from replacing import replacing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; margin: 1rem 0 }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: right } td:first-child { text-align: left }
img { max-width: 100% } figure { display: inline-block; margin: .4rem; font-size: 13px; vertical-align: top }
.scroll { overflow-x: auto }
"""


class Page:
    """Collects a page's parts in order; `save` writes it."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts = [f"<h1>{html.escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def table(self, table: pd.DataFrame, digits: int = 3) -> None:
        """Add a table, index included, numbers with `digits` decimals."""
        body = table.to_html(float_format=lambda value: f"{value:.{digits}f}", na_rep="", border=0)
        self._parts.append(f'<div class="scroll">{body}</div>')

    def figure(self, figure: Figure, caption: str = "") -> None:
        """Add a plot."""
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=90, bbox_inches="tight")
        self._picture(stream.getvalue(), "image/png", caption)

    def photos(self, pictures: Sequence[tuple[np.ndarray[Any, Any], str]]) -> None:
        """Add small photos (height, width, 3) with a caption each."""
        for pixels, caption in pictures:
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, "JPEG", quality=80)
            self._picture(stream.getvalue(), "image/jpeg", caption)

    def save(self, path: Path) -> None:
        """Write the page in one step."""
        head = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(self.title)}</title>'
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as scratch:
            scratch.write_text(f"{head}<style>{STYLE}</style>\n" + "\n".join(self._parts), encoding="utf-8")

    def _picture(self, data: bytes, kind: str, caption: str) -> None:
        source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
        note = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
        self._parts.append(f'<figure><img src="{source}" alt="{html.escape(caption)}">{note}</figure>')
