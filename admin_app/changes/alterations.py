"""The same change to many rows: set-based where nothing of the application wants to see each row.

An `Alteration` says what becomes of one attribute. An `Alterer` does it to some rows at a time,
within a transaction that is somebody else's: by few UPDATEs for all of them, else through the unit
of work, so that validators, events and hooks run for each row. Rows that cannot be changed are
found by halves, told with the reason, and leave the others as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import exc, orm

from admin_app import constraints, inspection
from admin_app.as_stored import AsStored
from admin_app.changes.refusals import explain
from admin_app.errors import Contended, WriteRefused

AnySession = orm.Session | orm.scoped_session[Any]
Kind = Literal["set", "clear", "add", "subtract", "append", "prepend", "replace", "gain", "lose"]

CASES = 250
"""Rows that one UPDATE gives each its own value; it compares each row with all of them."""

FEW = 8
"""Different values up to which each has an UPDATE of its own."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """What becomes of the attribute ``key`` of every row.

    ``value`` is what is set, added, or put before, behind or in the place of ``text``; of a
    relationship the row, or for ``gain`` and ``lose`` the list of members. What is empty stays so
    where something is added to it; text is put into it.
    """

    key: str
    kind: Kind
    value: Any = None
    text: str = ""

    @property
    def is_constant(self) -> bool:
        """Whether every row gets the same."""
        return self.kind in ("set", "clear")

    def applied_to(self, old: Any) -> Any:
        """The value that takes the place of ``old``; ValueError with a sentence for none."""
        if self.kind == "set":
            return self.value
        if self.kind == "clear":
            return None
        if isinstance(old, AsStored):
            raise ValueError("What it holds cannot be read, so it can only be set.")
        if self.kind in ("append", "prepend"):
            held = old or ""
            return held + self.value if self.kind == "append" else self.value + held
        if old is None:
            return None
        if self.kind == "replace":
            return old.replace(self.text, self.value)
        return old + self.value if self.kind == "add" else old - self.value


@dataclass(frozen=True, slots=True)
class Altered:
    """What became of some rows: how many were changed, and those that could not be, with why."""

    changed: int
    refused: Sequence[tuple[Any, WriteRefused]] = ()


class Alterer:
    """Does ``alterations`` to rows of ``mapper``.

    ``check`` is called with a key and a value that a row would get, and raises ValueError for one
    that it may not. ``hook``, where the application has one, is called with each row once its
    attributes are set; then every row goes through the unit of work. It may be called again for a
    row where the database refuses another.
    """

    def __init__(
        self,
        session: AnySession,
        mapper: orm.Mapper[Any],
        alterations: Sequence[Alteration],
        check: Callable[[str, Any], None] | None = None,
        hook: Callable[[Any], None] | None = None,
    ) -> None:
        self.session, self.mapper, self.check, self.hook = session, mapper, check, hook
        known = mapper.relationships
        self.members = [a for a in alterations if a.kind in ("gain", "lose")]
        self.values = [a for a in alterations if a.kind not in ("gain", "lose")]
        self.relationships = [a for a in self.values if a.key in known]
        plain = [a for a in self.values if a.key not in known]
        self.columns = [*plain, *(c for a in self.relationships for c in self._as_columns(a))]

    def _as_columns(self, alteration: Alteration) -> Iterator[Alteration]:
        """What pointing a relationship at another row means for the columns that hold its key."""
        relationship = self.mapper.relationships[alteration.key]
        target = alteration.value if alteration.kind == "set" else None
        for key, value in constraints.key_values(relationship, target).items():
            yield dataclasses.replace(alteration, key=key, kind="set", value=value)

    @property
    def is_set_based(self) -> bool:
        """Whether nothing in the application has a say about each row."""
        mapper = self.mapper
        if self.hook is not None or mapper.dispatch.before_update or mapper.dispatch.after_update:
            return False
        if has_own_listeners(self.session) or not counts_versions(mapper):
            return False
        return all(map(self._is_plain, self.columns)) and all(
            _pairs(mapper.relationships[a.key]) is not None for a in self.members
        )

    def _is_plain(self, alteration: Alteration) -> bool:
        column = inspection.columns(self.mapper).get(alteration.key)
        if column is None or not isinstance(column.column, sa.Column):
            return False
        listeners = getattr(self.mapper.class_, alteration.key).impl.dispatch.set
        is_seen = alteration.key in self.mapper.validators or bool(listeners)
        return not is_seen and not column.column.primary_key

    def options(self) -> list[Any]:
        """Loader options for the rows that are going to be altered."""
        if self.is_set_based:
            return []
        return [orm.selectinload(getattr(self.mapper.class_, a.key)) for a in self.members]

    def alter(self, instances: Sequence[Any]) -> Altered:
        """Change ``instances``, which have been read under lock; those that can be are changed."""
        if self.is_set_based:
            return self._alter_by_statements(instances)
        return self._alter_by_flush(instances)

    # By statements

    def _alter_by_statements(self, instances: Sequence[Any]) -> Altered:
        found: list[tuple[Any, dict[str, Any]]] = []
        refused: list[tuple[Any, WriteRefused]] = []
        for instance in instances:
            try:
                values = self._new_values(instance)
            except WriteRefused as refusal:
                refused.append((instance, refusal))
            else:
                found.append((instance, values))
        changed: set[int] = set()
        for part, done in _by_halves(found, self._write, self._attempt, self._explained):
            if isinstance(done, WriteRefused):
                refused.append((part[0][0], done))
            else:
                changed |= done
        return Altered(len(changed), refused)

    def _new_values(self, instance: Any) -> dict[str, Any]:
        """The attributes of ``instance`` that are to be another than they are."""
        found: dict[str, Any] = {}
        objections: dict[str, list[str]] = {}
        fields = inspection.foreign_key_relationships(self.mapper)
        for alteration in self.columns:
            old = getattr(instance, alteration.key)
            try:
                new = alteration.applied_to(old)
                if type(old) is type(new) and old == new:
                    continue
                if self.check is not None and not alteration.is_constant:
                    self.check(alteration.key, new)
            except (ValueError, ArithmeticError) as error:
                key = fields.get(alteration.key, alteration.key)
                objections[key] = [str(error) or "This value is not accepted."]
            else:
                found[alteration.key] = new
        if objections:
            raise WriteRefused("Some values are not accepted.", objections)
        return found

    def _attempt(self) -> Any:
        return self._connection().begin_nested()

    def _connection(self) -> sa.Connection:
        return self.session.connection(bind_arguments={"mapper": self.mapper})

    def _explained(self, error: Exception) -> WriteRefused | None:
        return explain(error, self.mapper)

    def _write(self, rows: Sequence[tuple[Any, dict[str, Any]]]) -> set[int]:
        """Write ``rows``; the ids of the instances that have changed."""
        by_keys: dict[tuple[str, ...], list[tuple[Any, dict[str, Any]]]] = {}
        for instance, values in rows:
            if values:
                by_keys.setdefault(tuple(values), []).append((instance, values))
        for keys, some in by_keys.items():
            for table in self._tables(keys):
                self._update(table, keys, some)
        changed = {id(instance) for instance, values in rows if values}
        for alteration in self.members:
            changed |= self._link(alteration, [instance for instance, _ in rows])
        return changed

    def _tables(self, keys: Sequence[str]) -> list[sa.Table]:
        tables = {self._column(key).table: None for key in keys}
        if self.mapper.version_id_col is not None:
            tables[self.mapper.version_id_col.table] = None
        return [t for t in tables if isinstance(t, sa.Table)]

    def _column(self, key: str) -> sa.Column[Any]:
        column = inspection.columns(self.mapper)[key].column
        assert isinstance(column, sa.Column)
        return column

    def _update(
        self, table: sa.Table, keys: Sequence[str], rows: Sequence[tuple[Any, dict[str, Any]]]
    ) -> None:
        """Write the columns of ``table`` among ``keys``, in as few statements as their values."""
        constant = {a.key for a in self.columns if a.is_constant}
        own = [key for key in keys if self._column(key).table is table]
        varying = [key for key in own if key not in constant]
        groups: dict[tuple[Any, ...], list[tuple[Any, dict[str, Any]]]] = {}
        for row in rows:
            groups.setdefault(tuple(row[1][key] for key in varying), []).append(row)
        if len(groups) <= FEW:
            for some in groups.values():
                self._execute(table, {key: some[0][1][key] for key in own}, some)
            return
        fixed = {key: rows[0][1][key] for key in own if key in constant}
        for start in range(0, len(rows), CASES):
            some = list(rows[start : start + CASES])
            cases = {key: self._case(table, key, some) for key in varying}
            self._execute(table, {**fixed, **cases}, some)

    def _case(
        self, table: sa.Table, key: str, rows: Sequence[tuple[Any, dict[str, Any]]]
    ) -> sa.ColumnElement[Any]:
        """The new value of ``key``, row by row."""
        column = self._column(key)
        keys = list(table.primary_key.columns)
        whens: list[Any] = []
        for instance, values in rows:
            identity = self._key_in(table, instance)
            same = sa.and_(*(k == v for k, v in zip(keys, identity, strict=True)))
            whens.append((same, sa.bindparam(None, values[key], type_=column.type, unique=True)))
        return sa.cast(sa.case(*whens), column.type)

    def _execute(
        self, table: sa.Table, values: Mapping[str, Any], rows: Sequence[tuple[Any, Any]]
    ) -> None:
        written: dict[Any, Any] = {self._column(key): value for key, value in values.items()}
        version = self.mapper.version_id_col
        if version is not None and version.table is table:
            written[version] = version + 1
        if written:
            keys = [self._key_in(table, instance) for instance, _ in rows]
            statement = sa.update(table).where(_among(list(table.primary_key.columns), keys))
            self._connection().execute(statement.values(written))

    def _key_in(self, table: sa.Table, instance: Any) -> tuple[Any, ...]:
        """The primary key of the row of ``instance`` in ``table``, one of those it consists of."""
        identity = sa.inspect(instance).identity or ()
        if table is self.mapper.primary_key[0].table:
            by_column = dict(zip(self.mapper.primary_key, identity, strict=True))
            return tuple(by_column[c] for c in table.primary_key.columns)
        return tuple(identity)

    def _link(self, alteration: Alteration, instances: Sequence[Any]) -> set[int]:
        """Let ``instances`` gain or lose members; the ids of those that did."""
        relationship = self.mapper.relationships[alteration.key]
        pairs = _pairs(relationship)
        assert pairs is not None
        link, near, far = pairs
        by_key = {
            tuple(getattr(instance, key) for key, _ in near): instance for instance in instances
        }
        columns = [column for _, column in near]
        changed: set[int] = set()
        for member in alteration.value:
            of_member = {column: getattr(member, key) for key, column in far}
            same = [column == value for column, value in of_member.items()]
            there = _among(columns, list(by_key))
            held = self._connection().execute(sa.select(*columns).where(there, *same))
            having = {tuple(row) for row in held}
            if alteration.kind == "lose":
                if having:
                    gone = sa.delete(link).where(_among(columns, list(having)), *same)
                    self._connection().execute(gone)
                changed |= {id(by_key[key]) for key in having}
                continue
            lacking = [key for key in by_key if key not in having]
            told = {column.name: value for column, value in of_member.items()}
            new = [{**told, **dict(zip(_names(columns), key, strict=True))} for key in lacking]
            if new:
                self._connection().execute(sa.insert(link), new)
            changed |= {id(by_key[key]) for key in lacking}
        return changed

    # Through the unit of work

    def _alter_by_flush(self, instances: Sequence[Any]) -> Altered:
        refused: list[tuple[Any, WriteRefused]] = []
        changed = 0
        parts = _by_halves(
            instances, self._flush, lambda: self.session.begin_nested(), self._explained
        )
        for part, done in parts:
            if isinstance(done, WriteRefused):
                refused.append((part[0], done))
            else:
                changed += done
        return Altered(changed, refused)

    def _flush(self, instances: Sequence[Any]) -> int:
        """Set, tell the hook and flush; how many rows have changed."""
        changed = 0
        with self.session.no_autoflush:
            for instance in instances:
                self._set(instance)
                if self.hook is not None:
                    self.hook(instance)
                changed += self.session.is_modified(instance)
        self.session.flush()
        return changed

    def _set(self, instance: Any) -> None:
        new = self._new_values(instance)
        pointing = {a.key for a in self.columns} - {a.key for a in self.values}
        try:
            for alteration in self.relationships:
                setattr(instance, alteration.key, alteration.applied_to(None))
            for key in new.keys() - pointing:
                setattr(instance, key, new[key])
            for alteration in self.members:
                _change_members(instance, alteration)
        except ValueError as error:
            raise WriteRefused(str(error) or "This value is not accepted.") from error


Part = Sequence[Any]


def _by_halves(
    rows: Part,
    write: Callable[[Part], Any],
    attempt: Callable[[], Any],
    explained: Callable[[Exception], WriteRefused | None],
) -> Iterator[tuple[Part, Any]]:
    """Write ``rows``, in ever smaller parts where they are refused: each part with what it gave.

    Of a single row that is refused that is the refusal. Each part is an ``attempt`` of its own.
    """
    waiting = [rows] if rows else []
    while waiting:
        part = waiting.pop()
        try:
            with attempt():
                done = write(part)
        except (WriteRefused, exc.DBAPIError, orm.exc.StaleDataError) as error:
            refusal = error if isinstance(error, WriteRefused) else explained(error)
            if refusal is None or isinstance(refusal, Contended):
                raise
            if len(part) == 1:
                yield part, refusal
                continue
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
        else:
            yield part, done


def _among(columns: Sequence[Any], keys: Sequence[tuple[Any, ...]]) -> sa.ColumnElement[bool]:
    if len(columns) == 1:
        found: sa.ColumnElement[bool] = columns[0].in_([key[0] for key in keys])
        return found
    return sa.tuple_(*columns).in_(list(keys))


def _names(columns: Sequence[Any]) -> list[str]:
    return [column.name for column in columns]


def _change_members(instance: Any, alteration: Alteration) -> None:
    members = orm.collections.collection_adapter(getattr(instance, alteration.key))
    present = list(members)
    for member in alteration.value:
        if alteration.kind == "gain" and member not in present:
            members.append_with_event(member)
        elif alteration.kind == "lose" and member in present:
            members.remove_with_event(member)


Pairs = tuple[sa.Table, list[tuple[str, Any]], list[tuple[str, Any]]]


def _pairs(relationship: orm.RelationshipProperty[Any]) -> Pairs | None:
    """The table of a many-to-many relationship, and its columns by the attributes at either end.

    None where its rows are more than pairs of keys.
    """
    link = relationship.secondary
    if not isinstance(link, sa.Table) or relationship.viewonly:
        return None
    near = [
        (inspection.key_of(relationship.parent, c), column)
        for c, column in relationship.synchronize_pairs
    ]
    far = [
        (inspection.key_of(relationship.mapper, c), column)
        for c, column in relationship.secondary_synchronize_pairs or ()
    ]
    named = {column for _, column in (*near, *far)}
    if any(key is None for key, _ in (*near, *far)) or len(named) != len(near) + len(far):
        return None
    if any(_is_needed(c) for c in link.columns if c not in named):
        return None
    return link, near, far  # type: ignore[return-value]


def _is_needed(column: sa.Column[Any]) -> bool:
    has_default = column.default is not None or column.server_default is not None
    return not column.nullable and not has_default and column.autoincrement is not True


def counts_versions(mapper: orm.Mapper[Any]) -> bool:
    """Whether the version of a row, if it has one, is a number that SQLAlchemy counts."""
    if mapper.version_id_col is None:
        return True
    generator = mapper.version_id_generator
    is_own = getattr(generator, "__module__", "") == orm.Mapper.__module__
    return is_own and isinstance(mapper.version_id_col.type, sa.Integer)


def has_own_listeners(session: AnySession) -> bool:
    """Whether the application listens to what is flushed."""
    own = session() if isinstance(session, orm.scoped_session) else session
    return any(map(_is_heard, [*own.dispatch.before_flush, *own.dispatch.after_flush]))


def _is_heard(listener: Any) -> bool:
    """Whether ``listener`` may do something; SQLAlchemy-Utils' own may have nothing to sum."""
    module = str(getattr(listener, "__module__", ""))
    if module == "sqlalchemy_utils.aggregates":
        return bool(listener.__self__.generator_registry)
    return not module.startswith(("admin_app.", "flask_sqlalchemy."))
