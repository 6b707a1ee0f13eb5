"""Values of PostgreSQL's own types as the text of a control, and back.

They read and write what PostgreSQL itself does: ``[1,5)``, ``10.0.0.0/8``, ``1010``.
"""

from __future__ import annotations

import decimal
import ipaddress
import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from admin_app.forms.codecs import (
    Codec,
    DateCodec,
    DateTimeCodec,
    IntegerCodec,
    NumericCodec,
    read_decimal,
)


class OidCodec(IntegerCodec):
    """Object identifiers: four bytes without a sign."""

    def __init__(self) -> None:
        super().__init__("int")

    def limits(self, dialect: str) -> tuple[int, int]:
        return 0, 2**32 - 1


class BitCodec(Codec):
    """Strings of 0 and 1, of one length or (``is_varying``) up to it."""

    def __init__(self, length: int | None, is_varying: bool) -> None:
        super().__init__()
        self.length = length if length or is_varying else 1
        self.is_varying = is_varying
        if self.length:
            self.attributes["maxlength"] = self.length

    def read(self, text: str, dialect: str) -> str:
        text = text.strip()
        if not re.fullmatch("[01]*", text):
            raise ValueError("Only 0 and 1 can stand here.")
        if self.length and self.is_varying and len(text) > self.length:
            raise ValueError(f"At most {self.length:,} bits fit; these are {len(text):,}.")
        if self.length and not self.is_varying and len(text) != self.length:
            raise ValueError(f"Exactly {self.length:,} bits are needed; these are {len(text):,}.")
        return text

    def is_same(self, one: Any, other: Any) -> bool:
        return str(one) == str(other)


class MoneyCodec(Codec):
    """Amounts, shown as PostgreSQL writes them and sent as plain decimals.

    How it reads a text depends on the server's language, in some of which 1.50 is 150.
    """

    _SHOWN = re.compile(r"(-?)\$?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)([.,][0-9]{1,2})?")
    _LIMIT = decimal.Decimal(2**63) / 100

    def __init__(self) -> None:
        super().__init__()
        self.attributes["inputmode"] = "decimal"

    def read(self, text: str, dialect: str) -> decimal.Decimal:
        match = self._SHOWN.fullmatch(text.strip())
        if match is None:
            raise ValueError("This is not an amount; write it as 1234.50.")
        decimals = (match[3] or "").replace(",", ".")
        amount = read_decimal(match[1] + match[2].replace(",", "") + decimals)
        if not -self._LIMIT < amount < self._LIMIT:
            raise ValueError("This amount is too large.")
        return amount


class AddressCodec(Codec):
    """IP addresses (``inet``), or networks (``cidr``) whose host bits are zero."""

    def __init__(self, is_network: bool) -> None:
        super().__init__()
        self.is_network = is_network

    def read(self, text: str, dialect: str) -> str:
        text = text.strip()
        try:
            if self.is_network:
                ipaddress.ip_network(text)
            else:
                ipaddress.ip_interface(text)
        except ValueError:
            raise ValueError(
                "This is not a network; write it as 10.0.0.0/8."
                if self.is_network
                else "This is not an IP address; write it as 192.168.0.1 or 2001:db8::1."
            ) from None
        if "%" in text or re.search(r"/.*[.:]", text):
            raise ValueError("Write the length of the network as a number, as in 10.0.0.0/8.")
        return text


