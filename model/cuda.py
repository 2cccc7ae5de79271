"""The float network on a CUDA device, in half precision, for machines that have one and PyTorch.

if available():
    scores = CudaNetwork(release).run(pixels)
"""

from __future__ import annotations

import importlib.util
import shutil
import threading
from pathlib import Path

import numpy as np

from model.classes import FEATURES, OUTPUTS, WeightsError
from model.releases import Release, ReleaseError


def available() -> bool:
    """Whether PyTorch and a CUDA device are here; costs nothing where there is no driver."""
    has_driver = Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None
    if not has_driver or importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


class CudaNetwork:
    """A release's float weights on a device: "cuda" in half precision, "cpu" (for tests) in single.

    Raises ReleaseError when the device or the weights cannot be used.
    """

    outputs = (*OUTPUTS, FEATURES)

    def __init__(self, release: Release, device: str = "cuda") -> None:
        try:
            import torch

            from model.network import Served, load_release
        except ImportError as error:
            raise ReleaseError(
                f"DEVICE=cuda needs PyTorch ({error}): .venv/bin/python -m pip install -r requirements.txt"
            ) from error
        if device == "cuda" and not torch.cuda.is_available():
            raise ReleaseError("DEVICE=cuda: PyTorch finds no CUDA device. DEVICE=auto does without.")
        try:
            network = load_release(release.folder, release.classes)
        except WeightsError as error:
            raise ReleaseError(str(error)) from error
        served = Served(network, int(release.metrics["size"])).eval().requires_grad_(False).to(device)
        self._served = served.half() if device == "cuda" else served
        self._device = device
        self._one_at_a_time = threading.Lock()
        """Threads would only take the device from each other."""

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """The raw scores of uint8 (N, 224, 224, 3) pixels; see `Predictor.scores`."""
        import torch

        with self._one_at_a_time, torch.inference_mode():
            scores = self._served(torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device))
            return {
                name: score.float().cpu().numpy() for name, score in zip(self.outputs, scores, strict=True)
            }
