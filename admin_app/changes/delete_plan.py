"""What a delete would do to every table, found by reading, before anything is written.

It is worked out in the order in which it would happen. First what SQLAlchemy's unit of work does:
the rows that cascades of the mapping delete, those of many-to-many tables that it unlinks, the
foreign keys that it sets to NULL. Then what the database does to the rows that still point at
rows that are gone, by the ``ON DELETE`` rule of each foreign key, also in tables that no class
maps. Whatever stands against the delete is an effect as well: it blocks.

Each relationship and each foreign key costs one statement for each level of the way (for each
thousand rows of a level), and every row is followed once. Where more than ``limit`` rows would be
touched the way ends, and the plan says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.types import NullType

from admin_app import inspection
from admin_app.changes import images
from admin_app.changes.capture import pointing_at

LIMIT = 10_000
"""Rows that a plan follows and keeps the keys of; beyond them it says "more than"."""

AnySession = orm.Session | orm.scoped_session[Any]
Key = tuple[Any, ...]
"""The key of a row (see `images.key_columns`), its parts as the driver gives what is stored."""

Fate = Literal["deleted", "unlinked", "emptied", "reset", "blocks"]
"""``unlinked`` is a row of a many-to-many table, deleted; ``reset`` is set to its default."""
Cause = Literal["chosen", "mapping", "database"]
Reason = Literal["", "rule", "not null", "key", "default", "unknown"]
"""Why a row blocks: a rule of the database; a column that may not be NULL, that is part of a key,
or whose default is no row; a mapping that does not say what becomes of the members."""


@dataclasses.dataclass(slots=True)
class Effect:
    """Rows of one table with one fate, for one reason.

    ``keys`` maps the key of each row to that of the row it points at, () for rows that were chosen;
    ``columns`` are those that point, of rows that are deleted along with others none. ``mapper`` is
    None for a table that no class maps. ``relationship`` is what rows that are unlinked belong to.
    """

    fate: Fate
    cause: Cause
    table: sa.Table
    mapper: orm.Mapper[Any] | None
    target: sa.Table | None = None
    columns: tuple[sa.Column[Any], ...] = ()
    reason: Reason = ""
    relationship: orm.RelationshipProperty[Any] | None = None
    keys: dict[Key, Key] = dataclasses.field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.keys)

    def far_keys(self) -> list[Key]:
        """The keys of the rows that are unlinked; none where a link does not consist of them."""
        if self.relationship is None:
            return []
        pairs = dict(self.relationship.secondary_synchronize_pairs or ())
        links = [pairs.get(c) for c in _columns(row_table(self.relationship.mapper))]
        places = {c: number for number, c in enumerate(_columns(self.table))}
        if any(c not in places for c in links):
            return []
        return [tuple(key[places[c]] for c in links) for key in self.keys]  # type: ignore[index]


@dataclasses.dataclass(slots=True)
class DeletePlan:
    """What a delete of rows of ``mapper`` would do; the first effect are the chosen rows.

    ``is_cut`` tells that there is more than the plan has followed; its counts are lower bounds.
    Append an effect whose fate is ``blocks``, or take one away, to decide otherwise.
    """

    mapper: orm.Mapper[Any]
    effects: list[Effect]
    is_cut: bool = False

    @property
    def blockers(self) -> list[Effect]:
        return [e for e in self.effects if e.fate == "blocks"]

    @property
    def is_blocked(self) -> bool:
        """Whether the delete would be refused."""
        return any(e.fate == "blocks" for e in self.effects)

    @property
    def consequences(self) -> list[Effect]:
        """What happens to other rows than the chosen ones."""
        return [e for e in self.effects if e.cause != "chosen" and e.fate != "blocks"]


def delete_plan(
    session: AnySession,
    mapper: orm.Mapper[Any],
    rows: Sequence[Sequence[Any]] | sa.Select[Any],
    *,
    limit: int = LIMIT,
) -> DeletePlan:
    """What deleting ``rows`` would do: identities of ``mapper``, or a SELECT of its class."""
    walk = _Walk(session, mapper, limit)
    with session.no_autoflush:
        chosen = walk.choose(rows)
        walk.follow_mapping(chosen)
        if walk.has_database_rules():
            walk.follow_database()
        return DeletePlan(mapper, walk.finished(), walk.is_cut)


class _Walk:
    """The way from the chosen rows to all that a delete of them touches."""

    def __init__(self, session: AnySession, mapper: orm.Mapper[Any], limit: int) -> None:
        self.session = session
        self.mapper = mapper
        self.limit = limit
        self.count = 0
        self.is_cut = False
        self.gone: dict[sa.Table, dict[Key, None]] = {}
        self.emptied: dict[tuple[sa.Table, Key], set[sa.Column[Any]]] = {}
        self.effects: dict[tuple[Any, ...], Effect] = {}
        self.mappers = _mappers_by_table(mapper)
        self.links = _links(mapper)

    # What the mapping does

    def choose(
        self, rows: Sequence[Sequence[Any]] | sa.Select[Any]
    ) -> dict[orm.Mapper[Any], list[Key]]:
        """Note the chosen rows as deleted; their keys by the class that each is of."""
        table = row_table(self.mapper)
        width = len(_columns(table))
        columns = [*_read(_columns(table), self._dialect(table)), *_discriminator(self.mapper)]
        found: dict[orm.Mapper[Any], list[Key]] = {}
        for statement in self._chosen(rows):
            statement = statement.with_only_columns(*columns, maintain_column_froms=True)
            for key, (kind, *_) in _split(self._fetch(statement, self.mapper), width):
                mapper = _class_of(self.mapper, kind)
                if self._delete(mapper, key, (), "chosen", self.mapper):
                    found.setdefault(mapper, []).append(key)
        return found

    def _chosen(self, rows: Sequence[Sequence[Any]] | sa.Select[Any]) -> Iterator[sa.Select[Any]]:
        if isinstance(rows, sa.Select):
            yield rows.order_by(None)
            return
        table = row_table(self.mapper)
        keys = [_in_table(self.mapper, k, table) for k in inspection.identity_keys(self.mapper)]
        # A class with a table of its own is else read from the union with others.
        is_own = self.mapper.concrete or inspection.is_union(self.mapper)
        whole = table if is_own else self.mapper.persist_selectable
        for portion in _portions(rows):
            within = keys[0].in_([i[0] for i in portion])
            if len(keys) > 1:
                within = sa.tuple_(*keys).in_([tuple(i) for i in portion])
            yield sa.select(*keys).select_from(whole).where(within)

    def follow_mapping(self, level: Mapping[orm.Mapper[Any], list[Key]]) -> None:
        """Find what the unit of work deletes, unlinks and empties along with the rows of a level.

        ``passive_deletes`` leaves to the database what is not loaded, and that is what is assumed.
        """
        held: list[tuple[orm.RelationshipProperty[Any], Key, orm.Mapper[Any], Key]] = []
        while level:
            following: dict[orm.Mapper[Any], list[Key]] = {}
            for relationship, keys in _by_relationship(level).items():
                rule = _rule_of(relationship)
                if rule is None:
                    continue
                if isinstance(relationship.secondary, sa.Table) and rule != "unknown":
                    self._unlink(relationship, keys)
                if rule == "unlink":
                    continue
                for near, mapper, far in self._related(relationship, keys):
                    if rule != "delete":
                        held.append((relationship, near, mapper, far))
                    elif self._delete(mapper, far, near, "mapping"):
                        following.setdefault(mapper, []).append(far)
            level = following
        for relationship, near, mapper, far in held:
            self._let_go(relationship, near, mapper, far)

    def _let_go(
        self,
        relationship: orm.RelationshipProperty[Any],
        near: Key,
        mapper: orm.Mapper[Any],
        far: Key,
    ) -> None:
        """Note what becomes of a member that is not deleted by the mapping."""
        columns = tuple(c for _, c in relationship.synchronize_pairs if isinstance(c, sa.Column))
        table = columns[0].table if columns else row_table(mapper)
        if not isinstance(table, sa.Table):
            return
        target = row_table(relationship.parent)
        reason: Reason = ""
        if _rule_of(relationship) == "unknown":
            reason = "unknown"
        elif any(c in mapper.primary_key or c.primary_key for c in columns):
            # The unit of work refuses even if the member is deleted by the same flush.
            reason = "key"
        elif far in self.gone.get(row_table(mapper), ()):
            return
        elif any(not c.nullable for c in columns):
            reason = "not null"
        key = part_key(mapper, table, far)
        shown = mapper if table is row_table(mapper) else self.mappers.get(table, mapper)
        if reason:
            self._note("blocks", "mapping", table, shown, target, columns, reason, key, near)
        else:
            self._note("emptied", "mapping", table, shown, target, columns, "", key, near)
        # It does not come to what the database would say to these columns.
        self.emptied.setdefault((table, key), set()).update(columns)

    def _related(
        self, relationship: orm.RelationshipProperty[Any], keys: Sequence[Key]
    ) -> Iterator[tuple[Key, orm.Mapper[Any], Key]]:
        """The members of ``relationship`` of the rows with ``keys``, with the class of each."""
        parent, target = relationship.parent, relationship.mapper
        here, there = row_table(parent), row_table(target)
        dialect = self._dialect(here)
        near = orm.aliased(parent, flat=True)
        near_columns = [getattr(near, parent.get_property_by_column(c).key) for c in _columns(here)]
        statement = sa.select(
            *_read(_columns(here), dialect, near_columns),
            *_read(_columns(there), dialect),
            *_discriminator(target),
        ).select_from(near)
        statement = statement.join(getattr(near, relationship.key))
        for portion in _portions(keys):
            within = _among(_columns(here), near_columns, portion, dialect)
            rows = self._fetch(statement.where(within), parent)
            for near_key, rest in _split(rows, len(_columns(here))):
                for far_key, (kind, *_) in _split([rest], len(_columns(there))):
                    yield near_key, _class_of(target, kind), far_key

    def _unlink(self, relationship: orm.RelationshipProperty[Any], keys: Sequence[Key]) -> None:
        """Note the rows of a many-to-many table that link the rows with ``keys``."""
        parent, between = relationship.parent, relationship.secondary
        assert isinstance(between, sa.Table)
        here = row_table(parent)
        dialect = self._dialect(here)
        statement = (
            sa.select(
                *_read(_columns(here), dialect, prefix="near_"),
                *_read(_columns(between), dialect),
            )
            .select_from(parent.persist_selectable)
            .join(between, relationship.primaryjoin)
        )
        pairs = relationship.synchronize_pairs
        columns = tuple(c for _, c in pairs if isinstance(c, sa.Column))
        for portion in _portions(keys):
            within = _among(_columns(here), _columns(here), portion, dialect)
            rows = self._fetch(statement.where(within), parent)
            for near, far in _split(rows, len(_columns(here))):
                if self._mark(between, _plain(far)):
                    shown = self.mappers.get(between)
                    self._note(
                        "unlinked",
                        "mapping",
                        between,
                        shown,
                        here,
                        columns,
                        "",
                        _plain(far),
                        near,
                        relationship,
                    )

    # What the database does

    def has_database_rules(self) -> bool:
        """Whether the database minds foreign keys: SQLite does only where it was told to."""
        connection = self._connection(row_table(self.mapper))
        if connection.dialect.name != "sqlite":
            return True
        return bool(connection.exec_driver_sql("PRAGMA foreign_keys").scalar())

    def follow_database(self) -> None:
        """Find what the rules of foreign keys do to rows that point at rows that are gone."""
        level = {table: list(keys) for table, keys in self.gone.items()}
        while level:
            following: dict[sa.Table, list[Key]] = {}
            for table, keys in level.items():
                for constraint in pointing_at(table):
                    for near, far in self._pointing(constraint, keys):
                        if self._apply(constraint, near, far):
                            following.setdefault(constraint.table, []).append(far)
            level = following

    def _apply(self, constraint: sa.ForeignKeyConstraint, near: Key, far: Key) -> bool:
        """Note what the rule of ``constraint`` does to one row; whether it is deleted by it."""
        table = constraint.table
        columns = tuple(e.parent for e in constraint.elements)
        if far in self.gone.get(table, ()) or not self.emptied.get((table, far), set()).isdisjoint(
            columns
        ):
            return False
        target, shown = constraint.referred_table, self.mappers.get(table)
        rule = (constraint.ondelete or "").upper()
        if rule == "CASCADE":
            if not self._mark(table, far):
                return False
            link = None if shown else self.links.get((table, target))
            if link is None:
                self._note("deleted", "database", table, shown, None, (), "", far, near)
            else:
                self._note(
                    "unlinked", "database", table, None, target, columns, "", far, near, link
                )
            return True
        fate: Fate = "blocks"
        reason: Reason = "rule"
        if rule.startswith("SET NULL"):
            lost = [c for c in columns if "(" not in rule or c.name.upper() in rule]
            fate, reason = ("emptied", "") if all(c.nullable for c in lost) else (fate, "not null")
        elif rule == "SET DEFAULT":
            fate, reason = "reset", ""
        self._note(fate, "database", table, shown, target, columns, reason, far, near)
        return False

    def _pointing(
        self, constraint: sa.ForeignKeyConstraint, keys: Sequence[Key]
    ) -> Iterator[tuple[Key, Key]]:
        """The rows whose ``constraint`` points at the rows with ``keys``: keys of both."""
        here, there = constraint.referred_table, constraint.table
        dialect = self._dialect(here)
        near = here.alias()
        near_columns = [near.columns[c.key] for c in _columns(here)]
        met = [e.parent == near.columns[e.column.key] for e in constraint.elements]
        statement = sa.select(
            *_read(_columns(here), dialect, near_columns, prefix="near_"),
            *_read(_columns(there), dialect),
        ).select_from(there.join(near, sa.and_(*met)))
        for portion in _portions(keys):
            within = _among(_columns(here), near_columns, portion, dialect)
            rows = self._fetch(statement.where(within), here)
            for near_key, far_key in _split(rows, len(near_columns)):
                yield near_key, _plain(far_key)

    # What is kept of it

    def finished(self) -> list[Effect]:
        """The effects, without rows that are not there any more when it comes to them."""
        for effect in self.effects.values():
            gone = self.gone.get(effect.table, {})
            is_fixed = effect.cause == "mapping" and effect.fate == "blocks"
            if effect.fate not in ("deleted", "unlinked") and not is_fixed:
                effect.keys = {k: near for k, near in effect.keys.items() if k not in gone}
            if effect.fate == "reset" and effect.keys and not self._has_default(effect):
                effect.fate, effect.reason = "blocks", "default"
        return [e for e in self.effects.values() if e.keys]

    def _has_default(self, effect: Effect) -> bool:
        """Whether the defaults of the columns of ``effect`` point at a row that stays."""
        target = effect.target
        assert target is not None
        constraints = [c for c in pointing_at(target) if c.table is effect.table]
        pairs = next(
            [(e.parent, e.column) for e in c.elements]
            for c in constraints
            if tuple(e.parent for e in c.elements) == effect.columns
        )
        defaults = [_default_of(column) for column, _ in pairs]
        if any(d is None for d in defaults):
            return all(c.nullable for (c, _), d in zip(pairs, defaults, strict=True) if d is None)
        met = [remote == d for (_, remote), d in zip(pairs, defaults, strict=True)]
        dialect = self._dialect(target)
        statement = sa.select(*_read(_columns(target), dialect)).where(*met)
        found = self._connection(target).execute(statement).first()
        return found is not None and _plain(found) not in self.gone.get(target, {})

    def _delete(
        self,
        mapper: orm.Mapper[Any],
        key: Key,
        near: Key,
        cause: Cause,
        shown: orm.Mapper[Any] | None = None,
    ) -> bool:
        """Note that the mapping deletes a row, with its parts in other tables; False when known."""
        table = row_table(mapper)
        if not self._mark(table, key):
            return False
        for part in mapper.tables:
            if part is not table and isinstance(part, sa.Table) and not _is_passive(mapper, part):
                self.gone.setdefault(part, {})[part_key(mapper, part, key)] = None
        self._note("deleted", cause, table, shown or mapper, None, (), "", key, near)
        return True

    def _mark(self, table: sa.Table, key: Key) -> bool:
        """Note that a row is gone; False when that is known, or when there are too many."""
        if key in self.gone.get(table, ()) or not self._has_room():
            return False
        self.gone.setdefault(table, {})[key] = None
        return True

    def _has_room(self) -> bool:
        if self.count >= self.limit:
            self.is_cut = True
        return not self.is_cut

    def _note(
        self,
        fate: Fate,
        cause: Cause,
        table: sa.Table,
        mapper: orm.Mapper[Any] | None,
        target: sa.Table | None,
        columns: tuple[sa.Column[Any], ...],
        reason: Reason,
        key: Key,
        near: Key,
        relationship: orm.RelationshipProperty[Any] | None = None,
    ) -> None:
        if not self._has_room():
            return
        place = (fate, cause, table, mapper, target, columns, reason, relationship)
        effect = self.effects.get(place)
        if effect is None:
            effect = self.effects[place] = Effect(*place)
        if key not in effect.keys:
            self.count += 1
            effect.keys[key] = near

    # Reading

    def _connection(self, table: sa.Table) -> sa.Connection:
        found: sa.Connection = self.session.connection(bind_arguments={"clause": table})
        return found

    def _dialect(self, table: sa.Table) -> sa.Dialect:
        return self._connection(table).dialect

    def _fetch(
        self, statement: sa.Select[Any], of: orm.Mapper[Any] | sa.Table
    ) -> list[tuple[Any, ...]]:
        if self.is_cut:
            return []
        name = "clause" if isinstance(of, sa.Table) else "mapper"
        rows = self.session.execute(
            statement.limit(self.limit + 1), bind_arguments={name: of}
        ).fetchmany(self.limit + 1)
        if len(rows) > self.limit:
            self.is_cut = True
        return [tuple(row) for row in rows[: self.limit]]


def row_table(mapper: orm.Mapper[Any]) -> sa.Table:
    """The table whose key tells the rows of ``mapper`` apart: of a joined hierarchy the first."""
    while mapper.inherits is not None and not mapper.concrete:
        mapper = mapper.inherits
    if isinstance(mapper.local_table, sa.Table):
        return mapper.local_table
    return next(t for t in mapper.tables if isinstance(t, sa.Table))


def part_key(mapper: orm.Mapper[Any], table: sa.Table, key: Key) -> Key:
    """The key of the row in ``table`` that belongs to the row of ``mapper`` with ``key``."""
    whole = row_table(mapper)
    if table is whole:
        return key
    values = dict(zip(_columns(whole), key, strict=True))
    found = []
    for position, column in enumerate(_columns(table)):
        try:
            same = mapper.get_property_by_column(column).columns
        except orm.exc.UnmappedColumnError:
            same = []
        known = next((values[c] for c in same if c in values), None)
        found.append(key[position] if known is None and position < len(key) else known)
    return tuple(found)


def rows_with(
    mapper: orm.Mapper[Any], keys: Iterable[Key], dialect: sa.Dialect
) -> sa.ColumnElement[bool]:
    """That a row of ``mapper`` is one of those with ``keys``."""
    columns = _columns(row_table(mapper))
    return _among(columns, columns, list(keys), dialect)


def among(table: sa.Table, keys: Collection[Key], dialect: sa.Dialect) -> sa.ColumnElement[bool]:
    """That a row of ``table`` has one of ``keys``."""
    return _among(_columns(table), _columns(table), keys, dialect)


def _is_passive(mapper: orm.Mapper[Any], table: sa.Table) -> bool:
    """Whether the mapping leaves the part of a joined row that is in ``table`` to the database."""
    owner = next((m for m in mapper.iterate_to_root() if m.local_table is table), mapper)
    return bool(owner.inherits is not None and owner.passive_deletes)


def _mappers_by_table(mapper: orm.Mapper[Any]) -> dict[sa.Table, orm.Mapper[Any]]:
    """The class that the rows of each table are shown as: the first of a hierarchy in one table."""
    found: dict[sa.Table, orm.Mapper[Any]] = {}
    for other in sorted(mapper.registry.mappers, key=lambda m: len(list(m.iterate_to_root()))):
        if isinstance(other.local_table, sa.Table):
            found.setdefault(other.local_table, other)
    return found


def _links(
    mapper: orm.Mapper[Any],
) -> dict[tuple[sa.Table, sa.Table], orm.RelationshipProperty[Any]]:
    """The relationship that a many-to-many table serves, for the rows of one of its ends."""
    found: dict[tuple[sa.Table, sa.Table], orm.RelationshipProperty[Any]] = {}
    for other in mapper.registry.mappers:
        for relationship in other.relationships:
            if isinstance(relationship.secondary, sa.Table) and not relationship.viewonly:
                found.setdefault((relationship.secondary, row_table(other)), relationship)
    return found


def _by_relationship(
    level: Mapping[orm.Mapper[Any], list[Key]],
) -> dict[orm.RelationshipProperty[Any], list[Key]]:
    found: dict[orm.RelationshipProperty[Any], list[Key]] = {}
    for mapper, keys in level.items():
        for relationship in mapper.relationships:
            found.setdefault(relationship, []).extend(keys)
    return found


def _rule_of(
    relationship: orm.RelationshipProperty[Any],
) -> Literal["delete", "empty", "unlink", "unknown"] | None:
    """What the unit of work does with the members of a row that is deleted; None for nothing."""
    if relationship.viewonly or relationship.lazy == "noload" or relationship.passive_deletes:
        return None
    if not isinstance(relationship.mapper.local_table, sa.Table):
        return None
    if relationship.lazy == "write_only":
        return "unknown"
    if relationship.cascade.delete:
        return "delete"
    if relationship.direction is orm.RelationshipDirection.ONETOMANY:
        return "empty"
    return "unlink" if relationship.secondary is not None else None


def _columns(table: sa.Table) -> list[sa.Column[Any]]:
    return images.key_columns(table)


def _read(
    columns: Sequence[sa.Column[Any]],
    dialect: sa.Dialect,
    sources: Sequence[Any] | None = None,
    prefix: str = "",
) -> list[sa.ColumnElement[Any]]:
    """Expressions that read ``columns`` as keys hold them; ``sources`` are the same of an alias."""
    return [
        images.stored(column, dialect, source).label(f"{prefix}{position}")
        for position, (column, source) in enumerate(zip(columns, sources or columns, strict=True))
    ]


def _discriminator(mapper: orm.Mapper[Any]) -> list[sa.ColumnElement[Any]]:
    kind: Any = mapper.polymorphic_on
    if kind is None or mapper.concrete or inspection.is_union(mapper):
        return [sa.null()]
    return [kind]


def _in_table(mapper: orm.Mapper[Any], key: str, table: sa.Table) -> sa.ColumnElement[Any]:
    """The column of an attribute, the one in ``table`` where there are several."""
    columns = mapper.column_attrs[key].columns
    return next((c for c in columns if c.table is table), columns[0])


def _class_of(mapper: orm.Mapper[Any], kind: Any) -> orm.Mapper[Any]:
    return mapper if kind is None else mapper.polymorphic_map.get(kind, mapper)


def _split(rows: Iterable[Sequence[Any]], position: int) -> Iterator[tuple[Key, tuple[Any, ...]]]:
    for row in rows:
        yield _plain(row[:position]), tuple(row[position:])


def _plain(values: Iterable[Any]) -> Key:
    return tuple(bytes(v) if isinstance(v, memoryview | bytearray) else v for v in values)


def _portions(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), images.ROWS_AT_ONCE):
        yield rows[start : start + images.ROWS_AT_ONCE]


def _among(
    columns: Sequence[sa.Column[Any]],
    sources: Sequence[Any],
    keys: Collection[Key],
    dialect: sa.Dialect,
) -> sa.ColumnElement[bool]:
    """That ``sources``, which are ``columns`` or the same of an alias, hold one of ``keys``."""
    plain = [sa.type_coerce(source, NullType()) for source in sources]
    if len(columns) == 1:
        return plain[0].in_([images.bound(columns[0], key[0], dialect) for key in keys])
    return sa.or_(
        sa.false(),
        *(
            sa.and_(
                *(
                    left.is_(None) if value is None else left == images.bound(c, value, dialect)
                    for c, left, value in zip(columns, plain, key, strict=True)
                )
            )
            for key in keys
        ),
    )


def _default_of(column: sa.Column[Any]) -> Any:
    """The default that the database gives ``column``, as an expression; None without one."""
    default = column.server_default
    if not isinstance(default, sa.DefaultClause):
        return None
    given: Any = default.arg
    if isinstance(given, str):
        return sa.cast(sa.literal(given, sa.Text()), column.type)
    return given
