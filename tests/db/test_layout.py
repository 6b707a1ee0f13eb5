"""How forms are laid out: groups, what is only shown, other controls, and what a save says."""

from __future__ import annotations

import datetime as dt
import enum
import html
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import wtforms
from flask.sessions import SecureCookieSession, SessionInterface
from flask_admin.form import BaseForm, FileUploadField
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column

from admin_app import ModelView, Policy
from admin_app.errors import ConfigurationError
from admin_app.forms import widgets
from examples.fleet.models import Order, Product, Specimen, Tag


class Base(orm.DeclarativeBase):
    pass


article_labels = sa.Table(
    "article_labels",
    Base.metadata,
    sa.Column("article_id", sa.ForeignKey("articles.id"), primary_key=True),
    sa.Column("label_id", sa.ForeignKey("labels.id"), primary_key=True),
)


class Label(Base):
    __tablename__ = "labels"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40))


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40))


class State(enum.Enum):
    DRAFT = "draft"
    PUBLIC = "public"


class Article(Base):
    __tablename__ = "articles"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(80))
    slug: Mapped[str | None] = mapped_column(sa.String(30))
    state: Mapped[State] = mapped_column(default=State.DRAFT)
    website: Mapped[str | None] = mapped_column(sa.String(2000))
    email: Mapped[str | None] = mapped_column(sa.String)
    phone: Mapped[str | None] = mapped_column(sa.String(40))
    colour: Mapped[str | None] = mapped_column(sa.String(20))
    published_on: Mapped[dt.date | None]
    body: Mapped[str | None] = mapped_column(sa.Text)
    notes: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    updated_at: Mapped[dt.datetime] = mapped_column(
        server_default=sa.func.now(), onupdate=sa.func.now()
    )
    author_id: Mapped[int | None] = mapped_column(sa.ForeignKey("authors.id"))

    author: Mapped[Author | None] = orm.relationship()
    labels: Mapped[list[Label]] = orm.relationship(secondary=article_labels)

    def summary(self) -> str:
        return f"<b>{self.title}</b>"

    @property
    def length(self) -> int:
        return len(self.body or "")

    def get_absolute_url(self) -> str:
        return f"/articles/{self.id}"


ROW: dict[str, Any] = {"title": "Fog", "body": "Thick."}


@pytest.fixture
def open_form(make_site: Any) -> Callable[..., tuple[Any, str]]:
    """The site and the HTML of an article's form: ``open_form(View, mode="create", title="x")``."""

    def show(
        view: type[ModelView], mode: str = "edit", admin: Any = None, **values: Any
    ) -> tuple[Any, str]:
        site = make_site(Base, **(admin or {}))
        site.admin.register(Label)
        site.admin.register(Author)
        site.admin.register(Article, view)
        with site.session() as session:
            author = Author(name="Ada")
            labels = [Label(name="wet"), Label(name="grey")]
            session.add_all([author, *labels])
            session.add(Article(**{**ROW, "author": author, "labels": labels[:1], **values}))
            session.commit()
        place = {"id": 1} if mode == "edit" else {}
        answer = site.client.get(site.url(Article, mode, **place))
        assert answer.status_code == 200
        return site, answer.text

    return show


def legends(text: str) -> list[str]:
    found = re.findall(r"<(?:legend|summary)[^>]*>([^<]*)</(?:legend|summary)>", text)
    return [html.unescape(f) for f in found]


def control(text: str, name: str) -> str:
    """The tag of the control called ``name``."""
    found = re.search(rf'<(?:input|textarea|select)[^>]*\bname="{name}"[^>]*>', text)
    assert found is not None, name
    return found[0]


def saved(site: Any, column: Any) -> Any:
    with site.session() as session:
        return session.scalar(sa.select(column).order_by(Article.id.desc()).limit(1))


# Groups of the options


class Grouped(ModelView):
    form_fieldsets = [
        (None, ["title", ("slug", "state")]),
        (
            "Text",
            {"fields": ["body"], "description": "What <readers> see.", "classes": ["wide"]},
        ),
        ("More", {"fields": ["notes", "website"], "classes": ["collapse"]}),
    ]


def test_groups_have_their_titles_in_order(open_form: Any) -> None:
    _, text = open_form(Grouped)
    assert legends(text) == ["Text", "More"]


