"""Raw photos become a data folder: divided fairly, nothing of the one part in the other, whatever the raw form."""

import csv
import hashlib
import io
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from model.__main__ import main
from model.serving.classes import DataError
from model.training import data
from model.training import prepare as preparing
from model.training.likeness import HASH_BYTES, joined, look, near_duplicates
from model.training.prepare import PARTS, divide, prepare
from model.training.raw import raw_photos

MAINS = {"shirt": "upperwear", "sweater": "upperwear", "watch": "accessories"}


def drawn(
    seed: int, *, size: int = 96, quality: int = 92, colour: tuple[int, int, int] | None = None
) -> bytes:
    """A picture of its own for each seed, as a JPEG."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (192, 192), tuple(rng.integers(0, 256, 3)) if colour is None else colour)
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        left, top = rng.integers(0, 150, 2)
        wide, high = rng.integers(20, 90, 2)
        grey = int(rng.integers(0, 256))
        fill = tuple(rng.integers(0, 256, 3)) if colour is None else (grey, grey, grey)
        draw.ellipse((left, top, left + wide, top + high), fill=fill)
    content = io.BytesIO()
    picture.resize((size, size)).save(content, "JPEG", quality=quality)
    return content.getvalue()


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Twenty photos of each of three classes, in folders by main and sub-category."""
    for number, (sub, main_category) in enumerate(MAINS.items()):
        for seed in range(20):
            put(tmp_path / "raw" / main_category / sub / f"{seed}.jpg", drawn(100 * number + seed))
    return tmp_path / "raw"


def parts_of(to: Path) -> dict[str, set[str]]:
    return {
        part: {path.name for path in (to / part).rglob("*.jpg") if not path.name.startswith(".")}
        for part in PARTS
    }


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_folders_are_shared_out_by_class_and_read_by_training(raw: Path, tmp_path: Path) -> None:
    prepared = prepare(raw, tmp_path / "data", progress=False)
    assert prepared.table() == {sub: [14, 3, 3] for sub in MAINS}
    assert json.loads((tmp_path / "data" / "taxonomy.json").read_text("utf-8")) == {
        "accessories": ["watch"],
        "upperwear": ["shirt", "sweater"],
    }
    photos = data.load(tmp_path / "data", progress=False)
    assert (len(photos), dict(photos.classes.main_of)) == (42, MAINS)
    assert len(data.load(tmp_path / "data", part="test", classes=photos.classes, progress=False)) == 9


def test_no_photo_is_in_two_parts_and_none_is_lost(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "data", progress=False)
    sums = [
        {hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "data" / part).rglob("*.jpg")}
        for part in PARTS
    ]
    wanted = {hashlib.sha256(path.read_bytes()).hexdigest() for path in raw.rglob("*.jpg")}
    assert sum(map(len, sums)) == len(set().union(*sums)) == 60
    assert set().union(*sums) == wanted


def test_near_duplicates_are_in_one_part(raw: Path, tmp_path: Path) -> None:
    for seed in range(20):
        put(raw / "upperwear" / "shirt" / f"{seed} again.jpg", drawn(seed, size=80, quality=60))
    prepared = prepare(raw, tmp_path / "data", progress=False)
    assert prepared.near == 40
    where = {line["raw"]: line["file"].split("/")[0] for line in lines(tmp_path / "data" / "labels.csv")}
    for seed in range(20):
        assert where[f"upperwear/shirt/{seed}.jpg"] == where[f"upperwear/shirt/{seed} again.jpg"]


def test_the_same_cut_in_another_colour_is_another_photo() -> None:
    red, blue = (Image.open(io.BytesIO(drawn(1, size=64, colour=c))) for c in ((200, 60, 60), (60, 60, 200)))
    looks = np.stack([look(np.asarray(picture)) for picture in (red, blue, red)])
    assert np.bitwise_count(looks[0, :HASH_BYTES] ^ looks[1, :HASH_BYTES]).sum() <= 42, (
        "their greys are alike"
    )
    assert list(near_duplicates(looks)) == [(0, 2)]


def test_pairs_that_share_a_photo_are_one_group() -> None:
    assert list(joined(6, [(3, 4), (1, 3), (5, 4)])) == [0, 1, 2, 1, 1, 1]


