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
import logging
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Literal, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList

from admin_app.changes import images, inserting
from admin_app.changes.images import Columns, Image, Key, Row

log = logging.getLogger(__name__)

OWN_PREFIX = "admin_"

RECORDED = "SET LOCAL admin.recorded = 'on'"
"""Said in a transaction of which the history is written here, to the triggers of `triggers`."""

TOLD = {"admin_user", "admin_role", "admin_user_role", "admin_grant"}
"""Those of our own tables whose changes are told in the history: who may enter, and do what."""


def is_unrecorded(name: str) -> bool:
    """Whether a table of this name is for our own bookkeeping, of which nobody is told."""
    return name.startswith(OWN_PREFIX) and name not in TOLD


IN_MEMORY = 10_000
"""Rows of one transaction whose old values are held in memory."""

T = TypeVar("T")
Kind = Literal["insert", "update", "delete"]


class RowChange(NamedTuple):
    """One row of one table, before and after; of an update only the columns that differ."""

    table: sa.Table
    kind: Kind
    key: Key
    old: Image | None
    new: Image | None

    @property
    def key_text(self) -> str:
        """The key as the history keeps it; see `images.key_text`."""
        [text] = Columns.of(self.table).key_texts([self.key])
        return text


@dataclass(slots=True)
class Alike:
    """Rows of one table that were changed alike: in one way, of an update the same columns.

    ``positions`` are those of the columns; ``old`` and ``new`` have a row for each of ``keys``, as
    it was read, or the values of its image where ``are_images`` says so.
    """

    table: sa.Table
    kind: Kind
    positions: tuple[int, ...]
    are_images: bool
    keys: list[Key] = field(default_factory=list)
    old: list[Any] = field(default_factory=list)
    new: list[Any] = field(default_factory=list)

    @property
    def manner(self) -> tuple[Any, ...]:
        return self.kind, self.positions, self.are_images

    def changes(self) -> Iterator[RowChange]:
        """Each row by itself."""
        for key, old, new in zip(self.keys, self.old, self.new, strict=True):
            yield RowChange(self.table, self.kind, key, self._image(old), self._image(new))

    def _image(self, row: Sequence[Any] | None) -> Image | None:
        if row is None:
            return None
        columns = Columns.of(self.table)
        if self.are_images:
            return {columns.names[n]: row[n] for n in self.positions}
        return columns.part(tuple(row), self.positions)

    def texts(self) -> Iterable[tuple[str, str | None, str | None]]:
        """Of each row its key, and what it was and is, as JSON text."""
        keys = Columns.of(self.table).key_texts(self.keys)
        return zip(keys, self._texts(self.old), self._texts(self.new), strict=True)

    def _texts(self, rows: Sequence[Any]) -> Iterable[str | None]:
        if rows[0] is None:
            return rows
        return Columns.of(self.table).texts(rows, self.positions, are_images=self.are_images)


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

    Of new rows that nothing else is known of, ``given`` tells what they were given.
    ``old`` has what `_Aside` keeps of each, None for a row that is new. ``known`` are keys, as the
    mapping has them, of rows that need not be read again before a statement changes them, ``gone``
    those of which the rows that the database deletes with them are known as well.
    """

    old: dict[Key, Kept | None] = field(default_factory=dict)
    inserted: list[Sequence[Any]] = field(default_factory=list)
    given: list[Sequence[inserting.Values] | None] = field(default_factory=list)
    known: set[tuple[Any, ...]] = field(default_factory=set)
    gone: set[tuple[Any, ...]] = field(default_factory=set)


class Recorder:
    """Collects the row changes of ``session`` from now until `finish`.

    ``is_kept`` says that they get into the history.
    """

    def __init__(self, session: orm.Session, *, is_kept: bool = False) -> None:
        self._session = session
        self._is_kept = is_kept
        self._touched: dict[tuple[sa.Connection, sa.Table], _Touched] = {}
        self._aside = _Aside()
        self._listening: list[sa.Connection] = []
        self._asked: Insert | None = None
        """The last INSERT that was made to tell the keys of its rows."""
        self._is_reading = False
        self._is_closed = False
        event.listen(session, "after_begin", self._after_begin)
        event.listen(session, "before_flush", self._before_flush)
        event.listen(session, "after_flush", self._after_flush)
        for connection in _in_use(session):
            self.listen_to(connection)

    def listen_to(self, connection: sa.Connection) -> None:
        """Listen to ``connection``, unless that is done already."""
        if connection not in self._listening:
            self._listening.append(connection)
            if self._is_kept and connection.dialect.name == "postgresql":
                connection.exec_driver_sql(RECORDED)
            event.listen(connection, "before_execute", self._before_execute, retval=True)
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
        for alike in self.finish_alike():
            yield from alike.changes()

    def finish_alike(self) -> Iterator[Alike]:
        """The same, those together that follow each other and were changed alike."""
        for connection, table in list(self._touched):
            self._settle(connection, table)
        for (connection, table), touched in list(self._touched.items()):
            for keys in _portions(list(touched.old)):
                kept = [touched.old[key] for key in keys]
                olds = [self._aside.take(k) if k.__class__ is int else k for k in kept]
                found = self._read(connection, table, keys)
                yield from _alike(table, keys, olds, [found.get(key) for key in keys])

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
            names = [c.name for c in images.key_columns(table)]
            held = [(key, image) for key, image in rows if image is not None]
            found = [{**image, **dict(zip(names, key, strict=True))} for key, image in held]
            self._follow_images(connection, table, found)
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
        old, found = self._at(connection, table).old, list(found)
        for key, row in zip(Columns.of(table).keys_of(found), found, strict=True):
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
    ) -> tuple[Any, Any, Any]:
        table = _target(statement)
        if table is not None and not self._is_reading:
            parameters = multiparams or [params]
            if isinstance(statement, Insert):
                statement = self._before_insert(connection, statement, table, parameters)
            else:
                self._before_change(connection, statement, table, parameters)
        return statement, multiparams, params

    def _before_insert(
        self,
        connection: sa.Connection,
        statement: Insert,
        table: sa.Table,
        parameters: Sequence[Mapping[str, Any]],
    ) -> Insert:
        """Read what the rows meet, and ask for their keys where nothing else tells them."""
        given = inserting.values(statement, table, parameters)
        if inserting.meets_rows(statement):
            self._settle(connection, table)
            found = self._alike(connection, table, given or ())
            self._touch(connection, table, found)
            if inserting.replaces_rows(statement):
                self._follow(connection, table, found)
        elif inserting.keys(table, given) is None and inserting.is_asked(
            statement, table, connection.dialect, len(parameters)
        ):
            statement = self._asked = inserting.asked(statement, table)
        return statement

    def _alike(
        self, connection: sa.Connection, table: sa.Table, given: Sequence[inserting.Values]
    ) -> list[Row]:
        """The rows that have a unique value of those that are ``given``."""
        return [
            row
            for columns, values in inserting.alike(table, given)
            for row in self._read_named(connection, table, values, columns=columns)
        ]

    def _before_change(
        self,
        connection: sa.Connection,
        statement: Update | Delete,
        table: sa.Table,
        parameters: Sequence[Mapping[str, Any]],
    ) -> None:
        is_delete = isinstance(statement, Delete)
        keys = _named_keys(statement, table, parameters)
        if keys is not None and (is_delete or not _moving(statement, table, parameters)):
            self._learn(connection, table, keys, are_gone=is_delete)
            return
        self._settle(connection, table)
        moving = {} if is_delete else _moving(statement, table, parameters)
        found: list[Row] = []
        moved: list[tuple[Image, Image]] = []
        for row, values in self._about_to_change(connection, statement, table, parameters, moving):
            found.append(row)
            if moving:
                moved.append((Columns.of(table).open_image(row), values))
        self._touch(connection, table, found)
        if is_delete:
            self._follow(connection, table, found)
        elif moved:
            self._follow_moved(connection, table, moved)

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
        if statement is self._asked:
            rows = result.fetchall()
            # The program may ask how many there were, of a result that has been read.
            result.context._rowcount = len(rows)
            self._insert(connection, table, [list(row) for row in rows])
            return
        given = inserting.values(statement, table, multiparams or [params])
        if inserting.meets_rows(statement):
            keys = None
        elif (keys := inserting.keys(table, given)) is None:
            told = result.context.inserted_primary_key_rows if len(table.primary_key) else None
            keys = [list(row) for row in told or () if row is not None and None not in row]
        if keys:
            self._insert(connection, table, keys)
            return
        # Its result has not been read yet, and nothing else can be before that.
        self._at(connection, table).given.append(given)

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
        moving: Mapping[sa.Column[Any], Any],
    ) -> Iterator[tuple[Row, Image]]:
        """The rows that ``statement`` is about to change, and what it gives the columns ``moving``.

        These are columns by which rows are known.
        """
        where = statement.whereclause
        criteria = () if where is None else (where,)
        for one in parameters:
            given = {
                c: sa.literal(one[v], c.type) if isinstance(v, str) else v
                for c, v in moving.items()
            }
            with self._reading():
                found = images.read_moving(connection, table, criteria, given, one)
            yield from found

    def _read(
        self, connection: sa.Connection, table: sa.Table, keys: Sequence[Key]
    ) -> dict[Key, Row]:
        found: dict[Key, Row] = {}
        with self._reading():
            for criterion in images.having(table, keys, connection.dialect):
                rows = images.read_rows(connection, table, [criterion], False)
                found.update(zip(Columns.of(table).keys_of(rows), rows, strict=True))
        return found

    def _read_named(
        self,
        connection: sa.Connection,
        table: sa.Table,
        keys: Sequence[Sequence[Any]],
        *,
        lock: bool = True,
        columns: Sequence[sa.Column[Any]] | None = None,
    ) -> list[Row]:
        """The rows with ``keys``, which are values as the mapping has them (see `images.named`)."""
        with self._reading():
            return [
                row
                for criterion in images.named(table, keys, connection.dialect, columns)
                for row in images.read_rows(connection, table, [criterion], lock)
            ]

    def _settle(self, connection: sa.Connection, table: sa.Table) -> None:
        """Read the rows that were inserted, whose keys are known by their values alone."""
        touched = self._at(connection, table)
        keys, touched.inserted = touched.inserted, []
        for portion in _portions(_distinct(keys)):
            rows = self._read_named(connection, table, portion, lock=False)
            for key in Columns.of(table).keys_of(rows):
                touched.old.setdefault(key, None)
        unknown, touched.given = touched.given, []
        for given in unknown:
            rows = self._alike(connection, table, given or ())
            for key in Columns.of(table).keys_of(rows):
                touched.old.setdefault(key, None)
            if not inserting.can_be_found(table, given):
                log.warning("The history cannot tell all rows inserted into %s", table.key)

    def _follow(self, connection: sa.Connection, table: sa.Table, parents: Sequence[Row]) -> None:
        """Read the rows that the database will change along with the rows ``parents``."""
        if parents and _followed(table):
            found = [Columns.of(table).open_image(row) for row in parents]
            self._follow_images(connection, table, found)

    def _follow_images(
        self, connection: sa.Connection, table: sa.Table, parents: Sequence[Image]
    ) -> None:
        for constraint in _followed(table) if parents else ():
            child = constraint.table
            known = self._at(connection, child).old
            found = self._children(connection, constraint, parents)
            keyed = zip(Columns.of(child).keys_of(found), found, strict=True)
            fresh = [row for key, row in keyed if key not in known]
            self._touch(connection, child, fresh)
            if (constraint.ondelete or "").upper() == "CASCADE":
                self._follow(connection, child, fresh)

    def _follow_moved(
        self,
        connection: sa.Connection,
        table: sa.Table,
        moved: Sequence[tuple[Image, Image]],
    ) -> None:
        """Note the keys that rows get, and those of rows which the database lets go with them.

        ``moved`` are images of rows, and what they hold afterwards where that is another thing.
        """
        keys = [images.key_of({**old, **new}, table) for old, new in moved]
        before = [images.key_of(old, table) for old, _ in moved]
        if keys != before:
            self._touch(connection, table, self._read(connection, table, keys).values())
            for key in keys:
                self._at(connection, table).old.setdefault(key, None)
        for constraint in _followed(table, "onupdate"):
            pairs = [(e.parent.name, e.column.name) for e in constraint.elements]
            becoming = {
                tuple(images.hashable(old[remote]) for _, remote in pairs): new
                for old, new in moved
                if not new.keys().isdisjoint(remote for _, remote in pairs)
            }
            if not becoming:
                continue
            child = constraint.table
            found = self._children(connection, constraint, [old for old, _ in moved])
            self._touch(connection, child, found)
            if (constraint.onupdate or "").upper() != "CASCADE":
                continue
            following = []
            for image in map(Columns.of(child).open_image, found):
                new = becoming.get(tuple(images.hashable(image[local]) for local, _ in pairs), {})
                following.append((image, {loc: new[rem] for loc, rem in pairs if rem in new}))
            self._follow_moved(connection, child, following)

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


def _alike(
    table: sa.Table,
    keys: Sequence[Key],
    olds: Sequence[Any],
    news: Sequence[Row | None],
) -> Iterator[Alike]:
    columns = Columns.of(table)
    pairs = [(a, b) for a, b in zip(olds, news, strict=True) if a.__class__ is tuple and b]
    both = zip(*(zip(*rows, strict=True) for rows in zip(*pairs, strict=True)), strict=True)
    moved = [n for n, (a, b) in enumerate(both) if a != b]
    whole = tuple(range(len(columns.names)))
    alike: Alike | None = None
    for key, old, new in zip(keys, olds, news, strict=True):
        kind: Kind = "insert" if old is None else "delete" if new is None else "update"
        positions, are_images = whole, old.__class__ is list
        if kind == "update":
            if are_images:
                new = tuple(columns.image(new or ()).values())
            among = whole if are_images else moved
            positions = tuple([n for n in among if old[n] != new[n]])  # type: ignore[index]
        if new is old or not positions:
            continue
        if alike is None or (kind, positions, are_images) != alike.manner:
            if alike is not None:
                yield alike
            alike = Alike(table, kind, positions, are_images)
        alike.keys.append(key)
        alike.old.append(old)
        alike.new.append(new)
    if alike is not None:
        yield alike


def _in_use(session: orm.Session) -> list[sa.Connection]:
    """The connections on which ``session`` has begun already, of which no event will tell.

    There is no public way to ask for them without beginning on another.
    """
    transaction = session.get_transaction()
    known = {} if transaction is None else transaction._connections
    return list({id(one[0]): one[0] for one in known.values()}.values())


def _is_own(table: sa.Table) -> bool:
    return is_unrecorded(table.name)


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


def _moving(
    statement: Update | Delete, table: sa.Table, parameters: Sequence[Mapping[str, Any]]
) -> dict[sa.Column[Any], Any]:
    """The columns by which rows are known, by their key or by others, that ``statement`` sets.

    With the expression that it gives them, or the name of the parameter.
    """
    columns = {c.name: c for c in images.key_columns(table)}
    for constraint in _followed(table, "onupdate"):
        columns |= {e.column.name: e.column for e in constraint.elements}
    values = getattr(statement, "_values", None) or {}
    given = {getattr(column, "name", column): value for column, value in values.items()}
    named = set(parameters[0] if parameters else ())
    found: dict[sa.Column[Any], Any] = {}
    for name, column in columns.items():
        if name in given:
            found[column] = given[name]
        elif column.key in named:
            found[column] = column.key
    return found


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