def test_the_description_of_a_group_is_text_that_belongs_to_it(open_form: Any) -> None:
    _, text = open_form(Grouped)
    assert '<p id="group-2-hint">What &lt;readers&gt; see.</p>' in text
    assert re.search(r'<fieldset class="group wide"[^>]*aria-describedby="group-2-hint"', text)


def test_a_folded_group_is_named_by_its_summary(open_form: Any) -> None:
    _, text = open_form(Grouped)
    assert '<summary id="group-3">More</summary>' in text
    assert 'role="group" aria-labelledby="group-3"' in text


def test_a_folded_group_is_closed(open_form: Any) -> None:
    _, text = open_form(Grouped)
    assert '<details class="fold">' in text


def test_names_in_a_tuple_share_a_line(open_form: Any) -> None:
    _, text = open_form(Grouped)
    [line] = re.findall(r'<div class="shared">(.*?)</div>\s*(?=<|$)', text, re.S)
    assert 'name="slug"' in text.partition('<div class="shared">')[2].partition('name="body"')[0]
    assert line


def test_what_no_group_names_is_left_out(open_form: Any) -> None:
    site, text = open_form(Grouped)
    assert 'name="email"' not in text
    site.client.post(site.url(Article, "edit", id=1), data={"email": "a@b.c", "title": "Mist"})
    assert saved(site, Article.title) == "Mist"
    assert saved(site, Article.email) is None


def test_a_folded_group_with_an_error_is_open(open_form: Any) -> None:
    site, _ = open_form(Grouped)
    answer = site.client.post(
        site.url(Article, "edit", id=1), data={"title": "Fog", "website": "x" * 3000}
    )
    assert answer.status_code == 400
    assert '<details class="fold" open>' in answer.text


def test_a_folded_group_that_has_to_be_filled_in_is_open(open_form: Any) -> None:
    class Folded(ModelView):
        form_fieldsets = [("Name", {"fields": ["title"], "classes": ["collapse"]})]

    _, text = open_form(Folded, "create")
    assert '<details class="fold" open>' in text


def test_tabs_next_to_each_other_stand_together(open_form: Any) -> None:
    class Tabbed(ModelView):
        form_fieldsets = [
            (None, ["title"]),
            ("Text", {"fields": ["body"], "classes": ["tab"]}),
            ("Notes", {"fields": ["notes"], "classes": ["tab"]}),
        ]

    _, text = open_form(Tabbed)
    assert text.count("data-tabs") == 1
    assert len(re.findall(r'<div id="group-\d" data-tab>', text)) == 2


def test_a_tab_with_an_error_says_so(open_form: Any) -> None:
    class Tabbed(ModelView):
        form_fieldsets = [
            ("One", {"fields": ["title"], "classes": ["tab"]}),
            ("Two", {"fields": ["website"], "classes": ["tab"]}),
        ]

    site, _ = open_form(Tabbed)
    answer = site.client.post(site.url(Article, "edit", id=1), data={"website": "x" * 3000})
    assert re.findall(r'id="(group-\d)" data-tab="error"', answer.text) == ["group-2"]


def test_groups_may_depend_on_the_row(open_form: Any) -> None:
    class Changing(ModelView):
        def get_form_fieldsets(self, model: Any) -> Any:
            return [("New", ["title"])] if model is None else [("Known", ["title", "slug"])]

    site, text = open_form(Changing)
    assert legends(text) == ["Known"]
    new = site.client.get(site.url(Article, "create")).text
    assert legends(new) == ["New"]
    assert 'name="slug"' not in new


def test_what_the_groups_of_a_row_leave_out_is_not_written(open_form: Any) -> None:
    class Changing(ModelView):
        def get_form_fieldsets(self, model: Any) -> Any:
            return [(None, ["title"])]

    site, _ = open_form(Changing)
    site.client.post(site.url(Article, "edit", id=1), data={"title": "Mist", "slug": "forged"})
    assert saved(site, Article.title) == "Mist"
    assert saved(site, Article.slug) is None


def wrong(make_site: Any, **options: Any) -> str:
    """What the start of a site says about a view with these options."""
    site = make_site(Base)
    with pytest.raises(ConfigurationError) as told:
        site.admin.register(Article, type("ArticleView", (ModelView,), options))
    return str(told.value)


