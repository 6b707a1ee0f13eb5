"""Mapped classes for a database that has none.

`reflect` reads the tables of a database and maps each of them, with relationships along its
foreign keys, under names that a person would have chosen. Nothing that it finds stops it: what
cannot be mapped is left out with a note in the log, and what cannot be written safely (a table
without a key, a SQL view) is mapped for reading only.
"""

from __future__ import annotations

import decimal
import keyword
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql, sqlite

from admin_app.database import Base
from admin_app.inspection import IRREGULAR

log = logging.getLogger(__name__)

NO_KEY = "This table has no primary key, so its rows can be read but not changed here."
VIEW = "This is a view of the database: its rows can be read but not changed here."

# What SQLAlchemy keeps on every mapped class for itself, or Flask-SQLAlchemy on its own.
# The last is the name of another field in every form.
_RESERVED = {"metadata", "registry", "query", "query_class", "type_annotation_map", "csrf_token"}

Key = tuple[sa.Column[Any], ...]


@dataclass(frozen=True, slots=True)
class Reflected:
    """What was found: ``base`` of all ``classes``, and which of them can only be read, and why."""

    base: type[orm.DeclarativeBase]
    classes: list[type[Any]]
    notes: dict[type[Any], str]
    read_only: set[type[Any]]


@dataclass(slots=True)
class _Entity:
    """A table, the class that it becomes, and the names that are taken on it."""

    table: sa.Table
    key: Key
    note: str | None
    class_name: str = ""
    attributes: dict[str, sa.Column[Any]] = field(default_factory=dict)
    relationships: dict[str, Any] = field(default_factory=dict)

    @property
    def singular(self) -> str:
        return _snake(_singular(self.table.name))

    def free(self, *wishes: str) -> str:
        """The first of ``wishes`` that is not taken here yet, or the last with a number."""
        taken = self.attributes.keys() | self.relationships.keys()
        for wish in wishes:
            if wish and _identifier(wish) not in taken:
                return _identifier(wish)
        return _numbered(_identifier(wishes[-1]), taken)


@dataclass(slots=True)
class _Link:
    """A foreign key between two mapped tables, and the names of its two ends."""

    child: _Entity
    parent: _Entity
    constraint: sa.ForeignKeyConstraint
    to_one: str = ""
    to_many: str = ""

    @property
    def columns(self) -> list[sa.Column[Any]]:
        return [element.parent for element in self.constraint.elements]

    @property
    def remote(self) -> list[sa.Column[Any]]:
        return [element.column for element in self.constraint.elements]

    @property
    def join(self) -> sa.ColumnElement[bool]:
        pairs = zip(self.columns, self.remote, strict=True)
        return sa.and_(*(ours == theirs for ours, theirs in pairs))

    @property
    def is_unique(self) -> bool:
        """Whether at most one row of the child belongs to one of the parent."""
        ours = set(self.columns)
        return any(ours >= set(key) for key in _unique_keys(self.child.table))


def reflect(engine: sa.Engine, schema: str | None = None) -> Reflected:
    """Map every table and view of ``schema`` (by default that of the connection).

    Tables of other schemas come along where a foreign key leads to them. The admin's own tables
    and Alembic's are left out. Pure link tables become many-to-many relationships.

    Classes that can only be read have ``__admin_read_only__`` and ``__admin_note__``.
    """
    metadata = sa.MetaData()
    views = _load(engine, metadata, schema)
    entities = {}
    for table in sorted(metadata.tables.values(), key=lambda table: table.key):
        entity = _entity(table, table in views, engine.dialect.name)
        if entity is not None:
            entities[table] = entity
    links = _links(entities)
    for table, sides in _link_tables(entities, links).items():
        del entities[table]
        links = [link for link in links if link.child.table is not table]
        _relate_many(*sides)
    _name_classes(entities.values(), schema)
    _relate(links)
    return _map(metadata, entities.values())


def _load(engine: sa.Engine, metadata: sa.MetaData, schema: str | None) -> set[sa.Table]:
    """Fill ``metadata`` and tell which of its tables are views."""
    with warnings.catch_warnings(record=True) as told, engine.connect() as connection:
        warnings.simplefilter("always")
        excluded = {"alembic_version", *Base.metadata.tables, *_partitions(connection, schema)}
        metadata.reflect(
            connection,
            schema=schema,
            resolve_fks=False,
            only=lambda name, _: name not in excluded,
        )
        _follow_foreign_keys(connection, metadata)
        views = _load_views(connection, metadata, schema)
        _mark_typed_keys(connection, metadata)
        _add_exclusions(connection, metadata)
    if engine.dialect.name == "sqlite":
        for table in metadata.tables.values():
            for column in table.columns:
                column.type = _tolerant(column.type)
    for warning in told:
        log.warning("While reflecting: %s", warning.message)
    return views


