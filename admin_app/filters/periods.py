"""Stretches of time as an operator says them: «2026-03», «today», «next_2_weeks».

Each becomes a `Span`, half open, so that no moment falls between two of them. Days begin at
midnight on the wall clock; what that is as a moment depends on the zone, and on a day when the
clocks change it is not 24 hours before the next.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from admin_app import moments


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` up to, not including, ``end``; None where there is no bound."""

    start: Any
    end: Any


NAMED = (
    "today",
    "yesterday",
    "tomorrow",
    "last_7_days",
    "last_30_days",
    "next_7_days",
    "next_2_weeks",
    "this_week",
    "last_week",
    "next_week",
    "this_month",
    "last_month",
    "next_month",
    "this_quarter",
    "this_year",
    "last_year",
    "past",
    "future",
)
"""The relative periods that are offered; any number may stand in one of those with a number."""

_RELATIVE = re.compile(r"(last|next)_([0-9]{1,4})_(minute|hour|day|week|month|year)s?")
_NEIGHBOUR = re.compile(r"(last|this|next)_(week|month|quarter|year)")
_ABSOLUTE = re.compile(
    r"([0-9]{4})(?:-[Qq]([1-4])|-[Ww]([0-9]{2})|-([0-9]{2})(?:-([0-9]{2})(?:[T ]([0-9]{2}))?)?)?"
)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def now() -> dt.datetime:
    """The present, in the zone of whoever asks."""
    return dt.datetime.now(moments.zone())


def span(text: str, present: dt.datetime) -> Span:
    """The wall-clock span that ``text`` says, as naive datetimes; ValueError when it says none.

    Hours and minutes that are counted from ``present`` come as aware ones.
    """
    text = text.strip()
    try:
        found = _relative(text, present) or _absolute(text) or exact(text)
    except (OverflowError, ValueError):
        found = None
    if found is None:
        raise ValueError(
            "This is no period; write it as 2026, 2026-03, 2026-03-14, today or last_7_days."
        )
    return found


def _relative(text: str, present: dt.datetime) -> Span | None:
    today = dt.datetime.combine(present.date(), dt.time())
    day = dt.timedelta(days=1)
    simple = {
        "today": (today, 0, 1),
        "yesterday": (today, -1, 0),
        "tomorrow": (today, 1, 2),
    }
    if text in simple:
        start, first, last = simple[text]
        return Span(start + first * day, start + last * day)
    if text == "past":
        return Span(None, today)
    if text == "future":
        return Span(today + day, None)
    if match := _NEIGHBOUR.fullmatch(text):
        return _neighbour({"last": -1, "this": 0, "next": 1}[match[1]], match[2], today)
    if match := _RELATIVE.fullmatch(text):
        return _counted(match[1] == "next", int(match[2]), match[3], present)
    return None


