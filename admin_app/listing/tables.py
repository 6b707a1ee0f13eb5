"""What a database knows of its tables: how large they are, and which indexes they really have.

The models may not tell: an index on an expression, or with operators of its own, is often made by
a migration alone. PostgreSQL is asked, once in some minutes for all tables of the metadata in one
statement; of other databases only what the mapping tells is known. All of it is advice on how to
ask and what to say, never on what to show.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app.listing.indexes import Facts, IndexKey, TableFacts

SECONDS, MISSING_SECONDS = 300.0, 60.0
"""What was found holds for so long, and that a table was not there."""

MOST = 500
"""Tables that are asked about at once, some 50 ms; those that are needed come first."""

_BYTES_OF_A_ROW = 100
"""What a row is taken to be long in a table that was never analysed."""


@dataclass(frozen=True, slots=True)
class Table:
    """What is known of one table.

    ``rows`` is about how many it has, by its size and what it was when last analysed; None when
    that is not known. ``bytes`` is its size without indexes, where it has one of its own.
    ``indexes`` are the columns of each index that can give an order, by name. ``references`` are
    the columns of each foreign key that the database has checked, with the table it leads to.
    ``distinct`` tells of a column how many values it has; negative as a part of the rows.
    ``facts`` is what a search wants to know. ``is_there`` is false where PostgreSQL has no such
    table.
    """

    rows: int | None = None
    bytes: int | None = None
    indexes: tuple[tuple[str | None, ...], ...] = ()
    references: frozenset[tuple[tuple[str, ...], str]] = frozenset()
    distinct: tuple[tuple[str, float], ...] = ()
    facts: TableFacts = TableFacts()
    is_there: bool = True

    def leads(self, *names: str) -> bool:
        """Whether an index begins with the columns ``names``, in this order."""
        return any(index[: len(names)] == names for index in self.indexes)


def known(
    connection: sa.Connection, table: sa.FromClause, others: Iterable[sa.FromClause] = ()
) -> Table:
    """What is known of ``table`` in the database of ``connection``; one statement, or none.

    ``others``, and all tables of their metadata, are asked about in the same statement.
    """
    if not isinstance(table, sa.Table):
        return Table()
    return _all_known(connection.engine, lambda: connection, [table], others)[table]


def indexed(
    session: orm.Session | orm.scoped_session[Any],
    mapper: orm.Mapper[Any],
    wanted: Iterable[sa.Table],
) -> Facts | None:
    """The indexes of the tables ``wanted``; None where the database is not PostgreSQL.

    At most one statement, in the transaction of ``session``; ``mapper`` tells which database.
    """
    bind = session.get_bind(mapper=mapper)
    if bind.dialect.name != "postgresql":
        return None
    arguments = {"mapper": mapper}
    found = _all_known(bind.engine, lambda: session.connection(bind_arguments=arguments), wanted)
    return {table: about.facts for table, about in found.items()}


def remembered(engine: sa.Engine, table: sa.FromClause) -> Table:
    """What is known of ``table`` without a statement."""
    return _known.get(engine, {}).get(getattr(table, "key", ""), (0.0, Table()))[1]


def forget(engine: sa.Engine) -> None:
    """Ask anew: tables have grown, or indexes were made or dropped."""
    _known.pop(engine, None)


_known: weakref.WeakKeyDictionary[sa.Engine, dict[str, tuple[float, Table]]]
_known = weakref.WeakKeyDictionary()


def _all_known(
    engine: sa.Engine,
    connect: Callable[[], sa.Connection],
    wanted: Iterable[sa.Table],
    others: Iterable[sa.FromClause] = (),
) -> dict[sa.Table, Table]:
    found, now = _known.setdefault(engine, {}), time.monotonic()
    wanted = list(wanted)
    stale = [table for table in wanted if table.key not in found or found[table.key][0] < now]
    if stale:
        is_postgresql = engine.dialect.name == "postgresql"
        asked = (
            _asked(connect(), stale, others) if is_postgresql else {t: declared(t) for t in stale}
        )
        for table, about in asked.items():
            found[table.key] = (now + (SECONDS if about.is_there else MISSING_SECONDS), about)
    return {table: found[table.key][1] for table in wanted}


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


def _asked(
    connection: sa.Connection, tables: Sequence[sa.Table], others: Iterable[sa.FromClause]
) -> dict[sa.Table, Table]:
    """What the catalog tells of ``tables``, and of those beside them, which will be wanted next."""
    near = [*tables, *(other for other in others if isinstance(other, sa.Table))]
    metadata = dict.fromkeys(table.metadata for table in near)
    beside = (table for one in metadata for table in one.tables.values())
    asked = list(dict.fromkeys([*near, *beside]))[: max(MOST, len(tables))]
    name_of = connection.dialect.identifier_preparer.format_table
    by_name = {name_of(table): table for table in asked}
    found = {table: replace(declared(table), is_there=False) for table in asked}
    for row in connection.execute(_FACTS, {"names": list(by_name)}):
        keys = tuple(IndexKey(*key) for keys in row.keys_ or () for key in keys)
        # A table that was just dropped has no size.
        rows = max(0, int(row.rows or 0))
        guess = rows or (row.bytes or 0) // _BYTES_OF_A_ROW
        found[by_name[row.name]] = Table(
            rows=rows or None,
            bytes=row.bytes,
            indexes=tuple(tuple(columns) for columns in row.orders or ()),
            references=frozenset(
                (tuple(columns or ()), target) for columns, target in row.refs or ()
            ),
            distinct=tuple((row.distinct_ or {}).items()),
            facts=TableFacts(keys, guess),
        )
    return found


# What gives an order is a B-tree that is ready, not partial, and in the collation and order that
# ORDER BY uses by default; a search has use for others, too.
_FACTS = sa.text("""SELECT t.name,
  CASE WHEN c.relkind = 'r' AND c.reltuples > 0 AND c.relpages > 0
       THEN c.reltuples / c.relpages
            * (pg_relation_size(c.oid) / current_setting('block_size')::int)
       ELSE c.reltuples END AS rows,
  CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) END AS bytes,
  i.keys AS keys_, i.orders, f.refs, d.distinct AS distinct_
