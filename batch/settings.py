"""What a night can be told: every setting of `batch`, with its default and its limits."""

import ctypes
import os
import re
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from batch.exits import Exit, NotDoneError
from settings import Address, ProjectPath, Settings, Token, addresses_in

NETWORK_FILE_SYSTEMS = (
    "nfs*", "cifs", "smb*", "afpfs", "afs", "coda", "ncp*", "webdav", "davfs*", "autofs",
    "ceph", "glusterfs", "lustre", "beegfs*", "gpfs", "orangefs", "pvfs2",
    "9p", "drvfs", "vboxsf", "vmhgfs", "prl_fs",
    "fuse.*ssh*", "fuse.*smb*", "fuse.*nfs*", "fuse.*ftpfs", "fuse.*dav*", "fuse.gvfsd*", "fuse.kio*",
    "fuse.rclone", "fuse.s3*", "fuse.*-s3", "fuse.goofys", "fuse.gcsfuse", "fuse.blobfuse*", "fuse.*drive*",
    "fuse.ceph*", "fuse.*glusterfs", "fuse.mfs*", "fuse.juicefs", "fuse.seaweedfs", "fuse.hdfs*", "fuse.vmhgfs*",
)  # fmt: skip
"""Kinds, as the list of mounts names them, whose disk is another machine's: several may write there at once, and locks
are not to be relied on. Folders that a virtual machine's host shares are among them; so is a mount that comes by itself
(autofs), as long as it has not come."""

DRIVE_REMOTE = 4
"""From Windows' <fileapi.h>; see GetDriveTypeW."""

PHOTO_FOLDERS = ("incoming", "processed", "review", "failed", "duplicates")
"""Folders in DATA_DIR whose files are taken for photos."""

NOT_FOR_ARCHIVES = (*PHOTO_FOLDERS, "predictions", "reports", "demo")
"""Folders in DATA_DIR with a purpose of their own."""


class ArchiveFolderError(NotDoneError):
    """Photos cannot be archived in this folder; the message says why."""

    code = Exit.USAGE


