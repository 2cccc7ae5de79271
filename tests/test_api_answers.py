"""What the sidecar answers, as the server sends it and the night reads it: the same models at both ends."""

import json
import math
from typing import Any

import pytest

from api_answers import Answers, Failed, Predicted, Prediction, Problem, Sent, Soundness, read, written
from tests import fake_sidecar


def answers(**changes: Any) -> bytes:
    """A batch of one photo as a server may send it, changed."""
    result = {"prediction": fake_sidecar.prediction(**changes)}
    return json.dumps({"model_version": "r", "results": [result]}).encode()


def predicted(content: bytes) -> Prediction:
    (result,) = read(Answers, content).results
    assert isinstance(result, Predicted)
    return result.prediction


def test_what_is_written_is_what_is_read() -> None:
    one = Predicted(prediction=predicted(answers()))
    other = Failed(error=Problem(title="Unprocessable Entity", status=422, detail="The photo is damaged."))
    sent = Answers(model_version="r", results=[one, other])
    assert read(Answers, written(sent).encode()) == sent


def test_a_head_that_is_not_there_is_left_out_and_never_null() -> None:
    content = json.loads(answers())
    del content["results"][0]["prediction"]["colour"]
    without = read(Answers, json.dumps(content).encode())
    assert json.loads(written(without)) == content
    (result,) = without.results
    assert isinstance(result, Predicted)
    assert set(result.prediction.heads()) == {"main", "sub", "background"}


def test_fields_of_newer_servers_are_left_out() -> None:
    assert predicted(answers(season={"class": "winter"})) == predicted(answers())


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"needs_review": "no"}, "needs_review"), ({"needs_review": 0}, "needs_review"),
     ({"review_reason": None}, "review_reason"), ({"main": None}, "main"), ({"colour": "red"}, "colour"),
     ({"thresholds": {"sub": "0.5"}}, "thresholds.sub"), ({"thresholds": {"sub": math.nan}}, "thresholds.sub"),
     ({"measures": {"seconds": -1, "brightness": 0, "contrast": 0}}, "measures.seconds"),
     ({"sub": {"class": "hat", "probability": 1.01, "top": [], "probabilities": {}}}, "sub.probability")],
)  # fmt: skip
def test_a_wrong_field_is_an_error_that_names_it(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        read(Answers, answers(**changes))


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b'"x"', b"\xff", b"[" * 100_000, b'{"sound": "\\ud800"}']
)
def test_what_is_no_answer_at_all_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(Soundness, content)


def test_an_error_repeats_nothing_that_was_sent() -> None:
    with pytest.raises(ValueError, match="sound") as error:
        read(Soundness, b'{"sound": "hush\\u001b[2J"}')
    assert "hush" not in str(error.value)


def all_models(kind: type[Sent] = Sent) -> list[type[Sent]]:
    return [kind, *(below for child in kind.__subclasses__() for below in all_models(child))]


@pytest.mark.parametrize("kind", all_models(), ids=lambda kind: kind.__name__)
def test_every_model_is_strict_and_cannot_be_changed(kind: type[Sent]) -> None:
    assert kind.model_config["strict"]
    assert kind.model_config["frozen"]
