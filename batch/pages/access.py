"""Who may ask for what: from which address, by which name, signed in or not.

No password is asked for only where the pages listen on this machine alone, nobody has been added, and no proxy is in
front. What a browser says of itself (`Host`, `Origin`) is compared with the addresses that are configured: any web
page can send a request to 127.0.0.1, but none can change these two.

No form has a token that could expire while a tab is left open: a request that changes something has to carry an
`Origin` of ours, which browsers add to each and scripts cannot forge, and the session's cookie is not sent by others'
forms (`SameSite`).
"""

import getpass
import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from http import HTTPStatus
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, render_template, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from werkzeug.exceptions import Forbidden, TooManyRequests, Unauthorized

from batch.exits import Exit, NotDoneError
from batch.pages import users
from batch.pages.users import Keeper, Role, SecretsError, User
from batch.settings import BatchSettings

P = ParamSpec("P")
R = TypeVar("R")

SIGNED_IN = timedelta(days=14)
"""A session that is not used for so long ends."""

TRIES, TRIES_SECONDS = 10, 600
"""So many wrong passwords from one address are looked at in so many seconds. Names are not counted: anybody could keep
anybody out."""

REMEMBERED = 10_000
"""Addresses whose tries are counted at once."""

FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via")
"""What a proxy adds. Without PAGES_URL nobody has said that there is one."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # a form's Origin would be `null` with no-referrer
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}

OPEN_TO_ALL = ("access.sign_in", "static", "shared.style")
"""What is answered to those who have not signed in."""


class ExposureError(NotDoneError):
    """The pages would be open to people who are not meant; the message says what to set."""

    code = Exit.USAGE


class Addresses:
    """By which addresses the pages may be reached, after PAGES_HOST, PAGES_PORT and PAGES_URL."""

    def __init__(self, settings: BatchSettings) -> None:
        self.host, self.port = settings.pages_host, settings.pages_port
        self.url = str(settings.pages_url).rstrip("/") if settings.pages_url else ""
        given = urlsplit(self.url)
        self.prefix = given.path
        """The path below which a proxy serves the pages, or nothing."""
        self.is_local = _is_loopback(self.host)
        self.names_another = bool(self.url) and not _is_loopback(given.hostname or "")
        """Whether people come by way of another machine, or of a proxy on this one."""
        self.is_encrypted = given.scheme == "https"
        names = {self.host, "127.0.0.1", "localhost", "::1"} if self.is_local else {self.host}
        self.hosts = {_host(name, self.port) for name in names}
        if given.hostname:
            self.hosts |= {_host(given.hostname, given.port), _host(given.hostname, _port(given))}
        self.origins = {f"http://{host}" for host in self.hosts}
        if self.is_encrypted:
            self.origins = {f"https://{host}" for host in self.hosts} | (
                {f"http://{_host(name, self.port)}" for name in names} if self.is_local else set()
            )

    @property
    def shown(self) -> str:
        """What people type."""
        return self.url or f"http://{_host(self.host, self.port)}"


def check_exposure(settings: BatchSettings, has_users: bool) -> str:
    """Refuse to be reachable by strangers; returns a warning, or nothing.

    Raises:
        ExposureError: users, an address or TLS are missing; the message says which and what to do.
    """
    addresses = Addresses(settings)
    if addresses.is_local and not addresses.names_another:
        return ""
    what = f"PAGES_HOST={settings.pages_host}" if not addresses.is_local else f"PAGES_URL={addresses.url}"
    if not has_users:
        raise ExposureError(
            f"{what}: other machines could use the pages, and nobody would have to sign in. Add the people who may: "
            "`python -m batch users add NAME`"
        )
    if not addresses.url:
        raise ExposureError(
            f"{what}: set PAGES_URL, too, the address by which people reach the pages: requests that name another "
            "one are refused"
        )
    if addresses.is_encrypted:
        return ""
    if settings.pages_plain_http == "no":
        raise ExposureError(
            f"PAGES_URL={addresses.url}: passwords would cross the network readable by all. Put a proxy with TLS in "
            "front and set PAGES_URL=https://…; or, on a network that you trust, PAGES_PLAIN_HTTP=yes"
        )
    return "PAGES_PLAIN_HTTP=yes: passwords and photos cross the network unencrypted, readable by all who are on it."


class Access:
    """The checks before each request. `register` puts them in place."""

    def __init__(self, settings: BatchSettings) -> None:
        self.addresses = Addresses(settings)
        self._keeper = Keeper(settings)
        self._tries: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def register(self, app: Flask) -> None:
        """Let every request be checked, and every answer carry its headers."""
        app.config.update(
            SESSION_COOKIE_NAME="nightsort",
            SESSION_COOKIE_HTTPONLY=True,
            SESSION_COOKIE_SAMESITE="Lax",
            SESSION_COOKIE_SECURE=self.addresses.is_encrypted,
            SESSION_COOKIE_PATH=f"{self.addresses.prefix}/",
            PERMANENT_SESSION_LIFETIME=SIGNED_IN,
        )
        app.session_interface = _Sessions(self)
        app.wsgi_app = _Mounted(app.wsgi_app, self)  # type: ignore[method-assign]
        app.before_request(self._check)
        app.after_request(_add_headers)
        app.add_url_rule("/sign-in", "access.sign_in", self._sign_in, methods=["GET", "POST"])
        app.add_url_rule("/sign-out", "access.sign_out", self._sign_out, methods=["POST"])

    def key(self) -> str:
        """What sessions are signed with; nothing as long as there are no users, or they cannot be read."""
        try:
            return self._keeper.now().key
        except SecretsError:
            return ""

    def _check(self) -> Any:
        """Refuse strangers' requests; send those to the sign-in who have to."""
        g.person = None
        if request.host not in self.addresses.hosts:
            return _refused("This is not the address of the pages. Reach them by " + self.addresses.shown)
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self.addresses.origins:
            return _refused("This request comes from another site's page.")
        if _is_from_elsewhere():
            return _refused("This request comes from another site's page.")
        if request.method not in ("GET", "HEAD") and origin is None:
            return _refused("This request does not say which page it comes from.")
        try:
            known = self._keeper.now()
        except SecretsError as error:
            return Response(f"{error}.", 503, content_type="text/plain; charset=utf-8")
        if not known.users:
            return self._check_alone()
        g.person = self._of_session(known)
        if g.person is None and request.endpoint not in OPEN_TO_ALL:
            if request.method == "GET" and request.accept_mimetypes.accept_html:
                return redirect(url_for("access.sign_in", to=_here()))
            raise Unauthorized("Sign in again: your session has ended.")
        return None

    def _check_alone(self) -> Response | None:
        """Without users: only on this machine, and by no proxy."""
        if not self.addresses.is_local or self.addresses.names_another:
            return _refused("Nobody may sign in: add users first.")
        if any(name in request.headers for name in FORWARDING):
            return _refused("A proxy is in front of these pages: add users, and set PAGES_URL.")
        g.person = User(_account(), Role.LEAD, "")
        return None

    def _of_session(self, known: users.Secrets) -> User | None:
        user = known.users.get(str(session.get("name", "")))
        return user if user and session.get("stamp") == user.stamp else None

    def _sign_in(self) -> Any:
        wrong = ""
        status = HTTPStatus.OK
        to = _own_path(request.values.get("to", ""))
        if request.method == "POST":
            name, password = request.form.get("name", ""), request.form.get("password", "")
            client = self._client()
            self._slow_down(client)
            user = users.check_password(self._keeper.now(), name, password)
            if user:
                self._forgive(client)
                session.clear()
                session.permanent = True
                session.update(name=user.name, stamp=user.stamp)
                return redirect(to or url_for("night.last"), HTTPStatus.SEE_OTHER)
            wrong = "This name and password do not belong together."
            status = HTTPStatus.FORBIDDEN
        if not self._keeper.now().users or g.person:
            return redirect(to or url_for("night.last"))
        return render_template("sign_in.html", wrong=wrong, to=to), status

    def _sign_out(self) -> Any:
        if session:
            session.clear()
        return redirect(url_for("access.sign_in"), HTTPStatus.SEE_OTHER)

    def _client(self) -> str:
        """The machine that asks: behind a proxy that is configured, the one that the proxy names."""
        address = request.remote_addr or ""
        forwarded = request.headers.get("X-Forwarded-For", "")
        if self.addresses.names_another and forwarded:
            address = forwarded.rpartition(",")[2].strip()
        try:
            known = ipaddress.ip_address(address)
        except ValueError:
            return address[:100]
        # whoever has one IPv6 address has the whole network of 2^64
        return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else address

    def _slow_down(self, client: str) -> None:
        """Count a try.

        Raises:
            TooManyRequests: there were too many of late.
        """
        now = time.monotonic()
        with self._lock:
            lately = [then for then in self._tries.pop(client, []) if then > now - TRIES_SECONDS]
            self._tries[client] = lately
            if len(lately) >= TRIES:
                raise TooManyRequests(
                    f"Too many wrong passwords: try again in {TRIES_SECONDS // 60} minutes.",
                    retry_after=TRIES_SECONDS,
                )
            lately.append(now)
            while len(self._tries) > REMEMBERED:
                self._tries.popitem(last=False)

    def _forgive(self, client: str) -> None:
        with self._lock:
            self._tries.pop(client, None)


