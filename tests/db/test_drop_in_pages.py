"""Access, actions, templates and own pages of an application written for Flask-Admin."""

from __future__ import annotations

import re

import flask
import pytest
from flask_admin import AdminIndexView, BaseView, expose
from flask_admin.actions import action
from flask_admin.base import MenuLink
from flask_admin.contrib.fileadmin import FileAdmin
from flask_admin.model.template import (
    EndpointLinkRowAction,
    LinkRowAction,
    TemplateLinkRowAction,
)

from admin_app import ModelView
from tests.db.drop_in import Author, Host, Post

# Access


def test_what_is_not_accessible_is_answered_by_the_host(host):
    class View(ModelView):
        def is_accessible(self):
            return False

        def inaccessible_callback(self, name, **kwargs):
            return flask.redirect("/sign-in?next=" + name)

    host.add(View)
    response = host.app.test_client().get("/admin/post/")
    assert response.status_code == 302
    assert response.location.startswith("/sign-in")
    assert "/admin/post/" not in host.get("/admin/")


def test_an_invisible_view_is_open_but_not_in_the_menu(host):
    class View(ModelView):
        def is_visible(self):
            return False

    host.add(View)
    assert 'href="/admin/post/"' not in host.get("/admin/")
    host.get("/admin/post/")


@pytest.mark.parametrize("as_property", [False, True])
def test_flags_close_pages_and_hide_their_links(host, as_property):
    no = property(lambda self: False) if as_property else False

    class View(ModelView):
        can_create = no
        can_edit = no
        can_delete = no
        can_view_details = no

    host.add(View)
    page = host.get("/admin/post/")
    for part in ("new/", "edit/", "delete/", "details/"):
        assert f"/admin/post/{part}" not in page
    host.get("/admin/post/new/", 403)
    host.get("/admin/post/edit/?id=1", 403)
    host.post("/admin/post/delete/", 403, id="1")
    host.get("/admin/post/details/?id=1", 302)


# Own pages, actions and templates


def test_a_view_may_have_routes_of_its_own(host):
    class View(ModelView):
        @expose("/report/<kind>/")
        def report(self, kind):
            return self.render("report.html", kind=kind)

    host.template(
        "report.html",
        "{% extends 'admin/master.html' %}{% block body %}<p>Report {{ kind }} "
        "{{ get_url('.index_view') }}</p>{% endblock %}",
    )
    host.add(View)
    assert "<p>Report x /admin/post/</p>" in host.get("/admin/post/report/x/")


class WithAction(ModelView):
    @action("close", "Close", "Close these posts?")
    def action_close(self, ids):
        for post in self.get_query().filter(Post.id.in_([int(i) for i in ids])):
            post.kind = "shut"
        self.get_session().commit()
        flask.flash(f"{len(ids)} closed", "success")

    @action("list", "List")
    def action_list(self, ids):
        return flask.Response(",".join(ids))


def test_an_action_that_asks_runs_once_it_is_confirmed(host):
    host.add(WithAction)
    sent = {"action": "close", "rowid": ["1", "2"]}
    assert "Close these posts?" in host.post("/admin/post/action/", 200, **sent)
    assert host.row(1).kind == "a"
    host.post("/admin/post/action/", 302, confirmed="1", **sent)
    assert host.row(1).kind == "shut"


def test_an_action_without_a_question_answers_at_once(host):
    host.add(WithAction)
    assert host.post("/admin/post/action/", 200, action="list", rowid=["3", "1"]) == "3,1"


def test_a_disallowed_action_is_neither_offered_nor_run(host):
    class View(WithAction):
        action_disallowed_list = ["delete"]

        def is_action_allowed(self, name):
            return name != "close" and super().is_action_allowed(name)

    host.add(View)
    page = host.get("/admin/post/")
    assert 'value="close"' not in page
    assert 'value="delete"' not in page
    assert 'value="list"' in page
    host.post("/admin/post/action/", 403, action="close", rowid="1", confirmed="1")
    host.post("/admin/post/action/", 403, action="delete", rowid="1", confirmed="1")


