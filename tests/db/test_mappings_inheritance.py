"""Single, joined and concrete inheritance, without options."""

from __future__ import annotations

import html

import pytest
import sqlalchemy as sa
from sqlalchemy import orm


class Single(orm.DeclarativeBase):
    pass


class Depot(Single):
    __tablename__ = "depots"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Animal(Single):
    __tablename__ = "animals"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str]
    name: orm.Mapped[str]


class Dog(Animal):
    __mapper_args__ = {"polymorphic_identity": "dog"}
    trick: orm.Mapped[str | None] = orm.mapped_column(nullable=True)
    depot_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("depots.id"))
    depot: orm.Mapped[Depot | None] = orm.relationship()

    def __str__(self) -> str:
        return f"{self.name} of {self.depot.name if self.depot else 'nowhere'}"


class Cat(Animal):
    __mapper_args__ = {"polymorphic_identity": "cat"}
    lives: orm.Mapped[int | None] = orm.mapped_column(nullable=True)


class Joined(orm.DeclarativeBase):
    pass


class Site(Joined):
    __tablename__ = "sites"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Worker(Joined):
    __tablename__ = "workers"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "worker"}
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str] = orm.mapped_column(sa.String(20))
    name: orm.Mapped[str]


class Driver(Worker):
    __tablename__ = "drivers"
    __mapper_args__ = {"polymorphic_identity": "driver"}
    id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("workers.id"), primary_key=True)
    licence: orm.Mapped[str]
    site_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("sites.id"))
    site: orm.Mapped[Site | None] = orm.relationship()

    def __str__(self) -> str:
        return f"{self.name} ({self.licence}) at {self.site.name if self.site else 'large'}"


class Trainee(Driver):
    __tablename__ = "trainees"
    trainee_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("drivers.id"), primary_key=True)
    mentor_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("workers.id"))
    mentor: orm.Mapped[Worker | None] = orm.relationship(
        foreign_keys=[mentor_id], remote_side="Worker.id"
    )
    __mapper_args__ = {
        "polymorphic_identity": "trainee",
        "inherit_condition": trainee_id.column == Driver.__table__.c.id,
    }


class Shift(Joined):
    __tablename__ = "shifts"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    worker_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("workers.id"))
    worker: orm.Mapped[Worker | None] = orm.relationship()


class Concrete(orm.DeclarativeBase):
    pass


class Vehicle(Concrete):
    __tablename__ = "vehicles"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Truck(Vehicle):
    __tablename__ = "trucks"
    __mapper_args__ = {"concrete": True}
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    load: orm.Mapped[int | None]


CASES = {
    Animal: (Single, {}),
    Dog: (Single, {"trick": "sit"}),
    Cat: (Single, {"lives": "9"}),
    Worker: (Joined, {}),
    Driver: (Joined, {"licence": "B"}),
    Trainee: (Joined, {"licence": "B"}),
    Vehicle: (Concrete, {}),
    Truck: (Concrete, {"load": "7"}),
}


@pytest.mark.parametrize("model", CASES, ids=lambda m: m.__name__)
def test_every_class_of_a_hierarchy_has_working_pages(make_site, journey, model):
    base, given = CASES[model]
    site = make_site(base).register_all()
    way = journey(site, model)
    assert "kind" not in way.fields()
    way.whole(lambda n: {"name": f"Row {n}", **given}, name="changed", writes={"name"})


def test_a_new_row_gets_the_discriminator_of_its_class(make_site, journey):
    site = make_site(Single).register_all()
    journey(site, Dog).create(name="Rex")
    with site.session() as session:
        assert session.scalar(sa.text("SELECT kind FROM animals")) == "dog"


def test_only_the_columns_of_a_changed_part_are_updated(make_site, journey):
    site = make_site(Joined).register_all()
    way = journey(site, Driver)
    key = way.create(name="Ana", licence="B")
    (statement,) = way.change(key, licence="C")
    assert statement.startswith("UPDATE drivers SET licence=")


def test_the_list_of_a_subclass_holds_only_its_rows(make_site, journey):
    site = make_site(Single).register_all()
    dog = journey(site, Dog).create(name="Rex")
    cat = journey(site, Cat).create(name="Tom")
    assert journey(site, Dog).keys() == [dog]
    assert journey(site, Animal).keys() == [dog, cat]


