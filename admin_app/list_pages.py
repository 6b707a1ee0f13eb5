"""The list of a model, from a view and what it found to what the template draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import flask
from flask import request
from flask_admin.helpers import get_render_ctx
from markupsafe import Markup

from admin_app import _flask_admin, chooser, inspection, rendering
from admin_app import contexts as c
from admin_app.listing import Listing, ListState, Page
from admin_app.navigation import breadcrumbs, description

STATE_ARGUMENTS = ("page", "page_size", "sort", "desc", "search", "choose")


def read(view: Any) -> tuple[c.ListPage, ListState, Page]:
    """The list that the request asks for: what the template draws, and what it was made of."""
    filters = view._list_filters()
    listing = view.get_listing(paths=view._state_columns, refine=view._refinement(filters))
    state = listing.parse(request.args, [name for name, _ in view._list_columns])
    if view.has_own_rows:
        found = _flask_admin.page_of(view, state, filters)
    else:
        found = listing.page(view.get_session(), state, count=not view.simple_list_pager)
    return list_page(view, listing, state, found, filters), state, found


def list_page(
    view: Any, rows: Listing, state: ListState, found: Page, filters: Sequence[Any]
) -> c.ListPage:
    """The list, and the way from it to everything else."""
    url = _ListUrl(view, state)
    for note in state.notes:
        flask.flash(note, "warning")
    if not found.rows and state.page:
        flask.flash(f"There is no page {state.page + 1:,}.", "warning")
    is_narrowed = bool(state.search or filters)
    title, singular = str(view.name), view.singular.lower()
    allowed, confirmations = view.get_actions_list()
    return c.ListPage(
        title=title,
        singular=singular,
        breadcrumbs=breadcrumbs(view, (title, None)),
        columns=[_column(view, url, state, rows, n, label) for n, label in view._list_columns],
        rows=_rows(view, found, url()),
        count_text=_count_text(found, state, singular, title),
        pager=_pager(url, state, found),
        search=_search(view, url, state),
        action_url=view.get_url(".action_view"),
        return_url=url(),
        note=view.read_only_note,
        description=description(view),
        is_narrowed=is_narrowed,
        empty_message=_empty_message(view, state, is_narrowed),
        page_sizes=_page_sizes(view, url, state),
        chips=_chips(view, url, filters),
        filters=_filter_groups(view),
        actions=[c.BulkAction(name, str(text), confirmations.get(name)) for name, text in allowed]
        if view.read_only_note is None
        else [],
        create_url=view.url_for("create", url=url.back()) if view.allows("add") else None,
        export_urls=[
            (type_, view.url_for("export", export_type=type_, **url.arguments()))
            for type_ in view.export_types
        ]
        if view.can_export and view.allows("export")
        else [],
        **chooser.look(),
        more=_more(url),
    )


def _more(url: _ListUrl) -> list[c.MenuGroup]:
    """The menu of what is seldom done to a list."""
    return chooser.menu(lambda word: url(choose=word))


class _ListUrl:
    """Makes URLs of a list with some arguments of the present one changed."""

    def __init__(self, view: Any, state: ListState) -> None:
        self.view = view
        self.state = state
        self.others = {
            k: v for k, v in request.args.items() if k not in STATE_ARGUMENTS and k.isidentifier()
        }

    def arguments(self, **changed: Any) -> dict[str, Any]:
        state = self.state
        size = state.page_size if state.page_size != (self.view.page_size or 50) else None
        arguments = {
            "search": state.search or None,
            "sort": ",".join(map(str, state.order)) or None,
            "page": state.page or None,
            "page_size": size,
            **self.others,
            **changed,
        }
        return {k: v for k, v in arguments.items() if v not in (None, "")}

    def __call__(self, **changed: Any) -> str:
        url: str = self.view.get_url(".index_view", **self.arguments(**changed))
        return url

    def back(self) -> str | None:
        """The present list, as other pages lead back to it; None when it is the plain one."""
        return self() if self.arguments() else None


def _column(
    view: Any, url: _ListUrl, state: ListState, rows: Listing, name: str, label: str
) -> c.Column:
    current = next((o for o in state.order or rows.default_order if o.key == name), None)
    sort_url = None
    if name in view._sortable_columns:
        is_ascending = current is not None and not current.descending
        sort_url = url(sort=f"-{name}" if is_ascending else name, page=None)
    return c.Column(
        key=name,
        label=str(label),
        css=rendering.css_of(view._path(name)),
        sort_url=sort_url,
        sort=None if current is None else "desc" if current.descending else "asc",
        description=view.column_descriptions.get(name),
    )


def _rows(view: Any, found: Page, return_url: str) -> list[c.Row]:
    """The rows with their cells, by one renderer a column chosen once for the page."""
    suffix = "&url=" + quote(return_url, safe="") if "?" in return_url else ""
    cells = _cell_renderers(view, suffix)
    has_key = view.read_only_note is None or bool(view.can_view_details)
    edit = _prefix(view, "edit") if view.allows("change") else None
    details = _prefix(view, "details") if view.can_view_details and has_key else None
    delete = _prefix(view, "delete") if view.allows("delete") else None
    extra = _flask_admin.own_row_actions(view)
    if extra is None:
        extra = list(view.column_extra_row_actions or [])
    else:
        edit = details = delete = None
    text_of = inspection.identity_text(view.mapper)
    noun = view.singular
    shown: list[c.Row] = []
    for row in found.rows:
        text = text_of.of(row.instance)
        key = quote(text, safe="") + suffix
        shown.append(
            c.Row(
                id=text,
                label=f"{noun} {text}",
                cells=[cell(row) for cell in cells],
                edit_url=edit and edit + key,
                details_url=details and details + key,
                delete_url=delete and delete + key,
                actions=_extra_actions(extra, text, row.instance) if extra else Markup(),
                instance=row.instance,
            )
        )
    return shown


def _prefix(view: Any, page: str) -> str:
    return str(view.url_for(page)) + "?id="


def _cell_renderers(view: Any, suffix: str) -> list[rendering.Renderer]:
    keys = set(inspection.identity_keys(view.mapper))
    names = [name for name, _ in view._list_columns]
    link = _with_suffix(view.row_link(), suffix)
    main = next((n for n in names if n in keys), names[0] if names else None)
    label_keys = inspection.label(view.mapper).keys
    cells: list[rendering.Renderer] = []
    for name in names:
        path = view._path(name)
        renderer, css = view._renderer(path, is_list=True), rendering.css_of(path)
        has_formatter = name in (view.column_formatters or {})
        if name == main or name in label_keys:
            cell = rendering.key_cell_renderer(renderer, link, css)
        else:
            cell = rendering.cell_renderer(renderer, css)
        cells.append(rendering.late_renderer(cell) if has_formatter else cell)
    return cells


def _with_suffix(link: rendering.RowLink, suffix: str) -> rendering.RowLink:
    def lead(instance: Any) -> str | None:
        url = link(instance)
        return url and url + suffix

    return lead if suffix else link


def _extra_actions(extra: Sequence[Any], text: str, instance: Any) -> Markup:
    """A host's own row actions, which draw themselves from the template's context."""

    def draw() -> Markup:
        context = get_render_ctx()
        return Markup("").join(
            Markup(action.render_ctx(context, text, instance))  # noqa: S704 - HTML by contract
            for action in extra
        )

    return rendering.late(draw)


def _count_text(found: Page, state: ListState, singular: str, title: str) -> str:
    if found.count is None:
        return ""
    noun = singular if found.count.number == 1 and found.count.is_exact else title.lower()
    return f"{found.count} {noun}"


def _pager(url: _ListUrl, state: ListState, found: Page) -> c.Pager:
    first = state.page * state.page_size + 1
    text = f"{first:,}–{first + len(found.rows) - 1:,}" if found.rows else ""
    last = None
    if found.has_next and found.count is not None and found.count.is_exact:
        last = (found.count.number - 1) // state.page_size
    return c.Pager(
        text=text,
        first_url=url(page=None) if state.page else None,
        previous_url=url(page=state.page - 1) if state.page > 0 else None,
        next_url=url(page=state.page + 1) if found.has_next else None,
        last_url=url(page=last) if last else None,
    )


def _search(view: Any, url: _ListUrl, state: ListState) -> c.Search:
    kept = url.arguments(search=None, page=None)
    return c.Search(
        is_supported=view._search_supported,
        text=state.search,
        placeholder=view.search_placeholder() or "",
        clear_url=url(search=None, page=None),
        hidden=[(k, str(v)) for k, v in kept.items()],
    )


def _empty_message(view: Any, state: ListState, is_narrowed: bool) -> str:
    title = str(view.name).lower()
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


def _filter_groups(view: Any) -> list[c.FilterGroup]:
    groups = view._get_filter_groups() or {}
    return [
        c.FilterGroup(
            str(label),
            [
                c.FilterChoice(
                    f"flt0_{item['arg']}", str(item["operation"]), item["options"], item["type"]
                )
                for item in items
            ],
        )
        for label, items in groups.items()
    ]


def exported(view: Any) -> Iterator[Any]:
    """The instances of the list that the request describes, in its order, search and filters."""
    paths = [view._path(view._name(name)) for name, _ in view._export_columns]
    filters = view._list_filters()
    listing = view.get_listing(paths=paths, refine=view._refinement(filters))
    state = listing.parse(request.args, [name for name, _ in view._list_columns])
    state = dataclasses.replace(state, page=0, page_size=view.export_max_rows)
    # The session of the request has ended by the time that a response is streamed.
    return _exported(view, listing, state, filters)


def _exported(
    view: Any, listing: Listing, state: ListState, filters: Sequence[Any]
) -> Iterator[Any]:
    if view.has_own_rows:
        yield from (row.instance for row in _flask_admin.page_of(view, state, filters).rows)
    else:
        yield from listing.stream(view.get_session(), state)
