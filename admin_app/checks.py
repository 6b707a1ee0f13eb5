"""What an admin cannot do with its models, found without a request: ``flask admin check``.

Each finding has an id that stays the same, so that a script can look for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from admin_app import forms, inspection


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a developer should know: where it is, what it means, what helps."""

    id: str
    where: str
    sentence: str
    hint: str

    def __str__(self) -> str:
        return f"{self.id}  {self.where}: {self.sentence}\n      {self.hint}"


def findings(admin: Any) -> list[Finding]:
    """Everything that is found about the models of ``admin``, in the order of its views."""
    found: list[Finding] = []
    for view in admin.views_by_model.values():
        if view.read_only_note is None:
            for column in inspection.columns(view.mapper).values():
                found += _about_type(view, column)
    return found


def _about_type(view: Any, column: inspection.Column) -> Iterator[Finding]:
    if column.is_readonly or _is_typed(view, column):
        return
    where = f"{view.model.__name__}.{column.key}"
    name = _name(column.type)
    if isinstance(column.type, sa.PickleType):
        yield Finding(
            "types.W002",
            where,
            "holds pickles, which are never read here: pages show their size.",
            "A JSON column can be shown and edited.",
        )
    else:
        yield Finding(
            "types.W001",
            where,
            f"is of the type {name}, which nobody can type: pages show it and forms do not take "
            "it.",
            f"Name a field for it: form_overrides = {{{column.key!r}: …}}, or leave it out.",
        )
    if not column.is_nullable and not column.is_generated:
        yield Finding(
            "types.W003",
            where,
            "needs a value that no form can give, so no row can be created.",
            "Give the column a default, name a field for it, or set can_create = False.",
        )


def _is_typed(view: Any, column: inspection.Column) -> bool:
    """Whether forms have a field for values of the column."""
    if column.key in (getattr(view, "form_overrides", None) or {}):
        return True
    if inspection.is_binary(column.type) and not inspection.is_decorated(column.type):
        return True
    return forms.codec_for(column.type) is not None


def _name(type_: sa.types.TypeEngine[Any]) -> str:
    try:
        return repr(type_)[:80]
    except Exception:  # a type of the host's, whose fault must not hide the finding
        return type(type_).__name__
