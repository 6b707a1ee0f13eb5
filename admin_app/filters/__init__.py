"""Filters: conditions on columns and through relationships, in nested groups.

`parse` reads them from the arguments of a URL, checked against a mapper and what may be read;
`arguments` writes them back; `criterion` makes one SQL predicate of them; `words` says them.
`target` tells of a path what can be asked of it. A tree (`Condition`, `Group`) is made of plain
values, so relative periods mean the time at which it is asked.
"""

from __future__ import annotations

from admin_app.filters.arguments import arguments, is_argument, parse
from admin_app.filters.criteria import criterion
from admin_app.filters.operators import OPERATORS, Operator
from admin_app.filters.targets import Target, target, targets, through
from admin_app.filters.tree import (
    EVERYTHING,
    Condition,
    Group,
    adding,
    conditions,
    without,
)
from admin_app.filters.values import ends

__all__ = [
    "EVERYTHING",
    "OPERATORS",
    "Condition",
    "Group",
    "Operator",
    "Target",
    "adding",
    "arguments",
    "conditions",
    "criterion",
    "ends",
    "is_argument",
    "parse",
    "target",
    "targets",
    "through",
    "without",
]
