"""The first thing `full_batch.sh` starts: takes the run's lock, makes `.venv` if need be, becomes the night.

    python3 -m batch.environment [--demo] [options of `python -m batch run`]

Standard library only, because nothing else is installed yet. The environment is made from
`requirements-serve.txt` once; a stamp inside says from which text and by which Python, and is written last,
so that a half-made environment is noticed and made anew.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TextIO

from batch.lock import Lock, LockHeldError, run_lock
from batch.logs import log, set_up, tail

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements-serve.txt"
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
STAMP = VENV / "made-from"

EXIT_FAILED, EXIT_LOCKED = 1, 75


class SetUpError(Exception):
    """The environment cannot be made; the message says why and what to do."""


def main(arguments: list[str]) -> int:
    """Take the lock, make the environment, then run the night in it (on POSIX: in this very process)."""
    command = ["demo"] if "--demo" in arguments else ["run"]
    command += [argument for argument in arguments if argument != "--demo"]
    log_dir = ROOT / Path(setting("LOG_DIR", "logs")).expanduser()
    try:
        set_up(log_dir, setting("LOG_FORMAT", "text"))
        handed_over = {}
        if not {"-h", "--help"} & set(arguments):
            lock = run_lock(data_dir(demo=command[0] == "demo"))
            if os.name == "posix":
                handed_over = lock.hand_over()
            else:  # no program can become another there: the night takes the lock again
                lock.release()
        with Lock(ROOT / ".venv.lock", wait=True):
            make_environment(log_dir / "setup.log")
    except LockHeldError as error:
        log.error("Not started: %s. Nothing was touched; the other run goes on.", error)
        return EXIT_LOCKED
    except (SetUpError, OSError) as error:
        log.error("Not started: %s", error)
        return EXIT_FAILED
    return become([str(PYTHON), "-m", "batch", *command], os.environ | handed_over)


def become(command: list[str], environment: dict[str, str]) -> int:
    """Go on as another program: in this process where the system can, else as its parent."""
    if os.name == "posix":
        sys.stdout.flush()
        os.chdir(ROOT)
        os.execve(command[0], command, environment)  # noqa: S606 - a fixed program, and it keeps the lock
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def make_environment(report: Path) -> None:
    """Make `.venv`, or bring it up to date; does nothing (and needs no network) when it is ready.

    Raises:
        SetUpError: Python or the network does not let us; pip's own words are in `report`.
    """
    wanted = _stamp()
    found = STAMP.read_text("utf-8") if STAMP.is_file() and PYTHON.exists() else ""
    if found == wanted:
        return
    same_python = found.splitlines()[:1] == wanted.splitlines()[:1]
    log.info(
        "%s the program's environment in .venv (once; about a minute) ...", "Updating" if found else "Making"
    )
    STAMP.unlink(missing_ok=True)
    with report.open("w", encoding="utf-8", errors="replace") as output:
        if not same_python:
            base = getattr(sys, "_base_executable", sys.executable)
            _step([base, "-m", "venv", "--clear", str(VENV)], output)
        _step(
            [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(REQUIREMENTS)],
            output,
        )
    STAMP.write_text(wanted, "utf-8")
    log.info("The environment is ready.")


def _stamp() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    return f"python {version}\nsha256 {hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()}\n"


def _step(command: list[str], output: TextIO) -> None:
    """Run one step of the set-up; its output goes to the report, what it collects to the progress line."""
    show = sys.stdout.isatty()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None  # asked for above
        for line in process.stdout:
            output.write(line)
            if show and line.startswith(("Collecting", "Installing")):
                sys.stdout.write(f"\r\033[K  {line.strip()[:70]}")
                sys.stdout.flush()
    if show:
        sys.stdout.write("\r\033[K")
    if process.returncode:
        output.flush()
        raise SetUpError(
            f"the environment could not be made ({' '.join(command[1:4])} ended with {process.returncode}). "
            f"Its last words, the rest in {output.name}:\n{tail(Path(output.name), 8)}\n"
            "Check the network (only this step needs it) and that this Python has venv "
            "(on Debian: apt install python3-venv), then start again."
        )


def data_dir(*, demo: bool) -> Path:
    """The folder whose lock this run needs."""
    folder = ROOT / Path(setting("DATA_DIR", "data")).expanduser()
    return folder / "demo" if demo else folder


def setting(name: str, default: str) -> str:
    """A setting before python-dotenv is there: from the environment, else from a plain line of `.env`.

    The night reads its settings again with the real parser, and takes the right lock should they differ.
    """
    if os.environ.get(name):
        return os.environ[name]
    env_file = ROOT / ".env"
    lines = env_file.read_text("utf-8", "replace").splitlines() if env_file.is_file() else []
    for line in reversed(lines):
        key, equals, value = line.partition("=")
        if equals and key.strip().removeprefix("export ").strip() == name:
            return value.strip().strip("'\"") or default
    return default


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
