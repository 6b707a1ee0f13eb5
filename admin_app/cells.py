"""Saving the cells of a list that are edited where they stand: one, or all of a page together.

Which cells those are, and how they are drawn, is told in `editable`. A value that somebody else
has changed since it was shown is never overwritten: the cell says so and keeps what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import flask
import wtforms
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from flask_admin.helpers import get_form_data
from werkzeug.datastructures import MultiDict
from werkzeug.utils import redirect

from admin_app import (
    _flask_admin,
    changes,
    conflicts,
    database,
    editable,
    inspection,
    list_pages,
    model_pages,
    review,
    saving,
    subtypes,
)
from admin_app.editable import Sheet, SheetRow
from admin_app.errors import Forbidden, InvalidRequest, NotFound, WriteRefused
from admin_app.forms import attribute_for
from admin_app.forms.shown import mark, sent_mark
from admin_app.listing import ListedRow, Listing

MAX_ROWS = 1_000
"""Rows whose cells are saved together."""


class CellRoutes:
    """The routes of a view that save cells."""

    @expose("/cell/", methods=("GET", "POST"))
    def cell_view(self) -> ResponseReturnValue:
        """The field of the one cell that ``id`` and ``column`` name, and its save.

        For a script (``X-Requested-With``) the answer is a piece of HTML: the field in a form,
        after a save the cell itself.
        """
        return one(self)

    @expose("/cells/", methods=("GET", "POST"))
    def cells_view(self) -> ResponseReturnValue:
        """Save the cells of a page that was opened with ``edit=1``."""
        return many(self)

    @expose("/ajax/update/", methods=("POST",))
    def ajax_update(self) -> ResponseReturnValue:
        """Save one or more cells of ``column_editable_list``, as Flask-Admin's scripts ask it."""
        return update(self)


# One cell


def one(view: Any) -> ResponseReturnValue:
    """Show the field of one cell, or save it."""
    view.require("change")
    key, text = request.args.get("column", ""), request.args.get("id", "")
    if key not in editable.names(view):
        raise NotFound(f"“{inspection.shorten(key)}” cannot be edited in the list.")
    is_post = request.method == "POST"
    if is_post:
        database.begin_write(view.get_session(), view.mapper)
    model = view.one_to_change(text) if is_post else view.get_one(text)
    if model is None:
        raise NotFound(f"There is no {view.singular.lower()} “{inspection.shorten(text)}”.")
    name = attribute_for(key)
    with view.get_session().no_autoflush:
        form = editable.form(view, [key], model, "cell-", get_form_data())
        if form[name].flags.readonly_text:
            raise Forbidden(f"{form[name].label.text} cannot be changed in this row.")
        if not is_post:
            return _field_answer(view, text, key, form, model, 200)
        if _is_stale(form[name], request.form.get("was")):
            told = conflicts.changed_cell(view, form[name], model)
            form[name].errors = [*form[name].errors, told]
            return _field_answer(view, text, key, form, model, 409)
        is_valid = view.validate_form(form)
    if is_valid and view.update_model(form, model):
        return _saved_answer(view, key, model)
    return _field_answer(view, text, key, form, model, flask.g.pop("admin_status", 400))


def _is_stale(field: Any, was: str | None) -> bool:
    """Whether the row holds something else than what was shown, and than what was sent."""
    now = mark(field)
    return was is not None and now not in (was, sent_mark(field))


def _is_piece() -> bool:
    """Whether a script asks, which puts the answer into the page that is there."""
    return request.headers.get("X-Requested-With") == "fetch"


def _field_answer(
    view: Any, text: str, key: str, form: Any, model: Any, status: int
) -> ResponseReturnValue:
    place = {"id": text, "column": key, "url": request.args.get("url")}
    url = view.get_url(".cell_view", **place)
    page = model_pages.cell_page(view, form, form[attribute_for(key)], model, url)
    if _is_piece():
        page.form_errors += [str(m) for m in flask.get_flashed_messages()]
        html = view.render("admin/model/_cell.html", page=page)
        return flask.make_response(html, status)
    return flask.make_response(view.render("admin/model/cell.html", page=page), status)


