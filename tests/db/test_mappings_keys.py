"""Rows whose key is something else than a number: every page works, without options."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import html
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm


class Keys(orm.DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"
    BLUE = "b"


class Isbn:
    """A value that is a number in the database and an object in the program."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Isbn) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return f"ISBN {self.text}"


class IsbnType(sa.types.TypeDecorator[Isbn]):
    impl = sa.String(13)
    cache_ok = True

    def process_bind_param(self, value: Isbn | None, dialect: Any) -> str | None:
        return None if value is None else value.text

    def process_result_value(self, value: str | None, dialect: Any) -> Isbn | None:
        return None if value is None else Isbn(value)


class Natural(Keys):
    __tablename__ = "naturals"
    host: orm.Mapped[str] = orm.mapped_column(sa.String(80), primary_key=True)
    note: orm.Mapped[str | None]


class Composite(Keys):
    __tablename__ = "composites"
    country: orm.Mapped[str] = orm.mapped_column(sa.String(2), primary_key=True)
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    note: orm.Mapped[str | None]


class GivenUuid(Keys):
    __tablename__ = "given_uuids"
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    note: orm.Mapped[str | None]


class MadeUuid(Keys):
    __tablename__ = "made_uuids"
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True, default=uuid.uuid4)
    note: orm.Mapped[str | None]


class TextUuid(Keys):
    __tablename__ = "text_uuids"
    id: orm.Mapped[str] = orm.mapped_column(sa.Uuid(as_uuid=False), primary_key=True)
    note: orm.Mapped[str | None]


class EnumKey(Keys):
    __tablename__ = "enum_keys"
    colour: orm.Mapped[Colour] = orm.mapped_column(primary_key=True)
    note: orm.Mapped[str | None]


class ValueEnumKey(Keys):
    __tablename__ = "value_enum_keys"
    colour: orm.Mapped[Colour] = orm.mapped_column(
        sa.Enum(Colour, native_enum=False, values_callable=lambda c: [m.value for m in c]),
        primary_key=True,
    )
    note: orm.Mapped[str | None]


class TextEnumKey(Keys):
    __tablename__ = "text_enum_keys"
    size: orm.Mapped[str] = orm.mapped_column(
        sa.Enum("s, m", "l.", "x", name="size_key"), primary_key=True
    )
    note: orm.Mapped[str | None]


class DateKey(Keys):
    __tablename__ = "date_keys"
    day: orm.Mapped[dt.date] = orm.mapped_column(primary_key=True)
    note: orm.Mapped[str | None]


class MomentKey(Keys):
    __tablename__ = "moment_keys"
    at: orm.Mapped[dt.datetime] = orm.mapped_column(primary_key=True)
    note: orm.Mapped[str | None]


class AwareKey(Keys):
    __tablename__ = "aware_keys"
    at: orm.Mapped[dt.datetime] = orm.mapped_column(sa.DateTime(timezone=True), primary_key=True)
    note: orm.Mapped[str | None]


class TimeKey(Keys):
    __tablename__ = "time_keys"
    at: orm.Mapped[dt.time] = orm.mapped_column(primary_key=True)
    note: orm.Mapped[str | None]


class IntervalKey(Keys):
    __tablename__ = "interval_keys"
    length: orm.Mapped[dt.timedelta] = orm.mapped_column(primary_key=True)
    note: orm.Mapped[str | None]


class DecimalKey(Keys):
    __tablename__ = "decimal_keys"
    rate: orm.Mapped[decimal.Decimal] = orm.mapped_column(
        sa.Numeric(8, 2), primary_key=True, autoincrement=False
    )
    note: orm.Mapped[str | None]


class BooleanKey(Keys):
    __tablename__ = "boolean_keys"
    code: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    is_draft: orm.Mapped[bool] = orm.mapped_column(primary_key=True)
    note: orm.Mapped[str | None]


class DecoratedKey(Keys):
    __tablename__ = "decorated_keys"
    isbn: orm.Mapped[Isbn] = orm.mapped_column(IsbnType, primary_key=True)
    note: orm.Mapped[str | None]


class BytesKey(Keys):
    __tablename__ = "bytes_keys"
    digest: orm.Mapped[bytes] = orm.mapped_column(sa.LargeBinary(8), primary_key=True)
    note: orm.Mapped[str | None]


class RenamedKey(Keys):
    """The key is called otherwise in the program than in the database, as is a column."""

    __tablename__ = "renamed_keys"
    code: orm.Mapped[str] = orm.mapped_column("KEY col", sa.String(20), primary_key=True)
    remark: orm.Mapped[str | None] = orm.mapped_column("note")


class OnlyKey(Keys):
    __tablename__ = "only_keys"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)


class OnlyTypedKey(Keys):
    __tablename__ = "only_typed_keys"
    one: orm.Mapped[str] = orm.mapped_column(sa.String(20), primary_key=True)
    two: orm.Mapped[str] = orm.mapped_column(sa.String(20), primary_key=True)


