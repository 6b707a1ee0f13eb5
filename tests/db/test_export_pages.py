"""The page on which a file is chosen, and the files of ticked rows."""

from __future__ import annotations

import csv
import io
import re

import sqlalchemy as sa

from admin_app import ModelView
from examples.fleet.models import Customer, Order, OrderStatus, Vehicle


def sent(site, controls, page: str, **changed) -> str:
    """What the form of ``page`` is answered, with some of its fields changed."""
    form = controls(page, "export-form") | changed
    is_post = 'id="export-form" method="post"' in page
    ask = site.client.post if is_post else site.client.get
    given = {"data": form} if is_post else {"query_string": form}
    return ask("/admin/order/export/", **given, follow_redirects=False)


def test_what_the_page_chooses_is_the_address_of_the_file(site, controls):
    page = site.client.get("/admin/order/export/?status__is=DELIVERED&sort=-number").text
    with site.session() as session:
        delivered = sa.select(sa.func.count(Order.id)).where(Order.status == OrderStatus.DELIVERED)
        count = session.scalar(delivered)
    assert f"Export {count:,} orders</button>" in page
    assert page.count('name="column" value="customer.name"') == 1
    chosen = {"column": ["number", "customer.name"], "at:number": "2", "at:customer.name": "1"}
    answer = sent(site, controls, page, **chosen, values="raw", zone="Asia/Tokyo", bom="1")
    url = answer.headers["Location"]
    assert answer.status_code == 303
    assert url == (
        "/admin/order/export/csv/?status__is=DELIVERED&sort=-number&columns=customer.name,number"
        "&values=raw&zone=Asia/Tokyo&bom=1"
    )
    lines = site.client.get(url).data.decode("utf-8-sig").splitlines()
    assert (lines[0], len(lines)) == ("customer.name,number", count + 1)


def test_every_column_can_be_asked_for_without_ticking_it(site, controls):
    page = site.client.get("/admin/order/export/").text
    answer = sent(site, controls, page, every="1", format="jsonl", column=["id", "customer.name"])
    assert answer.headers["Location"].endswith("/jsonl/?columns=*,customer.name&zone=UTC")
    file = site.client.get(answer.headers["Location"])
    assert '"version": ' in file.text
    assert '"customer.name": ' in file.text
    none = sent(site, controls, page, column=[])
    assert none.status_code == 400
    assert "Choose at least one column" in none.text


def test_ticked_rows_are_exported_and_many_are_posted(site, controls):
    few = {"action": "export", "rowid": ["3", "1"], "url": "/admin/order/?sort=-id&columns=id"}
    page = site.client.post("/admin/order/action/", data=few).text
    assert "2 orders that you have chosen" in page
    url = sent(site, controls, page).headers["Location"]
    assert site.client.get(url).text.split() == ["Id", "3", "1"]
    details = site.client.get("/admin/order/details/?id=3").text
    assert 'name="one" value="export:3"' in details
    keys = [str(key) for key in range(1, 601)]
    page = site.client.post("/admin/order/action/", data=few | {"rowid": keys}).text
    file = sent(site, controls, page)
    assert file.mimetype == "text/csv"
    assert len(file.text.split()) == 121


def test_all_rows_that_match_are_exported_but_for_those_left_out(site, controls):
    across = {"action": "export", "across": "1", "q.id__lt": "6", "except": ["2", "4"]}
    page = site.client.post("/admin/order/action/", data=across).text
    assert re.search(r"3 orders, as the list is filtered", page)
    url = sent(site, controls, page, column="id").headers["Location"]
    assert site.client.get(url).text.split() == ["Id", "1", "3", "5"]


def test_nothing_of_exports_is_there_where_they_are_switched_off(own_site):
    off = type("Off", (ModelView,), {"can_export": False})
    own_site.admin.register(Customer, off, endpoint="off")
    assert "Export" not in own_site.client.get("/admin/off/").text
    assert own_site.client.get("/admin/off/export/").status_code == 403
    sent = {"action": "export", "rowid": "1"}
    assert own_site.client.post("/admin/off/action/", data=sent).status_code == 403


def test_a_host_that_names_the_columns_of_files_lets_choose_among_them(own_site):
    named = {"column_export_list": ["plate", "kind"]}
    own_site.admin.register(Vehicle, type("Named", (ModelView,), named), endpoint="named")
    page = own_site.client.get("/admin/named/export/").text
    assert set(re.findall('name="column" value="([^"]+)"', page)) == {"plate", "kind"}
    file = own_site.client.get("/admin/named/export/csv/?columns=kind,id").text
    assert next(csv.reader(io.StringIO(file))) == ["Kind"]
