"""How the admin meets a database: its address, its connections, its limits, and our own tables.

The tables of the admin itself are mapped on `Base` and all begin with ``admin_``. They live in the
same database as the rows that are administered, so that both can change in one transaction;
`attach` shows them to the host's metadata and with it to its migrations.
"""

from __future__ import annotations

import re
import sqlite3
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, StaticPool

from admin_app.errors import ConfigurationError

NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
"""Every constraint has a name, without which SQLite's batch migrations cannot find it again."""

Kind = Literal["read", "write", "lookup", "job"]

LIMITS: dict[Kind, tuple[int, int]] = {
    "read": (10_000, 2_000),
    "write": (20_000, 5_000),
    "lookup": (3_000, 1_000),
    "job": (0, 0),
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
    """Make SQLite keep foreign keys and transactions, and psycopg2 hand over every date."""
    if engine.dialect.name == "sqlite" and not event.contains(engine, "connect", _open_sqlite):
        event.listen(engine, "connect", _open_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    if engine.driver == "psycopg2" and not event.contains(engine, "connect", _open_psycopg2):
        event.listen(engine, "connect", _open_psycopg2)


def _open_psycopg2(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    # A typing error such as the year 20202 is a date to PostgreSQL but none to Python, and one of
    # them would make a whole list unreadable. It comes as the text that PostgreSQL has for it.
    from psycopg2 import extensions  # type: ignore[import-untyped]

    # What psycopg2 makes another value of: the last day there is, midnight, months of 30 days.
    others = (
        (extensions.PYDATE, "-?infinity"),
        (extensions.PYDATETIME, "-?infinity"),
        (extensions.PYDATETIMETZ, "-?infinity"),
        (extensions.PYTIME, "24:"),
        (extensions.PYINTERVAL, r"-?infinity|.*\b(mon|year)"),
    )
    for cast, other in others:
        read = _or_text(cast, re.compile(other))
        extensions.register_type(extensions.new_type(cast.values, cast.name, read), connection)


_as_is: ContextVar[bool] = ContextVar("admin_as_is", default=False)


def read_as_is(is_on: bool) -> None:
    """Whether this request, or thread, gets as text what Python has no value for."""
    _as_is.set(is_on)


def _or_text(cast: Callable[..., Any], other: re.Pattern[str]) -> Callable[..., Any]:
    def read(text: str | None, cursor: Any) -> Any:
        if text is not None and _as_is.get() and other.match(text):
            return text
        try:
            return cast(text, cursor)
        except (ValueError, OverflowError):
            return text

    return read


def tolerate(engine: sa.Engine, mapper: orm.Mapper[Any]) -> None:
    """Let rows of ``mapper`` be read whatever they hold, in an application that is not ours.

    A date before Christ and a member that an enum does not know come as text while `read_as_is`
    is on; otherwise SQLAlchemy fails on them as ever.
    """
    if mapper in _tolerated.setdefault(engine, set()):
        return
    _tolerated[engine].add(mapper)
    if engine.driver == "psycopg2" and not event.contains(engine, "checkout", _reopen_psycopg2):
        event.listen(engine, "checkout", _reopen_psycopg2)
    for column in mapper.columns:
        if isinstance(column.type, sa.Enum):
            # Not public; the public way is a TypeDecorator in the model of the host.
            types: tuple[Any, ...] = (column.type, column.type.dialect_impl(engine.dialect))
            for type_ in types:
                type_._object_lookup = _Members(type_._object_lookup)


_tolerated: weakref.WeakKeyDictionary[sa.Engine, set[Any]] = weakref.WeakKeyDictionary()


def _reopen_psycopg2(
    connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: PoolProxiedConnection
) -> None:
    if not record.info.setdefault("admin_casts", False):
        record.info["admin_casts"] = True
        _open_psycopg2(connection, record)


class _Members(dict[Any, Any]):
    """Members of an enum by what is stored, and what no member is stored as by itself."""

    def __missing__(self, key: Any) -> Any:
        if _as_is.get():
            return key
        raise KeyError(key)


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
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if mode == "IMMEDIATE" else "BEGIN")


def begin_write(session: orm.Session | orm.scoped_session[Any], mapper: orm.Mapper[Any]) -> None:
    """Begin the transaction in which a row of ``mapper`` is read and then written.

    What the session has read before is let go. On SQLite the lock for writing is taken at once:
    a transaction that began by reading is refused when somebody else has written in between. On
    PostgreSQL the transaction gets the limits of a write.
    """
    session.rollback()
    dialect = session.get_bind(mapper=mapper).dialect.name
    options = {"sqlite_begin": "IMMEDIATE"} if dialect == "sqlite" else {}
    connection = session.connection(bind_arguments={"mapper": mapper}, execution_options=options)
    set_limits(connection, "write")


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
