"""What can be asked of a column, by the type that it is stored as.

One small class a kind of type: it reads the texts of a URL and knows how its values are compared.
`kind_of` chooses it by ``isinstance``. Which operators it answers to is written in `operators`.
"""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from admin_app import inspection
from admin_app.filters import periods, stored_json, values
from admin_app.filters.periods import Span

Bool = sa.ColumnElement[bool]


class Kind:
    """Columns that are alike in what can be asked of them.

    ``operators`` are names in the order that they are offered, ``control`` tells what a value is
    typed or chosen with: ``text``, ``number``, ``date``, ``datetime``, ``time``, ``choice``,
    ``row`` or ``none``. Methods that read raise ValueError with a sentence.
    """

    operators: tuple[str, ...] = ("filled", "empty")
    control = "none"

    def choices(self) -> list[tuple[str, str]]:
        """Texts of values with the words for them, where there are few."""
        return []

    def words(self, text: str) -> str:
        """A value as it stands in a sentence."""
        return dict(self.choices()).get(text, text)

    def read(self, text: str) -> Any:
        raise NotImplementedError

    def equals(self, column: Any, texts: Sequence[str]) -> Bool:
        found = [self.read(text) for text in texts]
        return column == found[0] if len(found) == 1 else column.in_(found)  # type: ignore[no-any-return]

    def filled(self, column: Any) -> Bool:
        return column.is_not(None)  # type: ignore[no-any-return]

    def span(self, text: str) -> Span:
        """From where to where a value is that was written as ``text``: `Ordered` kinds only."""
        raise NotImplementedError

    def as_text(self, column: Any) -> Any:
        """The column as what LIKE takes."""
        return sa.type_coerce(column, sa.String())


class Opaque(Kind):
    """What can only be there or not: bytes, and types that are not known."""


class Binary(Kind):
    def filled(self, column: Any) -> Bool:
        return sa.func.length(column, type_=sa.Integer) > 0


class Text(Kind):
    operators = (
        "contains",
        "lacks",
        "is",
        "not",
        "starts",
        "ends",
        "filled",
        "empty",
    )
    control = "text"

    def read(self, text: str) -> Any:
        return text

    def filled(self, column: Any) -> Bool:
        return self.as_text(column) != ""  # type: ignore[no-any-return]


class Boolean(Kind):
    operators = ("is", "not", "filled", "empty")
    control = "choice"

    def __init__(self, is_nullable: bool = True) -> None:
        self.is_nullable = is_nullable

    def choices(self) -> list[tuple[str, str]]:
        known = [("true", "yes"), ("false", "no")]
        return [*known, ("unknown", "unknown")] if self.is_nullable else known

    def words(self, text: str) -> str:
        return {True: "yes", False: "no", None: "unknown"}[values.boolean(text)]

    def read(self, text: str) -> bool | None:
        return values.boolean(text)

    def equals(self, column: Any, texts: Sequence[str]) -> Bool:
        return sa.or_(*(column.is_(self.read(text)) for text in dict.fromkeys(texts)))


class Choice(Kind):
    """An Enum: a member is written by its name, as forms send it, or as it is stored or shown."""

    operators = ("is", "not", "filled", "empty")
    control = "choice"

    def __init__(self, type_: sa.Enum) -> None:
        members = type_.enum_class.__members__ if type_.enum_class is not None else None
        self.members: dict[str, Any] = dict(members or {str(e): e for e in type_.enums})

    def choices(self) -> list[tuple[str, str]]:
        return [(name, _member_words(name, member)) for name, member in self.members.items()]

    def read(self, text: str) -> Any:
        if text in self.members:
            return self.members[text]
        for name, member in self.members.items():
            if text in (getattr(member, "value", None), _member_words(name, member)):
                return member
        raise ValueError("This is not one of the choices.")


def _member_words(name: str, member: Any) -> str:
    if not isinstance(member, enum.Enum):
        return name
    return member.value if isinstance(member.value, str) else inspection.words(name)


class Ordered(Kind):
    """Values with an order; `span` of one is as long as what was written of it."""

    operators: tuple[str, ...] = (
        *("is", "not", "gt", "gte", "lt", "lte", "between"),
        *("filled", "empty"),
    )

    def span(self, text: str) -> Span:
        value = self.read(text)
        return Span(value, value)


