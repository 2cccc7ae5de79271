"""The first thing `full_batch.sh` starts: takes the run's lock, makes `.venv` if need be, becomes the night.

    python3 -m batch.environment [--demo] [options of `python -m batch run`]
    python3 -m batch.environment COMMAND [its options]

Standard library only, because nothing else is installed yet. The environment is made from `requirements-serve.lock`,
beside `.venv`, and takes its place by a rename once every package in it has been imported: `.venv` is never half
made. Whatever dies in between, the next start goes on from there. A stamp inside says from which lock and by which
Python it was made.
"""

import ast
import contextlib
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from batch.exits import Exit
from batch.lock import Lock, LockHeldError, run_lock
from batch.logs import log, set_up, tail
from this_python import VERSION
from utf8 import use_utf8, why_no_text

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements-serve.lock"
ENV_FILE = ROOT / ".env"
VENV = ROOT / ".venv"
NEXT = ROOT / ".venv.next"
"""A finished environment on its way to becoming `.venv`; on Windows it waits until nobody uses the old one."""

NEW, OLD = ".venv.new-", ".venv.old-"
"""One that is being made, and one that was replaced: with the number of the process, for nobody else."""

STAMP = "made-from"

MODULES = (
    "apprise", "argon2", "click", "dotenv", "flask", "itsdangerous", "multipart", "numpy", "onnxruntime", "PIL",
    "pillow_heif", "prometheus_client", "pydantic_settings", "requests", "schedule", "tornado", "tqdm", "xlsxwriter",
    *(["gunicorn"] if sys.platform != "win32" else []),
    *(["psutil"] if sys.platform != "linux" else []),
)  # fmt: skip
"""What has to be importable before an environment is used: the packages of requirements-serve.txt."""

PIP_SETTINGS = {
    "index-url", "extra-index-url", "no-index", "find-links", "trusted-host",
    "cert", "client-cert", "proxy", "keyring-provider", "use-feature", "use-deprecated",
    "cache-dir", "no-cache-dir", "timeout", "default-timeout", "retries", "resume-retries",
}  # fmt: skip
"""The user's pip settings that count here: how packages are reached. Those that change what is installed, or where,
do not."""

ISOLATED = ("-I", "-X", "utf8")
"""Python's options for what is run in an environment: nothing from outside is imported."""

ARE_THERE = "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))"
IMPORT = "import importlib, sys; list(map(importlib.import_module, sys.argv[1:]))"

RUN_MODULE = """
import os, runpy, signal, sys, threading

def end_with_parent():
    while os.read(0, 1):
        pass
    if os.name == "posix":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)

threading.Thread(target=end_with_parent, daemon=True).start()
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""`python -m` for a step of the set-up, which ends when this process does: then its standard input closes."""

NO_VENV = (
    "Make sure that this Python has venv (on Debian: apt install python3-venv) and the disk is not full."
)
NO_NETWORK = "Check the network (only this step needs it), then start again."

NIGHTS = ("run", "sweep", "demo")
"""The commands that sort photos: their lock is taken before anything else. The others take one themselves."""


class SetUpError(Exception):
    """The environment cannot be made; the message says why and what to do."""


def main(arguments: list[str]) -> int:
    """Take the lock, make the environment, then go on in it as the command (on POSIX: in this very process)."""
    clean_environment()
    if arguments == ["--version"]:
        print(f"Nightsort {VERSION}")
        return 0
    if problem := why_no_text(ENV_FILE):
        print(f"{problem}.", file=sys.stderr)
        return Exit.USAGE
    command = command_of(arguments)
    log_dir = ROOT / Path(setting("LOG_DIR", "logs")).expanduser()
    try:
        _set_up_log(log_dir)
        handed_over = {}
        if command[0] in NIGHTS and not {"-h", "--help"} & set(arguments):
            handed_over = take_run_lock(demo=command[0] == "demo")
        python = make_environment(log_dir / "setup.log")
        return become([str(python), "-m", "batch", *command], os.environ | handed_over)
    except LockHeldError as error:
        log.error("Not started: %s. Nothing was touched; the other run goes on.", error)
        return Exit.LOCKED
    except SetUpError as error:
        log.error("Not started: the environment in .venv could not be made: %s", error)
        return Exit.FAILED
    except OSError as error:
        log.error("Not started: %s", error)
        return Exit.FAILED
    except KeyboardInterrupt:
        log.error("Not started: interrupted while the environment was being made. Start again at any time.")
        return Exit.INTERRUPTED


