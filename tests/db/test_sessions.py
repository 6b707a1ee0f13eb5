"""Each sign-in is a row, and ends with it: at once, at the next request, wherever it is."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from admin_app.errors import ConfigurationError
from admin_app.sessions import SessionRecord, device
from tests.db.test_accounts import EMAIL, PASSWORD, bench, token

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def admin(database_url: str):
    made = bench(database_url)
    with made.app.app_context():
        made.sign_in.create_user(EMAIL, PASSWORD)
    yield made
    made.session.remove()


def rows(admin, **values):
    """The sessions in the table, after ``values`` were written into all of them."""
    with admin.session() as session:
        if values:
            session.execute(sa.update(SessionRecord).values(values))
            session.commit()
        return session.scalars(sa.select(SessionRecord)).all()


def is_in(client) -> bool:
    return client.get("/admin/").text != "None"


def test_a_session_ends_at_its_next_request_when_its_row_is_deleted(admin) -> None:
    here, there = admin.client(), admin.client()
    admin.sign_in_as(here)
    admin.sign_in_as(there)
    assert len(rows(admin)) == 2
    with admin.app.app_context(), admin.session() as session:
        newest = session.scalars(sa.select(SessionRecord.id)).all()
        first = next(i for i in newest if i == _id(here))
        assert admin.sign_in.end_sessions(1, [first]) == 1
    assert not is_in(here)
    assert is_in(there)


def _id(client) -> str:
    from admin_app.accounts import SESSION_KEY
    from admin_app.sessions import digest

    with client.session_transaction() as cookie:
        return digest(cookie[SESSION_KEY])


def test_signing_out_leaves_no_row_and_an_old_cookie_is_of_no_use(admin) -> None:
    client = admin.client()
    admin.sign_in_as(client)
    cookie = client.get_cookie("session").value
    client.post("/admin/logout", data={"csrf_token": token(client, "/admin/change")})
    assert rows(admin) == []
    client.set_cookie("session", cookie)
    assert not is_in(client)


def test_a_session_ends_when_it_is_not_used_and_when_it_is_old(admin) -> None:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    client = admin.client()
    admin.sign_in_as(client)
    rows(admin, seen_at=now - dt.timedelta(minutes=119))
    assert is_in(client)
    assert rows(admin)[0].seen_at > now - dt.timedelta(minutes=1), "it was used just now"
    rows(admin, seen_at=now - dt.timedelta(minutes=121))
    assert not is_in(client)
    rows(admin, seen_at=now, started_at=now - dt.timedelta(hours=13))
    assert not is_in(client)
    rows(admin, is_kept=True)
    assert is_in(client), "who wants to stay signed in stays a fortnight"
    rows(admin, started_at=now - dt.timedelta(days=15))
    assert not is_in(client)


def test_staying_signed_in_is_the_row_s_to_say_and_no_cookie_s(admin) -> None:
    client = admin.client()
    form = {"email": EMAIL, "password": PASSWORD, "remember": "y", "csrf_token": token(client)}
    answer = client.post("/admin/login", data=form, headers={"User-Agent": FIREFOX})
    cookies = answer.headers.getlist("Set-Cookie")
    assert not any(c.startswith("remember_token=") and "Expires=Thu, 01" not in c for c in cookies)
    assert any(c.startswith("session=") and "Expires=" in c for c in cookies)
    (row,) = rows(admin)
    assert (row.is_kept, row.agent) == (True, FIREFOX)


def test_a_new_password_keeps_this_session_and_ends_the_others(admin) -> None:
    here, there = admin.client(), admin.client()
    admin.sign_in_as(here)
    admin.sign_in_as(there)
    new = "quite another password"
    form = {"password": PASSWORD, "new_password": new, "new_password_confirm": new}
    form["csrf_token"] = token(here, "/admin/change")
    assert here.post("/admin/change", data=form).status_code == 302
    assert is_in(here)
    assert not is_in(there)
    assert [row.id for row in rows(admin)] == [_id(here)]
    with admin.app.app_context():
        admin.sign_in.set_password(admin.sign_in.find_user(EMAIL), PASSWORD)
    assert not is_in(here)
    assert rows(admin) == []


def test_a_browser_is_called_as_people_call_it() -> None:
    assert device(FIREFOX) == "Firefox on Linux"
    chrome = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"
    assert device(chrome) == "Chrome on Windows"
    assert device(f"{chrome} Edg/140.0") == "Edge on Windows"
    assert device("curl/8.0") == device(None) == "A program"


@pytest.mark.parametrize("value", ["soon", "0", "-5"])
def test_a_limit_that_is_no_number_of_minutes_stops_the_start(database_url, value) -> None:
    with pytest.raises(ConfigurationError, match="ADMIN_SESSION_IDLE"):
        bench(database_url, settings={"ADMIN_SESSION_IDLE": value})
