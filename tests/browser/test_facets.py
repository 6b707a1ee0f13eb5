"""Facets fetched by a script: beside the list once it stands, and kept for the tab."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def test_facets_stay_open_and_folded_from_one_list_to_the_next(page: Page, fleet, axe) -> None:
    page.goto(fleet.at("order/"))
    page.get_by_role("link", name="Facets").click()
    panel = page.get_by_role("complementary", name="Facets of orders")
    status = panel.locator("[data-facet=status]")
    status.get_by_role("link", name="delivered").click()
    expect(page).to_have_url(fleet.at("order/?status__is=DELIVERED"))
    expect(status.get_by_role("link", name="delivered")).to_have_attribute("aria-current", "true")
    status.locator("summary").click()
    panel.locator("[data-facet=placed_at]").get_by_role("link").first.click()
    expect(panel.locator("[data-facet=placed_at] .trail")).to_be_visible()
    expect(status).not_to_have_attribute("open", "")
    assert axe(page) == []
    page.get_by_role("link", name="Facets", exact=True).click()
    expect(panel).to_have_count(0)
    page.reload()
    expect(panel).to_have_count(0)


def test_a_query_is_shown_without_a_fault_of_access(page: Page, fleet, axe) -> None:
    page.goto(fleet.at("order/query/?status__is=DRAFT"))
    expect(page.get_by_role("heading", name="SQLAlchemy")).to_be_visible()
    assert axe(page) == []
