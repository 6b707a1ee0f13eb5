"""Any order of changes and undos, against a plain model of what the tables ought to hold.

A machine changes rows in every way that the admin knows: several at once in one change set, by the
unit of work and by statements, with what the mapping and what the database does along with them.
After each change set the tables hold what the model says, and the history, replayed from the
beginning, gives the same. In the end all is undone, the newest first, and everything is as it was.
"""

from __future__ import annotations

import copy
import json

import hypothesis
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import orm

from admin_app import changes, database
from admin_app.changes import images, undoing
from admin_app.changes.audit import ChangeSetRecord
from admin_app.database import engine_options, listen, normalise_url
from admin_app.errors import WriteRefused

EXAMPLES = hypothesis.settings(
    max_examples=12,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


class Base(orm.DeclarativeBase):
    pass


class Club(Base):
    __tablename__ = "club"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)


membership = sa.Table(
    "membership",
    Base.metadata,
    sa.Column("author_id", sa.ForeignKey("author.id"), primary_key=True),
    sa.Column(
        "club_id",
        sa.ForeignKey("club.id", ondelete="CASCADE", onupdate="CASCADE"),
        primary_key=True,
    ),
)


class Author(Base):
    __tablename__ = "author"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    name: orm.Mapped[str | None]
    mentor_id: orm.Mapped[int | None] = orm.mapped_column(
        sa.ForeignKey("author.id", ondelete="SET NULL")
    )
    books: orm.Mapped[list[Book]] = orm.relationship(
        back_populates="author", cascade="all, delete-orphan"
    )
    roles: orm.Mapped[list[Role]] = orm.relationship(cascade="all, delete-orphan")
    notes: orm.Mapped[list[Note]] = orm.relationship(passive_deletes=True)
    clubs: orm.Mapped[list[Club]] = orm.relationship(secondary=membership)


class Role(Base):
    __tablename__ = "role"
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("author.id"), primary_key=True)
    club_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("club.id", onupdate="CASCADE"), primary_key=True
    )
    title: orm.Mapped[str | None]


class Book(Base):
    __tablename__ = "book"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    name: orm.Mapped[str | None]
    author_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("author.id"))
    author: orm.Mapped[Author | None] = orm.relationship(back_populates="books")
    reviews: orm.Mapped[list[Review]] = orm.relationship(passive_deletes=True)


class Review(Base):
    __tablename__ = "review"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    book_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("book.id", ondelete="CASCADE"))


class Note(Base):
    __tablename__ = "note"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    author_id: orm.Mapped[int | None] = orm.mapped_column(
        sa.ForeignKey("author.id", ondelete="SET NULL")
    )


HOST = dict(Base.metadata.tables)
database.attach(Base.metadata)
TABLES = {name: table for name, table in Base.metadata.tables.items() if name in HOST}
CLASSES = {mapper.local_table.name: mapper.class_ for mapper in Base.registry.mappers}

RULES = [
    ("author", "mentor_id", "author", "empty"),
    ("book", "author_id", "author", "delete"),
    ("role", "author_id", "author", "delete"),
    ("note", "author_id", "author", "empty"),
    ("membership", "author_id", "author", "delete"),
    ("membership", "club_id", "club", "delete"),
    ("role", "club_id", "club", "refuse"),
    ("review", "book_id", "book", "delete"),
]
"""What becomes of the rows that point at one which is deleted, whoever sees to it."""


class Refused(Exception):
    """The model does not allow this."""


class Model:
    """What the tables ought to hold: by table and key the row, as a dictionary."""

    def __init__(self):
        self.rows = {name: {} for name in TABLES}

    def insert(self, table, **row):
        key = tuple(row[c.name] for c in TABLES[table].primary_key)
        self._check(table, key, row)
        self.rows[table][key] = row

    def update(self, table, key, **values):
        self._check(table, None, values, key)
        self.rows[table][key].update(values)

    def _check(self, table, key, row, own=None):
        names = {r["name"]: k for k, r in self.rows["club"].items()}
        if table == "club" and names.get(row["name"], own) != own or key in self.rows[table]:
            raise Refused

    def delete(self, table, key):
        if self.rows[table].pop(key, None) is None:
            return
        for child, column, parent, fate in RULES:
            if parent != table:
                continue
            pointing = [k for k, r in self.rows[child].items() if r[column] == key[0]]
            if pointing and fate == "refuse":
                raise Refused
            for each in pointing:
                if fate == "delete":
                    self.delete(child, each)
                else:
                    self.rows[child][each][column] = None

    def rekey(self, old, new):
        self.rows["club"][new,] = {**self.rows["club"].pop((old,)), "id": new}
        for child in ("membership", "role"):
            for author, _ in [key for key in self.rows[child] if key[1] == old]:
                row = self.rows[child].pop((author, old))
                self.rows[child][author, new] = {**row, "club_id": new}

    def key(self, table, number):
        """The key of one of the rows; None where there is none."""
        keys = sorted(self.rows[table])
        return keys[number % len(keys)] if keys else None

    def free(self, table):
        """The lowest number that no row of the table has: one that is gone comes again."""
        return next(n for n in range(1, 99) if (n,) not in self.rows[table])


