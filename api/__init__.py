"""The sidecar: a small Flask server that answers what is on a photo.

`create_app` assembles it; `routes` has what it answers, `engine` the work on photos, `front` what stands between the
network and the app, `serve` how it is run.
"""

from typing import TYPE_CHECKING

import telemetry  # noqa: F401 - before anything that would send some

if TYPE_CHECKING:
    from flask import Flask

    from api.engine import Engine
    from api_settings import ApiSettings


def create_app(settings: "ApiSettings", engine: "Engine") -> "Flask":
    """Put the server together.

    >>> from api.engine import Engine
    >>> from api_settings import ApiSettings
    >>> from settings import load
    >>> settings = load(ApiSettings)
    >>> create_app(settings, Engine(settings)).test_client().get("/health").status_code
    503
    """
    # not before they are wanted: `--help` is quick, a Python without Flask gets a sentence, and `python -m api` first
    # takes from the environment what these would read there
    from flask import Flask

    from api import errors, metrics, routes
    from api.upload import body_bytes

    app = Flask(__name__, static_folder=None)
    app.debug = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = body_bytes(settings.max_image_mb)
    app.extensions["settings"] = settings
    app.extensions["engine"] = engine
    app.extensions["metrics"] = metrics.Metrics()
    errors.register(app)
    metrics.register(app)
    app.register_blueprint(routes.blueprint)
    return app
