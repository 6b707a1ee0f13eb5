"""Fields of many rows edited together: what it does to the rows, and the way through its pages."""

from __future__ import annotations

import html
import re
from decimal import Decimal

import pytest
import sqlalchemy as sa
import wtforms
from sqlalchemy import orm

from admin_app import ModelView, Policy, inspection, jobs
from admin_app.changes import ChangeSetRecord, RowChangeRecord, change_set
from admin_app.changes.alterations import Alteration, Alterer
from admin_app.database import Base as OwnBase


class Base(orm.DeclarativeBase):
    pass


tagged = sa.Table(
    "tagged",
    Base.metadata,
    sa.Column("order_id", sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id"), primary_key=True),
)


class Tag(Base):
    __tablename__ = "tags"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Customer(Base):
    __tablename__ = "customers"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]


class Order(Base):
    __tablename__ = "orders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    number: orm.Mapped[str] = orm.mapped_column(sa.String(20), unique=True)
    status: orm.Mapped[str] = orm.mapped_column(sa.String(10))
    note: orm.Mapped[str | None] = orm.mapped_column(sa.String(20))
    price: orm.Mapped[Decimal] = orm.mapped_column(sa.Numeric(8, 2))
    weight: orm.Mapped[int | None]
    version: orm.Mapped[int] = orm.mapped_column()
    customer_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("customers.id"))
    customer: orm.Mapped[Customer | None] = orm.relationship()
    tags: orm.Mapped[list[Tag]] = orm.relationship(secondary=tagged, order_by="Tag.id")

    __mapper_args__ = {"version_id_col": version}
    __table_args__ = (sa.CheckConstraint("price <> 113", name="luck"),)


class Loud(Base):
    __tablename__ = "loud"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    word: orm.Mapped[str]

    @orm.validates("word")
    def shout(self, key, value):
        if value == "hush":
            raise ValueError("Louder.")
        return value.upper()


def fill(session):
    session.add_all([Tag(id=1, name="fragile"), Tag(id=2, name="heavy")])
    session.add_all([Customer(id=1, name="Ana"), Customer(id=2, name="Bob")])
    session.flush()
    session.add_all(
        Order(
            id=n,
            number=f"N{n}",
            status="draft" if n > 3 else "sent",
            note=None if n % 2 else f"note {n}",
            price=n,
            customer_id=1 if n < 5 else None,
        )
        for n in range(1, 41)
    )
    session.flush()
    session.execute(sa.insert(tagged), [{"order_id": 1, "tag_id": 1}])
    session.add_all(Loud(id=n, word=f"W{n}") for n in (1, 2))
    session.commit()


@pytest.fixture
def session(database_url):
    engine = sa.create_engine(database_url)
    Base.metadata.create_all(engine)
    OwnBase.metadata.create_all(engine)
    with orm.Session(engine) as session:
        fill(session)
        yield session


def alter(session, *alterations, model=Order, check=None, hook=None):
    rows = session.scalars(sa.select(model).order_by(model.id)).all()
    made = Alterer(session, inspection.mapper_of(model), alterations, check, hook)
    with change_set(session, mapper=made.mapper, is_recorded=True):
        done = made.alter(rows)
    session.expire_all()
    return made, done


def values(session, key, model=Order):
    return session.scalars(sa.select(getattr(model, key)).order_by(model.id)).all()


def test_values_are_set_emptied_and_counted_with_and_versions_go_on(session):
    _, done = alter(
        session,
        Alteration("status", "set", "sent"),
        Alteration("price", "add", Decimal("0.50")),
        Alteration("note", "append", "!"),
        Alteration("customer", "clear"),
    )
    assert (done.changed, done.refused) == (40, [])
    assert set(values(session, "status")) == {"sent"}
    assert values(session, "price")[:2] == [Decimal("1.50"), Decimal("2.50")]
    assert values(session, "note")[:2] == ["!", "note 2!"]
    assert set(values(session, "customer_id")) == {None}
    assert set(values(session, "version")) == {2}


def test_many_rows_take_few_statements_with_their_history(session, statements):
    session.add_all(Order(id=n, number=f"N{n}", status="draft", price=1) for n in range(100, 1_100))
    session.commit()
    rows = session.scalars(sa.select(Order)).all()
    made = Alterer(session, Order.__mapper__, [Alteration("status", "set", "late")])
    recorded = change_set(session, mapper=Order.__mapper__, is_recorded=True)
    with statements(session.get_bind()) as seen, recorded:
        assert made.alter(rows).changed == 1_040
    assert made.is_set_based
    assert len(seen) < 15
    assert session.scalar(sa.select(sa.func.count()).select_from(RowChangeRecord)) == 1_040


