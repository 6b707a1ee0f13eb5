"""The dialog that opens by Ctrl-K."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from admin_app import palette as palettes
from examples.fleet.models import Customer


def test_by_keyboard_one_goes_to_a_row_of_any_model_and_back(page, fleet, axe, monkeypatch):
    monkeypatch.setattr(palettes, "SECONDS", 30)
    name = fleet.one(Customer.name)
    page.goto(fleet.at("order/"))
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Search everything")
    expect(box).to_be_focused()
    page.keyboard.type("order")
    expect(page.get_by_role("option", name="New order", exact=False).first).to_be_visible()
    assert axe(page) == []
    box.fill(f'"{name}"')
    row = page.get_by_role("group", name="Customers").get_by_role("option").first
    expect(row).to_contain_text(name)
    expect(row).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/customer/details/"))
    page.keyboard.press("Control+k")
    recent = page.get_by_role("group", name="Recent").get_by_role("option")
    expect(recent).to_contain_text(name)
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
