"""Signing in and out in a browser, under the policy for scripts."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from admin_app.app import create_app


def test_signing_in_leads_to_the_page_asked_for_and_out_again(
    page: Page, live_server, sqlite_url: str, tmp_path: Path
) -> None:
    app = create_app(
        {
            "DATABASE_URL": sqlite_url,
            "INSTANCE_PATH": str(tmp_path / "instance"),
            "SECRET_KEY": "only for tests, and long enough",
        }
    )
    with app.app_context():
        app.extensions["migrate"].metadata.create_all(app.extensions["sqlalchemy"].engine)
        app.extensions["admin_app"].sign_in.create_user("anna@example.com", "a yellow bicycle")

    base = live_server(app)
    page.goto(f"{base}/admin/driver/?search=anna")
    page.get_by_label("email").fill("anna@example.com")
    page.get_by_label("password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("do not belong together").first).to_be_visible()

    page.get_by_label("password").fill("a yellow bicycle")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{base}/admin/driver/?search=anna")

    page.locator("header details summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{base}/admin/login")
    page.goto(f"{base}/admin/")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
