"""One sweep: every photo in `incoming` is read, asked about, recorded and filed, many in flight at once.

The main thread reads and hashes photos, gathers them into requests, and takes the answers in the order it
asked, so that of two equal photos the first one is always recorded first. Threads only wait for answers.
"""

import contextlib
import hashlib
import json
import os
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from batch import filing
from batch.client import Answer, RefusedError, SidecarBusyError, SidecarError, SidecarHangsError
from batch.ledger import Ledger, Row, Run
from batch.logs import log
from batch.scan import Found, Scan
from batch.settings import BatchSettings
from batch.sidecar import Sidecar, SidecarDownError

PHOTOS_PER_REQUEST = 64
BYTES_PER_REQUEST = 6_000_000
REQUESTS_IN_FLIGHT = 2 * (os.cpu_count() or 1)
BYTES_IN_FLIGHT = 256_000_000
"""No further photo is read while so many bytes of them wait for an answer: MAX_IMAGE_MB may allow large ones."""

BUDGET_FROM = 50
"""The error budget counts from this many photos on: fewer say nothing about the night."""

MOVES_FAILED_IN_A_ROW = 10
"""So many photos that cannot be moved are no accident: the disk is full, or the folder is not ours."""

BUSY_SECONDS = 600
"""How long an overloaded sidecar is waited for."""

SYNC_SECONDS = 1.0
"""So often the folders that photos were moved between are brought to disk, and the moves marked as done."""

PROBE_PAUSES = (0, 1, 2, 4, 8)
"""After a failed request the sidecar is probed so often, with these pauses in seconds, until it is given up."""

PROBE_SECONDS = 30
"""How long a probe's answer may take: the photos of other clients may stand before it."""

END_SECONDS = 20
"""How long an interrupted night waits for the answers to what is in flight."""

PROBE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)
"""A white PNG of one pixel, which every sound sidecar answers."""


class SweepError(Exception):
    """The sweep cannot go on; what is done is kept, the rest lies in `incoming`. The message says why."""


@dataclass
class Tally:
    """What a sweep did and what it left."""

    processed: int = 0
    review: int = 0
    failed: int = 0
    duplicate: int = 0
    too_young: int = 0
    left_alone: int = 0
    left_behind: int = 0
    """Photos that could not be read or moved and still lie in `incoming`."""

    @property
    def swept(self) -> int:
        """Photos that have a row now."""
        return self.processed + self.review + self.failed + self.duplicate

    def counts(self) -> dict[str, int]:
        """All counts by name, for the ledger."""
        return {"swept": self.swept, **asdict(self)}


@dataclass
class _Item:
    """A photo on its way: its row so far, and its bytes if the sidecar has to be asked."""

    row: Row
    photo: bytes | None = None
    looks_like_a_photo: bool = False


@dataclass
class _Request:
    """Photos that are asked about together."""

    items: list[_Item] = field(default_factory=list)
    size: int = 0
    """Bytes of the photos."""

    def add(self, item: _Item) -> None:
        self.items.append(item)
        self.size += len(item.photo or b"")

    @property
    def is_full(self) -> bool:
        return len(self.items) >= PHOTOS_PER_REQUEST or self.size >= BYTES_PER_REQUEST

    @property
    def photos(self) -> list[bytes]:
        return [item.photo for item in self.items if item.photo is not None]


