"""The rows of a list that no table holds: headings of groups with their totals, and the footer."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup, escape

from admin_app import contexts as c
from admin_app import rendering
from admin_app.chooser import Shown
from admin_app.inspection import Path
from admin_app.listing import Listing, ListState, Page, totals
from admin_app.listing.state import Total
from admin_app.listing.totals import Group, Totals

WORDS = {"sum": "Sum", "avg": "Average", "min": "Least", "max": "Greatest"}


def add(
    view: Any,
    page: c.ListPage,
    listing: Listing,
    state: ListState,
    found: Page,
    shown: Sequence[Shown],
) -> None:
    """Read what ``state`` asks for beside the rows of ``found``, and put it onto ``page``."""
    if state.group is None and not state.totals or not found.rows:
        return
    group = state.group
    values = [
        () if group is None else totals.value_of(listing, group, row.instance) for row in found.rows
    ]
    told = totals.read(listing, view.get_session(), state, values if group else [])
    drawn = _Drawn(state, shown)
    nouns = (view.singular.lower(), view.plural)
    if state.totals:
        page.footer = _footer(drawn, told, nouns)
    if group is not None:
        _headings(view, page, listing, state, found, values, told, drawn, nouns)


class _Drawn:
    """The cells of totals, one renderer a column."""

    def __init__(self, state: ListState, shown: Sequence[Shown]) -> None:
        self.shown = shown
        self.asked: dict[str, list[tuple[Total, Callable[[Any], Markup]]]] = {}
        paths = {column.name: column.path for column in shown}
        for total in state.totals:
            if total.name in paths:
                show = _renderer(paths[total.name], total.function)
                self.asked.setdefault(total.name, []).append((total, show))

    @property
    def span(self) -> int:
        """How many columns stand before the first that has a total, at least one."""
        names = [column.name for column in self.shown]
        first = next((at for at, name in enumerate(names) if name in self.asked), len(names))
        return max(first, 1)

    def texts(self, name: str, group: Group | None) -> Markup:
        told = Markup('<span class="total"><span class="muted">%s</span> %s</span>')
        return Markup(" ").join(
            told % (_word(total, group), show(group.values[total]) if group else _NOT_IN_TIME)
            for total, show in self.asked.get(name, ())
        )

    def row(self, label: Markup, group: Group | None) -> c.TotalsRow:
        """``label`` over the first columns, then the totals each in its own."""
        first = self.shown[0].name if self.shown else ""
        if first in self.asked:
            label += Markup(" · ") + self.texts(first, group)
        cell = Markup('<td class="%s">%s</td>')
        cells = [
            cell % ("num" if "num" in column.css else "", self.texts(column.name, group))
            for column in self.shown[self.span :]
        ]
        return c.TotalsRow(label, self.span, cells)


_NOT_IN_TIME = Markup('<span class="none" title="It would have taken too long">?</span>')


def _word(total: Total, group: Group | None) -> str:
    value = None if group is None else group.values[total]
    if isinstance(value, dt.date | dt.time) and total.function in ("min", "max"):
        return "Earliest" if total.function == "min" else "Latest"
    return WORDS[total.function]


def _renderer(path: Path, function: str) -> Callable[[Any], Markup]:
    type_ = totals.type_of(path)
    if function == "avg" or type_ is None:
        return _figure
    if path.relationship is not None:
        return _figure
    return rendering.by_type(type_, is_cut=True)


def _figure(value: Any) -> Markup:
    if value is None:
        return rendering.NONE
    if isinstance(value, float):
        return escape(f"{value:,.10g}")
    return escape(f"{value:,}" if isinstance(value, int | decimal.Decimal) else str(value))


def _footer(drawn: _Drawn, told: Totals, nouns: tuple[str, str]) -> c.TotalsRow:
    if told.whole is None:
        label = escape(f"All {nouns[1]}: adding them up would have taken too long")
    else:
        number = told.whole.count
        label = escape(f"All {number:,} {nouns[1]}" if number != 1 else f"1 {nouns[0]}")
    return drawn.row(label, told.whole)


def _headings(
    view: Any,
    page: c.ListPage,
    listing: Listing,
    state: ListState,
    found: Page,
    values: Sequence[tuple[Any, ...]],
    told: Totals,
    drawn: _Drawn,
    nouns: tuple[str, str],
) -> None:
    """Put a heading before the first row of each group on the page."""
    assert state.group is not None
    name = state.group.key
    path = view._path(name) if listing.offers is None else listing.offers.path(name)
    assert path is not None
    show = view._renderer(path, is_list=True)
    label = Markup('<span class="muted">%s</span> <b>%s</b>')
    words = str(view.get_column_name(name))
    starts = [at for at, value in enumerate(values) if at == 0 or value != values[at - 1]]
    for start, end in zip(starts, [*starts[1:], len(values)], strict=True):
        group = None if told.groups is None else told.groups.get(values[start])
        text = _extent(group, end - start, nouns)
        text += _continued(
            group,
            end - start,
            is_after=start == 0 and found.has_previous,
            is_before=end == len(values) and found.has_next,
        )
        shown = label % (words, show(found.rows[start]))
        heading = drawn.row(shown + Markup(' <span class="muted">· %s</span>') % text, group)
        page.rows[start] = dataclasses.replace(page.rows[start], heading=heading)


def _extent(group: Group | None, here: int, nouns: tuple[str, str]) -> str:
    """How many rows a group has, and how many of them are here."""
    if group is None:
        return f"{here:,} here"
    told = f"{group.count:,} {nouns[0] if group.count == 1 else nouns[1]}"
    return told if group.count <= here else f"{told}, {here:,} of them here"


def _continued(group: Group | None, here: int, *, is_after: bool, is_before: bool) -> str:
    """Where the rest of a group is, as far as the page can tell."""
    if group is None or group.count <= here or is_after and is_before:
        return ""
    if is_after:
        return ", continued from the page before"
    return ", continued on the next page" if is_before else ""
