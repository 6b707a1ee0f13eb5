"""How many rows there are, as exactly as that is cheap to say.

PostgreSQL is asked how it would count before it does: where its planner expects that to cost little
the number is exact, otherwise its own estimate is shown for what it is. Other databases count up
to a limit. Both have a budget of time, and a page whose count ran out of it stands without.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import database
from admin_app.errors import OutOfTime
from admin_app.listing.loading import AnySession, Statement
from admin_app.listing.state import COUNT_LIMIT, Count
from admin_app.listing.tables import Table

CHEAP = 4_000.0
"""PostgreSQL's cost up to which rows are counted: some hundred thousand from an index, 10 ms."""

SECONDS = 0.5
"""What a count may take that nobody has asked for."""

EXACT_SECONDS = 8.0
"""What it may take when somebody has."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the planner says of a statement: how many rows it has, and what counting them costs."""

    rows: int
    cost: float

    @property
    def is_cheap(self) -> bool:
        return self.cost <= CHEAP


REMEMBERED_SECONDS = 20.0
"""How long what the planner said holds: whoever pages through a list asks it of the same rows."""

MOST_REMEMBERED = 1_000

_remembered: weakref.WeakKeyDictionary[sa.Engine, dict[Hashable, tuple[float, Estimate | None]]]
_remembered = weakref.WeakKeyDictionary()


def estimate(
    session: AnySession, mapper: orm.Mapper[Any], rows: Statement, known_as: Hashable = None
) -> Estimate | None:
    """The planner's word on counting ``rows``; None where no planner tells.

    It is remembered for a while under ``known_as``, which has to tell all about the rows.
    """
    if known_as is None:
        return _estimate(session, mapper, rows)
    found = _remembered.setdefault(session.get_bind(mapper=mapper).engine, {})
    until, told = found.get(known_as, (0.0, None))
    now = time.monotonic()
    if until < now:
        told = _estimate(session, mapper, rows)
        if len(found) >= MOST_REMEMBERED:
            found.clear()
        found[known_as] = (now + REMEMBERED_SECONDS, told)
    return told


def _estimate(session: AnySession, mapper: orm.Mapper[Any], rows: Statement) -> Estimate | None:
    connection = session.connection(bind_arguments={"mapper": mapper})
    if connection.dialect.name != "postgresql":
        return None
    plan = database.plan_of(connection, rows)
    if plan is None or plan.rows is None or plan.cost is None:
        return None
    return Estimate(plan.rows, plan.cost)


def count(
    session: AnySession,
    mapper: orm.Mapper[Any],
    rows: Statement,
    planned: Estimate | None,
    table: Table | None = None,
) -> Count | None:
    """The number of ``rows``, exact where that is cheap; None when even a limited count is not.

    ``table`` is what is known of a table that all ``rows`` come from, if its size matters.
    """
    if planned is not None and not planned.is_cheap:
        is_analysed = table is None or table.rows is not None
        if is_analysed:
            return Count(planned.rows, is_exact=False, is_estimate=True)
    limit = None if planned is not None and planned.is_cheap else COUNT_LIMIT
    with contextlib.suppress(OutOfTime):
        return limited(session, mapper, rows, limit, SECONDS)
    if planned is None:
        return None
    return Count(planned.rows, is_exact=False, is_estimate=True)


def exact(session: AnySession, mapper: orm.Mapper[Any], rows: Statement) -> Count | None:
    """The exact number of ``rows``; None when it takes longer than `EXACT_SECONDS`."""
    with contextlib.suppress(OutOfTime):
        return limited(session, mapper, rows, None, EXACT_SECONDS)
    return None


def limited(
    session: AnySession,
    mapper: orm.Mapper[Any],
    rows: Statement,
    limit: int | None,
    seconds: float | None = None,
) -> Count:
    """The number of ``rows``, counted no further than ``limit``; OutOfTime after ``seconds``."""
    arguments = {"mapper": mapper}
    budget = (
        contextlib.nullcontext() if seconds is None else database.budget(session, seconds, mapper)
    )
    with budget:
        number = session.scalar(_number(rows, limit), bind_arguments=arguments) or 0
    return _up_to(limit, number)


def both(
    session: AnySession, mapper: orm.Mapper[Any], rows: tuple[Statement, Statement]
) -> tuple[Count, Count]:
    """The numbers of both kinds of ``rows`` up to `COUNT_LIMIT`, in one statement; OutOfTime."""
    statement = sa.select(*(_number(each, COUNT_LIMIT).scalar_subquery() for each in rows))
    with database.budget(session, SECONDS, mapper):
        one, other = session.execute(statement, bind_arguments={"mapper": mapper}).one()
    return _up_to(COUNT_LIMIT, one), _up_to(COUNT_LIMIT, other)


def _number(rows: Statement, limit: int | None) -> sa.Select[Any]:
    inner = rows if limit is None else rows.limit(limit + 1)
    return sa.select(sa.func.count()).select_from(inner.subquery())


def _up_to(limit: int | None, number: int) -> Count:
    if limit is not None and number > limit:
        return Count(limit, is_exact=False)
    return Count(number)
