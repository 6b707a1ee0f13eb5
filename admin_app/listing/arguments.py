"""The arguments of a list's URL, read into a `ListState`.

Every name is looked up among those that the listing knows; what is not there, or means nothing, is
set aside and told in ``ListState.notes``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from admin_app import inspection
from admin_app.inspection import Path
from admin_app.listing import searching
from admin_app.listing.state import ListState, Order


class Asked(Protocol):
    """What a `Listing` knows of the arguments that it may be asked with."""

    @property
    def sortable(self) -> Mapping[str, Sequence[Path]]: ...
    @property
    def page_size(self) -> int: ...
    @property
    def page_sizes(self) -> Sequence[int]: ...
    @property
    def max_page_size(self) -> int: ...


def parse(listing: Asked, args: Mapping[str, str], positions: Sequence[str] = ()) -> ListState:
    """The state that URL arguments ask for.

    ``sort`` is a comma-separated list of names, ``-`` before a name turns it round; a number
    is understood as a position in ``positions``, and ``desc`` as its direction, as in links of
    Flask-Admin. ``page`` counts from 0. Arguments without meaning become notes; InvalidRequest
    only for a search text that no database could take.
    """
    notes: list[str] = []
    return ListState(
        search=searching.cleaned(args.get("search", ""), notes),
        order=_order(listing, args, positions, notes),
        page=_page(args.get("page", ""), notes),
        page_size=_page_size(listing, args.get("page_size", "")),
        notes=tuple(notes),
    )


def _order(
    listing: Asked, args: Mapping[str, str], positions: Sequence[str], notes: list[str]
) -> tuple[Order, ...]:
    order: list[Order] = []
    for name in filter(None, args.get("sort", "").split(",")[:10]):
        key, descending = name.removeprefix("-"), name.startswith("-")
        if key.isascii() and key.isdigit() and key not in listing.sortable:
            index = int(key[:4])
            key = positions[index] if index < len(positions) else key
        if args.get("desc", "") not in ("", "0"):
            descending = True
        if key in listing.sortable:
            if all(o.key != key for o in order):
                order.append(Order(key, descending))
        else:
            notes.append(f"The list cannot be ordered by “{inspection.shorten(key)}”.")
    return tuple(order)


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
