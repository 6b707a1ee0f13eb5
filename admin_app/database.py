"""How the admin meets a database: its address, its connections, its limits, and our own tables.

The tables of the admin itself are mapped on `Base` and all begin with ``admin_``. They live in the
same database as the rows that are administered, so that both can change in one transaction;
`attach` shows them to the host's metadata and with it to its migrations.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool
from sqlalchemy.sql.visitors import InternalTraversal

from admin_app import as_stored
from admin_app.errors import ConfigurationError, OutOfTime

NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
"""Every constraint has a name, without which SQLite's batch migrations cannot find it again."""

Kind = Literal["read", "write", "preview", "lookup", "chunk", "job", "export"]

LIMITS: dict[Kind, tuple[int, int]] = {
    "read": (10_000, 2_000),
    "write": (20_000, 5_000),
    "preview": (10_000, 2_000),
    "lookup": (3_000, 1_000),
    "chunk": (120_000, 5_000),
    "job": (0, 0),
    "export": (300_000, 5_000),
}
"""Milliseconds that a statement, and the wait for a lock in it, may take; 0 is for ever."""

CONNECT_SECONDS = 5
IDLE_IN_TRANSACTION = 60_000
RECYCLE_SECONDS = 1_800
SQLITE_BUSY_SECONDS = 10

# For each name that does not say which driver: drivers in order of preference, as (driver, module,
# what to install). SQLAlchemy 2.1 reads "postgresql" as psycopg 3 even where only 2 is installed.
_DRIVERS = {
    "postgres": ("postgresql", "psycopg2", "psycopg"),
    "postgresql": ("postgresql", "psycopg2", "psycopg"),
    "mysql": ("mysql", "MySQLdb", "pymysql"),
    "mariadb": ("mariadb", "MySQLdb", "pymysql"),
}
_DRIVER_NAMES = {"MySQLdb": "mysqldb"}
_DISTRIBUTIONS = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}


class Base(orm.DeclarativeBase):
    """The admin's own tables."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)


def attach(metadata: sa.MetaData) -> None:
    """Copy the admin's tables into ``metadata``; those that are there already stay as they are.

    The copies are for migrations alone. They have the types that the database knows, since a
    revision that names a type of Flask-Security's could not be run without importing it.
    """
    for table in Base.metadata.sorted_tables:
        if table.key in metadata.tables:
            continue
        for column in table.to_metadata(metadata).columns:
            if isinstance(column.type, sa.types.TypeDecorator):
                column.type = column.type.impl_instance


def mask(url: str | sa.URL) -> str:
    """``url`` as it may be shown: without its password."""
    if isinstance(url, sa.URL):
        return url.render_as_string(hide_password=True)
    return re.sub(r"(//[^:/@]*:)[^/]*@", r"\1***@", url)


def normalise_url(url: str | sa.URL) -> sa.URL:
    """The database address ``url`` with a driver that is installed.

    ``postgres://`` and ``postgresql://`` mean psycopg2 where that is installed, else psycopg 3. A
    driver that was named is kept.

    Raises `ConfigurationError` (without the password) for what is no address, or has no driver.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError(
            f"{mask(url)!r} is no database address. Write one such as "
            "'postgresql://user:password@host/name' or 'sqlite:///file.db'."
        ) from None
    if parsed.drivername in _DRIVERS:
        dialect, *modules = _DRIVERS[parsed.drivername]
        module = next((module for module in modules if find_spec(module)), None)
        if module is None:
            wanted = " or ".join(_DISTRIBUTIONS.get(module, module) for module in modules)
            raise ConfigurationError(
                f"No driver is installed for {mask(parsed)!r}. Install {wanted} with pip."
            )
        parsed = parsed.set(drivername=f"{dialect}+{_DRIVER_NAMES.get(module, module)}")
    try:
        parsed.get_dialect().import_dbapi()
    except sa.exc.NoSuchModuleError:
        raise ConfigurationError(
            f"SQLAlchemy knows no database called {parsed.drivername!r}, as in {mask(parsed)!r}. "
            "Correct the part before '://' or install its dialect with pip."
        ) from None
    except ImportError as error:
        raise ConfigurationError(
            f"The driver for {mask(parsed)!r} cannot be imported: {error}. Install it with pip."
        ) from None
    return parsed


