"""What stands at a place within JSON, and in an array, in the words of each database.

PostgreSQL and SQLite have functions for the same and no names in common; a value that is no JSON
at all, which a column of SQLite may hold, has nothing at any place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

Step = str | int
"""A key of an object, or a position in an array."""


class JsonText(FunctionElement[str]):
    """The text, number, true or false at a place in JSON as text; NULL for nothing and null."""

    type = sa.Text()
    name = "json_text"
    inherit_cache = True


class JsonNumber(FunctionElement[Any]):
    """The number at a place in JSON; NULL where there is something else."""

    type = sa.Numeric(asdecimal=False)
    name = "json_number"
    inherit_cache = True


class JsonHas(FunctionElement[bool]):
    """Whether an array at a place in JSON has the text, or number written so, as an element."""

    type = sa.Boolean()
    name = "json_has"
    inherit_cache = True


class ArrayHas(FunctionElement[bool]):
    """Whether an array has an element, which is the second argument."""

    type = sa.Boolean()
    name = "array_has"
    inherit_cache = True


def text_at(column: Any, steps: Sequence[Step]) -> sa.ColumnElement[str]:
    return JsonText(column, *_places(steps))


def number_at(column: Any, steps: Sequence[Step]) -> sa.ColumnElement[Any]:
    return JsonNumber(column, *_places(steps))


def has_at(column: Any, steps: Sequence[Step], value: str) -> sa.ColumnElement[bool]:
    # SQLite's type of the comparison follows from the operands: text with text.
    return JsonHas(column, sa.literal(value, sa.Text()), *_places(steps))


def _places(steps: Sequence[Step]) -> list[sa.ColumnElement[str]]:
    """Two arguments: the place for PostgreSQL, an array, and for SQLite, a path."""
    path = "$" + "".join(f"[{s}]" if isinstance(s, int) else f'."{s}"' for s in steps)
    array = "{" + ",".join(_quoted(str(s)) for s in steps) + "}"
    return [sa.literal(array, sa.Text()), sa.literal(path, sa.Text())]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _parts(element: Any, compiler: Any, kw: Any) -> list[str]:
    return [compiler.process(clause, **kw) for clause in element.clauses]


def _valid(column: str) -> str:
    """``column`` in SQLite where it holds JSON, else NULL."""
    return f"CASE WHEN json_valid({column}) THEN {column} END"


def _at(column: str, array: str) -> str:
    """What stands at a place in PostgreSQL."""
    return f"(CAST({column} AS JSONB) #> CAST({array} AS TEXT[]))"


def _any_item(items: str, condition: str) -> str:
    # Both are made of what the compiler wrote; values are bound.
    return f"EXISTS (SELECT 1 FROM {items} WHERE {condition})"  # noqa: S608


@compiles(JsonText)
def _json_text(element: Any, compiler: Any, **kw: Any) -> str:
    column, _, path = _parts(element, compiler, kw)
    place = f"{_valid(column)}, {path}"
    words = "WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'"
    return f"CASE json_type({place}) {words} ELSE CAST(json_extract({place}) AS TEXT) END"


@compiles(JsonText, "postgresql")
def _json_text_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    column, array, _ = _parts(element, compiler, kw)
    return f"(CAST({column} AS JSONB) #>> CAST({array} AS TEXT[]))"


@compiles(JsonNumber)
def _json_number(element: Any, compiler: Any, **kw: Any) -> str:
    column, _, path = _parts(element, compiler, kw)
    place = f"{_valid(column)}, {path}"
    return f"CASE WHEN json_type({place}) IN ('integer', 'real') THEN json_extract({place}) END"


@compiles(JsonNumber, "postgresql")
def _json_number_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    column, array, _ = _parts(element, compiler, kw)
    at = _at(column, array)
    text = f"({at} #>> '{{}}')"
    return f"CASE WHEN jsonb_typeof({at}) = 'number' THEN CAST({text} AS NUMERIC) END"


@compiles(JsonHas)
def _json_has(element: Any, compiler: Any, **kw: Any) -> str:
    column, value, _, path = _parts(element, compiler, kw)
    place = f"{_valid(column)}, {path}"
    array = f"CASE json_type({place}) WHEN 'array' THEN json_extract({place}) END"
    return _any_item(f"json_each({array}) AS e", f"CAST(e.value AS TEXT) = {value}")


@compiles(JsonHas, "postgresql")
def _json_has_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    column, value, array, _ = _parts(element, compiler, kw)
    at = _at(column, array)
    items = f"CASE WHEN jsonb_typeof({at}) = 'array' THEN {at} END"
    return _any_item(f"jsonb_array_elements_text({items}) AS e(item)", f"e.item = {value}")


@compiles(ArrayHas)
def _array_has(element: Any, compiler: Any, **kw: Any) -> str:
    column, value = _parts(element, compiler, kw)
    return _any_item(f"json_each({_valid(column)}) AS e", f"e.value = {value}")


@compiles(ArrayHas, "postgresql")
def _array_has_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    column, value = _parts(element, compiler, kw)
    type_ = next(iter(element.clauses)).type
    # Of the column's own type, for no other is compared with it; an index on arrays serves it.
    name = compiler.dialect.type_compiler_instance.process(_plain(type_))
    return f"({column} @> CAST(ARRAY[{value}] AS {name}))"


def _plain(type_: Any) -> Any:
    while isinstance(type_, sa.types.TypeDecorator):
        type_ = type_.impl_instance
    return type_ if isinstance(type_, sa.ARRAY) else postgresql.ARRAY(sa.Text())
