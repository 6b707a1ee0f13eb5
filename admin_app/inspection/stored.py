"""What a column type stores: through decorators and domains, chosen by ``isinstance``."""

from __future__ import annotations

import re
import uuid
from typing import Any, TypeGuard

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import default as default_dialect
from sqlalchemy.ext.compiler import compiles

INT64 = range(-(2**63), 2**63)
BINARY = (sa.LargeBinary, sa.BINARY, sa.VARBINARY)
DIALECT = default_dialect.DefaultDialect()
"""TypeDecorators are asked for their stored form under a neutral dialect."""


def stored_type(type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """The type that reaches the database: a TypeDecorator's ``impl``, what a domain is made of."""
    while True:
        if is_decorated(type_):
            type_ = type_.impl_instance
        elif isinstance(type_, postgresql.DOMAIN):
            type_ = type_.data_type
        else:
            return type_


def is_decorated(type_: sa.types.TypeEngine[Any]) -> TypeGuard[sa.types.TypeDecorator[Any]]:
    """Whether values are made by a TypeDecorator of the program.

    Interval is one in name alone: it stands in for what some databases lack.
    """
    return isinstance(type_, sa.types.TypeDecorator) and not isinstance(type_, sa.Interval)


def bound(type_: sa.types.TypeDecorator[Any], value: Any) -> Any:
    """What ``type_`` stores for ``value``; a decorator may change values in one direction only."""
    if type(type_).process_bind_param is sa.types.TypeDecorator.process_bind_param:
        return value
    return type_.process_bind_param(value, DIALECT)


def loaded(type_: sa.types.TypeDecorator[Any], stored: Any) -> Any:
    """The value that ``type_`` makes of what is stored; see `bound`."""
    if type(type_).process_result_value is sa.types.TypeDecorator.process_result_value:
        return stored
    return type_.process_result_value(stored, DIALECT)


def is_uuid(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether a decorated type says that its values are UUIDs, however it stores them."""
    try:
        return is_decorated(type_) and type_.python_type is uuid.UUID
    except NotImplementedError:
        return False


def is_binary(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether values are bytes, pickles included: pages show their size, never the content."""
    return isinstance(stored_type(type_), BINARY) and not is_uuid(type_)


def is_json(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether values are JSON as the database has it, and nothing that a type makes of it."""
    variants = type_._variant_mapping.values()
    return isinstance(type_, sa.JSON) and all(isinstance(v, sa.JSON) for v in variants)


class json_as_stored(sa.sql.functions.FunctionElement[str]):  # noqa: N801 - stands as a function
    """The text of a JSON column, to the last digit: ``json_as_stored(column)``."""

    type = sa.Text()
    inherit_cache = True


@compiles(json_as_stored)
def _text(element: Any, compiler: Any, **options: Any) -> str:
    (column,) = element.clauses
    written: str = compiler.process(sa.cast(column, sa.Text), **options)
    return written


@compiles(json_as_stored, "sqlite")
def _text_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    # SQLite keeps a bare number as a number, and writes a float with 15 digits unless it is told.
    (column,) = element.clauses
    name = compiler.process(column, **options)
    text = f"CAST({name} AS TEXT)"
    is_cut = f"typeof({name}) = 'real' AND CAST({text} AS REAL) <> {name}"
    return f"CASE WHEN {is_cut} THEN printf('%!.17g', {name}) ELSE {text} END"


def is_number(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether values are numbers (Float is no Numeric in SQLAlchemy 2.1, so both are asked)."""
    return isinstance(stored_type(type_), sa.Integer | sa.Numeric | sa.Float)


def is_text(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether values are free text that a search may look into; an Enum is not."""
    stored = stored_type(type_)
    return isinstance(stored, sa.String) and not isinstance(stored, sa.Enum)


def is_long_text(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether values may run over several lines: Text, or a String without a length above 255."""
    stored = stored_type(type_)
    if not is_text(type_):
        return False
    return isinstance(stored, sa.Text) or (stored.length or 0) > 255  # type: ignore[attr-defined]


def is_orderable(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether ORDER BY is defined on every supported database; PostgreSQL has none for json."""
    stored = stored_type(type_)
    if isinstance(stored, postgresql.JSONB):
        return True
    return not isinstance(stored, sa.JSON | sa.types.NullType)


_SECRET = re.compile(
    r"(^|_)(password|passwd|pwd|secret|api_?key|private_?key|totp|token|uniquifier|recovery_code)"
    r"(_|$|s$)"
)


def is_secret(key: str) -> bool:
    """Whether an attribute is by its name one that no page should show or search."""
    return _SECRET.search(key.lower()) is not None
