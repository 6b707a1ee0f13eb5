"""The pages of a model, driven as a browser would, on both databases."""

from __future__ import annotations

import datetime as dt
import threading
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, action
from examples.fleet import models
from examples.fleet.models import Base, Customer, Depot, Driver, Order, OrderItem, Tag, Task

MODELS = sorted((m.class_ for m in Base.registry.mappers), key=lambda m: m.__name__)


def first(site, model):
    """The identity text of a row, the first by key."""
    view = site.admin.view_for(model)
    with site.session() as session:
        row = session.scalars(sa.select(model).order_by(*view.mapper.primary_key)).first()
        return view.get_pk_value(row)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_of_the_sample_has_working_pages(site, model):
    key = quote(first(site, model), safe="")
    base = site.url(model)
    for page in ("", "new/", f"details/?id={key}", f"edit/?id={key}", f"delete/?id={key}"):
        assert site.client.get(base + page).status_code == 200, page


@pytest.mark.parametrize("model", MODELS)
def test_saving_an_untouched_form_writes_nothing(site, model, controls, statements):
    url = site.url(model, "edit") + "?id=" + quote(first(site, model), safe="")
    sent = controls(site.client.get(url).text)
    with statements(site.engine) as seen:
        assert site.client.post(url, data=sent).status_code == 302
    assert [s for s in seen if not s.startswith("SELECT")] == []


@pytest.mark.parametrize("model", MODELS)
def test_a_list_costs_at_most_four_statements(own_site, model, statements):
    with statements(own_site.engine) as seen:
        assert own_site.client.get(own_site.url(model)).status_code == 200
    assert len(seen) <= 4


def test_a_list_of_every_attribute_costs_at_most_four_statements(own_site, statements):
    class Everything(ModelView):
        column_list = tuple(a.key for a in sa.inspect(Order).attrs)

    own_site.admin.register(Order, Everything, endpoint="everything")
    with statements(own_site.engine) as seen:
        assert own_site.client.get("/admin/everything/").status_code == 200
    assert len(seen) <= 4


HOSTILE = [
    "page=-1",
    "page=" + "9" * 30,
    "page=abc",
    "page=999999999",
    "page_size=" + "9" * 30,
    "page_size=-1",
    "sort=999",
    "sort=__class__",
    "sort=metadata",
    "sort=customer.__class__",
    "desc=x",
    "search=%00",
    "search=%25",
    "search=" + "9" * 40,
    "search=%22",
    "search=%ED%A0%80",
    "flt0_0=x",
    "flt=%00",
    "url=http://[",
]


@pytest.mark.parametrize("arguments", HOSTILE)
def test_no_argument_of_a_list_makes_it_fail(site, arguments):
    for model in (Order, OrderItem, Customer):
        assert site.client.get(f"{site.url(model)}?{arguments}").status_code in (200, 400)


IDS = ["abc", "9" * 25, "1,2", "1,2,3", "%00", "", "-1", "%F0%9F%9A%80", "1&id=2", ".", "%ED%A0%80"]


@pytest.mark.parametrize("key", IDS)
def test_no_key_in_a_url_makes_a_page_fail(site, key):
    for model in (Order, OrderItem, Customer, models.Specimen):
        for page in ("details", "edit", "delete"):
            url = f"{site.url(model, page)}?id={key}"
            assert site.client.get(url).status_code in (400, 404), (model, page)
            if page != "details":
                assert site.client.post(url).status_code in (400, 404), (model, page)
    data = {"action": "delete", "rowid": [key], "confirmed": "1"}
    assert site.client.post(site.url(Order, "action"), data=data).status_code in (302, 400, 404)


def test_a_missing_row_and_a_bad_key_are_told_in_a_sentence(site):
    response = site.client.get(site.url(Order, "details") + "?id=987654321")
    assert response.status_code == 404
    assert "There is no order “987654321”." in response.text


