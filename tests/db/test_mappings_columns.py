"""Columns and attributes of every kind and name, without options."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.hybrid import hybrid_property

from admin_app import ModelView
from tests.db.journey import columns_written


class Made(orm.DeclarativeBase):
    """Values that the database, the mapper or the program makes."""


class Point:
    def __init__(self, x: int | None, y: int | None) -> None:
        self.x, self.y = x, y

    def __composite_values__(self) -> tuple[int | None, int | None]:
        return self.x, self.y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (other.x, other.y) == (self.x, self.y)

    __hash__ = None  # type: ignore[assignment]


class Article(Made):
    __tablename__ = "articles"
    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    name: orm.Mapped[str]
    net: orm.Mapped[int] = orm.mapped_column(default=100)
    gross: orm.Mapped[int] = orm.mapped_column(sa.Computed("net * 2", persisted=True))
    state: orm.Mapped[str] = orm.mapped_column(server_default="new")
    code: orm.Mapped[str] = orm.mapped_column(default=lambda: "made")
    changed_at: orm.Mapped[dt.datetime] = orm.mapped_column(
        default=dt.datetime(2020, 1, 1), onupdate=dt.datetime(2026, 1, 1, 1, 2, 3, 456789)
    )
    essay: orm.Mapped[str | None] = orm.mapped_column(sa.Text, deferred=True)
    notes: orm.Mapped[str | None] = orm.mapped_column(deferred=True)
    x: orm.Mapped[int | None]
    y: orm.Mapped[int | None]
    place: orm.Mapped[Point] = orm.composite("x", "y")
    alias: orm.Mapped[str] = orm.synonym("name")
    renamed: orm.Mapped[str | None] = orm.mapped_column("odd Column%name")

    @hybrid_property
    def is_dear(self) -> bool:
        return self.net > 100

    @property
    def shout(self) -> str:
        return self.name.upper()


Article.words = orm.column_property(sa.func.length(Article.__table__.c.name) + 1)


class Versioned(Made):
    __tablename__ = "versioned"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    version: orm.Mapped[int] = orm.mapped_column()
    name: orm.Mapped[str]
    __mapper_args__ = {"version_id_col": version}


@pytest.fixture
def made(make_site):
    return make_site(Made).register_all()


@pytest.mark.parametrize("model", [Article, Versioned])
def test_a_class_with_values_made_elsewhere_has_working_pages(made, journey, model):
    writes = {"name", "changed_at"} if model is Article else {"name", "version"}
    journey(made, model).whole(lambda n: {"name": f"Row {n}"}, name="new", writes=writes)


def test_what_is_left_blank_gets_its_default(made, journey):
    journey(made, Article).create(name="Lamp", net="", state="", code="")
    with made.session() as session:
        row = session.scalars(sa.select(Article)).one()
        assert (row.net, row.state, row.code, row.gross) == (100, "new", "made", 200)


def test_what_is_typed_comes_before_the_default(made, journey):
    journey(made, Article).create(name="Lamp", net="7", state="old", code="own")
    with made.session() as session:
        row = session.scalars(sa.select(Article)).one()
        assert (row.net, row.state, row.code) == (7, "old", "own")


@pytest.mark.parametrize("field", ["gross", "words", "is_dear", "shout", "id", "place", "alias"])
def test_what_nobody_can_type_is_not_asked_for(made, journey, field):
    assert field not in journey(made, Article).fields()


def test_what_is_made_elsewhere_is_shown(made, journey):
    way = journey(made, Article)
    key = way.create(name="Lamp", net="7")
    page = html.unescape(way.get("details", key))
    for value in (">14<", ">5<", "2020-01-01 00:00"):
        assert value in page


@pytest.mark.parametrize("key", ["words", "gross", "is_dear", "alias", "renamed", "essay"])
def test_every_kind_of_column_is_listed_sorted_searched_and_exported(make_site, journey, key):
    site = make_site(Made)
    options = {"column_list": ("name", key), "column_searchable_list": ("name", key)}
    site.admin.register(Article, type("View", (ModelView,), {**options, "can_export": True}))
    with site.session() as session:
        session.add_all([Article(name="Aa", net=7), Article(name="Bbb", net=777)])
        session.commit()
    way = journey(site, Article)
    for order, first in (("", "Aa"), ("-", "Bbb")):
        page = site.client.get(f"{way.url()}?sort={order}{key},{order}name").text
        assert page.index(f">{first}<") < page.index(">Bbb<" if first == "Aa" else ">Aa<")
    assert ">Bbb<" in site.client.get(way.url() + "?search=bb").text
    assert "Bbb" in site.client.get(f"{way.url()}export/csv/").text


def test_a_computed_value_that_is_sent_is_not_written(made, journey):
    way = journey(made, Article)
    key = way.create(name="Lamp")
    assert way.change(key, gross="1", words="1", id="9", version="4") == []


def test_a_save_without_a_change_does_not_fire_onupdate(made, journey):
    way = journey(made, Article)
    key = way.create(name="Lamp")
    way.save_untouched(key)
    with made.session() as session:
        assert session.scalars(sa.select(Article.changed_at)).one() == dt.datetime(2020, 1, 1)


def test_a_save_with_a_change_fires_onupdate(made, journey):
    way = journey(made, Article)
    way.change(way.create(name="Lamp"), name="Torch")
    with made.session() as session:
        changed = session.scalars(sa.select(Article.changed_at)).one()
        assert changed == dt.datetime(2026, 1, 1, 1, 2, 3, 456789)


def test_a_list_does_not_load_deferred_columns(made, journey, statements):
    journey(made, Article).create(name="Lamp", essay="long")
    with statements(made.engine) as seen:
        journey(made, Article).list()
    assert not [s for s in seen if "essay" in s or "notes" in s]


def test_deferred_columns_are_shown_and_edited(made, journey):
    way = journey(made, Article)
    key = way.create(name="Lamp", essay="long", notes="short")
    assert "long" in way.get("details", key)
    assert columns_written(way.change(key, notes="other")) == {"notes", "changed_at"}


def test_parts_of_a_composite_value_are_edited_as_columns(made, journey):
    way = journey(made, Article)
    key = way.create(name="Lamp", x="1", y="2")
    assert columns_written(way.change(key, x="3")) == {"x", "changed_at"}
    with made.session() as session:
        assert session.scalars(sa.select(Article)).one().place == Point(3, 2)


def test_a_column_named_otherwise_than_its_attribute_is_listed_sorted_and_edited(made, journey):
    way = journey(made, Article)
    key = way.create(name="Lamp", renamed="here")
    assert columns_written(way.change(key, renamed="there")) == {"odd Column%name", "changed_at"}
    for query in ("?sort=renamed", "?sort=-renamed", "?search=there"):
        assert ">there<" in made.client.get(way.url() + query).text


def test_a_version_counter_is_not_asked_for(made, journey):
    way = journey(made, Versioned)
    assert "version" not in way.fields()
    key = way.create(name="one")
    way.change(key, name="two")
    with made.session() as session:
        assert session.scalars(sa.select(Versioned.version)).one() == 2


def test_a_save_that_meets_another_version_says_so_and_overwrites_nothing(made, journey):
    way = journey(made, Versioned)
    key = way.create(name="one")

    # At every try anew: what is done here goes back with the save that it stands in the way of.
    @sa.event.listens_for(Versioned, "before_update")
    def somebody_else(mapper: Any, connection: Any, target: Any) -> None:
        connection.execute(sa.text("UPDATE versioned SET version = 7, name = 'theirs'"))

    response = way.post(key, {"name": "mine"})
    sa.event.remove(Versioned, "before_update", somebody_else)
    assert response.status_code in (400, 409)
    assert "Somebody else changed" in response.text
    assert "mine" in response.text
    with made.session() as session:
        assert session.scalars(sa.select(Versioned.name)).one() != "mine"


class Called(orm.DeclarativeBase):
    """Rows whose __str__ reaches other rows, by several ways."""


class Town(Called):
    __tablename__ = "towns"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    history: orm.Mapped[str] = orm.mapped_column(deferred=True, default="old")

    def __str__(self) -> str:
        return f"{self.name} ({self.history})"


class Street(Called):
    __tablename__ = "streets"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    town_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("towns.id"))
    town: orm.Mapped[Town] = orm.relationship()

    @property
    def whole(self) -> str:
        return f"{self.name}, {self.town}"

    def __str__(self) -> str:
        return self.whole


class House(Called):
    __tablename__ = "houses"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    number: orm.Mapped[int]
    street_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("streets.id"))
    street: orm.Mapped[Street] = orm.relationship()
    guests: orm.Mapped[list[Guest]] = orm.relationship(back_populates="house")

    def told(self) -> str:
        return " ".join(str(part) for part in (self.street, self.number))

    def __str__(self) -> str:
        return self.told()


class Guest(Called):
    __tablename__ = "guests"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    house_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("houses.id"))
    house: orm.Mapped[House] = orm.relationship(back_populates="guests")

    def __str__(self) -> str:
        return f"{self.name} and {len(self.house.guests) - 1} more"


class Bag(Called):
    __tablename__ = "bags"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    guest_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("guests.id"))
    guest: orm.Mapped[Guest] = orm.relationship()


def fill(site: Any, count: int) -> None:
    with site.session() as session:
        for n in range(count):
            street = Street(name=f"S{n}", town=Town(name=f"T{n}"))
            house = House(number=n, street=street)
            session.add(Bag(guest=Guest(name=f"G{n}", house=house)))
        session.commit()


@pytest.mark.parametrize("model", [Street, House, Guest, Bag])
def test_a_list_costs_the_same_with_few_and_many_rows(make_site, journey, statements, model):
    site = make_site(Called).register_all()
    journey(site, model).list()
    costs = []
    for count in (5, 45):
        fill(site, count)
        with statements(site.engine) as seen:
            journey(site, model).list()
        costs.append(len(seen))
    assert costs[0] == costs[1] <= 4


@pytest.mark.parametrize("model", [Street, House, Guest, Bag])
def test_a_confirmation_costs_the_same_with_few_and_many_rows(
    make_site, journey, statements, model
):
    site = make_site(Called).register_all()
    costs = []
    for count in (3, 20):
        fill(site, count)
        way = journey(site, model)
        data = {"action": "delete", "rowid": way.keys()}
        with statements(site.engine) as seen:
            assert site.client.post(way.url("action"), data=data).status_code == 200
        costs.append(len(seen))
    assert costs[1] <= costs[0]


def test_a_picker_costs_the_same_with_few_and_many_rows(make_site, journey, statements):
    site = make_site(Called).register_all()
    way = journey(site, Bag)
    url = f"{way.url()}lookup/guest/?q="
    costs = []
    for count in (3, 16):
        fill(site, count)
        with statements(site.engine) as seen:
            assert "G1 and 0 more" in str(site.client.get(url).json)
        costs.append(len(seen))
    assert costs[1] <= costs[0]


# Names

NAMES = [
    *("data", "errors", "validate", "process", "populate_obj", "meta", "Meta", "csrf_token"),
    *("object_data", "query", "type", "items", "keys", "model", "pk", "url", "page", "search"),
    *("sort", "action", "rowid", "confirmed", "hidden_tag", "process_data", "name", "form"),
    *("session", "view", "admin", "flt0_0", "select", "order", "group", "from", "user", "table"),
    *("žluťoučký", "数量", "größe", "Straße_2", "a__b", "A", "label", "lang"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_column_may_have_any_name(make_site, journey, name):
    base = type("Base", (orm.DeclarativeBase,), {})
    namespace = {
        "__tablename__": "rows",
        "__annotations__": {"id": orm.Mapped[int]},
        "__module__": __name__,
        "id": orm.mapped_column(primary_key=True),
        name: orm.mapped_column(sa.Integer, nullable=False),
        "other": orm.mapped_column(sa.String(40)),
    }
    model = type("Row", (base,), namespace)
    site = make_site(base).register_all()
    way = journey(site, model)
    way.whole(lambda n: {name: str(n)}, **{name: "7"}, writes={name})
    refused = way.post_new({name: "x"})
    assert refused.status_code == 400
    assert "This is not a whole number." in refused.text


def test_columns_may_have_all_the_names_that_forms_and_classes_use_at_once(make_site, journey):
    names = ["data", "validate", "errors", "process", "meta", "populate_obj", "metadata", "query"]
    names += ["type", "registry"]
    registry = orm.registry()
    columns = [sa.Column(name, sa.String(40)) for name in names]
    table = sa.Table("rows", registry.metadata, sa.Column("id", sa.Integer, primary_key=True))
    for column in columns:
        table.append_column(column)
    model = type("Row", (), {"__module__": __name__})
    registry.map_imperatively(model, table)
    site = make_site(registry)
    site.admin.register_all(registry)
    way = journey(site, model)
    way.whole(lambda n: dict.fromkeys(names, f"Row {n}"), **dict.fromkeys(names, "x"), writes=names)
    page = way.get("details", way.create(**{name: f"is {name}" for name in names}))
    assert all(f"is {name}" in page for name in names)
    for name in names:
        assert site.client.get(f"{way.url()}?sort=-{name}").status_code == 200


@pytest.mark.parametrize(
    "table", ["order", "select", "user", "Table", "grün", "a b", 'q"uote', "%s"]
)
def test_a_table_may_have_any_name(make_site, journey, table):
    class Base(orm.DeclarativeBase):
        pass

    class Row(Base):
        __tablename__ = table
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str]

    site = make_site(Base).register_all()
    journey(site, Row).whole(lambda n: {"name": f"Row {n}"}, name="new", writes={"name"})


def test_a_class_may_have_a_name_of_any_script(make_site, journey):
    base = type("Base", (orm.DeclarativeBase,), {})
    namespace = {
        "__tablename__": "rows",
        "__annotations__": {"id": orm.Mapped[int], "jméno": orm.Mapped[str]},
        "__module__": __name__,
        "id": orm.mapped_column(primary_key=True),
    }
    model = type("Žák", (base,), namespace)
    site = make_site(base).register_all()
    journey(site, model).whole(lambda n: {"jméno": f"Ž {n}"}, jméno="nové", writes={"jméno"})


# Shapes


def test_a_class_without_any_text_has_working_pages(make_site, journey):
    class Base(orm.DeclarativeBase):
        pass

    class Reading(Base):
        __tablename__ = "readings"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        at: orm.Mapped[dt.datetime]
        value: orm.Mapped[float]

    site = make_site(Base).register_all()
    way = journey(site, Reading)
    way.whole(
        lambda n: {"at": "2026-02-03T04:05:06", "value": "0.1"},
        value="0.30000000000000004",
        writes={"value"},
    )
    for text in ("7", "0.1", "x", '"'):
        assert site.client.get(way.url() + "?search=" + text).status_code == 200


def test_a_class_of_sixty_columns_has_working_pages(make_site, journey):
    base = type("Base", (orm.DeclarativeBase,), {})
    types = [sa.Integer, sa.String(40), sa.Date, sa.Boolean, sa.Numeric(8, 2), sa.Text]
    namespace: dict[str, Any] = {
        f"field_{n:02}": orm.mapped_column(types[n % len(types)]) for n in range(60)
    }
    namespace |= {
        "__tablename__": "wide",
        "__module__": __name__,
        "__annotations__": {"id": orm.Mapped[int]},
        "id": orm.mapped_column(primary_key=True),
    }
    model = type("Wide", (base,), namespace)
    site = make_site(base).register_all()
    way = journey(site, model)
    way.whole(lambda n: {"field_00": str(n)}, field_55="", field_59="x", writes={"field_59"})
    way.create(field_01="found")
    assert "found" in site.client.get(way.url() + "?search=found").text


def test_a_column_named_url_does_not_say_where_a_save_leads(make_site, journey):
    class Base(orm.DeclarativeBase):
        pass

    class Link(Base):
        __tablename__ = "links"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        url: orm.Mapped[str]

    site = make_site(Base).register_all()
    way = journey(site, Link)
    response = site.client.post(way.url("create"), data={"url": "/somewhere/else"})
    assert response.location == way.url()


def test_a_default_that_is_emptied_is_null_where_the_column_may_be(make_site, journey):
    class Base(orm.DeclarativeBase):
        pass

    class Lamp(Base):
        __tablename__ = "lamps"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        colour: orm.Mapped[str | None] = orm.mapped_column(default="red")

    site = make_site(Base).register_all()
    journey(site, Lamp).create(colour="")
    with site.session() as session:
        assert session.scalars(sa.select(Lamp.colour)).one() is None
