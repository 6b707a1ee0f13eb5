"""Actions over chosen rows: how they are chosen, who may run what, what an action may answer."""

from __future__ import annotations

import html
import re

import flask
import pytest
import sqlalchemy as sa
import wtforms
from sqlalchemy import orm
from wtforms import validators

from admin_app import ModelView, Policy, action
from admin_app.actions import Message
from admin_app.changes import ChangeSetRecord, RowChangeRecord
from admin_app.errors import ConfigurationError


class Base(orm.DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    status: orm.Mapped[str]
    note: orm.Mapped[str | None]


class NoteForm(wtforms.Form):
    note = wtforms.StringField("Note", [validators.InputRequired("Say what to note.")])


class OrderView(ModelView):
    page_size = 20
    column_filters = ("status",)

    @action("ship", "Ship {rows}", "Ship the {rows}?")
    def action_ship(self, ids):
        for order in self.get_session().scalars(sa.select(Order).where(Order.id.in_(ids))):
            order.status = "shipped"

    @action("note", "Note…", form=NoteForm, on=("list", "row", "details"), takes="selection")
    def action_note(self, selection, form):
        rows = self.get_selected(selection, "change").with_only_columns(Order.id)
        values = {"note": form.note.data}
        done = self.get_session().execute(
            sa.update(Order).where(Order.id.in_(rows)).values(values),
            execution_options={"synchronize_session": False},
        )
        return Message(f"{done.rowcount} noted.", "info")

    @action("close", "Close", right="close_orders")
    def action_close(self, ids):
        for order in map(self.get_one, ids):
            order.status = "closed"
            self.get_session().commit()

    @action("csv", "As file")
    def action_csv(self, ids):
        return flask.Response(",".join(ids), content_type="text/csv")


class Clerk(Policy):
    def may(self, principal, action, model=None, column=None):
        return action not in ("close_orders", "delete")


@pytest.fixture
def shop(make_site):
    site = make_site(Base, history=True, policy=Clerk())
    site.admin.action("count", "Count {rows}", on="list")(lambda view, ids: str(len(ids)))
    site.register_all({Order: OrderView})
    with site.session() as session:
        rows = range(1, 61)
        session.add_all(Order(id=n, status="draft" if n % 3 else "sent") for n in rows)
        session.commit()
    return site


def post(shop, **data):
    return shop.client.post(shop.url(Order, "action"), data=data)


def shown(response):
    text = re.sub(r"<[^>]+>", " ", response.text)
    return " ".join(html.unescape(text).split())


def statuses(shop):
    with shop.session() as session:
        found = session.execute(sa.select(Order.status, sa.func.count()).group_by(Order.status))
        return dict(found.all())


def sets(shop):
    with shop.session() as session:
        records = session.scalars(sa.select(ChangeSetRecord).order_by(ChangeSetRecord.id))
        return [(r.source, r.row_count) for r in records]


ACROSS = {"across": "1", "q.status__is": "draft", "matched": "40"}


def test_the_list_offers_all_that_match_and_keeps_the_choice_while_paging(shop):
    page = shop.client.get(shop.url(Order, "list", status__is="draft"))
    assert "Select all 40 matching" in page.text
    url = html.unescape(re.search(r'href="([^"]+)" data-tick-across', page.text)[1])
    chosen = shop.client.get(url)
    assert "All 40 matching selected" in chosen.text
    assert chosen.text.count('aria-label="Tick Order') == chosen.text.count('" checked>') == 20
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', chosen.text)[1])
    assert "across=1" in following
    assert 'name="q.status__is" value="draft"' in shop.client.get(following).text


def test_actions_of_the_site_come_first_and_what_needs_a_right_is_hidden(shop):
    page = shop.client.get(shop.url(Order, "list")).text
    bar = page.split('id="action-form"')[1].split("</form>")[0]
    names = re.findall(r' value="(\w+)"', bar)
    assert [n for n in names if n not in ("edit", "export", "1")] == [
        "count",
        "csv",
        "note",
        "ship",
    ]
    assert "Ship orders" in page
    assert post(shop, action="close", rowid="1").status_code == 403
    assert statuses(shop) == {"draft": 40, "sent": 20}


def test_an_action_of_the_site_gets_the_view_and_the_keys(shop):
    assert post(shop, action="count", rowid=["1", "2"]).text == "2"
    assert post(shop, action="count", **ACROSS).text == "40"


def test_an_action_runs_over_all_that_match_but_for_the_exceptions(shop):
    sent = {"action": "ship", **ACROSS, "except": ["1", "2"], "shown": ["4", "5"], "rowid": ["4"]}
    asked = post(shop, **sent)
    assert "This runs over 37 orders: all that match, but for 3." in shown(asked)
    assert "Ship the orders?" in asked.text
    done = post(shop, confirmed="1", **sent)
    assert done.status_code == 302
    assert statuses(shop) == {"draft": 3, "sent": 20, "shipped": 37}
    assert sets(shop) == [("ship", 37)]


def test_before_it_runs_a_page_tells_that_another_number_match_now(shop):
    asked = post(shop, action="ship", **ACROSS)
    with shop.session() as session:
        session.add(Order(id=99, status="draft"))
        session.commit()
    again = post(shop, action="ship", confirmed="1", **ACROSS)
    assert (asked.status_code, again.status_code) == (200, 409)
    assert "Matched 40 when you looked, 41 now." in again.text
    assert 'name="matched" value="41"' in again.text
    assert "shipped" not in statuses(shop)


def test_what_an_action_wrote_is_one_change_that_can_be_undone(shop):
    client = shop.client
    data = {"action": "ship", "rowid": ["1", "2", "3"], "confirmed": "1"}
    page = client.post(shop.url(Order, "action"), data=data, follow_redirects=True)
    assert "“Ship orders” is done." in shown(page)
    assert "Undo" in shown(page)
    assert "data-used" in page.text
    client.post("/admin/history/undo/?id=1", data={"confirmed": "1"}, follow_redirects=True)
    assert statuses(shop) == {"draft": 40, "sent": 20}


def test_an_action_asks_for_its_input_and_says_what_is_wrong_with_it(shop):
    asked = post(shop, action="note", rowid="1")
    assert 'name="input-note"' in asked.text
    empty = post(shop, action="note", rowid="1", confirmed="1", **{"input-note": ""})
    assert (empty.status_code, "Say what to note." in empty.text) == (400, True)
    sent = {"action": "note", "confirmed": "1", "input-note": "by bike", **ACROSS}
    response = shop.client.post(shop.url(Order, "action"), data=sent, follow_redirects=True)
    assert "40 noted." in shown(response)
    assert sets(shop) == [("note", 40)]


def test_an_action_is_reviewed_with_its_input(shop):
    sent = {"action": "note", "rowid": "1", "confirmed": "1", "input-note": "x", "_review": "1"}
    assert "This will change 1 order" in shown(post(shop, **sent))
    assert sets(shop) == []


def test_what_an_action_commits_by_itself_is_recorded_commit_by_commit(shop):
    shop.admin.policy = Policy()
    assert post(shop, action="close", rowid=["1", "2"]).status_code == 302
    assert statuses(shop)["closed"] == 2
    assert sets(shop) == [("close", 1), ("close", 1)]
    with shop.session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(RowChangeRecord)) == 2


