"""The page of a job follows what the job does."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from playwright.sync_api import Page, expect

from admin_app.jobs import Job


def test_the_page_of_a_job_goes_along_with_it(page: Page, fleet, axe) -> None:
    told = {"label": "Change 100 customers", "owner_id": "open", "owner": "Open access"}
    state = {"state": "running", "worker": "another", "total": 100, "done": 40, "seconds": 40.0}
    moment = dt.datetime.now(dt.UTC)
    fleet.run(sa.insert(Job).values(id=1, kind="none", created_at=moment, **told, **state))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(fleet.at("jobs/details/?id=1"))
    expect(page).to_have_title("40%: Change 100 customers · Fleet")
    expect(page.get_by_text("About 60 seconds left")).to_be_visible()
    assert axe(page) == []
    fleet.run(sa.update(Job).values(state="done", done=100, finished_at=moment))
    expect(page).to_have_title("Done: Change 100 customers · Fleet")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "1.0")
    expect(page.locator("[data-job-told]")).to_have_text("Done: Change 100 customers")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
