"""The sample, a delivery company

Revision: 0002, after: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "categories",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("parent_id", sa.Integer()),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["categories.id"], name=op.f("fk_categories_parent_id_categories")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_categories")),
        sa.UniqueConstraint("parent_id", "name", name=op.f("uq_categories_parent_id_name")),
    )
    op.create_index(op.f("ix_categories_parent_id"), "categories", ["parent_id"])
    op.create_table(
        "customers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=12), nullable=False, comment="As on the invoices"),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=120)),
        sa.Column("phone", sa.String(length=30)),
        sa.Column("vat_number", sa.String(length=20), comment="Companies only"),
        sa.Column("credit_limit", sa.Numeric(precision=12, scale=2)),
        sa.Column("is_blocked", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("notes", sa.Text()),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("code", name=op.f("uq_customers_code")),
        sa.UniqueConstraint("vat_number", name=op.f("uq_customers_vat_number")),
    )
    op.create_index(op.f("ix_customers_name"), "customers", ["name"])
    op.create_table(
        "depots",
        sa.Column("code", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("city", sa.String(length=80), nullable=False),
        sa.Column(
            "country", sa.String(length=2), nullable=False, comment="ISO 3166-1, two letters"
        ),
        sa.Column("opens_at", sa.Time(), nullable=False),
        sa.Column("closes_at", sa.Time(), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_depots")),
    )
    op.create_table(
        "specimens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("integer", sa.Integer()),
        sa.Column("small_integer", sa.SmallInteger()),
        sa.Column("big_integer", sa.BigInteger()),
        sa.Column("float", sa.Float()),
        sa.Column("double", sa.Double()),
        sa.Column("numeric", sa.Numeric(precision=12, scale=2)),
        sa.Column("boolean", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("nullable_boolean", sa.Boolean()),
        sa.Column("string", sa.String(length=120)),
        sa.Column("text", sa.Text()),
        sa.Column("unicode", sa.Unicode(length=120)),
        sa.Column("unicode_text", sa.UnicodeText()),
        sa.Column("enum", sa.Enum("NEW", "WORN", "BROKEN", name="condition")),
        sa.Column("enum_of_strings", sa.Enum("small", "medium", "large", name="size")),
        sa.Column("uuid", sa.Uuid()),
        sa.Column("date", sa.Date()),
        sa.Column("time", sa.Time()),
        sa.Column("datetime_naive", sa.DateTime()),
        sa.Column("datetime_with_zone", sa.DateTime(timezone=True)),
        sa.Column("interval", sa.Interval()),
        sa.Column("json", sa.JSON()),
        sa.Column("pickle", sa.PickleType()),
        sa.Column("large_binary", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_specimens")),
        comment="One column of every SQLAlchemy type",
    )
    op.create_table(
        "tags",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
        sa.UniqueConstraint("name", name=op.f("uq_tags_name")),
    )
    op.create_table(
        "addresses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("street", sa.String(length=120), nullable=False),
        sa.Column("postal_code", sa.String(length=12), nullable=False),
        sa.Column("city", sa.String(length=80), nullable=False),
        sa.Column(
            "country", sa.String(length=2), nullable=False, comment="ISO 3166-1, two letters"
        ),
        sa.Column("customer_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customers.id"],
            name=op.f("fk_addresses_customer_id_customers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addresses")),
    )
    op.create_index(op.f("ix_addresses_city"), "addresses", ["city"])
    op.create_index(op.f("ix_addresses_customer_id"), "addresses", ["customer_id"])
    op.create_table(
        "drivers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("first_name", sa.String(length=60), nullable=False),
        sa.Column("last_name", sa.String(length=60), nullable=False),
        sa.Column("email", sa.String(length=120), nullable=False),
        sa.Column("phone", sa.String(length=30)),
        sa.Column("hired_on", sa.Date(), nullable=False),
        sa.Column("shift_starts_at", sa.Time()),
        sa.Column("hourly_wage", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("depot_code", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(
            ["depot_code"], ["depots.code"], name=op.f("fk_drivers_depot_code_depots")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drivers")),
        sa.UniqueConstraint("email", name=op.f("uq_drivers_email")),
    )
    op.create_index(op.f("ix_drivers_depot_code"), "drivers", ["depot_code"])
    op.create_index(op.f("ix_drivers_last_name"), "drivers", ["last_name"])
    op.create_table(
        "products",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sku", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("price", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("weight_kg", sa.Double()),
        sa.Column("attributes", sa.JSON(none_as_null=True)),
        sa.Column("is_sold", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("category_id", sa.Integer()),
        sa.CheckConstraint("price >= 0", name=op.f("ck_products_price_is_not_negative")),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=op.f("fk_products_category_id_categories")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("sku", name=op.f("uq_products_sku")),
    )
    op.create_index(op.f("ix_products_category_id"), "products", ["category_id"])
    op.create_index(op.f("ix_products_name"), "products", ["name"])
    op.create_table(
        "licenses",
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column(
            "classes", sa.String(length=40), nullable=False, comment="As printed: B, C, CE …"
        ),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("driver_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("expires_on > issued_on", name=op.f("ck_licenses_expires_after_issue")),
        sa.ForeignKeyConstraint(
            ["driver_id"],
            ["drivers.id"],
            name=op.f("fk_licenses_driver_id_drivers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_licenses")),
        sa.UniqueConstraint("driver_id", name=op.f("uq_licenses_driver_id")),
    )
    op.create_index(op.f("ix_licenses_expires_on"), "licenses", ["expires_on"])
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "draft",
                "confirmed",
                "loaded",
                "on the way",
                "delivered",
                "cancelled",
                name="order_status",
            ),
            nullable=False,
        ),
        sa.Column("customer_id", sa.Integer(), nullable=False),
        sa.Column("pickup_address_id", sa.Integer(), nullable=False),
        sa.Column("delivery_address_id", sa.Integer(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deliver_on", sa.Date()),
        sa.Column(
            "freight",
            sa.Numeric(precision=12, scale=2),
            nullable=False,
            comment="Euro, without VAT",
        ),
        sa.Column("is_express", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customers.id"],
            name=op.f("fk_orders_customer_id_customers"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["delivery_address_id"],
            ["addresses.id"],
            name=op.f("fk_orders_delivery_address_id_addresses"),
        ),
        sa.ForeignKeyConstraint(
            ["pickup_address_id"],
            ["addresses.id"],
            name=op.f("fk_orders_pickup_address_id_addresses"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("number", name=op.f("uq_orders_number")),
    )
    op.create_index(op.f("ix_orders_customer_id"), "orders", ["customer_id"])
    op.create_index(op.f("ix_orders_delivery_address_id"), "orders", ["delivery_address_id"])
    op.create_index(op.f("ix_orders_pickup_address_id"), "orders", ["pickup_address_id"])
    op.create_index(op.f("ix_orders_placed_at"), "orders", ["placed_at"])
    op.create_index(op.f("ix_orders_status"), "orders", ["status"])
    op.create_table(
        "product_tags",
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("tag_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"],
            ["products.id"],
            name=op.f("fk_product_tags_product_id_products"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tag_id"], ["tags.id"], name=op.f("fk_product_tags_tag_id_tags"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("product_id", "tag_id", name=op.f("pk_product_tags")),
    )
    op.create_index(op.f("ix_product_tags_tag_id"), "product_tags", ["tag_id"])
    op.create_table(
        "vehicles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plate", sa.String(length=16), nullable=False),
        sa.Column(
            "kind", sa.Enum("BIKE", "VAN", "TRUCK", "TRAILER", name="vehicle_kind"), nullable=False
        ),
        sa.Column("make", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=40), nullable=False),
        sa.Column("capacity_kg", sa.Double(), nullable=False, comment="Payload in kilograms"),
        sa.Column("mileage_km", sa.Integer(), server_default="0", nullable=False),
        sa.Column("is_electric", sa.Boolean(), comment="Empty while nobody has looked"),
        sa.Column("purchased_on", sa.Date()),
        sa.Column("purchase_price", sa.Numeric(precision=12, scale=2)),
        sa.Column("service_interval", sa.Interval()),
        sa.Column("driver_id", sa.Integer()),
        sa.Column("depot_code", sa.String(length=8), nullable=False),
        sa.CheckConstraint("capacity_kg > 0", name=op.f("ck_vehicles_capacity_is_positive")),
        sa.ForeignKeyConstraint(
            ["depot_code"], ["depots.code"], name=op.f("fk_vehicles_depot_code_depots")
        ),
        sa.ForeignKeyConstraint(
            ["driver_id"], ["drivers.id"], name=op.f("fk_vehicles_driver_id_drivers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vehicles")),
        sa.UniqueConstraint("plate", name=op.f("uq_vehicles_plate")),
    )
    op.create_index(op.f("ix_vehicles_depot_code"), "vehicles", ["depot_code"])
    op.create_index(op.f("ix_vehicles_driver_id"), "vehicles", ["driver_id"])
    op.create_table(
        "documents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("filename", sa.String(length=120), nullable=False),
        sa.Column("media_type", sa.String(length=80), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column(
            "uploaded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("order_id", sa.Integer()),
        sa.Column("customer_id", sa.Integer()),
        sa.CheckConstraint(
            "(order_id IS NULL AND customer_id IS NOT NULL) "
            "OR (order_id IS NOT NULL AND customer_id IS NULL)",
            name=op.f("ck_documents_has_one_owner"),
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customers.id"],
            name=op.f("fk_documents_customer_id_customers"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["orders.id"],
            name=op.f("fk_documents_order_id_orders"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
    )
    op.create_index(op.f("ix_documents_customer_id"), "documents", ["customer_id"])
    op.create_index(op.f("ix_documents_order_id"), "documents", ["order_id"])
    op.create_table(
        "order_items",
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column(
            "discount", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False
        ),
        sa.Column(
            "price",
            sa.Numeric(precision=12, scale=2),
            sa.Computed("unit_price - discount", persisted=True),
            nullable=False,
        ),
        sa.CheckConstraint(
            "discount >= 0 AND discount <= unit_price",
            name=op.f("ck_order_items_discount_fits_price"),
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_order_items_quantity_is_positive")),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["orders.id"],
            name=op.f("fk_order_items_order_id_orders"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_order_items_product_id_products")
        ),
        sa.PrimaryKeyConstraint("order_id", "product_id", name=op.f("pk_order_items")),
    )
    op.create_index(op.f("ix_order_items_product_id"), "order_items", ["product_id"])
    op.create_table(
        "shipments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column(
            "leg", sa.SmallInteger(), nullable=False, comment="1 is the first leg of the way"
        ),
        sa.Column("reference", sa.String(length=20), nullable=False),
        sa.Column("departed_at", sa.DateTime(timezone=True)),
        sa.Column("arrived_at", sa.DateTime(timezone=True)),
        sa.Column("weight_kg", sa.Double()),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["orders.id"],
            name=op.f("fk_shipments_order_id_orders"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shipments")),
        sa.UniqueConstraint("order_id", "leg", name=op.f("uq_shipments_order_id_leg")),
        sa.UniqueConstraint("reference", name=op.f("uq_shipments_reference")),
    )
    op.create_index(op.f("ix_shipments_kind"), "shipments", ["kind"])
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column(
            "category",
            sa.Enum(
                "Pickup",
                "Delivery",
                "Maintenance",
                "Paperwork",
                "Archived",
                name="task_category",
                native_enum=False,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("details", sa.Text()),
        sa.Column("is_done", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("due_on", sa.Date()),
        sa.Column("estimate", sa.Interval()),
        sa.Column("order_id", sa.Integer()),
        sa.Column("driver_id", sa.Integer()),
        sa.Column("depot_code", sa.String(length=8)),
        sa.ForeignKeyConstraint(
            ["depot_code"], ["depots.code"], name=op.f("fk_tasks_depot_code_depots")
        ),
        sa.ForeignKeyConstraint(
            ["driver_id"], ["drivers.id"], name=op.f("fk_tasks_driver_id_drivers")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_tasks_order_id_orders"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
    )
    op.create_index(op.f("ix_tasks_category"), "tasks", ["category"])
    op.create_index(op.f("ix_tasks_driver_id"), "tasks", ["driver_id"])
    op.create_index(op.f("ix_tasks_due_on"), "tasks", ["due_on"])
    op.create_index(op.f("ix_tasks_order_id"), "tasks", ["order_id"])
    op.create_table(
        "telemetry",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("vehicle_id", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.Column("speed", sa.Double(), comment="Kilometres an hour"),
        sa.ForeignKeyConstraint(
            ["vehicle_id"],
            ["vehicles.id"],
            name=op.f("fk_telemetry_vehicle_id_vehicles"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_telemetry")),
    )
    op.create_index(
        op.f("ix_telemetry_vehicle_id_recorded_at"), "telemetry", ["vehicle_id", "recorded_at"]
    )
    op.create_table(
        "air_shipments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("waybill", sa.String(length=16), nullable=False, comment="Air waybill number"),
        sa.Column("flight", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(
            ["id"], ["shipments.id"], name=op.f("fk_air_shipments_id_shipments"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_air_shipments")),
        sa.UniqueConstraint("waybill", name=op.f("uq_air_shipments_waybill")),
    )
    op.create_table(
        "road_shipments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("vehicle_id", sa.Integer()),
        sa.Column("distance_km", sa.Double()),
        sa.ForeignKeyConstraint(
            ["id"],
            ["shipments.id"],
            name=op.f("fk_road_shipments_id_shipments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["vehicle_id"],
            ["vehicles.id"],
            name=op.f("fk_road_shipments_vehicle_id_vehicles"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_road_shipments")),
    )
    op.create_index(op.f("ix_road_shipments_vehicle_id"), "road_shipments", ["vehicle_id"])


def downgrade() -> None:
    op.drop_table("road_shipments")
    op.drop_table("air_shipments")
    op.drop_table("telemetry")
    op.drop_table("tasks")
    op.drop_table("shipments")
    op.drop_table("order_items")
    op.drop_table("documents")
    op.drop_table("vehicles")
    op.drop_table("product_tags")
    op.drop_table("orders")
    op.drop_table("licenses")
    op.drop_table("products")
    op.drop_table("drivers")
    op.drop_table("addresses")
    op.drop_table("tags")
    op.drop_table("specimens")
    op.drop_table("depots")
    op.drop_table("customers")
    op.drop_table("categories")
    # Dropping a table leaves its enumerations behind where they are types of their own.
    for name in ("vehicle_kind", "order_status", "condition", "size"):
        sa.Enum(name=name).drop(op.get_bind(), checkfirst=True)
