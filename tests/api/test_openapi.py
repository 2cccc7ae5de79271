"""What the server promises of itself in `/openapi.json`, kept: schemathesis makes requests from it, sound and unsound."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.faults.fuzz_http import running_server

HEADERS = {"Authorization": "Bearer of this test"}

NOT_FOR_PHOTOS = [positive_data_acceptance, negative_data_rejection]
"""No description says which bytes are a photo; and whatever stands in a form is bytes."""


@pytest.fixture(scope="module", params=["gunicorn", "tornado"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of either kind."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_server(Path(scratch), request.param, API_TOKEN="of this test") as (port, _),
    ):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_one_that_the_description_promises(url: str, mode: GenerationMode) -> None:
    description = requests.get(f"{url}/openapi.json", headers=HEADERS, timeout=10).json()
    schema: Any = schemathesis.openapi.from_dict(description)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == len(description["paths"]) > 5
    if mode is GenerationMode.NEGATIVE:  # there is nothing to get wrong where nothing is sent
        operations = [operation for operation in operations if operation.method == "post"]
    for operation in operations:

        @seed(15)
        @settings(
            max_examples=20,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers_as_promised(case: Any) -> None:
            case.call_and_validate(url, headers=HEADERS, excluded_checks=NOT_FOR_PHOTOS)

        answers_as_promised()
