"""The model in service: same answers one by one or together, no growing memory, no torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from model.serving import cuda, releases
from model.serving.classes import ClassesError
from model.serving.predictor import Predictor
from model.serving.preprocess import read_photo
from model.serving.releases import ReleaseError
from model.serving.signed import has_vnni, signed
from settings import ROOT
from tests import small_release

RELEASES = ROOT / "model" / "releases"


@pytest.fixture
def release(tmp_path: Path) -> releases.Release:
    return releases.load(small_release.make(tmp_path, "one"))


@pytest.fixture
def eight_bits(tmp_path: Path) -> releases.Release:
    """A release whose network has unsigned weights: its scores come from one convolution in 8 bits."""
    folder = small_release.make(tmp_path, "eight-bits")
    small_release.quantise(folder)
    return releases.load(folder)


def photos(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 224, 224, 3), np.uint8)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 20])
def test_every_photo_gets_its_own_answer_however_many_come_together(
    release: releases.Release, n: int
) -> None:
    predictor, pixels = Predictor(release), photos(n)
    together = predictor.predict(pixels)
    assert together == [predictor.predict(photo[None])[0] for photo in pixels]


@pytest.mark.parametrize(
    "pixels", [np.zeros((1, 224, 224)), np.zeros((1, 100, 100, 3), np.uint8), np.zeros((224, 224, 3))]
)
def test_other_pixels_are_refused(release: releases.Release, pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        Predictor(release).predict(pixels)


def test_the_way_to_a_cuda_device_gives_the_answers_of_the_8_bit_network() -> None:
    """Tried on the CPU, in single precision: the weights, the reduction and the heads' order are the same."""
    pytest.importorskip("torch", reason="the way to a CUDA device is PyTorch")
    shipped = releases.current(RELEASES)
    pixels = np.stack([read_photo(file.read_bytes(), max_megapixels=50) for file in shipped.golden])
    scores = cuda.open_network(shipped, device="cpu").run(pixels)
    exported = Predictor(shipped).scores(pixels)
    assert scores.keys() >= exported.keys()
    for head in ("main", "sub", "background", "colour"):
        assert (scores[head].argmax(1) == exported[head].argmax(1)).mean() >= 0.9


def test_a_cuda_device_that_is_not_there_is_a_sentence(release: releases.Release) -> None:
    if cuda.available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ReleaseError, match="DEVICE=cuda"):
        Predictor(release, device="cuda")
    assert Predictor(release, device="auto").device == "cpu"


@pytest.mark.parametrize("has_vnni", [True, False])
def test_signed_weights_are_taken_where_the_processor_has_vnni_and_change_no_score(
    eight_bits: releases.Release, monkeypatch: pytest.MonkeyPatch, has_vnni: bool
) -> None:
    monkeypatch.setattr("model.serving.predictor.has_vnni", lambda: False)
    as_released = Predictor(eight_bits)
    monkeypatch.setattr("model.serving.predictor.has_vnni", lambda: has_vnni)
    predictor = Predictor(eight_bits)
    assert predictor.form == ("signed weights" if has_vnni else "as released")
    given, wanted = predictor.scores(photos(9)), as_released.scores(photos(9))
    assert all(np.array_equal(given[name], wanted[name]) for name in wanted)


def test_signed_weights_that_give_other_scores_are_not_used(
    eight_bits: releases.Release, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where the processor's sums overflow; here one weight is another one."""
    monkeypatch.setattr("model.serving.predictor.has_vnni", lambda: True)
    content = signed(eight_bits.network.read_bytes())
    network = onnx.load_from_string(content)
    (weights,) = [tensor for tensor in network.graph.initializer if tensor.name == "weights"]
    weights.raw_data = bytes([weights.raw_data[0] ^ 1]) + weights.raw_data[1:]
    monkeypatch.setattr("model.serving.predictor.signed", lambda _: network.SerializeToString())
    assert Predictor(eight_bits).form == "as released"
    assert "other scores on this processor" in caplog.text


def test_signed_weights_that_cannot_be_opened_are_not_used(
    eight_bits: releases.Release, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("model.serving.predictor.has_vnni", lambda: True)
    monkeypatch.setattr("model.serving.predictor.signed", lambda content: content[:-9])
    assert Predictor(eight_bits).form == "as released"
    assert "is used as released, not with signed weights" in caplog.text


def test_a_network_without_8_bit_weights_is_used_as_released(
    release: releases.Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.serving.predictor.has_vnni", lambda: True)
    assert Predictor(release).form == "as released"


def test_the_shipped_network_gives_the_same_scores_with_signed_weights() -> None:
    if not has_vnni():
        pytest.skip("this processor has no VNNI: the network is used as released")
    shipped = Predictor(releases.current(RELEASES))
    assert shipped.form == "signed weights"


def test_golden_photos_are_answered(release: releases.Release) -> None:
    Predictor(release).check_golden()


def test_a_wrong_golden_answer_stops_the_release(tmp_path: Path) -> None:
    folder = small_release.make(tmp_path, "one")
    (folder / "golden" / "golden.json").write_text(json.dumps({"red.png": {"sub": "shoes"}}))
    releases.seal(folder)
    with pytest.raises(
        ReleaseError, match=r"golden photo red.png wrong .sub: t-shirt instead of shoes.*rollback"
    ):
        Predictor(releases.load(folder)).check_golden()


def test_no_golden_photos_are_not_enough(tmp_path: Path) -> None:
    folder = small_release.make(tmp_path, "one")
    (folder / "golden" / "golden.json").write_text("{}")
    releases.seal(folder)
    with pytest.raises(ReleaseError, match="no golden photos"):
        Predictor(releases.load(folder)).check_golden()


def test_a_network_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = small_release.make(tmp_path, "one")
    (folder / "model.onnx").write_bytes(b"nothing")
    releases.seal(folder)
    with pytest.raises(ReleaseError, match="cannot be opened"):
        Predictor(releases.load(folder))


def test_a_promise_the_release_cannot_make_is_refused_at_once(release: releases.Release) -> None:
    with pytest.raises(ClassesError, match="cannot be promised"):
        Predictor(release, review_precision=0.9999)


def test_the_serving_half_imports_no_training_half() -> None:
    program = (
        "import sys\nfrom model.serving import answers, classes, cuda, familiar, predictor, preprocess, releases, signed\n"
        "heavy = ('torch', 'torchvision', 'sklearn', 'pandas', 'scipy', 'onnxruntime', 'rembg')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_varying_batch_sizes_do_not_grow_memory() -> None:
    """The shipped network, in a process of its own: 1 to 64 photos at a time, twice; the second round adds nothing."""
    if not (RELEASES / "CURRENT").is_file():
        pytest.skip("no release is shipped in this clone")
    program = f"""
import numpy as np, os, pathlib
from model.serving import releases
from model.serving.predictor import Predictor
predictor = Predictor(releases.current(pathlib.Path({str(RELEASES)!r})))
pixels = np.random.default_rng(0).integers(0, 256, (40, 224, 224, 3), np.uint8)
def megabytes():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
sizes = []
for n in (1, 8, 40, 3, 17, 29, 5):
    predictor.scores(pixels[:n])
    sizes.append(megabytes())
print(max(sizes) - sizes[1])
"""
    if not Path("/proc/self/statm").is_file():
        pytest.skip("needs /proc to see its memory")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 50  # a batch of its own for every size takes 100
