"""Choosing the columns of a list in a browser: the sheet, the order by keys, widths by drawing."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def headings(page: Page) -> list[str]:
    return [th.get_attribute("data-column") or "" for th in page.locator("th[data-column]").all()]


def test_the_sheet_adds_a_related_column_and_moves_it_by_keys(page: Page, fleet) -> None:
    page.goto(fleet.at("order/"))
    page.get_by_role("link", name="Columns").click()
    sheet = page.get_by_role("dialog", name="Columns")
    sheet.get_by_label("Find a column").fill("customer email")
    sheet.locator("[value='customer.email']").check()
    expect(sheet.get_by_label("Customer › Email", exact=True)).to_be_focused()
    handle = sheet.get_by_role("button", name="Move Customer › Email")
    handle.focus()
    for _ in range(9):
        handle.press("ArrowUp")
    sheet.locator("[name=column][value=placed_at]").uncheck()
    sheet.get_by_role("button", name="Show these columns").click()
    page.wait_for_url("**/order/?columns=*")
    assert headings(page)[0] == "customer.email"
    assert "placed_at" not in headings(page)


def test_a_drawn_width_is_there_again(page: Page, fleet) -> None:
    page.goto(fleet.at("order/"))
    head = page.locator("th[data-column=customer]")
    box = head.bounding_box()
    assert box is not None
    edge, middle = box["x"] + box["width"] - 4, box["y"] + box["height"] / 2
    page.mouse.move(edge, middle)
    page.mouse.down()
    page.mouse.move(edge - 60, middle)
    with page.expect_response("**choose=widths**"):
        page.mouse.up()
    page.reload()
    width = page.locator("col[width]").first.get_attribute("width")
    assert abs(int(width or 0) - (box["width"] - 60)) <= 2


def test_columns_are_chosen_without_scripts(plain_page: Page, fleet) -> None:
    page = plain_page
    page.goto(fleet.at("order/"))
    page.get_by_role("link", name="Columns").click()
    page.get_by_label("Place of Freight").fill("1")
    page.get_by_label("Place of Number").fill("2")
    page.locator("[name=column][value=customer]").uncheck()
    page.get_by_role("button", name="Show these columns").click()
    assert headings(page)[:2] == ["freight", "number"]
    assert "customer" not in headings(page)