def test_a_group_that_names_no_field_stops_the_start(make_site: Any) -> None:
    told = wrong(make_site, form_fieldsets=[("A", ["title", "titel"])])
    assert "ArticleView.form_fieldsets names “titel”" in told


def test_groups_that_name_a_field_twice_stop_the_start(make_site: Any) -> None:
    told = wrong(make_site, form_fieldsets=[("A", ["title"]), ("B", ["title"])])
    assert "names “title” twice" in told


@pytest.mark.parametrize("given", [["title"], [("A", "title")], [("A", {"field": ["title"]})]])
def test_groups_that_make_no_sense_stop_the_start(make_site: Any, given: Any) -> None:
    assert "ArticleView.form_fieldsets must be" in wrong(make_site, form_fieldsets=given)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("form_readonly_columns", ["nothing"]),
        ("form_radio_columns", ["title"]),
        ("form_multiple_widgets", {"author": "boxes"}),
        ("form_multiple_widgets", {"labels": "circles"}),
        ("form_prepopulated_fields", {"slug": ("nothing",)}),
        ("form_prepopulated_fields", {"slug": "title"}),
    ],
)
def test_an_option_that_leads_nowhere_stops_the_start(
    make_site: Any, option: str, value: Any
) -> None:
    assert f"ArticleView.{option}" in wrong(make_site, **{option: value})


def test_groups_and_rules_at_once_stop_the_start(make_site: Any) -> None:
    told = wrong(make_site, form_fieldsets=[("A", ["title"])], form_rules=["title"])
    assert "form_rules" in told


# Groups without options


def test_a_long_form_is_grouped_by_itself(open_form: Any) -> None:
    _, text = open_form(ModelView)
    assert legends(text) == ["Text", "Related", "Times"]


def test_times_that_make_themselves_are_folded(open_form: Any) -> None:
    _, text = open_form(ModelView)
    folded = text.partition('<details class="fold"')[2].partition("</details>")[0]
    assert re.findall(r'name="(\w+)"', folded) == ["created_at", "updated_at"]


def test_a_date_that_somebody_chooses_is_not_folded(open_form: Any) -> None:
    _, text = open_form(ModelView)
    assert 'name="published_on"' in text.partition('<details class="fold"')[0]


def test_a_short_form_is_one_group(open_form: Any) -> None:
    class Short(ModelView):
        form_excluded_columns = ("website", "email", "phone", "colour", "notes", "slug", "body")

    _, text = open_form(Short)
    assert legends(text) == []


def test_columns_that_a_host_has_chosen_stay_in_his_order(open_form: Any) -> None:
    class Chosen(ModelView):
        form_columns = (
            *("body", "title", "slug", "notes", "created_at"),
            *("labels", "website", "email", "phone", "colour"),
        )

    _, text = open_form(Chosen)
    assert legends(text) == []
    assert text.index('name="body"') < text.index('name="title"')


@pytest.mark.parametrize("model", [Order, Product, Specimen])
def test_grouped_forms_of_the_sample_send_every_field_back(
    site: Any, controls: Any, statements: Any, model: Any
) -> None:
    url = site.url(model, "edit", id=1)
    sent = controls(site.client.get(url).text)
    with statements(site.engine) as issued:
        assert site.client.post(url, data=sent).status_code == 302
    assert not [s for s in issued if s.lstrip().upper().startswith("UPDATE")]


# What is only shown


class Showing(ModelView):
    form_readonly_columns = ("title", "author", "labels", "summary", "length", "created_at")


def test_a_column_that_is_only_shown_has_no_control(open_form: Any) -> None:
    _, text = open_form(Showing)
    assert 'name="title"' not in text
    assert '<div class="readonly" id="title">Fog</div>' in text


def test_a_value_for_what_is_only_shown_is_ignored(open_form: Any) -> None:
    site, _ = open_form(Showing)
    answer = site.client.post(
        site.url(Article, "edit", id=1), data={"title": "forged", "slug": "mist", "author": ""}
    )
    assert answer.status_code == 302
    assert saved(site, Article.slug) == "mist"
    assert saved(site, Article.title) == "Fog"
    assert saved(site, Article.author_id) == 1


