"""Which rows one transaction changes, in every table, with what they held before and hold after.

A `Recorder` listens to the connections of one session. Before an UPDATE or a DELETE it reads the
rows that the statement is about to touch, locked, whoever issues it: a flush, a cascade of the
mapping, a bulk statement of the application. Rows that the database itself deletes or empties
(``ON DELETE CASCADE``, ``SET NULL``) are found by following the foreign keys. At the end every
row is read once more: so values that the database made, by a default or a trigger, are told too.

It does not see SQL that is given as text, nor what triggers do to other tables.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList

from admin_app.changes import images
from admin_app.changes.images import Image, Key

OWN_PREFIX = "admin_"

Kind = Literal["insert", "update", "delete"]


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row of one table, before and after; of an update only the columns that differ."""

    table: sa.Table
    kind: Kind
    key: Key
    old: Image | None
    new: Image | None

    @property
    def key_text(self) -> str:
        """The key as the history keeps it; see `images.key_text`."""
        columns = images.key_columns(self.table)
        return images.key_text(
            dict(zip((c.name for c in columns), self.key, strict=True)), self.table
        )


@dataclass
class _Touched:
    """The rows of one table that were touched on one connection."""

    old: dict[Key, Image | None] = field(default_factory=dict)
    inserted: list[Sequence[Any]] = field(default_factory=list)


