"""Which indexes the tables of a PostgreSQL database really have, and how large they are.

The models may not tell: an index on an expression, or with operators of its own, is often made by
a migration alone. The catalog is asked once in `FRESH_SECONDS` for each table, for all that a
statement needs together, and never on another database.
"""

from __future__ import annotations

import re
import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

FRESH_SECONDS = 300
"""How long an answer of the catalog is believed."""

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

_CATALOG = sa.text(
    """
    SELECT t.name,
           CASE WHEN c.reltuples > 0 THEN c.reltuples
                WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) / 100
                ELSE 0 END AS rows,
           k.expression, k.method, k.operators, k.position, k.is_bytewise
    FROM unnest(CAST(:names AS text[])) AS t(name)
    JOIN pg_class c ON c.oid = to_regclass(t.name)
    LEFT JOIN LATERAL (
        SELECT pg_get_indexdef(i.indexrelid, n.n, true) AS expression,
               a.amname AS method, o.opcname AS operators, n.n AS position,
               coalesce(
                   CASE s.collname
                       WHEN 'default' THEN d.datcollate IN ('C', 'POSIX')
                       ELSE s.collname IN ('C', 'POSIX', 'ucs_basic')
                   END, false) AS is_bytewise
        FROM pg_index i
        JOIN pg_class x ON x.oid = i.indexrelid
        JOIN pg_am a ON a.oid = x.relam
        JOIN pg_database d ON d.datname = current_database()
        CROSS JOIN LATERAL generate_series(1, i.indnkeyatts) AS n(n)
        JOIN pg_opclass o ON o.oid = i.indclass[n.n - 1]
        LEFT JOIN pg_collation s ON s.oid = i.indcollation[n.n - 1]
        WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
    ) AS k ON true
    """
)

_known: weakref.WeakKeyDictionary[sa.Engine, dict[str, tuple[float, TableFacts]]] = (
    weakref.WeakKeyDictionary()
)


def of(
    session: orm.Session | orm.scoped_session[Any],
    mapper: orm.Mapper[Any],
    tables: Iterable[sa.Table],
) -> Facts | None:
    """What the database of ``mapper`` tells of ``tables``; None where it is not PostgreSQL.

    At most one statement, in the transaction of ``session``.
    """
    bind = session.get_bind(mapper=mapper)
    if bind.dialect.name != "postgresql":
        return None
    known = _known.setdefault(bind.engine, {})
    now = time.monotonic()
    names = {bind.dialect.identifier_preparer.format_table(t): t for t in tables}
    stale = [n for n in names if n not in known or known[n][0] < now]
    if stale:
        connection = session.connection(bind_arguments={"mapper": mapper})
        known.update({n: (now + FRESH_SECONDS, f) for n, f in _read(connection, stale).items()})
    return {table: known[name][1] for name, table in names.items()}


def forget(engine: sa.Engine) -> None:
    """Ask the catalog anew: indexes were made or dropped."""
    _known.pop(engine, None)


def _read(connection: sa.Connection, names: list[str]) -> dict[str, TableFacts]:
    keys: dict[str, list[IndexKey]] = {name: [] for name in names}
    rows = dict.fromkeys(names, 0)
    for name, count, *key in connection.execute(_CATALOG, {"names": names}):
        rows[name] = int(count)
        if key[0] is not None:
            keys[name].append(IndexKey(*key))
    return {name: TableFacts(tuple(keys[name]), rows[name]) for name in names}


def _unquoted(identifier: str) -> str:
    if identifier.startswith('"'):
        return identifier[1:-1].replace('""', '"')
    return identifier
