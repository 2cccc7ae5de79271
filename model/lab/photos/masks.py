"""Where the item is: rembg's mask of a photo.

    session = open_session("u2netp", threads=1)
    mask = item_mask(session, pixels)     # uint8, (height, width), 255 = item

rembg is imported here and only when a session is opened: its first import on a machine compiles for about a
minute.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from model.lab import LabError

if TYPE_CHECKING:
    from model.lab.photos.arrays import Flags, Mask, Pixels

MODELS: Final = (
    "u2netp",
    "u2net",
    "isnet-general-use",
    "silueta",
    "birefnet-general-lite",
    "birefnet-general",
    "birefnet-massive",
)
"""rembg's networks for any kind of item, fastest first. u2netp: 4.7 MB; u2net, isnet: about 175 MB;
birefnet: 1 GB.
"""

BACKGROUND_BELOW: Final = 64
ITEM_FROM: Final = 192
"""Mask values below the first are background, from the second on item; the soft edge between is neither."""


def open_session(model: str, threads: int) -> Any:
    """Open rembg's `model` on `threads` CPU threads; rembg fetches a missing file (see U2NET_HOME) by itself.

    Raises LabError for a name that rembg does not know and when the network's file cannot be had.
    """
    import onnxruntime

    rembg = importlib.import_module("rembg")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return rembg.new_session(model, sess_opts=options)
    except ValueError as error:
        raise LabError(f"rembg has no model {model!r}; try one of {', '.join(MODELS)}.") from error
    except (OSError, RuntimeError) as error:
        raise LabError(
            f"The mask model {model} could not be opened or downloaded ({error}). "
            "Set U2NET_HOME to a folder that holds its .onnx file, or check the network."
        ) from error


def item_mask(session: Any, pixels: Pixels) -> Mask:
    """Return how much each pixel belongs to the item, 0 to 255: uint8, the shape of the photo's frame."""
    mask: Mask = np.asarray(session.predict(Image.fromarray(pixels))[0].convert("L"))
    return mask


def is_background(mask: Mask) -> Flags:
    """Tell the pixels that are surely background."""
    return mask < BACKGROUND_BELOW


def is_item(mask: Mask) -> Flags:
    """Tell the pixels that are surely the item."""
    return mask >= ITEM_FROM
