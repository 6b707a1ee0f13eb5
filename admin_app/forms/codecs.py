"""Values of column types as the text of a control, and back.

A codec is chosen by ``isinstance`` on the type (`codec_for`); a type that has none is shown and
never taken.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import re
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from admin_app import inspection, moments, rendering

_LIMITS = {"small": 2**15, "int": 2**31, "big": 2**63}


class Codec:
    """Writes values of one column type as text and reads them back.

    ``read`` raises ValueError with a sentence. ``input_type`` is the type of the control and
    ``attributes`` what else it carries; a codec whose values may hold line ends is ``is_long``.
    """

    input_type = "text"
    is_long = False

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}

    def write(self, value: Any) -> str:
        return str(value)

    def read(self, text: str, dialect: str) -> Any:
        raise NotImplementedError

    def input_type_for(self, text: str) -> str:
        """The control's type for this text: a native one drops what it cannot show."""
        return self.input_type


class TextCodec(Codec):
    """Strings as they are; ``length`` None means no limit."""

    def __init__(self, length: int | None = None, is_long: bool = False) -> None:
        super().__init__()
        self.length = length
        self.is_long = is_long
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
        if not re.fullmatch(r"[+-]?[0-9]{1,40}", text):
            raise ValueError("This is not a whole number.")
        number = int(text)
        limit = _LIMITS["big" if dialect == "sqlite" else self.bits]
        if not -limit <= number < limit:
            raise ValueError(f"This number must lie between {-limit:,} and {limit - 1:,}.")
        return number


class NumericCodec(Codec):
    """Decimals, refused rather than rounded when they have more places than the column."""

    def __init__(self, precision: int | None, scale: int | None, as_decimal: bool) -> None:
        super().__init__()
        self.precision = precision
        self.scale = scale
        self.as_decimal = as_decimal
        self.attributes["inputmode"] = "decimal"

    def write(self, value: Any) -> str:
        if isinstance(value, decimal.Decimal):
            return format(value, "f")
        return repr(value) if isinstance(value, float) else str(value)

    def read(self, text: str, dialect: str) -> Any:
        number = _decimal(text)
        if self.scale is not None:
            places = -number.normalize().as_tuple().exponent  # type: ignore[operator]
            if places > self.scale:
                raise ValueError(f"At most {self.scale} decimal places can be stored.")
            if self.precision is not None and abs(number) >= 10 ** (self.precision - self.scale):
                raise ValueError(
                    f"At most {self.precision - self.scale} digits can stand before the point."
                )
        return number if self.as_decimal else float(number)


class FloatCodec(Codec):
    """Binary floating point, shown with every digit that it takes to come back the same."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes["inputmode"] = "decimal"

    def write(self, value: Any) -> str:
        return repr(value) if isinstance(value, float) else str(value)

    def read(self, text: str, dialect: str) -> float:
        number = float(_decimal(text))
        if not math.isfinite(number):
            raise ValueError("This number is too large.")
        return number


def _decimal(text: str) -> decimal.Decimal:
    try:
        number = decimal.Decimal(text.strip())
    except decimal.InvalidOperation:
        raise ValueError("This is not a number.") from None
    if not number.is_finite():
        raise ValueError("This is not a number.")
    if abs(number.adjusted()) > 500:
        raise ValueError("This number is too large.")
    return number


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
    input_type = "time"

    def __init__(self) -> None:
        super().__init__()
        self.attributes["step"] = "any"

    def write(self, value: Any) -> str:
        return value.isoformat() if isinstance(value, dt.time) else str(value)

    def read(self, text: str, dialect: str) -> dt.time:
        try:
            return dt.time.fromisoformat(text.strip())
        except ValueError:
            raise ValueError("This is not a time; write it as 14:30 or 14:30:00.") from None

    def input_type_for(self, text: str) -> str:
        return _native(text, "time", r"\d\d:\d\d(:\d\d(\.\d{3})?)?")


class DateTimeCodec(Codec):
    """Dates with times. In a column with a time zone they are moments: shown with the offset of
    the reader's zone, and read in that zone unless an offset is typed.
    """

    input_type = "datetime-local"

    def __init__(self, is_aware: bool) -> None:
        super().__init__()
        self.is_aware = is_aware
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

    def input_type_for(self, text: str) -> str:
        if self.is_aware:
            return "text"
        return _native(text, "datetime-local", r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{3})?)?")


def _native(text: str, native: str, pattern: str) -> str:
    return native if not text or re.fullmatch(pattern, text) else "text"


class IntervalCodec(Codec):
    """Lengths of time as «2 days 03:04:05.5», «90 minutes» or «-00:10:00»."""

    _CLOCK = re.compile(r"(\d+):([0-5]?\d)(?::([0-5]?\d)(?:\.(\d{1,6}))?)?")
    _PART = re.compile(r"(\d+)\s*(w|d|h|m|s)[a-z]*")

    def write(self, value: Any) -> str:
        return rendering.duration(value) if isinstance(value, dt.timedelta) else str(value)

    def read(self, text: str, dialect: str) -> dt.timedelta:
        rest = text.strip().lower()
        sign = -1 if rest.startswith("-") else 1
        rest = rest.lstrip("+-").strip()
        total = dt.timedelta()
        found = bool(rest)
        try:
            while rest and found:
                if match := self._CLOCK.match(rest):
                    hours, minutes, seconds, fraction = match.groups()
                    total += dt.timedelta(
                        hours=int(hours),
                        minutes=int(minutes),
                        seconds=int(seconds or 0),
                        microseconds=int((fraction or "0").ljust(6, "0")),
                    )
                elif match := self._PART.match(rest):
                    unit = {
                        "w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"
                    }[match[2]]  # fmt: skip
                    total += dt.timedelta(**{unit: int(match[1])})
                found = match is not None
                rest = rest[match.end() :].lstrip(" ,") if match else rest
            total *= sign
        except OverflowError:
            raise ValueError("This length of time is too large.") from None
        if not found:
            raise ValueError("This is not a length of time; write it as 2 days 03:04:05.")
        return total


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


class JsonCodec(Codec):
    """Any JSON value; blank is SQL's NULL, the word null is JSON's."""

    is_long = True

    def __init__(self, none_as_null: bool) -> None:
        super().__init__()
        self.none_as_null = none_as_null
        self.attributes["data-json"] = True

    def write(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, indent=2, default=str)

    def read(self, text: str, dialect: str) -> Any:
        value = _json(text)
        if value is None and not self.none_as_null:
            return sa.JSON.NULL
        return value


def _json(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON.")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ValueError(f"This is not JSON: line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise ValueError("This is nested too deeply.") from None


class ArrayCodec(Codec):
    """Arrays as JSON lists, so that commas, blanks, NULLs and nesting stay what they are."""

    is_long = True

    def __init__(self, item: Codec) -> None:
        super().__init__()
        self.item = item
        self.attributes["data-json"] = True

    def write(self, value: Any) -> str:
        return json.dumps(self._out(value), ensure_ascii=False)

    def _out(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._out(v) for v in value]
        if value is None or isinstance(value, str | int | bool):
            return value
        return self.item.write(value)

    def read(self, text: str, dialect: str) -> Any:
        value = _json(text)
        if not isinstance(value, list):
            raise ValueError('This is not a list; write it as ["one", "two"].')
        return self._in(value, dialect)

    def _in(self, value: Any, dialect: str) -> Any:
        if isinstance(value, list):
            return [self._in(v, dialect) for v in value]
        if value is None or isinstance(value, bool):
            return value
        return self.item.read(value if isinstance(value, str) else json.dumps(value), dialect)


class MappingCodec(Codec):
    """PostgreSQL's hstore as a JSON object of strings and nulls."""

    is_long = True

    def write(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, indent=2)

    def read(self, text: str, dialect: str) -> Any:
        value = _json(text)
        if not isinstance(value, dict) or not all(
            v is None or isinstance(v, str) for v in value.values()
        ):
            raise ValueError('This is not a mapping of texts; write it as {"key": "value"}.')
        return value


