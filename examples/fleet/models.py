"""The models of a delivery company: the sample on which the admin is shown and tested.

Nothing here knows of the admin. These are plain SQLAlchemy models, as you would write them
without it, and they have what real schemas have: natural, composite, string and UUID keys, a tree,
a many-to-many, an association object, joined inheritance, two foreign keys to one table, a large
table. Read from the top; the order is that of the company's day:

    Depot ─┬─ Driver ─── License          who drives, from where
           └─ Vehicle ── Telemetry        what he drives, and where it has been (the large table)
    Category ── Product ── Tag            what is carried
    Customer ── Address                   for whom
       └── Order ─┬─ OrderItem ── Product
                  ├─ Shipment             by road or by air
                  ├─ Document             delivery notes, invoices
                  └─ Task                 what is left to do
    Specimen                              one column of every SQLAlchemy type

Some classes say who they are (``__str__``), some of those by asking a related row; others leave it
to the admin to find a good label.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column, relationship


class Base(orm.DeclarativeBase):
    """Base of every model of the sample.

    Every constraint gets a name: without one a migration cannot drop it again, on SQLite least of
    all. Money is `Numeric`, never a float, and moments in time carry their zone.
    """

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        Decimal: sa.Numeric(12, 2),
        # What SQLAlchemy 2.1 means by float; 2.0 means FLOAT, and migrations should not differ.
        float: sa.Double(),
        dt.datetime: sa.DateTime(timezone=True),
    }


class Depot(Base):
    """A yard that vehicles start from. Its key is the code painted on the gate."""

    __tablename__ = "depots"

    code: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    city: Mapped[str] = mapped_column(sa.String(80))
    country: Mapped[str] = mapped_column(sa.String(2), comment="ISO 3166-1, two letters")
    opens_at: Mapped[dt.time]
    closes_at: Mapped[dt.time]
    latitude: Mapped[float]
    longitude: Mapped[float]

    drivers: Mapped[list[Driver]] = relationship(back_populates="depot")
    vehicles: Mapped[list[Vehicle]] = relationship(back_populates="depot")


class Driver(Base):
    """Somebody who drives for the company."""

    __tablename__ = "drivers"

    id: Mapped[int] = mapped_column(primary_key=True)
    first_name: Mapped[str] = mapped_column(sa.String(60))
    last_name: Mapped[str] = mapped_column(sa.String(60), index=True)
    email: Mapped[str] = mapped_column(sa.String(120), unique=True)
    phone: Mapped[str | None] = mapped_column(sa.String(30))
    hired_on: Mapped[dt.date]
    shift_starts_at: Mapped[dt.time | None]
    hourly_wage: Mapped[Decimal]
    is_active: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    depot_code: Mapped[str] = mapped_column(sa.ForeignKey("depots.code"), index=True)

    depot: Mapped[Depot] = relationship(back_populates="drivers")
    vehicles: Mapped[list[Vehicle]] = relationship(back_populates="driver")
    license: Mapped[License | None] = relationship(
        back_populates="driver", cascade="all, delete-orphan"
    )
    tasks: Mapped[list[Task]] = relationship(back_populates="driver")

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}"


class License(Base):
    """A driving licence; each driver has at most one.

    The key is the number as it is printed, slashes and spaces included.
    """

    __tablename__ = "licenses"

    number: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    classes: Mapped[str] = mapped_column(sa.String(40), comment="As printed: B, C, CE …")
    issued_on: Mapped[dt.date]
    expires_on: Mapped[dt.date] = mapped_column(index=True)
    driver_id: Mapped[int] = mapped_column(
        sa.ForeignKey("drivers.id", ondelete="CASCADE"), unique=True
    )

    driver: Mapped[Driver] = relationship(back_populates="license")

    __table_args__ = (sa.CheckConstraint("expires_on > issued_on", name="expires_after_issue"),)


class VehicleKind(Enum):
    """What sort of vehicle it is; the database keeps the member's name."""

    BIKE = "cargo bike"
    VAN = "van"
    TRUCK = "truck"
    TRAILER = "trailer"


