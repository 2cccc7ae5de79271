"""What somebody meets who comes anew: pages whose links lead somewhere, one version, the same checks everywhere."""

import contextlib
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
import yaml

import in_use
import this_python
from api.__main__ import api
from batch import environment
from batch.commands import commands as night
from model.commands import commands as model
from model.lab.commands import lab
from model.user_errors import UserError
from settings import ROOT
from tests.docs.typed import can_be_typed

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "data").glob("*.md"),
        *(ROOT / "logs").glob("*.md"),
    ]
)
RUN = (ROOT / "tests" / "run.sh").read_text("utf-8")


def anchors(page: Path) -> set[str]:
    """What `#…` may name: a page's headings, as GitHub writes them."""
    lines = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE).splitlines()
    headings = (line.lstrip("#").strip() for line in lines if re.match("#+ ", line))
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)", text, re.MULTILINE)
    return [link for link in found if not link.startswith(("http://", "https://"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_of_the_docs_is_in_their_index() -> None:
    index = ROOT / "docs" / "index.md"
    pages = {path.name for path in (ROOT / "docs").iterdir() if path.suffix in (".md", ".ipynb")} - {
        index.name
    }
    assert pages <= set(links(index))


def test_the_version_stands_in_one_place() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" not in content["project"]
    assert content["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "this_python.VERSION"}


def test_the_newest_changes_are_those_of_this_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == this_python.VERSION


def test_ci_runs_what_a_developer_runs() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]
    assert [step["run"] for step in jobs["linux"]["steps"] if "run" in step] == ["bash tests/run.sh"]
    assert "\nbash tests/run.sh\n" in (ROOT / "README.md").read_text("utf-8")
    on_windows = [step["run"] for step in jobs["windows"]["steps"] if "run" in step]
    assert "full_batch.bat --demo" in on_windows
    assert any(command.endswith("pytest tests/windows") for command in on_windows)


def test_a_commit_is_checked_by_the_tools_that_the_tests_use() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]  # another one would be fetched from the network
    tools = [hook["entry"].removeprefix(".venv-tests/bin/").split(" --")[0] for hook in hooks[0]["hooks"]]
    assert tools == ["ruff check", "ruff format", "mypy"]
    assert all(f'"$venv/bin/{tool.split()[0]}"{tool.removeprefix(tool.split()[0])}' in RUN for tool in tools)


def test_the_readme_tells_how_right_the_shipped_model_is() -> None:
    version = in_use.version(ROOT / "model" / "releases")
    card = (ROOT / "model" / "releases" / version / "card.md").read_text("utf-8")
    promises = re.findall(r"^\| (0\.\d\d) \| ([\d.]+)% \| ([\d.]+)% \| ([\d.]+)% \|$", card, re.MULTILINE)
    readme = (ROOT / "README.md").read_text("utf-8")
    told = re.findall(
        r"^\| (0\.\d\d)(?: \(default\))? \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \|$", readme, re.MULTILINE
    )
    assert told == promises
    assert len(told) == 3


def commands_of_the_script() -> set[str]:
    """Every `./full_batch.sh …` of the pages that can be typed as it stands."""
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    found = re.findall(r"(?:\./full_batch\.sh|full_batch\.bat) ([^`#\n|;&]+)", text)
    return {words.strip() for words in found if not re.search("[A-Z…]|does|brings|makes|take", words)}


def test_there_are_commands_of_the_script_to_try() -> None:
    assert len(commands_of_the_script()) > 4


@pytest.mark.parametrize("typed", sorted(commands_of_the_script()))
def test_every_command_of_the_script_can_be_typed(typed: str) -> None:
    words = environment.command_of(typed.split())
    if typed != "--version":
        can_be_typed(night, words)


GROUPS = {"api": api, "batch": night, "model": model, "model.lab": lab}


def commands_of_the_packages() -> set[str]:
    """Every `python -m …` of ours in the pages; CONTRIBUTING.md has one that is an example of a new one."""
    text = "\n".join(page.read_text("utf-8") for page in PAGES if page.name != "CONTRIBUTING.md")
    found = re.findall(r"python -m ((?:model|api|batch)\b[^`#\n|;&>]*)", text.replace("\\\n", " "))
    return {" ".join(words.split()).replace("model lab", "model.lab") for words in found if "…" not in words}


def test_there_are_commands_of_the_packages_to_try() -> None:
    assert len(commands_of_the_packages()) > 40


@pytest.mark.parametrize("shown", sorted(commands_of_the_packages()))
def test_every_command_of_the_packages_can_be_typed(shown: str) -> None:
    package, *words = shlex.split(shown)
    if words in ([], ["COMMAND"]):
        return
    # a command that is only named has no arguments, and the folder of an example is not here
    with contextlib.suppress(click.MissingParameter, UserError):
        can_be_typed(GROUPS[package], words)