def _saved_answer(view: Any, key: str, model: Any) -> ResponseReturnValue:
    if not _is_piece():
        return saving.response(lambda: view._answer(model, "saved"))
    back = view._return_url()
    suffix = "&url=" + quote(back, safe="") if "?" in back else ""
    html: ResponseReturnValue = view.render(
        "admin/model/_saved_cell.html",
        cell=list_pages.cell(view, key, model, suffix),
        told=saving.told(),
    )
    return html


def update(view: Any) -> flask.Response:
    """Save the cells that the request holds; the row is named by ``list_form_pk``.

    Answers plain text, as Flask-Admin does: 200 when saved, 400 for a refused value, 404 for a row
    that is not there.
    """
    names = [view._name(n) for n in view.column_editable_list or ()]
    if not names:
        raise NotFound("No column of this list can be edited in place.")
    view.require("change")
    text = request.form.get("list_form_pk", "")
    model = view.one_to_change(text)
    if model is None:
        return _plain(f"There is no {view.singular.lower()} “{inspection.shorten(text)}”.", 404)
    form = view.list_form(obj=model)
    for field in list(form):
        if field.name not in request.form or field.name not in (*names, "csrf_token"):
            del form[field.name]
    sent = [field.name for field in form if field.name in names]
    if not sent:
        return _plain("Nothing was sent that can be edited here.", 400)
    for name in sent:
        if not view.may("change", name):
            raise Forbidden(f"You may not change {str(view.get_column_name(name)).lower()}.")
    if view.validate_form(form) and view.update_model(form, model):
        return _plain("Record was successfully saved.", 200)
    told = [str(e) for field in form for e in field.errors]
    told += [str(m) for m in flask.get_flashed_messages()]
    return _plain("Failed to update record. " + ", ".join(dict.fromkeys(told)), 400)


def _plain(text: str, status: int) -> flask.Response:
    return flask.Response(text, status, content_type="text/plain; charset=utf-8")


# All cells of a page


def many(view: Any) -> ResponseReturnValue:
    """Save the changed rows of a page, all of them or none."""
    view.require("change")
    if request.method != "POST":
        return redirect(view.get_url(".index_view", **{**_arguments(), "edit": "1"}))
    keys = editable.sheet_names(view)
    if not keys:
        raise NotFound("No column of this list can be edited in place.")
    posted = _posted(view, keys)
    session = view.get_session()
    if not review.is_going_back():
        database.begin_write(session, view.mapper, review.kind())
    save = _Save(view, keys, posted)
    if review.is_going_back():
        sheet = save.sheet_again()
        sheet.is_refused = False
        return _shown_again(view, sheet)
    if not save.touched:
        return redirect(view._return_url())
    with session.no_autoflush:
        save.check()
    if not save.is_refused and save.write():
        return saving.response(save.answer)
    session.rollback()
    return _shown_again(view, save.sheet_again())


def _arguments() -> dict[str, Any]:
    return {name: list(values) for name, values in request.args.lists()}


def _shown_again(view: Any, sheet: Sheet) -> ResponseReturnValue:
    shown, state, found = list_pages.read(view, sheet)
    html = view.render(view.list_template, **_flask_admin.list_arguments(view, shown, state, found))
    return flask.make_response(html, flask.g.pop("admin_status", 400))


_KEY = re.compile(r"key-([0-9]{1,4})")
_CELL = re.compile(r"(?:row|was)-([0-9]{1,4})-(.+)", re.DOTALL)


