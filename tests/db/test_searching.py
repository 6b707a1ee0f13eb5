"""The search of a list, on both databases; and the indexes that PostgreSQL has for it."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column, relationship

from admin_app import ModelView, Policy, listing
from admin_app.listing import tables
from tests.db.conftest import Site


class Base(orm.DeclarativeBase):
    pass


tagged = sa.Table(
    "tagged",
    Base.metadata,
    sa.Column("owner_id", sa.ForeignKey("owners.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id"), primary_key=True),
)


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Owner(Base):
    __tablename__ = "owners"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(60))
    code: Mapped[str] = mapped_column(sa.String(20), default="")
    api_token: Mapped[str] = mapped_column(default="")
    boss_id: Mapped[int | None] = mapped_column(sa.ForeignKey("owners.id"))
    balance: Mapped[Decimal | None] = mapped_column(sa.Numeric(12, 2))
    born_on: Mapped[dt.date | None]
    reference: Mapped[uuid.UUID | None]

    boss: Mapped[Owner | None] = relationship(remote_side=[id])
    pets: Mapped[list[Pet]] = relationship(back_populates="owner")
    tags: Mapped[list[Tag]] = relationship(secondary=tagged)


class Pet(Base):
    __tablename__ = "pets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(60))
    age: Mapped[int | None]
    owner_id: Mapped[int] = mapped_column(sa.ForeignKey("owners.id"), index=True)
    owner: Mapped[Owner] = relationship(back_populates="pets")


@pytest.fixture
def found(make_site):
    """The keys of the owners that a search finds: ``found("ana", *fields)``."""
    site = make_site(Base)
    with site.session() as session:
        ana = Owner(id=1, name="Ana 50%", code="Ab_1", api_token="hush", balance=Decimal("12.50"))
        ben = Owner(id=2, name="Ben \\ Son", code="ab1", born_on=dt.date(2001, 3, 14), boss=ana)
        cy = Owner(id=3, name="Cy Anders", code="x", reference=uuid.UUID(int=7), boss=ben)
        ana.tags = [Tag(name="old"), Tag(name="loud")]
        cy.tags = [Tag(name="old loud")]
        ana.pets = [Pet(name="Daniel", age=19), Pet(name="Danielle", age=30)]
        ben.pets = [Pet(name="Rex", age=19)]
        session.add_all([ana, ben, cy])
        session.commit()

    site.admin.register(Pet)
    view = site.admin.register(Owner)

    def search(text: str, *names: str) -> set[int]:
        view._searched = listing.search_fields(view.mapper, names)
        answer = site.client.get(f"/admin/owner/?search={quote(text)}")
        assert answer.status_code == 200, answer.text
        return {int(key) for key in re.findall(r'name="rowid" value="(\d+)"', answer.text)}

    search.site, search.view = site, view
    return search


@pytest.mark.parametrize(
    ("text", "fields", "keys"),
    [
        ("cy ANDERS", ("name",), {3}),
        ("an", ("name",), {1, 3}),
        ("ana x", ("name", "code"), set()),
        ("anders x", ("name", "code"), {3}),
        ("^an", ("name",), {1}),
        ("an", ("^name",), {1}),
        ("=AB1", ("code",), {2}),
        ("ab", ("=code",), set()),
        ("b_1", ("code",), {1}),
        ("50%", ("name",), {1}),
        ("\\", ("name",), {2}),
        ("'Cy Anders'", ("name",), {3}),
        ('"Anders Cy"', ("name",), set()),
        ("2", ("id",), {2}),
        ("abc", ("id", "balance", "born_on", "reference"), set()),
        ("99999999999999999999", ("id",), set()),
        ("3000000000", ("id",), set()),
        ("12.5", ("balance",), {1}),
        ("2001-03-14", ("born_on",), {2}),
        ("2001-03", ("born_on",), {2}),
        ("2001-13-99", ("born_on",), set()),
        (str(uuid.UUID(int=7)), ("reference",), {3}),
        ("hush", ("name", "api_token"), set()),
        ("@Anders", ("@name",), {3}),
    ],
)
def test_words_are_all_wanted_in_any_of_the_columns(found, text, fields, keys):
    assert found(text, *fields) == keys


@pytest.mark.parametrize(
    ("text", "fields", "keys"),
    [
        ("ana", ("boss.name",), {2}),
        ("ana", ("boss.boss.name",), {3}),
        ("ben", ("boss",), {3}),
        ("daniel", ("pets.name",), {1}),
        ("rex", ("boss.pets.name",), {3}),
        ("old", ("tags",), {1, 3}),
        ("daniel 19", ("pets.name", "pets.age"), {1}),
        ("danielle 19", ("pets.name", "pets.age"), set()),
        ("ana danielle", ("name", "pets.name"), {1}),
        ("ben 50", ("name", "boss.name", "pets.age"), {2}),
        ("old loud", ("tags.name",), {3}),
        ("rex 50", ("boss.name", "pets.name"), {2}),
        ("daniel old", ("pets.name", "tags.name"), {1}),
    ],
)
def test_several_words_match_on_the_same_related_row(found, text, fields, keys):
    assert found(text, *fields) == keys


def test_a_search_finds_each_row_once_however_many_related_rows_match(found, statements):
    with statements(found.site.engine) as seen:
        assert found("dan", "pets.name") == {1}
    assert len(seen) <= 4
    assert "1 owner of 3 (<a " in found.site.client.get("/admin/owner/?search=dan").text


def test_eighty_repeated_words_cost_one_join(found, statements):
    with statements(found.site.engine) as seen:
        assert found("daniel 19 " * 40, "pets.name", "pets.age") == {1}
    rows = next(s for s in seen if "LIKE" in s.upper())
    assert rows.count("JOIN pets") == 1


@pytest.mark.parametrize(
    "text", ["%00", "%ED%A0%80", "%22", "'", "\\", "%5c%25", "@", "^", "=" * 999]
)
def test_no_text_makes_a_search_fail(found, text):
    found("x", "name", "id", "tags.name")
    assert found.site.client.get(f"/admin/owner/?search={text}").status_code in (200, 400)


def test_related_rows_and_classes_out_of_reach_are_not_searched(found):
    class Narrow(Policy):
        def may(self, principal, action, model=None, column=None):
            is_known = model is not Tag and (model, column) != (Owner, "code")
            return super().may(principal, action, model, column) and is_known

        def rows(self, principal, action, model):
            return Pet.age > 20 if model is Pet else None

    found.site.admin.policy = Narrow()
    assert found("daniel", "pets.name") == {1}
    assert found("rex", "pets.name") == set()
    assert found("daniel 19", "pets.name", "pets.age") == set()
    assert found("old", "tags.name") == set()
    assert found("ab1", "code") == set()


def test_a_hook_finds_more_than_the_search_itself(found):
    def own(search, condition):
        return sa.or_(condition, Owner.code == "x") if search == "magic" else condition

    found.view.get_search_condition = own
    assert found("magic", "name") == {3}
    assert found("ben", "name") == {2}


def test_a_search_keeps_the_order_and_its_help_is_tied_to_the_box(found):
    found.view.search_help_text = "A name, or a part of it."
    html = found.site.client.get("/admin/owner/?search=an&sort=-name").text
    assert '<input type="hidden" name="sort" value="-name">' in html
    box = re.search(r'<input type="search" name="search"[^>]*>', html)[0]
    described = re.search(r'aria-describedby="([^"]+)"', box)[1]
    assert f'id="{described}">A name, or a part of it.' in html


def test_a_list_without_searchable_columns_has_no_box(make_site):
    site = make_site(Base)
    site.admin.register(Owner, type("View", (ModelView,), {"column_searchable_list": ()}))
    assert 'name="search"' not in site.client.get("/admin/owner/").text


# What PostgreSQL's indexes serve


class Shelf(orm.DeclarativeBase):
    pass


class Book(Shelf):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(80))
    isbn: Mapped[str] = mapped_column(sa.String(20), default="")
    body: Mapped[str] = mapped_column(sa.Text, default="")
    chapters: Mapped[list[Chapter]] = relationship()


class Chapter(Shelf):
    __tablename__ = "chapters"
    id: Mapped[int] = mapped_column(primary_key=True)
    heading: Mapped[str] = mapped_column(sa.String(80))
    book_id: Mapped[int] = mapped_column(sa.ForeignKey("books.id"), index=True)
    book: Mapped[Book] = relationship(viewonly=True)


@pytest.fixture
def plan(postgresql_url, request):
    """The plan of a search in books, with ``ddl`` run before: ``plan(ddl, text, *fields)``."""
    site = Site(postgresql_url, Shelf).create_all()

    def explain(ddl: str, text: str, *names: str, model: Any = Book) -> str:
        with site.engine.begin() as connection:
            for statement in filter(None, ddl.split(";")):
                connection.exec_driver_sql(statement)
        options = {"column_searchable_list": names}
        view = site.admin.register(model, type("View", (ModelView,), options))
        with site.app.test_request_context("/admin/"):
            session = view.get_session()
            session.execute(sa.text("SET enable_seqscan = off"))
            session.execute(sa.text("SET enable_indexscan = off"))
            statement = view.get_listing().base(text)
            sql = statement.compile(site.engine, compile_kwargs={"literal_binds": True})
            return "\n".join(session.connection().exec_driver_sql(f"EXPLAIN {sql}").scalars())

    return explain


@pytest.mark.parametrize(
    ("ddl", "text", "field"),
    [
        ("CREATE INDEX used ON books (lower(title) text_pattern_ops)", "^Moby", "title"),
        ("CREATE INDEX used ON books (lower(title))", "=Moby Dick", "title"),
        ("CREATE INDEX used ON books (upper(isbn))", "x1", "=isbn"),
        ("CREATE INDEX used ON books (title varchar_pattern_ops)", "moby", "^title"),
        ("CREATE INDEX used ON books (isbn text_pattern_ops)", "=x1", "isbn"),
        ('CREATE INDEX used ON books (title COLLATE "C")', "^moby", "title"),
        ("CREATE INDEX used ON books USING gin (to_tsvector('english', body))", "@whales", "body"),
        (
            "CREATE INDEX used ON books USING gin"
            " (to_tsvector('english', coalesce(title, '') || ' ' || coalesce(body, '')))",
            "whales",
            "@body",
        ),
    ],
)
def test_the_plan_of_a_search_uses_the_index_that_is_there(plan, ddl, text, field):
    assert "on used" in plan(ddl, text, field)


def test_full_text_knows_words_in_their_other_forms_and_leaves_the_out(postgresql_url):
    site = Site(postgresql_url, Shelf).create_all()
    with site.engine.begin() as connection:
        connection.exec_driver_sql("CREATE INDEX ON books USING gin (to_tsvector('english', body))")
        connection.execute(sa.insert(Book), [{"title": "A", "body": "The white whale"}])
    site.admin.register(Book, type("View", (ModelView,), {"column_searchable_list": ["@body"]}))
    for text, is_found in [("whales", True), ("the whale", True), ("hale", False)]:
        html = site.client.get(f"/admin/book/?search={quote(text)}").text
        assert ('name="rowid"' in html) is is_found, text


def test_indexes_of_related_rows_are_used_together_with_those_of_the_row(plan):
    ddl = (
        "CREATE INDEX title_used ON books (lower(title) text_pattern_ops);"
        "CREATE INDEX heading_used ON chapters (lower(heading) text_pattern_ops)"
    )
    shown = plan(ddl, "^moby", "title", "chapters.heading")
    assert "on title_used" in shown
    assert "on heading_used" in shown
    assert "Seq Scan on books" not in shown


def test_the_foreign_key_leads_from_related_rows_to_the_row(plan):
    ddl = "CREATE INDEX used ON books (lower(title) text_pattern_ops)"
    shown = plan(ddl, "^moby", "book.title", model=Chapter)
    assert "on used" in shown
    assert "on ix_chapters_book_id" in shown


def test_an_index_with_the_operators_of_trigrams_is_found_in_the_catalog_and_used(plan):
    # The server of the tests comes without pg_trgm, so a sorted index bears the name: it serves
    # ILIKE as far as the text begins with digits, but never `lower(title) = …`.
    ddl = (
        "CREATE OPERATOR CLASS gin_trgm_ops FOR TYPE text USING btree FAMILY text_pattern_ops AS"
        " STORAGE text;"
        "CREATE INDEX used ON books (title gin_trgm_ops)"
    )
    shown = plan(ddl, "=20a", "title")
    assert "on used" in shown
    assert "~~* '20a'" in shown


def test_the_catalog_is_asked_once_and_not_in_every_request(postgresql_url, statements):
    site = Site(postgresql_url, Shelf).create_all().register_all()
    tables.forget(site.engine)
    with statements(site.engine) as seen:
        for _ in range(3):
            assert site.client.get("/admin/book/?search=x").status_code == 200
    assert len([s for s in seen if "pg_get_indexdef" in s]) == 1


def test_a_partial_index_and_one_that_is_not_ready_are_not_counted_on(plan):
    ddl = "CREATE INDEX used ON books (lower(title) text_pattern_ops) WHERE isbn <> ''"
    assert "on used" not in plan(ddl, "^moby", "title")


@pytest.mark.parametrize(("text", "is_told"), [("ana", True), ("^ana", False), ("", False)])
def test_a_large_list_says_that_a_search_read_every_row(postgresql_url, text, is_told):
    site = Site(postgresql_url, Base).create_all().register_all()
    with site.engine.begin() as connection:
        connection.exec_driver_sql("CREATE INDEX ON tags (lower(name) text_pattern_ops)")
        connection.exec_driver_sql("ANALYZE tags")
        connection.exec_driver_sql("UPDATE pg_class SET reltuples = 2e5 WHERE relname = 'tags'")
    html = site.client.get(f"/admin/tag/?search={quote(text)}").text
    assert ("searched by reading every row" in html) is is_told


def test_a_search_that_takes_too_long_is_told_on_the_page_and_can_be_narrowed(postgresql_url):
    class Slow(ModelView):
        def get_search_condition(self, text, condition):
            return sa.cast(sa.func.pg_sleep(9), sa.Text).is_not(None)

    site = Site(postgresql_url, Shelf).create_all().register_all(views={Book: Slow})
    with site.session() as session:
        session.add(Book(title="Moby Dick"))
        session.commit()
    limit = "SET LOCAL statement_timeout = 40"
    sa.event.listen(site.engine, "begin", lambda connection: connection.exec_driver_sql(limit))
    answer = site.client.get("/admin/book/?search=dick")
    assert answer.status_code == 200
    assert "This search took too long and was stopped." in answer.text
    assert "No books match" not in answer.text
    assert 'value="dick"' in answer.text
