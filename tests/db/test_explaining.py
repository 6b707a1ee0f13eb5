"""What a list asks of the database: SQL, Python that runs, the plan, a missing index."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qsl

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import orm

from admin_app import Policy, columns, database, explaining, filters, inspection
from admin_app.explaining import lines
from admin_app.listing import Listing, ListState, search_fields
from admin_app.listing import Order as By
from examples.fleet.models import (
    Base,
    Category,
    Customer,
    Driver,
    Order,
    Product,
    Shipment,
    Task,
    Vehicle,
)

MODELS = sorted((m.class_ for m in Base.registry.mappers), key=lambda m: m.__name__)

LISTS: list[tuple[type[Any], str, list[By], str]] = [
    (Order, "status__is=DRAFT&status__is=DELIVERED", [By("placed_at", True)], ""),
    (Order, "customer.addresses.country__is=FR", [By("customer")], "2026"),
    (Order, "placed_at__during=2026-03&freight__between=10..500&note__empty=1", [], ""),
    (Order, "items~1:quantity__gte=3&items~1:product.name__contains=a%25_b", [], ""),
    (
        Order,
        "any1:status__is=DRAFT&any1.none1:is_express__is=true",
        [By("freight", False, "last")],
        "",
    ),
    (Order, "customer__not=3&deliver_on__filled=1", [By("deliver_on", True, "first")], "7 is"),
    (Product, "tags.name__is=fragile&attributes.color__lacks=red", [], ""),
    (Product, "tags__empty=1&price__gt=2.5", [By("category")], ""),
    (Driver, "hired_on__during=last_900_days&shift_starts_at__gte=06:00", [], "an"),
    (Vehicle, "is_electric__is=unknown&service_interval__filled=1", [], ""),
    (Task, "depot_code__is=LYS&title__lacks=x", [], ""),
    (Category, "parent.parent__empty=1&children.name__starts=D", [], ""),
    (Shipment, "order.customer__is=3", [By("order")], ""),
]


def listing_of(model: type[Any], dialect: str) -> Listing:
    mapper = sa.inspect(model)
    names = columns.shown(mapper)
    return Listing(
        mapper,
        searchable=search_fields(mapper, columns.searchable(mapper)),
        sortable=columns.sortable(mapper, names),
        columns=[inspection.resolve(mapper, name) for name in columns.listed(mapper, names)],
        dialect=dialect,
    )


def state_of(listing: Listing, query: str, order: list[By], search: str = "") -> ListState:
    notes: list[str] = []
    group = filters.parse(
        parse_qsl(query), listing.mapper, listing.reach, notes, dialect=listing.dialect
    )
    assert notes == []
    return ListState(search, tuple(order), filters=group, page_size=20)


@pytest.mark.parametrize(("model", "query", "order", "search"), LISTS)
def test_the_code_runs_when_pasted_and_finds_the_rows_of_the_list(
    site, model, query, order, search
):
    listing = listing_of(model, site.engine.dialect.name)
    state = state_of(listing, query, order, search)
    with site.session() as session:
        found = explaining.explain(listing, session, state)
        names: dict[str, Any] = {}
        exec(found.code, names)  # noqa: S102 - that it can be is what it is for
        pasted = [sa.inspect(i).identity for i in session.scalars(names["statement"]).unique()]
        listed = [sa.inspect(row.instance).identity for row in listing.page(session, state).rows]
    assert pasted == listed


@pytest.mark.parametrize("key", ["id", "placed_at", "freight", "customer"])
def test_a_page_further_on_has_code_of_its_own(site, key):
    listing, order = listing_of(Order, site.engine.dialect.name), (By(key, True),)
    with site.session() as session:
        first = listing.page(session, ListState(page_size=20, order=order))
        state = ListState(page_size=20, order=order, after=first.last)
        names: dict[str, Any] = {}
        exec(explaining.explain(listing, session, state).code, names)  # noqa: S102
        pasted = [order.id for order in session.scalars(names["statement"])]
        assert pasted == [row.instance.id for row in listing.page(session, state).rows]


@pytest.mark.parametrize("model", MODELS)
def test_every_list_of_the_sample_has_its_query_shown(site, model):
    answer = site.client.get(site.url(model) + "query/")
    assert answer.status_code == 200
    assert "statement = (" in html.unescape(answer.text)


def test_the_menu_of_a_list_leads_to_its_query_and_back(site):
    text = site.client.get("/admin/order/?status__is=DRAFT&sort=-freight").text
    url = html.unescape(re.search(r'href="([^"]*)">Show query', text)[1])
    shown = html.unescape(site.client.get(url).text)
    assert "OrderStatus.DRAFT" in shown
    assert "Order.freight.desc()" in shown
    assert "/admin/order/?" in shown
    assert "status__is=DRAFT" in shown


def test_who_may_not_see_queries_has_no_link_and_no_page(fleet_url):
    from tests.db.conftest import Site

    class NoQueries(Policy):
        def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
            return action != "query"

    site = Site(fleet_url, policy=NoQueries()).register_all()
    assert "Show query" not in site.client.get("/admin/order/").text
    answer = site.client.get("/admin/order/query/")
    assert answer.status_code == 403
    assert "SELECT" not in answer.text


def test_values_of_columns_that_may_not_be_read_are_not_shown(fleet_url):
    from tests.db.conftest import Site

    class Narrow(Policy):
        def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
            return column != "vat_number"

        def rows(self, principal: Any, action: str, model: Any) -> Any:
            hidden = sa.or_(Customer.vat_number.is_(None), Customer.vat_number != "HUSH-HUSH")
            return hidden if model is Customer else None

    site = Site(fleet_url, policy=Narrow()).register_all()
    for url in ("/admin/customer/query/", "/admin/order/query/?customer.name__filled=1"):
        text = site.client.get(url).text
        assert "vat_number" in text
        assert "HUSH" not in text
        assert "••••••" in text


def test_nothing_is_read_for_it(site, statements):
    with statements(site.engine) as seen:
        site.client.get("/admin/order/query/?status__is=DRAFT")
    assert not [s for s in seen if s.startswith("SELECT orders")]


def test_bad_arguments_are_answered_in_words(site):
    for query in ("status__is=zzz", "sort=__class__", "page=x", "nonsense__is=1", "search=%25"):
        assert site.client.get(f"/admin/order/query/?{query}").status_code == 200, query
    answer = site.client.get("/admin/order/query/?after=zzz")
    assert answer.status_code == 400
    assert "SELECT" not in answer.text


def test_sql_keeps_its_parameters_apart(site):
    text = html.unescape(
        site.client.get("/admin/order/query/?customer__is=7&status__is=DRAFT").text
    )
    name = re.search(r"orders.customer_id = :(\w+)", text)[1]
    assert re.search(rf">{name}</td><td[^>]*>7<", text)
    assert re.search(r"status_1</td><td[^>]*>draft<", text)


Model = orm.declarative_base()


class Reading(Model):  # type: ignore[misc, valid-type]
    __tablename__ = "reading"
    id = sa.Column(sa.Integer, primary_key=True)
    sensor = sa.Column(sa.Integer, nullable=False)
    at = sa.Column(sa.Integer, index=True, nullable=False)
    value = sa.Column(sa.Integer, nullable=False)


def filled(url: str) -> sa.Engine:
    """A large table with an index on ``at`` alone."""
    engine = sa.create_engine(database.normalise_url(url))
    Model.metadata.create_all(engine)
    rows = [{"sensor": n % 2000, "at": n, "value": n * 7 % 30_000} for n in range(30_000)]
    with engine.begin() as connection:
        connection.execute(sa.insert(Reading), rows)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    return engine


@pytest.fixture
def readings(database_url: str) -> sa.Engine:
    return filled(database_url)


@pytest.fixture
def postgresql_readings(postgresql_url: str) -> sa.Engine:
    """Only PostgreSQL tells how large its tables are, so an index is advised there alone."""
    return filled(postgresql_url)


def explained(engine: sa.Engine, query: str = "", *order: By) -> explaining.Explanation:
    listing = listing_of(Reading, engine.dialect.name)
    with orm.Session(engine) as session:
        return explaining.explain(listing, session, state_of(listing, query, list(order)))


def test_the_plan_names_the_index_that_is_read(readings):
    plan = " ".join(explained(readings, "", By("at", True)).plan)
    assert "index ix_reading_at" in plan
    if readings.dialect.name == "postgresql":
        assert "Reads the index ix_reading_at backwards and stops after 21 rows." in plan


def test_the_plan_says_when_a_table_is_read_whole(readings):
    plan = " ".join(explained(readings, "value__is=7", By("sensor")).plan)
    assert "Reads the whole table reading" in plan
    assert "Sorts" in plan


def test_an_index_is_advised_for_a_scan_that_finds_little(postgresql_readings):
    found = explained(postgresql_readings, "sensor__is=7", By("at")).advice
    assert '["sensor", "at"' in found.code
    assert "postgresql_concurrently=True" in found.code


def test_an_index_is_advised_for_a_range_of_few_rows(postgresql_readings):
    found = explained(postgresql_readings, "value__between=7..9", By("at")).advice
    assert '["value"]' in found.code


def test_an_index_is_advised_for_a_sort_of_a_large_table(postgresql_readings):
    found = explained(postgresql_readings, "", By("value", True), By("sensor")).advice
    assert '[sa.text("value DESC"), "sensor"' in found.code


def test_no_index_is_advised_where_most_rows_match(postgresql_readings):
    assert explained(postgresql_readings, "sensor__gte=100").advice is None
    assert explained(postgresql_readings, "", By("at")).advice is None


def test_the_advised_operation_runs_and_then_helps(postgresql_readings):
    found = explained(postgresql_readings, "sensor__is=7", By("at")).advice
    with postgresql_readings.connect() as connection:
        context = MigrationContext.configure(connection)
        with context.begin_transaction():
            exec(found.code, {"op": Operations(context), "sa": sa})  # noqa: S102 - as above
        connection.commit()
    again = explained(postgresql_readings, "sensor__is=7", By("at"))
    assert again.advice is None
    assert "ix_reading_sensor_at" in " ".join(again.plan)


def test_a_small_table_needs_no_index(site):
    with site.session() as session:
        listing = listing_of(Order, site.engine.dialect.name)
        state = state_of(listing, "number__contains=9", [By("freight")])
        assert explaining.explain(listing, session, state).advice is None


def test_breaking_lines_changes_no_statement(site):
    with site.session() as session:
        for model, query, order, search in LISTS:
            listing = listing_of(model, site.engine.dialect.name)
            statement = listing.statement(state_of(listing, query, order, search))
            text = str(statement.compile(dialect=session.get_bind().dialect))
            assert re.sub(r"\s", "", lines.of_sql(text)) == re.sub(r"\s", "", text)
