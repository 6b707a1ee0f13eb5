"""Where the path of a condition leads: a column, a relationship or a place in JSON.

Every step is looked up among what the mapper has and the principal may read. What is not there and
what may not be read are refused in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.hybrid import hybrid_property

from admin_app import inspection
from admin_app.errors import InvalidRequest
from admin_app.filters import kinds
from admin_app.filters.operators import OPERATORS, Operator
from admin_app.filters.stored_json import Step
from admin_app.inspection import Path
from admin_app.policy import Reach

MAX_STEPS = 8
"""Relationships that one path may follow."""

Relationship = orm.RelationshipProperty[Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What a condition asks about.

    ``steps`` are the relationships that lead there; ``path`` has them, too, and the attribute.
    ``json_path`` is the rest of the name, a place within JSON. ``referred`` is the class that a
    foreign key without relationship points to, with the attribute that it holds.
    """

    name: str
    path: Path
    kind: kinds.Kind
    json_path: tuple[str, ...] = ()
    referred: tuple[orm.Mapper[Any], str] | None = None

    @property
    def steps(self) -> tuple[Relationship, ...]:
        return self.path.relationships

    @property
    def relationship(self) -> Relationship | None:
        return self.path.relationship

    @property
    def row_mapper(self) -> orm.Mapper[Any] | None:
        """The class whose rows are its values; None for plain columns."""
        if self.path.relationship is not None:
            return self.path.relationship.mapper
        return None if self.referred is None else self.referred[0]

    @property
    def operators(self) -> list[Operator]:
        """What can be asked of it, in the order to offer it."""
        return [OPERATORS[name] for name in self.kind.operators]


def refusal(text: str) -> InvalidRequest:
    return InvalidRequest(f"The list cannot be filtered by “{inspection.shorten(text)}”.")


def target(
    mapper: orm.Mapper[Any], name: str, reach: Reach | None = None, dialect: str = ""
) -> Target:
    """What ``name`` leads to from ``mapper``; InvalidRequest when it leads nowhere."""
    reach = reach or Reach()
    followed, parts = follow(mapper, split(name), name, reach)
    owner = followed[-1].mapper if followed else mapper
    key = parts[0] if parts else ""
    column = inspection.columns(owner).get(_synonym(owner, key))
    if column is not None and len(parts) > 1:
        return _in_json(owner, name, followed, parts, reach)
    if len(parts) != 1:
        raise refusal(name)
    proxied = _proxied(owner, key)
    if proxied is not None:
        found = target(mapper, ".".join([*(r.key for r in followed), proxied]), reach, dialect)
        return Target(name, found.path, found.kind, found.json_path, found.referred)
    require(owner, key, name, reach)
    path = Path(name, tuple(followed), owner, _synonym(owner, key))
    if column is not None:
        return _of_column(name, path, column, reach, dialect)
    relationship = inspection.relationships(owner).get(path.key)
    if relationship is not None:
        _enter(relationship, name, reach)
        return Target(name, _with(path, relationship=relationship), kinds.Row())
    return _of_hybrid(name, path, dialect)


def follow(
    mapper: orm.Mapper[Any], parts: list[str], name: str, reach: Reach
) -> tuple[list[Relationship], list[str]]:
    """The relationships that ``parts`` begin with, but for the last part, and what is left."""
    followed: list[Relationship] = []
    while len(parts) > 1:
        relationship = inspection.relationships(mapper).get(_synonym(mapper, parts[0]))
        if relationship is None:
            break
        if len(followed) == MAX_STEPS:
            raise InvalidRequest(f"A filter follows {MAX_STEPS} relationships at most.")
        require(mapper, parts[0], name, reach)
        _enter(relationship, name, reach)
        followed.append(relationship)
        mapper, parts = relationship.mapper, parts[1:]
    return followed, parts


def through(mapper: orm.Mapper[Any], name: str, reach: Reach | None = None) -> list[Relationship]:
    """The relationships of a dotted path that ends at one."""
    reach = reach or Reach()
    followed, rest = follow(mapper, [*split(name), ""], name, reach)
    if rest != [""] or not followed:
        raise refusal(name)
    return followed


