"""docs/api.md: its examples run, its answer is the one that is given, and no error is missing."""

import ast
import base64
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from api.openapi import document
from api.upload import BATCH_PHOTOS
from batch.records import sketches
from settings import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:5000"
SHIPPED = ROOT / "model" / "releases"
VERSION = (SHIPPED / "CURRENT").read_text("utf-8").splitlines()[0]
PHOTO = "t-shirt-red-acceptable.jpg"
TOKEN = "a long random text"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server with the shipped release and a token."""
    releases = tmp_path_factory.mktemp("releases")
    shutil.copytree(SHIPPED / VERSION, releases / VERSION)
    shutil.copy(SHIPPED / "CURRENT", releases)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "--port", str(port), "--until-stdin-closes"],
        cwd=ROOT,
        env=os.environ | {"MODEL_DIR": str(releases), "API_TOKEN": TOKEN},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    url = ADDRESS.replace("5000", str(port))
    try:
        for _ in range(600):
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{url}/health", timeout=30).status_code == 200:
                    break
            time.sleep(0.1)
        yield url
    finally:
        process.communicate(timeout=30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the examples are started: with the files that they send."""
    shutil.copy(SHIPPED / VERSION / "golden" / PHOTO, tmp_path / "photo.jpg")
    (tmp_path / "price-list.pdf").write_bytes(b"%PDF-1.7\n")
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"API_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_curl_examples_run(server: str, folder: Path) -> None:
    if not (shutil.which("curl") and shutil.which("bash")):
        pytest.skip("curl or bash is not installed")
    one, many = (run(["bash", "-c", block.replace(ADDRESS, server)], folder) for block in blocks("sh"))
    assert json.loads(one)["sub"]["class"] == "t-shirt"
    first, second = json.loads(many)["results"]
    assert first["prediction"]["sub"]["class"] == "t-shirt"
    assert second["error"]["status"] == 415


def test_the_distance_of_sketches_is_the_one_the_night_uses() -> None:
    example: dict[str, Any] = {}
    exec(blocks("python")[1], example)
    one, other = (bytes((n * k) % 256 for n in range(64)) for k in (3, 7))
    sent = (base64.b64encode(sketch).decode() for sketch in (one, other))
    assert example["distance"](*sent) == pytest.approx(sketches.distance(one, other), abs=1e-6)


def test_the_python_example_runs(server: str, folder: Path) -> None:
    block = blocks("python")[0]
    assert run([sys.executable, "-c", block.replace(ADDRESS, server)], folder) == "t-shirt red -> the shop\n"


def test_the_javascript_example_runs(server: str, folder: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    if int(run([node, "--version"], folder).removeprefix("v").split(".")[0]) < 20:
        pytest.skip("this node is older than 20")
    (block,) = blocks("js")
    (folder / "classify.mjs").write_text(block.replace(ADDRESS, server), "utf-8")
    assert run([node, "classify.mjs"], folder) == "t-shirt red -> the shop\n"


@pytest.mark.parametrize("language", ["python", "js"])
def test_an_example_ends_with_the_servers_sentence_when_there_is_no_answer(
    language: str, server: str, folder: Path
) -> None:
    program = {"python": sys.executable, "js": shutil.which("node")}[language]
    if program is None:
        pytest.skip("node is not installed")
    (folder / "photo.jpg").write_text("not a photo")
    (folder / "example.mjs").write_text(blocks(language)[0].replace(ADDRESS, server), "utf-8")
    done = subprocess.run(
        [program, "example.mjs"],
        cwd=folder,
        env=os.environ | {"API_TOKEN": TOKEN},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "photo.jpg: Not a readable photo." in done.stderr


def test_the_answer_shown_is_the_one_that_is_given(server: str, folder: Path) -> None:
    shown, problem = (json.loads(block) for block in blocks("json"))

    def ask(body: bytes) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return requests.post(f"{server}/predict", data=body, headers=headers, timeout=60).json()

    given = ask((folder / "photo.jpg").read_bytes())
    assert without_numbers(shown) == without_numbers(given)
    assert shown["sub"]["probability"] == pytest.approx(given["sub"]["probability"], abs=0.05)
    assert problem == ask(b"not a photo")


def without_numbers(answer: Any) -> Any:
    """An answer's fields and classes; the numbers differ a little between processors."""
    if isinstance(answer, dict):
        return {key: without_numbers(value) for key, value in answer.items() if key != "top"}
    return None if isinstance(answer, float) else answer


def test_every_field_of_an_answer_is_explained() -> None:
    shown = json.loads(blocks("json")[0])
    fields = {*shown, *shown["sub"], *shown["measures"]}
    explained = PAGE.partition("| field |")[2].partition("\n\n")[0]
    assert [field for field in fields if f"`{field}`" not in explained] == []


def errors() -> Iterator[tuple[int, str]]:
    """Status and text of every error that the server's own code names; `…` stands for what differs."""
    for path in sorted((ROOT / "api").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and len(node.args) > 1):
                continue
            status, text = node.args[0], node.args[1]
            if (
                isinstance(status, ast.Constant)
                and isinstance(status.value, int)
                and 400 <= status.value < 600
            ):
                yield status.value, _template(text)


def _template(text: ast.expr) -> str:
    if isinstance(text, ast.BoolOp):  # one text or another
        text = text.values[-1]
    if isinstance(text, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in text.values)
    return str(text.value) if isinstance(text, ast.Constant) else ""


def test_there_are_errors_to_look_for() -> None:
    assert len(set(errors())) > 15


@pytest.mark.parametrize(("status", "text"), sorted(set(errors())))
def test_every_error_has_its_line(status: int, text: str) -> None:
    lines = re.findall(rf"^\| {status} \|(.*)$", PAGE, re.MULTILINE)
    words = [part.strip() for part in text.split("…") if len(part.strip()) >= 8]
    assert any(all(part in line for part in words) for line in lines), f"{status}: {text}"


def test_every_address_and_status_of_the_description_is_on_the_page() -> None:
    for path, item in document(BATCH_PHOTOS)["paths"].items():
        for method, operation in item.items():
            assert f"`{method.upper()} {path}`" in PAGE
            for status in operation["responses"]:
                assert status == "200" or f"\n| {status} |" in PAGE, status


def test_the_page_is_named_where_people_begin(server: str) -> None:
    index = requests.get(server, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30).json()
    assert "docs/api.md" in index["documentation"]
    assert "](docs/api.md)" in (ROOT / "README.md").read_text("utf-8")