def test_a_row_is_created_with_what_was_typed(site):
    typed = {"name": " Brno – východ ", "code": "BRQ-X"}
    page = site.client.get(site.url(Depot, "create")).text
    for name in ("code", "name"):
        assert f'name="{name}"' in page
    fields = {"city": "Brno", "country": "CZ", "opens_at": "06:00", "closes_at": "18:30"}
    fields |= {"latitude": "49.19", "longitude": "16.64"}
    response = site.client.post(site.url(Depot, "create"), data={**fields, **typed})
    assert response.status_code == 302, response.text
    with site.session() as session:
        assert session.scalar(sa.select(Depot.name).filter_by(code="BRQ-X")) == " Brno – východ "


def test_only_what_was_sent_and_changed_is_written(site, statements):
    url = site.url(Order, "edit") + "?id=" + first(site, Order)
    with statements(site.engine) as seen:
        assert site.client.post(url, data={"note": "Ring twice"}).status_code == 302
    (update,) = [s for s in seen if s.startswith("UPDATE")]
    assert "note=" in update
    assert "status=" not in update


def test_a_refused_save_is_rolled_back_and_keeps_what_was_typed(site):
    with site.session() as session:
        one, other = session.scalars(sa.select(Order).order_by(Order.id).limit(2))
        taken, id_ = one.number, other.id
    url = f"{site.url(Order, 'edit')}?id={id_}"
    response = site.client.post(url, data={"number": taken, "note": "typed with care"})
    assert response.status_code == 400
    assert "Another row already has this value." in response.text
    assert "typed with care" in response.text
    assert "sqlalche" not in response.text
    with site.session() as session:
        assert session.get(Order, id_).number != taken


def test_a_value_that_does_not_fit_is_told_at_its_field(site):
    url = site.url(Order, "edit") + "?id=" + first(site, Order)
    response = site.client.post(url, data={"freight": "1.234", "placed_at": "yesterday"})
    assert response.status_code == 400
    assert "At most 2 decimal places can be stored." in response.text
    assert "This is not a date and time" in response.text
    assert 'value="1.234"' in response.text


def test_what_a_text_column_cannot_hold_is_told_at_its_field(site):
    url = site.url(Order, "edit") + "?id=" + first(site, Order)
    for text in ("a\0b", "\ud800"):
        data = {"note": text.encode("utf-8", "surrogatepass")}
        response = site.client.post(url, data=data)
        assert response.status_code in (302, 400)


def test_one_row_is_deleted_after_it_was_shown(site):
    with site.session() as session:
        session.add(Tag(name="soon gone"))
        session.commit()
        id_ = session.scalar(sa.select(Tag.id).filter_by(name="soon gone"))
    url = f"{site.url(Tag, 'delete')}?id={id_}"
    assert "soon gone" in site.client.get(url).text
    assert site.client.post(site.url(Tag, "delete"), data={"id": str(id_)}).status_code == 302
    with site.session() as session:
        assert session.get(Tag, id_) is None


def test_a_bulk_delete_asks_first_and_then_deletes_all(site):
    with site.session() as session:
        ids = [str(i) for i in session.scalars(sa.select(Task.id).limit(5))]
    data = {"action": "delete", "rowid": ids}
    asked = site.client.post(site.url(Task, "action"), data=data)
    assert asked.status_code == 200
    assert "Nothing has been changed yet." in asked.text
    done = site.client.post(site.url(Task, "action"), data={**data, "confirmed": "1"})
    assert done.status_code == 302
    with site.session() as session:
        assert session.scalars(sa.select(Task).where(Task.id.in_(map(int, ids)))).all() == []


def test_a_bulk_delete_that_the_database_refuses_deletes_nothing(site):
    with site.session() as session:
        session.add(Customer(code="ZZZ", name="Nobody Ltd"))
        session.commit()
        free = session.scalar(sa.select(Customer.id).filter_by(code="ZZZ"))
        used = session.scalar(sa.select(Order.customer_id).limit(1))
        before = session.scalar(sa.select(sa.func.count()).select_from(Customer))
    data = {"action": "delete", "rowid": [str(free), str(used)], "confirmed": "1"}
    response = site.client.post(site.url(Customer, "action"), data=data)
    assert response.status_code == 409
    with site.session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Customer)) == before


def test_a_delete_names_what_it_takes_along_and_what_blocks_it(site):
    response = site.client.get(f"{site.url(Customer, 'delete')}?id={first(site, Customer)}")
    assert "(by customer)" in response.text
    assert "stand in the way" in response.text


