"""What a mapper has: columns and relationships with the facts that pages need."""

from __future__ import annotations

import functools
import types
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app.inspection.stored import stored_type


def mapper_of(model: type[Any]) -> orm.Mapper[Any]:
    """The configured mapper of ``model``; TypeError when it is not mapped."""
    mapper = sa.inspect(model, raiseerr=False)
    if not isinstance(mapper, orm.Mapper):
        raise TypeError(f"{model!r} is not a mapped class")
    return mapper


@dataclass(frozen=True, slots=True)
class Column:
    """One mapped column attribute.

    ``key`` is the attribute's name, ``column`` the column that it is loaded from (for a
    ``column_property`` over an expression: the labelled expression, and ``is_expression`` is true).
    """

    key: str
    column: sa.ColumnElement[Any]
    is_expression: bool
    is_primary_key: bool
    is_deferred: bool
    is_readonly: bool
    """The database or the mapper makes the value: Computed, version counter, discriminator."""

    @property
    def type(self) -> sa.types.TypeEngine[Any]:
        return self.column.type

    @property
    def foreign_keys(self) -> Set[sa.ForeignKey]:
        return self.column.foreign_keys

    @property
    def is_nullable(self) -> bool:
        return bool(getattr(self.column, "nullable", True))

    @property
    def comment(self) -> str | None:
        """Help for who fills it in: ``info["help"]``, else the column's comment in the database."""
        info = getattr(self.column, "info", None) or {}
        return info.get("help") or getattr(self.column, "comment", None)

    @property
    def is_generated(self) -> bool:
        """Whether a new row gets a value without anybody giving one."""
        column = self.column
        if not isinstance(column, sa.Column):
            return True
        if column.default is not None or column.server_default is not None or column.identity:
            return True
        table = column.table
        is_counted = isinstance(table, sa.Table) and column is table._autoincrement_column
        # SQLAlchemy 2.0 says so of decimals, too, for which no database counts.
        return is_counted and isinstance(stored_type(column.type), sa.Integer)


@functools.cache
def columns(mapper: orm.Mapper[Any]) -> types.MappingProxyType[str, Column]:
    """The column attributes of ``mapper`` by key, in the order of the mapping, keys first.

    Without those that only repeat the key in the table of a subclass.
    """
    found: list[Column] = []
    version = mapper.version_id_col
    discriminator = mapper.polymorphic_on
    joins, keys = _inheritance_columns(mapper), set(mapper.primary_key)
    for attribute in mapper.column_attrs:
        if joins.issuperset(attribute.columns) and not keys.intersection(attribute.columns):
            continue
        if attribute.key == "_sa_polymorphic_on" or _is_made_by_union(mapper, attribute):
            # No instance has a discriminator that is an expression, or one of a union of tables.
            continue
        column = _own_column(mapper, attribute)
        is_expression = not isinstance(column, sa.Column)
        found.append(
            Column(
                key=attribute.key,
                column=column,
                is_expression=is_expression,
                is_primary_key=any(c in mapper.primary_key for c in attribute.columns),
                is_deferred=attribute.deferred,
                is_readonly=is_expression
                or getattr(column, "computed", None) is not None
                or (version is not None and version in attribute.columns)
                or (discriminator is not None and discriminator in attribute.columns),
            )
        )
    found.sort(key=lambda c: not c.is_primary_key)
    return types.MappingProxyType({c.key: c for c in found})


def _is_made_by_union(mapper: orm.Mapper[Any], attribute: orm.ColumnProperty[Any]) -> bool:
    """Whether the attribute is the discriminator that a union of concrete tables adds to them."""
    made: Any = mapper.polymorphic_on
    is_column = isinstance(made, sa.ColumnClause) and made in attribute.columns
    return is_column and not isinstance(made.table, sa.Table)


def _inheritance_columns(mapper: orm.Mapper[Any]) -> set[sa.ColumnElement[Any]]:
    """The columns by which the tables of a joined-inheritance row are joined."""
    found: set[sa.ColumnElement[Any]] = set()
    for part in mapper.iterate_to_root():
        if part.inherit_condition is not None:
            found.update(
                element
                for element in sa.sql.visitors.iterate(part.inherit_condition)
                if isinstance(element, sa.Column)
            )
    return found


def _own_column(
    mapper: orm.Mapper[Any], attribute: orm.ColumnProperty[Any]
) -> sa.ColumnElement[Any]:
    """Of the columns that one attribute stands for (joined inheritance), the nearest one."""
    for column in attribute.columns:
        if getattr(column, "table", None) is mapper.local_table:
            return column
    return attribute.columns[0]


@functools.cache
def relationships(
    mapper: orm.Mapper[Any],
) -> types.MappingProxyType[str, orm.RelationshipProperty[Any]]:
    """The relationships of ``mapper`` by key."""
    return types.MappingProxyType({r.key: r for r in mapper.relationships})


def is_to_one(relationship: orm.RelationshipProperty[Any]) -> bool:
    """Whether the attribute holds one instance or None."""
    return not relationship.uselist


