"""Undo brings back what was, and never writes over what was changed since."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import changes
from admin_app.changes import undoing
from admin_app.changes.audit import ChangeSetRecord
from admin_app.errors import WriteRefused
from tests.db.test_capture import Author, Base, Book, Club, change, engine, membership

__all__ = ["engine"]

TABLES = dict(Base.metadata.tables)


def contents(engine):
    """Every row of every table of the host, as text; secrets are not brought back."""
    with engine.connect() as connection:
        return {
            name: sorted(
                map(
                    repr,
                    connection.execute(sa.select(*(c for c in table.c if c.name != "password"))),
                )
            )
            for name, table in TABLES.items()
            if not name.startswith("admin_")
        }


def steps(session, number, lock=False):
    records = session.get(ChangeSetRecord, number).rows
    return undoing.plan(session, records, TABLES, lock=lock)


def undo(engine, number, overwrite=()):
    with orm.Session(engine) as session:
        with changes.change_set(
            session, None, "undo", is_recorded=True, undoes_id=number
        ) as change_set:
            undoing.apply(change_set, steps(session, number, lock=True), overwrite)
        return change_set.id


def states(engine, number):
    with orm.Session(engine) as session:
        return [s.state for s in steps(session, number)]


def rename(name):
    def write(change_set):
        author = change_set.session.get(Author, 1)
        author.name = name
        change_set.change(author)

    return write


def relate(change_set):
    author = change_set.session.get(Author, 1)
    author.clubs = [author.clubs[1], Club(name="C")]
    author.books = [author.books[1], Book(title="Three")]
    change_set.change(author)


WRITES = {
    "update": rename("Bea"),
    "insert": lambda c: c.add(Author(name="Bea", clubs=[Club(name="D")], books=[Book(title="X")])),
    "delete": lambda c: c.delete(c.session.get(Author, 1)),
    "relate": relate,
    "bulk": lambda c: c.session.execute(sa.update(Book).values(title=Book.title + "!")),
}


@pytest.mark.parametrize("name", WRITES)
def test_undoing_leaves_the_tables_as_they_were(engine, name):
    before = contents(engine)
    made = change(engine, WRITES[name])
    assert contents(engine) != before
    undo(engine, made.id)
    assert contents(engine) == before


@pytest.mark.parametrize("name", WRITES)
def test_an_undo_can_be_undone(engine, name):
    made = change(engine, WRITES[name])
    after = contents(engine)
    undo(engine, undo(engine, made.id))
    assert contents(engine) == after


def test_rows_that_have_changed_places_can_be_taken_back(engine):
    """Whichever of them came first would have a value that the other still has."""
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE UNIQUE INDEX one_title ON book (title)"))
    index = sa.Index("one_title", Book.__table__.c.title, unique=True)

    def write(change_set):
        for number, title in ((1, "?"), (2, "One"), (1, "Two")):
            book = sa.update(Book).where(Book.id == number)
            change_set.session.execute(book.values(title=title))

    try:
        before = contents(engine)
        undo(engine, change(engine, write).id)
        assert contents(engine) == before
    finally:
        Book.__table__.indexes.discard(index)


def test_a_row_that_was_changed_since_is_left_alone(engine):
    made = change(engine, rename("Bea"))
    change(engine, rename("Cleo"))
    assert states(engine, made.id) == ["changed"]
    assert undo(engine, made.id) is None
    with orm.Session(engine) as session:
        assert session.get(Author, 1).name == "Cleo"


def test_a_conflict_is_overwritten_when_it_is_asked_for(engine):
    made = change(engine, rename("Bea"))
    change(engine, rename("Cleo"))
    with orm.Session(engine) as session:
        [record] = session.get(ChangeSetRecord, made.id).rows
    undo(engine, made.id, {record.id})
    with orm.Session(engine) as session:
        assert session.get(Author, 1).name == "Ann"


def test_another_column_changed_since_is_no_conflict(engine):
    made = change(engine, rename("Bea"))
    change(engine, lambda c: setattr(c.session.get(Author, 1), "score", 99))
    undo(engine, made.id)
    with orm.Session(engine) as session:
        author = session.get(Author, 1)
        assert (author.name, author.score) == ("Ann", 99)


def test_what_is_as_it_was_already_is_done(engine):
    made = change(engine, rename("Bea"))
    change(engine, rename("Ann"))
    assert states(engine, made.id) == ["done"]


def test_a_new_row_with_children_of_others_is_not_deleted_in_silence(engine):
    made = change(engine, lambda c: c.add(Author(name="Bea")))
    with orm.Session(engine) as session:
        number = session.scalar(sa.select(Author.id).where(Author.name == "Bea"))
        session.add(Book(title="Later", author_id=number))
        session.commit()
    with pytest.raises(WriteRefused):
        undo(engine, made.id)
    with orm.Session(engine) as session:
        assert session.get(Author, number) is not None


def test_a_key_that_was_taken_since_is_a_conflict(engine):
    made = change(engine, lambda c: c.session.execute(sa.delete(membership)), Author)
    with engine.begin() as connection:
        connection.execute(sa.insert(membership).values(author_id=1, club_id=2))
    assert sorted(states(engine, made.id)) == ["done", "ready"]


def test_a_secret_comes_back_as_null_where_it_may(engine):
    made = change(engine, lambda c: c.delete(c.session.get(Author, 1)))
    undo(engine, made.id)
    with orm.Session(engine) as session:
        assert session.get(Author, 1).password is None


def test_a_table_that_is_gone_is_told(engine):
    made = change(engine, rename("Bea"))
    with orm.Session(engine) as session:
        records = session.get(ChangeSetRecord, made.id).rows
        assert [s.state for s in undoing.plan(session, records, {})] == ["lost"]


def test_undoing_a_thousand_rows_costs_few_statements(engine, statements):
    with orm.Session(engine) as session:
        session.add_all([Club(name=f"C{n}") for n in range(1000)])
        session.commit()
    made = change(engine, lambda c: c.session.execute(sa.update(Club).values(name="same")), Club)
    with statements(engine) as seen:
        undo(engine, made.id)
    assert len(seen) <= 20
