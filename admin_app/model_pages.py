"""The pages of a model, from a view and what it found to what the template draws.

One function a page, each returning its dataclass of `contexts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import flask
import sqlalchemy as sa
from flask import request
from flask_admin.helpers import get_render_ctx
from markupsafe import Markup
from sqlalchemy import orm

from admin_app import (
    _flask_admin,
    actions,
    downloads,
    inspection,
    layout,
    listing,
    moments,
    pages,
    rendering,
    saving,
)
from admin_app import contexts as c
from admin_app.forms import widgets
from admin_app.inspection import Path
from admin_app.listing import ListedRow, Listing, ListState, Page
from admin_app.navigation import breadcrumbs, description

RELATED_SIZE = 10
"""Members of a to-many relationship that a details page names."""

STATE_ARGUMENTS = ("page", "page_size", "sort", "desc", "search")


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
    )


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
        cells.append(_late(cell) if has_formatter else cell)
    return cells


def _late(renderer: rendering.Renderer) -> rendering.Renderer:
    """``renderer`` for a host's formatter, which may name macros of the template."""
    return lambda row: rendering.late(lambda: renderer(row))


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


def form_page(view: Any, form: Any, model: Any, mode: str) -> c.FormPage:
    """The form of a new or an existing row."""
    is_new = mode == "create"
    noun = view.singular
    label = None if is_new else _label(view, model)
    heading = f"New {noun.lower()}" if is_new else label or ""
    text = None if is_new else view.get_pk_value(model)
    errors, form_errors = _errors(form), [str(e) for e in getattr(form, "form_errors", ())]
    layout.dress(view, form)
    groups = [] if _rules(view, mode) else layout.groups(view, form, model, is_new=is_new)
    back = pages.safe_url(request.args.get("url"), view.get_url(".index_view"))
    kept = request.args.get("url")
    place = {"id": text, "url": kept}
    return c.FormPage(
        title=f"Error: {heading}" if errors or form_errors else heading,
        heading=heading,
        sub=None if is_new else _sub(noun, text or "", label or ""),
        mode=mode,
        breadcrumbs=breadcrumbs(view, (str(view.name), back), (heading, None)),
        form=form,
        groups=groups,
        action_url=view.url_for(mode, **place),
        cancel_url=back,
        details_url=None
        if is_new or not view.can_view_details
        else view.url_for("details", **place),
        delete_url=None if is_new or not view.allows("delete") else view.url_for("delete", **place),
        error_sentence=_error_sentence(errors, form_errors),
        errors=errors,
        form_errors=form_errors,
        site_url=None if is_new else view.get_site_url(model),
        sends_files=any(map(widgets.needs_files, form)),
        scripts=layout.scripts(form, groups),
        zone=moments.zone_name(),
        can_add_another=view.allows("add"),
        can_continue=view.allows("change"),
        can_save_as_new=not is_new and view.can_save_as_new and view.allows("add"),
        submit_text=f"Create {noun.lower()}" if is_new else "Save",
        token=saving.new_token(),
    )


def _label(view: Any, model: Any) -> str:
    return inspection.label(view.mapper).of(model)


def _sub(noun: str, text: str, label: str) -> str:
    return noun if text and text in label else f"{noun} {text}"


def _rules(view: Any, mode: str) -> Any:
    """The host's ``form_rules``, which draw the form themselves."""
    return view._form_create_rules if mode == "create" else view._form_edit_rules


def _errors(form: Any) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for field in form:
        for error in field.errors:
            if isinstance(error, str) or not isinstance(error, Mapping | Sequence):
                found.append((field.id, str(field.label.text), str(error)))
            elif error:
                found.append((field.id, str(field.label.text), "See the entries below."))
    return found


def _error_sentence(errors: Sequence[Any], form_errors: Sequence[str]) -> str | None:
    if form_errors and not errors:
        return "Nothing was saved."
    if not errors:
        return None
    count = len(errors)
    return (
        "Nothing was saved: "
        + ("one field needs" if count == 1 else f"{count} fields need")
        + (" another look.")
    )


