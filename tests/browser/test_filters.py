"""The form of filters beside a list, made by a script of the page that it is without one."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect


def open_form(page: Page, url: str) -> Locator:
    page.goto(url)
    page.get_by_role("link", name="Filter", exact=True).press("Enter")
    sheet = page.get_by_role("dialog", name="Filter")
    expect(sheet).to_be_visible()
    return sheet


def test_a_column_brings_its_operators_its_control_and_words(page: Page, fleet, axe) -> None:
    sheet = open_form(page, fleet.at("driver/"))
    sheet.get_by_label("Column").select_option("hired_on")
    sheet.get_by_label("Operator").select_option("gt")
    value = sheet.get_by_label("Value")
    expect(value).to_have_attribute("type", "date")
    value.fill("2019-06-01")
    expect(sheet.locator("[data-preview]")).to_have_text("Where hired on is after 2019-06-01.")
    assert axe(page) == []
    value.press("Enter")
    expect(page).to_have_url(re.compile(r"\?hired_on__gt=2019-06-01$"))
    expect(page.locator(".chip")).to_contain_text("Hired on is after 2019-06-01")


def test_a_related_row_is_picked_within_a_group(page: Page, fleet) -> None:
    sheet = open_form(page, fleet.at("driver/?is_active__is=true"))
    sheet.get_by_role("button", name="Add group").click()
    group = sheet.get_by_role("group", name="Group 3")
    expect(group.get_by_label("Column")).to_be_focused()
    group.get_by_label("Column").select_option("depot")
    group.locator(".ts-control input").fill("a")
    group.locator(".ts-dropdown .option").first.click()
    sheet.get_by_role("button", name="Show these rows").click()
    expect(page).to_have_url(re.compile(r"\?is_active__is=true&any1:depot__is=\w+$"))


def test_escape_leaves_the_form_for_the_link_to_it(page: Page, fleet) -> None:
    sheet = open_form(page, fleet.at("driver/"))
    expect(sheet.get_by_label("Column")).to_be_focused()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(page.get_by_role("link", name="Filter", exact=True)).to_be_focused()
