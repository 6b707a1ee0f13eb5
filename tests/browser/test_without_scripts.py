"""Everything that has to be done can be done in a browser that runs no scripts."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from examples.fleet.models import Address, Driver, Task, Vehicle, product_tags


@pytest.fixture
def page(plain_page: Page) -> Page:
    return plain_page


def test_models_are_browsed(page: Page, fleet) -> None:
    page.goto(fleet.at())
    page.locator("main").get_by_role("link", name="Drivers", exact=True).click()
    page.locator("td.key a").first.click()
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("First name")).to_have_value(
        fleet.one(Driver.first_name, Driver.id == 1)
    )


def test_only_what_works_is_shown(page: Page, fleet) -> None:
    for path in ("", "driver/", "vehicle/edit/?id=1"):
        page.goto(fleet.at(path))
        expect(page.locator(".needs-script:visible")).to_have_count(0)


def test_rows_are_searched_for_and_ordered(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/"))
    page.get_by_role("columnheader", name="Last name").get_by_role("link").click()
    name = fleet.one(Driver.last_name, Driver.id == 3)
    page.get_by_role("searchbox", name="Search drivers").fill(name)
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("columnheader", name="Last name")).to_have_attribute(
        "aria-sort", "ascending"
    )


def test_pages_are_turned(page: Page, fleet) -> None:
    page.goto(fleet.at("telemetry/"))
    page.get_by_role("link", name="Next").click()
    page.locator("summary", has_text="50 a page").click()
    page.get_by_role("link", name="20 rows a page").click()
    expect(page.locator("tbody tr")).to_have_count(20)


def test_a_row_is_created_with_keys_typed_into_its_pickers(page: Page, fleet) -> None:
    page.goto(fleet.at("address/new/"))
    for label in ("Street", "Postal code", "City"):
        page.get_by_label(label).fill(label)
    page.get_by_label("Country").fill("NL")
    page.get_by_label("Customer").fill("3")
    page.get_by_role("button", name="Create address").click()
    expect(page.get_by_text("is created.")).to_be_visible()
    assert fleet.one(Address.customer_id, Address.street == "Street") == 3


def test_a_picker_tells_what_its_key_means(page: Page, fleet) -> None:
    fleet.run(sa.update(Vehicle).where(Vehicle.id == 1).values(driver_id=1))
    page.goto(fleet.at("vehicle/edit/?id=1"))
    expect(page.get_by_label("Driver")).to_have_value("1")
    expect(page.get_by_text(fleet.one(Driver.last_name, Driver.id == 1)).first).to_be_visible()


def test_several_keys_are_typed_with_commas_between(page: Page, fleet) -> None:
    page.goto(fleet.at("product/edit/?id=1"))
    page.get_by_label("Tags").fill("3, 5")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is saved.")).to_be_visible()
    with fleet.engine.connect() as connection:
        query = sa.select(product_tags.c.tag_id).where(product_tags.c.product_id == 1)
        assert set(connection.scalars(query)) == {3, 5}


def test_a_key_that_no_row_has_is_told_at_its_field(page: Page, fleet) -> None:
    page.goto(fleet.at("vehicle/edit/?id=1"))
    page.get_by_label("Driver").fill("999")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Driver")
    expect(page.get_by_label("Driver")).to_have_value("999")


def test_a_row_is_edited_and_the_list_is_as_it_was(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/?sort=-last_name"))
    page.locator("tbody tr").first.get_by_title("Edit").click()
    page.get_by_label("Phone").fill("7")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is saved.")).to_be_visible()
    expect(page).to_have_url(fleet.at("driver/?sort=-last_name"))


def test_ticked_rows_are_archived_once_that_is_confirmed(page: Page, fleet) -> None:
    fleet.run(sa.update(Task).values(category="Pickup"))
    page.goto(fleet.at("task/"))
    page.locator("[name=rowid]").nth(0).check()
    page.locator("[name=rowid]").nth(4).check()
    page.get_by_role("button", name="Archive").click()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("2 of 2 tasks are archived.")).to_be_visible()
    assert fleet.one(sa.func.count(Task.id), Task.category == "Archived") == 2


def test_ticked_rows_are_deleted_once_that_is_confirmed(page: Page, fleet) -> None:
    page.goto(fleet.at("task/"))
    page.locator("[name=rowid]").nth(0).check()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete task").click()
    expect(page.get_by_text("1 task is deleted.")).to_be_visible()


def test_a_row_is_deleted(page: Page, fleet) -> None:
    page.goto(fleet.at("task/details/?id=1"))
    page.get_by_role("link", name="Delete…").click()
    page.get_by_role("button", name="Delete task").click()
    expect(page.get_by_text("is deleted.")).to_be_visible()
    assert fleet.one(Task.id, Task.id == 1) is None


def test_on_a_phone_the_models_are_reached(page: Page, fleet) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(fleet.at("driver/"))
    page.get_by_role("button", name="Models").click()
    page.locator("#side-bar").get_by_role("link", name="Vehicles").click()
    expect(page).to_have_url(fleet.at("vehicle/"))


def test_a_theme_is_chosen_and_remembered(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/?sort=-last_name"))
    page.locator("header summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page).to_have_url(fleet.at("driver/?sort=-last_name"))
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto(fleet.at())
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_one_signs_in_and_out(page: Page, guarded, sign_in) -> None:
    page.goto(guarded.at("driver/?search=a"))
    sign_in(page)
    expect(page).to_have_url(guarded.at("driver/?search=a"))
    page.locator("header summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(guarded.at("login"))
