"""What became of a row since somebody looked at it, and how two changes of it go together.

Three sides: *base* is what was seen, *theirs* what the row holds by now, *yours* what somebody
wants to write. Where only one of the two has left the base there is nothing to choose.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import inspection
from admin_app.changes import audit, images
from admin_app.changes.audit import ChangeSetRecord, RowChangeRecord

AnySession = orm.Session | orm.scoped_session[Any]


@dataclass(frozen=True, slots=True)
class Counter:
    """The column of a table by which SQLAlchemy knows one version of a row from another.

    ``following`` makes the next value of one; None where the database makes it.
    """

    column: sa.Column[Any]
    following: Callable[[Any], Any] | None


def counters(mappers: Iterable[orm.Mapper[Any]]) -> dict[sa.Table, Counter]:
    """The counters of the tables that classes are mapped in, from their ``version_id_col``."""
    found: dict[sa.Table, Counter] = {}
    for mapper in mappers:
        column = mapper.version_id_col
        if isinstance(column, sa.Column) and isinstance(column.table, sa.Table):
            following = mapper.version_id_generator
            found[column.table] = Counter(column, following if callable(following) else None)
    return found


MOST_RECORDS = 200
"""Changes of one row, newest first, that are looked through."""


def merged(base: Collection[str], theirs: Sequence[str], yours: Sequence[str]) -> list[str]:
    """The members of a collection to which both added and from which both removed."""
    removed = set(base) - set(yours)
    added = [member for member in yours if member not in base and member not in theirs]
    return [member for member in theirs if member not in removed] + added


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed a row, and when; ``olds`` is what a column held before this and before others."""

    actor_id: str | None
    actor: str | None
    at: dt.datetime
    change_set_id: int
    olds: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Since:
    """What the history tells of one row since some moment."""

    columns: Mapping[str, Change] = field(default_factory=dict)
    """The last change of each column, by ``table.column``."""
    deletion: Change | None = None

    def of(self, mapper: orm.Mapper[Any], key: str) -> Change | None:
        """The last change of an attribute: of its column, or of those that it points by."""
        found = [self.columns[name] for name in _names(mapper, key) if name in self.columns]
        return max(found, key=lambda change: change.at, default=None)


def _names(mapper: orm.Mapper[Any], key: str) -> list[str]:
    columns: Iterable[Any] = ()
    if key in mapper.relationships:
        columns = mapper.relationships[key].local_columns
    elif key in mapper.column_attrs:
        columns = mapper.column_attrs[key].columns
    elif key in inspection.columns(mapper):
        columns = [inspection.columns(mapper)[key].column]
    return [f"{c.table.key}.{c.name}" for c in columns if isinstance(c, sa.Column)]


def records_of(
    session: AnySession, mapper: orm.Mapper[Any], identity: Sequence[Any], limit: int
) -> list[RowChangeRecord]:
    """The newest changes of one row, in every table that it has a part in, newest first."""
    connection = session.connection(bind_arguments={"mapper": mapper})
    criteria = []
    for table in mapper.tables:
        if not isinstance(table, sa.Table) or not table.primary_key.columns:
            continue
        values = dict(zip((k.name for k in table.primary_key.columns), identity, strict=False))
        key = audit.kept_key(images.key_text_of(connection, table, values))
        criteria.append(
            sa.and_(RowChangeRecord.table_name == table.key, RowChangeRecord.key == key)
        )
    return _newest(session, sa.or_(sa.false(), *criteria), limit)


def ties_of(
    session: AnySession,
    mapper: orm.Mapper[Any],
    identity: Sequence[Any],
    tables: Iterable[sa.Table],
    limit: int,
) -> list[RowChangeRecord]:
    """The newest changes of rows of ``tables`` that point to one row, by a part of their key."""
    connection = session.connection(bind_arguments={"mapper": mapper})
    criteria = []
    for table in sorted(tables, key=lambda t: str(t.key)):
        names = [column.name for column in images.key_columns(table)]
        for constraint in table.foreign_key_constraints:
            target = constraint.referred_table
            local = [element.parent.name for element in constraint.elements]
            is_simple = len(local) == len(target.primary_key.columns) == 1 < len(names)
            if not is_simple or target not in mapper.tables or local[0] not in names:
                continue
            place = names.index(local[0])
            values = dict(zip((k.name for k in target.primary_key.columns), identity, strict=False))
            part = images.key_text_of(connection, target, values)[1:-1]
            start = "[" if place == 0 else "%, "
            end = "]" if place == len(names) - 1 else ", %"
            pattern = start + _escaped(part) + end
            criteria.append(
                sa.and_(
                    RowChangeRecord.table_name == table.key,
                    RowChangeRecord.key.like(pattern, escape="/"),
                )
            )
    if not criteria:
        return []
    return _newest(session, sa.or_(*criteria), limit)


def _escaped(text: str) -> str:
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")


def _newest(
    session: AnySession, criterion: sa.ColumnElement[bool], limit: int
) -> list[RowChangeRecord]:
    statement = (
        sa.select(RowChangeRecord)
        .where(criterion)
        .options(orm.joinedload(RowChangeRecord.change_set))
        .order_by(RowChangeRecord.id.desc())
        .limit(limit)
    )
    return list(session.scalars(statement))


def since(
    session: AnySession, mapper: orm.Mapper[Any], identity: Sequence[Any], moment: dt.datetime
) -> Since:
    """What the history tells of the row with ``identity`` since ``moment``."""
    columns: dict[str, Change] = {}
    deletion: Change | None = None
    for record in records_of(session, mapper, identity, MOST_RECORDS):
        by = record.change_set
        if aware(by.at) < moment:
            break
        if record.kind == "delete":
            deletion = deletion or _change(by, ())
        if record.kind != "update":
            continue
        for name in record.new or ():
            full, old = f"{record.table_name}.{name}", (record.old or {}).get(name)
            later = columns.get(full)
            columns[full] = (
                _change(by, (old,)) if later is None else replace(later, olds=(*later.olds, old))
            )
    return Since(columns, deletion)


def aware(at: dt.datetime) -> dt.datetime:
    """``at`` with its zone, without which SQLite gives moments back."""
    return at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)


def _change(by: ChangeSetRecord, olds: tuple[Any, ...]) -> Change:
    return Change(by.actor_id, by.actor, aware(by.at), by.id, olds)
