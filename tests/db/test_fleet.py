"""The sample, loaded into a database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm

from admin_app import Admin, database
from examples.fleet import seed as seeding
from examples.fleet.admin import VIEWS
from examples.fleet.cli import fleet_cli
from examples.fleet.models import Base, Order, OrderItem, Product, Specimen, Tag, Task, Telemetry
from examples.fleet.rows import SIZES, Load, loads
from examples.fleet.seed import SeedRefused, seed

SMALL = SIZES["small"]


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """An engine with the tables of the sample, all empty."""
    url = database.normalise_url(database_url)
    engine = sa.create_engine(url, **database.engine_options(url))
    database.listen(engine)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def load_of(table: sa.FromClause) -> Load:
    return next(load for load in loads(SMALL) if load.table is table)


def stored(engine: sa.Engine, table: sa.FromClause) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(table).order_by(*table.primary_key))
        return [dict(row._mapping) for row in rows]


def count(engine: sa.Engine, table: sa.FromClause) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_every_row_arrives(engine: sa.Engine) -> None:
    seed(engine, SMALL)
    for load in loads(SMALL):
        assert count(engine, load.table) == load.count > 0, load.table.name


def test_every_value_of_every_type_arrives_as_it_was(engine: sa.Engine) -> None:
    seed(engine, SMALL)
    load = load_of(Specimen.__table__)
    made = [dict(zip(load.columns, row, strict=True)) for row in load.rows()]
    if engine.dialect.name == "sqlite":
        # SQLite keeps no zone; what comes back is UTC and does not say so.
        for row in made:
            if moment := row["datetime_with_zone"]:
                row["datetime_with_zone"] = moment.replace(tzinfo=None)
    assert stored(engine, Specimen.__table__) == made


def test_every_foreign_key_finds_its_row(engine: sa.Engine) -> None:
    seed(engine, SMALL)
    for table in Base.metadata.sorted_tables:
        for key in (key for column in table.columns for key in column.foreign_keys):
            target = key.column.table.alias()
            orphans = sa.select(sa.func.count()).where(
                key.parent.is_not(None), ~sa.exists().where(target.c[key.column.name] == key.parent)
            )
            with engine.connect() as connection:
                assert connection.scalar(orphans.select_from(table)) == 0, key.parent


def test_the_next_row_gets_the_next_number(engine: sa.Engine) -> None:
    seed(engine, replace(SMALL, telemetry=0))
    with orm.Session(engine) as session:
        task = Task(title="One more", category="Pickup")
        report = Telemetry(
            vehicle_id=1, recorded_at=dt.datetime.now(dt.UTC), latitude=1.0, longitude=2.0
        )
        session.add_all([task, report])
        session.flush()
        assert (task.id, report.id) == (SMALL.tasks + 1, 1)


def test_seeding_twice_is_refused_and_changes_nothing(engine: sa.Engine) -> None:
    seed(engine, SMALL)
    with pytest.raises(SeedRefused, match="already have rows"):
        seed(engine, SMALL)
    assert count(engine, Order.__table__) == SMALL.orders


def test_one_row_of_somebody_is_enough_to_refuse(engine: sa.Engine) -> None:
    with orm.Session(engine) as session:
        session.add(Tag(name="mine"))
        session.commit()
    with pytest.raises(SeedRefused, match="already have rows"):
        seed(engine, SMALL)


def test_missing_tables_are_named(engine: sa.Engine) -> None:
    Base.metadata.tables["telemetry"].drop(engine)
    with pytest.raises(SeedRefused, match=r"telemetry.*flask db upgrade"):
        seed(engine, SMALL)


def test_what_is_broken_off_leaves_nothing_behind(engine: sa.Engine) -> None:
    sent = 0

    def stop(rows: int) -> None:
        nonlocal sent
        sent += rows
        if sent > 1_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seed(engine, SMALL, progress=stop)
    with engine.connect() as connection:
        assert seeding.is_empty(connection)


def test_progress_is_told_of_every_row(engine: sa.Engine) -> None:
    told: list[int] = []
    seed(engine, SMALL, progress=told.append)
    assert sum(told) == sum(load.count for load in loads(SMALL))


def test_text_that_copy_could_trip_over_arrives_whole(engine: sa.Engine) -> None:
    names = ["tab\there", "new\nline", "back\\slash", "\\N", "\\.", "", "\r\n", "ünï 👩‍🚒"]
    load = Load(Tag.__table__, ("id", "name"), len(names), lambda: iter(enumerate(names)))
    with engine.begin() as connection:
        send = seeding.copy if engine.dialect.name == "postgresql" else seeding.insert
        send(connection, load, lambda rows: None)
    assert [row["name"] for row in stored(engine, Tag.__table__)] == names


def test_copy_and_inserts_store_the_same(postgresql_url: str) -> None:
    engine = sa.create_engine(postgresql_url)
    specimens = load_of(Specimen.__table__)
    found = []
    for send in (seeding.copy, seeding.insert):
        Specimen.__table__.create(engine)
        with engine.begin() as connection:
            send(connection, specimens, lambda rows: None)
        found.append(stored(engine, Specimen.__table__))
        Specimen.__table__.drop(engine)
    assert found[0] == found[1]


def test_the_database_computes_the_price_and_the_query_the_total(engine: sa.Engine) -> None:
    seed(engine, SMALL)
    with orm.Session(engine) as session:
        items = session.scalars(sa.select(OrderItem).where(OrderItem.discount > 0)).all()
        assert items
        for item in items:
            assert item.price == item.unit_price - item.discount
            assert item.total == item.quantity * item.price


def test_a_second_save_of_an_order_in_an_old_version_is_noticed(engine: sa.Engine) -> None:
    seed(engine, SMALL)
    with orm.Session(engine, expire_on_commit=False) as first, orm.Session(engine) as second:
        mine = first.get_one(Order, 7)
        # SQLite lets nobody write who still reads from before somebody else's write.
        first.commit()
        second.get_one(Order, 7).note = "theirs"
        second.commit()
        mine.note = "mine"
        with pytest.raises(orm.exc.StaleDataError):
            first.commit()


def test_deleting_a_product_takes_its_tags_off(engine: sa.Engine) -> None:
    seed(engine, SMALL)
    with orm.Session(engine) as session:
        session.execute(sa.delete(OrderItem).where(OrderItem.product_id == 3))
        session.delete(session.get_one(Product, 3))
        session.commit()
    assert count(engine, Tag.__table__) == 8


@pytest.fixture
def flask_fleet(engine: sa.Engine) -> Flask:
    """An application over the empty tables, with the sample's commands."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = engine.url
    SQLAlchemy(app)
    app.cli.add_command(fleet_cli)
    return app


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["fleet", "seed", *arguments])


