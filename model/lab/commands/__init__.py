"""The lab's commands, one file each: thin layers over the other rooms.

A new command is a function decorated with `@lab.command(…)` in a file of its own that is imported here. It imports what
it needs when it is called, so that a `--help` is there at once.
"""

from model.lab.commands import (  # noqa: I001 - the order of the help
    download,
    extract,
    filter,  # noqa: A004 - the file of a command has its name
    measure,
    colour,
    train,
    predict,
    serve,
    evaluate,
    compare,
    report,
    explain,
)
from model.lab.commands.group import lab

__all__ = [
    "colour",
    "compare",
    "download",
    "evaluate",
    "explain",
    "extract",
    "filter",
    "lab",
    "measure",
    "predict",
    "report",
    "serve",
    "train",
]
