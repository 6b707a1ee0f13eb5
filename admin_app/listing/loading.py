"""What the rows of a page need beside themselves, so that no cell costs a statement of its own."""

from __future__ import annotations

import functools
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import inspection
from admin_app.inspection import Path
from admin_app.listing.matching import within
from admin_app.policy import Reach

EVERYTHING = Reach()
Statement = sa.Select[Any]
_state = orm.attributes.instance_state
AnySession = orm.Session | orm.scoped_session[Any]


def members_count(
    entity: Any, relationship: orm.RelationshipProperty[Any], reach: Reach = EVERYTHING
) -> sa.ScalarSelect[int]:
    """How many members in ``reach`` a to-many relationship of each ``entity`` row has."""
    target = orm.aliased(relationship.mapper)
    return (
        sa.select(sa.func.count())
        .select_from(target)
        .where(getattr(entity, relationship.key).of_type(target).expression)
        .where(*within(target, relationship.mapper, reach))
        .correlate(entity)
        .scalar_subquery()
    )


def count_members(
    session: AnySession, path: Path, instances: Sequence[Any], reach: Reach = EVERYTHING
) -> None:
    """Count the members in ``reach`` of the collection ``path``, for `members_counted`.

    One grouped statement, which reads the members once where no index leads to them.
    """
    identities = [tuple(sa.inspect(instance).identity) for instance in instances]
    found = member_counts(session, path, identities, reach)
    for instance, identity in zip(instances, identities, strict=True):
        counted = sa.inspect(instance).info.setdefault(_COUNTED, {})
        counted[path.name] = found.get(identity, 0)


def member_counts(
    session: AnySession,
    path: Path,
    identities: Sequence[tuple[Any, ...]],
    reach: Reach = EVERYTHING,
) -> dict[tuple[Any, ...], int]:
    """How many members in ``reach`` the collection ``path`` of the rows ``identities`` has.

    Rows without any are absent.
    """
    relationship, mapper = path.relationship, path.mapper
    assert relationship is not None
    keys = [getattr(mapper.class_, key) for key in inspection.identity_keys(mapper)]
    target = orm.aliased(relationship.mapper)
    statement = (
        sa.select(*keys, sa.func.count())
        .join(getattr(mapper.class_, relationship.key).of_type(target))
        .where(*within(target, relationship.mapper, reach))
        .where(
            sa.tuple_(*keys).in_(list(identities))
            if len(keys) > 1
            else keys[0].in_([value for (value,) in identities])
        )
        .group_by(*keys)
    )
    return {tuple(row[:-1]): row[-1] for row in session.execute(statement)}


def members_counted(instance: Any) -> Mapping[str, int]:
    """The numbers of members that were counted along with ``instance``, by name of the column."""
    # A host's own rows may be no instances at all.
    state: Any = sa.inspect(instance, raiseerr=False)
    found: Mapping[str, int] = {} if state is None else state.info.get(_COUNTED, {})
    return found


_COUNTED = "admin_members"


def read_stored(session: AnySession, paths: Sequence[Path], instances: Sequence[Any]) -> None:
    """Read the JSON columns ``paths`` of ``instances`` as stored, for `stored_texts`.

    Python's floats do not keep every number.
    """
    mapper = paths[0].mapper
    keys = [getattr(mapper.class_, key) for key in inspection.identity_keys(mapper)]
    texts = [inspection.json_as_stored(getattr(mapper.class_, path.key)) for path in paths]
    by_identity = {tuple(sa.inspect(one).identity): one for one in instances}
    statement = sa.select(*keys, *texts).where(
        sa.tuple_(*keys).in_(list(by_identity))
        if len(keys) > 1
        else keys[0].in_([value for (value,) in by_identity])
    )
    names = [path.name for path in paths]
    for row in session.execute(statement):
        found = by_identity.get(tuple(row[: len(keys)]))
        if found is not None:
            sa.inspect(found).info[_STORED] = dict(zip(names, row[len(keys) :], strict=True))


def stored_texts(instance: Any) -> Mapping[str, str | None]:
    """The JSON that was read as stored along with ``instance``, by name of the column."""
    state: Any = sa.inspect(instance, raiseerr=False)
    found: Mapping[str, str | None] = {} if state is None else state.info.get(_STORED, {})
    return found


_STORED = "admin_stored"


