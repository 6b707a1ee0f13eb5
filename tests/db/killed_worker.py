"""Runs a job in one worker after the other; each is killed, at another moment of its second chunk.

Started by `test_jobs` as a process of its own: ``killed_worker.py <url> <folder>``. It has no
threads, so that it can fork; a child is a whole worker, and what kills it is SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event, orm

from admin_app.jobs import engines, worker
from tests.db.conftest import Site
from tests.db.test_jobs import Base

worker.LEASE, worker.LOOK = 0.1, 0.02

MOMENTS = (
    "claimed",
    "rows written",
    "before commit",
    "after commit",
    "rows written",
    "told to end",
)


def work(url: str, folder: Path, moment: str) -> None:
    """Be a worker, and end at ``moment``."""
    site = Site(url, Base, history=True).register_all()
    with site.app.app_context():
        address = f"sqlite:///{folder / 'jobs.sqlite'}"
        queue = engines.Queue(site.app, site.admin, "sqlite", address)
    one = worker.Worker(site.app, site.admin, queue, stays=False)
    arm(site.engine, moment, one)
    worker.serve([one])


def arm(engine: sa.Engine, moment: str, one: worker.Worker) -> None:
    chunks = 0

    def die(*arguments: object) -> None:
        if chunks == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(engine, "before_cursor_execute")
    def note(connection, cursor, statement, parameters, context, executemany) -> None:
        nonlocal chunks
        # What a chunk has done is written into the job last of all.
        if not (statement.startswith("UPDATE admin_job SET") and "cursor" in statement):
            return
        chunks += 1
        if moment == "rows written":
            die()
        if moment == "told to end" and chunks == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            one._stopping.wait()

    if moment == "claimed":
        chunks = 2
        event.listen(orm.Session, "after_commit", die)
    elif moment == "before commit":
        event.listen(engine, "commit", die)
    elif moment == "after commit":
        event.listen(orm.Session, "after_commit", die)


def main(url: str, folder: Path) -> None:
    for moment in (*MOMENTS, "never"):
        child = os.fork()
        if not child:
            work(url, folder, moment)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(moment, "killed" if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
