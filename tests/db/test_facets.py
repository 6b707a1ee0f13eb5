"""Facets beside a list: their values, numbers and links, on both databases."""

from __future__ import annotations

import datetime as dt
import html
import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, Policy, filters, moments
from admin_app.listing import Listing, ListState, facets
from examples.fleet.models import (
    Base,
    Customer,
    Order,
    OrderStatus,
    Product,
    Task,
    Telemetry,
    Vehicle,
)

LINK = re.compile(
    r'<a href="([^"]*)"( aria-current="true")?><span class="clip" title="([^"]*)">[^<]*</span>'
    r' <span class="num">([^<]*)</span>'
)
BAR = re.compile(r'<a href="([^"]*)"( aria-current="true")? aria-label="([^"]*): ([^":]*)"')


def panel(site: Any, url: str) -> str:
    answer = site.client.get(url)
    assert answer.status_code == 200
    return answer.text.partition('<aside class="facets"')[2].partition("</aside>")[0]


def boxes(site: Any, url: str) -> dict[str, str]:
    parts = re.split(r'data-facet="([^"]*)"', panel(site, url))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def choices(box: str, pattern: re.Pattern[str] = LINK) -> dict[str, tuple[str, bool, str]]:
    """URL, whether it is chosen, and number of each value, by its words."""
    found = pattern.findall(box)
    return {html.unescape(w): (html.unescape(u), bool(c), n) for u, c, w, n in found}


def count(site: Any, url: str) -> int:
    text = site.client.get(url).text
    return int(re.search(r"<p>([0-9,]+) \w+", text)[1].replace(",", ""))


def test_a_list_has_no_facets_until_they_are_asked_for(site, statements):
    with statements(site.engine) as plain:
        text = site.client.get("/admin/order/").text
    assert '<aside class="facets"' not in text
    assert "facets=1" in text
    assert not any("GROUP BY" in s for s in plain if "FROM orders" in s)


@pytest.mark.parametrize("model", [Order, Vehicle, Product, Task])
def test_each_number_is_the_number_of_rows_after_the_click(site, model):
    url = site.url(model) + "?facets=1"
    clicked = 0
    for box in boxes(site, url).values():
        for pattern in (LINK, BAR):
            for target, _, number in list(choices(box, pattern).values())[:4]:
                assert count(site, target) == int(number.replace(",", ""))
                clicked += 1
    assert clicked > 5


def test_numbers_meet_all_other_filters_and_the_search(site):
    url = "/admin/order/?search=2026&status__is=DELIVERED&is_express__is=false&facets=1"
    found = boxes(site, url)
    with site.session() as session:
        wanted = session.scalar(
            sa.select(sa.func.count())
            .select_from(Order)
            .where(Order.number.contains("2026"), Order.is_express.is_(False))
            .where(Order.status == OrderStatus.CANCELLED)
        )
    assert choices(found["status"])["cancelled"][2] == str(wanted)


def test_a_click_adds_a_value_and_a_second_one_takes_it_away(site):
    url, chosen, _ = choices(boxes(site, "/admin/order/?facets=1")["status"])["delivered"]
    assert not chosen
    assert "status__is=DELIVERED" in url
    other = choices(boxes(site, url)["status"])["cancelled"][0]
    assert "status__is=DELIVERED&status__is=CANCELLED" in other
    both = choices(boxes(site, other)["status"])
    assert both["delivered"][1]
    assert both["cancelled"][1]
    assert "DELIVERED" not in both["delivered"][0]


def test_a_click_keeps_search_order_and_other_filters_and_drops_the_page(site):
    url = "/admin/order/?search=20&sort=-freight&page=1&customer__filled=1&page_size=20&facets=1"
    target = choices(boxes(site, url)["is_express"])["no"][0]
    for kept in ("search=20", "sort=-freight", "customer__filled=1", "page_size=20", "facets=1"):
        assert kept in target
    assert "page=1" not in target


def test_rows_without_a_value_are_a_value_of_their_own(site):
    empty = choices(boxes(site, "/admin/vehicle/?facets=1")["driver"])["Empty"]
    assert "driver__empty=1" in empty[0]
    with site.session() as session:
        without = sa.select(sa.func.count()).where(Vehicle.driver_id.is_(None))
        assert empty[2] == str(session.scalar(without))
    others = choices(boxes(site, empty[0])["driver"])
    assert others["Empty"][1]
    # No row meets both filters, so one takes the place of the other.
    assert "driver__empty" not in next(u for w, (u, _, _) in others.items() if w != "Empty")


def test_a_boolean_that_may_be_unknown_offers_all_three(site):
    found = choices(boxes(site, "/admin/vehicle/?facets=1")["is_electric"])
    assert set(found) == {"yes", "no", "unknown"}


def test_only_related_rows_in_use_are_offered(site):
    with site.session() as session:
        session.add(Customer(code="NEW", name="Nobody Ordered This"))
        session.commit()
    assert "Nobody Ordered" not in panel(site, "/admin/order/?facets=customer")


