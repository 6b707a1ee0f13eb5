"""An application written for Flask-Admin, with our ModelView, in its Admin and in ours."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import flask_admin
import pytest
import sqlalchemy as sa
import wtforms
from flask_admin import AdminIndexView, BaseView, expose
from flask_admin.actions import action
from flask_admin.base import MenuLink
from flask_admin.contrib.fileadmin import FileAdmin
from flask_admin.contrib.sqla.ajax import QueryAjaxModelLoader
from flask_admin.contrib.sqla.filters import BaseSQLAFilter, FilterEqual, FilterLike
from flask_admin.form import SecureForm, rules
from flask_admin.model.form import InlineFormAdmin
from flask_admin.model.template import (
    EndpointLinkRowAction,
    LinkRowAction,
    TemplateLinkRowAction,
    macro,
)
from flask_sqlalchemy import SQLAlchemy
from markupsafe import Markup
from sqlalchemy import orm

import admin_app
from admin_app import ModelView
from admin_app.database import listen, normalise_url


class Base(orm.DeclarativeBase):
    pass


post_tag = sa.Table(
    "post_tag",
    Base.metadata,
    sa.Column("post_id", sa.ForeignKey("post.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tag.id"), primary_key=True),
)


class Tag(Base):
    __tablename__ = "tag"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(30))


class Author(Base):
    __tablename__ = "author"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(50))
    email: orm.Mapped[str | None] = orm.mapped_column(sa.String(80))
    posts: orm.Mapped[list[Post]] = orm.relationship(
        back_populates="author", foreign_keys="Post.author_id"
    )


class Post(Base):
    __tablename__ = "post"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str] = orm.mapped_column(sa.String(100))
    kind: orm.Mapped[str | None] = orm.mapped_column(sa.String(10))
    body: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    price: orm.Mapped[decimal.Decimal | None] = orm.mapped_column(sa.Numeric(8, 2))
    is_open: orm.Mapped[bool] = orm.mapped_column(default=False)
    day: orm.Mapped[dt.date | None]
    author_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("author.id"))
    author: orm.Mapped[Author | None] = orm.relationship(
        back_populates="posts", foreign_keys=author_id
    )
    tags: orm.Mapped[list[Tag]] = orm.relationship(secondary=post_tag)
    comments: orm.Mapped[list[Comment]] = orm.relationship(
        back_populates="post", cascade="all, delete-orphan"
    )


class Comment(Base):
    __tablename__ = "comment"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    text: orm.Mapped[str] = orm.mapped_column(sa.String(100))
    post_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("post.id"))
    post: orm.Mapped[Post] = orm.relationship(back_populates="comments")
    tag_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("tag.id"))
    tag: orm.Mapped[Tag | None] = orm.relationship()


class Host:
    """An application with three posts of two authors, and an admin of either kind."""

    def __init__(self, url: str, kind: str, folder: Path, **options: Any) -> None:
        self.app = flask.Flask("host", template_folder=str(folder))
        self.app.config.update(
            SECRET_KEY="a key for tests only, long enough",
            SQLALCHEMY_DATABASE_URI=normalise_url(url),
            TESTING=True,
            WTF_CSRF_ENABLED=False,
        )
        self.folder = folder
        self.db = SQLAlchemy(metadata=Base.metadata)
        self.db.init_app(self.app)
        self.admin: Any
        if kind == "ours":
            self.admin = admin_app.Admin(self.app, self.db, name="Shop", sign_in="none", **options)
        else:
            self.admin = flask_admin.Admin(self.app, name="Shop", **options)
        with self.app.app_context():
            self.engine = self.db.engine
            listen(self.engine)
        Base.metadata.create_all(self.engine)
        with self.session() as session:
            ada, bob = Author(id=1, name="Ada", email="ada@a.org"), Author(id=2, name="Bob")
            session.add_all([Tag(id=1, name="red"), Tag(id=2, name="green"), ada, bob])
            session.flush()
            session.add_all(
                [
                    Post(id=1, title="First", kind="a", author=ada, price=decimal.Decimal("-3.50")),
                    Post(id=2, title="Second", kind="b", author=bob, is_open=True),
                    Post(id=3, title="Third", kind="b", day=dt.date(2024, 5, 6)),
                ]
            )
            session.commit()
            if self.engine.dialect.name == "postgresql":
                for table in ("post", "author", "tag"):
                    session.execute(
                        sa.text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 100)")
                    )
                session.commit()

    def session(self) -> orm.Session:
        return orm.Session(self.engine)

    def add(self, view_class: Any = ModelView, model: Any = Post, **kwargs: Any) -> Any:
        view = view_class(model, self.db, **kwargs)
        self.admin.add_view(view)
        return view

    def template(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def get(self, url: str, status: int = 200) -> str:
        response = self.app.test_client().get(url)
        assert response.status_code == status, response.text
        return response.text

    def post(self, url: str, status: int = 302, **data: Any) -> str:
        response = self.app.test_client().post(url, data=data)
        assert response.status_code == status, response.text
        return response.text

    def row(self, key: int = 1, model: Any = Post) -> Any:
        with self.session() as session:
            return session.get(model, key)

    def titles(self, url: str) -> list[str]:
        """The titles of posts on a list, in its order."""
        return re.findall(r"\b(First|Second|Third)\b", table(self.get(url)))


def table(html: str) -> str:
    """The text of the rows of a list."""
    rows = html.partition("<tbody>")[2].partition("</tbody>")[0]
    cells = re.sub(r'<td class="(check|do)">.*?</td>', "", rows, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", cells)


@pytest.fixture(
    params=[
        ("ours", "sqlite"),
        ("flask_admin", "sqlite"),
        pytest.param(("ours", "postgresql"), marks=pytest.mark.postgresql),
    ],
    ids="-".join,
)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    kind, engine = request.param
    made = Host(request.getfixturevalue(f"{engine}_url"), kind, tmp_path / "templates")
    yield made
    made.engine.dispose()


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


# Forms


def fields(host: Host, page: str = "new/") -> list[str]:
    """The names of a form's controls in their order."""
    html = host.get(f"/admin/post/{page}").partition('id="record-form"')[2]
    names = re.findall(r'<(?:input|select|textarea)[^>]* name="([^"]+)"', html)
    return list(dict.fromkeys(n for n in names if n != "csrf_token" and not n.startswith("_")))


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


