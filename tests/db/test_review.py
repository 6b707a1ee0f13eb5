"""A write can be reviewed before it is made: forms, deletes, actions and pages of cells."""

from __future__ import annotations

import io
import re

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, Policy, action, database, review
from admin_app.changes import is_preview
from examples.fleet.models import RoadShipment


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(80), unique=True)
    notes: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    credit: orm.Mapped[int | None]
    password: orm.Mapped[str | None]
    photo: orm.Mapped[bytes | None]
    orders: orm.Mapped[list[Order]] = orm.relationship(
        back_populates="customer", cascade="all, delete-orphan"
    )

    def __str__(self) -> str:
        return self.name


class Order(Base):
    __tablename__ = "shop_order"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    status: orm.Mapped[str]
    customer_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("customer.id"))
    customer: orm.Mapped[Customer] = orm.relationship(back_populates="orders")


class Counter(Base):
    __tablename__ = "counter"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    hits: orm.Mapped[int]


class CustomerView(ModelView):
    column_list = column_editable_list = ("name", "notes")
    form_columns = ("name", "notes", "password", "photo")

    def on_model_change(self, form, model, is_created):
        """What a shop might do: count, and write to somebody."""
        self.get_session().get(Counter, 1).hits += 1
        self.admin.heard.append("preview" if is_preview() else "change")

    def after_model_change(self, form, model, is_created):
        self.admin.heard.append("after")

    @action("close", "Close orders", "Close the orders?")
    def action_close(self, ids):
        for order in self.get_session().scalars(sa.select(Order).order_by(Order.id)):
            order.status = "closed"
        self.get_session().commit()
        self.admin.heard.append("closed")


class Own(Policy):
    """Whoever comes sees no credit, no order that is kept, nor any SQL."""

    def may(self, principal, action, model=None, column=None):
        return action != "query" and column != "credit" and model is not Counter

    def rows(self, principal, action, model):
        return Order.status != "kept" if model is Order else None


@pytest.fixture
def shop(make_site):
    return opened(make_site)


def opened(make_site, view=CustomerView, **options):
    site = make_site(Base, **options).register_all({Customer: view})
    site.admin.heard = []
    with site.session() as session:
        session.add(Counter(hits=0))
        orders = [Order(status="new"), Order(status="new")]
        session.add(Customer(name="Ann", notes="As it was", credit=7, orders=orders))
        session.add(Customer(name="Bob"))
        session.commit()
    return site


def send(site, page="edit", id=1, **data):
    values = {} if id is None else {"id": id}
    return site.client.post(site.url(Customer, page, **values), data=data)


def seen(response):
    return re.search(r'name="_reviewed" value="([^"]+)"', response.text)[1]


def heading(response):
    return re.search(r"<h1>(.*?)</h1>", response.text)[1]


def names(site):
    with site.session() as session:
        return list(session.scalars(sa.select(Customer.name).order_by(Customer.id)))


def hits(site):
    with site.session() as session:
        return session.get(Counter, 1).hits


def test_a_review_tells_what_a_save_would_do_and_is_applied_then(shop):
    response = send(shop, name="Anne", _review="1")
    assert heading(response) == "This will change 1 customer and 1 counter"
    assert "<del>Ann</del>" in response.text
    assert "<ins>Anne</ins>" in response.text
    assert "UPDATE customer SET name=" in response.text
    assert (names(shop), hits(shop), shop.admin.heard) == (["Ann", "Bob"], 0, ["preview"])
    response = send(shop, name="Anne", _reviewed=seen(response))
    assert (response.status_code, names(shop), hits(shop)) == (302, ["Anne", "Bob"], 1)
    assert shop.admin.heard == ["preview", "change", "after"]


def test_back_from_a_review_marks_what_is_not_saved(shop):
    html = send(shop, name="Anne", notes="As it was", _back="1").text
    assert html.count("data-typed") == 1
    assert "data-typed" not in shop.client.get(shop.url(Customer, "edit", id=1)).text


