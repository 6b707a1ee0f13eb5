"""Which rows one transaction changes, in every table, with what they held before and hold after.

A `Recorder` listens to the connections of one session. Before an UPDATE or a DELETE it reads the
rows that the statement is about to touch, locked, whoever issues it: a flush, a cascade of the
mapping, a bulk statement of the application. A flush of several rows has them read at once, by
table. Rows that the database itself deletes or empties (``ON DELETE CASCADE``, ``SET NULL``) are
found by following the foreign keys. At the end every row is read once more: so values that the
database made, by a default or a trigger, are told too.

Above `IN_MEMORY` rows what they held before is put aside in a temporary file.

It does not see SQL that is given as text, nor what triggers do to other tables.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList

from admin_app.changes import images
from admin_app.changes.images import Columns, Image, Key, Row

OWN_PREFIX = "admin_"

IN_MEMORY = 10_000
"""Rows of one transaction whose old values are held in memory."""

T = TypeVar("T")
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
        if len(self.key) == 1 and self.key[0].__class__ is int:
            return f"[{self.key[0]}]"
        return json.dumps(self.key, ensure_ascii=False)


Kept = Row | list[Any] | int
"""A row as it was read, or the values of its image, or where in a file these are."""


class _Aside:
    """What rows held before: of the first as they were read, of others in a temporary file."""

    def __init__(self) -> None:
        self._room = IN_MEMORY
        self._file: IO[bytes] | None = None

    def put(self, table: sa.Table, row: Row | list[Any]) -> Kept:
        """Keep ``row``; what `take` finds it by."""
        if self._room > 0:
            self._room -= 1
            return row
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        if isinstance(row, tuple):
            row = list(Columns.of(table).image(row).values())
        place = self._file.seek(0, 2)
        self._file.write(json.dumps(row).encode() + b"\n")
        return place

    def take(self, kept: Kept) -> Row | list[Any]:
        """What was put aside."""
        if not isinstance(kept, int):
            return kept
        assert self._file is not None
        self._file.seek(kept)
        values: list[Any] = json.loads(self._file.readline())
        return values

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@dataclass
class _Touched:
    """The rows of one table that were touched on one connection.

    ``old`` has what `_Aside` keeps of each, None for a row that is new. ``known`` are keys, as the
    mapping has them, of rows that need not be read again before a statement changes them, ``gone``
    those of which the rows that the database deletes with them are known as well.
    """

    old: dict[Key, Kept | None] = field(default_factory=dict)
    inserted: list[Sequence[Any]] = field(default_factory=list)
    known: set[tuple[Any, ...]] = field(default_factory=set)
    gone: set[tuple[Any, ...]] = field(default_factory=set)


class Recorder:
    """Collects the row changes of ``session`` from now until `finish`."""

    def __init__(self, session: orm.Session) -> None:
        self._session = session
        self._touched: dict[tuple[sa.Connection, sa.Table], _Touched] = {}
        self._aside = _Aside()
        self._listening: list[sa.Connection] = []
        self._is_reading = False
        self._is_closed = False
        event.listen(session, "after_begin", self._after_begin)
        event.listen(session, "before_flush", self._before_flush)
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
        event.remove(self._session, "before_flush", self._before_flush)
        event.remove(self._session, "after_flush", self._after_flush)
        for connection in self._listening:
            event.remove(connection, "before_execute", self._before_execute)
            event.remove(connection, "after_execute", self._after_execute)
        self._listening.clear()
        self._aside.close()

    def finish(self) -> Iterator[RowChange]:
        """Every row that is not as it was, in the order in which its table was first touched.

        They are read from the database as they are asked for, some at a time.
        """
        for connection, table in list(self._touched):
            self._settle(connection, table)
        for (connection, table), touched in list(self._touched.items()):
            for keys in _portions(list(touched.old)):
                new = self._read(connection, table, keys)
                for key in keys:
                    kept = touched.old[key]
                    old = None if kept is None else self._aside.take(kept)
                    change = _change(table, key, old, new.get(key))
                    if change is not None:
                        yield change

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
            if image is None:
                touched.old.setdefault(key, None)
            elif key not in touched.old:
                touched.old[key] = self._aside.put(table, list(image.values()))
        if kind == "delete":
            self._follow_images(connection, table, [i for _, i in rows if i is not None])
        self._is_reading = True
        try:
            yield
        finally:
            self._is_reading = False

    # What it listens to

    def _after_begin(self, session: Any, transaction: Any, connection: sa.Connection) -> None:
        self.listen_to(connection)

    def _before_flush(self, session: orm.Session, context: Any, instances: Any) -> None:
        self._read_ahead(session.deleted, are_gone=True)
        self._read_ahead(session.dirty, are_gone=False)

    def _read_ahead(self, instances: Iterable[Any], *, are_gone: bool) -> None:
        """Read what the rows of ``instances`` hold, as one statement for each table."""
        by_mapper: dict[orm.Mapper[Any], list[tuple[Any, Any]]] = {}
        for instance in instances:
            state = sa.inspect(instance)
            if state.key is not None:
                by_mapper.setdefault(state.mapper, []).append((state.key[1], state))
        keys: dict[tuple[sa.Connection, sa.Table], list[tuple[Any, ...]]] = {}
        for mapper, states in by_mapper.items():
            written = _written_attributes(mapper)
            connection = self._session.connection(bind_arguments={"mapper": mapper})
            for table, names in written.items():
                named = [k for k, s in states if are_gone or names & s.committed_state.keys()]
                keys.setdefault((connection, table), []).extend(named)
        for (connection, table), named in keys.items():
            # One row alone is read when its statement comes.
            if len(named) > 1:
                self._learn(connection, table, named, are_gone=are_gone)

    def _learn(
        self,
        connection: sa.Connection,
        table: sa.Table,
        keys: Sequence[Sequence[Any]],
        *,
        are_gone: bool,
    ) -> None:
        """Read the rows with ``keys`` unless they are known, and what goes when they go."""
        touched = self._at(connection, table)
        are_followed = are_gone and bool(_followed(table))
        unknown = _without(keys, touched.gone if are_followed else touched.known)
        if not unknown:
            return
        self._settle(connection, table)
        found = self._read_named(connection, table, unknown)
        self._touch(connection, table, found)
        with contextlib.suppress(TypeError):  # a key of a type that cannot be hashed
            touched.known.update(unknown)
            if are_followed:
                touched.gone.update(unknown)
        if are_followed:
            self._follow(connection, table, found)

    def _touch(self, connection: sa.Connection, table: sa.Table, found: Iterable[Row]) -> None:
        old, key_of = self._at(connection, table).old, Columns.of(table).key_of
        for row in found:
            key = key_of(row)
            if key not in old:
                old[key] = self._aside.put(table, row)

    def _after_flush(self, session: orm.Session, context: Any) -> None:
        # Keys that the database made for many rows at once are known to the session alone, and
        # so are those of rows that got another key.
        moved = [i for i in session.dirty if _has_moved(sa.inspect(i))]
        for instance in itertools.chain(session.new, moved):
            state = sa.inspect(instance)
            mapper = state.mapper
            connection = session.connection(bind_arguments={"mapper": mapper})
            for table in mapper.tables:
                if isinstance(table, sa.Table) and not _is_own(table):
                    values = [_value_of(mapper, instance, c) for c in images.key_columns(table)]
                    self._insert(connection, table, [values])

    def _insert(
        self, connection: sa.Connection, table: sa.Table, keys: Sequence[Sequence[Any]]
    ) -> None:
        touched = self._at(connection, table)
        touched.inserted += keys
        with contextlib.suppress(TypeError):
            touched.known.update(map(tuple, keys))

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
        is_delete = isinstance(statement, Delete)
        parameters = multiparams or [params]
        keys = _named_keys(statement, table, parameters)
        if keys is not None and (is_delete or not _moves(statement, table, parameters)):
            self._learn(connection, table, keys, are_gone=is_delete)
            return
        self._settle(connection, table)
        found = self._about_to_change(connection, statement, table, parameters)
        self._touch(connection, table, found)
        if is_delete:
            self._follow(connection, table, found)
        elif _moves(statement, table, parameters):
            self._follow(connection, table, found, "onupdate")

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
        self._insert(connection, table, keys)

    # Reading

    def _at(self, connection: sa.Connection, table: sa.Table) -> _Touched:
        return self._touched.setdefault((connection, table), _Touched())

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        before, self._is_reading = self._is_reading, True
        try:
            yield
        finally:
            self._is_reading = before

    def _about_to_change(
        self,
        connection: sa.Connection,
        statement: Update | Delete,
        table: sa.Table,
        parameters: Sequence[Mapping[str, Any]],
    ) -> list[Row]:
        where = statement.whereclause
        criteria = () if where is None else (where,)
        found: list[Row] = []
        with self._reading():
            for one in parameters:
                found += images.read_rows(connection, table, criteria, True, one)
        return found

    def _read(
        self, connection: sa.Connection, table: sa.Table, keys: Sequence[Key]
    ) -> dict[Key, Row]:
        key_of = Columns.of(table).key_of
        with self._reading():
            return {
                key_of(row): row
                for criterion in images.having(table, keys, connection.dialect)
                for row in images.read_rows(connection, table, [criterion], False)
            }

    def _read_named(
        self,
        connection: sa.Connection,
        table: sa.Table,
        keys: Sequence[Sequence[Any]],
        *,
        lock: bool = True,
    ) -> list[Row]:
        """The rows with ``keys``, which are values as the mapping has them."""
        with self._reading():
            return [
                row
                for criterion in images.named(table, keys, connection.dialect)
                for row in images.read_rows(connection, table, [criterion], lock)
            ]

    def _settle(self, connection: sa.Connection, table: sa.Table) -> None:
        """Read the rows that were inserted, whose keys are known by their values alone."""
        touched = self._at(connection, table)
        keys, touched.inserted = touched.inserted, []
        for portion in _portions(_distinct(keys)):
            for row in self._read_named(connection, table, portion, lock=False):
                touched.old.setdefault(Columns.of(table).key_of(row), None)

    def _follow(
        self,
        connection: sa.Connection,
        table: sa.Table,
        parents: Sequence[Row],
        rule: Literal["ondelete", "onupdate"] = "ondelete",
    ) -> None:
        """Read the rows that the database will change along with the rows ``parents``."""
        if parents and _followed(table, rule):
            found = [Columns.of(table).image(row) for row in parents]
            self._follow_images(connection, table, found, rule)

    def _follow_images(
        self,
        connection: sa.Connection,
        table: sa.Table,
        parents: Sequence[Image],
        rule: Literal["ondelete", "onupdate"] = "ondelete",
    ) -> None:
        for constraint in _followed(table, rule) if parents else ():
            child = constraint.table
            known, key_of = self._at(connection, child).old, Columns.of(child).key_of
            fresh = self._children(connection, constraint, parents)
            fresh = [row for row in fresh if key_of(row) not in known]
            self._touch(connection, child, fresh)
            if getattr(constraint, rule).upper() == "CASCADE":
                self._follow(connection, child, fresh, rule)

    def _children(
        self,
        connection: sa.Connection,
        constraint: sa.ForeignKeyConstraint,
        parents: Sequence[Image],
    ) -> list[Row]:
        self._settle(connection, constraint.table)
        pairs = [(e.parent, e.column) for e in constraint.elements]
        found: list[Row] = []
        with self._reading():
            for portion in _portions(parents):
                criteria = images.pointing(pairs, portion, connection.dialect)
                found += images.read_rows(connection, constraint.table, [criteria], True)
        return found


def _change(
    table: sa.Table, key: Key, old: Row | list[Any] | None, new: Row | None
) -> RowChange | None:
    columns = Columns.of(table)
    if new is None:
        return None if old is None else RowChange(table, "delete", key, _image(columns, old), None)
    if old is None:
        return RowChange(table, "insert", key, None, columns.image(new))
    if isinstance(old, list):
        found = columns.image(new)
        pairs = zip(columns.names, old, found.values(), strict=True)
        differing = {name: (a, b) for name, a, b in pairs if a != b}
        before = {name: a for name, (a, _) in differing.items()}
        after = {name: b for name, (_, b) in differing.items()}
    else:
        if old == new:
            return None
        positions = [n for n, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        before, after = columns.part(old, positions), columns.part(new, positions)
    return RowChange(table, "update", key, before, after) if before != after else None


def _image(columns: Columns, row: Row | list[Any]) -> Image:
    if isinstance(row, list):
        return dict(zip(columns.names, row, strict=True))
    return columns.image(row)


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


def _portions(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), images.ROWS_AT_ONCE):
        yield rows[start : start + images.ROWS_AT_ONCE]


def _distinct(keys: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    try:
        return list(dict.fromkeys(map(tuple, keys)))
    except TypeError:
        return keys


def _without(keys: Sequence[Sequence[Any]], known: set[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Those of ``keys`` that are not ``known``; all, where they cannot be looked up."""
    named = [tuple(key) for key in keys]
    try:
        return [key for key in named if key not in known]
    except TypeError:
        return named


