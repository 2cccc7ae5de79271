"""The work on photos: as many at a time as there are cores, no queue without end, no photo without a bound."""

import contextlib
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from api_settings import ApiSettings
from decoder import CodecError, Limits, PhotoError, Plan, require_codecs, samples
from model.serving.classes import ClassesError
from model.serving.predictor import Prediction, Predictor
from model.serving.preprocess import pixels_of, plan_photo
from model.serving.releases import ReleaseError, current

log = logging.getLogger("nightsort.api")

PHOTO_SECONDS = 30.0
"""The longest that reading one photo may take. A decoder cannot be interrupted, so the process ends."""

REQUESTS_WAITING = 72
"""So many requests may wait for a core; those beyond are asked to come back."""

EXIT_OVERDUE = 70


class BusyError(Exception):
    """Too many requests are waiting already."""


@dataclass(frozen=True)
class Answered:
    """What is said of a photo, and what was measured on the way: `batch` watches it for drift."""

    prediction: Prediction
    seconds: float
    """What reading it took."""
    brightness: float
    """The mean of its pixels, 0 to 255."""
    contrast: float
    """Their standard deviation."""
    sketch: bytes = b""
    """What it looks like, if that was asked for and the release can say it."""


class Engine:
    """Reads photos and has the network answer them.

    >>> engine = Engine(settings)  # doctest: +SKIP
    >>> engine.load()  # doctest: +SKIP
    >>> engine.answer([Path("photo.jpg").read_bytes()])  # doctest: +SKIP
    """

    def __init__(self, settings: ApiSettings) -> None:
        self.fault = ""
        """Why the model cannot be used, once `load` has found out."""
        self.cores = usable_cores()
        self._settings = settings
        self._predictor: Predictor | None = None
        self._cores_free = threading.BoundedSemaphore(self.cores)
        self._places = threading.BoundedSemaphore(self.cores + REQUESTS_WAITING)
        self._watchdog = Watchdog(PHOTO_SECONDS)
        self._limits = Limits(
            megapixels=settings.max_image_megapixels, memory_mb=settings.max_photo_memory_mb
        )
        self._memory = SharedMemory(settings.max_photo_memory_mb * 1e6)

    @property
    def predictor(self) -> Predictor | None:
        """The model in use; None until it is loaded and has answered its golden photos."""
        return self._predictor

    def load(self) -> None:
        """Load the current release and let it answer its golden photos; notes the fault if it cannot be used.

        Call it in the process that serves, after any fork: ONNX Runtime's threads do not survive one.
        """
        try:
            require_codecs()
            predictor = Predictor(
                current(self._settings.model_dir),
                threads=1,
                review_precision=self._settings.review_precision,
                device=self._settings.device,
            )
            predictor.check_golden()
        except (ReleaseError, ClassesError, CodecError) as error:
            self._cannot(str(error))
        except Exception as error:  # whatever a damaged release does, the server lives to tell it
            log.exception("A fault of the model that no check foresees")
            self._cannot(
                f"{type(error).__name__}: {error}. `python -m model rollback` returns to the one before."
            )
        else:
            self._predictor = predictor
            self._watchdog.start()
            log.info(
                "Ready: release %s (network: %s) on %d cores%s",
                predictor.release.version,
                predictor.form,
                self.cores,
                _beside(predictor),
            )

    def _cannot(self, why: str) -> None:
        self.fault = why.replace(str(self._settings.model_dir), "MODEL_DIR")  # /health is open to all
        log.error("The model cannot be used: %s", why)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue.

        Raises:
            BusyError: the queue is full.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        try:
            yield
        finally:
            self._places.release()

    def check(self, formats: Sequence[str]) -> str:
        """What is wrong with this server, or nothing: it answers its golden photos again, and reads a sample of each
        of these formats.

        A client asks when many photos fail, to learn whether the fault is theirs.
        """
        assert self._predictor is not None  # routes ask only when it is ready
        with self._cores_free, self._watchdog.watching():
            try:
                self._predictor.check_golden()
                faults = [samples.fault(name) for name in formats]
            except (ReleaseError, PhotoError, CodecError, MemoryError) as error:
                return str(error) or type(error).__name__
            return " ".join(filter(None, faults))

    def answer(self, photos: Sequence[bytes], *, sketch: bool = False) -> list[Answered | PhotoError]:
        """An answer for every photo, in order: what is on it, or why it cannot be read.

        With `sketch` also what it looks like, if the release can say it.
        """
        assert self._predictor is not None  # routes ask only when it is ready
        with self._cores_free:
            read = [self._read(photo) for photo in photos]
            seen = [found for found in read if not isinstance(found, PhotoError)]
            answers = iter(self._look(seen, sketch=sketch) if seen else [])
            return [found if isinstance(found, PhotoError) else next(answers) for found in read]

    def _look(self, read: "Sequence[tuple[np.ndarray, float]]", *, sketch: bool) -> list[Answered]:
        """The network's answers for photos' pixels, and what was measured on the way."""
        assert self._predictor is not None
        pixels = np.stack([photo for photo, _ in read])
        scores = self._predictor.scores(pixels)
        seconds = [photo_seconds for _, photo_seconds in read]
        wanted = sketch and self._predictor.makes_sketches
        sketches = [row.tobytes() for row in self._predictor.sketches(scores)] if wanted else repeat(b"")
        return list(map(Answered, self._predictor.answers(scores), seconds, *_light(pixels), sketches))

    def _read(self, photo: bytes) -> tuple[np.ndarray, float] | PhotoError:
        """A photo's pixels and the seconds that they took, or why there are none."""
        if len(photo) > self._settings.max_image_mb * 1024 * 1024:
            return PhotoError("too_large", f"The file is larger than {self._settings.max_image_mb:g} MB.")
        try:
            with self._watchdog.watching():
                plan = plan_photo(photo, self._limits)
            with self._memory.share(plan.memory), self._watchdog.watching():
                return _timed(plan)
        except PhotoError as error:
            return error


