"""Moments in the time zone of whoever looks at them.

A column with a time zone holds a moment; how it reads depends on the reader. `zone` is the zone
of the current request, which the web layer sets; `local` turns a stored moment into that zone and
`typed` reads what a person wrote in it, telling of times that a change of the clocks leaves out or
makes twice.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_zone: ContextVar[dt.tzinfo] = ContextVar("admin_zone", default=dt.UTC)


def zone() -> dt.tzinfo:
    """The time zone of the current request; UTC where nothing set one."""
    return _zone.get()


def zone_name() -> str:
    """What the time zone of the current request is called: ``Europe/Paris``."""
    return str(zone())


def set_zone(value: dt.tzinfo) -> None:
    """Make ``value`` the zone of the current request, or thread."""
    _zone.set(value)


@contextmanager
def in_zone(value: dt.tzinfo) -> Iterator[None]:
    """A block that reads and writes moments in the zone ``value``."""
    token = _zone.set(value)
    try:
        yield
    finally:
        _zone.reset(token)


def named(name: str | None) -> dt.tzinfo | None:
    """The zone called ``name`` (IANA, as in ``Europe/Paris``); None when there is none."""
    if not name or len(name) > 64:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def local(value: dt.datetime) -> dt.datetime:
    """``value`` in the current zone; one without a zone is in UTC, as SQLite gives it back."""
    if value.tzinfo is None:
        value = value.replace(tzinfo=dt.UTC)
    try:
        return value.astimezone(zone())
    except OverflowError:
        # The first and the last day of the calendar have no hour in some zones.
        return value


def typed(value: dt.datetime) -> dt.datetime:
    """``value`` with the offset that the current zone had then, unless it came with one.

    Raises ValueError with a sentence for a time that does not exist there, or exists twice.
    """
    if value.tzinfo is not None:
        return value
    first = value.replace(tzinfo=zone(), fold=0)
    second = value.replace(tzinfo=zone(), fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    one, other = _offset(first), _offset(second)
    if _exists(first):
        raise ValueError(
            f"The clocks went back, so this time was there twice; add {one} or {other} to it."
        )
    raise ValueError(
        f"The clocks went forward, so this time does not exist; add {one} or {other} to say "
        "which was meant."
    )


def _exists(value: dt.datetime) -> bool:
    there_and_back = value.astimezone(dt.UTC).astimezone(value.tzinfo)
    return there_and_back.replace(tzinfo=None) == value.replace(tzinfo=None)


def _offset(value: dt.datetime) -> str:
    return value.isoformat()[-6:]