class Vehicle(Base):
    """Something with wheels. It may stand in the yard without a driver."""

    __tablename__ = "vehicles"

    id: Mapped[int] = mapped_column(primary_key=True)
    plate: Mapped[str] = mapped_column(sa.String(16), unique=True)
    kind: Mapped[VehicleKind] = mapped_column(sa.Enum(VehicleKind, name="vehicle_kind"))
    make: Mapped[str] = mapped_column(sa.String(40))
    model: Mapped[str] = mapped_column(sa.String(40))
    capacity_kg: Mapped[float] = mapped_column(comment="Payload in kilograms")
    mileage_km: Mapped[int] = mapped_column(default=0, server_default="0")
    is_electric: Mapped[bool | None] = mapped_column(comment="Empty while nobody has looked")
    purchased_on: Mapped[dt.date | None]
    purchase_price: Mapped[Decimal | None]
    service_interval: Mapped[dt.timedelta | None]
    driver_id: Mapped[int | None] = mapped_column(sa.ForeignKey("drivers.id"), index=True)
    depot_code: Mapped[str] = mapped_column(sa.ForeignKey("depots.code"), index=True)

    driver: Mapped[Driver | None] = relationship(back_populates="vehicles")
    depot: Mapped[Depot] = relationship(back_populates="vehicles")

    __table_args__ = (sa.CheckConstraint("capacity_kg > 0", name="capacity_is_positive"),)

    def __str__(self) -> str:
        return f"{self.plate} ({self.make} {self.model})"


class Telemetry(Base):
    """One position report of a vehicle: a narrow table that grows by millions.

    `Vehicle` has no collection of these; nobody wants ten million objects in a list.
    """

    __tablename__ = "telemetry"

    id: Mapped[int] = mapped_column(
        # SQLite numbers rows by itself only where the type is exactly INTEGER.
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        sa.Identity(),
        primary_key=True,
    )
    vehicle_id: Mapped[int] = mapped_column(sa.ForeignKey("vehicles.id", ondelete="CASCADE"))
    recorded_at: Mapped[dt.datetime]
    latitude: Mapped[float]
    longitude: Mapped[float]
    speed: Mapped[float | None] = mapped_column(comment="Kilometres an hour")

    vehicle: Mapped[Vehicle] = relationship()

    __table_args__ = (sa.Index(None, "vehicle_id", "recorded_at"),)


class Category(Base):
    """A shelf of the catalogue. Shelves stand in shelves: the table refers to itself."""

    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(60))
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("categories.id"), index=True)

    parent: Mapped[Category | None] = relationship(back_populates="children", remote_side=[id])
    children: Mapped[list[Category]] = relationship(back_populates="parent")
    products: Mapped[list[Product]] = relationship(back_populates="category")

    __table_args__ = (sa.UniqueConstraint("parent_id", "name"),)

    def __str__(self) -> str:
        return f"{self.parent.name} › {self.name}" if self.parent else self.name


