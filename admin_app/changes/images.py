"""Rows as they are stored, read from the database and written back without going through a type.

An image maps the names of a table's columns to JSON values, made from what the database says and
not from what Python would make of it: so a type of the application is never asked, a pickle never
read, and nothing is rounded. PostgreSQL writes every type as text and reads it back; SQLite's five
kinds of value are what they are.

- text, whole numbers, finite floats, booleans, NULL: as JSON has them
- ``{"bytes": base64}``; above `KEPT_BYTES` only ``{"sha256": hex, "size": n}``
- ``{"secret": hex}``: a secret, of which only a digest is kept
- ``{"float": "inf"}``, ``{"decimal": …}``, ``{"date": …}``, ``{"datetime": …}``, ``{"time": …}``,
  ``{"seconds": …}``: what other databases' drivers give
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import decimal
import hashlib
import itertools
import json
import math
import operator
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import NullType

from admin_app import inspection

KEPT_BYTES = 1_000_000
"""Binary content up to this size is kept in the history; of larger only its digest."""

ROWS_AT_ONCE = 1_000

Image = dict[str, Any]
Key = tuple[Any, ...]


class AsItIs(sa.types.UserDefinedType[Any]):
    """The type of a parameter that is handed to the driver unchanged, whatever the column is."""

    cache_ok = True


class Unrestorable(Exception):
    """A value of which the history holds only a digest, so that it cannot be written back."""


def key_columns(table: sa.Table) -> list[sa.Column[Any]]:
    """What tells the rows of ``table`` apart: the primary key, else all columns together."""
    return list(table.primary_key.columns) or list(table.columns)


def key_text(image: Mapping[str, Any], table: sa.Table) -> str:
    """The key of a row as the history keeps it: a JSON list."""
    return json.dumps([image[c.name] for c in key_columns(table)], ensure_ascii=False)


def stored(
    column: sa.Column[Any],
    dialect: sa.Dialect,
    source: sa.ColumnElement[Any] | None = None,
    *,
    is_declared: bool = True,
) -> sa.Label[Any]:
    """The expression that reads ``column`` as its image is made of it.

    ``source`` is what it reads instead: another expression of the same type. Without
    ``is_declared`` the database may have another type than the mapping says.
    """
    source = column if source is None else source
    plain = sa.type_coerce(source, NullType())
    type_ = _database_type(column.type, dialect)
    as_it_is = isinstance(type_, (sa.Boolean, sa.Integer, *inspection.BINARY))
    if dialect.name != "postgresql" or as_it_is:
        return plain.label(column.name)
    if isinstance(type_, sa.DateTime) and type_.timezone and is_declared:
        # One moment has one text, whatever the time zone of the connection.
        at_utc = plain.op("AT TIME ZONE")(sa.literal_column("'UTC'"))
        return (sa.cast(at_utc, sa.Text()) + sa.literal_column("'+00'")).label(column.name)
    return sa.cast(plain, sa.Text()).label(column.name)


def _database_type(
    type_: sa.types.TypeEngine[Any], dialect: sa.Dialect
) -> sa.types.TypeEngine[Any]:
    """What ``type_`` is made of in this database; a decorator may choose differently in each."""
    return inspection.stored_type(type_.dialect_impl(dialect))


def encoded(value: Any, column: sa.Column[Any]) -> Any:
    """``value``, read as `stored` reads it, as JSON."""
    return _encoded(value, is_secret(column))


def plain(value: Any) -> Any:
    """``value``, read as `stored` reads it, as a part of a key: a secret is not hidden."""
    return hashable(_encoded(value, False))


def is_secret(column: sa.Column[Any]) -> bool:
    """Whether ``column`` is by its name a secret, or points at one."""
    if inspection.is_secret(column.name):
        return not _is_number_of_row(column)
    names = (key.target_fullname.rpartition(".")[2] for key in column.foreign_keys)
    return any(map(inspection.is_secret, names))


def _is_number_of_row(column: sa.Column[Any]) -> bool:
    # As ``token_id`` is, which points at a row of tokens.
    return bool(column.foreign_keys) and isinstance(column.type, sa.Integer)


def _encoded(value: Any, is_secret: bool) -> Any:
    if value is None:
        return None
    if is_secret:
        if isinstance(value, dict):  # a binary, as `_light` has left it
            value = json.dumps(value)
        return {"secret": hashlib.sha256(repr(value).encode("utf-8", "replace")).hexdigest()}
    if isinstance(value, bool | int | str | dict):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        content = bytes(value)
        if len(content) > KEPT_BYTES:
            return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        return {"bytes": base64.b64encode(content).decode("ascii")}
    if isinstance(value, decimal.Decimal):
        return {"decimal": str(value)}
    if isinstance(value, dt.datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, dt.date):
        return {"date": value.isoformat()}
    if isinstance(value, dt.time):
        return {"time": value.isoformat()}
    if isinstance(value, dt.timedelta):
        return {"seconds": str(value.total_seconds())}
    return str(value)


def _written(values: Sequence[Any]) -> Iterable[str]:
    """Values of images as JSON text, as `json.dumps` writes each."""
    kinds = set(map(type, values))
    if len(kinds) == 1:
        return map(_WRITERS.get(kinds.pop(), json.dumps), values)
    return [_WRITERS.get(value.__class__, json.dumps)(value) for value in values]


_quoted = json.encoder.encode_basestring_ascii
_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _quoted,
    int: int.__repr__,
    float: float.__repr__,
}


def decoded(value: Any) -> Any:
    """The plain value that an image holds; `Unrestorable` where it is only a digest."""
    if not isinstance(value, dict):
        return value
    match value:
        case {"bytes": str(text)}:
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise Unrestorable from error
        case {"float": str(text)}:
            return float(text)
        case {"decimal": str(text)}:
            return decimal.Decimal(text)
        case {"datetime": str(text)}:
            return dt.datetime.fromisoformat(text)
        case {"date": str(text)}:
            return dt.date.fromisoformat(text)
        case {"time": str(text)}:
            return dt.time.fromisoformat(text)
        case {"seconds": str(text)}:
            return dt.timedelta(seconds=float(text))
    raise Unrestorable


def bound(column: sa.Column[Any], value: Any, dialect: sa.Dialect) -> sa.ColumnElement[Any]:
    """An expression for the value of an image, to be compared with ``column`` or written to it.

    `Unrestorable` where the image holds only a digest.
    """
    plain = decoded(value)
    if plain is None:
        return sa.null()
    if isinstance(plain, bytes):
        return sa.literal(plain, sa.LargeBinary())
    if dialect.name == "postgresql" and isinstance(plain, str):
        return _from_text(plain, column, dialect)
    return sa.literal(plain, AsItIs())


def _from_text(text: str, column: sa.Column[Any], dialect: sa.Dialect) -> sa.ColumnElement[Any]:
    """What PostgreSQL reads from ``text`` as a value of ``column``."""
    literal = sa.literal(text, sa.Text())
    if isinstance(_database_type(column.type, dialect), NullType):
        # A literal without a type becomes whatever the column is.
        return sa.literal(text, AsItIs())
    cast = sa.cast(sa.cast(literal, sa.Text()), _declared(column.type, dialect))
    return sa.type_coerce(cast, NullType())


def _declared(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
    """The type as the database knows it: under a decorator, and without a length to cut to."""
    type_ = type_.dialect_impl(dialect)
    while inspection.is_decorated(type_):
        type_ = type_.impl_instance
    if isinstance(type_, sa.Enum) and not type_.native_enum:
        return sa.Text()
    if isinstance(type_, sa.String) and not isinstance(type_, sa.Enum | postgresql.CITEXT):
        # A cast to VARCHAR(3) would cut in silence; the column itself objects.
        return sa.Text()
    return type_


Row = tuple[Any, ...]
"""What a row of a table holds, column by column, as the driver gives it and not yet an image."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What is asked about the columns of one table for each of its rows."""

    names: tuple[str, ...]
    are_secret: tuple[bool, ...]
    key: tuple[int, ...]
    """Where in a row its key is."""

    @classmethod
    def of(cls, table: sa.Table) -> Columns:
        """What is known of ``table``, found once."""
        known = _columns.get(table)
        if known is None or len(known.names) != len(table.columns):
            names = tuple(c.name for c in table.columns)
            known = _columns[table] = cls(
                names,
                tuple(map(is_secret, table.columns)),
                tuple(names.index(c.name) for c in key_columns(table)),
            )
        return known

    def image(self, row: Row) -> Image:
        """The image of ``row``."""
        return {
            name: value
            if value is None or (value.__class__ in _PLAIN and not secret)
            else _encoded(value, secret)
            for name, value, secret in zip(self.names, row, self.are_secret, strict=True)
        }

    def open_image(self, row: Row) -> Image:
        """The image of ``row``, in which secrets are what they are: not to be kept."""
        return {name: plain(value) for name, value in zip(self.names, row, strict=True)}

    def key_texts(self, keys: Sequence[Key]) -> Iterable[str]:
        """What the history keeps of ``keys``; see `key_text`."""
        are_secret = [self.are_secret[n] for n in self.key]
        if are_secret == [False] and {key[0].__class__ for key in keys} == {int}:
            return map("[%d]".__mod__, keys)
        if any(are_secret):
            keys = [tuple(map(_encoded, key, are_secret)) for key in keys]
        return [json.dumps(key, ensure_ascii=False) for key in keys]

    def part(self, row: Row, positions: Iterable[int]) -> Image:
        """The image of some columns of ``row``."""
        names, are_secret = self.names, self.are_secret
        return {
            names[n]: value
            if (value := row[n]).__class__ in _PLAIN and not are_secret[n]
            else _encoded(value, are_secret[n])
            for n in positions
        }

    def texts(
        self, rows: Sequence[Sequence[Any]], positions: Sequence[int], *, are_images: bool
    ) -> Iterable[str]:
        """The images of some columns of ``rows`` as JSON text, made column by column.

        ``are_images`` says that what ``rows`` hold are values of images already.
        """
        names = [_quoted(self.names[n]).replace("%", "%%") for n in positions]
        template = "{" + ", ".join(f"{name}: %s" for name in names) + "}"
        columns = []
        for n in positions:
            values = list(map(operator.itemgetter(n), rows))
            kinds = set(map(type, values))
            is_plain = kinds <= _PLAIN or (kinds <= _NUMBERS and all(map(math.isfinite, values)))
            if not are_images and (self.are_secret[n] or not is_plain):
                values = [_encoded(value, self.are_secret[n]) for value in values]
            columns.append(_written(values))
        return map(template.__mod__, zip(*columns, strict=True))

    def keys_of(self, rows: Sequence[Row]) -> Iterable[Key]:
        """The keys of ``rows``: parts as in images, but that secrets are what they are."""
        parts = [list(map(operator.itemgetter(n), rows)) for n in self.key]
        for part in parts:
            if not _PLAIN.issuperset(map(type, part)):
                part[:] = map(plain, part)
        return zip(*parts, strict=True)


