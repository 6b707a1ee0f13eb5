"""The history: what each change set did to each row, in the admin's own tables."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app.changes.capture import Alike, RowChange
from admin_app.changes.images import AsItIs
from admin_app.database import Base
from admin_app.policy import Principal

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ROWS_AT_ONCE = 1_000
LONGEST = 255


class ChangeSetRecord(Base):
    """One transaction of the admin: who, when, by which page or action."""

    __tablename__ = "admin_change_set"

    id: orm.Mapped[int] = orm.mapped_column(BigKey, primary_key=True)
    at: orm.Mapped[dt.datetime] = orm.mapped_column(sa.DateTime(timezone=True), index=True)
    actor_id: orm.Mapped[str | None] = orm.mapped_column(sa.String(LONGEST), index=True)
    actor: orm.Mapped[str | None] = orm.mapped_column(sa.String(LONGEST))
    source: orm.Mapped[str] = orm.mapped_column(sa.String(80))
    model: orm.Mapped[str | None] = orm.mapped_column(sa.String(LONGEST))
    label: orm.Mapped[str | None] = orm.mapped_column(sa.String(LONGEST))
    row_count: orm.Mapped[int]
    request_id: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    reason: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    undoes_id: orm.Mapped[int | None] = orm.mapped_column(
        BigKey, sa.ForeignKey("admin_change_set.id"), index=True
    )
    job_id: orm.Mapped[int | None] = orm.mapped_column(BigKey, index=True)
    """The job that it is a chunk of; that may be forgotten earlier."""

    rows: orm.Mapped[list[RowChangeRecord]] = orm.relationship(
        back_populates="change_set", order_by="RowChangeRecord.id", passive_deletes=True
    )
    undoes: orm.Mapped[ChangeSetRecord | None] = orm.relationship(remote_side="ChangeSetRecord.id")

    def __str__(self) -> str:
        return f"Change {self.id}"


class RowChangeRecord(Base):
    """One row of one table, as it was before a change set and as it was after.

    ``old`` and ``new`` are images (see `images`); of an update they hold only the columns that
    differ. ``key`` is `images.key_text`, or a digest of it where that is long.
    """

    __tablename__ = "admin_row_change"

    id: orm.Mapped[int] = orm.mapped_column(BigKey, primary_key=True)
    change_set_id: orm.Mapped[int] = orm.mapped_column(
        BigKey, sa.ForeignKey("admin_change_set.id", ondelete="CASCADE"), index=True
    )
    table_name: orm.Mapped[str] = orm.mapped_column(sa.String(LONGEST))
    key: orm.Mapped[str] = orm.mapped_column(sa.String(LONGEST))
    kind: orm.Mapped[str] = orm.mapped_column(sa.String(6))
    old: orm.Mapped[Any] = orm.mapped_column(sa.JSON(none_as_null=True), nullable=True)
    new: orm.Mapped[Any] = orm.mapped_column(sa.JSON(none_as_null=True), nullable=True)

    change_set: orm.Mapped[ChangeSetRecord] = orm.relationship(back_populates="rows")

    __table_args__ = (sa.Index("ix_admin_row_change_table_name_key", "table_name", "key"),)


def kept_key(text: str) -> str:
    """The key of a row as the history's index holds it."""
    if len(text) <= LONGEST:
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def keep(
    session: orm.Session | orm.scoped_session[Any],
    changes: Iterable[Alike],
    *,
    principal: Principal | None,
    source: str,
    model: str | None = None,
    label: str | None = None,
    request_id: str | None = None,
    reason: str | None = None,
    undoes_id: int | None = None,
    make_link: Callable[[Any], Any] | None = None,
    job_id: int | None = None,
) -> int | None:
    """Write ``changes`` into the history within the transaction of ``session``; the set's id.

    They are taken some at a time. None when there are none. ``make_link`` is `chain.Link`, where
    the history is chained.
    """
    portions = _portions(changes)
    first = next(portions, None)
    if first is None:
        return None
    link = None if make_link is None else make_link(session)
    at = dt.datetime.now(dt.UTC)
    about = {
        # Not every database keeps the same part of a second.
        "at": at if link is None else at.replace(microsecond=0),
        "actor_id": _cut(principal.id if principal else None),
        "actor": _cut(principal.label if principal else None),
        "source": source[:80],
        "model": _cut(model),
        "label": _cut(label),
        "row_count": sum(len(alike.keys) for alike in first),
        "request_id": request_id,
        "reason": reason,
        "undoes_id": undoes_id,
        "job_id": job_id,
    }
    connection = session.connection(bind_arguments={"mapper": sa.inspect(ChangeSetRecord)})
    made: Any = connection.execute(_INSERT_SET, about).inserted_primary_key
    number: int = made[0]
    count = 0
    for portion in itertools.chain([first], portions):
        count += _keep_rows(connection, number, portion)
        if link is not None:
            link.add(_content(change) for alike in portion for change in alike.changes())
    about = {**about, "row_count": count}
    if link is not None:
        link.close(number, about)
    if count > ROWS_AT_ONCE:
        session.execute(
            sa.update(ChangeSetRecord).where(ChangeSetRecord.id == number).values(row_count=count),
            execution_options={"synchronize_session": False},
        )
    return number


