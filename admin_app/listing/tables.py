"""What a database knows of a table: how large it is, and which of its columns are indexed.

PostgreSQL is asked, at most once in some minutes for each table; of other databases only what the
mapping tells is known. All of it is advice on how to ask and what to say, never on what to show.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

SECONDS = 300.0
"""What was found holds for so long."""


@dataclass(frozen=True, slots=True)
class Table:
    """What is known of one table.

    ``rows`` is about how many it has, by its size and what it was when last analysed; None when
    that is not known.
    ``indexes`` are the columns of each index that can give an order, by name. ``references`` are
    the columns of each foreign key that the database has checked, with the table it leads to.
    ``distinct`` tells of a column how many values it has; negative as a part of the rows.
    """

    rows: int | None = None
    indexes: tuple[tuple[str | None, ...], ...] = ()
    references: frozenset[tuple[tuple[str, ...], str]] = frozenset()
    distinct: tuple[tuple[str, float], ...] = ()

    def leads(self, *names: str) -> bool:
        """Whether an index begins with the columns ``names``, in this order."""
        return any(index[: len(names)] == names for index in self.indexes)


def known(connection: sa.Connection, table: sa.FromClause) -> Table:
    """What is known of ``table`` in the database of ``connection``; one statement, or none."""
    if not isinstance(table, sa.Table):
        return Table()
    found = _known.setdefault(connection.engine, {})
    asked, facts = found.get(table.key, (0.0, None))
    if facts is None or time.monotonic() - asked > SECONDS:
        is_postgresql = connection.dialect.name == "postgresql"
        facts = _asked(connection, table) if is_postgresql else declared(table)
        found[table.key] = (time.monotonic(), facts)
    return facts


_known: weakref.WeakKeyDictionary[sa.Engine, dict[str, tuple[float, Table]]]
_known = weakref.WeakKeyDictionary()


def forget(engine: sa.Engine) -> None:
    """Ask anew: tables have grown, or indexes were made or dropped."""
    _known.pop(engine, None)


def declared(table: sa.Table) -> Table:
    """What the mapping, or a reflection, says of ``table``."""
    return Table(indexes=tuple(_declared_indexes(table)))


def _declared_indexes(table: sa.Table) -> Iterator[tuple[str | None, ...]]:
    for rule in (table.primary_key, *table.constraints):
        if isinstance(rule, sa.PrimaryKeyConstraint | sa.UniqueConstraint) and rule.columns:
            yield tuple(c.name for c in rule.columns)
    for index in table.indexes:
        options = [index.dialect_options[name] for name in ("postgresql", "sqlite")]
        if all(option.get("where") is None for option in options):
            yield tuple(getattr(e, "name", None) for e in index.expressions)


def _asked(connection: sa.Connection, table: sa.Table) -> Table:
    name = connection.dialect.identifier_preparer.format_table(table)
    row = connection.execute(_FACTS, {"name": name}).one_or_none()
    if row is None:
        return declared(table)
    return Table(
        rows=int(row.rows) if row.rows > 0 else None,
        indexes=tuple(tuple(columns) for columns in row.indexes or ()),
        references=frozenset((tuple(columns or ()), target) for columns, target in row.refs or ()),
        distinct=tuple((row.distinct or {}).items()),
    )


# Only what can give an order over the whole table: B-trees that are ready, not partial, and in the
# collation and order that ORDER BY uses by default.
_FACTS = sa.text("""
SELECT CASE WHEN c.relkind = 'r' AND c.reltuples > 0 AND c.relpages > 0
            THEN c.reltuples / c.relpages
                 * (pg_relation_size(c.oid) / current_setting('block_size')::int)
            ELSE c.reltuples END AS rows,
  (SELECT json_agg(names) FROM (
     SELECT (SELECT json_agg(a.attname ORDER BY k.at)
             FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, at)
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
             WHERE k.at <= i.indnkeyatts) AS names
     FROM pg_index i
     JOIN pg_class ic ON ic.oid = i.indexrelid
     JOIN pg_am am ON am.oid = ic.relam AND am.amname = 'btree'
     JOIN pg_opclass op ON op.oid = i.indclass[0] AND op.opcdefault
     LEFT JOIN pg_attribute f ON f.attrelid = i.indrelid AND f.attnum = i.indkey[0]
     WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
       AND i.indcollation[0] IN (0, coalesce(f.attcollation, 0))
   ) AS found) AS indexes,
  (SELECT json_agg(json_build_array(
     (SELECT json_agg(a.attname ORDER BY k.at)
      FROM unnest(x.conkey) WITH ORDINALITY AS k(number, at)
      JOIN pg_attribute a ON a.attrelid = x.conrelid AND a.attnum = k.number
      WHERE a.attnotnull), t.relname))
   FROM pg_constraint x JOIN pg_class t ON t.oid = x.confrelid
   WHERE x.conrelid = c.oid AND x.contype = 'f' AND x.convalidated) AS refs,
  (SELECT json_object_agg(s.attname, s.n_distinct) FROM pg_stats s
   JOIN pg_namespace n ON n.nspname = s.schemaname
   WHERE n.oid = c.relnamespace AND s.tablename = c.relname AND NOT s.inherited) AS distinct
FROM pg_class c WHERE c.oid = to_regclass(:name)
""")