_columns: weakref.WeakKeyDictionary[sa.Table, Columns] = weakref.WeakKeyDictionary()
_PLAIN = frozenset({int, str, bool})
_NUMBERS = frozenset({int, float})
_BYTES = frozenset({bytes, bytearray, memoryview})


def _light(row: Row) -> Row:
    """``row`` with images in place of large binaries, and of those that the driver owns."""
    return tuple(_encoded(v, False) if v.__class__ in _BYTES else v for v in row)


@dataclass(frozen=True, slots=True)
class _Way:
    """How the rows of one table are read."""

    statement: sa.Select[Any]

    def read(
        self,
        connection: sa.Connection,
        where: Sequence[sa.ColumnElement[bool]],
        parameters: Mapping[str, Any],
    ) -> list[Row]:
        result = connection.execute(self.statement.where(*where), dict(parameters))
        # No type of these expressions makes anything of a value, so what the driver has will do.
        rows: list[Row] = list(map(tuple, result.cursor.fetchall()))
        result.close()
        if _BYTES.isdisjoint(map(type, itertools.chain.from_iterable(rows))):
            return rows
        return [row if _BYTES.isdisjoint(map(type, row)) else _light(row) for row in rows]


_ways: weakref.WeakKeyDictionary[
    sa.Dialect, weakref.WeakKeyDictionary[sa.Table, dict[bool, _Way]]
] = weakref.WeakKeyDictionary()
"""For each table how its rows are read without holding them, and how when they are held."""


