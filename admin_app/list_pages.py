"""The list of a model, from a view and what it found to what the template draws."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import flask
import sqlalchemy as sa
from flask import request
from flask_admin.helpers import get_render_ctx
from markupsafe import Markup

from admin_app import (
    _flask_admin,
    chooser,
    editable,
    facet_pages,
    filter_pages,
    inspection,
    orders,
    pager,
    rendering,
    saved_views,
    saving,
    selecting,
    subtypes,
    total_rows,
)
from admin_app import contexts as c
from admin_app.editable import Sheet
from admin_app.filters import EVERYTHING, is_argument
from admin_app.filters import arguments as filter_arguments
from admin_app.listing import ListedRow, Listing, ListState, Page, Selection, totals
from admin_app.markup import late
from admin_app.navigation import breadcrumbs, description

STATE_ARGUMENTS = (
    *("page", "after", "before", "at", "count", "page_size"),
    *("sort", "desc", "search", "columns", "group", "totals", "choose", "filter"),
    selecting.ACROSS,
)


def read(view: Any, sheet: Sheet | None = None) -> tuple[c.ListPage, ListState, Page]:
    """The list that the request asks for: what the template draws, and what it was made of.

    ``sheet`` is a page of cells that is shown again: it says which rows are on it.
    """
    filters = _flask_admin.list_filters(view)
    offers = chooser.offers(view)
    listing = view.get_listing(offers=offers, refine=view._refinement(filters))
    state = listing.parse(request.args, [name for name, _ in view._list_columns])
    shown = chooser.shown(view, offers, state)
    listing.columns = [column.path for column in shown]
    if view.has_own_rows:
        state = filter_pages.unfiltered(state)
        found = _flask_admin.page_of(view, state, filters)
    else:
        asked = totals.grouped(listing, state)
        with filter_pages.told(view, state):
            found = listing.page(view.get_session(), asked, count=not view.simple_list_pager)
    found, sheet = _as_sheet(view, listing, found, shown, sheet)
    page = list_page(view, listing, state, found, filters, shown, sheet)
    if sheet is None and not view.has_own_rows:
        total_rows.add(view, page, listing, state, found, shown)
    return page, state, found


def _as_sheet(
    view: Any,
    listing: Listing,
    found: Page,
    shown: Sequence[chooser.Shown],
    sheet: Sheet | None,
) -> tuple[Page, Sheet | None]:
    """The page with the fields of its cells, when these are asked for."""
    if sheet is not None:
        text_of = inspection.identity_text(view.mapper)
        identities = [text_of.decode(text) for text in sheet.rows]
        rows = {
            text_of.of(row.instance): row for row in listing.rows_of(view.get_session(), identities)
        }
        found = dataclasses.replace(found, rows=[rows[t] for t in sheet.rows if t in rows])
    elif request.args.get("edit") == "1":
        names = editable.sheet_names(view)
        keys = [column.name for column in shown if column.name in names]
        sheet = Sheet(view, keys) if keys else None
    if sheet is not None:
        sheet.fill(found.rows)
    return found, sheet


def list_page(
    view: Any,
    rows: Listing,
    state: ListState,
    found: Page,
    filters: Sequence[Any],
    shown: Sequence[chooser.Shown],
    sheet: Sheet | None = None,
) -> c.ListPage:
    """The list, and the way from it to everything else."""
    url = _ListUrl(view, state)
    for note in (*saved_views.notes(), *state.notes, *found.notes):
        flask.flash(note, "warning")
    if not found.rows and state.page and not found.is_stopped:
        flask.flash(f"There is no page {state.page + 1:,}.", "warning")
    is_narrowed = bool(state.search or filters or state.filters)
    all_url = _unfiltered(url, search=None) if is_narrowed else None
    title, singular = str(view.name), view.singular.lower()
    actions = _actions(view) if sheet is None else []
    rows_of = url.query(page=None, across=None)
    return c.ListPage(
        title=title,
        singular=singular,
        breadcrumbs=breadcrumbs(view, (title, None)),
        columns=[_column(view, url, state, rows, column, found.slow) for column in shown],
        rows=_rows(view, found, url(), shown, sheet),
        count_text=_count_text(found, state, singular, view.plural),
        all_url=all_url if found.count else None,
        is_view_only=not (view.read_only_note or actions or any(map(view.allows, _WRITES))),
        pager=pager.pager(view, url, rows, totals.grouped(rows, state), found),
        search=_search(view, url, state, rows),
        action_url=view.get_url(".action_view"),
        return_url=url(across=None),
        note=view.read_only_note,
        description=description(view),
        is_narrowed=is_narrowed,
        empty_message=_empty_message(view, state, is_narrowed, found),
        page_sizes=_page_sizes(view, url, state),
        chips=[*_chips(view, url, filters), *filter_pages.chips(view, state, url)],
        filters=_filter_groups(view),
        filters_url=url(filter="edit", page=None) if filter_pages.is_offered(view) else None,
        clear_filters_url=_unfiltered(url) if filters or state.filters else None,
        actions=actions,
        bulk=_bulk(view, url, found) if actions or view.actions_on("row") else None,
        create_url=view.url_for("create", url=url.back()) if view.allows("add") else None,
        export_urls=[
            (type_, view.url_for("export", export_type=type_) + rows_of)
            for type_ in view.export_types
        ]
        if view.allows("export")
        else [],
        export_page_url=view.get_url(".export_page") + rows_of if view.allows("export") else None,
        **dict[str, Any](chooser.look()),
        order=_order_menu(view, url, state, rows, found),
        count_url=url(count="exact") if found.count and not found.count.is_exact else None,
        columns_url=url(choose="columns") if chooser.is_open(view) else None,
        more=_more(view, url),
        **_editing(view, url, shown, sheet),
        views=saved_views.tabs(view, url.present) if sheet is None else None,
        **facet_pages.on_list(view, rows, state, url.arguments),
    )


def _actions(view: Any) -> list[c.BulkAction]:
    """What can be done to chosen rows."""
    allowed, confirmations = view.get_actions_list()
    return [c.BulkAction(name, str(text), confirmations.get(name)) for name, text in allowed]


def _bulk(view: Any, url: _ListUrl, found: Page) -> c.Bulk:
    """How the rows of the list are chosen."""
    query = selecting.query_of(url.present)
    count = found.count.number if found.count is not None and found.count.is_exact else None
    can_be_all = not view.has_own_rows and (found.has_next or found.has_previous)
    fields = selecting.hidden(Selection(query=query), count) if url.is_across else []
    return c.Bulk(
        key=f"{view.endpoint}?{urlencode(query)}",
        is_across=url.is_across,
        count=count,
        text=_all_matching(found),
        across_url=url(across="1") if can_be_all and not url.is_across else None,
        clear_url=url(across=None) if url.is_across else None,
        hidden=fields,
        is_used=flask.session.pop("admin_ticks", None) is not None,
    )


def _all_matching(found: Page) -> str:
    """All rows that match, as their number is known: "all 12,408 matching"."""
    count = found.count
    if count is None or not count.is_exact and not count.number:
        return "all that match"
    if count.is_exact:
        return f"all {count.number:,} matching"
    told = count if count.is_estimate else f"more than {count.number:,}"
    return f"all that match ({told})"


def facets(view: Any) -> c.FacetPanel:
    """The facets of the list that the request asks for, for a script that has the list already."""
    listing, state = asked(view)
    return facet_pages.panel(view, listing, state, _ListUrl(view, state).arguments, for_script=True)


def url_of(view: Any, state: ListState) -> str:
    """The address of the list that the request describes."""
    return _ListUrl(view, state)()


def asked(view: Any) -> tuple[Listing, ListState]:
    """The listing and the state that the arguments of the request describe, nothing read yet."""
    offers = chooser.offers(view)
    refine = view._refinement(_flask_admin.list_filters(view))
    listing = view.get_listing(offers=offers, refine=refine)
    state = listing.parse(request.args, [name for name, _ in view._list_columns])
    listing.columns = [column.path for column in chooser.shown(view, offers, state)]
    return listing, state


def _more(view: Any, url: _ListUrl) -> list[c.MenuGroup]:
    """The menu of what is seldom done to a list."""
    groups = chooser.menu(lambda word: url(choose=word))
    if view.is_import_offered():
        entry = c.MenuEntry(f"Import {view.plural}", view.get_url(".import_view"))
        groups.append(c.MenuGroup(None, [entry]))
    if not view.has_own_rows and view.may("query"):
        query = view.get_url(".query_view") + url.query()
        groups.append(c.MenuGroup(None, [c.MenuEntry("Show query", query)]))
    may = view.may("history") and saving.keeps_history(view)
    if may and view.admin.history.is_accessible():
        changes = view.admin.history.model_url
        entries = [
            c.MenuEntry("All changes", changes(view)),
            c.MenuEntry("Deletes", changes(view, "delete")),
        ]
        groups.append(c.MenuGroup("History", entries))
    return groups


def _editing(
    view: Any, url: _ListUrl, shown: Sequence[chooser.Shown], sheet: Sheet | None
) -> dict[str, Any]:
    """What the page says of its editable cells."""
    names = {column.name for column in shown}
    if sheet is None:
        can_be_sheet = not names.isdisjoint(editable.sheet_names(view))
        return {
            "has_editable": not names.isdisjoint(editable.names(view)),
            "sheet_url": url(edit="1") if can_be_sheet else None,
        }
    plain = url(edit=None)
    form = c.SheetForm(
        view.get_url(".cells_view", **url.arguments(edit="1", url=plain)),
        plain,
        ["js/form.js", "js/picker.js"],
        sheet.is_refused,
        sheet.problems,
        saving.reason_field(view),
    )
    return {"sheet": form}


_PLACE = frozenset({"page", "after", "before", "at"})
_NOT_PLAIN = frozenset({"filters", selecting.ACROSS})
"""What changes more of a list's address than the argument of its name."""


