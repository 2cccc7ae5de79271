"""Moving photos to their folders: nothing is overwritten, nothing is lost, whatever dies in between.

A move is a rename that replaces nothing. Between two file systems it is a copy: written beside the target,
synced, compared with the checksum, renamed, and only then is the photo in `incoming` removed.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from batch.checksum import digest
from batch.files.companions import Folder, Taken, companions_of, place_beside
from batch.files.left_alone import is_left_alone
from batch.logs import log
from batch.records.ledger import Decision, Ledger, Row
from batch.records.verdict import NO_CLOTHING
from batch.rename import StrPath, rename_new

FOLDERS = ("processed", "review", "failed", "duplicates")
"""Where photos are moved to, below `DATA_DIR`."""

NAME_BYTES = 255
"""The longest file name that common file systems take, in bytes."""

STEM_BYTES = 64
"""So much of a name stays before an extension that has to be cut itself."""

COPY_BYTES = 1 << 20
"""So much is copied at a time."""

Look = Callable[[str], Taken]
"""How to learn which names are taken in a folder: `Taken` itself, or what remembers it for many photos."""

COPYING, COPIED = ".nightsort-copying", ".nightsort-copied"
"""End the hidden names of a copy that is not complete yet, and of the mark that it is: see `_copy`."""

FULL_DISK = (
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS) if hasattr(errno, "EDQUOT") else (errno.ENOSPC, errno.EROFS)
)
"""What a disk says that will take the next photo no more than this one."""


class FilingError(Exception):
    """A photo cannot be moved; it is where it was. The message says why."""


class DiskError(FilingError):
    """No photo can be moved: the disk is full, or may not be written to."""


class PhotoChangedError(Exception):
    """The file in `incoming` is no longer the one that was looked at: replaced, changed or taken away."""


def folder_of(row: Row) -> str:
    """The folder that a photo belongs in, relative to `DATA_DIR`, with its sub-folders below `incoming`."""
    if row.status == "processed" and row.decision == Decision.NO_CLOTHING:
        folder = f"processed/{NO_CLOTHING}"
    elif row.status == "processed":
        folder = f"processed/{component(row.main_category)}/{component(row.sub_category)}"
    else:
        folder = {"review": "review", "failed": "failed", "duplicate": "duplicates"}[row.status]
    parent = os.path.dirname(os.fsdecode(row.source))  # Path would normalise the name
    return "/".join([folder, *(_numbered(part, 1) for part in readable(parent).split("/") if part)])


def component(name: str) -> str:
    """A class name as a folder name; it comes from the sidecar, so it may not lead anywhere else."""
    if not name or name in (".", "..") or re.search(r"[/\\:\x00-\x1f]", name):
        raise FilingError(f"the model server answered a class {name!r}, which cannot be a folder's name")
    return name


def choose_name(data_dir: Path, row: Row, reserved: Collection[str], look: Look | None = None) -> str:
    """A free name for the photo, relative to `DATA_DIR`: its own, or with ` (2)`, ` (3)` … before its extension.

    As `free_place` says, which it is.
    """
    photo = os.path.basename(os.fsdecode(row.source))
    place = f"{folder_of(row)}/{readable(photo)}"
    return free_place(data_dir, place, reserved, photo, row.companions or (), look)


def readable(name: str) -> str:
    """A name as text: bytes that are not UTF-8 become `\\xNN`; a UTF-8 name stays as it is.

    >>> readable("caf\\udce9.jpg")
    'caf\\\\xe9.jpg'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def file_photo(
    row: Row, incoming: Path, data_dir: Path, ledger: Ledger, reserved: Collection[str] = ()
) -> None:
    """Move a recorded photo, and its companions, to `row.moved_to`; takes another name if that one is taken.

    Raises:
        PhotoChangedError: it is another file by now, or gone; nothing was moved.
        DiskError: neither it nor any other photo can be moved.
        FilingError: it could not be moved, and still lies in `incoming`.
    """
    source = os.path.join(incoming, os.fsdecode(row.source))
    if not _is_unchanged(source, row):
        raise _changed(row)
    while True:
        try:
            move_photo(source, os.path.join(data_dir, row.moved_to), row.sha256, row.companions)
            return
        except FileExistsError:  # somebody put a file there after the name was chosen
            row.moved_to, before = choose_name(data_dir, row, reserved), row.moved_to
            ledger.move_elsewhere(row, before)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not os.path.lexists(source):
                raise _changed(row) from error
            kind = DiskError if error.errno in FULL_DISK else FilingError
            raise kind(f"{row.file_name} could not be moved to {row.moved_to}: {error.strerror}") from error


