"""What carries jobs to whoever runs them, chosen by the setting ``ADMIN_JOBS``.

A queue of huey holds numbers of jobs and nothing else, so nothing is lost with it: the table of
jobs knows which wait. A queue in a file is emptied by a thread of this process, which lives as
long as there is something to do, and by ``flask admin worker``; any other by workers alone.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import logging
import os
import threading
from collections import deque
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import flask
import sqlalchemy as sa

from admin_app import database, inspection
from admin_app.errors import ConfigurationError
from admin_app.jobs import running, worker
from admin_app.jobs.records import Job

log = logging.getLogger(__name__)

SETTING = "ADMIN_JOBS"
DEFAULT = "sqlite:///jobs.sqlite"
_EXTENSION = "admin_jobs"

_SCHEMES = {
    "sqlite": "sqlite",
    "redis": "redis",
    "rediss": "redis",
    "postgres": "postgresql",
    "postgresql": "postgresql",
}
_PACKAGES = {"redis": ("redis", "redis"), "postgresql": ("psycopg", "'psycopg[binary]'")}
"""What a kind of queue needs beside huey: the module, and what to install."""

END_SECONDS = 10.0
"""How long the end of a process waits for the present chunk."""


class Engine(Protocol):
    """Whatever takes the numbers of jobs that are to be run."""

    runs_here: bool
    """Whether jobs run in this process, so that no worker has to be started for them."""

    def enqueue(self, number: int) -> None:
        """Have the job ``number`` run, now or later."""

    def wake(self) -> None:
        """Look for jobs that wait, as nobody may have done so since the last start."""


def check(app: flask.Flask) -> str:
    """The kind of engine that ``app`` is set to: inline, sqlite, redis, postgresql or own.

    Raises ConfigurationError for a setting that means nothing, or lacks a package.
    """
    wanted = _setting(app)
    if not isinstance(wanted, str):
        if not callable(getattr(wanted, "enqueue", None)):
            raise ConfigurationError(f"{SETTING} is {wanted!r}, which has no method enqueue.")
        return "own"
    if wanted == "inline":
        return wanted
    scheme, separator, rest = wanted.partition("://")
    kind = _SCHEMES.get(scheme.partition("+")[0]) if separator else None
    if kind is None or not rest.strip("/"):
        raise ConfigurationError(
            f"{SETTING} is {database.mask(wanted)!r}. Set it to 'inline', or to the address of a "
            f"queue such as '{DEFAULT}', 'redis://host/0' or 'postgresql://user@host/name'."
        )
    module, package = _PACKAGES.get(kind, (None, None))
    if module is not None and find_spec(module) is None:
        raise ConfigurationError(
            f"{SETTING} is {database.mask(wanted)!r}, for which a package is missing. "
            f"Run: pip install {package}"
        )
    return kind


def _setting(app: flask.Flask) -> Any:
    wanted = app.config.get(SETTING) or os.environ.get(SETTING)
    return wanted or ("inline" if app.testing else DEFAULT)


def of(app: flask.Flask, admin: Any) -> Engine:
    """The engine of ``admin``; made when it is first wanted, as the settings are then."""
    engines: dict[str, Engine] = app.extensions.setdefault(_EXTENSION, {})
    found = engines.get(admin.endpoint)
    if found is None:
        kind = check(app)
        url = _database(admin)
        if kind == "own":
            found = _Own(_setting(app))
        elif kind == "inline" or (url is not None and database.is_memory(url)):
            found = _Inline(app, admin)
        else:
            found = Queue(app, admin, kind, str(_setting(app)))
        found = engines.setdefault(admin.endpoint, found)
    return found


def _database(admin: Any) -> Any:
    try:
        return admin.session.get_bind(mapper=inspection.mapper_of(Job)).engine.url
    except sa.exc.SQLAlchemyError:
        # A host may have given the admin's own tables no database.
        return None


def enqueue(app: Any, admin: Any, number: int) -> None:
    """Have the job ``number`` run; at once, before this returns, where the engine is inline."""
    of(_application(app), admin).enqueue(number)


def wake_at_first_request(app: flask.Flask, admin: Any) -> None:
    """Look after the jobs of ``admin`` as soon as this process serves a page.

    Its last start may have ended in the middle of one.
    """
    is_awake = False

    def wake() -> None:
        nonlocal is_awake
        if not is_awake:
            is_awake = True
            with contextlib.suppress(ConfigurationError):  # told by `check`
                of(app, admin).wake()

    if admin.db is not None:
        app.before_request(wake)


def _application(app: Any) -> flask.Flask:
    found: flask.Flask = getattr(app, "_get_current_object", lambda: app)()
    return found


class _Inline:
    """Runs a job at once, while whoever has started it waits."""

    runs_here = True

    def __init__(self, app: flask.Flask, admin: Any) -> None:
        self.app, self.admin = app, admin

    def enqueue(self, number: int) -> None:
        # In a thread of its own it has its own context and its own sessions, as with a worker.
        thread = threading.Thread(target=self._run, args=(number,), name=f"job {number}")
        thread.start()
        thread.join()

    def _run(self, number: int) -> None:
        try:
            running.run(self.app, self.admin, number)
        except Exception:
            log.exception("The job %s was given up", number)

    def wake(self) -> None:
        """Nothing waits for long."""


class _Own:
    """A host's own way: an object with ``enqueue``, whose workers call `running.run`."""

    runs_here = False

    def __init__(self, host: Any) -> None:
        self.host = host

    def enqueue(self, number: int) -> None:
        self.host.enqueue(number)

    def wake(self) -> None:
        """The host's workers have their own way to begin."""


