"""The command line of the night: `python -m batch <command> --help` teaches each command."""

import argparse
import sys

import this_python
from utf8 import use_utf8

try:
    from batch import config
    from batch.commands import COMMANDS, Command, perform
    from batch.exits import Exit
    from batch.logs import set_up
    from logformat import let_go
    from settings import SettingError
except ImportError as error:
    this_python.end_without(error, "batch")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = _parser().parse_args(arguments)
    try:
        return _do(given)
    except BrokenPipeError:  # `… | head` has read enough
        return 0
    finally:
        let_go(sys.stdout)


def _do(given: argparse.Namespace) -> int:
    if given.command == "config":  # it looks at settings that may be too wrong to be loaded
        return config.check()
    try:
        settings = config.of_night()
        set_up(settings.log_dir, settings.log_format)
    except SettingError as error:
        print(error, file=sys.stderr)
        return Exit.USAGE
    except OSError as error:
        print(f"The log cannot be written: {error}", file=sys.stderr)
        return Exit.FAILED
    command = next(command for command in COMMANDS if command.name == given.command)
    return perform(command, settings, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batch",
        description="Sort the photos in data/incoming: one row each in data/predictions.csv, each filed in its folder.",
        epilog=f"{this_python.SCRIPT} takes the same commands. Without one it runs the night, with the options of `run`\n"
        "(--wait, --if-missed), or with --demo the demo.\n\n"
        "`COMMAND --help` explains a command and its exit codes. Settings come from the environment and .env;\n"
        ".env.example explains them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"Nightsort {this_python.VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for command in COMMANDS:
        one = commands.add_parser(
            command.name,
            help=command.line,
            description=f"{command.line[:1].upper()}{command.line[1:]}.\n\n{command.text}",
            epilog=_exit_codes(command),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.options(one)
    return parser


def _exit_codes(command: Command) -> str:
    lines = [f"  {code:<8} {words}" for code, words in command.codes.items()]
    return "\n".join(["exit codes:", *lines])


if __name__ == "__main__":
    use_utf8()
    sys.exit(main())
