"""The way to the lab, which has commands of its own."""

from __future__ import annotations

from collections.abc import Sequence

import click

from model.commands.group import commands


@commands.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: Sequence[str]) -> int:
    """The background and colour lab: `python -m model lab --help`."""
    from model.lab.__main__ import main

    return main(arguments)