class _Sessions(SecureCookieSessionInterface):
    """Flask's signed cookies, with the key that the file has just now."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """What signs and checks cookies; nothing as long as there is no key."""
        app.secret_key = self._access.key() or None
        return super().get_signing_serializer(app)


class _Mounted:
    """The app below the path of PAGES_URL, whether the proxy in front takes that path off or not."""

    def __init__(self, app: Callable[..., Any], access: Access) -> None:
        self._app, self._access = app, access

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        prefix = self._access.addresses.prefix
        if prefix and environ.get("HTTP_HOST", "") in self._access.addresses.hosts:
            environ["SCRIPT_NAME"] = prefix
            path = environ.get("PATH_INFO", "")
            if path == prefix or path.startswith(f"{prefix}/"):
                environ["PATH_INFO"] = path[len(prefix) :] or "/"
        if self._access.addresses.is_encrypted:
            environ["wsgi.url_scheme"] = "https"
        return self._app(environ, start_response)


def lead_only(view: Callable[P, R]) -> Callable[P, R]:
    """For what only the lead may do."""

    @wraps(view)
    def checked(*given: P.args, **named: P.kwargs) -> R:
        if g.person is None or g.person.role != Role.LEAD:
            raise Forbidden("Only the lead may do this.")
        return view(*given, **named)

    return checked


def person() -> User:
    """Who asks: where nobody has to sign in, the account that runs the pages."""
    asking = g.person
    assert isinstance(asking, User)
    return asking


def _is_from_elsewhere() -> bool:
    """Whether a page of another site asks for this, other than by a link that somebody followed.

    Browsers say so themselves (`Sec-Fetch-Site`), also of a picture or a script, which have no Origin.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    is_link = request.method == "GET" and request.headers.get("Sec-Fetch-Dest") == "document"
    return site not in ("none", "same-origin") and not is_link


def _add_headers(answer: Response) -> Response:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def _refused(reason: str) -> Response:
    return Response(f"{reason}\n", HTTPStatus.FORBIDDEN, content_type="text/plain; charset=utf-8")


def _here() -> str:
    path = request.full_path.rstrip("?")
    return path if path != "/" else ""


def _own_path(path: str) -> str:
    """A path of these pages, for after the sign-in; nothing for any other address."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return f"{request.script_root}{path}" if is_ours else ""


def _account() -> str:
    try:
        return getpass.getuser()
    except OSError:  # a number without a name
        return "somebody"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _host(name: str, port: int | None) -> str:
    bracketed = f"[{name}]" if ":" in name and not name.startswith("[") else name
    return f"{bracketed}:{port}" if port else bracketed


def _port(given: Any) -> int:
    return given.port or (443 if given.scheme == "https" else 80)
