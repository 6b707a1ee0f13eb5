"""Whether a change set was saved whose commit got no answer, as the connection was lost.

The server may have committed before the connection broke, or not, or be about to. It is asked by
inserting, in a new transaction that is taken back, a row with the key that the change set's own
row has: that waits until the transaction has ended, and is refused if it was committed.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import exc

from admin_app import database
from admin_app.changes.audit import ChangeSetRecord

Outcome = Literal["saved", "not saved", "unknown"]

PATIENCE = 5.0
"""Seconds in which a database that does not answer is asked again."""

PAUSE = 0.2


def trace_of(number: int) -> sa.Insert:
    """The row that only the change set ``number`` has in the history."""
    now = dt.datetime.now(dt.UTC)
    return sa.insert(ChangeSetRecord).values(id=number, at=now, source="", row_count=0)


def find(engine: sa.Engine, trace: sa.Insert | None) -> Outcome:
    """What became of the transaction that inserted ``trace``; unknown where it had no trace."""
    until = time.monotonic() + PATIENCE
    while trace is not None:
        try:
            return _ask(engine, trace)
        except exc.DBAPIError as error:
            if not error.connection_invalidated and not _is_away(error):
                return "unknown"
        if time.monotonic() > until:
            break
        time.sleep(PAUSE)
    return "unknown"


def _ask(engine: sa.Engine, trace: sa.Insert) -> Outcome:
    with engine.connect() as connection:
        database.set_limits(connection, "write")
        try:
            connection.execute(trace)
        except exc.IntegrityError:
            return "saved"
        finally:
            connection.rollback()
    return "not saved"


def _is_away(error: exc.DBAPIError) -> bool:
    """Whether there was no connection to be had at all: such an error has no SQLSTATE."""
    original: Any = error.orig
    code = getattr(original, "pgcode", None) or getattr(original, "sqlstate", None)
    return isinstance(error, exc.OperationalError) and (code is None or code[:2] in ("08", "57"))
