"""What is remembered of imports: how files of one header were mapped, and which were done."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app.database import Base
from admin_app.imports.targets import Settings


class MappingRecord(Base):
    """What somebody chose last for files of ``model`` with the same header."""

    __tablename__ = "admin_import_mapping"

    model: orm.Mapped[str] = orm.mapped_column(sa.String(200), primary_key=True)
    owner: orm.Mapped[str] = orm.mapped_column(sa.String(255), primary_key=True)
    header: orm.Mapped[str] = orm.mapped_column(sa.String(64), primary_key=True)
    settings: orm.Mapped[str] = orm.mapped_column(sa.Text)
    used_at: orm.Mapped[dt.datetime]


class ImportRecord(Base):
    """A file whose rows were written; ``digest`` is of its content."""

    __tablename__ = "admin_import"
    __table_args__ = (sa.Index("ix_admin_import_model_digest", "model", "digest"),)

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    model: orm.Mapped[str] = orm.mapped_column(sa.String(200))
    digest: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    filename: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    owner: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    at: orm.Mapped[dt.datetime] = orm.mapped_column(sa.DateTime(timezone=True))


def header_digest(header: Sequence[str]) -> str:
    """What tells one header from another."""
    return hashlib.sha256(json.dumps(list(header)).encode("utf-8", "replace")).hexdigest()


def remembered(session: Any, model: str, owner: str, header: Sequence[str]) -> Settings | None:
    """What ``owner`` chose last for a file with this header."""
    found = session.get(MappingRecord, (model, owner, header_digest(header)))
    if found is None:
        return None
    try:
        return Settings.from_json(found.settings)
    except (ValueError, TypeError, KeyError):
        return None


def remember(
    session: Any, model: str, owner: str, header: Sequence[str], settings: Settings
) -> None:
    """Keep what ``owner`` chose for files with this header."""
    key = (model, owner, header_digest(header))
    found = session.get(MappingRecord, key)
    if found is None:
        found = MappingRecord(model=model, owner=owner, header=key[2])
        session.add(found)
    found.settings = settings.to_json()
    found.used_at = dt.datetime.now(dt.UTC).replace(tzinfo=None)


def before(session: Any, model: str, digest: str) -> ImportRecord | None:
    """The last import of a file with this content; None when there was none."""
    statement = (
        sa.select(ImportRecord)
        .where(ImportRecord.model == model, ImportRecord.digest == digest)
        .order_by(ImportRecord.id.desc())
        .limit(1)
    )
    found: ImportRecord | None = session.scalars(statement).first()
    return found


def note(session: Any, model: str, digest: str, filename: str, owner: str) -> None:
    """Keep that the rows of a file are written, in the transaction that writes them."""
    session.add(
        ImportRecord(
            model=model,
            digest=digest,
            filename=filename[:255],
            owner=owner[:255],
            at=dt.datetime.now(dt.UTC),
        )
    )
