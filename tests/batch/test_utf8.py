"""Names are bytes: whatever the locale says, a photo keeps its name, and no output ends in an error."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from settings import ROOT
from tests.batch.conftest import Night
from tests.fake_sidecar import photo

pytestmark = pytest.mark.skipif(os.name != "posix", reason="names are text on Windows")

NAMES = ["Größe.jpg".encode(), "👗.jpg".encode(), "Auftrag Ä/日本.jpg".encode(), b"l\xf6we.jpg"]
ROWS = ["Größe.jpg", "👗.jpg", "Auftrag Ä/日本.jpg", r"l\xf6we.jpg"]
"""What the CSV calls them; bytes that are no UTF-8 are written as such."""

ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture(params=["ASCII", "Latin-1"])
def locale(request: pytest.FixtureRequest) -> dict[str, str]:
    found: dict[str, str] = ASCII if request.param == "ASCII" else request.getfixturevalue("latin_1")
    return found


def _python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=kept | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=120,
        check=False,
    )


def _settings(night: Night) -> dict[str, str]:
    given = night.settings
    return {
        "DATA_DIR": str(given.data_dir),
        "LOG_DIR": str(given.log_dir),
        "API_URL": str(given.api_url[0]),
        "SETTLE_SECONDS": "0",
        "AUDIT_SHARE": "0",
    }


def test_photos_keep_their_names(night: Night, locale: dict[str, str]) -> None:
    for number, name in enumerate(NAMES):
        night.drop(name, photo(str(number)))
    done = _python("-m", "batch", "run", **_settings(night), **locale)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = night.csv()
    assert sorted(row["file_name"] for row in rows) == sorted(ROWS)
    for row in rows:  # the CSV is UTF-8, and so are the names
        assert row["moved_to"].endswith(row["file_name"])
        assert os.path.isfile(os.fsencode(night.settings.data_dir) + b"/" + row["moved_to"].encode())
    assert night.waiting() == []


@pytest.mark.parametrize(
    "command", [["doctor"], ["history"], ["show", "last"], ["requeue", "--photo", "Größe.jpg"], ["config"]]
)
def test_commands_name_them_and_find_them(night: Night, locale: dict[str, str], command: list[str]) -> None:
    for number, name in enumerate(NAMES):
        night.drop(name, photo(str(number)))
    assert night.run() == 0
    done = _python("-m", "batch", *command, **_settings(night), **locale)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert ("Größe.jpg" in night.waiting()) == ("requeue" in command)


def test_folders_may_have_any_name_too(make_night: Callable[..., Night], tmp_path: Path) -> None:
    night = make_night(data_dir=Path(os.fsdecode(os.fsencode(tmp_path) + b"/L\xf6wen")))
    night.drop("photo.jpg", photo("one"))
    for command in (["run"], ["config"], ["show", "last"], ["doctor"]):
        done = _python("-m", "batch", *command, **_settings(night))
        assert done.returncode == 0, done.stdout + done.stderr
    assert [row["file_name"] for row in night.csv()] == ["photo.jpg"]


@pytest.mark.parametrize("program", ["batch", "api", "model", "model.lab"])
def test_every_program_goes_on_in_utf8_mode(program: str, locale: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\natexit.register(lambda: print('UTF-8 mode:', sys.flags.utf8_mode, file=sys.stderr))\n"
    )
    done = _python("-m", program, "--help", PYTHONPATH=str(tmp_path), **locale)
    assert done.stderr.strip().endswith("UTF-8 mode: 1"), done.stdout + done.stderr


def test_what_it_starts_is_in_utf8_mode_as_well(locale: dict[str, str]) -> None:
    code = (
        "import os, subprocess, sys\nfrom utf8 import use_utf8\nuse_utf8()\n"
        "subprocess.run([sys.executable, '-c', 'import sys; print(sys.flags.utf8_mode)'])"
    )
    assert _python("-c", code, **locale).stdout == "1\n"


def test_arguments_and_options_of_python_stay_as_they_were(locale: dict[str, str]) -> None:
    code = "import sys\nfrom utf8 import use_utf8\nuse_utf8()\nprint(sys.argv[1:], sys.flags.dev_mode)"
    done = _python("-X", "dev", "-c", code, "Größe ü", "a b", "", **locale)
    assert done.stdout == "['Größe ü', 'a b', ''] True\n"


def test_whoever_forbids_utf8_mode_is_obeyed() -> None:
    code = "import sys\nfrom utf8 import use_utf8\nuse_utf8()\nprint(sys.flags.utf8_mode)"
    assert _python("-X", "utf8=0", "-c", code, **ASCII).stdout == "0\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:strict"])
def test_what_a_terminal_cannot_show_is_written_as_an_escape(night: Night, encoding: str) -> None:
    for number, name in enumerate(NAMES):
        night.drop(name, photo(str(number)))
    settings = _settings(night) | {"DATA_DIR": f"{night.settings.data_dir}/👗"}
    done = _python("-m", "batch", "config", **settings, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("👗" if encoding == "utf-8:strict" else r"\U0001f457") in done.stdout


def test_without_a_terminal_at_all_nothing_fails() -> None:
    code = "import sys\nsys.stdout = sys.stderr = None\nfrom utf8 import use_utf8\nuse_utf8()"
    assert _python("-c", code).returncode == 0