def move_photo(
    source: StrPath, target: StrPath, sha256: str, companions: Iterable[str] | None = None
) -> None:
    """Move a photo to a place that must be free, and its companions with it: these, or what lies beside it.

    Raises:
        FileExistsError: the place is taken.
        OSError: the photo cannot be moved, and is where it was.
    """
    if companions is None:
        companions = [companion.name for companion in companions_of(source)]
    _move(source, target, sha256)
    for companion in companions:
        _move_companion(Path(source).with_name(companion), Path(source), Path(target))


def first_copy(ledger: Ledger, data_dir: Path, sha256: str) -> Row | None:
    """The photo that others with the same bytes are duplicates of: the oldest that is still where its row says.

    One that people took away, or worked on, makes no other photo a duplicate: its bytes are there no more.
    """
    return next((row for row in ledger.answered(sha256) if is_in_place(data_dir, row)), None)


def is_in_place(data_dir: Path, row: Row) -> bool:
    """Whether the row's photo lies at its place, as it was; its bytes are read only where its time has changed."""
    try:
        facts = os.lstat(data_dir / row.moved_to)
    except (OSError, ValueError):
        return False
    if not stat.S_ISREG(facts.st_mode) or facts.st_size != row.size:
        return False
    return facts.st_mtime_ns == row.mtime_ns or has_bytes_of(data_dir / row.moved_to, row)


def free_place(
    data_dir: Path,
    place: str,
    reserved: Collection[str] = (),
    photo: str = "",
    companions: Sequence[str] = (),
    look: Look | None = None,
) -> str:
    """A place relative to `data_dir` that is free: the one that is wished for, or with ` (2)`, ` (3)` …

    Free for the photo and its `companions` (with the name that the photo has now, `photo`), so that nobody takes one
    photo's companions for another's: they come to lie under a stem of their own, and no photo under a stem that has
    companions. `reserved` are places that photos will get which are not moved yet; a `look` that remembers knows them.
    """
    folder, _, name = place.rpartition("/")  # in the ledger as everywhere: not the system's own separator
    taken = (look or Taken)(os.path.join(data_dir, folder))
    if look is None:  # nobody knows whether these have companions
        taken.add(
            (place.rpartition("/")[2] for place in reserved if place.startswith(f"{folder}/")), claimed=True
        )
    number = 1
    while True:
        free = _numbered(name, number, photo, companions)
        names = [place_beside(companion, photo, free) for companion in companions]
        places = [f"{folder}/{name}" for name in (free, *names)]
        if taken.has_room_for(free, names) and not any(
            place in reserved or os.path.lexists(os.path.join(data_dir, place)) for place in places
        ):
            taken.add([free, *names])
            return places[0]
        number += 1


def recover(ledger: Ledger, incoming: Path, data_dir: Path, ignore: tuple[str, ...] = ()) -> int:
    """Finish the moves that an earlier run recorded, but may not have done; returns how many rows that were.

    What `ignore` names (the setting `IGNORE`) is no companion, as it is none for the sweep. A photo that still cannot be
    moved loses its row and stays in `incoming`, for the sweep to try again.

    Raises:
        OSError: a folder cannot be read, so that nobody can tell what is done.
    """
    rows = ledger.unfiled()
    _find_companions(rows, incoming, data_dir, ignore)
    reserved = {row.moved_to for row in rows}
    withdrawn: set[str] = set()
    for row in rows:
        try:
            if row.status == "duplicate" and row.sha256 in withdrawn:
                raise PhotoChangedError(f"the photo that {row.file_name} equals was not filed")
            _finish_move(row, incoming, data_dir, ledger, reserved)
        except (FilingError, PhotoChangedError) as error:
            log.warning("%s; it is left in incoming.", error)
            ledger.withdraw([row])
            withdrawn.add(row.sha256)
    sync_folders({(data_dir / row.moved_to).parent for row in rows} | ({incoming} if rows else set()))
    ledger.record([], filed=[row.id for row in rows if row.id is not None])
    return len(rows)


def _find_companions(rows: Iterable[Row], incoming: Path, data_dir: Path, ignore: tuple[str, ...]) -> None:
    """Learn which companions photos have, whether these lie in `incoming` still or are moved already."""
    moved: dict[str, dict[str, StrPath]] = {}
    for row in rows:
        folder, name = os.path.split(os.fsdecode(row.source))
        moved.setdefault(folder, {})[name] = data_dir / row.moved_to
    folders = {folder: Folder(incoming / folder, photos) for folder, photos in moved.items()}
    for row in rows:
        folder, name = os.path.split(os.fsdecode(row.source))
        found = folders[folder].companions_of(name)
        row.companions = tuple(companion for companion in found if not is_left_alone(companion, ignore))


