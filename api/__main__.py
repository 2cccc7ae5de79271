"""The command line of the sidecar: `python -m api --help`."""

import ipaddress
import logging
import os
import sys
from collections.abc import Sequence

import logformat
import this_python
from utf8 import use_utf8

try:
    import click

    from api_settings import ApiSettings
    from command_line import Command, perform
    from settings import SettingError, documented, load, mistakes_in_file
except ImportError as error:
    this_python.end_without(error, "api")

EXIT_FAULT = 1
EXIT_USAGE = 2

FOREIGN_PREFIXES = ("FLASK_", "WERKZEUG_", "GUNICORN_", "TORNADO_", "PROMETHEUS_", "LISTEN_")
FOREIGN_SETTINGS = (
    "WEB_CONCURRENCY",
    "SCRIPT_NAME",
    "FORWARDED_ALLOW_IPS",
    "PORT",
    "SENDFILE",
    "NOTIFY_SOCKET",
)
"""What Flask, gunicorn, Tornado and Prometheus' client would read, or be handed by systemd."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was typed; returns the exit code."""
    return perform(api, "python -m api", arguments)


@click.command(
    cls=Command,
    exit_codes={
        0: "ended, as it was told to",
        EXIT_FAULT: "the address is taken, or cannot be listened on",
        EXIT_USAGE: "wrong usage or setting",
    },
)
@click.option("--port", type=int, help="Listen here instead of on API_PORT, or PORT.")
@click.option(
    "--server",
    type=click.Choice(["gunicorn", "tornado"]),
    default="tornado" if sys.platform == "win32" else "gunicorn",
    show_default=True,
    help="tornado alone, or below gunicorn, which starts it again when it dies and does not run on Windows.",
)
@click.option(
    "--until-stdin-closes",
    is_flag=True,
    help="End when standard input closes, so that no server outlives what started it.",
)
@click.version_option(this_python.VERSION, message="Nightsort %(version)s")
def api(port: int | None, server: str, until_stdin_closes: bool) -> int:
    """Serve the current model release over HTTP.

    POST a photo to /predict, read /health, /classes, /stats, /metrics; /openapi.json describes it all. The night starts one
    of its own; start this one by day, or on another machine (then set API_HOST and API_TOKEN). Example:

      python -m api &
      curl -F file=@photo.jpg http://127.0.0.1:5000/predict
    """
    try:
        settings = settings_with(port)
        check_exposure(settings)
    except SettingError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    logformat.run_id = os.environ.get("RUN_ID") or "-"
    output = logformat.Output(sys.stdout)
    output.setFormatter(logformat.formatter(settings.log_format))
    logging.basicConfig(level=logging.INFO, handlers=[output])
    logging.getLogger("tornado").setLevel(logging.ERROR)  # it has a line for each client that goes away
    if not until_stdin_closes:  # the night that it is started by says so itself
        for mistake in mistakes_in_file(ApiSettings, documented()):
            logging.getLogger("nightsort.api").warning("%s", mistake)
    forget_foreign_settings()
    try:
        from api import serve  # after --help has been answered: it loads Flask and ONNX Runtime
    except ImportError as error:
        this_python.end_without(error, "api")

    if server == "gunicorn":
        serve.serve_gunicorn(settings, until_stdin_closes=until_stdin_closes)
        return 0
    try:
        serve.serve_alone(settings, until_stdin_closes=until_stdin_closes)
    except OSError as error:
        print(f"Cannot listen on {settings.api_host}:{settings.api_port}: {error}.", file=sys.stderr)
        return EXIT_FAULT
    return 0


def settings_with(port: int | None = None) -> ApiSettings:
    """The settings. It listens on `--port`, else on API_PORT, else on PORT, as Cloud Run, Heroku and the like set it.

    Raises:
        SettingError: one of them is wrong.
    """
    if port is not None:
        return load(ApiSettings, api_port=port)
    found = load(ApiSettings)
    given = os.environ.get("PORT", "")
    if not given or "api_port" in found.model_fields_set:
        return found
    if not (given.isascii() and given.isdigit() and 1 <= int(given) <= 65535):
        raise SettingError(f"PORT={given}: it has to be a number from 1 to 65535; API_PORT beats it.")
    return load(ApiSettings, api_port=int(given))


def forget_foreign_settings() -> None:
    """Take from the environment what libraries read from it when they are imported or started: `.env.example` has all
    that shall change this server.
    """
    for name in list(os.environ):
        if name.upper().startswith(FOREIGN_PREFIXES) or name in FOREIGN_SETTINGS:
            del os.environ[name]


def check_exposure(settings: ApiSettings) -> None:
    """Refuse to be reachable from other machines without a token.

    Raises:
        SettingError: API_HOST is no loopback address and API_TOKEN is not set.
    """
    try:
        is_local = ipaddress.ip_address(settings.api_host).is_loopback
    except ValueError:
        is_local = settings.api_host == "localhost"
    if not is_local and settings.api_token is None:
        raise SettingError(
            f"API_HOST={settings.api_host}: other machines could use this server; set API_TOKEN too "
            "(a long random text), or leave API_HOST at 127.0.0.1."
        )


if __name__ == "__main__":
    use_utf8()
    sys.exit(main())
