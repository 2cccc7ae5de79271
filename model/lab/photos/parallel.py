"""Going through many photos with all cores and a progress bar."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int,
    what: str,
    prepare: Callable[..., Any] | None = None,
    prepared_with: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """Yield `work(item)` of all items as they are done, in any order, with a progress bar called `what`.

    `prepare` runs once in each of the `workers` processes. One worker means this very process. At most a
    few items a worker are under way at a time, so memory stays flat however many there are.
    """
    if workers <= 1:
        if prepare:
            prepare(*prepared_with)
        yield from progress(map(work, items), what, len(items))
        return
    with ProcessPoolExecutor(
        workers, initializer=_begin, initargs=(os.getpid(), prepare, prepared_with)
    ) as pool:
        try:
            yield from progress(_as_completed(pool, work, items, 4 * workers), what, len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items under a progress bar; where there is no terminal, it writes a line every 30 seconds
    at most.
    """
    return iter(
        tqdm(
            items,
            desc=what,
            total=total,
            unit="",
            smoothing=0.05,
            mininterval=_interval(),
            dynamic_ncols=True,
        )
    )


def _begin(parent: int, prepare: Callable[..., Any] | None, prepared_with: tuple[Any, ...]) -> None:
    """Begin a worker process: it leaves Ctrl-C to its parent, and ends when its parent has died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if prepare:
        prepare(*prepared_with)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _interval() -> float:
    return 0.2 if os.isatty(2) else 30.0


def _as_completed(
    pool: ProcessPoolExecutor, work: Callable[[Item], Result], items: Sequence[Item], ahead: int
) -> Iterator[Result]:
    upcoming = iter(items)
    running = {pool.submit(work, item) for _, item in zip(range(ahead), upcoming, strict=False)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        running |= {pool.submit(work, item) for _, item in zip(range(len(done)), upcoming, strict=False)}
        for future in done:
            yield future.result()
