"""Sign-in: the bundled accounts, the host's Flask-Login, and none at all."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from types import SimpleNamespace

import flask
import flask_login
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy import orm

from admin_app import accounts, database, pages
from admin_app.accounts import Accounts, FlaskLogin, Open
from admin_app.errors import ConfigurationError, WriteRefused

EMAIL = "Anna@example.com"
PASSWORD = "a yellow bicycle"

HOSTILE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "http:///evil.example/",
    "javascript:alert(1)",
    "/\t/evil.example/",
    " https://evil.example/",
]


@dataclasses.dataclass
class Bench:
    """A small admin: a session, a sign-in, and one page that tells who sees it."""

    app: flask.Flask
    sign_in: Accounts
    session: orm.scoped_session[orm.Session]

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def sign_in_as(
        self, client: FlaskClient, email: str = EMAIL, password: str = PASSWORD, next_url: str = ""
    ) -> flask.Response:
        form = {"email": email, "password": password, "csrf_token": token(client)}
        return client.post("/admin/login", query_string={"next": next_url}, data=form)


def token(client: FlaskClient, path: str = "/admin/login") -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).text)
    return found[1] if found else ""


def bench(
    url: str, with_tables: bool = True, settings: Mapping[str, object] | None = None
) -> Bench:
    engine = sa.create_engine(database.normalise_url(url))
    database.listen(engine)
    if with_tables:
        database.Base.metadata.create_all(engine)
    app = flask.Flask("bench")
    app.config.update(
        SECRET_KEY="not a secret, a test",
        SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS={"argon2__time_cost": 1, "argon2__memory_cost": 64},
        TESTING=True,
        **(settings or {}),
    )
    session = orm.scoped_session(orm.sessionmaker(engine))
    sign_in = Accounts()
    pages.guard(app, "/admin", lambda: flask.redirect(sign_in.sign_in_url(flask.request.path)))
    sign_in.init_app(
        app, SimpleNamespace(url="/admin", session=session, has_table=lambda model: with_tables)
    )
    app.jinja_env.globals["admin_site"] = lambda: pages.Site("Bench", "/admin/")
    app.add_url_rule("/admin/", "who", lambda: str(sign_in.identify()))
    app.teardown_appcontext(lambda error: session.remove())
    return Bench(app, sign_in, session)


@pytest.fixture
def admin(database_url: str) -> Iterator[Bench]:
    made = bench(database_url)
    with made.app.app_context():
        made.sign_in.create_user(EMAIL, PASSWORD)
    yield made
    made.session.remove()


def test_an_account_signs_in_whatever_the_case_of_its_address(admin: Bench) -> None:
    client = admin.client()
    assert client.get("/admin/").text == "None"
    answer = admin.sign_in_as(client, "anna@EXAMPLE.com")
    assert (answer.status_code, answer.location) == (302, "/admin/")
    assert "label='Anna@example.com', is_staff=True" in client.get("/admin/").text


def test_a_wrong_password_and_an_unknown_address_are_answered_alike(admin: Bench) -> None:
    answers = [
        re.sub(r'(value|nonce)="[^"]*"', "", admin.sign_in_as(admin.client(), email, "wrong").text)
        for email in (EMAIL, "nobody@example.com")
    ]
    assert answers[0] == answers[1]
    assert "do not belong together" in answers[0]


def test_sign_in_leads_on_to_the_page_that_was_asked_for(admin: Bench) -> None:
    answer = admin.sign_in_as(admin.client(), next_url="/admin/order/?page=2")
    assert answer.location == "/admin/order/?page=2"


@pytest.mark.parametrize("target", HOSTILE)
def test_sign_in_never_leads_to_another_site(admin: Bench, target: str) -> None:
    client = admin.client()
    assert admin.sign_in_as(client, next_url=target).location == "/admin/login"
    form = {"email": EMAIL, "password": PASSWORD, "csrf_token": token(client), "next": target}
    assert client.post("/admin/login", data=form).location == "/admin/login"


def test_an_unknown_page_sends_a_stranger_to_sign_in(admin: Bench) -> None:
    answer = admin.client().get("/admin/nothing/here")
    assert answer.location == "/admin/login?next=/admin/nothing/here"


def test_sign_in_without_a_token_is_refused(admin: Bench) -> None:
    form = {"email": EMAIL, "password": PASSWORD}
    assert admin.client().post("/admin/login", data=form).status_code == 400


def test_a_token_from_before_sign_in_is_worth_nothing_after_it(admin: Bench) -> None:
    client = admin.client()
    before = token(client)
    admin.sign_in_as(client)
    assert client.post("/admin/logout", data={"csrf_token": before}).status_code == 400


def test_sign_out_needs_a_post_with_its_token(admin: Bench) -> None:
    client = admin.client()
    admin.sign_in_as(client)
    assert client.get("/admin/logout").status_code != 200
    assert client.post("/admin/logout").status_code == 400
    assert "Anna" in client.get("/admin/").text

    with client.session_transaction() as session, admin.app.test_request_context():
        flask.session.update(session)
        form = {"csrf_token": pages.generate_csrf()}
        session.update(flask.session)
    assert client.post("/admin/logout", data=form).location == "/admin/login"
    assert client.get("/admin/").text == "None"


def test_a_deactivated_account_is_out_at_the_next_request(admin: Bench) -> None:
    client = admin.client()
    admin.sign_in_as(client)
    with admin.app.app_context():
        admin.sign_in.find_user(EMAIL).active = False
        admin.session.commit()
    assert client.get("/admin/").text == "None"


def test_a_new_password_ends_every_session(admin: Bench) -> None:
    client = admin.client()
    admin.sign_in_as(client)
    with admin.app.app_context():
        admin.sign_in.set_password(admin.sign_in.find_user(EMAIL), "another bicycle")
    assert client.get("/admin/").text == "None"
    assert admin.sign_in_as(client, password="another bicycle").status_code == 302


def test_passwords_are_kept_as_argon2(admin: Bench) -> None:
    with admin.app.app_context():
        assert admin.sign_in.find_user(EMAIL).password.startswith("$argon2id$")


@pytest.mark.parametrize(
    ("email", "password", "told"),
    [
        ("anna@example.com", PASSWORD, "already"),
        ("anna", PASSWORD, "no e-mail address"),
        ("bert@example.com", "short", "at least 10 characters"),
    ],
)
def test_an_account_that_will_not_do_is_refused(
    admin: Bench, email: str, password: str, told: str
) -> None:
    with admin.app.app_context(), pytest.raises(WriteRefused, match=told):
        admin.sign_in.create_user(email, password)


def test_nobody_can_register_and_no_token_signs_in(admin: Bench) -> None:
    rules = {rule.rule for rule in admin.app.url_map.iter_rules() if "accounts" in rule.endpoint}
    assert rules == {"/admin/change", "/admin/login", "/admin/logout"}
    with admin.app.test_request_context():
        secret = admin.sign_in.find_user(EMAIL).get_auth_token()
    answer = admin.client().get("/admin/", headers={"Authentication-Token": secret})
    assert answer.text == "None"


def test_knowing_who_is_there_and_what_he_may_costs_two_statements(
    admin: Bench, statements
) -> None:
    client = admin.client()
    admin.sign_in_as(client)
    with statements(admin.session.get_bind()) as seen:
        client.get("/admin/")
        assert len(seen) == 2
        assert client.get("/admin/assets/0/admin.css").status_code == 200
        assert len(seen) == 2


def test_without_tables_the_page_says_what_to_run(database_url: str) -> None:
    made = bench(database_url, with_tables=False)
    answer = made.client().get("/admin/login")
    assert answer.status_code == 200
    assert "flask admin init-db" in answer.text
    assert made.sign_in_as(made.client()).status_code == 302


def test_a_cookie_older_than_the_database_is_a_strangers(admin: Bench) -> None:
    client = admin.client()
    admin.sign_in_as(client)
    admin.session.remove()
    database.Base.metadata.drop_all(admin.session.get_bind())
    assert client.get("/admin/").text == "None"


def test_without_accounts_the_page_says_what_to_run(database_url: str) -> None:
    assert "flask admin create-user" in bench(database_url).client().get("/admin/login").text


def test_settings_of_flask_security_are_honoured(database_url: str) -> None:
    app = flask.Flask("bench")
    app.config.update(SECRET_KEY="a test", SECURITY_LOGIN_URL="/enter")
    Accounts().init_app(
        app,
        SimpleNamespace(
            url="/", session=orm.scoped_session(orm.Session), has_table=lambda model: True
        ),
    )
    assert "/enter" in {rule.rule for rule in app.url_map.iter_rules()}


def test_a_host_with_a_sign_in_of_its_own_is_told_what_to_pass() -> None:
    app = flask.Flask("host")
    flask_login.LoginManager(app)
    with pytest.raises(ConfigurationError, match="FlaskLogin"):
        Accounts().init_app(app, SimpleNamespace(url="/admin", session=None))


def test_a_host_with_flask_security_of_its_own_keeps_its_pages() -> None:
    app = flask.Flask("host")
    pages.install(app)
    app.register_blueprint(
        flask.Blueprint("security", "flask_security", template_folder="templates")
    )
    assert "flask_security" in str(app.jinja_env.get_template("security/login_user.html").filename)


class HostUser(flask_login.UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name

    def __str__(self) -> str:
        return self.id.title()


def test_the_hosts_users_enter_when_the_host_says_so() -> None:
    app = flask.Flask("host")
    manager = flask_login.LoginManager(app)
    manager.login_view = "enter"
    manager.user_loader(HostUser)
    app.add_url_rule("/enter", "enter", lambda: "")
    sign_in = FlaskLogin(lambda user: user.id == "anna")
    with app.test_request_context("/admin/"):
        assert sign_in.identify() is None
        assert sign_in.sign_in_url("/admin/") == "/enter?next=%2Fadmin%2F"
        assert sign_in.sign_out_url() is None
        for name, may_enter in (("anna", True), ("bert", False)):
            flask.g._login_user = HostUser(name)
            assert sign_in.identify() == accounts.Principal(name, name.title(), may_enter)


def start_open(**config: object) -> None:
    app = flask.Flask("open")
    app.config.update(config)
    Open().init_app(app, SimpleNamespace(url="/admin", session=None))


@pytest.mark.parametrize("config", [{}, {"ADMIN_ALLOW_OPEN": "0"}, {"ADMIN_ALLOW_OPEN": False}])
def test_no_sign_in_is_refused_in_production(config: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="ADMIN_ALLOW_OPEN=1"):
        start_open(**config)


@pytest.mark.parametrize(
    "config", [{"ADMIN_ALLOW_OPEN": "1"}, {"ADMIN_ALLOW_OPEN": True}, {"TESTING": 1}, {"DEBUG": 1}]
)
def test_no_sign_in_is_possible_where_it_is_meant(config: dict[str, object]) -> None:
    start_open(**config)
