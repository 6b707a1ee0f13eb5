"""Actions over ticked rows, and the deletes that an operator confirms first.

`action` is Flask-Admin's decorator. An action that asks first is answered with a page that shows
the rows; it runs when the page's form comes back with ``confirmed``. `plan_delete` tells what a
delete does to rows of other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from flask_admin.actions import action
from sqlalchemy import orm

from admin_app import inspection
from admin_app.contexts import Consequence
from admin_app.inspection import plural, words

__all__ = ["SHOWN_ROWS", "action", "identities", "plan_delete"]

SHOWN_ROWS = 50
"""Rows that a page of confirmation names; the others are counted."""


def identities(mapper: orm.Mapper[Any], texts: Sequence[str]) -> list[tuple[Any, ...]]:
    """The identities that ``texts`` from a form stand for, each once; NotFound for a bad one."""
    text_of = inspection.identity_text(mapper)
    return list(dict.fromkeys(text_of.decode(text) for text in texts))


def plan_delete(
    session: orm.scoped_session[Any] | orm.Session, rows: Sequence[Any]
) -> list[Consequence]:
    """What happens to rows that point directly at ``rows`` when these are deleted.

    One counting statement per foreign key. The rule is the mapping's where a relationship governs
    the foreign key, else the database's.
    """
    by_class: dict[orm.Mapper[Any], list[Any]] = {}
    for row in rows:
        by_class.setdefault(sa.inspect(row).mapper, []).append(row)
    found: dict[tuple[sa.Table, tuple[str, ...]], tuple[Any, ...]] = {}
    for own, group in by_class.items():
        for table, constraint in _pointing(own):
            count = session.scalar(_count(own, constraint, group)) or 0
            where = (table, tuple(constraint.column_keys))
            if count:
                before = found[where][-1] if where in found else 0
                found[where] = (own, table, constraint, before + count)
    return [_consequence(*arguments) for arguments in found.values()]


def _pointing(mapper: orm.Mapper[Any]) -> list[tuple[sa.Table, sa.ForeignKeyConstraint]]:
    """The foreign keys that point to rows of ``mapper``, each column once."""
    own = {t for t in mapper.tables if isinstance(t, sa.Table)}
    found: dict[tuple[sa.Table, tuple[str, ...]], sa.ForeignKeyConstraint] = {}
    for table in _all_tables(mapper):
        for constraint in table.foreign_key_constraints:
            is_part = table in own and _is_own(mapper, table, constraint)
            if constraint.referred_table in own and not is_part:
                found.setdefault((table, tuple(constraint.column_keys)), constraint)
    return [(table, constraint) for (table, _), constraint in found.items()]


def _all_tables(mapper: orm.Mapper[Any]) -> list[sa.Table]:
    tables: dict[sa.Table, None] = {}
    for other in mapper.registry.mappers:
        tables.update((t, None) for t in other.tables if isinstance(t, sa.Table))
    for table in list(tables):
        tables.update((t, None) for t in table.metadata.tables.values())
    return sorted(tables, key=lambda t: t.fullname)


def _is_own(mapper: orm.Mapper[Any], table: sa.Table, constraint: sa.ForeignKeyConstraint) -> bool:
    """Whether the constraint only holds the parts of a joined-inheritance row together."""
    return constraint.referred_table is not table and set(table.primary_key.columns) <= set(
        constraint.columns
    )


def _count(
    mapper: orm.Mapper[Any], constraint: sa.ForeignKeyConstraint, rows: Sequence[Any]
) -> Any:
    table = constraint.parent
    statement = sa.select(sa.func.count()).select_from(table)
    pairs = [(e.parent, inspection.key_of(mapper, e.column)) for e in constraint.elements]
    known = [(column, key) for column, key in pairs if key is not None]
    if len(known) == 1:
        column, key = known[0]
        return statement.where(column.in_([getattr(r, key) for r in rows]))
    values = [tuple(getattr(r, key) for _, key in known) for r in rows]
    return statement.where(sa.tuple_(*(c for c, _ in known)).in_(values))


def _consequence(
    mapper: orm.Mapper[Any], table: sa.Table, constraint: sa.ForeignKeyConstraint, count: int
) -> Consequence:
    noun = _noun(mapper, table, count)
    column = ", ".join(words(k.removesuffix("_id")).lower() for k in constraint.column_keys)
    return Consequence(f"{count:,} {noun} (by {column})", _kind(mapper, table, constraint))


def _noun(mapper: orm.Mapper[Any], table: sa.Table, count: int) -> str:
    """What rows of ``table`` are called: after the class that maps it, else after the table."""
    names = (m.class_.__name__ for m in mapper.registry.mappers if m.local_table is table)
    singular = words(next(names, table.name)).lower()
    return singular if count == 1 else plural(singular)


def _kind(mapper: orm.Mapper[Any], table: sa.Table, constraint: sa.ForeignKeyConstraint) -> str:
    columns = set(constraint.columns)
    for relationship in mapper.relationships:
        if relationship.viewonly:
            continue
        if relationship.secondary is table:
            return "deleted"
        is_ours = (
            relationship.direction is orm.RelationshipDirection.ONETOMANY
            and set(relationship.remote_side) == columns
        )
        if is_ours:
            if relationship.cascade.delete:
                return "deleted"
            if relationship.passive_deletes is False:
                return "unlinked" if all(c.nullable for c in columns) else "blocked"
    match (constraint.ondelete or "").upper():
        case "CASCADE":
            return "deleted"
        case "SET NULL" | "SET DEFAULT":
            return "unlinked"
    return "blocked"
