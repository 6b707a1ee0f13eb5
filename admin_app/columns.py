"""Which attributes a page shows, orders by and searches when no option says so.

Also how an option names an attribute: as text, dotted through relationships, or as the attribute
of a class itself. Plain functions of a mapper; what a view's options choose is decided there.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.associationproxy import AssociationProxy
from sqlalchemy.ext.hybrid import HybridExtensionType

from admin_app import inspection
from admin_app.errors import InvalidRequest
from admin_app.inspection import Path
from admin_app.policy import Reach

MOST = 10
"""Columns of a list without options; the details page has them all."""

DEPTH = 2
"""How many relationships a visitor may follow to the columns of other classes."""

FEW = 5
"""A list with fewer short columns than this is filled up with long texts."""


def shown(
    mapper: orm.Mapper[Any], *, with_key: bool = True, with_hidden: bool = False
) -> list[str]:
    """The attributes of a page about one row: its key, what it is called, then as it is mapped.

    A foreign key stands as the relationship that writes it. ``with_hidden`` takes in names that
    begin with an underscore.
    """
    covered = inspection.foreign_key_relationships(mapper)
    keys: list[str] = []
    for key, column in inspection.columns(mapper).items():
        public = inspection.public_key(mapper, key) or (key if with_hidden else None)
        if public is None or (column.is_primary_key and not with_key):
            continue
        is_whole_key = column.is_primary_key and len(mapper.primary_key) == 1
        name = public if is_whole_key else covered.get(key, public)
        if name not in keys:
            keys.append(name)
    parts = {n for k in inspection.identity_keys(mapper) for n in (k, covered.get(k, k))}
    label = inspection.label(mapper).keys
    return sorted(keys, key=lambda k: 0 if k in parts else 1 if k in label else 2)


def listed(mapper: orm.Mapper[Any], keys: Sequence[str]) -> list[str]:
    """Those of ``keys`` that a list shows: what is short and tells most, in the same order."""
    fitting = {k for k in keys if _fits(mapper, k)}
    # Where there is little else, long texts tell most; many a database knows no short ones.
    texts = [k for k in keys if k not in fitting and _is_open_text(mapper, k)]
    fitting.update(texts[: max(0, FEW - len(fitting))])
    return [k for k in keys if k in fitting][:MOST] or list(keys[:MOST])


def _fits(mapper: orm.Mapper[Any], key: str) -> bool:
    column = inspection.columns(mapper).get(key)
    if column is None or column.is_primary_key or key in inspection.label(mapper).keys:
        return True
    if column.is_deferred or inspection.is_secret(key) or inspection.is_binary(column.type):
        return False
    is_long = isinstance(inspection.stored_type(column.type), sa.Text | sa.JSON | sa.ARRAY)
    return not is_long and column.column is not mapper.version_id_col


def _is_open_text(mapper: orm.Mapper[Any], key: str) -> bool:
    column = inspection.columns(mapper).get(key)
    return (
        column is not None
        and inspection.is_text(column.type)
        and not column.is_deferred
        and not inspection.is_secret(key)
    )


def name_of(mapper: orm.Mapper[Any], attribute: Any) -> str:
    """The dotted name of ``attribute``, given as text or as an attribute of a class.

    An attribute of another class is reached through the first relationship that leads there.
    """
    if isinstance(attribute, str):
        return attribute
    key: str = attribute.key
    owner = getattr(attribute, "class_", None)
    if owner is None or issubclass(mapper.class_, owner):
        return key
    for relationship in mapper.relationships:
        if issubclass(relationship.mapper.class_, owner):
            return f"{relationship.key}.{key}"
    return key


def path_of(mapper: orm.Mapper[Any], name: str) -> Path:
    """Where a column's value is; a name that only a formatter knows leads to itself."""
    try:
        return inspection.resolve(mapper, name)
    except InvalidRequest:
        return Path(name, (), mapper, name)


