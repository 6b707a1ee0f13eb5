"""The lists of an application written for Flask-Admin."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from typing import Any

import pytest
import wtforms
from flask_admin.contrib.sqla.filters import BaseSQLAFilter, FilterEqual, FilterLike
from flask_admin.model.template import (
    macro,
)
from markupsafe import Markup

from admin_app import ModelView
from tests.db.drop_in import Host, Post, Scoped, table

# Columns


def test_columns_are_named_by_text_by_attribute_and_by_dots(host):
    class View(ModelView):
        column_list = ("title", Post.kind, "author.name", "author.email")
        column_labels = {"title": "Headline", "author.name": "Writer"}

    view = host.add(View)
    assert [label for _, label in view._list_columns][:3] == ["Headline", "Kind", "Writer"]
    assert "Ada" in table(host.get("/admin/post/"))


def test_excluded_columns_are_left_out(host):
    class View(ModelView):
        column_exclude_list = ["title", "author"]

    names = [name for name, _ in host.add(View)._list_columns]
    assert "title" not in names
    assert "author" not in names
    assert "kind" in names


def test_a_formatter_is_called_with_view_context_model_and_name(host):
    seen = []

    def show(view, context, model, name):
        seen.append((view.endpoint, context["admin_view"].endpoint, name))
        return Markup("<i>{}</i>").format(model.title)

    class View(ModelView):
        column_list = ["title"]
        column_formatters = {"title": show}

    host.add(View)
    assert "<i>First</i>" in host.get("/admin/post/")
    assert seen[0] == ("post", "post", "title")


def test_what_a_formatter_returns_as_text_is_escaped(host):
    class View(ModelView):
        column_formatters = {"title": lambda v, c, m, p: f"<b>{m.title}</b>"}

    host.add(View)
    assert "&lt;b&gt;First&lt;/b&gt;" in host.get("/admin/post/")


def test_a_formatter_may_be_a_macro_of_the_hosts_template(host):
    host.template(
        "posts.html",
        "{% extends 'admin/model/list.html' %}"
        "{% macro shout(model, column) %}<b>{{ model[column]|upper }}!</b>{% endmacro %}",
    )

    class View(ModelView):
        list_template = "posts.html"
        column_formatters = {"title": macro("shout")}

    host.add(View)
    assert "<b>FIRST!</b>" in host.get("/admin/post/")


def test_formatters_of_the_details_page_are_its_own(host):
    class View(ModelView):
        can_view_details = True
        column_formatters = {"title": lambda v, c, m, p: "on the list"}
        column_formatters_detail = {"title": lambda v, c, m, p: "in detail"}

    host.add(View)
    assert "on the list" in host.get("/admin/post/")
    assert "in detail" in host.get("/admin/post/details/?id=1")


def test_type_formatters_are_taken_with_two_and_with_three_arguments(host):
    class View(ModelView):
        column_list = ["day", "is_open"]
        column_type_formatters = {
            dt.date: lambda view, value: value.strftime("%d.%m.%Y"),
            bool: lambda view, value, name: f"{name}={value}",
        }

    host.add(View)
    shown = table(host.get("/admin/post/"))
    assert "06.05.2024" in shown
    assert "is_open=True" in shown


def test_choices_give_values_their_words(host):
    class View(ModelView):
        column_choices = {"kind": [("a", "Article"), ("b", "Brief")]}

    host.add(View)
    assert table(host.get("/admin/post/")).count("Brief") == 2


def test_a_column_that_only_a_formatter_knows_is_shown(host):
    class View(ModelView):
        column_list = ["title", "size"]
        column_formatters = {"size": lambda v, c, m, p: f"{len(m.title)} letters"}

    host.add(View)
    assert "6 letters" in host.get("/admin/post/")


# Order


@pytest.mark.parametrize(
    ("order", "titles"),
    [
        ("title", ["First", "Second", "Third"]),
        (("title", True), ["Third", "Second", "First"]),
        ([("kind", True), ("title", True)], ["Third", "Second", "First"]),
        ([("kind", True), ("title", False)], ["Second", "Third", "First"]),
    ],
)
def test_every_form_of_a_default_order_is_taken(host, order, titles):
    class View(ModelView):
        column_list = ["title"]
        column_default_sort = order

    host.add(View)
    assert host.titles("/admin/post/") == titles


def test_a_sortable_column_may_stand_for_others(host):
    class View(ModelView):
        column_list = ["title", "author", "kind"]
        column_sortable_list = ["title", ("author", "author.name"), ("kind", ("kind", "title"))]

    host.add(View)
    assert host.titles("/admin/post/?sort=author&desc=1")[-2:] == ["Second", "First"] or (
        host.titles("/admin/post/?sort=author&desc=1")[:2] == ["Second", "First"]
    )
    assert host.titles("/admin/post/?sort=-kind") == ["Third", "Second", "First"]


def test_old_links_with_the_number_of_a_column_order_the_list(host):
    class View(ModelView):
        column_list = ["kind", "title"]

    host.add(View)
    assert host.titles("/admin/post/?sort=1&desc=1") == ["Third", "Second", "First"]


# Search and filters


def test_searchable_columns_may_be_dotted_or_attributes(host):
    class View(ModelView):
        column_searchable_list = ["author.name", Post.title]

    host.add(View)
    assert host.titles("/admin/post/?search=ada") == ["First"]
    assert host.titles("/admin/post/?search=third") == ["Third"]


class IsCheap(BaseSQLAFilter):
    def apply(self, query, value, alias=None):
        return query.filter(self.get_column(alias) < decimal.Decimal(value))

    def operation(self):
        return "cheaper than"


class OldStyle(BaseSQLAFilter):
    def apply(self, query, value):
        return query.filter(self.column == value)

    def operation(self):
        return "is"


class Filtered(ModelView):
    column_list = ["title"]
    column_filters = [
        "kind",
        "author.name",
        IsCheap(Post.price, "Price"),
        OldStyle(Post.title, "Headline"),
        FilterLike("author.email", "Mail"),
        FilterEqual(Post.is_open, "Open", options=[("1", "Yes"), ("0", "No")]),
    ]


@pytest.mark.parametrize(
    ("argument", "titles"),
    [
        ("flt0_kind_equals=b", ["Second", "Third"]),
        ("flt0_price_cheaper_than=0", ["First"]),
        ("flt0_headline_is=Third", ["Third"]),
        ("flt1_kind_equals=b&flt2_headline_is=Third", ["Third"]),
        ("flt0_mail_contains=a.org", ["First"]),
        ("flt0_kind_equals=", []),
    ],
)
def test_filters_are_named_in_links(host, argument, titles):
    host.add(Filtered)
    assert host.titles(f"/admin/post/?{argument}") == titles


def test_a_filter_that_has_no_options_just_now_is_not_offered(host):
    class View(ModelView):
        column_filters = [
            FilterEqual(Post.is_open, "Open", options=list),
            FilterEqual(Post.kind, "Kind", options=lambda: [("a", "A")]),
        ]

    host.add(View)
    page = host.get("/admin/post/")
    assert "<summary>Kind</summary>" in page
    assert "<summary>Open</summary>" not in page


def test_old_links_with_the_number_of_a_filter_are_understood(host):
    view = host.add(Filtered)
    number = next(i for i, f in enumerate(view._filters) if isinstance(f, IsCheap))
    assert host.titles(f"/admin/post/?flt0_{number}=0") == ["First"]
    page = host.get(f"/admin/post/?flt0_{number}=0")
    assert re.search(r'class="chip".*?href="([^"]*)"', page, re.DOTALL)[1] == "/admin/post/"


def test_positional_links_can_be_kept(host):
    class Positional(Filtered):
        named_filter_urls = False

    view = host.add(Positional)
    number = next(i for i, f in enumerate(view._filters) if isinstance(f, OldStyle))
    assert f'name="flt0_{number}"' in host.get("/admin/post/")
    assert host.titles(f"/admin/post/?flt0_{number}=Third") == ["Third"]


def test_a_filter_through_a_relationship_shows_each_row_once(host):
    host.add(Filtered)
    name = "flt0_author_name_equals=Ada"
    view = host.admin._views[-1]
    keys = [view.get_filter_arg(i, f) for i, f in enumerate(view._filters)]
    key = next(k for k, f in zip(keys, view._filters, strict=True) if k.endswith("name_equals"))
    assert host.titles(f"/admin/post/?flt0_{key}=Ada") == ["First"], name


def test_a_value_that_a_filter_refuses_is_told(host):
    class View(ModelView):
        column_filters = ["id"]

    host.add(View)
    assert "Invalid Filter Value" in host.get("/admin/post/?flt0_id_equals=abc")


# Which rows


def test_a_query_of_the_host_narrows_the_list(host):
    host.add(Scoped)
    assert host.titles("/admin/post/") == ["Second", "Third"]


@pytest.mark.parametrize("page", ["edit/?id=1", "details/?id=1", "delete/?id=1"])
def test_a_query_of_the_host_narrows_every_page(host, page):
    host.add(Scoped)
    host.get(f"/admin/post/{page}", 404)


def test_get_one_may_look_rows_up_otherwise(host):
    class View(ModelView):
        def get_one(self, id):
            return self.get_session().query(Post).filter_by(title=id).first()

    host.add(View)
    assert "Second" in host.get("/admin/post/edit/?id=Second")
    host.post("/admin/post/edit/?id=Second", title="Renamed")
    assert host.row(2).title == "Renamed"
    host.get("/admin/post/edit/?id=Nothing", 404)


def test_get_list_may_make_the_list(host):
    seen = {}

    class View(ModelView):
        column_list = ["title"]

        def get_list(self, page, sort_field, sort_desc, search, filters, page_size=None):
            seen.update(page=page, sort=sort_field, desc=sort_desc, search=search, size=page_size)
            return 1, self.get_session().query(Post).filter_by(id=3).all()

    host.add(View)
    assert host.titles("/admin/post/?search=abc&sort=title&desc=1") == ["Third"]
    assert seen == {"page": 0, "sort": "title", "desc": True, "search": "abc", "size": 50}


def test_get_list_of_the_host_may_call_ours(host):
    class View(ModelView):
        column_list = ["title"]
        column_default_sort = "id"

        def get_list(self, *args, **kwargs):
            count, rows = super().get_list(*args, **kwargs)
            return count, list(reversed(rows))

    host.add(View)
    assert host.titles("/admin/post/") == ["Third", "Second", "First"]


def test_a_simple_pager_counts_nothing(host):
    class View(ModelView):
        simple_list_pager = True
        page_size = 2

    view = host.add(View)
    assert 'rel="next"' in host.get("/admin/post/")
    with host.app.test_request_context():
        assert view.get_list(0, None, None, None, None)[0] is None


# Cells


class Editable(ModelView):
    column_list = ["title", "kind", "author", "price"]
    column_editable_list = ["title", Post.kind, "author", "price"]


def update(host: Host, status: int, **sent: Any) -> str:
    return host.post("/admin/post/ajax/update/", status, **sent)


def test_editable_cells_show_plain_values(host):
    host.add(Editable)
    page = host.get("/admin/post/")
    assert "x-editable" not in page
    assert host.titles("/admin/post/") == ["First", "Second", "Third"]


def test_a_cell_is_saved(host):
    host.add(Editable)
    assert update(host, 200, list_form_pk="1", title="New") == "Record was successfully saved."
    update(host, 200, list_form_pk="1", author="2")
    assert (host.row().title, host.row().author_id) == ("New", 2)


def test_a_refused_cell_answers_400_with_the_reason(host):
    host.add(Editable)
    assert "number" in update(host, 400, list_form_pk="1", price="abc")
    update(host, 400, list_form_pk="1", title="")
    update(host, 400, list_form_pk="1", author="77")
    assert host.row().title == "First"


@pytest.mark.parametrize("key", ["1000", "abc", "", "1,2", "9" * 30])
def test_a_cell_of_no_row_is_not_found(host, key):
    host.add(Editable)
    update(host, 404, list_form_pk=key, title="New")


def test_only_editable_columns_are_saved(host):
    host.add(Editable)
    update(host, 400, list_form_pk="1", body="smuggled")
    update(host, 200, list_form_pk="1", title="New", body="smuggled", id="99")
    assert (host.row().title, host.row().body) == ("New", None)


def test_a_cell_calls_the_hooks_of_a_save(host):
    class View(Editable):
        def on_model_change(self, form, model, is_created):
            if model.title == "Bad":
                raise wtforms.ValidationError("Not this")

    host.add(View)
    assert "Not this" in update(host, 400, list_form_pk="1", title="Bad")
    assert host.row().title == "First"


def test_no_cell_is_saved_where_rows_may_not_be_edited(host):
    host.add(type("View", (Editable,), {"can_edit": False}))
    update(host, 403, list_form_pk="1", title="New")
    assert host.row().title == "First"


def test_no_cell_is_saved_of_a_list_without_editable_columns(host):
    host.add(ModelView)
    update(host, 404, list_form_pk="1", title="New")


def test_a_list_form_of_the_host_is_asked_with_its_widget(host):
    class View(Editable):
        def get_list_form(self):
            return self.scaffold_list_form(widget=object())

    host.add(View)
    update(host, 200, list_form_pk="1", title="New")
