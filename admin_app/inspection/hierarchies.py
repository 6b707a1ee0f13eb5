"""Classes that inherit: which of them a row may be of, and what a key means among them."""

from __future__ import annotations

import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm


def subtypes(mapper: orm.Mapper[Any]) -> dict[str, orm.Mapper[Any]]:
    """The classes that a new row in the list of ``mapper`` may be of, by their discriminator.

    Its own class is among them where it has rows of its own. Empty where no class sets a
    discriminator: there is none, it is computed, or the subclasses have rows elsewhere.
    """
    # A discriminator that is an expression over other columns is set by setting these.
    if not isinstance(mapper.polymorphic_on, sa.ColumnClause):
        return {}
    return {
        identity.name if isinstance(identity, enum.Enum) else str(identity): heir
        for heir in mapper.self_and_descendants
        if (identity := heir.polymorphic_identity) is not None
        and not heir.polymorphic_abstract
        and isinstance(heir.local_table, sa.Table)
    }


def is_union(mapper: orm.Mapper[Any]) -> bool:
    """Whether the rows of ``mapper`` are those of several tables, which may have equal keys."""
    if not isinstance(mapper.polymorphic_on, sa.ColumnClause):
        return False
    return any(heir.concrete for heir in mapper.self_and_descendants if heir is not mapper)


def own_rows(mapper: orm.Mapper[Any]) -> list[sa.ColumnElement[bool]]:
    """What tells the rows that a key of ``mapper`` can mean: in a union, those of its own table."""
    if not is_union(mapper):
        return []
    if mapper.polymorphic_identity is None or not isinstance(mapper.local_table, sa.Table):
        return [sa.false()]
    discriminator: Any = mapper.polymorphic_on
    return [discriminator == mapper.polymorphic_identity]
