"""Putting the night on a schedule, and taking it off again: cron, systemd, or the Windows Task Scheduler; and the pages.

What is installed is made from the files that lie ready in `deploy/` and `crontab.example`, with this machine's
paths and NIGHT_AT filled in. A plan is shown first; only `carry_out` changes anything.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path, PurePath
from xml.sax.saxutils import escape

from batch.exits import NotDoneError
from batch.settings import BatchSettings
from logformat import printable
from settings import ROOT

EXAMPLE_ROOT = "/opt/nightsort"
"""Where the ready files suppose the project to be."""

BEGIN, END = "# nightsort: begin", "# nightsort: end"
TASK, PAGES_TASK = "Nightsort", "Nightsort pages"
PAGES_UNIT = "nightsort-pages.service"
UNITS = Path("/etc/systemd/system")


class InstallError(NotDoneError):
    """The schedule could not be changed; the message says why."""


@dataclass
class Plan:
    """What would be done: files to write, files to remove, then commands, one of them with something to read."""

    files: dict[Path, str] = field(default_factory=dict)
    removed: list[Path] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)
    stdin: str = ""

    def __str__(self) -> str:
        parts = [f"write {path}:\n{_indented(text)}" for path, text in self.files.items()]
        parts += [f"remove {path}" for path in self.removed]
        parts += [f"run: {shlex.join(command)}" for command in self.commands]
        if self.stdin:
            parts.append(f"which reads:\n{_indented(self.stdin)}")
        return printable("\n".join(parts)) or "nothing"


def carry_out(plan: Plan) -> None:
    """Do what a plan says.

    Raises:
        InstallError: a file cannot be written, or a command fails.
    """
    for path, text in plan.files.items():
        if re.search("[\ud800-\udfff]", text):
            raise InstallError(f"{path} would name a folder whose name is not UTF-8 text; rename that folder")
    try:
        for path, text in plan.files.items():
            path.write_text(text, "utf-8")
        for path in plan.removed:
            path.unlink(missing_ok=True)
        for command in plan.commands:
            subprocess.run(command, input=_in_bytes(plan.stdin), check=True, capture_output=True)
    except PermissionError as error:
        raise InstallError(f"{error.filename} cannot be written; do it as root (sudo)") from error
    except OSError as error:
        raise InstallError(f"{error.filename}: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        words = _in_words(error.stderr or error.stdout or b"").strip()
        raise InstallError(f"{shlex.join(error.cmd)} ended with {error.returncode}: {words}") from error


def cron(settings: BatchSettings, *, remove: bool = False) -> Plan:
    """The user's crontab, with a marked block for the night, or without.

    Raises:
        InstallError: the crontab cannot be read.
    """
    before = _crontab()
    others = _without_ours(before)
    block = "".join(f"{line}\n" for line in _block(settings))
    if not remove and others and not others.endswith("\n"):
        block = f"\n{block}"
    after = others if remove else others + block
    if after == before:
        return Plan()
    return Plan(commands=[["crontab", "-"]], stdin=after) if after else Plan(commands=[["crontab", "-r"]])


def systemd(settings: BatchSettings, *, remove: bool = False) -> Plan:
    """A timer and a hardened service for the whole machine.

    Raises:
        InstallError: the units there are another copy's.
    """
    _check_ours(UNITS / "nightsort.service")
    if remove:
        return Plan(
            removed=[UNITS / "nightsort.timer", UNITS / "nightsort.service"],
            commands=[["systemctl", "disable", "--now", "nightsort.timer"], ["systemctl", "daemon-reload"]],
        )
    return Plan(
        files={
            UNITS / "nightsort.service": _service(settings, "nightsort.service"),
            UNITS / "nightsort.timer": _timer(settings.night_at),
        },
        commands=[["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", "nightsort.timer"]],
    )


def task_scheduler(settings: BatchSettings, *, remove: bool = False) -> Plan:
    """A task of the user who installs it."""
    if remove:
        return Plan(commands=[["schtasks", "/Delete", "/TN", TASK, "/F"]])
    path = Path(tempfile.gettempdir()) / "nightsort-task.xml"
    return Plan(
        files={path: task_xml(settings.night_at, ROOT)},
        commands=[["schtasks", "/Create", "/TN", TASK, "/XML", str(path), "/F"]],
    )


def task_xml(night_at: time, root: PurePath) -> str:
    """The task for a project in this folder."""
    return _task("nightsort-task.xml", root).replace("T02:00:00", f"T{night_at:%H:%M}:00")


def pages(settings: BatchSettings, *, remove: bool = False) -> Plan:
    """The pages, kept running: a service of systemd; on Windows a task that starts when its user logs on.

    Raises:
        InstallError: the unit there is another copy's.
    """
    if sys.platform == "win32":
        if remove:
            return Plan(
                commands=[
                    ["schtasks", "/End", "/TN", PAGES_TASK],
                    ["schtasks", "/Delete", "/TN", PAGES_TASK, "/F"],
                ]
            )
        path = Path(tempfile.gettempdir()) / "nightsort-pages-task.xml"
        return Plan(
            files={path: _task("nightsort-pages-task.xml", ROOT)},
            commands=[
                ["schtasks", "/Create", "/TN", PAGES_TASK, "/XML", str(path), "/F"],
                ["schtasks", "/Run", "/TN", PAGES_TASK],
            ],
        )
    unit = UNITS / PAGES_UNIT
    _check_ours(unit)
    if remove:
        return Plan(
            removed=[unit],
            commands=[["systemctl", "disable", "--now", PAGES_UNIT], ["systemctl", "daemon-reload"]],
        )
    return Plan(
        files={unit: _service(settings, PAGES_UNIT)},
        commands=[["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", PAGES_UNIT]],
    )


KINDS = {"cron": cron, "systemd": systemd, "task-scheduler": task_scheduler, "pages": pages}


def installed() -> list[str]:
    """Which schedules of the night are in place on this machine, for this copy of the project."""
    found = []
    with contextlib.suppress(InstallError):
        if any(_starts_ours(line) for line in _crontab().split("\n") if not line.lstrip().startswith("#")):
            found.append("cron")
    service = UNITS / "nightsort.service"
    if (UNITS / "timers.target.wants" / "nightsort.timer").exists() and service.exists():
        found.append("systemd")
    if sys.platform == "win32":
        asked = subprocess.run(["schtasks", "/Query", "/TN", TASK], capture_output=True, check=False)
        if asked.returncode == 0:
            found.append("the Task Scheduler")
    return found


def _cron_lines(night_at: time, log_dir: Path) -> list[str]:
    script, log = _in_crontab(ROOT / "full_batch.sh"), _in_crontab(log_dir / "cron.log")
    return [
        f"{night_at.minute} {night_at.hour} * * *  {script} >{log} 2>&1",
        f"@reboot    sleep 60; {script} --if-missed >>{log} 2>&1",
    ]


def _in_crontab(path: Path) -> str:
    return shlex.quote(str(path)).replace("%", r"\%")


def _crontab() -> str:
    """The user's crontab; nothing when there is none.

    Raises:
        InstallError: there may be one, but it cannot be read. To write a new one would lose it.
    """
    if not shutil.which("crontab"):
        return ""
    asked = subprocess.run(
        ["crontab", "-l"], env=os.environ | {"LC_ALL": "C"}, capture_output=True, check=False
    )
    if asked.returncode == 0:
        return _in_words(asked.stdout)
    words = _in_words(asked.stderr).strip()
    if re.search("no crontab|can't open.*no such file", words, re.IGNORECASE):
        return ""
    raise InstallError(f"the crontab cannot be read ({words or f'crontab -l ended with {asked.returncode}'})")


def _block(settings: BatchSettings) -> list[str]:
    """Our lines between their marks, which name this copy: another one may have its own."""
    return [f"{BEGIN} {ROOT}", *_cron_lines(settings.night_at, settings.log_dir), f"{END} {ROOT}"]


def _without_ours(crontab: str) -> str:
    """A crontab without what this copy of the project wrote into it, whatever people have made of it since.

    Of the lines between our marks only those that start this copy's script are ours; the others stay. Where one of the
    two marks is gone, the block reaches as far as the next one, or as the lines above are ours.
    """
    kept: list[str] = []
    block: list[str] = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", crontab):
        if _is_mark(line, BEGIN):
            kept += _others(block)
            block = [line]
        elif block:
            block.append(line)
            if _is_mark(line, END):
                kept += _others(block)
                block = []
        elif _is_mark(line, END):
            above = len(kept)
            while above and _starts_ours(kept[above - 1]):
                above -= 1
            kept[above:] = _others([*kept[above:], line])
        else:
            kept.append(line)
    return "".join(kept + _others(block))


def _others(block: list[str]) -> list[str]:
    """What is not ours of a block with its marks; all of it when another copy of the project made it."""
    marks = [line for line in block if _is_mark(line, BEGIN) or _is_mark(line, END)]
    ours = [line for line in block if _starts_ours(line)]
    are_ours = any(line.strip() in (f"{BEGIN} {ROOT}", f"{END} {ROOT}") for line in marks)
    if ours or are_ours or len(block) == len(marks) == 2:
        return [line for line in block if line not in marks and line not in ours]
    return block


def _is_mark(line: str, mark: str) -> bool:
    """Whether a line is this mark, with the folder of a copy or, as it was before, without."""
    return line.strip() == mark or line.strip().startswith(f"{mark} /")


def _starts_ours(text: str) -> bool:
    """Whether a line of a crontab, or a unit, starts this copy's script."""
    script = ROOT / "full_batch.sh"
    names = "|".join(re.escape(name) for name in (_in_crontab(script), _in_unit(script)))
    return re.search(rf"(?<![^\s=;&|(\"'])({names})(?![\w/.-])", text) is not None


