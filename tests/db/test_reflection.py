"""Classes made from tables that somebody else made."""

from __future__ import annotations

import logging

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import database
from admin_app.reflection import Reflected, reflect


@pytest.fixture
def engine(database_url: str) -> sa.Engine:
    engine = sa.create_engine(database.normalise_url(database_url))
    database.listen(engine)
    return engine


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def find(reflected: Reflected, name: str) -> type:
    return next(cls for cls in reflected.classes if cls.__name__ == name)


def relationships(reflected: Reflected, name: str) -> dict[str, str]:
    mapper = sa.inspect(find(reflected, name))
    return {key: related.mapper.class_.__name__ for key, related in mapper.relationships.items()}


def attributes(reflected: Reflected, name: str) -> set[str]:
    return set(sa.inspect(find(reflected, name)).column_attrs.keys())


SHOP = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR(40))",
    "CREATE TABLE addresses (id INTEGER PRIMARY KEY, city VARCHAR(40))",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers,"
    " billing_address_id INTEGER REFERENCES addresses,"
    " shipping_address_id INTEGER REFERENCES addresses)",
    "CREATE TABLE order_lines (order_id INTEGER REFERENCES orders, line INTEGER,"
    " PRIMARY KEY (order_id, line))",
    "CREATE TABLE line_notes (id INTEGER PRIMARY KEY, order_id INTEGER, line INTEGER,"
    " FOREIGN KEY (order_id, line) REFERENCES order_lines (order_id, line))",
)


def test_classes_and_relationships_get_the_names_a_person_would_choose(engine: sa.Engine) -> None:
    run(engine, *SHOP)
    found = reflect(engine)
    names = [cls.__name__ for cls in found.classes]
    assert names == ["Address", "Customer", "LineNote", "OrderLine", "Order"]
    assert relationships(found, "Order") == {
        "customer": "Customer",
        "billing_address": "Address",
        "shipping_address": "Address",
        "order_lines": "OrderLine",
    }
    assert relationships(found, "Address") == {
        "orders_by_billing_address": "Order",
        "orders_by_shipping_address": "Order",
    }
    assert relationships(found, "LineNote") == {"order_line": "OrderLine"}


def test_rows_are_written_through_the_relationships(engine: sa.Engine) -> None:
    run(engine, *SHOP)
    found = reflect(engine)
    customer, order = find(found, "Customer"), find(found, "Order")
    with orm.Session(engine) as session:
        session.add(customer(id=1, name="Lindqvist", orders=[order(id=7)]))
        session.commit()
        assert session.get_one(order, 7).customer.name == "Lindqvist"


def test_the_database_decides_what_becomes_of_children(engine: sa.Engine) -> None:
    run(engine, *SHOP)
    run(engine, "INSERT INTO customers VALUES (1, 'Lindqvist')")
    run(engine, "INSERT INTO orders (id, customer_id) VALUES (7, 1)")
    customer = find(reflect(engine), "Customer")
    with orm.Session(engine) as session:
        session.delete(session.get_one(customer, 1))
        with pytest.raises(sa.exc.IntegrityError):
            session.flush()


def test_a_pure_link_table_becomes_a_relationship(engine: sa.Engine) -> None:
    run(
        engine,
        "CREATE TABLE tag (id INTEGER PRIMARY KEY)",
        "CREATE TABLE post (id INTEGER PRIMARY KEY)",
        "CREATE TABLE post_tag (post_id INTEGER REFERENCES post, tag_id INTEGER REFERENCES tag,"
        " PRIMARY KEY (post_id, tag_id))",
        "CREATE TABLE follows (follower_id INTEGER REFERENCES tag,"
        " followed_id INTEGER REFERENCES tag)",
    )
    found = reflect(engine)
    assert [cls.__name__ for cls in found.classes] == ["Post", "Tag"]
    assert relationships(found, "Post") == {"tags": "Tag"}
    assert relationships(found, "Tag") == {"posts": "Post", "followers": "Tag", "followeds": "Tag"}
    post, tag = found.classes
    with orm.Session(engine) as session:
        session.add(post(id=1, tags=[tag(id=2, followers=[tag(id=3)])]))
        session.commit()
        assert [one.id for one in session.get_one(tag, 3).followeds] == [2]


