"""The form that makes filters: what was entered in it, and the tree that this makes.

Its fields are named by their place: ``w.2.column``, ``w.2.operator`` and ``w.2.value`` are the
second line, ``w.3.1.column`` is the first line of the group that stands third, and ``w.3.kind``
says how that joins its lines. What is nested deeper stands as it is, in ``w.4.keep``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from sqlalchemy import orm

from admin_app import filters, inspection
from admin_app.errors import InvalidRequest
from admin_app.filters import Condition, Group, Operator, Target, periods
from admin_app.filters.tree import KINDS
from admin_app.policy import Reach

MOST = 100
"""Lines and groups of one form."""

_NAME = re.compile(
    r"w\.(?:([0-9]{1,3})\.)?(?:([0-9]{1,3})\.)?(column|operator|value|kind|keep|was)"
)


@dataclass
class Line:
    """One condition as it was entered; ``was`` is the column that its other fields belong to."""

    column: str = ""
    operator: str = ""
    values: list[str] = field(default_factory=list)
    was: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.column


@dataclass
class Kept:
    """What the form cannot show, as arguments of a URL."""

    text: str


@dataclass
class Box:
    """Lines that are joined by ``kind``, behind the relationships ``through`` if these are set."""

    kind: str = "all"
    through: str = ""
    lines: list[Line | Kept | Box] = field(default_factory=list)

    @property
    def joint(self) -> str:
        """The kind as the form sends it."""
        return f"{self.kind}:{self.through}" if self.through else self.kind

    @joint.setter
    def joint(self, text: str) -> None:
        kind, _, through = text.partition(":")
        if through and kind in ("some", "no") or not through and kind in KINDS:
            self.kind, self.through = kind, through


# From a tree, and from the request


def box_of(tree: Group) -> Box:
    """The form that shows ``tree``."""
    only = tree.members[0] if len(tree.members) == 1 else None
    if isinstance(only, Group) and only.through is None:
        tree = only
    return Box(tree.kind, "", [_shown(member) for member in tree.members])


def _shown(member: Condition | Group) -> Line | Kept | Box:
    if isinstance(member, Condition):
        return _line(member)
    if any(isinstance(inner, Group) for inner in member.members):
        return Kept(urlencode(filters.arguments(Group("all", (member,)))))
    lines: list[Line | Kept | Box] = [
        _line(inner) for inner in member.members if isinstance(inner, Condition)
    ]
    return Box(member.kind, member.through or "", lines)


def _line(item: Condition) -> Line:
    operator = filters.OPERATORS[item.operator]
    values = list(item.values)
    if operator.takes == "range":
        values = [end for text in values for end in text.split("..", 1)]
    return Line(item.path, item.operator, values, item.path)


def sent(pairs: Iterable[tuple[str, str]]) -> Box:
    """The form as it was sent."""
    top = Box()
    places: dict[int, Line | Kept | Box] = {}
    inner: dict[int, dict[int, Line]] = {}
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        if match is None or len(places) + sum(map(len, inner.values())) > MOST:
            continue
        first, second, what = match.groups()
        if first is None:
            top.joint = value
        elif second is not None:
            _fill(inner.setdefault(int(first), {}).setdefault(int(second), Line()), what, value)
        elif what == "kind":
            box = Box()
            box.joint = value
            places[int(first)] = box
        elif what == "keep":
            places[int(first)] = Kept(value)
        else:
            line = places.setdefault(int(first), Line())
            if isinstance(line, Line):
                _fill(line, what, value)
    for number, lines in inner.items():
        found = places.get(number)
        if isinstance(found, Box):
            found.lines = [lines[n] for n in sorted(lines)]
    top.lines = [places[n] for n in sorted(places)]
    return top


def _fill(line: Line, what: str, value: str) -> None:
    if what == "value":
        line.values.append(value)
    elif what in ("column", "operator", "was"):
        setattr(line, what, value)


def changed(top: Box, do: str) -> None:
    """Do what a button of the form says: ``add``, ``add.3``, ``group``, ``drop.2``, ``or.1``."""
    what, _, place = do.partition(".")
    at = [int(n) - 1 for n in place.split(".") if n.isdigit() and len(n) < 4]
    box = _member(top, at[:-1]) if what in ("drop", "or") else _member(top, at)
    if not isinstance(box, Box):
        return
    if what == "add":
        box.lines.append(Line())
    elif what == "group":
        box.lines.append(Box("any", "", [Line()]))
    elif at and 0 <= at[-1] < len(box.lines):
        line = box.lines[at[-1]]
        if what == "drop":
            del box.lines[at[-1]]
        elif what == "or" and isinstance(line, Line):
            line.values.append("")


def _member(box: Box, at: list[int]) -> Any:
    found: Any = box
    for index in at:
        if not isinstance(found, Box) or not 0 <= index < len(found.lines):
            return None
        found = found.lines[index]
    return found


# What can be asked


@dataclass(frozen=True)
class Reader:
    """Knows what the form is about: a class, what may be read, and the paths that it offers."""

    mapper: orm.Mapper[Any]
    reach: Reach
    dialect: str
    allowed: Iterable[str] | None = None

    def mapper_behind(self, through: str) -> orm.Mapper[Any]:
        """The class that a group looks at; InvalidRequest where its path leads nowhere."""
        if not through:
            return self.mapper
        return filters.through(self.mapper, through, self.reach)[-1].mapper

    def target(self, through: str, column: str) -> Target | None:
        """What a line asks about; None where that means nothing."""
        try:
            mapper = self.mapper_behind(through)
            return filters.target(mapper, column, self.reach, self.dialect)
        except InvalidRequest:
            return None

    def tree(self, top: Box) -> tuple[Group, list[str]]:
        """The tree that the form makes, and what is wrong with it."""
        errors: list[str] = []
        members = [
            made for item in top.lines for made in self._members(item, errors) if made is not None
        ]
        tree = Group("all", tuple(members))
        if top.kind != "all" and members:
            tree = Group("all", (replace(tree, kind=top.kind),))
        pairs = filters.arguments(tree)
        read = filters.parse(
            pairs, self.mapper, self.reach, errors, dialect=self.dialect, allowed=self.allowed
        )
        return read, errors

    def _members(
        self, item: Line | Kept | Box, errors: list[str]
    ) -> Iterator[Condition | Group | None]:
        if isinstance(item, Line):
            yield self._condition(item, "", errors)
        elif isinstance(item, Kept):
            pairs = parse_qsl(item.text, keep_blank_values=True)
            yield from filters.parse(
                pairs, self.mapper, self.reach, errors, dialect=self.dialect, allowed=self.allowed
            ).members
        else:
            made = [
                self._condition(line, item.through, errors)
                for line in item.lines
                if isinstance(line, Line)
            ]
            inner = tuple(condition for condition in made if condition is not None)
            yield Group(item.kind, inner, item.through or None) if inner else None

    def _condition(self, line: Line, through: str, errors: list[str]) -> Condition | None:
        found = self.target(through, line.column)
        if found is None:
            if not line.is_blank:
                errors.append(
                    f"The list cannot be filtered by “{inspection.shorten(line.column)}”."
                )
            return None
        operator = operator_of(line, found)
        values = _values(line, operator, found)
        if not values:
            errors.append(f"{inspection.words(line.column)}: there is no value yet.")
            return None
        return Condition(line.column, operator.name, tuple(dict.fromkeys(values)))


def operator_of(line: Line, found: Target) -> Operator:
    """The operator of a line, or the first that its column has."""
    known = {operator.name: operator for operator in found.operators}
    return known.get(line.operator) or next(iter(known.values()))


def _values(line: Line, operator: Operator, found: Target) -> list[str]:
    if operator.takes == "nothing":
        return ["1"]
    if line.was and line.was != line.column:
        return []
    if operator.takes == "range":
        ends = [*line.values, ""] if len(line.values) % 2 else line.values
        pairs = zip(ends[::2], ends[1::2], strict=True)
        return [f"{first}..{last}" for first, last in pairs if first or last]
    if found.row_mapper is not None:
        return [unquote(text) for value in line.values for text in value.split(",") if text.strip()]
    if operator.takes == "period":
        return [periods.canonical(value) for value in line.values if value]
    return [value for value in line.values if value]


def joined_rows(texts: Iterable[str]) -> str:
    """Identity texts as a picker of several rows sends them."""
    return ",".join(quote(text, safe="") for text in texts)
