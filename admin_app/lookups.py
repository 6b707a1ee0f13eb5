"""Rows of related classes for the pickers of a form, within the visitor's reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flask
from sqlalchemy import orm

from admin_app import inspection
from admin_app import listing as listings
from admin_app.errors import Forbidden
from admin_app.listing import Listing

LOOKUP_SIZE = 20
"""Rows that one answer to a picker holds, whatever it asks for."""


class RowLookup:
    """Finds rows of ``mapper`` for the field ``name`` of the form of ``view``.

    They come from the related model's own view, scope and search included, or from ``loader``, an
    entry of the view's ``form_ajax_refs``.
    """

    def __init__(self, view: Any, name: str, mapper: orm.Mapper[Any], loader: Any = None) -> None:
        self.view = view
        self.name = name
        self.mapper = mapper
        self.loader = loader

    def url(self) -> str:
        """Where the browser asks for rows as the operator types."""
        return flask.url_for(f"{self.view.endpoint}.lookup", field=self.name)

    def listing(self) -> Listing:
        """The related rows as their own view lists them; all of them where there is no view."""
        view = self.view.view_of(self.mapper)
        if view is not None:
            if not view.may("view"):
                raise Forbidden(f"You may not see {str(view.name).lower()}.")
            return view.get_listing()  # type: ignore[no-any-return]
        names = listings.default_searchable(self.mapper)
        return Listing(self.mapper, searchable=[inspection.resolve(self.mapper, n) for n in names])

    def search(self, text: str, page: int) -> tuple[list[dict[str, str]], bool]:
        """One page of matches, each with its identity text, its label and a hint."""
        session = self.view.get_session()
        if self.loader is not None:
            found = list(self.loader.get_list(text, page * LOOKUP_SIZE, LOOKUP_SIZE + 1))
            instances, has_more = found[:LOOKUP_SIZE], len(found) > LOOKUP_SIZE
        else:
            instances, has_more = self.listing().lookup(
                session, text, LOOKUP_SIZE, page * LOOKUP_SIZE
            )
        label = inspection.label(self.mapper)
        text_of = inspection.identity_text(self.mapper)
        items = []
        for instance in instances:
            key, words = text_of.of(instance), label.of(instance)
            items.append({"id": key, "text": words, "hint": "" if key in words else key})
        return items, has_more

    def fetch(self, identities: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The instances with these identities; those out of reach are left out."""
        return self.listing().many(self.view.get_session(), identities) if identities else []

    def members(self, instance: Any, key: str, limit: int) -> list[Any]:
        """At most ``limit`` members of the collection ``key`` of ``instance``."""
        return listings.members(self.view.get_session(), instance, key, limit)