def test_an_action_stands_on_a_row_and_on_its_page(shop):
    page = shop.client.get(shop.url(Order, "list")).text
    assert 'name="one" value="note:2"' in page
    assert 'name="one" value="note:2"' in shop.client.get(shop.url(Order, "details", id=2)).text
    sent = {"one": "note:2", "rowid": ["4", "5"], "confirmed": "1", "input-note": "only"}
    post(shop, **sent)
    assert sets(shop) == [("note", 1)]


def test_a_file_is_what_the_visitor_gets(shop):
    response = post(shop, action="csv", rowid=["3", "1"])
    assert (response.mimetype, response.text) == ("text/csv", "3,1")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"action": "drop", "rowid": "1"}, 400),
        ({"action": "csv", "rowid": "x"}, 404),
        ({"action": "csv"}, 302),
        ({"rowid": "1"}, 302),
        ({"action": "csv", "across": "1", "q.colour__is": "red"}, 400),
        ({"action": "csv", "across": "1", "q.flt0_nothing": "red"}, 400),
        ({"one": "drop:1"}, 400),
    ],
)
def test_what_means_nothing_does_nothing_and_is_told(shop, data, status):
    assert post(shop, **data).status_code == status


def test_rows_that_are_gone_are_told(shop):
    assert "1 of the ticked rows are gone already" in shown(
        post(shop, action="ship", rowid=["1", "999"])
    )
    assert post(shop, action="ship", rowid="999", confirmed="1").status_code == 302


def test_without_actions_there_is_nothing_to_tick(make_site):
    view = type("Quiet", (OrderView,), {"can_run_actions": False})
    site = make_site(Base).register_all({Order: view})
    with site.session() as session:
        session.add(Order(status="draft"))
        session.commit()
    page = site.client.get(site.url(Order, "list")).text
    assert 'name="rowid"' not in page
    assert site.client.post(site.url(Order, "action"), data={"action": "csv"}).status_code == 403


def test_a_place_that_there_is_not_is_refused_at_once():
    with pytest.raises(ConfigurationError, match="list, row, details"):
        action("x", "X", on="menu")
    with pytest.raises(ConfigurationError, match="'ids' or 'selection'"):
        action("x", "X", takes="rows")
