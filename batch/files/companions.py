"""Which files go with a photo: the film of a live photo, an editor's notes, the RAW file of the same shot.

One rule says whose companion a file is and which companions a photo has, for everyone who moves or deletes photos:

- Only a file that begins like a photo has companions, whatever its name; a damaged photo keeps its own.
- `IMG_1.jpg.xmp` belongs to `IMG_1.jpg`; `IMG_1.xmp` and `IMG_1.MOV` belong to the photo of that stem, and of several
  to the one that sorts first. What belongs to a companion (`IMG_1.MOV.xmp`) goes with its photo.
- A RAW file is the photo where there is no other of its stem.

Stems are compared as they are spelt and extensions in any case, on every file system: a camera writes one stem, and
each extension as it likes.
"""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from batch.files.left_alone import COMPANIONS
from batch.rename import StrPath
from photo_formats import BEGINNING, RAW_EXTENSIONS, format_of

TAKEOUT = ".supplemental-metadata"
"""What Google's export puts between a photo's name and `.json`, or the beginning of it: it cuts long names."""

_PLAIN = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)


class Folder:
    """Who belongs to whom in a folder, as it was when this was made: for one who asks about many of its files.

    Without companions in it, it costs one look at the names; a file's content is read only where it decides.

    >>> Folder("data/incoming").companions_of("IMG_1.jpg")  # doctest: +SKIP
    ['IMG_1.MOV', 'IMG_1.jpg.xmp']
    """

    def __init__(
        self,
        path: StrPath,
        moved: Mapping[str, StrPath] | None = None,
        kinds: Collection[str] | None = None,
    ) -> None:
        """Look at the names in the folder; one that cannot be read is as good as empty.

        `moved` are photos that count as if they still lay here, and where they lie; `kinds` the names that can be
        companions, where they are known.
        """
        self._path = path
        self._moved = moved or {}
        self._companions: dict[str, list[str]] = {}
        """By the names and stems that a photo of theirs may have."""
        self._photo_of: dict[str, str | None] = {}
        self._others: dict[str, list[str]] | None = None
        self._is_photo: dict[str, bool] = {}
        self._kinds = frozenset(_files(path, is_kind) if kinds is None else kinds)
        for name in self._kinds:
            for key in _keys(name):
                self._companions.setdefault(key, []).append(name)

    def companions_of(self, photo: str) -> list[str]:
        """The names of a photo's companions."""
        if not self._companions:  # nearly always
            return []
        found = {name for key in {photo, _stem(photo)} for name in self._companions.get(key, ())}
        return sorted(name for name in found if self.photo_of(name) == photo)

    def photo_of(self, name: str) -> str | None:
        """The name of the photo that a file is a companion of; None for any other file."""
        if name not in self._kinds:
            return None
        if name not in self._photo_of:
            self._photo_of[name] = next(self._possible_photos(name), None)
        return self._photo_of[name]

    def _possible_photos(self, companion: str) -> Iterator[str]:
        """The photos that a companion may belong to, the one that it does belong to first."""
        keys = _keys(companion)
        for key in keys:
            for name in self._named(key):
                if not is_kind(name) and self._begins_like_a_photo(name):
                    yield name
        for key in keys if not is_raw(companion) else ():
            yield from (name for name in self._named(key) if is_raw(name))

    def _named(self, key: str) -> list[str]:
        """The files of this name first, then those with this stem in the order in which they are sorted."""
        if self._others is None:
            self._others = {}
            keys = self._companions.keys()
            files = _files(self._path, lambda name: name in keys or _stem(name) in keys)
            for name in {*files, *self._moved}:
                for possible in {name, _stem(name)} & keys:
                    self._others.setdefault(possible, []).append(name)
        return sorted(self._others.get(key, ()), key=lambda name: (name != key, sort_key(name)))

    def _begins_like_a_photo(self, name: str) -> bool:
        if name not in self._is_photo:
            path = os.path.join(self._path, name)
            if name in self._moved and not os.path.lexists(path):
                path = os.fspath(self._moved[name])
            self._is_photo[name] = _begins_like_a_photo(path)
        return self._is_photo[name]


class Taken:
    """The names that are taken in a folder: whether a photo can join them so that nobody's companions get mixed up."""

    def __init__(self, path: StrPath, kinds: Collection[str] | None = None) -> None:
        self._path = path
        self._claimed = _kin(_files(path, is_kind) if kinds is None else kinds)
        """The names and stems of photos that the companions which lie there may belong to."""
        self._added: set[str] = set()
        self._all: set[str] | None = None
        """The names and stems of everything that lies there; looked at when it is needed first."""

    def has_room_for(self, photo: str, companions: Sequence[str] = ()) -> bool:
        """Whether a photo and its companions may have these names.

        The photo where it cannot be taken for that of others' companions, and these where they cannot be taken for
        another photo's.
        """
        theirs = [*companions, *([photo] if is_kind(photo) else ())]
        if theirs and self._all is None:
            self._all = _kin(_files(self._path, lambda _: True)) | self._added
        return self._claimed.isdisjoint(_kin([photo])) and (self._all or set()).isdisjoint(_kin(theirs))

    def add(self, names: Iterable[str], *, claimed: bool = False) -> None:
        """Take these names, too; `claimed`: they may have companions that nobody has named."""
        for name in names:
            kin = _kin([name])
            self._added.update(kin)
            if claimed or is_kind(name):
                self._claimed.update(kin)
            if self._all is not None:
                self._all.update(kin)


