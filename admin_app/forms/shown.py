"""Marks of what a field had shown, by which a later save knows what has happened since.

A page that edits a value carries the mark of what it showed. If the row's value has another mark
when it is saved, somebody else has changed it; if what is sent has the same one, nobody here has.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

from admin_app.forms.fields import BinaryField, CheckboxField, ChoiceField, ColumnField
from admin_app.forms.pickers import PickerField


def mark(field: Any) -> str:
    """The mark of the value that the row of ``field`` holds now, whatever was sent."""
    return _digest(shown_text(field))


def sent_mark(field: Any) -> str | None:
    """The mark of what was sent for ``field``; None for a field that was not sent.

    It equals `mark` when what was sent is what was shown.
    """
    text = sent_text(field)
    return None if text is None else _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def shown_text(field: Any) -> str:
    """What a form shows of the value that the row of ``field`` holds now, whatever was sent.

    Several keys are joined by NUL, which none can hold.
    """
    if isinstance(field, CheckboxField):
        return str(bool(field.object_data))
    if isinstance(field, PickerField):
        return "\0".join(sorted(field.shown_texts()))
    if isinstance(field, ColumnField | ChoiceField):
        return _one_line_end(field.shown_text())
    if isinstance(field, BinaryField):
        return f"{field.object_data} {field.object_digest}".rstrip()
    return str(field.object_data)


def sent_text(field: Any) -> str | None:
    """What was sent for ``field``, written as in `shown_text`; None where nothing was."""
    return _sent(field, [str(value) for value in field.raw_data]) if field.raw_data else None


def values_for(field: Any, text: str) -> list[str]:
    """What a form sends for ``field`` when it shows ``text``, which is a `shown_text`."""
    if isinstance(field, PickerField) and field.is_multiple:
        return [",".join(quote(key, safe="") for key in text.split("\0") if key)]
    return [text]


def _sent(field: Any, values: list[str]) -> str:
    if isinstance(field, CheckboxField):
        return str(field.is_ticked(values))
    if isinstance(field, PickerField):
        return "\0".join(sorted(field.sent_texts(values)))
    if isinstance(field, ColumnField | ChoiceField):
        return _one_line_end(values[0])
    # A host's own field: what it would read of it is compared, not what was typed.
    return str(field.data)


def _one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
