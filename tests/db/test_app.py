"""The stand-alone application: its settings, what it puts together, and its commands."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy

from admin_app import accounts
from admin_app.app import SAMPLE, create_app
from admin_app.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
KEY = "only for tests, and long enough"
MODELS = """
import sqlalchemy as sa
from sqlalchemy import orm

class Base(orm.DeclarativeBase):
    pass

class Parcel(Base):
    __tablename__ = "parcels"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)

VIEWS = {}
NUMBER = 7
"""

Make = Callable[..., flask.Flask]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes an application over a fresh SQLite file; keyword arguments are its settings."""
    for name in [*os.environ]:
        if re.match("ADMIN_|FLASK_|DATABASE_URL|SECRET_KEY|MIGRATIONS_DIR", name):
            monkeypatch.delenv(name)
    (tmp_path / "shop_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop_models", raising=False)
    return lambda **settings: create_app(
        {"INSTANCE_PATH": str(tmp_path / "instance"), "SECRET_KEY": KEY, "TESTING": True} | settings
    )


def problems(make: Make, **settings: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        make(**settings)
    return caught.value.problems


def tables(app: flask.Flask) -> set[str]:
    with app.app_context():
        return set(sa.inspect(app.extensions["sqlalchemy"].engine).get_table_names())


def test_nothing_set_serves_the_sample(make: Make) -> None:
    app = make()
    assert {"driver", "order"} <= {view.endpoint for view in app.extensions["admin_app"]._views}
    assert "fleet" in app.cli.commands
    assert app.test_client().get("/").location == "/admin/"
    assert app.test_client().get("/admin/").location.startswith("/admin/login")


@pytest.mark.parametrize("wanted", ["shop_models", "shop_models:Base"])
def test_models_are_named_by_module_or_base(make: Make, wanted: str) -> None:
    app = make(ADMIN_MODELS=wanted)
    assert [model.__name__ for model in app.extensions["admin_app"].views_by_model] == ["Parcel"]
    assert "fleet" not in app.cli.commands


def test_models_of_flask_sqlalchemy_keep_their_db(make: Make) -> None:
    db = SQLAlchemy()

    class Parcel(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    app = make(ADMIN_MODELS=[Parcel], SQLALCHEMY_BINDS={"other": "sqlite://"})
    assert app.extensions["sqlalchemy"] is db
    with app.app_context():
        assert set(db.engines) == {None, "other"}


def test_a_database_without_models_is_reflected(make: Make, database_url: str) -> None:
    with sa.create_engine(database_url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE parcels (id INTEGER PRIMARY KEY)")
    app = make(ADMIN_MODELS="reflect", DATABASE_URL=database_url)
    assert app.test_client().get("/admin/parcel/").status_code == 302
    answer = app.test_client().get("/admin/login")
    assert answer.status_code == 200
    assert "flask admin init-db" in answer.text


def test_the_history_is_kept_chained_or_left_out_as_the_environment_says(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {}
    for value in ("", "on", "chained", "off"):
        monkeypatch.setenv("ADMIN_HISTORY", value)
        admin = make(ADMIN_MODELS="shop_models").extensions["admin_app"]
        said[value] = (admin.history is not None, admin._is_chained)
    kept = (True, False)
    assert said == {"": kept, "on": kept, "chained": (True, True), "off": (False, False)}


def test_an_instance_path_is_taken_from_where_the_application_starts(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert make(ADMIN_MODELS="shop_models", INSTANCE_PATH="kept").instance_path == str(
        tmp_path / "kept"
    )


def test_what_lies_outside_of_the_admin_carries_its_headers_too(make: Make) -> None:
    client = make(ADMIN_MODELS="shop_models").test_client()
    answers = client.get("/"), client.get("/nothing"), client.post("/")
    assert [a.status_code for a in answers] == [302, 404, 405]
    for answer in answers:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"


def test_every_wrong_setting_is_told_at_once(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = problems(
        make,
        TESTING=False,
        DATABASE_URL="oracal://anna:topsecret@host/shop",
        SECRET_KEY="short",
        ADMIN_SIGN_IN="perhaps",
        ADMIN_HISTORY="maybe",
        ADMIN_PROXY_HOPS="-1",
        ADMIN_IMPORT_MAX_BYTES="50 MB",
        ADMIN_MODELS="no_such.module",
        ADMIN_VIEWS="shop_models:NUMBER",
        MIGRATIONS_DIR=str(tmp_path / "file"),
        SQLALCHEMY_ENGINE_OPTIONS="pool_size=10",
    )
    settings = [sentence.split()[0] for sentence in told]
    assert settings == [
        "DATABASE_URL",
        "SECRET_KEY",
        "ADMIN_SIGN_IN",
        "ADMIN_HISTORY",
        "ADMIN_PROXY_HOPS",
        "ADMIN_IMPORT_MAX_BYTES",
        "MIGRATIONS_DIR",
        "SQLALCHEMY_ENGINE_OPTIONS",
        "ADMIN_MODELS",
        "ADMIN_VIEWS",
    ]
    assert not re.search("topsecret|short'", " ".join(told))
    assert all(sentence.endswith((".", "'")) for sentence in told)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("shop_models:Nothing", "has no name 'Nothing'"),
        ("shop_models:NUMBER", "no class is mapped"),
        ("os", "no class is mapped"),
        ("..", "names no module"),
        ("no_such", "no module 'no_such'"),
        ("shop_models.inner", "no module 'shop_models.inner'"),
        (7, "no class is mapped"),
        ([], "no class is mapped"),
    ],
)
def test_wrong_models_are_told_in_a_sentence(make: Make, wanted: object, told: str) -> None:
    (sentence,) = problems(make, ADMIN_MODELS=wanted)
    assert f"ADMIN_MODELS is {wanted!r}" in sentence
    assert told in sentence


def test_a_fault_inside_the_models_is_not_hidden(make: Make, tmp_path: Path) -> None:
    (tmp_path / "broken_models.py").write_text("import nothing_of_this_name")
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        make(ADMIN_MODELS="broken_models")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:////no/such/file.db", "no such file to reflect"),
        ("postgresql://postgres@127.0.0.1:1/shop", "does not answer"),
        ("sqlite://", "has no tables"),
    ],
)
def test_a_database_that_cannot_be_reflected_is_told(make: Make, url: str, told: str) -> None:
    (sentence,) = problems(make, ADMIN_MODELS="reflect", DATABASE_URL=url)
    assert told in sentence


def test_the_environment_is_read_and_configuration_wins(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ADMIN_MODELS", "shop_models")
    monkeypatch.setenv("ADMIN_NAME", "Shop")
    monkeypatch.setenv("FLASK_SESSION_COOKIE_SAMESITE", "Strict")
    (tmp_path / "url").write_text("sqlite:///from_file.sqlite\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    app = make(ADMIN_NAME="Parcels")
    assert app.extensions["admin_app"].name == "Parcels"
    assert app.config["ADMIN_MODELS"] == "shop_models"
    assert app.config["SESSION_COOKIE_SAMESITE"] == "Strict"
    assert app.config["SQLALCHEMY_DATABASE_URI"].database.endswith("instance/from_file.sqlite")


def test_a_secret_file_that_is_missing_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", "/no/such/file")
    assert "SECRET_KEY_FILE names '/no/such/file'" in problems(make)[0]


@pytest.mark.parametrize("key", [None, "", "short", "change-me", "secret key"])
def test_production_needs_a_real_secret_key(make: Make, key: str | None) -> None:
    (sentence,) = problems(make, TESTING=False, SECRET_KEY=key)
    assert "secrets.token_urlsafe" in sentence
    assert not key or key not in sentence.partition(":")[0]


def test_development_keeps_a_key_of_its_own_that_nobody_else_can_read(
    make: Make, tmp_path: Path
) -> None:
    first, second = make(SECRET_KEY=None), make(SECRET_KEY=None)
    assert first.config["SECRET_KEY"] == second.config["SECRET_KEY"]
    file = tmp_path / "instance" / "secret_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_sign_in_the_first_page_is_open(make: Make) -> None:
    app = make(ADMIN_SIGN_IN="none")
    assert "Open access" in app.test_client().get("/admin/").text


def test_open_access_is_refused_in_production(make: Make) -> None:
    (sentence,) = problems(make, TESTING=False, ADMIN_SIGN_IN="none")
    assert "ADMIN_ALLOW_OPEN=1" in sentence
    make(TESTING=False, ADMIN_SIGN_IN="none", ADMIN_ALLOW_OPEN="1")


def test_migrations_of_other_models_are_not_those_of_the_sample(make: Make) -> None:
    assert make().config["MIGRATIONS_DIR"] == str(ROOT / "migrations")
    assert make(ADMIN_MODELS="shop_models").config["MIGRATIONS_DIR"].endswith("instance/migrations")
    assert make(MIGRATIONS_DIR="there").config["MIGRATIONS_DIR"] == "there"


def test_options_of_the_engine_are_added_to_ours(make: Make) -> None:
    app = make(
        DATABASE_URL="postgresql://host/shop",
        SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 2, "connect_args": {"connect_timeout": 1}},
    )
    options = app.config["SQLALCHEMY_ENGINE_OPTIONS"]
    assert options["pool_size"] == 2
    assert options["pool_pre_ping"]
    assert options["connect_args"]["connect_timeout"] == 1
    assert "statement_timeout" in options["connect_args"]["options"]


def test_the_session_cookie_is_bound_to_https_where_it_came_over_it(make: Make) -> None:
    client = make().test_client()
    plain = client.get("/admin/login").headers["Set-Cookie"]
    assert plain.startswith("admin_session=")
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    secure = client.get("/admin/login", base_url="https://localhost").headers["Set-Cookie"]
    assert secure.startswith("__Host-admin_session=")
    assert "Secure" in secure


def test_a_proxy_is_believed_only_when_it_was_declared(make: Make) -> None:
    headers = {"X-Forwarded-Proto": "https"}
    for hops, is_secure in ((0, False), ("1", True)):
        client = make(ADMIN_PROXY_HOPS=hops).test_client()
        cookie = client.get("/admin/login", headers=headers).headers["Set-Cookie"]
        assert ("Secure" in cookie) is is_secure


# Commands


@pytest.fixture
def shop(make: Make, database_url: str) -> flask.Flask:
    return make(ADMIN_MODELS="shop_models", DATABASE_URL=database_url)


def run(app: flask.Flask, *arguments: str, **options: Any) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["admin", *arguments], **options)
    return result.exit_code, result.output


def sign_in(client: FlaskClient, email: str, password: str) -> bool:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/admin/login").text)
    form = {"email": email, "password": password, "csrf_token": found[1] if found else ""}
    return bool(client.post("/admin/login", data=form).status_code == 302)


def test_init_db_makes_the_admins_tables_and_no_others(shop: flask.Flask) -> None:
    code, told = run(shop, "init-db")
    own = {"admin_form_token", "admin_role", "admin_user", "admin_user_role"}
    own |= {"admin_saved_view", "admin_default_view", "admin_change_set", "admin_row_change"}
    own |= {"admin_import", "admin_import_mapping", "admin_job", "admin_job_failure"}
    own |= {
        "admin_change_digest",
        "admin_history_chain",
        "admin_grant",
        "admin_session",
        "admin_try",
    }
    assert (code, tables(shop)) == (0, own)
    assert "admin_user" in told
    assert run(shop, "init-db") == (0, "All tables are there already.\n")


def test_init_db_brings_tables_of_an_older_version_up_to_date(shop: flask.Flask) -> None:
    run(shop, "init-db")
    with shop.app_context(), shop.extensions["sqlalchemy"].engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE admin_grant")
        for index in sa.inspect(connection).get_indexes("admin_change_set"):
            if index["column_names"] == ["job_id"]:
                connection.exec_driver_sql(f"DROP INDEX {index['name']}")
        connection.exec_driver_sql("ALTER TABLE admin_change_set DROP COLUMN job_id")
    assert run(shop, "init-db") == (0, "Made admin_grant, admin_change_set.job_id.\n")
    assert run(shop, "init-db") == (0, "All tables are there already.\n")


def test_a_user_is_made_and_signs_in(shop: flask.Flask) -> None:
    run(shop, "init-db")
    typed = "a yellow bicycle\na yellow bicycle\n"
    code, told = run(shop, "create-user", "anna@example.com", input=typed)
    assert code == 0, told
    assert "bicycle" not in told
    assert sign_in(shop.test_client(), "anna@example.com", "a yellow bicycle")
    code, told = run(shop, "set-password", "anna@example.com", "--password", "a blue bicycle")
    assert code == 0, told
    assert not sign_in(shop.test_client(), "anna@example.com", "a yellow bicycle")
    assert sign_in(shop.test_client(), "anna@example.com", "a blue bicycle")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create-user", "anna", "--password", "a yellow bicycle"), "no e-mail address"),
        (("create-user", "anna@example.com", "--password", "short"), "at least 10 characters"),
        (("set-password", "nobody@example.com", "--password", "a blue one"), "no account"),
    ],
)
def test_commands_fail_with_a_sentence(
    shop: flask.Flask, arguments: tuple[str, ...], told: str
) -> None:
    run(shop, "init-db")
    code, output = run(shop, *arguments)
    assert code == 1
    assert told in output


