"""The rules of a table are told at the fields they concern, several at once, on both databases."""

from __future__ import annotations

import threading
from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg

from admin_app import changes, constraints, reflection
from tests.db.conftest import Site


class Base(orm.DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "shelves"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Box(Base):
    __tablename__ = "boxes"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    code: orm.Mapped[str] = orm.mapped_column(sa.String(10), unique=True)
    shelf_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("shelves.id"))
    shelf: orm.Mapped[Shelf | None] = orm.relationship()
    place: orm.Mapped[int | None]
    weight: orm.Mapped[float]
    opened: orm.Mapped[int | None]
    closed: orm.Mapped[int | None]
    __table_args__ = (
        sa.UniqueConstraint("shelf_id", "place", name="one_box_a_place"),
        sa.CheckConstraint("weight > 0", name="has_weight"),
        sa.CheckConstraint("opened < closed", name="opened_before_closed"),
    )

    def __str__(self) -> str:
        return self.code


@pytest.fixture
def boxes(make_site):
    site = make_site(Base).register_all()
    with site.session() as session:
        low = Shelf(name="low")
        session.add_all([low, Shelf(name="high"), Box(code="A", weight=1, shelf=low, place=1)])
        session.flush()
        session.add(Box(code="B", weight=1))
        session.commit()
    return site


def errors(page: str) -> list[str]:
    import re

    return re.findall(r'<p class="error" id="(\w+)-error"><span>([^<]+)</span>', page)


def test_several_broken_rules_are_told_at_once_each_at_its_field(boxes):
    data = {"code": "A", "weight": "-1", "opened": "5", "closed": "3"}
    response = boxes.client.post(boxes.url(Box, "create"), data=data)
    assert response.status_code == 400
    assert {key for key, _ in errors(response.text)} == {"code", "weight", "opened"}
    with boxes.session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Box)) == 2


def test_values_that_are_taken_together_are_named_together(boxes):
    url = boxes.url(Box, "edit", identity=(2,))
    response = boxes.client.post(url, data={"shelf": "1", "place": "1"})
    assert response.status_code == 400
    assert "Another row already has this shelf and place." in response.text
    assert [key for key, _ in errors(response.text)] == ["shelf"]


def test_null_is_never_taken_and_a_condition_that_is_unknown_holds(boxes):
    for code in ("C", "D"):
        data = {"code": code, "weight": "1", "place": "7", "opened": "5"}
        assert boxes.client.post(boxes.url(Box, "create"), data=data).status_code == 302


def test_a_row_may_keep_its_own_unique_value(boxes, statements):
    url = boxes.url(Box, "edit", identity=(1,))
    assert boxes.client.post(url, data={"code": "A", "weight": "2"}).status_code == 302


def test_asking_about_the_rules_costs_one_statement(boxes, statements):
    url = boxes.url(Box, "edit", identity=(1,))
    with statements(boxes.engine) as seen:
        boxes.client.post(url, data={"code": "Z", "weight": "3"})
    assert sum("boxes" in s and s.startswith("SELECT") for s in seen) <= 2


def test_of_two_equal_inserts_at_once_one_is_saved_and_the_other_told_at_its_field(boxes):
    answers: list[tuple[int, list[str]]] = []

    def create():
        data = {"code": "SAME", "weight": "1"}
        response = boxes.client.post(boxes.url(Box, "create"), data=data)
        answers.append((response.status_code, errors(response.text)))

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [302, 400, 400, 400]
    told = [found for status, found in answers if status == 400]
    assert told == [[("code", "Another row already has this value.")]] * 3


class Rules(orm.DeclarativeBase):
    pass


class Score(Rules):
    __tablename__ = "scores"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    points: orm.Mapped[int]
    level: orm.Mapped[str] = orm.mapped_column(sa.String(10))
    nick: orm.Mapped[str | None] = orm.mapped_column(sa.String(40))
    __table_args__ = (
        sa.CheckConstraint("points BETWEEN 0 AND 100", name="points_range"),
        sa.CheckConstraint("level IN ('low', 'high')", name="known_level"),
        sa.CheckConstraint("length(nick) >= 3", name="long_nick"),
    )


