"""compose.yaml: one command for nights and pages, which nobody reaches but who sits at the machine."""

import re
from typing import Any

import compose_spec
import pytest
import yaml

from settings import OTHERS, ROOT, documented


def text(**environment: str) -> str:
    """The file as Docker reads it, with variables filled in from the environment or .env."""

    def value(found: re.Match[str]) -> str:
        return environment.get(found["name"]) or found["default"]

    return re.sub(
        r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}", value, (ROOT / "compose.yaml").read_text("utf-8")
    )


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    read: dict[str, dict[str, Any]] = yaml.safe_load(text())["services"]
    return read


def test_it_is_valid_by_the_compose_specification() -> None:
    read = compose_spec.PyOptions(apply_merge=True).from_yaml(text(PUID="501", PGID="20", TZ="Europe/Berlin"))
    read.validate()
    assert sorted(read.service_names()) == ["night", "pages", "train"]


def test_the_pages_are_published_on_this_machine_alone(services: dict[str, dict[str, Any]]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"pages": ["127.0.0.1:8000:8000"]}
    environment = services["pages"]["environment"]
    assert environment["PAGES_URL"] == "http://127.0.0.1:8000"
    assert environment["PAGES_PLAIN_HTTP"] == "yes"


def test_no_service_has_rights_or_writes_outside_its_folders(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["user"] == "1000:1000"
        assert service["volumes"] == ["./data:/data", "state:/state"]
        assert service["tmpfs"] == ["/tmp"]


def test_the_night_is_given_time_to_end_in_order_and_comes_back(services: dict[str, dict[str, Any]]) -> None:
    night = services["night"]
    assert night["command"] == ["schedule"]
    assert (night["restart"], night["stop_grace_period"], night["init"]) == ("unless-stopped", "2m", True)
    assert services["train"]["profiles"] == ["train"], "it does not come up with the others"


def test_what_it_sets_are_settings_and_what_it_asks_for_is_no_mistake_in_the_settings_file(
    services: dict[str, dict[str, Any]],
) -> None:
    known = documented() | set(OTHERS)
    unknown = {name for service in services.values() for name in service["environment"]} - known
    assert not {name for name in unknown if not name.startswith("PAGES_")}
    assert {"PUID", "PGID", "TZ"} <= set(OTHERS)
