"""What a list asks of the database: as SQL, as Python, as a plan in words, and what would help.

Values that are compared with columns which the principal may not read are not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import database
from admin_app.errors import OutOfTime
from admin_app.explaining import code, lines, plans
from admin_app.explaining.hidden import MASK, Hidden
from admin_app.explaining.plans import Advice
from admin_app.listing import Listing, ListState, reading, tables
from admin_app.listing.loading import AnySession

__all__ = ["Advice", "Explanation", "explain"]

SECONDS = 2.0
"""What a plan may take."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One statement, told four times.

    ``sql`` is what is sent for the page, with ``parameters`` apart, by name. ``code`` is Python
    that selects the same rows, without what is loaded along with them; None where there is no
    writing for a part of it. ``plan`` are sentences, none where the database tells no plan.
    """

    sql: str
    parameters: list[tuple[str, str]]
    code: str | None
    plan: list[str]
    advice: Advice | None


def explain(listing: Listing, session: AnySession, state: ListState) -> Explanation:
    """How the database is asked for the page of ``state``; its rows are not read.

    InvalidRequest where the list has no such page.
    """
    rows, sent = reading.statements(listing, session, state)
    bind = session.get_bind(mapper=listing.mapper)

    hidden = Hidden(listing.mapper, listing.reach.may_read)
    sql, parameters = _as_sql(sent, bind.dialect, hidden)
    try:
        written: str | None = code.written(listing.mapper, rows, hidden)
    except code.Unwritable:
        written = None
    plan, advice = _planned(listing, session, rows, sent)
    return Explanation(sql, parameters, written, plan, advice)


def _planned(
    listing: Listing, session: AnySession, rows: sa.Select[Any], sent: sa.Select[Any]
) -> tuple[list[str], Advice | None]:
    connection = session.connection(bind_arguments={"mapper": listing.mapper})
    known = {table.name: table for table in _tables(listing.mapper)}

    def rows_of(name: str) -> int | None:
        return tables.known(connection, known[name]).rows if name in known else None

    facts = tables.known(connection, listing.mapper.local_table)

    try:
        with database.budget(session, SECONDS, listing.mapper):
            plan = database.plan_of(session, sent, listing.mapper)
    except OutOfTime:
        return ["The database did not tell its plan in time."], None
    if plan is None:
        return [], None
    dialect = connection.dialect.name
    return (
        plans.sentences(plan, known, rows_of),
        plans.advice(listing.mapper, rows, plan, facts, dialect),
    )


def _tables(mapper: orm.Mapper[Any]) -> list[sa.Table]:
    found = [t for m in mapper.registry.mappers for t in m.tables]
    return [table for table in found if isinstance(table, sa.Table)]


def _as_sql(
    statement: sa.Select[Any], dialect: sa.Dialect, hidden: Hidden
) -> tuple[str, list[tuple[str, str]]]:
    """``statement`` with names for its parameters, whatever the driver calls them, and these."""
    named: sa.Dialect = type(dialect)(paramstyle="named")  # type: ignore[call-arg]
    compiled = statement.compile(dialect=named, compile_kwargs={"render_postcompile": True})
    secret = hidden.values(statement)
    parameters = [
        (name, MASK if value in secret else _shown(value, compiled.binds.get(name), named))
        for name, value in compiled.params.items()
    ]
    return lines.of_sql(str(compiled)), parameters


def _shown(value: Any, bind: Any, dialect: sa.Dialect) -> str:
    """A value as it is sent."""
    if bind is not None and not bind.expanding:
        processor = bind.type.dialect_impl(dialect).bind_processor(dialect)
        value = processor(value) if processor is not None else value
    return "NULL" if value is None else str(value)
