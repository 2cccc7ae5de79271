"""A folder with a hundred thousand photos is not read for each of them; companions are found all the same."""

import os
from collections.abc import Callable, Iterator

import pytest

from batch.decisions import desk
from batch.files.companions import Kinds
from tests.batch.decisions.conftest import PANTS, Desk
from tests.fake_sidecar import photo


def test_a_folder_is_read_once_while_nobody_else_changes_it(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_desk = make_desk({f"{n}.jpg": photo(str(n), doubt=True) for n in range(12)})
    (a_desk.data / "processed/bottomwear/pants").mkdir(parents=True)
    looked, original = list[str](), os.scandir
    monkeypatch.setattr(desk, "_KINDS", Kinds())

    def scandir(path: str) -> "Iterator[os.DirEntry[str]]":
        looked.append(path)
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for n in range(6):
        a_desk.decide(f"{n}.jpg", PANTS)
    assert len(looked) == 2
    (a_desk.data / "review" / "7.xmp").write_bytes(b"notes")
    os.utime(a_desk.data / "review")
    a_desk.decide("7.jpg", PANTS)
    assert (a_desk.data / "processed/bottomwear/pants/7.xmp").read_bytes() == b"notes"
    (a_desk.data / "processed/bottomwear/pants/8.xmp").write_bytes(b"somebody's")
    os.utime(a_desk.data / "processed/bottomwear/pants")
    a_desk.decide("8.jpg", PANTS)
    assert a_desk.row("8.jpg").moved_to == "processed/bottomwear/pants/8 (2).jpg"


def test_what_is_remembered_is_forgotten_after_a_while(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_desk = make_desk({"a.jpg": photo("a", doubt=True)})
    kinds, folder = Kinds(), a_desk.data / "review"
    assert kinds.of(folder) == frozenset()
    facts = folder.stat()
    (folder / "a.xmp").write_bytes(b"notes")
    os.utime(folder, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert kinds.of(folder) == frozenset()
    monkeypatch.setattr(Kinds, "SECONDS", 0.0)
    assert kinds.of(folder) == {"a.xmp"}
