"""The kill campaign: real nights, killed at every step and at random moments, and what is left checked each time.

    python -m tests.faults.kills --kills 300 --photos 400

A night here is a process of its own. Most talk to a sidecar without a model, so that there is time for many;
the rest start the real one, and it is the sidecar, the batch or both that are killed. After every kill the data
folder is checked, then the next night goes on with it; when nothing is left to do, or after a dozen kills, a
last night runs in peace, and every promise is checked to the letter. Exits with 1 when one was broken.
"""

import argparse
import contextlib
import glob
import io
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from PIL import Image

from batch.__main__ import main as batch
from batch.files.companions import companions_of
from batch.files.filing import NAME_BYTES
from batch.logs import log
from batch.night import run, sweep
from batch.records.ledger import Ledger
from batch.settings import BatchSettings
from batch.upkeep import withdraw
from settings import ROOT, load
from tests import small_release
from tests.fake_sidecar import JPEG, photo
from tests.faults.dying import (
    COMMAND_STEPS,
    HALF_A_CSV,
    STEPS,
    Moment,
    die_at,
    die_in_the_middle_of_a_csv,
    meddle_with_names,
)
from tests.faults.promises import Dropped, broken_promises, checksum

KILLS_PER_FOLDER = 12
TRIES = 6
"""How many nights may miss a step that needs some luck (another disk, a name that is taken just now)."""

SHARE_OF_REAL_SIDECARS = 0.2
SHARE_OF_COMMANDS = 0.5
SHARE_OF_DROPS = 0.3
"""How often a command is killed after a night, and photos are dropped again or moved by hand."""

OTHER_DISK = Path("/dev/shm")
"""A folder on another file system than the temporary one; without it only one is used."""


@dataclass
class Figures:
    """What the campaign did and found."""

    kills: Counter[str] = field(default_factory=Counter)
    """By kind."""
    at_steps: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Kills by step and moment."""
    at_command_steps: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Nights that came to their end before they took the step that was to kill them."""
    nights: int = 0
    folders: int = 0
    photos: int = 0
    problems: list[str] = field(default_factory=list)
    keep: Path | None = None
    """Where copies of folders go in which a promise was broken."""

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        counts = Counter(problem.partition(":")[0] for problem in self.problems)
        others = len(self.problems) - sum(counts[kind] for kind in KINDS)
        return (
            f"{self.kills.total()} kills ({kinds}) in {self.nights} nights over {self.photos} photos in "
            f"{self.folders} folders; {len(self.at_steps)} of {2 * len(STEPS) + 1} step boundaries of a night, "
            f"{len(self.at_command_steps)} of {2 * len(COMMAND_STEPS)} of commands.\n"
            f"lost {counts['LOST']}, doubled {counts['DOUBLED']}, rows without a photo "
            f"{counts['ROW WITHOUT PHOTO']}, photos without a row {counts['PHOTO WITHOUT ROW']}, "
            f"torn or wrong CSVs {counts['CSV']}, other problems {others}"
        )


TELLING = (
    (HALF_A_CSV, ""),
    ("record photos", "after"),
    ("rename a photo", "after"),
    ("move a companion", "before"),
    ("append to the CSV", "after"),
    ("mark a copy as whole", "after"),
    ("remove a file", "before"),
)
"""Between these and what follows them the promises hang by a thread."""

NEEDS_TWO_DISKS = ("copy to another disk", "mark a copy as whole", "remove a file")

