"""Where somebody is signed in: his own page, and for who looks after accounts that of an account.

Any session can be ended from here. It is out at its next request.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import flask
import sqlalchemy as sa
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.base import BaseView, expose
from werkzeug.utils import redirect

from admin_app import contexts as c
from admin_app import rendering, sessions
from admin_app.accounts import BLUEPRINT, Accounts, User
from admin_app.errors import NotFound
from admin_app.navigation import breadcrumbs

_show_moment = rendering.by_type(sa.DateTime(timezone=True), is_cut=False)


class YouView(BaseView):
    """The page of whoever is signed in: his roles, his password and his sessions."""

    def is_visible(self) -> bool:
        """It is reached from the menu of the account, not from that of the models."""
        return False

    @property
    def accounts(self) -> Accounts:
        assert self.admin is not None
        found: Accounts = self.admin.sign_in  # type: ignore[attr-defined]
        return found

    def _user(self) -> User:
        assert self.admin is not None
        principal = self.admin.principal()  # type: ignore[attr-defined]
        user = None if principal is None else self.accounts.user(principal.id)
        if user is None:
            raise NotFound("There is no account for whom you are signed in as.")
        return user

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """What is known of the account."""
        user = self._user()
        page = sessions_page(self, user, self.get_url(".end_view"), "Your account")
        page.password_url = flask.url_for(f"{BLUEPRINT}.change_password")
        html: str = self.render("admin/access/sessions.html", page=page)
        return html

    @expose("/end/", methods=("POST",))
    def end_view(self) -> ResponseReturnValue:
        """End one session, or all others."""
        end(self.accounts, self._user().id)
        return redirect(self.get_url(".index"), 303)


def sessions_page(view: Any, user: User, action_url: str, heading: str) -> c.SessionsPage:
    """The page of the sessions of ``user``; ``view`` is whose page it is."""
    own = view.accounts.own_session()
    lines = [
        c.SessionLine(
            id=one.id,
            device=sessions.device(one.agent),
            address=one.address or "an unknown address",
            started=_moment(one.started_at),
            seen=_moment(one.seen_at),
            is_own=one.id == own,
            is_kept=one.is_kept,
        )
        for one in view.accounts.sessions_of(user.id)
    ]
    roles = ", ".join(sorted(role.name for role in user.roles))
    return c.SessionsPage(
        title=heading,
        heading=heading,
        breadcrumbs=breadcrumbs(view, (heading, None)),
        facts=[("E-mail", user.email), ("Roles", roles or "none yet")],
        sessions=lines,
        action_url=action_url,
    )


def end(accounts: Accounts, user_id: int) -> None:
    """End what a form of that page names: one session, or all but that of the request."""
    ids = None if "others" in request.form else request.form.getlist("session")
    count = accounts.end_sessions(user_id, ids)
    said = "One session is" if count == 1 else f"{count:,} sessions are"
    flask.flash(f"{said} ended.", "success" if count else "warning")


def _moment(at: dt.datetime) -> Any:
    return _show_moment(at.replace(microsecond=0, tzinfo=dt.UTC))
