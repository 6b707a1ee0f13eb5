"""What a list is ordered by, as expressions and the joins that they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import inspection
from admin_app.errors import InvalidRequest
from admin_app.inspection import Path
from admin_app.listing.loading import Statement, members_count


def sort_expressions(
    statement: Statement, model: Any, path: Path
) -> tuple[Statement, list[sa.ColumnElement[Any]]]:
    """``statement`` with the outer joins that ``path`` needs, and what to order it by."""
    if path.is_to_many:
        raise InvalidRequest(f"“{path.name}” has many values in a row; it gives no order.")
    entity = model
    relationships = list(path.relationships)
    keys: Sequence[str] = [path.key]
    if path.relationship is not None:
        if path.relationship.uselist:
            return statement, [members_count(entity, path.relationship)]
        target = path.relationship.mapper
        keys = inspection.label(target).keys
        if not keys:
            local = [
                getattr(entity, k)
                for c in path.relationship.local_columns
                if not relationships and (k := inspection.key_of(path.relationship.parent, c))
            ]
            if local:
                return statement, local
        relationships.append(path.relationship)
    for relationship in relationships:
        target_alias = orm.aliased(relationship.mapper)
        statement = statement.outerjoin(
            target_alias, getattr(entity, relationship.key).of_type(target_alias)
        )
        entity = target_alias
    keys = keys or inspection.identity_keys(relationships[-1].mapper)
    return statement, [getattr(entity, k) for k in keys]
