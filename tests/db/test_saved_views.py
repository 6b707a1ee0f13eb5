"""Saved views: the state of a list under a name, as tabs over it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import flask
import pytest
import sqlalchemy as sa

from admin_app import Policy
from admin_app.policy import Principal
from admin_app.saved_views import MAX_QUERY, DefaultView, SavedView
from examples.fleet.models import Customer, Order, Task
from tests.db.conftest import Site
from tests.db.journey import LIST_BUDGET


class Named:
    """A sign-in that takes who asks from the address of the request: a header «User»."""

    def init_app(self, app: flask.Flask, admin: Any) -> None: ...

    def identify(self) -> Principal:
        name = flask.request.headers.get("User", "ana")
        return Principal(name, name.title(), is_staff=True)

    def sign_in_url(self, next_url: str) -> str | None:
        return None

    def sign_out_url(self) -> str | None:
        return None


@pytest.fixture
def site(fleet_url: str) -> Site:
    return Site(fleet_url, sign_in=Named()).register_all()


def page(site: Site, arguments: str = "", user: str = "ana", model: Any = Order) -> str:
    response = site.client.get(site.url(model) + arguments, headers={"User": user})
    assert response.status_code == 200, response.location
    return response.text


def do(site: Site, what: str, user: str = "ana", model: Any = Order, **sent: Any) -> Any:
    url = site.url(model) + "view/"
    return site.client.post(url, data={"do": what, **sent}, headers={"User": user})


def save(site: Site, name: str, query: str, **kwargs: Any) -> int:
    response = do(site, "save", name=name, query=query, **kwargs)
    assert response.status_code == 303, response.text
    return int(dict(parse_qsl(urlsplit(response.location).query))["view"])


def tabs(html: str) -> list[str]:
    nav = re.search('<nav class="tab-list".*?</nav>', html, re.DOTALL)
    found = re.findall(r"<a[^>]*>(.*?)</a>", nav[0], re.DOTALL) if nav else []
    return [re.sub("<[^>]+>", "", text).strip() for text in found]


def current(html: str) -> str:
    match = re.search(r'aria-current="page">(.*?)</a>', html[html.index('class="tab-list"') :])
    assert match is not None
    return re.sub("<[^>]+>", "", match[1]).strip()


def keys(html: str) -> list[str]:
    return re.findall('name="rowid" value="([^"]+)"', html)


def test_a_list_without_views_has_no_tabs_but_offers_to_save_one(site):
    html = page(site)
    assert tabs(html) == []
    assert "Save view…" in html


def test_a_saved_view_is_a_tab_that_shows_what_it_kept(site):
    id = save(site, "Newest last", "sort=placed_at&search=a")
    html = page(site, f"?view={id}")
    assert tabs(html) == ["All", "Newest last"]
    assert keys(html) == keys(page(site, "?sort=placed_at&search=a"))


def test_the_form_of_a_new_view_keeps_what_the_list_shows(site, controls):
    html = page(site, "?sort=-freight&search=a&page_size=20&page=1")
    link = re.search('href="([^"]+)">Save view…', html)[1].replace("&amp;", "&")
    sent = controls(site.client.get(link).text)
    assert dict(parse_qsl(sent["query"][0])) == {
        "sort": "-freight",
        "search": "a",
        "page_size": "20",
    }
    response = site.client.post("/admin/order/view/", data={**sent, "name": "Dear"})
    assert response.status_code == 303


def test_a_view_keeps_no_page(site):
    id = save(site, "Long", "search=a&page=3&after=7&before=2&view=9&edit=1")
    with site.session() as session:
        assert session.get(SavedView, id).query == "search=a"


def test_other_arguments_take_the_place_of_those_of_the_view(site):
    id = save(site, "Dear", "sort=-freight&search=a")
    html = page(site, f"?view={id}&sort=freight")
    assert keys(html) == keys(page(site, "?sort=freight&search=a"))


def test_links_of_an_open_view_are_short_until_it_is_edited(site):
    id = save(site, "Dear", "sort=-freight&page_size=20")
    html = page(site, f"?view={id}")
    following = re.search('rel="next" href="([^"]+)"', html)[1]
    assert dict(parse_qsl(urlsplit(following).query.replace("&amp;", "&"))).get("view") == str(id)
    assert "sort" not in following
    assert "(edited)" not in html


def test_a_view_that_shows_something_else_by_now_is_marked(site):
    id = save(site, "Dear", "sort=-freight")
    html = page(site, f"?view={id}&search=a")
    assert current(html) == "Dear (edited)"
    assert "Update view" in html


def test_what_the_view_kept_can_be_taken_away(site):
    id = save(site, "Found", "search=nobody-has-this")
    html = page(site, f"?view={id}")
    clear = re.search('href="([^"]+)" aria-label="Clear the search"', html)[1]
    plain = site.client.get(clear.replace("&amp;", "&")).text
    assert keys(plain) == keys(page(site))
    assert current(plain) == "Found (edited)"


def test_a_view_keeps_filters_grouping_and_figures(site):
    query = "status__is=loaded&status__is=delivered&customer.name__has=a&group=status"
    query = (
        query.replace("__has=", "__contains=") + "&totals=freight:sum&columns=number,status,freight"
    )
    id = save(site, "Whole", query)
    html = page(site, f"?view={id}")
    assert keys(html) == keys(page(site, f"?{query}"))
    assert len(keys(html)) > 0
    assert "(edited)" not in html
    chip = re.search('href="([^"]+)" aria-label="Remove: [^"]*"', html)[1].replace("&amp;", "&")
    assert f"view={id}-edited" in chip


def test_the_usual_columns_can_be_had_again_in_a_view_of_others(site):
    id = save(site, "Short", "columns=number,status")
    url = f"/admin/order/?view={id}&choose=usual"
    html = site.client.get(url, follow_redirects=True).text
    assert 'data-column="freight"' in html
    assert current(html) == "Short (edited)"


def test_an_update_keeps_what_the_list_shows_now(site):
    id = save(site, "Dear", "sort=-freight")
    do(site, "update", id=id, query="sort=freight&page=2")
    html = page(site, f"?view={id}")
    assert keys(html) == keys(page(site, "?sort=freight"))
    assert "(edited)" not in html


def test_a_view_opens_exports_too(site):
    id = save(site, "Found", "search=nobody-has-this")
    view = site.admin.view_for(Order)
    view.can_export = True
    exported = site.client.get(f"/admin/order/export/csv/?view={id}").text
    assert len(exported.splitlines()) == 1


def test_a_view_is_seen_by_its_owner_alone_until_it_is_shared(site):
    id = save(site, "Mine", "search=a")
    assert tabs(page(site, user="bob")) == []
    do(site, "share", id=id)
    assert tabs(page(site, user="bob")) == ["All", "Mine (shared)"]
    do(site, "unshare", id=id)
    assert tabs(page(site, user="bob")) == []


def test_who_asks_for_a_view_of_somebody_else_is_told_and_sees_the_list(site):
    id = save(site, "Mine", "search=nobody-has-this")
    html = page(site, f"?view={id}", user="bob")
    assert "gone, or not yours to see" in html
    assert keys(html)


@pytest.mark.parametrize("asked", ["0", "999999999", "x", "1;2", "-1", "1-edit", "é", "9" * 30])
def test_a_view_that_is_none_is_told_and_shows_the_list(site, asked):
    html = page(site, f"?view={asked}")
    assert "gone, or not yours to see" in html
    assert keys(html)


@pytest.mark.parametrize("what", ["update", "rename", "share", "unshare", "delete", "move"])
def test_only_the_owner_changes_a_view(site, what):
    id = save(site, "Mine", "search=a", shared="on")
    response = do(site, what, user="bob", id=id, name="Theirs", query="search=b")
    assert response.status_code == 403
    with site.session() as session:
        kept = session.get(SavedView, id)
        assert (kept.name, kept.query, kept.is_shared) == ("Mine", "search=a", True)


@pytest.mark.parametrize("what", ["update", "rename", "delete", "default"])
def test_nothing_is_done_to_a_view_that_one_does_not_see(site, what):
    id = save(site, "Mine", "search=a")
    assert do(site, what, user="bob", id=id, name="x").status_code == 404
    assert do(site, what, id="x", name="x").status_code == 404


def test_a_view_is_renamed(site, controls):
    id = save(site, "Old", "search=a")
    url = f"/admin/order/view/?do=rename&id={id}"
    sent = controls(site.client.get(url).text)
    assert sent["name"] == ["Old"]
    site.client.post("/admin/order/view/", data={**sent, "name": "  New   name "})
    assert tabs(page(site)) == ["All", "New name"]


def test_deleting_a_view_asks_first(site):
    id = save(site, "Old", "search=a")
    asked = site.client.get(f"/admin/order/view/?do=delete&id={id}").text
    assert "Delete the view “Old”?" in asked
    assert tabs(page(site)) == ["All", "Old"]
    assert do(site, "delete", id=id).status_code == 303
    assert tabs(page(site)) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [("", "A name is needed"), (" \n ", "A name is needed"), ("x" * 81, "80"), ("a\0b", "shown")],
)
def test_a_wrong_name_is_told_and_kept(site, name, told):
    response = do(site, "save", name=name, query="search=a")
    assert response.status_code == 400
    assert told in response.text
    assert 'value="search=a"' in response.text


def test_a_name_stands_once_for_each_owner(site):
    save(site, "Same", "search=a")
    response = do(site, "save", name="Same", query="search=b")
    assert response.status_code == 400
    assert "of this name already" in response.text
    save(site, "Same", "search=b", user="bob")
    save(site, "Same", "search=b", model=Task)


def test_the_list_opens_with_the_default_view(site):
    id = save(site, "Usual", "sort=freight", default="on")
    response = site.client.get(site.url(Order))
    assert (response.status_code, response.location) == (302, f"/admin/order/?view={id}")
    assert site.client.get(site.url(Customer)).status_code == 200
    assert page(site, user="bob")


def test_a_default_view_leaves_a_way_to_all_rows(site):
    save(site, "Usual", "search=nobody-has-this", default="on")
    html = page(site, "?view=all")
    assert current(html) == "All"
    assert 'href="/admin/order/?view=all"' in html
    assert keys(html)


def test_links_of_all_rows_do_not_lead_into_the_default_view(site):
    save(site, "Usual", "search=nobody-has-this", default="on")
    html = page(site, "?view=all&search=a")
    clear = re.search('href="([^"]+)" aria-label="Clear the search"', html)[1]
    assert site.client.get(clear.replace("&amp;", "&")).status_code == 200


def test_a_shared_view_may_be_the_default_of_another(site):
    id = save(site, "Shared", "sort=freight", shared="on")
    do(site, "default", user="bob", id=id)
    url = site.url(Order)
    assert site.client.get(url, headers={"User": "bob"}).location == f"{url}?view={id}"
    assert site.client.get(url).status_code == 200


def test_the_default_is_taken_back_and_goes_with_its_view(site):
    id = save(site, "Usual", "sort=freight", default="on", shared="on")
    do(site, "default", user="bob", id=id)
    do(site, "no_default")
    assert site.client.get(site.url(Order)).status_code == 200
    do(site, "delete", id=id)
    with site.session() as session:
        assert session.scalars(sa.select(DefaultView)).all() == []
    assert page(site, user="bob")


def test_views_are_moved(site):
    for name in ("One", "Two", "Three"):
        id = save(site, name, "search=a")
    do(site, "move", id=id)
    assert tabs(page(site)) == ["All", "One", "Three", "Two"]
    do(site, "move", id=id)
    do(site, "move", id=id)
    assert tabs(page(site)) == ["All", "Three", "One", "Two"]


class NoSharing(Policy):
    def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
        return action != "share_view"


def test_sharing_asks_the_policy(fleet_url):
    site = Site(fleet_url, sign_in=Named(), policy=NoSharing()).register_all()
    assert do(site, "save", name="Mine", query="", shared="on").status_code == 403
    id = save(site, "Mine", "search=a")
    assert do(site, "share", id=id).status_code == 403
    assert "Share" not in page(site, f"?view={id}")


class Own(Policy):
    """Bob sees the orders of one customer only, and not what they cost."""

    def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
        return principal.id != "bob" or column != "freight"

    def rows(self, principal: Any, action: str, model: Any) -> Any:
        is_narrowed = principal.id == "bob" and model is Order
        return Order.customer_id == 1 if is_narrowed else None


def test_a_shared_view_shows_nobody_more_than_he_may_see(fleet_url):
    site = Site(fleet_url, sign_in=Named(), policy=Own()).register_all()
    id = save(site, "All", "sort=-freight&columns=number,freight", shared="on")
    html = page(site, f"?view={id}", user="bob")
    with site.session() as session:
        own = session.scalars(sa.select(Order.id).where(Order.customer_id == 1)).all()
    assert {int(key) for key in keys(html)} == set(own)
    assert 'data-column="number"' in html
    assert 'data-column="freight"' not in html


def test_names_that_mean_nothing_any_more_become_notes(site):
    id = save(site, "Old", "sort=-gone&search=a")
    html = page(site, f"?view={id}")
    assert "cannot be ordered by “gone”" in html
    assert keys(html)


def test_a_host_of_signs_in_a_view_hurts_nobody(site):
    id = save(site, "<b>&", urlencode({"search": "'\"<script>&%\\", "x\ny": "é💣"}))
    html = page(site, f"?view={id}")
    assert tabs(html)[1].startswith("&lt;b&gt;&amp;")
    assert "<script>&" not in html


def test_an_address_too_long_to_keep_is_refused(site):
    response = do(site, "save", name="Long", query="search=" + "a" * MAX_QUERY)
    assert response.status_code == 400
    assert do(site, "save", name="Many", query="&".join(["a=1"] * 2000)).status_code == 400


def test_nothing_else_can_be_done_to_a_view(site):
    id = save(site, "Mine", "search=a")
    assert do(site, "explode", id=id).status_code == 400
    assert site.client.get("/admin/order/view/?do=explode").status_code == 404
    assert site.client.get("/admin/order/view/").status_code == 404


def test_a_view_wants_the_token_of_the_site(site):
    site.app.config["WTF_CSRF_ENABLED"] = True
    assert do(site, "save", name="Mine", query="search=a").status_code == 400


def test_tabs_cost_one_statement(site, statements):
    save(site, "Mine", "search=a", default="on")
    with statements(site.engine) as seen:
        page(site, "?view=all")
    assert len([s for s in seen if "admin_saved_view" in s]) == 1
    assert len(seen) <= LIST_BUDGET


def test_without_the_table_there_are_no_views(fleet_url):
    site = Site(fleet_url, sign_in=Named()).register_all()
    for model in (DefaultView, SavedView):
        model.__table__.drop(site.engine)
    html = page(site)
    assert "Save view" not in html
    assert page(site, "?view=3")
    assert do(site, "save", name="Mine", query="").status_code == 404


def test_a_column_called_view_can_be_filled_in_by_the_address(site):
    save(site, "Mine", "search=a")
    assert site.client.get("/admin/task/new/?view=1&title=x").status_code == 200