def _mark_typed_keys(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Tell of SQLite's keys which have to be given: it counts on for INTEGER PRIMARY KEY alone."""
    if connection.dialect.name != "sqlite":
        return
    found = connection.exec_driver_sql(
        "SELECT t.name, c.name, c.type, t.sql FROM sqlite_master t, pragma_table_info(t.name) c"
        " WHERE t.type = 'table' AND c.pk"
    )
    for table, column, type_, sql in found:
        is_counted = type_.upper() == "INTEGER" and not re.search(r"(?i)WITHOUT\s+ROWID", sql)
        if table in metadata.tables and not is_counted:
            metadata.tables[table].columns[column].autoincrement = False


def _add_exclusions(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Add the EXCLUDE constraints of PostgreSQL, which SQLAlchemy does not reflect."""
    if connection.dialect.name != "postgresql":
        return
    found = connection.exec_driver_sql(
        "SELECT n.nspname, pg_table_is_visible(t.oid), t.relname, c.conname,"
        " pg_get_expr(i.indpred, i.indrelid),"
        " array(SELECT pg_get_indexdef(i.indexrelid, o.place::int, false)"
        "       FROM unnest(c.conexclop) WITH ORDINALITY o(id, place) ORDER BY o.place),"
        " array(SELECT p.oprname::text FROM unnest(c.conexclop) WITH ORDINALITY o(id, place)"
        "       JOIN pg_operator p ON p.oid = o.id ORDER BY o.place)"
        " FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid"
        " JOIN pg_namespace n ON n.oid = t.relnamespace"
        " JOIN pg_index i ON i.indexrelid = c.conindid WHERE c.contype = 'x'"
    )
    for schema, is_visible, name, constraint, where, elements, operators in found:
        table = metadata.tables.get(f"{schema}.{name}")
        table = metadata.tables.get(name) if table is None and is_visible else table
        if table is not None:
            parts: list[Any] = [
                (sa.literal_column(e), o) for e, o in zip(elements, operators, strict=True)
            ]
            limit = None if where is None else sa.text(where)
            table.append_constraint(
                postgresql.ExcludeConstraint(*parts, name=constraint, where=limit)
            )


def _load_views(
    connection: sa.Connection, metadata: sa.MetaData, schema: str | None
) -> set[sa.Table]:
    inspector = sa.inspect(connection)
    names = set(inspector.get_view_names(schema))
    with suppress(NotImplementedError):
        names |= set(inspector.get_materialized_view_names(schema))
    if not names:
        return set()
    options: dict[str, Any] = {"schema": schema, "resolve_fks": False}
    try:
        metadata.reflect(connection, views=True, only=lambda name, _: name in names, **options)
    except sa.exc.DBAPIError:
        # SQLite keeps views whose tables are gone. To find them, each is tried by itself.
        for name in sorted(names):
            try:
                sa.Table(name, metadata, autoload_with=connection, **options)
            except sa.exc.DBAPIError as error:
                log.warning("The view %s is left out: %s", name, error.orig)
    return {t for t in metadata.tables.values() if t.schema == schema and t.name in names}


class _AsStored:
    """Gives a value that is none of its type as it is: SQLite stores anything in any column."""

    def adapt(self, cls: type[Any], **kw: Any) -> Any:
        # A dialect would change it for its driver's own type, which is not as tolerant.
        return super().adapt(type(self), **kw)  # type: ignore[misc]

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:
        process = self._read(dialect, coltype)

        def read(value: Any) -> Any:
            try:
                return process(value)
            except (ValueError, TypeError, ArithmeticError):
                return value

        return process and read

    def _read(self, dialect: sa.Dialect, coltype: object) -> Any:
        return super().result_processor(dialect, coltype)  # type: ignore[misc]


class _Date(_AsStored, sqlite.DATE):
    pass


class _Time(_AsStored, sqlite.TIME):
    pass


class _DateTime(_AsStored, sqlite.DATETIME):
    pass


class _Json(_AsStored, sqlite.JSON):
    pass


class _Numeric(_AsStored, sa.NUMERIC[Any]):
    """Decimals as they are: SQLAlchemy rounds SQLite's to ten places, or to what was declared."""

    def _read(self, dialect: sa.Dialect, coltype: object) -> Any:
        places = None if self.scale is None else decimal.Decimal(1).scaleb(-self.scale)

        def read(value: Any) -> Any:
            if not isinstance(value, int | float):
                return value
            number = decimal.Decimal(str(value))
            if places is not None and number.is_finite() and number == number.quantize(places):
                return number.quantize(places)
            return number

        return read


_TOLERANT: tuple[tuple[Any, Any], ...] = (
    (sa.DateTime, _DateTime),
    (sa.Date, _Date),
    (sa.Time, _Time),
    (sa.JSON, _Json),
)


def _tolerant(type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    if isinstance(type_, sa.Numeric) and not isinstance(type_, sa.Float):
        return _Numeric(type_.precision, type_.scale)
    return next((made() for wide, made in _TOLERANT if isinstance(type_, wide)), type_)


def _partitions(connection: sa.Connection, schema: str | None) -> Iterable[str]:
    """Tables that hold a part of another, where their rows are seen already."""
    if connection.dialect.name != "postgresql":
        return ()
    return connection.scalars(
        sa.text(
            "SELECT relname FROM pg_catalog.pg_class WHERE relispartition AND relnamespace ="
            " (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = :schema)"
        ),
        {"schema": schema or connection.dialect.default_schema_name},
    )


def _follow_foreign_keys(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Load what foreign keys lead to in other schemas; forget those that lead nowhere."""
    waiting = list(metadata.tables.values())
    while waiting:
        table = waiting.pop()
        for constraint in table.foreign_key_constraints:
            element = constraint.elements[0]
            target = element.target_fullname.rpartition(".")[0]
            if target not in metadata.tables:
                name, schema = target.rpartition(".")[2], target.rpartition(".")[0] or None
                try:
                    found = sa.Table(
                        name,
                        metadata,
                        schema=schema,
                        autoload_with=connection,
                        resolve_fks=False,
                    )
                except sa.exc.NoSuchTableError:
                    log.warning("%s refers to the table %s, which is missing.", table, target)
                    _drop(constraint)
                    continue
                waiting.append(found)
            if any(
                element.target_fullname.rpartition(".")[2] not in metadata.tables[target].c
                for element in constraint.elements
            ):
                log.warning("%s refers to columns that %s does not have.", table, target)
                _drop(constraint)


def _drop(constraint: sa.ForeignKeyConstraint) -> None:
    constraint.table.constraints.discard(constraint)
    for element in constraint.elements:
        element.parent.foreign_keys.discard(element)
        constraint.table.foreign_keys.discard(element)


def _entity(table: sa.Table, is_view: bool, dialect: str) -> _Entity | None:
    note = VIEW if is_view else None
    key: Key = tuple(table.primary_key.columns)
    if not key and not is_view:
        key = next((key for key in _unique_keys(table) if not any(c.nullable for c in key)), ())
        note = None if key else NO_KEY
    columns = list(table.columns)
    places: Key = ()
    if not key and not is_view and columns:
        key = places = _places(table, dialect)
    if not key:
        # Whatever can be compared tells rows apart well enough to read them.
        key = tuple(column for column in columns if _is_comparable(column.type))
    if not key:
        log.warning("%s is left out: nothing in it tells its rows apart.", table)
        return None
    entity = _Entity(table, key, note)
    for column in columns:
        entity.attributes[entity.free(column.name)] = column
    # Pages do not show what begins with an underscore.
    entity.attributes |= {f"_{column.name.strip('_')}": column for column in places}
    return entity


class _Tid(sa.types.UserDefinedType[str]):
    """Where PostgreSQL keeps a row, such as ``(0,1)``."""

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return "TID"


def _places(table: sa.Table, dialect: str) -> Key:
    """The columns that every table has unasked and that tell equal rows apart by their place."""
    taken = {column.name.lower() for column in table.columns}
    places: list[sa.Column[Any]] = []
    if dialect == "postgresql":
        places += [sa.Column("tableoid", sa.Integer), sa.Column("ctid", _Tid)]
    elif dialect == "sqlite":
        names = [name for name in ("rowid", "_rowid_", "oid") if name not in taken]
        places += [sa.Column(name, sa.Integer) for name in names[:1]]
    for column in places:
        column.system = True
        table.append_column(column)
    return tuple(places)


def _unique_keys(table: sa.Table) -> Iterator[Key]:
    if table.primary_key.columns:
        yield tuple(table.primary_key.columns)
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        if isinstance(constraint, sa.UniqueConstraint):
            yield tuple(constraint.columns)
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        is_partial = any(
            options.get("where") is not None for options in index.dialect_options.values()
        )
        if index.unique and not is_partial and len(index.columns) == len(index.expressions):
            yield tuple(index.columns)


def _is_comparable(type_: sa.types.TypeEngine[Any]) -> bool:
    return type_.hashable and not isinstance(type_, sa.types.NullType | sa.JSON)


def _links(entities: dict[sa.Table, _Entity]) -> list[_Link]:
    return [
        _Link(entity, entities[constraint.referred_table], constraint)
        for entity in entities.values()
        for constraint in sorted(
            entity.table.foreign_key_constraints,
            key=lambda constraint: [column.name for column in constraint.columns],
        )
        if constraint.referred_table in entities
    ]


def _link_tables(
    entities: dict[sa.Table, _Entity], links: list[_Link]
) -> dict[sa.Table, tuple[_Link, _Link]]:
    """Tables that hold two foreign keys and nothing else, and that nothing refers to."""
    found = {}
    referred = {link.parent.table for link in links}
    for table in entities:
        sides = [link for link in links if link.child.table is table]
        columns = [column for link in sides for column in link.columns]
        if (
            len(sides) == 2
            and len(columns) == len(set(columns))
            and set(columns) == {column for column in table.columns if not column.system}
            and table not in referred
            and entities[table].note != VIEW
        ):
            found[table] = (sides[0], sides[1])
    return found


def _relate_many(first: _Link, second: _Link) -> None:
    table = first.child.table
    to_second = _name_of_many(first.parent, second)
    first.parent.relationships[to_second] = None
    to_first = _name_of_many(second.parent, first)
    for near, far, name, back in (
        (first, second, to_second, to_first),
        (second, first, to_first, to_second),
    ):
        near.parent.relationships[name] = {
            "target": far.parent,
            "secondary": table,
            "primaryjoin": near.join,
            "secondaryjoin": far.join,
            "back_populates": back,
        }


def _name_of_many(entity: _Entity, far: _Link) -> str:
    many = _plural(far.parent.singular)
    role = _role(far)
    return entity.free(
        # Two rows of one table: only the column tells which of them is which.
        _plural(role) if entity is far.parent and role else "",
        many if entity is not far.parent else "",
        f"{many}_by_{_snake(far.child.table.name)}",
    )


def _relate(links: list[_Link]) -> None:
    pairs = Counter((link.child.table, link.parent.table) for link in links)
    for link in links:
        is_only = pairs[link.child.table, link.parent.table] == 1
        role = _role(link)
        parent = link.parent.singular
        is_tree = link.child is link.parent
        link.to_one = link.child.free(
            role,
            parent if is_only and not is_tree else "",
            f"{role or _snake(link.columns[-1].name)}_{parent}",
        )
        link.child.relationships[link.to_one] = None
        children = link.child.singular if link.is_unique else _plural(link.child.singular)
        link.to_many = link.parent.free(
            "children" if is_tree and role == "parent" else "",
            children if is_only and not is_tree else "",
            f"{children}_by_{role or link.to_one}",
        )
        link.parent.relationships[link.to_many] = None
    for link in links:
        overlapping = [
            name
            for other in links
            if other is not link and set(other.columns) & set(link.columns)
            for name in (other.to_one, other.to_many)
        ]
        common = {
            "primaryjoin": link.join,
            "foreign_keys": link.columns,
            "overlaps": ",".join(overlapping) or None,
        }
        link.child.relationships[link.to_one] = {
            "target": link.parent,
            "remote_side": link.remote,
            "back_populates": link.to_many,
            **common,
        }
        link.parent.relationships[link.to_many] = {
            "target": link.child,
            "remote_side": link.columns,
            "back_populates": link.to_one,
            "uselist": not link.is_unique,
            # What happens to the children of a deleted row is for the database to say: without
            # this SQLAlchemy would empty their foreign keys before it is asked.
            "passive_deletes": "all",
            **common,
        }


def _role(link: _Link) -> str:
    """What the parent is to the child, by the name of the one column that says so."""
    if len(link.columns) != 1:
        return ""
    name = _snake(link.columns[0].name)
    return re.sub(r"(_(ids|code|key|fk|no|nr|num|number|uuid|guid|pk|id)|id)$", "", name)


def _name_classes(entities: Iterable[_Entity], schema: str | None) -> None:
    taken: set[str] = set()
    # Those of the schema that was asked for get the plain names.
    for entity in sorted(entities, key=lambda entity: entity.table.schema != schema):
        name = _class_name(_singular(entity.table.name))
        if name in taken:
            name = _class_name(entity.table.name)
        if name in taken and entity.table.schema:
            name = _class_name(f"{entity.table.schema}_{entity.table.name}")
        entity.class_name = _numbered(name, taken)
        taken.add(entity.class_name)


def _map(metadata: sa.MetaData, entities: Iterable[_Entity]) -> Reflected:
    base: type[orm.DeclarativeBase] = type(
        "Base", (orm.DeclarativeBase,), {"metadata": metadata, "__module__": "reflected"}
    )
    classes: dict[str, type[Any]] = {}
    for entity in entities:
        namespace: dict[str, Any] = {
            "__module__": "reflected",
            "__table__": entity.table,
            "__mapper_args__": {"primary_key": entity.key},
            **{name: column for name, column in entity.attributes.items() if name != column.key},
        }
        if entity.note:
            namespace |= {"__admin_read_only__": True, "__admin_note__": entity.note}
        try:
            classes[entity.class_name] = type(entity.class_name, (base,), namespace)
        except sa.exc.SQLAlchemyError as error:
            log.warning("%s is left out: %s", entity.table, error)
    for entity in entities:
        for name, arguments in entity.relationships.items():
            target = classes.get(arguments["target"].class_name)
            if target is None or entity.class_name not in classes:
                continue
            others = {key: value for key, value in arguments.items() if key != "target"}
            if entity.note or arguments["target"].note:
                others = {key: others[key] for key in others if key not in _WRITING}
                others["viewonly"] = True
            orm.class_mapper(classes[entity.class_name], configure=False).add_property(
                name, orm.relationship(target, **others)
            )
    base.registry.configure()
    notes = {
        classes[entity.class_name]: entity.note
        for entity in entities
        if entity.note and entity.class_name in classes
    }
    return Reflected(base, list(classes.values()), notes, set(notes))


# Arguments of a relationship that mean nothing, and are refused, where it is for reading only.
_WRITING = {"back_populates", "overlaps", "passive_deletes"}


def _words(name: str) -> list[str]:
    if name.isupper():
        name = name.lower()
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return re.findall(r"[^\W_]+", spaced)


def _snake(name: str) -> str:
    return "_".join(word.lower() for word in _words(name))


def _class_name(name: str) -> str:
    joined = "".join(word[:1].upper() + word[1:] for word in _words(name)) or "Table"
    if joined[0].isdigit():
        joined = f"Table{joined}"
    return f"{joined}_" if keyword.iskeyword(joined) or joined == "Base" else joined


def _identifier(name: str) -> str:
    """``name`` itself wherever Python, SQLAlchemy and WTForms would take it."""
    # WTForms has no fields that begin with an underscore.
    plain = re.sub(r"\W+", "_", name).strip("_") if not name.isidentifier() else name.lstrip("_")
    if not plain or plain[0].isdigit():
        plain = f"column_{plain}".rstrip("_")
    return f"{plain}_" if keyword.iskeyword(plain) or plain in _RESERVED else plain


def _numbered(name: str, taken: Iterable[str]) -> str:
    used = set(taken)
    number, chosen = 1, name
    while chosen in used:
        number += 1
        chosen = f"{name}_{number}"
    return chosen


_SINGULARS = {plural: singular for singular, plural in IRREGULAR.items()}

# English plurals, the more special first: what the word ends in, and what is there in one of them.
_ENDINGS = (
    (r"(ss|us|is)$", r"\1"),
    (r"([^aeiou])ies$", r"\1y"),
    (r"zzes$", "z"),
    (r"(sh|ch|x|ss)es$", r"\1"),
    (r"([^oa]us)es$", r"\1"),
    (r"oes$", "o"),
    (r"s$", ""),
)


def _singular(name: str) -> str:
    """``name`` with its last word in the singular, as English goes."""
    words = _words(name)
    if not words:
        return name
    last = words[-1]
    if last.lower() in _SINGULARS:
        one = _SINGULARS[last.lower()]
        one = one.capitalize() if last[0].isupper() else one
    else:
        one = last
        for ending, singular in _ENDINGS:
            one, count = re.subn(ending, singular, last)
            if count:
                break
    # A word that the ending is all of ("s", "us") is no plural.
    return name if len(one) < 2 else "_".join([*words[:-1], one])


def _plural(name: str) -> str:
    *start, last = name.split("_")
    if last in IRREGULAR:
        many = IRREGULAR[last]
    elif re.search(r"[^aeiou]y$", last):
        many = f"{last[:-1]}ies"
    elif re.search(r"(s|sh|ch|x|z)$", last):
        many = f"{last}es"
    else:
        many = f"{last}s"
    return "_".join([*start, many])
