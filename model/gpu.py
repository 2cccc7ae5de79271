"""The float network on a CUDA device, in half precision: what `model.serving.cuda` hands photos to.

scores = GpuNetwork(release.folder, release.classes, size=224).run(pixels)
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import torch

from model.network import Served, load_release
from model.serving.classes import FEATURES, OUTPUTS, Classes


def is_here() -> bool:
    """Whether PyTorch finds a CUDA device."""
    return torch.cuda.is_available()


class GpuNetwork:
    """A release's float weights on a device: "cuda" in half precision, "cpu" (for tests) in single.

    Raises WeightsError.
    """

    outputs = (*OUTPUTS, FEATURES)

    def __init__(self, folder: Path, classes: Classes, size: int, device: str = "cuda") -> None:
        served = Served(load_release(folder, classes), size).eval().requires_grad_(False).to(device)
        self._served = served.half() if device == "cuda" else served
        self._device = device
        # threads would only take the device from each other
        self._one_at_a_time = threading.Lock()

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """The raw scores of uint8 (N, 224, 224, 3) pixels; see `Predictor.scores`."""
        with self._one_at_a_time, torch.inference_mode():
            scores = self._served(torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device))
            return {
                name: score.float().cpu().numpy() for name, score in zip(self.outputs, scores, strict=True)
            }
