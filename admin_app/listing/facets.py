"""Facets: what there is in the rows of a list, value by value, each with its number of rows.

A facet counts the rows that meet everything else that the list is narrowed by, its own filter left
out, so that its numbers tell what a click would show. It takes one grouped statement (and one for
the labels of related rows) and a time budget of its own: a facet that needs longer says so, and
the others go on. Values come as the texts that filters of a URL are written with.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import columns, database, filters, inspection, moments
from admin_app.errors import InvalidRequest, OutOfTime
from admin_app.filters import Condition, Group, Target, kinds
from admin_app.listing.loading import AnySession, Statement, label_options, load_chains
from admin_app.listing.rows import Listing
from admin_app.listing.state import ListState
from admin_app.policy import Reach

SECONDS = 0.5
"""What one facet may take."""

SECONDS_IN_ALL = 2.0

MOST_FACETS = 12
"""Facets that are chosen by their types."""

FEW = 20
"""Distinct values of a column that makes a facet by itself."""

SHORT, LONG = 8, 100
"""Values of a facet, and of one that was asked to be long."""

_SAMPLE = 2_000
_MOST_YEARS = 60
_PERIOD = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a facet: ``text`` as a filter has it, None for rows without a value.

    ``count`` is None where it could not be told in time.
    """

    text: str | None
    words: str
    count: int | None = None
    is_selected: bool = False


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of one column or relationship.

    ``operator`` is the filter's that a value is chosen by. A facet of times is about the period
    ``within`` (all times when it is empty), and its values are the years, months or days there.
    ``is_late`` tells that the database was stopped.
    """

    target: Target
    values: Sequence[Value] = ()
    has_more: bool = False
    is_late: bool = False
    operator: str = "is"
    within: str = ""
    is_chosen: bool = False
    """Whether the list is filtered by ``within``, or by a part of it."""

    @property
    def name(self) -> str:
        return self.target.name


def found(
    listing: Listing,
    session: AnySession,
    state: ListState,
    names: Iterable[str] | None = None,
    long: Iterable[str] = (),
    *,
    seconds: float = SECONDS,
) -> list[Facet]:
    """The facets ``names``, or those that the types of columns make, with their numbers.

    ``long`` are names of facets that show more of their values.
    """
    counter = _Counter(listing, session, state, seconds)
    long = set(long)
    return [counter.facet(t, LONG if t.name in long else SHORT) for t in counter.targets(names)]


def groups(target: Target) -> bool:
    """Whether a facet can be made of ``target``."""
    if target.json_path or any(r.uselist for r in target.steps):
        return False
    if target.row_mapper is not None:
        return True
    fitting = kinds.Choice | kinds.Boolean | kinds.Text | kinds.Number | kinds.Moment
    return isinstance(_inner(target.kind), fitting) and target.path.hybrid is None


def _inner(kind: kinds.Kind) -> kinds.Kind:
    return kind.inner if isinstance(kind, kinds.Decorated) else kind


class _Counter:
    def __init__(
        self, listing: Listing, session: AnySession, state: ListState, seconds: float
    ) -> None:
        self.listing = listing
        self.session = session
        self.state = state
        self.seconds = seconds
        self.end = time.monotonic() + SECONDS_IN_ALL
        self.dialect = session.get_bind(mapper=listing.mapper).dialect.name
        self._joined: dict[str, list[Any]] = {}

    # Which

    def targets(self, names: Iterable[str] | None) -> list[Target]:
        mapper, reach = self.listing.mapper, self.listing.reach
        if names is None:
            return self._by_type()[:MOST_FACETS]
        targets: list[Target] = []
        for name in names:
            try:
                target = filters.target(mapper, name, reach, self.dialect)
            except InvalidRequest:
                # What this visitor may not read makes no facet.
                continue
            allowed = self.listing.filterable
            may_filter = not target.steps or allowed is None or target.name in allowed
            targets += [target] if may_filter and groups(target) else []
        return targets

    def _by_type(self) -> list[Target]:
        known = filters.targets(self.listing.mapper, self.listing.reach, self.dialect)
        shown = columns.shown(self.listing.mapper)
        targets = [t for t in known if t.name in shown and groups(t)]
        few = self._few([t for t in targets if self._has_to_be_few(t)])
        listed = {path.name for path in self.listing.columns}
        targets = [t for t in targets if not self._has_to_be_few(t) or t.name in few]
        targets = [t for t in targets if not _is_unique(t)]
        return sorted(targets, key=lambda t: (t.name not in listed, shown.index(t.name)))

    def _has_to_be_few(self, target: Target) -> bool:
        return target.row_mapper is None and isinstance(
            _inner(target.kind), kinds.Text | kinds.Number
        )

    def _few(self, targets: Sequence[Target]) -> set[str]:
        """Which of ``targets`` have few values, each in several rows, by a sample of rows."""
        candidates = [t for t in targets if _may_be_few(t)]
        if not candidates:
            return set()
        inner = self._select([getattr(self.listing.model, t.path.key) for t in candidates], Group())
        sample = inner.limit(_SAMPLE).subquery()
        numbers = [sa.func.count(sa.distinct(c)) for c in sample.c[: len(candidates)]]
        try:
            with database.budget(self.session, self.seconds, self.listing.mapper):
                row = self.session.execute(sa.select(sa.func.count(), *numbers).select_from(sample))
                total, *counts = row.one()
        except OutOfTime:
            return set()
        return {
            t.name
            for t, n in zip(candidates, counts, strict=True)
            if 0 < n <= FEW and n * 4 <= total
        }

    # What is in it

    def facet(self, target: Target, size: int) -> Facet:
        facet = Facet(target)
        if time.monotonic() > self.end:
            return self._uncounted(facet)
        try:
            with database.budget(self.session, self.seconds, self.listing.mapper):
                if target.row_mapper is not None:
                    return self._of_rows(facet, target.row_mapper, size)
                if isinstance(_inner(target.kind), kinds.Moment):
                    return _Times(self, target).facet()
                return self._of_values(facet, size)
        except OutOfTime:
            return self._uncounted(facet)

    def _uncounted(self, facet: Facet) -> Facet:
        """A facet without numbers; where its values are known, they can be chosen all the same."""
        chosen = self._chosen(facet.target)
        known = facet.target.kind.choices()
        values = [Value(text, words, None, text in chosen) for text, words in known]
        operator = "is"
        if isinstance(_inner(facet.target.kind), kinds.Moment):
            operator = "during"
        return dataclasses.replace(facet, values=values, is_late=True, operator=operator)

    def _of_values(self, facet: Facet, size: int) -> Facet:
        target, kind = facet.target, facet.target.kind
        column: Any = self._column(target)
        if isinstance(_inner(kind), kinds.Text):
            # As it is stored, and an empty text counts as none: both as in the filter.
            kind = _inner(kind)
            column = sa.func.nullif(sa.type_coerce(column, sa.String()), "", type_=sa.String())
        chosen = self._chosen(target)
        known = [self._read(kind, text) for text in chosen if text is not None]
        counted = self._grouped([column], target, [(v,) for v in known if v is not None], size)
        values = [self._value(kind, value, n, chosen) for (value, n) in counted[:size]]
        rest = [t for t in chosen if t not in {v.text for v in values}]
        values += [Value(t, self._words(kind, t), 0, True) for t in rest]
        if len(counted) <= size and isinstance(_inner(kind), kinds.Choice):
            there = {v.text for v in values}
            others = [(t, w) for t, w in kind.choices() if t not in there]
            values += [Value(t, w, 0) for t, w in others[: max(0, size - len(values))]]
        if isinstance(target.kind, kinds.Decorated) and kind is not target.kind:
            values = [self._as_loaded(target.kind, value) for value in values]
        return dataclasses.replace(facet, values=values, has_more=len(counted) > size)

    def _as_loaded(self, kind: kinds.Decorated, value: Value) -> Value:
        """``value``, which is text as it is stored, in the words of the program."""
        if value.text is None:
            return value
        return dataclasses.replace(value, words=str(inspection.loaded(kind.type, value.text)))

    def _value(self, kind: kinds.Kind, value: Any, count: int, chosen: Sequence[Any]) -> Value:
        text = _text(kind, value)
        return Value(text, self._words(kind, text), count, text in chosen)

    def _words(self, kind: kinds.Kind, text: str | None) -> str:
        return "Empty" if text is None else kind.words(text)

    def _read(self, kind: kinds.Kind, text: str) -> Any:
        try:
            return kind.read(text)
        except ValueError:
            return None

    def _of_rows(self, facet: Facet, mapper: orm.Mapper[Any], size: int) -> Facet:
        target = facet.target
        text_of = inspection.identity_text(mapper)
        chosen = self._chosen(target)
        identities = [text_of.decode(text) for text in chosen if text is not None]
        counted = self._grouped(self._keys(target, mapper), target, identities, size)
        counts = {tuple(identity): n for *identity, n in counted[:size]}
        nothing = (None,) * len(mapper.primary_key)
        wanted = [i for i in dict.fromkeys([*counts, *identities]) if None not in i]
        labels = self._labels(mapper, wanted)
        values = [
            Value(text_of.encode(i), labels[i], counts.get(i, 0), text_of.encode(i) in chosen)
            for i in wanted
            if i in labels
        ]
        if nothing in counts or None in chosen:
            values.append(Value(None, "Empty", counts.get(nothing, 0), None in chosen))
        values.sort(key=lambda v: -(v.count or 0))
        return dataclasses.replace(facet, values=values, has_more=len(counted) > size)

    def _labels(
        self, mapper: orm.Mapper[Any], identities: Sequence[tuple[Any, ...]]
    ) -> dict[tuple[Any, ...], str]:
        """What the rows in reach with these identities are called."""
        if not identities:
            return {}
        rows = self.listing.reach.rows(mapper)
        statement = sa.select(mapper.class_) if rows is None else rows
        own = [getattr(mapper.class_, key) for key in inspection.identity_keys(mapper)]
        statement = statement.where(_is_one_of(own, identities)).options(*label_options(mapper))
        instances = self.session.scalars(statement).unique().all()
        load_chains(self.session, instances)
        label = inspection.label(mapper)
        return {tuple(mapper.primary_key_from_instance(i)): label.of(i) for i in instances}

    def _chosen(self, target: Target) -> list[str | None]:
        """The values that the list is filtered by, None among them for rows without one."""
        found: list[str | None] = []
        for member in self.state.filters.members:
            if isinstance(member, Condition) and member.path == target.name:
                if member.operator == "is":
                    found += member.values
                elif member.operator == "empty":
                    found.append(None)
        return found

    # Statements

    def others(self, target: Target) -> Group:
        """What the list is filtered by without the filter of ``target`` itself."""
        group = self.state.filters
        kept = [
            member
            for member in group.members
            if not isinstance(member, Condition)
            or member.path != target.name
            or member.operator not in ("is", "empty", "during")
        ]
        return dataclasses.replace(group, members=tuple(kept))

    def _select(self, wanted: Sequence[Any], group: Group) -> Statement:
        """``wanted`` of the rows that meet the search and ``group``, with their keys behind."""
        statement = self.listing.base(self.state.search, group)
        model, mapper = self.listing.model, self.listing.mapper
        keys = [getattr(model, key) for key in inspection.identity_keys(mapper)]
        return statement.order_by(None).with_only_columns(
            *(column.label(f"value_{n}") for n, column in enumerate(wanted)),
            *(key.label(f"key_{n}") for n, key in enumerate(keys)),
            maintain_column_froms=True,
        )

    def rows(self, target: Target, wanted: Sequence[Any]) -> Statement:
        """As `_select`, with the joins that lead to the column or the rows of ``target``."""
        statement = self._select(wanted, self.others(target))
        entity: Any = self.listing.model
        for step, row in zip(target.path.steps, self._aliases(target), strict=False):
            statement = statement.outerjoin(row, getattr(entity, step.key).of_type(row))
            narrowed = _in_reach(self.listing.reach, step.mapper, row)
            if narrowed is not None:
                statement = statement.where(narrowed)
            entity = row
        if target.relationship is not None and target.relationship.uselist:
            statement = statement.distinct()
        return statement

    def _aliases(self, target: Target) -> list[Any]:
        """One alias for each step to be joined; the last step of a foreign key needs none."""
        known = self._joined.setdefault(target.name, [])
        steps = target.path.relationships
        if target.relationship is not None and _own_keys(target.relationship) is None:
            steps = target.path.steps
        while len(known) < len(steps):
            known.append(orm.aliased(steps[len(known)].mapper.class_, flat=True))
        return known

    def _column(self, target: Target) -> Any:
        aliases = self._aliases(target)
        return getattr(aliases[-1] if aliases else self.listing.model, target.path.key)

    def _keys(self, target: Target, mapper: orm.Mapper[Any]) -> list[Any]:
        """The columns that hold the identity of the related row."""
        aliases = self._aliases(target)
        if target.relationship is None:
            return [self._column(target)]
        own = _own_keys(target.relationship)
        if own is None:
            return [getattr(aliases[-1], key) for key in inspection.identity_keys(mapper)]
        entity = aliases[-1] if aliases else self.listing.model
        return [getattr(entity, key) for key in own]

    def _grouped(
        self,
        wanted: Sequence[Any],
        target: Target,
        first: Sequence[tuple[Any, ...]],
        size: int,
    ) -> Sequence[Any]:
        """Values with their numbers of rows, those of ``first`` before the most frequent ones."""
        inner = self.rows(target, wanted).subquery()
        values = list(inner.c)[: len(wanted)]
        number = sa.func.count()
        order: list[Any] = [number.desc(), *values]
        if first:
            order.insert(0, sa.case((_is_one_of(values, first), 0), else_=1))
        statement = sa.select(*values, number).group_by(*values).order_by(*order).limit(size + 1)
        return self.session.execute(statement).all()


class _Times:
    """A facet of dates: the years, months or days of a period, in the operator's zone."""

    def __init__(self, counter: _Counter, target: Target) -> None:
        self.counter = counter
        self.target = target
        self.kind = target.kind
        self.column: Any = counter._column(target)
        self.chosen = self._period()

    def _period(self) -> str:
        """The year, month or day that the list is filtered by; empty without such a filter."""
        for member in self.counter.state.filters.members:
            if (
                isinstance(member, Condition)
                and (member.path, member.operator) == (self.target.name, "during")
                and len(member.values) == 1
                and _PERIOD.fullmatch(member.values[0])
            ):
                return member.values[0]
        return ""

    def facet(self) -> Facet:
        facet = Facet(self.target, operator="during")
        within = self.chosen[:7]
        if not within:
            ends = self._ends()
            if ends is None:
                return facet
            within = _common(*ends)
            parts = _years(*ends) if not within else _parts(within)
        else:
            parts = _parts(within)
        values = self._count(parts)
        is_chosen = bool(self.chosen)
        return dataclasses.replace(facet, values=values, within=within, is_chosen=is_chosen)

    def _ends(self) -> tuple[dt.date, dt.date] | None:
        """The first and the last day that there is, None where there is none."""
        inner = self.counter.rows(self.target, [self.column]).subquery()
        column = list(inner.c)[0]
        row = self.counter.session.execute(sa.select(sa.func.min(column), sa.func.max(column)))
        first, last = (self._day(end) for end in row.one())
        return None if first is None or last is None else (first, last)

    def _day(self, value: Any) -> dt.date | None:
        if isinstance(value, dt.datetime):
            is_aware = getattr(_inner(self.kind), "is_aware", False)
            return moments.local(value).date() if is_aware else value.date()
        return value if isinstance(value, dt.date) else None

    def _count(self, parts: Sequence[str]) -> list[Value]:
        """The numbers of rows in ``parts``, neighbouring periods, by one statement."""
        spans = [self.kind.span(part) for part in parts]
        bounds = [span.start for span in spans]
        if any(bound is None for bound in bounds):
            return []
        place = _place(self.column, bounds, 0, len(bounds))
        statement = self.counter.rows(self.target, [place])
        statement = statement.where(self.column >= bounds[0])
        if spans[-1].end is not None:
            statement = statement.where(self.column < spans[-1].end)
        inner = statement.subquery()
        column = list(inner.c)[0]
        counted = self.counter.session.execute(sa.select(column, sa.func.count()).group_by(column))
        counts: dict[Any, int] = {row[0]: row[1] for row in counted}
        return [
            Value(part, self.kind.words(part), counts.get(n, 0), part == self.chosen)
            for n, part in enumerate(parts)
        ]