def test_row_actions_of_the_host_are_drawn(host):
    class View(ModelView):
        list_template = "posts.html"
        column_extra_row_actions = [
            LinkRowAction("fa fa-eye", "/look/{row_id}", "Look"),
            LinkRowAction("fa fa-eye", lambda action, row_id, row: f"/by/{row.title}", "By title"),
            EndpointLinkRowAction("fa fa-star", ".report", "Report", url_args={"x": 1}),
            TemplateLinkRowAction("own.copy_row", "Copy"),
        ]

        @expose("/report/")
        def report(self):
            return "report"

    host.template(
        "own.html",
        "{% macro copy_row(action, row_id, row) %}"
        "<a href='/copy/{{ row_id }}'>{{ action.title }} {{ row.title }}</a>{% endmacro %}",
    )
    host.template(
        "posts.html",
        "{% extends 'admin/model/list.html' %}{% import 'own.html' as own with context %}",
    )
    host.add(View)
    page = host.get("/admin/post/")
    assert '<a href="/look/1">Look</a>' in page
    assert '<a href="/by/First">By title</a>' in page
    assert re.search(r'<a href="/admin/post/report/\?[^"]*id=1[^"]*">Report</a>', page)
    assert "<a href='/copy/1'>Copy First</a>" in page
    assert "/admin/post/edit/?id=1" in page


def test_the_host_may_choose_all_row_actions(host):
    class View(ModelView):
        def get_list_row_actions(self):
            kept = [a for a in super().get_list_row_actions() if "Edit" in type(a).__name__]
            return [*kept, LinkRowAction("x", "/look/{row_id}", "Look")]

    host.add(View)
    page = host.get("/admin/post/")
    assert "/look/1" in page
    assert ">Edit</a>" in page
    assert ">Delete…</a>" not in page


def test_row_actions_can_be_switched_off(host):
    class View(ModelView):
        column_display_actions = False

    host.add(View)
    assert ">Edit</a>" not in host.get("/admin/post/")


@pytest.mark.parametrize(
    ("option", "parent", "block", "page"),
    [
        ("list_template", "admin/model/list.html", "model_menu_bar", ""),
        ("list_template", "admin/model/list.html", "model_list_table", ""),
        ("list_template", "admin/model/list.html", "list_header", ""),
        ("list_template", "admin/model/list.html", "list_row_actions", ""),
        ("list_template", "admin/model/list.html", "list_pager", ""),
        ("list_template", "admin/model/list.html", "actions", ""),
        ("list_template", "admin/model/list.html", "head_css", ""),
        ("list_template", "admin/model/list.html", "tail", ""),
        ("edit_template", "admin/model/edit.html", "edit_form", "edit/?id=1"),
        ("edit_template", "admin/model/edit.html", "navlinks", "edit/?id=1"),
        ("create_template", "admin/model/create.html", "create_form", "new/"),
        ("details_template", "admin/model/details.html", "details_table", "details/?id=1"),
        ("details_template", "admin/model/details.html", "body", "details/?id=1"),
    ],
)
def test_a_block_of_a_page_can_be_replaced(host, option, parent, block, page):
    host.template(
        "own.html",
        f"{{% extends '{parent}' %}}{{% block {block} %}}<p>mine</p>{{{{ super() }}}}"
        "{% endblock %}",
    )
    host.add(type("View", (ModelView,), {option: "own.html"}))
    html = host.get(f"/admin/post/{page}")
    assert "<p>mine</p>" in html
    assert "<nav" in html


@pytest.mark.parametrize("block", ["list_row", "list_row_actions"])
def test_rows_are_drawn_alike_in_one_piece_and_by_blocks(host, block):
    class View(ModelView):
        column_extra_row_actions = [LinkRowAction("x", "/go/{row_id}")]

    view = host.add(View)
    address = "/admin/post/?group=kind&totals=price:sum"
    host.template(
        "own.html",
        f"{{% extends 'admin/model/list.html' %}}{{% block {block} %}}{{{{ super() }}}}"
        "<i>mine</i>{% endblock %}",
    )
    plain = host.get(address)
    view.list_template = "own.html"
    blocks = host.get(address)
    assert blocks.count("<i>mine</i>") == 3
    assert _rows(blocks.replace("<i>mine</i>", "")) == _rows(plain)


@pytest.mark.parametrize("template", ["admin/model/list.html", "own.html"])
def test_what_a_formatter_of_the_host_raises_is_no_blank(host, template):
    class View(ModelView):
        column_formatters = {"title": lambda view, context, model, name: model.no_such_thing}

    host.template(
        "own.html",
        "{% extends 'admin/model/list.html' %}{% block list_row %}{{ super() }}{% endblock %}",
    )
    host.add(View).list_template = template
    with pytest.raises(AttributeError, match="no_such_thing"):
        host.get("/admin/post/")


