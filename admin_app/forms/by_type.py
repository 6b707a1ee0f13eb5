"""Which codec, or which choices, a column type gets: by ``isinstance``, through what decorates it.

A type that has neither is shown and never taken.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from admin_app import inspection
from admin_app.as_stored import AsStored
from admin_app.forms import postgresql as postgresql_codecs
from admin_app.forms.codecs import (
    BooleanCodec,
    ChoiceCodec,
    Codec,
    DateCodec,
    DateTimeCodec,
    FloatCodec,
    IntegerCodec,
    IntervalCodec,
    NumericCodec,
    TextCodec,
    TimeCodec,
    UuidCodec,
)
from admin_app.forms.structures import ArrayCodec, JsonArrayCodec, JsonCodec, MappingCodec

Choices = tuple[list[tuple[Any, Any]], Callable[[Any], str] | None]
"""Pairs of a value and the words for it, and how a value is sent where not as `option_text`."""


class DecoratedCodec(Codec):
    """Values of a TypeDecorator: text where they are texts, else their stored form."""

    def __init__(self, type_: sa.types.TypeDecorator[Any], inner: Codec) -> None:
        super().__init__()
        self.type = type_
        self.inner = inner
        self.input_type = inner.input_type
        self.is_long = inner.is_long
        self.rows = inner.rows
        self.is_text = inner.is_text
        self.attributes = inner.attributes

    @cached_property
    def _is_text(self) -> bool:
        """Whether the program's values are texts, however they are stored: encrypted, say."""
        if not isinstance(self.inner, TextCodec):
            return False
        try:
            if inspection.loaded(self.type, inspection.bound(self.type, "a")) != "a":
                return False
        except Exception:  # the type's own code, given what it may not expect
            return False
        return all(self._loads_text(text) for text in ("1", "{}", "[]", "null", "a,b"))

    def _loads_text(self, text: str) -> bool:
        try:
            return isinstance(inspection.loaded(self.type, text), str)
        except Exception:  # it cannot be read, thus is nothing else than a text either
            return True

    def write(self, value: Any) -> str:
        if isinstance(value, AsStored) or (isinstance(value, str) and self._is_text):
            return str(value)
        stored = inspection.bound(self.type, value)
        return "" if stored is None else self.inner.write(stored)

    def read(self, text: str, dialect: str) -> Any:
        stored = self.inner.read(text, dialect)
        if self._is_text:
            return stored
        try:
            return inspection.loaded(self.type, stored)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
            raise ValueError(f"This value does not fit: {error}.") from error

    def is_same(self, one: Any, other: Any) -> bool:
        return type(one) is type(other) and bool(one == other)

    def note(self) -> str:
        return self.inner.note()

    def input_type_for(self, text: str) -> str:
        return self.inner.input_type_for(text)


class VariantCodec(Codec):
    """The codecs of a type that is another one in some databases (``with_variant``)."""

    def __init__(self, codecs: Mapping[str, Codec], other: Codec, dialect: Callable[[], str]):
        super().__init__()
        self.codecs = codecs
        self.other = other
        self.dialect = dialect

    def chosen(self) -> Codec:
        return self.codecs.get(self.dialect(), self.other)


def codec_by_dialect(type_: sa.types.TypeEngine[Any], dialect: Callable[[], str]) -> Codec | None:
    """The codec for a column type that may differ between databases; see `codec_for`."""
    other = codec_for(type_)
    # No public name tells of the variants but the type of one dialect, which is asked for later.
    variants = {name: codec_for(v) for name, v in type_._variant_mapping.items()}
    codecs = {name: codec for name, codec in variants.items() if codec is not None}
    if other is None or len(codecs) < len(variants):
        return None
    return VariantCodec(codecs, other, dialect) if codecs else other


class PasswordCodec(TextCodec):
    """A password of SQLAlchemy-Utils, which its type hashes: typed, and never shown."""

    def __init__(self) -> None:
        super().__init__()
        self.is_long = False

    def write(self, value: Any) -> str:
        return ""


def is_of(type_: sa.types.TypeEngine[Any], library: str, name: str) -> bool:
    """Whether ``type_`` is of the class ``name`` of a library that need not be installed."""
    # A type of it exists only where somebody has imported it.
    found = getattr(sys.modules.get(library), name, None)
    return isinstance(found, type) and isinstance(type_, found)