def _in_words(output: bytes) -> str:
    return output.decode("utf-8", "surrogateescape")


def _in_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _check_ours(unit: Path) -> None:
    if unit.exists() and not _starts_ours(unit.read_text("utf-8", "replace")):
        raise InstallError(f"{unit} starts another copy of Nightsort; remove it there first")


def _service(settings: BatchSettings, name: str) -> str:
    """A ready service, with our folders: what it writes to, and who owns the project."""
    text = _ready(name)
    written = [ROOT, settings.data_dir, settings.log_dir, settings.ledger_path.parent]
    if settings.metrics_file:
        written.append(settings.metrics_file.parent)
    outside = [path for path in written[1:] if not path.is_relative_to(ROOT)]
    text = text.replace(
        f"ReadWritePaths={EXAMPLE_ROOT}",
        "ReadWritePaths=" + " ".join(_in_unit(path) for path in dict.fromkeys([ROOT, *outside])),
    )
    text = text.replace("User=nightsort", f"User={_owner(ROOT)}")
    # WorkingDirectory takes the rest of the line as it is; ExecStart is split at blanks
    text = text.replace(f"WorkingDirectory={EXAMPLE_ROOT}", f"WorkingDirectory={_percents(ROOT)}")
    return text.replace(f"{EXAMPLE_ROOT}/full_batch.sh", _in_unit(ROOT / "full_batch.sh"))