class Number(Ordered):
    control = "number"

    def __init__(self, type_: sa.types.TypeEngine[Any]) -> None:
        self.type = type_
        self.is_whole = isinstance(type_, sa.Integer)

    def read(self, text: str) -> Any:
        if self.is_whole:
            number = values.integer(text)
            # Compared as a wider type, a number that the column cannot hold is just not there.
            limit = 2**15 if isinstance(self.type, sa.SmallInteger) else 2**31
            fits = isinstance(self.type, sa.BigInteger) or -limit <= number < limit
            return number if fits else sa.literal(number, sa.BigInteger())
        exact = values.number(text)
        as_decimal = isinstance(self.type, sa.Numeric) and self.type.asdecimal
        return exact if as_decimal else self._rounded(float(exact))

    def _rounded(self, value: float) -> Any:
        # A REAL column equals no number of double precision unless that is rounded first.
        return sa.cast(value, self.type) if isinstance(self.type, sa.REAL | sa.FLOAT) else value


class Decorated(Kind):
    """Values that a TypeDecorator makes of another kind's."""

    def __init__(self, type_: sa.types.TypeDecorator[Any], inner: Kind) -> None:
        self.type = type_
        self.inner = inner
        self.operators = inner.operators
        self.control = inner.control

    def choices(self) -> list[tuple[str, str]]:
        return self.inner.choices()

    def words(self, text: str) -> str:
        return self.inner.words(text)

    def read(self, text: str) -> Any:
        return self._loaded(self.inner.read(text))

    def _loaded(self, value: Any) -> Any:
        if value is None or isinstance(value, sa.ClauseElement):
            return value
        try:
            return inspection.loaded(self.type, value)
        except Exception:  # the type's own code, given what it may not expect
            raise ValueError("The column cannot hold this value.") from None

    def filled(self, column: Any) -> Bool:
        is_text = isinstance(self.inner, Text) and not inspection.is_binary(self.type)
        return column.is_not(None) if not is_text else self.inner.filled(column)

    def span(self, text: str) -> Span:
        found = self.inner.span(text)
        start = self._loaded(found.start)
        return Span(start, start if found.end is found.start else self._loaded(found.end))

    def equals(self, column: Any, texts: Sequence[str]) -> Bool:
        if isinstance(self.inner, Moment | Clock):
            return sa.or_(*(within(column, self.span(text)) for text in texts))
        if isinstance(self.inner, Boolean):
            return sa.or_(*(_is(column, self.read(text)) for text in texts))
        return super().equals(column, texts)


def _is(column: Any, value: Any) -> Bool:
    return column.is_(None) if value is None else column == value  # type: ignore[no-any-return]


class Moment(Ordered):
    """Dates with times: moments where ``is_aware``, else what some clock on a wall showed."""

    operators = ("during", *Ordered.operators)
    control = "datetime"

    def __init__(self, is_aware: bool) -> None:
        self.is_aware = is_aware

    def read(self, text: str) -> Span:
        return self.span(text)

    def span(self, text: str) -> Span:
        found = periods.span(text, periods.now())
        place = periods.moment if self.is_aware else periods.wall
        return Span(place(found.start), place(found.end))

    def equals(self, column: Any, texts: Sequence[str]) -> Bool:
        return sa.or_(*(within(column, self.span(text)) for text in texts))

    def words(self, text: str) -> str:
        return periods.words(text)


class Day(Moment):
    """Dates without times."""

    control = "date"

    def __init__(self) -> None:
        super().__init__(is_aware=False)

    def span(self, text: str) -> Span:
        found = super().span(text)
        days = [None if end is None else end.date() for end in (found.start, found.end)]
        if any(end is not None and end.time() != dt.time() for end in (found.start, found.end)):
            raise ValueError("This column has days, and no hours.")
        return Span(*days)


class Clock(Ordered):
    """Times of a day."""

    control = "time"

    def span(self, text: str) -> Span:
        return Span(*values.clock(text))

    def equals(self, column: Any, texts: Sequence[str]) -> Bool:
        return sa.or_(*(within(column, self.span(text)) for text in texts))


def within(column: Any, span: Span) -> Bool:
    """That a column lies in a half-open span."""
    bounds = []
    if span.start is not None:
        bounds.append(column >= span.start)
    if span.end is not None:
        bounds.append(column < span.end)
    return sa.and_(*bounds) if bounds else column.is_not(None)


class Duration(Ordered):
    control = "text"

    def read(self, text: str) -> dt.timedelta:
        return values.duration(text)


class Identifier(Kind):
    operators = ("is", "not", "filled", "empty")
    control = "text"

    def __init__(self, as_uuid: bool) -> None:
        self.as_uuid = as_uuid

    def read(self, text: str) -> Any:
        found = values.identifier(text)
        return found if self.as_uuid else str(found)