class BatchSettings(Settings):
    """The settings of a night. `.env.example` documents each."""

    data_dir: ProjectPath = Field(Path("data"), validate_default=True)
    log_dir: ProjectPath = Field(Path("logs"), validate_default=True)
    model_dir: ProjectPath = Field(Path("model/releases"), validate_default=True)
    """Only looked at: the sidecar is who loads a release."""
    ledger: ProjectPath | None = None
    api_url: Annotated[tuple[Address, ...], NoDecode] = ()
    api_token: Token | None = None
    max_image_mb: float = Field(50, gt=0, le=1024)
    settle_seconds: float = Field(10, ge=0, le=86400)
    audit_share: float = Field(0.01, ge=0, le=1)
    error_budget: float = Field(0.5, gt=0, le=1)
    ignore: Annotated[tuple[str, ...], NoDecode] = Field((), validate_default=True)
    xlsx: Literal["yes", "no"] = "yes"
    night_at: time = time(2)
    log_format: Literal["text", "json"] = "text"
    ping_url: SecretStr | None = None
    ping_failed_photos: Literal["success", "failure"] = "success"
    notify_urls: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    notify_when: Literal["trouble", "always"] = "trouble"
    metrics_file: ProjectPath | None = None
    pages_host: str = Field("127.0.0.1", min_length=1)
    pages_port: int = Field(8000, ge=1, le=65535)
    pages_url: HttpUrl | None = None
    pages_plain_http: Literal["yes", "no"] = "no"
    pages_secrets: ProjectPath = Field(Path("pages-secrets.json"), validate_default=True)

    @field_validator("ledger", "metrics_file")
    @classmethod
    def _is_a_file(cls, value: Path | None) -> Path | None:
        if value and (kind := kind_of(value)):
            raise ValueError(f"it is {kind}; name a file{' in it' if kind == 'a folder' else ''}")
        return value

    @field_validator("night_at", mode="before")
    @classmethod
    def _is_a_time_of_day(cls, value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise ValueError("it has to be a time of day, 00:00 to 23:59")
        return value

    @field_validator("ping_url")
    @classmethod
    def _is_an_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("it has to begin with http:// or https://")
        return value

    @field_validator("pages_url")
    @classmethod
    def _is_a_plain_address(cls, value: HttpUrl | None) -> HttpUrl | None:
        if value and (value.username or value.password or value.query or value.fragment):
            raise ValueError("it has to be like https://photos.example.org or https://example.org/photos")
        return value

    @field_validator("ignore", "notify_urls", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("api_url", mode="before")
    @classmethod
    def _split_addresses(cls, value: object) -> object:
        return addresses_in(value) if isinstance(value, str) else value

    @field_validator("api_url")
    @classmethod
    def _is_each_once(cls, value: tuple[Address, ...]) -> tuple[Address, ...]:
        if twice := [str(one) for one, count in Counter(value).items() if count > 1]:
            raise ValueError(f"{', '.join(twice)} stands twice; name each server once")
        return value

    @field_validator("ignore")
    @classmethod
    def _is_read_whole(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        comment = "" if os.environ.get("IGNORE") else comment_in(cls.model_config.get("env_file"), "IGNORE")
        if comment:
            raise ValueError(
                f"in .env a blank and a # begin a comment, so {comment!r} is not read; put the whole list between "
                f'quotes: IGNORE="{", ".join([*value, comment])}"'
            )
        return value

    @model_validator(mode="after")
    def _ledger_is_on_a_local_disk(self) -> Self:
        kind = network_file_system(self.ledger_path)
        if kind:
            raise ValueError(
                f"the ledger {self.ledger_path} would lie on a network share ({kind}), where SQLite loses data; "
                "set LEDGER to a path on a local disk"
            )
        return self

    @model_validator(mode="after")
    def _nothing_else_lies_among_the_photos(self) -> Self:
        for name in ("log_dir", "model_dir", "ledger", "metrics_file"):
            path = getattr(self, name)
            for folder in PHOTO_FOLDERS if path else ():
                if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.data_dir / folder)):
                    raise ValueError(
                        f"{name.upper()}={path} lies in {folder}, whose files are taken for photos; set another place"
                    )
        return self

    @property
    def incoming(self) -> Path:
        """Where people drop photos."""
        return self.data_dir / "incoming"

    @property
    def ledger_path(self) -> Path:
        """The SQLite journal; beside the data unless `LEDGER` says otherwise."""
        return self.ledger or self.data_dir / "ledger.sqlite3"

    @property
    def csv_path(self) -> Path:
        """All nights' predictions."""
        return self.data_dir / "predictions.csv"

    @property
    def predictions(self) -> Path:
        """A table for each night."""
        return self.data_dir / "predictions"

    @property
    def reports(self) -> Path:
        """What people read in the morning."""
        return self.data_dir / "reports"

    def make_folders(self) -> None:
        """Create what is missing: `incoming`, the logs' folder and the ledger's.

        Raises:
            OSError: a folder cannot be made.
        """
        for folder in (self.incoming, self.log_dir, self.ledger_path.parent):
            folder.mkdir(parents=True, exist_ok=True)


def kind_of(path: Path) -> str:
    """What lies at a path in the place of a plain file; nothing for such a file, and where nothing can be seen."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a device" if stat.S_ISBLK(mode) or stat.S_ISCHR(mode) else "a pipe or socket"


def comment_in(env_file: object, name: str) -> str:
    """What a comment hides of a setting in `.env` that may have been meant as part of it: `#recycle`, not `# my own`."""
    if not env_file or not Path(str(env_file)).exists():
        return ""
    lines = Path(str(env_file)).read_text("utf-8-sig").splitlines()
    found = ""
    for line in lines:
        setting = re.fullmatch(rf"\s*(?:export\s+)?{name}\s*=(?P<value>.*)", line, re.IGNORECASE)
        if setting:  # the last one counts
            unquoted = not setting["value"].lstrip().startswith(('"', "'"))
            hidden = re.search(r"\s(#\S.*)", setting["value"]) if unquoted else None
            found = hidden[1].strip() if hidden else ""
    return found


def check_archive_folder(settings: BatchSettings, folder: Path) -> None:
    """Make sure that photos can be archived below `folder` (relative to DATA_DIR), wherever links lead.

    Raises:
        ArchiveFolderError: it is DATA_DIR itself, belongs to the night's own folders, is a file, or is no text.
    """
    target = Path(os.path.realpath(settings.data_dir / folder))
    if any("\ud800" <= character <= "\udfff" for character in str(folder)):  # rows hold text
        raise ArchiveFolderError(f"{folder} is not UTF-8 text; name another folder")
    if _is_same(target, settings.data_dir):
        raise ArchiveFolderError(
            f"{target} is DATA_DIR itself; name a folder in it, such as archive, or one elsewhere"
        )
    for place in (target, *target.parents):
        for name in NOT_FOR_ARCHIVES:
            if _is_same(place, settings.data_dir / name):
                raise ArchiveFolderError(
                    f"{target} belongs to {name}, whose files are the night's; name another folder, such as archive"
                )
        if place.exists() and not place.is_dir():
            raise ArchiveFolderError(f"{place} is a file, so no photo can be archived below it")


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one folder; on a disk that ignores case, names that differ in nothing else do."""
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them does not exist
        return str(one).casefold() == os.path.realpath(other).casefold()


def network_file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The kind of network share that `path` lies on, or `""` for a local disk (or where it cannot be told).

    Links are followed. `path` need not exist. `mounts` is Linux' list of what is mounted, in its order.
    """
    real = os.path.realpath(path)  # also makes what autofs mounts on demand come
    if any(re.match(r"\\\\(?![?.]\\(?!UNC\\))", name) for name in (str(path), real)):
        return "UNC path"
    if sys.platform == "win32":
        drive = os.path.splitdrive(real)[0] + "\\"
        return "network drive" if ctypes.windll.kernel32.GetDriveTypeW(drive) == DRIVE_REMOTE else ""
    found, inside = "", os.fsencode(real) + b"/"
    for point, kind in _mounted(mounts):
        # a later one hides what was mounted there before; only the root may be listed after what lies in it
        if (point == b"/" and not found) or (point != b"/" and inside.startswith(point + b"/")):
            found = kind
    return found if any(fnmatch(found, pattern) for pattern in NETWORK_FILE_SYSTEMS) else ""


def _mounted(mounts: Path) -> Iterator[tuple[bytes, str]]:
    """Where something is mounted, and its kind, in the order of mounting."""
    try:
        lines = mounts.read_bytes().split(b"\n")
    except OSError:  # no Linux: macOS and the BSDs have a program that tells
        yield from _told_by_program()
        return
    for line in filter(None, lines):
        _, point, kind, *_ = line.split(b" ")
        yield (
            re.sub(rb"\\([0-7]{3})", lambda byte: bytes([int(byte[1], 8)]), point),
            kind.decode("utf-8", "replace"),
        )


def _told_by_program() -> Iterator[tuple[bytes, str]]:
    """The same from lines like `//me@nas/photos on /Volumes/photos (smbfs, nodev)`."""
    try:
        told = subprocess.run(["mount"], capture_output=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):  # assume the usual, a local disk
        return
    for found in re.finditer(rb"^.*? on (/.*) \((\w+)[,)]", told, re.MULTILINE):
        yield found[1], found[2].decode()
