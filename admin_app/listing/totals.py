"""Sums, averages and extremes of the columns of a list, over all of its rows and group by group.

One statement with a budget of time answers all that is asked of the whole list and of the groups on
a page; only where that takes too long the groups are asked for alone. Decimals come out exact on
every database: SQLite, which stores them as binary fractions, is asked to add up whole units of the
last digit.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from admin_app import database, inspection
from admin_app.columns import is_sortable
from admin_app.errors import OutOfTime
from admin_app.inspection import Path
from admin_app.listing.loading import AnySession
from admin_app.listing.ordering import Ordering, ordering
from admin_app.listing.state import ListState, Order, Total

if TYPE_CHECKING:
    from admin_app.listing.rows import Listing

SECONDS = 2.0
"""What the totals of a list may take, with those of its groups."""

FUNCTIONS = ("sum", "avg", "min", "max")

_EXTREMES = ("min", "max")


@dataclass(frozen=True, slots=True)
class Group:
    """The rows that share a value: how many in the whole list, and their totals."""

    count: int
    values: Mapping[Total, Any]


@dataclass(frozen=True, slots=True)
class Totals:
    """What was asked of a list; a part that would have taken too long is None."""

    whole: Group | None = None
    groups: Mapping[tuple[Any, ...], Group] | None = None


# What can be asked


def functions(path: Path) -> Sequence[str]:
    """The totals that the values of ``path`` have."""
    if path.relationship is not None:
        return FUNCTIONS if path.relationship.uselist and is_sortable(path) else ()
    type_ = type_of(path)
    if type_ is None or not is_sortable(path) or _is_reference(path):
        return ()
    stored = inspection.stored_type(type_)
    if inspection.is_number(type_):
        # What a type of the program's own makes of a number may be nothing that can be added.
        return _EXTREMES if inspection.is_decorated(type_) else FUNCTIONS
    return _EXTREMES if isinstance(stored, sa.Date | sa.DateTime | sa.Time | sa.Interval) else ()


def _is_reference(path: Path) -> bool:
    column = path.column
    return column is not None and bool(column.is_primary_key or column.foreign_keys)


def type_of(path: Path) -> sa.types.TypeEngine[Any] | None:
    """The type of the values of ``path`` in SQL; None where they are made in Python."""
    if path.relationship is not None:
        return sa.Integer() if path.relationship.uselist else None
    if path.column is not None:
        return path.column.type
    if path.hybrid is None or not is_sortable(path):
        return None
    found: sa.types.TypeEngine[Any] = getattr(path.mapper.class_, path.key).type
    return found


def can_group(path: Path) -> bool:
    """Whether rows that share a value of ``path`` are worth being shown together."""
    if not is_sortable(path) or path.column is not None and path.column.is_primary_key:
        return False
    if path.relationship is not None:
        return not path.relationship.uselist
    type_ = type_of(path)
    if type_ is None or inspection.is_long_text(type_) or inspection.is_decorated(type_):
        return False
    stored = inspection.stored_type(type_)
    return isinstance(stored, sa.String | sa.Enum | sa.Boolean | sa.Integer | sa.Date | sa.Uuid)


def grouped(listing: Listing, state: ListState) -> ListState:
    """``state`` with the order that keeps the rows of a group together."""
    group = state.group
    if group is None:
        return state
    rest = [o for o in state.order or listing.default_order if o.key != group.key]
    return replace(state, order=(group, *rest))


def value_of(listing: Listing, group: Order, instance: Any) -> tuple[Any, ...]:
    """The value that decides to which group a row belongs."""
    found: list[Any] = []
    for path in listing.sortable[group.key]:
        owner = instance
        for relationship in path.relationships:
            owner = None if owner is None else getattr(owner, relationship.key)
        if path.relationship is None:
            found.append(None if owner is None else getattr(owner, path.key))
            continue
        keys, is_local = _related_keys(path)
        related = owner if is_local or owner is None else getattr(owner, path.key)
        found += [None if related is None else getattr(related, key) for key in keys]
    return tuple(found)


def _related_keys(path: Path) -> tuple[Sequence[str], bool]:
    """What related rows are ordered by (see `ordering`), and whether the row itself holds it."""
    relationship = path.relationship
    assert relationship is not None
    keys: Sequence[str] = inspection.label(relationship.mapper).keys
    if keys:
        return keys, False
    local = [
        k
        for column in relationship.local_columns
        if not path.relationships and (k := inspection.key_of(relationship.parent, column))
    ]
    return (local, True) if local else (inspection.identity_keys(relationship.mapper), False)


# Reading


def read(
    listing: Listing, session: AnySession, state: ListState, values: Sequence[tuple[Any, ...]]
) -> Totals:
    """What ``state`` asks for; ``values`` are those of the groups on the page (`value_of`)."""
    asked = _Asked(listing, session, state)
    parts = asked.groups(list(dict.fromkeys(values))) if state.group and values else None
    whole = asked.whole(0 if parts is None else len(values[0])) if state.totals else None
    found = asked.read(parts, whole)
    if found is None and parts is not None and whole is not None:
        # Few groups may be quick to find where the whole list is not.
        found = asked.read(parts, None)
    return found or Totals()


class _Asked:
    def __init__(self, listing: Listing, session: AnySession, state: ListState) -> None:
        self.listing, self.session, self.state = listing, session, state
        self.dialect: str = session.get_bind(mapper=listing.mapper).dialect.name
        self.types: dict[Total, sa.types.TypeEngine[Any]] = {}

    def _rows(self, order: Ordering, wanted: Sequence[Any]) -> sa.Subquery:
        """The rows of the list, with what is asked of them as columns ``c0``, ``c1`` …"""
        base = self.listing.asked(self.state).order_by(None)
        labelled = [expression.label(f"c{at}") for at, expression in enumerate(wanted)]
        if not labelled:
            labelled = [sa.literal(1).label("c0")]
        return order.join(base.with_only_columns(*labelled, maintain_column_froms=True)).subquery()

    def _order(self, names: Sequence[str], group: Order | None) -> tuple[Ordering, list[Any]]:
        """The joins that all names need, and the expressions: the group's, then one a name."""
        listing = self.listing
        assert listing.offers is not None
        paths = {name: [path] for name in names if (path := listing.offers.path(name))}
        sorts: dict[str, Sequence[Path]] = {f"total {name}": p for name, p in paths.items()}
        orders = [Order(key) for key in sorts]
        if group is not None:
            sorts["group"] = listing.sortable[group.key]
            orders.insert(0, Order("group"))
        made = ordering(listing.mapper, orders, sorts, self.dialect)
        length = len(sorts) - (group is not None)
        if group is not None:
            length += sum(
                1 if path.relationship is None else len(_related_keys(path)[0])
                for path in sorts["group"]
            )
        return made, [key.expression for key in made.keys[:length]]

    def _names(self) -> list[str]:
        return list(dict.fromkeys(total.name for total in self.state.totals))

    def _functions(self, columns: Sequence[Any]) -> list[sa.ColumnElement[Any]]:
        """The number of rows; then, a column, how many values there are, sum, least, greatest."""
        wanted: list[sa.ColumnElement[Any]] = [sa.func.count()]
        for name, column in zip(self._names(), columns, strict=True):
            asked = {t.function for t in self.state.totals if t.name == name}
            is_added = not asked.isdisjoint({"sum", "avg"})
            null = sa.null()
            wanted += [
                sa.func.count(column) if "avg" in asked else null,
                self._sum(column) if is_added else null,
                sa.func.min(column) if "min" in asked else null,
                sa.func.max(column) if "max" in asked else null,
            ]
        return [expression.label(f"t{at}") for at, expression in enumerate(wanted)]

    def _sum(self, column: Any) -> sa.ColumnElement[Any]:
        digits = _digits(column.type)
        if self.dialect != "sqlite" or digits is None:
            return sa.func.sum(column)
        unit = sa.type_coerce(column, sa.Float) * sa.literal(float(10**digits), sa.Float)
        return sa.func.sum(sa.cast(sa.func.round(unit), sa.Integer), type_=sa.Integer)

    def _read(self, columns: Sequence[Any], found: Sequence[Any]) -> Group:
        """``found`` as `_functions` asked for it."""
        count, rest = found[0], list(found[1:])
        values: dict[Total, Any] = {}
        for name, column in zip(self._names(), columns, strict=True):
            (number, summed, least, greatest), rest = rest[:4], rest[4:]
            digits = _digits(column.type)
            if summed is not None and digits is not None:
                exact = decimal.Decimal(summed)
                summed = exact.scaleb(-digits) if self.dialect == "sqlite" else exact
            elif isinstance(summed, decimal.Decimal) and _is_whole(column.type):
                summed = int(summed)
            told = {"sum": summed, "avg": _average(summed, number, digits)}
            told |= {"min": least, "max": greatest}
            values |= {t: told[t.function] for t in self.state.totals if t.name == name}
        return Group(count, values)

    def _execute(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Sequence[Any] | None:
        mapper = self.listing.mapper
        try:
            with database.budget(self.session, SECONDS, mapper):
                return self.session.execute(statement, bind_arguments={"mapper": mapper}).all()
        except OutOfTime:
            return None
        except sa.exc.OperationalError as error:
            if self.dialect == "sqlite" and "overflow" in str(error.orig):
                return None
            raise

    def whole(self, size: int) -> _Part:
        """What is asked of all rows, with nothing in place of the ``size`` keys of a group."""
        order, expressions = self._order(self._names(), None)
        rows = self._rows(order, expressions)
        columns = list(rows.c)[: len(expressions)]
        keys = [sa.null().label(f"key{at}") for at in range(size)]
        told: list[Any] = [_IS_WHOLE, *keys, *self._functions(columns)]
        return _Part(sa.select(*told).select_from(rows), columns, size)

    def groups(self, values: Sequence[tuple[Any, ...]]) -> _Part:
        """What is asked of the groups that have one of ``values``."""
        group = self.state.group
        assert group is not None
        order, expressions = self._order(self._names(), group)
        size = len(values[0])
        rows = self._rows(order, expressions)
        keys, columns = list(rows.c)[:size], list(rows.c)[size:]
        statement = (
            sa.select(_IS_GROUP, *keys, *self._functions(columns))
            .select_from(rows)
            .where(_is_one_of(keys, values))
            .group_by(*keys)
        )
        return _Part(statement, columns, size)

    def read(self, groups: _Part | None, whole: _Part | None) -> Totals | None:
        """What both parts tell, in one statement; None where that takes too long."""
        parts = [part for part in (groups, whole) if part is not None]
        if not parts:
            return Totals()
        # The types of the keys are those of the part that comes first.
        statements = [part.statement for part in parts]
        found = self._execute(sa.union_all(*statements) if len(parts) > 1 else statements[0])
        if found is None:
            return None
        every: Group | None = None
        by_value: dict[tuple[Any, ...], Group] = {}
        for is_whole, *row in found:
            part = whole if is_whole else groups
            assert part is not None
            told = self._read(part.columns, row[part.size :])
            if is_whole:
                every = told
            else:
                by_value[tuple(row[: part.size])] = told
        return Totals(every, None if groups is None else by_value)


@dataclass(frozen=True, slots=True)
class _Part:
    """A statement that tells of ``columns``, after the ``size`` keys of a group."""

    statement: sa.Select[Any]
    columns: Sequence[Any]
    size: int


_IS_GROUP = sa.literal_column("0", sa.Integer).label("is_whole")
_IS_WHOLE = sa.literal_column("1", sa.Integer).label("is_whole")


def _digits(type_: sa.types.TypeEngine[Any]) -> int | None:
    """The digits after the point of exact decimals; None for other numbers."""
    stored = inspection.stored_type(type_)
    is_exact = isinstance(stored, sa.Numeric) and not isinstance(stored, sa.Float)
    return stored.scale if is_exact and stored.asdecimal else None  # type: ignore[attr-defined]


def _is_whole(type_: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(inspection.stored_type(type_), sa.Integer)


def _average(summed: Any, number: int | None, digits: int | None) -> Any:
    if summed is None or not number:
        return None
    if isinstance(summed, float):
        return summed / number
    exact = decimal.Decimal(summed) / number
    if not exact.is_finite():
        return exact
    return exact.quantize(decimal.Decimal(1).scaleb(-max(digits or 0, 2)))


def _is_one_of(keys: Sequence[Any], values: Sequence[tuple[Any, ...]]) -> sa.ColumnElement[bool]:
    if len(keys) == 1:
        held = [value[0] for value in values if value[0] is not None]
        criterion: sa.ColumnElement[bool] = keys[0].in_(held)
        return criterion if len(held) == len(values) else sa.or_(criterion, keys[0].is_(None))
    return sa.or_(
        *(
            sa.and_(
                *(k.is_(None) if v is None else k == v for k, v in zip(keys, value, strict=True))
            )
            for value in values
        )
    )