def _posted(view: Any, keys: Sequence[str]) -> dict[str, int]:
    """The rows that the form holds, each key with its number.

    InvalidRequest for what no page of ours sends: a row without a key, one that is there twice,
    a cell that does not say what it had shown, a column that cannot be edited.
    """
    found: dict[str, int] = {}
    for name, values in request.form.lists():
        match = _KEY.fullmatch(name)
        if match is None:
            continue
        if len(values) != 1 or not values[0] or values[0] in found:
            raise InvalidRequest("Each row has to be told by its own key. Nothing was saved.")
        try:
            inspection.identity_text(view.mapper).decode(values[0])
        except NotFound as error:
            raise InvalidRequest(f"{error.sentence} Nothing was saved.") from error
        found[values[0]] = int(match[1])
    numbers = set(found.values())
    if not found or len(numbers) != len(found) or len(found) > MAX_ROWS:
        raise InvalidRequest("The form holds no rows that could be saved.")
    for name in request.form:
        match = _CELL.fullmatch(name)
        if match is None:
            continue
        if int(match[1]) not in numbers or match[2] not in keys:
            raise InvalidRequest(
                "The form holds cells that are not edited here. Nothing was saved."
            )
        if f"was-{match[1]}-{match[2]}" not in request.form:
            raise InvalidRequest("A cell does not say what it had shown. Nothing was saved.")
    return found


_CELLS = "cells"
"""Stands for the cells in a refusal that each of them tells by itself."""