def _rows(html):
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    assert "group-head" in body
    return re.sub(r">\s+<", "><", body.strip())


def test_a_template_written_for_flask_admin_finds_what_it_was_given(host):
    host.template(
        "own.html",
        "{% extends 'admin/model/list.html' %}{% import 'admin/lib.html' as lib with context %}"
        "{% block model_list_table %}<ul>{% for row in data %}<li>{{ get_pk_value(row) }}: "
        "{% for c, name in list_columns %}{{ name }}={{ get_value(row, c) }};{% endfor %}</li>"
        "{% endfor %}</ul>{{ count }} of page {{ page_size }} {{ return_url }}{% endblock %}",
    )

    class View(ModelView):
        list_template = "own.html"
        column_list = ["title", "author.name"]

    host.add(View)
    page = host.get("/admin/post/")
    assert "<li>1: Title=First;" in page
    assert "3 of page 50 /admin/post/" in page


def test_a_form_template_written_for_flask_admin_draws_the_form(host):
    host.template(
        "own.html",
        "{% extends 'admin/model/edit.html' %}{% import 'admin/lib.html' as lib with context %}"
        "{% block edit_form %}{{ lib.render_form(form, return_url, lib.extra(), "
        "form_opts=form_opts) }}<p>{{ model.title }}</p>{% endblock %}",
    )

    class View(ModelView):
        edit_template = "own.html"

    host.add(View)
    page = host.get("/admin/post/edit/?id=1")
    assert 'name="title"' in page
    assert "<p>First</p>" in page


def test_modal_pages_open_as_whole_pages(host):
    class View(ModelView):
        create_modal = edit_modal = details_modal = can_view_details = True

    host.add(View)
    assert "data-toggle" not in host.get("/admin/post/")
    for page in ("new/?modal=True", "edit/?id=1&modal=True", "details/?id=1&modal=True"):
        assert "<!doctype html>" in host.get(f"/admin/post/{page}")


# The rest of the site


class Status(BaseView):
    @expose("/")
    def index(self):
        return self.render("status.html", number=42)

    @expose("/more/")
    def more(self):
        return self.render("status.html", number=43)


def test_a_page_without_a_model_stands_in_the_frame(host):
    host.template(
        "status.html",
        "{% extends 'admin/master.html' %}{% block body %}<p>{{ number }} {{ h.get_form_data }}"
        "{{ _gettext('Home') }}</p>{% endblock %}",
    )
    host.add()
    host.admin.add_view(Status(name="Status", category="Tools", endpoint="status"))
    host.admin.add_link(MenuLink("Site", url="https://example.org/", category="Tools"))
    host.admin.add_link(MenuLink("Top", url="/top"))
    page = host.get("/admin/status/")
    assert "<p>42" in page
    assert "Tools" in page
    assert 'href="https://example.org/"' in page
    assert 'href="/top"' in page
    host.get("/admin/status/more/")


def test_categories_gather_views_in_the_menu(host):
    host.add(ModelView, Post, category="Blog")
    host.add(ModelView, Author, category="Blog", name="Writers")
    page = host.get("/admin/")
    assert "Blog" in page
    assert "Writers" in page


@pytest.mark.parametrize("kind", ["ours", "flask_admin"])
def test_an_index_view_of_the_host_is_the_first_page(database_url, tmp_path, kind):
    class Index(AdminIndexView):
        @expose("/")
        def index(self):
            return self.render("home.html", posts=3)

    host = Host(database_url, kind, tmp_path / "templates", index_view=Index(name="Start"))
    host.template(
        "home.html",
        "{% extends 'admin/index.html' %}{% block body %}<p>{{ posts }} posts</p>{% endblock %}",
    )
    host.add()
    assert "<p>3 posts</p>" in host.get("/admin/")


def test_a_file_page_opens(host, tmp_path):
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("text", "utf-8")
    host.add()
    host.admin.add_view(FileAdmin(str(folder), "/files/", name="Files", endpoint="files"))
    assert "a.txt" in host.get("/admin/files/")
    host.get("/admin/files/upload/")
    host.get("/admin/files/mkdir/")
    host.get("/admin/files/rename/?path=a.txt")
