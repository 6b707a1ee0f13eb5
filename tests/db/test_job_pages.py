"""The pages of jobs: how far they have come, what their owner may do, and the way back."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import sqlalchemy as sa

from admin_app import Policy, jobs
from admin_app.cli import admin_cli
from admin_app.jobs import Job, Outcome
from admin_app.policy import Principal
from tests.db.conftest import Site
from tests.db.test_jobs import ALL, Base, Nobody, Thing, found, touched

__all__ = ["site"]


@pytest.fixture
def site(make_site) -> Site:
    made = make_site(Base, history=True).register_all()
    with made.session() as session:
        session.add_all(Thing(id=n, name=f"Thing {n}") for n in range(1, 11))
        session.commit()

    @made.app.post("/admin/start")
    def start() -> str:
        view = made.admin.view_for(Thing)
        given = {"total": 10, "label": "Touch <10> things"}
        return str(jobs.start(made.admin, "touch", view, ALL, **given).id)

    return made


def start(client) -> int:
    return int(client.post("/admin/start").text)


def page(client, number, path="details", status=200):
    response = client.get(f"/admin/jobs/{path}/?id={number}")
    assert response.status_code == status, response.text
    return response.text


def fail(site, *ids):
    with site.engine.begin() as connection:
        connection.execute(sa.update(Thing).where(Thing.id.in_(ids)).values(name="bad"))


def test_a_job_tells_what_it_did_and_what_went_wrong(site):
    fail(site, 3, 4)
    client = site.client
    number = start(client)
    html = page(client, number)
    assert "<title>Done: Touch &lt;10&gt; things · Fleet</title>" in html
    assert '<progress aria-label="Touch &lt;10&gt; things" value="1.0">10</progress>' in html
    assert "2 rows could not be done" in html
    assert '<a class="link" href="/admin/thing/details/?id=3">bad</a>' in html
    listed = re.search(r'href="([^"]*)">Open as a list', html)[1].replace("&amp;", "&")
    assert set(re.findall(r"/admin/thing/details/\?id=(\d+)", client.get(listed).text)) == {
        "3",
        "4",
    }
    rows = page(client, number, "failures").splitlines()
    assert rows == ["key,row,reason", "3,bad,It is bad.", "4,bad,It is bad."]
    assert "Touch &lt;10&gt; things" in client.get("/admin/jobs/").text


def test_a_job_is_paused_resumed_and_cancelled_by_its_page(site):
    site.app.config["ADMIN_JOBS"] = Nobody()
    client = site.client
    number = start(client)
    html = page(client, number)
    assert "Waits for its turn" in html
    assert "flask admin worker" in html
    assert '<meta http-equiv="refresh" content="5">' in html

    def do(what):
        answer = client.post(f"/admin/jobs/do/?id={number}", data={"do": what}).status_code
        return answer, found(site, number).state

    assert do("pause") == (303, "paused")
    assert do("resume") == (303, "queued")
    assert do("cancel") == (303, "cancelled")
    assert do("explode") == (400, "cancelled")
    assert do("cancel") == (303, "cancelled")
    assert "The job had ended already" in page(client, number)


def test_a_script_is_told_what_the_page_shows(site):
    site.app.config["ADMIN_JOBS"] = Nobody()
    client = site.client
    number = start(client)
    with site.engine.begin() as connection:
        connection.execute(sa.update(Job).values(state="running", done=4, failed=1, seconds=60))
    told = client.get(f"/admin/jobs/state/?id={number}").json
    assert (told["title"], told["is_over"]) == ("50%: Touch <10> things", False)
    assert "About 60 seconds left" in told["html"]
    assert 'value="0.5"' in told["html"]


def test_its_owner_is_told_once_that_a_job_has_ended(site):
    client = site.client
    number = start(client)
    assert "is done." not in site.client.get("/admin/").text
    html = client.get("/admin/").text
    assert "“Touch &lt;10&gt; things” is done." in html
    assert f'href="/admin/jobs/details/?id={number}">Look at the job</a>' in html
    assert "is done." not in client.get("/admin/").text


def test_a_whole_job_is_undone_and_what_was_changed_since_stays(site):
    client = site.client
    number = start(client)
    with site.engine.begin() as connection:
        connection.execute(sa.update(Thing).where(Thing.id == 7).values(touched=2))
    assert "10 rows are taken back" in page(client, number, "undo")
    answer = client.post(f"/admin/jobs/undo/?id={number}")
    undo = int(answer.location.rpartition("=")[2])
    assert touched(site) == [0, 0, 0, 0, 0, 0, 2, 0, 0, 0]
    html = page(client, undo)
    assert "It was changed since, so it stays as it is." in html
    assert f'href="/admin/jobs/details/?id={number}">job {number}</a>' in html
    client.post(f"/admin/jobs/undo/?id={undo}")
    assert sum(touched(site)) == 11


class Two(Policy):
    """Nobody sees the jobs of another."""

    def may(self, principal, action, model=None, column=None):
        return action != "oversee" and super().may(principal, action, model, column)


class Doors:
    """Lets in whoever says his name."""

    name = "ana"

    def init_app(self, app, admin):
        pass

    def identify(self):
        return Principal(self.name, self.name.title(), is_staff=True)

    def sign_in_url(self, next_url):
        return None

    def sign_out_url(self):
        return None


def test_the_job_of_another_is_not_there(make_site):
    doors = Doors()
    site = make_site(Base, sign_in=doors, policy=Two(), history=True).register_all()

    @jobs.work("nothing", right="view")
    def nothing(job, cursor):
        return Outcome(0)

    with site.app.test_request_context():
        number = jobs.start(site.admin, "nothing", site.admin.view_for(Thing), label="Secret").id
    assert "Secret" in page(site.client, number)
    doors.name = "bob"
    assert "Secret" not in site.client.get("/admin/jobs/").text
    for path in ("details", "state", "failures", "undo"):
        page(site.client, number, path, status=404)
    assert (
        site.client.post(f"/admin/jobs/do/?id={number}", data={"do": "cancel"}).status_code == 404
    )


def test_a_page_of_jobs_cannot_be_posted_to_from_elsewhere(site):
    client = site.client
    number = start(client)
    site.app.config["WTF_CSRF_ENABLED"] = True
    assert client.post(f"/admin/jobs/do/?id={number}", data={"do": "cancel"}).status_code == 400
    assert client.post(f"/admin/jobs/undo/?id={number}").status_code == 400
    assert touched(site) == [1] * 10


def test_commands_list_jobs_and_forget_those_that_ended_long_ago(site):
    site.app.cli.add_command(admin_cli)
    number = start(site.client)

    def run(*words):
        return site.app.test_cli_runner().invoke(args=["admin", *words]).output

    assert run("jobs") == f"{number}  done  10 of 10  Open access  Touch <10> things\n"
    assert "no queue" in run("worker")
    with site.engine.begin() as connection:
        long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        connection.execute(sa.update(Job).values(finished_at=long_ago, undoes_id=number))
    assert "1 job is forgotten." in run("prune-history", "--older-than", "30")
    assert run("jobs") == "There are no jobs.\n"
