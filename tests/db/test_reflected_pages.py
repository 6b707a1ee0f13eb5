"""Pages over tables that somebody else made, with what only such tables have."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask import Flask

from admin_app.app import create_app


@pytest.fixture
def reflected(database_url: str, tmp_path: Path) -> Callable[..., Flask]:
    """Makes the stand-alone admin over tables: ``reflected("CREATE TABLE …", …)``."""

    def make(*statements: str, models: str = "reflect") -> Flask:
        engine = sa.create_engine(database_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        return create_app(
            {
                "DATABASE_URL": database_url,
                "ADMIN_MODELS": models,
                "ADMIN_SIGN_IN": "none",
                "SECRET_KEY": "a key for tests only, long enough",
                "INSTANCE_PATH": str(tmp_path),
                "TESTING": True,
                "WTF_CSRF_ENABLED": False,
            }
        )

    return make


on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def values(app: Flask, statement: str) -> list[Any]:
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        with engine.connect() as connection:
            return list(connection.exec_driver_sql(statement).scalars())


@on_postgresql
@pytest.mark.parametrize("type_", ["INET", "MACADDR", "mood", "DATE", "BIT(3)", "INT4RANGE"])
def test_a_key_that_the_database_cannot_read_has_no_row(reflected, type_):
    client = reflected(
        "CREATE TYPE mood AS ENUM ('calm')", f"CREATE TABLE host (key {type_} PRIMARY KEY)"
    ).test_client()
    for page in ("details", "edit", "delete"):
        assert client.get(f"/admin/host/{page}/?id=nonsense").status_code == 404
    answer = client.post("/admin/host/action/", data={"action": "delete", "rowid": "nonsense"})
    assert answer.status_code in (200, 302, 404)


def test_a_padded_key_is_kept_when_nobody_touches_it(reflected, controls):
    app = reflected(
        "CREATE TABLE country (code CHAR(5) PRIMARY KEY)",
        "CREATE TABLE city (id INTEGER PRIMARY KEY, country_code CHAR(5) REFERENCES country,"
        " name VARCHAR(20))",
        "INSERT INTO country VALUES ('SE   '), ('FI   ')",
        "INSERT INTO city VALUES (1, 'SE   ', 'Umeå')",
    )
    client = app.test_client()
    sent = controls(client.get("/admin/city/edit/?id=1").text)
    answer = client.post("/admin/city/edit/?id=1", data={**sent, "name": ["Luleå"]})
    assert answer.status_code == 302
    assert values(app, "SELECT country_code FROM city") == ["SE   "]


@on_postgresql
def test_a_padded_key_may_be_typed_without_its_spaces(reflected, controls):
    app = reflected(
        "CREATE TABLE country (code CHAR(5) PRIMARY KEY)",
        "CREATE TABLE city (id INTEGER PRIMARY KEY, country_code CHAR(5) REFERENCES country)",
        "INSERT INTO country VALUES ('SE'), ('FI')",
        "INSERT INTO city VALUES (1, 'SE')",
    )
    client = app.test_client()
    sent = controls(client.get("/admin/city/edit/?id=1").text)
    client.post("/admin/city/edit/?id=1", data={**sent, "country": ["FI"]})
    assert values(app, "SELECT country_code FROM city") == ["FI   "]


@on_postgresql
def test_a_column_of_a_domain_is_edited_as_what_it_is_made_of(reflected, controls):
    app = reflected(
        "CREATE DOMAIN year AS INTEGER CHECK (VALUE > 1900)",
        "CREATE TABLE film (id INTEGER PRIMARY KEY, released year)",
        "INSERT INTO film VALUES (1, 1984)",
    )
    client = app.test_client()
    sent = controls(client.get("/admin/film/edit/?id=1").text)
    assert sent["released"] == ["1984"]
    client.post("/admin/film/edit/?id=1", data={**sent, "released": ["1985"]})
    assert values(app, "SELECT released FROM film") == [1985]


def test_texts_without_a_length_are_listed_where_there_is_little_else(reflected):
    app = reflected(
        "CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT, remark TEXT)",
        "INSERT INTO tag VALUES (1, 'urgent', 'for those who wait')",
    )
    html = app.test_client().get("/admin/tag/").text
    assert "urgent" in html
    assert "for those who wait" in html


@on_postgresql
def test_a_row_of_a_view_is_reached_by_its_rounded_numbers(reflected):
    client = reflected(
        "CREATE TABLE parcel (id INTEGER PRIMARY KEY, kilos REAL)",
        "INSERT INTO parcel VALUES (1, 1.1)",
        "CREATE VIEW heavy AS SELECT kilos FROM parcel",
    ).test_client()
    assert client.get("/admin/heavy/details/?id=1..1").status_code == 200


def test_equal_rows_without_a_key_are_listed_and_shown_but_not_changed(reflected):
    client = reflected(
        "CREATE TABLE log (n INTEGER)", "INSERT INTO log VALUES (41), (41)"
    ).test_client()
    html = client.get("/admin/log/").text
    assert html.count(">41<") >= 2
    assert "no primary key" in html
    key = re.search(r'details/\?id=([^"&]*)', html)[1]
    assert client.get(f"/admin/log/details/?id={key}").status_code == 200
    assert client.get(f"/admin/log/edit/?id={key}").status_code == 403


@on_postgresql
def test_a_date_that_python_lacks_stays_when_the_form_is_saved(reflected, controls):
    app = reflected(
        "CREATE TABLE reign (id INTEGER PRIMARY KEY, ends DATE, ruler VARCHAR(20))",
        "INSERT INTO reign VALUES (1, '0044-03-15 BC', 'Caesar')",
    )
    client = app.test_client()
    assert "0044-03-15 BC" in client.get("/admin/reign/").text
    sent = controls(client.get("/admin/reign/edit/?id=1").text)
    client.post("/admin/reign/edit/?id=1", data={**sent, "ruler": ["C. Julius Caesar"]})
    assert values(app, "SELECT ends::text || ruler FROM reign") == ["0044-03-15 BCC. Julius Caesar"]


def test_rows_that_point_to_people_are_called_by_their_whole_names(reflected):
    client = reflected(
        "CREATE TABLE staff (id INTEGER PRIMARY KEY, title VARCHAR(20), last_name VARCHAR(20),"
        " first_name VARCHAR(20))",
        "CREATE TABLE visit (id INTEGER PRIMARY KEY, staff_id INTEGER REFERENCES staff)",
        "INSERT INTO staff VALUES (1, 'Manager', 'Davolio', 'Nancy')",
        "INSERT INTO visit VALUES (1, 1)",
    ).test_client()
    assert ">Nancy Davolio</a>" in client.get("/admin/visit/?sort=staff").text
    found = client.get(f"/admin/staff/?search={quote('nancy davolio')}").text
    assert "Davolio" in found


def test_a_key_that_is_typed_is_not_called_by_what_it_is_the_key_of(reflected):
    html = (
        reflected("CREATE TABLE category (category_id SMALLINT PRIMARY KEY, name VARCHAR(9))")
        .test_client()
        .get("/admin/category/new/")
        .text
    )
    assert "Category id" in html