def is_memory(url: sa.URL) -> bool:
    """Whether ``url`` is a SQLite database that is gone with its connection."""
    return url.get_backend_name() == "sqlite" and (
        url.database in (None, "", ":memory:") or url.query.get("mode") == "memory"
    )


def engine_options(url: sa.URL) -> dict[str, Any]:
    """Arguments of `sqlalchemy.create_engine` for a server that runs for months.

    Connections are tested before use and renewed every half hour. On PostgreSQL each one opens
    with the limits of a reading page (`LIMITS`), at no cost in statements; `set_limits` changes
    them for one transaction.
    """
    if is_memory(url):
        return {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    options: dict[str, Any] = {
        "pool_pre_ping": True,
        "pool_recycle": RECYCLE_SECONDS,
        "pool_timeout": CONNECT_SECONDS,
    }
    match url.get_backend_name(), url.get_driver_name():
        case "sqlite", _:
            options["connect_args"] = {"timeout": SQLITE_BUSY_SECONDS}
        case "postgresql", "psycopg2" | "psycopg":
            statement, lock = LIMITS["read"]
            settings = {
                "statement_timeout": statement,
                "lock_timeout": lock,
                "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION,
            }
            arguments: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS}
            if "options" not in url.query:
                arguments["options"] = " ".join(f"-c {k}={v}" for k, v in settings.items())
            options["connect_args"] = {k: v for k, v in arguments.items() if k not in url.query}
        case "mysql" | "mariadb", "pymysql" | "mysqldb":
            options["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
    return options


def listen(engine: sa.Engine) -> None:
    """Make SQLite keep foreign keys and transactions, and PostgreSQL hand over every date."""
    if engine.dialect.name == "sqlite" and not event.contains(engine, "connect", _open_sqlite):
        event.listen(engine, "connect", _open_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    opener = as_stored.OPENERS.get(engine.driver)
    if opener is not None and not event.contains(engine, "connect", opener):
        event.listen(engine, "connect", opener)


def _open_sqlite(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    # Python's driver would commit before each DDL statement and begin only at the first write.
    # With its own transactions off and ours begun by hand (below), DDL can be rolled back.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_SECONDS * 1000}")
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.OperationalError:
        # A file on a read-only disk, or on one that cannot share memory, keeps the mode it has.
        pass
    finally:
        cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    begin = "BEGIN IMMEDIATE" if options.get("sqlite_begin") == "IMMEDIATE" else "BEGIN"
    if "sqlite_busy" not in options:
        connection.exec_driver_sql(begin)
        return
    # Whoever has the lock for writing waits for nothing more.
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(options['sqlite_busy'])}")
    try:
        connection.exec_driver_sql(begin)
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {SQLITE_BUSY_SECONDS * 1000}")


def begin_write(
    session: orm.Session | orm.scoped_session[Any],
    mapper: orm.Mapper[Any],
    kind: Literal["write", "preview", "chunk"] = "write",
) -> None:
    """Begin the transaction in which a row of ``mapper`` is read and then written.

    What the session has read before is let go. On SQLite the lock for writing is taken at once:
    a transaction that began by reading is refused when somebody else has written in between. On
    PostgreSQL the transaction gets the limits of a write, of a job's chunk, or of a write that is
    only tried: that waits less for others, on SQLite as well.
    """
    session.rollback()
    dialect = session.get_bind(mapper=mapper).dialect.name
    options = {"sqlite_begin": "IMMEDIATE"} if dialect == "sqlite" else {}
    if kind == "preview":
        options["sqlite_busy"] = str(LIMITS[kind][1])
    connection = session.connection(bind_arguments={"mapper": mapper}, execution_options=options)
    if dialect == "sqlite" and not getattr(_driver(connection), "in_transaction", True):
        # Of an engine that `listen` does not know, Python's driver begins at the first write alone:
        # what a savepoint holds would be committed with it.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    set_limits(connection, kind)


def _driver(connection: sa.Connection) -> Any:
    return connection.connection.driver_connection


def set_limits(bind: sa.Connection | orm.Session | orm.scoped_session[Any], kind: Kind) -> None:
    """Limit statements and lock waits until the end of this transaction, on PostgreSQL.

    One statement, except for "read", which connections made with `engine_options` carry already.
    Other databases have no such limits and are left alone.
    """
    if kind == "read":
        return
    connection = bind if isinstance(bind, sa.Connection) else bind.connection()
    if connection.dialect.name != "postgresql":
        return
    statement, lock = LIMITS[kind]
    connection.execute(
        sa.select(
            sa.func.set_config("statement_timeout", str(statement), True),
            sa.func.set_config("lock_timeout", str(lock), True),
        )
    )


@contextlib.contextmanager
def budget(
    bind: sa.Connection | orm.Session | orm.scoped_session[Any],
    seconds: float,
    mapper: orm.Mapper[Any] | None = None,
) -> Iterator[None]:
    """Give the one statement that is read in this block ``seconds`` to answer.

    `OutOfTime` when it took longer; the transaction goes on as if the block had not been. What the
    block writes is lost in any case, so a session flushes nothing by itself in it. ``mapper``
    chooses the database of a session that has several. PostgreSQL, SQLite and MariaDB keep to it,
    other databases take the time they need.
    """
    connection = _connection(bind, mapper)
    unflushed = contextlib.nullcontext() if isinstance(bind, sa.Connection) else bind.no_autoflush
    limited = _BUDGETS.get(_database_of(connection), _without_limit)
    try:
        with unflushed, limited(connection, seconds):
            yield
    except sa.exc.DBAPIError as error:
        if was_stopped(error):
            raise OutOfTime(f"This took longer than {seconds:g} seconds.") from error
        raise


def _connection(
    bind: sa.Connection | orm.Session | orm.scoped_session[Any], mapper: orm.Mapper[Any] | None
) -> sa.Connection:
    if isinstance(bind, sa.Connection):
        return bind
    return bind.connection(bind_arguments={} if mapper is None else {"mapper": mapper})


def _database_of(connection: sa.Connection) -> str:
    dialect = connection.dialect
    return "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name


def _without_limit(connection: sa.Connection, seconds: float) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


@contextlib.contextmanager
def _postgresql_budget(connection: sa.Connection, seconds: float) -> Iterator[None]:
    raw = connection.connection.dbapi_connection
    if getattr(raw, "autocommit", False):
        # There is no transaction to come back to, and nothing that a timeout could be local to.
        yield
        return
    milliseconds = max(1, round(seconds * 1000))
    _execute(
        connection,
        "SAVEPOINT admin_budget",
        f"SET LOCAL statement_timeout = {milliseconds}",
    )
    transaction = connection.get_transaction()
    try:
        yield
    finally:
        is_there = not (connection.closed or connection.invalidated)
        if is_there and connection.get_transaction() is transaction:
            # This also brings back the timeout that was.
            _execute(
                connection, "ROLLBACK TO SAVEPOINT admin_budget", "RELEASE SAVEPOINT admin_budget"
            )


def _execute(connection: sa.Connection, *statements: str) -> None:
    """Execute ``statements``, in one journey where the driver can send several."""
    pieces = ("; ".join(statements),) if connection.dialect.driver == "psycopg2" else statements
    for piece in pieces:
        connection.exec_driver_sql(piece)


@contextlib.contextmanager
def _sqlite_budget(connection: sa.Connection, seconds: float) -> Iterator[None]:
    raw = connection.connection.dbapi_connection
    if not isinstance(raw, sqlite3.Connection):
        yield
        return
    end = time.monotonic() + seconds
    kept = connection.info
    outer = kept.get("admin_budget")

    def is_over() -> bool:
        return time.monotonic() > end or (outer is not None and outer())

    kept["admin_budget"] = is_over
    raw.set_progress_handler(is_over, _SQLITE_STEPS)
    try:
        yield
    finally:
        kept["admin_budget"] = outer
        raw.set_progress_handler(outer, _SQLITE_STEPS)


@contextlib.contextmanager
def _mariadb_budget(connection: sa.Connection, seconds: float) -> Iterator[None]:
    before = connection.exec_driver_sql("SELECT @@max_statement_time").scalar()
    connection.exec_driver_sql(f"SET max_statement_time = {seconds:.3f}")
    try:
        yield
    finally:
        if not (connection.closed or connection.invalidated):
            connection.exec_driver_sql(f"SET max_statement_time = {before}")


_SQLITE_STEPS = 2_000
"""Instructions of SQLite's machine between two looks at the clock: some hundredths of a ms."""

_BUDGETS: dict[str, Callable[[sa.Connection, float], AbstractContextManager[None]]] = {
    "postgresql": _postgresql_budget,
    "sqlite": _sqlite_budget,
    "mariadb": _mariadb_budget,
}


def was_stopped(error: sa.exc.DBAPIError) -> bool:
    """Whether the database ended the statement because it took too long."""
    code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
    number = next(iter(getattr(error.orig, "args", ())), None)
    return code == "57014" or number == _MARIADB_TIMEOUT


_MARIADB_TIMEOUT = 1969


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One step of a plan: ``kind`` as the database calls it ("Seq Scan", "SCAN", "Sort" …).

    ``table`` and ``index`` are what it reads, ``rows`` how many it is expected to give.
    ``condition`` tells whether rows are left out here, ``is_backward`` whether an index is read
    from its end, ``is_lookup`` whether it is entered at a value; ``level`` counts the steps above.
    ``order`` holds what it sorts by, as the database writes it. ``is_inner`` marks what is done
    once for each row of another step, and ``is_aside`` what a subquery of the columns does.
    """

    kind: str
    table: str | None = None
    index: str | None = None
    rows: int | None = None
    condition: str | None = None
    is_backward: bool = False
    level: int = 0
    order: tuple[str, ...] = ()
    is_lookup: bool = False
    is_inner: bool = False
    is_aside: bool = False

    @property
    def is_scan(self) -> bool:
        """Whether a table is read from its beginning, not from where an index leads."""
        is_whole = self.kind in ("Seq Scan", "SCAN") and self.index is None
        return self.table is not None and is_whole


@dataclass(frozen=True, slots=True)
class Plan:
    """How a database means to answer a statement.

    ``rows`` it expects, and ``cost`` in its own unit, are told by PostgreSQL only. ``nodes`` come
    as they are written: a step before those that it takes its rows from.
    """

    nodes: tuple[PlanNode, ...]
    rows: int | None = None
    cost: float | None = None


def plan_of(
    bind: sa.Connection | orm.Session | orm.scoped_session[Any],
    statement: sa.Executable,
    mapper: orm.Mapper[Any] | None = None,
) -> Plan | None:
    """How PostgreSQL or SQLite means to answer ``statement``; None on any other database.

    The statement is not run. Values stay parameters, as they are when it is.
    """
    connection = _connection(bind, mapper)
    match connection.dialect.name:
        case "postgresql":
            found = connection.execute(_Explain(statement, "EXPLAIN (FORMAT JSON) ")).scalar_one()
            root = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
            return Plan(tuple(_postgresql_nodes(root)), root["Plan Rows"], root["Total Cost"])
        case "sqlite":
            lines = connection.execute(_Explain(statement, "EXPLAIN QUERY PLAN ")).all()
            return Plan(tuple(_sqlite_nodes(lines)))
    return None


class _Explain(sa.Executable, sa.ClauseElement):
    """A statement with ``prefix`` before it; compiled, and so bound, like the statement itself."""

    # What SQLAlchemy makes the key of, under which it keeps the compiled statement; and that a
    # plan has no columns of the statement's.
    _traverse_internals = [
        ("statement", InternalTraversal.dp_clauseelement),
        ("prefix", InternalTraversal.dp_string),
    ]
    _all_selected_columns = ()
    inherit_cache = True

    def __init__(self, statement: Any, prefix: str) -> None:
        self.statement = statement
        self.prefix = prefix


@compiles(_Explain)
def _compile_explain(element: _Explain, compiler: Any, **kwargs: Any) -> str:
    text = element.prefix + str(compiler.process(element.statement, **kwargs))
    # A plan comes in columns of its own, which the types of the statement's would misread.
    compiler._result_columns = []
    return text


def _postgresql_nodes(
    node: dict[str, Any], level: int = 0, aside: bool = False, is_inner: bool = False
) -> Iterator[PlanNode]:
    aside = aside or node.get("Parent Relationship") in ("SubPlan", "InitPlan")
    conditions = [node[k] for k in ("Index Cond", "Recheck Cond", "Filter") if k in node]
    yield PlanNode(
        kind=node["Node Type"],
        table=node.get("Relation Name"),
        index=node.get("Index Name"),
        rows=node.get("Plan Rows"),
        condition=" AND ".join(conditions) or None,
        is_backward=node.get("Scan Direction") == "Backward",
        level=level,
        order=tuple(node.get("Sort Key", ())),
        is_lookup="Index Cond" in node,
        is_inner=is_inner,
        is_aside=aside,
    )
    for number, inner in enumerate(node.get("Plans", ())):
        is_repeated = is_inner or node["Node Type"] == "Nested Loop" and number == 1
        yield from _postgresql_nodes(inner, level + 1, aside, is_repeated)


_SQLITE_STEP = re.compile(
    r"(?P<kind>SCAN|SEARCH) (?:TABLE )?(?P<table>\S+)(?: AS (?P<alias>\S+))?"
    r"(?: USING (?:AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?"
    r"(?:INDEX (?P<index>\S+)|INTEGER PRIMARY KEY))?"
    r"(?: \((?P<condition>.*)\))?"
)


def _sqlite_nodes(lines: Iterable[Any]) -> Iterator[PlanNode]:
    levels: dict[int, tuple[int, bool]] = {0: (-1, False)}
    for number, parent, _, detail in lines:
        level, aside = levels.get(parent, (-1, False))
        level, aside = level + 1, aside or "SUBQUERY" in detail
        levels[number] = (level, aside)
        step = _SQLITE_STEP.match(detail)
        if step is None:
            yield PlanNode(detail, level=level, is_aside=aside)
            continue
        yield PlanNode(
            kind=step["kind"],
            table=step["table"],
            index=step["index"],
            condition=step["condition"],
            level=level,
            is_lookup=step["kind"] == "SEARCH",
            is_aside=aside,
        )


def trouble(error: sa.exc.SQLAlchemyError) -> str | None:
    """What ``error``, raised while reading, tells of the database's state; None for any other.

    Such an error is nobody's mistake on the page, and trying again later may help.
    """
    if isinstance(error, sa.exc.TimeoutError):
        return "Too many people are reading just now. Try again in a moment."
    if not isinstance(error, sa.exc.DBAPIError):
        return None
    code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None) or ""
    text = str(error.orig).lower()
    if code == "57014":
        return (
            "The database took too long and was stopped. Narrow what you look for, and try again."
        )
    if code == "55P03" or "database is locked" in text:
        return "Somebody else is changing the same rows just now. Try again in a moment."
    if code == "42P01" or "no such table" in text:
        return "The database does not have this table yet: its migrations have to be run first."
    if code == "42703" or "no such column" in text:
        return "The table in the database lacks a column that its model has: run its migrations."
    is_unreachable = isinstance(error, sa.exc.OperationalError) and (
        code[:2] in ("08", "53") or code[:3] == "57P" or "unable to open database file" in text
    )
    is_lost = error.connection_invalidated or (
        not code and "connection" in text and isinstance(error, sa.exc.OperationalError)
    )
    return (
        "The database does not answer. Try again in a moment."
        if is_unreachable or is_lost
        else None
    )
