"""Running a job: chunk after chunk, each one transaction, as long as its owner may do it."""

from __future__ import annotations

import contextlib
import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import flask
import sqlalchemy as sa
from flask import g

from admin_app import as_stored, changes, database, inspection
from admin_app.errors import AdminError, Contended, Forbidden, NotFound, WriteRefused
from admin_app.jobs import works
from admin_app.jobs.records import LONGEST, FailureRecord, Job, execute, now, writing
from admin_app.jobs.works import Failure, Outcome, Work
from admin_app.listing import Listing, Selection

log = logging.getLogger(__name__)

IS_LONG = 2_000
"""From so many rows on something is a job; what is less is done while one waits."""

FIRST_SIZE, LARGEST_SIZE = 200, 1_000
"""Rows of the first chunk, and of the largest."""

AIM = 1.0
"""Seconds that a chunk shall take: so long others may wait for its rows."""

ATTEMPTS = 3
"""How often a chunk is tried when others stand in its way."""

MOST_IN_VAIN = 1_000
"""Rows refused one after the other before a job stops."""

BEAT = 5.0
"""Seconds between two signs of life during a chunk."""

GAP = 0.12
"""Seconds between two chunks on SQLite; who waits there for the lock tries each tenth of one."""


class Running:
    """A job while one of its chunks is done.

    ``session`` is where the rows are; what is written through it, or through ``change_set``, is
    committed together with the outcome. ``size`` is how many rows the chunk should take.
    """

    def __init__(self, admin: Any, view: Any, work: Work, job: Job, principal: Any) -> None:
        self.admin, self.view, self.principal = admin, view, principal
        self.id, self.kind, self.label, self.reason = job.id, job.kind, job.label, job.reason
        self.parameters: dict[str, Any] = job.parameters or {}
        self.session = admin.session if view is None else view.get_session()
        self.size = FIRST_SIZE
        self.change_set: changes.ChangeSet = None  # type: ignore[assignment]  # see `_Run._do`
        self.rows: list[tuple[str | None, str]] = []
        self.following: Any = None
        self._right = work.right
        self._selection = job.selection

    @cached_property
    def selection(self) -> Selection | None:
        """The rows that were chosen."""
        return None if self._selection is None else Selection.from_json(self._selection)

    @cached_property
    def listing(self) -> Listing:
        """The rows within reach of the owner, as he is today, for what the work does."""
        found: Listing = self.view.get_listing(self._right)
        return found

    def take(self, rows: Iterable[tuple[str | None, str]], following: Any) -> None:
        """Tell which rows, by key and label, this chunk is about, and the cursor behind them.

        If the database refuses the chunk it is done in smaller ones; a row that is refused by
        itself is put among the failures, and the job goes on.
        """
        self.rows, self.following = list(rows), following

    def portion(
        self, cursor: Any, options: Sequence[Any] = (), *, lock: bool = True
    ) -> tuple[list[Any], Any]:
        """The next instances of the selection, locked, and the cursor behind them; `take`s them.

        The cursor is None, and there are no instances, when all are done.
        """
        if self.selection is None:
            return [], None
        portions = self.selection.portions(
            self.session, self.listing, self.size, cursor, options, lock=lock
        )
        instances, following = next(portions, ([], None))
        text_of = inspection.identity_text(self.view.mapper)
        # A label may cost a statement, and is wanted only when the row stands alone.
        labels = [self.label_of(i) for i in instances] if len(instances) == 1 else None
        keys = [text_of.of(instance) for instance in instances]
        self.take(zip(keys, labels or [""] * len(keys), strict=True), following)
        return instances, following

    def label_of(self, instance: Any) -> str:
        """What ``instance`` is called."""
        try:
            return inspection.label(sa.inspect(instance).mapper).of(instance)
        except Exception:  # a host's __str__ must not hinder a job
            return inspection.identity_text(self.view.mapper).of(instance)

    def failure(self, instance: Any, sentence: str) -> Failure:
        """That ``instance`` could not be done, and why."""
        key = inspection.identity_text(self.view.mapper).of(instance)
        return Failure(key, self.label_of(instance), sentence)


class _Lost(Exception):
    """Somebody else runs the job by now."""


def run(
    app: flask.Flask, admin: Any, number: int, is_stopping: Callable[[], bool] = lambda: False
) -> bool:
    """Run the job ``number`` until it ends or rests, if it waits for that.

    When ``is_stopping`` says so it is given back after the present chunk, to be run later.
    Returns whether it was.
    """
    mine = _Run(app, admin, number, is_stopping)
    with entered(app, admin):
        engine = admin.session.get_bind(mapper=inspection.mapper_of(Job))
        is_mine = mine.claim()
    if is_mine:
        with _beating(engine, number, mine.name):
            mine.go()
    return mine.is_given_back


