"""A change is looked at before it is made."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from examples.fleet.models import Customer


def test_a_change_is_reviewed_mended_and_applied(page: Page, fleet, axe) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(fleet.at("customer/edit/?id=1"))
    page.get_by_label("Name").fill("Reviewed")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This will change 1 customer")
    page.locator("summary", has_text="SQL").click()
    assert axe(page) == []
    page.get_by_role("button", name="Back to the form").click()
    expect(page.get_by_label("Name")).to_have_value("Reviewed")
    expect(page.locator("[data-form-state]")).to_have_text("1 field changed")
    page.get_by_label("Name").fill("Reviewed twice")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("is saved.")).to_be_visible()
    assert fleet.one(Customer.name, Customer.id == 1) == "Reviewed twice"
