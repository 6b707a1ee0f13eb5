"""What roles allow: grants add up, a denial wins, and no surface shows what they keep away."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from admin_app import Policy, Principal
from admin_app.errors import WriteRefused
from admin_app.grants import Grant, RoleGrants, covers, criterion, name_of
from examples.fleet.models import (
    AirShipment,
    Customer,
    Order,
    OrderItem,
    OrderStatus,
    Product,
    Shipment,
    Tag,
)

POLICY = Policy()


def somebody(*grants: Grant) -> Principal:
    values = {"me.email": "ana@example.com", "me.id": "1"}
    return Principal("1", "ana@example.com", is_staff=True, grants=RoleGrants(grants, values))


def test_what_no_grant_allows_is_denied() -> None:
    ana = somebody(Grant("view", "orders"), Grant("change", "orders"))
    assert POLICY.may(ana, "change", Order)
    assert not POLICY.may(ana, "delete", Order)
    assert not POLICY.may(ana, "view", Customer)
    assert POLICY.may(ana, "view"), "whoever has a grant may enter"
    assert not POLICY.may(somebody(), "view")


def test_a_denial_wins_over_every_role_that_allows() -> None:
    ana = somebody(Grant("*", "*"), Grant("delete", "orders", is_denied=True))
    assert POLICY.may(ana, "delete", Customer)
    assert not POLICY.may(ana, "delete", Order)
    assert not POLICY.may(ana, "administer")
    assert POLICY.may(somebody(Grant("*", "*")), "administer")


def test_columns_are_hidden_and_read_only_by_denials_and_chosen_by_grants() -> None:
    ana = somebody(
        Grant("view", "orders"),
        Grant("change", "orders", ("note",)),
        Grant("view", "orders", ("freight",), is_denied=True),
    )
    assert POLICY.may(ana, "view", Order, "note")
    assert not POLICY.may(ana, "view", Order, "freight")
    assert POLICY.may(ana, "change", Order)
    assert POLICY.may(ana, "change", Order, "note")
    assert not POLICY.may(ana, "change", Order, "status")


def test_rules_of_several_roles_add_up_and_a_denied_rule_takes_away(site) -> None:
    ana = somebody(
        Grant("view", "orders", rule="status__is=loaded"),
        Grant("view", "orders", rule="status__is=cancelled"),
        Grant("view", "orders", rule="id__lt=90", is_denied=True),
    )
    rows = POLICY.rows(ana, "view", Order)
    with site.session() as session:
        found = session.scalars(sa.select(Order).where(rows)).all()
        wanted = [
            o
            for o in session.scalars(sa.select(Order))
            if o.status in (OrderStatus.LOADED, OrderStatus.CANCELLED) and o.id >= 90
        ]
    assert found == wanted != []


def test_what_may_not_be_seen_cannot_be_changed_whatever_a_grant_says(site) -> None:
    ana = somebody(Grant("view", "orders", rule="id__lt=5"), Grant("change", "orders"))
    with site.session() as session:
        rows = POLICY.rows(ana, "change", Order)
        assert session.scalar(sa.select(sa.func.count(Order.id)).where(rows)) == 4


def test_a_rule_may_speak_of_whoever_is_signed_in(site) -> None:
    with site.session() as session:
        session.get(Customer, 3).email = "ana@example.com"
        session.commit()
        ana = somebody(Grant("view", "orders", rule="customer.email__is={me.email}"))
        found = session.scalars(sa.select(Order).where(POLICY.rows(ana, "view", Order))).all()
        assert {o.customer_id for o in found} == {3}


@pytest.mark.parametrize("rule", ["nothing__is=1", "status__is=no such", "page=2", ""])
def test_a_rule_that_means_nothing_lets_nothing_through(site, rule: str) -> None:
    with pytest.raises(WriteRefused):
        criterion(rule or "&", Order)
    with site.session() as session:
        for grants in (
            [Grant("view", "orders", rule=rule or "&")],
            [Grant("view", "orders"), Grant("view", "orders", is_denied=True, rule=rule or "&")],
        ):
            rows = POLICY.rows(somebody(*grants), "view", Order)
            assert session.scalars(sa.select(Order.id).where(rows)).all() == []


def test_a_model_is_called_by_its_table_and_by_its_class_where_it_shares_one() -> None:
    assert name_of(Order) == "orders"
    assert name_of(Shipment) != name_of(AirShipment)


def test_nobody_can_grant_more_than_he_has() -> None:
    own = [Grant("view", "orders"), Grant("change", "orders", rule="id__lt=5")]
    assert covers(own, [Grant("view", "orders", ("note",))]) is None
    assert covers(own, [Grant("change", "orders", rule="id__lt=5")]) is None
    for more in (
        Grant("change", "orders"),
        Grant("delete", "orders"),
        Grant("view", "*"),
        Grant("*", "orders"),
    ):
        assert covers(own, [more]) == more
    hidden = Grant("view", "orders", ("note",), is_denied=True)
    assert covers([*own, hidden], [Grant("view", "orders")]) is not None
    assert covers([*own, hidden], [Grant("view", "orders"), hidden]) is None


class Visitor:
    """A sign-in that knows one person."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal

    def init_app(self, app: Any, admin: Any) -> None:
        """Nothing to prepare."""

    def identify(self) -> Principal:
        return self.principal

    def sign_in_url(self, next_url: str) -> None:
        return None

    def sign_out_url(self) -> None:
        return None


