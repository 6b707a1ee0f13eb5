"""The loop of whoever runs jobs: take the next, run it, look after those whose worker is gone."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flask
import sqlalchemy as sa

from admin_app.errors import WriteRefused
from admin_app.jobs import running
from admin_app.jobs.records import Job, execute, writing

log = logging.getLogger(__name__)

LEASE = 15.0
"""Seconds without a sign of life after which a job is taken from its worker."""

LOOK = 5.0
"""Seconds between two looks at the jobs that are not at their end."""

SLICE = 20.0
"""Seconds after which a job lets another go first, if one waits."""

WAITS = (0.05, 1.0)
"""Seconds between two looks into an empty queue: at first, and at most."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a job looked like, and since when it has not changed."""

    state: str
    worker: str | None
    beat: int
    since: float

    def is_as(self, other: _Seen) -> bool:
        return (self.state, self.worker, self.beat) == (other.state, other.worker, other.beat)


class Worker:
    """Runs the jobs of ``admin`` as ``queue`` hands them out, one at a time.

    One that ``stays`` waits for more when none is left.
    """

    def __init__(self, app: flask.Flask, admin: Any, queue: Any, *, stays: bool) -> None:
        self.app, self.admin, self.queue = app, admin, queue
        self.stays = stays
        self.has_ended = False
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._seen: dict[int, _Seen] = {}
        self._is_first = True
        self._look_at = 0.0
        self._ending = threading.Lock()

    def wake(self) -> bool:
        """Look into the queue at once; False when it has ended, and another must."""
        with self._ending:
            self._woken.set()
            return not self.has_ended

    def stop(self) -> None:
        """End when the present chunk is done; its job goes back among those that wait."""
        self._stopping.set()
        self._woken.set()

    def go(self) -> None:
        """Run jobs until there are none, or until it is stopped."""
        wait = WAITS[0]
        try:
            while not (self._stopping.is_set() or self.has_ended):
                self._woken.clear()
                number = self.queue.take()
                if number is not None:
                    wait = WAITS[0]
                    self._run(number)
                elif self._is_done():
                    with self._ending:
                        self.has_ended = not self._woken.is_set()
                else:
                    wait = WAITS[0] if self._woken.wait(wait) else min(wait * 1.5, WAITS[1])
        finally:
            self.has_ended = True

    def _run(self, number: int) -> None:
        begun = time.monotonic()

        def is_stopping() -> bool:
            is_over = time.monotonic() - begun > SLICE
            return self._stopping.is_set() or (is_over and not self.queue.is_empty())

        try:
            if running.run(self.app, self.admin, number, is_stopping):
                self.queue.put(number)
        except Exception:
            # Its row says that it runs; whoever sees that nothing moves takes it over.
            log.exception("The job %s was given up", number)
        self._look_at = 0.0

    def _is_done(self) -> bool:
        """Whether no job is left that is not at its end; looked up now and then."""
        if time.monotonic() < self._look_at:
            return False
        try:
            is_open = self.look()
        except Exception:
            log.exception("The table of jobs cannot be read")
            is_open = True
        self._look_at = time.monotonic() + LOOK
        return not (is_open or self.stays)

    def look(self) -> bool:
        """Queue what waits and is in no queue, and what nobody runs any more.

        Returns whether there is any job that waits or runs. No clock but this process's own is
        asked: a job is given up when it looks the same for `LEASE` seconds.
        """
        is_first, self._is_first = self._is_first, False
        with running.entered(self.app, self.admin):
            if not self.admin.has_table(Job):
                return False
            found = self._read()
            for number, seen in found.items():
                is_late = time.monotonic() - seen.since >= LEASE
                if seen.state == "running" and is_late and self._free(number, seen):
                    log.warning("The job %s had no worker any more", number)
                    self.queue.put(number)
                elif seen.state == "queued" and (is_late or is_first):
                    self.queue.put(number)
        return bool(found)

    def _read(self) -> dict[int, _Seen]:
        now = time.monotonic()
        statement = sa.select(Job.id, Job.state, Job.worker, Job.beat).where(
            Job.state.in_(("queued", "running"))
        )
        before, self._seen = self._seen, {}
        for number, state, name, beat in self.admin.session.execute(statement.order_by(Job.id)):
            seen = _Seen(state, name, beat, now)
            known = before.get(number)
            self._seen[number] = known if known is not None and known.is_as(seen) else seen
        return self._seen

    def _free(self, number: int, seen: _Seen) -> bool:
        """Take a job from its worker, unless it has shown a sign of life meanwhile."""
        statement = (
            sa.update(Job)
            .where(
                Job.id == number,
                Job.state == "running",
                Job.worker == seen.worker,
                Job.beat == seen.beat,
            )
            .values(state="queued", worker=None)
        )
        try:
            with writing(self.admin) as session:
                return bool(execute(session, statement))
        except (WriteRefused, sa.exc.OperationalError):
            # On SQLite somebody else writes, perhaps that very worker.
            self.admin.session.rollback()
            return False


def serve(workers: Sequence[Worker]) -> None:
    """Let ``workers`` run until SIGTERM or SIGINT; a second signal ends them at once."""

    def stop(number: int, frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        for one in workers:
            one.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    threads = [threading.Thread(target=one.go, name="jobs", daemon=True) for one in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            # A signal that another thread has got is heeded between two waits.
            thread.join(0.2)
