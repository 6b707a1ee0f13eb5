"""Filters as arguments of a URL, and back.

An argument is ``[group:]path__operator=value``. Repeated, it means any of its values; different
ones are joined by AND, or as their group says. The token of a group is its kind with a number
(``any1``), or a relationship with ``~`` or ``!`` and a number: some row there meets all of the
group (``items~1``), or none does. Tokens nest with a dot: ``any1.all1:``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import orm

from admin_app import inspection
from admin_app.errors import InvalidRequest
from admin_app.filters import values
from admin_app.filters.criteria import condition_criterion
from admin_app.filters.operators import OPERATORS
from admin_app.filters.targets import refusal, split, target, through
from admin_app.filters.tree import KINDS, Condition, Group
from admin_app.policy import Reach

MAX_CONDITIONS = 100
MAX_VALUES = 300
"""Values of all conditions together: each link of a page repeats them."""

MAX_DEPTH = 6
"""Groups within groups."""

_MAX_NAME = 500
_SIGNS = {"some": "~", "no": "!"}
_KINDS = {sign: kind for kind, sign in _SIGNS.items()}
_KIND = re.compile(rf"({'|'.join(KINDS)})[0-9]{{1,4}}")
_THROUGH = re.compile(r"(.+)([~!])[0-9]{1,4}", re.DOTALL)
_OLD = re.compile(r"flt[0-9]*_")

Pairs = Iterable[tuple[str, str]]


def is_argument(name: str) -> bool:
    """Whether the argument ``name`` asks for a filter, be it known or not."""
    return "__" in name and not _OLD.match(name)


def parse(
    pairs: Pairs,
    mapper: orm.Mapper[Any],
    reach: Reach,
    notes: list[str],
    *,
    dialect: str = "",
    allowed: Iterable[str] | None = None,
) -> Group:
    """The filters among the arguments of a URL, ``pairs`` of name and value.

    What means nothing is left out and told in ``notes``. Given ``allowed``, a path through a
    relationship has to be one of these names. A tree that comes back can be given to `criterion`
    with the same mapper, reach and dialect.
    """
    reader = _Reader(mapper, reach, notes, dialect, allowed)
    for name, value in pairs:
        if is_argument(name):
            reader.add(name, value)
    return reader.group()


class _Node:
    """A group that is still being read."""

    def __init__(
        self, kind: str, path: str | None, mapper: orm.Mapper[Any], prefix: str = ""
    ) -> None:
        self.kind = kind
        self.through = path
        self.mapper = mapper
        self.prefix = prefix
        self.members: dict[tuple[str, str], _Node | list[str]] = {}

    def group(self) -> Group:
        found: list[Condition | Group] = []
        for (path, operator), member in self.members.items():
            if isinstance(member, _Node):
                inner = member.group()
                found += [inner] if inner else []
            elif member:
                found.append(Condition(path, operator, tuple(member)))
        return Group(self.kind, tuple(found), self.through)


class _Reader:
    def __init__(
        self,
        mapper: orm.Mapper[Any],
        reach: Reach,
        notes: list[str],
        dialect: str,
        allowed: Iterable[str] | None,
    ) -> None:
        self.root = _Node("all", None, mapper)
        self.reach = reach
        self.notes = notes
        self.dialect = dialect
        self.allowed = None if allowed is None else frozenset(allowed)
        self.count = self.values = 0
        self.is_full = False
        self.refused: set[str] = set()

    def group(self) -> Group:
        return self.root.group()

    def add(self, name: str, value: str) -> None:
        if self.is_full or name in self.refused:
            return
        try:
            self._add(name, value)
        except InvalidRequest as error:
            self._note(error.sentence)

    def _note(self, sentence: str) -> None:
        # One sentence tells of a fault; ten thousand would hide the page.
        if sentence not in self.notes and len(self.notes) < 10:
            self.notes.append(sentence)

    def _add(self, name: str, value: str) -> None:
        tokens, path, operator = _parts(name)
        try:
            node = self._node(tokens)
            values_of = self._values(node, path, operator)
        except InvalidRequest:
            self.refused.add(name)
            raise
        if value in values_of:
            return
        if self.values == MAX_VALUES or not values_of and self.count == MAX_CONDITIONS:
            self.is_full = True
            self._note(
                f"Only the first {MAX_CONDITIONS} filters, and {MAX_VALUES} values in all, count."
            )
            return
        self._check(node, path, operator, value)
        self.count += not values_of
        self.values += 1
        values_of.append(value)

    def _values(self, node: _Node, path: str, operator: str) -> list[str]:
        known = node.members.get((path, operator))
        if isinstance(known, list):
            return known
        if operator not in OPERATORS:
            raise InvalidRequest(f"No filter asks “{inspection.shorten(operator)}”.")
        found = target(node.mapper, path, self.reach, self.dialect)
        full = node.prefix + path
        if (found.steps or node.prefix) and self.allowed is not None and full not in self.allowed:
            raise refusal(path)
        added: list[str] = []
        node.members[path, operator] = added
        return added

    def _check(self, node: _Node, path: str, operator: str, value: str) -> None:
        """InvalidRequest unless the condition can be asked."""
        try:
            values.check(value)
        except ValueError as error:
            raise _objection(path, value, str(error)) from None
        condition = Condition(path, operator, (value,))
        if operator not in target(node.mapper, path, self.reach, self.dialect).kind.operators:
            words = OPERATORS[operator].words
            raise InvalidRequest(f"“{path}” cannot be filtered by “{words}”.")
        if OPERATORS[operator].takes == "nothing" and value not in ("", "1"):
            raise _objection(path, value, "It takes no value but 1.")
        try:
            condition_criterion(condition, node.mapper.class_, self.reach, self.dialect)
        except InvalidRequest as error:
            raise _objection(path, value, error.sentence) from None

    def _node(self, tokens: list[tuple[str, str]]) -> _Node:
        node = self.root
        if len(tokens) > MAX_DEPTH:
            raise InvalidRequest(f"Filters nest {MAX_DEPTH} groups deep at most.")
        for token, path in tokens:
            known = node.members.get((token, ""))
            if known is None:
                known = node.members[token, ""] = self._inner(node, token, path)
            assert isinstance(known, _Node)
            node = known
        return node

    def _inner(self, node: _Node, token: str, path: str) -> _Node:
        if not path:
            match = _KIND.fullmatch(token)
            assert match is not None
            return _Node(match[1], None, node.mapper, node.prefix)
        steps = through(node.mapper, path, self.reach)
        sign = token[len(path)]
        return _Node(_KINDS[sign], path, steps[-1].mapper, f"{node.prefix}{path}.")


def _objection(path: str, value: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"The filter of “{inspection.shorten(path)}” by “{inspection.shorten(value)}” "
        f"was left out. {reason}"
    )


def _parts(name: str) -> tuple[list[tuple[str, str]], str, str]:
    """The tokens, the path and the operator of an argument; a token is a pair with its path."""
    if len(name) > _MAX_NAME or any(ord(c) < 32 or "\ud800" <= c <= "\udfff" for c in name):
        raise refusal(name)
    tokens: list[tuple[str, str]] = []
    head = re.match(r"((?:\\.|[^:\\])*):", name)
    if head is not None:
        tokens = _tokens(head[1])
        name = name[head.end() :] if tokens else name
    path, _, operator = name.rpartition("__")
    if not path:
        raise refusal(name)
    return tokens, path, operator


def _tokens(text: str) -> list[tuple[str, str]]:
    """The tokens of groups in ``text``; none of them when it is made of something else, too."""
    tokens: list[tuple[str, str]] = []
    path: list[str] = []
    for part in split(text):
        if not path and _KIND.fullmatch(part):
            tokens.append((part, ""))
            continue
        path.append(part)
        match = _THROUGH.fullmatch(".".join(path))
        if match is not None:
            tokens.append((match[0], match[1]))
            path = []
    return [] if path else tokens


def arguments(group: Group) -> list[tuple[str, str]]:
    """``group``, which joins its members by AND, as arguments of a URL that `parse` reads."""
    return list(_written(group, ""))


def _written(group: Group, prefix: str) -> Iterator[tuple[str, str]]:
    numbers: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()

    def inner(kind: str, sign: str = "") -> str:
        numbers[kind + sign] = numbers.get(kind + sign, 0) + 1
        token = f"{kind}{sign}{numbers[kind + sign]}"
        return f"{prefix}.{token}" if prefix else token

    for member in group.members:
        if isinstance(member, Condition):
            at = prefix
            if (member.path, member.operator) in seen:
                # The same argument again would mean another value of the same condition.
                at = inner("all")
            seen.add((member.path, member.operator))
            name = f"{member.path}__{member.operator}"
            for value in member.values:
                yield f"{at}:{name}" if at else name, value
        elif member.through is not None:
            yield from _written(member, inner(member.through, _SIGNS[member.kind]))
        else:
            yield from _written(member, inner(member.kind))
