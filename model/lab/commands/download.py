"""`python -m model lab download`."""

from __future__ import annotations

from pathlib import Path

import click

from command_line import Number, Whole
from logformat import entry
from model.lab.commands.group import DONE_WITHOUT_SOME, PATH, lab

FROM_1 = Whole(min=1)


@lab.command(exit_codes={**DONE_WITHOUT_SOME, 3: "done, but some photos could not be fetched"})
@click.argument("csv", type=PATH, help="CSV with the columns id and url, and optional labels.")
@click.option("--out", type=PATH, required=True, help="Folder to write the photos to.")
@click.option("--at-once", type=FROM_1, default=8, show_default=True, help="Requests at a time, all hosts.")
@click.option("--per-host", type=FROM_1, default=2, show_default=True, help="Requests at a time to one host.")
@click.option(
    "--pause", type=Number(min=0), default=0.2, show_default=True, help="Seconds between two to a host."
)
@click.option("--tries", type=FROM_1, default=4, show_default=True, help="Tries per photo.")
@click.option(
    "--timeout", type=Number(min=0.1), default=20, show_default=True, help="Seconds of silence allowed."
)
@click.option("--max-mb", type=Number(min=0.001), default=25, show_default=True, help="Largest photo, in MB.")
def download(
    csv: Path, out: Path, at_once: int, per_host: int, pause: float, tries: int, timeout: float, max_mb: float
) -> int:
    """Photos from a CSV of addresses, politely.

      python -m model lab download photos.csv --out photos/

    The CSV has the columns `id` and `url`; all further columns are taken for labels and go, with the file's name, into
    OUT/labels.csv. Only the addresses given are fetched, nothing is crawled: robots.txt is respected (its Crawl-delay
    too), a host gets at most --per-host requests at a time with --pause seconds between their starts, and a server that
    is busy (429, 503 and the like) is asked again later, as late as its Retry-After says. What comes must be a photo that
    can be read, of at most --max-mb. Stopped, it goes on where it was; what failed is in OUT/failed.csv with the reason,
    and is tried again the next time.
    """
    from model.lab.photos.download import Manners, download, read_wanted

    manners = Manners(per_host=per_host, pause=pause, tries=tries, timeout=timeout, max_mb=max_mb)
    fetched, failed = download(read_wanted(csv), out, manners, at_once)
    print(f"{fetched} photos fetched into {out}, {len(failed)} failed (see failed.csv).")
    for name, reason in list(failed.items())[:10]:
        print(entry(f"  {name}: {reason}"))
    return 3 if failed else 0
