"""Values that a database holds and Python has none for, read as the text that they are.

Dates before Christ, members that an enum does not know, JSON nested beyond what a parser follows,
what the type of an application cannot take, a list where sqlalchemy.ext.mutable tracks a dict: one
of them would make a whole list unreadable. While `read_as_is` is on they come as `AsStored`;
otherwise SQLAlchemy fails on them as ever.
"""

from __future__ import annotations

import inspect
import json
import logging
import operator
import re
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext import mutable
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

log = logging.getLogger(__name__)

_as_is: ContextVar[bool] = ContextVar("admin_as_is", default=False)


class AsStored(str):
    """What a column holds, in the words of the database: its type has no value for it."""

    def __format__(self, spec: str) -> str:
        # A model's __str__ may ask for the day of a date.
        return str(self)


def read_as_is(is_on: bool) -> None:
    """Whether this request, or thread, gets as text what Python has no value for."""
    _as_is.set(is_on)


def tolerate(engine: sa.Engine, mapper: orm.Mapper[Any]) -> None:
    """Let rows of ``mapper``, and of what it leads to, be read whatever they hold.

    For an application that is not ours.
    """
    tolerated = _tolerated.setdefault(engine, weakref.WeakSet())
    if mapper in tolerated:
        return
    if engine.driver in OPENERS and not event.contains(engine, "checkout", _reopen):
        event.listen(engine, "checkout", _reopen)
    for each in {mapper, *mapper.registry.mappers}.difference(tolerated):
        tolerated.add(each)
        for column in each.columns:
            for type_ in _with_items(column.type):
                _soften(type_, engine.dialect)
        _park_for_mutable(each)


_tolerated: weakref.WeakKeyDictionary[sa.Engine, weakref.WeakSet[Any]] = weakref.WeakKeyDictionary()


# Types


def _with_items(type_: sa.types.TypeEngine[Any]) -> Iterator[sa.types.TypeEngine[Any]]:
    """``type_`` and, where it is made of others, those."""
    yield type_
    # What a decorator makes of its impl is one value: it is read, or it is not.
    own = [] if isinstance(type_, sa.types.TypeDecorator) else [getattr(type_, "item_type", None)]
    for inner in (*own, *type_._variant_mapping.values()):
        if isinstance(inner, sa.types.TypeEngine):
            yield from _with_items(inner)


