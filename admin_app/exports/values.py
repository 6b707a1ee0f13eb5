"""What a file says in a column, chosen once for each column and made for a piece of rows at once.

A `Column` tells what is to be read of the rows (`listing.Wanted`) and what is made of that: values
of few kinds, which each format writes in its own way.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import enum
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from flask_admin.model.typefmt import EXPORT_FORMATTERS
from markupsafe import Markup
from sqlalchemy import orm

from admin_app import formulas, inspection, rendering
from admin_app.as_stored import AsStored
from admin_app.exports.options import Options
from admin_app.inspection import Path
from admin_app.json_text import on_one_line
from admin_app.listing import ListedRow, Wanted, members_counted, stored_texts

MASK = "••••••"

Values = Sequence[Any]

Kind = Literal["text", "code", "number", "bool", "time", "moment", "json", "list", "any"]
"""What the values of a column are, but for None, and text where the database holds no such value.

``text`` may be anything; ``code`` is text that we write ourselves, as an ISO date is. ``time`` are
dates, times, and both; a ``moment`` is in any zone, and in UTC without one; ``json`` is JSON as
text; ``list`` are keys; ``any`` what a host makes.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file: what is read of a row, and what is made of it.

    ``convert`` makes the values of a piece; without it they stay as they are read. Where the column
    ``may_be_none``, a raw file tells empty text from no text.
    """

    name: str
    title: str
    wanted: Wanted
    kind: Kind
    convert: Callable[[Values], Values] | None = None
    may_be_none: bool = False

    def of(self, read: Values) -> Values:
        return read if self.convert is None else self.convert(read)


@dataclass(frozen=True, slots=True)
class Told:
    """What a view says of a column.

    ``ask`` makes the value of an instance. With ``is_own`` it is a host's, who may have a reason to
    tell something else than what is stored: a raw file has it as well. ``choices`` are words for
    values; ``is_whole`` says that a collection is told by its members; ``write`` writes a value as
    its form does, which an import reads.
    """

    ask: Callable[[Any], Any]
    is_own: bool = False
    choices: Mapping[Any, Any] | None = None
    is_whole: bool = False
    write: Callable[[Any], str] | None = None


def column(name: str, title: str, path: Path, told: Told, options: Options) -> Column | None:
    """The column ``path`` of a file; None where a raw file has nothing of it to be read back."""
    make = functools.partial(Column, name, name if options.is_raw else title)
    if inspection.is_secret(path.key) and not (told.is_own and not options.is_raw):
        # An import would take the mask for what it hides.
        return None if options.is_raw else make(Wanted(path, "nothing", told.ask), "code", _masked)
    if path.column is not None and inspection.is_binary(path.column.type):
        return _binary(make, path, told, options)
    if told.is_own:
        return make(Wanted(path, "asked", told.ask), "any", _each(plain))
    if path.relationship is not None:
        return _related(make, path, told, options)
    if path.column is None:
        return make(Wanted(path, "asked", told.ask), "any", _each(plain))
    return _stored(make, path, told, options)


_Make = Callable[..., Column]


def _each(function: Callable[[Any], Any]) -> Callable[[Values], Values]:
    return lambda values: list(map(function, values))


def _masked(values: Values) -> Values:
    return [MASK] * len(values)


def _binary(make: _Make, path: Path, told: Told, options: Options) -> Column | None:
    assert path.column is not None
    # What a type makes of the bytes, as of a pickle, is never read.
    if options.has_content and not inspection.is_decorated(path.column.type):
        return make(Wanted(path, "value", told.ask), "code", _each(_base64))
    if options.is_raw:
        return None
    return make(Wanted(path, "size", told.ask), "code", _each(_size))


def _base64(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return base64.b64encode(bytes(value)).decode()


def _size(value: Any) -> str | None:
    return rendering.size(value).striptags() if isinstance(value, int) else value


def _related(make: _Make, path: Path, told: Told, options: Options) -> Column:
    relationship = path.relationship
    assert relationship is not None
    if not relationship.uselist:
        if options.is_raw and not path.is_to_many:
            return make(Wanted(path, "key", told.ask), "text")
        return make(Wanted(path, "label", told.ask), "text", _each(plain))
    if path.relationships or (told.is_whole and not options.is_raw):
        return make(Wanted(path, "asked", told.ask), "any", _each(plain))
    is_ours = relationship.secondary is not None and not relationship.viewonly
    if options.is_raw and told.is_whole and is_ours:
        return make(Wanted(path, "keys", told.ask), "list")
    return make(Wanted(path, "count", told.ask), "number", _each(plain))


def _stored(make: _Make, path: Path, told: Told, options: Options) -> Column:
    assert path.column is not None
    value = Wanted(path, "value", told.ask)
    type_, may_be_none = path.column.type, path.column.is_nullable or bool(path.relationships)
    if inspection.is_json(type_):
        return make(Wanted(path, "text", told.ask), "json", _each(_one_line))
    if told.choices and not options.is_raw:
        return make(value, "any", _each(functools.partial(_chosen, told.choices)))
    make = functools.partial(make, value, may_be_none=may_be_none)
    stored = inspection.stored_type(type_)
    if isinstance(stored, sa.Enum):
        tell = functools.partial(_enum_name if options.is_raw else _enum_words)
        return make("text", _each(tell))
    if inspection.is_decorated(type_):
        is_read = options.is_raw and told.write is not None
        return make("text" if is_read else "any", _each(_written(told) if is_read else plain))
    if isinstance(stored, sa.Boolean):
        return make("bool")
    if inspection.is_number(stored):
        return make("number")
    if inspection.is_text(stored):
        return make("text")
    if isinstance(stored, sa.DateTime) and stored.timezone:
        return make("moment")
    if isinstance(stored, sa.DateTime | sa.Date | sa.Time):
        return make("time")
    if isinstance(stored, sa.Uuid):
        return make("code", _each(_str))
    if options.is_raw and told.write is not None:
        return make("json" if isinstance(stored, sa.ARRAY) else "text", _each(_written(told)))
    return make("any", _each(plain))


def _written(told: Told) -> Callable[[Any], str | None]:
    write = told.write
    assert write is not None
    return lambda value: None if value is None else write(value)


def _str(value: Any) -> str | None:
    return None if value is None else str(value)


def _one_line(text: Any) -> Any:
    return on_one_line(text) if isinstance(text, str) else text


def _chosen(choices: Mapping[Any, Any], value: Any) -> Any:
    try:
        found = choices.get(value, value)
    except TypeError:
        found = value
    return plain(found)


def _enum_name(value: Any) -> Any:
    return value.name if isinstance(value, enum.Enum) else value


def _enum_words(value: Any) -> Any:
    if not isinstance(value, enum.Enum):
        return value
    return value.value if isinstance(value.value, str) else inspection.words(value.name)


def local(value: Any, zone: dt.tzinfo) -> Any:
    """A moment in ``zone``; anything else as it is."""
    if not isinstance(value, dt.datetime):
        return value
    try:
        # Without a zone it is in UTC, as SQLite gives it back.
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).astimezone(zone)
    except OverflowError:
        return value


_PLAIN = (bool, int, float, decimal.Decimal, dt.date, dt.time)


def plain(value: Any) -> Any:
    """``value`` as a number, a date, a truth value or text without HTML."""
    if value is None or type(value) is str or isinstance(value, _PLAIN):
        return _enum_words(value) if isinstance(value, enum.Enum) else value
    if isinstance(value, Markup):
        return value.striptags()
    if isinstance(value, enum.Enum):
        return _enum_words(value)
    if isinstance(value, dt.timedelta):
        return rendering.duration(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _size(len(value))
    if isinstance(value, dict):
        return _json(value)
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(str(plain(one)) for one in value)
    state = sa.inspect(value, raiseerr=False)
    if isinstance(state, orm.InstanceState):
        return inspection.label(state.mapper).of(value)
    return str(value)


# What is asked of an instance


def reader(path: Path, types: Mapping[type, Any]) -> Callable[[Any], Any]:
    """What a file says of ``path`` in a row, before a host's formatters of ``types`` are asked.

    Secrets are left out as on every page, and so is binary content, which is never unpickled.
    """
    column, relationship = path.column, path.relationship
    if column is not None and inspection.is_secret(column.key):
        return lambda instance: MASK
    if column is not None and inspection.is_binary(column.type):
        return lambda instance: "(binary)"
    get = rendering.getter(path)
    own = tuple(t for t, formatter in types.items() if formatter not in _STOCK)
    if column is not None and inspection.is_json(column.type):
        tell: Callable[[Any], Any] = _json
    elif relationship is not None and not path.is_to_many:
        tell = functools.partial(_labels, relationship)
    else:
        return lambda instance: get(ListedRow(instance, {}))

    def read(instance: Any) -> Any:
        counted = members_counted(instance)
        if path.name in counted:
            return counted[path.name]
        found = get(ListedRow(instance, {}))
        if isinstance(found, own):
            return found
        stored = stored_texts(instance)
        if path.name in stored:
            text = stored[path.name]
            return None if text is None else on_one_line(text)
        return tell(found)

    return read


_STOCK = tuple(EXPORT_FORMATTERS.values())


def _json(found: Any) -> Any:
    if found is None or isinstance(found, AsStored):
        return found
    try:
        return json.dumps(found, ensure_ascii=False, default=str)
    except (RecursionError, TypeError, ValueError):
        return str(found)


def _labels(relationship: orm.RelationshipProperty[Any], found: Any) -> Any:
    """Related rows by what they are called on every page."""
    of = inspection.label(relationship.mapper).of
    if found is None or not relationship.uselist:
        return None if found is None else of(found)
    return ", ".join(map(of, found.values() if isinstance(found, dict) else found))


def in_words(value: Any) -> Any:
    """``value`` for a cell of CSV: text without its HTML, and disarmed."""
    value = value.striptags() if isinstance(value, Markup) else value
    return formulas.disarmed(value) if isinstance(value, str) else value