@functools.cache
def is_joinable(relationship: orm.RelationshipProperty[Any]) -> bool:
    """Whether one statement can reach both sides: Flask-SQLAlchemy's binds are many databases."""

    def bind(mapper: orm.Mapper[Any]) -> Any:
        metadata = getattr(mapper.local_table, "metadata", None)
        on_class = getattr(mapper.class_, "__bind_key__", None)
        return on_class or (metadata.info.get("bind_key") if metadata is not None else None)

    return bool(bind(relationship.parent) == bind(relationship.mapper))


@functools.cache
def foreign_key_relationships(mapper: orm.Mapper[Any]) -> types.MappingProxyType[str, str]:
    """For each foreign key attribute, the many-to-one relationship that writes it.

    An attribute that no relationship writes is absent: it has to be shown and edited itself.
    """
    written: dict[str, str] = {}
    for relationship in mapper.relationships:
        if relationship.direction is not orm.RelationshipDirection.MANYTOONE:
            continue
        if relationship.viewonly:
            continue
        kept = kept_columns(relationship)
        for local in relationship.local_columns:
            key = key_of(mapper, local)
            if key is not None and local.foreign_keys and local not in kept:
                written.setdefault(key, relationship.key)
    return types.MappingProxyType(written)


def may_be_empty(relationship: orm.RelationshipProperty[Any]) -> bool:
    """Whether a row may do without: not when every column that it writes is needed."""
    if relationship.direction is not orm.RelationshipDirection.MANYTOONE:
        return True
    return any(getattr(c, "nullable", True) for c in relationship.local_columns)


def kept_columns(relationship: orm.RelationshipProperty[Any]) -> list[sa.ColumnElement[Any]]:
    """The columns of an optional relationship that have to hold a value without it, too.

    Parts of a composite foreign key that several share, as a tenant or a part of the own key.
    """
    is_ours = relationship.direction is orm.RelationshipDirection.MANYTOONE
    if not is_ours or not may_be_empty(relationship):
        return []
    return [c for c in relationship.local_columns if not getattr(c, "nullable", True)]


@functools.cache
def referred(mapper: orm.Mapper[Any], key: str) -> tuple[orm.Mapper[Any], str] | None:
    """The class and its unique attribute that a foreign key without relationship points to.

    None when the attribute ``key`` is no such foreign key, or when no class maps its target.
    """
    column = columns(mapper)[key]
    if len(column.foreign_keys) != 1 or key in foreign_key_relationships(mapper):
        return None
    foreign_key = next(iter(column.foreign_keys))
    if foreign_key.constraint is not None and len(foreign_key.constraint.elements) > 1:
        return None
    try:
        target = foreign_key.column
    except sa.exc.SQLAlchemyError:
        return None
    if column.is_primary_key and target.table in mapper.tables:
        # It holds the parts of a joined-inheritance row together.
        return None
    owners = [m for m in mapper.registry.mappers if m.local_table is target.table and not m.single]
    for owner in sorted(owners, key=lambda m: m.class_.__qualname__):
        target_key = key_of(owner, target)
        if target_key is not None and _is_unique(owner, target):
            return owner, target_key
    return None


def _is_unique(mapper: orm.Mapper[Any], column: sa.Column[Any]) -> bool:
    if list(mapper.primary_key) == [column] or column.unique:
        return True
    table = column.table
    rules = [*getattr(table, "constraints", ()), *getattr(table, "indexes", ())]
    return any(
        list(rule.columns) == [column]
        for rule in rules
        if isinstance(rule, sa.UniqueConstraint) or getattr(rule, "unique", False)
    )


def composite_keys(mapper: orm.Mapper[Any], key: str) -> tuple[str, ...]:
    """The column attributes that make the ``composite()`` attribute ``key``; () if it is none."""
    composite = mapper.composites.get(key)
    return () if composite is None else tuple(prop.key for prop in composite.props)


@functools.cache
def public_key(mapper: orm.Mapper[Any], key: str) -> str | None:
    """The name by which pages show the column attribute ``key``; None where it is hidden.

    An underscore before a name hides it, unless a synonym or a composite makes it public.
    """
    if not key.startswith("_"):
        return key
    for synonym in mapper.synonyms:
        if synonym.name == key and not synonym.key.startswith("_"):
            return synonym.key
    parts = {k for c in mapper.composites if c.key[0] != "_" for k in composite_keys(mapper, c.key)}
    return key if key in parts else None


@functools.cache
def identity_keys(mapper: orm.Mapper[Any]) -> tuple[str, ...]:
    """The attribute keys of the primary key, in the order of the mapper's identity."""
    return tuple(mapper.get_property_by_column(c).key for c in mapper.primary_key)


def key_of(mapper: orm.Mapper[Any], column: sa.ColumnElement[Any]) -> str | None:
    """The attribute key that ``column`` is mapped under; None when it is not."""
    try:
        return mapper.get_property_by_column(column).key
    except orm.exc.UnmappedColumnError:
        return None


def is_read_only(model: type[Any]) -> str | None:
    """Why rows of ``model`` cannot be written at all, as a sentence; None when they can."""
    if not getattr(model, "__admin_read_only__", False):
        return None
    return getattr(model, "__admin_note__", None) or "This table can be read but not changed here."
