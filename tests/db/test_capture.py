"""What a change set records, of every table that one transaction touches."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql, sqlite

from admin_app import changes, database
from admin_app.changes import capture, undoing
from admin_app.changes.audit import ChangeSetRecord, RowChangeRecord
from admin_app.database import engine_options, listen, normalise_url
from admin_app.errors import WriteRefused
from admin_app.policy import Principal


class Base(orm.DeclarativeBase):
    pass


membership = sa.Table(
    "membership",
    Base.metadata,
    sa.Column("author_id", sa.ForeignKey("author.id"), nullable=False),
    sa.Column("club_id", sa.ForeignKey("club.id"), nullable=False),
)


class Club(Base):
    __tablename__ = "club"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Author(Base):
    __tablename__ = "author"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    password: orm.Mapped[str | None]
    score: orm.Mapped[int] = orm.mapped_column(server_default="7")
    books: orm.Mapped[list[Book]] = orm.relationship(
        back_populates="author", cascade="all, delete-orphan"
    )
    notes: orm.Mapped[list[Note]] = orm.relationship(passive_deletes=True)
    clubs: orm.Mapped[list[Club]] = orm.relationship(secondary=membership)

    def __str__(self) -> str:
        return self.name


class Book(Base):
    __tablename__ = "book"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str]
    price: orm.Mapped[decimal.Decimal | None] = orm.mapped_column(sa.Numeric(12, 4))
    author_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("author.id"))
    author: orm.Mapped[Author | None] = orm.relationship(back_populates="books")
    reviews: orm.Mapped[list[Review]] = orm.relationship(passive_deletes=True)


class Review(Base):
    __tablename__ = "review"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    text: orm.Mapped[str]
    book_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("book.id", ondelete="CASCADE"))


class Note(Base):
    __tablename__ = "note"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    author_id: orm.Mapped[int | None] = orm.mapped_column(
        sa.ForeignKey("author.id", ondelete="SET NULL")
    )


class Everything(Base):
    __tablename__ = "everything"
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(sa.Uuid, primary_key=True)
    moment: orm.Mapped[dt.datetime] = orm.mapped_column(sa.DateTime(timezone=True))
    content: orm.Mapped[bytes]
    ratio: orm.Mapped[float] = orm.mapped_column(sa.Double())
    document: orm.Mapped[object] = orm.mapped_column(sa.JSON)


class Animal(Base):
    __tablename__ = "animal"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str]
    name: orm.Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}


class Dog(Animal):
    __tablename__ = "dog"
    id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("animal.id"), primary_key=True)
    trick: orm.Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "dog"}


database.attach(Base.metadata)
ANN = Principal("ann", "Ann", True)


@pytest.fixture
def engine(database_url):
    url = normalise_url(database_url)
    engine = sa.create_engine(url, **engine_options(url))
    listen(engine)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        ann = Author(name="Ann", password="x", clubs=[Club(name="A"), Club(name="B")])
        ann.books = [Book(title="One", price=decimal.Decimal("1.5000")), Book(title="Two")]
        ann.notes = [Note()]
        session.add(ann)
        session.flush()
        session.add_all([Review(text="fine", book_id=1), Review(text="bad", book_id=1)])
        session.commit()
    return engine


def recorded(engine):
    """The last change set, as (kind, table, key, old, new)."""
    with orm.Session(engine) as session:
        last = session.scalars(sa.select(ChangeSetRecord).order_by(-ChangeSetRecord.id)).first()
        return last and [(r.kind, r.table_name, json.loads(r.key), r.old, r.new) for r in last.rows]


def change(engine, write, model=Author, **options):
    with orm.Session(engine) as session:
        mapper = sa.inspect(model)
        with changes.change_set(
            session, ANN, "edit", mapper=mapper, is_recorded=True, **options
        ) as change_set:
            write(change_set)
        return change_set


def test_an_update_records_only_what_differs_and_what_the_database_held(engine):
    def write(change_set):
        author = change_set.session.get(Author, 1)
        with engine.connect() as other:
            assert other.scalar(sa.text("SELECT name FROM author")) == "Ann"
        author.name = "Anne"
        change_set.change(author)

    change(engine, write)
    assert recorded(engine) == [("update", "author", [1], {"name": "Ann"}, {"name": "Anne"})]


def test_old_values_are_the_databases_when_the_session_has_forgotten_them(engine):
    with orm.Session(engine, expire_on_commit=True) as session:
        author = session.get(Author, 1)
        session.commit()
        with changes.change_set(session, ANN, "edit", is_recorded=True) as change_set:
            author.name = "Anne"
            change_set.change(author)
    assert recorded(engine) == [("update", "author", [1], {"name": "Ann"}, {"name": "Anne"})]


def test_of_a_row_in_joined_tables_only_what_differs_is_recorded(engine):
    with orm.Session(engine) as session:
        session.add(Dog(id=1, name="Rex", trick="sit"))
        session.commit()

    def write(change_set):
        dog = change_set.session.scalars(sa.select(Dog)).one()
        dog.name = "Max"
        change_set.change(dog)

    change(engine, write, Dog)
    assert recorded(engine) == [("update", "animal", [1], {"name": "Rex"}, {"name": "Max"})]


def test_several_flushes_of_one_row_are_one_change(engine):
    def write(change_set):
        author = change_set.session.get(Author, 1)
        for name in ("B", "C", "D"):
            author.name = name
            change_set.session.flush()

    change(engine, write)
    assert recorded(engine) == [("update", "author", [1], {"name": "Ann"}, {"name": "D"})]


def test_what_is_undone_within_the_transaction_is_no_change(engine):
    def write(change_set):
        author = change_set.session.get(Author, 1)
        author.name = "B"
        change_set.session.flush()
        author.name = "Ann"

    change(engine, write)
    assert recorded(engine) is None


def test_a_new_row_is_recorded_with_what_the_database_made(engine):
    change(engine, lambda c: c.add(Author(name="Bea")))
    [(kind, table, key, old, new)] = recorded(engine)
    assert (kind, table, old) == ("insert", "author", None)
    assert new == {"id": key[0], "name": "Bea", "password": None, "score": 7}


def test_many_new_rows_are_recorded_with_their_keys(engine):
    def write(change_set):
        change_set.session.add_all([Author(name=f"A{n}") for n in range(7)])

    change(engine, write)
    assert sorted(new["name"] for *_, new in recorded(engine)) == [f"A{n}" for n in range(7)]


def test_a_row_made_and_gone_in_one_transaction_leaves_no_trace(engine):
    def write(change_set):
        author = Author(name="Bea")
        change_set.add(author)
        change_set.delete(author)

    change(engine, write)
    assert recorded(engine) is None


def test_a_delete_records_cascades_of_the_mapping_and_of_the_database(engine):
    change(engine, lambda c: c.delete(c.session.get(Author, 1)))
    found = {(kind, table, tuple(key)) for kind, table, key, *_ in recorded(engine)}
    assert found == {
        ("delete", "author", (1,)),
        ("delete", "book", (1,)),
        ("delete", "book", (2,)),
        ("delete", "review", (1,)),
        ("delete", "review", (2,)),
        ("update", "note", (1,)),
        ("delete", "membership", (1, 1)),
        ("delete", "membership", (1, 2)),
    }


def test_members_of_a_many_to_many_relation_are_recorded(engine):
    def write(change_set):
        author = change_set.session.get(Author, 1)
        author.clubs = [author.clubs[1], Club(name="C")]
        change_set.change(author)

    change(engine, write)
    found = {(kind, table, tuple(key)) for kind, table, key, *_ in recorded(engine)}
    assert found == {
        ("insert", "club", (3,)),
        ("delete", "membership", (1, 1)),
        ("insert", "membership", (1, 3)),
    }


def test_orphans_are_recorded(engine):
    def write(change_set):
        author = change_set.session.get(Author, 1)
        author.books = author.books[:1]
        change_set.change(author)

    change(engine, write)
    assert [(kind, table, key) for kind, table, key, *_ in recorded(engine)] == [
        ("delete", "book", [2])
    ]


@pytest.mark.parametrize(
    "statement",
    [
        sa.update(Book).where(Book.title == sa.bindparam("t")).values(price=3),
        sa.update(Book.__table__).where(Book.title == sa.bindparam("t")).values(price=3),
    ],
)
def test_bulk_statements_of_a_hook_are_recorded(engine, statement):
    change(engine, lambda c: c.session.execute(statement, {"t": "One"}))
    [(kind, table, key, old, new)] = recorded(engine)
    assert (kind, table, key) == ("update", "book", [1])
    assert decimal.Decimal(str(old["price"])) == decimal.Decimal("1.5")
    assert decimal.Decimal(str(new["price"])) == 3


def test_bulk_deletes_are_recorded_with_what_the_database_deletes(engine):
    change(engine, lambda c: c.session.execute(sa.delete(Book).where(Book.id < 2)))
    assert sorted((kind, table) for kind, table, *_ in recorded(engine)) == [
        ("delete", "book"),
        ("delete", "review"),
        ("delete", "review"),
    ]


def test_secrets_are_kept_as_a_digest_alone(engine):
    def write(change_set):
        author = change_set.session.get(Author, 1)
        author.password = "swordfish"
        change_set.change(author)

    change(engine, write)
    [(*_, old, new)] = recorded(engine)
    assert set(old["password"]) == set(new["password"]) == {"secret"}
    assert old != new
    assert "swordfish" not in json.dumps(new)


def test_every_kind_of_value_is_recorded_as_it_is_stored(engine):
    key, moment = uuid.uuid4(), dt.datetime(2026, 3, 29, 1, 30, 0, 7, dt.UTC)
    row = Everything(
        id=key, moment=moment, content=b"\0\xff", ratio=0.1, document={"b": 1, "a": []}
    )
    change(engine, lambda c: c.add(row), Everything)
    [(_, _, _, _, new)] = recorded(engine)
    assert new["content"] == {"bytes": "AP8="}
    assert float(new["ratio"]) == 0.1
    assert json.loads(new["document"]) == {"b": 1, "a": []}
    assert new["moment"].startswith("2026-03-29 01:30:00.000007")


def test_what_is_refused_leaves_neither_rows_nor_history(engine):
    with pytest.raises(WriteRefused):
        change(engine, lambda c: c.add(Author(id=1, name="Twin")))
    assert recorded(engine) is None


def test_nothing_is_saved_when_the_history_cannot_be_written(engine):
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE admin_row_change"))
    with pytest.raises(Exception, match="admin_row_change"):
        change(engine, lambda c: c.add(Author(name="Bea")))
    with orm.Session(engine) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Author)) == 1


def test_who_changed_what_and_why_is_kept(engine):
    made = change(engine, lambda c: c.add(Author(name="Bea")), reason="asked by phone")
    with orm.Session(engine) as session:
        kept = session.get(ChangeSetRecord, made.id)
        assert (kept.actor_id, kept.actor, kept.source) == ("ann", "Ann", "edit")
        assert (kept.model, kept.label, kept.row_count) == ("author", "Bea", 1)
        assert kept.reason == "asked by phone"


def test_what_a_session_did_before_the_change_set_does_not_hide_what_it_does_in_it(engine):
    with orm.Session(engine) as session:
        session.get(Author, 1)
        with changes.change_set(session, ANN, "edit", is_recorded=True):
            session.execute(sa.update(Club).values(name="Z"))
    assert [table for _, table, *_ in recorded(engine)] == ["club", "club"]


def test_a_session_is_not_listened_to_after_its_change_set(engine):
    with orm.Session(engine) as session:
        with changes.change_set(session, ANN, "edit", is_recorded=True) as change_set:
            change_set.add(Author(name="Bea"))
        session.add(Author(name="Cleo"))
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(ChangeSetRecord)) == 1


def test_a_thousand_updated_rows_cost_few_statements(engine, statements):
    with orm.Session(engine) as session:
        session.add_all([Club(name=f"C{n}") for n in range(1000)])
        session.commit()

    def write(change_set):
        for club in change_set.session.scalars(sa.select(Club)):
            club.name += "!"

    with statements(engine) as seen:
        change(engine, write, Club)
    assert len(recorded(engine)) == 1002
    assert len(seen) <= 10


class OwnKey(sa.types.TypeDecorator):
    """A UUID in PostgreSQL, and bytes elsewhere."""

    impl = sa.LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect):
        is_native = dialect.name == "postgresql"
        return dialect.type_descriptor(sa.Uuid() if is_native else sa.LargeBinary(16))

    def process_bind_param(self, value, dialect):
        return value if dialect.name == "postgresql" else value.bytes

    def process_result_value(self, value, dialect):
        return value if dialect.name == "postgresql" else uuid.UUID(bytes=value)


class Odd(orm.DeclarativeBase):
    metadata = sa.MetaData()


class Thing(Odd):
    __tablename__ = "thing"
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(OwnKey, primary_key=True)
    part: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Drifted(Odd):
    __tablename__ = "drifted"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    at: orm.Mapped[dt.datetime | None] = orm.mapped_column(sa.DateTime(timezone=True))
    name: orm.Mapped[str | None]


class Versioned(Odd):
    __tablename__ = "versioned"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    version: orm.Mapped[int] = orm.mapped_column()
    __mapper_args__ = {"version_id_col": version}


def test_keys_are_found_whatever_the_database_makes_of_their_type(engine):
    Odd.metadata.create_all(engine)
    keys = [uuid.UUID(int=n) for n in range(3)]
    change(engine, lambda c: c.session.add_all([Thing(id=k, part=1, name="a") for k in keys]))
    assert len(recorded(engine)) == 3

    def write(change_set):
        for thing in change_set.session.scalars(sa.select(Thing)):
            thing.name = "b"

    change(engine, write, Thing)
    assert [(kind, old, new) for kind, _, _, old, new in recorded(engine)] == 3 * [
        ("update", {"name": "a"}, {"name": "b"})
    ]


def test_a_column_of_another_type_than_the_mapping_says_is_recorded_as_text(engine):
    with engine.begin() as connection:
        connection.execute(
            sa.text("CREATE TABLE drifted (id INTEGER PRIMARY KEY, at TEXT, name TEXT)")
        )
        connection.execute(sa.text("INSERT INTO drifted VALUES (1, 'noon', 'a')"))
    change(engine, lambda c: c.session.execute(sa.update(Drifted).values(name="b")), Drifted)
    assert recorded(engine) == [("update", "drifted", [1], {"name": "a"}, {"name": "b"})]


@pytest.mark.postgresql
def test_a_view_whose_rows_cannot_be_locked_is_recorded(postgresql_url):
    engine = sa.create_engine(normalise_url(postgresql_url))
    database.Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE source (id INTEGER PRIMARY KEY, name TEXT)"))
        connection.execute(sa.text("INSERT INTO source VALUES (1, 'a')"))
        connection.execute(
            sa.text(
                "CREATE VIEW drifted AS SELECT id, max(name) AS name, NULL AS at "
                "FROM source GROUP BY id"
            )
        )
        connection.execute(
            sa.text(
                "CREATE RULE r AS ON UPDATE TO drifted DO INSTEAD UPDATE source SET name = NEW.name"
            )
        )
    change(engine, lambda c: c.session.execute(sa.update(Drifted).values(name="b")), Drifted)
    assert recorded(engine) == [("update", "drifted", [1], {"name": "a"}, {"name": "b"})]


def test_many_changed_rows_of_a_flush_are_read_at_once(engine, statements):
    """Versions make the unit of work write row by row; the history reads them together."""
    Odd.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Versioned(name="a") for _ in range(20)])
        session.commit()

    def write(change_set):
        for row in change_set.session.scalars(sa.select(Versioned)):
            row.name = "b"
        change_set.session.add(Versioned(name="new"))

    with statements(engine) as seen:
        change(engine, write, Versioned)
    assert len(recorded(engine)) == 21
    assert len([s for s in seen if s.startswith("SELECT") and "FROM versioned" in s]) == 4


def test_a_row_that_gets_another_key_is_recorded_under_both(engine):
    change(engine, lambda c: setattr(c.session.get(Review, 1), "id", 9), Review)
    found = [(kind, table, key) for kind, table, key, *_ in recorded(engine)]
    assert ("delete", "review", [1]) in found
    assert ("insert", "review", [9]) in found


class Place(Odd):
    __tablename__ = "place"
    code: orm.Mapped[str] = orm.mapped_column(primary_key=True)


class Visit(Odd):
    __tablename__ = "visit"
    place: orm.Mapped[str] = orm.mapped_column(
        sa.ForeignKey("place.code", onupdate="CASCADE"), primary_key=True
    )
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True)


KEYLESS = sa.Table("keyless", Odd.metadata, sa.Column("a", sa.Integer), sa.Column("b", sa.Text))


def rows_of(engine):
    return {(kind, table, tuple(key)) for kind, table, key, *_ in recorded(engine)}


@pytest.mark.parametrize(
    "rekey",
    [
        lambda session: setattr(session.get(Place, "x"), "code", "xx"),
        lambda session: session.execute(sa.update(Place).values(code=Place.code + Place.code)),
    ],
    ids=["flush", "statement"],
)
def test_rows_whose_key_the_database_changes_along_are_recorded_under_both(engine, rekey):
    Odd.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Place(code="x"), Visit(place="x", number=1)])
        session.commit()

    def write(change_set):
        change_set.session.add(Visit(place="x", number=2))
        change_set.session.flush()
        rekey(change_set.session)

    change(engine, write, Place)
    assert rows_of(engine) == {
        ("delete", "place", ("x",)),
        ("insert", "place", ("xx",)),
        ("delete", "visit", ("x", 1)),
        ("insert", "visit", ("xx", 1)),
        ("insert", "visit", ("xx", 2)),
    }


def test_rows_of_a_table_without_a_key_are_recorded_as_they_were_and_are(engine):
    Odd.metadata.create_all(engine)
    change(engine, lambda c: c.session.execute(sa.insert(KEYLESS).values(a=1, b="x")))
    assert rows_of(engine) == {("insert", "keyless", (1, "x"))}
    change(engine, lambda c: c.session.execute(sa.update(KEYLESS).values(b=KEYLESS.c.b + "y")))
    assert rows_of(engine) == {("delete", "keyless", (1, "x")), ("insert", "keyless", (1, "xy"))}


class Ticket(Odd):
    __tablename__ = "ticket"
    token: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str | None]


class Stub(Odd):
    __tablename__ = "stub"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    ticket: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("ticket.token", ondelete="CASCADE"))


def test_rows_known_by_a_secret_are_recorded_and_undone_without_telling_it(engine):
    Odd.metadata.create_all(engine)
    change(engine, lambda c: c.add(Ticket(token="swordfish", name="a")), Ticket)
    change(engine, lambda c: c.add(Stub(id=1, ticket="swordfish")), Ticket)
    renamed = change(engine, lambda c: setattr(c.session.get(Ticket, "swordfish"), "name", "b"))
    with orm.Session(engine) as session:
        records = session.get(ChangeSetRecord, renamed.id).rows
        with changes.change_set(session, ANN, "undo", is_recorded=True) as change_set:
            undoing.apply(change_set, undoing.plan(session, records, Odd.metadata.tables))
    with orm.Session(engine) as session:
        assert session.get(Ticket, "swordfish").name == "a"
    change(engine, lambda c: c.delete(c.session.get(Ticket, "swordfish")), Ticket)
    assert [(kind, table) for kind, table, *_ in recorded(engine)] == [
        ("delete", "ticket"),
        ("delete", "stub"),
    ]
    with engine.connect() as connection:
        kept = connection.execute(sa.select(RowChangeRecord.__table__)).all()
    assert "swordfish" not in repr(kept)


class Tag(Odd):
    __tablename__ = "tag"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)


TWO = [{"name": "two"}, {"name": "three"}]
INSERTS = {
    "of one row": sa.insert(Tag).values(name="two"),
    "of several rows": sa.insert(Tag).values(TWO),
    "of the table": sa.insert(Tag.__table__).values(TWO),
    "returning something": sa.insert(Tag.__table__).values(TWO).returning(Tag.name),
    "from a select": sa.insert(Tag).from_select(["name"], sa.select(Tag.name + "!")),
}


@pytest.mark.parametrize("name", INSERTS)
def test_rows_are_recorded_by_whatever_statement_they_are_inserted(engine, name):
    Odd.metadata.create_all(engine)
    change(engine, lambda c: c.add(Tag(name="one")), Tag)
    change(engine, lambda c: c.session.execute(INSERTS[name]), Tag)
    expected = {"of one row": ["two"], "from a select": ["one!"]}.get(name, ["three", "two"])
    assert sorted(new["name"] for *_, new in recorded(engine)) == expected


def test_many_rows_whose_keys_the_database_makes_are_recorded_and_counted(engine):
    Odd.metadata.create_all(engine)
    counts = []

    def write(change_set):
        connection = change_set.session.connection()
        counts.append(connection.execute(sa.insert(Tag.__table__), TWO).rowcount)
        change_set.session.bulk_insert_mappings(Tag, [{"name": "four"}, {"name": "five"}])

    change(engine, write, Tag)
    assert len(recorded(engine)) == 4
    assert counts == [2]


@pytest.mark.parametrize("is_changed", [True, False])
def test_of_rows_that_an_insert_met_is_recorded_what_became_of_them(engine, is_changed):
    """An undo would else delete a row that was there before."""
    Odd.metadata.create_all(engine)
    change(engine, lambda c: c.add(Tag(id=1, name="one")), Tag)
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[engine.dialect.name]
    statement = dialect.insert(Tag).values([{"id": 1, "name": "one"}, {"id": 7, "name": "two"}])
    if is_changed:
        statement = statement.on_conflict_do_update(index_elements=["id"], set_={"name": "ONE"})
    else:
        statement = statement.on_conflict_do_nothing()
    change(engine, lambda c: c.session.execute(statement), Tag)
    met = [("update", "tag", [1], {"name": "one"}, {"name": "ONE"})] if is_changed else []
    made = ("insert", "tag", [7], None, {"id": 7, "name": "two"})
    assert recorded(engine) == [*met, made]


def test_many_rows_are_put_aside_in_a_file(engine, monkeypatch):
    monkeypatch.setattr(capture, "IN_MEMORY", 1)

    def write(change_set):
        change_set.session.execute(sa.update(Author).values(password="y"))
        change_set.session.execute(sa.update(Book).values(title=Book.title + "!"))

    change(engine, write)
    *others, (*_, old, new) = recorded(engine)
    assert len(others) == 2
    assert (old, new) == ({"title": "Two"}, {"title": "Two!"})


AWKWARD = ["a\tb", "c\\d", "e\r\nf", "\\N", "\\.", "", "ö 🙂", "\"'", "\\t\\\\"]
"""Texts that mean something to the ways in which rows are sent to a database."""


def _write_clubs(names):
    def write(change_set):
        change_set.session.add_all(Club(name=name) for name in names)
        change_set.session.flush()

    return write


def test_many_rows_are_written_down_as_they_are(engine):
    names = [f"{AWKWARD[n % len(AWKWARD)]}{n if n % 2 else ''}" for n in range(150)]
    change(engine, _write_clubs(names), Club)
    assert [new["name"] for *_, new in recorded(engine)] == names
    with orm.Session(engine) as session:
        held = session.scalars(sa.select(Club.name).order_by(Club.id)).all()
    assert held[-150:] == names


def test_many_rows_that_cannot_be_written_down_are_not_changed(engine):
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE admin_row_change RENAME TO elsewhere"))
    with pytest.raises(sa.exc.DBAPIError):
        change(engine, _write_clubs(map(str, range(150))), Club)
    with orm.Session(engine) as session:
        assert session.scalar(sa.select(sa.func.count(Club.id))) == 2
