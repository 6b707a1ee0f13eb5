"""What holds for every page: headers, forged forms, errors, files, the theme."""

from __future__ import annotations

import gzip
import io
import logging
import re
from html import unescape
from pathlib import Path

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from flask_wtf.csrf import CSRFProtect

from admin_app import database, pages
from admin_app.errors import Forbidden, InvalidRequest, NotFound, OutOfTime, WriteRefused
from admin_app.pages import safe_url


def make_app(**config: object) -> flask.Flask:
    """A host with one page of its own, and pages under /admin."""
    app = flask.Flask("host", static_folder=None)
    app.config.update(SECRET_KEY="only for tests", **config)
    app.add_url_rule("/", "host", lambda: "host", methods=["GET", "POST"])
    app.add_url_rule("/admin/", "first", lambda: "first", methods=["GET", "POST"])
    app.add_url_rule("/admin/token", "token", lambda: pages.generate_csrf())
    pages.guard(app, "/admin")
    pages.catch_errors(app)
    app.jinja_env.globals["admin_site"] = lambda: pages.Site("Admin", "/admin/")
    return app


@pytest.fixture
def app() -> flask.Flask:
    return make_app()


@pytest.fixture
def client(app: flask.Flask) -> FlaskClient:
    return app.test_client()


def failing(app: flask.Flask, error: Exception) -> FlaskClient:
    def fail() -> str:
        raise error

    app.add_url_rule("/admin/fail", "fail", fail)
    return app.test_client()


def sentence(response: flask.Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.get_data(as_text=True)))


# Headers


def test_every_page_of_the_admin_carries_the_headers(client: FlaskClient) -> None:
    for path in ("/admin/", "/admin/nothing"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Vary"] == "Cookie"
        assert "Strict-Transport-Security" not in headers


def test_the_policy_allows_scripts_by_a_nonce_that_is_new_each_time(app: flask.Flask) -> None:
    app.add_url_rule("/admin/nonce", "nonce", pages.csp_nonce)
    answers = [app.test_client().get("/admin/nonce") for _ in range(2)]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert f"script-src 'nonce-{answer.text}';" in policy
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
    assert answers[0].text != answers[1].text


def test_https_is_remembered_by_browsers_that_came_over_it(client: FlaskClient) -> None:
    headers = client.get("/admin/", base_url="https://localhost").headers
    assert headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_page_may_set_a_policy_of_its_own(app: flask.Flask) -> None:
    own = {"Content-Security-Policy": "sandbox"}
    app.add_url_rule("/admin/file", "file", lambda: ("", own))
    headers = app.test_client().get("/admin/file").headers
    assert headers["Content-Security-Policy"] == "sandbox"


def test_pages_of_the_host_are_left_alone(client: FlaskClient) -> None:
    for path in ("/", "/administrators"):
        assert "Content-Security-Policy" not in client.get(path).headers


def test_two_admins_of_one_application_are_both_guarded(app: flask.Flask) -> None:
    pages.guard(app, "/back")
    client = app.test_client()
    assert client.post("/back/anything").status_code == 404
    assert "Content-Security-Policy" in client.get("/back/").headers


# Forged forms


def test_a_post_without_a_token_is_refused_with_a_sentence(client: FlaskClient) -> None:
    answer = client.post("/admin/")
    assert answer.status_code == 400
    assert "Nothing was saved" in sentence(answer)


def test_a_post_with_a_token_is_taken(client: FlaskClient) -> None:
    token = client.get("/admin/token").text
    assert client.post("/admin/", data={"csrf_token": token}).text == "first"
    assert client.post("/admin/", headers={"X-CSRFToken": token}).text == "first"


def test_a_request_from_another_site_is_refused_whatever_it_carries(client: FlaskClient) -> None:
    token = client.get("/admin/token").text
    headers = {"X-CSRFToken": token, "Sec-Fetch-Site": "cross-site"}
    assert client.post("/admin/", headers=headers).status_code == 400


def test_posts_of_the_host_need_no_token(client: FlaskClient) -> None:
    assert client.post("/").text == "host"


def test_a_host_that_protects_itself_keeps_its_exemptions(app: flask.Flask) -> None:
    csrf = CSRFProtect(app)
    csrf.exempt(app.view_functions["first"].__module__ + "." + "<lambda>")
    assert app.test_client().post("/admin/").text == "first"


def test_tests_can_switch_the_check_off() -> None:
    assert make_app(WTF_CSRF_ENABLED=False).test_client().post("/admin/").text == "first"


def test_a_token_lasts_as_long_as_the_session_unless_the_host_says_otherwise() -> None:
    assert make_app().config["WTF_CSRF_TIME_LIMIT"] is None
    assert make_app(WTF_CSRF_TIME_LIMIT=60).config["WTF_CSRF_TIME_LIMIT"] == 60


# Errors


def test_an_unknown_path_is_told_in_our_page(client: FlaskClient) -> None:
    answer = client.get("/admin/nothing", headers={"Referer": "http://localhost/admin/?page=2"})
    assert answer.status_code == 404
    assert "There is no such page" in sentence(answer)
    assert 'href="/admin/?page=2"' in answer.text


def test_a_wrong_method_is_told_and_names_the_right_ones(client: FlaskClient) -> None:
    answer = client.put("/admin/")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_a_stranger_at_an_unknown_path_gets_the_answer_for_strangers() -> None:
    app = flask.Flask("host")
    pages.guard(app, "/admin", lambda: flask.redirect("/enter"))
    assert app.test_client().get("/admin/nothing").location == "/enter"
    assert app.test_client().get("/nothing").status_code == 404


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("That is no page."), 400),
        (Forbidden("Not yours."), 403),
        (NotFound("No such order."), 404),
        (WriteRefused("It was refused."), 409),
    ],
)
def test_errors_of_the_admin_are_told_in_their_own_words(
    app: flask.Flask, error: Exception, status: int
) -> None:
    answer = failing(app, error).get("/admin/fail")
    assert answer.status_code == status
    assert str(error) in sentence(answer)


