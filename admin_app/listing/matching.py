"""How one word matches one column, by the column's type and the indexes that it has.

Text is compared whatever its case. On PostgreSQL each comparison has several forms that mean the
same; the one that an index serves is taken:

- part of a text: ``col ILIKE '%x%'`` and ``lower(col) LIKE '%x%'`` by trigrams;
- beginning: ``lower(col) LIKE 'x%'`` by a B-tree that compares bytes, trigrams, or each way to
  write the first letters where such a B-tree is on the column itself;
- the whole: ``lower(col) = 'x'`` by any index on ``lower(col)``;
- full text: the expression of the full-text index.

Numbers, dates, UUIDs are compared for equality; a word that is no value of the type matches none.
"""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from admin_app import inspection, moments
from admin_app.inspection import Path
from admin_app.listing.indexes import Facts, IndexKey, TableFacts
from admin_app.policy import Reach

FOLDED = 3
"""First letters whose cases are all written out for an index that tells them apart."""

_TRIGRAM = re.compile(r"[^\W_]{3}")


@dataclass(frozen=True, slots=True)
class Match:
    """A condition, and whether an index leads to the rows that meet it."""

    condition: sa.ColumnElement[bool]
    is_served: bool = False
    is_possible: bool = True


def any_of(found: Sequence[Match]) -> Match:
    """That one of ``found`` holds; without any, none does."""
    if not found:
        return Match(sa.false(), True, is_possible=False)
    return Match(sa.or_(*(m.condition for m in found)), all(m.is_served for m in found))


def within(entity: Any, mapper: orm.Mapper[Any], reach: Reach) -> Iterator[sa.ColumnElement[bool]]:
    """What keeps ``entity``, an alias of ``mapper``, to the rows in reach."""
    rows = reach.rows(mapper)
    if rows is None:
        return
    names = inspection.identity_keys(mapper)
    keys = [getattr(mapper.class_, name) for name in names]
    inner = rows.order_by(None).with_only_columns(*keys, maintain_column_froms=True).correlate(None)
    own = [getattr(entity, name) for name in names]
    yield (own[0] if len(own) == 1 else sa.tuple_(*own)).in_(inner)


def match(
    entity: Any, path: Path, text: str, sign: str, *, is_asked: bool, facts: Facts | None
) -> Match | None:
    """That the attribute ``path.key`` of ``entity`` matches ``text``; None where it never can.

    ``is_asked`` is whether an option wants full text of the attribute. ``facts`` is what is known
    of the indexes, None on other databases than PostgreSQL.
    """
    attribute = getattr(entity, path.key)
    type_ = path.column.type if path.column is not None else attribute.type
    stored = inspection.stored_type(type_)
    column = _Column(entity, path, facts)
    if isinstance(stored, postgresql.TSVECTOR):
        return None if facts is None else _vector(attribute, column, text)
    if inspection.is_text(type_):
        as_text = sa.type_coerce(attribute, sa.String())
        if sign == "@" and facts is not None:
            words = _full_text(as_text, column, text, is_asked)
            if words is not None:
                return words
        is_folded = isinstance(stored, postgresql.CITEXT)
        if sign == "@":
            text, sign = text if is_asked else "@" + text, ""
        return _text(as_text, column, text, sign, is_folded)
    if isinstance(stored, sa.Enum):
        fits = _members(stored, text, sign)
        return Match(attribute.in_(fits), column.finds_equal) if fits else None
    if isinstance(stored, sa.Boolean | sa.LargeBinary | sa.JSON):
        return None
    if isinstance(stored, sa.Date | sa.DateTime):
        span = _days(stored, text)
        return span and Match(
            sa.and_(attribute >= span[0], attribute < span[1]), column.finds_equal
        )
    if isinstance(stored, sa.Integer | sa.Numeric | sa.Float | sa.Uuid):
        value = _value(stored, text, is_postgresql=facts is not None)
        plain = attribute if path.column is None else sa.type_coerce(attribute, stored)
        return None if value is None else Match(plain == value, column.finds_equal)
    return Match(_like(sa.cast(attribute, sa.String()), text, sign))


class _Column:
    """What is known of the column behind an attribute: its table's facts, and its own keys."""

    def __init__(self, entity: Any, path: Path, facts: Facts | None) -> None:
        self.entity = entity
        self.mapper = path.mapper
        column = path.column.column if path.column is not None else None
        self.column = column if isinstance(column, sa.Column) else None
        table = None if self.column is None else self.column.table
        self.table = (facts or {}).get(table, TableFacts())
        self.keys: Sequence[IndexKey] = (
            () if self.column is None else self.table.of(self.column.name)
        )

    @property
    def finds_equal(self) -> bool:
        return any(k.finds_equal and k.function is None for k in self.keys)


