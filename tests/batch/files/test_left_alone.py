"""What NAS, sync programs, phones and cameras put into a folder is nobody's photo, and neither is what lies in it."""

from collections.abc import Callable
from fnmatch import fnmatchcase

import pytest

from batch.files.left_alone import COMPANIONS, NAMES, is_left_alone
from batch.records.ledger import Ledger
from tests.batch.conftest import Night
from tests.fake_sidecar import photo

FOLDERS = ["@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "$RECYCLE.BIN", "lost+found",
           "System Volume Information", ".Trash-1000", ".stfolder", ".stversions", ".fseventsd", ".AppleDouble",
           "@SynoResource", "@tmp", "__MACOSX", "LOST.DIR", "Network Trash Folder", ".@__thumb", "@__thumb",
           "a.jpg.download", "Catalog Previews.lrdata"]  # fmt: skip

FILES = ["Thumbs.db", "ehthumbs.db", "desktop.ini", "Icon\r", "Picasa.ini", ".picasa.ini", "ZbThumbnail.info",
         "~$a.jpg", "a.jpg~", "._a.jpg", ".DS_Store", ".nextcloudsync.log", ".owncloudsync.log", ".stignore",
         ".a.jpg.Xa8b2Q", "~syncthing~a.jpg.tmp", ".syncthing.a.jpg.tmp", "a.jpg.tmp", "a.jpg.part", "a.jpg.filepart",
         "a.jpg.crdownload", "a.jpg.partial", "a.jpg.opdownload", "a.jpg.!sync", "a.jpg.!ut", "a.jpg.!qB",
         "a.jpg.aria2", "a.jpg@SynoEAStream", "SYNOPHOTO_THUMB_XL.jpg", "SYNOFILE_THUMB_M.jpg", "M0100.CTG"]  # fmt: skip

ALONE = ["film.MP4", "film.mov", "film.m4v", "film.avi", "film.3gp", "film.mts", "film.lrv", "a.THM", "metadata.json",
         "a.aae", "a.xmp"]  # fmt: skip


def left_alone(night: Night) -> int:
    with Ledger(night.settings.ledger_path) as ledger:
        return ledger.runs()[-1].counts["left_alone"]


@pytest.mark.parametrize("parent", ["", "order 7/"])
def test_files_of_these_names_stay_and_are_counted(parent: str, night: Night) -> None:
    for name in FILES + ALONE:
        night.drop(f"{parent}{name}", photo(name))
    assert night.run() == 0
    assert night.csv() == []
    assert len(night.waiting()) == len(FILES + ALONE) + bool(parent)
    assert left_alone(night) == len(FILES + ALONE)


@pytest.mark.parametrize("parent", ["", "order 7/"])
def test_folders_of_these_names_stay_with_all_that_is_in_them_and_count_as_one(
    parent: str, night: Night
) -> None:
    for name in FOLDERS:
        for content in ("a", "deep/b"):
            night.drop(f"{parent}{name}/{content}.jpg", photo(name + content))
    assert night.run() == 0
    assert night.csv() == []
    assert left_alone(night) == len(FOLDERS)
    assert len([path for path in night.incoming.rglob("*") if path.is_file()]) == 2 * len(FOLDERS)


def test_photos_beside_them_are_sorted_and_the_last_line_counts_what_stays(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    from batch.logs import set_up

    set_up(night.settings.log_dir)
    night.drop("order 7/a.jpg", photo("a"))
    night.drop("order 7/@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", photo("thumbnail"))
    night.drop("order 7/film.mp4", b"film")
    assert night.run() == 0
    assert set(night.files()) == {"processed/upperwear/t-shirt/order 7/a.jpg"}
    assert "Left in incoming: 2 ignored." in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    ["download/a.jpg", "partial.jpg", "tmp/a.jpg", "recycle/a.jpg", "#1042/a.jpg", "@anna/a.jpg", "snapshot.jpg",
     "$5 shirt.jpg", "thumbs.jpg", "part", "a~b.jpg", "json", "mp4/a.jpg", "a.tmp.jpg", "SYNO.jpg", "~a.jpg", "trash/a.jpg"],
)  # fmt: skip
def test_names_that_only_look_alike_are_photos(name: str, night: Night) -> None:
    night.drop(name, photo("a"))
    assert night.run() == 0
    assert set(night.files()) == {f"processed/upperwear/t-shirt/{name}"}


@pytest.mark.parametrize("name", ["notes.txt", "price-list.pdf", "a.zip", "a.svg", "a.psd"])
def test_everything_else_that_is_no_photo_fails(name: str, night: Night) -> None:
    night.drop(name, b"no photo")
    assert night.run() == 3
    assert set(night.files()) == {f"failed/{name}"}


@pytest.mark.parametrize("pattern", ["#keep", "#KEEP", "#k*", "#keep/", "[#]keep"])
def test_ignore_names_files_and_folders_at_any_depth(pattern: str, make_night: Callable[..., Night]) -> None:
    night = make_night(ignore=f"*.bak, {pattern}")
    for name in ("#keep/a.jpg", "1/2/#keep/deep/b.jpg", "1/#keep", "1/c.bak", "1/d.jpg"):
        night.drop(name, photo(name))
    assert night.run() == 0
    assert set(night.files()) == {"processed/upperwear/t-shirt/1/d.jpg"}
    assert left_alone(night) == 4


def test_the_quick_way_to_know_a_name_is_the_table() -> None:
    names = [*FOLDERS, *FILES, *ALONE, *NAMES, "a.jpg", "x.y.jpg", "part", "a.", "", "\U0001f457.TMP"]
    ignore = ("*.bak", "A?.jpg", "*", "[x]*", "#r", "*.tar.gz")
    for more in ((), ignore[:2], ignore[3:], ignore):
        for name in names:
            patterns = [*NAMES, *(pattern.lower() for pattern in more)]
            slowly = any(fnmatchcase(name.lower(), pattern) for pattern in patterns)
            assert is_left_alone(name, more) == slowly, (name, more)


def test_every_name_has_a_source_and_is_written_as_it_is_compared() -> None:
    for name, source in {**NAMES, **COMPANIONS}.items():
        assert name == name.lower()
        assert len(source) > 10
