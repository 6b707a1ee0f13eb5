"""What lists are ordered by, and how their pages lead to others, as a visitor sees it."""

from __future__ import annotations

import re
from html import unescape

import pytest
import sqlalchemy as sa

from admin_app import ModelView, Policy
from admin_app.listing import reading, tables
from examples.fleet.models import Customer, Driver, Order, Telemetry, Vehicle
from tests.db.conftest import Site


def keys(text: str) -> list[str]:
    return re.findall(r'name="rowid" value="([^"]+)"', text)


def link(text: str, words: str) -> str:
    """The address of the link with ``words`` in the navigation of pages."""
    (found,) = re.findall(rf'href="([^"]+)">{words}</a>', text)
    return unescape(found)


@pytest.fixture
def large(monkeypatch):
    """Every table is taken for a large one: its pages are found by key."""
    monkeypatch.setattr(reading, "LARGE", 1)
    monkeypatch.setattr("admin_app.pager.COUNT_LIMIT", 1)


def test_several_columns_order_a_list_each_with_its_place(site):
    page = site.client.get(site.url(Order) + "?sort=-status,placed_at:nulls_last&page_size=20").text
    assert re.search(r"Status<sup>1</sup>", page)
    assert re.search(r"Placed at<sup>2</sup>", page)
    with site.session() as session:
        wanted = session.scalars(
            sa.select(Order.id).order_by(Order.status.desc(), Order.placed_at, Order.id).limit(20)
        )
        assert keys(page) == [str(id_) for id_ in wanted]


def test_a_heading_orders_by_it_alone_and_with_shift_by_it_too(site):
    page = unescape(site.client.get(site.url(Order) + "?sort=-status").text)
    assert (
        'href="/admin/order/?sort=placed_at" data-sort-add="/admin/order/?sort=-status,placed_at"'
        in page
    )
    assert 'href="/admin/order/?sort=status" data-sort-add="/admin/order/?sort=status"' in page


def test_the_menu_of_the_order_turns_and_removes_a_key_and_sends_nulls_away(site):
    page = unescape(site.client.get(site.url(Order) + "?sort=deliver_on,-id").text)
    for sort in ("-deliver_on,-id", "deliver_on:nulls_first,-id", "-id", "deliver_on,-id,number"):
        assert f'href="/admin/order/?sort={sort}"' in page


@pytest.mark.parametrize("nulls", ["first", "last"])
def test_nulls_stand_where_they_were_asked_for(site, nulls):
    text = site.client.get(f"{site.url(Vehicle)}?sort=purchased_on:nulls_{nulls}").text
    with site.session() as session:
        lacking = {
            str(i) for i in session.scalars(sa.select(Vehicle.id).filter_by(purchased_on=None))
        }
    found = keys(text)
    assert lacking
    assert set(found[: len(lacking)] if nulls == "first" else found[-len(lacking) :]) == lacking


@pytest.mark.parametrize(
    "sort", ["99.x", "metadata", "customer.__class__", ":nulls_first", "-", "status:x"]
)
def test_an_order_that_means_nothing_is_set_aside(site, sort):
    response = site.client.get(f"{site.url(Order)}?sort={sort}")
    assert response.status_code == 200


def test_a_list_without_sortable_columns_offers_no_order(own_site):
    class Fixed(ModelView):
        column_sortable_list = ()

    own_site.admin.register(Driver, Fixed, endpoint="fixed")
    page = own_site.client.get("/admin/fixed/").text
    assert "data-sort-add" not in page
    assert "order-panel" not in page


def test_links_lead_through_a_large_list_and_back(site, large):
    url, seen, pages = site.url(Order) + "?sort=customer&page_size=50", [], 0
    while url:
        text = site.client.get(url).text
        seen += keys(text)
        pages += 1
        url = link(text, "Next ›") if "Next ›" in text else ""
    assert pages == 3
    assert len(seen) == len(set(seen)) == 120
    back = site.client.get(link(text, "‹ Previous")).text
    assert keys(back) == seen[50:100]
    last = site.client.get(link(back, "Last")).text
    assert keys(last) == seen[70:]


