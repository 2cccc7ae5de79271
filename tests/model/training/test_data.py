"""A data folder is read with its labels, or the reader is told what to do."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.serving.classes import ClassesError, DataError
from model.serving.preprocess import read_photo
from model.training import data
from model.training.labels import UNKNOWN, read_labels
from settings import ROOT

Make = Callable[..., Path]


def load(root: Path) -> data.Photos:
    return data.load(root, progress=False)


def label(root: Path, *lines: str) -> None:
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


def test_photos_come_with_their_labels(make_photos: Make) -> None:
    photos = load(make_photos(each=6))
    assert photos.classes.subs == ("pants", "shorts", "heels")
    assert photos.pixels.shape == (18, 256, 256, 3)
    assert [photos.classes.subs[s] for s in photos.sub[[0, 6, 12]]] == ["pants", "shorts", "heels"]
    assert [photos.classes.mains[m] for m in photos.main[[0, 12]]] == ["bottomwear", "footwear"]
    assert list(photos.background[:4]) == [UNKNOWN, 0, 1, 1]  # ?, acceptable, not, not
    assert [photos.classes.colours[c] for c in photos.colour[:2]] == ["red", "blue"]
    assert list(photos.group[:5]) == ["train0", "train1", "train2", "train3", "train0"]


def test_labels_are_optional(make_photos: Make) -> None:
    root = make_photos(each=2)
    (root / "labels.csv").unlink()
    photos = load(root)
    assert set(photos.background) == set(photos.colour) == {UNKNOWN}


def test_the_folders_may_lie_at_the_top(make_photos: Make) -> None:
    assert len(load(make_photos(each=2) / "train")) == 6


def test_an_own_taxonomy_beats_the_built_in_one(make_photos: Make) -> None:
    root = make_photos(each=2)
    (root / "taxonomy.json").write_text('{"legs": ["pants", "shorts"], "feet": ["heels"]}')
    assert load(root).classes.mains == ("feet", "legs")


def test_broken_photos_are_listed_and_skipped(make_photos: Make) -> None:
    root = make_photos(each=3)
    (root / "train" / "0_pants" / "1.jpg").write_bytes(b"\xff\xd8\xff broken")
    (root / "train" / "2_heels" / "notes.txt").write_text("buy more heels")
    photos = load(root)
    assert len(photos) == 8
    assert [name for name, _ in photos.broken] == ["train/0_pants/1.jpg", "train/2_heels/notes.txt"]
    assert "train/0_pants/1.jpg" not in photos.files
    whole = read_photo((root / "train/0_pants/2.jpg").read_bytes(), max_megapixels=9, size=data.STORED_SIZE)
    assert np.array_equal(photos.pixels[list(photos.files).index("train/0_pants/2.jpg")], whole)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda root: [f.unlink() for f in (root / "train" / "0_pants").iterdir()],
            "0_pants is empty: put photos into",
        ),
        (
            lambda root: [f.unlink() for f in sorted((root / "train" / "0_pants").iterdir())[1:]],
            "0_pants has one photo",
        ),
        (lambda root: label(root, "name,colour"), "lacks the column file, background"),
        (lambda root: label(root, "file,background,colour", "a,yes,red"), "line 2: background is 'yes'"),
        (lambda root: label(root, "file,background,colour", "a,1,rde"), "line 2: the colour 'rde'"),
        (lambda root: label(root, "file,background,colour", "0.jpg,1,red"), "names no photo of"),
    ],
)
def test_what_cannot_be_learned_from_gets_a_sentence(
    make_photos: Make, change: Callable[[Path], object], said: str
) -> None:
    root = make_photos(each=3)
    change(root)
    with pytest.raises(DataError, match=said):
        load(root)


def test_a_misnamed_class_is_named(make_photos: Make) -> None:
    root = make_photos(each=2)
    (root / "train" / "1_shorts").rename(root / "train" / "1_shrots")
    with pytest.raises(ClassesError, match="no main category for: shrots"):
        load(root)


def test_no_folder_and_no_classes_get_a_sentence(tmp_path: Path, make_photos: Make) -> None:
    with pytest.raises(DataError, match="There is no folder"):
        load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no folders"):
        load(tmp_path / "empty")


def test_folds_share_no_sender_and_leave_no_photo_out(make_photos: Make) -> None:
    photos = load(make_photos(each=12))
    seen: list[int] = []
    for number in range(4):
        learn, held_out = photos.fold(number, of=4)
        assert not set(photos.group[learn]) & set(photos.group[held_out])
        assert sorted([*learn, *held_out]) == list(range(len(photos)))
        seen += list(held_out)
    assert sorted(seen) == list(range(len(photos)))


HEADER = "file,sub,main,background,colour,group,source,kind"


def describe(root: Path, *rows: str) -> Path:
    """A folder of photos in no order, with a table that says everything about them."""
    root.mkdir()
    for row in rows:
        Image.new("RGB", (60, 80), (200, 30, 40)).save(root / row.partition(",")[0])
    (root / "any.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return root


def test_a_folder_with_a_table_is_read_as_it_is(tmp_path: Path, make_photos: Make) -> None:
    shop = describe(
        tmp_path / "shop",
        "a.jpg,pants,bottomwear,1,red,g1,one,shop",
        "b.jpg,heels,footwear,0,?,g1,one,thumbnail",
        "c.jpg,none,none,?,?,g2,two,goods",
        "d.jpg,?,footwear,,,g3,two,shop",
    )
    photos = load(shop)
    assert photos.classes.subs == ("heels", "pants")
    assert [photos.sub[i] for i in range(4)] == [1, 0, UNKNOWN, UNKNOWN]
    assert list(photos.clothing) == [1, 1, 0, 1]
    assert list(photos.kind) == ["shop", "thumbnail", "goods", "shop"]
    assert list(photos.source) == ["one", "one", "two", "two"]
    assert photos.main[3] == photos.classes.mains.index("footwear")
    assert photos.pixels.shape == (4, 256, 256, 3)


def test_a_photo_that_the_table_names_and_that_is_not_there_is_listed(tmp_path: Path) -> None:
    shop = describe(
        tmp_path / "shop", "a.jpg,pants,bottomwear,1,red,g,s,shop", "b.jpg,heels,footwear,1,red,g,s,shop"
    )
    (shop / "b.jpg").unlink()
    assert load(shop).broken == (("b.jpg", "There is no such file."),)


def test_several_folders_make_one_collection(tmp_path: Path, make_photos: Make) -> None:
    shop = describe(
        tmp_path / "shop", "a.jpg,skirt,bottomwear,1,red,g,s,shop", "b.jpg,none,none,1,?,g,s,goods"
    )
    home = make_photos(each=3)
    photos = data.load_all([home, shop], progress=False)
    assert photos.classes.subs == ("skirt", "pants", "shorts", "heels")
    assert len(photos) == 11
    assert list(photos.kind) == ["photos"] * 9 + ["shop", "goods"]
    with pytest.raises(DataError, match="1 folders of masks are named for 2 data folders"):
        data.load_each([home, shop], masks=[tmp_path], progress=False)


def test_a_main_category_that_the_taxonomy_does_not_know_comes_from_the_table(tmp_path: Path) -> None:
    shop = describe(
        tmp_path / "shop", "a.jpg,monocle,eyewear,1,?,g,s,shop", "b.jpg,pants,bottomwear,1,?,g,s,shop"
    )
    assert load(shop).classes.main_of == {"monocle": "eyewear", "pants": "bottomwear"}


def test_a_source_can_be_left_out_whole(tmp_path: Path) -> None:
    rows = [
        f"{i}.jpg,{'pants' if i % 2 else 'heels'},?,1,?,g{i},{'one' if i < 4 else 'two'},shop"
        for i in range(6)
    ]
    photos = load(describe(tmp_path / "shop", *rows))
    learn, held_out = photos.leave_out(["two"])
    assert (learn.tolist(), held_out.tolist()) == ([0, 1, 2, 3], [4, 5])
    with pytest.raises(DataError, match="No photo is from three; these sources are there: one, two"):
        photos.leave_out(["three"])


def test_votes_beside_the_labels_say_how_people_disagree(make_photos: Make) -> None:
    root = make_photos(each=3)
    (root / "votes.csv").write_text(
        "file,colour,colour_1,colour_2,background\ntrain/0_pants/1.jpg,blue,blue,black,0\n"
    )
    photos = load(root)
    colours = photos.classes.colours
    assert photos.votes[1, [colours.index("blue"), colours.index("black")]].tolist() == [0.5, 0.5]
    assert not photos.agreed[1]
    assert photos.votes[0].tolist() == [float(colour == "red") for colour in colours]
    assert photos.background[1] == 1
    assert photos.group[1] == "train1"


def test_extra_photos_count_as_far_as_their_labels_go(make_photos: Make, tmp_path: Path) -> None:
    photos = load(make_photos(each=3))
    extra = tmp_path / "extra"
    extra.mkdir()
    for name in ("a", "b", "c"):
        (extra / f"{name}.jpg").write_bytes((tmp_path / "photos/train/0_pants/1.jpg").read_bytes())
    rows = ["file,label,sender", "extra/a.jpg,Shorts,7", "extra/b.jpg,Boots,train1", "extra/c.jpg,Other,9"]
    (tmp_path / "extra.csv").write_text("\n".join(rows) + "\n")
    more = data.load_extra(extra, photos.classes, progress=False)
    assert list(more.sub) == [photos.classes.subs.index("shorts"), UNKNOWN, UNKNOWN]
    assert list(more.main) == [
        photos.classes.mains.index("bottomwear"),
        photos.classes.mains.index("footwear"),
        UNKNOWN,
    ]
    learn, joined = data.with_extra(photos, np.arange(3), np.array([4]), extra, None)
    assert len(joined) == 11  # b.jpg's sender, train1, is held out
    assert list(learn) == [0, 1, 2, 9, 10]
    assert set(more.background) == set(more.colour) == {UNKNOWN}


def test_extra_photos_take_background_and_colour_from_a_table_of_their_own(
    make_photos: Make, tmp_path: Path
) -> None:
    photos = load(make_photos(each=3))
    extra, table = tmp_path / "extra", tmp_path / "looks.csv"
    extra.mkdir()
    for name in ("a", "b", "c"):
        (extra / f"{name}.jpg").write_bytes((tmp_path / "photos/train/0_pants/1.jpg").read_bytes())
    table.write_text("file,background,colour\nextra/a.jpg,1,blue\nextra/c.jpg,0,?\n")
    _, joined = data.with_extra(photos, np.arange(9), np.array([], dtype=int), extra, None, table)
    assert list(joined.background[9:]) == [photos.classes.backgrounds.index("acceptable"), UNKNOWN, 1]
    assert list(joined.colour[9:]) == [photos.classes.colours.index("blue"), UNKNOWN, UNKNOWN]
    table.write_text("file,background,colour\nextra/a.jpg,1,bluish\n")
    with pytest.raises(DataError, match=r"looks\.csv, line 2.*bluish"):
        data.load_extra(extra, photos.classes, labels=table, progress=False)


def test_masks_come_from_an_extraction(make_photos: Make, tmp_path: Path) -> None:
    root = make_photos(each=2)
    mask = np.zeros((512, 512), np.uint8)
    mask[:, 256:] = 255
    np.savez_compressed(tmp_path / "masks.npz", k1=mask)
    (tmp_path / "masks.csv").write_text("key,file,background,model\nk1,train/0_pants/1.jpg,x,u2netp\n")
    photos = data.load(root, masks=tmp_path, progress=False)
    assert photos.masks[1, 5, [10, 100]].tolist() == [0, 255]
    assert not photos.masks[0].any()
    with pytest.raises(DataError, match=r"no masks\.csv"):
        data.load(root, masks=root, progress=False)


def test_the_fingerprint_follows_photos_and_labels(make_photos: Make) -> None:
    root = make_photos(each=2)
    first = data.fingerprint(load(root))
    assert first == data.fingerprint(load(root))
    (root / "labels.csv").write_text((root / "labels.csv").read_text().replace("blue", "red"))
    assert first != data.fingerprint(load(root))


def test_our_table_of_further_labels_names_each_photo_once_and_can_be_read(make_photos: Make) -> None:
    classes = load(make_photos(each=3)).classes
    table = Path(data.__file__).with_name("extra_labels.csv")
    rows = read_labels(table, classes)
    assert len(rows) == len(table.read_text(encoding="utf-8").splitlines()) - 1
    assert all(row.background != UNKNOWN or row.colour != UNKNOWN for row in rows.values())


def test_our_table_of_further_labels_fits_the_shared_photos(make_photos: Make) -> None:
    folder = ROOT.parent / "shared/clothing/extra"
    if not folder.is_dir():
        pytest.skip("the shared photos are not here")
    classes = load(make_photos(each=3)).classes
    rows = read_labels(Path(data.__file__).with_name("extra_labels.csv"), classes)
    assert set(rows) <= {f"extra/{file.name}" for file in folder.iterdir()}


def test_folders_in_raw_are_main_categories(make_photos: Make, tmp_path: Path) -> None:
    root = make_photos(each=2)
    (root / "labels.csv").unlink()
    raw = root / "raw"
    for main, sub in (("legs", "0_pants"), ("legs", "1_shorts"), ("feet", "2_heels")):
        (raw / main).mkdir(parents=True, exist_ok=True)
        shutil.copytree(root / "train" / sub, raw / main / sub)
    beside = load(root).classes
    assert beside.main_of == {"pants": "legs", "shorts": "legs", "heels": "feet"}
    assert load(root / "train").classes.main_of == beside.main_of
    (root / "taxonomy.json").write_text('{"a": ["pants", "shorts"], "b": ["heels"]}')
    assert load(root).classes.mains == ("a", "b")
    (root / "taxonomy.json").unlink()
    shutil.rmtree(root / "train")
    for alone in (root, raw):
        photos = load(alone)
        assert len(photos) == 6
        assert photos.classes.main_of == beside.main_of
    raw.rename(tmp_path / "catalogue")  # under another name only where no folder is a known class
    assert load(tmp_path / "catalogue").classes.main_of == beside.main_of


def test_folders_in_a_class_are_senders_or_orders(make_photos: Make) -> None:
    root = make_photos(each=2)
    (root / "labels.csv").unlink()
    for folder in (root / "train").iterdir():
        (folder / "anna").mkdir()
        for file in list(folder.glob("*.jpg")):
            file.rename(folder / "anna" / file.name)
    assert load(root).classes.subs == ("pants", "shorts", "heels")


def test_a_sub_category_belongs_to_one_main_category(make_photos: Make) -> None:
    root = make_photos(each=2)
    for main in ("men", "women"):
        shutil.copytree(root / "train" / "0_pants", root / "raw" / main / "pants")
    with pytest.raises(DataError, match="The class pants has two folders"):
        load(root)


def test_own_colour_names_replace_the_thirteen_and_a_misspelt_one_does_not(make_photos: Make) -> None:
    root = make_photos(each=6)
    table = (root / "labels.csv").read_text()
    (root / "labels.csv").write_text(table.replace(",red,", ",brick,"))
    photos = load(root)
    assert photos.classes.colours == ("blue", "brick")
    assert set(photos.colour) == {0, 1}
    (root / "labels.csv").write_text(table.replace(",red,", ",rde,", 2))
    with pytest.raises(DataError, match="the colour 'rde' stands for 2 photos only"):
        load(root)


@pytest.mark.parametrize(("number", "of"), [(5, 5), (-1, 5), (0, 1), (0, 99)])
def test_a_fold_that_is_none_gets_a_sentence(make_photos: Make, number: int, of: int) -> None:
    photos = load(make_photos(each=6))
    with pytest.raises(DataError, match="fold"):
        photos.fold(number, of=of)


def test_a_class_of_one_sender_is_named(make_photos: Make) -> None:
    root = make_photos(each=4)
    lines = [
        line.rpartition(",")[0] + ",anna" if "2_heels" in line else line
        for line in (root / "labels.csv").read_text().splitlines()
    ]
    label(root, *lines)
    assert load(root).of_one_group() == {"heels": "anna"}
