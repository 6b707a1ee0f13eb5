"""The admin as an application of its own, set up by its environment.

`create_app` reads the settings (docs/reference/configuration.md), refuses wrong ones with a
sentence for each, and puts the parts together: models, engine, migrations, admin, commands.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeVar

import flask
import sqlalchemy as sa
from flask.helpers import get_debug_flag
from flask.sessions import SecureCookieSessionInterface
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from werkzeug.middleware.proxy_fix import ProxyFix

from admin_app import database, jobs, pages
from admin_app.accounts import Accounts, Open, SignIn
from admin_app.checks import SHORTEST_KEY, WEAK_KEYS
from admin_app.cli import admin_cli
from admin_app.errors import ConfigurationError
from admin_app.extension import Admin, mapped_classes
from admin_app.reflection import reflect

SAMPLE = "examples.fleet.models"
SAMPLE_VIEWS = "examples.fleet.admin"

DEFAULTS: dict[str, Any] = {
    "ADMIN_HISTORY": "on",
    "ADMIN_MODELS": SAMPLE,
    "ADMIN_SIGN_IN": "accounts",
    "ADMIN_PROXY_HOPS": 0,
    # An upload is one row's file, not a backup. A long text is a field, a file is not: only the
    # first is held in memory.
    "MAX_CONTENT_LENGTH": 64 * 1024 * 1024,
    "MAX_FORM_MEMORY_SIZE": 16 * 1024 * 1024,
    "MAX_FORM_PARTS": 10_000,
    "SESSION_COOKIE_NAME": "admin_session",
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
}
"""Settings as they are when nobody says otherwise."""

FROM_ENVIRONMENT = (
    "ADMIN_ALLOW_OPEN",
    "ADMIN_HISTORY",
    "ADMIN_IMPORT_MAX_BYTES",
    "ADMIN_JOBS",
    "ADMIN_MODELS",
    "ADMIN_NAME",
    "ADMIN_PROXY_HOPS",
    "ADMIN_SESSION_IDLE",
    "ADMIN_SESSION_KEPT",
    "ADMIN_SESSION_LIFE",
    "ADMIN_SIGN_IN",
    "ADMIN_TRUSTED_HOSTS",
    "ADMIN_VIEWS",
    "DATABASE_URL",
    "MIGRATIONS_DIR",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
)
"""Settings read from variables of the same name; for each, ``<NAME>_FILE`` names a file."""

HISTORIES: dict[str, bool | Literal["chained"]] = {
    "on": True,
    "off": False,
    "chained": "chained",
}
"""What ADMIN_HISTORY may say, and what it means to `Admin`."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Models:
    """What is administered: ``source`` is what `Admin.register_all` takes."""

    source: Any
    metadata: sa.MetaData
    db: SQLAlchemy


def create_app(config: Mapping[str, Any] | None = None) -> flask.Flask:
    """The stand-alone admin. ``config`` wins over the environment, the environment over defaults.

    Raises `ConfigurationError` with one sentence for every setting that is wrong.
    """
    config = dict(config or {})
    app = flask.Flask(
        "admin_app",
        static_folder=None,
        template_folder=None,
        instance_path=_instance_path(config),
    )
    app.session_interface = _Sessions()
    problems = _Problems()
    app.config.from_mapping(DEFAULTS)
    app.config.from_prefixed_env()
    app.config["DEBUG"] = get_debug_flag()
    for name in FROM_ENVIRONMENT:
        problems.of(_read_environment, app, name)
    app.config.from_mapping(config)

    problems.of(_make_instance_folder, app)
    url = problems.of(_database_url, app)
    problems.of(_secret_key, app)
    _lists(app)
    sign_in = problems.of(_sign_in, app)
    history = problems.of(_history, app)
    problems.of(jobs.check, app)
    hops = problems.of(_proxy_hops, app)
    problems.of(_import_limit, app)
    problems.of(_migrations_directory, app)
    problems.of(_engine_options, app)
    models = problems.of(_models, app, url)
    views = problems.of(_views, app)
    problems.stop()
    assert url is not None
    assert models is not None
    assert sign_in is not None
    assert history is not None

    if hops:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops
        )
    # Read before the admin's tables join those of the sample, which it fills and empties.
    sample = import_module("examples.fleet.cli") if app.config["ADMIN_MODELS"] == SAMPLE else None
    _start_database(app, models, url)
    admin = Admin(app, models.db, name=_name(app), sign_in=sign_in, history=history)
    admin.register_all(models.source, views=dict(views or {}))
    # Whatever lies outside of the admin is answered by this application, too.
    pages.guard(app, "")
    pages.catch_errors(app)
    app.cli.add_command(admin_cli)
    if sample is not None:
        app.cli.add_command(sample.fleet_cli)
    app.add_url_rule("/", "home", lambda: flask.redirect(f"{flask.request.root_path}{admin.url}/"))
    return app


