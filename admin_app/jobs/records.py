"""The tables of jobs."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import changes, database, inspection
from admin_app.changes.audit import BigKey
from admin_app.database import Base

LONGEST = 255

State = Literal["queued", "running", "paused", "done", "cancelled", "stopped"]
OPEN = ("queued", "running", "paused")
"""States in which a job is not at its end; a stopped one can go on as well, but need not."""


class Job(Base):
    """A piece of long work, how far it has come, and who does it at the moment."""

    __tablename__ = "admin_job"

    id: orm.Mapped[int] = orm.mapped_column(BigKey, primary_key=True)
    kind: orm.Mapped[str] = orm.mapped_column(sa.String(80))
    label: orm.Mapped[str] = orm.mapped_column(sa.String(LONGEST))
    """What pages call it: "Change 12,408 orders"."""
    view: orm.Mapped[str | None] = orm.mapped_column(sa.String(LONGEST))
    """The endpoint of the view whose rows it is about."""
    owner_id: orm.Mapped[str] = orm.mapped_column(sa.String(LONGEST), index=True)
    owner: orm.Mapped[str] = orm.mapped_column(sa.String(LONGEST))
    selection: orm.Mapped[Any] = orm.mapped_column(sa.JSON(none_as_null=True), nullable=True)
    parameters: orm.Mapped[Any] = orm.mapped_column(sa.JSON(none_as_null=True), nullable=True)
    reason: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    state: orm.Mapped[str] = orm.mapped_column(sa.String(10), index=True)
    wanted: orm.Mapped[str | None] = orm.mapped_column(sa.String(10))
    """The state that it shall go to when its present chunk is done: paused or cancelled."""
    total: orm.Mapped[int | None]
    done: orm.Mapped[int] = orm.mapped_column(default=0)
    failed: orm.Mapped[int] = orm.mapped_column(default=0)
    counts: orm.Mapped[Any] = orm.mapped_column(sa.JSON(none_as_null=True), nullable=True)
    cursor: orm.Mapped[Any] = orm.mapped_column(sa.JSON(none_as_null=True), nullable=True)
    sentence: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    """Why it stopped."""
    worker: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    """Who runs it now: a name that no two runs share."""
    beat: orm.Mapped[int] = orm.mapped_column(default=0)
    """Grows as long as the worker lives. No clock is compared with another's."""
    seconds: orm.Mapped[float] = orm.mapped_column(sa.Double, default=0.0)
    """How long it was worked on, pauses left out."""
    created_at: orm.Mapped[dt.datetime] = orm.mapped_column(sa.DateTime(timezone=True))
    finished_at: orm.Mapped[dt.datetime | None] = orm.mapped_column(sa.DateTime(timezone=True))
    is_told: orm.Mapped[bool] = orm.mapped_column(default=False)
    """Whether its owner knows that it has ended."""
    undoes_id: orm.Mapped[int | None] = orm.mapped_column(
        BigKey, sa.ForeignKey("admin_job.id", ondelete="SET NULL"), index=True
    )

    def __str__(self) -> str:
        return self.label


class FailureRecord(Base):
    """A row that a job could not do."""

    __tablename__ = "admin_job_failure"

    id: orm.Mapped[int] = orm.mapped_column(BigKey, primary_key=True)
    job_id: orm.Mapped[int] = orm.mapped_column(
        BigKey, sa.ForeignKey("admin_job.id", ondelete="CASCADE"), index=True
    )
    key: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    label: orm.Mapped[str] = orm.mapped_column(sa.String(LONGEST))
    sentence: orm.Mapped[str] = orm.mapped_column(sa.Text)


def now() -> dt.datetime:
    """The moment, for people to read."""
    return dt.datetime.now(dt.UTC)


@contextlib.contextmanager
def writing(admin: Any, kind: Literal["write", "preview"] = "write") -> Iterator[Any]:
    """A transaction of its own in which jobs are written; gives the session.

    What the session has read before is let go. As a ``preview`` it waits less for others.
    """
    database.begin_write(admin.session, inspection.mapper_of(Job), kind)
    with changes.change_set(admin.session, None, "job"):
        yield admin.session


def execute(session: Any, statement: Any) -> int:
    """Execute a write that no instance of the session has to know of; how many rows it met."""
    found = session.execute(statement, execution_options={"synchronize_session": False})
    return int(found.rowcount)
