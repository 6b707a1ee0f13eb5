"""Reading one page: which rows, how many there are, and what leads to the pages around.

The keys of a page are found first, in a subquery with the order and the limit; what its columns
show is joined to those few rows. So a late page, or an order that no index gives, never joins the
rows that are not shown.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from admin_app import database, inspection
from admin_app.errors import InvalidRequest, OutOfTime
from admin_app.listing import counting, paging, tables
from admin_app.listing.loading import AnySession, Statement
from admin_app.listing.ordering import Key, Known, Ordering, is_served, ordering
from admin_app.listing.paging import Segment
from admin_app.listing.state import COUNT_LIMIT, Count, ListState, Page

if TYPE_CHECKING:
    from admin_app.listing.rows import Listing

LARGE = 200_000
"""Rows of a table from which on they are not counted, and an order without index is slow."""

SMALL = 4_000_000
"""Bytes of a table up to which it has few rows, whether it was ever analysed or not."""

GROUP = 10_000
"""Rows that share a value from which on they are worth a statement of their own."""

GATHERED = 8_000.0
"""PostgreSQL's cost of reading all rows, up to which they are read and sorted.

It would rather follow the primary key until enough rows have met the filter, which is quick where
they are spread evenly and reads the whole table where they are all at its end.
"""


def page(listing: Listing, session: AnySession, state: ListState, *, count: bool = True) -> Page:
    """The rows of ``state``, and their number if ``count`` asks for it.

    At most four statements: one for the rows (seldom two or three, where a page crosses from one
    range of an index into the next), the planner's estimate, the count; and, once in some minutes,
    one for what the database knows of the table.
    """
    try:
        return _page(listing, session, state, count)
    except sa.exc.OperationalError as error:
        if not database.was_stopped(error):
            raise
        session.rollback()
        told = _SEARCH_STOPPED if state.search else _STOPPED
        return Page([], False, None, notes=(told,), is_stopped=True)


_SEARCH_STOPPED = (
    "This search took too long and was stopped. Narrow it: by a filter, by more of the word, or by "
    "^ before a word for what begins with it and = for what is equal to it."
)
_STOPPED = (
    "This list took too long and was stopped. Narrow it by a filter, or order it by a column that "
    "has an index."
)


def _page(listing: Listing, session: AnySession, state: ListState, count: bool) -> Page:
    try:
        return _Reader(listing, session, state, count).page()
    except (InvalidRequest, sa.exc.DataError) as error:
        if state.after is state.before is state.at is None or not _is_about_values(error):
            raise
        told = str(error)
        if isinstance(error, sa.exc.DataError):
            session.rollback()
            told = "This page does not exist in the order of the list."
    start = replace(state, after=None, before=None, at=None)
    found = _Reader(listing, session, start, count).page()
    return replace(found, notes=(f"{told} This is its first page.",))


def statements(
    listing: Listing, session: AnySession, state: ListState
) -> tuple[Statement, Statement]:
    """The statement of a page as its rows alone, and as it is sent, with all that is shown.

    Where a page takes several, the first. InvalidRequest where there is no such page.
    """
    return _Reader(listing, session, state, count=True).statements()


def _is_about_values(error: Exception) -> bool:
    """Whether the database says that a value of a URL is none of its column's type."""
    if isinstance(error, InvalidRequest):
        return True
    origin = getattr(error, "orig", None)
    code = getattr(origin, "pgcode", None) or getattr(origin, "sqlstate", None)
    return str(code).startswith("22")