product_tags = sa.Table(
    "product_tags",
    Base.metadata,
    sa.Column("product_id", sa.ForeignKey("products.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class Tag(Base):
    """A word stuck on products: fragile, chilled, heavy."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40), unique=True)

    products: Mapped[list[Product]] = relationship(secondary=product_tags, back_populates="tags")


class Product(Base):
    """Something that customers order."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(20), unique=True, info={"label": "SKU"})
    name: Mapped[str] = mapped_column(sa.String(120), index=True)
    description: Mapped[str | None] = mapped_column(sa.Text)
    price: Mapped[Decimal]
    weight_kg: Mapped[float | None]
    attributes: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    is_sold: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    category_id: Mapped[int | None] = mapped_column(sa.ForeignKey("categories.id"), index=True)

    category: Mapped[Category | None] = relationship(back_populates="products")
    tags: Mapped[list[Tag]] = relationship(secondary=product_tags, back_populates="products")

    __table_args__ = (sa.CheckConstraint("price >= 0", name="price_is_not_negative"),)

    def __str__(self) -> str:
        return self.name


class Customer(Base):
    """Somebody who sends or receives, known by his code in the office and by a number here."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(12), unique=True, comment="As on the invoices")
    name: Mapped[str] = mapped_column(sa.String(120), index=True)
    email: Mapped[str | None] = mapped_column(sa.String(120))
    phone: Mapped[str | None] = mapped_column(sa.String(30))
    vat_number: Mapped[str | None] = mapped_column(
        sa.String(20), unique=True, info={"label": "VAT number"}, comment="Companies only"
    )
    credit_limit: Mapped[Decimal | None]
    is_blocked: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    notes: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())

    addresses: Mapped[list[Address]] = relationship(
        back_populates="customer", cascade="all, delete-orphan"
    )
    orders: Mapped[list[Order]] = relationship(back_populates="customer", passive_deletes="all")
    documents: Mapped[list[Document]] = relationship(
        back_populates="customer", cascade="all, delete-orphan", passive_deletes=True
    )

    def __str__(self) -> str:
        return self.name


class Address(Base):
    """A place that belongs to a customer, to fetch from or bring to."""

    __tablename__ = "addresses"

    id: Mapped[int] = mapped_column(primary_key=True)
    street: Mapped[str] = mapped_column(sa.String(120))
    postal_code: Mapped[str] = mapped_column(sa.String(12))
    city: Mapped[str] = mapped_column(sa.String(80), index=True)
    country: Mapped[str] = mapped_column(sa.String(2), comment="ISO 3166-1, two letters")
    customer_id: Mapped[int] = mapped_column(
        sa.ForeignKey("customers.id", ondelete="CASCADE"), index=True
    )

    customer: Mapped[Customer] = relationship(back_populates="addresses")

    def __str__(self) -> str:
        return f"{self.street}, {self.postal_code} {self.city}"


class OrderStatus(Enum):
    """How far an order has come; the database keeps the member's value."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    LOADED = "loaded"
    ON_THE_WAY = "on the way"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Order(Base):
    """What a customer wants carried, from where to where.

    Two people may have one order open at once: ``version`` counts its changes, so that the second
    to save is told.
    """

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(sa.String(20), unique=True)
    status: Mapped[OrderStatus] = mapped_column(
        sa.Enum(
            OrderStatus,
            name="order_status",
            values_callable=lambda statuses: [status.value for status in statuses],
        ),
        default=OrderStatus.DRAFT,
        index=True,
    )
    customer_id: Mapped[int] = mapped_column(
        sa.ForeignKey("customers.id", ondelete="RESTRICT"), index=True
    )
    pickup_address_id: Mapped[int] = mapped_column(sa.ForeignKey("addresses.id"), index=True)
    delivery_address_id: Mapped[int] = mapped_column(sa.ForeignKey("addresses.id"), index=True)
    placed_at: Mapped[dt.datetime] = mapped_column(index=True)
    deliver_on: Mapped[dt.date | None]
    freight: Mapped[Decimal] = mapped_column(comment="Euro, without VAT")
    is_express: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    note: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    updated_at: Mapped[dt.datetime] = mapped_column(
        server_default=sa.func.now(), onupdate=sa.func.now()
    )
    version: Mapped[int] = mapped_column(server_default="1")

    customer: Mapped[Customer] = relationship(back_populates="orders")
    pickup_address: Mapped[Address] = relationship(foreign_keys=[pickup_address_id])
    delivery_address: Mapped[Address] = relationship(foreign_keys=[delivery_address_id])
    items: Mapped[list[OrderItem]] = relationship(
        back_populates="order", cascade="all, delete-orphan"
    )
    shipments: Mapped[list[Shipment]] = relationship(back_populates="order", passive_deletes="all")
    documents: Mapped[list[Document]] = relationship(
        back_populates="order", cascade="all, delete-orphan", passive_deletes=True
    )
    tasks: Mapped[list[Task]] = relationship(back_populates="order", passive_deletes=True)

    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return f"{self.number} · {self.customer.name}"


class OrderItem(Base):
    """One line of an order: so many of a product. Order and product together are its key.

    ``price`` is computed and stored by the database, ``total`` by each query.
    """

    __tablename__ = "order_items"

    order_id: Mapped[int] = mapped_column(
        sa.ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True
    )
    product_id: Mapped[int] = mapped_column(
        sa.ForeignKey("products.id"), primary_key=True, index=True
    )
    quantity: Mapped[int] = mapped_column(default=1)
    unit_price: Mapped[Decimal] = mapped_column()
    discount: Mapped[Decimal] = mapped_column(default=Decimal(0), server_default="0")
    price: Mapped[Decimal] = mapped_column(sa.Computed("unit_price - discount", persisted=True))
    total: Mapped[Decimal] = orm.column_property(
        sa.type_coerce(quantity * (unit_price - discount), sa.Numeric(12, 2))
    )

    order: Mapped[Order] = relationship(back_populates="items")
    product: Mapped[Product] = relationship()

    __table_args__ = (
        sa.CheckConstraint("quantity > 0", name="quantity_is_positive"),
        sa.CheckConstraint("discount >= 0 AND discount <= unit_price", name="discount_fits_price"),
    )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.product.name}"


class Shipment(Base):
    """One leg of an order's way. Each row is of one of the kinds below, in a table of its own."""

    __tablename__ = "shipments"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(10), index=True)
    order_id: Mapped[int] = mapped_column(sa.ForeignKey("orders.id", ondelete="RESTRICT"))
    leg: Mapped[int] = mapped_column(sa.SmallInteger, comment="1 is the first leg of the way")
    reference: Mapped[str] = mapped_column(sa.String(20), unique=True)
    departed_at: Mapped[dt.datetime | None]
    arrived_at: Mapped[dt.datetime | None]
    weight_kg: Mapped[float | None]

    order: Mapped[Order] = relationship(back_populates="shipments")

    __table_args__ = (sa.UniqueConstraint("order_id", "leg"),)
    __mapper_args__ = {
        "polymorphic_on": kind,
        "polymorphic_identity": "other",
    }

    def __str__(self) -> str:
        return f"{self.reference} for {self.order.number}"


class RoadShipment(Shipment):
    """A leg on our own wheels."""

    __tablename__ = "road_shipments"

    id: Mapped[int] = mapped_column(
        sa.ForeignKey("shipments.id", ondelete="CASCADE"), primary_key=True
    )
    vehicle_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("vehicles.id", ondelete="SET NULL"), index=True
    )
    distance_km: Mapped[float | None]

    vehicle: Mapped[Vehicle | None] = relationship()

    __mapper_args__ = {"polymorphic_identity": "road"}