class _Sessions(SecureCookieSessionInterface):
    """Session cookies that browsers send back over https alone, wherever they came over it.

    The ``__Host-`` in the name keeps other hosts of the same domain from planting one.
    """

    def get_cookie_secure(self, app: flask.Flask) -> bool:
        return super().get_cookie_secure(app) or (
            flask.has_request_context() and flask.request.is_secure
        )

    def get_cookie_name(self, app: flask.Flask) -> str:
        name = super().get_cookie_name(app)
        is_bound = self.get_cookie_path(app) == "/" and not self.get_cookie_domain(app)
        return f"__Host-{name}" if is_bound and self.get_cookie_secure(app) else name


class _Problems:
    """Collects what is wrong, so that it can all be mended at once."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def of(self, function: Callable[..., _T], *arguments: Any) -> _T | None:
        try:
            return function(*arguments)
        except ConfigurationError as error:
            self.sentences.extend(error.problems)
            return None

    def stop(self) -> None:
        if self.sentences:
            raise ConfigurationError(self.sentences)


def _read_environment(app: flask.Flask, name: str) -> None:
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            app.config[name] = Path(path).read_text().strip()
        except OSError as error:
            raise ConfigurationError(
                f"{name}_FILE names {path!r}, which cannot be read ({error.strerror}). "
                "Correct the path or its permissions."
            ) from None
    elif os.environ.get(name):
        app.config[name] = os.environ[name]


def _instance_path(config: Mapping[str, Any]) -> str | None:
    chosen = config.get("INSTANCE_PATH") or os.environ.get("INSTANCE_PATH")
    return str(Path(chosen).absolute()) if chosen else None


def _make_instance_folder(app: flask.Flask) -> None:
    try:
        Path(app.instance_path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {app.instance_path!r} cannot be made ({error.strerror}). "
            "Set INSTANCE_PATH to a folder that can be written."
        ) from None


def _database_url(app: flask.Flask) -> sa.URL:
    name = "SQLALCHEMY_DATABASE_URI" if app.config.get("SQLALCHEMY_DATABASE_URI") else ""
    name = name or "DATABASE_URL"
    try:
        url = database.normalise_url(app.config.get(name) or "sqlite:///admin.sqlite")
    except ConfigurationError as error:
        raise ConfigurationError(f"{name} cannot be used: {error.sentence}") from None
    if url.get_backend_name() == "sqlite" and not database.is_memory(url):
        # As Flask-SQLAlchemy does, but before it, because reflection asks the same address.
        assert url.database is not None
        if not url.database.startswith("file:"):
            url = url.set(database=str(Path(app.instance_path) / url.database))
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    return url


def _lists(app: flask.Flask) -> None:
    """Settings that are several values, with commas between where the environment has them."""
    for name, setting in (
        ("ADMIN_TRUSTED_HOSTS", "TRUSTED_HOSTS"),
        ("SECRET_KEY_FALLBACKS", "SECRET_KEY_FALLBACKS"),
    ):
        value = app.config.get(name)
        if isinstance(value, str):
            app.config[setting] = [v for part in value.split(",") if (v := part.strip())] or None


def _secret_key(app: flask.Flask) -> None:
    key = app.config.get("SECRET_KEY")
    if key:
        weak = len(key) < SHORTEST_KEY or str(key).lower() in WEAK_KEYS
        if weak and not (app.debug or app.testing):
            raise ConfigurationError(
                f"SECRET_KEY is too easy to guess: it has {len(key)} characters and needs at "
                f"least {SHORTEST_KEY} random ones. {_HOW_TO_MAKE_A_KEY}"
            )
        return
    # Whoever starts a command of Flask is at his own machine; a server that others use is started
    # by gunicorn or the like, perhaps on several machines that must share one key.
    if not (app.debug or app.testing or os.environ.get("FLASK_RUN_FROM_CLI") == "true"):
        raise ConfigurationError(f"SECRET_KEY is not set. {_HOW_TO_MAKE_A_KEY}")
    app.config["SECRET_KEY"] = _development_key(Path(app.instance_path) / "secret_key")


_HOW_TO_MAKE_A_KEY = (
    "Set it to the output of: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
)


def _development_key(path: Path) -> str:
    """A key that stays the same from start to start, so that nobody has to sign in again."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigurationError(
            f"SECRET_KEY is not set and none can be kept in {str(path)!r} ({error.strerror}). "
            f"{_HOW_TO_MAKE_A_KEY}"
        ) from None
    key = path.read_text().strip()
    if len(key) < SHORTEST_KEY:
        raise ConfigurationError(f"The file {str(path)!r} holds no key. Delete it and start again.")
    return key