@contextlib.contextmanager
def entered(app: flask.Flask, admin: Any) -> Iterator[None]:
    """A block with what the code of a request finds around it: contexts, addresses, sessions."""
    with app.app_context(), app.test_request_context(f"{(admin.url or '').rstrip('/')}/"):
        yield


@contextlib.contextmanager
def _beating(engine: Any, number: int, name: str) -> Iterator[None]:
    """Show that the worker lives, also while a chunk takes long.

    Not on SQLite: there nobody else can write until the chunk is committed, and then it beats.
    """
    if not isinstance(engine, sa.Engine) or engine.dialect.name == "sqlite":
        yield
        return
    is_over = threading.Event()
    beat = sa.update(Job).where(Job.id == number, Job.worker == name).values(beat=Job.beat + 1)

    def go() -> None:
        while not is_over.wait(BEAT):
            with contextlib.suppress(sa.exc.SQLAlchemyError), engine.begin() as connection:
                connection.execute(beat)

    thread = threading.Thread(target=go, name=f"beat of job {number}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


class _Run:
    """One worker's run of one job."""

    def __init__(
        self, app: flask.Flask, admin: Any, number: int, is_stopping: Callable[[], bool]
    ) -> None:
        self.app, self.admin, self.number = app, admin, number
        self.is_stopping = is_stopping
        self.name = secrets.token_hex(8)
        self.size = FIRST_SIZE
        self.tries = 0
        self.in_vain = 0
        self.is_given_back = False

    def claim(self) -> bool:
        """Make the job this run's, if it is queued."""
        values = {"state": "running", "worker": self.name, "beat": Job.beat + 1}
        return self._write(values, Job.state == "queued")

    def go(self) -> None:
        """Do chunks until there is no reason to do another."""
        goes_on = True
        while goes_on:
            with entered(self.app, self.admin):
                try:
                    goes_on = self._give_back() if self.is_stopping() else self._chunk()
                except sa.exc.OperationalError:
                    # The database is away. After a while it is left to whoever finds it.
                    self.admin.session.rollback()
                    self.tries += 1
                    if self.tries >= ATTEMPTS:
                        raise
                    time.sleep(self.tries)

    def _chunk(self) -> bool:
        """Do the next chunk; whether there may be another."""
        job = self.admin.session.get(Job, self.number)
        if job is None or job.worker != self.name or job.state != "running":
            return False
        if job.wanted:
            return self._end(job.wanted)
        try:
            running, work = self._prepared(job)
        except AdminError as error:
            return self._end("stopped", error.sentence)
        running.size, cursor, counts = self.size, job.cursor, job.counts or {}
        begun = time.monotonic()
        try:
            outcome = self._do(work, running, cursor, counts, begun)
        except _Lost:
            return False
        except WriteRefused as refusal:
            is_passing = isinstance(refusal, Contended) or isinstance(
                refusal.__cause__, sa.exc.OperationalError
            )
            return self._meet(running, cursor, refusal.sentence, is_passing=is_passing)
        except AdminError as error:
            return self._end("stopped", error.sentence)
        except Exception:
            error_id = secrets.token_hex(4)
            log.exception("Error %s in a chunk of job %s", error_id, self.number)
            sentence = f"The application's own code failed (error {error_id})."
            return self._meet(running, cursor, sentence, is_passing=False)
        seconds = time.monotonic() - begun
        self._learn(outcome, seconds)
        if running.session.get_bind(mapper=inspection.mapper_of(Job)).dialect.name == "sqlite":
            time.sleep(min(GAP, seconds / 4))
        return outcome.cursor is not None

    def _prepared(self, job: Job) -> tuple[Running, Work]:
        """The job as its work gets it, run by its owner as he is today.

        Forbidden or NotFound where it cannot go on.
        """
        principal = self.admin.principal_of(job.owner_id, job.owner)
        g.admin_principal = principal
        if principal is None or not self.admin.policy.may(principal, "view"):
            raise Forbidden(f"{job.owner} may not use this admin any more.")
        work = works.known(job.kind)
        if work is None:
            raise NotFound(f"This server does not know how to do “{job.kind}”.")
        view = None if job.view is None else self.admin.view_at(job.view)
        if job.view is not None and view is None:
            raise NotFound(f"The page “{job.view}”, to which this belongs, is not there any more.")
        if view is not None:
            if not (view.may("view") and view.is_accessible() and view.allows(work.right)):
                raise Forbidden(f"{job.owner} may not {work.right} {view.plural} any more.")
            bind = view.get_session().get_bind(mapper=view.mapper)
            as_stored.tolerate(getattr(bind, "engine", bind), view.mapper)
        return Running(self.admin, view, work, job, principal), work

    def _do(
        self, work: Work, running: Running, cursor: Any, counts: dict[str, int], begun: float
    ) -> Outcome:
        """One chunk as one transaction."""
        view = running.view
        mapper = inspection.mapper_of(Job) if view is None else view.mapper
        database.begin_write(running.session, mapper, "chunk")
        with changes.change_set(
            running.session,
            running.principal,
            work.kind,
            mapper=None if view is None else mapper,
            is_recorded=self.admin.keeps_history(self.admin.db if view is None else view.session),
            is_chained=self.admin.chains_history(),
            reason=running.reason,
        ) as change_set:
            change_set.about["job_id"] = self.number
            running.change_set = change_set
            outcome = work.run(running, cursor)
            change_set.record()
            self._keep(outcome, counts, time.monotonic() - begun)
            self._commit_apart(running)
        return outcome

    def _commit_apart(self, running: Running) -> None:
        """Commit the rows first where they are in another database than the job.

        Then a worker that dies in between does its chunk again.
        """
        if running.session is not self.admin.session:
            running.session.commit()
            self.admin.session.commit()

    def _keep(self, outcome: Outcome, counts: dict[str, int], seconds: float) -> None:
        """Write into the job what a chunk has done; `_Lost` when it is another's by now."""
        self._add_failures(outcome.failures)
        added = {n: counts.get(n, 0) + number for n, number in outcome.counts.items()}
        values: dict[str, Any] = {
            "cursor": outcome.cursor,
            "done": Job.done + outcome.done,
            "failed": Job.failed + len(outcome.failures),
            "seconds": Job.seconds + seconds,
            "beat": Job.beat + 1,
        }
        if added:
            values["counts"] = {**counts, **added}
        if outcome.cursor is None:
            values |= {"state": "done", "finished_at": now(), "worker": None}
        if not self._set(values):
            raise _Lost

    def _add_failures(self, failures: Sequence[Failure]) -> None:
        rows = [
            {
                "job_id": self.number,
                "key": failure.key,
                "label": (failure.label or failure.key or "")[:LONGEST],
                "sentence": failure.sentence,
            }
            for failure in failures
        ]
        if rows:
            self.admin.session.execute(sa.insert(FailureRecord), rows)

    def _learn(self, outcome: Outcome, seconds: float) -> None:
        """Choose the size of the next chunk by how long this one took."""
        self.tries = 0
        if outcome.done:
            self.in_vain = 0
        fitting = int(self.size * AIM / max(seconds, 0.001))
        self.size = min(max(1, fitting, self.size // 2), self.size * 2, LARGEST_SIZE)

    def _meet(self, running: Running, cursor: Any, sentence: str, *, is_passing: bool) -> bool:
        """Go on after a chunk was refused: try again, with fewer rows, without the row."""
        self.tries += 1
        if is_passing and self.tries < ATTEMPTS:
            time.sleep(random.uniform(0.1, 0.3) * self.tries)  # noqa: S311 - no secret
            return True
        self.tries = 0
        if not running.rows and running.selection is not None and is_passing:
            # Others hold a row that was only to be read; which one is not known yet.
            running.portion(cursor, lock=False)
        if not running.rows:
            return self._end("stopped", sentence)
        if len(running.rows) > 1:
            self.size = max(1, len(running.rows) // 4)
            return True
        key, label = running.rows[0]
        self.in_vain += 1
        try:
            with writing(self.admin):
                failed = Outcome(0, [Failure(key, label, sentence)], running.following)
                self._keep(failed, {}, 0.0)
        except _Lost:
            return False
        if self.in_vain >= MOST_IN_VAIN:
            return self._end("stopped", f"{self.in_vain:,} rows in a row failed: {sentence}")
        return running.following is not None

    def _end(self, state: str, sentence: str | None = None) -> bool:
        """Bring the job into a state in which nobody runs it; False, as there is no next chunk."""
        values: dict[str, Any] = {"state": state, "wanted": None, "worker": None}
        values["sentence"] = sentence
        if state != "paused":
            values["finished_at"] = now()
        self._write(values)
        return False

    def _give_back(self) -> bool:
        self.is_given_back = self._write({"state": "queued", "worker": None})
        return False

    def _write(self, values: dict[str, Any], *criteria: Any) -> bool:
        with writing(self.admin):
            return self._set(values, *criteria)

    def _set(self, values: dict[str, Any], *criteria: Any) -> bool:
        """Set columns of the job, if it is this run's; whether it is."""
        criteria = criteria or (Job.worker == self.name, Job.state == "running")
        statement = sa.update(Job).where(Job.id == self.number, *criteria).values(values)
        return bool(execute(self.admin.session, statement))
