"""Groups, tabs and controls of a form in a browser, with scripts and without."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column

from admin_app import Admin, ModelView
from admin_app.database import engine_options, listen, normalise_url


class Base(orm.DeclarativeBase):
    pass


book_genres = sa.Table(
    "book_genres",
    Base.metadata,
    sa.Column("book_id", sa.ForeignKey("books.id"), primary_key=True),
    sa.Column("genre_id", sa.ForeignKey("genres.id"), primary_key=True),
)


class Genre(Base):
    __tablename__ = "genres"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40))


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(60))
    slug: Mapped[str | None] = mapped_column(sa.String(24))
    binding: Mapped[str | None] = mapped_column(sa.Enum("soft", "hard", name="binding"))
    printed_on: Mapped[dt.date | None]
    opened_at: Mapped[dt.time | None]
    sold_at: Mapped[dt.datetime | None]
    returned_at: Mapped[dt.datetime | None] = mapped_column(sa.DateTime(timezone=True))
    isbn: Mapped[str] = mapped_column(sa.String(13))
    blurb: Mapped[str | None] = mapped_column(sa.Text)
    website: Mapped[str | None] = mapped_column(sa.String(80))
    colour: Mapped[str | None] = mapped_column(sa.String(20))
    shelf: Mapped[str | None] = mapped_column(sa.String(5))

    genres: Mapped[list[Genre]] = orm.relationship(secondary=book_genres)


class BookView(ModelView):
    form_fieldsets = [
        (None, [("title", "slug"), "binding"]),
        ("Dates", {"fields": ["printed_on", "opened_at", "sold_at", "returned_at"]}),
        ("Identity", {"fields": ["isbn", "website", "colour"], "classes": ["tab"]}),
        ("Text", {"fields": ["blurb"], "classes": ["tab"]}),
        ("Kinds", {"fields": ["genres"], "classes": ["tab"]}),
        ("Place", {"fields": ["shelf"], "classes": ["collapse"]}),
    ]
    form_radio_columns = ("binding",)
    form_multiple_widgets = {"genres": "checkboxes"}
    form_prepopulated_fields = {"slug": ("title",)}


class BoxesView(ModelView):
    form_columns = ("title", "isbn", "genres")
    form_multiple_widgets = {"genres": "boxes"}


class Shop:
    """A site over books, one of which is there."""

    def __init__(self, app: Flask, url: str, engine: sa.Engine) -> None:
        self.url = f"{url}/admin/"
        self.engine = engine

    def at(self, path: str) -> str:
        return self.url + path

    def book(self) -> tuple[Any, list[str]]:
        """The newest book, and the names of its genres."""
        with orm.Session(self.engine) as session:
            book = session.scalars(sa.select(Book).order_by(Book.id.desc())).first()
            assert book is not None
            names = sorted(g.name for g in book.genres)
            session.expunge_all()
            return book, names


@pytest.fixture
def shop(live_server: Callable[[Flask], str], tmp_path: Any) -> Iterator[Shop]:
    url = normalise_url(f"sqlite:///{tmp_path}/shop.db")
    app = Flask("shop")
    app.config.update(
        SECRET_KEY="only for tests, and long enough",
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(url),
        ADMIN_ALLOW_OPEN="1",
    )
    db = SQLAlchemy(metadata=Base.metadata)
    db.init_app(app)
    with app.app_context():
        engine = db.engine
        listen(engine)
        Base.metadata.create_all(engine)
    admin = Admin(app, db, name="Shop", sign_in="none")
    admin.register(Genre)
    admin.register(Book, BookView)
    admin.add_view(BoxesView(Book, db, endpoint="boxed", url="/admin/boxed"))
    with orm.Session(engine) as session:
        genres = [Genre(name=f"Genre {number:02}") for number in range(1, 31)]
        session.add_all(genres)
        session.add(Book(title="Walden", isbn="9780691096124", genres=genres[:2]))
        session.commit()
    yield Shop(app, live_server(app), engine)
    engine.dispose()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is saved.")).to_be_visible()


EDIT = "book/edit/?id=1"


# Tabs


def test_one_tab_is_open(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    expect(page.get_by_role("tab", name="Identity")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel", name="Identity")).to_be_visible()
    expect(page.get_by_label("Blurb")).to_be_hidden()


def test_a_click_opens_a_tab(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    page.get_by_role("tab", name="Text").click()
    expect(page.get_by_label("Blurb")).to_be_visible()
    expect(page.get_by_label("ISBN")).to_be_hidden()


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["ArrowRight"], "Text"),
        (["ArrowLeft"], "Kinds"),
        (["End", "ArrowRight"], "Identity"),
        (["End", "Home"], "Identity"),
    ],
)
def test_arrows_go_from_tab_to_tab(page: Page, shop: Shop, keys: list[str], name: str) -> None:
    page.goto(shop.at(EDIT))
    page.get_by_role("tab", name="Identity").focus()
    for key in keys:
        page.keyboard.press(key)
    tab = page.get_by_role("tab", name=name)
    expect(tab).to_be_focused()
    expect(tab).to_have_attribute("aria-selected", "true")


def test_only_the_open_tab_can_be_reached_by_tab(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    page.get_by_role("tab", name="Identity").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Isbn")).to_be_focused()


def test_a_tab_with_an_error_is_marked_and_open(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    page.get_by_label("Isbn").evaluate("input => input.removeAttribute('maxlength')")
    page.get_by_role("tab", name="Text").click()
    page.evaluate("document.getElementById('isbn').value = 'x'.repeat(20)")
    page.get_by_role("button", name="Save", exact=True).click()
    tab = page.get_by_role("tab", name="Identity needs another look")
    expect(tab).to_have_attribute("aria-selected", "true")
    expect(page.get_by_label("Isbn")).to_be_focused()


def test_a_link_of_the_error_summary_opens_the_tab(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    page.evaluate("document.getElementById('isbn').removeAttribute('maxlength')")
    page.get_by_label("Isbn").fill("x" * 20)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("tab", name="Text").click()
    page.get_by_role("alert").get_by_role("link", name="Isbn").click()
    expect(page.get_by_label("Isbn")).to_be_visible()


def test_a_missing_value_in_a_closed_tab_opens_it(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    page.get_by_label("Isbn").fill("")
    page.get_by_role("tab", name="Text").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("Isbn")).to_be_focused()


def test_what_closed_tabs_hold_is_saved_too(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    page.get_by_role("tab", name="Text").click()
    page.get_by_label("Blurb").fill("A pond.")
    page.get_by_role("tab", name="Identity").click()
    save(page)
    assert shop.book()[0].blurb == "A pond."


def test_without_scripts_tabs_are_sections(plain_page: Page, shop: Shop) -> None:
    plain_page.goto(shop.at(EDIT))
    for name in ("Identity", "Text", "Kinds"):
        expect(plain_page.get_by_role("group", name=name, exact=True)).to_be_visible()
    expect(plain_page.get_by_label("Blurb")).to_be_visible()


# Now and today


@pytest.fixture
def far_page(browser: Browser) -> Iterator[Page]:
    """A page on a computer far from UTC, at a moment that is another day there."""
    context = browser.new_context(timezone_id="Pacific/Auckland")
    page = context.new_page()
    page.clock.set_fixed_time(dt.datetime(2026, 3, 1, 15, 4, 5, tzinfo=dt.UTC))
    yield page
    context.close()


def test_today_is_the_day_of_the_operators_zone(far_page: Page, shop: Shop) -> None:
    far_page.goto(shop.at(EDIT))
    far_page.get_by_role("button", name="Today: Printed on").click()
    expect(far_page.get_by_label("Printed on", exact=True)).to_have_value("2026-03-01")


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("Opened at", "15:04:05"),
        ("Sold at", "2026-03-01T15:04:05"),
        ("Returned at", "2026-03-02 04:04:05+13:00"),
    ],
)
def test_now_is_the_time_that_the_column_keeps(
    far_page: Page, shop: Shop, label: str, value: str
) -> None:
    # By the second page the server knows the zone of the browser, which moments are in.
    far_page.goto(shop.at(EDIT))
    far_page.goto(shop.at(EDIT))
    far_page.get_by_role("button", name=f"Now: {label}").click()
    expect(far_page.get_by_label(label, exact=True)).to_have_value(value)


def test_who_is_far_from_the_server_is_told_at_each_time_without_a_zone(
    far_page: Page, page: Page, shop: Shop
) -> None:
    words = "You are 13 hours ahead of the server’s time."
    far_page.goto(shop.at(EDIT))
    for label in ("Opened at", "Sold at"):
        expect(far_page.get_by_label(label, exact=True)).to_have_accessible_description(words)
    expect(far_page.get_by_text(words)).to_have_count(2)
    page.goto(shop.at(EDIT))
    expect(page.get_by_role("button", name="Now: Sold at")).to_be_visible()
    expect(page.get_by_text("the server’s time")).to_have_count(0)


def test_now_is_stored(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    for button in page.get_by_role("button", name=re.compile("^(Now|Today): ")).all():
        button.click()
    save(page)
    book, _ = shop.book()
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    assert abs(now - book.sold_at) < dt.timedelta(minutes=1)
    assert abs(now - book.returned_at.replace(tzinfo=None)) < dt.timedelta(minutes=1)


# Slugs


@pytest.mark.parametrize(
    ("typed", "made"),
    [
        ("Ein Bär im Süßen Wald", "ein-bar-im-sussen-wald"),
        ("Война и мир", "vojna-i-mir"),
        ("Ελλάδα!", "ellada"),
        ("L'Œuvre  —  Émile", "loeuvre-emile"),
        ("one two three four five six seven", "one-two-three-four-five"),
        ("日本", ""),
    ],
)
def test_a_slug_is_made_while_the_name_is_typed(
    page: Page, shop: Shop, typed: str, made: str
) -> None:
    page.goto(shop.at("book/new/"))
    page.get_by_label("Title").press_sequentially(typed)
    expect(page.get_by_label("Slug")).to_have_value(made)


def test_a_slug_that_was_typed_in_is_left_alone(page: Page, shop: Shop) -> None:
    page.goto(shop.at("book/new/"))
    page.get_by_label("Title").press_sequentially("One")
    page.get_by_label("Slug").fill("mine")
    page.get_by_label("Title").press_sequentially(" two")
    expect(page.get_by_label("Slug")).to_have_value("mine")


def test_an_emptied_slug_is_made_again(page: Page, shop: Shop) -> None:
    page.goto(shop.at("book/new/"))
    page.get_by_label("Slug").fill("mine")
    page.get_by_label("Slug").fill("")
    page.get_by_label("Title").fill("One")
    expect(page.get_by_label("Slug")).to_have_value("one")


def test_a_stored_slug_is_left_alone(page: Page, shop: Shop) -> None:
    with shop.engine.begin() as connection:
        connection.execute(sa.update(Book).values(slug="stored"))
    page.goto(shop.at(EDIT))
    page.get_by_label("Title").fill("Other")
    expect(page.get_by_label("Slug")).to_have_value("stored")


# Other controls


def test_what_is_left_of_a_limit_is_told_near_its_end(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    title = page.get_by_label("Title")
    title.fill("x" * 40)
    expect(page.get_by_text("characters left")).to_have_count(0)
    title.fill("x" * 57)
    expect(page.get_by_text("3 of 60 characters left")).to_be_visible()


def test_a_colour_is_chosen_or_written(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    swatch, text = page.get_by_label("Choose: Colour"), page.get_by_label("Colour", exact=True)
    swatch.fill("#336699")
    expect(text).to_have_value("#336699")
    text.fill("#FF0000")
    expect(swatch).to_have_value("#ff0000")
    text.fill("")
    save(page)
    assert shop.book()[0].colour is None


def test_a_radio_button_is_saved(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    page.get_by_role("radiogroup", name="Binding").get_by_label("hard").check()
    save(page)
    assert shop.book()[0].binding == "hard"


def test_ticked_rows_are_saved(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    page.get_by_role("tab", name="Kinds").click()
    page.get_by_label("Genre 01").uncheck()
    page.get_by_label("Genre 30").check()
    expect(page.locator("[data-form-state]")).to_have_text("1 field changed")
    save(page)
    assert shop.book()[1] == ["Genre 02", "Genre 30"]


def test_ticked_rows_are_saved_without_scripts(plain_page: Page, shop: Shop) -> None:
    plain_page.goto(shop.at(EDIT))
    plain_page.get_by_label("Genre 01").uncheck()
    save(plain_page)
    assert shop.book()[1] == ["Genre 02"]


BOXES = "boxed/edit/?id=1"


def test_boxes_show_what_is_chosen_and_what_may_be(page: Page, shop: Shop) -> None:
    page.goto(shop.at(BOXES))
    expect(page.get_by_role("listbox", name="Chosen").locator("option")).to_have_text(
        ["Genre 01", "Genre 02"]
    )
    free = page.get_by_role("listbox", name="To choose from")
    expect(free.get_by_role("option", name="Genre 03")).to_be_visible()
    expect(free.locator("option", has_text="Genre 01")).to_have_count(0)


def test_boxes_search_on_the_server_and_add_by_keyboard(page: Page, shop: Shop) -> None:
    page.goto(shop.at(BOXES))
    page.get_by_label("Search", exact=True).fill("Genre 29")
    free = page.get_by_role("listbox", name="To choose from")
    expect(free.locator("option")).to_have_text(["Genre 29"])
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Add", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("3 chosen")).to_be_visible()
    save(page)
    assert shop.book()[1] == ["Genre 01", "Genre 02", "Genre 29"]


def test_boxes_remove_what_is_marked(page: Page, shop: Shop) -> None:
    page.goto(shop.at(BOXES))
    page.get_by_role("listbox", name="Chosen").select_option(["1", "2"])
    page.get_by_role("button", name="Remove", exact=True).click()
    save(page)
    assert shop.book()[1] == []


def test_a_double_click_moves_between_boxes(page: Page, shop: Shop) -> None:
    page.goto(shop.at(BOXES))
    page.get_by_role("option", name="Genre 03").dblclick()
    expect(page.get_by_role("listbox", name="Chosen").locator("option")).to_have_count(3)


def test_boxes_count_what_their_filter_hides(page: Page, shop: Shop) -> None:
    page.goto(shop.at(BOXES))
    page.get_by_label("Filter what is chosen").fill("02")
    expect(page.get_by_text("2 chosen, 1 of them not shown")).to_be_visible()


def test_boxes_that_nobody_touched_change_nothing(page: Page, shop: Shop) -> None:
    page.goto(shop.at(BOXES))
    page.get_by_label("Filter what is chosen").fill("02")
    expect(page.locator("[data-form-state]")).to_have_text("")


def test_without_scripts_boxes_are_keys(plain_page: Page, shop: Shop) -> None:
    plain_page.goto(shop.at(BOXES))
    plain_page.get_by_label("Genres").fill("3,4")
    save(plain_page)
    assert shop.book()[1] == ["Genre 03", "Genre 04"]


def test_a_new_form_begins_in_its_first_field(page: Page, shop: Shop) -> None:
    page.goto(shop.at("book/new/"))
    expect(page.get_by_label("Title")).to_be_focused()


def test_an_existing_row_is_not_focused(page: Page, shop: Shop) -> None:
    page.goto(shop.at(EDIT))
    expect(page.get_by_label("Title")).not_to_be_focused()


# A phone


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 720}, has_touch=True)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("path", [EDIT, BOXES, "book/new/"])
def test_nothing_of_a_form_runs_over_a_phone(phone: Page, shop: Shop, path: str) -> None:
    phone.goto(shop.at(path))
    for box in ("document.documentElement", "document.querySelector('.actions')"):
        assert phone.evaluate(f"{box}.scrollWidth <= {box}.clientWidth")


def test_other_ways_to_save_wait_behind_a_button_on_a_phone(phone: Page, shop: Shop) -> None:
    phone.goto(shop.at(EDIT))
    other = phone.get_by_role("button", name="Save and keep editing")
    expect(other).to_be_hidden()
    phone.get_by_role("button", name="More").click()
    other.click()
    expect(phone.get_by_text("is saved.")).to_be_visible()
    expect(phone).to_have_url(re.compile("book/edit"))


# For everybody


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("path", [EDIT, BOXES])
def test_axe_finds_nothing_in_a_form_of_groups(
    page: Page, shop: Shop, axe: Any, path: str, colours: str
) -> None:
    page.emulate_media(color_scheme=colours)
    page.goto(shop.at(path), wait_until="networkidle")
    assert axe(page) == []


def test_axe_finds_nothing_in_a_tab_with_an_error(page: Page, shop: Shop, axe: Any) -> None:
    page.goto(shop.at(EDIT))
    page.evaluate("document.getElementById('isbn').removeAttribute('maxlength')")
    page.get_by_label("Isbn").fill("x" * 20)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert axe(page) == []
