"""A list as a file: what a spreadsheet gets, and what it must not."""

from __future__ import annotations

import contextlib
import csv
import http.client
import io
import itertools
import json
import pickle
import threading
import urllib.request

import pytest
import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy import orm
from werkzeug.serving import make_server

from admin_app import ModelView, Policy, display
from admin_app.listing import PIECE
from examples.fleet.models import Category, Order, Product


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
    note: orm.Mapped[str | None]
    pockets: orm.Mapped[list[Pocket]] = orm.relationship(back_populates="account", lazy="joined")


class Pocket(Base):
    __tablename__ = "pockets"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    account_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("accounts.id"))
    account: orm.Mapped[Account] = orm.relationship(back_populates="pockets", lazy="joined")


class Everything(ModelView):
    can_export = True
    column_list = ("id", "name", "api_key", "state")


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def export(site, query: str = "", model=Order, **options) -> list[list[str]]:
    """The file of a list that has ``options``, asked for with ``query``."""
    if not any(view.endpoint == "exported" for view in site.admin._views):
        view = type("Exported", (ModelView,), {"can_export": True, **options})
        site.admin.register(model, view, endpoint="exported")
    response = site.client.get(f"/admin/exported/export/csv/?{query}")
    assert response.status_code == 200
    return rows(response.text)


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
    assert exported[1] == ["1", "a", "••••••", f"{len(pickle.dumps(Bomb()))} bytes"]


def test_an_export_is_whole_on_a_real_server(own_site):
    class Exported(ModelView):
        can_export = True

    own_site.admin.register(Order, Exported, endpoint="exported")
    with (
        served(own_site) as place,
        urllib.request.urlopen(f"http://{place}/exported/export/csv/") as response,
    ):
        exported = rows(response.read().decode())
    assert len(exported) == 121


def many_accounts(make_site, **options):
    """A site with more accounts than a file holds at once."""
    site = make_site(Base)
    with site.session() as session:
        session.execute(sa.insert(Account), [{"name": f"n{n}"} for n in range(PIECE + 50)])
        session.commit()
    site.admin.register(Account, type("View", (ModelView,), options))
    return site


@contextlib.contextmanager
def served(site):
    """A real server over ``site``: its host and the path of the admin."""
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}/admin"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("type_", ["csv", "jsonl", "json"])
def test_a_file_that_breaks_off_is_whole_for_nobody(make_site, type_):
    def broken(view, context, account, name):
        if account.name == f"n{PIECE + 10}":
            raise RuntimeError("No such thing.")
        return account.name

    site = many_accounts(make_site, column_formatters_export={"name": broken})
    site.app.testing = False
    with (
        served(site) as place,
        urllib.request.urlopen(f"http://{place}/account/export/{type_}/?sort=id") as response,
        pytest.raises(http.client.IncompleteRead) as refused,
    ):
        response.read()
    assert b"This file is not whole" in refused.value.partial.splitlines()[-1]
    with pytest.raises(ValueError, match="Expecting|Extra"):
        json.loads(refused.value.partial)


def test_all_rows_of_a_file_are_from_one_moment(make_site):
    site = many_accounts(make_site)
    response = site.client.get("/admin/account/export/csv/?columns=name", buffered=False)
    pieces = iter(response.response)
    assert next(pieces) == b"Name\r\n"
    with site.engine.begin() as connection:
        connection.execute(sa.update(Account).values(name="changed"))
        connection.execute(sa.insert(Account).values(name="new"))
    found = b"".join(pieces).split()
    response.close()
    assert found == [f"n{n}".encode() for n in range(PIECE + 50)]


def test_a_file_has_the_columns_that_the_visitor_chose_in_his_order(own_site):
    found = export(own_site, "columns=items,customer.name,number:90,customer&sort=number&page=3")
    with own_site.session() as session:
        first = session.scalars(sa.select(Order).order_by(Order.number)).first()
        wanted = [str(len(first.items)), first.customer.name, first.number, str(first.customer)]
    assert found[0] == ["Items", "Customer name", "Number", "Customer"]
    assert found[1] == wanted
    assert len(found) == 121
    grouped = export(own_site, "group=status&columns=status,number&totals=freight:sum")
    assert len(grouped) == 121
    states = [row[0] for row in grouped[1:]]
    assert len(list(itertools.groupby(states))) == len(set(states))


def test_a_file_costs_the_same_statements_whatever_its_rows(own_site, statements):
    def cost(query: str) -> int:
        with statements(own_site.engine) as seen:
            found = export(
                own_site, f"columns=parent,parent.parent,children,name&{query}", Category
            )
        assert len(found) > 1
        return len(seen)

    cost("")
    assert cost("") == cost("parent__filled=1&sort=-id") <= 5


def test_a_collection_that_the_host_names_for_the_file_is_told_by_its_members(own_site, statements):
    names = {"column_export_list": ["name", "tags"]}
    with own_site.session() as session:
        tagged = sa.select(Product).where(Product.tags.any()).order_by(Product.name)
        first = session.scalars(tagged).first()
        wanted = {first.name: ", ".join(tag.name for tag in first.tags)}
    export(own_site, "", Product, **names)
    with statements(own_site.engine) as seen:
        found = export(own_site, "columns=id,category", Product, **names)
    assert found[0] == ["Name", "Tags"]
    assert wanted.items() <= dict(found[1:]).items()
    assert sum("FROM" in statement for statement in seen) == 2


class Discreet(Policy):
    def may(self, principal, action, model=None, column=None):
        return column != "note"


def test_no_file_has_a_column_that_is_hidden_from_the_visitor(make_site):
    site = make_site(Base, policy=Discreet())
    named = type("Named", (ModelView,), {"can_export": True, "column_export_list": ["note", "id"]})
    site.admin.register(Account, named, endpoint="named")
    names = {"column_list": ["note", "id", "name"], "column_export_exclude_list": ["id"]}
    assert export(site, "", Account, **names) == [["Name"]]
    assert export(site, "columns=id,name", Account) == [["Name"]]
    assert site.client.get("/admin/exported/export/csv/?columns=note").status_code == 400
    assert rows(site.client.get("/admin/named/export/csv/").text) == [["Id"]]


def test_what_a_method_of_the_view_makes_stands_in_a_file_without_its_html(make_site):
    @display("Weight", empty="not <known>")
    def weight(self, account):
        return None

    site = make_site(Base)
    with site.session() as session:
        session.add(Account(name="a"))
        session.commit()
    marked = {"marked": lambda *_: Markup("<b>R&amp;D</b>")}
    names = ["name", "weight", "marked"]
    found = export(site, "", Account, column_list=names, weight=weight, column_formatters=marked)
    assert found == [["Name", "Weight", "Marked"], ["a", "not <known>", "R&D"]]


def test_collections_that_are_mapped_to_be_joined_to_every_row_do_not_multiply_them(make_site):
    site = make_site(Base)
    with site.session() as session:
        session.add_all([Account(name="a", pockets=[Pocket(), Pocket()]), Account(name="b")])
        session.commit()
    asked = "columns=name,pockets&sort=name"
    assert export(site, asked, Account) == [["Name", "Pockets"], ["a", "2"], ["b", "0"]]
    page = site.client.get("/admin/exported/?columns=name,pockets").text
    assert page.count('role="rowheader"') == 2
