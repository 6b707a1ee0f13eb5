"""How a list shows what it is ordered by, and leads to other orders: headings and a menu."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from admin_app import contexts as c
from admin_app.listing import Order

Url = Callable[..., str]
"""The address of the list with some arguments changed."""


def heading(url: Url, orders: Sequence[Order], name: str, *, is_slow: bool) -> dict[str, Any]:
    """What the heading of the sortable column ``name`` says and leads to, for `contexts.Column`.

    A click orders by it alone, or turns it round; with the shift key it joins the others.
    """
    place, order = _find(orders, name)
    is_ascending = order is not None and not order.descending
    return {
        "sort_url": _url(url, [Order(name, is_ascending)]),
        "sort_add_url": _url(url, _joined(orders, name)),
        "sort": None if order is None else "desc" if order.descending else "asc",
        "sort_place": place if len(orders) > 1 else None,
        "is_slow": is_slow,
    }


def menu(
    url: Url,
    orders: Sequence[Order],
    columns: Iterable[tuple[str, str]],
    label_of: Callable[[str], str],
    slow: frozenset[str],
    may_be_empty: Callable[[str], bool],
) -> c.OrderMenu:
    """The keys of the order with what may be done to each, and the ``columns`` to add."""
    keys = [
        c.OrderKey(
            label=label_of(order.key),
            descending=order.descending,
            turn_url=_url(url, _with(orders, number, descending=not order.descending)),
            remove_url=_url(url, [*orders[:number], *orders[number + 1 :]]),
            nulls=order.nulls,
            nulls_urls=[
                (word, _url(url, _with(orders, number, nulls=word)))
                for word in ("first", "last")
                if word != order.nulls and may_be_empty(order.key)
            ],
            is_slow=order.key in slow,
        )
        for number, order in enumerate(orders)
    ]
    taken = {order.key for order in orders}
    more = [
        c.OrderChoice(label, _url(url, [*orders, Order(name)]), name in slow)
        for name, label in columns
        if name not in taken
    ]
    return c.OrderMenu(keys, more)


def _find(orders: Sequence[Order], name: str) -> tuple[int | None, Order | None]:
    for place, order in enumerate(orders, 1):
        if order.key == name:
            return place, order
    return None, None


def _joined(orders: Sequence[Order], name: str) -> list[Order]:
    place, order = _find(orders, name)
    if place is None or order is None:
        return [*orders, Order(name)]
    return _with(orders, place - 1, descending=not order.descending)


def _with(orders: Sequence[Order], number: int, **changed: Any) -> list[Order]:
    return [*orders[:number], replace(orders[number], **changed), *orders[number + 1 :]]


def _url(url: Url, orders: Sequence[Order]) -> str:
    return url(sort=",".join(map(str, orders)) or None, page=None)
