"""The commands of `python -m model`; each is a thin layer on calls of the library, and a file holds those of a kind.

A new command is a function decorated with `@commands.command(…)`, its options beside it. It imports what it needs when
it is called: `list`, `promote` and `rollback` need no torch.
"""

from model.commands import photos, training, releasing, measuring, choosing, lab  # noqa: I001 - the order of the help
from model.commands.group import commands

__all__ = ["choosing", "commands", "lab", "measuring", "photos", "releasing", "training"]