def test_a_related_row_that_is_only_shown_is_a_link(open_form: Any) -> None:
    site, text = open_form(Showing)
    [shown] = re.findall(r'<div class="readonly" id="author">(.*?)</div>', text)
    assert site.url(Author, "details", id=1) in shown
    assert ">Ada</a>" in shown


def test_rows_of_a_collection_that_is_only_shown_are_named(open_form: Any) -> None:
    site, text = open_form(Showing)
    [shown] = re.findall(r'<div class="readonly" id="labels">(.*?)</div>', text)
    assert site.url(Label, "details", id=1) in shown
    assert "wet" in shown


def test_a_method_is_shown_as_escaped_text(open_form: Any) -> None:
    _, text = open_form(Showing)
    assert "&lt;b&gt;Fog&lt;/b&gt;" in text


def test_a_property_is_shown(open_form: Any) -> None:
    _, text = open_form(Showing)
    assert re.search(r'<div class="readonly" id="length">\s*6\s*</div>', text)


def test_the_form_of_a_new_row_shows_that_there_is_nothing_yet(open_form: Any) -> None:
    _, text = open_form(Showing, "create")
    assert re.search(r'id="length"><span class="none"', text)


def test_what_is_only_shown_may_depend_on_the_row(open_form: Any) -> None:
    class Fixed(ModelView):
        def get_form_readonly_columns(self, model: Any) -> Any:
            return () if model is None else ("slug",)

    site, text = open_form(Fixed)
    assert 'name="slug"' not in text
    assert 'name="slug"' in site.client.get(site.url(Article, "create")).text


def test_groups_place_what_is_only_shown(open_form: Any) -> None:
    class Both(ModelView):
        form_fieldsets = [("Facts", [("length", "created_at")]), (None, ["title"])]
        form_readonly_columns = ("length", "created_at")

    _, text = open_form(Both)
    assert text.index('id="length"') < text.index('name="title"')


# Controls


class Plain(ModelView):
    form_columns = ("title", "state", "website", "email", "phone", "colour", "labels")


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("email", None, "email"),
        ("email", "ada@example.com", "email"),
        ("phone", "+44 20 7946 0018", "tel"),
        ("website", "https://example.com/a?b=c", "url"),
    ],
)
def test_a_text_that_is_one_has_the_control_for_it(
    open_form: Any, name: str, value: str | None, kind: str
) -> None:
    _, text = open_form(Plain, **{name: value})
    assert f'type="{kind}"' in control(text, name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email", "Ada <ada@example.com>"),
        ("email", "ada@bücher.example"),
        ("website", "example.com"),
        ("website", "javascript:alert(1)"),
        ("website", "https://exa mple.com"),
        ("website", None),
        ("colour", "#00ff7f"),
        ("colour", None),
    ],
)
def test_a_text_that_a_control_would_change_stays_in_a_plain_one(
    open_form: Any, name: str, value: str | None
) -> None:
    _, text = open_form(Plain, **{name: value})
    assert re.search(r'type="text"|^<textarea', control(text, name))


def test_an_address_with_lines_keeps_them(open_form: Any, controls: Any) -> None:
    site, text = open_form(Plain, phone="1\n2")
    assert control(text, "phone").startswith("<textarea")
    site.client.post(site.url(Article, "edit", id=1), data=controls(text))
    assert saved(site, Article.phone) == "1\n2"


def test_a_web_address_can_be_followed(open_form: Any) -> None:
    _, text = open_form(Plain, website="https://example.com/?a=1&b=2")
    assert 'href="https://example.com/?a=1&amp;b=2" rel="noopener noreferrer"' in text


@pytest.mark.parametrize(
    "value", ["javascript:alert(1)", "data:text/html,x", "//example.com", "https://\\x", "ftp://x"]
)
def test_an_unsafe_address_cannot_be_followed(open_form: Any, value: str) -> None:
    _, text = open_form(Plain, website=value)
    assert f'href="{html.escape(value)}"' not in text


def test_an_address_in_other_letters_shows_where_it_leads(open_form: Any, controls: Any) -> None:
    typed = "https://bücher.example/straße?q=ä"
    _, text = open_form(Plain, website=typed)
    assert 'href="https://xn--bcher-kva.example/stra%C3%9Fe?q=%C3%A4"' in text
    assert controls(text)["website"] == [typed]


