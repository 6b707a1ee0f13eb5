"""A selection: some rows or all that match a list, counted and read in portions."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import inspection
from admin_app.errors import InvalidRequest, NotFound
from admin_app.listing import Listing, Selection, search_fields
from admin_app.listing.selection import MOST_KEYS


class Base(orm.DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"
    left: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    right: orm.Mapped[str] = orm.mapped_column(sa.String(9), primary_key=True)
    size: orm.Mapped[int]
    name: orm.Mapped[str]


class Blob(Base):
    __tablename__ = "blobs"
    key: orm.Mapped[bytes] = orm.mapped_column(sa.LargeBinary(8), primary_key=True)


ACROSS = Selection(query=(("size__gte", "2"), ("search", "thing")))
SIZES = {f"{n // 3},{'abc'[n % 3]}": n % 4 for n in range(30)}


@pytest.fixture
def session(database_url):
    engine = sa.create_engine(database_url)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        for text, size in SIZES.items():
            left, right = text.split(",")
            session.add(Thing(left=int(left), right=right, size=size, name=f"thing {text}"))
        session.add_all(Blob(key=bytes([n])) for n in range(5))
        session.commit()
        yield session


def listing(session, model=Thing, **options) -> Listing:
    mapper = inspection.mapper_of(model)
    fields = search_fields(mapper, ["name"] if model is Thing else [])
    return Listing(mapper, searchable=fields, dialect=session.get_bind().dialect.name, **options)


def read(selection, session, rows, size=4, after=None):
    """The keys of each portion, and the last cursor, which has been JSON in between."""
    text_of = inspection.identity_text(rows.mapper)
    portions = list(selection.portions(session, rows, size, after))
    found = [[text_of.of(instance) for instance in instances] for instances, _ in portions]
    return found, json.loads(json.dumps(portions[-1][1])) if portions else None


def test_all_that_match_come_in_portions_by_their_keys(session):
    portions, _ = read(ACROSS, session, listing(session))
    texts = [text for portion in portions for text in portion]
    assert sorted(texts) == sorted(text for text, size in SIZES.items() if size >= 2)
    assert [len(portion) for portion in portions] == [4, 4, 4, 2]


def test_a_portion_goes_on_behind_a_cursor_whatever_was_changed_before_it(session):
    rows = listing(session)
    first, cursor = next(ACROSS.portions(session, rows, 4))
    for thing in first:
        thing.size = 0
    session.flush()
    rest, _ = read(ACROSS, session, rows, after=json.loads(json.dumps(cursor)))
    assert [len(portion) for portion in rest] == [4, 4, 2]


def test_exceptions_are_left_out_and_counted_off(session):
    selection = Selection(query=(), excepted=("0,a", "9,c"))
    rows = listing(session)
    count = selection.count(session, rows)
    assert count is not None
    assert (count.number, count.is_exact) == (28, True)
    portions, _ = read(selection, session, rows)
    assert "0,a" not in portions[0]


def test_named_rows_are_read_and_go_on_behind_a_cursor(session):
    selection = Selection(keys=("9,c", "0,a", "0,b", "77,a"))
    rows = listing(session)
    assert selection.count(session, rows).number == 3
    portions, cursor = read(selection, session, rows, size=2)
    assert portions == [["0,a", "9,c"], ["0,b"]]
    assert read(selection, session, rows, size=2, after=2)[0] == [["0,b"]]
    assert read(selection, session, rows, after=cursor) == ([], None)


def test_rows_out_of_scope_are_in_no_selection(session):
    rows = listing(session, criteria=[Thing.size < 3])
    assert {SIZES[t] for portion in read(ACROSS, session, rows)[0] for t in portion} == {2}
    assert Selection(keys=("0,a", "1,a")).count(session, rows).number == 1


def test_keys_without_an_order_in_a_url_are_read_all_the_same(session):
    rows = listing(session, Blob)
    selection = Selection(query=(), excepted=("03",))
    portions, cursor = read(selection, session, rows, size=3)
    assert portions == [["00", "01", "02"], ["04"]]
    assert read(selection, session, rows, after="01")[0] == [["02", "04"]]


def test_five_thousand_keys_are_one_statement(session, statements):
    session.add_all(Thing(left=n, right="x", size=1, name="") for n in range(5_000))
    session.commit()
    selection = Selection(keys=tuple(f"{n},x" for n in range(5_000)))
    with statements(session.get_bind()) as seen:
        assert selection.count(session, listing(session)).number == 5_000
    assert len(seen) == 1


def test_a_filter_that_means_nothing_widens_no_selection(session):
    selection = Selection(query=(("colour__is", "red"),))
    with pytest.raises(InvalidRequest, match="not clear which rows are meant"):
        selection.statement(listing(session))


def test_keys_that_cannot_be_are_refused(session):
    rows = listing(session)
    with pytest.raises(NotFound):
        Selection(keys=("1",)).statement(rows)
    with pytest.raises(InvalidRequest, match="10,000"):
        Selection(keys=tuple(f"{n},x" for n in range(MOST_KEYS + 1))).statement(rows)


def test_a_selection_comes_back_from_json():
    for selection in (ACROSS, Selection(("1,a",)), Selection(query=(), excepted=("2",), matched=7)):
        text = json.dumps(selection.to_json())
        assert Selection.from_json(json.loads(text)) == selection
    for wrong in (None, [], "keys", {}, {"keys": "abc"}, {"query": [1]}, {"query": [["a"]]}):
        with pytest.raises(InvalidRequest):
            Selection.from_json(wrong)


def test_only_an_empty_list_of_keys_is_no_selection():
    assert not Selection()
    assert Selection(("1",))
    assert Selection(query=())