class HardwareAddressCodec(Codec):
    """Addresses of network cards, of six or eight bytes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def read(self, text: str, dialect: str) -> str:
        text = text.strip()
        digits = re.sub(r"[:.-]", "", text)
        # PostgreSQL makes eight bytes of six by itself, and so what was typed another value.
        if not re.fullmatch(rf"[0-9a-fA-F]{{{self.size * 2}}}", digits) or not re.fullmatch(
            r"[0-9a-fA-F]+(?:([:.-])[0-9a-fA-F]+(?:\1[0-9a-fA-F]+)*)?", text
        ):
            example = ":".join(["08", "00", "2b", "01", "02", "03", "04", "05"][: self.size])
            raise ValueError(f"This is not a hardware address; write it as {example}.")
        return ":".join(digits[i : i + 2].lower() for i in range(0, len(digits), 2))


_BOUND = r'("(?:[^"\\]|\\.|"")*"|[^,\[\]()"]*)'
_RANGE = re.compile(rf"([\[(])\s*{_BOUND}\s*,\s*{_BOUND}\s*([\])])")


class RangeCodec(Codec):
    """Ranges as PostgreSQL writes them: ``[1,5)``, ``(,2026-01-01]``, ``empty``."""

    def __init__(self, item: Codec) -> None:
        super().__init__()
        self.item = item
        self.attributes["placeholder"] = "[from,to)"

    def write(self, value: Any) -> str:
        if not isinstance(value, postgresql.Range):
            return str(value)
        if value.empty:
            return "empty"
        lower, upper = self._bound(value.lower), self._bound(value.upper)
        return f"{value.bounds[0]}{lower},{upper}{value.bounds[1]}"

    def _bound(self, value: Any) -> str:
        return "" if value is None else _quoted(self.item.write(value))

    def read(self, text: str, dialect: str) -> postgresql.Range[Any]:
        text = text.strip()
        if text.lower() == "empty":
            return postgresql.Range(empty=True)
        match = _RANGE.fullmatch(text)
        if match is None:
            raise ValueError("This is not a range; write it as [1,5) or (,5] or empty.")
        return self._range(match, dialect)

    def _range(self, match: re.Match[str], dialect: str) -> postgresql.Range[Any]:
        lower, upper = self._read_bound(match[2], dialect), self._read_bound(match[3], dialect)
        if lower is not None and upper is not None and lower > upper:
            raise ValueError("The range must not end before it begins.")
        # A side without a bound includes nothing.
        bounds: Any = ("(" if lower is None else match[1]) + (")" if upper is None else match[4])
        if lower is not None and lower == upper and bounds != "[]":
            return postgresql.Range(empty=True)
        return postgresql.Range(lower, upper, bounds=bounds)

    def _read_bound(self, text: str, dialect: str) -> Any:
        text = _unquoted(text.strip())
        if not text:
            return None
        try:
            value = self.item.read(text, dialect)
        except ValueError as error:
            raise ValueError(f"“{text}”: {error}") from None
        if isinstance(self.item, IntegerCodec) and value == self.item.limits(dialect)[1]:
            # An included bound is moved on by one.
            raise ValueError(f"“{text}” is too large for the bound of a range.")
        return value

    def note(self) -> str:
        return self.item.note()


def _quoted(text: str) -> str:
    if text and not re.search(r'[\s,\[\](){}"\\]', text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return re.sub(r'\\(.)|""', lambda match: match[1] or '"', text[1:-1])


class MultiRangeCodec(RangeCodec):
    """Several ranges, ``{[1,3),[5,8)}``, which psycopg2 hands over and takes as text."""

    def __init__(self, item: Codec) -> None:
        super().__init__(item)
        self.attributes["placeholder"] = "{[from,to),[from,to)}"

    def write(self, value: Any) -> str:
        if not isinstance(value, list | tuple):
            return self._written_anew(str(value))
        return "{" + ",".join(super(MultiRangeCodec, self).write(r) for r in value) + "}"

    def _written_anew(self, text: str) -> str:
        """PostgreSQL's text with moments in the zone of the reader, as everywhere else."""
        if not (isinstance(self.item, DateTimeCodec) and self.item.is_aware):
            return text
        try:
            found = self._ranges(text, "postgresql")
        except ValueError:
            return text
        return "{" + ",".join(super(MultiRangeCodec, self).write(r) for r in found) + "}"

    def read(self, text: str, dialect: str) -> Any:
        ranges = self._ranges(text.strip(), dialect)
        # Moments are sent with their offset: the database reads them in its own zone.
        return "{" + ",".join(super(MultiRangeCodec, self).write(r) for r in ranges) + "}"

    def _ranges(self, text: str, dialect: str) -> list[postgresql.Range[Any]]:
        if not (text.startswith("{") and text.endswith("}")):
            raise ValueError("These are not ranges; write them as {[1,3),[5,8)}.")
        rest = text[1:-1].strip()
        found: list[postgresql.Range[Any]] = []
        while rest:
            match = _RANGE.match(rest)
            if match is None:
                raise ValueError("These are not ranges; write them as {[1,3),[5,8)}.")
            found.append(self._range(match, dialect))
            rest = rest[match.end() :].lstrip()
            if rest and (not rest.startswith(",") or not rest[1:].strip()):
                raise ValueError("These are not ranges; write them as {[1,3),[5,8)}.")
            rest = rest[1:].lstrip()
        return [r for r in found if not r.empty]


_SUBTYPES: tuple[tuple[tuple[type[Any], type[Any]], Callable[[], Codec]], ...] = (
    ((postgresql.INT4RANGE, postgresql.INT4MULTIRANGE), lambda: IntegerCodec("int")),
    ((postgresql.INT8RANGE, postgresql.INT8MULTIRANGE), lambda: IntegerCodec("big")),
    ((postgresql.NUMRANGE, postgresql.NUMMULTIRANGE), lambda: NumericCodec(None, None, True)),
    ((postgresql.DATERANGE, postgresql.DATEMULTIRANGE), DateCodec),
    ((postgresql.TSRANGE, postgresql.TSMULTIRANGE), lambda: DateTimeCodec(False)),
    ((postgresql.TSTZRANGE, postgresql.TSTZMULTIRANGE), lambda: DateTimeCodec(True)),
)


def codec_for(type_: sa.types.TypeEngine[Any]) -> Codec | None:
    """The codec of one of PostgreSQL's own types; None for any other, or one that is not typed."""
    if isinstance(type_, postgresql.BIT):
        return BitCodec(type_.length, bool(type_.varying))
    if isinstance(type_, postgresql.MONEY):
        return MoneyCodec()
    if isinstance(type_, postgresql.OID):
        return OidCodec()
    if isinstance(type_, postgresql.INET | postgresql.CIDR):
        return AddressCodec(isinstance(type_, postgresql.CIDR))
    if isinstance(type_, postgresql.MACADDR | postgresql.MACADDR8):
        return HardwareAddressCodec(8 if isinstance(type_, postgresql.MACADDR8) else 6)
    for (single, several), make in _SUBTYPES:
        if isinstance(type_, several):
            return MultiRangeCodec(make())
        if isinstance(type_, single):
            return RangeCodec(make())
    return None