def command_of(arguments: list[str]) -> list[str]:
    """What to give to `python -m batch`: a command as it is typed; without one, the night or the demo.

    >>> command_of(["--if-missed"]), command_of(["health", "--json"]), command_of(["--demo"])
    (['run', '--if-missed'], ['health', '--json'], ['demo'])
    """
    if "--demo" in arguments[:1] or (
        arguments[:1] and arguments[0].startswith("-") and "--demo" in arguments
    ):
        return ["demo", *(argument for argument in arguments if argument != "--demo")]
    if arguments in (["-h"], ["--help"]) or (arguments and not arguments[0].startswith("-")):
        return arguments
    return ["run", *arguments]


def _set_up_log(log_dir: Path) -> None:
    """The log of the night; where it cannot be written, the terminal alone: the command itself says what is wrong."""
    try:
        set_up(log_dir, setting("LOG_FORMAT", "text"))
    except OSError:
        set_up(None)


def clean_environment() -> None:
    """Forget the variables that change what Python imports, here and in everything that is started from here."""
    for name in list(os.environ):
        if name.startswith("PYTHON") or name == "VIRTUAL_ENV":
            del os.environ[name]
    os.environ["PYTHONUTF8"] = "1"


def take_run_lock(*, demo: bool) -> dict[str, str]:
    """Take the lock of the run that is about to start; returns what its environment needs to find it.

    Raises:
        LockHeldError: another run is at work there.
        OSError: the folder cannot be written to.
    """
    lock = run_lock(ledger_folder(demo=demo))
    if os.name == "posix":
        return lock.hand_over()
    lock.release()  # no program can become another there: the night takes the lock again
    return {}


def ledger_folder(*, demo: bool) -> Path:
    """Where the ledger of the run is, and so its lock."""
    data_dir = ROOT / Path(setting("DATA_DIR", "data")).expanduser()
    if demo:
        return data_dir / "demo"
    ledger = setting("LEDGER", "")
    return (ROOT / Path(ledger).expanduser()).parent if ledger else data_dir


def become(command: list[str], environment: dict[str, str]) -> int:
    """Go on as another program: in this process where the system can, else as its parent."""
    if os.name == "posix":
        with contextlib.suppress(OSError):  # the disk that it goes to may be full
            sys.stdout.flush()
        os.chdir(ROOT)
        os.execve(command[0], command, environment)  # noqa: S606 - a fixed program, and it keeps the lock
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the night's to answer
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def make_environment(report: Path) -> Path:
    """Make `.venv`, or bring it up to date; returns the Python to go on with.

    Does nothing, and needs no network, when it is ready. One that is out of date and cannot be renewed is used as
    it is, with a warning, if everything in it can be imported: better such a night than none.

    Raises:
        SetUpError: Python or the network does not let us; pip's own words are in `report`.
        OSError: the disk does not.
    """
    if _is_ready(VENV) and not _left_over():
        return _python(VENV)
    try:
        with (
            Lock(ROOT / ".venv.lock", wait=True),
            report.open("w", encoding="utf-8", errors="replace") as output,
        ):
            _take_up(output)
            for folder in (VENV, NEXT):
                if _is_ready(folder):
                    return _python(folder)
            _build(output)
            return _python(NEXT if NEXT.exists() else VENV)
    except (SetUpError, OSError) as error:
        if _import_error(VENV):
            raise
        log.warning(
            "The environment in .venv is out of date, and renewing it failed: %s\n"
            "It works: this night runs with it as it is, the next one tries again.",
            error,
        )
        return _python(VENV)


