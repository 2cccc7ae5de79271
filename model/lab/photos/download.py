"""Photos from a list of addresses, fetched politely: robots.txt, a host's pace, and a busy server's wish to wait."""

from __future__ import annotations

import csv
import hashlib
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import pandas as pd
import requests
from urllib3.exceptions import InvalidHeader, MaxRetryError
from urllib3.util import Retry

from model.lab import LabError
from model.lab.photos.files import MAX_MEGAPIXELS
from model.lab.photos.parallel import progress
from model.lab.photos.store import write_csv
from model.serving.preprocess import PhotoError, read_photo
from replacing import replacing

AGENT: Final = "nightsort-lab/0.1 (+fetches listed photos only)"
BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed later."""

REDIRECTS: Final = 5
LONGEST_WAIT: Final = 60.0
"""Seconds beyond which a server's wish to be asked later counts as a failure."""

SUFFIX: Final = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"RIFF": ".webp",
}
"""How files begin, and the suffix they get; what begins otherwise and can be read is HEIC or AVIF."""


class FetchError(Exception):
    """An address that gave no photo; the text is the reason. `later` is true when another try may help."""

    def __init__(self, reason: str, *, later: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.later, self.wait = later, wait


class Wanted(NamedTuple):
    """A row of the CSV: where the photo is, the name it gets, and its labels."""

    name: str
    url: str
    labels: dict[str, str]


@dataclass(frozen=True)
class Manners:
    """How polite and how patient to be: seconds, and megabytes of 1,000,000 bytes."""

    per_host: int = 2
    pause: float = 0.2
    tries: int = 4
    backoff: float = 1.0
    timeout: float = 20.0
    longest: float = 120.0
    max_mb: float = 25.0
    robots: bool = True


def read_wanted(path: Path) -> list[Wanted]:
    """Read the CSV. Raises LabError when it is missing, lacks a column, or gives two photos one name."""
    if not path.is_file():
        raise LabError(f"There is no file {path}: give a CSV with the columns id and url.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabError(f"{path} cannot be read as a CSV in UTF-8: {error}") from error
    if not rows or not {"id", "url"} <= rows[0].keys():
        raise LabError(f"{path} needs the columns id and url, and at least one row.")
    wanted = [
        Wanted(
            safe_name(row["id"] or ""),
            (row["url"] or "").strip(),
            {key: value or "" for key, value in row.items() if key not in ("id", "url", None)},
        )
        for row in rows
    ]
    names = pd.Series([row.name.lower() for row in wanted])
    if names.duplicated().any():
        raise LabError(f"{path}: the id {wanted[int(names.duplicated().argmax())].name!r} is there twice.")
    return wanted


def safe_name(identity: str) -> str:
    """Return a file name (without suffix) for an id: letters, digits, `.`, `-` and `_` stay, the rest becomes `_`."""
    name = re.sub(r"[^\w.-]", "_", identity.strip(), flags=re.ASCII).lstrip(".")[:120]
    return name or f"unnamed-{hashlib.blake2b(identity.encode(), digest_size=4).hexdigest()}"


def download(
    wanted: list[Wanted], out: Path, manners: Manners, at_once: int = 8
) -> tuple[int, dict[str, str]]:
    """Fetch what `out` lacks; return how many photos came and the reasons why others did not, by name.

    Writes labels.csv (all photos that are there) and failed.csv.
    """
    out.mkdir(parents=True, exist_ok=True)
    missing = [row for row in wanted if find_file(out, row.name) is None]
    hosts = Hosts(manners)
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(max(1, at_once)) as pool:
        running = {pool.submit(fetch, row, out, hosts, manners): row for row in missing}
        try:
            for future in progress(as_completed(running), "download", len(running)):
                if reason := future.result():
                    failed[running[future].name] = reason
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            write_lists(wanted, out, failed)
    return len(missing) - len(failed), failed


def write_lists(wanted: list[Wanted], out: Path, failed: dict[str, str]) -> None:
    """Write labels.csv and failed.csv."""
    there = [(found.name, row) for row in wanted if (found := find_file(out, row.name))]
    write_csv(out / "labels.csv", pd.DataFrame([{"file": file, **row.labels} for file, row in there]))
    urls = {row.name: row.url for row in wanted}
    lines = [(name, urls[name], reason) for name, reason in sorted(failed.items())]
    write_csv(out / "failed.csv", pd.DataFrame(lines, columns=["id", "url", "reason"]))


def find_file(out: Path, name: str) -> Path | None:
    """Return the photo called `name`, whatever its suffix, if it is there."""
    for suffix in (*dict.fromkeys(SUFFIX.values()), ".heic"):
        if (out / f"{name}{suffix}").is_file():
            return out / f"{name}{suffix}"
    return None


def fetch(row: Wanted, out: Path, hosts: Hosts, manners: Manners) -> str:
    """Fetch one photo, with as many tries as are allowed; return the reason of a failure, or nothing."""
    retries = Retry(manners.tries - 1, backoff_factor=manners.backoff, backoff_max=LONGEST_WAIT)
    while True:
        try:
            data = get(row.url, hosts, manners)
            check(data)
        except FetchError as error:
            if not error.later or error.wait > LONGEST_WAIT:
                return str(error)
            try:
                retries = retries.increment(error=error)
            except MaxRetryError:
                return str(error)
            time.sleep(max(error.wait, manners.backoff, retries.get_backoff_time()))
        else:
            with replacing(out / f"{row.name}{suffix_of(data)}") as scratch:
                scratch.write_bytes(data)
            return ""


def get(url: str, hosts: Hosts, manners: Manners) -> bytes:
    """Return what an address gives, following redirects: each address on the way is treated as politely as the first.

    Raises FetchError.
    """
    for _ in range(REDIRECTS + 1):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FetchError("the address is no http or https address")
        if manners.robots and not hosts.may_fetch(url):
            raise FetchError("the site's robots.txt asks programs not to fetch this")
        try:
            with (
                hosts.turn(url),
                requests.get(
                    url,
                    headers={"User-Agent": AGENT},
                    timeout=manners.timeout,
                    stream=True,
                    allow_redirects=False,
                ) as answer,
            ):
                if not answer.is_redirect:
                    return body(answer, manners)
                url = urljoin(url, answer.headers["location"])
        except requests.RequestException as error:
            raise FetchError(f"the connection failed ({type(error).__name__})", later=True) from error
    raise FetchError(f"more than {REDIRECTS} redirects")


def body(answer: requests.Response, manners: Manners) -> bytes:
    """Return an answer's body, read no further than the limits allow. Raises FetchError."""
    if answer.status_code in BUSY:
        raise FetchError(
            f"the server answered {answer.status_code}",
            later=True,
            wait=retry_after(answer.headers.get("retry-after")),
        )
    if answer.status_code != 200:
        raise FetchError(f"the server answered {answer.status_code}")
    limit = int(manners.max_mb * 1e6)
    began, parts, size = time.monotonic(), [], 0
    for part in answer.iter_content(65536):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise FetchError(f"larger than {manners.max_mb:g} MB")
        if time.monotonic() - began > manners.longest:
            raise FetchError(f"not there after {manners.longest:g} seconds", later=True)
    return b"".join(parts)


def check(data: bytes) -> None:
    """Raise FetchError when the bytes are no photo that can be read from beginning to end."""
    try:
        read_photo(data, max_megapixels=MAX_MEGAPIXELS, size=64)
    except PhotoError as error:
        page = data.lstrip()[:15].lower().startswith((b"<!doctype", b"<html"))
        raise FetchError(
            "a web page came instead of a photo" if page else f"what came is no photo: {error}"
        ) from error


def suffix_of(data: bytes) -> str:
    """Return the suffix that fits a photo's bytes."""
    return next((suffix for start, suffix in SUFFIX.items() if data.startswith(start)), ".heic")


def retry_after(value: str | None) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3): a number or a date; 0 for none or nonsense."""
    try:
        return Retry().parse_retry_after(value) if value else 0.0
    except InvalidHeader:
        return 0.0


@dataclass
class Host:
    """One host's state: how many requests may run, when the next may start, and what its robots.txt says."""

    slots: threading.Semaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    next_start: float = 0.0
    robots: RobotFileParser | None = None


class Hosts:
    """Keeps every host's limits. May be used from several threads."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._hosts: dict[str, Host] = {}
        self._lock = threading.Lock()

    def may_fetch(self, url: str) -> bool:
        """Tell whether robots.txt (RFC 9309) allows the address.

        A site without one allows everything; one whose robots.txt fails with a server error allows nothing now.
        """
        host = self._host(url)
        with host.lock:
            if host.robots is None:
                host.robots = self._read_robots(url)
        return host.robots.can_fetch(AGENT, url)

    def turn(self, url: str) -> Turn:
        """Return a context that waits for the host's next free turn, and holds it."""
        return Turn(self._host(url), self._manners.pause)

    def _host(self, url: str) -> Host:
        name = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        with self._lock:
            return self._hosts.setdefault(name, Host(threading.Semaphore(self._manners.per_host)))

    def _read_robots(self, url: str) -> RobotFileParser:
        rules = RobotFileParser()
        try:
            answer = requests.get(
                urljoin(url, "/robots.txt"), headers={"User-Agent": AGENT}, timeout=self._manners.timeout
            )
        except requests.RequestException:
            # unreachable: the photo's own request will say so
            rules.parse([])
            return rules
        if answer.status_code >= 500:
            rules.parse(["User-agent: *", "Disallow: /"])
        else:
            rules.parse(answer.text[:500_000].splitlines() if answer.ok else [])
        return rules


@dataclass
class Turn:
    """A host's turn: taken when the pause since the last start is over and a slot is free."""

    host: Host
    pause: float

    def __enter__(self) -> None:
        self.host.slots.acquire()
        with self.host.lock:
            now = time.monotonic()
            start = max(now, self.host.next_start)
            self.host.next_start = start + max(self.pause, self._asked_pause())
        time.sleep(start - now)

    def __exit__(self, *_: object) -> None:
        self.host.slots.release()

    def _asked_pause(self) -> float:
        delay = self.host.robots.crawl_delay(AGENT) if self.host.robots else None
        return min(float(delay or 0), LONGEST_WAIT)
