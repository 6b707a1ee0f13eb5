"""From a mapper to a WTForms form that loses nothing.

Each column gets a `ColumnField` around a `Codec`, which writes a value as the text of a control
and reads it back, chosen by ``isinstance`` on the column's type; booleans, enums, binaries and
relationships have fields of their own. All share one rule: a field that was not in the POST, or
whose text is the text that was shown, writes nothing. What cannot be edited safely is shown as
text (`ReadOnlyField`), never dropped.

Relationships hold only the rows that are chosen; others are looked up as the operator types
(`PickerField`, fed by a `Lookup` that the view gives).
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import functools
import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote, unquote

import sqlalchemy as sa
import wtforms
from flask_admin import form as flask_admin_form
from flask_admin.contrib.sqla.form import AdminModelConverter
from flask_admin.model.fields import InlineFieldList, InlineModelFormField
from markupsafe import Markup, escape
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql
from werkzeug.datastructures import FileStorage
from wtforms.fields.core import UnboundField

from admin_app import inspection, rendering
from admin_app.errors import InvalidRequest, NotFound

MEMBERS_LIMIT = 500
"""Members of a collection that a form lets edit; a longer one is shown as a number."""

NEEDED = "A value is needed."
MULTILINE = "\n\r"

_LIMITS = {"small": 2**15, "int": 2**31, "big": 2**63}


# Codecs: values as text and back


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
            raise ValueError(
                f"At most {self.length:,} characters fit; these are {len(text):,}."
            )
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
        return format(value, "f") if isinstance(value, decimal.Decimal) else repr(value)

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
    """Moments. In a column with a time zone they carry an offset; without one UTC is meant."""

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
        return value.isoformat(" " if self.is_aware else "T")

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
        if value.tzinfo is None:
            value = value.replace(tzinfo=dt.UTC)
        if dialect == "postgresql":
            return value
        return value.astimezone(dt.UTC).replace(tzinfo=None)

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
        raise ValueError(
            f"This is not JSON: line {error.lineno}, column {error.colno}."
        ) from None
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
        stored = self.type.process_bind_param(value, inspection.DIALECT)
        return "" if stored is None else self.inner.write(stored)

    def read(self, text: str, dialect: str) -> Any:
        stored = self.inner.read(text, dialect)
        try:
            return self.type.process_result_value(stored, inspection.DIALECT)
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
        inner = codec_for(type_.impl_instance)
        return None if inner is None else DecoratedCodec(type_, inner)
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


# Fields


def _is_stored(instance: Any) -> bool:
    state = sa.inspect(instance, raiseerr=False)
    return state is not None and state.has_identity


class ModelFieldMixin:
    """What the fields for mapped attributes share.

    ``is_changed`` is true when the POST held the field with something else than it had shown;
    only then does ``populate_obj`` set the attribute. ``is_editing`` tells an existing row.
    """

    is_changed = False
    is_editing = False
    is_key = False

    def become_readonly(self) -> None:
        """Show the value and take none: a key of an existing row."""
        self.flags.readonly_text = True  # type: ignore[attr-defined]
        self.widget = ReadOnlyWidget()

    def populate_obj(self, obj: Any, name: str) -> None:
        if self.is_changed:
            setattr(obj, name, self.data)  # type: ignore[attr-defined]


class ReadOnlyWidget:
    """The value as text, no control."""

    def __call__(self, field: Any, **kwargs: Any) -> Markup:
        return Markup('<div class="readonly" id="{}">{}</div>').format(
            kwargs.get("id", field.id), field.shown()
        )


class ControlWidget:
    """An ``<input>`` or, where the text may run over lines, a ``<textarea>``."""

    validation_attrs = ("required",)

    def __call__(self, field: ColumnField, **kwargs: Any) -> Markup:
        text = field.text()
        attributes = {"id": field.id, "name": field.name, **field.codec.attributes, **kwargs}
        if field.flags.required:
            attributes.setdefault("required", True)
        limit = attributes.get("maxlength")
        if limit and len(text) > limit:
            del attributes["maxlength"]
        if field.codec.is_long or any(c in text for c in MULTILINE):
            attributes.setdefault("rows", max(3, min(24, text.count("\n") + 1)))
            # A parser drops the first line end after the tag, so one is given to be dropped.
            return Markup("<textarea {}>\n{}</textarea>").format(
                _attributes(attributes), text
            )
        attributes.setdefault("type", field.codec.input_type_for(text))
        if attributes["type"] == "text":
            attributes.pop("step", None)
        return Markup("<input {}>").format(_attributes({**attributes, "value": text}))


def _attributes(attributes: Mapping[str, Any]) -> Markup:
    written = (
        escape(name) if value is True else Markup('{}="{}"').format(name.rstrip("_"), value)
        for name, value in attributes.items()
        if value is not False and value is not None
    )
    return Markup(" ").join(written)


class ColumnField(ModelFieldMixin, wtforms.Field):
    """The value of one column, typed as text and read by a codec."""

    widget = ControlWidget()

    def __init__(
        self,
        label: str | None = None,
        validators: Any = None,
        *,
        codec: Codec,
        is_nullable: bool = True,
        is_generated: bool = False,
        is_key: bool = False,
        is_secret: bool = False,
        dialect: Callable[[], str] = lambda: "",
        **kwargs: Any,
    ) -> None:
        super().__init__(label, validators, **kwargs)
        self.codec = codec
        self.is_nullable = is_nullable
        self.is_generated = is_generated
        self.is_key = is_key
        self.is_secret = is_secret
        self.dialect = dialect
        if not is_nullable and not is_generated:
            self.flags.required = True

    def text(self) -> str:
        """The text of the control: what was typed, else the value."""
        if self.raw_data and not self.flags.readonly_text:
            return str(self.raw_data[0])
        return self._shown_text()

    def _shown_text(self) -> str:
        if self.object_data is None or self.is_secret:
            return ""
        return self.codec.write(self.object_data)

    _value = text

    def shown(self) -> Markup:
        """The value as the details page has it, for a field that only shows it."""
        return rendering.render(self.object_data, is_cut=False)

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        if not valuelist or self.flags.readonly_text:
            return
        typed = str(valuelist[0])
        shown = self._shown_text()
        if self.is_editing and self.object_data == "" and typed == "":
            return
        if _same_lines(typed) == _same_lines(shown) and (self.is_editing or not typed):
            if not typed and not self.is_nullable and not self.is_editing and not self.is_generated:
                raise ValueError(NEEDED)
            return
        if not typed and self.is_secret:
            return
        if not typed.strip() and not (typed and isinstance(self.codec, TextCodec)):
            self._clear()
            return
        if "\0" in typed or any("\ud800" <= c <= "\udfff" for c in typed):
            raise ValueError("This holds a character that cannot be stored.")
        self.data = self.codec.read(_with_line_ends(typed, shown), self.dialect())
        self.is_changed = True

    def _clear(self) -> None:
        if not self.is_nullable:
            raise ValueError(NEEDED)
        # None of a JSON column is JSON's null; what was emptied means SQL's.
        is_json = isinstance(self.codec, JsonCodec)
        self.data = sa.null() if is_json else None
        self.is_changed = True


def _same_lines(text: str) -> str:
    """``text`` as browsers compare it: they send every line end as CRLF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _with_line_ends(typed: str, shown: str) -> str:
    """``typed`` with the line ends that the value had before; a new value gets LF."""
    typed = _same_lines(typed)
    if "\r\n" in shown and "\n" not in shown.replace("\r\n", ""):
        return typed.replace("\n", "\r\n")
    return typed