EVERY = ("view", "add", "change", "delete", "export", "history", "undo", "query")


@pytest.fixture
def clerk(own_site):
    """The sample as a clerk sees it: delivered orders without their notes; order 84 is another."""
    with own_site.session() as session:
        session.get(Order, 1).note = "hidden note"
        session.get(Order, 84).note = "note outside"
        session.get(Order, 84).number = "number outside"
        session.get(Order, 84).status = OrderStatus.CANCELLED
        session.commit()
    grants = [
        *(Grant(a, "orders", rule="status__is=delivered") for a in EVERY),
        *(Grant(a, "orders", ("note",), is_denied=True) for a in ("view", "add", "change")),
        *(Grant(a, m) for a in EVERY for m in ("customers", "order_items")),
    ]
    own_site.admin.sign_in = Visitor(somebody(*grants))
    return own_site


ASKED = [
    "/order/?page_size=1000",
    "/order/?columns=id,note",
    "/order/?sort=note",
    "/order/?group=note",
    "/order/?totals=note:max",
    "/order/?note__contains=hidden",
    "/order/?search=hidden",
    "/order/facets/?page_size=100",
    "/order/query/?note__contains=x",
    "/order/details/?id=1",
    "/order/edit/?id=1",
    "/order/delete/?id=1",
    "/order/?edit=1",
    "/customer/details/?id={customer}",
    "/customer/edit/?id={customer}",
    "/customer/delete/?id={customer}",
    "/customer/?orders.note__contains=hidden",
    "/customer/?orders.number__contains=number",
    "/orderitem/?columns=order_id,order.note",
    "/orderitem/?columns=order_id,order,order.number&order_id__is=84",
    "/orderitem/export/csv/?columns=order_id,order,order.number&order_id__is=84",
    "/orderitem/edit/?id={item}",
    "/orderitem/details/?id={item}",
    "/orderitem/?sort=order.note",
    "/orderitem/?order.note__contains=hidden",
    "/orderitem/lookup/order/?q=number",
    "/search/?q=hidden",
    "/search/?q=outside",
]
"""Addresses under the admin, of every kind of page that shows rows."""


def test_no_surface_shows_a_hidden_column_or_a_row_out_of_reach(clerk) -> None:
    with clerk.session() as session:
        customer = session.get(Order, 84).customer_id
        item = session.scalars(sa.select(OrderItem).filter_by(order_id=84)).first()
        key = ",".join(map(str, sa.inspect(item).identity))
    client = clerk.client
    for url in ASKED:
        response = client.get("/admin" + url.format(customer=customer, item=key))
        assert response.status_code in (200, 400), url
        for text in ("hidden note", "note outside", "number outside"):
            assert text not in response.text, (url, text)
    for page in ("details", "edit", "delete"):
        assert client.get(f"/admin/order/{page}/?id=84").status_code == 404
    assert client.get("/admin/vehicle/").status_code == 403


def test_a_hidden_column_tells_nothing_by_what_it_matches(clerk) -> None:
    client = clerk.client
    everything = client.get("/admin/order/?count=exact").text
    total = everything.split(" orders", 1)[0].rpartition(">")[2].strip()
    for url in ("?note__contains=hidden", "?search=hidden%20note"):
        page = client.get(f"/admin/order/{url}&count=exact").text
        assert "hidden note</" not in page
    assert total in client.get("/admin/order/?note__contains=hidden&count=exact").text


def test_a_form_writes_neither_hidden_nor_read_only_columns(clerk) -> None:
    grants = clerk.admin.sign_in.principal.grants.grants
    read_only = Grant("change", "orders", ("freight",), is_denied=True)
    clerk.admin.sign_in = Visitor(somebody(*grants, read_only))
    page = clerk.client.get("/admin/order/edit/?id=1").text
    assert 'name="note"' not in page
    assert 'name="freight"' not in page
    assert "Freight" in page
    data = {"note": "forged", "freight": "1.00", "deliver_on": "2026-01-02"}
    assert clerk.client.post("/admin/order/edit/?id=1", data=data).status_code == 302
    with clerk.session() as session:
        order = session.get(Order, 1)
        assert (order.note, str(order.deliver_on)) == ("hidden note", "2026-01-02")
        assert str(order.freight) != "1.00"


def test_members_out_of_reach_stay_when_a_collection_is_saved(clerk, controls) -> None:
    with clerk.session() as session:
        product = session.get(Product, 1)
        product.tags = session.scalars(sa.select(Tag).order_by(Tag.id).limit(4)).all()
        first, *_, last = [tag.id for tag in product.tags]
        session.commit()
    grants = [Grant(a, "products") for a in ("view", "change")]
    rule = Grant("view", "tags", rule=f"id__lt={last}")
    clerk.admin.sign_in = Visitor(somebody(*grants, rule))
    url = "/admin/product/edit/?id=1"
    sent = controls(clerk.client.get(url).text)
    shown = sent["tags"][0].split(",")
    assert str(last) not in shown
    response = clerk.client.post(url, data={**sent, "tags": ",".join(shown[1:])})
    assert response.status_code == 302
    with clerk.session() as session:
        kept = {tag.id for tag in session.get(Product, 1).tags}
    assert last in kept
    assert first not in kept
