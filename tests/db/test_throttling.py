"""What can be guessed can be tried a few times, then ever more slowly, and never not at all."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import database, throttling
from admin_app.throttling import Limit, TryRecord, of_account, of_network, succeeded, take
from tests.db.test_accounts import EMAIL, PASSWORD, bench

NOW = dt.datetime(2026, 1, 1, 12)
ANA = of_account("ana@example.com")


@pytest.fixture
def session(database_url: str):
    engine = sa.create_engine(database.normalise_url(database_url))
    TryRecord.__table__.create(engine)
    with orm.Session(engine) as made:
        yield made
    engine.dispose()


def later(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def test_each_try_beyond_the_free_ones_waits_twice_as_long(session) -> None:
    assert [take(session, [ANA], NOW) for _ in range(5)] == [0] * 5
    assert take(session, [ANA], NOW) == 1
    assert take(session, [ANA], later(1)) == 0
    assert take(session, [ANA], later(1)) == 2
    assert take(session, [ANA], later(2.5)) == 1
    assert take(session, [ANA], later(3)) == 0
    assert take(session, [ANA], later(3)) == 4
    assert take(session, [of_account("bob@example.com")], NOW) == 0


def test_nobody_is_locked_out_for_longer_than_a_quarter_of_an_hour(session) -> None:
    session.add(TryRecord(key=ANA.key, count=10_000, last_at=NOW))
    session.commit()
    assert take(session, [ANA], NOW) == 900
    assert take(session, [ANA], later(-7200)) == 900, "whatever the clock says"
    assert take(session, [ANA], later(900)) == 0
    assert take(session, [ANA], later(900 + 3601)) == 0
    assert session.get(TryRecord, ANA.key).count == 1, "after an hour all is forgotten"


def test_a_try_that_was_right_is_forgotten_at_once(session) -> None:
    for _ in range(5):
        take(session, [ANA], NOW)
    succeeded(session, ANA)
    assert take(session, [ANA], NOW) == 0


def test_a_try_that_has_to_wait_counts_for_nothing(session) -> None:
    for _ in range(5):
        take(session, [ANA], NOW)
    network = Limit("n" * 64, 1, 10)
    assert take(session, [network, ANA], NOW) == 1
    assert session.get(TryRecord, network.key) is None


def test_networks_are_told_apart_by_what_one_line_has() -> None:
    assert of_network("2001:db8::1") == of_network("2001:db8::ffff:1")
    assert of_network("2001:db8::1") != of_network("2001:db8:0:1::1")
    assert of_network("::ffff:192.0.2.1") == of_network("192.0.2.1") != of_network("192.0.2.2")
    assert of_network(None) == of_network("")
    assert throttling.of_account(" Ana@Example.com") == ANA


def test_a_password_cannot_be_guessed_fast_and_the_right_one_waits_as_well(
    database_url: str,
) -> None:
    made = bench(database_url)
    with made.app.app_context():
        made.sign_in.create_user(EMAIL, PASSWORD)
    for _ in range(5):
        assert made.sign_in_as(made.client(), password="wrong").status_code == 200
    with made.session() as session:
        # As if many had followed: the pause after five is over before a slow machine has asked.
        session.execute(sa.update(TryRecord).values(count=20))
        session.commit()
    for password in ("wrong", PASSWORD):
        answer = made.sign_in_as(made.client(), password=password)
        assert answer.status_code == 429
        assert 600 < int(answer.headers["Retry-After"]) <= 900
        assert "This was tried too often. Try again in" in answer.text
    with made.session() as session:
        session.execute(sa.update(TryRecord).values(last_at=dt.datetime(2020, 1, 1)))
        session.commit()
    assert made.sign_in_as(made.client()).status_code == 302
    with made.session() as session:
        assert session.get(TryRecord, of_account(EMAIL).key) is None
    made.session.remove()
