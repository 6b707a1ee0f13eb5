"""The search over everything: pages of the site, what can be begun there, and rows of every model.

Rows are found by each model's own list, with its search, scope and policy, until the time is up;
which models were left out is told. The page works without a script; the dialog that opens by
Ctrl-K asks the same address for JSON.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import flask
import sqlalchemy as sa
from flask import request
from flask.typing import ResponseReturnValue

from admin_app import as_stored, database, inspection, listing, navigation
from admin_app.contexts import PaletteEntry, PaletteGroup, PalettePage
from admin_app.errors import OutOfTime
from admin_app.listing import searching
from admin_app.pages import Crumb

SECONDS = 0.3
"""Time for the rows of all models together."""

ROWS = 5
"""Rows of one model."""

MOST = 12
"""Models whose rows are shown."""

SHORTEST = 2
"""Letters from which on rows are looked for; one digit may be a key."""


def response(admin: Any) -> ResponseReturnValue:
    """What the request looks for: a page, or JSON for a script."""
    text = searching.cleaned(request.args.get("q", ""), [])
    recent = request.args.get("recent", "").split(",")[:MOST]
    rows, left_out = _rows(admin, text, recent)
    groups = [*_places(admin, text), *rows, *_longer(left_out, text)]
    if request.accept_mimetypes["application/json"] > request.accept_mimetypes["text/html"]:
        return flask.jsonify(
            groups=[
                {
                    "key": g.key,
                    "title": g.title,
                    "more_url": g.more_url,
                    "items": [{"text": e.text, "url": e.url, "hint": e.hint} for e in g.entries],
                }
                for g in groups
            ],
            sentence=_sentence(left_out),
        )
    page = PalettePage(
        title="Search",
        breadcrumbs=[
            Crumb(str(admin.name), flask.url_for(f"{admin.endpoint}.index")),
            Crumb("Search"),
        ],
        text=text,
        action_url=admin.search_url(),
        groups=groups,
        sentence=_sentence(left_out),
    )
    return flask.render_template("admin/palette.html", page=page, admin_view=None)


def _sentence(left_out: Sequence[Any]) -> str:
    """What was not looked through, if anything."""
    if not left_out:
        return ""
    names = [str(view.name) for view in left_out]
    more = f" and {len(names) - 4} more" if len(names) > 5 else ""
    shown = names if not more else names[:4]
    return f"Not looked through, for it takes longer: {', '.join(shown)}{more}."


def _longer(left_out: Sequence[Any], text: str) -> Iterator[PaletteGroup]:
    """The lists of models that were not looked through, each to search there."""
    entries = [
        PaletteEntry(
            f"{view.name} with “{inspection.shorten(text)}”", view.url_for("list", search=text)
        )
        for view in left_out[:ROWS]
    ]
    if entries:
        yield PaletteGroup("longer", "Searches that take longer", entries)


# Pages and actions


def _places(admin: Any, text: str) -> list[PaletteGroup]:
    """Pages of the menu, and new rows, that have all words of ``text`` in their names."""
    words = text.lower().split()
    sections = navigation.sections(admin)
    pages = [PaletteEntry(i.title, i.url, s.title or "") for s in sections for i in s.items]
    actions = [
        PaletteEntry(f"New {view.singular.lower()}", view.url_for("create"), str(view.name))
        for view in _views(admin)
        if view.allows("add")
    ]
    groups = [
        PaletteGroup("pages", "Pages", _fitting(pages, words)),
        PaletteGroup("actions", "Actions", _fitting(actions, words)),
    ]
    return [g for g in groups if g.entries]


def _fitting(entries: Iterable[PaletteEntry], words: Sequence[str]) -> list[PaletteEntry]:
    found = [e for e in entries if all(w in e.text.lower() for w in words)]
    start = words[0] if words else ""
    return sorted(found, key=lambda e: not e.text.lower().startswith(start))


def _views(admin: Any, first: Sequence[str] = ()) -> Iterator[Any]:
    """The models' views that the visitor may open; those whose endpoints are in ``first`` first."""
    places = {key: place for place, key in enumerate(first)}
    views = sorted(admin.views_by_model.values(), key=lambda v: places.get(v.endpoint, len(places)))
    return (v for v in views if v.may("view") and v.is_accessible())


# Rows


def _rows(admin: Any, text: str, recent: Sequence[str]) -> tuple[list[PaletteGroup], list[Any]]:
    """Rows of each model that match ``text``, and the views that were left out."""
    if len(text) < SHORTEST and not text.isdigit():
        return [], []
    end = time.monotonic() + SECONDS
    found: list[PaletteGroup] = []
    left_out: list[Any] = []
    views = [v for v in _views(admin, recent) if not v.has_own_rows and v._searched]
    _learn(views)
    for view in views:
        remaining = end - time.monotonic()
        group = None
        if len(found) < MOST and remaining > 0:
            group = _rows_of(view, text, remaining)
        if group is None:
            left_out.append(view)
        elif group.entries:
            found.append(group)
    return found, left_out


def _learn(views: Sequence[Any]) -> None:
    """Ask for the indexes of all models of a database at once, where they are not known yet."""
    by_engine: dict[Any, list[Any]] = {}
    for view in views:
        by_engine.setdefault(view.get_session().get_bind(mapper=view.mapper), []).append(view)
    for group in by_engine.values():
        tables = {t for v in group for t in searching.tables(v.mapper, v._searched)}
        listing.known_indexes(group[0].get_session(), group[0].mapper, tables)


def _rows_of(view: Any, text: str, seconds: float) -> PaletteGroup | None:
    """The rows of one model; None where they could not be had in ``seconds``."""
    rows = view.get_listing()
    if rows.searched.is_large and not rows.searched.is_served(searching.words(text)):
        return None
    session = view.get_session()
    bind = session.get_bind(mapper=view.mapper)
    as_stored.tolerate(getattr(bind, "engine", bind), view.mapper)
    try:
        with database.budget(session, seconds, view.mapper):
            instances, has_more = rows.lookup(session, text, ROWS)
            entries = list(_entries(view, instances))
    except OutOfTime:
        return None
    except sa.exc.SQLAlchemyError as error:
        if database.trouble(error) is None:
            raise
        # A table that a migration has still to make is no reason to find nothing.
        session.rollback()
        return None
    more_url = view.url_for("list", search=text) if has_more else None
    return PaletteGroup(view.endpoint, str(view.name), entries, more_url)


def _entries(view: Any, instances: Iterable[Any]) -> Iterator[PaletteEntry]:
    link = view.row_link()
    label = inspection.label(view.mapper)
    text_of = inspection.identity_text(view.mapper)
    for instance in instances:
        url = link(instance)
        if url is not None:
            words, key = label.of(instance), text_of.of(instance)
            yield PaletteEntry(words, url, "" if key in words else key)
