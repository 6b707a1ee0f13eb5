"""`Selection`: the rows that something is to be done to, as a value that a form or a job can keep.

It is either some rows, by the texts of their keys, or all rows that match a list: then it holds
what the list was narrowed by, not its rows, and reads them when they are wanted.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from admin_app import inspection
from admin_app.errors import InvalidRequest, NotFound
from admin_app.listing import counting, paging
from admin_app.listing.loading import AnySession, Statement
from admin_app.listing.ordering import Key, ordering
from admin_app.listing.rows import Listing, is_unreadable
from admin_app.listing.state import Count, ListState

MOST_KEYS = 10_000
"""Rows that can be named one by one; SQLite takes 32,766 parameters in a statement."""

KEYS_AT_ONCE = 1_000

Portion = tuple[list[Any], Any]
"""Some instances, and the cursor behind them, which is JSON."""


class Arguments(dict[str, str]):
    """Named arguments of a URL, each with all of its values, as `Listing.parse` reads them."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._lists: dict[str, list[str]] = {}
        for name, value in pairs:
            self._lists.setdefault(name, []).append(value)
        super().__init__({name: values[0] for name, values in self._lists.items()})

    def lists(self) -> Iterator[tuple[str, list[str]]]:
        yield from self._lists.items()


@dataclass(frozen=True, slots=True)
class Selection:
    """Some rows of a list, or all that match it.

    ``keys`` are texts as `inspection.IdentityText` writes them. With ``query``, the arguments that
    narrow a list (search and filters), it is all rows that match them but for those whose keys are
    ``excepted``; ``matched`` is how many that were, exceptions not taken off, when somebody looked.
    """

    keys: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] | None = None
    excepted: tuple[str, ...] = ()
    matched: int | None = None

    def __bool__(self) -> bool:
        """Whether any row was chosen; those that match a list may turn out to be none."""
        return bool(self.keys) or self.query is not None

    @property
    def is_across(self) -> bool:
        """Whether it is all rows that match a list."""
        return self.query is not None

    # As text

    def to_json(self) -> dict[str, Any]:
        """The selection as JSON: what `from_json` reads."""
        if self.query is None:
            return {"keys": list(self.keys)}
        return {
            "query": [list(pair) for pair in self.query],
            "excepted": list(self.excepted),
            "matched": self.matched,
        }

    @classmethod
    def from_json(cls, found: Any) -> Selection:
        """The selection that `to_json` has written; InvalidRequest for anything else."""
        try:
            if "query" not in found:
                return cls(_texts(found["keys"]))
            query = tuple((str(name), str(value)) for name, value in found["query"])
            matched = found.get("matched")
            is_number = matched is None or type(matched) is int
            return cls(
                query=query,
                excepted=_texts(found.get("excepted", ())),
                matched=matched if is_number else None,
            )
        except (TypeError, ValueError, KeyError, AttributeError):
            raise InvalidRequest("This is no selection of rows.") from None

    # Statements

    def state(self, listing: Listing) -> ListState:
        """What a selection of all that match asks of ``listing``.

        InvalidRequest where a filter means nothing, without which there would be more rows than
        were asked for.
        """
        wanted = [(name, value) for name, value in self.query or () if name not in _PLACES]
        if listing.refine is None and any(name.startswith("flt") for name, _ in wanted):
            raise InvalidRequest(
                "A filter is not known here, so it is not clear which rows are meant."
            )
        state = listing.parse(Arguments(wanted))
        if state.refused:
            raise InvalidRequest(f"{state.refused[0]} So it is not clear which rows are meant.")
        return state

    def statement(self, listing: Listing) -> Statement:
        """The rows, as far as they are in the scope of ``listing``; no order, nothing beside.

        NotFound for a key that is none of this class, InvalidRequest as `state` does.
        """
        own = inspection.own_rows(listing.mapper)
        if self.query is None:
            return listing.base().where(_among(listing, self.keys), *own)
        statement = listing.asked(self.state(listing)).where(*own)
        if self.excepted:
            statement = statement.where(sa.not_(_among(listing, self.excepted)))
        return statement

    def count(self, session: AnySession, listing: Listing) -> Count | None:
        """How many rows there are, as exactly as a list says it; None where that takes too long."""
        rows = _keys_only(listing, self.statement(listing))
        if self.query is None:
            with _told_of_keys():
                return counting.limited(session, listing.mapper, rows, None)
        planned = counting.estimate(session, listing.mapper, rows)
        return counting.count(session, listing.mapper, rows, planned)

    def identities(
        self, session: AnySession, listing: Listing, limit: int
    ) -> list[tuple[Any, ...]]:
        """The identities of the first ``limit`` rows, by key."""
        rows = _keys_only(listing, self.statement(listing))
        rows = listing.ordered(rows.order_by(None), (), "")
        with _told_of_keys():
            found = session.execute(rows.limit(limit), bind_arguments={"mapper": listing.mapper})
        return list(dict.fromkeys(tuple(row) for row in found))

    def portions(
        self,
        session: AnySession,
        listing: Listing,
        size: int,
        after: Any = None,
        options: Sequence[Any] = (),
        *,
        lock: bool = False,
    ) -> Iterator[Portion]:
        """The instances, ``size`` at a time, each portion with the cursor that goes on behind it.

        They come by primary key, so that it does not matter what is changed in between. ``options``
        are loader options; ``lock`` reads rows afresh, FOR UPDATE where the database has it.
        """
        read = _Portions(session, listing, options, lock)
        if self.query is None:
            yield from read.named(self, size, after)
            return
        keys = ordering(listing.mapper, [], {}, read.dialect)
        if keys.is_total and paging.can_be_followed(keys.keys):
            yield from read.followed(self.statement(listing), keys.keys, size, after)
        else:
            yield from read.gathered(self.statement(listing), size, after)