def _way(table: sa.Table, dialect: sa.Dialect, *, is_declared: bool, lock: bool) -> _Way:
    expressions = [stored(c, dialect, is_declared=is_declared) for c in table.columns]
    statement = sa.select(*expressions).select_from(table)
    if lock:
        # Two who change the same rows at once wait for each other in one order.
        statement = statement.order_by(*table.primary_key.columns).with_for_update(of=table)
    return _Way(statement)


def read(
    connection: sa.Connection,
    table: sa.Table,
    where: Sequence[sa.ColumnElement[bool]],
    lock: bool,
    parameters: Mapping[str, Any] | None = None,
) -> list[Image]:
    """The images of the rows of ``table`` that meet ``where``; ``lock`` holds them."""
    image = Columns.of(table).image
    return [image(row) for row in read_rows(connection, table, where, lock, parameters)]


def read_rows(
    connection: sa.Connection,
    table: sa.Table,
    where: Sequence[sa.ColumnElement[bool]],
    lock: bool,
    parameters: Mapping[str, Any] | None = None,
) -> list[Row]:
    """The rows of ``table`` that meet ``where``, of which `Columns` makes images."""
    ways = _ways.setdefault(connection.dialect, weakref.WeakKeyDictionary())
    known = ways.setdefault(table, {})
    if lock in known:
        return known[lock].read(connection, where, parameters or {})
    known[lock], found = _read_first(connection, table, where, lock, parameters or {})
    return found