def test_the_command_fills_the_tables_and_says_so(flask_fleet: Flask, engine: sa.Engine) -> None:
    result = run(flask_fleet, "--telemetry", "5")
    assert "Loaded 989 rows" in result.output
    assert count(engine, Telemetry.__table__) == 5


def test_the_command_refuses_with_a_sentence(flask_fleet: Flask) -> None:
    run(flask_fleet)
    result = run(flask_fleet)
    assert result.exit_code == 1
    assert "Error: The tables of the sample already have rows" in result.output


def test_if_empty_leaves_rows_be_and_says_nothing(flask_fleet: Flask, engine: sa.Engine) -> None:
    run(flask_fleet)
    result = run(flask_fleet, "--if-empty", "--size", "medium")
    assert (result.exit_code, result.output) == (0, "")
    assert count(engine, Order.__table__) == SMALL.orders


@pytest.fixture
def fleet_admin(flask_fleet: Flask, engine: sa.Engine) -> Admin:
    """The sample's admin, open to everybody, over the small size."""
    flask_fleet.config.update(TESTING=True, SECRET_KEY="tests", WTF_CSRF_ENABLED=False)
    admin = Admin(flask_fleet, flask_fleet.extensions["sqlalchemy"], sign_in="none")
    for model, view_class in VIEWS.items():
        admin.register(model, view_class)
    seed(engine, SMALL)
    return admin


def test_ticked_tasks_go_into_the_archive(fleet_admin: Admin, engine: sa.Engine) -> None:
    assert fleet_admin.app is not None
    ticked = {"action": "archive", "confirmed": "1", "rowid": ["1", "2"]}
    page = fleet_admin.app.test_client().post(
        "/admin/task/action/", data=ticked, follow_redirects=True
    )
    assert "2 of 2 tasks are archived" in page.text
    assert [task["category"] for task in stored(engine, Task.__table__)[:2]] == ["Archived"] * 2


def test_nobody_types_telemetry(fleet_admin: Admin) -> None:
    assert fleet_admin.app is not None
    page = fleet_admin.app.test_client().get("/admin/telemetry/new/")
    assert page.status_code == 403
