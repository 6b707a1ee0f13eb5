"""What a mapped class is, asked of SQLAlchemy's mapper and of nothing else.

Columns and relationships with the facts that pages need (`columns`, `relationships`), the words
for them (`words`, `plural`), the way an identity is written in a URL and read back
(`IdentityText`), and how a row is called (`Label`), with the relationships that its ``__str__``
will touch, so that a list can load them in advance.

All of it depends on the mapping alone, so it is worked out once per mapper and kept.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import inspect
import re
import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import default as default_dialect
from sqlalchemy.ext.associationproxy import AssociationProxy
from sqlalchemy.ext.hybrid import HybridExtensionType, hybrid_property

from admin_app.errors import InvalidRequest, NotFound

INT64 = range(-(2**63), 2**63)
BINARY = (sa.LargeBinary, sa.BINARY, sa.VARBINARY)

DIALECT = default_dialect.DefaultDialect()
"""TypeDecorators are asked for their stored form under a neutral dialect."""


def mapper_of(model: type[Any]) -> orm.Mapper[Any]:
    """The configured mapper of ``model``; TypeError when it is not mapped."""
    mapper = sa.inspect(model, raiseerr=False)
    if not isinstance(mapper, orm.Mapper):
        raise TypeError(f"{model!r} is not a mapped class")
    return mapper


def stored_type(type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """The type that reaches the database: a TypeDecorator's ``impl``, what a domain is made of."""
    while True:
        if is_decorated(type_):
            type_ = type_.impl_instance
        elif isinstance(type_, postgresql.DOMAIN):
            type_ = type_.data_type
        else:
            return type_


def is_decorated(type_: sa.types.TypeEngine[Any]) -> TypeGuard[sa.types.TypeDecorator[Any]]:
    """Whether values are made by a TypeDecorator of the program.

    Interval is one in name alone: it stands in for what some databases lack.
    """
    return isinstance(type_, sa.types.TypeDecorator) and not isinstance(type_, sa.Interval)


def bound(type_: sa.types.TypeDecorator[Any], value: Any) -> Any:
    """What ``type_`` stores for ``value``; a decorator may change values in one direction only."""
    if type(type_).process_bind_param is sa.types.TypeDecorator.process_bind_param:
        return value
    return type_.process_bind_param(value, DIALECT)


def loaded(type_: sa.types.TypeDecorator[Any], stored: Any) -> Any:
    """The value that ``type_`` makes of what is stored; see `bound`."""
    if type(type_).process_result_value is sa.types.TypeDecorator.process_result_value:
        return stored
    return type_.process_result_value(stored, DIALECT)


