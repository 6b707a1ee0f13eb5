"""Accounts and roles are edited in the admin, and nobody gives himself what he was not given."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from admin_app import Principal, sessions
from admin_app.accounts import Role, User
from admin_app.errors import WriteRefused
from admin_app.grants import Grant, GrantRecord, RoleGrants

PASSWORD = "a long enough password"


class As:
    """Answers in place of the session cookie: signing in is tried elsewhere, and takes long."""

    def __init__(self, site: Any) -> None:
        self.site, self.email = site, "root@example.com"

    def identify(self) -> Principal:
        accounts = self.site.admin.sign_in
        return accounts.principal_of(accounts.find_user(self.email))


@pytest.fixture
def site(make_site, monkeypatch):
    """Accounts root, who may do everything, and ana and bob, who have no role yet."""
    from examples.fleet.models import Base

    made = make_site(Base, sign_in="accounts", history=True).register_all()
    accounts = made.admin.sign_in
    with made.app.app_context():
        for name in ("root", "ana", "bob"):
            accounts.create_user(f"{name}@example.com", PASSWORD)
    made.who = As(made)
    monkeypatch.setattr(accounts, "identify", made.who.identify)
    return made


def role(site, name, *grants, members=()):
    """A role with these grants, given to the accounts of these names; its id."""
    with site.app.app_context():
        accounts = site.admin.sign_in
        accounts.allow(name, grants)
        for member in members:
            accounts.give(accounts.find_user(f"{member}@example.com"), name)
        return accounts.role(name).id


def held(site, id_):
    with site.session() as session:
        found = session.scalars(sa.select(GrantRecord).filter_by(role_id=id_)).all()
        return {(g.model, g.action, g.columns, g.is_denied, g.rule) for g in found}


def test_the_first_account_may_do_everything_and_the_next_nothing(site):
    assert site.client.get("/admin/order/").status_code == 200
    site.who.email = "ana@example.com"
    response = site.client.get("/admin/order/")
    assert response.status_code == 403
    assert "no role" in site.client.get("/admin/").text


def test_a_role_is_made_filled_and_given_in_the_admin(site):
    made = site.client.post("/admin/roles/new/", data={"name": "Clerks", "users": "2"})
    assert made.location.startswith("/admin/roles/grants/")
    data = {"allow": ["orders|view", "orders|change", "forged|view", "orders|forged"]}
    assert site.client.post(made.location, data=data).status_code == 303
    id_ = int(made.location.split("id=")[1])
    assert {g[:2] for g in held(site, id_)} == {("orders", "view"), ("orders", "change")}
    narrow = {
        "rule": "https://example.com/admin/order/?status__is=delivered&page=3",
        "column:note": "hidden",
        "column:customer": "read",
        "action": "query",
    }
    url = f"/admin/roles/model/?id={id_}&of=orders"
    assert site.client.post(url, data=narrow).status_code == 303
    rule = "status__is=delivered"
    assert held(site, id_) == {
        ("orders", "view", None, False, rule),
        ("orders", "change", None, False, rule),
        ("orders", "query", None, False, rule),
        ("orders", "view", "note", True, None),
        ("orders", "add", "note,customer,customer_id", True, None),
        ("orders", "change", "note,customer,customer_id", True, None),
    }
    page = site.client.get(f"/admin/roles/grants/?id={id_}").text
    assert "where status is delivered" in page
    # The boxes are sent again as they are: nothing that they do not show is lost.
    before = held(site, id_)
    site.client.post(made.location, data={"allow": ["orders|view", "orders|change"]})
    assert held(site, id_) == before
    site.who.email = "ana@example.com"
    assert site.client.get("/admin/order/").status_code == 200
    assert site.client.get("/admin/customer/").status_code == 403


def test_only_what_decides_something_can_be_ticked(site):
    id_ = role(site, "Clerks", Grant("view", "orders"))
    page = site.client.get(f"/admin/roles/model/?id={id_}&of=orders").text
    assert 'name="action" value="query"' in page
    # The built-in “Edit…” goes by the right to change.
    assert 'name="action" value="edit"' not in page


def test_a_rule_that_means_nothing_is_refused_at_its_field(site):
    id_ = role(site, "Clerks", Grant("view", "orders"))
    url = f"/admin/roles/model/?id={id_}&of=orders"
    response = site.client.post(url, data={"rule": "nowhere__is=1"})
    assert response.status_code == 400
    assert 'id="rule-error"' in response.text
    assert held(site, id_) == {("orders", "view", None, False, None)}
    assert site.client.get(f"/admin/roles/model/?id={id_}&of=no_such").status_code == 404


def manager(site):
    """Bob looks after accounts and roles, and may view orders; ana's role may delete them."""
    every = ("view", "add", "change", "delete")
    own = [Grant(a, m) for a in every for m in ("admin_user", "admin_role")]
    role(site, "Managers", *own, Grant("view", "orders"), members=["bob"])
    more = role(site, "Deleters", Grant("delete", "orders"), members=["ana"])
    less = role(site, "Viewers", Grant("view", "orders"))
    site.who.email = "bob@example.com"
    return more, less


