"""What pages do with values of each type: bad input, foreign values, zones, files, pickles."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
import os
import pickle
import re
import time

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, as_stored, checks
from tests.db.typed_columns import PORTABLE, POSTGRESQL, Geometry, Mood, Shape, model_of


@pytest.fixture
def portable(make_site):
    base, model = model_of(PORTABLE)
    return make_site(base).register_all(), model


@pytest.fixture
def typed(portable, controls):
    """Types a text into one field of a new row: the response, and what is then stored."""
    site, model = portable
    numbers = iter(range(1, 1000))

    def type_in(name, text):
        key = next(numbers)
        response = site.client.post(site.url(model, "create"), data={"id": str(key), name: text})
        with site.session() as session:
            return response, session.scalar(sa.select(getattr(model, name)).filter_by(id=key))

    return type_in


def refused(response, sentence):
    assert response.status_code == 400
    assert sentence in response.text.replace("&#39;", "'").replace("&#34;", '"')
    return True


NUMBERS = [
    ("integer", "1.5", "This is not a whole number."),
    ("integer", "9" * 20, "This number must lie between"),
    ("integer", "9" * 1_000_000, "This number must lie between"),
    ("integer", "NaN", "This is not a whole number."),
    ("big", str(2**63), "This number must lie between"),
    ("numeric", "NaN", "This is not a number."),
    ("numeric", "Infinity", "This is not a number."),
    ("numeric", "1e999999999", "This number has too many digits."),
    ("numeric", "1e-999999999", "This number has too many digits."),
    ("numeric", "0." + "1" * 1_000_000, "This number has too many digits."),
    ("numeric", "1.005", "At most 2 decimal places can be stored."),
    ("numeric", "1." + "0" * 40 + "1", "At most 2 decimal places can be stored."),
    ("numeric", "12345678901", "At most 10 digits can stand before the point."),
    ("double", "1e400", "This number is too large."),
    ("double", "0.30000000000000000001", "it would hold 0.3."),
    ("double", "inf", "This is not a number."),
]
TIMES = [
    ("date", "2026-02-30", "This is not a date"),
    ("date", "0000-01-01", "This is not a date"),
    ("date", "-0044-03-15", "This is not a date"),
    ("date", "10000-01-01", "This is not a date"),
    ("naive", "2026-01-01T10:00+01:00", "leave the offset out"),
    ("naive", "2026-01-01 10:00:00.1234567", "At most 6 decimals of a second"),
    ("time", "25:00", "This is not a time"),
    ("interval", "2 months", "This is not a length of time"),
    ("interval", "99999999999999 weeks", "This length of time is too large."),
    ("interval", "9" * 5000 + " s", "This is not a length of time"),
]
OTHERS = [
    ("string", "x" * 61, "At most 60 characters fit; these are 61."),
    ("text", "a\0b", "This holds a character that cannot be stored."),
    ("mood", "ANGRY", "This is not one of the choices."),
    ("boolean", "maybe", "This is not one of the choices."),
    ("uuid", "1234", "This is not a UUID."),
    ("cents", "lots", "This is not a whole number."),
    ("json", "{", "This is not JSON: line 1, column 2"),
    ("json", "NaN", "NaN is not JSON."),
    ("json", "[1e400]", "1e400 is too large a number"),
    ("json", "[0.10000000000000000000001]", "has more digits than a number here can keep"),
    ("json", "[" + "9" * 5000 + "]", "has too many digits"),
    ("json", '{"a": 1, "b": 2, "a": 3}', "The key “a” stands twice in one object."),
    ("json", "[" * 10_000 + "]" * 10_000, "This is nested too deeply"),
    ("json", '{"a":' * 10_000 + "1" + "}" * 10_000, "This is nested too deeply"),
]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [pytest.param(*case, id=f"{case[0]}-{case[1][:12]}") for case in (*NUMBERS, *TIMES, *OTHERS)],
)
def test_what_a_column_cannot_hold_is_told_at_its_field(typed, name, text, sentence):
    begun = time.monotonic()
    response, stored = typed(name, text)
    assert refused(response, sentence)
    assert f'href="#{name}"' in response.text
    assert stored is None
    # Far above what it takes; a bomb takes minutes.
    assert time.monotonic() - begun < 20


EXACT = [
    ("date", "0001-01-01", dt.date(1, 1, 1)),
    ("date", "9999-12-31", dt.date(9999, 12, 31)),
    ("naive", "0001-01-01T00:00:00.000001", dt.datetime(1, 1, 1, 0, 0, 0, 1)),
    ("integer", "-2147483648", -(2**31)),
    ("numeric", "-9999999999.99", decimal.Decimal("-9999999999.99")),
    ("double", "5e-324", 5e-324),
    ("interval", "90 minutes", dt.timedelta(minutes=90)),
    ("interval", "-1 day 02:00", -dt.timedelta(days=1, hours=2)),
    ("string", " x ", " x "),
    ("string", "   ", "   "),
    ("text", "\n\na\r\nb\n", "\n\na\nb\n"),
    ("json", '{"z": 1, "a": [], "m": {}}', {"z": 1, "a": [], "m": {}}),
    ("json", "123456789012345678901234567890.0e-5", None),
    ("json", "[100000000000000000000]", [10**20]),
    ("json", '"é"', "é"),
    ("mood", "ODD", Mood.ODD),
    ("switch", "false", "off"),
    ("cents", "1250", decimal.Decimal("12.5")),
    ("varied", "[1, 2]", [1, 2]),
]


@pytest.mark.parametrize(("name", "text", "value"), EXACT)
def test_what_a_column_can_hold_is_stored_exactly(typed, name, text, value):
    response, stored = typed(name, text)
    if value is None:
        assert response.status_code == 400
        return
    assert response.status_code == 302, response.text
    assert (type(stored), stored) == (type(value), value)
    if isinstance(value, dict):
        assert list(stored) == list(value)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "\x01\x1f", "‮", "﷐"])
def test_no_character_makes_a_page_fail(portable, text):
    site, model = portable
    for name in ("string", "text", "json", "integer", "date", "mood", "scrambled"):
        data = {"id": "7", name: text.encode("utf-8", "surrogatepass")}
        assert site.client.post(site.url(model, "create"), data=data).status_code in (302, 400)
        with site.session() as session:
            session.execute(sa.delete(model))
            session.commit()


def multipart(*pairs):
    """A body as browsers send it, and its type; the test client would leave a file open."""
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "".join(part.format(name, value) for name, value in pairs) + "--b--\r\n"
    return {"data": body, "content_type": "multipart/form-data; boundary=b"}


def test_five_megabytes_of_text_are_saved(portable, controls):
    site, model = portable
    text = "lorem ipsum dolor\n" * 300_000
    begun = time.monotonic()
    response = site.client.post(site.url(model, "create"), **multipart(("id", "1"), ("text", text)))
    assert response.status_code == 302
    with site.session() as session:
        assert session.scalar(sa.select(model.text)) == text
    url = site.url(model, "edit", identity=(1,))
    sent = controls(site.client.get(url).text)
    pairs = [(name, value) for name, values in sent.items() for value in values]
    assert site.client.post(url, **multipart(*pairs)).status_code == 302
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("is_multipart", [True, False])
def test_a_form_of_a_hundred_thousand_fields_is_refused_in_a_sentence(portable, is_multipart):
    site, model = portable
    pairs = [(f"field{n}", "x") for n in range(100_000)]
    sent = multipart(*pairs) if is_multipart else {"data": dict(pairs)}
    response = site.client.post(site.url(model, "create"), **sent)
    assert response.status_code == 413
    assert "larger than this server accepts" in response.text


def test_a_change_that_python_finds_equal_is_written(portable, controls):
    site, model = portable
    with site.session() as session:
        session.add(model(id=1, json={"a": 1, "b": 2}, double=0.0))
        session.commit()
    url = site.url(model, "edit", identity=(1,))
    for typed in ('{"a": true, "b": 2}', '{"b": 2, "a": true}', '{"b": 2.0, "a": true}'):
        assert site.client.post(url, data={"json": typed}).status_code == 302
        with site.session() as session:
            stored = session.scalar(sa.select(sa.cast(model.json, sa.Text)))
            assert json.dumps(json.loads(stored)) == typed


def test_json_is_not_written_for_blanks_alone(portable, statements):
    site, model = portable
    with site.session() as session:
        session.add(model(id=1, json={"a": [1]}))
        session.commit()
    with statements(site.engine) as seen:
        url = site.url(model, "edit", identity=(1,))
        assert site.client.post(url, data={"json": '{ "a" : [ 1 ] }'}).status_code == 302
    assert [s for s in seen if s.startswith("UPDATE")] == []


def test_json_null_and_no_value_are_told_apart(portable, controls):
    site, model = portable
    with site.session() as session:
        session.add_all([model(id=1, json=sa.JSON.NULL), model(id=2, json=sa.null())])
        session.commit()
    texts = [
        controls(site.client.get(site.url(model, "edit", identity=(key,))).text)["json"]
        for key in (1, 2)
    ]
    assert texts == [["null"], [""]]
    for key, text in ((1, ""), (2, "null")):
        site.client.post(site.url(model, "edit", identity=(key,)), data={"json": text})
    with site.session() as session:
        statement = sa.select(sa.cast(model.json, sa.Text)).order_by(model.id)
        assert session.scalars(statement).all() == [None, "null"]


def test_numbers_that_python_cannot_keep_are_shown_as_stored_and_never_changed(portable, controls):
    site, model = portable
    raw = '{"price": 0.1000000000000000055511151231, "n": 1}'
    with site.session() as session:
        session.add(model(id=1))
        session.commit()
        session.execute(sa.text("UPDATE specimens SET json = :raw"), {"raw": raw})
        session.commit()
    url = site.url(model, "edit", identity=(1,))
    sent = controls(site.client.get(url).text)
    assert "0.1000000000000000055511151231" in sent["json"][0]
    changed = sent["json"][0].replace('"n": 1', '"n": 2')
    assert refused(site.client.post(url, data={"json": changed}), "has more digits than a number")
    assert site.client.post(url, data=sent).status_code == 302
    with site.session() as session:
        assert session.scalar(sa.select(sa.cast(model.json, sa.Text))) == raw


def test_line_ends_stay_in_the_lines_that_were_not_touched(portable, controls):
    site, model = portable
    with site.session() as session:
        session.add(model(id=1, text="one\r\ntwo\nthree\rfour\r\n"))
        session.commit()
    url = site.url(model, "edit", identity=(1,))
    text = controls(site.client.get(url).text)["text"][0]
    site.client.post(url, data={"text": text.replace("two", "2\r\n2")})
    with site.session() as session:
        assert session.scalar(sa.select(model.text)) == "one\r\n2\r\n2\nthree\rfour\r\n"


@pytest.mark.parametrize("name", ["mood", "size"])
def test_a_member_that_an_enum_does_not_know_is_shown_and_kept(sqlite_url, controls, name):
    from tests.db.conftest import Site

    base, model = model_of(PORTABLE)
    site = Site(sqlite_url, base).create_all().register_all()
    with site.session() as session:
        session.add(model(id=1))
        session.commit()
        session.execute(sa.text(f"UPDATE specimens SET {name} = 'LOST'"))
        session.commit()
    assert site.client.get(site.url(model)).status_code == 200
    for page in ("details", "edit"):
        assert "LOST" in site.client.get(site.url(model, page, identity=(1,))).text
    url = site.url(model, "edit", identity=(1,))
    sent = controls(site.client.get(url).text)
    assert sent[name] == ["LOST"]
    assert site.client.post(url, data={**sent, "integer": "5"}).status_code == 302
    with site.engine.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT {name} FROM specimens").scalar() == "LOST"
    as_stored.read_as_is(False)
    with pytest.raises(LookupError), site.session() as session:
        session.scalars(sa.select(model)).all()


def test_a_text_with_a_character_that_no_page_can_carry_is_shown_and_not_taken(sqlite_url):
    from tests.db.conftest import Site

    base, model = model_of({"text": (sa.Text(), None)})
    site = Site(sqlite_url, base).create_all().register_all()
    with site.session() as session:
        session.add(model(id=1, text="a\0b"))
        session.commit()
    url = site.url(model, "edit", identity=(1,))
    assert 'name="text"' not in site.client.get(url).text
    assert site.client.post(url, data={"text": "a�b"}).status_code == 302
    with site.session() as session:
        assert session.scalar(sa.select(model.text)) == "a\0b"


# Values that PostgreSQL has and Python has not


@pytest.fixture
def own(postgresql_url):
    from tests.db.conftest import Site

    base, model = model_of(POSTGRESQL)
    site = Site(postgresql_url, base).create_all().register_all()
    with site.session() as session:
        session.add(model(id=1))
        session.commit()
    return site, model


FOREIGN = [
    ("aware", "'0044-03-15 12:00+00 BC'", "BC"),
    ("aware", "'infinity'", "infinity"),
    ("aware", "'20202-01-01 00:00+00'", "20202"),
    ("aware_time", "'24:00+00'", "24:00"),
    ("native_interval", "'1 year 2 mons'", "1 year 2 mons"),
    ("native_interval", "'178000000 years'", "178000000"),
    ("numeric_any", "'NaN'", "NaN"),
    ("numeric_any", "1e100", "0,000"),
    ("doubles", "'-Infinity'", "-inf"),
    ("jsonb", "'1e300'", ""),
    ("money", "12", "$12.00"),
    ("int4range", "'[1,5]'", "[1,6)"),
    ("documents", "array['{\"a\":1}'::jsonb]", "a"),
    ("tsvector", "to_tsvector('a fat cat')", "cat"),
]


@pytest.mark.parametrize(("name", "value", "shown"), FOREIGN)
def test_a_value_that_python_does_not_have_is_shown_and_kept(own, controls, name, value, shown):
    site, model = own
    with site.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE specimens SET {name} = {value}")
        before = connection.exec_driver_sql(f"SELECT {name}::text FROM specimens").scalar()
    url = site.url(model, "edit", identity=(1,))
    details = site.client.get(site.url(model, "details", identity=(1,)))
    assert details.status_code == 200
    assert shown in details.text
    assert site.client.get(site.url(model) + "?sort=-id").status_code == 200
    sent = controls(site.client.get(url).text)
    assert site.client.post(url, data=sent).status_code == 302
    with site.engine.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT {name}::text FROM specimens").scalar() == before


OWN = [
    ("int4range", "5,1", "This is not a range"),
    ("int4range", "[5,1)", "The range must not end before it begins."),
    ("int4range", "[1,99999999999)", "This number must lie between"),
    ("daterange", "[2026-02-30,)", "This is not a date"),
    ("int4multirange", "[1,2)", "These are not ranges"),
    ("inet", "300.1.1.1", "This is not an IP address"),
    ("cidr", "10.0.0.1/8", "This is not a network"),
    ("macaddr", "08:00:2b:01:02", "This is not a hardware address"),
    ("bit", "101", "Exactly 5 bits are needed; these are 3."),
    ("varbit", "2", "Only 0 and 1 can stand here."),
    ("money", "1.234,50 €", "This is not an amount"),
    ("oid", "-1", "This number must lie between 0 and 4,294,967,295."),
    ("real", "16777217", "it would hold 16777216.0."),
    ("integers", "[1, true]", "This is not a whole number."),
    ("integers", '{"a": 1}', "This is not a list"),
    ("integers", "[[1], [2, 3]]", "must be of one length"),
    ("texts", "[1]", "Put 1 in quotes"),
    ("texts", '["a\\u0000"]', "a character that cannot be stored"),
    ("grid", "[1]", "The list must have 2 levels."),
    ("jsonb", '"\\u0000"', "PostgreSQL cannot keep"),
    ("jsonb", '"\\ud800"', "PostgreSQL cannot keep"),
    ("domain", "1" * 12, "This number must lie between"),
    ("aware_time", "10:00", "Add the offset from UTC"),
]


@pytest.mark.parametrize(("name", "text", "sentence"), OWN)
def test_what_a_type_of_postgresql_cannot_hold_is_told_at_its_field(own, name, text, sentence):
    site, model = own
    response = site.client.post(site.url(model, "edit", identity=(1,)), data={name: text})
    assert refused(response, sentence)
    assert f'href="#{name}"' in response.text


def test_a_unit_that_only_the_database_knows_is_refused_by_it_in_a_sentence(own):
    site, model = own
    with site.engine.begin() as connection:
        connection.exec_driver_sql("ALTER DOMAIN positive ADD CHECK (value > 0)")
    response = site.client.post(site.url(model, "edit", identity=(1,)), data={"domain": "-1"})
    assert response.status_code in (400, 409)
    assert "SELECT" not in response.text


# Time zones


@pytest.fixture
def moments_site(own):
    site, model = own
    with site.session() as session:
        row = session.get(model, 1)
        row.aware = dt.datetime(2026, 7, 1, 10, 0, tzinfo=dt.UTC)
        session.commit()
    return site, model


def in_paris(site):
    client = site.client
    client.set_cookie("admin_time_zone", "Europe/Paris", path="/admin/")
    return client


def stored_moment(site, model):
    with site.session() as session:
        return session.scalar(sa.select(model.aware)).astimezone(dt.UTC)


def test_a_moment_is_shown_and_edited_in_the_zone_of_the_browser(moments_site, controls):
    site, model = moments_site
    client, url = in_paris(site), site.url(model, "edit", identity=(1,))
    page = client.get(url).text
    assert controls(page)["aware"] == ["2026-07-01 12:00:00+02:00"]
    assert "Time zone Europe/Paris, unless an offset is given." in page
    assert "2026-07-01 12:00" in client.get(site.url(model, "details", identity=(1,))).text
    assert client.post(url, data={"aware": "2026-01-01 12:00"}).status_code == 302
    assert stored_moment(site, model) == dt.datetime(2026, 1, 1, 11, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("2026-03-29 02:30", "this time does not exist; add +01:00 or +02:00"),
        ("2026-10-25 02:30", "this time was there twice; add +02:00 or +01:00"),
    ],
)
def test_a_time_that_a_change_of_the_clocks_makes_doubtful_is_told(moments_site, typed, sentence):
    site, model = moments_site
    url = site.url(model, "edit", identity=(1,))
    response = in_paris(site).post(url, data={"aware": typed})
    assert refused(response, sentence)
    assert in_paris(site).post(url, data={"aware": typed + "+01:00"}).status_code == 302


def test_a_form_that_was_opened_in_another_zone_writes_nothing(moments_site, controls, statements):
    site, model = moments_site
    url = site.url(model, "edit", identity=(1,))
    sent = controls(in_paris(site).get(url).text)
    with statements(site.engine) as seen:
        assert site.client.post(url, data=sent).status_code == 302
    assert [s for s in seen if s.startswith("UPDATE")] == []


@pytest.mark.parametrize("name", ["Nowhere/Here", "../../etc/passwd", "x" * 999, "%00", ""])
def test_a_zone_that_is_none_is_passed_over(moments_site, controls, name):
    site, model = moments_site
    site.app.config["BABEL_DEFAULT_TIMEZONE"] = "Asia/Kathmandu"
    client = site.client
    client.set_cookie("admin_time_zone", name, path="/admin/")
    page = client.get(site.url(model, "edit", identity=(1,))).text
    assert controls(page)["aware"] == ["2026-07-01 15:45:00+05:45"]


# Files


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


@pytest.fixture
def filed(portable):
    site, model = portable
    with site.session() as session:
        session.add_all(
            [model(id=1, binary=PNG), model(id=2, binary=b"<script>"), model(id=3, string="none")]
        )
        session.commit()
    return site, model


def download(site, key, query="column=binary"):
    return site.client.get(f"/admin/specimen/download/?id={key}&{query}")


def test_binary_content_is_downloaded_as_a_file_in_which_nothing_runs(filed):
    site, _ = filed
    response = download(site, 2)
    assert response.data == b"<script>"
    assert response.mimetype == "application/octet-stream"
    assert response.headers["Content-Disposition"].startswith("attachment;")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "no-store" in response.headers["Cache-Control"]


def test_an_image_is_shown_by_its_first_bytes_and_nothing_else_is(filed):
    site, model = filed
    page = site.client.get(site.url(model, "details", identity=(1,))).text
    (source,) = re.findall(r'<img class="preview" src="([^"]*)"', page)
    image = site.client.get(source.replace("&amp;", "&"))
    assert (image.mimetype, image.data) == ("image/png", PNG)
    assert image.headers["Content-Disposition"].startswith("inline;")
    assert "<img" not in site.client.get(site.url(model, "details", identity=(2,))).text
    sent = download(site, 2, "column=binary&show=1")
    assert sent.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize(
    "query", ["column=pickle", "column=string", "column=nothing", "", "column=__class__"]
)
def test_only_binary_columns_of_the_pages_are_downloaded(filed, query):
    assert download(filed[0], 1, query).status_code == 404


def test_nothing_stored_is_not_found(filed):
    assert download(filed[0], 3).status_code == 404
    assert download(filed[0], 99).status_code == 404
    assert download(filed[0], "%00").status_code in (400, 404)


def test_a_download_asks_the_policy_and_keeps_to_the_rows_in_reach(make_site):
    from admin_app import Policy

    class Some(Policy):
        def may(self, principal, action, model=None, column=None):
            return column != "hidden"

        def rows(self, principal, action, model):
            return model.id == 1

    columns = {"binary": (sa.LargeBinary(), None), "hidden": (sa.LargeBinary(), None)}
    base, model = model_of(columns)
    site = make_site(base, policy=Some()).register_all()
    with site.session() as session:
        session.add_all([model(id=key, binary=b"x", hidden=b"y") for key in (1, 2)])
        session.commit()
    assert download(site, 1).status_code == 200
    assert download(site, 2).status_code == 404
    assert download(site, 1, "column=hidden").status_code == 404


def test_a_file_is_replaced_kept_and_removed(filed, controls):
    site, model = filed
    url = site.url(model, "edit", identity=(1,))

    def stored():
        with site.session() as session:
            return session.scalar(sa.select(model.binary).filter_by(id=1))

    assert "48 bytes" in site.client.get(url).text
    site.client.post(url, data={**controls(site.client.get(url).text), "string": "kept"})
    assert stored() == PNG
    site.client.post(url, data={"binary": (io.BytesIO(b"new"), "new.txt")})
    assert stored() == b"new"
    site.client.post(url, data={"binary-clear": "clear"})
    assert stored() is None


# Pickles


class Bomb:
    """Leaves a trace when somebody reads it."""

    def __reduce__(self):
        return os.mkdir, (os.environ["BOMB"],)


class Base(orm.DeclarativeBase):
    pass


class Box(Base):
    __tablename__ = "boxes"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(40))
    content = orm.mapped_column(sa.PickleType)


class Slip(Base):
    __tablename__ = "slips"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(40))
    box_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("boxes.id"))
    box: orm.Mapped[Box] = orm.relationship()


def test_a_pickle_is_never_unpickled(make_site, controls, tmp_path, monkeypatch):
    trace = tmp_path / "exploded"
    monkeypatch.setenv("BOMB", str(trace))

    class All(ModelView):
        column_list = column_export_list = ("id", "name", "content")
        can_export = True

    site = make_site(Base).register_all(views={Box: All})
    bomb = pickle.dumps(Bomb())
    insert = sa.text("INSERT INTO boxes (id, name, content) VALUES (1, 'box', :bomb)")
    with site.engine.begin() as connection:
        connection.execute(insert.bindparams(sa.bindparam("bomb", bomb, sa.LargeBinary)))
        connection.execute(sa.text("INSERT INTO slips (id, name, box_id) VALUES (1, 'a', 1)"))
    get, post = site.client.get, site.client.post
    edit = site.url(Box, "edit", identity=(1,))
    pages = [
        get(site.url(Box)),
        get(site.url(Box) + "?search=box&sort=-name"),
        get(site.url(Box, "details", identity=(1,))),
        get(edit),
        post(edit, data={**controls(get(edit).text), "name": "other"}),
        post(edit, data={"name": ""}),
        post(edit, data={"name": "third", "_continue_editing": "1"}),
        get(site.url(Box, "export", export_type="csv")),
        get("/admin/slip/lookup/box/?q=o"),
        get(site.url(Slip)),
        get(site.url(Slip, "details", identity=(1,))),
        get(site.url(Slip, "edit", identity=(1,))),
        post(site.url(Slip, "edit", identity=(1,)), data={"name": "b", "box": "1"}),
        get(site.url(Slip, "delete", identity=(1,))),
        get(site.url(Box, "delete", identity=(1,))),
        post(site.url(Slip, "delete"), data={"id": "1"}),
        post(site.url(Box, "action"), data={"action": "delete", "rowid": "1"}),
        post(site.url(Box, "delete"), data={"id": "1"}),
    ]
    assert [p.status_code for p in pages if p.status_code >= 500] == []
    assert not trace.exists()
    assert f"{len(bomb)} bytes" in pages[0].text
    with site.session() as session:
        assert session.scalar(sa.select(sa.func.count(Box.id))) == 0


def test_a_copy_takes_along_what_nobody_can_type_and_reads_none_of_it(
    make_site, controls, tmp_path, monkeypatch
):
    trace = tmp_path / "exploded"
    monkeypatch.setenv("BOMB", str(trace))
    site = make_site(Base).register_all()
    bomb = pickle.dumps(Bomb())
    insert = sa.text("INSERT INTO boxes (name, content) VALUES ('box', :bomb)")
    with site.engine.begin() as connection:
        connection.execute(insert.bindparams(sa.bindparam("bomb", bomb, sa.LargeBinary)))
    url = site.url(Box, "edit", identity=(1,))
    sent = controls(site.client.get(url).text)
    assert site.client.post(url, data={**sent, "_save_as_new": "1"}).status_code == 302
    with site.session() as session:
        stored = session.scalars(sa.select(sa.type_coerce(Box.content, sa.LargeBinary))).all()
    assert [bytes(s) for s in stored] == [bomb, bomb]
    assert not trace.exists()


def test_a_copy_takes_along_a_value_of_an_unknown_type(portable, controls):
    site, model = portable
    with site.session() as session:
        session.add(model(id=1, geometry=Shape("POINT(1 2)")))
        session.commit()
    url = site.url(model, "edit", identity=(1,))
    sent = controls(site.client.get(url).text)
    assert site.client.post(url, data={**sent, "id": "2", "_save_as_new": "1"}).status_code == 302
    with site.session() as session:
        assert session.get(model, 2).geometry == Shape("POINT(1 2)")


# Types that nobody knows


def test_a_value_of_an_unknown_type_is_shown_by_the_beginning_of_its_words(portable, controls):
    site, model = portable
    with site.session() as session:
        session.add(model(id=1, geometry=Shape("x" * 5000)))
        session.commit()
    for page in ("details", "edit"):
        text = site.client.get(site.url(model, page, identity=(1,))).text
        assert "&lt;Shape xxx" in text
        assert "x" * 2001 not in text


def test_a_check_names_what_no_form_can_take(make_site):
    class Base(orm.DeclarativeBase):
        pass

    class Place(Base):
        __tablename__ = "places"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        outline = orm.mapped_column(Geometry, nullable=False)
        cache = orm.mapped_column(sa.PickleType)
        name = orm.mapped_column(sa.String)

    site = make_site(Base).register_all()
    found = [(f.id, f.where) for f in checks.findings(site.admin)]
    assert found == [
        ("types.W001", "Place.outline"),
        ("types.W003", "Place.outline"),
        ("types.W002", "Place.cache"),
    ]


def test_the_command_tells_what_was_found_and_what_helps(make_site):
    from admin_app.cli import admin_cli

    base, _ = model_of({"geometry": (Geometry(), None)})
    site = make_site(base).register_all()
    site.app.cli.add_command(admin_cli)
    told = site.app.test_cli_runner().invoke(args=["admin", "check"])
    assert told.exit_code == 0
    assert "types.W001  Specimen.geometry: is of the type Geometry()" in told.output
    assert "form_overrides = {'geometry': …}" in told.output
    strict = site.app.test_cli_runner().invoke(args=["admin", "check", "--strict"])
    assert strict.exit_code == 1


def test_domains_and_composite_types_of_a_reflected_table_are_shown_and_kept(
    postgresql_url, controls
):
    from admin_app.reflection import reflect
    from tests.db.conftest import Site

    engine = sa.create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE DOMAIN positive AS integer CHECK (value > 0); "
            "CREATE DOMAIN own_id AS uuid; "
            "CREATE TYPE place AS (street text, number integer); "
            "CREATE TABLE homes (id integer PRIMARY KEY, size positive, own own_id, at place, "
            "spot point, notes positive[]); "
            "INSERT INTO homes VALUES (1, 5, gen_random_uuid(), ROW('Elm', 3), '(1,2)', '{1,2}')"
        )
    reflected = reflect(engine)
    (home,) = reflected.classes
    site = Site(postgresql_url, reflected.base).register_all()
    url = site.url(home, "edit", identity=(1,))
    page = site.client.get(url).text
    assert "(Elm,3)" in page
    sent = controls(page)
    assert "at" not in sent
    assert site.client.post(url, data={**sent, "size": "7"}).status_code == 302
    with engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT size, at::text, spot::text FROM homes").one()
    assert tuple(row) == (7, "(Elm,3)", "(1,2)")
