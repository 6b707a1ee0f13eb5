"""What a database holds and Python has no value for: every page shows it, and a form keeps it."""

from __future__ import annotations

import csv
import enum
import html
import io
import re

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.mutable import MutableDict, MutableList

from admin_app import ModelView, as_stored
from tests.db.conftest import Site


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Lower(sa.types.TypeDecorator):
    """Members of an enum by their names, which one that is not known has not."""

    impl = sa.Enum(Mood, native_enum=False, length=20)
    cache_ok = True

    def process_result_value(self, value, dialect):
        return None if value is None else value.name.lower()

    def process_bind_param(self, value, dialect):
        return None if value is None else Mood[value.upper()]


class Copied(sa.types.TypeDecorator):
    """Dicts alone have items."""

    impl = sa.JSON
    cache_ok = True

    def process_result_value(self, value, dialect):
        return None if value is None else dict(value.items())


class Wrapped(sa.types.TypeDecorator):
    """JSON that a program reads by itself."""

    impl = sa.JSON
    cache_ok = True

    def process_result_value(self, value, dialect):
        return value


class Day(sa.types.TypeDecorator):
    """Dates alone have a day to replace."""

    impl = sa.Date
    cache_ok = True

    def process_result_value(self, value, dialect):
        return None if value is None else value.replace(day=1)


class Base(orm.DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str | None]
    json = orm.mapped_column(sa.JSON)
    mutable = orm.mapped_column(MutableDict.as_mutable(sa.JSON))
    members = orm.mapped_column(MutableList.as_mutable(sa.JSON))
    copied = orm.mapped_column(Copied)
    wrapped = orm.mapped_column(MutableDict.as_mutable(Wrapped))
    lower = orm.mapped_column(Lower)
    mood = orm.mapped_column(sa.Enum(Mood, native_enum=False, length=20))
    day = orm.mapped_column(Day)
    date = orm.mapped_column(sa.Date)
    time = orm.mapped_column(sa.Time)
    naive = orm.mapped_column(sa.DateTime)


class Note(Base):
    __tablename__ = "notes"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    thing_id = orm.mapped_column(sa.ForeignKey(Thing.id))
    thing = orm.relationship(Thing, lazy="joined")


class OwnBase(orm.DeclarativeBase):
    pass


class OwnThing(OwnBase):
    __tablename__ = "things"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str | None]
    jsonb = orm.mapped_column(pg.JSONB)
    moods = orm.mapped_column(pg.ARRAY(sa.Enum(Mood, name="mood")))
    texts = orm.mapped_column(pg.ARRAY(sa.Enum(Mood, native_enum=False, length=20)))
    lowers = orm.mapped_column(pg.ARRAY(Lower))
    dates = orm.mapped_column(pg.ARRAY(sa.Date))
    moments = orm.mapped_column(pg.ARRAY(sa.DateTime(timezone=True)))
    naives = orm.mapped_column(pg.ARRAY(sa.DateTime))
    times = orm.mapped_column(pg.ARRAY(sa.Time))
    intervals = orm.mapped_column(pg.ARRAY(pg.INTERVAL))
    documents = orm.mapped_column(pg.ARRAY(pg.JSONB))
    numerics = orm.mapped_column(pg.ARRAY(sa.Numeric))
    days = orm.mapped_column(pg.DATERANGE)
    span = orm.mapped_column(pg.TSTZRANGE)
    naive_span = orm.mapped_column(pg.TSRANGE)
    spans = orm.mapped_column(pg.ARRAY(pg.TSTZRANGE))
    day_set = orm.mapped_column(pg.DATEMULTIRANGE)
    day = orm.mapped_column(Day)


DEEP = '{"a":' * 5000 + "1" + "}" * 5000
WIDE = "[" + "9" * 6000 + "]"
WIDE_OBJECT = '{"a": ' + WIDE + "}"


