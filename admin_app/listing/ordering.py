"""What a list is ordered by: expressions, their directions, and the joins that they need.

An `Ordering` is always total: the primary key comes last, in the direction of the key before it,
so that one index over both serves the whole. Which side of the values NULLs stand on is the
database's own choice unless it was asked for; `Key.nulls_last` knows it either way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import inspection
from admin_app.errors import InvalidRequest
from admin_app.inspection import Path
from admin_app.listing.loading import Statement, members_count
from admin_app.listing.state import Order
from admin_app.listing.tables import Table

# Where NULL is the greatest of all values; elsewhere it is the least.
_NULL_IS_GREATEST = frozenset({"postgresql", "oracle"})
# What understands NULLS FIRST and NULLS LAST.
_KNOWS_NULLS = frozenset({"postgresql", "oracle", "sqlite"})


@dataclass(frozen=True, slots=True)
class Key:
    """One expression of an order.

    ``nulls`` is set where NULLs do not stand where the database would put them. ``column`` is the
    column that is read, where it is one.
    """

    expression: sa.ColumnElement[Any]
    descending: bool
    is_nullable: bool
    dialect: str
    nulls: Literal["first", "last"] | None = None
    column: sa.Column[Any] | None = None

    @property
    def nulls_last(self) -> bool:
        """Whether NULLs come after the values."""
        if self.nulls is not None:
            return self.nulls == "last"
        return self.descending != (self.dialect in _NULL_IS_GREATEST)

    def reversed(self) -> Key:
        """The same key, read from the end."""
        nulls: Literal["first", "last"] | None = None
        if self.nulls is not None:
            nulls = "first" if self.nulls == "last" else "last"
        return replace(self, descending=not self.descending, nulls=nulls)

    def clauses(self, expression: Any = None) -> list[sa.ColumnElement[Any]]:
        """What stands in ORDER BY for it, ``expression`` instead of its own."""
        what = self.expression if expression is None else expression
        ordered = what.desc() if self.descending else what.asc()
        if self.nulls is None:
            return [ordered]
        if self.dialect in _KNOWS_NULLS:
            return [ordered.nulls_first() if self.nulls == "first" else ordered.nulls_last()]
        first, other = (0, 1) if self.nulls == "first" else (1, 0)
        return [sa.case((what.is_(None), first), else_=other), ordered]


@dataclass(frozen=True)
class Ordering:
    """A total order; ``join`` gives a statement the joins that its expressions need.

    ``is_total`` is false where a part of the primary key has no order, as JSON has none.
    """

    keys: tuple[Key, ...]
    joins: tuple[_Join, ...] = ()
    is_total: bool = True

    def join(self, statement: Statement) -> Statement:
        for join in self.joins:
            statement = statement.join(join.target, join.on, isouter=join.is_outer)
        return statement

    def applied(self, statement: Statement) -> Statement:
        """``statement`` with the joins, and in this order alone."""
        clauses = [clause for key in self.keys for clause in key.clauses()]
        return self.join(statement).order_by(None).order_by(*clauses)

    def reversed(self) -> Ordering:
        return replace(self, keys=tuple(key.reversed() for key in self.keys))


@dataclass(frozen=True, slots=True)
class _Join:
    target: Any
    on: Any
    is_outer: bool


Known = Callable[[sa.FromClause], Table]
"""What the database knows of a table."""


def _nothing(table: sa.FromClause) -> Table:
    return Table()


def ordering(
    mapper: orm.Mapper[Any],
    orders: Sequence[Order],
    sortable: Mapping[str, Sequence[Path]],
    dialect: str = "",
    known: Known = _nothing,
) -> Ordering:
    """The order that ``orders`` ask for, made total; names that are not ``sortable`` are left out.

    ``known`` is asked where it helps to know that a foreign key always leads to a row.
    """
    made = _Maker(mapper, dialect, known)
    for order in orders:
        for path in sortable.get(order.key, ()):
            made.add(order, path)
    return made.total()


class _Maker:
    """Collects the keys of an order and the joins that they share."""

    def __init__(self, mapper: orm.Mapper[Any], dialect: str, known: Known) -> None:
        self.mapper, self.dialect, self.known = mapper, dialect, known
        self.keys: list[Key] = []
        self.named: set[str] = set()
        self.joins: dict[tuple[str, ...], _Join] = {}

    def add(self, order: Order, path: Path) -> None:
        if path.is_to_many:
            raise InvalidRequest(f"“{path.name}” has many values in a row; it gives no order.")
        entity, relationships = self.mapper.class_, path.relationships
        if path.relationship is None:
            entity, is_nullable = self._reach(relationships)
            self._append(order, entity, path.mapper, path.key, is_nullable)
            if not relationships:
                self.named.add(path.key)
        elif path.relationship.uselist:
            entity, _ = self._reach(relationships)
            self._key(order, members_count(entity, path.relationship), False)
        else:
            self._add_related(order, path)

    def _add_related(self, order: Order, path: Path) -> None:
        """The order of related rows is that of what names them, else of their keys."""
        relationship = path.relationship
        assert relationship is not None
        keys: Sequence[str] = inspection.label(relationship.mapper).keys
        if not keys:
            keys = tuple(
                k
                for c in relationship.local_columns
                if not path.relationships and (k := inspection.key_of(relationship.parent, c))
            )
            if keys:
                for key in keys:
                    self._append(order, self.mapper.class_, self.mapper, key, False)
                return
            keys = inspection.identity_keys(relationship.mapper)
        entity, is_nullable = self._reach((*path.relationships, relationship))
        for key in keys:
            self._append(order, entity, relationship.mapper, key, is_nullable)

    def _reach(self, relationships: Sequence[orm.RelationshipProperty[Any]]) -> tuple[Any, bool]:
        """The entity at the end of ``relationships``, joined, and whether it may be missing."""
        entity: Any = self.mapper.class_
        way: tuple[str, ...] = ()
        may_miss = False
        for relationship in relationships:
            way = (*way, relationship.key)
            if way not in self.joins:
                target = orm.aliased(relationship.mapper)
                on = getattr(entity, relationship.key).of_type(target)
                is_outer = may_miss or not always_leads(relationship, self.known)
                self.joins[way] = _Join(target, on, is_outer)
            entity, may_miss = self.joins[way].target, self.joins[way].is_outer
        return entity, may_miss

    def _append(
        self, order: Order, entity: Any, mapper: orm.Mapper[Any], key: str, may_miss: bool
    ) -> None:
        column = inspection.columns(mapper).get(key)
        own = column.column if column is not None else None
        is_key = column is not None and column.is_primary_key
        is_nullable = may_miss or not is_key
        self._key(order, getattr(entity, key), is_nullable, own)

    def _key(self, order: Order, expression: Any, is_nullable: bool, column: Any = None) -> None:
        key = Key(
            expression,
            order.descending,
            is_nullable or self._may_lack(column),
            self.dialect,
            column=column if isinstance(column, sa.Column) else None,
        )
        is_asked = order.nulls is not None and key.is_nullable
        if is_asked and (order.nulls == "last") != key.nulls_last:
            key = replace(key, nulls=order.nulls)
        self.keys.append(key)

    def _may_lack(self, column: Any) -> bool:
        """SQLite lets every primary key be NULL that is not its row number."""
        return self.dialect == "sqlite" and not isinstance(
            getattr(column, "type", None), sa.Integer
        )

    def total(self) -> Ordering:
        """The order with the primary key at its end."""
        descending = self.keys[-1].descending if self.keys else False
        is_total = True
        for name in inspection.identity_keys(self.mapper):
            column = inspection.columns(self.mapper)[name]
            if not inspection.is_orderable(column.type):
                is_total = False
            elif name not in self.named:
                own = column.column
                self.keys.append(
                    Key(
                        getattr(self.mapper.class_, name),
                        descending,
                        self._may_lack(own) or not getattr(own, "primary_key", False),
                        self.dialect,
                        column=own if isinstance(own, sa.Column) else None,
                    )
                )
        return Ordering(tuple(self.keys), tuple(self.joins.values()), is_total)


def always_leads(relationship: orm.RelationshipProperty[Any], known: Known) -> bool:
    """Whether the database keeps it so that every row has a row there.

    An inner join may then begin at the other table, with the index that gives the order.
    """
    if relationship.direction is not orm.RelationshipDirection.MANYTOONE:
        return False
    pairs = relationship.local_remote_pairs or ()
    target = relationship.mapper
    if target.single or target.inherits or not pairs:
        return False
    columns = tuple(local.name for local, _ in pairs)
    references = known(pairs[0][0].table).references
    return (columns, getattr(target.local_table, "name", None)) in references


def is_served(path: Path, known: Known) -> bool:
    """Whether rows can be read in the order of ``path`` from an index, none left out."""
    if any(step.uselist for step in path.steps) or path.hybrid is not None:
        return False
    columns = [path.column.column] if path.column is not None else []
    steps = path.steps
    if path.relationship is not None:
        target = path.relationship.mapper
        keys = inspection.label(target).keys
        columns = [inspection.columns(target)[key].column for key in keys]
        if not keys and not path.relationships:
            columns, steps = list(path.relationship.local_columns), ()
    for step in steps:
        local = [c for c, _ in step.local_remote_pairs or ()]
        if not always_leads(step, known) or not known(local[0].table).leads(local[0].name):
            return False
    first = columns[0] if columns else None
    return isinstance(first, sa.Column) and known(first.table).leads(first.name)