def sortable(mapper: orm.Mapper[Any], names: Iterable[Any]) -> dict[str, Sequence[Path]]:
    """Which of ``names`` a list may be ordered by, each with the paths that make the order.

    A pair names the column and what it is ordered by, one attribute or several.
    """
    found: dict[str, Sequence[Path]] = {}
    for name in names:
        column, target = name if isinstance(name, tuple) else (name, name)
        targets = target if isinstance(target, tuple | list) else [target]
        with contextlib.suppress(InvalidRequest):
            paths = [
                path
                for t in targets
                for path in sort_of(mapper, inspection.resolve(mapper, name_of(mapper, t)))
            ]
            if paths and all(is_sortable(path) for path in paths):
                found[name_of(mapper, column)] = paths
    return found


def sort_of(mapper: orm.Mapper[Any], path: Path) -> Sequence[Path]:
    """What ``path`` is ordered by: itself, or what its `display` names instead."""
    display = shown_as(path)
    parts = inspection.composite_keys(path.mapper, path.key)
    if parts:
        named: Sequence[Any] = parts
    elif display is None or display.sort is None:
        return [path]
    else:
        named = display.sort if isinstance(display.sort, tuple | list) else [display.sort]
    prefix = path.name.rpartition(".")[0]
    names = [name_of(path.mapper, attribute) for attribute in named]
    return [inspection.resolve(mapper, f"{prefix}.{n}" if prefix else n) for n in names]


def is_sortable(path: Path) -> bool:
    """Whether a list can be ordered by ``path``: one value a row, of a type that has an order."""
    if path.is_to_many or not all(map(inspection.is_joinable, path.steps)):
        return False
    if path.hybrid is not None:
        return has_expression(path.mapper, path.key)
    if path.relationship is not None:
        return True
    if path.column is None or inspection.is_binary(path.column.type):
        return False
    return inspection.is_orderable(path.column.type)


@functools.cache
def has_expression(mapper: orm.Mapper[Any], key: str) -> bool:
    """Whether the hybrid ``key`` has a value in SQL; many are written for instances alone."""
    try:
        value = getattr(mapper.class_, key)
    except Exception:  # what a hybrid does with a class instead of an instance is anything
        return False
    return isinstance(value, sa.ColumnElement) or hasattr(value, "__clause_element__")


def searchable(mapper: orm.Mapper[Any]) -> list[str]:
    """What a search without options looks into: text, and keys by equality."""
    found: list[str] = []
    for key, column in inspection.columns(mapper).items():
        if inspection.is_secret(key) or column.is_deferred or key.startswith("_"):
            continue
        stored = inspection.stored_type(column.type)
        is_key = column.is_primary_key and isinstance(stored, sa.Integer | sa.Uuid)
        if inspection.is_text(column.type) or is_key:
            found.append(key)
    return found


# What a visitor may choose


@dataclass(frozen=True, slots=True)
class Branch:
    """Columns of one class on offer, and the classes that its to-one relationships lead to."""

    mapper: orm.Mapper[Any]
    paths: tuple[Path, ...]
    related: tuple[tuple[Path, Branch], ...] = ()