def test_a_search_takes_percent_and_underscore_literally(site):
    with site.session() as session:
        session.add_all([Tag(name="100% wool"), Tag(name="1000 wool")])
        session.commit()
    page = site.client.get(site.url(Tag) + "?search=0%25").text
    assert "100% wool" in page
    assert "1000 wool" not in page


def test_words_of_a_search_are_all_wanted_and_quotes_keep_a_phrase(site):
    with site.session() as session:
        session.add_all([Tag(name="very cold steel"), Tag(name="steel, not very cold")])
        session.commit()
    url = site.url(Tag) + "?search="
    assert site.client.get(url + "steel+cold").text.count("very cold") >= 2
    assert "not very cold" not in site.client.get(url + quote('"very cold steel"')).text


def test_a_list_is_ordered_by_name_and_by_the_old_position(site):
    named = site.client.get(site.url(Order) + "?sort=-id").text
    positional = site.client.get(site.url(Order) + "?sort=0&desc=1").text
    assert 'aria-sort="descending"' in named
    assert 'aria-sort="descending"' in positional


def test_pages_follow_each_other_without_repeating_a_row(site):
    view = site.admin.view_for(Order)
    seen: list[int] = []
    for number in range(4):
        with site.app.test_request_context(f"/?page={number}&page_size=50&sort=status"):
            listing = view.get_listing(paths=())
            state = listing.parse({"page": str(number), "page_size": "50", "sort": "status"})
            seen += [r.instance.id for r in listing.page(view.get_session(), state).rows]
    assert len(seen) == len(set(seen)) == 120


def test_a_picker_finds_rows_as_one_types_and_never_more_than_a_page(site):
    answer = site.client.get("/admin/order/lookup/customer/?q=").json
    assert len(answer["items"]) == 20
    assert answer["has_more"] is True
    text = answer["items"][3]["text"]
    found = site.client.get("/admin/order/lookup/customer/?q=" + quote(f'"{text}"')).json
    assert answer["items"][3] in found["items"]


@pytest.mark.parametrize("name", ["nothing", "id", "__class__", "metadata", "customer.name"])
def test_a_picker_answers_for_fields_of_its_form_only(site, name):
    assert site.client.get(f"/admin/order/lookup/{name}/?q=a").status_code == 404


def test_choosing_a_row_that_is_gone_is_told_at_the_field(site):
    url = site.url(Order, "edit") + "?id=" + first(site, Order)
    response = site.client.post(url, data={"customer": "987654"})
    assert response.status_code == 400
    assert "There is no row “987654” to choose" in response.text


def test_members_are_added_and_removed_one_by_one(site, statements):
    product = models.Product
    with site.session() as session:
        row = session.scalars(sa.select(product).where(product.tags.any())).first()
        tags = [t.id for t in row.tags]
        other = session.scalar(sa.select(Tag.id).where(Tag.id.not_in(tags)))
        id_ = row.id
    url = f"{site.url(product, 'edit')}?id={id_}"
    kept = ",".join(map(str, [*tags[1:], other]))
    assert site.client.post(url, data={"tags": kept}).status_code == 302
    with site.session() as session:
        assert {t.id for t in session.get(product, id_).tags} == {*tags[1:], other}


def test_a_field_that_was_not_sent_keeps_its_members(site):
    product = models.Product
    with site.session() as session:
        row = session.scalars(sa.select(product).where(product.tags.any())).first()
        id_, before = row.id, {t.id for t in row.tags}
    site.client.post(f"{site.url(product, 'edit')}?id={id_}", data={"name": "Renamed"})
    with site.session() as session:
        assert {t.id for t in session.get(product, id_).tags} == before


def test_a_hook_that_objects_rolls_back_and_is_heard(own_site):
    import wtforms

    class Strict(ModelView):
        def on_model_change(self, form, model, is_created):
            raise wtforms.ValidationError("Not on a Sunday.")

    own_site.admin.register(Tag, Strict, endpoint="strict")
    response = own_site.client.post("/admin/strict/new/", data={"name": "sunday"})
    assert "Not on a Sunday." in response.text
    with own_site.session() as session:
        assert session.scalar(sa.select(Tag).filter_by(name="sunday")) is None


