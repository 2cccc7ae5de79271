"""The sidecar: a small Flask server that answers what is on a photo.

`create_app` assembles it; `routes` has what it answers, `engine` the work on photos, `serve` the two web
servers it runs behind.
"""

from flask import Flask

from api import errors, metrics, routes
from api.engine import Engine
from api.settings import ApiSettings
from api.upload import BATCH_BYTES


def create_app(settings: ApiSettings, engine: Engine) -> Flask:
    """Put the server together.

    >>> settings = load(ApiSettings)
    >>> create_app(settings, Engine(settings)).test_client().get("/health").status_code
    503
    """
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = BATCH_BYTES
    app.extensions["settings"] = settings
    app.extensions["engine"] = engine
    app.extensions["metrics"] = metrics.Metrics()
    errors.register(app)
    metrics.register(app)
    app.register_blueprint(routes.blueprint)
    return app
