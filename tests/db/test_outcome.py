"""A connection that is lost over a commit: what became of it is found out before it is told."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import event, orm

from admin_app import changes, saving
from admin_app.changes import outcome
from admin_app.errors import Contended, Undecided
from tests.db.conftest import Site

pytestmark = pytest.mark.postgresql


class Base(orm.DeclarativeBase):
    pass


class Parcel(Base):
    __tablename__ = "parcel"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Loss:
    """Ends the server's side of a connection as it commits, once; the commit itself first, or not.

    With ``is_away`` the database lets nobody in afterwards.
    """

    def __init__(self, engine, server, *, is_committed=False, is_away=False):
        self.server = server
        self.is_committed = is_committed
        self.is_away = is_away
        event.listen(engine, "commit", self.end, once=True)

    def end(self, connection):
        driver = connection.connection.dbapi_connection
        if self.is_committed:
            driver.commit()
        with driver.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            [number] = cursor.fetchone()
        with self.server.connect() as other:
            if self.is_away:
                other.exec_driver_sql("ALTER DATABASE test ALLOW_CONNECTIONS false")
            other.execute(sa.text("SELECT pg_terminate_backend(:pid, 2000)"), {"pid": number})

    def come_back(self):
        with self.server.connect() as other:
            other.exec_driver_sql("ALTER DATABASE test ALLOW_CONNECTIONS true")


@pytest.fixture
def site(postgresql_url):
    site = Site(postgresql_url, Base, history=True).create_all()
    site.register_all()
    return site


def save(site, is_recorded=True, key=None):
    options = {"source": "create", "is_recorded": is_recorded}
    with site.session() as session, changes.change_set(session, **options) as change_set:
        if key is not None:
            change_set.claim(key)
        change_set.add(Parcel(name="a"))


def count(site):
    with site.session() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Parcel))


@pytest.mark.parametrize("way", [{}, {"is_recorded": False, "key": "k"}], ids=["history", "token"])
def test_what_was_committed_counts_as_saved_though_no_answer_came(site, postgresql_server, way):
    Loss(site.engine, postgresql_server, is_committed=True)
    save(site, **way)
    assert count(site) == 1


@pytest.mark.parametrize("way", [{}, {"is_recorded": False, "key": "k"}], ids=["history", "token"])
def test_what_was_not_committed_is_told_not_to_be_saved(site, postgresql_server, way):
    Loss(site.engine, postgresql_server)
    with pytest.raises(Contended, match=r"Nothing was saved\. Try again\."):
        save(site, **way)
    assert count(site) == 0


def test_what_leaves_no_trace_is_not_known_to_be_saved(site, postgresql_server):
    Loss(site.engine, postgresql_server)
    with pytest.raises(Undecided, match="Whether it was saved is not known"):
        save(site, is_recorded=False)


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_form_is_saved_once_whenever_its_connection_is_lost(
    site, postgresql_server, is_committed
):
    client = site.client
    Loss(site.engine, postgresql_server, is_committed=is_committed)
    answer = client.post(site.url(Parcel, "create"), data={"name": "a"})
    assert answer.status_code == 302, answer.text
    assert count(site) == 1
    assert "is created" in client.get(answer.location).text


def test_while_the_database_stays_away_nothing_is_claimed(site, postgresql_server, monkeypatch):
    monkeypatch.setattr(outcome, "PATIENCE", 0.1)
    url, form = site.url(Parcel, "create"), {"name": "a", saving.FORM_FIELD: "of this form"}
    loss = Loss(site.engine, postgresql_server, is_committed=True, is_away=True)
    try:
        answer = site.client.post(url, data=form)
    finally:
        loss.come_back()
    assert answer.status_code == 503
    assert "Whether it was saved is not known" in answer.text
    assert "The same form can be sent again: it is saved once at most." in answer.text
    assert 'value="of this form"' in answer.text
    again = site.client.post(url, data=form)
    assert (again.status_code, count(site)) == (302, 1)
