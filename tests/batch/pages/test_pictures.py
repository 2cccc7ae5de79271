"""Pictures of photos: drawn anew, within bounds, made once."""

import hashlib
import io
import threading
from pathlib import Path

import pytest
from PIL import Image

from batch.pages import pictures
from batch.pages.pictures import NoPictureError, Pictures
from tests.batch.pages.sample_pages import drawn


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(drawn("hat") + b"secret bytes behind the picture")
    return path


def of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_no_byte_of_the_file_is_shown_but_its_picture(photo: Path) -> None:
    made = Pictures(10**7).picture(of(photo), "small", lambda: [photo])
    assert b"secret" not in made
    with Image.open(io.BytesIO(made)) as picture:
        assert picture.format == "JPEG"
        assert max(picture.size) == pictures.SIDES["small"]


def test_it_is_made_once(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, checksum = Pictures(10**7), of(photo)
    first = kept.picture(checksum, "small", lambda: [photo])
    photo.unlink()
    assert kept.picture(checksum, "small", lambda: []) == first


def test_who_asks_while_it_is_made_gets_that_one(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, checksum, made, may_go_on = Pictures(10**7), of(photo), [], threading.Event()

    def draw(content: bytes, side: int, limits: object) -> bytes:
        made.append(side)
        may_go_on.wait(10)
        return b"picture"

    monkeypatch.setattr(pictures, "draw", draw)
    threads = [
        threading.Thread(target=kept.picture, args=(checksum, "small", lambda: [photo])) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    may_go_on.set()
    for thread in threads:
        thread.join()
    assert made == [pictures.SIDES["small"]]


def test_a_file_that_is_another_one_by_now_is_not_shown(photo: Path) -> None:
    checksum = of(photo)
    photo.write_bytes(drawn("shoes"))
    with pytest.raises(NoPictureError):
        Pictures(10**7).picture(checksum, "small", lambda: [photo])


def test_it_is_looked_for_at_every_place(photo: Path, tmp_path: Path) -> None:
    assert Pictures(10**7).picture(of(photo), "small", lambda: [tmp_path / "gone.jpg", tmp_path, photo])


@pytest.mark.parametrize("content", [b"", b"no photo", b"<svg onload='alert(1)'/>", drawn("hat")[:900]])
def test_what_is_no_photo_has_no_picture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NoPictureError):
        Pictures(10**7).picture(of(path), "small", lambda: [path])


def test_a_file_that_is_too_large_is_not_read(photo: Path) -> None:
    with pytest.raises(NoPictureError):
        Pictures(1000).picture(of(photo), "small", lambda: [photo])


def test_only_so_many_are_kept_and_so_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "draw", lambda content, side, limits: content)
    monkeypatch.setattr(pictures, "KEPT", 3)
    monkeypatch.setattr(pictures, "KEPT_BYTES", 25)
    kept = Pictures(10**7)
    for number in range(5):
        path = tmp_path / str(number)
        path.write_bytes(bytes([number]) * 10)
        kept.picture(of(path), "small", lambda path=path: [path])  # type: ignore[misc]
    assert len(kept._kept) == 2
    assert kept._bytes == 20