# Hooks


def test_the_hooks_of_a_save_are_called_in_order(host):
    calls = []

    class View(ModelView):
        def on_model_change(self, form, model, is_created):
            calls.append(("on", model.title, is_created))
            model.kind = "z"

        def after_model_change(self, form, model, is_created):
            calls.append(("after", model.id is not None, is_created))

    host.add(View)
    host.post("/admin/post/new/", title="New")
    host.post("/admin/post/edit/?id=1", title="Changed")
    assert calls == [
        ("on", "New", True),
        ("after", True, True),
        ("on", "Changed", False),
        ("after", True, False),
    ]
    assert host.row().kind == "z"


def test_a_hook_may_refuse_with_a_validation_error(host):
    class View(ModelView):
        def on_model_change(self, form, model, is_created):
            raise wtforms.ValidationError("Not on a Sunday")

    host.add(View)
    assert "Not on a Sunday" in host.post("/admin/post/edit/?id=1", 400, title="X")
    assert host.row().title == "First"


def test_the_hooks_of_a_delete_are_called(host):
    calls = []

    class View(ModelView):
        def on_model_delete(self, model):
            calls.append(("on", model.title))

        def after_model_delete(self, model):
            calls.append(("after", None))

    host.add(View)
    host.post("/admin/post/delete/", id="3")
    assert calls == [("on", "Third"), ("after", None)]
    assert host.row(3) is None


