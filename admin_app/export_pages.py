"""The page on which a file is chosen: its format, its columns, and how values are written.

It is a form over the list's own arguments. What it sends is made into the address of the file, so
that a file can be had again by its address alone.
"""

from __future__ import annotations

import functools
import re
import zoneinfo
from collections.abc import Sequence
from typing import Any

from werkzeug.datastructures import MultiDict

from admin_app import chooser, exports, inspection, moments, selecting
from admin_app import contexts as c
from admin_app.columns import Branch, Offers
from admin_app.errors import InvalidRequest
from admin_app.listing import Listing, ListState, Selection
from admin_app.navigation import breadcrumbs

EVERY = "*"
"""What the argument ``columns`` says for every column of the rows themselves."""

MOST_COLUMNS = 1_000

LONGEST = 1_500
"""Characters of keys up to which the rows of a file are named in its address."""

_FORM = frozenset({"format", "column", "every", "csrf_token", "url", "action", "one", "view"})
_OPTIONS = {"values": "labels", "zone": "", "binary": "size", "delimiter": "comma", "bom": "0"}
"""The arguments of a file, each with what need not be said."""


def chosen(
    view: Any, offers: Offers, state: ListState, arguments: MultiDict[str, str]
) -> list[chooser.Shown]:
    """The columns that the argument ``columns`` names, else those that a file usually has.

    InvalidRequest for a name that is not on offer. Where the host names the columns of files, an
    address can only choose among those.
    """
    usual = chooser.exported(view, offers, state)
    named = [n.partition(":")[0] for t in arguments.getlist("columns") for n in t.split(",") if n]
    if not named:
        return usual
    if len(named) > MOST_COLUMNS:
        raise InvalidRequest(f"A file has {MOST_COLUMNS:,} columns at most.")
    if EVERY in named:
        every = [*offers.own, *(path.name for path in offers.tree().paths)]
        named = [n for name in named for n in (every if name == EVERY else [name])]
    own = {column.name: column for column in usual}
    excluded = set(map(view._name, view.column_export_exclude_list or ()))
    found: dict[str, chooser.Shown] = {}
    for name in named:
        path = offers.path(name)
        if name not in own and path is None:
            raise InvalidRequest(f"There is no column “{inspection.shorten(name)}” to export.")
        if name in own:
            found[name] = own[name]
        elif not chooser.names_export(view) and name not in excluded and path is not None:
            found[name] = chooser.Shown(name, str(view.get_column_name(name)), path)
    return list(found.values()) or usual


def asked(form: MultiDict[str, str]) -> MultiDict[str, str]:
    """The arguments of the file that the form of the page describes."""
    names = list(dict.fromkeys(form.getlist("column")))
    places = {name: _number(form.get(f"at:{name}", "")) for name in names}
    names.sort(key=lambda name: places[name] or len(names) + MOST_COLUMNS)
    if form.get("every") == "1":
        names = [EVERY, *(name for name in names if "." in name)]
    if not names:
        raise InvalidRequest("Choose at least one column of the file.")
    kept = [
        (name, value)
        for name, value in form.items(multi=True)
        if name not in _FORM and not name.startswith("at:") and value != _OPTIONS.get(name)
    ]
    own = [pair for pair in kept if pair[0] not in _OPTIONS and pair[0] != "columns"]
    options = [pair for pair in kept if pair[0] in _OPTIONS]
    return MultiDict([*own, ("columns", ",".join(names)), *options])


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else 0


def page(
    view: Any,
    offers: Offers,
    rows: Listing,
    state: ListState,
    arguments: MultiDict[str, str],
) -> str:
    """The form for a file of the rows that ``arguments`` describe."""
    current = chosen(view, offers, state, arguments)
    tree, placed = _offered(view, offers, current)
    selection = Selection(tuple(dict.fromkeys(arguments.getlist("rowid"))))
    if not selection:
        selection = Selection(query=_query(arguments), excepted=_texts(arguments, "except"))
    count = None if view.has_own_rows else selection.count(view.get_session(), rows)
    hidden = [(k, v) for k, v in arguments.items(multi=True) if k not in _FORM | {*_OPTIONS}]
    back = view.get_url(".index_view", **_listed(hidden))
    number = None
    if count is not None and count.is_exact and view.export_max_rows:
        number = min(count.number, view.export_max_rows)
    words, title = selecting.words(view, count, number), f"Export {view.plural}"
    made = c.ExportPage(
        title=title,
        sentence=_sentence(selection, words),
        breadcrumbs=breadcrumbs(view, (str(view.name), back), (title, None)),
        action_url=view.get_url(".export_page"),
        method="post" if sum(map(len, selection.keys)) > LONGEST else "get",
        hidden=[(k, v) for k, v in hidden if k != "columns"],
        formats=[
            (type_, exports.FORMATS[type_].title if type_ in exports.FORMATS else type_.upper())
            for type_ in view.export_types
        ],
        shown=[
            c.ColumnChoice(column.name, column.label, place)
            for place, column in enumerate(current, 1)
        ],
        more=tree if tree is not None else c.ColumnBranch(str(view.singular), [], []),
        can_have_every=not chooser.names_export(view) and not view.has_own_rows,
        has_content=any(
            path.column is not None and inspection.is_binary(path.column.type)
            for path in [column.path for column in current] + list(placed)
        ),
        zone=moments.zone_name(),
        zones=_zones(),
        submit_text=f"Export {words}",
        cancel_url=back,
    )
    html: str = view.render("admin/model/export.html", page=made)
    return html


def _sentence(selection: Selection, words: str) -> str:
    if selection.keys:
        return f"{words[:1].upper()}{words[1:]} that you have chosen"
    is_part = bool(selection.query or selection.excepted)
    told = f"{words[:1].upper()}{words[1:]}"
    return f"{told}, as the list is filtered" if is_part else told


def _offered(
    view: Any, offers: Offers, current: Sequence[chooser.Shown]
) -> tuple[c.ColumnBranch | None, Sequence[Any]]:
    """The columns beside those that are chosen, and the paths that they have."""
    if view.has_own_rows:
        return None, ()
    names = {column.name for column in current}
    if chooser.names_export(view):
        usual = chooser.exported(view, offers, ListState())
        more = [c.ColumnChoice(one.name, one.label) for one in usual if one.name not in names]
        return c.ColumnBranch(str(view.singular), more, []), ()
    tree = offers.tree()
    excluded = names | set(map(view._name, view.column_export_exclude_list or ()))
    return chooser.branch(view, tree, str(view.singular), excluded, offers), _paths(tree)


def _paths(tree: Branch) -> Sequence[Any]:
    return tree.paths


def _query(arguments: MultiDict[str, str]) -> tuple[tuple[str, str], ...]:
    return selecting.query_of(dict(arguments.lists()))


def _texts(arguments: MultiDict[str, str], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(arguments.getlist(name)))


def _listed(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """``pairs`` as arguments of the list, which knows nothing of single rows."""
    return dict(MultiDict((k, v) for k, v in pairs if k not in ("rowid", "except")).lists())


@functools.cache
def _zones() -> list[str]:
    """The names of time zones that people know by a place."""
    others = ("Etc/", "SystemV/", "US/", "Brazil/", "Canada/", "Chile/", "Mexico/")
    return sorted(
        name
        for name in zoneinfo.available_timezones()
        if "/" in name and not name.startswith(others) or name == "UTC"
    )
