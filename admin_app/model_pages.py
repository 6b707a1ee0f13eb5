"""The pages of a model, from a view and what it found to what the template draws.

One function a page, each returning its dataclass of `contexts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from flask import request
from markupsafe import Markup
from sqlalchemy import orm

from admin_app import (
    actions,
    chooser,
    conflicts,
    downloads,
    inspection,
    layout,
    listing,
    moments,
    pages,
    rendering,
    saving,
    subtypes,
)
from admin_app import contexts as c
from admin_app.forms import widgets
from admin_app.forms.shown import mark
from admin_app.inspection import Path
from admin_app.listing import ListedRow
from admin_app.navigation import breadcrumbs

RELATED_SIZE = 10
"""Members of a to-many relationship that a details page names."""


def form_page(view: Any, form: Any, model: Any, mode: str) -> c.FormPage:
    """The form of a new or an existing row."""
    is_new = mode == "create"
    noun = view.singular
    label = None if is_new else _label(view, model)
    heading = f"New {noun.lower()}" if is_new else label or ""
    again = conflicts.again() if is_new else None
    saving.tell()
    text = None if is_new else view.get_pk_value(model)
    errors, form_errors = _errors(form), [str(e) for e in getattr(form, "form_errors", ())]
    layout.dress(view, form)
    groups = [] if _rules(view, mode) else layout.groups(view, form, model, is_new=is_new)
    back = pages.safe_url(request.args.get("url"), view.get_url(".index_view"))
    kept = request.args.get("url")
    is_copy = is_new and "_save_as_new" in request.form and "id" in request.args
    place = {"id": request.args["id"] if is_copy else text, "url": kept}
    if again is not None:
        place[conflicts.AGAIN] = again
    return c.FormPage(
        title=f"Error: {heading}" if errors or form_errors else heading,
        heading=heading,
        sub=None if is_new else _sub(noun, text or "", label or ""),
        mode=mode,
        breadcrumbs=breadcrumbs(view, (str(view.name), back), (heading, None)),
        form=form,
        groups=groups,
        action_url=view.url_for("edit" if is_copy else mode, **place),
        is_copy=is_copy,
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
        server_offset=pages.server_offset(),
        can_add_another=view.allows("add"),
        can_continue=view.allows("change"),
        can_save_as_new=not is_new and subtypes.can_copy(view, model) and view.allows("add"),
        own_link=None if is_new else subtypes.own_link(view, model, "edit"),
        submit_text=_submit_text(noun, again) if is_new else "Save",
        token=saving.new_token(),
        reason=saving.reason_field(view),
        base=request.form.get(conflicts.FORM_FIELD, "")
        if is_new
        else conflicts.token(view, form, model),
    )


def _submit_text(noun: str, again: str | None) -> str:
    return f"Create {noun.lower()}" + (" again" if again is not None else "")


def cell_page(view: Any, form: Any, field: Any, model: Any, url: str) -> c.CellPage:
    """The form of one cell, saved at ``url``."""
    back = view._return_url()
    heading = f"{field.label.text} of {_label(view, model)}"
    return c.CellPage(
        title=f"Error: {heading}" if field.errors else heading,
        heading=heading,
        breadcrumbs=breadcrumbs(view, (str(view.name), back), (heading, None)),
        form=form,
        field=field,
        was=mark(field),
        action_url=url,
        cancel_url=back,
        scripts=layout.scripts(form, []),
        zone=moments.zone_name(),
        form_errors=[str(e) for e in getattr(form, "form_errors", ())],
        widget_args=dict((view.form_widget_args or {}).get(field.short_name, {})),
        reason=saving.reason_field(view),
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
    reach = view.reach()
    named = [(view._path(name), label) for name, label in view._details_columns]
    paths = [(path, label) for path, label in named if chooser.may_read(reach, path)]
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
            if key not in shown
            and not key.startswith("_")
            and reach.may_read(view.mapper, key)
            and reach.may_read(relationship.mapper)
        ],
        list_url=back,
        edit_url=view.url_for("edit", **place) if view.allows("change") else None,
        delete_url=view.url_for("delete", **place) if view.allows("delete") else None,
        history_url=_history_url(view, text),
        site_url=view.get_site_url(row.instance),
        own_link=subtypes.own_link(view, row.instance, "details"),
        actions=[
            c.BulkAction(one.name, one.text, one.confirmation) for one in view.actions_on("details")
        ],
        action_url=view.get_url(".action_view"),
        key=text,
        hidden=[("url", request.full_path)],
    )


def _history_url(view: Any, text: str) -> str | None:
    if not saving.keeps_history(view) or not view.may("history"):
        return None
    return str(view.admin.history.row_url(view, text))


def _detail(
    view: Any, path: Path, label: str, row: ListedRow, files: Mapping[str, bytes]
) -> c.Detail:
    renderer = view._renderer(path, is_list=False)
    if path.name in (view.column_formatters_detail or {}):
        return c.Detail(label, rendering.late_renderer(renderer)(row))
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
    session, limit = view.get_session(), RELATED_SIZE + 1
    found = listing.members(session, instance, relationship.key, limit, reach=view.reach())
    label = inspection.label(relationship.mapper)
    url_of = view.links(relationship.mapper)
    links = [c.Link(label.of(i), url_of(i)) for i in found[:RELATED_SIZE]]
    more = f"and more than these {RELATED_SIZE}" if len(found) > RELATED_SIZE else None
    return c.Related(str(view.get_column_name(relationship.key)), links, more)


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
        sentence=f"This runs over {asked:,} {view.plural}.",
        rows=[c.Link(label.of(r), link(r)) for r in shown],
        more_text=f"and {more:,} more" if more else None,
        action_url=url or view.get_url(".action_view"),
        hidden=[*hidden, ("url", back), (saving.FORM_FIELD, saving.new_token())],
        submit_text=text,
        cancel_url=back,
        can_review=True,
        reason=saving.reason_field(view),
    )
