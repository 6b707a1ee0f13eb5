"""Values of plain column types as the text of a control, and back.

What a codec reads is what the column will hold, exactly; what it could hold only nearly is refused
with a sentence. `by_type` chooses the codec of a type, `structures` has those of JSON and arrays,
`postgresql` those of its own types.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import re
import struct
import uuid
from collections.abc import Mapping
from typing import Any

from admin_app import moments, rendering

_LIMITS = {"small": 2**15, "int": 2**31, "big": 2**63}

MAX_DIGITS = 1000
"""Digits of a number that a form takes; a database may hold more, but no person types them."""

_WIDE = decimal.Context(prec=decimal.MAX_PREC, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)
"""Rounds nothing: the usual context keeps 28 digits."""


class Codec:
    """Writes values of one column type as text and reads them back.

    ``read`` raises ValueError with a sentence. ``input_type`` is the type of the control and
    ``attributes`` what else it carries; a codec whose values may hold line ends is ``is_long``,
    with ``rows`` lines at least. Where one ``needs_stored``, a value whose text the database does
    not tell is only shown, and ``untold`` says why.
    """

    input_type = "text"
    is_long = False
    rows = 3
    is_text = False
    is_json = False
    needs_stored = False
    untold = ""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}

    def write(self, value: Any) -> str:
        return str(value)

    def read(self, text: str, dialect: str) -> Any:
        raise NotImplementedError

    def chosen(self) -> Codec:
        """The codec for the database of the current request."""
        return self

    def is_same(self, one: Any, other: Any) -> bool:
        """Whether two values are one: equal is not enough, for 1 equals true and 1.0."""
        try:
            is_equal = type(one) is type(other) and bool(one == other)
        except Exception:  # a value that cannot be compared is another one
            return False
        return is_equal and self.write(one) == self.write(other)

    def note(self) -> str:
        """What whoever fills it in has to know, as a sentence; empty for nothing."""
        return ""

    def input_type_for(self, text: str) -> str:
        """The control's type for this text: a native one drops what it cannot show."""
        return self.input_type


class TextCodec(Codec):
    """Strings as they are; ``length`` None means no limit."""

    is_text = True

    def __init__(self, length: int | None = None, is_long: bool = False) -> None:
        super().__init__()
        self.length = length
        self.is_long = is_long or length is None
        self.rows = 3 if is_long else 1
        if length:
            self.attributes["maxlength"] = length

    def read(self, text: str, dialect: str) -> str:
        if self.length and len(text) > self.length:
            raise ValueError(f"At most {self.length:,} characters fit; these are {len(text):,}.")
        return text


class IntegerCodec(Codec):
    """Whole numbers within what the column holds; SQLite's hold 64 bits whatever their name."""

    def __init__(self, bits: str) -> None:
        super().__init__()
        self.bits = bits
        self.attributes["inputmode"] = "numeric"

    def read(self, text: str, dialect: str) -> int:
        text = text.strip()
        if not re.fullmatch(r"[+-]?[0-9]+", text):
            raise ValueError("This is not a whole number.")
        limits = self.limits(dialect)
        number = int(text) if len(text) < MAX_DIGITS else None
        if number is None or not limits[0] <= number <= limits[1]:
            raise ValueError(f"This number must lie between {limits[0]:,} and {limits[1]:,}.")
        return number

    def limits(self, dialect: str) -> tuple[int, int]:
        """The least and the greatest number that the column holds."""
        limit = _LIMITS["big" if dialect == "sqlite" else self.bits]
        return -limit, limit - 1


