"""Which release of the model is in use, and whether its files are as they were released.

    folder = in_use.folder(model_dir, in_use.version(model_dir))
    in_use.damage(folder)                            # "" when all is well

`python -m model promote` and `rollback` write IN_USE, which git ignores, and a line to PROMOTIONS beside it. As long as
there is no IN_USE, CURRENT counts: the default that the program ships. Where MODEL_DIR lies elsewhere, what the program
ships is found by `shipped` in it, a link: so a container's image keeps its releases, and a volume those of one's own.
It stands beside the packages because the night looks at releases too, and the standard library is all it needs.
"""

import hashlib
from pathlib import Path
from typing import Final

IN_USE: Final = "IN_USE"
CURRENT: Final = "CURRENT"
PROMOTIONS: Final = "PROMOTIONS"
CHECKSUMS: Final = "SHA256SUMS"
SHIPPED: Final = "shipped"

NEEDED: Final = ("model.onnx", "classes.json", "metrics.json", "card.md", "golden/golden.json")
"""The files that no release is without."""

LONGEST_NAME: Final = 255
"""Bytes that file systems allow for a folder's name."""


class InUseError(Exception):
    """No release can be used; the text says why and what to do."""


def version(model_dir: Path) -> str:
    """The name of the release in use: what IN_USE says, or else CURRENT. Raises InUseError."""
    named = first_line(model_dir / IN_USE) or first_line(default(model_dir))
    if named is None:
        raise InUseError(f"No release is in use ({model_dir / CURRENT} is missing): {_CHOOSE}")
    return named


def places(model_dir: Path) -> tuple[Path, Path]:
    """The folders that releases lie in: one's own, which count more, and those that the program ships."""
    return model_dir, model_dir / SHIPPED


def folder(model_dir: Path, version: str) -> Path:
    """Where a release lies; in `model_dir` when it is nowhere."""
    own, shipped = (place / version for place in places(model_dir))
    return shipped if shipped.is_dir() and not own.exists() else own


def default(model_dir: Path) -> Path:
    """The CURRENT that counts as long as there is no IN_USE."""
    own, shipped = (place / CURRENT for place in places(model_dir))
    return shipped if shipped.is_file() and not own.exists() else own


def first_line(path: Path) -> str | None:
    """The release that IN_USE or CURRENT names; None when there is no such file. Raises InUseError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InUseError(f"{path} cannot be read ({error.strerror}): {_CHOOSE}") from error
    except UnicodeDecodeError:
        raise InUseError(f"{path} is damaged (it is not UTF-8 text): {_CHOOSE}") from None
    line = text.split("\n", 1)[0].strip()
    if not is_name(line):
        raise InUseError(
            f"{path} is damaged (its first line has to be a release's name, and is {line[:40]!r}): {_CHOOSE}"
        )
    return line


def is_name(text: str) -> bool:
    """Whether a release can be called this: the name of a folder, on one line."""
    return (
        text.isprintable()
        and text not in ("", ".", "..")
        and not set(text) & {"/", "\\"}
        and len(text.encode()) <= LONGEST_NAME
    )


def checksums(folder: Path) -> dict[str, str]:
    """A release's files and what their SHA-256 has to be. Raises OSError, or ValueError where the list is damaged."""
    lines = (folder / CHECKSUMS).read_text("utf-8").splitlines()
    return {name: wanted for wanted, _, name in (line.partition("  ") for line in lines)}


def checksum(path: Path) -> str:
    """The SHA-256 of a file's content, in hex, as the list has it. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damage(folder: Path) -> str:
    """What is wrong with a release's files, by its list of checksums; nothing when all is well."""
    if not folder.is_dir():
        return "the folder is missing"
    try:
        listed = checksums(folder)
        for name in (*NEEDED, *listed):
            if name not in listed:
                return f"{CHECKSUMS} does not list {name}"
            if not (folder / name).is_file():
                return f"{name or 'a file'} is missing"
            if checksum(folder / name) != listed[name]:
                return f"{name} has changed"
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing"
    except OSError as error:
        return f"{error.strerror}: {error.filename}"
    except ValueError:  # not UTF-8, or a name that no file can have
        return f"{CHECKSUMS} cannot be read"
    return ""


_CHOOSE: Final = "`python -m model list` shows the releases, `python -m model promote VERSION` chooses one."