def members(
    session: AnySession,
    instance: Any,
    key: str,
    limit: int,
    far_key: str | None = None,
    reach: Reach = EVERYTHING,
) -> list[Any]:
    """At most ``limit`` members of the collection ``key`` of ``instance``, by key, with labels.

    Those outside ``reach`` are left out. ``far_key`` names a to-one relationship of the members
    that is loaded along with them.
    """
    mapper = sa.inspect(instance).mapper
    relationship = inspection.relationships(mapper)[key]
    target = relationship.mapper
    if relationship.direction is orm.RelationshipDirection.MANYTOONE:
        local = (inspection.key_of(mapper, column) for column in relationship.local_columns)
        if any(name is not None and getattr(instance, name) is None for name in local):
            return []
    statement = (
        sa.select(target.class_)
        .where(orm.with_parent(instance, getattr(mapper.class_, key)))
        .where(*within(target.class_, target, reach))
        .options(*label_options(target))
        .options(*([] if far_key is None else _far_options(target, far_key)))
        .order_by(*(getattr(target.class_, k) for k in inspection.identity_keys(target)))
        .limit(limit)
    )
    found = list(session.scalars(statement).unique())
    load_chains(session, found)
    return found


def _far_options(mapper: orm.Mapper[Any], key: str) -> list[Any]:
    return _label_path_options(None, mapper.class_, inspection.relationships(mapper)[key])


def note_reach(session: AnySession, instances: Iterable[Any], reach: Reach) -> None:
    """Note which of ``instances``, rows that others lead to, are out of ``reach``.

    One statement for each class of which only some rows are in reach; see `is_out_of_reach`.
    """
    by_mapper: dict[orm.Mapper[Any], dict[tuple[Any, ...], Any]] = {}
    for instance in instances:
        state = sa.inspect(instance)
        if state.identity is not None:
            by_mapper.setdefault(state.mapper, {})[tuple(state.identity)] = instance
    for mapper, found in by_mapper.items():
        criteria = list(within(mapper.class_, mapper, reach))
        if not criteria:
            continue
        keys = [getattr(mapper.class_, key) for key in inspection.identity_keys(mapper)]
        among = (
            sa.tuple_(*keys).in_(list(found))
            if len(keys) > 1
            else keys[0].in_([value for (value,) in found])
        )
        statement = sa.select(*keys).where(among, *criteria)
        within_reach = {tuple(row) for row in session.execute(statement)}
        for identity, instance in found.items():
            if identity not in within_reach:
                instance.__dict__[_BEYOND] = True


def is_out_of_reach(instance: Any) -> bool:
    """Whether `note_reach` found that the visitor may not see this related row."""
    return _BEYOND in getattr(instance, "__dict__", ())


_BEYOND = "_admin_out_of_reach"


def load_chains(session: AnySession, instances: Iterable[Any]) -> None:
    """Load what stands above ``instances`` in trees whose ``__str__`` tells the whole way there.

    All levels that are missing come in one recursive statement for each class.
    """
    starts: dict[orm.RelationshipProperty[Any], list[Any]] = {}
    for instance in instances:
        relationship = inspection.chain(_state(instance).manager.mapper)
        if relationship is not None:
            starts.setdefault(relationship, []).append(instance)
    for relationship, group in starts.items():
        (local,) = relationship.local_columns
        key = relationship.parent.get_property_by_column(local).key
        tops = [top for i in group if (top := _top(i, relationship.key)) is not None]
        missing = {value for top in tops if (value := getattr(top, key)) is not None}
        if missing:
            # The session holds rows weakly, so each is set at once on the row below it.
            above = session.scalars(_all_above(relationship, missing)).unique().all()
            for instance in (*tops, *above):
                getattr(instance, relationship.key)


def _top(instance: Any, key: str) -> Any:
    """The first row whose ``key`` is not loaded, on the way that it leads from ``instance``."""
    seen: set[int] = set()
    while instance is not None and id(instance) not in seen:
        if key in sa.inspect(instance).unloaded:
            return instance
        seen.add(id(instance))
        instance = getattr(instance, key)
    return None


def _all_above(relationship: orm.RelationshipProperty[Any], keys: set[Any]) -> Statement:
    model, mapper = relationship.mapper.class_, relationship.mapper
    ((local, remote),) = relationship.local_remote_pairs or ()
    above, parent = (getattr(model, mapper.get_property_by_column(c).key) for c in (remote, local))
    way = sa.select(above.label("id"), parent.label("parent")).where(above.in_(keys))
    found = way.cte("above", recursive=True)
    # UNION, not UNION ALL: a circle of rows comes to an end.
    found = found.union(sa.select(above, parent).where(above == found.c.parent))
    return (
        sa.select(model)
        .where(above.in_(sa.select(found.c.id)))
        .options(*label_options(relationship.mapper))
    )


