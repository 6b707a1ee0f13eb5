"""Rows of one mapped class, as a page, a count, a picker or an export wants them.

A `Listing` knows what may be shown, searched and ordered by; a `ListState` is what one URL asks
of it. Together they make the statements: `Listing.statement` for the rows with everything that
their columns need (related labels by join, sizes of binaries and counts of collections as extra
columns, so a page costs one statement for its rows whatever its columns are), `Listing.count`,
`Listing.page` and `Listing.lookup`.

Every name that comes from a URL is looked up in a dictionary made from the mapper; what is not
there is ignored and said so in `ListState.notes`. Nothing of the web is known here.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import inspection
from admin_app.errors import InvalidRequest
from admin_app.inspection import Path

COUNT_LIMIT = 10_000
"""Rows are counted up to here; beyond, a count is said to be «10,000+»."""

MAX_WORDS = 20
MAX_SEARCH_LENGTH = 1_000

Statement = sa.Select[Any]
AnySession = orm.Session | orm.scoped_session[Any]


@dataclass(frozen=True, slots=True)
class Order:
    """One key to order by, a name in `Listing.sortable`."""

    key: str
    descending: bool = False

    def __str__(self) -> str:
        return "-" + self.key if self.descending else self.key


@dataclass(frozen=True, slots=True)
class ListState:
    """What one URL asks of a listing; pages are numbered from 0.

    ``notes`` are sentences about arguments that meant nothing and were set aside.
    """

    search: str = ""
    order: tuple[Order, ...] = ()
    page: int = 0
    page_size: int = 50
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows there are, or, when ``is_exact`` is false, at least are."""

    number: int
    is_exact: bool = True

    def __str__(self) -> str:
        return f"{self.number:,}" + ("" if self.is_exact else "+")


@dataclass(frozen=True, slots=True)
class ListedRow:
    """One row: the instance, and what was computed beside it, by column name."""

    instance: Any
    extras: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page; ``count`` is None when it was not asked for."""

    rows: list[ListedRow]
    has_next: bool
    count: Count | None


@dataclass
class Listing:
    """A scoped, searchable, orderable view of the rows of ``mapper``.

    ``scope`` is the SELECT that everything is narrowed from, ``criteria`` are ANDed to it.
    ``columns`` are the paths that will be shown. ``sortable`` maps names to the paths to order by;
    ``default_order`` is used when a state names none, and the primary key always comes last, so
    that the order is total. ``refine`` narrows further (the filters).
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

    @property
    def model(self) -> type[Any]:
        return self.mapper.class_

    # From a URL

    def parse(self, args: Mapping[str, str], positions: Sequence[str] = ()) -> ListState:
        """The state that URL arguments ask for.

        ``sort`` is a comma-separated list of names, ``-`` before a name turns it round; a number
        is understood as a position in ``positions``, and ``desc`` as its direction, as in links of
        Flask-Admin. ``page`` counts from 0. Arguments without meaning become notes; InvalidRequest
        only for a search text that no database could take.
        """
        notes: list[str] = []
        return ListState(
            search=_clean_search(args.get("search", ""), notes),
            order=self._parse_order(args, positions, notes),
            page=self._parse_page(args.get("page", ""), notes),
            page_size=self._parse_page_size(args.get("page_size", "")),
            notes=tuple(notes),
        )

    def _parse_order(
        self, args: Mapping[str, str], positions: Sequence[str], notes: list[str]
    ) -> tuple[Order, ...]:
        order: list[Order] = []
        for name in filter(None, args.get("sort", "").split(",")[:10]):
            key, descending = name.removeprefix("-"), name.startswith("-")
            if key.isascii() and key.isdigit() and key not in self.sortable:
                index = int(key[:4])
                key = positions[index] if index < len(positions) else key
            if args.get("desc", "") not in ("", "0"):
                descending = True
            if key in self.sortable:
                if all(o.key != key for o in order):
                    order.append(Order(key, descending))
            else:
                notes.append(f"The list cannot be ordered by “{inspection.shorten(key)}”.")
        return tuple(order)

    def _parse_page(self, text: str, notes: list[str]) -> int:
        if not text:
            return 0
        if re.fullmatch(r"[0-9]{1,12}", text):
            return int(text)
        notes.append(f"There is no page “{inspection.shorten(text)}”; this is the first.")
        return 0

    def _parse_page_size(self, text: str) -> int:
        if re.fullmatch(r"[0-9]{1,6}", text):
            size = int(text)
            if size in self.page_sizes or 0 < size <= self.page_size:
                return min(size, self.max_page_size)
        return self.page_size

    # Statements

    def base(self, search: str = "") -> Statement:
        """The rows in scope that match ``search``: no order, no limit, nothing loaded beside."""
        statement = sa.select(self.model) if self.scope is None else self.scope
        for criterion in self.criteria:
            statement = statement.where(criterion)
        if self.refine is not None:
            statement = self.refine(statement)
        for word in _search_words(search):
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
                statement, expressions = _sort_expressions(statement, self.model, path)
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

    def _with_extras(self, statement: Statement) -> Statement:
        """``statement`` with all that `columns` show, in further columns and by loader options."""
        statement = statement.add_columns(*(e for _, e in self._extras()))
        for _, key, target, target_key in self._referred():
            row = _label_entity(target)
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

    def _extras(self) -> list[tuple[str, sa.ColumnElement[Any]]]:
        extras: list[tuple[str, sa.ColumnElement[Any]]] = []
        for path in self.columns:
            if path.relationships:
                continue
            if path.column is not None and inspection.is_binary(path.column.type):
                size = sa.func.length(getattr(self.model, path.key), type_=sa.Integer)
                extras.append((path.name, size.label(None)))
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
        statement = self.ordered(self.base(_clean_search(search, [])), ())
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
        statement = self._with_extras(self.base())
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
            if (condition := _path_condition(self.model, path, word)) is not None
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


