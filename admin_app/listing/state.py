"""What one URL asks of a list, and what comes back: plain values without a statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from admin_app.filters import EVERYTHING, Group

COUNT_LIMIT = 10_000
"""Rows are counted up to here; beyond, a count is said to be «10,000+»."""


@dataclass(frozen=True, slots=True)
class Order:
    """One key to order by, a name in `Listing.sortable`.

    ``nulls`` says where rows without a value stand; None leaves it to the database.
    """

    key: str
    descending: bool = False
    nulls: Literal["first", "last"] | None = None

    def __str__(self) -> str:
        nulls = "" if self.nulls is None else f":nulls_{self.nulls}"
        return ("-" if self.descending else "") + self.key + nulls


@dataclass(frozen=True, slots=True)
class Chosen:
    """One column that a visitor chose; ``width`` in pixels, or None for what its values need."""

    name: str
    width: int | None = None

    def __str__(self) -> str:
        return self.name if self.width is None else f"{self.name}:{self.width}"


@dataclass(frozen=True, slots=True)
class Total:
    """One figure under a column: its ``sum``, ``avg``, ``min`` or ``max``."""

    name: str
    function: str

    def __str__(self) -> str:
        return f"{self.name}:{self.function}"


@dataclass(frozen=True, slots=True)
class ListState:
    """What one URL asks of a listing.

    Of the ways to name a page one is used: ``after`` or ``before`` a row, by the values that the
    list is ordered by (`Page.first`, `Page.last`); the last one (``is_last``); ``at`` a value of
    the first key of the order; the number ``page``, from 0. ``is_counted`` asks for the exact
    number of rows, whatever it takes. Rows that share a value of ``group`` stand together.

    ``notes`` are sentences about arguments that meant nothing and were set aside; ``refused`` are
    those of them that are about filters, without which there are more rows than were asked for.
    """

    search: str = ""
    order: tuple[Order, ...] = ()
    page: int = 0
    page_size: int = 50
    after: str | None = None
    before: str | None = None
    at: str | None = None
    is_last: bool = False
    is_counted: bool = False
    columns: tuple[Chosen, ...] = ()
    group: Order | None = None
    totals: tuple[Total, ...] = ()
    filters: Group = EVERYTHING
    refused: tuple[str, ...] = ()
    facets: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows there are.

    When ``is_exact`` is false, there are at least so many, or, with ``is_estimate``, about so many.
    """

    number: int
    is_exact: bool = True
    is_estimate: bool = False

    def __str__(self) -> str:
        if self.is_estimate:
            return "≈ " + _rounded(self.number)
        return f"{self.number:,}" + ("" if self.is_exact else "+")


def _rounded(number: int) -> str:
    """A number of which the first digits alone mean something."""
    for unit, word in ((10**9, " billion"), (10**6, " million")):
        if number >= unit:
            text = f"{number / unit:.1f}" if number < 100 * unit else f"{number / unit:.0f}"
            return text.removesuffix(".0") + word
    digits = max(0, len(str(number)) - 3)
    return f"{round(number, -digits):,}"


@dataclass(frozen=True, slots=True)
class ListedRow:
    """One row: the instance, and what was computed beside it, by column name."""

    instance: Any
    extras: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page; ``count`` is None when it was not asked for.

    ``total`` is how many there are without search and filters, where these leave some out and it
    is cheap to say.

    ``first`` and ``last`` name the first and the last row for ``before`` and ``after`` of the
    pages around; they are None where the order cannot be followed that way, and a page has to be
    found by its number. ``slow`` are the names of keys that no index gives the order of, where
    that matters. ``by`` is the type of the first key, where the list can go to a value of it.
    ``notes`` are sentences about arguments that meant nothing to the database. ``is_stopped`` says
    that there may be rows, which took the database too long to find.
    """

    rows: list[ListedRow]
    has_next: bool
    count: Count | None
    has_previous: bool = False
    first: str | None = None
    last: str | None = None
    slow: frozenset[str] = frozenset()
    by: Any = None
    notes: tuple[str, ...] = ()
    total: Count | None = None
    is_stopped: bool = False
