"""One row as it was: taken from what it holds now, back through the history.

What the history tells need not be all: other programs write rows without it, it may have begun
late, and old changes may have been forgotten. A `Then` says which columns it is not sure of.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import sqlalchemy as sa

from admin_app.changes import images, undoing
from admin_app.changes.audit import RowChangeRecord
from admin_app.changes.images import Image, Key
from admin_app.changes.undoing import Step
from admin_app.changes.versions import Counter, aware

At = int | dt.datetime
"""As the change set with this number left a row (as it found it, where it deleted it), or when."""


@dataclass(frozen=True, slots=True)
class Then:
    """What one row of ``table`` held at some time, and what it holds now.

    ``image`` is None where it was not there, ``current`` where it is not there any more.
    """

    table: sa.Table
    key: Key
    image: Image | None
    current: Image | None
    unsure: frozenset[str] = frozenset()
    """Columns that somebody has changed without the history around that time."""
    unknown: frozenset[str] = frozenset()
    """Columns of which the history holds nothing."""
    is_before_history: bool = False
    """Whether nothing is known of the row as early as that: it is shown as it was first met."""

    def differing(self) -> list[str]:
        """The columns that held something else than now."""
        image, current = self.image or {}, self.current or {}
        return [n for n, value in image.items() if n in current and current[n] != value]


def rebuilt(
    table: sa.Table,
    key: Key,
    current: Image | None,
    records: Sequence[RowChangeRecord],
    at: At,
) -> Then:
    """What the row held ``at`` that time; ``records`` are all its changes, newest first."""
    later = [r for r in records if _is_later(r, at)]
    walk = _Walk(current)
    for record in later:
        walk.back(record)
    earlier = records[len(later) :]
    if not later and earlier and earlier[0].kind == "delete":
        walk.image = None
    if walk.image is not None:
        walk.complete(earlier, at if isinstance(at, int) else None)
    names = {c.name for c in table.columns}
    return Then(
        table,
        key,
        walk.image,
        current,
        frozenset(walk.unsure & names),
        frozenset() if walk.image is None else frozenset(names - walk.image.keys()),
        walk.image is not None and not earlier and _is_unmet(later, at),
    )


def _is_unmet(later: Sequence[RowChangeRecord], at: At) -> bool:
    """Whether the time is before the first change of a row that was there before it."""
    if not later:
        return True
    return later[-1].kind != "insert" and later[-1].change_set_id != at


def _is_later(record: RowChangeRecord, at: At) -> bool:
    if isinstance(at, dt.datetime):
        return aware(record.change_set.at) > at
    if record.change_set_id == at:
        return record.kind == "delete"
    return record.change_set_id > at


@dataclass
class _Walk:
    """A row on its way back; ``image`` is None where it is not there."""

    image: Image | None
    unsure: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.image = None if self.image is None else dict(self.image)

    def back(self, record: RowChangeRecord) -> None:
        """Go back before ``record``."""
        if record.kind == "insert":
            self.image = None
        elif record.kind == "delete" or self.image is None:
            # A row that was changed and is not there has been deleted without the history.
            self.image = dict(record.old)
        else:
            self.image |= record.old

    def complete(self, earlier: Sequence[RowChangeRecord], number: int | None) -> None:
        """Hold the row against what was written ``earlier``; ``number`` is of what is sure."""
        assert self.image is not None
        seen: set[str] = set()
        for record in earlier:
            if record.kind == "delete":
                return
            for name, value in record.new.items():
                if name not in seen and self.image.setdefault(name, value) != value:
                    if record.change_set_id == number:
                        self.image[name] = value
                    else:
                        self.unsure.add(name)
                seen.add(name)
            if record.kind == "insert":
                return


def current_image(
    connection: sa.Connection, table: sa.Table, key: Key, *, lock: bool = False
) -> Image | None:
    """What the row of ``table`` with ``key`` holds."""
    for criterion in images.having(table, [key], connection.dialect):
        for image in images.read(connection, table, [criterion], lock):
            return image
    return None


def step(
    then: Then,
    names: Sequence[str] | None = None,
    counters: Mapping[sa.Table, Counter] = MappingProxyType({}),
) -> Step | None:
    """What brings back the row as it was `then`; None where there is nothing to do.

    ``names`` are the columns that may be written, None for all. What the history does not hold, and
    what the database or the mapping makes, stays as it is.
    """
    if then.image is None:
        return None
    record = RowChangeRecord(id=0, table_name=then.table.key, key="", kind="delete")
    if then.current is None:
        record.old = dict(then.image)
        is_whole = not then.unknown and undoing.is_whole(then.image, then.table)
        return Step(record, then.table, then.key, "ready" if is_whole else "lost")
    wanted = restorable(then, counters)
    if names is not None:
        wanted = [name for name in wanted if name in names]
    if not wanted:
        return None
    record.kind = "update"
    record.old = {name: then.image[name] for name in wanted}
    record.new = {name: then.current[name] for name in wanted}
    return Step(record, then.table, then.key, "ready", then.current)


def restorable(
    then: Then, counters: Mapping[sa.Table, Counter] = MappingProxyType({})
) -> list[str]:
    """The columns that differ from now and can be written as they were."""
    counter = counters.get(then.table)
    writable = {c.name for c in images.writable(then.table)}
    if counter is not None:
        writable.discard(counter.column.name)
    return [
        name
        for name in then.differing()
        if name in writable and undoing.is_restorable((then.image or {})[name])
    ]
