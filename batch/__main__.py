"""The command line of the night: `python -m batch <command> --help` teaches each command."""

import argparse
import os
import sys

import this_python
from utf8 import use_utf8

try:
    from batch import config, run
    from batch.commands import COMMANDS, perform
    from batch.logs import set_up
    from settings import SettingError
except ImportError as error:
    this_python.end_without(error, "batch")

EXIT_CODES = """
exit codes:
  0  all swept (nothing to do included)      3  swept, but some photos failed
  1  the run could not do its work           75 another run is at work on this folder
  2  wrong usage or setting                  130/143 interrupted
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = _parser().parse_args(arguments)
    if given.command == "config":  # it looks at settings that may be too wrong to be loaded
        return config.check()
    try:
        settings = config.of_night()
        set_up(settings.log_dir, settings.log_format)
    except SettingError as error:
        print(error, file=sys.stderr)
        return run.EXIT_USAGE
    except OSError as error:
        print(f"The log cannot be written: {error}", file=sys.stderr)
        return run.EXIT_FAILED
    command = next(command for command in COMMANDS if command.name == given.command)
    try:
        return perform(command, settings, given)
    except BrokenPipeError:  # `… | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batch",
        description="Sort the photos in data/incoming: one row each in data/predictions.csv, each filed in its folder.",
        epilog="Settings come from the environment and .env; .env.example explains them." + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for command in COMMANDS:
        one = commands.add_parser(
            command.name,
            help=command.line,
            description=f"{command.line[:1].upper()}{command.line[1:]}.\n\n{command.text}",
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.options(one)
    return parser


if __name__ == "__main__":
    use_utf8()
    sys.exit(main())
