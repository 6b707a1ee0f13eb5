"""A plan in words, and the index that would make it shorter."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.sql import elements, operators

from admin_app.database import Plan, PlanNode
from admin_app.listing.tables import Table

LARGE = 10_000
"""Rows from which on an index is worth its room."""

_PAGE = 50
"""Rows for which an order is followed; past how many of the table depends on how many match."""

SELECTIVE = 0.1
"""The part of a table that a filter may leave for an index to be the shorter way."""

RowsOf = Callable[[str], int | None]
"""About how many rows the table of a name has; None where that is not known."""

_SORTS = ("Sort", "USE TEMP B-TREE FOR ORDER BY")


def sentences(plan: Plan, tables: Iterable[str], rows_of: RowsOf) -> list[str]:
    """What the database means to do, step by step, the first one first.

    ``tables`` are the names of those that a step may be about; others are parts of the statement.
    """
    names = set(tables)
    found: list[str] = []
    for position in _in_order(plan.nodes):
        node = plan.nodes[position]
        if node.table is not None:
            name = _table(node.table, names)
            if name is not None:
                node = dataclasses.replace(node, table=name)
                found.append(_reading(node, _limit_over(plan, position), rows_of))
        elif node.kind == "Bitmap Index Scan":
            found.append(f"Looks up the index {node.index}.")
        elif node.kind in _SORTS:
            rows = None if _is_shared(plan, position) else node.rows
            found.append(f"Sorts what it has found{_about(rows)}{_by(node)}.")
        elif node.kind == "Incremental Sort":
            found.append(f"Sorts those that have the same beginning of the order{_by(node)}.")
        elif node.kind in ("Aggregate", "HashAggregate", "GroupAggregate"):
            found.append("Counts what it has found.")
    return list(dict.fromkeys(found))


def _in_order(nodes: Sequence[PlanNode]) -> Iterator[int]:
    """The positions of ``nodes`` as they are run: PostgreSQL writes a tree from above."""
    if any(node.rows is None for node in nodes):
        yield from range(len(nodes))
        return
    waiting: list[int] = []
    for position, node in enumerate(nodes):
        while waiting and nodes[waiting[-1]].level >= node.level:
            yield waiting.pop()
        waiting.append(position)
    yield from reversed(waiting)


def _table(name: str, names: set[str]) -> str | None:
    """The table that ``name`` is, or is an alias of."""
    if name in names:
        return name
    base = re.sub(r"_[0-9]+$", "", name)
    return base if base in names else None


def _reading(node: PlanNode, limit: int | None, rows_of: RowsOf) -> str:
    table = node.table or ""
    if node.is_scan:
        total = rows_of(table)
        known = f" of {_number(total)} rows" if total else ""
        if limit is not None and not node.condition:
            return (
                f"Reads the table {table}{known} from its beginning, and stops after {limit} rows."
            )
        kept = " and leaves out what does not match" if node.condition else ""
        until = f", until {limit} rows are found" if limit is not None else ""
        return f"Reads the whole table {table}{known}{kept}{until}."
    if node.kind == "Bitmap Heap Scan":
        return f"Fetches from {table} the rows that the index names{_about(node.rows)}."
    index = f"the index {node.index}" if node.index else "the primary key"
    if node.is_inner:
        return f"Looks up {table} by {index} for each row that was found before."
    if node.is_lookup:
        return f"Looks up rows of {table} by {index}{_stop(limit) or _about(node.rows)}."
    way = " backwards" if node.is_backward else ""
    if node.condition:
        until = f", until {limit} rows are found" if limit is not None else ""
        return f"Reads {index}{way} and leaves out what does not match{until}."
    return f"Reads {index}{way}{_stop(limit) or _about(node.rows)}."


def _limit_over(plan: Plan, position: int) -> int | None:
    """After how many rows the step at ``position`` may stop, where a limit ends it early."""
    node = plan.nodes[position]
    level = node.level
    for above in reversed(plan.nodes[:position]):
        if above.level >= level:
            continue
        level = above.level
        if above.kind == "Limit":
            return above.rows
        if above.kind not in _PASSING:
            return None
    return None


def _is_shared(plan: Plan, position: int) -> bool:
    """Whether several processes do the step at ``position``, each with a part of the rows."""
    level = plan.nodes[position].level
    for above in reversed(plan.nodes[:position]):
        if above.level < level:
            level = above.level
            if above.kind in ("Gather", "Gather Merge"):
                return True
    return False


_PASSING = {
    "Nested Loop",
    "Incremental Sort",
    "Gather",
    "Append",
    "Result",
    "Subquery Scan",
    "Memoize",
}


def _stop(limit: int | None) -> str:
    return "" if limit is None else f" and stops after {limit} rows"


def _about(rows: int | None) -> str:
    return "" if rows is None else f", about {_number(rows)} rows" if rows != 1 else ", 1 row"


def _by(node: PlanNode) -> str:
    if any(key.startswith("page.") for key in node.order):
        return ""
    names = [re.sub(r"\b\w+\.(?=[\w\"])", "", key) for key in node.order]
    return f" by {', '.join(names)}" if names else ""


def _number(rows: int) -> str:
    for unit, word in ((10**9, " billion"), (10**6, " million")):
        if rows >= unit:
            return f"{rows / unit:.1f}".removesuffix(".0") + word
    return f"{rows:,}"


# The index that is missing


@dataclass(frozen=True, slots=True)
class Advice:
    """An index that would help: why, and the Alembic operation that makes it."""

    reason: str
    code: str


def advice(
    mapper: orm.Mapper[Any],
    statement: sa.Select[Any],
    plan: Plan,
    facts: Table,
    dialect: str,
) -> Advice | None:
    """The index that would spare ``statement`` what ``plan`` does; None where none would.

    One is advised where a large table is read whole for few of its rows, or sorted for a page.
    """
    table = mapper.local_table
    if not isinstance(table, sa.Table):
        return None
    total = facts.rows or 0
    scan = next((n for n in plan.nodes if n.table == table.name and _leaves_out(n)), None)
    if total < LARGE:
        return None
    equal, ranges = _filtered(table, statement)
    order = _ordered(table, statement)
    is_sorted = any(n.kind in _SORTS and (n.rows or 0) >= LARGE for n in plan.nodes)
    found = scan.rows if scan is not None else None
    is_selective = scan is not None and (found is None or found < SELECTIVE * total)
    if is_selective and scan is not None and (equal or ranges):
        is_short = found is not None and found * found < _PAGE * total
        by_range = bool(ranges) and not equal and (is_short or not order)
        keys = ranges[:1] if by_range else [*equal, *(_keys(order) or ranges[:1])]
        reason = f"The whole table is read for {_few(found)} of its {_number(total)} rows."
    elif is_sorted and order:
        keys = [*equal, *_keys(order)]
        reason = f"Rows are sorted for each page, out of {_number(total)}."
    else:
        return None
    names = [name for name, _ in keys]
    keys = [key for n, key in enumerate(keys) if key[0] not in names[:n]]
    if facts.leads(*(name for name, _ in keys)):
        return None
    return Advice(reason, _operation(table, keys, dialect))


def _leaves_out(node: PlanNode) -> bool:
    """Whether a step looks at all rows, in whatever order, for those that match."""
    return node.is_scan or (node.index is not None and not node.is_lookup and bool(node.condition))


Key = tuple[str, bool]
"""The name of a column, and whether it is descending."""


def _few(rows: int | None) -> str:
    return "some" if rows is None else f"about {_number(rows)}"


def _filtered(table: sa.Table, statement: sa.Select[Any]) -> tuple[list[Key], list[Key]]:
    """The columns of ``table`` that have to equal something, and those compared otherwise."""
    equal: list[Key] = []
    ranges: list[Key] = []
    for part in _conjuncts(statement.whereclause):
        if not isinstance(part, elements.BinaryExpression):
            continue
        column = part.left
        if not isinstance(column, sa.Column) or column.table is not table:
            continue
        if part.operator in (operators.eq, operators.in_op, operators.is_):
            equal.append((column.name, False))
        elif part.operator in (operators.lt, operators.le, operators.gt, operators.ge):
            ranges.append((column.name, False))
    return equal, ranges


def _conjuncts(clause: Any) -> Iterator[Any]:
    if isinstance(clause, elements.Grouping):
        yield from _conjuncts(clause.element)
    elif isinstance(clause, elements.BooleanClauseList) and clause.operator is operators.and_:
        for part in clause.clauses:
            yield from _conjuncts(part)
    elif clause is not None:
        yield clause


def _ordered(table: sa.Table, statement: sa.Select[Any]) -> list[Key]:
    """The columns that the statement is ordered by; none where one of them is of another table."""
    keys: list[Key] = []
    for clause in statement._order_by_clauses:
        descending = False
        while isinstance(clause, elements.UnaryExpression):
            descending = descending or clause.modifier is operators.desc_op
            clause = clause.element
        if not isinstance(clause, sa.Column) or clause.table is not table:
            return []
        keys.append((clause.name, descending))
    return keys


def _keys(order: Sequence[Key]) -> list[Key]:
    """An index is read in both directions, so what is all descending need not be said."""
    is_mixed = len({descending for _, descending in order}) > 1
    return [(name, descending and is_mixed) for name, descending in order]


def _operation(table: sa.Table, keys: Sequence[Key], dialect: str) -> str:
    columns = ", ".join(
        f'sa.text("{name} DESC")' if descending else f'"{name}"' for name, descending in keys
    )
    words = "_".join(re.sub(r"\W", "_", name) for name, _ in keys)
    name = f"ix_{table.name}_{words}"[:63]
    arguments = [f'"{name}"', f'"{table.name}"', f"[{columns}]"]
    if table.schema:
        arguments.append(f'schema="{table.schema}"')
    if dialect != "postgresql":
        return f"op.create_index({', '.join(arguments)})"
    arguments.append("postgresql_concurrently=True")
    inner = "".join(f"        {argument},\n" for argument in arguments)
    return f"with op.get_context().autocommit_block():\n    op.create_index(\n{inner}    )"
