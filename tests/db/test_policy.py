"""Every route asks who is there and what he may; the policy is asked on every surface."""

from __future__ import annotations

from typing import Any

import flask
import pytest
import sqlalchemy as sa
from flask_admin import BaseView, expose

from admin_app import ModelView, Policy, Principal
from examples.fleet.models import Customer, Driver, Order, Tag, Task
from tests.db.conftest import Site

PUBLIC = {"admin_asset", "admin_theme", "admin_accounts.login"}
"""What a stranger may ask for: no data is behind it."""


class Visitor:
    """A sign-in whose answer the test decides."""

    def __init__(self, principal: Principal | None = None) -> None:
        self.principal = principal

    def init_app(self, app: flask.Flask, admin: Any) -> None:
        """Nothing to prepare."""

    def identify(self) -> Principal | None:
        return self.principal

    def sign_in_url(self, next_url: str) -> str | None:
        return f"/sign-in?next={next_url}"

    def sign_out_url(self) -> str | None:
        return None


STAFF = Principal("1", "Ana", is_staff=True)
GUEST = Principal("2", "Guest")


class OwnPage(BaseView):
    """A page that a host adds, with no thought of who may see it."""

    @expose("/")
    def index(self) -> str:
        return "secret figures"


def routes(app: flask.Flask) -> list[tuple[str, str, str]]:
    """Endpoint, method and a URL of every rule under the admin."""
    found = []
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/admin"):
            continue
        values = dict.fromkeys(rule.arguments, "csv")
        with app.test_request_context():
            url = flask.url_for(rule.endpoint, **values)
        found += [(rule.endpoint, m, url) for m in rule.methods - {"OPTIONS", "HEAD"}]
    return found


@pytest.fixture
def guarded(make_site):
    """A site of the sample behind its own accounts, with a page of the host's."""
    from examples.fleet.models import Base

    site = make_site(Base, sign_in="accounts").register_all()
    site.admin.add_view(OwnPage(name="Own", endpoint="own"))
    return site


def test_no_route_lets_a_stranger_in(guarded):
    seen = 0
    for endpoint, method, url in routes(guarded.app):
        if endpoint in PUBLIC or endpoint.endswith(".static"):
            continue
        response = guarded.client.open(url, method=method)
        assert response.status_code in (302, 303, 401, 403), (endpoint, method)
        if response.status_code in (302, 303):
            assert response.location.startswith("/admin/login"), endpoint
        seen += 1
    assert seen > 100


def test_no_route_lets_somebody_in_whom_the_policy_does_not_know(fleet_url, own_site):
    own_site.admin.add_view(OwnPage(name="Own", endpoint="own"))
    own_site.admin.sign_in = Visitor(GUEST)
    for endpoint, method, url in routes(own_site.app):
        if endpoint in PUBLIC or endpoint.endswith(".static"):
            continue
        assert own_site.client.open(url, method=method).status_code == 403, (endpoint, method)


def test_an_unknown_path_sends_a_stranger_to_sign_in(guarded):
    response = guarded.client.get("/admin/no/such/page?x=1")
    assert response.status_code == 302
    assert response.location.startswith("/admin/login?next=")
    assert "no%2Fsuch%2Fpage" in response.location or "no/such/page" in response.location


def test_the_menu_tells_a_stranger_nothing(guarded):
    page = guarded.client.get("/admin/login").text
    assert "Telemetr" not in page


class Narrow(Policy):
    """Everything of orders below 10; no other model."""

    def may(self, principal, action, model=None, column=None):
        known = model in (None, Order)
        return super().may(principal, action, model, column) and known

    def rows(self, principal, action, model):
        return Order.id < 10 if model is Order else None


@pytest.fixture
def narrow(own_site):
    own_site.admin.policy = Narrow()
    return own_site


def test_a_row_outside_ones_reach_is_missing_on_every_page(narrow):
    for page in ("details", "edit", "delete"):
        url = narrow.url(Order, page)
        assert narrow.client.get(f"{url}?id=9").status_code == 200
        assert narrow.client.get(f"{url}?id=10").status_code == 404
        if page != "details":
            assert narrow.client.post(f"{url}?id=10", data={"note": "x"}).status_code == 404


