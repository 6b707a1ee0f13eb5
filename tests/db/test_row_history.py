"""One row through time: each version of it, the way back to one, and to one field of one."""

from __future__ import annotations

import datetime as dt
import html
import re
import uuid

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, Policy, row_history
from admin_app.changes import ChangeSetRecord


class Base(orm.DeclarativeBase):
    pass


part_label = sa.Table(
    "part_label",
    Base.metadata,
    sa.Column("label_id", sa.ForeignKey("label.id"), primary_key=True),
    sa.Column("part_id", sa.ForeignKey("part.id"), primary_key=True),
)


class Part(Base):
    __tablename__ = "part"
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(sa.Uuid, primary_key=True)
    name: orm.Mapped[str]
    price: orm.Mapped[int]
    password: orm.Mapped[str | None]
    kind: orm.Mapped[str] = orm.mapped_column(default="part")
    labels: orm.Mapped[list[Label]] = orm.relationship(secondary=part_label)
    version = orm.mapped_column(sa.Integer, nullable=False)
    __mapper_args__ = {
        "polymorphic_on": "kind",
        "polymorphic_identity": "part",
        "version_id_col": version,
    }

    def __str__(self) -> str:
        return self.name


class Wheel(Part):
    __tablename__ = "wheel"
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(sa.ForeignKey("part.id"), primary_key=True)
    spokes: orm.Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "wheel"}


class Label(Base):
    __tablename__ = "label"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]

    def __str__(self) -> str:
        return self.name


class Door(Base):
    __tablename__ = "door"
    api_key: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


KEY = uuid.UUID(int=7)


class PartView(ModelView):
    form_columns = ("id", "name", "price", "password")


@pytest.fixture
def site(make_site):
    return opened(make_site)


def opened(make_site, view=PartView):
    site = make_site(Base, history=True).register_all({Part: view})
    site.client.post(
        site.url(Part, "create"), data={"id": str(KEY), "name": "A", "price": "1", "password": "x"}
    )
    save(site, name="B")
    save(site, name="C", price="3", password="y")
    return site


def save(site, **data):
    response = site.client.post(site.url(Part, "edit", id=KEY), data=data)
    assert response.status_code == 302, response.text


def get(site, **more):
    return site.client.get("/admin/history/row/", query_string={"of": "part", "id": KEY, **more})


def text_of(response):
    assert response.status_code == 200, response.text
    text = re.sub(r"<[^>]+>", " ", response.text.split("<main")[1])
    return re.sub(r"\s+", " ", html.unescape(text))


def review(site, url):
    """What the review at ``url`` shows, and the answer when it is applied."""
    shown = site.client.post(url, data={"_review": "1"})
    token = re.search(r'name="_reviewed" value="([^"]+)"', shown.text)
    data = {"_reviewed": token and token[1], "_reason": "asked"}
    return shown, site.client.post(url, data=data, follow_redirects=True) if token else None


def fields(site, page):
    """The addresses that set fields back, by change and column."""
    urls = [html.unescape(u) for u in re.findall(r'formaction="([^"]+)"', page.text)]
    return {tuple(re.search(r"id=(\d+)&column=(\w+)", u).groups()): u for u in urls}


def row(site):
    with site.engine.connect() as connection:
        return connection.execute(sa.select(Part.name, Part.price)).one_or_none()


def test_a_field_is_set_back_to_what_it_was_before_a_change(site):
    urls = fields(site, get(site))
    # A secret, and the number of the version, cannot be set back.
    assert set(urls) == {("2", "name"), ("3", "name"), ("3", "price")}
    shown, answer = review(site, urls["3", "price"])
    assert "This will change 1 part" in shown.text
    assert "<del>3</del>" in shown.text
    assert "<ins>1</ins>" in shown.text
    assert "was changed since" not in shown.text
    assert "Price of C is set back" in answer.text
    assert row(site) == ("C", 1)
    assert "Revert of a field" in text_of(get(site))
    undo = re.search(r'href="(/admin/history/undo/\?id=\d+)"', answer.text)[1]
    site.client.post(undo)
    assert row(site) == ("C", 3)


def test_a_field_that_was_changed_since_is_set_back_by_who_knows_it(site):
    shown, _ = review(site, fields(site, get(site))["2", "name"])
    assert "Name was changed since, by Open access on" in text_of(shown)
    assert "that change left it as B, it is C now." in text_of(shown)
    assert row(site) == ("A", 3)


def test_a_key_is_told_as_it_is_everywhere(site):
    assert f"Part {KEY}" in text_of(get(site))
    assert f'id={KEY}"' in get(site).text


def test_each_version_of_a_row_is_shown_whole(site):
    assert "Name A now C Price 1 now 3" in text_of(get(site, at=1))
    assert "Name B now C Price 1 now 3" in text_of(get(site, at=2))
    assert "Name C Price 3" in text_of(get(site, at=3))
    assert "It is the same now" in text_of(get(site, at=3))
    assert "was not there" in text_of(get(site, at="2001-01-01T10:00"))
    assert "Stays as it is, if you bring this version back: Password" in text_of(get(site, at=1))
    assert {get(site, at=wrong).status_code for wrong in ("99", "soon")} == {400, 404}