def _finish_move(row: Row, incoming: Path, data_dir: Path, ledger: Ledger, reserved: Collection[str]) -> None:
    source, target = incoming / os.fsdecode(row.source), data_dir / row.moved_to
    was_reserved = clear_up(source, target, row.mtime_ns, row.size)
    if has_bytes_of(target, row):
        if not os.path.lexists(source):
            finish_companions(source, target, row.companions)
        # else: moved, and the same bytes were dropped again since: a photo of its own, for the sweep
    elif _is_unchanged(source, row) or has_bytes_of(source, row):
        row.mtime_ns = source.lstat().st_mtime_ns  # the same bytes, perhaps touched since
        ledger.set_mtime(row)  # first: an empty photo is told from a reserved name by nothing else
        file_photo(row, incoming, data_dir, ledger, reserved)
    elif was_reserved:
        raise _changed(row)
    # else: moved, and people took it away or worked on it since: the row stands


def clear_up(source: Path, target: Path, mtime_ns: int, size: int) -> bool:
    """Remove what a move that died left beside the photo; True when it had reserved the name and no more.

    The original goes only where the mark says that its copy is whole and in place: without the mark, two equal files
    are two photos.
    """
    copy, copied = _beside(target)
    if copy.exists():  # so it was never renamed: whatever lies at the target is somebody else's
        copied.unlink(missing_ok=True)
        copy.unlink()
    # an empty photo that is gone from its place was moved, though its time may be another one there
    was_reserved = (size > 0 or os.path.lexists(source)) and _is_reservation(target, mtime_ns)
    if was_reserved:
        target.unlink()
    elif copied.exists() and _are_equal(source, target):
        source.unlink()
    copied.unlink(missing_ok=True)
    return was_reserved


def _are_equal(one: Path, other: Path) -> bool:
    return os.path.lexists(one) and os.path.lexists(other) and digest(one) == digest(other)


def finish_companions(photo: Path, target: Path, companions: Iterable[str] | None = None) -> None:
    """Let the companions of a photo that was moved follow it, should the move have died before they had."""
    if companions is None:
        companions = Folder(photo.parent, {photo.name: target}).companions_of(photo.name)
    for name in companions:
        companion, place = (
            photo.with_name(name),
            target.with_name(place_beside(name, photo.name, target.name)),
        )
        if not os.path.lexists(companion):
            continue
        facts = companion.lstat()
        clear_up(companion, place, facts.st_mtime_ns, facts.st_size)
        if os.path.lexists(companion):
            _move_companion(companion, photo, target)


def sync_folders(folders: Iterable[StrPath]) -> None:
    """Make renames in these folders survive a power cut (Windows cannot, and does not need to be asked)."""
    if sys.platform == "win32":
        return
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            try:
                handle = os.open(folder, os.O_RDONLY)
            except PermissionError:  # it may be written in, but not be looked into
                os.sync()
                continue
            try:
                os.fsync(handle)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network shares know no such thing
                    raise
            finally:
                os.close(handle)


def remove_empty(folder: Path) -> bool:
    """Remove a folder that is empty; whether it was. What another disk is mounted on stays."""
    try:
        if os.path.ismount(folder):  # Windows would take the disk away
            return False
        folder.rmdir()
    except OSError:  # not empty, or gone, or in use
        return False
    return True


def _move(source: StrPath, target: StrPath, sha256: str) -> None:
    try:
        rename_new(source, target)
    except FileNotFoundError:
        folder = Path(target).parent
        if folder.is_dir():
            raise
        _make_folder(folder)  # the first photo of its folder
        _move(source, target, sha256)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _make_folder(Path(target).parent)
        _copy(Path(source), Path(target), sha256)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # no taken name, for which another would do
        raise NotADirectoryError(
            errno.ENOTDIR, "a file lies where the folder should be", str(folder)
        ) from None


