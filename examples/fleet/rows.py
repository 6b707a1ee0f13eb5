"""The sample's data: every row of every table, made as it is asked for.

The same `Size` and seed give the same rows on every machine. Rows come from generators and keys
follow from counters, so ten million rows need no more memory than ten. Each table draws from
random numbers of its own: one can be changed or left out without moving the others.
"""

from __future__ import annotations

import datetime as dt
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import cos, radians, sin
from random import Random
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from . import models, words

Row = tuple[Any, ...]

NOW = dt.datetime(2026, 9, 1, 12, 0, tzinfo=dt.UTC)
"""The moment at which the sample stands still."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows the larger tables get; the others follow from these."""

    depots: int
    drivers: int
    vehicles: int
    products: int
    customers: int
    addresses: int
    orders: int
    shipments: int
    documents: int
    tasks: int
    telemetry: int


SIZES = {
    "small": Size(6, 12, 16, 38, 30, 45, 120, 96, 18, 48, 320),
    "medium": Size(12, 80, 110, 500, 2_000, 3_000, 10_000, 8_000, 1_000, 4_000, 33_000),
    "large": Size(12, 400, 500, 5_000, 50_000, 75_000, 1_000_000, 200_000, 4_000, 40_000, 417_000),
}

LINES_PER_ORDER = (2, 1, 5, 3, 3, 1, 4, 2, 6, 3)
"""How many items the orders have, in turn: three on average, none without."""

FIRST_ORDER_AT = NOW - dt.timedelta(days=730)


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _fill(pattern: str, random: Random) -> str:
    """Put a random digit in the place of every ``#`` and a capital in that of every ``@``."""
    digits = (str(random.randrange(10)) if letter == "#" else letter for letter in pattern)
    return "".join(random.choice("ABDEHKLNRSTW") if letter == "@" else letter for letter in digits)


def _phone(city: words.City, random: Random) -> str:
    return f"{city.dialling} {random.randrange(200, 999)} {random.randrange(1000, 9999)}"


def _depots(size: Size, random: Random) -> Iterator[Row]:
    for city in words.CITIES[: size.depots]:
        opens_at, closes_at = dt.time(random.randrange(4, 7)), dt.time(random.randrange(18, 23), 30)
        name = f"Depot {city.name}"
        yield (
            city.depot, name, city.name, city.country, opens_at, closes_at,
            city.latitude, city.longitude,
        )  # fmt: skip


def _drivers(size: Size, random: Random) -> Iterator[Row]:
    for id in range(1, size.drivers + 1):
        city = words.CITIES[id % size.depots]
        first_name, last_name = random.choice(words.FIRST_NAMES), random.choice(words.LAST_NAMES)
        yield (
            id,
            first_name,
            last_name,
            f"driver{id:03}@fleet.example",
            _phone(city, random) if random.random() < 0.9 else None,
            NOW.date() - dt.timedelta(days=random.randrange(30, 6000)),
            dt.time(random.randrange(4, 15), random.choice((0, 15, 30))) if id % 7 else None,
            _money(random.randrange(1450, 2900, 5)),
            random.random() < 0.9,
            city.depot,
        )


def _licensed(size: Size) -> range:
    """The drivers with a licence: all but the newest, who rides a bike."""
    return range(1, size.drivers)


def _licenses(size: Size, random: Random) -> Iterator[Row]:
    for driver_id in _licensed(size):
        country = words.CITIES[driver_id % size.depots].country
        issued_on = NOW.date() - dt.timedelta(days=random.randrange(400, 5000))
        classes = random.choice(("B", "B, BE", "B, C1", "B, C, CE"))
        yield (
            f"{country}/{random.choice('BCKM')} {driver_id:03}-{random.randrange(100):02}",
            classes, issued_on, issued_on + dt.timedelta(days=5475), driver_id,
        )  # fmt: skip


