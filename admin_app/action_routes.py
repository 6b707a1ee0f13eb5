"""The route of a view that runs actions, which actions it has, and the admin's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from flask import g
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from sqlalchemy import orm

from admin_app import actions, bulk, bulk_edit, bulk_jobs, deleting, selecting
from admin_app.actions import Action, action
from admin_app.listing import Selection


class ActionRoutes:
    """The actions of a view, over rows that are ticked or match a list."""

    admin: Any
    mapper: orm.Mapper[Any]
    read_only_note: str | None
    action_disallowed_list: Any
    can_run_actions: bool
    get_url: Callable[..., str]
    allows: Callable[[str], bool]
    may: Callable[..., bool]
    require: Callable[[str], None]
    _begin: Callable[[], ResponseReturnValue | None]
    _return_url: Callable[[], str]

    @expose("/action/", methods=("POST",))
    def action_view(self) -> Any:
        """Run an action over the chosen rows, or ask first."""
        return self._begin() or self.handle_action()

    def handle_action(self, return_view: str | None = None) -> Any:
        """Run the action that the POST names over the rows that it names, once it is confirmed."""
        back = self.get_url(f".{return_view}") if return_view else self._return_url()
        return bulk.run(self, back)

    def get_actions(self) -> dict[str, Action]:
        """Every action by name, in the order in which they stand, whoever may run it."""
        # Each action asks for all of them, and a page for each action.
        made: dict[Any, dict[str, Action]] = g.setdefault("admin_actions", {}) if g else {}
        if self not in made:
            made[self] = actions.of_view(self, getattr(self.admin, "actions", ()))
        return made[self]

    def get_actions_list(self) -> tuple[list[Any], dict[Any, Any]]:
        """The actions that the list offers: pairs of name and text; and what some of them ask."""
        offered = self.actions_on("list")
        asked = {one.name: one.confirmation for one in offered if one.confirmation}
        return [(one.name, one.text) for one in offered], asked

    def actions_on(self, place: str) -> list[Action]:
        """The actions that stand on ``place`` (``list``, ``row`` or ``details``) for who may."""
        return [
            one
            for name, one in self.get_actions().items()
            if place in one.on and self.is_action_allowed(name)
        ]

    def is_action_allowed(self, name: str) -> bool:
        """Whether the action may be run by the current principal."""
        if not self.can_run_actions or name in self.action_disallowed_list:
            return False
        found = self.get_actions().get(name)
        if found is not None and found.is_own and name == "edit":
            return bulk_edit.is_offered(self) and self.allows("change")
        if found is not None and found.right:
            return any(self.allows(right) for right in found.right)
        return self.read_only_note is None and self.may(name)

    def get_selected(self, selection: Selection, what: str = "view") -> sa.Select[Any]:
        """The rows of ``selection`` to which the visitor may do ``what``, as a SELECT of them."""
        return selection.statement(selecting.listing(self, selection, what))

    @action("edit", "Edit…", right="change", takes="selection", _is_own=True)
    def action_edit(self, selection: Selection) -> ResponseReturnValue:
        """Edit fields of the chosen rows together."""
        self.require("change")
        return bulk_edit.run(self, selection, bulk_jobs.EditJob(self, selection))

    @action("delete", "Delete", "Delete these rows?", right="delete", _is_own=True)
    def action_delete(self, ids: Sequence[str]) -> ResponseReturnValue | None:
        """Delete the ticked rows, all of them or none."""
        self.require("delete")
        return bulk.delete(self, ids, one_by_one=deleting.is_own(self))
