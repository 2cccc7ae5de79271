"""The alert rules and the dashboard: Prometheus understands them, and they ask for numbers that exist."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from settings import ROOT
from tests import small_release
from tests.api.conftest import picture
from tests.batch.conftest import Night
from tests.fake_sidecar import photo

RULES = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "nightsort.json"
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not here")


def questions() -> list[str]:
    """Every expression of the dashboard, with its variables filled in."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [target["expr"].replace("$instance", ".*") for panel in panels for target in panel["targets"]]


@needs_promtool
@pytest.mark.parametrize("words", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")])
def test_prometheus_takes_the_rules_and_they_ring_when_they_should(words: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *words], cwd=RULES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_understands_every_question_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"q{number}", "expr": expr} for number, expr in enumerate(questions())]
    path = tmp_path / "rules.yml"  # YAML has all of JSON in it
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_dashboard_ask_for_numbers_that_exist(
    make_night: Callable[..., Night], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api import create_app
    from api.engine import Engine
    from api_settings import ApiSettings
    from settings import load

    night = make_night(metrics_file=tmp_path / "nightsort.prom")
    night.drop("a.jpg", photo("a"))
    night.run()
    small_release.make(tmp_path / "served")
    settings = load(ApiSettings, model_dir=tmp_path / "served")
    engine = Engine(settings)
    engine.load()
    client = create_app(settings, engine).test_client()
    client.post("/predict", data=picture(), content_type="image/png")
    exposed = (tmp_path / "nightsort.prom").read_text() + client.get("/metrics").text
    wanted = set(re.findall(r"nightsort_\w+", " ".join(questions()) + (RULES / "alerts.yml").read_text()))
    missing = {name for name in wanted if not re.search(rf"^{name}[{{ ]", exposed, re.MULTILINE)}
    assert missing == set()


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert taken.isdisjoint(cells)
        assert place["x"] + place["w"] <= 24
        taken |= cells
