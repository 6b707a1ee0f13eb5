"""What other programs write is recorded by triggers of PostgreSQL, as the admin would have done."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql

from admin_app import changes, database
from admin_app.changes import triggers, undoing
from admin_app.changes.audit import ChangeSetRecord, RowChangeRecord
from admin_app.cli import admin_cli
from tests.db.conftest import Site


class Base(orm.DeclarativeBase):
    pass


class Parent(Base):
    __tablename__ = "Odd %name:x"
    code: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    number: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    name: orm.Mapped[str]


class Everything(Base):
    __tablename__ = "everything"
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(sa.Uuid, primary_key=True)
    code: orm.Mapped[str | None]
    number: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    text: orm.Mapped[str | None] = orm.mapped_column('say "%s"\\', sa.Text)
    flag: orm.Mapped[bool | None]
    ratio: orm.Mapped[float | None] = orm.mapped_column(sa.Double())
    price: orm.Mapped[decimal.Decimal | None] = orm.mapped_column(sa.Numeric(12, 4))
    moment: orm.Mapped[dt.datetime | None] = orm.mapped_column(sa.DateTime(timezone=True))
    plain: orm.Mapped[dt.datetime | None] = orm.mapped_column(sa.DateTime)
    day: orm.Mapped[dt.date | None]
    span: orm.Mapped[dt.timedelta | None] = orm.mapped_column(sa.Interval)
    content: orm.Mapped[bytes | None]
    document: orm.Mapped[object] = orm.mapped_column(sa.JSON)
    words: orm.Mapped[list[str] | None] = orm.mapped_column(postgresql.ARRAY(sa.Text))
    kind: orm.Mapped[str | None] = orm.mapped_column(sa.Enum("a", "b", name="kind"))
    password: orm.Mapped[str | None]
    stored: orm.Mapped[int | None] = orm.mapped_column(
        sa.BigInteger, sa.Computed("number - 2", persisted=True)
    )
    double: orm.Mapped[int | None] = orm.mapped_column(sa.Integer, sa.Computed("2"))
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["code", "number"], [Parent.code, Parent.number], ondelete="CASCADE", onupdate="CASCADE"
        ),
    )


sa.Table("keyless", Base.metadata, sa.Column("a", sa.Integer))
database.attach(Base.metadata)
TABLES = dict(Base.metadata.tables)

ROWS = [
    {
        "code": "a'b",
        "number": 2**60,
        'say "%s"\\': "tab\t\"quote\" \\ 'x' € \U0001f600 \x01 line\nend",
        "flag": True,
        "ratio": 0.1 + 0.2,
        "price": decimal.Decimal("12.3400"),
        "moment": dt.datetime(2024, 3, 31, 2, 30, 0, 1, tzinfo=dt.timezone(dt.timedelta(hours=5))),
        "plain": dt.datetime(1999, 12, 31, 23, 59, 59),
        "day": dt.date(2024, 2, 29),
        "span": dt.timedelta(days=-3, microseconds=5),
        "content": bytes(range(256)),
        "document": {"a": [1, None, "x"]},
        "words": ["a", 'b"c'],
        "kind": "b",
        "password": "it's $2b\\12",
    },
    {"document": None, "ratio": float("inf"), "content": b"x" * 1_000_001, "password": "plain"},
]


@pytest.fixture
def engine(postgresql_url):
    engine = sa.create_engine(postgresql_url)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        plan = triggers.plan(connection, TABLES.values())
        assert plan.skipped == [("keyless", "has no primary key")]
        triggers.run(connection, triggers.installation(connection, plan))
    with engine.begin() as connection:
        connection.execute(sa.insert(Parent), {"code": "a'b", "number": 2**60, "name": "P"})
    yield engine
    engine.dispose()


def insert(connection):
    for number, row in enumerate(ROWS):
        connection.execute(sa.insert(Everything.__table__), {**row, "id": uuid.UUID(int=number)})


WRITES = {
    "insert": insert,
    "update": lambda c: c.execute(
        sa.update(Everything).values(flag=sa.false(), text="new", password="other", kind="a")
    ),
    "move": lambda c: c.execute(sa.update(Parent).values(number=5, name="Q")),
    "delete": lambda c: c.execute(sa.delete(Parent)),
    "nothing": lambda c: c.execute(sa.update(Everything).values(number=Everything.number)),
}


def recorded(session, number):
    """The rows of a change set, whatever their order, without what may not be stored."""
    rows = session.scalars(sa.select(RowChangeRecord).filter_by(change_set_id=number))
    found = [(r.table_name, r.key, r.kind, r.old, r.new) for r in rows]
    for *_, old, new in found:
        for image in (old, new):
            (image or {}).pop("double", None)
    return sorted(found, key=repr)


def latest(session):
    return session.scalar(sa.select(ChangeSetRecord).order_by(ChangeSetRecord.id.desc()).limit(1))


def test_triggers_record_what_the_admin_would(engine):
    for name, write in WRITES.items():
        with orm.Session(engine) as session:
            before = latest(session).id
            session.rollback()
            with changes.change_set(session, None, "program", is_recorded=True) as own:
                write(session)
                session.flush()
                own.record()
                mine = recorded(session, own.id)
                assert all(not s for s in session.scalars(_by_others(before))), name
                session.rollback()
            with engine.begin() as connection:
                connection.exec_driver_sql("SET LOCAL DateStyle = 'German'")
                write(connection)
            theirs = latest(session)
            if name == "nothing":
                assert theirs.id == before
                continue
            assert recorded(session, theirs.id) == mine, name
            assert (theirs.source, theirs.row_count) == ("database", len(mine))


def _by_others(before):
    return sa.select(ChangeSetRecord.id).where(
        ChangeSetRecord.id > before, ChangeSetRecord.source == "database"
    )


def test_one_transaction_is_one_change_of_the_user_of_the_database(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL application_name = 'nightly job'")
        insert(connection)
        connection.exec_driver_sql("UPDATE everything SET flag = NOT flag WHERE number IS NOT NULL")
    with orm.Session(engine) as session:
        found = latest(session)
        assert found.actor == "postgres (nightly job)"
        assert (found.actor_id, found.model, found.row_count) == (
            "database:postgres",
            "everything",
            3,
        )
        assert found.at.tzinfo is not None


def test_what_others_wrote_can_be_undone(engine):
    with engine.begin() as connection:
        insert(connection)
    with engine.begin() as connection:
        connection.execute(sa.delete(Parent))
    with orm.Session(engine) as session:
        records = latest(session).rows
        assert len(records) == 2
        steps = undoing.plan(session, records, TABLES)
        with changes.change_set(session, None, "undo", is_recorded=True) as own:
            undoing.apply(own, steps)
        back = session.scalars(sa.select(Everything).where(Everything.number == 2**60)).one()
        assert (back.content, back.words, back.password) == (bytes(range(256)), ["a", 'b"c'], None)
        assert latest(session).source == "undo"


def test_what_cannot_be_recorded_hinders_nobody_and_is_told(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE everything DROP COLUMN ratio")
        connection.execute(sa.delete(Parent))
        connection.exec_driver_sql("TRUNCATE everything")
    with orm.Session(engine) as session:
        found = latest(session)
        assert (found.row_count, "TRUNCATE" in found.reason) == (1, True)
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO everything (id, document) VALUES (gen_random_uuid(), '1')"
            )
        assert "not as it was" in latest(session).reason


def test_removing_leaves_nothing(engine):
    with engine.begin() as connection:
        plan = triggers.plan(connection, TABLES.values())
        assert {state for _, state in triggers.states(connection, plan)} == {"installed"}
        triggers.run(connection, triggers.installation(connection, plan))
        connection.exec_driver_sql("DROP TRIGGER admin_audit_delete ON everything")
        assert ("everything", "out of date") in triggers.states(connection, plan)
        triggers.run(connection, triggers.removal(connection))
        assert {state for _, state in triggers.states(connection, plan)} == {"missing"}
        left = "SELECT (SELECT count(*) FROM pg_proc WHERE proname LIKE 'admin%') + "
        left += "(SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'admin%')"
        assert connection.scalar(sa.text(left)) == 0
        assert triggers.removal(connection) == []


def run(site, *words):
    return site.app.test_cli_runner().invoke(admin_cli, ["audit-triggers", *words])


def test_the_command_installs_tells_and_removes(postgresql_url):
    site = Site(postgresql_url, Base, history=True).create_all().register_all()
    printed = run(site, "install", "--sql")
    assert "CREATE TRIGGER admin_audit_insert AFTER INSERT ON" in printed.output
    assert "-- Not recorded: keyless has no primary key." in printed.output
    told = run(site, "status")
    assert ("everything: missing" in told.output, told.exit_code) == (True, 1)
    assert "record 2 tables" in run(site, "install").output
    assert run(site, "status").exit_code == 0
    site.client.post(
        site.url(Parent, "create"), data={"code": "x", "number": "1", "name": "by hand"}
    )
    with site.engine.begin() as connection:
        connection.execute(sa.update(Parent).values(name="by SQL"))
    html = site.client.get("/admin/history/").text
    assert html.count("by hand") == html.count("Another program") == 1
    row = site.client.get("/admin/history/row/", query_string={"of": "parent", "id": "x,1"}).text
    assert "<del>by hand</del>" in row
    assert row.count("created</span>") == 1
    assert "are gone" in run(site, "remove").output


def test_other_databases_say_so(sqlite_url):
    site = Site(sqlite_url, Base, history=True)
    told = run(site, "status")
    assert told.exit_code == 1
    assert "for PostgreSQL only; this database is SQLite" in told.output