class Sweep:
    """A pass, or several, over `incoming`.

    >>> tally = Sweep(settings, ledger, sidecar, run).all_photos()
    """

    def __init__(self, settings: BatchSettings, ledger: Ledger, sidecar: Sidecar, run: Run) -> None:
        self.tally = Tally()
        self.stop = sidecar.interrupted
        """Set it to end early: what is in flight is recorded and filed, the rest stays."""
        self._settings = settings
        self._ledger = ledger
        self._sidecar = sidecar
        self._run = run
        self._gate = _Gate()
        self._seen: dict[str, tuple[tuple[int, int, int], float]] = {}
        """The scans' memory of files that are not at rest."""
        self._restless = 0
        self._in_flight: deque[tuple[_Request, Future[list[Answer]]]] = deque()
        self._asked: set[str] = set()
        """Checksums of photos in flight."""
        self._left: set[str] = set()
        """Names of photos that could not be read or moved: not tried twice in one night."""
        self._failed: dict[str, Row] = {}
        """Photos that failed in this run, by checksum: copies of them are not asked about again tonight."""
        self._moved: list[int] = []
        """Rows whose photos are moved, in folders that may not be on disk yet: these."""
        self._unsynced: set[str] = set()
        self._synced_at = time.monotonic()
        self._filed: list[int] = []
        """Rows whose photos are moved for good, to be marked with the next transaction."""
        self._moves_failed = 0
        self._photos = self._photos_failed = 0

    def all_photos(self, *, wait: bool = False) -> Tally:
        """Sweep until nothing is left to do; with `wait` also what is still too young at first.

        Raises:
            SweepError: it cannot go on.
        """
        with self._progress() as progress:
            try:
                self._passes(progress, wait)
            finally:
                self.stop.set()  # threads that wait to ask again end
                self._sync()
                self._ledger.record([], filed=self._filed)
        return self.tally

    def _passes(self, progress: "tqdm[NoReturn]", wait_for_young: bool) -> None:
        """Go through `incoming` until nothing is left to do.

        A second pass finds what the file system hid from the first. Files that look old but have changed lately
        get `settle_seconds` to hold still, while the others are swept and after that.
        """
        give_up_at: float | None = None
        while not self.stop.is_set():
            started = time.monotonic()
            swept = self._one_pass(progress)
            if give_up_at is None:
                give_up_at = time.monotonic() + self._settings.settle_seconds
            wait_for_restless = self._restless > 0 and started < give_up_at
            wait_for_young_ones = wait_for_young and self.tally.too_young > 0
            if wait_for_restless or wait_for_young_ones:
                self.stop.wait(min(self._settings.settle_seconds, 1))
            elif not swept:
                break

    def _one_pass(self, progress: "tqdm[NoReturn]") -> int:
        """Go through `incoming` once; returns how many photos got a row."""
        swept_before = self.tally.swept
        scan = Scan(self._settings.incoming, self._settings.settle_seconds, self._settings.ignore, self._seen)
        request = _Request()
        try:
            for found in scan:
                if self.stop.is_set():
                    break
                item = self._read(found)
                if item is None:
                    continue
                request.add(item)
                if request.is_full:
                    self._launch(request)
                    request = _Request()
                    while (
                        len(self._in_flight) >= REQUESTS_IN_FLIGHT
                        or self._bytes_in_flight() > BYTES_IN_FLIGHT
                    ):
                        self._finish_oldest(progress)
            if not self.stop.is_set():
                self._launch(request)
            while self._in_flight:
                self._finish_oldest(progress)
        except OSError as error:
            raise SweepError(f"{error.strerror}: {error.filename}") from error
        finally:
            self._restless = scan.restless
            self.tally.too_young, self.tally.left_alone = scan.young + scan.restless, scan.left_alone
        for folder, why in scan.unreadable.items():
            if folder not in self._left:
                self._leave(folder, f"the folder {filing.readable(folder)} cannot be read: {why}")
        filing.remove_empty(self._settings.incoming, scan.folders)
        return self.tally.swept - swept_before

    def _read(self, found: Found) -> _Item | None:
        """Open one photo; None when it is not there any more, not as it was, or cannot be read."""
        if found.name in self._left:
            return None
        row = Row(
            file_name=filing.readable(found.name),
            source=os.fsencode(found.name),
            size=found.size,
            mtime_ns=found.mtime_ns,
            ctime_ns=found.ctime_ns,
            run_id=self._run.run_id,
        )
        if not found.regular:
            row.error = "This is no file but a link or a device; it was not opened."
            return _Item(row)
        if found.size == 0:
            row.error, row.sha256 = "The file is empty.", hashlib.sha256().hexdigest()
            return _Item(row)
        path = os.path.join(self._settings.incoming, found.name)
        try:
            if found.size > self._settings.max_bytes:
                row.error = f"The file is larger than MAX_IMAGE_MB ({self._settings.max_image_mb:g} MB)."
                row.sha256 = filing.digest(Path(path))
                return _Item(row)
            photo = _read_unchanged(path, found)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._leave(found.name, f"{row.file_name} cannot be read: {error.strerror}")
            return None
        if photo is None:
            return None
        row.sha256 = hashlib.sha256(photo).hexdigest()
        if row.sha256 in self._asked or row.sha256 in self._failed or self._ledger.predicted(row.sha256):
            return _Item(row)
        self._asked.add(row.sha256)
        return _Item(row, photo, looks_like_a_photo(photo))

    def _launch(self, request: _Request) -> None:
        if request.items:
            future: Future[list[Answer]] = Future()
            self._in_flight.append((request, future))
            # a daemon: an answer that does not come must not keep an interrupted night from ending
            threading.Thread(target=self._answer, args=(future, request.photos), daemon=True).start()

    def _bytes_in_flight(self) -> int:
        return sum(request.size for request, _ in self._in_flight)

    def _answer(self, future: "Future[list[Answer]]", photos: list[bytes]) -> None:
        try:
            future.set_result(self._ask(photos))
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            future.set_exception(error)

    def _finish_oldest(self, progress: "tqdm[NoReturn]") -> None:
        """Wait for the oldest request's answers, record its photos, file them."""
        request, future = self._in_flight.popleft()
        self._wait_for(future)
        try:
            answers = iter(future.result())
        except (SidecarDownError, RefusedError) as error:
            raise SweepError(str(error)) from error
        rows = list(self._decide(request, answers))
        self._check_budget()
        reserved: set[str] = set()
        try:
            for row in rows:
                row.moved_to = filing.choose_name(self._settings.data_dir, row, reserved)
                reserved.add(row.moved_to)
        except filing.FilingError as error:
            raise SweepError(str(error)) from error
        _point_to_firsts(rows)
        self._ledger.record(rows, filed=self._filed)
        self._filed = []
        self._file(rows, reserved)
        self._asked.difference_update(item.row.sha256 for item in request.items)
        progress.update(len(rows))

    def _wait_for(self, future: "Future[list[Answer]]") -> None:
        """Return when there is an answer; an interrupted night does not wait for long."""
        while not self.stop.is_set() and not future.done():
            wait([future], timeout=0.2)
        if not wait([future], timeout=END_SECONDS).done:
            raise SweepError(f"interrupted, and the model server gave no answer within {END_SECONDS} s")

    def _decide(self, request: _Request, answers: Iterator[Answer]) -> Iterator[Row]:
        """What becomes of each photo of a request, in order."""
        decided: dict[str, Row] = {}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for item in request.items:
            row = item.row
            row.processed_at = now
            if item.photo is not None:
                answer = next(answers)
                row.model_version = answer.model_version
                if answer.prediction is None:
                    row.error = answer.error
                    self._failed[row.sha256] = row
                else:
                    fill_in(row, answer.prediction, self._settings.audit_share)
                decided[row.sha256] = row
                self._photos += item.looks_like_a_photo
                self._photos_failed += item.looks_like_a_photo and row.status == "failed"
                item.photo = None  # free the memory
            elif not row.error and not self._copy_first(row, decided):
                continue  # the first one is gone after all: the next pass asks about this one
            yield row

    def _copy_first(self, row: Row, decided: dict[str, Row]) -> bool:
        """Give a photo with known bytes the answers of the first one with these bytes."""
        first = decided.get(row.sha256) or self._failed.get(row.sha256) or self._ledger.predicted(row.sha256)
        if first is None:
            return False
        for name in _ANSWERS:
            setattr(row, name, getattr(first, name))
        if first.status == "failed":
            row.status, row.error = "failed", first.error
        else:
            row.status, row.duplicate_of = "duplicate", first.moved_to
        return True

    def _check_budget(self) -> None:
        """Stop before a fault that is not the photos' own files a whole day's photos as failed."""
        budget = self._settings.error_budget
        if budget < 1 and self._photos >= BUDGET_FROM and self._photos_failed > budget * self._photos:
            raise SweepError(
                f"{self._photos_failed} of {self._photos} photos failed, more than ERROR_BUDGET "
                f"({budget:g}) allows: "
                "something is wrong with the model server rather than with the photos. "
                f"The rest stays in incoming; see {self._settings.log_dir / 'sidecar.log'}"
            )

    def _file(self, rows: list[Row], reserved: set[str]) -> None:
        """Move recorded photos; a row whose photo could not be moved is withdrawn."""
        withdrawn: set[str] = set()
        moved: list[Row] = []
        problem = ""
        for number, row in enumerate(rows):
            try:
                if row.status == "duplicate" and row.sha256 in withdrawn:
                    raise filing.PhotoChangedError(f"the photo that {row.file_name} equals was not filed")
                filing.file_photo(
                    row, self._settings.incoming, self._settings.data_dir, self._ledger, reserved
                )
            except filing.PhotoChangedError:
                self._ledger.withdraw([row])
                withdrawn.add(row.sha256)
            except filing.DiskError as error:
                self._ledger.withdraw(rows[number:])
                problem = f"{error}; the rest stays in incoming"
                break
            except filing.FilingError as error:
                self._ledger.withdraw([row])
                withdrawn.add(row.sha256)
                self._moves_failed += 1
                self._leave(os.fsdecode(row.source), str(error))
            else:
                self._moves_failed = 0
                moved.append(row)
                setattr(self.tally, row.status, getattr(self.tally, row.status) + 1)
        data_dir, incoming = self._settings.data_dir, self._settings.incoming
        self._unsynced.update(os.path.dirname(os.path.join(data_dir, row.moved_to)) for row in moved)
        self._unsynced.update(
            os.path.dirname(os.path.join(incoming, os.fsdecode(row.source))) for row in moved
        )
        self._moved += [row.id or 0 for row in moved]
        if time.monotonic() - self._synced_at >= SYNC_SECONDS:
            self._sync()
        if self._moves_failed >= MOVES_FAILED_IN_A_ROW:
            problem = f"{self._moves_failed} photos in a row could not be moved; the rest stays in incoming"
        if problem:
            raise SweepError(problem)

    def _sync(self) -> None:
        """Bring the moves to disk; from then on they are done for good.

        Raises:
            SweepError: the disk does not take them. The next run looks at these photos again.
        """
        try:
            filing.sync_folders(self._unsynced)
        except OSError as error:
            raise SweepError(f"{error.strerror}: {error.filename}") from error
        self._filed += self._moved
        self._moved, self._unsynced = [], set()
        self._synced_at = time.monotonic()

    def _leave(self, name: str, why: str) -> None:
        self._left.add(name)
        self.tally.left_behind += 1
        log.warning("%s; it is left in incoming.", why)

    def _ask(self, photos: list[bytes]) -> list[Answer]:
        """Get an answer for every photo, through restarts of the sidecar if need be (runs in a thread).

        Raises:
            SidecarDownError: there is no sidecar to be had.
            RefusedError: it will not work for us.
        """
        if not photos:
            return []
        with self._gate.shared():
            try:
                return self._ask_patiently(photos)
            except SidecarError as error:
                log.info("A request failed (%s); trying again.", error)
        with self._gate.alone():  # what fails now has itself to blame, and no neighbour
            self._make_sound()
            return self._ask_alone(photos)

    def _ask_alone(self, photos: list[bytes]) -> list[Answer]:
        """Ask again; a request that fails is cut in halves, until the photo that the sidecar cannot bear is alone.

        That photo gets a second chance, then it fails; the others are answered. The sidecar is sound before each
        attempt, so that it is the photo's fault, not the sidecar's.
        """
        for _ in range(2 if len(photos) == 1 else 1):
            try:
                return self._ask_patiently(photos)
            except SidecarError as error:
                problem = error
            self._make_sound()
        if len(photos) == 1:
            log.warning("The model server fails on one photo (%s).", problem)
            return [Answer(error=f"The model server fails on this photo: {problem}.")]
        middle = len(photos) // 2
        return self._ask_alone(photos[:middle]) + self._ask_alone(photos[middle:])

    def _ask_patiently(self, photos: list[bytes], seconds: float | None = None) -> list[Answer]:
        """Ask; wait while the sidecar is overloaded or still loading. One that hangs is ended."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            client = self._sidecar.client
            try:
                answers = client.predict(photos, seconds)
            except SidecarBusyError as busy:
                if time.monotonic() > deadline or self.stop.wait(busy.seconds):
                    raise SidecarDownError(str(busy)) from busy
                self._sidecar.make_ready()
            except SidecarHangsError:
                self._sidecar.kill(client)
                raise
            else:
                self._sidecar.worked()
                return answers

    def _make_sound(self) -> None:
        """Return when the sidecar answers a photo that every sound one answers; start it again if need be.

        Raises:
            SidecarDownError: it does not.
        """
        problem: SidecarError | None = None
        for pause in PROBE_PAUSES:
            if self.stop.wait(pause):
                raise SidecarDownError("interrupted")
            self._sidecar.make_ready()
            try:
                self._ask_patiently([PROBE], PROBE_SECONDS)
            except SidecarError as error:
                problem = error
            else:
                return
        raise SidecarDownError(f"the model server answers no photo at all: {problem}")

    @contextlib.contextmanager
    def _progress(self) -> "Iterator[tqdm[NoReturn]]":
        """A bar on a terminal; nothing elsewhere."""
        shown = sys.stderr.isatty()
        total = (
            sum(1 for _ in Scan(self._settings.incoming, self._settings.settle_seconds)) if shown else None
        )
        with tqdm(total=total, unit="photo", disable=not shown, smoothing=0.1, leave=False) as bar:
            yield bar


class _Gate:
    """Many requests at a time, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._one_is_alone = False

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Enter beside others."""
        with self._changed:
            self._changed.wait_for(lambda: not self._one_is_alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Enter when nobody is inside, and keep others out."""
        with self._changed:
            self._changed.wait_for(lambda: not self._one_is_alone and not self._inside)
            self._one_is_alone = True
        try:
            yield
        finally:
            with self._changed:
                self._one_is_alone = False
                self._changed.notify_all()