def load_options(mapper: orm.Mapper[Any], paths: Iterable[Path]) -> tuple[Any, ...]:
    """Loader options for rows that show ``paths``: all related rows by join, no binaries."""
    return _load_options(mapper, tuple(paths))


# The mapping tells all of it, and visitors see the same few columns again and again.
@functools.lru_cache(maxsize=1_024)
def _load_options(mapper: orm.Mapper[Any], paths: tuple[Path, ...]) -> tuple[Any, ...]:
    options = _left_options(orm, mapper, mapper.class_)
    shown: set[str] = set()
    for path in paths:
        if not all(map(inspection.is_joinable, path.steps)):
            continue
        if path.is_to_many:
            options.extend(_members_options(mapper, path))
            continue
        option: Any = None
        entity: Any = mapper.class_
        for relationship in path.relationships:
            attribute = getattr(entity, relationship.key)
            option = (option or orm).joinedload(attribute)
            entity = relationship.mapper.class_
            options.extend(_left_options(option, relationship.mapper, entity))
        if path.relationship is not None and inspection.is_to_one(path.relationship):
            options.extend(_label_path_options(option, entity, path.relationship))
        elif path.column is not None and option is not None:
            options.append(option.load_only(getattr(entity, path.key)))
        elif path.column is None and path.relationship is None:
            options.extend(_computed_options(option, path, entity))
        if not path.relationships:
            shown.add(path.key)
    for column in inspection.columns(mapper).values():
        if inspection.is_binary(column.type):
            options.append(orm.defer(getattr(mapper.class_, column.key)))
        elif column.is_deferred and column.key in shown:
            options.append(orm.undefer(getattr(mapper.class_, column.key)))
    return tuple(options)


def referred(
    mapper: orm.Mapper[Any], paths: Iterable[Path]
) -> tuple[tuple[str, str, orm.Mapper[Any], str], ...]:
    """Which of ``paths`` have their rows of another class read along, for want of a relationship.

    Each with its key, the class and the attribute of that.
    """
    return _referred(mapper, tuple(paths))


@functools.lru_cache(maxsize=1_024)
def _referred(
    mapper: orm.Mapper[Any], paths: tuple[Path, ...]
) -> tuple[tuple[str, str, orm.Mapper[Any], str], ...]:
    found: list[tuple[str, str, orm.Mapper[Any], str]] = []
    for path in paths:
        if path.column is None or path.relationships or path.column.is_primary_key:
            continue
        target = inspection.referred(mapper, path.key)
        if target is not None:
            found.append((path.name, path.key, *target))
    return tuple(found)


def collection_options(
    mapper: orm.Mapper[Any], paths: Iterable[Path], names: Container[str]
) -> list[Any]:
    """Loader options for those collections of ``paths`` that ``names`` has, with labels."""
    options: list[Any] = []
    for path in paths:
        if path.name in names and path.relationship is not None and path.relationship.uselist:
            target = path.relationship.mapper
            option = orm.selectinload(getattr(mapper.class_, path.key))
            options += [option, *_needed_options(option, target, target.class_)]
    return options


def _members_options(mapper: orm.Mapper[Any], path: Path) -> list[Any]:
    """Loader options for a path through collections: one statement for each, whatever the rows."""
    option: Any = orm
    entity: Any = mapper.class_
    for relationship in path.relationships:
        if relationship.lazy in ("dynamic", "write_only"):
            return []
        attribute = getattr(entity, relationship.key)
        option = (
            option.selectinload(attribute) if relationship.uselist else option.joinedload(attribute)
        )
        entity = relationship.mapper.class_
    if path.relationship is not None and inspection.is_to_one(path.relationship):
        return _label_path_options(option, entity, path.relationship)
    if path.column is not None and not path.column.is_expression:
        return [option.load_only(getattr(entity, path.key))]
    return [option]


def form_options(mapper: orm.Mapper[Any], keys: Iterable[str]) -> list[Any]:
    """Loader options for one row in a form over the attributes ``keys``: all in one statement."""
    paths = [inspection.resolve(mapper, key) for key in keys]
    deferred = [
        orm.undefer(getattr(mapper.class_, path.key))
        for path in paths
        if path.column and path.column.is_deferred and not inspection.is_binary(path.column.type)
    ]
    return [*load_options(mapper, paths), *deferred]