@dataclass(frozen=True)
class Offers:
    """What a visitor may have shown in a list of ``mapper``.

    ``own`` are the columns that the list has without a choice; they are always on offer.
    ``excluded`` names are not, and neither is what is secret, hidden, out of ``reach``, or a
    method that was not made for being shown (see `display`). ``only`` narrows to these names.
    ``labels`` are the words for what the view has words for.
    """

    mapper: orm.Mapper[Any]
    own: Mapping[str, Path]
    reach: Reach = Reach()
    excluded: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    with_hidden: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path | None:
        """Where the column ``name`` of a URL leads; None when it is not on offer."""
        if name in self.own:
            return self.own[name]
        *steps, key = name.split(".")
        if not self._is_named(name) or len(steps) > DEPTH:
            return None
        at = self.mapper
        for step in steps:
            relationship = inspection.relationships(at).get(step)
            if relationship is None or not self._may_follow(at, relationship):
                return None
            at = relationship.mapper
        if not self._may_show(at, key, len(steps)):
            return None
        try:
            return inspection.resolve(self.mapper, name)
        except InvalidRequest:
            return None

    def tree(self) -> Branch:
        """Everything on offer, class by class."""
        return self._branch(self.mapper, "", DEPTH, ())

    def _branch(
        self,
        mapper: orm.Mapper[Any],
        prefix: str,
        depth: int,
        way: tuple[orm.RelationshipProperty[Any], ...],
    ) -> Branch:
        paths = [
            inspection.resolve(self.mapper, prefix + key)
            for key in _attributes(mapper)
            if self._is_named(prefix + key) and self._may_show(mapper, key, len(way))
        ]
        related = [
            (inspection.resolve(self.mapper, prefix + key), branch)
            for key, relationship in inspection.relationships(mapper).items()
            # Back along the way that led here is what stands in the row already.
            if depth > 0
            and not any(relationship in step._reverse_property for step in way)
            and self._may_follow(mapper, relationship)
            and (branch := self._branch(
                relationship.mapper, f"{prefix}{key}.", depth - 1, (*way, relationship)
            )).paths
        ]  # fmt: skip
        return Branch(mapper, tuple(paths), tuple(related))

    def _is_named(self, name: str) -> bool:
        if name in self.excluded:
            return False
        return self.only is None or name in self.only

    def _may_follow(
        self, mapper: orm.Mapper[Any], relationship: orm.RelationshipProperty[Any]
    ) -> bool:
        return (
            not relationship.uselist
            and inspection.is_joinable(relationship)
            and self._is_visible(mapper, relationship.key)
            and self._is_whole(relationship.mapper)
        )

    def _is_whole(self, mapper: orm.Mapper[Any]) -> bool:
        """Whether all rows of a class are in reach: a column would tell of the others as well."""
        return self.reach.may_read(mapper) and self.reach.rows(mapper) is None

    def _may_show(self, mapper: orm.Mapper[Any], key: str, depth: int) -> bool:
        column = inspection.columns(mapper).get(key)
        if column is None and key not in _attributes(mapper):
            return False
        if not all(self._is_visible(at, k) for at, k in ((mapper, key), *_sources(mapper, key))):
            return False
        relationship = inspection.relationships(mapper).get(key)
        if relationship is not None:
            return (
                inspection.is_joinable(relationship)
                and self._is_whole(relationship.mapper)
                # Members are counted for the rows of the list itself.
                and (depth == 0 or not relationship.uselist)
            )
        return depth == 0 or column is None or not inspection.is_binary(column.type)

    def _is_visible(self, mapper: orm.Mapper[Any], key: str) -> bool:
        is_hidden = not self.with_hidden and inspection.public_key(mapper, key) is None
        if is_hidden or inspection.is_secret(key):
            return False
        return self.reach.may_read(mapper, key)


@functools.cache
def _attributes(mapper: orm.Mapper[Any]) -> tuple[str, ...]:
    """The attributes of a class that hold something to be shown, as mapped, then as computed."""
    covered = inspection.foreign_key_relationships(mapper)
    found = dict.fromkeys(
        key if column.is_primary_key else covered.get(key, key)
        for key, column in inspection.columns(mapper).items()
    )
    found |= dict.fromkeys([*inspection.relationships(mapper), *mapper.composites.keys()])
    found |= dict.fromkeys(
        key
        for key, descriptor in mapper.all_orm_descriptors.items()
        if descriptor.extension_type is HybridExtensionType.HYBRID_PROPERTY
        or inspection.is_association_proxy(mapper, key)
    )
    found |= dict.fromkeys([*mapper.synonyms.keys(), *_computed(mapper.class_)])
    return tuple(key for key in found if not key.startswith("_") or key in mapper.attrs)