def members_count(entity: Any, relationship: orm.RelationshipProperty[Any]) -> sa.ScalarSelect[int]:
    """How many members a to-many relationship of each ``entity`` row has, as a subquery."""
    target = orm.aliased(relationship.mapper)
    return (
        sa.select(sa.func.count())
        .select_from(target)
        .where(getattr(entity, relationship.key).of_type(target).expression)
        .correlate(entity)
        .scalar_subquery()
    )


def members(session: AnySession, instance: Any, key: str, limit: int) -> list[Any]:
    """At most ``limit`` members of the collection ``key`` of ``instance``, by key, with labels."""
    mapper = sa.inspect(instance).mapper
    target = inspection.relationships(mapper)[key].mapper
    statement = (
        sa.select(target.class_)
        .where(orm.with_parent(instance, getattr(mapper.class_, key)))
        .options(*label_options(target))
        .order_by(*(getattr(target.class_, k) for k in inspection.identity_keys(target)))
        .limit(limit)
    )
    found = list(session.scalars(statement).unique())
    load_chains(session, found)
    return found


def load_chains(session: AnySession, instances: Iterable[Any]) -> None:
    """Load what stands above ``instances`` in trees whose ``__str__`` tells the whole way there.

    All levels that are missing come in one recursive statement for each class.
    """
    starts: dict[orm.RelationshipProperty[Any], list[Any]] = {}
    for instance in instances:
        relationship = inspection.chain(sa.inspect(instance).mapper)
        if relationship is not None:
            starts.setdefault(relationship, []).append(instance)
    for relationship, group in starts.items():
        (local,) = relationship.local_columns
        key = relationship.parent.get_property_by_column(local).key
        tops = [top for i in group if (top := _top(i, relationship.key)) is not None]
        missing = {value for top in tops if (value := getattr(top, key)) is not None}
        if missing:
            # The session holds rows weakly, so each is set at once on the row below it.
            above = session.scalars(_all_above(relationship, missing)).unique().all()
            for instance in (*tops, *above):
                getattr(instance, relationship.key)


def _top(instance: Any, key: str) -> Any:
    """The first row whose ``key`` is not loaded, on the way that it leads from ``instance``."""
    seen: set[int] = set()
    while instance is not None and id(instance) not in seen:
        if key in sa.inspect(instance).unloaded:
            return instance
        seen.add(id(instance))
        instance = getattr(instance, key)
    return None


def _all_above(relationship: orm.RelationshipProperty[Any], keys: set[Any]) -> Statement:
    model, mapper = relationship.mapper.class_, relationship.mapper
    ((local, remote),) = relationship.local_remote_pairs or ()
    above, parent = (getattr(model, mapper.get_property_by_column(c).key) for c in (remote, local))
    way = sa.select(above.label("id"), parent.label("parent")).where(above.in_(keys))
    found = way.cte("above", recursive=True)
    # UNION, not UNION ALL: a circle of rows comes to an end.
    found = found.union(sa.select(above, parent).where(above == found.c.parent))
    return (
        sa.select(model)
        .where(above.in_(sa.select(found.c.id)))
        .options(*label_options(relationship.mapper))
    )


