"""Filters of the types that PostgreSQL alone has."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg

from admin_app import inspection
from admin_app.filters import criterion, parse
from admin_app.policy import Reach


class Base(orm.DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    words: orm.Mapped[Any] = orm.mapped_column(sa.ARRAY(sa.Text), nullable=True)
    numbers: orm.Mapped[Any] = orm.mapped_column(pg.ARRAY(sa.BigInteger), nullable=True)
    sizes: orm.Mapped[Any] = orm.mapped_column(
        pg.ARRAY(sa.Enum("small", "large", name="size")), nullable=True
    )
    whole: orm.Mapped[Any] = orm.mapped_column(pg.INT4RANGE, nullable=True)
    exact: orm.Mapped[Any] = orm.mapped_column(pg.NUMRANGE, nullable=True)
    days: orm.Mapped[Any] = orm.mapped_column(pg.DATERANGE, nullable=True)
    moments: orm.Mapped[Any] = orm.mapped_column(pg.TSTZRANGE, nullable=True)
    several: orm.Mapped[Any] = orm.mapped_column(pg.INT4MULTIRANGE, nullable=True)
    address: orm.Mapped[Any] = orm.mapped_column(pg.INET, nullable=True)
    data: orm.Mapped[Any] = orm.mapped_column(pg.JSONB, nullable=True)
    bits: orm.Mapped[Any] = orm.mapped_column(pg.BIT(3), nullable=True)
    length: orm.Mapped[Any] = orm.mapped_column(sa.Interval, nullable=True)


ROWS: list[dict[str, Any]] = [
    {
        "words": ["a", "b"],
        "numbers": [1, 2**40],
        "sizes": ["small"],
        "whole": pg.Range(1, 5),
        "exact": pg.Range(1, 5),
        "days": pg.Range(dt.date(2026, 3, 1), dt.date(2026, 3, 31)),
        "moments": pg.Range(dt.datetime(2026, 3, 1, tzinfo=dt.UTC), None),
        "address": "10.1.2.3",
        "data": {"k": {"n": 5}, "tags": ["x"]},
        "bits": "101",
        "length": dt.timedelta(hours=5),
    },
    {"words": [], "whole": pg.Range(empty=True), "address": "192.168.0.0/16", "data": {}},
    {},
]


@pytest.fixture
def things(postgresql_url):
    engine = sa.create_engine(postgresql_url)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all(Thing(id=n, **row) for n, row in enumerate(ROWS, 1))
        session.flush()
        # psycopg2 takes no set of ranges.
        session.execute(sa.text("UPDATE things SET several = '{[1,2),[8,9)}' WHERE id = 1"))
        yield session


def ids(session: Any, name: str, value: str) -> list[int]:
    notes: list[str] = []
    mapper = inspection.mapper_of(Thing)
    tree = parse([(name, value)], mapper, Reach(), notes, dialect="postgresql")
    assert notes == []
    where = criterion(tree, Thing, dialect="postgresql")
    return sorted(session.scalars(sa.select(Thing.id).where(where)))


CASES = [
    *[("words__has", "a", [1]), ("words__hasnt", "a", [2, 3]), ("words__empty", "1", [2, 3])],
    *[("numbers__has", str(2**40), [1]), ("sizes__has", "small", [1]), ("sizes__has", "large", [])],
    *[("whole__contains", "4", [1]), ("whole__contains", "5", []), ("whole__lacks", "4", [2, 3])],
    *[("whole__overlaps", "4..9", [1]), ("whole__overlaps", "..0", [])],
    ("whole__filled", "1", [1]),
    *[("exact__contains", "2.5", [1]), ("exact__overlaps", "4.9..", [1])],
    *[("days__contains", "2026-03-30", [1]), ("days__overlaps", "2026-03-31..2026-04", [])],
    *[("moments__contains", "2030", [1]), ("moments__overlaps", "2026-02..2026-02", [])],
    *[("several__contains", "8", [1]), ("several__contains", "3", [])],
    *[("address__is", "10.1.2.3", [1]), ("address__within", "10.0.0.0/8", [1])],
    *[("address__within", "192.168.0.0/16", [2]), ("address__not", "10.1.2.3", [2, 3])],
    *[("data.k.n__gt", "4", [1]), ("data.k__filled", "1", [1]), ("data.tags__has", "x", [1])],
    *[("bits__empty", "1", [2, 3]), ("length__gte", "5 hours", [1])],
]


def test_each_type_of_postgresql_is_filtered_by_what_it_is(things):
    for name, value, wanted in CASES:
        assert ids(things, name, value) == wanted, (name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("whole__overlaps", "9..4"), ("days__overlaps", "2026-04..2026-03")],
        *[("address__within", "10.0.0.0/99"), ("words__starts", "a"), ("bits__is", "101")],
        *[("whole__contains", "x"), ("sizes__has", "none")],
    ],
)
def test_what_such_a_type_cannot_be_asked_is_told(name, value):
    notes: list[str] = []
    tree = parse([(name, value)], inspection.mapper_of(Thing), Reach(), notes, dialect="postgresql")
    assert not tree
    assert len(notes) == 1