def test_a_moment_shows_the_row_as_it_was_then(site):
    with site.engine.begin() as connection:
        for number in (1, 2, 3):
            at = dt.datetime(2020, number, 1, 12, tzinfo=dt.UTC)
            record = sa.update(ChangeSetRecord).where(ChangeSetRecord.id == number)
            connection.execute(record.values(at=at))
    assert "Name B now C" in text_of(get(site, at="2020-02-15T00:00"))
    assert "Name A now C" in text_of(get(site, at="2020-02-01T12:30+01:00"))


def test_a_version_is_brought_back_in_one_change(site):
    shown, answer = review(site, f"/admin/history/restore/?of=part&id={KEY}&at=1")
    assert "This will change 1 part" in shown.text
    assert "C is as it was again" in answer.text
    assert row(site) == ("A", 1)
    assert "Earlier version" in text_of(get(site))


def test_a_deleted_row_of_several_tables_is_brought_back(site):
    key = uuid.UUID(int=8)
    with (
        site.session() as session,
        site.app.app_context(),
        site.admin.change_set(model=Part) as own,
    ):
        own.session.add(Wheel(id=key, name="W", price=1, spokes=36))
    site.client.post(site.url(Wheel, "delete"), data={"id": key})
    with site.session() as session:
        assert session.get(Wheel, key) is None
    page = get(site, id=key, at=5)
    assert "found it on" in text_of(page)
    assert "does not reach" not in text_of(page)
    assert "Spokes 36" in text_of(page)
    url = html.unescape(re.search(r'action="([^"]*restore[^"]*)"', page.text)[1])
    _, answer = review(site, url)
    assert "is as it was again" in answer.text
    with site.session() as session:
        assert session.get(Wheel, key).spokes == 36


def test_what_changed_without_the_history_is_told(site):
    with site.engine.begin() as connection:
        connection.execute(sa.update(Part).values(name="Z"))
    assert "unsure" not in text_of(get(site, at=1))
    assert "Name unsure Z" in text_of(get(site, at="2999-01-01T00:00"))
    with site.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM admin_row_change WHERE change_set_id < 3"))
    page = text_of(get(site, at=1))
    assert "does not reach back so far" in page
    assert "Name B now Z" in page


def test_the_history_of_a_row_tells_of_its_ties_and_is_paged(site, monkeypatch):
    with site.app.app_context(), site.admin.change_set(model=Part) as own:
        own.session.get(Part, KEY).labels = [Label(id=1, name="Red"), Label(id=12, name="Blue")]
    with site.app.app_context(), site.admin.change_set(model=Part) as own:
        own.session.add(
            Part(id=uuid.UUID(int=9), name="D", price=1, labels=[Label(id=2, name="L")])
        )
    text = text_of(get(site))
    assert text.count("Label Red") == text.count("Label Blue") == 1
    assert "Label L " not in text
    monkeypatch.setattr(row_history, "SHOWN", 3)
    page = get(site)
    older = html.unescape(re.search(r'href="([^"]*before=[^"]*)"', page.text)[1])
    texts = [text_of(page), text_of(site.client.get(older))]
    assert [t.count("Whole change") for t in texts] == [3, 2]


class Narrow(Policy):
    """Parts may be changed, but not their prices, and none may become cheap or be added."""

    def may(self, principal, action, model=None, column=None):
        return action != "add" and (action, column) != ("change", "price")

    def rows(self, principal, action, model):
        return Part.name != "A" if model is Part and action == "change" else None


def test_a_row_that_is_known_by_a_secret_has_its_versions_too(make_site):
    site = make_site(Base, history=True).register_all()
    for name in ("one", "two"):
        page = "edit" if name == "two" else "create"
        values = {"id": "t0p"} if name == "two" else {}
        data = {"api_key": "t0p", "name": name}
        assert site.client.post(site.url(Door, page, **values), data=data).status_code == 302
    site.client.post(site.url(Door, "delete"), data={"id": "t0p"})
    assert "Name one" in text_of(get(site, of="door", id="t0p", at=1))
    assert "restore" not in get(site, of="door", id="t0p", at=1).text
    assert site.client.post("/admin/history/restore/?of=door&id=t0p&at=1").status_code == 303


def test_setting_back_asks_the_policy(site):
    urls = fields(site, get(site))
    site.admin.policy = Narrow()
    assert set(fields(site, get(site))) == {("2", "name"), ("3", "name")}
    assert site.client.post(urls["3", "price"]).status_code == 403
    assert "out of your reach" in site.client.post(urls["2", "name"], follow_redirects=True).text
    assert row(site) == ("C", 3)
    assert re.findall(r"version back: ([^.]+)", text_of(get(site, at=1))) == ["Price, Password"]
    with site.session() as session:
        session.delete(session.get(Part, KEY))
        session.commit()
    assert "Bring this version back" not in get(site, at=1).text
    url = f"/admin/history/restore/?of=part&id={KEY}&at=1"
    assert site.client.post(url).status_code == 403


def test_a_reason_is_asked_for_in_the_review(make_site):
    view = type("Asking", (PartView,), {"change_reason": "optional"})
    site = opened(make_site, view=view)
    type(site.admin.view_for(Part)).change_reason = "required"
    url = fields(site, get(site))["3", "name"]
    shown, answer = review(site, url)
    assert 'name="_reason"' in shown.text
    assert "is set back" in answer.text
    assert "asked" in text_of(get(site))
    token = re.search(r'name="_reviewed" value="([^"]+)"', review(site, url)[0].text)
    assert token is None or "Say why" in site.client.post(url, data={"_reviewed": token[1]}).text
