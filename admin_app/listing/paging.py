"""Pages found by what stands in their first or last row, not by counting the rows before them.

A cursor is the text of the values that one row is ordered by. The rows behind it are asked for in
`Segment`s, each of which one range of an index can answer: those with a value in the first key,
then those without one. A page reads the next segment only where the one before did not fill it,
so that nearly always it costs one statement, and the deepest page what the first does.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from admin_app import inspection, moments
from admin_app.errors import InvalidRequest
from admin_app.listing.ordering import Key

MOST_TEXT = 1_500
"""Characters of a cursor; a longer one would make addresses that not every server takes."""

_READABLE = (
    sa.Integer,
    sa.String,
    sa.Uuid,
    sa.Boolean,
    sa.Float,
    sa.Numeric,
    sa.DateTime,
    sa.Date,
    sa.Time,
    sa.Interval,
    postgresql.INET,
    postgresql.CIDR,
    postgresql.MACADDR,
)
_ERRORS = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError)


def can_be_followed(keys: Sequence[Key]) -> bool:
    """Whether a row's values in ``keys`` can be written into a URL and compared with others."""
    return all(
        isinstance(inspection.stored_type(key.expression.type), _READABLE)
        and not isinstance(key.expression.type, sa.PickleType)
        for key in keys
    )


def expressions(keys: Sequence[Key]) -> list[sa.ColumnElement[Any]]:
    """What a statement selects so that `text_of` can name its rows."""
    return [_as_compared(key) for key in keys]


def _as_compared(key: Key) -> sa.ColumnElement[Any]:
    """The expression with the type of the values that it is compared with.

    SQLite orders by what is stored, which is not always what SQLAlchemy would store: a time that
    the database made itself has no fraction.
    """
    if key.dialect == "sqlite":
        return sa.type_coerce(key.expression, sa.types.NullType())
    return key.expression


# Cursors


def text_of(keys: Sequence[Key], values: Sequence[Any]) -> str | None:
    """The cursor of a row that has ``values`` in ``keys``; None when it has none that is true."""
    try:
        text = ",".join(_write(key, value) for key, value in zip(keys, values, strict=True))
        is_true = len(text) <= MOST_TEXT and values_of(keys, text) == tuple(values)
    except (*_ERRORS, InvalidRequest):
        return None
    return text if is_true else None


def values_of(keys: Sequence[Key], text: str) -> tuple[Any, ...]:
    """The values that the cursor ``text`` stands for; InvalidRequest when it stands for none."""
    parts = list(inspection.split_parts(text))
    if len(parts) != len(keys):
        raise InvalidRequest("This page does not exist in the order of the list.")
    try:
        return tuple(
            None if part is None else _read(key, part)
            for key, part in zip(keys, parts, strict=True)
        )
    except _ERRORS:
        raise InvalidRequest("This page does not exist in the order of the list.") from None


def value_of(key: Key, text: str) -> Any:
    """The value of ``key`` that an operator means by ``text``; InvalidRequest when it is none."""
    stored = inspection.stored_type(key.expression.type)
    text = text.strip()
    try:
        if isinstance(stored, sa.Enum):
            text = _member(stored, text)
        elif isinstance(stored, sa.Boolean):
            text = {"true": "True", "yes": "True", "false": "False", "no": "False"}[text.lower()]
        elif isinstance(stored, sa.Integer | sa.Numeric | sa.Float):
            text = text.replace(",", "").replace(" ", "")
        elif isinstance(stored, sa.DateTime | sa.Date):
            text = _completed(text)
        value = inspection.read_part(key.expression.type, text)
        if isinstance(stored, sa.DateTime) and stored.timezone and isinstance(value, dt.datetime):
            value = moments.typed(value).astimezone(dt.UTC)
        return _stored(key, value) if key.dialect == "sqlite" else value
    except _ERRORS:
        raise InvalidRequest(
            f"The list cannot go to “{inspection.shorten(text)}” in this order."
        ) from None


def _stored(key: Key, value: Any) -> Any:
    process = key.expression.type.dialect_impl(_SQLITE).bind_processor(_SQLITE)
    return process(value) if process is not None else value


_SQLITE = sqlite.dialect()


def _member(type_: sa.Enum, text: str) -> str:
    names = list(type_.enum_class.__members__) if type_.enum_class else list(type_.enums)
    for name, stored in zip(names, type_.enums, strict=False):
        words = inspection.words(name).lower()
        if text.lower() in (name.lower(), str(stored).lower(), words):
            return name
    raise KeyError(text)


def _completed(text: str) -> str:
    """A year or a month as the day that it begins with."""
    if re.fullmatch(r"[0-9]{4}", text):
        return f"{text}-01-01"
    return f"{text}-01" if re.fullmatch(r"[0-9]{4}-[0-9]{2}", text) else text


def _write(key: Key, value: Any) -> str:
    type_ = key.expression.type
    if key.dialect == "sqlite" and value is not None:
        # As it is stored, whatever its type would make of it.
        if not isinstance(value, int | float | str):
            raise ValueError(value)
        type_ = sa.types.NULLTYPE
        value = repr(value) if isinstance(value, float) else value
    return inspection.write_part(type_, value)


def _read(key: Key, text: str) -> Any:
    type_ = key.expression.type
    if key.dialect != "sqlite":
        return inspection.read_part(type_, text)
    stored = inspection.stored_type(type_)
    if isinstance(stored, sa.Integer | sa.Boolean | sa.Numeric | sa.Float):
        if re.fullmatch(r"-?[0-9]{1,19}", text) and int(text) in inspection.INT64:
            return int(text)
        return float(text)
    return inspection.read_part(sa.types.NULLTYPE, text)


