"""The workbook of a night: typed cells, text that stays text, links to the photos, and never a reason to fail."""

import csv
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from batch.records import spreadsheet
from batch.records.ledger import CSV_COLUMNS
from tests.batch.conftest import Do, Night
from tests.fake_sidecar import photo

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
NAMES = [
    "=SUM(1).jpg",
    "-1+2",
    "00123",
    "12.50",
    "Größe #7 100%.jpg",
    "'quoted.jpg",
    "a;b,c.jpg",
    "http:a.jpg",
    "emoji \U0001f457.jpg",
    "n" * 240 + ".jpg",
]
CSV_IMPORT = "44,34,76,1,,0,false,true"
"""Comma, double quotes, UTF-8, from line 1, no quoting of all text, and recognising numbers: as docs/operations.md says."""


def workbook(night: Night) -> Path:
    (path,) = (night.settings.data_dir / "predictions").glob("*.xlsx")
    return path


def cells_of(path: Path) -> list[dict[str, tuple[str, str]]]:
    """Type and text of each cell by column, of every row but the header."""
    with zipfile.ZipFile(path) as archive:
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    lines = []
    for row in sheet.iter(f"{MAIN}row"):
        found = {}
        for cell in row.iter(f"{MAIN}c"):
            letters = cell.attrib["r"].rstrip("0123456789")
            number = 0
            for letter in letters:
                number = number * 26 + ord(letter) - 64
            text = "".join(part.text or "" for part in cell.iter() if part.tag in (f"{MAIN}t", f"{MAIN}v"))
            assert cell.find(f"{MAIN}f") is None  # no formula, whatever it begins with
            found[CSV_COLUMNS[number - 1]] = (cell.attrib.get("t", "n"), text)
        lines.append(found)
    return lines[1:]


@pytest.fixture
def named(night: Night) -> Night:
    for name in NAMES:
        night.drop(f"00042/{name}", photo(name.encode().hex()))
    assert night.run() == 0
    return night


def test_every_text_is_a_text_and_every_number_a_number(named: Night) -> None:
    lines = cells_of(workbook(named))
    assert {line["file_name"][1] for line in lines} == {f"00042/{name}" for name in NAMES}
    for line in lines:
        assert line["file_name"][0] == line["order"][0] == line["sha256"][0] == "inlineStr"
        assert line["order"][1] == "00042"
        assert line["sub_category_probability"] == ("n", "0.9")
        assert line["needs_review"] == ("b", "0")
        assert line["processed_at"][0] == "n"


def test_the_header_stays_in_sight_and_filters_are_on(named: Night) -> None:
    with zipfile.ZipFile(workbook(named)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert 'state="frozen"' in sheet
    assert f'<autoFilter ref="A1:X{len(NAMES) + 1}"/>' in sheet


def test_each_photo_is_a_link_to_where_it_lies(named: Night) -> None:
    from urllib.parse import unquote

    with zipfile.ZipFile(workbook(named)) as archive:
        links = ElementTree.fromstring(archive.read("xl/worksheets/_rels/sheet1.xml.rels"))
    folder = workbook(named).parent
    targets = [unquote(link.attrib["Target"]).replace("\\", "/") for link in links]
    assert len(targets) == len(NAMES)
    assert all((folder / target).is_file() for target in targets)


def test_only_the_first_rows_of_a_large_night_are_in_it_and_it_says_so(
    named: Night, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreadsheet, "MOST_ROWS", 4)
    assert do("export", "--xlsx", "last") == 0
    assert len(cells_of(workbook(named))) == 4
    with zipfile.ZipFile(workbook(named)) as archive:
        about = archive.read("xl/worksheets/sheet2.xml").decode()
    assert f"The first 4 of {len(NAMES)} rows" in about


def test_it_can_be_switched_off_and_written_on_request(make_night: Callable[..., Night], do: Do) -> None:
    night = make_night(xlsx="no")
    night.drop("a.jpg", photo("a"))
    night.run()
    predictions = night.settings.data_dir / "predictions"
    assert [path.suffix for path in predictions.iterdir()] == [".csv"]
    assert do("export", "--xlsx", "last") == 0
    assert sorted(path.suffix for path in predictions.iterdir()) == [".csv", ".xlsx"]
    assert do("export", "--xlsx", "no such run") == 2


def test_one_that_is_open_in_another_program_costs_a_warning_and_no_night(
    night: Night, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if target.suffix == ".xlsx":
            raise PermissionError(13, "Permission denied")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    night.drop("a.jpg", photo("a"))
    assert night.run() == 0
    assert not [name for name in os.listdir(night.settings.data_dir / "predictions") if "xlsx" in name]


def test_rows_that_are_put_back_leave_it_too(named: Night, do: Do) -> None:
    assert do("requeue", "--photo", "00042/00123") == 0
    assert len(cells_of(workbook(named))) == len(NAMES) - 1
    assert do("requeue", "--release", "fake-1") == 0
    assert not list((named.settings.data_dir / "predictions").iterdir())


@pytest.mark.skipif(
    not shutil.which("soffice"), reason="LibreOffice is not installed (apt install libreoffice-calc)"
)
@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_libreoffice_opens_it_with_umlauts_zeros_and_formulas_as_they_are(
    kind: str, named: Night, tmp_path: Path
) -> None:
    source = workbook(named) if kind == "xlsx" else named.settings.csv_path
    command = ["soffice", f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless"]
    if kind == "csv":
        # what the import dialogue sets: every column that holds names as text
        columns = "/".join(f"{number}/2" for number in range(1, len(CSV_COLUMNS) + 1))
        command.append(f"--infilter=CSV:44,34,76,1,{columns}")
    command += [
        "--convert-to",
        "csv:Text - txt - csv (StarCalc):44,34,76,1",
        "--outdir",
        str(tmp_path / "out"),
    ]
    subprocess.run([*command, str(source)], check=True, capture_output=True, timeout=120)
    (written,) = (tmp_path / "out").glob("*.csv")
    with written.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    names = {line["file_name"] for line in lines}
    wanted = {f"00042/{name}" for name in NAMES}
    assert names == wanted
    assert {line["order"] for line in lines} == {"00042"}