def test_the_sql_of_a_review_is_shown_with_its_values(shop):
    data = {"name": "<b>Anne", "password": "s3cret", "photo": (io.BytesIO(b"x" * 2048), "a.png")}
    html = send(shop, **data, _review="1").text.split("<summary>SQL</summary>")[1]
    told = dict(re.findall(r'<dt class="mono">(\w+)</dt><dd class="mono">(.*?)</dd>', html))
    assert told["name"] == "&lt;b&gt;Anne"
    assert ">2.0 kB<" in told["photo"]
    assert "••••••" in told["password"]
    assert told["hits"] == "1"
    assert "s3cret" not in html


def test_what_would_do_something_else_by_now_is_shown_again(shop):
    token = seen(send(shop, name="Anne", _review="1"))
    assert send(shop, id=2, name="Rob").status_code == 302
    response = send(shop, name="Anne", _reviewed=token)
    assert (response.status_code, names(shop)) == (409, ["Ann", "Rob"])
    assert heading(response) == "It would now do something else"
    assert response.text.count(">differs<") == 1
    assert send(shop, name="Eve", _reviewed=seen(response)).status_code == 409
    assert send(shop, name="Anne", _reviewed=seen(response)).status_code == 302


def test_a_review_and_the_way_back_keep_what_was_typed(shop, controls):
    data = {"name": "Anne", "notes": "Two\r\nlines"}
    response = send(shop, **data, _review="1", csrf_token="t")
    sent = controls(response.text, "pile")
    assert sent.pop("_reviewed")
    assert sent == {"name": ["Anne"], "notes": ["Two\r\nlines"], "csrf_token": ["t"]}
    response = send(shop, **data, _back="1", _reviewed="x")
    sent = controls(response.text)
    assert (response.status_code, sent["name"], sent["notes"]) == (200, ["Anne"], ["Two\r\nlines"])
    assert names(shop) == ["Ann", "Bob"]


def test_a_refusal_is_found_by_the_review(shop):
    response = send(shop, name="Bob", _review="1")
    assert response.status_code == 400
    assert "Another row already has this value." in response.text


def test_a_new_row_is_reviewed_without_a_key_that_it_will_not_have(shop):
    response = send(shop, "create", None, name="Eve", password="x", _review="1")
    assert heading(response) == "This will create 1 customer and change 1 counter"
    assert "made when it is applied" in response.text
    assert "••••••" in response.text
    data = {"name": "Eve", "password": "x", "_reviewed": seen(response)}
    assert send(shop, "create", None, **data).status_code == 302
    assert names(shop) == ["Ann", "Bob", "Eve"]


def test_a_form_without_a_change_changes_nothing(make_site):
    class Quiet(ModelView):
        form_columns = ("name",)

    assert (
        heading(send(opened(make_site, Quiet), name="Ann", _review="1")) == "This changes nothing"
    )


def test_what_may_not_be_seen_is_counted_and_not_shown(make_site):
    site = opened(make_site, policy=Own())
    with site.session() as session:
        session.execute(sa.update(Order).where(Order.id == 1).values(status="kept"))
        session.commit()
    response = send(site, "delete", id=1, _review="1")
    assert heading(response) == "This will delete 1 customer and 1 order"
    assert "1 row that you may not see would change as well" in response.text
    assert "kept" not in response.text
    assert '<del>Ann <span class="muted">1</span></del>' in response.text
    assert "Credit" not in response.text
    assert "DELETE FROM" not in response.text
    response = send(site, id=2, name="Rob", _review="1")
    assert heading(response) == "This will change 1 customer"
    assert "1 row that you may not see would change as well" in response.text


def test_long_texts_are_told_word_by_word(shop):
    text = "The gate is <b>open</b> from eight until five, and nobody is there on Sundays at all. "
    send(shop, name="Ann", notes=text + "Ring once.")
    response = send(shop, name="Ann", notes=text + "Ring twice.", _review="1")
    assert "at all. Ring <del>once.</del><ins>twice.</ins></div>" in response.text
    assert "&lt;b&gt;open&lt;/b&gt;" in response.text