def read_moving(
    connection: sa.Connection,
    table: sa.Table,
    where: Sequence[sa.ColumnElement[bool]],
    given: Mapping[sa.Column[Any], Any],
    parameters: Mapping[str, Any],
) -> list[tuple[Row, Image]]:
    """The rows of ``table`` that meet ``where``, held, and what an UPDATE will make of each.

    ``given`` are expressions for the columns that it sets; of them only those are told that get
    another value.
    """
    rows = read_rows(connection, table, where, True, parameters)
    if not given:
        return [(row, {}) for row in rows]
    dialect, columns = connection.dialect, key_columns(table)
    width = len(columns)
    statement = sa.select(
        *(stored(c, dialect).label(f"key_{n}") for n, c in enumerate(columns)),
        *(_becoming(c, v, dialect).label(f"new_{n}") for n, (c, v) in enumerate(given.items())),
    ).select_from(table)
    found = connection.execute(statement.where(*where), dict(parameters)).all()
    becoming = {tuple(plain(v) for v in row[:width]): row[width:] for row in found}
    known = Columns.of(table)
    told = []
    for key, row in zip(known.keys_of(rows), rows, strict=True):
        image = known.open_image(row)
        new = zip(given, becoming.get(key, ()), strict=False)
        values = {c.name: plain(v) for c, v in new}
        told.append((row, {n: v for n, v in values.items() if v != image[n]}))
    return told


def _becoming(
    column: sa.Column[Any], value: sa.ColumnElement[Any], dialect: sa.Dialect
) -> sa.Label[Any]:
    if dialect.name == "postgresql":
        value = sa.cast(value, _declared(column.type, dialect))
    return stored(column, dialect, value)


