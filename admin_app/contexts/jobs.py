"""What the pages of jobs are handed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from admin_app.pages import Crumb


@dataclass(frozen=True, slots=True)
class FailedRow:
    """A row that a job could not do, and why; ``url`` leads to it, where it can be reached."""

    text: str
    sentence: str
    url: str | None = None


@dataclass(slots=True)
class JobPage:
    """``admin/jobs/job.html``: how far a job has come, what went wrong, and what can be done.

    ``state`` is queued, running, paused, done, cancelled or stopped, ``state_text`` that in words.
    ``share`` is what part of the rows is over, 0 to 1; None while that is not known.
    """

    title: str
    heading: str
    breadcrumbs: list[Crumb]
    state: str
    state_text: str
    tone: str
    share: float | None
    progress_text: str
    facts: list[tuple[str, Any]]
    action_url: str
    state_url: str
    note: str | None = None
    """Why it stopped, or waits."""
    left_text: str | None = None
    """About how long it will go on."""
    buttons: list[tuple[str, str]] = field(default_factory=list)
    """What a POST to ``action_url`` may ask for as ``do``, and the text of its button."""
    failures: list[FailedRow] = field(default_factory=list)
    failures_text: str = ""
    more_text: str | None = None
    failures_url: str | None = None
    """All failures as a CSV file."""
    list_url: str | None = None
    """The rows that failed, as a list of their model."""
    undo_url: str | None = None
    refresh_seconds: int | None = None
    """After how long the page asks anew, while something goes on."""