@pytest.mark.parametrize(
    "value",
    ["https://a／b.example/", "https://me@bücher.example/", "https://ex\u202eample.com/"]
    + ["https://" + "ü" * 80 + ".de/", "https://bü cher.example/"],
)
def test_an_address_that_could_deceive_cannot_be_followed(value: str) -> None:
    assert widgets.safe_link(value) is None


@pytest.mark.parametrize("value", ["http://[", "http://a:99999999/", "https://", "x" * 5_000_000])
def test_no_text_is_too_odd_for_a_link(value: str) -> None:
    assert widgets.safe_link(value) is None


def test_choices_may_be_radio_buttons(open_form: Any, controls: Any) -> None:
    class Radio(Plain):
        form_radio_columns = ("state",)

    site, text = open_form(Radio)
    assert re.findall(r'<input type="radio"[^>]*value="(\w+)"', text) == ["DRAFT", "PUBLIC"]
    sent = {**controls(text), "state": "PUBLIC"}
    site.client.post(site.url(Article, "edit", id=1), data=sent)
    assert saved(site, Article.state) is State.PUBLIC


class Chosen(Plain):
    form_choices = {"colour": [("x", "plain"), ("Open", [("a", "A"), ("b", "B")]), ("Done", ["c"])]}


def test_choices_stand_in_groups(open_form: Any, controls: Any) -> None:
    site, text = open_form(Chosen, colour="b")
    assert (
        '<optgroup label="Open"><option value="a">A</option>'
        '<option value="b" selected>B</option></optgroup>'
        '<optgroup label="Done"><option value="c">c</option></optgroup>'
    ) in text
    sent = {**controls(text), "colour": "c"}
    site.client.post(site.url(Article, "edit", id=1), data=sent)
    assert saved(site, Article.colour) == "c"


def test_radio_buttons_stand_in_the_groups_of_their_choices(open_form: Any) -> None:
    class Radio(Chosen):
        form_radio_columns = ("colour",)

    _, text = open_form(Radio)
    assert '<div class="choices" role="group" aria-label="Open">' in text


def test_a_widget_in_form_args_is_used(open_form: Any) -> None:
    class Radio(Plain):
        form_args = {"state": {"widget": widgets.RadioWidget()}}

    _, text = open_form(Radio)
    assert text.count('type="radio"') == 2


def test_a_stock_widget_in_form_args_is_used(open_form: Any) -> None:
    class Stock(Plain):
        form_args = {"state": {"widget": wtforms.widgets.Select()}}

    _, text = open_form(Stock)
    assert re.search(r'<option value="DRAFT" selected>', text)


def test_a_stock_list_in_form_args_is_radio_buttons(open_form: Any) -> None:
    class Stock(Plain):
        form_args = {"state": {"widget": wtforms.widgets.ListWidget()}}

    _, text = open_form(Stock)
    assert text.count('type="radio"') == 2


class Ticking(Plain):
    form_multiple_widgets = {"labels": "checkboxes"}


def test_few_rows_may_be_checkboxes(open_form: Any) -> None:
    _, text = open_form(Ticking)
    boxes = re.findall(r'<input type="checkbox"[^>]*name="labels"[^>]*>', text)
    assert ["checked" in b for b in boxes] == [True, False]


@pytest.mark.parametrize(("ticked", "names"), [(["2"], ["grey"]), (["1", "2"], ["wet", "grey"])])
def test_ticked_rows_are_saved(
    open_form: Any, controls: Any, ticked: list[str], names: list[str]
) -> None:
    site, text = open_form(Ticking)
    sent = {**controls(text), "labels": ["", *ticked]}
    assert site.client.post(site.url(Article, "edit", id=1), data=sent).status_code == 302
    assert labels_of(site) == sorted(names)


def test_no_ticked_row_empties_the_collection(open_form: Any, controls: Any) -> None:
    site, text = open_form(Ticking)
    site.client.post(site.url(Article, "edit", id=1), data={**controls(text), "labels": [""]})
    assert labels_of(site) == []


def test_ticked_rows_survive_an_error(open_form: Any, controls: Any) -> None:
    site, text = open_form(Ticking)
    sent = {**controls(text), "title": "", "labels": ["", "2"]}
    answer = site.client.post(site.url(Article, "edit", id=1), data=sent)
    boxes = re.findall(r'<input type="checkbox"[^>]*name="labels"[^>]*>', answer.text)
    assert ["checked" in b for b in boxes] == [False, True]


