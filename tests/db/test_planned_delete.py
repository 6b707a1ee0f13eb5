"""Many rows deleted by their plan: what the unit of work would have done, in a few statements."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import event, orm

from admin_app import database, inspection
from admin_app.changes import RowChangeRecord, change_set, planned_delete
from admin_app.changes.delete_plan import delete_plan
from admin_app.database import Base as OwnBase


class Base(orm.DeclarativeBase):
    pass


shelved = sa.Table(
    "shelved",
    Base.metadata,
    sa.Column("book_id", sa.ForeignKey("book.id"), primary_key=True),
    sa.Column("shelf_id", sa.ForeignKey("shelf.id"), primary_key=True),
)


class Shelf(Base):
    __tablename__ = "shelf"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)


class Book(Base):
    __tablename__ = "book"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str]
    chapters: orm.Mapped[list[Chapter]] = orm.relationship(cascade="all, delete-orphan")
    loans: orm.Mapped[list[Loan]] = orm.relationship()
    shelves: orm.Mapped[list[Shelf]] = orm.relationship(secondary=shelved)


class Chapter(Base):
    __tablename__ = "chapter"
    book_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("book.id"), primary_key=True)
    place: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    notes: orm.Mapped[list[Note]] = orm.relationship(cascade="all")


class Note(Base):
    __tablename__ = "note"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    book_id: orm.Mapped[int]
    place: orm.Mapped[int]
    __table_args__ = (
        sa.ForeignKeyConstraint(["book_id", "place"], ["chapter.book_id", "chapter.place"]),
    )


class Loan(Base):
    __tablename__ = "loan"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    book_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("book.id"))
    version: orm.Mapped[int] = orm.mapped_column()
    __mapper_args__ = {"version_id_col": version}


class Page(Base):
    __tablename__ = "page"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    book_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("book.id", ondelete="CASCADE"))


@pytest.fixture
def session(database_url):
    engine = sa.create_engine(database_url)
    database.listen(engine)
    Base.metadata.create_all(engine)
    OwnBase.metadata.create_all(engine)
    with orm.Session(engine) as session:
        yield session


def fill(session, books):
    shelf = Shelf(id=1)
    for n in range(1, books + 1):
        chapters = [Chapter(place=p, notes=[Note()]) for p in (1, 2)]
        book = Book(id=n, title=f"Book {n}", chapters=chapters, loans=[Loan()], shelves=[shelf])
        session.add(book)
    session.flush()
    session.add_all(Page(book_id=n) for n in range(1, books + 1))
    session.commit()


def remove(session, count, *, by_plan):
    books = session.scalars(sa.select(Book).where(Book.id <= count)).all()
    mapper = inspection.mapper_of(Book)
    with change_set(session, source="test", mapper=mapper, is_recorded=True) as changes:
        plan = delete_plan(session, mapper, [(book.id,) for book in books])
        is_possible = planned_delete.is_possible(session, plan)
        if by_plan:
            changes.delete_planned(books, plan)
        else:
            changes.delete(*books)
    return is_possible, books


def told(session):
    """The history, and how many rows of each table are left."""
    records = session.scalars(sa.select(RowChangeRecord)).all()
    found = sorted((r.table_name, r.kind, str(r.new)) for r in records)
    left = {
        table.name: session.scalar(sa.select(sa.func.count()).select_from(table))
        for table in Base.metadata.sorted_tables
    }
    session.execute(sa.delete(RowChangeRecord))
    for table in reversed(Base.metadata.sorted_tables):
        session.execute(sa.delete(table))
    session.commit()
    return found, left


def test_it_does_and_records_what_the_unit_of_work_does(session):
    fill(session, 4)
    is_possible, books = remove(session, 3, by_plan=True)
    planned = told(session)
    assert is_possible
    assert books[0].title == "Book 1"
    assert planned[1] == {"shelf": 1, "shelved": 1, "book": 1, "chapter": 2, "note": 2} | {
        "loan": 4,
        "page": 1,
    }
    fill(session, 4)
    remove(session, 3, by_plan=False)
    assert told(session) == planned


def test_a_thousand_rows_take_few_statements(session, statements):
    fill(session, 150)
    with statements(session.get_bind()) as seen:
        remove(session, 150, by_plan=True)
    # Some 1,200 rows of seven tables: found, read, deleted, read again and written down.
    assert len(seen) < 40
    assert session.scalar(sa.select(sa.func.count()).select_from(Note)) == 0


def test_where_something_listens_to_deletes_each_row_goes_by_itself(session):
    fill(session, 2)
    heard = []

    def hear(mapper, connection, target):
        heard.append(target.place)

    event.listen(Chapter, "before_delete", hear)
    try:
        is_possible, _ = remove(session, 2, by_plan=True)
    finally:
        event.remove(Chapter, "before_delete", hear)
    assert (is_possible, len(heard)) == (False, 4)
    assert session.scalar(sa.select(sa.func.count()).select_from(Chapter)) == 0


class Other(orm.DeclarativeBase):
    pass


class Node(Other):
    """A row that points at another, of which the mapping does not know."""

    __tablename__ = "node"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    other_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("node.id"))


def test_rows_that_point_at_each_other_without_a_relationship_go_together(session):
    Other.metadata.create_all(session.connection())
    session.execute(sa.insert(Node), [{"id": n, "other_id": n - 1 or None} for n in (1, 2, 3)])
    session.execute(sa.update(Node).where(Node.id == 1).values(other_id=3))
    session.commit()
    mapper = inspection.mapper_of(Node)
    with change_set(session, source="test", mapper=mapper, is_recorded=True) as changes:
        nodes = session.scalars(sa.select(Node)).all()
        changes.delete_planned(nodes, delete_plan(session, mapper, [(1,), (2,), (3,)]))
    assert session.scalar(sa.select(sa.func.count()).select_from(Node)) == 0
    assert session.scalar(sa.select(sa.func.count()).select_from(RowChangeRecord)) == 3