def test_a_row_of_another_subclass_is_not_reached_by_its_key(make_site, journey):
    site = make_site(Single).register_all()
    cat = journey(site, Cat).create(name="Tom")
    way = journey(site, Dog)
    for page in ("details", "edit", "delete"):
        assert site.client.get(way.url(page, cat)).status_code == 404


@pytest.mark.parametrize("base", [Single, Joined], ids=lambda b: b.__name__)
def test_the_list_of_a_base_class_opens_rows_of_its_subclasses(make_site, journey, base):
    parent, child, given = (
        (Animal, Dog, {}) if base is Single else (Worker, Driver, {"licence": "B"})
    )
    site = make_site(base).register_all()
    key = journey(site, child).create(name="Rex", **given)
    way = journey(site, parent)
    assert way.keys() == [key]
    way.get("details", key)
    way.save_untouched(key)
    assert way.change(key, name="Max")
    way.delete(key)


@pytest.mark.parametrize("count", [5, 50])
@pytest.mark.parametrize("base", [Single, Joined], ids=lambda b: b.__name__)
def test_a_base_list_costs_the_same_however_its_subclasses_are_called(
    make_site, journey, base, count
):
    site = make_site(base).register_all()
    with site.session() as session:
        if base is Single:
            places = [Depot(name=f"D{n}") for n in range(count)]
            session.add_all(Dog(name=f"N{n}", depot=places[n]) for n in range(count))
        else:
            places = [Site(name=f"S{n}") for n in range(count)]
            session.add_all(Driver(name=f"N{n}", licence="B", site=places[n]) for n in range(count))
        session.commit()
    journey(site, Animal if base is Single else Worker).list()


@pytest.mark.parametrize("count", [5, 50])
def test_a_list_costs_the_same_when_it_names_rows_of_subclasses(
    make_site, journey, statements, count
):
    site = make_site(Joined).register_all()
    with site.session() as session:
        for n in range(count):
            worker = Driver(name=f"N{n}", licence="B", site=Site(name=f"S{n}"))
            session.add(Shift(name=f"Shift {n}", worker=worker))
        session.commit()
    page = journey(site, Shift).list()
    assert "N1 (B) at S1" in page


@pytest.mark.parametrize("count", [3, 15])
def test_a_picker_costs_the_same_when_it_names_rows_of_subclasses(
    make_site, journey, statements, count
):
    site = make_site(Joined).register_all()
    with site.session() as session:
        for n in range(count):
            session.add(Driver(name=f"N{n}", licence="B", site=Site(name=f"S{n}")))
        session.commit()
    way = journey(site, Shift)
    way.get("create")
    with statements(site.engine) as seen:
        found = way.lookup("worker")
    assert "N1 (B) at S1" in found
    assert len(seen) <= 2, seen


def test_a_delete_of_a_joined_row_takes_all_its_parts(make_site, journey):
    site = make_site(Joined).register_all()
    key = journey(site, Trainee).create(name="Ana", licence="B")
    way = journey(site, Worker)
    page = html.unescape(way.get("delete", key))
    assert "(by" not in page
    way.delete(key)
    with site.session() as session:
        for table in ("workers", "drivers", "trainees"):
            assert session.scalar(sa.text(f"SELECT count(*) FROM {table}")) == 0


def test_a_delete_plan_counts_rows_that_point_to_the_base(make_site, journey):
    site = make_site(Joined).register_all()
    key = journey(site, Driver).create(name="Ana", licence="B")
    journey(site, Shift).create(name="Night", worker=key)
    assert "1 shift (by worker)" in journey(site, Driver).get("delete", key)


def test_rows_of_a_concrete_subclass_are_not_rows_of_its_base(make_site, journey):
    site = make_site(Concrete).register_all()
    journey(site, Truck).create(name="Big")
    assert journey(site, Vehicle).keys() == []


def test_rows_of_several_classes_are_deleted_together(make_site, journey):
    site = make_site(Joined).register_all()
    keys = [
        journey(site, Worker).create(name="Ana"),
        journey(site, Driver).create(name="Bo", licence="B"),
        journey(site, Trainee).create(name="Cy", licence="B"),
    ]
    for key in keys:
        journey(site, Shift).create(name="Night", worker=key)
    way = journey(site, Worker)
    data = {"action": "delete", "rowid": keys}
    assert "3 shifts (by worker)" in site.client.post(way.url("action"), data=data).text
    journey(site, Shift).delete_many(journey(site, Shift).keys())
    way.delete_many(keys)
