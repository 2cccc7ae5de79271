"""The background and colour lab: the older, explainable ways of judging a photo, beside the network.

    python -m model lab extract photos --out runs/lab      masks, backgrounds alone, their colours as numbers
    python -m model lab train --labels labels.csv …        classical models on those numbers
    python -m model lab compare photos …                   all models, the network's heads included, on one table

Rooms, each of which uses only those above it:

    photos/     files on disk, masks, the folder that `extract` writes, drawn samples, the downloader
    numbers/    what a photo looks like in numbers: backgrounds, colours, quality, the sets that models learn from
    judging/    tasks, classical models and the CNN, judges (the network among them), what they are worth
    pages/      plots and pages
    commands/   one file a command

`docs/lab.md` explains the rules and shows the results. Nothing here is imported by the night.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from model.user_errors import UserError
from settings import ROOT

RELEASES: Final = ROOT / "model" / "releases"
"""Where the network's releases lie."""

SENDER: Final = "sender"
"""The column of the labels that says who took a photo, if there is one."""


class LabError(UserError):
    """Something that the person at the keyboard can put right; the message is a whole sentence that says
    how.
    """


def existing_folder(path: Path) -> Path:
    """Return `path`. Raises LabError when it is no folder."""
    if not path.is_dir():
        raise LabError(f"There is no folder {path}.")
    return path
