"""The panel of facets beside a list: values with their numbers of rows, each a click away."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from admin_app import contexts as c
from admin_app import filters
from admin_app.filters import Condition, Group, periods
from admin_app.listing import Listing, ListState, facets

LATE = "Too many rows to count in time. Narrow the list first."

MakeUrl = Callable[..., dict[str, Any]]
"""The arguments of the list's URL with some of them changed."""


def on_list(view: Any, listing: Listing, state: ListState, arguments: MakeUrl) -> dict[str, Any]:
    """What a list page has of its facets: the way to them, and, when they are asked for, all."""
    if view.has_own_rows or view.column_facets is not None and not view.column_facets:
        return {}
    link = _Link(view, state, arguments, is_open=state.facets is None)
    return {
        "facets_url": link.to(state.filters),
        "facets_script_url": view.get_url(".facets_view", **arguments(facets=None)),
        "facets": None if state.facets is None else panel(view, listing, state, arguments),
    }


def panel(
    view: Any,
    listing: Listing,
    state: ListState,
    arguments: MakeUrl,
    *,
    for_script: bool = False,
) -> c.FacetPanel:
    """The facets of the list that ``state`` describes.

    A script fetches the panel anew on every page, so its links need not ask for it.
    """
    names = None if view.column_facets is None else [view._name(n) for n in view.column_facets]
    found = facets.found(listing, view.get_session(), state, names, state.facets or ())
    link = _Link(view, state, arguments, is_open=not for_script)
    boxes = [_box(view, facet, state, link) for facet in found if _tells(facet)]
    has_rows = not found or any(value.count for facet in found for value in facet.values)
    title = str(view.name)
    words = "Nothing to choose from: all rows are alike in what can be counted."
    return c.FacetPanel(
        boxes, title, words if has_rows else f"There are no {title.lower()} to count."
    )


def _tells(facet: facets.Facet) -> bool:
    """Whether there is something to choose from."""
    counted = [value for value in facet.values if value.count]
    chosen = [value for value in facet.values if value.is_selected]
    return (
        facet.is_late or bool(chosen) or bool(facet.within and facet.is_chosen) or len(counted) > 1
    )


class _Link:
    """Makes URLs of the list with other filters."""

    def __init__(self, view: Any, state: ListState, arguments: MakeUrl, *, is_open: bool) -> None:
        self.view = view
        self.state = state
        self.arguments = arguments
        self.is_open = is_open

    def to(self, group: Group, long: str | None = None) -> str:
        names = list(self.state.facets or ())
        if long is not None:
            names = [n for n in names if n != long] if long in names else [*names, long]
        asked = (",".join(names) or "1") if self.is_open or long is not None else None
        changed = {"page": None, "after": None, "before": None, "at": None, "facets": asked}
        kept = self.arguments(**changed).items()
        found: dict[str, Any] = {k: v for k, v in kept if not filters.is_argument(k)}
        for name, value in filters.arguments(group):
            found.setdefault(name, []).append(value)
        url: str = self.view.get_url(".index_view", **found)
        return url


def _box(view: Any, facet: facets.Facet, state: ListState, link: _Link) -> c.FacetBox:
    most = max((value.count or 0 for value in facet.values), default=0)
    is_times = facet.operator == "during"
    return c.FacetBox(
        name=facet.name,
        title=str(view.get_column_name(facet.name)),
        values=[_value(facet, value, most, state, link) for value in facet.values],
        is_times=is_times,
        trail=_trail(facet, state, link) if is_times else [],
        more_url=link.to(state.filters, facet.name) if _is_cut(facet, state) else None,
        is_long=facet.name in (state.facets or ()),
        note=LATE if facet.is_late else None,
    )


def _is_cut(facet: facets.Facet, state: ListState) -> bool:
    return facet.has_more or facet.name in (state.facets or ())


def _value(
    facet: facets.Facet, value: facets.Value, most: int, state: ListState, link: _Link
) -> c.FacetValue:
    if facet.operator == "during":
        text, group = _short(value.text or ""), _during(facet, value, state)
    else:
        text, group = value.words, _toggled(facet, value, state)
    part = 0 if not most else round(100 * (value.count or 0) / most)
    return c.FacetValue(
        text=text,
        words=value.words,
        count_text="" if value.count is None else f"{value.count:,}" if value.count else "–",
        url=link.to(group) if value.count or value.is_selected or value.count is None else None,
        is_selected=value.is_selected,
        part=max(part, 2) if value.count else 0,
    )


def _toggled(facet: facets.Facet, value: facets.Value, state: ListState) -> Group:
    """The filters with ``value`` chosen, or no longer chosen.

    Rows without a value have a filter of their own, which no row meets together with the other.
    """
    others = _without(state.filters, facet.name, ("is", "empty"))
    if value.text is None:
        return others if value.is_selected else _with(others, facet.name, "empty", ("1",))
    chosen = [
        text
        for member in state.filters.members
        if isinstance(member, Condition) and (member.path, member.operator) == (facet.name, "is")
        for text in member.values
    ]
    kept = [text for text in chosen if text != value.text]
    if not value.is_selected:
        kept.append(value.text)
    return _with(others, facet.name, "is", tuple(kept)) if kept else others


def _during(facet: facets.Facet, value: facets.Value, state: ListState) -> Group:
    """The filters with the period of ``value``; chosen again, with the one that it is part of."""
    others = _without(state.filters, facet.name, ("is", "empty", "during"))
    period = facet.within if value.is_selected else value.text
    return _with(others, facet.name, "during", (period,)) if period else others


def _without(group: Group, name: str, operators: Sequence[str]) -> Group:
    kept = tuple(
        member
        for member in group.members
        if not isinstance(member, Condition)
        or member.path != name
        or member.operator not in operators
    )
    return dataclasses.replace(group, members=kept)


def _with(group: Group, name: str, operator: str, values: tuple[str, ...]) -> Group:
    return dataclasses.replace(group, members=(*group.members, Condition(name, operator, values)))


def _trail(facet: facets.Facet, state: ListState, link: _Link) -> list[c.Link]:
    """The periods that the one shown is part of, the widest first, as the way back to them."""
    if not facet.within:
        return []
    if not facet.is_chosen:
        return [c.Link(periods.words(facet.within))]
    others = _without(state.filters, facet.name, ("is", "empty", "during"))
    widths = [width for width in (4, 7) if width <= len(facet.within)]
    has_day = any(value.is_selected for value in facet.values)
    steps = [c.Link("All", link.to(others))]
    for width in widths:
        period = facet.within[:width]
        is_here = period == facet.within and not has_day
        url = link.to(_with(others, facet.name, "during", (period,)))
        steps.append(c.Link(_last_part(period), None if is_here else url))
    return steps


def _last_part(period: str) -> str:
    """A year, the name of a month, or the number of a day."""
    return str(int(period[8:])) if len(period) == 10 else periods.words(period).partition(" ")[0]


def _short(period: str) -> str:
    """What stands under a bar, where the wider period is known."""
    part = _last_part(period)
    return part[:3] if len(period) == 7 else part
