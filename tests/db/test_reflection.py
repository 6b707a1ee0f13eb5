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


def rows(engine: sa.Engine, reflected: Reflected, name: str) -> list[dict[str, object]]:
    """What an instance of each row holds, apart from where the database keeps it."""
    cls = find(reflected, name)
    keys = [a.key for a in sa.inspect(cls).column_attrs if not a.key.startswith("_")]
    with orm.Session(engine) as session:
        return [{k: getattr(row, k) for k in keys} for row in session.scalars(sa.select(cls))]


def test_equal_rows_of_a_table_without_a_key_are_all_there(engine: sa.Engine) -> None:
    run(engine, "CREATE TABLE log (n INTEGER, text VARCHAR(9))")
    run(engine, "INSERT INTO log VALUES (1, 'a'), (1, 'a'), (NULL, NULL)")
    found = rows(engine, reflect(engine), "Log")
    same = {"n": 1, "text": "a"}
    assert found == [same, same, {"n": None, "text": None}]


def test_a_table_without_a_key_may_have_a_column_called_rowid(sqlite_url: str) -> None:
    engine = sa.create_engine(sqlite_url)
    run(engine, "CREATE TABLE log (rowid TEXT)", "INSERT INTO log VALUES ('a'), ('a')")
    assert rows(engine, reflect(engine), "Log") == [{"rowid": "a"}] * 2


def test_json_does_not_tell_the_rows_of_a_view_apart(postgresql_url: str) -> None:
    engine = sa.create_engine(postgresql_url)
    run(
        engine,
        "CREATE TABLE event (id INTEGER PRIMARY KEY, payload JSON)",
        "INSERT INTO event VALUES (1, '{}')",
        "CREATE VIEW recent AS SELECT * FROM event",
    )
    assert rows(engine, reflect(engine), "Recent") == [{"id": 1, "payload": {}}]


def test_a_view_whose_table_is_gone_is_left_out(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = sa.create_engine(sqlite_url)
    run(
        engine,
        "CREATE TABLE van (id INTEGER PRIMARY KEY)",
        "CREATE VIEW broken AS SELECT * FROM gone",
        "CREATE VIEW vans AS SELECT * FROM van",
    )
    with caplog.at_level(logging.WARNING):
        names = [cls.__name__ for cls in reflect(engine).classes]
    assert names == ["Van", "Vans"]
    assert "The view broken is left out: no such table: main.gone" in caplog.text


def test_the_parts_of_a_partitioned_table_are_not_tables_of_their_own(postgresql_url: str) -> None:
    engine = sa.create_engine(postgresql_url)
    run(
        engine,
        "CREATE TABLE reading (at DATE PRIMARY KEY) PARTITION BY RANGE (at)",
        "CREATE TABLE reading_2026 PARTITION OF reading"
        " FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    )
    assert [cls.__name__ for cls in reflect(engine).classes] == ["Reading"]


@pytest.mark.parametrize("type_", ["DATE", "DATETIME", "TIME", "NUMERIC(10, 2)", "JSON"])
@pytest.mark.parametrize("stored", ["", "01/02/2020", "{bad", 1700000000.5, b"\xff"])
def test_what_is_none_of_its_type_in_sqlite_is_read_as_it_is(
    sqlite_url: str, type_: str, stored: object
) -> None:
    engine = sa.create_engine(sqlite_url)
    run(engine, f"CREATE TABLE loose (id INTEGER PRIMARY KEY, value {type_})")
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO loose VALUES (1, :value)"), {"value": stored})
    (row,) = rows(engine, reflect(engine), "Loose")
    assert row["value"] == stored


@pytest.mark.parametrize(
    ("type_", "stored", "read"),
    [
        ("NUMERIC", 1e-12, "1E-12"),
        ("NUMERIC", 1.5, "1.5"),
        ("NUMERIC(10, 2)", 1.5, "1.50"),
        ("NUMERIC(10, 2)", 0.125, "0.125"),
    ],
)
def test_decimals_of_sqlite_are_not_rounded(
    sqlite_url: str, type_: str, stored: float, read: str
) -> None:
    engine = sa.create_engine(sqlite_url)
    run(engine, f"CREATE TABLE loose (id INTEGER PRIMARY KEY, value {type_})")
    run(engine, f"INSERT INTO loose VALUES (1, {stored})")
    (row,) = rows(engine, reflect(engine), "Loose")
    assert str(row["value"]) == read


def test_a_column_called_as_the_token_of_every_form_gets_another_name(engine: sa.Engine) -> None:
    run(engine, "CREATE TABLE visit (id INTEGER PRIMARY KEY, csrf_token VARCHAR(9))")
    assert attributes(reflect(engine), "Visit") == {"id", "csrf_token_"}


@pytest.mark.parametrize(
    ("type_", "rest", "is_counted"),
    [
        ("INTEGER", "", True),
        ("integer", "", True),
        ("INT", "", False),
        ("SMALLINT", "", False),
        ("BIGINT", "", False),
        ("INTEGER", "WITHOUT ROWID", False),
    ],
)
def test_a_key_that_sqlite_does_not_count_on_has_to_be_given(
    sqlite_url: str, type_: str, rest: str, is_counted: bool
) -> None:
    engine = sa.create_engine(sqlite_url)
    run(engine, f"CREATE TABLE van (id {type_} PRIMARY KEY, name TEXT) {rest}")
    table = find(reflect(engine), "Van").__table__
    assert (table._autoincrement_column is not None) == is_counted
