"""What the command lines of all programs share, on top of click: `python -m batch`, `api`, `model` and `model.lab`.

A command is one decorated function. Its docstring is its help: the first sentence stands in the list of commands, and
what is indented, such as an example, stays as it is. What it returns is the exit code; None is 0.
"""

import inspect
import io
import math
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from logformat import printable

ExitCodes = Mapping[int | str, str]
"""Exit code (or several, as text) → what it says."""

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Command(click.Command):
    """A command whose help ends with its exit codes.

    one_of, at_most_one_of: names of parameters of which exactly one, or no more than one, may be given.
    """

    def __init__(
        self,
        *arguments: Any,
        exit_codes: ExitCodes | None = None,
        one_of: Sequence[str] = (),
        at_most_one_of: Sequence[str] = (),
        **others: Any,
    ) -> None:
        super().__init__(*arguments, **{"context_settings": CONTEXT, **others})
        self.help = _with_examples(self.help)
        self.exit_codes = exit_codes or {}
        self.one_of, self.at_most_one_of = one_of, at_most_one_of

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What click finds; parameters that do not go together are refused."""
        rest = super().parse_args(ctx, args)
        for names in (self.one_of, self.at_most_one_of):
            options = {name: next(one.opts[0] for one in self.params if one.name == name) for name in names}
            typed = [options[name] for name in names if _is_typed(ctx, name)]
            if len(typed) > 1:
                raise click.UsageError(f"{' and '.join(typed)} do not go together.", ctx)
            if names is self.one_of and names and not typed:
                raise click.UsageError(f"One of these is needed: {', '.join(options.values())}.", ctx)
        return rest

    def get_short_help_str(self, limit: int = 1000) -> str:
        """The first sentence, whole: a list that leaves off in the middle of one teaches nothing."""
        return super().get_short_help_str(max(limit, 1000))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes."""
        super().format_epilog(ctx, formatter)
        if self.exit_codes:
            with formatter.section("Exit codes"):
                formatter.write_dl([(str(code), words) for code, words in self.exit_codes.items()])


class Whole(click.IntRange):
    """A whole number within limits."""

    name = "whole number"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 - click's signature
        """What stands for it in the help."""
        return "N"


class Number(click.FloatRange):
    """A number within limits; neither infinity nor what is called `nan` is one."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a valid number.", param, ctx)
        return number


class Group(click.Group):
    """Commands in the order in which they are written down."""

    command_class = Command

    def __init__(self, *arguments: Any, **others: Any) -> None:
        super().__init__(*arguments, **{"context_settings": CONTEXT, **others})
        self.help = _with_examples(self.help)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Their names, not sorted."""
        return [*self.commands]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """What click finds; who types one that there is not is told which there are."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            names = ", ".join(self.list_commands(ctx))
            raise click.UsageError(f"{error.format_message()} There are: {names}.", ctx) from None


def perform(
    command: click.Command, program: str, arguments: Sequence[str] | None = None, obj: object = None
) -> int:
    """Do what was typed; returns the exit code: 2, with a sentence on stderr, for what cannot be meant.

    program: as it is typed, such as `python -m batch`. obj: what the commands find in their context. Whatever else goes
    wrong is the caller's to tell.
    """
    try:
        typed = list(sys.argv[1:] if arguments is None else arguments)
        with command.make_context(program, typed, obj=obj) as context:
            return command.invoke(context) or 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        print(printable(said.getvalue()), end="", file=sys.stderr)
        return error.exit_code


def _is_typed(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _with_examples(text: str | None) -> str | None:
    r"""A help text in which click leaves indented paragraphs as they are: `\b` tells it so."""
    return re.sub(r"\n\n(?=  )", "\n\n\b\n", inspect.cleandoc(text)) if text else text