def test_a_row_that_the_database_refuses_is_told_and_the_others_are_changed(session):
    _, done = alter(session, Alteration("price", "add", Decimal(103)))
    ((instance, refusal),) = done.refused
    assert (instance.id, done.changed) == (10, 39)
    assert "luck" in str(refusal.fields)
    assert values(session, "price")[8:11] == [112, 10, 114]


def test_members_are_gained_and_lost_by_those_that_lack_or_have_them(session):
    tags = session.scalars(sa.select(Tag).order_by(Tag.id)).all()
    made, done = alter(session, Alteration("tags", "gain", tags))
    assert made.is_set_based
    assert done.changed == 40
    assert {len(order.tags) for order in session.scalars(sa.select(Order))} == {2}
    _, done = alter(session, Alteration("tags", "lose", tags[:1]))
    assert done.changed == 40
    assert {order.tags[0].name for order in session.scalars(sa.select(Order))} == {"heavy"}


def test_a_value_that_is_not_accepted_is_told_at_its_row(session):
    def check(key, value):
        if len(value) > 8:
            raise ValueError("Too long.")

    _, done = alter(session, Alteration("note", "prepend", "my "), check=check)
    assert [i.id for i, _ in done.refused] == list(range(2, 41, 2))
    assert done.refused[0][1].fields == {"note": ["Too long."]}
    assert values(session, "note")[:2] == ["my ", "note 2"]


def test_validators_and_hooks_see_every_row(session):
    seen = []
    made, done = alter(
        session, Alteration("word", "set", "more"), model=Loud, hook=lambda one: seen.append(one.id)
    )
    assert (made.is_set_based, done.changed, seen) == (False, 2, [1, 2])
    assert values(session, "word", Loud) == ["MORE", "MORE"]
    _, done = alter(session, Alteration("word", "set", "hush"), model=Loud)
    assert [refusal.sentence for _, refusal in done.refused] == ["Louder.", "Louder."]


# Pages


class OrderView(ModelView):
    column_filters = ("status",)
    form_args = {"note": {"validators": [wtforms.validators.Length(max=12)]}}


class Clerk(Policy):
    def may(self, principal, action, model=None, column=None):
        return (action, column) != ("change", "price")


@pytest.fixture
def shop(make_site):
    site = make_site(Base, history=True, policy=Clerk()).register_all({Order: OrderView})
    with site.session() as session:
        fill(session)
    return site


def post(shop, model=Order, **data):
    return shop.client.post(shop.url(model, "action"), data={"action": "edit", **data})


def shown(response):
    text = re.sub(r"<[^>]+>", " ", response.text)
    return " ".join(html.unescape(text).split())


ACROSS = {"across": "1", "q.status__is": "draft", "matched": "37"}
SENT = {"do-status": "set", "set-status": "sent"}


def test_the_form_offers_what_can_be_done_to_each_field(shop):
    page = post(shop, rowid=["1", "2"])
    assert "Edit 2 orders" in shown(page)
    offered = dict.fromkeys(re.findall(r'name="do-(\w+)"', page.text))
    assert list(offered) == ["status", "note", "weight", "customer", "tags"]
    assert " required" not in page.text.split('id="bulk-form"')[1]


def test_the_preview_tells_by_the_values_that_there_are(shop):
    page = post(shop, step="preview", rowid=["2", "3", "4", "5"], **SENT)
    assert "2 draft → becomes sent" in shown(page)
    assert "2 sent already" in shown(page)
    assert "Change 2 orders" in shown(page)
    with shop.session() as session:
        assert values(session, "status")[3] == "draft"


def test_all_that_match_are_changed_as_one_change_that_can_be_undone(shop):
    sent = {"step": "apply", **ACROSS, **SENT, "do-customer": "set", "set-customer": "2"}
    assert post(shop, **sent).status_code == 302
    with shop.session() as session:
        assert set(values(session, "status")) == {"sent"}
        assert values(session, "customer_id")[2:5] == [1, 2, 2]
        record = session.scalars(sa.select(ChangeSetRecord)).one()
        assert (record.source, record.row_count) == ("bulk_edit", 37)
    shop.client.post("/admin/history/undo/?id=1", data={"confirmed": "1"})
    with shop.session() as session:
        assert values(session, "status").count("draft") == 37