def load_options(mapper: orm.Mapper[Any], paths: Iterable[Path]) -> list[Any]:
    """Loader options for rows that show ``paths``: all related rows by join, no binaries."""
    options: list[Any] = []
    shown: set[str] = set()
    for path in paths:
        if path.is_to_many or not all(map(inspection.is_joinable, path.steps)):
            continue
        option: Any = None
        entity: Any = mapper.class_
        for relationship in path.relationships:
            attribute = getattr(entity, relationship.key)
            option = (option or orm).joinedload(attribute)
            entity = relationship.mapper.class_
        if path.relationship is not None and inspection.is_to_one(path.relationship):
            options.extend(_label_path_options(option, entity, path.relationship))
        elif option is not None:
            options.append(option)
        if not path.relationships:
            shown.add(path.key)
    for column in inspection.columns(mapper).values():
        if inspection.is_binary(column.type):
            options.append(orm.defer(getattr(mapper.class_, column.key)))
        elif column.is_deferred and column.key in shown:
            options.append(orm.undefer(getattr(mapper.class_, column.key)))
    return options


def form_options(mapper: orm.Mapper[Any], keys: Iterable[str]) -> list[Any]:
    """Loader options for one row in a form over the attributes ``keys``: all in one statement."""
    paths = [inspection.resolve(mapper, key) for key in keys]
    deferred = [
        orm.undefer(getattr(mapper.class_, path.key))
        for path in paths
        if path.column and path.column.is_deferred and not inspection.is_binary(path.column.type)
    ]
    return load_options(mapper, paths) + deferred


def label_options(mapper: orm.Mapper[Any], entity: Any = None) -> list[Any]:
    """Loader options that let `inspection.label` name rows of ``mapper`` without a statement.

    ``entity`` is the class, or the alias of it, that the rows are selected by.
    """
    others = inspection.label(mapper).others
    options = _needed_options(orm, mapper, entity or mapper.class_)
    if others and entity is None:
        options.append(orm.selectin_polymorphic(mapper.class_, [m.class_ for m in others]))
    return options


def _label_entity(mapper: orm.Mapper[Any]) -> Any:
    """An alias of the class, with the columns of the subclasses that labels may ask for."""
    others = inspection.label(mapper).others
    if not others:
        return orm.aliased(mapper)
    return orm.with_polymorphic(mapper, [m.class_ for m in others], flat=True)


def _label_path_options(
    option: Any, entity: Any, relationship: orm.RelationshipProperty[Any]
) -> list[Any]:
    target = relationship.mapper
    label = inspection.label(target)
    attribute = getattr(entity, relationship.key)
    if label.others:
        rows = _label_entity(target)
        option = (option or orm).joinedload(attribute.of_type(rows))
        return [option, *_needed_options(option, target, rows)]
    option = (option or orm).joinedload(attribute)
    if not label.uses_str:
        keys = [getattr(target.class_, k) for k in inspection.identity_keys(target)]
        keys += [getattr(target.class_, k) for k in label.keys]
        return [option.load_only(*keys)]
    return [option, *_needed_options(option, target, target.class_)]


def _needed_options(option: Any, mapper: orm.Mapper[Any], entity: Any) -> list[Any]:
    """What labels need of ``mapper`` and its subclasses, asked of ``entity``; no binaries."""
    options = _own_options(option, mapper, entity)
    is_alias = sa.inspect(entity).is_aliased_class
    for other in inspection.label(mapper).others:
        # An alias made by with_polymorphic holds its subclasses by their names.
        owner = getattr(entity, other.class_.__name__) if is_alias else other.class_
        options += _own_options(option, other, owner)
    return options


def _own_options(option: Any, mapper: orm.Mapper[Any], entity: Any) -> list[Any]:
    options = [
        option.defer(getattr(entity, c.key))
        for c in inspection.columns(mapper).values()
        if inspection.is_binary(c.type)
    ]
    for need in inspection.label(mapper).needs:
        current, at, owner = option, mapper, entity
        for key in need:
            relationship = inspection.relationships(at).get(key)
            if relationship is None:
                current = current.undefer(getattr(owner, key))
                break
            load = (
                current.joinedload if inspection.is_to_one(relationship) else current.selectinload
            )
            current = load(getattr(owner, key))
            at = relationship.mapper
            owner = at.class_
        options.append(current)
    return options


