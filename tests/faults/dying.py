"""Dying at a named step of a night, as `kill -9` does it. For tests: the product has no hooks for this."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NoReturn

from batch.decisions import leases
from batch.files import acts, companions, filing
from batch.night import run, sweep
from batch.records import cells, csv_files
from batch.records.ledger import CSV_COLUMNS, Ledger, Row

Moment = Literal["before", "after"]

STEPS: dict[str, tuple[Any, str]] = {
    "note the run's start": (Ledger, "start_run"),
    "record photos": (Ledger, "record"),
    "take another name": (Ledger, "move_elsewhere"),
    "withdraw a row": (Ledger, "withdraw"),
    "remember the CSV": (Ledger, "set_note"),
    "note the run's end": (Ledger, "end_run"),
    "decide on a request": (sweep.Sweep, "_decide"),
    "choose a name": (filing, "choose_name"),
    "file a photo": (filing, "file_photo"),
    "rename a photo": (filing, "rename_new"),
    "look for companions": (companions.Folder, "companions_of"),
    "move a companion": (filing, "_move_companion"),
    "copy to another disk": (filing, "_copy_bytes"),
    "check a copy": (filing, "digest"),
    "mark a copy as whole": (Path, "touch"),
    "remove a file": (Path, "unlink"),
    "sync folders": (filing, "sync_folders"),
    "sync a file": (os, "fsync"),
    "remove empty folders": (filing, "remove_empty"),
    "finish earlier moves": (filing, "recover"),
    "update the CSV": (csv_files, "update_csv"),
    "append to the CSV": (csv_files, "_write"),
    "write a CSV": (csv_files, "write_csv"),
    "replace a CSV": (Path, "replace"),
    "export the run": (csv_files, "export_run"),
    "export everything": (run, "_export"),
}
"""What a night does, and the function that does it."""

COMMAND_STEPS: dict[str, tuple[Any, str]] = {
    "plan what is to be done": (Ledger, "plan"),
    "note that it is done": (Ledger, "finish"),
    "forget what cannot be done": (Ledger, "give_up"),
    "move one photo": (filing, "move_photo"),
    "clear up after a dead move": (filing, "clear_up"),
    "delete one photo": (acts, "_delete"),
    "let a row follow its photo": (Ledger, "follow"),
    "remember the folders": (Ledger, "set_folder_times"),
    "update every CSV": (csv_files, "update_all"),
}
"""What `requeue`, `prune` and `doctor --fix` do, and nights that finish it."""

DESK_STEPS: dict[str, tuple[Any, str]] = {
    "lease photos": (leases, "tidy"),
    "write a decision down": (Ledger, "decide"),
    "move a decided photo": (filing, "move_photo"),
    "rename a decided photo": (filing, "rename_new"),
    "bring a decision to disk": (filing, "sync_folders"),
    "note that a decision is done": (Ledger, "finish"),
    "remove an emptied folder": (acts, "_remove_empty_folders"),
    "finish what a dead one began": (acts, "perform"),
}
"""What a person's decision does, and undoing it."""

HALF_A_CSV = "write half a CSV"


def die_at(step: str, moment: Moment, count: int) -> None:
    """Let this process be killed before, or after, the `count`-th time that it does this step."""
    owner, name = (STEPS | COMMAND_STEPS | DESK_STEPS)[step]
    original = getattr(owner, name)
    calls = 0

    def dying(*values: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        ours = calls == count
        if ours and moment == "before":
            die()
        result = original(*values, **named)
        if ours:
            die()
        return result

    setattr(owner, name, dying)


def die_in_the_middle_of_a_csv() -> None:
    """Let this process be killed with half of the new rows' bytes in predictions.csv."""
    original = csv_files._write

    def half(rows: Iterator[Row], file: Any) -> int:
        if "predictions.csv" not in str(file.name):
            return original(rows, file)
        text = cells.text_of_lines(map(cells.cells, islice(rows, len(CSV_COLUMNS))))
        file.write(text[: len(text) // 2])
        file.flush()
        die()

    change: Callable[[str, Any], None] = csv_files.__dict__.__setitem__
    change("_write", half)


SOMEBODYS = b"somebody's own file"


def meddle_with_names(data_dir: Path, chance: random.Random) -> None:
    """Let somebody now and then take the name that was just chosen for a photo, or touch the photo."""
    original = filing.choose_name

    def meddling(*values: Any) -> str:
        name, row = original(*values), values[1]
        if chance.random() < 0.03:
            (data_dir / name).parent.mkdir(parents=True, exist_ok=True)
            _write_at_once(data_dir / name, SOMEBODYS)
        elif chance.random() < 0.03:
            (data_dir / "incoming" / os.fsdecode(row.source)).touch()
        return name

    change: Callable[[str, Any], None] = filing.__dict__.__setitem__
    change("choose_name", meddling)


def _write_at_once(path: Path, content: bytes) -> None:
    """Whole or not at all: this process may be killed at any moment, and half of it would be nobody's file."""
    try:
        file = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY)
        try:
            os.write(file, content)
            os.link(f"/proc/self/fd/{file}", path, follow_symlinks=True)
        finally:
            os.close(file)
    except FileExistsError:
        pass
    except (AttributeError, OSError):  # a system or a disk without such files
        path.write_bytes(content)


def die() -> NoReturn:
    """End at once, without a word, as a power cut or the kernel's OOM killer does it."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")
