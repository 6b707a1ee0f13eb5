"""Words, identities in URLs and labels, worked out from mappings alone."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import enum
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import orm

from admin_app import inspection
from admin_app.errors import InvalidRequest, NotFound


class Base(orm.DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "red, or nearly"
    BLUE = "blue"


class Upper(sa.types.TypeDecorator[str]):
    """Text that is upper case in Python and lower case in the database."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value and value.lower()

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return value and value.upper()


KEYS = {
    "text": (
        sa.String(),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    ),
    "number": (sa.Integer(), st.integers(-(2**63), 2**63 - 1)),
    "moment": (sa.DateTime(), st.datetimes()),
    "day": (sa.Date(), st.dates()),
    "clock": (sa.Time(), st.times()),
    "uuid": (sa.Uuid(), st.uuids()),
    "flag": (sa.Boolean(), st.booleans()),
    "colour": (sa.Enum(Colour), st.sampled_from(Colour)),
    "amount": (sa.Numeric(20, 5), st.decimals(allow_nan=False, allow_infinity=False, places=5)),
    "real": (sa.Float(), st.floats(allow_nan=False, allow_infinity=False)),
    "bytes": (sa.LargeBinary(), st.binary()),
    "upper": (Upper(), st.text("ABCÉ.,")),
}


class Everything(Base):
    """A key of every type at once."""

    __table__ = sa.Table(
        "everything",
        Base.metadata,
        *(sa.Column(name, type_, primary_key=True) for name, (type_, _) in KEYS.items()),
    )


class Country(Base):
    __tablename__ = "countries"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Town(Base):
    __tablename__ = "towns"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    country_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("countries.id"))
    country: orm.Mapped[Country] = orm.relationship()

    @property
    def place(self) -> str:
        return f"in {self.country.name}"

    def __str__(self) -> str:
        return self.place


class Street(Base):
    __tablename__ = "streets"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str | None]

    def __str__(self) -> str:
        return self.name  # type: ignore[return-value]


class House(Base):
    __tablename__ = "houses"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    number: orm.Mapped[str]
    password: orm.Mapped[str]
    town_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("towns.id"))
    town: orm.Mapped[Town] = orm.relationship()

    def __str__(self) -> str:
        return f"{self.number}, {self.town}"


def mapper(model: type[Any]) -> orm.Mapper[Any]:
    return inspection.mapper_of(model)


@given(st.tuples(*(values for _, values in KEYS.values())))
def test_an_identity_of_any_types_comes_back_from_its_text(identity):
    text_of = inspection.identity_text(mapper(Everything))
    assert text_of.decode(text_of.encode(identity)) == identity


@pytest.mark.parametrize("text", ["100000000000000000000000.00001", "1E+30", "-0.10", "5.00"])
def test_a_decimal_of_any_length_is_a_key_by_all_its_digits(text):
    value, type_ = decimal.Decimal(text), sa.Numeric(60, 20)
    written = inspection.write_part(type_, value).replace("..", ".")
    assert inspection.read_part(type_, written) == value


@given(st.text())
def test_any_text_is_a_key_or_not_found_and_never_another_error(text):
    for model in (Everything, Country):
        with contextlib.suppress(NotFound):
            inspection.identity_text(mapper(model)).decode(text)


def test_a_null_part_of_a_key_is_told_from_the_letter_n():
    class Pair(Base):
        __tablename__ = "pairs"
        one: orm.Mapped[str] = orm.mapped_column(primary_key=True)
        two: orm.Mapped[str] = orm.mapped_column(primary_key=True)

    text_of = inspection.identity_text(mapper(Pair))
    assert text_of.decode(text_of.encode((None, "n"))) == (None, "n")
    assert text_of.encode((None, ".n")) == ".n,..n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("order_items", "Order items"),
        ("OrderItem", "Order item"),
        ("vat_id", "VAT id"),
        ("HTTPServer", "Http server"),
        ("größe_cm", "Größe cm"),
        ("_", "_"),
    ],
)
def test_names_become_words(name, shown):
    assert inspection.words(name) == shown


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("Order item", "Order items"),
        ("Category", "Categories"),
        ("Key", "Keys"),
        ("Address", "Addresses"),
        ("Status", "Statuses"),
        ("Box", "Boxes"),
        ("Orders", "Orders"),
        ("Telemetry", "Telemetry"),
        ("Only child", "Only children"),
        ("People", "People"),
    ],
)
def test_the_plural_of_a_word(one, many):
    assert inspection.plural(one) == many