def _timed(plan: Plan) -> tuple[np.ndarray, float]:
    """A photo's pixels and the seconds that they took."""
    started = time.perf_counter()
    return pixels_of(plan), time.perf_counter() - started


def _beside(predictor: Predictor) -> str:
    return "" if predictor.device == "cpu" else f" and {predictor.device}"


def _light(pixels: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the values of each photo, uint8 (N, h, w, 3)."""
    # one pixel in sixty-four is enough to tell a dark photo from a light one
    some = pixels[:, ::8, ::8].reshape(len(pixels), -1).astype(np.float32)
    return some.mean(1).tolist(), some.std(1).tolist()


class SharedMemory:
    """An amount of memory that all photos being decoded share: one that asks for more than is left waits its turn."""

    def __init__(self, size: float) -> None:
        self._all = self._free = size
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextlib.contextmanager
    def share(self, size: float) -> Iterator[None]:
        """So many bytes of it. Whoever came first gets theirs first, so that no large photo waits for ever."""
        size, turn = min(size, self._all), object()
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is turn and self._free >= size)
                self._free -= size
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


class Watchdog:
    """Ends the process when something watched takes too long; whoever started the process starts it again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[int, float] = {}

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch what this thread does inside."""
        self._since[threading.get_ident()] = time.monotonic()
        try:
            yield
        finally:
            del self._since[threading.get_ident()]

    def _run(self) -> None:
        while True:
            time.sleep(self._seconds / 10)
            if any(time.monotonic() - since > self._seconds for since in list(self._since.values())):
                log.critical("A photo took longer than %g s; ending this process.", self._seconds)
                os._exit(EXIT_OVERDUE)


def usable_cores() -> int:
    """How many cores this process may use: its affinity and a container's limit, not what the machine has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, cores_allowed())))


def cores_allowed(root: Path = Path("/sys/fs/cgroup")) -> float:
    """How many cores the control group of a container leaves it (`docker run --cpus`, `resources.limits.cpu`).

    The files are those of cgroup v2 and v1, as a container sees its own group.
    """
    v1 = root / "cpu"
    for files in ([root / "cpu.max"], [v1 / "cpu.cfs_quota_us", v1 / "cpu.cfs_period_us"]):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            # ValueError: "max", no limit
            quota, period = map(int, " ".join(file.read_text() for file in files).split())
            if quota > 0:
                return quota / period
    return math.inf