def _is_ready(folder: Path) -> bool:
    """Whether it was made from this lock by a Python like this one, and that Python still finds the packages."""
    stamp = folder / STAMP
    if not stamp.is_file() or stamp.read_text("utf-8", "replace") != _stamp():
        return False
    return _try(folder, ARE_THERE) is None


def _stamp() -> str:
    """What decides whether packages fit: the lock, and of Python what compiled packages are made for."""
    version = ".".join(map(str, sys.version_info[:2]))
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    return f"python {version} {platform.machine()}\nsha256 {digest}\n"


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _import_error(folder: Path) -> str | None:
    """Why not everything can be imported there; None if it can."""
    return _try(folder, IMPORT)


def _try(folder: Path, code: str, modules: Sequence[str] = MODULES) -> str | None:
    """Run a line of Python there on these modules; returns its last words if it fails."""
    command = [str(_python(folder)), *ISOLATED, "-c", code, *modules]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        return str(error)
    words = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return (words or ["no reason given"])[-1] if done.returncode else None


def _left_over() -> list[Path]:
    return [*ROOT.glob(f"{NEW}*"), *ROOT.glob(f"{OLD}*")]


def _take_up(output: TextIO) -> None:
    """Finish what a start that died has left, and clear it away."""
    if (NEXT / STAMP).is_file():
        _put_in_place()
    for folder in _left_over():
        _remove(folder)
    packages = VENV / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    if packages.is_dir() and _try(VENV, ARE_THERE) is not None:
        with contextlib.suppress(SetUpError):  # then it is made anew
            _reconnect(output)


def _reconnect(output: TextIO) -> None:
    """Let `.venv` use this Python, where the one that it was made with has gone and its packages have not."""
    base = _base_python()
    for link in VENV.glob("bin/python*"):
        if link.is_symlink():  # venv leaves links as they are, wherever they lead
            link.unlink()
    _step([base, "venv", "--upgrade", "--without-pip", str(VENV)], output, NO_VENV)


def _build(output: TextIO) -> None:
    """Make a new environment beside `.venv`, try it, and put it in its place."""
    verb = "Updating" if VENV.exists() else "Creating"
    log.info("%s the private Python environment in .venv (once; about a minute) ...", verb)
    had_torch = _try(VENV, ARE_THERE, ["torch"]) is None
    new = ROOT / f"{NEW}{os.getpid()}"
    try:
        _step([_base_python(), "venv", str(new)], output, NO_VENV)
        _install(_python(new), output)
        if problem := _import_error(new):
            raise SetUpError(f"a package that was installed cannot be used on this machine: {problem}")
        for script in _python(new).parent.iterdir():
            if not script.name.startswith("python"):  # it names this folder, which is about to be renamed
                _remove(script)
        (new / STAMP).write_text(_stamp(), "utf-8")
        if hasattr(os, "sync"):  # a power cut must not leave the stamp without the packages
            os.sync()
        _remove(NEXT)
        new.rename(NEXT)
    finally:
        _remove(new)
    _put_in_place()
    log.info("The environment is ready.")
    if had_torch:
        log.warning(
            "What training and DEVICE=cuda need was in the old one; install it again: "
            ".venv/bin/python -m pip install -r requirements.txt"
        )


def _base_python() -> str:
    """The Python to make environments with: one outside `.venv`, whose link would lead to itself in the end."""
    base = Path(getattr(sys, "_base_executable", sys.executable))
    return str(base.resolve() if base.is_relative_to(VENV) else base)


def _install(python: Path, output: TextIO) -> None:
    options = ["--no-input", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"]
    command = [str(python), "pip", "install", *options, "-r", str(REQUIREMENTS)]
    _step(command, output, NO_NETWORK, _pip_environment(python))


def _pip_environment(python: Path) -> dict[str, str]:
    """The variables for pip: of the user's settings, from pip's files and from variables, only PIP_SETTINGS.

    Raises:
        SetUpError: pip cannot read its files.
    """
    own = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    others = {name: value for name, value in os.environ.items() if name not in own}
    settings = _in_pip_files(python, {**others, "PIP_CONFIG_FILE": own.get("PIP_CONFIG_FILE", "")})
    settings |= {name.removeprefix("PIP_").lower().replace("_", "-"): value for name, value in own.items()}
    kept = {name: settings[name] for name in PIP_SETTINGS & settings.keys()}
    kept = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in kept.items()}
    return {**others, **kept, "PIP_CONFIG_FILE": os.devnull}


