"""What pages of several kinds have in them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """Words that may lead somewhere."""

    text: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class ReasonField:
    """The field in which a change is explained, drawn by ``ui.reason`` and ``ui.short_reason``."""

    name: str
    is_required: bool
    text: str = ""
    error: str | None = None