def test_without_tables_commands_say_what_to_run_first(shop: flask.Flask) -> None:
    code, told = run(shop, "create-user", "anna@example.com", "--password", "a yellow bicycle")
    assert code == 1
    assert "flask admin init-db" in told


def test_without_accounts_there_are_no_users_to_make(make: Make) -> None:
    app = make(ADMIN_SIGN_IN="none")
    code, told = run(app, "create-user", "anna@example.com", "--password", "a yellow bicycle")
    assert code == 1
    assert "no accounts of its own" in told


def test_the_demo_user_gets_a_new_password_each_time(make: Make) -> None:
    app = make()
    run(app, "init-db")
    passwords = []
    for _ in range(2):
        told = run(app, "demo-user")[1]
        passwords.append(re.search(r"password +(\S+)", told)[1])  # type: ignore[index]
        assert "http://127.0.0.1:5000/admin/" in told
    assert passwords[0] != passwords[1]
    assert sign_in(app.test_client(), "demo@example.com", passwords[1])


def test_the_demo_user_is_for_the_sample_alone(make: Make) -> None:
    app = make(ADMIN_MODELS="shop_models", TESTING=False)
    run(app, "init-db")
    code, told = run(app, "demo-user")
    assert code == 1
    assert "create-user" in told


# As others start it


