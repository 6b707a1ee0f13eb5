"""Actions over rows: what a host declares with `action`, and what an action may answer.

`action` takes Flask-Admin's arguments with the same meaning, and some of ours. An action that asks
first, or wants input, is answered with a page; it runs when the page's form comes back with
``confirmed``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import flask
import wtforms
from sqlalchemy import orm

from admin_app import inspection
from admin_app.errors import ConfigurationError

__all__ = ["MOST_IDS", "SHOWN_ROWS", "Action", "Message", "action", "identities"]

SHOWN_ROWS = 50
"""Rows that a page of confirmation names; the others are counted."""

MOST_IDS = 10_000
"""Keys that an action is handed; one that takes a `Selection` has no such limit."""

PREFIX = "input-"
"""What the names of an action's own fields begin with, so that they cannot mean anything else."""

PLACES = ("list", "row", "details")
BUILT_IN = ("edit", "export", "delete")
"""The admin's own actions, in the order in which they stand behind all others."""

Level = Literal["success", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Message:
    """What an action answers to say something, back on the page that it was chosen on."""

    text: str
    level: Level = "success"


@dataclass(frozen=True, slots=True)
class Action:
    """An action of one view.

    ``handler`` is called with the keys of the rows as texts, or with a `Selection` where ``takes``
    is ``"selection"``, then, if ``form`` is a form class, with its form, filled and valid.
    ``right`` are actions of the policy of which one is needed; without any the action's own name.
    ``on`` is where it stands.
    """

    name: str
    text: str
    handler: Callable[..., Any]
    confirmation: str | None = None
    form: type[wtforms.Form] | None = None
    right: tuple[str, ...] = ()
    on: frozenset[str] = frozenset({"list"})
    takes: Literal["ids", "selection"] = "ids"
    is_site_wide: bool = False
    is_own: bool = False
    """Whether it is the admin's, which opens its change sets and asks by itself."""

    @property
    def asks(self) -> bool:
        """Whether a page comes before it runs."""
        return bool(self.confirmation) or self.form is not None

    def make_form(self, sent: Any) -> wtforms.Form | None:
        """Its form: filled with what was ``sent``, or as it is at first, with None."""
        if self.form is None:
            return None
        # The site's own token protects the page; a Flask-WTF form would want another.
        return self.form(sent, prefix=PREFIX, meta={"csrf": False})


def action(
    name: str,
    text: str,
    confirmation: str | None = None,
    *,
    form: type[wtforms.Form] | None = None,
    right: str | Iterable[str] | None = None,
    on: str | Iterable[str] = ("list",),
    takes: Literal["ids", "selection"] = "ids",
    _is_own: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a method of a view, or a function for `Admin`, an action; see `Action`.

    ``{rows}`` and ``{row}`` in ``text`` and ``confirmation`` become what rows are called. Raises
    ConfigurationError for a place or a kind of argument that there is not.
    """
    places = frozenset([on] if isinstance(on, str) else on)
    if not places or not places.issubset(PLACES):
        raise ConfigurationError(f"Action {name!r} may stand on {', '.join(PLACES)}, nowhere else.")
    if takes not in ("ids", "selection"):
        raise ConfigurationError(f"Action {name!r} takes either 'ids' or 'selection'.")
    options = {
        "form": form,
        "right": () if right is None else (right,) if isinstance(right, str) else tuple(right),
        "on": places,
        "takes": takes,
        "is_own": _is_own,
    }

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        function._action = (name, text, confirmation)  # type: ignore[attr-defined]
        function._action_options = options  # type: ignore[attr-defined]
        return function

    return mark


def of_view(view: Any, site_wide: Sequence[Callable[..., Any]]) -> dict[str, Action]:
    """The actions of ``view`` by name: those of the whole site first, then its own.

    An action of the view stands for one of the site of the same name. The admin's own come last.
    """
    found: dict[str, Action] = {}
    for function in site_wide:
        bound = functools.partial(function, view)
        made = _made(view, function._action, bound, function)  # type: ignore[attr-defined]
        found[made.name] = made
    for name, (handler, text, confirmation) in _declared(view).items():
        made = _made(view, (name, text, confirmation), handler, handler)
        found[name] = made
    last = {name: found.pop(name) for name in BUILT_IN if name in found}
    return {**found, **last}


def _declared(view: Any) -> Mapping[str, tuple[Any, Any, Any]]:
    """What Flask-Admin has found in the class, in its order."""
    names = [name for name, _ in view._actions]
    return {name: view._actions_data[name] for name in names}


def _made(view: Any, told: Sequence[Any], handler: Any, marked: Any) -> Action:
    name, text, confirmation = told
    options: dict[str, Any] = getattr(marked, "_action_options", {})
    return Action(
        name,
        _named(view, text),
        handler,
        _named(view, confirmation) if confirmation else None,
        is_site_wide=isinstance(handler, functools.partial),
        **options,
    )


def _named(view: Any, text: Any) -> str:
    """``text`` with what rows of ``view`` are called in the places for it."""
    return str(text).replace("{rows}", view.plural).replace("{row}", view.singular.lower())


def flash(message: Message) -> None:
    """Tell ``message`` on the next page."""
    flask.flash(message.text, message.level)


def identities(mapper: orm.Mapper[Any], texts: Sequence[str]) -> list[tuple[Any, ...]]:
    """The identities that ``texts`` from a form stand for, each once; NotFound for a bad one."""
    text_of = inspection.identity_text(mapper)
    return list(dict.fromkeys(text_of.decode(text) for text in texts))