PORTABLE = [
    ("json", DEEP, "{&#34;a&#34;:"),
    ("mutable", DEEP, "{&#34;a&#34;:"),
    ("copied", DEEP, "{&#34;a&#34;:"),
    ("json", WIDE, "99999"),
    ("mutable", WIDE_OBJECT, "99999"),
    ("copied", WIDE_OBJECT, "99999"),
    ("mutable", "[1, 2.50]", "2.50"),
    ("mutable", "11", "11"),
    ("mutable", '"a text"', "a text"),
    ("members", '{"a": 2.50}', "2.50"),
    ("wrapped", "[1, 2]", "[1, 2]"),
    ("wrapped", DEEP, "{&#34;a&#34;:"),
    ("lower", "LOST", "LOST"),
    ("mood", "LOST", "LOST"),
]
IN_SQLITE = [
    ("json", "{bad", "{bad"),
    ("json", "[NaN]", "NaN"),
    ("date", "0000-00-00", "0000-00-00"),
    ("date", "infinity", "infinity"),
    ("day", "0044-03-15 BC", "0044-03-15 BC"),
    ("time", "24:00", "24:00"),
    ("naive", "0000-00-00 00:00:00", "0000-00-00 00:00:00"),
    ("naive", "", ""),
]
OWN = [
    ("jsonb", DEEP, "{&#34;a&#34;:"),
    ("jsonb", WIDE, "99999"),
    ("moods", "{GOOD,LOST}", "LOST"),
    ("texts", "{GOOD,LOST}", "LOST"),
    ("lowers", "{GOOD,LOST}", "LOST"),
    ("dates", '{"0044-03-15 BC",infinity,2020-01-01}', "0044-03-15 BC"),
    ("moments", '{"0044-03-15 10:00+00 BC",infinity}', "infinity"),
    ("naives", '{-infinity,"20202-01-01 10:00"}', "20202-01-01"),
    ("times", "{24:00}", "24:00"),
    ("intervals", '{"1 year 2 mons"}', "1 year 2 mons"),
    ("documents", "{" + WIDE + "}", "99999"),
    ("numerics", "{1.50,NaN,1e50}", "NaN"),
    ("days", "[0044-03-15 BC,infinity)", "0044-03-15 BC"),
    ("days", "[2020-01-01,infinity)", "infinity"),
    ("span", '["0044-03-15 10:00+00 BC",infinity)', "infinity"),
    ("naive_span", '[-infinity,"20202-01-01 10:00")', "20202-01-01"),
    ("spans", '{"[-infinity,\\"20202-01-01 10:00\\")"}', "20202-01-01"),
    ("day_set", "{[0044-03-15 BC,2020-01-01),[2021-01-01,infinity)}", "0044-03-15 BC"),
    ("day", "0044-03-15 BC", "0044-03-15 BC"),
    ("day", "infinity", "infinity"),
]


class Exporting(ModelView):
    can_export = True


class Documents(Exporting):
    column_list = ("json", "mutable")


class Listing(ModelView):
    column_list = ("id", "json")


def named(cases):
    return [pytest.param(*case, id=f"{case[0]}-{case[1][:10]}") for case in cases]


def stored(site, name):
    with site.engine.connect() as connection:
        statement = f"SELECT CAST({name} AS TEXT) FROM things WHERE id = 1"
        return connection.exec_driver_sql(statement).scalar()


def check(site, model, controls, name, text, shown):
    """Go through the pages of a row that holds ``text``, and save its form."""
    with site.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO things (id, name) VALUES (1, 'x')")
        connection.execute(sa.text(f"UPDATE things SET {name} = :text"), {"text": text})
    before, get, post = stored(site, name), site.client.get, site.client.post
    edit = site.url(model, "edit", identity=(1,))
    details, form = get(site.url(model, "details", identity=(1,))), get(edit)
    assert shown in details.text
    assert shown in form.text
    sent = controls(form.text)
    assert post(edit, data=sent).status_code == 302
    assert post(edit, data={**sent, "name": "y"}).status_code == 302
    others = [
        get(site.url(model) + "?search=x&sort=-id"),
        get(site.url(model, "export", export_type="csv")),
        get(site.url(model, "delete", identity=(1,))),
        post(edit, data={**sent, "_save_as_new": "1"}),
        post(edit, data={**sent, "name": "", name: "!"}),
        post(site.url(model, "action"), data={"action": "delete", "rowid": "1"}),
    ]
    assert [p.status_code for p in others if p.status_code >= 500] == []
    return before


@pytest.mark.parametrize(("name", "text", "shown"), named(PORTABLE))
def test_what_no_value_stands_for_is_shown_and_kept(make_site, controls, name, text, shown):
    site = make_site(Base).register_all(views={Thing: Exporting})
    before = check(site, Thing, controls, name, text, shown)
    assert stored(site, name) == before


@pytest.mark.parametrize(("name", "text", "shown"), named(IN_SQLITE))
def test_what_sqlite_lets_into_any_column_is_shown_and_kept(
    sqlite_url, controls, name, text, shown
):
    site = Site(sqlite_url, Base).create_all().register_all(views={Thing: Exporting})
    assert check(site, Thing, controls, name, text, shown) == text
    assert stored(site, name) == text


