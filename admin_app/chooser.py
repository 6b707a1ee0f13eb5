"""What a visitor chooses about a list and keeps: its columns, how dense its rows are, and more.

The choices are links and forms over the list's own address: the argument ``choose`` names one, the
answer keeps it in a cookie and leads back to the list as it was. What is shown is looked up in
`columns.Offers`, whether it comes from the address or from the cookie.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import flask
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.model.base import BaseModelView
from werkzeug.utils import redirect

from admin_app import columns, inspection, rendering
from admin_app import contexts as c
from admin_app.columns import Branch, Display, Offers
from admin_app.inspection import Path
from admin_app.listing import Chosen, ListState, arguments, totals
from admin_app.navigation import breadcrumbs

ONE_YEAR = 31_536_000
LOOK_COOKIE = "admin_list"
COLUMNS_COOKIE = "admin_columns"

MOST_KEPT = 2_000
"""Characters of the choice of columns that a cookie keeps."""

LOOKS = {"roomy": "density", "compact": "density", "cut": "texts", "wrapped": "texts"}
"""What can be chosen about the look of lists, and which of them exclude each other."""

_PLAIN = {"density": "roomy", "texts": "cut"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One column of a list as it stands there."""

    name: str
    label: str
    path: Path
    width: int | None = None

    @property
    def css(self) -> str:
        """The class of its heading and its cells."""
        sized = "sized" if self.width else ""
        return f"{rendering.css_of(self.path)} {sized}".strip()


# Which columns


def readable(view: Any) -> list[tuple[str, str]]:
    """The columns of ``column_list``, or those without options, that the visitor may read."""
    reach = view.reach()
    return [
        (name, str(label))
        for name, label in view._list_columns
        if may_read(reach, view._path(name))
    ]


def may_read(reach: Any, path: Path) -> bool:
    """Whether the visitor may see what ``path`` holds, and all on the way there."""
    steps = [(r.parent, r.key) for r in path.relationships]
    # A secret is shown as dots where the view names it.
    last = [] if inspection.is_secret(path.key) else [(path.mapper, path.key)]
    if path.relationship is not None and not reach.may_read(path.relationship.mapper):
        return False
    return all(reach.may_read(mapper, key) for mapper, key in [*steps, *last])


def is_open(view: Any) -> bool:
    """Whether visitors may choose the columns: not of rows that a host makes by himself."""
    return bool(view.can_choose_columns) and not view.has_own_rows


def offers(view: Any) -> Offers:
    """What the visitor of this request may have shown in the list of ``view``."""
    labels = dict(view.get_visible_columns())
    own = {name: view._path(name) for name in labels}
    only = view.column_choosable_list if is_open(view) else ()
    withheld = {name for name, _ in view._list_columns} - own.keys()
    return Offers(
        view.mapper,
        own,
        view.reach(),
        excluded=frozenset({*map(view._name, view.column_exclude_list or ()), *withheld}),
        only=None if only is None else frozenset(map(view._name, only)),
        with_hidden=not view.ignore_hidden,
        labels=labels,
    )


def shown(view: Any, offers: Offers, state: ListState) -> list[Shown]:
    """The columns of the list: those of the address, else those kept, else the usual ones."""
    kept = _kept_columns(offers) if is_open(view) else ()
    chosen = state.columns or kept or tuple(map(Chosen, offers.own))
    widths = {column.name: column.width for column in kept}
    found = []
    for column in chosen:
        path = offers.path(column.name)
        if path is not None:
            label = offers.labels.get(column.name) or str(view.get_column_name(column.name))
            width = column.width or widths.get(column.name)
            found.append(Shown(column.name, label, path, width))
    return found


def is_exported(view: Any) -> bool:
    """Whether files are made of the list of ``view``, for whom the policy lets have them."""
    return bool(view._is_ours if view.can_export is None else view.can_export)


def names_export(view: Any) -> bool:
    """Whether the host names the columns of files."""
    is_own = type(view).get_export_columns is not BaseModelView.get_export_columns
    return bool(view.column_export_list) or is_own


def exported(view: Any, offers: Offers, state: ListState) -> list[Shown]:
    """The columns of a file: those that the host names for it, else those of the list.

    None that is hidden from the visitor is among them.
    """
    excluded = set(map(view._name, view.column_export_exclude_list or ()))
    if not names_export(view):
        return [column for column in shown(view, offers, state) if column.name not in excluded]
    reach = view.reach()
    named = [
        Shown(view._name(n), str(label), view._path(view._name(n)))
        for n, label in view._export_columns
    ]
    return [column for column in named if may_read(reach, column.path)]