class NumericCodec(Codec):
    """Decimals, refused rather than rounded when they have more digits than the column keeps.

    A column of binary floating point that gives decimals (``is_binary``) keeps what a float does,
    and so does every decimal in SQLite.
    """

    def __init__(
        self,
        precision: int | None,
        scale: int | None,
        as_decimal: bool,
        is_binary: bool = False,
        shown_scale: int | None = None,
    ) -> None:
        super().__init__()
        self.precision = precision
        # To SQL a precision alone means no decimal places.
        self.scale = 0 if scale is None and precision is not None and not is_binary else scale
        self.as_decimal = as_decimal
        self.is_binary = is_binary
        self.shown_scale = shown_scale if shown_scale is not None else scale
        self.attributes["inputmode"] = "decimal"

    def write(self, value: Any) -> str:
        if isinstance(value, decimal.Decimal):
            return format(value, "f")
        return repr(value) if isinstance(value, float) else str(value)

    def read(self, text: str, dialect: str) -> Any:
        number = read_decimal(text)
        if self.scale is not None:
            if _places(number) > self.scale:
                raise ValueError(f"At most {self.scale} decimal places can be stored.")
            number = number.quantize(decimal.Decimal(1).scaleb(-self.scale), context=_WIDE)
            whole = number.adjusted() + 1 if number else 0
            if self.precision is not None and whole > self.precision - self.scale:
                raise ValueError(
                    f"At most {self.precision - self.scale} digits can stand before the point."
                )
        if self.is_binary or dialect == "sqlite":
            self._keep_in_float(number)
        if self.as_decimal:
            return number
        return exact_float(number)

    def _keep_in_float(self, number: decimal.Decimal) -> None:
        scale = 10 if self.shown_scale is None else self.shown_scale
        try:
            kept = decimal.Decimal(f"{float(number):.{scale}f}")
        except (OverflowError, decimal.InvalidOperation):
            raise ValueError("This number is too large.") from None
        if kept != number:
            raise ValueError(
                f"This database keeps about 15 digits, {scale} of them after the point at most: "
                f"it would hold {shorten(format(kept, 'f'))}."
            )


class FloatCodec(Codec):
    """Binary floating point, shown with every digit that it takes to come back the same.

    ``is_single`` tells a column of four bytes.
    """

    def __init__(self, is_single: bool = False) -> None:
        super().__init__()
        self.is_single = is_single
        self.attributes["inputmode"] = "decimal"

    def write(self, value: Any) -> str:
        return repr(value) if isinstance(value, float) else str(value)

    def read(self, text: str, dialect: str) -> float:
        number = exact_float(read_decimal(text))
        if self.is_single and dialect != "sqlite":
            kept = _single(number)
            if kept != number:
                raise ValueError(f"This column keeps about 7 digits: it would hold {kept!r}.")
        return number


def read_decimal(text: str) -> decimal.Decimal:
    """The number that ``text`` writes, to the last digit; ValueError when a form cannot take it.

    A comma before decimals and marks between thousands are understood where they can mean one
    thing only.
    """
    text = _with_point(text.strip())
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,30})?", text):
        raise ValueError("This is not a number.")
    try:
        number = decimal.Decimal(text) if len(text) <= MAX_DIGITS + 40 else None
    except decimal.InvalidOperation:
        number = None
    if number is None or abs(number.adjusted()) > MAX_DIGITS or _places(number) > MAX_DIGITS:
        raise ValueError("This number has too many digits.")
    return number