# Text


def _text(attribute: Any, column: _Column, text: str, sign: str, is_folded: bool) -> Match:
    """``attribute`` holds ``text``, begins or ends with it, or is equal to it."""
    if sign == "=" and is_folded:
        return Match(attribute == sa.cast(text, postgresql.CITEXT()), column.finds_equal)
    for key in column.keys:
        if key.function is not None and _serves(key, text, sign):
            fold = getattr(sa.func, key.function)
            if sign == "=" and not key.finds_parts:
                return Match(fold(attribute) == fold(text), True)
            pattern = fold(_pattern(text, sign))
            return Match(fold(attribute).like(pattern, escape="\\"), True)
    for key in column.keys:
        if key.function is None and key.finds_parts and _serves(key, text, sign):
            return Match(attribute.ilike(_pattern(text, sign), escape="\\"), True)
    found = _like(attribute, text, sign)
    if sign in ("=", "^") and any(k.function is None and k.finds_prefixes for k in column.keys):
        ways = _ways_to_begin(text)
        begins = (attribute.like(_pattern(w, "^"), escape="\\") for w in ways)
        return Match(sa.and_(sa.or_(*begins), found), True)
    return Match(found)


def _serves(key: IndexKey, text: str, sign: str) -> bool:
    """Whether ``key`` leads to the texts that match."""
    if key.finds_parts:
        # A part has to hold a whole trigram; at the beginning, blanks before it make up for one.
        return _TRIGRAM.search(text) is not None or sign in ("=", "^") and text[:1].isalnum()
    return sign == "=" and key.finds_equal or sign == "^" and key.finds_prefixes


def _like(attribute: Any, text: str, sign: str) -> sa.ColumnElement[bool]:
    if sign == "=":
        return sa.func.lower(attribute) == sa.func.lower(text)
    return attribute.ilike(_pattern(text, sign), escape="\\")  # type: ignore[no-any-return]


def _pattern(text: str, sign: str) -> str:
    """The LIKE pattern for ``text``, in which nothing but what is added stands for anything."""
    literal = re.sub(r"([%_\\])", r"\\\1", text)
    return {"=": literal, "^": f"{literal}%", "$": f"%{literal}"}.get(sign, f"%{literal}%")


def _ways_to_begin(text: str) -> list[str]:
    """The first letters of ``text`` in each case that they may be written in."""
    cases = [dict.fromkeys((c, c.lower(), c.upper())) for c in text[:FOLDED]]
    return ["".join(way) for way in itertools.product(*cases)]


def _members(type_: sa.Enum, text: str, sign: str) -> list[Any]:
    """The members of an enum whose name or value matches."""
    wanted = text.lower()
    ways: dict[str, Any] = {"=": str.__eq__, "^": str.startswith, "$": str.endswith}
    compare = ways.get(sign, str.__contains__)
    if type_.enum_class is None:
        return [name for name in type_.enums if compare(name.lower(), wanted)]
    return [
        member
        for name, member in type_.enum_class.__members__.items()
        if any(compare(str(n).lower(), wanted) for n in (name, member.value))
    ]


# Full text


class _Written(FunctionElement[str]):
    """An expression of an index: its text, with the columns of an alias in their places."""

    inherit_cache = True
    type = postgresql.TSVECTOR()


@compiles(_Written)
def _compile_written(element: _Written, compiler: Any, **kwargs: Any) -> str:
    return f"({''.join(compiler.process(part, **kwargs) for part in element.clauses)})"


_CONFIGURATION = re.compile(r"'((?:[^']|'')+)'::regconfig|to_tsvector\(\s*'((?:[^']|'')+)'")
_TOKENS = re.compile(
    r"""'(?:[^']|'')*'|"(?P<quoted>(?:[^"]|"")*)"|(?P<name>[a-z_][a-z0-9_$]*)(?!\s*\()"""
)


def _full_text(attribute: Any, column: _Column, text: str, is_asked: bool) -> Match | None:
    """``text`` by the full-text index over the column; None where there is none to use."""
    for key in column.table.keys:
        if key.finds_words and column.column is not None:
            vector = _expression(key.expression, column)
            if vector is not None:
                return Match(_holds(vector, key.expression, text), True)
    if not is_asked:
        return None
    vector = sa.func.to_tsvector(attribute, type_=postgresql.TSVECTOR())
    return Match(_holds(vector, "", text))