def test_a_script_is_told_in_json(app: flask.Flask) -> None:
    client = failing(app, NotFound("No such order."))
    answer = client.get("/admin/fail", headers={"Accept": "application/json"})
    assert answer.json == {"error": "No such order.", "error_id": None}


def test_a_form_that_met_no_database_can_be_sent_again_as_it_was(app: flask.Flask) -> None:
    def save() -> str:
        raise OutOfTime("Busy.")

    app.config["WTF_CSRF_ENABLED"] = False
    app.add_url_rule("/admin/save", "save", save, methods=["POST"])
    client = app.test_client()
    typed = {"note": ['<b> & "two"\nlines', "more"]}
    html = client.post("/admin/save?id=é%26", data=typed).text
    assert 'action="/admin/save?id=é%26"' in html
    assert [unescape(v) for v in re.findall(r'name="note" value="([^"]*)"', html)] == typed["note"]
    for unkept in ({"password": "hunter2"}, {"file": (io.BytesIO(b"x"), "a.txt")}):
        assert "Send it again" not in client.post("/admin/save", data=unkept).text


def test_a_fault_is_logged_under_the_id_that_the_page_shows(
    app: flask.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = failing(app, ZeroDivisionError("secret detail")).get("/admin/fail")
    assert answer.status_code == 500
    shown = re.search(r"\b[0-9a-f]{8}\b", sentence(answer))
    assert shown
    assert f"Error {shown[0]} at GET '/admin/fail': ZeroDivisionError" in caplog.text
    assert "secret detail" not in answer.text


def test_an_error_is_told_even_when_the_frame_of_the_page_is_broken(app: flask.Flask) -> None:
    app.jinja_env.globals["admin_site"] = lambda: 1 / 0
    answer = failing(app, NotFound("No order <7>.")).get("/admin/fail")
    assert "No order &lt;7&gt;." in answer.text


def test_too_large_a_form_is_told() -> None:
    client = make_app(MAX_CONTENT_LENGTH=10).test_client()
    answer = client.post("/admin/", data={"text": "more than ten bytes"})
    assert answer.status_code == 413
    assert "larger than this server accepts" in sentence(answer)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT 1 FROM not_there", "does not have this table yet"),
        ("SELECT not_there FROM here", "lacks a column"),
    ],
)
def test_a_database_that_lags_behind_is_told(
    app: flask.Flask, database_url: str, statement: str, told: str
) -> None:
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE here (id INTEGER)")

    def read() -> str:
        with engine.connect() as connection:
            return str(connection.exec_driver_sql(statement).all())

    app.add_url_rule("/admin/read", "read", read)
    answer = app.test_client().get("/admin/read")
    assert answer.status_code == 503
    assert told in sentence(answer)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg2://127.0.0.1:1/x", "sqlite:////no/such/folder/x.db"]
)
def test_a_database_that_cannot_be_reached_is_told(app: flask.Flask, url: str) -> None:
    engine = sa.create_engine(url)
    app.add_url_rule("/admin/read", "read", lambda: str(engine.connect()))
    assert "does not answer" in sentence(app.test_client().get("/admin/read"))


def test_a_statement_that_took_too_long_is_told(app: flask.Flask, postgresql_url: str) -> None:
    engine = sa.create_engine(postgresql_url)

    def read() -> str:
        with engine.connect() as connection:
            database.set_limits(connection, "lookup")
            return str(connection.exec_driver_sql("SELECT pg_sleep(9)"))

    app.add_url_rule("/admin/read", "read", read)
    assert "took too long" in sentence(app.test_client().get("/admin/read"))


def test_a_fault_in_a_statement_is_a_fault_of_ours(app: flask.Flask, sqlite_url: str) -> None:
    engine = sa.create_engine(sqlite_url)

    def read() -> str:
        with engine.connect() as connection:
            return str(connection.exec_driver_sql("SELECT FROM WHERE"))

    app.add_url_rule("/admin/read", "read", read)
    answer = app.test_client().get("/admin/read")
    assert answer.status_code == 500
    assert "SELECT" not in answer.text


# Where a page may lead


