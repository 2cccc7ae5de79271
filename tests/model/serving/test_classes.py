"""Classes come from the folders and a taxonomy, and a release carries them in a file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.serving.classes import HEADS, Classes, ClassesError, Limits
from model.training.taxonomy import from_folders, main_of_label, read_taxonomy, sub_name

TAXONOMY = {"upperwear": ["shirt", "t-shirt"], "footwear": ["shoes"]}


def test_the_users_numbered_folders_work_as_they_are() -> None:
    folders = ["5_shirt", "0_pants", "1_shorts", "2_heels", "3_sneakers", "4_jacket"]
    classes = from_folders(folders, read_taxonomy())
    assert classes.subs == ("pants", "shorts", "heels", "sneakers", "jacket", "shirt")
    assert classes.mains == ("bottomwear", "footwear", "upperwear")
    assert classes.main_of["sneakers"] == "footwear"


@pytest.mark.parametrize("folder", ["no clothing", "3_No Clothing"])
def test_the_folder_of_photos_without_clothing_is_no_category(folder: str) -> None:
    with pytest.raises(ClassesError, match="photos without clothing are filed there"):
        from_folders(["shirt", folder], TAXONOMY | {"other": [sub_name(folder)]})
    with pytest.raises(ClassesError, match="No category may be called"):
        Classes(("no clothing",), ("socks",), {"socks": "no clothing"})


def test_ten_folders_are_numbered_and_not_spelled() -> None:
    assert from_folders(["10_shoes", "9_shirt"], TAXONOMY).subs == ("shirt", "shoes")


@pytest.mark.parametrize(
    ("folder", "name"), [("3_sneakers", "sneakers"), ("t-shirt", "t-shirt"), ("07 - hat", "hat")]
)
def test_an_ordering_number_is_no_part_of_the_name(folder: str, name: str) -> None:
    assert sub_name(folder) == name


def test_spelling_does_not_matter_to_the_taxonomy() -> None:
    assert from_folders(["T Shirt", "SHOES"], TAXONOMY).main_of == {
        "T Shirt": "upperwear",
        "SHOES": "footwear",
    }
    assert main_of_label("Polo", read_taxonomy()) == "upperwear"
    assert main_of_label("Not sure", read_taxonomy()) is None


def test_a_stranger_is_named_with_what_to_do() -> None:
    with pytest.raises(ClassesError, match=r"no main category for: kimono.*taxonomy\.json"):
        from_folders(["kimono", "shirt"], TAXONOMY)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ('["shirt"]', "must map each main category"),
        ('{"upperwear": "shirt"}', "must map each main category"),
        ('{"a": ["shirt"], "b": ["Shirt"]}', "two main categories: shirt"),
    ],
)
def test_a_wrong_taxonomy_gets_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "taxonomy.json").write_text(text)
    with pytest.raises(ClassesError, match=said):
        read_taxonomy(tmp_path / "taxonomy.json")


def classes() -> Classes:
    return Classes(
        mains=("footwear", "upperwear"),
        subs=("shirt", "shoes"),
        main_of={"shirt": "upperwear", "shoes": "footwear"},
        thresholds={"sub": {0.8: 0.4, 0.97: 0.7, 0.995: 0.9}},
        temperatures={"main": 1.1, "sub": 1.2, "background": 1.3, "colour": 1.4},
        doubts={"colour": 0.6},
        offsets={"background": 1.5},
        heads=("main", "sub", "colour"),
        kinds={"shop": Limits({"sub": 2.0}, {"sub": {0.97: 0.8}}, {"colour": 0.7})},
    )


def test_the_file_gives_back_what_was_written() -> None:
    assert Classes.from_json(classes().to_json()) == classes()


def test_a_release_of_before_half_and_half_gives_the_answers_it_gave() -> None:
    """Its background counted as acceptable from 0.2 on, its garments as none below 0.4; its doubts were no promise."""
    old = json.loads(classes().to_json()) | {
        "format": 1,
        "background_threshold": 0.2,
        "clothing_threshold": 0.4,
    }
    old["thresholds"]["colour"] = {"0.9": 0.8}
    for name in ("doubts", "offsets", "heads", "kinds"):
        del old[name]
    read = Classes.from_json(json.dumps(old))
    assert read.heads == HEADS
    assert read.offsets == pytest.approx({"background": np.log(0.8 / 0.2), "clothing": np.log(0.6 / 0.4)})
    assert (read.doubts, "colour" in read.thresholds) == ({}, False)


def test_releases_that_answer_other_questions_tell_other_classes_apart() -> None:
    both, one = replace(classes(), heads=HEADS), replace(classes(), heads=("main", "sub"))
    assert both.same_names(replace(both, offsets={}))
    assert not both.same_names(one)
    assert one.same_names(replace(one, colours=("red",)))
    assert not both.same_names(replace(both, colours=("red",)))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "mains": 3}'])
def test_a_file_that_is_no_classes_file_is_refused(text: str) -> None:
    with pytest.raises(ClassesError, match=r"classes\.json"):
        Classes.from_json(text)


@pytest.mark.parametrize(
    ("precision", "threshold"), [(0.8, 0.4), (0.9, 0.7), (0.97, 0.7), (0.98, 0.9), (0.995, 0.9)]
)
def test_between_two_promises_the_stricter_one_counts(precision: float, threshold: float) -> None:
    assert classes().threshold("sub", precision) == threshold


@pytest.mark.parametrize("precision", [0.5, 0.999, 1.5])
def test_a_promise_beyond_the_table_is_refused(precision: float) -> None:
    with pytest.raises(ClassesError, match=r"cannot be promised.*from 0\.8 to 0\.995"):
        classes().threshold("sub", precision)


def test_a_class_without_a_main_or_named_twice_is_refused() -> None:
    with pytest.raises(ClassesError, match="no main category: hat"):
        Classes(mains=("a",), subs=("hat",), main_of={})
    with pytest.raises(ClassesError, match="named twice"):
        Classes(mains=("a",), subs=("hat", "hat"), main_of={"hat": "a"})