def test_simple_checks_are_limits_of_the_inputs(make_site):
    site = make_site(Rules).register_all()
    page = site.client.get(site.url(Score, "create")).text
    assert "At least 0 and at most 100." in page
    assert '<option value="high">' in page
    data = {"points": "101", "level": "mid", "nick": "ab"}
    response = site.client.post(site.url(Score, "create"), data=data)
    assert {key for key, _ in errors(response.text)} == {"points", "level", "nick"}
    data = {"points": "100", "level": "low", "nick": "abc"}
    assert site.client.post(site.url(Score, "create"), data=data).status_code == 302


# EXCLUDE


class OwnBase(orm.DeclarativeBase):
    pass


class Room(OwnBase):
    __tablename__ = "rooms"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)


class Booking(OwnBase):
    """Of one room there is one booking at a time, unless it is cancelled; of feasts one."""

    __tablename__ = "bookings"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    code: orm.Mapped[str] = orm.mapped_column(unique=True)
    room_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("rooms.id"))
    room: orm.Mapped[Room] = orm.relationship()
    during = orm.mapped_column(pg.DATERANGE)
    is_cancelled: orm.Mapped[bool] = orm.mapped_column(default=False)
    feast_from = orm.mapped_column(sa.Date)
    feast_to = orm.mapped_column(sa.Date)
    __table_args__ = (
        pg.ExcludeConstraint(
            # Numbers alone cannot be part of such an index without an extension.
            (sa.literal_column("int4range(room_id, room_id, '[]')"), "="),
            ("during", "&&"),
            where=sa.text("NOT is_cancelled"),
            name="one_booking_a_room",
        ),
        pg.ExcludeConstraint(
            (sa.func.daterange(sa.Column("feast_from"), sa.Column("feast_to"), "[]"), "&&"),
        ),
    )


TAKEN = {"code": "A", "room": "1", "during": "[2026-01-01,2026-01-05)"}
FEAST = {"feast_from": "2026-05-01", "feast_to": "2026-05-03"}


@pytest.fixture
def bookings(postgresql_url):
    site = Site(postgresql_url, OwnBase).create_all().register_all()
    with site.session() as session:
        session.add_all([Room(), Room()])
        session.commit()
    made = site.client.post(site.url(Booking, "create"), data={**TAKEN, **FEAST})
    assert made.status_code == 302, made.text
    return site


def test_what_an_exclusion_forbids_is_told_with_the_other_rules(bookings):
    data = {**TAKEN, **FEAST, "during": "[2026-01-04,2026-01-09)", "feast_from": "2026-05-02"}
    response = bookings.client.post(bookings.url(Booking, "create"), data=data)
    assert errors(response.text) == [
        ("code", "Another row already has this value."),
        ("during", "This overlaps with another row that has the same room."),
        ("feast_from", "This overlaps with another row."),
    ]


@pytest.mark.parametrize(
    "other", [{"room": "2"}, {"is_cancelled": "y"}, {"during": "[2026-01-05,2026-01-06)"}]
)
def test_an_exclusion_lets_every_other_row_in(bookings, other):
    feast = {"feast_from": "2027-05-01", "feast_to": "2027-05-03"}
    data = {**TAKEN, **feast, "code": "B", **other}
    assert bookings.client.post(bookings.url(Booking, "create"), data=data).status_code == 302
    url = bookings.url(Booking, "edit", identity=(1,))
    assert bookings.client.post(url, data={"during": "[2026-01-02,2026-01-05)"}).status_code == 302


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"during": "[2026-01-04,)", "feast_from": "2027-05-03"}, ["during"]),
        ({"during": None, "feast_from": "2026-05-03", "feast_to": "2026-05-09"}, ["feast_from"]),
    ],
)
def test_an_exclusion_that_only_the_database_sees_is_told_at_its_field(bookings, values, fields):
    row = {"code": "B", "room_id": 1, "is_cancelled": False, **values}
    with bookings.session() as session, pytest.raises(sa.exc.IntegrityError) as raised:
        session.execute(sa.insert(Booking), [row])
    refusal = changes.explain(raised.value, sa.inspect(Booking))
    assert list(refusal.fields) == fields


def test_the_exclusions_of_a_database_without_models_are_told_as_well(bookings):
    classes = {c.__name__: c for c in reflection.reflect(bookings.engine).classes}
    mapper = sa.inspect(classes["Booking"])
    values = {"room_id": 1, "is_cancelled": False, "feast_from": None, "feast_to": None}
    values["during"] = pg.Range(date(2026, 1, 4), None)
    with bookings.session() as session:
        found = constraints.objections_to(session, mapper, values, {"during"})
    assert found == {"during": ["This overlaps with another row that has the same room."]}
