"""Connections as the admin opens them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import database


def connect(url: str) -> sa.Engine:
    parsed = database.normalise_url(url)
    engine = sa.create_engine(parsed, **database.engine_options(parsed))
    database.listen(engine)
    return engine


def test_ddl_is_rolled_back_with_its_transaction(database_url: str) -> None:
    engine = connect(database_url)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE parcel (id INTEGER PRIMARY KEY)")
        connection.rollback()
    assert not sa.inspect(engine).has_table("parcel")


def test_foreign_keys_are_kept(database_url: str) -> None:
    engine = connect(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE van (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE load (van_id INTEGER REFERENCES van (id))")
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO load VALUES (7)")


def test_a_sqlite_file_can_be_read_while_it_is_written(sqlite_url: str) -> None:
    engine = connect(sqlite_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE van (id INTEGER PRIMARY KEY)")
    with engine.begin() as writer, engine.connect() as reader:
        writer.exec_driver_sql("INSERT INTO van VALUES (1)")
        assert reader.exec_driver_sql("SELECT count(*) FROM van").scalar() == 0


def test_a_connection_that_the_server_dropped_is_not_noticed(postgresql_url: str) -> None:
    engine = connect(postgresql_url)
    with engine.connect() as connection:
        process = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    with sa.create_engine(postgresql_url, poolclass=sa.NullPool).connect() as other:
        other.execute(sa.text("SELECT pg_terminate_backend(:process)"), {"process": process})
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_reading_is_limited_without_a_statement(postgresql_url: str, statements) -> None:
    engine = connect(postgresql_url)
    with engine.connect() as connection:
        with statements(engine) as seen:
            database.set_limits(connection, "read")
        assert seen == []
        assert connection.scalar(sa.text("SHOW statement_timeout")) == "10s"


@pytest.mark.parametrize(
    ("kind", "statement_timeout", "lock_timeout"),
    [("write", "20s", "5s"), ("lookup", "3s", "1s"), ("job", "0", "0")],
)
def test_limits_end_with_the_transaction(
    postgresql_url: str, kind: database.Kind, statement_timeout: str, lock_timeout: str
) -> None:
    with connect(postgresql_url).connect() as connection:
        database.set_limits(connection, kind)
        assert connection.scalar(sa.text("SHOW statement_timeout")) == statement_timeout
        assert connection.scalar(sa.text("SHOW lock_timeout")) == lock_timeout
        connection.rollback()
        assert connection.scalar(sa.text("SHOW statement_timeout")) == "10s"


def test_a_statement_that_takes_too_long_is_stopped(postgresql_url: str) -> None:
    with orm.Session(connect(postgresql_url)) as session:
        database.set_limits(session, "lookup")
        with pytest.raises(sa.exc.OperationalError, match="statement timeout"):
            session.execute(sa.text("SELECT pg_sleep(30)"))


def test_sqlite_has_no_limits_to_set(sqlite_url: str, statements) -> None:
    engine = connect(sqlite_url)
    with engine.connect() as connection, statements(engine) as seen:
        database.set_limits(connection, "write")
    assert seen == []


@pytest.mark.parametrize("value", ["0044-03-15 BC", "20202-01-01"])
@pytest.mark.parametrize("type_", ["DATE", "TIMESTAMP", "TIMESTAMPTZ"])
def test_a_date_that_python_lacks_comes_as_text(
    postgresql_url: str, type_: str, value: str
) -> None:
    with connect(postgresql_url).connect() as connection:
        found = connection.exec_driver_sql(f"SELECT '{value}'::{type_}").scalar()
    assert isinstance(found, str)
    assert found.startswith(value[:5])