def test_a_label_knows_the_relationships_that_str_will_touch():
    assert inspection.label(mapper(Town)).needs == (("country",),)
    assert set(inspection.label(mapper(House)).needs) == {("town",), ("town", "country")}


def test_a_str_that_returns_an_empty_name_is_answered_by_the_words_of_the_class():
    label = inspection.label(mapper(Street))
    assert label.of(Street(name="Elm Street")) == "Elm Street"
    assert label.of(Street(name=None)) == "New street"


def test_a_class_without_str_is_called_by_the_column_that_looks_like_a_name():
    label = inspection.label(mapper(Country))
    assert label.keys == ("name",)
    assert label.of(Country(id=3, name="Latvia")) == "Latvia"


@pytest.mark.parametrize(
    "name", ["__class__", "metadata", "registry", "_sa_registry", "town.__class__"]
)
def test_a_name_from_a_url_reaches_attributes_of_the_mapping_only(name):
    with pytest.raises(InvalidRequest):
        inspection.resolve(mapper(House), name)


def test_a_path_is_followed_through_relationships():
    path = inspection.resolve(mapper(House), "town.country.name")
    assert [r.key for r in path.relationships] == ["town", "country"]
    assert path.column is not None
    assert path.column.key == "name"


@pytest.mark.parametrize(
    ("key", "is_secret"),
    [("password", True), ("api_key", True), ("password_hash", True), ("tokens", True),
     ("passenger", False), ("secretary", False), ("tokenizer", False), ("key", False)],
)  # fmt: skip
def test_secrets_are_known_by_their_names(key, is_secret):
    assert inspection.is_secret(key) is is_secret


def test_keys_with_decimals_and_moments_are_exact():
    text_of = inspection.identity_text(mapper(Everything))
    identity = (
        "a.b,c", 1, dt.datetime(1, 1, 1, 0, 0, 0, 1), dt.date(9999, 12, 31),
        dt.time(23, 59, 59, 999999),
        uuid.UUID(int=0), True, Colour.RED, decimal.Decimal("0.10000"), 0.1, b"\0\xff", "ABC",
    )  # fmt: skip
    assert text_of.decode(text_of.encode(identity)) == identity


def call(name: str, **columns: Any) -> tuple[str, ...]:
    """The columns that rows of a class with these columns are called by."""
    made = type(name, (orm.declarative_base(),), {"__tablename__": name, "id": key(), **columns})
    return inspection.label(mapper(made)).keys


def key(type_: Any = sa.Integer) -> sa.Column[Any]:
    return sa.Column(type_, primary_key=True)


def text(length: int | None = 40, **options: Any) -> sa.Column[Any]:
    return sa.Column(sa.String(length), **options)


def test_people_are_called_by_both_their_names():
    assert call("Employee", Title=text(), LastName=text(), FirstName=text()) == (
        "FirstName",
        "LastName",
    )


def test_the_class_may_stand_before_the_name_whole_or_in_part():
    assert call("UsState", state_name=text()) == ("state_name",)
    assert call("StudyModel", study_name=text(512)) == ("study_name",)
    assert call("Region", region_description=text()) == ("region_description",)


def test_a_row_is_not_called_by_a_part_of_its_address():
    assert call("Invoice", billing_postal_code=text(nullable=False)) == ()


def test_a_row_that_belongs_to_another_is_not_called_by_what_may_be_empty():
    columns = {"parent_id": sa.Column(sa.ForeignKey("Order.id")), "ship_name": text()}
    assert call("Order", **columns) == ()
    assert call("Lead", company_name=text()) == ("company_name",)


def test_a_short_text_that_is_the_key_names_the_row():
    assert call("Country", id=key(sa.String(2)), capital=text(nullable=False)) == ("id",)


def test_a_class_called_model_has_a_label_too():
    assert call("Model", serial_number=text()) == ("serial_number",)
