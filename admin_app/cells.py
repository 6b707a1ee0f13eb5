"""Cells of a list that are edited where they stand: one row and some of its columns at a time."""

from __future__ import annotations

from typing import Any

import flask
from flask import request

from admin_app import inspection
from admin_app.errors import NotFound


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
    if not any(field.name in names for field in form):
        return _plain("Nothing was sent that can be edited here.", 400)
    if view.validate_form(form) and view.update_model(form, model):
        return _plain("Record was successfully saved.", 200)
    told = [str(e) for field in form for e in field.errors]
    told += [str(m) for m in flask.get_flashed_messages()]
    return _plain("Failed to update record. " + ", ".join(dict.fromkeys(told)), 400)


def _plain(text: str, status: int) -> flask.Response:
    return flask.Response(text, status, content_type="text/plain; charset=utf-8")