class Serial(Keys):
    """A composite key, one part of which the database counts."""

    __tablename__ = "serials"
    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    note: orm.Mapped[str | None]


NATURAL = ["a.b,c", "/x/?q=1&r=2#top", "naïve é ü %2F 🚚"]
UUIDS = [str(uuid.UUID(int=n)) for n in (1, 2, 3)]

CASES: dict[type[Keys], Any] = {
    Natural: lambda n: {"host": NATURAL[n]},
    Composite: lambda n: {"country": "CZ", "number": str(n)},
    GivenUuid: lambda n: {"id": UUIDS[n]},
    MadeUuid: lambda n: {"note": str(n)},
    TextUuid: lambda n: {"id": UUIDS[n]},
    EnumKey: lambda n: {"colour": ["RED", "GREEN", "BLUE"][n]},
    ValueEnumKey: lambda n: {"colour": ["RED", "GREEN", "BLUE"][n]},
    TextEnumKey: lambda n: {"size": ["s, m", "l.", "x"][n]},
    DateKey: lambda n: {"day": f"0{n + 1}26-02-03"},
    MomentKey: lambda n: {"at": f"2026-02-03T04:05:06.00000{n}"},
    AwareKey: lambda n: {"at": f"2026-02-03 04:05:06.{n}+05:30"},
    TimeKey: lambda n: {"at": f"04:05:0{n}"},
    IntervalKey: lambda n: {"length": f"{n} days 03:04:05.5"},
    DecimalKey: lambda n: {"rate": f"{n}.50"},
    BooleanKey: lambda n: {"code": str(n), "is_draft": "true"},
    DecoratedKey: lambda n: {"isbn": f"978-{n}"},
    RenamedKey: lambda n: {"code": f"K {n}"},
    Serial: lambda n: {"note": str(n)},
}


@pytest.mark.parametrize("model", CASES, ids=lambda m: m.__name__)
def test_every_page_works_whatever_the_key_is(make_site, journey, model):
    site = make_site(Keys)
    site.admin.register(model)
    name = "remark" if model is RenamedKey else "note"
    journey(site, model).whole(CASES[model], writes={"note"}, **{name: "changed"})


def test_a_key_of_bytes_works_in_every_link_and_action(make_site, journey):
    site = make_site(Keys)
    site.admin.register(BytesKey)
    with site.session() as session:
        session.add_all(BytesKey(digest=bytes([0, 200 + n, 44])) for n in range(3))
        session.commit()
    way = journey(site, BytesKey)
    keys = way.keys()
    assert keys == ["00c82c", "00c92c", "00ca2c"]
    way.get("details", keys[0])
    way.save_untouched(keys[0])
    assert len(way.change(keys[0], note="changed")) == 1
    way.delete(keys[0])
    way.delete_many(keys[1:])


def test_a_key_of_bytes_is_given_as_a_file(make_site, journey):
    import io

    site = make_site(Keys)
    site.admin.register(BytesKey)
    way = journey(site, BytesKey)
    response = way.post_new({"digest": (io.BytesIO(b"\x01\xff"), "digest.bin")})
    assert response.status_code == 302
    assert way.keys() == ["01ff"]


@pytest.mark.parametrize("model", [OnlyKey, OnlyTypedKey])
def test_a_class_with_nothing_but_its_key_has_all_pages(make_site, journey, model):
    site = make_site(Keys)
    site.admin.register(model)
    new = {OnlyKey: lambda n: {}, OnlyTypedKey: lambda n: {"one": f"a,{n}", "two": "b."}}
    journey(site, model).whole(new[model])


def test_a_key_is_not_changed_by_the_form_of_its_row(make_site, journey):
    site = make_site(Keys)
    site.admin.register(Natural)
    way = journey(site, Natural)
    key = way.create(host="here.example")
    assert 'name="host"' not in way.get("edit", key)
    assert way.change(key, host="elsewhere") == []


def test_a_key_that_is_taken_is_refused_at_its_field(make_site, journey):
    site = make_site(Keys)
    site.admin.register(Composite)
    way = journey(site, Composite)
    way.create(country="CZ", number="1")
    response = way.post_new({"country": "CZ", "number": "1", "note": "kept"})
    assert response.status_code == 400
    assert "Another row already has this country and number." in response.text
    assert "kept" in response.text


def test_a_key_that_somebody_must_give_is_asked_for(make_site, journey):
    site = make_site(Keys)
    site.admin.register(Natural)
    response = journey(site, Natural).post_new({"host": ""})
    assert response.status_code == 400
    assert "A value is needed." in response.text


def test_a_list_shows_a_decorated_key_as_the_program_writes_it(make_site, journey):
    site = make_site(Keys)
    site.admin.register(DecoratedKey)
    way = journey(site, DecoratedKey)
    way.create(isbn="978")
    assert "ISBN 978" in html.unescape(way.list())
