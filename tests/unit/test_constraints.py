"""CHECK constraints read as limits of an input."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import constraints, inspection
from admin_app.constraints import Limit


def limit_of(text: str) -> Limit | None:
    class Base(orm.DeclarativeBase):
        pass

    class Thing(Base):
        __tablename__ = "things"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        x: orm.Mapped[str | None]
        y: orm.Mapped[int | None]
        __table_args__ = (sa.CheckConstraint(text, name="rule"),)

    return constraints.limits(inspection.mapper_of(Thing)).get("x")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("x > 0", Limit(minimum=Decimal(0), is_above=True)),
        ("x >= 1 AND x <= 5", Limit(minimum=Decimal(1), maximum=Decimal(5))),
        ("0 < x", Limit(minimum=Decimal(0), is_above=True)),
        ("x BETWEEN -1.5 AND 2", Limit(minimum=Decimal("-1.5"), maximum=Decimal(2))),
        ("((x >= (0)::numeric) AND (x < (100)::numeric))",
         Limit(minimum=Decimal(0), maximum=Decimal(100), is_below=True)),
        ("length(x) <= 8", Limit(max_length=8)),
        ("char_length((x)::text) > 2", Limit(min_length=3)),
        ("x IN ('a', 'it''s')", Limit(choices=("a", "it's"))),
        ("((x)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
         Limit(choices=("a", "b"))),
    ],
)  # fmt: skip
def test_a_simple_check_is_a_limit(text, limit):
    assert limit_of(text) == limit


@pytest.mark.parametrize(
    "text", ["x > 0 OR x = -1", "x > y", "x <> 3", "lower(x) = x", "x LIKE 'a%'"]
)
def test_any_other_check_is_left_to_the_database(text):
    assert limit_of(text) is None


def test_a_limit_is_told_in_words_and_holds():
    limit = Limit(minimum=Decimal(0), is_above=True, maximum=Decimal(1000))
    assert limit.sentence == "More than 0 and at most 1,000."
    assert limit.refuses(0)
    assert limit.refuses(1000.5)
    assert not limit.refuses(Decimal("0.1"))