def _sort_expressions(
    statement: Statement, model: Any, path: Path
) -> tuple[Statement, list[sa.ColumnElement[Any]]]:
    """``statement`` with the outer joins that ``path`` needs, and what to order it by."""
    if path.is_to_many:
        raise InvalidRequest(f"“{path.name}” has many values in a row; it gives no order.")
    entity = model
    relationships = list(path.relationships)
    keys: Sequence[str] = [path.key]
    if path.relationship is not None:
        if path.relationship.uselist:
            return statement, [members_count(entity, path.relationship)]
        target = path.relationship.mapper
        keys = inspection.label(target).keys
        if not keys:
            local = [
                getattr(entity, k)
                for c in path.relationship.local_columns
                if not relationships and (k := inspection.key_of(path.relationship.parent, c))
            ]
            if local:
                return statement, local
        relationships.append(path.relationship)
    for relationship in relationships:
        target_alias = orm.aliased(relationship.mapper)
        statement = statement.outerjoin(
            target_alias, getattr(entity, relationship.key).of_type(target_alias)
        )
        entity = target_alias
    keys = keys or inspection.identity_keys(relationships[-1].mapper)
    return statement, [getattr(entity, k) for k in keys]


# Words of a search

_WORDS = re.compile(r'([=^]?)(?:"([^"]*)"|(\S+))')


def _clean_search(text: str, notes: list[str]) -> str:
    text = text.strip()
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidRequest("The search holds a character that no column can hold.")
    if len(text) > MAX_SEARCH_LENGTH:
        notes.append(f"Only the first {MAX_SEARCH_LENGTH:,} characters were searched for.")
        text = text[:MAX_SEARCH_LENGTH]
    if len(_WORDS.findall(text)) > MAX_WORDS:
        notes.append(f"Only the first {MAX_WORDS} words were searched for.")
    return text


def _search_words(text: str) -> list[str]:
    """The words of a search, each with its ``=`` or ``^`` before it; quotes keep a phrase whole."""
    found = [sign + (quoted or word) for sign, quoted, word in _WORDS.findall(text)]
    return [w for w in found if w not in ("", "=", "^")][:MAX_WORDS]


def _path_condition(entity: Any, path: Path, word: str) -> sa.ColumnElement[bool] | None:
    if path.relationship is not None:
        mapper = inspection.mapper_of(entity)
        found = [
            _path_condition(entity, inspection.resolve(mapper, f"{path.name}.{key}"), word)
            for key in inspection.label(path.relationship.mapper).keys
        ]
        conditions = [condition for condition in found if condition is not None]
        return sa.or_(*conditions) if conditions else None
    targets = [entity, *(r.mapper.class_ for r in path.relationships)]
    condition = _word_condition(getattr(targets[-1], path.key), path, word)
    if condition is None:
        return None
    for relationship, owner in zip(
        reversed(path.relationships), reversed(targets[:-1]), strict=True
    ):
        attribute = getattr(owner, relationship.key)
        condition = attribute.any(condition) if relationship.uselist else attribute.has(condition)
    return condition


def _word_condition(attribute: Any, path: Path, word: str) -> sa.ColumnElement[bool] | None:
    sign, bare = (word[0], word[1:]) if word[0] in "=^" and len(word) > 1 else ("", word)
    type_ = path.column.type if path.column is not None else attribute.type
    stored = inspection.stored_type(type_)
    if isinstance(stored, sa.Integer):
        number = int(bare) if re.fullmatch(r"-?[0-9]{1,18}", bare) else None
        return None if number is None else attribute == number
    if isinstance(stored, sa.Uuid):
        try:
            value = uuid.UUID(bare)
        except ValueError:
            return None
        return attribute == (value if stored.as_uuid else str(value))  # type: ignore[no-any-return]
    if isinstance(stored, sa.Enum):
        fits = [
            stored.enum_class[name] if stored.enum_class else name
            for name in (stored.enum_class.__members__ if stored.enum_class else stored.enums)
            if bare.lower() in str(name).lower()
        ]
        return attribute.in_(fits) if fits else None
    if inspection.is_text(type_):
        text: Any = sa.type_coerce(attribute, sa.String())
    elif isinstance(stored, sa.Boolean | sa.LargeBinary | sa.JSON):
        return None
    else:
        text = sa.cast(attribute, sa.String())
    if sign == "=":
        return text == bare  # type: ignore[no-any-return]
    pattern = re.sub(r"([%_\\])", r"\\\1", bare)
    return text.ilike(f"{pattern}%" if sign == "^" else f"%{pattern}%", escape="\\")  # type: ignore[no-any-return]
