"""The forms of an application written for Flask-Admin."""

from __future__ import annotations

import json
import re

import flask_admin
import pytest
import sqlalchemy as sa
import wtforms
from flask_admin.contrib.sqla.ajax import QueryAjaxModelLoader
from flask_admin.form import SecureForm, rules
from flask_admin.model.form import InlineFormAdmin

from admin_app import ModelView
from admin_app.errors import ConfigurationError
from tests.db.drop_in import Author, Comment, Post, Tag, fields

# Forms


def test_form_columns_choose_and_order_the_fields(host):
    class View(ModelView):
        form_columns = [Post.kind, "title", "author"]

    host.add(View)
    assert fields(host) == ["kind", "title", "author"]


def test_excluded_form_columns_are_left_out(host):
    class View(ModelView):
        form_excluded_columns = ["title", "tags"]

    host.add(View)
    assert {"title", "tags"}.isdisjoint(fields(host))


def test_form_arguments_reach_the_field(host):
    class View(ModelView):
        form_args = {
            "title": {
                "label": "Headline",
                "description": "As printed",
                "validators": [wtforms.validators.Length(min=3, message="Too short")],
            },
            "kind": {"validators": [wtforms.validators.Regexp("[ab]")]},
        }

    host.add(View)
    page = host.get("/admin/post/new/")
    assert "Headline" in page
    assert "As printed" in page
    assert "Too short" in host.post("/admin/post/new/", 400, title="No")
    # A column that may be NULL may be left blank, whatever the host's validators say of a value.
    host.post("/admin/post/new/", title="Fine", kind="")


def test_a_choice_of_the_form_is_a_select(host):
    class View(ModelView):
        form_choices = {"kind": [("a", "Article"), ("b", "Brief")]}

    host.add(View)
    assert '<option value="b">Brief</option>' in host.get("/admin/post/edit/?id=1")
    host.post("/admin/post/edit/?id=1", kind="b")
    assert host.row().kind == "b"
    host.post("/admin/post/edit/?id=1", kind="__None")
    assert host.row().kind is None
    host.post("/admin/post/edit/?id=1", 400, kind="c")


def test_an_overridden_field_is_the_hosts(host):
    class View(ModelView):
        form_overrides = {"body": wtforms.PasswordField}
        form_widget_args = {"title": {"data-shout": "yes", "style": None}}

    host.add(View)
    page = host.get("/admin/post/new/")
    assert re.search(r'<input[^>]*name="body"[^>]*type="password"', page)
    assert re.search(r'<input[^>]*name="title"[^>]*data-shout="yes"', page)
    host.post("/admin/post/new/", title="New", body="secret")
    with host.session() as session:
        assert session.scalar(sa.select(Post.body).where(Post.title == "New")) == "secret"


def test_extra_fields_come_to_the_hook(host):
    seen = []

    class View(ModelView):
        form_columns = ["title", "reason"]
        form_extra_fields = {"reason": wtforms.StringField("Reason")}

        def on_model_change(self, form, model, is_created):
            seen.append((form.reason.data, model.title, is_created))

    host.add(View)
    assert fields(host) == ["title", "reason"]
    host.post("/admin/post/edit/?id=1", title="First", reason="a typo")
    assert seen == [("a typo", "First", False)]


def test_text_that_may_be_blank_by_its_type_is_kept_blank(host):
    class View(ModelView):
        form_optional_types = (sa.Boolean, sa.String)

    host.add(View)
    host.post("/admin/post/edit/?id=1", title="")
    assert host.row().title == ""


def test_a_whole_form_class_of_the_host_is_used(host):
    class Form(flask_admin.form.BaseForm):
        title = wtforms.StringField("Only this")

    class View(ModelView):
        form = Form

    host.add(View)
    assert "Only this" in host.get("/admin/post/edit/?id=1")
    host.post("/admin/post/edit/?id=1", title="Changed")
    assert host.row().title == "Changed"