KINDS = ("LOST", "DOUBLED", "ROW WITHOUT PHOTO", "PHOTO WITHOUT ROW", "CSV")


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign; returns 1 when a promise was broken."""
    given = _parser().parse_args(arguments)
    chance = random.Random(given.seed)
    figures = Figures(keep=given.keep)
    steps = [(step, moment) for step in STEPS for moment in ("before", "after")] + [(HALF_A_CSV, "")]
    chance.shuffle(steps)
    # the last ones come first: short campaigns have the telling ones at least
    steps.sort(key=lambda step: TELLING.index(step) if step in TELLING else -1)
    real_kills = round(given.kills * SHARE_OF_REAL_SIDECARS) if given.sidecar == "both" else 0
    with _fake_sidecar() as url, tempfile.TemporaryDirectory() as scratch:
        while figures.kills.total() < given.kills - real_kills:
            folder = Path(scratch) / f"fake-{figures.folders}"
            _one_folder(folder, url, given.photos, chance, figures, steps, given.kills - real_kills)
            _say(figures)
        while figures.kills.total() < given.kills:
            folder = Path(scratch) / f"real-{figures.folders}"
            _one_folder_with_real_sidecar(folder, given.photos, chance, figures, given.kills)
            _say(figures)
    print(f"\n{figures}")
    if figures.missed.keys() - figures.at_steps.keys():
        print(
            "never reached:",
            *(" ".join(step) for step in figures.missed.keys() - figures.at_steps.keys()),
            sep="\n  ",
        )
    for problem in figures.problems[:20]:
        print(problem)
    return 1 if figures.problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--photos", type=int, default=400, help="in each data folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keep", type=Path, help="copy data folders in which a promise was broken to this folder"
    )
    parser.add_argument("--sidecar", choices=("fake", "both"), default="both")
    return parser


def _one_folder(
    folder: Path,
    url: str,
    photos: int,
    chance: random.Random,
    figures: Figures,
    steps: list[tuple[str, str]],
    kills: int,
) -> None:
    """Fill a data folder and kill night after night in it."""
    two_disks = figures.folders % 2 == 1
    with _on_two_disks(folder, two_disks):
        dropped = Dropped()
        _drop_photos(folder / "data" / "incoming", range(photos // 4), chance, dropped)
        _wait(_start_night(folder, url))  # the night before: now there is a CSV to be appended to
        _drop_photos(folder / "data" / "incoming", range(photos // 4, photos), chance, dropped)
        figures.folders += 1
        figures.photos += photos
        figures.nights += 2
        for _ in range(KILLS_PER_FOLDER):
            if figures.kills.total() >= kills:
                break
            fitting = [step for step in steps if two_disks or step[0] not in NEEDS_TWO_DISKS]
            step = fitting[-1] if fitting and chance.random() < 0.7 else None
            if step:
                steps.remove(step)
            if not _killed_night(folder, url, step, chance, figures):
                if step and figures.missed[step] < TRIES:
                    steps.insert(0, step)
                break
            _check(folder, dropped, figures, at_rest=False, after=str(step))
            if chance.random() < SHARE_OF_COMMANDS and figures.kills.total() < kills:
                what = _killed_command(folder, url, chance, figures)
                dropped.csv_may_lag = True
                _check(folder, dropped, figures, at_rest=False, after=what)
            if chance.random() < SHARE_OF_DROPS:  # the same photos once more, by their names of before
                again = [chance.randrange(photos) for _ in range(10)]
                _drop_photos(folder / "data" / "incoming", again, chance, dropped)
        if chance.random() < SHARE_OF_DROPS:
            _move_by_hand(folder / "data", chance)
        code = _wait(_start_night(folder, url))
        _check(folder, dropped, figures, at_rest=True, after=_last_words(folder, code))


def _last_words(folder: Path, code: int) -> str:
    """What a last night has to say that did not end well."""
    words = (folder / "night.log").read_text("utf-8", "replace")[-2000:] if code not in (0, 3) else ""
    return f"a last night that ended with {code} {words}"


def _killed_night(
    folder: Path, url: str, step: tuple[str, str] | None, chance: random.Random, figures: Figures
) -> bool:
    """A night that dies; False when it came to its end before."""
    figures.nights += 1
    if step is None:
        night = _start_night(folder, url, meddle=chance.random())
        time.sleep(chance.uniform(0.0, 1.5))
        with contextlib.suppress(ProcessLookupError):
            os.kill(night, signal.SIGKILL)
    else:
        # not always the first time; but one that was missed before may come only once
        count = (
            1
            if step in TELLING or figures.missed[step] or chance.random() < 0.5
            else 1 + int(chance.expovariate(1 / 4))
        )
        night = _start_night(folder, url, step, count, meddle=chance.random())
    if _wait(night) != -signal.SIGKILL:
        figures.missed.update([step] if step else [])
        return False
    figures.kills["at a random moment" if step is None else "at a step's boundary"] += 1
    figures.at_steps.update([step] if step else [])
    return True


def _killed_command(folder: Path, url: str, chance: random.Random, figures: Figures) -> str:
    """A `requeue`, `prune` or `doctor --fix` that dies at one of its steps, or at a random moment; says which."""
    settings = _settings(folder, url)
    command = chance.choice(_commands(settings, chance))
    step = chance.choice(list(COMMAND_STEPS)) if chance.random() < 0.8 else None
    moment: Moment = chance.choice(("before", "after"))
    count = 1 + int(chance.expovariate(1 / 3))

    def work() -> int:
        withdraw.AT_ONCE = 10
        withdraw.old_photos = lambda ledger, *_: ledger.matching("id % 10 = 3 AND moved_to != ''")
        if step:
            die_at(step, moment, count)
        return batch(command, settings)

    child = _forked(folder, work)
    if step is None:
        time.sleep(chance.uniform(0.0, 0.3))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    if _wait(child) == -signal.SIGKILL:
        figures.kills[f"of {command[0]}"] += 1
        figures.at_command_steps.update([(step, moment)] if step else [])
    return f"{command[0]} killed {moment} {step}"


def _commands(settings: BatchSettings, chance: random.Random) -> list[list[str]]:
    """What may be called on what the nights have filed so far."""
    with Ledger(settings.ledger_path) as ledger:
        runs = [run.run_id for run in ledger.runs()]
    prune = ["prune", "--days=90", "--status=processed", "--status=duplicate", "--status=review", "--yes"]
    return [
        ["requeue", "--run", chance.choice(runs)],
        ["requeue", "--failed"],
        [*prune, "--archive"],
        [*prune, "--delete"],
        ["doctor", "--fix"],
    ]


def _move_by_hand(data_dir: Path, chance: random.Random) -> None:
    """As people do in a file manager: some photos into other folders, under other names."""
    photos = [
        path
        for folder in ("processed", "review")
        for path in (data_dir / folder).rglob("*.jpg")
        if not companions_of(path)
    ]
    for number, path in enumerate(chance.sample(sorted(photos), min(5, len(photos)))):
        target = data_dir / chance.choice(
            ("review", "processed/footwear/shoes", "processed/bottomwear/pants")
        )
        target.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target / f"by hand {number}.jpg")


def _start_night(
    folder: Path, url: str, step: tuple[str, str] | None = None, count: int = 1, meddle: float = 0
) -> int:
    """A night in a child process; its process id."""

    def work() -> int:
        sweep.PHOTOS_PER_REQUEST = 8  # more steps, smaller ones
        if meddle:
            meddle_with_names(folder / "data", random.Random(meddle))
        if step and step[0] == HALF_A_CSV:
            die_in_the_middle_of_a_csv()
        elif step:
            die_at(step[0], "before" if step[1] == "before" else "after", count)
        return run.night(_settings(folder, url))

    return _forked(folder, work)


def _forked(folder: Path, work: Callable[[], int]) -> int:
    """Do it in a child process (forked: what is imported need not be imported again); returns its id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        _mute(folder / "night.log")
        log.handlers[:] = [logging.StreamHandler(sys.stderr)]
        os._exit(work())
    except BaseException as error:  # noqa: BLE001 - a child must not run on into the parent's code
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(99)