_ANSWERS = (
    "main_category", "main_category_probability", "sub_category", "sub_category_probability",
    "background_quality", "background_quality_probability", "colour", "colour_probability",
    "needs_review", "review_reason", "model_version", "probabilities",
)  # fmt: skip


_as_json = json.JSONEncoder(separators=(",", ":")).encode


def fill_in(row: Row, prediction: dict[str, object], audit_share: float) -> None:
    """Write the sidecar's answer into the row, and mark the share of sure photos that people check."""
    heads = {
        "main": "main_category",
        "sub": "sub_category",
        "background": "background_quality",
        "colour": "colour",
    }
    everything = {}
    for head, column in heads.items():
        answer = prediction[head]
        assert isinstance(answer, dict)  # the client has checked
        setattr(row, column, answer["class"])
        setattr(row, f"{column}_probability", answer["probability"])
        everything[head] = answer.get("probabilities", {})
    row.probabilities = _as_json(everything)
    if isinstance(measures := prediction.get("measures"), dict):
        row.measures = _as_json(measures)
    row.needs_review = prediction.get("needs_review") is True
    row.review_reason = str(prediction.get("review_reason", ""))
    row.status = "review" if row.needs_review else "processed"
    if not row.needs_review and is_audited(row.sha256, audit_share):
        row.review_reason = "; ".join(filter(None, [row.review_reason, "audit"]))


