"""The arguments of a list's URL, read into a `ListState`.

Every name is looked up among those that the listing knows; what is not there, or means nothing, is
set aside and told in ``ListState.notes``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from sqlalchemy import orm

from admin_app import filters, inspection
from admin_app.columns import Offers
from admin_app.filters import Group
from admin_app.inspection import Path
from admin_app.listing import searching, totals
from admin_app.listing.state import Chosen, ListState, Order, Total
from admin_app.policy import Reach


class Asked(Protocol):
    """What a `Listing` knows of the arguments that it may be asked with."""

    @property
    def sortable(self) -> Mapping[str, Sequence[Path]]: ...
    @property
    def mapper(self) -> orm.Mapper[Any]: ...
    @property
    def reach(self) -> Reach: ...
    @property
    def dialect(self) -> str: ...
    @property
    def filterable(self) -> Iterable[str] | None: ...
    @property
    def page_size(self) -> int: ...
    @property
    def page_sizes(self) -> Sequence[int]: ...
    @property
    def max_page_size(self) -> int: ...
    @property
    def offers(self) -> Offers | None: ...


def parse(listing: Asked, args: Mapping[str, str], positions: Sequence[str] = ()) -> ListState:
    """The state that URL arguments ask for.

    ``sort`` is a comma-separated list of names, ``-`` before a name turns it round; a number
    is understood as a position in ``positions``, and ``desc`` as its direction, as in links of
    Flask-Admin. ``page`` counts from 0, or is ``last``; ``after`` and ``before`` name a row by what
    the list is ordered by, ``at`` a value of the first key. Arguments without meaning become notes;
    InvalidRequest only for a search text that no database could take.
    """
    notes: list[str] = []
    wanted = _filters(listing, args, notes)
    refused = tuple(notes)
    return ListState(
        search=searching.cleaned(args.get("search", ""), notes),
        order=_order(listing, args, positions, notes),
        **_place(args, notes),
        is_counted=args.get("count") == "exact",
        page_size=_page_size(listing, args.get("page_size", "")),
        columns=chosen(listing.offers, args.get("columns", ""), notes),
        group=_group(listing, args.get("group", ""), notes),
        totals=_totals(listing.offers, args.get("totals", ""), notes),
        facets=_facets(args.get("facets", "")),
        filters=wanted,
        refused=refused,
        notes=tuple(notes),
    )


def _filters(listing: Asked, args: Mapping[str, str], notes: list[str]) -> Group:
    """The filters; arguments of a request may be there several times, those of a dict may not."""
    lists = getattr(args, "lists", None)
    pairs = args.items() if lists is None else ((k, v) for k, vs in lists() for v in vs)
    return filters.parse(
        pairs,
        listing.mapper,
        listing.reach,
        notes,
        dialect=listing.dialect,
        allowed=listing.filterable,
    )


def _order(
    listing: Asked, args: Mapping[str, str], positions: Sequence[str], notes: list[str]
) -> tuple[Order, ...]:
    order: list[Order] = []
    for name in filter(None, args.get("sort", "").split(",")[:10]):
        name, _, position = name.partition(":")
        key, descending = name.removeprefix("-"), name.startswith("-")
        if key.isascii() and key.isdigit() and key not in listing.sortable:
            index = int(key[:4])
            key = positions[index] if index < len(positions) else key
        if args.get("desc", "") not in ("", "0"):
            descending = True
        if key in listing.sortable and _may_be_read(listing, listing.sortable[key]):
            if all(o.key != key for o in order):
                order.append(Order(key, descending, _NULLS.get(position)))
        else:
            notes.append(f"The list cannot be ordered by “{inspection.shorten(key)}”.")
    return tuple(order)


_NULLS: dict[str, Literal["first", "last"]] = {"nulls_first": "first", "nulls_last": "last"}


def _may_be_read(listing: Asked, paths: Sequence[Path]) -> bool:
    """Whether the principal may read all that an order would tell of."""
    for path in paths:
        for step in path.steps:
            if not listing.reach.may_read(step.mapper):
                return False
        if not listing.reach.may_read(path.mapper, path.key):
            return False
    return True


def _place(args: Mapping[str, str], notes: list[str]) -> dict[str, Any]:
    """Which page is asked for: by the row before or behind it, by a value, or by its number."""
    for name in ("after", "before", "at"):
        if text := args.get(name, ""):
            return {name: text}
    if args.get("page") == "last":
        return {"is_last": True}
    return {"page": _page(args.get("page", ""), notes)}


def _page(text: str, notes: list[str]) -> int:
    if not text:
        return 0
    if re.fullmatch(r"[0-9]{1,12}", text):
        return int(text)
    notes.append(f"There is no page “{inspection.shorten(text)}”; this is the first.")
    return 0


def _page_size(listing: Asked, text: str) -> int:
    if re.fullmatch(r"[0-9]{1,6}", text):
        size = int(text)
        if size in listing.page_sizes or 0 < size <= listing.page_size:
            return min(size, listing.max_page_size)
    return listing.page_size


def _facets(text: str) -> tuple[str, ...] | None:
    """The names of facets to show more of, out of ``1`` or ``status,customer``; None without."""
    names = [name for name in text.split(",")[:20] if name]
    return tuple(dict.fromkeys(n for n in names if n != "1")) if names else None


MOST_COLUMNS = 60

WIDTHS = range(40, 1001)
"""Pixels that a column may be wide."""


def chosen(offers: Offers | None, text: str, notes: list[str]) -> tuple[Chosen, ...]:
    """The columns that ``text`` names, of those on offer: ``id,status:90,customer.country``."""
    if offers is None or not text:
        return ()
    found: dict[str, Chosen] = {}
    for part in filter(None, text.split(",")[:MOST_COLUMNS]):
        name, _, width = part.partition(":")
        if offers.path(name) is None:
            notes.append(f"There is no column “{inspection.shorten(name)}” to show.")
            continue
        is_width = re.fullmatch(r"[0-9]{1,4}", width) and int(width) in WIDTHS
        found.setdefault(name, Chosen(name, int(width) if is_width else None))
    return tuple(found.values())


def _group(listing: Asked, text: str, notes: list[str]) -> Order | None:
    """What the rows are grouped by: a name, ``-`` before it for the other direction."""
    name = text.removeprefix("-")
    path = None if listing.offers is None or not name else listing.offers.path(name)
    if path is not None and name in listing.sortable and totals.can_group(path):
        return Order(name, text.startswith("-"))
    if name and listing.offers is not None:
        notes.append(f"The list cannot be grouped by “{inspection.shorten(name)}”.")
    return None


def _totals(offers: Offers | None, text: str, notes: list[str]) -> tuple[Total, ...]:
    """The figures asked for: ``freight:sum,freight:avg``."""
    found: dict[Total, None] = {}
    for part in filter(None, text.split(",")[:MOST_COLUMNS]) if offers is not None else ():
        name, _, function = part.partition(":")
        path = offers.path(name) if offers is not None else None
        if path is not None and function in totals.functions(path):
            found[Total(name, function)] = None
        else:
            notes.append(f"There is no total “{inspection.shorten(part)}”.")
    return tuple(found)
