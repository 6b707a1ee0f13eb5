"""Every kind of page in both themes and on a phone: nothing for axe to find, nothing cut off."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from examples.fleet.models import License, Telemetry

LOOKS = {
    "light": ({"width": 1280, "height": 800}, "light"),
    "dark": ({"width": 1280, "height": 800}, "dark"),
    "phone": ({"width": 390, "height": 844}, "light"),
}


@pytest.fixture(params=LOOKS)
def look(request: pytest.FixtureRequest, page: Page) -> str:
    """The page in one of the looks; a test that asks for it runs in each."""
    size, scheme = LOOKS[request.param]
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    return request.param


def plain(path: str) -> Callable[..., None]:
    return lambda page, fleet: page.goto(fleet.at(path))


def empty_list(page: Page, fleet) -> None:
    fleet.run(sa.delete(Telemetry))
    page.goto(fleet.at("telemetry/"))


def bad_form(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/edit/?id=1"))
    page.get_by_label("Hourly wage").fill("a lot")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("alert").wait_for()


def confirmed_action(page: Page, fleet) -> None:
    page.goto(fleet.at("task/"))
    page.locator("[name=rowid]").first.check()
    page.get_by_role("button", name="Archive").click()
    page.get_by_role("heading", name="Archive the selected tasks?").wait_for()


def ticked_list(page: Page, fleet) -> None:
    page.goto(fleet.at("order/?page_size=20"))
    page.locator("[name=rowid]").nth(1).check()


def many_edited(page: Page, fleet) -> None:
    ticked_list(page, fleet)
    page.get_by_role("button", name="Edit…").click()
    page.locator("[name=do-note]").select_option("Replace text")


def open_picker(page: Page, fleet) -> None:
    page.goto(fleet.at("vehicle/edit/?id=1"))
    page.locator("#driver-ts-control").click()
    page.locator(".ts-dropdown .option").first.wait_for()


def open_menu(page: Page, fleet) -> None:
    page.goto(fleet.at("customer/"))
    page.locator("header summary").click()


def blocked_delete(page: Page, fleet) -> None:
    page.goto(fleet.at("customer/delete/?id=1"))


def licence_with_slashes(page: Page, fleet) -> None:
    page.goto(fleet.at("license/"))
    page.locator("td.key a").first.click()
    page.get_by_role("link", name="Edit").wait_for()
    assert fleet.one(License.number)


PAGES: dict[str, Callable[..., None]] = {
    "index": plain(""),
    "list": plain("order/?page_size=20"),
    "list with a row ticked": ticked_list,
    "edit of many rows": many_edited,
    "list of everything": plain("specimen/"),
    "empty list": empty_list,
    "list in groups": plain("order/?group=status&totals=freight:sum&page_size=20"),
    "choice of columns": plain("order/?choose=columns"),
    "list without a match": plain("driver/?search=nobody+of+this+name"),
    "new form": plain("order/new/"),
    "form": plain("product/edit/?id=1"),
    "form of everything": plain("specimen/edit/?id=1"),
    "form with errors": bad_form,
    "open picker": open_picker,
    "details": plain("customer/details/?id=1"),
    "details of everything": plain("specimen/details/?id=1"),
    "details of a key with slashes": licence_with_slashes,
    "delete": plain("vehicle/delete/?id=1"),
    "blocked delete": blocked_delete,
    "action": confirmed_action,
    "error": plain("driver/edit/?id=no+such+row"),
    "open menu": open_menu,
}


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_in_either_theme(name: str, page: Page, fleet, axe) -> None:
    size, scheme = LOOKS["light"]
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    PAGES[name](page, fleet)
    assert axe(page) == []
    page.emulate_media(color_scheme="dark")
    assert axe(page) == []


def test_axe_finds_nothing_on_the_way_in(look: str, page: Page, guarded, sign_in, axe) -> None:
    page.goto(guarded.at())
    assert axe(page) == []
    sign_in(page, "wrong")
    expect(page.get_by_text("do not belong together").first).to_be_visible()
    assert axe(page) == []


def test_axe_finds_nothing_in_the_drawer(page: Page, fleet, axe) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(fleet.at("driver/"))
    page.get_by_role("button", name="Models").click()
    expect(page.locator("#side-bar")).to_be_visible()
    assert axe(page) == []


def overflow(page: Page) -> list[int]:
    """By how many pixels the page is wider than a phone, and than a small one."""
    found = []
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        found.append(max(0, page.evaluate("document.documentElement.scrollWidth") - width))
    return found


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_axe_finds_nothing_and_a_page_scrolls_down_only(
    name: str, page: Page, fleet, axe
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    PAGES[name](page, fleet)
    assert axe(page) == []
    assert overflow(page) == [0, 0]


def test_on_a_phone_the_way_in_scrolls_down_only(page: Page, guarded) -> None:
    page.goto(guarded.at())
    assert overflow(page) == [0, 0]
