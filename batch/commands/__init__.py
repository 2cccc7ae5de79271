"""The commands of `python -m batch`; each is a thin layer on one call of the library, and a file holds those of a kind.

A new command is a function decorated with `@commands.command(…)`, its options beside it; `@with_settings` gives it the
settings. It imports what it needs when it is called, so that a night does not load what only others use.
"""

from batch.commands import nights, people, looking, keeping, photos  # noqa: I001 - the order of the help
from batch.commands.group import commands

__all__ = ["commands", "keeping", "looking", "nights", "people", "photos"]
