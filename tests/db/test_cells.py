"""Cells of a list that are edited where they stand, one at a time and all of a page together."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
import sqlalchemy as sa
import wtforms
from flask_admin.form import SecureForm
from sqlalchemy import orm

from admin_app import ModelView, Policy
from examples.fleet.models import Customer, Order, OrderItem, OrderStatus, Task, Vehicle
from tests.db.conftest import Site

PIECE = {"X-Requested-With": "fetch"}


class Tasks(ModelView):
    column_list = ("title", "category", "due_on", "is_done", "driver", "order")
    column_editable_list = ("title", "category", "due_on", "is_done", "driver")
    column_default_sort = "id"


class Customers(ModelView):
    column_list = ("code", "name", "credit_limit")
    column_editable_list = ("code", "name", "credit_limit")
    column_default_sort = "id"


@pytest.fixture
def cells(fleet_url: str) -> Site:
    return Site(fleet_url).register_all({Task: Tasks, Customer: Customers})


def value(site: Site, column: Any, key: Any = 1) -> Any:
    with site.session() as session:
        return session.scalar(sa.select(column).where(column.class_.id == key))


def cell(site: Site, column: str, key: int = 1, model: Any = Task) -> str:
    return site.url(model).rstrip("/") + f"/cell/?id={key}&column={column}"


def save_one(site: Site, controls: Any, column: str, typed: Any, **kwargs: Any) -> Any:
    url = cell(site, column, **kwargs)
    sent = controls(site.client.get(url).text)
    return site.client.post(url, data={**sent, f"cell-{column}": typed}, headers=PIECE)


# One cell


def test_a_cell_leads_to_its_field(cells):
    page = cells.client.get(cells.url(Task)).text
    assert '<td data-cell="title"' in page
    assert 'href="/admin/task/cell/?column=title&amp;id=1"' in page


def test_a_list_without_editable_columns_has_none(site):
    page = site.client.get(site.url(Task)).text
    assert "data-cell" not in page
    assert "edit=1" not in page


def test_a_cell_has_the_field_of_the_form_and_nothing_else(cells, controls):
    sent = controls(cells.client.get(cell(cells, "category")).text)
    assert set(sent) - {"csrf_token"} == {"was", "cell-category"}


def test_a_script_gets_the_field_alone(cells):
    piece = cells.client.get(cell(cells, "title"), headers=PIECE).text
    assert "<html" not in piece
    assert 'name="cell-title"' in piece


def test_a_saved_cell_is_answered_as_it_stands_in_the_list(cells, controls):
    response = save_one(cells, controls, "title", "Sweep <the> yard")
    assert response.status_code == 200
    assert '<td data-cell="title"' in response.text
    assert "Sweep &lt;the&gt; yard" in response.text
    assert value(cells, Task.title) == "Sweep <the> yard"


def test_without_a_script_a_saved_cell_leads_back_to_the_list(cells, controls):
    url = cell(cells, "title") + "&url=/admin/task/%3Fsort%3Dtitle"
    sent = controls(cells.client.get(url).text)
    response = cells.client.post(url, data={**sent, "cell-title": "Swept"})
    assert (response.status_code, response.location) == (302, "/admin/task/?sort=title")


def test_a_cell_writes_its_column_alone(cells, controls, statements):
    with statements(cells.engine) as seen:
        save_one(cells, controls, "title", "Swept")
    (update,) = [s for s in seen if s.startswith("UPDATE")]
    assert update.startswith("UPDATE tasks SET title=")


def test_a_cell_saved_untouched_writes_nothing(cells, controls, statements):
    url = cell(cells, "due_on")
    sent = controls(cells.client.get(url).text)
    with statements(cells.engine) as seen:
        assert cells.client.post(url, data=sent, headers=PIECE).status_code == 200
    assert not [s for s in seen if s.startswith("UPDATE")]


def test_a_wrong_value_is_told_at_the_cell_and_kept(cells, controls):
    response = save_one(cells, controls, "due_on", "soon")
    assert response.status_code == 400
    assert 'value="soon"' in response.text
    assert 'id="cell-due_on-error"' in response.text


def test_what_the_table_forbids_is_told_at_the_cell(cells, controls):
    taken = value(cells, Customer.code, 2)
    response = save_one(cells, controls, "code", taken, model=Customer)
    assert response.status_code == 400
    assert "Another row already has this value." in response.text
    assert "data-flash" not in cells.client.get(cells.url(Customer)).text


def test_a_cell_that_somebody_else_changed_is_not_overwritten(cells, controls):
    url = cell(cells, "title")
    sent = controls(cells.client.get(url).text)
    with cells.session() as session:
        session.execute(sa.update(Task).values(title="Theirs").where(Task.id == 1))
        session.commit()
    response = cells.client.post(url, data={**sent, "cell-title": "Mine"}, headers=PIECE)
    assert response.status_code == 409
    assert "Somebody else has changed this" in response.text
    assert 'value="Mine"' in response.text
    assert value(cells, Task.title) == "Theirs"


def test_saving_again_puts_ones_own_value_in_the_place_of_theirs(cells, controls):
    url = cell(cells, "title")
    sent = controls(cells.client.get(url).text)
    with cells.session() as session:
        session.execute(sa.update(Task).values(title="Theirs").where(Task.id == 1))
        session.commit()
    again = controls(cells.client.post(url, data={**sent, "cell-title": "Mine"}).text)
    assert cells.client.post(url, data=again, headers=PIECE).status_code == 200
    assert value(cells, Task.title) == "Mine"


def test_a_change_to_another_column_is_no_conflict(cells, controls):
    url = cell(cells, "title")
    sent = controls(cells.client.get(url).text)
    with cells.session() as session:
        session.execute(sa.update(Task).values(details="Theirs").where(Task.id == 1))
        session.commit()
    response = cells.client.post(url, data={**sent, "cell-title": "Mine"}, headers=PIECE)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "column", ["id", "details", "order", "__class__", "metadata", "", "driver.id"]
)
def test_other_columns_have_no_field(cells, column):
    assert cells.client.get(cell(cells, column)).status_code == 404


@pytest.mark.parametrize("key", ["0", "abc", "", "1,2", "9" * 40])
def test_a_cell_of_no_row_is_not_found(cells, key):
    url = cells.url(Task).rstrip("/") + f"/cell/?id={key}&column=title"
    assert cells.client.get(url).status_code == 404
    assert cells.client.post(url, data={"cell-title": "x"}).status_code == 404


class OnlyTitles(Policy):
    def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
        return action != "change" or column in (None, "title")


class Viewers(Policy):
    def may(self, principal: Any, action: str, model: Any = None, column: Any = None) -> bool:
        return action == "view"


def test_the_policy_decides_column_by_column(fleet_url):
    site = Site(fleet_url, policy=OnlyTitles()).register_all({Task: Tasks})
    page = site.client.get(site.url(Task)).text
    assert set(re.findall('data-cell="([a-z_]+)"', page)) == {"title"}
    assert site.client.get(cell(site, "category")).status_code == 404
    sent = {"list_form_pk": "1", "category": "Pickup"}
    assert site.client.post("/admin/task/ajax/update/", data=sent).status_code == 403


def test_who_may_not_change_sees_text_and_is_refused(fleet_url):
    site = Site(fleet_url, policy=Viewers()).register_all({Task: Tasks})
    page = site.client.get(site.url(Task) + "?edit=1").text
    assert "data-cell" not in page
    assert "sheet-form" not in page
    assert site.client.get(cell(site, "title")).status_code == 403
    assert site.client.post(cell(site, "title"), data={"cell-title": "x"}).status_code == 403
    assert site.client.post("/admin/task/cells/", data={"key-0": "1"}).status_code == 403


def test_a_cell_wants_the_token_of_the_site(cells):
    cells.app.config["WTF_CSRF_ENABLED"] = True
    response = cells.client.post(cell(cells, "title"), data={"cell-title": "x"})
    assert response.status_code == 400
    assert value(cells, Task.title) != "x"


def test_all_plain_columns_can_be_opened(fleet_url):
    view = type("Open", (ModelView,), {"column_editable_all": True})
    site = Site(fleet_url).register_all({Vehicle: view})
    page = site.client.get(site.url(Vehicle)).text
    assert {"plate", "kind", "make", "model"} <= set(re.findall('data-cell="([a-z_]+)"', page))
    assert 'data-cell="id"' not in page


def test_what_the_form_only_shows_stays_shut(fleet_url):
    options = {"column_editable_all": True, "form_readonly_columns": ("plate",)}
    site = Site(fleet_url).register_all({Vehicle: type("Open", (ModelView,), options)})
    assert 'data-cell="plate"' not in site.client.get(site.url(Vehicle)).text
    assert site.client.get(cell(site, "plate", model=Vehicle)).status_code == 404


def test_what_the_form_of_a_row_only_shows_is_refused(fleet_url):
    class Closing(Tasks):
        def get_form_readonly_columns(self, model):
            return ("title",) if model is not None and model.id == 1 else ()

    site = Site(fleet_url).register_all({Task: Closing})
    assert site.client.get(cell(site, "title")).status_code == 403
    assert site.client.get(cell(site, "title", 2)).status_code == 200


def test_a_cell_has_the_validators_and_the_hooks_of_the_form(fleet_url, controls):
    class Checked(Tasks):
        form_args = {"title": {"validators": [wtforms.validators.Length(max=5)]}}

        def on_model_change(self, form, model, is_created):
            if model.title == "No":
                raise wtforms.ValidationError("Not that")

    site = Site(fleet_url).register_all({Task: Checked})
    assert "longer than 5" in save_one(site, controls, "title", "Too long").text
    assert "Not that" in save_one(site, controls, "title", "No").text


def test_a_host_with_secure_forms_can_edit_cells(fleet_url, controls):
    site = Site(fleet_url).register_all(
        {Task: type("Secure", (Tasks,), {"form_base_class": SecureForm})}
    )
    site.app.config["WTF_CSRF_ENABLED"] = True
    client, url = site.client, cell(site, "title")
    sent = controls(client.get(url).text)
    assert client.post(url, data={**sent, "cell-title": "New"}).status_code == 302
    sheet = controls(client.get(site.url(Task) + "?edit=1").text, "sheet-form")
    response = client.post("/admin/task/cells/", data={**sheet, "row-0-title": "Newer"})
    assert response.status_code == 302
    assert value(site, Task.title) == "Newer"


# All cells of a page


@pytest.fixture
def sheet(cells: Site, controls: Any) -> Any:
    """What a browser would send for the cells of a page: ``sheet(model, arguments)``."""

    def read(model: Any = Task, arguments: str = "") -> dict[str, Any]:
        page = cells.client.get(f"{cells.url(model)}?edit=1{arguments}").text
        return controls(page, "sheet-form")

    return read


def post(site: Site, sent: Any, model: Any = Task, arguments: str = "") -> Any:
    return site.client.post(f"{site.url(model)}cells/?edit=1{arguments}", data=sent)


def number(sent: Any, key: Any) -> str:
    """The number under which the row ``key`` stands in the form."""
    return next(n[4:] for n, v in sent.items() if n.startswith("key-") and v == [str(key)])


def test_two_rows_are_changed_by_one_save(cells, sheet):
    sent = sheet()
    sent[f"row-{number(sent, 1)}-title"] = "One"
    sent[f"row-{number(sent, 2)}-title"] = "Two"
    response = cells.client.post("/admin/task/cells/", data=sent, follow_redirects=True)
    assert "2 tasks are changed." in response.text
    assert (value(cells, Task.title, 1), value(cells, Task.title, 2)) == ("One", "Two")


def test_a_page_saved_untouched_writes_nothing_and_says_nothing(cells, sheet, statements):
    sent = sheet()
    with statements(cells.engine) as seen:
        response = post(cells, sent)
    assert response.status_code == 302
    assert not [s for s in seen if s.startswith(("UPDATE", "INSERT"))]
    assert "changed." not in cells.client.get(response.location).text


def test_only_changed_rows_are_written(cells, sheet, statements):
    sent = sheet()
    sent[f"row-{number(sent, 3)}-due_on"] = "2031-05-05"
    with statements(cells.engine) as seen:
        post(cells, sent)
    (update,) = [s for s in seen if s.startswith("UPDATE")]
    assert update.startswith("UPDATE tasks SET due_on=")


def test_the_number_of_statements_does_not_grow_with_the_cells(cells, sheet, statements):
    def cost(count: int) -> int:
        sent = sheet()
        for n in range(count):
            sent[f"row-{n}-title"] = f"Task {count} {n}"
            sent[f"row-{n}-driver"] = str(1 + (n + count) % 5)
        with statements(cells.engine) as seen:
            assert post(cells, sent).status_code == 302
        return len([s for s in seen if not s.startswith("UPDATE")])

    assert cost(20) <= cost(2) + 1


def test_a_page_of_cells_costs_what_the_list_costs(cells, statements):
    with statements(cells.engine) as plain:
        cells.client.get(cells.url(Task))
    with statements(cells.engine) as seen:
        cells.client.get(cells.url(Task) + "?edit=1")
    assert len(seen) <= len(plain)


def test_rows_are_found_by_key_in_whatever_order_they_stand(cells, sheet):
    sent = sheet(arguments="&sort=-id")
    last = number(sent, 1)
    with cells.session() as session:
        session.execute(sa.delete(Task).where(Task.id.in_([47, 48])))
        session.commit()
    sent[f"row-{last}-title"] = "The first"
    assert post(cells, sent).status_code == 302
    assert value(cells, Task.title, 1) == "The first"


def test_one_wrong_row_keeps_all_from_being_saved(cells, sheet):
    before = value(cells, Customer.name, 1)
    sent = sheet(Customer)
    sent[f"row-{number(sent, 1)}-name"] = "Renamed"
    sent[f"row-{number(sent, 2)}-code"] = value(cells, Customer.code, 3)
    response = post(cells, sent, Customer)
    assert response.status_code == 400
    assert value(cells, Customer.name, 1) == before


def test_errors_stand_at_their_cells_and_typed_values_stay(cells, sheet):
    sent = sheet(Customer)
    wrong, right = number(sent, 2), number(sent, 1)
    sent[f"row-{wrong}-credit_limit"] = "much"
    sent[f"row-{right}-name"] = "Renamed"
    page = post(cells, sent, Customer).text
    assert "<title>Error: Customers" in page
    assert f'href="#row-{wrong}-credit_limit"' in page
    assert f'id="row-{wrong}-credit_limit-error"' in page
    assert 'value="much"' in page
    assert 'value="Renamed"' in page


def test_every_error_of_a_page_is_told_at_once(cells, sheet):
    sent = sheet(Customer)
    for key in (1, 2):
        sent[f"row-{number(sent, key)}-code"] = value(cells, Customer.code, 3)
    assert post(cells, sent, Customer).text.count("already has this value.</p>") == 2


def test_two_rows_cannot_take_the_same_unique_value(cells, sheet):
    sent = sheet(Customer)
    for key in (1, 2):
        sent[f"row-{number(sent, key)}-code"] = "SAME"
    page = post(cells, sent, Customer).text
    assert page.count("already has this value.</p>") == 1


def test_what_a_hook_objects_to_is_told_for_its_row(fleet_url, controls):
    class Checked(Tasks):
        def on_model_change(self, form, model, is_created):
            if model.title == "No":
                raise wtforms.ValidationError("Not that")

    site = Site(fleet_url).register_all({Task: Checked})
    sent = controls(site.client.get(site.url(Task) + "?edit=1").text, "sheet-form")
    sent |= {"row-0-title": "No", "row-1-title": "Yes"}
    page = post(site, sent).text
    assert "Task 1: Not that" in re.sub("<[^>]+>", "", page)
    assert 'value="Yes"' in page
    assert value(site, Task.title, 2) != "Yes"


@pytest.mark.parametrize(
    "forged",
    [
        {"key-90": "", "row-90-title": "x", "was-90-title": "x"},
        {"row-90-title": "x", "was-90-title": "x"},
        {"key-90": "abc", "row-90-title": "x", "was-90-title": "x"},
        {"key-90": "1", "row-90-title": "x", "was-90-title": "x"},
        {"key-90": "31", "row-90-title": "x"},
        {"row-0-details": "x", "was-0-details": "x"},
        {"row-0-id": "99", "was-0-id": "x"},
    ],
)
def test_a_forged_row_is_refused_and_nothing_is_written(cells, sheet, forged):
    sent = {**sheet(), "row-1-title": "Changed", **forged}
    assert post(cells, sent).status_code == 400
    with cells.session() as session:
        assert session.scalar(sa.select(sa.func.count(Task.id))) == 48
        assert not session.scalars(sa.select(Task).where(Task.title.in_(["x", "Changed"]))).all()


def test_a_row_that_is_gone_is_told_and_nothing_is_saved(cells, sheet):
    sent = sheet()
    sent[f"row-{number(sent, 1)}-title"] = "Mine"
    sent[f"row-{number(sent, 2)}-title"] = "Mine too"
    with cells.session() as session:
        session.execute(sa.delete(Task).where(Task.id == 1))
        session.commit()
    page = post(cells, sent).text
    assert "It is gone" in page
    assert 'value="Mine too"' in page
    assert value(cells, Task.title, 2) != "Mine too"


def test_a_cell_of_a_page_that_somebody_else_changed_is_not_overwritten(cells, sheet, controls):
    sent = sheet()
    sent[f"row-{number(sent, 1)}-title"] = "Mine"
    with cells.session() as session:
        session.execute(sa.update(Task).values(title="Theirs").where(Task.id == 1))
        session.commit()
    page = post(cells, sent).text
    assert "Somebody else has changed this" in page
    assert 'value="Mine"' in page
    assert value(cells, Task.title) == "Theirs"
    assert post(cells, controls(page, "sheet-form")).status_code == 302
    assert value(cells, Task.title) == "Mine"


def test_what_others_changed_meanwhile_is_not_put_back(cells, sheet):
    sent = sheet()
    sent[f"row-{number(sent, 1)}-title"] = "Mine"
    with cells.session() as session:
        session.execute(sa.update(Task).values(category="Pickup", due_on=None).where(Task.id == 1))
        session.execute(sa.update(Task).values(title="Theirs").where(Task.id == 2))
        session.commit()
    assert post(cells, sent).status_code == 302
    assert value(cells, Task.due_on, 1) is None
    assert value(cells, Task.title, 2) == "Theirs"


def test_a_page_of_cells_keeps_the_state_of_its_list(cells, sheet):
    page = cells.client.get(cells.url(Task) + "?edit=1&search=a&sort=-title&page_size=20").text
    action = html.unescape(re.search('id="sheet-form" method="post" action="([^"]+)"', page)[1])
    sent = sheet(arguments="&search=a&sort=-title&page_size=20")
    location = cells.client.post(action, data={**sent, "row-0-title": "New"}).location
    assert set(location.partition("?")[2].split("&")) == {"search=a", "sort=-title", "page_size=20"}


def test_a_grouped_and_filtered_page_of_cells_is_shown_again(cells, sheet):
    arguments = "&group=category&sort=title&is_done__is=0&totals=order:count"
    sent = {**sheet(arguments=arguments), "row-0-title": "", "row-1-title": "Typed"}
    response = post(cells, sent, arguments=arguments)
    assert response.status_code == 400
    assert 'value="Typed"' in response.text


def test_pages_of_cells_have_no_bulk_actions(cells):
    page = cells.client.get(cells.url(Task) + "?edit=1").text
    assert 'name="rowid"' not in page
    assert 'id="action-form"' not in page


def test_rows_that_a_host_saves_himself_are_edited_one_by_one(fleet_url):
    class Own(Tasks):
        def update_model(self, form, model):
            return super().update_model(form, model)

    site = Site(fleet_url).register_all({Task: Own})
    page = site.client.get(site.url(Task) + "?edit=1").text
    assert "sheet-form" not in page
    assert "data-cell" in page


def test_rows_with_keys_of_several_columns_are_told_by_all_of_them(fleet_url, controls):
    view = type("Items", (ModelView,), {"column_editable_list": ("quantity",)})
    site = Site(fleet_url).register_all({OrderItem: view})
    sent = controls(site.client.get(site.url(OrderItem) + "?edit=1").text, "sheet-form")
    assert post(site, {**sent, "row-4-quantity": "4321"}, OrderItem).status_code == 302
    with site.session() as session:
        changed = session.scalars(sa.select(OrderItem).where(OrderItem.quantity == 4321)).one()
    assert sent["key-4"] == [f"{changed.order_id},{changed.product_id}"]


def test_times_and_versions_of_a_row_follow_the_save_of_its_cells(fleet_url, controls):
    view = type("Orders", (ModelView,), {"column_editable_list": ("status", "freight")})
    site = Site(fleet_url).register_all({Order: view})
    sent = controls(site.client.get(site.url(Order) + "?edit=1").text, "sheet-form")
    (key,) = sent["key-0"]
    before = value(site, Order.version, int(key))
    assert post(site, {**sent, "row-0-freight": "12.34"}, Order).status_code == 302
    assert value(site, Order.version, int(key)) == before + 1
    assert isinstance(value(site, Order.status, int(key)), OrderStatus)


# Mappings


class Base(orm.DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "shelf"
    code: orm.Mapped[str] = orm.mapped_column(sa.String(10), primary_key=True)


class Box(Base):
    __tablename__ = "box"
    label: orm.Mapped[str] = orm.mapped_column(sa.String(30), primary_key=True)
    shelf_code: orm.Mapped[str | None] = orm.mapped_column(sa.ForeignKey(Shelf.code))
    facts: orm.Mapped[Any] = orm.mapped_column(sa.JSON, nullable=True)
    data: orm.Mapped[str] = orm.mapped_column(sa.Text, default="")


@pytest.fixture
def boxes(make_site: Any) -> Site:
    view = type("Boxes", (ModelView,), {"column_editable_list": ("shelf_code", "facts", "data")})
    site = make_site(Base).register_all({Box: view})
    with site.session() as session:
        session.add_all([Shelf(code=f"S{n}") for n in range(9)])
        session.flush()
        session.add_all(
            [Box(label=f"a/{n} &%", shelf_code=f"S{n}", facts={"n": n}) for n in range(8)]
        )
        session.commit()
    return site


def test_foreign_keys_without_relationship_cost_no_statement_each(boxes, statements, controls):
    with statements(boxes.engine) as seen:
        page = boxes.client.get(boxes.url(Box) + "?edit=1").text
    assert len(seen) <= 4
    sent = controls(page, "sheet-form")
    assert sent["row-3-shelf_code"] == ["S3"]
    assert post(boxes, {**sent, "row-3-shelf_code": "S8"}, Box).status_code == 302


def test_json_is_edited_in_a_cell_of_its_own(boxes, controls):
    page = boxes.client.get(boxes.url(Box) + "?edit=1").text
    assert "row-0-facts" not in page
    url = f"{boxes.url(Box)}cell/?id=a%2F1%20%26%25&column=facts"
    sent = controls(boxes.client.get(url).text)
    response = boxes.client.post(url, data={**sent, "cell-facts": '{"n": 70}'}, headers=PIECE)
    assert response.status_code == 200
    with boxes.session() as session:
        assert session.get(Box, "a/1 &%").facts == {"n": 70}


def test_keys_with_signs_of_addresses_lead_to_their_cells(boxes):
    page = boxes.client.get(boxes.url(Box)).text
    links = re.findall('href="([^"]+column=data[^"]+)"', page)
    assert len(links) == 8
    assert all(boxes.client.get(html.unescape(link)).status_code == 200 for link in links)