def _written_attributes(mapper: orm.Mapper[Any]) -> dict[sa.Table, set[str]]:
    """The attributes that are written to each table whose key is the identity of a row."""
    found: dict[Any, set[str]] = {}
    for table in mapper.tables:
        if isinstance(table, sa.Table) and not _is_own(table) and _is_keyed(mapper, table):
            found[table] = set()
    for prop in mapper.attrs:
        columns = getattr(prop, "columns", ())
        if isinstance(prop, orm.RelationshipProperty):
            columns = prop.local_columns if prop.direction is orm.MANYTOONE else ()
        for column in columns:
            if getattr(column, "table", None) in found:
                found[column.table].add(prop.key)
    return found


def _is_keyed(mapper: orm.Mapper[Any], table: sa.Table) -> bool:
    """Whether the identity of a row of ``mapper`` is also the primary key of ``table``."""
    if mapper.primary_key[0].table is table:
        return tuple(mapper.primary_key) == tuple(table.primary_key.columns)
    return len(mapper.primary_key) == len(table.primary_key.columns) == 1


def _has_moved(state: orm.InstanceState[Any]) -> bool:
    """Whether a flush gave a row another key."""
    # Of a row in joined tables each flush sets the key anew, to what it was.
    return state.key is not None and (
        tuple(state.mapper.primary_key_from_instance(state.obj())) != state.key[1]
    )


def _moves(
    statement: Update | Delete, table: sa.Table, parameters: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether ``statement`` sets a column to which others point with a rule of the database."""
    pointed_at = {
        element.column.name
        for constraint in _followed(table, "onupdate")
        for element in constraint.elements
    }
    if not pointed_at:
        return False
    set_here = {getattr(c, "name", c) for c in getattr(statement, "_values", None) or ()}
    return bool(pointed_at & (set_here | set(parameters[0] if parameters else ())))


def _followed(
    table: sa.Table, rule: Literal["ondelete", "onupdate"] = "ondelete"
) -> list[sa.ForeignKeyConstraint]:
    """The foreign keys by which the database changes other rows along with those of ``table``."""
    return [
        constraint
        for constraint in pointing_at(table)
        if (getattr(constraint, rule) or "").upper() in ("CASCADE", "SET NULL", "SET DEFAULT")
    ]


_referrers: weakref.WeakKeyDictionary[sa.MetaData, tuple[int, dict[sa.Table, list[Any]]]] = (
    weakref.WeakKeyDictionary()
)


def pointing_at(table: sa.Table) -> list[sa.ForeignKeyConstraint]:
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