def test_rows_that_cannot_be_changed_are_told_and_nothing_or_the_others_are_changed(shop):
    sent = {"do-note": "append", "set-note": " is long", "rowid": ["1", "2", "3"]}
    page = shown(post(shop, step="preview", **sent))
    assert "Cannot be changed 1" in page
    assert "Note: Field cannot be longer than 12 characters." in page
    assert post(shop, step="apply", **sent).status_code == 409
    done = post(shop, step="apply", failing="others", **sent)
    assert "2 orders are changed." in shown(done)
    assert "Not changed 1" in shown(done)
    with shop.session() as session:
        assert values(session, "note")[:3] == [" is long", "note 2", " is long"]


def test_what_is_wrong_with_the_form_is_told_at_its_fields(shop):
    nothing = post(shop, step="preview", rowid="1")
    assert (nothing.status_code, "Say for at least one field" in nothing.text) == (400, True)
    wrong = {"do-weight": "add", "set-weight": "x", "do-status": "set", "set-status": ""}
    page = post(shop, step="preview", rowid="1", **wrong)
    assert page.status_code == 400
    assert page.text.count('class="error"') == 2
    assert post(shop, step="apply", rowid="1", **{"do-status": "add"}).status_code == 400
    assert post(shop, step="preview", rowid="x", **SENT).status_code == 404


def test_a_field_that_may_not_be_changed_is_left_alone_whatever_is_sent(shop):
    sent = {"do-price": "set", "set-price": "99", "do-version": "set", "set-version": "9", **SENT}
    post(shop, step="apply", rowid="5", **sent)
    with shop.session() as session:
        order = session.get(Order, 5)
        assert (order.status, order.price, order.version) == ("sent", 5, 2)


def test_an_edit_of_many_rows_is_reviewed_row_by_row(shop):
    page = post(shop, step="apply", rowid=["4", "5"], _review="1", **SENT)
    assert "This will change 2 orders" in shown(page)
    with shop.session() as session:
        assert values(session, "status")[3] == "draft"


@pytest.fixture
def long_from_ten(shop, monkeypatch):
    """From ten rows on a job does it, in the same process."""
    shop.app.config["ADMIN_JOBS"] = "inline"
    monkeypatch.setattr(jobs, "IS_LONG", 10)
    return shop


def test_a_job_edits_many_rows_and_lists_those_that_it_could_not(long_from_ten):
    sent = {**ACROSS, "do-note": "append", "set-note": " of order"}
    assert "A job does it" in shown(post(long_from_ten, step="preview", **sent))
    assert "/jobs/" in post(long_from_ten, step="apply", **sent).location
    with long_from_ten.session() as session:
        job = session.scalars(sa.select(jobs.Job)).one()
        assert (job.state, job.label) == ("done", "Change 37 orders")
        refused = session.scalars(sa.select(jobs.FailureRecord.sentence)).all()
        assert job.failed == len(refused) > 0
        assert "Note: Field cannot be longer than 12 characters." in refused
        assert values(session, "note").count(" of order") == 18
        record = session.scalars(sa.select(ChangeSetRecord)).one()
        assert (record.source, record.job_id) == ("bulk_edit", job.id)


def test_a_job_deletes_many_rows(long_from_ten):
    url = long_from_ten.url(Order, "action")
    asked = long_from_ten.client.post(url, data={"action": "delete", **ACROSS})
    assert "Delete 37 orders?" in shown(asked)
    data = {"action": "delete", "confirmed": "1", **ACROSS}
    assert long_from_ten.client.post(url, data=data).status_code == 302
    with long_from_ten.session() as session:
        assert values(session, "id") == [1, 2, 3]
        assert session.scalars(sa.select(jobs.Job.state)).all() == ["done"]


def test_rows_that_may_be_seen_and_not_changed_are_left_out_and_told(shop):
    class Half(Clerk):
        def rows(self, principal, action, model):
            return Order.id < 21 if action == "change" and model is Order else None

    shop.admin.policy = Half()
    page = post(shop, **ACROSS)
    assert "Of the 37 that match you may change 17." in page.text
    assert post(shop, step="apply", **{**ACROSS, "matched": "17"}, **SENT).status_code == 302
    with shop.session() as session:
        assert values(session, "status").count("draft") == 20


def test_more_match_than_when_one_looked_so_it_is_asked_again(shop):
    again = post(shop, step="apply", **{**ACROSS, "matched": "30"}, **SENT)
    assert again.status_code == 409
    assert "Matched 30 when you looked, 37 now." in again.text
