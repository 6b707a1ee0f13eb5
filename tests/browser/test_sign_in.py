"""Signing in and out in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from admin_app.app import create_app


def sign_out(page: Page) -> None:
    page.locator("header summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_signing_in_leads_to_the_page_that_was_asked_for(page: Page, guarded, sign_in) -> None:
    page.goto(guarded.at("driver/?search=anna"))
    sign_in(page)
    expect(page).to_have_url(guarded.at("driver/?search=anna"))


def test_the_address_has_the_focus_at_once(page: Page, guarded) -> None:
    page.goto(guarded.at())
    expect(page.get_by_label("Email address")).to_be_focused()


def test_a_wrong_password_is_told_and_the_address_kept(page: Page, guarded, sign_in) -> None:
    page.goto(guarded.at("driver/"))
    sign_in(page, "wrong")
    expect(page.get_by_text("do not belong together").first).to_be_visible()
    expect(page.get_by_label("Email address")).to_have_value("anna@example.com")
    sign_in(page)
    expect(page).to_have_url(guarded.at("driver/"))


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_a_hostile_way_on_leads_to_the_first_page(
    target: str, page: Page, guarded, sign_in
) -> None:
    page.goto(guarded.at(f"login?next={target}"))
    sign_in(page)
    expect(page).to_have_url(guarded.at())


def test_who_is_signed_in_is_told(page: Page, guarded, sign_in) -> None:
    page.goto(guarded.at())
    sign_in(page)
    page.locator("header summary").click()
    expect(page.get_by_text("Signed in as anna@example.com")).to_be_visible()


def test_after_signing_out_back_shows_nothing(page: Page, guarded, sign_in) -> None:
    page.goto(guarded.at("driver/"))
    sign_in(page)
    expect(page.get_by_role("heading", name="Drivers")).to_be_visible()
    sign_out(page)
    page.go_back()
    page.wait_for_load_state()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.locator("tbody")).to_have_count(0)


def test_after_signing_out_no_page_opens(page: Page, guarded, sign_in) -> None:
    page.goto(guarded.at())
    sign_in(page)
    sign_out(page)
    page.goto(guarded.at("driver/"))
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_theme_is_chosen_before_signing_in(page: Page, guarded) -> None:
    page.goto(guarded.at("login"))
    with page.expect_response("**/theme"):
        page.get_by_role("button", name="Dark").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize(
    ("setting", "path", "button"),
    [
        ("SECURITY_RECOVERABLE", "reset", "Recover Password"),
        ("SECURITY_REGISTERABLE", "register", "Register"),
    ],
)
def test_other_pages_of_flask_security_stand_in_our_frame(
    setting: str,
    path: str,
    button: str,
    page: Page,
    live_server,
    sqlite_url: str,
    tmp_path: Path,
    axe,
) -> None:
    app = create_app(
        {
            "DATABASE_URL": sqlite_url,
            "INSTANCE_PATH": str(tmp_path),
            "SECRET_KEY": "only for tests, and long enough",
            setting: True,
        }
    )
    page.goto(f"{live_server(app)}/admin/{path}")
    expect(page.locator("main.card .brand")).to_be_visible()
    expect(page.get_by_role("button", name=button)).to_be_visible()
    assert axe(page) == []