_GROUPED = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[1-9][0-9]{0,2}(?:(?P<mark>[,. \u00a0\u202f'’])[0-9]{3})"
    r"(?:(?P=mark)[0-9]{3})*)(?P<decimals>(?!(?P=mark))[.,][0-9]*)?"
)
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")


def _with_point(text: str) -> str:
    """``text`` with a point before its decimals and no marks between thousands."""
    match = _GROUPED.fullmatch(text) if len(text) <= MAX_DIGITS else None
    if match is None:
        return text.replace(",", ".") if _COMMA.fullmatch(text) else text
    mark, whole, decimals = match["mark"], match["whole"], match["decimals"] or ""
    plain = match["sign"] + whole.replace(mark, "")
    if whole.count(mark) == 1 and not decimals and mark in ",.":
        if mark == ".":
            # So a number is written here.
            return text
        told = f"{text.replace(mark, '.')} or {plain}"
        raise ValueError(f"“{text}” can mean {told}; write one of these.")
    return plain + decimals.replace(",", ".")


def _places(number: decimal.Decimal) -> int:
    """The decimal places that ``number`` needs, zeros at its end not counted."""
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    if not number:
        return 0
    for digit in reversed(digits):
        if digit or exponent >= 0:
            break
        exponent += 1
    return max(0, -exponent)


def exact_float(number: decimal.Decimal) -> float:
    """``number`` as binary floating point; ValueError when that would write it otherwise."""
    try:
        found = float(number)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ValueError("This number is too large.")
    if decimal.Decimal(repr(found)) != number:
        raise ValueError(f"This keeps about 16 digits: it would hold {found!r}.")
    return found


def _single(number: float) -> float:
    """What a column of four bytes gives back for ``number``: its shortest text that tells it."""
    try:
        packed = struct.pack("f", number)
    except OverflowError:
        raise ValueError("This number is too large.") from None
    for digits in range(6, 10):
        shortest = float(f"{struct.unpack('f', packed)[0]:.{digits}g}")
        if struct.pack("f", shortest) == packed:
            return shortest
    raise AssertionError("nine digits tell every number of four bytes")


def shorten(text: str, limit: int = 60) -> str:
    """``text`` cut for a sentence."""
    return text if len(text) <= limit else text[:limit] + "…"


class BooleanCodec(Codec):
    """True and false, where they stand among other values; alone they have a field of their own."""

    def write(self, value: Any) -> str:
        return {True: "true", False: "false"}.get(value, str(value))

    def read(self, text: str, dialect: str) -> bool:
        try:
            return {"true": True, "false": False}[text.strip().lower()]
        except KeyError:
            raise ValueError("This is neither true nor false.") from None


class ChoiceCodec(Codec):
    """One of few values by the text that stands for it, among other values."""

    def __init__(self, by_text: Mapping[str, Any]) -> None:
        super().__init__()
        self.by_text = by_text

    def write(self, value: Any) -> str:
        return next((t for t, v in self.by_text.items() if v == value), str(value))

    def read(self, text: str, dialect: str) -> Any:
        if text not in self.by_text:
            choices = shorten(", ".join(self.by_text), 200)
            raise ValueError(f"“{shorten(text)}” is not one of the choices: {choices}.")
        return self.by_text[text]


_TOO_FINE = re.compile(r"[.,][0-9]{7}")


def _refuse_finer(text: str, value: dt.datetime | dt.time, precision: int | None) -> None:
    """ValueError for parts of a second that would be cut off or rounded."""
    digits = 6 if precision is None else precision
    if _TOO_FINE.search(text) or value.microsecond % 10 ** (6 - min(digits, 6)):
        told = f"At most {digits} decimals" if digits else "No fraction"
        raise ValueError(f"{told} of a second can be stored.")


class DateCodec(Codec):
    input_type = "date"

    def write(self, value: Any) -> str:
        return value.isoformat() if isinstance(value, dt.date) else str(value)

    def read(self, text: str, dialect: str) -> dt.date:
        try:
            return dt.date.fromisoformat(text.strip())
        except ValueError:
            raise ValueError("This is not a date; write it as 2026-11-24.") from None

    def input_type_for(self, text: str) -> str:
        return _native(text, "date", r"\d{4}-\d\d-\d\d")


class TimeCodec(Codec):
    """Times of a day; with ``is_aware`` they carry an offset, where the database keeps one."""

    input_type = "time"

    def __init__(self, is_aware: bool = False, precision: int | None = None) -> None:
        super().__init__()
        self.is_aware = is_aware
        self.precision = precision
        self.attributes["step"] = "any"

    def write(self, value: Any) -> str:
        return value.isoformat() if isinstance(value, dt.time) else str(value)

    def read(self, text: str, dialect: str) -> dt.time:
        try:
            value = dt.time.fromisoformat(text.strip())
        except ValueError:
            example = "14:30+01:00" if self.is_aware else "14:30:00"
            raise ValueError(f"This is not a time; write it as 14:30 or {example}.") from None
        _refuse_finer(text, value, self.precision)
        keeps_offset = self.is_aware and dialect == "postgresql"
        if keeps_offset and value.tzinfo is None:
            raise ValueError("Add the offset from UTC, as in 14:30+01:00.")
        if not keeps_offset and value.tzinfo is not None:
            raise ValueError("No offset can be stored here; leave it out.")
        return value

    def input_type_for(self, text: str) -> str:
        if self.is_aware:
            return "text"
        return _native(text, "time", r"\d\d:\d\d(:\d\d(\.\d{3})?)?")


class DateTimeCodec(Codec):
    """Dates with times. In a column with a time zone they are moments: shown with the offset of
    the reader's zone, and read in that zone unless an offset is typed.
    """

    input_type = "datetime-local"

    def __init__(self, is_aware: bool, precision: int | None = None) -> None:
        super().__init__()
        self.is_aware = is_aware
        self.precision = precision
        self.attributes["step"] = "any"
        if is_aware:
            self.input_type = "text"
            self.attributes = {"placeholder": "2026-11-24 14:30+01:00"}

    def write(self, value: Any) -> str:
        if not isinstance(value, dt.datetime):
            return str(value)
        return moments.local(value).isoformat(" ") if self.is_aware else value.isoformat()

    def read(self, text: str, dialect: str) -> dt.datetime:
        try:
            value = dt.datetime.fromisoformat(text.strip())
        except ValueError:
            example = "2026-11-24 14:30+01:00" if self.is_aware else "2026-11-24 14:30"
            raise ValueError(f"This is not a date and time; write it as {example}.") from None
        _refuse_finer(text, value, self.precision)
        if not self.is_aware:
            if value.tzinfo is not None:
                raise ValueError("This column has no time zone; leave the offset out.")
            return value
        try:
            moment = moments.typed(value).astimezone(dt.UTC)
        except OverflowError:
            raise ValueError("This moment lies before or after what can be stored.") from None
        # Only PostgreSQL keeps a zone; elsewhere what is stored is UTC without saying so.
        return moment if dialect == "postgresql" else moment.replace(tzinfo=None)

    def is_same(self, one: Any, other: Any) -> bool:
        # One moment is written as one text, whatever the zone that it was typed or is loaded in.
        return self.write(one) == self.write(other)

    def note(self) -> str:
        return f"Time zone {moments.zone_name()}, unless an offset is given." * self.is_aware

    def input_type_for(self, text: str) -> str:
        if self.is_aware:
            return "text"
        return _native(text, "datetime-local", r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{3})?)?")


def _native(text: str, native: str, pattern: str) -> str:
    return native if not text or re.fullmatch(pattern, text) else "text"


_EPOCH = dt.datetime(1970, 1, 1)
_UNITS = {
    "weeks": ("w", "week", "weeks"),
    "days": ("d", "day", "days"),
    "hours": ("h", "hr", "hrs", "hour", "hours"),
    "minutes": ("m", "min", "mins", "minute", "minutes"),
    "seconds": ("s", "sec", "secs", "second", "seconds"),
}
_UNIT = {word: unit for unit, words in _UNITS.items() for word in words}


class IntervalCodec(Codec):
    """Lengths of time as «2 days 03:04:05.5», «90 minutes» or «-00:10:00».

    ``is_native`` tells a type that is one in every database; others store a date by it.
    """

    _CLOCK = re.compile(
        r"([0-9]{1,12}):([0-5]?[0-9])(?::([0-5]?[0-9])(?:\.([0-9]{1,6}))?)?(?![0-9])"
    )
    _PART = re.compile(r"([0-9]{1,15})\s*([a-z]+)")

    def __init__(self, is_native: bool = False) -> None:
        super().__init__()
        self.is_native = is_native

    def write(self, value: Any) -> str:
        return rendering.duration(value) if isinstance(value, dt.timedelta) else str(value)

    def read(self, text: str, dialect: str) -> dt.timedelta:
        try:
            total = self._total(text.strip().lower())
            if total is not None and not self.is_native and dialect != "postgresql":
                _EPOCH + total
        except OverflowError:
            raise ValueError("This length of time is too large.") from None
        if total is None:
            raise ValueError("This is not a length of time; write it as 2 days 03:04:05.")
        return total

    def _total(self, text: str) -> dt.timedelta | None:
        sign = -1 if text.startswith("-") else 1
        rest = text[1:].strip() if text.startswith(("-", "+")) else text
        total = dt.timedelta()
        while rest:
            if match := self._CLOCK.match(rest):
                hours, minutes, seconds, fraction = match.groups()
                total += dt.timedelta(
                    hours=int(hours),
                    minutes=int(minutes),
                    seconds=int(seconds or 0),
                    microseconds=int((fraction or "0").ljust(6, "0")),
                )
            elif (match := self._PART.match(rest)) and match[2] in _UNIT:
                total += dt.timedelta(**{_UNIT[match[2]]: int(match[1])})
            else:
                return None
            rest = rest[match.end() :].lstrip(" ,")
        return total * sign if text.strip("+- ") else None


class UuidCodec(Codec):
    def __init__(self, as_uuid: bool) -> None:
        super().__init__()
        self.as_uuid = as_uuid

    def read(self, text: str, dialect: str) -> Any:
        try:
            value = uuid.UUID(text.strip())
        except ValueError:
            raise ValueError("This is not a UUID.") from None
        return value if self.as_uuid else str(value)
