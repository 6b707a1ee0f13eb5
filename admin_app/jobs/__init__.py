"""Long jobs: what takes longer than a request may, done in chunks by somebody else.

The table ``admin_job`` is the truth: who wants what done to which rows, how far it has come, and
what went wrong. Whatever carries the work (see `engines`) only says "run job 42", and may say it
twice or forget it.

A kind of work is a function that does one chunk (`work`). It runs as its owner, whose rights are
asked each time, within one change set: the rows, their history, the cursor behind them, the counts
and the failures are committed together. So a job whose worker dies goes on where it was, and no
row is done twice or left out.
"""

from __future__ import annotations

from admin_app.jobs.control import (
    announce,
    are_offered,
    cancel,
    latest,
    pause,
    prune,
    resume,
    start,
    tell,
)
from admin_app.jobs.engines import Queue, check, enqueue, wake_at_first_request
from admin_app.jobs.engines import of as engine_of
from admin_app.jobs.records import FailureRecord, Job
from admin_app.jobs.running import IS_LONG, Running, run
from admin_app.jobs.worker import Worker, serve
from admin_app.jobs.works import Failure, Outcome, Work, work

__all__ = [
    "IS_LONG",
    "Failure",
    "FailureRecord",
    "Job",
    "Outcome",
    "Queue",
    "Running",
    "Work",
    "Worker",
    "announce",
    "are_offered",
    "cancel",
    "check",
    "engine_of",
    "enqueue",
    "latest",
    "pause",
    "prune",
    "resume",
    "run",
    "serve",
    "start",
    "tell",
    "wake_at_first_request",
    "work",
]