def labels_of(site: Any) -> list[str]:
    with site.session() as session:
        return sorted(label.name for label in session.get(Article, 1).labels)


def test_too_many_rows_for_checkboxes_are_picked(
    open_form: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widgets, "CHECKBOXES_LIMIT", 1)
    _, text = open_form(Ticking)
    assert "data-picker" in control(text, "labels")


def test_two_boxes_are_an_input_of_keys_without_scripts(open_form: Any, controls: Any) -> None:
    class Boxes(Plain):
        form_multiple_widgets = {"labels": "boxes"}

    site, text = open_form(Boxes)
    assert "data-boxes" in control(text, "labels")
    site.client.post(site.url(Article, "edit", id=1), data={**controls(text), "labels": "2"})
    assert labels_of(site) == ["grey"]


def test_boxes_do_not_load_what_can_be_chosen(site: Any, statements: Any) -> None:
    site.admin.view_for(Tag).form_multiple_widgets = {"products": "boxes"}
    with statements(site.engine) as issued:
        site.client.get(site.url(Tag, "edit", id=1))
    assert len(issued) <= 6


def test_a_field_made_of_others_names_them(open_form: Any) -> None:
    class Slugged(ModelView):
        form_columns = ("title", "author", "slug")
        form_prepopulated_fields = {"slug": ("title", "author")}

    _, text = open_form(Slugged)
    assert 'data-slug-of="title author"' in control(text, "slug")


def test_the_form_tells_the_zone_of_its_times(open_form: Any) -> None:
    _, text = open_form(ModelView)
    assert 'data-zone="UTC"' in text


def test_the_form_tells_how_far_the_clock_of_the_application_is_ahead(make_site: Any) -> None:
    site = make_site(Base).register_all()
    site.app.config["BABEL_DEFAULT_TIMEZONE"] = "Asia/Kolkata"
    text = site.client.get(site.url(Article, "create")).text
    assert 'data-server-offset="330"' in text


def test_a_form_without_files_is_not_multipart(open_form: Any) -> None:
    _, text = open_form(ModelView)
    assert "multipart/form-data" not in text


def test_a_form_with_a_binary_column_is_multipart(site: Any) -> None:
    assert "multipart/form-data" in site.client.get(site.url(Specimen, "edit", id=1)).text


def test_a_form_with_a_file_of_a_host_is_multipart(open_form: Any, tmp_path: Any) -> None:
    class Uploading(ModelView):
        form_extra_fields = {"picture": FileUploadField(base_path=str(tmp_path))}

    _, text = open_form(Uploading)
    assert "multipart/form-data" in text


def test_a_form_may_hold_another_form_of_a_host(open_form: Any) -> None:
    class Street(wtforms.Form):
        number = wtforms.IntegerField()

    class Nested(ModelView):
        form_extra_fields = {"street": wtforms.FormField(Street)}

    _, text = open_form(Nested)
    assert 'name="street-number"' in text


class Line(wtforms.Form):
    scan = wtforms.FileField()


def test_files_inside_of_lists_count_too() -> None:
    class Paper(wtforms.Form):
        lines = wtforms.FieldList(wtforms.FormField(Line))
        names = wtforms.FieldList(wtforms.StringField())
        line = wtforms.FormField(Line)
        scans = wtforms.FieldList(wtforms.FileField())

    assert [widgets.needs_files(f) for f in Paper()] == [True, False, True, True]


# Errors of the form as a whole


class Objecting(BaseForm):
    def validate(self, extra_validators: Any = None) -> bool:
        if not super().validate(extra_validators):
            return False
        if self.title.data == self.slug.data:
            raise wtforms.ValidationError("Title and slug must <differ>.")
        if self.title.data == "bad":
            self.form_errors.append("This title is bad.")
            return False
        return True