def _read_first(
    connection: sa.Connection,
    table: sa.Table,
    where: Sequence[sa.ColumnElement[bool]],
    lock: bool,
    parameters: Mapping[str, Any],
) -> tuple[_Way, list[Row]]:
    """Read a table that was not read before, and find out how that is done.

    The database may know a column as another type than the mapping does, and may not let rows of a
    view be locked.
    """
    refused: exc.DBAPIError | None = None
    dialect = connection.dialect
    for locks in (True, False) if lock else (False,):
        for is_declared in (True, False):
            way = _way(table, dialect, is_declared=is_declared, lock=locks)
            try:
                with connection.begin_nested():
                    return way, way.read(connection, where, parameters)
            except (exc.ProgrammingError, exc.NotSupportedError, exc.DataError) as error:
                refused = refused or error
    assert refused is not None
    raise refused


def having(
    table: sa.Table, keys: Iterable[Key], dialect: sa.Dialect
) -> Iterator[sa.ColumnElement[bool]]:
    """Criteria that together find the rows with ``keys`` (parts as in images), in portions.

    A key of which there is only a digest finds none; see `opened`.
    """
    columns = key_columns(table)
    found = [key for key in keys if not any(map(_is_hidden, key))]
    for start in range(0, len(found), ROWS_AT_ONCE):
        yield _among(columns, found[start : start + ROWS_AT_ONCE], dialect)


def opened(connection: sa.Connection, table: sa.Table, keys: Sequence[Key]) -> list[Key]:
    """``keys`` with the secrets in place of their digests, of rows that are there.

    The keys of all rows are read for that.
    """
    hidden = {key: key for key in keys if any(map(_is_hidden, key))}
    if not hidden:
        return list(keys)
    columns = key_columns(table)
    statement = sa.select(*(stored(c, connection.dialect) for c in columns))
    for row in connection.execute(statement.execution_options(yield_per=ROWS_AT_ONCE)):
        key = tuple(hashable(encoded(v, c)) for c, v in zip(columns, row, strict=True))
        if key in hidden:
            hidden[key] = tuple(map(plain, row))
    return [hidden.get(key, key) for key in keys]


def _is_hidden(part: Any) -> bool:
    return isinstance(part, dict) and "secret" in part


def _among(
    columns: Sequence[sa.Column[Any]], keys: Sequence[Sequence[Any]], dialect: sa.Dialect
) -> sa.ColumnElement[bool]:
    """That ``columns`` together are one of ``keys``, whose parts are as in images."""
    parts = [_Part(c, [k[n] for k in keys], dialect) for n, c in enumerate(columns)]
    if not all(part.is_list for part in parts):
        return sa.or_(*(sa.and_(*_equal(columns, key, dialect)) for key in keys))
    if len(parts) == 1:
        return parts[0].contained()
    left = sa.tuple_(*(part.plain for part in parts))
    if dialect.name == "postgresql":
        # Side by side these give one key a row.
        return left.in_(sa.select(*(sa.func.unnest(part.array()) for part in parts)))
    return left.in_(list(zip(*(part.values for part in parts), strict=True)))


class _Part:
    """One column of a key, and what it holds in many of them."""

    def __init__(self, column: sa.Column[Any], values: Sequence[Any], dialect: sa.Dialect) -> None:
        self.dialect = dialect
        self.is_postgresql = dialect.name == "postgresql"
        self.plain = sa.type_coerce(column, AsItIs())
        self.values = [decoded(value) for value in values]
        self.type = _declared(column.type, dialect)

    @property
    def is_list(self) -> bool:
        """Whether all values can be given as one list."""
        if None in self.values:
            return False
        if not self.is_postgresql:
            return True
        unlisted = (NullType, sa.ARRAY, sa.JSON)
        kinds = {value.__class__ for value in self.values}
        return kinds in ({int}, {str}) and not isinstance(self.type, unlisted)

    def array(self) -> sa.ColumnElement[Any]:
        are_texts = isinstance(self.values[0], str)
        given = postgresql.ARRAY(sa.Text() if are_texts else sa.BigInteger())
        literal = sa.cast(sa.literal(self.values, given), given)
        return sa.type_coerce(sa.cast(literal, postgresql.ARRAY(self.type)), AsItIs())

    def contained(self) -> sa.ColumnElement[bool]:
        if self.is_postgresql:
            return self.plain == sa.func.any(self.array(), type_=AsItIs())
        values = sa.bindparam(None, self.values, AsItIs(), expanding=True)
        return self.plain.in_(values)