class AirShipment(Shipment):
    """A leg in an airline's hold."""

    __tablename__ = "air_shipments"

    id: Mapped[int] = mapped_column(
        sa.ForeignKey("shipments.id", ondelete="CASCADE"), primary_key=True
    )
    waybill: Mapped[str] = mapped_column(sa.String(16), unique=True, comment="Air waybill number")
    flight: Mapped[str] = mapped_column(sa.String(10))

    __mapper_args__ = {"polymorphic_identity": "air"}


class Document(Base):
    """A file kept with an order or with a customer, never with both."""

    __tablename__ = "documents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    filename: Mapped[str] = mapped_column(sa.String(120))
    media_type: Mapped[str] = mapped_column(sa.String(80))
    # Deferred: a query for a hundred documents does not fetch a hundred files.
    content: Mapped[bytes] = mapped_column(sa.LargeBinary, deferred=True)
    uploaded_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    order_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("orders.id", ondelete="CASCADE"), index=True
    )
    customer_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("customers.id", ondelete="CASCADE"), index=True
    )

    order: Mapped[Order | None] = relationship(back_populates="documents")
    customer: Mapped[Customer | None] = relationship(back_populates="documents")

    __table_args__ = (
        sa.CheckConstraint(
            "(order_id IS NULL AND customer_id IS NOT NULL)"
            " OR (order_id IS NOT NULL AND customer_id IS NULL)",
            name="has_one_owner",
        ),
    )


