"""Two people at one row: nothing that one of them saved is overwritten unseen by the other."""

from __future__ import annotations

import enum
import re
import threading

import flask
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, Principal
from admin_app.changes import ChangeSetRecord, versions
from admin_app.conflicts import CHOICE
from tests.db.conftest import Site


class Base(orm.DeclarativeBase):
    pass


class Status(enum.Enum):
    building = "building"
    sailing = "sailing"
    sunk = "sunk"


crew = sa.Table(
    "crew",
    Base.metadata,
    sa.Column("ship_id", sa.ForeignKey("ship.id"), primary_key=True),
    sa.Column("sailor_id", sa.ForeignKey("sailor.id"), primary_key=True),
)


class Sailor(Base):
    __tablename__ = "sailor"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]

    def __str__(self) -> str:
        return self.name


class Ship(Base):
    __tablename__ = "ship"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    status: orm.Mapped[Status | None]
    is_leased: orm.Mapped[bool] = orm.mapped_column(default=False)
    tonnage: orm.Mapped[float | None]
    log: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    password: orm.Mapped[str | None]
    hidden: orm.Mapped[str | None]
    captain_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("sailor.id"))
    version: orm.Mapped[int] = orm.mapped_column()

    captain: orm.Mapped[Sailor | None] = orm.relationship()
    sailors: orm.Mapped[list[Sailor]] = orm.relationship(secondary=crew)

    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class Port(Base):
    __tablename__ = "port"

    country: orm.Mapped[str] = orm.mapped_column(sa.String(2), primary_key=True)
    code: orm.Mapped[str] = orm.mapped_column(sa.String(3), primary_key=True)
    name: orm.Mapped[str]


class ShipView(ModelView):
    column_editable_list = ("name",)
    form_excluded_columns = ("hidden",)


def fill(session):
    sailors = [Sailor(id=n, name=name) for n, name in enumerate(("Ana", "Bo", "Cem", "Dan"), 1)]
    ship = Ship(
        id=7, name="Freja", status=Status.building, log="A calm day.", password="old", hidden="x"
    )
    ship.captain, ship.sailors = sailors[0], sailors[:2]
    session.add_all([*sailors, ship, Port(country="SE", code="GOT", name="Göteborg")])
    session.commit()


def filled(url, view=ShipView, **options):
    made = Site(url, Base, **options).create_all().register_all({Ship: view})
    with made.session() as session:
        fill(session)
    return made


@pytest.fixture
def site(request):
    return filled(request.getfixturevalue(getattr(request, "param", "sqlite") + "_url"))


on_both = pytest.mark.parametrize(
    "site", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)
"""For what the locks and the types of an engine have a part in."""


class Desk:
    """Somebody with the form of a row open, as a browser holds it."""

    def __init__(self, site, controls, key="7", model=Ship):
        self.site, self.controls = site, controls
        self.url = site.url(model, "edit", id=key)
        self.client = site.client
        self.take(self.client.get(self.url))

    def take(self, response):
        self.html, self.sent = response.text, self.controls(response.text)

    def save(self, code=302, **typed):
        response = self.client.post(self.url, data={**self.sent, **typed})
        assert response.status_code == code, response.text
        if code == 302:
            self.told = self.client.get(response.location).text
        else:
            self.take(response)
        return self

    def choose(self, value, field="name", **kwargs):
        return self.save(**{CHOICE + field: value}, **kwargs)


@pytest.fixture
def desk(site, controls):
    return lambda *args, **kwargs: Desk(site, controls, *args, **kwargs)


def ship(site):
    with site.session() as session:
        found = session.get(Ship, 7)
        return found and {**vars(found), "crew": members(found)}


def members(found):
    return sorted(sailor.name for sailor in found.sailors)


def write(site, **values):
    with site.session() as session:
        found = session.get(Ship, 7)
        for name, value in values.items():
            setattr(found, name, value)
        session.commit()


@on_both
def test_fields_that_do_not_collide_are_both_kept_and_it_is_told(site, desk):
    mine, other = desk(), desk()
    other.save(status="sunk")
    mine.save(name="Freja II")
    assert (ship(site)["name"], ship(site)["status"]) == ("Freja II", Status.sunk)
    assert "Somebody else changed “Status” meanwhile. That is kept." in mine.told


@on_both
def test_a_form_saved_untouched_writes_nothing_over_what_others_wrote(site, desk, statements):
    mine = desk()
    write(site, name="Theirs", log="Storm.", is_leased=True, tonnage=3.5, password="new")
    with statements(site.engine) as seen:
        mine.save()
    assert not [s for s in seen if s.startswith("UPDATE")]
    assert "“Name”, “Is leased”, “Tonnage”, “Log” and “Password” meanwhile" in mine.told


