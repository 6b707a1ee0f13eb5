"""The search over everything, as a page and as JSON for the dialog."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import Policy, listing
from admin_app import palette as palettes
from admin_app.listing import suggesting, tables
from admin_app.listing.indexes import TableFacts
from examples.fleet.models import Base, Customer, Order, Tag

JSON = {"Accept": "application/json"}


def asked(site, text, **arguments):
    """The groups that are found, by key, and what is told."""
    query = {"q": text, **arguments}
    answer = site.client.get("/admin/search/", query_string=query, headers=JSON)
    assert answer.status_code == 200, answer.text
    return {g["key"]: g for g in answer.json["groups"]}, answer.json["sentence"]


def texts(group):
    return [item["text"] for item in group["items"]]


@pytest.fixture
def patient(monkeypatch):
    """Time enough, however busy the machine is."""
    monkeypatch.setattr(palettes, "SECONDS", 60)


def test_pages_actions_and_rows_of_every_model_are_found(site, patient):
    with site.session() as session:
        session.add_all([Tag(name="order of the day"), Tag(name="disorder")])
        session.commit()
    groups, sentence = asked(site, "order")
    assert texts(groups["pages"])[:2] == ["Orders", "Order items"]
    assert "New order" in texts(groups["actions"])
    assert texts(groups["tag"]) == ["order of the day", "disorder"]
    assert sentence == ""


def test_what_is_found_leads_there(site, patient):
    with site.session() as session:
        name = session.scalar(sa.select(Customer.name))
    groups, _ = asked(site, f'"{name}"')
    (item,) = [i for i in groups["customer"]["items"] if i["text"] == name]
    assert name in site.client.get(item["url"]).get_data(as_text=True).replace("&#39;", "'")
    many, _ = asked(site, "2026")
    assert "2026-" in site.client.get(many["order"]["more_url"]).text


def test_the_page_needs_no_script(site, patient):
    page = site.client.get("/admin/search/?q=orders").text
    assert '<a class="link" href="/admin/order/">Orders</a>' in page
    assert 'name="q" value="orders"' in page
    assert 'href="/admin/search/"' in site.client.get("/admin/order/").text
    hostile = site.client.get("/admin/search/?q=<script>zz").text
    assert "Nothing matches “&lt;script&gt;zz”" in hostile


def test_a_text_that_no_column_holds_is_refused_in_a_sentence(site):
    answer = site.client.get("/admin/search/?q=%00")
    assert answer.status_code == 400
    assert "no column can hold" in answer.text


@pytest.mark.parametrize("text", ["a" * 100_000, "%25", "'", '"', "^", "=", "@", "\\", "9" * 40])
def test_no_other_text_makes_it_fail(site, text):
    assert site.client.get("/admin/search/", query_string={"q": text[:5_000]}).status_code == 200


def test_only_what_the_policy_lets_through_is_found(own_site, patient):
    class Narrow(Policy):
        def may(self, principal, action, model=None, column=None):
            is_known = model in (None, Order) and action == "view"
            return super().may(principal, action, model, column) and is_known

        def rows(self, principal, action, model):
            return Order.id < 3 if model is Order else None

    own_site.admin.policy = Narrow()
    groups, _ = asked(own_site, "o")
    assert set(groups) == {"pages"}
    assert texts(groups["pages"]) == ["Orders", "Jobs"]
    groups, _ = asked(own_site, "00000")
    assert set(groups) == {"order"}
    assert len(groups["order"]["items"]) == 2


def test_models_that_were_not_reached_in_time_are_told(site, monkeypatch):
    monkeypatch.setattr(palettes, "SECONDS", 0)
    groups, sentence = asked(site, "order")
    assert set(groups) == {"pages", "actions", "longer"}
    assert groups["longer"]["items"][0]["url"] == "/admin/address/?search=order"
    assert sentence.startswith("Not looked through, for it takes longer: ")
    assert sentence.endswith("more.")


def test_models_of_late_come_first(site, patient):
    groups, _ = asked(site, "an", recent="driver,nothing,order")
    rows = [key for key in groups if key not in ("pages", "actions")]
    assert rows[:2] == ["driver", "order"]


def test_a_table_that_is_not_there_yet_hides_no_other(site, patient):
    with site.engine.begin() as connection:
        connection.execute(sa.schema.DropTable(Base.metadata.tables["tasks"]))
    groups, sentence = asked(site, "an")
    assert "customer" in groups
    assert "Tasks" in sentence


def test_a_model_called_search_keeps_out_of_its_way(make_site):
    class Own(orm.DeclarativeBase):
        pass

    class Search(Own):
        __tablename__ = "search"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)

    site = make_site(Own).register_all()
    assert site.url(Search) != "/admin/search/"
    assert asked(site, "searches")[0]["pages"]["items"][0]["url"] == site.url(Search)


# Rows for somebody who is still typing


@pytest.fixture
def tags(site):
    """Looks tags up by name: ``tags(text, limit, offset)``."""
    with site.session() as session:
        names = ["xx lamp", "lamp post", "Lamp", "red lamp", "lampion", "oil lamp"]
        session.add_all([Tag(name=n) for n in names])
        session.commit()
    mapper = sa.inspect(Tag)

    def look(text, limit=10, offset=0, rows=0):
        with site.session() as session:
            facts = listing.known_indexes(session, mapper, [Tag.__table__])
            if facts is not None:
                own = facts[Tag.__table__]
                facts = {Tag.__table__: TableFacts(own.keys, rows)}
            found = listing.Listing(
                mapper,
                searchable=listing.search_fields(mapper, ["name"]),
                indexes=lambda tables: facts,
            )
            return [t.name for t in suggesting.lookup(found, session, text, limit, offset)[0]]

    look.engine = site.engine
    return look


def test_what_is_the_text_comes_first_and_what_begins_with_it_next(tags):
    assert tags("lamp")[:3] == ["Lamp", "lamp post", "lampion"]
    assert set(tags("lamp")[3:]) == {"xx lamp", "red lamp", "oil lamp"}


@pytest.mark.parametrize("is_indexed", [True, False])
def test_pages_of_a_large_table_follow_each_other_without_a_gap(tags, is_indexed):
    if is_indexed and tags.engine.dialect.name == "postgresql":
        with tags.engine.begin() as connection:
            connection.exec_driver_sql("CREATE INDEX ON tags (lower(name) text_pattern_ops)")
        tables.forget(tags.engine)
    whole = tags("lamp", rows=10**7)
    paged = [name for start in range(0, 8, 2) for name in tags("lamp", 2, start, rows=10**7)]
    assert paged == whole
    if is_indexed:
        assert {n.lower()[:4] for n in whole[:3]} == {"lamp"}


def test_in_a_large_table_names_are_looked_at_before_all_else(site, statements):
    mapper, facts = sa.inspect(Customer), {Customer.__table__: TableFacts(rows=10**7)}
    found = listing.Listing(
        mapper,
        searchable=listing.search_fields(mapper, ["name", "notes"]),
        indexes=lambda tables: facts,
    )
    with site.session() as session:
        session.add(Customer(code="X1", name="Zyx", notes="far"))
        session.add(Customer(code="X2", name="Faraway", notes="zyx"))
        session.commit()
        with statements(site.engine) as seen:
            assert [c.name for c in found.lookup(session, "zyx", 0)[0]] == []
        assert len(seen) == 1
        assert [c.name for c in found.lookup(session, "zyx", 5)[0]] == ["Zyx", "Faraway"]
        assert [c.name for c in found.lookup(session, "zyx", 5, 1)[0]] == ["Faraway"]
        assert [c.name for c in found.lookup(session, "far", 5)[0]] == ["Faraway", "Zyx"]