class Queue:
    """A queue of huey, and where it is a file the thread that empties it."""

    def __init__(self, app: flask.Flask, admin: Any, kind: str, address: str) -> None:
        self.app, self.admin = app, admin
        self.kind, self.address = kind, address
        self.runs_here = kind == "sqlite"
        url = _database(admin) or ""
        name = hashlib.sha256(f"{admin.endpoint} {database.mask(url)}".encode()).hexdigest()
        self.name = f"admin_{name[:16]}"
        """Applications that share a queue do not take each other's jobs."""
        self._storage: Any = None
        self._lock = threading.Lock()
        self._opened_by = 0
        self._aside: deque[int] = deque()
        self._is_broken = False
        self._starting = threading.Lock()
        self._worked_by = 0
        self._thread: threading.Thread | None = None
        self._worker: worker.Worker | None = None

    # The queue

    def enqueue(self, number: int) -> None:
        self.put(number)
        if self.runs_here:
            self._start()

    def put(self, number: int) -> None:
        """Put ``number`` at the end of the queue, or aside where the queue does not answer.

        Other processes find it by its row then.
        """
        try:
            self._open().enqueue(str(number).encode())
            self._is_broken = False
        except Exception:
            self._fail()
            if number not in self._aside:
                self._aside.append(number)

    def take(self) -> int | None:
        """The next number; None when there is none at the moment."""
        with contextlib.suppress(IndexError):
            return self._aside.popleft()
        try:
            found = self._open().dequeue()
            self._is_broken = False
        except Exception:
            self._fail()
            return None
        return None if found is None else int(bytes(found))

    def is_empty(self) -> bool:
        """Whether no further number waits."""
        try:
            return not (self._aside or self._open().queue_size())
        except Exception:
            self._fail()
            return True

    def _open(self) -> Any:
        with self._lock:
            # Whatever was opened before a fork belongs to the other process.
            if self._storage is None or self._opened_by != os.getpid():
                self._storage, self._opened_by = self._make(), os.getpid()
            return self._storage

    def _make(self) -> Any:
        from huey import storage

        if self.kind == "redis":
            return storage.RedisStorage(self.name, url=self.address, blocking=False)
        if self.kind == "postgresql":
            dsn = f"postgresql://{self.address.partition('://')[2]}"
            return storage.PostgresStorage(
                self.name, dsn=dsn, blocking=False, table_prefix="admin_queue"
            )
        path = Path(self.app.instance_path) / self.address.partition(":///")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        return storage.SqliteStorage(self.name, filename=str(path))

    def _fail(self) -> None:
        if not self._is_broken:
            log.exception("The queue of jobs, %s, does not answer", database.mask(self.address))
        self._is_broken = True
        self._storage = None

    # The thread

    def wake(self) -> None:
        if self.runs_here:
            self._start()

    def _start(self) -> None:
        """Have the thread look at once; there is one in each process that has something to do."""
        with self._starting:
            is_own = self._worker is not None and self._worked_by == os.getpid()
            if is_own and self._worker is not None and self._worker.wake():
                return
            if not is_own:
                atexit.register(self.stop)
            self._worked_by = os.getpid()
            self._worker = worker.Worker(self.app, self.admin, self, stays=False)
            self._thread = threading.Thread(target=self._worker.go, name="jobs", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Let the thread give its job back when the present chunk is done, and wait for that."""
        current, thread = self._worker, self._thread
        if current is not None and thread is not None and self._worked_by == os.getpid():
            current.stop()
            thread.join(END_SECONDS)
