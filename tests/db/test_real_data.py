"""Two databases that nobody made for this project, reflected and used as an operator would.

They lie beside the repository where it is developed, and these tests skip where they do not.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy import orm

from admin_app import ModelView, inspection
from admin_app.app import create_app

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real databases are not here")

CHINOOK = "Album Artist Customer Employee Genre Invoice InvoiceLine MediaType Playlist Track"
NORTHWIND = (
    "Category Customer CustomerDemographic Employee Order OrderDetail Product Region Shipper"
    " Supplier Territory UsState"
)
# What skips because there are no data must not count as a PostgreSQL test that was left out.
ON_POSTGRESQL = [pytest.mark.postgresql] if DATA.is_dir() else []
TABLES = [
    *(pytest.param("chinook", name, id=f"chinook-{name}") for name in CHINOOK.split()),
    *(
        pytest.param("northwind", name, id=f"northwind-{name}", marks=ON_POSTGRESQL)
        for name in NORTHWIND.split()
    ),
]

PAGES = ("page=-1", "page=1e9", "page=999999999999", "page=x", "page_size=0", "page_size=-5")
SORTS = ("sort=nothing", "sort=-", "sort=__class__", "sort=metadata", "sort=99", "sort=%00")
SEARCHES = ("%00", "%25", "_", "9" * 31, "%27%3B--", "%F0%9D%94%98%E2%80%AE", "-1.5e400", "%ff")
KEYS = ("", "%00", "abc", "9" * 31, "1,2,3,4", "-1", ".n", ",", "1.5", "NaN", "%27", "x" * 3000)


@pytest.fixture(scope="session")
def northwind(postgresql_server: sa.Engine) -> sa.URL:
    """Northwind in a PostgreSQL database that every test copies."""
    with postgresql_server.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE northwind")
    url = postgresql_server.url.set(database="northwind")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.connection.cursor().execute((DATA / "northwind.sql").read_text())
    return url


class Real:
    """A copy of one database, its application, and the view of one of its tables."""

    def __init__(self, url: str, folder: Path) -> None:
        self.app: flask.Flask = create_app(
            {
                "DATABASE_URL": url,
                "ADMIN_MODELS": "reflect",
                "ADMIN_SIGN_IN": "none",
                "SECRET_KEY": "a key for tests only, long enough",
                "INSTANCE_PATH": str(folder),
                "TESTING": True,
                "WTF_CSRF_ENABLED": False,
            }
        )
        self.admin = self.app.extensions["admin_app"]
        self.client: FlaskClient = self.app.test_client()
        with self.app.app_context():
            self.engine: sa.Engine = self.app.extensions["sqlalchemy"].engine

    def choose(self, name: str) -> Real:
        self.view: ModelView = next(
            view for model, view in self.admin.views_by_model.items() if model.__name__ == name
        )
        with self.app.test_request_context():
            self.url = self.view.url_for("list")
        return self

    def keys(self, limit: int | None = None) -> list[str]:
        """The keys of the first rows, as they stand in addresses."""
        statement = sa.select(self.view.model).order_by(*self.view.mapper.primary_key).limit(limit)
        with orm.Session(self.engine) as session:
            return [self.view.get_pk_value(row) for row in session.scalars(statement)]

    def page(self, page: str, key: str) -> str:
        return f"{self.url}{page}/?id={quote(key, safe='')}"


@pytest.fixture
def real(
    database: str, table: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Real]:
    """A copy of the database of the test, with the view of its table chosen."""
    if database == "chinook":
        copy = shutil.copy(DATA / "chinook.sqlite", tmp_path / "chinook.sqlite")
        yield Real(f"sqlite:///{copy}", tmp_path).choose(table)
        return
    server: sa.Engine = request.getfixturevalue("postgresql_server")
    request.getfixturevalue("northwind")
    with server.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE real_data TEMPLATE northwind")
    url = server.url.set(database="real_data").render_as_string(hide_password=False)
    yield Real(url, tmp_path).choose(table)
    with server.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE real_data WITH (FORCE)")


@pytest.fixture(scope="session")
def chinook_reader(tmp_path_factory: pytest.TempPathFactory) -> Real:
    folder = tmp_path_factory.mktemp("chinook")
    copy = shutil.copy(DATA / "chinook.sqlite", folder / "chinook.sqlite")
    return Real(f"sqlite:///{copy}", folder)


@pytest.fixture(scope="session")
def northwind_reader(
    northwind: sa.URL, postgresql_server: sa.Engine, tmp_path_factory: pytest.TempPathFactory
) -> Real:
    with postgresql_server.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE read_only_data TEMPLATE northwind")
    url = northwind.set(database="read_only_data").render_as_string(hide_password=False)
    return Real(url, tmp_path_factory.mktemp("northwind"))


@pytest.fixture
def reading(database: str, table: str, request: pytest.FixtureRequest) -> Real:
    """The same as `real`, for tests that only read: one copy serves them all."""
    chosen: Real = request.getfixturevalue(f"{database}_reader")
    return chosen.choose(table)


of_every_table = pytest.mark.parametrize(("database", "table"), TABLES)


def writes(seen: list[str]) -> list[str]:
    return [statement for statement in seen if not statement.startswith("SELECT")]


def other_value(column: inspection.Column, shown: str) -> str | None:
    """A text that ``column`` takes and that it does not hold; None for those left alone."""
    type_ = inspection.stored_type(column.type)
    if column.is_primary_key or column.foreign_keys or column.is_readonly:
        return None
    if inspection.is_text(type_):
        return "Zq" if shown != "Zq" else "Zr"
    if inspection.is_number(type_):
        return "7" if shown not in ("7", "7.00", "7.0") else "8"
    return {sa.DateTime: "2001-02-03T04:05:06", sa.Date: "2001-02-03"}.get(
        next((wide for wide in (sa.DateTime, sa.Date) if isinstance(type_, wide)), object)
    )


@of_every_table
def test_a_real_table_is_listed_in_every_order_for_four_statements(reading, statements):
    for name in ("", *(sign + key for key in reading.view._sortable_columns for sign in ("", "-"))):
        with statements(reading.engine) as seen:
            answer = reading.client.get(f"{reading.url}?sort={name}")
        assert (answer.status_code, len(seen) <= 4) == (200, True), name


@of_every_table
def test_a_real_table_is_paged_to_its_end(reading):
    found: list[str] = []
    url: str | None = f"{reading.url}?page_size=200"
    while url:
        html = reading.client.get(url).text
        found += re.findall(r'name="rowid"[^>]* value="([^"]*)"', html)
        link = re.search(r'<a [^>]*rel="next"[^>]*>', html)
        url = unescape(re.search(r'href="([^"]*)"', link[0])[1]) if link else None
    assert [unescape(key) for key in found] == reading.keys()


@of_every_table
def test_a_row_of_a_real_table_is_found_by_its_label_or_its_key(reading):
    label = inspection.label(reading.view.mapper)
    statement = sa.select(reading.view.model).order_by(*reading.view.mapper.primary_key).limit(3)
    with orm.Session(reading.engine) as session:
        for row in session.scalars(statement):
            words = label.of(row) if label.keys else str(sa.inspect(row).identity[0])
            html = reading.client.get(reading.url, query_string={"search": words}).text
            assert f'value="{reading.view.get_pk_value(row)}"' in html, words


@of_every_table
def test_what_nobody_would_ask_of_a_real_table_is_answered(reading):
    asked = [f"?{query}" for query in (*PAGES, *SORTS)]
    asked += [f"?search={text}" for text in SEARCHES]
    asked += [f"{page}/?id={key}" for page in ("details", "edit", "delete") for key in KEYS]
    answers = {url: reading.client.get(reading.url + url).status_code for url in asked}
    assert {url: code for url, code in answers.items() if code not in (200, 400, 404)} == {}


@of_every_table
def test_saving_untouched_rows_of_a_real_table_writes_nothing(real, controls, statements):
    for key in real.keys(12):
        url = real.page("edit", key)
        sent = controls(real.client.get(url).text)
        with statements(real.engine) as seen:
            assert real.client.post(url, data=sent).status_code == 302
        assert writes(seen) == []


@of_every_table
def test_one_change_to_a_real_row_is_one_update_of_one_column(real, controls, statements):
    for key in real.keys(1):
        for name, column in inspection.columns(real.view.mapper).items():
            sent = controls(real.client.get(real.page("edit", key)).text)
            value = other_value(column, sent.get(name, [""])[0])
            if name not in sent or value is None:
                continue
            with statements(real.engine) as seen:
                answer = real.client.post(real.page("edit", key), data={**sent, name: [value]})
            assert answer.status_code == 302
            (update,) = writes(seen)
            assert re.search(rf'SET "?{column.column.name}"?=\S+ WHERE', update)


@of_every_table
def test_pickers_of_a_real_form_answer_for_two_statements(reading, statements):
    html = reading.client.get(reading.url + "new/").text
    for url in set(re.findall(r'data-lookup-url="([^"]*)"', html)):
        for text in ("", "a", "9" * 30, "%25"):
            with statements(reading.engine) as seen:
                answer = reading.client.get(f"{url}?q={text}")
            assert answer.status_code == 200
            assert len(answer.json["items"]) <= 20
            assert len(seen) <= 2


@of_every_table
def test_a_real_row_is_created_shown_and_deleted(real, controls):
    sent = controls(real.client.get(real.url + "new/").text)
    made = real.client.post(real.url + "new/", data={**sent, **new_row(real)})
    assert made.status_code == 302, re.findall(r'class="error[^>]*>(.*?)<', made.text)
    (key,) = set(real.keys()) - real.before
    assert real.client.get(real.page("details", key)).status_code == 200
    assert "Delete “" in real.client.get(real.page("delete", key)).text
    assert real.client.post(real.url + "delete/", data={"id": key}).status_code == 302
    assert set(real.keys()) == real.before


@of_every_table
def test_real_rows_are_deleted_together_or_it_is_told_why_not(real):
    before = real.keys()
    data = {"action": "delete", "rowid": before[:2]}
    asked = real.client.post(real.url + "action/", data=data)
    assert asked.status_code == (200 if before else 302)
    data["confirmed"] = "1"
    html = real.client.post(real.url + "action/", data=data, follow_redirects=True).text
    if real.keys() == before:
        assert "still point" in html or "Tick the rows first" in html
    else:
        assert real.keys() == before[2:]


def new_row(real: Real) -> dict[str, list[str]]:
    """What an operator would fill in: everything that is needed, and keys that none has yet."""
    real.before = set(real.keys())  # type: ignore[attr-defined]
    filled: dict[str, list[str]] = {}
    mapper = real.view.mapper
    covered = inspection.foreign_key_relationships(mapper)
    for name, column in inspection.columns(mapper).items():
        is_needed = not column.is_nullable and not column.is_generated
        if not is_needed and not column.is_primary_key:
            continue
        if name in covered:
            target = mapper.relationships[covered[name]].mapper
            filled[covered[name]] = [free_parent(real, mapper, name, target)]
        elif inspection.is_text(column.type):
            filled[name] = ["Zq"]
        elif inspection.is_number(column.type):
            filled[name] = ["30000"]
        else:
            filled[name] = ["2001-02-03T04:05:06"]
    return filled


def free_parent(real: Real, mapper: orm.Mapper[Any], name: str, target: orm.Mapper[Any]) -> str:
    """The key of a row that none of the table points to yet, or the first one."""
    text_of = inspection.identity_text(target)
    with orm.Session(real.engine) as session:
        used = set(session.scalars(sa.select(getattr(mapper.class_, name))))
        rows = session.scalars(sa.select(target.class_).order_by(*target.primary_key)).all()
        free = [row for row in rows if sa.inspect(row).identity[0] not in used]
        return text_of.of((free or rows)[0])
