"""What one URL asks of a list, and what comes back: plain values without a statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COUNT_LIMIT = 10_000
"""Rows are counted up to here; beyond, a count is said to be «10,000+»."""


@dataclass(frozen=True, slots=True)
class Order:
    """One key to order by, a name in `Listing.sortable`."""

    key: str
    descending: bool = False

    def __str__(self) -> str:
        return "-" + self.key if self.descending else self.key


@dataclass(frozen=True, slots=True)
class ListState:
    """What one URL asks of a listing; pages are numbered from 0.

    ``notes`` are sentences about arguments that meant nothing and were set aside.
    """

    search: str = ""
    order: tuple[Order, ...] = ()
    page: int = 0
    page_size: int = 50
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows there are, or, when ``is_exact`` is false, at least are."""

    number: int
    is_exact: bool = True

    def __str__(self) -> str:
        return f"{self.number:,}" + ("" if self.is_exact else "+")


@dataclass(frozen=True, slots=True)
class ListedRow:
    """One row: the instance, and what was computed beside it, by column name."""

    instance: Any
    extras: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page; ``count`` is None when it was not asked for."""

    rows: list[ListedRow]
    has_next: bool
    count: Count | None
