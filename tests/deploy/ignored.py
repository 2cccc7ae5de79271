"""What `.dockerignore` lets into the image, by the rules that its reference documents."""

import re
from pathlib import PurePosixPath

from settings import ROOT


def enters(path: str) -> bool:
    """Whether a file gets in: the last line that matches it, or a folder that it lies in, decides."""
    wanted = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        is_exception = pattern.startswith("!")
        if _matches(pattern.removeprefix("!"), path):
            wanted = is_exception
    return wanted


def _matches(pattern: str, path: str) -> bool:
    places = [path, *map(str, PurePosixPath(path).parents)]
    regex = _regex(pattern.strip("/"))
    return any(regex.fullmatch(place) for place in places if place != ".")


def _regex(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]*\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(known.get(part) or (part if part.startswith("[") else re.escape(part)) for part in parts)
    )
