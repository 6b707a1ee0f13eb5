"""How many rows a list says that it has, and what it asks the database for that."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app.listing import Count, Listing, ListState, counting, reading, tables
from tests.db.conftest import Site


class Base(orm.DeclarativeBase):
    pass


class Drop(Base):
    __tablename__ = "drops"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str] = orm.mapped_column(sa.String(9), index=True)
    size: orm.Mapped[int]


DROPS = 30_000


def filled(url: str) -> Site:
    """A table larger than is counted on SQLite; every tenth drop is salt."""
    made = Site(url, Base).create_all().register_all()
    rows = [{"kind": "salt" if n % 10 == 0 else "sweet", "size": n % 7} for n in range(DROPS)]
    with made.engine.begin() as connection:
        connection.execute(sa.insert(Drop), rows)
        connection.exec_driver_sql("ANALYZE")
    return made


@pytest.fixture
def sea(database_url) -> Site:
    return filled(database_url)


@pytest.fixture
def ocean(postgresql_url, monkeypatch) -> Site:
    """The same on PostgreSQL, where it is taken for a large table."""
    monkeypatch.setattr(counting, "CHEAP", 1.0)
    monkeypatch.setattr(reading, "LARGE", 100)
    monkeypatch.setattr(reading, "GATHERED", 0.0)
    monkeypatch.setattr(reading, "SMALL", 0)
    return filled(postgresql_url)


def counted(site: Site, criteria=(), **asked) -> Count | None:
    with site.session() as session:
        listing = Listing(sa.inspect(Drop), criteria=criteria)
        return listing.page(session, ListState(**asked)).count


def is_postgresql(site: Site) -> bool:
    return site.engine.dialect.name == "postgresql"


def test_a_number_that_is_cheap_is_exact_and_another_is_a_limit(sea):
    whole = Count(DROPS) if is_postgresql(sea) else Count(10_000, is_exact=False)
    assert counted(sea) == whole
    assert counted(sea, [Drop.kind == "salt"]) == Count(DROPS // 10)


def test_a_filtered_list_too_large_to_count_has_the_estimate_of_the_planner(ocean):
    count = counted(ocean, [Drop.kind == "salt"])
    assert count is not None
    assert count.is_estimate
    assert abs(count.number - DROPS // 10) < 500
    assert str(count).startswith("≈ ")


def test_the_exact_number_is_there_for_who_asks(sea):
    assert counted(sea, is_counted=True) == Count(DROPS)


def test_a_small_list_costs_one_statement_its_number_included(postgresql_url, statements):
    sea = filled(postgresql_url)
    counted(sea)
    for criteria, number in (((), DROPS), ([Drop.kind == "salt"], DROPS // 10)):
        with statements(sea.engine) as seen:
            assert counted(sea, criteria) == Count(number)
        assert [s for s in seen if not s.startswith("EXPLAIN")] == seen[-1:]


def test_a_table_that_was_never_analysed_is_counted_to_the_limit(sea, monkeypatch):
    monkeypatch.setattr(counting, "CHEAP", 1.0)
    monkeypatch.setattr(reading, "SMALL", 0)
    if is_postgresql(sea):
        with sea.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE pg_class SET reltuples = -1 WHERE relname = 'drops'")
    tables.forget(sea.engine)
    assert counted(sea) == Count(10_000, is_exact=False)


def test_a_table_that_is_small_in_bytes_needs_no_word_of_the_planner(postgresql_url, statements):
    sea = Site(postgresql_url, Base).create_all().register_all()
    with statements(sea.engine) as seen:
        assert counted(sea) == Count(0)
    assert [s.split()[0] for s in seen] == ["SELECT", "SELECT"]


def test_a_page_stands_when_its_count_takes_too_long(sea, monkeypatch):
    monkeypatch.setattr(counting, "SECONDS", 0.0001)
    page = sea.client.get("/admin/drop/")
    assert page.status_code == 200
    assert page.text.count('name="rowid"') == 50


def test_a_list_says_the_estimate_and_leads_to_the_number(ocean):
    page = ocean.client.get("/admin/drop/").text
    assert "≈ 30,000 drops" in page
    assert "count=exact" in page
    assert "30,000 drops" in ocean.client.get("/admin/drop/?count=exact").text


def test_a_large_list_costs_one_statement_when_its_size_is_known(ocean, statements):
    counted(ocean)
    with statements(ocean.engine) as seen:
        assert counted(ocean) == Count(DROPS, is_exact=False, is_estimate=True)
    assert len(seen) == 1


def test_the_planner_is_asked_once_by_whoever_pages_through_a_filtered_list(ocean, statements):
    address = "/admin/drop/?kind__is=salt"
    with statements(ocean.engine) as seen:
        assert "≈ " in ocean.client.get(address).text
        assert "≈ " in ocean.client.get(f"{address}&after=5000&sort=id").text
        ocean.client.get("/admin/drop/?kind__is=sweet")
    assert [s.startswith("EXPLAIN") for s in seen].count(True) == 2


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "≈ 0"), (987, "≈ 987"), (38_412, "≈ 38,400"), (1_234_567, "≈ 1.2 million"),
     (10_000_000, "≈ 10 million"), (2_000_000_000, "≈ 2 billion")],
)  # fmt: skip
def test_an_estimate_is_told_by_its_first_digits(number, words):
    assert str(Count(number, is_exact=False, is_estimate=True)) == words