@contextlib.contextmanager
def _told_of_keys() -> Iterator[None]:
    """NotFound where the database says that a key is no value of its type; only it knows."""
    try:
        yield
    except sa.exc.DataError as error:
        if not is_unreadable(error):
            raise
        raise NotFound("There is no row with one of these keys, so nothing was done.") from error


_PLACES = frozenset({"page", "after", "before", "at", "sort", "desc", "count", "page_size"})


def _texts(found: Any) -> tuple[str, ...]:
    if isinstance(found, str | Mapping):
        raise TypeError(found)
    return tuple(dict.fromkeys(str(text) for text in found))


def _keys_only(listing: Listing, statement: Statement) -> Statement:
    keys = [getattr(listing.model, k) for k in inspection.identity_keys(listing.mapper)]
    return statement.order_by(None).with_only_columns(*keys, maintain_column_froms=True)


def decoded(listing: Listing, texts: Sequence[str]) -> list[tuple[Any, ...]]:
    """The identities that ``texts`` stand for, each once; NotFound for a bad one.

    InvalidRequest for more than `MOST_KEYS`.
    """
    if len(texts) > MOST_KEYS:
        raise InvalidRequest(
            f"More than {MOST_KEYS:,} rows cannot be named one by one; select all that match a "
            "filter instead."
        )
    text_of = inspection.identity_text(listing.mapper)
    return list(dict.fromkeys(text_of.decode(text) for text in texts))


def _among(listing: Listing, texts: Sequence[str]) -> sa.ColumnElement[bool]:
    return among(listing, decoded(listing, texts))


