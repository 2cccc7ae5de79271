"""download: photos from a CSV of addresses, politely.

    download photos.csv --out photos/

The CSV has the columns `id` and `url`; all further columns are taken for labels and go, with the file's name, into
OUT/labels.csv. Only the addresses given are fetched, nothing is crawled: robots.txt is respected (its Crawl-delay too),
a host gets at most --per-host requests at a time with --pause seconds between their starts, and a server that is busy
(429, 503 and the like) is asked again later, as late as its Retry-After says. What comes must be a photo that can be
read, of at most --max-mb. Stopped, it goes on where it was; what failed is in OUT/failed.csv with the reason, and is
tried again the next time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from logformat import entry
from model.lab.commands.options import at_least
from model.lab.photos.download import Manners, download, read_wanted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("csv", type=Path, help="CSV with the columns id and url, and optional labels")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the photos to")
    parser.add_argument(
        "--at-once", type=at_least(1), default=8, help="requests at a time, all hosts (default: %(default)s)"
    )
    parser.add_argument(
        "--per-host",
        type=at_least(1),
        default=2,
        help="requests at a time to one host (default: %(default)s)",
    )
    parser.add_argument(
        "--pause",
        type=at_least(0, float),
        default=0.2,
        help="seconds between two to a host (default: %(default)s)",
    )
    parser.add_argument("--tries", type=at_least(1), default=4, help="tries per photo (default: %(default)s)")
    parser.add_argument(
        "--timeout",
        type=at_least(0.1, float),
        default=20,
        help="seconds of silence allowed (default: %(default)s)",
    )
    parser.add_argument(
        "--max-mb",
        type=at_least(0.001, float),
        default=25,
        help="largest photo, in MB (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; 3 when some photos could not be fetched."""
    manners = Manners(
        per_host=options.per_host,
        pause=options.pause,
        tries=options.tries,
        timeout=options.timeout,
        max_mb=options.max_mb,
    )
    fetched, failed = download(read_wanted(options.csv), options.out, manners, options.at_once)
    print(f"{fetched} photos fetched into {options.out}, {len(failed)} failed (see failed.csv).")
    for name, reason in list(failed.items())[:10]:
        print(entry(f"  {name}: {reason}"))
    return 3 if failed else 0
