"""The databases that tests are given."""

from __future__ import annotations

import pytest
import sqlalchemy as sa


def a_table(engine: sa.Engine) -> sa.Table:
    table = sa.Table("thing", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    table.create(engine)
    return table


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_has_an_empty_database(database_url: str, turn: int) -> None:
    engine = sa.create_engine(database_url)
    assert sa.inspect(engine).get_table_names() == []
    a_table(engine)


def test_statements_are_counted_without_housekeeping(database_url: str, statements) -> None:
    engine = sa.create_engine(database_url)
    table = a_table(engine)
    with statements(engine) as seen, engine.begin() as connection:
        connection.execute(sa.text("SAVEPOINT here"))
        connection.execute(sa.insert(table).values(id=1))
        assert connection.scalar(sa.select(table.c.id)) == 1
    assert [statement.split()[0] for statement in seen] == ["INSERT", "SELECT"]
