"""What gets into the image: the program and its releases, and nothing that is anybody's own."""

import pytest

from settings import ROOT
from tests.deploy.ignored import enters

PHOTOS = ("avif", "bmp", "gif", "heic", "heif", "jpeg", "jpg", "png", "tif", "tiff", "webp")


@pytest.mark.parametrize(
    "folder", ["", "data/incoming/", "data/review/", "api/", "model/", "batch/night/", "tests/"]
)
def test_no_photo_gets_in_wherever_it_lies(folder: str) -> None:
    for ending in PHOTOS:
        assert not enters(f"{folder}photo.{ending}")
        assert not enters(f"{folder}PHOTO.{ending.upper()}")


@pytest.mark.parametrize(
    "path",
    [
        ".env", "batch/.env", ".env.local", "data/ledger.sqlite3", "data/ledger.sqlite3-wal", "model/ledger.sqlite3",
        "data/predictions.csv", "data/reports/latest.html", "logs/nightsort.log", "runs/photos-1/weights.pt",
        "model/releases/IN_USE", "model/releases/PROMOTIONS", "model/releases/.IN_USE.12", "model/releases/mine-1/card.md",
        "pages-secrets.json", ".git/config", ".venv/pyvenv.cfg", ".venv-tests/bin/python", "tests/conftest.py",
        "docs/index.md", "compose.yaml", "deploy/kubernetes.yaml", "api/__pycache__/routes.cpython-313.pyc",
    ],
)  # fmt: skip
def test_what_is_somebodys_own_or_not_needed_stays_out(path: str) -> None:
    assert not enters(path)


def test_the_whole_program_and_its_releases_get_in() -> None:
    packages = [path for name in ("api", "batch", "decoder", "model") for path in (ROOT / name).rglob("*")]
    shipped = (ROOT / "model" / "releases" / "CURRENT").read_text("utf-8").splitlines()[0]
    needed = [path for path in packages if path.suffix in (".py", ".html", ".css", ".js", ".json")]
    needed += (ROOT / "model" / "releases" / shipped).rglob("*")
    needed += (ROOT / "model" / "golden").iterdir()
    needed += ROOT.glob("*.py")
    names = [path.relative_to(ROOT).as_posix() for path in needed if path.is_file()]
    names += [
        ".env.example",
        "LICENSE",
        "requirements-serve.lock",
        "model/releases/CURRENT",
        "deploy/image/entry.sh",
    ]
    ours = [name for name in names if not name.startswith("model/releases/") or shipped in name]
    assert [name for name in ours if not enters(name)] == []
