"""Who is signed in where: each sign-in has a row, and ends with it.

A cookie that is signed can be believed, but not called back. It carries a random text, and the row
of the text's digest says since when, from where and until when it is good. Who deletes the row ends
the session at its next request, wherever it is.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app.database import Base

AnySession = orm.Session | orm.scoped_session[Any]

SEEN_EVERY = dt.timedelta(minutes=1)
"""How exactly it is known when a session was last used."""


class SessionRecord(Base):
    """One sign-in of an account on one device."""

    __tablename__ = "admin_session"

    id: orm.Mapped[str] = orm.mapped_column(sa.String(64), primary_key=True)
    user_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("admin_user.id", ondelete="CASCADE"), index=True
    )
    started_at: orm.Mapped[dt.datetime]
    seen_at: orm.Mapped[dt.datetime] = orm.mapped_column(index=True)
    address: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    agent: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    is_kept: orm.Mapped[bool] = orm.mapped_column(server_default=sa.false())


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session lasts: unused, and at all; ``kept`` is for both where it shall stay."""

    idle: dt.timedelta = dt.timedelta(hours=2)
    life: dt.timedelta = dt.timedelta(hours=12)
    kept: dt.timedelta = dt.timedelta(days=14)


def now() -> dt.datetime:
    """The moment, as the table keeps it: in UTC, without a zone."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def digest(secret: str) -> str:
    """The key of the session whose cookie carries ``secret``."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def begin(
    session: AnySession, user_id: int, address: str | None, agent: str | None, *, is_kept: bool
) -> str:
    """A new session, in the transaction of ``session``; the secret for its cookie."""
    secret, at = secrets.token_urlsafe(32), now()
    session.add(
        SessionRecord(
            id=digest(secret),
            user_id=user_id,
            started_at=at,
            seen_at=at,
            address=(address or "")[:64] or None,
            agent=(agent or "")[:255] or None,
            is_kept=is_kept,
        )
    )
    return secret


def is_alive(limits: Limits) -> sa.ColumnElement[bool]:
    """That a session has not come to its end by itself."""
    at = now()
    return sa.or_(
        sa.and_(
            SessionRecord.seen_at > at - limits.idle, SessionRecord.started_at > at - limits.life
        ),
        sa.and_(SessionRecord.is_kept, SessionRecord.started_at > at - limits.kept),
    )


def see(session: AnySession, id_: str, seen_at: dt.datetime) -> bool:
    """Write down that a session is in use, and commit, where that was long ago; whether it was."""
    at = now()
    if at - seen_at < SEEN_EVERY:
        return False
    seen = sa.update(SessionRecord).where(SessionRecord.id == id_).values(seen_at=at)
    session.execute(seen.execution_options(synchronize_session=False))
    session.commit()
    return True


def of_user(session: AnySession, user_id: int, limits: Limits) -> Sequence[SessionRecord]:
    """The sessions of an account that are alive, the last used first."""
    found = sa.select(SessionRecord).where(SessionRecord.user_id == user_id, is_alive(limits))
    return session.scalars(found.order_by(SessionRecord.seen_at.desc())).all()


def end(
    session: AnySession, user_id: int, ids: Sequence[str] | None = None, but: str | None = None
) -> int:
    """End the sessions ``ids`` of an account, or all of them ``but`` one; their number. Committed.

    What has come to its end by itself goes along.
    """
    ended = sa.delete(SessionRecord).where(SessionRecord.user_id == user_id)
    if ids is not None:
        ended = ended.where(SessionRecord.id.in_(ids))
    if but is not None:
        ended = ended.where(SessionRecord.id != but)
    done: Any = session.execute(ended.execution_options(synchronize_session=False))
    session.commit()
    return int(done.rowcount)


def end_one(session: AnySession, secret: str) -> None:
    """End the session whose cookie carries ``secret``, in the transaction of ``session``."""
    ended = sa.delete(SessionRecord).where(SessionRecord.id == digest(secret))
    session.execute(ended.execution_options(synchronize_session=False))


def prune(session: AnySession, limits: Limits) -> None:
    """Delete what has come to its end by itself, in the transaction of ``session``."""
    over = sa.delete(SessionRecord).where(~is_alive(limits))
    session.execute(over.execution_options(synchronize_session=False))


_BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"OPR/"),
    ("Firefox", r"(?:Firefox|FxiOS)/"),
    ("Chrome", r"(?:Chrome|Chromium|CriOS|HeadlessChrome)/"),
    ("Safari", r"Safari/"),
)
_SYSTEMS = (
    ("Android", r"Android"),
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Windows", r"Windows"),
    ("macOS", r"Mac OS X|Macintosh"),
    ("ChromeOS", r"CrOS"),
    ("Linux", r"Linux|X11"),
)


def device(agent: str | None) -> str:
    """What a browser says of itself, in two words: «Firefox on Linux»."""
    browser = next((n for n, pattern in _BROWSERS if re.search(pattern, agent or "")), None)
    system = next((n for n, pattern in _SYSTEMS if re.search(pattern, agent or "")), None)
    if browser is None:
        return f"A program on {system}" if system else "A program"
    return f"{browser} on {system}" if system else browser