def _settings(folder: Path, url: str) -> BatchSettings:
    return load(
        BatchSettings,
        _env_file=None,
        data_dir=folder / "data",
        log_dir=folder / "logs",
        api_url=url,
        settle_seconds=0,
        error_budget=1,
    )


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _check(folder: Path, dropped: Dropped, figures: Figures, *, at_rest: bool, after: str) -> None:
    problems = broken_promises(folder / "data", dropped, at_rest=at_rest)
    for problem in problems:
        figures.problems.append(f"{problem} ({folder.name}, after {after})")
        print(figures.problems[-1], flush=True)
    if problems and figures.keep:
        shutil.copytree(folder, figures.keep / f"{folder.name}-{len(figures.problems)}", symlinks=False)


@contextlib.contextmanager
def _on_two_disks(folder: Path, two: bool) -> Iterator[None]:
    """Let `processed` lie on another file system, if there is one and it is wanted; remove everything at the end."""
    (folder / "data" / "incoming").mkdir(parents=True)
    other = Path(tempfile.mkdtemp(dir=OTHER_DISK)) if two and OTHER_DISK.is_dir() else None
    if other:
        (folder / "data" / "processed").symlink_to(other)
    try:
        yield
    finally:
        shutil.rmtree(folder)
        if other:
            shutil.rmtree(other)


