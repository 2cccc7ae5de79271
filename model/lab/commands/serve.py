"""serve: a model of the lab behind HTTP, in the sidecar's form, for programs on this machine.

    serve runs/lab/models/background/background/svc --port 5050
    curl -F file=@photo.jpg http://127.0.0.1:5050/predict

Answers `POST /predict` (multipart `file`, a raw image body, or JSON with base64 `image`), `GET /classes` and
`GET /health` as `python -m api` does, with the heads that the models have. It listens on 127.0.0.1 only and takes one
photo at a time; the night keeps its own server. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from flask import Flask
from tornado.httpserver import HTTPServer
from tornado.wsgi import WSGIContainer

from model.lab import LabError
from model.lab.commands.options import add_mask_model, add_releases
from model.lab.judging.judges import named_judges
from model.lab.judging.predicting import Asker
from model.lab.judging.serving import make_app

LOOPBACK = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "models", nargs="+", metavar="model", help="one model, or several for different tasks"
    )
    parser.add_argument("--port", type=port, default=5050, help="default: %(default)s; 0 takes a free one")
    add_mask_model(parser, "--mask-model")
    add_releases(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    asker = Asker(named_judges(options.models, options.releases), options.mask_model)
    listening = socket.socket()
    try:
        listening.bind((LOOPBACK, options.port))
    except OSError as error:
        raise LabError(f"Port {options.port} is taken: give another with --port.") from error
    listening.listen()
    print(f"http://{LOOPBACK}:{listening.getsockname()[1]}/predict", flush=True)
    asyncio.run(_serve(make_app(asker), listening))
    return 0


async def _serve(app: Flask, listening: socket.socket) -> None:
    listening.setblocking(False)
    with ThreadPoolExecutor(2) as threads:
        HTTPServer(WSGIContainer(app, threads)).add_socket(listening)
        await asyncio.Event().wait()


def port(text: str) -> int:
    """Return a port number, for argparse."""
    if not (text.isascii() and text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)