def test_a_list_counts_and_shows_only_what_is_in_reach(narrow):
    page = narrow.client.get(narrow.url(Order)).text
    assert "9 orders" in page
    assert page.count('name="rowid"') == 9


def test_an_action_runs_over_rows_in_reach_only(narrow):
    data = {"action": "delete", "rowid": ["10"], "confirmed": "1"}
    narrow.client.post(narrow.url(Order, "action"), data=data)
    with narrow.session() as session:
        assert session.get(Order, 10) is not None


def test_a_model_outside_ones_reach_is_forbidden_and_not_in_the_menu(narrow):
    assert narrow.client.get(narrow.url(Customer)).status_code == 403
    menu = narrow.client.get("/admin/").text
    assert "Orders" in menu
    assert "Customers" not in menu


def test_a_related_row_of_a_forbidden_model_is_no_link_and_not_looked_up(narrow):
    page = narrow.client.get(narrow.url(Order)).text
    assert "/admin/customer/" not in page
    assert narrow.client.get("/admin/order/lookup/customer/?q=").status_code == 403


class ReadOnly(Policy):
    def may(self, principal, action, model=None, column=None):
        return super().may(principal, action, model, column) and action == "view"


def test_who_may_only_look_finds_no_way_to_write(own_site):
    own_site.admin.policy = ReadOnly()
    page = own_site.client.get(own_site.url(Tag)).text
    assert "New tag" not in page
    assert " · view only" in page
    assert 'name="rowid"' not in page or "Delete" not in page
    assert own_site.client.get(own_site.url(Tag, "create")).status_code == 403
    assert own_site.client.post(own_site.url(Tag, "create"), data={"name": "x"}).status_code == 403
    assert (
        own_site.client.post(f"{own_site.url(Tag, 'edit')}?id=1", data={"name": "x"}).status_code
        == 403
    )
    assert own_site.client.post(f"{own_site.url(Tag, 'delete')}?id=1").status_code == 403
    data = {"action": "delete", "rowid": ["1"], "confirmed": "1"}
    assert own_site.client.post(own_site.url(Tag, "action"), data=data).status_code == 403
    with own_site.session() as session:
        assert session.scalar(sa.select(Tag).filter_by(name="x")) is None


UNSAFE = ["/admin/tag/new/", "/admin/tag/delete/?id=1", "/admin/tag/action/", "/admin/theme"]


@pytest.mark.parametrize("url", UNSAFE)
def test_every_unsafe_request_without_a_token_is_refused_in_a_sentence(own_site, url):
    own_site.app.config["WTF_CSRF_ENABLED"] = True
    response = own_site.client.post(url, data={"name": "forged"})
    assert response.status_code == 400
    assert "Nothing was saved." in response.text
    with own_site.session() as session:
        assert session.scalar(sa.select(Tag).filter_by(name="forged")) is None
        assert session.get(Tag, 1) is not None


def test_what_the_database_holds_is_escaped_on_every_page(site):
    evil = "<img src=x onerror=alert(1)>\"'"
    with site.session() as session:
        session.add(Tag(name=evil))
        session.commit()
        id_ = session.scalar(sa.select(Tag.id).filter_by(name=evil))
    for url in (
        site.url(Tag),
        *(f"{site.url(Tag, p)}?id={id_}" for p in ("details", "edit", "delete")),
    ):
        page = site.client.get(url).text
        assert "onerror=alert" in page
        assert "<img src=x" not in page
    answer = site.client.get("/admin/product/lookup/tags/?q=onerror")
    assert answer.content_type == "application/json"


def test_every_page_carries_the_strict_policy_for_scripts(site):
    response = site.client.get(site.url(Tag))
    csp = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in csp
    assert "unsafe" not in csp
    assert response.headers["Cache-Control"] == "no-store"
    assert "style=" not in response.text
    assert "onclick" not in response.text


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil", "javascript:x"]
)
def test_no_argument_leads_off_the_site(site, target):
    response = site.client.post(
        f"/admin/tag/new/?url={target}", data={"name": "there", "url": target}
    )
    assert response.status_code == 302
    assert response.location == "/admin/tag/"