def _drop_photos(incoming: Path, numbers: Iterable[int], chance: random.Random, dropped: Dropped) -> None:
    """A day's photos: sub-folders, copies, taken names, odd names, empty and broken files, companions."""
    for index in numbers:
        path = incoming / _name(index, chance)
        if any(path.parent.glob(f"{glob.escape(path.stem)}*")):
            continue  # of two photos of one stem the first has the companions, whoever had them when they were dropped
        path.parent.mkdir(parents=True, exist_ok=True)
        content = _content(index, chance)
        path.write_bytes(content)
        dropped.photos[checksum(content)] += 1
        if (
            content.startswith(JPEG) and chance.random() < 0.1
        ):  # whatever its name: only a photo has companions
            _drop_companion(path, index, chance, dropped)


def _drop_companion(photo: Path, index: int, chance: random.Random, dropped: Dropped) -> None:
    name = chance.choice((f"{photo.name}.xmp", f"{photo.stem}.Xmp"))
    edits = f"edits of {index}, {chance.random()}".encode()
    if len(os.fsencode(name)) <= NAME_BYTES and not photo.with_name(name).exists():
        photo.with_name(name).write_bytes(edits)
        dropped.companions[checksum(edits)] += 1
        dropped.photo_of[checksum(edits)] = checksum(photo.read_bytes())


def _name(index: int, chance: random.Random) -> str:
    odd = (
        "=SUM(1) {}.jpg",
        "line\nbreak {}.jpg",
        "-rf {}.jpg",
        os.fsdecode(b"caf\xe9 {}.jpg"),
        "{}" + "x" * 240 + ".jpg",
    )
    if chance.random() < 0.1:
        return chance.choice(odd).format(index)
    usual = (
        f"{index}.jpg",
        f"order {index % 7}/{index}.jpg",
        f"order {index}/front.jpg",
        f"{index}.gif",
        f"{index}",
    )
    return chance.choice(usual)


