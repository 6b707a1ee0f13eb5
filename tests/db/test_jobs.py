"""Jobs: rows, history, cursor and failures of a chunk together, whatever comes in between."""

from __future__ import annotations

import subprocess
import sys

import flask
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import Policy, database, jobs
from admin_app.accounts import User
from admin_app.changes import ChangeSetRecord, RowChangeRecord
from admin_app.errors import ConfigurationError
from admin_app.jobs import FailureRecord, Job, Outcome
from admin_app.listing import Selection
from tests.db.conftest import Site

ALL = Selection(query=())


class Base(orm.DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"
    __table_args__ = (sa.CheckConstraint("touched < 3", name="ck_touched"),)

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    touched: orm.Mapped[int] = orm.mapped_column(default=0)

    def __str__(self) -> str:
        return self.name


@jobs.work("touch")
def touch(job, cursor):
    """Add to a column of four rows, but of none that is called bad."""
    job.size = min(job.size, 4)
    things, following = job.portion(cursor)
    good = [thing for thing in things if thing.name != "bad"]
    for thing in good:
        thing.touched += 1
    job.session.execute(sa.update(Job).values(job.parameters.get(following, {"kind": "touch"})))
    bad = [job.failure(thing, "It is bad.") for thing in things if thing not in good]
    return Outcome(len(good), bad, following, {"touched": len(good)})


@pytest.fixture
def site(make_site):
    made = make_site(Base, history=True).register_all()
    with made.session() as session:
        session.add_all(Thing(id=n, name=f"Thing {n}") for n in range(1, 11))
        session.commit()
    return made


def start(site, kind="touch", selection=ALL, meanwhile=None, **given):
    """The number of a job that has run; ``meanwhile`` is set in it during its second chunk."""
    with site.app.test_request_context():
        view = site.admin.view_for(Thing)
        given["parameters"] = {"8": meanwhile} if meanwhile else {}
        return jobs.start(site.admin, kind, view, selection, label="Touch", **given).id


def do(site, function, number):
    with site.app.test_request_context():
        return function(site.admin, number)


def touched(site):
    with site.session() as session:
        return list(session.scalars(sa.select(Thing.touched).order_by(Thing.id)))


def found(site, number):
    with site.session() as session:
        return session.get(Job, number)


def failures(site, number):
    with site.session() as session:
        rows = session.scalars(sa.select(FailureRecord).where(FailureRecord.job_id == number))
        return [(row.key, row.label, row.sentence) for row in rows]


def test_each_row_is_done_once_and_told_in_the_history(site):
    job = found(site, start(site, total=10, reason="They need it"))
    assert (job.state, job.done, job.failed) == ("done", 10, 0)
    assert job.counts == {"touched": 10}
    assert touched(site) == [1] * 10
    with site.session() as session:
        sets = session.scalars(sa.select(ChangeSetRecord)).all()
        assert {(s.job_id, s.source, s.reason) for s in sets} == {(job.id, "touch", "They need it")}
        assert [s.row_count for s in sets] == [4, 4, 2]
        assert session.scalar(sa.select(sa.func.count(RowChangeRecord.id))) == 10


def test_a_selection_of_all_that_match_leaves_out_its_exceptions(site):
    query = Selection(query=(("name__contains", "1"),), excepted=("10",))
    start(site, selection=query)
    assert touched(site) == [1] + [0] * 9


def test_a_row_that_the_work_objects_to_is_told(site):
    with site.engine.begin() as connection:
        connection.execute(sa.update(Thing).where(Thing.id == 3).values(name="bad"))
    job = found(site, start(site))
    assert (job.done, job.failed) == (9, 1)
    assert failures(site, job.id) == [("3", "bad", "It is bad.")]


def test_a_row_that_the_database_refuses_does_not_hinder_the_others(site):
    with site.engine.begin() as connection:
        connection.execute(sa.update(Thing).where(Thing.id == 6).values(touched=2))
    job = found(site, start(site))
    assert (job.state, job.done, job.failed) == ("done", 9, 1)
    [(key, label, sentence)] = failures(site, job.id)
    assert (key, label) == ("6", "Thing 6")
    assert "does not accept" in sentence
    assert touched(site) == [1, 1, 1, 1, 1, 2, 1, 1, 1, 1]


def test_an_error_of_the_work_is_told_without_its_words(site):
    @jobs.work("broken")
    def broken(job, cursor):
        raise RuntimeError("a secret")

    job = found(site, start(site, "broken"))
    assert job.state == "stopped"
    assert job.sentence.startswith("The application's own code failed (error ")


def test_a_kind_of_work_that_nobody_knows_stops_with_a_sentence(site):
    job = found(site, start(site, "of tomorrow"))
    assert (job.state, job.sentence) == (
        "stopped",
        "This server does not know how to do “of tomorrow”.",
    )


@pytest.mark.parametrize("state", ["paused", "cancelled"])
def test_a_job_heeds_its_owner_when_a_chunk_is_done(site, state):
    number = start(site, meanwhile={"wanted": state})
    job = found(site, number)
    assert (job.state, job.wanted, job.done) == (state, None, 8)
    assert do(site, jobs.resume, number) is (state == "paused")
    assert sum(touched(site)) == (10 if state == "paused" else 8)


def test_a_job_that_is_done_can_neither_be_paused_nor_cancelled(site):
    number = start(site)
    assert [do(site, f, number) for f in (jobs.pause, jobs.cancel, jobs.resume)] == [False] * 3


def test_a_run_that_has_lost_the_job_writes_nothing_more(site):
    job = found(site, start(site, meanwhile={"worker": "another"}))
    assert (job.state, job.done, job.cursor) == ("running", 4, "4")
    assert touched(site) == [1] * 4 + [0] * 6


def test_no_row_is_lost_or_done_twice_by_workers_that_are_killed(site, tmp_path):
    site.app.config["ADMIN_JOBS"] = Nobody()
    with site.session() as session:
        session.add_all(Thing(id=n, name=f"Thing {n}") for n in range(11, 35))
        session.commit()
    number = start(site)
    url = site.engine.url.render_as_string(hide_password=False)
    told = subprocess.run(
        [sys.executable, "-m", "tests.db.killed_worker", url, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.split("\n")[-3:] == ["told to end 0", "never 0", ""], told.stderr
    assert told.stdout.count("killed") == 5
    job = found(site, number)
    assert (job.state, job.done, job.failed) == ("done", 34, 0)
    assert touched(site) == [1] * 34
    with site.session() as session:
        assert session.scalar(sa.select(sa.func.count(RowChangeRecord.id))) == 34


def run_by_a_queue(site, address):
    """The number of a job that a thread of this process has run."""
    site.app.config["ADMIN_JOBS"] = f"sqlite:///{address}"
    number = start(site)
    wait(site)
    return number


def wait(site):
    """Wait for the thread that runs jobs, which ends when there are none."""
    with site.app.app_context():
        thread = jobs.engine_of(site.app, site.admin)._thread
    thread.join(60)
    assert not thread.is_alive()


def test_a_thread_empties_a_queue_in_a_file_and_ends(site, tmp_path):
    assert found(site, run_by_a_queue(site, tmp_path / "jobs.sqlite")).state == "done"
    start(site)
    wait(site)
    assert touched(site) == [2] * 10


def test_a_job_is_run_though_its_queue_cannot_be_written(site, tmp_path, caplog):
    (tmp_path / "file").touch()
    assert found(site, run_by_a_queue(site, tmp_path / "file" / "jobs.sqlite")).state == "done"
    assert "does not answer" in caplog.text


def test_the_first_page_after_a_start_wakes_jobs_that_wait(site, tmp_path):
    site.app.config["ADMIN_JOBS"] = Nobody()
    number = start(site)
    again = Site(site.engine.url, Base, history=True).register_all()
    again.app.config["ADMIN_JOBS"] = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    assert again.client.get("/admin/").status_code == 200
    wait(again)
    assert found(site, number).state == "done"


def test_a_job_that_somebody_runs_is_run_by_nobody_else(site):
    number = start(site)
    with site.engine.begin() as connection:
        connection.execute(sa.update(Job).values(state="running", worker="another", cursor=None))
    jobs.run(site.app, site.admin, number)
    assert touched(site) == [1] * 10


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("at once", "Set it to 'inline', or to the address of a queue"),
        ("sqlite://", "Set it to 'inline'"),
        ("amqp://user:secret@host", "'amqp://user:***@host'. Set it to 'inline'"),
        (7, "has no method enqueue"),
    ],
)
def test_a_setting_that_means_nothing_is_told(setting, told):
    app = flask.Flask("site")
    app.config["ADMIN_JOBS"] = setting
    with pytest.raises(ConfigurationError) as error:
        jobs.check(app)
    assert told in error.value.sentence


class Nobody:
    """Carries jobs nowhere."""

    def enqueue(self, number):
        pass


class Rights(Policy):
    """Things may be changed, by whoever is staff, until it is said otherwise."""

    is_taken = False

    def may(self, principal, action, model=None, column=None):
        is_refused = self.is_taken and action == "change"
        return not is_refused and super().may(principal, action, model, column)

    def rows(self, principal, action, model):
        return Thing.id < 4 if action == "change" else None


def test_the_rights_of_the_owner_are_asked_when_the_job_runs(site):
    site.admin.policy = Rights()
    start(site)
    assert touched(site) == [1] * 3 + [0] * 7
    site.admin.policy.is_taken = True
    job = found(site, start(site))
    assert (job.state, job.sentence) == ("stopped", "Open access may not change things any more.")


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)
def test_a_row_that_another_holds_is_told_and_the_others_are_done(site, monkeypatch):
    monkeypatch.setitem(database.LIMITS, "chunk", (10_000, 50))
    with site.engine.begin() as connection:
        connection.execute(sa.select(Thing).where(Thing.id == 6).with_for_update())
        job = found(site, start(site))
    assert (job.state, job.done, job.failed) == ("done", 9, 1)
    [(key, label, sentence)] = failures(site, job.id)
    assert (key, label) == ("6", "Thing 6")
    assert sentence.startswith("Somebody else is changing the same rows")


def test_a_job_whose_pages_are_gone_stops_with_a_sentence(site):
    number = start(site, meanwhile={"wanted": "paused"})
    other = Site(site.engine.url, Base, history=True)
    do(other, jobs.resume, number)
    job = found(site, number)
    assert (job.state, job.done) == ("stopped", 8)
    assert job.sentence == "The page “thing”, to which this belongs, is not there any more."


def test_an_account_that_is_put_out_of_use_may_not_go_on(make_site):
    made = make_site(Base, sign_in="accounts").register_all()
    with made.session() as session:
        session.add(User(email="a@b.example", active=False, fs_uniquifier="x"))
        session.commit()
    with made.app.test_request_context():
        assert not made.admin.principal_of("1", "Ana").is_staff
        assert made.admin.principal_of("2", "Ben") is None


def test_an_owner_who_is_gone_stops_his_job(site):
    site.admin.sign_in.find = lambda id: None
    job = found(site, start(site))
    assert (job.state, job.sentence) == (
        "stopped",
        "Open access may not use this admin any more.",
    )