def test_a_field_that_both_changed_is_not_saved_before_it_is_chosen(site, desk):
    mine = desk()
    write(site, name="Theirs")
    mine.save(409, name="Mine", tonnage="5")
    assert (ship(site)["name"], ship(site)["tonnage"]) == ("Theirs", None)
    assert mine.sent["name"] == ["Mine"]
    assert "Somebody else changed this meanwhile. Choose which value stays." in mine.html
    for value in ("Theirs", "Mine", "Freja"):
        assert f'<div class="prose">{value}</div>' in mine.html


@on_both
def test_the_value_that_is_chosen_stays(site, desk):
    for choice, name in [("yours", "Mine"), ("theirs", "Theirs"), ("base", "Freja")]:
        write(site, name="Freja", tonnage=None)
        mine = desk()
        write(site, name="Theirs")
        mine.save(409, name="Mine", tonnage="5").choose(choice)
        assert (ship(site)["name"], ship(site)["tonnage"]) == (name, 5)


def test_what_is_typed_into_the_field_while_choosing_counts_as_yours(site, desk):
    mine = desk()
    write(site, name="Theirs")
    mine.save(409, name="Mine").choose("yours", name="Both")
    assert ship(site)["name"] == "Both"


def test_without_a_choice_it_is_asked_again_with_the_same_values(site, desk):
    mine = desk()
    write(site, name="Theirs")
    mine.save(409, name="Mine").save(409)
    assert ship(site)["name"] == "Theirs"
    assert '<div class="prose">Freja</div>' in mine.html


def test_a_change_made_while_one_chooses_is_asked_about_anew(site, desk):
    mine = desk()
    write(site, name="Theirs")
    mine.save(409, name="Mine")
    write(site, name="Theirs again")
    mine.choose("yours", code=409)
    assert '<div class="prose">Theirs again</div>' in mine.html
    assert ship(site)["name"] == "Theirs again"


def test_both_having_typed_the_same_is_no_conflict(site, desk):
    mine = desk()
    write(site, name="Same")
    assert "meanwhile" not in mine.save(name="Same").told


def test_errors_of_other_fields_are_told_beside(site, desk):
    mine = desk()
    write(site, name="Theirs")
    mine.save(409, name="Mine", tonnage="much")
    assert "2 fields need another look" in mine.html


def test_a_field_that_others_changed_shows_that_when_the_form_comes_back(site, desk):
    mine = desk()
    write(site, name="Theirs")
    mine.save(400, tonnage="much")
    assert mine.sent["name"] == ["Theirs"]
    assert "Somebody else changed “Name” meanwhile. That is kept." in mine.html
    mine.save(tonnage="4")
    assert (ship(site)["name"], ship(site)["tonnage"]) == ("Theirs", 4)


def test_of_a_long_text_the_words_are_marked_that_differ(site, desk):
    text = "The wind was fair and the sea was calm, all day long, and nobody saw a sail. " * 2
    write(site, log=text)
    mine = desk()
    write(site, log=text.replace("fair", "foul", 1))
    mine.save(409, log=text.replace("calm", "rough", 1))
    assert "<ins>foul</ins>" in mine.html
    assert "<ins>rough" in mine.html


def test_a_text_too_long_to_be_carried_is_compared_all_the_same(site, desk):
    text = "x" * 5_000
    write(site, log=text)
    mine = desk()
    assert len(mine.sent["_form_base"][0]) < 1_500
    write(site, log=text + "y")
    mine.save(name="Mine")
    assert (ship(site)["name"], ship(site)["log"]) == ("Mine", text + "y")
    write(site, log=text + "z")
    mine.save(409, log="short")
    assert 'value="base"' not in mine.html


def test_a_picked_row_is_named_on_every_side(site, desk):
    mine = desk()
    write(site, captain_id=2)
    mine.save(409, captain="3")
    for name in ("Ana", "Bo", "Cem"):
        assert f'<div class="prose">{name}</div>' in mine.html
    mine.choose("base", "captain")
    assert ship(site)["captain_id"] == 1


@on_both
def test_members_that_both_added_and_removed_go_together(site, desk):
    mine, other = desk(), desk()
    other.save(sailors="2,3")
    mine.save(sailors="1,2,4")
    assert ship(site)["crew"] == ["Bo", "Cem", "Dan"]
    assert "“Sailors” meanwhile" in mine.told


