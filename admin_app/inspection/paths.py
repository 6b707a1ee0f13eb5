"""Dotted names, followed from a mapper through relationships to an attribute."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

from sqlalchemy import orm
from sqlalchemy.ext.associationproxy import AssociationProxy
from sqlalchemy.ext.hybrid import HybridExtensionType, hybrid_property

from admin_app.errors import InvalidRequest
from admin_app.inspection.mapping import Column, columns, relationships


@dataclass(frozen=True, slots=True)
class Path:
    """A dotted name followed from a mapper: relationships, then perhaps an attribute.

    ``relationships`` are in the order they are followed. ``key`` is the last name; ``column`` is
    set when it is a column attribute, ``hybrid`` when a hybrid, ``relationship`` when the path
    ends at a relationship. When none is set the name is an ordinary attribute of the class.
    """

    name: str
    relationships: tuple[orm.RelationshipProperty[Any], ...]
    mapper: orm.Mapper[Any]
    key: str
    column: Column | None = None
    hybrid: hybrid_property[Any] | None = None
    relationship: orm.RelationshipProperty[Any] | None = None

    def __hash__(self) -> int:
        # What is made once for some paths is looked up by them.
        return hash((self.mapper, self.name))

    @property
    def is_to_many(self) -> bool:
        return any(r.uselist for r in self.relationships)

    @property
    def steps(self) -> tuple[orm.RelationshipProperty[Any], ...]:
        """Every relationship on the way, the one that the path ends at included."""
        return (
            self.relationships
            if self.relationship is None
            else (*self.relationships, self.relationship)
        )


@functools.lru_cache(maxsize=4_096)
def resolve(mapper: orm.Mapper[Any], name: str) -> Path:
    """Follow the dotted ``name`` from ``mapper``; InvalidRequest when a step leads nowhere.

    The way of an association proxy is the relationship that it goes through.
    Every step is looked up among the mapper's attributes and the class's own public descriptors,
    so a name from a URL can reach nothing else.
    """
    followed: list[orm.RelationshipProperty[Any]] = []
    *steps, key = name.split(".")
    for step in steps:
        relationship = relationships(mapper).get(step)
        if relationship is None:
            proxy = mapper.all_orm_descriptors.get(step)
            if proxy is None or proxy.extension_type is not HybridExtensionType.HYBRID_PROPERTY:
                raise InvalidRequest(f"{mapper.class_.__name__} has no relationship “{step}”.")
            raise InvalidRequest(f"“{step}” of {mapper.class_.__name__} is not a relationship.")
        followed.append(relationship)
        mapper = relationship.mapper
    path = functools.partial(Path, name, tuple(followed), mapper)
    if key in mapper.synonyms:
        key = mapper.synonyms[key].name
    if key in columns(mapper):
        return path(key, column=columns(mapper)[key])
    if key in relationships(mapper):
        return path(key, relationship=relationships(mapper)[key])
    descriptor = mapper.all_orm_descriptors.get(key)
    if isinstance(descriptor, hybrid_property):
        return path(key, hybrid=descriptor)
    far = _through(mapper, descriptor) if isinstance(descriptor, AssociationProxy) else None
    if far is not None:
        way = (*followed, *far.relationships)
        return dataclasses.replace(far, name=name, relationships=way)
    if (
        not key.startswith("_")
        and hasattr(mapper.class_, key)
        and key not in ("metadata", "registry")
    ):
        return path(key)
    raise InvalidRequest(f"{mapper.class_.__name__} has no attribute “{key}”.")


def _through(mapper: orm.Mapper[Any], proxy: AssociationProxy[Any]) -> Path | None:
    """Where an association proxy of ``mapper`` leads, by relationships; None where it cannot."""
    near = relationships(mapper).get(proxy.target_collection)
    if near is None:
        return None
    try:
        far = resolve(near.mapper, proxy.value_attr)
    except InvalidRequest:
        return None
    return dataclasses.replace(far, relationships=(near, *far.relationships))


def is_hybrid(mapper: orm.Mapper[Any], key: str) -> bool:
    return isinstance(mapper.all_orm_descriptors.get(key), hybrid_property)


def is_association_proxy(mapper: orm.Mapper[Any], key: str) -> bool:
    return isinstance(mapper.all_orm_descriptors.get(key), AssociationProxy)