class Ways:
    """Each way to change rows, done to the session and to the model alike."""

    def new_club(self, session, model, a, b, text):
        row = {"id": model.free("club"), "name": text}
        model.insert("club", **row)
        session.add(Club(**row))

    def new_author(self, session, model, a, b, text):
        mentor = model.key("author", a)
        row = {"id": model.free("author"), "name": text, "mentor_id": mentor and mentor[0]}
        model.insert("author", **row)
        session.add(Author(**row))

    def new_book(self, session, model, a, b, text):
        author = model.key("author", a)
        row = {"id": model.free("book"), "name": text, "author_id": author and author[0]}
        model.insert("book", **row)
        session.add(Book(**row))

    def new_children(self, session, model, a, b, text):
        book, author = model.key("book", a), model.key("author", b)
        note = {"id": model.free("note"), "author_id": author and author[0]}
        model.insert("note", **note)
        session.add(Note(**note))
        if book is not None:
            review = {"id": model.free("review"), "book_id": book[0]}
            model.insert("review", **review)
            session.execute(sa.insert(Review), [review])

    def edit(self, session, model, a, b, text):
        for table in ("author", "book", "club"):
            key = model.key(table, a)
            if key is not None and (b + len(table)) % 2:
                model.update(table, key, name=text)
                session.get(CLASSES[table], key).name = text

    def move(self, session, model, a, b, text):
        book, author = model.key("book", a), model.key("author", b)
        if book is not None and author is not None:
            model.update("book", book, author_id=author[0])
            session.get(Book, book).author = session.get(Author, author)

    def orphan(self, session, model, a, b, text):
        book = model.key("book", a)
        if book is not None and model.rows["book"][book]["author_id"]:
            author = session.get(Author, model.rows["book"][book]["author_id"])
            model.delete("book", book)
            author.books = [each for each in author.books if each.id != book[0]]

    def mentor(self, session, model, a, b, text):
        author, other = model.key("author", a), model.key("author", b)
        if author is not None:
            model.update("author", author, mentor_id=other[0])
            session.get(Author, author).mentor_id = other[0]

    def join(self, session, model, a, b, text):
        author, club = model.key("author", a), model.key("club", b)
        if author is not None and club is not None:
            instance = session.get(Author, author)
            if author + club in model.rows["membership"]:
                model.delete("membership", author + club)
                instance.clubs.remove(session.get(Club, club))
            else:
                model.insert("membership", author_id=author[0], club_id=club[0])
                instance.clubs.append(session.get(Club, club))

    def role(self, session, model, a, b, text):
        author, club = model.key("author", a), model.key("club", b)
        if author is not None and club is not None:
            instance = session.get(Author, author)
            row = {"author_id": author[0], "club_id": club[0], "title": text}
            if author + club in model.rows["role"]:
                model.delete("role", author + club)
                instance.roles = [r for r in instance.roles if r.club_id != club[0]]
            else:
                model.insert("role", **row)
                instance.roles.append(Role(**row))

    def delete(self, session, model, a, b, text):
        table = ("author", "book", "club", "note", "review")[b]
        key = model.key(table, a)
        if key is not None:
            model.delete(table, key)
            session.delete(session.get(CLASSES[table], key))

    def rekey(self, session, model, a, b, text):
        club = model.key("club", a)
        if club is not None:
            free = model.free("club")
            model.rekey(club[0], free)
            session.get(Club, club).id = free

    def swap(self, session, model, a, b, text):
        one, other = model.key("club", a), model.key("club", b)
        if one != other:
            names = [model.rows["club"][key]["name"] for key in (one, other)]
            for key, name in ((one, "?"), (other, names[0]), (one, names[1])):
                model.update("club", key, name=name)
                session.execute(sa.update(Club).where(Club.id == key[0]).values(name=name))

    def bulk_rekey(self, session, model, a, b, text):
        last = max([key[0] for key in model.rows["club"]], default=0)
        for key in list(model.rows["club"]):
            model.rekey(key[0], key[0] + last)
        session.execute(sa.update(Club).values(id=Club.id + last))

    def bulk_update(self, session, model, a, b, text):
        for key, row in model.rows["book"].items():
            if row["author_id"] is not None:
                model.update("book", key, name=text)
        session.execute(sa.update(Book).where(Book.author_id.is_not(None)).values(name=text))

    def bulk_delete(self, session, model, a, b, text):
        for key in [k for k, row in model.rows["book"].items() if row["name"] == text]:
            model.delete("book", key)
        session.execute(sa.delete(Book).where(Book.name == text))

    def bulk_unlink(self, session, model, a, b, text):
        author = model.key("author", a)
        if author is not None:
            for key in [k for k in model.rows["membership"] if k[0] == author[0]]:
                model.delete("membership", key)
            session.execute(sa.delete(membership).where(membership.c.author_id == author[0]))

    def given_up(self, session, model, a, b, text):
        """What a savepoint takes back did not happen."""
        nested = session.begin_nested()
        session.add(Book(id=model.free("book"), name=text))
        session.execute(sa.update(Author).values(name=text))
        session.execute(sa.delete(Review))
        nested.rollback()