class _Save:
    """One save of a page of cells: what was changed, whether it may be, and the write itself.

    `saving` puts into its ``errors``, as into those of a field, that some cell was refused.
    """

    name = short_name = _CELLS
    errors: Sequence[str] = ()

    def __init__(self, view: Any, keys: Sequence[str], posted: Mapping[str, int]) -> None:
        self.view = view
        self.keys = list(keys)
        self.lookups = self._known_rows(posted)
        self.paths = [view._path(key) for key in keys]
        self.text_of = inspection.identity_text(view.mapper)
        self.rows = {text: SheetRow(number, text) for text, number in posted.items()}
        self.found = self._read(view.get_listing(paths=self.paths), list(self.rows))
        self.touched = {
            text: changed for text, row in self.rows.items() if (changed := self._changed(row))
        }
        self.is_refused = False

    def _read(
        self, listing: Listing, texts: Sequence[str], *, lock: bool = False
    ) -> dict[str, ListedRow]:
        identities = [self.text_of.decode(text) for text in texts]
        found = listing.rows_of(self.view.get_session(), identities, lock=lock)
        return {self.text_of.of(row.instance): row for row in found}

    def _known_rows(self, posted: Mapping[str, int]) -> dict[str, Any]:
        """A lookup for each picker that knows all rows which its cells name: one statement each."""
        found: dict[str, Any] = {}
        for key in self.keys:
            if not editable.is_picker(self.view, key):
                continue
            lookup = editable.lookup_of(self.view, key)
            codec = inspection.identity_text(lookup.mapper)
            sent = {request.form.get(f"row-{n}-{key}", "").strip() for n in posted.values()}
            identities = []
            for text in sorted(filter(None, sent)):
                try:
                    identities.append(tuple(codec.decode(text)))
                except NotFound:
                    continue
            rows = lookup.fetch(identities) if identities else []
            known = {tuple(codec.decode(codec.of(row))): row for row in rows}
            found[key] = editable.KnownRows(lookup, known)
        return found

    def _sent(self, row: SheetRow, keys: Sequence[str]) -> MultiDict[str, str]:
        """What was sent for the cells ``keys`` of ``row``."""
        return MultiDict(
            (name, value)
            for name, value in request.form.items(multi=True)
            if name.startswith(row.prefix) and name.removeprefix(row.prefix) in keys
        )

    def _form(self, row: SheetRow, keys: Sequence[str], found: ListedRow | None) -> Any:
        sent = self._sent(row, keys)
        instance, extras = (None, {}) if found is None else (found.instance, found.extras)
        return editable.form(self.view, keys, instance, row.prefix, sent, extras, self.lookups)

    def _changed(self, row: SheetRow) -> list[str]:
        """The columns of ``row`` for which something else was sent than had been shown."""
        form = self._form(row, self.keys, self.found.get(row.text))
        found = []
        for key in self.keys:
            sent = sent_mark(form[attribute_for(key)])
            if sent not in (None, request.form.get(f"was-{row.number}-{key}")):
                found.append(key)
        return found

    def check(self) -> None:
        """Read the changed rows again, locked, and see whether what was typed may be written."""
        listing = self.view.get_listing("change", paths=self.paths)
        locked = self._read(listing, list(self.touched), lock=True)
        subtypes.require(self.view, [row.instance for row in locked.values()], "change")
        for text, keys in self.touched.items():
            row, found = self.rows[text], locked.get(text)
            if found is None:
                row.errors.append("It is gone, or you may not change it any more.")
                self.is_refused = True
                continue
            self.found[text] = found
            row.form = self._form(row, keys, found)
            self._check_row(row, keys)

    def _check_row(self, row: SheetRow, keys: Sequence[str]) -> None:
        is_valid = self.view.validate_form(row.form)
        for key in keys:
            field = row.form[attribute_for(key)]
            if field.flags.readonly_text:
                field.errors = [*field.errors, "This cannot be changed in this row."]
            elif _is_stale(field, request.form.get(f"was-{row.number}-{key}")):
                told = conflicts.changed_cell(self.view, field, self.found[row.text].instance)
                field.errors = [*field.errors, told]
        row.errors += [str(e) for e in getattr(row.form, "form_errors", ())]
        if not is_valid or row.errors or row.form.errors:
            self.is_refused = True

    def write(self) -> bool:
        """Write every changed row in one change set; whether it was committed."""
        view = self.view
        chosen = {text: self.found[text].instance for text in self.touched}
        instances = list(chosen.values())

        def write(change_set: changes.ChangeSet) -> None:
            with change_set.session.no_autoflush:
                for text, instance in chosen.items():
                    self._set(self.rows[text], instance)
                if not self.is_refused:
                    self._change(change_set, instances)
            if self.is_refused:
                raise WriteRefused("Nothing was saved.", {_CELLS: ["Some cells say why."]})

        if not saving.save(view, [self], write, "cells", instances[0], self.answer):
            return False
        for text, instance in chosen.items():
            view.after_model_change(self.rows[text].form, instance, False)
        return True

    def _change(self, change_set: changes.ChangeSet, instances: Sequence[Any]) -> None:
        def told(instance: Any, refusal: WriteRefused) -> None:
            self._refuse(self.rows[self.text_of.of(instance)], refusal)

        try:
            change_set.change_all(instances, told)
        except WriteRefused:
            if not self.is_refused:
                raise

    def _set(self, row: SheetRow, instance: Any) -> None:
        try:
            row.form.populate_obj(instance)
            self.view._on_model_change(row.form, instance, False)
        except WriteRefused as refusal:
            self._refuse(row, refusal)
        except wtforms.ValidationError as error:
            self._refuse(row, WriteRefused(str(error)))

    def _refuse(self, row: SheetRow, refusal: WriteRefused) -> None:
        self.is_refused = True
        untold = dict(refusal.fields)
        for field in row.form:
            field.errors = [*field.errors, *untold.pop(field.short_name, ())]
        for key, sentences in untold.items():
            label = str(self.view.get_column_name(key))
            row.errors += [f"{label}: {sentence}" for sentence in sentences]
        if not refusal.fields:
            row.errors.append(refusal.sentence)

    def answer(self) -> tuple[str, str]:
        """What is said after the save, and where to go on."""
        count, view = len(self.touched), self.view
        noun = view.singular.lower() if count == 1 else view.plural
        verb = "is" if count == 1 else "are"
        return f"{count:,} {noun} {verb} changed.", view._return_url()

    def sheet_again(self) -> Sheet:
        """The page as it was sent: the rows in their order, with what was typed and what is wrong.

        A cell that nobody here has changed shows what its row holds by now.
        """
        for text, row in self.rows.items():
            row.told = {field.short_name: list(field.errors) for field in row.form or ()}
            row.sent = self._sent(row, self.touched.get(text, ()))
            row.form = None
        return Sheet(self.view, self.keys, self.rows, self.lookups, is_refused=True)