@pytest.mark.parametrize("is_guarded", [False, True])
def test_a_secure_form_refuses_a_post_without_its_token(host, is_guarded):
    class View(ModelView):
        form_base_class = SecureForm

    host.add(View)
    host.app.config["WTF_CSRF_ENABLED"] = is_guarded
    client = host.app.test_client()
    page = client.get("/admin/post/edit/?id=1").text.partition('id="record-form"')[2]
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]
    url = "/admin/post/edit/?id=1"
    assert client.post(url, data={"title": "X"}).status_code == 400
    assert client.post(url, data={"title": "X", "csrf_token": token}).status_code == 302


def test_a_view_outside_the_admin_is_guarded_all_the_same(host):
    host.add(ModelView, url="/elsewhere")
    host.app.config["WTF_CSRF_ENABLED"] = True
    response = host.app.test_client().get("/elsewhere/")
    assert "nonce-" in response.headers["Content-Security-Policy"]
    host.post("/elsewhere/edit/?id=1", 400, title="Forged")
    assert host.row().title == "First"


# Form rules


def test_rules_draw_the_form_and_what_they_leave_out_is_not_taken(host):
    class View(ModelView):
        form_create_rules = [
            rules.FieldSet(["title", rules.Field("kind")], "About it"),
            rules.HTML("<p id='hint'>Mind the gap</p>"),
            rules.Text("<plain>"),
            rules.Header("The rest"),
            rules.Row("price", "day"),
            rules.Group("body", prepend="before", append="after"),
            rules.Container("wrap", rules.Field("author")),
        ]
        create_template = "create.html"

    host.template(
        "create.html",
        "{% extends 'admin/model/create.html' %}"
        "{% macro wrap() %}<section class='wrapped'>{{ caller() }}</section>{% endmacro %}",
    )
    with pytest.warns(UserWarning, match="Fields missing from ruleset"):
        host.add(View)
    page = host.get("/admin/post/new/")
    assert "<p id='hint'>Mind the gap</p>" in page
    assert "&lt;plain&gt;" in page
    assert [page.index(t) for t in ("About it", "Mind", "The rest", "wrapped")] == sorted(
        page.index(t) for t in ("About it", "Mind", "The rest", "wrapped")
    )
    assert fields(host) == ["title", "kind", "price", "day", "body", "author"]
    assert "tags" in fields(host, "edit/?id=1")
    host.post("/admin/post/new/", title="Ruled", is_open="y")
    with host.session() as session:
        assert session.scalar(sa.select(Post.is_open).where(Post.title == "Ruled")) is False


def test_an_error_in_a_form_of_rules_stands_at_its_field(host):
    class View(ModelView):
        form_rules = ["title", "price", "kind", "body", "is_open", "day", "author", "tags"]

    host.add(View)
    page = host.post("/admin/post/new/", 400, title="Fine", price="abc")
    assert 'id="price-error"' in page


# Related rows


def test_ajax_references_search_their_fields(host):
    class View(ModelView):
        form_ajax_refs = {"author": {"fields": ["email"], "page_size": 5}}

    host.add(View)
    found = json.loads(host.get("/admin/post/ajax/lookup/?name=author&query=a.org"))
    assert found == [[1, "Ada"]]
    assert json.loads(host.get("/admin/post/ajax/lookup/?name=author&query=Bob")) == []
    assert json.loads(host.get("/admin/post/lookup/author/?q=a.org"))["items"][0]["text"] == "Ada"


@pytest.mark.parametrize(
    "arguments", ["limit=-1", "limit=1000000", "offset=-1", "offset=x", "query=%00"]
)
def test_no_argument_of_a_lookup_makes_it_fail_or_gives_every_row(host, arguments):
    class View(ModelView):
        form_ajax_refs = {"author": {"fields": ["name"]}}

    host.add(View)
    response = host.app.test_client().get(f"/admin/post/ajax/lookup/?name=author&{arguments}")
    assert response.status_code in (200, 400)


def test_a_lookup_of_no_field_is_not_found(host):
    host.add()
    host.get("/admin/post/ajax/lookup/?name=nothing&query=", 404)