def is_uuid(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether a decorated type says that its values are UUIDs, however it stores them."""
    try:
        return is_decorated(type_) and type_.python_type is uuid.UUID
    except NotImplementedError:
        return False


def is_binary(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether values are bytes, pickles included: pages show their size, never the content."""
    return isinstance(stored_type(type_), BINARY) and not is_uuid(type_)


def is_json(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether values are JSON as the database has it, and nothing that a type makes of it."""
    variants = type_._variant_mapping.values()
    return isinstance(type_, sa.JSON) and all(isinstance(v, sa.JSON) for v in variants)


def is_number(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether values are numbers (Float is no Numeric in SQLAlchemy 2.1, so both are asked)."""
    return isinstance(stored_type(type_), sa.Integer | sa.Numeric | sa.Float)


def is_text(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether values are free text that a search may look into; an Enum is not."""
    stored = stored_type(type_)
    return isinstance(stored, sa.String) and not isinstance(stored, sa.Enum)


def is_long_text(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether values may run over several lines: Text, or a String without a length above 255."""
    stored = stored_type(type_)
    if not is_text(type_):
        return False
    return isinstance(stored, sa.Text) or (stored.length or 0) > 255  # type: ignore[attr-defined]


def is_orderable(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether ORDER BY is defined on every supported database; PostgreSQL has none for json."""
    stored = stored_type(type_)
    if isinstance(stored, postgresql.JSONB):
        return True
    return not isinstance(stored, sa.JSON | sa.types.NullType)


_SECRET = re.compile(r"(^|_)(password|passwd|pwd|secret|api_?key|private_?key|totp|token)(_|$|s$)")


def is_secret(key: str) -> bool:
    """Whether an attribute is by its name one that no page should show or search."""
    return _SECRET.search(key.lower()) is not None


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


def is_read_only(model: type[Any]) -> str | None:
    """Why rows of ``model`` cannot be written at all, as a sentence; None when they can."""
    if not getattr(model, "__admin_read_only__", False):
        return None
    return getattr(model, "__admin_note__", None) or "This table can be read but not changed here."


# Paths


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


# Words

_NAME_PART = re.compile(r"[^\W_]+")
_INNER_BOUNDARY = re.compile(
    r"(?<=[^\WA-Z_])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][^\W\dA-Z_])|(?<=[^\W\d_])(?=\d)"
)
_ACRONYMS = frozenset({"url", "uuid", "ip", "vat", "iban", "sku", "csv", "html", "json", "api"})


def words(name: str) -> str:
    """``order_items`` or ``OrderItem`` as it stands in a heading: «Order items», «Order item»."""
    parts = [w for part in _NAME_PART.findall(name) for w in _INNER_BOUNDARY.split(part)]
    text = " ".join(p.upper() if p.lower() in _ACRONYMS else p.lower() for p in parts) or name
    return text[:1].upper() + text[1:]


IRREGULAR = {
    "person": "people",
    "child": "children",
    "man": "men",
    "woman": "women",
    "analysis": "analyses",
    "index": "indices",
    "cache": "caches",
    "shoe": "shoes",
    "movie": "movies",
    "data": "data",
    "media": "media",
    "news": "news",
    "series": "series",
    "species": "species",
}

_UNCOUNTED = frozenset(
    {"data", "equipment", "feedback", "history", "information", "inventory", "media", "metadata"}
    | {"money", "music", "news", "software", "staff", "stuff", "telemetry", "traffic", "weather"}
)


def plural(text: str) -> str:
    """An English plural of the last word of ``text``; a word that looks plural stays."""
    head, space, last = text.rpartition(" ")
    lower = last.lower()
    if lower in IRREGULAR:
        many = IRREGULAR[lower]
        return head + space + (many.capitalize() if last[:1].isupper() else many)
    if lower in _UNCOUNTED or lower in IRREGULAR.values():
        return text
    if re.search(r"[^s]s$", lower) and not re.search(r"(us|is|as|os)$", lower):
        return text
    if lower.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif re.search(r"[^aeiou]y$", lower):
        last = last[:-1] + "ies"
    else:
        last += "s"
    return head + space + last


# Identities in URLs

_ESCAPE, _SEPARATOR, _NULL = ".", ",", ".n"


class IdentityText:
    """Writes the identity of a row of one mapper as URL text and reads it back.

    The form is Flask-Admin's (parts joined by ``,``; ``.`` escapes itself and ``,``), so its links
    go on working, with ``.n`` added for a NULL part. Values are written as they are stored, thus a
    key of a custom type comes back through the type itself.
    """

    def __init__(self, mapper: orm.Mapper[Any]) -> None:
        self._mapper = mapper
        self._types = [c.type for c in mapper.primary_key]
        self._getters = [mapper.class_manager[k] for k in identity_keys(mapper)]

    def of(self, instance: object) -> str:
        """The text for ``instance``, which must have been loaded or flushed."""
        state = orm.attributes.instance_state(instance)
        identity = state.identity
        if identity is None:
            identity = self._mapper.primary_key_from_instance(instance)
        if len(identity) == 1 and type(identity[0]) is int and not is_decorated(self._types[0]):
            return str(identity[0])
        return self.encode(identity)

    def quoted(self, instance: object) -> str:
        """The text for ``instance`` as an argument of a URL."""
        text = self.of(instance)
        return text if text.isdigit() and text.isascii() else quote(text, safe="")

    def encode(self, identity: Iterable[Any]) -> str:
        """The text for ``identity``, a sequence as ``inspect(instance).identity`` gives it."""
        return _SEPARATOR.join(
            write_part(type_, value) for type_, value in zip(self._types, identity, strict=True)
        )

    def decode(self, text: str) -> tuple[Any, ...]:
        """The identity that ``text`` stands for.

        NotFound when it cannot be one: wrong number of parts, a part that its type cannot hold.
        """
        parts = list(split_parts(text))
        if len(parts) != len(self._types):
            raise NotFound(f"“{shorten(text)}” is not a key of this table.")
        try:
            return tuple(
                None if part is None else read_part(type_, part)
                for type_, part in zip(self._types, parts, strict=True)
            )
        except (ValueError, ArithmeticError, KeyError, TypeError, AttributeError, LookupError):
            raise NotFound(f"“{shorten(text)}” is not a key of this table.") from None


@functools.cache
def identity_text(mapper: orm.Mapper[Any]) -> IdentityText:
    """The `IdentityText` of ``mapper``, made once."""
    return IdentityText(mapper)


def shorten(text: str, limit: int = 60) -> str:
    """``text`` cut for a message, with what cannot be printed replaced."""
    text = "".join(c if c.isprintable() else "�" for c in text[: limit + 1])
    return text if len(text) <= limit else text[:limit] + "…"


def split_parts(text: str) -> Iterator[str | None]:
    """The parts that `write_part` made and commas join, unescaped; None for a NULL."""
    part: list[str] = []
    is_null = False
    characters = iter(text)
    for character in characters:
        if character == _ESCAPE:
            escaped = next(characters, "")
            if escaped == "n" and not part:
                is_null = True
            else:
                part.append(escaped)
        elif character == _SEPARATOR:
            yield None if is_null else "".join(part)
            part, is_null = [], False
        else:
            part.append(character)
    yield None if is_null else "".join(part)


def write_part(type_: sa.types.TypeEngine[Any], value: Any) -> str:
    """``value`` as one part of a key in a URL, without a comma that is not escaped."""
    if type(value) is int:
        return str(value)
    if value is None:
        return _NULL
    if is_decorated(type_):
        value = bound(type_, value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        # One moment has one text, whatever the zone it was typed or is loaded in.
        value = value.astimezone(dt.UTC)
    if isinstance(value, decimal.Decimal) and value.is_finite():
        text = format(value.normalize(), "f")
    elif isinstance(value, bytes):
        text = value.hex()
    elif isinstance(value, enum.Enum):
        text = value.name
    elif isinstance(value, dt.date | dt.time):
        text = value.isoformat()
    elif isinstance(value, dt.timedelta):
        text = repr(value.total_seconds())
    else:
        text = str(value)
    return text.replace(_ESCAPE, _ESCAPE * 2).replace(_SEPARATOR, _ESCAPE + _SEPARATOR)


def read_part(type_: sa.types.TypeEngine[Any], text: str) -> Any:
    """The value of ``type_`` written as ``text``; ValueError and its like when there is none."""
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(text)
    value = _read_stored(stored_type(type_), text)
    if is_decorated(type_):
        value = loaded(type_, value)
    return value


def _read_stored(type_: sa.types.TypeEngine[Any], text: str) -> Any:
    if isinstance(type_, sa.Integer):
        number = int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else None
        if number is None or number not in INT64:
            raise ValueError(text)
        return number
    if isinstance(type_, sa.Enum):
        if type_.enum_class is None and text not in type_.enums:
            raise ValueError(text)
        return type_.enum_class[text] if type_.enum_class else text
    if isinstance(type_, sa.String):
        return text
    if isinstance(type_, sa.Uuid):
        value = uuid.UUID(text)
        return value if type_.as_uuid else str(value)
    if isinstance(type_, sa.Boolean):
        return {"True": True, "False": False}[text]
    if isinstance(type_, sa.Float):
        return float(text)
    if isinstance(type_, sa.Numeric):
        exact = decimal.Decimal(text)
        if not exact.is_finite() or exact.adjusted() > 1000:
            raise ValueError(text)
        return exact if type_.asdecimal else float(exact)
    if isinstance(type_, sa.DateTime):
        return dt.datetime.fromisoformat(text)
    if isinstance(type_, sa.Date):
        return dt.date.fromisoformat(text)
    if isinstance(type_, sa.Time):
        return dt.time.fromisoformat(text)
    if isinstance(type_, sa.Interval):
        return dt.timedelta(seconds=float(text))
    if isinstance(type_, BINARY):
        return bytes.fromhex(text)
    return text


# Labels

# Columns that name a row, the best first, as `_plain` writes them. «» stands for the class.
_NAMES: tuple[tuple[str, ...], ...] = (
    ("name",),
    ("fullname",),
    ("displayname",),
    ("«»name",),
    ("firstname", "lastname"),
    ("givenname", "familyname"),
    ("forename", "surname"),
    ("title",),
    ("«»",),
    ("«»title",),
    ("«»label",),
    ("«»number",),
    ("«»no",),
    ("«»code",),
    ("label",),
    ("username",),
    ("subject",),
    ("email",),
    ("code",),
    ("number",),
)
_NAME_ENDINGS = ("name", "title", "label", "number", "code", "subject")
_NO_NAMES = re.compile(r"postal|zip|phone|mobile|fax|street|address|house")
_SHORT_KEY = 30


@dataclass(frozen=True, slots=True)
class Label:
    """How a row of one mapper is called on pages.

    A ``__str__`` that the class defines is asked; otherwise the column that looks most like a name
    is taken (or the two that make a person's name), and where there is none the words of the class
    with the key («Order 17»). ``keys`` are these columns, none when ``__str__`` is asked. ``needs``
    names the relationships that ``__str__`` will touch, and deferred columns of theirs, as tuples
    of keys; loading them beforehand saves one statement per row. ``others`` are the subclasses
    whose ``__str__`` may ask for columns and relationships of their own.
    """

    mapper: orm.Mapper[Any]
    keys: tuple[str, ...]
    uses_str: bool
    needs: tuple[tuple[str, ...], ...] = field(default=())
    others: tuple[orm.Mapper[Any], ...] = field(default=())

    def of(self, instance: object) -> str:
        """The label of ``instance``, never empty."""
        if self.uses_str or self.others and sa.inspect(instance).mapper in self.others:
            text = str(instance)
        else:
            values = (getattr(instance, key) for key in self.keys)
            text = " ".join(str(value) for value in values if value is not None)
        return text if text.strip() else self.fallback(instance)

    def fallback(self, instance: object) -> str:
        """Class and key: «Order 17»."""
        identity = orm.attributes.instance_state(instance).identity
        if identity is None:
            return f"New {words(self.mapper.class_.__name__).lower()}"
        key = ", ".join("–" if v is None else str(v) for v in identity)
        return f"{words(self.mapper.class_.__name__)} {key}"


@functools.cache
def label(mapper: orm.Mapper[Any]) -> Label:
    """The `Label` of ``mapper``, made once."""
    heirs = [m for m in mapper.self_and_descendants if m is not mapper and not m.concrete]
    others = tuple(m for m in heirs if _own_str(m.class_) is not None)
    if _own_str(mapper.class_) is not None:
        return Label(mapper, (), True, tuple(_str_needs(mapper)), others)
    return Label(mapper, _label_keys(mapper), False, (), others)


def _own_str(model: type[Any]) -> Callable[..., str] | None:
    for cls in model.__mro__:
        if cls is object:
            return None
        if "__str__" in vars(cls) and not cls.__module__.startswith(
            ("sqlalchemy", "flask_sqlalchemy")
        ):
            return vars(cls)["__str__"]  # type: ignore[no-any-return]
    return None


def _label_keys(mapper: orm.Mapper[Any]) -> tuple[str, ...]:
    texts = {
        _plain(c.key): c
        for c in columns(mapper).values()
        if is_text(c.type) and not c.is_deferred and not c.foreign_keys and not is_secret(c.key)
    }
    parts = words(mapper.class_.__name__.removesuffix("Model")).lower().split()
    # Rows of UsState may be named by usstate_name or by state_name.
    own = ["".join(parts[start:]) for start in range(len(parts))]
    for names in _NAMES:
        for noun in own if "«»" in names[0] else [""]:
            wanted = [name.replace("«»", noun) for name in names]
            if all(name in texts for name in wanted):
                return tuple(texts[name].key for name in wanted)
    lines = {n: c for n, c in texts.items() if not isinstance(stored_type(c.type), sa.Text)}
    short = {name: c for name, c in lines.items() if not is_long_text(c.type)}
    # In a row that belongs to another, what may be empty («ship_name») is more often of the other.
    belongs = any(c.foreign_keys for c in columns(mapper).values())
    naming = {
        name: c.key
        for name, c in lines.items()
        if not _NO_NAMES.search(name)
        and not c.is_primary_key
        and (not belongs or not c.is_nullable or getattr(c.column, "unique", False))
    }
    endings = [key for end in _NAME_ENDINGS for name, key in naming.items() if name.endswith(end)]
    descriptions = [c.key for name, c in short.items() if name in {f"{n}description" for n in own}]
    keys = [
        c.key
        for c in short.values()
        if c.is_primary_key
        and len(mapper.primary_key) == 1
        and (stored_type(c.type).length or 0) <= _SHORT_KEY  # type: ignore[attr-defined]
    ]
    others = [key for name, key in naming.items() if name in short]
    return tuple([*endings, *descriptions, *keys, *others][:1])


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _str_needs(mapper: orm.Mapper[Any], depth: int = 3) -> Iterator[tuple[str, ...]]:
    """The relationships and deferred columns that ``str()`` of an instance touches, by its code.

    Names in the bytecode of ``__str__`` and of the properties and methods it uses are compared
    with the mapper's attributes: a superset of what one call touches, found without a call.
    """
    yield from _needs(mapper, _names(mapper.class_, _own_str(mapper.class_)), depth)


@functools.cache
def computed_needs(mapper: orm.Mapper[Any], key: str) -> tuple[tuple[str, ...], ...]:
    """What the property, hybrid or method ``key`` touches by its code, as `Label.needs` has it."""
    attribute = inspect.getattr_static(mapper.class_, key, None)
    function = getattr(attribute, "fget", None) or getattr(attribute, "func", None) or attribute
    return tuple(_needs(mapper, _names(mapper.class_, function), 2))


def _needs(mapper: orm.Mapper[Any], names: set[str], depth: int) -> Iterator[tuple[str, ...]]:
    yield from _deferred_needs(mapper, names)
    for key, relationship in relationships(mapper).items():
        if key not in names or relationship.lazy in ("dynamic", "write_only"):
            continue
        yield (key,)
        target = relationship.mapper
        for rest in (*_attribute_needs(target, names), *_nested(target, depth)):
            if depth > 1 or rest[0] not in relationships(target):
                yield (key, *rest)


def _nested(mapper: orm.Mapper[Any], depth: int) -> Iterator[tuple[str, ...]]:
    if _own_str(mapper.class_) is not None and depth > 0:
        yield from _str_needs(mapper, depth - 1)


def _attribute_needs(mapper: orm.Mapper[Any], names: set[str]) -> Iterator[tuple[str, ...]]:
    """What the same code names of a related class: ``self.order.customer.name``."""
    for key, relationship in relationships(mapper).items():
        # Every dictionary has items; many rows are not read because of a method's name.
        if key in names and (is_to_one(relationship) or key not in _METHODS):
            yield (key,)
    yield from _deferred_needs(mapper, names)


_METHODS = frozenset(name for builtin in (dict, list, set, str) for name in dir(builtin))


@functools.cache
def chain(mapper: orm.Mapper[Any]) -> orm.RelationshipProperty[Any] | None:
    """The relationship to a row of the same class that ``__str__`` follows, perhaps on and on."""
    for key in {need[0] for need in label(mapper).needs}:
        relationship = relationships(mapper).get(key)
        if (
            relationship is not None
            and relationship.direction is orm.RelationshipDirection.MANYTOONE
            and relationship.mapper is mapper
            and list(relationship.remote_side) == list(mapper.primary_key)
            and len(relationship.local_columns) == 1
        ):
            return relationship
    return None


def _deferred_needs(mapper: orm.Mapper[Any], names: set[str]) -> Iterator[tuple[str, ...]]:
    for key, column in columns(mapper).items():
        if key in names and column.is_deferred and not is_binary(column.type):
            yield (key,)


def _names(model: type[Any], function: Any, seen: set[int] | None = None) -> set[str]:
    seen = set() if seen is None else seen
    function = inspect.unwrap(function) if callable(function) else function
    code = getattr(function, "__code__", None)
    if code is None or id(code) in seen:
        return set()
    seen.add(id(code))
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= set(constant.co_names)
    for name in tuple(names):
        attribute = inspect.getattr_static(model, name, None)
        inner = getattr(attribute, "fget", None) or getattr(attribute, "func", None) or attribute
        if isinstance(inner, types.FunctionType):
            names |= _names(model, inner, seen)
    return names