def test_nobody_gives_more_than_he_has(site):
    more, less = manager(site)
    client = site.client
    allowed = client.post(f"/admin/roles/grants/?id={less}", data={"allow": "orders|view"})
    assert allowed.status_code == 303
    refused = client.post(f"/admin/roles/grants/?id={less}", data={"allow": "orders|delete"})
    assert refused.status_code == 400
    assert "You may not do that yourself" in refused.text
    for data in ({"everything": "1"}, {"allow": "*|view"}):
        assert client.post(f"/admin/roles/grants/?id={less}", data=data).status_code == 400
    assert held(site, less) == {("orders", "view", None, False, None)}
    assert client.post(f"/admin/roles/grants/?id={more}", data={}).status_code == 404
    assert client.get(f"/admin/roles/edit/?id={more}").status_code == 404


def test_nobody_reaches_an_account_that_may_do_more_nor_gives_such_a_role(site):
    more, less = manager(site)
    client = site.client
    for id_ in (1, 2):
        data = {"email": "x@example.com", "new_password": "another password", "active": "y"}
        assert client.post(f"/admin/accounts/edit/?id={id_}", data=data).status_code == 404
        assert client.post(f"/admin/accounts/delete/?id={id_}", data={}).status_code == 404
    data = {"email": "eve@example.com", "new_password": PASSWORD, "active": "y"}
    refused = client.post("/admin/accounts/new/", data={**data, "roles": str(more)})
    assert refused.status_code == 400
    assert client.post("/admin/accounts/new/", data={**data, "roles": str(less)}).status_code == 302
    with site.session() as session:
        eve = session.scalar(sa.select(User).filter_by(email="eve@example.com"))
        assert [r.name for r in eve.roles] == ["Viewers"]


def test_somebody_is_always_left_who_may_do_everything(site):
    data = {"email": "root@example.com", "active": "", "roles": "1"}
    response = site.client.post("/admin/accounts/edit/?id=1", data=data)
    assert response.status_code in (200, 400)
    assert "Somebody must be left" in response.text
    assert site.client.post("/admin/roles/grants/?id=1", data={}).status_code == 400
    site.client.post("/admin/accounts/delete/?id=1", data={})
    site.client.post("/admin/roles/delete/?id=1", data={})
    with site.session() as session:
        assert session.get(User, 1).active
        assert session.get(Role, 1) is not None
    with site.app.app_context():
        accounts = site.admin.sign_in
        root = accounts.find_user("root@example.com")
        with pytest.raises(WriteRefused):
            accounts.take(root, "Administrators")


