"""The words of a search, and the condition that each of them makes of a path."""

from __future__ import annotations

import re
import uuid
from typing import Any

import sqlalchemy as sa

from admin_app import inspection
from admin_app.errors import InvalidRequest
from admin_app.inspection import Path

MAX_WORDS = 20
MAX_SEARCH_LENGTH = 1_000

_WORDS = re.compile(r'([=^]?)(?:"([^"]*)"|(\S+))')


def cleaned(text: str, notes: list[str]) -> str:
    """``text`` as it is searched for; InvalidRequest when no database could take it."""
    text = text.strip()
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidRequest("The search holds a character that no column can hold.")
    if len(text) > MAX_SEARCH_LENGTH:
        notes.append(f"Only the first {MAX_SEARCH_LENGTH:,} characters were searched for.")
        text = text[:MAX_SEARCH_LENGTH]
    if len(_WORDS.findall(text)) > MAX_WORDS:
        notes.append(f"Only the first {MAX_WORDS} words were searched for.")
    return text


def words(text: str) -> list[str]:
    """The words of a search, each with its ``=`` or ``^`` before it; quotes keep a phrase whole."""
    found = [sign + (quoted or word) for sign, quoted, word in _WORDS.findall(text)]
    return [w for w in found if w not in ("", "=", "^")][:MAX_WORDS]


def condition(entity: Any, path: Path, word: str) -> sa.ColumnElement[bool] | None:
    """That ``path`` of ``entity`` matches ``word``; None where it never can."""
    if path.relationship is not None:
        mapper = inspection.mapper_of(entity)
        labels = [
            condition(entity, inspection.resolve(mapper, f"{path.name}.{key}"), word)
            for key in inspection.label(path.relationship.mapper).keys
        ]
        fitting = [label for label in labels if label is not None]
        return sa.or_(*fitting) if fitting else None
    targets = [entity, *(r.mapper.class_ for r in path.relationships)]
    found = _word_condition(getattr(targets[-1], path.key), path, word)
    if found is None:
        return None
    for relationship, owner in zip(
        reversed(path.relationships), reversed(targets[:-1]), strict=True
    ):
        attribute = getattr(owner, relationship.key)
        found = attribute.any(found) if relationship.uselist else attribute.has(found)
    return found


def _word_condition(attribute: Any, path: Path, word: str) -> sa.ColumnElement[bool] | None:
    sign, bare = (word[0], word[1:]) if word[0] in "=^" and len(word) > 1 else ("", word)
    type_ = path.column.type if path.column is not None else attribute.type
    stored = inspection.stored_type(type_)
    if isinstance(stored, sa.Integer):
        number = int(bare) if re.fullmatch(r"-?[0-9]{1,18}", bare) else None
        return None if number is None else attribute == number
    if isinstance(stored, sa.Uuid):
        try:
            value = uuid.UUID(bare)
        except ValueError:
            return None
        return attribute == (value if stored.as_uuid else str(value))  # type: ignore[no-any-return]
    if isinstance(stored, sa.Enum):
        fits = [
            stored.enum_class[name] if stored.enum_class else name
            for name in (stored.enum_class.__members__ if stored.enum_class else stored.enums)
            if bare.lower() in str(name).lower()
        ]
        return attribute.in_(fits) if fits else None
    if inspection.is_text(type_):
        text: Any = sa.type_coerce(attribute, sa.String())
    elif isinstance(stored, sa.Boolean | sa.LargeBinary | sa.JSON):
        return None
    else:
        text = sa.cast(attribute, sa.String())
    if sign == "=":
        return text == bare  # type: ignore[no-any-return]
    pattern = re.sub(r"([%_\\])", r"\\\1", bare)
    return text.ilike(f"{pattern}%" if sign == "^" else f"%{pattern}%", escape="\\")  # type: ignore[no-any-return]