def test_groups_stay_together_and_classes_keep_their_shares() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 120, 1500)
    classes = [f"class {number}" for number in rng.choice(5, 1500, p=[0.5, 0.25, 0.15, 0.07, 0.03])]
    part = divide(classes, groups, (0.7, 0.15, 0.15))
    assert all(len(set(part[groups == group])) == 1 for group in set(groups))
    for name, total in Counter(classes).items():
        here = np.bincount(part[np.array(classes) == name], minlength=3) / total
        assert here == pytest.approx([0.7, 0.15, 0.15], abs=0.08), name


def test_shares_may_be_others_and_a_part_may_be_left_out(raw: Path, tmp_path: Path) -> None:
    assert main(["prepare", str(raw), "--to", str(tmp_path / "data"), "--shares", "80,20,0"]) == 0
    assert [len(names) for names in parts_of(tmp_path / "data").values()] == [48, 12, 0]


def test_broken_and_contradicting_photos_are_listed_with_why(raw: Path, tmp_path: Path) -> None:
    put(raw / "upperwear/shirt/broken.jpg", drawn(1)[:300])
    put(raw / "upperwear/shirt/notes.txt", b"three more tomorrow")
    put(raw / "upperwear/shirt/copy.jpg", drawn(0))
    put(raw / "upperwear/sweater/other.jpg", drawn(200))  # a watch's
    put(raw / "accessories/ring/only.jpg", drawn(900))
    prepared = prepare(raw, tmp_path / "data", progress=False)
    why = {line["file"]: line["why"] for line in lines(tmp_path / "data" / "left_out.csv")}
    assert why == prepared.left_out
    assert why["upperwear/shirt/copy.jpg"] == "The same file as upperwear/shirt/0.jpg."
    assert why["upperwear/sweater/other.jpg"] == "The same file is called sweater and watch."
    assert why["accessories/watch/0.jpg"] == why["upperwear/sweater/other.jpg"]
    assert why["accessories/ring/only.jpg"] == "The only photo of ring: 2 are the fewest."
    assert {"upperwear/shirt/broken.jpg", "upperwear/shirt/notes.txt"} < set(why)
    assert prepared.table()["watch"] == [13, 3, 3]


def test_a_flat_table_says_file_and_label_and_perhaps_more(tmp_path: Path) -> None:
    rows = ["file,label,colour,group"]
    for seed in range(8):
        put(tmp_path / "flat" / "pictures" / f"{seed}.jpg", drawn(seed))
        rows.append(f"pictures/{seed}.jpg,{'Shirt' if seed % 2 else 'hoverboard'},red,g{seed // 4}")
    rows += ["pictures/gone.jpg,shirt,red,", "pictures/x.jpg,?,,"]
    (tmp_path / "flat" / "photos.csv").write_text("\n".join(rows))
    for given in (tmp_path / "flat", tmp_path / "flat" / "photos.csv"):
        found = raw_photos(given)
        assert {photo.sub: photo.main for photo in found} == {
            "Shirt": "upperwear",
            "hoverboard": "hoverboard",
        }
    prepared = prepare(tmp_path / "flat", tmp_path / "data", progress=False)
    assert list(prepared.left_out) == ["pictures/gone.jpg"]
    where = {line["raw"]: line["file"].split("/")[0] for line in lines(tmp_path / "data" / "labels.csv")}
    assert len({where[f"pictures/{seed}.jpg"] for seed in range(4)}) == 1
    assert {line["colour"] for line in lines(tmp_path / "data" / "labels.csv")} == {"red"}


def test_a_catalogue_names_article_types_colours_and_pictures(tmp_path: Path) -> None:
    """As shops export it, with a comma too many in a product's name."""
    rows = ["id,gender,masterCategory,subCategory,articleType,baseColour,productDisplayName"]
    for number, (kind, master, colour) in enumerate(
        [("Tshirts", "Apparel", "Navy Blue"), ("Watches", "Accessories", "Steel")] * 10
    ):
        put(tmp_path / "shop" / "images" / f"{number}.jpg", drawn(number))
        rows.append(f"{number},Men,{master},Topwear,{kind},{colour},Fine, but dear")
    rows.append("99,Men,Apparel,Topwear,Tshirts,NA,No picture")
    (tmp_path / "shop" / "styles.csv").write_text("\n".join(rows))
    prepared = prepare(tmp_path / "shop", tmp_path / "data", progress=False)
    assert {sub: sum(counts) for sub, counts in prepared.table().items()} == {"Tshirts": 10, "Watches": 10}
    assert all(min(counts) >= 1 for counts in prepared.table().values())
    assert prepared.left_out == {"images/99.jpg": "No such file or directory"}
    photos = data.load(tmp_path / "data", progress=False)
    assert dict(photos.classes.main_of) == {"Tshirts": "Apparel", "Watches": "Accessories"}
    assert {photos.classes.colours[c] for c in photos.colour[photos.sub == 0]} == {"blue"}