class Recorder:
    """Collects the row changes of ``session`` from now until `finish`."""

    def __init__(self, session: orm.Session) -> None:
        self._session = session
        self._touched: dict[tuple[sa.Connection, sa.Table], _Touched] = {}
        self._listening: list[sa.Connection] = []
        self._is_reading = False
        self._is_closed = False
        event.listen(session, "after_begin", self._after_begin)
        event.listen(session, "after_flush", self._after_flush)

    def listen_to(self, connection: sa.Connection) -> None:
        """Listen to ``connection``, unless that is done already."""
        if connection not in self._listening:
            self._listening.append(connection)
            event.listen(connection, "before_execute", self._before_execute)
            event.listen(connection, "after_execute", self._after_execute)

    def close(self) -> None:
        """Listen no longer; harmless when it is done already."""
        if self._is_closed:
            return
        self._is_closed = True
        event.remove(self._session, "after_begin", self._after_begin)
        event.remove(self._session, "after_flush", self._after_flush)
        for connection in self._listening:
            event.remove(connection, "before_execute", self._before_execute)
            event.remove(connection, "after_execute", self._after_execute)
        self._listening.clear()

    def finish(self) -> list[RowChange]:
        """Every row that is not as it was, in the order in which its table was first touched."""
        found: list[RowChange] = []
        for connection, table in list(self._touched):
            self._settle(connection, table)
        for (connection, table), touched in self._touched.items():
            new = self._read(connection, table, list(touched.old), lock=False)
            for key, old in touched.old.items():
                change = _change(table, key, old, new.get(key))
                if change is not None:
                    found.append(change)
        return found

    @contextlib.contextmanager
    def told(
        self,
        connection: sa.Connection,
        table: sa.Table,
        kind: Kind,
        rows: Sequence[tuple[Key, Image | None]],
    ) -> Iterator[None]:
        """A block that writes ``rows`` of ``table``: keys, and what was read of them under lock."""
        self._settle(connection, table)
        touched = self._at(connection, table)
        for key, image in rows:
            touched.old.setdefault(key, image)
        if kind == "delete":
            self._follow(connection, table, [i for _, i in rows if i is not None], {table})
        self._is_reading = True
        try:
            yield
        finally:
            self._is_reading = False

    # What it listens to

    def _after_begin(self, session: Any, transaction: Any, connection: sa.Connection) -> None:
        self.listen_to(connection)

    def _after_flush(self, session: orm.Session, context: Any) -> None:
        # Keys that the database made for many rows at once are known to the session alone.
        for instance in session.new:
            state = sa.inspect(instance)
            mapper = state.mapper
            connection = session.connection(bind_arguments={"mapper": mapper})
            for table in mapper.tables:
                if isinstance(table, sa.Table) and not _is_own(table):
                    values = [_value_of(mapper, instance, c) for c in images.key_columns(table)]
                    self._at(connection, table).inserted.append(values)

    def _before_execute(
        self,
        connection: sa.Connection,
        statement: Any,
        multiparams: Any,
        params: Any,
        execution_options: Mapping[str, Any],
    ) -> None:
        table = _target(statement)
        if self._is_reading or table is None or isinstance(statement, Insert):
            return
        self._settle(connection, table)
        found = self._about_to_change(connection, statement, table, multiparams or [params])
        touched = self._at(connection, table)
        for image in found:
            touched.old.setdefault(images.key_of(image, table), image)
        if isinstance(statement, Delete):
            self._follow(connection, table, found, {table})

    def _after_execute(
        self,
        connection: sa.Connection,
        statement: Any,
        multiparams: Any,
        params: Any,
        execution_options: Mapping[str, Any],
        result: sa.CursorResult[Any],
    ) -> None:
        table = _target(statement)
        if self._is_reading or table is None or not isinstance(statement, Insert):
            return
        if list(table.primary_key.columns):
            rows = result.context.inserted_primary_key_rows
            keys = [list(row) for row in rows or () if row is not None and None not in row]
        else:
            keys = [[p.get(c.key) for c in table.columns] for p in multiparams or [params]]
        self._at(connection, table).inserted += keys

    # Reading

    def _at(self, connection: sa.Connection, table: sa.Table) -> _Touched:
        return self._touched.setdefault((connection, table), _Touched())

    def _about_to_change(
        self,
        connection: sa.Connection,
        statement: Update | Delete,
        table: sa.Table,
        parameters: Sequence[Mapping[str, Any]],
    ) -> list[Image]:
        self._is_reading = True
        try:
            keys = _named_keys(statement, table, parameters)
            if keys is not None:
                return list(_rows_named(connection, table, keys, lock=True))
            found: list[Image] = []
            for one in parameters:
                found += images.read_matching(connection, table, statement.whereclause, one)
            return found
        finally:
            self._is_reading = False

    def _read(
        self, connection: sa.Connection, table: sa.Table, keys: Sequence[Key], *, lock: bool
    ) -> dict[Key, Image]:
        self._is_reading = True
        try:
            return {
                images.key_of(image, table): image
                for criterion in images.having(table, keys, connection.dialect)
                for image in images.read(connection, table, [criterion], lock)
            }
        finally:
            self._is_reading = False

    def _settle(self, connection: sa.Connection, table: sa.Table) -> None:
        """Read the rows that were inserted, whose keys are known by their values alone."""
        touched = self._at(connection, table)
        keys, touched.inserted = touched.inserted, []
        if not keys:
            return
        self._is_reading = True
        try:
            for image in _rows_named(connection, table, keys, lock=False):
                touched.old.setdefault(images.key_of(image, table), None)
        finally:
            self._is_reading = False

    def _follow(
        self, connection: sa.Connection, table: sa.Table, gone: Sequence[Image], way: set[sa.Table]
    ) -> None:
        """Read the rows that the database will delete or empty along with the rows ``gone``."""
        for constraint in _pointing_at(table):
            rule = (constraint.ondelete or "").upper()
            if rule not in ("CASCADE", "SET NULL", "SET DEFAULT") or not gone:
                continue
            child = constraint.table
            fresh = self._children(connection, constraint, gone)
            touched = self._at(connection, child)
            fresh = [i for i in fresh if images.key_of(i, child) not in touched.old]
            for image in fresh:
                touched.old[images.key_of(image, child)] = image
            if rule == "CASCADE":
                self._follow(connection, child, fresh, way | {child})

    def _children(
        self,
        connection: sa.Connection,
        constraint: sa.ForeignKeyConstraint,
        parents: Sequence[Image],
    ) -> list[Image]:
        self._settle(connection, constraint.table)
        self._is_reading = True
        try:
            pairs = [(e.parent, e.column) for e in constraint.elements]
            found: list[Image] = []
            for start in range(0, len(parents), images.ROWS_AT_ONCE):
                portion = parents[start : start + images.ROWS_AT_ONCE]
                criteria = images.pointing(pairs, portion, connection.dialect)
                found += images.read(connection, constraint.table, [criteria], True)
            return found
        finally:
            self._is_reading = False