def test_a_loader_of_the_host_chooses_rows_and_words(host):
    class Loader(QueryAjaxModelLoader):
        def format(self, model):
            return (model.id, f"{model.name}!") if model else None

        def get_list(self, term, offset=0, limit=10):
            return self.get_query().filter(Author.name == "Bob").all()

    class View(ModelView):
        form_ajax_refs = {"author": Loader("author", host.db, Author, fields=["name"])}

    host.add(View)
    assert json.loads(host.get("/admin/post/ajax/lookup/?name=author&query=x")) == [[2, "Bob!"]]
    assert "Ada!" in host.get("/admin/post/edit/?id=1")
    host.post("/admin/post/edit/?id=1", author="2")
    assert host.row().author_id == 2


def test_collections_are_sent_as_flask_admin_sends_them(host):
    host.add()
    host.post("/admin/post/edit/?id=1", tags=["1", "2"])
    with host.session() as session:
        assert len(session.get(Post, 1).tags) == 2
    host.post("/admin/post/edit/?id=1", author="__None")
    assert host.row().author_id is None


class CommentForm(InlineFormAdmin):
    form_columns = ("id", "text")
    form_label = "Remark"

    def on_model_change(self, form, model, is_created):
        model.text = model.text.strip().capitalize()


INLINES = [
    pytest.param([Comment], id="class"),
    pytest.param([(Comment, {"form_columns": ["id", "text"]})], id="tuple"),
    pytest.param([CommentForm(Comment)], id="InlineFormAdmin"),
    pytest.param([(Comment, {"form_ajax_refs": {"tag": {"fields": ["name"]}}})], id="ajax"),
]


@pytest.mark.parametrize("inlines", INLINES)
def test_inline_rows_are_drawn_added_changed_and_removed(host, inlines):
    class View(ModelView):
        inline_models = inlines

    host.add(View)
    assert (
        'name="comments-0-text"'
        not in host.get("/admin/post/edit/?id=1").partition("<template>")[0]
    )
    url = "/admin/post/edit/?id=1"
    host.post(url, **{"comments-0-id": "", "comments-0-text": "Well done"})
    with host.session() as session:
        comment = session.scalars(sa.select(Comment)).one()
        assert (comment.text, comment.post_id) == ("Well done", 1)
        key = str(comment.id)
    assert "Well done" in host.get(url)
    host.post(url, **{"comments-0-id": key, "comments-0-text": "Even better"})
    with host.session() as session:
        assert session.scalars(sa.select(Comment)).one().text == "Even better"
    host.post(url, **{"comments-0-id": key, "comments-0-text": "x", "del-comments-0": "on"})
    with host.session() as session:
        assert session.scalar(sa.select(sa.func.count(Comment.id))) == 0


def test_the_hook_of_an_inline_form_is_called(host):
    class View(ModelView):
        inline_models = [CommentForm(Comment)]

    host.add(View)
    host.post("/admin/post/edit/?id=1", **{"comments-0-id": "", "comments-0-text": "  lower "})
    with host.session() as session:
        assert session.scalars(sa.select(Comment.text)).one() == "Lower"


def test_a_reference_of_an_inline_form_searches_its_own_fields(host):
    class View(ModelView):
        inline_models = [(Comment, {"form_ajax_refs": {"tag": {"fields": ["name"]}}})]

    host.add(View)
    found = json.loads(host.get("/admin/post/lookup/Comment.tag/?q=gre"))
    assert [i["text"] for i in found["items"]] == ["green"]


def test_an_inline_row_that_is_refused_is_shown_with_its_error(host):
    class View(ModelView):
        inline_models = [Comment]

    host.add(View)
    sent = {"comments-0-id": "", "comments-0-text": ""}
    page = host.post("/admin/post/edit/?id=1", 400, title="Kept", **sent)
    assert 'value="Kept"' in page
    assert host.row().title == "First"


@pytest.mark.parametrize(
    ("inlines", "words"),
    [
        ((Author,), "names Author, but no relationships join it to Tag"),
        ((object,), "which is no mapped class"),
        ((3,), "which is no mapped class"),
    ],
)
def test_inline_rows_that_cannot_be_stop_the_start_in_a_sentence(host, inlines, words):
    class View(ModelView):
        inline_models = inlines

    with pytest.raises(ConfigurationError, match=words):
        host.add(View, Tag)