def label_options(mapper: orm.Mapper[Any], entity: Any = None) -> Sequence[Any]:
    """Loader options that let `inspection.label` name rows of ``mapper`` without a statement.

    ``entity`` is the alias of the class that the rows are selected by, if it is one.
    """
    own = entity is None
    return _own_label_options(mapper) if own else _needed_options(orm, mapper, entity)


@functools.cache
def _own_label_options(mapper: orm.Mapper[Any]) -> Sequence[Any]:
    others = inspection.label(mapper).others
    options = _needed_options(orm, mapper, mapper.class_)
    if others:
        options.append(orm.selectin_polymorphic(mapper.class_, [m.class_ for m in others]))
    return options


def label_entity(mapper: orm.Mapper[Any]) -> Any:
    """An alias of the class, with the columns of the subclasses that labels may ask for."""
    others = inspection.label(mapper).others
    if not others:
        return orm.aliased(mapper)
    return orm.with_polymorphic(mapper, [m.class_ for m in others], flat=True)


def _label_path_options(
    option: Any, entity: Any, relationship: orm.RelationshipProperty[Any]
) -> list[Any]:
    target = relationship.mapper
    label = inspection.label(target)
    attribute = getattr(entity, relationship.key)
    if label.others:
        rows = label_entity(target)
        option = (option or orm).joinedload(attribute.of_type(rows))
        return [option, *_needed_options(option, target, rows)]
    option = (option or orm).joinedload(attribute)
    if not label.uses_str:
        keys = [getattr(target.class_, k) for k in inspection.identity_keys(target)]
        keys += [getattr(target.class_, k) for k in label.keys]
        return [option.load_only(*keys), *_left_options(option, target, target.class_)]
    return [option, *_needed_options(option, target, target.class_)]


def _needed_options(option: Any, mapper: orm.Mapper[Any], entity: Any) -> list[Any]:
    """What labels need of ``mapper`` and its subclasses, asked of ``entity``; no binaries."""
    options = _own_options(option, mapper, entity)
    is_alias = sa.inspect(entity).is_aliased_class
    for other in inspection.label(mapper).others:
        # An alias made by with_polymorphic holds its subclasses by their names.
        owner = getattr(entity, other.class_.__name__) if is_alias else other.class_
        options += _own_options(option, other, owner)
    return options


def _own_options(option: Any, mapper: orm.Mapper[Any], entity: Any) -> list[Any]:
    options = [
        option.defer(getattr(entity, c.key))
        for c in inspection.columns(mapper).values()
        if inspection.is_binary(c.type)
    ]
    options += _left_options(option, mapper, entity)
    return options + _need_options(option, mapper, entity, inspection.label(mapper).needs)


def _computed_options(option: Any, path: Path, entity: Any) -> list[Any]:
    """What a property, hybrid or method at the end of ``path`` will ask for, as its code tells."""
    options = [
        # Another column of the same related row may have asked for itself alone.
        option.undefer(getattr(entity, column.key))
        for column in inspection.columns(path.mapper).values()
        if option is not None and not column.is_deferred and not inspection.is_binary(column.type)
    ]
    needs = inspection.computed_needs(path.mapper, path.key)
    return options + _need_options(option or orm, path.mapper, entity, needs)


def _left_options(option: Any, mapper: orm.Mapper[Any], entity: Any, depth: int = 2) -> list[Any]:
    """What leaves collections alone that are mapped to come along with every row.

    A list shows how many members there are, and joined to its rows they would multiply them.
    """
    options: list[Any] = []
    for key, relationship in inspection.relationships(mapper).items():
        if relationship.lazy not in ("joined", "subquery", False):
            continue
        attribute = getattr(entity, key)
        if relationship.uselist:
            options.append(option.lazyload(attribute))
        elif depth:
            target = relationship.mapper
            reached = option.joinedload(attribute)
            options += _left_options(reached, target, target.class_, depth - 1)
    return options


def _need_options(
    option: Any, mapper: orm.Mapper[Any], entity: Any, needs: Iterable[tuple[str, ...]]
) -> list[Any]:
    options: list[Any] = []
    for need in needs:
        current, at, owner = option, mapper, entity
        for key in need:
            relationship = inspection.relationships(at).get(key)
            if relationship is None:
                current = current.undefer(getattr(owner, key))
                break
            load = (
                current.joinedload if inspection.is_to_one(relationship) else current.selectinload
            )
            current = load(getattr(owner, key))
            at = relationship.mapper
            owner = at.class_
        options.append(current)
    return options