def _kept_columns(offers: Offers) -> tuple[Chosen, ...]:
    return arguments.chosen(offers, request.cookies.get(COLUMNS_COOKIE, "")[:MOST_KEPT], [])


def linked(view: Any, names: Sequence[str]) -> frozenset[str]:
    """Which of ``names`` lead to the row."""
    if view.column_link_list is not None:
        return frozenset(map(view._name, view.column_link_list))
    keys = set(inspection.identity_keys(view.mapper))
    main = next((n for n in names if n in keys), names[0] if names else "")
    return frozenset({main, *inspection.label(view.mapper).keys})


# What computed columns say of themselves


def display_of(view: Any, name: str) -> Display | None:
    """What `columns.display` says of a column: on a method of the view, or on the model's."""
    known: dict[str, Display | None] = vars(view).setdefault("_displays", {})
    if name not in known:
        found = columns.display_of(inspect.getattr_static(type(view), name, None))
        known[name] = found or columns.shown_as(columns.path_of(view.mapper, name))
    return known[name]


def _own_display(view: Any, name: str) -> Display | None:
    known: dict[str, Display | None] = vars(view).setdefault("_own_displays", {})
    if name not in known:
        known[name] = columns.display_of(inspect.getattr_static(type(view), name, None))
    return known[name]


def formatter(view: Any, name: str) -> Callable[..., Any] | None:
    """The method of the view that makes the column ``name``, as a column formatter."""
    display = _own_display(view, name)
    if display is None:
        return None
    method = getattr(view, name)
    if display.empty is None:
        return lambda view, context, model, name: method(model)
    show = rendering.or_words(rendering.render, display.empty)
    return lambda view, context, model, name: show(method(model))


def with_sort(view: Any, name: str) -> Any:
    """``name`` as an entry of ``column_sortable_list``."""
    display = columns.display_of(inspect.getattr_static(type(view), name, None))
    return name if display is None or display.sort is None else (name, display.sort)


def description(view: Any, name: str) -> str | None:
    """The hint at a heading."""
    display = display_of(view, name)
    told: str | None = view.column_descriptions.get(name)
    return told or (None if display is None else display.description)


# What is chosen


def look() -> dict[str, str]:
    """The look that this visitor has chosen: ``density`` and ``texts``."""
    chosen = request.cookies.get(LOOK_COOKIE, "").split(".")
    return _PLAIN | {LOOKS[word]: word for word in chosen if word in LOOKS}


def answer(view: Any) -> ResponseReturnValue | None:
    """What the list answers to a choice; None where the request makes none."""
    chosen = request.args.get("choose")
    if chosen in LOOKS:
        words = look() | {LOOKS[chosen]: chosen}
        kept = ".".join(word for kind, word in words.items() if word != _PLAIN[kind])
        return _kept(redirect(_back(), 303), LOOK_COOKIE, kept, view.admin.url or "/")
    if not is_open(view):
        return None
    if chosen == "columns":
        return _chosen(view) if "column" in request.args else _page(view)
    if chosen == "usual":
        return _kept(redirect(_back(columns=None), 303), COLUMNS_COOKIE, "", request.path)
    if chosen == "widths":
        return _widened(view)
    return None


def _page(view: Any) -> ResponseReturnValue:
    """The form that chooses the columns."""
    found = offers(view)
    listing = view.get_listing(offers=found)
    state = listing.parse(request.args)
    current = shown(view, found, state)
    placed = {column.name for column in current}
    title = "Columns"
    page = c.ColumnsPage(
        title=title,
        breadcrumbs=breadcrumbs(view, (str(view.name), _back()), (title, None)),
        action_url=request.root_path + request.path,
        hidden=[(k, v) for k, v in _others() if k not in ("columns", "group", "totals")],
        shown=[
            c.ColumnChoice(
                column.name,
                column.label,
                place,
                column.width,
                next((t.function for t in state.totals if t.name == column.name), ""),
                [(f, _TOTALS[f]) for f in totals.functions(column.path)],
            )
            for place, column in enumerate(current, 1)
        ],
        groups=_groups(view, found, listing, state),
        more=branch(view, found.tree(), str(view.singular), placed, found),
        usual_url=f"{_back(columns=None, choose='usual')}",
        cancel_url=_back(),
    )
    html: str = view.render(view.columns_template, page=page)
    return html


_TOTALS = {"sum": "Sum", "avg": "Average", "min": "Least", "max": "Greatest"}


