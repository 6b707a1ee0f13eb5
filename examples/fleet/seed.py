"""Putting the sample's data into a database, fast and all or nothing.

PostgreSQL gets it by COPY when psycopg2 is its driver, every other database by batches of INSERTs.
Memory stays flat whatever the size.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from .models import Base
from .rows import Load, Row, Size, loads

TABLES = tuple(Base.metadata.sorted_tables)
"""The sample's own tables: an admin adds its own to the same metadata later."""

BATCH = 5_000
"""Rows that are held in memory at once."""


class SeedRefused(Exception):
    """The database is not one to be seeded; the message says why and what to do."""


def missing_tables(connection: sa.Connection) -> set[str]:
    """The names of those tables of the sample that the database does not have."""
    return {table.name for table in TABLES} - set(sa.inspect(connection).get_table_names())


def is_empty(connection: sa.Connection) -> bool:
    """Whether no table of the sample has a row."""
    has_rows = (sa.exists(sa.select(1).select_from(table)) for table in TABLES)
    return not connection.scalar(sa.select(sa.or_(*has_rows)))


def seed(
    engine: sa.Engine,
    size: Size,
    *,
    seed: int = 1,
    progress: Callable[[int], object] = lambda rows: None,
) -> None:
    """Fill the empty tables of the sample in one transaction.

    ``progress`` is called with the number of rows that have been sent since its last call. Raises
    `SeedRefused` when a table is missing or has rows.
    """
    with engine.begin() as connection:
        if missing := missing_tables(connection):
            raise SeedRefused(
                f"The database lacks {len(missing)} tables of the sample, {min(missing)} for one. "
                "Create them with: flask db upgrade"
            )
        if not is_empty(connection):
            raise SeedRefused(
                "The tables of the sample already have rows, and seeding would mix with them. "
                "Name an empty database in DATABASE_URL, or pass --if-empty to leave this one be."
            )
        is_postgresql = connection.dialect.name == "postgresql"
        if is_postgresql:
            # An admin's limits on slow statements are not meant for this.
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        send = copy if connection.dialect.driver == "psycopg2" else insert
        for load in loads(size, seed):
            send(connection, load, progress)
            if is_postgresql:
                _advance_sequence(connection, load.table)
        if is_postgresql or connection.dialect.name == "sqlite":
            # Without statistics the first pages of a large table would be planned blindly.
            connection.exec_driver_sql("ANALYZE")


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def insert(connection: sa.Connection, load: Load, progress: Callable[[int], object]) -> None:
    """Send a load as INSERTs, on any database."""
    statement = sa.insert(load.table)
    for batch in _batches(load.rows()):
        connection.execute(statement, [dict(zip(load.columns, row, strict=True)) for row in batch])
        progress(len(batch))


def copy(connection: sa.Connection, load: Load, progress: Callable[[int], object]) -> None:
    """Send a load as one COPY, on PostgreSQL by psycopg2."""
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(quote(name) for name in load.columns)
    file = _CopyFile(_copy_lines(connection.dialect, load), progress)
    cursor: Any = connection.connection.cursor()
    try:
        cursor.copy_expert(f"COPY {quote(load.table.name)} ({names}) FROM STDIN", file)
    except Exception:
        # Ctrl-C while rows are read would come out as an error of the database.
        if file.error is not None:
            raise file.error from None
        raise
    finally:
        cursor.close()


class _CopyFile:
    """What psycopg2 reads a COPY from: each read is a batch of lines, whatever its length."""

    def __init__(self, lines: Iterator[str], progress: Callable[[int], object]) -> None:
        self._lines = lines
        self._progress = progress
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> str:
        try:
            batch = list(islice(self._lines, BATCH))
            self._progress(len(batch))
        except BaseException as error:
            self.error = error
            raise
        return "".join(batch)


def _copy_lines(dialect: sa.Dialect, load: Load) -> Iterator[str]:
    # What a type does to a value on its way to the database (an enum's name, JSON's text) has to
    # happen here too, since COPY goes past SQLAlchemy.
    processors = []
    for place, name in enumerate(load.columns):
        process = load.table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        if process is not None:
            processors.append((place, process))
    for row in load.rows():
        values: list[Any] = list(row)
        for place, process in processors:
            values[place] = process(values[place])
        yield "\t".join([copy_text(value) for value in values]) + "\n"


_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _interval(value: dt.timedelta) -> str:
    return f"{value.days} days {value.seconds}.{value.microseconds:06} seconds"


_COPY_TEXTS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: r"\N",
    str: lambda value: value.translate(_ESCAPES),
    bool: lambda value: "t" if value else "f",
    int: str,
    float: repr,
    Decimal: str,
    dt.date: dt.date.isoformat,
    dt.time: dt.time.isoformat,
    dt.datetime: dt.datetime.isoformat,
    dt.timedelta: _interval,
    UUID: str,
    bytes: lambda value: r"\\x" + value.hex(),
}


def copy_text(value: Any) -> str:
    """A value as COPY's text format wants it, so that NULL and an empty text stay apart."""
    # psycopg2 wraps binary data; what it wraps is what goes into the file.
    value = getattr(value, "adapted", value)
    return _COPY_TEXTS[type(value)](value)


def _advance_sequence(connection: sa.Connection, table: sa.Table) -> None:
    """Let the next row that the database numbers follow those whose numbers were given."""
    column = table.autoincrement_column
    if column is None:
        return
    sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
    # With no row yet the next number is 1, and that is what the third argument says.
    last = sa.func.max(column)
    connection.execute(
        sa.select(sa.func.setval(sequence, sa.func.coalesce(last, 1), last.is_not(None)))
    )
