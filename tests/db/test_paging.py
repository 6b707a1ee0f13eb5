"""Pages by keyset: every row once in both directions, whatever the order, on both databases."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.hybrid import hybrid_property

from admin_app import inspection
from admin_app.columns import sortable
from admin_app.listing import Listing, ListState, Order, reading


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Base(orm.DeclarativeBase):
    pass


class Maker(Base):
    __tablename__ = "makers"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str | None]


class Thing(Base):
    __tablename__ = "things"
    left: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    right: orm.Mapped[str] = orm.mapped_column(sa.String(9), primary_key=True)
    size: orm.Mapped[int | None] = orm.mapped_column(index=True)
    text: orm.Mapped[str | None]
    colour: orm.Mapped[Colour | None]
    price: orm.Mapped[Decimal | None] = orm.mapped_column(sa.Numeric(8, 2))
    weight: orm.Mapped[float | None] = orm.mapped_column(sa.REAL)
    made_at: orm.Mapped[dt.datetime | None] = orm.mapped_column(sa.DateTime(timezone=True))
    stored_at: orm.Mapped[dt.datetime] = orm.mapped_column(server_default=sa.func.now())
    is_new: orm.Mapped[bool | None]
    maker_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("makers.id"))
    maker: orm.Mapped[Maker | None] = orm.relationship()

    @hybrid_property
    def double(self):
        return self.size * 2


NAMES = ["left", "size", "text", "colour", "price", "weight", "made_at", "stored_at", "is_new"]


def rows() -> list[Thing]:
    moments = [None, *(dt.datetime(2026, 3, d, 4, 5, 6, 7 * d, dt.UTC) for d in (1, 2))]
    prices, texts = [None, Decimal("1.50"), Decimal(2)], [None, "", "a,b.c", "é", "a,b.d"]
    return [
        Thing(
            left=number // 4,
            right=f"{number % 4},.",
            size=[None, 3, 1, 3][number % 4],
            text=texts[number % 5],
            colour=[None, *Colour][number % 3],
            price=prices[number % 3],
            weight=[None, 0.1, 2.5][number * 7 % 3],
            made_at=moments[number * 5 % 3],
            is_new=[None, True, False][number % 3],
            maker_id=[None, 1, 2, 3][number * 3 % 4],
        )
        for number in range(43)
    ]


@pytest.fixture
def session(database_url):
    engine = sa.create_engine(database_url)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Maker(id=1, name="Zeta"), Maker(id=2, name=None), Maker(id=3, name="Alf")])
        session.flush()
        session.add_all(rows())
        session.commit()
        yield session


def things() -> Listing:
    mapper = sa.inspect(Thing)
    names = [*NAMES, "right", "maker", "maker.name", "double"]
    shown = [inspection.resolve(mapper, name) for name in ("left", "right", "maker")]
    return Listing(mapper, columns=shown, sortable=sortable(mapper, names))


def forward(listing, session, state) -> list[tuple]:
    seen, place = [], {}
    while True:
        page = listing.page(session, ListState(order=state.order, page_size=17, **place))
        seen += [(r.instance.left, r.instance.right) for r in page.rows]
        if not page.has_next:
            return seen
        place = {"after": page.last}
        assert page.last


def backward(listing, session, state) -> list[tuple]:
    seen, place = [], {"is_last": True}
    while True:
        page = listing.page(session, ListState(order=state.order, page_size=17, **place))
        seen = [(r.instance.left, r.instance.right) for r in page.rows] + seen
        if not page.has_previous:
            return seen
        place = {"before": page.first}


ORDERS = [
    (),
    *((Order(name, name > "n"),) for name in [*NAMES, "maker", "double"]),
    (Order("size", True),),
    (Order("text", nulls="first"),),
    (Order("text", True, "last"),),
    (Order("maker.name", True, "first"), Order("left", True)),
    (Order("size"), Order("text", True)),
    (Order("size", True, "last"), Order("text", True, "first")),
    (Order("colour"), Order("price", nulls="last"), Order("right", True)),
    (Order("right", True), Order("made_at", nulls="first")),
]


def test_walking_by_key_gives_every_row_once_in_the_order_of_the_database(session):
    listing = things()
    for orders in ORDERS:
        state = ListState(order=orders)
        whole = listing.page(session, ListState(order=orders, page_size=100)).rows
        wanted = [(r.instance.left, r.instance.right) for r in whole]
        assert len(set(wanted)) == 43, orders
        assert forward(listing, session, state) == wanted, orders
        assert backward(listing, session, state) == wanted, orders


def test_walking_a_large_table_gives_every_row_once_too(session, monkeypatch):
    # So small a table is read as ten million rows would be: unlike values in ranges of their own.
    monkeypatch.setattr(reading, "LARGE", 20)
    monkeypatch.setattr(reading, "GROUP", 2)
    session.connection().exec_driver_sql("ANALYZE")
    test_walking_by_key_gives_every_row_once_in_the_order_of_the_database(session)
