"""The rules of a table are told at the fields they concern, several at once, on both databases."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from sqlalchemy import orm


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
    assert "Another row already has this shelf id and place." in response.text
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
