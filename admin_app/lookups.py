"""Rows of related classes for the pickers of a form, within the visitor's reach."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import flask
import sqlalchemy as sa
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from flask_admin.contrib.sqla.ajax import QueryAjaxModelLoader
from sqlalchemy import orm

from admin_app import columns, database, filters, inspection
from admin_app import listing as listings
from admin_app.errors import Forbidden, InvalidRequest, NotFound
from admin_app.listing import Listing
from admin_app.policy import Reach

LOOKUP_SIZE = 20
"""Rows that one answer to a picker holds, whatever it asks for."""

FILTER = "filter:"
"""What the name of a lookup begins with that belongs to no field of a form."""


OWN = "own-rows"
"""The name of the lookup of the rows of a view themselves. No attribute has a dash."""


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

    @property
    def has_numbers(self) -> bool:
        """Whether the key of a row is one whole number."""
        keys = self.mapper.primary_key
        return len(keys) == 1 and isinstance(keys[0].type, sa.Integer)

    def listing(self) -> Listing:
        """The related rows as their own view lists them; by the policy where there is no view."""
        view = self.view.view_of(self.mapper)
        if view is not None:
            if not view.may("view"):
                raise Forbidden(f"You may not see {view.plural}.")
            return view.over(self.mapper).get_listing()  # type: ignore[no-any-return]
        reach = self.view.reach()
        if not reach.may_read(self.mapper):
            noun = inspection.plural(inspection.words(self.mapper.class_.__name__))
            raise Forbidden(f"You may not see {noun.lower()}.")
        names = columns.searchable(self.mapper)
        return Listing(
            self.mapper,
            scope=reach.rows(self.mapper),
            searchable=listings.search_fields(self.mapper, names),
        )

    def search(
        self, text: str, page: int = 0, offset: int | None = None, limit: int = LOOKUP_SIZE
    ) -> tuple[list[dict[str, str]], bool]:
        """One page of matches, each with its identity text, its label and a hint."""
        session = self.view.get_session()
        offset = page * LOOKUP_SIZE if offset is None else offset
        if self.loader is not None:
            # No column of PostgreSQL holds a NUL, and a loader does not look.
            found = list(self.loader.get_list(text.replace("\0", ""), offset, limit + 1))
            instances, has_more = found[:limit], len(found) > limit
        else:
            instances, has_more = self._found(session, text, limit, offset)
        text_of = inspection.identity_text(self.mapper)
        items = []
        for instance in instances:
            key, words = text_of.of(instance), self.words(instance)
            items.append({"id": key, "text": words, "hint": "" if key in words else key})
        return items, has_more

    def _found(self, session: Any, text: str, limit: int, offset: int) -> tuple[list[Any], bool]:
        try:
            return self.listing().lookup(session, text, limit, offset)
        except sa.exc.OperationalError as error:
            if not database.was_stopped(error):
                raise
            session.rollback()
            raise InvalidRequest("This took too long to find. Type more of it.") from None

    def words(self, instance: Any) -> str:
        """What a row is called here: a loader of the host may have its own words.

        One that is out of the visitor's reach goes by its key.
        """
        if listings.is_out_of_reach(instance):
            return inspection.identity_text(self.mapper).of(instance)
        shown = self.loader.format(instance) if self._is_own("format") else None
        return str(shown[1]) if shown else inspection.label(self.mapper).of(instance)

    def _is_own(self, method: str) -> bool:
        """Whether the host has written ``method`` of the loader himself."""
        stock = getattr(QueryAjaxModelLoader, method)
        return self.loader is not None and getattr(type(self.loader), method) is not stock

    def fetch(self, identities: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The instances with these identities; those out of reach are left out."""
        if self._is_own("get_one"):
            found = (self.loader.get_one(i[0] if len(i) == 1 else i) for i in identities)
            return [instance for instance in found if instance is not None]
        return self.listing().many(self.view.get_session(), identities) if identities else []

    def find(self, key: str, value: Any) -> list[Any]:
        """The instance whose attribute ``key``, which is unique, has ``value``, if in reach."""
        return self.listing().having(self.view.get_session(), key, value)

    def members(self, instance: Any, key: str, limit: int, far_key: str | None = None) -> list[Any]:
        """At most ``limit`` members of the collection ``key`` in reach, with their ``far_key``."""
        session, reach = self.view.get_session(), self.view.reach()
        return listings.members(session, instance, key, limit, far_key, reach)