def _change(table: sa.Table, key: Key, old: Image | None, new: Image | None) -> RowChange | None:
    if old is None:
        return None if new is None else RowChange(table, "insert", key, None, new)
    if new is None:
        return RowChange(table, "delete", key, old, None)
    differing = [name for name, value in new.items() if value != old[name]]
    if not differing:
        return None
    return RowChange(
        table, "update", key, {n: old[n] for n in differing}, {n: new[n] for n in differing}
    )


def _is_own(table: sa.Table) -> bool:
    return table.name.startswith(OWN_PREFIX)


def _target(statement: Any) -> sa.Table | None:
    """The table that ``statement`` writes; None where it writes none, or one of the admin's."""
    if not isinstance(statement, Insert | Update | Delete):
        return None
    table = getattr(statement, "table", None)
    table = getattr(table, "_deannotate", lambda: table)()
    if not isinstance(table, sa.Table) or _is_own(table):
        return None
    # A statement over a mapped class holds the table with notes of the mapping on it.
    return table.metadata.tables.get(table.key, table)


def _value_of(mapper: orm.Mapper[Any], instance: Any, column: sa.Column[Any]) -> Any:
    for equal in (column, *(c for c in mapper.primary_key)):
        try:
            return getattr(instance, mapper.get_property_by_column(equal).key)
        except orm.exc.UnmappedColumnError:
            continue
    return None


def _named_keys(
    statement: Update | Delete, table: sa.Table, parameters: Sequence[Mapping[str, Any]]
) -> list[Sequence[Any]] | None:
    """The keys of a statement that names its rows one by one, as those of a flush do."""
    where = statement.whereclause
    parts = list(where.clauses) if isinstance(where, BooleanClauseList) else [where]
    named: dict[str, BindParameter[Any]] = {}
    for part in parts:
        if (
            isinstance(part, BinaryExpression)
            and part.operator is sa.sql.operators.eq
            and isinstance(part.left, sa.Column)
            and isinstance(part.right, BindParameter)
        ):
            named[part.left.name] = part.right
    columns = list(table.primary_key.columns)
    if not columns or any(c.name not in named for c in columns):
        return None
    binds = [named[c.name] for c in columns]
    return [[one.get(b.key, b.effective_value) for b in binds] for one in parameters]


def _rows_named(
    connection: sa.Connection, table: sa.Table, keys: Sequence[Sequence[Any]], *, lock: bool
) -> Iterator[Image]:
    """The images of the rows with ``keys``, which are values as the mapping has them."""
    columns = images.key_columns(table)
    for start in range(0, len(keys), images.ROWS_AT_ONCE):
        portion = keys[start : start + images.ROWS_AT_ONCE]
        if len(columns) == 1:
            criterion: Any = columns[0].in_([key[0] for key in portion])
        else:
            criterion = sa.or_(
                *(
                    sa.and_(
                        *(
                            c.is_(None) if v is None else c == v
                            for c, v in zip(columns, key, strict=True)
                        )
                    )
                    for key in portion
                )
            )
        yield from images.read(connection, table, [criterion], lock)


_referrers: weakref.WeakKeyDictionary[sa.MetaData, tuple[int, dict[sa.Table, list[Any]]]] = (
    weakref.WeakKeyDictionary()
)


def _pointing_at(table: sa.Table) -> list[sa.ForeignKeyConstraint]:
    """The foreign keys of the same metadata that point at ``table``."""
    metadata = table.metadata
    count, known = _referrers.get(metadata, (0, {}))
    if count != len(metadata.tables):
        known = {}
        for other in metadata.tables.values():
            for constraint in other.foreign_key_constraints:
                try:
                    known.setdefault(constraint.referred_table, []).append(constraint)
                except sa.exc.SQLAlchemyError:
                    continue
        _referrers[metadata] = (len(metadata.tables), known)
    return known.get(table, [])
