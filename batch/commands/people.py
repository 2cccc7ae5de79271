"""Commands for the people who review: the pages, and who may sign in to them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from batch.commands.group import WRONG_USAGE, commands, tell, with_settings
from batch.exits import Exit

if TYPE_CHECKING:
    from batch.settings import BatchSettings


@commands.command(exit_codes={0: "ended by Ctrl-C or SIGTERM", 1: "could not be served", **WRONG_USAGE})
@with_settings
def pages(settings: BatchSettings) -> int:
    """Serve the pages on which people review the photos, until ended.

    Says their address (PAGES_HOST, PAGES_PORT) and opens it in the browser where there is a desktop. docs/review.md shows
    how to work with them. Example:

      python -m batch pages
    """
    from batch.pages.serve import serve

    return serve(settings)


@commands.command(
    exit_codes={0: "done", 1: "it could not be done", 2: "wrong usage or setting, or there is no such user"}
)
@click.argument("what", type=click.Choice(["add", "delete", "list", "forget"]))
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--lead", is_flag=True, help="With `add`: may also do what concerns many photos.")
@with_settings
def users(settings: BatchSettings, what: str, name: str | None, lead: bool) -> int:
    """Say who may sign in to the pages: add, delete, list or forget people.

    Once there is one, everybody has to sign in. `add` asks for a password, or reads it from standard input; for somebody
    who is there already it is a new one. `delete` keeps their name beside what they decided; `forget` puts a number in its
    place, in the ledger and the CSV. Examples:

      python -m batch users add Anna --lead
      python -m batch users forget Anna
    """
    from batch.pages import users as known

    if what == "list":
        people = known.read(settings).users.values()
        tell("\n".join(f"{user.name}  {user.role}" for user in people) or "Nobody has been added.")
        return 0
    if not name:
        raise click.UsageError(f"`users {what}` needs a name.")
    if what == "add":
        role = known.Role.LEAD if lead else known.Role.REVIEWER
        known.tidy(name)  # before a password is typed in vain
        is_new = known.add(settings, name, role, _password())
        tell(f"{name} may sign in ({role})." if is_new else f"{name} has a new password, and is {role}.")
    elif what == "delete":
        tell(f"{known.delete(settings, name).name} may not sign in any more.")
    else:
        tell(f"{name} is {known.forget(settings, name)} from now on, wherever the name stood.")
    return Exit.ALL_SWEPT


def _password() -> str:
    """A password as it is typed, twice; or the first line of standard input where nobody types."""
    if sys.stdin is not None and sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt="The same again"))
    return sys.stdin.readline().rstrip("\r\n") if sys.stdin is not None else ""