def _portions(changes: Iterable[Alike]) -> Iterator[list[Alike]]:
    """``changes``, of so many rows at once as are written at once."""
    portion: list[Alike] = []
    count = 0
    for alike in changes:
        portion.append(alike)
        count += len(alike.keys)
        if count >= ROWS_AT_ONCE:
            yield portion
            portion, count = [], 0
    if portion:
        yield portion


def _keep_rows(connection: sa.Connection, number: int, portion: Iterable[Alike]) -> int:
    rows = [
        (number, table, kept_key(key), alike.kind, old, new)
        for alike in portion
        for table in [str(alike.table.key)]
        for key, old, new in alike.texts()
    ]
    if connection.dialect.name == "sqlite":
        # Its driver takes them as they are; so does no other that sends them one by one.
        text = _insert_text(connection.dialect)
        connection.exec_driver_sql(text, rows, execution_options=IS_OWN)
    elif connection.dialect.driver == "psycopg2" and len(rows) > COPIED:
        _copy(connection, rows)
    else:
        connection.execute(_INSERT_ROWS, [dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    return len(rows)


COPIED = 100
"""Rows from which on PostgreSQL takes them quicker by COPY than by INSERT."""


def _copy(connection: sa.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert ``rows`` by COPY, in its format of text: one line a row, tabs between the values."""
    columns = "change_set_id, table_name, key, kind, old, new"
    text = "".join("\t".join(map(_copied, row)) + "\n" for row in rows)
    dialect, driver = connection.dialect, cast(Any, connection.connection.driver_connection)
    table = dialect.identifier_preparer.format_table(cast(sa.Table, RowChangeRecord.__table__))
    statement = f"COPY {table} ({columns}) FROM STDIN"
    with driver.cursor() as cursor:
        try:
            cursor.copy_expert(statement, io.StringIO(text))
        except dialect.loaded_dbapi.Error as error:
            # As SQLAlchemy would have told it, had it run the statement.
            is_lost = dialect.is_disconnect(error, driver, cursor)
            if is_lost:
                connection.invalidate(error)
            raise sa.exc.DBAPIError.instance(
                statement,
                None,
                error,
                dialect.loaded_dbapi.Error,
                connection_invalidated=is_lost,
                dialect=dialect,
            ) from error


def _copied(value: Any) -> str:
    if value is None:
        return "\\N"
    text = str(value)
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


IS_OWN = {"admin_is_own": True}
"""Marks SQL given as text that writes the history alone."""

_COLUMNS = ("set", "table", "row", "what", "before", "after")

_INSERT_ROWS = sa.insert(RowChangeRecord.__table__).values(  # type: ignore[arg-type]
    change_set_id=sa.bindparam("set", type_=AsItIs()),
    table_name=sa.bindparam("table", type_=AsItIs()),
    key=sa.bindparam("row", type_=AsItIs()),
    kind=sa.bindparam("what", type_=AsItIs()),
    old=sa.bindparam("before", type_=AsItIs()),
    new=sa.bindparam("after", type_=AsItIs()),
)
"""Types would look at each value once more; what is inserted is text already."""


_INSERT_SET = sa.insert(ChangeSetRecord.__table__)  # type: ignore[arg-type]


@functools.lru_cache(maxsize=8)
def _insert_text(dialect: sa.Dialect) -> str:
    """The statement that inserts rows, as the driver of ``dialect`` takes it."""
    return str(_INSERT_ROWS.compile(dialect=dialect))


def _content(change: RowChange) -> dict[str, Any]:
    """The columns of a row of the history that the chain covers."""
    return {
        "table_name": change.table.key,
        "key": kept_key(change.key_text),
        "kind": change.kind,
        "old": change.old,
        "new": change.new,
    }


def _cut(text: str | None) -> str | None:
    return text if text is None else text[:LONGEST]


def prune(
    session: orm.Session | orm.scoped_session[Any],
    before: dt.datetime,
    cut_chain: Callable[[Any, int | None], None] | None = None,
) -> int:
    """Delete the change sets of before ``before`` with their rows, and commit; their number.

    ``cut_chain`` is `chain.cut`, where the history is chained.
    """
    first_kept = session.scalar(
        sa.select(sa.func.min(ChangeSetRecord.id)).where(ChangeSetRecord.at >= before)
    )
    is_old = sa.true() if first_kept is None else ChangeSetRecord.id < first_kept
    if cut_chain is not None:
        cut_chain(session, first_kept)
    old = sa.select(ChangeSetRecord.id).where(is_old)
    quiet = {"synchronize_session": False}
    session.execute(
        sa.update(ChangeSetRecord).where(ChangeSetRecord.undoes_id.in_(old)).values(undoes_id=None),
        execution_options=quiet,
    )
    session.execute(
        sa.delete(RowChangeRecord).where(RowChangeRecord.change_set_id.in_(old)),
        execution_options=quiet,
    )
    count: int = session.execute(  # type: ignore[attr-defined]
        sa.delete(ChangeSetRecord).where(is_old), execution_options=quiet
    ).rowcount
    session.commit()
    return count
