"""What is nobody's photo: the names that are left alone wherever they lie, each with who says so.

A folder of such a name is left alone with all that is in it. Compared without regard to case.
"""

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache

from photo_formats import RAW_EXTENSIONS

_HIDDEN = "hidden on Unix, and what programs hide there: PhotoPrism, pkg/fs/filepath.go (FileNameHidden)"
_WINDOWS = "github.com/github/gitignore, Global/Windows.gitignore"
_MACOS = "github.com/github/gitignore, Global/macOS.gitignore"
_OWNCLOUD = "ownCloud client, sync-exclude.lst"
_NEXTCLOUD = "Nextcloud desktop, sync-exclude.lst"
_SYNCTHING = "Syncthing, lib/fs/tempname.go"
_RESILIO = "Resilio Sync's IgnoreList"
_SYNOLOGY = "kb.synology.com, Cloud Sync: files that are not synchronized"
_SYNOLOGY_THUMBNAILS = "immich-go, docs/technical.md (banned files), and what lies in @eaDir on a DiskStation"
_QNAP = "folders of QTS, as indexers for it exclude them"
_IMMICH = "Immich, server/src/services/library.service.ts (default exclusion patterns)"
_IMMICH_GO = "immich-go, docs/technical.md (banned files)"
_BROWSERS = "downloads that are not complete: opendownloadfile.com/partial.html"
_PHOTO_PROGRAMS = "caches of photo programs and cameras, as public photo sorters skip them"

NAMES = {
    # rsync's .name.XXXXXX, Syncthing's .stfolder, .stversions and .syncthing.*, .nextcloudsync.log and .owncloud*,
    # macOS' ._*, .DS_Store, .AppleDouble and .fseventsd, .Trash-*, QNAP's .@__thumb, Android's .thumbnails, .recycle
    ".*": _HIDDEN,
    # Windows
    "thumbs.db": _WINDOWS,
    "thumbs.db:encryptable": _WINDOWS,
    "ehthumbs.db": _WINDOWS,
    "ehthumbs_vista.db": _WINDOWS,
    "desktop.ini": _WINDOWS,
    "$recycle.bin": _WINDOWS,
    "system volume information": _OWNCLOUD,
    # macOS
    "icon\r": _MACOS,
    "network trash folder": _MACOS,
    "temporary items": _MACOS,
    "__macosx": "PhotoPrism, issue 2844: what macOS puts into archives",
    "recently deleted": _IMMICH_GO,
    # Linux and Android
    "lost+found": _RESILIO,
    "lost.dir": "what Android's check of a card saves; in public .stignore lists",
    # Synology
    "@eadir": _IMMICH,
    "#recycle": _IMMICH,
    "#snapshot": _IMMICH,
    "@tmp": _SYNOLOGY,
    "@sharebin": _SYNOLOGY,
    "@synologycloudsync": _SYNOLOGY,
    "cloudsync_encrypt.info": _SYNOLOGY,
    "@activebackup": _SYNOLOGY,
    "*@synoresource": _SYNOLOGY_THUMBNAILS,
    "*@synoeastream": _SYNOLOGY_THUMBNAILS,
    "synofile_thumb_*": _SYNOLOGY_THUMBNAILS,
    "synophoto_thumb_*": _SYNOLOGY_THUMBNAILS,
    "synophoto_film_*": _SYNOLOGY_THUMBNAILS,
    # QNAP, NetApp
    "@recycle": _QNAP,
    "@recently-snapshot": _QNAP,
    "@transcode": _QNAP,
    "@__thumb": _IMMICH_GO,
    "~snapshot": "NetApp ONTAP: the .snapshot folder as Windows sees it",
    # not complete yet
    "*.part": _NEXTCLOUD,
    "*.filepart": _NEXTCLOUD,
    "*.crdownload": _NEXTCLOUD,
    "*.partial": _BROWSERS,
    "*.download": _BROWSERS,
    "*.opdownload": "Opera's downloads that are not complete",
    "*.tmp": _SYNCTHING,
    "~syncthing~*": _SYNCTHING,
    "*.!sync": _RESILIO,
    "*.bts": _RESILIO,
    "*.!ut": "µTorrent's downloads that are not complete",
    "*.!qb": "qBittorrent's downloads that are not complete",
    "*.aria2": "aria2's control files, github.com/aria2/aria2/issues/792",
    # left by programs
    "~$*": _OWNCLOUD,
    "*~": _OWNCLOUD,
    "*.unison": _OWNCLOUD,
    "picasa.ini": _PHOTO_PROGRAMS,
    "zbthumbnail.info": _PHOTO_PROGRAMS,
    "*.ctg": _PHOTO_PROGRAMS,
    "*.jbf": _PHOTO_PROGRAMS,
    "autprint.mrk": _PHOTO_PROGRAMS,
    "lightroom catalog": _IMMICH_GO,
    "*.lrcat": "Lightroom Classic's catalog, helpx.adobe.com",
    "*.lrdata": "Lightroom Classic's previews, helpx.adobe.com",
}
"""Names (`fnmatch` patterns in lower case) of files and folders that are never touched, and who ignores them, too."""

