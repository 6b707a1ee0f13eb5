"""`Listing`: from a mapped class and the state of a list to statements and their rows."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import database, filters, inspection
from admin_app.columns import Offers
from admin_app.filters import EVERYTHING, Group
from admin_app.inspection import Path
from admin_app.listing import arguments, counting, reading, searching, suggesting
from admin_app.listing.indexes import Facts
from admin_app.listing.loading import (
    AnySession,
    Statement,
    collection_options,
    count_members,
    label_entity,
    label_options,
    load_chains,
    load_options,
    members_count,
    note_reach,
    read_stored,
    referred,
)
from admin_app.listing.ordering import ordering
from admin_app.listing.state import COUNT_LIMIT, Count, ListedRow, ListState, Order, Page
from admin_app.policy import Reach

JSON_HEAD = 600
"""Characters of JSON that are read for a list."""

PIECE = 500
"""Rows that an export holds at once."""


@dataclass
class Listing:
    """A scoped, searchable, orderable view of the rows of ``mapper``.

    ``scope`` is the SELECT that everything is narrowed from, ``criteria`` are ANDed to it.
    ``columns`` are the paths that will be shown. ``sortable`` maps names to the paths to order by;
    ``default_order`` is used when a state names none, and the primary key always comes last, so
    that the order is total. ``refine`` narrows further (filters of Flask-Admin). ``reach`` is asked
    before a name of a URL is followed. ``offers`` are the columns that a URL may choose; without
    them it may not. ``indexes`` tells a search which indexes its tables have; ``search_hook`` makes
    another condition of the text that is searched for and of what would be searched by itself.
    ``dialect`` is SQLAlchemy's name of the database; ``filterable`` are the paths through
    relationships that a URL may filter by, None for all of them.
    """

    mapper: orm.Mapper[Any]
    scope: Statement | None = None
    criteria: Sequence[sa.ColumnElement[bool]] = ()
    columns: Sequence[Path] = ()
    searchable: Sequence[searching.Field] = ()
    sortable: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    default_order: Sequence[Order] = ()
    page_size: int = 50
    page_sizes: Sequence[int] = ()
    max_page_size: int = 1_000
    refine: Callable[[Statement], Statement] | None = None
    reach: Reach = Reach()
    offers: Offers | None = None
    indexes: Callable[[Iterable[sa.Table]], Facts | None] | None = None
    dialect: str = ""
    filterable: Iterable[str] | None = None
    search_hook: Callable[[str, sa.ColumnElement[bool]], sa.ColumnElement[bool]] | None = None

    @property
    def model(self) -> type[Any]:
        return self.mapper.class_

    @property
    def is_narrowed(self) -> bool:
        """Whether it leaves out rows before anybody has searched or filtered."""
        return self.scope is not None or bool(self.criteria)

    def parse(self, args: Mapping[str, str], positions: Sequence[str] = ()) -> ListState:
        """The state that URL arguments ask for; see `arguments.parse`."""
        return arguments.parse(self, args, positions)

    # Statements

    def base(
        self,
        search: str = "",
        wanted: Group = EVERYTHING,
        searched: searching.Search | None = None,
    ) -> Statement:
        """The rows in scope that match ``search`` and the filters ``wanted``.

        No order, no limit, nothing loaded beside. ``searched`` looks into other fields than those
        of the listing.
        """
        statement = sa.select(self.model) if self.scope is None else self.scope
        for criterion in self.criteria:
            statement = statement.where(criterion)
        if self.refine is not None:
            statement = self.refine(statement)
        if wanted:
            criterion = filters.criterion(wanted, self.model, self.reach, self.dialect)
            statement = statement.where(criterion)
        words = searching.words(search)
        if words:
            found = (searched or self.searched).condition(words)
            if self.search_hook is not None:
                found = self.search_hook(search, found)
            statement = statement.where(found)
        return statement

    @property
    def searched(self) -> searching.Search:
        """What a search looks into, with what the database tells of its indexes."""
        tables = searching.tables(self.mapper, self.searchable)
        facts = None if self.indexes is None else self.indexes(tables)
        return searching.Search(self.mapper, self.searchable, self.reach, facts)

    def asked(self, state: ListState) -> Statement:
        """All rows that ``state`` asks for, on whatever page: no order, no limit."""
        return self.base(state.search, state.filters)

    def reads_every_row(self, session: AnySession, state: ListState) -> bool:
        """Whether a search reads a large table from end to end, for want of an index."""
        wanted = searching.words(state.search)
        if not wanted or self.indexes is None:
            return False
        searched = self.searched
        if not searched.is_large or searched.is_served(wanted):
            return False
        if not state.filters:
            return True
        # A filter may lead to few rows.
        plan = database.plan_of(session, self.base(state.search, state.filters), self.mapper)
        name = getattr(self.mapper.local_table, "name", "")
        return plan is None or any(n.is_scan and n.table == name for n in plan.nodes)

    def statement(self, state: ListState) -> Statement:
        """The rows of a numbered page, and one more, so that a next page is known."""
        statement = self._with_extras(self.ordered(self.asked(state), state.order))
        return statement.limit(state.page_size + 1).offset(state.page * state.page_size)

    def ordered(self, statement: Statement, order: Sequence[Order], dialect: str = "") -> Statement:
        """``statement`` in ``order``, or in the default order, made total by the primary key."""
        orders = order or self.default_order
        return ordering(self.mapper, orders, self.sortable, dialect).applied(statement)

    @property
    def reads_more(self) -> bool:
        """Whether the columns show what is not in the table of the rows."""
        is_joined = any(path.steps for path in self.columns)
        return is_joined or bool(self._extras() or self._referred())

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

    def _referred(self) -> tuple[tuple[str, str, orm.Mapper[Any], str], ...]:
        """The columns whose rows of another class are read along, for want of a relationship."""
        return referred(self.mapper, self.columns)

    def _extras(self, is_whole: bool = False) -> list[tuple[str, sa.ColumnElement[Any]]]:
        """What is shown of a column instead of its value; of long JSON a list has the beginning."""
        extras: list[tuple[str, sa.ColumnElement[Any]]] = [
            (path.name, members_count(self.model, relationship, self.reach).label(None))
            for path, relationship in self._collections()
        ]
        for path in self.columns:
            if path.relationships:
                continue
            if path.column is not None and inspection.is_binary(path.column.type):
                size = sa.func.length(getattr(self.model, path.key), type_=sa.Integer)
                extras.append((path.name, size.label(None)))
            elif path.column is not None and inspection.is_json(path.column.type):
                text = inspection.json_as_stored(getattr(self.model, path.key))
                cut = sa.func.substr(text, 1, JSON_HEAD, type_=sa.Text)
                extras.append((path.name, (text if is_whole else cut).label(None)))
        return extras

    def _collections(self) -> list[tuple[Path, orm.RelationshipProperty[Any]]]:
        """The collections of the rows themselves that are shown."""
        return [
            (path, path.relationship)
            for path in self.columns
            if path.relationship is not None
            and path.relationship.uselist
            and not path.relationships
            and inspection.is_joinable(path.relationship)
        ]

    # Execution

    def page(self, session: AnySession, state: ListState, count: bool = True) -> Page:
        """The rows of ``state``, and, if ``count`` asks for it, how many there are in all."""
        return reading.page(self, session, state, count=count)

    def stream(
        self, session: AnySession, state: ListState, whole: Container[str] = ()
    ) -> Iterator[Any]:
        """The instances of ``state``, read in pieces; a page size of 0 means all of them.

        Collections that `columns` show are counted (`members_counted`); those named in ``whole``
        are loaded instead. Either takes one statement a piece.
        """
        dialect = session.get_bind(mapper=self.mapper).dialect.name
        counted = [path for path, _ in self._collections() if path.name not in whole]
        documents = [path for path in self.columns if _is_own_json(path)]
        statement = self.ordered(self.asked(state), state.order, dialect)
        statement = statement.options(*load_options(self.mapper, self.columns))
        statement = statement.options(*collection_options(self.mapper, self.columns, whole))
        if state.page_size:
            statement = statement.limit(state.page_size)
        found = session.scalars(statement.execution_options(yield_per=PIECE))
        for piece in found.partitions():
            instances = [instance for instance in piece if instance is not None]
            self.settle(session, [ListedRow(one, {}) for one in instances])
            for path in counted:
                count_members(session, path, instances, self.reach)
            if documents and instances:
                read_stored(session, documents, instances)
            yield from instances

    def count(
        self,
        session: AnySession,
        search: str = "",
        limit: int | None = COUNT_LIMIT,
        wanted: Group = EVERYTHING,
    ) -> Count:
        """The number of rows matching ``search`` and ``wanted``, counted up to ``limit``."""
        keys = [getattr(self.model, k) for k in inspection.identity_keys(self.mapper)]
        rows = self.base(search, wanted).order_by(None)
        rows = rows.with_only_columns(*keys, maintain_column_froms=True)
        return counting.limited(session, self.mapper, rows, limit)

    def lookup(
        self,
        session: AnySession,
        search: str,
        limit: int,
        offset: int = 0,
    ) -> tuple[list[Any], bool]:
        """At most ``limit`` instances for a picker, labels loaded, and whether there are more.

        What begins with the text comes first; see `suggesting.lookup`.
        """
        return suggesting.lookup(self, session, search, limit, offset)

    def one(
        self,
        session: AnySession,
        identity: Sequence[Any],
        *,
        options: Sequence[Any] = (),
        lock: bool = False,
        noted: Iterable[str] = (),
    ) -> Any | None:
        """The instance with ``identity`` if it is in scope, else None.

        Of the one related row that an attribute ``noted`` holds it is noted whether it is in reach.
        ``lock`` reads the row afresh, FOR UPDATE where the database has it.
        """
        statement = self.base().options(*options)
        statement = statement.where(*self._has_identity(identity))
        if lock and not inspection.is_union(self.mapper):
            statement = statement.with_for_update(of=self.model).execution_options(
                populate_existing=True
            )
        with _unreadable_keys(session):
            found = session.scalars(statement).first()
            if found is not None:
                note_reach(session, self._held(found, noted), self.reach)
            return found
        return None

    def _held(self, instance: Any, keys: Iterable[str]) -> Iterator[Any]:
        """The rows that relationships of ``instance`` to one row hold, and that are loaded."""
        known, state = inspection.relationships(self.mapper), sa.inspect(instance)
        for key in keys:
            if key in known and inspection.is_to_one(known[key]) and key not in state.unloaded:
                held = state.dict.get(key)
                if held is not None:
                    yield held

    def row(self, session: AnySession, identity: Sequence[Any]) -> ListedRow | None:
        """The row with ``identity`` and all that `columns` need, if it is in scope."""
        statement = self._with_extras(self.base(), is_whole=True)
        statement = statement.where(*self._has_identity(identity))
        with _unreadable_keys(session):
            found = session.execute(statement).first()
            rows = [] if found is None else self._listed([found])
            self.settle(session, rows)
            return rows[0] if rows else None
        return None

    def rows_of(
        self, session: AnySession, identities: Sequence[Sequence[Any]], *, lock: bool = False
    ) -> list[ListedRow]:
        """The rows in scope with these identities, by key, and all that `columns` need.

        ``lock`` reads them afresh, FOR UPDATE where the database has it.
        """
        if not identities:
            return []
        keys = [getattr(self.model, k) for k in inspection.identity_keys(self.mapper)]
        criterion = (
            keys[0].in_([i[0] for i in identities])
            if len(keys) == 1
            else sa.tuple_(*keys).in_([tuple(i) for i in identities])
        )
        criteria = (criterion, *inspection.own_rows(self.mapper))
        statement = self.ordered(self._with_extras(self.base()).where(*criteria), ())
        if lock and not inspection.is_union(self.mapper):
            # Always in the order of the keys: two who lock the same rows cannot block each other.
            statement = statement.order_by(None).order_by(*keys).with_for_update(of=self.model)
            statement = statement.execution_options(populate_existing=True)
        with _unreadable_keys(session):
            rows = self._listed(session.execute(statement))
            self.settle(session, rows)
            return rows
        return []

    def having(self, session: AnySession, key: str, value: Any) -> list[Any]:
        """The instances in scope whose attribute ``key`` has ``value``."""
        own = inspection.own_rows(self.mapper)
        statement = self.base().where(getattr(self.model, key) == value, *own)
        return list(session.scalars(statement.options(*label_options(self.mapper))).unique())

    def many(self, session: AnySession, identities: Sequence[Sequence[Any]]) -> list[Any]:
        """The instances with these identities that are in scope, a thousand per statement."""
        keys = [getattr(self.model, k) for k in inspection.identity_keys(self.mapper)]
        own = inspection.own_rows(self.mapper)
        found: list[Any] = []
        for start in range(0, len(identities), 1000):
            chunk = identities[start : start + 1000]
            criterion = (
                keys[0].in_([i[0] for i in chunk])
                if len(keys) == 1
                else sa.tuple_(*keys).in_([tuple(i) for i in chunk])
            )
            with _unreadable_keys(session):
                statement = self.base().where(criterion, *own)
                statement = statement.options(*label_options(self.mapper))
                found += session.scalars(statement).unique().all()
        load_chains(session, found)
        return found

    def settle(self, session: AnySession, rows: Sequence[ListedRow]) -> None:
        """Read what rows that were just read still need: labels, and what of them may be seen."""
        load_chains(session, self._labelled(rows))
        known: dict[orm.Mapper[Any], bool] = {}

        def is_narrowed(mapper: orm.Mapper[Any]) -> bool:
            if mapper not in known:
                known[mapper] = self.reach.rows(mapper) is not None
            return known[mapper]

        ways = {
            tuple(r.key for r in _to_one(path))
            for path in self.columns
            if any(is_narrowed(r.mapper) for r in _to_one(path))
        }
        names = [name for name, _, target, _ in self._referred() if is_narrowed(target)]
        if ways or names:
            note_reach(session, _followed(rows, ways, names), self.reach)

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
            found += [row.extras[name] for name in names if name in row.extras]
            yield from (instance for instance in found if instance is not None)

    def _listed(self, found: Iterable[Any]) -> list[ListedRow]:
        """What was found, row by row, without rows that are none.

        A row of a view whose every column is NULL has no identity, thus no instance.
        """
        names = [name for name, _ in self._extras()]
        names += [name for name, *_ in self._referred()]
        rows = (row for row in found if row[0] is not None)
        return [ListedRow(row[0], dict(zip(names, row[1:], strict=False))) for row in rows]

    def _has_identity(self, identity: Sequence[Any]) -> list[sa.ColumnElement[bool]]:
        keys = inspection.identity_keys(self.mapper)
        criteria = inspection.own_rows(self.mapper)
        for key, value in zip(keys, identity, strict=True):
            attribute = getattr(self.model, key)
            # A REAL column equals no number of double precision unless that is rounded first.
            is_rounded = isinstance(attribute.type, sa.REAL | sa.FLOAT) and value is not None
            criteria.append(attribute == (sa.cast(value, attribute.type) if is_rounded else value))
        return criteria


def _to_one(path: Path) -> Iterator[orm.RelationshipProperty[Any]]:
    """The relationships of ``path`` up to the first that leads to many rows."""
    return itertools.takewhile(inspection.is_to_one, path.steps)


def _followed(
    rows: Iterable[ListedRow], ways: Iterable[Sequence[str]], names: Iterable[str]
) -> Iterator[Any]:
    """The related instances that attributes lead to, and those that were read along by name."""
    for row in rows:
        yield from (row.extras[n] for n in names if row.extras.get(n) is not None)
        for way in ways:
            instance = row.instance
            for key in way:
                instance = getattr(instance, key)
                if instance is None:
                    break
                yield instance


def _is_own_json(path: Path) -> bool:
    """Whether ``path`` is a column of the rows themselves that holds JSON."""
    if path.column is None or path.relationships:
        return False
    return inspection.is_json(path.column.type)


@contextlib.contextmanager
def _unreadable_keys(session: AnySession) -> Iterator[None]:
    """Leave the block where the database says that a key of a URL is no value of its type.

    Only it knows what an inet, or a type of its own, looks like. Such a key has no row.
    """
    try:
        yield
    except sa.exc.DataError as error:
        if not is_unreadable(error):
            raise
        session.rollback()


def is_unreadable(error: sa.exc.DataError) -> bool:
    """Whether the database says that a value of a statement is none of its type."""
    code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
    return str(code).startswith("22")