def _vehicles(size: Size, random: Random) -> Iterator[Row]:
    for id in range(1, size.vehicles + 1):
        city = words.CITIES[id % size.depots]
        kind, make, model, payload, price = random.choice(words.VEHICLES)
        has_engine = kind in ("VAN", "TRUCK")
        is_electric = "e-" in model if has_engine else None
        is_old = random.random() < 0.2
        yield (
            id,
            f"{city.depot[:2]} {_fill('@@', random)} {1000 + id}",
            models.VehicleKind[kind],
            make,
            model,
            float(payload),
            random.randrange(1_000, 320_000) if kind != "BIKE" else random.randrange(9_000),
            is_electric,
            None if is_old else NOW.date() - dt.timedelta(days=random.randrange(20, 3000)),
            None if is_old else _money(price * 100 - random.randrange(0, 90_000, 500)),
            dt.timedelta(days=random.choice((90, 180, 365))) if has_engine else None,
            random.randrange(1, size.drivers + 1) if random.random() < 0.85 else None,
            city.depot,
        )


def _categories(size: Size, random: Random) -> Iterator[Row]:
    ids = {name: id for id, (name, _) in enumerate(words.CATEGORIES, 1)}
    for name, parent in words.CATEGORIES:
        yield ids[name], name, ids[parent] if parent else None


