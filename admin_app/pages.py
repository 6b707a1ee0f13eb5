"""What every HTML page needs, whatever it shows.

Where templates and static files lie, the policy for scripts and the other headers, the token
against forged forms, the theme, and the page that tells of an error. All of it holds under the
URL prefixes that were given to `guard` and leaves the rest of the host application alone.
"""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

import flask
import sqlalchemy as sa
from flask import g, request
from flask.globals import request_ctx
from flask.sansio.scaffold import Scaffold
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect, generate_csrf
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, pass_context
from jinja2.runtime import Context
from markupsafe import escape
from werkzeug.exceptions import (
    HTTPException,
    RequestEntityTooLarge,
    ServiceUnavailable,
    default_exceptions,
)
from werkzeug.routing import RequestRedirect
from werkzeug.utils import redirect

from admin_app import as_stored, database, moments
from admin_app.errors import (
    AdminError,
    Forbidden,
    InvalidRequest,
    NotFound,
    OutOfSpace,
    OutOfTime,
    WriteRefused,
)
from admin_app.policy import Principal

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).parent
STATIC = PACKAGE / "static"
# An installed wheel carries the templates inside the package, a checkout beside it.
TEMPLATES = next(
    (place for place in (PACKAGE / "templates", PACKAGE.parent / "templates") if place.is_dir()),
    PACKAGE.parent / "templates",
)

RESERVED = frozenset({"assets", "login", "logout", "search", "static", "theme"})
"""First path segments under the admin's URL that no view may use as its endpoint."""

Theme = Literal["light", "dark"]
THEME_COOKIE = "admin_theme"
ONE_YEAR = 31_536_000

ZONE_COOKIE = "admin_time_zone"
"""Set by the browser's script: the IANA name of its time zone."""

FORM_MEMORY = 16 * 2**20
"""Bytes of text that a form may send, files not counted."""

IMPORT_BYTES = 50 * 2**20
"""Bytes that a file of rows may have, unless ADMIN_IMPORT_MAX_BYTES says otherwise."""

FORM_ROOM = 2**20

FORM_PARTS = 10_000
"""Values that a form may send."""

_ASSET = "admin_asset"
_THEME = "admin_theme"
_EXTENSION = "admin_pages"

PUBLIC = frozenset({_ASSET, _THEME})
"""Endpoints that need no sign-in: they show nothing of the data."""


@dataclass(frozen=True, slots=True)
class Crumb:
    """One step of the way from the first page to this one; the last has no ``url``."""

    text: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A link of the sidebar and of the first page; ``key`` is the endpoint it leads to.

    ``description`` and ``create_url`` are for the first page, which has room for them.
    """

    title: str
    url: str
    is_current: bool = False
    key: str = ""
    description: str | None = None
    create_url: str | None = None


@dataclass(frozen=True, slots=True)
class MenuSection:
    """Links of the sidebar under one heading, or under none."""

    title: str | None
    items: list[MenuItem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Site:
    """What the frame around every page shows. All URLs are ready to be printed."""

    name: str
    home_url: str
    menu: list[MenuSection] = field(default_factory=list)
    principal: Principal | None = None
    sign_out_url: str | None = None
    theme_url: str | None = None
    theme: Theme | None = None
    is_open: bool = False
    account_url: str | None = None
    """The page of whoever is signed in; None where the sign-in has none."""
    search_url: str | None = None
    """Where everything is searched; None where this is not offered."""


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What ``admin/error.html`` shows."""

    status: int
    title: str
    sentence: str
    breadcrumbs: list[Crumb] = field(default_factory=list)
    home_url: str | None = None
    back_url: str | None = None
    error_id: str | None = None
    again: list[tuple[str, str]] = field(default_factory=list)
    again_url: str | None = None


Enter = Callable[[], ResponseReturnValue | None]
"""Answers a visitor who may not see anything here (usually by sending him to sign in), or None."""


@dataclass(frozen=True, slots=True)
class _Guarded:
    prefix: str
    enter: Enter | None

    def covers(self, path: str) -> bool:
        return is_under(path, self.prefix)


def is_under(path: str, url: str | None) -> bool:
    """Whether ``path`` is ``url`` or lies below it."""
    prefix = (url or "").rstrip("/")
    return path == prefix or path.startswith(prefix + "/")