def test_no_page_shows_or_takes_what_only_the_sign_in_knows(site):
    with site.session() as session:
        root = session.get(User, 1)
        secrets = (root.password, root.fs_uniquifier)
    for url in (
        "?columns=email,password,fs_uniquifier",
        "?fs_uniquifier__filled=1",
        "details/?id=1",
    ):
        page = site.client.get(f"/admin/accounts/{url}").text
        assert not any(secret in page for secret in secrets)
    data = {"email": "root@example.com", "active": "y", "roles": "1", "password": "x"}
    site.client.post("/admin/accounts/edit/?id=1", data={**data, "fs_uniquifier": "forged"})
    with site.session() as session:
        root = session.get(User, 1)
        assert (root.password, root.fs_uniquifier) == secrets


def test_a_new_password_ends_every_session_and_is_not_in_the_history(site):
    with site.session() as session:
        before = session.get(User, 2).fs_uniquifier
    data = {"email": "ana@example.com", "active": "y", "new_password": "short"}
    assert site.client.post("/admin/accounts/edit/?id=2", data=data).status_code == 400
    data["new_password"] = "quite another password"
    assert site.client.post("/admin/accounts/edit/?id=2", data=data).status_code == 302
    with site.session() as session:
        ana = session.get(User, 2)
        assert ana.fs_uniquifier != before
        kept = str(session.execute(sa.text("SELECT old, new FROM admin_row_change")).all())
    assert ana.password not in kept
    assert ana.fs_uniquifier not in kept


def test_a_change_of_grants_is_in_the_history(site):
    id_ = role(site, "Clerks", Grant("view", "orders"))
    data = {"allow": "orders|change"}
    assert site.client.post(f"/admin/roles/grants/?id={id_}", data=data).status_code == 303
    with site.session() as session:
        rows = session.execute(
            sa.text("SELECT table_name, kind FROM admin_row_change ORDER BY kind")
        ).all()
    assert [tuple(r) for r in rows] == [("admin_grant", "delete"), ("admin_grant", "insert")]


def test_who_may_what_names_the_rule_that_decides(site):
    role(site, "Clerks", Grant("view", "orders", rule="id__lt=5"), members=["ana"])
    ask = "/admin/roles/why/?account=ana@example.com&model=orders&action="
    yes = site.client.get(f"{ask}view").text
    assert "<b>Yes</b>" in yes
    assert "The role “Clerks” says: view of Orders where" in yes
    no = site.client.get(f"{ask}delete").text
    assert "<b>No</b>" in no
    assert "No role of the account says anything of it." in no
    assert "There is no account" in site.client.get("/admin/roles/why/?account=x&model=orders").text


def test_sessions_of_an_account_are_shown_and_ended(site):
    with site.app.app_context():
        session = site.admin.session
        for user_id, agent in ((1, "Firefox/1 Linux"), (2, "Chrome/1 Windows")):
            sessions.begin(session, user_id, "192.0.2.7", agent, is_kept=False)
        session.commit()
    own = site.client.get("/admin/you/").text
    assert "Firefox on Linux" in own
    assert "Chrome on Windows" not in own
    assert "Administrators" in own
    page = site.client.get("/admin/accounts/sessions/?id=2").text
    assert "Chrome on Windows" in page
    id_ = re.search(r'name="session" value="(\w+)"', page)[1]
    site.client.post("/admin/you/end/", data={"session": id_})
    assert "Chrome on Windows" in site.client.get("/admin/accounts/sessions/?id=2").text
    site.client.post("/admin/accounts/sessions/?id=2", data={"session": id_})
    assert "Chrome on Windows" not in site.client.get("/admin/accounts/sessions/?id=2").text
    manager(site)
    assert site.client.get("/admin/accounts/sessions/?id=1").status_code == 404


def test_an_older_database_lets_its_accounts_go_on(site):
    accounts = site.admin.sign_in
    with site.app.app_context():
        accounts._session.execute(sa.delete(GrantRecord))
        accounts._session.commit()
        assert accounts.appoint_all() == 3
        assert accounts.appoint_all() == 0
        ana = accounts.principal_of(accounts.find_user("ana@example.com"))
    assert isinstance(ana.grants, RoleGrants)
    assert ana.grants.may("administer", None)
