"""Undo: what a change set did, taken back by another one.

A plan says of each row whether it is still as the change set left it. Rows that were changed
since are conflicts: they are left alone unless somebody says that they shall be overwritten. What
a plan does is an ordinary change set, recorded and undone like any other.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import exc, orm

from admin_app import inspection
from admin_app.changes import capture, images
from admin_app.changes.audit import RowChangeRecord
from admin_app.changes.capture import Kind
from admin_app.changes.images import Columns, Image, Key
from admin_app.changes.sets import ChangeSet
from admin_app.changes.versions import Counter
from admin_app.errors import WriteRefused

State = Literal["ready", "done", "changed", "lost"]


@dataclass(frozen=True, slots=True)
class Step:
    """One row and what undoing would make of it.

    ``state`` is ``ready``; ``done`` when the row is as it was already; ``changed`` when somebody
    changed it since; ``lost`` when the history does not hold enough to bring it back, or knows no
    such table any more. ``current`` is the row as it is, ``differing`` the columns in which it is
    not as the change set left it.
    """

    record: RowChangeRecord
    table: sa.Table | None
    key: Key
    state: State
    current: Image | None = None
    differing: tuple[str, ...] = ()


def plan(
    session: orm.Session | orm.scoped_session[Any],
    records: Sequence[RowChangeRecord],
    tables: Mapping[str, sa.Table],
    counters: Mapping[sa.Table, Counter] = MappingProxyType({}),
    *,
    lock: bool = False,
) -> list[Step]:
    """What undoing ``records`` would do now, a statement for each table.

    ``counters`` name columns that differ after every change, and mean nothing by themselves.
    """
    by_table: dict[str, list[RowChangeRecord]] = {}
    for record in records:
        by_table.setdefault(record.table_name, []).append(record)
    steps: list[Step] = []
    for name, group in by_table.items():
        table = tables.get(name)
        if table is None:
            steps += [Step(r, None, (), "lost") for r in group]
            continue
        connection = session.connection(bind_arguments={"clause": table})
        keys = images.opened(connection, table, [key_of(r, table) for r in group])
        columns = Columns.of(table)
        current: dict[Key, Image] = {}
        for criterion in images.having(table, keys, connection.dialect):
            rows = images.read_rows(connection, table, [criterion], lock)
            current.update(zip(columns.keys_of(rows), map(columns.image, rows), strict=True))
        counter = counters.get(table)
        ignored = None if counter is None else counter.column.name
        steps += [
            _step(r, table, k, current.get(k), ignored) for r, k in zip(group, keys, strict=True)
        ]
    return steps


def key_of(record: RowChangeRecord, table: sa.Table) -> Key:
    """The key of the row that ``record`` is about."""
    if record.key.startswith("["):
        names = [c.name for c in images.key_columns(table)]
        return images.key_of(dict(zip(names, json.loads(record.key), strict=False)), table)
    return images.key_of(record.new or record.old, table)


def _step(
    record: RowChangeRecord, table: sa.Table, key: Key, current: Image | None, ignored: str | None
) -> Step:
    old, new = record.old, record.new
    if record.kind == "delete":
        state: State = "ready" if current is None else "done" if current == old else "changed"
        if state == "ready" and not is_whole(old, table):
            state = "lost"
        return Step(record, table, key, state, current)
    if current is None:
        return Step(record, table, key, "done" if record.kind == "insert" else "changed")
    differing = tuple(
        n for n, v in new.items() if n != ignored and n in current and current[n] != v
    )
    if record.kind == "update":
        if all(n == ignored or current.get(n) == value for n, value in old.items()):
            return Step(record, table, key, "done", current)
        if not all(map(is_restorable, old.values())):
            return Step(record, table, key, "lost", current)
    return Step(record, table, key, "changed" if differing else "ready", current, differing)


def is_whole(image: Image, table: sa.Table) -> bool:
    """Whether a row can be made of ``image``: a digest, or nothing, will do where NULL would."""
    return all(
        (c.name in image and is_restorable(image[c.name])) or bool(c.nullable)
        for c in images.writable(table)
    )


def is_restorable(value: Any) -> bool:
    """Whether the ``value`` of an image can be written back."""
    try:
        images.decoded(value)
    except images.Unrestorable:
        return False
    return True


def apply(
    change_set: ChangeSet,
    steps: Iterable[Step],
    overwrite: Collection[int] = (),
    counters: Mapping[sa.Table, Counter] = MappingProxyType({}),
) -> int:
    """Take back what is ready, and those conflicts whose record is in ``overwrite``.

    The ``counters`` of rows that are changed go on counting. Returns the number of rows written.
    WriteRefused when the database refuses.
    """
    chosen = [
        s
        for s in steps
        if s.state == "ready" or (s.state == "changed" and s.record.id in overwrite)
    ]
    writes = _Writes(change_set, [s for s in chosen if s.table is not None], counters)
    try:
        with change_set.session.begin_nested():
            writes.run()
    except exc.IntegrityError:
        # A row that comes back may need a value that another has now, or two may have changed
        # places: then it depends on the order of the rows.
        writes.run_one_by_one()
    change_set.session.expire_all()
    return len(chosen)


class _Writes:
    """The statements that take steps back, by table, parents before children."""

    def __init__(
        self,
        change_set: ChangeSet,
        steps: Sequence[Step],
        counters: Mapping[sa.Table, Counter],
    ) -> None:
        self.change_set = change_set
        self.counters = counters
        self.back: dict[sa.Table, list[Step]] = {}
        self.again: dict[sa.Table, list[Step]] = {}
        self.away: dict[sa.Table, list[Step]] = {}
        for step in steps:
            assert step.table is not None
            if step.record.kind == "insert":
                kind = self.away
            elif step.current is None:
                # Also a row that was changed and then deleted by somebody else.
                kind = self.back
            else:
                kind = self.again
            kind.setdefault(step.table, []).append(step)

    def run(self) -> None:
        """Write all, a statement for each table and kind."""
        for kind, table, steps in self._ordered():
            self._write(kind, table, steps)

    def run_one_by_one(self) -> None:
        """Write each row as soon as the database lets it; IntegrityError if it never does."""
        session = self.change_set.session
        waiting = [(k, t, step) for k, t, steps in self._ordered() for step in steps]
        parked: set[int] = set()
        refused: exc.IntegrityError | None = None
        while waiting:
            needed = _pointed_at([(t, s) for kind, t, s in waiting if kind == "update"])
            held: list[tuple[Kind, sa.Table, Step]] = []
            for kind, table, step in waiting:
                if kind == "delete" and _is_needed(table, step, needed):
                    # The database might delete along with it what is yet to be changed.
                    held.append((kind, table, step))
                    continue
                try:
                    with session.begin_nested():
                        self._write(kind, table, [step])
                except exc.IntegrityError as error:
                    refused = error
                    held.append((kind, table, step))
            if len(held) == len(waiting) and not self._park(held, parked):
                raise refused or WriteRefused("Rows that are to go are still pointed at.")
            waiting = held

    def _park(self, waiting: Sequence[tuple[Kind, sa.Table, Step]], parked: set[int]) -> bool:
        """Give one row other values for a while, so that another may have those; if one can."""
        for kind, table, step in waiting:
            if kind != "update" or step.record.id in parked:
                continue
            parked.add(step.record.id)
            values = {
                column.name: value
                for column in _unique_columns(table)
                if column.name in self._image(step)
                and (value := _other_value(column)) is not _NO_VALUE
            }
            if not values:
                continue
            rows = [images.parameters(table, values, step.key)]
            with contextlib.suppress(exc.IntegrityError), self.change_set.session.begin_nested():
                before = [(step.key, step.current)]
                self.change_set.write_images(table, "update", before, rows, tuple(values))
                return True
        return False

    def _ordered(self) -> Iterator[tuple[Kind, sa.Table, Sequence[Step]]]:
        for table in _sorted(self.back):
            yield "insert", table, _parents_first(table, self.back[table])
        for table in _sorted(self.again):
            yield "update", table, self.again[table]
        for table in reversed(_sorted(self.away)):
            yield "delete", table, list(reversed(_parents_first(table, self.away[table])))

    def _write(self, kind: Kind, table: sa.Table, steps: Sequence[Step]) -> None:
        getattr(self, "_" + kind)(table, steps)

    def _insert(self, table: sa.Table, steps: Sequence[Step]) -> None:
        if any(s.record.kind != "delete" for s in steps):
            raise WriteRefused("A row that was changed has been deleted since.")
        rows = [images.parameters(table, _restored(s.record.old, table)) for s in steps]
        self.change_set.write_images(table, "insert", [(s.key, None) for s in steps], rows)

    def _update(self, table: sa.Table, steps: Sequence[Step]) -> None:
        by_columns: dict[tuple[str, ...], list[Step]] = {}
        for step in steps:
            names = tuple(n for n in self._image(step) if n in table.columns)
            by_columns.setdefault(names, []).append(step)
        for names, alike in by_columns.items():
            rows = [images.parameters(table, self._image(s), s.key) for s in alike]
            before = [(s.key, s.current) for s in alike]
            self.change_set.write_images(table, "update", before, rows, names)

    def _delete(self, table: sa.Table, steps: Sequence[Step]) -> None:
        rows = [images.parameters(table, {}, s.key) for s in steps]
        before = [(s.key, s.current) for s in steps]
        self.change_set.write_images(table, "delete", before, rows)

    def _image(self, step: Step) -> Image:
        """What an update writes: the old values, and the next number of the row."""
        assert step.table is not None
        assert step.current is not None
        counter = self.counters.get(step.table)
        image: Image = step.record.old
        if counter is None:
            return image
        name = counter.column.name
        image = {n: value for n, value in image.items() if n != name}
        if counter.following is not None:
            following = counter.following(images.decoded(step.current[name]))
            image[name] = images.encoded(following, counter.column)
        return image


def _pointed_at(steps: Iterable[tuple[sa.Table, Step]]) -> set[tuple[Any, ...]]:
    """What the rows of ``steps`` point at now: foreign keys, and the values that these have."""
    return {
        (constraint, *_values(step.current, [e.parent for e in constraint.elements]))
        for table, step in steps
        for constraint in table.foreign_key_constraints
    }


def _is_needed(table: sa.Table, step: Step, pointed_at: Collection[tuple[Any, ...]]) -> bool:
    return any(
        (constraint, *_values(step.current, [e.column for e in constraint.elements])) in pointed_at
        for constraint in capture.pointing_at(table)
    )


def _values(image: Image | None, columns: Iterable[sa.Column[Any]]) -> Iterator[Any]:
    return (images.hashable((image or {}).get(column.name)) for column in columns)


def _unique_columns(table: sa.Table) -> set[sa.Column[Any]]:
    """The columns of which the database lets no two rows have the same, keys left out."""
    found = {c for i in table.indexes if i.unique for c in i.columns}
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint):
            found |= set(constraint.columns)
    return found - set(table.primary_key.columns)


_NO_VALUE = object()


def _other_value(column: sa.Column[Any]) -> Any:
    """A value for ``column`` that no other row is likely to have, to be written over again."""
    type_ = inspection.stored_type(column.type)
    if column.nullable:
        return None
    if isinstance(type_, sa.Integer):
        return -secrets.randbelow(2**15 if isinstance(type_, sa.SmallInteger) else 2**31)
    if isinstance(type_, sa.String) and not isinstance(type_, sa.Enum):
        return secrets.token_hex(16)[: type_.length]
    return _NO_VALUE


def _restored(image: Image, table: sa.Table) -> Image:
    """``image`` with NULL for what is kept only as a digest, and for columns that are newer."""
    kept = {n: v if is_restorable(v) else None for n, v in image.items()}
    return {c.name: None for c in images.writable(table)} | kept


def _sorted(tables: Mapping[sa.Table, Any]) -> list[sa.Table]:
    return list(sa.schema.sort_tables(list(tables)))


def _parents_first(table: sa.Table, steps: Sequence[Step]) -> list[Step]:
    """``steps`` in an order in which rows come after those of the same table they point at."""
    loops = [
        [(e.parent.name, e.column.name) for e in constraint.elements]
        for constraint in table.foreign_key_constraints
        if constraint.referred_table is table
    ]
    if not loops:
        return list(steps)
    waiting = list(steps)
    ordered: list[Step] = []
    while waiting:
        held = [s.record.old or s.record.new for s in waiting]
        free = [
            s
            for s in waiting
            if not any(_points_at(s.record.old or s.record.new, loop, held) for loop in loops)
        ]
        if not free:
            return ordered + waiting
        ordered += free
        waiting = [s for s in waiting if s not in free]
    return ordered


def _points_at(image: Image, pairs: Sequence[tuple[str, str]], others: Sequence[Image]) -> bool:
    target = [image.get(local) for local, _ in pairs]
    if None in target:
        return False
    return any(
        other is not image and [other.get(remote) for _, remote in pairs] == target
        for other in others
    )
