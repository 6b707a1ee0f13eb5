"""The identity of a row as text of a URL, and back."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import functools
import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app.errors import NotFound
from admin_app.inspection.mapping import identity_keys
from admin_app.inspection.stored import BINARY, INT64, bound, is_decorated, loaded, stored_type
from admin_app.inspection.wording import shorten

_ESCAPE, _SEPARATOR, _NULL = ".", ",", ".n"
_state = orm.attributes.instance_state


class IdentityText:
    """Writes the identity of a row of one mapper as URL text and reads it back.

    The form is Flask-Admin's (parts joined by ``,``; ``.`` escapes itself and ``,``), so its links
    go on working, with ``.n`` added for a NULL part. Values are written as they are stored, thus a
    key of a custom type comes back through the type itself.
    """

    def __init__(self, mapper: orm.Mapper[Any]) -> None:
        self._mapper = mapper
        self._types = [c.type for c in mapper.primary_key]
        self._getters = [mapper.class_manager[k] for k in identity_keys(mapper)]
        self._is_plain = len(self._types) == 1 and not is_decorated(self._types[0])

    def of(self, instance: object) -> str:
        """The text for ``instance``, which must have been loaded or flushed."""
        identity = self._identity(instance)
        if self._is_plain and type(identity[0]) is int:
            return str(identity[0])
        return self.encode(identity)

    def quoted(self, instance: object) -> str:
        """The text for ``instance`` as an argument of a URL."""
        key = _state(instance).key
        if self._is_plain and key is not None and type(key[1][0]) is int:
            return str(key[1][0])
        return quote(self.encode(self._identity(instance)), safe="")

    def _identity(self, instance: object) -> Any:
        key = _state(instance).key
        return self._mapper.primary_key_from_instance(instance) if key is None else key[1]

    def encode(self, identity: Iterable[Any]) -> str:
        """The text for ``identity``, a sequence as ``inspect(instance).identity`` gives it."""
        return _SEPARATOR.join(
            write_part(type_, value) for type_, value in zip(self._types, identity, strict=True)
        )

    def decode(self, text: str) -> tuple[Any, ...]:
        """The identity that ``text`` stands for.

        NotFound when it cannot be one: wrong number of parts, a part that its type cannot hold.
        """
        parts = list(split_parts(text))
        if len(parts) != len(self._types):
            raise NotFound(f"“{shorten(text)}” is not a key of this table.")
        try:
            return tuple(
                None if part is None else read_part(type_, part)
                for type_, part in zip(self._types, parts, strict=True)
            )
        except (ValueError, ArithmeticError, KeyError, TypeError, AttributeError, LookupError):
            raise NotFound(f"“{shorten(text)}” is not a key of this table.") from None


@functools.cache
def identity_text(mapper: orm.Mapper[Any]) -> IdentityText:
    """The `IdentityText` of ``mapper``, made once."""
    return IdentityText(mapper)


def split_parts(text: str) -> Iterator[str | None]:
    """The parts that `write_part` made and commas join, unescaped; None for a NULL."""
    part: list[str] = []
    is_null = False
    characters = iter(text)
    for character in characters:
        if character == _ESCAPE:
            escaped = next(characters, "")
            if escaped == "n" and not part:
                is_null = True
            else:
                part.append(escaped)
        elif character == _SEPARATOR:
            yield None if is_null else "".join(part)
            part, is_null = [], False
        else:
            part.append(character)
    yield None if is_null else "".join(part)


def write_part(type_: sa.types.TypeEngine[Any], value: Any) -> str:
    """``value`` as one part of a key in a URL, without a comma that is not escaped."""
    if type(value) is int:
        return str(value)
    if value is None:
        return _NULL
    if is_decorated(type_):
        value = bound(type_, value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        # One moment has one text, whatever the zone it was typed or is loaded in.
        value = value.astimezone(dt.UTC)
    if isinstance(value, decimal.Decimal) and value.is_finite():
        # Without zeros at its end; `normalize` would round it to 28 digits.
        text = format(value, "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
    elif isinstance(value, bytes):
        text = value.hex()
    elif isinstance(value, enum.Enum):
        text = value.name
    elif isinstance(value, dt.date | dt.time):
        text = value.isoformat()
    elif isinstance(value, dt.timedelta):
        text = repr(value.total_seconds())
    else:
        text = str(value)
    return text.replace(_ESCAPE, _ESCAPE * 2).replace(_SEPARATOR, _ESCAPE + _SEPARATOR)


def read_part(type_: sa.types.TypeEngine[Any], text: str) -> Any:
    """The value of ``type_`` written as ``text``; ValueError and its like when there is none."""
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(text)
    value = _read_stored(stored_type(type_), text)
    if is_decorated(type_):
        value = loaded(type_, value)
    return value


def _read_stored(type_: sa.types.TypeEngine[Any], text: str) -> Any:
    if isinstance(type_, sa.Integer):
        number = int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else None
        if number is None or number not in INT64:
            raise ValueError(text)
        return number
    if isinstance(type_, sa.Enum):
        if type_.enum_class is None and text not in type_.enums:
            raise ValueError(text)
        return type_.enum_class[text] if type_.enum_class else text
    if isinstance(type_, sa.String):
        return text
    if isinstance(type_, sa.Uuid):
        value = uuid.UUID(text)
        return value if type_.as_uuid else str(value)
    if isinstance(type_, sa.Boolean):
        return {"True": True, "False": False}[text]
    if isinstance(type_, sa.Float):
        return float(text)
    if isinstance(type_, sa.Numeric):
        exact = decimal.Decimal(text)
        if not exact.is_finite() or exact.adjusted() > 1000:
            raise ValueError(text)
        return exact if type_.asdecimal else float(exact)
    if isinstance(type_, sa.DateTime):
        return dt.datetime.fromisoformat(text)
    if isinstance(type_, sa.Date):
        return dt.date.fromisoformat(text)
    if isinstance(type_, sa.Time):
        return dt.time.fromisoformat(text)
    if isinstance(type_, sa.Interval):
        return dt.timedelta(seconds=float(text))
    if isinstance(type_, BINARY):
        return bytes.fromhex(text)
    return text
