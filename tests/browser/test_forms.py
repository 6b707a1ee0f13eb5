"""A form in a browser: what it notices while one types, and values that come back unharmed."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect
from sqlalchemy import orm

from admin_app import ModelView
from admin_app.app import create_app
from examples.fleet.models import Condition, Document, Driver, Product, Specimen, Vehicle


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is saved.")).to_be_visible()


def dialogs(page: Page) -> list[str]:
    """The kinds of the dialogs that ``page`` opens from now on; each is accepted."""
    seen: list[str] = []

    def accept(dialog) -> None:
        seen.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    return seen


@pytest.mark.parametrize("keys", ["Control+s", "Meta+s"])
def test_the_key_for_saving_saves(keys: str, page: Page, fleet) -> None:
    page.goto(fleet.at("driver/edit/?id=1"))
    page.get_by_label("Phone").fill("+1 555 0100")
    page.keyboard.press(keys)
    expect(page.get_by_text("is saved.")).to_be_visible()
    assert fleet.one(Driver.phone, Driver.id == 1) == "+1 555 0100"


def test_leaving_a_changed_form_is_asked_about(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/edit/?id=1"))
    seen = dialogs(page)
    page.get_by_label("Phone").press_sequentially("7")
    page.get_by_role("link", name="Cancel").click()
    expect(page).to_have_url(fleet.at("driver/"))
    assert seen == ["beforeunload"]


def test_leaving_an_unchanged_form_is_not_asked_about(page: Page, fleet) -> None:
    page.goto(fleet.at("specimen/edit/?id=1"))
    seen = dialogs(page)
    page.get_by_label("Name").press_sequentially("7")
    page.keyboard.press("Backspace")
    page.get_by_role("link", name="Cancel").click()
    expect(page).to_have_url(fleet.at("specimen/"))
    assert seen == []


def test_saving_a_changed_form_is_not_asked_about(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/edit/?id=1"))
    seen = dialogs(page)
    page.get_by_label("Phone").press_sequentially("7")
    save(page)
    assert seen == []


def test_changed_fields_are_marked_and_counted(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/edit/?id=1"))
    state = page.locator("[data-form-state]")
    phone = page.get_by_label("Phone")
    before = phone.input_value()
    phone.fill("7")
    page.get_by_label("Is active").click()
    expect(state).to_have_text("2 fields changed")
    expect(page.locator(".changed-mark:visible")).to_have_count(2)
    phone.fill(before)
    expect(state).to_have_text("1 field changed")
    expect(page.locator(".changed-mark:visible")).to_have_count(1)


@pytest.mark.parametrize("model", ["specimen", "product", "vehicle", "order", "document"])
def test_an_untouched_form_counts_as_unchanged(model: str, page: Page, fleet) -> None:
    page.goto(fleet.at(f"{model}/"))
    page.locator("tbody tr").first.get_by_title("Edit").click()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_visible()
    expect(page.locator("[data-form-state]")).to_have_text("")


def wrong_form(page: Page, fleet) -> None:
    page.goto(fleet.at("driver/edit/?id=1"))
    page.get_by_label("Hourly wage").fill("a lot")
    page.get_by_label("First name").fill("Typed")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")


def test_the_first_wrong_field_has_the_focus(page: Page, fleet) -> None:
    wrong_form(page, fleet)
    expect(page.get_by_label("Hourly wage")).to_be_focused()
    expect(page.get_by_label("First name")).to_have_value("Typed")


def test_what_is_wrong_leads_to_its_field(page: Page, fleet) -> None:
    wrong_form(page, fleet)
    page.get_by_label("Phone").focus()
    page.get_by_role("alert").get_by_role("link", name="Hourly wage").click()
    expect(page.get_by_label("Hourly wage")).to_be_focused()


def test_what_is_wrong_is_read_with_its_field(page: Page, fleet) -> None:
    wrong_form(page, fleet)
    expect(page.get_by_label("Hourly wage")).to_have_accessible_description("This is not a number.")


def test_a_wrong_form_says_so_in_its_title(page: Page, fleet) -> None:
    wrong_form(page, fleet)
    expect(page).to_have_title(re.compile("^Error: "))


def test_a_row_is_created_and_found_in_the_list(page: Page, fleet) -> None:
    page.goto(fleet.at("tag/new/"))
    page.get_by_label("Name").fill("Needs ramp")
    page.get_by_role("button", name="Create tag").click()
    expect(page.get_by_text("Tag “Needs ramp” is created.")).to_be_visible()
    expect(page.locator("tbody")).to_contain_text("Needs ramp")


def test_a_missing_value_is_asked_for_before_anything_is_sent(page: Page, fleet) -> None:
    page.goto(fleet.at("tag/new/"))
    page.get_by_role("button", name="Create tag").click()
    expect(page.get_by_label("Name")).to_be_focused()
    expect(page).to_have_url(fleet.at("tag/new/"))


def test_one_more_can_be_added_at_once(page: Page, fleet) -> None:
    page.goto(fleet.at("tag/new/"))
    page.get_by_label("Name").fill("Needs ramp")
    page.get_by_role("button", name="Save and add another").click()
    expect(page.get_by_text("is created.")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("")


def test_one_goes_on_editing_what_was_saved(page: Page, fleet) -> None:
    page.goto(fleet.at("tag/edit/?id=1"))
    page.get_by_label("Name").fill("Needs ramp")
    page.get_by_role("button", name="Save and keep editing").click()
    expect(page.get_by_text("is saved.")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Needs ramp")


def test_a_row_is_deleted_once_that_is_confirmed(page: Page, fleet) -> None:
    page.goto(fleet.at("task/edit/?id=1"))
    page.get_by_role("link", name="Delete…").click()
    page.get_by_role("button", name="Delete task").click()
    expect(page.get_by_text("is deleted.")).to_be_visible()


def test_a_box_is_ticked_and_unticked(page: Page, fleet) -> None:
    for value in (True, False):
        page.goto(fleet.at("specimen/edit/?id=1"))
        page.get_by_label("Boolean", exact=True).set_checked(value)
        save(page)
        assert fleet.one(Specimen.boolean, Specimen.id == 1) is value


def test_a_choice_is_chosen_and_emptied(page: Page, fleet) -> None:
    for words, value in (("beyond repair", Condition.BROKEN), ("–", None)):
        page.goto(fleet.at("specimen/edit/?id=1"))
        page.get_by_label("Enum", exact=True).select_option(words)
        save(page)
        assert fleet.one(Specimen.enum, Specimen.id == 1) is value


NATIVE = {
    "date": ("2026-02-28", dt.date(2026, 2, 28)),
    "time": ("23:59", dt.time(23, 59)),
    "datetime_naive": ("2026-02-28T23:59", dt.datetime(2026, 2, 28, 23, 59)),
}


@pytest.mark.parametrize("name", NATIVE)
def test_a_date_or_time_is_typed_into_the_browsers_own_control(
    name: str, page: Page, fleet
) -> None:
    typed, value = NATIVE[name]
    fleet.run(sa.update(Specimen).values({name: None}))
    page.goto(fleet.at("specimen/edit/?id=1"))
    page.locator(f"#{name}").fill(typed)
    save(page)
    assert fleet.one(getattr(Specimen, name), Specimen.id == 1) == value


FINE = {
    "time": dt.time(23, 59, 58, 123456),
    "datetime_naive": dt.datetime(2026, 2, 28, 23, 59, 58, 123456),
    "datetime_with_zone": dt.datetime(2026, 2, 28, 23, 59, 58, 123456),
    "interval": dt.timedelta(days=2, seconds=3, microseconds=4),
}


@pytest.mark.parametrize("name", FINE)
def test_microseconds_are_not_lost_in_a_control(name: str, page: Page, fleet) -> None:
    fleet.run(sa.update(Specimen).values({name: FINE[name]}))
    page.goto(fleet.at("specimen/edit/?id=1"))
    page.get_by_label("Name").fill("Another name")
    save(page)
    kept = fleet.one(getattr(Specimen, name), Specimen.id == 1)
    assert kept == FINE[name]


def test_a_moment_of_another_second_is_shown_whole(page: Page, fleet) -> None:
    moment = dt.datetime(2026, 2, 28, 23, 59, 58, 500000)
    fleet.run(sa.update(Specimen).values(datetime_naive=moment))
    page.goto(fleet.at("specimen/edit/?id=1"))
    assert "23:59:58.5" in page.locator("#datetime_naive").input_value()


def test_a_text_keeps_its_first_empty_line_and_its_last(page: Page, fleet) -> None:
    fleet.run(sa.update(Specimen).values(text="\n\nkept \n\n"))
    page.goto(fleet.at("specimen/edit/?id=1"))
    page.get_by_label("Name").fill("Another name")
    save(page)
    assert fleet.one(Specimen.text, Specimen.id == 1) == "\n\nkept \n\n"


def test_lines_that_are_typed_are_stored_with_plain_line_ends(page: Page, fleet) -> None:
    page.goto(fleet.at("specimen/edit/?id=1"))
    page.get_by_label("Text", exact=True).fill("\none\ntwo")
    save(page)
    assert fleet.one(Specimen.text, Specimen.id == 1) == "\none\ntwo"


def test_json_is_typed_and_refused_with_the_place_of_the_fault(page: Page, fleet) -> None:
    page.goto(fleet.at("product/edit/?id=1"))
    page.get_by_label("Attributes").fill('{"fragile": }')
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("Attributes")).to_have_accessible_description(
        "This is not JSON: line 1, column 13 (expecting value)."
    )
    page.get_by_label("Attributes").fill('{"fragile": [1, "ä"]}')
    save(page)
    assert fleet.one(Product.attributes, Product.id == 1) == {"fragile": [1, "ä"]}


def test_json_is_set_in_letters_of_one_width(page: Page, fleet) -> None:
    page.goto(fleet.at("product/edit/?id=1"))
    family = page.get_by_label("Attributes").evaluate("area => getComputedStyle(area).fontFamily")
    assert "monospace" in family


@pytest.fixture
def invoice(tmp_path: Path) -> Path:
    file = tmp_path / "invoice.pdf"
    file.write_bytes(b"%PDF \x00\xff\r\n")
    return file


def document_form(page: Page, fleet) -> None:
    page.goto(fleet.at("document/"))
    page.locator("td.key a").first.click()
    page.get_by_role("link", name="Edit").click()


def test_a_file_is_uploaded_with_a_new_row(page: Page, fleet, invoice: Path) -> None:
    page.goto(fleet.at("document/new/"))
    page.get_by_label("Filename").fill("invoice.pdf")
    page.get_by_label("Media type").fill("application/pdf")
    page.get_by_label("Content").set_input_files(invoice)
    page.locator("#customer-ts-control").click()
    page.locator(".ts-dropdown .option").first.click()
    page.get_by_role("button", name="Create document").click()
    expect(page.get_by_text("is created.")).to_be_visible()
    stored = fleet.one(Document.content, Document.filename == "invoice.pdf")
    assert stored == invoice.read_bytes()


def test_a_file_is_kept_when_none_is_chosen(page: Page, fleet) -> None:
    document_form(page, fleet)
    name = page.get_by_label("Filename").input_value()
    before = fleet.one(Document.content, Document.filename == name)
    page.get_by_label("Media type").fill("text/plain")
    save(page)
    assert fleet.one(Document.content, Document.filename == name) == before
    assert fleet.one(Document.media_type, Document.filename == name) == "text/plain"


def test_a_file_is_replaced_by_another(page: Page, fleet, invoice: Path) -> None:
    document_form(page, fleet)
    page.get_by_label("Filename").fill("unique.pdf")
    page.get_by_label("Content").set_input_files(invoice)
    expect(page.locator("[data-form-state]")).to_have_text("2 fields changed")
    save(page)
    assert fleet.one(Document.content, Document.filename == "unique.pdf") == invoice.read_bytes()


class Notes(orm.DeclarativeBase):
    pass


class Note(Notes):
    """Something with a file that may be missing, and lines that are edited with it."""

    __tablename__ = "notes"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    scan: orm.Mapped[bytes | None] = orm.mapped_column(sa.LargeBinary)
    lines: orm.Mapped[list[Line]] = orm.relationship(
        back_populates="note", cascade="all, delete-orphan"
    )


class Line(Notes):
    __tablename__ = "lines"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    text: orm.Mapped[str]
    slug: orm.Mapped[str | None] = orm.mapped_column(sa.String(40))
    note_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("notes.id"))
    note: orm.Mapped[Note] = orm.relationship(back_populates="lines")


class NoteView(ModelView):
    inline_models = ((Line, {"form_prepopulated_fields": {"slug": ("text",)}}),)


@pytest.fixture
def notes(live_server, sqlite_url: str, tmp_path: Path) -> tuple[str, sa.Engine]:
    """The address of the form of a note with a file and two lines, and the database."""
    app = create_app(
        {
            "DATABASE_URL": sqlite_url,
            "ADMIN_MODELS": Notes,
            "ADMIN_VIEWS": {Note: NoteView},
            "ADMIN_SIGN_IN": "none",
            "ADMIN_ALLOW_OPEN": "1",
            "INSTANCE_PATH": str(tmp_path),
            "SECRET_KEY": "only for tests, and long enough",
        }
    )
    with app.app_context():
        engine: sa.Engine = app.extensions["sqlalchemy"].engine
    Notes.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add(Note(scan=b"old", lines=[Line(text="one"), Line(text="two")]))
        session.commit()
    return f"{live_server(app)}/admin/note/edit/?id=1", engine


def lines(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(Line.text).order_by(Line.id)))


def test_a_file_is_removed_where_none_is_needed(page: Page, notes) -> None:
    url, engine = notes
    page.goto(url)
    page.get_by_label("Remove", exact=True).check()
    save(page)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(Note.scan)) is None


def test_rows_inside_a_form_are_added_and_taken_back(page: Page, notes) -> None:
    url, engine = notes
    page.goto(url)
    for text in ("three", "not this one", "four"):
        page.get_by_role("button", name="Add to lines").click()
        page.keyboard.type(text)
    expect(page.locator("[data-form-state]")).to_contain_text("changed")
    page.get_by_role("button", name="Remove").nth(1).click()
    save(page)
    assert lines(engine) == ["one", "two", "three", "four"]


def test_a_slug_inside_a_row_follows_the_text_of_its_own_row(page: Page, notes) -> None:
    url, _ = notes
    page.goto(url)
    page.get_by_role("button", name="Add to lines").click()
    page.keyboard.type("Été à la mer")
    rows = page.locator("[data-inline-row]")
    rows.nth(1).get_by_label("Text").fill("Zwei")
    expect(rows.nth(2).get_by_label("Slug")).to_have_value("ete-a-la-mer")
    expect(rows.nth(1).get_by_label("Slug")).to_have_value("zwei")
    expect(rows.nth(0).get_by_label("Slug")).to_have_value("")


def test_rows_inside_a_form_are_changed_and_removed_when_it_is_saved(page: Page, notes) -> None:
    url, engine = notes
    page.goto(url)
    page.get_by_label("Remove when saved").first.check()
    page.locator("[data-inline-row]").nth(1).get_by_label("Text").fill("Two")
    save(page)
    assert lines(engine) == ["Two"]


def test_axe_finds_nothing_in_rows_inside_a_form(page: Page, notes, axe) -> None:
    page.goto(notes[0])
    page.get_by_role("button", name="Add to lines").click()
    assert axe(page) == []


def test_a_constraint_of_the_database_is_told_at_its_field(page: Page, fleet) -> None:
    taken = fleet.one(Vehicle.plate, Vehicle.id == 2)
    page.goto(fleet.at("vehicle/edit/?id=1"))
    page.get_by_label("Plate").fill(taken)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("Plate")).to_be_focused()
    expect(page.get_by_label("Plate")).to_have_value(taken)
