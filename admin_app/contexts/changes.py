"""What the pages of changes are handed: deletes, reviews, history and undo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from admin_app.contexts.parts import Link, ReasonField
from admin_app.pages import Crumb


@dataclass(frozen=True, slots=True)
class Move:
    """A control that names another row for what points at the rows that are to be deleted."""

    name: str
    label: str
    url: str
    """Where a script looks rows up."""
    value: str = ""


@dataclass(slots=True)
class PlanGroup:
    """Rows that a delete touches, or that stand in its way, with one fate.

    ``kind`` is ``deleted``, ``unlinked``, ``emptied``, ``reset`` or ``blocks``.
    """

    kind: str
    text: str
    note: str = ""
    rows: list[Link] = field(default_factory=list)
    more_text: str | None = None
    list_url: str | None = None
    """The list of those that block."""
    move: Move | None = None


@dataclass(slots=True)
class ConfirmPage:
    """``admin/model/delete.html`` and ``admin/confirm_action.html``: asked before it is done."""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    sentence: str
    rows: list[Link]
    action_url: str
    hidden: list[tuple[str, str]]
    submit_text: str
    cancel_url: str
    more_text: str | None = None
    headline: str = ""
    """What a delete does, in a sentence."""
    blockers: list[PlanGroup] = field(default_factory=list)
    groups: list[PlanGroup] = field(default_factory=list)
    is_folded: bool = False
    is_cut: bool = False
    """Whether a delete touches more than was looked at."""
    is_moving: bool = False
    """Whether everything that blocks can be moved to another row."""
    can_submit: bool = True
    can_review: bool = False
    reason: ReasonField | None = None
    form: Any = None
    """The form for the input of an action, which stands over its button."""
    note: str = ""
    """What has changed since the rows were chosen."""


@dataclass(frozen=True, slots=True)
class Activity:
    """A change of the last time: ``who`` ``did`` ``what``, which leads to ``url``."""

    who: str
    who_url: str | None
    did: str
    what: str
    url: str
    when: Markup
    more: str = ""


@dataclass(frozen=True, slots=True)
class ChangedValue:
    """A column with what it held before and after; None where there is no such side.

    ``both`` is a long text with what went and what came marked in it, to be shown instead.
    """

    label: str
    old: Markup | None
    new: Markup | None
    both: Markup | None = None
    name: str = ""
    revert_url: str | None = None
    """Where a POST sets the column back to ``old``, after a review."""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """What was done to one row; ``state`` is what an undo would find (see `undoing.Step`)."""

    id: int
    kind: str
    text: str
    url: str | None
    columns: list[ChangedValue]
    state: str = ""
    current: list[tuple[str, Markup]] = field(default_factory=list)
    """Columns that somebody changed since, with what they hold now."""
    is_chosen: bool = False
    """Whether it shall be taken back although it was changed since."""


@dataclass(frozen=True, slots=True)
class ChangedTable:
    """The rows of one table that are changed together: ``count``, of which some are shown."""

    title: str
    count: int
    rows: list[HistoryRow]
    more_text: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewStatement:
    """A statement that writes, with how many sets of values it ran, and the first of these."""

    sql: str
    count: int
    values: list[tuple[str, Markup]] = field(default_factory=list)


@dataclass(slots=True)
class ReviewPage:
    """``admin/review.html``: what a write would do, and the form of it to be sent again.

    ``files`` are the names of file fields, each with the names of what was chosen: no page can
    keep a file, so it is chosen again.
    """

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    sentence: str
    notes: list[str]
    footnote: str
    tables: list[ChangedTable]
    statements: list[ReviewStatement]
    action_url: str
    hidden: list[tuple[str, str]]
    files: list[tuple[str, list[str]]]
    can_go_back: bool
    can_submit: bool
    is_danger: bool
    cancel_url: str
    reason: ReasonField | None = None
    """Where a change is explained that has no form of its own."""


@dataclass(slots=True)
class ChangeSetPage:
    """``admin/history/change_set.html``"""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    facts: list[tuple[str, Any]]
    rows: list[HistoryRow]
    more_text: str | None = None
    undo_url: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One change in the history of a row."""

    when: Markup
    who: str
    by: str
    reason: str | None
    url: str
    undo_url: str
    row: HistoryRow
    at_url: str
    """The whole row as this change left it, or found it where it deleted it."""


@dataclass(slots=True)
class RowHistoryPage:
    """``admin/history/row.html``"""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    is_gone: bool
    changes: list[HistoryEntry]
    older_url: str | None
    at_url: str
    """Where the row is shown as it was ``at`` some moment."""
    at_hidden: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ValueThen:
    """What a column held at some time, None where that is not known.

    Where ``is_different``, ``now`` is what it holds now, and ``both`` a long text with the
    differences marked in it. ``is_unsure`` where the history may have missed something.
    """

    label: str
    value: Markup | None
    now: Markup | None
    both: Markup | None
    is_different: bool
    is_unsure: bool


@dataclass(slots=True)
class RowAtPage:
    """``admin/history/row_at.html``; ``restore_url`` takes a POST with ``_review``."""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    sentence: Markup
    notes: list[str]
    columns: list[ValueThen]
    is_gone: bool
    differs: bool
    restore_url: str | None
    history_url: str
    older_url: str | None
    newer_url: str | None
    at_url: str
    at_hidden: list[tuple[str, str]]


@dataclass(slots=True)
class UndoPage:
    """``admin/history/undo.html``; ``counts`` are the rows by what an undo would find."""

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    tables: list[ChangedTable]
    counts: Mapping[str, int]
    action_url: str
    cancel_url: str
    can_submit: bool = True
    reason: ReasonField | None = None
