"""The plain design, written as it is usually written: the yardstick that the night is measured against.

A Flask app on Flask's own server holds the float network in PyTorch; a client posts one photo at a time and
moves the file when the answer is there.
"""

import io
import shutil
import subprocess
import sys
import time
from pathlib import Path

import requests

from settings import ROOT

PORT = 5999


def serve() -> None:
    """Serve the current release's float weights at /predict."""
    import numpy as np
    import torch
    from flask import Flask, Response, jsonify, request
    from PIL import Image

    from model.network import load_release, normalise
    from model.serving.releases import current

    release = current(ROOT / "model" / "releases")
    network = load_release(release.folder, release.classes)
    app = Flask("plain")

    @app.post("/predict")
    def predict() -> Response:
        image = Image.open(io.BytesIO(request.files["file"].read())).convert("RGB").resize((224, 224))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            scores = network(normalise(pixels))
        heads = zip(scores._fields[:4], scores[:4], strict=True)
        return jsonify({head: score.softmax(1)[0].tolist() for head, score in heads})

    app.run(port=PORT)


def sweep(incoming: Path, processed: Path) -> float:
    """Send every photo of a folder; returns photos per second, from the first request to the last move."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.plain"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_it_answers(sorted(incoming.iterdir())[0])
        processed.mkdir(parents=True)
        started = time.perf_counter()
        number = 0
        for photo in sorted(incoming.iterdir()):
            with photo.open("rb") as file:
                requests.post(f"http://127.0.0.1:{PORT}/predict", files={"file": file}, timeout=60).json()
            shutil.move(photo, processed / photo.name)
            number += 1
        return number / (time.perf_counter() - started)
    finally:
        server.kill()
        server.wait()


def _wait_until_it_answers(photo: Path) -> None:
    for _ in range(600):
        try:
            requests.post(f"http://127.0.0.1:{PORT}/predict", files={"file": photo.read_bytes()}, timeout=60)
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise TimeoutError("the plain server did not start")


if __name__ == "__main__":
    serve()