def test_labels_of_related_rows_come_in_one_statement(own_site, statements):
    own_site.admin.register(Order, View, endpoint="by_customer")
    with statements(own_site.engine) as plain:
        own_site.client.get("/admin/by_customer/")
    with statements(own_site.engine) as seen:
        assert own_site.client.get("/admin/by_customer/?facets=1").status_code == 200
    assert len(seen) - len(plain) <= 2


class View(ModelView):
    column_facets = ("customer",)


def test_few_values_make_a_facet_and_many_do_not(site):
    found = boxes(site, "/admin/task/?facets=1")
    assert "category" in found
    assert "title" not in found


def test_more_values_are_a_click_away(site):
    found = boxes(site, "/admin/order/?facets=1")["customer"]
    more = html.unescape(re.search(r'<a class="link muted" href="([^"]*)">More', found)[1])
    assert "facets=customer" in more
    long = boxes(site, more)["customer"]
    assert len(choices(long)) > facets.SHORT
    assert ">Fewer" in long


def test_options_name_the_facets_and_their_order(own_site):
    class Named(ModelView):
        column_facets = ("tags", "category.parent", "nonsense", "attributes", "category.name")

    own_site.admin.register(Product, Named, endpoint="named")
    assert list(boxes(own_site, "/admin/named/?facets=1")) == [
        "tags",
        "category.parent",
        "category.name",
    ]


def test_an_empty_option_takes_the_facets_away(own_site):
    class Without(ModelView):
        column_facets = ()

    own_site.admin.register(Product, Without, endpoint="without")
    text = own_site.client.get("/admin/without/?facets=1").text
    assert "data-facet=" not in text
    assert ">Facets<" not in text


def test_what_a_principal_may_not_read_makes_no_facet(fleet_url):
    from tests.db.conftest import Site

    class Narrow(Policy):
        def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
            return model is not Customer and column not in ("status", "placed_at")

    site = Site(fleet_url, policy=Narrow()).register_all()
    found = boxes(site, "/admin/order/?facets=customer,status")
    assert found
    assert not {"customer", "status", "placed_at"} & set(found)


def test_related_rows_out_of_reach_are_not_named(fleet_url):
    from tests.db.conftest import Site

    class Narrow(Policy):
        def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
            return True

        def rows(self, principal: Any, action: str, model: Any) -> Any:
            return Customer.id > 3 if model is Customer else None

    site = Site(fleet_url, policy=Narrow()).register_all()
    with site.session() as session:
        hidden = list(session.scalars(sa.select(Customer.name).where(Customer.id <= 3)))
    text = html.unescape(boxes(site, "/admin/order/?facets=customer")["customer"])
    assert not any(f">{name}<" in text for name in hidden)


def test_dates_open_at_the_deepest_level_that_varies(site):
    with site.session() as session:
        session.execute(sa.update(Order).values(deliver_on=dt.date(2026, 3, 5)))
        session.execute(sa.update(Order).where(Order.id < 9).values(deliver_on=dt.date(2026, 3, 7)))
        session.commit()
    found = boxes(site, "/admin/order/?facets=1")
    assert "March 2026" in found["deliver_on"]
    assert set(choices(found["deliver_on"], BAR)) == {"2026-03-05", "2026-03-07"}
    assert set(choices(found["placed_at"], BAR)) == {"2024", "2025", "2026"}


def test_a_period_is_drilled_down_and_left_again(site):
    year = choices(boxes(site, "/admin/order/?facets=1")["placed_at"], BAR)["2026"][0]
    assert "placed_at__during=2026" in year
    month = choices(boxes(site, year)["placed_at"], BAR)["March 2026"][0]
    box = boxes(site, month)["placed_at"]
    day, (url, _, _) = next(iter(choices(box, BAR).items()))
    assert f"placed_at__during={day}" in html.unescape(url)
    assert re.findall(r'<a class="link" href="[^"]*">([^<]*)</a>', box) == ["All", "2026"]
    deepest = boxes(site, url)["placed_at"]
    assert choices(deepest, BAR)[day][1]
    assert "placed_at__during=2026-03&" in choices(deepest, BAR)[day][0] + "&"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "America/New_York"])
def test_days_are_those_of_the_operators_zone(database_url, zone):
    engine = sa.create_engine(database_url.replace("postgresql:", "postgresql+psycopg2:"))
    Model.metadata.create_all(engine)
    # Both are a day later in Paris than in New York, one of them on the day the clocks change.
    times = [dt.datetime(2026, 3, 28, 23, 30), dt.datetime(2026, 3, 29, 22, 30)]
    with orm.Session(engine) as session, moments.in_zone(ZoneInfo(zone)):
        session.add_all([Event(at=t.replace(tzinfo=dt.UTC)) for t in times])
        session.commit()
        listing = Listing(sa.inspect(Event), columns=())
        (found,) = facets.found(listing, session, ListState(), ["at"])
        expected = {
            t.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d") for t in times
        }
        assert {v.text for v in found.values if v.count} == expected


Model = orm.declarative_base()


class Reversed(sa.types.TypeDecorator[str]):
    """Kept the wrong way round, to tell what is stored from what is loaded."""

    impl = sa.String(20)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value and value[::-1]

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return value and value[::-1]


