"""A write is tried, told and taken back; and let through only when it does what was told."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import changes, database
from admin_app.changes import is_preview
from admin_app.changes.preview import Review, Reviewed

KEY = b"a key for tests"


class Base(orm.DeclarativeBase):
    pass


club_member = sa.Table(
    "club_member",
    Base.metadata,
    sa.Column("club_id", sa.ForeignKey("club.id"), primary_key=True),
    sa.Column("person_id", sa.ForeignKey("person.id"), primary_key=True),
)


class Person(Base):
    __tablename__ = "person"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str] = orm.mapped_column(default="person")
    name: orm.Mapped[str]
    token: orm.Mapped[uuid.UUID] = orm.mapped_column(default=uuid.uuid4)
    made_at: orm.Mapped[dt.datetime] = orm.mapped_column(server_default=sa.func.now())
    changed_at: orm.Mapped[dt.datetime | None] = orm.mapped_column(sa.DateTime(timezone=True))
    version: orm.Mapped[int] = orm.mapped_column()
    letters: orm.Mapped[list[Letter]] = orm.relationship(back_populates="person")
    clubs: orm.Mapped[list[Club]] = orm.relationship(secondary=club_member)
    __mapper_args__ = {
        "polymorphic_on": "kind",
        "polymorphic_identity": "person",
        "version_id_col": version,
    }


class Pilot(Person):
    __tablename__ = "pilot"
    id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("person.id"), primary_key=True)
    licence: orm.Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "pilot"}


class Letter(Base):
    __tablename__ = "letter"
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True, default=uuid.uuid4)
    text: orm.Mapped[str]
    person_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("person.id", ondelete="CASCADE"))
    person: orm.Mapped[Person] = orm.relationship(back_populates="letters")


class Club(Base):
    __tablename__ = "club"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


@pytest.fixture
def session(database_url):
    engine = sa.create_engine(database.normalise_url(database_url))
    database.listen(engine)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add(Person(name="Ann", letters=[Letter(text="Dear Ann")]))
        session.add(Club(name="Chess"))
        session.commit()
        yield session


def tried(session, write, expected=None, about="test"):
    """The review of ``write``, which gets the session and ends with a commit."""
    review = Review(session, KEY, about, expected)
    try:
        with review:
            write(session)
            session.commit()
    except Reviewed:
        assert review.is_stopped
    return review


def told(review):
    return sorted((r.change.table.name, r.change.kind) for r in review.rows)


def count(session, model):
    return session.scalar(sa.select(sa.func.count()).select_from(model))


def rename(name):
    def write(session):
        session.get(Person, 1).name = name

    return write


def make(session):
    """A new row of a class of two tables, with what hangs on it; nothing of it has a fixed key."""
    pilot = Pilot(name="Pat", licence="P1", changed_at=dt.datetime.now(dt.UTC))
    pilot.letters = [Letter(text="One"), Letter(text="Two")]
    pilot.clubs = [session.get(Club, 1)]
    session.add(pilot)


def test_a_preview_tells_every_row_and_keeps_none(session):
    review = tried(session, make)
    assert told(review) == [
        ("club_member", "insert"),
        ("letter", "insert"),
        ("letter", "insert"),
        ("person", "insert"),
        ("pilot", "insert"),
    ]
    assert (count(session, Person), count(session, Letter)) == (1, 1)


def test_what_the_database_deletes_along_with_a_row_is_told(session):
    review = tried(session, lambda s: s.execute(sa.delete(Person).where(Person.id == 1)))
    assert told(review) == [("letter", "delete"), ("person", "delete")]


def test_keys_defaults_and_moments_that_are_new_each_time_do_not_count(session):
    seen = tried(session, make).token
    tried(session, make)
    review = tried(session, make, seen)
    assert review.is_passed
    assert (count(session, Pilot), count(session, Letter)) == (1, 3)


def test_a_write_that_does_something_else_by_now_is_taken_back(session):
    seen = tried(session, rename("Anne")).token
    session.execute(sa.update(Person).values(name="Anna"))
    session.commit()
    review = tried(session, rename("Anne"), seen)
    assert (review.is_stopped, review.gone) == (True, 1)
    assert [r.is_different for r in review.rows] == [True]
    assert session.scalar(sa.select(Person.name)) == "Anna"


def test_of_several_rows_only_those_that_differ_are_marked(session):
    seen = tried(session, make).token

    def otherwise(session):
        make(session)
        session.add(Club(name="Go"))

    review = tried(session, otherwise, seen)
    assert [r.change.table.name for r in review.rows if r.is_different] == ["club"]
    assert review.gone == 0


def test_a_value_that_is_given_counts_although_the_column_has_a_default(session):
    def send(token):
        return lambda s: s.add(Person(name="Bob", token=token, made_at=dt.datetime(2020, 1, 1)))

    first, other = uuid.UUID(int=1), uuid.UUID(int=2)
    review = tried(session, send(first))
    assert [r.anew for r in review.rows] == [frozenset({"id"})]
    assert tried(session, send(other), review.token).is_stopped


@pytest.mark.parametrize("token", ["", "x", "....", "ü.1.a", "0" * 32 + ".1." + "0" * 32])
def test_a_token_that_is_none_lets_nothing_through(session, token):
    assert tried(session, rename("Anne"), token).is_stopped


def test_a_review_is_of_nothing_else(session):
    seen = tried(session, rename("Anne")).token
    assert tried(session, rename("Anne"), seen, "another form").is_stopped


def test_code_that_goes_on_after_every_error_is_stopped_all_the_same(session):
    def write(session):
        rename("Anne")(session)
        with contextlib.suppress(Exception):
            session.commit()
        raise AssertionError("this comes after a commit")

    assert tried(session, write).is_stopped
    assert session.scalar(sa.select(Person.name)) == "Ann"


def test_savepoints_and_several_flushes_are_one_write(session):
    def write(session):
        with session.begin_nested():
            rename("Anne")(session)
        rename("Anna")(session)

    (row,) = tried(session, write).rows
    assert row.change.new["name"] == "Anna"


def test_what_was_taken_back_before_is_not_told(session):
    def write(session):
        rename("Anne")(session)
        session.flush()
        session.rollback()
        session.add(Club(name="Go"))

    review = tried(session, write)
    assert told(review) == [("club", "insert")]
    assert [s.sql.split()[0] for s in review.statements] == ["INSERT"]


def test_a_hook_can_ask_whether_it_runs_in_a_preview(session):
    asked = []
    seen = tried(session, lambda s: asked.append(is_preview())).token
    tried(session, lambda s: asked.append(is_preview()), seen)
    assert [*asked, is_preview()] == [True, False, False]


def test_a_change_set_is_stopped_with_its_history(session):
    changes_base = changes.ChangeSetRecord.metadata
    changes_base.create_all(session.connection())
    session.commit()

    def write(session):
        with changes.change_set(session, None, "edit", is_recorded=True) as change_set:
            person = session.get(Person, 1)
            person.name = "Anne"
            change_set.change(person)

    review = tried(session, write)
    assert told(review) == [("person", "update")]
    assert [s.sql.split()[:2] for s in review.statements] == [["UPDATE", "person"]]
    assert count(session, changes.ChangeSetRecord) == 0


def test_sql_given_as_text_is_known_to_be_unseen(session):
    text = sa.text("UPDATE club SET name = 'Go'")
    assert tried(session, lambda s: s.execute(text)).has_unseen
    assert not tried(session, rename("Anne")).has_unseen


def test_a_rule_that_is_checked_at_the_end_is_checked_now(postgresql_url):
    engine = sa.create_engine(postgresql_url)
    table = sa.Table(
        "late",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer),
        sa.UniqueConstraint("n", deferrable=True, initially="DEFERRED"),
    )
    table.create(engine)
    with orm.Session(engine) as session, pytest.raises(sa.exc.IntegrityError):
        tried(session, lambda s: s.execute(sa.insert(table), [{"n": 1}, {"n": 1}]))