def _copy(source: Path, target: Path, sha256: str) -> None:
    """What a rename is between two file systems.

    The mark beside the target says that the copy is whole and only the original has to go, should this process
    die before it has: two equal photos without the mark are two photos.
    """
    before = source.lstat()
    if not stat.S_ISREG(before.st_mode):
        raise OSError(errno.EXDEV, "links and devices cannot be moved to another file system", str(source))
    copy, copied = _beside(target)
    copy.unlink(missing_ok=True)  # of a copy that died; it may be one that cannot be written to
    try:
        copied_sha256 = _copy_bytes(source, copy)
        if digest(copy) != (sha256 or copied_sha256):
            raise OSError(errno.EIO, "the copy differs from the photo", str(copy))
        _copy_times_and_rights(source, copy)
        copied.touch()
        rename_new(copy, target)
    except BaseException:
        copy.unlink(missing_ok=True)
        copied.unlink(missing_ok=True)
        raise
    try:
        sync_folders([target.parent])
        if _state(source.lstat()) != _state(before):
            raise OSError(errno.EBUSY, "it was changed while it was copied", str(source))
        source.unlink()
    except BaseException:  # the original has to stay, so it is the copy that goes
        target.unlink()
        copied.unlink(missing_ok=True)
        raise
    copied.unlink()


def _copy_bytes(source: Path, copy: Path) -> str:
    """Write what a file holds to disk under another name; returns the checksum of what was read."""
    read = hashlib.sha256()
    with source.open("rb") as file, copy.open("wb") as written:
        while part := file.read(COPY_BYTES):
            read.update(part)
            written.write(part)
        written.flush()
        os.fsync(written.fileno())
    return read.hexdigest()


def _copy_times_and_rights(source: Path, copy: Path) -> None:
    """As far as the other disk lets us: where all files are another user's (a share, some NAS), only that user may.

    So a photo's time may be another one after it was moved.
    """
    try:
        shutil.copystat(source, copy)
    except OSError as error:
        log.debug("%s: times and rights could not be kept (%s)", copy.parent, error.strerror)
        with contextlib.suppress(OSError):
            shutil.copymode(source, copy)


def _state(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_size, facts.st_mtime_ns


def _beside(target: Path) -> tuple[Path, Path]:
    """The hidden names beside a target: the copy that is being made, and the mark that it is made."""
    name = "." + hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.with_name(name + COPYING), target.with_name(name + COPIED)


def _move_companion(companion: Path, photo: Path, target: Path) -> None:
    """Lay a companion beside its photo, under the photo's new stem; one that cannot be moved stays, with a word.

    Should somebody have put a file there meanwhile, it gets a name that only its own photo can claim.
    """
    name = place_beside(companion.name, photo.name, target.name)
    number = 0
    while True:
        try:
            _move(companion, target.with_name(name), "")
            return
        except FileExistsError:
            number += 1
            name = _numbered(target.name + companion.suffix, number)
        except OSError as error:
            if not os.path.lexists(companion):
                return  # taken away meanwhile
            log.warning(
                "%s could not follow its photo to %s: %s", companion.name, target.parent, error.strerror
            )
            return


def _changed(row: Row) -> PhotoChangedError:
    return PhotoChangedError(f"{row.file_name} was changed or taken away while it was being sorted")


def _is_unchanged(path: StrPath, row: Row) -> bool:
    try:
        facts = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if row.ctime_ns is not None and facts.st_ctime_ns != row.ctime_ns:
        return False
    return (facts.st_size, facts.st_mtime_ns) == (row.size, row.mtime_ns)


def has_bytes_of(path: Path, row: Row) -> bool:
    """Whether the row's photo lies there, byte for byte."""
    try:
        return path.lstat().st_size == row.size and digest(path) == row.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_reservation(target: Path, mtime_ns: int) -> bool:
    """Whether this is the empty file that holds a name (`batch.rename`), and not an empty photo that was moved."""
    try:
        facts = target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_size == 0 and facts.st_mtime_ns != mtime_ns


def _numbered(name: str, number: int, photo: str = "", companions: Iterable[str] = ()) -> str:
    """The name with ` (number)` before its extension, from 2 on, cut to what a file system takes.

    So that the names of its companions fit as well; `photo` is the name that they go by until now.
    """
    stem, extension = os.path.splitext(name)
    mark = f" ({number})" if number > 1 else ""
    longest = max((len(place_beside(companion, photo, name).encode()) for companion in companions), default=0)
    # what comes after the stem: the extension, or more of a companion's name
    after = max(len(extension.encode()), longest - len(stem.encode()))
    room = NAME_BYTES - len(mark) - after
    if room < 1:  # nearly all extension: cut that
        stem = _cut(stem, STEM_BYTES)
        beyond = after - len(extension.encode())
        extension = _cut(extension, NAME_BYTES - len(mark) - len(stem.encode()) - beyond)
        room = NAME_BYTES
    return _cut(stem, room) + mark + extension


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode("utf-8", "ignore")
