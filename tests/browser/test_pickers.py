"""Choosing related rows as one types, with the mouse and with the keys alone."""

from __future__ import annotations

import contextlib

import pytest
import sqlalchemy as sa
from playwright.sync_api import Error, Locator, Page, Route, expect

from examples.fleet.models import Driver, Vehicle, product_tags

DRIVER = sa.func.coalesce(Driver.first_name, "") + " " + Driver.last_name


@pytest.fixture
def vehicle(page: Page, fleet) -> Page:
    """The form of a vehicle that the first driver drives."""
    fleet.run(sa.update(Vehicle).where(Vehicle.id == 1).values(driver_id=1))
    page.goto(fleet.at("vehicle/edit/?id=1"))
    return page


def box(page: Page, name: str) -> Locator:
    return page.locator(f"#{name}-ts-control")


def chosen(page: Page, name: str) -> Locator:
    return page.locator(f"#{name} + .ts-wrapper .item > span")


def options(page: Page) -> Locator:
    return page.locator(".ts-dropdown:visible .option")


def found(page: Page) -> Locator:
    """The words of what is offered, without the keys beside them."""
    return page.locator(".ts-dropdown:visible .option > span")


def ask(page: Page, name: str, text: str) -> None:
    box(page, name).click()
    expect(options(page).first).to_be_visible()
    page.keyboard.type(text)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is saved.")).to_be_visible()


def name_of(fleet, number: int) -> str:
    return fleet.one(DRIVER, Driver.id == number)


def test_a_picker_shows_what_is_chosen(vehicle: Page, fleet) -> None:
    expect(chosen(vehicle, "driver")).to_have_text(name_of(fleet, 1))


def test_a_picker_offers_rows_before_anything_is_typed(vehicle: Page, fleet) -> None:
    box(vehicle, "driver").click()
    expect(options(vehicle)).to_have_count(12)


def test_what_a_picker_offers_is_in_sight(vehicle: Page) -> None:
    box(vehicle, "depot").click()
    expect(options(vehicle).last).to_be_in_viewport(ratio=1)


def test_a_picker_finds_rows_as_one_types(vehicle: Page, fleet) -> None:
    ask(vehicle, "driver", fleet.one(Driver.last_name, Driver.id == 5))
    expect(found(vehicle)).to_have_text([name_of(fleet, 5)])


def test_a_row_that_is_found_is_chosen_and_saved(vehicle: Page, fleet) -> None:
    ask(vehicle, "driver", fleet.one(Driver.last_name, Driver.id == 5))
    expect(options(vehicle)).to_have_count(1)
    options(vehicle).click()
    expect(chosen(vehicle, "driver")).to_have_text(name_of(fleet, 5))
    save(vehicle)
    assert fleet.one(Vehicle.driver_id, Vehicle.id == 1) == 5


def test_the_keys_alone_choose_a_row(vehicle: Page, fleet) -> None:
    box(vehicle, "driver").focus()
    vehicle.keyboard.type(fleet.one(Driver.last_name, Driver.id == 7))
    expect(options(vehicle)).to_have_count(1)
    vehicle.keyboard.press("Enter")
    expect(chosen(vehicle, "driver")).to_have_text(name_of(fleet, 7))
    vehicle.keyboard.press("Control+s")
    expect(vehicle.get_by_text("is saved.")).to_be_visible()
    assert fleet.one(Vehicle.driver_id, Vehicle.id == 1) == 7


def test_the_arrow_opens_a_picker_and_walks_through_it(vehicle: Page, fleet) -> None:
    box(vehicle, "driver").focus()
    vehicle.keyboard.press("ArrowDown")
    expect(options(vehicle)).to_have_count(12)
    vehicle.keyboard.press("ArrowDown")
    walked = vehicle.locator(".ts-dropdown .option.active > span").inner_text()
    vehicle.keyboard.press("Enter")
    expect(chosen(vehicle, "driver")).to_have_text(walked)


def test_escape_leaves_a_picker_as_it_was(vehicle: Page, fleet) -> None:
    box(vehicle, "driver").click()
    expect(options(vehicle)).to_have_count(12)
    vehicle.keyboard.type("nobody")
    vehicle.keyboard.press("Escape")
    expect(vehicle.locator(".ts-dropdown:visible")).to_have_count(0)
    vehicle.keyboard.press("Tab")
    expect(chosen(vehicle, "driver")).to_have_text(name_of(fleet, 1))
    expect(vehicle.locator("[data-form-state]")).to_have_text("")


def test_enter_opens_a_picker_and_does_not_send_the_form(vehicle: Page, fleet) -> None:
    box(vehicle, "driver").focus()
    vehicle.keyboard.press("Enter")
    expect(options(vehicle)).to_have_count(12)


def test_enter_before_the_rows_are_there_does_not_send_the_form(vehicle: Page, fleet) -> None:
    url = vehicle.url
    box(vehicle, "driver").focus()
    vehicle.keyboard.type(fleet.one(Driver.last_name, Driver.id == 5))
    vehicle.keyboard.press("Enter")
    expect(found(vehicle)).to_have_text([name_of(fleet, 5)])
    assert vehicle.url == url


def test_a_choice_that_is_not_needed_can_be_cleared(vehicle: Page, fleet) -> None:
    vehicle.get_by_role("button", name=f"Remove {name_of(fleet, 1)}").click()
    expect(chosen(vehicle, "driver")).to_have_count(0)
    save(vehicle)
    assert fleet.one(Vehicle.driver_id, Vehicle.id == 1) is None