def _sign_in(app: flask.Flask) -> SignIn:
    match app.config["ADMIN_SIGN_IN"]:
        case "accounts":
            return Accounts()
        case "none":
            Open.check(app)
            return Open()
        case sign_in if hasattr(sign_in, "identify"):
            chosen: SignIn = sign_in
            return chosen
        case value:
            raise ConfigurationError(
                f"ADMIN_SIGN_IN is {value!r}. Set it to 'accounts' (the default) or 'none'."
            )


def _history(app: flask.Flask) -> bool | Literal["chained"]:
    value = app.config["ADMIN_HISTORY"]
    if isinstance(value, bool):
        return value
    if str(value) not in HISTORIES:
        raise ConfigurationError(
            f"ADMIN_HISTORY is {value!r}. Set it to 'on' (the default), 'off' or 'chained'."
        )
    return HISTORIES[str(value)]


def _proxy_hops(app: flask.Flask) -> int:
    value = app.config["ADMIN_PROXY_HOPS"]
    if not str(value).isdecimal():
        raise ConfigurationError(
            f"ADMIN_PROXY_HOPS is {value!r}. Set it to how many proxies stand before this server, "
            "or leave it out when there is none."
        )
    return int(value)


def _import_limit(app: flask.Flask) -> None:
    value = app.config.get("ADMIN_IMPORT_MAX_BYTES")
    if value is not None and not str(value).isdecimal():
        raise ConfigurationError(
            f"ADMIN_IMPORT_MAX_BYTES is {value!r}. Set it to a number of bytes, as 52428800."
        )


def _migrations_directory(app: flask.Flask) -> None:
    """The folder of the models at hand: never the sample's for models that are not the sample."""
    chosen = app.config.get("MIGRATIONS_DIR")
    if chosen and Path(chosen).exists() and not Path(chosen).is_dir():
        raise ConfigurationError(f"MIGRATIONS_DIR is {chosen!r}, which is a file. Name a folder.")
    if not chosen:
        is_sample = app.config["ADMIN_MODELS"] == SAMPLE
        home = pages.PACKAGE.parent if is_sample else Path(app.instance_path)
        app.config["MIGRATIONS_DIR"] = str(home / "migrations")


def _engine_options(app: flask.Flask) -> None:
    if not isinstance(app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {}, Mapping):
        raise ConfigurationError(
            "SQLALCHEMY_ENGINE_OPTIONS is no dictionary. In the environment write it as JSON, as "
            "in FLASK_SQLALCHEMY_ENGINE_OPTIONS='{\"pool_size\": 10}'."
        )


def _models(app: flask.Flask, url: sa.URL | None) -> Models | None:
    wanted = app.config["ADMIN_MODELS"]
    source = wanted
    if isinstance(wanted, str):
        if wanted == "reflect" or wanted.startswith("reflect:"):
            # An address that is wrong has been told already.
            return None if url is None else _reflected(wanted.partition(":")[2] or None, url)
        source = _imported("ADMIN_MODELS", wanted)
    try:
        classes = mapped_classes(source)
    except ConfigurationError:
        classes = []
    if not classes:
        raise ConfigurationError(
            f"ADMIN_MODELS is {wanted!r}, where no class is mapped. Name the module that defines "
            "your models, or their base as in 'shop.models:Base'."
        )
    # Models of Flask-SQLAlchemy know their db, which knows their binds.
    db = next((model.__fsa__ for model in classes if hasattr(model, "__fsa__")), None)
    if db is not None:
        return Models(source, db.metadata, db)
    table = next(table for table in map(_table, classes) if table is not None)
    return Models(source, table.metadata, SQLAlchemy(metadata=table.metadata))


