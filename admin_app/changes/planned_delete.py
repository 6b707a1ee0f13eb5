"""Deleting many rows as their `DeletePlan` says, by statements for all of them at once.

The plan knows what the unit of work would do, row by row: so the cascades of the mapping are kept,
while each table costs one statement for a thousand rows. It is done so only where nothing of the
application wants to see each row go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.types import NullType

from admin_app.changes import delete_plan, images
from admin_app.changes.alterations import counts_versions, has_own_listeners
from admin_app.changes.delete_plan import DeletePlan, Effect, Key

AnySession = orm.Session | orm.scoped_session[Any]

PAIRS_AT_ONCE = 200
"""Rows with a key of several columns whose values cannot be compared as a list of pairs."""


def is_possible(session: AnySession, plan: DeletePlan) -> bool:
    """Whether ``plan`` is whole, and nothing of the application listens to what it does."""
    if plan.is_cut or plan.is_blocked or has_own_listeners(session):
        return False
    steps = _own_steps(plan)
    if not all(map(_is_unheard, steps)) or not _go_at_once(steps):
        return False
    return _ordered({step.table for step in steps if step.fate != "emptied"}) is not None


def _own_steps(plan: DeletePlan) -> list[Effect]:
    """What the mapping does; the rest is done by the database itself."""
    return [e for e in plan.effects if e.cause != "database"]


def _go_at_once(steps: Sequence[Effect]) -> bool:
    """Whether rows that may point at each other go by one statement, which lets them."""
    counts: dict[sa.Table, int] = {}
    for step in steps:
        for constraint in step.table.foreign_key_constraints:
            if constraint.referred_table is step.table and step.fate != "emptied":
                counts[step.table] = counts.get(step.table, 0) + step.count
                if (constraint.ondelete or "").upper() == "RESTRICT":
                    # That is minded row by row.
                    return False
    return all(
        count <= (images.ROWS_AT_ONCE if len(images.key_columns(table)) == 1 else PAIRS_AT_ONCE)
        for table, count in counts.items()
    )


def _is_unheard(effect: Effect) -> bool:
    mapper = effect.mapper
    if mapper is None:
        return effect.fate == "unlinked"
    family = [m for m in mapper.base_mapper.self_and_descendants if not m.concrete]
    tables = {table for m in family for table in m.tables}
    if effect.fate == "unlinked":
        return True
    if len(tables) > 1:
        return False
    events = [m.dispatch for m in {mapper, *family}]
    if effect.fate == "emptied":
        return counts_versions(mapper) and not any(
            d.before_update or d.after_update for d in events
        )
    return not any(d.before_delete or d.after_delete for d in events)


def _ordered(tables: set[sa.Table]) -> list[sa.Table] | None:
    """``tables``, each before those that it points at; None where they point in a circle."""
    pointing = {
        table: {
            constraint.referred_table
            for constraint in table.foreign_key_constraints
            if constraint.referred_table in tables and constraint.referred_table is not table
        }
        for table in tables
    }
    found: list[sa.Table] = []
    while pointing:
        # What none of the others points at may go.
        free = [t for t in pointing if not any(t in goals for goals in pointing.values())]
        if not free:
            return None
        found += sorted(free, key=lambda table: table.key)
        for table in free:
            del pointing[table]
    return found


def delete(session: AnySession, plan: DeletePlan) -> None:
    """Do what the mapping does in ``plan``, whose rows are locked or nobody else's."""
    steps = _own_steps(plan)
    for step in steps:
        if step.fate == "emptied":
            _empty(session, step)
    by_table: dict[sa.Table, dict[Key, None]] = {}
    for step in steps:
        if step.fate in ("deleted", "unlinked"):
            by_table.setdefault(step.table, {}).update(dict.fromkeys(step.keys))
    for table in _ordered(set(by_table)) or ():
        connection = session.connection(bind_arguments={"clause": table})
        for among in _portions(table, list(by_table[table]), connection.dialect):
            connection.execute(sa.delete(table).where(among))


def _empty(session: AnySession, step: Effect) -> None:
    """Let rows that stay point at nothing where they pointed at one that goes."""
    connection = session.connection(bind_arguments={"clause": step.table})
    values: dict[Any, Any] = dict.fromkeys(step.columns, None)
    version = None if step.mapper is None else step.mapper.version_id_col
    if version is not None and version.table is step.table:
        values[version] = version + 1
    for among in _portions(step.table, list(step.keys), connection.dialect):
        connection.execute(sa.update(step.table).where(among).values(values))


def _portions(
    table: sa.Table, keys: Sequence[Key], dialect: sa.Dialect
) -> Iterator[sa.ColumnElement[bool]]:
    """Criteria that together find the rows of ``table`` with ``keys``."""
    columns = images.key_columns(table)
    is_plain = all(isinstance(c.type, sa.Integer | sa.String) for c in columns)
    is_plain = is_plain and not any(None in key for key in keys)
    size = images.ROWS_AT_ONCE if len(columns) == 1 or is_plain else PAIRS_AT_ONCE
    for start in range(0, len(keys), size):
        some = keys[start : start + size]
        if len(columns) > 1 and is_plain:
            yield sa.tuple_(*(sa.type_coerce(c, NullType()) for c in columns)).in_(list(some))
        else:
            yield delete_plan.among(table, some, dialect)