def _neighbour(step: int, unit: str, today: dt.datetime) -> Span:
    """The week, month, quarter or year that is ``step`` away from the present one."""
    if unit == "week":
        start = today - dt.timedelta(days=today.weekday()) + dt.timedelta(weeks=step)
        return Span(start, start + dt.timedelta(weeks=1))
    length = _MONTHS[unit]
    first = today.replace(day=1, month=(today.month - 1) // length * length + 1)
    start = _add_months(first, step * length)
    return Span(start, _add_months(start, length))


def _counted(is_next: bool, count: int, unit: str, present: dt.datetime) -> Span:
    """So many units before or after now; days and what is made of them include today."""
    if unit in ("minute", "hour"):
        # In UTC, for on the wall clock an hour may be there twice.
        here = present.astimezone(dt.UTC)
        other = here + dt.timedelta(**{f"{unit}s": count if is_next else -count})
        return Span(here, other) if is_next else Span(other, here)
    today = dt.datetime.combine(present.date(), dt.time())
    tomorrow = today + dt.timedelta(days=1)
    start, sign = (today, 1) if is_next else (tomorrow, -1)
    if unit in ("day", "week"):
        other = start + sign * count * dt.timedelta(days=1 if unit == "day" else 7)
    else:
        other = _add_months(start, sign * count * _MONTHS[unit])
    return Span(start, other) if is_next else Span(other, start)


def _add_months(value: dt.datetime, count: int) -> dt.datetime:
    """``count`` months later, on the last day of a month that is too short."""
    index = value.year * 12 + value.month - 1 + count
    year, month = divmod(index, 12)
    first = value.replace(year=year, month=month + 1, day=1)
    following = first.replace(year=year + (month == 11), month=(month + 1) % 12 + 1)
    last = (following - dt.timedelta(days=1)).day
    return first.replace(day=min(value.day, last))


def _absolute(text: str) -> Span | None:
    """A year, quarter, week, month, day or hour."""
    match = _ABSOLUTE.fullmatch(text)
    if match is None:
        return None
    year, quarter, week, month, day, hour = (int(m) if m else None for m in match.groups())
    assert year is not None
    if week is not None:
        monday = dt.datetime.combine(dt.date.fromisocalendar(year, week, 1), dt.time())
        return _until(monday, dt.timedelta(weeks=1))
    if quarter is not None:
        return _months(dt.datetime(year, quarter * 3 - 2, 1), 3)
    if month is None:
        return _months(dt.datetime(year, 1, 1), 12)
    if day is None:
        return _months(dt.datetime(year, month, 1), 1)
    if hour is None:
        return _until(dt.datetime(year, month, day), dt.timedelta(days=1))
    return _until(dt.datetime(year, month, day, hour), dt.timedelta(hours=1))


def exact(text: str) -> Span:
    """A time as exact as it is written: the whole minute, the whole second, or less.

    Aware where an offset was written. ValueError when it is none.
    """
    start = dt.datetime.fromisoformat(text)
    clock = re.search(r"[T ](.*)", text)
    parts = re.sub(r"(Z|[+-][0-9:]+)$", "", clock[1]) if clock else ""
    if not parts:
        return _until(start, dt.timedelta(days=1))
    digits = len(re.sub(r"[^0-9]", "", parts.partition(".")[0].partition(",")[0]))
    if "." in parts or "," in parts:
        return _until(start, dt.timedelta(microseconds=1))
    lengths = {2: dt.timedelta(hours=1), 4: dt.timedelta(minutes=1)}
    return _until(start, lengths.get(digits, dt.timedelta(seconds=1)))


def _until(start: dt.datetime, length: dt.timedelta) -> Span:
    try:
        return Span(start, start + length)
    except OverflowError:
        return Span(start, None)


def _months(start: dt.datetime, count: int) -> Span:
    try:
        return Span(start, _add_months(start, count))
    except ValueError:
        # The last year that there is has no next one.
        return Span(start, None)


def moment(value: dt.datetime | None) -> dt.datetime | None:
    """A time of the wall clock in the current zone as a moment, in UTC.

    Where the clocks go forward over it, it is the moment at which they do; where they go back,
    the first of the two. None, no bound, for what lies outside of the calendar.
    """
    if value is None:
        return None
    try:
        if value.tzinfo is None:
            value = value.replace(tzinfo=moments.zone())
        return value.astimezone(dt.UTC)
    except OverflowError:
        return None


def wall(value: dt.datetime | None) -> dt.datetime | None:
    """``value`` on the wall clock of the current zone, without saying so."""
    if value is None or value.tzinfo is None:
        return value
    return moments.local(value).replace(tzinfo=None)


def canonical(text: str) -> str:
    """A period as it stands in an address, of its words: «last_7_days» of «the last 7 days»."""
    plain = text.strip().lower().removeprefix("the ").replace(" ", "_")
    is_relative = (
        plain in ("today", "yesterday", "tomorrow", "past", "future")
        or _NEIGHBOUR.fullmatch(plain)
        or _RELATIVE.fullmatch(plain)
    )
    return plain if is_relative else text


def words(text: str) -> str:
    """A period as it stands in a sentence: «the last 7 days», «March 2026», «today»."""
    if text in ("today", "yesterday", "tomorrow"):
        return text
    if text in ("past", "future"):
        return f"the {text}"
    if _NEIGHBOUR.fullmatch(text):
        return text.replace("_", " ")
    if match := _RELATIVE.fullmatch(text):
        count, unit = int(match[2]), match[3]
        # «The last month» is one of the calendar.
        return f"the {match[1]} {count} {unit}" + ("" if count == 1 else "s")
    match = _ABSOLUTE.fullmatch(text)
    if match and match[4] and not match[5] and 1 <= int(match[4]) <= 12:
        return f"{_MONTH_NAMES[int(match[4]) - 1]} {match[1]}"
    return text.replace("T", " ")


_MONTH_NAMES = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
