"""Single, joined and concrete inheritance, without options."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.declarative import AbstractConcreteBase, ConcreteBase

from admin_app import ModelView, Policy
from tests.db.journey import columns_written


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
    way.lookup("worker")
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


# Which class a new row is of


def choices(page: str) -> dict[str, str]:
    """Words → address of the links of a page that asks for a class."""
    asked = page.partition('<ul class="panel rows">')[2].partition("</ul>")[0]
    found = re.findall(r'<a class="link" href="([^"]*)">([^<]*)</a>', asked)
    return {words: html.unescape(url) for url, words in found}


def test_a_new_row_of_a_base_class_asks_for_its_class(make_site):
    site = make_site(Single).register_all()
    found = choices(site.client.get(site.url(Animal, "create")).text)
    assert list(found) == ["Animal", "Dog", "Cat"]
    assert 'name="trick"' in site.client.get(found["Dog"]).text
    assert 'name="name"' in site.client.get(found["Animal"]).text


def test_the_form_of_a_class_with_its_own_view_is_that_view(make_site):
    site = make_site(Single).register_all()
    found = choices(site.client.get(site.url(Animal, "create")).text)
    assert found["Dog"].partition("?")[0] == site.url(Dog, "create")
    response = site.client.get(site.url(Animal, "create") + "?type=dog&name=Rex")
    assert response.location == site.url(Dog, "create") + "?name=Rex&url=%2Fadmin%2Fanimal%2F"


def test_the_page_that_asks_keeps_what_the_address_suggests(make_site):
    site = make_site(Single).register_all()
    page = site.client.get(site.url(Animal, "create") + "?name=Rex").text
    for url in choices(page).values():
        assert ">\nRex</textarea>" in site.client.get(url).text


@pytest.fixture
def alone(make_site):
    """Base classes with a view, whose subclasses have none."""

    def make(
        base: type[Any], *models: type[Any], view: type[ModelView] = ModelView, **options: Any
    ):
        site = make_site(base, **options)
        for model in models:
            site.admin.register(model, view)
        return site

    return make


def test_a_class_without_a_view_is_made_at_the_address_of_its_base(alone, controls):
    site = alone(Joined, Worker, Site)
    url = choices(site.client.get(site.url(Worker, "create")).text)["Driver"]
    page = site.client.get(url).text
    sent = controls(page)
    assert {"name", "licence", "site"} <= set(sent)
    assert "kind" not in sent
    assert "<h1>New driver</h1>" in page
    assert f'action="{url}"' in page
    site.client.post(url, data={**sent, "name": "Ana", "licence": "B"})
    with site.session() as session:
        (driver,) = session.scalars(sa.select(Worker))
        assert (type(driver), driver.name, driver.licence) == (Driver, "Ana", "B")


def test_a_row_of_a_class_without_a_view_is_shown_and_changed_with_all_its_columns(alone, journey):
    site = alone(Joined, Worker)
    with site.session() as session:
        session.add(Driver(name="Ana", licence="B17"))
        session.commit()
    way = journey(site, Worker)
    assert "B17" in way.get("details", "1")
    way.save_untouched("1")
    assert columns_written(way.change("1", licence="C", name="Bo")) == {"licence", "name"}
    way.delete("1")


def test_a_row_of_a_class_without_a_view_is_copied_as_one_of_its_class(alone, journey):
    site = alone(Joined, Worker)
    with site.session() as session:
        session.add(Driver(name="Ana", licence="B"))
        session.commit()
    response = journey(site, Worker).post("1", {"_save_as_new": "1", "licence": "C"})
    assert response.status_code == 302
    with site.session() as session:
        assert session.scalars(sa.select(Driver.licence).order_by(Driver.id)).all() == ["B", "C"]


def test_a_row_of_a_class_with_its_own_view_is_not_copied_in_part(make_site, journey):
    site = make_site(Joined).register_all()
    key = journey(site, Driver).create(name="Ana", licence="B")
    way = journey(site, Worker)
    assert "_save_as_new" not in way.get("edit", key)
    way.post(key, {"_save_as_new": "1"})
    assert way.keys() == [key]


@pytest.mark.parametrize("page", ["details", "edit"])
def test_a_row_of_a_class_with_its_own_view_leads_there(make_site, journey, page):
    site = make_site(Joined).register_all()
    key = journey(site, Driver).create(name="Ana", licence="B")
    link = f'href="{site.url(Driver, page)}?id={key}">Open as driver</a>'
    assert link in journey(site, Worker).get(page, key)
    assert "Open as" not in journey(site, Driver).get(page, key)


def test_related_rows_are_picked_for_a_class_without_a_view(alone, controls):
    site = alone(Joined, Worker, Site)
    with site.session() as session:
        session.add(Site(name="Brno"))
        session.commit()
    # The form has not been asked for in this process when its picker is.
    found = site.client.get(f"{site.url(Worker)}lookup/Driver.site/?q=").json
    assert [item["text"] for item in found["items"]] == ["Brno"]
    page = site.client.get(site.url(Worker, "create") + "?type=driver").text
    assert f'data-lookup-url="{site.url(Worker)}lookup/Driver.site/"' in page


class NoDogs(Policy):
    def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
        is_allowed = model is not Dog or action == "view"
        return super().may(principal, action, model, column) and is_allowed


@pytest.mark.parametrize("is_registered", [True, False])
def test_the_policy_is_asked_about_the_class_of_a_row(alone, is_registered):
    models = [Animal, Dog] if is_registered else [Animal]
    site = alone(Single, *models, policy=NoDogs())
    with site.session() as session:
        session.add(Dog(name="Rex"))
        session.commit()
    assert list(choices(site.client.get(site.url(Animal, "create")).text)) == ["Animal", "Cat"]
    assert site.client.get(site.url(Animal, "create") + "?type=dog").status_code == 403
    assert site.client.get(site.url(Animal, "details") + "?id=1").status_code == 200
    for page in ("edit", "delete"):
        assert site.client.post(f"{site.url(Animal, page)}?id=1").status_code == 403
    data = {"action": "delete", "rowid": "1", "confirmed": "1"}
    assert site.client.post(site.url(Animal, "action"), data=data).status_code == 403


def test_a_form_that_tells_no_class_makes_a_row_of_the_base(make_site):
    site = make_site(Single).register_all()
    response = site.client.post(site.url(Animal, "create"), data={"name": "Rex"})
    assert response.status_code == 302
    with site.session() as session:
        assert [type(a) for a in session.scalars(sa.select(Animal))] == [Animal]


@pytest.mark.parametrize("name", ["elephant", "", "Dog", "dog\0", "%s"])
def test_a_class_that_there_is_not_is_asked_for_again(make_site, name):
    site = make_site(Single).register_all()
    response = site.client.get(site.url(Animal, "create", type=name))
    assert response.status_code == 200
    assert "What kind of animal is it?" in response.text


def test_after_a_class_was_chosen_another_row_of_it_is_added(alone, journey):
    site = alone(Single, Animal)
    url = site.url(Animal, "create", type="dog")
    response = site.client.post(url, data={"name": "Rex", "_add_another": "1"})
    assert response.location == url


class Abstract(orm.DeclarativeBase):
    pass


class Payment(Abstract):
    """No row is a payment and nothing more."""

    __tablename__ = "payments"
    __mapper_args__ = {"polymorphic_on": "method", "polymorphic_abstract": True}
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    method: orm.Mapped[str]
    type: orm.Mapped[str | None]


class Card(Payment):
    __mapper_args__ = {"polymorphic_identity": "card"}


class Cash(Payment):
    __mapper_args__ = {"polymorphic_identity": "cash"}


def test_an_abstract_class_is_not_offered_and_never_made(alone):
    site = alone(Abstract, Payment)
    url = site.url(Payment, "create")
    assert list(choices(site.client.get(url).text)) == ["Card", "Cash"]
    assert site.client.post(url, data={"type": "x"}).status_code == 400
    assert site.client.post(url + "?type=card", data={"type": "x"}).status_code == 302
    with site.session() as session:
        assert [(type(p), p.type) for p in session.scalars(sa.select(Payment))] == [(Card, "x")]


class Expressed(orm.DeclarativeBase):
    pass


class Staff(Expressed):
    """The class of a row follows from what is typed into another column."""

    __tablename__ = "staff"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    grade: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    __mapper_args__ = {
        "polymorphic_on": sa.case((grade > 5, "boss"), else_="staff"),
        "polymorphic_identity": "staff",
    }


class Boss(Staff):
    __mapper_args__ = {"polymorphic_identity": "boss"}


def test_a_class_that_follows_from_a_column_is_not_asked_for(alone, journey):
    site = alone(Expressed, Staff)
    way = journey(site, Staff)
    way.whole(lambda n: {"grade": str(n + 4)}, grade="7", writes={"grade"})


class Workshop(orm.DeclarativeBase):
    pass


class Tool(Workshop):
    __tablename__ = "tools"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "tool"}
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str]
    name: orm.Mapped[str]


class Drill(Tool):
    __mapper_args__ = {"polymorphic_identity": "drill"}


class Hole(Workshop):
    __tablename__ = "holes"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    drill_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("tools.id"))
    drill: orm.Mapped[Drill | None] = orm.relationship()


class NotOld(ModelView):
    def get_query(self) -> Any:
        return sa.select(Tool).where(Tool.name != "old")


@pytest.mark.parametrize("view", [ModelView, NotOld])
def test_a_picker_of_a_class_without_a_view_offers_its_rows_in_the_reach_of_its_base(
    alone, journey, view
):
    site = alone(Workshop, Hole)
    site.admin.register(Tool, view)
    with site.session() as session:
        session.add_all([Tool(name="saw"), Drill(name="new"), Drill(name="old")])
        session.commit()
    way = journey(site, Hole)
    assert set(way.lookup("drill")) == ({"new"} if view is NotOld else {"new", "old"})
    assert way.post_new({"drill": "1"}).status_code == 400
    way.create(drill="2")


class United(orm.DeclarativeBase):
    pass


class Boat(ConcreteBase, United):
    """A table of its own for each class, all of them in the list of the base."""

    __tablename__ = "boats"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "boat", "concrete": True}


class Ferry(Boat):
    __tablename__ = "ferries"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    cars: orm.Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "ferry", "concrete": True}


class Craft(AbstractConcreteBase, United):
    strict_attrs = True
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Glider(Craft):
    __tablename__ = "gliders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "glider", "concrete": True}


class Rocket(Craft):
    __tablename__ = "rockets"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    thrust: orm.Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "rocket", "concrete": True}


@pytest.mark.parametrize("model", [Boat, Ferry, Glider, Rocket])
def test_every_class_with_a_table_of_its_own_has_working_pages(make_site, journey, model):
    site = make_site(United).register_all()
    way = journey(site, model)
    way.whole(lambda n: {"name": f"Row {n}"}, name="changed", writes={"name"})


@pytest.mark.parametrize(("base", "model"), [(Boat, Ferry), (Craft, Rocket)])
def test_a_row_in_the_list_of_united_tables_leads_to_its_own_pages(make_site, base, model):
    site = make_site(United).register_all()
    with site.session() as session:
        session.add_all([Boat(name="Row"), Ferry(name="Big"), Glider(name="G"), Rocket(name="R")])
        session.commit()
    page = site.client.get(site.url(base)).text
    for kind in ("details", "edit", "delete"):
        assert f'href="{site.url(model, kind)}?id=1' in page


@pytest.mark.parametrize("page", ["details", "edit", "delete"])
def test_a_key_that_several_tables_have_is_no_key_of_their_union(make_site, page):
    site = make_site(United).register_all()
    with site.session() as session:
        session.add_all([Boat(name="Row"), Ferry(name="Big"), Glider(name="G"), Rocket(name="R")])
        session.commit()
    boat = site.client.get(f"{site.url(Boat, page)}?id=1").text
    assert "Row" in boat
    assert "Big" not in boat
    assert site.client.get(f"{site.url(Craft, page)}?id=1").status_code == 404


def test_rows_of_united_tables_are_not_ticked_in_their_common_list(make_site):
    site = make_site(United).register_all()
    with site.session() as session:
        session.add_all([Ferry(name="Big"), Rocket(name="R")])
        session.commit()
    for base in (Boat, Craft):
        data = {"action": "delete", "rowid": ["1"], "confirmed": "1"}
        site.client.post(site.url(base, "action"), data=data)
    with site.session() as session:
        assert len(session.scalars(sa.select(Ferry)).all()) == 1
        assert len(session.scalars(sa.select(Rocket)).all()) == 1


def test_a_new_row_of_united_tables_asks_for_its_class(make_site):
    site = make_site(United).register_all()
    assert list(choices(site.client.get(site.url(Boat, "create")).text)) == ["Boat", "Ferry"]
    assert list(choices(site.client.get(site.url(Craft, "create")).text)) == ["Glider", "Rocket"]
