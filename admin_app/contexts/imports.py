"""What the pages of an import are handed."""

from __future__ import annotations

from dataclasses import dataclass, field

from admin_app.pages import Crumb


@dataclass(slots=True)
class ImportPage:
    """``admin/model/import.html``: the file is chosen, or cells are pasted."""

    title: str
    heading: str
    sentence: str
    breadcrumbs: list[Crumb]
    action_url: str
    cancel_url: str
    limit_text: str
    accept: str
    pasted: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ImportColumn:
    """A column of the file: ``options`` are groups of a title and of pairs of value and words."""

    name: str
    label: str
    examples: str
    options: list[tuple[str | None, list[tuple[str, str]]]]
    chosen: str


@dataclass(frozen=True, slots=True)
class ImportChoice:
    """A question with pairs of value and words to choose from."""

    name: str
    label: str
    options: list[tuple[str, str]]
    chosen: str


@dataclass(slots=True)
class ImportColumnsPage:
    """``admin/model/import_columns.html``: which column of the file goes where."""

    title: str
    heading: str
    sentence: str
    breadcrumbs: list[Crumb]
    action_url: str
    cancel_url: str
    columns: list[ImportColumn]
    choices: list[ImportChoice]
    file_choices: list[ImportChoice]
    """How the file is written, to be corrected."""
    has_header: bool | None
    """Whether its first row names the columns; None where that is no question."""
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    can_check: bool = True


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A row that is changed; ``values`` are a label, and what was and what will be."""

    number: int
    text: str
    values: list[tuple[str, str | None, str | None]]


@dataclass(slots=True)
class ImportCheckPage:
    """``admin/model/import_check.html``: what an import would do, or has done."""

    title: str
    heading: str
    sentence: str
    breadcrumbs: list[Crumb]
    action_url: str
    columns_url: str
    cancel_url: str
    counts: list[tuple[str, str]]
    """A tone, and a number with what it counts."""
    refused: list[tuple[int, str, str, str]]
    """The number of a row, its column, what stands there, and what is wrong."""
    changed: list[ImportedRow]
    created: list[tuple[int, list[str | None]]]
    """The number of a row, and its values under ``created_labels``."""
    created_labels: list[str]
    refused_more: str | None = None
    changed_more: str | None = None
    created_more: str | None = None
    rejected_url: str | None = None
    submits: list[tuple[str, str]] = field(default_factory=list)
    """Values and words of the buttons that import."""
    notes: list[str] = field(default_factory=list)
    is_done: bool = False
    again_url: str | None = None
    """This page, where a job is importing and more will be known."""
    job_url: str | None = None
    token: str = ""