def start(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "command",
    [("flask", "--app", "wsgi", "routes"), ("gunicorn", "--bind", "127.0.0.1:0", "wsgi:app")],
)
def test_wrong_settings_stop_the_start_without_a_traceback(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    ended = start(
        *command,
        INSTANCE_PATH=str(tmp_path),
        DATABASE_URL="nonsense",
        ADMIN_SIGN_IN="perhaps",
        SECRET_KEY="short",
    )
    assert ended.returncode != 0
    assert "DATABASE_URL cannot be used: 'nonsense'" in ended.stderr
    assert "ADMIN_SIGN_IN is 'perhaps'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_sample_starts_from_a_fresh_clone(tmp_path: Path) -> None:
    ended = start("flask", "--app", "wsgi", "db", "upgrade", INSTANCE_PATH=str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "admin.sqlite").exists()


# Inside a host


def test_a_host_with_a_default_session_keeps_it() -> None:
    app = flask.Flask("host")
    app.config.update(SECRET_KEY=KEY, TESTING=True, SQLALCHEMY_DATABASE_URI="sqlite://")
    db = SQLAlchemy(app)
    from admin_app import Admin

    Admin(app, db)
    assert type(app.session_interface) is SecureCookieSessionInterface
    assert "admin_user" in db.metadata.tables
    assert isinstance(app.extensions["admin_app"].sign_in, accounts.Accounts)
    assert SAMPLE not in str(app.config.get("ADMIN_MODELS"))


def test_the_sample_is_seeded_though_accounts_were_made_before(make: Make) -> None:
    app = make()
    runner = app.test_cli_runner()
    runner.invoke(args=["db", "upgrade"])
    run(app, "demo-user")
    result = runner.invoke(args=["fleet", "seed", "--if-empty"])
    assert result.exit_code == 0
    assert "Loaded" in result.output


def test_what_should_not_be_so_on_a_server_is_told_before_the_first_visitor(make):
    app = make(ADMIN_SIGN_IN="none", ADMIN_HISTORY="off", SECRET_KEY="secret")
    told = app.test_cli_runner().invoke(args=["admin", "check", "--deploy", "--strict"])
    assert told.exit_code == 1
    for id_ in ("W002", "W003", "W004", "W007", "W009", "W010"):
        assert f"deploy.{id_}" in told.output
    app = make(ADMIN_TRUSTED_HOSTS="localhost, admin.example.com")
    runner = app.test_cli_runner()
    runner.invoke(args=["admin", "init-db"])
    assert "deploy.W008" in runner.invoke(args=["admin", "check", "--deploy"]).output
    args = ["admin", "create-user", "me@example.com", "--password", "a long enough one"]
    assert runner.invoke(args=args).exit_code == 0
    told = runner.invoke(args=["admin", "check", "--deploy"]).output
    assert "1 to look at." in told
    assert "deploy.W010" in told
    assert app.test_client().get("/admin/login").status_code == 200
    stranger = app.test_client().get("/admin/login", base_url="http://evil.example")
    assert stranger.status_code == 400


def test_a_key_can_be_changed_without_signing_anybody_out(make):
    old, new = "the key of last year is long", "the key of this year is long"
    app = make(SECRET_KEY=new, SECRET_KEY_FALLBACKS=f"{old}, another former one")
    assert app.config["SECRET_KEY_FALLBACKS"] == [old, "another former one"]
    signed = make(SECRET_KEY=old).session_interface.get_signing_serializer(make(SECRET_KEY=old))
    cookie = signed.dumps({"a": 1})
    assert app.session_interface.get_signing_serializer(app).loads(cookie) == {"a": 1}
