"""Names that break scripts, spreadsheets and file systems; files that are no files."""

import csv
import hashlib
import os
import unicodedata
from pathlib import Path

import pytest

from batch.files.scan import Found
from batch.records.ledger import CSV_COLUMNS
from tests.batch.conftest import Night
from tests.fake_sidecar import photo

E_ACUTE = "\u00e9"
NAMES = [
    " leading and trailing .jpg",
    "two  blanks.jpg",
    'quote".jpg',
    "apostrophe'.jpg",
    "comma,semicolon;.jpg",
    "new\nline.jpg",
    "carriage\rreturn.jpg",
    "tab\t.jpg",
    "\tstarts with a tab.jpg",
    "\x01control\x7f.jpg",
    "\x7fdelete.jpg",
    "emoji \U0001f457\u200d\U0001f9b0.jpg",
    "right-to-left \u202egpj.exe",
    "\u0645\u0644\u0628\u0633.jpg",
    unicodedata.normalize("NFC", f"caf{E_ACUTE}.jpg"),
    unicodedata.normalize("NFD", f"caf{E_ACUTE}.jpg"),
    "\u0130stanbul \u00df.JPG",
    "n" * 251 + ".jpg",
    "\U0001f457" * 62 + ".jpg",
    "x." + "e" * 253,
    '=HYPERLINK("http:example.org","x").jpg',
    "+1.jpg",
    "@SUM(A1).jpg",
    "-rf",
    "--help.jpg",
    "con.jpg",
    "nul",
    "..\\x.jpg",
    "C:x.jpg",
    "a\\b.jpg",
    "%s%n{0}$HOME`id`.jpg",
    "no extension",
    "dot at the end.",
    "..jpg.png",
    "'already quoted.jpg",
    "x (2).jpg",
]


def test_photos_with_every_sort_of_name_are_filed_under_it_and_found_again_in_the_csv(night: Night) -> None:
    names = [name for name in NAMES if not name.startswith(".")]
    for name in names:
        night.drop(name, photo(hashlib.sha256(name.encode()).hexdigest()))
    assert night.run() == 0
    assert set(night.files()) == {f"processed/upperwear/t-shirt/{name}" for name in names}
    assert {row.file_name for row in night.rows()} == set(names)
    written = [line["file_name"] for line in night.csv()]
    assert {name if name in names else name.removeprefix("'") for name in written} == set(names)
    assert not any(
        name.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\x01", "\x7f")) for name in written
    )


def test_the_csv_is_read_whole_by_a_plain_reader_whatever_the_names(night: Night) -> None:
    for name in NAMES:
        night.drop(f"f/{name}", photo(name.encode().hex()))
    night.run()
    with night.settings.csv_path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    assert {len(line) for line in lines} == {len(CSV_COLUMNS)}
    assert len(lines) == 1 + len([name for name in NAMES if not name.startswith(".")])


@pytest.mark.parametrize(
    "name", [b"caf\xe9.jpg", b"\xff\xfe\xfd.jpg", b"\xc3", b"\xff" * 200 + b".jpg", b"a\xed\xa0\x80b.jpg"]
)
def test_a_name_that_is_not_utf_8_is_written_readably_and_kept_exact_in_the_ledger(
    name: bytes, night: Night
) -> None:
    night.drop(name, photo("a"))
    night.drop(b"order " + name[:50] + b"/" + name, photo("b"))
    assert night.run() == 0
    assert {os.path.basename(row.source) for row in night.rows()} == {name}
    assert set(night.files().values()) == {photo("a"), photo("b")}
    for path in night.files():
        path.encode()
    assert night.waiting() == []


def test_names_that_become_the_same_when_written_readably_get_numbers(night: Night) -> None:
    night.drop(b"caf\xe9.jpg", photo("a"))
    night.drop(rb"caf\xe9.jpg", photo("b"))
    assert night.run() == 0
    assert {os.path.basename(path) for path in night.files()} == {r"caf\xe9.jpg", r"caf\xe9 (2).jpg"}


def test_the_same_name_in_two_folders_is_two_photos(night: Night) -> None:
    night.drop("a/x.jpg", photo("a"))
    night.drop("b/x.jpg", photo("b"))
    assert night.run() == 0
    assert set(night.files()) == {f"processed/upperwear/t-shirt/{folder}/x.jpg" for folder in "ab"}


def test_a_name_of_255_bytes_that_is_taken_is_shortened_to_make_room_for_its_number(night: Night) -> None:
    name = "\U0001f457" * 62 + "abc.jpg"
    for content in "abc":
        night.drop(name, photo(content))
        night.run()
    assert [row.moved_to[-7:] for row in night.rows()] == ["abc.jpg", "(2).jpg", "(3).jpg"]
    assert max(len(os.fsencode(os.path.basename(path))) for path in night.files()) == 255
    assert set(night.files().values()) == {photo(content) for content in "abc"}


def test_a_deep_folder_is_kept(night: Night) -> None:
    night.drop("/".join(["deep"] * 60) + "/a.jpg", photo("a"))
    assert night.run() == 0
    (path,) = night.files()
    assert path.count("deep") == 60


def test_a_folder_called_like_a_photo_is_a_folder(night: Night) -> None:
    night.drop("x.jpg/a.jpg", photo("a"))
    assert night.run() == 0
    assert set(night.files()) == {"processed/upperwear/t-shirt/x.jpg/a.jpg"}


def test_links_out_of_incoming_are_never_followed(night: Night, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(photo("secret"))
    (night.incoming / "folder").symlink_to(outside)
    (night.incoming / "file.jpg").symlink_to(outside / "secret.jpg")
    (night.incoming / "nowhere.jpg").symlink_to(tmp_path / "nowhere")
    (night.incoming / "loop.jpg").symlink_to("loop.jpg")
    (night.incoming / "up").symlink_to("..")
    assert night.run() == 3
    assert (outside / "secret.jpg").read_bytes() == photo("secret")
    rows = night.rows()
    assert {row.file_name for row in rows} == {"folder", "file.jpg", "nowhere.jpg", "loop.jpg", "up"}
    assert {(row.status, row.sha256) for row in rows} == {("failed", "")}
    assert all((night.settings.data_dir / row.moved_to).is_symlink() for row in rows)


def test_pipes_sockets_and_devices_are_never_opened(night: Night) -> None:
    import socket

    os.mkfifo(night.incoming / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(night.incoming / "s.jpg"))
        if os.geteuid() == 0:
            os.mknod(night.incoming / "zero.jpg", 0o600 | 0o020000, os.makedev(1, 5))
        assert night.run() == 3
    assert {row["status"] for row in night.csv()} == {"failed"}
    assert night.waiting() == []


def test_a_file_that_becomes_a_link_between_scan_and_read_is_not_followed(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batch.files import reading

    secret = tmp_path / "secret.jpg"
    secret.write_bytes(photo("secret"))
    path = night.drop("a.jpg", photo("a"))
    read = reading.read_unchanged

    def swap(where: str, found: Found) -> bytes | None:
        path.unlink()
        path.symlink_to(secret)
        return read(where, found)

    monkeypatch.setattr(reading, "read_unchanged", swap)
    night.run()
    assert not any(content == photo("secret") for content in night.files().values())
    assert secret.exists()
