"""The pages on which people put right what the night got wrong, in a browser.

    python -m batch pages            # http://127.0.0.1:8000

| module | |
|---|---|
| `serve` | the server |
| `access`, `users` | who may ask for what |
| `pictures` | what is shown of a photo |
| `night`, `review`, `photos`, `failed` | the pages: each its addresses, in the order of the navigation |
| `alike` | the grid's order |
| `shared` | what every page needs |

They read and write ledger and folders through the same code as the night. Nothing is built and nothing comes from
other hosts: templates, a stylesheet and plain modules of JavaScript lie beside this file.
"""

from flask import Flask

from batch.pages import shared
from batch.pages.access import Access
from batch.settings import BatchSettings

MOST_BYTES = 256 * 1024
"""In the body of a request."""


def create_app(settings: BatchSettings) -> Flask:
    """The pages of one data folder, as a WSGI app."""
    from batch.pages import failed, night, photos, review

    app = Flask(__name__, static_url_path="/static")
    app.debug = False  # whatever FLASK_DEBUG says
    app.config.update(
        MAX_CONTENT_LENGTH=MOST_BYTES,
        MAX_FORM_MEMORY_SIZE=MOST_BYTES,
        SEND_FILE_MAX_AGE_DEFAULT=0,
    )
    Access(settings).register(app)
    shared.register(app, settings)
    for pages in (night, review, photos, failed):
        app.register_blueprint(pages.blueprint)
    return app
