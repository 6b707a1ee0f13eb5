"""The documentation keeps up with the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import flask
import pytest
import sqlalchemy as sa

from admin_app.app import create_app
from docs import generate_options

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TARGETS = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def without_code(text: str) -> str:
    fenced = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ {4}.*$", "", fenced, flags=re.MULTILINE))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "docs" in page.parts and page.stem != "index"], ids=name
)
def test_every_page_is_reached_from_the_index(page: Path) -> None:
    index = ROOT / "docs" / "index.md"
    assert f"]({page.relative_to(index.parent).as_posix()})" in index.read_text("utf-8")


@pytest.mark.parametrize("target", TARGETS)
def test_every_make_target_is_explained(target: str) -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    assert re.search(rf"^ +{target} +\S", listed, re.MULTILINE)
    assert f"`make {target}`" in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_there_are_at_most_ten_make_targets() -> None:
    assert 1 < len(TARGETS) <= 10


def test_the_changelog_has_an_entry_for_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(rf"^## .*\b{re.escape(PROJECT['version'])}\b", changelog, re.MULTILINE)


@pytest.mark.parametrize(("page", "lines"), [("README.md", 120), ("CONTRIBUTING.md", 150)])
def test_what_a_newcomer_reads_first_stays_short(page: str, lines: int) -> None:
    assert len((ROOT / page).read_text("utf-8").splitlines()) <= lines


def test_the_architecture_names_every_module() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
    modules = {path.stem for path in (ROOT / "admin_app").glob("*") if path.suffix in ("", ".py")}
    for module in modules - {"__init__", "__pycache__", "static"}:
        assert f"`{module}`" in page, module


# Options

OPTIONS = {name for part in generate_options.INHERITED.values() for name in part}


def test_every_option_is_described_once() -> None:
    ours = set(generate_options.own_docstrings())
    assert OPTIONS | ours >= set(generate_options.defaults())
    assert OPTIONS & ours == set()


def test_nothing_is_described_that_is_no_option() -> None:
    assert set(generate_options.defaults()) >= OPTIONS


def test_the_page_of_options_is_what_the_class_says() -> None:
    assert generate_options.PAGE.read_text("utf-8") == generate_options.page(), "run: make docs"


# What the pages tell a reader to run

SHOP = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Product(Base):
    __tablename__ = "product"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]
    name: Mapped[str]
    price: Mapped[int]
    is_sold: Mapped[bool] = mapped_column(default=True)
"""


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page, each with its language."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.M | re.S)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A reader's folder, from which modules can be imported until the test ends."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for module in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]


@pytest.fixture
def shop(folder: Path) -> ModuleType:
    """The package ``shop`` that the pages speak of."""
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "models.py").write_text(SHOP)
    return import_module("shop.models")


def applications(page: str) -> Iterator[tuple[flask.Flask, dict[str, Any]]]:
    """Run the Python blocks of a page in one namespace; each makes an ``app``."""
    names: dict[str, Any] = {}
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, page, "exec", dont_inherit=True), names)  # noqa: S102 - our own page
            yield names["app"], names


def test_the_application_of_the_readme_keeps_strangers_out(shop: ModuleType) -> None:
    [(app, names)] = applications("README.md")
    assert names["admin"].view_for(shop.Product).column_list == ("sku", "name", "price")
    answer = app.test_client().get("/admin/product/")
    assert answer.location == "/admin/login?next=/admin/product/"


def test_the_commands_of_the_readme_let_one_in(shop: ModuleType) -> None:
    [(app, names)] = applications("README.md")
    with app.app_context():
        shop.Base.metadata.tables["product"].create(names["db"].engine)
    app.config["WTF_CSRF_ENABLED"] = False
    account = {"email": "me@example.com", "password": "a long password"}
    run = app.test_cli_runner().invoke
    assert run(args=["admin", "init-db"]).exit_code == 0
    run(args=["admin", "create-user", account["email"], "--password", account["password"]])
    client = app.test_client()
    client.post("/admin/login", data=account)
    assert client.get("/admin/product/").status_code == 200


