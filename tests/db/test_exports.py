"""A list as a file: what a spreadsheet gets, and what it must not."""

from __future__ import annotations

import csv
import io
import pickle
import threading
import urllib.request

import sqlalchemy as sa
from sqlalchemy import orm
from werkzeug.serving import make_server

from admin_app import ModelView
from examples.fleet.models import Order


class Base(orm.DeclarativeBase):
    pass


class Bomb:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return (_explode, ())


def _explode():
    raise AssertionError("A pickle was read.")


class Account(Base):
    __tablename__ = "accounts"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    api_key: orm.Mapped[str | None]
    state: orm.Mapped[object | None] = orm.mapped_column(sa.PickleType)


class Everything(ModelView):
    can_export = True
    column_list = ("id", "name", "api_key", "state")


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_secrets_and_pickles_stay_where_they_are(make_site):
    site = make_site(Base)
    site.admin.register(Account, Everything)
    with site.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO accounts (name, api_key, state) VALUES ('a', 'opensesame', :state)"
            ),
            {"state": pickle.dumps(Bomb())},
        )
    for url in ("/admin/account/", "/admin/account/details/?id=1", "/admin/account/edit/?id=1"):
        page = site.client.get(url)
        assert page.status_code == 200
        assert "opensesame" not in page.text
    exported = rows(site.client.get("/admin/account/export/csv/").text)
    assert exported[1] == ["1", "a", "••••••", "(binary)"]


def test_an_export_is_whole_on_a_real_server(site):
    class Exported(ModelView):
        can_export = True

    site.admin.register(Order, Exported, endpoint="exported")
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/admin/exported/export/csv/"
        with urllib.request.urlopen(url) as response:
            exported = rows(response.read().decode())
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(exported) == 121
