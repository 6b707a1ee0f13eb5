"""What the pages of the site as a whole, and those that ask or explain, are handed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from admin_app.contexts.changes import Activity
from admin_app.pages import Crumb, MenuSection


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the classes that a new row may be of."""

    text: str
    url: str
    description: str | None = None


@dataclass(slots=True)
class ChoicePage:
    """``admin/model/choose.html``"""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    sentence: str
    choices: list[Choice]
    cancel_url: str


@dataclass(slots=True)
class QueryPage:
    """``admin/model/query.html``: what a list asks of the database.

    ``advice`` has a ``reason`` and the ``code`` of the Alembic operation that makes an index.
    """

    title: str
    heading: str
    sentence: str
    breadcrumbs: list[Crumb]
    list_url: str
    sql: str
    parameters: list[tuple[str, str]]
    code: str | None
    plan: list[str]
    advice: Any = None


@dataclass(frozen=True, slots=True)
class PaletteEntry:
    """Something to go to; ``hint`` tells it from others of its name."""

    text: str
    url: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class PaletteGroup:
    """Entries of one kind; ``more_url`` leads to all of them where these are not all."""

    key: str
    title: str
    entries: list[PaletteEntry]
    more_url: str | None = None


@dataclass(slots=True)
class PalettePage:
    """``admin/palette.html``"""

    title: str
    breadcrumbs: list[Crumb]
    text: str
    action_url: str
    groups: list[PaletteGroup]
    sentence: str = ""


@dataclass(slots=True)
class IndexPage:
    """``admin/index.html``"""

    title: str
    breadcrumbs: list[Crumb]
    sections: list[MenuSection]
    activity: list[Activity] = field(default_factory=list)
    activity_url: str | None = None

    @property
    def is_empty(self) -> bool:
        return not any(s.items for s in self.sections)