_TEXT_FILES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
_BINARY_FILES = {
    ".ico": "image/x-icon",
    ".png": "image/png",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


class _Assets:
    """The static folder in memory, compressed once, under one digest of everything in it.

    One digest for the whole folder, and not one a file, lets ES modules import each other by
    relative paths and still be cached for ever.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._compressed: dict[str, bytes] = {}

    @cached_property
    def files(self) -> dict[str, bytes]:
        if not self.folder.is_dir():
            return {}
        return {
            PurePosixPath(path.relative_to(self.folder)).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.suffix in _TEXT_FILES or path.suffix in _BINARY_FILES
        }

    @cached_property
    def digest(self) -> str:
        digest = hashlib.sha256()
        for name, content in self.files.items():
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:16]

    @cached_property
    def _stamp(self) -> dict[Path, int]:
        return self._look()

    def _look(self) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in self.folder.rglob("*") if path.is_file()}

    def refresh(self) -> None:
        """Read the folder again when a file in it has changed; for development only."""
        if self._look() != self._stamp:
            for name in ("files", "digest", "_stamp"):
                self.__dict__.pop(name, None)
            self._compressed.clear()

    def compressed(self, name: str) -> bytes | None:
        """The file as gzip, or None where that would not make it smaller."""
        content = self.files[name]
        if PurePosixPath(name).suffix not in _TEXT_FILES or len(content) < 256:
            return None
        if name not in self._compressed:
            self._compressed[name] = gzip.compress(content, 9, mtime=0)
        return self._compressed[name]

    def response(self, digest: str, name: str) -> flask.Response:
        if name not in self.files:
            raise NotFound("There is no such file.")
        suffix = PurePosixPath(name).suffix
        response = flask.Response(
            self.files[name], content_type=_TEXT_FILES.get(suffix) or _BINARY_FILES[suffix]
        )
        compressed = self.compressed(name)
        tag = hashlib.sha256(self.files[name]).hexdigest()[:16]
        if compressed is not None:
            response.vary.add("Accept-Encoding")
            if request.accept_encodings["gzip"]:
                response.set_data(compressed)
                response.content_encoding = "gzip"
                tag += "-gzip"
        response.set_etag(tag)
        if digest == self.digest:
            response.headers["Cache-Control"] = f"public, max-age={ONE_YEAR}, immutable"
        else:
            # A page of the last deployment asks: what it gets must not stay under the old name.
            response.headers["Cache-Control"] = "no-cache"
        response.make_conditional(request)
        return response


@dataclass(slots=True)
class _Pages:
    assets: _Assets
    guarded: list[_Guarded] = field(default_factory=list)

    def covers(self, path: str) -> bool:
        return any(place.covers(path) for place in self.guarded)


def _pages() -> _Pages:
    pages: _Pages = flask.current_app.extensions[_EXTENSION]
    return pages


def install(app: flask.Flask) -> None:
    """Give ``app`` our templates and the functions that they call; a second call does nothing.

    Our templates stand behind the host's, so that it can override any of them, and before those
    of every blueprint, so that Flask-Admin's and Flask-Security's are never met.
    """
    if _EXTENSION in app.extensions:
        return
    app.extensions[_EXTENSION] = _Pages(_Assets(STATIC))
    loaders: list[BaseLoader] = [FileSystemLoader(TEMPLATES)]
    if app.jinja_loader is not None:
        loaders.insert(0, app.jinja_loader)
    # A cached property in Flask: setting it is how a loader is chosen on an existing application.
    app.jinja_loader = ChoiceLoader(loaders)
    own = {"asset": asset, "csp_nonce": csp_nonce, "is_overridden": is_overridden}
    app.jinja_env.globals.update(own)
    app.jinja_env.globals.setdefault("csrf_token", generate_csrf)
    _set_csrf_defaults(app)
    _start_babel(app)
    app.before_request(_receive)
    app.after_request(_add_headers)


def guard(app: flask.Flask, url_prefix: str, enter: Enter | None = None) -> None:
    """Protect everything under ``url_prefix``: headers, forged forms, unknown paths.

    ``enter`` is asked before an unknown path is answered; what it returns is sent instead of the
    404. The first prefix guarded is also where static files and the theme switch are served.
    """
    install(app)
    pages: _Pages = app.extensions[_EXTENSION]
    prefix = url_prefix.rstrip("/")
    if not pages.guarded:
        app.add_url_rule(f"{prefix}/assets/<digest>/<path:name>", _ASSET, _serve_asset)
        app.add_url_rule(f"{prefix}/theme", _THEME, _set_theme, methods=["POST"])
    pages.guarded.append(_Guarded(prefix, enter))


def catch_errors(scaffold: Scaffold) -> None:
    """Answer errors of ``scaffold``, an application or a blueprint, with our page.

    Each status is registered by itself because Flask prefers a host's handler for a status to a
    blueprint's handler for all of them.
    """
    scaffold.register_error_handler(AdminError, error_response)
    scaffold.register_error_handler(sa.exc.SQLAlchemyError, _database_response)
    scaffold.register_error_handler(HTTPException, error_response)
    for status in default_exceptions:
        scaffold.register_error_handler(status, error_response)


def asset(path: str) -> str:
    """The URL of a static file; it changes when any static file does."""
    pages = _pages()
    if flask.current_app.debug:
        pages.assets.refresh()
    if path not in pages.assets.files:
        log.warning("There is no static file %r.", path)
        return flask.url_for(_ASSET, digest=pages.assets.digest, name=path)
    # A page names a dozen of them, and looking for their route is slow.
    if "admin_assets_url" not in g:
        g.admin_assets_url = flask.url_for(_ASSET, digest=pages.assets.digest, name="-")[:-1]
    return f"{g.admin_assets_url}{path}"


def csp_nonce() -> str:
    """The number, new in each response, without which no script of the page runs."""
    if "admin_csp_nonce" not in g:
        g.admin_csp_nonce = secrets.token_urlsafe(18)
    nonce: str = g.admin_csp_nonce
    return nonce


@pass_context
def is_overridden(context: Context, *blocks: str) -> bool:
    """Whether a template that extends the one being printed has one of its ``blocks`` itself."""
    return any(len(context.blocks.get(name, ())) > 1 for name in blocks)


def theme() -> Theme | None:
    """The theme that this visitor has chosen; None when it follows his system."""
    match request.cookies.get(THEME_COOKIE):
        case "light":
            return "light"
        case "dark":
            return "dark"
        case _:
            return None


def theme_url() -> str:
    """Where the theme is switched: POST ``theme`` (light, dark or empty) and ``next``."""
    return flask.url_for(_THEME)


def safe_url(target: str | None, default: str) -> str:
    """``target`` if it is a path of this site and nothing else, else ``default``."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return default
    # Browsers read a backslash as a slash and drop control characters, so "/\evil" leaves us.
    if "\\" in target or any(ord(sign) <= 0x20 or 0x7F <= ord(sign) < 0xA0 for sign in target):
        return default
    try:
        parts = urlsplit(target)
    except ValueError:
        return default
    return default if parts.scheme or parts.netloc else target


def _database_response(error: sa.exc.SQLAlchemyError) -> flask.Response:
    sentence = database.trouble(error)
    if sentence is None:
        raise error
    return error_response(ServiceUnavailable(sentence))


def request_id() -> str:
    """What this request is called in the history and in the log: its X-Request-ID, or a number."""
    if "admin_request_id" not in g:
        given = request.headers.get("X-Request-ID", "")
        g.admin_request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(4)
    found: str = g.admin_request_id
    return found


_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def error_response(error: Exception) -> flask.Response:
    """The page, or for a script the JSON, that tells of ``error`` in a sentence."""
    status, title, sentence = _describe(error)
    error_id = None
    if status >= 500:
        error_id = request_id()
        cause = getattr(error, "original_exception", None) or error
        log.error(
            "Error %s at %s %r: %s", error_id, request.method, request.path, type(cause).__name__
        )
    accepted = request.accept_mimetypes
    if request_ctx.url_adapter is None:
        # The request calls this server by a name that it does not trust, so it makes no links.
        response = flask.Response(sentence, content_type="text/plain; charset=utf-8")
    elif accepted["application/json"] > accepted["text/html"]:
        response = flask.jsonify(error=sentence, error_id=error_id)
    else:
        response = flask.make_response(_error_html(status, title, sentence, error_id))
    response.status_code = status
    if isinstance(error, HTTPException):
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                response.headers[name] = value
    return response


_TITLES = {
    400: "That request cannot be read",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Not saved",
    413: "Too large",
    429: "Too many requests",
    503: "Not available",
    507: "No room left",
}
_SENTENCES = {
    400: "Something in this request has no meaning here.",
    401: "You have to sign in to see this.",
    403: "You are signed in, but may not see or do this.",
    404: "There is no such page, or it is gone.",
    405: "This address cannot be opened in this way.",
    409: "Nothing was saved.",
    429: "Please wait a little and try again.",
    500: "This is a fault of ours and it was logged. Check whether your last change was saved.",
    503: "The server or its database does not answer. Please try again in a moment.",
}
_FORGED = (
    "This form was opened too long ago, before you signed in, or on another site. "
    "Nothing was saved. Go back, reload the page and send it again."
)


def _describe(error: Exception) -> tuple[int, str, str]:
    match error:
        case CSRFError():
            return 400, "This form can no longer be sent", _FORGED
        case InvalidRequest():
            status = 400
        case Forbidden():
            status = 403
        case NotFound():
            status = 404
        case WriteRefused():
            status = 409
        case OutOfTime():
            status = 503
        case OutOfSpace():
            status = 507
        case HTTPException(code=int(code)):
            status = code
        case _:
            status = 500
    title = _TITLES.get(status, "Something went wrong" if status >= 500 else "Not possible")
    sentence = _SENTENCES.get(status) or _SENTENCES[500 if status >= 500 else 400]
    if isinstance(error, RequestEntityTooLarge):
        sentence = "What you sent is larger than this server accepts. Nothing was saved."
    elif isinstance(error, AdminError) and (status < 500 or status == 507):
        sentence = error.sentence or sentence
    elif isinstance(error, HTTPException) and error.description != type(error).description:
        # Written by whoever called abort(), so more telling than what we would say.
        sentence = str(error.description) if status != 500 else sentence
    return status, title, sentence


def _error_html(status: int, title: str, sentence: str, error_id: str | None) -> str:
    home_url = next((f"{request.root_path}{place.prefix}/" for place in _pages().guarded), None)
    page = ErrorPage(
        status=status,
        title=title,
        sentence=sentence,
        home_url=home_url,
        back_url=_referring_path(),
        error_id=error_id,
    )
    if status == 503 and (again := _sent_fields()):
        page = replace(page, again=again, again_url=request.root_path + request.full_path)
    try:
        return flask.render_template("admin/error.html", page=page, admin_view=None)
    except Exception:
        # Whatever broke the page may break its frame as well (the menu asks the database).
        log.warning("The page for an error could not be drawn.", exc_info=True)
        told = f" ({error_id})" if error_id else ""
        return (
            f"<!doctype html><html lang=en><title>{escape(title)}</title>"
            f"<h1>{escape(title)}</h1><p>{escape(sentence)}{told}</p>"
        )


def _sent_fields() -> list[tuple[str, str]]:
    """What a form sent, for another try; nothing where a page cannot hold it or should not."""
    if request.method != "POST" or any(file.filename for file in request.files.values()):
        return []
    is_secret = any("password" in name.lower() for name in request.form)
    return [] if is_secret else [*request.form.items(multi=True)]


def _referring_path() -> str | None:
    """The page of this site that the visitor came from, unless it is this one."""
    try:
        referrer = urlsplit(request.referrer or "")
    except ValueError:
        return None
    if referrer.netloc != request.host:
        return None
    path = f"{referrer.path}?{referrer.query}" if referrer.query else referrer.path
    return safe_url(path, "") or None if path != request.full_path.rstrip("?") else None


def _set_csrf_defaults(app: flask.Flask) -> None:
    # CSRFProtect.init_app would protect, or break, every POST of the host. Its own defaults are
    # set here instead so that `protect` can be called for our paths alone.
    app.config.setdefault("WTF_CSRF_ENABLED", True)
    app.config.setdefault("WTF_CSRF_CHECK_DEFAULT", True)
    app.config.setdefault("WTF_CSRF_METHODS", {"POST", "PUT", "PATCH", "DELETE"})
    app.config.setdefault("WTF_CSRF_FIELD_NAME", "csrf_token")
    app.config.setdefault("WTF_CSRF_HEADERS", ["X-CSRFToken", "X-CSRF-Token"])
    app.config.setdefault("WTF_CSRF_SSL_STRICT", True)
    # A form left open over lunch must still be saved: the token lives as long as the session.
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)


