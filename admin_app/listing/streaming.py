"""The rows of a list in pieces, column by column, all as they were at one moment.

What a file says of a row is mostly a column of it, or of a row that it leads to: these are read as
they are, without an instance. Instances are made where something is asked of them, and labels whose
class makes them itself are read for the rows of a piece at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import database, inspection
from admin_app.inspection import Path
from admin_app.listing.loading import (
    AnySession,
    Statement,
    collection_options,
    label_options,
    load_chains,
    load_options,
    member_counts,
)
from admin_app.listing.matching import within
from admin_app.listing.state import ListedRow

if TYPE_CHECKING:
    from admin_app.listing.rows import Listing

PIECE = 250
"""Rows that are held at once: few enough for the caches of a processor."""

FETCHED = 4
"""Pieces that come from a server in one journey."""

SMALL_PIECE = 20
"""The same, where each may hold megabytes."""

KNOWN_LABELS = 20_000
"""Labels of related rows that are kept for later pieces."""

How = Literal["value", "text", "size", "label", "key", "count", "keys", "asked", "nothing"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of the column ``path``.

    ``how`` is ``value`` (what it holds), ``text`` (its JSON as stored), ``size`` (bytes that it
    holds), ``label`` or ``key`` (of a related row: what it is called, or its identity as text),
    ``count`` or ``keys`` (of a collection: how many members there are, or their identities as
    texts), ``nothing``, or ``asked``. ``ask`` is asked of the instance then, and where a statement
    cannot tell.
    """

    path: Path
    how: How
    ask: Callable[[Any], Any]


Columns = list[Sequence[Any]]
"""The values of a piece of rows: one sequence a column, all of one length."""


@contextlib.contextmanager
def snapshot(session: AnySession, mapper: orm.Mapper[Any]) -> Iterator[None]:
    """A block that reads everything as it was at its first statement, and writes nothing.

    What the session has read before is let go. A transaction of its own is not begun where the
    session is bound to a connection, which has one.
    """
    session.rollback()
    bind = session.get_bind(mapper=mapper)
    if isinstance(bind, sa.Engine) and bind.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        connection = session.connection(
            bind_arguments={"mapper": mapper}, execution_options=options
        )
        database.set_limits(connection, "export")
    try:
        yield
    finally:
        session.rollback()


def pieces(
    listing: Listing,
    session: AnySession,
    statement: Statement,
    wanted: Sequence[Wanted],
    *,
    whole: Collection[str] = (),
    piece: int = PIECE,
) -> Iterator[Columns]:
    """What is ``wanted`` of the rows of ``statement``, which has its order and limit already.

    Collections named in ``whole`` are loaded with their members where instances are asked.
    """
    plan = _Plan(listing, session, wanted)
    statement = plan.statement(statement, whole)
    bind = {"mapper": listing.mapper}
    is_far = session.get_bind(mapper=listing.mapper).dialect.name != "sqlite"
    options = {"yield_per": piece * FETCHED if is_far else piece}
    found: sa.Result[Any]
    if plan.has_instances or _is_listened_to(session):
        found = session.execute(statement, bind_arguments=bind, execution_options=options)
    else:
        # Rows without an instance come quicker where the session does not handle them.
        connection = session.connection(bind_arguments=bind)
        found = connection.execute(statement, execution_options=options)
    for fetched in found.partitions():
        for start in range(0, len(fetched), piece):
            read = plan.read(fetched[start : start + piece])
            if read is not None:
                yield read


def _is_listened_to(session: AnySession) -> bool:
    """Whether a host changes statements as they are executed, as by ``with_loader_criteria``."""
    real = session() if isinstance(session, orm.scoped_session) else session
    return bool(real.dispatch.do_orm_execute)


@dataclass
class _Piece:
    """Some rows as they were read, by column."""

    columns: Sequence[Sequence[Any]]
    keys: int
    at: int

    @property
    def identities(self) -> list[tuple[Any, ...]]:
        return list(zip(*self.columns[self.at : self.at + self.keys], strict=True))

    @property
    def instances(self) -> Sequence[Any]:
        return self.columns[0]


_Make = Callable[[_Piece], Sequence[Any]]