class _Reader:
    def __init__(
        self, listing: Listing, session: AnySession, state: ListState, count: bool
    ) -> None:
        self.listing, self.session, self.state = listing, session, state
        self.mapper = listing.mapper
        self.dialect: str = session.get_bind(mapper=self.mapper).dialect.name
        self.base = listing.asked(state)
        self.is_count_asked = count or state.is_counted
        self.counted: int | None = None
        """How many rows there are, where that came along with them."""
        self.total: Count | None = None
        """How many there are without search and filters, likewise."""

    @functools.cached_property
    def known(self) -> Known:
        connection = self.session.connection(bind_arguments={"mapper": self.mapper})
        return functools.cache(functools.partial(tables.known, connection))

    @property
    def table(self) -> tables.Table:
        return self.known(self.mapper.local_table)

    @property
    def size(self) -> int | None:
        """About how many rows the table has; None when that is not known without asking."""
        engine = self.session.get_bind(mapper=self.mapper).engine
        table = tables.remembered(engine, self.mapper.local_table)
        is_small = table.bytes is not None and table.bytes <= SMALL
        return table.facts.rows if table.rows is None and is_small else table.rows

    @functools.cached_property
    def keys_only(self) -> Statement:
        """All rows that the state asks for, without anything to be read of them."""
        keys = [getattr(self.mapper.class_, k) for k in inspection.identity_keys(self.mapper)]
        rows = self.base.order_by(None)
        return rows.with_only_columns(*keys, maintain_column_froms=True)

    @property
    def is_whole(self) -> bool:
        """Whether the rows are all those of one table."""
        is_narrowed = self.listing.scope is not None or self.base.whereclause is not None
        return not is_narrowed and not self.mapper.inherits

    @property
    def is_plain(self) -> bool:
        """Whether the rows are those of one table, by conditions that read no other."""
        listing, criterion = self.listing, self.base.whereclause
        if listing.scope is not None or listing.refine is not None or self.mapper.inherits:
            return False
        parts = () if criterion is None else visitors.iterate(criterion)
        return not any(isinstance(part, sa.SelectBase) for part in parts)

    @functools.cached_property
    def planned(self) -> counting.Estimate | None:
        """What the planner says; where the size of the table tells enough, it need not be asked."""
        if self.dialect != "postgresql":
            return None
        if self.is_whole and (rows := self.table.rows) is not None:
            return counting.Estimate(rows, counting.CHEAP * rows / LARGE)
        if self.is_plain and (size := self.table.bytes) is not None and size <= SMALL:
            return counting.Estimate(self.table.facts.rows, 0.0)
        state = self.state
        # Where nothing but the filters leaves rows out, they tell which are asked for.
        is_told = self.is_plain and not self.listing.criteria and not state.search
        known_as = (self.mapper, state.filters) if is_told else None
        return counting.estimate(self.session, self.mapper, self.keys_only, known_as)

    @property
    def is_large(self) -> bool:
        return self.planned is not None and not self.planned.is_cheap

    @functools.cached_property
    def is_gathered(self) -> bool:
        """Whether a filter leaves so few rows that all of them are best read and sorted."""
        is_narrowed = self.base.whereclause is not None and self.listing.scope is None
        planned = self.planned if is_narrowed and self.has_real_key else None
        return planned is not None and planned.cost <= GATHERED

    @property
    def counts_along(self) -> bool:
        """Whether the statement for the rows tells how many there are, too: it costs little."""
        return self.is_count_asked and self.planned is not None and self.planned.is_cheap

    def _count_column(self) -> list[sa.ColumnElement[int]]:
        if not self.counts_along or self.counted is not None:
            return []
        found: list[sa.ColumnElement[int]] = [_number(self.keys_only).label("row_count")]
        if self.is_part and self.size is not None and self.size < LARGE:
            found.append(_number(self.all_keys).label("row_total"))
        return found

    @property
    def is_part(self) -> bool:
        """Whether a search or filters leave rows out."""
        state = self.state
        return bool(state.search or state.filters or self.listing.refine)

    @functools.cached_property
    def all_keys(self) -> Statement:
        """All rows within reach, without search and filters."""
        rows = replace(self.listing, refine=None).base().order_by(None)
        keys = [getattr(self.mapper.class_, k) for k in inspection.identity_keys(self.mapper)]
        return rows.with_only_columns(*keys, maintain_column_froms=True)

    @functools.cached_property
    def order(self) -> Ordering:
        listing = self.listing
        orders = self.state.order or listing.default_order
        known = {"known": self.known} if self.is_large else {}
        return ordering(self.mapper, orders, listing.sortable, self.dialect, **known)

    @functools.cached_property
    def has_real_key(self) -> bool:
        """Whether a key has one row: a view may be mapped by a key that is none."""
        table = self.mapper.primary_key[0].table
        return (
            isinstance(table, sa.Table)
            and set(table.primary_key.columns) == set(self.mapper.primary_key)
            and inspection.is_read_only(self.mapper.class_) is None
            and not inspection.is_union(self.mapper)
        )

    @functools.cached_property
    def can_be_followed(self) -> bool:
        order = self.order
        return order.is_total and self.has_real_key and paging.can_be_followed(order.keys)

    def page(self) -> Page:
        state = self.state
        is_backward = state.before is not None or state.is_last
        order = self.order.reversed() if is_backward else self.order
        found = self._found(order)
        has_more = len(found) > state.page_size
        found = found[: state.page_size]
        if is_backward:
            found.reverse()
        rows = self.listing._listed(found)
        self.listing.settle(self.session, rows)
        is_within = bool(state.after or state.at or state.page)
        has_next = state.before is not None if is_backward else has_more
        total = self._count(len(rows), has_next, has_more) if self.is_count_asked else None
        return Page(
            rows,
            has_next,
            total,
            has_previous=has_more if is_backward else is_within,
            first=self._cursor(found[:1]),
            last=self._cursor(found[-1:]),
            slow=self._slow(total),
            by=self.order.keys[0].expression.type if self.can_be_followed else None,
            total=self._total() if rows and self.is_count_asked and self.is_part else None,
        )

    def statements(self) -> tuple[Statement, Statement]:
        state = self.state
        is_backward = state.before is not None or state.is_last
        order = self.order.reversed() if is_backward else self.order
        offset = state.page * state.page_size
        segment = self._segments(order)[0]
        rows = self.base
        if (state.after or state.before or state.at) and segment.criterion is not None:
            rows = rows.where(segment.criterion)
        rows = order.applied(rows).limit(state.page_size)
        rows = rows.offset(offset) if offset else rows
        return rows, self._statement(order, segment, state.page_size + 1, offset)

    # Rows

    def _found(self, order: Ordering) -> list[Any]:
        state, found = self.state, list[Any]()
        offset = state.page * state.page_size
        if self.is_whole and self.planned and offset > 2 * self.planned.rows + LARGE:
            # Nothing is there, and reading all rows to see that would be felt.
            return []
        for segment in self._segments(order):
            missing = state.page_size + 1 - len(found)
            found += self.session.execute(self._statement(order, segment, missing, offset)).all()
            if self.counts_along and self.counted is None and found:
                self.counted = found[0].row_count
                total = getattr(found[0], "row_total", None)
                self.total = None if total is None else Count(total)
            if len(found) > state.page_size:
                break
        return found

    def _segments(self, order: Ordering) -> Sequence[Segment]:
        state, keys = self.state, order.keys
        text = state.after or state.before
        if (text or state.at) and not self.can_be_followed:
            raise InvalidRequest("The list has no such page in this order.")
        if text:
            values = paging.values_of(keys, text)
            group = self._group(order, values[0]) if self._is_grouped(order) else None
            found = paging.segments(keys, values, is_grouped=group is not None)
            return _gathered(found) if group == "small" else found
        if state.at:
            value = paging.value_of(keys[0], state.at)
            return paging.segments(keys, [value], is_start=True)
        if state.page:
            return [Segment(None, keys)]
        if self.can_be_followed and self._is_grouped(order):
            first = self._first_value(order)
            group = None if first is None else self._group(order, first[0])
            if group is not None:
                found = paging.group(keys, first[0])
                return _gathered(found) if group == "small" else found
        return paging.whole(keys)

    def _is_grouped(self, order: Ordering) -> bool:
        """Whether an index leads to large groups that share a value, and to no order in them."""
        column = order.keys[0].column
        if not self.is_large or order.joins or column is None or len(order.keys) < 2:
            return False
        if not isinstance(column.table, sa.Table) or column.table is not self.mapper.local_table:
            return False
        names = [key.column.name for key in order.keys[:2] if key.column is not None]
        table = self.table
        distinct = dict(table.distinct).get(column.name, 0)
        is_indexed = table.leads(column.name) and not table.leads(*names)
        return is_indexed and 0 < distinct < (table.rows or 0) / GROUP

    def _group(self, order: Ordering, value: Any) -> Literal["small", "large"] | None:
        """How the rows that have ``value`` in the first key are best read by themselves, if at all.

        The next key leads to 50 of a large group soon; a small one is read whole and sorted.
        """
        rows = self.keys_only.where(paging.same(order.keys[0], value))
        planned = counting.estimate(self.session, self.mapper, rows)
        if planned is None:
            return None
        if planned.rows > GROUP:
            return "large"
        is_split = self.listing.scope is None and self.has_real_key
        return "small" if is_split and planned.cost <= GATHERED else None

    def _first_value(self, order: Ordering) -> Any:
        """The value of the first key in the first row, in a tuple; None when there is no row."""
        key = order.keys[0]
        first = self.base.with_only_columns(key.expression, maintain_column_froms=True)
        return self.session.execute(first.order_by(*key.clauses()).limit(1)).first()

    def _statement(self, order: Ordering, segment: Segment, limit: int, offset: int) -> Statement:
        """The rows of ``segment`` with all that is shown; last what they are ordered by."""
        listing = self.listing
        rows = self.base if segment.criterion is None else self.base.where(segment.criterion)
        rows = order.join(rows).order_by(None)
        values = paging.expressions(order.keys)
        is_split = listing.scope is None and self.has_real_key
        is_gathered = self.is_gathered or segment.is_gathered
        if not is_split or not (order.joins or offset or is_gathered or listing.reads_more):
            rows = rows.order_by(*_clauses(segment.keys)).limit(limit)
            rows = rows.offset(offset) if offset else rows
            plain = [value.label(None) for value in values]
            return listing._with_extras(rows).add_columns(*self._count_column(), *plain)
        names = inspection.identity_keys(self.mapper)
        own = [getattr(self.mapper.class_, name) for name in names]
        labelled = [value.label(f"by_{number}") for number, value in enumerate(values)]
        columns = [column.label(f"key_{number}") for number, column in enumerate(own)]
        found = rows.with_only_columns(*columns, *labelled, maintain_column_froms=True)
        if is_gathered:
            # An offset, be it 0, keeps PostgreSQL from following an order before it has all rows.
            all_rows = found.offset(0).subquery("gathered")
            places = _places(order, all_rows)
            found = sa.select(all_rows)
        else:
            places = None
        found = found.order_by(*_clauses(segment.keys, places)).limit(limit)
        keys = (found.offset(offset) if offset else found).subquery("page")
        on = [self._equal(c, keys.c[f"key_{number}"]) for number, c in enumerate(own)]
        shown = listing._with_extras(sa.select(self.mapper.class_).join(keys, sa.and_(*on)))
        by: list[Any] = [keys.c[f"by_{number}"] for number in range(len(values))]
        shown = shown.add_columns(*self._count_column(), *by)
        return shown.order_by(*_clauses(segment.keys, _places(order, keys)))

    def _equal(self, column: Any, other: Any) -> sa.ColumnElement[bool]:
        may_be_null = self.dialect == "sqlite" and not isinstance(column.type, sa.Integer)
        equal: sa.ColumnElement[bool] = (
            column.is_not_distinct_from(other) if may_be_null else column == other
        )
        return equal

    def _cursor(self, found: Sequence[Any]) -> str | None:
        if not found or not self.can_be_followed:
            return None
        keys = self.order.keys
        return paging.text_of(keys, tuple(found[0][-len(keys) :]))

    # What is said of them

    def _count(self, shown: int, has_next: bool, has_more: bool) -> Count | None:
        state = self.state
        if self.counted is not None:
            return Count(self.counted)
        is_placed = not (state.after or state.before or state.at)
        if is_placed and not has_next and not has_more and (shown or not state.page):
            return Count(state.page * state.page_size + shown)
        if state.is_counted:
            counted = counting.exact(self.session, self.mapper, self.keys_only)
            if counted is not None:
                return counted
        if self.planned is None and self.is_part:
            return self._counts()
        table = self.table if self.is_large else None
        return counting.count(self.session, self.mapper, self.keys_only, self.planned, table)

    def _counts(self) -> Count | None:
        """The number of rows up to a limit, and in the same statement that of all rows."""
        found: Count | None = None
        with contextlib.suppress(OutOfTime):
            rows = (self.keys_only, self.all_keys)
            found, self.total = counting.both(self.session, self.mapper, rows)
        return found

    def _total(self) -> Count | None:
        """How many rows there are without search and filters; None where counting them costs."""
        if self.total is not None:
            return self.total
        if self.dialect == "postgresql" and (self.size is None or self.size >= LARGE):
            is_all = not self.listing.is_narrowed
            if self.size is None or not is_all or self.mapper.inherits:
                return None
            return Count(self.size, is_exact=False, is_estimate=True)
        with contextlib.suppress(OutOfTime):
            limit, seconds = COUNT_LIMIT, counting.SECONDS
            return counting.limited(self.session, self.mapper, self.all_keys, limit, seconds)
        return None

    def _slow(self, count: Count | None) -> frozenset[str]:
        if not self.is_large and (count is None or count.is_exact):
            return frozenset()
        return frozenset(self._unserved(self.listing.sortable.items()))

    def _unserved(self, sortable: Iterable[tuple[str, Sequence[Any]]]) -> Iterable[str]:
        return (n for n, paths in sortable if paths and not is_served(paths[0], self.known))


def _number(rows: Statement) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(rows.subquery()).scalar_subquery()


def _gathered(segments: Sequence[Segment]) -> list[Segment]:
    """``segments``, the first of which is read whole and sorted."""
    return [replace(segments[0], is_gathered=True), *segments[1:]]


def _places(order: Ordering, rows: sa.FromClause) -> dict[int, Any]:
    """Where the expressions of ``order`` are in the subquery ``rows``."""
    return {id(key.expression): rows.c[f"by_{n}"] for n, key in enumerate(order.keys)}


def _clauses(keys: Sequence[Key], places: dict[int, Any] | None = None) -> list[Any]:
    """ORDER BY ``keys``, by the columns that stand for their expressions where there are such."""
    return [
        clause
        for key in keys
        for clause in key.clauses(None if places is None else places[id(key.expression)])
    ]