def test_a_file_is_chosen_again(shop):
    def photo(content, **data):
        file = (io.BytesIO(content), "me.png")
        return send(shop, name="Ann", photo=file, **data)

    response = photo(b"\x89PNG one", _review="1")
    assert "Choose me.png again" in response.text
    assert photo(b"\x89PNG two", _reviewed=seen(response)).status_code == 409
    assert photo(b"\x89PNG one", _reviewed=seen(response)).status_code == 302


def test_code_that_commits_by_itself_is_reviewed_as_well(make_site):
    class Plain(ModelView):
        form_columns = ("name",)

        def update_model(self, form, model):
            form.populate_obj(model)
            try:
                self.get_session().commit()
            except Exception:
                return False
            raise AssertionError("this is never committed")

    site = opened(make_site, Plain)
    assert heading(send(site, name="Anne", _review="1")) == "This will change 1 customer"
    assert names(site) == ["Ann", "Bob"]


def test_a_review_does_not_wait_long_for_others(shop, monkeypatch):
    monkeypatch.setitem(database.LIMITS, "preview", (5_000, 50))
    with shop.session() as other:
        other.execute(sa.update(Customer).values(credit=1))
        response = send(shop, name="Anne", _review="1")
    assert response.status_code == 409
    assert "Somebody else is changing the same rows just now." in response.text
    assert 'value="Anne"' in response.text


def test_a_delete_is_reviewed_and_applied(shop):
    response = send(shop, "delete", id=1, _review="1")
    assert heading(response) == "This will delete 1 customer and 2 orders"
    assert send(shop, "delete", id=1, _reviewed=seen(response)).status_code == 302
    assert names(shop) == ["Bob"]


def test_an_action_is_reviewed_up_to_its_commit(shop):
    data = {"action": "close", "rowid": "1", "confirmed": "1"}
    asked = send(shop, "action", None, action="close", rowid="1")
    assert 'name="_review"' in asked.text
    response = send(shop, "action", None, **data, _review="1")
    assert heading(response) == "This will change 2 orders"
    assert shop.admin.heard == []
    assert send(shop, "action", None, **data, _reviewed=seen(response)).status_code == 302
    assert shop.admin.heard == ["closed"]


def test_a_page_of_cells_is_reviewed(shop, controls):
    url = shop.url(Customer, "list", edit="1")
    page = shop.client.get(url).text
    assert 'name="_review"' in page
    sent = controls(page, "sheet-form") | {"row-0-name": ["Anne"]}
    post = re.search(r'id="sheet-form" method="post" action="([^"]+)"', page)[1].replace(
        "&amp;", "&"
    )
    response = shop.client.post(post, data=sent | {"_review": "1"})
    assert heading(response) == "This will change 1 customer and 1 counter"
    again = shop.client.post(post, data=sent | {"_back": "1"})
    assert (again.status_code, 'value="Anne"' in again.text) == (200, True)
    applied = shop.client.post(post, data=sent | {"_reviewed": seen(response)})
    assert (applied.status_code, names(shop)) == (302, ["Anne", "Bob"])


def test_a_row_of_several_tables_is_one_row(site):
    with site.session() as session:
        number = session.scalar(sa.select(RoadShipment.id).limit(1))
    url = site.url(RoadShipment, "delete", id=number)
    response = site.client.post(url, data={"_review": "1"})
    assert heading(response).startswith("This will delete 1 road shipment")
    assert "Shipments <span" not in response.text
    assert response.text.count("Road shipment ") == 1


def test_what_a_write_does_is_told_in_a_sentence():
    listed = ["create 1 order and 2 items", "change 1 product"]
    assert review._listed(listed, ", and ") == "create 1 order and 2 items, and change 1 product"
    assert review._listed(["1 a", "2 b", "3 c"]) == "1 a, 2 b and 3 c"
    assert review._listed([]) == ""
