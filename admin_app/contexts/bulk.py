"""What the pages are handed that edit many rows at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from admin_app.contexts.parts import ReasonField
from admin_app.pages import Crumb


@dataclass(slots=True)
class BulkField:
    """A field that can be edited in many rows; ``kinds`` are what can be done, with the words."""

    key: str
    label: str
    field: Any
    kinds: list[tuple[str, str]]
    chosen: str = ""
    old: str = ""
    """The text that is to be replaced."""
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class BulkEditPage:
    """``admin/model/bulk_edit.html``: what becomes of which field."""

    title: str
    sentence: str
    breadcrumbs: list[Crumb]
    action_url: str
    hidden: list[tuple[str, str]]
    fields: list[BulkField]
    cancel_url: str
    error: str = ""
    note: str = ""
    """What has changed since the rows were chosen."""


@dataclass(frozen=True, slots=True)
class BulkValue:
    """Rows that hold ``old`` and get ``new``; with ``is_same`` nothing changes in them."""

    count: int
    old: Markup | None
    new: Markup | None
    is_same: bool = False


@dataclass(slots=True)
class BulkPart:
    """What becomes of one field, by the values that the rows hold."""

    title: str
    values: list[BulkValue] = field(default_factory=list)
    more_text: str | None = None


@dataclass(frozen=True, slots=True)
class BulkFailure:
    """A row that cannot be changed, and why."""

    text: str
    url: str | None
    sentence: str


@dataclass(slots=True)
class BulkPreviewPage:
    """``admin/model/bulk_preview.html``: what would be changed, and what could not be."""

    title: str
    heading: str
    sentence: str
    breadcrumbs: list[Crumb]
    action_url: str
    hidden: list[tuple[str, str]]
    parts: list[BulkPart]
    failures: list[BulkFailure]
    failure_count: int
    is_partial: bool
    """Whether some rows can be changed and others not, so that one has to choose."""
    failing: str
    """What was chosen: ``none`` of them is changed, or the ``others`` are."""
    submit_text: str
    can_submit: bool
    cancel_url: str
    note: str = ""
    reason: ReasonField | None = None
