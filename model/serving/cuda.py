"""The way to a GPU, for machines that have one and PyTorch: the one place from which serving may load that.

if available():
    scores = open_network(release).run(pixels)
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from model.serving.classes import WeightsError
from model.serving.releases import Release, ReleaseError

if TYPE_CHECKING:
    from model.gpu import GpuNetwork


def available() -> bool:
    """Whether PyTorch and a CUDA device are here; costs nothing where there is no driver."""
    has_driver = Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None
    if not has_driver or importlib.util.find_spec("torch") is None:
        return False
    from model.gpu import is_here

    return is_here()


def open_network(release: Release, device: str = "cuda") -> GpuNetwork:
    """A release's float network on a device. Raises ReleaseError when the device or the weights cannot be used."""
    try:
        from model.gpu import GpuNetwork, is_here
    except ImportError as error:
        raise ReleaseError(
            f"DEVICE=cuda needs PyTorch ({error}): .venv/bin/python -m pip install -r requirements.txt"
        ) from error
    if device == "cuda" and not is_here():
        raise ReleaseError("DEVICE=cuda: PyTorch finds no CUDA device. DEVICE=auto does without.")
    size = release.metrics.get("size")
    if not isinstance(size, int):
        raise ReleaseError(
            f"{release.version}: its metrics.json does not say at which size its network sees photos (size)."
        )
    try:
        return GpuNetwork(release.folder, release.classes, size, device)
    except WeightsError as error:
        raise ReleaseError(str(error)) from error