_DCF = "DCF (JEITA CP-3461): what a camera names with one file number belongs together"
_IMMICH_VIDEO = "Immich, server/src/utils/mime-types.ts (video)"
_EDITORS = "notes that an editor lays beside a photo"

COMPANIONS = {
    **dict.fromkeys((".mov", ".mp4", ".m4v", ".avi", ".3gp", ".3gpp", ".mts", ".m2ts"), _IMMICH_VIDEO),
    **dict.fromkeys((".mpg", ".mpeg", ".mkv", ".webm", ".wmv", ".insv"), _IMMICH_VIDEO),
    **dict.fromkeys(RAW_EXTENSIONS, _DCF),
    ".wav": _DCF,
    ".thm": "thumbnails of films (Canon, GoPro): PhotoPrism, pkg/fs/file_exts.go",
    ".lrv": "small films that GoPro adds to large ones",
    ".lrf": "small films that DJI adds to large ones",
    ".aae": "edits by Apple's Photos: PhotoPrism, pkg/fs/file_exts.go (SidecarAAE)",
    ".xmp": "docs.immich.app/features/xmp-sidecars; both photo.jpg.xmp and photo.xmp (immich pull request 8186)",
    ".json": "Google Takeout and ExifTool: docs.photoprism.app, getting-started/faq",
    ".pp3": f"{_EDITORS}: RawTherapee",
    ".dop": f"{_EDITORS}: DxO PhotoLab",
    ".on1": f"{_EDITORS}: ON1 Photo RAW",
}
"""Extensions of what goes with a photo (`batch.files.companions`), and why.

Without a photo such files are left alone, but for RAW files: those are photos, which are not supported.
"""


def is_left_alone(name: str, ignore: tuple[str, ...] = ()) -> bool:
    """Whether a file or folder of this name is nobody's photo; `ignore` are further patterns (the setting `IGNORE`).

    >>> is_left_alone("Thumbs.db"), is_left_alone("#Recycle"), is_left_alone("a.jpg", ("*.JPG",))
    (True, True, True)
    """
    return _matcher(ignore)(name)


@lru_cache(maxsize=8)
def _matcher(ignore: tuple[str, ...]) -> Callable[[str], bool]:
    """One look at a table for most names; what has a wildcard elsewhere than before its extension is tried in turn."""
    patterns = [*NAMES, *(pattern.lower().rstrip("/") for pattern in ignore)]
    endings = {pattern[1:] for pattern in patterns if re.fullmatch(r"\*\.[^.*?\[]+", pattern)}
    whole = {pattern for pattern in patterns if not re.search(r"[*?\[]", pattern)}
    others = re.compile("|".join(translate(p) for p in patterns if p[1:] not in endings and p not in whole))

    def matches(name: str) -> bool:
        lower = name.lower()
        dot = lower.rfind(".")
        return (dot >= 0 and lower[dot:] in endings) or lower in whole or others.match(lower) is not None

    return matches
