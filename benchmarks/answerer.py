"""What the other model servers put behind their interface: our decoder and our network, nothing else."""

from collections.abc import Callable

import numpy as np

from model.serving.predictor import Predictor
from model.serving.preprocess import read_photo
from model.serving.releases import current
from settings import ROOT

BATCH = 16
PORT = 5998


def answerer() -> Callable[[list[bytes]], list[str]]:
    """A function from photos to their sub-categories, with the current release."""
    predictor = Predictor(current(ROOT / "model" / "releases"), threads=1)

    def answer(photos: list[bytes]) -> list[str]:
        pixels = np.stack([read_photo(photo, max_megapixels=100) for photo in photos])
        return [prediction.sub.name for prediction in predictor.predict(pixels)]

    return answer
