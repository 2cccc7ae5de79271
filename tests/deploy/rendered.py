"""What Helm makes of the chart: `python -m tests.deploy.rendered > deploy/kubernetes.yaml` writes the smallest case."""

from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

from settings import ROOT

CHART = ROOT / "deploy" / "chart"

HEAD = """\
# Nightsort every night on Kubernetes, without Helm: build the image from the Dockerfile, push it, put its name below, and
# `kubectl apply -f deploy/kubernetes.yaml`. This is what the chart in deploy/chart makes of its defaults
# (`helm template nightsort deploy/chart --skip-tests`); docs/deploy.md explains both.
"""

SMALLEST = ("volumes.yaml", "night.yaml")


def texts(values: dict[str, Any] | None = None, name: str = "nightsort") -> dict[str, str]:
    """Template → what it becomes; a template that becomes nothing is left out."""
    with helm.Chart.load(str(CHART)) as chart:
        chart.validate_schema(values or {})
        made = chart.render(values or {}, name=name, namespace="photos")
    return {path.partition("templates/")[2]: text for path, text in made.items() if text.strip()}


def objects(values: dict[str, Any] | None = None, name: str = "nightsort") -> dict[str, dict[str, Any]]:
    """`Kind name` → the object."""
    found = [
        one
        for path, text in texts(values, name).items()
        if path.endswith(".yaml")
        for one in yaml.safe_load_all(text)
        if one
    ]
    return {f"{one['kind']} {one['metadata']['name']}": one for one in found}


def example(name: str) -> dict[str, Any]:
    """The values of an example."""
    values: dict[str, Any] = yaml.safe_load((CHART / "examples" / f"{name}.yaml").read_text("utf-8"))
    return values


def examples() -> list[str]:
    """The names of the examples."""
    return sorted(path.stem for path in Path(CHART / "examples").glob("*.yaml"))


def smallest() -> str:
    """The text of deploy/kubernetes.yaml."""
    made = texts()
    return HEAD + "".join(f"---\n{made[path].strip().removeprefix('---').strip()}\n" for path in SMALLEST)


if __name__ == "__main__":
    print(smallest(), end="")