def _equal(
    columns: Sequence[sa.Column[Any]], key: Sequence[Any], dialect: sa.Dialect
) -> Iterator[sa.ColumnElement[bool]]:
    for column, value in zip(columns, key, strict=True):
        plain = sa.type_coerce(column, NullType())
        if value is None:
            yield plain.is_(None)
        elif dialect.name == "postgresql" and not column.primary_key and isinstance(value, str):
            # Not every type of PostgreSQL can be compared; its text can.
            yield stored(column, dialect).element == sa.cast(
                sa.literal(value, sa.Text()), sa.Text()
            )
        else:
            yield plain == bound(column, value, dialect)


def named(
    table: sa.Table,
    keys: Sequence[Sequence[Any]],
    dialect: sa.Dialect,
    columns: Sequence[sa.Column[Any]] | None = None,
) -> Iterator[sa.ColumnElement[bool]]:
    """Criteria that together find the rows with ``keys``, whose parts are as the mapping has them.

    They come in portions. ``columns`` are those of another key than the one by which rows are told
    apart.
    """
    columns = columns or key_columns(table)
    is_comparable = bool(table.primary_key.columns) or dialect.name != "postgresql"
    for start in range(0, len(keys), ROWS_AT_ONCE):
        portion = keys[start : start + ROWS_AT_ONCE]
        if len(columns) == 1:
            yield columns[0].in_([key[0] for key in portion])
        elif is_comparable and not any(None in key for key in portion):
            yield sa.tuple_(*columns).in_([tuple(key) for key in portion])
        else:
            yield sa.or_(*(sa.and_(*_same(columns, key, dialect)) for key in portion))


def _same(
    columns: Sequence[sa.Column[Any]], key: Sequence[Any], dialect: sa.Dialect
) -> Iterator[sa.ColumnElement[bool]]:
    for column, value in zip(columns, key, strict=True):
        if value is None:
            yield column.is_(None)
        elif dialect.name == "postgresql" and not column.primary_key:
            found = _stored_literal(column, value, dialect)
            yield stored(column, dialect).element == found.element
        else:
            yield column == value


def key_of(image: Mapping[str, Any], table: sa.Table) -> Key:
    """The key of an image, hashable."""
    return tuple(hashable(image[c.name]) for c in key_columns(table))


def hashable(value: Any) -> Any:
    """A part of an image, such that a key can be made of it."""
    return value if not isinstance(value, dict) else _Frozen(value)