TASK_CATEGORIES = ("Pickup", "Delivery", "Maintenance", "Paperwork", "Archived")


class Task(Base):
    """Something to be done. Done tasks are archived, and the archive is emptied now and then."""

    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(120))
    category: Mapped[str] = mapped_column(
        sa.Enum(*TASK_CATEGORIES, name="task_category", native_enum=False, length=20), index=True
    )
    details: Mapped[str | None] = mapped_column(sa.Text)
    is_done: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    due_on: Mapped[dt.date | None] = mapped_column(index=True)
    estimate: Mapped[dt.timedelta | None]
    order_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("orders.id", ondelete="SET NULL"), index=True
    )
    driver_id: Mapped[int | None] = mapped_column(sa.ForeignKey("drivers.id"), index=True)
    # A foreign key and no relationship: many schemas have such columns.
    depot_code: Mapped[str | None] = mapped_column(sa.ForeignKey("depots.code"))

    order: Mapped[Order | None] = relationship(back_populates="tasks")
    driver: Mapped[Driver | None] = relationship(back_populates="tasks")


class Condition(Enum):
    """A Python enumeration whose names differ from its values."""

    NEW = "as new"
    WORN = "a little worn"
    BROKEN = "beyond repair"


class Specimen(Base):
    """One column of every type that SQLAlchemy knows, to see how each is shown and edited.

    All but the name may be empty.
    """

    __tablename__ = "specimens"
    __table_args__ = {"comment": "One column of every SQLAlchemy type"}

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(60))

    integer: Mapped[int | None] = mapped_column(sa.Integer)
    small_integer: Mapped[int | None] = mapped_column(sa.SmallInteger)
    big_integer: Mapped[int | None] = mapped_column(sa.BigInteger)
    float_: Mapped[float | None] = mapped_column("float", sa.Float)
    double: Mapped[float | None] = mapped_column(sa.Double)
    numeric: Mapped[Decimal | None] = mapped_column(sa.Numeric(12, 2))
    boolean: Mapped[bool] = mapped_column(sa.Boolean, default=False, server_default=sa.false())
    nullable_boolean: Mapped[bool | None] = mapped_column(sa.Boolean)

    string: Mapped[str | None] = mapped_column(sa.String(120))
    text: Mapped[str | None] = mapped_column(sa.Text)
    unicode: Mapped[str | None] = mapped_column(sa.Unicode(120))
    unicode_text: Mapped[str | None] = mapped_column(sa.UnicodeText)
    enum: Mapped[Condition | None] = mapped_column(sa.Enum(Condition, name="condition"))
    enum_of_strings: Mapped[str | None] = mapped_column(
        sa.Enum("small", "medium", "large", name="size")
    )
    uuid: Mapped[UUID | None] = mapped_column(sa.Uuid)

    date: Mapped[dt.date | None] = mapped_column(sa.Date)
    time: Mapped[dt.time | None] = mapped_column(sa.Time)
    datetime_naive: Mapped[dt.datetime | None] = mapped_column(sa.DateTime)
    datetime_with_zone: Mapped[dt.datetime | None] = mapped_column(sa.DateTime(timezone=True))
    interval: Mapped[dt.timedelta | None] = mapped_column(sa.Interval)

    json: Mapped[Any | None] = mapped_column(sa.JSON)
    pickle: Mapped[Any | None] = mapped_column(sa.PickleType)
    large_binary: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