def split(name: str) -> list[str]:
    """The parts of a dotted name; ``\\`` before a sign takes its meaning from it."""
    return re.findall(r"(?:^|(?<=\.))((?:\\.|[^.\\])*)(?:\.|$)", name, re.DOTALL)


def require(mapper: orm.Mapper[Any], key: str, name: str, reach: Reach) -> None:
    """InvalidRequest unless the attribute ``key`` may be read."""
    key = _synonym(mapper, key)
    if not key or inspection.is_secret(key) or not reach.may_read(mapper, key):
        raise refusal(name)


def _enter(relationship: Relationship, name: str, reach: Reach) -> None:
    if not inspection.is_joinable(relationship) or not reach.may_read(relationship.mapper):
        raise refusal(name)


def _synonym(mapper: orm.Mapper[Any], key: str) -> str:
    return str(mapper.synonyms[key].name) if key in mapper.synonyms else key


def _with(path: Path, **given: Any) -> Path:
    return Path(path.name, path.relationships, path.mapper, path.key, **given)


def _of_column(
    name: str, path: Path, column: inspection.Column, reach: Reach, dialect: str
) -> Target:
    path = _with(path, column=column)
    referred = inspection.referred(path.mapper, column.key)
    if referred is not None and reach.may_read(referred[0]):
        return Target(name, path, kinds.Row(), referred=referred)
    # What is not nullable is unknown all the same where the row itself may be missing.
    is_nullable = column.is_nullable or bool(path.relationships)
    kind = kinds.kind_of(column.type, is_nullable=is_nullable, dialect=dialect)
    return Target(name, path, kind)


def _in_json(
    owner: orm.Mapper[Any],
    name: str,
    followed: list[Relationship],
    parts: list[str],
    reach: Reach,
) -> Target:
    key = _synonym(owner, parts[0])
    column = inspection.columns(owner)[key]
    require(owner, key, name, reach)
    if not isinstance(kinds.kind_of(column.type), kinds.Json) or len(parts) > 20:
        raise refusal(name)
    steps = [_step(part, name) for part in parts[1:]]
    path = Path(name, tuple(followed), owner, key, column=column)
    return Target(name, path, kinds.Json(steps), tuple(parts[1:]))


def _step(part: str, name: str) -> Step:
    """A key, or a position: digits are a position unless ``\\`` stands before them."""
    if re.fullmatch(r"[0-9]{1,6}", part):
        return int(part)
    key = re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL)
    # SQLite has no way to write such a key.
    if not key or '"' in key or "\0" in key or any("\ud800" <= c <= "\udfff" for c in key):
        raise refusal(name)
    return key


def _proxied(mapper: orm.Mapper[Any], key: str) -> str | None:
    """The path that an association proxy stands for."""
    if not inspection.is_association_proxy(mapper, key):
        return None
    proxy: Any = mapper.all_orm_descriptors[key]
    return f"{proxy.target_collection}.{proxy.value_attr}"


def _of_hybrid(name: str, path: Path, dialect: str) -> Target:
    descriptor = path.mapper.all_orm_descriptors.get(path.key)
    if not isinstance(descriptor, hybrid_property):
        raise refusal(name)
    try:
        type_ = getattr(path.mapper.class_, path.key).type
    except Exception:  # what a developer wrote for instances may mean nothing for the class
        raise refusal(name) from None
    if isinstance(type_, sa.types.NullType):
        raise refusal(name)
    return Target(name, _with(path, hybrid=descriptor), kinds.kind_of(type_, dialect=dialect))


def targets(
    mapper: orm.Mapper[Any], reach: Reach | None = None, dialect: str = ""
) -> Iterator[Target]:
    """All that rows of ``mapper`` can be filtered by directly: columns, then relationships.

    A foreign key that a relationship writes is left out in its favour.
    """
    covered = inspection.foreign_key_relationships(mapper)
    hybrids = [
        key
        for key, descriptor in mapper.all_orm_descriptors.items()
        if isinstance(descriptor, hybrid_property)
    ]
    for key in (*inspection.columns(mapper), *hybrids, *inspection.relationships(mapper)):
        if key.startswith("_") or key in covered:
            continue
        try:
            yield target(mapper, key, reach, dialect)
        except InvalidRequest:
            continue