def is_audited(sha256: str, share: float) -> bool:
    """Whether a photo belongs to the share that people check although it is sure; repeats by checksum."""
    return int(sha256[:8], 16) < share * 0x1_0000_0000


def looks_like_a_photo(content: bytes) -> bool:
    """Whether the bytes begin like one of the formats that are supported, whatever follows."""
    return (
        content.startswith(
            (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
        )
        or (content[:4] == b"RIFF" and content[8:12] == b"WEBP")
        or (content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS)
    )


_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")


def _read_unchanged(path: str, found: Found) -> bytes | None:
    """The file's bytes, or None when it is not the file that was found any more."""
    # what was a file a moment ago may be a link or a pipe now: follow nothing, wait for nothing
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with open(os.open(path, flags), "rb", buffering=0) as file:  # a descriptor, not a path
        if not _is_as_found(file.fileno(), found):
            return None
        content = file.read(found.size + 1)
        while content and len(content) <= found.size and (more := file.read(found.size + 1 - len(content))):
            content += more
        return content if len(content) == found.size and _is_as_found(file.fileno(), found) else None


def _is_as_found(handle: int, found: Found) -> bool:
    facts = os.fstat(handle)
    return stat.S_ISREG(facts.st_mode) and (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns) == (
        found.size,
        found.mtime_ns,
        found.ctime_ns,
    )


def _point_to_firsts(rows: list[Row]) -> None:
    """Fill in where the first one lies, for duplicates of a photo that was decided in the same request."""
    firsts = {row.sha256: row.moved_to for row in rows if row.status in ("processed", "review")}
    for row in rows:
        if row.status == "duplicate" and not row.duplicate_of:
            row.duplicate_of = firsts[row.sha256]