class Json(Kind):
    """JSON as a whole, or one place in it."""

    control = "text"

    def __init__(self, steps: Sequence[stored_json.Step] = ()) -> None:
        self.steps = steps
        self.operators = ("has", "hasnt", "filled", "empty")
        if steps:
            ordered = ("gt", "gte", "lt", "lte", "between")
            self.operators = (*Text.operators[:6], *ordered, *self.operators)

    def read(self, text: str) -> str:
        return text

    def as_text(self, column: Any) -> Any:
        return stored_json.text_at(column, self.steps)

    def equals(self, column: Any, texts: Sequence[str]) -> Bool:
        return self.as_text(column).in_(list(texts))  # type: ignore[no-any-return]

    def filled(self, column: Any) -> Bool:
        if self.steps:
            return self.as_text(column).is_not(None)  # type: ignore[no-any-return]
        return sa.cast(column, sa.Text()).not_in(["null", "{}", "[]", ""])

    def has(self, column: Any, text: str) -> Bool:
        return stored_json.has_at(column, self.steps, text)

    def span(self, text: str) -> Span:
        value = sa.literal(float(values.number(text)), sa.Float())
        return Span(value, value)

    def ordered(self, column: Any) -> Any:
        return stored_json.number_at(column, self.steps)


class Array(Kind):
    operators = ("has", "hasnt", "filled", "empty")
    control = "text"

    def __init__(self, item: Kind, item_type: sa.types.TypeEngine[Any]) -> None:
        self.item = item
        self.item_type = item_type
        self.control = item.control

    def choices(self) -> list[tuple[str, str]]:
        return self.item.choices()

    def words(self, text: str) -> str:
        return self.item.words(text)

    def read(self, text: str) -> Any:
        found = self.item.read(text)
        if isinstance(found, Span):
            found = found.start
        return found

    def has(self, column: Any, text: str) -> Bool:
        value = self.read(text)
        is_made = isinstance(value, sa.ClauseElement)
        return stored_json.ArrayHas(column, value if is_made else sa.literal(value, self.item_type))

    def filled(self, column: Any) -> Bool:
        return sa.cast(column, sa.Text()).not_in(["{}", "[]", "null"])


class Range(Kind):
    """Ranges and sets of ranges of PostgreSQL."""

    operators = ("contains", "lacks", "overlaps", "filled", "empty")

    def __init__(self, name: str, item: Kind, item_type: sa.types.TypeEngine[Any]) -> None:
        self.name = name
        self.item = item
        self.item_type = item_type
        self.control = item.control

    def words(self, text: str) -> str:
        return self.item.words(text)

    def read(self, text: str) -> Any:
        return self._bound(text, is_last=False)

    def _bound(self, text: str, is_last: bool) -> Any:
        span = self.item.span(text)
        return sa.cast(span.end if is_last else span.start, self.item_type)

    def contains(self, column: Any, text: str) -> Bool:
        return column.op("@>", is_comparison=True)(self.read(text))  # type: ignore[no-any-return]

    def overlaps(self, column: Any, text: str) -> Bool:
        first, last = values.ends(text)
        start = self._bound(first, is_last=False) if first else None
        end = self._bound(last, is_last=True) if last else None
        # A number is its own end and belongs to it; the end of a day is the next one.
        sides = "[]" if isinstance(self.item, Number) else "[)"
        self._check(first, last)
        other = getattr(sa.func, self.name)(start, end, sides)
        return column.op("&&", is_comparison=True)(other)  # type: ignore[no-any-return]

    def _check(self, first: str, last: str) -> None:
        if first and last:
            one, other = self.item.span(first), self.item.span(last)
            is_empty = other.end is not other.start and other.end == one.start
            if is_empty or values.is_before(other.end, one.start):
                raise ValueError("The first end must not come after the second.")

    def filled(self, column: Any) -> Bool:
        return sa.not_(sa.func.isempty(column, type_=sa.Boolean))


class Network(Kind):
    """Addresses and networks of PostgreSQL."""

    operators = ("is", "not", "within", "filled", "empty")
    control = "text"

    def read(self, text: str) -> Any:
        try:
            found = ipaddress.ip_interface(text.strip())
        except ValueError:
            raise ValueError("This is no address; write it as 10.0.0.7 or 10.0.0.0/8.") from None
        return sa.cast(str(found), postgresql.INET())

    def equals(self, column: Any, texts: Sequence[str]) -> Bool:
        return sa.cast(column, postgresql.INET()).in_([self.read(text) for text in texts])

    def within(self, column: Any, text: str) -> Bool:
        return sa.cast(column, postgresql.INET()).op("<<=", is_comparison=True)(self.read(text))


