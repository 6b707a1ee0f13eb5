"""The filters of a list as a visitor sees them: in words, as chips, and in a form that makes them.

The form is a page of its own, reached over the list's address by the argument ``filter``; a script
shows it beside the list instead. It works by sending itself: each of its buttons, and each choice
that changes what else can be chosen, asks for it anew, with what was entered so far. Only its last
button leads to the list, by the address that `filters.arguments` writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from admin_app import columns, inspection
from admin_app.errors import InvalidRequest


def allowed(view: Any) -> Iterable[str] | None:
    """The paths through relationships that a URL may filter by: those of ``column_filters``.

    None, for all of them, where there is no such option.
    """
    if view.column_filters is None:
        return None
    found: set[str] = set()
    for name in named(view):
        found.add(name)
        try:
            relationship = inspection.resolve(view.mapper, name).relationship
        except InvalidRequest:
            continue
        if relationship is not None:
            # In Flask-Admin, naming a relationship offers the columns that it leads to.
            found.update(f"{name}.{key}" for key in inspection.columns(relationship.mapper))
    return found


def named(view: Any) -> list[str]:
    """The columns and relationships that ``column_filters`` names."""
    given = [f for f in view.column_filters or () if not hasattr(f, "apply")]
    return [columns.name_of(view.mapper, attribute) for attribute in given]
