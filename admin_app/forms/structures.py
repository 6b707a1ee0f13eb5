"""JSON, arrays and mappings as the text of a control, and back.

Numbers keep every digit or are refused, the order of keys stays, a key that stands twice is told.
The text of a stored JSON value is taken as the database has it (`json_text`), since Python's
floats could not give it back.
"""

from __future__ import annotations

import decimal
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from admin_app import inspection
from admin_app.forms.codecs import MAX_DIGITS, Codec, TextCodec, shorten
from admin_app.json_text import printable

MAX_DEPTH = 200
"""Levels of nesting that a form takes."""

_BARE = re.compile(r"true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NUL = "This holds a character that cannot be stored."


class _Literal(str):
    """A number as it was typed, among the values of an array."""


def parse(text: str, number: Any = None) -> Any:
    """The value of ``text``; ValueError with a sentence for what is no JSON, or would change.

    ``number`` makes the value of a number from its text.
    """
    if _depth(text) > MAX_DEPTH:
        raise ValueError(f"This is nested too deeply: {MAX_DEPTH} levels can be kept.")
    try:
        return json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=number or _float,
            parse_int=number or _integer,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise ValueError(
            f"This is not JSON: line {error.lineno}, column {error.colno} ({error.msg.lower()})."
        ) from None
    except RecursionError:
        raise ValueError("This is nested too deeply.") from None


def _depth(text: str) -> int:
    deepest = level = 0
    for match in re.finditer(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', text, re.DOTALL):
        if match[0] in ("[", "{"):
            level += 1
            deepest = max(deepest, level)
        elif match[0] in ("]", "}"):
            level -= 1
    return deepest


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON.")


def _float(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"{shorten(literal)} is too large a number; put it in quotes.")
    try:
        is_exact = decimal.Decimal(literal) == decimal.Decimal(repr(value))
    except decimal.InvalidOperation:
        is_exact = False
    if not is_exact:
        raise ValueError(
            f"{shorten(literal)} has more digits than a number here can keep: it would become "
            f"{value!r}. Put it in quotes to keep it as a text."
        )
    return value


def _integer(literal: str) -> int:
    if len(literal) > MAX_DIGITS:
        raise ValueError(f"{shorten(literal)} has too many digits; put it in quotes.")
    return int(literal)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"The key “{shorten(twice)}” stands twice in one object.")
    return found


class JsonCodec(Codec):
    """Any JSON value; blank is SQL's NULL, the word null is JSON's."""

    is_long = True
    is_json = True

    def __init__(self, is_binary: bool = False) -> None:
        super().__init__()
        self.is_binary = is_binary
        self.attributes["data-json"] = True

    def write(self, value: Any) -> str:
        try:
            text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
        except RecursionError:
            text = json.dumps(value, ensure_ascii=False, default=str)
        return printable(text)

    def stored(self, column: Any) -> sa.ColumnElement[Any]:
        """The text that a form shows of ``column``, asked of the database."""
        return inspection.json_as_stored(column)

    def read(self, text: str, dialect: str) -> Any:
        value = parse(text)
        if value is None:
            return sa.JSON.NULL
        if self.is_binary and dialect == "postgresql" and not _fits_jsonb(value):
            raise ValueError("PostgreSQL cannot keep \\u0000 or half a character pair in jsonb.")
        if dialect == "sqlite" and type(value) in (int, float):
            # A number alone goes through SQLite's own numbers.
            digits = f"{value!r}".lstrip("-").partition("e")[0].replace(".", "").strip("0")
            if len(digits) > 15 and not (type(value) is int and abs(value) < 2**63):
                raise ValueError("SQLite cannot keep all digits of this number by itself.")
        return value


class JsonArrayCodec(JsonCodec):
    """PostgreSQL's arrays of JSON as one JSON list, whose null is JSON's.

    An array of several dimensions, or with an SQL NULL in it, has no such text and is only shown.
    """

    needs_stored = True
    untold = "Shown only: as a list, SQL's NULL and JSON's, or several dimensions, look the same."

    def __init__(self, is_binary: bool, dimensions: int | None, as_tuple: bool) -> None:
        super().__init__(is_binary)
        self.dimensions = dimensions
        self.as_tuple = as_tuple

    def stored(self, column: Any) -> sa.ColumnElement[Any]:
        item = sa.func.unnest(column).column_valued("item")
        has_null = sa.select(sa.literal(1)).where(item.is_(None)).exists()
        is_list = sa.func.coalesce(sa.func.array_ndims(column), 1) == 1
        text = sa.cast(sa.func.array_to_json(column), sa.Text)
        return sa.case((sa.and_(is_list, ~has_null), text))

    def read(self, text: str, dialect: str) -> Any:
        value = parse(text)
        if not isinstance(value, list):
            raise ValueError('This is not a list; write it as [{"a": 1}, 2].')
        # SQLAlchemy takes a list in a list for a further dimension, unless told that there is one.
        if self.dimensions is None and any(isinstance(item, list) for item in value):
            raise ValueError("Lists cannot stand in this list.")
        if self.is_binary and not _fits_jsonb(value):
            raise ValueError("PostgreSQL cannot keep \\u0000 or half a character pair in jsonb.")
        return tuple(value) if self.as_tuple else value


def _fits_jsonb(value: Any) -> bool:
    return all(map(_is_storable, _texts(value)))


def _is_storable(text: str) -> bool:
    return "\0" not in text and printable(text) == text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


class ArrayCodec(Codec):
    """Arrays as JSON lists, so that commas, blanks, NULLs and nesting stay what they are.

    ``dimensions`` is the depth that the type asks for, None for any.
    """

    is_long = True

    def __init__(self, item: Codec, dimensions: int | None = None, as_tuple: bool = False) -> None:
        super().__init__()
        self.item = item
        self.dimensions = dimensions
        self.as_tuple = as_tuple
        self.attributes["data-json"] = True

    def write(self, value: Any) -> str:
        if not isinstance(value, list | tuple):
            return str(value)
        return printable("[" + ", ".join(map(self._out, value)) + "]")

    def _out(self, value: Any) -> str:
        if isinstance(value, list | tuple):
            return "[" + ", ".join(map(self._out, value)) + "]"
        if value is None:
            return "null"
        text = self.item.write(value)
        is_bare = not isinstance(self.item, TextCodec) and _BARE.fullmatch(text)
        return text if is_bare else json.dumps(text, ensure_ascii=False)

    def read(self, text: str, dialect: str) -> Any:
        value = parse(text, number=_Literal)
        if not isinstance(value, list):
            raise ValueError('This is not a list; write it as ["one", "two"].')
        shape = _shape(value)
        if shape is None:
            raise ValueError("All lists inside a list must be of one length, and none empty.")
        if self.dimensions is not None and value and len(shape) != self.dimensions:
            raise ValueError(f"The list must have {self.dimensions} levels.")
        if len(shape) > 6:
            raise ValueError("A list can have 6 levels at most.")
        return self._in(value, dialect)

    def _in(self, value: Any, dialect: str) -> Any:
        if isinstance(value, list):
            found = [self._in(v, dialect) for v in value]
            return tuple(found) if self.as_tuple else found
        if value is None:
            return None
        if isinstance(value, dict):
            raise ValueError("Objects cannot stand in this list.")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if isinstance(self.item, TextCodec) and isinstance(value, bool | _Literal):
            raise ValueError(f"Put {shorten(text)} in quotes: this is a list of texts.")
        if not _is_storable(text):
            raise ValueError(_NUL)
        try:
            return self.item.read(text, dialect)
        except ValueError as error:
            raise ValueError(f"“{shorten(text)}”: {error}") from None


def _shape(value: Any) -> list[int] | None:
    """The lengths of the levels of a list; None when those of one level differ."""
    if not isinstance(value, list):
        return []
    shapes = [_shape(v) for v in value]
    first = shapes[0] if shapes else []
    if first is None or any(shape != first for shape in shapes) or 0 in first:
        return None
    return [len(value), *first]


class MappingCodec(Codec):
    """PostgreSQL's hstore as a JSON object of strings and nulls."""

    is_long = True

    def __init__(self) -> None:
        super().__init__()
        self.attributes["data-json"] = True

    def write(self, value: Any) -> str:
        return printable(json.dumps(value, ensure_ascii=False, indent=2, default=str))

    def read(self, text: str, dialect: str) -> Any:
        value = parse(text)
        if not isinstance(value, dict) or not all(
            v is None or isinstance(v, str) for v in value.values()
        ):
            raise ValueError('This is not a mapping of texts; write it as {"key": "value"}.')
        if not _fits_jsonb(value):
            raise ValueError(_NUL)
        return value
