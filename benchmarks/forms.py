"""A form with a hundred columns, eight of them foreign keys: what it costs to show and to save.

Stock Flask-Admin stands beside ours without options; tuned, it looks related rows up as one types.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

import flask_admin
import sqlalchemy as sa
from flask_admin.contrib.sqla import ModelView as StockView
from sqlalchemy import orm

from admin_app import Admin, database
from benchmarks.measuring import Call, Contender, Request, application, print_table

RELATED = 2_000
"""Rows of the table that the foreign keys point to."""


class Base(orm.DeclarativeBase):
    pass


class Depot(Base):
    __tablename__ = "bench_depots"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(60))

    def __str__(self) -> str:
        return self.name


KINDS: dict[str, tuple[int, Callable[[], Any], Any, str]] = {
    "label": (30, lambda: sa.String(80), "some words", "other words"),
    "count": (20, lambda: sa.Integer, 12345, "54321"),
    "price": (10, lambda: sa.Numeric(12, 2), 12.5, "99.25"),
    "day": (8, lambda: sa.Date, dt.date(2026, 11, 24), "2026-12-24"),
    "moment": (10, lambda: sa.DateTime, dt.datetime(2026, 11, 24, 10), "2026-12-24 10:00:00"),
    "flag": (8, lambda: sa.Boolean, True, "y"),
    "note": (6, lambda: sa.Text, "a line\nand another one", "one line"),
}
"""How many columns of each type there are, what a row holds in them, and what is typed."""

DEPOTS = [f"depot_{number}" for number in range(8)]
COLUMNS = {
    f"{kind}_{number}": kind for kind, (count, *_) in KINDS.items() for number in range(count)
}
assert len(COLUMNS) + len(DEPOTS) == 100


def _members() -> dict[str, Any]:
    members: dict[str, Any] = {
        name: orm.mapped_column(KINDS[kind][1](), nullable=kind != "flag")
        for name, kind in COLUMNS.items()
    }
    for name in DEPOTS:
        members[f"{name}_id"] = orm.mapped_column(sa.ForeignKey(Depot.id))
        members[name] = orm.relationship(Depot, foreign_keys=[members[f"{name}_id"]])
    return members


class Wide(Base):
    __tablename__ = "bench_wide"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    locals().update(_members())


class TunedView(StockView):
    form_ajax_refs = {name: {"fields": ("name",)} for name in DEPOTS}


def run(name: str, url: sa.URL) -> None:
    """Measure on the database at ``url`` and print."""
    found = contenders(url)
    seed(found[0].engine)
    print_table(f"{name}, form of 100 columns", found, requests())
    for contender in found:
        contender.engine.dispose()


def contenders(url: sa.URL) -> list[Contender]:
    """Ours, and Flask-Admin without options and with those for related rows."""
    app, db = application(url, Base.metadata)
    Admin(app, db, name="Wide", sign_in="none").register_all(Base)
    made = {"ours": (app, db)}
    for name, view in {"stock": StockView, "stock, tuned": TunedView}.items():
        made[name] = app, db = application(url, Base.metadata)
        flask_admin.Admin(app, name="Wide").add_view(view(Wide, db))
    found = []
    for name, (app, db) in made.items():
        with app.app_context():
            database.listen(db.engine)
            found.append(Contender(name, app, db.engine))
    return found


def seed(engine: sa.Engine) -> None:
    """The tables, the admin's own among them, with depots and one wide row."""
    Base.metadata.create_all(engine)
    row: dict[str, Any] = {name: KINDS[kind][2] for name, kind in COLUMNS.items()}
    row.update({f"{name}_id": number + 1 for number, name in enumerate(DEPOTS)})
    with engine.begin() as connection:
        depots = [{"name": f"Depot {number}"} for number in range(RELATED)]
        connection.execute(sa.insert(Depot), depots)
        connection.execute(sa.insert(Wide), [row])


def requests() -> list[Request]:
    """What is measured: both forms, and what is sent by them with all 100 fields in it."""
    numbers = itertools.count()

    def get(path: str) -> Callable[[Contender], Call]:
        return lambda contender: lambda client: client.get(path)

    def post(path: str) -> Callable[[Contender], Call]:
        def prepare(contender: Contender) -> Call:
            data = {name: KINDS[kind][3] for name, kind in COLUMNS.items()}
            data |= {name: str(number + 9) for number, name in enumerate(DEPOTS)}
            data["label_0"] = f"row {next(numbers)}"
            return lambda client: client.post(path, data=data)

        return prepare

    return [
        Request("new form", get("/admin/wide/new/")),
        Request("edit form", get("/admin/wide/edit/?id=1")),
        Request("create", post("/admin/wide/new/"), status=302),
        Request("save, one field changed", post("/admin/wide/edit/?id=1"), status=302),
    ]
