"""A `Selection` in forms and in the list: what ticked rows, or all that match, are sent as.

``rowid`` names a row. ``across`` says that all rows are meant that match the arguments of the list,
which are sent with ``q.`` before their names, but for those that ``except`` names, and those that
were ``shown`` and not ticked; ``matched`` is how many that were when the page was made. ``one``,
the name of an action and a key, is a row's own button, and means that row alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import request

from admin_app import _flask_admin
from admin_app.filters import is_argument
from admin_app.listing import Count, Listing, Selection

ACROSS = "across"
"""The argument of a list and of a form that says: all rows that match."""

QUERY = "q."


def read() -> tuple[str, Selection]:
    """The action that the form names, and the rows that it means."""
    form = request.form
    name, sign, key = form.get("one", "").partition(":")
    if sign:
        return name, Selection((key,))
    ticked = dict.fromkeys(form.getlist("rowid"))
    if form.get(ACROSS) != "1":
        return form.get("action", ""), Selection(tuple(ticked))
    left_out = [key for key in form.getlist("shown") if key not in ticked]
    excepted = dict.fromkeys([*form.getlist("except"), *left_out])
    matched = form.get("matched", "")
    return form.get("action", ""), Selection(
        query=tuple(
            (name.removeprefix(QUERY), value)
            for name, value in form.items(multi=True)
            if name.startswith(QUERY)
        ),
        excepted=tuple(key for key in excepted if key not in ticked),
        matched=int(matched) if matched.isascii() and matched.isdigit() else None,
    )


def hidden(selection: Selection, matched: int | None = None) -> list[tuple[str, str]]:
    """``selection`` as the fields of a form; ``matched`` is how many match by now."""
    if selection.query is None:
        return [("rowid", key) for key in selection.keys]
    fields = [(ACROSS, "1"), *((QUERY + name, value) for name, value in selection.query)]
    fields += [("except", key) for key in selection.excepted]
    return fields if matched is None else [*fields, ("matched", str(matched))]


def query_of(arguments: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Those of the arguments of a list that say which rows are in it: its search and filters."""
    return tuple(
        (name, str(one))
        for name, values in arguments.items()
        if name == "search" or is_argument(name) or name.startswith("flt")
        for one in (values if isinstance(values, list) else [values])
    )


def listing(view: Any, selection: Selection, what: str = "view") -> Listing:
    """The listing that ``selection`` is read with: what the visitor may do ``what`` to.

    Filters of Flask-Admin's kind are in it; InvalidRequest for one that means nothing.
    """
    filters = _flask_admin.list_filters(view, selection.query or ())
    found: Listing = view.get_listing(what, refine=view._refinement(filters))
    return found


def words(view: Any, count: Count | None, number: int | None = None) -> str:
    """Rows of ``view`` in words: "12,408 orders"; ``number`` instead of that of the count."""
    if count is None:
        return f"all {view.plural} that match"
    if not count.is_exact:
        told = f"about {count.number:,}" if count.is_estimate else f"more than {count.number:,}"
        return f"{told} {view.plural}"
    shown = count.number if number is None else number
    return f"{shown:,} {view.singular.lower() if shown == 1 else view.plural}"


def pairs(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """``fields`` but for those of a selection."""
    own = {ACROSS, "rowid", "except", "matched", "shown", "one"}
    return [(name, value) for name, value in fields if name not in own and name[:2] != QUERY]
