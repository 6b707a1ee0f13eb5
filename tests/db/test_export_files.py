"""Files of every format: what is in them, raw or in words, and what they must never be."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import enum
import io
import json
import uuid

import pytest
import python_calamine
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, Policy


class Base(orm.DeclarativeBase):
    pass


class Mood(enum.Enum):
    FINE = "fine weather"
    BAD = 2


class Owner(Base):
    __tablename__ = "owners"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    secret_key: orm.Mapped[str | None]

    def __str__(self) -> str:
        return f"={self.name}"


tagged = sa.Table(
    "tagged",
    Base.metadata,
    sa.Column("thing_id", sa.ForeignKey("things.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id"), primary_key=True),
)


class Tag(Base):
    __tablename__ = "tags"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    word: orm.Mapped[str]


class Thing(Base):
    __tablename__ = "things"
    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    text: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    whole: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    price: orm.Mapped[decimal.Decimal | None] = orm.mapped_column(sa.Numeric(20, 2))
    ratio: orm.Mapped[float | None]
    mood: orm.Mapped[Mood | None]
    is_on: orm.Mapped[bool | None]
    day: orm.Mapped[dt.date | None]
    moment: orm.Mapped[dt.datetime | None] = orm.mapped_column(sa.DateTime(timezone=True))
    data: orm.Mapped[object | None] = orm.mapped_column(sa.JSON(none_as_null=True))
    mark: orm.Mapped[uuid.UUID | None]
    content: orm.Mapped[bytes | None]
    owner_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("owners.id"))
    owner: orm.Mapped[Owner | None] = orm.relationship()
    tags: orm.Mapped[list[Tag]] = orm.relationship(secondary=tagged)


NAMES = [
    "id",
    "text",
    "whole",
    "price",
    "ratio",
    "mood",
    "is_on",
    "day",
    "moment",
    "data",
    "mark",
    "content",
    "owner",
    "tags",
]
MARK = uuid.UUID("00000000-0000-0000-0000-0000000000ff")


class Things(ModelView):
    column_list = NAMES
    column_default_sort = "id"


def fill(site) -> None:
    owner, tags = Owner(name="Ana", secret_key="opensesame"), [Tag(word="a"), Tag(word="b")]
    full = Thing(
        id=1,
        text="=1+1",
        whole=2**60 + 1,
        price=decimal.Decimal("123456789012345678.90") if is_exact(site) else decimal.Decimal(12),
        ratio=-0.1,
        mood=Mood.BAD,
        is_on=True,
        day=dt.date(2026, 11, 27),
        moment=dt.datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=dt.UTC),
        data=-5,
        mark=MARK,
        content=b"\0\xff",
        owner=owner,
        tags=tags,
    )
    with site.session() as session:
        session.add_all([full, Thing(id=2), Thing(id=3, text="", data={"a": [1.50, "\x85\u2028"]})])
        session.commit()


def is_exact(site) -> bool:
    return site.engine.dialect.name != "sqlite"


@pytest.fixture
def things(make_site):
    site = make_site(Base)
    site.admin.register(Thing, Things)
    site.admin.register(Owner)
    fill(site)
    return site


def get(site, type_: str, query: str = ""):
    response = site.client.get(f"/admin/thing/export/{type_}/?{query}")
    assert response.status_code == 200, response.text
    return response


def csv_rows(site, query: str = "") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(get(site, "csv", query).text)))


def test_a_file_tells_values_in_words_or_raw(things):
    words = csv_rows(things, "zone=Europe/Paris")[0]
    price = "123456789012345678.90" if is_exact(things) else "12.00"
    assert list(words.values()) == [
        *("1", "'=1+1", str(2**60 + 1), price, "-0.1", "Bad", "True", "2026-11-27"),
        *("2026-07-01 14:00:00.000005+02:00", "-5", str(MARK), "2 bytes", "'=Ana", "2"),
    ]
    raw = csv_rows(things, "values=raw&zone=UTC")
    assert list(raw[0]) == NAMES
    assert list(raw[0].values()) == [
        *("1", "'=1+1", str(2**60 + 1), price, "-0.1", "BAD", "true", "2026-11-27"),
        *("2026-07-01T12:00:00.000005+00:00", "-5", str(MARK), "AP8=", "1", "1, 2"),
    ]
    assert set(list(raw[1].values())[1:]) == {""}
    assert raw[2]["text"] == "'"


def test_json_keeps_every_digit_and_tells_nothing_from_empty(things):
    text = get(things, "jsonl", "values=raw").text
    lines = [json.loads(line) for line in text.removesuffix("\n").split("\n")]
    assert lines == json.loads(get(things, "json", "values=raw").text)
    first, second, third = lines
    assert list(first) == NAMES
    assert (first["whole"], first["ratio"], first["data"]) == (str(2**60 + 1), -0.1, -5)
    assert (first["is_on"], first["tags"], first["owner"]) == (True, ["1", "2"], "1")
    assert first["price"] == ("123456789012345678.90" if is_exact(things) else "12.00")
    assert (first["text"], second["text"], third["text"]) == ("=1+1", None, "")
    assert third["data"] == {"a": [1.5, "\x85\u2028"]}


def test_a_workbook_has_exact_numbers_real_dates_and_no_formula(things):
    content = get(things, "xlsx", "zone=Europe/Paris").data
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    assert book.sheet_names == ["Things"]
    titles, first, *_ = book.get_sheet_by_index(0).to_python()
    assert titles[:3] == ["Id", "Text", "Whole"]
    told = dict(zip(NAMES, first, strict=True))
    assert (told["text"], told["owner"], told["whole"]) == ("=1+1", "=Ana", str(2**60 + 1))
    assert told["price"] == ("123456789012345678.90" if is_exact(things) else 12)
    assert (told["ratio"], told["is_on"], told["day"]) == (-0.1, True, dt.date(2026, 11, 27))
    assert told["moment"].replace(microsecond=0) == dt.datetime(2026, 7, 1, 14)


def test_what_an_address_asks_wrongly_is_refused_in_words(things):
    wrong = {
        "xml/?": "not as “xml”",
        "csv/?columns=id,nothing": "There is no column “nothing”",
        "csv/?columns=secret_key": "There is no column “secret_key”",
        "csv/?columns=owner.secret_key": "There is no column “owner.secret_key”",
        "csv/?zone=Mars/Base": "There is no time zone “Mars/Base”",
        "csv/?values=odd": "“values” is labels or raw in the address of a file, not “odd”",
        "csv/?delimiter=,,": "“delimiter” is comma or semicolon or tab",
        "csv/?text__is=": None,
        "csv/?id__is=x": "“x”",
        "csv/?sort=nothing": "cannot be ordered by “nothing”",
        "csv/?rowid=1&rowid=x": "“x” is not a key",
    }
    for address, sentence in wrong.items():
        response = things.client.get(f"/admin/thing/export/{address}")
        assert response.status_code in ((400, 404) if sentence else (200, 400)), address
        assert (sentence or "") in response.text


def test_a_selection_is_exported_and_no_row_out_of_reach(make_site):
    class Even(Policy):
        def rows(self, principal, action, model):
            if model is not Thing:
                return None
            return Thing.id != (3 if action == "view" else 4)

        def may(self, principal, action, model=None, column=None):
            return True

    site = make_site(Base, policy=Even())
    site.admin.register(Thing, Things)
    fill(site)
    with site.session() as session:
        session.add(Thing(id=4))
        session.commit()
    assert [row["Id"] for row in csv_rows(site)] == ["1", "2"]
    assert [row["Id"] for row in csv_rows(site, "rowid=2&rowid=3")] == ["2"]
    assert [row["Id"] for row in csv_rows(site, "except=1")] == ["2"]


def test_a_name_of_a_file_reads_as_it_is_wherever_it_is_kept(make_site):
    site = make_site(Base)
    named = {"get_export_name": lambda self, export_type: 'Straße\r\n/"../№.csv'}
    site.admin.register(Thing, type("View", (Things,), named))
    header = get(site, "csv").headers["Content-Disposition"]
    assert header == (
        "attachment;filename=Strae_.._No.csv;filename*=UTF-8''Stra%C3%9Fe_.._%E2%84%96.csv"
    )


def test_excel_gets_its_mark_and_delimiter_where_they_are_asked_for(things):
    assert get(things, "csv", "columns=id,text&bom=1&delimiter=semicolon").data.startswith(
        "\ufeffId;Text\r\n1;'=1+1\r\n".encode()
    )
