"""The sample as an application on a fresh, seeded database of either engine."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy

from admin_app import Admin, ModelView, Policy
from admin_app.database import engine_options, listen, normalise_url
from examples.fleet.models import Base
from examples.fleet.rows import SIZES
from examples.fleet.seed import seed
from tests.db.drop_in import Host
from tests.db.journey import Journey


class Site:
    """An application with an admin over some models, and a visitor."""

    def __init__(self, url: str, base: Any = Base, **options: Any) -> None:
        self.app = flask.Flask("site")
        self.app.config.update(
            SECRET_KEY="a key for tests only, long enough",
            SQLALCHEMY_DATABASE_URI=normalise_url(url),
            SQLALCHEMY_ENGINE_OPTIONS=engine_options(normalise_url(url)),
            TESTING=True,
            WTF_CSRF_ENABLED=False,
        )
        self.db = SQLAlchemy(metadata=base.metadata)
        self.db.init_app(self.app)
        with self.app.app_context():
            self.engine: sa.Engine = self.db.engine
            listen(self.engine)
        # Tests that are about something else count its statements; the history has its own tests.
        options = {"sign_in": "none", "history": False, **options}
        self.admin = Admin(self.app, self.db, name="Fleet", **options)
        self.base = base

    def create_all(self) -> Site:
        self.base.metadata.create_all(self.engine)
        return self

    def register_all(self, views: dict[type[Any], type[ModelView]] | None = None) -> Site:
        self.admin.register_all(self.base, views=views)
        return self

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def url(self, model: type[Any], page: str = "list", **values: Any) -> str:
        with self.app.test_request_context():
            return self.admin.view_for(model).url_for(page, **values)

    def session(self) -> Any:
        return sa.orm.Session(self.engine)


@pytest.fixture(scope="session")
def seeded_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample in a SQLite file that every test copies."""
    path = tmp_path_factory.mktemp("seeded") / "fleet.db"
    _seed(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def seeded_postgresql(postgresql_server: sa.Engine) -> str:
    """The name of a PostgreSQL database with the sample that every test copies."""
    with postgresql_server.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE seeded")
    _seed(postgresql_server.url.set(database="seeded").render_as_string(hide_password=False))
    return "seeded"


def _seed(url: str) -> None:
    made = Site(url).create_all()
    seed(made.engine, SIZES["small"])
    with made.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    made.engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def fleet_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of its own with the small sample in it, on either engine."""
    if request.param == "sqlite":
        copy = shutil.copy(request.getfixturevalue("seeded_sqlite"), tmp_path / "fleet.db")
        yield f"sqlite:///{copy}"
        return
    template = request.getfixturevalue("seeded_postgresql")
    server: sa.Engine = request.getfixturevalue("postgresql_server")
    name = f"fleet_{next(_numbers)}"
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.url.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


_numbers = itertools.count(1)


@pytest.fixture
def own_site(fleet_url: str) -> Site:
    """As ``site``, for a test that registers more views or changes the application."""
    return Site(fleet_url).register_all()


class _Sample:
    """The sample on one engine, kept from test to test as long as none has changed it."""

    def __init__(self, made: Site, renew: Callable[[], None]) -> None:
        self.site = made
        self.is_written = False
        self._renew = renew
        self._state = self._application()
        sa.event.listen(made.engine, "before_cursor_execute", self._note)

    def _note(self, connection, cursor, statement, parameters, context, executemany) -> None:
        self.is_written |= statement.split(None, 1)[0].upper() not in _HARMLESS

    def _application(self) -> tuple[Any, ...]:
        admin, app = self.site.admin, self.site.app
        views = [[*vars(v).items()] for v in admin.views_by_model.values()]
        return (
            len(admin._views),
            admin.policy,
            admin.sign_in,
            app.session_interface,
            dict(app.config),
            [{n: v for n, v in items if not n.startswith("_")} for items in views],
        )

    def restore(self) -> bool:
        """Bring the rows back; whether the application is as it was, too."""
        if self.is_written:
            self.site.engine.dispose()
            self._renew()
            self.is_written = False
        return self._application() == self._state


_HARMLESS = {"SELECT", "SHOW", "SET", "PRAGMA", "EXPLAIN", "SAVEPOINT", "RELEASE", "ROLLBACK"}


@pytest.fixture(scope="session")
def _samples() -> Iterator[dict[str, _Sample]]:
    samples: dict[str, _Sample] = {}
    yield samples
    for sample in samples.values():
        sample.site.engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def site(
    request: pytest.FixtureRequest,
    _samples: dict[str, _Sample],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """Every model of the sample, seeded, without options and without sign-in."""
    sample = _samples.get(request.param)
    if sample is None:
        made = request.getfixturevalue(f"_sample_{request.param}")
        sample = _samples[request.param] = made()
    yield sample.site
    if not sample.restore():
        del _samples[request.param]


@pytest.fixture(scope="session")
def _sample_sqlite(
    seeded_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], _Sample]:
    path = tmp_path_factory.mktemp("sample") / "fleet.db"

    def renew() -> None:
        for leftover in path.parent.iterdir():
            leftover.unlink()
        shutil.copy(seeded_sqlite, path)

    def make() -> _Sample:
        renew()
        return _Sample(Site(f"sqlite:///{path}").register_all(), renew)

    return make


@pytest.fixture(scope="session")
def _sample_postgresql(
    postgresql_server: sa.Engine, seeded_postgresql: str
) -> Callable[[], _Sample]:
    def renew() -> None:
        with postgresql_server.connect() as connection:
            connection.exec_driver_sql("DROP DATABASE IF EXISTS sample WITH (FORCE)")
            connection.exec_driver_sql(f"CREATE DATABASE sample TEMPLATE {seeded_postgresql}")

    def make() -> _Sample:
        renew()
        url = postgresql_server.url.set(database="sample").render_as_string(hide_password=False)
        return _Sample(Site(url).register_all(), renew)

    return make


@pytest.fixture(
    params=[
        ("ours", "sqlite"),
        ("flask_admin", "sqlite"),
        pytest.param(("ours", "postgresql"), marks=pytest.mark.postgresql),
    ],
    ids="-".join,
)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """An application written for Flask-Admin; the test runs in its Admin and in ours."""
    kind, engine = request.param
    made = Host(request.getfixturevalue(f"{engine}_url"), kind, tmp_path / "templates")
    yield made
    made.engine.dispose()


@pytest.fixture
def make_site(database_url: str) -> Callable[..., Site]:
    """Makes a site over other models: ``make_site(Base, policy=…)``."""
    return lambda base, **options: Site(database_url, base, **options).create_all()


@pytest.fixture
def nobody() -> Policy:
    """A policy that lets nobody do anything."""

    class Nobody(Policy):
        def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
            return False

    return Nobody()


class _Controls(HTMLParser):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.inside = form, False
        self.sent: list[tuple[str, str]] = []
        self.select: str | None = None
        self.options: list[tuple[str, bool]] = []
        self.area: str | None = None
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.inside = self.form in (given.get("class") or "") or given.get("id") == self.form
        if not self.inside:
            return
        name = given.get("name") or ""
        if tag == "input" and name:
            kind = given.get("type", "text")
            if (
                kind in ("checkbox", "radio")
                and "checked" not in given
                or kind in ("file", "submit")
            ):
                return
            self.sent.append((name, given.get("value") or ""))
        elif tag == "select":
            self.select, self.options = name, []
        elif tag == "option" and self.select:
            self.options.append((given.get("value") or "", "selected" in given))
        elif tag == "textarea":
            self.area, self.text = name, ""

    def handle_data(self, data: str) -> None:
        if self.area:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "textarea" and self.area:
            # As a browser does: every line end is read as LF, the first one is dropped, and all
            # are sent as CRLF.
            text = self.text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\n")
            self.sent.append((self.area, text.replace("\n", "\r\n")))
            self.area = None
        elif tag == "select" and self.select:
            chosen = [v for v, is_selected in self.options if is_selected]
            chosen = chosen or [v for v, _ in self.options[:1]]
            self.sent += [(self.select, v) for v in chosen]
            self.select = None


@pytest.fixture
def controls() -> Callable[..., dict[str, list[str]]]:
    """What a browser would send for the form of a page: ``controls(html)``."""

    def read(html: str, form: str = "record-form") -> dict[str, list[str]]:
        parser = _Controls(form)
        parser.feed(html)
        sent: dict[str, list[str]] = {}
        for name, value in parser.sent:
            sent.setdefault(name, []).append(value)
        return sent

    return read


@pytest.fixture
def journey(
    controls: Callable[..., dict[str, list[str]]], statements: Any
) -> Callable[[Site, type[Any]], Journey]:
    """The way through the pages of a model: ``journey(site, Model).create(name="Ana")``."""
    return lambda site, model: Journey(site, model, controls, statements)