class _ListUrl:
    """Makes URLs of a list with some arguments of the present one changed."""

    def __init__(self, view: Any, state: ListState) -> None:
        self.view = view
        self.state = state
        self.others = {
            k: v
            for k, v in request.args.items()
            if k not in STATE_ARGUMENTS and k.isidentifier() and not is_argument(k)
        }
        self._path = str(view.get_url(".index_view"))
        self._kept, self._filters = self._state(), _lists(filter_arguments(state.filters))
        self.present = self._all()
        self.is_across = request.args.get(selecting.ACROSS) == "1" and not view.has_own_rows
        self._written = _written(self._complete())
        self._placeless = _written(self._complete(page=None))
        self._is_plain = not self.is_across and not saved_views.is_open()

    def arguments(self, **changed: Any) -> dict[str, Any]:
        """The arguments of the present list with some of them changed; None takes one away."""
        across = changed.pop(selecting.ACROSS, "1" if self.is_across else None)
        found = saved_views.in_address(self._all(**changed), self.present)
        # All that match a list are others once it is narrowed otherwise.
        is_same = not changed.keys() & {"search", "filters"}
        return {**found, selecting.ACROSS: across} if across and is_same else found

    def _all(self, **changed: Any) -> dict[str, Any]:
        return {k: v for k, v in self._complete(**changed).items() if v not in (None, "")}

    def _complete(self, **changed: Any) -> dict[str, Any]:
        """All arguments in the order in which they stand, those without a value included."""
        filters = self._filters
        if "filters" in changed:
            filters = _lists(filter_arguments(changed.pop("filters")))
        place = {} if _PLACE.intersection(changed) else self._place()
        return {**self._kept, **place, **self.others, **filters, **changed}

    def _state(self) -> dict[str, Any]:
        """What every page of the list has in its address, unless it is changed."""
        state = self.state
        size = state.page_size if state.page_size != (self.view.page_size or 50) else None
        return {
            "search": state.search or None,
            "sort": ",".join(map(str, state.order)) or None,
            "page_size": size,
            "columns": ",".join(map(str, state.columns)) or None,
            "group": str(state.group or "") or None,
            "totals": ",".join(map(str, state.totals)) or None,
        }

    def _place(self) -> dict[str, Any]:
        """Which page it is, which no other page is: one argument of these takes the others away."""
        state = self.state
        page = "last" if state.is_last else state.page or None
        return {"page": page, "after": state.after, "before": state.before, "at": state.at}

    def __call__(self, **changed: Any) -> str:
        return self._path + self.query(**changed)

    def query(self, **changed: Any) -> str:
        """The part of the address from its question mark on; empty where it has none."""
        # As url_for writes it, which looks for the route again each time.
        if self._is_plain and _NOT_PLAIN.isdisjoint(changed):
            # A page has dozens of these addresses, which differ in one argument or two.
            kept = self._written if _PLACE.isdisjoint(changed) else self._placeless
            parts = kept | _written(changed)
        else:
            parts = _written(self.arguments(**changed))
        query = "&".join([part for part in parts.values() if part])
        return f"?{query}" if query else ""

    def back(self) -> str | None:
        """The present list, as other pages lead back to it; None when it is the plain one."""
        return self(across=None) if self.arguments(across=None) else None


