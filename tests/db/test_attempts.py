"""Saves that the database gives up because two of them wait for each other are done again."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView
from tests.db.conftest import Site


class Base(orm.DeclarativeBase):
    pass


class Parcel(Base):
    __tablename__ = "parcel"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    weight: orm.Mapped[int]


class Meeting:
    """A hook that goes on to parcel 2 when another transaction, which has that, waits for 1."""

    def __init__(self, times):
        self.times = times
        self.calls = self.told = 0
        self.threads = []

    def meet(self, session):
        self.calls += 1
        if self.calls > self.times:
            return
        session.execute(sa.text("SET LOCAL deadlock_timeout = '400ms'"))
        session.execute(sa.update(Parcel).where(Parcel.id == 1).values(weight=0))
        self.threads.append(threading.Thread(target=self.other, args=(session.get_bind(),)))
        holds = self.holds = threading.Event()
        self.threads[-1].start()
        holds.wait(5)
        session.execute(sa.update(Parcel).where(Parcel.id == 2).values(weight=0))

    def other(self, engine):
        with engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL deadlock_timeout = '20s'"))
            connection.execute(sa.update(Parcel).where(Parcel.id == 2).values(weight=7))
            self.holds.set()
            connection.execute(sa.update(Parcel).where(Parcel.id == 1).values(weight=7))


@pytest.fixture
def save(postgresql_url):
    def save(times):
        meeting = Meeting(times)

        class View(ModelView):
            def on_model_change(self, form, model, is_created):
                meeting.meet(self.get_session())

            def after_model_change(self, form, model, is_created):
                meeting.told += 1

        site = Site(postgresql_url, Base, history=True).create_all()
        site.register_all(views={Parcel: View})
        with site.session() as session:
            session.add_all([Parcel(id=n, name="a", weight=n) for n in (1, 2)])
            session.commit()
        answer = site.client.post(site.url(Parcel, "edit", id=1), data={"name": "b"})
        for thread in meeting.threads:
            thread.join()
        with site.session() as session:
            rows = session.execute(sa.select(Parcel.name, Parcel.weight).order_by(Parcel.id))
            return answer, meeting, [tuple(row) for row in rows]

    return save


@pytest.mark.postgresql
def test_a_save_that_was_given_up_for_another_is_done_again(save):
    answer, meeting, rows = save(1)
    assert answer.status_code == 302, answer.text
    assert (meeting.calls, meeting.told) == (2, 1)
    assert rows == [("b", 7), ("a", 7)]


@pytest.mark.postgresql
def test_a_save_that_others_stand_in_the_way_of_for_good_is_refused_in_words(save):
    answer, meeting, rows = save(9)
    assert answer.status_code == 400
    assert "Somebody else is changing the same rows just now" in answer.text
    assert (meeting.calls, meeting.told) == (3, 0)
    assert rows[0] == ("a", 7)