def _groups(
    view: Any, found: Offers, listing: Any, state: ListState
) -> list[tuple[str, str, bool]]:
    """What the rows may be grouped by: of the attributes of their own, and the present one."""
    current = state.group and state.group.key
    names = dict.fromkeys([*found.own, *(path.name for path in found.tree().paths)])
    if current:
        names[current] = None
    return [
        (name, str(view.get_column_name(name)), name == current)
        for name in names
        if name in listing.sortable
        and (path := found.path(name)) is not None
        and totals.can_group(path)
    ]


def branch(
    view: Any, columns_of: Branch, label: str, placed: set[str], found: Offers | None = None
) -> c.ColumnBranch:
    own = {} if found is None else found.own
    names = [*own, *(path.name for path in columns_of.paths if path.name not in own)]
    return c.ColumnBranch(
        label,
        [c.ColumnChoice(name, _short_label(view, name)) for name in names if name not in placed],
        [
            branch(view, inner, _short_label(view, path.name), placed)
            for path, inner in columns_of.related
        ],
    )


def _short_label(view: Any, name: str) -> str:
    """The words for a column under the heading of the class that it belongs to."""
    if name in (view.column_labels or {}) or "." not in name:
        return str(view.get_column_name(name))
    return inspection.words(name.rpartition(".")[2])


def _chosen(view: Any) -> ResponseReturnValue:
    """Keep the columns that the form names, in the order of their places."""
    names = list(dict.fromkeys(request.args.getlist("column")))
    places = {n: _number(request.args.get(f"at:{n}", "")) for n in names}
    names.sort(key=lambda n: places[n] or len(names) + 1_000)
    text = ",".join(
        str(Chosen(n, _number(request.args.get(f"width:{n}", "")) or None)) for n in names
    )
    found = offers(view)
    kept = arguments.chosen(found, text, [])
    is_usual = kept == tuple(map(Chosen, found.own))
    text = "" if is_usual else ",".join(map(str, kept))
    asked = {n: request.args.get(f"total:{n}", "") for n in names}
    back = _back(
        columns=text,
        group=request.args.get("group"),
        totals=",".join(f"{n}:{function}" for n, function in asked.items() if function),
    )
    return _kept(redirect(back, 303), COLUMNS_COOKIE, text, request.path)


def _widened(view: Any) -> ResponseReturnValue:
    """Keep the widths that were drawn, of the columns that are kept or usual."""
    found = offers(view)
    drawn = arguments.chosen(found, request.args.get("columns", ""), [])
    kept = _kept_columns(found) or tuple(map(Chosen, found.own))
    response = flask.Response(status=204)
    if [column.name for column in drawn] != [column.name for column in kept]:
        return response
    return _kept(response, COLUMNS_COOKIE, ",".join(map(str, drawn)), request.path)


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else 0


def _others() -> list[tuple[str, str]]:
    """The arguments of the list itself, without those that choose."""
    return [
        (k, v)
        for k, v in request.args.items(multi=True)
        if k not in ("choose", "column") and not k.startswith(("at:", "width:", "total:"))
    ]


def _back(**changed: str | None) -> str:
    """The list as it was, with some arguments changed."""
    kept = [(k, v) for k, v in _others() if k not in changed]
    kept += [(k, v) for k, v in changed.items() if v]
    path = request.root_path + request.path
    return f"{path}?{urlencode(kept, safe=',:')}" if kept else path


def _kept(response: Any, name: str, value: str, path: str) -> ResponseReturnValue:
    """``response``, with ``value`` kept for a year for the pages under ``path``."""
    attributes: dict[str, Any] = {
        "path": request.root_path + path,
        "secure": request.is_secure,
        "samesite": "Lax",
    }
    if value and len(value) <= MOST_KEPT:
        response.set_cookie(name, value, max_age=ONE_YEAR, **attributes)
    else:
        response.delete_cookie(name, **attributes)
    return response  # type: ignore[no-any-return]


def menu(choose_url: Any) -> list[c.MenuGroup]:
    """The lines of the list's menu that choose a look; ``choose_url`` makes their addresses."""
    current = look()
    return [
        c.MenuGroup(
            title,
            [c.MenuEntry(text, choose_url(word), current[kind] == word) for word, text in entries],
        )
        for title, kind, entries in (
            ("Rows", "density", (("roomy", "Comfortable"), ("compact", "Compact"))),
            ("Long texts", "texts", (("cut", "One line each"), ("wrapped", "In full"))),
        )
    ]
