"""Rows of a hierarchy: of which class a new one is, and by which form an old one is changed.

A class that has no view of its own is made, shown and changed at the address of the nearest class
above it that has one, by a copy of that view with the columns of the class itself. Whatever is
done to a row, the policy is asked about the class that the row is of.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

import flask
import sqlalchemy as sa
from flask import request
from markupsafe import Markup
from sqlalchemy import orm
from werkzeug.utils import redirect

from admin_app import _flask_admin, inspection, pages
from admin_app.contexts import Choice, ChoicePage, Link, Row
from admin_app.errors import Forbidden
from admin_app.navigation import breadcrumbs, description

ARGUMENT = "type"
"""The argument of a URL that names the class of a new row by its discriminator."""


def over(view: Any, mapper: orm.Mapper[Any]) -> Any:
    """``view`` with the forms and columns of ``mapper``, a class of its hierarchy; made once."""
    found = view._over.get(mapper)
    if found is None:
        found = _flask_admin.over(view, mapper)
        found.singular = inspection.words(mapper.class_.__name__)
        found.read_only_note = inspection.is_read_only(mapper.class_) or view.read_only_note
        names = (n for n, m in inspection.subtypes(view.mapper).items() if m is mapper)
        found.subtype = next(names, None)
        found.prepare_form_keys()
        view._over[mapper] = found
    return found


def within(parent: Any, mapper: orm.Mapper[Any], what: str) -> list[sa.ColumnElement[bool]]:
    """That rows of ``mapper`` are among those that ``parent`` lists, where it narrows them."""
    listing = parent.get_listing(what)
    if not listing.is_narrowed:
        return []
    keys = [getattr(mapper.class_, k) for k in inspection.identity_keys(mapper)]
    known = [getattr(parent.model, k) for k in inspection.identity_keys(parent.mapper)]
    rows = listing.base().with_only_columns(*known)
    return [keys[0].in_(rows) if len(keys) == 1 else sa.tuple_(*keys).in_(rows)]


def over_all(view: Any) -> None:
    """Make the forms of every class that is changed at the address of ``view``, with lookups."""
    for mapper in view.mapper.self_and_descendants:
        if mapper is not view.mapper and not mapper.concrete and _own_view(view, mapper) is None:
            over(view, mapper)


def _own_view(view: Any, mapper: orm.Mapper[Any]) -> Any:
    found = view.view_of(mapper)
    return found if found is not None and found.mapper is mapper else None


def for_row(view: Any, instance: Any) -> Any:
    """The view that shows and changes ``instance`` at the address of ``view``.

    It is ``view`` itself, with the columns that it knows, where the class of the row has another.
    """
    mapper = _other_class(view, instance)
    return view if mapper is None or _own_view(view, mapper) is not None else over(view, mapper)


def _other_class(view: Any, instance: Any) -> orm.Mapper[Any] | None:
    """The mapper of ``instance``, if it is a subclass of that of ``view``."""
    mapper = orm.object_mapper(instance) if sa.inspect(instance, raiseerr=False) else view.mapper
    return mapper if mapper is not view.mapper and mapper.isa(view.mapper) else None


def own_link(view: Any, instance: Any, page: str) -> Link | None:
    """The way to the pages of the class that ``instance`` is of, for who may see these."""
    mapper = _other_class(view, instance)
    own = None if mapper is None else _own_view(view, mapper)
    what = "change" if page == "edit" else "view"
    if own is None or not own.is_accessible() or not own.allows(what):
        return None
    url = own.url_for(page, id=own.get_pk_value(instance), url=request.args.get("url"))
    return Link(f"Open as {own.singular.lower()}", url)


def home(view: Any, instance: Any) -> Any:
    """In a list over several tables, the view of the class of ``instance``, if it has one.

    ``view`` itself for its own rows: a key means one of these.
    """
    mapper = orm.object_mapper(instance)
    return view if mapper is view.mapper else _own_view(view, mapper)


def home_link(view: Any, prefix: str) -> Callable[[Any], str | None]:
    """The main page of each row of a list over several tables, for who may see it.

    ``prefix`` is the address of those of ``view`` itself, up to their keys.
    """
    text_of = inspection.identity_text(view.mapper)

    def lead(instance: Any) -> str | None:
        own = home(view, instance)
        if own is view:
            return prefix + text_of.quoted(instance)
        if own is None or not own.may("view") or not own.is_accessible():
            return None
        found: str | None = own.row_link()(instance)
        return found

    return lead


def led_home(view: Any, row: Row, suffix: str) -> Row:
    """``row`` of a list over several tables, with the addresses of the view of its own class."""
    own = home(view, row.instance)
    if own is view:
        return row
    addresses: dict[str, str | None] = {"edit_url": None, "details_url": None, "delete_url": None}
    if own is not None and own.may("view") and own.is_accessible():
        allowed = {
            "edit": own.allows("change"),
            "details": own.can_view_details,
            "delete": own.allows("delete"),
        }
        for page, is_allowed in allowed.items():
            if is_allowed:
                url = own.url_for(page, id=own.get_pk_value(row.instance))
                addresses[f"{page}_url"] = url + suffix
    return dataclasses.replace(row, id=None, actions=Markup(), **addresses)  # type: ignore[arg-type]


def can_copy(view: Any, instance: Any) -> bool:
    """Whether the form of ``instance``, which has all columns of its class, makes new rows too."""
    return bool(view.can_save_as_new) and _other_class(view, instance) is None


def require(view: Any, instances: Iterable[Any], what: str) -> None:
    """Forbidden unless the policy allows ``what`` to the classes that ``instances`` are of."""
    mappers = {mapper: None for i in instances if (mapper := _other_class(view, i)) is not None}
    for mapper in mappers:
        own = _own_view(view, mapper) or over(view, mapper)
        if not own.may(what):
            raise Forbidden(f"You may not {VERBS[what]} {inspection.plural(own.singular).lower()}.")


VERBS = {
    "add": "create",
    "change": "change",
    "delete": "delete",
    "view": "see",
    "export": "export",
    "import": "import",
    "query": "see the queries of",
    "history": "see the history of",
    "undo": "undo changes of",
}
"""What the policy is asked about, as a verb of a sentence."""


def for_new(view: Any) -> Any:
    """The view that makes the new row that the request asks for.

    A response instead, a page with one link for each class, where it does not say which.
    """
    known = inspection.subtypes(view.mapper)
    if not known or list(known.values()) == [view.mapper]:
        return view
    name = request.args.get(ARGUMENT, "")
    if name in known:
        return _for_class(view, name, known[name])
    if request.method == "POST" and view.mapper in known.values():
        # What Flask-Admin made of a form that tells no class.
        return view
    choices = [c for name, m in known.items() if (c := _choice(view, name, m)) is not None]
    if len(choices) == 1:
        return redirect(choices[0].url)
    html = view.render("admin/model/choose.html", page=_choice_page(view, choices))
    return flask.make_response(html, 200 if request.method == "GET" else 400)


def _for_class(view: Any, name: str, mapper: orm.Mapper[Any]) -> Any:
    found = over(view, mapper)
    found.require("add")
    own = _own_view(view, mapper)
    if mapper is view.mapper or own is None:
        return found
    # Its own view knows which columns may be set, so that is where its rows are made.
    return redirect(_new_url(own, name, mapper), 307)


def _choice(view: Any, name: str, mapper: orm.Mapper[Any]) -> Choice | None:
    """How to make a row of ``mapper``; None for whom it is not allowed."""
    own = view if mapper is view.mapper else _own_view(view, mapper)
    maker = own or over(view, mapper)
    if not maker.allows("add") or not maker.is_accessible():
        return None
    words = maker.singular
    return Choice(words, _new_url(own or view, name, mapper), own and description(own))


def _new_url(view: Any, name: str, mapper: orm.Mapper[Any]) -> str:
    """The address of a new row of ``mapper``, with all that the present one suggests for it."""
    is_asked = len(inspection.subtypes(view.mapper)) > 1 or mapper is not view.mapper
    kept = [(k, v) for k, v in request.args.items(multi=True) if k != ARGUMENT]
    if "url" not in request.args and view.endpoint != request.blueprint:
        kept.append(("url", flask.url_for(f"{request.blueprint}.index_view")))
    arguments = [(ARGUMENT, name), *kept] if is_asked else kept
    url = flask.url_for(f"{view.endpoint}.create_view")
    return f"{url}?{urlencode(arguments)}" if arguments else url


def _choice_page(view: Any, choices: list[Choice]) -> ChoicePage:
    heading = f"New {view.singular.lower()}"
    back = pages.safe_url(request.args.get("url"), view.get_url(".index_view"))
    return ChoicePage(
        title=heading,
        heading=heading,
        breadcrumbs=breadcrumbs(view, (str(view.name), back), (heading, None)),
        sentence=f"What kind of {view.singular.lower()} is it?",
        choices=choices,
        cancel_url=back,
    )