def test_one_spelling_of_a_class_is_one_class_and_two_mains_of_it_are_refused(tmp_path: Path) -> None:
    for seed, folder in enumerate(["upperwear/shirt", "upperwear/Shirt", "bottomwear/shirt"]):
        put(tmp_path / "raw" / folder / "1.jpg", drawn(seed))
    with pytest.raises(DataError, match=r"shirt is in two main categories|two folders"):
        raw_photos(tmp_path / "raw")


class TestAgain:
    """The same call goes on, another one is refused."""

    def test_after_a_death_nothing_is_read_or_copied_twice(
        self, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        to = tmp_path / "data"
        whole = prepare(raw, tmp_path / "whole", progress=False)
        copied = 0

        def dies(source: Path, target: Path) -> None:
            nonlocal copied
            copied += 1
            if copied > 20:
                put(target.with_name(f".{target.name}"), b"half")
                raise KeyboardInterrupt
            copy(source, target)

        copy = preparing._copy
        monkeypatch.setattr(preparing, "_copy", dies)
        with pytest.raises(KeyboardInterrupt):
            prepare(raw, to, progress=False)
        monkeypatch.setattr(preparing, "_copy", copy)
        cache = to / preparing.MARK / "read.jsonl"
        cache.write_text(cache.read_text()[:-40])
        really, again = preparing._read, []

        def noted(path: Path) -> preparing.Read:
            again.append(path)
            return really(path)

        monkeypatch.setattr(preparing, "_read", noted)
        assert prepare(raw, to, progress=False).table() == whole.table()
        assert len(again) == 1, "the one whose line was cut short"
        assert parts_of(to) == parts_of(tmp_path / "whole")
        assert (to / "labels.csv").read_bytes() == (tmp_path / "whole" / "labels.csv").read_bytes()
        assert not list(to.rglob(".[0-9a-f]*.jpg"))

    def test_photos_that_came_or_went_since_leave_no_copy_in_a_wrong_part(
        self, raw: Path, tmp_path: Path
    ) -> None:
        to = tmp_path / "data"
        prepare(raw, to, progress=False)
        shutil.rmtree(raw / "upperwear" / "sweater")
        for seed in range(500, 520):
            put(raw / "upperwear" / "shirt" / f"{seed}.jpg", drawn(seed))
        prepare(raw, to, progress=False)
        named = [line["file"] for line in lines(to / "labels.csv")]
        there = [path.relative_to(to).as_posix() for part in PARTS for path in (to / part).rglob("*.jpg")]
        assert sorted(named) == sorted(there)

    def test_a_folder_with_other_things_in_it_is_refused(self, raw: Path, tmp_path: Path) -> None:
        put(tmp_path / "data" / "mine.txt", b"mine")
        with pytest.raises(DataError, match="holds other things"):
            prepare(raw, tmp_path / "data", progress=False)

    def test_other_shares_want_another_folder(self, raw: Path, tmp_path: Path) -> None:
        prepare(raw, tmp_path / "data", progress=False)
        with pytest.raises(DataError, match="with other shares"):
            prepare(raw, tmp_path / "data", shares=(0.8, 0.1, 0.1), progress=False)


@pytest.mark.parametrize("shares", ["70,30", "70,-15,15", "0,50,50", "a,b,c", "nan,1,1", "inf,1,1"])
def test_shares_that_are_none_are_refused(shares: str, raw: Path, tmp_path: Path) -> None:
    assert main(["prepare", str(raw), "--to", str(tmp_path / "data"), "--shares", shares]) == 2


@pytest.mark.parametrize(
    ("content", "said"), [({}, "holds no folders"), ({"a.csv": "x,y\n1,2\n"}, "holds no folders")]
)
def test_a_folder_without_photos_says_what_is_expected(
    content: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raw").mkdir()
    for name, text in content.items():
        (tmp_path / "raw" / name).write_text(text)
    assert main(["prepare", str(tmp_path / "raw"), "--to", str(tmp_path / "data")]) == 2
    assert said in capsys.readouterr().err