def _table(model: type[Any]) -> sa.Table | None:
    table = sa.inspect(model).local_table
    return table if isinstance(table, sa.Table) else None


def _imported(setting: str, wanted: str) -> Any:
    """The module, or the name in it, that ``wanted`` spells as ``package.module[:name]``."""
    module_name, _, name = wanted.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(
            f"{setting} is {wanted!r}, but there is no module {error.name!r}. Correct the name, or "
            "start in the folder that holds it."
        ) from None
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"{setting} is {wanted!r}, which names no module. Write it as in 'shop.models'."
        ) from None
    if not name:
        return module
    if not hasattr(module, name):
        raise ConfigurationError(
            f"{setting} is {wanted!r}, but the module has no name {name!r}. Correct it."
        )
    return getattr(module, name)


def _reflected(schema: str | None, url: sa.URL) -> Models:
    shown = database.mask(url)
    if url.get_backend_name() == "sqlite" and not database.is_memory(url):
        path = Path(url.database or "")
        if not str(path).startswith("file:") and not path.is_file():
            raise ConfigurationError(
                f"DATABASE_URL is {shown!r}, but there is no such file to reflect. Correct it; a "
                "path from the root begins with four slashes, as in 'sqlite:////srv/shop.sqlite'."
            )
    engine = sa.create_engine(url, **database.engine_options(url))
    database.listen(engine)
    try:
        found = reflect(engine, schema)
    except sa.exc.OperationalError as error:
        raise ConfigurationError(
            f"DATABASE_URL is {shown!r}, which does not answer: {_first_line(error)} Correct it "
            "or start the database."
        ) from None
    finally:
        engine.dispose()
    if not found.classes:
        where = f"schema {schema!r}" if schema else "database"
        raise ConfigurationError(
            f"ADMIN_MODELS is {':'.join(filter(None, ('reflect', schema)))!r}, but the {where} "
            f"at {shown!r} has no tables. Correct one or the other."
        )
    metadata = found.base.metadata
    return Models(found.classes, metadata, SQLAlchemy(metadata=metadata))


def _first_line(error: sa.exc.DBAPIError) -> str:
    text = str(error.orig).strip().splitlines()
    return f"{text[0].rstrip('.')}." if text else ""


def _views(app: flask.Flask) -> Mapping[type[Any], type[Any]]:
    wanted = app.config.get("ADMIN_VIEWS")
    if not wanted and app.config["ADMIN_MODELS"] == SAMPLE:
        wanted = SAMPLE_VIEWS
    if not wanted:
        return {}
    if isinstance(wanted, str):
        wanted = _imported("ADMIN_VIEWS", wanted if ":" in wanted else f"{wanted}:VIEWS")
    if not isinstance(wanted, Mapping):
        raise ConfigurationError(
            f"ADMIN_VIEWS is {app.config['ADMIN_VIEWS']!r}, which is no dictionary of models and "
            "view classes. Name one, as in 'shop.admin:VIEWS'."
        )
    return wanted


def _name(app: flask.Flask) -> str:
    is_sample = app.config["ADMIN_MODELS"] == SAMPLE
    return str(app.config.get("ADMIN_NAME") or ("Fleet" if is_sample else "Admin"))


def _start_database(app: flask.Flask, models: Models, url: sa.URL) -> None:
    options = database.engine_options(url)
    chosen = dict(app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {})
    arguments = options.get("connect_args", {}) | chosen.get("connect_args", {})
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options | chosen | {"connect_args": arguments}
    database.attach(models.metadata)
    models.db.init_app(app)
    with app.app_context():
        for engine in models.db.engines.values():
            database.listen(engine)
    Migrate(app, models.db, directory=app.config["MIGRATIONS_DIR"])