def _vector(attribute: Any, column: _Column, text: str) -> Match:
    computed = getattr(column.column, "computed", None)
    made_by = "" if computed is None else str(computed.sqltext)
    is_served = any(k.finds_words for k in column.keys)
    return Match(_holds(attribute, made_by, text), is_served)


def _holds(vector: Any, made_by: str, text: str) -> sa.ColumnElement[bool]:
    """``vector`` holds the words of ``text``, next to each other where there are several.

    Words that the configuration leaves out of every vector are wanted of none.
    """
    query: Any
    named = _CONFIGURATION.search(made_by)
    if named is None:
        query = sa.func.phraseto_tsquery(text)
        return vector.bool_op("@@")(query)  # type: ignore[no-any-return]
    configuration = (named[1] or named[2]).replace("'", "''")
    config: Any = sa.literal_column(f"'{configuration}'::regconfig")
    query = sa.func.phraseto_tsquery(config, text)
    # Both are known before the statement runs, so an index is still used.
    return sa.or_(vector.bool_op("@@")(query), sa.func.numnode(query) == 0)


def _expression(expression: str, column: _Column) -> Any:
    """The expression of an index over columns of an alias; None if this column is not in it."""
    assert column.column is not None
    known = {
        c.name: getattr(column.entity, key)
        for key, mapped in inspection.columns(column.mapper).items()
        if isinstance(c := mapped.column, sa.Column) and c.table is column.column.table
    }
    parts: list[Any] = []
    used: set[str] = set()
    end = 0
    for token in _TOKENS.finditer(expression):
        quoted = token["quoted"]
        name = token["name"] if quoted is None else quoted.replace('""', '"')
        is_type = expression[: token.start()].endswith("::")
        if name is None or name not in known or is_type:
            continue
        parts += [sa.literal_column(expression[end : token.start()] or " "), known[name]]
        used.add(name)
        end = token.end()
    if column.column.name not in used:
        return None
    parts.append(sa.literal_column(expression[end:] or " "))
    return _Written(*parts)


# Values

_BITS = {sa.SmallInteger: 16, sa.BigInteger: 64}


def _value(type_: Any, text: str, *, is_postgresql: bool) -> Any:
    """The value of ``type_`` that is written as ``text``; None where there is none."""
    try:
        if isinstance(type_, sa.Uuid):
            found = uuid.UUID(text)
            return found if type_.as_uuid else str(found)
        if isinstance(type_, sa.Integer):
            if not re.fullmatch(r"[-+]?[0-9]{1,19}", text):
                return None
            bits = next((b for t, b in _BITS.items() if isinstance(type_, t)), 32)
            # Only PostgreSQL minds a number that its column could not hold.
            limit = 2 ** ((bits if is_postgresql else 64) - 1)
            return int(text) if -limit <= int(text) < limit else None
        if not re.fullmatch(r"[-+]?[0-9]{1,40}(\.[0-9]{0,40})?|[-+]?\.[0-9]{1,40}", text):
            return None
        if isinstance(type_, sa.Numeric) and type_.asdecimal:
            return decimal.Decimal(text)
        return float(text)
    except ValueError:
        return None


_DAYS = re.compile(r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2}))?")


def _days(type_: Any, text: str) -> tuple[Any, Any] | None:
    """The first and the next moment of the day or month, or of the second, that ``text`` names."""
    written = _DAYS.fullmatch(text)
    try:
        if written is None:
            start = dt.datetime.fromisoformat(text) if len(text) > 10 else None
            end = start and start + dt.timedelta(seconds=1)
        else:
            year, month, day = (int(n or 1) for n in written.groups())
            start = dt.datetime(year, month, day)
            end = start + dt.timedelta(days=1 if written[3] else 32)
            end = end if written[3] else end.replace(day=1)
    except (ValueError, OverflowError):
        return None
    if start is None or end is None:
        return None
    if isinstance(type_, sa.Date):
        return (start.date(), end.date()) if written else None
    if not type_.timezone:
        return (start, end) if start.tzinfo is None else None
    try:
        return tuple(
            (v if v.tzinfo else v.replace(tzinfo=moments.zone())).astimezone(dt.UTC)
            for v in (start, end)
        )  # type: ignore[return-value]
    except OverflowError:
        return None
