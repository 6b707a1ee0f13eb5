"""How a form reads an instance and writes it back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import wtforms
from flask_admin.model.fields import InlineFieldList, InlineModelFormField
from sqlalchemy import orm
from sqlalchemy.types import NullType
from werkzeug.datastructures import MultiDict

from admin_app import constraints, inspection
from admin_app.errors import WriteRefused
from admin_app.forms.fields import (
    BinaryField,
    ColumnField,
    ModelFieldMixin,
    ReadOnlyField,
    is_stored,
)
from admin_app.forms.pickers import KeyPickerField, PickerField
from admin_app.forms.structures import JsonCodec


class ModelFormMixin:
    """Reads an instance without loading what the form does not show, and writes only changes."""

    _obj: Any

    def process(
        self,
        formdata: Any = None,
        obj: Any = None,
        data: Any = None,
        extra_filters: Any = None,
        beside: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Fill the fields; ``beside`` are rows that keys of ``obj`` point to, by attribute."""
        formdata = self.meta.wrap_formdata(self, formdata)  # type: ignore[attr-defined]
        values = {**(data or {}), **kwargs}
        filters = extra_filters or {}
        is_editing = obj is not None and is_stored(obj)
        texts = _stored_texts(obj, self._json_codecs()) if is_editing else {}
        for name, field in self._fields.items():  # type: ignore[attr-defined]
            extra = filters.get(name, [])
            key = getattr(field, "name", name).removeprefix(self._prefix)  # type: ignore[attr-defined]
            if isinstance(field, ModelFieldMixin):
                field.is_editing = is_editing
                if is_editing and field.is_key:
                    field.become_readonly()
                if isinstance(field, ColumnField):
                    field.stored_text = texts.get(key)
                if isinstance(field, KeyPickerField):
                    field.known = (beside or {}).get(key)
                if is_editing and isinstance(field, BinaryField) and field.link is not None:
                    field.url = field.link(obj)
                if is_editing and isinstance(field, PickerField) and field.is_multiple:
                    field.process(formdata, field.load(obj), extra_filters=extra)
                    continue
                if is_editing and _shows_size(field):
                    size, digest = _size_of(obj, key)
                    field.process(formdata, size, extra_filters=extra)
                    if isinstance(field, BinaryField):
                        field.object_digest = digest
                    continue
            if getattr(type(field), "is_drawn", False):
                field.process(None)
            elif obj is not None and _has(obj, key):
                field.process(formdata, _read(obj, key), extra_filters=extra)
            elif key in values:
                field.process(formdata, values[key], extra_filters=extra)
            else:
                field.process(formdata, extra_filters=extra)

    def _json_codecs(self) -> dict[str, JsonCodec]:
        """The attributes whose fields are JSON, with their codecs."""
        return {
            field.name.removeprefix(self._prefix): field.codec  # type: ignore[attr-defined]
            for field in self._fields.values()  # type: ignore[attr-defined]
            if isinstance(field, ColumnField)
            and isinstance(field.codec, JsonCodec)
            and not field.is_secret
        }

    def prefill(self, values: MultiDict[str, str]) -> None:
        """Show what the URL of a new row suggests: ``new/?status=open&tags=1,2``."""
        for field in self._fields.values():  # type: ignore[attr-defined]
            key = field.name.removeprefix(self._prefix)  # type: ignore[attr-defined]
            if isinstance(field, ModelFieldMixin) and key in values and key != "url":
                field.prefill(values.getlist(key))

    def copy_unsent(self, original: Any) -> None:
        """Take over from ``original`` what no form can send, and what was sent as it was shown."""
        texts = _stored_texts(original, self._json_codecs())
        for field in self._fields.values():  # type: ignore[attr-defined]
            key = field.name.removeprefix(self._prefix)  # type: ignore[attr-defined]
            if isinstance(field, BinaryField) and not field.is_changed:
                field.data = getattr(original, key)
                field.is_changed = field.data is not None
                field.process_errors = []
            elif isinstance(field, ReadOnlyField) and field.is_of_column:
                field.copy(_in_database(sa.inspect(original), key))
            elif isinstance(field, ColumnField) and not field.is_secret:
                state = sa.inspect(original)
                field.copy(state.dict.get(key), texts.get(key), _in_database(state, key))

    def valid_values(self, mapper: orm.Mapper[Any]) -> dict[str, Any]:
        """By column attribute, what the fields hold that were sent, changed and well-formed."""
        values: dict[str, Any] = {}
        for field in self._fields.values():  # type: ignore[attr-defined]
            key = field.name.removeprefix(self._prefix)  # type: ignore[attr-defined]
            if field.errors or not getattr(field, "is_changed", False):
                continue
            if isinstance(field, ReadOnlyField) or getattr(field, "copied", None) is not None:
                continue
            relationship = inspection.relationships(mapper).get(key)
            if key in inspection.columns(mapper) and not isinstance(field, PickerField):
                values[key] = field.data
            elif relationship is not None and not relationship.uselist:
                values |= constraints.key_values(relationship, field.data)
        return values

    def populate_obj(self, obj: Any) -> None:
        """Set the attributes whose fields were sent and changed; every other one is left alone.

        Raises WriteRefused with what the model's own validators say, field by field.
        """
        objections: dict[str, list[str]] = {}
        for field in self._fields.values():  # type: ignore[attr-defined]
            key = field.name.removeprefix(self._prefix)  # type: ignore[attr-defined]
            if not _writes(field, obj, key):
                continue
            try:
                field.populate_obj(obj, key)
            except ValueError as error:
                objections[key] = [str(error) or "This value is not accepted."]
        if objections:
            raise WriteRefused("Some values are not accepted.", objections)


