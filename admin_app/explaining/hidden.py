"""Which values of a statement tell of columns that a principal may not read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.sql import elements

from admin_app import inspection

MASK = "••••••"


class Hidden:
    """The columns of the classes around ``mapper`` that ``may_read`` says no to, and secrets."""

    def __init__(self, mapper: orm.Mapper[Any], may_read: Callable[..., bool]) -> None:
        self.may_read = may_read
        self.owners: dict[Any, orm.Mapper[Any]] = {}
        for owner in sorted(mapper.registry.mappers, key=lambda m: m.single):
            self.owners.setdefault(owner.local_table, owner)

    def is_in(self, element: Any) -> bool:
        """Whether ``element`` has such a column in it."""
        return any(
            self._is_hidden(part)
            for part in sa.sql.visitors.iterate(element)
            if isinstance(part, elements.ColumnClause)
        )

    def _is_hidden(self, column: elements.ColumnClause[Any]) -> bool:
        base = next(iter(column.base_columns))
        owner = self.owners.get(getattr(base, "table", None))
        key = None if owner is None else inspection.key_of(owner, base)
        if owner is None or key is None:
            return inspection.is_secret(column.name)
        return inspection.is_secret(key) or not self.may_read(owner, key)

    def values(self, statement: sa.Select[Any]) -> list[Any]:
        """The values that are compared with such a column.

        Values, and not names: when a statement is compiled, parts of it are copied and named anew.
        """
        found: list[Any] = []
        for part in sa.sql.visitors.iterate(statement):
            if isinstance(part, elements.BinaryExpression) and self.is_in(part):
                for bind in sa.sql.visitors.iterate(part):
                    if isinstance(bind, elements.BindParameter):
                        value = bind.effective_value
                        found += value if isinstance(value, list | tuple) else [value]
        return found
