"""What carries jobs to whoever runs them."""

from __future__ import annotations

import logging
import threading
from typing import Any

import flask

from admin_app.jobs import running

log = logging.getLogger(__name__)


def enqueue(app: Any, admin: Any, number: int) -> None:
    """Have the job ``number`` run; at once, before this returns."""
    found: flask.Flask = getattr(app, "_get_current_object", lambda: app)()
    # In a thread of its own it has its own context and its own sessions, as with a worker.
    thread = threading.Thread(target=_run, args=(found, admin, number), name=f"job {number}")
    thread.start()
    thread.join()


def _run(app: flask.Flask, admin: Any, number: int) -> None:
    try:
        running.run(app, admin, number)
    except Exception:
        log.exception("The job %s was given up", number)