class _Frozen(dict[str, Any]):
    """A part of a key that is a dictionary, which must be found again in another."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items())))


def pointing(
    pairs: Sequence[tuple[sa.Column[Any], sa.Column[Any]]],
    parents: Iterable[Mapping[str, Any]],
    dialect: sa.Dialect,
) -> sa.ColumnElement[bool]:
    """That a row points at one of ``parents``; ``pairs`` are its columns and those pointed at."""
    keys = [[parent[remote.name] for _, remote in pairs] for parent in parents]
    keys = [key for key in keys if None not in key]
    return _among([local for local, _ in pairs], keys, dialect) if keys else sa.false()


def writable(table: sa.Table) -> list[sa.Column[Any]]:
    """The columns of ``table`` that a statement may give values to."""
    return [c for c in table.columns if c.computed is None]


def insertion(table: sa.Table, dialect: sa.Dialect) -> sa.Insert:
    """An INSERT of whole images; its parameters are made by `parameters`."""
    return sa.insert(table).values({c.name: _slot(c, c.name, dialect) for c in writable(table)})


def alteration(table: sa.Table, names: Sequence[str], dialect: sa.Dialect) -> sa.Update:
    """An UPDATE of the columns ``names`` of the row that a key names."""
    columns = [c for c in writable(table) if c.name in names]
    values = {c.name: _slot(c, c.name, dialect) for c in columns}
    return sa.update(table).where(*_key_slots(table, dialect)).values(values)


def removal(table: sa.Table, dialect: sa.Dialect) -> sa.Delete:
    """A DELETE of the row that a key names."""
    return sa.delete(table).where(*_key_slots(table, dialect))


def parameters(table: sa.Table, image: Mapping[str, Any], key: Key | None = None) -> dict[str, Any]:
    """The parameters of these statements; `Unrestorable` where the image holds only a digest."""
    found = {_slot_name(c.name): decoded(image[c.name]) for c in table.columns if c.name in image}
    if key is not None:
        for column, value in zip(key_columns(table), key, strict=True):
            found[_slot_name(column.name, "key_")] = decoded(value)
    return found


def _slot_name(name: str, prefix: str = "new_") -> str:
    # The names of columns are kept by SQLAlchemy for parameters of its own.
    return prefix + name


def _slot(column: sa.Column[Any], name: str, dialect: sa.Dialect, prefix: str = "new_") -> Any:
    """A parameter for a value of ``column`` as an image holds it."""
    slot = _slot_name(name, prefix)
    type_ = _database_type(column.type, dialect)
    if isinstance(type_, inspection.BINARY):
        return sa.bindparam(slot, type_=sa.LargeBinary())
    is_text = not isinstance(type_, sa.Boolean | sa.Integer | NullType)
    if dialect.name == "postgresql" and is_text:
        text = sa.cast(sa.bindparam(slot, type_=sa.Text()), sa.Text())
        return sa.type_coerce(sa.cast(text, _declared(column.type, dialect)), NullType())
    return sa.bindparam(slot, type_=AsItIs())


def _key_slots(table: sa.Table, dialect: sa.Dialect) -> list[sa.ColumnElement[bool]]:
    criteria = []
    for column in key_columns(table):
        slot = _slot(column, column.name, dialect, "key_")
        plain = sa.type_coerce(column, NullType())
        criteria.append(plain == slot if not column.nullable else plain.is_not_distinct_from(slot))
    return criteria


def key_text_of(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> str:
    """The key of a row, perhaps one that is gone, from its ``values`` as the mapping has them."""
    found = _stored_key(connection, table, values)
    image = {c.name: encoded(v, c) for c, v in zip(key_columns(table), found, strict=True)}
    return key_text(image, table)


def key_of_values(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> Key:
    """The key of a row from its ``values`` as the mapping has them, secrets as they are."""
    return tuple(map(plain, _stored_key(connection, table, values)))


def _stored_key(
    connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]
) -> Sequence[Any]:
    columns = key_columns(table)
    dialect = connection.dialect
    if dialect.name != "postgresql":
        return [_processed(c, values[c.name], dialect) for c in columns]
    statement = sa.select(*(_stored_literal(c, values[c.name], dialect) for c in columns))
    return connection.execute(statement).one()


def _processed(column: sa.Column[Any], value: Any, dialect: sa.Dialect) -> Any:
    process = column.type.dialect_impl(dialect).bind_processor(dialect)
    return value if process is None or value is None else process(value)


def _stored_literal(
    column: sa.Column[Any], value: Any, dialect: sa.Dialect
) -> sa.ColumnElement[Any]:
    typed = sa.cast(sa.literal(value, column.type), _declared(column.type, dialect))
    return stored(sa.Column(column.name, column.type), dialect, typed)