def test_a_secret_is_compared_and_never_shown(site, desk):
    mine = desk()
    write(site, password="theirs-1")
    mine.save(409, password="mine-1")
    assert "theirs-1" not in mine.html
    assert 'value="base"' not in mine.html
    mine.choose("theirs", "password")
    assert ship(site)["password"] == "theirs-1"


def test_a_change_in_what_the_form_does_not_show_is_told(site, desk):
    mine = desk()
    write(site, hidden="y")
    assert "in what the form does not show" in mine.save(name="Mine").told


def test_a_form_costs_no_further_statement(site, statements, desk):
    with statements(site.engine) as seen:
        desk()
    assert not [s for s in seen if "admin_" in s]
    assert len(seen) <= 2, seen


def test_a_script_that_does_not_say_what_it_saw_is_taken_by_its_word(site):
    response = site.client.post(site.url(Ship, "edit", id=7), data={"name": "By script"})
    assert response.status_code == 302
    assert ship(site)["name"] == "By script"


@pytest.mark.parametrize("forged", ["x", "e30.abc", "\u20ac"])
def test_a_form_that_tells_nothing_readable_asks_about_all_that_it_would_change(site, desk, forged):
    mine = desk()
    mine.sent["_form_base"] = forged
    mine.save(409, name="Mine")
    assert ship(site)["name"] == "Freja"
    mine.choose("yours")
    assert ship(site)["name"] == "Mine"


def test_what_the_form_of_another_row_had_shown_means_nothing(site, desk):
    with site.session() as session:
        session.add(Ship(id=8, name="Other"))
        session.commit()
    mine, other = desk(), desk("8")
    mine.sent["_form_base"] = other.sent["_form_base"]
    mine.save(409, name="Mine")


@on_both
def test_a_row_deleted_meanwhile_is_told_and_made_again_with_its_key(site, desk):
    mine = desk()
    with site.session() as session:
        session.delete(session.get(Ship, 7))
        session.commit()
    mine.save(409, name="Mine", sailors="2,3")
    assert "“Freja” was deleted meanwhile." in mine.html.replace("&#34;", '"')
    action = re.search(r'id="record-form" method="post" action="([^"]*)"', mine.html)[1]
    response = site.client.post(action.replace("&amp;", "&"), data=mine.sent)
    assert response.status_code == 302, response.text
    assert (ship(site)["name"], ship(site)["crew"]) == ("Mine", ["Bo", "Cem"])


def test_a_row_with_a_key_of_its_own_is_made_again_under_it(site, controls):
    mine = Desk(site, controls, "SE,GOT", Port)
    with site.session() as session:
        session.execute(sa.delete(Port))
        session.commit()
    mine.save(409, name="Gothenburg")
    assert (mine.sent["country"], mine.sent["code"]) == (["SE"], ["GOT"])


def test_a_deleted_row_without_its_form_answers_404(site):
    assert site.client.post(site.url(Ship, "edit", id=70), data={"name": "x"}).status_code == 404


def test_who_may_not_create_is_told_that_the_row_is_gone(site, controls, monkeypatch):
    mine = Desk(site, controls)
    with site.session() as session:
        session.delete(session.get(Ship, 7))
        session.commit()
    monkeypatch.setattr(ShipView, "can_create", False)
    response = mine.client.post(mine.url, data=mine.sent)
    assert response.status_code == 404
    assert "“Freja” was deleted meanwhile. Nothing was saved." in response.text