class LookupRoutes:
    """What a view has for the pickers of its forms: where they look, and the routes they ask."""

    mapper: orm.Mapper[Any]
    parent_view: Any
    reach: Callable[[], Reach]
    _lookups: dict[str, RowLookup]

    def lookup_for(
        self, relationship: orm.RelationshipProperty[Any], field: str | None = None
    ) -> RowLookup:
        """Where a form finds rows for ``relationship``; remembered under its name in URLs.

        ``field`` is the name of the form's field where it differs: an association proxy.
        """
        name = reference = field or relationship.key
        known = self.mapper if self.parent_view is None else self.parent_view.mapper
        if relationship.parent is not known and not known.isa(relationship.parent):
            owner = relationship.parent.class_.__name__
            # Flask-Admin's name for a reference of an inline form.
            name, reference = f"{owner}.{name}", f"{owner.lower()}-{name}"
        loader = (getattr(self, "_form_ajax_refs", None) or {}).get(reference)
        return self._lookups.setdefault(name, RowLookup(self, name, relationship.mapper, loader))

    def lookup_for_table(self, mapper: orm.Mapper[Any], key: str) -> RowLookup:
        """Where a form finds rows for a foreign key without relationship to ``key``."""
        name = f"{mapper.class_.__name__}.{key}"
        return self._lookups.setdefault(name, RowLookup(self, name, mapper, None))

    def lookup_for_filter(self, path: str) -> RowLookup | None:
        """Where the form of filters finds rows for what ``path`` leads to; None if to no rows."""
        try:
            mapper = filters.target(self.mapper, path, self.reach()).row_mapper
        except InvalidRequest:
            return None
        return None if mapper is None else RowLookup(self, f"{FILTER}{path}", mapper)

    def scaffold_other_forms(self) -> None:
        """Make the forms, with their lookups, that are made when they are first asked for."""

    def _lookup(self, name: str) -> RowLookup:
        if name.startswith(FILTER):
            wanted = self.lookup_for_filter(name.removeprefix(FILTER))
            if wanted is not None:
                return wanted
        if name == OWN:
            return RowLookup(self, OWN, self.mapper)
        if name not in self._lookups:
            # Another process may have drawn the form that asks.
            self.scaffold_other_forms()
        if name not in self._lookups:
            raise NotFound("This form has no such field.")
        return self._lookups[name]

    @expose("/lookup/<path:field>/")
    def lookup(self, field: str) -> ResponseReturnValue:
        """Rows for a picker as JSON; ``q`` is what was typed, ``page`` counts from 0."""
        found = self._lookup(field)
        page = request.args.get("page", "0")
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 0
        items, has_more = found.search(request.args.get("q", ""), number)
        return _as_json({"items": items, "has_more": has_more})

    @expose("/ajax/lookup/")
    def ajax_lookup(self) -> ResponseReturnValue:
        """Rows for a host's own script, as Flask-Admin answers it: pairs of key and label."""
        found = self._lookup(request.args.get("name", ""))
        offset = request.args.get("offset", 0, type=int)
        limit = min(max(1, request.args.get("limit", 10, type=int)), LOOKUP_SIZE)
        items, _ = found.search(request.args.get("query", ""), offset=max(0, offset), limit=limit)
        pairs = [[int(i["id"]) if found.has_numbers else i["id"], i["text"]] for i in items]
        return _as_json(pairs)


def _as_json(found: Any) -> flask.Response:
    # Nothing but texts and numbers, and asked for at each letter: `jsonify` takes twice as long.
    return flask.Response(json.dumps(found), mimetype="application/json")
