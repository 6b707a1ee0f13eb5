"""One model with a column of every type, and the nasty values that each may hold."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad mood"
    ODD = 3


class Cents(sa.types.TypeDecorator):
    """Decimals of the program that are whole numbers in the database."""

    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else int(value * 100)

    def process_result_value(self, value, dialect):
        return None if value is None else decimal.Decimal(value) / 100


class Switch(sa.types.TypeDecorator):
    """Words of the program that are booleans in the database."""

    impl = sa.Boolean
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else value == "on"

    def process_result_value(self, value, dialect):
        return None if value is None else "on" if value else "off"


class Scrambled(sa.types.TypeDecorator):
    """Texts that are stored turned round, as an encrypted column would."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else "#" + value[::-1]

    def process_result_value(self, value, dialect):
        if value is None:
            return None
        if not value.startswith("#"):
            raise ValueError("this was not scrambled")
        return value[:0:-1]


class Parts(sa.types.TypeDecorator):
    """Lists of the program that are texts in the database."""

    impl = sa.String(400)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else "|".join(value)

    def process_result_value(self, value, dialect):
        return None if value is None else value.split("|")


class Geometry(sa.types.UserDefinedType):
    """A type that nobody knows, with values of a class of its own."""

    cache_ok = True

    def get_col_spec(self, **kw):
        return "TEXT"

    def bind_processor(self, dialect):
        return lambda value: None if value is None else value.text

    def result_processor(self, dialect, coltype):
        return lambda value: None if value is None else Shape(value)


class Shape:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return f"<Shape {self.text}>"

    def __eq__(self, other):
        return isinstance(other, Shape) and self.text == other.text

    __hash__ = None


UTC = dt.UTC
LINES = st.lists(
    st.sampled_from(["a", " ", "  b ", "\n", "\r\n", "\r", "\n\n", "<b>&amp;", "'\"", "é🚚", "\t"]),
    max_size=12,
).map("".join)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
ANY_TEXT = LINES | TEXT
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.1, 1e-320, 1e308])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
INTERVALS = st.timedeltas(dt.timedelta(days=-300_000), dt.timedelta(days=2_000_000))
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))


def decimals(digits: int, scale: int) -> st.SearchStrategy[decimal.Decimal]:
    limit = 10**digits - 1
    return st.integers(-limit, limit).map(lambda n: decimal.Decimal(n).scaleb(-scale))


PORTABLE: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "integer": (sa.Integer(), st.integers(-(2**31), 2**31 - 1)),
    "small": (sa.SmallInteger(), st.integers(-(2**15), 2**15 - 1)),
    "big": (sa.BigInteger(), st.integers(-(2**63), 2**63 - 1)),
    "numeric": (sa.Numeric(12, 2), decimals(12, 2)),
    "numeric_float": (sa.Numeric(10, 3, asdecimal=False), decimals(9, 3).map(float)),
    "double": (sa.Double(), FLOATS),
    "floating": (sa.Float(), FLOATS),
    "boolean": (sa.Boolean(), st.booleans()),
    "string": (sa.String(60), ANY_TEXT.map(lambda t: t[:60])),
    "unbounded": (sa.String(), ANY_TEXT),
    "text": (sa.Text(), ANY_TEXT),
    "mood": (sa.Enum(Mood, name="mood"), st.sampled_from(Mood)),
    "mood_values": (
        sa.Enum(
            Mood,
            name="mood_values",
            native_enum=False,
            length=20,
            values_callable=lambda e: [str(m.value) for m in e],
        ),
        st.sampled_from(Mood),
    ),
    "size": (sa.Enum("small", "medium size", "", name="size"), st.sampled_from(["small", ""])),
    "date": (sa.Date(), st.dates()),
    "time": (sa.Time(), st.times()),
    "naive": (sa.DateTime(), st.datetimes()),
    "interval": (sa.Interval(), INTERVALS),
    "uuid": (sa.Uuid(), st.uuids()),
    "uuid_text": (sa.Uuid(as_uuid=False), st.uuids().map(str)),
    "json": (sa.JSON(), JSON),
    "json_or_null": (sa.JSON(none_as_null=True), JSON),
    "cents": (Cents(), decimals(8, 2)),
    "switch": (Switch(), st.sampled_from(["on", "off"])),
    "scrambled": (Scrambled(), ANY_TEXT),
    "parts": (Parts(), st.lists(st.sampled_from(["a", "b c", ""]), min_size=1, max_size=4)),
    "varied": (
        sa.JSON().with_variant(pg.ARRAY(sa.Integer), "postgresql"),
        st.lists(st.integers(-9, 9), max_size=4),
    ),
    "binary": (sa.LargeBinary(), st.binary(max_size=40)),
    "pickle": (sa.PickleType(), st.lists(st.integers(), max_size=4)),
    "geometry": (Geometry(), TEXT.map(Shape)),
}


def ranges(bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def make(ends, brackets):
        given = sorted(e for e in ends if e is not None)
        lower, upper = given if len(given) == 2 else ends
        return pg.Range(lower, upper, bounds=brackets)

    sides = st.tuples(st.none() | bounds, st.none() | bounds)
    return st.builds(make, sides, st.sampled_from(["[)", "(]", "()", "[]"])) | st.just(
        pg.Range(empty=True)
    )


AWARE = st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29), timezones=st.just(UTC))
STORABLE_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)