@on_both
def test_of_two_saves_at_one_moment_the_second_is_asked(site, desk):
    desks = [desk() for _ in range(4)]
    gate = threading.Barrier(4)
    answers = []

    def save(number):
        gate.wait()
        one = desks[number]
        sent = {**one.sent, "name": f"Name {number}"}
        answers.append(one.client.post(one.url, data=sent).status_code)

    threads = [threading.Thread(target=save, args=[n]) for n in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(answers) == [302, 409, 409, 409]


def test_a_version_that_moves_between_reading_and_writing_is_read_again(database_url, controls):
    class Raced(ModelView):
        races = 0

        def on_model_change(self, form, model, is_created):
            Raced.races += 1
            if Raced.races == 1:
                bump = sa.update(Ship.__table__).values(version=Ship.__table__.c.version + 1)
                self.get_session().connection().execute(bump)

    site = filled(database_url, Raced)
    Desk(site, controls).save(name="Mine")
    assert (Raced.races, ship(site)["name"]) == (2, "Mine")


def test_a_version_that_moves_each_time_is_given_up_in_words(sqlite_url, controls):
    class Raced(ModelView):
        def on_model_change(self, form, model, is_created):
            bump = sa.update(Ship.__table__).values(version=Ship.__table__.c.version + 1)
            self.get_session().connection().execute(bump)

    site = filled(sqlite_url, Raced)
    mine = Desk(site, controls).save(400, name="Mine")
    assert "Somebody else changed or deleted this row" in mine.html
    assert ship(site)["name"] == "Freja"


def test_members_of_both_sides_are_merged():
    assert versions.merged(["a", "b"], ["b", "c"], ["a", "b", "d"]) == ["b", "c", "d"]
    assert versions.merged(["a"], ["a", "b"], []) == ["b"]


class Header:
    """A sign-in by a header, so that two people can be at one site."""

    def init_app(self, app, admin):
        pass

    def identify(self):
        name = flask.request.headers.get("X-User", "ana")
        return Principal(name, name.title(), is_staff=True)

    def sign_in_url(self, next_url):
        return None

    def sign_out_url(self):
        return None


@pytest.fixture
def recorded(sqlite_url):
    return filled(sqlite_url, history=True, sign_in=Header())


BRUNO = {"X-User": "bruno"}


def test_who_changed_a_field_and_when_is_told_from_the_history(recorded, controls):
    mine = Desk(recorded, controls)
    recorded.client.post(mine.url, data={"name": "Theirs", "log": "Storm."}, headers=BRUNO)
    mine.save(409, name="Mine")
    assert "Bruno changed this meanwhile. Choose which value stays." in mine.html
    assert re.search(r'class="conflict-who">Bruno <small><time', mine.html)
    assert "Bruno changed “Log” meanwhile. That is kept." in mine.html


def test_what_one_changed_in_another_window_is_called_so(recorded, controls):
    mine, other = Desk(recorded, controls), Desk(recorded, controls)
    other.save(log="Storm.")
    assert "You, in another window, changed “Log” meanwhile." in mine.save(name="Mine").told


def test_who_deleted_a_row_is_told_with_the_way_to_undo_it(recorded, controls):
    mine = Desk(recorded, controls)
    recorded.client.post(recorded.url(Ship, "delete"), data={"id": "7"}, headers=BRUNO)
    mine.save(409, name="Mine")
    assert "“Freja” was deleted meanwhile by Bruno." in mine.html
    assert re.search(r'href="/admin/history/undo/\?id=\d+"', mine.html)


def test_a_text_too_long_to_be_carried_comes_from_the_history(recorded, controls):
    text = "x" * 5_000
    Desk(recorded, controls).save(log=text)
    mine, other = Desk(recorded, controls), Desk(recorded, controls)
    other.save(log="theirs")
    mine.save(409, log="mine").choose("base", "log")
    assert ship(recorded)["log"] == text


def test_an_undo_goes_on_counting_versions(recorded, controls):
    Desk(recorded, controls).save(log="Storm.")
    Desk(recorded, controls).save(name="Mine")
    first = ship(recorded)["version"]
    with recorded.session() as session:
        number = session.scalar(sa.select(sa.func.min(ChangeSetRecord.id)))
    response = recorded.client.post(f"/admin/history/undo/?id={number}")
    assert response.status_code == 303
    after = ship(recorded)
    assert (after["log"], after["name"], after["version"]) == ("A calm day.", "Mine", first + 1)


def test_a_cell_says_who_changed_it_and_to_what(recorded, controls):
    url = recorded.url(Ship) + "cell/?column=name&id=7"
    sent = controls(recorded.client.get(url).text)
    recorded.client.post(recorded.url(Ship, "edit", id=7), data={"name": "Theirs"}, headers=BRUNO)
    answer = recorded.client.post(url, data={**sent, "cell-name": "Mine"})
    assert answer.status_code == 409
    assert "Bruno has changed this meanwhile, to “Theirs”. Save again" in answer.text


def test_a_review_of_a_stale_form_asks_first(site, desk):
    mine = desk()
    write(site, name="Theirs")
    mine.save(409, name="Mine", _review="1")
    mine.choose("yours", code=200, _review="1")
    assert ship(site)["name"] == "Theirs"


def test_nobody_is_named_where_everybody_is_the_same(sqlite_url, controls):
    site = filled(sqlite_url, history=True)
    mine = Desk(site, controls)
    site.client.post(mine.url, data={"log": "Storm."})
    assert "Somebody else changed “Log” meanwhile." in mine.save(name="Mine").told
