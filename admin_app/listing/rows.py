"""`Listing`: from a mapped class and the state of a list to statements and their rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import inspection
from admin_app.inspection import Path
from admin_app.listing import arguments, searching
from admin_app.listing.loading import (
    AnySession,
    Statement,
    label_entity,
    label_options,
    load_chains,
    load_options,
    members_count,
)
from admin_app.listing.ordering import sort_expressions
from admin_app.listing.state import COUNT_LIMIT, Count, ListedRow, ListState, Order, Page
from admin_app.policy import Reach

JSON_HEAD = 600
"""Characters of JSON that are read for a list."""


@dataclass
class Listing:
    """A scoped, searchable, orderable view of the rows of ``mapper``.

    ``scope`` is the SELECT that everything is narrowed from, ``criteria`` are ANDed to it.
    ``columns`` are the paths that will be shown. ``sortable`` maps names to the paths to order by;
    ``default_order`` is used when a state names none, and the primary key always comes last, so
    that the order is total. ``refine`` narrows further (filters of Flask-Admin). ``reach`` is asked
    before a name of a URL is followed.
    """

    mapper: orm.Mapper[Any]
    scope: Statement | None = None
    criteria: Sequence[sa.ColumnElement[bool]] = ()
    columns: Sequence[Path] = ()
    searchable: Sequence[Path] = ()
    sortable: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    default_order: Sequence[Order] = ()
    page_size: int = 50
    page_sizes: Sequence[int] = ()
    max_page_size: int = 1_000
    refine: Callable[[Statement], Statement] | None = None
    reach: Reach = Reach()

    @property
    def model(self) -> type[Any]:
        return self.mapper.class_

    def parse(self, args: Mapping[str, str], positions: Sequence[str] = ()) -> ListState:
        """The state that URL arguments ask for; see `arguments.parse`."""
        return arguments.parse(self, args, positions)

    # Statements

    def base(self, search: str = "") -> Statement:
        """The rows in scope that match ``search``: no order, no limit, nothing loaded beside."""
        statement = sa.select(self.model) if self.scope is None else self.scope
        for criterion in self.criteria:
            statement = statement.where(criterion)
        if self.refine is not None:
            statement = self.refine(statement)
        for word in searching.words(search):
            statement = statement.where(self._matches(word))
        return statement

    def statement(self, state: ListState) -> Statement:
        """The rows of one page, with one row more than it shows, so that a next page is known."""
        statement = self.ordered(self.base(state.search), state.order)
        statement = self._with_extras(statement)
        return statement.limit(state.page_size + 1).offset(state.page * state.page_size)

    def ordered(self, statement: Statement, order: Sequence[Order]) -> Statement:
        """``statement`` in ``order``, or in the default order, made total by the primary key."""
        statement = statement.order_by(None)
        named: set[str] = set()
        for item in order or self.default_order:
            for path in self.sortable.get(item.key, ()):
                statement, expressions = sort_expressions(statement, self.model, path)
                for expression in expressions:
                    statement = statement.order_by(
                        expression.desc() if item.descending else expression.asc()
                    )
                if not path.relationships:
                    named.add(path.key)
        for key in inspection.identity_keys(self.mapper):
            column = inspection.columns(self.mapper)[key]
            if key not in named and inspection.is_orderable(column.type):
                statement = statement.order_by(getattr(self.model, key))
        return statement

    def _with_extras(self, statement: Statement, *, is_whole: bool = False) -> Statement:
        """``statement`` with all that `columns` show, in further columns and by loader options."""
        statement = statement.add_columns(*(e for _, e in self._extras(is_whole)))
        for _, key, target, target_key in self._referred():
            row = label_entity(target)
            statement = (
                statement.outerjoin(row, getattr(row, target_key) == getattr(self.model, key))
                .add_columns(row)
                .options(*label_options(target, row))
            )
        return statement.options(*load_options(self.mapper, self.columns))

    def _referred(self) -> list[tuple[str, str, orm.Mapper[Any], str]]:
        """The columns whose rows of another class are read along, for want of a relationship."""
        found: list[tuple[str, str, orm.Mapper[Any], str]] = []
        for path in self.columns:
            if path.column is None or path.relationships or path.column.is_primary_key:
                continue
            target = inspection.referred(self.mapper, path.key)
            if target is not None:
                found.append((path.name, path.key, *target))
        return found

    def _extras(self, is_whole: bool = False) -> list[tuple[str, sa.ColumnElement[Any]]]:
        """What is shown of a column instead of its value; of long JSON a list has the beginning."""
        extras: list[tuple[str, sa.ColumnElement[Any]]] = []
        for path in self.columns:
            if path.relationships:
                continue
            if path.column is not None and inspection.is_binary(path.column.type):
                size = sa.func.length(getattr(self.model, path.key), type_=sa.Integer)
                extras.append((path.name, size.label(None)))
            elif path.column is not None and inspection.is_json(path.column.type):
                text = sa.cast(getattr(self.model, path.key), sa.Text)
                cut = sa.func.substr(text, 1, JSON_HEAD, type_=sa.Text)
                extras.append((path.name, (text if is_whole else cut).label(None)))
            elif (
                path.relationship is not None
                and path.relationship.uselist
                and inspection.is_joinable(path.relationship)
            ):
                extras.append((path.name, members_count(self.model, path.relationship).label(None)))
        return extras

    # Execution

    def page(self, session: AnySession, state: ListState, count: bool = True) -> Page:
        """The rows of ``state``; counting them takes a statement unless the rows tell already."""
        found = session.execute(self.statement(state)).all()
        # A row of a view whose every column is NULL has no identity, thus no instance.
        rows = [self._listed(r) for r in found[: state.page_size] if r[0] is not None]
        load_chains(session, self._labelled(rows))
        has_next = len(found) > state.page_size
        total: Count | None = None
        if not has_next and (rows or state.page == 0):
            total = Count(state.page * state.page_size + len(rows))
        elif count:
            total = self.count(session, state.search)
        return Page(rows, has_next, total)

    def stream(self, session: AnySession, state: ListState) -> Iterator[Any]:
        """The instances of ``state``, read in pieces; a page size of 0 means all of them."""
        statement = self.ordered(self.base(state.search), state.order)
        statement = statement.options(*load_options(self.mapper, self.columns))
        if state.page_size:
            statement = statement.limit(state.page_size)
        pieces = session.scalars(statement.execution_options(yield_per=500))
        return iter(pieces)

    def count(
        self,
        session: AnySession,
        search: str = "",
        limit: int | None = COUNT_LIMIT,
    ) -> Count:
        """The number of rows matching ``search``, counted no further than ``limit``."""
        keys = [getattr(self.model, k) for k in inspection.identity_keys(self.mapper)]
        inner = (
            self.base(search).order_by(None).with_only_columns(*keys, maintain_column_froms=True)
        )
        if limit is not None:
            inner = inner.limit(limit + 1)
        number = session.scalar(sa.select(sa.func.count()).select_from(inner.subquery())) or 0
        if limit is not None and number > limit:
            return Count(limit, is_exact=False)
        return Count(number)

    def lookup(
        self,
        session: AnySession,
        search: str,
        limit: int,
        offset: int = 0,
    ) -> tuple[list[Any], bool]:
        """At most ``limit`` instances for a picker, labels loaded, and whether there are more."""
        statement = self.ordered(self.base(searching.cleaned(search, [])), ())
        statement = statement.options(*label_options(self.mapper))
        found = session.scalars(statement.limit(limit + 1).offset(offset)).all()
        load_chains(session, found)
        return list(found[:limit]), len(found) > limit

    def one(
        self,
        session: AnySession,
        identity: Sequence[Any],
        *,
        options: Sequence[Any] = (),
        lock: bool = False,
    ) -> Any | None:
        """The instance with ``identity`` if it is in scope, else None.

        ``lock`` reads the row afresh, FOR UPDATE where the database has it.
        """
        statement = self.base().options(*options)
        statement = statement.where(*self._has_identity(identity))
        if lock:
            statement = statement.with_for_update(of=self.model).execution_options(
                populate_existing=True
            )
        with _unreadable_keys(session):
            return session.scalars(statement).first()
        return None

    def row(self, session: AnySession, identity: Sequence[Any]) -> ListedRow | None:
        """The row with ``identity`` and all that `columns` need, if it is in scope."""
        statement = self._with_extras(self.base(), is_whole=True)
        statement = statement.where(*self._has_identity(identity))
        with _unreadable_keys(session):
            found = session.execute(statement).first()
            return None if found is None else self._listed(found)
        return None

    def having(self, session: AnySession, key: str, value: Any) -> list[Any]:
        """The instances in scope whose attribute ``key`` has ``value``."""
        statement = self.base().where(getattr(self.model, key) == value)
        return list(session.scalars(statement.options(*label_options(self.mapper))).unique())

    def many(self, session: AnySession, identities: Sequence[Sequence[Any]]) -> list[Any]:
        """The instances with these identities that are in scope, a thousand per statement."""
        keys = [getattr(self.model, k) for k in inspection.identity_keys(self.mapper)]
        found: list[Any] = []
        for start in range(0, len(identities), 1000):
            chunk = identities[start : start + 1000]
            criterion = (
                keys[0].in_([i[0] for i in chunk])
                if len(keys) == 1
                else sa.tuple_(*keys).in_([tuple(i) for i in chunk])
            )
            with _unreadable_keys(session):
                statement = self.base().where(criterion).options(*label_options(self.mapper))
                found += session.scalars(statement).unique().all()
        load_chains(session, found)
        return found

    def _labelled(self, rows: Iterable[ListedRow]) -> Iterator[Any]:
        """The related instances whose labels the columns show."""
        keys = [
            path.key
            for path in self.columns
            if path.relationship is not None
            and not path.relationships
            and inspection.is_to_one(path.relationship)
            and inspection.chain(path.relationship.mapper) is not None
        ]
        names = [name for name, *_ in self._referred()]
        for row in rows:
            found = [getattr(row.instance, key) for key in keys]
            found += [row.extras[name] for name in names]
            yield from (instance for instance in found if instance is not None)

    def _listed(self, found: Any) -> ListedRow:
        names = [name for name, _ in self._extras()]
        names += [name for name, *_ in self._referred()]
        return ListedRow(found[0], dict(zip(names, found[1 : len(names) + 1], strict=True)))

    def _has_identity(self, identity: Sequence[Any]) -> list[sa.ColumnElement[bool]]:
        keys = inspection.identity_keys(self.mapper)
        criteria: list[sa.ColumnElement[bool]] = []
        for key, value in zip(keys, identity, strict=True):
            attribute = getattr(self.model, key)
            # A REAL column equals no number of double precision unless that is rounded first.
            is_rounded = isinstance(attribute.type, sa.REAL | sa.FLOAT) and value is not None
            criteria.append(attribute == (sa.cast(value, attribute.type) if is_rounded else value))
        return criteria

    # Search

    def _matches(self, word: str) -> sa.ColumnElement[bool]:
        conditions = [
            condition
            for path in self.searchable
            if (condition := searching.condition(self.model, path, word)) is not None
        ]
        return sa.or_(*conditions) if conditions else sa.false()


@contextlib.contextmanager
def _unreadable_keys(session: AnySession) -> Iterator[None]:
    """Leave the block where the database says that a key of a URL is no value of its type.

    Only it knows what an inet, or a type of its own, looks like. Such a key has no row.
    """
    try:
        yield
    except sa.exc.DataError as error:
        code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
        if not str(code).startswith("22"):
            raise
        session.rollback()
