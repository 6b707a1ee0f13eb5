"""The same request to several applications in turn, and what it took each of them."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import flask
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from admin_app import database

LEAST, MOST, SECONDS = 3, 40, 4.0
"""Each request is repeated at least and at most so often, and not after so many seconds."""


@dataclass
class Contender:
    """One of the applications, and what was measured of it."""

    name: str
    app: flask.Flask
    engine: sa.Engine
    milliseconds: list[float] = field(default_factory=list)
    statements: int = 0
    size: int = 0

    def send(self, request: Request) -> None:
        """Send the request once and note what it took."""
        call = request.prepare(self)
        client = self.app.test_client()
        started = time.perf_counter()
        response = call(client)
        self.milliseconds.append((time.perf_counter() - started) * 1000)
        assert response.status_code == request.status, (self.name, request.name, response.status)
        self.size = len(response.data)

    def measure_once(self, request: Request) -> None:
        """Warm up, and count the statements, which a timed request is spared."""
        self.milliseconds = []
        self.send(request)
        with counted(self.engine) as seen:
            self.send(request)
        self.statements = len(seen)
        self.milliseconds = []

    @property
    def median(self) -> float:
        return statistics.median(self.milliseconds)

    def can(self, request: Request) -> bool:
        return request.cannot is None or self.name not in request.cannot


Call = Callable[[Any], TestResponse]


@dataclass(frozen=True)
class Request:
    """A request to measure; ``prepare`` does what has to be done before and returns the call."""

    name: str
    prepare: Callable[[Contender], Call]
    status: int = 200
    cannot: frozenset[str] | None = None
    """Names of contenders that have no such page."""


@contextlib.contextmanager
def counted(engine: sa.Engine) -> Iterator[list[str]]:
    """Collect the statements that ``engine`` executes."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.split(None, 1)[0] not in ("BEGIN", "PRAGMA"):
            seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(engine, "before_cursor_execute", note)


def application(url: sa.URL, metadata: sa.MetaData) -> tuple[flask.Flask, SQLAlchemy]:
    """An application without a page, over the database at ``url``."""
    app = flask.Flask("benchmarks")
    app.config.update(
        SECRET_KEY="no secret",  # noqa: S106 - it signs nothing
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=database.engine_options(url),
        TESTING=True,
        # Flask-Admin has no tokens unless asked; checking ours takes microseconds.
        WTF_CSRF_ENABLED=False,
    )
    return app, SQLAlchemy(app, metadata=metadata)


def measure(request: Request, found: list[Contender]) -> None:
    """Send ``request`` to each contender in turn until there are enough figures."""
    found = [contender for contender in found if contender.can(request)]
    for contender in found:
        contender.measure_once(request)
    for contender in itertools.chain.from_iterable(itertools.repeat(found)):
        spent = sum(contender.milliseconds) / 1000
        count = len(contender.milliseconds)
        is_done = count >= MOST or count >= LEAST and spent >= SECONDS
        if not is_done:
            contender.send(request)
        elif all(len(c.milliseconds) >= LEAST for c in found) and contender is found[-1]:
            return


def print_table(title: str, found: list[Contender], requests: Iterable[Request]) -> None:
    """Measure ``requests`` of each contender, and print what they took as a table."""
    print("| " + " | ".join([title, *(c.name for c in found)]) + " |")
    print("|---" * (len(found) + 1) + "|")
    for request in requests:
        measure(request, found)
        cell = _cell(found[0])
        cells = [cell(c) if c.can(request) else "–" for c in found]
        print(f"| {request.name} | " + " | ".join(cells) + " |", flush=True)
    print()


def _cell(first: Contender) -> Callable[[Contender], str]:
    def cell(contender: Contender) -> str:
        kilobytes = contender.size / 1024
        times = contender.median / first.median
        text = f"{contender.median:,.1f} ms, {contender.statements} st., {kilobytes:,.1f} kB"
        return text if contender is first else f"{text} (× {times:,.1f})"

    return cell