def _task(name: str, root: PurePath) -> str:
    text = re.sub("<!--.*?-->\n", "", _ready(name), flags=re.DOTALL)  # it would name our path
    return text.replace("C:\\nightsort", escape(str(root)))


def _timer(night_at: time) -> str:
    later = night_at.replace(hour=(night_at.hour + 1) % 24)
    times = {"02:00:00": f"{night_at:%H:%M}:00", "03:00:00": f"{later:%H:%M}:00"}
    return re.sub("|".join(times), lambda found: times[found[0]], _ready("nightsort.timer"))


def _in_unit(path: Path) -> str:
    quoted = _percents(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"' if " " in quoted else quoted


def _percents(path: Path) -> str:
    return str(path).replace("%", "%%")


def _owner(path: Path) -> str:
    import pwd  # not on Windows

    return pwd.getpwuid(path.stat().st_uid).pw_name


def _ready(name: str) -> str:
    return (ROOT / "deploy" / name).read_text("utf-8")


def _indented(text: str) -> str:
    return "\n".join(f"    {line.expandtabs()}" for line in text.splitlines())


def needs_root(plan: Plan) -> bool:
    """Whether a plan writes where only root may."""
    return (
        any(path.is_relative_to(UNITS) for path in [*plan.files, *plan.removed])
        and os.name == "posix"
        and os.geteuid() != 0
    )
