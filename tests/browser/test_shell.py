"""The frame of every page: keys, focus, the drawer of a phone, themes, and what a page costs."""

from __future__ import annotations

import gzip

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, Response, expect

from examples.fleet.models import Customer


def filter_box(page: Page):
    return page.get_by_role("searchbox", name="Filter models")


def test_the_first_tab_offers_to_skip_to_the_content(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_slash_leads_to_the_filter_of_models(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    page.keyboard.press("/")
    expect(filter_box(page)).to_be_focused()
    expect(filter_box(page)).to_have_value("")


def test_the_first_page_introduces_the_models(page: Page, fleet) -> None:
    page.goto(fleet.at())
    orders = page.locator("#directory li", has_text="Orders")
    expect(orders).to_contain_text("What customers want carried")
    orders.click()
    expect(page).to_have_url(fleet.at("order/"))


def test_the_first_page_offers_new_rows_where_one_may_add_some(page: Page, fleet) -> None:
    page.goto(fleet.at())
    expect(page.get_by_role("link", name="New: Telemetry")).to_have_count(0)
    page.get_by_role("link", name="New: Tags").click()
    expect(page.get_by_role("heading", name="New tag")).to_be_visible()


def test_what_was_saved_can_be_undone_as_long_as_somebody_is_at_it(page: Page, fleet) -> None:
    page.goto(fleet.at("customer/edit/?id=1"))
    name = page.get_by_label("Name").input_value()
    page.get_by_label("Name").fill("Somebody else")
    page.get_by_role("button", name="Save", exact=True).click()
    toast = page.locator(".toasts .message")
    expect(toast).to_contain_text("is saved")
    expect(toast).to_be_in_viewport(ratio=1)
    dismiss = toast.get_by_role("button", name="Dismiss")
    expect(dismiss).to_be_visible()
    page.clock.install()
    toast.hover()
    page.clock.run_for(120_000)
    expect(toast).to_be_visible()
    page.mouse.move(1, 1)
    page.clock.run_for(29_000)
    toast.get_by_role("link", name="Undo").focus()
    page.clock.run_for(120_000)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Undo").click()
    expect(toast).to_contain_text("One row is undone")
    toast.get_by_role("link", name="Undo").focus()
    page.keyboard.press("Escape")
    page.clock.run_for(1_000)
    expect(toast).to_have_count(0)
    expect(page.locator("main")).to_be_focused()
    expect(page.locator("ins").get_by_text(name)).to_be_visible()


def test_the_filter_leaves_the_models_that_match(page: Page, fleet) -> None:
    page.goto(fleet.at())
    filter_box(page).fill("ship")
    expect(page.locator("#side-list li:visible")).to_have_text(
        ["Air shipments", "Road shipments", "Shipments"]
    )
    filter_box(page).fill("nothing of this name")
    expect(page.locator("#side-list")).to_contain_text("Nothing matches")


def test_enter_opens_the_first_model_that_matches(page: Page, fleet) -> None:
    page.goto(fleet.at())
    page.keyboard.press("/")
    page.keyboard.type("vehi")
    page.keyboard.press("Enter")
    expect(page).to_have_url(fleet.at("vehicle/"))


def test_arrows_walk_from_the_filter_through_the_models(page: Page, fleet) -> None:
    page.goto(fleet.at())
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#side-list").get_by_role("link", name="Air shipments")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(filter_box(page)).to_be_focused()


def test_escape_empties_the_filter(page: Page, fleet) -> None:
    page.goto(fleet.at())
    page.keyboard.press("/")
    page.keyboard.type("vehi")
    page.keyboard.press("Escape")
    expect(filter_box(page)).to_have_value("")
    items = page.locator("#side-list [data-filter-item]")
    assert items.count() > 10
    expect(items.locator("visible=true")).to_have_count(items.count())


def test_the_letter_s_leads_to_the_search(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/?search=a"))
    page.keyboard.press("s")
    expect(page.get_by_role("searchbox", name="Search drivers")).to_be_focused()
    page.keyboard.type("s/")
    expect(page.get_by_role("searchbox", name="Search drivers")).to_have_value("s/")


def walk(page: Page, limit: int = 90) -> list[dict]:
    """Each place that Tab reaches, in order: what it is, whether its focus can be seen."""
    found: list[dict] = []
    for _ in range(limit):
        page.keyboard.press("Tab")
        place = page.evaluate(
            """() => {
              const node = document.activeElement;
              if (node === document.body) return null;
              const style = getComputedStyle(node.closest(".ts-control") ?? node);
              const box = node.getBoundingClientRect();
              const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 1
                && !/(, 0\\)|transparent)$/.test(style.outlineColor);
              return {
                name: node.getAttribute("aria-label") ?? node.textContent.trim() ?? node.id,
                part: node.closest("nav.side, header, main, .skip, .banner")?.nodeName,
                html: node.outerHTML.slice(0, 120),
                seen: (outline || style.boxShadow !== "none") && box.width > 0 && box.height > 0
                  && getComputedStyle(node).visibility === "visible",
              };
            }"""
        )
        if place is None:
            break
        found.append(place)
    return found


@pytest.mark.parametrize("path", ["", "depot/", "vehicle/edit/?id=1"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_wherever_tab_leads_the_focus_can_be_seen(
    path: str, scheme: str, page: Page, fleet
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(fleet.at(path))
    places = walk(page)
    assert len(places) > 20
    assert [place["html"] for place in places if not place["seen"]] == []


def test_tab_goes_from_the_models_by_the_bar_into_the_page(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    parts = list(dict.fromkeys(place["part"] for place in walk(page)))
    assert parts == ["A", "NAV", "HEADER", "MAIN"]


def test_in_a_form_tab_goes_from_field_to_field_to_the_button(page: Page, fleet) -> None:
    page.goto(fleet.at("tag/edit/?id=1"))
    page.get_by_label("Name").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_focused()


@pytest.fixture
def phone(page: Page) -> Page:
    page.set_viewport_size({"width": 390, "height": 844})
    return page


def test_on_a_phone_the_models_are_in_a_drawer(phone: Page, fleet) -> None:
    phone.goto(fleet.at("driver/"))
    expect(phone.locator("#side-bar")).to_be_hidden()
    phone.get_by_role("button", name="Models").click()
    phone.locator("#side-bar").get_by_role("link", name="Vehicles").click()
    expect(phone).to_have_url(fleet.at("vehicle/"))
    expect(phone.locator("#side-bar")).to_be_hidden()


def test_on_a_phone_the_way_back_can_be_read(phone: Page, fleet) -> None:
    fleet.run(sa.update(Customer).values(name="Merchants of a very long name that fills a phone"))
    phone.goto(fleet.at("customer/details/?id=1"))
    back = phone.locator("header .crumbs").get_by_role("link", name="Customers")
    assert back.evaluate("link => link.scrollWidth <= link.clientWidth")
    back.click()
    expect(phone).to_have_url(fleet.at("customer/"))


def test_escape_closes_the_drawer_and_the_focus_returns(phone: Page, fleet) -> None:
    phone.goto(fleet.at("driver/"))
    phone.get_by_role("button", name="Models").focus()
    phone.keyboard.press("Enter")
    expect(phone.locator("#side-bar")).to_be_visible()
    phone.keyboard.press("Tab")
    phone.keyboard.press("Escape")
    expect(phone.locator("#side-bar")).to_be_hidden()
    expect(phone.get_by_role("button", name="Models")).to_be_focused()


def test_a_tap_beside_the_drawer_closes_it(phone: Page, fleet) -> None:
    phone.goto(fleet.at("driver/"))
    phone.get_by_role("button", name="Models").click()
    expect(phone.locator("#side-bar")).to_be_visible()
    phone.mouse.click(380, 600)
    expect(phone.locator("#side-bar")).to_be_hidden()


def test_slash_opens_the_drawer_of_a_phone(phone: Page, fleet) -> None:
    phone.goto(fleet.at("driver/"))
    phone.keyboard.press("/")
    expect(filter_box(phone)).to_be_focused()


def test_escape_closes_a_menu_and_the_focus_returns(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    page.locator("header summary").click()
    page.get_by_role("button", name="Dark").focus()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Dark")).to_be_hidden()
    expect(page.locator("header summary")).to_be_focused()


def test_a_click_elsewhere_closes_a_menu(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    page.locator("header summary").click()
    page.get_by_role("heading", name="Drivers").click()
    expect(page.get_by_role("button", name="Dark")).to_be_hidden()


BACKGROUND = "getComputedStyle(document.body).backgroundColor"
DARK, LIGHT = "rgb(19, 20, 23)", "rgb(251, 251, 250)"


@pytest.mark.parametrize(("scheme", "ground"), [("light", LIGHT), ("dark", DARK)])
def test_colours_follow_the_system(scheme: str, ground: str, page: Page, fleet) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(fleet.at())
    assert page.evaluate(BACKGROUND) == ground


def choose(page: Page, theme: str) -> None:
    page.locator("header summary").click()
    with page.expect_response("**/theme"):
        page.get_by_role("button", name=theme).click()


def test_a_theme_is_switched_at_once_and_remembered(page: Page, fleet) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(fleet.at("driver/"))
    choose(page, "Dark")
    assert page.evaluate(BACKGROUND) == DARK
    page.reload()
    assert page.evaluate(BACKGROUND) == DARK
    page.locator("header summary").click()
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")


def test_a_theme_is_given_back_to_the_system(page: Page, fleet) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(fleet.at("driver/"))
    choose(page, "Dark")
    page.reload()
    choose(page, "System")
    page.reload()
    assert page.evaluate(BACKGROUND) == LIGHT


def test_typed_values_survive_a_change_of_theme(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/edit/?id=1"))
    page.get_by_label("Phone").fill("7")
    choose(page, "Dark")
    expect(page.get_by_label("Phone")).to_have_value("7")


def test_open_access_is_told_on_every_page(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    expect(page.get_by_text("Nobody has to sign in here")).to_be_visible()


def loaded(page: Page, url: str) -> list[Response]:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(url, wait_until="networkidle")
    return answers


def sent(answer: Response) -> int:
    """The bytes of a body as they come; a page is compressed by whatever stands before us."""
    if "/assets/" in answer.url:
        return int(answer.headers["content-length"])
    return len(gzip.compress(answer.body()))


def test_a_list_loads_few_and_small_files(page: Page, fleet) -> None:
    answers = loaded(page, fleet.at("order/"))
    assert len(answers) <= 7
    assert sum(map(sent, answers)) <= 64_000


def test_a_form_loads_few_and_small_files(page: Page, fleet) -> None:
    answers = loaded(page, fleet.at("order/edit/?id=1"))
    assert len(answers) <= 9
    assert sum(map(sent, answers)) <= 64_000


def test_files_come_compressed_and_are_kept_for_ever(page: Page, fleet) -> None:
    files = [a for a in loaded(page, fleet.at("order/")) if "/assets/" in a.url]
    assert len(files) >= 3
    assert {a.headers["cache-control"] for a in files} == {"public, max-age=31536000, immutable"}
    large = [a for a in files if not a.url.endswith(".svg")]
    assert {a.headers.get("content-encoding") for a in large} == {"gzip"}


def test_a_file_is_asked_for_once(page: Page, fleet) -> None:
    page.goto(fleet.at("order/"), wait_until="networkidle")
    page.goto(fleet.at("driver/"), wait_until="networkidle")
    sizes = page.evaluate(
        "performance.getEntriesByType('resource').map(entry => entry.transferSize)"
    )
    assert len(sizes) >= 3
    assert sum(sizes) == 0


def test_printed_a_list_is_its_table_alone(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    page.emulate_media(media="print")
    expect(page.locator("#side-bar")).to_be_hidden()
    expect(page.locator("header.bar")).to_be_hidden()
    expect(page.get_by_role("columnheader", name="Last name")).to_be_visible()


def test_the_browser_tells_its_time_zone(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    page.wait_for_load_state("networkidle")
    zone = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    cookies = {c["name"]: c for c in page.context.cookies()}
    assert cookies["admin_time_zone"]["value"] == zone
    assert fleet.at().endswith(cookies["admin_time_zone"]["path"])
