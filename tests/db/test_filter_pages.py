"""The form of a list's filters, and filters in words."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from admin_app import ModelView, Policy
from examples.fleet import models as fleet
from tests.db.conftest import Site


def chips(page: str) -> list[str]:
    found = re.findall(r'class="chip"><span>(.*?)</span><a', page, re.DOTALL)
    return [html.unescape(re.sub(r"<.*?>", "", chip)).strip() for chip in found]


@pytest.fixture
def form(site, controls):
    """Presses a button of the form of orders: ``form("apply", {"w.1.column": ["id"]})``."""

    def press(button: str, fields: dict[str, list[str]]) -> Any:
        return site.client.get(site.url(fleet.Order), query_string={"filter": button, **fields})

    return press


def leads_to(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 303
    return parse_qsl(urlsplit(answer.location).query)


def line(place: str, column: str, operator: str, *values: str) -> dict[str, list[str]]:
    return {
        f"w.{place}.column": [column],
        f"w.{place}.operator": [operator],
        f"w.{place}.value": list(values),
    }


def test_filters_stand_as_chips_in_words(site):
    query = (
        "customer__is=3&pickup_address.country__not=FR&status__is=DRAFT&status__is=ON_THE_WAY"
        "&placed_at__during=last_7_days&freight__between=10..20&is_express__is=true"
        "&any1:note__empty=1&any1:id__gt=5&items~1:quantity__gt=5&items__empty=1"
    )
    page = site.client.get(f"{site.url(fleet.Order)}?{query}").text
    with site.session() as session:
        name = session.get(fleet.Customer, 3).name
    assert chips(page) == [
        f"Customer is {name}",
        "Pickup address country is not FR",
        "Status is draft or on the way",
        "Placed at is in the last 7 days",
        "Freight is between 10 and 20",
        "Is express: yes",
        "Any of: note is empty or id is more than 5",
        "Some of items: quantity is more than 5",
        "Items are not there",
    ]


def test_labels_of_all_chips_cost_one_statement(site, statements):
    url = site.url(fleet.Order)
    pairs = "customer__is=3&customer__is=4&pickup_address__is=2&delivery_address__is=7"
    with statements(site.engine) as seen:
        assert site.client.get(f"{url}?{pairs}").status_code == 200
    assert len(seen) <= 4


def test_each_chip_leads_to_the_list_without_it(site):
    page = site.client.get(f"{site.url(fleet.Order)}?id__gt=5&number__contains=a&sort=id").text
    links = re.findall(r'class="chip">.*?href="(.*?)"', page, re.DOTALL)
    assert ["id__gt" in link for link in links] == [False, True]
    assert all("sort=id" in link for link in links)
    clear = re.search(r'href="([^"]*)">Clear all filters', page)[1]
    assert clear.endswith("?sort=id")


def test_the_form_leads_to_the_address_of_the_list(form):
    fields = {
        **line("1", "status", "is", "DRAFT", "LOADED"),
        **line("2", "freight", "between", "10", "20"),
        **line("3", "customer", "not", "3,4"),
        **line("4", "items", "filled"),
        **line("5", "placed_at", "during", "the last 7 days"),
        **line("6", "", ""),
        "sort": ["-id"],
        "number__is": ["an old filter"],
    }
    assert leads_to(form("apply", fields)) == [
        *[("sort", "-id"), ("status__is", "DRAFT"), ("status__is", "LOADED")],
        *[("freight__between", "10..20"), ("customer__not", "3"), ("customer__not", "4")],
        *[("items__filled", "1"), ("placed_at__during", "last_7_days")],
    ]


def test_groups_of_the_form_are_groups_of_the_address(form):
    fields = {
        "w.kind": ["any"],
        **line("1", "id", "is", "5"),
        "w.2.kind": ["some:items"],
        **line("2.1", "quantity", "gt", "5"),
        **line("2.2", "product.name", "contains", "a"),
        "w.3.keep": ["none1.any1:number__is=1&none1.any1:id__is=2"],
    }
    assert leads_to(form("apply", fields)) == [
        ("any1:id__is", "5"),
        ("any1.items~1:quantity__gt", "5"),
        ("any1.items~1:product.name__contains", "a"),
        ("any1.none1.any1:number__is", "1"),
        ("any1.none1.any1:id__is", "2"),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "id__gt=5&customer__is=3&customer__is=4&placed_at__between=2026-01-01..2026-02-01",
        "any1:is_express__is=true&any1:note__empty=1&any1.all1:id__gt=5&any1.all1:id__lt=9",
        "items~1:quantity__gt=5&items!1:product.name__contains=a&none1.any1:id__is=5&number__is=a%2Cb",
        "customer.addresses.customer.name__is=deeper&is_express__is=true&deliver_on__during=today",
    ],
)
def test_the_form_of_a_filtered_list_sent_as_it_is_changes_nothing(site, controls, query):
    url = site.url(fleet.Order)
    page = site.client.get(f"{url}?filter=edit&{query}").text
    sent = controls(page, "filters-form")
    answer = site.client.get(url, query_string={**sent, "filter": "apply"})
    assert leads_to(answer) == parse_qsl(query)


def test_buttons_of_the_form_add_and_drop_what_it_asks(form, controls):
    fields = line("1", "id", "gt", "5")
    names = controls(form("group", fields).text, "filters-form")
    assert {"w.1.value", "w.2.kind", "w.2.1.column"} <= set(names)
    names = controls(form("or.1", fields).text, "filters-form")
    assert names["w.1.value"] == ["5", ""]
    names = controls(
        form("drop.1", {**fields, **line("2", "number", "is", "a")}).text, "filters-form"
    )
    assert names["w.1.column"] == ["number"]


def test_a_column_that_was_chosen_anew_has_its_own_operators_and_no_old_value(form, controls):
    fields = {**line("1", "placed_at", "contains", "5"), "w.1.was": ["number"]}
    page = form("update", fields).text
    assert controls(page, "filters-form")["w.1.value"] == [""]
    assert ">is before</option>" in page
    assert ">contains</option>" not in page


def test_what_is_wrong_in_the_form_is_told_there(form):
    answer = form("apply", {**line("1", "id", "gt", "many"), **line("2", "number", "is", "")})
    assert answer.status_code == 200
    assert "This is not a whole number." in answer.text
    assert "Number: there is no value yet." in answer.text
    assert 'value="many"' in answer.text


@pytest.mark.parametrize(
    "fields",
    [
        {"w.1.column": ["__class__"], "w.1.value": ["x"]},
        {"w.kind": ["nothing"], "w.0.column": ["id"], "w.999.value": ["\0"]},
        {"w.1.kind": ["some:nothing"], "w.1.1.column": ["id"]},
        {"w.1.kind": ["some:customer.metadata"], "w.1.1.column": ["id"]},
        {"w.1.keep": ["%00\0&&=__is"]},
        {f"w.{n}.column": ["id"] for n in range(999)},
    ],
)
def test_a_form_that_nobody_drew_is_answered(form, fields):
    for button in ("apply", "add.1", "drop.9.9", "or.1", "group", "nothing", "edit"):
        assert form(button, fields).status_code in (200, 303, 400)


def test_the_form_offers_columns_two_relationships_away(site):
    page = site.client.get(f"{site.url(fleet.Order)}?filter=edit").text
    for name in (
        "number",
        "customer",
        "customer.name",
        "customer.addresses.city",
        "items.product.sku",
    ):
        assert f'<option value="{name}">' in page


def test_rows_for_a_filter_are_looked_up(site):
    page = site.client.get(f"{site.url(fleet.Order)}?filter=edit&customer__is=3").text
    url = html.unescape(re.search(r'data-lookup-url="([^"]*)"', page)[1])
    assert site.client.get(f"{url}?q=").json["items"]
    assert site.client.get(url.replace("customer", "password")).status_code == 404


class Named(ModelView):
    column_filters = ["status", "customer.name", "items"]


def test_column_filters_limit_what_is_offered_and_followed(fleet_url):
    site = Site(fleet_url).register_all({fleet.Order: Named})
    url = site.url(fleet.Order)
    page = site.client.get(f"{url}?filter=edit").text
    offered = set(re.findall(r'<option value="([^"]*)">', page.split("</select>")[1]))
    assert {"status", "items", "customer.name", "items.quantity"} <= offered
    assert "note" not in offered
    told = site.client.get(f"{url}?customer.email__filled=1&customer.name__is=a&note__empty=1").text
    assert len(chips(told)) == 2
    assert "cannot be filtered by “customer.email”" in told


UNKNOWN_TO_FLASK_ADMIN = ["json", "pickle", "large_binary", "interval"]


class NamedSpecimens(ModelView):
    column_filters = ["name", *UNKNOWN_TO_FLASK_ADMIN]


def test_column_filters_may_name_a_column_of_any_type(fleet_url):
    site = Site(fleet_url).register_all({fleet.Specimen: NamedSpecimens})
    url = site.url(fleet.Specimen)
    for name in UNKNOWN_TO_FLASK_ADMIN:
        assert len(chips(site.client.get(f"{url}?{name}__empty=1").text)) == 1


class Hiding(Policy):
    def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
        return column != "email" and model is not fleet.Document


def test_what_the_policy_hides_is_neither_offered_nor_followed(fleet_url):
    site = Site(fleet_url, policy=Hiding()).register_all()
    url = site.url(fleet.Order)
    page = site.client.get(f"{url}?filter=edit&customer.email__is=a&documents.filename__is=a").text
    assert "customer.email" not in page.split('<form class="filters"')[1]
    assert "documents" not in page.split('<form class="filters"')[1]


def test_a_narrowed_list_says_of_how_many_rows_and_leads_to_all_of_them(site, statements):
    url = site.url(fleet.Order)
    site.client.get(url)
    with statements(site.engine) as seen:
        page = site.client.get(f"{url}?status__is=DELIVERED&search=o&sort=-id&page_size=10").text
    assert re.search(r'\d orders of 120 \(<a [^>]*href="[^"?]*\?sort=-id[^"]*">show all', page)
    assert len(seen) <= 4
    assert " of 120" not in site.client.get(f"{url}?id__lt=0").text