@pytest.mark.parametrize("path", ["/", "/admin/?page=2", "/admin/order/edit/?id=a%2Fb#top", "/é"])
def test_paths_of_this_site_are_followed(path: str) -> None:
    assert safe_url(path, "/home") == path


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "admin/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        " /admin/",
        "/admin/\n",
        "/\t/evil.example",
        "/a b",
        "/\x7f",
        "/\x85",
        "//[",
    ],
)
def test_everything_else_leads_to_the_default(target: str | None) -> None:
    assert safe_url(target, "/home") == "/home"


# Files


@pytest.fixture
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A static folder of our own making, before the application looks at it."""
    (tmp_path / "js").mkdir()
    (tmp_path / "style.css").write_text("body { color: black }\n" * 100)
    (tmp_path / "js" / "a.js").write_text("export const a = 1;\n" * 100)
    (tmp_path / "dot.png").write_bytes(bytes(500))
    (tmp_path / "notes.py").write_text("secret")
    monkeypatch.setattr(pages, "STATIC", tmp_path)
    return tmp_path


def url_of(app: flask.Flask, path: str) -> str:
    with app.test_request_context():
        return pages.asset(path)


def test_a_file_is_cached_for_ever_and_compressed(static: Path, app: flask.Flask) -> None:
    url = url_of(app, "style.css")
    answer = app.test_client().get(url, headers={"Accept-Encoding": "br, gzip"})
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert "Set-Cookie" not in answer.headers
    assert gzip.decompress(answer.data) == (static / "style.css").read_bytes()


def test_who_cannot_decompress_gets_the_file_itself(static: Path, app: flask.Flask) -> None:
    answer = app.test_client().get(url_of(app, "js/a.js"))
    assert "Content-Encoding" not in answer.headers
    assert answer.data == (static / "js" / "a.js").read_bytes()
    assert answer.content_type == "text/javascript; charset=utf-8"


def test_what_does_not_compress_is_sent_as_it_is(static: Path, app: flask.Flask) -> None:
    answer = app.test_client().get(url_of(app, "dot.png"), headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers


def test_a_file_that_is_known_is_not_sent_again(static: Path, app: flask.Flask) -> None:
    client = app.test_client()
    tag = client.get(url_of(app, "style.css")).headers["ETag"]
    answer = client.get(url_of(app, "style.css"), headers={"If-None-Match": tag})
    assert (answer.status_code, answer.data) == (304, b"")


def test_every_url_changes_with_any_file(static: Path) -> None:
    before = url_of(make_app(), "style.css")
    (static / "js" / "a.js").write_text("export const a = 2;")
    assert url_of(make_app(), "style.css") != before


def test_the_url_of_an_older_folder_is_answered_but_not_kept(
    static: Path, app: flask.Flask
) -> None:
    answer = app.test_client().get("/admin/assets/0123456789abcdef/style.css")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"


def test_in_development_a_changed_file_is_seen_at_once(static: Path, app: flask.Flask) -> None:
    app.debug = True
    before = url_of(app, "style.css")
    (static / "style.css").write_text("body { color: white }")
    after = url_of(app, "style.css")
    assert after != before
    assert app.test_client().get(after).text == "body { color: white }"


@pytest.mark.parametrize("path", ["none.css", "notes.py", "../pages.py", "..%2Fpages.py", "js"])
def test_nothing_else_is_served(static: Path, app: flask.Flask, path: str) -> None:
    assert app.test_client().get(f"/admin/assets/0/{path}").status_code == 404


def test_our_templates_stand_behind_the_hosts_and_before_all_others(tmp_path: Path) -> None:
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin" / "index.html").write_text("the host's own")
    app = flask.Flask("host", template_folder=str(tmp_path))
    pages.guard(app, "/admin")
    loader = app.jinja_env
    assert loader.get_template("admin/index.html").filename == str(tmp_path / "admin/index.html")
    ours = loader.get_template("admin/error.html").filename
    assert ours == str(pages.TEMPLATES / "admin" / "error.html")


# The theme


def test_the_theme_is_chosen_remembered_and_given_back(app: flask.Flask) -> None:
    app.add_url_rule("/admin/theme-now", "now", lambda: str(pages.theme()))
    client = app.test_client()
    for theme, seen in (("dark", "dark"), ("light", "light"), ("pink", "None"), ("", "None")):
        token = client.get("/admin/token").text
        form = {"theme": theme, "next": "/admin/order/", "csrf_token": token}
        answer = client.post("/admin/theme", data=form)
        assert (answer.status_code, answer.location) == (303, "/admin/order/")
        assert client.get("/admin/theme-now").text == seen


def test_the_theme_leads_nowhere_else(client: FlaskClient) -> None:
    form = {"next": "//evil.example", "csrf_token": client.get("/admin/token").text}
    referrer = {"Referer": "http://localhost/admin/order/?page=2"}
    assert client.post("/admin/theme", data=form).location == "/admin/"
    back = client.post("/admin/theme", data=form, headers=referrer)
    assert back.location == "/admin/order/?page=2"


def test_the_theme_needs_a_token(client: FlaskClient) -> None:
    assert client.post("/admin/theme", data={"theme": "dark"}).status_code == 400