class Place(Model):  # type: ignore[misc, valid-type]
    __tablename__ = "place"
    row = sa.Column(sa.String(8), primary_key=True)
    number = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
    name = sa.Column(sa.String(20))


class Thing(Model):  # type: ignore[misc, valid-type]
    __tablename__ = "thing"
    __table_args__ = (sa.ForeignKeyConstraint(["row", "number"], ["place.row", "place.number"]),)
    id = sa.Column(sa.Integer, primary_key=True)
    row = sa.Column(sa.String(8))
    number = sa.Column(sa.Integer)
    word = sa.Column(Reversed())
    place = orm.relationship(Place)


class Event(Model):  # type: ignore[misc, valid-type]
    __tablename__ = "event"
    id = sa.Column(sa.Integer, primary_key=True)
    at = sa.Column(sa.DateTime(timezone=True), index=True)


def test_a_facet_that_is_out_of_time_says_so_and_leaves_the_others(site):
    slow = sa.text(
        "EXISTS (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90000000)"
        " SELECT 1 FROM n WHERE i < 0)"
    )
    with site.session() as session:
        listing = Listing(sa.inspect(Order), criteria=[slow])
        (late,) = facets.found(listing, session, ListState(), ["status"], seconds=0.05)
        listing.criteria = []
        (other,) = facets.found(listing, session, ListState(), ["status"])
    assert late.is_late
    assert not other.is_late


def test_a_late_facet_can_be_chosen_from_all_the_same(site, monkeypatch):
    monkeypatch.setattr(facets, "SECONDS_IN_ALL", -1)
    text = panel(site, "/admin/order/?facets=1&status__is=DRAFT")
    found = choices(text)
    assert "in time" in text
    assert found["draft"][1:] == (True, "")
    assert "status__is=DRAFT&status__is=LOADED" in found["loaded"][0]


def test_every_list_of_the_sample_can_be_shown_with_facets(site):
    for mapper in Base.registry.mappers:
        answer = site.client.get(site.url(mapper.class_) + "?facets=1")
        assert answer.status_code == 200, mapper
        assert '<aside class="facets"' in answer.text


def test_keys_of_several_columns_and_decorated_texts_make_facets(make_site):
    site = make_site(Model).register_all()
    with site.session() as session:
        session.add(Place(row="a,b", number=1, name="First"))
        session.flush()
        session.add_all([Thing(row="a,b", number=1, word=w) for w in ("ab", "ab", "", None, "y")])
        session.add_all([Thing(word="ab") for _ in range(20)])
        session.commit()
    found = boxes(site, "/admin/thing/?facets=1")
    for name in ("place", "word"):
        values = choices(found[name])
        assert len(values) > 1
        for target, _, number in values.values():
            assert count(site, target) == int(number)
    assert choices(found["word"])["ab"][2] == "22"


def test_a_facet_that_the_list_may_not_be_filtered_by_is_left_out(own_site):
    class Named(ModelView):
        column_filters = ("price", "category.name")
        column_facets = ("category.name", "category.parent", "is_sold")

    own_site.admin.register(Product, Named, endpoint="narrow")
    assert list(boxes(own_site, "/admin/narrow/?facets=1")) == ["category.name", "is_sold"]


def test_bad_names_and_values_are_no_errors(site):
    for query in (
        "facets=__class__,metadata,nonsense",
        "facets=" + "x," * 5000,
        "facets=1&status__is=zzz",
        "facets=1&placed_at__during=2026-13",
        "facets=1&customer__is=zzz&customer__is=1",
        "facets=1&placed_at__during=9999",
        "facets=1&placed_at__during=0001-01-01",
    ):
        assert site.client.get(f"/admin/order/?{query}").status_code == 200, query


def test_a_script_gets_the_panel_alone_with_links_that_do_not_ask_for_it(site):
    text = site.client.get("/admin/order/facets/?status__is=DRAFT").text
    assert "<html" not in text
    assert 'data-facet="status"' in text
    assert "facets=1" not in text


def test_a_date_far_off_does_not_hide_the_others(site):
    with site.session() as session:
        session.execute(
            sa.update(Order).where(Order.id == 1).values(deliver_on=dt.date(9999, 1, 1))
        )
        session.commit()
    assert "2026" in choices(boxes(site, "/admin/order/?facets=1")["deliver_on"], BAR)


def test_the_range_of_a_drilled_period_is_bounded(site, statements):
    with site.session() as session, statements(site.engine) as seen:
        listing = Listing(sa.inspect(Telemetry))
        group = filters.parse(
            [("recorded_at__during", "2026-09")], listing.mapper, listing.reach, []
        )
        facets.found(listing, session, ListState(filters=group), ["recorded_at"])
    assert len(seen) == 1
    assert "recorded_at >=" in seen[0]
    assert "recorded_at <" in seen[0]


def test_facets_of_no_rows_say_that_there_are_none(site):
    page = site.client.get("/admin/order/?facets=1&search=nobodyhasthis").text
    assert "There are no orders to count." in page
    one = site.client.get("/admin/tag/?facets=1&id__is=1").text
    assert "all rows are alike in what can be counted" in one