class Narrowed(ModelView):
    """Lists tags with an x in their name, and no other."""

    def get_query(self):
        return super().get_query().filter(Tag.name.contains("x"))


@pytest.mark.parametrize("page", ["create", "edit"])
@pytest.mark.parametrize("button", [{}, {"_continue_editing": "1"}])
def test_a_save_that_leads_out_of_a_list_says_so_and_links_to_nothing(fleet_url, page, button):
    site = Site(fleet_url).register_all(views={Tag: Narrowed})
    with site.session() as session:
        session.add(Tag(id=900, name="fox"))
        session.commit()
    url = site.url(Tag, "create") if page == "create" else f"{site.url(Tag, 'edit')}?id=900"
    response = site.client.post(url, data={"name": "gone", **button}, follow_redirects=True)
    assert response.request.path == site.url(Tag)
    assert "“gone” is" in response.text
    assert "It is no longer among the rows that you see." in response.text
    assert "gone</a>" not in response.text


class Own(Policy):
    """Tags with an x in their name, and no other; tasks of the first driver."""

    def rows(self, principal, action, model):
        own = {Tag: Tag.name.contains("x"), Task: Task.driver.has(Driver.id == 1)}
        return own.get(model)


@pytest.mark.parametrize("page", ["create", "edit"])
def test_a_save_that_leads_out_of_reach_is_refused_at_the_field(own_site, page):
    with own_site.session() as session:
        session.add(Tag(id=900, name="fox"))
        session.commit()
    own_site.admin.policy = Own()
    url = own_site.url(Tag, "create") if page == "create" else f"{own_site.url(Tag, 'edit')}?id=900"
    response = own_site.client.post(url, data={"name": "gone"})
    assert response.status_code == 400
    assert "With these values the tag would be out of your reach." in response.text
    assert 'id="name-error"' in response.text
    assert own_site.client.post(url, data={"name": "ox"}).status_code == 302
    with own_site.session() as session:
        assert session.scalar(sa.select(Tag).filter_by(name="gone")) is None


def test_cells_that_lead_rows_out_of_reach_are_refused(fleet_url, controls):
    class Tasks(ModelView):
        column_list = column_editable_list = ("title", "driver")

    site = Site(fleet_url, policy=Own()).register_all(views={Task: Tasks})
    with site.session() as session:
        session.execute(sa.update(Task).values(driver_id=1))
        session.commit()
    sent = controls(site.client.get(site.url(Task) + "?edit=1").text, "sheet-form")
    name = next(n for n in sent if n.startswith("row-") and n.endswith("-driver"))
    response = site.client.post(site.url(Task) + "cells/", data={**sent, name: "2"})
    assert response.status_code == 400
    with site.session() as session:
        assert set(session.scalars(sa.select(Task.driver_id))) == {1}


class OneCustomer(Policy):
    """All orders, but of the customers the first only."""

    def rows(self, principal, action, model):
        return Customer.id == 1 if model is Customer else None


@pytest.mark.parametrize("is_registered", [True, False])
def test_a_picker_offers_rows_in_reach_only_and_takes_no_other(fleet_url, controls, is_registered):
    site = Site(fleet_url, policy=OneCustomer())
    for model in (Order, Customer) if is_registered else (Order,):
        site.admin.register(model)
    found = site.client.get(f"{site.url(Order)}lookup/customer/?q=").json["items"]
    assert [item["id"] for item in found] == ["1"]
    url = f"{site.url(Order, 'edit')}?id=1"
    sent = controls(site.client.get(url).text)
    other = "3" if sent["customer"] == ["2"] else "2"
    response = site.client.post(url, data={**sent, "customer": other})
    assert response.status_code == 400
    assert "There is no row" in response.text


@pytest.mark.parametrize("is_registered", [True, False])
def test_a_picker_of_a_class_that_may_not_be_seen_is_forbidden(fleet_url, is_registered):
    site = Site(fleet_url, policy=Narrow())
    for model in (Order, Customer) if is_registered else (Order,):
        site.admin.register(model)
    assert site.client.get(f"{site.url(Order)}lookup/customer/?q=").status_code == 403
