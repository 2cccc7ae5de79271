"""Small drawn photos to learn from: forms in colours, of several senders, in rooms light and dark."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

FORMS = {"0_pants": "tall", "1_shorts": "wide", "2_heels": "disc"}
COLOURS = {"red": (200, 30, 40), "blue": (30, 60, 190)}
ROOMS = {"1": (245, 243, 238), "0": (60, 90, 70)}


def draw(
    form: str, colour: tuple[int, int, int], room: tuple[int, int, int], rng: np.random.Generator
) -> Image.Image:
    """A form on a ground, a little moved: 96 × 72."""
    image = Image.new("RGB", (96, 72), room)
    x, y = rng.integers(-6, 7, 2)
    box = {"tall": (36, 8, 60, 64), "wide": (14, 24, 82, 48), "disc": (30, 18, 66, 54)}[form]
    moved = (box[0] + x, box[1] + y, box[2] + x, box[3] + y)
    getattr(ImageDraw.Draw(image), "ellipse" if form == "disc" else "rectangle")(moved, fill=colour)
    return image


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """So small networks are quicker with one, several times so where other work goes on."""
    torch.set_num_threads(1)


@pytest.fixture
def make_photos(tmp_path: Path) -> Callable[..., Path]:
    """Write a data folder with `each` photos a class and labels.csv; returns it."""

    def make(each: int = 6, part: str = "train", seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        root, lines = tmp_path / "photos", ["file,background,colour,sender"]
        for folder, form in FORMS.items():
            (root / part / folder).mkdir(parents=True)
            for i in range(each):
                colour, room = list(COLOURS)[i % 2], list(ROOMS)[i // 2 % 2]
                file = root / part / folder / f"{i}.jpg"
                draw(form, COLOURS[colour], ROOMS[room], rng).save(file, quality=92)
                lines.append(f"{part}/{folder}/{i}.jpg,{room if i else '?'},{colour},{part}{i % 4}")
        old = (root / "labels.csv").read_text().splitlines()[1:] if (root / "labels.csv").is_file() else []
        (root / "labels.csv").write_text("\n".join(lines + old) + "\n")
        return root

    return make
