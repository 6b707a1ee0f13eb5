"""The databases that tests are given, and the skips that they are not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", "2 skipped"), ("true", "1 failed, 1 skipped")], ids=["laptop", "ci"]
)
def test_only_a_laptop_may_skip_what_needs_postgresql(
    ci: str, outcome: str, tmp_path: Path
) -> None:
    (tmp_path / "test_it.py").write_text("""
import pytest
@pytest.mark.postgresql
def test_that_needs_a_server(): pytest.skip("none here")
def test_of_something_else(): pytest.skip("not now")
""")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", "pyproject.toml", tmp_path],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
    )
    assert outcome in result.stdout.splitlines()[-1]
