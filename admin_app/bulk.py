"""What is done to ticked rows: run an action, ask first where it wants to, delete them all.

The routes of `views` call these; which actions there are and who may run them is the view's to
say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flask
from flask import g, request
from flask.typing import ResponseReturnValue
from werkzeug.utils import redirect

from admin_app import actions, changes, deleting, inspection, model_pages, saving, subtypes
from admin_app.errors import Forbidden, InvalidRequest, WriteRefused


def run(view: Any, back: str) -> ResponseReturnValue:
    """Run the action that the POST names over its ``rowid``s, once it is confirmed.

    ``back`` is where an action without an answer of its own leads.
    """
    name = request.form.get("action", "")
    texts = list(dict.fromkeys(request.form.getlist("rowid")))
    handler, words, confirmation = view._actions_data.get(name, (None, "", None))
    if handler is None:
        raise InvalidRequest(f"There is no action “{inspection.shorten(name)}”.")
    if not view.is_action_allowed(name):
        raise Forbidden(f"You may not do “{words}” here.")
    if not texts:
        flask.flash("Tick the rows first, then choose what to do with them.", "warning")
        return redirect(back)
    identities = actions.identities(view.mapper, texts)
    if confirmation and request.form.get("confirmed") != "1":
        what = "delete" if name == "delete" else "view"
        rows = view.get_listing(what).many(view.get_session(), identities)
        hidden = _hidden(name, texts)
        if name == "delete":
            return deleting.ask(view, rows, len(texts), view.get_url(".action_view"), hidden)
        page = model_pages.confirm_page(
            view, str(words), str(confirmation), rows, len(texts), hidden
        )
        html: str = view.render("admin/confirm_action.html", page=page)
        return html
    if confirmation:
        try:
            saving.reason(view)
        except WriteRefused as refusal:
            flask.flash(refusal.sentence, "error")
            return redirect(back)
    answer: ResponseReturnValue | None = handler(texts)
    return redirect(back) if answer is None else answer


def _hidden(name: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    return [("action", name), ("confirmed", "1"), *(("rowid", text) for text in texts)]


def delete(view: Any, ids: Sequence[str], *, one_by_one: bool) -> ResponseReturnValue | None:
    """Delete the rows with these keys, all of them or none.

    ``one_by_one`` goes through the view's own ``delete_model``, each row for itself.
    """
    identities = actions.identities(view.mapper, ids)
    rows = view.get_listing("delete").many(view.get_session(), identities)
    subtypes.require(view, rows, "delete")
    missing = len(identities) - len(rows)
    if missing:
        flask.flash(f"{missing:,} of the ticked rows were gone already.", "warning")

    def write(change_set: changes.ChangeSet) -> None:
        for row in rows:
            view.on_model_delete(row)
        deleting.check(view, change_set, rows)
        change_set.delete(*rows)

    def answer(deleted: int = len(rows)) -> tuple[str, str]:
        noun = view.singular.lower() if deleted == 1 else view.plural
        verb = "is" if deleted == 1 else "are"
        return f"{deleted:,} {noun} {verb} deleted.", view._return_url()

    if one_by_one:
        deleted = sum(bool(view.delete_model(row)) for row in rows)
        g.pop("admin_answer", None)
        return saving.response(lambda: answer(deleted)) if deleted else None
    if rows and saving.save(view, None, write, "delete", rows[0], answer):
        for row in rows:
            view.after_model_delete(row)
    if deleting.was_blocked():
        url = view.get_url(".action_view")
        return deleting.ask(view, rows, len(ids), url, _hidden("delete", ids))
    return saving.response(answer) if saving.is_answered() else None
