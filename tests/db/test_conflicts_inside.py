"""Two people at one row, in what a form shows beside single values: inline rows and files."""

from __future__ import annotations

import io

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView
from admin_app.conflicts import CHOICE
from tests.db.conftest import Site


class Base(orm.DeclarativeBase):
    pass


class Box(Base):
    __tablename__ = "box"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    picture: orm.Mapped[bytes | None]
    things: orm.Mapped[list[Thing]] = orm.relationship(
        back_populates="box", cascade="all, delete-orphan", order_by="Thing.id"
    )


class Thing(Base):
    __tablename__ = "thing"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    color: orm.Mapped[str]
    box_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("box.id"))
    box: orm.Mapped[Box] = orm.relationship(back_populates="things")


class BoxView(ModelView):
    inline_models = (Thing,)


@pytest.fixture
def site(database_url):
    site = Site(database_url, Base, history=True).create_all().register_all({Box: BoxView})
    with site.session() as session:
        things = [Thing(id=n, name=name, color="red") for n, name in enumerate("abc", 1)]
        session.add(Box(id=1, name="First", picture=b"old", things=things))
        session.commit()
    return site


@pytest.fixture
def opened(site, controls):
    """Opens the form of the box: what it would send."""
    return lambda: controls(site.client.get(site.url(Box, "edit", id=1)).text)


def save(site, form, **typed):
    given = {name.replace("__", "-"): value for name, value in typed.items()}
    return site.client.post(site.url(Box, "edit", id=1), data={**form, **given})


def change(site, statement):
    with site.session() as session:
        session.execute(statement)
        session.commit()


def things(site):
    with site.session() as session:
        return [
            tuple(t) for t in session.execute(sa.select(Thing.name, Thing.color).order_by(Thing.id))
        ]


def test_what_two_change_in_different_fields_of_an_inline_row_is_kept_of_both(site, opened):
    form = opened()
    change(site, sa.update(Thing).where(Thing.id == 2).values(color="blue"))
    assert save(site, form, things__1__name="B").status_code == 302
    assert things(site) == [("a", "red"), ("B", "blue"), ("c", "red")]


def test_a_field_of_an_inline_row_that_both_changed_is_asked_about(site, opened, controls):
    form = opened()
    change(site, sa.update(Thing).where(Thing.id == 2).values(name="theirs"))
    page = save(site, form, things__1__name="yours")
    assert page.status_code == 409
    assert f'name="{CHOICE}things-1-name"' in page.text
    assert things(site)[1] == ("theirs", "red")
    again = {**controls(page.text), CHOICE + "things-1-name": "yours"}
    assert save(site, again).status_code == 302
    assert things(site)[1] == ("yours", "red")


def test_inline_rows_are_taken_by_their_key_when_one_before_them_is_gone(site, opened):
    """By their order the second would be compared with the third, and its change be lost."""
    form = opened()
    change(site, sa.delete(Thing).where(Thing.id == 1))
    assert save(site, form, things__1__name="c", **{"del-things-0": "on"}).status_code == 302
    assert things(site) == [("c", "red"), ("c", "red")]


def test_an_inline_row_that_somebody_else_deleted_is_not_made_anew(site, opened):
    form = opened()
    change(site, sa.delete(Thing).where(Thing.id == 2))
    page = save(site, form, things__1__name="B")
    assert page.status_code == 400
    assert "Somebody else deleted this row meanwhile." in page.text
    assert things(site) == [("a", "red"), ("c", "red")]


def test_an_inline_row_that_was_changed_is_not_removed_before_that_was_seen(site, opened, controls):
    form = opened()
    change(site, sa.update(Thing).where(Thing.id == 2).values(name="theirs"))
    page = save(site, form, **{"del-things-1": "on"})
    assert page.status_code == 409
    again = {**controls(page.text), "del-things-1": "on"}
    assert save(site, again).status_code == 302
    assert things(site) == [("a", "red"), ("c", "red")]


def test_a_file_of_the_same_size_that_somebody_else_sent_is_not_overwritten_unseen(site, opened):
    form = opened()
    change(site, sa.update(Box).values(picture=b"new"))
    page = save(site, form, picture=(io.BytesIO(b"own"), "own.bin"))
    assert page.status_code == 409
    with site.session() as session:
        assert session.get(Box, 1).picture == b"new"
