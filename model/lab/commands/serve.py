"""`python -m model lab serve`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from command_line import Whole
from model.lab import LabError
from model.lab.commands.group import DONE, MODEL_NAMES, RELEASES_OPTION, lab, mask_model

if TYPE_CHECKING:
    from flask import Flask

LOOPBACK = "127.0.0.1"


@lab.command(exit_codes=DONE)
@MODEL_NAMES
@click.option("--port", type=Whole(0, 65535), default=5050, show_default=True, help="0 takes a free one.")
@mask_model("--mask-model")
@RELEASES_OPTION
def serve(models: Sequence[str], port: int, mask_model: str, releases: Path) -> None:
    """A model behind HTTP, in the sidecar's form, for programs on this machine.

      python -m model lab serve runs/lab/models/background/background/svc --port 5050
      curl -F file=@photo.jpg http://127.0.0.1:5050/predict

    Answers `POST /predict` (multipart `file`, a raw image
    body, or JSON with base64 `image`), `GET /classes` and `GET /health` as `python -m api` does, with the heads that the
    models have. It listens on 127.0.0.1 only and takes one photo at a time; the night keeps its own server. Ctrl-C ends
    it.
    """
    from model.lab.judging.judges import named_judges
    from model.lab.judging.predicting import Asker
    from model.lab.judging.serving import make_app

    asker = Asker(named_judges(models, releases), mask_model)
    listening = socket.socket()
    try:
        listening.bind((LOOPBACK, port))
    except OSError as error:
        raise LabError(f"Port {port} is taken: give another with --port.") from error
    listening.listen()
    print(f"http://{LOOPBACK}:{listening.getsockname()[1]}/predict", flush=True)
    asyncio.run(_serve(make_app(asker), listening))


async def _serve(app: Flask, listening: socket.socket) -> None:
    from tornado.httpserver import HTTPServer
    from tornado.wsgi import WSGIContainer

    listening.setblocking(False)
    with ThreadPoolExecutor(2) as threads:
        HTTPServer(WSGIContainer(app, threads)).add_socket(listening)
        await asyncio.Event().wait()