@pytest.mark.parametrize(("name", "text", "shown"), named(OWN))
def test_what_postgresql_alone_can_hold_is_shown_and_kept(
    postgresql_url, controls, name, text, shown
):
    site = Site(postgresql_url, OwnBase).create_all().register_all(views={OwnThing: Exporting})
    with site.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TYPE mood ADD VALUE 'LOST'")
    before = check(site, OwnThing, controls, name, text, shown)
    assert stored(site, name) == before


def test_a_member_that_is_not_known_is_replaced_by_one_that_is(make_site, controls):
    site = make_site(Base).register_all()
    with site.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO things (id, lower) VALUES (1, 'LOST')")
    url = site.url(Thing, "edit", identity=(1,))
    assert controls(site.client.get(url).text)["lower"] == ["LOST"]
    assert site.client.post(url, data={"lower": "BAD"}).status_code == 302
    assert stored(site, "lower") == "BAD"


LISTED = "INSERT INTO things (name, mutable) VALUES ('x', '[1.50, 0.10]')"


def test_a_copy_of_a_row_has_what_could_not_be_typed(make_site, controls):
    site = make_site(Base).register_all()
    with site.engine.begin() as connection:
        connection.exec_driver_sql(LISTED)
        connection.exec_driver_sql(
            "UPDATE things SET mood = 'LOST', wrapped = '[1]', json = '[1.50]'"
        )
    url = site.url(Thing, "edit", identity=(1,))
    sent = {**controls(site.client.get(url).text), "_save_as_new": "1"}
    assert site.client.post(url, data=sent).status_code == 400
    assert site.client.post(url, data={**sent, "mood": "GOOD"}).status_code == 302
    columns = "CAST(mutable AS TEXT), CAST(wrapped AS TEXT), CAST(json AS TEXT)"
    with site.engine.connect() as connection:
        copy = connection.exec_driver_sql(f"SELECT {columns} FROM things WHERE id = 2").one()
    assert tuple(copy) == ("[1.50, 0.10]", "[1]", "[1.50]")


def test_a_value_of_another_kind_is_replaced_by_one_of_the_kind_that_is_tracked(make_site):
    site = make_site(Base).register_all()
    with site.engine.begin() as connection:
        connection.exec_driver_sql(LISTED)
    url = site.url(Thing, "edit", identity=(1,))
    refused = site.client.post(url, data={"mutable": "[2]"})
    assert refused.status_code == 400
    assert "A list cannot stand here." in refused.text
    for text in ('{"a": 1}', "null", '{"a": 2}'):
        assert site.client.post(url, data={"mutable": text}).status_code == 302
        assert stored(site, "mutable") == text
    assert site.client.post(url, data={"mutable": ""}).status_code == 302
    assert stored(site, "mutable") is None


def test_a_row_is_shown_whose_related_rows_hold_what_no_value_stands_for(make_site):
    site = make_site(Base).register_all()
    with site.engine.begin() as connection:
        connection.exec_driver_sql(LISTED)
        connection.exec_driver_sql("INSERT INTO notes (id, thing_id) VALUES (1, 1)")
    for page in ("list", "edit", "details"):
        values = {} if page == "list" else {"identity": (1,)}
        assert site.client.get(site.url(Note, page, **values)).status_code == 200


def test_outside_of_the_admin_an_application_fails_on_them_as_ever(make_site):
    site = make_site(Base).register_all()
    with site.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO things (id, mood) VALUES (1, 'LOST')")
    site.client.get(site.url(Thing))
    as_stored.read_as_is(False)
    with pytest.raises(LookupError), site.session() as session:
        session.scalars(sa.select(Thing)).all()


def test_a_type_of_the_application_that_fails_on_a_value_is_told_to_its_developer(
    sqlite_url, caplog
):
    site = Site(sqlite_url, Base).create_all().register_all()
    with site.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO things (day) VALUES ('never'), ('never')")
    assert site.client.get(site.url(Thing)).text.count(">never<") == 2
    assert [r.message for r in caplog.records] == ["Day() cannot read a value, shown as stored"]


JSON_TEXT = '{"z": 1.50, "a": 0.1000000000000000055511151231, "n": 1E400, "e": {}, "z": [2.0]}'


def test_json_is_shown_as_it_is_stored(make_site):
    site = make_site(Base).register_all(views={Thing: Listing})
    insert = sa.text("INSERT INTO things (id, json) VALUES (1, :text)")
    with site.engine.begin() as connection:
        connection.execute(insert, {"text": JSON_TEXT})
    listed = html.unescape(site.client.get(site.url(Thing)).text)
    assert JSON_TEXT in listed
    details = html.unescape(site.client.get(site.url(Thing, "details", identity=(1,))).text)
    assert re.search(r'"a": 0.1000000000000000055511151231,\n  "n": 1E400,\n  "e": {},', details)


