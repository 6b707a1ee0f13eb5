"""Database addresses and the options that follow from them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from admin_app import accounts, database
from admin_app.errors import ConfigurationError


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_an_address_that_names_no_driver_gets_the_installed_one(scheme: str) -> None:
    url = database.normalise_url(f"{scheme}://anna:secret@host/fleet")
    assert url.drivername == "postgresql+psycopg2"
    assert url.password == "secret"


def test_a_driver_that_was_named_is_kept() -> None:
    url = database.normalise_url("postgresql+psycopg2://host/fleet")
    assert url.drivername == "postgresql+psycopg2"


@pytest.mark.parametrize(
    "url",
    [
        "fleet",
        "postgres//anna:secret@host/fleet",
        "oracal://anna:secret@host/fleet",
        "postgresql+nothing://anna:secret@host/fleet",
        "postgresql://anna:secret@host:port/fleet",
        "mssql+pyodbc://anna:secret@host/fleet",
    ],
)
def test_a_bad_address_is_told_in_a_sentence_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        database.normalise_url(url)
    assert "secret" not in caught.value.sentence
    assert caught.value.sentence.endswith(".")


def test_a_database_in_memory_keeps_its_one_connection() -> None:
    options = database.engine_options(sa.make_url("sqlite://"))
    assert options["poolclass"] is sa.StaticPool


def test_a_server_connection_is_tested_before_use_and_opens_with_limits() -> None:
    options = database.engine_options(sa.make_url("postgresql+psycopg2://host/fleet"))
    assert options["pool_pre_ping"]
    assert options["connect_args"]["connect_timeout"] == database.CONNECT_SECONDS
    assert "statement_timeout=" in options["connect_args"]["options"]


def test_what_the_address_itself_says_is_left_to_it() -> None:
    url = sa.make_url("postgresql+psycopg2://host/fleet?connect_timeout=30&options=-c%20a%3Db")
    assert database.engine_options(url)["connect_args"] == {}


def test_attaching_twice_adds_the_tables_once() -> None:
    metadata = sa.MetaData()
    database.attach(metadata)
    tables = dict(metadata.tables)
    database.attach(metadata)
    assert dict(metadata.tables) == tables
    assert set(tables) == set(database.Base.metadata.tables)


def test_attached_tables_keep_the_names_of_their_constraints() -> None:
    metadata = sa.MetaData(naming_convention={"pk": "other_%(table_name)s"})
    database.attach(metadata)
    names = {constraint.name for constraint in metadata.tables["admin_user"].constraints}
    assert names == {constraint.name for constraint in accounts.User.__table__.constraints}


def test_attached_tables_need_no_import_in_a_migration() -> None:
    metadata = sa.MetaData()
    database.attach(metadata)
    types = {column.type for table in metadata.tables.values() for column in table.columns}
    assert {type(type_).__module__.partition(".")[0] for type_ in types} == {"sqlalchemy"}
