"""The history of the site: what was done by whom, and the way back."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, Policy, changes
from admin_app.changes import ChangeSetRecord, RowChangeRecord, audit, chain
from examples.fleet.models import Base, Customer, Driver, Order, OrderItem, Shipment
from tests.db.conftest import Site


@pytest.fixture
def site(fleet_url):
    return Site(fleet_url, history=True).register_all()


def rename(site, name, number=1):
    with site.engine.connect() as connection:
        assert connection.scalar(sa.select(Customer.id).where(Customer.id == number))
    response = site.client.post(
        site.url(Customer, "edit", id=number), data={"name": name}, follow_redirects=False
    )
    assert response.status_code == 302, response.text
    return response


def name_of(site, number=1):
    with site.engine.connect() as connection:
        return connection.scalar(sa.select(Customer.name).where(Customer.id == number))


def last(site):
    with site.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.max(ChangeSetRecord.id)))


def get(site, url, status=200):
    response = site.client.get(url)
    assert response.status_code == status, response.text
    return response.text


def undo(site, number, **data):
    return site.client.post(f"/admin/history/undo/?id={number}", data=data, follow_redirects=True)


def test_a_save_is_told_with_a_way_to_undo_it(site):
    client = site.client
    response = client.post(
        site.url(Customer, "edit", id=1), data={"name": "Renamed"}, follow_redirects=True
    )
    assert f'href="/admin/history/undo/?id={last(site)}"' in response.text


def test_the_history_is_a_list_like_any_other(site):
    rename(site, "Renamed")
    html = get(site, "/admin/history/")
    assert "Renamed" in html
    assert "Customers" in html
    assert "No changes match" in get(site, "/admin/history/?search=nobody-of-this-name")


def test_a_change_set_shows_each_row_before_and_after(site):
    before = name_of(site)
    rename(site, "<b>Renamed</b>")
    html = get(site, f"/admin/history/details/?id={last(site)}")
    assert "&lt;b&gt;Renamed&lt;/b&gt;</ins>" in html
    assert before in html


def test_the_history_of_a_row_is_reached_from_its_page(site):
    rename(site, "Renamed")
    html = get(site, site.url(Customer, "details", id=1))
    url = re.search(r'href="(/admin/history/row/[^"]*)"', html)[1].replace("&amp;", "&")
    page = get(site, url)
    assert "Renamed</ins>" in page
    assert "changed</span>" in page


def test_the_history_of_a_row_outlives_it(site):
    site.client.post(site.url(Customer, "create"), data={"code": "C-SHORT", "name": "Short"})
    with site.engine.connect() as connection:
        number = connection.scalar(sa.select(Customer.id).where(Customer.name == "Short"))
    site.client.post(site.url(Customer, "delete"), data={"id": number})
    page = get(site, f"/admin/history/row/?of=customer&id={number}")
    assert "This row is not there any more" in page
    assert "created</span>" in page
    assert "deleted</span>" in page


def test_an_undo_is_shown_before_it_is_done(site):
    before = name_of(site)
    rename(site, "Renamed")
    html = get(site, f"/admin/history/undo/?id={last(site)}")
    assert "Nothing has been changed yet" in html
    assert "will be taken back" in html
    arrow = '<span class="muted" aria-hidden="true">→</span>'
    assert f"<del>Renamed</del> {arrow} <ins>{before}</ins>" in html
    assert name_of(site) == "Renamed" != before


def test_an_undo_brings_back_what_was(site):
    before = name_of(site)
    rename(site, "Renamed")
    assert "One row is undone" in undo(site, last(site)).text
    assert name_of(site) == before


def test_an_undo_leaves_alone_what_was_changed_since(site):
    rename(site, "First")
    number = last(site)
    rename(site, "Second")
    assert "changed since" in get(site, f"/admin/history/undo/?id={number}")
    assert "nothing left to undo" in undo(site, number).text
    assert name_of(site) == "Second"


def test_a_conflict_is_overwritten_when_it_is_ticked(site):
    before = name_of(site)
    rename(site, "First")
    number = last(site)
    rename(site, "Second")
    page = get(site, f"/admin/history/undo/?id={number}")
    ticked = re.search(r'name="overwrite" value="(\d+)"', page)[1]
    undo(site, number, overwrite=ticked)
    assert name_of(site) == before


def test_a_deleted_order_comes_back_with_all_that_went_with_it(site):
    with site.engine.connect() as connection:
        shipped = sa.select(Shipment.order_id)
        number = connection.scalar(
            sa.select(sa.func.min(OrderItem.order_id)).where(OrderItem.order_id.not_in(shipped))
        )
        items = connection.scalar(sa.select(sa.func.count()).where(OrderItem.order_id == number))
    response = site.client.post(site.url(Order, "delete"), data={"id": number})
    assert response.status_code == 302
    with site.engine.connect() as connection:
        assert connection.scalar(sa.select(Order.id).where(Order.id == number)) is None
    undo(site, last(site))
    with site.engine.connect() as connection:
        assert connection.scalar(sa.select(Order.id).where(Order.id == number)) == number
        again = connection.scalar(sa.select(sa.func.count()).where(OrderItem.order_id == number))
    assert again == items > 0


def test_what_is_not_changed_leaves_no_history(site):
    rename(site, name_of(site))
    assert last(site) is None


@pytest.mark.parametrize(
    "path",
    [
        "details/?id=x",
        "details/?id=99999999",
        "undo/?id=-1",
        "undo/",
        "row/?of=nothing&id=1",
        "row/?of=customer&id=%00",
        "row/?of=customer&id=a,b",
        "row/",
    ],
)
def test_a_bad_address_is_answered_in_words(site, path):
    response = site.client.get(f"/admin/history/{path}")
    assert response.status_code in (400, 404)
    assert "Traceback" not in response.text


def reasons(site):
    with site.engine.connect() as connection:
        return connection.scalars(
            sa.select(ChangeSetRecord.reason).order_by(ChangeSetRecord.id)
        ).all()


def asking(fleet_url, how):
    view = type("Asking", (ModelView,), {"change_reason": how, "column_editable_list": ["name"]})
    return Site(fleet_url, history=True).register_all(views={Customer: view})


def test_a_reason_may_be_given_and_is_kept(fleet_url):
    site = asking(fleet_url, "optional")
    url = site.url(Customer, "edit", id=1)
    assert "<summary>Reason for the change</summary>" in get(site, url)
    site.client.post(url, data={"name": "First", "_reason": " asked by <phone> "})
    site.client.post(url, data={"name": "Second", "_reason": ""})
    assert reasons(site) == ["asked by <phone>", None]
    assert "asked by &lt;phone&gt;" in get(site, f"/admin/history/details/?id={last(site) - 1}")


def test_nothing_is_saved_without_a_reason_where_one_is_required(fleet_url):
    site = asking(fleet_url, "required")
    before = name_of(site)
    places = {
        site.url(Customer, "edit", id=1): {"name": "Renamed"},
        site.url(Customer, "delete", id=1): {"id": "1"},
        "/admin/customer/cell/?id=1&column=name": {"cell-name": "Renamed"},
        "/admin/customer/action/": {"action": "delete", "confirmed": "1", "rowid": "1"},
    }
    for url, data in places.items():
        answer = site.client.post(url, data={**data, "_reason": "  "}, follow_redirects=True)
        assert "Say why" in answer.text, url
        assert name_of(site) == before
    rename_url = site.url(Customer, "edit", id=1)
    site.client.post(rename_url, data={"name": "Renamed", "_reason": "wedding"})
    assert reasons(site) == ["wedding"]


def test_what_changes_nothing_needs_no_reason(fleet_url):
    site = asking(fleet_url, "required")
    url, name = site.url(Customer, "edit", id=1), name_of(site)
    assert 'aria-required="true" data-needed-by-change' in get(site, url)
    for data in ({"name": name}, {"name": name, "_reason": ""}, {}):
        assert "is saved" in site.client.post(url, data=data, follow_redirects=True).text
    cell = site.client.post("/admin/customer/cell/?id=1&column=name", data={"cell-name": name})
    assert cell.status_code == 302
    assert reasons(site) == []


def test_what_a_hook_changes_needs_a_reason(fleet_url, monkeypatch):
    site = asking(fleet_url, "required")
    change = lambda view, form, model, is_created: setattr(model, "phone", "1")  # noqa: E731
    monkeypatch.setattr(type(site.admin.view_for(Customer)), "on_model_change", change)
    answer = site.client.post(site.url(Customer, "edit", id=1), data={"name": name_of(site)})
    assert "Say why" in answer.text
    assert reasons(site) == []


def test_an_undo_asks_for_the_reason_that_the_view_demands(fleet_url):
    site = asking(fleet_url, "required")
    before = name_of(site)
    data = {"name": "Renamed", "_reason": "wedding"}
    site.client.post(site.url(Customer, "edit", id=1), data=data)
    number = last(site)
    assert 'name="_reason"' in get(site, f"/admin/history/undo/?id={number}")
    answer = undo(site, number, overwrite="77")
    assert (answer.status_code, name_of(site)) == (400, "Renamed")
    assert "Say why" in answer.text
    assert "One row is undone" in undo(site, number, _reason="called off").text
    assert (name_of(site), reasons(site)) == (before, ["wedding", "called off"])


def test_a_change_keeps_the_number_of_its_request(site):
    url = site.url(Customer, "edit", id=1)
    for name, given in [("A", "proxy-7f.3"), ("B", "<script>"), ("C", "x" * 65)]:
        site.client.post(url, data={"name": name}, headers={"X-Request-ID": given})
    with site.engine.connect() as connection:
        kept = connection.scalars(sa.select(ChangeSetRecord.request_id)).all()
    assert kept[0] == "proxy-7f.3"
    assert all(re.fullmatch("[0-9a-f]{8}", number) for number in kept[1:])
    assert "proxy-7f.3" in get(site, f"/admin/history/details/?id={last(site) - 2}")


def test_the_first_page_tells_what_was_changed_lately(site, statements):
    before = name_of(site)
    rename(site, "<i>Renamed</i>")
    undo(site, last(site))
    with statements(site.engine) as seen:
        html = get(site, "/admin/")
    assert len([s for s in seen if "admin_change_set" in s]) == 1
    assert "changed customer <a" in html
    assert "“&lt;i&gt;Renamed&lt;/i&gt;”</a>" in html
    assert "undid the change of customer <a" in html
    assert before not in html
    site.admin.policy = NoCustomers()
    assert "Recent changes" not in get(site, "/admin/")


def test_a_program_records_its_own_writes(site):
    with site.app.app_context(), site.admin.change_set("nightly import", model=Customer) as own:
        own.session.get(Customer, 1).name = "Renamed"
        own.session.execute(sa.update(Driver).values(phone=None))
    with orm.Session(site.engine) as session:
        kept = session.get(ChangeSetRecord, last(site))
        assert (kept.reason, kept.source, kept.model) == ("nightly import", "program", "customers")
        assert {r.table_name for r in kept.rows} == {"customers", "drivers"}


def test_a_program_records_its_own_session_outside_of_any_application(site):
    with orm.Session(site.engine) as session:
        with site.admin.change_set("by cron", session=session) as own, own.following_commits():
            for phone in ("1", "2"):
                session.execute(sa.update(Driver).where(Driver.id == 1).values(phone=phone))
                session.commit()
        assert [session.get(ChangeSetRecord, n).row_count for n in own.ids] == [1, 1]


def test_a_route_of_the_host_records_its_own_session_for_who_sends_the_request(site):
    with site.app.test_request_context():
        with site.admin.change_set("from the shop", session=site.db.session) as own:
            site.db.session.execute(sa.update(Driver).where(Driver.id == 1).values(phone="3"))
        assert site.db.session.get(ChangeSetRecord, own.id).actor == "Open access"


class NoCustomers(Policy):
    def may(self, principal, action, model=None, column=None):
        return model is not Customer and super().may(principal, action, model, column)


class NoDrivers(Policy):
    def may(self, principal, action, model=None, column=None):
        return (
            model is not Driver
            and column != "email"
            and super().may(principal, action, model, column)
        )


def test_rows_and_columns_that_one_may_not_see_are_not_in_the_history(make_site):
    site = make_site(Base, policy=NoDrivers(), history=True).register_all()
    with (
        site.app.app_context(),
        orm.Session(site.engine) as session,
        changes.change_set(
            session, None, "edit", mapper=sa.inspect(Customer), is_recorded=True
        ) as change_set,
    ):
        change_set.add(Customer(code="C-OPEN", name="Open", email="hidden@example.org"))
    html = get(site, f"/admin/history/details/?id={last(site)}")
    assert "Open" in html
    assert "hidden@example.org" not in html
    get(site, "/admin/history/row/?of=driver&id=1", 404)


class NoUndo(Policy):
    def may(self, principal, action, model=None, column=None):
        return not (action == "change" and model is Customer) and super().may(
            principal, action, model, column
        )


def test_what_one_may_not_change_one_may_not_undo(site):
    rename(site, "Renamed")
    site.admin.policy = NoUndo()
    assert site.client.get(f"/admin/history/undo/?id={last(site)}").status_code == 403
    assert undo(site, last(site)).status_code == 403
    assert name_of(site) == "Renamed"


def test_without_the_tables_of_the_history_saving_goes_on(site):
    with site.engine.begin() as connection:
        for record in (chain.DigestRecord, RowChangeRecord, ChangeSetRecord):
            record.__table__.drop(connection)
    rename(site, "Renamed")
    assert name_of(site) == "Renamed"
    assert "/admin/history/" not in get(site, "/admin/")


def test_old_changes_are_forgotten_on_request(site):
    rename(site, "First")
    with site.engine.begin() as connection:
        connection.execute(
            sa.update(ChangeSetRecord).values(at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        )
    rename(site, "Second")
    undo(site, last(site) - 1)
    with orm.Session(site.engine) as session:
        assert audit.prune(session, dt.datetime(2021, 1, 1, tzinfo=dt.UTC)) == 1
    with site.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(ChangeSetRecord)) == 1
        assert connection.scalar(sa.select(sa.func.count()).select_from(RowChangeRecord)) == 1


def test_the_list_of_changes_counts_changes(site):
    rename(site, "Renamed")
    count = len(reasons(site))
    assert f"{count} change{'' if count == 1 else 's'} " in get(site, "/admin/history/")


class FirstCustomers(Policy):
    def rows(self, principal, action, model):
        return Customer.id < 3 if model is Customer else None


def made_by(site, actor):
    with site.engine.begin() as connection:
        connection.execute(sa.update(ChangeSetRecord).values(actor_id=actor))


def test_changes_of_models_and_rows_out_of_reach_are_not_told(site):
    rename(site, "Far away", 5)
    number = last(site)
    made_by(site, "somebody else")
    assert "Far away" in get(site, "/admin/history/")
    for policy in (NoCustomers(), FirstCustomers()):
        site.admin.policy = policy
        assert "Far away" not in get(site, "/admin/history/")
        assert "Far away" not in get(site, "/admin/")
        for page in ("details", "undo"):
            answer = site.client.get(f"/admin/history/{page}/?id={number}")
            assert answer.status_code in (403, 404)


def test_rows_out_of_reach_are_left_out_of_a_change_that_one_may_see(site):
    rename(site, "Far away", 5)
    number = last(site)
    made_by(site, "somebody else")
    with site.engine.begin() as connection:
        connection.execute(sa.update(ChangeSetRecord).values(model="orders", label="an order"))
    site.admin.policy = FirstCustomers()
    html = get(site, f"/admin/history/details/?id={number}")
    assert "Far away" not in html
    assert "1 more that are not shown" in html
    assert site.client.post(f"/admin/history/undo/?id={number}").status_code == 403


def test_a_version_is_not_said_to_go_back(site):
    form = {"number": "2024-renamed"}
    assert site.client.post(f"{site.url(Order, 'edit')}?id=1", data=form).status_code == 302
    assert "<dt>Version</dt>" in get(site, f"/admin/history/details/?id={last(site)}")
    html = get(site, f"/admin/history/undo/?id={last(site)}")
    assert "2024-renamed" in html
    assert "<dt>Version</dt>" not in html