POSTGRESQL: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "aware": (sa.DateTime(timezone=True), AWARE),
    "aware_time": (sa.Time(timezone=True), st.times(timezones=OFFSETS)),
    "numeric_any": (sa.Numeric(), st.decimals(allow_nan=True, allow_infinity=True, places=7)),
    "real": (sa.REAL(), st.floats(width=32, allow_subnormal=False)),
    "doubles": (sa.Double(), st.floats()),
    "native_interval": (pg.INTERVAL(), INTERVALS),
    "jsonb": (pg.JSONB(), STORABLE_JSON),
    "domain": (pg.DOMAIN("positive", sa.Integer), st.integers(-(2**31), 2**31 - 1)),
    "domain_text": (pg.DOMAIN("one_text", sa.Text), ANY_TEXT),
    "domain_uuid": (pg.DOMAIN("own_uuid", sa.Uuid), st.uuids()),
    "domain_bool": (pg.DOMAIN("own_bool", sa.Boolean), st.booleans()),
    "integers": (pg.ARRAY(sa.Integer), st.lists(st.none() | st.integers(-5, 5), max_size=5)),
    "texts": (pg.ARRAY(sa.Text), st.lists(st.none() | ANY_TEXT, max_size=5)),
    "grid": (
        pg.ARRAY(sa.Integer, dimensions=2),
        st.sampled_from([[], [[1, 2], [3, None]], [[1], [2]]]),
    ),
    "numerics": (pg.ARRAY(sa.Numeric(8, 3)), st.lists(decimals(8, 3), max_size=4)),
    "booleans": (pg.ARRAY(sa.Boolean), st.lists(st.none() | st.booleans(), max_size=4)),
    "doubles_list": (pg.ARRAY(sa.Double), st.lists(FLOATS, max_size=4)),
    "dates": (pg.ARRAY(sa.Date), st.lists(st.dates(), max_size=4)),
    "moments": (pg.ARRAY(sa.DateTime(timezone=True)), st.lists(AWARE, max_size=3)),
    "uuids": (pg.ARRAY(sa.Uuid), st.lists(st.uuids(), max_size=3)),
    "moods": (
        pg.ARRAY(sa.Enum(Mood, name="mood_in_list")),
        st.lists(st.sampled_from(Mood), max_size=3),
    ),
    "intervals": (pg.ARRAY(sa.Interval), st.lists(INTERVALS, max_size=3)),
    "documents": (
        pg.ARRAY(pg.JSONB, dimensions=1),
        st.lists(STORABLE_JSON, max_size=3),
    ),
    "inet": (
        pg.INET(),
        st.sampled_from(["10.0.0.1", "10.0.0.1/8", "2001:db8::1", "::1/64", "0.0.0.0/0"]),
    ),
    "cidr": (pg.CIDR(), st.sampled_from(["10.0.0.0/8", "2001:db8::/32", "1.2.3.4/32"])),
    "macaddr": (pg.MACADDR(), st.just("08:00:2b:01:02:0a")),
    "macaddr8": (pg.MACADDR8(), st.just("08:00:2b:01:02:03:04:05")),
    "int4range": (pg.INT4RANGE(), ranges(st.integers(-(2**31), 2**31 - 2))),
    "int8range": (pg.INT8RANGE(), ranges(st.integers(-(2**63), 2**63 - 2))),
    "numrange": (pg.NUMRANGE(), ranges(decimals(6, 2))),
    "daterange": (pg.DATERANGE(), ranges(st.dates(max_value=dt.date(9999, 12, 30)))),
    "tsrange": (pg.TSRANGE(), ranges(st.datetimes())),
    "tstzrange": (pg.TSTZRANGE(), ranges(AWARE)),
    "int4multirange": (
        pg.INT4MULTIRANGE(),
        st.sampled_from(["{}", "{[1,3)}", "{(,3),[5,)}", "{[1,3),[5,8)}"]),
    ),
    "tstzmultirange": (
        pg.TSTZMULTIRANGE(),
        st.sampled_from(["{}", '{["2020-01-01 10:00:00+00","2021-01-01 00:00:00+00")}']),
    ),
    "bit": (pg.BIT(5), st.text("01", min_size=5, max_size=5)),
    "varbit": (pg.BIT(9, varying=True), st.text("01", max_size=9)),
    "money": (pg.MONEY(), decimals(15, 2)),
    "oid": (pg.OID(), st.integers(0, 2**32 - 1)),
    "tsvector": (pg.TSVECTOR(), st.sampled_from(["", "'cat':3 'fat':2"])),
    "native_enum": (pg.ENUM("a", "b,c", name="letters"), st.sampled_from(["a", "b,c"])),
}

READ_ONLY = {"pickle", "geometry", "domain_uuid", "tsvector"}
"""Columns whose type nobody can type."""

UPLOADED = {"binary"}


def model_of(columns: dict[str, tuple[Any, Any]]) -> tuple[Any, Any]:
    """A base and its one model: a key, a text, a stamp set by every UPDATE, and ``columns``."""
    base = type("Base", (orm.DeclarativeBase,), {})
    namespace = {
        "__tablename__": "specimens",
        "__module__": __name__,
        "id": orm.mapped_column(sa.Integer, primary_key=True, autoincrement=False),
        "touched": orm.mapped_column(sa.Integer, default=0, onupdate=1),
        **{name: orm.mapped_column(type_, nullable=True) for name, (type_, _) in columns.items()},
    }
    return base, type("Specimen", (base,), namespace)


def is_one(one: Any, other: Any) -> bool:
    """Whether two values are the same in type, value and sign; NaN is NaN here."""
    if isinstance(one, float) and isinstance(other, float):
        same_sign = math.copysign(1, one) == math.copysign(1, other)
        return (math.isnan(one) and math.isnan(other)) or (one == other and same_sign)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_one, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(is_one(one[k], other[k]) for k in one)
    if isinstance(one, decimal.Decimal) and isinstance(other, decimal.Decimal):
        return one.compare_total(other) == 0 or one == other
    return type(one) is type(other) and one == other
