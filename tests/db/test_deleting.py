"""Deleting rows in the browser: what the page tells, and what a POST then does."""

from __future__ import annotations

import html
import re

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, Policy


class Base(orm.DeclarativeBase):
    pass


stuck = sa.Table(
    "stuck",
    Base.metadata,
    sa.Column("book_id", sa.ForeignKey("book.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tag.id"), primary_key=True),
)


class Publisher(Base):
    __tablename__ = "publisher"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Book(Base):
    __tablename__ = "book"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str]
    publisher_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("publisher.id"))
    publisher: orm.Mapped[Publisher] = orm.relationship()
    reviews: orm.Mapped[list[Review]] = orm.relationship(
        back_populates="book", cascade="all, delete-orphan"
    )
    loans: orm.Mapped[list[Loan]] = orm.relationship(back_populates="book")
    tags: orm.Mapped[list[Tag]] = orm.relationship(secondary=stuck)


class Tag(Base):
    __tablename__ = "tag"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Review(Base):
    __tablename__ = "review"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str]
    book_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("book.id"))
    book: orm.Mapped[Book] = orm.relationship(back_populates="reviews")


class Loan(Base):
    __tablename__ = "loan"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    book_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("book.id"))
    book: orm.Mapped[Book | None] = orm.relationship(back_populates="loans")


def fill(site, reviews=2):
    with site.session() as session:
        session.add_all([Publisher(id=1, name="Ace"), Publisher(id=2, name="Box")])
        session.flush()
        session.add_all(
            [
                Book(id=i, title=f"Book {i}", publisher_id=1, loans=[Loan()], tags=[Tag(name="t")])
                for i in (1, 2)
            ]
        )
        session.flush()
        session.add_all([Review(title=f"Review {n}", book_id=1) for n in range(reviews)])
        session.commit()
    return site


@pytest.fixture
def library(make_site):
    return fill(make_site(Base).register_all())


def shown(response):
    """The words of a page."""
    text = re.sub(r"<[^>]+>", " ", response.text)
    return " ".join(html.unescape(text).split())


def count(site, model):
    with site.session() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model))


def ask(site, model, id):
    return site.client.get(f"{site.url(model, 'delete')}?id={id}")


def test_the_page_tells_in_words_what_a_delete_does(library):
    page = shown(ask(library, Book, 1))
    assert (
        "Deleting “Book 1” also deletes 2 reviews, unlinks 1 tag and empties Book of 1 loan."
        in page
    )
    assert "Nothing has been changed yet." in page
    assert "Review 0" in page
    assert f'href="{library.url(Review, "details", id=1)}"' in ask(library, Book, 1).text
    assert count(library, Book) == 2


def test_what_is_blocked_has_no_button_to_delete_and_a_post_is_refused_in_words(library):
    page = ask(library, Publisher, 1)
    assert ">Delete publisher<" not in page.text
    assert re.search("<h1>“.+” cannot be deleted yet</h1>", page.text)
    assert "2 books (by publisher)" in shown(page)
    refused = library.client.post(library.url(Publisher, "delete"), data={"id": "1"})
    assert refused.status_code == 409
    assert "Nothing was deleted: 2 books still point here (by publisher)" in shown(refused)
    assert count(library, Publisher) == 2


def test_what_blocks_opens_as_a_filtered_list(library):
    page = ask(library, Publisher, 1).text
    url = html.unescape(re.search(r'href="(/admin/book/\?[^"]+)"', page)[1])
    assert url == "/admin/book/?publisher__is=1"
    assert "Book 2" in library.client.get(url).text


def test_what_blocks_is_moved_to_another_row_in_the_same_change(library):
    page = ask(library, Publisher, 1).text
    name = re.search(r'name="(move:[^"]+)"', page)[1]
    assert ">Move and delete publisher<" in page
    for key in ("1", "7", "none"):
        data = {"id": "1", name: key}
        again = library.client.post(library.url(Publisher, "delete"), data=data)
        assert again.status_code == 409
        assert "choose another publisher" in shown(again)
    data[name] = "2"
    assert library.client.post(library.url(Publisher, "delete"), data=data).status_code == 302
    with library.session() as session:
        assert set(session.scalars(sa.select(Book.publisher_id))) == {2}
        assert session.get(Publisher, 1) is None


def test_a_bulk_delete_shows_the_plan_and_is_refused_by_it(library):
    data = {"action": "delete", "rowid": ["1", "2"]}
    url = library.url(Publisher, "action")
    assert "2 books (by publisher)" in shown(library.client.post(url, data=data))
    refused = library.client.post(url, data={**data, "confirmed": "1"})
    assert (refused.status_code, count(library, Publisher)) == (409, 2)
    url = library.url(Book, "action")
    page = shown(library.client.post(url, data=data))
    assert "Deleting 2 books also deletes 2 reviews, unlinks 2 tags and empties Book of 2" in page
    assert library.client.post(url, data={**data, "confirmed": "1"}).status_code == 302
    assert (count(library, Book), count(library, Review), count(library, Loan)) == (0, 0, 2)


class Careful(Policy):
    """Reviews are not deleted, nor is the first of them seen."""

    def may(self, principal, action, model=None, column=None):
        return not (action == "delete" and model is Review)

    def rows(self, principal, action, model):
        return Review.title != "Review 0" if model is Review else None


def test_rows_that_may_not_be_deleted_block_and_those_out_of_sight_are_not_named(make_site):
    site = fill(make_site(Base, policy=Careful()).register_all())
    page = ask(site, Book, 1)
    assert "You may not delete reviews" in shown(page)
    assert "and 1 that you may not see" in shown(page)
    assert "Review 0" not in page.text
    assert "<button" not in page.text.partition('id="delete-form"')[2].partition("</form>")[0]
    refused = site.client.post(site.url(Book, "delete"), data={"id": "1"})
    assert (refused.status_code, count(site, Book)) == (403, 2)


def test_a_host_decides_what_blocks_and_by_which_page_it_is_asked(make_site):
    class Lenient(ModelView):
        delete_template = "admin/confirm_action.html"

        def get_delete_plan(self, rows):
            plan = super().get_delete_plan(rows)
            plan.effects = [e for e in plan.effects if e.fate != "blocks"]
            return plan

    site = fill(make_site(Base).register_all({Publisher: Lenient}))
    page = ask(site, Publisher, 1)
    assert ">Delete publisher<" in page.text
    assert "btn primary danger" not in page.text


def test_a_hook_may_take_away_what_blocks(make_site):
    class Sweeping(ModelView):
        def on_model_delete(self, model):
            self.session.session.execute(sa.update(Book).values(publisher_id=2))

    site = fill(make_site(Base).register_all({Publisher: Sweeping}))
    data = {"id": "1"}
    assert site.client.post(site.url(Publisher, "delete"), data=data).status_code == 302


def test_a_page_with_many_rows_costs_what_one_with_few_does_and_stays_small(make_site, statements):
    site = fill(make_site(Base).register_all(), reviews=6)
    ask(site, Book, 1)
    with statements(site.engine) as few:
        ask(site, Book, 1)
    with site.session() as session:
        session.execute(
            sa.insert(Review), [{"id": i, "title": "x", "book_id": 1} for i in range(100, 900)]
        )
        session.commit()
    with statements(site.engine) as many:
        page = ask(site, Book, 1)
    assert len(many) == len(few) < 30
    assert "and 801 more" in shown(page)
    assert len(page.data) < 50_000