def _start_babel(app: flask.Flask) -> None:
    """Start Flask-Babel where it is installed and the host has not.

    Flask-Admin translates through it whenever it can be imported, and fails where it was not
    started. A host that starts its own later replaces this one.
    """
    if "babel" not in app.extensions and find_spec("flask_babel") is not None:
        import_module("flask_babel").Babel(app)


def zone() -> dt.tzinfo:
    """The time zone of this visitor: his browser's, else BABEL_DEFAULT_TIMEZONE, else UTC."""
    config = flask.current_app.config
    names = (request.cookies.get(ZONE_COOKIE), config.get("BABEL_DEFAULT_TIMEZONE"))
    return next((z for z in map(moments.named, names) if z is not None), dt.UTC)


def server_offset() -> int:
    """Minutes by which the application's own clock is ahead of UTC just now.

    It is the clock of BABEL_DEFAULT_TIMEZONE, else of the machine; columns without a time zone go
    by it.
    """
    own = moments.named(flask.current_app.config.get("BABEL_DEFAULT_TIMEZONE"))
    offset = dt.datetime.now(dt.UTC).astimezone(own).utcoffset() or dt.timedelta()
    return int(offset.total_seconds()) // 60


def _receive() -> ResponseReturnValue | None:
    place = next((place for place in _pages().guarded if place.covers(request.path)), None)
    as_stored.read_as_is(place is not None)
    if place is None or request.endpoint == _ASSET:
        return None
    moments.set_zone(zone())
    _widen_form()
    fault = request.routing_exception
    if isinstance(fault, RequestRedirect):
        return None
    if fault is not None and request_ctx.url_adapter is None:
        return error_response(fault)
    if fault is not None:
        answer = place.enter() if place.enter is not None else None
        return answer if answer is not None else error_response(fault)
    try:
        _refuse_forged()
        if request.method == "POST" and sum(map(len, request.form.listvalues())) > FORM_PARTS:
            raise RequestEntityTooLarge
    except HTTPException as error:
        return error_response(error)
    return None


