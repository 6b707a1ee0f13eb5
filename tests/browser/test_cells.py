"""Cells edited in the list, where only a browser can show it: keys, focus, and the way to leave."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from playwright.sync_api import Locator, Page, expect

from admin_app import Admin, ModelView
from admin_app.database import listen
from examples.fleet.models import Base, Driver, Task
from examples.fleet.rows import SIZES
from examples.fleet.seed import seed
from tests.browser.conftest import LiveServer


class Tasks(ModelView):
    column_list = ("title", "category", "is_done", "driver")
    column_editable_list = ("title", "category", "is_done", "driver")
    column_default_sort = "id"


class Edited:
    def __init__(self, url: str, engine: sa.Engine) -> None:
        self.url, self.engine = url + "/admin/task/", engine

    def task(self, key: int) -> Any:
        with sa.orm.Session(self.engine) as session:
            return session.get_one(Task, key)

    def run(self, statement: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(statement)


@pytest.fixture
def tasks(live_server: LiveServer, tmp_path: Path) -> Iterator[Edited]:
    """The tasks of the sample in a list whose cells are editable."""
    app = flask.Flask("edited")
    app.config.update(
        SECRET_KEY="only for tests, and long enough",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'fleet.db'}",
        TESTING=True,
    )
    db = SQLAlchemy(app, metadata=Base.metadata)
    with app.app_context():
        engine = db.engine
    listen(engine)
    admin = Admin(app, db, sign_in="none")
    admin.register(Task, Tasks)
    admin.register(Driver)
    Base.metadata.create_all(engine)
    seed(engine, SIZES["small"])
    with contextlib.closing(engine.connect()):
        yield Edited(live_server(app), engine)


def cell(page: Page, column: str, row: int = 0) -> Locator:
    return page.locator(f'td[data-cell="{column}"]').nth(row)


def edit(page: Page, column: str) -> None:
    cell(page, column).hover()
    cell(page, column).locator(".cell-edit").click()


def control(page: Page) -> Locator:
    return page.locator(".cell-editor [name^=cell-]")


def editor(page: Page) -> Locator:
    return page.locator(".cell-editor")


@pytest.fixture
def in_list(page: Page, tasks: Edited) -> Page:
    page.goto(tasks.url)
    return page


def test_a_double_click_opens_the_field_and_enter_saves(in_list: Page, tasks: Edited) -> None:
    cell(in_list, "category").dblclick()
    category = control(in_list)
    expect(category).to_be_focused()
    category.select_option("Archived")
    in_list.keyboard.press("Enter")
    expect(cell(in_list, "category")).to_contain_text("Archived")
    expect(cell(in_list, "category").locator(".cell-edit")).to_be_focused()
    assert tasks.task(1).category == "Archived"


def test_a_plain_click_opens_nothing(in_list: Page) -> None:
    cell(in_list, "category").click()
    expect(editor(in_list)).to_have_count(0)


def test_escape_leaves_the_cell_as_it_was(in_list: Page, tasks: Edited) -> None:
    before = tasks.task(1).title
    cell(in_list, "title").locator(".cell-edit").focus()
    in_list.keyboard.press("Enter")
    expect(control(in_list)).to_be_focused()
    in_list.keyboard.type("Not this")
    in_list.keyboard.press("Escape")
    expect(editor(in_list)).to_have_count(0)
    expect(cell(in_list, "title")).to_contain_text(before)
    assert tasks.task(1).title == before


def test_tab_saves_and_opens_the_next_cell(in_list: Page, tasks: Edited) -> None:
    edit(in_list, "title")
    expect(control(in_list)).to_be_focused()
    in_list.keyboard.type("Swept")
    in_list.keyboard.press("Tab")
    category = in_list.locator(".cell-editor [name=cell-category]")
    expect(category).to_be_focused()
    category.select_option("Archived")
    in_list.keyboard.press("Shift+Tab")
    expect(control(in_list)).to_have_attribute("name", "cell-title")
    task = tasks.task(1)
    assert (task.title, task.category) == ("Swept", "Archived")


def test_a_row_is_picked_in_its_cell(in_list: Page, tasks: Edited) -> None:
    tasks.run(sa.update(Task).values(driver_id=None).where(Task.id == 1))
    edit(in_list, "driver")
    expect(editor(in_list).get_by_role("combobox")).to_be_focused()
    editor(in_list).locator(".ts-control").click()
    in_list.locator(".ts-dropdown:visible .option").nth(2).click()
    in_list.keyboard.press("Enter")
    expect(cell(in_list, "driver").locator(".link")).to_be_visible()
    expect(editor(in_list)).to_have_count(0)
    assert tasks.task(1).driver_id is not None


def test_what_is_wrong_is_told_at_the_cell(in_list: Page, tasks: Edited, complaints: Any) -> None:
    edit(in_list, "title")
    title = control(in_list)
    expect(title).to_be_focused()
    tasks.run(sa.update(Task).values(title="Theirs").where(Task.id == 1))
    in_list.keyboard.type("Mine")
    in_list.keyboard.press("Enter")
    expect(editor(in_list).get_by_text("Somebody else has changed this")).to_be_visible()
    expect(control(in_list)).to_have_value("Mine")
    in_list.keyboard.press("Enter")
    expect(cell(in_list, "title")).to_contain_text("Mine")
    complaints.clear()


def test_an_open_editor_is_accessible(in_list: Page, axe: Callable[[Page], list[str]]) -> None:
    edit(in_list, "driver")
    expect(editor(in_list).get_by_role("combobox")).to_be_focused()
    assert axe(in_list) == []


def test_a_page_of_cells_is_accessible_and_asks_before_it_is_left(
    page: Page, tasks: Edited, axe: Callable[[Page], list[str]]
) -> None:
    page.goto(tasks.url)
    page.get_by_role("link", name="Edit cells").click()
    title = page.get_by_label("Title of task 1", exact=True)
    assert axe(page) == []
    title.fill("Unsaved")
    expect(page.get_by_text("1 field changed")).to_be_visible()
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="New task").click(no_wait_after=True)
    page.wait_for_timeout(300)
    assert asked == ["beforeunload"]
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("1 task is changed.")).to_be_visible()