class DecoratedCodec(Codec):
    """Values of a TypeDecorator, written in their stored form and read back through the type."""

    def __init__(self, type_: sa.types.TypeDecorator[Any], inner: Codec) -> None:
        super().__init__()
        self.type = type_
        self.inner = inner
        self.input_type = inner.input_type
        self.is_long = inner.is_long
        self.attributes = inner.attributes

    def write(self, value: Any) -> str:
        stored = inspection.bound(self.type, value)
        return "" if stored is None else self.inner.write(stored)

    def read(self, text: str, dialect: str) -> Any:
        stored = self.inner.read(text, dialect)
        try:
            return inspection.loaded(self.type, stored)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise ValueError(f"This value does not fit: {error}.") from error

    def input_type_for(self, text: str) -> str:
        return self.inner.input_type_for(text)


def codec_for(type_: sa.types.TypeEngine[Any]) -> Codec | None:
    """The codec for a column type, by ``isinstance``; None when values cannot be typed safely."""
    if isinstance(type_, sa.types.TypeDecorator):
        if isinstance(type_, sa.PickleType):
            return None
        if isinstance(type_, sa.Interval):
            return IntervalCodec()
        if inspection.is_uuid(type_):
            return UuidCodec(True)
        inner = codec_for(type_.impl_instance)
        return None if inner is None else DecoratedCodec(type_, inner)
    if isinstance(type_, postgresql.DOMAIN):
        return codec_for(type_.data_type)
    if isinstance(type_, sa.String):
        return TextCodec(type_.length, inspection.is_long_text(type_))
    if isinstance(type_, sa.Integer):
        bits = "small" if isinstance(type_, sa.SmallInteger) else "int"
        return IntegerCodec("big" if isinstance(type_, sa.BigInteger) else bits)
    if isinstance(type_, sa.Float):
        return NumericCodec(None, None, True) if type_.asdecimal else FloatCodec()
    if isinstance(type_, sa.Numeric):
        return NumericCodec(type_.precision, type_.scale, bool(type_.asdecimal))
    if isinstance(type_, sa.DateTime):
        return DateTimeCodec(bool(type_.timezone))
    if isinstance(type_, sa.Date):
        return DateCodec()
    if isinstance(type_, sa.Time):
        return None if type_.timezone else TimeCodec()
    if isinstance(type_, sa.Interval | postgresql.INTERVAL):
        return IntervalCodec()
    if isinstance(type_, sa.Uuid):
        return UuidCodec(bool(type_.as_uuid))
    if isinstance(type_, sa.JSON):
        return JsonCodec(bool(type_.none_as_null))
    if isinstance(type_, sa.ARRAY):
        item = codec_for(type_.item_type)
        return None if item is None else ArrayCodec(item)
    if isinstance(type_, postgresql.HSTORE):
        return MappingCodec()
    if isinstance(type_, postgresql.INET | postgresql.CIDR | postgresql.MACADDR):
        return TextCodec()
    return None