def import_limit() -> int:
    """Bytes that a file of rows may have."""
    return int(flask.current_app.config.get("ADMIN_IMPORT_MAX_BYTES") or IMPORT_BYTES)


def _widen_form() -> None:
    """Let a form hold long texts and many rows, unless the host has set limits of its own.

    Flask's are so tight that a row with a longer text could be opened but not saved.
    """
    config, defaults = flask.current_app.config, flask.Flask.default_config
    if (request.endpoint or "").endswith(".import_view"):
        # What stands around a file in a form has room, too.
        limits = (request.max_content_length, import_limit() + FORM_ROOM)
        request.max_content_length = min(limit for limit in limits if limit)
    if config["MAX_FORM_MEMORY_SIZE"] == defaults["MAX_FORM_MEMORY_SIZE"]:
        request.max_form_memory_size = FORM_MEMORY
    if config["MAX_FORM_PARTS"] == defaults["MAX_FORM_PARTS"]:
        request.max_form_parts = FORM_PARTS


def _refuse_forged() -> None:
    config = flask.current_app.config
    if not config["WTF_CSRF_ENABLED"] or request.method not in config["WTF_CSRF_METHODS"]:
        return
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise CSRFError("The request came from another site.")
    if "csrf" in flask.current_app.extensions and config["WTF_CSRF_CHECK_DEFAULT"]:
        # The host protects everything by itself, and knows its exemptions.
        return
    CSRFProtect().protect()


