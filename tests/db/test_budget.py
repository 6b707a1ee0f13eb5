"""The time that reading may take, and how the database means to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import ModelView, database
from admin_app.errors import OutOfTime

Base = orm.declarative_base()


class Parcel(Base):  # type: ignore[misc, valid-type]
    __tablename__ = "parcel"
    id = sa.Column(sa.Integer, primary_key=True)
    place = sa.Column(sa.String(40), index=True)
    weight = sa.Column(sa.Integer)


FOREVER = sa.text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) "
    "SELECT count(*) FROM n"
)


@pytest.fixture
def session(database_url: str) -> Iterator[orm.Session]:
    url = database.normalise_url(database_url)
    engine = sa.create_engine(url, **database.engine_options(url))
    database.listen(engine)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Parcel(place=f"place {n % 500}", weight=n % 7) for n in range(5000)])
        session.commit()
        with engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE")
            connection.commit()
        yield session


def timeout(session: orm.Session) -> str | None:
    if session.get_bind().dialect.name != "postgresql":
        return None
    found: str = session.scalar(sa.text("SHOW statement_timeout"))
    return found


def test_a_statement_that_takes_too_long_is_stopped(session: orm.Session) -> None:
    with pytest.raises(OutOfTime), database.budget(session, 0.05):
        session.execute(FOREVER)


def test_a_budget_of_no_time_at_all_is_no_licence_to_run_for_ever(session: orm.Session) -> None:
    with pytest.raises(OutOfTime), database.budget(session, 0):
        session.execute(FOREVER)


def test_a_stopped_statement_costs_the_transaction_nothing(session: orm.Session) -> None:
    session.add(Parcel(id=9000, place="here"))
    session.flush()
    with pytest.raises(OutOfTime), database.budget(session, 0.05):
        session.execute(FOREVER)
    session.commit()
    assert session.get(Parcel, 9000).place == "here"


def test_what_waits_to_be_written_is_not_written_within_a_budget(session: orm.Session) -> None:
    session.add(Parcel(id=9000, place="here"))
    with database.budget(session, 5):
        assert session.scalar(sa.select(Parcel.id).where(Parcel.id == 9000)) is None
    session.commit()
    assert session.get(Parcel, 9000) is not None


def test_the_limit_ends_with_the_block(session: orm.Session) -> None:
    before = timeout(session)
    with database.budget(session, 5):
        assert session.scalar(sa.select(sa.func.count()).select_from(Parcel)) == 5000
    assert timeout(session) == before
    with pytest.raises(OutOfTime), database.budget(session, 0.05):
        session.execute(FOREVER)
    assert timeout(session) == before


def test_a_budget_within_a_budget_leaves_the_outer_one(session: orm.Session) -> None:
    def read() -> None:
        with database.budget(session, 60):
            session.scalar(sa.select(Parcel.id).limit(1))
        session.execute(FOREVER)

    with pytest.raises(OutOfTime), database.budget(session, 0.05):
        read()


def test_other_errors_stay_what_they_are_and_leave_the_transaction_whole(
    session: orm.Session,
) -> None:
    with pytest.raises(sa.exc.DBAPIError), database.budget(session, 5):
        session.execute(sa.text("SELECT * FROM nowhere"))
    assert session.scalar(sa.select(sa.func.count()).select_from(Parcel)) == 5000


def test_a_session_that_was_rolled_back_in_the_block_is_left_alone(session: orm.Session) -> None:
    with database.budget(session, 5):
        session.rollback()
    assert session.scalar(sa.select(sa.func.count()).select_from(Parcel)) == 5000


def test_without_a_transaction_nothing_is_limited(postgresql_url: str) -> None:
    engine = sa.create_engine(database.normalise_url(postgresql_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, database.budget(connection, 5):
        assert connection.scalar(sa.select(sa.literal(1))) == 1


def test_a_budget_is_no_statement_of_the_page(session: orm.Session, statements: Any) -> None:
    with statements(session.get_bind()) as seen, database.budget(session, 5):
        session.scalar(sa.select(Parcel.id).limit(1))
    assert len(seen) == 1


def test_a_page_that_is_out_of_time_says_that_trying_again_may_help(make_site: Any) -> None:
    class Slow(ModelView):
        def get_query(self) -> Any:
            raise OutOfTime("This took longer than 2 seconds.")

    site = make_site(Base)
    site.admin.register(Parcel, Slow)
    answer = site.client.get("/admin/parcel/")
    assert answer.status_code == 503
    assert "try again" in answer.text


def test_a_plan_tells_that_a_table_is_read_whole(session: orm.Session) -> None:
    plan = database.plan_of(session, sa.select(Parcel).where(Parcel.weight == 3))
    assert [(n.table, n.is_scan) for n in plan.nodes] == [("parcel", True)]


def test_a_plan_tells_which_index_is_read(session: orm.Session) -> None:
    plan = database.plan_of(session, sa.select(Parcel).where(Parcel.place == "place 7"))
    assert {n.index for n in plan.nodes} - {None} == {"ix_parcel_place"}
    assert not any(n.is_scan for n in plan.nodes)


def test_values_of_any_kind_stay_parameters_of_the_plan(session: orm.Session) -> None:
    hostile = ["x'; DROP TABLE parcel; --", "50%", "%(a)s", ":b"]
    statement = sa.select(Parcel).where(Parcel.place.in_(hostile)).limit(10).offset(2)
    assert database.plan_of(session, statement).nodes
    assert session.scalar(sa.select(sa.func.count()).select_from(Parcel)) == 5000


def test_postgresql_tells_how_many_rows_to_expect(postgresql_url: str) -> None:
    engine = sa.create_engine(database.normalise_url(postgresql_url))
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(Parcel), [{"weight": n % 2} for n in range(2000)])
        connection.exec_driver_sql("ANALYZE")
        plan = database.plan_of(connection, sa.select(Parcel).where(Parcel.weight == 1))
    assert 900 <= plan.rows <= 1100
    assert plan.cost > 0


def test_a_plan_is_made_without_reading_a_row(session: orm.Session) -> None:
    with database.budget(session, 2):
        assert database.plan_of(session, FOREVER).nodes