class CheckboxWidget:
    """A checkbox, with a hidden twin that tells an unticked one from one that was not there."""

    validation_attrs = ()

    def __call__(self, field: wtforms.Field, **kwargs: Any) -> Markup:
        attributes = {"type": "checkbox", "id": field.id, "name": field.name, "value": "y"}
        attributes.update(kwargs)
        attributes["checked"] = bool(field.data)
        return Markup('<input type="hidden" name="{}" value=""><input {}>').format(
            field.name, _attributes(attributes)
        )


class CheckboxField(ModelFieldMixin, wtforms.Field):
    """True or false of a column that is never NULL."""

    widget = CheckboxWidget()
    false_values = ("", "false", "0", "off", "no")

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        if not valuelist:
            return
        value = any(str(v).lower() not in self.false_values for v in valuelist)
        self.is_changed = value != self.object_data
        self.data = value

    def shown(self) -> Markup:
        return rendering.render(self.object_data)


class ChoiceField(ModelFieldMixin, wtforms.SelectField):
    """One of few values: an enum, a boolean that may be NULL, the options of ``form_choices``.

    ``options`` are pairs of the text that is sent and the value it means, with the words to show.
    """

    def __init__(
        self,
        label: str | None = None,
        validators: Any = None,
        *,
        options: Sequence[tuple[Any, Any]],
        is_nullable: bool = True,
        is_generated: bool = False,
        is_key: bool = False,
        **kwargs: Any,
    ) -> None:
        self.by_text = {_option_text(value): value for value, _ in options}
        choices = [(_option_text(value), words) for value, words in options]
        self.options = choices
        super().__init__(
            label, validators, choices=choices, coerce=str, validate_choice=False, **kwargs
        )
        self.is_nullable = is_nullable
        self.is_generated = is_generated
        self.is_key = is_key
        if not is_nullable and not is_generated:
            self.flags.required = True

    def process_data(self, value: Any) -> None:
        self.data = value
        self.choices = list(self.options)
        self.blank = "" if "" not in self.by_text else "\x00none"
        if value is None or self.is_nullable or not self.is_editing:
            self.choices.insert(0, (self.blank, "–" if self.is_editing or value is None else "–"))
        if value is not None and _option_text(value) not in self.by_text:
            # The database holds a value that the type does not know; it is shown, and kept.
            self.choices.append((_option_text(value), f"{_option_text(value)} (unknown)"))

    def iter_choices(self) -> Iterable[tuple[Any, Any, bool, dict[str, Any]]]:
        current = self.blank if self.data is None else _option_text(self.data)
        if self.raw_data:
            current = str(self.raw_data[0])
        for text, words in self.choices:  # type: ignore[union-attr]
            yield text, words, text == current, {}

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        if not valuelist or self.flags.readonly_text:
            return
        text = str(valuelist[0])
        shown = self.blank if self.object_data is None else _option_text(self.object_data)
        if text == shown:
            if text == self.blank and not self.is_nullable and not self.is_generated:
                raise ValueError(NEEDED)
            self.is_changed = not self.is_editing and text != self.blank
            return
        if text in ("", self.blank) and "" not in self.by_text:
            if not self.is_nullable:
                raise ValueError(NEEDED)
            self.data = None
        elif text in self.by_text:
            self.data = self.by_text[text]
        else:
            raise ValueError("This is not one of the choices.")
        self.is_changed = True

    def pre_validate(self, form: Any) -> None:
        """Nothing: ``process_formdata`` has refused what is no choice."""

    def shown(self) -> Markup:
        return rendering.render(self.object_data)


