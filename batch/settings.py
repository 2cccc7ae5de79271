"""What a night can be told: every setting of `batch`, with its default and its limits."""

import re
from datetime import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from settings import ProjectPath, Settings

NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "afs", "ncpfs", "fuse.sshfs", "davfs", "glusterfs")


class BatchSettings(Settings):
    """The settings of a night. `.env.example` documents each."""

    data_dir: ProjectPath = Field(Path("data"), validate_default=True)
    log_dir: ProjectPath = Field(Path("logs"), validate_default=True)
    model_dir: ProjectPath = Field(Path("model/releases"), validate_default=True)
    """Only looked at: the sidecar is who loads a release."""
    ledger: ProjectPath | None = None
    api_url: HttpUrl | None = None
    api_token: SecretStr | None = None
    max_image_mb: float = Field(50, gt=0, le=1024)
    settle_seconds: float = Field(10, ge=0, le=86400)
    audit_share: float = Field(0.01, ge=0, le=1)
    error_budget: float = Field(0.5, gt=0, le=1)
    ignore: Annotated[tuple[str, ...], NoDecode] = ()
    night_at: time = time(2)
    log_format: Literal["text", "json"] = "text"
    ping_url: SecretStr | None = None
    ping_failed_photos: Literal["success", "failure"] = "success"
    notify_urls: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    notify_when: Literal["trouble", "always"] = "trouble"
    metrics_file: ProjectPath | None = None

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

    @field_validator("ignore", "notify_urls", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @model_validator(mode="after")
    def _ledger_is_on_a_local_disk(self) -> Self:
        kind = network_file_system(self.ledger_path)
        if kind:
            raise ValueError(
                f"the ledger {self.ledger_path} would lie on a network share ({kind}), where SQLite loses data; "
                "set LEDGER to a path on a local disk"
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
    def reports(self) -> Path:
        """What people read in the morning."""
        return self.data_dir / "reports"

    @property
    def max_bytes(self) -> int:
        """The largest photo file that is read, in bytes."""
        return int(self.max_image_mb * 1024 * 1024)

    def make_folders(self) -> None:
        """Create what is missing: `incoming`, the logs' folder and the ledger's.

        Raises:
            OSError: a folder cannot be made.
        """
        for folder in (self.incoming, self.log_dir, self.ledger_path.parent):
            folder.mkdir(parents=True, exist_ok=True)


def network_file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The kind of network share that `path` lies on, or `""` for a local disk (or where it cannot be told)."""
    if str(path).startswith(("\\\\", "//")):
        return "UNC path"
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:  # no such list on this system: assume the usual, a local disk
        return ""
    best_point, best_kind = "", ""
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        point = point.encode("latin-1", "replace").decode("unicode_escape")  # blanks are written \040
        inside = point == "/" or str(path) == point or str(path).startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best_point):
            best_point, best_kind = point, kind
    return best_kind if any(fnmatch(best_kind, f"{name}*") for name in NETWORK_FILE_SYSTEMS) else ""
