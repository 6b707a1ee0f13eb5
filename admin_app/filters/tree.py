"""What a list is filtered by, as plain values: conditions, and groups of them.

Nothing here knows a mapper or a database, so a tree can be compared, kept and written as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

KINDS = ("all", "any", "none", "notall")
"""How the members of a group are joined; the last two are the complements of «any» and «all»."""

MEMBER_KINDS = ("some", "no")
"""Kinds of a group that looks through a relationship: some row there, or none, meets all of it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One column or relationship, an operator and its values, all as they stand in a URL.

    ``path`` is dotted through relationships. Several ``values`` mean any of them; a negative
    operator with several means none of them.
    """

    path: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions and groups that are joined; one without members lets every row through.

    ``through`` is the dotted path of relationships that a group of `MEMBER_KINDS` looks through;
    the paths of its members start from there. It is None in any other group.
    """

    kind: str = "all"
    members: tuple[Condition | Group, ...] = ()
    through: str | None = None

    def __bool__(self) -> bool:
        return bool(self.members)


EVERYTHING = Group()
"""No filter at all."""

Place = tuple[int, ...]
"""Where a member stands in a tree: the positions to take from the root down."""


def conditions(group: Group) -> Iterator[Condition]:
    """Every condition in ``group``, however deep."""
    for member in group.members:
        if isinstance(member, Group):
            yield from conditions(member)
        else:
            yield member


def without(group: Group, place: Place) -> Group:
    """``group`` without what stands at ``place``, and without groups that it leaves empty."""
    index, rest = place[0], place[1:]
    members = list(group.members)
    member = members[index]
    kept = without(member, rest) if rest and isinstance(member, Group) else EVERYTHING
    members[index : index + 1] = [kept] if kept else []
    return replace(group, members=tuple(members))


def adding(group: Group, condition: Condition) -> Group:
    """``group`` with ``condition``, in place of one with the same path and operator at the top."""
    key = (condition.path, condition.operator)
    kept = [m for m in group.members if not isinstance(m, Condition) or (m.path, m.operator) != key]
    return replace(group, members=(*kept, condition))
