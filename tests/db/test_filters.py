"""Filters on both engines: which rows each lets through, and how lists keep them."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, inspection, moments
from admin_app.filters import criterion, parse, targets
from admin_app.policy import Reach
from examples.fleet import models as fleet
from tests.db.conftest import Site


def found(session: Any, model: type[Any], *pairs: tuple[str, str], reach: Any = None) -> list[Any]:
    """The rows that filters of a URL let through, which must all have been understood."""
    notes: list[str] = []
    reach, dialect = reach or Reach(), session.get_bind().dialect.name
    tree = parse(pairs, inspection.mapper_of(model), reach, notes, dialect=dialect)
    assert notes == []
    return list(session.scalars(sa.select(model).where(criterion(tree, model, reach, dialect))))


def country(order: fleet.Order) -> set[str]:
    return {address.country for address in order.customer.addresses}


def tags(product: fleet.Product) -> set[str]:
    return {tag.name for tag in product.tags}


COMPARED: dict[str, tuple[type[Any], list[tuple[str, str]], Any]] = {
    "text": (
        fleet.Driver,
        [("first_name__contains", "AN")],
        lambda d: "an" in d.first_name.lower(),
    ),
    "text begins": (
        fleet.Driver,
        [("last_name__starts", "m")],
        lambda d: d.last_name.lower()[0] == "m",
    ),
    "one of several": (
        fleet.Order,
        [("status__is", "DRAFT"), ("status__is", "LOADED")],
        lambda o: o.status.name in ("DRAFT", "LOADED"),
    ),
    "none of several": (
        fleet.Order,
        [("status__not", "DRAFT"), ("status__not", "LOADED")],
        lambda o: o.status.name not in ("DRAFT", "LOADED"),
    ),
    "not, where there is no value": (
        fleet.Customer,
        [("email__lacks", "a")],
        lambda c: c.email is None or "a" not in c.email.lower(),
    ),
    "unknown": (fleet.Vehicle, [("is_electric__is", "unknown")], lambda v: v.is_electric is None),
    "not true": (fleet.Vehicle, [("is_electric__not", "true")], lambda v: not v.is_electric),
    "number": (fleet.Vehicle, [("mileage_km__gt", "50000")], lambda v: v.mileage_km > 50000),
    "number between": (
        fleet.Order,
        [("freight__between", "100..200")],
        lambda o: 100 <= o.freight <= 200,
    ),
    "more than the column holds": (
        fleet.Vehicle,
        [("mileage_km__gt", str(2**40))],
        lambda v: False,
    ),
    "year": (fleet.Driver, [("hired_on__during", "2019")], lambda d: d.hired_on.year == 2019),
    "after a month": (
        fleet.Driver,
        [("hired_on__gt", "2019-03")],
        lambda d: d.hired_on >= dt.date(2019, 4, 1),
    ),
    "time of day": (
        fleet.Driver,
        [("shift_starts_at__gte", "08")],
        lambda d: d.shift_starts_at is not None and d.shift_starts_at >= dt.time(8),
    ),
    "length of time": (
        fleet.Vehicle,
        [("service_interval__lt", "200 days")],
        lambda v: v.service_interval is not None and v.service_interval < dt.timedelta(days=200),
    ),
    "related": (
        fleet.Order,
        [("customer.addresses.country__is", "FR")],
        lambda o: "FR" in country(o),
    ),
    "two paths to one table": (
        fleet.Order,
        [("pickup_address.country__is", "FR"), ("delivery_address.country__is", "DE")],
        lambda o: o.pickup_address.country == "FR" and o.delivery_address.country == "DE",
    ),
    "itself": (
        fleet.Category,
        [("parent.parent__filled", "1")],
        lambda c: c.parent is not None and c.parent.parent is not None,
    ),
    "not through a row that may be missing": (
        fleet.Category,
        [("parent.name__not", "Food")],
        lambda c: c.parent is None or c.parent.name != "Food",
    ),
    "many to many": (fleet.Product, [("tags.name__is", "fragile")], lambda p: "fragile" in tags(p)),
    "none of many": (
        fleet.Product,
        [("tags.name__not", "fragile")],
        lambda p: "fragile" not in tags(p),
    ),
    "no rows there": (fleet.Customer, [("orders__empty", "1")], lambda c: not c.orders),
    "some rows there": (fleet.Customer, [("orders__filled", "1")], lambda c: bool(c.orders)),
    "the row itself": (fleet.Order, [("customer__is", "3")], lambda o: o.customer_id == 3),
    "a row of a key of several columns": (
        fleet.Order,
        [("items__is", "1,3")],
        lambda o: any(i.order_id == 1 and i.product_id == 3 for i in o.items),
    ),
    "a row without a relationship": (
        fleet.Task,
        [("depot_code__not", "LYS")],
        lambda t: t.depot_code != "LYS",
    ),
    "either": (
        fleet.Order,
        [("any1:is_express__is", "true"), ("any1:customer.is_blocked__is", "true")],
        lambda o: o.is_express or o.customer.is_blocked,
    ),
    "neither": (
        fleet.Order,
        [("none1:is_express__is", "true"), ("none1:note__contains", "a")],
        lambda o: not o.is_express and "a" not in (o.note or "").lower(),
    ),
    "not both": (
        fleet.Order,
        [("notall1:is_express__is", "true"), ("notall1:note__filled", "1")],
        lambda o: not (o.is_express and o.note),
    ),
    "one member meets all": (
        fleet.Order,
        [("items~1:quantity__gt", "5"), ("items~1:product.price__lt", "20")],
        lambda o: any(i.quantity > 5 and i.product.price < 20 for i in o.items),
    ),
    "no member meets all": (
        fleet.Order,
        [("items!1:quantity__gt", "5"), ("items!1:product.price__lt", "20")],
        lambda o: not any(i.quantity > 5 and i.product.price < 20 for i in o.items),
    ),
    "a column of the class above": (
        fleet.RoadShipment,
        [("order.status__is", "DELIVERED"), ("vehicle.kind__is", "VAN")],
        lambda s: s.order.status.name == "DELIVERED" and s.vehicle and s.vehicle.kind.name == "VAN",
    ),
    "what a query computes": (
        fleet.OrderItem,
        [("total__gt", "100")],
        lambda i: i.quantity * (i.unit_price - i.discount) > 100,
    ),
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def sample(request):
    """A session over the sample itself, of which nobody makes a copy: only to read."""
    if request.param == "sqlite":
        url: Any = f"sqlite:///{request.getfixturevalue('seeded_sqlite')}"
    else:
        name = request.getfixturevalue("seeded_postgresql")
        url = request.getfixturevalue("postgresql_server").url.set(database=name)
    with orm.Session(sa.create_engine(url, poolclass=sa.NullPool)) as session:
        yield session


@pytest.mark.parametrize("name", COMPARED)
def test_a_filter_lets_through_what_the_same_rule_in_python_does(sample, name):
    model, pairs, rule = COMPARED[name]
    rows = sample.scalars(sa.select(model)).all()
    wanted = [r for r in rows if rule(r)]
    assert len(wanted) < len(rows), "the sample has to tell it from no filter"
    shown = found(sample, model, *pairs)
    assert len(shown) == len(set(shown)), "a row is there once"
    assert set(shown) == set(wanted)


class Base(orm.DeclarativeBase):
    pass


class Holder(Base):
    __tablename__ = "holders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    data: orm.Mapped[Any] = orm.mapped_column(sa.JSON(none_as_null=True), nullable=True)
    at: orm.Mapped[dt.datetime | None] = orm.mapped_column(sa.DateTime(timezone=True))
    wall: orm.Mapped[dt.datetime | None]
    day: orm.Mapped[dt.date | None]


@pytest.fixture
def holders(database_url):
    """Makes rows of `Holder`, numbered from 1, and hands out a session."""
    engine = sa.create_engine(database_url)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:

        def make(*rows: dict[str, Any]) -> Any:
            session.add_all(Holder(id=n, **row) for n, row in enumerate(rows, 1))
            session.flush()
            return session

        yield make


def ids(session: Any, *pairs: tuple[str, str]) -> list[int]:
    return sorted(row.id for row in found(session, Holder, *pairs))


JSON_ROWS = (
    {"data": {"color": "red", "size": 5, "new": True, "a.b": "x", "tags": ["a", "b"]}},
    {"data": {"color": "Blue", "size": 12, "new": False, "tags": ["b", 7]}},
    {"data": {"color": None, "size": "9", "deep": [{"k": "v"}]}},
    {"data": ["top"]},
    {"data": {}},
    {},
)


@pytest.mark.parametrize(
    ("pair", "wanted"),
    [
        (("data.color__is", "red"), [1]),
        (("data.color__contains", "BLU"), [2]),
        (("data.color__not", "red"), [2, 3, 4, 5, 6]),
        (("data.color__filled", "1"), [1, 2]),
        (("data.size__gt", "5"), [2]),
        (("data.size__between", "5..12"), [1, 2]),
        (("data.new__is", "true"), [1]),
        ((r"data.a\.b__is", "x"), [1]),
        (("data.deep.0.k__is", "v"), [3]),
        (("data.tags__has", "b"), [1, 2]),
        (("data.tags__has", "7"), [2]),
        (("data.tags__hasnt", "b"), [3, 4, 5, 6]),
        (("data__has", "top"), [4]),
        (("data__empty", "1"), [5, 6]),
    ],
)
def test_a_place_within_json_is_filtered_by(holders, pair, wanted):
    assert ids(holders(*JSON_ROWS), pair) == wanted


PARIS = zoneinfo.ZoneInfo("Europe/Paris")


def test_a_day_is_that_of_the_visitor(holders):
    # 23:30 in Paris is still the 14th there, and 22:30 of it in UTC; an hour later is not.
    late = dt.datetime(2026, 3, 14, 22, 30, tzinfo=dt.UTC)
    session = holders({"at": late}, {"at": late + dt.timedelta(hours=1)})
    with moments.in_zone(PARIS):
        assert ids(session, ("at__during", "2026-03-14")) == [1]
        assert ids(session, ("at__gt", "2026-03-14")) == [2]
        assert ids(session, ("at__is", "2026-03-14 23:30")) == [1]
    assert ids(session, ("at__during", "2026-03-14")) == [1, 2]


def test_a_column_without_a_zone_is_read_from_the_wall(holders):
    session = holders({"wall": dt.datetime(2026, 3, 14, 23, 30)})
    with moments.in_zone(PARIS):
        assert ids(session, ("wall__during", "2026-03-14")) == [1]


def test_today_is_today_where_the_visitor_is(holders):
    with moments.in_zone(zoneinfo.ZoneInfo("Pacific/Kiritimati")):
        here = dt.datetime.now(moments.zone())
        moment = here.astimezone(dt.UTC)
        session = holders({"at": moment, "day": here.date()}, {"at": moment - dt.timedelta(2)})
        assert ids(session, ("at__during", "today"), ("day__during", "today")) == [1]


def test_related_rows_out_of_reach_are_not_looked_at(sample):
    reach = Reach(
        rows=lambda mapper: (
            sa.select(fleet.Customer).where(fleet.Customer.id > 5)
            if mapper.class_ is fleet.Customer
            else None
        )
    )
    for pair in (("customer.name__filled", "1"), ("customer__filled", "1")):
        rows = found(sample, fleet.Order, pair, reach=reach)
        assert {row.customer_id for row in rows}.isdisjoint(range(6))
    assert found(sample, fleet.Order, ("customer__is", "3"), reach=reach) == []


# Lists


def listed(html: str) -> str:
    return re.search(r"<p>([\d,]+\+?) ", html)[1]


class Exported(ModelView):
    can_export = True


@pytest.fixture
def exported(fleet_url):
    """The sample with a list of orders that can be exported."""
    return Site(fleet_url).register_all({fleet.Order: Exported})


def test_a_list_its_count_and_its_export_are_narrowed(exported):
    site, url = exported, exported.url(fleet.Order)
    with site.session() as session:
        number = session.scalar(
            sa.select(sa.func.count()).where(fleet.Order.status == fleet.OrderStatus.DELIVERED)
        )
    assert listed(site.client.get(f"{url}?status__is=DELIVERED").text) == f"{number:,}"
    lines = site.client.get(f"{url}export/csv/?status__is=DELIVERED").text.strip().splitlines()
    assert len(lines) == number + 1


def test_filters_stay_through_search_order_pages_and_the_way_back(site):
    query = "customer.name__contains=a&any1%3Ais_express__is=true&any1%3Anote__filled=1"
    html = site.client.get(f"{site.url(fleet.Order)}?{query}&sort=-number&page_size=20").text
    assert html.count('name="any1:is_express__is" value="true"') >= 1
    for link in re.findall(
        r'(?:rel="next"|aria-sort="descending").*?href="([^"]*)"', html, re.DOTALL
    ):
        assert "customer.name__contains=a" in link
    back = re.search(r'edit/\?id=[^"&]*&amp;url=([^"]*)"', html)[1]
    assert quote("customer.name__contains=a", safe="") in back


def test_what_means_nothing_is_told_on_the_list(site):
    answer = site.client.get(f"{site.url(fleet.Order)}?__class____is=1&id__is=x&password__is=1")
    assert answer.status_code == 200
    assert answer.text.count("cannot be filtered by") == 2
    assert "This is not a whole number." in answer.text


def test_an_export_with_a_filter_that_means_nothing_is_refused(exported):
    answer = exported.client.get(f"{exported.url(fleet.Order)}export/csv/?status__is=LOST")
    assert answer.status_code == 400
    assert "This is not one of the choices." in answer.text


BAD = [
    *("\0", "\ud800", "-1", "9" * 30, "1e308", "NaN", "0000", "..", "10..1"),
    *("9999", "0001", "last_9999_years", "%", "\\", "'", "..9999", "{", "24:00", "1,2,3"),
]


@pytest.mark.parametrize("model", [fleet.Specimen, fleet.OrderItem])
def test_no_value_makes_a_fault_of_the_database(sample, model):
    mapper, dialect = inspection.mapper_of(model), sample.get_bind().dialect.name
    names = [
        f"any1:{target.name}__{operator.name}"
        for target in targets(mapper)
        for operator in target.operators
    ]
    for value in BAD:
        for start in range(0, len(names), 90):
            pairs = [(name, value) for name in names[start : start + 90]]
            tree = parse(pairs, mapper, Reach(), [], dialect=dialect)
            sample.scalar(sa.select(sa.true()).where(criterion(tree, model)).limit(1))


def test_ten_thousand_filters_are_answered(site):
    many = "&".join(f"any{n}:number__is=a" for n in range(10_000))
    answer = site.client.get(f"{site.url(fleet.Order)}?{many}")
    assert "Only the first 100 filters" in answer.text


def test_a_member_of_an_enum_may_be_written_as_it_is_stored(site):
    by_name = site.client.get(site.url(fleet.Order) + "?status__is=DELIVERED")
    by_value = site.client.get(site.url(fleet.Order) + "?status__is=delivered")
    assert "was left out" not in by_value.text
    assert by_value.text.count("<tr>") == by_name.text.count("<tr>") > 1