def test_a_choice_that_is_not_needed_is_cleared_by_a_key(vehicle: Page, fleet) -> None:
    box(vehicle, "driver").focus()
    vehicle.keyboard.press("Backspace")
    expect(chosen(vehicle, "driver")).to_have_count(0)


def test_a_choice_that_is_needed_has_no_button_to_clear_it(vehicle: Page) -> None:
    expect(vehicle.locator("#depot + .ts-wrapper .item button")).to_have_count(0)


def test_a_choice_that_is_needed_and_was_cleared_is_asked_for(vehicle: Page) -> None:
    box(vehicle, "depot").focus()
    vehicle.keyboard.press("Backspace")
    vehicle.get_by_role("button", name="Save", exact=True).click()
    expect(box(vehicle, "depot")).to_be_focused()
    assert "/edit/" in vehicle.url


def test_nothing_found_is_told(vehicle: Page) -> None:
    ask(vehicle, "driver", "nobody of this name")
    expect(vehicle.locator(".ts-dropdown:visible")).to_contain_text("Nothing matches")


def test_a_lookup_that_fails_is_told_and_can_be_repeated(vehicle: Page, complaints) -> None:
    vehicle.route("**/lookup/driver/**", lambda route: route.abort())
    box(vehicle, "driver").click()
    expect(vehicle.locator(".ts-dropdown:visible")).to_contain_text("The lookup failed")
    complaints.clear()
    vehicle.unroute("**/lookup/driver/**")
    vehicle.keyboard.type("a")
    expect(options(vehicle).first).not_to_contain_text("failed")


def test_a_late_answer_does_not_take_the_place_of_a_newer_one(vehicle: Page, fleet) -> None:
    late: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.url.endswith("q="):
            late.append(route)
        else:
            route.continue_()

    vehicle.route("**/lookup/driver/**", hold)
    box(vehicle, "driver").focus()
    with vehicle.expect_request("**/lookup/driver/?q="):
        vehicle.keyboard.press("ArrowDown")
    vehicle.keyboard.type(fleet.one(Driver.last_name, Driver.id == 5))
    expect(found(vehicle)).to_have_text([name_of(fleet, 5)])
    with contextlib.suppress(Error):  # the page has given this request up
        late[0].continue_()
    vehicle.wait_for_timeout(100)
    expect(found(vehicle)).to_have_text([name_of(fleet, 5)])


def test_changing_a_choice_is_a_change_of_the_form(vehicle: Page) -> None:
    box(vehicle, "driver").focus()
    vehicle.keyboard.press("Backspace")
    expect(vehicle.locator("[data-form-state]")).to_have_text("1 field changed")


def tags_of(fleet, product: int) -> set[int]:
    with fleet.engine.connect() as connection:
        query = sa.select(product_tags.c.tag_id).where(product_tags.c.product_id == product)
        return set(connection.scalars(query))


@pytest.fixture
def product(page: Page, fleet) -> Page:
    """The form of a product with the tags 1 and 2."""
    fleet.run(sa.delete(product_tags).where(product_tags.c.product_id == 1))
    fleet.run(sa.insert(product_tags).values([(1, 1), (1, 2)]))
    page.goto(fleet.at("product/edit/?id=1"))
    return page


def test_several_rows_are_added_and_removed(product: Page, fleet) -> None:
    expect(chosen(product, "tags")).to_have_count(2)
    box(product, "tags").click()
    options(product).nth(0).click()
    options(product).nth(0).click()
    expect(chosen(product, "tags")).to_have_count(4)
    product.locator("#tags + .ts-wrapper .item button").first.click()
    expect(chosen(product, "tags")).to_have_count(3)
    product.keyboard.press("Escape")
    save(product)
    assert len(tags_of(fleet, 1)) == 3
    assert 1 not in tags_of(fleet, 1)


def test_rows_that_are_chosen_are_not_offered_again(product: Page, fleet) -> None:
    box(product, "tags").click()
    expect(options(product).first).to_be_visible()
    taken = set(chosen(product, "tags").all_inner_texts())
    assert taken.isdisjoint(options(product).all_inner_texts())


def test_every_row_of_several_can_be_removed_by_keys(product: Page, fleet) -> None:
    box(product, "tags").focus()
    product.keyboard.press("Backspace")
    product.keyboard.press("Backspace")
    expect(chosen(product, "tags")).to_have_count(0)
    product.keyboard.press("Escape")
    save(product)
    assert tags_of(fleet, 1) == set()


def test_a_needed_row_that_is_missing_has_the_focus(page: Page, fleet) -> None:
    page.goto(fleet.at("address/new/"))
    for label in ("Street", "Postal code", "City", "Country"):
        page.get_by_label(label).fill("NL")
    page.get_by_role("button", name="Create address").click()
    expect(box(page, "customer")).to_be_focused()
    expect(page).to_have_url(fleet.at("address/new/"))


def test_what_is_wrong_with_a_choice_leads_to_its_picker(vehicle: Page, fleet) -> None:
    vehicle.evaluate("document.getElementById('driver').value = '999'")
    vehicle.get_by_role("button", name="Save", exact=True).click()
    expect(box(vehicle, "driver")).to_be_focused()
    vehicle.get_by_label("Plate").focus()
    vehicle.get_by_role("alert").get_by_role("link", name="Driver").click()
    expect(box(vehicle, "driver")).to_be_focused()


def test_a_picker_has_the_name_and_role_of_its_field(vehicle: Page) -> None:
    expect(vehicle.get_by_role("combobox", name="Driver")).to_be_visible()
