"""The chart: what Helm's own engine makes of it is what Kubernetes' schemas allow, and what the program needs."""

from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

import this_python
from settings import ROOT, documented
from tests.deploy import rendered

VERSIONS = ("1.27", "1.37")
"""The oldest Kubernetes that the chart is for, and the newest whose schemas there are."""

EXAMPLES = ["", *rendered.examples()]


def values(example: str) -> dict[str, Any]:
    return rendered.example(example) if example else {}


def pods(made: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Name → what a pod is, of everything that makes pods."""
    found = {}
    for name, one in made.items():
        spec = one.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        spec = spec.get("template", {}).get("spec", spec)
        if "containers" in spec:
            found[name] = spec
    return found


@pytest.mark.parametrize("example", EXAMPLES)
def test_helm_finds_nothing_to_complain_of(example: str) -> None:
    found = helm.lint(str(rendered.CHART), values(example), strict=True, kube_version="v1.27.0")
    assert found["errors"] == []
    assert [message for message in found["messages"] if message["severity"] > 1] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_what_it_makes_is_valid_for_kubernetes(example: str, version: str) -> None:
    for one in rendered.objects(values(example)).values():
        kubernetes_validate.validate(one, version, strict=True)


def test_the_file_for_kubectl_is_what_the_chart_makes_of_its_defaults() -> None:
    written = (ROOT / "deploy" / "kubernetes.yaml").read_text("utf-8")
    assert written == rendered.smallest(), "python -m tests.deploy.rendered > deploy/kubernetes.yaml"
    kinds = [one["kind"] for one in yaml.safe_load_all(written)]
    assert kinds == ["PersistentVolumeClaim", "PersistentVolumeClaim", "CronJob"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_no_pod_has_rights_or_writes_outside_its_volumes(example: str) -> None:
    made = pods(rendered.objects(values(example)))
    assert made
    for spec in made.values():
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        (container,) = spec["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        places = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(places) <= {"/data", "/state", "/tmp"}
        assert set(places.values()) <= {volume["name"] for volume in spec["volumes"]}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_service_budget_scaler_and_policy_finds_its_pods(example: str) -> None:
    made = rendered.objects(values(example), name="other")
    labels = {
        name: one["spec"]["template"]["metadata"]["labels"] for name, one in made.items() if "Deploy" in name
    }
    for one in made.values():
        spec = one["spec"]
        wanted = {
            "Service": spec.get("selector"),
            "PodDisruptionBudget": spec.get("selector", {}).get("matchLabels"),
        }
        wanted["NetworkPolicy"] = spec.get("podSelector", {}).get("matchLabels")
        if one["kind"] in wanted:
            assert [name for name, has in labels.items() if wanted[one["kind"]].items() <= has.items()] == [
                f"Deployment {one['metadata']['name']}"
            ]
        if one["kind"] == "HorizontalPodAutoscaler":
            assert f"Deployment {spec['scaleTargetRef']['name']}" in labels


def test_a_night_with_sidecars_asks_them_and_they_want_its_token() -> None:
    made = rendered.objects(rendered.example("sidecars"))
    night = pods(made)["CronJob nightsort"]["containers"][0]
    address = {one["name"]: one.get("value") for one in night["env"]}["API_URL"]
    port = made["Service nightsort-sidecar"]["spec"]["ports"][0]["port"]
    assert address == f"http://nightsort-sidecar:{port}"
    assert night["envFrom"] == [{"secretRef": {"name": "nightsort", "optional": False}}]
    sidecar = pods(made)["Deployment nightsort-sidecar"]["containers"][0]
    token = {one["name"]: one for one in sidecar["env"]}["API_TOKEN"]
    assert token["valueFrom"]["secretKeyRef"] == {"name": "nightsort", "key": "API_TOKEN"}
    assert sidecar["readinessProbe"]["httpGet"]["path"] == "/health"
    assert "replicas" not in made["Deployment nightsort-sidecar"]["spec"], "the scaler's to say"


def test_the_scaler_looks_at_cores_and_at_waiting_requests_by_a_name_that_the_server_gives() -> None:
    metrics = rendered.objects(rendered.example("sidecars"))["HorizontalPodAutoscaler nightsort-sidecar"][
        "spec"
    ]["metrics"]
    assert metrics[0]["resource"]["name"] == "cpu"
    name = metrics[1]["pods"]["metric"]["name"]
    assert f'"{name}"' in (ROOT / "api" / "metrics.py").read_text("utf-8")
    alone = {"sidecar": {"enabled": True, "autoscaling": {"enabled": True}}}
    scaler = rendered.objects(alone)["HorizontalPodAutoscaler nightsort-sidecar"]
    assert len(scaler["spec"]["metrics"]) == 1, "a cluster without such metrics would not scale down"


def test_settings_go_to_every_pod_and_are_settings() -> None:
    given = {"settings": {"REVIEW_PRECISION": "0.98", "LOG_FORMAT": "text"}, "sidecar": {"enabled": True}}
    for name, spec in pods(rendered.objects(given)).items():
        if name != "Pod nightsort-test":
            env = spec["containers"][0]["env"]
            assert [one["value"] for one in env if one["name"] == "REVIEW_PRECISION"] == ["0.98"]
            assert [one["value"] for one in env if one["name"] == "LOG_FORMAT"] == ["text"]
    ours = {
        one["name"]
        for example in EXAMPLES
        for spec in pods(rendered.objects(values(example))).values()
        for one in spec["containers"][0].get("env", [])
    }
    assert ours - {"PAGES_URL"} <= documented()


def test_pages_share_the_volume_with_the_night_on_one_node() -> None:
    made = rendered.objects(rendered.example("pages"))
    claims = [one["spec"]["accessModes"] for name, one in made.items() if name.startswith("Persistent")]
    assert claims == [["ReadWriteOnce"], ["ReadWriteOnce"]]
    (rule,) = pods(made)["CronJob nightsort"]["affinity"]["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    labels = made["Deployment nightsort-pages"]["spec"]["template"]["metadata"]["labels"]
    assert rule["labelSelector"]["matchLabels"] == labels
    rules = made["Ingress nightsort-pages"]["spec"]["rules"]
    assert rules[0]["host"] == "photos.example.org"
    with pytest.raises(helm.HelmRenderError, match=r"data\.accessMode=ReadWriteOnce"):
        rendered.objects({"pages": {"enabled": True, "url": "https://a.example.org"}})


@pytest.mark.parametrize(
    "wrong",
    [
        {"sidecars": {"enabled": True}},
        {"sidecar": {"replicas": 0}},
        {"settings": {"API_TOKEN": "abc"}},
        {"settings": {"REVIEW_PRECISION": 0.98}},
        {"pages": {"enabled": True}},
        {"pages": {"enabled": True, "url": "http://plain.example.org"}},
        {"night": {"schedule": "nightly at two"}},
        {"data": {"accessMode": "ReadWriteMany"}},
        {"image": {"repository": ""}},
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_installed(wrong: dict[str, Any]) -> None:
    with pytest.raises(helm.HelmError), helm.Chart.load(str(rendered.CHART)) as chart:
        chart.validate_schema(wrong)


def test_the_chart_is_of_the_programs_version() -> None:
    chart = yaml.safe_load((rendered.CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == chart["version"] == this_python.VERSION