def _soften(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> None:
    """Make the reading of ``type_`` give back, as text, what it fails on.

    Not public; the public way is a TypeDecorator in the model of the host.
    """
    impl: Any = type_.dialect_impl(dialect)
    make = impl.result_processor
    if getattr(make, "is_soft", False):
        return

    def result_processor(dialect: sa.Dialect, coltype: Any) -> Callable[[Any], Any] | None:
        process = make(dialect, coltype)
        return None if process is None else _soft(process, type_)

    result_processor.is_soft = True  # type: ignore[attr-defined]
    impl.result_processor = result_processor
    dialect._type_memos[type_]["result"].clear()


def _soft(process: Callable[[Any], Any], type_: sa.types.TypeEngine[Any]) -> Callable[[Any], Any]:
    # What its own code fails on, a developer has to know; else the page says enough.
    is_told = not isinstance(type_, sa.types.TypeDecorator)

    def read(value: Any) -> Any:
        nonlocal is_told
        if isinstance(value, AsStored):
            return value
        try:
            return process(value)
        except Exception:  # the type's own code too, given what it does not expect
            if not _as_is.get():
                raise
            if not is_told:
                is_told = True
                log.warning("%r cannot read a value, shown as stored", type_, exc_info=True)
            return AsStored(value.hex() if isinstance(value, bytes) else value)

    return read


# sqlalchemy.ext.mutable, which takes values of one kind alone and fails on every other


def _park_for_mutable(mapper: orm.Mapper[Any]) -> None:
    """Keep what tracks changes of a value from seeing one that it fails on."""
    kinds = _kinds(mapper)
    if not kinds or mapper.class_ in _parked:
        return
    _parked.add(mapper.class_)

    def park(state: Any, *rest: Any) -> None:
        for key, kind in kinds.items():
            if state.dict.get(key) is None:
                continue
            value = state.dict[key] = _tracked(kind, key, state.dict[key])
            if isinstance(value, AsStored):
                _parked_texts.setdefault(state, {})[key] = value
                del state.dict[key]

    def unpark(state: Any, *rest: Any) -> None:
        state.dict.update(_parked_texts.pop(state, ()))

    for name in ("load", "refresh", "refresh_flush"):
        event.listen(mapper.class_, name, park, raw=True, propagate=True, insert=True)
        event.listen(mapper.class_, name, unpark, raw=True, propagate=True)


_parked: weakref.WeakSet[type[Any]] = weakref.WeakSet()
_parked_texts: weakref.WeakKeyDictionary[Any, dict[str, AsStored]] = weakref.WeakKeyDictionary()


def _kinds(mapper: orm.Mapper[Any]) -> dict[str, Any]:
    """The attributes whose values are tracked, each with the class that its values become.

    Nothing public tells which they are: the listener of the extension has both in its closure.
    """
    found: dict[str, Any] = {}
    for listener in mapper.class_manager.dispatch.load:
        if getattr(listener, "__module__", None) == mutable.__name__:
            known = inspect.getclosurevars(listener).nonlocals
            if known.get("coerce") and "key" in known and "cls" in known:
                found[known["key"]] = known["cls"]
    return found


def _tracked(kind: Any, key: str, value: Any) -> Any:
    """``value`` as a ``kind``, or as text where that cannot take it over."""
    if isinstance(value, AsStored) or not _as_is.get():
        return value
    try:
        return kind.coerce(key, value)
    except Exception:  # the kind may be the application's own
        return AsStored(_written(value))


def _written(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(value)


# Drivers of PostgreSQL, which read dates and JSON before any type of SQLAlchemy does


def _open_psycopg2(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """Make a connection of psycopg2 hand over everything."""
    from psycopg2 import extensions  # type: ignore[import-untyped]

    # What psycopg2 makes another value of: the last day there is, midnight, months of 30 days.
    others = (
        (extensions.PYDATE, extensions.PYDATEARRAY, _is_infinite),
        (extensions.PYDATETIME, extensions.PYDATETIMEARRAY, _is_infinite),
        (extensions.PYDATETIMETZ, extensions.PYDATETIMETZARRAY, _is_infinite),
        (extensions.PYTIME, extensions.PYTIMEARRAY, _is_midnight),
        (extensions.PYINTERVAL, extensions.PYINTERVALARRAY, _is_no_timedelta),
    )
    for cast, of_array, other in others:
        read = extensions.new_type(cast.values, cast.name, _or_text(cast, other))
        extensions.register_type(read, connection)
        several = extensions.new_array_type(of_array.values, of_array.name, read)
        extensions.register_type(several, connection)
    for number in (_JSON, _JSONB):
        # Made by SQLAlchemy, where the engine has a function of its own to read JSON.
        cast = connection.string_types.get(number) or extensions.string_types[number]
        read = extensions.new_type((number,), cast.name, _or_text(cast))
        extensions.register_type(read, connection)
        several = extensions.new_array_type((_ARRAYS[number],), f"{cast.name}ARRAY", read)
        extensions.register_type(several, connection)


# Asked of every date and time that is read, so what is quickest.
_is_infinite = operator.methodcaller("endswith", "infinity")
_is_midnight = operator.methodcaller("startswith", "24:")
_is_no_timedelta = re.compile(r"-?infinity|.*\b(mon|year)").match
_JSON, _JSONB = 114, 3802
_ARRAYS = {_JSON: 199, _JSONB: 3807}


def _or_text(
    cast: Callable[..., Any], other: Callable[[str], Any] | None = None
) -> Callable[..., Any]:
    """``cast`` for a driver, giving back as text what it fails on, and ``other`` values."""

    def read(text: str | None, cursor: Any) -> Any:
        if text is not None and other is not None and other(text) and _as_is.get():
            return AsStored(text)
        try:
            return cast(text, cursor)
        except (ValueError, OverflowError, RecursionError):
            if other is None and not _as_is.get():
                raise
            return AsStored(text)

    return read


def _open_psycopg(connection: Any, record: ConnectionPoolEntry) -> None:
    """Make a connection of psycopg 3 hand over everything."""
    from psycopg.pq import Format  # type: ignore[import-not-found]
    from psycopg.types import datetime  # type: ignore[import-not-found]

    others = (
        ("date", datetime.DateLoader, _is_infinite),
        ("timestamp", datetime.TimestampLoader, _is_infinite),
        ("timestamptz", datetime.TimestamptzLoader, _is_infinite),
        ("time", datetime.TimeLoader, _is_midnight),
        ("timetz", datetime.TimetzLoader, _is_midnight),
        ("interval", datetime.IntervalLoader, _is_no_timedelta),
    )
    adapters = connection.adapters
    for name, loader, other in others:
        adapters.register_loader(name, _or_text_loader(loader, other))
    for number in (_JSON, _JSONB):
        # Made by SQLAlchemy with the function of the engine that reads JSON.
        found = adapters.get_loader(number, Format.TEXT)
        adapters.register_loader(number, _or_text_loader(found))


def _or_text_loader(base: Any, other: Callable[[str], Any] | None = None) -> Any:
    from psycopg import DataError  # type: ignore[import-not-found]

    def cast(text: str, load: Callable[[bytes], Any]) -> Any:
        try:
            return load(text.encode())
        except DataError as error:
            raise ValueError(str(error)) from error

    read = _or_text(cast, other)

    class Loader(base):  # type: ignore[misc]
        def load(self, data: Any) -> Any:
            return read(bytes(data).decode(), super().load)

    return Loader


OPENERS = {"psycopg2": _open_psycopg2, "psycopg": _open_psycopg}
"""By driver, what makes a new connection hand over everything; for the event "connect"."""


def _reopen(connection: Any, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
    if not record.info.setdefault("admin_casts", False):
        record.info["admin_casts"] = True
        OPENERS["psycopg2" if hasattr(connection, "string_types") else "psycopg"](
            connection, record
        )