def test_a_row_added_before_the_page_moves_no_row_of_the_next(site, large):
    first = site.client.get(site.url(Customer) + "?sort=name&page_size=20").text
    following = link(first, "Next ›")
    before = keys(site.client.get(following).text)
    with site.session() as session:
        session.add(Customer(code="AAA", name="AAA, the first of all"))
        session.commit()
    assert keys(site.client.get(following).text) == before


@pytest.mark.parametrize(
    "place",
    ["after=x", "after=1,2,3", "before=%00", "after=" + "9" * 40, "after=.n,.n", "before=,", "at=x",
     "at=%ED%A0%80", "after=" + "1" * 9000, "page=last&after=%F0%9F%9A%80"],
)  # fmt: skip
def test_a_place_that_means_nothing_is_told_and_the_first_page_shown(site, place):
    for sort in ("", "sort=placed_at&", "sort=customer&", "sort=freight,status&"):
        response = site.client.get(f"{site.url(Order)}?{sort}{place}")
        assert response.status_code == 200
    assert "This is its first page." in site.client.get(site.url(Order) + "?after=x").text


@pytest.mark.parametrize(
    ("sort", "at", "first"),
    [
        ("id", "100", Order.id >= 100),
        ("placed_at", "2026-03", Order.placed_at >= sa.text("'2026-03-01'")),
        ("number", "2026", Order.number >= "2026"),
    ],
)
def test_a_large_list_goes_to_a_value_of_what_it_is_ordered_by(site, large, sort, at, first):
    page = site.client.get(f"{site.url(Order)}?sort={sort}&page_size=20&at={at}").text
    with site.session() as session:
        rows = sa.select(Order.id).where(first).order_by(getattr(Order, sort), Order.id).limit(20)
        assert keys(page) == [str(id_) for id_ in session.scalars(rows)]
    assert 'name="at"' in page


def test_a_small_list_has_numbered_pages_with_gaps(site):
    pages = re.compile(r'<span class="unseen">Page </span>(\d+)')
    text = site.client.get(site.url(Telemetry) + "?page_size=20&page=7").text
    assert pages.findall(text) == ["1", "6", "7", "8", "9", "10", "16"]
    assert 'aria-current="page"><span class="unseen">Page </span>8' in text
    assert text.count('<span aria-hidden="true">…</span>') == 2


def test_a_late_page_joins_only_the_rows_that_it_shows(site, statements):
    with statements(site.engine) as seen:
        site.client.get(site.url(Order) + "?page=1&page_size=50&sort=-freight")
    (rows,) = [s for s in seen if "JOIN customers" in s]
    assert rows.index("LIMIT") < rows.index("JOIN customers")


def test_an_order_without_index_is_marked_on_a_large_table(site, large):
    page = site.client.get(site.url(Order)).text
    if site.engine.dialect.name == "postgresql":
        assert re.search(r'class="slow"[^>]*>Freight', page)
    assert not re.search(r'class="slow"[^>]*>(Id|Number|Status|Customer|Placed at)', page)


def test_the_indexes_of_a_database_are_known_and_asked_once(postgresql_url, statements):
    engine = sa.create_engine(postgresql_url)
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL REFERENCES a, c text, d text)",
            "CREATE INDEX ON a (c, d)",
            "CREATE INDEX ON a (d) WHERE b > 3",
            "CREATE INDEX ON a (lower(d))",
            "CREATE INDEX ON a (d text_pattern_ops)",
        ):
            connection.exec_driver_sql(statement)
    table = sa.Table("a", sa.MetaData())
    with engine.connect() as connection, statements(engine) as seen:
        known = tables.known(connection, table)
        assert tables.known(connection, table) is known
    assert len(seen) == 1
    assert set(known.indexes) == {("id",), ("c", "d")}
    assert (("b",), "a") in known.references
    assert known.leads("c")
    assert not known.leads("d")


def test_a_list_is_not_ordered_by_what_its_visitor_may_not_read(fleet_url):
    class NoNotes(Policy):
        def may(self, principal, action, model=None, column=None):
            return column != "note" and super().may(principal, action, model, column)

    site = Site(fleet_url, policy=NoNotes()).register_all()
    html = site.client.get("/admin/order/?sort=note").text
    assert "cannot be ordered by “note”" in html
