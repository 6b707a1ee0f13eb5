"""The pages of saved views: naming one, deleting one, and what else is done to them.

What a saved view is, and how its address is read, is told in `saved_views`.
"""

from __future__ import annotations

from typing import Any

import flask
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.utils import redirect

from admin_app import contexts as c
from admin_app import saved_views
from admin_app.errors import Forbidden, InvalidRequest, NotFound
from admin_app.navigation import breadcrumbs
from admin_app.saved_views import Saved


class SavedViewRoutes:
    """The route of a view for the saved views of its list."""

    @expose("/view/", methods=("GET", "POST"))
    def saved_view(self) -> ResponseReturnValue:
        """What ``do`` says to do: save, rename and delete ask first, by GET.

        POST does them, and also update, share, unshare, default, no_default and move.
        """
        if not saved_views.are_kept(self):
            raise NotFound("Views cannot be kept here.")
        if request.method == "GET":
            return _asked(self, request.args.get("do", ""))
        return _done(self, request.form.get("do", ""))


def _asked(view: Any, do: str) -> ResponseReturnValue:
    if do == "save":
        query = saved_views.cleaned_query(request.args.get("query", ""))
        return _form(view, None, query=query)
    if do == "rename":
        saved = saved_views.own(view, request.args.get("id", ""))
        return _form(view, saved, name=saved.name)
    if do == "delete":
        return _confirm(view, saved_views.own(view, request.args.get("id", "")))
    raise NotFound("There is nothing of this name to be done to a view.")


def _done(view: Any, do: str) -> ResponseReturnValue:
    if do == "save":
        return _save(view)
    if do == "no_default":
        saved_views.set_default(view, None)
        return _back(view, "The list opens with all rows.", saved_views.ALL)
    text = request.form.get("id", "")
    saved = saved_views.one(view, text) if do == "default" else saved_views.own(view, text)
    match do:
        case "rename":
            return _rename(view, saved)
        case "update":
            query = saved_views.cleaned_query(request.form.get("query", ""))
            saved_views.change(view, saved, query=query)
            return _back(view, f"View “{saved.name}” is updated.", saved.id)
        case "share":
            _require_share(view)
            saved_views.change(view, saved, is_shared=True)
            return _back(view, f"Everybody who sees this list sees “{saved.name}” now.", saved.id)
        case "unshare":
            saved_views.change(view, saved, is_shared=False)
            return _back(view, f"View “{saved.name}” is yours alone now.", saved.id)
        case "default":
            saved_views.set_default(view, saved)
            return _back(view, f"The list opens with “{saved.name}” now.", saved.id)
        case "move":
            saved_views.move(view, saved)
            return _back(view, None, saved.id)
        case "delete":
            saved_views.delete(view, saved)
            return _back(view, f"View “{saved.name}” is deleted.", None)
    raise InvalidRequest("There is nothing of this name to be done to a view.")


def _require_share(view: Any) -> None:
    if not view.may("share_view"):
        raise Forbidden(f"You may not share views of {view.plural}.")


def _save(view: Any) -> ResponseReturnValue:
    query = saved_views.cleaned_query(request.form.get("query", ""))
    name, is_shared = request.form.get("name", ""), "shared" in request.form
    is_default = "default" in request.form
    if is_shared:
        _require_share(view)
    error = _objection(view, name, None)
    if error is not None:
        return _form(
            view, None, name=name, query=query, shared=is_shared, default=is_default, error=error
        )
    name = saved_views.cleaned_name(name)
    id = saved_views.save(view, name, query, is_shared=is_shared, is_default=is_default)
    return _back(view, f"View “{name}” is saved.", id)


def _rename(view: Any, saved: Saved) -> ResponseReturnValue:
    name = request.form.get("name", "")
    error = _objection(view, name, saved)
    if error is not None:
        return _form(view, saved, name=name, error=error)
    name = saved_views.cleaned_name(name)
    saved_views.change(view, saved, name=name)
    return _back(view, f"The view is called “{name}” now.", saved.id)


def _objection(view: Any, name: str, saved: Saved | None) -> str | None:
    """What stands against ``name`` for a new view, or for ``saved``."""
    try:
        name = saved_views.cleaned_name(name)
    except ValueError as error:
        return str(error)
    is_taken = saved_views.is_taken(view, name, saved)
    return "You have a view of this name already." if is_taken else None


def _back(view: Any, message: str | None, shown: int | str | None) -> ResponseReturnValue:
    if message:
        flask.flash(message, "success")
    return redirect(view.get_url(".index_view", view=shown), 303)


def _form(
    view: Any,
    saved: Saved | None,
    *,
    name: str = "",
    query: str = "",
    shared: bool = False,
    default: bool = False,
    error: str | None = None,
) -> ResponseReturnValue:
    heading = "Save view" if saved is None else f"Rename “{saved.name}”"
    hidden = [("do", "save"), ("query", query)]
    if saved is not None:
        hidden = [("do", "rename"), ("id", str(saved.id))]
    back = view.get_url(".index_view", view=None if saved is None else saved.id)
    if saved is None and query:
        back += f"?{query}"
    page = c.SavedViewPage(
        title=f"Error: {heading}" if error else heading,
        heading=heading,
        breadcrumbs=breadcrumbs(view, (str(view.name), back), (heading, None)),
        action_url=view.get_url(".saved_view"),
        hidden=hidden,
        name=name,
        max_name=saved_views.MAX_NAME,
        cancel_url=back,
        is_new=saved is None,
        can_share=saved is None and bool(view.may("share_view")),
        is_shared=shared,
        is_default=default,
        error=error,
    )
    html = view.render("admin/model/view.html", page=page)
    return flask.make_response(html, 200 if error is None else 400)


def _confirm(view: Any, saved: Saved) -> ResponseReturnValue:
    question = f"Delete the view “{saved.name}”?"
    back = view.get_url(".index_view", view=saved.id)
    sentence = "The rows that it shows are not touched."
    if saved.is_shared:
        sentence += " Everybody else loses it as well."
    page = c.ConfirmPage(
        title=question,
        heading=question,
        breadcrumbs=breadcrumbs(view, (str(view.name), back), ("Delete the view", None)),
        sentence=sentence,
        rows=[],
        action_url=view.get_url(".saved_view"),
        hidden=[("do", "delete"), ("id", str(saved.id))],
        submit_text="Delete the view",
        cancel_url=back,
    )
    html: ResponseReturnValue = view.render("admin/confirm_action.html", page=page)
    return html