def test_a_link_table_with_a_column_of_its_own_is_a_class(engine: sa.Engine) -> None:
    run(
        engine,
        "CREATE TABLE tag (id INTEGER PRIMARY KEY)",
        "CREATE TABLE post (id INTEGER PRIMARY KEY)",
        "CREATE TABLE post_tag (post_id INTEGER REFERENCES post, tag_id INTEGER REFERENCES tag,"
        " weight INTEGER, PRIMARY KEY (post_id, tag_id))",
    )
    found = reflect(engine)
    assert relationships(found, "PostTag") == {"post": "Post", "tag": "Tag"}
    assert relationships(found, "Post") == {"post_tags": "PostTag"}


@pytest.mark.parametrize(
    ("column", "up", "down"),
    [
        ("parent_id", "parent", "children"),
        ("reports_to", "reports_to_node", "nodes_by_reports_to"),
    ],
)
def test_a_tree_has_names_for_both_directions(
    engine: sa.Engine, column: str, up: str, down: str
) -> None:
    run(
        engine, f"CREATE TABLE node (id INTEGER PRIMARY KEY, {column} INTEGER REFERENCES node (id))"
    )
    found = reflect(engine)
    assert relationships(found, "Node") == {up: "Node", down: "Node"}
    node = found.classes[0]
    with orm.Session(engine) as session:
        session.add(node(id=2, **{up: node(id=1)}))
        session.commit()
        assert [one.id for one in getattr(session.get_one(node, 1), down)] == [2]


def test_a_unique_foreign_key_is_one_to_one(engine: sa.Engine) -> None:
    run(
        engine,
        "CREATE TABLE driver (id INTEGER PRIMARY KEY)",
        "CREATE TABLE license (id INTEGER PRIMARY KEY REFERENCES driver, number VARCHAR(9))",
    )
    found = reflect(engine)
    assert relationships(found, "Driver") == {"license": "License"}
    assert not sa.inspect(find(found, "Driver")).relationships["license"].uselist
    assert relationships(found, "License") == {"driver": "Driver"}


def test_foreign_keys_that_share_a_column_warn_of_nothing(engine: sa.Engine) -> None:
    run(
        engine,
        "CREATE TABLE tenant (id INTEGER PRIMARY KEY)",
        "CREATE TABLE van (tenant_id INTEGER REFERENCES tenant, id INTEGER,"
        " PRIMARY KEY (tenant_id, id))",
        "CREATE TABLE trip (id INTEGER PRIMARY KEY, tenant_id INTEGER REFERENCES tenant,"
        " van_id INTEGER, FOREIGN KEY (tenant_id, van_id) REFERENCES van (tenant_id, id))",
    )
    assert relationships(reflect(engine), "Trip") == {"tenant": "Tenant", "van": "Van"}


def test_a_table_without_a_key_is_for_reading(engine: sa.Engine) -> None:
    run(engine, "CREATE TABLE log (at INTEGER, line VARCHAR(9))", "INSERT INTO log VALUES (1, 'a')")
    found = reflect(engine)
    log = found.classes[0]
    assert found.read_only == {log}
    assert found.notes[log] == log.__admin_note__
    assert "no primary key" in log.__admin_note__
    assert log.__admin_read_only__
    with orm.Session(engine) as session:
        assert session.scalars(sa.select(log)).one().line == "a"


def test_a_unique_column_that_is_never_null_is_as_good_as_a_key(engine: sa.Engine) -> None:
    run(engine, "CREATE TABLE coupon (code VARCHAR(9) NOT NULL, percent INTEGER, UNIQUE (code))")
    found = reflect(engine)
    assert not found.read_only
    assert [column.key for column in sa.inspect(found.classes[0]).primary_key] == ["code"]


def test_a_view_is_for_reading(engine: sa.Engine) -> None:
    run(
        engine,
        "CREATE TABLE parcel (id INTEGER PRIMARY KEY, grams INTEGER)",
        "INSERT INTO parcel VALUES (1, 900)",
        "CREATE VIEW heavy_parcels AS SELECT id, grams FROM parcel WHERE grams > 500",
    )
    found = reflect(engine)
    heavy = find(found, "HeavyParcel")
    assert "view" in found.notes[heavy]
    with orm.Session(engine) as session:
        assert session.scalars(sa.select(heavy)).one().grams == 900