def test_a_hook_that_breaks_saves_nothing_and_keeps_what_was_typed(own_site):
    class Broken(ModelView):
        def on_model_change(self, form, model, is_created):
            raise TypeError("a fault of the developer")

    own_site.admin.register(Tag, Broken, endpoint="broken")
    response = own_site.client.post("/admin/broken/new/", data={"name": "kept text"})
    assert response.status_code == 500
    assert "kept text" in response.text
    assert "application’s own code failed" in response.text.replace("&#39;", "’")


def test_an_action_gets_the_keys_that_were_ticked(own_site):
    got: list[list[str]] = []

    class Acting(ModelView):
        @action("note", "Note", None)
        def action_note(self, ids):
            got.append(list(ids))

    own_site.admin.register(Tag, Acting, endpoint="acting")
    response = own_site.client.post(
        "/admin/acting/action/", data={"action": "note", "rowid": ["1", "2"]}
    )
    assert response.status_code == 302
    assert got == [["1", "2"]]


def test_an_unknown_action_is_refused(site):
    data = {"action": "drop", "rowid": ["1"]}
    assert site.client.post(site.url(Tag, "action"), data=data).status_code == 400


def test_get_query_narrows_every_page(own_site):
    class Some(ModelView):
        def get_query(self):
            return super().get_query().filter(Driver.id == 2)

    own_site.admin.register(Driver, Some, endpoint="some")
    page = own_site.client.get("/admin/some/").text
    assert page.count('name="rowid"') == 1
    for path in ("details", "edit", "delete"):
        assert own_site.client.get(f"/admin/some/{path}/?id=2").status_code == 200
        assert own_site.client.get(f"/admin/some/{path}/?id=1").status_code == 404
    data = {"action": "delete", "rowid": ["1"], "confirmed": "1"}
    own_site.client.post("/admin/some/action/", data=data)
    with own_site.session() as session:
        assert session.get(Driver, 1) is not None


class Keys(orm.DeclarativeBase):
    pass


class Page(Keys):
    __tablename__ = "pages"
    path: orm.Mapped[str] = orm.mapped_column(sa.String(200), primary_key=True)
    text: orm.Mapped[str | None]


class Visit(Keys):
    __tablename__ = "visits"
    path: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("pages.path"), primary_key=True)
    at: orm.Mapped[dt.datetime] = orm.mapped_column(primary_key=True)
    seconds: orm.Mapped[float]


STRANGE = ["a.b,c", "/x/?q=1&r=2#top", "naïve é ü", "%2F", "a+b c", "..", "'\"<script>", "🚚"]


@pytest.mark.parametrize("path", STRANGE)
def test_a_string_key_with_any_sign_works_in_every_link_and_action(make_site, path):
    site = make_site(Keys).register_all()
    when = dt.datetime(2026, 2, 3, 4, 5, 6, 789)
    assert site.client.post(site.url(Page, "create"), data={"path": path}).status_code == 302
    with site.session() as session:
        session.add(Visit(path=path, at=when, seconds=1.5))
        session.commit()
    for model, identity in ((Visit, (path, when)), (Page, (path,))):
        for page in ("details", "edit", "delete"):
            assert site.client.get(site.url(model, page, identity=identity)).status_code == 200
        text = site.admin.view_for(model).get_pk_value
        with site.session() as session:
            key = text(session.get(model, identity))
        url = site.url(model, "edit", identity=identity)
        name, value = ("seconds", "2.5") if model is Visit else ("text", "changed")
        assert site.client.post(url, data={name: value}).status_code == 302
        data = {"action": "delete", "rowid": [key], "confirmed": "1"}
        site.client.post(site.url(model, "action"), data=data)
        with site.session() as session:
            assert session.get(model, identity) is None


class Words(orm.DeclarativeBase):
    pass


class Awkward(Words):
    """Columns named as WTForms and SQLAlchemy name their own things."""

    __tablename__ = "awkward"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    data: orm.Mapped[str | None]
    validate: orm.Mapped[int | None]
    errors: orm.Mapped[str | None]
    process: orm.Mapped[str | None]
    meta: orm.Mapped[str | None]
    populate_obj: orm.Mapped[str | None]
    query: orm.Mapped[str | None]
    type: orm.Mapped[str | None]
    metadata_: orm.Mapped[str | None] = orm.mapped_column("metadata")


