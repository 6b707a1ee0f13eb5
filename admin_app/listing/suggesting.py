"""Rows for somebody who is still typing: what begins with his text first, and soon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from admin_app.listing import searching
from admin_app.listing.loading import AnySession, Statement, label_options, load_chains

if TYPE_CHECKING:
    from admin_app.listing.rows import Listing

RANKED = 20_000
"""Rows of a table up to which all that match are read and ranked as one types."""


def lookup(
    listing: Listing, session: AnySession, search: str, limit: int, offset: int
) -> tuple[list[Any], bool]:
    """At most ``limit`` instances that match, labels loaded, and whether there are more.

    Rows with a field that is the whole text come first, then those with one that begins with it.
    In a large table that takes indexes; without them rows come in the order of the list, so that
    the first few are enough.
    """
    text = searching.cleaned(search, [])
    statement = listing.ordered(listing.base(text), ())
    statement = statement.options(*label_options(listing.mapper))
    found = _found(listing, session, statement, text, limit + 1, offset)
    load_chains(session, found)
    return found[:limit], len(found) > limit


def _found(
    listing: Listing, session: AnySession, statement: Statement, text: str, limit: int, offset: int
) -> list[Any]:
    searched = listing.searched
    begins = searched.beginning(text, "^")
    if begins is not None and searched.rows <= RANKED:
        equals = searched.beginning(text, "=") or begins
        rank = sa.case((equals.condition, 0), (begins.condition, 1), else_=2)
        order = statement._order_by_clauses
        statement = statement.order_by(None).order_by(rank, *order)
    elif begins is not None and begins.is_served:
        return _in_turn(session, statement, begins.condition, limit, offset)
    return list(session.scalars(statement.limit(limit).offset(offset)))


def _in_turn(
    session: AnySession,
    statement: Statement,
    first: sa.ColumnElement[bool],
    limit: int,
    offset: int,
) -> list[Any]:
    """The rows that meet ``first``, then the others; no row of a large table is ranked."""
    begun = statement.where(first)
    found = list(session.scalars(begun.limit(limit).offset(offset)))
    if len(found) == limit:
        return found
    passed = offset + len(found)
    if offset and not found:
        within = begun.order_by(None).limit(offset).subquery()
        passed = session.scalar(sa.select(sa.func.count()).select_from(within)) or 0
    others = statement.where(first.is_not(sa.true()))
    others = others.limit(limit - len(found)).offset(max(0, offset - passed))
    return found + list(session.scalars(others))