def test_every_application_of_the_guide_to_embedding_answers(shop: ModuleType) -> None:
    statuses = []
    for app, names in applications("docs/how-to/embed-in-flask.md"):
        if "engine" in names:
            shop.Base.metadata.create_all(names["engine"])
        statuses.append(app.test_client().get("/admin/product/").status_code)
    assert statuses == [302, 302, 302, 302, 200]


def test_the_guide_to_embedding_lets_in_users_of_the_host(shop: ModuleType) -> None:
    app, names = list(applications("docs/how-to/embed-in-flask.md"))[3]
    statuses = {}
    for user in names["users"]:
        client = app.test_client()
        with client.session_transaction() as session:
            session["_user_id"] = user
        statuses[user] = client.get("/admin/").status_code
    assert statuses == {"anna": 200, "ben": 403}


def test_the_policy_of_the_guide_to_embedding_hides_rows(shop: ModuleType) -> None:
    *_, (app, names) = applications("docs/how-to/embed-in-flask.md")
    shop.Base.metadata.create_all(names["engine"])
    with sa.orm.Session(names["engine"]) as session:
        for sold in (True, False):
            session.add(shop.Product(sku="1", name=f"sold: {sold}", price=1, is_sold=sold))
        session.commit()
    page = app.test_client().get("/admin/product/").text
    assert "sold: True" in page
    assert "sold: False" not in page


@pytest.fixture
def library(folder: Path) -> flask.Flask:
    """The admin that a reader has at the end of the tutorial, every step of it done."""
    steps = []
    for language, text in blocks("docs/tutorial.md"):
        if language == "python":
            path = text.split("\n", 1)[0].removeprefix("# ").replace("~", "$HOME")
            steps.append(f"cat >> {path} <<'END'\n{text}\nEND")
        else:
            # The clone is there, and what serves would not end.
            steps += [s for s in text.splitlines() if not s.startswith(("git ", "make "))]
    script = "\n".join(steps).replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    result = subprocess.run(
        ["bash", "-euc", script],
        cwd=ROOT,
        env={**os.environ, "HOME": str(folder), "INSTANCE_PATH": str(folder / "instance")},
        input="a long password\n" * 2,
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    sys.path.insert(0, str(folder / "library"))
    app = create_app(
        {
            "ADMIN_MODELS": "library",
            "ADMIN_SIGN_IN": "none",
            "ADMIN_VIEWS": "library_admin",
            "DATABASE_URL": f"sqlite:///{folder}/library/library.sqlite",
            "INSTANCE_PATH": str(folder / "instance"),
            "TESTING": True,
            "WTF_CSRF_ENABLED": False,
        }
    )
    sys.path.remove(str(folder / "library"))
    return app


@pytest.mark.slow
def test_the_tutorial_ends_with_a_working_admin(library: flask.Flask) -> None:
    client = library.test_client()
    client.post("/admin/member/new/", data={"name": "Ada", "email": "ada@example.com"})
    client.post("/admin/book/new/", data={"isbn": "1", "title": "Sketch", "year": "1843"})
    client.post("/admin/loan/new/", data={"member": "1", "book": "1", "lent_on": "2026-11-24"})
    chosen = {"action": "return", "rowid": "1"}
    assert "returned today?" in client.post("/admin/loan/action/", data=chosen).text
    done = client.post(
        "/admin/loan/action/", data={**chosen, "confirmed": "1"}, follow_redirects=True
    )
    assert "1 books are back." in done.text
    assert "me@example.com" in accounts_of(library)


def accounts_of(app: flask.Flask) -> list[str]:
    with app.app_context():
        session = app.extensions["admin_app"].session
        return list(session.scalars(sa.text("SELECT email FROM admin_user")))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_that_a_page_names_is_there(page: Path) -> None:
    commands = create_app({"TESTING": True, "DATABASE_URL": "sqlite://"}).cli.commands
    text = page.read_text("utf-8")
    for target in re.findall(r"(?:^|[`&]) *make ([a-z0-9-]+)", text, re.MULTILINE):
        assert target in TARGETS, target
    for group, command in re.findall(r"flask (?:--app \w+ )?(admin|db|fleet) ([a-z-]+)", text):
        assert command in commands[group].commands, command