def test_columns_may_be_named_as_the_form_names_its_own_things(make_site):
    site = make_site(Words).register_all()
    names = ["data", "errors", "process", "meta", "populate_obj", "query", "type", "metadata_"]
    values = {name: f"the {name}" for name in names}
    response = site.client.post(site.url(Awkward, "create"), data={**values, "validate": "7"})
    assert response.status_code == 302, response.text
    with site.session() as session:
        row = session.scalars(sa.select(Awkward)).one()
        assert {n: getattr(row, n) for n in names} == values
        assert row.validate == 7
    bad = site.client.post(site.url(Awkward, "edit", identity=(row.id,)), data={"validate": "x"})
    assert bad.status_code == 400


def test_a_save_waits_for_another_that_is_under_way(site):
    url = site.url(Order, "edit") + "?id=" + first(site, Order)
    answers: list[int] = []

    def save(note):
        answers.append(site.client.post(url, data={"note": note}).status_code)

    threads = [threading.Thread(target=save, args=(f"note {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [302] * 6


@pytest.mark.parametrize("model", MODELS)
def test_an_edit_form_costs_at_most_six_statements(site, model, statements):
    url = site.url(model, "edit") + "?id=" + quote(first(site, model), safe="")
    with statements(site.engine) as seen:
        assert site.client.get(url).status_code == 200
    assert len(seen) <= 6


def test_a_form_that_is_sent_ten_times_at_once_makes_one_row(site):
    data = {"name": "once only", "_form_token": "a token"}
    answers: list[tuple[int, str]] = []

    def send():
        response = site.client.post(site.url(Tag, "create"), data=data)
        answers.append((response.status_code, response.location))

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(302, "/admin/tag/")] * 10
    with site.session() as session:
        assert len(session.scalars(sa.select(Tag).filter_by(name="once only")).all()) == 1


def test_a_form_sent_again_with_other_values_is_another_form(site):
    for name in ("one", "other"):
        data = {"name": name, "_form_token": "a token"}
        assert site.client.post(site.url(Tag, "create"), data=data).status_code == 302
    with site.session() as session:
        names = session.scalars(sa.select(Tag.name).where(Tag.name.in_(["one", "other"])))
        assert set(names) == {"one", "other"}


def test_a_form_that_was_refused_can_be_sent_again(site):
    data = {"name": "", "_form_token": "a token"}
    assert site.client.post(site.url(Tag, "create"), data=data).status_code == 400
    assert site.client.post(site.url(Tag, "create"), data=data).status_code == 400
    data["name"] = "now with a name"
    assert site.client.post(site.url(Tag, "create"), data=data).status_code == 302


def test_a_delete_that_is_sent_twice_is_answered_twice(site):
    with site.session() as session:
        session.add(Tag(name="gone"))
        session.commit()
        id_ = session.scalar(sa.select(Tag.id).filter_by(name="gone"))
    data = {"id": str(id_), "_form_token": "a token"}
    for _ in range(2):
        assert site.client.post(site.url(Tag, "delete"), data=data).status_code == 302


def test_every_form_carries_a_token_of_its_own(site, controls):
    url = site.url(Tag, "create")
    one, other = (controls(site.client.get(url).text)["_form_token"] for _ in range(2))
    assert one != other


def test_the_catalogue_is_asked_once_for_many_pages(own_site):
    asked: list[str] = []

    def note(connection, cursor, statement, parameters, context, executemany) -> None:
        if "pg_catalog." in statement or " pg_class " in statement or "PRAGMA main" in statement:
            asked.append(statement)

    sa.event.listen(own_site.engine, "before_cursor_execute", note)
    for query in ("", "?search=a", "?sort=-freight"):
        assert own_site.client.get(own_site.url(Order) + query).status_code == 200
    first = len(asked)
    for query in ("", "?search=b", "?sort=-freight", "?sort=note"):
        assert own_site.client.get(own_site.url(Order) + query).status_code == 200
    sa.event.remove(own_site.engine, "before_cursor_execute", note)
    assert len(asked) == first > 0