FROM unnest(CAST(:names AS text[])) AS t(name)
JOIN pg_class c ON c.oid = to_regclass(t.name)
LEFT JOIN LATERAL (
  SELECT json_agg(one.keys) AS keys, json_agg(one.names) FILTER (WHERE one.gives_order) AS orders
  FROM (
    SELECT json_agg(json_build_array(
             pg_get_indexdef(i.indexrelid, k.at, true), m.amname, o.opcname, k.at,
             coalesce(CASE s.collname WHEN 'default' THEN db.datcollate IN ('C', 'POSIX')
                                      ELSE s.collname IN ('C', 'POSIX', 'ucs_basic') END, false)
           ) ORDER BY k.at) AS keys,
           json_agg(a.attname ORDER BY k.at) AS names,
           m.amname = 'btree' AND bool_or(k.at = 1 AND o.opcdefault
             AND i.indcollation[0] IN (0, coalesce(a.attcollation, 0))) AS gives_order
    FROM pg_index i
    JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_am m ON m.oid = x.relam
    JOIN pg_database db ON db.datname = current_database()
    CROSS JOIN LATERAL generate_series(1, i.indnkeyatts) AS k(at)
    JOIN pg_opclass o ON o.oid = i.indclass[k.at - 1]
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.at - 1]
    LEFT JOIN pg_collation s ON s.oid = i.indcollation[k.at - 1]
    WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
    GROUP BY i.indexrelid, m.amname
  ) AS one
) AS i ON true
LEFT JOIN LATERAL (
  SELECT json_agg(json_build_array(
     (SELECT json_agg(a.attname ORDER BY k.at)
      FROM unnest(x.conkey) WITH ORDINALITY AS k(number, at)
      JOIN pg_attribute a ON a.attrelid = x.conrelid AND a.attnum = k.number
      WHERE a.attnotnull), r.relname)) AS refs
  FROM pg_constraint x JOIN pg_class r ON r.oid = x.confrelid
  WHERE x.conrelid = c.oid AND x.contype = 'f' AND x.convalidated
) AS f ON true
LEFT JOIN LATERAL (
  SELECT json_object_agg(s.attname, s.n_distinct) AS distinct
  FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname
  WHERE n.oid = c.relnamespace AND s.tablename = c.relname AND NOT s.inherited
) AS d ON true
""")