def _add_headers(response: flask.Response) -> flask.Response:
    if not _pages().covers(request.path):
        return response
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if request.endpoint == _ASSET and response.status_code < 400:
        return response
    headers.setdefault(
        "Content-Security-Policy",
        f"default-src 'none'; script-src 'nonce-{csp_nonce()}'; style-src 'self'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
    )
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Referrer-Policy"] = "same-origin"
    headers["X-Frame-Options"] = "DENY"
    headers.setdefault(
        "Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), usb=()"
    )
    if request.is_secure:
        headers.setdefault("Strict-Transport-Security", f"max-age={ONE_YEAR}")
    if "Cache-Control" not in headers or not response.cache_control.max_age:
        headers["Cache-Control"] = "no-store"
    if "Vary" in headers:
        response.vary.add("Cookie")
    else:
        headers["Vary"] = "Cookie"
    return response


def _serve_asset(digest: str, name: str) -> flask.Response:
    try:
        return _pages().assets.response(digest, name)
    except NotFound as error:
        return error_response(error)


def _set_theme() -> ResponseReturnValue:
    home = _pages().guarded[0].prefix + "/"
    target = safe_url(request.form.get("next"), _referring_path() or request.root_path + home)
    response = redirect(target, 303)
    chosen = request.form.get("theme")
    attributes: dict[str, Any] = {
        "path": request.root_path + home,
        "secure": request.is_secure,
        "samesite": "Lax",
    }
    if chosen in ("light", "dark"):
        response.set_cookie(THEME_COOKIE, chosen, max_age=ONE_YEAR, **attributes)
    else:
        response.delete_cookie(THEME_COOKIE, **attributes)
    return response