class Row(Kind):
    """A relationship, or a foreign key without one: a value is the identity text of a row."""

    operators = ("is", "not", "filled", "empty")
    control = "row"


_OF_RANGES: tuple[tuple[str, Callable[[], Kind], Callable[[], Any]], ...] = (
    ("int4", lambda: Number(sa.BigInteger()), sa.Integer),
    ("int8", lambda: Number(sa.BigInteger()), sa.BigInteger),
    ("num", lambda: Number(sa.Numeric()), sa.Numeric),
    ("date", Day, sa.Date),
    ("tstz", lambda: Moment(is_aware=True), lambda: sa.DateTime(timezone=True)),
    ("ts", lambda: Moment(is_aware=False), sa.DateTime),
)


def kind_of(
    type_: sa.types.TypeEngine[Any], *, is_nullable: bool = True, dialect: str = ""
) -> Kind:
    """The kind of a column type; ``dialect`` chooses among its variants."""
    type_ = type_._variant_mapping.get(dialect, type_)
    if inspection.is_decorated(type_):
        return _decorated(type_, is_nullable, dialect)
    stored = inspection.stored_type(type_)
    if inspection.is_binary(stored):
        return Binary()
    if isinstance(stored, sa.Enum):
        return Choice(stored)
    if isinstance(stored, sa.String):
        return Text()
    if isinstance(stored, sa.Boolean):
        return Boolean(is_nullable)
    if isinstance(stored, sa.Integer | sa.Numeric | sa.Float):
        return Number(stored)
    if isinstance(stored, sa.DateTime):
        return Moment(bool(stored.timezone))
    if isinstance(stored, sa.Date):
        return Day()
    if isinstance(stored, sa.Time):
        return Clock()
    if isinstance(stored, sa.Interval | postgresql.INTERVAL):
        return Duration()
    if isinstance(stored, sa.Uuid):
        return Identifier(bool(stored.as_uuid))
    if isinstance(stored, sa.JSON | postgresql.HSTORE):
        return Json()
    if isinstance(stored, sa.ARRAY):
        return _array(stored, dialect)
    return _of_postgresql(stored)


def _decorated(type_: sa.types.TypeDecorator[Any], is_nullable: bool, dialect: str) -> Kind:
    if isinstance(type_, sa.PickleType):
        return Opaque()
    if inspection.is_uuid(type_):
        return Identifier(as_uuid=True)
    inner = kind_of(type_.impl_instance, is_nullable=is_nullable, dialect=dialect)
    if isinstance(inner, Opaque | Binary | Json | Array | Range | Network):
        return Opaque()
    if isinstance(inner, Moment):
        inner = _read_as(type_, inner)
    return Decorated(type_, inner)


def _read_as(type_: sa.types.TypeDecorator[Any], inner: Moment) -> Moment:
    """A decorator may make moments of what is stored without a zone."""
    if isinstance(inner, Day):
        return inner
    try:
        sample = inspection.loaded(type_, dt.datetime(2000, 1, 1))
    except Exception:  # the type's own code, given what it may not expect
        return inner
    is_aware = isinstance(sample, dt.datetime) and sample.tzinfo is not None
    return Moment(is_aware=is_aware or inner.is_aware)


def _array(type_: sa.ARRAY[Any], dialect: str) -> Kind:
    item = kind_of(type_.item_type, dialect=dialect)
    fitting = Text | Choice | Number | Boolean | Identifier | Day
    return Array(item, type_.item_type) if isinstance(item, fitting) else Opaque()


def _of_postgresql(type_: sa.types.TypeEngine[Any]) -> Kind:
    if isinstance(type_, postgresql.INET | postgresql.CIDR):
        return Network()
    if type(type_).__name__ == "CIText":
        # Of sqlalchemy-citext, which derives it from no text of SQLAlchemy's.
        return Text()
    match = re.fullmatch(r"(INT4|INT8|NUM|DATE|TSTZ|TS)(MULTI)?RANGE", type_.__visit_name__)
    if match is None:
        return Opaque()
    for name, kind, item_type in _OF_RANGES:
        if name == match[1].lower():
            return Range(f"{name}range", kind(), item_type())
    return Opaque()
