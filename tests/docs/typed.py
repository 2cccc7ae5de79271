"""Whether a command that a page shows can be typed: it is parsed, and not done."""

from collections.abc import Sequence

import click


def can_be_typed(command: click.Command, words: Sequence[str]) -> None:
    """Parse it, sub-commands included.

    Raises:
        click.UsageError: it has no such command, option or argument.
    """
    try:
        if isinstance(command, click.Group) and words and not words[0].startswith("-"):
            _, one, rest = command.resolve_command(click.Context(command), list(words))
            assert one is not None
            can_be_typed(one, rest)
        else:
            command.make_context("shown", list(words))
    except click.exceptions.Exit:  # --help and --version
        return