def test_a_materialized_view_is_for_reading(postgresql_url: str) -> None:
    engine = sa.create_engine(postgresql_url)
    run(engine, "CREATE MATERIALIZED VIEW totals AS SELECT 1 AS count")
    assert [cls.__name__ for cls in reflect(engine).read_only] == ["Total"]


def test_names_that_python_or_sqlalchemy_keep_are_mended(engine: sa.Engine) -> None:
    run(
        engine,
        'CREATE TABLE "2024 figures" (id INTEGER PRIMARY KEY, "class" INTEGER, metadata INTEGER,'
        ' registry INTEGER, query INTEGER, "per cent" INTEGER, "1st" INTEGER, _hidden INTEGER,'
        ' hidden INTEGER, "größe" INTEGER)',
    )
    found = reflect(engine)
    assert attributes(found, "Table2024Figure") == {
        "id",
        "class_",
        "metadata_",
        "registry_",
        "query_",
        "per_cent",
        "column_1st",
        "hidden",
        "hidden_2",
        "größe",
    }
    with orm.Session(engine) as session:
        session.add(found.classes[0](id=1, per_cent=50))
        session.commit()


def test_a_relationship_never_takes_the_name_of_a_column(engine: sa.Engine) -> None:
    run(
        engine,
        "CREATE TABLE depot (code VARCHAR(9) PRIMARY KEY, vans INTEGER)",
        "CREATE TABLE van (id INTEGER PRIMARY KEY, depot VARCHAR(9) REFERENCES depot)",
    )
    found = reflect(engine)
    assert relationships(found, "Van") == {"depot_depot": "Depot"}
    assert relationships(found, "Depot") == {"vans_by_depot": "Van"}


def test_two_tables_of_one_name_are_two_classes(engine: sa.Engine) -> None:
    run(
        engine,
        "CREATE TABLE item (id INTEGER PRIMARY KEY)",
        "CREATE TABLE items (id INTEGER PRIMARY KEY)",
        'CREATE TABLE "ITEM_S" (id INTEGER PRIMARY KEY)',
    )
    names = [cls.__name__ for cls in reflect(engine).classes]
    assert sorted(names) == ["Item", "ItemS", "Items"]


def test_the_tables_of_the_admin_and_of_alembic_are_left_out(engine: sa.Engine) -> None:
    run(engine, "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
    run(engine, "CREATE TABLE admin_notes (id INTEGER PRIMARY KEY)")
    database.Base.metadata.create_all(engine)
    assert [cls.__name__ for cls in reflect(engine).classes] == ["AdminNote"]


def test_a_foreign_key_to_nowhere_is_noted_and_forgotten(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = sa.create_engine(sqlite_url)
    run(
        engine,
        "CREATE TABLE van (id INTEGER PRIMARY KEY, depot_id INTEGER REFERENCES depot (id))",
    )
    with caplog.at_level(logging.WARNING):
        found = reflect(engine)
    assert "depot, which is missing" in caplog.text
    van = found.classes[0]
    assert not van.__table__.foreign_keys
    with orm.Session(engine) as session:
        session.add(van(id=1, depot_id=5))
        session.commit()


def test_a_type_that_is_unknown_stops_nothing(postgresql_url: str) -> None:
    engine = sa.create_engine(postgresql_url)
    run(engine, "CREATE TABLE spot (id INTEGER PRIMARY KEY, place POINT, area BOX)")
    assert attributes(reflect(engine), "Spot") == {"id", "place", "area"}


def test_a_schema_can_be_chosen_and_brings_what_it_refers_to(postgresql_url: str) -> None:
    engine = sa.create_engine(postgresql_url)
    run(
        engine,
        "CREATE SCHEMA sales",
        "CREATE TABLE customer (id INTEGER PRIMARY KEY)",
        "CREATE TABLE unrelated (id INTEGER PRIMARY KEY)",
        "CREATE TABLE sales.orders (id INTEGER PRIMARY KEY,"
        " customer_id INTEGER REFERENCES public.customer)",
        "CREATE TABLE sales.customer (id INTEGER PRIMARY KEY)",
    )
    found = reflect(engine, "sales")
    tables = {cls.__name__: cls.__table__.fullname for cls in found.classes}
    assert tables == {
        "Customer": "sales.customer",
        "Order": "sales.orders",
        "Customer_2": "customer",
    }
    assert relationships(found, "Order") == {"customer": "Customer_2"}
