"""The foot of a list: the way to the pages around, by number or by key, and to a value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from admin_app import contexts as c
from admin_app import inspection
from admin_app.listing import COUNT_LIMIT, Listing, ListState, Page

AROUND = 2
"""Pages whose numbers are shown on each side of the present one."""


def pager(view: Any, url: Any, listing: Listing, state: ListState, found: Page) -> c.Pager:
    """The pages around the present one, numbered where they are few enough to be counted.

    ``url`` makes the address of the list with some arguments changed.
    """
    if _is_numbered(state, found):
        return _by_number(url, state, found)
    return _by_key(view, url, listing, state, found)


def _is_numbered(state: ListState, found: Page) -> bool:
    if state.after or state.before or state.at or state.is_last:
        return False
    is_counted = found.count is not None and found.count.is_exact
    return (found.first is None and bool(found.rows)) or (
        is_counted and found.count is not None and found.count.number <= COUNT_LIMIT
    )


def _by_number(url: Any, state: ListState, found: Page) -> c.Pager:
    page, count, last = state.page, found.count, None
    if count is not None and count.is_exact:
        last = max(0, count.number - 1) // state.page_size
    numbers = [] if last is None or last == 0 or page > last else list(_elided(page, last))
    is_far = last is not None and found.has_next
    return c.Pager(
        text=_range(state, found),
        first_url=url(page=None) if page else None,
        previous_url=url(page=page - 1) if page else None,
        next_url=url(page=page + 1) if found.has_next else None,
        last_url=url(page=last) if is_far else None,
        pages=[_link(url, page, number) for number in numbers],
    )


def _link(url: Any, page: int, number: int | None) -> c.PageLink:
    if number is None:
        return c.PageLink("…")
    return c.PageLink(f"{number + 1:,}", url(page=number or None), is_current=number == page)


def _elided(page: int, last: int) -> Iterator[int | None]:
    """The first page, those around ``page``, the last one; None where some are left out."""
    shown = {0, last, *range(max(0, page - AROUND), min(last, page + AROUND) + 1)}
    # What stands for one page alone would take the room of its number.
    shown |= {n for n in (1, last - 1) if 0 <= n <= last and abs(n - page) <= AROUND + 1}
    before = -1
    for number in sorted(shown):
        if number > before + 1:
            yield None
        yield number
        before = number


def _range(state: ListState, found: Page) -> str:
    first = state.page * state.page_size + 1
    return f"{first:,}–{first + len(found.rows) - 1:,}" if found.rows else ""


def _by_key(view: Any, url: Any, listing: Listing, state: ListState, found: Page) -> c.Pager:
    is_placed = state.after or state.before or state.at or state.is_last
    number = len(found.rows)
    text = f"{number:,} row{'' if number == 1 else 's'}" if is_placed else _range(state, found)
    has_way_back = found.has_previous and found.first
    return c.Pager(
        text=text,
        first_url=url(page=None) if found.has_previous or is_placed else None,
        previous_url=url(before=found.first) if has_way_back else None,
        next_url=url(after=found.last) if found.has_next and found.last else None,
        last_url=url(page="last") if found.has_next else None,
        jump=_jump(view, url, listing, state, found) if found.rows or is_placed else None,
    )


def _jump(view: Any, url: Any, listing: Listing, state: ListState, found: Page) -> c.Jump | None:
    """The form that leads to a value of what the list is ordered by first."""
    if found.by is None:
        return None
    orders = state.order or listing.default_order
    name = orders[0].key if orders else inspection.identity_keys(listing.mapper)[0]
    stored = inspection.stored_type(found.by)
    options: list[tuple[str, str]] = []
    if isinstance(stored, sa.Enum):
        names = list(stored.enum_class.__members__) if stored.enum_class else list(stored.enums)
        options = [(name, str(told)) for name, told in zip(names, stored.enums, strict=False)]
    elif isinstance(stored, sa.Boolean):
        options = [("yes", "yes"), ("no", "no")]
    return c.Jump(
        label=str(view.get_column_name(name)).lower(),
        hidden=[(k, str(v)) for k, v in url.arguments(page=None).items()],
        type="date" if isinstance(stored, sa.Date | sa.DateTime) else "text",
        is_number=isinstance(stored, sa.Integer | sa.Numeric | sa.Float),
        value=state.at or "",
        options=options,
    )