def _in_pip_files(python: Path, environment: dict[str, str]) -> dict[str, str]:
    """What the user's, the machine's and PIP_CONFIG_FILE's settings for `pip install` are."""
    plain = {"PIP_QUIET": "0", "PIP_GLOBAL": "0", "PIP_USER": "0", "PIP_SITE": "0"}  # all of them, and aloud
    asked = subprocess.run(
        [str(python), *ISOLATED, "-m", "pip", "config", "list"],
        env={**environment, **plain},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if asked.returncode:
        raise SetUpError(f"pip cannot read its settings: {asked.stderr.decode('utf-8', 'replace').strip()}")
    listed = asked.stdout.decode("utf-8", "surrogateescape")
    settings = {}
    for section in ("global", "install"):  # as for pip: what is said for `install` counts more
        for name, value in re.findall(rf"^{section}\.([\w-]+)=(['\"].*)$", listed, re.MULTILINE):
            settings[name] = ast.literal_eval(value)
    return settings


def _put_in_place() -> None:
    """Let the finished environment become `.venv`; Windows refuses while one of the two is in use: next time then."""
    old = ROOT / f"{OLD}{os.getpid()}"
    with contextlib.suppress(PermissionError):
        if os.path.lexists(VENV):
            VENV.rename(old)
        NEXT.rename(VENV)
    _remove(old)


def _remove(folder: Path) -> None:
    """Remove it as far as that is possible; what is in use stays for a later start."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _step(
    command: list[str], output: TextIO, advice: str, environment: Mapping[str, str] | None = None
) -> None:
    """Run a module with a Python, as `python -m` does; its output goes to the report, progress to the terminal.

    Whatever ends this process ends the step as well.

    Raises:
        SetUpError: it fails.
    """
    python, *words = command
    show = sys.stdout is not None and sys.stdout.isatty()
    with subprocess.Popen(
        [python, *ISOLATED, "-c", RUN_MODULE, *words],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        process_group=0 if os.name == "posix" else None,
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
            f"{' '.join(words[:2])} ended with {process.returncode}. "
            f"Its last words, the rest in {output.name}:\n{tail(Path(output.name), 8)}\n{advice}"
        )


def setting(name: str, default: str) -> str:
    """A setting before python-dotenv is there: from the environment, else from a line of `.env`, as it reads them.

    What it does not know are values of several lines, escapes in quotes and variables set in `.env` itself. The night
    reads its settings again with the real parser, and takes the right lock should they differ.
    """
    text = ENV_FILE.read_text("utf-8-sig") if ENV_FILE.is_file() else ""
    lines = re.split(r"\r\n|\n|\r", text)
    found = [line for line in map(_LINE.fullmatch, lines) if line and line["name"].upper() == name]
    values = {key.upper(): value for key, value in os.environ.items() if value}
    if not found or name in values:
        return values.get(name, default)
    value = found[-1]["quoted"] or (found[-1]["plain"] or "").strip()
    value = re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda one: os.environ.get(one[1], one[2] or ""), value)
    return value or default


_LINE = re.compile(
    r"\s*(?:export\s+)?'?(?P<name>\w+)'?\s*="
    r"(?:\s*(?P<quote>['\"])(?P<quoted>.*?)(?P=quote)\s*(?:#.*)?|(?P<plain>(?!\s*['\"]).*?)(?:\s+#.*|\s*))"
)
"""A line of `.env` that sets something; a comment after a value begins with a blank and a `#`."""


if __name__ == "__main__":
    use_utf8()
    sys.exit(main(sys.argv[1:]))
