"""Choosing a file of ticked rows in a browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect


def test_ticked_rows_are_downloaded_with_a_related_column(page: Page, fleet, axe) -> None:
    page.goto(fleet.at("order/?sort=-id"))
    for at in (1, 3):
        page.locator("tbody input[name=rowid]").nth(at).check()
    page.get_by_role("button", name="Export…").click()
    expect(page.get_by_text("2 orders that you have chosen")).to_be_visible()
    assert axe(page) == []
    page.get_by_text("More columns").click()
    page.get_by_label("Find a column").fill("customer email")
    page.locator("[data-more] [value='customer.email']").click()
    expect(page.get_by_label("Customer › Email", exact=True)).to_be_focused()
    page.get_by_label("Semicolon").check()
    with page.expect_download() as told:
        page.get_by_role("button", name="Export 2 orders").click()
    titles, *rows = Path(told.value.path()).read_text().splitlines()
    assert told.value.suggested_filename.startswith("Orders_")
    assert titles.endswith(";Customer email")
    assert [row.split(";")[0][-3:] for row in rows] == ["119", "117"]
    page.get_by_label("Excel (XLSX)").check()
    expect(page.get_by_label("Semicolon")).to_be_hidden()
