"""A real Chromium against a real server, and a page that fails its test on any complaint."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Response, sync_playwright
from werkzeug.serving import make_server

from admin_app.app import create_app
from examples.fleet.rows import SIZES
from examples.fleet.seed import seed

LiveServer = Callable[[Flask], str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a browser test."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> str:
    """The path of a Chromium: the environment's CHROMIUM, the system's, or Playwright's own."""
    candidates = [
        os.environ.get("CHROMIUM"),
        shutil.which("chromium"),
        shutil.which("google-chrome"),
        playwright.chromium.executable_path,
    ]
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            return candidate
    pytest.skip("No Chromium: install one, or name it in the environment as CHROMIUM.")


@pytest.fixture(scope="session")
def browser(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    arguments = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # Chromium's sandbox refuses to work for root.
        arguments.append("--no-sandbox")
    browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
    yield browser
    browser.close()


@contextlib.contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve ``app`` on a free port; gives its URL without a slash at the end."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def _running() -> Iterator[contextlib.ExitStack]:
    """The servers of a test; its pages rest on this too, so that none outlives its server."""
    with contextlib.ExitStack() as servers:
        yield servers


@pytest.fixture
def live_server(_running: contextlib.ExitStack) -> LiveServer:
    """Serve an app on a free port until the test ends: ``url = live_server(app)``.

    The URL ends without a slash. Requests run in threads of their own, so the app's database has
    to be a file or a server.
    """
    return lambda app: _running.enter_context(serving(app))


class Fleet:
    """The sample, seeded and served; its data come back as they were after each test."""

    def __init__(self, app: Flask, url: str, database: Path) -> None:
        self.app = app
        self.url = f"{url}/admin/"
        self.database = database
        self.pristine = database.with_name("pristine.db")
        with app.app_context():
            self.engine: sa.Engine = app.extensions["sqlalchemy"].engine

    def at(self, path: str = "") -> str:
        """The URL of a page: ``at("driver/edit/?id=1")``."""
        return self.url + path

    def one(self, column: Any, *where: Any) -> Any:
        """The value of ``column``, the first where several rows meet ``where``."""
        with self.engine.connect() as connection:
            return connection.scalar(sa.select(column).where(*where).order_by(column).limit(1))

    def run(self, statement: Any) -> None:
        """Change the data behind the admin's back."""
        with self.engine.begin() as connection:
            connection.execute(statement)

    def restore(self) -> None:
        with (
            contextlib.closing(sqlite3.connect(self.pristine)) as source,
            contextlib.closing(sqlite3.connect(self.database)) as target,
        ):
            source.backup(target)


@contextlib.contextmanager
def _fleet(folder: Path, sign_in: str) -> Iterator[Fleet]:
    database = folder / "fleet.db"
    app = create_app(
        {
            "DATABASE_URL": f"sqlite:///{database}",
            "ADMIN_SIGN_IN": sign_in,
            "ADMIN_ALLOW_OPEN": "1",
            "ADMIN_NAME": "Fleet",
            "INSTANCE_PATH": str(folder),
            "SECRET_KEY": "only for tests, and long enough",
        }
    )
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        app.extensions["migrate"].metadata.create_all(engine)
        seed(engine, SIZES["small"])
        engine.dispose()
    shutil.copy(database, folder / "pristine.db")
    with serving(app) as url:
        yield Fleet(app, url, database)
    engine.dispose()


@pytest.fixture(scope="session")
def open_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with _fleet(tmp_path_factory.mktemp("open"), "none") as fleet:
        yield fleet


@pytest.fixture
def fleet(open_fleet: Fleet) -> Iterator[Fleet]:
    """The sample without sign-in."""
    with contextlib.closing(sqlite3.connect(open_fleet.database)) as watcher:
        before = watcher.execute("PRAGMA data_version").fetchone()
        yield open_fleet
        is_written = watcher.execute("PRAGMA data_version").fetchone() != before
    if is_written:
        open_fleet.restore()


EMAIL, PASSWORD = "anna@example.com", "a yellow bicycle"


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The sample with accounts, of which there is one: see ``sign_in``."""
    with _fleet(tmp_path_factory.mktemp("guarded"), "accounts") as fleet:
        with fleet.app.app_context():
            fleet.app.extensions["admin_app"].sign_in.create_user(EMAIL, PASSWORD)
        yield fleet


@pytest.fixture
def sign_in() -> Callable[..., None]:
    """Fill the sign-in form that a page shows: ``sign_in(page)``."""

    def send(page: Page, password: str = PASSWORD) -> None:
        page.get_by_label("Email address").fill(EMAIL)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()

    return send


class Complaints(list[str]):
    """What a page complained of; a test that provokes a complaint on purpose clears it."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._answered_pages: set[str] = set()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.append(f"uncaught error: {error}"))
        page.on("response", self._response)

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.append(f"{response.status} from {response.request.method} {response.url}")
        elif response.status >= 400 and response.request.is_navigation_request():
            self._answered_pages.add(response.url)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        where = message.location["url"]
        # Chromium also reports a page that answers 4xx, which is for the test to judge; a file
        # or a request of a script that answers so is a mistake.
        if message.text.startswith("Failed to load resource") and where in self._answered_pages:
            return
        self.append(f"console: {message.text} ({where})")


@contextlib.contextmanager
def _page(browser: Browser, **options: Any) -> Iterator[Page]:
    context = browser.new_context(reduced_motion="reduce", **options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.complaints = Complaints(page)
    yield page
    # A last turn of the event loop brings in what the page said just now.
    page.wait_for_timeout(0)
    context.close()
    assert page.complaints == []


@pytest.fixture
def page(browser: Browser, _running: contextlib.ExitStack) -> Iterator[Page]:
    """A fresh page of a fresh profile; any complaint of it fails the test in the end."""
    with _page(browser) as page:
        yield page


@pytest.fixture
def plain_page(browser: Browser, _running: contextlib.ExitStack) -> Iterator[Page]:
    """As ``page``, in a browser that runs no scripts."""
    with _page(browser, java_script_enabled=False) as page:
        yield page


@pytest.fixture
def complaints(page: Page) -> Complaints:
    """The complaints of ``page`` so far: console and uncaught errors, CSP reports, 5xx answers."""
    return page.complaints


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], list[str]]:
    """What axe finds on a page, a sentence each: ``assert axe(page) == []``."""
    checker = Axe()

    def check(page: Page) -> list[str]:
        # What axe passed is listed in full unless one asks for the faults alone: half the time.
        options = {"resultTypes": ["violations"]}
        violations = checker.run(page, options=options).response["violations"]
        return [
            f"{violation['id']}: {violation['help']}: {node['html']}"
            for violation in violations
            for node in violation["nodes"]
        ]

    return check