def _price(id: int) -> int:
    """The price of a product in cents; its items need it too, without a look-up."""
    cents = words.GOODS[(id - 1) % len(words.GOODS)][2]
    return cents * (1 + (id - 1) // len(words.GOODS) % 7)


def _products(size: Size, random: Random) -> Iterator[Row]:
    categories = {name: id for id, (name, _) in enumerate(words.CATEGORIES, 1)}
    for id in range(1, size.products + 1):
        round_, place = divmod(id - 1, len(words.GOODS))
        good, category, _, weight = words.GOODS[place]
        batch, variant = divmod(round_, len(words.VARIANTS))
        name = ", ".join(filter(None, (good, words.VARIANTS[variant])))
        attributes = {"origin": random.choice(words.CITIES).country, "batch": batch + 1}
        if category in ("Chilled", "Cheese"):
            attributes["store_at"] = {"min": 2, "max": 7, "unit": "°C"}
        yield (
            id,
            f"{category[:3].upper()}-{id:05}",
            f"{name} (batch {batch + 1})" if batch else name,
            f"{good} from a supplier near {random.choice(words.CITIES).name}."
            if random.random() < 0.6
            else None,
            _money(_price(id)),
            weight if random.random() < 0.95 else None,
            attributes if random.random() < 0.8 else None,
            random.random() < 0.93,
            categories[category] if random.random() < 0.97 else None,
        )


def _tags(size: Size, random: Random) -> Iterator[Row]:
    yield from enumerate(words.TAGS, 1)


def _product_tags(size: Size, random: Random) -> Iterator[Row]:
    for product_id in range(1, size.products + 1):
        first = random.randrange(len(words.TAGS))
        for step in range(product_id % 4):
            yield product_id, (first + step * 3) % len(words.TAGS) + 1


def _customers(size: Size, random: Random) -> Iterator[Row]:
    for id in range(1, size.customers + 1):
        city = words.CITIES[id % len(words.CITIES)]
        last_name = random.choice(words.LAST_NAMES)
        is_company = random.random() < 0.7
        if is_company:
            name = f"{last_name} {random.choice(words.TRADES)} {words.COMPANY_FORMS[city.country]}"
        else:
            name = f"{random.choice(words.FIRST_NAMES)} {last_name}"
        letters = "".join(filter(str.isalpha, last_name))[:3].upper()
        yield (
            id,
            f"{letters}{id:05}",
            name,
            f"post{id}@customer.example" if random.random() < 0.9 else None,
            _phone(city, random) if random.random() < 0.8 else None,
            f"{city.country}{100_000_000 + id * 7}" if is_company else None,
            _money(random.randrange(1, 60) * 50_000) if is_company else None,
            random.random() < 0.03,
            random.choice(words.CUSTOMER_NOTES) if random.random() < 0.2 else None,
            FIRST_ORDER_AT - dt.timedelta(hours=random.randrange(24 * 900)),
        )


def _addresses(size: Size, random: Random) -> Iterator[Row]:
    """Customer n has address n; the addresses beyond that are second ones of some."""
    for id in range(1, size.addresses + 1):
        customer_id = id if id <= size.customers else random.randrange(1, size.customers + 1)
        city = words.CITIES[customer_id % len(words.CITIES)]
        street = random.choice(city.streets).replace("#", str(random.randrange(1, 180)))
        postal_code = _fill(city.postal_code, random)
        yield id, street, postal_code, city.name, city.country, customer_id


def _status(age: dt.timedelta, random: Random) -> models.OrderStatus:
    status = models.OrderStatus
    if random.random() < 0.04:
        return status.CANCELLED
    if age.days > 12:
        return status.DELIVERED
    if age.days > 5:
        return random.choice((status.LOADED, status.ON_THE_WAY, status.DELIVERED))
    return random.choice((status.DRAFT, status.CONFIRMED, status.CONFIRMED, status.LOADED))


def _orders(size: Size, random: Random) -> Iterator[Row]:
    pause = (NOW - FIRST_ORDER_AT) / size.orders
    for id in range(1, size.orders + 1):
        placed_at = FIRST_ORDER_AT + pause * (id - random.random())
        placed_at = placed_at.replace(second=0, microsecond=0)
        # Squared, so that a few customers order much and many little, as customers do.
        customer_id = int(size.customers * random.random() ** 2) + 1
        status = _status(NOW - placed_at, random)
        is_draft = status is models.OrderStatus.DRAFT
        updated_at = min(placed_at + dt.timedelta(minutes=random.randrange(9000)), NOW)
        yield (
            id,
            f"{placed_at.year}-{id:07}",
            status,
            customer_id,
            customer_id,
            random.randrange(1, size.addresses + 1),
            placed_at,
            None if is_draft else placed_at.date() + dt.timedelta(days=random.randrange(1, 9)),
            _money(random.randrange(990, 48_000, 10)),
            random.random() < 0.12,
            random.choice(words.ORDER_NOTES) if random.random() < 0.35 else None,
            placed_at,
            updated_at,
            1 + (updated_at - placed_at).days,
        )


def _lines(size: Size) -> int:
    rounds, rest = divmod(size.orders, len(LINES_PER_ORDER))
    return rounds * sum(LINES_PER_ORDER) + sum(LINES_PER_ORDER[:rest])


def _order_items(size: Size, random: Random) -> Iterator[Row]:
    for order_id in range(1, size.orders + 1):
        first = random.randrange(size.products)
        for step in range(LINES_PER_ORDER[(order_id - 1) % len(LINES_PER_ORDER)]):
            product_id = (first + step * 37) % size.products + 1
            price = _price(product_id)
            discount = price // 10 if random.random() < 0.15 else 0
            yield (
                order_id, product_id, 1 + int(random.random() ** 3 * 24),
                _money(price), _money(discount),
            )  # fmt: skip


def _legs(size: Size) -> Iterator[tuple[int, int, int, str]]:
    """Id, order, leg and kind of every shipment.

    Of three orders two go by road; the third flies first and goes the rest of its way by road.
    """
    for place in range(size.shipments):
        three_orders, turn = divmod(place, 4)
        order_id = three_orders * 3 + min(turn, 2) + 1
        yield place + 1, order_id, 2 if turn == 3 else 1, "air" if turn == 2 else "road"


def _shipments(size: Size, random: Random) -> Iterator[Row]:
    pause = (NOW - FIRST_ORDER_AT) / size.orders
    for id, order_id, leg, kind in _legs(size):
        departed_at = FIRST_ORDER_AT + pause * order_id + dt.timedelta(hours=20 * leg)
        departed_at = departed_at.replace(second=0, microsecond=0)
        arrived_at = departed_at + dt.timedelta(minutes=random.randrange(60, 1100))
        yield (
            id, kind, order_id, leg, f"SH-{id:07}",
            departed_at if departed_at < NOW else None,
            arrived_at if arrived_at < NOW else None,
            round(random.uniform(0.5, 800), 1) if random.random() < 0.9 else None,
        )  # fmt: skip


def _road_shipments(size: Size, random: Random) -> Iterator[Row]:
    for id, _, _, kind in _legs(size):
        if kind == "road":
            vehicle_id = random.randrange(1, size.vehicles + 1) if random.random() < 0.95 else None
            yield id, vehicle_id, round(random.uniform(3, 900), 1)


def _air_shipments(size: Size, random: Random) -> Iterator[Row]:
    for id, _, _, kind in _legs(size):
        if kind == "air":
            airline, prefix = random.choice(words.AIRLINES)
            yield id, f"{prefix}-{id:08}", f"{airline} {random.randrange(100, 4000)}"


def _png(red: int, green: int, blue: int) -> bytes:
    """A small picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    edge = 32
    pixels = (b"\0" + bytes((red, green, blue)) * edge) * edge
    header = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _document(kind: str, id: int, random: Random) -> tuple[str, str, bytes]:
    if kind == "note":
        lines = [
            f"{random.randrange(1, 24)} x carton, sound" for _ in range(random.randrange(2, 9))
        ]
        text = "\r\n".join([f"Delivery note {id:05}", "", *lines, "", "Received in good order."])
        return f"delivery-note-{id:05}.txt", "text/plain", text.encode()
    if kind == "photo":
        colour = random.randrange(256), random.randrange(256), random.randrange(256)
        return f"photo of ramp {id:05}.png", "image/png", _png(*colour)
    if kind == "label":
        label = {"document": id, "weight_kg": round(random.uniform(1, 40), 1)}
        return f"label-{id:05}.json", "application/json", json.dumps(label).encode()
    return f"Vertrag_{id:05}_geprüft.bin", "application/octet-stream", random.randbytes(9_000)


def _documents(size: Size, random: Random) -> Iterator[Row]:
    for id in range(1, size.documents + 1):
        kind = ("note", "photo", "label", "contract")[id % 4]
        filename, media_type, content = _document(kind, id, random)
        is_customers = kind == "contract"
        yield (
            UUID(int=random.getrandbits(128), version=4),
            filename,
            media_type,
            content,
            NOW - dt.timedelta(minutes=random.randrange(400_000)),
            None if is_customers else random.randrange(1, size.orders + 1),
            random.randrange(1, size.customers + 1) if is_customers else None,
        )


def _tasks(size: Size, random: Random) -> Iterator[Row]:
    for id in range(1, size.tasks + 1):
        category = random.choices(models.TASK_CATEGORIES, (3, 4, 2, 3, 5))[0]
        is_archived = category == "Archived"
        is_about_order = category != "Maintenance" and random.random() < 0.8
        days = random.randrange(40, 700) if is_archived else random.randrange(-30, 20)
        yield (
            id,
            f"{random.choice(words.TASKS[category])} no. {id}",
            category,
            random.choice(words.TASK_DETAILS) if random.random() < 0.3 else None,
            is_archived or random.random() < 0.25,
            NOW.date() - dt.timedelta(days=days) if random.random() < 0.9 else None,
            dt.timedelta(minutes=random.choice((15, 30, 45, 90, 240)))
            if random.random() < 0.7
            else None,
            random.randrange(1, size.orders + 1) if is_about_order else None,
            random.randrange(1, size.drivers + 1) if random.random() < 0.75 else None,
            words.CITIES[id % size.depots].depot if random.random() < 0.5 else None,
        )


def _specimens(size: Size, random: Random) -> Iterator[Row]:
    """Values that are easily damaged on their way through a form."""
    names = [column.key for column in models.Specimen.__table__.columns]
    rows: list[dict[str, Any]] = [
        {
            "name": "An ordinary one",
            "integer": 42, "small_integer": 7, "big_integer": 1_000_000, "float": 0.5,
            "double": 3.25, "numeric": Decimal("19.90"), "boolean": True, "nullable_boolean": True,
            "string": "A line of text", "text": "Two lines\nof text", "unicode": "Grüße aus Łódź",
            "unicode_text": "Ένα, δύο, τρία", "enum": models.Condition.NEW,
            "enum_of_strings": "medium", "uuid": UUID("6f1c9c52-0d0e-4a55-9b0a-3f3f7a1d2b11"),
            "date": dt.date(2026, 2, 28), "time": dt.time(9, 30),
            "datetime_naive": dt.datetime(2026, 2, 28, 9, 30),
            "datetime_with_zone": dt.datetime(2026, 2, 28, 9, 30, tzinfo=dt.UTC),
            "interval": dt.timedelta(hours=1, minutes=30),
            "json": {"wheels": 4, "doors": ["left", "right"], "towbar": None},
            "pickle": {"a set": {1, 2, 3}}, "large_binary": b"plain bytes",
        },
        {"name": "Nothing but a name", "boolean": False},
        {
            "name": "Zero and empty, which are not nothing",
            "integer": 0, "small_integer": 0, "big_integer": 0, "float": 0.0, "double": 0.0,
            "numeric": Decimal("0.00"), "boolean": False, "nullable_boolean": False, "string": "",
            "text": "", "unicode": "", "unicode_text": "", "time": dt.time(0),
            "interval": dt.timedelta(0), "json": {}, "pickle": [], "large_binary": b"",
        },
        {
            "name": "The smallest and the earliest",
            "integer": -(2**31), "small_integer": -(2**15), "big_integer": -(2**63),
            "float": -1.5e-300, "double": -1.7976931348623157e308,
            "numeric": Decimal("-9999999999.99"), "boolean": False, "string": " ",
            "text": "  spaces before and after  ", "uuid": UUID(int=0), "date": dt.date(1, 1, 1),
            "time": dt.time(0, 0, 0, 1), "datetime_naive": dt.datetime(1900, 1, 1),
            "interval": dt.timedelta(days=-3, seconds=5), "json": [], "large_binary": b"\0",
        },
        {
            "name": "The largest and the latest",
            "integer": 2**31 - 1, "small_integer": 2**15 - 1, "big_integer": 2**63 - 1,
            "float": 0.1 + 0.2, "double": 1.7976931348623157e308,
            "numeric": Decimal("9999999999.99"), "boolean": True, "string": "x" * 120,
            "text": "A long story. " * 400, "uuid": UUID(int=2**128 - 1),
            "date": dt.date(9999, 12, 31), "time": dt.time(23, 59, 59, 999_999),
            "datetime_naive": dt.datetime(9999, 12, 31, 23, 59, 59, 999_999),
            "datetime_with_zone": dt.datetime(2026, 7, 1, 1, 30, 15, 250_000, tzinfo=dt.UTC),
            "interval": dt.timedelta(days=400, microseconds=1), "enum": models.Condition.BROKEN,
            "enum_of_strings": "large", "json": {"deep": {"er": [1, 2.5, "ü", True]}},
            "large_binary": bytes(range(256)) * 64,
        },
        {
            "name": "Markup & <b>quotes</b> \"'",
            "boolean": True, "string": "<script>alert('no')</script>",
            "text": "Windows\r\nUnix\nTab\there, backslash \\N and \\.",
            "unicode": "👩‍🚒 e\u0301 ≠ é", "enum": models.Condition.WORN,
            "json": "only a text", "pickle": ("a", 1, None),
        },
        {"name": "JSON of other kinds", "boolean": True, "json": [0, False, None, "", "null"]},
    ]  # fmt: skip
    for id, row in enumerate(rows, 1):
        yield tuple(id if name == "id" else row.get(name) for name in names)


SPECIMENS = 7


def _telemetry(size: Size, random: Random) -> Iterator[Row]:
    """Every vehicle wanders from its depot and reports each half minute, all in turn."""
    places = [words.CITIES[id % size.depots] for id in range(1, size.vehicles + 1)]
    latitudes = [city.latitude for city in places]
    longitudes = [city.longitude for city in places]
    headings = [random.uniform(0, 360) for _ in places]
    reports = -(-size.telemetry // size.vehicles)
    first_at = NOW - dt.timedelta(seconds=30 * reports)
    draw = random.random
    recorded_at = first_at
    for id in range(1, size.telemetry + 1):
        report, vehicle = divmod(id - 1, size.vehicles)
        if vehicle == 0:
            recorded_at = first_at + dt.timedelta(seconds=30 * report)
        chance = draw()
        speed = None if chance < 0.01 else 0.0 if chance < 0.2 else round(chance * 88, 1)
        if speed:
            headings[vehicle] = heading = (headings[vehicle] + draw() * 60 - 30) % 360
            degrees = speed / 120 / 111
            latitude = latitudes[vehicle] + degrees * cos(radians(heading))
            longitude = longitudes[vehicle] + degrees * sin(radians(heading))
            # Turn round rather than wander off to the pole.
            if abs(latitude - places[vehicle].latitude) > 2:
                headings[vehicle] = heading + 180
            latitudes[vehicle], longitudes[vehicle] = round(latitude, 6), round(longitude, 6)
        yield id, vehicle + 1, recorded_at, latitudes[vehicle], longitudes[vehicle], speed


@dataclass(frozen=True, slots=True)
class Load:
    """The rows of one table, to be made: ``count`` tuples with a value for each of ``columns``.

    Computed columns are left out; the others come in the order of the table.
    """

    table: sa.Table
    columns: tuple[str, ...]
    count: int
    rows: Callable[[], Iterator[Row]]


def loads(size: Size, seed: int = 1) -> list[Load]:
    """The whole sample, in an order in which every row finds those that it refers to."""
    flights = (size.shipments + 1) // 4
    generators: dict[sa.FromClause, tuple[int, Callable[[Size, Random], Iterator[Row]]]] = {
        models.Depot.__table__: (size.depots, _depots),
        models.Driver.__table__: (size.drivers, _drivers),
        models.License.__table__: (len(_licensed(size)), _licenses),
        models.Vehicle.__table__: (size.vehicles, _vehicles),
        models.Category.__table__: (len(words.CATEGORIES), _categories),
        models.Product.__table__: (size.products, _products),
        models.Tag.__table__: (len(words.TAGS), _tags),
        models.product_tags: (sum(id % 4 for id in range(size.products + 1)), _product_tags),
        models.Customer.__table__: (size.customers, _customers),
        models.Address.__table__: (size.addresses, _addresses),
        models.Order.__table__: (size.orders, _orders),
        models.OrderItem.__table__: (_lines(size), _order_items),
        models.Shipment.__table__: (size.shipments, _shipments),
        models.RoadShipment.__table__: (size.shipments - flights, _road_shipments),
        models.AirShipment.__table__: (flights, _air_shipments),
        models.Document.__table__: (size.documents, _documents),
        models.Task.__table__: (size.tasks, _tasks),
        models.Specimen.__table__: (SPECIMENS, _specimens),
        models.Telemetry.__table__: (size.telemetry, _telemetry),
    }

    def load(table: sa.Table) -> Load:
        count, generate = generators[table]
        columns = tuple(column.name for column in table.columns if column.computed is None)
        return Load(table, columns, count, lambda: generate(size, Random(f"{seed} {table.name}")))

    return [load(table) for table in models.Base.metadata.sorted_tables if table in generators]
