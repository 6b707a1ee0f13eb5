"""Marks of what a field had shown, by which a later save knows what has happened since.

A page that edits a value carries the mark of what it showed. If the row's value has another mark
when it is saved, somebody else has changed it; if what is sent has the same one, nobody here has.
"""

from __future__ import annotations

import hashlib
from typing import Any

from admin_app.forms.fields import CheckboxField, ChoiceField, ColumnField
from admin_app.forms.pickers import PickerField


def mark(field: Any) -> str:
    """The mark of the value that the row of ``field`` holds now, whatever was sent."""
    return _digest(_shown(field))


def sent_mark(field: Any) -> str | None:
    """The mark of what was sent for ``field``; None for a field that was not sent.

    It equals `mark` when what was sent is what was shown.
    """
    if not field.raw_data:
        return None
    return _digest(_sent(field, [str(value) for value in field.raw_data]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _shown(field: Any) -> str:
    if isinstance(field, CheckboxField):
        return str(bool(field.object_data))
    if isinstance(field, PickerField):
        return "\0".join(sorted(field.shown_texts()))
    if isinstance(field, ColumnField | ChoiceField):
        return _one_line_end(field.shown_text())
    return str(field.object_data)


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