def _place(column: Any, bounds: Sequence[Any], low: int, high: int) -> Any:
    """Between which of ``bounds`` a column lies, as halving finds it: five comparisons for 31."""
    if high - low == 1:
        return sa.literal(low, sa.Integer())
    middle = (low + high) // 2
    return sa.case(
        (column < bounds[middle], _place(column, bounds, low, middle)),
        else_=_place(column, bounds, middle, high),
    )


def _common(first: dt.date, last: dt.date) -> str:
    """The deepest period that holds both days and has several parts."""
    if first.year != last.year:
        return ""
    return f"{first:%Y}" if first.month != last.month else f"{first:%Y-%m}"


def _years(first: dt.date, last: dt.date) -> list[str]:
    # A date far off is a slip of a finger; what is near now is what is looked for.
    end = min(last.year, max(first.year, moments.local(dt.datetime.now(dt.UTC)).year) + 10)
    start = max(first.year, end - _MOST_YEARS + 1)
    return [f"{year:04}" for year in range(start, end + 1)]


def _parts(period: str) -> list[str]:
    """The months of a year, or the days of a month."""
    year, _, month = period.partition("-")
    if not month:
        return [f"{year}-{number:02}" for number in range(1, 13)]
    first = dt.date(int(year), int(month), 1)
    length = ((first + dt.timedelta(days=31)).replace(day=1) - first).days
    return [f"{period}-{day:02}" for day in range(1, length + 1)]


