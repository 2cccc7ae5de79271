"""What the sidecar answers: every field, with its type and its limits.

The server fills these models and describes itself by them (`/openapi.json`); the night reads with them what a server
has sent it. They stand beside the packages because both need them, and neither imports the other.
"""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import SkipJsonSchema

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Sent(BaseModel):
    """What all have in common: nothing is converted, and a field that is not known here is left out."""

    model_config = ConfigDict(strict=True, frozen=True, json_schema_serialization_defaults_required=True)


class Choice(Sent):
    """A class, and how probable it is."""

    name: str = Field(alias="class")
    probability: Probability


class Head(Choice):
    """What is said of one side of a photo: the class that was chosen, the three likeliest, and all of them."""

    top: list[Choice] = Field(max_length=3)
    probabilities: dict[str, Probability]


class Measures(Sent):
    """What was measured while a photo was answered: `batch` watches it for drift."""

    seconds: Amount
    """What reading the photo took."""
    brightness: Amount
    """The mean of its pixels, 0 to 255."""
    contrast: Amount
    """Their standard deviation."""


Absent = SkipJsonSchema[None]
"""What is not there: a head that the release has not learned is left out, and never sent as null."""


Sketch = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9+/]{86}==$",
        json_schema_extra={"contentEncoding": "base64"},
        description="64 signed bytes, close to each other for photos that look alike; only where it was asked for",
    ),
]


class Prediction(Sent):
    """What is said of one photo. `main` and `sub` never contradict each other."""

    # here a field with a default is one that may be missing
    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    main: Head
    sub: Head
    background: Head | Absent = None
    colour: Head | Absent = None
    needs_review: bool
    review_reason: str = Field(description="Why a person has to decide; reasons part at `, `")
    doubts: str = Field(description="Doubts that send no photo to a person")
    thresholds: dict[str, Amount] = Field(
        description="What decided: the probability that each of these heads needs for a photo to be filed without a person"
    )
    measures: Measures
    sketch: Sketch | Absent = None

    def heads(self) -> dict[str, Head]:
        """The heads that the release has learned, by name."""
        found = {"main": self.main, "sub": self.sub, "background": self.background, "colour": self.colour}
        return {name: head for name, head in found.items() if head is not None}


class Answer(Prediction):
    """`/predict`: what is said of the photo, and by which release."""

    model_version: str


class Problem(Sent):
    """What is wrong, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str = ""
    status: int = Field(ge=400, le=599)
    detail: str


class Predicted(Sent):
    """A photo of several that has a prediction."""

    prediction: Prediction
    error: Absent = None


class Failed(Sent):
    """A photo of several that has none."""

    error: Problem
    prediction: Absent = None


class Answers(Sent):
    """`/predict/batch`: a prediction or an error for each photo, in order."""

    model_version: str
    results: list[Annotated[Predicted | Failed, Field(union_mode="left_to_right")]]


class Classes(Sent):
    """`/classes`: which classes each head of the release in use tells apart."""

    model_version: str
    heads: dict[str, list[str]]
    main_of: dict[str, str]
    """The main category of each sub-category."""


class Health(Sent):
    """`/health`: whether the server is ready."""

    status: Literal["ready", "starting", "broken"]
    """Broken: it will not become ready by waiting, since the release is unsound."""
    model_version: str
    network: Literal["as released", "signed weights", "float", ""] = ""
    review_precision: float = Field(default=0.0, ge=0, lt=1)
    """What it promises: the share of right answers among photos that need no person; 0 where it does not say."""
    sketches: bool = False
    """Whether it can say what photos look like."""
    detail: str = ""
    instance: str = ""
    """What whoever started it calls it: API_INSTANCE."""
    uptime_seconds: Amount = 0.0


class Soundness(Sent):
    """`/check`: whether golden photos and a sample of each format in question are answered rightly."""

    sound: bool
    detail: str = ""


class Stats(Sent):
    """`/stats`: what was answered since the start."""

    uptime_seconds: Amount
    requests: dict[str, int]
    photos: dict[str, int]
    predictions: dict[str, dict[str, int]]


class Routes(Sent):
    """`/`: what there is, a sentence for each route."""

    routes: dict[str, str]
    description: str
    documentation: str


S = TypeVar("S", bound=Sent)


def written(answer: Sent) -> str:
    """An answer as it is sent, in JSON.

    >>> written(Soundness(sound=True))
    '{"sound":true,"detail":""}'
    """
    return answer.model_dump_json(by_alias=True, exclude_none=True)


def read(kind: type[S], content: bytes) -> S:
    """An answer that was sent.

    >>> read(Soundness, b'{"sound": true, "added": "by a newer server"}').sound
    True
    >>> read(Soundness, b'{"sound": "yes"}')
    Traceback (most recent call last):
    ValueError: sound: Input should be a valid boolean

    Raises:
        ValueError: it is not in the agreed form; the text names the field.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        wrong = max(
            found, key=lambda one: len(one["loc"])
        )  # of `Failed` or `Predicted`, the one that was meant
        place = ".".join(map(str, wrong["loc"]))
        raise ValueError(f"{place}: {wrong['msg']}" if place else wrong["msg"]) from None
