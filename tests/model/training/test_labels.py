"""Tables beside photos say what is known, or the reader is told what is wrong with them."""

from pathlib import Path

import numpy as np
import pytest

from model.serving.classes import COLOURS, Classes, DataError
from model.training.labels import (
    CLOTHING,
    NO_CLOTHING,
    UNKNOWN,
    add_votes,
    described_table,
    read_described,
    read_labels,
)

CLASSES = Classes(
    mains=("bottomwear", "upperwear"),
    subs=("pants", "t-shirt"),
    main_of={"pants": "bottomwear", "t-shirt": "upperwear"},
)
HEADER = "file,sub,main,background,colour,group,source,kind"


def table(folder: Path, *lines: str, name: str = "photos.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("sub", "main", "known"),
    [
        ("pants", "bottomwear", (0, 0, CLOTHING)),
        ("T-Shirt", "?", (1, 1, CLOTHING)),
        ("?", "upperwear", (1, UNKNOWN, CLOTHING)),
        ("polo", "", (1, UNKNOWN, CLOTHING)),  # the taxonomy knows it, the classes do not
        ("scarf", "headwear", (UNKNOWN, UNKNOWN, CLOTHING)),  # a main category that is none of the classes'
        ("none", "none", (UNKNOWN, UNKNOWN, NO_CLOTHING)),
        ("?", "?", (UNKNOWN, UNKNOWN, UNKNOWN)),
        ("", "", (UNKNOWN, UNKNOWN, UNKNOWN)),
    ],
)
def test_a_described_photo_counts_as_far_as_its_row_goes(
    tmp_path: Path, sub: str, main: str, known: tuple[int, int, int]
) -> None:
    path = table(tmp_path, HEADER, f"a.jpg,{sub},{main},1,red,g,s,shop")
    label = read_described(path, CLASSES)["a.jpg"]
    assert (label.main, label.sub, label.clothing) == known
    assert (label.background, label.colour) == (0, COLOURS.index("red"))
    assert (label.group, label.source, label.kind) == ("g", "s", "shop")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.jpg,pants,bottomwear,yes,red,g,s,shop", r"photos\.csv, line 2: background is 'yes'"),
        ("a.jpg,pants,bottomwear,1,reddish,g,s,shop", r"photos\.csv, line 2: the colour 'reddish'"),
    ],
)
def test_a_value_that_means_nothing_is_named_with_its_line(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_described(table(tmp_path, HEADER, row), CLASSES)


def test_the_table_that_describes_photos_is_found_by_its_columns(tmp_path: Path) -> None:
    assert described_table(tmp_path) is None
    table(tmp_path, "file,background,colour", name="labels.csv")
    assert described_table(tmp_path) is None
    one = table(tmp_path, HEADER + ",licence", name="any name.csv")
    assert described_table(tmp_path) == one
    table(tmp_path, HEADER, name="another.csv")
    with pytest.raises(DataError, match=r"two tables that describe photos, another\.csv and any name\.csv"):
        described_table(tmp_path)


def test_everyones_vote_counts_and_a_second_name_counts_less(tmp_path: Path) -> None:
    labels = read_labels(
        table(tmp_path, "file,background,colour,sender", "a.jpg,0,black,7", "b.jpg,1,red,8"), CLASSES
    )
    header = "file,colour,colour_1,colour_2,colour_2_alt,colour_3,colour_3_alt,background"
    votes = table(tmp_path, header, "a.jpg,blue,black,blue,black,blue,,1", "c.jpg,?,,,,,,", name="votes.csv")
    found = add_votes(labels, votes, CLASSES)
    shares = found["a.jpg"].shares(len(COLOURS))
    assert shares[COLOURS.index("blue")] == pytest.approx(2 / 3.5)
    assert shares[COLOURS.index("black")] == pytest.approx(1.5 / 3.5)
    assert (found["a.jpg"].colour, found["a.jpg"].background) == (COLOURS.index("blue"), 0)
    assert found["a.jpg"].group == "7"  # the first table still says who took it
    assert found["b.jpg"] == labels["b.jpg"]
    assert found["b.jpg"].shares(len(COLOURS))[COLOURS.index("red")] == 1
    assert not np.any(found["c.jpg"].shares(len(COLOURS)))


def test_labellers_agree_where_all_who_were_asked_said_the_same(tmp_path: Path) -> None:
    header = "file,colour,colour_1,colour_2,colour_3,background"
    rows = ["a,red,red,red,,", "b,red,red,red,blue,", "c,red,red,?,,", "d,red,red,red,red,"]
    found = add_votes({}, table(tmp_path, header, *rows), CLASSES)
    assert [found[name].agreed for name in "abcd"] == [True, False, False, True]