def _writes(field: Any, obj: Any, key: str) -> bool:
    """Whether ``field`` may set its attribute; our own fields decide by themselves."""
    if isinstance(field, ModelFieldMixin | wtforms.FieldList | wtforms.FormField | _INLINE):
        return True
    if not field.raw_data and not isinstance(field, wtforms.BooleanField):
        return False
    return not _has(obj, key) or not _equal(getattr(obj, key), field.data)


_INLINE = InlineFieldList | InlineModelFormField


def _has(obj: Any, key: str) -> bool:
    """Whether ``obj`` has the attribute, asked without loading it."""
    return hasattr(type(obj), key) or key in getattr(obj, "__dict__", {})


def _read(obj: Any, key: str) -> Any:
    """The value of an attribute; None of a hybrid that may be set and not be read."""
    try:
        return getattr(obj, key)
    except AttributeError:
        if inspection.is_hybrid(sa.inspect(obj).mapper, key):
            return None
        raise


def _equal(one: Any, other: Any) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # a value that cannot be compared has to be written
        return False


def _stored_texts(instance: Any, codecs: Mapping[str, JsonCodec]) -> dict[str, str | None]:
    """JSON columns as the database has them: Python's floats do not keep every number."""
    state = sa.inspect(instance)
    if not codecs or state.session is None:
        return {}
    model = state.mapper.class_
    found = _of_row(state, [codec.stored(getattr(model, key)) for key, codec in codecs.items()])
    return {} if found is None else dict(zip(codecs, found, strict=True))


def _in_database(state: Any, key: str) -> sa.ScalarSelect[Any]:
    """What the row of ``state`` holds, for the database to take without anybody reading it."""
    model = state.mapper.class_
    statement = sa.select(getattr(model, key).label("value"))
    for name, value in zip(inspection.identity_keys(state.mapper), state.identity, strict=True):
        statement = statement.where(getattr(model, name) == value)
    # MariaDB reads the table that it writes from a subquery of a subquery only.
    return sa.select(statement.subquery().c.value).scalar_subquery()


def _of_row(state: Any, expressions: Sequence[Any]) -> Any:
    """What ``expressions`` are in the row of ``state``, without loading anything else of it."""
    model = state.mapper.class_
    statement = sa.select(*expressions)
    for name, value in zip(inspection.identity_keys(state.mapper), state.identity, strict=True):
        statement = statement.where(getattr(model, name) == value)
    return state.session.execute(statement).first()


def _shows_size(field: Any) -> bool:
    return isinstance(field, BinaryField) or isinstance(field, ReadOnlyField) and field.is_binary


def _size_of(instance: Any, key: str) -> tuple[int | None, str]:
    """The size of a binary column, and a digest of content that is not large.

    They are asked of the database; where it makes no digests, small content is read for that.
    """
    state = sa.inspect(instance)
    if key in state.dict and isinstance(state.dict[key], bytes):
        return len(state.dict[key]), _digest(state.dict[key])
    if state.session is None:
        return None, ""
    column = getattr(state.mapper.class_, key)
    size = sa.func.length(column, type_=sa.Integer)
    dialect = state.session.get_bind(mapper=state.mapper).dialect.name
    plain = sa.type_coerce(column, NullType())
    content = sa.func.md5(plain, type_=sa.Text) if dialect == "postgresql" else plain
    found = _of_row(state, [size, sa.case((size <= DIGESTED_BYTES, content))])
    if found is None or found[0] is None:
        return None, ""
    is_made = found[1] is None or isinstance(found[1], str)
    return found[0], (found[1] or "") if is_made else _digest(bytes(found[1]))


DIGESTED_BYTES = 1_000_000
"""Binary content up to this size is told from other of the same size."""


def _digest(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