def _own_keys(relationship: orm.RelationshipProperty[Any]) -> list[str] | None:
    """The attributes that hold the key of the related row; None where it has to be joined."""
    if relationship.direction is not orm.RelationshipDirection.MANYTOONE:
        return None
    pairs = {remote: local for local, remote in relationship.local_remote_pairs or ()}
    primary = relationship.mapper.primary_key
    if relationship.secondary is not None or set(pairs) != set(primary):
        return None
    keys = [inspection.key_of(relationship.parent, pairs[column]) for column in primary]
    return None if None in keys else [key for key in keys if key is not None]


def _in_reach(reach: Reach, mapper: orm.Mapper[Any], row: Any) -> Any:
    """That ``row``, joined from outside, is absent or may be seen; None where all may."""
    rows = reach.rows(mapper)
    if rows is None:
        return None
    keys = inspection.identity_keys(mapper)
    inner = rows.order_by(None).with_only_columns(
        *(getattr(mapper.class_, key) for key in keys), maintain_column_froms=True
    )
    own = [getattr(row, key) for key in keys]
    there = (own[0] if len(own) == 1 else sa.tuple_(*own)).in_(inner.correlate(None))
    return sa.or_(own[0].is_(None), there)


def _is_one_of(own: Sequence[Any], identities: Sequence[tuple[Any, ...]]) -> Any:
    if len(own) == 1:
        return own[0].in_([identity[0] for identity in identities])
    return sa.or_(*(sa.and_(*(c == v for c, v in zip(own, i, strict=True))) for i in identities))


