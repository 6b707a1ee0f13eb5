"""No form loses a value: what nobody touched is not written, what is typed is kept or refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import orm

from tests.db.conftest import Site
from tests.db.typed_columns import PORTABLE, POSTGRESQL, READ_ONLY, UPLOADED, is_one, model_of

FEW = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_numbers = itertools.count(1)


class Specimens:
    """A site over the model with a column of every type, and ways to use its form."""

    def __init__(self, url: str, columns: dict[str, Any]) -> None:
        base, self.model = model_of(columns)
        self.site = Site(url, base).create_all().register_all()
        self.keys = itertools.count(1)

    def store(self, name: str, value: Any) -> int:
        key = next(self.keys)
        with self.site.session() as session:
            session.add(self.model(id=key, **{name: value}))
            session.commit()
        return key

    def stored(self, name: str, key: int) -> Any:
        with self.site.session() as session:
            return session.scalar(sa.select(getattr(self.model, name)).filter_by(id=key))

    def text(self, name: str, key: int) -> Any:
        """The value as the database writes it, which no driver has changed."""
        column = getattr(self.model, name)
        if name in ("binary", "pickle"):
            column = sa.type_coerce(column, sa.LargeBinary)
        else:
            column = sa.cast(column, sa.Text)
        with self.site.session() as session:
            return session.scalar(sa.select(column).filter_by(id=key))

    @contextmanager
    def dirty(self) -> Iterator[list[Any]]:
        """The rows that a flush finds changed."""
        seen: list[Any] = []

        def note(session: Any, *_: Any) -> None:
            seen.extend(session.dirty)

        sa.event.listen(orm.Session, "before_flush", note)
        sa.event.listen(orm.Session, "before_commit", note)
        try:
            yield seen
        finally:
            sa.event.remove(orm.Session, "before_flush", note)
            sa.event.remove(orm.Session, "before_commit", note)

    def url(self, key: int) -> str:
        return f"{self.site.url(self.model, 'edit')}?id={key}"


@pytest.fixture(scope="module")
def portable_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Specimens:
    return Specimens(f"sqlite:///{tmp_path_factory.mktemp('types')}/t.db", PORTABLE)


def _on_postgresql(server: sa.Engine, columns: dict[str, Any]) -> Specimens:
    name = f"types_{next(_numbers)}"
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return Specimens(server.url.set(database=name).render_as_string(hide_password=False), columns)


@pytest.fixture(scope="module")
def portable_postgresql(postgresql_server: sa.Engine) -> Specimens:
    return _on_postgresql(postgresql_server, PORTABLE)


@pytest.fixture(scope="module")
def own_postgresql(postgresql_server: sa.Engine) -> Specimens:
    return _on_postgresql(postgresql_server, POSTGRESQL)


CASES = [
    *(pytest.param("portable_sqlite", name, id=f"sqlite-{name}") for name in PORTABLE),
    *(
        pytest.param(fixture, name, id=f"postgresql-{name}", marks=pytest.mark.postgresql)
        for fixture, names in (("portable_postgresql", PORTABLE), ("own_postgresql", POSTGRESQL))
        for name in names
    ),
]


@pytest.fixture
def specimens(request: pytest.FixtureRequest, fixture: str) -> Specimens:
    found: Specimens = request.getfixturevalue(fixture)
    return found


def values(name: str) -> st.SearchStrategy[Any]:
    return st.none() | (PORTABLE | POSTGRESQL)[name][1]


@pytest.mark.parametrize(("fixture", "name"), CASES)
def test_a_form_that_nobody_touched_writes_nothing(specimens, name, controls, statements):
    @FEW
    @given(values(name))
    def check(value):
        key = specimens.store(name, value)
        before = specimens.text(name, key)
        client = specimens.site.client
        sent = controls(client.get(specimens.url(key)).text)
        with statements(specimens.site.engine) as seen, specimens.dirty() as dirty:
            assert client.post(specimens.url(key), data=sent).status_code == 302
        assert [s for s in seen if not s.startswith("SELECT")] == []
        assert dirty == []
        assert specimens.text(name, key) == before

    check()


@pytest.mark.parametrize(("fixture", "name"), CASES)
def test_a_value_can_be_listed_and_shown(specimens, name):
    @FEW
    @given(values(name))
    def check(value):
        key = specimens.store(name, value)
        client, model = specimens.site.client, specimens.model
        details = client.get(f"{specimens.site.url(model, 'details')}?id={key}")
        listed = client.get(f"{specimens.site.url(model)}?sort=-id")
        assert (details.status_code, listed.status_code) == (200, 200)

    check()


def lines(value: Any) -> Any:
    """``value`` with the line ends of a new text: browsers send all of them as CRLF."""
    if not isinstance(value, str) or "\r" not in value:
        return value
    return value.replace("\r\n", "\n").replace("\r", "\n")


TYPED = [case for case in CASES if case.values[1] not in READ_ONLY | UPLOADED]


@pytest.mark.parametrize(("fixture", "name"), TYPED)
def test_the_text_of_a_value_makes_the_same_value_or_is_refused_at_its_field(
    specimens, name, controls
):
    made = []

    @FEW
    @given((PORTABLE | POSTGRESQL)[name][1])
    def check(value):
        key = specimens.store(name, value)
        shown = controls(specimens.site.client.get(specimens.url(key)).text)[name]
        new = next(specimens.keys)
        response = specimens.site.client.post(
            specimens.site.url(specimens.model, "create"), data={"id": str(new), name: shown}
        )
        if response.status_code == 302:
            made.append(new)
            original, copy = specimens.stored(name, key), specimens.stored(name, new)
            # What is left blank is no value; that a row keeps '' is told above.
            is_blank = shown == [""] and copy is None
            is_kept = is_one(original, copy) or is_one(lines(original), copy)
            assert is_blank or is_kept, (original, copy)
        else:
            assert response.status_code == 400
            assert f'href="#{name}"' in response.text

    check()
    assert made


@pytest.mark.parametrize("number", [15_698_053_682_413_700_100, 0.1, 1e300, -1.5, 2**70])
def test_a_bare_number_of_json_is_shown_to_its_last_digit(portable_sqlite, controls, number):
    key = portable_sqlite.store("json", number)
    (shown,) = controls(portable_sqlite.site.client.get(portable_sqlite.url(key)).text)["json"]
    assert float(shown) == float(number)
    assert len(shown) <= len(repr(number)) + 2


@pytest.mark.parametrize(("fixture", "name"), [c for c in CASES if c.values[1] in READ_ONLY])
def test_a_type_that_nobody_can_type_is_shown_without_a_control(specimens, name):
    key = specimens.store(name, None)
    page = specimens.site.client.get(specimens.url(key)).text
    assert f'name="{name}"' not in page
    assert f'id="{name}"' in page