class Kinds:
    """The names in folders that can be companions, remembered while nobody but ourselves changes a folder.

    For one who moves photo after photo out of folders with a hundred thousand others, in several threads.
    """

    SECONDS = 30.0
    """Not longer: a change within the same tick of the disk's clock as one of ours is not seen."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, float, frozenset[str]]] = {}
        """By folder: its time, when it was looked at, the names."""

    def of(self, folder: StrPath) -> frozenset[str]:
        """The names in a folder that can be companions."""
        path, now = os.fspath(folder), time.monotonic()
        changed = _time_of(path)
        known = self._known.get(path)
        if known and known[0] == changed and now - known[1] < self.SECONDS:
            return known[2]
        names = frozenset(_files(path, is_kind))
        self._known[path] = changed, now, names
        return names

    @contextlib.contextmanager
    def moving(self, *folders: StrPath) -> Iterator[None]:
        """What is done here moves photos without companions from and to folders: that changes no names remembered."""
        before = [(os.fspath(folder), _time_of(folder)) for folder in folders]
        yield
        for path, changed in before:
            known = self._known.get(path)
            if known and known[0] == changed:
                self._known[path] = _time_of(path), known[1], known[2]


def _time_of(folder: StrPath) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def companions_of(photo: StrPath) -> list[Path]:
    """The companions that lie beside a photo. For many photos of a folder ask a `Folder`."""
    folder, name = os.path.split(photo)
    return [Path(folder, companion) for companion in Folder(folder or ".").companions_of(name)]


def is_companion(path: StrPath) -> bool:
    """Whether a file belongs to a photo that lies beside it. For many files of a folder ask a `Folder`."""
    folder, name = os.path.split(path)
    return is_kind(name) and Folder(folder or ".").photo_of(name) is not None


def is_kind(name: str) -> bool:
    """Whether a file can be a companion, by its name."""
    dot = name.rfind(".")
    return dot > 0 and name[dot:].lower() in COMPANIONS and bool(name[:dot].strip("."))


def is_raw(name: str) -> bool:
    """Whether a file is a camera's RAW file, by its name: most begin like a TIFF."""
    return os.path.splitext(name)[1].lower() in RAW_EXTENSIONS


def sort_key(name: str) -> tuple[str, str]:
    """In this order photos are sorted: `a.jpg` before its copy `a (2).jpg`."""
    return os.path.splitext(name)


def place_beside(companion: str, photo: str, photo_there: str) -> str:
    """The name that a companion gets where its photo gets another one.

    >>> place_beside("IMG_1.xmp", "IMG_1.jpg", "IMG_1 (2).jpg")
    'IMG_1 (2).xmp'
    >>> place_beside("IMG_1.jpg.xmp", "IMG_1.jpg", "IMG_1 (2).jpg")
    'IMG_1 (2).jpg.xmp'
    """
    if companion.startswith(f"{photo}."):
        return photo_there + companion[len(photo) :]
    return _stem(photo_there) + companion[len(_stem(photo)) :]


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]  # Path's suffix knows no name that begins with a dot


def _keys(companion: str) -> list[str]:
    """The names and stems that a companion's photo may have, the closest first.

    >>> _keys("IMG_1.ARW.xmp")
    ['IMG_1.ARW', 'IMG_1']
    """
    name, extension = os.path.splitext(companion)
    keys = [name]
    marker = os.path.splitext(name)[1].lower() if extension.lower() == ".json" else ""
    while is_kind(name) or (len(marker) > 1 and TAKEOUT.startswith(marker)):
        name, marker = _stem(name), ""
        keys.append(name)
    return keys


def _kin(names: Iterable[str]) -> set[str]:
    """Names and stems by which files are related to others, in one case: a disk may make no difference."""
    return {
        key.casefold() for name in names for key in (name, *(_keys(name) if is_kind(name) else [_stem(name)]))
    }


def _files(folder: StrPath, wanted: Callable[[str], bool]) -> Iterator[str]:
    """The names of the plain files in a folder that are wanted; nothing where it cannot be read."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if wanted(entry.name) and _is_file(entry):
                yield entry.name


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:  # where a folder's entries do not say what they are
        return False


def _begins_like_a_photo(path: StrPath) -> bool:
    """What cannot be read is taken for one: its companions stay with it."""
    try:
        with open(os.open(path, _PLAIN), "rb", buffering=0) as file:
            return bool(format_of(file.read(BEGINNING)))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
