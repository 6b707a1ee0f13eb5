"""What an index of PostgreSQL is good for, as `tables` finds it in the catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PATTERN_OPERATORS = {"text_pattern_ops", "varchar_pattern_ops", "bpchar_pattern_ops"}
_TRIGRAM_OPERATORS = {"gin_trgm_ops", "gist_trgm_ops"}


@dataclass(frozen=True, slots=True)
class IndexKey:
    """One key of an index: a column or an expression, as PostgreSQL writes it.

    ``position`` counts from 1; only the first key of a B-tree leads anywhere by itself.
    ``is_bytewise`` is whether the key is sorted by its bytes, whatever the language.
    """

    expression: str
    method: str
    operators: str
    position: int
    is_bytewise: bool = False

    @property
    def column(self) -> str | None:
        """The column that the key is made of: itself, cast to text, or under `function`."""
        match = _COLUMN.fullmatch(self.expression)
        return match and _unquoted(match["column"])

    @property
    def function(self) -> str | None:
        """``lower`` or ``upper``, where the key is that of a column."""
        match = _COLUMN.fullmatch(self.expression)
        return match and match["function"]

    @property
    def finds_equal(self) -> bool:
        """Whether it leads to the rows with one value."""
        return self.method in ("btree", "hash") and self.position == 1

    @property
    def finds_prefixes(self) -> bool:
        """Whether it leads to the rows whose text begins in one way."""
        is_sorted = self.method == "btree" and self.position == 1
        return is_sorted and (self.is_bytewise or self.operators in _PATTERN_OPERATORS)

    @property
    def finds_parts(self) -> bool:
        """Whether it leads to the rows whose text holds three characters anywhere."""
        return self.operators in _TRIGRAM_OPERATORS

    @property
    def finds_words(self) -> bool:
        """Whether it is a full-text index."""
        return self.method in ("gin", "gist") and self.operators == "tsvector_ops"


@dataclass(frozen=True, slots=True)
class TableFacts:
    """The keys of the complete indexes of one table, and about how many rows it has."""

    keys: tuple[IndexKey, ...] = ()
    rows: int = 0

    def of(self, column: str) -> list[IndexKey]:
        """The keys that are made of ``column`` alone."""
        return [key for key in self.keys if key.column == column]


Facts = Mapping[Any, TableFacts]
"""What is known of each table."""

_COLUMN = re.compile(
    r"(?:(?P<function>lower|upper)\()?\(?"
    r'(?P<column>"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
    r"\)?(?:::(?:text|character varying|bpchar))?\)?"
)


def _unquoted(identifier: str) -> str:
    if identifier.startswith('"'):
        return identifier[1:-1].replace('""', '"')
    return identifier
