"""torch and torchvision, imported so that they fit each other.

A torchvision built for CUDA beside a CPU-only torch brings no operator library and fails on import,
because the schemas of its operators are unknown. Nothing of ours calls them, so their schemas are
declared here when, and only when, they are absent. Import torchvision through this module:

    from model.torch_ops import torchvision
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def _declare_missing() -> torch.library.Library | None:
    """Declare the schemas that torchvision's import looks up; None when its own library does it."""
    spec = importlib.util.find_spec("torchvision")
    folder = Path((spec.submodule_search_locations or ["."])[0]) if spec else Path()
    try:
        for operators in folder.glob("_C.*"):
            torch.ops.load_library(str(operators))  # type: ignore[no-untyped-call]
    except OSError:
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name, schema in _SCHEMAS.items():
            if not hasattr(torch.ops.torchvision, name):
                library.define(schema)  # type: ignore[no-untyped-call]
        return library
    return None


# kept alive: the declarations end with it
_library = _declare_missing()

import torchvision  # noqa: E402

__all__ = ["torchvision"]
