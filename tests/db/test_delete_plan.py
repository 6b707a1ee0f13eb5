"""The plan of a delete tells what the delete then does, whichever rules decide it."""

from __future__ import annotations

import itertools

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app.changes.capture import Recorder
from admin_app.changes.delete_plan import delete_plan
from admin_app.database import engine_options, listen, normalise_url

RULES = (None, "CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION")
MAPPINGS = [
    ("save-update, merge", False),
    ("save-update, merge", True),
    ("save-update, merge", "all"),
    ("all", False),
    ("all", True),
    ("all, delete-orphan", False),
    ("all, delete-orphan", True),
]


def connect(url, metadata):
    url = normalise_url(url)
    engine = sa.create_engine(url, **engine_options(url))
    listen(engine)
    metadata.create_all(engine)
    return engine


def planned(session, model, *identities):
    """What the plan says: every row with its fate, or that it is blocked."""
    plan = delete_plan(session, sa.inspect(model), identities)
    if plan.is_blocked:
        return "blocked"
    kinds = {"deleted": "delete", "unlinked": "delete", "emptied": "update", "reset": "update"}
    return {(kinds[e.fate], e.table.name, key) for e in plan.effects for key in e.keys}


def done(session, model, *identities):
    """What the delete does to every table; it is rolled back."""
    recorder = Recorder(session)
    recorder.listen_to(session.connection())
    try:
        for instance in [session.get_one(model, identity) for identity in identities]:
            session.delete(instance)
        session.flush()
        return {(c.kind, c.table.name, c.key) for c in recorder.finish()}
    except (sa.exc.IntegrityError, sa.exc.InvalidRequestError, AssertionError):
        return "blocked"
    finally:
        recorder.close()
        session.rollback()


EVERY = sa.MetaData()


def tables(name, rule, nullable):
    """Two tables, one pointing at the other by ``rule``."""
    default = {"server_default": "9"} if rule == "SET DEFAULT" else {}
    parent = sa.Table(f"p_{name}", EVERY, sa.Column("id", sa.Integer, primary_key=True))
    return parent, sa.Table(
        f"c_{name}",
        EVERY,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "parent_id", sa.ForeignKey(parent.c.id, ondelete=rule), nullable=nullable, **default
        ),
    )


TABLES = {
    given: tables(number, *given)
    for number, given in enumerate(itertools.product(RULES, (True, False)))
}


def mapped(parent, child, cascade, passive):
    """A class over ``parent`` whose members are of a class over ``child``."""
    registry = orm.registry(metadata=EVERY)
    registry.map_imperatively(many := type("Child", (), {}), child)
    members = orm.relationship(many, cascade=cascade, passive_deletes=passive, overlaps="many")
    registry.map_imperatively(one := type("Parent", (), {}), parent, properties={"many": members})
    return one


def test_the_plan_is_what_then_happens_under_every_combination_of_rules(database_url):
    engine = connect(database_url, EVERY)
    with engine.begin() as connection:
        for parent, child in TABLES.values():
            connection.execute(sa.insert(parent), [{"id": 1}, {"id": 9}])
            connection.execute(sa.insert(child), {"id": 5, "parent_id": 1})
    found = []
    with orm.Session(engine) as session:
        for (given, pair), mapping in itertools.product(TABLES.items(), MAPPINGS):
            model = mapped(*pair, *mapping)
            found.append((*given, *mapping, planned(session, model, (1,)), done(session, model, 1)))
    assert [f for f in found if f[-1] != f[-2]] == []
    assert {len(f[-1]) for f in found} == {len("blocked"), 2}


class Base(orm.DeclarativeBase):
    pass


def key(**options):
    return orm.mapped_column(primary_key=True, **options)


def refer(to, ondelete=None, **options):
    return orm.mapped_column(sa.ForeignKey(to, ondelete=ondelete), **options)


