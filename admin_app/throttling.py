"""How often something may be tried: signing in, and whatever else can be guessed at.

Tries are counted in the database, so that all workers share the count, and before the try itself
costs anything. Some are free; after them each has to wait twice as long as the one before, up to a
limit: nobody is locked out for good, and nobody guesses fast. What was not tried for a while is
forgotten.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc, orm

from admin_app.database import Base

AnySession = orm.Session | orm.scoped_session[Any]

FORGOTTEN = dt.timedelta(hours=1)
"""Tries that lie so far back are not counted."""


class TryRecord(Base):
    """How often something was tried in a row, by the digest of what and by whom."""

    __tablename__ = "admin_try"

    key: orm.Mapped[str] = orm.mapped_column(sa.String(64), primary_key=True)
    count: orm.Mapped[int]
    last_at: orm.Mapped[dt.datetime] = orm.mapped_column(index=True)


@dataclass(frozen=True, slots=True)
class Limit:
    """``free`` tries of what ``key`` stands for, then waits of 1, 2, 4, … up to ``longest`` s."""

    key: str
    free: int
    longest: int


def of_account(name: str, free: int = 5) -> Limit:
    """The limit of one account, called as somebody typed it."""
    return Limit(_digest("account", name.strip().lower()), free, 900)


def of_network(address: str | None, free: int = 30) -> Limit:
    """The limit of a network: one address of IPv4, the 2^64 of IPv6 that one line has."""
    return Limit(_digest("network", _network(address)), free, 300)


def _network(address: str | None) -> str:
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def take(session: AnySession, limits: Sequence[Limit], now: dt.datetime | None = None) -> int:
    """Count a try against ``limits`` and commit; or the seconds that it has to wait, uncounted.

    A try that succeeds is told to `succeeded`.
    """
    now = now or dt.datetime.now(dt.UTC).replace(tzinfo=None)
    wait = max(_wait(session, limit, now) for limit in limits)
    if wait:
        session.rollback()
        return wait
    try:
        _count_all(session, limits, now)
    except exc.IntegrityError:
        # Another request has counted a first try at the same moment.
        session.rollback()
        _count_all(session, limits, now)
    if secrets.randbelow(100) == 0:
        session.execute(_quietly(sa.delete(TryRecord).where(TryRecord.last_at < now - FORGOTTEN)))
    session.commit()
    return 0


def succeeded(session: AnySession, limit: Limit) -> None:
    """Forget the tries of ``limit``, whose last one was right; committed."""
    session.execute(_quietly(sa.delete(TryRecord).where(TryRecord.key == limit.key)))
    session.commit()


def _wait(session: AnySession, limit: Limit, now: dt.datetime) -> int:
    found = session.execute(
        sa.select(TryRecord.count, TryRecord.last_at).where(TryRecord.key == limit.key)
    ).first()
    if found is None:
        return 0
    count, last_at = found
    if last_at < now - FORGOTTEN or count < limit.free:
        return 0
    pause = min(1 << min(count - limit.free, 20), limit.longest)
    left = (last_at + dt.timedelta(seconds=pause) - now).total_seconds()
    # A clock that was set back must not keep anybody out for longer than the pause itself.
    return min(pause, max(0, -int(-left // 1)))


def _count_all(session: AnySession, limits: Sequence[Limit], now: dt.datetime) -> None:
    is_old = TryRecord.last_at < now - FORGOTTEN
    # Always in one order, so that two requests cannot wait for each other.
    for key in sorted(limit.key for limit in limits):
        counted = (
            sa.update(TryRecord)
            .where(TryRecord.key == key)
            .values(count=sa.case((is_old, 1), else_=TryRecord.count + 1), last_at=now)
        )
        done: Any = session.execute(_quietly(counted))
        if not done.rowcount:
            session.execute(sa.insert(TryRecord).values(key=key, count=1, last_at=now))


def _quietly(statement: Any) -> Any:
    return statement.execution_options(synchronize_session=False)