@pytest.mark.parametrize(
    ("title", "sentence"),
    [("fog", "Title and slug must &lt;differ&gt;."), ("bad", "This title is bad.")],
)
def test_what_is_wrong_with_the_whole_form_is_told_above_it(
    open_form: Any, title: str, sentence: str
) -> None:
    class Objected(ModelView):
        form_columns = ("title", "slug")
        form_base_class = Objecting

    site, _ = open_form(Objected)
    answer = site.client.post(site.url(Article, "edit", id=1), data={"title": title, "slug": "fog"})
    assert answer.status_code == 400
    assert f"<li>{sentence}</li>" in answer.text
    assert "<title>Error: " in answer.text
    assert f'value="{title}"' in answer.text
    assert saved(site, Article.title) == "Fog"


# After a save


def message(site: Any, page: str = "create", **values: Any) -> str:
    place = {"id": 1} if page == "edit" else {}
    client = site.client
    client.post(site.url(Article, page, **place), data={"title": "Mi<st", **values})
    text = client.get(site.url(Article)).text
    found = re.search(r'<p class="message success">(.*?)</p>', text)
    assert found is not None
    return found[1]


def test_the_message_after_a_save_leads_to_the_row(open_form: Any) -> None:
    site, _ = open_form(Plain)
    told = message(site, state="DRAFT")
    assert f'href="{site.url(Article, "details", id=2)}"' in told
    assert "Mi&lt;st" in told


def test_the_message_has_no_link_to_what_may_not_be_opened(open_form: Any) -> None:
    class Closed(Plain):
        can_view_details = False
        can_edit = False

    site, text = open_form(Closed, "create")
    assert "Mi&lt;st" in message(site, state="DRAFT")
    assert "<a" not in message(site, state="DRAFT")


def test_a_save_that_stays_on_the_page_needs_no_link(open_form: Any) -> None:
    site, _ = open_form(Plain)
    assert "<a" not in message(site, "edit", _continue_editing="1")


def test_a_form_that_is_sent_twice_says_the_same(open_form: Any, controls: Any) -> None:
    site, text = open_form(Plain, "create")
    sent = {**controls(text), "title": "Twice"}
    client = site.client
    told = []
    for _ in range(2):
        client.post(site.url(Article, "create"), data=sent)
        told += re.findall(r'<p class="message success">(.*?)</p>', client.get("/admin/").text)
    assert told[0] == told[1]
    assert "<a" in told[0]


def test_a_session_that_knows_no_html_gets_plain_words(open_form: Any) -> None:
    class Forgetful(SessionInterface):
        """Keeps strings, as sessions in a database do."""

        kept: dict[str, Any] = {}

        def open_session(self, app: Any, request: Any) -> Any:
            return SecureCookieSession(self.kept)

        def save_session(self, app: Any, session: Any, response: Any) -> None:
            self.kept = json.loads(json.dumps(dict(session)))

    site, _ = open_form(Plain)
    site.app.session_interface = Forgetful()
    told = message(site, state="DRAFT")
    assert "&lt;a" not in told
    assert "Mi&lt;st" in told


# The public site


def test_a_row_leads_to_its_place_on_the_site(open_form: Any) -> None:
    site, text = open_form(ModelView)
    assert 'href="/articles/1">View on site</a>' in text
    assert 'href="/articles/1">View on site</a>' in (
        site.client.get(site.url(Article, "details", id=1)).text
    )


def test_a_new_row_has_no_place_on_the_site(open_form: Any) -> None:
    _, text = open_form(ModelView, "create")
    assert "View on site" not in text


def test_the_way_to_the_site_can_be_left_out(open_form: Any) -> None:
    class Hidden(ModelView):
        view_on_site = False

    _, text = open_form(Hidden)
    assert "View on site" not in text


def test_a_view_may_tell_where_a_row_is(open_form: Any) -> None:
    class Elsewhere(ModelView):
        def view_on_site(self, model: Any) -> str:
            return f"https://example.com/{model.title}"

    _, text = open_form(Elsewhere)
    assert 'href="https://example.com/Fog"' in text


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "/\\evil.example", None])
def test_an_unsafe_place_is_left_out(open_form: Any, url: str | None) -> None:
    class Odd(ModelView):
        def view_on_site(self, model: Any) -> str | None:
            return url

    _, text = open_form(Odd)
    assert "View on site" not in text


def test_a_policy_that_lets_nobody_in_shows_no_form(make_site: Any, nobody: Policy) -> None:
    site = make_site(Base, policy=nobody)
    site.admin.register(Article, Grouped)
    assert site.client.get(site.url(Article, "create")).status_code == 403
