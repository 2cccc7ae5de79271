"""The lab's commands: `python -m model.lab COMMAND …`, or `python -m model lab COMMAND …`.

Each command is one module with `add_arguments(parser)` and `run(options)`; it is imported when it is asked
for, so that a `--help` is there at once.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any, Final

from model.user_errors import ended
from utf8 import use_utf8

COMMANDS: Final = {
    "download": "photos from a CSV of addresses, politely",
    "extract": "masks, backgrounds alone, and their colours as numbers",
    "filter": "drop the photos whose label is unsure, everything kept in step",
    "measure": "image quality: sharpness, contrast, noise, exposure …",
    "colour": "the 18 colour features, whole frame and item alone",
    "train": "classical models: cross-validation, search, importance",
    "predict": "a model's answers for a folder of photos, as CSV",
    "serve": "a model behind HTTP, in the sidecar's form, for this machine",
    "evaluate": "one model's scores, in the terminal and as a page",
    "compare": "all models and the network on the same photos",
    "report": "the figures of the notebook as a page",
    "explain": "one photo's judgement, drawn",
}

OVERVIEW: Final = """The background and colour lab.

{commands}

A usual order: extract, measure, colour, then train, compare, report. `COMMAND --help` teaches each;
docs/lab.md has the rules and the results."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 2 wrong usage, 3 done but some photos could not be
    used.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        print(f"There is no command {name!r}; there are: {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    return ended(name, lambda: _run(name, rest))


def overview() -> str:
    """Return the list of commands."""
    return OVERVIEW.format(commands="\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items()))


def _run(name: str, arguments: list[str]) -> int:
    command = importlib.import_module(f"model.lab.commands.{name}")
    return int(command.run(_parse(name, command, arguments)))


def _parse(name: str, command: Any, arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m model lab {name}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    use_utf8()
    sys.exit(main())