def is_password(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether the type keeps passwords, which no page shows."""
    return is_of(type_, "sqlalchemy_utils", "PasswordType")


def codec_for(type_: sa.types.TypeEngine[Any]) -> Codec | None:
    """The codec for a column type, by ``isinstance``; None when values cannot be typed safely."""
    if inspection.is_decorated(type_):
        return _codec_for_decorated(type_)
    if isinstance(type_, postgresql.DOMAIN):
        return _codec_for_domain(type_)
    if isinstance(type_, sa.Enum):
        return ChoiceCodec({option_text(value): value for value, _ in enum_options(type_)})
    if isinstance(type_, sa.Boolean):
        return BooleanCodec()
    if isinstance(type_, sa.String):
        return TextCodec(type_.length, inspection.is_long_text(type_))
    if isinstance(type_, postgresql.OID):
        return postgresql_codecs.codec_for(type_)
    if isinstance(type_, sa.Integer):
        bits = "small" if isinstance(type_, sa.SmallInteger) else "int"
        return IntegerCodec("big" if isinstance(type_, sa.BigInteger) else bits)
    if isinstance(type_, sa.Float | sa.Numeric):
        return _codec_for_number(type_)
    if isinstance(type_, sa.DateTime):
        return DateTimeCodec(bool(type_.timezone), getattr(type_, "precision", None))
    if isinstance(type_, sa.Date):
        return DateCodec()
    if isinstance(type_, sa.Time):
        return TimeCodec(bool(type_.timezone), getattr(type_, "precision", None))
    if isinstance(type_, postgresql.INTERVAL):
        # One that keeps some parts alone would cut what was typed.
        is_whole = type_.fields is None and type_.precision in (None, 6)
        return IntervalCodec(is_native=True) if is_whole else None
    if isinstance(type_, sa.Interval):
        return IntervalCodec()
    if isinstance(type_, sa.Uuid):
        return UuidCodec(bool(type_.as_uuid))
    if isinstance(type_, sa.JSON):
        return JsonCodec(isinstance(type_, postgresql.JSONB))
    if isinstance(type_, sa.ARRAY):
        return _codec_for_array(type_)
    if isinstance(type_, postgresql.HSTORE):
        return MappingCodec()
    if is_of(type_, "citext", "CIText"):
        # It derives from no text of SQLAlchemy's.
        return TextCodec(None, True)
    return postgresql_codecs.codec_for(type_)


def _codec_for_decorated(type_: sa.types.TypeDecorator[Any]) -> Codec | None:
    if isinstance(type_, sa.PickleType):
        return None
    if is_password(type_):
        return PasswordCodec()
    if inspection.is_uuid(type_):
        return UuidCodec(True)
    inner = codec_for(type_.impl_instance)
    return None if inner is None else DecoratedCodec(type_, inner)


def _codec_for_domain(type_: postgresql.DOMAIN) -> Codec | None:
    """The codec of what a domain is made of, where drivers take its values for those of a domain.

    SQLAlchemy does not convert the values of a domain by the type beneath.
    """
    beneath = type_.data_type
    plain = (sa.String, sa.Integer, sa.Numeric, sa.Float, sa.Boolean, sa.Date, sa.Time, sa.DateTime)
    if isinstance(beneath, postgresql.DOMAIN) or (
        isinstance(beneath, plain) and not isinstance(beneath, sa.Enum)
    ):
        return codec_for(beneath)
    return None


def _codec_for_number(type_: Any) -> Codec:
    shown = getattr(type_, "decimal_return_scale", None)
    if isinstance(type_, sa.Float):
        if type_.asdecimal:
            return NumericCodec(None, None, True, is_binary=True, shown_scale=shown)
        # FLOAT(24) is the last that has four bytes.
        is_single = isinstance(type_, sa.REAL) or 0 < (type_.precision or 0) <= 24
        return FloatCodec(is_single)
    return NumericCodec(type_.precision, type_.scale, bool(type_.asdecimal), shown_scale=shown)


def _codec_for_array(type_: sa.ARRAY[Any]) -> Codec | None:
    inner = type_.item_type
    item = codec_for(inner)
    if isinstance(inner, sa.JSON) and (type_.dimensions or 1) == 1 and not inner.none_as_null:
        is_binary = isinstance(inner, postgresql.JSONB)
        return JsonArrayCodec(is_binary, type_.dimensions, bool(type_.as_tuple))
    # Drivers send no arrays of what is an object or a list itself, and read none of citext.
    is_own = isinstance(inner, postgresql.CITEXT)
    if item is None or is_own or isinstance(item, JsonCodec | MappingCodec | ArrayCodec):
        return None
    return ArrayCodec(item, type_.dimensions, bool(type_.as_tuple))


def option_text(value: Any) -> str:
    """How a choice is sent."""
    if isinstance(value, enum.Enum):
        return value.name
    if value is True:
        return "true"
    if value is False:
        return "false"
    return str(value)


def enum_options(type_: sa.Enum) -> list[tuple[Any, Any]]:
    """Values of an Enum type with the words for them."""
    if type_.enum_class is None:
        return [(value, value) for value in type_.enums]
    return [
        (member, member.value if isinstance(member.value, str) else inspection.words(member.name))
        for member in type_.enum_class.__members__.values()
    ]


def choices_for(type_: sa.types.TypeEngine[Any]) -> Choices | None:
    """The values of a type that has few of them, an Enum or a Boolean, decorated or not."""
    if isinstance(type_, sa.Enum):
        return enum_options(type_), None
    if isinstance(type_, sa.Boolean):
        return [(True, "yes"), (False, "no")], None
    if isinstance(type_, postgresql.DOMAIN):
        return choices_for(type_.data_type) if isinstance(type_.data_type, sa.Boolean) else None
    if not inspection.is_decorated(type_):
        return None
    if is_of(type_, "sqlalchemy_utils", "ChoiceType"):
        return _stored_choices(type_)
    inner = choices_for(type_.impl_instance)
    return None if inner is None else _decorated_choices(type_, inner)


def _decorated_choices(type_: sa.types.TypeDecorator[Any], inner: Choices) -> Choices | None:
    """Choices as a decorator loads them; None when some of the stored values mean nothing to it."""
    options, write = inner
    write = write or option_text
    try:
        found = [(inspection.loaded(type_, value), words) for value, words in options]
    except Exception:  # the type's own code, given a value that no row may have
        return None

    def text_of(value: Any) -> str:
        return str(value) if isinstance(value, AsStored) else write(inspection.bound(type_, value))

    return found, text_of


def _stored_choices(type_: Any) -> Choices:
    """The choices of SQLAlchemy-Utils' ChoiceType, sent as they are stored."""
    choices = type_.choices

    def text_of(value: Any) -> str:
        return str(value if isinstance(value, AsStored) else inspection.bound(type_, value))

    if isinstance(choices, enum.EnumMeta):
        members: Mapping[str, Any] = choices.__members__
        return [(m, getattr(m, "label", None) or m.name) for m in members.values()], text_of
    return [(inspection.loaded(type_, code), words) for code, words in choices], text_of
