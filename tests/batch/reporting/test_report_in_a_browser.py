"""The reports as a browser shows them: readable for everybody, on every screen, on paper, without a script."""

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.batch.reporting.sample_reports import CHROMIUM, KINDS, THEMES, WIDTHS, browser, make

MISSING = [name for name in ("playwright", "axe_playwright_python") if not importlib.util.find_spec(name)]
pytestmark = [
    pytest.mark.optional,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium here (apt-get install chromium)"),
    pytest.mark.skipif(
        bool(MISSING), reason=f"not installed here: {', '.join(MISSING)} (requirements-dev.txt)"
    ),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module", params=KINDS)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp(request.param), request.param)


@pytest.mark.parametrize(("theme", "width"), list(zip(THEMES, (min(WIDTHS), max(WIDTHS)), strict=True)))
def test_axe_finds_nothing(page: Path, chromium: Any, theme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, bypass_csp=True
    )
    tab = context.new_page()
    tab.goto(page.as_uri())
    for details in tab.query_selector_all("details"):
        details.evaluate("one => { one.open = true }")
    found = Axe().run(tab)
    context.close()
    assert found.response["passes"]  # it has looked
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(page: Path, chromium: Any, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, bypass_csp=True)
    tab = context.new_page()
    tab.goto(page.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_every_link_leads_somewhere(page: Path, chromium: Any) -> None:
    tab = chromium.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.goto(page.as_uri())
    for link in tab.query_selector_all("a"):
        address = link.evaluate("one => one.href")
        path, _, anchor = address.removeprefix("file://").partition("#")
        assert Path(unquote(path)).exists(), address
        if anchor:
            assert tab.query_selector(f"#{anchor}"), address
    tab.close()
    assert complaints == []  # the page keeps its own Content-Security-Policy


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="no pdftotext here (apt-get install poppler-utils)")
def test_no_page_of_paper_holds_the_foot_alone(page: Path, chromium: Any, tmp_path: Path) -> None:
    context = chromium.new_context(bypass_csp=True)
    tab = context.new_page()
    tab.goto(page.as_uri())
    foot = str(tab.inner_text("footer"))[:25]
    tab.evaluate("document.querySelector('main').prepend(document.createElement('div'))")
    for height in range(0, 1000, 190):  # pages that break at other places
        tab.evaluate(
            "height => { document.querySelector('main > div').style.height = `${height}px` }", height
        )
        tab.pdf(path=tmp_path / "page.pdf", format="A4", prefer_css_page_size=True)
        subprocess.run(["pdftotext", "page.pdf"], cwd=tmp_path, check=True)
        last = (tmp_path / "page.txt").read_text("utf-8").rstrip("\f").rpartition("\f")[2]
        assert foot in " ".join(last.split())
        assert not " ".join(last.split()).startswith(foot), f"alone with {height} px above"
    context.close()
