"""What an INSERT tells of the rows that it makes, before it runs and after.

Of a statement of the unit of work the keys are known. An application may write others: of many
rows whose keys the database makes, of what a SELECT finds, or with ``ON CONFLICT``, so that rows
are changed that were there before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import BindParameter

from admin_app.changes import images

Values = Mapping[str, Any]
"""What one row is given, as the mapping has it, by the names of columns; only what is known."""


def values(
    statement: Insert, table: sa.Table, parameters: Sequence[Mapping[str, Any]]
) -> list[Values] | None:
    """What each row is given that ``statement`` makes; None where a SELECT gives it."""
    if statement.select is not None:
        return None
    many = getattr(statement, "_multi_values", ())
    if many:
        return [_known(row, table) for rows in many for row in rows]
    fixed = _known(getattr(statement, "_values", None) or {}, table)
    return [{**fixed, **_known(one, table)} for one in parameters]


def _known(given: Mapping[Any, Any], table: sa.Table) -> dict[str, Any]:
    known = {}
    for key, value in given.items():
        column = key if isinstance(key, sa.Column) else table.columns.get(key)
        if isinstance(value, BindParameter):
            value = value.effective_value
        if column is not None and value is not None and not isinstance(value, sa.ClauseElement):
            known[column.name] = value
    return known


def meets_rows(statement: Insert) -> bool:
    """Whether ``statement`` may meet rows that are there already, and leave or change them."""
    return statement._post_values_clause is not None or bool(statement._prefixes)


def replaces_rows(statement: Insert) -> bool:
    """Whether ``statement`` deletes what it meets, as SQLite's ``INSERT OR REPLACE`` does."""
    return any("REPLACE" in str(prefix).upper() for prefix, _ in statement._prefixes)


def keys(table: sa.Table, given: Sequence[Values] | None) -> list[list[Any]] | None:
    """The keys of the rows, where all are given."""
    columns = list(table.primary_key.columns)
    if given is None or not columns or any(c.name not in row for row in given for c in columns):
        return None
    return [[row[c.name] for c in columns] for row in given]


def is_asked(statement: Insert, table: sa.Table, dialect: sa.Dialect, count: int) -> bool:
    """Whether the keys are to be asked for by RETURNING, as nothing else tells them.

    ``count`` is the number of sets of parameters.
    """
    is_single = count == 1 and statement.select is None and not statement._multi_values
    if statement._returning or statement._return_defaults:
        return False
    if is_single and len(table.primary_key.columns) > 0:
        # The driver tells its key, and the program may ask the result for it.
        return False
    return dialect.insert_executemany_returning if count > 1 else dialect.insert_returning


def alike(table: sa.Table, given: Sequence[Values]) -> Iterator[tuple[list[Any], list[list[Any]]]]:
    """For each unique key of ``table`` its columns, and what rows are given for all of them."""
    for columns in _unique_keys(table):
        found = [[row[c.name] for c in columns] for row in given if _has(row, columns)]
        if found:
            yield columns, found


def can_be_found(table: sa.Table, given: Sequence[Values] | None) -> bool:
    """Whether each row can be found again by what it is given."""
    keys = list(_unique_keys(table))
    return given is not None and all(any(_has(row, key) for key in keys) for row in given)


def _has(row: Values, columns: Sequence[sa.Column[Any]]) -> bool:
    return all(c.name in row for c in columns)


def _unique_keys(table: sa.Table) -> Iterator[list[sa.Column[Any]]]:
    if len(table.primary_key.columns):
        yield list(table.primary_key.columns)
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint):
            yield list(constraint.columns)
    for index in table.indexes:
        if index.unique and all(isinstance(e, sa.Column) for e in index.expressions):
            yield list(index.columns)


def asked(statement: Insert, table: sa.Table) -> Insert:
    """``statement``, returning the keys of its rows."""
    return statement.returning(*images.key_columns(table))
