"""One sweep: every photo in `incoming` is read, asked about, recorded and filed, many in flight at once.

The main thread reads and hashes photos, gathers them into requests, and takes the answers in the order it
asked, so that of two equal photos the first one is always recorded first. Threads only wait for answers (`asking`).
"""

import contextlib
import functools
import os
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NoReturn, TypeVar

from pydantic_core import to_json
from tqdm import tqdm

from api_answers import Failed, Predicted, Prediction
from batch.files import filing, reading
from batch.files.companions import Taken
from batch.files.emptied import Emptied
from batch.files.scan import Found, Memory, Scan, complaints
from batch.logs import log
from batch.night.asking import Asking
from batch.night.budget import ErrorBudget
from batch.night.refusals import Refusals, in_words, words_of_unread
from batch.records import moments, sketches
from batch.records.ledger import Ledger, Row, Run
from batch.server.pool import Answered, Member, Pool
from batch.server.sidecar import SidecarDownError
from batch.settings import BatchSettings

T = TypeVar("T")

PHOTOS_PER_REQUEST = 64
BYTES_PER_REQUEST = 6_000_000
REQUESTS_IN_FLIGHT = 2 * (os.cpu_count() or 1)
"""So many for each server."""

BYTES_IN_FLIGHT = 256_000_000
"""No further photo is read while so many bytes of them wait for an answer: MAX_IMAGE_MB may allow large ones."""

PLACES_NAMED = 5
"""A night that leaves photos behind names so many of the folders that they lie in or cannot go to."""

SYNC_SECONDS = 1.0
"""So often the folders that photos were moved between are brought to disk, and the moves marked as done."""

EMPTYING = "emptying"
"""The ledger's note of the runs that may have left folders in `incoming` which they emptied."""

END_SECONDS = 20
"""How long an interrupted night waits for the answers to what is in flight."""


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
    left_behind: Counter[str] = field(default_factory=Counter)
    """Photos that could not be read or moved and still lie in `incoming`, by why."""
    remark: str = ""
    """What people should know of a night that did its work all the same."""

    @property
    def swept(self) -> int:
        """Photos that have a row now."""
        return self.processed + self.review + self.failed + self.duplicate

    def counts(self) -> dict[str, int]:
        """All counts by name, for the ledger."""
        numbers = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        return {"swept": self.swept, **numbers, "left_behind": self.left_behind.total()}

    def why_left_behind(self) -> str:
        """A sentence that names the folders and says what to do about them; nothing when no photo was left."""
        if not self.left_behind:
            return ""
        by_count = self.left_behind.most_common()
        reasons = [f"{count} {words}" for words, count in by_count[:PLACES_NAMED]]
        if others := by_count[PLACES_NAMED:]:
            reasons.append(f"{sum(count for _, count in others)} in {len(others)} other folders")
        total = self.left_behind.total()
        return f"{total} file{'s' if total > 1 else ''} had to stay in incoming: {'; '.join(reasons)}"


