"""How a row is called, and what has to be loaded for that."""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app.inspection.mapping import columns, is_to_one, relationships
from admin_app.inspection.stored import is_binary, is_long_text, is_secret, is_text, stored_type
from admin_app.inspection.wording import words

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
            # Asked directly: what returns a name that is NULL has no label, and is no error.
            said = instance.__str__()
            text = "" if said is None else str(said)
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


@functools.cache
def label_texts(mapper: orm.Mapper[Any]) -> frozenset[str]:
    """The text columns of ``mapper`` that rows are called by, as far as the code tells."""
    known = label(mapper)
    names = _names(mapper.class_, _own_str(mapper.class_)) if known.uses_str else {*known.keys}
    return frozenset(key for key, c in columns(mapper).items() if key in names and is_text(c.type))


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
