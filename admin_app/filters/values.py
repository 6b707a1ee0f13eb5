"""Texts of a URL as values of plain types; each reader raises ValueError with a sentence."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import uuid

MAX_LENGTH = 1_000
"""Characters of one value."""

INT64 = range(-(2**63), 2**63)
_DIGITS = 300
"""Digits before or after the point; a float, which SQLite makes of every number, has no more."""


def check(text: str) -> str:
    """``text`` if some column could hold it."""
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("It holds a character that no column can hold.")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"It is longer than {MAX_LENGTH:,} characters.")
    return text


def integer(text: str) -> int:
    text = text.strip()
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError("This is not a whole number.")
    if len(text) > 30 or int(text) not in INT64:
        raise ValueError("This number is too large.")
    return int(text)


def number(text: str) -> decimal.Decimal:
    text = text.strip()
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", text):
        raise ValueError("This is not a number.")
    found = decimal.Decimal(text)
    exponent = found.as_tuple().exponent
    if abs(found.adjusted()) > _DIGITS or not isinstance(exponent, int) or exponent < -_DIGITS:
        raise ValueError("This number has too many digits.")
    return found


def boolean(text: str) -> bool | None:
    """True, False, or None for «unknown»."""
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    text = text.strip().lower()
    if text not in known and text not in ("unknown", "null"):
        raise ValueError("Write true, false or unknown.")
    return known.get(text)


def day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("This is not a date; write it as 2026-11-24.") from None


def clock(text: str) -> tuple[dt.time, dt.time | None]:
    """From when and up to when a time of the day is, as exact as it is written."""
    text = text.strip()
    try:
        start = dt.time.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise ValueError("This is not a time; write it as 14:30.") from None
    digits = len(re.sub(r"[^0-9]", "", re.split(r"[.,+Z-]", text)[0]))
    if "." in text or "," in text:
        length = dt.timedelta(microseconds=1)
    else:
        hours, minutes = dt.timedelta(hours=1), dt.timedelta(minutes=1)
        length = {2: hours, 4: minutes}.get(digits, dt.timedelta(seconds=1))
    first = dt.datetime.combine(dt.date(2000, 1, 1), start)
    end = first + length
    return start, end.time() if end.date() == first.date() else None


_UNITS = {
    **dict.fromkeys(("w", "week", "weeks"), "weeks"),
    **dict.fromkeys(("d", "day", "days"), "days"),
    **dict.fromkeys(("h", "hour", "hours"), "hours"),
    **dict.fromkeys(("m", "min", "minute", "minutes"), "minutes"),
    **dict.fromkeys(("s", "sec", "second", "seconds"), "seconds"),
}
_PART = re.compile(
    r"\s*(?:(\d{1,9}):([0-5]?\d)(?::([0-5]?\d(?:\.\d{1,6})?))?|(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]+)),?"
)


def duration(text: str) -> dt.timedelta:
    """A length of time as pages show it: «2 days 03:04:05», «90 minutes», «-00:10:00»."""
    rest, total = text.strip().lower(), dt.timedelta()
    sign = -1 if rest.startswith("-") else 1
    rest = rest.lstrip("+-")
    wrong = ValueError("This is not a length of time; write it as 2 days 03:04:05.")
    if not rest:
        raise wrong
    while rest.strip():
        match = _PART.match(rest)
        if match is None or (match[5] and match[5] not in _UNITS):
            raise wrong
        try:
            if match[5]:
                total += dt.timedelta(**{_UNITS[match[5]]: float(match[4])})
            else:
                hours, minutes, seconds = int(match[1]), int(match[2]), float(match[3] or 0)
                total += dt.timedelta(hours=hours, minutes=minutes, seconds=seconds)
        except OverflowError:
            raise ValueError("This length of time is too large.") from None
        rest = rest[match.end() :]
    # Where a database has no type for it, it is kept as a date that many days after 1970.
    if total > dt.timedelta(days=2_900_000) or sign < 0 and total > dt.timedelta(days=700_000):
        raise ValueError("This length of time is too large.")
    return sign * total


def identifier(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text.strip())
    except ValueError:
        raise ValueError("This is not a UUID.") from None


def ends(text: str) -> tuple[str, str]:
    """The two texts of ``a..b``; one of them may be empty, which is no bound."""
    first, dots, last = text.partition("..")
    first, last = first.strip(), last.strip()
    if not dots or not (first or last):
        raise ValueError("Write both ends with two dots between them, as in 10..20.")
    return first, last


def is_before(one: object, other: object) -> bool:
    """Whether ``one`` is less, where both are plain values that have an order."""
    try:
        return bool(one < other)  # type: ignore[operator]
    except TypeError:
        return False
