"""Schedules: what would be installed is right for this machine, is installed as shown, and goes again."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import pytest

from batch.records.ledger import Run
from batch.upkeep import install, schedule
from settings import ROOT
from tests.batch.conftest import Night


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `crontab` program that keeps its table in a file."""
    table = tmp_path / "table"
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        case $1 in
        -l) cat "{table}" 2>/dev/null || {{ echo "no crontab for you" >&2; exit 1; }} ;;
        -r) rm "{table}" ;;
        -) cat > "{table}" ;;
        esac
        """)
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return table


def test_cron_gets_a_block_of_its_own_and_loses_just_that_again(night: Night, crontab: Path) -> None:
    crontab.write_text("MAILTO=me\n5 5 * * * mine\n")
    install.carry_out(install.cron(night.settings))
    text = crontab.read_text()
    assert text.startswith(f"MAILTO=me\n5 5 * * * mine\n# nightsort: begin {ROOT}\n")
    assert f"0 2 * * *  {ROOT}/full_batch.sh >" in text
    assert "@reboot" in text
    assert install.installed() == ["cron"]
    assert install.cron(night.settings) == install.Plan()  # there already
    install.carry_out(install.cron(night.settings, remove=True))
    assert crontab.read_text() == "MAILTO=me\n5 5 * * * mine\n"
    assert install.installed() == []


def test_an_empty_crontab_is_removed_whole(night: Night, crontab: Path) -> None:
    install.carry_out(install.cron(night.settings))
    install.carry_out(install.cron(night.settings, remove=True))
    assert not crontab.exists()


def test_another_time_replaces_the_line(make_night: Callable[..., Night], crontab: Path) -> None:
    install.carry_out(install.cron(make_night().settings))
    install.carry_out(install.cron(make_night(night_at="23:45").settings))
    assert crontab.read_text().count("full_batch.sh") == 2  # the night and the catching up
    assert "45 23 * * *" in crontab.read_text()


def test_blanks_and_percent_signs_in_paths_survive_cron(
    make_night: Callable[..., Night], crontab: Path, tmp_path: Path
) -> None:
    night = make_night(log_dir=tmp_path / "my 50% logs")
    install.carry_out(install.cron(night.settings))
    assert f"'{tmp_path}/my 50\\% logs/cron.log'" in crontab.read_text()


STARTED = f"{ROOT}/full_batch.sh >{ROOT}/logs/cron.log 2>&1\n"
OURS = f"0 2 * * *  {STARTED}"
AT_START = f"@reboot    sleep 60; {ROOT}/full_batch.sh --if-missed >>{ROOT}/logs/cron.log 2>&1\n"
MINE = "5 5 * * * mine\n"
BEGIN, END = "# nightsort: begin\n", "# nightsort: end\n"
OF_ANOTHER_COPY = f"{BEGIN}0 3 * * *  /mnt/nightsort/full_batch.sh >/mnt/nightsort/logs/cron.log 2>&1\n{END}"
NAMED = f"# nightsort: begin {ROOT}\n", f"# nightsort: end {ROOT}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(MINE + BEGIN + OURS + AT_START + MINE, MINE + MINE, id="the end mark is gone"),
        pytest.param(BEGIN + MINE + OURS + MINE, MINE + MINE, id="and a line stands before ours"),
        pytest.param(MINE + OURS + AT_START + END + MINE, MINE + MINE, id="the first mark is gone"),
        pytest.param(MINE + END + MINE, MINE + END + MINE, id="an end mark alone"),
        pytest.param(BEGIN + MINE + MINE, BEGIN + MINE + MINE, id="a first mark alone"),
        pytest.param(BEGIN + OURS + BEGIN + OURS + END + MINE, MINE, id="two first marks"),
        pytest.param(BEGIN + OURS + END + MINE + BEGIN + AT_START + END, MINE, id="two blocks"),
        pytest.param(BEGIN + OURS + MINE + AT_START + END, MINE, id="a line of mine between ours"),
        pytest.param(BEGIN + f"MAILTO=me\n30 4 * * * nice {STARTED}#{OURS}{END}", "MAILTO=me\n", id="edited by hand"),
        pytest.param(BEGIN + END + MINE, MINE, id="nothing between the marks"),
        pytest.param(NAMED[0] + MINE + NAMED[1], MINE, id="all of ours taken out by hand"),
        pytest.param(OF_ANOTHER_COPY + BEGIN + OURS + END, OF_ANOTHER_COPY, id="another copy's block"),
        pytest.param(BEGIN + OURS + OF_ANOTHER_COPY, OF_ANOTHER_COPY, id="behind a block without an end"),
        pytest.param(
            f"1 1 * * * /mnt{ROOT}/full_batch.sh\n{OURS}", f"1 1 * * * /mnt{ROOT}/full_batch.sh\n{OURS}", id="no marks"
        ),
        pytest.param(MINE + BEGIN + OURS + END.strip(), MINE, id="no line break at the end"),
        pytest.param(MINE.replace("\n", "\r\n") + (BEGIN + OURS + END).replace("\n", "\r\n"),
                     MINE.replace("\n", "\r\n"), id="line breaks of Windows"),
        pytest.param("5 5 * * * \udce9 \x0c\n" + BEGIN + OURS + END, "5 5 * * * \udce9 \x0c\n", id="bytes of any kind"),
    ],
)  # fmt: skip
def test_of_a_crontab_only_our_own_lines_are_taken(
    night: Night, crontab: Path, before: str, after: str
) -> None:
    crontab.write_bytes(before.encode("utf-8", "surrogateescape"))
    install.carry_out(install.cron(night.settings, remove=True))
    left = crontab.read_bytes() if crontab.exists() else b""
    assert left == after.encode("utf-8", "surrogateescape")


def test_a_crontab_in_latin_1_is_shown_and_comes_back_byte_for_byte(
    night: Night, crontab: Path, latin_1: dict[str, str]
) -> None:
    before = "5 5 * * * echo Größe\n".encode("latin-1")
    crontab.write_bytes(before)
    settings = {"DATA_DIR": str(night.settings.data_dir), "LOG_DIR": str(night.settings.log_dir)}
    for arguments in (["--cron"], ["--cron", "--yes"], ["--cron", "--remove", "--yes"]):
        done = subprocess.run(
            [sys.executable, "-m", "batch", "install", *arguments],
            cwd=ROOT, env=os.environ | settings | latin_1, capture_output=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b""), done.stdout
        assert crontab.read_bytes().startswith(before)
    assert crontab.read_bytes() == before


def test_a_crontab_that_is_not_utf_8_can_be_shown_anywhere_and_steers_no_terminal(
    night: Night, crontab: Path
) -> None:
    crontab.write_bytes(b"5\t5 * * * echo \xff\x1b[31m\n")
    shown = str(install.cron(night.settings))
    assert shown.encode()
    assert "\x1b" not in shown
    assert "echo \\udcff\\u001b[31m" in shown


@pytest.mark.skipif(os.name != "posix", reason="names are text there")
def test_a_unit_that_would_not_be_text_is_refused(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "UNITS", tmp_path)
    settings = night.settings.model_copy(update={"data_dir": tmp_path / "caf\udce9"})
    with pytest.raises(install.InstallError, match="whose name is not UTF-8 text"):
        install.carry_out(install.systemd(settings))
    assert not list(tmp_path.glob("nightsort.*"))


def test_a_line_without_a_line_break_is_not_glued_to_ours(night: Night, crontab: Path) -> None:
    crontab.write_text("5 5 * * * mine")
    install.carry_out(install.cron(night.settings))
    assert crontab.read_text().startswith(f"5 5 * * * mine\n# nightsort: begin {ROOT}\n")


def test_lines_put_between_ours_survive_another_installation_which_is_then_done(
    night: Night, crontab: Path
) -> None:
    crontab.write_text(OF_ANOTHER_COPY + BEGIN + OURS + MINE + END)
    install.carry_out(install.cron(night.settings))
    assert crontab.read_text().startswith(OF_ANOTHER_COPY + MINE + NAMED[0])
    assert crontab.read_text().count(f"{ROOT}/full_batch.sh") == 2
    assert install.cron(night.settings) == install.Plan()


def test_another_copys_schedule_is_not_taken_for_ours(crontab: Path) -> None:
    crontab.write_text(OF_ANOTHER_COPY + f"# {OURS}0 1 * * * /mnt{ROOT}/full_batch.sh\n")
    assert install.installed() == []


def test_a_crontab_that_cannot_be_read_is_not_replaced(night: Night, crontab: Path) -> None:
    program = crontab.parent / "bin" / "crontab"
    program.write_text("#!/bin/sh\necho 'crontab: you are not allowed to use this program' >&2; exit 1\n")
    with pytest.raises(install.InstallError, match="not allowed"):
        install.cron(night.settings)
    assert install.installed() == []


def test_another_copys_units_are_neither_replaced_nor_removed(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "UNITS", tmp_path)
    (tmp_path / "nightsort.service").write_text("[Service]\nExecStart=/mnt/nightsort/full_batch.sh\n")
    for remove in (False, True):
        with pytest.raises(install.InstallError, match="another copy"):
            install.systemd(night.settings, remove=remove)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
def test_the_timer_leaves_out_no_night_when_summer_time_begins() -> None:
    times = [
        line.removeprefix("OnCalendar=")
        for line in (ROOT / "deploy" / "nightsort.timer").read_text().splitlines()
        if line.startswith("OnCalendar=")
    ]
    asked = subprocess.run(
        ["systemd-analyze", "calendar", "--base-time=2026-03-28 12:00:00", *times],
        env=os.environ | {"TZ": "Europe/Berlin", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Sun 2026-03-29 03:00:00 CEST" in asked.stdout


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
def test_systemd_finds_nothing_wrong_with_the_units(
    make_night: Callable[..., Night], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "UNITS", tmp_path)
    night = make_night(night_at="03:30", log_dir=tmp_path / "my 50% logs")
    plan = install.systemd(night.settings)
    plan.commands = []  # there may be no systemd at work here
    install.carry_out(plan)
    units = [str(tmp_path / "nightsort.service"), str(tmp_path / "nightsort.timer")]
    checked = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False
    )
    assert "nightsort" not in checked.stderr
    assert checked.returncode == 0
    service, timer = (Path(unit).read_text() for unit in units)
    assert f'"{tmp_path}/my 50%% logs"' in service
    assert str(night.settings.data_dir) in service
    assert install.EXAMPLE_ROOT not in "".join(
        line for line in service.splitlines() if not line.startswith("#")
    )
    assert [line for line in timer.splitlines() if line.startswith("OnCalendar")] == [
        "OnCalendar=*-*-* 03:30:00",
        "OnCalendar=*-*-* 04:30:00",
    ]
    assert "Persistent=true" in timer
    plan = install.systemd(night.settings, remove=True)
    plan.commands = []
    install.carry_out(plan)
    assert not Path(units[0]).exists()


def test_the_pages_are_a_service_that_is_started_again_and_may_write_where_photos_lie(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "UNITS", tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    plan = install.pages(night.settings)
    assert ["systemctl", "enable", "--now", "nightsort-pages.service"] in plan.commands
    plan.commands = []
    install.carry_out(plan)
    unit = (tmp_path / "nightsort-pages.service").read_text()
    lines = unit.splitlines()
    assert f"ExecStart={ROOT}/full_batch.sh pages" in lines
    assert "Restart=on-failure" in lines
    assert "WantedBy=multi-user.target" in lines
    assert str(night.settings.data_dir) in next(line for line in lines if line.startswith("ReadWritePaths="))
    assert not any(install.EXAMPLE_ROOT in line for line in lines if not line.startswith("#"))
    if shutil.which("systemd-analyze"):
        command = ["systemd-analyze", "verify", str(tmp_path / "nightsort-pages.service")]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "nightsort" not in checked.stderr
    plan = install.pages(night.settings, remove=True)
    plan.commands = []
    install.carry_out(plan)
    assert not (tmp_path / "nightsort-pages.service").exists()
    (tmp_path / "nightsort-pages.service").write_text(
        "[Service]\nExecStart=/mnt/nightsort/full_batch.sh pages\n"
    )
    with pytest.raises(install.InstallError, match="another copy"):
        install.pages(night.settings)


def test_on_windows_the_pages_are_a_task_that_starts_when_its_user_comes(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    plan = install.pages(night.settings)
    (text,) = plan.files.values()
    task = ET.fromstring(text)
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    assert task.findtext("t:Actions/t:Exec/t:Arguments", namespaces=space) == "pages"
    assert task.find("t:Triggers/t:LogonTrigger", namespaces=space) is not None
    assert task.findtext("t:Settings/t:ExecutionTimeLimit", namespaces=space) == "PT0S"
    assert "C:\\nightsort" not in text
    assert ["schtasks", "/Delete", "/TN", "Nightsort pages", "/F"] in install.pages(
        night.settings, remove=True
    ).commands


def test_the_task_for_windows_is_well_formed_and_starts_our_script() -> None:
    from datetime import time as time_of_day

    text = install.task_xml(time_of_day(4, 5), PureWindowsPath(r"D:\photos -- & more\nightsort"))
    task = ET.fromstring(text)
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    command = task.findtext("t:Actions/t:Exec/t:Command", namespaces=space)
    assert command == '"D:\\photos -- & more\\nightsort\\full_batch.bat"'
    assert (
        task.findtext("t:Triggers/t:CalendarTrigger/t:StartBoundary", namespaces=space)
        == "2026-01-01T04:05:00"
    )
    assert task.findtext("t:Settings/t:StartWhenAvailable", namespaces=space) == "true"


def test_what_only_root_may_do_is_refused_with_a_word(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object) -> int:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(install.InstallError, match="as root"):
        install.carry_out(install.systemd(night.settings))


def test_the_example_for_cron_has_the_lines_that_are_installed(night: Night) -> None:
    example = (ROOT / "crontab.example").read_text()
    settings = night.settings.model_copy(update={"log_dir": ROOT / "logs"})
    for line in install._cron_lines(settings.night_at, settings.log_dir):
        assert line.replace(str(ROOT), "/opt/nightsort") in example.splitlines()


def test_the_scripts_of_both_systems_start_the_same_module_with_whatever_was_typed() -> None:
    for name, all_arguments in (("full_batch.sh", '"$@"'), ("full_batch.bat", "%*")):
        assert f"-m batch.environment {all_arguments}" in (ROOT / name).read_text()
    attributes = subprocess.run(
        ["git", "check-attr", "eol", "full_batch.bat"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert attributes.returncode or attributes.stdout.strip().endswith("crlf")


CLOCK = """
import subprocess, sys
from datetime import time, timedelta
from batch.upkeep import schedule
from batch.logs import set_up
from batch.settings import BatchSettings
from settings import load
real = subprocess.Popen
schedule.subprocess.Popen = lambda command, **given: real([sys.executable, "-c", sys.argv[1]], **given)
settings = load(BatchSettings)
settings.make_folders()
set_up(settings.log_dir)
sys.exit(schedule.keep(settings, time(2), timedelta(seconds=1)))
"""


def start_clock(tmp_path: Path, night: str) -> "subprocess.Popen[str]":
    """The clock, every second, with a night of our own."""
    environment = os.environ | {"DATA_DIR": str(tmp_path / "data"), "LOG_DIR": str(tmp_path / "logs")}
    return subprocess.Popen(
        [sys.executable, "-c", CLOCK, night], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_the_clock_survives_nights_that_fail_and_ends_in_order(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    clock = start_clock(tmp_path, f"open({str(marks)!r}, 'a').write('x'); raise SystemExit(1)")
    try:
        assert wait_for(lambda: marks.exists() and len(marks.read_text()) >= 3)
    finally:
        clock.send_signal(signal.SIGTERM)
    out, _ = clock.communicate(timeout=20)
    assert clock.returncode == 0
    assert "The last night was missed: catching up." in out
    assert "The night ended with 1; the next one comes all the same." in out


def test_the_clock_ends_the_night_at_work_before_it_ends(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    night = f"""
import signal, time, pathlib
def end(*_):
    pathlib.Path({str(marks)!r}).write_text('ended in order'); raise SystemExit(143)