def _is_unique(target: Target) -> bool:
    """Whether each row has a value of its own, or hardly any two share one."""
    relationship = target.relationship
    if relationship is None:
        return getattr(target.path.column and target.path.column.column, "unique", None) is True
    if relationship.uselist:
        return True
    own = relationship.local_columns
    return relationship.direction is not orm.RelationshipDirection.MANYTOONE or any(
        getattr(column, "unique", None) for column in own
    )


def _may_be_few(target: Target) -> bool:
    column = target.path.column
    return (
        column is not None
        and not target.steps
        and not column.is_primary_key
        and not column.is_deferred
        and not column.is_expression
        and not inspection.is_long_text(column.type)
        and column.column is not target.path.mapper.version_id_col
        and inspection.is_orderable(column.type)
    )


def _text(kind: kinds.Kind, value: Any) -> str | None:
    """``value`` as a filter of its kind is written; None where only «empty» asks for it."""
    if isinstance(kind, kinds.Decorated):
        return _text(kind.inner, None if value is None else inspection.bound(kind.type, value))
    if isinstance(kind, kinds.Boolean):
        return "unknown" if value is None else "true" if value else "false"
    if value is None:
        return None
    if isinstance(kind, kinds.Choice):
        return next((name for name, member in kind.members.items() if member == value), str(value))
    return str(value)
