"""Which attributes a page shows, orders by and searches when no option says so.

Also how an option names an attribute: as text, dotted through relationships, or as the attribute
of a class itself. Plain functions of a mapper; what a view's options choose is decided there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import inspection
from admin_app.errors import InvalidRequest
from admin_app.inspection import Path

MOST = 10
"""Columns of a list without options; the details page has them all."""

FEW = 5
"""A list with fewer short columns than this is filled up with long texts."""


def shown(
    mapper: orm.Mapper[Any], *, with_key: bool = True, with_hidden: bool = False
) -> list[str]:
    """The attributes of a page about one row: its key, what it is called, then as it is mapped.

    A foreign key stands as the relationship that writes it. ``with_hidden`` takes in names that
    begin with an underscore.
    """
    covered = inspection.foreign_key_relationships(mapper)
    keys: list[str] = []
    for key, column in inspection.columns(mapper).items():
        if not with_hidden and key.startswith("_"):
            continue
        if column.is_primary_key and not with_key:
            continue
        is_whole_key = column.is_primary_key and len(mapper.primary_key) == 1
        name = key if is_whole_key else covered.get(key, key)
        if name not in keys:
            keys.append(name)
    parts = {n for k in inspection.identity_keys(mapper) for n in (k, covered.get(k, k))}
    label = inspection.label(mapper).keys
    return sorted(keys, key=lambda k: 0 if k in parts else 1 if k in label else 2)


def listed(mapper: orm.Mapper[Any], keys: Sequence[str]) -> list[str]:
    """Those of ``keys`` that a list shows: what is short and tells most, in the same order."""
    fitting = {k for k in keys if _fits(mapper, k)}
    # Where there is little else, long texts tell most; many a database knows no short ones.
    texts = [k for k in keys if k not in fitting and _is_open_text(mapper, k)]
    fitting.update(texts[: max(0, FEW - len(fitting))])
    return [k for k in keys if k in fitting][:MOST] or list(keys[:MOST])


def _fits(mapper: orm.Mapper[Any], key: str) -> bool:
    column = inspection.columns(mapper).get(key)
    if column is None or column.is_primary_key or key in inspection.label(mapper).keys:
        return True
    if column.is_deferred or inspection.is_secret(key) or inspection.is_binary(column.type):
        return False
    is_long = isinstance(inspection.stored_type(column.type), sa.Text | sa.JSON | sa.ARRAY)
    return not is_long and column.column is not mapper.version_id_col


def _is_open_text(mapper: orm.Mapper[Any], key: str) -> bool:
    column = inspection.columns(mapper).get(key)
    return (
        column is not None
        and inspection.is_text(column.type)
        and not column.is_deferred
        and not inspection.is_secret(key)
    )


def name_of(mapper: orm.Mapper[Any], attribute: Any) -> str:
    """The dotted name of ``attribute``, given as text or as an attribute of a class.

    An attribute of another class is reached through the first relationship that leads there.
    """
    if isinstance(attribute, str):
        return attribute
    key: str = attribute.key
    owner = getattr(attribute, "class_", None)
    if owner is None or issubclass(mapper.class_, owner):
        return key
    for relationship in mapper.relationships:
        if issubclass(relationship.mapper.class_, owner):
            return f"{relationship.key}.{key}"
    return key


def path_of(mapper: orm.Mapper[Any], name: str) -> Path:
    """Where a column's value is; a name that only a formatter knows leads to itself."""
    try:
        return inspection.resolve(mapper, name)
    except InvalidRequest:
        return Path(name, (), mapper, name)


def sortable(mapper: orm.Mapper[Any], names: Iterable[Any]) -> dict[str, Sequence[Path]]:
    """Which of ``names`` a list may be ordered by, each with the paths that make the order.

    A pair names the column and what it is ordered by, one attribute or several.
    """
    found: dict[str, Sequence[Path]] = {}
    for name in names:
        column, target = name if isinstance(name, tuple) else (name, name)
        targets = target if isinstance(target, tuple | list) else [target]
        with contextlib.suppress(InvalidRequest):
            paths = [inspection.resolve(mapper, name_of(mapper, t)) for t in targets]
            if all(is_sortable(path) for path in paths):
                found[name_of(mapper, column)] = paths
    return found


def is_sortable(path: Path) -> bool:
    """Whether a list can be ordered by ``path``: one value a row, of a type that has an order."""
    if path.is_to_many or not all(map(inspection.is_joinable, path.steps)):
        return False
    if path.relationship is not None or path.hybrid is not None:
        return True
    if path.column is None or inspection.is_binary(path.column.type):
        return False
    return inspection.is_orderable(path.column.type)


def searchable(mapper: orm.Mapper[Any]) -> list[str]:
    """What a search without options looks into: text, and keys by equality."""
    found: list[str] = []
    for key, column in inspection.columns(mapper).items():
        if inspection.is_secret(key) or column.is_deferred or key.startswith("_"):
            continue
        stored = inspection.stored_type(column.type)
        is_key = column.is_primary_key and isinstance(stored, sa.Integer | sa.Uuid)
        if inspection.is_text(column.type) or is_key:
            found.append(key)
    return found