# Conditions


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the rows behind a cursor, in ``keys``; ``criterion`` None stands for all rows.

    ``is_gathered`` says that it has so few rows that all of them are best read and sorted.
    """

    criterion: sa.ColumnElement[bool] | None
    keys: tuple[Key, ...]
    is_gathered: bool = False


def segments(
    keys: Sequence[Key], values: Sequence[Any], *, is_grouped: bool = False, is_start: bool = False
) -> list[Segment]:
    """Where the rows behind ``values`` are, in the order in which they follow.

    With ``is_start`` they are one value, which stands before all rows that have it.
    ``is_grouped`` says that many rows share the value of the first key, so that these are worth a
    segment of their own.
    """
    keys = tuple(keys)
    first, value = keys[0], values[0]
    expression = _as_compared(first)
    has_value, lacks_value = expression.is_not(None), expression.is_(None)
    if value is None:
        rest = None if is_start else _behind(keys[1:], values[1:])
        found = [Segment(_and(lacks_value, rest), keys[1:] or keys)]
        if not first.nulls_last:
            found.append(Segment(has_value, _plain(keys)))
        return found
    if is_start:
        found = [Segment(_compared(first, value, or_equal=True), _plain(keys))]
    elif is_grouped and len(keys) > 1:
        shared = _and(same(first, value), _behind(keys[1:], values[1:]))
        found = [
            Segment(shared, keys[1:]),
            Segment(_compared(first, value), _plain(keys)),
        ]
    else:
        found = [Segment(_in_range(keys, values), _plain(keys))]
    if first.is_nullable and first.nulls_last:
        found.append(Segment(lacks_value, keys[1:] or keys))
    return found


def whole(keys: Sequence[Key]) -> list[Segment]:
    """All rows: in one segment, or two where the NULLs were sent to the other end.

    No index has them there, but each of the two it gives in order.
    """
    keys = tuple(keys)
    if keys[0].nulls is None:
        return [Segment(None, keys)]
    expression = _as_compared(keys[0])
    found = [
        Segment(expression.is_not(None), _plain(keys)),
        Segment(expression.is_(None), keys[1:] or keys),
    ]
    return found if keys[0].nulls_last else found[::-1]


def group(keys: Sequence[Key], value: Any) -> list[Segment]:
    """All rows that are not before ``value``, where many share it."""
    keys = tuple(keys)
    first = keys[0]
    found = [Segment(same(first, value), keys[1:])]
    if value is None:
        others = Segment(_as_compared(first).is_not(None), _plain(keys))
        return found if first.nulls_last else [*found, others]
    found.append(Segment(_compared(first, value), _plain(keys)))
    if first.is_nullable and first.nulls_last:
        found.append(Segment(_as_compared(first).is_(None), keys[1:]))
    return found


def _plain(keys: tuple[Key, ...]) -> tuple[Key, ...]:
    """``keys`` for rows that have a value in the first, where NULLs have no place to be told."""
    return (replace(keys[0], nulls=None, is_nullable=False), *keys[1:])


def _in_range(keys: tuple[Key, ...], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """The rows behind ``values`` that have a value in the first key, as a range of an index."""
    if len(keys) == 1:
        return _compared(keys[0], values[0])
    is_even = len({key.descending for key in keys}) == 1
    is_whole = not any(k.is_nullable for k in keys[1:]) and None not in values
    if is_even and is_whole and keys[0].dialect in ("postgresql", "sqlite"):
        row = sa.tuple_(*map(_as_compared, keys))
        other = sa.tuple_(*(_bound(k, v) for k, v in zip(keys, values, strict=True)))
        return row < other if keys[0].descending else row > other
    lexicographic = sa.or_(
        _compared(keys[0], values[0]),
        _and(same(keys[0], values[0]), _behind(keys[1:], values[1:])),
    )
    return sa.and_(_compared(keys[0], values[0], or_equal=True), lexicographic)


def _behind(keys: Sequence[Key], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """The rows behind ``values``, NULLs where they stand in each key."""
    key, value = keys[0], values[0]
    expression = _as_compared(key)
    beyond: sa.ColumnElement[bool]
    if value is None:
        beyond = sa.false() if key.nulls_last else expression.is_not(None)
    else:
        beyond = _compared(key, value)
        if key.is_nullable and key.nulls_last:
            beyond = sa.or_(beyond, expression.is_(None))
    if len(keys) == 1:
        return beyond
    return sa.or_(beyond, _and(same(key, value), _behind(keys[1:], values[1:])))


def _and(one: sa.ColumnElement[bool], other: sa.ColumnElement[bool] | None) -> Any:
    return one if other is None else sa.and_(one, other)


def same(key: Key, value: Any) -> sa.ColumnElement[bool]:
    """The rows that have ``value`` in ``key``."""
    expression = _as_compared(key)
    return expression.is_(None) if value is None else expression == _bound(key, value)


def _compared(key: Key, value: Any, *, or_equal: bool = False) -> sa.ColumnElement[bool]:
    expression, bound = _as_compared(key), _bound(key, value)
    if key.descending:
        return expression <= bound if or_equal else expression < bound
    return expression >= bound if or_equal else expression > bound


def _bound(key: Key, value: Any) -> sa.ColumnElement[Any]:
    """``value`` as a parameter of the type that it is compared in."""
    if key.dialect == "sqlite":
        return sa.bindparam(None, value, type_=sa.types.NullType(), unique=True)
    type_ = key.expression.type
    bound = sa.bindparam(None, value, type_=type_, unique=True)
    if key.dialect == "postgresql" and isinstance(inspection.stored_type(type_), sa.Float):
        # A REAL equals no number of double precision unless that is rounded first.
        return sa.cast(bound, type_)
    return bound
