"""The model in service: pixels in, answers out.

predictor = Predictor(releases.current(Path("model/releases")))
predictor.predict(pixels)[0].sub.name       # pixels: uint8 (N, 224, 224, 3)
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from model.serving import cuda
from model.serving.answers import HeadAnswer, Prediction, decode
from model.serving.classes import FEATURES, HEADS, OUTPUTS
from model.serving.preprocess import INPUT_SIZE, PhotoError, read_photo
from model.serving.releases import Release, ReleaseError
from model.serving.signed import has_vnni, signed

if TYPE_CHECKING:
    from model.gpu import GpuNetwork

__all__ = ["HeadAnswer", "Prediction", "Predictor"]

STEP: Final = 8
"""Photos that the network sees at a time. It only ever sees 1 or this many: ONNX Runtime keeps memory for
every batch size it has met."""

log = logging.getLogger("nightsort.model")


class Predictor:
    """A release, ready to answer. Make it in the process that uses it (after a fork, not before).

    Raises ReleaseError when the network cannot be opened, ClassesError when the release cannot promise
    `review_precision`. May be called from several threads. `device` is "cpu" (the 8-bit network), "cuda" (the float
    one, see model/serving/cuda.py) or "auto": what there is. On a processor with VNNI the 8-bit network is used with signed
    weights, if these give the very same scores: `form` says which one it is.
    """

    def __init__(
        self,
        release: Release,
        *,
        threads: int = 1,
        review_precision: float = 0.97,
        device: Literal["auto", "cpu", "cuda"] = "cpu",
    ) -> None:
        self.release = release
        self._review_precision = review_precision
        for classes in (release.classes, *map(release.classes.of_kind, release.classes.kinds)):
            for head in HEADS:
                classes.threshold(head, review_precision)
        has_weights = (release.folder / "weights.safetensors").is_file()
        use_cuda = device == "cuda" or (device == "auto" and has_weights and cuda.available())
        self.device = "cuda" if use_cuda else "cpu"
        self.form: Literal["as released", "signed weights", "float"] = "as released"
        self._network: GpuNetwork | _OnnxNetwork
        if self.device == "cuda":
            self._network, self.form = cuda.open_network(release), "float"
        else:
            stored = release.network.read_bytes()
            self._network = _OnnxNetwork(release, stored, threads)
            if has_vnni() and (quicker := _with_signed_weights(release, stored, threads, self._network)):
                self._network, self.form = quicker, "signed weights"

    def predict(self, pixels: np.ndarray) -> list[Prediction]:
        """Answers for N photos as `read_photo` gives them: uint8 (N, 224, 224, 3)."""
        return self.answers(self.scores(pixels))

    def answers(self, scores: Mapping[str, np.ndarray]) -> list[Prediction]:
        """Answers from the raw scores of N photos."""
        return decode(
            scores,
            self.release.classes,
            review_precision=self._review_precision,
            familiar=self.release.familiar,
        )

    def scores(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """The network's raw scores, head → float32 (N, classes); `clothing` is (N,), `features`, if given, (N, 512)."""
        if pixels.ndim != 4 or pixels.shape[1:] != (INPUT_SIZE, INPUT_SIZE, 3) or pixels.dtype != np.uint8:
            raise ValueError(
                f"uint8 (N, {INPUT_SIZE}, {INPUT_SIZE}, 3) is meant, not {pixels.dtype} {pixels.shape}."
            )
        return self._network.run(pixels)

    @property
    def makes_features(self) -> bool:
        """Whether the network gives what it has seen, too, and not only scores; older ones do not."""
        return FEATURES in self._network.outputs

    @property
    def makes_sketches(self) -> bool:
        """Whether this release can say in 64 bytes what a photo looks like; older ones cannot."""
        return self.release.familiar is not None and self.makes_features

    def sketches(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """What N photos look like, from their raw scores: int8 (N, 64), close to each other for similar photos."""
        assert self.release.familiar is not None  # who asks knows that it makes some
        return self.release.familiar.sketch(scores[FEATURES])

    def check_golden(self) -> None:
        """Answer the golden photos. Raises ReleaseError when one gets an answer it must not get."""
        if not self.release.golden:
            raise ReleaseError(f"Release {self.release.version} has no golden photos: export it again.")
        for file, wanted in self.release.golden.items():
            answer = self.predict(_golden_photo(file)[None])[0]
            for head, name in wanted.items():
                given = getattr(answer, head).name
                if given != name:
                    raise ReleaseError(
                        f"Release {self.release.version} gets the golden photo {file.name} wrong ({head}: {given} instead "
                        f"of {name}): it must not be used here. `python -m model rollback` returns to the one before."
                    )


class _OnnxNetwork:
    """The exported network on ONNX Runtime."""

    def __init__(self, release: Release, content: bytes, threads: int) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        # errors only
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ReleaseError(
                f"The network of release {release.version} cannot be opened: {error}"
            ) from error
        self._input = self._session.get_inputs()[0].name
        self.outputs = tuple(output.name for output in self._session.get_outputs())
        if missing := [name for name in OUTPUTS if name not in self.outputs]:
            raise ReleaseError(f"The network of release {release.version} lacks the output {missing[0]}.")

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """See `Predictor.scores`."""
        whole = len(pixels) - len(pixels) % STEP
        steps = [pixels[i : i + STEP] for i in range(0, whole, STEP)] + [p[None] for p in pixels[whole:]]
        parts = [self._session.run(self.outputs, {self._input: step}) for step in steps or [pixels]]
        return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(self.outputs)}


def _with_signed_weights(
    release: Release, stored: bytes, threads: int, as_released: _OnnxNetwork
) -> _OnnxNetwork | None:
    """The network with signed weights; None where it has none to write so, or does not give the very same scores."""
    try:
        content = signed(stored)
        if content == stored:
            return None
        network = _OnnxNetwork(release, content, threads)
        _compare(as_released, network, np.stack([*map(_golden_photo, release.golden), *_extreme_photos()]))
    except (ValueError, ReleaseError) as error:
        log.warning("Release %s is used as released, not with signed weights: %s", release.version, error)
        return None
    return network


def _compare(first: _OnnxNetwork, second: _OnnxNetwork, pixels: np.ndarray) -> None:
    """Raises ReleaseError unless both networks give the same scores to the last bit."""
    with ThreadPoolExecutor(2) as both:
        one, other = both.map(lambda network: network.run(pixels), (first, second))
    if not all(np.array_equal(one[name], other[name]) for name in one):
        raise ReleaseError("these give other scores on this processor.")


def _golden_photo(file: Path) -> np.ndarray:
    """Raises ReleaseError when it cannot be read."""
    try:
        return read_photo(file.read_bytes(), max_megapixels=50)
    except (OSError, PhotoError) as error:
        raise ReleaseError(
            f"The golden photo {file.name} of release {file.parents[1].name} cannot be read: {error}"
        ) from error


def _extreme_photos() -> list[np.ndarray]:
    """Pixels in which numbers get as large as they can: large and small blocks of the purest colours."""
    rng = np.random.default_rng(0)
    grids = [rng.integers(0, 2, (number, number, 3), np.uint8) for number in (7, 56)]
    return [
        255 * grid.repeat(INPUT_SIZE // len(grid), 0).repeat(INPUT_SIZE // len(grid), 1) for grid in grids
    ]
