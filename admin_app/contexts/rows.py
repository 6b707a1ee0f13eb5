"""What the pages of one row are handed: forms, cells and details."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from admin_app.contexts.lists import BulkAction
from admin_app.contexts.parts import Link, ReasonField
from admin_app.pages import Crumb


@dataclass(frozen=True, slots=True)
class FormGroup:
    title: str | None
    fields: list[Any]
    description: str | None = None
    is_folded: bool = False
    rows: list[list[Any]] = field(default_factory=list)
    """The fields by line, where the group says which of them share one."""
    is_tab: bool = False
    """Next to others of its kind it is one of several tabs."""
    css: str = ""
    has_error: bool = False
    is_open: bool = False
    """A folded group that has to be seen: something in it is wrong, or has to be filled in."""


@dataclass(slots=True)
class FormPage:
    """``admin/model/create.html`` and ``admin/model/edit.html``"""

    title: str
    heading: str
    mode: str
    breadcrumbs: list[Crumb]
    form: Any
    groups: list[FormGroup]
    action_url: str
    cancel_url: str
    sub: str | None = None
    details_url: str | None = None
    delete_url: str | None = None
    error_sentence: str | None = None
    errors: list[tuple[str, str, str]] = field(default_factory=list)
    form_errors: list[str] = field(default_factory=list)
    """What is wrong with the form as a whole."""
    site_url: str | None = None
    """Where the row is on the public site."""
    own_link: Link | None = None
    """The form with all columns of a row that is of a subclass."""
    sends_files: bool = False
    scripts: list[str] = field(default_factory=list)
    """The modules that the fields and groups of this form need."""
    zone: str = ""
    """The time zone in which times are shown and typed."""
    server_offset: int = 0
    """Minutes by which the clock that columns without a zone keep is ahead of UTC."""
    can_add_another: bool = True
    can_continue: bool = True
    can_save_as_new: bool = False
    is_copy: bool = False
    """Whether a row that is to be saved as new was refused: sent again, it is one still."""
    submit_text: str = "Save"
    token: str = ""
    """Goes back with the form, so that it is saved once however often it is sent."""
    reason: ReasonField | None = None
    base: str = ""
    """Goes back with the form of a row as ``_form_base``: what it had shown (see `conflicts`)."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """``admin/model/_conflict.html``: the values of a field that two people have changed."""

    name: str
    """Of the radio buttons, whose values are ``theirs``, ``yours`` and ``base``."""
    who: str
    when: Markup | None
    theirs: Markup
    yours: Markup
    base: Markup | None
    """What was there before; None where that is not known, or cannot be set by a form."""
    chosen: str = ""


@dataclass(slots=True)
class SavedViewPage:
    """``admin/model/view.html``: the name of a saved view."""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    action_url: str
    hidden: list[tuple[str, str]]
    name: str
    max_name: int
    cancel_url: str
    is_new: bool = True
    can_share: bool = False
    is_shared: bool = False
    is_default: bool = False
    error: str | None = None


@dataclass(slots=True)
class CellPage:
    """``admin/model/cell.html``, and for a script its form alone: the field of one cell."""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    form: Any
    field: Any
    was: str
    """The mark of what is shown, which goes back with the form."""
    action_url: str
    cancel_url: str
    scripts: list[str]
    zone: str = ""
    form_errors: list[str] = field(default_factory=list)
    widget_args: dict[str, Any] = field(default_factory=dict)
    """Attributes of the control that the view's options give."""
    reason: ReasonField | None = None


@dataclass(frozen=True, slots=True)
class Detail:
    label: str
    value: Markup
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class DetailsGroup:
    title: str | None
    items: list[Detail]


@dataclass(frozen=True, slots=True)
class Related:
    """Some of the rows of a to-many relationship; ``more_text`` says that there are others."""

    label: str
    links: list[Link]
    more_text: str | None = None


@dataclass(slots=True)
class DetailsPage:
    """``admin/model/details.html``"""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    groups: list[DetailsGroup]
    related: list[Related]
    list_url: str
    sub: str | None = None
    edit_url: str | None = None
    delete_url: str | None = None
    history_url: str | None = None
    site_url: str | None = None
    own_link: Link | None = None
    """The page with all columns of a row that is of a subclass."""
    actions: list[BulkAction] = field(default_factory=list)
    """What can be done to the row."""
    action_url: str = ""
    key: str = ""
    """The key of the row as text."""
    hidden: list[tuple[str, str]] = field(default_factory=list)
    """What the form of the actions sends along."""