def _sources(mapper: orm.Mapper[Any], key: str) -> list[tuple[orm.Mapper[Any], str]]:
    """What a proxy, synonym or composite takes its values from; who sees it has to see these."""
    if key in mapper.synonyms:
        return [(mapper, mapper.synonyms[key].name)]
    proxy = mapper.all_orm_descriptors.get(key)
    if isinstance(proxy, AssociationProxy):
        near = inspection.relationships(mapper).get(proxy.target_collection)
        far = [] if near is None else [(near.mapper, proxy.value_attr)]
        return [(mapper, proxy.target_collection), *far]
    return [(mapper, part) for part in inspection.composite_keys(mapper, key)]


def _computed(model: type[Any]) -> Iterator[str]:
    """The properties of ``model`` and its parents, and methods that are made to be shown."""
    for cls in reversed(model.__mro__):
        if cls.__module__.split(".")[0] in ("builtins", "sqlalchemy", "flask_sqlalchemy"):
            continue
        for key, attribute in vars(cls).items():
            is_property = isinstance(attribute, property | functools.cached_property)
            if is_property or display_of(attribute) is not None:
                yield key


class Readable(Mapping[str, Sequence[Path]]):
    """Those of ``sorts`` that a visitor may order by: an order tells what is in a column.

    ``always`` are there in any case: what a view orders by itself. The policy is asked about a name
    when somebody asks for it, and once.
    """

    def __init__(
        self,
        sorts: Mapping[str, Sequence[Path]],
        may_read: Callable[[orm.Mapper[Any], str], bool],
        always: Mapping[str, Sequence[Path]],
    ) -> None:
        self._sorts, self._may_read, self._always = sorts, may_read, always
        self._known: dict[str, Sequence[Path] | None] = {}

    def __getitem__(self, name: str) -> Sequence[Path]:
        if name not in self._known:
            paths = self._sorts.get(name)
            is_open = paths is not None and all(self._may_read(p.mapper, p.key) for p in paths)
            self._known[name] = paths if is_open else self._always.get(name)
        found = self._known[name]
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return (name for name in {**self._sorts, **self._always} if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Sorts(Mapping[str, Sequence[Path]]):
    """What a list may be ordered by: what the view says, then whatever a visitor may see."""

    def __init__(self, own: Mapping[str, Sequence[Path]], offers: Offers) -> None:
        self._own = own
        self._offers = offers

    def __getitem__(self, name: str) -> Sequence[Path]:
        if name in self._own:
            return self._own[name]
        path = None if name in self._offers.own else self._offers.path(name)
        found = [] if path is None else sort_of(self._offers.mapper, path)
        if not found or not all(map(is_sortable, found)):
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


# What a computed column says of itself


@dataclass(frozen=True, slots=True)
class Display:
    """How a computed column is shown; see `display`."""

    label: str | None = None
    sort: Any = None
    description: str | None = None
    empty: str | None = None


F = TypeVar("F", bound=Callable[..., Any])


def display(
    label: str | None = None,
    *,
    sort: Any = None,
    description: str | None = None,
    empty: str | None = None,
) -> Callable[[F], F]:
    """Say how a method or property is shown as a column, and that it may be chosen as one.

    ``label`` is its heading, ``sort`` the attribute (or several) that a list is ordered by
    instead, ``description`` the hint at the heading, ``empty`` what stands for None. It goes under
    ``@property``, and onto methods of a view that take the row::

        @display("Margin", sort="price")
        def margin(self, product): ...
    """

    def mark(function: F) -> F:
        function.__admin_display__ = Display(label, sort, description, empty)  # type: ignore[attr-defined]
        return function

    return mark


def display_of(attribute: Any) -> Display | None:
    """What `display` said of a function, or of a property or hybrid made of one."""
    function = getattr(attribute, "fget", None) or getattr(attribute, "func", None) or attribute
    found = getattr(function, "__admin_display__", None)
    return found if isinstance(found, Display) else None


def shown_as(path: Path) -> Display | None:
    """What `display` said of the attribute that ``path`` leads to."""
    if path.column is not None or path.relationship is not None:
        return None
    return display_of(inspect.getattr_static(path.mapper.class_, path.key, None))