@dataclass
class _Item:
    """A photo on its way: its row so far, and its bytes if the sidecar has to be asked."""

    row: Row
    photo: bytes | None = None
    format: str = ""
    """The one that it begins like; nothing for what is no photo, or none that is supported."""


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

    >>> Sweep(settings, ledger, servers, run, Tally()).all_photos()  # doctest: +SKIP
    """

    def __init__(
        self, settings: BatchSettings, ledger: Ledger, servers: Pool, run: Run, tally: Tally
    ) -> None:
        """`tally` is filled in on the way, so that it says what was done whatever ends the sweep."""
        self.tally = tally
        self.stop = servers.interrupted
        """Set it to end early: what is in flight is recorded and filed, the rest stays."""
        self.waited = 0.0
        """Seconds in which it had nothing to do but to wait for photos to settle."""
        self._settings = settings
        self._ledger = ledger
        self._servers = servers
        self._asking = Asking(servers)
        self._run = run
        self._emptied = Emptied(settings.incoming, settings.settle_seconds)
        self._memory = Memory(folders=self._emptied)
        self._taken = functools.cache(Taken)
        """The names in the filing folders; each is looked at once, until a photo does not come to lie where it was to."""
        self._restless = 0
        self._in_flight: deque[tuple[_Request, Future[list[Answered]]]] = deque()
        self._asked: set[str] = set()
        """Checksums of photos in flight."""
        self._refusals = Refusals(settings.incoming, settings.data_dir)
        self._left: dict[str, str] = {}
        """Photos that could not be read or moved, by name, and why: not tried twice in one night."""
        self._left_with: dict[tuple[str, str], str] = {}
        """Why copies of a photo, by checksum and folder, cannot go where it could not go."""
        self._again = False
        """Photos were passed over that another pass can do."""
        self._failed: dict[str, Row] = {}
        """Photos that failed in this run, by checksum: copies of them are not asked about again tonight."""
        self._moved: list[int] = []
        """Rows whose photos are moved, from and to folders that may not be on disk yet: these."""
        self._moved_from: set[str] = set()
        self._moved_to: set[str] = set()
        self._synced_at = time.monotonic()
        self._filed: list[int] = []
        """Rows whose photos are moved for good, to be marked with the next transaction."""
        self._budgets: dict[Member, ErrorBudget] = defaultdict(lambda: ErrorBudget(settings.error_budget))
        """Of each server: one that is sick may be hidden by others that are not."""

    def all_photos(self, *, wait: bool = False) -> None:
        """Sweep until nothing is left to do; with `wait` also what is still too young at first.

        Raises:
            SweepError: it cannot go on.
        """
        self._remember_emptied()
        with self._progress() as progress:
            try:
                self._passes(progress, wait)
            finally:
                # threads that wait to ask again end
                self.stop.set()
                self.tally.left_behind = Counter(self._left.values()) + self._refusals.skipped()
                self._sync()
                self._ledger.record([], filed=self._filed)
                self._remove_emptied()

    def _remember_emptied(self) -> None:
        """Learn which folders a night that died had emptied: this one removes them."""
        runs = self._ledger.note(EMPTYING).split()
        for run_id in runs:
            for row in self._ledger.filed_rows(run_id=run_id):
                self._emptied.took_before(_folder_of(row))
        self._ledger.set_note(EMPTYING, " ".join([*runs, self._run.run_id]))

    def _remove_emptied(self) -> None:
        stays = self._emptied.remove()
        if not stays:
            self._ledger.set_note(EMPTYING, "")

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
                waits_since = time.monotonic()
                self.stop.wait(min(self._settings.settle_seconds, 1))
                self.waited += time.monotonic() - waits_since
            elif not swept and not self._again:
                break

    def _one_pass(self, progress: "tqdm[NoReturn]") -> int:
        """Go through `incoming` once; returns how many photos got a row."""
        swept_before = self.tally.swept
        scan = Scan(
            self._settings.incoming, self._settings.settle_seconds, self._settings.ignore, self._memory
        )
        request = _Request()
        self._again = False
        self._refusals.start_pass()
        try:
            for found in self._worth_a_try(scan):
                if self.stop.is_set():
                    break
                item = self._read(found)
                if item is None:
                    continue
                request.add(item)
                if request.is_full:
                    self._launch(request)
                    request = _Request()
                    self._finish_answered(progress)
                    while self._has_enough_in_flight():
                        self._wait_for_room()
                        self._finish_answered(progress)
            if not self.stop.is_set():
                self._launch(request)
            while self._in_flight:
                self._finish_oldest(progress)
        finally:
            self._restless = scan.restless
            self.tally.too_young, self.tally.left_alone = scan.young + scan.restless, scan.left_alone
        unreadable = {name: why for name, why in scan.unreadable.items() if name not in self._left}
        for complaint in complaints(unreadable):
            log.warning("%s; it is left in incoming.", complaint)
        for name, why in unreadable.items():
            self._leave_unread(name, why)
        return self.tally.swept - swept_before

    def _worth_a_try(self, scan: Scan) -> Iterator[Found]:
        """What is found, without the photos that could not be read or moved or are unlikely to be."""
        for found in found_in(scan):
            if found.name not in self._left and not self._refusals.skips(found):
                yield found
        yield from self._refusals.last_skipped()

    def _read(self, found: Found) -> _Item | None:
        """Open one photo; None when it is not there any more, not as it was, or cannot be read."""
        row = Row(
            file_name=filing.readable(found.name),
            order=filing.readable(found.name.partition("/")[0]) if "/" in found.name else "",
            source=os.fsencode(found.name),
            size=found.size,
            mtime_ns=found.mtime_ns,
            ctime_ns=found.ctime_ns,
            inode=found.inode,
            companions=found.companions,
            run_id=self._run.run_id,
        )
        try:
            read = reading.read(self._settings.incoming, found, self._settings.max_image_mb)
        except OSError as error:
            self._complain(found.name, in_words(error))
            return None
        except MemoryError:
            self._complain(found.name, "too little memory")
            return None
        if read is None:
            return None
        row.sha256, row.error = read.sha256, read.error
        if read.photo is None:
            return _Item(row)
        if why := self._left_with.get((row.sha256, os.path.dirname(found.name))):
            self._left[found.name] = why
            return None
        if row.sha256 in self._asked or row.sha256 in self._failed or self._first(row.sha256):
            return _Item(row)
        self._asked.add(row.sha256)
        return _Item(row, read.photo, read.format)

    def _launch(self, request: _Request) -> None:
        if request.items:
            photos = request.photos
            self._in_flight.append((request, _in_background(lambda: self._asking.about(photos))))

    def _has_enough_in_flight(self) -> bool:
        """Whether no more photos are read for now. What has been answered takes memory only, and occupies no server."""
        size = sum(request.size for request, _ in self._in_flight)
        return len(self._unanswered()) >= REQUESTS_IN_FLIGHT * len(self._servers) or size > BYTES_IN_FLIGHT

    def _unanswered(self) -> list[Future[list[Answered]]]:
        return [future for _, future in self._in_flight if not future.done()]

    def _wait_for_room(self) -> None:
        """Wait for an answer that lets more photos be read.

        A slow server that has the oldest request holds the others up only when their photos take too much memory.
        """
        unanswered = self._unanswered()
        memory_is_full = len(unanswered) < REQUESTS_IN_FLIGHT * len(self._servers)
        self._wait_for(self._in_flight[0][1:] if memory_is_full else unanswered)

    def _finish_answered(self, progress: "tqdm[NoReturn]") -> None:
        """Finish the oldest requests as far as they have their answers."""
        while self._in_flight and self._in_flight[0][1].done():
            self._finish_oldest(progress)

    def _finish_oldest(self, progress: "tqdm[NoReturn]") -> None:
        """Wait for the oldest request's answers, record its photos, file them."""
        request, future = self._in_flight.popleft()
        self._wait_for([future])
        try:
            answers = future.result()
        except SidecarDownError as error:
            raise SweepError(str(error)) from error
        rows = list(self._decide(request, iter(answers)))
        if not all(self._is_sound(member) for member in {answer.term.member for answer in answers}):
            rows = self._forget(rows)
        if rows:
            self._record(rows)
        self._asked.difference_update(item.row.sha256 for item in request.items)
        progress.update(len(rows))

    def _forget(self, rows: list[Row]) -> list[Row]:
        """Leave photos to the next pass, which asks another server about them."""
        for row in rows:
            self._failed.pop(row.sha256, None)
        self._again = True
        return []

    def _record(self, rows: list[Row]) -> None:
        """Write rows down, and move their photos."""
        reserved: set[str] = set()
        try:
            for row in rows:
                row.moved_to = filing.choose_name(self._settings.data_dir, row, reserved, self._taken)
                reserved.add(row.moved_to)
        except filing.FilingError as error:
            raise SweepError(str(error)) from error
        _point_to_firsts(rows)
        self._ledger.record(rows, filed=self._filed)
        self._filed = []
        self._file(rows, reserved)

    def _wait_for(self, futures: "Sequence[Future[T]]") -> None:
        """Return when one of them has an answer; an interrupted night does not wait for long."""
        while not self.stop.is_set() and not any(future.done() for future in futures):
            wait(futures, timeout=0.2, return_when=FIRST_COMPLETED)
        if not wait(futures, timeout=END_SECONDS, return_when=FIRST_COMPLETED).done:
            raise SweepError(f"interrupted, and the model server gave no answer within {END_SECONDS} s")

    def _decide(self, request: _Request, answers: Iterator[Answered]) -> Iterator[Row]:
        """What becomes of each photo of a request, in order."""
        decided: dict[str, Row] = {}
        now = moments.now()
        for item in request.items:
            row = item.row
            row.processed_at = now
            if item.photo is not None:
                answer = next(answers)
                if answer.term.is_void:
                    self._again = True
                    continue
                self._fill_in(row, answer)
                decided[row.sha256] = row
                if item.format and not _is_unsupported(answer.result):
                    self._budgets[answer.term.member].count(item.format, failed=row.status == "failed")
                # free the memory
                item.photo = None
            elif not row.error and not self._copy_first(row, decided):
                # the first one was not filed after all: ask about this one
                self._again = True
                continue
            yield row

    def _fill_in(self, row: Row, answer: Answered) -> None:
        row.model_version = answer.model_version
        if isinstance(answer.result, Predicted):
            fill_in(row, answer.result.prediction, self._settings.audit_share)
        else:
            row.error = answer.result.error.detail
            self._failed[row.sha256] = row

    def _copy_first(self, row: Row, decided: dict[str, Row]) -> bool:
        """Give a photo with known bytes the answers of the first one with these bytes."""
        first = decided.get(row.sha256) or self._failed.get(row.sha256) or self._first(row.sha256)
        if first is None:
            return False
        for name in _ANSWERS:
            setattr(row, name, getattr(first, name))
        if first.status == "failed":
            row.status, row.error = "failed", first.error
        else:
            row.status, row.duplicate_of = "duplicate", first.moved_to
        return True

    def _first(self, sha256: str) -> Row | None:
        return filing.first_copy(self._ledger, self._settings.data_dir, sha256)

    def _is_sound(self, member: Member) -> bool:
        """Whether what a server answers can be filed: when too many photos fail, it has to show that it is sound.

        Raises:
            SweepError: it does not, and there is no other; a whole day's photos might be filed as failed.
        """
        budget = self._budgets[member]
        if not budget.is_exceeded:
            return True
        too_many = f"{budget.failed} of {budget.photos} photos failed, more than ERROR_BUDGET ({budget.share:g}) allows"
        formats = budget.formats
        checked = _in_background(lambda: self._servers.doubt(member, formats))
        self._wait_for([checked])
        try:
            problem = checked.result()
        except SidecarDownError as error:
            problem = str(error)
        budget.renew()
        if problem and self._servers.has_others(member):
            log.warning("%s, and %s. Its last photos are asked about anew.", too_many, problem)
            return False
        if problem:
            raise SweepError(
                f"{too_many}, and {problem}. The rest stays in incoming; see {self._settings.log_dir / 'sidecar.log'}"
            )
        if not self.tally.remark:
            log.warning("%s. The model server passed its own check: the night goes on.", too_many)
        self.tally.remark = (
            f"More photos failed than ERROR_BUDGET ({budget.share:g}) allows. The model server passed its own check, "
            "so the files themselves are at fault; `error` in predictions.csv says why for each"
        )
        return True

    def _file(self, rows: list[Row], reserved: set[str]) -> None:
        """Move recorded photos; a row whose photo could not be moved is withdrawn.

        Raises:
            SweepError: no photo can be moved any more.
        """
        withdrawn: list[Row] = []
        moved: list[Row] = []
        is_over = False
        for number, row in enumerate(rows):
            if row.status == "duplicate" and any(
                row.sha256 == first.sha256 and first.status != "duplicate" for first in withdrawn
            ):
                withdrawn.append(row)
                self._again = True
                continue
            try:
                self._move(row, reserved)
            except filing.PhotoChangedError:
                withdrawn.append(row)
            except (filing.FilingError, OSError) as error:
                withdrawn.append(row)
                self._leave_unmoved(row, error)
                if is_over := self._refusals.nothing_can_be_filed():
                    withdrawn += rows[number + 1 :]
                    break
            else:
                self._refusals.moved(_folder_of(row))
                moved.append(row)
                setattr(self.tally, row.status, getattr(self.tally, row.status) + 1)
        if withdrawn:
            self._ledger.withdraw(withdrawn)
        if any(row.companions for row in withdrawn) or any(row.moved_to not in reserved for row in moved):
            # what lies there now is not what was meant to
            self._taken.cache_clear()
        self._emptied.took_from(map(_folder_of, moved))
        data_dir, incoming = self._settings.data_dir, self._settings.incoming
        self._moved_to.update(os.path.dirname(os.path.join(data_dir, row.moved_to)) for row in moved)
        self._moved_from.update(os.path.join(incoming, _folder_of(row)) for row in moved)
        self._moved += [row.id or 0 for row in moved]
        if time.monotonic() - self._synced_at >= SYNC_SECONDS:
            self._sync()
        if is_over:
            raise SweepError("no folder takes photos any more; the rest stays in incoming")

    def _move(self, row: Row, reserved: set[str]) -> None:
        """Move one recorded photo; that other names of its file were moved meanwhile has not changed it."""
        incoming, links = self._settings.incoming, self._memory.links
        names = [os.fsdecode(row.source)] if row.inode else []
        names += [os.path.join(_folder_of(row), companion) for companion in row.companions or ()]
        if row.inode:
            row.ctime_ns = links.is_now(row.inode, row.ctime_ns)
        with links.moving(os.path.join(incoming, name) for name in names):
            filing.file_photo(row, incoming, self._settings.data_dir, self._ledger, reserved)

    def _sync(self) -> None:
        """Bring the moves to disk; from then on they are done for good.

        A folder that photos were taken from may fail: at worst one comes back after a power cut, as a copy.

        Raises:
            SweepError: the disk does not take them. The next run looks at these photos again.
        """
        try:
            filing.sync_folders(self._moved_to)
        except OSError as error:
            raise SweepError(f"{in_words(error)}: {error.filename}") from error
        for folder in self._moved_from:
            try:
                filing.sync_folders([folder])
            except OSError as error:
                log.warning("%s could not be brought to disk: %s.", folder, in_words(error))
        self._filed += self._moved
        self._moved, self._moved_from, self._moved_to = [], set(), set()
        self._synced_at = time.monotonic()

    def _leave_unread(self, name: str, why: str) -> None:
        """Leave a photo, or a folder, that cannot be read."""
        is_folder = os.path.isdir(os.path.join(self._settings.incoming, name))
        self._left[name] = words_of_unread(name if is_folder else os.path.dirname(name), why)

    def _complain(self, name: str, why: str) -> None:
        """Leave a photo that cannot be read, with a word."""
        self._leave_unread(name, why)
        log.warning("%s cannot be read: %s; it is left in incoming.", filing.readable(name), why)

    def _leave_unmoved(self, row: Row, error: OSError | filing.FilingError) -> None:
        """Leave a photo that cannot be moved; its copies beside it cannot either when its target refuses."""
        refusal = self._refusals.note(row, error)
        self._left[os.fsdecode(row.source)] = refusal.words
        if row.sha256 and not refusal.by_source:
            self._left_with[row.sha256, _folder_of(row)] = refusal.words
        log.warning("%s %s; it is left in incoming.", row.file_name, refusal.words)

    @contextlib.contextmanager
    def _progress(self) -> "Iterator[tqdm[NoReturn]]":
        """A bar on a terminal; nothing elsewhere."""
        shown = sys.stderr.isatty()
        scan = Scan(self._settings.incoming, self._settings.settle_seconds, self._settings.ignore)
        total = sum(1 for _ in found_in(scan)) if shown else None
        with tqdm(total=total, unit="photo", disable=not shown, smoothing=0.1, leave=False) as bar:
            yield bar


