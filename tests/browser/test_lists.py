"""The list in a browser: ticking rows, order, search and pages, and the way to a row and back."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, Page, expect

from examples.fleet.models import Driver, Task, Telemetry


def ticks(page: Page) -> Locator:
    return page.locator("[name=rowid]")


def first_cells(page: Page) -> list[str]:
    return page.locator("tbody td.key").all_inner_texts()


def rows(page: Page) -> Locator:
    return page.locator("tbody tr")


def counter(page: Page) -> Locator:
    return page.locator("[data-tick-count]")


def test_the_bar_of_actions_is_there_once_a_row_is_ticked(page: Page, fleet) -> None:
    page.goto(fleet.at("task/"))
    expect(counter(page)).to_be_hidden()
    ticks(page).nth(2).check()
    expect(counter(page)).to_have_text("1 selected")
    expect(page.get_by_role("button", name="Archive")).to_be_visible()


def test_the_box_above_ticks_every_row_of_the_page_and_none(page: Page, fleet) -> None:
    page.goto(fleet.at("telemetry/"))
    box = page.get_by_label("Tick every row of this page")
    box.check()
    expect(counter(page)).to_have_text("50 selected")
    box.uncheck()
    expect(counter(page)).to_be_hidden()


def test_the_box_above_tells_that_some_rows_are_ticked(page: Page, fleet) -> None:
    page.goto(fleet.at("task/"))
    ticks(page).first.check()
    assert page.locator("[data-tick-all]").evaluate("box => box.indeterminate")


def test_a_click_with_shift_ticks_all_rows_between(page: Page, fleet) -> None:
    page.goto(fleet.at("task/"))
    ticks(page).nth(1).click()
    ticks(page).nth(5).click(modifiers=["Shift"])
    expect(counter(page)).to_have_text("5 selected")
    ticks(page).nth(3).click(modifiers=["Shift"])
    expect(counter(page)).to_have_text("2 selected")


def test_ticks_stay_on_other_pages_and_all_that_match_can_be_chosen_but_for_some(
    page: Page, fleet
) -> None:
    page.goto(fleet.at("order/?page_size=20"))
    ticks(page).nth(1).check()
    page.get_by_role("link", name="Next ›").click()
    ticks(page).nth(2).check()
    expect(counter(page)).to_have_text("2 selected, 1 on other pages")
    page.get_by_role("link", name="Select all 120 matching").click()
    expect(counter(page)).to_have_text("All 120 selected")
    ticks(page).nth(3).uncheck()
    page.get_by_role("link", name="Next ›").click()
    expect(counter(page)).to_have_text("119 of 120 selected")
    page.get_by_role("button", name="Edit…").click()
    page.locator("[name=do-status]").select_option("Set to")
    page.get_by_label("Status: value").select_option("loaded")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Change", level=1)).to_be_visible()
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_text("orders are changed.")).to_be_visible()
    page.goto(fleet.at("order/?status__not=LOADED"))
    expect(rows(page)).to_have_count(1)


def test_clear_unticks_every_row(page: Page, fleet) -> None:
    page.goto(fleet.at("task/"))
    ticks(page).nth(1).check()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("[name=rowid]:checked")).to_have_count(0)


def test_ticks_are_told_again_when_one_comes_back(page: Page, fleet) -> None:
    page.goto(fleet.at("task/"))
    ticks(page).nth(1).check()
    page.get_by_role("link", name="New task").click()
    page.go_back()
    ticked = page.locator("[name=rowid]:checked").count()
    expect(counter(page)).to_have_text(f"{ticked} selected")


def test_ticked_rows_are_deleted_once_that_is_confirmed(page: Page, fleet) -> None:
    page.goto(fleet.at("task/"))
    for n in (0, 1, 2):
        ticks(page).nth(n).check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete 3 tasks?")).to_be_visible()
    expect(page.locator("main .rows li")).to_have_count(3)
    assert fleet.one(sa.func.count(Task.id)) == 48
    page.get_by_role("button", name="Delete 3 tasks").click()
    expect(page.get_by_text("3 tasks are deleted.")).to_be_visible()
    assert fleet.one(sa.func.count(Task.id)) == 45


def test_cancel_deletes_nothing(page: Page, fleet) -> None:
    page.goto(fleet.at("task/?search=a&sort=-title"))
    ticks(page).first.check()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page).to_have_url(fleet.at("task/?search=a&sort=-title"))
    assert fleet.one(sa.func.count(Task.id)) == 48


def test_a_heading_orders_the_list_and_turns_it_round(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    heading = page.get_by_role("columnheader", name="Last name")
    assert heading.get_attribute("aria-sort") is None
    heading.get_by_role("link").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    heading.get_by_role("link").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    names = page.locator("tbody tr td:nth-child(4)").all_inner_texts()
    assert names == sorted(names, reverse=True)


def test_back_brings_the_last_order_again(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    before = first_cells(page)
    page.get_by_role("columnheader", name="Last name").get_by_role("link").click()
    expect(page).to_have_url(fleet.at("driver/?sort=last_name"))
    page.go_back()
    assert first_cells(page) == before


def test_what_is_searched_for_is_found_and_cleared(page: Page, fleet) -> None:
    name = fleet.one(Driver.last_name)
    page.goto(fleet.at("driver/?sort=-last_name"))
    page.get_by_placeholder("Search drivers").fill(name)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"sort=-last_name.*search=|search=.*sort=-last_name"))
    assert all(name in text for text in rows(page).all_inner_texts())
    page.get_by_role("link", name="Clear the search").click()
    expect(rows(page)).to_have_count(12)


def test_a_search_without_a_match_says_so_and_leads_back(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/?search=nobody"))
    expect(page.get_by_text("No drivers match “nobody”.")).to_be_visible()
    page.get_by_role("link", name="Show all drivers").click()
    expect(rows(page)).to_have_count(12)


def test_an_empty_table_offers_its_first_row(page: Page, fleet) -> None:
    fleet.run(sa.delete(Task))
    page.goto(fleet.at("task/"))
    expect(page.get_by_text("There are no tasks yet.")).to_be_visible()
    page.locator("main .empty").get_by_role("link", name="New task").click()
    expect(page.get_by_role("heading", name="New task")).to_be_visible()


def test_pages_follow_each_other_to_the_last_and_back(page: Page, fleet) -> None:
    page.goto(fleet.at("telemetry/"))
    foot = page.locator(".foot > span").first
    expect(foot).to_have_text("1–50")
    page.get_by_role("link", name="Next").click()
    expect(foot).to_have_text("51–100")
    numbers = page.get_by_label("Pages", exact=True).get_by_role("link", name=re.compile(r"\d"))
    numbers.last.click()
    expect(page.get_by_role("link", name="Next")).to_have_count(0)
    assert fleet.one(sa.func.max(Telemetry.id)) == int(first_cells(page)[-1])
    numbers.first.click()
    expect(foot).to_have_text("1–50")


def test_the_size_of_a_page_is_chosen(page: Page, fleet) -> None:
    page.goto(fleet.at("telemetry/"))
    page.locator("summary", has_text="50 a page").click()
    page.get_by_role("link", name="20 rows a page").click()
    expect(rows(page)).to_have_count(20)
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".foot > span").first).to_have_text("21–40")


def test_a_page_past_the_last_says_so(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/?page=9"))
    expect(page.get_by_text("This page is past the last row")).to_be_visible()
    page.get_by_role("link", name="Go to the first page").click()
    expect(rows(page)).to_have_count(12)


def test_a_long_value_is_cut_and_whole_in_its_title(page: Page, fleet) -> None:
    title = "Fetch the empty crates that stand behind the hall " * 2
    fleet.run(sa.update(Task).values(title=title))
    page.goto(fleet.at("task/"))
    cell = page.locator("td.key .cut").first
    expect(cell).to_have_attribute("title", title)
    shown = cell.inner_text()
    assert shown.endswith("…")
    assert len(shown) < len(title)


def test_a_long_related_label_leaves_room_for_other_columns(page: Page, fleet) -> None:
    fleet.run(sa.update(Driver).values(last_name="of the very long name of the very long name"))
    page.goto(fleet.at("task/?sort=-driver"))
    link = page.locator("tbody a[href*='/driver/']").first
    assert link.bounding_box()["width"] < 280
    expect(link).to_have_attribute("title", re.compile("of the very long name of the very long"))


def test_from_a_row_to_its_details_and_form_and_back_to_the_same_list(page: Page, fleet) -> None:
    state = {"page=1", "page_size=20", "search=a", "sort=-title"}
    page.goto(fleet.at("task/?" + "&".join(sorted(state))))
    before = first_cells(page)
    page.locator("td.key a").nth(1).click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Details").fill("Looked at")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is saved.")).to_be_visible()
    assert set(page.url.partition("?")[2].split("&")) == state
    assert first_cells(page) == before


@pytest.mark.parametrize("way", ["View", "Edit", "Delete…"])
def test_every_link_of_a_row_leads_back_to_the_same_list(way: str, page: Page, fleet) -> None:
    page.goto(fleet.at("driver/?sort=-last_name"))
    page.locator("tbody tr").first.get_by_title(way).click()
    page.locator("header .crumbs").get_by_role("link", name="Drivers").click()
    expect(page).to_have_url(fleet.at("driver/?sort=-last_name"))


def test_a_related_row_is_one_click_away(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    page.set_viewport_size({"width": 1440, "height": 800})
    page.locator("tbody a[href*='/depot/']").first.click()
    expect(page.get_by_role("link", name="Edit")).to_be_visible()
    assert "/depot/details/" in page.url


def test_the_letters_j_k_and_x_walk_and_tick(page: Page, fleet) -> None:
    page.goto(fleet.at("task/"))
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(counter(page)).to_have_text("2 selected")
    assert ticks(page).nth(0).is_checked()
    assert ticks(page).nth(1).is_checked()


def test_enter_opens_the_row_that_has_the_focus(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Edit")).to_be_visible()
    assert "/driver/details/" in page.url


def test_the_head_of_a_long_list_stays_in_sight(page: Page, fleet) -> None:
    page.goto(fleet.at("telemetry/"))
    before = page.get_by_role("columnheader", name="Speed").bounding_box()
    page.locator(".scroll").evaluate("list => list.scrollTop = 900")
    assert page.get_by_role("columnheader", name="Speed").bounding_box() == before
    expect(page.get_by_role("link", name="Next")).to_be_in_viewport()
