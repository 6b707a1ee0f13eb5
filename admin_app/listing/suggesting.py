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
    In a large table that takes indexes; without them rows that have the text in their name come
    first, each in the order of the list, so that the first few are enough.
    """
    text = searching.cleaned(search, [])
    found = _found(listing, session, text, limit + 1, offset)
    load_chains(session, found)
    return found[:limit], len(found) > limit


def _found(listing: Listing, session: AnySession, text: str, limit: int, offset: int) -> list[Any]:
    searched = listing.searched
    options = label_options(listing.mapper)

    def matching(within: searching.Search) -> Statement:
        rows = listing.base(text, searched=within)
        return listing.ordered(rows, ()).options(*options)

    is_large = searched.rows > RANKED
    begins = searched.beginning(text, "^") if not is_large or searched.can_lead else None
    if begins is not None and not is_large:
        equals = searched.beginning(text, "=") or begins
        rank = sa.case((equals.condition, 0), (begins.condition, 1), else_=2)
        statement = matching(searched)
        order = statement._order_by_clauses
        ranked = statement.order_by(None).order_by(rank, *order)
        return _part(session, ranked, limit, offset)
    named = searched.in_names() if is_large and text else None
    if begins is not None and begins.is_served:
        begun = matching(searched).where(begins.condition)
    elif named is not None:
        begins, begun = None, matching(named)
    else:
        return _part(session, matching(searched), limit, offset)
    found = _part(session, begun, limit, offset)
    if len(found) == limit:
        return found
    if begins is not None:
        first = begins.condition
    else:
        assert named is not None
        first = named.condition(searching.words(text))
    others = matching(searched).where(first.is_not(sa.true()))
    return found + _others(session, begun, others, limit, offset, len(found))


def _others(
    session: AnySession, begun: Statement, others: Statement, limit: int, offset: int, found: int
) -> list[Any]:
    """What follows the ``found`` rows of ``begun`` on a page; no row of a large table is ranked."""
    passed = offset + found
    if offset and not found:
        within = begun.order_by(None).limit(offset).subquery()
        passed = session.scalar(sa.select(sa.func.count()).select_from(within)) or 0
    return _part(session, others, limit - found, max(0, offset - passed))


def _part(session: AnySession, rows: Statement, limit: int, offset: int) -> list[Any]:
    rows = rows.limit(limit)
    return list(session.scalars(rows.offset(offset) if offset else rows))
