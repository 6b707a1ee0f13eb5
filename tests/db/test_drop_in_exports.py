"""The exports of an application written for Flask-Admin."""

from __future__ import annotations

import csv
import importlib.util
import io
import re

import pytest

from admin_app import Admin, ModelView
from admin_app.errors import ConfigurationError
from tests.db.drop_in import Post, Scoped


class Exported(ModelView):
    can_export = True
    column_export_list = ["id", "title", "price", "author.name"]
    column_default_sort = "id"


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_a_list_is_exported_in_its_order_search_and_filters(host):
    class View(Exported):
        column_filters = ["kind"]
        column_searchable_list = ["title"]

    host.add(View)
    page = host.get("/admin/post/?flt0_kind_equals=b&sort=-title")
    url = re.search(r'href="([^"]*/export/csv/[^"]*)"', page)[1].replace("&amp;", "&")
    assert [row[1] for row in rows(host.get(url))] == ["Title", "Third", "Second"]
    assert [r[1] for r in rows(host.get("/admin/post/export/csv/?search=first"))][1:] == ["First"]


def test_an_export_is_a_named_csv_file(host):
    host.add(Exported)
    response = host.app.test_client().get("/admin/post/export/csv/")
    assert response.mimetype == "text/csv"
    assert re.fullmatch(
        r"attachment;filename=Posts_[0-9_-]+\.csv", response.headers["Content-Disposition"]
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_run_is_disarmed(host, start):
    with host.session() as session:
        session.get(Post, 1).title = f"{start}1+1"
        session.commit()
    host.add(Exported)
    assert rows(host.get("/admin/post/export/csv/"))[1][1] == f"'{start}1+1"


def test_numbers_keep_their_sign_in_an_export(host):
    host.add(Exported)
    assert rows(host.get("/admin/post/export/csv/"))[1][2] == "-3.50"


def test_what_an_export_formatter_returns_is_disarmed_too(host):
    class View(Exported):
        column_formatters_export = {"title": lambda v, c, m, p: "=" + m.title}

        def get_export_value(self, model, name):
            return super().get_export_value(model, name) if name == "title" else "@own"

    host.add(View)
    assert rows(host.get("/admin/post/export/csv/"))[1][:2] == ["'@own", "'=First"]


def test_an_export_is_no_longer_than_the_host_allows(host):
    class View(Exported):
        export_max_rows = 2

    host.add(View)
    assert len(rows(host.get("/admin/post/export/csv/"))) == 3


def test_an_export_holds_all_rows_not_only_a_page(host):
    class View(Exported):
        page_size = 1

    host.add(View)
    assert len(rows(host.get("/admin/post/export/csv/"))) == 4


def test_an_export_is_narrowed_by_the_query_of_the_host(host):
    host.add(type("View", (Scoped,), {"can_export": True}))
    assert [r[0] for r in rows(host.get("/admin/post/export/csv/"))][1:] == ["Second", "Third"]


def test_an_export_that_is_not_switched_on_is_forbidden(host):
    host.add(type("View", (ModelView,), {"can_export": False}))
    host.get("/admin/post/export/csv/", 403)


def test_without_an_option_files_are_made_where_there_is_a_policy_to_ask(host):
    host.add(ModelView)
    host.get("/admin/post/export/csv/", 200 if isinstance(host.admin, Admin) else 403)


needs_no_tablib = pytest.mark.skipif(
    importlib.util.find_spec("tablib") is not None, reason="tablib is installed"
)


@needs_no_tablib
def test_types_of_files_that_nothing_here_writes_stop_the_start_in_a_sentence(host):
    with pytest.raises(ConfigurationError, match="export_types names ods, yaml, which the"):
        host.add(type("View", (Exported,), {"export_types": ["csv", "ods", "yaml"]}))


@needs_no_tablib
def test_a_type_that_is_chosen_by_request_and_cannot_be_written_is_refused(host):
    host.add(type("View", (Exported,), {"export_types": property(lambda self: ["csv", "ods"])}))
    page = host.get("/admin/post/export/ods/", 400)
    assert "Files of the type ods cannot be made here." in page