def _content(index: int, chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.02:
        return b""
    if kind < 0.12:
        return photo(f"copy {index % 5}")
    if kind < 0.16:
        return f"no photo {index}".encode()
    return photo(
        str(index),
        sub=chance.choice(("t-shirt", "pants", "shoes")),
        doubt=chance.random() < 0.2,
        broken=chance.random() < 0.05,
    )


@contextlib.contextmanager
def _fake_sidecar() -> Iterator[str]:
    """The sidecar without a model, in a process of its own: forking and threads do not go together."""
    code = (
        "import logging, sys\nlogging.getLogger('werkzeug').disabled = True\n"
        "from tests.fake_sidecar import FakeSidecar\n"
        "with FakeSidecar() as fake:\n    print(fake.url, flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait()


def _one_folder_with_real_sidecar(
    folder: Path, photos: int, chance: random.Random, figures: Figures, kills: int
) -> None:
    """Kill the sidecar, the batch, or both, while real photos are sorted with a small release."""
    with _on_two_disks(folder, two=False):
        small_release.make(folder / "releases")
        dropped = _drop_pictures(folder / "data" / "incoming", photos, chance)
        figures.folders += 1
        figures.photos += photos
        for _ in range(KILLS_PER_FOLDER):
            if figures.kills.total() >= kills:
                break
            figures.nights += 1
            night = _start_real_night(folder)
            ended = _kill_some(night, chance, figures)
            _check(folder, dropped, figures, at_rest=False, after="kills around a real sidecar")
            if ended and not list((folder / "data" / "incoming").iterdir()):
                break
        figures.nights += 1
        code = _start_real_night(folder).wait(300)
        _check(folder, dropped, figures, at_rest=True, after=_last_words(folder, code))


def _start_real_night(folder: Path) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "DATA_DIR": str(folder / "data"),
        "LOG_DIR": str(folder / "logs"),
        "MODEL_DIR": str(folder / "releases"),
        "SETTLE_SECONDS": "0",
        "ERROR_BUDGET": "1",
    }
    with (folder / "night.log").open("ab") as output:
        command = [sys.executable, "-c", REAL_NIGHT]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)


REAL_NIGHT = """
import sys
import time
from batch import __main__
from batch.night import sweep
from batch.server import client

def predict(self, *values, original=client.Client.predict, **named):
    time.sleep(0.2)  # or it would be over before anybody can kill it
    return original(self, *values, **named)

client.Client.predict = predict
sweep.PHOTOS_PER_REQUEST = 8
sys.exit(__main__.main(["run"]))
"""


def _kill_some(night: "subprocess.Popen[bytes]", chance: random.Random, figures: Figures) -> bool:
    """Kill as chance has it until the night ends; True when it ended by itself. No sidecar outlives its night."""
    servers: dict[int, psutil.Process] = {}
    while True:
        until = time.monotonic() + chance.uniform(0.5, 4)
        while time.monotonic() < until and night.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                servers.update(
                    (child.pid, child) for child in psutil.Process(night.pid).children(recursive=True)
                )
            time.sleep(0.05)
        if night.poll() is not None:
            break
        victim = chance.choice(("batch", "sidecar", "sidecar", "worker", "worker", "both"))
        alive = [server for server in servers.values() if server.is_running()]
        if victim != "batch" and not alive:
            continue
        figures.kills[f"of the {victim}" if victim != "both" else "of batch and sidecar"] += 1
        chosen = {"sidecar": alive[:1], "worker": alive[-1:], "both": alive}.get(victim, [])
        if victim in ("batch", "both"):
            night.kill()
        for server in chosen:
            with contextlib.suppress(psutil.NoSuchProcess):
                server.kill()
        if victim in ("batch", "both"):
            night.wait()
            break
    _, outliving = psutil.wait_procs(list(servers.values()), timeout=20)
    figures.problems += [f"OUTLIVES ITS NIGHT: {server}" for server in outliving]
    return night.returncode >= 0


def _drop_pictures(incoming: Path, number: int, chance: random.Random) -> Dropped:
    dropped = Dropped()
    for index in range(number):
        colour = chance.choice(((200, 20, 20), (20, 200, 20), (20, 20, 200)))
        picture = Image.new("RGB", (640, 480), colour)
        picture.putpixel((0, 0), (index % 256, index // 256, 0))
        file = io.BytesIO()
        picture.save(file, "PNG")
        (incoming / f"{index}.png").write_bytes(file.getvalue())
        dropped.photos[checksum(file.getvalue())] += 1
    return dropped


def _mute(path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)


def _say(figures: Figures) -> None:
    print(
        f"{figures.kills.total()} kills, {figures.folders} folders, {len(figures.problems)} problems",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