def _written(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Arguments by name as they stand in an address; empty where there is none."""
    return {name: _query(name, value) for name, value in arguments.items()}


def _query(name: str, value: Any) -> str:
    if value in (None, ""):
        return ""
    if isinstance(value, str):
        return _text_query(name, value)
    return urlencode({name: value}, doseq=True, safe=_LEGIBLE)


_LEGIBLE = "!$'()*,/:;?@"
"""Signs that an address may hold as they are."""


@functools.lru_cache(maxsize=2_048)
def _text_query(name: str, value: str) -> str:
    return urlencode({name: value}, safe=_LEGIBLE)


def _lists(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Arguments by name, each with all of its values."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _pairs(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The arguments of a URL as a form sends them."""
    return [
        (name, str(one))
        for name, value in arguments.items()
        for one in (value if isinstance(value, list) else [value])
    ]


def _column(
    view: Any,
    url: _ListUrl,
    state: ListState,
    rows: Listing,
    shown: chooser.Shown,
    slow: frozenset[str],
) -> c.Column:
    name, is_own = shown.name, rows.offers is None or shown.name in rows.offers.own
    is_sortable = name in (view._sortable_columns if is_own else rows.sortable)
    current = state.order or rows.default_order
    sort = orders.heading(url, current, name, is_slow=name in slow) if is_sortable else {}
    return c.Column(
        key=name,
        label=shown.label,
        css=shown.css,
        description=chooser.description(view, name),
        width=shown.width,
        **sort,
    )


def _order_menu(
    view: Any, url: _ListUrl, state: ListState, rows: Listing, found: Page
) -> c.OrderMenu | None:
    """The menu of the order: what the visitor may order by, where that is something."""
    names = [name for name in rows.sortable if name in view._sortable_columns]
    if not names:
        return None

    labels = dict(view._list_columns)

    def label_of(name: str) -> str:
        return str(labels.get(name) or view.get_column_name(name))

    choices = [(name, label_of(name)) for name in names]
    current = state.order or rows.default_order

    def may_be_empty(name: str) -> bool:
        return any(p.steps or p.column is None or p.column.is_nullable for p in rows.sortable[name])

    return orders.menu(url, current, choices, label_of, found.slow, may_be_empty)


def _rows(
    view: Any,
    found: Page,
    return_url: str,
    columns: Sequence[chooser.Shown],
    sheet: Sheet | None = None,
) -> list[c.Row]:
    """The rows with their cells, by one renderer a column chosen once for the page."""
    suffix = "&url=" + quote(return_url, safe="") if "?" in return_url else ""
    cells = _cell_renderers(view, suffix, columns, sheet)
    is_chosen = request.args.get(selecting.ACROSS) == "1"
    has_key = view.read_only_note is None or bool(view.can_view_details)
    edit = _prefix(view, "edit") if view.allows("change") else None
    details = _prefix(view, "details") if view.can_view_details and has_key else None
    delete = _prefix(view, "delete") if view.allows("delete") else None
    extra = _flask_admin.own_row_actions(view)
    if extra is None:
        extra = list(view.column_extra_row_actions or [])
    else:
        edit = details = delete = None
    own = view.actions_on("row")
    if sheet is not None:
        edit, details, delete, extra, own = None, None, None, [], []
    text_of = inspection.identity_text(view.mapper)
    noun = view.singular
    shown: list[c.Row] = []
    for row in found.rows:
        text = text_of.of(row.instance)
        key = text_of.quoted(row.instance) + suffix
        shown.append(
            c.Row(
                id=text,
                label=f"{noun} {text}",
                cells=[cell(row) for cell in cells],
                edit_url=edit and edit + key,
                details_url=details and details + key,
                delete_url=delete and delete + key,
                actions=_extra_actions(extra, text, row.instance, _row_actions(own, text, noun)),
                instance=row.instance,
                is_chosen=is_chosen,
            )
        )
    if inspection.is_union(view.mapper):
        return [subtypes.led_home(view, row, suffix) for row in shown]
    return shown


def _prefix(view: Any, page: str) -> str:
    return str(view.url_for(page)) + "?id="


def cell(view: Any, name: str, instance: Any, suffix: str) -> Markup:
    """One cell of the list, drawn anew from its row as it is now."""
    listing = view.get_listing()
    path = view._path(name)
    listing.columns = [path]
    identity = sa.inspect(instance).identity
    row = listing.row(view.get_session(), identity) or ListedRow(instance, {})
    names = list(dict.fromkeys([*(n for n, _ in view._list_columns), name]))
    columns = [chooser.Shown(n, n, view._path(n)) for n in names]
    return _cell_renderers(view, suffix, columns)[names.index(name)](row)


def _cell_renderers(
    view: Any,
    suffix: str,
    columns: Sequence[chooser.Shown],
    sheet: Sheet | None = None,
) -> list[rendering.Renderer]:
    link = _with_suffix(view.row_link(), suffix)
    linked = chooser.linked(view, [column.name for column in columns])
    cells: list[rendering.Renderer] = []
    names = editable.names(view)
    is_wrapped = chooser.look()["texts"] == "wrapped"
    header = next((column.name for column in columns if column.name in linked), None)
    for column in columns:
        name, css = column.name, column.css
        looks = {"is_linked": name in linked, "is_wrapped": is_wrapped}
        renderer = view._renderer(column.path, is_list=True, **looks)
        has_formatter = name in (view.column_formatters or {})
        if name in linked:
            cell = rendering.key_cell_renderer(renderer, link, css, is_header=name == header)
        else:
            cell = rendering.cell_renderer(renderer, css)
        if sheet is not None:
            css = f"key {css}".strip() if name in linked else css
            cell = sheet.cell(cell, name, css) if name in sheet.keys else cell
        elif name in names:
            cell = editable.marked(cell, view, name, suffix)
        cells.append(rendering.late_renderer(cell) if has_formatter else cell)
    return cells


def _with_suffix(link: rendering.RowLink, suffix: str) -> rendering.RowLink:
    def lead(instance: Any) -> str | None:
        url = link(instance)
        return url and url + suffix

    return lead if suffix else link


_ROW_ACTION = Markup(
    '<button class="btn quiet" form="action-form" name="one" value="%s:%s">%s'
    '<span class="unseen"> %s %s</span></button>'
)


def _row_actions(own: Sequence[Any], text: str, noun: str) -> Markup:
    """What can be done to the row with the key ``text`` alone."""
    if not own:
        return Markup()
    return Markup("").join(
        _ROW_ACTION % (one.name, text, one.text, noun.lower(), text) for one in own
    )


def _extra_actions(extra: Sequence[Any], text: str, instance: Any, own: Markup) -> Markup:
    """A host's own row actions behind ``own``; they draw themselves from the template's context."""
    if not extra:
        return own

    def draw() -> Markup:
        context = get_render_ctx()
        return own + Markup("").join(
            Markup(action.render_ctx(context, text, instance))  # noqa: S704 - HTML by contract
            for action in extra
        )

    return late(draw)


def _count_text(found: Page, state: ListState, singular: str, plural: str) -> str:
    if found.count is None:
        return ""
    noun = singular if found.count.number == 1 and found.count.is_exact else plural
    return f"{found.count} {noun}" + (f" of {found.total}" if found.total else "")


def _search(view: Any, url: _ListUrl, state: ListState, rows: Listing) -> c.Search:
    kept = url.arguments(search=None, page=None)
    is_read_whole = not view.has_own_rows and rows.reads_every_row(view.get_session(), state)
    return c.Search(
        is_supported=view._search_supported,
        text=state.search,
        placeholder=view.search_placeholder() or "",
        help=view.search_help_text or "",
        note=_SCANNED if is_read_whole else "",
        clear_url=url(search=None, page=None),
        hidden=_pairs(kept),
    )


_WRITES = ("add", "change", "delete")

_SCANNED = "searched by reading every row; an index would help"


def _empty_message(view: Any, state: ListState, is_narrowed: bool, found: Page) -> str:
    title = view.plural
    if found.is_stopped:
        return f"No {title} were found in time, though there may be some."
    if state.search:
        return f"No {title} match “{inspection.shorten(state.search)}”."
    if is_narrowed:
        return f"No {title} match these filters."
    return f"There are no {title} yet."


def _page_sizes(view: Any, url: _ListUrl, state: ListState) -> list[c.PageSize]:
    if not view.can_set_page_size:
        return []
    return [
        c.PageSize(size, url(page_size=size, page=None), size == state.page_size)
        for size in view.page_size_options
    ]


def _chips(view: Any, url: _ListUrl, filters: Sequence[Any]) -> list[c.Chip]:
    chips = []
    for index, name, value in filters:
        flt = view._filters[index]
        argument = view.get_filter_arg(index, flt)
        named = (argument, str(index))
        active = [k for k in url.others if k.startswith("flt") and k.partition("_")[2] in named]
        removed: dict[str, Any] = {k: None for k in active if url.others[k] == value}
        chips.append(c.Chip(f"{name} {flt.operation()}", str(value), url(page=None, **removed)))
    return chips


def _unfiltered(url: _ListUrl, **changed: Any) -> str:
    """The list without any filter, whoever made it."""
    old = {name: None for name in url.others if name.startswith("flt")}
    return url(filters=EVERYTHING, page=None, **old, **changed)


def _can_choose(view: Any, item: Mapping[str, Any]) -> bool:
    """Whether a filter of Flask-Admin's kind takes any value, or has options just now."""
    return bool(item["options"]) or view._filters[item["index"]].get_options(view) is None


def _filter_groups(view: Any) -> list[c.FilterGroup]:
    own = filter_pages.own_filters(view)
    found = []
    for label, items in (view._get_filter_groups() or {}).items():
        choices = [
            c.FilterChoice(
                f"flt0_{item['arg']}", str(item["operation"]), item["options"], item["type"]
            )
            for item in items
            if view._filters[item["index"]] in own and _can_choose(view, item)
        ]
        if choices:
            found.append(c.FilterGroup(str(label), choices))
    return found
