"""Filters as an operator would say them: «Customer country is FR»."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import filters, inspection, listing
from admin_app.errors import InvalidRequest, NotFound
from admin_app.filters import Condition, Group, Operator, Target
from admin_app.filters.kinds import Boolean, Row
from admin_app.inspection import shorten

Labels = Mapping[tuple[orm.Mapper[Any], str], str]
"""What rows are called, by their class and identity text."""

_KINDS = {"all": "All of", "any": "Any of", "none": "None of", "notall": "Not all of"}


def label(view: Any, path: str, prefix: str = "") -> str:
    """The words for a path; ``prefix`` is where a group looks from, of which nothing is said."""
    known = (view.column_labels or {}).get(prefix + path)
    if known is not None:
        return str(known)
    return str(view.get_column_name(path)) if not prefix else inspection.words(path)


def asks(operator: Operator, target: Target) -> str:
    """What ``operator`` asks of ``target``, as it stands behind its label."""
    relationship = target.relationship
    if relationship is not None and relationship.uselist:
        return _OF_MANY[operator.name]
    return operator.words_for(target.kind)


_OF_MANY = {
    "is": "include",
    "not": "do not include",
    "filled": "are there",
    "empty": "are not there",
}


def value(target: Target, operator: Operator, text: str, labels: Labels) -> str:
    """One value of a condition in words."""
    if operator.takes == "nothing":
        return ""
    mapper = target.row_mapper
    if mapper is not None:
        return labels.get((mapper, text), text)
    try:
        if operator.takes == "range":
            joint = " and " if operator.name == "between" else " to "
            return joint.join(target.kind.words(end) for end in filters.ends(text) if end)
        return target.kind.words(text)
    except ValueError:
        return text


def condition(
    view: Any, mapper: orm.Mapper[Any], item: Condition, labels: Labels, prefix: str = ""
) -> tuple[str, str]:
    """A condition in words: what is asked, and the values."""
    found = filters.target(mapper, item.path, dialect=view.dialect_name())
    operator = filters.OPERATORS[item.operator]
    if operator.takes == "range" and item.values[0].startswith(".."):
        operator = filters.OPERATORS["lte"]
    elif operator.takes == "range" and item.values[0].endswith(".."):
        operator = filters.OPERATORS["gte"]
    words = [shorten(value(found, operator_of(item), text, labels), 40) for text in item.values]
    shown = " or ".join(words[:3]) + (f" or {len(words) - 3} others" if len(words) > 3 else "")
    noun, asked = label(view, item.path, prefix), asks(operator, found)
    # «Is express: yes», for such a name asks already.
    is_told = isinstance(found.kind, Boolean) and operator.name == "is"
    return f"{noun}:" if is_told else f"{noun} {asked}", shown


def operator_of(item: Condition) -> Operator:
    return filters.OPERATORS[item.operator]


def group(
    view: Any, mapper: orm.Mapper[Any], item: Group, labels: Labels, prefix: str = ""
) -> tuple[str, str]:
    """A group in words: how its members are joined, and the members."""
    lead = _KINDS.get(item.kind, "")
    if item.through is not None:
        noun = label(view, item.through, prefix)
        lead = f"{'Some' if item.kind == 'some' else 'None'} of {noun[:1].lower()}{noun[1:]}"
        prefix = f"{prefix}{item.through}."
        mapper = filters.through(mapper, item.through)[-1].mapper
    joint = " or " if item.kind in ("any", "none") else " and "
    members = item.members
    return f"{lead}:", joint.join(_within(view, mapper, m, labels, prefix) for m in members)


def _within(
    view: Any, mapper: orm.Mapper[Any], item: Condition | Group, labels: Labels, prefix: str = ""
) -> str:
    """A member as it stands in the middle of a sentence."""
    text, value = member(view, mapper, item, labels, prefix)
    if isinstance(item, Group):
        text, value = text.removesuffix(":"), f"({value})"
    # The initial of a name such as VAT stays.
    is_name = text[1:2].isupper()
    return f"{text if is_name else text[:1].lower() + text[1:]} {value}".strip()


def member(
    view: Any, mapper: orm.Mapper[Any], item: Condition | Group, labels: Labels, prefix: str = ""
) -> tuple[str, str]:
    """A condition or a group in words, in two parts."""
    if isinstance(item, Group):
        return group(view, mapper, item, labels, prefix)
    return condition(view, mapper, item, labels, prefix)


# Rows by their labels


def rows_named(
    mapper: orm.Mapper[Any], tree: Group, dialect: str = ""
) -> Iterator[tuple[orm.Mapper[Any], str]]:
    """The rows that the conditions of ``tree`` name, by class and identity text."""
    for item in tree.members:
        if isinstance(item, Group):
            inner = filters.through(mapper, item.through)[-1].mapper if item.through else mapper
            yield from rows_named(inner, item, dialect)
            continue
        found = filters.target(mapper, item.path, dialect=dialect)
        if isinstance(found.kind, Row) and operator_of(item).takes == "value":
            assert found.row_mapper is not None
            yield from ((found.row_mapper, text) for text in item.values)


def labels(view: Any, tree: Group, most: int | None = 1) -> Labels:
    """What the rows that ``tree`` names are called, where the visitor may know it.

    Rows that the session holds cost nothing; the others one statement a class, ``most`` at most.
    """
    session, found = view.get_session(), {}
    missing: dict[orm.Mapper[Any], dict[str, tuple[Any, ...]]] = {}
    for mapper, text in rows_named(view.mapper, tree, view.dialect_name()):
        try:
            identity = inspection.identity_text(mapper).decode(text)
        except NotFound:
            continue
        known = session.identity_map.get(orm.util.identity_key(mapper.class_, identity))
        if known is not None and not sa.inspect(known).expired:
            found[mapper, text] = inspection.label(mapper).of(known)
        else:
            missing.setdefault(mapper, {})[text] = identity
    for mapper in list(missing)[:most]:
        rows = _fetched(view, mapper, list(missing[mapper].values()))
        text_of = inspection.identity_text(mapper)
        found.update({(mapper, text_of.of(row)): inspection.label(mapper).of(row) for row in rows})
    return found


def _fetched(view: Any, mapper: orm.Mapper[Any], identities: list[tuple[Any, ...]]) -> list[Any]:
    related = view.view_of(mapper)
    if related is not None and not related.may("view"):
        return []
    rows = related.get_listing() if related is not None else listing.Listing(mapper)
    return rows.many(view.get_session(), identities[:100])


def sentence(view: Any, tree: Group, known: Labels) -> str:
    """All of a tree in one sentence, without its noun: «where … and …»."""
    parts = []
    for item in tree.members:
        try:
            parts.append(_within(view, view.mapper, item, known))
        except InvalidRequest:
            continue
    return " and ".join(parts)