marks = sa.Table(
    "mark",
    Base.metadata,
    sa.Column("book_id", sa.ForeignKey("book.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True),
)
loans = sa.Table(
    "loan",
    Base.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("book_id", sa.ForeignKey("book.id"), nullable=False),
)


class Author(Base):
    __tablename__ = "author"
    id: orm.Mapped[int] = key()
    name: orm.Mapped[str]
    editor_id: orm.Mapped[int | None] = refer("author.id")
    edits: orm.Mapped[list[Author]] = orm.relationship()
    books: orm.Mapped[list[Book]] = orm.relationship(
        back_populates="author", cascade="all, delete-orphan"
    )
    prizes: orm.DynamicMapped[Prize] = orm.relationship(cascade="all")
    shelf: orm.Mapped[list[Book]] = orm.relationship(viewonly=True)


class Prize(Base):
    __tablename__ = "prize"
    id: orm.Mapped[int] = key()
    author_id: orm.Mapped[int] = refer("author.id")


class Tag(Base):
    __tablename__ = "tag"
    id: orm.Mapped[int] = key()
    books: orm.Mapped[list[Book]] = orm.relationship(
        secondary=marks, back_populates="tags", passive_deletes=True
    )


class Book(Base):
    __tablename__ = "book"
    id: orm.Mapped[int] = key()
    kind: orm.Mapped[str] = orm.mapped_column(default="book")
    author_id: orm.Mapped[int | None] = refer("author.id")
    sequel_id: orm.Mapped[int | None] = refer("book.id", "SET NULL")
    author: orm.Mapped[Author | None] = orm.relationship(back_populates="books")
    tags: orm.Mapped[list[Tag]] = orm.relationship(secondary=marks, back_populates="books")
    reviews: orm.Mapped[list[Review]] = orm.relationship(passive_deletes=True)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "book"}


class Atlas(Book):
    __tablename__ = "atlas"
    id: orm.Mapped[int] = refer("book.id", primary_key=True)
    maps: orm.Mapped[list[Map]] = orm.relationship(cascade="all")
    __mapper_args__ = {"polymorphic_identity": "atlas"}


class Map(Base):
    __tablename__ = "map"
    id: orm.Mapped[int] = key()
    atlas_id: orm.Mapped[int | None] = refer("atlas.id")


class Review(Base):
    __tablename__ = "review"
    id: orm.Mapped[int] = key()
    book_id: orm.Mapped[int] = refer("book.id", "CASCADE")
    answer_id: orm.Mapped[int | None] = refer("review.id", "CASCADE")


@pytest.fixture
def engine(database_url):
    engine = connect(database_url, Base.metadata)
    with orm.Session(engine) as session:
        ann = Author(id=1, name="Ann", books=[Book(id=1), Atlas(id=2, maps=[Map(id=1)])])
        ann.prizes.add(Prize(id=1))
        ann.books[0].tags = [Tag(id=1), Tag(id=2)]
        session.add_all([ann, Author(id=2, name="Bea", editor_id=1)])
        session.flush()
        session.add_all([Review(id=1, book_id=2), Book(id=3, sequel_id=1)])
        session.flush()
        session.add(Review(id=2, book_id=3, answer_id=1))
        session.flush()
        session.get(Review, 1).answer_id = 2
        session.commit()
    return engine


def facts(plan):
    """What the plan says, as (fate, cause, table, number of rows)."""
    return {(e.fate, e.cause, e.table.name, e.count) for e in plan.effects}


def test_all_hops_are_followed_and_the_rules_told_apart(engine):
    with orm.Session(engine) as session:
        plan = delete_plan(session, sa.inspect(Author), [(1,)])
        assert facts(plan) == {
            ("deleted", "chosen", "author", 1),
            ("deleted", "mapping", "book", 1),
            ("deleted", "mapping", "map", 1),
            ("deleted", "mapping", "prize", 1),
            ("unlinked", "mapping", "mark", 2),
            ("emptied", "mapping", "author", 1),
            ("emptied", "database", "book", 1),
            ("deleted", "database", "review", 2),
        }


def test_the_plan_of_many_hops_is_what_then_happens(engine):
    with orm.Session(engine) as session:
        for model, key in [(Author, 1), (Book, 2), (Book, 1), (Tag, 1), (Review, 1)]:
            foreseen = planned(session, model, (key,))
            real = done(session, model, key)
            # The part of a joined row in a further table goes with the row that the plan names.
            assert real - {("delete", "atlas", (2,))} == foreseen != "blocked"


def test_rows_that_are_deleted_themselves_do_not_block(engine):
    with orm.Session(engine) as session:
        session.execute(sa.insert(loans), {"id": 1, "book_id": 1})
        [blocker] = delete_plan(session, sa.inspect(Author), [(1,)]).blockers
        assert (blocker.table, blocker.mapper, blocker.reason) == (loans, None, "rule")
        assert blocker.keys == {(1,): (1,)}
        session.execute(sa.delete(loans))
        assert not delete_plan(session, sa.inspect(Author), [(1,), (2,)]).is_blocked


def test_a_select_chooses_rows_as_their_keys_do(engine):
    with orm.Session(engine) as session:
        chosen = sa.select(Author).where(Author.name == "Ann").order_by(Author.name)
        plan = delete_plan(session, sa.inspect(Author), chosen)
        assert facts(plan) == facts(delete_plan(session, sa.inspect(Author), [(1,)]))


def test_a_plan_costs_as_many_statements_for_many_rows_as_for_few(engine, statements):
    costs = []
    with orm.Session(engine) as session:
        for ids in (range(10, 12), range(20, 520)):
            session.execute(sa.insert(Author), [{"id": i, "name": "X"} for i in ids])
            session.execute(sa.insert(Book), [{"id": i, "author_id": i} for i in ids])
            with statements(engine) as seen:
                plan = delete_plan(session, sa.inspect(Author), [(i,) for i in ids])
            assert [e.count for e in plan.effects] == [len(ids)] * 2
            costs.append(len(seen))
    assert costs[0] == costs[1] < 30


def test_a_plan_ends_where_too_much_is_touched(engine):
    with orm.Session(engine) as session:
        session.execute(sa.insert(Book), [{"id": i, "author_id": 1} for i in range(10, 70)])
        plan = delete_plan(session, sa.inspect(Author), [(1,)], limit=50)
        assert plan.is_cut
        assert sum(e.count for e in plan.effects) <= 50


class Odd(orm.DeclarativeBase):
    pass


class Owner(Odd):
    __tablename__ = "owner"
    id: orm.Mapped[int] = key()
    keys: orm.Mapped[list[Part]] = orm.relationship()
    log: orm.WriteOnlyMapped[Entry] = orm.relationship()
    bills: orm.Mapped[list[Bill]] = orm.relationship()


class Part(Odd):
    __tablename__ = "part"
    owner_id: orm.Mapped[int] = refer("owner.id", "CASCADE", primary_key=True)
    number: orm.Mapped[int] = key()


class Entry(Odd):
    __tablename__ = "entry"
    id: orm.Mapped[int] = key()
    owner_id: orm.Mapped[int | None] = refer("owner.id", "CASCADE")


class Bill(Odd):
    __tablename__ = "bill"
    id: orm.Mapped[int] = key()
    owner_id: orm.Mapped[int] = refer("owner.id")


class Pet(Odd):
    __tablename__ = "pet"
    id: orm.Mapped[int] = key()
    owner_id: orm.Mapped[int | None] = refer("owner.id", "SET DEFAULT", server_default="77")


def test_what_blocks_is_told_once_with_its_reason(database_url):
    with orm.Session(connect(database_url, Odd.metadata)) as session:
        session.add(Owner(id=1))
        session.flush()
        session.add_all([Part(owner_id=1, number=1), Entry(owner_id=1), Pet(owner_id=1)])
        session.add(Bill(owner_id=1))
        session.commit()
        plan = delete_plan(session, sa.inspect(Owner), [(1,)])
        assert sorted((b.table.name, b.cause, b.reason) for b in plan.blockers) == [
            ("bill", "mapping", "not null"),
            ("entry", "mapping", "unknown"),
            ("part", "mapping", "key"),
            ("pet", "database", "default"),
        ]
        assert done(session, Owner, 1) == "blocked"