def details_page(view: Any, text: str, model: Any) -> c.DetailsPage:
    """All that one row holds, and the rows that belong to it."""
    paths = [(view._path(name), label) for name, label in view._details_columns]
    identity = sa.inspect(model).identity or ()
    found = view.get_listing(paths=[p for p, _ in paths]).row(view.get_session(), identity)
    row = found or ListedRow(model, {})
    label = _label(view, model)
    back = pages.safe_url(request.args.get("url"), view.get_url(".index_view"))
    place = {"id": text, "url": request.args.get("url")}
    shown = {p.key for p, _ in paths if p.relationship is not None}
    files = _files(view, [p for p, _ in paths], row.instance)
    return c.DetailsPage(
        title=label,
        heading=label,
        sub=_sub(view.singular, text, label),
        breadcrumbs=breadcrumbs(view, (str(view.name), back), (label, None)),
        groups=[
            c.DetailsGroup(None, [_detail(view, p, str(words), row, files) for p, words in paths])
        ],
        related=[
            _related(view, row.instance, relationship)
            for key, relationship in inspection.relationships(view.mapper).items()
            if key not in shown and not key.startswith("_")
        ],
        list_url=back,
        edit_url=view.url_for("edit", **place) if view.allows("change") else None,
        delete_url=view.url_for("delete", **place) if view.allows("delete") else None,
        site_url=view.get_site_url(row.instance),
    )


def _detail(
    view: Any, path: Path, label: str, row: ListedRow, files: Mapping[str, bytes]
) -> c.Detail:
    renderer = view._renderer(path, is_list=False)
    if path.name in (view.column_formatters_detail or {}):
        return c.Detail(label, _late(renderer)(row))
    value = renderer(row)
    if path.key in files and not path.relationships:
        url = view.download_url(path.key, row.instance)
        value = value if url is None else _file(value, url, files[path.key])
    is_wide = "<pre" in value or "<div" in value
    return c.Detail(label, value, is_wide)


def _files(view: Any, paths: Sequence[Path], instance: Any) -> dict[str, bytes]:
    """The binary attributes of a details page that hold something, with their first bytes."""
    keys = [p.key for p in paths if not p.relationships and downloads.can_be_sent(p.column)]
    return downloads.heads(view.get_session(), instance, keys)


def _file(size: Markup, url: str, head: bytes) -> Markup:
    """The size of a file with the way to it, and an image to look at."""
    shown = Markup('{} <a class="link" href="{}">Download</a>').format(size, url)
    if downloads.image_type(head) is None:
        return shown
    image = Markup('<img class="preview" src="{}" alt="" loading="lazy">').format(url + "&show=1")
    return shown + image


def _related(view: Any, instance: Any, relationship: orm.RelationshipProperty[Any]) -> c.Related:
    found = listing.members(view.get_session(), instance, relationship.key, RELATED_SIZE + 1)
    label = inspection.label(relationship.mapper)
    url_of = view.links(relationship.mapper)
    links = [c.Link(label.of(i), url_of(i)) for i in found[:RELATED_SIZE]]
    more = f"and more than these {RELATED_SIZE}" if len(found) > RELATED_SIZE else None
    return c.Related(str(view.get_column_name(relationship.key)), links, more)


def delete_page(
    view: Any, rows: Sequence[Any], asked: int, url: str, hidden: list[tuple[str, str]]
) -> c.ConfirmPage:
    """What a delete would do, before it is done."""
    consequences = actions.plan_delete(view.get_session(), rows)
    noun = view.singular.lower() if len(rows) == 1 else str(view.name).lower()
    what = f"“{_label(view, rows[0])}”" if len(rows) == 1 else f"{len(rows):,} {noun}"
    is_blocked = any(x.kind == "blocked" for x in consequences)
    sentence = "Nothing has been changed yet."
    if asked > len(rows):
        sentence += f" {asked - len(rows):,} of the ticked rows are gone already."
    if is_blocked:
        sentence += " As long as other rows point here and cannot do without, it stays."
    page = confirm_page(view, f"Delete {what}", f"Delete {what}?", rows, asked, hidden, url=url)
    page.sentence = sentence
    page.consequences = consequences
    page.can_submit = bool(rows) and not is_blocked
    page.submit_text = f"Delete {noun}" if len(rows) == 1 else f"Delete {len(rows):,} {noun}"
    return page


def confirm_page(
    view: Any,
    text: str,
    question: str,
    rows: Sequence[Any],
    asked: int,
    hidden: list[tuple[str, str]],
    url: str | None = None,
) -> c.ConfirmPage:
    """The rows that an action is about to run over, and its question."""
    back = view._return_url()
    label = inspection.label(view.mapper)
    link = view.row_link()
    shown = rows[: actions.SHOWN_ROWS]
    more = len(rows) - len(shown)
    return c.ConfirmPage(
        title=question,
        heading=question,
        breadcrumbs=breadcrumbs(view, (str(view.name), back), (text, None)),
        sentence=f"This runs over {asked:,} {str(view.name).lower()}.",
        rows=[c.Link(label.of(r), link(r)) for r in shown],
        more_text=f"and {more:,} more" if more else None,
        action_url=url or view.get_url(".action_view"),
        hidden=[*hidden, ("url", back), (saving.FORM_FIELD, saving.new_token())],
        submit_text=text,
        cancel_url=back,
    )
