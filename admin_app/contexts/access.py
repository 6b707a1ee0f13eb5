"""What the pages of roles and their grants are handed."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup

from admin_app.contexts.parts import Link
from admin_app.pages import Crumb


@dataclass(frozen=True, slots=True)
class GrantRow:
    """What a role may do to one model: a box for each action, by the action's name.

    ``note`` says how it is narrowed; ``url`` is where that is changed.
    """

    name: str
    title: str
    ticked: frozenset[str]
    url: str | None = None
    note: str = ""


@dataclass(slots=True)
class GrantsPage:
    """``admin/access/grants.html``: a matrix of models and actions."""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    actions: list[tuple[str, str]]
    """Name and heading of each column."""
    rows: list[GrantRow]
    is_everything: bool
    can_give_everything: bool
    others: list[str]
    """What the role may and may not do beside, in words."""
    members: list[Link]
    action_url: str
    cancel_url: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class GrantColumn:
    """An attribute, and what a role may do to it: ``write``, ``read`` or ``hidden``."""

    name: str
    title: str
    access: str


@dataclass(slots=True)
class ModelGrantsPage:
    """``admin/access/model.html``: the rows and columns of one model that a role may reach."""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    columns: list[GrantColumn]
    actions: list[tuple[str, str, bool]]
    """Name, words and whether it is allowed, of what is done to this model alone."""
    rule: str
    rule_words: str
    list_url: str | None
    action_url: str
    cancel_url: str
    error: str | None = None
    rule_error: str | None = None


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One place where an account is signed in; ``is_own`` is that of the page itself."""

    id: str
    device: str
    address: str
    started: Markup
    seen: Markup
    is_own: bool
    is_kept: bool


@dataclass(slots=True)
class SessionsPage:
    """``admin/access/sessions.html``: an account, and where it is signed in."""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    facts: list[tuple[str, str]]
    sessions: list[SessionLine]
    action_url: str
    password_url: str | None = None


@dataclass(slots=True)
class WhyPage:
    """``admin/access/why.html``: whether somebody may do something, and what decides it."""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    action_url: str
    actions: list[tuple[str, str]]
    models: list[tuple[str, str]]
    asked: dict[str, str]
    """What was asked, by the names ``account action model id column``."""
    error: str | None = None
    answer: bool | None = None
    sentences: list[str] = field(default_factory=list)
    role: Link | None = None
