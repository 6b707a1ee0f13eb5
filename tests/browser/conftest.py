"""A real Chromium against a real server, and a page that fails its test on any complaint."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Response, sync_playwright
from werkzeug.serving import make_server

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


@pytest.fixture
def live_server() -> Iterator[LiveServer]:
    """Serve an app on a free port until the test ends: ``url = live_server(app)``.

    The URL ends without a slash. Requests run in threads of their own, so the app's database has
    to be a file or a server.
    """
    running = []

    def serve(app: Flask) -> str:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


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


@pytest.fixture
def complaints(page: Page) -> Complaints:
    """The complaints of ``page`` so far: console and uncaught errors, CSP reports, 5xx answers."""
    return page.complaints


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page of a fresh profile; any complaint of it fails the test in the end."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.complaints = Complaints(page)
    yield page
    # A last turn of the event loop brings in what the page said just now.
    page.wait_for_timeout(0)
    context.close()
    assert page.complaints == []


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], list[str]]:
    """What axe finds on a page, a sentence each: ``assert axe(page) == []``."""
    checker = Axe()

    def check(page: Page) -> list[str]:
        violations = checker.run(page).response["violations"]
        return [
            f"{violation['id']}: {violation['help']}: {node['html']}"
            for violation in violations
            for node in violation["nodes"]
        ]

    return check