def test_a_form_is_prefilled_with_the_key_of_the_row(host):
    class View(ModelView):
        form_extra_fields = {"note": wtforms.StringField()}

        def on_form_prefill(self, form, id):
            form.note.data = f"about {id}"

    host.add(View)
    assert 'value="about 2"' in host.get("/admin/post/edit/?id=2")


def test_create_and_update_model_may_be_wrapped(host):
    calls = []

    class View(ModelView):
        def create_model(self, form):
            model = super().create_model(form)
            calls.append(model.title)
            return model

        def update_model(self, form, model):
            calls.append(model.title)
            return super().update_model(form, model)

        def delete_model(self, model):
            calls.append("delete")
            return super().delete_model(model)

    host.add(View)
    host.post("/admin/post/new/", title="New")
    host.post("/admin/post/edit/?id=1", title="Changed")
    host.post("/admin/post/delete/", id="3")
    assert calls == ["New", "First", "delete"]
    assert host.row().title == "Changed"


def test_create_model_may_be_written_anew(host):
    class View(ModelView):
        def create_model(self, form):
            model = self.build_new_instance()
            form.populate_obj(model)
            model.kind = "own"
            self.session.session.add(model) if hasattr(self.session, "session") else None
            self.session.session.commit()
            return model

    host.add(View)
    host.post("/admin/post/new/", title="Own way")
    with host.session() as session:
        assert session.scalar(sa.select(Post.kind).where(Post.title == "Own way")) == "own"


# Which rows


class Scoped(ModelView):
    column_list = ["title"]

    def get_query(self):
        return self.get_session().query(self.model).filter(self.model.kind == "b")

    def get_count_query(self):
        return self.get_session().query(sa.func.count("*")).filter(self.model.kind == "b")


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


# Exports


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
    host.add(ModelView)
    host.get("/admin/post/export/csv/", 403)


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


# Where a save leads


@pytest.mark.parametrize(
    ("target", "back"),
    [
        ("/admin/post/?search=x", "/admin/post/?search=x"),
        ("http://localhost/admin/post/?page=1", "/admin/post/?page=1"),
        ("http://evil.example/", "/admin/post/"),
        ("//evil.example/", "/admin/post/"),
        ("javascript:alert(1)", "/admin/post/"),
    ],
)
def test_a_save_leads_back_within_the_site_only(host, target, back):
    host.add()
    client = host.app.test_client()
    response = client.post(
        "/admin/post/edit/", query_string={"id": 1, "url": target}, data={"title": "X"}
    )
    assert response.location == back


def test_a_save_may_lead_elsewhere_by_choice_of_the_host(host):
    class View(ModelView):
        def get_save_return_url(self, model, is_created=False):
            return self.get_url(".details_view", id=model.id)

    host.add(View)
    client = host.app.test_client()
    response = client.post("/admin/post/edit/?id=1", data={"title": "X"})
    assert response.location == "/admin/post/details/?id=1"


def test_the_defaults_of_flask_admin_are_options(host):
    guide = (Path(__file__).parents[2] / "docs/how-to/migrate-from-flask-admin.md").read_text()
    code = re.search(r"```python\n(class StockView.*?)```", guide, re.DOTALL)[1]
    names: dict[str, Any] = {"ModelView": ModelView}
    exec(code, names)  # noqa: S102 - what the guide tells people to write
    view = host.add(names["StockView"])
    page = host.get("/admin/post/")
    assert "/admin/post/details/" not in page
    assert 'type="search" name="search"' not in page
    assert [name for name, _ in view._list_columns][0] == "title"
    assert "Is Open" in page


@pytest.mark.filterwarnings("ignore:Yielding raw tuples:DeprecationWarning")
def test_a_relationship_may_be_a_list_of_its_rows_again(host):
    class View(ModelView):
        form_args = {"author": {"query_factory": lambda: host.db.session.query(Author)}}

    host.add(View)
    page = host.get("/admin/post/edit/?id=1")
    assert re.search(r'<select[^>]*name="author"', page)
    host.post("/admin/post/edit/?id=1", author="2")
    assert host.row().author_id == 2