WAYS = [name for name in vars(Ways) if not name.startswith("_")]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(WAYS), st.integers(0, 2), st.integers(0, 4), st.sampled_from(["x", "y"])
    ),
    min_size=1,
    max_size=4,
)


class Machine(RuleBasedStateMachine):
    """The rules, and what holds after each."""

    def __init__(self, engine):
        super().__init__()
        self.engine = engine
        self.model = Model()
        self.replayed = {name: {} for name in TABLES}
        self.before = {}
        """What the tables held before each change set, by its number."""
        with engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(sa.delete(table))

    @rule(steps=STEPS)
    def change(self, steps):
        model = copy.deepcopy(self.model)
        is_refused = False
        with orm.Session(self.engine) as session:
            try:
                with changes.change_set(session, source="edit", is_recorded=True) as made:
                    for name, *given in steps:
                        getattr(Ways(), name)(session, model, *given)
                        session.flush()
                        session.expire_all()
            except Refused:
                is_refused = True
        if not is_refused:
            self.after(made.id, model)
        assert self.held() == self.model.rows

    @rule(number=st.integers(0, 6))
    def undo(self, number):
        if self.before:
            self.undo_set(sorted(self.before, reverse=True)[number % len(self.before)])

    def undo_set(self, number):
        is_newest = number == max(self.before)
        try:
            with orm.Session(self.engine) as session:
                records = session.get(ChangeSetRecord, number).rows
                with changes.change_set(session, source="undo", is_recorded=True) as made:
                    steps = undoing.plan(session, records, TABLES, lock=True)
                    undoing.apply(made, steps)
        except WriteRefused:
            assert not is_newest, f"the newest change set, {number}, cannot be undone"
            assert self.held() == self.model.rows
            return None
        model = copy.deepcopy(self.model)
        model.rows = self.before[number] if is_newest else self.held()
        self.after(made.id, model)
        return made.id

    def after(self, number, model):
        """Compare the tables with the model and with the history, once ``number`` is saved."""
        held = self.held()
        assert held == model.rows
        if number is None:
            assert held == self.model.rows, "a change was not recorded"
            return
        self.before[number] = self.model.rows
        self.model = model
        with orm.Session(self.engine) as session:
            for record in session.get(ChangeSetRecord, number).rows:
                self.replay(record)
        with self.engine.connect() as connection:
            for name, table in TABLES.items():
                read = images.read(connection, table, [], False)
                assert self.replayed[name] == {images.key_of(i, table): i for i in read}

    def replay(self, record):
        rows, key = self.replayed[record.table_name], tuple(json.loads(record.key))
        if record.kind == "insert":
            assert key not in rows, f"{record.table_name} {key} is not new"
            rows[key] = record.new
        elif record.kind == "delete":
            assert rows.pop(key) == record.old
        else:
            assert {n: rows[key][n] for n in record.old} == record.old
            rows[key] = {**rows[key], **record.new}

    def held(self):
        with self.engine.connect() as connection:
            return {
                name: {
                    tuple(row[c.name] for c in table.primary_key): dict(row)
                    for row in connection.execute(sa.select(table)).mappings()
                }
                for name, table in TABLES.items()
            }

    def teardown(self):
        """Undo everything, the newest first: the tables are as they were before each."""
        for number in sorted(self.before, reverse=True):
            self.before = {n: rows for n, rows in self.before.items() if n <= number}
            self.undo_set(number)
        assert not any(self.held().values())


def test_any_changes_and_undos_agree_with_a_plain_model(database_url):
    url = normalise_url(database_url)
    engine = sa.create_engine(url, **engine_options(url))
    listen(engine)
    Base.metadata.create_all(engine)
    run_state_machine_as_test(lambda: Machine(engine), settings=EXAMPLES)
