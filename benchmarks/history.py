"""``python -m benchmarks.history``: what it costs that every change is written into the history.

The same saves go to the same application with the history and without it. A bulk update of many
orders with the history stands beside the bare UPDATE and one reading of the rows.
"""

from __future__ import annotations

import argparse
import itertools
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import Admin, changes, database
from admin_app.changes.capture import Recorder
from benchmarks import forms
from benchmarks.__main__ import databases
from benchmarks.measuring import Call, Contender, Request, application, print_table
from examples.fleet.models import Base, Order
from examples.fleet.rows import SIZES
from examples.fleet.seed import seed

ROWS = 10_000
TIMES = 3


def contenders(url: sa.URL, metadata: sa.MetaData, base: Any) -> list[Contender]:
    """Ours without the history, and with it."""
    found = []
    for name, is_kept in {"without history": False, "with history": True}.items():
        app, db = application(url, metadata)
        Admin(app, db, name="Fleet", sign_in="none", history=is_kept).register_all(base)
        with app.app_context():
            database.listen(db.engine)
            found.append(Contender(name, app, db.engine))
    return found


def saves() -> list[Request]:
    """One order changed, and one made and deleted again."""
    numbers = itertools.count(1)

    def change(contender: Contender) -> Call:
        data = {"freight": f"{next(numbers)}.00"}
        return lambda client: client.post("/admin/order/edit/?id=1", data=data)

    def create(contender: Contender) -> Call:
        data = {
            "number": f"new-{next(numbers)}",
            "status": "DRAFT",
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

    return [
        Request("save, one field changed", change, status=302),
        Request("create", create, status=302),
    ]


def bulk(engine: sa.Engine) -> None:
    """Print what a change of many rows costs, as one statement and by the unit of work."""
    few = sa.select(Order.id).order_by(Order.id).limit(ROWS).subquery()
    statement = (
        sa.update(Order)
        .where(Order.id.in_(sa.select(few.c.id)))
        .values(freight=Order.freight + 1)
        .execution_options(synchronize_session=False)
    )
    chosen = sa.select(Order.__table__).where(Order.id.in_(sa.select(few.c.id)))

    def bare(session: orm.Session) -> None:
        session.execute(statement)

    def read(session: orm.Session) -> None:
        session.execute(chosen).all()

    def load(session: orm.Session) -> None:
        session.scalars(sa.select(Order).order_by(Order.id).limit(ROWS)).all()

    def each(session: orm.Session) -> None:
        for order in session.scalars(sa.select(Order).order_by(Order.id).limit(ROWS)):
            order.freight += 1
        session.flush()

    update, reading = _seconds(engine, bare, False), _seconds(engine, read, False)
    loading = _seconds(engine, load, False)
    kept = _seconds(engine, bare, True)
    print(f"| one UPDATE of {ROWS:,} rows | {_ms(update)} | ", end="")
    print(f"{_ms(reading)} as tuples, {_ms(loading)} as objects | {_ms(kept)} |")
    unit, kept = _seconds(engine, each, False), _seconds(engine, each, True)
    print(f"| {ROWS:,} objects changed, one flush | {_ms(unit)} | | {_ms(kept)} |")
    print(f"\nHeld in memory: {_bytes_a_row(engine, statement):,.0f} bytes a row.\n")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _seconds(engine: sa.Engine, write: Callable[[orm.Session], None], is_recorded: bool) -> float:
    taken = []
    for _ in range(TIMES):
        with orm.Session(engine) as session:
            started = time.perf_counter()
            with changes.change_set(
                session, source="benchmark", mapper=sa.inspect(Order), is_recorded=is_recorded
            ):
                write(session)
            taken.append(time.perf_counter() - started)
    return min(taken)


def _bytes_a_row(engine: sa.Engine, statement: Any) -> float:
    with orm.Session(engine) as session:
        recorder = Recorder(session)
        session.execute(sa.select(1))
        tracemalloc.start()
        session.execute(statement)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        recorder.close()
        session.rollback()
    return held / ROWS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], help="only this one")
    parser.add_argument("--size", choices=SIZES, default="medium", help="of the sample (medium)")
    chosen = parser.parse_args()
    with databases([chosen.engine] if chosen.engine else ["sqlite", "postgresql"]) as urls:
        for name, url in urls.items():
            engine = sa.create_engine(url, **database.engine_options(url))
            database.listen(engine)
            Base.metadata.create_all(engine)
            database.Base.metadata.create_all(engine)
            seed(engine, SIZES[chosen.size])
            print_table(name, contenders(url, Base.metadata, Base), saves())
            forms.seed(engine)
            wide = contenders(url, forms.Base.metadata, forms.Base)
            print_table(f"{name}, form of 100 columns", wide, forms.requests()[2:])
            print(
                f"| {name} | without history | reading the rows | with history |\n|---|---|---|---|"
            )
            bulk(engine)
            engine.dispose()


if __name__ == "__main__":
    main()