def among(listing: Listing, identities: Sequence[tuple[Any, ...]]) -> sa.ColumnElement[bool]:
    """That a row of ``listing`` has one of ``identities``."""
    keys = [getattr(listing.model, k) for k in inspection.identity_keys(listing.mapper)]
    is_rounded = any(isinstance(key.type, sa.REAL | sa.FLOAT) for key in keys)
    if is_rounded or any(None in identity for identity in identities):
        return sa.or_(
            sa.false(), *(sa.and_(*listing._has_identity(identity)) for identity in identities)
        )
    if len(keys) == 1:
        found: sa.ColumnElement[bool] = keys[0].in_([identity[0] for identity in identities])
        return found
    return sa.tuple_(*keys).in_(list(identities))


class _Portions:
    """Reads the rows of a statement in portions."""

    def __init__(
        self, session: AnySession, listing: Listing, options: Sequence[Any], lock: bool
    ) -> None:
        self.session, self.listing, self.options = session, listing, options
        self.dialect: str = session.get_bind(mapper=listing.mapper).dialect.name
        self.lock = lock and not inspection.is_union(listing.mapper)

    def _read(self, statement: Statement, *beside: Any) -> Sequence[Any]:
        statement = statement.options(*self.options)
        if self.lock:
            statement = statement.with_for_update(of=self.listing.model)
            statement = statement.execution_options(populate_existing=True)
        statement = statement.add_columns(*beside)
        mapper = self.listing.mapper
        with _told_of_keys():
            found = self.session.execute(statement, bind_arguments={"mapper": mapper})
        return found.unique().all()

    def _with(self, identities: Sequence[tuple[Any, ...]]) -> list[Any]:
        statement = self.listing.base().where(
            among(self.listing, identities), *inspection.own_rows(self.listing.mapper)
        )
        return [row[0] for row in self._read(self.listing.ordered(statement.order_by(None), ()))]

    def named(self, selection: Selection, size: int, after: Any) -> Iterator[Portion]:
        """Rows that are named one by one; the cursor is how many of the names are done."""
        identities = decoded(self.listing, selection.keys)
        start = after if isinstance(after, int) else 0
        for begin in range(start, len(identities), min(size, KEYS_AT_ONCE)):
            some = identities[begin : begin + min(size, KEYS_AT_ONCE)]
            yield self._with(some), begin + len(some)

    def followed(
        self, statement: Statement, keys: Sequence[Key], size: int, after: Any
    ) -> Iterator[Portion]:
        """Rows by their key, each portion behind the last; the cursor is the text of that key."""
        values = None if after is None else paging.values_of(keys, str(after))
        while True:
            segments = paging.whole(keys) if values is None else paging.segments(keys, values)
            rows: list[Any] = []
            for segment in segments:
                if len(rows) < size:
                    rows += self._segment(statement, keys, segment, size - len(rows))
            if not rows:
                return
            values = tuple(rows[-1][1:])
            yield list(dict.fromkeys(row[0] for row in rows)), paging.text_of(keys, values)

    def _segment(
        self, statement: Statement, keys: Sequence[Key], segment: paging.Segment, size: int
    ) -> Sequence[Any]:
        if segment.criterion is not None:
            statement = statement.where(segment.criterion)
        clauses = itertools.chain.from_iterable(key.clauses() for key in keys)
        statement = statement.order_by(None).order_by(*clauses).limit(size)
        beside = (e.label(f"key{at}") for at, e in enumerate(paging.expressions(keys)))
        return self._read(statement, *beside)

    def gathered(self, statement: Statement, size: int, after: Any) -> Iterator[Portion]:
        """Rows whose keys cannot be compared in a URL; the cursor is how many are done.

        All keys are read first.
        """
        rows = _keys_only(self.listing, statement)
        found = self.session.execute(rows, bind_arguments={"mapper": self.listing.mapper})
        text_of = inspection.identity_text(self.listing.mapper)
        identities = sorted({tuple(row) for row in found}, key=text_of.encode)
        if after is not None:
            identities = [i for i in identities if text_of.encode(i) > str(after)]
        for begin in range(0, len(identities), size):
            some = identities[begin : begin + size]
            yield self._with(some), text_of.encode(some[-1])