signal.signal(signal.SIGTERM, end)
pathlib.Path({str(marks)!r}).write_text('at work')
time.sleep(60)"""
    clock = start_clock(tmp_path, night)
    assert wait_for(lambda: marks.exists() and marks.read_text() == "at work")
    clock.send_signal(signal.SIGTERM)
    assert clock.wait(20) == 0
    assert marks.read_text() == "ended in order"


@pytest.mark.parametrize("at", ["02:00", "02:30", "03:00", "23:45"])
@pytest.mark.parametrize("start", ["2026-03-28", "2026-10-24"])
def test_the_clock_runs_one_night_a_day_when_the_hour_changes(
    monkeypatch: pytest.MonkeyPatch, at: str, start: str
) -> None:
    import datetime as dates
    from zoneinfo import ZoneInfo

    import schedule as package

    now = dates.datetime.fromisoformat(f"{start}T12:00:00+00:00")

    class Clock(dates.datetime):
        """What a clock on the wall in Berlin shows."""

        @classmethod
        def now(cls, tz: dates.tzinfo | None = None) -> "Clock":
            assert tz is None
            wall = now.astimezone(ZoneInfo("Europe/Berlin")).replace(tzinfo=None)
            return cls(wall.year, wall.month, wall.day, wall.hour, wall.minute, wall.second)

    monkeypatch.setattr("schedule.datetime.datetime", Clock)
    nights = []
    clock = package.Scheduler()
    clock.every().day.at(at).do(lambda: nights.append(now.astimezone(ZoneInfo("Europe/Berlin"))))
    for _ in range(3 * 24 * 12):
        now += dates.timedelta(minutes=5)
        clock.run_pending()
    assert len({night.date() for night in nights}) == len(nights) == 3


def test_no_run_at_all_is_a_missed_night() -> None:
    from datetime import datetime
    from datetime import time as time_of_day

    now = datetime.now().astimezone()
    assert schedule.is_missed(None, time_of_day(2), now)
    assert not schedule.is_missed(Run("r", now.isoformat()), time_of_day(2), now)