def test_json_is_exported_as_it_is_stored(make_site, statements):
    site = make_site(Base).register_all(views={Thing: Documents})
    with site.engine.begin() as connection:
        insert = sa.text("INSERT INTO things (id, mutable, json) VALUES (:id, :text, :null)")
        for id_, text, null in [(1, JSON_TEXT, "null"), (2, "[1.50]", None)]:
            connection.execute(insert, {"id": id_, "text": text, "null": null})
    with statements(site.engine) as seen:
        file = site.client.get(site.url(Thing, "export", export_type="csv") + "?sort=id").text
    found = list(csv.DictReader(io.StringIO(file)))
    assert [row["Mutable"] for row in found] == [JSON_TEXT, "[1.50]"]
    assert [row["JSON"] for row in found] == ["null", ""]
    assert len([s for s in seen if "things" in s]) == 1


def test_a_list_reads_the_beginning_of_long_json_and_the_details_all(make_site, statements):
    site = make_site(Base).register_all(views={Thing: Listing})
    with site.session() as session:
        session.add(Thing(id=1, json=["the beginning", "x" * 3000, "the end"]))
        session.commit()
    with statements(site.engine) as seen:
        listed = site.client.get(site.url(Thing)).text
    assert "the beginning" in listed
    assert "the end" not in listed
    assert len(seen) <= 4
    assert "the end" in site.client.get(site.url(Thing, "details", identity=(1,))).text


def test_the_null_of_json_is_told_from_no_value(make_site):
    site = make_site(Base).register_all(views={Thing: Listing})
    with site.session() as session:
        session.add(Thing(id=1, json=sa.JSON.NULL))
        session.commit()
    assert '<span class="mono">null</span>' in site.client.get(site.url(Thing)).text


def test_a_formatter_of_the_host_still_gets_the_value_of_json(make_site):
    class Formatted(Listing):
        column_list = ("json", "mutable")
        column_formatters = {"json": lambda view, context, model, name: model.json["a"] + 1}
        column_type_formatters = {dict: lambda view, value, name: f"a is {value['a']}"}

    site = make_site(Base).register_all(views={Thing: Formatted})
    with site.session() as session:
        session.add(Thing(id=1, json={"a": 41}, mutable={"a": 7}))
        session.commit()
    listed = site.client.get(site.url(Thing)).text
    assert ">42<" in listed
    assert ">a is 7<" in listed


# Arrays of JSON


def documents(site, value):
    with site.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM things")
        statement = sa.text(f"INSERT INTO things (id, documents) VALUES (1, {value})")
        connection.execute(statement)
    return site.url(OwnThing, "edit", identity=(1,))


@pytest.fixture
def own(postgresql_url):
    return Site(postgresql_url, OwnBase).create_all().register_all()


def test_an_array_of_json_is_typed_as_one_list(own, controls):
    url = documents(own, """array['{"a": 1.50}', 'null', '"x"']::jsonb[]""")
    (text,) = controls(own.client.get(url).text)["documents"]
    assert text.replace("\r\n", "").replace(" ", "") == '[{"a":1.50},null,"x"]'
    changed = text.replace('"x"', "{}")
    assert own.client.post(url, data={"documents": changed}).status_code == 302
    assert stored(own, "documents") == '{"{\\"a\\": 1.5}","null","{}"}'


@pytest.mark.parametrize("value", ["array[NULL]::jsonb[]", "array[array['1']]::jsonb[]"])
def test_an_array_of_json_that_no_list_tells_is_shown_and_not_taken(own, controls, value):
    url = documents(own, value)
    before = stored(own, "documents")
    page = own.client.get(url).text
    assert "documents" not in controls(page)
    assert "Shown only: as a list" in page
    assert own.client.post(url, data={"documents": "[1]"}).status_code == 302
    assert stored(own, "documents") == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1", "This is not a list"),
        ("[[1]]", "Lists cannot stand in this list."),
        ("[1e400]", "1e400 is too large a number"),
        ('["\\u0000"]', "PostgreSQL cannot keep"),
    ],
)
def test_an_array_of_json_takes_only_what_it_can_keep(own, text, sentence):
    url = documents(own, "NULL")
    response = own.client.post(url, data={"documents": text})
    assert response.status_code == 400
    assert sentence in html.unescape(response.text)
