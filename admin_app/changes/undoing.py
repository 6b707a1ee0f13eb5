"""Undo: what a change set did, taken back by another one.

A plan says of each row whether it is still as the change set left it. Rows that were changed
since are conflicts: they are left alone unless somebody says that they shall be overwritten. What
a plan does is an ordinary change set, recorded and undone like any other.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import exc, orm

from admin_app.changes import images
from admin_app.changes.audit import RowChangeRecord
from admin_app.changes.images import Image, Key
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
        keys = [key_of(r, table) for r in group]
        current = {
            images.key_of(image, table): image
            for criterion in images.having(table, keys, connection.dialect)
            for image in images.read(connection, table, [criterion], lock)
        }
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
    # A row that comes back may need a value that another has now, or a row that goes may be
    # pointed at by one that comes back: if one order is refused the other is tried.
    try:
        with change_set.session.begin_nested():
            writes.run(("insert", "update", "delete"))
    except exc.IntegrityError:
        writes.run(("delete", "insert", "update"))
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

    def run(self, order: Sequence[str]) -> None:
        for kind in order:
            getattr(self, "_" + kind)()

    def _insert(self) -> None:
        for table in _sorted(self.back):
            steps = _parents_first(table, self.back[table])
            whole = [s for s in steps if s.record.kind == "delete"]
            if len(whole) < len(steps):
                raise WriteRefused("A row that was changed has been deleted since.")
            rows = [images.parameters(table, _restored(s.record.old, table)) for s in whole]
            self.change_set.write_images(table, "insert", [(s.key, None) for s in whole], rows)

    def _update(self) -> None:
        for table in _sorted(self.again):
            by_columns: dict[tuple[str, ...], list[Step]] = {}
            for step in self.again[table]:
                names = tuple(n for n in self._image(step) if n in table.columns)
                by_columns.setdefault(names, []).append(step)
            for names, steps in by_columns.items():
                rows = [images.parameters(table, self._image(s), s.key) for s in steps]
                before = [(s.key, s.current) for s in steps]
                self.change_set.write_images(table, "update", before, rows, names)

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

    def _delete(self) -> None:
        for table in reversed(_sorted(self.away)):
            steps = list(reversed(_parents_first(table, self.away[table])))
            rows = [images.parameters(table, {}, s.key) for s in steps]
            before = [(s.key, s.current) for s in steps]
            self.change_set.write_images(table, "delete", before, rows)


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