def _option_text(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return value.name
    if value is True:
        return "true"
    if value is False:
        return "false"
    return str(value)


class FileWidget:
    """A file to upload, the size of what is there, and a box to remove it."""

    validation_attrs = ("required",)

    def __call__(self, field: BinaryField, **kwargs: Any) -> Markup:
        attributes = {"type": "file", "id": field.id, "name": field.name, **kwargs}
        if field.object_data is not None:
            attributes.pop("required", None)
        control = Markup("<input {}>").format(_attributes(attributes))
        if field.object_data is None:
            return control
        kept = Markup('<span class="file-kept">{} stored</span>').format(field.shown())
        if not field.is_nullable:
            return Markup('<span class="file">{}{}</span>').format(kept, control)
        return Markup(
            '<span class="file">{}{}<label class="file-clear">'
            '<input type="checkbox" name="{}" value="clear"> Remove</label></span>'
        ).format(kept, control, field.name + "-clear")


class BinaryField(ModelFieldMixin, wtforms.Field):
    """Binary content: kept unless a file is sent or its removal is asked for."""

    widget = FileWidget()

    def __init__(
        self,
        label: str | None = None,
        validators: Any = None,
        *,
        is_nullable: bool = True,
        is_generated: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(label, validators, **kwargs)
        self.is_nullable = is_nullable
        if not is_nullable and not is_generated:
            self.flags.required = True

    def process(self, formdata: Any, data: Any = wtforms.utils.unset_value, **kwargs: Any) -> None:
        super().process(formdata, data, **kwargs)
        if formdata is not None and formdata.get(self.name + "-clear") and not self.is_changed:
            self.data = None
            self.is_changed = self.object_data is not None and self.is_nullable

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        sent = next((v for v in valuelist if isinstance(v, FileStorage) and v.filename), None)
        if sent is not None:
            self.data = sent.read()
            self.is_changed = True
        elif valuelist and self.flags.required and self.object_data is None:
            raise ValueError("A file is needed.")

    def shown(self) -> Markup:
        value = self.object_data
        count = value if isinstance(value, int) else None if value is None else len(value)
        return rendering.size(count)


class ReadOnlyField(ModelFieldMixin, wtforms.Field):
    """A value that is shown and never taken: computed, of an unknown type, a pickle."""

    widget = ReadOnlyWidget()

    def __init__(self, *args: Any, is_binary: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_binary = is_binary
        self.flags.readonly_text = True

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        """Nothing is taken, whatever was sent."""

    def shown(self) -> Markup:
        if self.is_binary:
            count = self.object_data
            return rendering.size(count if isinstance(count, int) else None)
        return rendering.render(self.object_data, is_cut=False)


# Relationships


class Lookup(Protocol):
    """Finds rows of a related class for a picker, within what the visitor may see."""

    mapper: orm.Mapper[Any]

    def url(self) -> str:
        """Where the browser asks for rows as the operator types."""

    def fetch(self, identities: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The instances with these identities; those out of reach are left out."""

    def members(self, instance: Any, key: str, limit: int) -> list[Any]:
        """At most ``limit`` members of the collection ``key`` of ``instance``."""


class PickerWidget:
    """An input that holds keys; a script makes it a search box, without one it can be typed in."""

    validation_attrs = ("required",)

    def __call__(self, field: PickerField, **kwargs: Any) -> Markup:
        chosen = [{"id": i, "text": t} for i, t in field.chosen()]
        attributes = {
            "type": "text",
            "id": field.id,
            "name": field.name,
            "value": field.text(),
            "autocomplete": "off",
            "data-picker": True,
            "data-lookup-url": field.lookup.url(),
            "data-multiple": field.is_multiple,
            "data-required": not field.is_nullable,
            "data-chosen": json.dumps(chosen, ensure_ascii=False),
        }
        attributes.update(kwargs)
        if field.flags.required:
            attributes["required"] = True
        words = ", ".join(c["text"] for c in chosen)
        return Markup('<input {}><small class="picker-plain">{}</small>').format(
            _attributes(attributes), words
        )


class PickerField(ModelFieldMixin, wtforms.Field):
    """The row, or rows, that a relationship leads to.

    ``data`` is the instance, or the list of instances. Sent as identity text; several are joined
    by commas, each percent-encoded (or sent as several values).
    """

    widget = PickerWidget()

    def __init__(
        self,
        label: str | None = None,
        validators: Any = None,
        *,
        lookup: Lookup,
        is_multiple: bool = False,
        is_nullable: bool = True,
        is_key: bool = False,
        relationship_key: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(label, validators, **kwargs)
        self.lookup = lookup
        self.is_multiple = is_multiple
        self.is_nullable = is_nullable
        self.is_key = is_key
        self.relationship_key = relationship_key
        self.is_cut = False
        if not is_nullable:
            self.flags.required = True

    def load(self, instance: Any) -> list[Any]:
        """The members of the collection, or none of them when they are too many to edit."""
        found = self.lookup.members(instance, self.relationship_key, MEMBERS_LIMIT + 1)
        if len(found) > MEMBERS_LIMIT:
            self.is_cut = True
            self.become_readonly()
            return []
        return found

    def process_data(self, value: Any) -> None:
        if self.is_multiple:
            self.data = list(value or [])
            self.shown_instances = list(self.data)
        else:
            self.data = value
            self.shown_instances = [] if value is None else [value]

    def _texts(self, instances: Iterable[Any]) -> list[str]:
        return [inspection.identity_text(sa.inspect(i).mapper.base_mapper).of(i) for i in instances]

    def chosen(self) -> list[tuple[str, str]]:
        """Identity text and label of what is chosen now."""
        instances = self.data if self.is_multiple else [self.data] if self.data is not None else []
        label = inspection.label(self.lookup.mapper)
        return [(t, label.of(i)) for t, i in zip(self._texts(instances), instances, strict=True)]

    def text(self) -> str:
        if self.raw_data:
            return ",".join(str(v) for v in self.raw_data)
        texts = self._texts(self.shown_instances)
        return ",".join(quote(t, safe="") for t in texts) if self.is_multiple else "".join(texts)

    _value = text

    def shown(self) -> Markup:
        if self.is_cut:
            return Markup("<span>More than {:,} rows, too many to edit here</span>").format(
                MEMBERS_LIMIT
            )
        return rendering.render(", ".join(t for _, t in self.chosen()) or None, is_cut=False)

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        if not valuelist or self.flags.readonly_text:
            return
        if self.is_multiple:
            sent = [unquote(t) for v in valuelist for t in str(v).split(",") if t.strip()]
        else:
            sent = [str(valuelist[0])] if str(valuelist[0]).strip() else []
        sent = list(dict.fromkeys(t.strip() if t.strip() else t for t in sent))
        shown = self._texts(self.shown_instances)
        if set(sent) == set(shown):
            if not sent and not self.is_nullable and not self.is_multiple:
                raise ValueError(NEEDED)
            return
        if not sent and not self.is_nullable:
            raise ValueError(NEEDED)
        found = self._fetch(sent)
        self.data = found if self.is_multiple else (found[0] if found else None)
        self.is_changed = True

    def _fetch(self, sent: list[str]) -> list[Any]:
        codec = inspection.identity_text(self.lookup.mapper)
        if len(sent) > 10_000:
            raise ValueError("These are too many rows to choose.")
        try:
            identities = [codec.decode(t) for t in sent]
        except NotFound as error:
            raise ValueError(error.sentence) from error
        known = {t: i for t, i in zip(self._texts(self.shown_instances), self.shown_instances, strict=True)}
        missing = [i for t, i in zip(sent, identities, strict=True) if t not in known]
        known |= {t: i for i in self.lookup.fetch(missing) for t in self._texts([i])}
        absent = [t for t in sent if t not in known]
        if absent:
            raise ValueError(
                f"There is no row “{inspection.shorten(absent[0])}” to choose (any more)."
            )
        return [known[t] for t in sent]

    def populate_obj(self, obj: Any, name: str) -> None:
        if not self.is_changed:
            return
        if not self.is_multiple:
            setattr(obj, name, self.data)
            return
        members = orm.collections.collection_adapter(getattr(obj, name))
        present = list(members)
        for instance in present:
            if instance not in self.data:
                members.remove_with_event(instance)
        for instance in self.data:
            if instance not in present:
                members.append_with_event(instance)


class KeyPickerField(PickerField):
    """A foreign key that no relationship writes: rows are picked, the key is stored."""

    def __init__(self, *args: Any, target_key: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.target_key = target_key

    def process_data(self, value: Any) -> None:
        self.key_value = value
        found = [] if value is None else self.lookup.fetch([(value,)])
        self.shown_instances = found
        self.data = found[0] if found else None
        self.is_dangling = value is not None and not found

    def text(self) -> str:
        if not self.raw_data and self.is_dangling:
            return inspection.identity_text(self.lookup.mapper).encode((self.key_value,))
        return super().text()

    _value = text

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        if valuelist and self.is_dangling:
            shown = inspection.identity_text(self.lookup.mapper).encode((self.key_value,))
            if str(valuelist[0]) == shown:
                return
            if not str(valuelist[0]).strip() and self.is_nullable:
                self.data, self.is_changed = None, True
                return
        super().process_formdata(valuelist)

    def populate_obj(self, obj: Any, name: str) -> None:
        if self.is_changed:
            setattr(obj, name, None if self.data is None else getattr(self.data, self.target_key))


# The form


class ModelFormMixin:
    """Reads an instance without loading what the form does not show, and writes only changes."""

    _obj: Any

    def process(
        self, formdata: Any = None, obj: Any = None, data: Any = None, extra_filters: Any = None, **kwargs: Any
    ) -> None:
        formdata = self.meta.wrap_formdata(self, formdata)  # type: ignore[attr-defined]
        values = {**(data or {}), **kwargs}
        filters = extra_filters or {}
        is_editing = obj is not None and _is_stored(obj)
        for name, field in self._fields.items():  # type: ignore[attr-defined]
            extra = filters.get(name, [])
            key = getattr(field, "name", name).removeprefix(self._prefix)  # type: ignore[attr-defined]
            if isinstance(field, ModelFieldMixin):
                field.is_editing = is_editing
                if is_editing and field.is_key:
                    field.become_readonly()
                if is_editing and isinstance(field, PickerField) and field.is_multiple:
                    field.process(formdata, field.load(obj), extra_filters=extra)
                    continue
                if is_editing and _shows_size(field):
                    field.process(formdata, _size_of(obj, key), extra_filters=extra)
                    continue
            if obj is not None and _has(obj, key):
                field.process(formdata, getattr(obj, key), extra_filters=extra)
            elif key in values:
                field.process(formdata, values[key], extra_filters=extra)
            else:
                field.process(formdata, extra_filters=extra)

    def populate_obj(self, obj: Any) -> None:
        """Set the attributes whose fields were sent and changed; every other one is left alone."""
        sent = getattr(self, "_sent_names", None)
        for name, field in self._fields.items():  # type: ignore[attr-defined]
            key = field.name.removeprefix(self._prefix)  # type: ignore[attr-defined]
            if isinstance(field, ModelFieldMixin):
                field.populate_obj(obj, key)
            elif isinstance(field, InlineFieldList | InlineModelFormField | wtforms.FieldList | wtforms.FormField):
                field.populate_obj(obj, key)
            elif field.raw_data or isinstance(field, wtforms.BooleanField) or sent is None and not field.raw_data and field.data is not None:
                if not _has(obj, key) or not _equal(getattr(obj, key), field.data):
                    field.populate_obj(obj, key)


def _has(obj: Any, key: str) -> bool:
    """Whether ``obj`` has the attribute, asked without loading it."""
    return hasattr(type(obj), key) or key in getattr(obj, "__dict__", {})


def _equal(one: Any, other: Any) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # a value that cannot be compared has to be written
        return False


def _shows_size(field: Any) -> bool:
    return isinstance(field, BinaryField) or isinstance(field, ReadOnlyField) and field.is_binary


def _size_of(instance: Any, key: str) -> int | None:
    """The size of a binary column, asked of the database without reading the content."""
    state = sa.inspect(instance)
    if key in state.dict and isinstance(state.dict[key], bytes):
        return len(state.dict[key])
    session = state.session
    if session is None:
        return None
    model = state.mapper.class_
    keys = inspection.identity_keys(state.mapper)
    statement = sa.select(sa.func.length(getattr(model, key), type_=sa.Integer))
    for name, value in zip(keys, state.identity, strict=True):
        statement = statement.where(getattr(model, name) == value)
    return session.scalar(statement)  # type: ignore[no-any-return]


class ModelConverter(AdminModelConverter):
    """Chooses the field for each attribute, honouring Flask-Admin's ``form_*`` options.

    Plugged in as ``model_form_converter``; a subclass of Flask-Admin's so that its inline forms
    and a host's own converters go on working.
    """

    def convert(
        self,
        model: type[Any],
        mapper: orm.Mapper[Any],
        name: str,
        prop: Any,
        field_args: Mapping[str, Any] | None,
        hidden_pk: bool,
    ) -> Any:
        if not isinstance(prop, orm.ColumnProperty | orm.RelationshipProperty):
            return super().convert(model, mapper, name, prop, field_args or {}, hidden_pk)
        kwargs: dict[str, Any] = {"validators": [], "filters": [], **(field_args or {})}
        kwargs["validators"] = list(kwargs["validators"])
        kwargs.setdefault("label", self._label(name))
        if isinstance(prop, orm.RelationshipProperty):
            return self._relationship(mapper, prop, kwargs)
        column = inspection.columns(mapper).get(prop.key)
        if column is None:
            return None
        if hidden_pk and column.is_primary_key:
            return wtforms.HiddenField()
        description = self._get_description(prop.key, kwargs) or column.comment  # type: ignore[arg-type]
        kwargs["description"] = escape(description) if description else ""
        override = self._get_field_override(prop.key)
        if override is not None:
            return override(**self._override_arguments(column, kwargs))
        choices = (getattr(self.view, "form_choices", None) or {}).get(prop.key)
        if choices:
            options = [c if isinstance(c, list | tuple) else (c, c) for c in choices]
            return ChoiceField(options=[(o[0], o[1]) for o in options], **self._common(column), **kwargs)
        return self._column(mapper, column, kwargs)

    def _label(self, key: str) -> str:
        labels = getattr(self.view, "column_labels", None) or {}
        return labels.get(key) or inspection.words(key.removesuffix("_id"))

    def _override_arguments(self, column: inspection.Column, kwargs: dict[str, Any]) -> dict[str, Any]:
        if column.is_nullable or column.is_generated:
            kwargs["validators"].append(wtforms.validators.Optional())
        elif not isinstance(column.type, sa.Boolean):
            kwargs["validators"].append(wtforms.validators.InputRequired())
        default = _scalar_default(column)
        if default is not None:
            kwargs.setdefault("default", default)
        return kwargs

    def _common(self, column: inspection.Column) -> dict[str, Any]:
        return {
            "is_nullable": column.is_nullable,
            "is_generated": column.is_generated,
            "is_key": column.is_primary_key,
        }

    def _column(self, mapper: orm.Mapper[Any], column: inspection.Column, kwargs: dict[str, Any]) -> Any:
        type_ = column.type
        stored = inspection.stored_type(type_)
        if column.is_readonly or isinstance(type_, sa.PickleType):
            return ReadOnlyField(is_binary=inspection.is_binary(type_), **kwargs)
        if inspection.is_binary(type_):
            return BinaryField(
                is_nullable=column.is_nullable, is_generated=column.is_generated, **kwargs
            )
        default = _scalar_default(column)
        if default is not None:
            kwargs.setdefault("default", default)
        common = self._common(column)
        if isinstance(stored, sa.Boolean) and type_ is stored:
            if not column.is_nullable and not column.is_primary_key:
                kwargs.setdefault("default", False)
                return CheckboxField(**kwargs)
            return ChoiceField(options=[(True, "yes"), (False, "no")], **common, **kwargs)
        if isinstance(stored, sa.Enum) and type_ is stored:
            return ChoiceField(options=enum_options(stored), **common, **kwargs)
        target = self._key_target(mapper, column)
        if target is not None:
            return KeyPickerField(
                lookup=target[0],
                target_key=target[1],
                is_nullable=column.is_nullable,
                is_key=column.is_primary_key,
                **kwargs,
            )
        codec = codec_for(type_)
        if codec is None:
            return ReadOnlyField(**kwargs)
        return ColumnField(
            codec=codec,
            is_secret=inspection.is_secret(column.key),
            dialect=functools.partial(self.view.dialect_name),
            **common,
            **kwargs,
        )

    def _key_target(
        self, mapper: orm.Mapper[Any], column: inspection.Column
    ) -> tuple[Lookup, str] | None:
        """Where to pick the value of a foreign key without relationship from, and what to take."""
        if len(column.foreign_keys) != 1 or not hasattr(self.view, "lookup_for_table"):
            return None
        try:
            referred = next(iter(column.foreign_keys)).column
        except sa.exc.SQLAlchemyError:
            return None
        return self.view.lookup_for_table(referred)  # type: ignore[no-any-return]

    def _relationship(
        self, mapper: orm.Mapper[Any], prop: orm.RelationshipProperty[Any], kwargs: dict[str, Any]
    ) -> Any:
        if prop.viewonly or prop.lazy in ("dynamic", "write_only"):
            return None
        kwargs["description"] = escape(self._get_description(prop.key, kwargs) or "")  # type: ignore[arg-type]
        is_nullable = relationship_is_nullable(mapper, prop)
        override = self._get_field_override(prop.key)
        if override is not None or "query_factory" in kwargs:
            kwargs["validators"].append(
                wtforms.validators.Optional() if is_nullable else wtforms.validators.InputRequired()
            )
            if override is not None:
                return override(**kwargs)
            kwargs.setdefault("allow_blank", is_nullable)
            return super()._model_select_field(prop, bool(prop.uselist), prop.mapper.class_, **kwargs)
        is_key = any(c.primary_key for c in prop.local_columns) and not prop.uselist and (
            prop.direction is orm.RelationshipDirection.MANYTOONE
        )
        allow_blank = kwargs.pop("allow_blank", None)
        kwargs.pop("get_label", None)
        return PickerField(
            lookup=self.view.lookup_for(prop),
            is_multiple=bool(prop.uselist),
            is_nullable=is_nullable if allow_blank is None else bool(allow_blank),
            is_key=is_key,
            relationship_key=prop.key,
            **kwargs,
        )


def enum_options(type_: sa.Enum) -> list[tuple[Any, Any]]:
    """Values of an Enum type with the words for them."""
    if type_.enum_class is None:
        return [(value, value) for value in type_.enums]
    return [
        (member, member.value if isinstance(member.value, str) else inspection.words(member.name))
        for member in type_.enum_class.__members__.values()
    ]


def relationship_is_nullable(mapper: orm.Mapper[Any], prop: orm.RelationshipProperty[Any]) -> bool:
    """Whether the relationship may be left empty: not when it writes a column that is needed."""
    if prop.direction is not orm.RelationshipDirection.MANYTOONE:
        return True
    return all(getattr(c, "nullable", True) for c in prop.local_columns)


def _scalar_default(column: inspection.Column) -> Any:
    default = getattr(column.column, "default", None)
    if default is not None and getattr(default, "is_scalar", False):
        return default.arg
    return None


_RESERVED = frozenset(dir(flask_admin_form.BaseForm)) | {"_obj", "Meta", "meta"}
"""Names on a form class that a field must not hide; such a field hides behind an underscore."""


def attribute_for(key: str) -> str:
    """The name under which the field of attribute ``key`` stands on the form class."""
    return f"{key}_field" if key in _RESERVED else key


def default_keys(mapper: orm.Mapper[Any]) -> list[str]:
    """The attributes of a form without options, in an order that an operator expects.

    Keys that somebody has to give, then columns in the order of the mapping with each
    relationship in the place of its foreign key, then many-to-many relationships.
    """
    keys: list[str] = []
    covered = inspection.foreign_key_relationships(mapper)
    discriminator = mapper.polymorphic_on
    for column in inspection.columns(mapper).values():
        if column.key.startswith("_"):
            continue
        key = covered.get(column.key, column.key)
        if key == column.key:
            if column.is_primary_key and column.is_generated:
                continue
            if column.column is mapper.version_id_col or column.column is discriminator:
                continue
            if column.is_primary_key and column.foreign_keys and mapper.inherits is not None:
                continue
        if key not in keys:
            keys.append(key)
    for key, relationship in inspection.relationships(mapper).items():
        if key.startswith("_") or key in keys or relationship.viewonly:
            continue
        if relationship.secondary is not None and relationship.lazy not in ("dynamic", "write_only"):
            keys.append(key)
    return keys


def scaffold(
    mapper: orm.Mapper[Any],
    converter: ModelConverter,
    *,
    base_class: type[wtforms.Form],
    only: Sequence[Any] | None = None,
    exclude: Sequence[Any] | None = None,
    field_args: Mapping[str, Any] | None = None,
    extra_fields: Mapping[str, UnboundField[Any]] | None = None,
    ignore_hidden: bool = True,
) -> type[wtforms.Form]:
    """The form class for rows of ``mapper``; the arguments are the ``form_*`` options of a view."""
    extra_fields = extra_fields or {}
    keys = [getattr(k, "key", k) for k in only] if only else default_keys(mapper)
    excluded = {getattr(k, "key", k) for k in exclude or ()}
    fields: dict[str, Any] = {}
    for key in keys:
        if key in extra_fields:
            fields[key] = flask_admin_form.recreate_field(extra_fields[key])
            continue
        if key in excluded or (ignore_hidden and not only and key.startswith("_")):
            continue
        prop = _property(mapper, key)
        field = converter.convert(
            mapper.class_, mapper, key, prop, (field_args or {}).get(key), False
        )
        if field is None:
            continue
        if attribute_for(key) != key and isinstance(field, UnboundField):
            field = UnboundField(field.field_class, *field.args, name=key, **field.kwargs)
        fields[attribute_for(key)] = field
    if not only:
        for key, extra in extra_fields.items():
            fields[key] = flask_admin_form.recreate_field(extra)
    return type(f"{mapper.class_.__name__}Form", (ModelFormMixin, base_class), fields)


def _property(mapper: orm.Mapper[Any], key: str) -> Any:
    if inspection.is_association_proxy(mapper, key):
        return mapper.all_orm_descriptors[key].__get__(None, mapper.class_)
    path = inspection.resolve(mapper, key)
    if path.relationships or (path.column is None and path.relationship is None):
        raise InvalidRequest(f"“{key}” of {mapper.class_.__name__} cannot stand in its form.")
    return mapper.attrs[path.key]