@dataclass
class _Plan:
    """Which columns a statement has to have, and what is made of them."""

    listing: Listing
    session: AnySession
    wanted: Sequence[Wanted]
    expressions: list[Any] = field(default_factory=list)
    joins: dict[tuple[str, ...], tuple[Any, Any]] = field(default_factory=dict)
    makers: list[_Make] = field(default_factory=list)
    asked: list[Path] = field(default_factory=list)
    known: dict[orm.Mapper[Any], dict[tuple[Any, ...], str]] = field(default_factory=dict)
    """What related rows are called, by class and identity."""

    def __post_init__(self) -> None:
        self.mapper = self.listing.mapper
        self.keys = inspection.identity_keys(self.mapper)
        self.has_instances = (
            # A host's own query may be grouped, and rows of a union of tables have no columns.
            self.listing.scope is not None
            or inspection.is_union(self.mapper)
            or any(self._is_asked(want) for want in self.wanted)
        )
        self.offset = int(self.has_instances)
        self.expressions = [getattr(self.mapper.class_, key) for key in self.keys]
        self.makers = [self._maker(want) for want in self.wanted]

    def statement(self, statement: Statement, whole: Collection[str]) -> Statement:
        for target, on in self.joins.values():
            statement = statement.outerjoin(target, on)
        labelled = [e.label(f"c{at}") for at, e in enumerate(self.expressions)]
        if not self.has_instances:
            return statement.with_only_columns(*labelled, maintain_column_froms=True)
        options = [
            *load_options(self.mapper, self.asked),
            *collection_options(self.mapper, self.asked, whole),
        ]
        return statement.add_columns(*labelled).options(*options)

    def read(self, rows: Sequence[Any]) -> Columns | None:
        """The values of ``rows``, without those that are none: a view may have rows of NULLs."""
        columns = list(zip(*rows, strict=True))
        if any(value is None for value in columns[0]):
            width = 1 if self.has_instances else len(self.keys)
            rows = [row for row in rows if any(part is not None for part in row[:width])]
            columns = list(zip(*rows, strict=True))
        if not columns:
            return None
        piece = _Piece(columns, len(self.keys), self.offset)
        if self.asked:
            listed = (ListedRow(instance, {}) for instance in piece.instances)
            self.listing.settle(self.session, list(listed))
        return [make(piece) for make in self.makers]

    # What a column is made of

    def _is_asked(self, want: Wanted) -> bool:
        """Whether only the instance can tell what is wanted."""
        path = want.path
        if want.how == "nothing":
            return False
        if want.how in ("count", "keys"):
            return bool(path.relationships) or path.relationship is None
        if want.how == "asked" or not all(map(_leads_to_one, path.relationships)):
            return True
        if want.how in ("label", "key"):
            return path.relationship is None or not _leads_to_one(path.relationship)
        return path.column is None

    def _maker(self, want: Wanted) -> _Make:
        path = want.path
        if self._is_asked(want):
            self.asked.append(path)
            return lambda piece: [want.ask(instance) for instance in piece.instances]
        if want.how == "nothing":
            return lambda piece: [None] * len(piece.columns[0])
        if want.how == "count":
            return lambda piece: self._counts(path, piece)
        if want.how == "keys":
            return lambda piece: self._member_keys(path, piece)
        entity = self._reach(path.relationships)
        if want.how == "label":
            return self._label_maker(path, entity)
        if want.how == "key":
            return self._key_maker(path, entity)
        attribute = getattr(entity, path.key)
        if want.how == "text":
            attribute = inspection.json_as_stored(attribute)
        elif want.how == "size":
            attribute = sa.func.length(attribute, type_=sa.Integer)
        at = self._add(attribute)
        return lambda piece: piece.columns[at]

    def _add(self, expression: Any) -> int:
        self.expressions.append(expression)
        return self.offset + len(self.expressions) - 1

    def _reach(self, relationships: Sequence[orm.RelationshipProperty[Any]]) -> Any:
        entity: Any = self.mapper.class_
        way: tuple[str, ...] = ()
        for relationship in relationships:
            way = (*way, relationship.key)
            if way not in self.joins:
                target = orm.aliased(relationship.mapper, flat=True)
                # Of a row out of reach a file has the key alone.
                seen = within(target, relationship.mapper, self.listing.reach)
                on = getattr(entity, relationship.key).of_type(target).and_(*seen)
                self.joins[way] = (target, on)
            entity = self.joins[way][0]
        return entity

    def _target_keys(self, path: Path, entity: Any) -> list[int]:
        """Where the identity of the row that ``path`` leads to stands."""
        relationship = path.relationship
        assert relationship is not None
        remote = {r: local for local, r in relationship.local_remote_pairs or ()}
        local = [remote[column] for column in relationship.mapper.primary_key]
        names = [inspection.key_of(relationship.parent, column) for column in local]
        if all(name is not None for name in names):
            return [self._add(getattr(entity, str(name))) for name in names]
        target = self._reach(path.steps)
        keys = inspection.identity_keys(relationship.mapper)
        return [self._add(getattr(target, key)) for key in keys]

    def _key_maker(self, path: Path, entity: Any) -> _Make:
        assert path.relationship is not None
        places = self._target_keys(path, entity)
        encode = inspection.identity_text(path.relationship.mapper).encode

        def make(piece: _Piece) -> Sequence[Any]:
            found = zip(*(piece.columns[at] for at in places), strict=True)
            return [None if None in identity else encode(identity) for identity in found]

        return make

    def _label_maker(self, path: Path, entity: Any) -> _Make:
        assert path.relationship is not None
        target = path.relationship.mapper
        label = inspection.label(target)
        if label.uses_str or label.others or not label.keys:
            places = self._target_keys(path, entity)
            return lambda piece: self._labels(
                target, list(zip(*(piece.columns[at] for at in places), strict=True))
            )
        related = self._reach(path.steps)
        identity = [self._add(getattr(related, k)) for k in inspection.identity_keys(target)]
        texts = [self._add(getattr(related, key)) for key in label.keys]
        noun = inspection.words(target.class_.__name__)

        def words(found: Sequence[Any], key: Sequence[Any]) -> str | None:
            if all(part is None for part in key):
                return None
            text = " ".join(str(value) for value in found if value is not None)
            told = ", ".join("–" if part is None else str(part) for part in key)
            return text if text.strip() else f"{noun} {told}"

        def make(piece: _Piece) -> Sequence[Any]:
            keys = zip(*(piece.columns[at] for at in identity), strict=True)
            found = zip(*(piece.columns[at] for at in texts), strict=True)
            return list(map(words, found, keys))

        return make

    # What is read for a piece at once

    def _labels(
        self, target: orm.Mapper[Any], identities: Sequence[tuple[Any, ...]]
    ) -> list[str | None]:
        known = self.known.setdefault(target, {})
        missing = list({i: None for i in identities if None not in i and i not in known})
        if len(known) + len(missing) > KNOWN_LABELS:
            known.clear()
            missing = list({i: None for i in identities if None not in i})
        if missing:
            seen = within(target.class_, target, self.listing.reach)
            statement = sa.select(target.class_).where(_among(target, missing), *seen)
            rows = self.session.scalars(
                statement.options(*label_options(target)), bind_arguments={"mapper": target}
            )
            found = rows.unique().all()
            load_chains(self.session, found)
            of = inspection.label(target).of
            known.update((tuple(sa.inspect(one).identity), of(one)) for one in found)
        return [known.get(identity) for identity in identities]

    def _counts(self, path: Path, piece: _Piece) -> list[int]:
        identities = piece.identities
        found = member_counts(self.session, path, identities, self.listing.reach)
        return [found.get(identity, 0) for identity in identities]

    def _member_keys(self, path: Path, piece: _Piece) -> list[list[str]]:
        relationship = path.relationship
        assert relationship is not None
        member = orm.aliased(relationship.mapper)
        own = [getattr(self.mapper.class_, key) for key in self.keys]
        others = [getattr(member, k) for k in inspection.identity_keys(relationship.mapper)]
        statement = (
            sa.select(*own, *others)
            .join(getattr(self.mapper.class_, relationship.key).of_type(member))
            .where(_among(self.mapper, piece.identities))
            .where(*within(member, relationship.mapper, self.listing.reach))
            .order_by(*others)
        )
        encode = inspection.identity_text(relationship.mapper).encode
        found: dict[tuple[Any, ...], list[str]] = {}
        for row in self.session.execute(statement, bind_arguments={"mapper": self.mapper}):
            found.setdefault(tuple(row[: len(own)]), []).append(encode(row[len(own) :]))
        return [found.get(identity, []) for identity in piece.identities]


def _among(mapper: orm.Mapper[Any], identities: Sequence[Any]) -> sa.ColumnElement[bool]:
    keys = [getattr(mapper.class_, key) for key in inspection.identity_keys(mapper)]
    if len(keys) == 1:
        found: sa.ColumnElement[bool] = keys[0].in_([value for (value,) in identities])
        return found
    return sa.tuple_(*keys).in_(list(identities))


def _leads_to_one(relationship: orm.RelationshipProperty[Any]) -> bool:
    """Whether a join leads from each row to one row at most."""
    remote = {remote for _, remote in relationship.local_remote_pairs or ()}
    return (
        relationship.direction is orm.RelationshipDirection.MANYTOONE
        and remote == set(relationship.mapper.primary_key)
        and inspection.is_joinable(relationship)
        and not inspection.is_union(relationship.mapper)
    )
