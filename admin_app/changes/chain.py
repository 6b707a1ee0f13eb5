"""The chain over the history: each change set's digest covers its content and the digest before.

So a change set that was altered, added or taken away by other hands shows: from there on the
digests do not follow from the content. Who may write to these tables could make the whole chain
anew; against that the last digest is to be kept elsewhere.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc, orm

from admin_app.changes.audit import BigKey, ChangeSetRecord, RowChangeRecord
from admin_app.database import Base

AnySession = orm.Session | orm.scoped_session[Any]
ROWS_AT_ONCE = 1_000


class ChainRecord(Base):
    """Where the chain begins and ends: one row, which whoever lengthens it holds."""

    __tablename__ = "admin_history_chain"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    start: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    """The digest before the first change set that is kept."""
    end: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    end_id: orm.Mapped[int | None] = orm.mapped_column(BigKey)


class DigestRecord(Base):
    """The digest of one change set."""

    __tablename__ = "admin_change_digest"

    change_set_id: orm.Mapped[int] = orm.mapped_column(
        BigKey,
        sa.ForeignKey("admin_change_set.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    digest: orm.Mapped[str] = orm.mapped_column(sa.String(64))


class Link:
    """The next link of the chain, made while its change set is written."""

    def __init__(self, session: AnySession) -> None:
        self._session = session
        self._content = _Content(_end(session))

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows of the change set, as mappings of their columns."""
        for row in rows:
            self._content.add(row)

    def close(self, number: int, about: Mapping[str, Any]) -> None:
        """Write the digest of the change set ``number``, which is ``about`` these columns."""
        digest = self._content.digest(number, about)
        self._session.execute(
            sa.insert(DigestRecord).values(change_set_id=number, digest=digest),
        )
        self._session.execute(
            sa.update(ChainRecord).values(end=digest, end_id=number),
            execution_options={"synchronize_session": False},
        )


def _end(session: AnySession) -> str:
    """The last digest, held until the transaction ends: so links follow each other one by one."""
    held = sa.select(ChainRecord.end).where(ChainRecord.id == 1).with_for_update()
    found: str | None = session.scalar(held)
    if found is None:
        try:
            with session.begin_nested():
                session.execute(sa.insert(ChainRecord).values(id=1, start="", end=""))
        except exc.IntegrityError:
            pass
        found = session.scalar(held)
    return found or ""


class _Content:
    def __init__(self, previous: str) -> None:
        self._sum = hashlib.sha256(previous.encode())

    def add(self, row: Mapping[str, Any]) -> None:
        self._write([row[n] for n in ("table_name", "key", "kind", "old", "new")])

    def digest(self, number: int, about: Mapping[str, Any]) -> str:
        at = about["at"]
        at = at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)
        self._write([number, at.isoformat(), *(about[name] for name in _ABOUT)])
        return self._sum.hexdigest()

    def _write(self, values: list[Any]) -> None:
        self._sum.update(json.dumps(values, sort_keys=True).encode() + b"\n")


_ABOUT = ("actor_id", "actor", "source", "model", "label", "row_count", "request_id", "reason")


def fault(session: AnySession) -> tuple[int | None, str] | None:
    """The first change set at which the chain is broken, with a sentence; None if it is whole.

    The number is None where the end is missing.
    """
    ends = session.execute(
        sa.select(ChainRecord.start, ChainRecord.end, ChainRecord.end_id)
    ).first()
    if ends is None:
        return None
    previous, is_begun = ends.start, bool(ends.start)
    last = None
    for record, kept in _sets(session):
        if kept is None and not is_begun:
            continue
        is_begun, last = True, record.id
        if kept is None:
            return record.id, "It was written without the chain."
        if _digest(session, record, previous) != kept:
            return record.id, "It is not as it was written, or a change before it is gone."
        previous = kept
    if (previous, last) != (ends.end, ends.end_id) and not (last is None and previous == ends.end):
        return None, "The last changes are gone."
    return None


def _sets(session: AnySession) -> Any:
    return session.execute(
        sa.select(ChangeSetRecord, DigestRecord.digest)
        .outerjoin(DigestRecord, DigestRecord.change_set_id == ChangeSetRecord.id)
        .order_by(ChangeSetRecord.id)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )


def _digest(session: AnySession, record: ChangeSetRecord, previous: str) -> str:
    content = _Content(previous)
    table = RowChangeRecord.__table__
    rows = session.execute(
        sa.select(table.c.table_name, table.c.key, table.c.kind, table.c.old, table.c.new)
        .where(table.c.change_set_id == record.id)
        .order_by(table.c.id)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    for row in rows.mappings():
        content.add(dict(row))
    about = {name: getattr(record, name) for name in (*_ABOUT, "at")}
    return content.digest(record.id, about)


def end(session: AnySession) -> str | None:
    """The digest of the last change set; None where there is no chain yet."""
    found: str | None = session.scalar(sa.select(ChainRecord.end))
    return found


def cut(session: AnySession, before: int | None) -> None:
    """Let the chain begin with the change set ``before``, None for the next, as others go."""
    are_gone = sa.true() if before is None else DigestRecord.change_set_id < before
    last = session.scalar(
        sa.select(DigestRecord.digest)
        .where(are_gone)
        .order_by(DigestRecord.change_set_id.desc())
        .limit(1)
    )
    quiet = {"synchronize_session": False}
    if last is not None:
        session.execute(sa.update(ChainRecord).values(start=last), execution_options=quiet)
        session.execute(sa.delete(DigestRecord).where(are_gone), execution_options=quiet)