def found_in(scan: Scan) -> Iterator[Found]:
    """What a scan finds.

    Raises:
        SweepError: `incoming` itself cannot be read.
    """
    try:
        yield from scan
    except OSError as error:
        raise SweepError(f"incoming cannot be read: {in_words(error)} ({error.filename})") from error


def _in_background(work: Callable[[], T]) -> "Future[T]":
    """Do something in a thread; a daemon, since what does not end must not keep an interrupted night from ending."""
    future: Future[T] = Future()

    def do() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            future.set_exception(error)

    threading.Thread(target=do, daemon=True).start()
    return future


_ANSWERS = (
    "main_category", "main_category_probability", "sub_category", "sub_category_probability",
    "background_quality", "background_quality_probability", "colour", "colour_probability",
    "needs_review", "review_reason", "doubts", "model_version", "probabilities", "thresholds",
)  # fmt: skip


_COLUMNS = {
    "main": "main_category",
    "sub": "sub_category",
    "background": "background_quality",
    "colour": "colour",
}
"""The column of each head."""


def fill_in(row: Row, prediction: Prediction, audit_share: float) -> None:
    """Write the sidecar's answer into the row, and mark the share of sure photos that people check."""
    heads = prediction.heads()
    for name, head in heads.items():
        setattr(row, _COLUMNS[name], head.name)
        setattr(row, f"{_COLUMNS[name]}_probability", head.probability)
    row.probabilities = as_json({name: head.probabilities for name, head in heads.items()})
    row.measures = as_json(prediction.measures)
    row.thresholds = as_json(prediction.thresholds)
    row.needs_review = prediction.needs_review
    row.review_reason = prediction.review_reason
    row.doubts = prediction.doubts
    row.status = "review" if row.needs_review else "processed"
    if row.needs_review and prediction.sketch:
        row.sketch = sketches.decoded(prediction.sketch)
    if not row.needs_review and is_audited(row.sha256, audit_share):
        row.review_reason = ", ".join(filter(None, [row.review_reason, "audit"]))


def as_json(value: object) -> str:
    """A part of an answer as the ledger keeps it."""
    return to_json(value).decode()


def _is_unsupported(result: Failed | Predicted) -> bool:
    return isinstance(result, Failed) and result.error.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def is_audited(sha256: str, share: float) -> bool:
    """Whether a photo belongs to the share that people check although it is sure; repeats by checksum."""
    return int(sha256[:8], 16) < share * 0x1_0000_0000


def _folder_of(row: Row) -> str:
    """The folder that a photo lay in, below `incoming`; nothing for that itself."""
    return os.path.dirname(os.fsdecode(row.source))


def _point_to_firsts(rows: list[Row]) -> None:
    """Fill in where the first one lies, for duplicates of a photo that was decided in the same request."""
    firsts = {row.sha256: row.moved_to for row in rows if row.status in ("processed", "review")}
    for row in rows:
        if row.status == "duplicate" and not row.duplicate_of:
            row.duplicate_of = firsts[row.sha256]
