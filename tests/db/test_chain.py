"""A chained history tells when other hands have altered it."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app.changes import ChangeSetRecord, RowChangeRecord, audit, chain
from admin_app.cli import admin_cli
from tests.db.test_capture import Author, Base, change, engine

__all__ = ["engine"]


def rename(engine, name):
    def write(change_set):
        change_set.session.get(Author, 1).name = name

    return change(engine, write, is_chained=True, reason="“why”").id


@pytest.fixture
def numbers(engine):
    """Three chained changes, after one of before there was a chain."""
    change(engine, lambda c: setattr(c.session.get(Author, 1), "name", "before"))
    return [rename(engine, name) for name in "ABC"]


def fault(engine):
    with orm.Session(engine) as session:
        return chain.fault(session)


def test_a_chain_that_nobody_touched_is_whole(engine, numbers):
    assert fault(engine) is None


ALTERED = {
    "a row": sa.update(RowChangeRecord).values(new={"name": "B!"}),
    "its author": sa.update(ChangeSetRecord).values(actor="Somebody else"),
    "its number of rows": sa.update(ChangeSetRecord).values(row_count=2),
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_was_altered_is_named(engine, numbers, what):
    statement = ALTERED[what]
    column = statement.table.c["change_set_id" if what == "a row" else "id"]
    with engine.begin() as connection:
        connection.execute(statement.where(column == numbers[1]))
    assert fault(engine)[0] == numbers[1]


@pytest.mark.parametrize(("place", "named"), [(0, 1), (1, 2), (2, None)])
def test_what_was_taken_away_is_noticed(engine, numbers, place, named):
    with engine.begin() as connection:
        gone = numbers[place]
        connection.execute(sa.delete(chain.DigestRecord).filter_by(change_set_id=gone))
        connection.execute(sa.delete(RowChangeRecord).filter_by(change_set_id=gone))
        connection.execute(sa.delete(ChangeSetRecord).filter_by(id=gone))
    assert fault(engine)[0] == (None if named is None else numbers[named])


def test_what_was_added_is_named(engine, numbers):
    made = change(engine, lambda c: setattr(c.session.get(Author, 1), "name", "D"))
    assert fault(engine)[0] == made.id


def test_a_chain_goes_on_after_its_beginning_was_forgotten(engine, numbers):
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    with orm.Session(engine) as session:
        for record in session.scalars(sa.select(ChangeSetRecord).limit(3)):
            record.at = long_ago
        session.commit()
        audit.prune(session, dt.datetime(2021, 1, 1, tzinfo=dt.UTC), chain.cut)
        assert session.scalar(sa.select(sa.func.count()).select_from(ChangeSetRecord)) == 1
    assert fault(engine) is None
    rename(engine, "D")
    assert fault(engine) is None
    with orm.Session(engine) as session:
        audit.prune(session, dt.datetime(2121, 1, 1, tzinfo=dt.UTC), chain.cut)
    assert fault(engine) is None


def test_the_command_tells_what_it_found(make_site):
    site = make_site(Base, history="chained")
    site.app.cli.add_command(admin_cli)
    runner = site.app.test_cli_runner()
    assert "not chained" in runner.invoke(args=["admin", "verify-history"]).output
    with site.app.app_context(), site.admin.change_set() as changes:
        changes.add(Author(name="Bea"))
    assert "as it was written" in runner.invoke(args=["admin", "verify-history"]).output
    with site.engine.begin() as connection:
        connection.execute(sa.update(ChangeSetRecord).values(actor="Somebody else"))
    result = runner.invoke(args=["admin", "verify-history"])
    assert result.exit_code == 1
    assert "Change 1: It is not as it was written" in result.output
