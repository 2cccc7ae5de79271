"""The command line of the night: `python -m batch <command> --help` teaches each command."""

import argparse
import sys

from batch import demo, run
from batch.logs import log, set_up
from batch.settings import BatchSettings
from settings import SettingError, load

EXIT_CODES = """
exit codes:
  0  all swept (nothing to do included)      3  swept, but some photos failed
  1  the run could not do its work           75 another run is at work on this folder
  2  wrong usage or setting                  130/143 interrupted
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        settings = load(BatchSettings)
        set_up(settings.log_dir)
    except SettingError as error:
        print(error, file=sys.stderr)
        return run.EXIT_USAGE
    except OSError as error:
        print(f"The log cannot be written: {error}", file=sys.stderr)
        return run.EXIT_FAILED
    if chosen.command == "demo":
        return demo.demo(settings)
    if chosen.command == "export":
        return run.export_all(settings)
    if chosen.command == "sweep" and settings.api_url is None:
        log.error("API_URL is not set: `sweep` uses a model server that already runs; `run` starts its own.")
        return run.EXIT_USAGE
    return run.night(settings, wait=chosen.wait)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batch",
        description="Sort the photos in data/incoming: one row each in data/predictions.csv, each filed in its folder.",
        epilog="Settings come from the environment and .env; .env.example explains them." + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _add(
        commands,
        "run",
        "one night: start the model server, sort, stop it (what full_batch.sh does)",
        "Recovers what an earlier run left unfinished, starts the model server on a free local port (or uses the one\n"
        "at API_URL), sorts every photo in incoming, writes the CSVs, and stops the server it started.",
    )
    _add(
        commands,
        "sweep",
        "the same with a model server that already runs at API_URL",
        "Like `run`, but never starts a server. Example:\n\n"
        "  python -m api --port 5000 &\n  API_URL=http://127.0.0.1:5000 python -m batch sweep",
    )
    _add(
        commands,
        "export",
        "rebuild predictions.csv from the ledger",
        "The ledger is the truth, the CSVs are exports of it. Use this when predictions.csv was lost, edited,\n"
        "or open in a spreadsheet while a night wanted to write it.",
    )
    _add(
        commands,
        "demo",
        "draw some product photos, sort them in data/demo, show the table",
        "For someone without photos at hand. Makes data/demo anew each time; your own photos are not touched.",
    )
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, line: str, text: str
) -> None:
    command = commands.add_parser(
        name,
        help=line,
        description=f"{line[:1].upper()}{line[1:]}.\n\n{text}",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if name in ("run", "sweep"):
        command.add_argument(
            "--wait",
            action="store_true",
            help="also sort what is still too young (SETTLE_SECONDS) at the start, as soon as it has settled",
        )


if __name__ == "__main__":
    sys.exit(main())
